"""Indexes of tiles: Shapefiles whose rows say which file holds an area, by an address or on this computer."""

from __future__ import annotations

import struct
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from xoffset.readers import outlines, patience


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
        areas = outlines.shapes_of(shapes)
        places = list(_column(rows, column, index, caller))
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise ValueError(
            f"{caller}() needs an index of tiles that is a Shapefile; got {index}, which is damaged ({error}). Fetch "
            "it again."
        ) from error
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


def _column(table: bytes, column: str, index: str, caller: str) -> Iterator[str]:
    """Texts of a column of a dBASE table, in the order of its rows."""
    count, start, length = struct.unpack_from("<IHH", table, 4)
    fields, at = {}, 1  # the first byte of a row says whether it is deleted
    for place in range(32, start - 1, 32):
        if table[place] == 0x0D:
            break
        name = table[place : place + 11].split(b"\0")[0].decode("ascii")
        size = table[place + 16]
        fields[name] = slice(at, at + size)
        at += size
    # long names are cut
    called = next((name for name in fields if name == column or (len(name) >= 10 and column.startswith(name))), None)
    if called is None:
        raise ValueError(
            f"{caller}() needs a column {column} in {index}; got {', '.join(fields)}. Pass one of these as column."
        )
    if len(table) < start + count * length:
        raise struct.error(f"{len(table)} bytes of {start + count * length}")
    for row in range(count):
        begin = start + row * length
        yield table[begin : begin + length][fields[called]].decode("latin-1").strip(" \0")
