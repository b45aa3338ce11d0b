"""Blocks of lazy arrays that are written as soon as they are computed: on threads, or where a client of dask points."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from xoffset._blocks.threads import cores

if TYPE_CHECKING:
    import dask.array as da
Place = tuple[int, int]
# Writes the blocks of a place, by name, and tells what came of it.
Write = Callable[[Place, dict[str, np.ndarray]], Any]


def in_blocks(array: Any, sides: tuple[int, int] | None) -> da.Array:
    """A dask array in blocks of these sides along its last two axes and whole along the others, or whole."""
    import dask.array as da

    found: da.Array = da.asarray(array).rechunk(-1 if sides is None else (-1,) * (array.ndim - 2) + sides)
    return found


def tasks_of(maps: Mapping[str, da.Array], rest: Mapping[str, da.Array], write: Write) -> dict[Place, Any]:
    """Task of each place that writes the blocks of all maps (..., y, x) there, which share what they have in common.

    The rest, arrays of one block, belongs to the first place.
    """
    from dask.delayed import delayed

    call = delayed(write, pure=False, traverse=False)
    # dask would optimise each array for itself, and then repeat for each what they share
    blocks = {name: each.to_delayed(optimize_graph=False) for name, each in (*maps.items(), *rest.items())}
    laid = {name: blocks[name].reshape(blocks[name].shape[-2:]) for name in maps}
    single = {name: blocks[name].item() for name in rest}
    return {
        place: call(place, {name: each[place] for name, each in laid.items()} | (single if place == (0, 0) else {}))
        for place in np.ndindex(next(iter(laid.values())).shape)
    }


def compute_each(tasks: Sequence[Any], done: Callable[[Any], None], workers: int | None = None) -> None:
    """Compute tasks together, on threads or by the client of dask that is at work here; done(result) as each ends.

    When one fails, or the caller is interrupted, those that have begun come to their end, and no other begins.
    """
    from dask.base import compute
    from dask.callbacks import Callback

    client = client_here()
    if client is not None:
        from distributed import as_completed

        futures = client.compute(list(tasks))
        try:
            for future in as_completed(futures):  # type: ignore[no-untyped-call]
                done(future.result())
        finally:
            client.cancel([future for future in futures if not future.done()])
        return
    keys = {task.key for task in tasks}

    def ended(key: Any, value: Any, *_: Any) -> None:
        if key in keys:
            done(value)

    count = workers or cores()
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
    client = client_here()
    return cores() if client is None else max(1, sum(client.nthreads().values()))


def threads_of_worker() -> int | None:
    """Threads that compute at the same time in a process of the cluster, at most; None where there is no cluster."""
    client = client_here()
    return None if client is None else max(client.nthreads().values(), default=1)


def rounds(places: Sequence[Place], at_once: int | None) -> Iterator[Sequence[Place]]:
    """Places in parts of so many, or all."""
    size = at_once or max(len(places), 1)
    for first in range(0, len(places), size):
        yield places[first : first + size]
