"""Series at other dates."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel


@kernel
def _neighbours(time, dx, dy, instant, place, row, column):
    """Dates before and after an instant that have a value at a pixel, the date of the instant twice; -1 for none.

    `place` is the number of dates not after the instant.
    """
    before = place - 1
    while before >= 0 and not (np.isfinite(dx[before, row, column]) and np.isfinite(dy[before, row, column])):
        before -= 1
    if before >= 0 and time[before] == instant:
        return before, before
    after = place
    while after < time.size and not (np.isfinite(dx[after, row, column]) and np.isfinite(dy[after, row, column])):
        after += 1
    return before, after if after < time.size else -1


@kernel
def interpolate(time, wanted, place, longest, dx, dy, sigma_x, sigma_y, out):
    """Series at other dates, linear in time between the neighbours that have a value.

    Parameters
    ----------
    time, wanted
        (date,) sorted and (instant,) int64, in one unit and from one origin.
    place
        (instant,) number of dates not after each instant.
    longest
        Longest time between two neighbours, in the same unit.
    dx, dy, sigma_x, sigma_y
        (date, rows, columns).
    out
        (4, instant, rows, columns): displacement along x and y and their standard errors. NaN before the first date
        with a value, after the last, and between dates farther apart than `longest`; standard errors also where one of
        the dates has none that is positive and finite.
    """
    rows, columns = dx.shape[1:]
    # instants outermost: their maps lie together in memory
    for k in range(wanted.size):
        for row in range(rows):
            for column in range(columns):
                for layer in range(4):
                    out[layer, k, row, column] = np.nan
                i, j = _neighbours(time, dx, dy, wanted[k], place[k], row, column)
                if i < 0 or j < 0 or time[j] - time[i] > longest:
                    continue
                share = 0.0 if i == j else np.float64(wanted[k] - time[i]) / np.float64(time[j] - time[i])
                for axis in range(2):
                    value = dx if axis == 0 else dy
                    sigma = sigma_x if axis == 0 else sigma_y
                    first, second = np.float64(value[i, row, column]), np.float64(value[j, row, column])
                    out[axis, k, row, column] = (1.0 - share) * first + share * second
                    first, second = np.float64(sigma[i, row, column]), np.float64(sigma[j, row, column])
                    if 0.0 < first < np.inf and 0.0 < second < np.inf:
                        if i == j:
                            out[2 + axis, k, row, column] = first
                        else:
                            out[2 + axis, k, row, column] = np.sqrt(
                                ((1.0 - share) * first) ** 2 + (share * second) ** 2
                            )


@kernel
def _common(flags, row, column):
    """Flags that a pixel has at all dates."""
    common = flags[0, row, column]
    for date in range(1, flags.shape[0]):
        common &= flags[date, row, column]
    return common


@kernel
def flags_between(time, wanted, place, longest, lack, flags, dx, dy, out):
    """Flags of the neighbours of each instant, together; `lack` where `interpolate` gives no value.

    Parameters
    ----------
    time, wanted, place, longest, dx, dy
        As in `interpolate`.
    lack
        Flag of an instant without a value.
    flags
        (date, rows, columns) int64.
    out
        (instant, rows, columns) int64. Where a pixel has no value at any date, what all of its dates are flagged with
        is told too.
    """
    rows, columns = dx.shape[1:]
    for k in range(wanted.size):
        for row in range(rows):
            for column in range(columns):
                i, j = _neighbours(time, dx, dy, wanted[k], place[k], row, column)
                if i < 0 and j < 0:
                    out[k, row, column] = lack | _common(flags, row, column)
                elif i < 0 or j < 0 or time[j] - time[i] > longest:
                    out[k, row, column] = lack
                else:
                    out[k, row, column] = flags[i, row, column] | flags[j, row, column]
