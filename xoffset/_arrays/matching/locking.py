"""Bias of pairs of images that were resampled to smaller pixels."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.matching.protocol import FIELDS

# An image that was resampled by cubic convolution from pixels r times as wide has detail that stays with these pixels
# when the ground moves. It draws a shift to whole pixels of theirs: its bias is -A·sin(2π·shift/r), in windows of any
# size, with A = AMPLITUDE·(r - 1)^GROWTH·band^(FALL/r) px. Measured for r = 1.5, 2 and 3 on ground of amplitude
# spectrum 1/frequency^b: at b = 0.7, 1.3, 2 it is 0.034, 0.010, 0.002 px; 0.090, 0.038, 0.011 px; 0.24, 0.14, 0.065 px.
# At r = 4 and 6 it is within a tenth of 0.45, 0.31, 0.18 px and of 0.97, 0.81, 0.63 px.
AMPLITUDE, GROWTH, FALL = 0.173, 1.74, 4.0
# Steps toward the true shift, whose bias it is: what is found lies nearer to whole pixels, where there is less.
STEPS = 4


def variance(
    filtered: np.ndarray, slopes: np.ndarray, valid: np.ndarray, shift: np.ndarray, native: float
) -> np.ndarray:
    """Squared bias [px²] of shifts [px] of an image resampled from pixels of `native` px, along one axis.

    Of the reference: `filtered` (height, width), `slopes` along x and y (2, height, width), where these are `valid`.
    """
    fit = valid[2:-2, 2:-2] > 0
    energy = float((filtered[2:-2, 2:-2][fit].astype(np.float64) ** 2).sum())
    if not energy > 0.0:
        return np.zeros_like(shift)
    slopes = slopes[:, 2:-2, 2:-2][:, fit].astype(np.float64)
    # mean squared slope over mean squared value, rad² px⁻²
    band = float((slopes**2).sum()) / energy
    amplitude = AMPLITUDE * (native - 1.0) ** GROWTH * band ** (FALL / native)
    bias = np.zeros_like(shift)
    for _ in range(STEPS):
        bias = amplitude * np.sin(2.0 * np.pi / native * (shift + bias))
    return np.asarray(bias**2)


def widen(found: np.ndarray, filtered: np.ndarray, slopes: np.ndarray, valid: np.ndarray, native: float) -> None:
    """Add the squared bias to the variances of a tile's fields (field, rows, columns), see `variance`."""
    if native > 1.0:
        for shift, of_noise in (("dx", "variance_dx"), ("dy", "variance_dy")):
            along = found[FIELDS.index(shift)]
            found[FIELDS.index(of_noise)] += variance(filtered, slopes, valid, along, native)
