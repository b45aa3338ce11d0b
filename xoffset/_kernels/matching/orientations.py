"""Directions of gradients as complex numbers, and shifts from how they agree."""

from __future__ import annotations

import numpy as np

from xoffset._kernels import bits
from xoffset._kernels._jit import hot_kernel
from xoffset._kernels.matching.planes import _sandwich
from xoffset._kernels.matching.spectra import _bends, _top_of_surface

# Least standard error of a surface through nine whole-pixel scores, px: its bias in the best of cases.
LEAST_SIGMA_OF_SURFACE = 1e-2


@hot_kernel
def orientations(image, valid, floor, out):
    """Unit vectors along the gradient of an image, zero where it is flat or a neighbour is not valid.

    Parameters
    ----------
    image, valid
        (height, width) filtered image, and uint8 where it is fit to be matched.
    floor
        Square of the smallest gradient that is no rounding.
    out
        (height, width) complex: along x real, along y imaginary (Fitch et al. 2002, BMVC, 133-142).
    """
    height, width = image.shape
    out[:] = 0
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if valid[y, x] & valid[y, x - 1] & valid[y, x + 1] & valid[y - 1, x] & valid[y + 1, x]:
                along_x = image[y, x + 1] - image[y, x - 1]
                along_y = image[y + 1, x] - image[y - 1, x]
                square = along_x * along_x + along_y * along_y
                if square > floor:
                    length = np.sqrt(square)
                    out[y, x] = along_x / length + 1j * (along_y / length)


@hot_kernel
def _agreement(first, second, y, x, v, u, size):
    """Mean cosine between the directions of two windows, where both have one; and how many those are."""
    total = 0.0
    count = 0.0
    for i in range(size):
        f, g = first[y + i, x : x + size], second[v + i, u : u + size]
        both = first.real.dtype.type(0.0)
        common = first.real.dtype.type(0.0)
        for j in range(size):
            both += f[j].real * g[j].real + f[j].imag * g[j].imag
            own = f[j].real * f[j].real + f[j].imag * f[j].imag
            common += own * (g[j].real * g[j].real + g[j].imag * g[j].imag)
        total += both
        count += common
    return total / max(count, 1.0), count


@hot_kernel
def fit_surfaces(first, second, corners, shifted, size, out, flags):
    """Refine whole-pixel shifts by the surface through the orientation correlation of the nine shifts around.

    Parameters
    ----------
    first, second
        (height, width) results of `orientations`.
    corners, shifted
        (window, 2) first row and column in the first image, and in the second at the whole-pixel shift.
    size
        Side of the windows.
    out
        (window, 6) as of `fit_planes`, but for the score.
    flags
        (window,) int32: bits against the match are added.
    """
    patch = np.empty((3, 3))
    top = np.empty(2)
    covariance = np.empty(3)
    for k in range(corners.shape[0]):
        y, x = corners[k, 0], corners[k, 1]
        v, u = shifted[k, 0], shifted[k, 1]
        count = 0.0
        for i in range(3):
            for j in range(3):
                patch[i, j], common = _agreement(first, second, y, x, v + i - 1, u + j - 1, size)
                count = max(count, common)
        _top_of_surface(patch, top)
        xx, xy, yy = _bends(patch)
        scatter = _scatter(first, second, y, x, v, u, size)
        verdict = _sandwich((-count * xx, -count * xy, -count * yy), scatter, covariance)
        if verdict == 0 and max(abs(top[0]), abs(top[1])) >= 1.0:
            verdict = bits.REFINE_FAILED
        flags[k] |= verdict
        out[k] = np.nan
        if verdict == 0:
            out[k, 0], out[k, 1] = top[1], top[0]
            out[k, 3] = covariance[0] + LEAST_SIGMA_OF_SURFACE**2
            out[k, 4] = covariance[1] + LEAST_SIGMA_OF_SURFACE**2
            out[k, 5] = covariance[2]


@hot_kernel
def _scatter(first, second, y, x, v, u, size):
    """Sums (xx, xy, yy) of the squared pull of each pixel's difference of direction on the shift."""
    xx, xy, yy = 0.0, 0.0, 0.0
    for i in range(size):
        f = first[y + i, x : x + size]
        above, line, below = second[v + i - 1, u:], second[v + i], second[v + i + 1, u:]
        for j in range(size):
            if f[j] != 0 and line[u + j] != 0:
                real = f[j].real - line[u + j].real
                imaginary = f[j].imag - line[u + j].imag
                left, right = line[u + j - 1], line[u + j + 1]
                pull_x = 0.5 * (real * (right.real - left.real) + imaginary * (right.imag - left.imag))
                pull_y = 0.5 * (real * (below[j].real - above[j].real) + imaginary * (below[j].imag - above[j].imag))
                xx += pull_x * pull_x
                xy += pull_x * pull_y
                yy += pull_y * pull_y
    return xx, xy, yy
