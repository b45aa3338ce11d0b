"""Slow twin of the separation test, from its description: plain NumPy, one pixel at a time."""

import itertools

import numpy as np

EDGES = [0.0, 16.0, 32.0, 64.0, 128.0, 256.0, np.inf]


def is_locked(baseline, vx, vy):
    """Pairs (pair,) of one pixel that belong to a bin which stands still where the shortest one moves."""
    locked = np.zeros(baseline.size, bool)
    valid = np.isfinite(vx) & np.isfinite(vy)
    bins = [valid & (baseline >= low) & (baseline < high) for low, high in itertools.pairwise(EDGES)]
    populated = [members for members in bins if members.sum() >= 6]
    if not populated:
        return locked
    shortest = populated[0]
    direction = np.array([np.median(vx[shortest]), np.median(vy[shortest])])
    if not direction.any():
        return locked
    along = np.array([vx, vy]).T @ (direction / np.hypot(*direction))
    speed, spread = _median_and_spread(along[shortest])
    for members in populated[1:]:
        median, width = _median_and_spread(along[members])
        error = 1.2533 * np.hypot(spread / np.sqrt(shortest.sum() - 4), width / np.sqrt(members.sum() - 4))
        overlap = median + 0.67 * width >= speed - 0.67 * spread
        if not overlap and speed - median > 4.5 * error and abs(median) <= 0.25 * speed:
            locked |= members
    return locked


def _median_and_spread(values):
    median = np.median(values)
    return median, 1.4826 * np.median(np.abs(values - median))
