"""Scores of one template with all of its candidates, and what can be told from them."""

from __future__ import annotations

import numpy as np

from xoffset._kernels import bits
from xoffset._kernels._jit import lean_kernel

# Distance from the peak, px, within which high scores belong to it; the second peak is sought farther away.
PEAK_RADIUS = 3
# Of the valid pixels that two windows must share, the share that must also be far enough from holes to be matched.
LEAST_FIT = 0.8
# Values that stand in a surface for a candidate without a score; real scores lie between -1 and 1.
# All of these values are at or below this one.
NO_SCORE = -2.0
# One of the windows has the same value in all its pixels.
ONE_VALUE = -2.0
# The windows share too few valid pixels.
FEW_COMMON = -3.0
# The windows share no valid pixel.
NOTHING_COMMON = -4.0
# Outside of the surface: below all others, so that any candidate is higher.
LOWEST = -9.0
# Where the gap is wider than this, no other peak is looked for: none of them can be the match.
CLEAR_GAP = 0.3
# Farthest that the top of a peak at the rim of a surface is sought beyond it, px.
BEYOND = 2.0
# what `_read_peak` tells of a surface: shift along y and x, score, gap, then the 3 x 3 scores around the peak by rows,
# then of the best other peak its score, and by how much its top between the pixels is higher; at last the share of the
# window's pixels that both images know there, which `holes.count_common` counts
PEAK_FIELDS = 16
OTHER = 13
COMMON = 15
# Score that stands for no other peak.
NO_OTHER = -1.0


@lean_kernel
def _masked_line(sums, start, flat, floors, least_valid, score):
    """ZNCC over the pixels valid in both windows (Padfield 2012, IEEE Trans. Image Process. 21, 2706-2718).

    `sums` (6 or 7, start and more): products, count, sum of either image over the common pixels, sums of their squares;
    last the count of pixels that are known in both images, if not all of these are fit to be matched. `flat` marks
    windows of the secondary that hold one value only; `floors` and `least_valid` as in `zncc.Images`.
    """
    one, mark = score.dtype.type(1.0), score.dtype.type(ONE_VALUE)
    few, nothing = score.dtype.type(FEW_COMMON), score.dtype.type(NOTHING_COMMON)
    least_fit = score.dtype.type(LEAST_FIT) * least_valid
    size = score.size
    products, commons, knowns = sums[0, start:], sums[1, start:], sums[6 if sums.shape[0] > 6 else 1, start:]
    totals, totals_of_other = sums[2, start:], sums[3, start:]
    squares, squares_of_other = sums[4, start:], sums[5, start:]
    for x in range(size):
        common, known = commons[x], knowns[x]
        count = max(common, one)
        of_first, of_second = totals[x], totals_of_other[x]
        spread = squares[x] - of_first * of_first / count
        spread_of_other = squares_of_other[x] - of_second * of_second / count
        least, least_of_other = floors[0] * count, floors[1] * count
        variance = max(spread, least) * max(spread_of_other, least_of_other)
        value = min((products[x] - of_first * of_second / count) / np.sqrt(variance), one)
        has_texture = (flat[x] == 0) & (spread > least) & (spread_of_other > least_of_other)
        value = value if has_texture else mark
        value = value if (known >= least_valid) & (common >= least_fit) else few
        score[x] = value if common >= one else nothing


@lean_kernel
def _masked_scores(sums, first, lanes, floors, least_valid, is_flat, flat, y, x, height, width, score):
    """Scores of one template with its candidates, and the highest of each column in the last row.

    `sums` (6 or 7, shifts·lanes) as of `_masked_line`; the first candidate of this template stands at `first`, and the
    window of the secondary that it means at (y, x). `is_flat`: whether the template holds one value only.
    """
    high = score[score.shape[0] - 1]
    for d in range(width):
        high[d] = LOWEST
    for i in range(height):
        line = score[i, :width]
        if is_flat:
            for d in range(width):
                line[d] = ONE_VALUE
        else:
            _masked_line(sums, first + i * lanes, flat[y + i, x : x + width], floors, least_valid, line)
        for d in range(width):
            high[d] = line[d] if line[d] > high[d] else high[d]


@lean_kernel
def _read_peak(score, height, width, out):
    """Peak of a surface into out[:PEAK_FIELDS], its shift counted from the first candidate.

    Returns the bits against it. Without any score all of `out` is NaN. The gap is NaN where no score lies more than
    PEAK_RADIUS from the peak, or the search reaches no farther than that. Of equal scores the first by rows is the
    peak. The last row of `score` holds the highest of each column.
    """
    high = score[score.shape[0] - 1]
    top = score.dtype.type(LOWEST)
    for d in range(width):
        top = max(top, high[d])
    if top <= NO_SCORE:
        for n in range(PEAK_FIELDS):
            out[n] = np.nan
        return _verdict_without_peak(top)
    row, column = height, 0
    for d in range(width):
        if high[d] == top:
            i = 0
            while score[i, d] != top:
                i += 1
            if i < row:
                row, column = i, d
    # beside the peak only what lies above and below it counts
    left, right = max(column - PEAK_RADIUS, 0), min(column + PEAK_RADIUS + 1, width)
    for d in range(left, right):
        high[d] = LOWEST
    for i in range(height):
        if abs(i - row) > PEAK_RADIUS:
            line = score[i]
            for d in range(left, right):
                high[d] = max(high[d], line[d])
    second = score.dtype.type(LOWEST)
    for d in range(width):
        second = max(second, high[d])
    out[0] = row
    out[1] = column
    out[2] = top
    is_wide = max(height, width) > 2 * PEAK_RADIUS + 1
    out[3] = top - second if is_wide and second > NO_SCORE else np.nan
    for k in range(9):
        i, d = row + k // 3 - 1, column + k % 3 - 1
        out[4 + k] = score[i, d] if 0 <= i < height and 0 <= d < width else LOWEST
    if _is_contested(second, out):
        _read_other(score, height, width, high, out)
    return _judge_patch(height, width, out)


