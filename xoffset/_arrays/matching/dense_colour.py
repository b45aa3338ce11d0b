"""How much more the residual of two images moves a solution than white noise of the same variance would."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.matching.dense_images import Even
from xoffset._kernels.matching import residuals
from xoffset._kernels.matching.residuals import BLOCK

# Side of the squares that are looked at, px, and how many there are along each axis at most.
SIDE, NUMBER = 64, 3
# Distance over which the residual of pre-filtered pixels is alike, px.
REACH = 4
# Size of a residual above which it is cut off, in medians: 2.5 standard deviations of normal noise.
LIMIT = 3.7
# Side of the square around a pixel whose mean squared residual tells whether it is hidden, px, and by how many times
# it must be that of clear ground.
AROUND, HIDDEN = 15, 4.0
# Least number of pixels of a square that is asked.
LEAST_KNOWN = 256
# Quartile of the residual, in medians of clear ground: above, most blocks are hidden. It is 0.57 of normal noise.
QUARTILE = 0.45
# Least that is told: a residual that alternates from pixel to pixel moves nothing, but real noise does.
LEAST = 0.3


def colour(
    images: np.ndarray, weight: np.ndarray, other: Even, origin: tuple[int, int], field: np.ndarray, gain: np.ndarray
) -> float | None:
    """Variance of sums of slopes times residual, over that of a white residual; None where nothing is known.

    By the autocorrelations of the residual and of the slopes, in squares spread over the images: nothing is asked of
    the pre-filter, and ranks may have taken the place of pixels. Clouds are no noise, and of a larger colour: pixels
    count where the residual is not far above that of clear ground, and what is told is the median of the squares.
    `images` (3, height, width): the first one and its slopes; `gain` (rows, columns): factor of the second image.
    """
    seen = []
    for rows, columns in _squares(gain.shape):
        fine = (slice(BLOCK * rows.start, BLOCK * rows.stop), slice(BLOCK * columns.start, BLOCK * columns.stop))
        first, own = (np.ascontiguousarray(each[..., fine[0], fine[1]]) for each in (images, weight))
        values, shared = np.empty_like(own), np.empty_like(own)
        blocks = [np.ascontiguousarray(each[rows, columns]) for each in (*field, gain)]
        sums = np.empty((4, *blocks[0].shape), dtype=np.float32)
        residuals.look(
            first[0], own, other.coefficients, other.weight, (origin[0] + fine[0].start, origin[1] + fine[1].start),
            blocks[0], blocks[1], values, shared, sums,
        )  # fmt: skip
        residual = (first[0] - np.repeat(np.repeat(blocks[2], BLOCK, 0), BLOCK, 1) * values) * shared
        seen.append((first[1:], residual, shared, _around(residual, shared)))
    clear = HIDDEN * typical(np.concatenate([around[shared > 0] for _, _, shared, around in seen]))
    found = []
    for slopes, residual, shared, around in seen:
        fit = shared * (around <= clear)
        if np.count_nonzero(fit) < LEAST_KNOWN:
            continue
        limit = LIMIT * float(np.median(np.abs(residual[fit > 0])))
        alike = _alike((np.clip(residual, -limit, limit) * fit)[None]), _alike(slopes * fit)
        middle = alike[0][REACH, REACH] * alike[1][REACH, REACH]
        if middle > 0.0:
            found.append(float((alike[0] * alike[1]).sum() / middle))
    return max(float(np.median(found)), LEAST) if found else None


def typical(squares: np.ndarray) -> float:
    """Mean squared residual of clear ground, from those of places: the median, unless most are hidden by clouds."""
    if not squares.size:
        return 1.0
    quarter, half = np.percentile(squares, (25, 50))
    return max(min(float(half), float(quarter) / QUARTILE), 1e-6)


def _around(residual: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Mean squared residual of the known pixels around each pixel."""
    square, count = np.empty_like(residual), np.empty_like(residual)
    residuals.box(residual * residual, AROUND, square)
    residuals.box(shared, AROUND, count)
    square /= np.maximum(count, np.float32(1.0))
    return square


def _squares(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Rows and columns of squares of blocks, spread evenly."""
    along = []
    for size in shape:
        side = min(SIDE // BLOCK, size)
        number = min(NUMBER, size // side)
        starts = [(2 * k + 1) * size // (2 * number) - side // 2 for k in range(number)]
        along.append([slice(start, start + side) for start in starts])
    return [(rows, columns) for rows in along[0] for columns in along[1]]


def _alike(layers: np.ndarray) -> np.ndarray:
    """Sums of products of the pixels of layers (n, height, width) with those up to REACH px away, both ways."""
    shape = [size + REACH for size in layers.shape[1:]]
    power = (np.abs(np.fft.rfft2(layers, shape)) ** 2).sum(axis=0)
    lags = np.arange(-REACH, REACH + 1)
    return np.asarray(np.fft.irfft2(power, shape)[np.ix_(lags, lags)])
