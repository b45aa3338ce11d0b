"""The direction in which the ground should move, from another field, at the nodes of shifts."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import xarray as xr

from xoffset._blocks import elements
from xoffset.model import checks, grids, units
from xoffset.model.declared import decoded, in_metres, stated_units

_log = logging.getLogger(__name__)

# Azimuths within two pi that are worth a word: of fewer it may be by chance.
_MANY = 100
# Largest azimuth [degree], with what rounding adds to a full turn.
_LARGEST_AZIMUTH = 360.001


def toward(direction: xr.DataArray | xr.Dataset, shifts: xr.Dataset) -> tuple[Any, Any]:
    """Unit vectors x and y (y, x) of the direction of motion at the nodes, NaN where unknown; lazy if it is.

    The direction is a DataArray (y, x) of azimuths from grid north, or a Dataset with vx, vy or dx, dy. Each node takes
    the nearest pixel of it.

    Raises
    ------
    TypeError, ValueError
        If it is neither, has other dims, units, another north or another CRS, or lies elsewhere.
    """
    x, y = _vectors(direction)
    of_field, wanted = grids.crs_of(direction), grids.crs_of(shifts)
    if of_field is not None and wanted is not None and not grids.agree(of_field, wanted):
        raise ValueError(
            f"screen() needs direction in the CRS of the shifts, {wanted.name}; got {of_field.name}. Reproject what it "
            "is made of, such as the elevation model, and make it anew: dem.rio.reproject(shifts.rio.crs)."
        )
    places = {axis: _nearest(x[axis].values, shifts[axis].values) for axis in ("y", "x")}
    is_outside = np.logical_or.outer(places["y"] < 0, places["x"] < 0)
    if is_outside.all():
        raise ValueError(
            "screen() needs direction on the ground of the shifts; got one that no node lies on. Check the extent and "
            "the CRS of both."
        )
    x, y = (_unit(each, x, y).isel(y=places["y"], x=places["x"]).data for each in (x, y))
    x, y = (elements.apply_if(_any, _inside, [each, is_outside], shifts["dx"].dtype) for each in (x, y))
    return x, y


def _unit(component: xr.DataArray, x: xr.DataArray, y: xr.DataArray) -> xr.DataArray:
    """Component of the vector of length one; NaN of a vector that has none."""
    length = (x**2 + y**2) ** 0.5
    return component / length.where(length > 0.0)


def _any(_: np.ndarray, is_outside: np.ndarray) -> bool:
    return bool(is_outside.any())


def _inside(values: np.ndarray, is_outside: np.ndarray) -> np.ndarray:
    return np.where(is_outside, np.nan, values)


def _vectors(direction: xr.DataArray | xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Components x and y (y, x) of a field, float64, of any length."""
    if isinstance(direction, xr.Dataset):
        field, names = checks.as_vectors(direction, "screen")
        x, y = (_forward(field, names[0]) * field[name].astype(np.float64) for name in names)
        _check_dims(x)
        return x, y
    if not isinstance(direction, xr.DataArray) or direction.dtype.kind not in "iuf":
        got = f"dtype {direction.dtype}" if isinstance(direction, xr.DataArray) else type(direction).__name__
        raise TypeError(
            "screen() needs a DataArray (y, x) of azimuths in degrees, or a Dataset with vx and vy, as direction; got "
            f"{got}. Pass the aspect of a slope, or the rate of velocity()."
        )
    _check_dims(direction)
    _check_north(direction)
    known = decoded(in_metres(direction, "screen"), "direction", "screen", wanted="degree").astype(np.float64)
    stated = stated_units(direction)
    # what no azimuth can be is a fill that nobody declared; -1, of whatever unit, is level ground of other software
    level = -(units.factor(stated, "degree") or 1.0) if stated else -1.0
    is_azimuth = (abs(known) <= _LARGEST_AZIMUTH) & (abs(known - level) > 1e-5)
    if not stated:
        _tell_radians(known.where(is_azimuth))
    azimuth = (known.where(is_azimuth) * (np.pi / 180.0)).copy()
    return azimuth.copy(data=np.sin(azimuth.data)), azimuth.copy(data=np.cos(azimuth.data))


def _tell_radians(azimuth: xr.DataArray) -> None:
    """Log that azimuths in memory, which are taken for degrees, look like radians."""
    if not isinstance(azimuth.data, np.ndarray):
        return
    values = azimuth.values[np.isfinite(azimuth.values)]
    if values.size >= _MANY and abs(values).max() <= 2.0 * np.pi and np.ptp(values) > np.pi:
        _log.warning(
            "screen(): all %d azimuths of direction are from %.3g to %.3g, as if in radians; they are taken for "
            "degrees. If they are none, say so: direction.assign_attrs(units='radian').",
            values.size, values.min(), values.max(),
        )  # fmt: skip


def _forward(field: xr.Dataset, name: str) -> float:
    """Sign that makes a displacement one forward in time: -1 of one from the later to the earlier date."""
    ends = [field.coords[each] for each in ("reference", "secondary") if each in field.coords]
    if name != "dx" or len(ends) < 2 or any(end.ndim or end.dtype.kind != "M" for end in ends):
        return 1.0
    return -1.0 if ends[0].values > ends[1].values else 1.0


def _check_north(direction: xr.DataArray) -> None:
    """Refuse azimuths that say that they count from true north."""
    texts = [str(direction.name), *(f"{name} {text}" for name, text in direction.attrs.items())]
    if any("true north" in text.lower().replace("_", " ").replace("-", " ") for text in texts):
        raise ValueError(
            "screen() needs direction clockwise from the north of the grid; got one from true north, as its attributes "
            "say. Pass the direction of the product before ground(), or its dataset with vx and vy."
        )


def _check_dims(field: xr.DataArray) -> None:
    if field.dims != ("y", "x") or any(name not in field.coords for name in ("y", "x")) or not field.size:
        raise ValueError(
            f"screen() needs direction with dims ('y', 'x') and the coordinates of both; got dims {field.dims}, shape "
            f"{field.shape}. Take one date or the mean over time, and reorder: direction.transpose('y', 'x')."
        )


def _nearest(field: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Index of the pixel that each node lies on, -1 of none."""
    order = np.argsort(field, kind="stable")
    ordered = field[order].astype(np.float64)
    half = 0.5 * np.diff(ordered).min(initial=np.inf)
    half = half if np.isfinite(half) else 0.0
    after = np.clip(np.searchsorted(ordered, nodes), 1, max(len(ordered) - 1, 1))
    after = np.minimum(after, len(ordered) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(nodes - ordered[before] <= ordered[after] - nodes, before, after)
    is_on = np.abs(ordered[nearest] - nodes) <= half * (1.0 + 1e-6) + 1e-6
    return np.where(is_on, order[nearest], -1)
