"""Closed forms of the sub-pixel peak: the vertex of a surface through the 3x3 scores around the integer one.

They lock to whole pixels, since a score between two of them is not on the parabola, Gaussian or quadric through them.
Where the surface is no peak, or its vertex is beyond a pixel, there is no match.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

ICGN, NONE, PARABOLA, GAUSS, QUADRATIC = range(5)


@kernel
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


@kernel
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
