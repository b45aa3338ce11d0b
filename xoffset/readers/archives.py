"""Files of a product: in a folder, or inside a zip or tar archive, which is read in place and never unpacked.

Archives come from anywhere: one whose names lead out of it, that would inflate without bounds, that is encrypted, or
that holds other archives is refused before anything in it is read.
"""

from __future__ import annotations

import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import IO, Protocol, cast

from xoffset.readers import xml

# Content may be this many times as large as what is stored: metadata get 20 times as small, images hardly at all.
_MOST_INFLATED = 200
# Nothing that inflates to less does harm, bytes.
_HARMLESS = 64 * 2**20
_MOST_MEMBERS = 100_000
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
# Text of a compressed tar that is kept when its names are listed, since going back means inflating it all again.
_TEXTS = (".xml", ".txt", ".json", ".safe", ".gml")
_SMALL = 2**20
# Bytes that are read at once of what is looked at for its checksum alone.
_PIECE = 2**20
# GDAL knows files in a tar only by names that are shorter; others by where they begin and how long they are.
_LONG = 100

_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


class Tree(Protocol):
    """Files below a root, named by their paths relative to it, with slashes."""

    @property
    def place(self) -> str:
        """Path of the folder or archive."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all files, sorted."""

    def text(self, name: str, limit: int = xml.LIMIT) -> bytes:
        """Content of a file that is not larger than a limit [bytes]."""

    def opened(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Stream of a file, for reading forward."""

    def gdal_path(self, name: str) -> str:
        """Path by which GDAL reads a file in place."""


def _text(self: Tree, name: str, limit: int = xml.LIMIT) -> bytes:
    with self.opened(name) as stream:
        return _read(stream, limit, self.place, name)


def open_tree(place: str) -> Tree:
    """Tree of a folder, a zip file or a tar file."""
    path = Path(place).expanduser().absolute()
    if path.is_dir():
        return _Folder(str(path), tuple(sorted(_files_below(path))))
    kind = kind_of(place)
    if kind == "zip":
        return _zip(str(path))
    if kind:
        return _tar(str(path), kind)
    if not path.exists():
        raise FileNotFoundError(
            f"open_stack() needs a product; there is nothing at {place}. Check the name, and the working folder "
            f"{Path.cwd()}."
        )
    raise _refused(place, "a file that is neither", "Give one of these, or fetch it again.")


def beside(file: str) -> Tree:
    """Tree of a local file and those beside it, without folders."""
    folder = Path(file).expanduser().absolute().parent
    return _Folder(str(folder), tuple(sorted(each.name for each in folder.iterdir() if each.is_file())))


def kind_of(place: str) -> str:
    """What archive a local file is by its first bytes: "zip", "tar", "tar.gz", or empty if it is none; no error."""
    path = Path(place).expanduser()
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as stream:
            start = stream.read(512)
    except OSError:
        return ""
    if start.startswith((b"PK\3\4", b"PK\5\6")):
        return "zip"
    if start[257:262] == b"ustar" or _is_old_tar(start, place):
        return "tar"
    is_tar = place.lower().endswith((".tgz", ".tar.gz"))
    return "tar.gz" if start.startswith(b"\x1f\x8b") and is_tar else ""


def _is_old_tar(start: bytes, place: str) -> bool:
    """Whether a file is a tar without the mark that newer ones have."""
    return place.lower().endswith(".tar") and len(start) == 512 and start[148:156].strip(b" \0").isdigit()


def first_names(place: str) -> list[str]:
    """Names in an archive, of a tar the first of them; none if it cannot be read: quick, and never an error."""
    kind = kind_of(place)
    path = Path(place).expanduser()
    try:
        if kind == "zip":
            with zipfile.ZipFile(path) as archive:
                return archive.namelist()
        if kind:
            with _opened_tar(str(path), kind, most=2**24) as archive:
                return [member.name for member, _ in zip(archive, range(200), strict=False)]
    except (*_DAMAGE, ValueError):
        pass
    return []


# -------------------------------------------------------------------------------------------------------------- folders


@dataclass(frozen=True)
class _Folder:
    place: str
    names: tuple[str, ...]

    text = _text

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        path = Path(self.place, _listed(self, name))
        with _telling(self.place, name), path.open("rb") as stream:
            yield stream

    def gdal_path(self, name: str) -> str:
        return str(Path(self.place, _listed(self, name)))


def _files_below(path: Path) -> Iterator[str]:
    # Links are followed: what the user links is the user's own choice. One to a folder above, or seen before, is not:
    # it would lead round in circles, or to other products.
    above, seen = {path.resolve(), *path.resolve().parents}, set[Path]()
    for folder, folders, files in os.walk(path, followlinks=True):
        base = Path(folder)
        links = {name: (base / name).resolve() for name in folders if (base / name).is_symlink()}
        folders[:] = [name for name in folders if name not in links or links[name] not in above | seen]
        seen.update(links.values())
        yield from ((base.relative_to(path) / file).as_posix() for file in files)


# ------------------------------------------------------------------------------------------------------------ zip files


@dataclass(frozen=True)
class _Zip:
    place: str
    names: tuple[str, ...]

    text = _text

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        _listed(self, name)
        with _telling(self.place, name), zipfile.ZipFile(self.place) as archive:
            stored = name if name in archive.NameToInfo else f"./{name}"
            with archive.open(stored) as stream:
                yield stream

    def gdal_path(self, name: str) -> str:
        return f"/vsizip/{{{self.place}}}/{_listed(self, name)}"


def _zip(place: str) -> Tree:
    try:
        with zipfile.ZipFile(place) as archive:
            members = archive.infolist()
    except (*_DAMAGE, UnicodeDecodeError) as error:  # names that are no UTF-8, and say so
        raise _damaged(place, f"a zip file that is damaged or cut ({error})") from error
    for member in members:
        _check_name(place, member.filename)
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _refused(place, f"the link {member.filename}, whose target may be anywhere", _UNPACK)
        if member.flag_bits & 1:
            raise _refused(place, f"{member.filename}, which is encrypted", _UNPACK)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(place, f"{member.filename}, packed by a method other than deflate", _UNPACK)
        if _is_bomb(member.file_size, member.compress_size):
            raise _refused(place, f"{member.filename}, which inflates to {member.file_size} bytes", _BOMB)
    total, stored = sum(member.file_size for member in members), sum(member.compress_size for member in members)
    size = Path(place).stat().st_size
    if _is_bomb(total, size) or stored > size:  # more than there is: members that share their bytes
        raise _refused(place, f"{size} bytes that inflate to {total}", _BOMB)
    return _Zip(place, _unique(place, [_plain(member.filename) for member in members if not member.is_dir()]))


# ------------------------------------------------------------------------------------------------------------ tar files


@dataclass(frozen=True)
class _Tar:
    place: str
    kind: str
    names: tuple[str, ...]
    texts: dict[str, bytes]
    spans: dict[str, tuple[int, int]]

    text = _text

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        _listed(self, name)
        if name in self.texts:
            yield BytesIO(self.texts[name])
            return
        with _telling(self.place, name), _opened_tar(self.place, self.kind) as archive:
            member = next(each for each in archive if each.isfile() and _plain(each.name) == name)
            with cast(IO[bytes], archive.extractfile(member)) as stream:
                yield stream

    def gdal_path(self, name: str) -> str:
        _listed(self, name)
        if len(name) < _LONG:
            return f"/vsitar/{{{self.place}}}/{name}"
        if self.kind != "tar":
            got = f"{name}, whose name is too long for a compressed tar file to be read in place,"
            raise _refused(self.place, got, "Unpack it, and give the folder.")
        return "/vsisubfile/{}_{},{}".format(*self.spans[name], self.place)


def _tar(place: str, kind: str) -> Tree:
    names: list[str] = []
    texts: dict[str, bytes] = {}
    spans: dict[str, tuple[int, int]] = {}
    try:
        with _opened_tar(place, kind) as archive:
            for member in archive:
                _check_member(place, member, len(names))
                if member.isfile():
                    name = _plain(member.name)
                    names.append(name)
                    spans[name] = member.offset_data, member.size
                    if kind == "tar.gz" and member.size <= _SMALL and name.lower().endswith(_TEXTS):
                        texts[name] = cast(IO[bytes], archive.extractfile(member)).read()
    except _DAMAGE as error:
        raise _damaged(place, f"a tar file that is damaged or cut ({error})") from error
    return _Tar(place, kind, _unique(place, names), texts, spans)


def _check_member(place: str, member: tarfile.TarInfo, n_before: int) -> None:
    _check_name(place, member.name)
    if (member.issym() or member.islnk()) and _leads_out(member):
        raise _refused(place, f"the link {member.name} to {member.linkname}, outside of it", _UNPACK)
    if member.isdev() or member.issparse():
        raise _refused(place, f"{member.name}, which is no ordinary file", _UNPACK)
    if n_before > _MOST_MEMBERS:
        raise _refused(place, f"more than {_MOST_MEMBERS} files", _BOMB)


def _leads_out(link: tarfile.TarInfo) -> bool:
    folder = str(Path(link.name).parent) if link.issym() else "."
    return link.linkname.startswith("/") or os.path.normpath(f"{folder}/{link.linkname}").startswith("..")


@contextmanager
def _opened_tar(place: str, kind: str, most: int | None = None) -> Iterator[tarfile.TarFile]:
    """Tar file, compressed or not; of a compressed one no more is inflated than a product could hold."""
    with Path(place).open("rb") as raw:
        if kind == "tar":
            with tarfile.open(fileobj=raw, mode="r:") as archive:
                yield archive
        else:
            bound = most or max(_HARMLESS, _MOST_INFLATED * Path(place).stat().st_size)
            with _Bounded(raw, place, bound) as unzipped, tarfile.open(fileobj=unzipped, mode="r:") as archive:
                yield archive
                # the checksum of all content stands at its end
                while most is None and unzipped.read(_PIECE):
                    pass


class _Bounded(GzipFile):
    """Content of a gzip file, which refuses to go beyond a number of bytes."""

    def __init__(self, stream: IO[bytes], place: str, most: int) -> None:
        super().__init__(fileobj=stream, mode="rb")
        self._place, self._most = place, most

    def read(self, size: int | None = -1) -> bytes:
        self._check(self.tell() + max(size or 0, 0))
        return super().read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._check(offset)
        return super().seek(offset, whence)

    def _check(self, position: int) -> None:
        if position > self._most:
            raise _refused(self._place, f"bytes that inflate to more than {self._most}", _BOMB)


# --------------------------------------------------------------------------------------------------------------- checks

_UNPACK = "Unpack it yourself if you trust where it comes from, and give the folder."
_BOMB = "Leave it out: it is made to fill the memory. If you trust it, unpack it yourself and give the folder."


def _message(place: str, got: str, advice: str) -> str:
    return (
        f"open_stack() needs products in folders, or in whole and plain zip or tar files; got {got} in {place}. "
        f"{advice}"
    )


def _damaged(place: str, got: str) -> OSError:
    return OSError(_message(place, got, "Fetch it again, or leave it out."))


def _refused(place: str, got: str, advice: str) -> ValueError:
    return ValueError(_message(place, got, advice))


def _is_bomb(content: int, stored: int) -> bool:
    return content > _HARMLESS and content > _MOST_INFLATED * stored


def _check_name(place: str, name: str) -> None:
    """Refuse a name that leads out of an archive, and an archive inside of an archive."""
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or ".." in parts or re.match(r"[A-Za-z]:", name):
        raise _refused(place, f"the file {name!r}, which lies outside of it", _UNPACK)
    if name.lower().endswith(_ARCHIVES):
        advice = "Take that one out of it, and give the path of that."
        raise _refused(place, f"another archive, {name}, inside", advice)


def _unique(place: str, names: list[str]) -> tuple[str, ...]:
    """Sorted names, each of which stands for one file."""
    ordered = sorted(names)
    twice = next((name for name, other in pairwise(ordered) if name == other), None)
    if twice:
        raise _refused(place, f"two files of one name, {twice}", _UNPACK)
    if len(ordered) > _MOST_MEMBERS:
        raise _refused(place, f"more than {_MOST_MEMBERS} files", _BOMB)
    return tuple(ordered)


def _plain(name: str) -> str:
    """Name without the folder "." in front, as GDAL knows it."""
    return name.removeprefix("./")


def _listed(tree: Tree, name: str) -> str:
    if name not in tree.names:
        raise FileNotFoundError(
            f"open_stack() needs the file {name} of a product; there is none in {tree.place}. "
            "Fetch the whole product, or leave it out."
        )
    return name


def _read(stream: IO[bytes], limit: int, place: str, name: str) -> bytes:
    content = stream.read(limit + 1)
    if len(content) > limit:
        raise _refused(place, f"{name}, which holds more than {limit} bytes", "Fetch it again, or leave it out.")
    return content


@contextmanager
def _telling(place: str, name: str) -> Iterator[None]:
    """Tell in three parts of a file that turns out to be damaged while it is read."""
    try:
        yield
    except _DAMAGE as error:
        raise _damaged(place, f"{name} that cannot be read ({error})") from error
