"""Robust fit of terms to shifts or to a series: the noise model, the kernel and the layers of its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr

from xoffset import _graph, _separation, _solver
from xoffset._blocks.pixels import per_pixel
from xoffset._kernels import trend
from xoffset.model import checks, history
from xoffset.model.dates import as_dates, in_years
from xoffset.model.flags import FLAGS

Loss = Literal["linear", "huber", "tukey", "l1"]
# Time in years over which velocity changes. Chosen at Columbia glacier, where the yearly medians of pairs of up to 60
# days are known: 45 days bring the worst year within 8 % of them, 32 and 64 days about 10 %, 90 days 14 %.
CHANGE = 45.0 / 365.25
LOSSES = {"linear": trend.LINEAR, "huber": trend.HUBER, "tukey": trend.TUKEY, "l1": trend.L1}
# Name of the term that is a steady velocity.
VELOCITY = "v"
Components = tuple[Any, Any]


class Source(NamedTuple):
    """Displacements to be fitted."""

    data: xr.Dataset
    fields: list[Any]  # dx, dy, sigma_dx, sigma_dy (pair or date, rows, columns), pairs in order
    epochs: np.ndarray  # dates
    ends: np.ndarray | None  # (pair, 2) indices into them; None of a series


class Options(NamedTuple):
    """What a fit does beyond least squares."""

    loss: int
    is_wandering: bool = False  # whether velocity may wander about what the terms say: see `_wandering`
    has_step: bool = False  # whether the last term is a step whose date is searched
    counts: np.ndarray | None = None  # (replicate, date) of a bootstrap of the first term
    days: np.ndarray | None = None  # (observation,) baselines, if long ones are to be tested
    group: np.ndarray | None = None  # (observation, group) 1.0 where one belongs to a group that is to be counted


class Terms(NamedTuple):
    """What `trend.fit` takes of the model."""

    design: np.ndarray
    entries: np.ndarray
    spread: np.ndarray


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
        data = checks.without_islands(checks.as_series(shifts_or_series, caller), caller, is_bridge_known=False)
        order, epochs = slice(None), as_dates(data["time"].values)
    return Source(data, [data[name].data[order] for name in ("dx", "dy", "sigma_dx", "sigma_dy")], epochs, ends)


def check_loss(loss: str, caller: str) -> int:
    """Code of a loss."""
    if loss not in LOSSES:
        raise ValueError(f"{caller}() needs a loss of {', '.join(LOSSES)}; got {loss!r}. Choose one of them.")
    return LOSSES[loss]


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
    if given.ends is None:
        # the free intercept takes the noise of the reference date, which all dates share
        values = np.column_stack([np.ones(len(values)), values])
        solve = partial(_solve_series, options, Terms(values, entries + 1, np.zeros(len(values))))
        first = 1
    else:
        ends, group, sign = _graph.observations(given.ends)
        lengths = in_years(given.epochs[ends[:, 1]] - given.epochs[ends[:, 0]])
        terms_of = Terms(values[ends[:, 1]] - values[ends[:, 0]], entries, options.is_wandering * _wandering(lengths))
        solve = partial(_solve_pairs, options, terms_of, (ends, group, sign))
        first = 0
    count, wanted = values.shape[1], len(couples)
    groups = 0 if options.group is None else options.group.shape[1]
    layers = 2 * count + 2 * wanted + 5 + 2 * (options.counts is not None) + 2 * groups
    found = per_pixel(solve, given.fields, layers)

    tail = 2 * count + 2 * wanted
    if given.ends is None and _shares_noise(given.data):
        # the errors of the dates are not independent of each other, in a way that nobody knows any more
        found[2 * count : tail] *= np.nan
    covariance = {couple: (found[2 * count + k], found[2 * count + wanted + k]) for k, couple in enumerate(couples)}
    if VELOCITY in terms:
        covariance[VELOCITY, VELOCITY] = _with_drift(given.data, covariance[VELOCITY, VELOCITY])
    end = tail + 5 + 2 * (options.counts is not None)
    return Fit(
        value={name: (found[first + k], found[count + first + k]) for k, name in enumerate(names)},
        covariance=covariance,
        rms=found[tail],
        is_loose=found[tail + 2],
        step=(found[tail + 4], found[tail + 3]),
        bootstrap=(found[tail + 5], found[tail + 6]) if options.counts is not None else None,
        used=found[end : end + groups],
        dropped=found[end + groups :],
    )


def _with_drift(data: xr.Dataset, variances: Components) -> Components:
    """Variances of a velocity, with what the noise of the pairs behind a series adds where it is known."""
    names = ("sigma_drift_dx", "sigma_drift_dy")
    if any(name not in data for name in names):
        return variances
    along_x, along_y = (
        variance + np.where(np.isfinite(data[name].data), data[name].data, 0.0).astype(variance.dtype) ** 2
        for name, variance in zip(names, variances, strict=True)
    )
    return along_x, along_y


def _shares_noise(series: xr.Dataset) -> bool:
    """Whether dates of a series have parts of the noise of others: smoothed, or resampled."""
    return any(
        step.get("smooth") not in (None, 0.0) or step.get("function") == "resample" for step in history.steps(series)
    )


def _wandering(lengths: np.ndarray) -> np.ndarray:
    """How the variance of a displacement over so many years grows where velocity wanders about its mean.

    With the square of the length over times in which velocity keeps its value: all pairs tell velocity alike. Beyond
    that the square is counted again: pairs of two images far apart hold on to what changes least, not to the mean.
    """
    return np.asarray(lengths**2 * (1.0 + (lengths / CHANGE) ** 2))


def flags(fitted: Fit, names: Sequence[str]) -> Any:
    """Flags of a pixel: some parameter that the dates do not tell, weights that did not converge."""
    is_unknown = sum(np.isnan(fitted.value[name][0]) for name in names) > 0
    return (
        is_unknown * np.int64(FLAGS["too_few_dates"]) + (fitted.is_loose > 0) * np.int64(FLAGS["not_converged"])
    ).astype(np.int64)


def _solve_series(options: Options, terms: Terms, *fields: np.ndarray) -> np.ndarray:
    dx, dy, sigma_x, sigma_y = fields
    dates = np.arange(len(terms.design))
    observed = np.stack([dx, dy]).astype(np.float64)
    variance = np.stack([sigma_x, sigma_y]).astype(np.float64) ** 2
    ends = np.full((dates.size, 2), -1)
    noise = np.empty((2, 0, *dx.shape[1:])), np.ones(dx.shape[1:])
    out, weight = _fit(options, terms, ends, (observed, variance), noise)
    if options.counts is not None:
        alone = np.stack([dates, np.full_like(dates, -1)], axis=1)
        out = np.concatenate([out, _bootstrap(options.counts, terms.design, 1, alone, (observed, variance, weight))])
    return out.astype(dx.dtype)


def _solve_pairs(
    options: Options,
    terms: Terms,
    network: tuple[np.ndarray, np.ndarray, np.ndarray],
    *fields: np.ndarray,
) -> np.ndarray:
    ends, group, sign = network
    merged = np.empty((4, len(ends), *fields[0].shape[1:]))
    _solver.merge(group, sign, *fields, out=merged)
    has_vector = np.isfinite(merged[0])
    if options.days is not None:
        merged[:, _separation.is_locked(options.days, merged)] = np.nan
    noise = _noise(ends, merged)
    out, weight = _fit(options, terms, ends, (merged[:2], merged[2:]), noise)
    parts = [out]
    if options.counts is not None:
        parts.append(_bootstrap(options.counts, terms.design, 0, ends, (merged[:2], merged[2:], weight)))
    if options.group is not None:
        is_left = np.isfinite(merged[0])
        for counted in ((weight > 0.0) & is_left, has_vector & ~is_left):
            parts.append(np.einsum("pg,pyx->gyx", options.group, counted))
    return np.concatenate(parts).astype(fields[0].dtype)


def _noise(ends: np.ndarray, merged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance of each date (2, date, rows, columns), and the share of the variances that belongs to the pairs."""
    of_dates, share = _solver.noise(ends, int(ends.max()) + 1, merged)
    # where no variances are known, the scatter about the model tells them
    share = np.where(np.isnan(share), 0.0, share)
    return np.maximum(1.0 - share, 0.0) * of_dates, share


