"""Ames Stereo Pipeline: filtered disparities, `NAME-F.tif`, of one pair as shifts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import file_sets, looks
from xoffset.formats.file_sets import Given
from xoffset.formats.names import SYSTEMS
from xoffset.formats.rasters import Raster
from xoffset.model.dates import Date

if TYPE_CHECKING:
    import pyproj

_NAMES = SYSTEMS["asp"].names
_END = "-F.tif"


def recognises(look: looks.Look) -> bool:
    """Whether a file has the name and the bands of a filtered disparity."""
    return look.kind == "tiff" and look.name.endswith(_END) and look.size in (2, 3) and not look.names


def read(
    path: str | os.PathLike[str],
    *,
    dates: tuple[Date, Date] | None = None,
    pixel_size: float | tuple[float, float] | None = None,
    crs: str | int | pyproj.CRS | None = None,
) -> xr.Dataset:
    """Shifts of one pair from the disparity that `parallel_stereo` makes of two images on one grid.

    Band 1 counts pixels toward the right, band 2 downwards: dy has the other sign. Where band 3 is there and 0, there
    is no value. The images are to be aligned by their georeference (`--alignment-method none`), or else the disparity
    has the homography of the alignment in it.

    Parameters
    ----------
    path
        File `NAME-F.tif`, also after a polynomial was taken from it, with two bands.
    dates
        Reference (left) and secondary (right) date; not needed if the name tells two.
    pixel_size
        Side of a pixel of the left image in metres, or one along x and one along y, where the file has no georeference.
        Coordinates are metres from the first pixel then, with y decreasing downwards.
    crs
        CRS of the file, where it does not tell it.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) of one pair; standard errors are not known.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it has another number of bands, or dates or the size of pixels lack.
    """
    caller = "asp.read"
    place = _options.as_path(path, "path", caller)

    def bands(read: Raster) -> Mapping[str, int]:
        if len(read.values) not in (2, 3):
            raise ValueError(
                f"{caller}() needs two bands, or three with the mask; got {len(read.values)} in {place}. "
                "Is it NAME-F.tif?"
            )
        return {ours: int(number) - 1 for ours, number in list(_NAMES.items())[: len(read.values)]}

    return file_sets.read_bands("asp", place, bands, Given(dates, pixel_size, crs), caller, change=_without_masked)


def _without_masked(fields: dict[str, np.ndarray]) -> None:
    """Set values to NaN where the mask says that there is none."""
    mask = fields.pop("valid", None)
    if mask is not None:
        for name in fields:
            fields[name] = np.where(mask > 0, fields[name], np.float32(np.nan))
