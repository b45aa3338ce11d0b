"""TICOI cubes of velocities between two dates, netCDF or Zarr, as shifts, both ways."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import border, looks, stores, writing
from xoffset.formats.names import SYSTEMS
from xoffset.model import grids

_NAMES = SYSTEMS["ticoi"].names
_DIMS = ("mid_date", "y", "x")
_DATES = ("date1", "date2")
# TICOI takes a velocity of exactly 0 for a missing one; this one is 0 for all purposes but that.
_TINY = np.float32(1e-30)
# What its inversion writes: displacements between two dates, in metres that it makes of velocities with years of 365
# days.
YEAR_DAYS = 365.0
_DISPLACEMENTS = {"dx": "dx", "dy": "dy"}
# The author of cubes whose vy points south, which TICOI turns.
_SOUTHWARD = "E. Ducasse"


def recognises(look: looks.Look) -> bool:
    """Whether a file or store is a cube of velocities or displacements between two dates."""
    is_cube = look.kind in ("hdf5", "zarr") and {*_DATES, "mid_date"} <= look.names
    return is_cube and any({names["dx"], names["dy"]} <= look.names for names in (_NAMES, _DISPLACEMENTS))


def read(source: str | os.PathLike[str] | xr.Dataset) -> xr.Dataset:
    """Shifts of a cube that TICOI reads, or that it has written.

    Velocities are multiplied by the time between the dates, in years of 365.25 days. A velocity of exactly 0 is a
    missing one, as it is to TICOI. Errors are standard errors of the velocities, (mid_date, y, x) or one a pair. Of
    cubes with displacements between two dates, which TICOI makes of velocities with years of 365 days, the same is
    turned back: they become 0.07 % shorter.

    Parameters
    ----------
    source
        netCDF file or Zarr store with dims mid_date, y, x in any order, or what xarray makes of it.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x), lazy, the pairs in the order of the cube.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If it is a netCDF file and the `netcdf` extra is not installed.
    ValueError
        If it is no such cube, or its dates cannot be read.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.ticoi.write(shifts, f"{folder}/cube.zarr")
    ...     xoffset.formats.ticoi.read(files).load().sizes["pair"] == shifts.sizes["pair"]
    True
    """
    caller = "ticoi.read"
    cube = stores.opened(source, caller)
    name = stores.name_of(source)
    is_inverted = _NAMES["dx"] not in cube.variables and {*_DATES, *_DISPLACEMENTS} <= set(cube.variables)
    names = _DISPLACEMENTS if is_inverted else _NAMES
    stores.check_has(cube, (names["dx"], names["dy"], *_DATES, "x", "y"), name, caller)
    _check_author(cube, name, caller)
    cube = cube.transpose(*_DIMS, ..., missing_dims="ignore")
    system = SYSTEMS["ticoi"]
    fields = stores.vectors_of(cube, replace(system, names=names, units="m") if is_inverted else system, caller)
    first, second = (_instants(cube[each], name, caller) for each in _DATES)
    if is_inverted:
        days = np.asarray((second - first) / np.timedelta64(1, "D"), dtype=np.float32)[:, np.newaxis, np.newaxis]
        fields = {ours: values * (np.float32(YEAR_DAYS) / days) for ours, values in fields.items()}
    else:  # it leaves out a velocity of which either component is 0
        is_missing = (fields["dx"] == 0) | (fields["dy"] == 0)
        fields |= {key: np.where(is_missing, np.float32(np.nan), fields[key]) for key in ("dx", "dy")}
    place = stores.place_of(cube, caller, _crs(cube))
    source_names = [f"{name} {number}" for number in range(first.size)]
    return border.to_shifts("ticoi", fields, first, second, place, source=source_names, caller=caller)


def write(shifts: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write shifts as a cube that TICOI reads: `vx`, `vy` in metres a year between `date1` and `date2`.

    Standard errors become `errorx` and `errory`, and are left out where none is known, for which TICOI takes 1. A
    velocity of exactly 0 is written as 1e-30 m/yr, since TICOI would take it for a missing one. Its years have 365 days
    where it makes displacements of velocities and velocities of displacements: its velocities are those of years of
    365.25 days, as ours, and its displacements 0.07 % too long.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x); lazy ones are written chunk by chunk.
    path
        netCDF file, ending in `.nc`, or Zarr store, ending in `.zarr`.
    overwrite
        Replace what is there.

    Returns
    -------
    pathlib.Path
        The file or store.

    Raises
    ------
    TypeError
        If it is no Dataset.
    ImportError
        If it is a netCDF file and the `netcdf` extra is not installed.
    FileExistsError
        If it is there and `overwrite` is False.
    ValueError
        If these are no shifts, pairs run backward in time, which TICOI does not take, standard errors lack for some of
        the pairs, or the name has another ending.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.ticoi.write(shifts, f"{folder}/cube.zarr")
    ...     xoffset.formats.ticoi.read(files).load().sizes["pair"] == shifts.sizes["pair"]
    True
    """
    caller = "ticoi.write"
    target = _options.as_path(path, "path", caller)
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    if target.suffix not in SYSTEMS["ticoi"].suffixes:
        raise ValueError(
            f"{caller}() needs a name that ends in .nc or .zarr; got {target}. TICOI tells formats by that."
        )
    cube = _cube(shifts, caller)
    with writing.replaced(target, overwrite=is_free, caller=caller) as scratch:
        if target.suffix == ".nc":
            looks.optional("h5netcdf", "netcdf", caller)
            writing.netcdf(cube, scratch, caller)
        else:
            cube.to_zarr(scratch, consolidated=False, zarr_format=2)
    return target


