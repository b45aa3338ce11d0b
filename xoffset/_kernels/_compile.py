"""What makes numba compile faster and leaves alone the code that comes out.

A quarter of the time of a first call goes into comparing the flags of compilations, of which numba asks for each
operation of a kernel, and into looking for garbage among all that it keeps.

This touches private parts of numba (`_compiler._customize_flags` of a dispatcher, `_values` of its flags). Where they
are not as expected, kernels are compiled as by numba alone.
"""

from __future__ import annotations

import gc
from typing import Any

from numba.core import event
from numba.core.compiler import Flags as FlagsOfNumba

# These say how a kernel is called, not how its operations are compiled.
OF_CALLS = ("no_compile", "no_cpython_wrapper", "no_cfunc_wrapper")


class Flags(FlagsOfNumba):
    """Flags that are quickly compared, and alike for kernels that differ by who calls them.

    What numba knows of an operation it keeps by flags, and works out anew for kernels without machine code.
    """

    __slots__ = ("_of_operations",)

    def __hash__(self) -> int:
        # one for all, as that of numba, which is made of the names alone
        return hash(Flags.__qualname__)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        # nothing is shared with what others compile
        return isinstance(other, Flags) and self.of_operations() == other.of_operations()

    def of_operations(self) -> dict[str, Any]:
        """What shapes the code of operations; told once, since numba compares copies that nobody changes."""
        try:
            return self._of_operations
        except AttributeError:
            values = {name: value for name, value in self._values.items() if name not in OF_CALLS}
            self._of_operations: dict[str, Any] = values
            return values


class _Pause(event.Listener):
    """Keeps the garbage collector still while kernels of this package are compiled; numba compiles one at a time."""

    def __init__(self) -> None:
        self.depth = 0
        self.was_enabled = False

    def on_start(self, event: Any) -> None:
        """Stop it for a kernel of this package, and all that is compiled for its sake."""
        if self.depth == 0:
            function = getattr(event.data.get("dispatcher"), "py_func", None)
            # a function that exec() made belongs to no module
            if not (getattr(function, "__module__", None) or "").startswith(f"{__package__}."):
                return
            self.was_enabled = gc.isenabled()
            gc.disable()
        self.depth += 1

    def on_end(self, event: Any) -> None:
        """Let it go on if it did before."""
        if self.depth == 0:
            return
        self.depth -= 1
        if self.depth == 0 and self.was_enabled:
            gc.enable()


def hasten(compiled: Any) -> None:
    """Let a dispatcher of numba compile faster."""
    # without compilation there is none
    compiler: Any = getattr(compiled, "_compiler", None)
    if hasattr(compiler, "_customize_flags") and hasattr(FlagsOfNumba(), "_values"):
        compiler._customize_flags = Flags


event.register("numba:compile", _Pause())
