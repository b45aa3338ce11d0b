"""What a dense matcher tells of its nodes, or why it tells nothing."""

from __future__ import annotations

import numpy as np

from xoffset._kernels import bits
from xoffset._kernels._jit import kernel


@kernel
def _is_empty(counts, row, column):
    """Whether the window that begins at this pixel has no known pixel; counts without rows: there are no holes."""
    if counts.shape[0] == 0:
        return False
    row, column = min(max(row, 0), counts.shape[0] - 1), min(max(column, 0), counts.shape[1] - 1)
    return counts[row, column] == 0


@kernel
def _has_one_value(flat, row, column):
    if flat.shape[0] == 0:
        return False
    row, column = min(max(row, 0), flat.shape[0] - 1), min(max(column, 0), flat.shape[1] - 1)
    return flat[row, column] == 1


@kernel
def judge(
    layers, score, count, centre, is_left_out, counts, flat, counts_of_other, flat_of_other, frame, grid, limits, out
):
    """Fields of `protocol.FIELDS` of the nodes of a tile.

    Parameters
    ----------
    layers
        (5, rows, columns): displacement along x and y, variances along x and y, covariance.
    score, count
        (rows, columns): correlation of each window, NaN where it has no contrast; pixels known in both images.
    centre
        (2, rows, columns): what the search is about, along x and y.
    is_left_out
        (rows, columns): nodes that are not wanted.
    counts, counts_of_other
        Known pixels of the windows of either image by first pixel of the tile; without rows if there are no holes.
    flat, flat_of_other
        1 where such a window holds one value only; without rows if none does.
    frame
        (2, 2): first row and that after the last of the second image, then columns.
    grid
        Pixel of the first window, step, side of the windows.
    limits
        Least share of known pixels, half-range of the search along y and x.
    out
        (9, rows, columns).
    """
    first, step, side = grid
    least, half_y, half_x = limits
    for i in range(score.shape[0]):
        y = first + i * step
        for j in range(score.shape[1]):
            x = first + j * step
            dx, dy = layers[0, i, j], layers[1, i, j]
            # a number that is none has no place
            is_known = np.isfinite(dx) and np.isfinite(dy)
            row, column = (y + int(np.rint(dy)), x + int(np.rint(dx))) if is_known else (y, x)
            share = count[i, j] / (side * side)
            is_few = share < least
            leaves = (
                row < frame[0, 0] or row > frame[0, 1] - side or column < frame[1, 0] or column > frame[1, 1] - side
            )
            flag = 0
            if is_left_out[i, j] or (is_few and leaves):
                flag = bits.OUTSIDE
            elif _is_empty(counts, y, x) or _is_empty(counts_of_other, row, column):
                flag = bits.NODATA
            elif is_few:
                flag = bits.FEW_VALID
            elif np.isnan(score[i, j]) or _has_one_value(flat, y, x) or _has_one_value(flat_of_other, row, column):
                flag = bits.FLAT
            elif abs(dx - centre[0, i, j]) > half_x - 0.5 or abs(dy - centre[1, i, j]) > half_y - 0.5:
                flag = bits.BORDER
            elif not (is_known and np.isfinite(layers[2, i, j]) and np.isfinite(layers[3, i, j])):
                flag = bits.ILL_CONDITIONED
            out[0, i, j] = dx if flag == 0 else np.nan
            out[1, i, j] = dy if flag == 0 else np.nan
            out[2, i, j] = np.nan if is_few else score[i, j]
            out[3, i, j] = np.nan
            out[4, i, j] = layers[2, i, j] if flag == 0 else np.nan
            out[5, i, j] = layers[3, i, j] if flag == 0 else np.nan
            out[6, i, j] = layers[4, i, j] if flag == 0 else np.nan
            out[7, i, j] = np.nan if is_few else share
            out[8, i, j] = flag
