"""Closed forms of the sub-pixel peak: the vertex of a surface through the 3x3 scores around the integer one.

They lock to whole pixels, since a score between two of them is not on the parabola, Gaussian or quadric through them.
Where the surface is no peak, or its vertex is beyond a pixel, there is no match.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels import bits
from xoffset._kernels._jit import kernel, lean_kernel

# Codes of the ways to find the sub-pixel shift.
# Inverse-compositional Gauss-Newton on the pixels (see `refine`); the rest are closed forms of the 3x3 scores.
ICGN = 0
# Whole pixels only.
NONE = 1
# A parabola along each axis.
PARABOLA = 2
# A Gaussian along each axis, which is a parabola through the logarithms.
GAUSS = 3
# A quadric through all nine scores.
QUADRATIC = 4
# Largest ratio of the curvatures of the peak along its axes; beyond it the detail runs in one direction only.
LARGEST_CONDITION = 1e3
# Whole shifts on each side of a peak through whose scores a spline is laid.
AROUND = 3


@lean_kernel
def vertex(scores, form, out):
    """Vertex (x, y) in px of 3x3 scores (9,) in row order; False if there is none within a pixel.

    Parabola: (z₋ - z₊) / (2 (z₋ - 2z₀ + z₊)) along each axis. Gauss: the same of the logarithms. Quadratic: the least
    squares quadric through all nine. None: the middle.
    """
    if form == QUADRATIC:
        return quadric(scores, out)
    out[0], out[1] = 0, 0
    if form == NONE:
        return True
    for k in range(2):
        before, centre, after = scores[3 - 2 * k], scores[4], scores[5 + 2 * k]
        if form == GAUSS:
            if not (before > 0 and centre > 0 and after > 0):
                return False
            before, centre, after = np.log(before), np.log(centre), np.log(after)
        bend = before - 2 * centre + after
        if not bend < 0:
            return False
        out[k] = (before - after) / (2 * bend)
        if not abs(out[k]) <= 1:
            return False
    return True


@lean_kernel
def quadric(scores, out):
    """Vertex (x, y) in px of the least squares quadric through 3x3 scores (9,); False if it is no peak within a pixel.

    Scores in row order: x runs along a row.
    """
    z = scores
    along_x = (z[2] + z[5] + z[8] - z[0] - z[3] - z[6]) / 6
    along_y = (z[6] + z[7] + z[8] - z[0] - z[1] - z[2]) / 6
    third = (z[0] + z[1] + z[2] + z[3] + z[4] + z[5] + z[6] + z[7] + z[8]) / 3
    xx = (z[0] + z[3] + z[6] + z[2] + z[5] + z[8]) / 2 - third
    yy = (z[0] + z[1] + z[2] + z[6] + z[7] + z[8]) / 2 - third
    xy = (z[0] + z[8] - z[2] - z[6]) / 4
    determinant = 4 * xx * yy - xy * xy
    if not (determinant > 0 and xx < 0):
        return False
    out[0] = (xy * along_y - 2 * yy * along_x) / determinant
    out[1] = (xy * along_x - 2 * xx * along_y) / determinant
    return abs(out[0]) <= 1 and abs(out[1]) <= 1


@kernel
def whole(peaks, wanted, pixels, out, flags):
    """Whole-pixel shifts as they are, with the covariance that the curvature of the scores around them tells.

    With H the negative curvature of the score r in px⁻², (1 - r)·(2 H⁻¹ + (1 - r) H⁻²/2) / pixels, the bound for a
    peak of two images with white noise and what a low score adds (as ISCE's ampcor has it), plus the twelfth of a pixel
    squared that rounding leaves. `pixels` counts those of the window that noise leaves independent. Parameters
    otherwise as in `refine.refine`.
    """
    for row in range(peaks.shape[0]):
        for column in range(peaks.shape[1]):
            if wanted[row, column] == 0:
                continue
            match = out[row, column]
            match[:] = np.nan
            match[2] = peaks[row, column, 2]
            if flags[row, column] != 0:
                continue
            z = peaks[row, column, 4:]
            xx, yy = 2 * z[4] - z[3] - z[5], 2 * z[4] - z[1] - z[7]
            xy = -(z[0] + z[8] - z[2] - z[6]) / 4
            determinant = xx * yy - xy * xy
            trace = xx + yy
            if not (xx > 0 and determinant * (LARGEST_CONDITION + 1.0) ** 2 > trace * trace * LARGEST_CONDITION):
                flags[row, column] |= bits.ILL_CONDITIONED
                continue
            a, b, c = yy / determinant, -xy / determinant, xx / determinant
            rest = max(1 - match[2], 0) / pixels
            low = rest * (1 - match[2]) / 2
            match[0], match[1] = peaks[row, column, 1], peaks[row, column, 0]
            match[3] = 2 * rest * a + low * (a * a + b * b) + 1.0 / 12.0
            match[4] = 2 * rest * c + low * (b * b + c * c) + 1.0 / 12.0
            match[5] = 2 * rest * b + low * b * (a + c)


@kernel
def surroundings(first, second, valid_first, valid_second, nodes, peaks, wanted, out):
    """ZNCC of the whole shifts around each peak over the pixels valid in both windows, out (rows, columns, 7, 7).

    `first`, `second` (height, width): filtered images, with their valid pixels; `peaks` holds the whole shift along y
    and x. NaN where a window has one value only. Windows that are not wanted keep what is in `out`; those of the others
    must lie in the images.
    """
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            if wanted[row, column] == 0:
                continue
            top, left = nodes.top + nodes.step * row, nodes.left + nodes.step * column
            for i in range(out.shape[2]):
                for j in range(out.shape[3]):
                    down = int(peaks[row, column, 0]) + i - AROUND
                    right = int(peaks[row, column, 1]) + j - AROUND
                    n, a, b, aa, bb, ab = 0, 0.0, 0.0, 0.0, 0.0, 0.0
                    for y in range(top, top + nodes.template):
                        for x in range(left, left + nodes.template):
                            if valid_first[y, x] != 0 and valid_second[y + down, x + right] != 0:
                                one, other = first[y, x], second[y + down, x + right]
                                n += 1
                                a += one
                                b += other
                                aa += one * one
                                bb += other * other
                                ab += one * other
                    spread = (aa - a * a / max(n, 1)) * (bb - b * b / max(n, 1))
                    out[row, column, i, j] = (ab - a * b / max(n, 1)) / np.sqrt(spread) if spread > 0 else np.nan