def _fit(
    options: Options,
    terms: Terms,
    ends: np.ndarray,
    measured: tuple[np.ndarray, np.ndarray],
    noise: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Layers of `trend.fit`, and the weights of the loss (observation, rows, columns)."""
    design, entries, spread = terms
    observed, variance = measured
    weight = np.empty(observed.shape[1:])
    out = np.empty((2 * design.shape[1] + 2 * len(entries) + 5, *observed.shape[2:]))
    trend.fit(design, ends, spread, options.loss, options.has_step, entries, observed, variance, *noise, weight, out)
    return out, weight


def _bootstrap(
    counts: np.ndarray, design: np.ndarray, term: int, dates: np.ndarray, pixels: tuple[np.ndarray, ...]
) -> np.ndarray:
    out = np.empty((2, *pixels[0].shape[2:]))
    trend.bootstrap(design, dates, counts, term, *pixels, out)
    return out


def block_counts(dates: int, replicates: int, length: int, seed: int) -> np.ndarray:
    """How often each date is drawn, (replicate, date): blocks of neighbouring dates, the last followed by the first."""
    starts = np.random.default_rng(seed).integers(0, dates, (replicates, -(-dates // length)))
    drawn = (starts[:, :, None] + np.arange(length)) % dates
    # the last block ends where there are as many as dates
    drawn = drawn.reshape(replicates, -1)[:, :dates]
    return np.stack([np.bincount(row, minlength=dates) for row in drawn])
