"""What MintPy makes of offsets: residuals, counts, and velocities, in HDF5 and, of these, GeoTIFF."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import looks, mintpy_grid, rasters, service_maps, writing
from xoffset.formats.border import Place
from xoffset.model import checks, grids
from xoffset.model.dates import as_dates

# Ends of the names of its files: along x, which it calls range, and along y.
_COMPONENTS = {"Rg": "x", "Az": "y"}
# Names of the GeoTIFFs of velocities.
_MAPS = {"x": ("velocity_ew.tif", "east"), "y": ("velocity_sn.tif", "north")}


def write_quality(misclosure: xr.Dataset, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Write `residualInvRg.h5`, `numInvOffsetRg.h5` and those of `Az`, as MintPy's inversion of offsets does.

    `residual` is the root of the sum of the squared residuals of the pairs of a pixel [m], which grows with their
    number; NaN where there are none. `mask` is the number of pairs with a value.

    Parameters
    ----------
    misclosure
        Result of `misclosure`; it is computed as a whole.
    folder
        Where the files go; made if it is not there.
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The four files.

    Raises
    ------
    ImportError
        If the `netcdf` extra, which brings h5py, is not installed.
    TypeError, ValueError
        If it is another dataset.
    FileExistsError
        If a file is there and `overwrite` is False.
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2021-01-01", "2022-01-01"])
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    >>> found = xoffset.misclosure(shifts, xoffset.invert(shifts))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in xoffset.formats.mintpy.write_quality(found, folder)][:2]
    ['residualInvRg.h5', 'numInvOffsetRg.h5']
    """
    caller = "mintpy.write_quality"
    target, is_free = _options.as_path(folder, "folder", caller), _options.as_switch(overwrite, "overwrite", caller)
    found = service_maps.prepared(checks.check_pairs(misclosure, caller), caller)
    files = {}
    for end, axis in _COMPONENTS.items():
        rest = _field(found, f"residual_d{axis}", "misclosure()", caller).values.astype(np.float64)
        count = np.isfinite(rest).sum(axis=0)
        norm = np.where(count > 0, np.sqrt(np.nansum(rest * rest, axis=0)), np.nan)
        files[f"residualInv{end}.h5"] = ({"residual": norm}, {"FILE_TYPE": "residual", "UNIT": "m"})
        files[f"numInvOffset{end}.h5"] = ({"mask": count}, {"FILE_TYPE": "mask", "UNIT": "1"})
    with writing.replaced_all(target, list(files), overwrite=is_free, caller=caller) as scratch:
        _write(files, found, scratch, caller)
    return [target / name for name in files]


def write_velocity(rate: xr.Dataset, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Write `velocityRg.h5`, `velocityAz.h5`, as MintPy has them, and `velocity_ew.tif`, `velocity_sn.tif`.

    `velocity` and its standard error `velocityStd` in metres a year, positive toward increasing x (east) and y (north);
    NaN where there is none.

    Parameters
    ----------
    rate
        Result of `velocity`; it is computed as a whole.
    folder
        Where the files go; made if it is not there.
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    ImportError
        If the `netcdf` extra, which brings h5py, is not installed.
    TypeError, ValueError
        If it is no rate on a grid.
    FileExistsError
        If a file is there and `overwrite` is False.
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2021-01-01", "2022-01-01"])
    >>> rate = xoffset.velocity(xoffset.correlate(stack, xoffset.pairs(stack), search=5))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in xoffset.formats.mintpy.write_velocity(rate, folder)]
    ['velocityRg.h5', 'velocityAz.h5', 'velocity_ew.tif', 'velocity_sn.tif']
    """
    caller = "mintpy.write_velocity"
    target, is_free = _options.as_path(folder, "folder", caller), _options.as_switch(overwrite, "overwrite", caller)
    rate = service_maps.prepared(rate, caller).compute()
    told = {"FILE_TYPE": "velocity", "UNIT": "m/year"} | _span(rate)
    files = {
        f"velocity{end}.h5": (
            {
                "velocity": _field(rate, f"v{axis}", "velocity()", caller).values,
                "velocityStd": _field(rate, f"sigma_v{axis}", "velocity()", caller).values,
            },
            told,
        )
        for end, axis in _COMPONENTS.items()
    }
    names = [*files, *(name for name, _ in _MAPS.values())]
    with writing.replaced_all(target, names, overwrite=is_free, caller=caller) as scratch:
        _write(files, rate, scratch, caller)
        options = rasters.profile(Place.of(rate), grids.spacing(rate, caller))
        for axis, (name, toward) in _MAPS.items():
            about = {"units": "m yr-1", "long_name": f"velocity, {toward} positive"}
            rasters.write(scratch / name, {"": rate[f"v{axis}"].values.astype(np.float32)}, options, about, caller)
    return [target / name for name in names]


def _field(data: xr.Dataset, name: str, made_by: str, caller: str) -> xr.DataArray:
    if name not in data:
        raise ValueError(
            f"{caller}() needs '{name}'; got variables {list(map(str, data.data_vars))}. Pass the result of {made_by}."
        )
    return data[name]


def _span(rate: xr.Dataset) -> dict[str, str]:
    """First and last date of any pixel, as far as they are told."""
    if "first" not in rate or "last" not in rate:
        return {}
    first, last = (as_dates(rate[name].values.ravel()) for name in ("first", "last"))
    known = ~np.isnat(first)
    if not known.any():
        return {}
    days = [str(np.datetime_as_string(day, "D")).replace("-", "") for day in (first[known].min(), last[known].max())]
    return {"START_DATE": days[0], "END_DATE": days[1], "DATE12": f"{days[0]}_{days[1]}", "REF_DATE": days[0]}


def _write(
    files: Mapping[str, tuple[Mapping[str, np.ndarray], Mapping[str, str]]], like: xr.Dataset, folder: Path, caller: str
) -> None:
    h5py: Any = looks.optional("h5py", "netcdf", caller)
    attrs = mintpy_grid.georeference(Place.of(like), grids.spacing(like, caller))
    for name, (fields, told) in files.items():
        with writing.explained(folder, caller), h5py.File(folder / name, "w") as file:
            for field, values in fields.items():
                file[field] = values.astype(np.float32)
            file.attrs.update(attrs | dict(told))
