"""Safe writing: beside its place under another name, then moved there whole; nothing is replaced unasked."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import xarray as xr

# What the system says where a disk is full, a quota used up, or a disk may not be written.
_OF_DISKS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
# Size up to which a netCDF file is made in memory before it is written [byte].
IN_MEMORY = 64e6
# What lies at the root of a Zarr store, of which other folders have nothing.
_OF_STORES = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")


@contextlib.contextmanager
def replaced(target: Path, *, overwrite: bool, caller: str) -> Iterator[Path]:
    """Path to write a file or a store to, which is at its target once the block ends; gone if the block fails.

    It has the name of the target, so that writers that look at the suffix find it, in a hidden folder beside.

    Raises
    ------
    FileExistsError
        If there is something already, unless `overwrite`; if it is a folder that is no store.
    OSError
        If the folder cannot be made or written to.
    """
    with replaced_all(target.parent, [target.name], overwrite=overwrite, caller=caller) as scratch:
        yield scratch / target.name


@contextlib.contextmanager
def replaced_all(
    folder: Path, names: Sequence[str], *, overwrite: bool, caller: str, beside: Sequence[str] = ()
) -> Iterator[Path]:
    """Hidden folder in which to write what is to have these names in `folder`, where all of it is once the block ends.

    Whatever else is written there, such as uncompressed copies, is gone then. Names `beside` are those of files that
    programs read along with the new ones, such as the CRS of a shapefile: old ones must not be, and go.

    Raises
    ------
    FileExistsError
        If `folder` is a file, or one of the names is there already, unless `overwrite`.
    OSError
        If the folder cannot be made or written to.
    """
    check_free(folder, [*names, *beside], overwrite=overwrite, caller=caller)
    is_new = not folder.exists()
    with explained(folder, caller):
        folder.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix=f".{caller}-", dir=folder, ignore_cleanup_errors=True)
    try:
        with scratch as place:
            with _explained_of_disks(folder, caller):
                yield Path(place)
            # another writer may have been here meanwhile
            check_free(folder, [*names, *beside], overwrite=overwrite, caller=caller)
            with explained(folder, caller):
                for name in names:
                    _move(Path(place) / name, folder / name)
                for name in beside:
                    (folder / name).unlink(missing_ok=True)
    except BaseException:
        shutil.rmtree(scratch.name, ignore_errors=True)  # threads of a writer may have gone on a little
        if is_new:
            with contextlib.suppress(OSError):  # something has come into it meanwhile
                folder.rmdir()
        raise


def check_free(folder: Path, names: Sequence[str], *, overwrite: bool, caller: str) -> None:
    """Refuse to write where a file stands in place of the folder, or where something of these names is.

    A folder is never replaced unless it is a store: it may hold anything.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{caller}() needs a folder to write into; got the file {folder}. Give another path.")
    there = [name for name in names if (folder / name).exists()]
    if there and not overwrite:
        others = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise FileExistsError(
            f"{caller}() needs a free place to write to; got {folder / there[0]}{others}, which is there. Give another "
            "path, or replace what is there: overwrite=True."
        )
    folders = [folder / name for name in there if (folder / name).is_dir() and not _is_store(folder / name)]
    if folders:
        raise FileExistsError(
            f"{caller}() needs a free place to write to; got {folders[0]}, a folder that is no store and may hold "
            f"anything, which is not replaced. Give a path in it, such as {folders[0] / 'result'}, or delete it."
        )


def _is_store(folder: Path) -> bool:
    """Whether a folder is a Zarr store, or empty."""
    return any((folder / name).exists() for name in _OF_STORES) or next(folder.iterdir(), None) is None


def netcdf(data: xr.Dataset, place: Path, caller: str) -> None:
    """Write a dataset as netCDF4 to a place of `replaced` or `replaced_all`.

    Raises
    ------
    OSError
        If the disk has no room for it uncompressed: HDF5 ends the interpreter where it finds a disk full. What fits
        in memory is therefore made there first.
    """
    check_room(place.parent, data.nbytes, caller)
    if data.nbytes <= IN_MEMORY:
        place.write_bytes(data.to_netcdf(engine="h5netcdf"))
    else:
        data.to_netcdf(place, engine="h5netcdf")


def check_room(folder: Path, n_bytes: int, caller: str) -> None:
    """Refuse to begin with an HDF5 file for which the disk may have no room."""
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OSError(
            f"{caller}() needs {n_bytes / 1e6:.0f} MB, the size of all values; got {free / 1e6:.0f} MB free on the "
            f"disk of {folder.parent}. Make room or give another folder; no file has been changed."
        )


@contextlib.contextmanager
def explained(target: Path, caller: str) -> Iterator[None]:
    """Tell what a failure to write means; nothing else may fail within."""
    try:
        yield
    except Exception as error:  # GDAL's errors are of many types, some of which rasterio does not show
        raise _unwritten(target, caller, error) from error


@contextlib.contextmanager
def _explained_of_disks(target: Path, caller: str) -> Iterator[None]:
    """Tell what a failure of the disk means, and let others pass: values are computed within."""
    try:
        yield
    except OSError as error:
        # what was read, not written, has another place
        is_here = error.filename is None or str(target) in str(error.filename)
        if error.errno in _OF_DISKS and is_here:
            raise _unwritten(target, caller, error) from error
        raise


def _unwritten(target: Path, caller: str, error: Exception) -> OSError:
    place = next(path for path in (target, *target.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free / 1e6
    return OSError(
        f"{caller}() needs to write into {target}, a copy first; got '{error.__cause__ or error}' with {free:.0f} MB "
        "free on that disk. Make room or give another folder; no file has been changed."
    )


def _move(new: Path, target: Path) -> None:
    """Put what was written in its place; a folder that is there goes aside first, and back if that fails."""
    if not target.is_dir() or target.is_symlink():
        new.replace(target)
        return
    aside = new.with_name(f"{new.name}.old")
    target.rename(aside)
    try:
        new.rename(target)
    except OSError:
        aside.rename(target)
        raise
