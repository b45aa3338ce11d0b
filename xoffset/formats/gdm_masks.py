"""Masks of the GDM-OPT services, by their names, numbers and folder."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.scenes.legends import NAMES as CLASSES
from xoffset.formats import border, file_sets, service_maps
from xoffset.formats.gdm_maps import as_tile, day
from xoffset.formats.service_maps import LEGEND_OF_MASKS, Mask, Sheet
from xoffset.model import checks
from xoffset.model.dates import as_dates

# Folder of the services that masks are in.
MASKS = "Masks"
# What the tags of the files say of classes.
LEGEND_OF_CLASSES = " ".join(f"{number}={name}" for number, name in enumerate(CLASSES))


def write_decorrelation(
    shifts: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    threshold: float = 0.2,
    tile: str = "local",
    overwrite: bool = False,
) -> list[Path]:
    """Write where scores reach a threshold into the folder `Masks`: `TILE_DATE1_DATE2_decorrel_mask.tif`, 8 bit.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) with `score`.
    folder
        Folder of the results, in which `Masks` is made.
    threshold
        Least score, 0 to 1, that is kept.
    tile
        Name of the area in the names of the files, such as "31TGK".
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The files, pair by pair: 255 where the score is kept, 0 where it is below or there is none.

    Raises
    ------
    TypeError, ValueError
        If these are no shifts with scores, the two dates of a pair fall on one day, or an option is out of range.
    FileExistsError
        If a file is there and `overwrite` is False.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in xoffset.formats.gdm.write_decorrelation(shifts, folder)]
    ['local_20200101_20210101_decorrel_mask.tif']
    """
    caller = "gdm.write_decorrelation"
    target = _options.as_path(folder, "folder", caller) / MASKS
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    _options.check_share(threshold, "threshold", caller)
    area = as_tile(tile, caller)
    shifts = checks.as_shifts(shifts, caller)
    if "score" not in shifts or shifts["score"].dims != ("pair", "y", "x"):
        raise ValueError(f"{caller}() needs 'score' (pair, y, x); got shifts without. Use the result of correlate().")
    theirs = file_sets.by_day(border.from_shifts("gdm", shifts, caller=caller, pixel=(1.0, 1.0), fields=()), caller)
    score = service_maps.prepared(shifts[["score"]], caller)
    legend = {"legend": LEGEND_OF_MASKS, "threshold": str(float(threshold))}
    sheets = [
        Sheet(
            f"{area}_{stem}_decorrel_mask",
            Mask(partial(_reaches, score["score"].data[k], threshold)),
            "1",
            "matches that are kept",
            legend | file_sets.tags_of(theirs, k),
        )
        for k, stem in enumerate(border.stems(theirs, "_"))
    ]
    return service_maps.write(sheets, score, target, overwrite=is_free, caller=caller)


def write_slopes(
    mask: xr.DataArray, folder: str | os.PathLike[str], *, tile: str = "local", overwrite: bool = False
) -> list[Path]:
    """Write where slopes let pixels be matched into the folder `Masks`: `TILE_slope_mask_mask.tif`, 8 bit.

    Parameters
    ----------
    mask
        Boolean (y, x) of `slope_mask`, or of `combine` on the grid of the images.
    folder
        Folder of the results, in which `Masks` is made.
    tile
        Name of the area in the name of the file, such as "31TGK".
    overwrite
        Replace a file of the same name.

    Returns
    -------
    list of pathlib.Path
        The file: 255 where pixels are kept, 0 where they are removed.

    Raises
    ------
    TypeError, ValueError
        If it is no boolean mask on a grid, or the tile has other signs than letters and digits.
    FileExistsError
        If the file is there and `overwrite` is False.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in xoffset.formats.gdm.write_slopes(stack[0] > 900.0, folder)]
    ['local_slope_mask_mask.tif']
    """
    caller = "gdm.write_slopes"
    target = _options.as_path(folder, "folder", caller) / MASKS
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    if not isinstance(mask, xr.DataArray) or mask.dtype != np.bool_ or set(mask.dims) != {"y", "x"}:
        raise TypeError(
            f"{caller}() needs a boolean DataArray (y, x); got {getattr(mask, 'dims', type(mask).__name__)}. Use "
            "slope_mask()."
        )
    like = service_maps.prepared(mask.astype(np.uint8).to_dataset(name="mask"), caller)
    name, about = f"{as_tile(tile, caller)}_slope_mask_mask", {"legend": LEGEND_OF_MASKS}
    sheet = Sheet(name, Mask(partial(_reaches, like["mask"].data, 1)), "1", "slopes that are kept", about)
    return service_maps.write([sheet], like, target, overwrite=is_free, caller=caller)


def write_classes(
    classes: xr.DataArray, folder: str | os.PathLike[str], *, tile: str = "local", overwrite: bool = False
) -> list[Path]:
    """Write the classes of each date into the folder `Masks`: `TILE_DATE_spectral_mask.tif`, 8 bit.

    Parameters
    ----------
    classes
        Result of `masking.classes` (time, y, x): 0 clear, 1 null, 2 cloud, 3 shadow, 4 snow, 5 water.
    folder
        Folder of the results, in which `Masks` is made.
    tile
        Name of the area in the names of the files, such as "31TGK".
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The files, date by date, whose tags have the legend.

    Raises
    ------
    TypeError, ValueError
        If these are no classes of dates on a grid, two dates are of one day, or the tile has other signs than letters
        and digits.
    FileExistsError
        If a file is there and `overwrite` is False.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96))
    >>> classes = xoffset.masking.classes((4 * (stack > 1200.0)).astype("uint8"), like=stack, legend="gdm")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in xoffset.formats.gdm.write_classes(classes, folder)][0]
    'local_20200101_spectral_mask.tif'
    """
    caller = "gdm.write_classes"
    target = _options.as_path(folder, "folder", caller) / MASKS
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    classes = checks.as_stack(classes, caller)
    meanings = str(classes.attrs.get("flag_meanings", ""))
    if classes.dtype != np.uint8 or meanings != " ".join(CLASSES):
        raise ValueError(
            f"{caller}() needs the classes {' '.join(CLASSES)} in 8 bit; got {classes.dtype} of "
            f"{meanings or 'no meaning'}. Use masking.classes(layer, like=stack)."
        )
    dates = as_dates(classes["time"].values)
    names = [f"{as_tile(tile, caller)}_{day(date)}_spectral_mask" for date in dates]
    if len(set(names)) < len(names):
        raise ValueError(f"{caller}() needs one image a day, which names tell; got {len(names)} of fewer days. Choose.")
    like = service_maps.prepared(classes.to_dataset(name="classes"), caller)
    sheets = [
        Sheet(
            name,
            like["classes"].data[k],
            "1",
            "what the pixel shows",
            {"time": date.item().isoformat(), "legend": LEGEND_OF_CLASSES},
        )
        for k, (name, date) in enumerate(zip(names, dates, strict=True))
    ]
    return service_maps.write(sheets, like, target, overwrite=is_free, caller=caller)


def _reaches(values: Any, least: float) -> np.ndarray:
    return np.asarray(values) >= least
