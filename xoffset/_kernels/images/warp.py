"""Images of a moving scene, sampled from a continuous description of it."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

# Most iterations that find from where the ground at a place of the image has moved.
ITERATIONS = 50
# Change of that origin along y plus that along x that ends the iteration, px.
TOLERANCE = 1e-6


@kernel
def _weights(fraction):
    """Weights of the four coefficients around a point that lies `fraction` behind the second."""
    rest = 1.0 - fraction
    first = rest * rest * rest / 6.0
    last = fraction * fraction * fraction / 6.0
    second = 2.0 / 3.0 - fraction * fraction * (1.0 - 0.5 * fraction)
    return first, second, 1.0 - first - second - last, last


@kernel
def _spline_value(spline, y, x):
    """Value of a periodic cubic B-spline at a point given in coefficients."""
    rows, columns = spline.shape
    top, left = int(np.floor(y)), int(np.floor(x))
    w0, w1, w2, w3 = _weights(x - left)
    c0, c1, c2, c3 = (left - 1) % columns, left % columns, (left + 1) % columns, (left + 2) % columns
    total = 0.0
    for k, weight in enumerate(_weights(y - top)):
        line = spline[(top - 1 + k) % rows]
        total += weight * (w0 * line[c0] + w1 * line[c1] + w2 * line[c2] + w3 * line[c3])
    return total


@kernel
def _origin(shape, amplitude_y, amplitude_x, seen_y, seen_x):
    """Where a point came from that is now seen here: x + shape(x)·amplitude = seen, by fixed-point iteration."""
    rows, columns = shape.shape
    y, x = seen_y, seen_x
    for _ in range(ITERATIONS):
        clipped_y = min(max(y, 0.0), rows - 1.0)
        clipped_x = min(max(x, 0.0), columns - 1.0)
        top = min(int(clipped_y), max(rows - 2, 0))
        left = min(int(clipped_x), max(columns - 2, 0))
        bottom = min(top + 1, rows - 1)
        right = min(left + 1, columns - 1)
        part_y = clipped_y - top
        part_x = clipped_x - left
        upper = (1.0 - part_x) * shape[top, left] + part_x * shape[top, right]
        lower = (1.0 - part_x) * shape[bottom, left] + part_x * shape[bottom, right]
        share = (1.0 - part_y) * upper + part_y * lower
        next_y = seen_y - share * amplitude_y
        next_x = seen_x - share * amplitude_x
        change = abs(next_y - y) + abs(next_x - x)
        y, x = next_y, next_x
        if change < TOLERANCE:
            break
    return y, x


@kernel
def render(spline, oversampling, still, shape, amplitude_x, amplitude_y, shift_x, shift_y, geometry, out):
    """Area-average a periodic scene whose points have moved by shape(point)·amplitude + shift.

    The scene is the cubic B-spline with the coefficients `spline` (fine rows, fine columns), so that its value anywhere
    is exact and no image is ever interpolated. All distances are pixels of `out` (rows, columns); `shape` has its size,
    is bilinear in between and constant beyond. `still` is the image without any motion, copied where nothing moves, or
    empty. A pixel of `out` averages oversampling² points. `geometry` (2, rows, columns): what each pixel of `out` is
    shifted by beyond that, along x and y; without rows there is none.
    """
    rows, columns = out.shape
    half = 0.5 * (oversampling - 1)
    own_x, own_y = shift_x, shift_y
    for row in range(rows):
        for column in range(columns):
            if geometry.shape[1] > 0:
                own_x, own_y = shift_x + geometry[0, row, column], shift_y + geometry[1, row, column]
            is_registered = own_x == 0.0 and own_y == 0.0
            moves = False
            for i in range(max(row - 1, 0), min(row + 2, rows)):
                for j in range(max(column - 1, 0), min(column + 2, columns)):
                    moves = moves or shape[i, j] != 0.0
            moves = moves and (amplitude_x != 0.0 or amplitude_y != 0.0)
            if is_registered and not moves and still.size > 0:
                out[row, column] = still[row, column]
                continue
            total = 0.0
            for i in range(oversampling):
                for j in range(oversampling):
                    seen_y = row + (i - half) / oversampling - own_y
                    seen_x = column + (j - half) / oversampling - own_x
                    y, x = seen_y, seen_x
                    if moves or not is_registered:
                        y, x = _origin(shape, amplitude_y, amplitude_x, seen_y, seen_x)
                    total += _spline_value(spline, oversampling * y + half, oversampling * x + half)
            out[row, column] = total / (oversampling * oversampling)


@kernel
def values(spline, shape, amplitude_y, amplitude_x, y, x, out):
    """Values out (n,) of a periodic scene where its points are now seen at y, x (n,).

    The scene is the spline with the coefficients `spline` (rows, columns), whose points have moved by
    shape(point)·amplitude, as in `render`. All distances are coefficients; `shape` is bilinear in between.
    """
    is_still = amplitude_y == 0.0 and amplitude_x == 0.0
    for k in range(out.size):
        from_y, from_x = y[k], x[k]
        if not is_still:
            from_y, from_x = _origin(shape, amplitude_y, amplitude_x, from_y, from_x)
        out[k] = _spline_value(spline, from_y, from_x)
