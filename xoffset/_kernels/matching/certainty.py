"""Standard errors of shifts: from the noise that the residual of a match shows, and from what biases any match."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import lean_kernel
from xoffset._kernels.matching.ridges import LEAST_AGREEMENT
from xoffset._kernels.matching.templates import BLOCK

# Least standard error, px: the bias that interpolating pixels leaves in the best of cases.
LEAST_SIGMA = 1.3e-3
# A at ALIASING_BAND, px. Aliased detail biases the shift by -A·sin(2π·shift) in windows of any size, see `_aliasing`.
ALIASING = 0.026
# Mean squared slope over mean squared value of images of white ground, rad² px⁻²; A grows with its sixth power.
ALIASING_BAND = 1.4
# Band at which A stops growing, rad² px⁻²: little beyond that of white ground, and A is not measured farther.
LARGEST_BAND = 1.55
# Factor on the variance of sums over blocks: band-passed noise does correlate across their edges.
BLOCK_GAIN = 1.2
# Weight, in blocks, of the covariance that filtered white noise would have: small windows have few blocks of their own.
PRIOR_BLOCKS = 2


@lean_kernel
def agreement(template, moved, gain):
    """Share of the template's slopes that the moved window repeats, the rest being noise of the template.

    Noise steepens the slopes of the template and with them the Hessian, but gives no hold on the shift.
    """
    zero, one, least = moved.dtype.type(0.0), moved.dtype.type(1.0), moved.dtype.type(LEAST_AGREEMENT)
    size, pitch = template.size, template.pitch
    if size < 5:
        return least
    inner, slope_x, slope_y = template.inner[2 * pitch :], template.slope_x[2 * pitch :], template.slope_y[2 * pitch :]
    left2, left1, right1, right2 = (
        moved[2 * pitch - 2 :], moved[2 * pitch - 1 :], moved[2 * pitch + 1 :], moved[2 * pitch + 2 :],
    )  # fmt: skip
    above1, below1, below2 = moved[pitch:], moved[3 * pitch :], moved[4 * pitch :]
    near, far = moved.dtype.type(2.0 / 3.0), moved.dtype.type(1.0 / 12.0)
    common, own = zero, zero
    for k in range((size - 4) * pitch - 2):
        along_x = near * (right1[k] - left1[k]) - far * (right2[k] - left2[k])
        along_y = near * (below1[k] - above1[k]) - far * (below2[k] - moved[k])
        common += inner[k] * (slope_x[k] * along_x + slope_y[k] * along_y)
        own += inner[k] * (slope_x[k] * slope_x[k] + slope_y[k] * slope_y[k])
    return min(max(gain * common / max(own, moved.dtype.type(1e-30)), least), one)


@lean_kernel
def coloured_products(slopes, weight, size, pitch, y, x, out):
    """Sums xx, xy, yy of the products of the twice filtered slopes."""
    zero = weight.dtype.type(0.0)
    xx, xy, yy = zero, zero, zero
    for i in range(size):
        first, second, share = slopes[2, y + i, x:], slopes[3, y + i, x:], weight[i * pitch :]
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
    comes with the coloured products, which stand for some more blocks. The products with the residual replace the
    slopes of the template.
    """
    blocks = max(template.size // BLOCK, 1)
    square = _slopes_times_residual(template, moved, count, gain)
    scatter = moved.sums[:3]
    if blocks == 1:
        _square_whole(template, scatter)
    elif template.size == BLOCK * blocks:
        _square_fours(template, moved.rows, moved.values, scatter)
    else:
        _square_blocks(template, blocks, moved.rows, scatter)
    number = blocks * blocks
    # the shift has made their sum zero
    of_blocks = noise.dtype.type(BLOCK_GAIN) * number / max(number - 1, 1) * number / (number + PRIOR_BLOCKS)
    of_white = square / max(count - 3, 1) / noise_gain * PRIOR_BLOCKS / (number + PRIOR_BLOCKS)
    for k in range(3):
        noise[k] = of_blocks * scatter[k] + of_white * noise[k]


@lean_kernel
def _slopes_times_residual(template, moved, count, gain):
    """Multiply the slopes of a template by the residual; return the sum of its squares."""
    line, weight, values = moved.values, template.weight, template.values
    slope_x, slope_y = template.slope_x, template.slope_y
    mean = moved.sums[0] / count
    square = line.dtype.type(0.0)
    for k in range(line.size):
        residual = gain * weight[k] * (line[k] - mean) - values[k]
        slope_x[k] *= residual
        slope_y[k] *= residual
        square += residual * residual
    return square


@lean_kernel
def _square_whole(template, out):
    """Products xx, xy, yy of the sums over a whole window of two lines that are in place of the slopes."""
    sum_x, sum_y = out.dtype.type(0.0), out.dtype.type(0.0)
    for k in range(template.slope_x.size):
        sum_x += template.slope_x[k]
        sum_y += template.slope_y[k]
    out[0], out[1], out[2] = sum_x * sum_x, sum_x * sum_y, sum_y * sum_y


@lean_kernel
def _square_fours(template, along_x, along_y, out):
    """As `_square_blocks` where all blocks have BLOCK rows and columns; both lines (line,) are scratch.

    Sums of squares of pixels at any place are more than is needed, but vectors make them all at once.
    """
    size, pitch, corner = template.size, template.pitch, template.corner
    count = (size - BLOCK + 1) * pitch
    _sum_rows(template.slope_x, BLOCK, count, pitch, along_x)
    _sum_rows(template.slope_y, BLOCK, count, pitch, along_y)
    x1, x2, x3 = along_x[1:], along_x[2:], along_x[3:]
    y1, y2, y3 = along_y[1:], along_y[2:], along_y[3:]
    zero = out.dtype.type(0.0)
    xx, xy, yy = zero, zero, zero
    for k in range(count - BLOCK + 1):
        sum_x = corner[k] * ((along_x[k] + x1[k]) + (x2[k] + x3[k]))
        sum_y = corner[k] * ((along_y[k] + y1[k]) + (y2[k] + y3[k]))
        xx += sum_x * sum_x
        xy += sum_x * sum_y
        yy += sum_y * sum_y
    out[0], out[1], out[2] = xx, xy, yy


@lean_kernel
def _square_blocks(template, blocks, scratch, out):
    """As `_square_whole`, sums over the blocks of the products of their own sums."""
    size, pitch = template.size, template.pitch
    along_x, along_y = scratch, scratch[pitch:]
    zero = out.dtype.type(0.0)
    xx, xy, yy = zero, zero, zero
    for row in range(blocks):
        first, last = row * size // blocks, (row + 1) * size // blocks
        _sum_rows(template.slope_x[first * pitch :], last - first, size, pitch, along_x)
        _sum_rows(template.slope_y[first * pitch :], last - first, size, pitch, along_y)
        for column in range(blocks):
            sum_x, sum_y = zero, zero
            for j in range(column * size // blocks, (column + 1) * size // blocks):
                sum_x += along_x[j]
                sum_y += along_y[j]
            xx += sum_x * sum_x
            xy += sum_x * sum_y
            yy += sum_y * sum_y
    out[0], out[1], out[2] = xx, xy, yy


@lean_kernel
def _sum_rows(line, rows, size, pitch, out):
    """Sums over rows, which are at least BLOCK, by column; of `size` columns."""
    second, third, fourth = line[pitch:], line[2 * pitch :], line[3 * pitch :]
    for j in range(size):
        out[j] = (line[j] + second[j]) + (third[j] + fourth[j])
    for i in range(BLOCK, rows):
        more = line[i * pitch :]
        for j in range(size):
            out[j] += more[j]


@lean_kernel
def covariance(sums, noise, share, out):
    """Covariance H⁻¹ J H⁻¹ / share² into out[3:6]: H of the template's sums, J in `noise`, share of `agreement`."""
    xx, xy, yy = sums[3], sums[4], sums[5]
    a, b, c = noise[0], noise[1], noise[2]
    determinant = (xx * yy - xy * xy) * share
    scale = 1 / (determinant * determinant)
    add_bias((xx + yy) * share, sums[0], out)
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
