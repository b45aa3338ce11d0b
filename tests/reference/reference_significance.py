"""Slow twins of the significance kernels: plain NumPy and SciPy, written from the equations."""

from __future__ import annotations

import numpy as np
import scipy.special
import scipy.stats


def block_products(image, lag_y, lag_x, block, shape):
    """Sums over blocks of image[i]·image[i + lag], zero beyond the edges; (rows, columns, lag)."""
    reach = int(max(np.abs(lag_y).max(), np.abs(lag_x).max())) + block * max(shape)
    wide = np.pad(image.astype(np.float64), reach)
    out = np.empty((*shape, len(lag_y)))
    for k, (y, x) in enumerate(zip(lag_y, lag_x, strict=True)):
        product = (wide * np.roll(wide, (-y, -x), axis=(0, 1)))[reach:, reach:]
        for row in range(shape[0]):
            for column in range(shape[1]):
                square = product[row * block : (row + 1) * block, column * block : (column + 1) * block]
                out[row, column, k] = square.sum()
    return out


def variance_of_score(covariance, template):
    """Variance of the correlation of two unrelated windows whose images share this covariance of offsets (y, x).

    trace((P C P)²) / trace(P C P)² with C the covariance of the pixels of a window and P what removes its mean.
    """
    y, x = (axis.ravel() for axis in np.indices((template, template)))
    matrix = covariance(y[:, None] - y, x[:, None] - x)
    removed = np.eye(template**2) - 1.0 / template**2
    matrix = removed @ matrix @ removed
    return np.trace(matrix @ matrix) / np.trace(matrix) ** 2


def tail(score, freedom):
    """Probability that the correlation of `freedom` + 1 independent pixels of known mean exceeds a score."""
    return 0.5 * scipy.special.betainc(0.5 * freedom, 0.5, 1.0 - score**2)


def excess(window, other):
    """Geometric mean of the excess kurtoses of two windows, 0 where either is negative."""
    both = [max(scipy.stats.kurtosis(each, axis=None), 0.0) for each in (window, other)]
    return np.sqrt(both[0] * both[1])


def ambiguity(top, other, effective, chance):
    """Tail of the difference of two correlations of one template (Williams 1959), by the general formula.

    `top`, `other`: score of a peak and by how much it is higher between the pixels.
    """
    gap = max(sum(top) - sum(other), 0.0)
    r = min(max(0.5 * (sum(top) + sum(other)), 0.0), 0.9999)
    determinant = np.linalg.det([[1.0, r, r], [r, 1.0, r], [r, r, 1.0]])
    variance = (2.0 * determinant + r**2 * (1.0 - r) ** 3) / ((1.0 + r) * effective)
    deviation = np.sqrt(variance) + 0.12 * (top[1] + other[1])
    return scipy.special.ndtr(-gap / deviation) * 0.02 / (0.02 + chance)


def false_alarm(score, effective, candidates, rough, pixels, excess=0.0):
    """Expected number of maxima above a score turned into a probability; all scalars, Gaussian form."""
    if np.isnan(score):
        return np.nan
    if score <= 0.0 or effective <= 0.0:
        return 1.0
    freedom = effective - 1.0
    bend = (1.0 - min(effective / pixels, 1.0) ** 3) / 3.0
    log = -np.log(1.0 - score**2)
    # few bright points: the large deviation of a number that follows Poisson, and what is left of the freedom
    whole = log * (1.0 + bend * log)
    u = score * excess
    poisson = score**2 * (2.0 * ((1.0 + u) * np.log(1.0 + u) - u) / u**2 if u > 0.0 else 1.0)
    points = max(effective / (1.0 + excess), 1.0) - 1.0
    part = (poisson + points / freedom * (whole - score**2)) / whole
    level = np.sqrt(freedom * whole * part) * (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0)
    # how fast the square of the level grows with log(score)
    steep = (
        np.sqrt(freedom * (1.0 + 2.0 * bend * log) * score**2 / (1.0 - score**2) * part) if freedom >= 4.0 else level
    )
    maxima = 1.0
    for rho in rough:
        above = scipy.special.ndtr(-max(steep, 2.0) * np.sqrt((1.0 - rho) / (1.0 + rho)))
        maxima *= 1.0 - 2.0 * above + (1.0 - rho**2) * above**2
    return 1.0 - np.exp(-candidates * scipy.special.ndtr(-level) * maxima)
