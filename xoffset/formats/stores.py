"""NetCDF files and Zarr stores of others, opened without reading their values."""

from __future__ import annotations

import math
import os
import re
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import border, looks, writing
from xoffset.formats.border import Place
from xoffset.formats.names import System
from xoffset.model import declared, grids
from xoffset.model.dates import NOT_A_DATE, as_dates, as_instants

_DECODING: dict[str, Any] = {
    "decode_coords": "all",
    # days in floating point are no whole microseconds
    "decode_times": xr.coders.CFDatetimeCoder(time_unit="ns"),
    "decode_timedelta": False,
}
# Memory up to which stored chunks are joined to one dask chunk, bytes.
_TASK_BYTES = 16 * 2**20
# Seconds of the units of dates in CF, singular.
_SECONDS = {"day": 86_400.0, "hour": 3600.0, "minute": 60.0, "second": 1.0, "millisecond": 1e-3, "microsecond": 1e-6}


def opened(source: Any, caller: str, *, are_dates_read: bool = True) -> xr.Dataset:
    """Dataset of a netCDF4 file or a Zarr store, lazy, with fills and scales applied; one that is opened as it is.

    Without `are_dates_read` dates stay numbers, for `dates_of`, which says which one is wrong.

    Raises
    ------
    TypeError
        If it is neither a path nor a Dataset.
    FileNotFoundError
        If there is nothing.
    ImportError
        If it is a netCDF file and the extra `netcdf` is not installed.
    OSError
        If a store on disk lacks chunks that would be read as numbers.
    ValueError
        If it is of another kind.
    """
    if isinstance(source, xr.Dataset):
        return source
    place = os.fspath(_options.as_path(source, "source", caller)) if not isinstance(source, str) else source
    look = looks.look(place if "://" in place else str(Path(place).expanduser()), caller)
    decoding = _DECODING if are_dates_read else _DECODING | {"decode_times": False}
    match look.kind:
        case "hdf5":
            looks.optional("h5netcdf", "netcdf", caller)
            return _lazy(xr.open_dataset(look.place, engine="h5netcdf", chunks=None, **decoding))
        case "zarr":
            is_summed = None if "://" in place else False
            store = xr.open_zarr(look.place, consolidated=is_summed, chunks=None, **decoding)
            if "://" not in place:
                _check_whole(look.place, store, caller)
            return _lazy(store)
    raise ValueError(
        f"{caller}() needs a netCDF4 file or a Zarr store; got {place} ({look.kind}). Check the path, or convert it."
    )


def _maps(data: xr.Dataset) -> list[str]:
    """Names of the variables with rows and columns."""
    return [
        str(name) for name, each in data.variables.items() if {"y", "x"} <= set(each.dims) and each.dtype.kind in "iuf"
    ]


def _check_whole(place: str, store: xr.Dataset, caller: str) -> None:
    """Refuse a store that lacks chunks where these would be read as zeros or the like, not as the declared nodata."""
    import zarr

    group = zarr.open_group(place, mode="r")
    for name in _maps(store):
        array: Any = group[name]
        # of version 2, what Zarr returns for a chunk that nobody wrote is the declared nodata too
        declared = [store[name].encoding.get(key) for key in ("missing_value", "_FillValue")]
        is_told = array.fill_value is not None and (
            array.fill_value in declared or array.fill_value != array.fill_value
        )
        # a mask of nothing but zeros may well be left out
        if not is_told and array.dtype.kind != "u" and array.nchunks_initialized < array.nchunks:
            raise OSError(
                f"{caller}() needs a whole store; got {place} with {array.nchunks_initialized} of {array.nchunks} "
                f"chunks of '{name}'; the missing ones would be read as {array.fill_value or 0}. Fetch it again."
            )


