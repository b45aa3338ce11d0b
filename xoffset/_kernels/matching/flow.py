"""Least-squares motion of windows from the linear equations of their blocks."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel


@hot_kernel
def solve(sums, damping, field_x, field_y):
    """Replace the field by the solution of (J + damping) d = r + damping·d.

    `sums` (5, rows, columns): J along x, across and along y, r along x and y, see `residuals.equations`. Where little
    is known the field stays.
    """
    for row in range(field_x.shape[0]):
        a, b, c, p, q = sums[0, row], sums[1, row], sums[2, row], sums[3, row], sums[4, row]
        line_x, line_y = field_x[row], field_y[row]
        for x in range(line_x.size):
            xx, xy, yy = a[x] + damping, b[x], c[x] + damping
            rx, ry = p[x] + damping * line_x[x], q[x] + damping * line_y[x]
            inverse = 1 / (xx * yy - xy * xy)
            line_x[x], line_y[x] = (yy * rx - xy * ry) * inverse, (xx * ry - xy * rx) * inverse


@hot_kernel
def turn(sums, least, gain):
    """Turn the sign of the gain (rows, columns) where windows correlate below -`least`.

    `sums` (3, rows, columns): energies of both images and their product over the windows.
    """
    for row in range(gain.shape[0]):
        one, two, product, line = sums[0, row], sums[1, row], sums[2, row], gain[row]
        for x in range(line.size):
            is_inverse = product[x] < -least * np.sqrt(one[x] * two[x])
            line[x] = -line[x] if is_inverse else line[x]


@hot_kernel
def multiply(system, field_x, field_y, out):
    """J times a field in the place of r, and J itself: out (5, rows, columns)."""
    for row in range(field_x.shape[0]):
        a, b, c = system[0, row], system[1, row], system[2, row]
        u, v = field_x[row], field_y[row]
        for x in range(u.size):
            out[0, row, x], out[1, row, x], out[2, row, x] = a[x], b[x], c[x]
            out[3, row, x], out[4, row, x] = a[x] * u[x] + b[x] * v[x], b[x] * u[x] + c[x] * v[x]


@hot_kernel
def covariances(sums, damping, out):
    """Inverse of J + damping: variances along x and y, and the covariance (3, rows, columns)."""
    for row in range(out.shape[1]):
        a, b, c = sums[0, row], sums[1, row], sums[2, row]
        for x in range(a.size):
            xx, yy = a[x] + damping, c[x] + damping
            inverse = 1 / (xx * yy - b[x] * b[x])
            out[0, row, x], out[1, row, x], out[2, row, x] = yy * inverse, xx * inverse, -b[x] * inverse
