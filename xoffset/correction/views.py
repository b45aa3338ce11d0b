"""Where satellites stood at each date, on the nodes of a product."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._blocks import whole
from xoffset._options import speaking_as
from xoffset.masking import places
from xoffset.model import north
from xoffset.model.dates import as_dates
from xoffset.model.declared import decoded

_NAMES = ("view_zenith", "view_azimuth")


def views_on_nodes(view: xr.Dataset, like: xr.DataArray, dates: np.ndarray | None, caller: str) -> list[Any]:
    """Zenith angle and azimuth clockwise from grid north (date, rows, columns) [degree], NumPy or dask.

    view: `view_zenith` and `view_azimuth` from true north, on (time, y, x), or on (time) for scenes as wholes. like: a
    layer on the nodes. dates: those that are wanted, in this order; None: all that there are.

    Raises
    ------
    TypeError
        If it is no Dataset, or the angles are no numbers.
    ValueError
        If angles or dates are missing, dims or units are others, an angle is not one of a view, or it lies elsewhere.
    """
    if not isinstance(view, xr.Dataset):
        raise TypeError(
            f"{caller}() needs a Dataset with 'view_zenith' and 'view_azimuth' as view; got {type(view).__name__}. Use "
            "xoffset.angles(...)."
        )
    lacking = [name for name in _NAMES if name not in view]
    if lacking or "time" not in view.coords:
        raise ValueError(
            f"{caller}() needs 'view_zenith' and 'view_azimuth' [degree] on 'time' as view; got none of "
            f"{lacking or ['time']}. Use xoffset.angles(...), or make them: xarray.Dataset({{'view_zenith': ('time', "
            "[...]), ...}, {'time': dates})."
        )
    index = _of_dates(view, dates, caller)
    zenith, azimuth = (_angle(view[name], index, caller) for name in _NAMES)
    for angle in (zenith, azimuth):
        _check_range(angle, caller)
    to_grid = float(north.to_grid_north(np.zeros(1), like, "the nodes", caller)[0])
    return [_on_nodes(zenith, like, caller), _on_nodes(azimuth, like, caller) + to_grid]


def _of_dates(view: xr.Dataset, dates: np.ndarray | None, caller: str) -> np.ndarray:
    there = np.atleast_1d(as_dates(view["time"].values))
    if dates is None:
        return np.arange(there.size)
    missing = dates[~np.isin(dates, there)]
    if missing.size:
        raise ValueError(
            f"{caller}() needs the view of all dates; {missing.size} are not there, the first is "
            f"{str(missing[0])[:19]}. Read the angles of all scenes: xoffset.angles(..., like=stack)."
        )
    order = np.argsort(there, kind="stable")
    return np.asarray(order[np.searchsorted(there[order], dates)])


def _angle(angle: xr.DataArray, index: np.ndarray, caller: str) -> xr.DataArray:
    if angle.dtype.kind not in "iuf":
        raise TypeError(
            f"{caller}() needs numbers in '{angle.name}'; got dtype {angle.dtype}. Use xoffset.angles(...)."
        )
    if set(angle.dims) not in ({"time"}, {"time", "y", "x"}):
        raise ValueError(
            f"{caller}() needs '{angle.name}' with dims ('time', 'y', 'x'), or ('time',) for scenes as wholes; got "
            f"{angle.dims}. Use xoffset.angles(...)."
        )
    angle = decoded(angle, f"'{angle.name}'", caller, wanted="degree")
    return angle.transpose("time", ...).isel(time=index).astype(np.float64)


def _check_range(angle: xr.DataArray, caller: str) -> None:
    """Refuse angles in memory that are none of a view; lazy ones are not looked at."""
    if not isinstance(angle.data, np.ndarray):
        return
    low, high = (0.0, 90.0) if angle.name == "view_zenith" else (-360.0, 360.0)
    wrong = angle.values[(angle.values < low) | (angle.values >= high) if high == 90.0 else np.abs(angle.values) > high]
    if wrong.size:
        raise ValueError(
            f"{caller}() needs '{angle.name}' from {low:g} to {high:g} degrees; got {wrong[0]:g}. Use NaN for what is "
            "unknown."
        )


def _on_nodes(angle: xr.DataArray, like: xr.DataArray, caller: str) -> Any:
    if angle.ndim == 1:
        y, x = (np.asarray(like[name].values) for name in ("y", "x"))
        return whole.of_places(partial(_everywhere, np.asarray(angle.values)), y, x, like.data, angle.size)
    with speaking_as(caller, "classes"):
        return places.on_grid(angle, like, np.nan, "view")[0]


def _everywhere(values: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.broadcast_to(values[:, np.newaxis, np.newaxis], (values.size, y.size, x.size))
