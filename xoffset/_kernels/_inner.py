"""Kernels that other kernels call are compiled without machine code.

A caller holds its own copy of each callee (see `_linking`), so what is compiled for the sake of a caller needs neither
machine code nor the wrappers that Python and C would call it through: a fifth of the time of a first call. Where Python
calls such a kernel, it is compiled once more, as a whole. In memory and on disk either serves callers.

No kernel may call itself: numba finds such a callee by its machine code.

This touches private parts of numba. Where they are not as expected, all kernels are compiled as a whole.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import Any

from xoffset._kernels import _compile, _linking

# Private parts of a dispatcher.
PRIVATE = ("compile", "add_overload", "get_call_template", "overloads", "targetctx")

ConfigStack: Any = None
with contextlib.suppress(ImportError):
    from numba.core.compiler import compile_result
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.sigutils import normalize_signature
    from numba.core.targetconfig import ConfigStack


class Entry:
    """Stands for the machine code that an inner kernel has not: callers find it by this."""


# Of this thread: whether a kernel of this package is asking for another, and whether what is compiled was so asked for.
# Code of Python may run while a kernel is compiled, and call other kernels.
_asked_by_kernel: ContextVar[bool] = ContextVar("asked_by_kernel", default=False)
_for_caller: ContextVar[bool] = ContextVar("for_caller", default=False)


def is_for_caller() -> bool:
    """Whether what this thread is compiling was asked for by a kernel of this package."""
    return _for_caller.get()


def is_callable(compiled: Any) -> bool:
    """Whether Python can call a kernel by some signature that is compiled."""
    is_whole: bool | None = getattr(compiled, "is_whole", None)
    return bool(compiled.signatures) if is_whole is None else is_whole


def is_inner(result: Any) -> bool:
    """Whether a compiled kernel has no machine code."""
    return result.entry_point is None or isinstance(result.entry_point, Entry)


def divide(compiled: Any) -> None:
    """Let a dispatcher of numba tell what kernels ask for from what Python asks for."""
    is_known = all(hasattr(compiled, name) for name in PRIVATE) and hasattr(ConfigStack, "top_or_none")
    is_known = is_known and all(hasattr(_compile.Flags, name) for name in _compile.OF_CALLS)
    # without compilation there is no compiler
    if not is_known or _linking.COMPILER is None or compiled._compiler._customize_flags is not _compile.Flags:
        return
    compiled._compiler._customize_flags = _flags
    # told beside the overloads, which another thread may be changing
    compiled.is_whole = False
    compile_as_numba, add_as_numba, template_as_numba = (
        compiled.compile, compiled.add_overload, compiled.get_call_template,
    )  # fmt: skip

    def get_call_template(arguments: Any, keywords: Any) -> Any:
        # what others compile is linked as numba does it, and needs machine code
        asked = _asked_by_kernel.set(isinstance(ConfigStack.top_or_none(), _compile.Flags))
        try:
            return template_as_numba(arguments, keywords)
        finally:
            _asked_by_kernel.reset(asked)

    def compile_for(signature: Any) -> Any:
        by_kernel = _asked_by_kernel.get()
        with global_compiler_lock:
            compiling, asked = _for_caller.set(by_kernel), _asked_by_kernel.set(False)
            try:
                arguments = tuple(normalize_signature(signature)[0])
                existing = compiled.overloads.get(arguments)
                if existing is not None and is_inner(existing) and not by_kernel:
                    del compiled.overloads[arguments]
                return compile_as_numba(signature)
            finally:
                _asked_by_kernel.reset(asked)
                _for_caller.reset(compiling)

    def add_overload(result: Any) -> None:
        if result.entry_point is None:
            result = result._replace(entry_point=Entry())
            compiled.targetctx.insert_user_function(result.entry_point, result.fndesc, [result.library])
        if is_inner(result):
            # Python will not find it, and ask
            compiled.overloads[tuple(result.signature.args)] = result
        else:
            add_as_numba(result)
            compiled.is_whole = True

    compiled.compile, compiled.add_overload = compile_for, add_overload
    compiled.get_call_template = get_call_template


def _flags(flags: Any) -> Any:
    """Flags of one compilation, by who asks for it."""
    flags = _compile.Flags(flags)
    if is_for_caller():
        # as numba compiles functions of its own
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    return flags


def read(
    context: Any, library: Any, fndesc: Any, environment: Any, signature: Any, objectmode: bool, lifted: Any,
    annotation: str, reload_init: Any, environments: Any,
) -> Any:  # fmt: skip
    """What was compiled of an inner kernel, from what numba's `_reduce` made of it."""
    name, _, code = library
    return compile_result(
        typing_context=context.typing_context,
        target_context=context,
        entry_point=Entry(),
        library=_linking.LIBRARY.read(context.codegen(), name, code, environments),
        fndesc=fndesc,
        environment=environment,
        signature=signature,
        objectmode=objectmode,
        lifted=lifted,
        type_annotation=annotation,
        reload_init=reload_init,
        referenced_envs=environments,
    )
