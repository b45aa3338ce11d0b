"""Classes that Sentinel-2 gives to pixels, laid on a grid: scene classification (L2A), masks of clouds (L1C)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from xoffset.readers import xml
from xoffset.readers.grids import Grid
from xoffset.readers.positions import differ, lay, values_at
from xoffset.readers.scenes import Classes
from xoffset.readers.sentinel2 import footprints

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from rasterio.crs import CRS

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
    found = values_at(path, grid)
    return Classes(found.values[0].astype(np.uint8), dict(SCENE_CLASSES), False, found.crs)


def classification_masks(path: str, grid: Grid) -> Classes:
    """Clouds, cirrus and snow of an L1C product since baseline 04.00, from the path of its raster of three bands."""
    found = values_at(path, grid, bands=(1, 2, 3))
    values = _bits(dict(zip(("opaque_cloud", "cirrus", "snow"), found.values > 0, strict=True)), ~found.is_inside)
    return Classes(values, dict(CLOUD_BITS), True, found.crs)


def cloud_polygons(root: Element, tile_metadata: Element, grid: Grid, name: str) -> Classes:
    """Clouds and cirrus of an L1C product before baseline 04.00, from its polygons and the metadata of its tile."""
    mask = footprints.read_polygons(root, name)
    kinds = {"opaque_cloud": "OPAQUE", "cirrus": "CIRRUS"}
    unknown = {feature.kind for feature in mask.features} - set(kinds.values())
    if unknown:
        raise ValueError(
            f"open_stack() needs a mask of the kinds OPAQUE and CIRRUS; got {sorted(unknown)[0]!r} in {name}. "
            "Fetch the product again, or leave it out."
        )
    tile = _grid_of(tile_metadata, mask.crs)

    def bits(part: Grid) -> np.ndarray:
        found = {
            each: footprints.covered([feature for feature in mask.features if feature.kind == kind], part)
            for each, kind in kinds.items()
        }
        is_outside = _is_outside(tile, part)
        return _bits(found | {"snow_unknown": ~is_outside}, is_outside)

    if differ(tile.crs, grid.crs):
        # by way of the pixels of the tile, which know whether they are covered
        values = np.full((grid.height, grid.width), CLOUD_BITS["no_data"], dtype=np.uint8)
        lay(lambda window: bits(tile.part(window)), tile, grid, values)
    else:
        values = bits(grid)
    return Classes(values, dict(CLOUD_BITS), True, tile.crs)


def _grid_of(tile_metadata: Element, crs: CRS | None) -> Grid:
    """Smallest pixels of a tile, in the CRS of its polygons; a mask without any tells none, but the tile does."""
    tags = ("ULX", "ULY", "XDIM", "YDIM", "NCOLS", "NROWS")
    x, y, dx, dy, width, height = (
        float(xml.required(tile_metadata, f".//{tag}", "metadata of a tile")) for tag in tags
    )
    code = re.fullmatch(r"EPSG:(\d+)", xml.optional(tile_metadata, ".//HORIZONTAL_CS_CODE") or "")
    if crs is None and code is not None:
        from rasterio.crs import CRS

        crs = CRS.from_epsg(int(code[1]))
    return Grid(x, y, dx, dy, int(width), int(height), crs)


def _is_outside(tile: Grid, grid: Grid) -> np.ndarray:
    """Pixels of a grid whose centres lie outside of a tile, boolean (rows, columns)."""
    insides = []
    for places, start, step, size in (
        (grid.y_centres, tile.y, tile.dy, tile.height),
        (grid.x_centres, tile.x, tile.dx, tile.width),
    ):
        at = (places - start) / step
        insides.append((at >= 0) & (at < size))
    return ~np.logical_and.outer(*insides)


def _bits(found: dict[str, np.ndarray], is_outside: np.ndarray) -> np.ndarray:
    out = np.where(is_outside, np.uint8(CLOUD_BITS["no_data"]), np.uint8(0))
    for name, is_there in found.items():
        out[is_there & ~is_outside] |= np.uint8(CLOUD_BITS[name])
    return out
