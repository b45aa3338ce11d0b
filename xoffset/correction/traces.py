"""The trace of a fault: a line that divides a scene into two sides."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.model import grids

# Points that a straight line of another CRS is turned at.
_POINTS = 32
# CRS of GeoJSON that states none.
_LONGITUDE_LATITUDE = "OGC:CRS84"
_KINDS = "a file of GeoJSON, a GeoJSON object, a LineString of shapely, or vertices (x, y) of the grid"


def across(trace: Any, shifts: xr.Dataset) -> np.ndarray:
    """Distance of the nodes from a trace [m], positive to the left of who walks along it (rows, columns).

    Beyond its ends the line goes straight on.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If it is no line.
    ValueError
        If the line has less than two vertices, lies elsewhere, or its CRS does not fit.
    """
    line = _vertices(trace, shifts)
    _check_reach(line, shifts)
    length = np.hypot(*(line[1:] - line[:-1]).T)
    line = np.concatenate([line[:1], line[1:][length > 0.0]])
    if len(line) < 2:
        raise ValueError("correct() needs a trace with two different vertices; got one point. Draw it longer.")
    return _distance(line, shifts["x"].values[np.newaxis], shifts["y"].values[:, np.newaxis])


def _distance(line: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance from a line, with the sign of the nearest segment; of two equally near that which is seen more aside."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    nearest, across = np.full(shape, np.inf), np.zeros(shape)
    last = len(line) - 2
    for k, (start, end) in enumerate(pairwise(line)):
        way = (end - start) / np.hypot(*(end - start))
        length = float(np.hypot(*(end - start)))
        along = (x - start[0]) * way[0] + (y - start[1]) * way[1]
        offset = (y - start[1]) * way[0] - (x - start[0]) * way[1]
        beyond = np.maximum(0.0 if k == last else along - length, 0.0 if k == 0 else -along)
        distance = np.hypot(np.maximum(beyond, 0.0), offset)
        tolerance = 1e-9 * (1.0 + distance)
        is_nearer = (distance < nearest - tolerance) | (
            (np.abs(distance - nearest) <= tolerance) & (np.abs(offset) > np.abs(across))
        )
        nearest, across = np.where(is_nearer, distance, nearest), np.where(is_nearer, offset, across)
    return np.where(across >= 0.0, nearest, -nearest)


def _check_reach(line: np.ndarray, shifts: xr.Dataset) -> None:
    """Refuse a line that does not touch the grid."""
    ends = {name: shifts[name].values for name in ("x", "y")}
    low = np.array([ends["x"].min(), ends["y"].min()])
    high = np.array([ends["x"].max(), ends["y"].max()])
    if not any(_touches(start, end, low, high) for start, end in pairwise(line)):
        least, most = line.min(axis=0), line.max(axis=0)
        raise ValueError(
            f"correct() needs a trace that crosses the grid, x {low[0]:.10g} to {high[0]:.10g}, y {low[1]:.10g} to "
            f"{high[1]:.10g}; got one from ({least[0]:.10g}, {least[1]:.10g}) to ({most[0]:.10g}, {most[1]:.10g}). "
            "Check its CRS and the order of x and y, or leave it out."
        )


def _touches(start: np.ndarray, end: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether a segment has a point in a box: the part of it between both ends of each axis is not empty."""
    first, last = 0.0, 1.0
    for begin, way, least, most in zip(start, end - start, low, high, strict=True):
        if way == 0.0:
            if not least <= begin <= most:
                return False
            continue
        enter, leave = sorted(((least - begin) / way, (most - begin) / way))
        first, last = max(first, enter), min(last, leave)
    return first <= last


# -------------------------------------------------------------------------------------------------- what a source holds


def _vertices(trace: Any, shifts: xr.Dataset) -> np.ndarray:
    """Vertices (n, 2) in the coordinates of the grid."""
    if isinstance(trace, (str, os.PathLike)):
        return _of_geojson(_read(_options.as_path(trace, "trace", "correct")), shifts)
    if isinstance(trace, Mapping):
        return _of_geojson(trace, shifts)
    # an object without a CRS of its own is in the coordinates of the grid
    if hasattr(trace, "__geo_interface__"):
        return _checked(_line_of(trace.__geo_interface__))
    return _checked(trace)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"correct() needs a file of GeoJSON as trace; there is none at {path}. Check the path.")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(
            f"correct() needs GeoJSON in {path}; got what is no JSON ({error}). Save the line as GeoJSON, or pass its "
            "vertices."
        ) from error


def _line_of(data: Any) -> Any:
    """Coordinates of the only line of a GeoJSON object."""
    kind = data.get("type") if isinstance(data, Mapping) else type(data).__name__
    members: list[Any] = []
    if kind == "FeatureCollection":
        members = list(data.get("features") or ())
    elif kind == "Feature":
        members = [data.get("geometry")]
    elif kind == "GeometryCollection":
        members = list(data.get("geometries") or ())
    elif kind == "MultiLineString":
        members = [{"type": "LineString", "coordinates": part} for part in data.get("coordinates") or ()]
    elif kind == "LineString":
        return data.get("coordinates")
    if len(members) == 1:
        return _line_of(members[0])
    came = f"{len(members)} of them" if members else f"a {kind}"
    raise ValueError(
        f"correct() needs one line as trace, which divides the scene in two; got {came}. Join its parts, or pass the "
        "vertices of the one that matters."
    )


def _of_geojson(data: Any, shifts: xr.Dataset) -> np.ndarray:
    """Vertices of a GeoJSON object in the CRS that it states; if it states none, longitude and latitude."""
    import pyproj

    line = _checked(_line_of(data))
    target = grids.crs_of(shifts)
    stated = data.get("crs") if isinstance(data, Mapping) else None
    if isinstance(stated, Mapping):
        named = stated.get("properties")
        stated = named.get("name") if isinstance(named, Mapping) else None
    if stated is None and (target is None or np.abs(line).max() > 360.0):
        # numbers that are no angles are metres, as those of tools that write no CRS
        return line
    try:
        crs = pyproj.CRS.from_user_input(_LONGITUDE_LATITUDE if stated is None else stated)
    except pyproj.exceptions.CRSError as error:
        raise ValueError(
            f"correct() needs a CRS of the trace that pyproj knows; got {str(stated)[:80]!r}. Correct it."
        ) from error
    if target is None:
        raise ValueError(
            f"correct() needs shifts with a CRS, to lay a trace in {crs.name} on them; got none. Assign it, "
            "shifts.rio.write_crs('EPSG:32632'), or pass vertices in the coordinates of the grid."
        )
    if grids.agree(crs, target):
        return line
    share = np.linspace(0.0, 1.0, _POINTS, endpoint=False)[:, np.newaxis]
    parts = [start + share * (end - start) for start, end in pairwise(line)]
    fine = np.concatenate([*parts, line[-1:]])
    turned = pyproj.Transformer.from_crs(crs, target, always_xy=True).transform(fine[:, 0], fine[:, 1])
    return _checked(np.column_stack(turned))


def _checked(line: Any) -> np.ndarray:
    """Vertices as an array (n, 2), without heights."""
    try:
        vertices = np.array([tuple(vertex)[:2] for vertex in line], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"correct() needs {_KINDS} as trace; got {type(line).__name__}. Pass one of these.") from error
    if vertices.ndim != 2 or vertices.shape[0] < 2 or vertices.shape[1] != 2 or not np.isfinite(vertices).all():
        raise ValueError(
            f"correct() needs two or more finite vertices (x, y) of a trace; got shape {vertices.shape}. Pass "
            "[(x, y), (x, y)]."
        )
    return vertices
