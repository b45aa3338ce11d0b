"""Tests of vectors against those around them, beside that of `Judgement`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xoffset._kernels.maps import medians
from xoffset.model.flags import FLAGS
from xoffset.screening.limits import USUAL_ERROR

# autoRIFT's NDC: half the side of its window, passes of the count and of the median, nodes that must agree, distance
# from the median in median distances, and the distance in pixels that is always allowed (2 over an oversampling of 16).
NDC_RADIUS, NDC_PASSES, NDC_LEAST, NDC_SPREADS, NDC_NEAR = 2, (3, 2), 8, 4.0, 0.125
# The normalised median test: half the side of its window, and the noise in pixels that is always there.
MEDIAN_RADIUS, MEDIAN_NOISE = 1, USUAL_ERROR
_OF_NDC = medians.square(NDC_RADIUS, with_centre=True)
_OF_MEDIAN = medians.square(MEDIAN_RADIUS, with_centre=False)


@dataclass(frozen=True)
class Around:
    """Tests of the neighbours of each vector; None tests nothing."""

    ndc: float | None = None
    median_test: float | None = None

    @property
    def are_asked(self) -> bool:
        """Whether there is anything to test."""
        return self != Around()

    @property
    def depth(self) -> int:
        """Nodes around each that have a say."""
        return NDC_RADIUS * sum(NDC_PASSES) if self.ndc is not None else MEDIAN_RADIUS

    def failed(self, sampling: np.ndarray, *fields: np.ndarray) -> np.ndarray:
        """Flags of the tests that vectors fail (n, rows, columns), int64.

        Sampling (n, 2): side of a pixel and half-range of the search [m]. Fields: flags of earlier tests, which leave
        out what they do not find good (0), `dx`, `dy`.
        """
        out = np.zeros(fields[0].shape, dtype=np.int64)
        for (pixel, half), target, failed, *vector in zip(sampling, out, *fields, strict=True):
            keep = failed == 0
            dx, dy = (np.where(keep, field, field.dtype.type(np.nan)) for field in vector)
            if self.ndc is not None:
                target |= (keep & ~_is_coherent(dx, dy, self.ndc * half, NDC_NEAR * pixel)) * np.int64(FLAGS["ndc"])
            if self.median_test is not None:
                is_near = _is_near_median(dx, dy, MEDIAN_NOISE * pixel, self.median_test)
                target |= (keep & ~is_near) * np.int64(FLAGS["median_test"])
        return out


def is_small_clump(failed: np.ndarray, least: int) -> np.ndarray:
    """Flag of vectors that belong to fewer than `least` connected ones (n, rows, columns), int64.

    Nodes that touch at a side or a corner are connected. How many there are is only known to `least` - 1 nodes from
    the end of the array.
    """
    from scipy.ndimage import label

    out = np.zeros(failed.shape, dtype=np.int64)
    for layer, target in zip(failed, out, strict=True):
        keep = layer == 0
        clump, _ = label(keep, structure=np.ones((3, 3)))
        target[keep & (np.bincount(clump.ravel())[clump] < least)] = FLAGS["small_clump"]
    return out


def _is_coherent(dx: np.ndarray, dy: np.ndarray, tolerance: float, near: float) -> np.ndarray:
    """Where the neighbours of a vector agree with it, and it with their median (autoRIFT's NDC)."""
    kind, nan = dx.dtype.type, dx.dtype.type(np.nan)
    fields = [dx, dy]
    keep, count = np.empty(dx.shape, dtype=np.bool_), np.empty(dx.shape, dtype=np.uint8)
    for _ in range(NDC_PASSES[0]):
        keep[:] = True
        for field in fields:
            medians.count_near(field, kind(tolerance), _OF_NDC[0], count)
            keep &= count >= NDC_LEAST
        fields = [np.where(keep, field, nan) for field in fields]
    for _ in range(NDC_PASSES[1]):
        for field in fields:
            median, spread = np.empty((2, *field.shape), dtype=field.dtype)
            medians.median_and_spread(field, *_OF_NDC, median, spread, count)
            keep &= np.abs(field - median) <= np.maximum(kind(NDC_SPREADS) * spread, kind(near))
        fields = [np.where(keep, field, nan) for field in fields]
    return keep


def _is_near_median(dx: np.ndarray, dy: np.ndarray, noise: float, largest: float) -> np.ndarray:
    """Where a vector is near the median of its neighbours, for their distances from it; half of them must be known."""
    count = np.empty(dx.shape, dtype=np.uint8)
    squares = np.zeros_like(dx)
    for field in (dx, dy):
        median, spread = np.empty((2, *field.shape), dtype=field.dtype)
        medians.median_and_spread(field, *_OF_MEDIAN, median, spread, count)
        squares += ((field - median) / (spread + field.dtype.type(noise))) ** 2
    rows, columns = (_nodes_around(size, MEDIAN_RADIUS) for size in dx.shape)
    around = np.multiply.outer(rows, columns) - 1
    return np.asarray((np.sqrt(squares) <= np.float64(largest)) & (2 * count.astype(np.int64) >= around))


def _nodes_around(size: int, radius: int) -> np.ndarray:
    """Number of places along an axis that are no farther than `radius` from each, itself included."""
    places = np.arange(size)
    return np.minimum(places, radius) + np.minimum(size - 1 - places, radius) + 1
