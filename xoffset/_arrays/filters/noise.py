"""How much noise an image has, and the band that it leaves."""

from __future__ import annotations

import math

import numpy as np

from xoffset._arrays.filters.options import WIDTHS, Bandpass, Highpass, Log, Prefilter, coarse_width
from xoffset._arrays.filters.smoothing import bandpass, linear, stencil
from xoffset._arrays.lattice import Tile
from xoffset._kernels.matching import refine

# Side of the blocks in which the noise is held against the slopes of the image, px.
BLOCK = 16


def noise(image: np.ndarray, known: np.ndarray) -> float:
    """Standard deviation of the white noise of an image (Immerkaer 1996, Comput. Vis. Image Underst. 64, 300-302).

    From the pixels whose eight neighbours are known; 0 if there is none. Fine texture counts as noise.
    """
    second = np.array([1, -2, 1])
    left = stencil(image, np.multiply.outer(second, second))[1:-1, 1:-1]
    if known.all():
        return float(np.abs(left).mean(dtype=np.float64)) * math.sqrt(math.pi / 2.0) / 6.0 if left.size else 0.0
    is_whole = np.lib.stride_tricks.sliding_window_view(known, (3, 3)).all((-2, -1))
    if not is_whole.any():
        return 0.0
    return float(np.abs(left[is_whole]).mean(dtype=np.float64)) * math.sqrt(math.pi / 2.0) / 6.0


def variance_of_match(centred: np.ndarray, known: np.ndarray, fine: float, coarse: float) -> float:
    """Variance that a band-pass leaves of a match in this image, up to a factor that all widths share.

    H⁻² J with H the energy of the slopes and J that of the slopes filtered once more, both without what the noise of
    the image adds to them; half of that stays in J, for noise meets the noise in the slopes of the template as well.
    """
    whole: Tile = (slice(0, centred.shape[0]), slice(0, centred.shape[1]))
    prefilter = Bandpass(fine, coarse)
    filtered, valid = bandpass(prefilter, centred, known, whole)
    reach = 2 * prefilter.reach(0) + 4
    impulse = np.zeros((2 * reach + 1, 2 * reach + 1))
    impulse[reach, reach] = 1.0
    power = noise(centred, known) ** 2
    energies = []
    for image, kernel in (
        (filtered, linear(prefilter, impulse)),
        (linear(prefilter, filtered), linear(prefilter, linear(prefilter, impulse))),
    ):
        own = sum(float((slope[valid > 0].astype(np.float64) ** 2).mean()) for slope in derivatives(image))
        energies.append((own, power * sum(float((slope**2).sum()) for slope in derivatives(kernel))))
    (hold, hold_of_noise), (spread, spread_of_noise) = energies
    if not hold > hold_of_noise:
        return math.inf
    return max(spread - 0.5 * spread_of_noise, 0.0) / (hold - hold_of_noise) ** 2


def derivatives(image: np.ndarray) -> np.ndarray:
    """Derivatives along x and y (2, height, width)."""
    out = np.empty((2, *image.shape), dtype=image.dtype)
    refine.slopes(image, out[0], out[1])
    return out


def settle(prefilter: Prefilter, centred: np.ndarray, known: np.ndarray, template: int) -> Prefilter:
    """Filter with numbers for the widths that follow the template or the noise of the image."""
    if isinstance(prefilter, Highpass):
        return Highpass(coarse_width(prefilter.coarse, template))
    if not isinstance(prefilter, (Bandpass, Log)):
        return prefilter
    coarse = coarse_width(prefilter.coarse, template)
    fine = prefilter.fine
    if isinstance(fine, str):
        variances = [variance_of_match(centred, known, width, coarse) for width in WIDTHS]
        fine = WIDTHS[int(np.argmin(variances))]
    return Bandpass(fine, coarse)
