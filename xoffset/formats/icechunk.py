"""Icechunk: a store with versions, each of which stays as it was."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import xarray as xr

from xoffset import _options
from xoffset.formats import writing
from xoffset.model import products


def write(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    message: str = "written by xoffset",
    overwrite: bool = False,
) -> str:
    """Product in a local Icechunk repository, as a new version of its branch `main`.

    A version is there as a whole or not at all, and those before it stay and can be read.

    Parameters
    ----------
    dataset
        Any product. Dates, CRS and flags are stored as a plain `to_zarr` stores them.
    path
        Folder of the repository; made if it is not there.
    message
        What the version is, as its history tells.
    overwrite
        Let a repository that is there have this version after its last one.

    Returns
    -------
    str
        Name of the version (snapshot).

    Raises
    ------
    TypeError
        If it is no Dataset, or the message no text.
    ImportError
        If icechunk is not installed.
    FileExistsError
        If there is something already and it may not have another version.
    OSError
        If it cannot be written; no version is added then.

    Notes
    -----
    `xarray.open_zarr(session.store, consolidated=False, decode_coords="all")` reads a version, where `session` is
    `repository.readonly_session(branch="main")` or `readonly_session(snapshot_id=...)`. Lazy products are computed by
    the threads of this process, as workers of a cluster would each write to a session of their own.
    """
    target = _options.as_path(path, "path", "icechunk.write")
    replace = _options.as_switch(overwrite, "overwrite", "icechunk.write")
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(
            f"icechunk.write() needs a Dataset; got {type(dataset).__name__}. "
            "Make a DataArray one: data.to_dataset(name='image')."
        )
    if not isinstance(message, str) or not message:
        raise TypeError(f"icechunk.write() needs a text as message; got {message!r}. Say what the version is.")
    library = _library()
    data = products.finish(dataset.copy())
    try:
        if replace and target.exists():
            return _commit(library.Repository.open(_storage(library, target)), data, message)
        with writing.replaced(target, overwrite=False, caller="icechunk.write") as scratch:
            return _commit(library.Repository.create(_storage(library, scratch)), data, message)
    except library.IcechunkError as error:
        raise OSError(
            f"icechunk.write() needs an Icechunk repository that it can write to at {target}; got "
            f"'{str(error).strip().splitlines()[0]}'. Make room, give another path, or write again if another "
            "version came first; no version has been added."
        ) from error


def _library() -> Any:
    try:
        return importlib.import_module("icechunk")
    except ImportError as error:
        raise ImportError(
            f"icechunk.write() needs icechunk; got '{error}'. Install it: pip install 'xoffset[icechunk]'."
        ) from error


def _storage(library: Any, path: Path) -> Any:
    return library.local_filesystem_storage(str(path))


def _commit(repository: Any, data: xr.Dataset, message: str) -> str:
    session = repository.writable_session("main")
    data.to_zarr(session.store, mode="w", consolidated=False)
    return str(session.commit(message))
