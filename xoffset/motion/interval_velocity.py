"""interval_velocity(): how fast between each two consecutive dates."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays import vectors
from xoffset._arrays.networks import graph, intervals
from xoffset._blocks.pixels import per_pixel_of
from xoffset.model import checks, noise, products, variables
from xoffset.model.carried_errors import carries_shift_error
from xoffset.model.dates import as_dates, in_years
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.pair_shares import pair_shares
from xoffset.model.points import takes_points

_LOGGER = logging.getLogger(__name__)


@takes_points
@carries_shift_error(variables.INTERVALS, "vx")
def interval_velocity(shifts_or_series: xr.Dataset) -> xr.Dataset:
    """Velocity of each interval between two consecutive dates.

    The usual product of archive photographs, whose dates lie years apart: how fast from 1953 to 1971, from 1971 to 2003
    and so on. It takes no model of the motion.

    Parameters
    ----------
    shifts_or_series
        Shifts (pair, y, x): the network is solved by least squares with Huber's loss as `invert` does, and a network
        of single pairs gives these. Matches of the same two dates, in either direction, are one observation; pairs
        without standard errors take no part beside others that have some. Or a series (time, y, x) from `invert`:
        differences of its dates.

    Returns
    -------
    xarray.Dataset
        On (interval, y, x), with the coordinates `reference` and `secondary`, the two dates of each interval, and their
        distance `baseline` [day]. `vx`, `vy`: mean velocity in the interval in m yr-1 of 365.25 days, positive toward
        increasing x and y; `sigma_vx`, `sigma_vy`: standard errors in m yr-1; `v`: speed in m yr-1 (never below
        zero, so noise makes it too large where nothing moves); `direction`: degrees clockwise from grid north, NaN
        where the speed is zero; of shifts, `n_pairs`: pairs of dates with a value that begin and end on both sides of
        the interval, or at its ends. Of input with `sigma_shift` the standard errors hold it, and `sigma_shift`
        (interval) in m yr-1 is the part that all of the map shares, see `velocity`. Lazy if the input is.

        NaN where no chain of pairs ties the two dates: `flags` says `no_pairs` where one of them has none in the pixel,
        even if a longer pair passes over it (that tells nothing of where it was between), and `disconnected` where the
        chains of both do not meet. Of a series, the flags are those of both dates. Standard errors are NaN where
        neither those of the pairs nor redundancy tell, and of a smoothed or resampled series.

    Raises
    ------
    TypeError, ValueError
        If the input is neither shifts nor a series, or its pairs tie no two consecutive dates.

    Notes
    -----
    The standard error holds the errors of both dates, which enter the difference whole, and what the noise of the pairs
    adds, as far as the network does not average it: over an interval of T years that is
    ``sqrt(sigma_1² + sigma_2² + pairs²) / T``. Where one pair alone ties the dates it is that of this pair.
    Neighbouring intervals share a date: if it was seen too far along, the first is too fast and the next too slow.
    Their errors are anticorrelated, those of the displacements by half where all dates are equally good, so that the
    difference of two neighbours is less certain than the root of the sum of their squares, and their mean more.

    Single intervals are short and noisy where dates are close. For a velocity that is steady over many dates use
    `velocity`, for calendar years of a dense archive `yearly_velocity`.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> dates = ["1971-08-01", "2003-08-01", "2010-08-01"]
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=dates, field="constant", velocity=1.0, direction=90.0)
    >>> found = xoffset.interval_velocity(xoffset.correlate(stack, xoffset.pairs(stack), search=6))
    >>> found.reference.dt.year.values, found.vx.median(("y", "x")).values.round(1)
    (array([1971, 2003]), array([1., 1.], dtype=float32))
    """
    if isinstance(shifts_or_series, xr.Dataset) and "pair" in shifts_or_series.dims:
        data = checks.as_shifts(shifts_or_series, "interval_velocity")
        epochs, found = _of_shifts(data)
    else:
        data = checks.as_series(shifts_or_series, "interval_velocity")
        epochs, found = _of_series(data)
    years = in_years(np.diff(epochs))[:, np.newaxis, np.newaxis].astype(data["dx"].dtype)
    fields = {name: values / years for name, values in found.items() if name in ("vx", "vy", "sigma_vx", "sigma_vy")}
    fields["v"], fields["direction"] = vectors.polar(fields["vx"], fields["vy"])
    fields |= {name: found[name] for name in ("n_pairs", "flags") if name in found}
    dims = ("interval", "y", "x")
    return products.product(
        {name: (dims, values) for name, values in fields.items()},
        variables.INTERVALS,
        like=data,
        step={"function": "interval_velocity"},
        coords={"reference": ("interval", epochs[:-1]), "secondary": ("interval", epochs[1:])},
    )


def _of_shifts(shifts: xr.Dataset) -> tuple[np.ndarray, dict[str, Any]]:
    """Dates, and displacements [m] between them under the names of velocities, with pairs and flags."""
    order, epochs, ends = checks.sorted_pairs(shifts)
    group = graph.components(epochs.size, ends)
    is_tied = group[:-1] == group[1:]
    if not is_tied.any():
        raise ValueError(
            f"interval_velocity() needs pairs that tie consecutive dates; got {len(ends)} that tie none of the "
            f"{epochs.size} dates to the next one. Match neighbours too: pairs(stack, max_gap=1)."
        )
    if not is_tied.all():
        _LOGGER.warning(
            "interval_velocity: no chain of pairs ties the dates of %d of %d intervals; these are NaN.",
            np.count_nonzero(~is_tied),
            is_tied.size,
        )
    fields = [shifts[name].data[order] for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    places = intervals.layers_of(epochs.size)
    times = in_years(epochs - epochs[0])
    solve = partial(intervals.solve, ends=ends, times=times)
    found = places.split(per_pixel_of(solve, fields, pair_shares(fields, ends, times), places.count))
    (vx, vy), variance = found["displacement"], found["variance"]
    flags = (
        (found["state"] == intervals.NO_PAIRS) * np.int64(FLAGS["no_pairs"])
        + (found["state"] == intervals.DISCONNECTED) * np.int64(FLAGS["disconnected"])
        + (np.isfinite(vx) & (found["is_open"] > 0.0)) * np.int64(FLAGS["not_converged"])
    )
    return epochs, {
        "vx": vx,
        "vy": vy,
        "sigma_vx": np.sqrt(variance[0]),
        "sigma_vy": np.sqrt(variance[1]),
        "n_pairs": found["n_pairs"].astype(np.int32),
        "flags": flags,
    }


def _of_series(series: xr.Dataset) -> tuple[np.ndarray, dict[str, Any]]:
    """As `_of_shifts`, without the number of pairs, which a series does not tell by interval."""
    epochs = as_dates(series["time"].values)
    if epochs.size < 2:
        raise ValueError(
            f"interval_velocity() needs two dates or more; got {epochs.size}. Keep more of the series, or invert again."
        )
    # the place of islands is unknown or guessed; a zero of its own leaves no difference
    known = checks.without_islands(series, "interval_velocity", is_bridge_known=False, may_have_own_zero=True)
    flags = flags_of(series, "interval_velocity")
    found = {name: known[f"d{name[1:]}"].data for name in ("vx", "vy")}
    found = {name: each[1:] - each[:-1] for name, each in found.items()}
    is_shared = noise.shares_noise(series)
    for name in ("vx", "vy"):
        sigma = series[f"sigma_d{name[1:]}"].data
        sigma = np.sqrt(sigma[1:] ** 2 + sigma[:-1] ** 2)
        is_told = np.isfinite(found[name]) & (not is_shared)
        found[f"sigma_{name}"] = np.where(is_told, sigma, sigma.dtype.type(np.nan))
    # which zero a group has, and how others are tied to it, does not matter within it
    of_zero = np.isfinite(found["vx"]) * np.int64(FLAGS["no_reference"] | FLAGS["bridged"])
    return epochs, found | {"flags": (flags[1:] | flags[:-1]) & ~of_zero}
