"""pairs(): which dates meet; plan(): which baselines and search a motion needs; diagnose(): how well dates hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _graph
from xoffset.model import checks, grids, products
from xoffset.model.dates import YEAR, Duration, as_dates, as_duration, as_event, in_years

# Images of one orbit lie within this many pixels of each other before any correction: Sentinel-2, Skakun et al. (2017,
# Int. J. Digit. Earth 10, 1206-1219).
MISREGISTRATION = 1.2


class Plan(NamedTuple):
    """What a motion asks of a stack: limits for `pairs`, the search for `correlate`, and the pairs themselves."""

    min_baseline: pd.Timedelta
    max_baseline: pd.Timedelta
    search: int
    network: xr.Dataset


def pairs(
    stack: xr.DataArray,
    *,
    min_gap: int = 1,
    max_gap: int | None = None,
    min_baseline: Duration | None = None,
    max_baseline: Duration | None = None,
    split: str | np.datetime64 | pd.Timestamp | None = None,
    direction: Literal["forward", "both"] = "forward",
    same_orbit: bool | None = None,
    same_geometry: bool | None = None,
) -> xr.Dataset:
    """Pairs of dates to be matched: by default every date with every later one.

    Parameters
    ----------
    stack
        Images with a coordinate `time`, sorted and unique; `relative_orbit` and `geometry` on `time` if known.
    min_gap, max_gap
        Least and largest distance of the two dates in acquisitions: 1 is the next image. No upper limit if None.
    min_baseline, max_baseline
        Least and largest time between the two dates, such as "10D". No limit if None.
    split
        Instant (UTC) of an event: every date before it meets every date from it on, whatever gap and baseline.
    direction
        `"both"` adds every pair the other way round.
    same_orbit, same_geometry
        Pair only dates of one relative orbit, of one class of processing geometry. None: yes where the stack has the
        coordinate.

    Returns
    -------
    xarray.Dataset
        Network (pair) with coordinates `reference` and `secondary`, sorted by reference, then secondary.

    Raises
    ------
    ValueError
        If there are fewer than two dates, the limits contradict each other or leave no pair, a needed coordinate is
        missing, or images were taken on the day of a split given without its time.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((64, 64), dates=["2020-01-01", "2020-02-01", "2020-03-01"])
    >>> xoffset.pairs(stack, max_gap=1).sizes["pair"]
    2
    """
    time = _times(stack, "pairs")
    _check_choices(min_gap, max_gap, direction)
    first, second = np.triu_indices(time.size, k=1)
    if split is None:
        keep = second - first >= min_gap
        if max_gap is not None:
            keep &= second - first <= max_gap
        baseline = time[second] - time[first]
        if min_baseline is not None:
            keep &= baseline >= as_duration(min_baseline, "min_baseline", "pairs")
        if max_baseline is not None:
            keep &= baseline <= as_duration(max_baseline, "max_baseline", "pairs")
    else:
        instant = as_event(split, time, "split", "pairs")
        keep = (time[first] < instant) & (time[second] >= instant)
    for name, wanted in (("relative_orbit", same_orbit), ("geometry", same_geometry)):
        classes = _classes(stack, name, wanted)
        if classes is not None:
            keep &= classes[first] == classes[second]
    if not keep.any():
        raise ValueError(
            f"pairs() needs at least one pair of dates; got none out of {time.size} dates within the limits. "
            "Widen the gap or the baseline, or allow other orbits with same_orbit=False."
        )
    ends = np.stack([first[keep], second[keep]], axis=1)
    if direction == "both":
        ends = np.concatenate([ends, ends[:, ::-1]])
        ends = ends[np.lexsort((ends[:, 1], ends[:, 0]))]
    return products.network(time[ends[:, 0]], time[ends[:, 1]])


def plan(
    stack: xr.DataArray,
    *,
    v_max: float,
    v_min: float | None = None,
    precision: float = 0.1,
    max_search: int = 32,
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
        Speed of the fastest motion to be found, in m yr-1 of 365.25 days.
    v_min
        Speed of the slowest motion to be told from none, in m yr-1. None: as `v_max`, since shorter baselines show
        nothing at all.
    precision
        Displacement in pixels that a match can tell from none: 0.1 to 0.2 on satellite images of different dates. Of
        rectangular pixels the longer side counts.
    max_search
        Largest search to be paid for, in pixels. The cost of a match grows with its square, and so does the chance of
        a wrong peak; ground that moved by more than the template is wide has seldom kept its looks.

    Returns
    -------
    min_baseline, max_baseline : pandas.Timedelta
        Shortest and longest useful baseline, for `pairs`; whole seconds.
    search : int
        Half-range in pixels for `correlate` that the longest of these pairs needs: the fastest motion in pixels of the
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
        search are not above zero or contradict each other, or no two dates are that far apart.

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
    time = _times(stack, "plan")
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
            "days between dates. Add images, or change v_min, v_max, precision or max_search."
        )
    network = pairs(stack, min_baseline=limits[0], max_baseline=limits[1])
    years = in_years((network["secondary"] - network["reference"]).values)
    search = [_search(moved) for moved in v_max * years / min(sides)]
    network = network.assign(
        baseline_days=("pair", 365.25 * years, {"long_name": "time between the two dates", "units": "days"}),
        search=("pair", np.array(search, dtype=np.int32), {"long_name": "half-range of the search in pixels"}),
    )
    return Plan(pd.Timedelta(limits[0]), pd.Timedelta(limits[1]), max(search), network)


def _check_motion(v_max: float, v_min: float, precision: float, max_search: int) -> None:
    for name, value in (("v_max", v_max), ("v_min", v_min), ("precision", precision)):
        is_number = isinstance(value, (float, int, np.floating, np.integer)) and not isinstance(value, bool)
        if not is_number or not 0.0 < value < math.inf:
            unit = "px" if name == "precision" else "m yr-1"
            raise ValueError(f"plan() needs a number above 0 as {name} [{unit}]; got {value!r}. Pass one: {name}=0.1.")
    if v_min > v_max:
        raise ValueError(f"plan() needs v_min of at most v_max; got v_min={v_min:g}, v_max={v_max:g}. Swap them.")
    if isinstance(max_search, bool) or not isinstance(max_search, (int, np.integer)) or max_search < 3:
        raise ValueError(
            f"plan() needs a whole number of at least 3 pixels as max_search; got {max_search!r}. Pass max_search=32."
        )


def _search(moved: float) -> int:
    """Half-range [px] that finds a motion of `moved` px; what rounding adds to a whole number is no motion."""
    return math.ceil(moved + MISREGISTRATION - 1e-6) + 1


def _whole_seconds(years: float, rounded: Callable[[float], int]) -> np.timedelta64:
    """Duration in whole seconds, at most what can be compared with dates in microseconds."""
    return np.timedelta64(rounded(min(years, 1e5) * (YEAR / np.timedelta64(1, "s"))), "s")


def diagnose(network: xr.Dataset) -> xr.Dataset:
    """How well a network of pairs holds together: its components and the redundancy of each date.

    Parameters
    ----------
    network
        Pairs (pair), from `pairs` or any product with dim `pair`.

    Returns
    -------
    xarray.Dataset
        On `time`: `n_pairs`, the number of pairs of the date (1: no check is possible), and `component`, the number of
        the group of dates it is connected with. Without dims: `n_components`; more than 1 means that no displacement
        can be told between the groups. `redundancy`: pairs per unknown displacement, 1 means that nothing is checked.

    Raises
    ------
    ValueError
        If the network has no pairs.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((64, 64), dates=["2020-01-01", "2020-02-01", "2020-03-01"])
    >>> int(xoffset.diagnose(xoffset.pairs(stack)).n_components)
    1
    """
    network = checks.check_pairs(network, "diagnose")
    reference, secondary = (as_dates(network[name].values) for name in ("reference", "secondary"))
    epochs, ends = _graph.incidence(reference, secondary)
    component = _graph.components(epochs.size, ends)
    groups = int(component.max()) + 1
    together = _graph.undirected(ends)
    return products.finish(
        xr.Dataset(
            {
                "n_pairs": ("time", _graph.degree(epochs.size, together), {"long_name": "number of pairs of the date"}),
                "component": ("time", component, {"long_name": "connected group of dates"}),
                "n_components": ((), groups, {"long_name": "number of unconnected groups of dates"}),
                "redundancy": (
                    (),
                    len(together) / (epochs.size - groups),
                    {"long_name": "pairs per unknown", "units": "1"},
                ),
            },
            coords={"time": epochs},
        )
    )


def _times(stack: xr.DataArray, caller: str) -> np.ndarray:
    if not isinstance(stack, (xr.DataArray, xr.Dataset)) or "time" not in stack.coords:
        got = f"coords {tuple(map(str, stack.coords))}" if hasattr(stack, "coords") else type(stack).__name__
        raise ValueError(
            f"{caller}() needs a stack with dates on 'time'; got {got}. Rename: stack.rename(date='time')."
        )
    checks.check_times(stack["time"], caller)
    time = as_dates(np.atleast_1d(stack["time"].values))
    if time.size < 2:
        raise ValueError(f"{caller}() needs at least two dates; got {time.size}. Add images: open_stack(more files).")
    return time


def _check_choices(min_gap: int, max_gap: int | None, direction: str) -> None:
    are_whole = [isinstance(gap, (int, np.integer)) for gap in (min_gap, max_gap) if gap is not None]
    if not all(are_whole) or min_gap < 1 or (max_gap is not None and max_gap < min_gap):
        raise ValueError(
            f"pairs() needs whole numbers 1 <= min_gap <= max_gap; got min_gap={min_gap!r}, max_gap={max_gap!r}. "
            "Swap or widen them."
        )
    if direction not in ("forward", "both"):
        raise ValueError(f"pairs() needs direction 'forward' or 'both'; got {direction!r}. Choose one of the two.")


def _classes(stack: xr.DataArray, name: str, wanted: bool | None) -> np.ndarray | None:
    """Values of a coordinate that both dates of a pair must share; None if they need not."""
    if wanted is False or (wanted is None and name not in stack.coords):
        return None
    if name not in stack.coords:
        option = {"relative_orbit": "same_orbit", "geometry": "same_geometry"}[name]
        raise ValueError(
            f"pairs() needs the coordinate '{name}' on 'time' for {option}=True; got none. "
            f"Assign it: stack.assign_coords({name}=('time', [...]))."
        )
    return np.broadcast_to(np.asarray(stack[name].values), stack["time"].shape)
