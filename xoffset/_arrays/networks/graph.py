"""Date algebra of a network: which dates, how they connect."""

from __future__ import annotations

import numpy as np


def incidence(reference: np.ndarray, secondary: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dates of a network, in order, and each pair as two indices into them.

    Returns
    -------
    epochs : numpy.ndarray
        (date,) sorted dates.
    ends : numpy.ndarray
        (pair, 2) indices of reference and secondary, int64.
    """
    epochs, index = np.unique(np.concatenate([reference, secondary]), return_inverse=True)
    return epochs, np.ascontiguousarray(index.reshape(2, -1).T.astype(np.int64))


def components(dates: int, ends: np.ndarray) -> np.ndarray:
    """Number of the connected component of each date, counted from 0 in order of first appearance."""
    root = np.arange(dates)
    for first, second in ends:
        a, b = root[first], root[second]
        if a != b:
            root[root == max(a, b)] = min(a, b)
    return np.asarray(np.unique(root, return_inverse=True)[1])


def undirected(ends: np.ndarray) -> np.ndarray:
    """Pairs of which each direction was matched counted once."""
    return np.unique(np.sort(ends, axis=1), axis=0)


def triplets(ends: np.ndarray) -> np.ndarray:
    """Triplets of dates whose three pairs are in a network.

    Parameters
    ----------
    ends
        (observation, 2) earlier and later date of each, in order, every two dates once: of `Observations`.

    Returns
    -------
    numpy.ndarray
        (triplet, 3) observations first to second date, second to third, and first to third.
    """
    start = np.searchsorted(ends[:, 0], np.arange(ends.max(initial=-1) + 2))
    found = [np.empty((0, 3), dtype=np.int64)]
    for pair, (first, second) in enumerate(ends):
        onward = np.arange(start[second], start[second + 1])
        whole = np.arange(start[first], start[first + 1])
        _, k, m = np.intersect1d(ends[onward, 1], ends[whole, 1], assume_unique=True, return_indices=True)
        found.append(np.stack([np.full(k.size, pair), onward[k], whole[m]], axis=1))
    return np.ascontiguousarray(np.concatenate(found))


def degree(dates: int, ends: np.ndarray) -> np.ndarray:
    """Number of pairs of each date."""
    return np.bincount(ends.ravel(), minlength=dates)


def envelope(dates: int, ends: np.ndarray) -> np.ndarray:
    """First date (date,) that a pair, or a chain of pairs over earlier dates, ties to each: int64.

    A Cholesky factor in the order of the dates has no entry left of it.
    """
    first = np.arange(dates)
    np.minimum.at(first, ends.max(axis=1), ends.min(axis=1))
    return first


def growth(times: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """How the variance of what the noise of pairs adds up to grows from date to date, (date,) [yr2] from zero.

    Across an interval between two dates, pairs are as strong as the sum of their lengths in dates, each pair as good as
    the other; drift through a series varies slowly, so that this is close to the truth in any network. The unit is the
    one in which a line through all dates, which count alike, has the variance 1 yr-2.

    Parameters
    ----------
    times
        (date,) years.
    ends
        (pair, 2) indices of the dates of each pair.
    """
    strength = np.zeros(times.size + 1)
    first, last = np.sort(ends, axis=1).T
    np.add.at(strength, first, last - first)
    np.subtract.at(strength, last, last - first)
    tie = np.cumsum(strength)[: max(times.size - 1, 0)]
    steps = np.divide(1.0, tie, out=np.zeros_like(tie), where=tie > 0.5)
    centred = times - times.mean()
    behind = np.cumsum((centred / (centred @ centred))[::-1])[::-1][1:] if times.size > 1 else np.empty(0)
    total = float(steps @ behind**2)
    grown = np.concatenate([[0.0], np.cumsum(steps)])
    return grown / total if total > 0.0 else grown
