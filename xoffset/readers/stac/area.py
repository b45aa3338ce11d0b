"""The area of a box on items: whether they show it, and how much of it clouds hide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from xoffset._arrays.scenes import legends, polygons
from xoffset._arrays.scenes.legends import Meaning
from xoffset._options import is_number
from xoffset.readers import grids
from xoffset.readers.grids import Bounds, Grid, Window
from xoffset.readers.landsat.bands import BITS_OF_PIXELS
from xoffset.readers.scenes import Image
from xoffset.readers.sentinel2.class_masks import SCENE_CLASSES
from xoffset.readers.stac.images import ItemImage, layer_of_classes

if TYPE_CHECKING:
    from rasterio.crs import CRS

# Places along each side of an area at which footprints are asked whether they show it.
_PLACES = 40
# Degrees around the area of use of a CRS in which its coordinates are still in order.
_FAR = 15.0
_FMASK = {"nodata": 0, "valid": 1, "cloud": 2, "shadow": 3, "snow": 4, "water": 5}


@dataclass(frozen=True)
class Area:
    """A box in a CRS, None for that of the images."""

    box: Bounds
    crs: CRS | None

    def within(self, crs: CRS | None) -> Bounds:
        """Box in another CRS that holds this one, as far as that CRS reaches."""
        if self.crs is None or crs is None or self.crs == crs:
            return self.box
        return _turned(self.box, self.crs, crs)


@lru_cache(maxsize=64)
def _turned(box: Bounds, source: CRS, target: CRS) -> Bounds:
    """Box in another CRS that holds this one."""
    from rasterio.warp import transform_bounds

    left, bottom, right, top = transform_bounds(source, target, *_where_used(box, target), densify_pts=21)
    return float(left), float(bottom), float(right), float(top)


def _where_used(box: Bounds, crs: CRS) -> Bounds:
    """Part of a box in degrees near the area of use of a CRS: far from it coordinates fold over."""
    import pyproj

    code = crs.to_epsg() if crs.is_projected else None
    use = None if code is None else pyproj.CRS.from_epsg(code).area_of_use
    if use is None or use.west > use.east:
        return box
    left, right = max(box[0], use.west - _FAR), min(box[2], use.east + _FAR)
    bottom, top = max(box[1], use.south - _FAR), min(box[3], use.north + _FAR)
    return (left, bottom, right, top) if left < right and bottom < top else box


def as_area(bbox: Any) -> Area | None:
    """Area of a box: in degrees (WGS 84) if all four numbers are possible ones, else in metres of the stack's CRS."""
    if bbox is None:
        return None
    edges = np.ravel(np.asarray(bbox, dtype=object)).tolist()
    if len(edges) != 4 or not all(map(is_number, edges)) or not (edges[0] < edges[2] and edges[1] < edges[3]):
        raise ValueError(
            "open_stac() needs bbox=(west, south, east, north) in degrees, or (xmin, ymin, xmax, ymax) in metres of "
            f"the CRS of the stack; got {bbox!r}. Order it so; of a box across the date line take one side."
        )
    left, bottom, right, top = (float(edge) for edge in edges)
    from rasterio.crs import CRS

    are_degrees = max(-left, right) <= 180 and max(-bottom, top) <= 90
    return Area((left, bottom, right, top), CRS.from_epsg(4326) if are_degrees else None)


def is_shown(image: ItemImage, area: Area) -> bool:
    """Whether an image reaches into an area, by its grid and, where the item tells it, the footprint of its pixels."""
    return window_of(image.grid, area) is not None and _is_in_footprint(image, area)


def window_of(grid: Grid, area: Area) -> Window | None:
    """Window of the pixels of a grid whose centres lie in an area, None if there is none."""
    left, bottom, right, top = area.within(grid.crs)
    columns = _between((left - grid.x) / grid.dx, (right - grid.x) / grid.dx, grid.width)
    rows = _between((bottom - grid.y) / grid.dy, (top - grid.y) / grid.dy, grid.height)
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _between(first: float, last: float, size: int) -> slice:
    low, high = sorted((first, last))
    return slice(max(int(np.ceil(low - 0.5)), 0), min(int(np.floor(high - 0.5)) + 1, size))


