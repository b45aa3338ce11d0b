"""Polygons of files and objects in the CRS of a grid, and the pixels whose centres lie in them."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import xarray as xr

from xoffset._kernels.maps import polygons as kernels
from xoffset.model import grids
from xoffset.readers import outlines
from xoffset.readers.outline_checks import checked
from xoffset.readers.outlines import Outlines, Polygon
from xoffset.readers.winding import edges_of

if TYPE_CHECKING:
    import pyproj

_log = logging.getLogger(__name__)

# Straight lines of one CRS are curves in another: corners are added until they are nearer than this to them [m].
CURVE_TOLERANCE = 1.0
# Halvings of an edge, at most.
_HALVINGS = 16
# Places that are counted one by one, at most.
_MANY = 4_000_000
# Rows of a grid that are looked at together.
_STRIP = 512
# CRS of GeoJSON that states none.
_LONGITUDE_LATITUDE = "OGC:CRS84"


class HasGeometry(Protocol):
    """An object of shapely, geopandas or others that tells its polygons as GeoJSON has them."""

    @property
    def __geo_interface__(self) -> Mapping[str, object]: ...


# A file, a GeoJSON object, an object with geometry, or several of them.
PolygonSource = str | os.PathLike[str] | Mapping[str, object] | HasGeometry
Polygons = PolygonSource | Sequence[PolygonSource]


def read(source: Any, crs: pyproj.CRS | None, caller: str, name: str) -> list[Polygon]:
    """Polygons of a source, or of several, turned into a CRS; each is a list of rings (n, 2) of x and y.

    Without a CRS, coordinates are those of the grid. The name is that of the argument.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If it takes pyogrio to read it.
    TypeError
        If the source is none.
    ValueError
        If there are no polygons, or one crosses itself; if the CRS of one side only is known, or the polygons lie where
        the other has no coordinates.
    """
    if isinstance(source, Sequence) and not isinstance(source, (str, bytes)):
        if not source:
            raise ValueError(
                f"{caller}() needs polygons as {name}; got an empty list. Leave {name} out if there are none."
            )
        return [polygon for each in source for polygon in read(each, crs, caller, name)]
    found, place = _outlines_of(source, caller, name)
    polygons = [checked(polygon, place, caller) for polygon in found.polygons]
    if not polygons:
        raise ValueError(
            f"{caller}() needs at least one polygon in {place}; got none. Check the file or the selection."
        )
    # GeoJSON on a grid without a CRS is taken for what the grid has: metres of its own
    stated = _crs_of(found, polygons, place, caller) if found.crs is not None or crs is not None else None
    if stated is None and crs is None:
        return polygons
    if stated is None:
        raise ValueError(f"{caller}() needs polygons whose CRS is known; got {place} without one. {_advice(source)}")
    if crs is None:
        raise ValueError(
            f"{caller}() needs a grid with a CRS, to lay {place} in {stated.name} on it; got one without. Assign it: "
            "data.rio.write_crs('EPSG:32632'); or leave the CRS of the polygons out if they are in its coordinates."
        )
    return polygons if grids.agree(stated, crs) else _turned(polygons, stated, crs, place, caller)


def on_grid(polygons: Sequence[Polygon], y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Whether the places of a grid lie in any of the polygons: (rows, columns) bool; y and x may run either way."""
    out = np.zeros((y.size, x.size), dtype=np.bool_)
    y, x, flips = _ascending(y, x)
    edges = [edges_of(polygon) for polygon in polygons]
    kernels.fill(np.concatenate(edges), np.cumsum([0, *map(len, edges)]), y, x, out[flips])
    return out


def _ascending(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[slice, slice]]:
    """Ascending coordinates, and what turns an array of the grid so that it goes with them."""
    flips = [slice(None, None, -1 if values[-1] < values[0] else 1) for values in (y, x)]
    ways = [np.array(values[flip], dtype=np.float64) for values, flip in zip((y, x), flips, strict=True)]
    return ways[0], ways[1], (flips[0], flips[1])


