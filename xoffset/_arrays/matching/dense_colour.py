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
# Size of a residual above which it is cut off, in medians: 2.5 standard deviations of normal noise. So clouds count
# little.
LIMIT = 3.7
# Least that is told: a residual that alternates from pixel to pixel moves nothing, but real noise does.
LEAST = 0.3


def colour(
    images: np.ndarray, weight: np.ndarray, other: Even, origin: tuple[int, int], field: np.ndarray, gain: np.ndarray
) -> float | None:
    """Variance of sums of slopes times residual, over that of a white residual; None where nothing is known.

    By the autocorrelations of the residual and of the slopes, in squares spread over the images: nothing is asked of
    the pre-filter, and ranks may have taken the place of pixels. `images` (3, height, width): the first one and its
    slopes; `gain` (rows, columns): factor of the second image.
    """
    alike = np.zeros((2, 2 * REACH + 1, 2 * REACH + 1))
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
        if not shared.any():
            continue
        residual = (first[0] - np.repeat(np.repeat(blocks[2], BLOCK, 0), BLOCK, 1) * values) * shared
        limit = LIMIT * float(np.median(np.abs(residual[shared > 0])))
        alike[0] += _alike(np.clip(residual, -limit, limit)[None])
        alike[1] += _alike(first[1:] * shared)
    middle = alike[:, REACH, REACH]
    if not (middle > 0.0).all():
        return None
    return max(float((alike[0] * alike[1]).sum() / middle.prod()), LEAST)


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
