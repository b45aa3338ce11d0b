"""Zero-mean normalised cross-correlation at every pixel or nearly so, by sliding sums; lanes run along the pixels.

For each shift the products of a strip of pixels are summed down the columns, one row added and one taken away at a
time, then along the row: the cost hardly depends on the size of the window. A kernel loops over the shifts of a row by
itself: to hand it arrays for each would cost as much as its sums.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel, lean_kernel
from xoffset._kernels.images.windows import sum_along, sum_of_seven
from xoffset._kernels.matching.surface import (
    CLEAR_GAP,
    LOWEST,
    NO_OTHER,
    NO_SCORE,
    ONE_VALUE,
    OTHER,
    PEAK_FIELDS,
    PEAK_RADIUS,
    _is_contested,
    _judge_patch,
    _masked_line,
    _take_other,
    _verdict_without_peak,
)

# Width of the strips that are searched one after the other, px: their sums stay in the cache of a core.
STRIP = 256
# Rows after which the column sums start afresh, in windows: what bright ground leaves in them by rounding goes with it.
RESTART = 4
# A column that is beyond all shifts.
FAR = 2**30
# Local maxima are marked a bit each, in words of so many bits.
WORD = 32
# The place of a bit in a word, by the remainder of its power of two: 2 is a primitive root of 37.
PLACES = np.zeros(37, np.int64)
PLACES[[2**place % 37 for place in range(WORD)]] = range(WORD)
# Those are marked that come near the best score, a little more than `CLEAR_GAP` for what rounding takes.
MARKED_GAP = 1.01 * CLEAR_GAP


@lean_kernel
def _sum_down(first, second, rows, left, shift_y, there_x, is_fresh, lines, shifts, width):
    """Products of both images summed down the columns (shift along x, pixel); `there_x`: column of the first shift.

    `rows`: first of the windows, their side and step. `shifts` and `width` of `lines` are filled.
    """
    y, template, step = rows
    if is_fresh:
        for d in range(shifts):
            for x in range(width):
                lines[d, x] = 0
        for i in range(y, y + template):
            _add_products(first[i, left:], second[i + shift_y, there_x:], lines, shifts, width)
        return
    for i in range(y - step, y):
        below = i + template
        _slide_products(
            first[below, left:], second[below + shift_y, there_x:], first[i, left:], second[i + shift_y, there_x:],
            lines, shifts, width,
        )  # fmt: skip


@lean_kernel
def _add_products(first, second, lines, shifts, width):
    for d in range(shifts):
        for x in range(width):
            lines[d, x] += first[x] * second[d + x]


@lean_kernel
def _slide_products(first, second, gone, gone_of_other, lines, shifts, width):
    for d in range(shifts):
        for x in range(width):
            lines[d, x] += first[x] * second[d + x] - gone[x] * gone_of_other[d + x]


@lean_kernel
def _plain_row(lines, template, sums, mean, inverse, totals, inverses, score):
    """ZNCC of the templates of a row at the shifts (shift along x, pixel) of a row, as `vectors.plain_scores`.

    `lines`: sums down the columns; `totals` and `inverses` of the secondary at the first shift; `mean` has the width.
    """
    mark, one = score.dtype.type(ONE_VALUE), score.dtype.type(1.0)
    width = mean.size
    for d in range(score.shape[0]):
        line = lines[d]
        if template == 7:  # the usual one, without a pass of its own
            for x in range(width):
                here = (mean[x], inverse[x], totals[d + x], inverses[d + x])
                score[d, x] = _plain_score(sum_of_seven(line, x), here, one, mark)
            continue
        sum_along(line, template, sums[:width])
        for x in range(width):
            here = (mean[x], inverse[x], totals[d + x], inverses[d + x])
            score[d, x] = _plain_score(sums[x], here, one, mark)


@lean_kernel
def _plain_score(products, of_windows, one, mark):
    mean, inverse, total, scale = of_windows
    return min((products - mean * total) * (inverse * scale), one) if scale > 0 else mark


@lean_kernel
def _masked_row(lines, template, sums, flat, floors, least_valid, width, score):
    """As `_plain_row`, over the pixels valid in both windows; `lines` (kind, shift along x, pixel)."""
    for d in range(score.shape[0]):
        for kind in range(sums.shape[0]):
            sum_along(lines[kind, d], template, sums[kind, :width])
        _masked_line(sums, 0, flat[d:], floors, least_valid, score[d, :width])


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
def _find_second(score, where, rows, columns, near, second):
    """Highest score outside of the peak of each node; `where` (node,) are the peaks."""
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
        _raise_to_highest(score[i], near[:width], has_peaks, second)


@lean_kernel
def _raise_to_highest(score, near, has_peaks, most):
    """Raise `most` to the highest score of each node in a row of shifts; with peaks outside of those, near a column."""
    lowest = score.dtype.type(LOWEST)
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
def _mark_tops(score, best, tallest, tops):
    """Local maxima that come near the best score of each node: of the shift (i, d) bit d % WORD of tops[i, d // WORD].

    `tallest` (shift along x, node) is scratch.
    """
    height, width, _ = score.shape
    gap = score.dtype.type(MARKED_GAP)
    for i in range(height):
        above, below = max(i - 1, 0), min(i + 1, height - 1)
        for d in range(width):
            for k in range(best.size):
                tallest[d, k] = max(max(score[above, d, k], score[i, d, k]), score[below, d, k])
        for d in range(width):
            before, after, word, bit = max(d - 1, 0), min(d + 1, width - 1), d // WORD, np.uint32(1 << d % WORD)
            if d % WORD == 0:
                for k in range(best.size):
                    tops[i, word, k] = 0
            for k in range(best.size):
                value = score[i, d, k]
                is_top = value >= max(max(tallest[before, k], tallest[d, k]), tallest[after, k])
                marked = bit if is_top & (value >= best[k] - gap) else np.uint32(0)
                tops[i, word, k] |= marked


@lean_kernel
def _read_marked(score, tops, out):
    """As `surface._read_other`, of a surface whose local maxima `tops` (shift, word) marks."""
    height, width = score.shape
    best = out.dtype.type(LOWEST)
    out[OTHER] = NO_OTHER
    out[OTHER + 1] = 0
    for i in range(height):
        for word in range(tops.shape[1]):
            marks = np.int64(tops[i, word])
            while marks > 0:
                d = WORD * word + PLACES[(marks & -marks) % PLACES.size]
                best = _take_other(score, height, width, i, d, best, out)
                marks &= marks - 1


@lean_kernel
def _write_peak(score, k, row, column, tops, best, second, out):
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
        _read_marked(score[:, :, k], tops[:, :, k], out)
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
    columns = np.empty((shifts_y, kinds, shifts_x, STRIP + template - 1), dtype)
    score, tallest = np.empty((shifts_y, shifts_x, STRIP), dtype), np.empty((shifts_x, STRIP), dtype)
    sums, best = np.empty((kinds, STRIP), dtype), np.empty((3, STRIP), dtype)
    where, tops = np.empty((4, STRIP), np.int32), np.empty((shifts_y, -(-shifts_x // WORD), STRIP), np.uint32)
    # of a narrower search no peak is contested
    is_wide = max(shifts_y, shifts_x) > 2 * PEAK_RADIUS + 1
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
                images, search.box, (y, template, step), left, width, is_fresh, columns, sums, score, best, where,
            )  # fmt: skip
            if is_wide:
                _mark_tops(score, best[0, :width], tallest, tops)
            for k in range(nodes_here):
                if search.wanted[row, start + k]:
                    x = k * step
                    peak = out[0, row, start + k]
                    flags[0, row, start + k] |= _write_peak(
                        score, x, where[1, x], where[2, x], tops, best[0, x], best[1, x], peak
                    )
                    peak[0] += shift_y
                    peak[1] += shift_x


@lean_kernel
def _score_row(images, box, rows, left, width, is_fresh, columns, sums, score, best, where):
    """Scores (shift, shift, pixel) of a row of windows, and their peaks.

    `columns` (shift, kind, shift, pixel) are the sums down the columns of the row before; `best` (3, pixel) is filled
    with the highest score and the highest outside of its peak, `where` (4, pixel) with the shift of the former, its row
    and its column.
    """
    shift_y, shift_x, shifts_y, shifts_x = box
    y, template, _ = rows
    kinds = images.first.shape[0]
    mean, pixels = best[2, :width], score.dtype.type(template * template)
    if kinds == 1:
        totals = images.statistics[0, 0, y, left:]
        for x in range(width):
            mean[x] = totals[x] / pixels
    there_x = left + shift_x
    for i in range(shifts_y):
        there_y = y + shift_y + i
        for kind in range(kinds):
            _sum_down(
                images.first[kind], images.second[kind], rows, left, shift_y + i, there_x, is_fresh, columns[i, kind],
                shifts_x, width + template - 1,
            )  # fmt: skip
        if kinds == 1:
            _plain_row(
                columns[i, 0], template, sums[0], mean, images.statistics[0, 1, y, left:],
                images.statistics_of_other[0, 0, there_y, there_x:],
                images.statistics_of_other[0, 1, there_y, there_x:], score[i],
            )  # fmt: skip
        else:
            flat = images.flat_of_other[0, there_y, there_x:]
            _masked_row(columns[i], template, sums, flat, images.floors, images.least_valid[0], width, score[i])
    _find_best(score, best[0, :width], where[0, :width])
    # templates that hold one value only
    for x in range(width):
        is_flat = images.statistics[0, 1, y, left + x] <= 0 if kinds == 1 else images.flat[0, y, left + x] != 0
        best[0, x] = score.dtype.type(ONE_VALUE) if is_flat else best[0, x]
    _find_second(score, where[0, :width], where[1], where[2], where[3], best[1, :width])
