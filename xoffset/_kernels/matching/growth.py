"""Correlation of windows at a shift of their own: small objects grow to where they end, and chance is told."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel, kernel
from xoffset._kernels.matching.residuals import BLOCK, _weights

# Difference of shifts from which one is worth to be tried instead of the other, px.
APART = 0.5
# Score of a block that was not looked at.
UNSEEN = -2.0


@hot_kernel
def _score(first, weight, spline, known, place, size, shift, least, is_centred, lines, taps):
    """Correlation of a window at one shift, about zero unless it is centred; 0 where fewer than `least` px are known.

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
    total, other = np.float32(0.0), np.float32(0.0)
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
            total += fit * a[j]
            other += fit * value
    # one pixel is always like another
    if count < least:
        return np.float32(0.0)
    least_energy = np.float32(1e-6)
    if is_centred:
        one, two = max(one - total * total / count, np.float32(0.0)), max(two - other * other / count, np.float32(0.0))
        product -= total * other / count
        # any contrast counts
        least_energy = np.float32(1e-30)
    return product / np.sqrt(max(one * two, least_energy))


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
                        first, weight, spline, known, place, size, (own_x, own_y), least, False, lines, taps
                    )  # fmt: skip
                found = _score(
                    first, weight, spline, known, place, size, (new_x, new_y), least, False, lines, taps
                )  # fmt: skip
                if max(found, floor) > max(score[row, column], floor) + margin:
                    score[row, column] = found
                    field[0, row, column], field[1, row, column] = new_x, new_y


@kernel
def scores(first, weight, spline, known, grid, side, least, shifts, out):
    """Zero-mean correlation of the windows of nodes, each at its shift as a whole: out (rows, columns).

    Parameters
    ----------
    first, weight, spline, known
        As in `residuals.look`, of one size and origin.
    grid
        First pixel of the first window along either axis, and step.
    side
        Of the windows, px.
    least
        Share of the pixels of a window that both images must know; 0 where they know less.
    shifts
        (2, rows, columns) along x and y; NaN gives NaN.
    """
    start, step = grid
    count = np.float32(max(least * side * side, 1))
    lines, taps = np.empty((side + 3, side), np.float32), np.empty((2, 4), np.float32)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            shift = (shifts[0, i, j], shifts[1, i, j])
            if not (abs(shift[0]) < np.inf and abs(shift[1]) < np.inf):
                out[i, j] = np.nan
                continue
            y, x = start + i * step, start + j * step
            out[i, j] = _score(
                first, weight, spline, known, (y, x, y, x), (side, side), shift, count, True, lines, taps
            )  # fmt: skip


@kernel
def take_over(shifts, some, values, every, apart, out):
    """Least of the values of the nodes around whose shifts are alike, 1 where none is; NaN where there is no shift.

    Parameters
    ----------
    shifts
        (2, rows, columns).
    some, values
        Shifts and values of one node in `every` along either axis, from the first one on.
    apart
        Largest difference of shifts that are alike.
    out
        (rows, columns).
    """
    last_row, last_column = values.shape[0] - 1, values.shape[1] - 1
    for i in range(out.shape[0]):
        top = i // every
        bottom = min(top + (i % every > 0), last_row)
        for j in range(out.shape[1]):
            left = j // every
            right = min(left + (j % every > 0), last_column)
            x, y = shifts[0, i, j], shifts[1, i, j]
            best = np.float32(1.0)
            for row, column in ((top, left), (top, right), (bottom, left), (bottom, right)):
                if abs(some[0, row, column] - x) <= apart and abs(some[1, row, column] - y) <= apart:
                    best = min(best, values[row, column])
            out[i, j] = best if abs(x) < np.inf and abs(y) < np.inf else np.nan
