"""Parts of lazy arrays (n, rows, columns), read within one task."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import dask.array as da

Sides = tuple[tuple[int, ...], tuple[int, ...]]
# By how much more than what it needs a task may read to save the tasks of the blocks, as a share of all pixels.
MOST_TWICE = 2.0
# Bytes of an array in memory that a task may carry.
SMALL = 2**16


def in_blocks(array: da.Array, sides: Sides) -> da.Array:
    """Array in blocks of these sides along rows and columns, whole along the first axis.

    Where its blocks are only read, and hardly one twice, a task reads all that a block needs: the tasks of its images
    are none of the graph then.
    """
    if array.chunks[1:] == sides and array.numblocks[0] == 1:
        return array
    if _read_share(array, sides) > MOST_TWICE or not is_only_read(array):
        rechunked: da.Array = array.rechunk((array.shape[0], *sides))
        return rechunked
    return _read_in_one(array, sides)


def _read_share(array: da.Array, sides: Sides) -> float:
    """How often the pixels of an array are read if each block reads the chunks that it touches."""
    share = 1.0
    for wanted, chunks in zip(sides, array.chunks[1:], strict=True):
        ends, starts = np.cumsum(chunks), np.cumsum(chunks) - chunks
        stops = np.cumsum(wanted)
        firsts = stops - wanted
        touched = [
            ends[np.searchsorted(ends, stop - 1, side="right")] - starts[np.searchsorted(ends, first, side="right")]
            for first, stop in zip(firsts, stops, strict=True)
        ]
        share *= float(sum(touched)) / float(sum(wanted))
    return share


def is_only_read(array: Any) -> bool:
    """Whether all blocks come, one by one, of blocks that are read, with simple steps on each; none is in memory."""
    from dask.blockwise import Blockwise

    graph = array.dask
    return all(
        isinstance(layer, Blockwise) or (not graph.dependencies[name] and _is_light(layer))
        for name, layer in graph.layers.items()
    )


def _is_light(layer: Any) -> bool:
    """Whether a layer holds no pixels."""
    values = (getattr(each, "value", each) for each in layer.values())
    return all(not isinstance(each, np.ndarray) or each.nbytes <= SMALL for each in values)


class _Source:
    """An array that tasks read parts of: something for them to carry, and nothing for dask to look into."""

    def __init__(self, array: da.Array) -> None:
        self.array = array


def _read_in_one(array: da.Array, sides: Sides) -> da.Array:
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    name = f"read-{tokenize(array, sides)}"
    graph: dict[Any, Any] = {f"source-{name}": _Source(array)}
    ends = [np.cumsum(each).tolist() for each in sides]
    for row, column in np.ndindex(len(sides[0]), len(sides[1])):
        part = [slice(end[k] - each[k], end[k]) for end, each, k in zip(ends, sides, (row, column), strict=True)]
        graph[(name, 0, row, column)] = (partial(_read_part, part[0], part[1]), f"source-{name}")
    return da.Array(
        HighLevelGraph.from_collections(name, graph, dependencies=[]),
        name,
        ((array.shape[0],), *sides),
        dtype=array.dtype,
        meta=np.empty((0, 0, 0), dtype=array.dtype),
    )


def _read_part(rows: slice, columns: slice, source: _Source) -> np.ndarray:
    return part_of(source.array, rows, columns)


def part_of(array: Any, rows: slice, columns: slice) -> np.ndarray:
    """Rows and columns of an array (n, rows, columns), NumPy or dask; its blocks are put in place one by one."""
    part = array[:, rows, columns]
    if isinstance(part, np.ndarray):
        return part
    from dask.array.optimization import optimize
    from dask.core import flatten, get

    out = np.empty(part.shape, dtype=part.dtype)
    starts = [np.cumsum((0, *sizes)) for sizes in part.chunks]
    keys = list(flatten(part.__dask_keys__()))
    graph = dict(optimize(part.dask, keys))
    for key in keys:
        where = tuple(slice(start[k], start[k + 1]) for start, k in zip(starts, key[1:], strict=True))
        graph["put", *key[1:]] = (partial(_put, out[where]), key)
    # all at once, since every call computes all of the graph; a block is let go as soon as it is put in its place. No
    # scheduler within a task: it would report to whoever watches the one outside
    get(graph, [("put", *key[1:]) for key in keys])
    return out


def _put(place: np.ndarray, block: np.ndarray) -> None:
    place[...] = block
