"""Threads and progress."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from xoffset._blocks.quota import cores

Item = TypeVar("Item")


def progress() -> contextlib.AbstractContextManager[Any]:
    """Bar on standard output while dask computes within the block; for programs, not for the library."""
    from dask.diagnostics.progress import ProgressBar

    # a file or a pipe keeps every redrawn line: draw seldom there
    bar: contextlib.AbstractContextManager[Any] = ProgressBar(dt=0.2 if sys.stdout.isatty() else 1.0)
    return bar


def in_threads(function: Callable[[Item], None], items: Iterable[Item], workers: int | None = None) -> None:
    """Call a function that releases the GIL on every item, on all cores; the order of the calls is not defined.

    Within a task of a cluster it is one core, since the tasks share them.
    """
    items = list(items)
    if len(items) <= 1 or _is_in_task():
        # to start a thread costs more than a small array does
        for item in items:
            function(item)
        return
    with ThreadPoolExecutor(min(workers or cores(), len(items))) as pool:
        try:
            for done in [pool.submit(function, item) for item in items]:
                done.result()
        except BaseException:
            # what has not begun would only delay the news
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _is_in_task() -> bool:
    """Whether a worker of a cluster computes a task in this thread."""
    worker = sys.modules.get("distributed.worker")
    return worker is not None and hasattr(worker.thread_state, "key")


class LastRead:
    """The part of an array that was read last, for threads that need pieces of the same part one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._place: tuple[tuple[int, int], ...] = ()
        self._values = np.empty(0)

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return LastRead, ()

    def values(self, part: tuple[slice, ...], read: Callable[[tuple[slice, ...]], np.ndarray]) -> np.ndarray:
        """Values of a part, read if it is another one than before; not to be changed."""
        place = tuple((each.start, each.stop) for each in part)
        with self._lock:
            if place != self._place:
                self._values, self._place = read(part), place
            return self._values
