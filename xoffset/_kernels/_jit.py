"""The one compilation policy of all kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

from xoffset._kernels import _cache, _compile, _inner, _linking

Kernel = Callable[..., Any]

# What `hot_kernel` allows beyond the rules of floating-point numbers.
RELAXED = frozenset({"reassoc", "contract", "nsz", "arcp"})


def kernel(function: Kernel) -> Kernel:
    """Serial compiled function that releases the GIL; NaN and infinity keep their meaning.

    Serial, because `parallel=True` aborts a process whose threads already run kernels, and because a serial kernel may
    be kept on disk. Threads come from the caller.

    A kernel whose name begins with an underscore is called by other kernels alone.
    """
    return _compiled(function)


def hot_kernel(function: Kernel) -> Kernel:
    """As `kernel`, and sums may be reordered and fused; only for loops that no NaN can enter.

    The flags let a reduction use all lanes of a vector register: without them the refinement is 4 times slower.
    """
    return _compiled(function, RELAXED)


def lean_kernel(function: Kernel) -> Kernel:
    """As `hot_kernel`, for what works on arrays that others made: small windows, lines and scratch.

    Nothing counts who uses an array: each slice, reshape or field of a tuple would otherwise cost two locked additions,
    which in a window of 7 px is half of the time. So it makes no array and no list (numba refuses to compile those),
    calls no kernel that does, and returns numbers alone.
    """
    return _compiled(function, RELAXED, counts=False)


def fused_kernel(function: Kernel) -> Kernel:
    """As `lean_kernel`, but sums keep their order: only a product and the sum that takes it may become one operation.

    So what is written in two ways, such as loops and vector instructions, tells the same to the last bit.
    """
    return _compiled(function, frozenset({"contract"}), counts=False)


def _compiled(function: Kernel, fastmath: frozenset[str] = frozenset(), counts: bool = True) -> Kernel:
    # said of every kernel: it would take what is left open from the caller that happens to be compiled first
    options: dict[str, Any] = {"fastmath": set(fastmath), "_nrt": counts}
    # nobody calls a kernel from C
    options["no_cfunc_wrapper"] = True
    if _linking.COMPILER is not None:
        options["pipeline_class"] = _linking.COMPILER
    compiled: Kernel = numba.njit(nogil=True, error_model="numpy", **options)(function)
    _cache.keep(compiled, function)
    _compile.hasten(compiled)
    _inner.divide(compiled)
    return compiled
