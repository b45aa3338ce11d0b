"""A kernel uses its own copy of the kernels that it calls, in every process.

numba copies a callee into its caller and optimises it there once more, which may sum in another order. Both copies
have one name, and the linker takes the first that it meets: that of the callee in the process that compiled it, that of
the caller in a process that read both from disk. So the first run on a machine would differ from all later ones in the
last bits. Here the copies in a caller get no name outside it.

This touches private parts of numba. Where they are not as expected, kernels are linked as numba does it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

# Compiler for `numba.njit(pipeline_class=...)`; None: numba's own.
COMPILER: Any = None

with contextlib.suppress(ImportError):
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler import Compiler

    class _Library(JITCodeLibrary):  # type: ignore[misc, unused-ignore]
        """Code of one kernel."""

        def _finalize_final_module(self) -> None:
            with contextlib.suppress(AttributeError, TypeError):
                self._keep_for_callers()
                for function in self._final_module.functions:
                    if not function.is_declaration and function.linkage.name == "linkonce_odr":
                        function.linkage = "internal"
            super()._finalize_final_module()

        def _keep_for_callers(self) -> None:
            """Set aside what callers of this kernel will copy, as it is before its own copies lose their names."""
            shared = self._final_module.clone()
            for function in shared.functions:
                if not function.is_declaration and function.linkage.name == "external":
                    function.linkage = "linkonce_odr"
            self._shared_module = shared

    class _Compiler(Compiler):  # type: ignore[misc, unused-ignore]
        """numba's compiler with a library of ours."""

        def compile_extra(self, function: Callable[..., Any]) -> Any:
            """Compile a function."""
            if self.state.library is None:
                self.state.library = _Library(self.state.targetctx.codegen(), function.__qualname__)
                self.state.library.enable_object_caching()
            return super().compile_extra(function)

    COMPILER = _Compiler
