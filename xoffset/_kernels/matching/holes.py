"""Sub-pixel matching of windows that have holes in or beside them.

A filter that meets a hole leaves what belongs to the hole and not to the ground: its output differs between two images
whose holes differ, and stays where the holes stay. So both windows are filtered anew with the pixels that both images
know, by normalised convolution (Knutsson & Westin 1993, CVPR, 515-523); the secondary at every step of Gauss-Newton,
after it was moved. At the true shift the two then differ by noise alone, wherever the holes lie.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xoffset._kernels import bits
from xoffset._kernels._jit import hot_kernel
from xoffset._kernels.images.filters import FOLD, _fold_line
from xoffset._kernels.matching.certainty import (
    BLOCK_GAIN,
    PRIOR_BLOCKS,
    agreement,
    coloured_products,
    covariance,
)
from xoffset._kernels.matching.peaks import quadric
from xoffset._kernels.matching.refine import (
    ITERATIONS,
    LARGEST_STRETCH,
    LOCKED_TOLERANCE,
    LONGEST_STEP,
    judge_slopes,
    slopes,
)
from xoffset._kernels.matching.surface import COMMON
from xoffset._kernels.matching.templates import (
    BLOCK,
    Moved,
    cut_template,
    cut_window,
    move_window,
    new_moved,
    new_template,
    spline_weights,
    sum_against,
)

# Least weight of a low-pass on known pixels that it is divided by; with less its result is taken for zero.
LEAST_WEIGHT = 1e-3
# Length of a step that ends the iteration, px; the error that is left is about a tenth of it.
TOLERANCE = 5e-3
# Least determinant of what a match keeps of its hold without one of its blocks.
LEAST_REST = 0.05
# Pixels beyond a window that its slopes reach.
RIM = 2


class Around(NamedTuple):
    """Working space for a window and what the filter reaches around it; `wide` is size + 2·RIM + 2·reach."""

    mask: np.ndarray  # (wide, wide): 1 where both images are known
    values: np.ndarray  # (wide, wide)
    rows: np.ndarray  # (size + 2·RIM, wide)
    gains: np.ndarray  # (2, size + 2·RIM, size + 2·RIM): one over the known weight of the fine and the coarse low-pass
    low: np.ndarray  # (size + 2·RIM, size + 2·RIM)
    filtered: np.ndarray  # (size + 2·RIM, size + 2·RIM)
    slopes: np.ndarray  # (2, size + 2·RIM, size + 2·RIM)


class Beyond(NamedTuple):
    """Working space for the moved window of the secondary and what the filter reaches around it, without the rim."""

    moved: Moved  # the window with what is around it
    values: np.ndarray  # (size + 2·reach, size + 2·reach + 3): its values, row by row
    rows: np.ndarray  # (size, size + 2·reach)
    low: np.ndarray  # (size, size)


@hot_kernel
def refine(image, coefficients, known, noise, halves, size, corners, peaks, out, flags):
    """Refine the integer shifts of windows as `refine.refine` does, with a filter for what both images know.

    Parameters
    ----------
    image
        (height, width) reference before the band-pass.
    coefficients
        (height, width) cubic spline coefficients of the secondary before the band-pass, its holes filled.
    known
        (2, height, width) uint8: pixels of reference and secondary that have a value.
    noise
        Slopes (4, height, width) of the filtered reference and the variance that the filter leaves of white noise, as
        `slopes` and `noise_gain` of `refine.refine`.
    halves
        Fine and coarse low-pass of the band-pass, as in `filters.bandpass`.
    size
        Side of the windows.
    corners
        (window, 2) first row and column of each in the reference.
    peaks, out, flags
        (window, 13), (window, 6) and (window,) as in `refine.refine`.
    """
    one = image.dtype.type(1.0)
    reach = max(halves[0].size, halves[1].size) - 1
    template, moved = new_template(size, size, one), new_moved(size, size, one)
    around, beyond = _working_space(size, reach, one)
    products = np.empty(3, image.dtype)
    match = np.empty(6, image.dtype)
    for k in range(corners.shape[0]):
        peak = peaks[k]
        out[k] = np.nan
        out[k, 2] = peak[2]
        if flags[k] != 0:
            continue
        y, x = corners[k, 0], corners[k, 1]
        count = _cut_reference(image, known, y, x, peak, halves, template, around)
        verdict = judge_slopes(template.sums)
        if verdict == 0:
            verdict = _gauss_newton(coefficients, y, x, peak, count, halves, template, moved, around, beyond, match)
        flags[k] |= verdict
        if verdict == 0:
            share = agreement(template, moved.values, match[3])
            coloured_products(noise[0], template.weight, size, size, y, x, products)
            _residual_products(template, moved, count, match[3], noise[1], products)
            covariance(template.sums, products, share, match)
            for i in range(match.size):
                out[k, i] = match[i]


@hot_kernel
def count_common(known, valid, nodes, wanted, least, peaks, flags):
    """Share of the pixels of each window that both images know at its peak, into peaks[..., COMMON].

    Flags peaks where two windows share too few: less than least[0] of the known or least[1] of the valid ones. `known`
    and `valid` (2, height, width) uint8 of reference and secondary; the rest as in `refine.refine`.
    """
    size = nodes.template
    for row in range(nodes.rows):
        for column in range(nodes.columns):
            shift = peaks[row, column]
            if wanted[row, column] == 0 or not abs(shift[0]) < np.inf:
                continue
            y, x = nodes.top + row * nodes.step, nodes.left + column * nodes.step
            top, left = y + int(shift[0]), x + int(shift[1])
            of_known, of_valid = 0, 0
            for i in range(size):
                first, second = known[0, y + i, x : x + size], known[1, top + i, left : left + size]
                fit, other = valid[0, y + i, x : x + size], valid[1, top + i, left : left + size]
                for j in range(size):
                    of_known += int(first[j] & second[j])
                    of_valid += int(fit[j] & other[j])
            shift[COMMON] = of_known / size**2
            if of_known < least[0] or of_valid < least[1]:
                flags[row, column] |= bits.FEW_VALID


@hot_kernel
def _working_space(size, reach, one):
    """Working space in the type of `one`."""
    dtype = np.asarray(one).dtype
    side = size + 2 * RIM
    wide, inner = side + 2 * reach, size + 2 * reach
    around = Around(
        np.empty((wide, wide), dtype), np.empty((wide, wide), dtype), np.empty((side, wide), dtype),
        np.empty((2, side, side), dtype), np.empty((side, side), dtype), np.empty((side, side), dtype),
        np.empty((2, side, side), dtype),
    )  # fmt: skip
    moved = new_moved(inner, inner + 3, one)
    values = moved.values[: inner * (inner + 3)].reshape(inner, inner + 3)
    beyond = Beyond(moved, values, np.empty((size, inner), dtype), np.empty((size, size), dtype))
    return around, beyond


@hot_kernel
def _cut_reference(image, known, y, x, peak, halves, template, around):
    """Fill `template` with the window at (y, x), filtered with the pixels that both images know; return their number.

    `around` keeps the mask and the gains.
    """
    size, side, wide = template.size, around.low.shape[0], around.mask.shape[0]
    reach = (wide - side) // 2
    top, left = y - RIM - reach, x - RIM - reach
    shift_y, shift_x = int(peak[0]), int(peak[1])
    for i in range(wide):
        first, second = known[0, top + i, left:], known[1, top + shift_y + i, left + shift_x :]
        source, mask, line = image[top + i, left:], around.mask[i], around.values[i]
        for j in range(wide):
            both = first[j] & second[j]
            mask[j] = both
            line[j] = source[j] * both
    for k in range(2):
        _low_pass(around.mask, halves[k], around.rows, around.gains[k])
        for i in range(side):
            gain = around.gains[k, i]
            for j in range(side):
                gain[j] = 1 / gain[j] if gain[j] > LEAST_WEIGHT else 0
    _band_pass(around.values, halves, around.gains, 0, around.rows, around.low, around.filtered)
    slopes(around.filtered, around.slopes[0], around.slopes[1])
    count = around.mask.dtype.type(0.0)
    for i in range(size):
        mask, weight = around.mask[reach + RIM + i, reach + RIM :], template.weight[i * size :]
        for j in range(size):
            weight[j] = mask[j]
            count += mask[j]
    cut_template(around.filtered, around.slopes, RIM, RIM, max(count, 1), template)
    return max(count, 1)


@hot_kernel
def _low_pass(values, half, rows, out):
    """Low-pass `out` (size, size) of the middle of `values` (size + 2·reach, size + 2·reach); `rows` is scratch."""
    size = out.shape[0]
    reach = (values.shape[0] - size) // 2
    far = half.size - 1
    first, last = reach - far, reach + size + far
    for i in range(size):
        line, middle, tap = rows[i, first:last], values[reach + i, first:last], half[0]
        for j in range(line.size):
            line[j] = tap * middle[j]
        for k in range(1, half.size, FOLD):
            up, down = reach + i - k - FOLD + 1, reach + i + k
            u0, u1, u2, u3 = values[up, first:], values[up + 1, first:], values[up + 2, first:], values[up + 3, first:]
            d0, d1, d2, d3 = (
                values[down, first:], values[down + 1, first:], values[down + 2, first:], values[down + 3, first:],
            )  # fmt: skip
            t0, t1, t2, t3 = half[k], half[k + 1], half[k + 2], half[k + 3]
            for j in range(line.size):
                near = t0 * (u3[j] + d0[j]) + t1 * (u2[j] + d1[j])
                line[j] += near + (t2 * (u1[j] + d2[j]) + t3 * (u0[j] + d3[j]))
    for i in range(size):
        target, middle, tap = out[i], rows[i, reach:], half[0]
        for j in range(size):
            target[j] = tap * middle[j]
        _fold_line(rows[i], reach, half, 1, target)


@hot_kernel
def _band_pass(values, halves, gains, offset, rows, low, out):
    """Difference of two low-passes, times the gains from (offset, offset) on."""
    _low_pass(values, halves[0], rows, out)
    _low_pass(values, halves[1], rows, low)
    size = out.shape[0]
    for i in range(size):
        fine, coarse = gains[0, offset + i, offset:], gains[1, offset + i, offset:]
        source, target = low[i], out[i]
        for j in range(size):
            target[j] = target[j] * fine[j] - source[j] * coarse[j]


@hot_kernel
def _compare(coefficients, y, x, shift, halves, template, moved, around, beyond):
    """Move the secondary by shift = (x, y), filter what is known to both, and sum it against the template."""
    size, side, wide = template.size, beyond.values.shape[0], beyond.moved
    reach = (side - size) // 2
    left, top = int(np.floor(shift[0])), int(np.floor(shift[1]))
    spline_weights(shift[1] - top, wide.weights[0])
    spline_weights(shift[0] - left, wide.weights[1])
    cut_window(coefficients, y - reach + top - 1, x - reach + left - 1, side + 3, side + 3, side + 3, wide.cut)
    move_window(wide.cut, side + 3, wide.weights, wide.rows, wide.values)
    for i in range(side):
        mask, line = around.mask[RIM + i, RIM:], beyond.values[i]
        for j in range(side):
            line[j] *= mask[j]
    filtered = moved.values[: size * size].reshape(size, size)
    _band_pass(beyond.values, halves, around.gains, RIM, beyond.rows, beyond.low, filtered)
    sum_against(template, moved.values, moved.sums)


@hot_kernel
def _gauss_newton(coefficients, y, x, peak, count, halves, template, moved, around, beyond, out):
    """Match one template: `out` and result as of `_gauss_newton` in `refine`.

    Noise in the slopes of the template makes every step too short. By how much tells at first the share of them that
    the moved window repeats, then what the step before has left of the error.
    """
    energy = template.sums[0]
    xx, xy, yy = template.sums[3], template.sums[4], template.sums[5]
    determinant = xx * yy - xy * xy
    shift = out[:2]
    if not quadric(peak[4:], shift):
        shift[:] = 0
    shift[0] += peak[1]
    shift[1] += peak[0]
    zero = energy - energy
    least, hold, last_x, last_y = zero - 1, zero, zero, zero
    for iteration in range(ITERATIONS):
        _compare(coefficients, y, x, shift, halves, template, moved, around, beyond)
        spread = moved.sums[1] - moved.sums[0] * moved.sums[0] / count
        if not spread > 0:
            return bits.REFINE_FAILED
        gain = np.sqrt(energy / spread)
        error_x = gain * moved.sums[3] - template.sums[1]
        error_y = gain * moved.sums[4] - template.sums[2]
        if iteration == 0:
            hold = determinant * agreement(template, moved.values, gain)
        elif last_x != 0 or last_y != 0:
            left = (error_x * last_x + error_y * last_y) / (last_x * last_x + last_y * last_y)
            hold *= min(max(1 - left, 1 / LARGEST_STRETCH), LARGEST_STRETCH)
        last_x, last_y = error_x, error_y
        step_x = (yy * error_x - xy * error_y) / hold
        step_y = (xx * error_y - xy * error_x) / hold
        longest = max(abs(step_x), abs(step_y))
        if longest > LONGEST_STEP:
            step_x, step_y = step_x * LONGEST_STEP / longest, step_y * LONGEST_STEP / longest
            # tells nothing of the hold
            last_x, last_y = zero, zero
        shift[0] -= step_x
        shift[1] -= step_y
        if not (abs(shift[0] - peak[1]) <= 1 and abs(shift[1] - peak[0]) <= 1):
            return bits.REFINE_FAILED
        # with what the last step gains, to second order
        score = gain * moved.sums[2] / energy + (step_x * error_x + step_y * error_y) / (2 * energy)
        if iteration == 0:
            least = score
        if longest < TOLERANCE:
            if score < least - LOCKED_TOLERANCE:
                return bits.REFINE_FAILED
            out[2] = min(score, 1)
            out[3] = gain
            return 0
    return bits.REFINE_FAILED


@hot_kernel
def _residual_products(template, moved, count, gain, noise_gain, noise):
    """Variance xx, xy, yy of the sums of slope times residual into `noise`, as `certainty.residual_products`.

    The share of the coloured products in `noise` follows the number of blocks that count. The residual replaces the
    moved window.
    """
    size, one = template.size, noise.dtype.type(1.0)
    slope_x, slope_y, residual = template.slope_x, template.slope_y, moved.values
    mean, square = moved.sums[0] / count, one - one
    for k in range(residual.size):
        residual[k] = gain * template.weight[k] * (residual[k] - mean) - template.values[k]
        square += residual[k] * residual[k]
    number = scatter_of_blocks(
        slope_x[: size * size].reshape(size, size), slope_y[: size * size].reshape(size, size),
        residual[: size * size].reshape(size, size), moved.sums,
    )  # fmt: skip
    of_blocks = noise.dtype.type(BLOCK_GAIN) * number / (number + PRIOR_BLOCKS)
    of_white = square / max(count - 3, one) / noise_gain * PRIOR_BLOCKS / (number + PRIOR_BLOCKS)
    for k in range(3):
        noise[k] = of_blocks * moved.sums[k] + of_white * noise[k]


@hot_kernel
def scatter_of_blocks(slope_x, slope_y, residual, out):
    """Variance xx, xy, yy of the sums of slope times residual, from sums over blocks; returns how many blocks count.

    Where much of a window is unknown or of one value, few blocks hold the match, and it follows their noise: their
    residuals are too small. So each block's sum is that of a match without the block, the jackknife over blocks (Bell &
    McCaffrey 2002, Surv. Methodol. 28, 169-181, CR3).
    """
    size = residual.shape[0]
    blocks = max(size // BLOCK, 1)
    zero = residual.dtype.type(0.0)
    h_xx, h_xy, h_yy = zero, zero, zero
    for i in range(size):
        for j in range(size):
            h_xx += slope_x[i, j] * slope_x[i, j]
            h_xy += slope_x[i, j] * slope_y[i, j]
            h_yy += slope_y[i, j] * slope_y[i, j]
    determinant = h_xx * h_yy - h_xy * h_xy
    hold, hold_square = zero, zero
    out[0], out[1], out[2] = 0, 0, 0
    for row in range(blocks):
        for column in range(blocks):
            sum_x, sum_y, b_xx, b_xy, b_yy = zero, zero, zero, zero, zero
            first, last = column * size // blocks, (column + 1) * size // blocks
            for i in range(row * size // blocks, (row + 1) * size // blocks):
                for j in range(first, last):
                    sum_x += slope_x[i, j] * residual[i, j]
                    sum_y += slope_y[i, j] * residual[i, j]
                    b_xx += slope_x[i, j] * slope_x[i, j]
                    b_xy += slope_x[i, j] * slope_y[i, j]
                    b_yy += slope_y[i, j] * slope_y[i, j]
            # (1 - B H⁻¹)⁻¹ times the sum of the block, with its own share B of the normal matrix H
            a, b = 1 - (b_xx * h_yy - b_xy * h_xy) / determinant, -(b_xy * h_xx - b_xx * h_xy) / determinant
            c, d = -(b_xy * h_yy - b_yy * h_xy) / determinant, 1 - (b_yy * h_xx - b_xy * h_xy) / determinant
            rest = max(a * d - b * c, residual.dtype.type(LEAST_REST))
            sum_x, sum_y = (d * sum_x - b * sum_y) / rest, (a * sum_y - c * sum_x) / rest
            out[0] += sum_x * sum_x
            out[1] += sum_x * sum_y
            out[2] += sum_y * sum_y
            hold += b_xx + b_yy
            hold_square += (b_xx + b_yy) * (b_xx + b_yy)
    return hold * hold / max(hold_square, residual.dtype.type(1e-30))
