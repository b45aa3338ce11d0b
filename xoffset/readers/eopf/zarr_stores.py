"""Zarr stores as trees of groups: folders, zip files and addresses, read a chunk at a time."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset.readers.archives import open_tree
from xoffset.readers.eopf import whole_chunks
from xoffset.readers.grids import Window

# Seconds to wait for an answer of a server, and for the next bytes of one: it may be gone.
_CONNECT, _READ = 30, 60
_ROOTS = ("zarr.json", ".zattrs", ".zgroup", ".zmetadata")


@dataclass(frozen=True)
class Store:
    """A tree of groups in a Zarr store, which was opened: names, attributes and variables; values stay where they are.

    `prefix` is the folder of the root in a zip file.
    """

    place: str
    root: Any
    prefix: str = ""

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Attributes of the root."""
        return dict(self.root.attrs)

    def names(self, path: str) -> list[str]:
        """Names of the groups and arrays in a group, none if it is not there."""
        group = self._group(path)
        if group is None:
            return []
        return sorted(name for name, _ in group.members())

    def variables(self, path: str) -> dict[Hashable, xr.Variable]:
        """Arrays of a group as they are stored, none if it is not there."""
        group = self._group(path)
        if group is None:
            return {}
        group.store.packed.update(array.path for _, array in group.arrays() if whole_chunks.are_packed(array))
        return dict(xr.backends.ZarrStore(group, mode="r").load()[0])

    def is_missing(self, path: str, variable: xr.Variable, chunk: tuple[int, ...]) -> bool:
        """Whether a chunk of an array was never written, or was lost."""
        try:
            metadata = self.root[path].metadata
        except (OSError, KeyError):  # what describes the array is gone as well
            return True
        key = f"{path}/{metadata.encode_chunk_key(chunk)}"
        if "://" in self.place:
            import fsspec  # type: ignore[import-untyped]

            system, root = fsspec.core.url_to_fs(self.place, **_options(self.place))
            return not system.exists(f"{root.rstrip('/')}/{key}")
        if not Path(self.place).is_file():
            return not Path(self.place, key).exists()
        with zipfile.ZipFile(self.place) as archive:
            return f"{self.prefix}{key}" not in archive.NameToInfo

    def _group(self, path: str) -> Any:
        import zarr

        found = self.root[path] if not path or path in self.root else None
        return found if isinstance(found, zarr.Group) else None


def is_tree(place: str, inside: str) -> bool:
    """Whether a folder, a zip file or an address is a Zarr store with a group or a text in its root; never an error."""
    try:
        return any(inside in text for text in _root_texts(place))
    except Exception:  # what is damaged, or not to be reached, is none; each library and protocol has its own error
        return False


def _root_texts(place: str) -> Iterator[str]:
    """Names of the groups in the root of a store, and its description."""
    if "://" in place:
        import fsspec

        if not place.rstrip("/").endswith(".zarr"):
            return
        system, root = fsspec.core.url_to_fs(place, **_options(place))
        for name in ("zarr.json", ".zmetadata", ".zattrs"):
            try:
                yield system.cat_file(f"{root.rstrip('/')}/{name}").decode()
            except FileNotFoundError:
                continue
    elif Path(place).is_dir():
        found = [Path(place, name) for name in _ROOTS if Path(place, name).is_file()]
        if found:
            yield from (f"/{each.name}/" for each in Path(place).iterdir() if each.is_dir())
        yield from (file.read_text() for file in found)
    elif place.lower().endswith(".zip") and Path(place).is_file():
        with zipfile.ZipFile(place) as archive:
            prefix = _prefix(archive.namelist())
            if prefix is None:
                return
            yield from {f"/{name.removeprefix(prefix).split('/')[0]}/" for name in archive.namelist()}
            yield from (archive.read(prefix + name).decode() for name in _ROOTS if prefix + name in archive.NameToInfo)


def _prefix(names: Sequence[str]) -> str | None:
    """Folder of the root of a store in a zip file: that of its first description, None if there is none."""
    found = [name for name in names if name.rsplit("/", 1)[-1] in _ROOTS]
    shortest = min(found, key=lambda name: name.count("/"), default=None)
    if shortest is None:
        return None
    return shortest[: shortest.rfind("/") + 1]


def open_store(place: str) -> Store:
    """Open a store: reads what describes it, no values.

    Raises
    ------
    FileNotFoundError
        If there is nothing at that place.
    ImportError
        If it is an address and the `http` extra is not installed.
    OSError
        If it cannot be read.
    """
    import zarr

    is_local = "://" not in place
    if is_local and not Path(place).exists():
        raise FileNotFoundError(
            f"open_stack() needs a Zarr store; there is none at {place}. Check the path; relative ones start at "
            f"{Path.cwd()}."
        )
    try:
        if is_local and Path(place).is_file():
            prefix = _prefix(open_tree(place).names) or ""
            store = whole_chunks.checked(zarr.storage.ZipStore(place))
            return Store(place, zarr.open_group(store, mode="r", path=prefix), prefix)
        if is_local:
            store = whole_chunks.checked(zarr.storage.LocalStore(place, read_only=True))
        else:
            remote = zarr.storage.FsspecStore.from_url(place, storage_options=_options(place), read_only=True)
            store = whole_chunks.checked(remote)
        return Store(place, zarr.open_group(store, mode="r"))
    except ImportError:
        raise
    except Exception as error:  # what a damaged store or a lost server raises depends on the library and the protocol
        raise OSError(
            f"open_stack() needs a Zarr store that can be read; got '{type(error).__name__}: {error}' from {place}. "
            "It is incomplete, damaged or not to be reached: try again, or fetch or write it again."
        ) from error


def _options(place: str) -> dict[str, Any]:
    """Options of fsspec for an address: of a server that is gone it waits no longer than need be."""
    if not place.startswith(("http://", "https://")):
        return {}
    try:
        import aiohttp
    except ImportError as error:
        raise ImportError(
            f"open_stack() needs fsspec and aiohttp to read {place}; got '{error}'. "
            "Install them: pip install 'xoffset[http]'."
        ) from error
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_READ)
    return {"client_kwargs": {"timeout": timeout}}


def chunks_in(window: Window, pieces: Sequence[int]) -> Iterator[tuple[tuple[int, int], Window]]:
    """Numbers of the chunks that a window touches, with their part of it."""
    rows, columns = (
        [(k, slice(max(k * piece, side.start), min((k + 1) * piece, side.stop))) for k in _numbers(side, piece)]
        for side, piece in zip(window, pieces, strict=True)
    )
    for row, part in rows:
        for column, other in columns:
            yield (row, column), (part, other)


def _numbers(side: slice, piece: int) -> range:
    return range(side.start // piece, -(-side.stop // piece))


def as_text(values: Any) -> list[str]:
    """Names along an axis in small letters, whatever type of text they are stored in."""
    flat = np.ravel(np.asarray(values)).tolist()
    return [each.decode().strip().lower() if isinstance(each, bytes) else str(each).strip().lower() for each in flat]


def as_mapping(value: Any) -> Mapping[str, Any]:
    """A mapping as it is or as JSON text, empty where there is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}
