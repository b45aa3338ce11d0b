"""Directories of TIFF data, of which GDAL does not tell all, and tiles that were never written."""

from __future__ import annotations

import struct
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from xoffset.readers import grids
from xoffset.readers.grids import Window

# Layouts of the whole numbers among the types of fields: 8, 16, 32 and 64 bits.
_LAYOUTS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_BYTE_COUNTS = (279, 325)  # of strips, of tiles


def fields(stream: BinaryIO, start: int, wanted: Collection[int]) -> dict[int, tuple[int, ...]]:
    """Whole numbers under some tags in the first directory of TIFF data that start at a place of a file.

    Raises
    ------
    struct.error
        If the data end before the directory does.
    """

    def read(layout: str) -> tuple[int, ...]:
        return struct.unpack(order + layout, stream.read(struct.calcsize(order + layout)))

    stream.seek(start)
    order = {b"II": "<", b"MM": ">"}.get(stream.read(2), "")
    if not order:
        return {}
    is_big = read("H")[0] == 43
    first = read("HHQ")[2] if is_big else read("I")[0]
    stream.seek(start + first)
    found: dict[int, tuple[int, ...]] = {}
    for _ in range(read("Q")[0] if is_big else read("H")[0]):
        tag, kind, count = read("HHQ" if is_big else "HHI")
        place, room = stream.tell(), 8 if is_big else 4
        if tag in wanted and kind in _LAYOUTS:
            layout = f"{count}{_LAYOUTS[kind]}"
            if struct.calcsize(order + layout) > room:
                stream.seek(start + read("Q" if is_big else "I")[0])
            found[tag] = read(layout)
        stream.seek(place + room)
    return found


def is_sparse(path: str) -> bool:
    """Whether a local file is a TIFF with tiles or strips that were never written."""
    file = Path(path)
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        try:
            found = fields(stream, 0, _BYTE_COUNTS)
        except struct.error:  # cut short; the pixels will tell
            return False
    return any(0 in counts for counts in found.values())


def mark_unwritten(dataset: Any, band: int, raw: np.ndarray, window: Window, invalid: np.ndarray) -> None:
    """Mark the tiles that a sparse TIFF does not hold: GDAL reads them as the declared nodata value, or as zeros."""
    fill = dataset.nodatavals[band - 1] or 0
    height, width = dataset.block_shapes[band - 1]
    rows, columns = window
    for top in range(rows.start // height * height, rows.stop, height):
        for left in range(columns.start // width * width, columns.stop, width):
            tile = grids.common((slice(top, top + height), slice(left, left + width)), window)
            if tile is None or raw[tile[0].start - rows.start, tile[1].start - columns.start] != fill:
                continue
            if dataset.get_tag_item(f"BLOCK_OFFSET_{left // width}_{top // height}", "TIFF", bidx=band) is None:
                invalid[grids.within(tile, window)] = True
