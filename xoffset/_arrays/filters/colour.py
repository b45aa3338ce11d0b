"""What colour a filter gives to the noise of an image."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from xoffset._arrays.filters.apply import apply
from xoffset._arrays.filters.gaussian import gaussian_taps
from xoffset._arrays.filters.noise import BLOCK, derivatives, noise
from xoffset._arrays.filters.options import Bandpass, Highpass, Laplacian, Prefilter
from xoffset._arrays.filters.smoothing import Filtered, linear, stencil
from xoffset._arrays.lattice import Tile

# A perturbation that tells how a filter passes noise is at least this part of the image's contrast.
LEAST_NOISE = 1e-3
# Reach of the kernel that colours noise as a non-linear filter does, px.
COLOUR_RADIUS = 5


class Colour(NamedTuple):
    """How a filter colours white noise, as a symmetric kernel whose autocorrelation is that of the filtered noise."""

    gain: float  # energy of the kernel: variance of the filtered noise over that of the kernel's input
    spread: Callable[[np.ndarray], np.ndarray]  # correlation of an image with the kernel, zero beyond the edges


# White noise: each pixel is independent of the others.
WHITE = Colour(1.0, np.array)


def colour(prefilter: Prefilter, centred: np.ndarray, known: np.ndarray, frame: Tile, filtered: Filtered) -> Colour:
    """Colour that the filter gives to the noise of an image of a tile; `filtered` is the result of `apply`.

    A linear filter is its own kernel. Of another, the change of its result by a little more noise tells the
    autocorrelation, and the root of its spectrum is the kernel.
    """
    if isinstance(prefilter, (Bandpass, Highpass, Laplacian)):
        return Colour(_gain(prefilter), partial(linear, prefilter))
    change = _change_by_noise(prefilter, centred, known, frame, filtered)
    taps = _kernel_of_noise(change)
    return Colour(1.0, partial(stencil, taps=taps * _hold_of_noise(change, taps, filtered)))


@cache
def _gain(prefilter: Bandpass | Highpass | Laplacian) -> float:
    """Variance that a filter leaves of white noise of variance 1: the energy of its kernel."""
    reach = prefilter.reach(0)
    if isinstance(prefilter, Laplacian):
        impulse = np.zeros((2 * reach + 1, 2 * reach + 1))
        impulse[reach, reach] = 1.0
        return float((linear(prefilter, impulse) ** 2).sum())
    # the kernel of a separable filter is known without compiling it for this type
    fine = prefilter.fine if isinstance(prefilter, Bandpass) else 0.0
    assert not isinstance(fine, str)
    assert not isinstance(prefilter.coarse, str)
    taps = [gaussian_taps(sigma, np.dtype(np.float64)) for sigma in (fine, prefilter.coarse)]
    low, high = (np.pad(np.multiply.outer(each, each), reach - each.size // 2) for each in taps)
    return float(((low - high) ** 2).sum())


def _change_by_noise(
    prefilter: Prefilter, centred: np.ndarray, known: np.ndarray, frame: Tile, filtered: Filtered
) -> np.ndarray:
    """What as much white noise as the image has changes in its filtered image, float64; zero where invalid."""
    contrast = float(np.std(centred[known > 0], dtype=np.float64)) if known.any() else 0.0
    amount = max(noise(centred, known), LEAST_NOISE * contrast)
    # one pattern for all images: it belongs to the tile, as everything that the filter sees
    pattern = np.random.default_rng(0).standard_normal(centred.shape) * amount
    again, fit = apply(prefilter, np.where(known, centred + pattern, 0.0).astype(centred.dtype), known, frame)
    before, valid = filtered
    return np.where(valid & fit, again - before, 0.0).astype(np.float64)


def _kernel_of_noise(change: np.ndarray) -> np.ndarray:
    """Symmetric kernel (n, n) of energy 1 that colours white noise as `change` is coloured."""
    spectrum = np.abs(np.fft.rfft2(change, [size + COLOUR_RADIUS for size in change.shape])) ** 2
    lags = np.arange(-COLOUR_RADIUS, COLOUR_RADIUS + 1)
    correlation = np.fft.irfft2(spectrum, [size + COLOUR_RADIUS for size in change.shape])[np.ix_(lags, lags)]
    middle = correlation[COLOUR_RADIUS, COLOUR_RADIUS]
    if not middle > 0.0:
        correlation, middle = np.outer(lags == 0, lags == 0).astype(np.float64), 1.0
    side = 8 * COLOUR_RADIUS
    around = np.zeros((side, side))
    around[np.ix_(lags, lags)] = correlation / middle
    root = np.sqrt(np.maximum(np.fft.rfft2(around).real, 0.0))
    taps = np.fft.irfft2(root, (side, side))[np.ix_(lags, lags)]
    return np.asarray(taps / np.sqrt((taps**2).sum()))


def _hold_of_noise(change: np.ndarray, taps: np.ndarray, filtered: Filtered) -> float:
    """How much more the changed noise moves a match than evenly spread noise of the same colour, as an amplitude.

    The noise of a non-linear filter is not the same everywhere: where an image is steep it follows its steepness.
    """
    image, valid = filtered
    moved, expected = 0.0, 0.0
    slopes = np.concatenate([derivatives(image), derivatives(stencil(image, taps))])
    rim = COLOUR_RADIUS + 2
    for top in range(rim, image.shape[0] - BLOCK - rim + 1, BLOCK):
        for left in range(rim, image.shape[1] - BLOCK - rim + 1, BLOCK):
            block = (slice(top, top + BLOCK), slice(left, left + BLOCK))
            noise_of_block = change[block] - change[block].mean()
            power = float((noise_of_block**2).mean())
            if valid[block].all() and power > 0.0:
                along = slopes[:2, block[0], block[1]] - slopes[:2, block[0], block[1]].mean((1, 2), keepdims=True)
                moved += float(((along * noise_of_block).sum((1, 2), dtype=np.float64) ** 2).sum()) / power
                expected += float((slopes[2:, block[0], block[1]].astype(np.float64) ** 2).sum())
    return math.sqrt(moved / expected) if moved > 0.0 and expected > 0.0 else 1.0
