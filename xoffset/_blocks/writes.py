"""Blocks of lazy arrays that are written as soon as they are computed: on threads, or where a client of dask points."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from xoffset._blocks.quota import cores

if TYPE_CHECKING:
    import dask.array as da
Place = tuple[int, int]
# Writes the blocks of a place, by name, and tells what came of it.
Write = Callable[[Place, dict[str, np.ndarray]], Any]


def in_blocks(array: Any, sides: tuple[int, int] | None) -> da.Array:
    """A dask array in blocks of these sides along its last two axes and whole along the others, or whole."""
    import dask.array as da

    chunks = -1 if sides is None else (-1,) * (array.ndim - 2) + sides
    # of an array in memory each task carries its own part only
    found: da.Array = da.from_array(array, chunks) if isinstance(array, np.ndarray) else array.rechunk(chunks)
    return found


def nothing(shape: tuple[int, ...], dtype: np.dtype[Any]) -> da.Array:
    """A lazy array of one block that stands for one whose values are written elsewhere."""
    import dask.array as da

    found: da.Array = da.zeros(shape, dtype=dtype, chunks=-1)
    return found


def tasks_of(maps: dict[str, da.Array], rest: dict[str, da.Array], write: Write) -> dict[Place, Any]:
    """Task of each place that writes the blocks of all maps (..., y, x) there, which share what they have in common.

    The rest, arrays of one block, belongs to the first place.
    """
    from dask.delayed import Delayed
    from dask.highlevelgraph import HighLevelGraph

    shape = next(iter(maps.values())).numblocks[-2:]
    layer = f"write-{uuid.uuid4().hex}"
    names = {place: f"{layer}-{place[0]}-{place[1]}" for place in np.ndindex(*shape)}
    graph: dict[Any, Any] = {}
    for place, name in names.items():
        wanted = maps | rest if place == (0, 0) else maps
        # of an array that is no map there is one block
        keys = [(each.name, *(0,) * (each.ndim - 2), *place) if key in maps else (each.name, *(0,) * each.ndim)
                for key, each in wanted.items()]  # fmt: skip
        graph[name] = (partial(_written, write, place, tuple(wanted)), keys)
    # one graph of all: dask would optimise each array for itself, and then repeat for each what they share
    sources: list[Any] = [*maps.values(), *rest.values()]
    whole = HighLevelGraph.from_collections(layer, graph, dependencies=sources)
    return {place: Delayed(name, whole, layer=layer) for place, name in names.items()}


def _written(write: Write, place: Place, names: Sequence[str], blocks: Sequence[np.ndarray]) -> Any:
    return write(place, dict(zip(names, blocks, strict=True)))


def compute_each(tasks: Sequence[Any], done: Callable[[Any], None], workers: int | None = None) -> None:
    """Compute tasks together, on threads; done(result) as each ends.

    When one fails, or the caller is interrupted, those that have begun come to their end, and no other begins.
    """
    from dask.base import compute
    from dask.callbacks import Callback

    keys = {task.key for task in tasks}

    def ended(key: Any, value: Any, *_: Any) -> None:
        if key in keys:
            done(value)

    count = workers or workers_here()
    with ThreadPoolExecutor(count) as pool, Callback(posttask=ended):
        compute(*tasks, scheduler="threads", pool=pool, num_workers=count, optimize_graph=False)


def client_here() -> Any | None:
    """Client of dask.distributed that computes here, if there is one; nothing is imported to find out."""
    if "distributed" not in sys.modules:
        return None
    from dask.base import get_scheduler
    from distributed import Client

    client = getattr(get_scheduler(), "__self__", None)
    return client if isinstance(client, Client) else None


def workers_here() -> int:
    """Threads that compute at the same time, here or on the workers of the client."""
    from dask.config import get

    client = client_here()
    return (get("num_workers", None) or cores()) if client is None else max(1, sum(client.nthreads().values()))


def threads_of_worker() -> int | None:
    """Threads that compute at the same time in a process of the cluster, at most; None where there is no cluster."""
    client = client_here()
    return None if client is None else max(client.nthreads().values(), default=1)


def rounds(places: Sequence[Place], at_once: int | None) -> Iterator[Sequence[Place]]:
    """Places in parts of so many, or all."""
    size = at_once or max(len(places), 1)
    for first in range(0, len(places), size):
        yield places[first : first + size]
