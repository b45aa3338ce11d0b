"""Gradients of a displacement from the plane through the nodes of a window."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel


@kernel
def _spread(source, tent, out, strip):
    """Multiply values on a window by the correlation of its nodes, tent[|i|]·tent[|j|]: first along x, then along y."""
    side, reach = source.shape[0], tent.size
    for i in range(side):
        for j in range(side):
            total = 0.0
            for k in range(max(j - reach + 1, 0), min(j + reach, side)):
                total += tent[abs(j - k)] * source[i, k]
            strip[i, j] = total
    for i in range(side):
        for j in range(side):
            total = 0.0
            for k in range(max(i - reach + 1, 0), min(i + reach, side)):
                total += tent[abs(i - k)] * strip[k, j]
            out[i, j] = total


@kernel
def _plane(used, radius, pull):
    """Factors (2, side, side) that make the slopes of a plane along x and y of the values; False if there is none."""
    side = 2 * radius + 1
    count, mean_x, mean_y = 0, 0.0, 0.0
    for i in range(side):
        for j in range(side):
            if used[i, j]:
                count += 1
                mean_x += j
                mean_y += i
    if count < 3:
        return False
    mean_x /= count
    mean_y /= count
    xx, xy, yy = 0.0, 0.0, 0.0
    for i in range(side):
        for j in range(side):
            if used[i, j]:
                xx += (j - mean_x) ** 2
                xy += (j - mean_x) * (i - mean_y)
                yy += (i - mean_y) ** 2
    determinant = xx * yy - xy * xy
    # nodes on one line
    if not determinant > 1e-9 * (xx + yy) ** 2:
        return False
    for i in range(side):
        for j in range(side):
            pull[0, i, j], pull[1, i, j] = 0.0, 0.0
            if used[i, j]:
                pull[0, i, j] = (yy * (j - mean_x) - xy * (i - mean_y)) / determinant
                pull[1, i, j] = (xx * (i - mean_y) - xy * (j - mean_x)) / determinant
    return True


@kernel
def gradient(radius, least, tent, dx, dy, sigma_x, sigma_y, correlation, out):
    """Slopes of the plane that is closest to the displacements around each node, and their covariances.

    Parameters
    ----------
    radius
        Half the side of the window in nodes.
    least
        Number of nodes with a displacement that the window needs, beside three that do not lie on one line.
    tent
        (distance,) correlation of the errors of two nodes by their distance along an axis, none beyond; that of the two
        axes is multiplied. Empty if no covariances are wanted.
    dx, dy, sigma_x, sigma_y, correlation
        (rows, columns) displacement, its standard errors and their correlation. A node without a displacement, or
        with an infinite one, is left out; one without standard errors leaves the covariances unknown.
    out
        (10, rows, columns) per node: slopes ∂dx/∂x, ∂dx/∂y, ∂dy/∂x, ∂dy/∂y in direction of columns and rows; their
        variances; covariance of the first and the last, and of the second and the third.
    """
    rows, columns = dx.shape
    side = 2 * radius + 1
    used = np.empty((side, side), np.bool_)
    pull = np.empty((2, side, side))
    # pull times standard error, of both slopes and both components, and what the correlation makes of it
    error = np.empty((4, side, side))
    spread = np.empty((4, side, side))
    strip = np.empty((side, side))
    for row in range(rows):
        for column in range(columns):
            for k in range(out.shape[0]):
                out[k, row, column] = np.nan
            count = 0
            for i in range(side):
                for j in range(side):
                    r, c = row + i - radius, column + j - radius
                    used[i, j] = False
                    if 0 <= r < rows and 0 <= c < columns:
                        used[i, j] = np.isfinite(dx[r, c]) and np.isfinite(dy[r, c])
                    count += used[i, j]
            if count < least or not _plane(used, radius, pull):
                continue
            slope = out[:, row, column]
            total_xx, total_xy, total_yx, total_yy = 0.0, 0.0, 0.0, 0.0
            for i in range(side):
                for j in range(side):
                    for k in range(4):
                        error[k, i, j] = 0.0
                    if used[i, j]:
                        r, c = row + i - radius, column + j - radius
                        total_xx += pull[0, i, j] * dx[r, c]
                        total_xy += pull[1, i, j] * dx[r, c]
                        total_yx += pull[0, i, j] * dy[r, c]
                        total_yy += pull[1, i, j] * dy[r, c]
                        for axis in range(2):
                            error[axis, i, j] = pull[axis, i, j] * sigma_x[r, c]
                            error[2 + axis, i, j] = pull[axis, i, j] * sigma_y[r, c]
            slope[0], slope[1], slope[2], slope[3] = total_xx, total_xy, total_yx, total_yy
            if tent.size == 0:
                continue
            for k in range(4):
                _spread(error[k], tent, spread[k], strip)
                total = 0.0
                for i in range(side):
                    for j in range(side):
                        total += error[k, i, j] * spread[k, i, j]
                slope[4 + k] = total
            # the correlation of the components at two nodes is the mean of those at each of them
            normal, shear = 0.0, 0.0
            for i in range(side):
                for j in range(side):
                    if used[i, j]:
                        half = 0.5 * correlation[row + i - radius, column + j - radius]
                        normal += half * (error[0, i, j] * spread[3, i, j] + error[3, i, j] * spread[0, i, j])
                        shear += half * (error[1, i, j] * spread[2, i, j] + error[2, i, j] * spread[1, i, j])
            slope[8] = normal
            slope[9] = shear
