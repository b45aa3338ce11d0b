"""The test for long baselines that hold on to ground that does not move, on what `Observations.merge` returns."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.networks import terms
from xoffset._kernels.maps import separation


def spans_of(epochs: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Day on which each observation begins, and its length in days (observation, 2), from its two dates in order."""
    first, second = epochs[ends[:, 0]], epochs[ends[:, 1]]
    # the length by itself: as a difference of days it may fall on the wrong side of the edge of a bin
    return np.stack([terms.days(first, terms.ORIGIN), terms.days(second, first)], axis=1)


def is_locked(spans: np.ndarray, merged: np.ndarray) -> np.ndarray:
    """Observations (observation, rows, columns) that the test drops, boolean.

    spans (observation, 2) of `spans_of`; merged (4, observation, rows, columns) from `Observations.merge`.
    """
    years = spans[:, 1, np.newaxis, np.newaxis] / terms.YEAR_DAYS
    out = np.empty(merged.shape[1:], dtype=np.uint8)
    separation.is_locked(spans, merged[0] / years, merged[1] / years, out)
    return out > 0
