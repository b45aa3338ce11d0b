"""Slow twin of the separation test, from its description: plain NumPy, one pixel at a time."""

import itertools

import numpy as np

EDGES = [0.0, 16.0, 32.0, 64.0, 128.0, 256.0, np.inf]
MIDDLES = [11.3, 22.6, 45.3, 90.5, 181.0, 362.0]


def is_locked(begin, baseline, vx, vy):
    """Pairs (pair,) of one pixel that belong to a bin which stands still where the shorter ones move."""
    valid = np.isfinite(vx) & np.isfinite(vy)
    velocity = np.array([vx, vy]).T
    kept, dropped = [], []
    for low, high in itertools.pairwise(EDGES):
        members = valid & (baseline >= low) & (baseline < high)
        if members.sum() >= 6:
            (dropped if kept and _stands_still(velocity, members, kept) else kept).append(members)
    locked = np.any(dropped, axis=0) if dropped else np.zeros(baseline.size, bool)
    if dropped:
        middle = MIDDLES[np.searchsorted(EDGES, baseline[dropped[0]].min(), side="right") - 1]
        lower = dropped[0] & (baseline < middle)
        if lower.sum() >= 6 and not _stands_still(velocity, lower, kept):
            locked &= ~lower
        shortest = baseline[dropped[0]].min()
        last = [members for members in kept if baseline[members].max() < shortest][-1]
        middle = MIDDLES[np.searchsorted(EDGES, baseline[last].max(), side="right") - 1]
        upper = last & (baseline >= middle)
        if upper.sum() >= 6 and _stands_still(velocity, upper, kept):
            locked |= upper
        if not _stands_still_at_once(begin + 0.5 * baseline, baseline, velocity, locked, kept):
            locked[:] = False
    return locked


def _stands_still_at_once(middle, baseline, velocity, locked, shorter):
    """Whether the locked pairs stand still in the years in which pairs shorter than any of them move."""
    along = velocity @ _mean(velocity, shorter)[0]
    is_shorter = np.isfinite(along) & (baseline < baseline[locked].min(initial=np.inf))
    years = np.floor(middle / 365.25)
    moves, stays, weight = [], [], []
    for year in np.unique(years):
        short, long = is_shorter & (years == year), locked & (years == year)
        if min(short.sum(), long.sum()) >= 3:
            moves.append(np.median(along[short]))
            stays.append(np.median(along[long]))
            weight.append(min(short.sum(), long.sum()))
    moves, stays, weight = np.array(moves), np.array(stays), np.array(weight)
    return moves.size > 0 and (weight * moves * stays).sum() <= 0.25 * (weight * moves**2).sum()


def _mean(velocity, lists):
    """Weighted mean of the medians of lists of pairs, and its standard errors."""
    medians, errors = zip(*[_median_and_error(velocity[each]) for each in lists], strict=True)
    weight = np.array(errors) ** -2.0
    return (weight * medians).sum(axis=0) / weight.sum(axis=0), weight.sum(axis=0) ** -0.5


def _stands_still(velocity, members, shorter):
    """Whether the members tell no motion where the lists of shorter pairs do."""
    mean, error = _mean(velocity, shorter)
    speed = np.hypot(*mean)
    towards = mean / speed
    error = np.hypot(*(towards * error))
    median, own = _median_and_error(velocity[members] @ towards)
    is_fast = speed - 2.0 * error >= 5.0
    return is_fast and speed - median > 4.5 * np.hypot(error, own) and abs(median) <= 0.25 * speed


def _median_and_error(values):
    median = np.median(values, axis=0)
    spread = 1.4826 * np.median(np.abs(values - median), axis=0)
    return median, 1.2533 * spread / np.sqrt(len(values) - 4)
