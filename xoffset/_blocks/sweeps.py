"""Functions that go over a map strip by strip, each of which needs to know what those before it have seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from xoffset._blocks.threads import in_threads

# Rows or columns that are looked at together.
STRIP = 256


class Sweep(NamedTuple):
    """A function of a strip, of the number of pixels before it on the way, and of what is known from those.

    It returns the result on the strip and what the next one needs to know, `start` at first. Strips are whole rows if
    the axis is 0, whole columns if it is 1; the way is from the last to the first if it is reversed.
    """

    function: Callable[[np.ndarray, int, np.ndarray], tuple[np.ndarray, np.ndarray]]
    axis: int
    is_reversed: bool
    start: np.ndarray


def sweep(array: Any, sweeps: Sequence[Sweep], dtype: np.dtype) -> Any:
    """Results of some sweeps over a map (rows, columns): (sweep, rows, columns), NumPy or dask like the map.

    Of a dask array few strips of its chunks are in memory at a time: each waits for the one before it.
    """
    if isinstance(array, np.ndarray):
        out = np.empty((len(sweeps), *array.shape), dtype=dtype)

        def run(k: int) -> None:
            out[k] = _swept(sweeps[k], dtype, array, 0, sweeps[k].start)[0]

        in_threads(run, range(len(sweeps)))
        return out
    import dask.array as da

    return da.stack([_lazy(array, each, dtype) for each in sweeps])


def _lazy(array: Any, each: Sweep, dtype: np.dtype) -> Any:
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    strips = array.rechunk({1 - each.axis: -1})
    sizes = strips.chunks[each.axis]
    name = f"sweep-{tokenize(each, strips, dtype)}"
    graph: dict[Any, Any] = {}
    step = each._replace(start=np.empty(0))
    known: Any = each.start
    first = 0
    for k in range(len(sizes))[:: -1 if each.is_reversed else 1]:
        place = (k, 0) if each.axis == 0 else (0, k)
        graph[(f"both-{name}", k)] = (_swept, step, dtype, (strips.name, *place), first, known)
        graph[(name, *place)] = (_part, (f"both-{name}", k), 0)
        graph[(f"known-{name}", k)] = (_part, (f"both-{name}", k), 1)
        known = (f"known-{name}", k)
        first += sizes[k]
    found = da.Array(
        HighLevelGraph.from_collections(name, graph, dependencies=[strips]),
        name,
        strips.chunks,
        dtype=dtype,
        meta=np.empty((0, 0), dtype=dtype),
    )
    return found.rechunk(array.chunks)


def _swept(
    each: Sweep, dtype: np.dtype, array: np.ndarray, before: int, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Result on some rows or columns, and what the next need to know; what is made on the way stays small."""
    out = np.empty(array.shape, dtype=dtype)
    size = array.shape[each.axis]
    for first in range(0, size, STRIP):
        last = min(first + STRIP, size)
        part = slice(size - last, size - first) if each.is_reversed else slice(first, last)
        place = (part, slice(None)) if each.axis == 0 else (slice(None), part)
        out[place], known = each.function(array[place], before + first, known)
    return out, known


def _part(both: tuple[np.ndarray, np.ndarray], k: int) -> np.ndarray:
    return both[k]
