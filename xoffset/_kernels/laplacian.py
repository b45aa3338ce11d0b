"""Networks of pairs solved pixel by pixel: the normal matrix of a pair network is a weighted graph Laplacian.

It is assembled in O(pairs), stays within a band as wide as the longest pair counted in dates, and takes both components
with one factor.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

SPLITS = 20


@kernel
def _split(ends, used, variance, dates, out, ratio):
    """Variance of each date whose sums over the ends of the pairs come closest to the variances of the pairs.

    Multiplicative updates keep it positive; where a network cannot tell (a chain), each date keeps half a pair.
    """
    for k in range(dates):
        out[k] = 0.0
        ratio[k] = 0.0
    for p in range(ends.shape[0]):
        if used[p]:
            for end in range(2):
                out[ends[p, end]] += 0.5 * variance[p]
                ratio[ends[p, end]] += 1.0
    for k in range(dates):
        out[k] = out[k] / ratio[k] if ratio[k] > 0.0 else np.nan
    for _ in range(SPLITS):
        # ratio first holds what the pairs of a date have, then that over what its present split gives
        for k in range(dates):
            ratio[k] = 0.0
        total = np.zeros(dates)
        for p in range(ends.shape[0]):
            if used[p]:
                given = out[ends[p, 0]] + out[ends[p, 1]]
                for end in range(2):
                    ratio[ends[p, end]] += variance[p]
                    total[ends[p, end]] += given
        for k in range(dates):
            if total[k] > 0.0:
                out[k] *= ratio[k] / total[k]


@kernel
def date_variance(ends, variance, dates, out):
    """Share of each date in the variances of its pairs.

    ends (pair, 2); variance (pair, rows, columns), NaN where a pair is missing; out (dates, rows, columns), NaN where
    a date has no pair.
    """
    pairs, rows, columns = variance.shape
    used = np.empty(pairs, np.bool_)
    value = np.empty(pairs)
    share = np.empty(dates)
    ratio = np.empty(dates)
    for row in range(rows):
        for column in range(columns):
            for p in range(pairs):
                value[p] = variance[p, row, column]
                used[p] = np.isfinite(value[p])
            _split(ends, used, value, dates, share, ratio)
            for k in range(dates):
                out[k, row, column] = share[k]


@kernel
def _root(parent, k):
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@kernel
def _factor(band):
    """Cholesky factor of a banded matrix in place; band[i, k] is the entry (i, i - k). False if it is not definite."""
    size, width = band.shape
    for i in range(size):
        first = max(0, i - width + 1)
        for j in range(first, i + 1):
            value = band[i, i - j]
            for k in range(max(first, j - width + 1), j):
                value -= band[i, i - k] * band[j, j - k]
            if j < i:
                band[i, i - j] = value / band[j, 0]
            elif value > 1e-12 * band[i, 0]:
                band[i, 0] = np.sqrt(value)
            else:
                return False
    return True


@kernel
def _solve(band, x):
    """Solve with the factor of `_factor`, in place."""
    size, width = band.shape
    for i in range(size):
        for k in range(max(0, i - width + 1), i):
            x[i] -= band[i, i - k] * x[k]
        x[i] /= band[i, 0]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, min(size, i + width)):
            x[i] -= band[k, k - i] * x[k]
        x[i] /= band[i, 0]


@kernel
def _inverse_diagonal(band, inverse):
    """Entries of the inverse within the band, from the factor (Takahashi's recurrence); laid out like `band`."""
    size, width = band.shape
    for j in range(size - 1, -1, -1):
        for i in range(min(size - 1, j + width - 1), j - 1, -1):
            value = 1.0 / band[j, 0] if i == j else 0.0
            for k in range(j + 1, min(size, j + width)):
                value -= inverse[max(i, k), abs(i - k)] * band[k, k - j]
            inverse[i, i - j] = value / band[j, 0]


@kernel
def invert(ends, dates, width, reference, dx, dy, variance_x, variance_y, weight_variance, out):
    """Displacement of each date since the reference date by weighted least squares.

    Parameters
    ----------
    ends
        (pair, 2) dates of reference and secondary, as indices.
    dates
        Number of dates.
    width
        Largest index distance of a pair, plus 1.
    reference
        Index of the reference date.
    dx, dy, variance_x, variance_y
        (pair, rows, columns) displacements and their variances; a pair with a NaN, or without a positive variance,
        takes no part.
    weight_variance
        (pair, rows, columns) inverse of the weight of each pair vector.
    out
        (5·dates + 3, rows, columns): displacement along x and y, variance of each date along x and y, state of the
        date (0 solved, 1 no pairs, 2 not connected with the reference, 3 the reference has no pairs); then the
        misclosure (root mean square), the number of pairs, and of unconnected groups of dates.
    """
    pairs, rows, columns = dx.shape
    used = np.empty(pairs, np.bool_)
    weight = np.empty(pairs)
    variance = np.empty((2, pairs))
    observed = np.empty((2, pairs))
    parent = np.empty(dates, np.int64)
    degree = np.empty(dates, np.int64)
    band = np.empty((dates, width))
    inverse = np.empty((dates, width))
    solution = np.empty((2, dates))
    sums = np.empty(dates)
    share = np.empty((2, dates))
    ratio = np.empty(dates)
    for row in range(rows):
        for column in range(columns):
            n_pairs = 0
            for k in range(dates):
                parent[k] = k
                degree[k] = 0
            for p in range(pairs):
                observed[0, p], observed[1, p] = dx[p, row, column], dy[p, row, column]
                variance[0, p], variance[1, p] = variance_x[p, row, column], variance_y[p, row, column]
                mean = weight_variance[p, row, column]
                used[p] = (
                    np.isfinite(observed[0, p])
                    and np.isfinite(observed[1, p])
                    and 0.0 < variance[0, p] < np.inf
                    and 0.0 < variance[1, p] < np.inf
                    and 0.0 < mean < np.inf
                )
                if used[p]:
                    weight[p] = 1.0 / mean
                    n_pairs += 1
                    degree[ends[p, 0]] += 1
                    degree[ends[p, 1]] += 1
                    a, b = _root(parent, ends[p, 0]), _root(parent, ends[p, 1])
                    parent[max(a, b)] = min(a, b)
            groups = 0
            for k in range(dates):
                if degree[k] > 0 and _root(parent, k) == k:
                    groups += 1
            out[:, row, column] = np.nan
            out[5 * dates + 1, row, column] = n_pairs
            out[5 * dates + 2, row, column] = groups
            home = _root(parent, reference)
            solved = 0
            for k in range(dates):
                state = 0
                if degree[reference] == 0:
                    state = 3
                elif degree[k] == 0:
                    state = 1
                elif _root(parent, k) != home:
                    state = 2
                else:
                    solved += 1
                out[4 * dates + k, row, column] = state
            if degree[reference] == 0:
                continue
            band[:] = 0.0
            solution[:] = 0.0
            count = 0
            for p in range(pairs):
                if used[p] and _root(parent, ends[p, 0]) != home:
                    used[p] = False
                if used[p]:
                    count += 1
                    i, j = ends[p, 0], ends[p, 1]
                    band[i, 0] += weight[p]
                    band[j, 0] += weight[p]
                    if i != reference and j != reference:
                        band[max(i, j), abs(i - j)] -= weight[p]
                    for axis in range(2):
                        solution[axis, i] -= weight[p] * observed[axis, p]
                        solution[axis, j] += weight[p] * observed[axis, p]
            for k in range(dates):
                sums[k] = 1.0
                if k == reference or out[4 * dates + k, row, column] != 0.0:
                    # grounded, or not part of this system: a row of its own
                    band[k, :] = 0.0
                    band[k, 0] = 1.0
                    solution[0, k], solution[1, k], sums[k] = 0.0, 0.0, 0.0
            if not _factor(band):
                for k in range(dates):
                    out[4 * dates + k, row, column] = 2
                continue
            _solve(band, solution[0])
            _solve(band, solution[1])
            square = 0.0
            misfit = 0.0
            for p in range(pairs):
                if used[p]:
                    i, j = ends[p, 0], ends[p, 1]
                    along_x = observed[0, p] - solution[0, j] + solution[0, i]
                    along_y = observed[1, p] - solution[1, j] + solution[1, i]
                    square += 0.5 * (along_x * along_x + along_y * along_y)
                    misfit += 0.5 * weight[p] * (along_x * along_x + along_y * along_y)
            out[5 * dates, row, column] = np.sqrt(square / count)
            # what does not close is noise of the pairs; the rest of their variance belongs to the dates
            freedom = count - (solved - 1)
            pair_share = misfit / freedom if freedom > 0 else 0.0
            _inverse_diagonal(band, inverse)
            _solve(band, sums)
            total = 0.0
            for k in range(dates):
                total += sums[k]
            for axis in range(2):
                _split(ends, used, variance[axis], dates, share[axis], ratio)
            for k in range(dates):
                if out[4 * dates + k, row, column] == 0.0:
                    own = 0.0 if k == reference else inverse[k, 0]
                    network = own - 2.0 * sums[k] / solved + total / (solved * solved)
                    for axis in range(2):
                        out[axis * dates + k, row, column] = solution[axis, k]
                        out[(2 + axis) * dates + k, row, column] = (
                            max(1.0 - pair_share, 0.0) * share[axis, k] + pair_share * network
                        )
