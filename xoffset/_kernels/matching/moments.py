"""Whether few pixels of a window hold its contrast, from fourth moments."""

from __future__ import annotations

import math

import numpy as np

from xoffset._kernels._jit import hot_kernel, lean_kernel
from xoffset._kernels.matching.templates import cut_mask, cut_window


@hot_kernel
def kurtosis(image, valid, nodes, out):
    """Fourth moment of the pixels of each window over the square of the second, out (rows, columns); 0 if it is flat.

    Parameters
    ----------
    image
        (height, width).
    valid
        (height, width) uint8: pixels that are fit to be matched; of size zero if all are.
    nodes
        As in `effective_pixels`.
    """
    if nodes.step == 1:
        side = nodes.columns + nodes.template - 1
        _kurtosis_beside_each_other(
            image, valid, nodes, np.ones(side, image.dtype), np.empty((4, side), image.dtype), out
        )
        return
    lines = np.ones((2, nodes.template * nodes.template), image.dtype)
    for row in range(nodes.rows):
        for column in range(nodes.columns):
            y, x = nodes.top + row * nodes.step, nodes.left + column * nodes.step
            out[row, column] = _kurtosis(image, valid, y, x, nodes.template, lines[0], lines[1])


@lean_kernel
def _kurtosis_beside_each_other(image, valid, nodes, weight, sums, out):
    """As `kurtosis` of windows that begin at each pixel of a row, all of them at a time.

    `weight`, which comes as ones, and `sums` (4 lines): working space as long as a row of all their pixels.
    """
    size, count = nodes.template, nodes.columns
    zero, one = image.dtype.type(0.0), image.dtype.type(1.0)
    for row in range(nodes.rows):
        y, known, mean, scale, fourth = nodes.top + row, sums[0], sums[1], sums[2], sums[3]
        for k in range(4):
            line = sums[k]
            for x in range(count):
                line[x] = zero
        for i in range(size):
            if valid.size > 0:
                _take_weight(valid, y + i, nodes.left, weight)
            for j in range(size):
                _add_powers(image[y + i, nodes.left + j :], weight[j:], known[:count], mean, scale)
        for x in range(count):
            pixels = max(known[x], one)
            middle = mean[x] / pixels
            square = scale[x] / pixels - middle * middle
            known[x], mean[x] = pixels, middle
            scale[x] = one / square if square > zero else zero
        for i in range(size):
            if valid.size > 0:
                _take_weight(valid, y + i, nodes.left, weight)
            for j in range(size):
                _add_fourth(image[y + i, nodes.left + j :], weight[j:], mean, scale, fourth[:count])
        for x in range(count):
            out[row, x] = fourth[x] / known[x]


@lean_kernel
def _take_weight(valid, y, left, out):
    for x in range(out.size):
        out[x] = 1 if valid[y, left + x] else 0


@lean_kernel
def _add_powers(pixels, weight, known, total, square):
    for x in range(known.size):
        value = weight[x] * pixels[x]
        known[x] += weight[x]
        total[x] += value
        square[x] += value * pixels[x]


@lean_kernel
def _add_fourth(pixels, weight, mean, scale, fourth):
    for x in range(fourth.size):
        away = weight[x] * (pixels[x] - mean[x])
        power = away * away * scale[x]
        fourth[x] += power * power


@hot_kernel
def excess(of_first, second, valid, nodes, peaks, out):
    """Excess of the fourth moments of the pixels of two windows that match, their geometric mean, out (rows, columns).

    0 where either is that of a normal distribution or less, or where there is no peak; pixels/n - 3 where n equal
    points alone stand out.

    Parameters
    ----------
    of_first
        (rows, columns) of `kurtosis` of the reference.
    second, valid
        (height, width) secondary, and its pixels as in `kurtosis`.
    nodes, peaks
        As in `effective_pixels`.
    """
    lines = np.ones((2, nodes.template * nodes.template), second.dtype)
    _excess_of_each(of_first, second, valid, nodes, peaks, lines[0], lines[1], out)


@lean_kernel
def _excess_of_each(of_first, second, valid, nodes, peaks, line, weight, out):
    """As `excess`; `line` and `weight`, which comes as ones, are working space for the pixels of a window."""
    for row in range(nodes.rows):
        for column in range(nodes.columns):
            out[row, column] = 0.0
            dy = peaks[row, column, 0]
            if not abs(dy) < np.inf:
                continue
            here = of_first[row, column] - 3.0
            if here <= 0.0:
                continue
            y = nodes.top + row * nodes.step + int(dy)
            x = nodes.left + column * nodes.step + int(peaks[row, column, 1])
            there = _kurtosis(second, valid, y, x, nodes.template, line, weight) - 3.0
            out[row, column] = math.sqrt(here * max(there, 0.0))


@lean_kernel
def _kurtosis(image, valid, y, x, size, line, weight):
    """Fourth central moment of a window over the square of the second; 0 without texture.

    All pixels count if `valid` is empty.
    """
    cut_window(image, y, x, size, size, size, line)
    if valid.size > 0:
        cut_mask(valid, y, x, size, weight)
    zero, one = image.dtype.type(0.0), image.dtype.type(1.0)
    known, total, square = zero, zero, zero
    for k in range(line.size):
        value = weight[k] * line[k]
        known += weight[k]
        total += value
        square += value * line[k]
    count = max(known, one)
    mean = total / count
    square = square / count - mean * mean
    if square <= zero:
        return 0.0
    # relative to the variance: fourth powers leave the range of float32
    scale = one / square
    fourth = zero
    for k in range(line.size):
        away = weight[k] * (line[k] - mean)
        power = away * away * scale
        fourth += power * power
    return fourth / count
