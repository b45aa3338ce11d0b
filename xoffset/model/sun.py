"""The sun of each date, as stacks and products of angles tell it, and how it moves shadows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from xoffset._arrays.networks import nuisance
from xoffset.model.dates import as_dates
from xoffset.model.declared import decoded, stated_units

# The largest elevation and azimuth in radians, and what rounding may add.
_LARGEST = np.array([[2.0 * np.pi], [0.5 * np.pi]]) + 1e-6
# Dates from which on azimuths alone tell that they are radians.
_ENOUGH = 3
# Least change of the slant of the sun [m per metre of height] that is no rounding.
LEAST_CHANGE = 1e-6
_NAMES = ("sun_azimuth", "sun_elevation")


def angles_of(sun: xr.DataArray | xr.Dataset, dates: np.ndarray, what: str, caller: str) -> np.ndarray:
    """Azimuth and elevation (2, date) [degree] of the sun at some dates.

    sun: stack or Dataset with `sun_azimuth`, `sun_elevation` on (time), of these dates at least; what: its name.

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If angles are missing, on other dims, unknown, of a sun below the horizon, or in radians without saying so.
    """
    if not isinstance(sun, (xr.DataArray, xr.Dataset)):
        raise TypeError(
            f"{caller}() needs a stack or a Dataset with 'sun_azimuth' and 'sun_elevation' on 'time' as {what}; got "
            f"{type(sun).__name__}. Pass the stack that was matched."
        )
    given = {str(name): sun.coords[name] for name in sun.coords}
    given |= {str(name): each for name, each in sun.data_vars.items()} if isinstance(sun, xr.Dataset) else {}
    lacking = [name for name in _NAMES if name not in given]
    if lacking or "time" not in sun.coords:
        raise ValueError(
            f"{caller}() needs 'sun_azimuth' and 'sun_elevation' [degree] on 'time' of {what}; got none of "
            f"{lacking or ['time']}. Assign them: stack.assign_coords(sun_azimuth=('time', [...]), ...)."
        )
    found = np.empty((2, dates.size))
    have = as_dates(np.atleast_1d(sun["time"].values))
    missing = dates[~np.isin(dates, have)]
    if missing.size:
        raise ValueError(
            f"{caller}() needs the sun of all dates in {what}; {missing.size} are not there, the first is "
            f"{missing[0]}. Pass the stack that was matched."
        )
    order = np.array([int(np.flatnonzero(have == date)[0]) for date in dates])
    repeated = [date for date in dates if np.count_nonzero(have == date) > 1]
    if repeated:
        raise ValueError(
            f"{caller}() needs each date once in {what}; got {repeated[0]} several times. Leave out all but one."
        )
    for k, name in enumerate(_NAMES):
        if given[name].dims != ("time",) or given[name].dtype.kind not in "iuf":
            raise ValueError(
                f"{caller}() needs '{name}' of {what} as a number for each date on 'time'; got {given[name].dtype} "
                f"with dims {given[name].dims}. Take that of the scene as a whole: the mean over y and x."
            )
        found[k] = decoded(given[name], f"'{name}'", caller, wanted="degree").values[order]
    check_degrees(found, [given[name] for name in _NAMES], caller)
    bad = ~(np.abs(found[0]) <= 360.0) | ~((found[1] > 0.0) & (found[1] <= 90.0))
    if bad.any():
        azimuth, elevation = found[:, bad][:, 0]
        raise ValueError(
            f"{caller}() needs the sun of each date above the horizon, sun_elevation above 0 and up to 90 degrees and "
            f"sun_azimuth within 360; got azimuth {azimuth:g} and elevation {elevation:g} on {dates[bad][0]}. Take "
            "those of the time of the image, or leave the date out."
        )
    return found


def check_degrees(angles: np.ndarray, given: Sequence[xr.DataArray], caller: str) -> None:
    """Refuse azimuths and elevations (2, date) that state no units, as given, and can all be radians.

    As degrees they would be those of a sun that grazes the horizon close to north on every date. Of several dates the
    azimuths alone tell.
    """
    is_stated = np.array([[bool(stated_units(each))] for each in given])
    is_small = (np.abs(angles) <= _LARGEST).all(axis=1, keepdims=True)
    are_both = not is_stated[1] and (is_stated | is_small).all()
    # of many dates none has its sun so near to north
    is_azimuth = not is_stated[0] and is_small[0] and angles.shape[1] >= _ENOUGH and np.ptp(angles[0]) > 0.0
    if not (are_both or is_azimuth):
        return
    azimuth, elevation = angles[:, 0]
    raise ValueError(
        f"{caller}() needs sun_azimuth and sun_elevation in degrees, or their units; got no units, and angles that are "
        f"all like radians: azimuth {azimuth:g}, elevation {elevation:g}. Convert them, numpy.degrees(angle), or state "
        "their units: angle.assign_attrs(units='degree')."
    )


def slants(angles: np.ndarray) -> np.ndarray:
    """How far the sun stands off the vertical (date, 2), east and north, in units of height: cot(elevation).

    The shadow of what is one metre high ends so many metres on the other side.
    """
    azimuth, elevation = np.deg2rad(angles)
    length = 1.0 / np.tan(elevation)
    found = np.stack([length * np.sin(azimuth), length * np.cos(azimuth)], axis=1)
    # rounding is no light that moves
    return np.where(np.ptp(found, axis=0) < LEAST_CHANGE, found[:1], found)


def check_told(slants: np.ndarray, slow: np.ndarray, caller: str) -> None:
    """Refuse dates that do not tell light, by `slants` (date, 2), from slow motion (date, interval) in any pixel."""
    columns = np.concatenate([np.ones((len(slants), 1)), slow, slants], axis=1)
    dates, unknowns = columns.shape
    if dates < unknowns + nuisance.SPARE:
        raise ValueError(
            f"{caller}() needs {unknowns + nuisance.SPARE} dates to tell light from motion; got {dates}. Leave sun "
            "out, and pair dates of one season: pairs(max_season_gap='30D')."
        )
    lengths = np.maximum(np.linalg.norm(columns, axis=0), LEAST_CHANGE)
    if np.linalg.matrix_rank(columns / lengths, tol=1e-6) < unknowns:
        raise ValueError(
            f"{caller}() needs a sun that moves between the dates, up and down and along the horizon; got the same on "
            "all, or one that moves as steadily as the ground may. Leave sun out: nobody can tell what such light does."
        )


def apart(angles: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angle [degree] between the directions toward the sun at the dates of each pair, as indices."""
    azimuth, elevation = np.deg2rad(angles)
    toward = np.stack(
        [np.cos(elevation) * np.sin(azimuth), np.cos(elevation) * np.cos(azimuth), np.sin(elevation)], axis=1
    )
    across = np.linalg.norm(np.cross(toward[first], toward[second]), axis=1)
    return np.asarray(np.rad2deg(np.arctan2(across, (toward[first] * toward[second]).sum(axis=1))))
