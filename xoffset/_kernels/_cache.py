"""Compiled kernels kept on disk, so that only the first call on a machine compiles.

numba's own cache is not enough: it stamps a kernel by the content of its own file, and a caller holds the code of its
callees. Here one stamp covers all files of kernels and everything else that shapes the code, and names the folder:
versions never share files, so none can read what another wrote. Each compiled kernel is one file that begins with the
digest of the rest: a damaged file is as good as none.

This touches private parts of numba (`_cache` of a dispatcher, `_reduce` and `_rebuild` of what it compiled). Where
they are not as expected, kernels are compiled in every process; never is a file taken that may be stale.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import itertools
import logging
import os
import pickle
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numba
from numba.core import config as _config

from xoffset._kernels import _inner

config: Any = _config  # numba makes its attributes when it is imported
CompileResult: Any = None
dumps: Any = None
with contextlib.suppress(ImportError):  # another numba: see `keep`
    from numba.core.compiler import CompileResult
    from numba.core.serialize import dumps

FOLDER = Path(__file__).parent
# A folder of another version that nothing has used for so long, in seconds, is removed.
UNUSED = 30 * 86_400.0
# Private parts of what numba compiled that turn it into bytes and back.
PRIVATE = ("_reduce", "_rebuild")
# Part of the name of a file that holds no machine code.
INNER = "@inner"
# Length of the digest at the beginning of a file.
DIGEST_BYTES = hashlib.sha256().digest_size
# What the log says when the first kernel of a process is compiled, see also the command line.
FIRST_USE = "compiling kernels, first use only"

logger = logging.getLogger("xoffset")
logger.addHandler(logging.NullHandler())


def _contents() -> dict[str, bytes]:
    """Digest of every file of kernels, by its place below the folder; empty where the sources are not there."""
    try:
        paths = sorted(FOLDER.rglob("*.py"))
        return {path.relative_to(FOLDER).as_posix(): hashlib.sha256(path.read_bytes()).digest() for path in paths}
    except OSError:
        return {}


# Read once, when the first kernel is imported: what is compiled in this process has to come from these.
CONTENTS = _contents()


@functools.cache
def stamp() -> str:
    """Digest of all that shapes the compiled code, apart from the processor, which is in the name of each file."""
    total = hashlib.sha256(repr(sorted(CONTENTS.items())).encode())
    versions = [importlib.metadata.version(name) for name in ("xoffset", "numba", "llvmlite", "numpy")]
    # flags of the environment that change the code
    flags = [getattr(config, name, None) for name in ("BOUNDSCHECK", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE")]
    flags += [getattr(config, name, None) for name in ("ENABLE_AVX", "USING_SVML", "DEBUGINFO_DEFAULT")]
    total.update(repr((versions, flags, sys.implementation.cache_tag, getattr(sys, "abiflags", ""))).encode())
    return total.hexdigest()[:16]


@functools.cache
def folders() -> list[Path]:
    """Where this version may be kept, best first: where the environment says or with the package, and with the user.

    All are read, since an administrator may have compiled for those who cannot write beside the package.
    """
    bases = [Path(config.CACHE_DIR) if config.CACHE_DIR else FOLDER / "__pycache__"]
    with contextlib.suppress(ImportError):
        from numba.misc.appdirs import AppDirs

        bases.append(Path(AppDirs(appname="xoffset", appauthor=False).user_cache_dir))
    return [base / f"kernels-{stamp()}" for base in bases]


@functools.cache
def writable() -> Path | None:
    """The first folder that can be written, made and tried; None, with one warning in the log, if there is none."""
    failures = []
    for chosen in folders():
        try:
            is_new = not chosen.is_dir()
            chosen.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=chosen).close()
            if not _is_trusted(chosen.stat()):
                raise PermissionError(f"{chosen} can be written by others")
            os.utime(chosen)
            if is_new:
                _remove_unused(chosen.parent)
        except OSError as error:
            failures.append(str(error))
        else:
            return chosen
    logger.warning(
        "Compiled kernels cannot be kept (%s): every process compiles them anew. Set NUMBA_CACHE_DIR to a folder that "
        "this user can write.",
        "; ".join(failures),
    )
    return None


def _is_trusted(status: os.stat_result) -> bool:
    """Whether only those may write a file whose code runs here anyway: this user, root, the owner of the package."""
    if not hasattr(os, "getuid"):
        return True
    is_for_all = status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
    return status.st_uid in (os.getuid(), 0, FOLDER.stat().st_uid) and not is_for_all


def _remove_unused(base: Path) -> None:
    """Remove folders of other versions, and nothing that may be somebody else's."""
    for other in base.glob("kernels-*"):
        with contextlib.suppress(OSError):
            is_ours = re.fullmatch(r"kernels-[0-9a-f]{16}", other.name) and not other.is_symlink()
            is_old = time.time() - other.stat().st_mtime > UNUSED
            if is_ours and is_old and all(".nbc" in path.name for path in other.iterdir()):
                shutil.rmtree(other)


@functools.cache
def _note_use(folder: Path) -> None:
    """Renew the date of a folder that something was read from, once a process."""
    with contextlib.suppress(OSError):
        os.utime(folder)


