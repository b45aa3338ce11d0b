"""Errors of a fit to a series whose dates do not err independently: as each resembles the one before, and by drift.

The noise of a pixel is Σ = D^½·R·D^½ + q·C. D are the variances of the dates; R a correlation that falls by a factor
from each date to the next (AR(1)); C the drift that noise of the pairs adds up to, a random walk. The factor is not
known: its posterior is the likelihood of the residuals, freed of the fit (REML) and of their scale, times `PRIOR`, and
the covariance is the mean over it. That accounts for what few dates hardly tell, where a best factor would not.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.least_squares import _factor, _residual

# Correlations of each date with the next that are tried, and how probable they are before the residuals are seen. That
# most series have none keeps the errors of those that have none: at 20 dates they grow by less than a tenth.
FACTORS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.92)
PRIOR = (0.67, 0.08, 0.075, 0.07, 0.06, 0.045)
# Fewest dates, and fewest beyond the number of terms, whose residuals tell a correlation.
FEWEST = 15
FEWEST_FREE = 10
# Probability below which a correlation is left out.
NEGLIGIBLE = 1e-4
# Scatter, as a share of what the variances say, below which it tells the less of their correlation the less it is.
SHOWN = 0.25


@kernel
def correlated(
    designs, growth, rows, value, base, count, weight, own, is_blind, drift, scatter, efficiency, matrices, is_base,
    solution, covariance,
):  # fmt: skip
    """Covariances (pixel, 2, term, term) of fits to series, in place of those of independent dates.

    Arrays as in `trend`. growth (observation,): of the drift through time; drift (2, pixel): variance along x and y
    that it is multiplied by; scatter (pixel, 2): squares of the residuals over those of independent dates.
    """
    terms, most = solution.shape[2], rows.shape[1]
    gain, rest, noise = np.empty((terms, most)), np.empty((2, most)), np.empty(most)
    normal, lower, scale = np.empty((terms, terms)), np.empty((terms, terms)), np.empty(terms)
    is_free, state = np.empty(terms, np.bool_), np.empty((2, terms + 2))
    seen, side = np.empty(terms + 2), np.empty((2, terms))
    likely, squares = np.empty(len(FACTORS)), np.empty(len(FACTORS))
    alone, walk, mixed = np.empty((terms, terms)), np.empty((terms, terms)), np.empty((terms, terms))
    total = np.empty((terms, terms))
    for p in range(count.size):
        n, told = count[p], 0
        for i in range(terms):
            told += is_base[p, i]
        walk_x = drift[0, p] if drift[0, p] > 0.0 and not is_blind[p] else 0.0
        walk_y = drift[1, p] if drift[1, p] > 0.0 and not is_blind[p] else 0.0
        is_told = n >= FEWEST and n - told >= FEWEST_FREE
        if n <= told or not (is_told or walk_x + walk_y > 0.0):
            continue
        design, used = designs[min(p, designs.shape[0] - 1)], rows[p, :n]
        plain = 0.0
        for k in range(n):
            strength = base[p, k] * weight[p, k]
            noise[k] = 1.0 / max(strength, 1e-12 * base[p, k])
            for axis in range(2):
                rest[axis, k] = _residual(design, used[k], value[p], solution[p], axis, k)
                plain += rest[axis, k] ** 2 / noise[k]
            for i in range(terms):
                total_gain = 0.0
                for j in range(terms):
                    total_gain += matrices[p, 1, i, j] * design[used[k], j]
                gain[i, k] = total_gain * strength
        if plain == 0.0:
            is_told = False
        tried = len(FACTORS) if is_told else 1
        for f in range(tried):
            likely[f], squares[f] = _likelihood(
                FACTORS[f], 0.5 * (walk_x + walk_y), design, growth, used, rest, noise, normal, lower, scale, is_free,
                state, seen, side,
            )  # fmt: skip
            likely[f] += np.log(PRIOR[f])
        to_probability(likely[:tried])
        unfixed = 1.0 + (efficiency - 1.0) * (1.0 - told / n)
        for axis in range(2):
            per_walk = walk_x if axis == 0 else walk_y
            shown = scatter[p, axis]
            _of_walk(growth, used, gain, per_walk, seen, walk)
            _of_dates(0.0, gain, own[p, axis, :n], seen, alone)
            for i in range(terms):
                for j in range(terms):
                    total[i, j] = 0.0
            for f in range(tried):
                if likely[f] < NEGLIGIBLE:
                    continue
                _of_dates(FACTORS[f], gain, own[p, axis, :n], seen, mixed)
                found = shown * squares[f] / plain if plain > 0.0 else shown
                # what the residuals do not show of the variances is taken for independent
                part = min(found / SHOWN, 1.0) if not is_blind[p] else 1.0
                factor = found if found > 1.0 or is_blind[p] else 1.0
                for i in range(terms):
                    for j in range(terms):
                        dates = part * mixed[i, j] + (1.0 - part) * alone[i, j]
                        total[i, j] += likely[f] * factor * (dates + walk[i, j])
            for i in range(terms):
                for j in range(terms):
                    covariance[p, axis, i, j] = total[i, j] * unfixed


@kernel
def _likelihood(
    factor, per_walk, design, growth, rows, rest, noise, normal, lower, scale, is_free, state, seen, side
):  # fmt: skip
    """Logarithm of the restricted likelihood of the residuals, and their squares as independent ones of variance 1.

    A filter over the dates (Kalman) with two states for each column, the correlated error and the drift, leaves
    independent innovations of the terms and of the residuals along x and y.
    """
    terms = scale.size
    columns = terms + 2
    for c in range(columns):
        state[0, c], state[1, c] = 0.0, 0.0
    for i in range(terms):
        side[0, i], side[1, i] = 0.0, 0.0
        for j in range(terms):
            normal[i, j] = 0.0
    squares, determinant = 0.0, 0.0
    of_error, of_both, of_walk = 1.0, 0.0, 0.0
    for k in range(rows.size):
        p = rows[k]
        if k > 0:
            of_error = factor * factor * of_error + 1.0 - factor * factor
            of_both *= factor
            of_walk += per_walk * (growth[p] - growth[rows[k - 1]])
        size = np.sqrt(noise[k])
        to_error, to_walk = size * of_error + of_both, size * of_both + of_walk
        variance = size * to_error + to_walk
        determinant += np.log(variance)
        gain_error, gain_walk = to_error / variance, to_walk / variance
        of_error -= gain_error * to_error
        of_both -= gain_error * to_walk
        of_walk -= gain_walk * to_walk
        for c in range(columns):
            error, walk = state[0, c] * (factor if k > 0 else 1.0), state[1, c]
            given = design[p, c] if c < terms else rest[c - terms, k]
            seen[c] = given - size * error - walk
            state[0, c], state[1, c] = error + gain_error * seen[c], walk + gain_walk * seen[c]
        for i in range(terms):
            pull = seen[i] / variance
            for j in range(i + 1):
                normal[i, j] += pull * seen[j]
            side[0, i] += pull * seen[terms]
            side[1, i] += pull * seen[terms + 1]
        squares += (seen[terms] ** 2 + seen[terms + 1] ** 2) / variance
    _factor(normal, lower, scale, is_free)
    told = 0
    for i in range(terms):
        if not is_free[i]:
            continue
        told += 1
        determinant += 2.0 * np.log(lower[i, i] / scale[i])
        for axis in range(2):
            x = side[axis, i] * scale[i]
            for j in range(i):
                if is_free[j]:
                    x -= lower[i, j] * side[axis, j]
            side[axis, i] = x / lower[i, i]
            squares -= side[axis, i] ** 2
    squares = max(squares, 1e-300)
    return -determinant - (rows.size - told) * np.log(squares), squares


@kernel
def to_probability(likely):
    """Probabilities from the logarithms of what they are proportional to, in place."""
    largest, total = likely.max(), 0.0
    for f in range(likely.size):
        likely[f] = np.exp(likely[f] - largest)
        total += likely[f]
    for f in range(likely.size):
        likely[f] /= total


@kernel
def _of_dates(factor, gain, variance, behind, out):
    """Covariance of the terms if each date resembles the one before by a factor: K·D^½·R·D^½·Kᵀ."""
    terms = out.shape[0]
    for i in range(terms):
        behind[i] = 0.0
        for j in range(terms):
            out[i, j] = 0.0
    for k in range(variance.size):
        size = np.sqrt(variance[k])
        for i in range(terms):
            behind[i] = factor * behind[i] + gain[i, k] * size
        for i in range(terms):
            own = gain[i, k] * size
            for j in range(i + 1):
                other = gain[j, k] * size
                out[i, j] += own * behind[j] + other * behind[i] - own * other
    for i in range(terms):
        for j in range(i):
            out[j, i] = out[i, j]


@kernel
def _of_walk(growth, rows, gain, per_walk, behind, out):
    """Covariance of the terms by the drift alone: every step of it moves all dates that follow."""
    terms = out.shape[0]
    for i in range(terms):
        behind[i] = 0.0
        for j in range(terms):
            out[i, j] = 0.0
    for k in range(rows.size - 1, 0, -1):
        step = per_walk * (growth[rows[k]] - growth[rows[k - 1]])
        for i in range(terms):
            behind[i] += gain[i, k]
        for i in range(terms):
            for j in range(i + 1):
                out[i, j] += step * behind[i] * behind[j]
    for i in range(terms):
        for j in range(i):
            out[j, i] = out[i, j]
