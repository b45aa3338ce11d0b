"""remove_season(): what comes back each year comes off a series, and is kept beside it."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.networks import nuisance, terms
from xoffset._blocks import pixels
from xoffset._kernels.networks import losses
from xoffset.model import checks, noise, products
from xoffset.model.dates import as_dates, in_years
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.points import takes_points
from xoffset.model.variables import SERIES

_LOSSES = {"linear": losses.LINEAR, "huber": losses.HUBER, "tukey": losses.TUKEY, "l1": losses.L1}
_DRIFT = ("sigma_drift_dx", "sigma_drift_dy")
# Least length of a series: a part of a cycle looks like motion [yr].
_LEAST_YEARS = 1.0


@takes_points
def remove_season(
    series: xr.Dataset,
    *,
    semiannual: bool = False,
    loss: Literal["linear", "huber", "tukey", "l1"] = "huber",
) -> xr.Dataset:
    """Series without a cycle of a year, which is kept beside it.

    Shadows, snow and vegetation shift textures with the seasons, and so do sensors that look another way in winter.
    The ground moves with the seasons too: whether that is so, no series tells. Ask for this only where the cycle is
    known to be none of the ground, as on slopes that all move alike, or away from the sun (`light`).

    Parameters
    ----------
    series
        Series (time, y, x) from `invert`, over a year at least.
    semiannual
        Remove a cycle of half a year too, which makes that of a year uneven.
    loss
        How residuals count: `"linear"`, `"huber"`, `"tukey"` or `"l1"`, see `velocity`.

    Returns
    -------
    xarray.Dataset
        Series with `dx`, `dy` (time, y, x) [m] less the cycle, and `removed_dx`, `removed_dy` [m], positive toward
        increasing x and y, what was removed, zero where the displacement was: both add up to what came. A second
        removal, or that of the light by ``invert(sun=)``, adds to it. Groups of dates with a zero of their own, flagged
        `disconnected`, keep it; where there are several in a pixel, dates from the second zero on are left, flagged
        `not_corrected`, since nobody knows to which group they belong. `season_share` (y, x) [1]: share of the variance
        about slow motion that the cycle took, of both components. Where a pixel has too few dates, three more than
        unknowns, nothing is removed, 0, and the dates are flagged `not_corrected`. What the standard error of the cycle
        adds is in `sigma_dx`, `sigma_dy` [m] and, of velocities, in `sigma_drift_dx`, `sigma_drift_dy` [m yr-1]; these
        are NaN for a series whose dates share noise, as after `resample`. Lazy if `series` is.

    Raises
    ------
    TypeError, ValueError
        If it is no series, it has fewer than three dates more than unknowns, or is shorter than a year.

    Notes
    -----
    Sine and cosine of a year of 365.25 days are fitted together with motion whose velocity is steady within intervals
    of a year or more, so that what is slow stays.

    Examples
    --------
    >>> import pandas as pd, xoffset, xoffset.synthetic
    >>> dates = pd.date_range("2020-01-01", "2022-01-01", periods=11).strftime("%Y-%m-%d")
    >>> stack, _ = xoffset.synthetic.stack((72, 72), dates=dates, field="constant", velocity=0.0, season=10.0)
    >>> series = xoffset.invert(xoffset.correlate(stack, xoffset.pairs(stack, max_gap=2), search=4))
    >>> bool(xoffset.remove_season(series).season_share.min() > 0.9)
    True
    """
    code = _options.one_of(loss, _LOSSES, "loss", "remove_season")
    cycles = [1, 2] if _options.as_switch(semiannual, "semiannual", "remove_season") else [1]
    series = checks.as_series(series, "remove_season")
    data = checks.without_islands(series, "remove_season", is_bridge_known=False, may_have_own_zero=True)
    epochs = as_dates(series["time"].values)
    times = in_years(epochs - epochs[0])
    season = np.stack([each for cycle in cycles for each in terms.season(epochs, cycle)], axis=1)
    what = nuisance.Nuisance(
        season, terms.slow(epochs), season[:, :0], times, None, code, growth=noise.drift_growth(series)
    )
    _check(what)

    found = _fitted(data, what)
    parts = what.layers.split(found)
    drift = [series[name].data[np.newaxis] if name in series else np.nan * found[:1] for name in _DRIFT]
    fields = [series[name].data for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    given = [found[what.layers[name]] for name in ("value", "covariance")]
    layers = nuisance.carried(epochs.size)
    is_apart = flags_of(series, "remove_season") & np.int64(FLAGS["disconnected"])
    more = layers.split(pixels.per_pixel(partial(_carry, what), [*fields, *drift, *given, is_apart], layers.count))
    return _labelled(series, more, parts, {"function": "remove_season", "semiannual": len(cycles) > 1, "loss": loss})


def _fitted(data: xr.Dataset, what: nuisance.Nuisance) -> Any:
    """`Nuisance.layers` of a series."""
    fields = [data[name].data for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    if all(name in data for name in _DRIFT):
        fields += [data[name].data[np.newaxis] for name in _DRIFT]
    remove = partial(nuisance.remove, np.empty(0), nuisance=what)
    found = pixels.per_pixel(remove, fields, what.layers.count)
    if noise.shares_noise(data):
        # nobody knows any more how its dates err together
        found[what.layers["covariance"]] *= np.nan
    return found


def _carry(what: nuisance.Nuisance, *fields: np.ndarray) -> np.ndarray:
    """`nuisance.carry`, with the date of each pixel whose displacement is zero; the mean of all where none is.

    The last field is not 0 at dates that count from a zero of their own group.
    """
    is_zero, is_apart = (fields[0] == 0.0) & (fields[1] == 0.0), fields[-1] != 0
    is_home = is_zero & ~is_apart
    is_first = is_home & (np.cumsum(is_home, axis=0) == 1)
    is_first = np.where(is_home.any(axis=0), is_first, True)
    if not is_apart.any():
        return nuisance.carry(is_first, *fields[:-1], nuisance=what)
    root = np.where(is_apart, _zeros(is_zero & is_apart), -1.0)
    return nuisance.carry(is_first, *fields[:-1], root, nuisance=what)


def _zeros(is_zero: np.ndarray) -> np.ndarray:
    """Index of the zero (date, ...) that each date counts from, NaN where there is none until then, or several.

    Each group of dates counts from its first date: after two zeros nobody knows to which of them a date belongs.
    """
    number = np.cumsum(is_zero, axis=0)
    last = np.maximum.accumulate(np.where(is_zero, np.arange(len(is_zero))[:, np.newaxis, np.newaxis], 0), axis=0)
    return np.where(number == 1, last, np.nan)


def _labelled(series: xr.Dataset, more: dict[str, Any], parts: dict[str, Any], step: dict[str, Any]) -> xr.Dataset:
    dims = series["dx"].dims
    changed: dict[str, Any] = {"season_share": (dims[1:], parts["share"])}
    for name in ("dx", "dy"):
        is_known = np.isfinite(more[f"removed_{name}"]) | np.isnan(series[name].data)
        removed = np.where(is_known, more[f"removed_{name}"], 0.0)
        changed[name] = (dims, series[name].data - removed)
        before = series[f"removed_{name}"].data if f"removed_{name}" in series else 0.0
        changed[f"removed_{name}"] = (dims, removed + before)
        sigma = series[f"sigma_{name}"].data
        changed[f"sigma_{name}"] = (dims, np.where(is_known, more[f"sigma_{name}"], sigma))
        if f"sigma_drift_{name}" in series:
            changed[f"sigma_drift_{name}"] = (dims[1:], more[f"sigma_drift_{name}"])
    is_left = ((parts["is_told"] == 0.0) | np.isnan(more["removed_dx"])) & np.isfinite(series["dx"].data)
    flags = flags_of(series, "remove_season") | is_left * np.int64(FLAGS["not_corrected"])
    out = series.assign(changed | {"flags": (dims, flags)})
    return products.relabel(out, step, SERIES)


def _check(what: nuisance.Nuisance) -> None:
    needed, dates, years = what.unknowns + nuisance.SPARE, what.times.size, what.times[-1]
    if dates < needed or years < _LEAST_YEARS:
        raise ValueError(
            f"remove_season() needs {needed} dates or more over a year at least; got {dates} over {years:.2f} years. A "
            "part of a cycle looks like motion: add images."
        )
