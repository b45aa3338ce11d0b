"""Threads and progress."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")


def progress() -> contextlib.AbstractContextManager[Any]:
    """Bar on standard output while dask computes within the block; for programs, not for the library."""
    from dask.diagnostics.progress import ProgressBar

    # a file or a pipe keeps every redrawn line: draw seldom there
    bar: contextlib.AbstractContextManager[Any] = ProgressBar(dt=0.2 if sys.stdout.isatty() else 1.0)
    return bar


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(function: Callable[[Item], None], items: Iterable[Item], workers: int | None = None) -> None:
    """Call a function that releases the GIL on every item, on all cores; the order of the calls is not defined."""
    with ThreadPoolExecutor(workers or cores()) as pool:
        try:
            for done in [pool.submit(function, item) for item in items]:
                done.result()
        except BaseException:
            # what has not begun would only delay the news
            pool.shutdown(wait=False, cancel_futures=True)
            raise
