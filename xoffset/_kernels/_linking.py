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
# Code of one kernel, as that compiler makes it.
LIBRARY: Any = None

with contextlib.suppress(ImportError):
    import llvmlite.binding as llvm
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler import Compiler
    from numba.core.environment import lookup_environment

    class _Library(JITCodeLibrary):  # type: ignore[misc, unused-ignore]
        """Code of one kernel."""

        # whether only other kernels call it
        is_inner = False

        def _finalize_final_module(self) -> None:
            self._keep_environments()
            if self.is_inner:
                self._finalize_dynamic_globals()
                self._verify_declare_only_symbols()
                self._finalized = True
                return
            with contextlib.suppress(AttributeError, TypeError):
                self._keep_for_callers()
                for function in self._final_module.functions:
                    if not function.is_declaration and function.linkage.name == "linkonce_odr":
                        function.linkage = "internal"
            super()._finalize_final_module()
            codegen: Any = self._codegen
            for environment in self._environments:
                codegen.set_env(environment.env_name, environment)

        def _keep_for_callers(self) -> None:
            """Set aside what callers of this kernel will copy, as it is before its own copies lose their names."""
            shared = self._final_module.clone()
            for function in shared.functions:
                if not function.is_declaration and function.linkage.name == "external":
                    function.linkage = "linkonce_odr"
            self._shared_module = shared

        def _keep_environments(self) -> None:
            """Keep the objects of Python that callees use, to raise an error; numba has weak references alone."""
            names = [variable.name for variable in self._final_module.global_variables]
            found = [lookup_environment(name) for name in names if name.startswith("_ZN08NumbaEnv")]
            self._environments = [each for each in found if each is not None]

        def serialize_using_object_code(self) -> Any:
            """Bytes of the code; of an inner kernel without machine code."""
            if self.is_inner:
                return self.name, "inner", self._get_module_for_linking().as_bitcode()
            return super().serialize_using_object_code()

        @classmethod
        def read(cls, codegen: Any, name: str, code: bytes, environments: Any) -> Any:
            """Library of an inner kernel, from its bytes."""
            library = cls(codegen, name)
            library._environments = environments
            library.is_inner = library._finalized = True
            library._shared_module = llvm.parse_bitcode(code)
            return library

    class _Compiler(Compiler):  # type: ignore[misc, unused-ignore]
        """numba's compiler with a library of ours."""

        def compile_extra(self, function: Callable[..., Any]) -> Any:
            """Compile a function."""
            if self.state.library is None:
                self.state.library = _Library(self.state.targetctx.codegen(), function.__qualname__)
                self.state.library.enable_object_caching()
                self.state.library.is_inner = self.state.flags.no_compile
            return super().compile_extra(function)

    COMPILER, LIBRARY = _Compiler, _Library
