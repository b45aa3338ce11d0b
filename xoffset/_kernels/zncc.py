"""Zero-mean normalised cross-correlation on a grid by block products, and the window statistics it needs.

The image is cut into square blocks of gcd(step, template) pixels. One multiply-add per pixel and shift gives the
products of each block, which the overlapping templates then share. Lanes run along the shift axis.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xoffset._kernels import bits
from xoffset._kernels._jit import hot_kernel, kernel

LANES = 8
PEAK_RADIUS = 3
LEAST_FIT = 0.8
# what stands in a surface where a candidate has no score
NO_SCORE = -2.0
ONE_VALUE, FEW_COMMON, NOTHING_COMMON = -2.0, -3.0, -4.0


class Nodes(NamedTuple):
    """Which windows of a tile to match; everything in pixels but the node counts."""

    rows: int
    columns: int
    top: int
    left: int
    step: int
    template: int
    search: int
    block: int


@kernel
def flat_windows(values, valid, template, out):
    """Set out[y, x] where the template that starts there holds nothing but one value.

    Flat: standard deviation of the valid pixels at most 1e-6 of their largest absolute value. `values` (float64) are
    the raw pixels; `out` is uint8. Windows are summed afresh, since running sums would drown so small a spread.
    """
    height, width = valid.shape
    out[:] = 0
    suspicious = False
    largest = 0.0
    is_complete = True
    for y in range(height):
        for x in range(width):
            if valid[y, x]:
                largest = max(largest, abs(values[y, x]))
            else:
                is_complete = False
    # holes leave a template fewer whole blocks
    block = max(template // (4 if is_complete else 8), 1)
    for top in range(0, height - block + 1, block):
        for left in range(0, width - block + 1, block):
            low = np.inf
            high = -np.inf
            for y in range(top, top + block):
                for x in range(left, left + block):
                    if valid[y, x]:
                        low = min(low, values[y, x])
                        high = max(high, values[y, x])
            # a flat template holds whole blocks, whose range is at most this
            if low <= high and high - low <= 2.0 * template * 1e-6 * largest:
                suspicious = True
    if not suspicious:
        return
    count = np.empty(width)
    total = np.empty(width)
    square = np.empty(width)
    peak = np.empty(width)
    for top in range(height - template + 1):
        count[:] = 0.0
        total[:] = 0.0
        square[:] = 0.0
        peak[:] = 0.0
        offset = np.zeros(width)
        for y in range(top, top + template):
            for x in range(width):
                if valid[y, x]:
                    if count[x] == 0.0:
                        offset[x] = values[y, x]
                    count[x] += 1.0
                    total[x] += values[y, x] - offset[x]
                    square[x] += (values[y, x] - offset[x]) ** 2
                    peak[x] = max(peak[x], abs(values[y, x]))
        for left in range(width - template + 1):
            pixels = 0.0
            mean = 0.0
            spread = 0.0
            largest = 0.0
            for x in range(left, left + template):
                if count[x] > 0.0:
                    # merge a column into the window (Chan et al. 1983)
                    column_mean = offset[x] + total[x] / count[x]
                    column_spread = square[x] - total[x] * total[x] / count[x]
                    both = pixels + count[x]
                    spread += column_spread + (column_mean - mean) ** 2 * pixels * count[x] / both
                    mean += (column_mean - mean) * count[x] / both
                    pixels = both
                    largest = max(largest, peak[x])
            if pixels > 0.0 and spread <= pixels * (1e-6 * largest) ** 2:
                out[top, left] = 1


@hot_kernel
def window_sums(image, template, total, spread):
    """Sum and sum of squared deviations of every template-sized window of a valid image.

    Running column sums in float64; both results (height - template + 1, width - template + 1) start at the window's
    first pixel.
    """
    height, width = image.shape
    columns = np.zeros(width)
    squares = np.zeros(width)
    count = float(template * template)
    for y in range(height):
        for x in range(width):
            value = np.float64(image[y, x])
            columns[x] += value
            squares[x] += value * value
        if y >= template:
            for x in range(width):
                value = np.float64(image[y - template, x])
                columns[x] -= value
                squares[x] -= value * value
        if y >= template - 1:
            top = y - template + 1
            for x in range(width - template + 1):
                s = 0.0
                q = 0.0
                for k in range(template):
                    s += columns[x + k]
                    q += squares[x + k]
                total[top, x] = s
                spread[top, x] = q - s * s / count


@hot_kernel
def _block_products(a, b, y, x, nodes, blocks, out):
    """Products of one row of blocks with all shifted copies; out (blocks, shifts along y, lanes along x)."""
    size = nodes.block
    lanes = out.shape[2]
    for k in range(blocks):
        for dy in range(2 * nodes.search + 1):
            line = out[k, dy]
            line[:] = 0
            for i in range(size):
                source = a[y + i, x + k * size : x + (k + 1) * size]
                shifted = b[y + i + dy - nodes.search, x + k * size - nodes.search :]
                j = 0
                while j + 4 <= size:
                    a0, a1, a2, a3 = source[j], source[j + 1], source[j + 2], source[j + 3]
                    window = shifted[j : j + lanes + 3]
                    for d in range(lanes):
                        line[d] += a0 * window[d] + a1 * window[d + 1] + a2 * window[d + 2] + a3 * window[d + 3]
                    j += 4
                while j < size:
                    a0 = source[j]
                    window = shifted[j : j + lanes]
                    for d in range(lanes):
                        line[d] += a0 * window[d]
                    j += 1


@hot_kernel
def _add_blocks(row, first, count, out):
    """Sum neighbouring blocks; row (blocks, shifts, lanes), out (shifts, lanes)."""
    shifts, lanes = out.shape
    for i in range(shifts):
        target = out[i]
        target[:] = 0
        for k in range(first, first + count):
            source = row[k, i]
            for d in range(lanes):
                target[d] += source[d]


@hot_kernel
def _plain_scores(products, total, spread, shifted_total, shifted_spread, flat, y, x, floor, template, score):
    """ZNCC of one template with all of its candidates where every pixel is valid."""
    shifts = score.shape[0]
    count = products.dtype.type(template * template)
    mean = total / count
    for i in range(shifts):
        totals = shifted_total[y + i, x : x + shifts]
        spreads = shifted_spread[y + i, x : x + shifts]
        flats = flat[y + i, x : x + shifts]
        line = score[i]
        for d in range(shifts):
            variance = max(spread, floor) * max(spreads[d], floor)
            value = (products[i, d] - mean * totals[d]) / np.sqrt(variance)
            line[d] = min(value, 1) if (flats[d] == 0 and spreads[d] > floor) else ONE_VALUE


@hot_kernel
def _masked_scores(sums, flat, y, x, floor, least_valid, score):
    """ZNCC over the pixels valid in both windows (Padfield 2012, IEEE Trans. Image Process. 21, 2706-2718).

    `sums` (7, shifts, lanes): products, count, sum of either image over the common pixels, sums of their squares;
    last the count of pixels that are known in both images, be they too near a hole to be matched or not.
    """
    shifts = score.shape[0]
    one = score.dtype.type(1.0)
    least_fit = score.dtype.type(LEAST_FIT) * least_valid
    for i in range(shifts):
        for d in range(shifts):
            count = max(sums[1, i, d], one)
            first = sums[4, i, d] - sums[2, i, d] * sums[2, i, d] / count
            second = sums[5, i, d] - sums[3, i, d] * sums[3, i, d] / count
            least = floor * count
            variance = max(first, least) * max(second, least)
            value = (sums[0, i, d] - sums[2, i, d] * sums[3, i, d] / count) / np.sqrt(variance)
            if sums[1, i, d] < one:
                score[i, d] = NOTHING_COMMON
            elif sums[6, i, d] < least_valid or sums[1, i, d] < least_fit:
                score[i, d] = FEW_COMMON
            elif flat[y + i, x + d] != 0 or first <= least or second <= least:
                score[i, d] = ONE_VALUE
            else:
                score[i, d] = min(value, 1)


@hot_kernel
def _find_peak(score, search, best):
    """Peak of one surface: best = (row, column, score, gap); the gap is NaN where nothing can lie outside the peak."""
    shifts = score.shape[0]
    top = score.dtype.type(-9.0)
    row = 0
    column = 0
    for i in range(shifts):
        high = score.dtype.type(-9.0)
        for d in range(shifts):
            high = max(high, score[i, d])
        if high > top:
            top = high
            row = i
    for d in range(shifts):
        if score[row, d] == top:
            column = d
            break
    second = score.dtype.type(-9.0)
    for i in range(shifts):
        for d in range(shifts):
            if abs(i - row) > PEAK_RADIUS or abs(d - column) > PEAK_RADIUS:
                second = max(second, score[i, d])
    best[0] = row
    best[1] = column
    best[2] = top
    best[3] = top - second if search > PEAK_RADIUS and second > NO_SCORE else np.nan


@hot_kernel
def _judge_peak(score, best):
    """Bits that speak against the peak of one surface, 0 if none does."""
    shifts = score.shape[0]
    if best[2] <= NO_SCORE:
        # the marks are ordered: the best of them says what the most favourable candidate lacks
        return bits.FLAT if best[2] == ONE_VALUE else (bits.FEW_VALID if best[2] == FEW_COMMON else bits.NODATA)
    row = int(best[0])
    column = int(best[1])
    verdict = 0
    if row == 0 or column == 0 or row == shifts - 1 or column == shifts - 1:
        verdict |= bits.BORDER
    for i in range(max(row - 1, 0), min(row + 2, shifts)):
        for d in range(max(column - 1, 0), min(column + 2, shifts)):
            if score[i, d] == ONE_VALUE:
                verdict |= bits.FLAT
            elif score[i, d] <= NO_SCORE:
                verdict |= bits.FEW_VALID
    return verdict


@hot_kernel
def search(reference, secondary, statistics, flat, nodes, floor, least_valid, out, flags):
    """Best integer shift of every template.

    Parameters
    ----------
    reference, secondary
        (1, height, width) filtered images, or (7, ...) with the factors of the masked sums, all zero where invalid:
        image·image, mask·mask, image·mask, mask·image, square·mask, mask·square, known·known.
    statistics
        (4, height, width) sum and spread of each window of the reference, then of the secondary; unused if masked.
    flat
        (2, height, width) uint8, windows of the raw reference and secondary that hold one value only.
    nodes
        Which windows, how far.
    floor
        Variance a pixel must exceed to be texture and not rounding.
    least_valid
        Known pixels that a window pair must share; of those fit to be matched, LEAST_FIT as many.
    out
        (rows, columns, 4): shift along y and x, score, gap; where no candidate has a score all are NaN.
    flags
        (rows, columns) int32: bits against the peak are added.
    """
    kinds = reference.shape[0]
    shifts = 2 * nodes.search + 1
    lanes = (shifts + LANES - 1) // LANES * LANES
    per_step = nodes.step // nodes.block
    per_template = nodes.template // nodes.block
    blocks = (nodes.columns - 1) * per_step + per_template
    open_rows = (per_template + per_step - 1) // per_step
    products = np.empty((blocks, shifts, lanes), reference.dtype)
    rows = np.zeros((open_rows, kinds, blocks, shifts, lanes), reference.dtype)
    sums = np.empty((kinds, shifts, lanes), reference.dtype)
    score = np.empty((shifts, shifts), reference.dtype)
    best = np.empty(4, reference.dtype)
    least_spread = floor * nodes.template * nodes.template
    for block_row in range((nodes.rows - 1) * per_step + per_template):
        # the node rows whose templates hold this row of blocks; at most one of them ends here
        first = max(0, (block_row - per_template + per_step) // per_step)
        last = min(nodes.rows - 1, block_row // per_step)
        if first > last:
            continue
        for kind in range(kinds):
            y = nodes.top + block_row * nodes.block
            _block_products(reference[kind], secondary[kind], y, nodes.left, nodes, blocks, products)
            source = products.reshape(-1)
            for row in range(first, last + 1):
                target = rows[row % open_rows, kind].reshape(-1)
                if block_row == row * per_step:
                    target[:] = 0
                for k in range(source.size):
                    target[k] += source[k]
        if block_row != first * per_step + per_template - 1:
            continue
        y = nodes.top + first * nodes.step
        for column in range(nodes.columns):
            x = nodes.left + column * nodes.step
            for kind in range(kinds):
                _add_blocks(rows[first % open_rows, kind], column * per_step, per_template, sums[kind])
            # the first candidate lies `search` pixels before the template
            if flat[0, y, x] != 0 or (kinds == 1 and statistics[1, y, x] <= least_spread):
                score[:] = ONE_VALUE
            elif kinds == 1:
                _plain_scores(
                    sums[0], statistics[0, y, x], statistics[1, y, x], statistics[2], statistics[3], flat[1],
                    y - nodes.search, x - nodes.search, least_spread, nodes.template, score,
                )  # fmt: skip
            else:
                _masked_scores(sums, flat[1], y - nodes.search, x - nodes.search, floor, least_valid, score)
            _find_peak(score, nodes.search, best)
            flags[first, column] |= _judge_peak(score, best)
            if best[2] > NO_SCORE:
                out[first, column, 0] = best[0] - nodes.search
                out[first, column, 1] = best[1] - nodes.search
                out[first, column, 2] = best[2]
                out[first, column, 3] = best[3]
            else:
                out[first, column] = np.nan