@functools.cache
def _is_as_stamped(path: Path) -> bool:
    """Whether a file still is what the stamp says: an upgrade may have replaced it after the first import."""
    try:
        return hashlib.sha256(path.read_bytes()).digest() == CONTENTS.get(path.relative_to(FOLDER).as_posix())
    except OSError:
        return False


class _Begun:
    """Kernels that this process had to compile, by name."""

    names: ClassVar[list[str]] = []


def can_keep() -> bool:
    """Whether what is compiled will be kept for other processes."""
    return CompileResult is not None and bool(CONTENTS) and writable() is not None


def compiled_here() -> int:
    """Number of kernels that this process did not find on disk, and compiled."""
    return len(_Begun.names)


def is_ready(compiled: Any) -> bool:
    """Whether Python can call a kernel uncompiled: some signature of it is in this process, or on disk."""
    if config.DISABLE_JIT or _inner.is_callable(compiled):
        return True
    cache = compiled._cache
    return isinstance(cache, KernelCache) and any(
        path for folder in folders() if cache.is_kept for path in folder.glob(f"{cache.name}-*.nbc")
    )


def _tell(name: str) -> None:
    """Say in the log that a kernel is compiled: once what happens, and each by name on the level of details."""
    if not _Begun.names:
        logger.info(FIRST_USE)
    _Begun.names.append(name)
    logger.debug("compiling %s", name)


class KernelCache:
    """What a dispatcher of numba asks for, a file for each kernel, signature and processor."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = f"{function.__module__.removeprefix('xoffset._kernels.')}.{function.__qualname__}"
        path = Path(function.__code__.co_filename)
        is_ours = FOLDER in path.parents
        is_stamped = is_ours and _is_as_stamped(path)
        # what a closure holds is in no file
        self._is_enabled = is_stamped and function.__closure__ is None
        if is_ours and not is_stamped:
            # callers of a kernel of another version must not be kept either
            CONTENTS.clear()

    @property
    def is_kept(self) -> bool:
        """Whether files of this kernel are read and written."""
        return self._is_enabled and bool(CONTENTS)

    @property
    def cache_path(self) -> str | None:
        """Folder that files are written to."""
        found = writable() if self.is_kept else None
        return None if found is None else str(found)

    def enable(self) -> None:
        """Nothing to do: files are used wherever they can be trusted."""

    def disable(self) -> None:
        """Compile from now on."""
        self._is_enabled = False

    def flush(self) -> None:
        """Nothing to do: what is stale has another folder."""

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Compiled kernel of a signature, None if it has to be compiled."""
        context.refresh()
        # callers are content with either
        kinds = (True, False) if _inner.is_for_caller() else (False,)
        names = [self._file_name(signature, context.codegen(), is_inner) for is_inner in kinds]
        for folder, name in itertools.product(folders() if self.is_kept else [], names):
            # whatever is wrong with a file, compiling mends it
            with contextlib.suppress(Exception):
                if (found := _load(folder / name, context)) is not None:
                    _note_use(folder)
                    return found
        _tell(self.name)
        return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep a compiled kernel, if its code allows it and a folder can be written."""
        folder = writable() if self.is_kept else None
        if folder is None or compiled.lifted or compiled.library.has_dynamic_globals:
            return
        try:
            content = dumps(compiled._reduce())
            path = folder / self._file_name(signature, compiled.codegen, _inner.is_inner(compiled))
            folder.mkdir(parents=True, exist_ok=True)
            _write_whole(path, _digest(path.name, content) + content)
        except Exception as error:
            logger.warning("The compiled kernel %s could not be kept (%s); it works all the same.", self.name, error)

    def _file_name(self, signature: Any, codegen: Any, is_inner: bool) -> str:
        key = hashlib.sha256(repr((str(signature), codegen.magic_tuple())).encode()).hexdigest()[:16]
        return f"{self.name}{INNER if is_inner else ''}-{key}.nbc"


def _load(path: Path, context: Any) -> Any:
    """Compiled kernel of a file, None if it is not there, not whole, or of somebody who is not trusted."""
    with path.open("rb") as file:
        if not _is_trusted(os.fstat(file.fileno())):
            return None
        content = file.read()
    if _digest(path.name, content[DIGEST_BYTES:]) != content[:DIGEST_BYTES]:
        return None
    parts = pickle.loads(content[DIGEST_BYTES:])
    return _inner.read(context, *parts) if INNER in path.name else CompileResult._rebuild(context, *parts)


def _digest(name: str, content: bytes) -> bytes:
    """What a file begins with; the name is part of it, so that a file under another name is none."""
    return hashlib.sha256(name.encode() + b"\0" + content).digest()


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that others see whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def keep(compiled: Any, function: Callable[..., Any]) -> None:
    """Let a dispatcher of numba keep what it compiles."""
    if config.DISABLE_JIT:
        return
    if dumps is None or not hasattr(compiled, "_cache") or not all(hasattr(CompileResult, name) for name in PRIVATE):
        _warn_of_numba()
    else:
        compiled._cache = KernelCache(function)


@functools.cache
def _warn_of_numba() -> None:
    logger.warning(
        "Compiled kernels are not kept: numba %s is built differently. Install a version that xoffset was tested with.",
        numba.__version__,
    )
