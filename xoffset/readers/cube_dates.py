"""Dates of the images in netCDF and HDF5 files, by the conventions of netCDF (CF) or as texts."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import xarray as xr

from xoffset.model.dates import as_instant, datetimes_from

_ADVICE = "Give one date an image, in their order: date=['2020-07-17', ...]."


def is_time(variable: xr.Variable) -> bool:
    """Whether the attributes of a variable say that it tells times."""
    meaning, axis, unit = (
        str(variable.attrs.get(name, "")).strip().lower() for name in ("standard_name", "axis", "units")
    )
    return meaning == "time" or axis == "t" or " since " in unit


def beside(data: xr.Dataset, dim: Hashable) -> Hashable | None:
    """Name of the times along a dim that has another name than they, None if there are none or it is not clear which.

    Such are those of images that are numbered, and of an order in which they were put after they had been dated.
    """
    found = {name: each for name, each in data.variables.items() if each.dims == (dim,) and is_time(each)}
    named = [name for name, each in found.items() if str(each.attrs.get("standard_name", "")).strip().lower() == "time"]
    named = named or [name for name in found if str(name).lower() == "time"] or list(found)
    return named[0] if len(named) == 1 else None


def read(data: xr.Dataset, dim: Hashable, told: str) -> np.ndarray:
    """Dates along a dim, datetime64[us]; `told` names the variable for messages."""
    is_own = dim in data.variables and (is_time(data.variables[dim]) or beside(data, dim) is None)
    name = dim if is_own else beside(data, dim)
    if name is None:
        raise ValueError(
            f"open_stack() needs dates; got {told} with the axis '{dim}' and no coordinate of it. {_ADVICE}"
        )
    stored = data.variables[name]
    if stored.dtype.kind in "OSU":
        # texts of older files are rows of letters
        texts = xr.decode_cf(xr.Dataset({"text": stored.to_base_variable()}), decode_times=False)["text"].values
        whole = [text.decode() if isinstance(text, bytes) else str(text) for text in np.ravel(texts)]
        return np.array([as_instant(text.strip(), f"each '{name}' of {told}", "open_stack") for text in whole])
    if " since " not in str(stored.attrs.get("units", "")):
        raise ValueError(
            f"open_stack() needs dates that need no guess; got '{name}' of {told} as numbers with the units "
            f"{stored.attrs.get('units')!r}. {_ADVICE}"
        )
    return decoded(stored, name, told, dim)


def decoded(stored: xr.Variable, name: Hashable, told: str, dim: Hashable) -> np.ndarray:
    """Numbers with a unit and a calendar as dates, datetime64[us]."""
    coder = xr.coders.CFDatetimeCoder(time_unit="us")
    try:
        found = xr.decode_cf(xr.Dataset({"time": stored.to_base_variable()}), decode_times=coder)["time"]
        values = np.asarray(found.values)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"open_stack() needs dates by the conventions of netCDF (CF); got '{name}' of {told} with the units "
            f"{stored.attrs.get('units')!r}: {error}. {_ADVICE}"
        ) from error
    if values.dtype.kind != "M":
        line = datetimes_from(found).replace("stack", "data", 1)
        raise ValueError(
            f"open_stack() needs dates of the standard calendar; got '{name}' of {told} in the calendar "
            f"{stored.attrs.get('calendar')!r}. Convert it with xarray, {line}, and write that to a file."
        )
    if np.isnat(values).any():
        raise ValueError(
            f"open_stack() needs a date for every image; got {int(np.isnat(values).sum())} of {told} without one. "
            f"Leave them out with xarray, data.isel({dim}=data.{name}.notnull())."
        )
    return values.astype("datetime64[us]")
