"""How far the parameters of a robust linear model may be off: their covariances, and their spread over replicates."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.least_squares import _form, _least_squares, _residual, _tell


@kernel
def covariance(
    designs, ends, rows, value, base, count, weight, own, of_dates, is_blind, consistency, efficiency,
    matrices, is_base, solution, out, scatter, rms, is_known,
):  # fmt: skip
    """Covariances of the parameters, root mean square residual of the mean component, and what the data determine.

    out (pixel, 2, term, term), rms (pixel,), is_known (pixel, term), scatter (pixel, 2): squares of the residuals over
    those that Σ lets expect, 1 where nothing is left to compare.
    Arrays as in `trend`. ends (observation, 2): dates whose noise an observation takes with signs -1 and 1; -1 for
    none. of_dates (pixel, 2, date + 1): their variances, the last one, which the index -1 stands for, zero. `own` is
    the variance that belongs to the observation itself: Σ = A·diag(of_dates)·Aᵀ + diag(own).
    """
    terms = solution.shape[2]
    gain, lever = np.empty((rows.shape[1], terms)), np.empty((terms, of_dates.shape[2]))
    mix = np.empty(terms)
    for p in range(count.size):
        for i in range(terms):
            is_known[p, i] = False
        if count[p] == 0:
            continue
        _tell(matrices[p, 2], is_base[p], mix, is_known[p])
        design, used = designs[min(p, designs.shape[0] - 1)], rows[p, : count[p]]
        _spread(
            design, ends, used, base[p], weight[p], own[p], of_dates[p], matrices[p, 1], is_base[p], gain, lever, out[p]
        )
        scatter[p, 0], scatter[p, 1] = _scatter(
            design, ends, used, value[p], base[p], weight[p], own[p], of_dates[p], solution[p], gain, lever, out[p],
            is_blind[p], consistency,
        )  # fmt: skip
        growth_x, growth_y = scatter[p, 0], scatter[p, 1]
        if not is_blind[p]:
            growth_x, growth_y = max(growth_x, 1.0), max(growth_y, 1.0)
        told = 0
        for i in range(terms):
            told += is_base[p, i]
        # the weights of the loss are estimates too
        unfixed = 1.0 + (efficiency - 1.0) * (1.0 - told / count[p])
        growth_x *= unfixed
        growth_y *= unfixed
        for i in range(terms):
            for j in range(terms):
                out[p, 0, i, j] *= growth_x
                out[p, 1, i, j] *= growth_y
        squares = 0.0
        for k in range(count[p]):
            for axis in range(2):
                squares += _residual(design, used[k], value[p], solution[p], axis, k) ** 2
        rms[p] = np.sqrt(0.5 * squares / count[p])


@kernel
def _spread(design, ends, rows, base, weight, own, of_dates, inverse, is_base, gain, lever, covariance):
    """Covariance of the estimate, K Σ Kᵀ, for each component; K in `gain`, what it does to dates in `lever`."""
    terms = is_base.size
    for i in range(terms):
        for d in range(lever.shape[1]):
            lever[i, d] = 0.0
    for k in range(rows.size):
        p = rows[k]
        for i in range(terms):
            value = 0.0
            for j in range(terms):
                value += inverse[i, j] * design[p, j]
            gain[k, i] = value * base[k] * weight[k]
            lever[i, ends[p, 0]] -= gain[k, i]
            lever[i, ends[p, 1]] += gain[k, i]
    for axis in range(2):
        for i in range(terms):
            for j in range(i + 1):
                value = 0.0
                for d in range(lever.shape[1]):
                    value += lever[i, d] * lever[j, d] * of_dates[axis, d]
                for k in range(rows.size):
                    value += gain[k, i] * gain[k, j] * own[axis, k]
                covariance[axis, i, j] = value
                covariance[axis, j, i] = value


@kernel
def _scatter(
    design, ends, rows, observed, base, weight, own, of_dates, solution, gain, lever, covariance, is_blind, consistency
):  # fmt: skip
    """How the residuals along x and y scatter, in terms of what Σ lets expect.

    One number for both components where there are variances, and 1 without redundancy; NaN without it where there are
    none.
    """
    growth_x, growth_y = 1.0, 1.0
    found_of_both, expected_of_both, total_of_both = 0.0, 0.0, 0.0
    for axis in range(2):
        spread = covariance[axis]
        found, expected, total = 0.0, 0.0, 0.0
        for k in range(rows.size):
            p = rows[k]
            pull = base[k] * weight[k] * weight[k]
            rest = _residual(design, p, observed, solution, axis, k)
            found += pull * rest * rest
            # dates that are none come last and have no variance
            first, second = ends[p, 0], ends[p, 1]
            before, after = of_dates[axis, first], of_dates[axis, second]
            fitted = 0.0
            for i in range(design.shape[1]):
                fitted += design[p, i] * (
                    gain[k, i] * own[axis, k] - lever[i, first] * before + lever[i, second] * after
                )
            alone = before + after + own[axis, k]
            total += pull * alone
            expected += pull * (alone - 2.0 * fitted + _form(spread, design, p))
        found *= consistency
        alike = found / expected if expected > 1e-6 * total and found > 0.0 else np.nan
        growth_x, growth_y = (alike, growth_y) if axis == 0 else (growth_x, alike)
        found_of_both += found
        expected_of_both += expected
        total_of_both += total
    if is_blind:
        return growth_x, growth_y
    # two directions of one pair leave nothing to compare but rounding
    alike = found_of_both / expected_of_both if expected_of_both > 1e-6 * total_of_both else 1.0
    return alike, alike


@kernel
def bootstrap(design, dates, counts, term, rows, value, mean, count, weight, out):
    """Spread of one parameter over replicates in which dates occur several times or not at all.

    design (observation, term); rows to weight as in `trend`, the weights are kept; dates (observation, 2) of each, the
    second -1 for one date alone: an observation counts as often as its dates do together, the product. counts
    (replicate, date). out (2, pixel): standard deviation along x and y; NaN where the parameter is unknown in more than
    half of the replicates.
    """
    terms = design.shape[1]
    base, robust = np.empty(rows.shape[1]), np.empty(rows.shape[1])
    matrices, unit, mix = np.empty((3, terms, terms)), np.empty(terms), np.empty(terms)
    is_base, is_known = np.empty(terms, np.bool_), np.empty(terms, np.bool_)
    solution = np.empty((2, terms))
    for p in range(count.size):
        for k in range(count[p]):
            robust[k] = weight[p, k] / mean[p, k]
        mean_x, mean_y, squares_x, squares_y = 0.0, 0.0, 0.0, 0.0
        told = 0
        for b in range(counts.shape[0]):
            for k in range(count[p]):
                first, second = dates[rows[p, k], 0], dates[rows[p, k], 1]
                base[k] = counts[b, first] * (counts[b, second] if second >= 0 else 1)
            _least_squares(design, rows[p, : count[p]], value[p], base, robust, matrices, unit, is_base, solution)
            _tell(matrices[2], is_base, mix, is_known)
            if not is_known[term]:
                continue
            told += 1
            along_x, along_y = solution[0, term], solution[1, term]
            step_x, step_y = along_x - mean_x, along_y - mean_y
            mean_x += step_x / told
            mean_y += step_y / told
            squares_x += step_x * (along_x - mean_x)
            squares_y += step_y * (along_y - mean_y)
        is_known_often = told > 1 and 2 * told >= counts.shape[0]
        out[0, p] = np.sqrt(squares_x / (told - 1)) if is_known_often else np.nan
        out[1, p] = np.sqrt(squares_y / (told - 1)) if is_known_often else np.nan
