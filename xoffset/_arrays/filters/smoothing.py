"""Gaussians and stencils that do without missing pixels."""

from __future__ import annotations

import math

import numpy as np

from xoffset._arrays.filters.options import Bandpass, Highpass, Laplacian
from xoffset._arrays.lattice import Tile
from xoffset._kernels.images import filters

Filtered = tuple[np.ndarray, np.ndarray]


def difference(image: np.ndarray, fine: float, coarse: float, gains: list[np.ndarray] | None = None) -> np.ndarray:
    """Fine minus coarse low-pass of an image that is zero beyond its edges; gains (2, height) and (2, width)."""
    height, width = image.shape
    halves = [half_of_taps(sigma, image.dtype) for sigma in (fine, coarse)]
    margin = max(half.size for half in halves)
    # rows of whole vector registers that start on a cache line take half the time
    stride = -(-width // 16) * 16
    rows = _aligned((2, 2 * margin + height + 1, stride), image.dtype)
    rows[:, :margin] = 0.0
    rows[:, margin + height :] = 0.0
    line = np.zeros(2 * margin + stride, dtype=image.dtype)
    if gains is None:
        gains = [np.ones((2, size)) for size in image.shape]
    gain_y, gain_x = (gain.astype(image.dtype) for gain in gains)
    out = np.empty(image.shape, dtype=image.dtype)
    filters.bandpass(image, *halves, gain_y, gain_x, rows, line, out)
    return out


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Array of any content that starts on a cache line."""
    size = math.prod(shape) * dtype.itemsize
    store = np.empty(size + 64, dtype=np.uint8)
    start = -store.ctypes.data % 64
    return store[start : start + size].view(dtype).reshape(shape)


def half_of_taps(sigma: float, dtype: np.dtype) -> np.ndarray:
    """Middle tap of a Gaussian and those on one side, filled up with zeros for the kernels."""
    taps = filters.gaussian_taps(sigma, dtype)
    half = taps[taps.size // 2 :]
    blocks = max(-(-(half.size - 1) // filters.FOLD), 1)
    return np.concatenate([half, np.zeros(1 + blocks * filters.FOLD - half.size, dtype=dtype)])


def weight_of_line(size: int, sigma: float) -> np.ndarray:
    """Low-pass of a line of ones, zero beyond: below 1 near the edges only."""
    taps = filters.gaussian_taps(sigma, np.dtype(np.float64))
    radius = taps.size // 2
    return np.convolve(np.ones(size), taps)[radius : radius + size]


def lowpass(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian low-pass of an image that is zero beyond its edges."""
    if sigma == 0.0:
        return image
    out = np.empty_like(image)
    taps = filters.gaussian_taps(sigma, image.dtype)
    filters.smooth(image, taps, taps, np.empty_like(image), out)
    return out


def local_level(centred: np.ndarray, known: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Low-pass of an image with holes, and the moments (1, x, y) of the known pixels around each."""
    moments = np.zeros((3, *centred.shape), dtype=centred.dtype)
    if sigma == 0.0:
        moments[0] = known
        return centred, moments
    weight = np.multiply.outer(*(weight_of_line(size, sigma) for size in centred.shape))
    level = lowpass(centred, sigma) / weight.astype(centred.dtype)
    moments[0] = 1.0
    if not known.all():
        taps = filters.gaussian_taps(sigma, np.dtype(np.float64))
        offset = (np.arange(taps.size) - taps.size // 2) / sigma
        powers = np.stack([taps * offset**n for n in range(3)]).astype(centred.dtype)
        filters.level_beside_holes(centred, known.astype(centred.dtype), powers, level, moments)
    return level, moments


def centroids_in_frame(image: np.ndarray, frame: Tile, sigma: float) -> list[np.ndarray]:
    """Offset of the centroid of a low-pass that the edges of the image cause, by row and by column, in widths.

    The edge of the image is no hole: a template keeps away from it as far as it is searched for.
    """
    taps = filters.gaussian_taps(sigma, np.dtype(np.float64))
    radius = taps.size // 2
    lever = taps * np.arange(-radius, radius + 1) / sigma
    offsets = []
    for size, part in zip(image.shape, frame, strict=True):
        # beyond the window is no hole, only beyond the image
        inside = np.zeros(size + 2 * radius)
        first = part.start + radius if part.start > 0 else 0
        last = part.stop + radius if part.stop < size else inside.size
        inside[first:last] = 1.0
        weight = np.correlate(inside, taps, mode="valid")
        offset = np.correlate(inside, lever, mode="valid") / np.maximum(weight, 1e-6)
        offsets.append(offset.astype(image.dtype))
    return offsets


# Stencils of 3 x 3 pixels, rows from top to bottom.
# Sum of the second differences along x and y.
LAPLACE = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
# Slope along x per pixel, averaged over three rows; its transpose is the slope along y.
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
# Second difference along x with its sign reversed; its transpose is that along y.
ALONG = np.array([[0, 0, 0], [-1, 2, -1], [0, 0, 0]])
# The same along one diagonal; upside down it is that along the other.
ACROSS = np.array([[-1, 0, 0], [0, 2, 0], [0, 0, -1]])


def stencil(level: np.ndarray, taps: np.ndarray) -> np.ndarray:
    out = np.empty_like(level)
    filters.correlate(level, taps.astype(level.dtype), out)
    return out


def bandpass(prefilter: Bandpass, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    fine, coarse = prefilter.fine, prefilter.coarse
    assert not isinstance(fine, str)
    assert not isinstance(coarse, str)
    if known.all():
        gains = [np.stack([1.0 / weight_of_line(size, sigma) for sigma in (fine, coarse)]) for size in centred.shape]
        return difference(centred, fine, coarse, gains), known
    low, near = local_level(centred, known, fine)
    high, far = local_level(centred, known, coarse)
    valid = np.empty_like(known)
    filters.fit_pixels(known, near[0], far, *centroids_in_frame(centred, frame, coarse), valid)
    return low - high, valid


def linear(prefilter: Bandpass | Highpass | Laplacian, image: np.ndarray) -> np.ndarray:
    """Linear filter of an image without holes that is zero beyond its edges."""
    if isinstance(prefilter, Laplacian):
        return stencil(lowpass(image, prefilter.fine), LAPLACE)
    fine = prefilter.fine if isinstance(prefilter, Bandpass) else 0.0
    assert not isinstance(fine, str)
    assert not isinstance(prefilter.coarse, str)
    return difference(image, fine, prefilter.coarse)