@lean_kernel
def _is_contested(second, out):
    """Whether the best score elsewhere comes so near the peak `out` that another peak may be the match."""
    out[OTHER] = second if out[3] == out[3] else np.nan
    out[OTHER + 1] = 0
    bend = max(2.0 * out[2] - out[5] - out[11], 0.0) + max(2.0 * out[2] - out[7] - out[9], 0.0)
    return out[3] < CLEAR_GAP + 0.25 * min(bend, 1.0)


@lean_kernel
def _read_other(score, height, width, high, out):
    """Highest local maximum more than PEAK_RADIUS from the peak `out`, into its last two fields.

    `high` is the highest so far away of each column. The flank of a wide peak is none.
    """
    least = out[2] - CLEAR_GAP
    best = out.dtype.type(LOWEST)
    out[OTHER] = NO_OTHER
    out[OTHER + 1] = 0
    for d in range(width):
        if high[d] < least:
            continue
        for i in range(height):
            value = score[i, d]
            if value < least:
                continue
            is_top = True
            for m in range(max(i - 1, 0), min(i + 2, height)):
                for n in range(max(d - 1, 0), min(d + 2, width)):
                    is_top &= score[m, n] <= value
            if is_top:
                best = _take_other(score, height, width, i, d, best, out)


@lean_kernel
def _take_other(score, height, width, i, d, best, out):
    """Take a local maximum into the last two fields of the peak `out` if it is another peak and higher than `best`.

    Returns the highest. At the rim of the surface, where a maximum may go on beyond it, its top is extrapolated with
    the curvature of the peak.
    """
    value = score[i, d]
    is_near = abs(i - int(out[0])) <= PEAK_RADIUS and abs(d - int(out[1])) <= PEAK_RADIUS
    if is_near or value <= NO_SCORE or value < out[2] - CLEAR_GAP:
        return best
    rise = _rise(
        score[i - 1, d] if i > 0 else LOWEST, value, score[i + 1, d] if i + 1 < height else LOWEST,
        _bend(out[5], out[2], out[11]),
    )  # fmt: skip
    rise += _rise(
        score[i, d - 1] if d > 0 else LOWEST, value, score[i, d + 1] if d + 1 < width else LOWEST,
        _bend(out[7], out[2], out[9]),
    )  # fmt: skip
    if value + rise <= best:
        return best
    out[OTHER] = value
    out[OTHER + 1] = rise
    return out.dtype.type(value + rise)


@lean_kernel
def _bend(before, here, after):
    """Curvature at a maximum, as second difference; 0 where a neighbour is unknown."""
    return max(2.0 * here - before - after, 0.0) if before > NO_SCORE and after > NO_SCORE else 0.0


@lean_kernel
def _rise(before, here, after, bend):
    """By how much the top of the parabola through a maximum and its neighbours is higher.

    Where a neighbour is unknown (at or below NO_SCORE) `bend` stands for the curvature, and the top lies at most
    BEYOND px away.
    """
    if before > NO_SCORE and after > NO_SCORE:
        own = 2.0 * here - before - after
        return (after - before) ** 2 / (8.0 * own) if own > 0.0 else 0.0
    if before <= NO_SCORE and after <= NO_SCORE:
        return 0.0
    slope = max(here - max(before, after) - 0.5 * bend, 0.0)
    away = slope / bend if slope < BEYOND * bend else BEYOND
    return slope * away - 0.5 * bend * away**2


@lean_kernel
def _judge_patch(height, width, out):
    """Bits against the peak `out` of a surface of height x width candidates; scores that are none become NaN."""
    verdict = 0
    if out[0] == 0 or out[1] == 0 or out[0] == height - 1 or out[1] == width - 1:
        verdict |= bits.BORDER
    for k in range(4, OTHER):
        if out[k] <= NO_SCORE:
            if out[k] > LOWEST:
                verdict |= bits.FLAT if out[k] == ONE_VALUE else bits.FEW_VALID
            out[k] = np.nan
    return verdict


@lean_kernel
def _verdict_without_peak(top):
    """Why a surface whose highest entry is a mark has no peak: what the most favourable candidate lacks."""
    if top == ONE_VALUE:
        return bits.FLAT
    return bits.FEW_VALID if top == FEW_COMMON else bits.NODATA
