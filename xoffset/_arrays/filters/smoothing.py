"""Gaussians and stencils that do without missing pixels."""

from __future__ import annotations

import functools
import math

import numpy as np

from xoffset._arrays.filters.gaussian import gaussian_taps
from xoffset._arrays.filters.options import Bandpass, Highpass, Laplacian
from xoffset._arrays.lattice import Tile
from xoffset._kernels.images import filters

Filtered = tuple[np.ndarray, np.ndarray]
# Pixels beyond the rim of an image into which what lies beside it is continued, for the spline through it.
BEYOND = 8


def difference(
    image: np.ndarray,
    fine: float,
    coarse: float,
    gains: list[np.ndarray] | None = None,
    is_edge: tuple[bool, bool, bool, bool] = (False, False, False, False),
) -> np.ndarray:
    """Fine minus coarse low-pass of an image that is zero beyond its edges; gains (2, height) and (2, width).

    At the top, bottom, left or right, where what is known begins after BEYOND pixels, straight lines are continued.
    """
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
    edges = _taps_beside_edge(fine, coarse, image.dtype)
    out = np.empty(image.shape, dtype=image.dtype)
    filters.bandpass(image, *halves, gain_y, gain_x, edges, np.array(is_edge), rows, line, out)
    return out


def reach_of(sigma: float) -> int:
    """Pixels on each side that a Gaussian looks at."""
    return gaussian_taps(sigma, np.dtype(np.float64)).size // 2


@functools.cache
def taps_beside_edge(sigma: float, lines: int) -> tuple[np.ndarray, np.ndarray]:
    """Low-passes (line, tap) for lines beside an edge, from BEYOND before it on, and what they take from the mean.

    Each tells at its line the least-squares straight line, by the weights of a Gaussian, through what is known. As far
    as `lines` behind the edge.
    """
    taps = gaussian_taps(sigma, np.dtype(np.float64))
    radius = taps.size // 2
    out, mean = np.zeros((2, BEYOND + lines, BEYOND + 2 * lines))
    for line in range(BEYOND + lines):
        first = max(line - radius, BEYOND)
        weight = taps[first - line + radius :]
        known = slice(first, first + weight.size)
        offset = (np.arange(known.start, known.stop) - line) / max(sigma, 1.0e-9)
        m, mx, mxx = weight.sum(), weight @ offset, weight @ offset**2
        determinant = m * mxx - mx * mx
        # where all is known along the edge, that of a plane is `m` times as large
        if m > filters.LEAST_DETERMINANT:
            mean[line, known] = weight / m
        is_line = sigma > 0.0 and m * determinant > filters.LEAST_DETERMINANT
        out[line, known] = weight * (mxx - mx * offset) / determinant if is_line else mean[line, known]
    return out, mean - out


@functools.cache
def _taps_beside_edge(fine: float, coarse: float, dtype: np.dtype) -> np.ndarray:
    """Those of the fine and the coarse low-pass beside the first and the last edge (edge, low-pass, line, tap)."""
    first = np.stack([taps_beside_edge(sigma, reach_of(coarse))[0] for sigma in (fine, coarse)]).astype(dtype)
    return np.stack([first, first[:, ::-1, ::-1]])


