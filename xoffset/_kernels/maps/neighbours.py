"""Agreement of a vector with the vectors around it."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.order import _median, _select

# Distance along each axis to which a node has neighbours, nodes.
RADIUS = 2
# Largest gradient of the shifts that is believed, px per px: windows on ground that is strained more do not match.
LARGEST_STRAIN = 0.2


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
            nearest = (around - 1) // 2
            _select(distance[:count], nearest, nearest)
            spread = distance[nearest]
            noise = np.hypot(_median(s[:count]), sigma[row, column])
            allowed = min(max(3.0 * spread, 4.0 * noise), max(limit, 4.0 * noise))
            far = np.hypot(dx[row, column] - x[median], dy[row, column] - y[median])
            if spread > max(limit, 4.0 * noise) or not far <= allowed:
                out[row, column] = 1


@kernel
def vector_median(field, out):
    """Vector median of the 3 x 3 vectors around each, itself included; (rows, columns, 2), NaN where unknown."""
    rows, columns = field.shape[:2]
    around = np.empty((9, 2))
    for row in range(rows):
        for column in range(columns):
            count = 0
            for i in range(max(row - 1, 0), min(row + 2, rows)):
                for j in range(max(column - 1, 0), min(column + 2, columns)):
                    if np.isfinite(field[i, j, 0]) and np.isfinite(field[i, j, 1]):
                        around[count, 0], around[count, 1] = field[i, j, 0], field[i, j, 1]
                        count += 1
            out[row, column, 0], out[row, column, 1] = np.nan, np.nan
            least = np.inf
            differ = 0
            for i in range(1, count):
                differ += around[i, 0] != around[0, 0] or around[i, 1] != around[0, 1]
            # whole pixels often agree to the last: then the first is as good as any
            for i in range(count if differ > 0 else min(count, 1)):
                total = 0.0
                for j in range(count):
                    total += np.hypot(around[i, 0] - around[j, 0], around[i, 1] - around[j, 1])
                if total < least:
                    least = total
                    out[row, column, 0], out[row, column, 1] = around[i, 0], around[i, 1]


@kernel
def fails_to_come_back(dx, dy, back_x, back_y, variance_x, variance_y, step, out):
    """Set out where a displacement and the one back, at the same node, do not cancel.

    The way back starts elsewhere: a gradient of the field over the distance moved is allowed for, besides half a pixel
    and three standard errors of the sum. No gradient above LARGEST_STRAIN is believed: wrong neighbours make any.

    Parameters
    ----------
    dx, dy, back_x, back_y, variance_x, variance_y
        (rows, columns), in pixels and px²; NaN where unknown, infinite beyond the edges.
    step
        Distance of the nodes in pixels.
    out
        (rows, columns) uint8. Without one of the two displacements nothing is set.
    """
    rows, columns = dx.shape
    for row in range(rows):
        for column in range(columns):
            out[row, column] = 0
            u, v = dx[row, column], dy[row, column]
            mismatch = np.hypot(u + back_x[row, column], v + back_y[row, column])
            if not np.isfinite(mismatch):
                continue
            along_x = u * _slope_along(dx, row, column, 0, 1) + v * _slope_along(dx, row, column, 1, 0)
            along_y = u * _slope_along(dy, row, column, 0, 1) + v * _slope_along(dy, row, column, 1, 0)
            noise = np.sqrt(2.0 * (variance_x[row, column] + variance_y[row, column]))
            change = min(np.hypot(along_x, along_y) / step, LARGEST_STRAIN * np.hypot(u, v))
            if mismatch > max(0.5, 3.0 * noise) + change:
                out[row, column] = 1


@kernel
def _slope_along(field, row, column, down, right):
    """Slope at a node toward the node so many rows down and columns to the right."""
    has_before = row >= down and column >= right
    has_after = row + down < field.shape[0] and column + right < field.shape[1]
    before = field[row - down, column - right] if has_before else np.nan
    after = field[row + down, column + right] if has_after else np.nan
    return _slope(before, field[row, column], after)


@kernel
def _slope(before, here, after):
    """Central difference per node, one-sided where only one neighbour is known, zero where none is."""
    if np.isfinite(before) and np.isfinite(after):
        return 0.5 * (after - before)
    if np.isfinite(before):
        return here - before
    return after - here if np.isfinite(after) else 0.0
