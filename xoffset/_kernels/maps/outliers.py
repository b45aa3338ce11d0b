"""Vectors that point elsewhere than a field, and those at odds with the other dates of their pixel."""

from __future__ import annotations

import math

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.order import _median

# Pairs that a pixel needs to tell outliers among them.
LEAST = 5
# Standard errors by which a vector must leave the directions that are allowed.
BEYOND = 2.0
# Standard errors that the median velocity of a pixel needs for a direction of its own.
CLEAR = 3.0
# A normal distribution has a standard deviation of so many median distances from the median, and its median a
# standard error of so many standard deviations over the root of the number.
NORMAL, OF_MEDIAN = 1.4826, 1.2533
# What `at_odds_in_time` finds, as bits.
POINTS_ELSEWHERE, IS_FAR = 1, 2


@kernel
def points_elsewhere(dx, dy, sigma, toward_x, toward_y, angle, out):
    """Set out (uint8) where a vector leaves all directions within an angle [rad] of those that a field tells.

    By more than `BEYOND` standard errors, so that what does not move points nowhere. All (rows, columns); the direction
    is a unit vector. Nothing is set where the vector or the direction is unknown; standard errors that are count as 0.
    """
    for row in range(dx.shape[0]):
        for column in range(dx.shape[1]):
            away = _away(dx[row, column], dy[row, column], toward_x[row, column], toward_y[row, column], angle)
            error = sigma[row, column]
            out[row, column] = away > (BEYOND * error if error > 0.0 else 0.0)


@kernel
def _away(x, y, toward_x, toward_y, angle):
    """Distance from a vector to the nearest one within an angle of a unit vector; 0 where either is unknown."""
    along, across = x * toward_x + y * toward_y, abs(x * toward_y - y * toward_x)
    beyond = math.atan2(across, along) - angle
    if not beyond > 0.0:
        return 0.0
    length = math.sqrt(x * x + y * y)
    return length * math.sin(beyond) if beyond < 0.5 * math.pi else length


@kernel
def at_odds_in_time(years, dx, dy, sigma_x, sigma_y, angle, deviation, out):
    """Find the pairs of each pixel that point elsewhere than its median velocity, or are too far from it.

    Too far: by more than `deviation` robust standard deviations of the velocities along either axis, and than as many
    standard errors of the pair, so that short pairs, whose velocities are noisy, are no outliers by that. Where the
    deviation is zero, as of values in coarse steps, and the standard error unknown or zero, nothing tells. Elsewhere:
    as `points_elsewhere` says, if the median velocity is clearly not zero.

    Parameters
    ----------
    years
        (pair,) from the reference to the secondary date.
    dx, dy, sigma_x, sigma_y
        (pair, rows, columns) displacement and its standard errors; NaN where unknown.
    angle, deviation
        Largest angle [rad] and deviation; infinite tests nothing.
    out
        (pair, rows, columns) bits POINTS_ELSEWHERE and IS_FAR, 0 in pixels with fewer than `LEAST` pairs.
    """
    pairs, rows, columns = dx.shape
    which = np.empty(pairs, np.int64)
    vx, vy, space = np.empty(pairs), np.empty(pairs), np.empty(pairs)
    for row in range(rows):
        for column in range(columns):
            count = 0
            for p in range(pairs):
                out[p, row, column] = 0
                u, v = dx[p, row, column], dy[p, row, column]
                if np.isfinite(u) and np.isfinite(v):
                    which[count], vx[count], vy[count] = p, u / years[p], v / years[p]
                    count += 1
            if count < LEAST:
                continue
            x, spread_x = _centre(vx[:count], space[:count])
            y, spread_y = _centre(vy[:count], space[:count])
            speed = math.sqrt(x * x + y * y)
            of_median = OF_MEDIAN * math.sqrt(0.5 * (spread_x * spread_x + spread_y * spread_y) / count)
            has_direction = angle < math.pi and speed > CLEAR * of_median
            for k in range(count):
                p = which[k]
                span = abs(years[p])
                error_x, error_y = sigma_x[p, row, column] / span, sigma_y[p, row, column] / span
                found = 0
                scale_x, scale_y = _larger(spread_x, error_x), _larger(spread_y, error_y)
                if scale_x > 0.0 and abs(vx[k] - x) > deviation * scale_x:
                    found = IS_FAR
                if scale_y > 0.0 and abs(vy[k] - y) > deviation * scale_y:
                    found = IS_FAR
                if has_direction:
                    away = _away(vx[k], vy[k], x / speed, y / speed, angle)
                    error = math.sqrt(0.5 * (error_x * error_x + error_y * error_y))
                    if away > (BEYOND * error if error > 0.0 else 0.0):
                        found |= POINTS_ELSEWHERE
                out[p, row, column] = found


@kernel
def _larger(first, second):
    """The larger one of two, or the first where the second is unknown."""
    return second if second > first else first


@kernel
def _centre(values, space):
    """Median and robust standard deviation."""
    for k in range(values.size):
        space[k] = values[k]
    middle = _median(space)
    for k in range(values.size):
        space[k] = abs(values[k] - middle)
    return middle, NORMAL * _median(space)
