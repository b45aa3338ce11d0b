"""Outlines in files: GeoJSON, Shapefile, and the formats that pyogrio reads, such as GeoPackage."""

from __future__ import annotations

import json
import logging
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xoffset.readers.winding import by_winding

_log = logging.getLogger(__name__)

Ring = np.ndarray  # (n, 2) x and y of its corners
Polygon = list[Ring]  # outline and holes: inside is what an odd number of edges separates from far away

# Types of shapes: polygon, with heights, with measures.
_SHAPES = (5, 15, 25)
_NULL_SHAPE = 0
# Types of well-known binary.
_WKB_POLYGON, _WKB_COLLECTIONS = 3, (6, 7)


class Outlines(NamedTuple):
    """Polygons, what states their CRS, None if nothing does, and whether they are GeoJSON that does not speak of it."""

    polygons: list[Polygon]
    crs: Any
    is_silent: bool = False


def read_file(path: Path, caller: str) -> Outlines:
    """Polygons of a file."""
    if not path.is_file():
        raise FileNotFoundError(f"{caller}() needs a file of polygons; there is none at {path}. Check the path.")
    suffix = path.suffix.lower()
    if suffix in (".geojson", ".json"):
        try:
            data = json.loads(path.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise ValueError(
                f"{caller}() needs GeoJSON in {path}; got what is no JSON ({error}). Save the polygons anew."
            ) from error
        return of_geojson(data, str(path), caller)
    return _shapefile(path, caller) if suffix == ".shp" else _by_pyogrio(path, caller)


# ------------------------------------------------------------------------------------------------------------- GeoJSON


def of_geojson(data: Any, name: str, caller: str) -> Outlines:
    """Polygons of a GeoJSON object, and the CRS that it states; the name is for messages."""
    if not isinstance(data, Mapping):
        raise ValueError(
            f"{caller}() needs a GeoJSON object as {name}; got {type(data).__name__}. Pass a FeatureCollection, a "
            "Feature or a geometry."
        )
    polygons = [_of_corners(rings, name, caller) for rings in _of_object(data, name, caller)]
    crs = data.get("crs")
    if isinstance(crs, Mapping) and crs.get("type") == "name":
        named = crs.get("properties")
        # what names none is no CRS that could be known
        crs = named.get("name", crs) if isinstance(named, Mapping) else crs
    return Outlines(polygons, crs, "crs" not in data)


def _of_object(data: Mapping[str, Any], name: str, caller: str) -> Iterator[Sequence[Any]]:
    """Coordinates of each polygon of an object."""
    kind = data.get("type") if isinstance(data, Mapping) else type(data).__name__
    if kind == "FeatureCollection":
        for feature in _members(data, "features", name, caller):
            yield from _of_object(feature, name, caller)
    elif kind == "Feature":
        # a feature may have no place
        if data.get("geometry") is not None:
            yield from _of_object(data["geometry"], name, caller)
    elif kind == "GeometryCollection":
        for geometry in _members(data, "geometries", name, caller):
            yield from _of_object(geometry, name, caller)
    elif kind == "MultiPolygon":
        yield from (rings for rings in _members(data, "coordinates", name, caller) if not _is_empty(rings))
    elif kind == "Polygon":
        rings = _members(data, "coordinates", name, caller)
        if not _is_empty(rings):
            yield rings
    else:
        raise ValueError(
            f"{caller}() needs polygons in {name}; got {str(kind)[:40]!r}. Draw areas: points and lines have none."
        )


def _members(data: Mapping[str, Any], key: str, name: str, caller: str) -> Sequence[Any]:
    """What an object holds, in a row."""
    found = data.get(key)
    if found is None:
        return ()
    if not isinstance(found, (Sequence, np.ndarray)) or isinstance(found, str):
        raise ValueError(
            f"{caller}() needs a list as {key!r} of {name}; got {str(found)[:40]!r}. Save the polygons anew."
        )
    return list(found)


def _is_empty(rings: Any) -> bool:
    return isinstance(rings, Sequence) and not len(rings)


def _of_corners(rings: Sequence[Any], name: str, caller: str) -> Polygon:
    """Rings of a polygon without heights."""
    try:
        return [np.array([corner[:2] for corner in ring], dtype=np.float64).reshape(-1, 2) for ring in rings]
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(
            f"{caller}() needs rings of corners (x, y) in {name}; got {str(rings)[:60]}. Save the polygons anew."
        ) from error


# ----------------------------------------------------------------------------------------------------------- Shapefile


def _shapefile(path: Path, caller: str) -> Outlines:
    """Polygons of a Shapefile, with the CRS of the file beside it that ends in .prj."""
    data = path.read_bytes()
    try:
        shapes = list(_of_shapes(data))
    except (struct.error, ValueError) as error:
        raise ValueError(
            f"{caller}() needs a Shapefile of polygons in {path}; got {error}. Save the polygons anew, or copy the "
            "file again if it is damaged."
        ) from error
    found = [by_winding(rings) for rings in shapes]
    if within := sum(count for _, count in found):
        _log.warning(
            "%s(): %d parts of shapes in %s lie within another that runs the same way, and are areas as it is; holes "
            "run the other way. Repair the file if they are holes: 'Fix geometries' in QGIS.", caller, within, path,
        )  # fmt: skip
    polygons = [polygon for each, _ in found for polygon in each]
    beside = [path.with_suffix(suffix) for suffix in (".prj", ".PRJ", ".Prj")]
    crs = next((each.read_text(errors="replace").strip() for each in beside if each.is_file()), None)
    return Outlines(polygons, crs or None)


def shapes_of(data: bytes) -> list[Polygon]:
    """All rings of each shape of a Shapefile, in their order; none of shapes without a place."""
    return list(_of_shapes(data, with_empty=True))


def _of_shapes(data: bytes, *, with_empty: bool = False) -> Iterator[list[Ring]]:
    """Rings of each shape."""
    if struct.unpack_from(">i", data)[0] != 9994:
        raise ValueError("no Shapefile")
    size = 2 * struct.unpack_from(">i", data, 24)[0]
    if size != len(data):
        raise ValueError(f"{len(data)} bytes of {size} that its header tells of")
    place = 100
    while place < len(data):
        (words,) = struct.unpack_from(">i", data, place + 4)
        (kind,) = struct.unpack_from("<i", data, place + 8)
        end = place + 8 + 2 * words
        if words < 2 or end > len(data):
            raise ValueError(f"a record of {2 * words} bytes")
        if kind in _SHAPES:
            yield _parts(data[place + 8 : end])
        elif kind != _NULL_SHAPE:
            raise ValueError(f"shapes of type {kind}, which are no polygons")
        elif with_empty:
            yield []
        place = end


def _parts(record: bytes) -> list[Ring]:
    """Rings of a shape."""
    count, corners = struct.unpack_from("<2i", record, 36)
    if count < 1 or corners < 1 or 44 + 4 * count + 16 * corners > len(record):
        raise ValueError(f"a shape of {count} parts and {corners} corners in {len(record)} bytes")
    starts = np.frombuffer(record, "<i4", count, 44)
    if starts[0] != 0 or (np.diff(starts) <= 0).any() or starts[-1] >= corners:
        raise ValueError("parts of a shape that are in disorder")
    points = np.frombuffer(record, "<f8", 2 * corners, 44 + 4 * count).reshape(-1, 2)
    return [part.astype(np.float64) for part in np.split(points, starts[1:])]


# --------------------------------------------------------------------------------------------------------- other files


def _by_pyogrio(path: Path, caller: str) -> Outlines:
    """Polygons of the one layer of a file that has any."""
    try:
        import pyogrio
    except ImportError as error:
        raise ImportError(
            f"{caller}() needs pyogrio to read {path.name}; it is not installed. Install it, "
            "pip install xoffset[vector], or save the polygons as GeoJSON or Shapefile."
        ) from error
    try:
        layers = [(str(name), str(kind)) for name, kind in pyogrio.list_layers(path)]
        named = [name for name, kind in layers if "Polygon" in kind or kind.startswith(("Unknown", "Geometry"))]
        if len(named) == 1:
            with warnings.catch_warnings():  # of measures and heights, which are left out here
                warnings.simplefilter("ignore")
                meta, _, geometries, _ = pyogrio.raw.read(path, layer=named[0], columns=[])
            return Outlines([polygon for each in geometries if each for polygon in _of_wkb(each)], meta["crs"])
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, struct.error, ValueError) as error:
        raise ValueError(
            f"{caller}() needs polygons in {path}; got what pyogrio cannot read as such ({str(error)[:100]}). "
            "Save the polygons as GeoPackage, GeoJSON or Shapefile."
        ) from error
    got = ", ".join(f"{name} ({kind})" for name, kind in layers[:5]) or "none"
    raise ValueError(
        f"{caller}() needs one layer of polygons in {path}; got the layers {got}. Save the one that is meant as a "
        "file of its own."
    )


