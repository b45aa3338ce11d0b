"""netCDF that QGIS opens as a mesh: arrows and animations of the motion."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import cf, gridded
from xoffset.model.dates import Date, as_dates, as_instant
from xoffset.model.variables import COMPONENTS

# The number for no data: the readers of QGIS compare with it, and NaN is equal to nothing.
_NO_DATA = -9999.0


def write(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    date: Date | None = None,
    overwrite: bool = False,
) -> Path:
    """NetCDF file of a series or a map for QGIS, which draws its arrows and plays its dates (Layer, Add Mesh Layer).

    Two components are one vector there, known by their long names, "x component of ..." and "y component of ...". All
    floating-point numbers on the grid are written, float32, -9999 where they are unknown; flags and counts are not.
    Dates are seconds since 1970-01-01. Rows are north up.

    Parameters
    ----------
    dataset
        Series (time, y, x), or a map (y, x) such as a rate.
    path
        File to write, such as "velocity.nc".
    date
        Date of a map, which the time of QGIS needs. None: that of its coordinate `time`, or the latest of its variable
        `last`.
    overwrite
        Replace a file that is there, as a whole.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TypeError
        If it is no Dataset.
    ValueError
        If there are no numbers on (time, y, x) or (y, x), a map has no date, or a series is given one.
    ImportError
        If h5netcdf or h5py is not installed.
    FileExistsError
        If there is a file and it may not be replaced.
    OSError
        If it cannot be written; nothing is left of it then.

    Examples
    --------
    >>> import tempfile
    >>> import xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     xoffset.formats.mesh.write(truth[["vx", "vy"]], f"{folder}/velocity.nc", date="2021-01-01").name
    'velocity.nc'
    """
    target = _options.as_path(path, "path", "mesh.write")
    replace = _options.as_switch(overwrite, "overwrite", "mesh.write")
    data = gridded.as_gridded(dataset, "mesh.write")
    names = [
        name
        for name, field in data.data_vars.items()
        if field.dtype.kind == "f" and set(field.dims) in ({"y", "x"}, {"time", "y", "x"})
    ]
    if not names:
        raise ValueError(
            f"mesh.write() needs numbers on (time, y, x) or (y, x); got {list(map(str, dataset.data_vars))} with dims "
            f"{tuple(dataset.dims)}. Pass a series or a rate, or one pair: shifts.isel(pair=0)."
        )
    is_series = any("time" in data[name].dims for name in names)
    if is_series and date is not None:
        raise ValueError(f"mesh.write() needs no date for a series, which has its own; got {date!r}. Leave it out.")
    # maps beside the dates of a series, such as rms, would need a date of their own
    names = [name for name in names if not is_series or "time" in data[name].dims]
    moment = None if is_series else _date(data, date)
    data = data[names].drop_vars([name for name in data.coords if name not in ("time", "y", "x", "spatial_ref")])
    if moment is not None:
        data = data.drop_vars("time", errors="ignore").expand_dims(time=[moment])
    data = gridded.north_up(data.transpose("time", "y", "x"), "mesh.write")
    ready = cf.described(data, "mesh.write")
    for name, text in _long_names(ready).items():
        ready[name].attrs["long_name"] = text
    for each in ready.data_vars:
        ready[each] = ready[each].astype(np.float32)
        ready[each].encoding = {
            "_FillValue": np.float32(_NO_DATA), "zlib": True, "complevel": 4, "shuffle": True,
        } | ({"grid_mapping": "spatial_ref"} if "spatial_ref" in ready.coords else {})  # fmt: skip
    cf.save(ready, target, overwrite=replace, caller="mesh.write")
    return target


def _date(data: xr.Dataset, date: Date | None) -> np.datetime64:
    """Date of a map."""
    if date is not None:
        return as_instant(date, "date", "mesh.write")
    if "time" in data.coords and not data["time"].ndim:
        return as_instant(data["time"].values, "time", "mesh.write")
    last = as_dates(data["last"].values) if "last" in data and data["last"].dtype.kind == "M" else np.empty(0, "M8[us]")
    if not (~np.isnat(last)).any():
        raise ValueError(
            "mesh.write() needs the date of a map; got none in the coordinate 'time' or the variable 'last'. "
            "Give it: date='2021-06-01'."
        )
    return np.datetime64(last[~np.isnat(last)].max())


def _long_names(data: xr.Dataset) -> dict[str, str]:
    """Long names by which two components are one vector."""
    names: dict[str, str] = {}
    for x, y in COMPONENTS.vectors.items():
        if x in data and y in data:
            text = str(data[x].attrs.get("long_name", x)).replace(" along x", "")
            names |= {x: f"x component of {text}", y: f"y component of {text}"}
    return names