def _twist(image: np.ndarray, sigma: float, lines: int) -> np.ndarray:
    """What straight lines across and along both edges at the first corner have that a plane has not (line, line)."""
    tilts = taps_beside_edge(sigma, lines)[1]
    size = tilts.shape[1]
    twist: np.ndarray = tilts @ image[:size, :size].astype(np.float64) @ tilts.T
    return twist


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Array of any content that starts on a cache line."""
    size = math.prod(shape) * dtype.itemsize
    store = np.empty(size + 64, dtype=np.uint8)
    start = -store.ctypes.data % 64
    return store[start : start + size].view(dtype).reshape(shape)


@functools.cache
def half_of_taps(sigma: float, dtype: np.dtype) -> np.ndarray:
    """Middle tap of a Gaussian and those on one side, filled up with zeros for the kernels. Not to be changed."""
    taps = gaussian_taps(sigma, dtype)
    half = taps[taps.size // 2 :]
    blocks = max(-(-(half.size - 1) // filters.FOLD), 1)
    return np.concatenate([half, np.zeros(1 + blocks * filters.FOLD - half.size, dtype=dtype)])


@functools.lru_cache(64)
def weight_of_line(size: int, sigma: float) -> np.ndarray:
    """Low-pass of a line of ones, zero beyond: below 1 near the edges only. Not to be changed."""
    taps = gaussian_taps(sigma, np.dtype(np.float64))
    radius = taps.size // 2
    return np.convolve(np.ones(size), taps)[radius : radius + size]


def lowpass(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian low-pass of an image that is zero beyond its edges."""
    if sigma == 0.0:
        return image
    out = np.empty_like(image)
    taps = gaussian_taps(sigma, image.dtype)
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
        taps = gaussian_taps(sigma, np.dtype(np.float64))
        offset = (np.arange(taps.size) - taps.size // 2) / sigma
        powers = np.stack([taps * offset**n for n in range(3)]).astype(centred.dtype)
        filters.level_beside_holes(centred, known.astype(centred.dtype), powers, level, moments)
    return level, moments


def centroids_in_frame(image: np.ndarray, frame: Tile, sigma: float) -> list[np.ndarray]:
    """Offset of the centroid of a low-pass that the edges of the image cause, by row and by column, in widths.

    The edge of the image is no hole: a template keeps away from it as far as it is searched for.
    """
    taps = gaussian_taps(sigma, np.dtype(np.float64))
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
        return difference(centred, fine, coarse, _gains(centred.shape, fine, coarse)), known
    if min(part.stop - part.start for part in frame) >= 4 * reach_of(coarse) and known[frame].all():
        return _bandpass_in_frame(prefilter, centred, known, frame)
    low, near = local_level(centred, known, fine)
    high, far = local_level(centred, known, coarse)
    valid = np.empty_like(known)
    filters.fit_pixels(known, near[0], far, *centroids_in_frame(centred, frame, coarse), valid)
    return low - high, valid


def _gains(shape: tuple[int, ...], fine: float, coarse: float) -> list[np.ndarray]:
    """Factors by which low-passes lack what lies beyond the edges, (2, height) and (2, width)."""
    return [np.stack([1.0 / weight_of_line(size, sigma) for sigma in (fine, coarse)]) for size in shape]


def _bandpass_in_frame(prefilter: Bandpass, centred: np.ndarray, known: np.ndarray, frame: Tile) -> Filtered:
    """Band-pass of an image without holes at the rim of which planes are continued."""
    fine, coarse = prefilter.fine, prefilter.coarse
    assert not isinstance(fine, str)
    assert not isinstance(coarse, str)
    is_edge: list[bool] = []
    reach, weights, around = reach_of(coarse), [], []
    for part, size in zip(frame, centred.shape, strict=True):
        ends = part.start > 0, part.stop < size
        is_edge += ends
        around.append((BEYOND * ends[0], BEYOND * ends[1]))
    inner = np.pad(centred[frame], around)
    gains = _gains(inner.shape, fine, coarse)
    for gain, part, (first, last) in zip(gains, frame, around, strict=True):
        weight = weight_of_line(part.stop - part.start, fine).copy()
        if first:
            gain[:, : first + reach] = 1.0
        else:
            weight[:reach] = 1.0
        if last:
            gain[:, gain.shape[1] - last - reach :] = 1.0
        else:
            weight[weight.size - reach :] = 1.0
        weights.append(weight)
    found = difference(inner, fine, coarse, gains, (is_edge[0], is_edge[1], is_edge[2], is_edge[3]))
    for down, right in ((down, right) for down in (0, 1) for right in (2, 3) if is_edge[down] and is_edge[right]):
        corner = (slice(None, None, 1 - 2 * down), slice(None, None, 1 - 2 * (right - 2)))
        twist = _twist(inner[corner], fine, reach) - _twist(inner[corner], coarse, reach)
        found[corner][: len(twist), : len(twist)] -= twist
    valid, out = np.zeros_like(known), np.zeros_like(centred)
    # along an edge more than half of the weight is known: too little in corners only
    corners = [np.flatnonzero(weight < 1.0 - 1.0e-9) for weight in weights]
    along_y, along_x = (weight[near] for weight, near in zip(weights, corners, strict=True))
    valid[frame] = 1
    valid[frame][np.ix_(*corners)] = np.multiply.outer(along_y, along_x) >= filters.LEAST_WEIGHT
    # what is interpolated beside the rim must not meet a step
    there, here = [], []
    for part, size, (first, last) in zip(frame, centred.shape, around, strict=True):
        there.append(slice(max(part.start - first, 0), min(part.stop + last, size)))
        begin = there[-1].start - part.start + first
        here.append(slice(begin, begin + there[-1].stop - there[-1].start))
    out[there[0], there[1]] = found[here[0], here[1]]
    return out, valid


def linear(prefilter: Bandpass | Highpass | Laplacian, image: np.ndarray) -> np.ndarray:
    """Linear filter of an image without holes that is zero beyond its edges."""
    if isinstance(prefilter, Laplacian):
        return stencil(lowpass(image, prefilter.fine), LAPLACE)
    fine = prefilter.fine if isinstance(prefilter, Bandpass) else 0.0
    assert not isinstance(fine, str)
    assert not isinstance(prefilter.coarse, str)
    return difference(image, fine, prefilter.coarse)
