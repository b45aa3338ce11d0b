"""Agreement of displacements on one direction, over pairs and over windows."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

# Mean cosine of the angle between two vectors of noise that correlate by one half, as two pairs with a common date do:
# (π/4)·ρ·₂F₁(½, ½; 2; ρ²) at ρ = ½.
ALIKE = 0.4063


@kernel
def of_pairs(ends, dates, dx, dy, out):
    """Sums over the pairs of each node, and how far their directions agree.

    Parameters
    ----------
    ends
        (pair, 2) earlier and later date of each pair, as indices.
    dates
        Number of dates.
    dx, dy
        (pair, rows, columns) displacements forward in time; NaN where a pair is missing.
    out
        (8, rows, columns): sum along x, along y, and of the lengths; number of pairs; one that is left to the caller;
        length of the mean unit vector, what noise alone makes of it, and its excess over that. Of these three, the
        pairs without length are no part.
    """
    pairs, rows, columns = dx.shape
    lever = np.empty(dates)
    for row in range(rows):
        for column in range(columns):
            for k in range(4, 8):
                out[k, row, column] = np.nan
            total_x, total_y, length, count = 0.0, 0.0, 0.0, 0
            unit_x, unit_y, moving = 0.0, 0.0, 0
            for k in range(dates):
                lever[k] = 0.0
            for p in range(pairs):
                along_x, along_y = np.float64(dx[p, row, column]), np.float64(dy[p, row, column])
                if not (np.isfinite(along_x) and np.isfinite(along_y)):
                    continue
                norm = np.hypot(along_x, along_y)
                total_x += along_x
                total_y += along_y
                length += norm
                count += 1
                if norm > 0.0:
                    unit_x += along_x / norm
                    unit_y += along_y / norm
                    moving += 1
                    lever[ends[p, 0]] -= 1.0
                    lever[ends[p, 1]] += 1.0
            out[0, row, column] = total_x
            out[1, row, column] = total_y
            out[2, row, column] = length
            out[3, row, column] = count
            if moving == 0:
                continue
            # pairs of which one begins or ends with the other turn alike, pairs that follow each other the other way
            twice = -2.0 * moving
            for k in range(dates):
                twice += lever[k] * lever[k]
            mean = min(np.hypot(unit_x, unit_y) / moving, 1.0)
            independent = moving * moving / (moving + ALIKE * max(twice, 0.0))
            out[5, row, column] = mean
            out[6, row, column] = 1.0 / np.sqrt(independent)
            if independent > 1.0 + 1e-9:
                out[7, row, column] = np.sqrt(max((independent * mean * mean - 1.0) / (independent - 1.0), 0.0))


@kernel
def window_sum(field, radius, out):
    """Sum over the (2·radius + 1)² nodes around each; what is not finite counts as zero.

    field, out (rows, columns). Every sum is taken anew and in the same order, so that it does not depend on where the
    array begins.
    """
    rows, columns = field.shape
    strip = np.empty((rows, columns))
    for row in range(rows):
        for column in range(columns):
            total = 0.0
            for k in range(max(column - radius, 0), min(column + radius + 1, columns)):
                if np.isfinite(field[row, k]):
                    total += field[row, k]
            strip[row, column] = total
    for row in range(rows):
        for column in range(columns):
            total = 0.0
            for k in range(max(row - radius, 0), min(row + radius + 1, rows)):
                total += strip[k, column]
            out[row, column] = total
