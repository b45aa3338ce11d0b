"""Which baselines and what search show a motion."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset.model import checks, grids
from xoffset.model.dates import YEAR, in_years
from xoffset.network.pairs import pairs, times

# Images of one orbit lie within this many pixels of each other before any correction: Sentinel-2, Skakun et al. (2017,
# Int. J. Digit. Earth 10, 1206-1219).
MISREGISTRATION = 1.2


class Plan(NamedTuple):
    """What a motion asks of a stack: limits for `pairs`, the search for `correlate`, and the pairs themselves."""

    min_baseline: pd.Timedelta
    max_baseline: pd.Timedelta
    search: int
    network: xr.Dataset


def plan(
    stack: xr.DataArray,
    *,
    v_max: float | None = None,
    v_min: float | None = None,
    precision: float = 0.1,
    max_search: int = 32,
    event: str | np.datetime64 | pd.Timestamp | None = None,
    displacement: float | None = None,
) -> Plan:
    """Baselines that show a motion, and the search that finds it.

    A motion v covers s pixels of size p in the time T = s·p/v. The shortest useful baseline is the one over which the
    slowest motion covers the precision of a match; the longest is the one over which the fastest, and an error of the
    images' position, stay within the search.

    Parameters
    ----------
    stack
        Images (time, y, x) with x and y in metres; nothing is computed.
    v_max
        Speed of the fastest motion to be found, in m yr-1 of 365.25 days. Of an event leave it out.
    v_min
        Speed of the slowest motion to be told from none, in m yr-1. None: as `v_max`, since over shorter baselines not
        even the fastest motion shows.
    precision
        Displacement in pixels that a match can tell from none: 0.1 to 0.2 on satellite images of different dates. Of
        rectangular pixels the longer side counts.
    max_search
        Largest search that you can afford, in pixels. The time of a match grows with its square, and so does the chance
        of a wrong peak; ground that moved by more than the width of the template has often changed its appearance.
    event, displacement
        In place of speeds the instant (UTC) of a sudden motion, and the largest displacement in metres that it may have
        caused: all pairs across it, whatever their baselines.

    Returns
    -------
    min_baseline, max_baseline : pandas.Timedelta
        Shortest and longest useful baseline, for `pairs`; whole seconds.
    search : int
        Half-range in pixels for `correlate` that the longest of these pairs needs: the largest motion in pixels of the
        shorter side, plus 1.2 px for the position of the images, rounded up, plus the outermost ring, on which no peak
        is accepted.
    network : xarray.Dataset
        The pairs (pair) of the stack with such baselines, as `pairs` makes them: `baseline_days`, and `search`, the
        half-range in pixels that each needs by itself.

    Raises
    ------
    TypeError
        If the stack is no DataArray, or its pixels are no real numbers.
    ValueError
        If dims, dates, grid or CRS are not those of a stack, there are fewer than two dates, the speeds, precision or
        search are not above zero or contradict each other, no two dates are that far apart, neither a speed nor an
        event with its displacement is given, or both are.

    Notes
    -----
    T = s·p/v is the rule of GDM-OPT, with s = 0.1 to 0.2 px; 1.2 px is what Skakun et al. (2017, Int. J. Digit. Earth
    10, 1206-1219) found between Sentinel-2 images of one orbit. Speeds are those of the ground: shadows, seasons and
    a surface that changes may ask for baselines near a whole year.

    Examples
    --------
    >>> import numpy as np, xoffset, xoffset.synthetic
    >>> dates = np.arange("2020-01-01", "2021-01-01", 20, dtype="datetime64[D]")
    >>> stack, _ = xoffset.synthetic.stack((64, 64), dates=dates, field="constant", velocity=20.0, direction=90.0)
    >>> planned = xoffset.plan(stack, v_max=25.0, v_min=10.0, max_search=4)
    >>> planned.min_baseline.days, planned.max_baseline.days, planned.search
    (36, 262, 4)
    >>> network = xoffset.pairs(stack, min_baseline=planned.min_baseline, max_baseline=planned.max_baseline)
    >>> shifts = xoffset.correlate(stack, network, search=planned.search)
    """
    stack = checks.as_stack(stack, "plan")
    time = times(stack, "plan")
    _check_one(v_max, v_min, event, displacement)
    if v_max is None:
        return _of_event(stack, event, displacement, max_search)
    v_min = v_max if v_min is None else v_min
    _check_motion(v_max, v_min, precision, max_search)
    sides = [abs(side) for side in grids.spacing(stack, "plan")]
    shortest = precision * max(sides) / v_min
    longest = (max_search - 1 - MISREGISTRATION) * min(sides) / v_max
    if shortest > longest:
        needed = _search(v_max * shortest / min(sides))
        raise ValueError(
            f"plan() needs baselines that show v_min={v_min:g} and keep v_max={v_max:g} m yr-1 within the search; got "
            f"at least {365.25 * shortest:.4g} and at most {365.25 * longest:.4g} days. Pass max_search={needed}, or "
            "plan slow and fast motion apart."
        )
    limits = [_whole_seconds(shortest, math.ceil), _whole_seconds(longest, math.floor)]
    first, second = np.triu_indices(time.size, k=1)
    baseline = time[second] - time[first]
    if not ((baseline >= limits[0]) & (baseline <= limits[1])).any():
        days = [float(value / np.timedelta64(1, "D")) for value in (*limits, baseline.min(), baseline.max())]
        raise ValueError(
            f"plan() needs two dates {days[0]:.4g} to {days[1]:.4g} days apart; got {days[2]:.4g} to {days[3]:.4g} "
            "days between dates. Add images, or change v_min, v_max, precision or max_search; of a recipe "
            "max_velocity, min_motion or max_search."
        )
    network = pairs(stack, min_baseline=limits[0], max_baseline=limits[1])
    years = in_years((network["secondary"] - network["reference"]).values)
    search = [_search(moved) for moved in v_max * years / min(sides)]
    return Plan(pd.Timedelta(limits[0]), pd.Timedelta(limits[1]), max(search), _told(network, years, search))


def _told(network: xr.Dataset, years: np.ndarray, search: list[int]) -> xr.Dataset:
    """Network with the baseline and the search of each pair."""
    return network.assign(
        baseline_days=("pair", 365.25 * years, {"long_name": "time between the two dates", "units": "days"}),
        search=("pair", np.array(search, dtype=np.int32), {"long_name": "half-range of the search in pixels"}),
    )


def _of_event(stack: xr.DataArray, event: Any, displacement: float | None, max_search: int) -> Plan:
    """Plan of the pairs across an event."""
    moved = _options.as_positive(displacement, "displacement", "plan", unit="m", example=5.0)
    _options.as_whole_number(max_search, "max_search", "plan", least=3, example=32)
    side = min(abs(each) for each in grids.spacing(stack, "plan"))
    search = _search(moved / side)
    if search > max_search:
        raise ValueError(
            f"plan() needs a displacement within the search; got {moved:g} m, which takes {search} px of {side:g} m, "
            f"and max_search={max_search}. Pass max_search={search}."
        )
    network = pairs(stack, split=event)
    years = in_years((network["secondary"] - network["reference"]).values)
    ends = [np.timedelta64(round(each * (YEAR / np.timedelta64(1, "s"))), "s") for each in (years.min(), years.max())]
    return Plan(pd.Timedelta(ends[0]), pd.Timedelta(ends[1]), search, _told(network, years, [search] * years.size))


def _check_one(v_max: float | None, v_min: float | None, event: Any, displacement: float | None) -> None:
    """Refuse a motion that is told neither by its speed nor as an event, or both ways."""
    of_event = {"event": event, "displacement": displacement}
    given = [name for name, each in of_event.items() if each is not None]
    if v_max is None and len(given) < len(of_event):
        raise ValueError(
            "plan() needs v_max, or event and displacement; got "
            f"{' and '.join(given) or 'none of them'}. Pass v_max=10.0 for a speed in m yr-1."
        )
    if given and (v_max is not None or v_min is not None):
        raise ValueError(
            f"plan() needs a speed or an event; got both, {', '.join(given)} and v_max={v_max!r}, v_min={v_min!r}. "
            "Leave one of them out."
        )


def _check_motion(v_max: float, v_min: float, precision: float, max_search: int) -> None:
    _options.as_positive(v_max, "v_max", "plan", unit="m yr-1", example=10.0)
    _options.as_positive(v_min, "v_min", "plan", unit="m yr-1", example=1.0)
    _options.as_positive(precision, "precision", "plan", unit="px", example=0.1)
    if v_min > v_max:
        raise ValueError(f"plan() needs v_min of at most v_max; got v_min={v_min:g}, v_max={v_max:g}. Swap them.")
    _options.as_whole_number(max_search, "max_search", "plan", least=3, example=32)


def _search(moved: float) -> int:
    """Half-range [px] that finds a motion of `moved` px; what rounding adds to a whole number is no motion."""
    return math.ceil(moved + MISREGISTRATION - 1e-6) + 1


def _whole_seconds(years: float, rounded: Callable[[float], int]) -> np.timedelta64:
    """Duration in whole seconds, at most what can be compared with dates in microseconds."""
    return np.timedelta64(rounded(min(years, 1e5) * (YEAR / np.timedelta64(1, "s"))), "s")
