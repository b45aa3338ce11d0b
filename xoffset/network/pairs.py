"""Pairs of dates: which images are matched with which."""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset._arrays.networks import graph
from xoffset.model import checks, platforms, products, sun
from xoffset.model.dates import YEAR, Duration, as_dates, as_duration, as_event

_logger = logging.getLogger(__name__)

# Whether each pair is matched in both directions.
DIRECTIONS = {"forward": False, "both": True}


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
    max_season_gap: Duration | None = None,
    max_sun_gap: float | None = None,
    per_date: int | None = None,
) -> xr.Dataset:
    """Pairs of dates to be matched: by default every date with every later one.

    Parameters
    ----------
    stack
        Images with a coordinate `time`, sorted and unique; `relative_orbit`, `platform` and `geometry` on `time` if
        known.
    min_gap, max_gap
        Least and largest distance of the two dates in acquisitions: 1 is the next image. No upper limit if None.
    min_baseline, max_baseline
        Least and largest time between the two dates, such as "10D". No limit if None.
    split
        Instant (UTC) of an event: every date before it meets every date from it on, whatever gap and baseline.
    direction
        `"both"` adds every pair the other way round.
    same_orbit
        Pair only dates of one relative orbit, where errors of the elevation model shift both images alike. Numbers of
        orbits count within a family of satellites: orbit 63 of Sentinel-2 is not path 63 of Landsat. None: yes where
        the stack has `relative_orbit`.
    same_geometry
        Pair only dates of one class of processing geometry, the text `geometry`: images that were placed on the ground
        in one way, by one generation of the processing, with or without refinement against reference images, and with
        one elevation model. Between classes images are shifted against each other, more where relief is high. None: yes
        where the stack has `geometry`. Dates that are left without any pair are told in the log.
    max_season_gap
        Longest time between the two dates within the year, such as "30D": baselines may be so much longer or shorter
        than whole years of 365.25 days. Images of one season have their shadows alike, which otherwise seem to move.
        No limit if None.
    max_sun_gap
        Largest angle [degree] between the directions toward the sun on the two dates; the stack has `sun_azimuth` and
        `sun_elevation` on `time`. 10 keeps images whose shadows differ little. No limit if None.
    per_date
        How many pairs each date keeps with later dates, and how many with earlier ones, of those that all else allows:
        the shortest. A pair stays if it is one of them for either of its dates, so that no date loses its last one.
        The noise of an image enters all of its pairs alike, so that many more add cost, and little else. All if None.

    Returns
    -------
    xarray.Dataset
        Network (pair) with coordinates `reference` and `secondary`, sorted by reference, then secondary.

    Raises
    ------
    ValueError
        If there are fewer than two dates, the limits contradict each other or leave no pair, a needed coordinate is
        missing, the sun of a date is not known, or images were taken on the day of a split given without its time.

    Notes
    -----
    A split overrides gap and baseline; orbit, geometry, season, sun and `per_date` hold with it too. Limits of season
    and sun may part the network, of which the log tells: `diagnose` says into which groups of dates.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((64, 64), dates=["2020-01-01", "2020-02-01", "2020-03-01"])
    >>> xoffset.pairs(stack, max_gap=1).sizes["pair"]
    2
    """
    time = times(stack, "pairs")
    _check_gaps(min_gap, max_gap)
    is_both = _options.one_of(direction, DIRECTIONS, "direction", "pairs")
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
    within = keep.copy()
    if max_season_gap is not None:
        keep &= _season_gap(time[second] - time[first]) <= _longest(max_season_gap)
    if max_sun_gap is not None:
        largest = _options.as_positive(max_sun_gap, "max_sun_gap", "pairs", unit="degree", example=10.0)
        keep &= sun.apart(sun.angles_of(stack, time, "stack", "pairs"), first, second) <= largest
    _tell_of_parts(time.size, np.stack([first, second], axis=1), within, keep)
    for option, wanted in (("same_orbit", same_orbit), ("same_geometry", same_geometry)):
        classes = _classes(stack, option, wanted)
        if classes is not None:
            same = classes[first] == classes[second]
            if wanted is None:
                _tell_of_lost_dates(time, np.stack([first, second]), keep, same, option)
            keep &= same
    if per_date is not None:
        _options.as_whole_number(per_date, "per_date", "pairs", least=1, example=4)
        keep &= _among_shortest(first, second, keep, per_date)
    if not keep.any():
        advice = "Widen the gap or the baseline, or allow other orbits with same_orbit=False"
        if within.any() and not (max_season_gap is None and max_sun_gap is None):
            advice = f"Of {within.sum()} pairs none has so like a sun: allow more with max_season_gap and max_sun_gap"
        elif split is not None and not within.any():
            ends_of_all = " and not after the last, ".join(str(each)[:19] for each in time[[0, -1]])
            advice = f"Give a split after the first date, {ends_of_all}"
        elif within.any():
            advice = f"Of {within.sum()} pairs none has one orbit and one class of processing geometry: allow other "
            advice += "orbits with same_orbit=False, other classes with same_geometry=False"
        raise ValueError(
            f"pairs() needs at least one pair of dates; got none out of {time.size} dates within the limits. {advice}."
        )
    ends = np.stack([first[keep], second[keep]], axis=1)
    if is_both:
        ends = np.concatenate([ends, ends[:, ::-1]])
        ends = ends[np.lexsort((ends[:, 1], ends[:, 0]))]
    return products.network(time[ends[:, 0]], time[ends[:, 1]])


