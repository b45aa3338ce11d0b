"""NetCDF files and Zarr stores of others, opened without reading their values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import looks
from xoffset.model import grids
from xoffset.model.dates import as_instants

_DECODING: dict[str, Any] = {
    "decode_coords": "all",
    "decode_times": xr.coders.CFDatetimeCoder(time_unit="us"),
    "decode_timedelta": False,
}


def opened(source: Any, caller: str, *, chunks: Any = "auto") -> xr.Dataset:
    """Dataset of a netCDF4 file or a Zarr store, lazy, with fills and scales applied; one that is opened as it is.

    Raises
    ------
    TypeError
        If it is neither a path nor a Dataset.
    FileNotFoundError
        If there is nothing.
    ImportError
        If it is a netCDF file and the extra `netcdf` is not installed.
    ValueError
        If it is of another kind.
    """
    if isinstance(source, xr.Dataset):
        return source
    place = os.fspath(_options.as_path(source, "source", caller)) if not isinstance(source, str) else source
    look = looks.look(place if "://" in place else str(Path(place).expanduser()), caller)
    match look.kind:
        case "hdf5":
            looks.optional("h5netcdf", "netcdf", caller)
            return xr.open_dataset(look.place, engine="h5netcdf", chunks=chunks, **_DECODING)
        case "zarr":
            is_summed = None if "://" in place else False
            store: xr.Dataset = xr.open_zarr(look.place, consolidated=is_summed, chunks=chunks, **_DECODING)
            return store
    raise ValueError(
        f"{caller}() needs a netCDF4 file or a Zarr store; got {place} ({look.kind}). Check the path, or convert it."
    )


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


def crs_of(data: xr.Dataset) -> Any:
    """CRS of a dataset."""
    return grids.crs_of(data)


def number(attrs: Any, *names: str) -> float:
    """First of the attributes of these names that is there, as a number; NaN if none is."""
    for name in names:
        if name in attrs:
            return float(np.ravel(attrs[name])[0])
    return float("nan")
