"""Pre-filters applied to the pixels of a tile."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xoffset._arrays.filters.noise import noise
from xoffset._arrays.filters.options import (
    Bandpass,
    Highpass,
    Laplacian,
    Naof,
    Orientation,
    Prefilter,
    Rank,
    Sobel,
    Stencil,
    Wallis,
)
from xoffset._arrays.filters.smoothing import (
    ACROSS,
    ALONG,
    LAPLACE,
    SOBEL,
    Filtered,
    bandpass,
    local_level,
    stencil,
)
from xoffset._arrays.lattice import Tile
from xoffset._kernels.images import filters, ranks

# Standard deviation below which the result of a filter that knows no contrast is no texture.
LEAST_TEXTURE = 1e-2


def apply(prefilter: Prefilter, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    """Filter one image of a tile.

    Parameters
    ----------
    prefilter
        A result of `settle`.
    centred
        (height, width) image of about zero mean, zero where unknown.
    known
        (height, width) uint8, pixels with a value.
    frame
        Part inside the image, whose edge is no hole.

    Returns
    -------
    filtered : numpy.ndarray
        (height, width), of the type of the image; complex for `Orientation`.
    valid : numpy.ndarray
        (height, width) uint8, known pixels around which the filter knew enough.
    """
    return _FILTERS[type(prefilter)](prefilter, centred, known, frame)


def _highpass(prefilter: Highpass, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    return bandpass(Bandpass(0.0, prefilter.coarse), centred, known, frame)


def _level_for_stencil(prefilter: Stencil, centred: np.ndarray, known: np.ndarray) -> Filtered:
    """Low-pass, and the known pixels whose eight neighbours are told as well."""
    level, moments = local_level(centred, known, prefilter.fine)
    usable = np.pad(moments[0] >= filters.LEAST_WEIGHT, 1)
    inner = np.lib.stride_tricks.sliding_window_view(usable, (3, 3)).all((-2, -1))
    return level, known & inner.astype(np.uint8)


def _laplacian(prefilter: Laplacian, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    level, valid = _level_for_stencil(prefilter, centred, known)
    return stencil(level, LAPLACE), valid


def _gradient(prefilter: Stencil, centred: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    level, valid = _level_for_stencil(prefilter, centred, known)
    return stencil(level, SOBEL), stencil(level, SOBEL.T), valid


def _sobel(prefilter: Sobel, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    along_x, along_y, valid = _gradient(prefilter, centred, known)
    return np.sqrt(along_x * along_x + along_y * along_y), valid


def _orientation(prefilter: Orientation, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    along_x, along_y, valid = _gradient(prefilter, centred, known)
    magnitude = np.hypot(along_x, along_y)
    is_flat = magnitude <= _rounding(centred)
    unit = (along_x + 1j * along_y) / np.where(is_flat, 1.0, magnitude).astype(centred.dtype)
    return np.where(is_flat, 0.0, unit).astype(np.result_type(centred.dtype, np.complex64)), valid


def _naof(prefilter: Naof, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    level, valid = _level_for_stencil(prefilter, centred, known)
    out = np.zeros_like(level)
    for first, second in ((ALONG, ALONG.T), (ACROSS, ACROSS[::-1])):
        sine, cosine = stencil(level, first), stencil(level, second)
        size = np.hypot(sine, cosine)
        is_flat = size <= _rounding(centred)
        # cos + sin of atan2(first, second), which is 1 where both are zero
        out += np.where(is_flat, 1.0, (sine + cosine) / np.where(is_flat, 1.0, size)).astype(out.dtype)
    return out, valid


def _rounding(centred: np.ndarray) -> float:
    """Difference between pixels that may be nothing but rounding."""
    return 32.0 * float(np.finfo(centred.dtype).eps) * float(np.abs(centred).max())


def _wallis(prefilter: Wallis, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    side = prefilter.window
    ones = np.ones(side)
    mask = known.astype(np.float64)
    image = centred.astype(np.float64)
    count, total, square = (np.empty_like(image) for _ in range(3))
    for values, sums in ((mask, count), (image, total), (image * image, square)):
        filters.smooth(values, ones, ones, np.empty_like(image), sums)
    least = np.maximum(count, 1.0)
    mean = total / least
    variance = np.maximum(square / least - mean * mean, 0.0) * least / np.maximum(least - 1.0, 1.0)
    # below twice the noise of the sensor a spread is no texture: leave it faint
    floor = max(2.0 * noise(centred, known), 32.0 * _rounding(centred), float(np.finfo(np.float64).tiny))
    out = np.where(known, (image - mean) / np.maximum(np.sqrt(variance), floor), 0.0).astype(centred.dtype)
    return out, known & (count >= filters.LEAST_WEIGHT * _count_in_frame(centred.shape, frame, side)).astype(np.uint8)


def _count_in_frame(shape: tuple[int, int], frame: Tile, side: int) -> np.ndarray:
    """Pixels of a square around each that lie inside the image."""
    along = []
    for size, part in zip(shape, frame, strict=True):
        inside = np.zeros(size)
        inside[part] = 1.0
        along.append(np.convolve(inside, np.ones(side))[side // 2 : side // 2 + size])
    return np.multiply.outer(*along)


def _rank(prefilter: Rank, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    out, count = np.empty_like(centred), np.empty(centred.shape, dtype=np.int32)
    ranks.rank(centred, known, prefilter.radius, out, count)
    inside = _count_in_frame(centred.shape, frame, 2 * prefilter.radius + 1) - 1.0
    is_fit = (count > 0) & (count >= filters.LEAST_WEIGHT * inside)
    return np.where(known, out, 0).astype(out.dtype), known & is_fit.astype(np.uint8)


_FILTERS: dict[type, Callable[..., Filtered]] = {
    Bandpass: bandpass, Highpass: _highpass, Laplacian: _laplacian, Sobel: _sobel, Orientation: _orientation,
    Naof: _naof, Wallis: _wallis, Rank: _rank,
}  # fmt: skip
