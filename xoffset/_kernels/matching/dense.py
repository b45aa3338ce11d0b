"""Zero-mean normalised cross-correlation at every pixel or nearly so, by sliding sums; lanes run along the pixels.

For each shift the products of a strip of pixels are summed down the columns, one row added and one taken away at a
time, then along the row: the cost hardly depends on the size of the window.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel, lean_kernel
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
STRIP = 256
# Rows after which the column sums start afresh, in windows: what bright ground leaves in them by rounding goes with it.
RESTART = 4
# A column that is beyond all shifts.
FAR = 2**30


@lean_kernel
def _add_products(first, second, line):
    for x in range(line.size):
        line[x] += first[x] * second[x]


@lean_kernel
def _slide_products(first, second, gone, gone_of_other, line):
    for x in range(line.size):
        line[x] += first[x] * second[x] - gone[x] * gone_of_other[x]


@lean_kernel
def _sum_down(first, second, rows, left, shift_y, there_x, is_fresh, line):
    """Products of both images summed down the columns; `rows`: first of the windows, their side and step."""
    y, template, step = rows
    if is_fresh:
        for x in range(line.size):
            line[x] = 0
        for i in range(y, y + template):
            _add_products(first[i, left:], second[i + shift_y, there_x:], line)
        return
    for i in range(y - step, y):
        below = i + template
        _slide_products(
            first[below, left:], second[below + shift_y, there_x:], first[i, left:], second[i + shift_y, there_x:], line
        )


@lean_kernel
def _plain_line(sums, mean, inverse, totals, inverses, score):
    """ZNCC of the templates of a row at one shift, as `vectors.plain_scores`."""
    mark, one = score.dtype.type(ONE_VALUE), score.dtype.type(1.0)
    for x in range(score.size):
        scale = inverses[x]
        value = min((sums[x] - mean[x] * totals[x]) * (inverse[x] * scale), one)
        score[x] = value if scale > 0 else mark


@lean_kernel
def _find_best(score, best, where):
    """Highest score of each node and its shift; of equal ones the first."""
    lowest = score.dtype.type(LOWEST)
    for x in range(best.size):
        best[x] = lowest
        where[x] = 0
    for i in range(score.shape[0]):
        for d in range(score.shape[1]):
            line, shift = score[i, d], np.int32(i * score.shape[1] + d)
            for x in range(best.size):
                is_better = line[x] > best[x]
                best[x] = line[x] if is_better else best[x]
                where[x] = shift if is_better else where[x]


@lean_kernel
def _find_second(score, where, rows, columns, near, high, second):
    """Highest score outside of the peak of each node, in all and by shift along y; `where` (node,) are the peaks."""
    width = where.size
    first, last = np.int32(score.shape[0]), np.int32(-1)
    for k in range(width):
        columns[k] = where[k] % score.shape[1]
        rows[k] = where[k] // score.shape[1]
        second[k] = score.dtype.type(LOWEST)
        first, last = min(first, rows[k]), max(last, rows[k])
    for i in range(score.shape[0]):
        row = np.int32(i)
        for k in range(width):
            near[k] = columns[k] if abs(rows[k] - row) <= PEAK_RADIUS else -FAR
        has_peaks = first <= i + PEAK_RADIUS and i <= last + PEAK_RADIUS
        _find_high(score[i], near[:width], has_peaks, high[i])
        most = high[i]
        for k in range(width):
            second[k] = most[k] if most[k] > second[k] else second[k]


@lean_kernel
def _find_high(score, near, has_peaks, most):
    """Highest score of each node in a row of shifts; with peaks outside of those, which are `near` a column (node,)."""
    lowest = score.dtype.type(LOWEST)
    for k in range(near.size):
        most[k] = lowest
    for d in range(score.shape[0]):
        line, column = score[d], np.int32(d)
        if not has_peaks:
            for k in range(near.size):
                most[k] = line[k] if line[k] > most[k] else most[k]
            continue
        for k in range(near.size):
            value = line[k] if abs(near[k] - column) > PEAK_RADIUS else lowest
            most[k] = value if value > most[k] else most[k]


@lean_kernel
def _write_peak(score, k, row, column, high, best, second, out):
    """Node k of `score` (shift, shift, node) as `surface._read_peak` would read the surface of that node."""
    height, width, _ = score.shape
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
        out[4 + n] = score[i, d, k] if 0 <= i < height and 0 <= d < width else LOWEST
    if _is_contested(second, out):
        _read_other(score[:, :, k], height, width, high[:, k], False, out)
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
    score, high = np.empty((shifts_y, shifts_x, STRIP), dtype), np.empty((shifts_y, STRIP), dtype)
    sums, best = np.empty((kinds, STRIP), dtype), np.empty((3, STRIP), dtype)
    where = np.empty((4, STRIP), np.int32)
    per_strip = max(STRIP // step, 1)
    period = max(RESTART * template // step, 1)
    for start in range(0, nodes.columns, per_strip):
        nodes_here = min(per_strip, nodes.columns - start)
        width = (nodes_here - 1) * step + 1
        left = nodes.left + start * step
        for row in range(nodes.rows):
            y = nodes.top + row * step
            is_fresh = row % period == 0 or step >= template
            _score_row(
                images, search.box, (y, template, step), left, width, is_fresh, columns, sums, score, high, best, where,
            )  # fmt: skip
            for k in range(nodes_here):
                if search.wanted[row, start + k]:
                    x = k * step
                    peak = out[0, row, start + k]
                    flags[0, row, start + k] |= _write_peak(
                        score, x, where[1, x], where[2, x], high, best[0, x], best[1, x], peak
                    )
                    peak[0] += shift_y
                    peak[1] += shift_x


@lean_kernel
def _score_row(images, box, rows, left, width, is_fresh, columns, sums, score, high, best, where):
    """Scores (shift, shift, pixel) of a row of windows, and their peaks.

    `columns` (shift, kind, pixel) are the sums down the columns of the row before; `high` (shift, pixel) is filled with
    the highest score of each shift along y that is not of the peak, `best` (3, pixel) with the highest score and the
    highest outside of its peak, `where` (4, pixel) with the shift of the former, its row and its column.
    """
    shift_y, shift_x, shifts_y, shifts_x = box
    y, template, _ = rows
    kinds = images.first.shape[0]
    mean, pixels = best[2, :width], score.dtype.type(template * template)
    if kinds == 1:
        totals = images.statistics[0, 0, y, left:]
        for x in range(width):
            mean[x] = totals[x] / pixels
    for s in range(shifts_y * shifts_x):
        down, there_x = shift_y + s // shifts_x, left + shift_x + s % shifts_x
        for kind in range(kinds):
            line = columns[s, kind, : width + template - 1]
            _sum_down(images.first[kind], images.second[kind], rows, left, down, there_x, is_fresh, line)
            sum_along(line, template, sums[kind, :width])
        found = score[s // shifts_x, s % shifts_x, :width]
        if kinds == 1:
            _plain_line(
                sums[0], mean, images.statistics[0, 1, y, left:], images.statistics_of_other[0, 0, y + down, there_x:],
                images.statistics_of_other[0, 1, y + down, there_x:], found,
            )  # fmt: skip
        else:
            flat = images.flat_of_other[0, y + down, there_x : there_x + width]
            _masked_line(sums, 0, flat, images.floors, images.least_valid[0], found)
    _find_best(score, best[0, :width], where[0, :width])
    # templates that hold one value only
    for x in range(width):
        is_flat = images.statistics[0, 1, y, left + x] <= 0 if kinds == 1 else images.flat[0, y, left + x] != 0
        best[0, x] = score.dtype.type(ONE_VALUE) if is_flat else best[0, x]
    _find_second(score, where[0, :width], where[1], where[2], where[3], high, best[1, :width])
