"""Waves along one axis of an array that go through all of it along the other: wavelets on one, Fourier on the other."""

from __future__ import annotations

import numpy as np
import scipy.fft

# Daubechies' wavelet of eight vanishing moments.
WAVELET = "db8"
# Standard deviation of the Gaussian that tells what goes through, in waves across the array.
_DAMPING = 2.0


def common(cells: np.ndarray, width: float, band: tuple[float, float]) -> np.ndarray:
    """Part of cells (column, bin) in a band of wavelengths along the bins that changes little from column to column.

    Cells that are NaN are those of the mean of their bin. `width` is that of a bin. After Münch et al. 2009, Optics
    Express 17, 8567-8591: the details of each octave of the band are damped in all but the slowest waves across.
    """
    import pywt

    rest = _filled(cells)
    details = []
    octave = width
    while 2.0 * octave * 2.0 <= 1.001 * band[1]:
        octave *= 2.0
        length = rest.shape[1]
        rest, detail = pywt.dwt(rest, WAVELET, mode="symmetric", axis=1)
        details.append((length, _slow_across(detail) if octave >= 0.999 * band[0] else np.zeros_like(detail)))
    found = np.zeros_like(rest)
    for length, detail in reversed(details):
        found = pywt.idwt(found, detail, WAVELET, mode="symmetric", axis=1)[:, :length]
    return np.asarray(found)


def _filled(cells: np.ndarray) -> np.ndarray:
    """The cells, with the mean of the bin where one is unknown, between the bins around where all are."""
    seen = np.isfinite(cells)
    number = seen.sum(axis=0)
    mean = np.where(seen, cells, 0.0).sum(axis=0) / np.maximum(number, 1)
    places = np.arange(mean.size)
    mean = np.interp(places, places[number > 0], mean[number > 0])
    return np.where(seen, cells, mean)


def _slow_across(detail: np.ndarray) -> np.ndarray:
    waves = scipy.fft.rfft(detail, axis=0)
    kept = np.exp(-0.5 * (np.arange(waves.shape[0]) / _DAMPING) ** 2)
    return np.asarray(scipy.fft.irfft(kept[:, np.newaxis] * waves, detail.shape[0], axis=0))
