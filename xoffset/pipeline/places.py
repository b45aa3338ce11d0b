"""Places that runs write to: folders, and addresses that fsspec knows, such as buckets, with the same few methods."""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Extra that brings what a protocol needs.
EXTRAS = {"s3": "s3", "s3a": "s3", "http": "http", "https": "http"}


@dataclass(frozen=True)
class Remote:
    """An address, with the methods of a path that runs need; nothing is listed from memory."""

    url: str

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> Remote:
        return Remote(f"{self.url}/{name}")

    @property
    def name(self) -> str:
        """Last part of the address."""
        return self.url.rpartition("/")[2]

    def with_name(self, name: str) -> Remote:
        """The address beside it."""
        return Remote(f"{self.url.rpartition('/')[0]}/{name}")

    @property
    def system(self) -> Any:
        """File system of fsspec, in this process."""
        return _system(self.url)[0]

    @property
    def key(self) -> str:
        """What the file system calls it."""
        return str(_system(self.url)[1])

    def exists(self) -> bool:
        """Whether there is an object, or objects below it."""
        return bool(self.system.exists(self.key))

    is_file = exists

    def read_bytes(self) -> bytes:
        """Content of an object."""
        return bytes(self.system.cat_file(self.key))

    def read_text(self) -> str:
        """Text of an object."""
        return self.read_bytes().decode()

    def write_text(self, text: str) -> None:
        """Write an object; others see the old or the new one, never a part."""
        self.system.pipe_file(self.key, text.encode())

    def create(self, text: str) -> None:
        """Write an object that must not be there; the service decides who comes first."""
        self.system.pipe_file(self.key, text.encode(), mode="create")

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove an object."""
        try:
            self.system.rm_file(self.key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def size(self) -> int:
        """Size of an object, bytes; -1 if there is none."""
        try:
            return int(self.system.info(self.key)["size"])
        except FileNotFoundError:
            return -1

    def names(self) -> list[str]:
        """Names of what lies directly below it."""
        try:
            return [each.rstrip("/").rpartition("/")[2] for each in self.system.ls(self.key, detail=False)]
        except FileNotFoundError:
            return []

    def sizes(self) -> dict[str, int]:
        """Objects below it, by the rest of their address, and their size, bytes."""
        found = self.system.find(self.key, detail=True)
        root = self.key.strip("/")
        return {name.strip("/").removeprefix(root + "/"): int(each["size"]) for name, each in found.items()}


Place = Path | Remote


def _system(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    found: tuple[Any, str] = url_to_fs(url, use_listings_cache=False)
    return found


def as_place(path: str | os.PathLike[str], caller: str) -> Place:
    """Folder or address of a text; of an address at once whether it can be used from here.

    Raises
    ------
    ImportError
        If what its protocol needs is not installed.
    OSError
        If its service cannot be reached, or takes no keys.
    ValueError
        If nobody knows its protocol, or nothing can be written by it.
    """
    text = os.fspath(path)
    scheme, separator, _ = text.partition("://")
    if scheme == "file" and separator:
        return Path(urllib.request.url2pathname(urlsplit(text).path)).absolute()
    if not separator:
        return Path(path).expanduser().absolute()
    if scheme in ("http", "https"):
        raise ValueError(
            f"{caller}() needs a place that can be written; got {text}, and nothing is written by {scheme}. Pass a "
            "folder, or the address of a bucket such as s3://bucket/results."
        )
    try:
        _system(text)
    except ImportError as error:
        extra = f" or xoffset[{EXTRAS[scheme]}]" if scheme in EXTRAS else ""
        raise ImportError(
            f"{caller}() needs another library for {scheme}://; got '{error}'. Install it{extra}."
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{caller}() needs an address of a protocol that fsspec knows; got {text}: {error}. Pass a folder or an "
            "address such as s3://bucket/results."
        ) from error
    place = Remote(text.rstrip("/"))
    try:
        place.exists()
    except Exception as error:  # each service has its own errors
        raise OSError(
            f"{caller}() needs a service that can be reached; got '{error}' for {text}. Check the address, the network "
            "and the keys that may write there."
        ) from error
    return place


def below(place: Place) -> list[str]:
    """Names of what lies directly in a folder or below an address."""
    if isinstance(place, Remote):
        return place.names()
    return [each.name for each in place.iterdir()] if place.is_dir() else []


def beside(place: Place) -> Place:
    """The folder of a place, or the address above it."""
    return Remote(place.url.rpartition("/")[0]) if isinstance(place, Remote) else place.parent


def remove(place: Place) -> None:
    """Remove all that is there, if anything is."""
    if isinstance(place, Remote):
        if place.exists():
            place.system.rm(place.key, recursive=True)
    elif place.exists():
        shutil.rmtree(place)


def write_whole(file: Place, text: str, by: str = "") -> None:
    """Write a file that is there as a whole or not at all; `by` tells apart those that write it at the same time."""
    if isinstance(file, Remote):
        file.write_text(text)
        return
    part = file.with_name(f"{file.name}{by}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)


def write_changed(file: Place, text: str) -> None:
    """Write a file as a whole, unless it holds the same text already: then nothing of it changes."""
    if not file.is_file() or file.read_bytes() != text.encode():
        write_whole(file, text)


@contextmanager
def folder_for(place: Place) -> Iterator[Path]:
    """A folder to write files to, which are then in their place: that of a folder itself, one a moment old beside it.

    What an earlier call left half-written there is removed. Objects are sent after the block.
    """
    if isinstance(place, Remote):
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / place.name
            place.system.put(f"{Path(folder) / place.name}/", f"{place.key}/", recursive=True)
        return
    part = place.with_name(f"{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    yield part
    part.rename(place)
