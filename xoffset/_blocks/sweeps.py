"""Functions that go over a map strip by strip, each of which needs to know what those before it have seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from xoffset._blocks.threads import in_threads

# Rows or columns of a strip of an array in memory.
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

    Of a dask array no more is in memory than a strip of its chunks at a time.
    """
    if isinstance(array, np.ndarray):
        out = np.empty((len(sweeps), *array.shape), dtype=dtype)

        def run(k: int) -> None:
            each, size = sweeps[k], array.shape[sweeps[k].axis]
            known = each.start
            for first in range(0, size, STRIP):
                last = min(first + STRIP, size)
                part = slice(size - last, size - first) if each.is_reversed else slice(first, last)
                place = (part, slice(None)) if each.axis == 0 else (slice(None), part)
                out[k][place], known = each.function(array[place], first, known)

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
    known: Any = each.start
    first = 0
    for k in range(len(sizes))[:: -1 if each.is_reversed else 1]:
        place = (k, 0) if each.axis == 0 else (0, k)
        graph[(f"both-{name}", k)] = (each.function, (strips.name, *place), first, known)
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


def _part(both: tuple[np.ndarray, np.ndarray], k: int) -> np.ndarray:
    return both[k]
