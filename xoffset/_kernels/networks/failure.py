"""Motion whose inverse velocity falls linearly to zero: which date of failure the displacements of a pixel tell.

Then u(t) = c - b·log(1 - (t - t0)/(T - t0)), a curve with the one parameter T beside those that are linear. Arrays by
pixel as in `trend`.
"""

from __future__ import annotations

import math

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.bends import GOLDEN, SECTIONS
from xoffset._kernels.networks.changes import CUT, LEAST_SCATTER, TURNS
from xoffset._kernels.networks.order import _median
from xoffset._kernels.networks.trend import MEDIAN_LENGTH

# Fewest dates: five parameters are fitted to twice as many numbers.
FEWEST = 6
# Fall of the squares, in units of their mean, by which dates without the last one must tell acceleration: those of 80 %
# of steady motion do not.
LEAN = 0.72
# Why there is no date.
FOUND, NONE, TOO_FEW = 0, 1, 2


@kernel
def find(curves, since, step, steady, rows, value, own, mean, count, is_blind, limits, out):
    """Which of the curves fit each pixel.

    curves (curve, date): from motion that slows down to motion that fails at once; steady: which is a line. since
    (date,): time from 0 to 1. Curves lie `step` apart.
    limits (2, degrees of freedom + 1): fall of the squares, in units of their mean, within which a curve is as good,
    and that beyond which a line is not.
    out (pixel, 6): state; place of the best curve, and of the first and last as good, between two of them; root mean
    square residual; number of dates.
    """
    size = rows.shape[1]
    weight, kept, gains = np.empty(size), np.empty(size, np.bool_), np.empty(curves.shape[0])
    length, sample, rest, curve = np.empty(size), np.empty(size), np.empty((2, size)), np.empty(size)
    for p in range(count.size):
        n = count[p]
        for layer in range(6):
            out[p, layer] = np.nan
        out[p, 0], out[p, 5] = TOO_FEW, n
        if n < FEWEST:
            continue
        for k in range(n):
            kept[k] = True
        number, squares, best, place = n, 0.0, 0, 0.0
        least = 0.0 if is_blind[p] else LEAST_SCATTER
        for _ in range(TURNS):
            number = 0
            for k in range(n):
                weight[k] = 1.0 / mean[p, k] if kept[k] else 0.0
                number += kept[k]
            best = _scan(curves, rows[p, :n], weight[:n], value[p], gains)
            place = _top(since, step, steady, rows[p, :n], weight[:n], value[p], curve[:n], best, gains.size)
            top = _gain(place, since, step, steady, rows[p, :n], weight[:n], value[p], curve[:n])
            squares = _fit(curve[:n], weight[:n], value[p], mean[p], kept[:n], rest, length[:n])
            if not _keep(length[:n], sample[:n], kept[:n], least):
                break
        free = 2 * number - 5
        scatter = max(squares / free, least)
        within, beyond = limits[0, free] * scatter, limits[1, free] * scatter
        is_steady = _is_steady(gains, best, steady, top - max(within, beyond))
        out[p, 1] = place
        for side in range(0 if is_steady else 2):
            way = 2 * side - 1
            near, far = _bracket(gains, place, top - within, way)
            for _ in range(SECTIONS if near != far else 0):
                middle = 0.5 * (near + far)
                if _gain(middle, since, step, steady, rows[p, :n], weight[:n], value[p], curve[:n]) >= top - within:
                    near = middle
                else:
                    far = middle
            out[p, 2 + side] = far
        total = 0.0
        for k in range(n):
            if kept[k]:
                total += rest[0, k] ** 2 + rest[1, k] ** 2
        out[p, 4] = math.sqrt(0.5 * total / number)
        out[p, 5] = number
        if not is_steady:
            # a last date that is an outlier looks like failure: the others must lean the same way
            for k in range(n - 1, -1, -1):
                if kept[k]:
                    weight[k] = 0.0
                    break
            best = _scan(curves, rows[p, :n], weight[:n], value[p], gains)
            is_steady = _is_steady(gains, best, steady, gains[best] - LEAN * scatter)
        out[p, 0] = NONE if is_steady else FOUND


@kernel
def _is_steady(gains, best, steady, enough):
    """Whether a line, or motion that slows down, is as good as the best curve."""
    is_as_good = best <= steady
    for c in range(steady + 1):
        is_as_good = is_as_good or gains[c] >= enough
    return is_as_good


