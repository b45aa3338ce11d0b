"""Functions that look at the neighbours of each node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import dask.array as da
from xoffset._arrays.lattice import TILE, Tile
from xoffset._blocks.pixels import STRIP
from xoffset._blocks.threads import in_threads

# Parts of the blocks of several arrays, by array and by side.
Rims = list[list[np.ndarray]]
# Sides from which a block gets a margin, along rows and columns.
_SIDES = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right)


def with_halo(
    function: Callable[..., np.ndarray],
    arrays: list[Any],
    depth: int,
    dtype: np.dtype,
    of_layers: np.ndarray | None = None,
) -> Any:
    """Apply a function of (n, rows, columns) arrays that looks `depth` nodes around each.

    What it gets ends at the edges of the grid, so it must take the end of an array for one. With numbers `of_layers`
    (n, ...), the function gets those of its layers first.
    """
    if all(isinstance(array, np.ndarray) for array in arrays):
        out = np.empty(arrays[0].shape, dtype=dtype)

        given = arrays if of_layers is None else [of_layers, *arrays]

        def apply(layer: int) -> None:
            out[layer : layer + 1] = function(*(array[layer : layer + 1] for array in given))

        in_threads(apply, range(arrays[0].shape[0]))
        return out
    return _cut_like(_in_blocks(function, arrays, depth, None, dtype, of_layers), arrays[0])


def fields_with_halo(function: Callable[..., np.ndarray], arrays: list[Any], depth: int, fields: int) -> Any:
    """As `with_halo`, for a function that returns several fields: (fields, n, rows, columns)."""
    dtype = arrays[0].dtype
    if all(isinstance(array, np.ndarray) for array in arrays):
        out = np.empty((fields, *arrays[0].shape), dtype=dtype)

        def apply(layer: int) -> None:
            out[:, layer : layer + 1] = function(*(array[layer : layer + 1] for array in arrays))

        in_threads(apply, range(arrays[0].shape[0]))
        return out
    return _cut_like(_in_blocks(function, arrays, depth, fields, dtype), arrays[0])


def _in_blocks(
    function: Callable[..., np.ndarray],
    arrays: list[Any],
    depth: int,
    fields: int | None,
    dtype: np.dtype,
    of_layers: np.ndarray | None = None,
) -> da.Array:
    """Two tasks a chunk: one cuts the rims that the chunks around need, one calls the function."""
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    # chunks thinner than the halo would need more than their neighbours: merge them first, for all arrays alike
    first = da.asarray(arrays[0])
    chunks = (first.chunks[0], *(_no_thinner(sizes, depth) for sizes in first.chunks[1:]))
    aligned = [da.asarray(array).rechunk(chunks) for array in arrays]
    name = f"halo-{tokenize(function, depth, fields, dtype, of_layers, *aligned)}"
    ends = np.cumsum(chunks[0])
    layers, rows, columns = (len(sizes) for sizes in chunks)
    prefix = () if fields is None else (0,)
    graph: dict[Any, Any] = {}
    for place in np.ndindex(layers, rows, columns):
        layer = place[0]
        blocks = [(array.name, *place) for array in aligned]
        around = rim_keys(f"rim-{name}", depth, place, (rows, columns))
        of_block = function
        if of_layers is not None:
            of_block = partial(function, of_layers[ends[layer] - chunks[0][layer] : ends[layer]])
        graph[(name, *prefix, *place)] = (_of_block, of_block, depth, blocks, around)
        if any(around):
            graph[(f"rim-{name}", *place)] = (rims_of, depth, blocks)
    return da.Array(
        HighLevelGraph.from_collections(name, graph, dependencies=aligned),
        name,
        chunks if fields is None else ((fields,), *chunks),
        dtype=dtype,
        meta=np.empty((0,) * (3 + len(prefix)), dtype=dtype),
    )


def rim_keys(name: str, depth: int, place: tuple[int, ...], counts: tuple[int, int]) -> list[Any]:
    """Keys of the rims of the blocks around one of so many down and across; None beyond the edges of the grid."""
    *front, row, column = place
    return [
        (name, *front, row + down, column + right)
        if depth and 0 <= row + down < counts[0] and 0 <= column + right < counts[1]
        else None
        for down, right in _SIDES
    ]


def rims_of(depth: int, blocks: list[np.ndarray]) -> Rims:
    """Parts of some blocks that lie along each of their sides, and in each corner; by array, then as `_SIDES`."""
    parts = {-1: slice(None, depth), 0: slice(None), 1: slice(-depth, None)}
    # copies: a view would keep all of its block in memory until the last of its neighbours is done
    return [[block[:, parts[down], parts[right]].copy() for down, right in _SIDES] for block in blocks]


def _of_block(
    function: Callable[..., np.ndarray],
    depth: int,
    blocks: list[np.ndarray],
    around: list[list[list[np.ndarray]] | None],
) -> np.ndarray:
    """Result for blocks whose margins are the rims of the blocks around; None beyond the edges of the grid."""
    top, left = (0 if around[_SIDES.index(side)] is None else depth for side in ((-1, 0), (0, -1)))
    height, width = blocks[0].shape[1:]
    return function(*widened(blocks, around))[..., top : top + height, left : left + width]


def widened(blocks: list[np.ndarray], around: list[list[list[np.ndarray]] | None]) -> list[np.ndarray]:
    """Blocks with the rims of those around, as far as there are any, as `rim_keys` names them."""
    rims = dict(zip(_SIDES, around, strict=True))
    # on the side of a neighbour that faces this block
    facing = {side: _SIDES.index((-side[0], -side[1])) for side in _SIDES}
    wide = []
    for k, block in enumerate(blocks):
        rows = []
        for down in (-1, 0, 1):
            row = []
            for right in (-1, 0, 1):
                if not (down or right):
                    row.append(block)
                elif (rim := rims[down, right]) is not None:
                    row.append(rim[k][facing[down, right]])
            if row:
                rows.append(row[0] if len(row) == 1 else np.concatenate(row, axis=2))
        wide.append(rows[0] if len(rows) == 1 else np.concatenate(rows, axis=1))
    return wide


def around_pixel(function: Callable[..., np.ndarray], arrays: list[Any], depth: int, layers: int) -> Any:
    """Apply a function of (n, rows, columns) arrays that looks `depth` nodes around each pixel, in all of their layers.

    It gets a small tile at a time, with a margin of `depth` nodes, NaN beyond the edges of the grid, and returns the
    tile without its margin: (layers, rows, columns).
    """
    if all(isinstance(array, np.ndarray) for array in arrays):
        out = np.empty((layers, *arrays[0].shape[1:]), dtype=arrays[0].dtype)

        def solve(tile: Tile) -> None:
            wide = [slice(max(part.start - depth, 0), part.stop + depth) for part in tile]
            # only at the edges of the grid something is missing
            missing = [
                (max(depth - part.start, 0), max(part.stop + depth - size, 0))
                for part, size in zip(tile, out.shape[1:], strict=True)
            ]
            out[:, *tile] = function(
                *(np.pad(array[:, *wide], ((0, 0), *missing), constant_values=np.nan) for array in arrays)
            )

        in_threads(solve, _small_tiles(out.shape[1:]))
        return out
    import dask.array as da

    chunks = tuple(_no_thinner(sizes, depth) for sizes in da.asarray(arrays[0]).chunks[1:])
    padded = [
        da.overlap.overlap(
            da.asarray(array).rechunk((-1, *chunks)),
            depth=dict(enumerate((0, depth, depth))),
            boundary=dict(enumerate(("none", np.nan, np.nan))),
        )
        for array in arrays
    ]
    found = da.map_blocks(
        partial(_around_pixel_of_block, function, depth, layers),
        *padded,
        chunks=((layers,), *chunks),
        dtype=arrays[0].dtype,
        meta=np.empty((0, 0, 0), dtype=arrays[0].dtype),
    )
    return _cut_like(found, arrays[0])


def _around_pixel_of_block(
    function: Callable[..., np.ndarray], depth: int, layers: int, *padded: np.ndarray
) -> np.ndarray:
    rows, columns = (size - 2 * depth for size in padded[0].shape[1:])
    out = np.empty((layers, rows, columns), dtype=padded[0].dtype)
    for tile in _small_tiles((rows, columns)):
        wide = [slice(part.start, part.stop + 2 * depth) for part in tile]
        out[:, *tile] = function(*(array[:, *wide] for array in padded))
    return out


def _small_tiles(shape: tuple[int, ...]) -> Iterator[Tile]:
    """Rows and columns of tiles so small that all pairs of their pixels may be held in double precision."""
    for top in range(0, shape[0], STRIP):
        for left in range(0, shape[1], TILE):
            yield slice(top, min(top + STRIP, shape[0])), slice(left, min(left + TILE, shape[1]))


def _cut_like(found: da.Array, given: Any) -> da.Array:
    """Cut rows and columns as they were given: no store takes chunks of which a middle one is the largest."""
    import dask.array as da

    chunks = da.asarray(given).chunks[-2:]
    alike: da.Array = found.rechunk({found.ndim - 2: chunks[0], found.ndim - 1: chunks[1]})
    return alike


def _no_thinner(sizes: tuple[int, ...], least: int) -> tuple[int, ...]:
    """Chunk sizes with neighbours merged until none is thinner than `least`."""
    merged: list[int] = []
    for size in sizes:
        if merged and (merged[-1] < least or size < least):
            merged[-1] += size
        else:
            merged.append(size)
    return tuple(merged)
