"""Files and objects of a store: whether they are there, and as they were written."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from xoffset.pipeline.places import Remote

Place = tuple[int, int]
Grids = list[tuple[str, int]]  # variables on the grid, and how many dims come before it

# Bytes of a file that are read at a time.
PART = 2**24


def checksum(files: Iterable[Path]) -> int:
    """Checksum of the content of files one after the other; -1 if one is not there."""
    found = 0
    for file in files:
        if not file.is_file():
            return -1
        with file.open("rb") as opened:
            while part := opened.read(PART):
                found = zlib.crc32(part, found)
    return found


def bytes_of(file: Path) -> int:
    """Bytes of a file; -1 if it is not there, as another writer of the same tile may just have removed it."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return -1


def settle(file: Path) -> None:
    """Have a file on the disk, and not only in memory that a loss of power empties."""
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def sizes_of_objects(where: Remote, grids: Grids, places: list[Place]) -> dict[Place, list[list[int]]]:
    """Sizes of the objects of tiles: of one tile each is asked for, of several all are listed."""
    names = [name for name, _ in grids]
    found: dict[Place, list[list[int]]] = {place: [[] for _ in names] for place in places}
    sizes = _sizes_of_tile(where, grids, places[0]) if len(places) == 1 else where.sizes()
    for key, size in sizes.items():
        name, separator, chunk = key.partition("/c/")
        place = tuple(map(int, chunk.split("/")[-2:])) if separator and name in names else ()
        if place in found:
            found[place][names.index(name)].append(size)
    return found


def _sizes_of_tile(where: Remote, grids: Grids, place: Place) -> dict[str, int]:
    import zarr

    group, found = zarr.open_group(str(where), mode="r"), {}
    for name, front in grids:
        array: Any = group[name]
        sides = (array.shards or array.chunks)[:front]
        counts = [-(-size // side) for size, side in zip(array.shape[:front], sides, strict=True)]
        for chunk in np.ndindex(*counts):
            key = f"{name}/c/{'/'.join(map(str, (*chunk, *place)))}"
            found[key] = (where / key).size()
    return found
