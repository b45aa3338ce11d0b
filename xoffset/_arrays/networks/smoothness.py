"""Smooth series of a strip of pixels: the strength that predicts the dates best, and how much of it the noise bears."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xoffset._arrays.networks import linear
from xoffset._arrays.networks.strips import Method, Network, Strip
from xoffset._kernels.networks import losses, smoothing, systems, variances

# Variance of the "l1" solution, the spatial median, over that of least squares, for normal noise of two components.
L1_EXCESS = 4.0 / np.pi
# Strengths of smoothing that cross-validation tries, each half a decade above the one before.
TRIES = 19
# The difference of a smoothed series from that of the pairs alone mostly varies the less the weaker the penalty is, and
# hardly ever so many times as much.
MARGIN = 1.5
# Decimal logarithm of the first strength, relative to that which weighs as much as the pairs.
FIRST_RATIO = -5.0


def tio_scale(times: np.ndarray) -> float:
    """Strength of smoothing for each unit of the coefficient of TIO: half the harmonic mean of the time steps.

    times (date,), three or more; the step of a date is the mean of those before and after it, that of the first and
    the last date that of their neighbours.
    """
    steps = 0.5 * (times[2:] - times[:-2])
    around = np.concatenate([steps[:1], steps, steps[-1:]])
    return float(0.5 / np.mean(1.0 / around))


def smooth(network: Network, method: Method, s: Strip) -> None:
    """Penalised least squares with the weights that the loss left; pairs are judged by their misclosure alone."""
    if method.smooth < 0.0:
        _cross_validate(network, s)
    else:
        s.strength.fill(method.smooth * method.smooth)
    _solve_smooth(network, s)


def _solve_smooth(network: Network, s: Strip) -> None:
    """Series of the strength of each pixel, and its misclosure."""
    s.solution.fill(0.0)
    linear.prepare_smooth(network, s, s.strength)
    _pull(network, s, s.strength)
    np.add(s.solution, s.change, out=s.solution)
    variances.misclosure(network.ends, s.weight, s.observed, s.solution, s.misclosure)


def judge(network: Network, method: Method, s: Strip, plain: np.ndarray, out: np.ndarray) -> None:
    """Variance of a smoothed series; a strength that cross-validation found falls until the noise explains it.

    plain (2, date, lanes): the series without smoothness.
    """
    pull, excess = s.effective.copy(), 1.0
    # as in `_covariance`
    scattered, excess = (s.weight, L1_EXCESS) if method.loss == losses.L1 else (pull, excess)
    of_plain, of_rest = np.full((2, *out.shape), np.nan)
    s.is_beyond.fill(0.0)
    np.copyto(s.effective, scattered)
    linear.invert_whole(network, s, None)
    rigid = s.whole.copy()
    linear.general_covariance(network, s, excess, of_plain)
    known = s.state, s.members, s.is_blind
    np.copyto(of_rest, of_plain)
    for _ in range(2 * TRIES):
        np.copyto(s.effective, pull)
        if s.is_beyond.any():
            _soften(network, s)
        # what is far beyond by the variance of a stronger penalty is beyond for sure, and told without an inverse
        np.multiply(of_rest, MARGIN, out=of_rest)
        for _ in range(TRIES if method.smooth < 0.0 else 0):
            smoothing.judge(*known, s.solution, plain, of_plain, of_rest, out, s.far, s.is_beyond)
            if not s.is_beyond.any():
                break
            _soften(network, s)
        np.copyto(s.effective, scattered)
        linear.invert_whole(network, s, s.strength)
        linear.general_covariance(network, s, excess, out)
        np.subtract(s.whole, rigid, out=s.whole)
        linear.general_covariance(network, s, excess, of_rest, mean=0.0)
        smoothing.judge(*known, s.solution, plain, of_plain, of_rest, out, s.far, s.is_beyond)
        if method.smooth > 0.0 or not s.is_beyond.any():
            break


def _soften(network: Network, s: Strip) -> None:
    """Solve with half a decade less strength where smoothness is beyond the noise; TRIES steps leave next to none."""
    before, misclosure = s.solution.copy(), s.misclosure.copy()
    np.multiply(s.strength, 10.0 ** (-0.5 * s.is_beyond), out=s.strength)
    _solve_smooth(network, s)
    np.copyto(s.solution, before, where=s.is_beyond == 0.0)
    np.copyto(s.misclosure, misclosure, where=s.is_beyond == 0.0)


def _pull(network: Network, s: Strip, strength: np.ndarray) -> None:
    """Change that leads from the present solution to the smooth one."""
    systems.gradient(network.ends, s.root, s.effective, s.observed, s.solution, s.change)
    smoothing.straighten(network.times, s.root, strength, s.prior, s.solution, s.change)
    systems.solve(network.first, s.band, s.change)


def _cross_validate(network: Network, s: Strip) -> None:
    """Strength of the smoothness of every pixel that predicts its dates best (generalised cross-validation)."""
    plain, least, parameters = s.solution.copy(), np.full(s.lanes, np.inf), np.empty(s.lanes)
    s.solution.fill(0.0)
    for trial in _trials(network, s):
        linear.prepare_smooth(network, s, trial)
        systems.invert(network.first, s.band, s.inverse)
        smoothing.trace(network.ends, s.root, s.effective, s.inverse, parameters)
        _pull(network, s, trial)
        smoothing.compare(s.state, s.members, parameters, trial, s.change, plain, least, s.strength)


def _trials(network: Network, s: Strip) -> Iterator[np.ndarray]:
    """Strengths (lanes) from well below to well above those that weigh as much as the pairs."""
    data, penalty = np.empty((2, s.lanes))
    systems.assemble(network.ends, s.effective, s.band)
    smoothing.stiffness(s.root, s.band, data)
    s.band.fill(0.0)
    smoothing.stiffen(network.times, s.root, np.ones(s.lanes), s.band)
    smoothing.stiffness(s.root, s.band, penalty)
    scale = np.divide(data, penalty, out=np.zeros(s.lanes), where=penalty > 0.0)
    for attempt in range(TRIES):
        yield 10.0 ** (0.5 * attempt + FIRST_RATIO) * scale
