"""Slow twin of the closure, from its definition: plain NumPy, one node at a time."""

import itertools

import numpy as np


def triplets(ends):
    """All (i, j, k) of dates, in order, whose three pairs are in a network, as positions of the pairs."""
    index = {tuple(pair): p for p, pair in enumerate(ends.tolist())}
    dates = sorted({date for pair in index for date in pair})
    return [
        (index[i, j], index[j, k], index[i, k])
        for i, j, k in itertools.combinations(dates, 3)
        if {(i, j), (j, k), (i, k)} <= index.keys()
    ]


def closure(ends, is_backward, spacing, dx, dy, variance):
    """Closure, tolerance and number of triplets (observation, rows, columns); closure and number of dates (date, ...).

    dx, dy, and the sum of their variances (observation, rows, columns), forward in time.
    """
    shape = dx.shape
    found, allowed, number = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, int)
    dates = ends.max() + 1
    of_date, of_date_number = np.full((dates, *shape[1:]), np.nan), np.zeros((dates, *shape[1:]), int)
    for row, column in np.ndindex(shape[1:]):
        vector = np.array([dx[:, row, column], dy[:, row, column]]).T
        collected, of_dates = [[] for _ in ends], [[] for _ in range(dates)]
        for triplet in triplets(ends):
            if not np.isfinite(vector[list(triplet)]).all():
                continue
            ij, jk, ik = triplet
            misclosure = vector[ij] + vector[jk] - vector[ik]
            moved = _change(vector[ij], _gradient(dx[jk], dy[jk], row, column, spacing))
            for p in triplet:
                if is_backward[p]:
                    moved += _change(vector[p], _gradient(dx[p], dy[p], row, column, spacing))
            noise = variance[list(triplet), row, column].sum()
            for p in triplet:
                collected[p].append((misclosure @ misclosure, noise, moved**2))
            for date in {*ends[ij], *ends[jk]}:
                of_dates[date].append(misclosure @ misclosure)
        for p, entries in enumerate(collected):
            number[p, row, column] = len(entries)
            if entries:
                squared, noise, moved = np.sqrt(np.mean(entries, axis=0) / 3.0)
                found[p, row, column] = squared
                allowed[p, row, column] = 2.0 * noise + moved
        for date, entries in enumerate(of_dates):
            of_date_number[date, row, column] = len(entries)
            if entries:
                of_date[date, row, column] = np.sqrt(np.mean(entries) / 3.0)
    return found, allowed, number, of_date, of_date_number


def _change(vector, gradient):
    return min(np.hypot(*(gradient @ vector)), 0.2 * np.hypot(*vector))


def _gradient(dx, dy, row, column, spacing):
    """Matrix of the derivatives of (dx, dy) by (x, y)."""
    along_x = [_slope(field[row], column) / spacing[0] for field in (dx, dy)]
    along_y = [_slope(field[:, column], row) / spacing[1] for field in (dx, dy)]
    return np.array([along_x, along_y]).T


def _slope(line, k):
    known = [(m, line[m]) for m in (k - 1, k, k + 1) if 0 <= m < line.size and np.isfinite(line[m])]
    (first, low), (last, high) = known[0], known[-1]
    return (high - low) / (last - first) if last > first else 0.0
