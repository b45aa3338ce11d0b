"""Sub-pixel matching by inverse-compositional Gauss-Newton on the template.

For a pure shift the cubic spline that interpolates the secondary image is a separable four-tap filter, the same for
all pixels of the template (Baker & Matthews 2004, Int. J. Comput. Vis. 56, 221-255, for the inverse composition).
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels import bits
from xoffset._kernels._jit import hot_kernel

ITERATIONS = 30
TOLERANCE = 5e-4  # px
LARGEST_CONDITION = 1e3
# Bias that the interpolation of aliased pixels leaves in the best of cases, px: no match is more certain than this.
LEAST_SIGMA = 2e-3
# A small window tells the agreement of the slopes badly: never inflate sigma more than ten times for it.
LEAST_AGREEMENT = 0.1
LEAST_HOLD = 0.25
# Smaller windows have too few inner pixels to tell their agreement from its noise.
LEAST_TEMPLATE_TO_HOLD = 12
SCORE_TOLERANCE = 1e-5


@hot_kernel
def _spline_weights(fraction, out):
    """Weights of the four coefficients around a point that lies `fraction` behind the second."""
    rest = 1 - fraction
    out[0] = rest * rest * rest / 6
    out[3] = fraction * fraction * fraction / 6
    out[1] = 2 / out.dtype.type(3.0) - fraction * fraction * (1 - fraction / 2)
    out[2] = 1 - out[0] - out[1] - out[3]


@hot_kernel
def _shifted_window(coefficients, y, x, size, weights_y, weights_x, rows, out):
    """Spline values of a size·size window whose first pixel lies behind (y, x) by the fractions of the weights."""
    for i in range(size + 3):
        source = coefficients[y - 1 + i, x - 1 : x + size + 2]
        line = rows[i]
        w0, w1, w2, w3 = weights_x[0], weights_x[1], weights_x[2], weights_x[3]
        for j in range(size):
            line[j] = w0 * source[j] + w1 * source[j + 1] + w2 * source[j + 2] + w3 * source[j + 3]
    w0, w1, w2, w3 = weights_y[0], weights_y[1], weights_y[2], weights_y[3]
    for i in range(size):
        line = out[i]
        r0, r1, r2, r3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        for j in range(size):
            line[j] = w0 * r0[j] + w1 * r1[j] + w2 * r2[j] + w3 * r3[j]


@hot_kernel
def _centre(weight, total, values):
    """Remove the weighted mean and clear what has no weight; return the remaining sum of squares."""
    size = values.shape[0]
    mean = values.dtype.type(0.0)
    for i in range(size):
        for j in range(size):
            mean += weight[i, j] * values[i, j]
    mean /= total
    square = values.dtype.type(0.0)
    for i in range(size):
        for j in range(size):
            value = weight[i, j] * (values[i, j] - mean)
            values[i, j] = value
            square += value * value
    return square


@hot_kernel
def slopes(image, along_x, along_y):
    """Derivatives by five-point central differences; zero within two pixels of the edge."""
    height, width = image.shape
    near = image.dtype.type(2.0 / 3.0)
    far = image.dtype.type(1.0 / 12.0)
    along_x[:] = 0
    along_y[:] = 0
    for y in range(2, height - 2):
        line = image[y]
        for x in range(2, width - 2):
            along_x[y, x] = near * (line[x + 1] - line[x - 1]) - far * (line[x + 2] - line[x - 2])
        above2, above1, below1, below2 = image[y - 2], image[y - 1], image[y + 1], image[y + 2]
        for x in range(2, width - 2):
            along_y[y, x] = near * (below1[x] - above1[x]) - far * (below2[x] - above2[x])


@hot_kernel
def _sums(weight, window, template, slope_x, slope_y, out):
    """Sums of a shifted window: itself, its square, and its products with template and slopes."""
    size = window.shape[0]
    zero = window.dtype.type(0.0)
    total, square, match, along_x, along_y = zero, zero, zero, zero, zero
    for i in range(size):
        for j in range(size):
            value = window[i, j]
            weighted = weight[i, j] * value
            total += weighted
            square += weighted * value
            match += value * template[i, j]
            along_x += value * slope_x[i, j]
            along_y += value * slope_y[i, j]
    out[0], out[1], out[2], out[3], out[4] = total, square, match, along_x, along_y


@hot_kernel
def refine(image, slopes, noise_gain, coefficients, valid, nodes, peaks, out, flags):
    """Refine the integer shifts of every template to a fraction of a pixel.

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
        As in `zncc.search`.
    peaks
        (rows, columns, 4) result of `zncc.search`.
    out
        (rows, columns, 6): shift along x and y in pixels, score, variance along x and y, covariance in px². Where the
        match fails all are NaN but the score, which is then the one of the integer peak.
    flags
        (rows, columns) int32: nodes with a bit set are passed over; bits against the match are added.
    """
    size = nodes.template
    weight = np.ones((size, size), image.dtype)
    template = np.empty_like(weight)
    slope_x = np.empty_like(weight)
    slope_y = np.empty_like(weight)
    scratch = (weight, template, slope_x, slope_y, np.empty_like(weight))
    rows = np.empty((size + 3, size), image.dtype)
    match = np.empty(6, image.dtype)
    normal = np.empty(6, image.dtype)
    for row in range(nodes.rows):
        for column in range(nodes.columns):
            out[row, column] = np.nan
            out[row, column, 2] = peaks[row, column, 2]
            if flags[row, column] != 0:
                continue
            y = nodes.top + row * nodes.step
            x = nodes.left + column * nodes.step
            shift_y = int(peaks[row, column, 0])
            shift_x = int(peaks[row, column, 1])
            count = size * size
            if valid.size > 0:
                count = 0
                for i in range(size):
                    for j in range(size):
                        both = valid[0, y + i, x + j] & valid[1, y + i + shift_y, x + j + shift_x]
                        weight[i, j] = both
                        count += both
            template[:] = image[y : y + size, x : x + size]
            slope_x[:] = slopes[0, y : y + size, x : x + size]
            slope_y[:] = slopes[1, y : y + size, x : x + size]
            verdict = _normal_equations(slopes, y, x, image.dtype.type(count), scratch, normal)
            if verdict == 0:
                verdict = _gauss_newton(
                    coefficients, y, x, shift_y, shift_x, image.dtype.type(count), scratch, rows, normal, match
                )
            flags[row, column] |= verdict
            if verdict == 0:
                _covariance(normal, match[3] / noise_gain, match)
                out[row, column] = match


@hot_kernel
def _normal_equations(slopes, y, x, count, scratch, out):
    """Centre template and slopes; out = their Hessian (xx, xy, yy), then that of the twice filtered slopes.

    Returns the bits against the template, 0 if its shift can be told in both directions.
    """
    weight, template, slope_x, slope_y, _ = scratch
    size = template.shape[0]
    _centre(weight, count, template)
    xx = _centre(weight, count, slope_x)
    yy = _centre(weight, count, slope_y)
    xy = template.dtype.type(0.0)
    noise_xx = template.dtype.type(0.0)
    noise_xy = template.dtype.type(0.0)
    noise_yy = template.dtype.type(0.0)
    for i in range(size):
        first, second = slopes[2, y + i, x : x + size], slopes[3, y + i, x : x + size]
        for j in range(size):
            xy += slope_x[i, j] * slope_y[i, j]
            noise_xx += weight[i, j] * first[j] * first[j]
            noise_xy += weight[i, j] * first[j] * second[j]
            noise_yy += weight[i, j] * second[j] * second[j]
    out[0], out[1], out[2] = xx, xy, yy
    out[3], out[4], out[5] = noise_xx, noise_xy, noise_yy
    determinant = xx * yy - xy * xy
    trace = xx + yy
    # eigenvalues a >= b: a/b <= limit is the same as trace²/determinant <= (limit + 1)²/limit
    if determinant * (LARGEST_CONDITION + 1.0) ** 2 > trace * trace * LARGEST_CONDITION:
        return 0
    return bits.ILL_CONDITIONED


@hot_kernel
def _gauss_newton(coefficients, y, x, shift_y, shift_x, count, scratch, rows, normal, out):
    """Match one template: out = shift along x and y, score, residual variance over squared agreement of the slopes.

    Returns the bits against the match, 0 if there are none.
    """
    weight, template, slope_x, slope_y, window = scratch
    size = template.shape[0]
    weights_y = np.empty(4, template.dtype)
    weights_x = np.empty(4, template.dtype)
    sums = np.empty(5, template.dtype)
    _sums(weight, template, template, slope_x, slope_y, sums)
    energy, own_x, own_y = sums[2], sums[3], sums[4]
    xx, xy, yy = normal[0], normal[1], normal[2]
    determinant = xx * yy - xy * xy
    u = template.dtype.type(shift_x)
    v = template.dtype.type(shift_y)
    first_score = template.dtype.type(0.0)
    hold = template.dtype.type(1.0)
    for iteration in range(ITERATIONS):
        left = int(np.floor(u))
        top = int(np.floor(v))
        _spline_weights(u - left, weights_x)
        _spline_weights(v - top, weights_y)
        _shifted_window(coefficients, y + top, x + left, size, weights_y, weights_x, rows, window)
        _sums(weight, window, template, slope_x, slope_y, sums)
        spread = sums[1] - sums[0] * sums[0] / count
        if not spread > 0:
            return bits.REFINE_FAILED
        gain = np.sqrt(energy / spread)
        score = gain * sums[2] / energy
        if iteration == 0:
            first_score = score
            # noise in the slopes makes every step too short: what the two images share tells by how much
            if size >= LEAST_TEMPLATE_TO_HOLD:
                hold = max(_agreement(scratch, gain), LEAST_HOLD)
        error_x = gain * sums[3] - own_x
        error_y = gain * sums[4] - own_y
        step_x = (yy * error_x - xy * error_y) / (determinant * hold)
        step_y = (xx * error_y - xy * error_x) / (determinant * hold)
        u -= step_x
        v -= step_y
        if not (abs(u - shift_x) <= 1 and abs(v - shift_y) <= 1):
            return bits.REFINE_FAILED
        if abs(step_x) < TOLERANCE and abs(step_y) < TOLERANCE:
            if score < first_score - SCORE_TOLERANCE:
                return bits.REFINE_FAILED
            agreement = _agreement(scratch, gain)
            residual = 2 * energy * max(1 - score, 0) / max(count - 3, 1)
            out[0] = u
            out[1] = v
            out[2] = min(score, 1)
            out[3] = residual / (agreement * agreement)
            return 0
    return bits.REFINE_FAILED


@hot_kernel
def _agreement(scratch, gain):
    """Share of the template's slopes that the matched window repeats, the rest being noise of the template.

    Noise steepens the slopes of the template and with them the Hessian, but gives no hold on the shift.
    """
    _, _, slope_x, slope_y, window = scratch
    size = window.shape[0]
    near = window.dtype.type(2.0 / 3.0)
    far = window.dtype.type(1.0 / 12.0)
    common = window.dtype.type(0.0)
    own = window.dtype.type(0.0)
    for i in range(2, size - 2):
        line = window[i]
        above2, above1, below1, below2 = window[i - 2], window[i - 1], window[i + 1], window[i + 2]
        for j in range(2, size - 2):
            along_x = near * (line[j + 1] - line[j - 1]) - far * (line[j + 2] - line[j - 2])
            along_y = near * (below1[j] - above1[j]) - far * (below2[j] - above2[j])
            common += slope_x[i, j] * along_x + slope_y[i, j] * along_y
            own += slope_x[i, j] * slope_x[i, j] + slope_y[i, j] * slope_y[i, j]
    return min(max(gain * common / max(own, window.dtype.type(1e-30)), LEAST_AGREEMENT), 1)


@hot_kernel
def _covariance(normal, variance, out):
    """Covariance H⁻¹ J H⁻¹ · variance into out[3:6], with H and J the two Hessians of `normal`."""
    xx, xy, yy = normal[0], normal[1], normal[2]
    a, b, c = normal[3], normal[4], normal[5]
    determinant = xx * yy - xy * xy
    scale = variance / (determinant * determinant)
    out[3] = scale * (yy * yy * a - 2 * yy * xy * b + xy * xy * c) + LEAST_SIGMA**2
    out[4] = scale * (xy * xy * a - 2 * xx * xy * b + xx * xx * c) + LEAST_SIGMA**2
    out[5] = scale * (-xy * yy * a + (xx * yy + xy * xy) * b - xx * xy * c)
