"""Windows of a pair in working memory: each is one line of pixels, over which vectorised loops run fastest.

The rows of a window begin `pitch` pixels apart. What lies between them has no weight.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xoffset._kernels._jit import hot_kernel, lean_kernel
from xoffset._kernels.matching import vectors

# Sums of a template, see `Shared`.
SUMS = 12
# Side of the blocks whose residuals are taken for independent of each other, px.
BLOCK = 4
# Lines have a multiple of so many pixels: loops over the rest of a vector are slow.
LANES = 8


class Template(NamedTuple):
    """Working space of one window of the reference; lines are zero where a pixel has no weight."""

    size: int
    pitch: int
    weight: np.ndarray  # (line,) 0 or 1
    inner: np.ndarray  # (line,) 1 where a five-point derivative stays inside the window
    corner: np.ndarray  # (line,) 1 at the first pixel of each block of BLOCK px, 0 elsewhere
    values: np.ndarray  # (line,) without their mean, as the slopes
    slope_x: np.ndarray
    slope_y: np.ndarray
    sums: np.ndarray  # (6,): squared values, values times slopes along x and y, products of the slopes xx, xy, yy


class Shared(NamedTuple):
    """Working space for the sums of all templates of a row of nodes, from blocks of pixels that templates share.

    Of image, its slopes and its twice filtered slopes: values, slopes x and y; squared values, values times slopes x
    and y; products xx, xy, yy of the slopes, and of the twice filtered ones.
    """

    block: int  # side of a block, px: divides step and template
    lines: np.ndarray  # (SUMS, width) sums over the rows of a row of blocks
    strips: np.ndarray  # (template / block, SUMS·columns) a row of blocks, summed along the row to templates


class Moved(NamedTuple):
    """Working space of the window of the secondary."""

    cut: np.ndarray  # spline coefficients of the window and around it
    rows: np.ndarray  # the same moved along x
    values: np.ndarray  # (line,)
    weights: np.ndarray  # (2, 4) of the spline along y and x
    sums: np.ndarray  # (5,): see `sum_against`


@hot_kernel
def new_template(size, pitch, one):
    """Working space in the type of `one`, every pixel with weight 1."""
    lines = np.zeros((6, _rounded(size * pitch)), np.asarray(one).dtype)
    for i in range(size):
        for j in range(size):
            lines[0, i * pitch + j] = 1
            lines[1, i * pitch + j] = 1 if 2 <= i < size - 2 and 2 <= j < size - 2 else 0
            lines[5, i * pitch + j] = 1 if i % BLOCK == 0 and j % BLOCK == 0 else 0
    return Template(
        size, pitch, lines[0], lines[1], lines[5], lines[2], lines[3], lines[4], np.empty(6, lines.dtype)
    )  # fmt: skip


@hot_kernel
def sum_templates(image, slopes, nodes, out):
    """Sums of all templates of an image, whatever it is matched with, out (rows, SUMS·columns); see `Shared`.

    `nodes` as in `zncc.search`; of its fields rows, columns, top, left, step and template. `image`, `slopes` as in
    `refine.refine`; every pixel counts.
    """
    block, rest = nodes.template, nodes.step
    while rest > 0:
        block, rest = rest, block % rest
    width = (nodes.columns - 1) * nodes.step + nodes.template
    strips = np.empty((nodes.template // block, SUMS * nodes.columns), image.dtype)
    shared = Shared(block, np.empty((SUMS, width), image.dtype), strips)
    for row in range(nodes.rows):
        _sum_row(image, slopes, nodes, row, shared, out[row])


@hot_kernel
def new_moved(size, pitch, one):
    """Working space in the type of `one`; for windows that a spline moves `pitch` is at least size + 3."""
    dtype = np.asarray(one).dtype
    line = _rounded(size * pitch)
    rows = _rounded(line + 3 * pitch)
    # what lies between the rows is multiplied by zero and so has to be a number
    return Moved(
        np.zeros(rows + 3, dtype), np.zeros(rows, dtype), np.zeros(line, dtype), np.empty((2, 4), dtype),
        np.empty(5, dtype),
    )  # fmt: skip


@lean_kernel
def _rounded(count):
    return (count + LANES - 1) // LANES * LANES


@lean_kernel
def common_pixels(valid, y, x, shift_y, shift_x, size, pitch, out):
    """Weight of the pixels of a window: 1 where both images are valid at this shift, else 0; return their number."""
    count = 0
    for i in range(size):
        for j in range(size):
            both = valid[0, y + i, x + j] & valid[1, y + i + shift_y, x + j + shift_x]
            out[i * pitch + j] = both
            count += 1 if both else 0
    return count


@lean_kernel
def cut_window(image, y, x, rows, columns, pitch, out):
    """Copy rows and columns of an image from (y, x) on into a line."""
    vectors.cut(image, y, x, rows, columns, pitch, image.dtype.type(0.0), out)


@lean_kernel
def cut_mask(valid, y, x, size, out):
    """Weight of the pixels of a window from (y, x) on into a line: 1 where valid, else 0."""
    for i in range(size):
        line, source = out[i * size :], valid[y + i, x:]
        for j in range(size):
            line[j] = source[j]


@lean_kernel
def _sum_row(image, slopes, nodes, row, shared, sums):
    """Fill `sums` for a row of nodes; rows come in order, each with what is left of the one before."""
    block, strips = shared.block, shared.strips
    across, per_step = nodes.template // block, nodes.step // block
    first = row * per_step
    for strip in range(first if row == 0 else first + across - per_step, first + across):
        _sum_rows(image, slopes, nodes.top + strip * block, nodes.left, block, shared.lines)
        for k in range(SUMS):
            target = strips[strip % across, k * nodes.columns :]
            _sum_columns(shared.lines[k], nodes.columns, nodes.step, nodes.template, target)
    for k in range(sums.size):
        sums[k] = 0
    for strip in range(first, first + across):
        line = strips[strip % across]
        for k in range(sums.size):
            sums[k] += line[k]


@lean_kernel
def _sum_rows(image, slopes, y, x, rows, out):
    """Sums (SUMS, width) over some rows from (y, x) on."""
    for k in range(SUMS):
        line = out[k]
        for j in range(line.size):
            line[j] = 0
    for i in range(y, y + rows):
        value, along_x, along_y = image[i, x:], slopes[0, i, x:], slopes[1, i, x:]
        coloured_x, coloured_y = slopes[2, i, x:], slopes[3, i, x:]
        _add(value, out[0])
        _add(along_x, out[1])
        _add(along_y, out[2])
        _add_product(value, value, out[3])
        _add_product(value, along_x, out[4])
        _add_product(value, along_y, out[5])
        _add_product(along_x, along_x, out[6])
        _add_product(along_x, along_y, out[7])
        _add_product(along_y, along_y, out[8])
        _add_product(coloured_x, coloured_x, out[9])
        _add_product(coloured_x, coloured_y, out[10])
        _add_product(coloured_y, coloured_y, out[11])


@lean_kernel
def _add(values, out):
    for j in range(out.size):
        out[j] += values[j]


@lean_kernel
def _add_product(first, second, out):
    for j in range(out.size):
        out[j] += first[j] * second[j]


@lean_kernel
def _sum_columns(line, columns, step, size, out):
    """Sums of a line over the columns of each template."""
    if step == 1:
        for j in range(columns):
            out[j] = line[j]
        for k in range(1, size):
            beside = line[k:]
            for j in range(columns):
                out[j] += beside[j]
        return
    for j in range(columns):
        part = line[j * step :]
        total = line.dtype.type(0.0)
        for k in range(size):
            total += part[k]
        out[j] = total


@lean_kernel
def cut_shared(image, slopes, y, x, sums, columns, count, out, noise):
    """As `cut_template`, from those of `sum_templates` for a row, from the window on: each is `columns` further.

    `noise`: products xx, xy, yy of the twice filtered slopes.
    """
    total, total_x, total_y = sums[0], sums[columns], sums[2 * columns]
    mean, mean_x, mean_y = total / count, total_x / count, total_y / count
    vectors.cut(image, y, x, out.size, out.size, out.pitch, mean, out.values)
    vectors.cut(slopes[0], y, x, out.size, out.size, out.pitch, mean_x, out.slope_x)
    vectors.cut(slopes[1], y, x, out.size, out.size, out.pitch, mean_y, out.slope_y)
    out.sums[0] = sums[3 * columns] - total * mean
    out.sums[1] = sums[4 * columns] - total * mean_x
    out.sums[2] = sums[5 * columns] - total * mean_y
    out.sums[3] = sums[6 * columns] - total_x * mean_x
    out.sums[4] = sums[7 * columns] - total_x * mean_y
    out.sums[5] = sums[8 * columns] - total_y * mean_y
    for k in range(3):
        noise[k] = sums[(9 + k) * columns]


@lean_kernel
def cut_template(image, slopes, y, x, count, out):
    """Fill `out`, whose weights are set, with the window at (y, x); `count`: pixels that have weight."""
    cut_window(image, y, x, out.size, out.size, out.pitch, out.values)
    cut_window(slopes[0], y, x, out.size, out.size, out.pitch, out.slope_x)
    cut_window(slopes[1], y, x, out.size, out.size, out.pitch, out.slope_y)
    weight, values, slope_x, slope_y = out.weight, out.values, out.slope_x, out.slope_y
    zero = image.dtype.type(0.0)
    mean, mean_x, mean_y = zero, zero, zero
    for k in range(weight.size):
        mean += weight[k] * values[k]
        mean_x += weight[k] * slope_x[k]
        mean_y += weight[k] * slope_y[k]
    mean, mean_x, mean_y = mean / count, mean_x / count, mean_y / count
    square, along_x, along_y, xx, xy, yy = zero, zero, zero, zero, zero, zero
    for k in range(weight.size):
        value = weight[k] * (values[k] - mean)
        step_x = weight[k] * (slope_x[k] - mean_x)
        step_y = weight[k] * (slope_y[k] - mean_y)
        values[k], slope_x[k], slope_y[k] = value, step_x, step_y
        square += value * value
        along_x += value * step_x
        along_y += value * step_y
        xx += step_x * step_x
        xy += step_x * step_y
        yy += step_y * step_y
    out.sums[0], out.sums[1], out.sums[2] = square, along_x, along_y
    out.sums[3], out.sums[4], out.sums[5] = xx, xy, yy


@lean_kernel
def spline_weights(fraction, out):
    """Weights of the four coefficients around a point that lies `fraction` behind the second."""
    rest = 1 - fraction
    out[0] = rest * rest * rest / 6
    out[3] = fraction * fraction * fraction / 6
    out[1] = 2 / out.dtype.type(3.0) - fraction * fraction * (1 - fraction / 2)
    out[2] = 1 - out[0] - out[1] - out[3]


@lean_kernel
def move_window(cut, pitch, weights, rows, out):
    """Spline values of a window whose pixels lie behind those of `cut` by the fractions of the weights.

    The first row and column of `cut` are those before the window.
    """
    w0, w1, w2, w3 = weights[1, 0], weights[1, 1], weights[1, 2], weights[1, 3]
    c1, c2, c3 = cut[1:], cut[2:], cut[3:]
    for k in range(rows.size):
        rows[k] = w0 * cut[k] + w1 * c1[k] + w2 * c2[k] + w3 * c3[k]
    w0, w1, w2, w3 = weights[0, 0], weights[0, 1], weights[0, 2], weights[0, 3]
    r1, r2, r3 = rows[pitch:], rows[2 * pitch :], rows[3 * pitch :]
    for k in range(out.size):
        out[k] = w0 * rows[k] + w1 * r1[k] + w2 * r2[k] + w3 * r3[k]


@lean_kernel
def sum_against(template, window, out):
    """Sums (5,) of a moved window: itself, its square, and its products with template and slopes."""
    weight, values, slope_x, slope_y = template.weight, template.values, template.slope_x, template.slope_y
    zero = window.dtype.type(0.0)
    total, square, match, along_x, along_y = zero, zero, zero, zero, zero
    for k in range(window.size):
        value = window[k]
        weighted = weight[k] * value
        total += weighted
        square += weighted * value
        match += value * values[k]
        along_x += value * slope_x[k]
        along_y += value * slope_y[k]
    out[0], out[1], out[2], out[3], out[4] = total, square, match, along_x, along_y
