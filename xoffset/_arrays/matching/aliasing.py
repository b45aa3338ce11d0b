"""Bias of shifts by detail that is too fine for the pixels, from the spectra of two windows."""

from __future__ import annotations

import numpy as np

# Mean squared slope over mean squared value below which the bias is lost in that of interpolation, rad² px⁻².
LEAST_BAND = 0.4
# Amplitude of the bias where the band is one such unit wider, px; it grows with the square. Scenes of amplitude
# spectrum 1/frequency^b, averaged over the area of a pixel, windows of 64 px: at b = 0, 0.4, 0.7, 1 the band is 1.40,
# 1.13, 0.89, 0.61 rad² px⁻² and the bias 0.033, 0.015, 0.009, 0.005 px.
AMPLITUDE = 0.034


def variance(first: np.ndarray, second: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Squared bias (window, 2) [px²] of shifts (window, 2), from half spectra (window, size, size//2 + 1) of both.

    What is aliased moves with the wrong phase, and draws the shift by A·sin(2π·shift). How much of it there is follows
    from how sharp the detail is that both windows share, if images are taken as means over pixels. The windows are cut
    at the whole shift, and may still lie half a pixel apart.
    """
    size = first.shape[1]
    # columns between the first and the last stand for two frequencies
    twice = np.full(first.shape[2], 2.0)
    twice[0] = 1.0
    if size % 2 == 0:
        twice[-1] = 1.0
    steepness = _squared_slope(np.fft.fftfreq(size))[:, None] + _squared_slope(np.fft.rfftfreq(size))
    shared = first.real * second.real
    shared += first.imag * second.imag
    common = np.einsum("nij,j->n", shared, twice.astype(shared.dtype)).astype(np.float64)
    slopes = np.einsum("nij,ij->n", shared, (steepness * twice).astype(shared.dtype))
    band = np.where(common > 0.0, slopes / np.where(common > 0.0, common, 1.0), 0.0)
    amplitude = AMPLITUDE * np.maximum(band - LEAST_BAND, 0.0) ** 2
    return np.asarray((amplitude[:, None] * np.sin(2.0 * np.pi * shift)) ** 2)


def _squared_slope(frequency: np.ndarray) -> np.ndarray:
    """Squared response of five-point differences, as those that the slopes of images are of."""
    angle = 2.0 * np.pi * frequency
    return np.asarray(((8.0 * np.sin(angle) - np.sin(2.0 * angle)) / 6.0) ** 2)
