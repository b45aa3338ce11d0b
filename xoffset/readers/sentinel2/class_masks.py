"""Classes that Sentinel-2 gives to pixels, laid on a grid: scene classification (L2A), masks of clouds (L1C)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xoffset.readers import xml
from xoffset.readers.grids import Grid
from xoffset.readers.positions import check_crs, values_at
from xoffset.readers.sentinel2 import footprints

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

Classes = tuple[np.ndarray, dict[str, int], bool]

# Scene classification of L2A, one class a pixel.
SCENE_CLASSES = {
    name: value
    for value, name in enumerate((
        "no_data", "saturated_or_defective", "dark_area", "cloud_shadow", "vegetation", "bare", "water",
        "unclassified", "cloud_medium_probability", "cloud_high_probability", "thin_cirrus", "snow_or_ice",
    ))
}  # fmt: skip
# Masks of L1C, bits of a pixel. Those of before baseline 04.00 do not tell snow, which is not the same as none.
CLOUD_BITS = {"opaque_cloud": 1, "cirrus": 2, "snow": 4, "snow_unknown": 64, "no_data": 128}


def scene_classification(path: str, grid: Grid) -> Classes:
    """Scene classification of an L2A product, from the path of its raster."""
    return values_at(path, grid)[0][0].astype(np.uint8), dict(SCENE_CLASSES), False


def classification_masks(path: str, grid: Grid) -> Classes:
    """Clouds, cirrus and snow of an L1C product since baseline 04.00, from the path of its raster of three bands."""
    values, is_inside = values_at(path, grid, bands=(1, 2, 3))
    return _bits(dict(zip(("opaque_cloud", "cirrus", "snow"), values > 0, strict=True)), ~is_inside)


def cloud_polygons(root: Element, tile_metadata: Element, grid: Grid, name: str) -> Classes:
    """Clouds and cirrus of an L1C product before baseline 04.00, from its polygons and the metadata of its tile."""
    mask = footprints.read_polygons(root, name)
    check_crs(grid, mask.crs, name)
    kinds = {"opaque_cloud": "OPAQUE", "cirrus": "CIRRUS"}
    unknown = {feature.kind for feature in mask.features} - set(kinds.values())
    if unknown:
        raise ValueError(
            f"open_stack() needs a mask of the kinds OPAQUE and CIRRUS; got {sorted(unknown)[0]!r} in {name}. "
            "Fetch the product again, or leave it out."
        )
    found = {
        each: footprints.covered([feature for feature in mask.features if feature.kind == kind], grid)
        for each, kind in kinds.items()
    }
    is_outside = _is_outside(tile_metadata, grid)
    return _bits(found | {"snow_unknown": ~is_outside}, is_outside)


def _is_outside(tile_metadata: Element, grid: Grid) -> np.ndarray:
    """Pixels of a grid whose centres lie outside of a tile, boolean (rows, columns)."""
    insides = []
    for places, tags in ((grid.y_centres, ("ULY", "YDIM", "NROWS")), (grid.x_centres, ("ULX", "XDIM", "NCOLS"))):
        start, step, size = (float(xml.required(tile_metadata, f".//{tag}", "metadata of a tile")) for tag in tags)
        at = (places - start) / step
        insides.append((at >= 0) & (at < size))
    return ~np.logical_and.outer(*insides)


def _bits(found: dict[str, np.ndarray], is_outside: np.ndarray) -> Classes:
    out = np.where(is_outside, np.uint8(CLOUD_BITS["no_data"]), np.uint8(0))
    for name, is_there in found.items():
        out[is_there & ~is_outside] |= np.uint8(CLOUD_BITS[name])
    return out, dict(CLOUD_BITS), True