def _among_shortest(first: np.ndarray, second: np.ndarray, keep: np.ndarray, per_date: int) -> np.ndarray:
    """Which of the pairs that are kept are among the shortest of their first date, or of their second one.

    `first` and `second` are numbers of dates in the order of `np.triu_indices`.
    """
    found = np.zeros_like(keep)
    for dates, order in ((first, slice(None)), (second, slice(None, None, -1))):
        kept = np.flatnonzero(keep)[order]  # of each date the shortest comes first
        kept = kept[np.argsort(dates[kept], kind="stable")]
        rank = np.arange(kept.size) - np.searchsorted(dates[kept], dates[kept])
        found[kept[rank < per_date]] = True
    return found


def _longest(max_season_gap: Duration) -> np.timedelta64:
    longest = as_duration(max_season_gap, "max_season_gap", "pairs")
    if longest < np.timedelta64(0):
        raise ValueError(
            f"pairs() needs a duration of at least 0 as max_season_gap; got {max_season_gap!r}. Pass one such as '30D'."
        )
    return longest


def _season_gap(baseline: np.ndarray) -> np.ndarray:
    """Time between two dates within the year: how much a baseline differs from the nearest number of whole years."""
    year = YEAR.astype("timedelta64[us]")
    beyond = baseline.astype("timedelta64[us]") % year
    return np.asarray(np.minimum(beyond, year - beyond))


def _tell_of_parts(dates: int, ends: np.ndarray, before: np.ndarray, after: np.ndarray) -> None:
    """Tell where a limit leaves dates in more groups that no pair connects."""
    groups = [dates - graph.rank(dates, ends[kept]) for kept in (before, after)]
    if groups[1] > groups[0] and after.any():
        _logger.warning(
            "pairs(): limits of season and sun leave %d groups of dates that no pair connects, before %d. Widen them, "
            "or bridge the groups: invert(islands='bridge').",
            groups[1],
            groups[0],
        )


def times(stack: xr.DataArray, caller: str) -> np.ndarray:
    """Dates of the images, checked."""
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


def _check_gaps(min_gap: int, max_gap: int | None) -> None:
    are_whole = _options.is_whole(min_gap) and (max_gap is None or _options.is_whole(max_gap))
    if not are_whole or min_gap < 1 or (max_gap is not None and max_gap < min_gap):
        raise ValueError(
            f"pairs() needs whole numbers 1 <= min_gap <= max_gap; got min_gap={min_gap!r}, max_gap={max_gap!r}. "
            "Swap or widen them."
        )


# Coordinate on time that both dates of a pair must share, by the option that asks for it.
_SHARED = {"same_orbit": "relative_orbit", "same_geometry": "geometry"}


def _classes(stack: xr.DataArray, option: str, wanted: bool | None) -> np.ndarray | None:
    """What both dates of a pair must share, a text each; None if they need not share anything."""
    name = _SHARED[option]
    if wanted is False or (wanted is None and name not in stack.coords):
        return None
    if name not in stack.coords:
        raise ValueError(
            f"pairs() needs the coordinate '{name}' on 'time' for {option}=True; got none. "
            f"Assign it: stack.assign_coords({name}=('time', [...]))."
        )
    shape = stack["time"].shape
    values = np.broadcast_to(np.asarray(stack[name].values), shape).ravel()
    if option == "same_orbit" and "platform" in stack.coords:
        names = np.broadcast_to(np.asarray(stack["platform"].values), shape).ravel()
        return np.array([f"{platforms.family(str(each))} {value}" for each, value in zip(names, values, strict=True)])
    return values


def _tell_of_lost_dates(time: np.ndarray, ends: np.ndarray, keep: np.ndarray, same: np.ndarray, option: str) -> None:
    """Tell which dates have pairs without an option that was not asked for, and none with it."""
    lost = np.setdiff1d(ends[:, keep], ends[:, keep & same])
    if lost.size:
        _logger.warning(
            "pairs() left out %d of %d pairs whose dates differ in %s; %s have no pair then. %s=False keeps them.",
            (keep & ~same).sum(),
            keep.sum(),
            _SHARED[option],
            ", ".join(str(time[k])[:10] for k in lost[:5]) + (f" and {lost.size - 5} more" if lost.size > 5 else ""),
            option,
        )
