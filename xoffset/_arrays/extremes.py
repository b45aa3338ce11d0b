"""Ends of colours that hold what moves together, whatever the wrong matches."""

from __future__ import annotations

import math

import numpy as np

# Share of the known nodes, and their number, that a region has at least whose values count.
_LEAST_SHARE, _LEAST_NODES = 0.002, 9
# Share of the values within what spread alone makes of the end.
_MOST_SHARE = 0.995
# Thresholds that are tried: by halves, down to the 1000th part of the range of ranks.
_STEPS = 12


def coherent_end(values: np.ndarray) -> float:
    """Largest value of what moves together, NaN without any value.

    It is at least three spreads above the median, or what 99.5 % of the values are below if that is less.

    Wrong matches stand alone or in clumps, often among nodes that are unknown. The value is sought that a connected
    region of 0.2 % of the known nodes, and of 9, exceeds throughout; from there the end goes up to the largest median
    of 3 x 3 nodes in that region, twice the value above the median of the map at most.
    """
    from scipy.ndimage import median_filter

    known = np.sort(values[np.isfinite(values)])
    if not known.size:
        return math.nan
    middle = float(np.median(known))
    spread = 1.4826 * float(np.median(np.abs(known - middle)))
    end = min(middle + 3.0 * spread, float(np.quantile(known, _MOST_SHARE)))
    least = min(max(_LEAST_NODES, math.ceil(_LEAST_SHARE * known.size)), math.ceil(known.size / 4))
    low, high = known.size // 2, known.size - least  # ranks: a region is there at the lower one
    region = _region(values, float(known[low]), least)
    for _ in range(_STEPS):
        rank = (low + high + 1) // 2
        found = _region(values, float(known[rank]), least)
        low, high, region = (low, rank - 1, region) if found is None else (rank, high, found)
        if low >= high:
            break
    if region is None:
        return end
    level = float(known[low])
    filled = np.where(np.isfinite(values), values, known[0])
    peak = float(median_filter(filled, size=3, mode="nearest")[region].max())
    return max(end, min(max(peak, level), middle + 2.0 * (level - middle)))


def _region(values: np.ndarray, level: float, least: int) -> np.ndarray | None:
    """Largest connected nodes that reach a level, None if they are fewer than the least number."""
    from scipy.ndimage import label

    numbers, count = label(values >= level)
    if not count:
        return None
    sizes = np.bincount(numbers.ravel())[1:]
    return np.asarray(numbers == 1 + int(sizes.argmax())) if sizes.max() >= least else None
