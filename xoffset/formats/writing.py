"""Safe writing: beside its place under another name, then moved there whole; nothing is replaced unasked."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path


@contextlib.contextmanager
def replaced(target: Path, *, overwrite: bool, caller: str) -> Iterator[Path]:
    """Path to write a file or a store to, which is at its target once the block ends; gone if the block fails.

    It has the name of the target, so that writers that look at the suffix find it, in a hidden folder beside.

    Raises
    ------
    FileExistsError
        If there is something already, unless `overwrite`.
    OSError
        If the folder cannot be made or written to.
    """
    with replaced_all(target.parent, [target.name], overwrite=overwrite, caller=caller) as scratch:
        yield scratch / target.name


@contextlib.contextmanager
def replaced_all(folder: Path, names: Sequence[str], *, overwrite: bool, caller: str) -> Iterator[Path]:
    """Hidden folder in which to write what is to have these names in `folder`, where all of it is once the block ends.

    Whatever else is written there, such as uncompressed copies, is gone then.

    Raises
    ------
    FileExistsError
        If `folder` is a file, or one of the names is there already, unless `overwrite`.
    OSError
        If the folder cannot be made or written to.
    """
    check_free(folder, names, overwrite=overwrite, caller=caller)
    is_new = not folder.exists()
    with explained(folder, caller):
        folder.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix=f".{caller}-", dir=folder)
    try:
        with scratch as place:
            yield Path(place)
            with explained(folder, caller):
                for name in names:
                    _move(Path(place) / name, folder / name)
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):  # something has come into it meanwhile
                folder.rmdir()
        raise


def check_free(folder: Path, names: Sequence[str], *, overwrite: bool, caller: str) -> None:
    """Refuse to write where a file stands in place of the folder, or where something of these names is."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{caller}() needs a folder to write into; got the file {folder}. Give another path.")
    there = [name for name in names if (folder / name).exists()]
    if there and not overwrite:
        others = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise FileExistsError(
            f"{caller}() needs a free place to write to; got {folder / there[0]}{others}, which is there. Give another "
            "path, or replace what is there: overwrite=True."
        )


@contextlib.contextmanager
def explained(target: Path, caller: str) -> Iterator[None]:
    """Tell what a failure to write means; nothing else may fail within."""
    try:
        yield
    except Exception as error:  # GDAL's errors are of many types, some of which rasterio does not show
        place = next(path for path in (target, *target.absolute().parents) if path.exists())
        came = error.__cause__ or error
        free = shutil.disk_usage(place).free / 1e6
        raise OSError(
            f"{caller}() needs to write into {target}, a copy first; got '{came}' with {free:.0f} MB free on that "
            "disk. Make room or give another folder; no file has been changed."
        ) from error


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
