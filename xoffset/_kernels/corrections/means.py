"""Means over nodes whose surroundings look alike."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel


@kernel
def nonlocal_means(dx, dy, sigma_dx, sigma_dy, radius, reach, steepness, out):
    """Mean of the vectors around each node, weighted by how alike their surroundings are.

    Buades, Coll & Morel 2005, Multiscale Modeling & Simulation 4, 490-530. The weight of a node is
    exp(-steepness·max(D - 1, 0)); D is the mean square, over both components and over the nodes of two squares, of the
    difference of the displacements in units of its standard error, about 1 where both show the same motion.

    Parameters
    ----------
    dx, dy, sigma_dx, sigma_dy
        (rows, columns), NaN where unknown; a node counts where all are known and both standard errors are above 0.
    radius
        Nodes from the middle to the side of the squares that are compared.
    reach
        Nodes along rows and columns from a node to the farthest that takes part in its mean.
    steepness
        How fast weights fall.
    out
        (2, rows, columns) means along x and y; NaN where the node does not count.
    """
    rows, columns = dx.shape
    known = np.zeros((rows, columns))
    value = np.zeros((2, rows, columns))
    variance = np.ones((2, rows, columns))
    for i in range(rows):
        for j in range(columns):
            x, y, sx, sy = dx[i, j], dy[i, j], sigma_dx[i, j], sigma_dy[i, j]
            if np.isfinite(x) and np.isfinite(y) and np.isfinite(sx) and np.isfinite(sy) and sx > 0.0 and sy > 0.0:
                known[i, j] = 1.0
                value[0, i, j], value[1, i, j] = x, y
                variance[0, i, j], variance[1, i, j] = sx * sx, sy * sy
    sums = np.zeros((2, rows, columns))
    total = np.zeros((rows, columns))
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            _add(known, value, variance, down, right, radius, steepness, sums, total)
    for i in range(rows):
        for j in range(columns):
            for k in range(2):
                out[k, i, j] = sums[k, i, j] / total[i, j] if known[i, j] > 0.0 else np.nan


@kernel
def _add(known, value, variance, down, right, radius, steepness, sums, total):
    """Add the nodes that lie so far from each."""
    rows, columns = known.shape
    top, bottom = max(-down, 0), rows - max(down, 0)
    left, right_end = max(-right, 0), columns - max(right, 0)
    if top >= bottom or left >= right_end:
        return
    height, width = bottom - top, right_end - left
    square = np.empty((height, width))
    both = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            a, b, c, d = top + i, left + j, top + i + down, left + j + right
            x, y = value[0, c, d] - value[0, a, b], value[1, c, d] - value[1, a, b]
            both[i, j] = known[a, b] * known[c, d]
            along_x = x * x / (variance[0, a, b] + variance[0, c, d])
            along_y = y * y / (variance[1, a, b] + variance[1, c, d])
            square[i, j] = 0.5 * both[i, j] * (along_x + along_y)
    square_of_rows, both_of_rows = np.empty((height, width)), np.empty((height, width))
    for i in range(height):
        for j in range(width):
            s, n = 0.0, 0.0
            for q in range(max(j - radius, 0), min(j + radius + 1, width)):
                s += square[i, q]
                n += both[i, q]
            square_of_rows[i, j], both_of_rows[i, j] = s, n
    for i in range(height):
        for j in range(width):
            if both[i, j] == 0.0:
                continue
            s, n = 0.0, 0.0
            for p in range(max(i - radius, 0), min(i + radius + 1, height)):
                s += square_of_rows[p, j]
                n += both_of_rows[p, j]
            weight = np.exp(-steepness * max(s / n - 1.0, 0.0))
            total[top + i, left + j] += weight
            for k in range(2):
                sums[k, top + i, left + j] += weight * value[k, top + i + down, left + j + right]
