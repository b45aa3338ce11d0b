"""Days of the year: one of each group so that all lie as close together as they can, on a circle."""

from __future__ import annotations

import numpy as np

YEAR_DAYS = 365.25


def spread(days: np.ndarray) -> float:
    """Length [days] of the shortest arc of the year that holds all days of the year."""
    ordered = np.sort(np.asarray(days, dtype=np.float64) % YEAR_DAYS)
    gaps = np.diff(ordered, append=ordered[:1] + YEAR_DAYS)
    return float(YEAR_DAYS - gaps.max()) if ordered.size else 0.0


def one_each(days: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Places of one member of each group, whose days of the year spread least; exact.

    The shortest arc that holds a member of every group starts and ends at a day. Its end moves on, day by day around
    the year, and its start follows as long as no group is lost, so that every arc that could be the shortest is seen
    once: n log n for n days. Within the shortest arc, the first of several, the member nearest to its middle counts,
    of several the earliest given.

    Parameters
    ----------
    days
        (n,) days of the year.
    groups
        (n,) numbers of the groups, such as years.

    Returns
    -------
    numpy.ndarray
        Places (one a group), sorted.
    """
    days = np.asarray(days, dtype=np.float64) % YEAR_DAYS
    order = np.argsort(days, kind="stable")
    around = np.concatenate([order, order])
    at = np.concatenate([days[order], days[order] + YEAR_DAYS])
    _, member = np.unique(groups, return_inverse=True)
    count = np.zeros(member.max(initial=-1) + 1, dtype=np.int64)
    best, missing, start = (np.inf, 0, 0), count.size, 0
    for end, k in enumerate(around):
        missing -= count[member[k]] == 0
        count[member[k]] += 1
        while count[member[around[start]]] > 1:
            count[member[around[start]]] -= 1
            start += 1
        if not missing and at[end] - at[start] < best[0]:
            best = (float(at[end] - at[start]), start, end)
    inside = slice(best[1], best[2] + 1)
    distance = np.abs(at[inside] - (at[best[1]] + at[best[2]]) / 2)
    chosen: dict[int, tuple[float, int]] = {}
    for far, k in zip(distance.tolist(), around[inside].tolist(), strict=True):
        chosen[int(member[k])] = min(chosen.get(int(member[k]), (np.inf, k)), (far, k))
    return np.array(sorted(k for _, k in chosen.values()), dtype=np.int64)
