"""What data declare of their own values, put into effect: fill values, scale and offset, units.

Readers of files often leave these to attributes. A number that is taken as it stands would then be a motion that never
was: -32767 where nothing is known, 2 m a day as 2 m a year, kilometres as metres.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from xoffset._options import is_number
from xoffset.model import units
from xoffset.model.tables import SHIFT_ERROR
from xoffset.model.variables import TABLES

_LOGGER = logging.getLogger(__name__)

Data = TypeVar("Data", xr.DataArray, xr.Dataset)

# names in lower case; nodatavals, scales and offsets are those of rasterio and what is made with it
_FILLS_OF_FILES = ("_fillvalue", "missing_value", "nodata", "nodatavals", "nodata_value", "no_data", "no_data_value")
# in encodings "fill_value" is what Zarr returns for a chunk that nobody wrote, which says nothing about values
_FILLS = (*_FILLS_OF_FILES, "fill_value", "fillvalue")
_SCALES, _OFFSETS = ("scale_factor", "scales"), ("add_offset", "offsets")
# what attributes say of values as they were stored, untrue of them once they are decoded
_OF_STORED = (*_FILLS, *_SCALES, *_OFFSETS, "valid_range", "valid_min", "valid_max")
# What the names of variables begin with that hold the errors of a component, or a part of it.
_COMPANIONS = ("sigma_", "cov_", "removed_")
# Share of an image that one value must fill before it is told of.
_LEAST_SHARE = 0.01
# Number of equal values that can be a fill: those of a square of 7 x 7.
_LEAST_AREA = 49


def fills_of(data: xr.DataArray) -> tuple[float, ...]:
    """Numbers that a loader declared to mean "no data", in attributes or encoding, ascending; NaN needs no telling.

    Raises
    ------
    ValueError
        If what is declared is no number.
    """
    # floats whose encoding has a fill value were decoded with it: it is a value of the file, not of the array
    places: list[tuple[Any, tuple[str, ...]]] = [(data.attrs, _FILLS)]
    if data.dtype.kind != "f":
        places.append((data.encoding, _FILLS_OF_FILES))
    found: list[float] = []
    for place, names in places:
        for name in (name for name in place if str(name).lower() in names):
            try:
                found += np.atleast_1d(np.asarray(place[name], dtype=np.float64)).ravel().tolist()
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"a number is needed as the declared nodata value; got {name}={place[name]!r}. "
                    f"Correct it: data.attrs['{name}'] = 0, or remove it."
                ) from error
    return tuple(sorted({value for value in found if not np.isnan(value)}))


def decoded(data: xr.DataArray, what: str, caller: str, *, wanted: str | None) -> xr.DataArray:
    """Values with NaN for declared fills, scaled, in the units wanted; the same object if nothing is to be done.

    Units are not looked at if none are wanted, or if none are stated.

    Raises
    ------
    ValueError
        If the units are not those of such a quantity, scale or offset is no number, or values were changed after their
        fill was declared.
    """
    fills = fills_of(data)
    scale, offset = _number(data, _SCALES, 1.0, what, caller), _number(data, _OFFSETS, 0.0, what, caller)
    ratio = 1.0 if wanted is None else _ratio(data, what, wanted, caller)
    is_scaled = (scale, offset, ratio) != (1.0, 0.0, 1.0)
    if not fills and not is_scaled:
        return data
    _check_fresh(data.data, fills, what, caller)
    values = data.astype(np.float64 if data.dtype.itemsize > 4 else np.float32)
    for fill in fills:
        # a number that the type cannot hold is that of no value
        if data.dtype.kind != "f" or abs(fill) <= float(np.finfo(data.dtype).max):
            values = values.where(data != fill)
    if is_scaled:
        values = (values * scale + offset) * ratio
    attrs: dict[Hashable, Any] = {
        name: value for name, value in data.attrs.items() if str(name).lower() not in _OF_STORED
    }
    values.attrs = attrs | ({} if wanted is None else {"units": wanted})
    return values


def with_decoded(data: xr.Dataset, caller: str) -> xr.Dataset:
    """Product whose variables are decoded, in the units of the registry, on coordinates in metres."""
    changed = {}
    for name, variable in data.data_vars.items():
        if variable.dtype.kind in "iuf" and name != "flags":
            values = decoded(variable, f"'{name}'", caller, wanted=units_of(name))
            if values is not variable:
                _check_companions(str(name), data, caller)
                changed[name] = values
    return in_metres(data.assign(changed) if changed else data, caller)


def _check_companions(name: str, data: xr.Dataset, caller: str) -> None:
    """Refuse standard errors without units beside a component whose units are converted: theirs would be a guess."""
    if not stated_units(data[name]) or units.factor(stated_units(data[name]), units_of(name) or "") in (None, 1.0):
        return
    for other in map(str, data.data_vars):
        is_shared = other.startswith(SHIFT_ERROR) and f"sigma_{name}" in data
        is_companion = other.startswith(_COMPANIONS) and (is_shared or name in other.split("_", 1)[1])
        if is_companion and not stated_units(data[other]):
            raise ValueError(
                f"{caller}() needs units of '{other}' beside those of '{name}', {stated_units(data[name])!r}; got "
                f"none. State them, dataset['{other}'].attrs['units'] = ..., since arithmetic drops attributes."
            )


def units_of(name: object) -> str | None:
    """Units of a variable, if it has the same in every product that holds one of this name; None otherwise."""
    units = {table[str(name)].units for table in TABLES if str(name) in table}
    return units.pop() if len(units) == 1 else None


def in_metres(data: Data, caller: str) -> Data:
    """Data whose coordinates x and y are in metres; the same object if they are, or state no units.

    Raises
    ------
    ValueError
        If they are angles, counts of pixels, or of units that are not known.
    """
    changed: dict[Hashable, Any] = {}
    for name in ("x", "y"):
        if name not in data.coords:
            continue
        coordinate = data.coords[name]
        stated = units.parse(stated_units(coordinate))
        if _is_angle(coordinate) or stated == units.parse("degree"):
            raise ValueError(
                f"{caller}() needs x and y in metres; got '{name}' in degrees. "
                "Reproject first: stack.rio.reproject(stack.rio.estimate_utm_crs())."
            )
        ratio = _ratio(coordinate, f"'{name}'", "m", caller)
        if ratio != 1.0:
            values = coordinate.values.astype(np.float64) * ratio
            changed[name] = (coordinate.dims, values, dict(coordinate.attrs) | {"units": "m"})
    return data.assign_coords(changed) if changed else data


def _is_angle(coordinate: xr.DataArray) -> bool:
    """Whether its name in CF is that of an angle, or the name for readers where no units are stated."""
    names = [str(coordinate.attrs.get("standard_name", ""))]
    if not stated_units(coordinate):
        names.append(str(coordinate.attrs.get("long_name", "")))
    return any(word in name.lower() for name in names for word in ("longitude", "latitude", "angular"))


def stated_units(data: xr.DataArray) -> str:
    """Units that data state, empty if none."""
    stated = data.attrs.get("units")
    return "" if stated is None else str(stated).strip()


def _ratio(data: xr.DataArray, what: str, wanted: str, caller: str) -> float:
    """Factor from the units stated to those wanted."""
    stated = stated_units(data)
    ratio = units.factor(stated, wanted) if stated else 1.0
    if ratio is not None:
        return ratio
    known = units.parse(stated)
    advice = f"Convert it and say so: values.assign_attrs(units={wanted!r})"
    if known is not None and any(dimension == "pixel" for dimension, _ in known.powers):
        advice = f"Multiply it by the side of a pixel in metres and say so: values.assign_attrs(units={wanted!r})"
    elif known is not None and wanted == "m" and what in ("'x'", "'y'"):
        advice = "Reproject first, stack.rio.reproject(stack.rio.estimate_utm_crs()), or correct the attribute"
    elif known is not None:
        advice += ". Arithmetic keeps the units of what went in: correct them if the values are right"
    raise ValueError(f"{caller}() needs {what} in {wanted}; got units {stated!r}. {advice}.")


def _number(data: xr.DataArray, names: tuple[str, ...], default: float, what: str, caller: str) -> float:
    """Scale or offset that is still to be applied; decoding moves both to the encoding."""
    name = next((name for name in names if name in data.attrs), names[0])
    value = data.attrs.get(name, default)
    value = np.ravel(value)[0] if isinstance(value, (tuple, list, np.ndarray)) and np.size(value) == 1 else value
    if not is_number(value):
        raise ValueError(
            f"{caller}() needs a finite number as {name} of {what}; got {value!r}. Correct or remove that attribute."
        )
    return float(value)


def tell_of_stale_fill(stack: xr.DataArray, caller: str) -> None:
    """Log that pixels in memory may have been changed after their fill was declared: results hold nonetheless.

    Areas of one value take no part in a match, whatever the value. Only the first image is looked at.
    """
    fills = fills_of(stack)
    if not fills or not isinstance(stack.data, np.ndarray):
        return
    image = stack.data[0]
    lowest = image.min()
    share = float((image == lowest).mean())
    if share >= _LEAST_SHARE and not _holds(image, fills):
        _LOGGER.warning(
            "%s() found the declared nodata value %g nowhere in the first image, and %g in %.0f %% of it: arithmetic "
            "may have changed the one to the other. Such areas are left out, scattered pixels are not: mask before "
            "computing, stack.where(stack != %g), and delete the attribute.",
            caller, fills[0], lowest, 100.0 * share, fills[0],
        )  # fmt: skip


def _holds(values: np.ndarray, fills: tuple[float, ...]) -> bool:
    """Whether any of the numbers occurs, each rounded as the values are."""
    # one at a time: NumPy rounds a plain number to the type of the array, not an array of them
    return any(bool((values == fill).any()) for fill in fills)


def _check_fresh(values: Any, fills: tuple[float, ...], what: str, caller: str) -> None:
    """Refuse values in memory that arithmetic took away from their declared fill, where that can be told.

    The fill occurs nowhere, and many values are one number other than zero that lies further from all others than
    these from one another. Lazy values are not looked at.
    """
    if not fills or not isinstance(values, np.ndarray) or _holds(values, fills):
        return
    finite = values[np.isfinite(values)].astype(np.float64)
    for extreme in (finite.min(initial=np.inf), finite.max(initial=-np.inf)):
        others = finite[finite != extreme]
        count = finite.size - others.size
        if extreme and others.size and count >= _LEAST_AREA and np.abs(others - extreme).min() > np.ptp(others):
            raise ValueError(
                f"{caller}() needs {what} as it was when its nodata value {fills[0]:g} was declared, or without that; "
                f"got {count} values of {extreme:g}, far from all others, and none of the declared one, as after "
                "arithmetic. Mask before computing, data.where(data != fill), and delete the attribute; or open files "
                "with mask_and_scale=True."
            )
