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

    Examples
    --------
    >>> import numpy, pathlib, rasterio, tempfile, xoffset
    >>> grid = {"driver": "GTiff", "width": 4, "height": 3, "count": 1, "dtype": "float32", "crs": "EPSG:32632"}
    >>> grid["transform"] = rasterio.Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("vx", "vy"):
    ...         path = pathlib.Path(folder) / f"20200101-20200131_velo-raw_{name}.tif"
    ...         with rasterio.open(path, "w", **grid) as file:
    ...             file.write(numpy.ones((1, 3, 4), "float32"))
    ...     shifts = xoffset.formats.carst.read(path)
    >>> float(shifts.dx[0, 0, 0])
    30.0
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