def _cube(shifts: xr.Dataset, caller: str) -> xr.Dataset:
    theirs = border.from_shifts("ticoi", shifts, caller=caller, fields=tuple(_NAMES))
    backward = np.flatnonzero(theirs.secondary < theirs.reference)
    if backward.size:
        raise ValueError(
            f"{caller}() needs pairs forward in time, which is all that TICOI takes; got {backward.size} backward "
            f"ones, the first is pair {backward[0]}. Leave them out: "
            "shifts.isel(pair=(shifts.secondary > shifts.reference).values)."
        )
    middle = theirs.reference + (theirs.secondary - theirs.reference) // 2
    coords: dict[str, Any] = {"mid_date": middle, "y": theirs.place.y, "x": theirs.place.x}
    cube = xr.Dataset(coords={name: (name, values) for name, values in coords.items()})
    for name, values in theirs.fields.items():
        values = values.astype(np.float32)
        if name in ("dx", "dy"):
            values = np.where(values == 0, _TINY, values)
        cube[_NAMES[name]] = (_DIMS, values, {"units": "m/yr"})
    if not _are_errors_known(theirs.fields, caller):
        cube = cube.drop_vars([_NAMES["sigma_dx"], _NAMES["sigma_dy"]])
    for name, values in zip(_DATES, (theirs.reference, theirs.secondary), strict=True):
        cube[name] = ("mid_date", values)
    # one text for all: TICOI opens no Zarr store with a variable of texts
    cube.attrs = {"author": "xoffset", "source": "xoffset", "sensor": "Unknown", "Conventions": "CF-1.11"}
    return _with_encoding(_with_crs(cube, theirs.place.crs))


def _are_errors_known(fields: Any, caller: str) -> bool:
    """Whether values have standard errors; refuse cubes in which only some have, since TICOI would lose the rest."""
    lacks = np.asarray((np.isfinite(fields["dx"]) & ~np.isfinite(fields["sigma_dx"])).any(axis=(1, 2)))
    has = np.asarray(np.isfinite(fields["sigma_dx"]).any(axis=(1, 2)))
    if lacks.any() and has.any():
        raise ValueError(
            f"{caller}() needs standard errors of all values or of none, since TICOI drops values without one; got "
            f"{int(lacks.sum())} of {lacks.size} pairs that lack some. Set them, or drop all: "
            "shifts.assign(sigma_dx=float('nan') * shifts.dx, sigma_dy=float('nan') * shifts.dy)."
        )
    return bool(has.any())


def _with_crs(cube: xr.Dataset, crs: Any) -> xr.Dataset:
    if crs is None:
        return cube
    # all that TICOI keeps of the CRS; it takes any text that pyproj does, and a text of PROJ would say less
    code = crs.to_epsg()
    cube.attrs["proj4"] = crs.to_wkt() if code is None else f"EPSG:{code}"
    cube = cube.assign_coords(spatial_ref=grids.spatial_ref(crs))
    for name in _NAMES.values():
        if name in cube:
            cube[name].encoding["grid_mapping"] = "spatial_ref"
    return cube


def _with_encoding(cube: xr.Dataset) -> xr.Dataset:
    # the day counts of TICOI's own files would lose the time of day
    for name in ("mid_date", *_DATES):
        cube[name].encoding = {"units": "microseconds since 1970-01-01", "dtype": "int64"}
    for axis in ("y", "x"):
        cube[axis].attrs = {"units": "m", "standard_name": f"projection_{axis}_coordinate"}
        cube[axis].encoding = {"_FillValue": None}
    for name in _NAMES.values():
        if name in cube:
            cube[name].encoding["_FillValue"] = np.float32(np.nan)
    return cube


def _instants(values: xr.DataArray, name: str, caller: str) -> np.ndarray:
    if values.dtype.kind == "M":
        return np.asarray(values.values)
    if values.dtype.kind in "OSUT":
        return stores.dates(values.values, f"{values.name} of {name}", caller)
    raise ValueError(
        f"{caller}() needs dates in '{values.name}' with CF units, such as 'days since 1970-01-01'; got numbers in "
        f"{name}, which may count anything. Open it with xarray, set attrs['units'], decode, and pass the Dataset."
    )


def _check_author(cube: xr.Dataset, name: str, caller: str) -> None:
    if str(cube.attrs.get("author", cube.attrs.get("Author", ""))) == _SOUTHWARD:
        raise ValueError(
            f"{caller}() needs vy toward increasing y; got {name} of the author {_SOUTHWARD!r}, for whose cubes TICOI "
            "turns it. Turn it yourself, name another author, and pass the opened Dataset."
        )


def _crs(cube: xr.Dataset) -> Any:
    found = grids.crs_of(cube)
    return grids.crs_of(cube.set_coords("grid_mapping")) if found is None and "grid_mapping" in cube else found
