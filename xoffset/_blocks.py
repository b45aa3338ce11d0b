"""The only module that builds dask graphs or starts threads: tiles, halos and blocks of pixels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def in_threads(function: Callable[[Item], None], items: Iterable[Item]) -> None:
    """Call a function that releases the GIL on every item, on all cores; the order of the calls is not defined."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) as pool:
        for done in [pool.submit(function, item) for item in items]:
            done.result()