@kernel
def _scan(curves, rows, weight, observed, gains):
    """What each curve, with its level and its size along x and y, takes from the squares; returns the best one."""
    total, mean_x, mean_y = 0.0, 0.0, 0.0
    for k in range(rows.size):
        total += weight[k]
        mean_x += weight[k] * observed[0, k]
        mean_y += weight[k] * observed[1, k]
    mean_x /= total
    mean_y /= total
    best = 0
    for c in range(gains.size):
        mean, along_x, along_y, square = 0.0, 0.0, 0.0, 0.0
        for k in range(rows.size):
            mean += weight[k] * curves[c, rows[k]]
        mean /= total
        for k in range(rows.size):
            f = weight[k] * (curves[c, rows[k]] - mean)
            square += f * (curves[c, rows[k]] - mean)
            along_x += f * (observed[0, k] - mean_x)
            along_y += f * (observed[1, k] - mean_y)
        gains[c] = (along_x**2 + along_y**2) / square if square > 0.0 else 0.0
        if gains[c] > gains[best]:
            best = c
    return best


@kernel
def _fit(curve, weight, observed, mean_variance, kept, rest, length):
    """Residuals (2, date), their studentised lengths in units of the standard errors; returns their squares."""
    total, mean, square, squares = 0.0, 0.0, 0.0, 0.0
    for k in range(curve.size):
        total += weight[k]
        mean += weight[k] * curve[k]
    mean /= total
    for k in range(curve.size):
        square += weight[k] * (curve[k] - mean) ** 2
    for axis in range(2):
        level, slope = 0.0, 0.0
        for k in range(curve.size):
            level += weight[k] * observed[axis, k]
        level /= total
        for k in range(curve.size):
            slope += weight[k] * (curve[k] - mean) * (observed[axis, k] - level)
        slope /= square
        for k in range(curve.size):
            rest[axis, k] = observed[axis, k] - level - slope * (curve[k] - mean)
            squares += weight[k] * rest[axis, k] ** 2
    for k in range(curve.size):
        lever = (1.0 / total + (curve[k] - mean) ** 2 / square) / mean_variance[k]
        spread = max(1.0 - lever, 0.1) if kept[k] else 1.0 + lever
        length[k] = math.sqrt((rest[0, k] ** 2 + rest[1, k] ** 2) / mean_variance[k] / spread)
    return squares


@kernel
def _keep(length, sample, kept, least):
    """Keep the dates that are no outliers; returns whether others are kept than before."""
    for k in range(length.size):
        sample[k] = length[k]
    scale = max(_median(sample) / MEDIAN_LENGTH, math.sqrt(least))
    number = 0
    for k in range(length.size):
        number += length[k] <= CUT * scale
    is_changed = False
    for k in range(length.size):
        is_kept = length[k] <= CUT * scale or number < FEWEST
        is_changed = is_changed or is_kept != kept[k]
        kept[k] = is_kept
    return is_changed


@kernel
def _gain(place, since, step, steady, rows, weight, observed, curve):
    """What a curve between those tried takes from the squares."""
    share = -math.expm1(-(place - steady) * step)
    total, mean, mean_x, mean_y = 0.0, 0.0, 0.0, 0.0
    for k in range(rows.size):
        s = since[rows[k]]
        curve[k] = s if abs(share) < 1e-9 else -math.log1p(-share * s) / share
        total += weight[k]
        mean += weight[k] * curve[k]
        mean_x += weight[k] * observed[0, k]
        mean_y += weight[k] * observed[1, k]
    mean, mean_x, mean_y = mean / total, mean_x / total, mean_y / total
    along_x, along_y, square = 0.0, 0.0, 0.0
    for k in range(rows.size):
        f = weight[k] * (curve[k] - mean)
        square += f * (curve[k] - mean)
        along_x += f * (observed[0, k] - mean_x)
        along_y += f * (observed[1, k] - mean_y)
    return (along_x**2 + along_y**2) / square if square > 0.0 else 0.0


@kernel
def _top(since, step, steady, rows, weight, observed, curve, best, count):
    """Place of the best curve beside the best one that was tried, by golden section."""
    low, high = float(max(best - 1, 0)), float(min(best + 1, count - 1))
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    of_left = _gain(left, since, step, steady, rows, weight, observed, curve)
    of_right = _gain(right, since, step, steady, rows, weight, observed, curve)
    for _ in range(SECTIONS):
        if of_left > of_right:
            high, right, of_right = right, left, of_left
            left = high - GOLDEN * (high - low)
            of_left = _gain(left, since, step, steady, rows, weight, observed, curve)
        else:
            low, left, of_left = left, right, of_right
            right = low + GOLDEN * (high - low)
            of_right = _gain(right, since, step, steady, rows, weight, observed, curve)
    return 0.5 * (low + high)


@kernel
def _bracket(gains, place, enough, way):
    """Places between which gains fall below what is enough, the outermost on a side; the last twice if not."""
    c = 0 if way < 0 else gains.size - 1
    if gains[c] >= enough:
        return float(c), float(c)
    while (c - place) * way > 0.0 and gains[c] < enough:
        c -= way
    if (c - place) * way > 0.0:
        return float(c), float(c + way)
    return place, float(c + way)
