"""Jitter of pairs as differences of that of dates."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.networks import graph


def adjusted(jitter: np.ndarray, trust: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Jitter (number, pair) with what the dates of each pair say, that of its second less that of its first.

    Each number is adjusted by itself, by least squares with the weights `trust` (pair,); pairs where it is NaN tell
    nothing of it, and take what the others tell. NaN where no chain of pairs leads from one date to the other.

    ends: (pair, 2) indices of the dates of each pair.
    """
    out = np.full(jitter.shape, np.nan)
    known = np.isfinite(jitter) & (trust > 0.0)
    # numbers that the same pairs know have the same equations
    patterns, which = np.unique(np.packbits(known, axis=1), axis=0, return_inverse=True)
    which = which.ravel()
    for k in range(len(patterns)):
        here = which == k
        used = known[np.flatnonzero(here)[0]]
        if used.any():
            matrix, is_tied = _from_pairs(np.where(used, trust, 0.0), ends)
            found = np.zeros((np.count_nonzero(here), len(ends)))
            # sums in one order, whose bits do not depend on threads
            for pair in np.flatnonzero(used):
                found += jitter[here, pair, np.newaxis] * matrix[:, pair]
            out[here] = np.where(is_tied, found, np.nan)
    return out


def _from_pairs(weight: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What pairs take from pairs (pair, pair), and which of them have dates that a chain ties together (pair,)."""
    dates = int(ends.max()) + 1
    rows = np.zeros((len(ends), dates))
    rows[np.arange(len(ends)), ends[:, 1]] += 1.0
    rows[np.arange(len(ends)), ends[:, 0]] -= 1.0
    root = np.sqrt(weight)[:, np.newaxis]
    matrix = rows @ np.linalg.pinv(root * rows) * root[:, 0]
    # the difference of two dates follows from the others if it is one of their differences
    part = graph.components(dates, ends[weight > 0.0])
    return matrix, part[ends[:, 0]] == part[ends[:, 1]]
