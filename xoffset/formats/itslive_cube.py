"""ITS_LIVE datacubes: all image pairs of one area in a Zarr store or a netCDF file."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._blocks import elements
from xoffset.formats import border, itslive, looks, stores, writing
from xoffset.formats.border import Theirs
from xoffset.formats.names import SYSTEMS
from xoffset.model.dates import DAYS, in_days
from xoffset.model.flags import FLAGS

_SYSTEM = "itslive_cube"
_READ, _WRITE = "itslive_cube.read", "itslive_cube.write"
_FILL = -32767
# Names of the variables with the dates, in cubes of version 2 and of version 1.
_DATES = ("acquisition_date_img", "acquisition_img")
_ERRORS = SYSTEMS[_SYSTEM].names["sigma_dx"], SYSTEMS[_SYSTEM].names["sigma_dy"]
# Pairs and nodes of a chunk of a written cube: a node's whole history is read at once.
_PAIRS, _NODES = 20_000, 10


def recognises(look: looks.Look) -> bool:
    """Whether it is a cube."""
    has_dates = any(f"{name}1" in look.names for name in _DATES)
    return look.kind in ("zarr", "hdf5") and has_dates and {"vx", "vy", "mid_date"} <= look.names


def read(source: str | os.PathLike[str] | xr.Dataset) -> xr.Dataset:
    """Shifts of all pairs of an ITS_LIVE datacube.

    Velocities are multiplied by the time between the images. Standard errors are those that the cube tells for a pair,
    NaN where it tells none. Pairs stay in the order of the cube, and those of the same two dates are all kept: `source`
    tells their granules. Values that were interpolated have the flag `smoothed`.

    Parameters
    ----------
    source
        Zarr store, its URL, netCDF file, or what xarray makes of one, such as a part: `xarray.open_zarr(url).sel(...)`.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x), lazy unless the values of an opened cube are in memory.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ImportError
        If it is a netCDF file and the extra `netcdf` is not installed.
    ValueError
        If it is no cube, or the dates of a pair are missing, equal or beyond reason.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = xoffset.formats.itslive_cube.write(shifts, f"{folder}/cube.zarr")
    ...     xoffset.formats.itslive_cube.read(store).load().sizes == shifts.sizes
    True
    """
    data, name = stores.opened(source, _READ, are_dates_read=False), stores.name_of(source)
    stores.check_has(data, ("vx", "vy", "mid_date", "x", "y"), name, _READ)
    key = next((key for key in _DATES if f"{key}1" in data.variables), _DATES[0])
    stores.check_has(data, (f"{key}1", f"{key}2"), name, _READ)
    # one row, one column or one pair may have been selected without its dim: it has one again, as all beside it
    data = data.expand_dims([dim for dim in ("mid_date", "y", "x") if dim not in data.dims])
    data = data.transpose("mid_date", "y", "x", ...)
    fields = stores.vectors_of(data, SYSTEMS[_SYSTEM], _READ)
    # there is one a pair, read now
    fields |= {name: np.ravel(fields[name]) for name in ("sigma_dx", "sigma_dy") if name in fields}
    flags = None
    if "interp_mask" in data:
        flags = (data["interp_mask"].data == 1) * np.int64(FLAGS["smoothed"])
    urls = np.ravel(data["granule_url"].values) if "granule_url" in data else [name] * data.sizes["mid_date"]
    first, second = (np.ravel(stores.dates_of(data[f"{key}{end}"], name, _READ)) for end in (1, 2))
    place = stores.place_of(data, _READ)
    granules = [str(url).rsplit("/", 1)[-1] for url in urls]
    return border.to_shifts(_SYSTEM, fields, first, second, place, source=granules, caller=_READ, flags=flags)


def write(shifts: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Datacube in the layout of ITS_LIVE, all pairs in one Zarr store (version 2) or netCDF file.

    Velocities are whole metres a year, as in all cubes: displacements that are slower are lost, and pairs of a few days
    may be beyond what 16 bits hold. The standard error of a pair is the root mean square of those of its values.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) with a CRS. Lazy ones are computed chunk by chunk, once for the standard errors and once for
        all else.
    path
        Store that ends in .zarr, or file that ends in .nc.
    overwrite
        Replace what is there.

    Returns
    -------
    pathlib.Path
        The store or file.

    Raises
    ------
    TypeError
        If it is no Dataset.
    ImportError
        If it is a netCDF file and the extra `netcdf` is not installed.
    ValueError
        If these are no shifts, they have no CRS, the path ends otherwise, or a velocity is beyond ±32766 m/yr.
    FileExistsError
        If there is something and `overwrite` is not set.
    OSError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     xoffset.formats.itslive_cube.write(shifts, f"{folder}/cube.zarr").name
    'cube.zarr'
    """
    target = _options.as_path(path, "path", _WRITE)
    is_asked = _options.as_switch(overwrite, "overwrite", _WRITE)
    stores.check_suffix(target, SYSTEMS[_SYSTEM].suffixes, _WRITE)
    theirs = border.from_shifts(_SYSTEM, itslive.with_chips(shifts), caller=_WRITE, fields=itslive.WRITTEN)
    border.check_has_crs(theirs, _WRITE)
    with writing.replaced(target, overwrite=is_asked, caller=_WRITE) as place:
        stores.save(_cube(theirs), place, _encoding(theirs), target, _WRITE)
    return target


