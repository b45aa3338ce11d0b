"""Zero-mean normalised cross-correlation at every pixel or nearly so, by sliding sums; lanes run along the pixels.

For each shift the products of a strip of pixels are summed down the columns, one row added and one taken away at a
time, then along the row: the cost hardly depends on the size of the window.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel
from xoffset._kernels.images.windows import sum_along
from xoffset._kernels.matching.surface import (
    LOWEST,
    NO_SCORE,
    ONE_VALUE,
    PEAK_FIELDS,
    PEAK_RADIUS,
    _is_contested,
    _judge_patch,
    _masked_line,
    _read_other,
    _verdict_without_peak,
)

# Width of the strips that are searched one after the other, px: their sums stay in the cache of a core.
STRIP = 128
# Rows after which the column sums start afresh, in windows: what bright ground leaves in them by rounding goes with it.
RESTART = 4


@hot_kernel
def _add_products(first, second, line):
    for x in range(line.size):
        line[x] += first[x] * second[x]


@hot_kernel
def _slide_products(first, second, gone, gone_of_other, line):
    for x in range(line.size):
        line[x] += first[x] * second[x] - gone[x] * gone_of_other[x]


@hot_kernel
def _plain_line(sums, mean, inverse, totals, inverses, score):
    """ZNCC of the templates of a row at one shift, as `surface._plain_scores`."""
    mark = score.dtype.type(ONE_VALUE)
    for x in range(score.size):
        value = min((sums[x] - mean[x] * totals[x]) * (inverse[x] * inverses[x]), 1)
        score[x] = value if (inverses[x] > 0) & (inverse[x] > 0) else mark


@hot_kernel
def _find_peaks(score, width, shifts_x, best, second, where):
    """Peaks down the first columns of `score` (shift, node): where = (row, column), best, second outside the peak."""
    shifts = score.shape[0]
    rows, columns, line = where[0, :width], where[1, :width], score[0, :width]
    for k in range(width):
        best[k] = line[k]
        rows[k] = 0
    for s in range(1, shifts):
        line = score[s, :width]
        for k in range(width):
            is_better = line[k] > best[k]
            best[k] = line[k] if is_better else best[k]
            rows[k] = np.int32(s) if is_better else rows[k]
    for k in range(width):
        columns[k] = rows[k] % shifts_x
        rows[k] //= shifts_x
    lowest = score.dtype.type(LOWEST)
    for k in range(width):
        second[k] = lowest
    for s in range(shifts):
        line = score[s, :width]
        row, column = np.int32(s // shifts_x), np.int32(s % shifts_x)
        for k in range(width):
            is_far = (abs(rows[k] - row) > PEAK_RADIUS) | (abs(columns[k] - column) > PEAK_RADIUS)
            second[k] = max(second[k], line[k] if is_far else lowest)


@hot_kernel
def _write_peak(score, k, row, column, surface, best, second, out):
    """One column of `score` as `surface._read_peak` would read the surface of that node.

    `surface` (shifts and one more, shifts) is scratch to lay it out.
    """
    height, width = surface.shape[0] - 1, surface.shape[1]
    if best <= NO_SCORE:
        for n in range(PEAK_FIELDS):
            out[n] = np.nan
        return _verdict_without_peak(best)
    is_wide = max(height, width) > 2 * PEAK_RADIUS + 1
    out[0] = row
    out[1] = column
    out[2] = best
    out[3] = best - second if is_wide and second > NO_SCORE else np.nan
    for n in range(9):
        i, d = row + n // 3 - 1, column + n % 3 - 1
        out[4 + n] = score[i * width + d, k] if 0 <= i < height and 0 <= d < width else LOWEST
    if _is_contested(second, out):
        high = surface[height]
        for d in range(width):
            high[d] = LOWEST
        for i in range(height):
            for d in range(width):
                surface[i, d] = score[i * width + d, k]
                is_far = abs(i - row) > PEAK_RADIUS or abs(d - column) > PEAK_RADIUS
                high[d] = surface[i, d] if is_far and surface[i, d] > high[d] else high[d]
        _read_other(surface, height, width, high, out)
    return _judge_patch(height, width, out)


@hot_kernel
def search_densely(images, nodes, search, out, flags):
    """As `search.by_blocks` for one size of window; all nodes are searched as far as the box.

    Along a row every pixel is computed, whatever the step.
    """
    kinds = images.first.shape[0]
    template, step = nodes.template, nodes.step
    shift_y, shift_x, shifts_y, shifts_x = search.box
    dtype = images.first.dtype
    columns = np.empty((shifts_y * shifts_x, kinds, STRIP + template - 1), dtype)
    score = np.empty((shifts_y * shifts_x, STRIP), dtype)
    surface = np.empty((shifts_y + 1, shifts_x), dtype)
    sums = np.empty((kinds, STRIP), dtype)
    mean, best, second = np.empty(STRIP, dtype), np.empty(STRIP, dtype), np.empty(STRIP, dtype)
    where = np.empty((2, STRIP), np.int32)
    per_strip = max(STRIP // step, 1)
    period = max(RESTART * template // step, 1)
    for start in range(0, nodes.columns, per_strip):
        nodes_here = min(per_strip, nodes.columns - start)
        width = (nodes_here - 1) * step + 1
        left = nodes.left + start * step
        for row in range(nodes.rows):
            y = nodes.top + row * step
            is_fresh = row % period == 0 or step >= template
            if kinds == 1:
                totals, count = images.statistics[0, 0, y, left:], dtype.type(template * template)
                for x in range(width):
                    mean[x] = totals[x] / count
            for s in range(shifts_y * shifts_x):
                there_y, there_x = shift_y + s // shifts_x, left + shift_x + s % shifts_x
                for kind in range(kinds):
                    first, other = images.first[kind], images.second[kind]
                    line = columns[s, kind, : width + template - 1]
                    if is_fresh:
                        for x in range(line.size):
                            line[x] = 0
                        for i in range(y, y + template):
                            _add_products(first[i, left:], other[i + there_y, there_x:], line)
                    else:
                        for i in range(y - step, y):
                            below = i + template
                            _slide_products(
                                first[below, left:], other[below + there_y, there_x:],
                                first[i, left:], other[i + there_y, there_x:], line,
                            )  # fmt: skip
                    sum_along(line, template, sums[kind, :width])
                if kinds == 1:
                    statistics = images.statistics[0]
                    _plain_line(
                        sums[0], mean, statistics[1, y, left:], statistics[2, y + there_y, there_x:],
                        statistics[3, y + there_y, there_x:], score[s, :width],
                    )  # fmt: skip
                else:
                    flat = images.flat[0]
                    line = score[s, :width]
                    there = flat[1, y + there_y, there_x : there_x + width]
                    _masked_line(sums, 0, there, images.floors, images.least_valid[0], line)
                    here = flat[0, y, left : left + width]
                    for x in range(width):
                        line[x] = line[x] if here[x] == 0 else ONE_VALUE
            _find_peaks(score, width, shifts_x, best, second, where)
            for k in range(nodes_here):
                if search.wanted[row, start + k]:
                    x = k * step
                    peak = out[0, row, start + k]
                    flags[0, row, start + k] |= _write_peak(
                        score, x, where[0, x], where[1, x], surface, best[x], second[x], peak
                    )
                    peak[0] += shift_y
                    peak[1] += shift_x
