"""Density of scattered values in a plane."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel


@kernel
def density(x, y, bandwidth, columns, rows, out):
    """Density of points at evenly spaced places, with the kernel of Epanechnikov: 2/(π h²)·(1 − r²/h²) up to r = h.

    Parameters
    ----------
    x, y
        (point,) all of them finite.
    bandwidth
        Radius h of the kernel.
    columns, rows
        (column,), (row,) places along x and along y, rising, two at least.
    out
        (row, column).
    """
    square = bandwidth * bandwidth
    step_x, step_y = columns[1] - columns[0], rows[1] - rows[0]
    out[:] = 0.0
    for k in range(x.size):
        # places within reach, and one more to each side for what rounding does
        first = max(int(np.floor((x[k] - bandwidth - columns[0]) / step_x)), 0)
        last = min(int(np.ceil((x[k] + bandwidth - columns[0]) / step_x)) + 1, columns.size)
        top = max(int(np.floor((y[k] - bandwidth - rows[0]) / step_y)), 0)
        bottom = min(int(np.ceil((y[k] + bandwidth - rows[0]) / step_y)) + 1, rows.size)
        for i in range(top, bottom):
            dy = rows[i] - y[k]
            for j in range(first, last):
                dx = columns[j] - x[k]
                left = 1.0 - (dx * dx + dy * dy) / square
                if left > 0.0:
                    out[i, j] += left
    out *= 2.0 / (np.pi * square * x.size)
