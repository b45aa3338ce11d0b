"""CARST: velocities of one pair, `NAME_vx.tif` and `NAME_vy.tif` with their errors, as shifts."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from xoffset import _options
from xoffset.formats import file_sets, looks
from xoffset.formats.file_sets import Given
from xoffset.formats.names import SYSTEMS
from xoffset.model.dates import Date

if TYPE_CHECKING:
    import pyproj

_NAMES = SYSTEMS["carst"].names
_FILE = re.compile(rf"(?P<prefix>.+)_(?P<field>{'|'.join(_NAMES.values())})\.tiff?")
# What the names of its velocities have in them, which other systems with the same ends have not.
_WORD = "velo"


def recognises(look: looks.Look) -> bool:
    """Whether a file is a velocity, named as the examples of CARST name them."""
    match = _FILE.fullmatch(look.name)
    return look.kind == "tiff" and look.size == 1 and match is not None and _WORD in match["prefix"]


def main(place: str) -> str:
    """The file along x that another one of the pair belongs to."""
    return str(_of_pair(Path(place), "carst.read")["dx"])


def read(
    path: str | os.PathLike[str],
    *,
    dates: tuple[Date, Date] | None = None,
    crs: str | int | pyproj.CRS | None = None,
) -> xr.Dataset:
    """Shifts of one pair from velocities in metres a day, toward increasing x and y.

    Parameters
    ----------
    path
        File `NAME_vx.tif`; `NAME_vy.tif` must be beside it, and `NAME_errx.tif`, `NAME_erry.tif` and `NAME_snr.tif`
        may. Errors are taken for standard errors.
    dates
        Reference and secondary date; not needed if the name tells two.
    crs
        CRS of the files, where they do not tell it.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) of one pair, with the ratio of signal to noise, if it is there, as `snr`.

    Raises
    ------
    FileNotFoundError
        If one of the two components is not there.
    ValueError
        If the dates lack, or the files are not on one grid.
    """
    caller = "carst.read"
    files = _of_pair(_options.as_path(path, "path", caller), caller)
    return file_sets.read_files("carst", files, Given(dates, None, crs), caller)


def _of_pair(path: Path, caller: str) -> dict[str, Path]:
    match = _FILE.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{caller}() needs a file whose name ends in _vx.tif or _vy.tif; got {path}. Rename it.")
    suffix = path.suffix
    files = {ours: path.with_name(f"{match['prefix']}_{theirs}{suffix}") for ours, theirs in _NAMES.items()}
    return {ours: each for ours, each in files.items() if ours in ("dx", "dy") or each.exists()}
