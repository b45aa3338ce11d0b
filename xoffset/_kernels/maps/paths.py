"""Paths of points that move with the ground."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

# What became of a point at a date, as written by `follow`.
# Its place is known.
KNOWN = 0
# It has left the map.
LEFT = 1
# The map has no value there.
NO_VALUE = 2
# It has no known start.
NO_START = 3
# Distance below which a point lies on a node, as a share of that between two nodes.
NEAR = 1e-6


@kernel
def _corner(place, size):
    """Node before a place along an axis, counted in nodes, and the part of the way to the next; -1 beyond the axis."""
    nearest = np.round(place)
    if abs(place - nearest) < NEAR:
        place = nearest
    if not 0.0 <= place <= size - 1:
        return -1, 0.0
    first = int(place)
    return first, place - first


@kernel
def _at(layer, row, column):
    """Value of a map (rows, columns) between its nodes, bilinear; NaN beyond them or beside one that is unknown."""
    top, down = _corner(row, layer.shape[0])
    left, along = _corner(column, layer.shape[1])
    if top < 0 or left < 0:
        return np.nan
    value = (1.0 - down) * (1.0 - along) * layer[top, left]
    if along > 0.0:
        value += (1.0 - down) * along * layer[top, left + 1]
    if down > 0.0:
        value += down * (1.0 - along) * layer[top + 1, left]
    if along > 0.0 and down > 0.0:
        value += down * along * layer[top + 1, left + 1]
    return value if np.isfinite(value) else np.nan


@kernel
def _alike(x, y, window):
    """Correlation of the noise of two square windows a distance apart: the part that they share."""
    return max(1.0 - abs(x) / window, 0.0) * max(1.0 - abs(y) / window, 0.0)


@kernel
def follow(dx, dy, sigma_x, sigma_y, start, first, spacing, window, out):
    """Path of points through the displacements of a series.

    Parameters
    ----------
    dx, dy, sigma_x, sigma_y
        (date, rows, columns) displacement since any date, and the standard error of each date, in metres.
    start
        (point, 2) place along x and y at the first date, in metres from the first node.
    first
        Date of the start.
    spacing
        (2,) signed distance between nodes along x and y, in metres.
    window
        Side of the windows that were matched, in metres; infinite where errors are alike everywhere.
    out
        (9, point, date - first): place along x and y in metres from the first node; displacement along x and y since
        the start and its standard errors; displacement along x and y at the place of the start; one of the codes above.
    """
    dates = dx.shape[0]
    for point in range(start.shape[0]):
        for date in range(dates - first):
            for k in range(out.shape[0]):
                out[k, point, date] = np.nan
        from_x, from_y = start[point, 0], start[point, 1]
        row, column = from_y / spacing[1], from_x / spacing[0]
        home_row, home_column = row, column
        x0, y0 = _at(dx[first], row, column), _at(dy[first], row, column)
        has_start = np.isfinite(x0) and np.isfinite(y0)
        begin = _at(sigma_x[first], row, column) ** 2, _at(sigma_y[first], row, column) ** 2
        # the last date with a value, the displacement until then, the variance that turns of the path add
        last, along_x, along_y = first, 0.0, 0.0
        turn_x, turn_y = 0.0, 0.0
        for date in range(first, dates):
            k = date - first
            if not has_start:
                out[8, point, k] = NO_START
                continue
            out[6, point, k] = _at(dx[date], home_row, home_column) - x0
            out[7, point, k] = _at(dy[date], home_row, home_column) - y0
            if date == first:
                out[0, point, k], out[1, point, k] = from_x, from_y
                out[2, point, k], out[3, point, k] = 0.0, 0.0
                out[8, point, k] = KNOWN
                if begin[0] > 0.0 and begin[1] > 0.0:
                    out[4, point, k], out[5, point, k] = 0.0, 0.0
                continue
            step_x = _at(dx[date], row, column) - _at(dx[last], row, column)
            step_y = _at(dy[date], row, column) - _at(dy[last], row, column)
            if not (np.isfinite(step_x) and np.isfinite(step_y)):
                is_off = _corner(row, dx.shape[1])[0] < 0 or _corner(column, dx.shape[2])[0] < 0
                out[8, point, k] = LEFT if is_off else NO_VALUE
                continue
            along_x += step_x
            along_y += step_y
            error_x, error_y = _at(sigma_x[date], row, column), _at(sigma_y[date], row, column)
            out[0, point, k], out[1, point, k] = from_x + along_x, from_y + along_y
            out[2, point, k], out[3, point, k] = along_x, along_y
            if error_x > 0.0 and error_y > 0.0:
                out[4, point, k] = np.sqrt(begin[0] + error_x**2 + turn_x)
                out[5, point, k] = np.sqrt(begin[1] + error_y**2 + turn_y)
            out[8, point, k] = KNOWN
            # the next step starts from this date too, but elsewhere: what it errs there is not all what it erred here
            row, column = out[1, point, k] / spacing[1], out[0, point, k] / spacing[0]
            common = _alike(step_x, step_y, window)
            there_x, there_y = _at(sigma_x[date], row, column), _at(sigma_y[date], row, column)
            turn_x += error_x**2 + there_x**2 - 2.0 * common * error_x * there_x
            turn_y += error_y**2 + there_y**2 - 2.0 * common * error_y * there_y
            last = date
