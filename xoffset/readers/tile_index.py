"""Indexes of tiles: Shapefiles whose rows say which file holds an area, by an address or on this computer."""

from __future__ import annotations

import struct
import urllib.request
from pathlib import Path

import numpy as np

from xoffset.readers import outlines, patience

# Ends the columns of a dBASE table.
_END = 0x0D


def find(index: str, column: str, longitude: float, latitude: float, caller: str) -> str:
    """Place of the tile that holds a point, in degrees, by a column of an index.

    Raises
    ------
    OSError
        If the index cannot be fetched.
    ValueError
        If it is damaged, has no such column, or no tile holds the point.
    """
    stem = index.removesuffix(".shp")
    shapes, rows = _fetched(f"{stem}.shp", caller), _fetched(f"{stem}.dbf", caller)
    try:
        areas, columns = outlines.shapes_of(shapes), _columns(rows)
        # long names are cut
        called = next((name for name in columns if name == column or (len(name) >= 10 and column.startswith(name))), "")
        places = _texts(rows, columns[called]) if called else []
    except (struct.error, ValueError, IndexError) as error:
        raise ValueError(
            f"{caller}() needs an index of tiles that is a Shapefile; got {index}, which is damaged ({error}). Fetch "
            "it again."
        ) from error
    if not called:
        raise ValueError(
            f"{caller}() needs a column {column} in {index}; got {', '.join(columns)}. Pass one of these as column."
        )
    if len(areas) != len(places):
        raise ValueError(
            f"{caller}() needs a row for each area of an index; got {len(areas)} areas and {len(places)} rows in "
            f"{index}. Fetch it again."
        )
    for area, place in zip(areas, places, strict=True):
        if place and _holds(area, longitude, latitude):
            return place
    raise ValueError(
        f"{caller}() needs a tile that holds longitude {longitude:.3f} and latitude {latitude:.3f}; got none in "
        f"{index}. Pass a raster of land, glaciers and water of your own."
    )


def _holds(area: outlines.Polygon, x: float, y: float) -> bool:
    """Whether a point lies in a polygon: a line from it toward larger x crosses its edges an odd number of times."""
    crossed = 0
    for ring in area:
        (x0, y0), (x1, y1) = ring[:-1].T, ring[1:].T
        spans = (y0 > y) != (y1 > y)
        rise = np.where(spans, y1 - y0, 1.0)
        crossed += int((spans & (x < x0 + (x1 - x0) * (y - y0) / rise)).sum())
    return crossed % 2 == 1


def _fetched(place: str, caller: str) -> bytes:
    """Content of a file, local or by an address."""

    def read(_: bool) -> bytes:
        if not patience.is_remote(place):
            return Path(place).read_bytes()
        with urllib.request.urlopen(place, timeout=patience.CONNECT) as answer:
            content: bytes = answer.read()
            return content

    return patience.patiently(read, place, caller)


def _columns(table: bytes) -> dict[str, slice]:
    """Where each column of a dBASE table is in a row."""
    (start,) = struct.unpack_from("<H", table, 8)
    found, at = {}, 1  # the first byte of a row says whether it is deleted
    for place in range(32, start - 1, 32):
        if table[place] == _END:
            break
        name = table[place : place + 11].split(b"\0")[0].decode("ascii")
        found[name] = slice(at, at + table[place + 16])
        at = found[name].stop
    return found


def _texts(table: bytes, column: slice) -> list[str]:
    """Texts of a column of a dBASE table, in the order of its rows."""
    count, start, length = struct.unpack_from("<IHH", table, 4)
    if len(table) < start + count * length:
        raise ValueError(f"{len(table)} bytes of {start + count * length}")
    rows = (table[start + row * length : start + (row + 1) * length] for row in range(count))
    return [row[column].decode("latin-1").strip(" \0") for row in rows]
