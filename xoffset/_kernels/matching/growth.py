"""Shifts of neighbours tried on blocks where fields have edges: small objects grow to where they end."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel, kernel
from xoffset._kernels.matching.residuals import BLOCK, _weights

# Difference of shifts from which one is worth to be tried instead of the other, px.
APART = 0.5
# Score of a block that was not looked at.
UNSEEN = -2.0


@hot_kernel
def _score(first, weight, spline, known, place, size, shift, least, lines, taps):
    """Correlation about zero of a window of band-passed images at one shift; 0 where fewer than `least` px are known.

    place: row and column of its first pixel in the first image, then in the second one; size: its rows and columns;
    shift: (x, y); lines (rows + 3, columns) and taps (2, 4) are scratch.
    """
    rows, columns = size
    at_x, at_y = place[3] + shift[0], place[2] + shift[1]
    height, width = spline.shape
    if not (at_x >= 1 and at_y >= 1 and at_x + columns < width - 2 and at_y + rows < height - 2):
        return np.float32(0.0)
    left, top = int(at_x), int(at_y)
    along_x, along_y = taps[0], taps[1]
    _weights(np.float32(at_x - left), along_x)
    _weights(np.float32(at_y - top), along_y)
    for i in range(rows + 3):
        source, line = spline[top - 1 + i, left - 1 :], lines[i]
        for j in range(columns):
            near = along_x[0] * source[j] + along_x[1] * source[j + 1]
            line[j] = near + along_x[2] * source[j + 2] + along_x[3] * source[j + 3]
    one, two, product, count = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for i in range(rows):
        a, w = first[place[0] + i, place[1] :], weight[place[0] + i, place[1] :]
        upper, lower = known[top + i, left:], known[top + i + 1, left:]
        l0, l1, l2, l3 = lines[i], lines[i + 1], lines[i + 2], lines[i + 3]
        for j in range(columns):
            value = along_y[0] * l0[j] + along_y[1] * l1[j] + along_y[2] * l2[j] + along_y[3] * l3[j]
            fit = w[j] * (upper[j] * upper[j + 1]) * (lower[j] * lower[j + 1])
            one += fit * a[j] * a[j]
            two += fit * value * value
            product += fit * a[j] * value
            count += fit
    # one pixel is always like another
    if count < least:
        return np.float32(0.0)
    return product / np.sqrt(max(one * two, np.float32(1e-6)))


@kernel
def grow(first, weight, spline, known, origin, side, distance, limits, before, field, score):
    """Let blocks take over the shift of a neighbour where their window correlates better with it.

    Parameters
    ----------
    first, weight, spline, known, origin
        As in `residuals.look`.
    side
        Of the window, in blocks, odd.
    distance
        Of the four neighbours that are tried, in blocks.
    limits
        Share of the pixels of a window that must be known; correlation below which all are alike; margin by which one
        must be better than another.
    before
        (2, rows, columns): shifts along x and y.
    field
        The same; replaced where a neighbour's is better.
    score
        (rows, columns): of the shifts, or UNSEEN; filled where it was asked for.
    """
    rows, columns = score.shape
    lines, taps = np.empty((BLOCK * side + 3, BLOCK * side), np.float32), np.empty((2, 4), np.float32)
    share, floor, margin = limits
    reach = side // 2
    for row in range(rows):
        for column in range(columns):
            own_x, own_y = before[0, row, column], before[1, row, column]
            last_x, last_y = own_x, own_y
            for k in range(4):
                y = row + (distance if k == 0 else -distance if k == 1 else 0)
                x = column + (distance if k == 2 else -distance if k == 3 else 0)
                if y < 0 or x < 0 or y >= rows or x >= columns:
                    continue
                new_x, new_y = before[0, y, x], before[1, y, x]
                is_apart = abs(new_x - own_x) > APART or abs(new_y - own_y) > APART
                if not is_apart or (new_x == last_x and new_y == last_y):
                    continue
                last_x, last_y = new_x, new_y
                top, left = max(row - reach, 0), max(column - reach, 0)
                bottom, right = min(row + reach + 1, rows), min(column + reach + 1, columns)
                size = (BLOCK * (bottom - top), BLOCK * (right - left))
                place = (BLOCK * top, BLOCK * left, origin[0] + BLOCK * top, origin[1] + BLOCK * left)
                least = np.float32(share * size[0] * size[1])
                if score[row, column] == UNSEEN:
                    score[row, column] = _score(
                        first, weight, spline, known, place, size, (own_x, own_y), least, lines, taps
                    )  # fmt: skip
                found = _score(first, weight, spline, known, place, size, (new_x, new_y), least, lines, taps)
                if max(found, floor) > max(score[row, column], floor) + margin:
                    score[row, column] = found
                    field[0, row, column], field[1, row, column] = new_x, new_y