def _lazy(data: xr.Dataset) -> xr.Dataset:
    """Dataset whose maps are dask arrays of whole stored chunks, as many as make a task worth its overhead."""
    maps = _maps(data)
    if not maps:
        return data
    largest = max((data.variables[name] for name in maps), key=lambda each: each.size)
    stored = largest.encoding.get("preferred_chunks", {})
    chunks = {dim: min(int(stored.get(dim, size)), size) for dim, size in zip(largest.dims, largest.shape, strict=True)}
    for dim in sorted(chunks, key=lambda dim: {"x": 1, "y": 2}.get(str(dim), 0)):
        size = 4 * math.prod(chunks.values())
        chunks[dim] = min(chunks[dim] * max(1, _TASK_BYTES // size), data.sizes[dim])
    # the random token keeps a cluster from mistaking a rewritten file for the one it has already read
    token = uuid.uuid4().hex
    lazy = {name: {dim: chunks.get(dim, -1) for dim in data[name].dims} for name in maps}
    return data.assign({name: data[name].chunk(sides, token=f"{name}-{token}") for name, sides in lazy.items()})


def dates(values: Any, what: str, caller: str) -> np.ndarray:
    """Dates of texts in ISO 8601, basic or extended, as datetime64[us].

    Raises
    ------
    ValueError
        If one is none.
    """
    texts = [each.decode() if isinstance(each, bytes) else each for each in np.ravel(np.asarray(values, dtype=object))]
    found = as_instants(texts)
    if np.isnat(found).any():
        wrong = texts[int(np.flatnonzero(np.isnat(found))[0])]
        raise ValueError(
            f"{caller}() needs dates in ISO 8601 as {what}; got {wrong!r}. Correct the attribute, or pass the opened "
            "Dataset with the right one."
        )
    return found


def dates_of(values: xr.DataArray, name: str, caller: str) -> np.ndarray:
    """Dates of a variable as datetime64[us], NaT where there is none: dates, texts, or numbers with units of CF.

    Raises
    ------
    ValueError
        If these are numbers of units that are not known.
    """
    if values.dtype.kind == "M":
        return as_dates(values.values)
    if values.dtype.kind not in "fiu":
        return as_instants(np.ravel(values.values).tolist())
    stated = re.fullmatch(r"\s*(\w+)\s+since\s+(.+?)\s*", str(values.attrs.get("units", "")))
    length = _SECONDS.get(stated[1].rstrip("s")) if stated else None
    start = as_instants([stated[2].removesuffix(".0")])[0] if stated else NOT_A_DATE
    if length is None or np.isnat(start):
        raise ValueError(
            f"{caller}() needs dates in {values.name!r} with units such as 'days since 1970-01-01'; got "
            f"{values.attrs.get('units')!r} in {name}. Correct the attribute, or pass the opened Dataset with dates."
        )
    seconds = np.asarray(values.values, dtype=np.float64) * length
    is_known = np.abs(seconds) < 1e12
    found = start + np.rint(np.where(is_known, seconds, 0.0) * 1e6).astype("timedelta64[us]")
    return np.asarray(np.where(is_known, found, NOT_A_DATE))


def check_has(data: xr.Dataset, names: Any, place: str, caller: str) -> None:
    """Refuse a file that lacks variables."""
    lacking = [name for name in names if name not in data.variables]
    if lacking:
        raise ValueError(
            f"{caller}() needs variables {', '.join(names)}; got none called {', '.join(lacking)} in {place}, but "
            f"{', '.join(sorted(map(str, data.variables)))[:200]}. Is it of another system? See open_shifts()."
        )


def name_of(source: Any) -> str:
    """Name of a file or store without its folder; that of what an opened Dataset was read from."""
    if isinstance(source, xr.Dataset):
        source = source.encoding.get("source", "dataset")
    return str(os.fspath(source)).rstrip("/").rsplit("/", 1)[-1]


def vectors_of(data: xr.Dataset, system: System, caller: str) -> dict[str, Any]:
    """Components and their standard errors by our names, in the units of the system, NaN where there are none.

    What they declare is put into effect: nodata, scale and offset, units. Errors that state no units have those of
    their component; those that are not there are left out.

    Raises
    ------
    ValueError
        If their units are those of another quantity.
    """
    found = {}
    for ours, theirs in system.names.items():
        if theirs in data.variables:
            component = data[system.names[ours.removeprefix("sigma_")]]
            stated = declared.stated_units(data[theirs]) or declared.stated_units(component)
            values = declared.decoded(data[theirs], f"'{theirs}'", caller, wanted=None)
            # numbers for no value go before units turn them into others
            values = values.copy(data=border.without(values.data, system.nodata)).assign_attrs(units=stated)
            found[ours] = declared.decoded(values, f"'{theirs}'", caller, wanted=system.units).data
    return found


def place_of(data: xr.Dataset, caller: str, crs: Any = None) -> Place:
    """Grid of a dataset in metres; `crs` is that of one that does not tell it as CF does.

    Raises
    ------
    ValueError
        If coordinates are in degrees, or units that are no lengths.
    """
    crs = grids.crs_of(data) if crs is None else crs
    grids.check_crs(crs, data, caller)  # which CRS would do is the better advice where there is one
    x, y = (np.asarray(axis.values, dtype=np.float64) for axis in (declared.in_metres(data, caller)[k] for k in "xy"))
    return Place(x, y, crs)


def number(attrs: Any, *names: str) -> float:
    """First of the attributes of these names that is there, as a number; NaN if none is."""
    for name in names:
        if name in attrs:
            return float(np.ravel(attrs[name])[0])
    return float("nan")


def check_suffix(path: Path, suffixes: tuple[str, ...], caller: str) -> None:
    """Refuse a path that ends otherwise: it tells the kind of store."""
    if path.suffix not in suffixes:
        raise ValueError(
            f"{caller}() needs a path that ends in {' or '.join(suffixes)}; got {path.name}. The end tells what is "
            "written: rename it."
        )


def save(data: xr.Dataset, place: Path, encoding: Any, target: Path, caller: str) -> None:
    """Write a Dataset whose maps are packed already to a Zarr store of version 2 or a netCDF file, by its suffix.

    `encoding` has the `chunks` of maps (any, y, x) and the `fills` of those of some types, such as "i2".
    """
    is_zarr = place.suffix == ".zarr"
    for name, variable in data.variables.items():
        variable.encoding = {} if variable.dtype.kind == "O" else {"_FillValue": None}
        if variable.ndim == 3:
            fill = encoding["fills"].get(variable.dtype.str[1:])
            fill = {} if fill is None else {"_FillValue": variable.dtype.type(fill)}
            chunks = {"chunks" if is_zarr else "chunksizes": encoding["chunks"]}
            variable.encoding |= fill | chunks | ({} if is_zarr else {"zlib": True, "complevel": 2})
            data[name] = (
                variable.chunk(dict(zip(variable.dims, encoding["chunks"], strict=True)))
                if (variable.chunks is not None)
                else variable
            )
    if is_zarr:
        data.to_zarr(place, zarr_format=2, consolidated=True)
    else:
        looks.optional("h5netcdf", "netcdf", caller)
        writing.netcdf(data, place, caller)
