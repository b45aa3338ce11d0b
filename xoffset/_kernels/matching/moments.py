"""Whether few pixels of a window hold its contrast, from fourth moments."""

from __future__ import annotations

import math

import numpy as np

from xoffset._kernels._jit import hot_kernel


@hot_kernel
def excess(first, second, valid, nodes, peaks, out):
    """Excess of the fourth moments of the pixels of two windows that match, their geometric mean, out (rows, columns).

    0 where either is that of a normal distribution or less, or where there is no peak; pixels/n - 3 where n equal
    points alone stand out.

    Parameters
    ----------
    first, second
        (height, width) reference and secondary.
    valid
        (2, height, width) uint8: pixels of both that are fit to be matched; of size zero if all are.
    nodes, peaks
        As in `effective_pixels`.
    """
    for row in range(nodes.rows):
        for column in range(nodes.columns):
            out[row, column] = 0.0
            dy = peaks[row, column, 0]
            if not abs(dy) < np.inf:
                continue
            y = nodes.top + row * nodes.step
            x = nodes.left + column * nodes.step
            here = _kurtosis(first, valid[0], y, x, nodes.template) - 3.0
            if here <= 0.0:
                continue
            y += int(dy)
            x += int(peaks[row, column, 1])
            there = _kurtosis(second, valid[1], y, x, nodes.template) - 3.0
            out[row, column] = math.sqrt(here * max(there, 0.0))


@hot_kernel
def _kurtosis(image, valid, y, x, size):
    """Fourth central moment of a window over the square of the second; 0 without texture.

    All pixels count if `valid` is empty.
    """
    zero = image.dtype.type(0.0)
    is_whole = valid.size == 0
    known = size * size
    total, square = zero, zero
    for i in range(y, y + size):
        line = image[i, x : x + size]
        if is_whole:
            for j in range(size):
                total += line[j]
                square += line[j] * line[j]
        else:
            mask = valid[i, x : x + size]
            for j in range(size):
                value = line[j] if mask[j] != 0 else zero
                known -= mask[j] == 0
                total += value
                square += value * value
    count = image.dtype.type(max(known, 1))
    mean = total / count
    square = square / count - mean * mean
    if square <= zero:
        return 0.0
    # relative to the variance: fourth powers leave the range of float32
    scale = image.dtype.type(1.0) / square
    fourth = zero
    for i in range(y, y + size):
        line = image[i, x : x + size]
        if is_whole:
            for j in range(size):
                power = (line[j] - mean) * (line[j] - mean) * scale
                fourth += power * power
        else:
            mask = valid[i, x : x + size]
            for j in range(size):
                away = line[j] - mean if mask[j] != 0 else zero
                power = away * away * scale
                fourth += power * power
    return fourth / count
