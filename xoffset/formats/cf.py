"""netCDF by the CF conventions 1.11, for others' programs; `to_netcdf` is the way to come back without any loss."""

from __future__ import annotations

import importlib
import os
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import gridded, writing
from xoffset.model import grids, history, products
from xoffset.model.kinds import kind_of
from xoffset.model.variables import is_signed

# Dates in the one unit that programs read alike: QGIS takes microseconds for hours.
SECONDS = {
    "units": "seconds since 1970-01-01",
    "calendar": "proleptic_gregorian",
    "dtype": "float64",
}
# What UDUNITS does not know, and what stands in the long name instead.
_UNKNOWN_UNITS = {"pixel": "1"}
_AXES = {"x": "X", "y": "Y", "time": "T"}
_YEAR = "A year is 365.25 days."
_TITLES = {
    "network": "Pairs of images",
    "shifts": "Displacement of the ground between pairs of images",
    "series": "Displacement of the ground since a reference date",
    "rate": "Velocity of the ground",
    "displacement": "Displacement of the ground",
}
_GLACIER = {
    "vx": "land_ice_surface_x_velocity",
    "vy": "land_ice_surface_y_velocity",
    "v_east": "land_ice_surface_eastward_velocity",
    "v_north": "land_ice_surface_northward_velocity",
}


def write(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    glacier: bool = False,
    overwrite: bool = False,
) -> Path:
    """One netCDF4 file of any product, by the CF conventions 1.11.

    Rows, columns and values are as they are. Dates are seconds since 1970-01-01, float64, UTC, exact to the
    microsecond; floats that are missing are NaN, which is their `_FillValue`. Each quantity names its standard errors,
    score and flags as `ancillary_variables`, and the CRS as `grid_mapping`. A unit that the conventions do not know,
    the pixel, becomes 1 and is said in the long name. There is no standard name for displacements of the ground, only
    for velocities of glaciers.

    Parameters
    ----------
    dataset
        Any product: shifts, a series, a rate, or what else functions return, on a grid, along a profile or at points.
    path
        File to write, such as "velocity.nc".
    glacier
        Whether the ground is ice: velocities get the standard names of the surface of land ice.
    overwrite
        Replace a file that is there, as a whole.

    Returns
    -------
    pathlib.Path
        The file. `open_result` and `xarray.open_dataset(decode_coords="all")` read it.

    Raises
    ------
    TypeError
        If it is no Dataset.
    ValueError
        If its CRS is not in metres.
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
    ...     xoffset.formats.cf.write(truth[["vx", "vy"]], f"{folder}/velocity.nc").name
    'velocity.nc'
    """
    target = _options.as_path(path, "path", "cf.write")
    is_ice = _options.as_switch(glacier, "glacier", "cf.write")
    replace = _options.as_switch(overwrite, "overwrite", "cf.write")
    data = described(dataset, "cf.write")
    if is_ice:
        for name, standard in _GLACIER.items():
            if name in data:
                data[name].attrs["standard_name"] = standard
    save(data, target, overwrite=replace, caller="cf.write")
    return target


def save(data: xr.Dataset, target: Path, *, overwrite: bool, caller: str) -> None:
    """Write a dataset that is ready as netCDF4, safely."""
    try:
        for name in ("h5netcdf", "h5py"):
            importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{caller}() needs h5netcdf and h5py; got '{error}'. Install them: pip install 'xoffset[netcdf]'."
        ) from error
    with writing.replaced(target, overwrite=overwrite, caller=caller) as scratch:
        writing.netcdf(data, scratch, caller)


def described(dataset: xr.Dataset, caller: str) -> xr.Dataset:
    """Product with the attributes and the encoding of CF."""
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(
            f"{caller}() needs a Dataset; got {type(dataset).__name__}. "
            "Make a DataArray one: data.to_dataset(name='image')."
        )
    # attributes and encoding are changed below, the caller's must stay
    data = products.finish(gridded.decoded(dataset, caller).copy())
    for name, variable in data.variables.items():
        variable.attrs = _attrs(name, variable)
        variable.encoding = _encoding(name, variable, data)
    for name, others in _ancillary(data).items():
        data[name].attrs["ancillary_variables"] = " ".join(others)
    steps = [str(step["function"]) for step in history.steps(data)]
    data.attrs = {name: _safe(value) for name, value in data.attrs.items()} | {
        "Conventions": "CF-1.11",
        "title": _TITLES.get(kind_of(data) or "", "Motion of the ground"),
        "source": "displacements matched in pairs of optical images",
        "history": f"xoffset: {', '.join(steps)}" if steps else "xoffset",
    }
    return data


def _attrs(name: Hashable, variable: xr.Variable) -> dict[Any, Any]:
    attrs = {key: _safe(value) for key, value in variable.attrs.items()}
    if str(name) in _AXES and variable.dims == (name,):
        attrs["axis"] = _AXES[str(name)]
    if variable.dtype.kind == "M":
        attrs["units_metadata"] = "leap_seconds: unknown"
    units = str(attrs.get("units", ""))
    if units in _UNKNOWN_UNITS:
        attrs |= {"units": _UNKNOWN_UNITS[units], "long_name": f"{attrs.get('long_name', name)}, in {units}s"}
    if "yr" in units:  # UDUNITS has 365.2422 days
        attrs["comment"] = _YEAR
    if name == "flags":
        attrs["standard_name"] = "quality_flag"
    if "crs_wkt" in attrs:
        attrs["long_name"] = "coordinate reference system"
    if "flag_masks" in attrs:
        attrs["flag_masks"] = [variable.dtype.type(mask) for mask in attrs["flag_masks"]]
    return attrs


def _safe(value: Any) -> Any:
    """Value of an attribute that netCDF can hold: texts, numbers and lists of them; others as texts."""
    items = np.ravel(value) if isinstance(value, (list, tuple, np.ndarray)) else np.array([value], dtype=object)
    is_plain = items.dtype.kind in "iufU" or all(
        isinstance(each, str) or _options.is_number(each) or isinstance(each, float) for each in items
    )
    return value if is_plain else str(value)


def _encoding(name: Hashable, variable: xr.Variable, data: xr.Dataset) -> dict[str, Any]:
    is_data = name in data.data_vars
    encoding: dict[str, Any] = {"_FillValue": None}
    if variable.dtype.kind == "M":
        encoding |= SECONDS
    if is_data and variable.dtype.kind in "fM":
        encoding["_FillValue"] = float("nan")
    if variable.dtype.kind in "OTUS":
        del encoding["_FillValue"]
    elif variable.ndim > 1:
        encoding |= {"zlib": True, "complevel": 4, "shuffle": True}
    if is_data and _has_place(variable, data) and grids.crs_of(data) is not None:
        encoding["grid_mapping"] = "spatial_ref"
    return encoding


def _has_place(variable: xr.Variable, data: xr.Dataset) -> bool:
    """Whether each value has an x and a y: on a grid, along a line, or at points."""
    return all(name in data.coords and set(data[name].dims) <= set(variable.dims) for name in ("x", "y"))


def _ancillary(data: xr.Dataset) -> dict[str, list[str]]:
    """Names of the variables that tell how good a component is, on its dims."""
    told: dict[str, list[str]] = {}
    for name in map(str, data.data_vars):
        if not is_signed(name) or name.startswith("cov_"):
            continue
        beside = [each for each in (f"sigma_{name}", "score", "peak_gap", "flags") if each in data]
        others = [each for each in beside if set(data[each].dims) <= set(data[name].dims) and each != name]
        if others:
            told[name] = others
    return told
