"""COSI-Corr: bands East/West, North/South and SNR of one pair, GeoTIFF or ENVI, both ways."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import border, file_sets, looks, rasters, writing
from xoffset.formats.file_sets import Given
from xoffset.formats.names import SYSTEMS
from xoffset.formats.rasters import Raster
from xoffset.model.dates import Date

if TYPE_CHECKING:
    import pyproj

_NAMES = SYSTEMS["cosicorr"].names
# Driver and end of the names, by layout.
_LAYOUTS = {"geotiff": ("GTiff", ".tif"), "envi": ("ENVI", ".img")}


def recognises(look: looks.Look) -> bool:
    """Whether a file has bands of these names."""
    wanted = {_NAMES["dx"], _NAMES["dy"]}
    return look.kind in ("tiff", "envi") and all(any(_is(name, one) for name in look.names) for one in wanted)


def _is(name: str, wanted: str) -> bool:
    """Whether a band has a name, of which versions say more: "East/West displacement"."""
    return name.strip().lower().startswith(wanted.lower())


def read(
    path: str | os.PathLike[str],
    *,
    dates: tuple[Date, Date] | None = None,
    pixel_size: float | tuple[float, float] | None = None,
    crs: str | int | pyproj.CRS | None = None,
) -> xr.Dataset:
    """Shifts of one pair that COSI-Corr has correlated, in metres toward east and north.

    Parameters
    ----------
    path
        GeoTIFF, or ENVI file with its header. The bands are told by their names: East/West, North/South and SNR.
    dates
        Reference and secondary date; not needed if the name tells two.
    pixel_size
        Step of the grid in metres, or one along x and one along y, where the file has no georeference.
    crs
        CRS of the file, where it does not tell it.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) of one pair; standard errors are not known. The third band is `snr`, 0 to 1: no correlation.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it lacks bands of these names, or dates or the grid lack.
    """
    caller = "cosicorr.read"
    place = _options.as_path(path, "path", caller)

    def bands(read: Raster) -> Mapping[str, int]:
        found = {
            ours: number
            for ours, theirs in _NAMES.items()
            for number, name in enumerate(read.names)
            if _is(name, theirs)
        }
        if not {"dx", "dy"} <= set(found):
            raise ValueError(
                f"{caller}() needs bands called {', '.join(_NAMES.values())}; got {list(read.names)} in {place}. Name "
                "them, or read the bands as the table of another system says."
            )
        return found

    return file_sets.read_bands("cosicorr", place, bands, Given(dates, pixel_size, crs), caller)


def write(
    shifts: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    layout: Literal["geotiff", "envi"] = "geotiff",
) -> list[Path]:
    """Write shifts as COSI-Corr has them, one file a pair, float32: East/West, North/South [m] and SNR.

    `snr` is NaN where the shifts have none: a correlation is no ratio of signal to noise. Names tell days; standard
    errors are not kept.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x); lazy ones are computed pair by pair.
    folder
        Where the files go; made if it is not there.
    overwrite
        Replace files of the same names.
    layout
        `"geotiff"`, or `"envi"`: a file with its header, without compression.

    Returns
    -------
    list of pathlib.Path
        The files, in the order of the pairs.

    Raises
    ------
    TypeError
        If it is no Dataset.
    FileExistsError
        If a file is there and `overwrite` is False.
    ValueError
        If these are no shifts, or the two dates of a pair fall on one day.
    """
    caller = "cosicorr.write"
    target = _options.as_path(folder, "folder", caller)
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    driver, end = _options.one_of(layout, _LAYOUTS, "layout", caller)
    theirs = file_sets.by_day(border.from_shifts("cosicorr", shifts, caller=caller, fields=tuple(_NAMES)), caller)
    names = [f"{stem}_cosicorr{end}" for stem in border.stems(theirs, "_VS_")]
    options = rasters.profile(theirs.place, theirs.step)
    if driver == "ENVI":
        options |= {"driver": driver, "compress": None, "predictor": None, "tiled": None}
    beside = [name.replace(end, ".hdr") for name in names] if driver == "ENVI" else []
    with writing.replaced_all(target, names + beside, overwrite=is_free, caller=caller) as scratch:
        for pair, name in enumerate(names):
            nothing = np.full(theirs.fields["dx"].shape[1:], np.nan, dtype=np.float32)
            values = {
                theirs_name: np.asarray(theirs.fields[ours][pair], dtype=np.float32)
                if ours in theirs.fields
                else nothing
                for ours, theirs_name in _NAMES.items()
            }
            about = file_sets.tags_of(theirs, pair) | {"units": "m"}
            rasters.write(scratch / name, values, options, about, caller)
    return [target / name for name in names]