def _is_in_footprint(image: ItemImage, area: Area) -> bool:
    rings = _rings(image.item.geometry)
    if not rings:
        return True
    from rasterio.crs import CRS

    box = area.within(CRS.from_epsg(4326))
    # of an area that is much larger than the footprint few places would lie in it
    corners = np.concatenate([part[0] for part in rings])
    ends = np.clip(np.reshape(box, (2, 2)), corners.min(axis=0), corners.max(axis=0))
    if (ends[0] >= ends[1]).any():
        return False
    lon, lat = (np.linspace(low, high, 2 * _PLACES + 1)[1::2] for low, high in ends.T)
    return bool(polygons.covered(rings, lon, lat).any())


def _rings(geometry: Mapping[str, Any] | None) -> list[tuple[np.ndarray, ...]]:
    """Polygons of a footprint in degrees; none if it is none, or crosses the date line."""
    found = dict(geometry or {})
    corners: Any = found.get("coordinates")
    parts = [corners] if found.get("type") == "Polygon" else corners if found.get("type") == "MultiPolygon" else []
    try:
        rings = [tuple(np.array(ring, dtype=np.float64)[:, :2] for ring in part) for part in parts or ()]
    except (TypeError, ValueError, IndexError):
        return []
    spans = [np.ptp(part[0][:, 0]) for part in rings if part]
    return rings if spans and max(spans) < 180 else []


# --------------------------------------------------------------------------------------------------------------- clouds


def cloud_cover(parts: Sequence[ItemImage], area: Area | None) -> tuple[float | None, str]:
    """Share of an area that clouds hide [%] in the images of a pass, and what tells it: "area" or "scene".

    NaN where no image has a pixel in the area; None where nothing tells. Clouds are those of `masking.classes`. Without
    an area, or without a layer of classes, it is what the items say of the scenes as a whole.
    """
    layers = [] if area is None else [layer_of_classes(part) for part in parts]
    known = [layer for layer in layers if layer is not None]
    if area is None or len(known) < len(parts):
        told = [part.told.cloud_cover for part in parts]
        numbers = [each for each in told if each is not None]
        return (None if len(numbers) < len(told) else float(np.mean(numbers))), "scene"
    counts = np.sum([_counts(kind, image, area) for kind, image in known], axis=0)
    return (float(100 * counts[0] / counts[1]) if counts[1] else np.nan), "area"


def _counts(kind: str, image: ItemImage, area: Area) -> tuple[int, int]:
    """Pixels of clouds, and all that hold a class, in an area."""
    window = window_of(image.grid, area)
    if window is None:
        return 0, 0
    values = image.read(window)
    found = legends.translated(values, table=_table(kind), fills=(), caller="open_stac")
    return int((found == legends.CLOUD).sum()), int((found != legends.NULL).sum())


def _table(kind: str) -> np.ndarray:
    if kind == "qa_pixel":
        return legends.as_table([Meaning(name, bit, bit) for name, bit in BITS_OF_PIXELS.items()])
    names = SCENE_CLASSES if kind == "scl" else _FMASK
    return legends.as_table([Meaning(name, value) for name, value in names.items()])


def placed(area: Area | None, images: Sequence[Image]) -> Area | None:
    """Area with its CRS: of a box in metres that of most images."""
    return area if area is None or area.crs is not None else replace(area, crs=_shared(images).crs)


def in_metres(area: Area | None, images: Sequence[Image]) -> Bounds | None:
    """Box of an area in the CRS of a stack of images."""
    return None if area is None else area.within(_shared(images).crs)


def _shared(images: Sequence[Image]) -> Grid:
    """Grid that most images share, which is that of their stack."""
    return images[grids.most_shared([image.grid for image in images])[0]].grid
