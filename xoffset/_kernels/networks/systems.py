"""Linear systems of pair networks: the normal matrix of a network is a weighted graph Laplacian.

It is assembled in O(pairs), factored within its envelope in the order of the dates, and takes both components with one
factor. Pixels lie side by side along the last axis of every array (the lanes), so that each step of the factorisation
is one vector operation; no lane ever looks at another one, so the result is the same in any company.

band[i, width - 1 - d] is the entry (i, i - d) of a symmetric matrix (date, width, lanes); first (date,) is the first
column of the envelope of each row; root (date, lanes) the first date of the group that a date belongs to, which is
grounded, or -1 for a date that is no unknown.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel


@kernel
def assemble(ends, weight, band):
    """Laplacian of every pixel from the weights (pair, lanes) of the pairs of dates `ends` (pair, 2)."""
    dates, width, lanes = band.shape
    last = width - 1
    for k in range(dates):
        for d in range(width):
            for lane in range(lanes):
                band[k, d, lane] = 0.0
    for p in range(ends.shape[0]):
        i, j = ends[p, 0], ends[p, 1]
        for lane in range(lanes):
            band[i, last, lane] += weight[p, lane]
            band[j, last, lane] += weight[p, lane]
            band[j, last - (j - i), lane] -= weight[p, lane]


@kernel
def ground(root, is_rigid, band):
    """A row of 1 for the first date of a group and for dates that are no unknowns.

    Also, if nothing is smoothed (`is_rigid`), for dates that no pair touches: unknowns of a series that is smoothed
    later.
    """
    dates, width, lanes = band.shape
    last = width - 1
    for k in range(dates):
        for lane in range(lanes):
            if root[k, lane] == k or root[k, lane] < 0:
                band[k, last, lane] = 1.0
                for d in range(1, width):
                    band[k, last - d, lane] = 0.0
                    if k + d < dates:
                        band[k + d, last - d, lane] = 0.0
            elif is_rigid and band[k, last, lane] == 0.0:
                band[k, last, lane] = 1.0


@kernel
def factor(first, band):
    """Cholesky factors of banded matrices in place, with the inverse of the diagonal on the diagonal.

    A matrix that is not definite gives NaN.
    """
    dates, width, lanes = band.shape
    total = np.empty(lanes)
    for i in range(dates):
        row = band[i]
        to_i = width - 1 - i
        for j in range(first[i], i + 1):
            to_j = width - 1 - j
            start = max(first[i], first[j])
            left, right = row[start + to_i : j + to_i], band[j][start + to_j : j + to_j]
            entry = row[j + to_i]
            for lane in range(lanes):
                total[lane] = entry[lane]
            for k in range(j - start):
                one, other = left[k], right[k]
                for lane in range(lanes):
                    total[lane] -= one[lane] * other[lane]
            if j < i:
                diagonal = band[j][width - 1]
                for lane in range(lanes):
                    entry[lane] = total[lane] * diagonal[lane]
            else:
                for lane in range(lanes):
                    is_definite = total[lane] > 1e-12 * entry[lane]
                    entry[lane] = 1.0 / np.sqrt(total[lane]) if is_definite else np.nan


@kernel
def solve(first, band, x):
    """Solve with the factors of `factor`, in place: x (side, date, lanes), any number of right-hand sides."""
    dates, width, lanes = band.shape
    for side in range(x.shape[0]):
        y = x[side]
        for i in range(dates):
            to_i = width - 1 - i
            target = y[i]
            for k in range(first[i], i):
                one, other = band[i][k + to_i], y[k]
                for lane in range(lanes):
                    target[lane] -= one[lane] * other[lane]
            diagonal = band[i][width - 1]
            for lane in range(lanes):
                target[lane] *= diagonal[lane]
        for i in range(dates - 1, -1, -1):
            to_i = width - 1 - i
            source, diagonal = y[i], band[i][width - 1]
            for lane in range(lanes):
                source[lane] *= diagonal[lane]
            for k in range(first[i], i):
                one, target = band[i][k + to_i], y[k]
                for lane in range(lanes):
                    target[lane] -= one[lane] * source[lane]


@kernel
def invert(first, band, inverse):
    """Entries of the inverses within the envelope, from the factors (Takahashi's recurrence).

    inverse[i, width - 1 - d] is the entry (i, i - d), for d below zero too; what lies outside the envelope stays 0.
    """
    dates, width, lanes = band.shape
    total = np.empty(lanes)
    last = width - 1
    for j in range(dates - 1, -1, -1):
        diagonal = band[j, last]
        after = min(dates, j + width) - j - 1
        whole = after - after % 4
        for i in range(j + after, j - 1, -1):
            if first[i] > j:
                continue
            for lane in range(lanes):
                total[lane] = diagonal[lane] if i == j else 0.0
            known = inverse[i][last + j + 1 - i :]
            # four at a time: every sum is loaded and stored a quarter as often
            for k in range(0, whole, 4):
                a0, a1, a2, a3 = known[k], known[k + 1], known[k + 2], known[k + 3]
                b0, b1 = band[j + 1 + k, last - 1 - k], band[j + 2 + k, last - 2 - k]
                b2, b3 = band[j + 3 + k, last - 3 - k], band[j + 4 + k, last - 4 - k]
                for lane in range(lanes):
                    total[lane] -= a0[lane] * b0[lane] + a1[lane] * b1[lane] + a2[lane] * b2[lane] + a3[lane] * b3[lane]
            for k in range(whole, after):
                a0, b0 = known[k], band[j + 1 + k, last - 1 - k]
                for lane in range(lanes):
                    total[lane] -= a0[lane] * b0[lane]
            below, above = inverse[i, last - (i - j)], inverse[j, last + (i - j)]
            for lane in range(lanes):
                value = total[lane] * diagonal[lane]
                below[lane] = value
                above[lane] = value


@kernel
def unknowns(root, out):
    """Where dates are unknowns of the systems, 1, and 0 where not: out (date, lanes)."""
    for k in range(root.shape[0]):
        for lane in range(root.shape[1]):
            out[k, lane] = 0.0 if root[k, lane] == k or root[k, lane] < 0 else 1.0


@kernel
def gradient(ends, root, weight, observed, solution, out):
    """Right-hand sides (2, date, lanes) that lead from a solution to the weighted least-squares one.

    weight (pair, lanes), observed (2, pair, lanes) displacements, solution (2, date, lanes).
    """
    _, dates, lanes = out.shape
    for axis in range(2):
        seen, u, g = observed[axis], solution[axis], out[axis]
        for k in range(dates):
            for lane in range(lanes):
                g[k, lane] = 0.0
        for p in range(ends.shape[0]):
            i, j = ends[p, 0], ends[p, 1]
            for lane in range(lanes):
                pull = weight[p, lane] * (seen[p, lane] - u[j, lane] + u[i, lane])
                g[i, lane] -= pull
                g[j, lane] += pull
        for k in range(dates):
            for lane in range(lanes):
                if root[k, lane] == k or root[k, lane] < 0:
                    g[k, lane] = 0.0


@kernel
def advance(change, is_settled, solution, largest_change, largest):
    """Add the change (2, date, lanes) to the solution of the pixels that have not settled.

    largest_change and largest (lanes): largest square of the changes, and of the solution.
    """
    _, dates, lanes = change.shape
    for lane in range(lanes):
        largest_change[lane] = 0.0
        largest[lane] = 0.0
    for axis in range(2):
        for k in range(dates):
            for lane in range(lanes):
                step = change[axis, k, lane] if is_settled[lane] == 0.0 else 0.0
                value = solution[axis, k, lane] + step
                solution[axis, k, lane] = value
                largest_change[lane] = max(largest_change[lane], step * step)
                largest[lane] = max(largest[lane], value**2)