def _of_wkb(data: bytes) -> list[Polygon]:
    """Polygons of a geometry in well-known binary."""
    polygons: list[Polygon] = []
    _walk_wkb(data, 0, polygons)
    return polygons


def _walk_wkb(data: bytes, place: int, polygons: list[Polygon]) -> int:
    """Append the polygons of the geometry that starts at a place; returns where it ends."""
    order = "<" if data[place] == 1 else ">"
    (code,) = struct.unpack_from(f"{order}I", data, place + 1)
    # heights and measures are told by high bits, or by thousands
    bits, kind, thousands = code >> 29, code % 2**28 % 1000, code % 2**28 // 1000
    dims = 2 + (bool(bits & 4) or thousands in (1, 3)) + (bool(bits & 2) or thousands in (2, 3))
    place += 9 if bits & 1 else 5
    if kind != _WKB_POLYGON and kind not in _WKB_COLLECTIONS:
        raise ValueError(f"geometries of type {kind}, which are no polygons")
    (count,) = struct.unpack_from(f"{order}I", data, place)
    place += 4
    if kind in _WKB_COLLECTIONS:
        for _ in range(count):
            place = _walk_wkb(data, place, polygons)
        return place
    rings = []
    for _ in range(count):
        (corners,) = struct.unpack_from(f"{order}I", data, place)
        values = np.frombuffer(data, f"{order}f8", corners * dims, place + 4).reshape(corners, dims)
        rings.append(values[:, :2].astype(np.float64))
        place += 4 + 8 * corners * dims
    if rings:
        polygons.append(rings)
    return place
