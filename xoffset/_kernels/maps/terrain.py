"""Terrain: how steep it is, and where it keeps the sun away."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel


@kernel
def gradient(heights, along_x, along_y, out):
    """Rise per metre along x and y, by the differences of the eight neighbours (Horn 1981).

    Parameters
    ----------
    heights
        (rows, columns) [m], NaN where unknown.
    along_x, along_y
        Signed distance between neighbouring columns and rows [m].
    out
        (2, rows, columns) rise along x and along y; NaN where one of the nine heights is unknown or beyond the edge.
    """
    rows, columns = heights.shape
    for row in range(rows):
        for column in range(columns):
            if row in (0, rows - 1) or column in (0, columns - 1):
                out[0, row, column] = np.nan
                out[1, row, column] = np.nan
                continue
            a, b, c = heights[row - 1, column - 1], heights[row - 1, column], heights[row - 1, column + 1]
            d, f = heights[row, column - 1], heights[row, column + 1]
            g, h, i = heights[row + 1, column - 1], heights[row + 1, column], heights[row + 1, column + 1]
            # adds nothing but an unknown height
            known = 0.0 * heights[row, column]
            out[0, row, column] = known + ((c - a) + 2.0 * (f - d) + (i - g)) / (8.0 * along_x)
            out[1, row, column] = known + ((g - a) + 2.0 * (h - b) + (i - c)) / (8.0 * along_y)


@kernel
def _between(lower, upper, share):
    """Value a share of the way from one to another; where one is unknown, that of the nearer one."""
    if share == 0.0:
        return lower
    if np.isnan(lower) or np.isnan(upper):
        return lower if share <= 0.5 else upper
    return lower + share * (upper - lower)


@kernel
def shade(heights, first, drift, fall, before, horizon, out):
    """Shadows on some rows of terrain, which sunlight meets one after the other.

    Parallel lines run along the light, one at each column of row 0. Each keeps the height of the highest ray that
    grazed the terrain it has passed, counted as if the ray did not fall; between two lines the height is interpolated.

    Parameters
    ----------
    heights
        (rows, columns) [m], NaN where unknown, which hides nothing; the first row is the nearest to the sun.
    first
        Index of the first of these rows, from the edge of the grid on.
    drift
        Columns by which a ray moves on from row to row, -1 to 1.
    fall
        Height that a ray loses from row to row [m].
    before
        Number of lines that start left of column 0.
    horizon
        (lines,) height of the rays [m] where they met row 0, NaN where nothing was met; changed to what the rows after
        these need.
    out
        (rows, columns) bool, True where terrain nearer to the sun is higher than the ray, and where the height is NaN.
    """
    rows, columns = heights.shape
    for row in range(rows):
        # column of line `before`, which began at column 0
        moved = drift * (first + row)
        whole = int(np.floor(moved))
        share = moved - whole
        fallen = fall * (first + row)
        # a column lies between two lines: the share from the one on its left is what the lines have moved beyond it
        left = before - whole - (1 if share > 0.0 else 0)
        of_line = 1.0 - share if share > 0.0 else 0.0
        for column in range(columns):
            height = heights[row, column]
            ray = _between(horizon[left + column], horizon[left + column + 1], of_line)
            # an unknown ray hides nothing
            out[row, column] = np.isnan(height) or ray > height + fallen
        # a line passes between two columns
        for column in range(-1, columns):
            lower = heights[row, column] if column >= 0 else np.nan
            upper = heights[row, column + 1] if column + 1 < columns else np.nan
            met = _between(lower, upper, share) + fallen
            line = before - whole + column
            if not met <= horizon[line] and not np.isnan(met):
                horizon[line] = met
