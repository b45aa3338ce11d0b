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
def _plain_line(sums, mean, inverse, totals, inverses, shift, score, best, where):
    """ZNCC of the templates of a row at one shift, as `vectors.plain_scores`; the best so far and its shift."""
    mark, one = score.dtype.type(ONE_VALUE), score.dtype.type(1.0)
    shift = np.int32(shift)
    for x in range(score.size):
        value = min((sums[x] - mean[x] * totals[x]) * (inverse[x] * inverses[x]), one)
        value = value if (inverses[x] > 0) & (inverse[x] > 0) else mark
        score[x] = value
        is_better = value > best[x]
        best[x] = value if is_better else best[x]
        where[x] = shift if is_better else where[x]


@lean_kernel
def _keep_best(score, flat, shift, best, where):
    """Mark templates that hold one value only; the best score so far and its shift."""
    mark, shift = score.dtype.type(ONE_VALUE), np.int32(shift)
    for x in range(score.size):
        value = score[x] if flat[x] == 0 else mark
        score[x] = value
        is_better = value > best[x]
        best[x] = value if is_better else best[x]
        where[x] = shift if is_better else where[x]


@lean_kernel
def _find_second(score, where, rows, columns, high, second):
    """Highest score outside of the peak of each node, in all and by shift along y; `where` (node,) are the peaks."""
    width = where.size
    lowest = score.dtype.type(LOWEST)
    for k in range(width):
        columns[k] = where[k] % score.shape[1]
        rows[k] = where[k] // score.shape[1]
        second[k] = lowest
    for i in range(score.shape[0]):
        most = high[i]
        for k in range(width):
            most[k] = lowest
        row = np.int32(i)
        for d in range(score.shape[1]):
            line, column = score[i, d], np.int32(d)
            for k in range(width):
                is_far = (abs(rows[k] - row) > PEAK_RADIUS) | (abs(columns[k] - column) > PEAK_RADIUS)
                value = line[k] if is_far else lowest
                most[k] = value if value > most[k] else most[k]
        for k in range(width):
            second[k] = most[k] if most[k] > second[k] else second[k]


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
    where = np.empty((3, STRIP), np.int32)
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
    the highest score of each shift along y that is not of the peak, `best` (3, pixel) is filled with the
    highest score and the highest outside of its peak, `where` (3, pixel) with the shift of the former, its row and its
    column.
    """
    shift_y, shift_x, shifts_y, shifts_x = box
    y, template, _ = rows
    kinds = images.first.shape[0]
    mean, highest, second, place = best[2, :width], best[0, :width], best[1, :width], where[0, :width]
    lowest, pixels = score.dtype.type(LOWEST), score.dtype.type(template * template)
    for x in range(width):
        highest[x] = lowest
        place[x] = 0
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
                images.statistics_of_other[0, 1, y + down, there_x:], s, found, highest, place,
            )  # fmt: skip
        else:
            flat = images.flat_of_other[0, y + down, there_x : there_x + width]
            _masked_line(sums, 0, flat, images.floors, images.least_valid[0], found)
            _keep_best(found, images.flat[0, y, left:], s, highest, place)
    _find_second(score, place, where[1], where[2], high, second)
