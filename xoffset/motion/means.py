"""Means over pairs: mean_displacement() and mean_velocity()."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays import vectors
from xoffset._arrays.networks import solver
from xoffset._arrays.networks.observations import Observations
from xoffset._blocks import pixels
from xoffset._kernels.networks import means
from xoffset.model import checks, variables
from xoffset.model.carried_errors import carries_shift_error
from xoffset.model.dates import in_years
from xoffset.model.flags import FLAGS
from xoffset.model.pair_shares import pair_shares
from xoffset.model.points import takes_points
from xoffset.motion.maps import on_grid

# Power of the baseline that a displacement counts with in the mean velocity: 1 in a slope, -1 makes it a velocity.
ESTIMATORS = {"weighted": 1.0, "mpic": -1.0}


@takes_points
@carries_shift_error(variables.MEAN_DISPLACEMENT, "dx")
def mean_displacement(shifts: xr.Dataset) -> xr.Dataset:
    """Mean displacement of all pairs, whatever their baselines.

    It means something where all pairs show the same motion, as those across the date of an earthquake do: see `split`
    of `pairs`. For steady motion use `mean_velocity`.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate` or `screen`; pairs may be missing (NaN) in any pixel. Backward pairs count
        with their sign turned; matches of the same two dates, in either direction, count once.

    Returns
    -------
    xarray.Dataset
        On (y, x): `dx`, `dy`, mean displacement in metres, positive toward increasing x and y; `sigma_dx`, `sigma_dy`,
        their standard errors in metres, NaN where one of the pairs has none; `magnitude`, length of the mean
        displacement in metres; `mean_magnitude`, mean of the lengths in metres, which noise makes too large: it is not
        zero where nothing moves; `n_pairs`, pairs of dates with a value. All but the last are NaN, and `flags` says
        `no_pairs`, where there is none. Of shifts with `sigma_shift` the standard errors hold it, and `sigma_shift` (no
        dims) in metres is the part that all of the map shares, see `velocity`. Lazy if `shifts` is.

    Raises
    ------
    TypeError, ValueError
        If `shifts` are no shifts.

    Notes
    -----
    "Mean displacement" of MPIC (Stumpf et al. 2017, Remote Sens. Environ. 189) is `magnitude`. The standard
    errors follow the dates: the noise of an image enters all of its pairs alike and is not averaged down by more of
    them. What does not close around the loops of the network is taken for noise of the pairs themselves.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> dates = ["2020-01-01", "2020-03-01", "2020-05-01", "2020-07-01"]
    >>> stack, _ = xoffset.synthetic.stack(
    ...     (96, 96), dates=dates, field="constant", velocity=0.0, step=8.0, step_date="2020-04-01", direction=90.0
    ... )
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, split="2020-04-01T00:00"), search=4)
    >>> float(xoffset.mean_displacement(shifts).dx.median().round(1))
    8.0
    """
    shifts = checks.as_shifts(shifts, "mean_displacement")
    dx, dy, sigma_x, sigma_y, length, count = _mean(shifts, 0.0)
    fields = {
        "dx": dx,
        "dy": dy,
        "sigma_dx": sigma_x,
        "sigma_dy": sigma_y,
        "magnitude": np.hypot(dx, dy),
        "mean_magnitude": length,
        "n_pairs": count.astype(np.int32),
        "flags": np.isnan(dx) * np.int64(FLAGS["no_pairs"]),
    }
    return on_grid(fields, variables.MEAN_DISPLACEMENT, shifts, {"function": "mean_displacement"})


@takes_points
@carries_shift_error(variables.MEAN_VELOCITY, "vx")
def mean_velocity(shifts: xr.Dataset, *, estimator: Literal["weighted", "mpic"] = "weighted") -> xr.Dataset:
    """Mean velocity of all pairs, as a weighted slope or as MPIC takes it.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate` or `screen`; pairs may be missing (NaN) in any pixel. Matches of the same
        two dates, in either direction, count once.
    estimator
        `"weighted"`: slope of displacement over baseline through the origin, each pair vector weighted by the inverse
        of the mean of its two variances; pairs without standard errors take no part. `"mpic"`: mean of the velocities
        of the pairs, unweighted and with their sign. Noise over a short baseline is a large velocity, so short pairs
        rule this mean.

    Returns
    -------
    xarray.Dataset
        Rate (y, x). `vx`, `vy`: velocity in m yr-1 of 365.25 days with either estimator, positive toward increasing x
        and y; `sigma_vx`, `sigma_vy`: standard errors in m yr-1, NaN where the pairs have none; `v`: speed in m yr-1
        (never below zero, so noise makes it too large where nothing moves); `direction`: degrees clockwise from grid
        north, NaN where the speed is zero; `n_pairs`: pairs of dates that take part. All but the last are NaN, and
        `flags` says `no_pairs`, where none does. Of shifts with `sigma_shift` the standard errors hold it, and
        `sigma_shift` (no dims) in m yr-1 is the part that all of the map shares, see `velocity`. Lazy if `shifts` is.

    Raises
    ------
    TypeError, ValueError
        If `shifts` are no shifts, or there is no such estimator.

    Notes
    -----
    Weighted: ``sum(w d T) / sum(w T²)``, with baselines T. MPIC (Stumpf et al. 2017, Remote Sens. Environ. 189):
    ``sum(d / T) / n``; it writes metres a day. The standard errors are those of these linear estimates under
    noise that belongs to the dates, and to the pairs as far as they do not close. No pair is rejected: see `screen`
    and `velocity`.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=dates, field="constant", velocity=20.0, direction=90.0)
    >>> rate = xoffset.mean_velocity(xoffset.correlate(stack, xoffset.pairs(stack), search=5), estimator="mpic")
    >>> float(rate.vx.median().round(1))
    20.0
    """
    shifts = checks.as_shifts(shifts, "mean_velocity")
    power = _options.one_of(estimator, ESTIMATORS, "estimator", "mean_velocity")
    vx, vy, sigma_x, sigma_y, _, count = _mean(shifts, power)
    speed, direction = vectors.polar(vx, vy)
    fields = {
        "vx": vx,
        "vy": vy,
        "sigma_vx": sigma_x,
        "sigma_vy": sigma_y,
        "v": speed,
        "direction": direction,
        "n_pairs": count.astype(np.int32),
        "flags": np.isnan(vx) * np.int64(FLAGS["no_pairs"]),
    }
    step = {"function": "mean_velocity", "estimator": estimator}
    return on_grid(fields, variables.MEAN_VELOCITY, shifts, step)


def _mean(shifts: xr.Dataset, power: float) -> Any:
    """Fields of `means.combine`, of displacements times a power of their baselines: 0 for the mean displacement."""
    order, epochs, ends = checks.sorted_pairs(shifts)
    seen = Observations.of(ends)
    times = in_years(epochs - epochs[0])
    baseline = in_years(epochs[seen.ends[:, 1]] - epochs[seen.ends[:, 0]])
    strength = baseline ** (power + 1.0) if power else np.ones(baseline.size)
    mean = partial(
        _mean_of_block, seen=seen, times=times, pull=baseline**power, strength=strength, is_weighted=power == 1.0
    )
    fields = [shifts[name].data[order] for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    return pixels.per_pixel_of(mean, fields, pair_shares(fields, ends, times), 6)


def _mean_of_block(
    shares: np.ndarray,
    *fields: np.ndarray,
    seen: Observations,
    times: np.ndarray,
    pull: np.ndarray,
    strength: np.ndarray,
    is_weighted: bool,
) -> np.ndarray:
    observed = seen.merge(*fields)
    of_dates, share = solver.noise(seen.ends, times, observed, pull, shares)
    out = np.empty((6, *observed.shape[2:]), dtype=fields[0].dtype)
    means.combine(seen.ends, pull, strength, is_weighted, observed, of_dates, share, out)
    return out
