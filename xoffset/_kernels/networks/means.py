"""Means over the pairs of a network, with standard errors that follow the dates."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel


@kernel
def combine(ends, pull, strength, is_weighted, observed, date_variance, pair_share, out):
    """Weighted mean of the displacements of all pairs, sum(pull·d) / sum(strength).

    The variance is that of K·y with Σ = A·diag(date)·Aᵀ + diag(pair): the noise of a date is not averaged down by more
    pairs of the same images.

    Parameters
    ----------
    ends
        (pair, 2) dates of reference and secondary, as indices.
    pull, strength
        (pair,) factor of each displacement, and what it adds to the denominator.
    is_weighted
        Whether both are divided by the mean of the two variances of the pair; a pair without variances then takes no
        part. Otherwise it leaves the standard errors unknown.
    observed
        (4, pair, rows, columns) displacement along x and y, their variances; NaN where a pair is missing.
    date_variance
        (2, date, rows, columns) variance of each date along x and y, were all noise that of the dates.
    pair_share
        (rows, columns) share of the variances that belongs to the pairs themselves.
    out
        (6, rows, columns): mean along x and y, their standard errors, mean length of the displacements, number of
        pairs.
    """
    pairs, rows, columns = observed.shape[1:]
    lever = np.empty(date_variance.shape[1])
    weight = np.empty(pairs)
    for row in range(rows):
        for column in range(columns):
            for k in range(out.shape[0]):
                out[k, row, column] = np.nan
            count, length, total = 0, 0.0, 0.0
            for k in range(lever.size):
                lever[k] = 0.0
            for p in range(pairs):
                along_x, along_y = observed[0, p, row, column], observed[1, p, row, column]
                variance = 0.5 * (observed[2, p, row, column] + observed[3, p, row, column])
                weight[p] = 0.0
                if not (np.isfinite(along_x) and np.isfinite(along_y)):
                    continue
                if is_weighted and not 0.0 < variance < np.inf:
                    continue
                weight[p] = 1.0 / variance if is_weighted else 1.0
                total += weight[p] * strength[p]
                length += np.hypot(along_x, along_y)
                count += 1
            out[5, row, column] = count
            if count == 0:
                continue
            mean_x, mean_y, own_x, own_y = 0.0, 0.0, 0.0, 0.0
            for p in range(pairs):
                if weight[p] == 0.0:
                    continue
                factor = weight[p] * pull[p] / total
                mean_x += factor * observed[0, p, row, column]
                mean_y += factor * observed[1, p, row, column]
                own_x += factor * factor * observed[2, p, row, column]
                own_y += factor * factor * observed[3, p, row, column]
                lever[ends[p, 0]] -= factor
                lever[ends[p, 1]] += factor
            of_dates_x, of_dates_y = 0.0, 0.0
            for k in range(lever.size):
                if lever[k] != 0.0:
                    of_dates_x += lever[k] * lever[k] * date_variance[0, k, row, column]
                    of_dates_y += lever[k] * lever[k] * date_variance[1, k, row, column]
            share = pair_share[row, column]
            out[0, row, column] = mean_x
            out[1, row, column] = mean_y
            out[2, row, column] = np.sqrt(max(1.0 - share, 0.0) * of_dates_x + share * own_x)
            out[3, row, column] = np.sqrt(max(1.0 - share, 0.0) * of_dates_y + share * own_y)
            out[4, row, column] = length / count
