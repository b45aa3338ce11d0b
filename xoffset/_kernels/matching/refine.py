"""Sub-pixel matching by inverse-compositional Gauss-Newton on the template.

Inverse composition is by Baker & Matthews (2004, Int. J. Comput. Vis. 56, 221-255). For a pure shift the cubic spline
that interpolates the secondary image is a separable four-tap filter, the same for all pixels of the template.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels import bits
from xoffset._kernels._jit import hot_kernel, lean_kernel
from xoffset._kernels.matching.certainty import agreement, coloured_products, covariance, residual_products
from xoffset._kernels.matching.peaks import ICGN, quadric, vertex
from xoffset._kernels.matching.ridges import loosen, weakest_hold
from xoffset._kernels.matching.templates import (
    common_pixels,
    cut_shared,
    cut_template,
    cut_window,
    move_window,
    new_moved,
    new_template,
    spline_weights,
    sum_against,
)

# Most Gauss-Newton steps; a match that has not converged by then fails.
ITERATIONS = 30
# Length of a step that ends the iteration, px; the error that is left is about a tenth of it or less.
TOLERANCE = 1e-3
# Largest ratio of the eigenvalues of the normal matrix; beyond it the detail runs in one direction only.
LARGEST_CONDITION = 1e3
# Most that Broyden's update may lengthen steps: it divides the determinant of the Jacobian by at most its square.
LARGEST_STRETCH = 4.0
LONGEST_STEP = 0.5  # along an axis, px
# Most that the score may fall below that of the whole-pixel peak by rounding; otherwise the match fails.
SCORE_TOLERANCE = 1e-5
# The same for a closed form: even at the true peak its bias to whole pixels, up to 0.1 px, costs this much score.
LOCKED_TOLERANCE = 1e-2


@lean_kernel
def slopes(image, along_x, along_y):
    """Derivatives by five-point central differences; zero within two pixels of the edge."""
    height, width = image.shape
    near = image.dtype.type(2.0 / 3.0)
    far = image.dtype.type(1.0 / 12.0)
    for y in range(height):
        if y < 2 or y >= height - 2 or width < 4:
            for x in range(width):
                along_x[y, x] = 0
                along_y[y, x] = 0
            continue
        line = image[y]
        for x in (0, 1, width - 2, width - 1):
            along_x[y, x] = 0
            along_y[y, x] = 0
        for x in range(2, width - 2):
            along_x[y, x] = near * (line[x + 1] - line[x - 1]) - far * (line[x + 2] - line[x - 2])
        above2, above1, below1, below2 = image[y - 2], image[y - 1], image[y + 1], image[y + 2]
        for x in range(2, width - 2):
            along_y[y, x] = near * (below1[x] - above1[x]) - far * (below2[x] - above2[x])


@hot_kernel
def refine(
    image, slopes, noise_gain, coefficients, valid, sums, nodes, peaks, wanted, out, flags, form=ICGN, locking=0.0
):  # fmt: skip
    """Refine the integer shifts of the wanted templates to a fraction of a pixel.

    Parameters
    ----------
    image
        (height, width) filtered reference.
    slopes
        (4, height, width) derivatives of the reference along x and y, then the same after one more pass of the
        pre-filter.
    noise_gain
        Variance that the pre-filter leaves of white noise of variance 1.
    coefficients
        (height, width) cubic spline coefficients of the filtered secondary.
    valid
        (2, height, width) uint8: pixels of reference and secondary that are fit to be matched; of size zero if all are.
    sums
        (rows, SUMS·columns) of `templates.sum_templates`; of size zero if not all pixels are valid, or if nobody else
        needs them.
    nodes
        As in `zncc.search`; of its fields rows, columns, top, left, step and template.
    peaks
        (rows, columns, 13): integer shift along y and x, score, gap, and the scores of the 3x3 integer shifts around
        the peak in row order, NaN where there is none. The last nine only say where to start.
    wanted
        (rows, columns) uint8: the other nodes keep what they have.
    out
        (rows, columns, 6): shift along x and y in pixels, score, variance along x and y, covariance in px². Where the
        match fails all are NaN but the score, which is then the one of the integer peak.
    flags
        (rows, columns) int32: nodes with a bit set are passed over; bits against the match are added.
    form
        ICGN, or one of the closed forms of `peaks`, which need the 3x3 scores.
    locking
        Standard error in px that a closed form adds, along either axis.
    """
    one = image.dtype.type(1.0)
    template = new_template(nodes.template, nodes.template + 3, one)
    moved = new_moved(nodes.template, nodes.template + 3, one)
    _refine_each(
        image, slopes, noise_gain, coefficients, valid, sums, nodes, peaks, wanted, form, locking, template, moved,
        np.full(2, -1), np.empty((3, 6), image.dtype), out, flags,
    )  # fmt: skip


@lean_kernel
def _refine_each(
    image, slopes, noise_gain, coefficients, valid, sums, nodes, peaks, wanted, form, locking, template, moved, place,
    scratch, out, flags,
):  # fmt: skip
    """As `refine`, in working space: of templates, of the window that is moved, its place (y, x), and of numbers."""
    size, pitch = template.size, template.pitch
    noise, weak, match = scratch[0], scratch[1], scratch[2]
    count = image.dtype.type(size * size)
    for row in range(nodes.rows):
        for column in range(nodes.columns):
            if wanted[row, column] == 0:
                continue
            peak, result = peaks[row, column], out[row, column]
            for k in range(6):
                result[k] = np.nan
            result[2] = peak[2]
            if flags[row, column] != 0:
                continue
            y = nodes.top + row * nodes.step
            x = nodes.left + column * nodes.step
            if valid.size > 0:
                count = image.dtype.type(
                    common_pixels(valid, y, x, int(peak[0]), int(peak[1]), size, pitch, template.weight)
                )
            if sums.size > 0:
                cut_shared(image, slopes, y, x, sums[row, column:], nodes.columns, count, template, noise)
            else:
                cut_template(image, slopes, y, x, count, template)
                coloured_products(slopes, template.weight, size, pitch, y, x, noise)
            verdict = judge_slopes(template.sums)
            if verdict == 0:
                if form == ICGN:
                    verdict = _gauss_newton(coefficients, y, x, peak, count, template, moved, place, match)
                else:
                    verdict = _at_vertex(coefficients, y, x, peak, form, count, template, moved, place, match)
            flags[row, column] |= verdict
            if verdict == 0:
                share = agreement(template, moved.values, match[3])
                weakest_hold(template, moved.values, match[3], share, weak)
                residual_products(template, moved, count, match[3], noise_gain, noise)
                covariance(template.sums, noise, share, match)
                loosen(weak, match)
                match[3] += locking * locking
                match[4] += locking * locking
                for k in range(6):
                    result[k] = match[k]


@lean_kernel
def judge_slopes(sums):
    """Bits against a template with these sums, 0 if its shift can be told in both directions."""
    xx, xy, yy = sums[3], sums[4], sums[5]
    determinant = xx * yy - xy * xy
    trace = xx + yy
    # eigenvalues a >= b: a/b <= limit is the same as trace²/determinant <= (limit + 1)²/limit
    if determinant * (LARGEST_CONDITION + 1.0) ** 2 > trace * trace * LARGEST_CONDITION:
        return 0
    return bits.ILL_CONDITIONED


@lean_kernel
def _compare(coefficients, y, x, shift, template, moved, place):
    """Move the window of the secondary by shift = (x, y) and sum it against the template."""
    left = int(np.floor(shift[0]))
    top = int(np.floor(shift[1]))
    spline_weights(shift[1] - top, moved.weights[0])
    spline_weights(shift[0] - left, moved.weights[1])
    top, left = y + top, x + left
    # most steps stay between the same pixels
    if top != place[0] or left != place[1]:
        side, pitch = template.size + 3, template.pitch
        cut_window(coefficients, top - 1, left - 1, side, side, pitch, moved.cut)
        place[0], place[1] = top, left
    move_window(moved.cut, template.pitch, moved.weights, moved.rows, moved.values)
    sum_against(template, moved.values, moved.sums)


@lean_kernel
def _gauss_newton(coefficients, y, x, peak, count, template, moved, place, out):
    """Match one template: out = shift along x and y, score, and the gain from the moved window's contrast to its own.

    Noise in the slopes of the template makes every step too short. Broyden's update of the Jacobian (Broyden 1965,
    Math. Comput. 19, 577-593) learns from each step by how much, and in which direction. Returns the bits against the
    match, 0 if there are none.
    """
    energy = template.sums[0]
    xx, xy, yx, yy = template.sums[3], template.sums[4], template.sums[4], template.sums[5]
    least = (xx * yy - xy * yx) / (LARGEST_STRETCH * LARGEST_STRETCH)
    shift = out[:2]
    zero = energy - energy
    # the quadric through the scores saves a step or two; the end does not depend on it
    if not quadric(peak[4:], shift):
        shift[0], shift[1] = zero, zero
    shift[0] += peak[1]
    shift[1] += peak[0]
    step_x, step_y, last_x, last_y, rest = zero, zero, zero, zero, zero
    for iteration in range(ITERATIONS):
        _compare(coefficients, y, x, shift, template, moved, place)
        spread = moved.sums[1] - moved.sums[0] * moved.sums[0] / count
        if not spread > 0:
            return bits.REFINE_FAILED
        gain = np.sqrt(energy / spread)
        error_x = gain * moved.sums[3] - template.sums[1]
        error_y = gain * moved.sums[4] - template.sums[2]
        if iteration > 0:
            # the last step was to leave no error, or some if it was shortened
            length = step_x * step_x + step_y * step_y
            left_x, left_y = error_x - rest * last_x, error_y - rest * last_y
            new_xx, new_xy = xx - left_x * step_x / length, xy - left_x * step_y / length
            new_yx, new_yy = yx - left_y * step_x / length, yy - left_y * step_y / length
            if new_xx * new_yy - new_xy * new_yx > least and new_xx > 0:
                xx, xy, yx, yy = new_xx, new_xy, new_yx, new_yy
        last_x, last_y = error_x, error_y
        determinant = xx * yy - xy * yx
        step_x = (yy * error_x - xy * error_y) / determinant
        step_y = (xx * error_y - yx * error_x) / determinant
        longest = max(abs(step_x), abs(step_y))
        if longest > LONGEST_STEP:
            share = LONGEST_STEP / longest
            step_x, step_y, rest = step_x * share, step_y * share, 1 - share
        else:
            rest = zero
        shift[0] -= step_x
        shift[1] -= step_y
        if not (abs(shift[0] - peak[1]) <= 1 and abs(shift[1] - peak[0]) <= 1):
            return bits.REFINE_FAILED
        if longest < TOLERANCE:
            # what the last step gains, to second order
            score = gain * moved.sums[2] / energy + (step_x * error_x + step_y * error_y) / (2 * energy)
            if score < peak[2] - SCORE_TOLERANCE:
                return bits.REFINE_FAILED
            out[2] = min(score, 1)
            out[3] = gain
            return 0
    return bits.REFINE_FAILED


@lean_kernel
def _at_vertex(coefficients, y, x, peak, form, count, template, moved, place, out):
    """Take the closed form of the peak: `out` and result as of `_gauss_newton`."""
    shift = out[:2]
    if not vertex(peak[4:], form, shift):
        return bits.REFINE_FAILED
    shift[0] += peak[1]
    shift[1] += peak[0]
    energy = template.sums[0]
    _compare(coefficients, y, x, shift, template, moved, place)
    spread = moved.sums[1] - moved.sums[0] * moved.sums[0] / count
    if not spread > 0:
        return bits.REFINE_FAILED
    gain = np.sqrt(energy / spread)
    score = gain * moved.sums[2] / energy
    if score < peak[2] - LOCKED_TOLERANCE:
        return bits.REFINE_FAILED
    out[2] = min(score, 1)
    out[3] = gain
    return 0
