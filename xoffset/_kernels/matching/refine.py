"""Sub-pixel matching by inverse-compositional Gauss-Newton on the template.

Inverse composition is by Baker & Matthews (2004, Int. J. Comput. Vis. 56, 221-255). For a pure shift the cubic spline
that interpolates the secondary image is a separable four-tap filter, the same for all pixels of the template.
Windows are kept as one contiguous line of pixels, over which a vectorised sum is fastest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xoffset._kernels import bits
from xoffset._kernels._jit import hot_kernel, lean_kernel
from xoffset._kernels.matching.peaks import ICGN, quadric, vertex
from xoffset._kernels.matching.ridges import LEAST_AGREEMENT, loosen, weakest_hold

# Most Gauss-Newton steps; a match that has not converged by then fails.
ITERATIONS = 30
# Length of a step that ends the iteration, px; the error that is left is about a tenth of it or less.
TOLERANCE = 1e-3
# Largest ratio of the eigenvalues of the normal matrix; beyond it the detail runs in one direction only.
LARGEST_CONDITION = 1e3
# Least standard error, px: the bias that interpolating pixels leaves in the best of cases.
LEAST_SIGMA = 1.3e-3
# A at ALIASING_BAND, px. Aliased detail biases the shift by -A·sin(2π·shift) in windows of any size, see `_aliasing`.
ALIASING = 0.026
# Mean squared slope over mean squared value of images of white ground, rad² px⁻²; A grows with its sixth power.
ALIASING_BAND = 1.4
# Band at which A stops growing, rad² px⁻²: little beyond that of white ground, and A is not measured farther.
LARGEST_BAND = 1.55
BLOCK = 4  # side of the blocks whose residuals are taken for independent of each other, px
# Factor on the variance of sums over blocks: band-passed noise does correlate across their edges.
BLOCK_GAIN = 1.2
# Weight, in blocks, of the covariance that filtered white noise would have: small windows have few blocks of their own.
PRIOR_BLOCKS = 2
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
        for x in range(width):
            along_x[y, x] = 0
            along_y[y, x] = 0
    for y in range(2, height - 2):
        line = image[y]
        for x in range(2, width - 2):
            along_x[y, x] = near * (line[x + 1] - line[x - 1]) - far * (line[x + 2] - line[x - 2])
        above2, above1, below1, below2 = image[y - 2], image[y - 1], image[y + 1], image[y + 2]
        for x in range(2, width - 2):
            along_y[y, x] = near * (below1[x] - above1[x]) - far * (below2[x] - above2[x])


@lean_kernel
def spline_weights(fraction, out):
    """Weights of the four coefficients around a point that lies `fraction` behind the second."""
    rest = 1 - fraction
    out[0] = rest * rest * rest / 6
    out[3] = fraction * fraction * fraction / 6
    out[1] = 2 / out.dtype.type(3.0) - fraction * fraction * (1 - fraction / 2)
    out[2] = 1 - out[0] - out[1] - out[3]


@lean_kernel
def _moved_window(coefficients, y, x, weights, rows, out):
    """Spline values (size, size) of a window whose first pixel lies behind (y, x) by the fractions of the weights."""
    size = rows.shape[1]
    w0, w1, w2, w3 = weights[1, 0], weights[1, 1], weights[1, 2], weights[1, 3]
    for i in range(size + 3):
        source = coefficients[y - 1 + i, x - 1 : x + size + 2]
        line = rows[i]
        for j in range(size):
            line[j] = w0 * source[j] + w1 * source[j + 1] + w2 * source[j + 2] + w3 * source[j + 3]
    w0, w1, w2, w3 = weights[0, 0], weights[0, 1], weights[0, 2], weights[0, 3]
    line = out.reshape(-1)
    r0, r1, r2, r3 = rows[:-3].reshape(-1), rows[1:-2].reshape(-1), rows[2:-1].reshape(-1), rows[3:].reshape(-1)
    for k in range(line.size):
        line[k] = w0 * r0[k] + w1 * r1[k] + w2 * r2[k] + w3 * r3[k]


@lean_kernel
def _sums(template, window, out):
    """Sums of a moved window: itself, its square, and its products with template and slopes."""
    weight, values = template.weight.reshape(-1), template.values.reshape(-1)
    slope_x, slope_y = template.slope_x.reshape(-1), template.slope_y.reshape(-1)
    window = window.reshape(-1)
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


@lean_kernel
def _cut(image, weight, y, x, out):
    """Window of an image, zero where it has no weight."""
    size = out.shape[0]
    for i in range(size):
        line, share, source = out[i], weight[i], image[y + i, x : x + size]
        for j in range(size):
            line[j] = share[j] * source[j]


@lean_kernel
def common_pixels(valid, y, x, shift_y, shift_x, out):
    """Weight of the pixels of a template: 1 where both images are valid at this shift, else 0; return their number."""
    size = out.shape[0]
    count = 0
    for i in range(size):
        for j in range(size):
            both = valid[0, y + i, x + j] & valid[1, y + i + shift_y, x + j + shift_x]
            out[i, j] = both
            count += 1 if both else 0
    return count


class Template(NamedTuple):
    """Working space of one window of the reference, (size, size) each; zero where a pixel has no weight."""

    weight: np.ndarray  # 0 or 1
    inner: np.ndarray  # (size - 4, size): 1 where a five-point derivative stays inside the window
    values: np.ndarray  # without their mean, as the slopes
    slope_x: np.ndarray
    slope_y: np.ndarray
    sums: np.ndarray  # (6,): squared values, values times slopes along x and y, products of the slopes xx, xy, yy


class Moved(NamedTuple):
    """Working space of the window of the secondary."""

    values: np.ndarray  # (size, size)
    rows: np.ndarray  # (size + 3, size)
    weights: np.ndarray  # (2, 4) of the spline along y and x
    sums: np.ndarray  # (5,)


@hot_kernel
def refine(image, slopes, noise_gain, coefficients, valid, nodes, peaks, wanted, out, flags, form=ICGN, locking=0.0):
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
    size = nodes.template
    one = image.dtype.type(1.0)
    template = new_template(size, one)
    moved = Moved(
        np.empty((size, size), image.dtype), np.empty((size + 3, size), image.dtype), np.empty((2, 4), image.dtype),
        np.empty(5, image.dtype),
    )  # fmt: skip
    noise, weak, match = np.empty(3, image.dtype), np.empty(3, image.dtype), np.empty(6, image.dtype)
    for row in range(nodes.rows):
        for column in range(nodes.columns):
            if wanted[row, column] == 0:
                continue
            peak = peaks[row, column]
            out[row, column] = np.nan
            out[row, column, 2] = peak[2]
            if flags[row, column] != 0:
                continue
            y = nodes.top + row * nodes.step
            x = nodes.left + column * nodes.step
            count = one * size * size
            if valid.size > 0:
                count = one * common_pixels(valid, y, x, int(peak[0]), int(peak[1]), template.weight)
            cut_template(image, slopes, y, x, count, template)
            verdict = judge_slopes(template.sums)
            if verdict == 0:
                if form == ICGN:
                    verdict = _gauss_newton(coefficients, y, x, peak, count, template, moved, match)
                else:
                    verdict = _at_vertex(coefficients, y, x, peak, form, count, template, moved, match)
            flags[row, column] |= verdict
            if verdict == 0:
                agreement = _agreement(template, moved, match[3])
                weakest_hold(template, moved, match[3], agreement, weak)
                coloured_products(slopes, template.weight, y, x, noise)
                residual_products(template, moved, count, match[3], noise_gain, noise)
                covariance(template.sums, noise, agreement, match)
                loosen(weak, match)
                match[3] += locking * locking
                match[4] += locking * locking
                out[row, column] = match


@hot_kernel
def new_template(size, one):
    """Working space in the type of `one`, every pixel with weight 1."""
    values = np.ones((4, size, size), np.asarray(one).dtype)
    inner = np.zeros((max(size - 4, 0), size), values.dtype)
    inner[:, 2 : size - 2] = 1
    return Template(values[0], inner, values[1], values[2], values[3], np.empty(6, values.dtype))


@lean_kernel
def cut_template(image, slopes, y, x, count, out):
    """Fill `out`, whose weights are set, with the window at (y, x)."""
    _cut(image, out.weight, y, x, out.values)
    _cut(slopes[0], out.weight, y, x, out.slope_x)
    _cut(slopes[1], out.weight, y, x, out.slope_y)
    weight, values = out.weight.reshape(-1), out.values.reshape(-1)
    slope_x, slope_y = out.slope_x.reshape(-1), out.slope_y.reshape(-1)
    zero = image.dtype.type(0.0)
    mean, mean_x, mean_y = zero, zero, zero
    for k in range(values.size):
        mean += values[k]
        mean_x += slope_x[k]
        mean_y += slope_y[k]
    mean, mean_x, mean_y = mean / count, mean_x / count, mean_y / count
    square, along_x, along_y, xx, xy, yy = zero, zero, zero, zero, zero, zero
    for k in range(values.size):
        value = values[k] - weight[k] * mean
        step_x = slope_x[k] - weight[k] * mean_x
        step_y = slope_y[k] - weight[k] * mean_y
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
def _compare(coefficients, y, x, shift, template, moved):
    """Move the window of the secondary by shift = (x, y) and sum it against the template."""
    left = int(np.floor(shift[0]))
    top = int(np.floor(shift[1]))
    spline_weights(shift[1] - top, moved.weights[0])
    spline_weights(shift[0] - left, moved.weights[1])
    _moved_window(coefficients, y + top, x + left, moved.weights, moved.rows, moved.values)
    _sums(template, moved.values, moved.sums)


@lean_kernel
def _gauss_newton(coefficients, y, x, peak, count, template, moved, out):
    """Match one template: out = shift along x and y, score, and the gain from the moved window's contrast to its own.

    Noise in the slopes of the template makes every step too short. Broyden's update of the Jacobian (Broyden 1965,
    Math. Comput. 19, 577-593) learns from each step by how much, and in which direction. Returns the bits against the
    match, 0 if there are none.
    """
    energy = template.sums[0]
    xx, xy, yx, yy = template.sums[3], template.sums[4], template.sums[4], template.sums[5]
    least = (xx * yy - xy * yx) / (LARGEST_STRETCH * LARGEST_STRETCH)
    shift = out[:2]
    # the quadric through the scores saves a step or two; the end does not depend on it
    if not quadric(peak[4:], shift):
        shift[:] = 0
    shift[0] += peak[1]
    shift[1] += peak[0]
    zero = energy - energy
    step_x, step_y, last_x, last_y, rest = zero, zero, zero, zero, zero
    for iteration in range(ITERATIONS):
        _compare(coefficients, y, x, shift, template, moved)
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
def _at_vertex(coefficients, y, x, peak, form, count, template, moved, out):
    """Take the closed form of the peak: `out` and result as of `_gauss_newton`."""
    shift = out[:2]
    if not vertex(peak[4:], form, shift):
        return bits.REFINE_FAILED
    shift[0] += peak[1]
    shift[1] += peak[0]
    energy = template.sums[0]
    _compare(coefficients, y, x, shift, template, moved)
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


@lean_kernel
def _agreement(template, moved, gain):
    """Share of the template's slopes that the moved window repeats, the rest being noise of the template.

    Noise steepens the slopes of the template and with them the Hessian, but gives no hold on the shift.
    """
    size = moved.rows.shape[1]
    if size < 5:
        return template.inner.dtype.type(LEAST_AGREEMENT)
    inner = template.inner.reshape(-1)
    slope_x, slope_y = template.slope_x[2 : size - 2].reshape(-1), template.slope_y[2 : size - 2].reshape(-1)
    line = moved.values.reshape(-1)[2 * size - 2 : (size - 2) * size + 2]
    above2, above1 = moved.values[: size - 4].reshape(-1), moved.values[1 : size - 3].reshape(-1)
    below1, below2 = moved.values[3 : size - 1].reshape(-1), moved.values[4:].reshape(-1)
    near = inner.dtype.type(2.0 / 3.0)
    far = inner.dtype.type(1.0 / 12.0)
    common = inner.dtype.type(0.0)
    own = inner.dtype.type(0.0)
    for k in range(inner.size):
        along_x = near * (line[k + 3] - line[k + 1]) - far * (line[k + 4] - line[k])
        along_y = near * (below1[k] - above1[k]) - far * (below2[k] - above2[k])
        common += inner[k] * (slope_x[k] * along_x + slope_y[k] * along_y)
        own += inner[k] * (slope_x[k] * slope_x[k] + slope_y[k] * slope_y[k])
    return min(max(gain * common / max(own, inner.dtype.type(1e-30)), inner.dtype.type(LEAST_AGREEMENT)), 1)


@lean_kernel
def coloured_products(slopes, weight, y, x, out):
    """Sums xx, xy, yy of the products of the twice filtered slopes."""
    size = weight.shape[0]
    zero = weight.dtype.type(0.0)
    xx, xy, yy = zero, zero, zero
    for i in range(size):
        first, second, share = slopes[2, y + i, x : x + size], slopes[3, y + i, x : x + size], weight[i]
        for j in range(size):
            along_x, along_y = share[j] * first[j], share[j] * second[j]
            xx += along_x * along_x
            xy += along_x * along_y
            yy += along_y * along_y
    out[0], out[1], out[2] = xx, xy, yy


@lean_kernel
def residual_products(template, moved, count, gain, noise_gain, noise):
    """Variance xx, xy, yy of the sums of slope times residual, into `noise`.

    From the scatter of these sums over blocks of pixels, which asks nothing of the colour of the residual. `noise`
    comes with the coloured products, which stand for some more blocks. The residual replaces the moved window.
    """
    size = template.weight.shape[0]
    blocks = max(size // BLOCK, 1)
    zero = noise.dtype.type(0.0)
    mean = moved.sums[0] / count
    line, weight, values = moved.values.reshape(-1), template.weight.reshape(-1), template.values.reshape(-1)
    square = zero
    for k in range(line.size):
        residual = gain * weight[k] * (line[k] - mean) - values[k]
        line[k] = residual
        square += residual * residual
    column_x, column_y = moved.rows[0], moved.rows[1]
    xx, xy, yy = zero, zero, zero
    for row in range(blocks):
        column_x[:] = 0
        column_y[:] = 0
        for i in range(row * size // blocks, (row + 1) * size // blocks):
            source, slope_x, slope_y = moved.values[i], template.slope_x[i], template.slope_y[i]
            for j in range(size):
                column_x[j] += slope_x[j] * source[j]
                column_y[j] += slope_y[j] * source[j]
        first = 0
        for column in range(blocks):
            last = (column + 1) * size // blocks
            sum_x, sum_y = zero, zero
            for j in range(first, last):
                sum_x += column_x[j]
                sum_y += column_y[j]
            first = last
            xx += sum_x * sum_x
            xy += sum_x * sum_y
            yy += sum_y * sum_y
    number = blocks * blocks
    # the shift has made their sum zero
    of_blocks = noise.dtype.type(BLOCK_GAIN) * number / max(number - 1, 1) * number / (number + PRIOR_BLOCKS)
    of_white = square / max(count - 3, 1) / noise_gain * PRIOR_BLOCKS / (number + PRIOR_BLOCKS)
    noise[0] = of_blocks * xx + of_white * noise[0]
    noise[1] = of_blocks * xy + of_white * noise[1]
    noise[2] = of_blocks * yy + of_white * noise[2]


@lean_kernel
def covariance(sums, noise, agreement, out):
    """Covariance H⁻¹ J H⁻¹ / agreement² of a match into out[3:6], with H of the template's sums and J in `noise`."""
    xx, xy, yy = sums[3], sums[4], sums[5]
    a, b, c = noise[0], noise[1], noise[2]
    determinant = (xx * yy - xy * xy) * agreement
    scale = 1 / (determinant * determinant)
    add_bias((xx + yy) * agreement, sums[0], out)
    out[3] += scale * (yy * yy * a - 2 * yy * xy * b + xy * xy * c)
    out[4] += scale * (xy * xy * a - 2 * xx * xy * b + xx * xx * c)
    out[5] = scale * (-xy * yy * a + (xx * yy + xy * xy) * b - xx * xy * c)


@lean_kernel
def add_bias(steepness, energy, match):
    """Set the variances match[3:5] to the squared biases that windows of any size keep.

    `steepness`: squared slopes that both images share; `energy`: squared values of the template.
    """
    common = energy * max(match[2], match.dtype.type(LEAST_AGREEMENT))
    amplitude = _aliasing(steepness / common)
    least = match.dtype.type(LEAST_SIGMA * LEAST_SIGMA)
    for k in range(2):
        bias = amplitude * np.sin(match.dtype.type(2 * np.pi) * match[k])
        match[3 + k] = least + bias * bias


@lean_kernel
def _aliasing(band):
    """Amplitude in px of the bias by aliased detail; `band`: squared slopes over squared values that both images share.

    Scenes of amplitude spectrum 1/frequency^b, averaged over square pixels: at b = 0, 0.7, 1.3, 2 the band is 1.4, 1.0,
    0.65, 0.33 rad² px⁻² and the bias 0.026, 0.003, 0.001, 0.001 px.
    """
    share = min(band, LARGEST_BAND) / ALIASING_BAND
    return ALIASING * share**6
