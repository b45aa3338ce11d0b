"""Robust fit of terms to shifts or to a series: the noise model, the kernel and the layers of its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr

from xoffset._arrays.layers import Layers
from xoffset._arrays.networks import nuisance, separation, solver, trend
from xoffset._arrays.networks.observations import Observations
from xoffset._blocks.pixels import per_pixel, per_pixel_of
from xoffset._kernels.networks.trend import HUBER, L1, LINEAR, TUKEY
from xoffset.model import checks, noise
from xoffset.model.dates import as_dates, in_years
from xoffset.model.flags import FLAGS
from xoffset.model.pair_shares import pair_shares

Loss = Literal["linear", "huber", "tukey", "l1"]
# Time over which velocity changes, years. Chosen at Columbia glacier, where the yearly medians of pairs of up to 60
# days are known: 45 days bring the worst year within 8 % of them, 32 and 64 days about 10 %, 90 days 14 %.
CHANGE = 45.0 / 365.25
# Independent intervals between dates from which on their scatter alone tells a standard error.
FEWEST_INTERVALS = 3
# Code that the kernels take for each name of a loss.
LOSSES = {"linear": LINEAR, "huber": HUBER, "tukey": TUKEY, "l1": L1}
# Name of the term that is a steady velocity.
VELOCITY = "v"
Components = tuple[Any, Any]


class Source(NamedTuple):
    """Displacements to be fitted."""

    data: xr.Dataset
    fields: list[Any]  # dx, dy, sigma_dx, sigma_dy (pair or date, rows, columns), pairs in order; of a series the drift
    epochs: np.ndarray  # dates
    ends: np.ndarray | None  # (pair, 2) indices into them; None of a series


class Options(NamedTuple):
    """What a fit does beyond least squares."""

    loss: int
    is_wandering: bool = False  # whether velocity may wander about what the terms say: see `_wandering`
    has_step: bool = False  # whether the last term is a step whose date is searched
    counts: np.ndarray | None = None  # (replicate, date) of a bootstrap of the first term
    days: np.ndarray | None = None  # (observation, 2) begin and length, if long ones are to be tested
    group: np.ndarray | None = None  # (observation, group) 1.0 where one belongs to a group that is to be counted


class Fit(NamedTuple):
    """Result of a fit: arrays (rows, columns), one for each component."""

    value: dict[str, Components]
    covariance: dict[tuple[str, str], Components]
    rms: Any
    is_loose: Any  # 1 where the weights did not converge
    step: Components  # index of the last date before the step found and of the first after it, NaN if none
    bootstrap: Components | None
    used: Any  # (group, rows, columns) number of observations that took part
    dropped: Any  # (group, rows, columns) number of those that the separation test dropped
    n_pairs: Any  # (rows, columns) pairs of dates that took part; of a series its dates
    n_dates: Any  # (rows, columns) dates that took part
    span: Components  # index of the first date and of the last one that took part, NaN if none

    def sigma(self, name: str, axis: int) -> Any:
        """Standard error of a parameter."""
        return np.sqrt(self.covariance[name, name][axis])


def source(shifts_or_series: xr.Dataset, caller: str) -> Source:
    """Return what is to be fitted after checking that it is shifts or a series."""
    ends = None
    if isinstance(shifts_or_series, xr.Dataset) and "pair" in shifts_or_series.dims:
        data = checks.as_shifts(shifts_or_series, caller)
        order, epochs, ends = checks.sorted_pairs(data)
    else:
        data = checks.as_series(shifts_or_series, caller)
        data = checks.without_islands(data, caller, is_bridge_known=False, may_have_own_zero=True)
        order, epochs = slice(None), as_dates(data["time"].values)
    fields = [data[name].data[order] for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    drift = ("sigma_drift_dx", "sigma_drift_dy")
    if ends is None and all(name in data for name in drift):
        fields += [data[name].data[np.newaxis] for name in drift]
    return Source(data, fields, epochs, ends)


def middle(epochs: np.ndarray) -> np.datetime64:
    """Instant halfway between the first and the last date."""
    instant: np.datetime64 = epochs[0] + (epochs[-1] - epochs[0]) // 2
    return instant


def fit(
    given: Source,
    terms: Mapping[str, np.ndarray],
    options: Options,
    crossed: Sequence[tuple[str, str]] = (),
) -> Fit:
    """Fit terms, (date,) values that each parameter multiplies, with the covariances of each and of crossed ones."""
    names, values = list(terms), np.stack(list(terms.values()), axis=1)
    couples = [(name, name) for name in names] + list(crossed)
    entries = np.array([[names.index(name) for name in couple] for couple in couples])
    first = 0
    if given.ends is None:
        # the free intercept takes the noise of the reference date, which all dates share
        values, first = np.column_stack([np.ones(len(values)), values]), 1
        problem = _of_series(values, entries + 1, options)._replace(growth=noise.drift_growth(given.data))
        layers = trend.layers(problem)
        found = per_pixel(partial(_solve_series, problem, layers), given.fields, layers.count)
    else:
        seen = Observations.of(given.ends)
        ends = seen.ends
        lengths = in_years(given.epochs[ends[:, 1]] - given.epochs[ends[:, 0]])
        spread = options.is_wandering * _wandering(lengths)
        problem = _of_pairs(values[ends[:, 1]] - values[ends[:, 0]], ends, spread, entries, options)
        layers = trend.layers(problem, 0 if options.group is None else options.group.shape[1])
        pull = lengths if options.is_wandering else problem.design[:, 0]
        times = in_years(given.epochs - given.epochs[0])
        solve = partial(_solve_pairs, options, problem, layers, seen, times, pull)
        found = per_pixel_of(solve, given.fields, pair_shares(given.fields, given.ends, times), layers.count)

    if given.ends is None and noise.shares_noise(given.data):
        # the errors of the dates are not independent of each other, in a way that nobody knows any more
        for name in ("covariance_x", "covariance_y"):
            found[layers[name]] *= np.nan

    def both(name: str, k: int) -> Components:
        return found[layers.at(f"{name}_x", k)], found[layers.at(f"{name}_y", k)]

    covariance = {couple: both("covariance", k) for k, couple in enumerate(couples)}
    after, before = (found[layers.at("step", k)] for k in range(2))
    spread_of = (found[layers.at("bootstrap", k)] for k in range(2))
    return Fit(
        value={name: both("value", first + k) for k, name in enumerate(names)},
        covariance=covariance,
        rms=found[layers.at("rms")],
        is_loose=found[layers.at("is_loose")],
        step=(before, after),
        bootstrap=None if options.counts is None else (next(spread_of), next(spread_of)),
        used=found[layers["used"]],
        dropped=found[layers["dropped"]],
        n_pairs=found[layers.at("count")],
        n_dates=found[layers.at("n_dates")],
        span=(found[layers.at("span", 0)], found[layers.at("span", 1)]),
    )


def condition(given: Source, terms: Mapping[str, np.ndarray]) -> Any:
    """Condition number (rows, columns) of terms at the dates that each pixel has, see `nuisance.condition`."""
    values = np.stack(list(terms.values()), axis=1)
    seen = None if given.ends is None else Observations.of(given.ends)
    design = values if seen is None else values[seen.ends[:, 1]] - values[seen.ends[:, 0]]
    return per_pixel(partial(_conditions, design, seen), given.fields[:4], 1)[0]


def _conditions(design: np.ndarray, seen: Observations | None, *fields: np.ndarray) -> np.ndarray:
    merged = np.stack(fields) if seen is None else seen.merge(*fields)
    is_used = nuisance.used(merged[:2], merged[2:] if seen is not None else merged[2:] ** 2)
    return nuisance.condition(design, is_used, is_series=seen is None)[np.newaxis].astype(fields[0].dtype)


def _of_series(values: np.ndarray, entries: np.ndarray, options: Options) -> trend.Problem:
    dates = np.arange(len(values))
    # no date stands between two observations: each has its own noise
    ends, alone = np.full((dates.size, 2), -1), np.stack([dates, np.full_like(dates, -1)], axis=1)
    draws = None if options.counts is None else trend.Draws(options.counts, alone, 1)
    return trend.Problem(values, ends, np.zeros(dates.size), entries, options.loss, options.has_step, draws)


def _of_pairs(
    values: np.ndarray, ends: np.ndarray, spread: np.ndarray, entries: np.ndarray, options: Options
) -> trend.Problem:
    draws = None if options.counts is None else trend.Draws(options.counts, ends, 0)
    return trend.Problem(values, ends, spread, entries, options.loss, options.has_step, draws)


def _wandering(lengths: np.ndarray) -> np.ndarray:
    """How the variance of a displacement over so many years grows where velocity wanders about its mean.

    With the square of the length over times in which velocity keeps its value: all pairs tell velocity alike. Beyond
    that the square is counted again: pairs of two images far apart hold on to what changes least, not to the mean.
    """
    return np.asarray(lengths**2 * (1.0 + (lengths / CHANGE) ** 2))


def flags(fitted: Fit, names: Sequence[str]) -> Any:
    """Flags of a pixel: some parameter that the dates do not tell, weights that did not converge."""
    is_unknown = sum(np.isnan(fitted.value[name][0]) for name in names) > 0
    is_loose = fitted.is_loose > 0
    return is_unknown * np.int64(FLAGS["too_few_dates"]) + is_loose * np.int64(FLAGS["not_converged"])


def dates_at(index: Any, epochs: np.ndarray) -> Any:
    """Dates (rows, columns) that indices stand for, NaT for NaN."""
    whole = np.where(np.isnan(index), -1.0, index).astype(np.int64)[None]
    return per_pixel(partial(_look_up, epochs=epochs), [whole], 1)[0].astype("datetime64[us]")


def _look_up(index: np.ndarray, epochs: np.ndarray) -> np.ndarray:
    return np.where(index < 0, np.datetime64("NaT", "us"), epochs[index]).astype(np.int64)


def _solve_series(problem: trend.Problem, layers: Layers, *fields: np.ndarray) -> np.ndarray:
    dx, dy, sigma_x, sigma_y = fields[:4]
    observed = np.stack([dx, dy]).astype(np.float64)
    variance = np.stack([sigma_x, sigma_y]).astype(np.float64) ** 2
    noise = np.empty((2, 0, *dx.shape[1:])), np.ones(dx.shape[1:])
    walk = np.zeros((2, *dx.shape[1:]))
    if len(fields) > 4:
        walk = np.concatenate(fields[4:]).astype(np.float64) ** 2
    out = trend.fit(problem, layers, (observed, variance), noise, walk=walk)
    dates = np.arange(len(dx))
    _tell_dates(np.stack([dates, dates], axis=1), len(dx), observed, variance, layers, out)
    return out.astype(dx.dtype)


def _solve_pairs(
    options: Options,
    problem: trend.Problem,
    layers: Layers,
    seen: Observations,
    times: np.ndarray,
    pull: np.ndarray,
    shares: np.ndarray,
    *fields: np.ndarray,
) -> np.ndarray:
    merged = seen.merge(*fields)
    has_vector = np.isfinite(merged[0])
    if options.days is not None:
        merged[:, separation.is_locked(options.days, merged)] = np.nan
    weight = None if options.group is None else np.empty(merged.shape[1:])
    of_dates, share = solver.noise(seen.ends, times, merged, pull, shares)
    # where no variances are known, the scatter about the model tells them
    share = np.where(np.isnan(share), 0.0, share)
    noise = np.maximum(1.0 - share, 0.0) * of_dates, share
    out = trend.fit(problem, layers, (merged[:2], merged[2:]), noise, weight)
    if options.group is not None and weight is not None:
        is_left = np.isfinite(merged[0])
        out[layers["used"]] = np.einsum("pg,pyx->gyx", options.group, (weight > 0.0) & is_left)
        out[layers["dropped"]] = np.einsum("pg,pyx->gyx", options.group, has_vector & ~is_left)
    _tell_dates(seen.ends, seen.dates, merged[:2], merged[2:], layers, out)
    return out.astype(fields[0].dtype)


def _tell_dates(
    ends: np.ndarray, dates: int, observed: np.ndarray, variance: np.ndarray, layers: Layers, out: np.ndarray
) -> None:
    """Number of the dates that take part, first and last of them; errors that only the scatter of a few tells go."""
    has_variance = ((variance > 0.0) & (variance < np.inf)).all(axis=0)
    is_used = np.isfinite(observed).all(axis=0)
    is_blind = ~(is_used & has_variance).any(axis=0)
    is_used &= has_variance | is_blind
    has_date = np.zeros((dates, *is_used.shape[1:]), dtype=np.bool_)
    for k, (first, second) in enumerate(ends):
        has_date[first] |= is_used[k]
        has_date[second] |= is_used[k]
    number, is_any = has_date.sum(axis=0), has_date.any(axis=0)
    out[layers.at("n_dates")] = number
    out[layers.at("span", 0)] = np.where(is_any, has_date.argmax(axis=0), np.nan)
    out[layers.at("span", 1)] = np.where(is_any, dates - 1 - has_date[::-1].argmax(axis=0), np.nan)
    # dates of a series, or of connected pairs, have one interval fewer between them
    intervals = np.minimum(is_used.sum(axis=0), number - 1)
    # a parameter beside the velocity takes one of them; the intercept of a series is where it begins
    is_series = bool((ends[:, 0] == ends[:, 1]).all())
    intervals = intervals - np.isfinite(out[layers["value_x"]]).sum(axis=0) + 1 + is_series
    for name in ("covariance_x", "covariance_y"):
        out[layers[name]] = np.where(is_blind & (intervals < FEWEST_INTERVALS), np.nan, out[layers[name]])


def block_counts(dates: int, replicates: int, length: int, seed: int) -> np.ndarray:
    """How often each date is drawn, (replicate, date): blocks of neighbouring dates, the last followed by the first."""
    starts = np.random.default_rng(seed).integers(0, dates, (replicates, -(-dates // length)))
    drawn = (starts[:, :, None] + np.arange(length)) % dates
    # the last block ends where there are as many as dates
    drawn = drawn.reshape(replicates, -1)[:, :dates]
    return np.stack([np.bincount(row, minlength=dates) for row in drawn])
