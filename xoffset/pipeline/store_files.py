"""Files and objects of a store: whether they are there, and as they were written."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xoffset._blocks import writes
from xoffset.pipeline.identity import RECORD, made_of
from xoffset.pipeline.places import Place as Where
from xoffset.pipeline.places import Remote
from xoffset.pipeline.standing import standing_store

if TYPE_CHECKING:
    from xoffset.pipeline.store import TileStore

Place = tuple[int, int]
Grids = list[tuple[str, int]]  # variables on the grid, and how many dims come before it

# Bytes of a file that are read at a time.
PART = 2**24


class Unwritable(OSError):
    """The store cannot be written: a full, vanished or read-only disk."""


def target(where: Where) -> Any:
    """What Zarr writes to: an address, or a folder that is never made where it was before it vanished."""
    return str(where) if isinstance(where, Remote) else standing_store()(where)


def checksum(*files: Path) -> int:
    """Checksum of the content of files one after the other; -1 if one is not there."""
    found = 0
    for file in files:
        if not file.is_file():
            return -1
        with file.open("rb") as opened:
            while part := opened.read(PART):
                found = zlib.crc32(part, found)
    return found


def replace_by(old: Where, new: Path) -> None:
    """Put a file in the place of a file or an object."""
    if isinstance(old, Remote):
        old.system.pipe_file(old.key, new.read_bytes())
        return
    old.parent.mkdir(parents=True, exist_ok=True)
    new.replace(old)


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


def sizes_of_objects(
    where: Remote, grids: Grids, rest: tuple[str, ...], places: list[Place]
) -> dict[Place, list[list[int]]]:
    """Sizes of the objects of tiles: of one tile each is asked for, of several all are listed.

    The rest, variables that are no map, belongs to the first tile.
    """
    names = [name for name, _ in grids]
    found: dict[Place, list[list[int]]] = {
        place: [[] for _ in (*names, *(rest if place == (0, 0) else ()))] for place in places
    }
    sizes = sizes_of_tile(where, grids, rest, places[0]) if len(places) == 1 else where.sizes()
    for key, size in sizes.items():
        # the one value of a variable without dims is the object "c"
        name, separator, chunk = f"{key}/".partition("/c/")
        place = (0, 0) if name in rest else tuple(map(int, chunk.split("/")[-3:-1])) if name in names else ()
        if separator and place in found:
            found[place][[*names, *rest].index(name)].append(size)
    return found


def sizes_of_tile(where: Remote, grids: Grids, rest: tuple[str, ...], place: Place) -> dict[str, int]:
    """Size of each object of a tile; -1 of one that is not there."""
    import zarr

    group, found = zarr.open_group(str(where), mode="r"), {}
    for name, front in grids:
        array: Any = group[name]
        sides = (array.shards or array.chunks)[:front]
        counts = [-(-size // side) for size, side in zip(array.shape[:front], sides, strict=True)]
        for chunk in np.ndindex(*counts):
            key = f"{name}/c/{'/'.join(map(str, (*chunk, *place)))}"
            found[key] = (where / key).size()
    for name in rest if place == (0, 0) else ():
        array = group[name]
        counts = [-(-size // side) for size, side in zip(array.shape, array.shards or array.chunks, strict=True)]
        for chunk in np.ndindex(*counts):
            key = "/".join((name, "c", *map(str, chunk)))
            found[key] = (where / key).size()
    return found


def sizes_beside(where: Remote, tiled: Iterable[str]) -> dict[str, int]:
    """Sizes of the objects that are no tile, nor written down of one; `tiled` are the variables of the tiles."""
    starts = tuple(f"{name}/c" for name in tiled)
    sizes = {key: size for key, size in where.sizes().items() if not key.startswith(starts)}
    is_record = {key: key.startswith(f"{RECORD}/") and ("/c/" in key or key == f"{RECORD}/zarr.json") for key in sizes}
    return {key: sizes[key] for key in sorted(sizes) if not is_record[key]}


def is_half_laid(where: Remote) -> bool:
    """Whether a writer was killed, or is still at work, before it could say what the store is made of: `lay`."""
    return (where / RECORD).exists() and not (where / f"{RECORD}/state/c").exists()


def lay(folder: Path, where: Remote) -> None:
    """Send the files of a store without tiles, each as a whole, and last the one that says what it is made of.

    Others may send the same bytes at the same time. That file is never written over, as others may have gone on since:
    the first one says it for all.
    """
    last = f"{RECORD}/zarr.json"
    names = [each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()]
    # the record comes first, as what lies there without one is that of others
    for name in sorted(names, key=lambda name: (not name.startswith(RECORD), name)):
        if name != last:
            replace_by(where / name, folder / name)
    try:
        (where / last).create((folder / last).read_text(encoding="utf-8"))
    except Exception:  # each service has its own errors
        if made_of(where) is None:
            raise


def lazy_arrays(data: xr.Dataset, store: TileStore) -> xr.Dataset:
    """The product with every variable on the grid in the blocks of the tiles, and of other dims in one."""
    # chunks of a product are those of its dates, too
    out = data.assign_coords({name: each.compute() for name, each in data.coords.items()})
    for name, dims in store.dims.items():
        sides = store.sides if dims[-2:] == ("y", "x") else None
        if sides is not None or name in store.rest:
            out[name] = data[name].copy(data=writes.in_blocks(data[name].data, sides))
            out[name].encoding = dict(data[name].encoding)
        else:
            # texts: only their values tell how they are stored
            out[name] = data[name].compute()
    return out


def without_values(data: xr.Dataset) -> xr.Dataset:
    """The product as it is described, with lazy arrays that stand for its own.

    xarray would put in order what computes the values, which takes seconds for many tiles, and here nothing computes.
    """
    lazy = {name: each for name, each in data.data_vars.items() if not isinstance(each.data, np.ndarray)}
    return data.assign({name: each.copy(data=writes.nothing(each.shape, each.dtype)) for name, each in lazy.items()})
