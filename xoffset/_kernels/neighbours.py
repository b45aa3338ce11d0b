"""Agreement of a vector with the vectors around it."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

RADIUS = 2  # nodes


@kernel
def disagrees(dx, dy, sigma, limit, out):
    """Set out where a vector is far from the vector median of its neighbours, or its neighbours agree on nothing.

    The vector median (Astola et al. 1990, Proc. IEEE 78, 678-689) is the neighbour with the least sum of distances to
    the others. Far: more than three times their median distance from it and four standard errors, and in any case more
    than `limit`.

    Parameters
    ----------
    dx, dy, sigma
        (rows, columns) displacement and its standard error; NaN where there is none, infinite where there can be none
        (beyond the edges of the grid, say): such a node is no neighbour.
    limit
        Distance beyond which no vector belongs to its neighbourhood, same unit.
    out
        (rows, columns) uint8.
    """
    rows, columns = dx.shape
    side = 2 * RADIUS + 1
    x = np.empty(side * side)
    y = np.empty(side * side)
    s = np.empty(side * side)
    distance = np.empty(side * side)
    for row in range(rows):
        for column in range(columns):
            out[row, column] = 0
            if not (np.isfinite(dx[row, column]) and np.isfinite(dy[row, column])):
                continue
            count = 0
            around = -1
            for i in range(max(row - RADIUS, 0), min(row + RADIUS + 1, rows)):
                for j in range(max(column - RADIUS, 0), min(column + RADIUS + 1, columns)):
                    around += not np.isinf(dx[i, j])
                    if (i != row or j != column) and np.isfinite(dx[i, j]) and np.isfinite(dy[i, j]):
                        x[count], y[count], s[count] = dx[i, j], dy[i, j], sigma[i, j]
                        count += 1
            if count == 0 or 2 * count < around:
                out[row, column] = 1
                continue
            least = np.inf
            median = 0
            for i in range(count):
                total = 0.0
                for j in range(count):
                    total += np.hypot(x[i] - x[j], y[i] - y[j])
                if total < least:
                    least = total
                    median = i
            for i in range(count):
                distance[i] = np.hypot(x[i] - x[median], y[i] - y[median])
            # half of all nodes around, also of those without a vector
            spread = np.sort(distance[:count])[(around - 1) // 2]
            noise = np.hypot(np.median(s[:count]), sigma[row, column])
            allowed = min(max(3.0 * spread, 4.0 * noise), max(limit, 4.0 * noise))
            far = np.hypot(dx[row, column] - x[median], dy[row, column] - y[median])
            if spread > max(limit, 4.0 * noise) or not far <= allowed:
                out[row, column] = 1
