"""Image filters that never let an invalid pixel take part, and cubic spline coefficients."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel

# A pixel is fit to be matched if half of the weight of the fine low-pass falls on known pixels, and if what the coarse
# one knows is not too lopsided: next to a rim even a plane leaves a pattern that stays while the ground moves.
LEAST_WEIGHT = 0.5
LARGEST_OFFSET = 0.35  # of the centroid of the known pixels from the middle, in widths of the filter
# Determinant of the moments below which a plane is not told from its level.
LEAST_DETERMINANT = 1e-3


def gaussian_taps(sigma: float, dtype: np.dtype) -> np.ndarray:
    """Samples of a Gaussian out to 4 sigma, normalised to a sum of 1."""
    radius = int(4.0 * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(taps / taps.sum(), dtype=dtype)


@hot_kernel
def smooth(image, taps_y, taps_x, rows, out):
    """Separable correlation; the image is zero beyond its edges. `rows` is scratch like `out`."""
    height, width = image.shape
    radius = taps_y.size // 2
    for y in range(height):
        line = rows[y]
        line[:] = 0
        for k in range(max(-radius, -y), min(radius + 1, height - y)):
            tap = taps_y[k + radius]
            source = image[y + k]
            for x in range(width):
                line[x] += tap * source[x]
    for y in range(height):
        line = out[y]
        line[:] = 0
        for k in range(max(-radius, 1 - width), min(radius + 1, width)):
            tap = taps_x[k + radius]
            first = max(0, -k)
            last = min(width, width - k)
            source = rows[y, first + k : last + k]
            target = line[first:last]
            for x in range(last - first):
                target[x] += tap * source[x]


@hot_kernel
def local_level(moments, out):
    """Weighted least-squares plane around each pixel, at the pixel (Knutsson & Westin 1993, CVPR, 515-523).

    Next to a hole a mean takes the level of one side and draws a pattern along the rim that does not move with the
    ground; a plane continues the slope across. `moments` (9, height, width): sums of the mask times 1, x, y, xx, xy,
    yy, then of the image times 1, x, y, over offsets in units of the filter's width. Where too little is known for a
    plane the mean is taken, and zero where nothing is.
    """
    height, width = out.shape
    for i in range(height):
        for j in range(width):
            m, mx, my = moments[0, i, j], moments[1, i, j], moments[2, i, j]
            xx, xy, yy = moments[3, i, j], moments[4, i, j], moments[5, i, j]
            f, fx, fy = moments[6, i, j], moments[7, i, j], moments[8, i, j]
            minor = xx * yy - xy * xy
            minor_x = mx * yy - my * xy
            minor_y = mx * xy - my * xx
            determinant = m * minor - mx * minor_x + my * minor_y
            if determinant > LEAST_DETERMINANT:
                out[i, j] = (f * minor - fx * minor_x + fy * minor_y) / determinant
            elif m > LEAST_DETERMINANT:
                out[i, j] = f / m
            else:
                out[i, j] = 0


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
