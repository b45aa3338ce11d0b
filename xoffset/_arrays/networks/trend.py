"""Robust linear models of motion in time, some pixels at a time: the kernels in their order, and what they leave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from xoffset._arrays.layers import Layers
from xoffset._kernels.networks import correlation, errors, steps, trend

# Most pixels that are solved at a time: with as many, a call of a kernel costs little per pixel.
MOST_LANES = 2048
# Fewest pixels that are solved at a time, even if their arrays take more than LARGEST.
FEWEST_LANES = 8
# Memory that the arrays of the pixels solved at a time may take, bytes: what one kernel writes should still be in the
# cache of the core when the next one reads it.
LARGEST = 2**21
# The next two are for Gaussian noise, by the code of the loss (linear, huber, tukey, l1).
# Mean square of the weights over that of the weighted residuals.
CONSISTENCY = (1.0, 1.1516, 1.3460, 7.1125)
# Variance of the estimate over the variance that fixed weights would give, if there is much redundancy (1 without any).
EFFICIENCY = (1.0, 1.0174, 1.0292, 0.5402)


class Draws(NamedTuple):
    """Replicates of a bootstrap."""

    counts: np.ndarray  # (replicate, date) how often each date is drawn
    dates: np.ndarray  # (observation, 2) dates of each, as indices; the second -1 for one date alone
    term: int  # parameter whose spread is wanted


class Problem(NamedTuple):
    """What all pixels share."""

    design: np.ndarray  # (observation, term) derivative of each observation with respect to each parameter
    ends: np.ndarray  # (observation, 2) dates whose noise it takes with signs -1 and 1, as indices; -1 for none
    spread: np.ndarray  # (observation,) variance of each per unit of one that the residuals tell; all zero for none
    entries: np.ndarray  # (entry, 2) terms whose covariances are wanted
    loss: int  # one of those of `_kernels.networks.trend`
    has_step: bool = False  # whether the last term is a step whose date is searched; observations in order of time
    draws: Draws | None = None
    growth: np.ndarray | None = None  # (observation,) of drift through time: those of a series, one for each date


class _Pixels(NamedTuple):
    """Arrays of the pixels that are solved at a time, the first ones as in `_kernels.networks.trend`."""

    rows: np.ndarray
    value: np.ndarray
    own: np.ndarray
    mean: np.ndarray
    base: np.ndarray
    number: np.ndarray  # `count` there
    is_blind: np.ndarray
    weight: np.ndarray
    matrices: np.ndarray
    is_base: np.ndarray
    solution: np.ndarray
    designs: np.ndarray
    scale: np.ndarray  # (pixel,) negative where the weights did not converge
    wandering: np.ndarray  # (pixel,) variance per unit of the spread
    step: np.ndarray  # (pixel, 2) observation after the step and before it
    covariance: np.ndarray  # (pixel, 2, term, term)
    scatter: np.ndarray  # (pixel, 2) squares of the residuals over those expected
    rms: np.ndarray  # (pixel,)
    is_known: np.ndarray  # (pixel, term)


def layers(problem: Problem, groups: int = 0) -> Layers:
    """Layers of the result of `fit`, with room for two numbers of each group of observations."""
    terms, entries = problem.design.shape[1], len(problem.entries)
    return Layers(
        value_x=terms,
        value_y=terms,
        covariance_x=entries,
        covariance_y=entries,
        rms=1,  # root mean square residual of the mean component
        count=1,  # number of observations that take part
        n_dates=1,  # number of their dates, and the first and the last one as indices: the caller fills these in
        span=2,
        is_loose=1,  # 1 where the weights did not converge, else 0
        step=2,  # first observation after the step found, and the last before it; NaN if none
        bootstrap=2 * (problem.draws is not None),  # standard deviation over the replicates along x and y
        used=groups,
        dropped=groups,
    )


def fit(
    problem: Problem,
    layers: Layers,
    measured: tuple[np.ndarray, np.ndarray],
    noise: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray | None = None,
    walk: np.ndarray | None = None,
) -> np.ndarray:
    """Robust linear model of each pixel's displacements, and the covariance of its parameters.

    Both components share the weight of a vector: the inverse of the mean of its variances times the weight of the
    loss, which looks at the length of the residual, studentised, over its scale (median over 1.1774).

    Parameters
    ----------
    problem
        What all pixels share.
    layers
        What is where in the result.
    measured
        (2, observation, rows, columns) displacement along x and y, and their variances; a vector with a NaN takes no
        part, nor does one without positive variances beside others that have them.
    noise
        (2, date, rows, columns) variance of each date along x and y, and (rows, columns) the share of the variances
        that belongs to the observations themselves: Σ = A·diag(of_dates)·Aᵀ + diag(share·variance).
    weight
        (observation, rows, columns), contiguous, another result, if wanted: weight of the loss, 0 to 1, 0 where an
        observation takes no part.
    walk
        (2, rows, columns) variance of the drift of a series along x and y, which `problem.growth` multiplies.

    Notes
    -----
    Parameters that the data do not determine are NaN; the others are not touched by them. The covariances grow with
    the scatter of the residuals where that is more than Σ lets expect, and never shrink. Where no observation has a
    variance all weigh alike, and the covariances follow from the scatter alone; they are NaN without redundancy. Dates
    of a series may resemble the ones before them, as the residuals tell: see `_kernels.networks.correlation`.
    """
    shape = measured[0].shape[2:]
    observed, variance, of_dates = (
        array.reshape(2, array.shape[1], shape[0] * shape[1]) for array in (*measured, noise[0])
    )
    share = noise[1].reshape(-1)
    out = np.empty((layers.count, share.size))
    for part, pixels in _groups(problem, share.size):
        trend.gather(
            np.ascontiguousarray(observed[:, :, part]), np.ascontiguousarray(variance[:, :, part]),
            pixels.rows, pixels.value, pixels.own, pixels.mean, pixels.number, pixels.is_blind,
        )  # fmt: skip
        # what has no observation divides by what another pixel left there
        with np.errstate(all="ignore"):
            _solve(problem, pixels, share[part])
            _find_errors(problem, pixels, of_dates[:, :, part])
            if problem.growth is not None and walk is not None:
                _correlate(problem, pixels, np.nan_to_num(walk.reshape(2, -1)[:, part]))
            _write(problem, layers, pixels, out[:, part])
        if weight is not None:
            weight.reshape(-1, share.size)[:, part] = _by_observation(pixels, len(weight))
    return out.reshape(layers.count, *shape)


def _groups(problem: Problem, total: int) -> Iterator[tuple[slice, _Pixels]]:
    """Which pixels are solved at a time, with arrays for them."""
    observations, terms = problem.design.shape
    one = 8 * observations * (8 + terms * problem.has_step) + 8 * terms * (5 * terms + 2)
    lanes = min(max(LARGEST // one, FEWEST_LANES), MOST_LANES, total)
    few, all_of_them = (lanes, terms), (lanes, observations)
    design = np.ascontiguousarray(problem.design[np.newaxis], dtype=np.float64)
    arrays = _Pixels(
        # indices are looked up where nothing was gathered yet
        rows=np.zeros(all_of_them, np.int64), value=np.empty((lanes, 2, observations)),
        own=np.empty((lanes, 2, observations)), mean=np.empty(all_of_them), base=np.empty(all_of_them),
        number=np.empty(lanes, np.int64), is_blind=np.empty(lanes, np.bool_), weight=np.empty(all_of_them),
        matrices=np.empty((lanes, 3, terms, terms)), is_base=np.empty(few, np.bool_),
        solution=np.empty((lanes, 2, terms)), designs=np.repeat(design, lanes if problem.has_step else 1, axis=0),
        scale=np.ones(lanes), wandering=np.zeros(lanes), step=np.full((lanes, 2), np.nan),
        covariance=np.empty((lanes, 2, terms, terms)), scatter=np.ones((lanes, 2)),
        rms=np.empty(lanes), is_known=np.empty(few, np.bool_),
    )  # fmt: skip
    for start in range(0, total, lanes):
        part = slice(start, min(start + lanes, total))
        yield part, _Pixels(*(array[: part.stop - start] for array in arrays))


def _solve(problem: Problem, pixels: _Pixels, share: np.ndarray) -> None:
    """Weights from the variances, then the parameters; `own` becomes what belongs to the observations themselves."""
    np.divide(1.0, pixels.mean, out=pixels.base)
    np.multiply(pixels.own, share[:, np.newaxis, np.newaxis], out=pixels.own)
    has_spread = problem.spread.max() > 0.0
    if has_spread:
        spread = problem.spread[pixels.rows]
        np.divide(1.0, spread, out=pixels.base)
        count = np.where(pixels.is_blind, 0, pixels.number)
        _iterate(problem.loss, pixels, count)
        trend.wander(
            pixels.designs, pixels.rows, pixels.value, pixels.mean, count, pixels.solution, problem.spread,
            pixels.base, pixels.wandering,
        )  # fmt: skip
        pixels.own[:] += (pixels.wandering[:, np.newaxis] * spread)[:, np.newaxis]
    if pixels.is_blind.any():
        pixels.own[pixels.is_blind] = 1.0 / pixels.base[pixels.is_blind][:, np.newaxis]
    if problem.has_step:
        steps.search(
            problem.loss, pixels.designs, pixels.rows, pixels.value, pixels.base, pixels.number, pixels.weight,
            pixels.matrices, pixels.is_base, pixels.solution, pixels.step,
        )  # fmt: skip
    _iterate(problem.loss, pixels, pixels.number)


def _iterate(loss: int, pixels: _Pixels, count: np.ndarray) -> None:
    arrays = (
        pixels.designs, pixels.rows, pixels.value, pixels.base, count, pixels.weight,
        pixels.matrices, pixels.is_base, pixels.solution,
    )  # fmt: skip
    if loss == trend.LINEAR:
        trend.linear(*arrays)
    else:
        trend.robust(loss, *arrays, pixels.scale)


def _find_errors(problem: Problem, pixels: _Pixels, of_dates: np.ndarray) -> None:
    # a last date that is none, for those that belong to no date
    known = np.zeros((len(pixels.number), 2, of_dates.shape[1] + 1))
    is_known = np.isfinite(of_dates) & ~pixels.is_blind
    known[:, :, :-1] = np.where(is_known, of_dates, 0.0).transpose(2, 0, 1)
    errors.covariance(
        pixels.designs, problem.ends, pixels.rows, pixels.value, pixels.base, pixels.number, pixels.weight, pixels.own,
        known, pixels.is_blind, CONSISTENCY[problem.loss], EFFICIENCY[problem.loss],
        pixels.matrices, pixels.is_base, pixels.solution, pixels.covariance, pixels.scatter, pixels.rms,
        pixels.is_known,
    )  # fmt: skip


def _correlate(problem: Problem, pixels: _Pixels, walk: np.ndarray) -> None:
    """Covariances of fits to a series whose dates do not err independently."""
    correlation.correlated(
        pixels.designs, problem.growth, pixels.rows, pixels.value, pixels.base, pixels.number, pixels.weight,
        pixels.own, pixels.is_blind, walk, pixels.scatter, EFFICIENCY[problem.loss],
        pixels.matrices, pixels.is_base, pixels.solution, pixels.covariance,
    )  # fmt: skip


def _write(problem: Problem, layers: Layers, pixels: _Pixels, out: np.ndarray) -> None:
    """Layers (layer, pixel) from the arrays of the pixels."""
    known, is_there = pixels.is_known, pixels.number > 0
    row, column = problem.entries.T
    for axis, name in enumerate("xy"):
        out[layers[f"value_{name}"]] = np.where(known, pixels.solution[:, axis], np.nan).T
        found = pixels.covariance[:, axis, row, column]
        out[layers[f"covariance_{name}"]] = np.where(known[:, row] & known[:, column], found, np.nan).T
    out[layers["rms"]] = np.where(is_there, pixels.rms, np.nan)
    out[layers["count"]] = pixels.number
    out[layers["n_dates"]] = np.nan
    out[layers["span"]] = np.nan
    out[layers["is_loose"]] = is_there & (pixels.scale < 0.0)
    out[layers["step"]] = pixels.step.T
    if problem.draws is not None:
        errors.bootstrap(
            pixels.designs[0], problem.draws.dates, problem.draws.counts, problem.draws.term, pixels.rows,
            pixels.value, pixels.mean, pixels.number, pixels.weight, out[layers["bootstrap"]],
        )  # fmt: skip


def _by_observation(pixels: _Pixels, observations: int) -> np.ndarray:
    """Weight of the loss (observation, pixel), zero for those that take no part."""
    weight = np.zeros((observations, len(pixels.number)))
    pixel, k = np.nonzero(np.arange(pixels.rows.shape[1]) < pixels.number[:, np.newaxis])
    weight[pixels.rows[pixel, k], pixel] = pixels.weight[pixel, k]
    return weight
