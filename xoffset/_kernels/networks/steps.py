"""Search for the date of a step in the motion, beside the other terms of a robust linear model."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.least_squares import _form, _least_squares, _residual, _squared_length
from xoffset._kernels.networks.trend import HUBER, LINEAR, THRESHOLDS, _iterate

# Most times that the date of the step is searched anew, each time with the weights of the date found before.
SEARCHES = 5
# Least fall of the Bayesian information criterion for which a step is kept: 10 is very strong evidence.
SMALLEST_GAIN = 10.0
# Least number of observations on each side of a step: a single one may be an outlier.
FEWEST = 2


@kernel
def search(loss, designs, rows, value, base, count, weight, matrices, is_base, solution, step):
    """Put the step that the data ask for into the last column of each design; arrays as in `trend`.

    designs (pixel, observation, term); observations are in order of time. step (pixel, 2): first observation after the
    step found, and the last before it; NaN if there is none.
    """
    terms = solution.shape[2]
    work, before, unit = np.empty((2, rows.shape[1])), np.empty((2, terms)), np.empty(terms)
    suffix, without = np.empty((1, terms)), np.empty((2, terms))
    for p in range(count.size):
        step[p, 0], step[p, 1] = np.nan, np.nan
        if count[p] > 0:
            first = _search(
                loss, designs[p], rows[p, : count[p]], value[p], base[p], weight[p],
                matrices[p], unit, is_base[p], solution[p], work[0], work[1], before, suffix, without,
            )  # fmt: skip
            if first > 0:
                step[p, 0], step[p, 1] = rows[p, first], rows[p, first - 1]


@kernel
def _search(
    loss, design, rows, observed, base, weight, matrices, unit, is_base, solution, length, sample, before, suffix,
    without,
):  # fmt: skip
    """First observation after the step of a pixel.

    -1 where no step lowers the Bayesian information criterion by SMALLEST_GAIN: two components and a date are three
    parameters.
    """
    likely = LINEAR if loss == LINEAR else HUBER
    found, is_settled, scale = -1, False, 1.0
    _put(design, rows, rows.size)
    for turn in range(SEARCHES + 1):
        # without a step first, then with the best one so far
        scale = abs(
            _iterate(
                likely, design, rows, observed, base, weight, matrices, unit, is_base, solution, length, sample, before
            )
        )
        if turn == 0:
            for i in range(unit.size):
                without[0, i], without[1, i] = solution[0, i], solution[1, i]
        if is_settled or turn == SEARCHES:
            break
        _put(design, rows, rows.size)
        _least_squares(design, rows, observed, base, weight, matrices, unit, is_base, solution)
        best = _best_step(design, rows, observed, base, weight, matrices[1], solution, suffix)
        is_settled = best < 0 or best == found
        if not is_settled:
            found = best
        if found < 0:
            return found
        _put(design, rows, found)
    threshold = THRESHOLDS[likely] * scale
    values = 2.0 * rows.size
    gain = 0.0
    for is_with in range(2):
        cost = _cost(design, rows, observed, base, solution if is_with else without, threshold)
        # twice the negative logarithm of the likelihood, where noise is as the variances say or, if more, as seen
        misfit = cost if cost < values else values * (1.0 + np.log(cost / values))
        gain = gain - misfit if is_with else misfit
    if gain - 3.0 * np.log(values) > SMALLEST_GAIN:
        return found
    _put(design, rows, rows.size)
    return -1


@kernel
def _put(design, rows, first):
    """Make the last column of the design a step before an observation; none if there is no such observation."""
    column = design.shape[1] - 1
    for k in range(design.shape[0]):
        design[k, column] = 0.0
    for k in range(first, rows.size):
        design[rows[k], column] = 1.0


@kernel
def _best_step(design, rows, observed, base, weight, inverse, solution, suffix):
    """Observation after which a step takes most from the weighted squares; -1 if there is none to try."""
    terms = suffix.shape[1]
    for i in range(terms):
        suffix[0, i] = 0.0
    best, most = -1, 0.0
    total, along_x, along_y = 0.0, 0.0, 0.0
    for k in range(rows.size - 1, 0, -1):
        pull = base[k] * weight[k]
        total += pull
        along_x += pull * _residual(design, rows[k], observed, solution, 0, k)
        along_y += pull * _residual(design, rows[k], observed, solution, 1, k)
        for i in range(terms):
            suffix[0, i] += pull * design[rows[k], i]
        left = total - _form(inverse, suffix, 0)
        if left > 1e-6 * total and k >= FEWEST and rows.size - k >= FEWEST:
            gain = (along_x * along_x + along_y * along_y) / left
            if gain > most:
                best, most = k, gain
    return best


@kernel
def _cost(design, rows, observed, base, solution, threshold):
    """Sum of squared lengths of the weighted residuals, beyond the threshold growing with the length only."""
    total = 0.0
    for k in range(rows.size):
        square = base[k] * _squared_length(design, rows[k], observed, solution, k)
        total += square if square <= threshold**2 else 2.0 * threshold * np.sqrt(square) - threshold**2
    return total
