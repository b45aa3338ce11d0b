"""Variances of the motion of windows: the noise of the images, and how much the motion bends within a window."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.matching.flow_field import Motion
from xoffset._kernels.matching import flow, residuals
from xoffset._kernels.matching.residuals import BLOCK

# Least ratio of the eigenvalues of the structure of a window: below, it has lines of one direction only.
LEAST_RATIO = 0.01
# Correlation of the slopes of both images along the direction of least contrast, below which these are noise: of lines
# 95 % are below 0.25, of any texture as faint as its noise 1 % below 0.38.
# It must be less than along the other direction, too: ground that has changed is alike nowhere.
LEAST_LIKENESS, LESS_ALIKE = 0.3, 0.4
# Largest variance of a shift, px^2: above, there is nothing to hold on to.
LARGEST = 0.25
# Square of what a window takes away from the true field, over that of what a second look takes away from the found one.
BENDING = 3.0
# Part of the variance by noise that shows as bending of the field.
NOISE_THAT_BENDS = 0.25
# Factor between the noise of sums of slopes times residual and that of a white residual, where there is none to ask.
COLOUR = 2.5
# Part of the residual that moves a window: the rest is fine detail that no window follows. With it, error over standard
# error is as large for constant motion, a landslide and a fault at SNR 4 and 10, ten scenes each.
SHARE = 0.87
# Bias of interpolation, px: of smooth pixels, and of ranks, which are less so.
INTERPOLATION, OF_RANKS = 0.002, 0.004


def variances(motion: Motion, radius: int, *, is_ranked: bool) -> np.ndarray:
    """Variances along x and y and their covariance (3, rows, columns), px²; NaN where a window has nothing to hold."""
    side = radius // BLOCK * 2 + 1
    square, count = np.empty_like(motion.square), np.empty_like(motion.pixels)
    residuals.box(motion.square, side, square)
    residuals.box(motion.pixels, side, count)
    colour = np.float32(motion.colour or COLOUR)
    noise = np.float32(SHARE) * colour * square / np.maximum(count, np.float32(1.0)) + np.float32(1e-6)
    out = np.empty((3, *motion.field.shape[1:]), dtype=np.float32)
    flow.covariances(motion.sums, LEAST_RATIO, LARGEST, noise, out)
    bends = _bends(motion, side)
    beyond = np.maximum(1.0 - NOISE_THAT_BENDS * (out[0] + out[1]) / (bends[0] + bends[1] + np.float32(1e-12)), 0.0)
    out += np.float32(BENDING) * beyond * bends
    out[:2] += np.float32((OF_RANKS if is_ranked else INTERPOLATION) ** 2)
    out[:, is_of_lines(motion)] = np.nan
    return out


def is_of_lines(motion: Motion) -> np.ndarray:
    """Blocks (rows, columns) around which both images share nothing along one direction, but something across it."""
    assert motion.likeness is not None
    most, least = motion.likeness
    return np.asarray((least < LEAST_LIKENESS) & (most - least > LESS_ALIKE))


def _bends(motion: Motion, side: int) -> np.ndarray:
    """Squares along x and y, and product, of what a window takes away from a field that bends (3, rows, columns).

    It is what a second look through the same windows takes away from the field that was found through them.
    """
    moved = np.empty_like(motion.field)
    flow.multiply(motion.system, motion.field[0], motion.field[1], moved[0], moved[1])
    again = motion.sums.copy()
    for component in range(2):
        residuals.box(moved[component], side, again[3 + component])
    lost, mean = np.empty_like(again[:3]), np.empty_like(again[:3])
    flow.differ(again, motion.field[0], motion.field[1], lost)
    for one, target in zip(lost, mean, strict=True):
        residuals.box(one, side, target)
    return mean / np.float32(side**2)
