"""Samples of a Gaussian."""

from __future__ import annotations

import functools

import numpy as np


@functools.cache
def gaussian_taps(sigma: float, dtype: np.dtype) -> np.ndarray:
    """Samples of a Gaussian out to 4 sigma, of sum 1; the single tap 1 if sigma is 0. They are kept: leave them."""
    radius = int(4.0 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1) / sigma if sigma > 0.0 else np.zeros(1)
    taps = np.exp(-0.5 * offsets**2)
    return np.asarray(taps / taps.sum(), dtype=dtype)
