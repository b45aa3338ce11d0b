"""Probability that another peak of a surface of scores is the match."""

from __future__ import annotations

import math

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.matching.significance import LEAST_PIXELS
from xoffset._kernels.matching.surface import OTHER, _rise

# Standard error of the height of a peak between the pixels, per difference from the highest pixel.
SHARE_OF_RISE = 0.12
# Chance at which another peak is as likely the pattern of repeated ground as a maximum of unrelated scores.
EVEN_CHANCE = 0.02


@kernel
def ambiguity(peaks, effective, chance, out):
    """Probability that the best other peak of the same surface is the match, at most 0.5, out (rows, columns).

    Where the images show the same pattern at both peaks, only the noise tells which score is higher. The difference of
    two correlations r that share the template, of D effective pixels, has the variance of Williams (1959, J. R. Stat.
    Soc. B 21, 396-399) with r between the two windows of the secondary too: (1 - r)² (2 (1 + 2r) + r² (1 - r)) /
    ((1 + r) D). Heights are those between the pixels, by parabolas. Another peak that chance explains is weighed down:
    whether the match is chance too is for `false_alarm` to say.

    Parameters
    ----------
    peaks
        (rows, columns, surface.PEAK_FIELDS); the result is NaN where nothing is known of other peaks.
    effective
        (rows, columns) pixels, or bright points where those carry the contrast, that a score is worth.
    chance
        (rows, columns) probability that unrelated ground reaches the score of the other peak.
    """
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            peak = peaks[row, column]
            top, other = float(peak[2]), float(peak[OTHER])
            if not (top == top and other == other):
                out[row, column] = np.nan
                continue
            if other <= 0.0:
                out[row, column] = 0.0
                continue
            rise = 0.0
            for before, after in ((5, 11), (7, 9)):
                if peak[before] == peak[before] and peak[after] == peak[after]:
                    rise += _rise(float(peak[before]), top, float(peak[after]), 0.0)
            beyond = float(peak[OTHER + 1])
            r = min(max(0.5 * (top + rise + other + beyond), 0.0), 0.9999)
            variance = (1.0 - r) ** 2 * (2.0 * (1.0 + 2.0 * r) + r * r * (1.0 - r)) / (1.0 + r)
            variance /= max(effective[row, column], LEAST_PIXELS)
            deviation = math.sqrt(variance) + SHARE_OF_RISE * (rise + beyond)
            # of two that cannot be told apart the higher one is no worse a guess
            gap = max(top + rise - other - beyond, 0.0)
            out[row, column] = (
                0.5 * math.erfc(gap / deviation / math.sqrt(2.0)) / (1.0 + chance[row, column] / EVEN_CHANCE)
            )
