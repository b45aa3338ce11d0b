"""What a file shows of itself without its pixels: kind, names and attributes, from which systems know their own."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from xoffset.formats import rasters

Kind = Literal["hdf5", "zarr", "tiff", "envi", "text", "parquet", "folder", "other"]

_HDF = b"\x89HDF\r\n\x1a\n"
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_TABLES = (".csv", ".txt", ".dat", ".tenv3", ".tsv")
# Bytes of a text that hold its first line, or that of a header.
_HEAD = 1 << 16


@dataclass(frozen=True)
class Look:
    """A file or folder as it looks from outside.

    `names` are those of the arrays of a store or an HDF5 file with their groups ("science/LSAR/dx"), of the bands of
    an image, of the columns of a table, or of the files in a folder. `attrs` are the texts of the attributes of the
    root, or of the tags of an image; `size` is the number of bands.
    """

    place: str
    kind: Kind
    names: frozenset[str] = frozenset()
    attrs: Mapping[str, str] = field(default_factory=dict)
    size: int = 0

    @property
    def name(self) -> str:
        """Name of the file or folder, without where it lies."""
        return self.place.rstrip("/").rsplit("/", 1)[-1] if "://" in self.place else Path(self.place).name


def look(place: str, caller: str) -> Look:
    """Look at a file, a folder or the URL of a store.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ImportError
        If it is an HDF5 file and the extra `netcdf` is not installed.
    OSError
        If it cannot be read.
    """
    if "://" in place:
        return _zarr(place, caller)
    path = Path(place)
    if not path.exists():
        raise FileNotFoundError(
            f"{caller}() needs a file or folder; got {place}, where there is nothing. Check the path; relative ones "
            f"start at {Path.cwd()}."
        )
    if path.is_dir():
        if any((path / name).exists() for name in ("zarr.json", ".zgroup")):
            return _zarr(place, caller)
        return Look(place, "folder", frozenset(each.name for each in path.iterdir()))
    with path.open("rb") as file:
        start = file.read(8)
    if start == _HDF:
        return _hdf(place, caller)
    if start[:4] in _TIFF:
        return _image(path, "tiff", caller)
    if start[:4] == b"PAR1":
        return Look(place, "parquet")
    if any(header.exists() for header in (path.with_suffix(".hdr"), path.with_name(f"{path.name}.hdr"))):
        return _image(path, "envi", caller)
    if path.suffix.lower() in _TABLES:
        return _table(path)
    return Look(place, "other")


def _hdf(place: str, caller: str) -> Look:
    h5py = optional("h5py", "netcdf", caller)
    names: list[str] = []
    try:
        with h5py.File(place, "r") as file:
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            return Look(place, "hdf5", frozenset(names), _texts(file.attrs))
    except OSError as error:
        raise OSError(
            f"{caller}() needs a whole HDF5 or netCDF4 file; got {place}, of which h5py says: {str(error)[:200]}. "
            "Fetch it again."
        ) from error


def _zarr(place: str, caller: str) -> Look:
    import zarr

    try:
        group = zarr.open_group(place, mode="r")
        return Look(place, "zarr", frozenset(group.array_keys()), _texts(group.attrs))
    except (FileNotFoundError, KeyError) as error:
        raise FileNotFoundError(
            f"{caller}() needs a Zarr store; got {place}, where there is none. Check the address."
        ) from error


def _image(path: Path, kind: Kind, caller: str) -> Look:
    with rasters.opened(path, caller) as file:
        names = frozenset(name for name in file.descriptions if name)
        return Look(str(path), kind, names, dict(file.tags()), file.count)


def _table(path: Path) -> Look:
    with path.open("rb") as file:
        head = file.read(_HEAD).decode("utf-8-sig", "replace")
    first = next(iter(head.splitlines()), "")
    return Look(str(path), "text", frozenset(each.strip().strip('"') for each in first.split(",")))


def _texts(attrs: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): value.decode() if isinstance(value, bytes) else str(value) for key, value in attrs.items()}


def optional(module: str, extra: str, caller: str) -> Any:
    """Library that only some formats need.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{caller}() needs {module}; it is not installed. Install it: pip install 'xoffset[{extra}]'."
        ) from error
