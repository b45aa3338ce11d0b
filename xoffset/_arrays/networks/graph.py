"""Date algebra of a network: which dates, how they connect."""

from __future__ import annotations

from itertools import pairwise

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


def rank(dates: int, ends: np.ndarray) -> int:
    """Number of the pairs that the others do not contain: of the dates, less one of each connected component."""
    return dates - int(components(dates, ends).max()) - 1


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


def envelope(dates: int, ends: np.ndarray, diagonals: int = 0) -> np.ndarray:
    """First date (date,) that a pair, or a chain of pairs over earlier dates, ties to each: int64.

    A Cholesky factor in the order of the dates has no entry left of it. With so many side diagonals at least, which
    hold the covariances of dates that are near each other, whatever ties them.
    """
    first = np.maximum(np.arange(dates) - diagonals, 0)
    np.minimum.at(first, ends.max(axis=1), ends.min(axis=1))
    return first


def growth(times: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """How the variance of what the noise of pairs adds up to grows from date to date, (date,) [yr2] from zero.

    A walk whose steps make the variance of a line through the series what the network makes it, step by step, if all
    pairs are as good: h·(pulls of the line), where h = L⁻¹·(pulls) and L is the normal matrix; close to the truth for
    whatever else varies slowly. The unit is the one in which a line through all dates, which count alike, has the
    variance 1 yr-2. Each group of dates that pairs connect has its own walk.

    Parameters
    ----------
    times
        (date,) years.
    ends
        (pair, 2) indices of the dates of each pair.
    """
    steps, group = np.zeros(max(times.size - 1, 0)), components(times.size, ends)
    for each in range(group.max(initial=-1) + 1):
        dates = np.flatnonzero(group == each)
        own = np.searchsorted(dates, ends[group[ends[:, 0]] == each])
        if dates.size < 2:
            continue
        normal, pulls = np.zeros((dates.size, dates.size)), times[dates] - times[dates].mean()
        np.add.at(normal, (own, own), 1.0)
        np.subtract.at(normal, (own, own[:, ::-1]), 1.0)
        rise = np.concatenate([[0.0], np.linalg.solve(normal[1:, 1:], pulls[1:])])
        behind = np.cumsum(pulls[::-1])[::-1][1:]
        apart = np.maximum(np.diff(rise) / behind, 0.0) / np.diff(dates)
        for k, (first, last) in enumerate(pairwise(dates)):
            steps[first:last] = np.maximum(steps[first:last], apart[k])
    centred = times - times.mean()
    behind = np.cumsum((centred / max(centred @ centred, 1e-300))[::-1])[::-1][1:]
    total = float(steps @ behind**2)
    grown = np.concatenate([[0.0], np.cumsum(steps)])
    return grown / total if total > 0.0 else grown