def within(polygons: Sequence[Polygon], reach: float, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """As `on_grid`, of polygons that reach so far [m] beyond their outlines."""
    out = on_grid(polygons, y, x)
    if reach:
        y, x, flips = _ascending(y, x)
        kernels.around(np.concatenate([edges_of(polygon) for polygon in polygons]), reach, y, x, out[flips])
    return out


def inside(source: Any, like: xr.DataArray | xr.Dataset, caller: str, name: str) -> np.ndarray:
    """Pixels of a grid with coordinates x and y whose centres lie in the polygons of a source: (rows, columns) bool.

    Raises what `read` and `marked` do.
    """
    return marked(read(source, grids.crs_of(like), caller, name), like, caller, name)


def marked(polygons: Sequence[Polygon], like: xr.DataArray | xr.Dataset, caller: str, name: str) -> np.ndarray:
    """As `inside`, of polygons in the CRS of the grid. Raises ValueError if they hold no pixel."""
    y, x = like["y"].values, like["x"].values
    check_overlap(polygons, y, x, 0.0, caller, name)
    found = on_grid(polygons, y, x)
    check_any(found, polygons, caller, name)
    return found


def count(polygons: Sequence[Polygon], y: np.ndarray, x: np.ndarray) -> int:
    """Places that polygons hold of a grid that goes on beyond its edges; of a great many the number of some, scaled."""
    corners = np.concatenate([ring for polygon in polygons for ring in polygon])
    ways = []
    for values, ends in ((y, corners[:, 1]), (x, corners[:, 0])):
        step = abs(float(values[-1] - values[0])) / (values.size - 1)
        first, last = (math.floor((end - values[0]) / step) for end in (ends.min(), ends.max()))
        ways.append((float(values[0]), step, first, last + 1))
    many = math.prod(last - first + 1 for _, _, first, last in ways)
    stride = math.ceil(math.sqrt(many / _MANY))
    lattice = [start + step * np.arange(first, last + 1, stride) for start, step, first, last in ways]
    return int(on_grid(polygons, *lattice).sum()) * stride**2


def hold_any(polygons: Sequence[Polygon], reach: float, y: np.ndarray, x: np.ndarray) -> bool:
    """Whether any place of a grid is `within` polygons."""
    heights = np.concatenate([ring[:, 1] for polygon in polygons for ring in polygon])
    y = y[(y >= heights.min() - reach) & (y <= heights.max() + reach)]
    return any(within(polygons, reach, y[top : top + _STRIP], x).any() for top in range(0, y.size, _STRIP))


def check_any(found: np.ndarray, polygons: Sequence[Polygon], caller: str, name: str) -> None:
    """Refuse polygons that hold no pixel."""
    if not found.any():
        raise ValueError(
            f"{caller}() needs {name} that hold the centre of a pixel; got {len(polygons)} that lie between them. "
            "Draw them wider, or take a finer grid."
        )


def check_overlap(
    polygons: Sequence[Polygon], y: np.ndarray, x: np.ndarray, margin: float, caller: str, name: str
) -> None:
    """Refuse polygons of which none reaches a grid, or a margin [m] around it."""
    boxes = [np.concatenate([part.min(axis=0), part.max(axis=0)]) for part in map(np.concatenate, polygons)]
    grid = (x.min() - margin, y.min() - margin, x.max() + margin, y.max() + margin)
    if any(box[0] <= grid[2] and box[1] <= grid[3] and box[2] >= grid[0] and box[3] >= grid[1] for box in boxes):
        return
    least, most = np.min(boxes, axis=0)[:2], np.max(boxes, axis=0)[2:]
    raise ValueError(
        f"{caller}() needs {name} that reach the grid; got polygons from ({least[0]:.10g}, {least[1]:.10g}) to "
        f"({most[0]:.10g}, {most[1]:.10g}) for a grid from ({x.min():.10g}, {y.min():.10g}) to ({x.max():.10g}, "
        f"{y.max():.10g}), in its coordinates. Check the CRS of the polygons and the order of x and y."
    )


# -------------------------------------------------------------------------------------------------- what a source holds


def _outlines_of(source: Any, caller: str, name: str) -> tuple[Outlines, str]:
    """Polygons of a source, and its name for messages."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source).expanduser()
        return outlines.read_file(path, caller), str(path)
    if isinstance(source, Mapping):
        return outlines.of_geojson(source, name, caller), name
    if not hasattr(source, "__geo_interface__"):
        raise TypeError(
            f"{caller}() needs polygons as {name}: a file, a GeoJSON object, a shapely polygon or a GeoDataFrame; got "
            f"{type(source).__name__}. Save them as GeoJSON, and pass the path."
        )
    found = outlines.of_geojson(source.__geo_interface__, name, caller)
    return Outlines(found.polygons, getattr(source, "crs", None)), name


# ----------------------------------------------------------------------------------------------------------------- CRS


def _crs_of(found: Outlines, polygons: list[Polygon], place: str, caller: str) -> pyproj.CRS | None:
    """CRS of polygons, None if it is unknown; that of GeoJSON which states none is longitude and latitude."""
    import pyproj

    stated = _LONGITUDE_LATITUDE if found.is_silent else found.crs
    if stated is None:
        return None
    try:
        crs = pyproj.CRS.from_user_input(stated.to_wkt() if hasattr(stated, "to_wkt") else stated)
    except pyproj.exceptions.CRSError as error:
        raise ValueError(
            f"{caller}() needs a CRS of {place} that pyproj knows; got {str(stated)[:80]!r}. Correct it."
        ) from error
    corners = np.concatenate([ring for polygon in polygons for ring in polygon])
    largest = np.abs(corners).max(axis=0)
    if crs.is_geographic and crs.axis_info[0].unit_name == "degree" and (largest[0] > 360.0 or largest[1] > 90.0):
        why = "as of GeoJSON that states none" if found.crs is None else "as it states"
        raise ValueError(
            f"{caller}() needs polygons whose CRS is known; got {place} in {crs.name}, {why}, with corners such as "
            f"({corners[0, 0]:.10g}, {corners[0, 1]:.10g}), which are no longitude and latitude. State the CRS of "
            'their coordinates, in GeoJSON as "crs": {"type": "name", "properties": {"name": "EPSG:32632"}}.'
        )
    if crs.is_geographic and crs.axis_info[0].unit_name == "degree":
        _check_seam(polygons, place, caller)
    return crs


def _check_seam(polygons: list[Polygon], place: str, caller: str) -> None:
    """Refuse longitudes that jump from one side of the Earth to the other; the whole way round is an edge of a map."""
    for ring in (ring for polygon in polygons for ring in polygon):
        spans = np.abs(ring[:, 0] - np.roll(ring[:, 0], -1))
        jumps = (spans > 180.0) & (spans < 360.0)
        if jumps.any():
            corner = ring[int(np.flatnonzero(jumps)[0])]
            raise ValueError(
                f"{caller}() needs edges of polygons that go less than half around the Earth; got one in {place} from "
                f"({corner[0]:.10g}, {corner[1]:.10g}) over {spans[jumps][0]:.6g} degrees. Split the polygon where it "
                "crosses 180 degrees, or write longitudes beyond it: 190 for -170."
            )


def _advice(source: Any) -> str:
    if isinstance(source, (str, os.PathLike)):
        return "Save it with its CRS; a Shapefile has it in the file beside it that ends in .prj."
    if isinstance(source, Mapping):
        return 'State it: "crs": {"type": "name", "properties": {"name": "EPSG:32632"}}.'
    return "Give it one: geopandas.GeoSeries([polygon], crs='EPSG:32632')."


def _turned(polygons: list[Polygon], source: pyproj.CRS, target: pyproj.CRS, place: str, caller: str) -> list[Polygon]:
    """Polygons in another CRS, without those that lie where it has no coordinates."""
    import pyproj

    transformer = pyproj.Transformer.from_crs(source, target, always_xy=True)
    turned = []
    for polygon in polygons:
        found = [_turned_ring(ring, transformer) for ring in polygon]
        if any(ring is None for ring in found):
            raise ValueError(
                f"{caller}() needs polygons that do not cross the seam of {target.name}, the CRS of the grid, where it "
                f"is cut open; got one in {place} that does. Cut it to the surroundings of the grid, or split it there."
            )
        rings = [ring for ring in found if ring is not None]
        is_known = np.isfinite(np.concatenate(rings)).all(axis=1)
        if is_known.all():
            turned.append(rings)
        elif is_known.any():
            raise ValueError(
                f"{caller}() needs polygons that {target.name}, the CRS of the grid, has coordinates for; got one in "
                f"{place} that lies there in part. Cut it to the surroundings of the grid first."
            )
    if not turned:
        raise ValueError(
            f"{caller}() needs polygons that reach the grid; got {place} where its CRS, {target.name}, has no "
            "coordinates. Check the CRS of the polygons and the order of x and y."
        )
    return turned


def _turned_ring(ring: np.ndarray, transformer: pyproj.Transformer) -> np.ndarray | None:
    """Ring in another CRS, with more corners where its straight edges become curves; None if one of them is torn."""
    start, end = ring, np.roll(ring, -1, axis=0)
    for halving in range(_HALVINGS + 1):
        middle = 0.5 * (start + end)
        a, b = (np.column_stack(transformer.transform(*each.T)) for each in (start, end))
        bends = np.zeros(len(start), dtype=np.bool_)
        # where a curve crosses its chord in the middle, it does not a quarter of the way on
        for share in (0.25, 0.5, 0.75):
            there = np.column_stack(transformer.transform(*(start + share * (end - start)).T))
            with np.errstate(invalid="ignore"):
                off = np.hypot(*(there - (a + share * (b - a))).T)
            # no coordinates, no curve
            bends |= np.isfinite(off) & (off > CURVE_TOLERANCE)
        if not bends.any():
            return a
        if halving == _HALVINGS:
            break
        half = np.flatnonzero(bends)
        start = np.insert(start, half + 1, middle[half], axis=0)
        end = np.roll(start, -1, axis=0)
    # so short an edge that is not straight jumps from one side of the CRS to the other
    return None
