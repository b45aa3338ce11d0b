"""Image filters that never let an invalid pixel take part, and cubic spline coefficients."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel

# Share of a low-pass's weight that must fall on valid pixels. Next to a hole the mean of one side stands for that of
# both and draws a pattern along the rim that does not move with the ground: with a share of a half, windows that a
# straight rim crosses are 0.4 px off, with this one 0.01 px.
LEAST_WEIGHT = 0.8


def gaussian_taps(sigma: float, dtype: np.dtype) -> np.ndarray:
    """Samples of a Gaussian out to 4 sigma, normalised to a sum of 1."""
    radius = int(4.0 * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(taps / taps.sum(), dtype=dtype)


@hot_kernel
def smooth(image, taps, rows, out):
    """Separable convolution with symmetric `taps`; the image is zero beyond its edges. `rows` is scratch like `out`."""
    height, width = image.shape
    radius = taps.size // 2
    for y in range(height):
        line = rows[y]
        line[:] = 0
        for k in range(max(-radius, -y), min(radius + 1, height - y)):
            tap = taps[k + radius]
            source = image[y + k]
            for x in range(width):
                line[x] += tap * source[x]
    for y in range(height):
        line = out[y]
        line[:] = 0
        for k in range(max(-radius, 1 - width), min(radius + 1, width)):
            tap = taps[k + radius]
            first = max(0, -k)
            last = min(width, width - k)
            source = rows[y, first + k : last + k]
            target = line[first:last]
            for x in range(last - first):
                target[x] += tap * source[x]


@hot_kernel
def band(low, low_weight, high, high_weight, out):
    """Band-pass as the difference of two normalised low-passes.

    `low`, `high` are smoothed images that are zero where invalid, the weights the equally smoothed masks. Beyond the
    valid pixels the smooth continuation is kept as long as it has some support, for splines to rest on.
    """
    height, width = low.shape
    tiny = low_weight.dtype.type(1e-3)
    for y in range(height):
        for x in range(width):
            if low_weight[y, x] > tiny and high_weight[y, x] > tiny:
                out[y, x] = low[y, x] / low_weight[y, x] - high[y, x] / high_weight[y, x]
            else:
                out[y, x] = 0


@hot_kernel
def spline_coefficients(image, out):
    """Coefficients of the cubic B-spline through the pixels, mirrored at the edges.

    Recursive filter along columns, then rows, with pole sqrt(3) - 2 (Unser et al. 1993, IEEE Trans. Signal Process.
    41, 834-848).
    """
    height, width = image.shape
    pole = image.dtype.type(np.sqrt(3.0) - 2.0)
    six = image.dtype.type(6.0)
    end = pole / (pole * pole - image.dtype.type(1.0))
    reach = min(height, 24)
    for x in range(width):
        out[0, x] = 0
    power = six
    for y in range(reach):
        for x in range(width):
            out[0, x] += power * image[y, x]
        power *= pole
    for y in range(1, height):
        for x in range(width):
            out[y, x] = six * image[y, x] + pole * out[y - 1, x]
    if height > 1:
        for x in range(width):
            out[height - 1, x] = end * (out[height - 1, x] + pole * out[height - 2, x])
    for y in range(height - 2, -1, -1):
        for x in range(width):
            out[y, x] = pole * (out[y + 1, x] - out[y, x])
    reach = min(width, 24)
    for y in range(height):
        line = out[y]
        start = image.dtype.type(0.0)
        power = six
        for x in range(reach):
            start += power * line[x]
            power *= pole
        line[0] = start
        for x in range(1, width):
            line[x] = six * line[x] + pole * line[x - 1]
        if width > 1:
            line[width - 1] = end * (line[width - 1] + pole * line[width - 2])
        for x in range(width - 2, -1, -1):
            line[x] = pole * (line[x + 1] - line[x])


@hot_kernel
def erode(mask, out):
    """Keep a pixel of a uint8 mask whose eight neighbours inside the image are set too."""
    height, width = mask.shape
    for y in range(height):
        for x in range(width):
            keep = mask[y, x]
            for i in range(max(y - 1, 0), min(y + 2, height)):
                for j in range(max(x - 1, 0), min(x + 2, width)):
                    keep &= mask[i, j]
            out[y, x] = keep