def _cube(theirs: Theirs) -> xr.Dataset:
    """Dataset in the layout of a cube, its maps packed."""
    dims = ("mid_date", "y", "x")
    vx, vy = theirs.fields["dx"], theirs.fields["dy"]
    maps = {"vx": vx, "vy": vy, "v": np.hypot(vx, vy), "v_error": _error_of_speed(theirs)}
    data = xr.Dataset(
        {key: (dims, _packed(values, key), itslive.about(key)) for key, values in maps.items()},
        coords={
            "mid_date": ("mid_date", theirs.reference + (theirs.secondary - theirs.reference) // 2),
            **{key: (key, getattr(theirs.place, key), itslive.AXES[key]) for key in ("y", "x")},
        },
        attrs=itslive.ROOT | {"title": "datacube of image-pair surface velocities"},
    )
    if "flags" in theirs.fields:
        mask = ((theirs.fields["flags"] & np.int64(FLAGS["smoothed"])) != 0).astype(np.uint8)
        data["interp_mask"] = (dims, mask, itslive.about("interp_mask"))
    for key in itslive.CHIPS if itslive.CHIP in theirs.fields else ():
        chips = elements.apply(itslive.packed_chips, [theirs.fields[itslive.CHIP]], np.dtype(np.uint16))
        data[key] = (dims, chips, itslive.about(key))
    per_pair = {
        "acquisition_date_img1": in_days(theirs.reference), "acquisition_date_img2": in_days(theirs.secondary),
        "date_center": in_days(data["mid_date"].values), "date_dt": theirs.days,
    }  # fmt: skip
    for key, values in per_pair.items():
        data[key] = ("mid_date", values, {"units": "days" if key == "date_dt" else DAYS})
    data["mid_date"] = ("mid_date", per_pair["date_center"], {"units": DAYS})
    for axis, name in zip("xy", _ERRORS, strict=True):
        square = xr.DataArray(theirs.fields[f"sigma_d{axis}"], dims=dims).astype(np.float64) ** 2
        mean: xr.DataArray = square.mean(dims[1:])
        data[name] = ("mid_date", np.sqrt(mean.values), {"units": "meter/year"})
    data["granule_url"] = ("mid_date", np.array(theirs.source, dtype=object))
    data["mapping"] = ((), np.int8(0), itslive.mapping(theirs))
    for variable in data.data_vars.values():
        if variable.ndim == 3:
            variable.attrs["grid_mapping"] = "mapping"
    return data


def _error_of_speed(theirs: Theirs) -> Any:
    """Standard error of the length of the velocity, NaN where nothing moves."""
    vx, vy, along_x, along_y = (theirs.fields[key] for key in ("dx", "dy", "sigma_dx", "sigma_dy"))
    return elements.apply(itslive.error_of_speed, [vx, vy, along_x, along_y], vx.dtype)


def _packed(values: Any, name: str) -> Any:
    pack = partial(border.packed, dtype="int16", fill=_FILL, what=name, unit="m/yr", caller=_WRITE)
    return elements.apply(pack, [values], np.dtype(np.int16))


def _encoding(theirs: Theirs) -> dict[str, Any]:
    """Chunks and fills by the number of dims of a variable and its type."""
    pairs, rows, columns = theirs.fields["dx"].shape
    return {"chunks": (min(pairs, _PAIRS), min(rows, _NODES), min(columns, _NODES)), "fills": {"i2": _FILL, "u2": 0}}
