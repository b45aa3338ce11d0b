"""Networks of pairs solved pixel by pixel: the normal matrix of a pair network is a weighted graph Laplacian.

It is assembled in O(pairs), stays within a band as wide as the longest pair counted in dates, and takes both components
with one factor.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

SPLITS = 20


@kernel
def _split(ends, used, variance, out, ratio):
    """Variance of each date whose sums over the ends of the pairs come closest to the variances of the pairs.

    Multiplicative updates keep it positive; where a network cannot tell (a chain), each date keeps half a pair.
    """
    dates = out.size
    total = np.empty(dates)
    out[:] = 0.0
    ratio[:] = 0.0
    for p in range(ends.shape[0]):
        if used[p]:
            for end in range(2):
                out[ends[p, end]] += 0.5 * variance[p]
                ratio[ends[p, end]] += 1.0
    for k in range(dates):
        out[k] = out[k] / ratio[k] if ratio[k] > 0.0 else np.nan
    for _ in range(SPLITS):
        # what the pairs of a date have, over what the present split gives them
        ratio[:] = 0.0
        total[:] = 0.0
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
def date_variance(ends, variance, out):
    """Share of each date in the variances of its pairs.

    ends (pair, 2); variance (pair, rows, columns), NaN where a pair is missing; out (dates, rows, columns), NaN where
    a date has no pair.
    """
    pairs, rows, columns = variance.shape
    used = np.empty(pairs, np.bool_)
    value = np.empty(pairs)
    share = np.empty(out.shape[0])
    ratio = np.empty(out.shape[0])
    for row in range(rows):
        for column in range(columns):
            for p in range(pairs):
                value[p] = variance[p, row, column]
                used[p] = np.isfinite(value[p])
            _split(ends, used, value, share, ratio)
            out[:, row, column] = share


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
def _gather(pixel, observed, variance, weight, used):
    """Copy the pairs of one pixel and say which take part; returns how many do."""
    dx, dy, variance_x, variance_y, weight_variance = pixel
    count = 0
    for p in range(dx.size):
        observed[0, p], observed[1, p] = dx[p], dy[p]
        variance[0, p], variance[1, p] = variance_x[p], variance_y[p]
        used[p] = (
            np.isfinite(observed[0, p])
            and np.isfinite(observed[1, p])
            and 0.0 < variance[0, p] < np.inf
            and 0.0 < variance[1, p] < np.inf
            and 0.0 < weight_variance[p] < np.inf
        )
        weight[p] = 1.0 / weight_variance[p] if used[p] else 0.0
        count += used[p]
    return count


@kernel
def _connect(ends, used, reference, parent, state):
    """Group the dates that pairs connect; returns the number of groups and of dates in that of the reference.

    state: 0 the date is connected with the reference, 1 it has no pairs, 2 it is not connected, 3 the reference has no
    pairs.
    """
    dates = parent.size
    state[:] = 1
    for k in range(dates):
        parent[k] = k
    for p in range(used.size):
        if used[p]:
            a, b = _root(parent, ends[p, 0]), _root(parent, ends[p, 1])
            parent[max(a, b)] = min(a, b)
            state[ends[p, 0]] = 0
            state[ends[p, 1]] = 0
    home = _root(parent, reference)
    has_reference = state[reference] == 0
    groups = 0
    members = 0
    for k in range(dates):
        groups += state[k] == 0 and _root(parent, k) == k
        if not has_reference:
            state[k] = 3
        elif state[k] == 0 and _root(parent, k) != home:
            state[k] = 2
        members += state[k] == 0
    return groups, members


@kernel
def _assemble(ends, used, weight, observed, reference, state, band, solution, ones):
    """Grounded Laplacian and right-hand sides of the dates connected with the reference; returns their pairs.

    Dates that are not part of the system keep a row of their own. `ones` is a third right-hand side.
    """
    band[:] = 0.0
    solution[:] = 0.0
    count = 0
    for p in range(used.size):
        used[p] = used[p] and state[ends[p, 0]] == 0
        if not used[p]:
            continue
        count += 1
        i, j = ends[p, 0], ends[p, 1]
        band[i, 0] += weight[p]
        band[j, 0] += weight[p]
        if i != reference and j != reference:
            band[max(i, j), abs(i - j)] -= weight[p]
        for axis in range(2):
            solution[axis, i] -= weight[p] * observed[axis, p]
            solution[axis, j] += weight[p] * observed[axis, p]
    for k in range(state.size):
        ones[k] = 1.0
        if k == reference or state[k] != 0:
            band[k, :] = 0.0
            band[k, 0] = 1.0
            solution[0, k], solution[1, k], ones[k] = 0.0, 0.0, 0.0
    return count


@kernel
def _misclosure(ends, used, weight, observed, solution):
    """Sum of squared misclosures, plain and weighted, of the mean component."""
    plain = 0.0
    weighted = 0.0
    for p in range(used.size):
        if used[p]:
            along_x = observed[0, p] - solution[0, ends[p, 1]] + solution[0, ends[p, 0]]
            along_y = observed[1, p] - solution[1, ends[p, 1]] + solution[1, ends[p, 0]]
            square = 0.5 * (along_x * along_x + along_y * along_y)
            plain += square
            weighted += weight[p] * square
    return plain, weighted


@kernel
def invert(ends, width, reference, dx, dy, variance_x, variance_y, weight_variance, out):
    """Displacement of each date since the reference date by weighted least squares.

    Parameters
    ----------
    ends
        (pair, 2) dates of reference and secondary, as indices.
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
        date (see `_connect`); then the misclosure (root mean square), the number of pairs, and of unconnected groups
        of dates.
    """
    pairs, rows, columns = dx.shape
    dates = (out.shape[0] - 3) // 5
    used = np.empty(pairs, np.bool_)
    weight = np.empty(pairs)
    variance = np.empty((2, pairs))
    observed = np.empty((2, pairs))
    parent = np.empty(dates, np.int64)
    state = np.empty(dates, np.int64)
    band = np.empty((dates, width))
    inverse = np.empty((dates, width))
    solution = np.empty((2, dates))
    sums = np.empty(dates)
    share = np.empty((2, dates))
    ratio = np.empty(dates)
    for row in range(rows):
        for column in range(columns):
            fields = out[:, row, column]
            fields[:] = np.nan
            pixel = (
                dx[:, row, column],
                dy[:, row, column],
                variance_x[:, row, column],
                variance_y[:, row, column],
                weight_variance[:, row, column],
            )
            fields[5 * dates + 1] = _gather(pixel, observed, variance, weight, used)
            groups, members = _connect(ends, used, reference, parent, state)
            fields[5 * dates + 2] = groups
            fields[4 * dates : 5 * dates] = state
            if members == 0:
                continue
            count = _assemble(ends, used, weight, observed, reference, state, band, solution, sums)
            if not _factor(band):
                fields[4 * dates : 5 * dates] = 2
                continue
            for right_hand_side in (solution[0], solution[1], sums):
                _solve(band, right_hand_side)
            plain, weighted = _misclosure(ends, used, weight, observed, solution)
            fields[5 * dates] = np.sqrt(plain / count)
            # what does not close is noise of the pairs; the rest of their variance belongs to the dates
            freedom = count - (members - 1)
            pair_share = weighted / freedom if freedom > 0 else 0.0
            _inverse_diagonal(band, inverse)
            for axis in range(2):
                _split(ends, used, variance[axis], share[axis], ratio)
            for k in range(dates):
                if state[k] != 0:
                    continue
                # diagonal of the pseudo-inverse: the inverse without the choice of a reference
                grounded = 0.0 if k == reference else inverse[k, 0]
                network = grounded - 2.0 * sums[k] / members + sums.sum() / (members * members)
                for axis in range(2):
                    fields[axis * dates + k] = solution[axis, k]
                    fields[(2 + axis) * dates + k] = max(1.0 - pair_share, 0.0) * share[axis, k] + pair_share * network


@kernel
def pair_share(ends, width, dx, dy, variance_x, variance_y, out):
    """Share of the variances that belongs to the pairs, from what does not close: 0 if nothing is redundant.

    Parameters
    ----------
    ends
        (pair, 2) dates of reference and secondary, as indices; every two dates once.
    width
        Largest index distance of a pair, plus 1.
    dx, dy, variance_x, variance_y
        (pair, rows, columns) displacements and their variances; a pair with a NaN, or without a positive variance,
        takes no part.
    out
        (rows, columns) weighted mean square of the misclosure per degree of freedom; above 1 where the misclosure is
        more than the variances allow.
    """
    pairs, rows, columns = dx.shape
    dates = ends.max() + 1
    used = np.empty(pairs, np.bool_)
    weight = np.empty(pairs)
    variance = np.empty((2, pairs))
    observed = np.empty((2, pairs))
    parent = np.empty(dates, np.int64)
    state = np.empty(dates, np.int64)
    band = np.empty((dates, width))
    solution = np.empty((2, dates))
    sums = np.empty(dates)
    for row in range(rows):
        for column in range(columns):
            out[row, column] = 0.0
            fields = (
                dx[:, row, column],
                dy[:, row, column],
                variance_x[:, row, column],
                variance_y[:, row, column],
                0.5 * (variance_x[:, row, column] + variance_y[:, row, column]),
            )
            _gather(fields, observed, variance, weight, used)
            # the largest group of dates stands for all
            best = 0
            for k in range(dates):
                _, members = _connect(ends, used, k, parent, state)
                if members > best:
                    best, reference = members, k
            if best == 0:
                continue
            _, members = _connect(ends, used, reference, parent, state)
            count = _assemble(ends, used, weight, observed, reference, state, band, solution, sums)
            if count <= members - 1 or not _factor(band):
                continue
            for right_hand_side in (solution[0], solution[1]):
                _solve(band, right_hand_side)
            _, weighted = _misclosure(ends, used, weight, observed, solution)
            out[row, column] = weighted / (count - (members - 1))
