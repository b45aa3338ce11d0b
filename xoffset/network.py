"""pairs(): which dates meet; diagnose(): how well they hold together."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _graph, model

Duration = str | np.timedelta64 | pd.Timedelta


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
    time = _times(stack)
    _check_choices(min_gap, max_gap, direction)
    first, second = np.triu_indices(time.size, k=1)
    if split is None:
        keep = second - first >= min_gap
        if max_gap is not None:
            keep &= second - first <= max_gap
        baseline = time[second] - time[first]
        if min_baseline is not None:
            keep &= baseline >= _duration(min_baseline, "min_baseline")
        if max_baseline is not None:
            keep &= baseline <= _duration(max_baseline, "max_baseline")
    else:
        instant = _split_instant(split, time)
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
    return model.network(time[ends[:, 0]], time[ends[:, 1]])


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
    network = model.check_pairs(network, "diagnose")
    reference, secondary = (model.as_dates(network[name].values) for name in ("reference", "secondary"))
    epochs, ends = _graph.incidence(reference, secondary)
    component = _graph.components(epochs.size, ends)
    groups = int(component.max()) + 1
    together = _graph.undirected(ends)
    return model.finish(
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


def _times(stack: xr.DataArray) -> np.ndarray:
    if not isinstance(stack, (xr.DataArray, xr.Dataset)) or "time" not in stack.coords:
        got = f"coords {tuple(map(str, stack.coords))}" if hasattr(stack, "coords") else type(stack).__name__
        raise ValueError(f"pairs() needs a stack with dates on 'time'; got {got}. Rename: stack.rename(date='time').")
    model.check_times(stack["time"], "pairs")
    time = model.as_dates(np.atleast_1d(stack["time"].values))
    if time.size < 2:
        raise ValueError(f"pairs() needs at least two dates; got {time.size}. Add images: open_stack(more files).")
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


def _duration(value: object, name: str) -> np.timedelta64:
    message = f"pairs() needs a duration as {name}; got {value!r}. Give a number and a unit: '10D'."
    # pandas takes a bare number for nanoseconds
    if isinstance(value, (int, float)) or (isinstance(value, str) and re.search("[A-Za-z]", value) is None):
        raise ValueError(message)
    try:
        duration = pd.Timedelta(value)  # type: ignore[arg-type]
    except ValueError as error:
        raise ValueError(message) from error
    if pd.isna(duration):
        raise ValueError(message)
    return duration.to_timedelta64()


def _split_instant(split: str | np.datetime64 | pd.Timestamp, time: np.ndarray) -> np.datetime64:
    """Instant of a split; a bare date is refused if an image was taken on that day: before or after is unknown."""
    instant = model.as_instant(split, "split", "pairs")
    day = instant.astype("datetime64[D]")
    if model.is_bare_date(split) and (time.astype("datetime64[D]") == day).any():
        raise ValueError(
            f"pairs() needs to know which images of {day} come before the event; got a split without a time of day. "
            f"Give the time, UTC: split='{day}T10:30'."
        )
    return instant


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
