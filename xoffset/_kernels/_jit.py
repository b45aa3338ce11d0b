"""The one compilation policy of all kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

Kernel = Callable[..., Any]


def kernel(function: Kernel) -> Kernel:
    """Serial compiled function that releases the GIL; NaN and infinity keep their meaning.

    Serial, because `parallel=True` aborts a process whose threads already run kernels, and because a serial kernel may
    be cached on disk. Threads come from the caller.
    """
    return numba.njit(nogil=True, cache=True, error_model="numpy")(function)


def hot_kernel(function: Kernel) -> Kernel:
    """As `kernel`, and sums may be reordered and fused; only for loops that no NaN can enter.

    The flags let a reduction use all lanes of a vector register: without them the refinement is 4 times slower.
    """
    flags = {"reassoc", "contract", "nsz", "arcp"}
    return numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=flags)(function)
