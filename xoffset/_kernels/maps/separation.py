"""Long baselines that hold on to ground that does not move."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.order import _median

# Inner edges of the bins of separations [days], those of ITS_LIVE.
EDGES = (16.0, 32.0, 64.0, 128.0, 256.0)
# Edges of their halves: every second one is an edge of the bins.
HALVES = (11.3, 16.0, 22.6, 32.0, 45.3, 64.0, 90.5, 128.0, 181.0, 256.0, 362.0)
# Pairs that a bin needs to be judged, and to judge others. With 6, networks of 66 pairs find ground that is locked in
# 64 to 85 % of the pixels; with 10 in 3 %.
LEAST = 6
# Difference of median speeds that is significant, in its standard errors. On ground that does not move, 4.5 drops a bin
# in 0.3 to 1.1 % of the pixels if the bins hold 6 to 10 pairs, in less with more, also where the errors belong to dates
# that all pairs share.
SIGNIFICANT = 4.5
# Pairs taken off the number in a bin for its standard error, because the spread of few pairs is often too small.
SCARCE = 4
# Share of the speed of the shorter bins that a bin which is locked keeps at most.
LARGEST_SHARE = 0.25
# Speed [m/yr] that the shorter bins must exceed by twice its standard error: what errors common to many pairs (season,
# shadows, orbits) look like, and nothing that long pairs could not follow.
SLOW = 5.0
# Length [days] of the times within which shorter and dropped pairs are compared, and how many of each one needs.
TIME, LEAST_IN_TIME = 365.25, 3


@kernel
def is_locked(spans, vx, vy, out):
    """Set out for the pairs of every bin of separations that stands still where the shorter bins move.

    The bins are judged from short to long, against the mean of the medians of all shorter bins that were kept, weighted
    by their standard errors; the locked pairs may therefore be the majority. A bin of at least `LEAST` pairs is dropped
    if its median velocity in the direction of that mean differs by more than `SIGNIFICANT` standard errors of both, if
    it stands still (at most `LARGEST_SHARE` of the speed), and if the shorter bins are faster than `SLOW`. Motion that
    changes makes bins differ, but stops none. Ground is seldom lost just at an edge: beside the shortest bin that is
    dropped, its lower half and the upper half of the one before are judged by themselves. At last the dropped pairs are
    compared with the shorter ones year by year, so that none is dropped because it is of another time.

    Parameters
    ----------
    spans
        (pair, 2) day on which each begins, from any day on, and its length in days.
    vx, vy
        (pair, rows, columns) velocity in m/yr, NaN where a pair is missing.
    out
        (pair, rows, columns) uint8, 1 where the pair belongs to a bin that is dropped.
    """
    pairs, rows, columns = vx.shape
    halves, order, year = np.zeros(pairs, np.int64), np.empty(pairs, np.int64), np.empty(pairs, np.int64)
    for p in range(pairs):
        for edge in HALVES:
            halves[p] += spans[p, 1] >= edge
        year[p] = np.floor((spans[p, 0] + 0.5 * spans[p, 1]) / TIME)
    years = np.unique(year)
    placed = 0
    for k in range(len(HALVES) + 1):
        for p in range(pairs):
            if halves[p] == k:
                order[placed] = p
                placed += 1
    along_x, along_y, value = np.empty(pairs), np.empty(pairs), np.empty(pairs)
    time = np.empty(pairs, np.int64)
    # of the halves of the bins of a pixel: where they begin in the values, and whether they are dropped
    start = np.empty(len(HALVES) + 2, np.int64)
    dropped = np.empty(len(HALVES) + 1, np.bool_)
    # mean of the medians of shorter bins along x and y, and their variances
    shorter = np.empty(4)
    for row in range(rows):
        for column in range(columns):
            count = 0
            for k in range(start.size):
                start[k] = 0
            for i in range(pairs):
                p = order[i]
                along_x[count], along_y[count] = vx[p, row, column], vy[p, row, column]
                time[count] = year[p]
                if np.isfinite(along_x[count]) and np.isfinite(along_y[count]):
                    count += 1
                    start[halves[p] + 1] = count
                out[p, row, column] = 0
            for k in range(start.size - 1):
                start[k + 1] = max(start[k + 1], start[k])
            if not _compare(start, along_x, along_y, value, shorter, dropped):
                continue
            if _stand_still_at_once(start, time, years, along_x, along_y, value, shorter, dropped):
                for p in range(pairs):
                    is_valid = np.isfinite(vx[p, row, column]) and np.isfinite(vy[p, row, column])
                    out[p, row, column] = is_valid and dropped[halves[p]]


@kernel
def _compare(start, along_x, along_y, value, shorter, dropped):
    """Set which halves of bins are dropped, from the velocities in their order; returns whether any is."""
    before, found = -1, -1
    for k in range(dropped.size):
        dropped[k] = False
    for k in range(0, dropped.size, 2):
        low, high = start[k], start[k + 2]
        if high - low < LEAST:
            continue
        if before >= 0 and _stands_still(along_x[low:high], along_y[low:high], value[low:high], shorter):
            dropped[k] = dropped[k + 1] = True
            if found < 0:
                found = k
        else:
            _join(along_x[low:high], along_y[low:high], value[low:high], before < 0, shorter)
            before = k if found < 0 else before
    if found < 0:
        return False
    low, high = start[found], start[found + 1]
    if high - low >= LEAST:
        dropped[found] = _stands_still(along_x[low:high], along_y[low:high], value[low:high], shorter)
    low, high = start[before + 1], start[before + 2]
    if high - low >= LEAST:
        dropped[before + 1] = _stands_still(along_x[low:high], along_y[low:high], value[low:high], shorter)
    return True


@kernel
def _stands_still(along_x, along_y, value, shorter):
    """Whether pairs tell no motion where the shorter ones tell some."""
    speed = np.hypot(shorter[0], shorter[1])
    if not speed > SLOW:
        return False
    towards_x, towards_y = shorter[0] / speed, shorter[1] / speed
    variance = towards_x * towards_x * shorter[2] + towards_y * towards_y * shorter[3]
    if speed - 2.0 * np.sqrt(variance) < SLOW:
        return False
    for i in range(value.size):
        value[i] = towards_x * along_x[i] + towards_y * along_y[i]
    median, own = _statistics(value)
    return speed - median > SIGNIFICANT * np.sqrt(variance + own) and abs(median) <= LARGEST_SHARE * speed


@kernel
def _stand_still_at_once(start, time, years, along_x, along_y, value, shorter, dropped):
    """Whether the dropped pairs stand still in the years in which the shorter ones move.

    The slope of a line through the origin and the medians of both, year by year, is the share of the motion that the
    dropped pairs see.
    """
    seen, largest = 0.0, 0.0
    for year in years:
        below, above = 0, value.size
        # shorter pairs from the front, dropped ones from the back
        is_shorter = True
        for k in range(dropped.size):
            is_shorter = is_shorter and not dropped[k]
            for i in range(start[k], start[k + 1]):
                if time[i] == year and is_shorter:
                    value[below] = shorter[0] * along_x[i] + shorter[1] * along_y[i]
                    below += 1
                elif time[i] == year and dropped[k]:
                    above -= 1
                    value[above] = shorter[0] * along_x[i] + shorter[1] * along_y[i]
        number = value.size - above
        if below < LEAST_IN_TIME or number < LEAST_IN_TIME:
            continue
        moves, stays = _median(value[:below]), _median(value[above:])
        weight = min(below, number)
        seen += weight * moves * stays
        largest += weight * moves * moves
    return largest > 0.0 and seen <= LARGEST_SHARE * largest


@kernel
def _join(along_x, along_y, value, is_first, shorter):
    """Bring the medians of a bin into the weighted mean of the shorter ones."""
    for axis in range(2):
        value[:] = along_x if axis == 0 else along_y
        median, own = _statistics(value)
        if is_first:
            shorter[axis], shorter[2 + axis] = median, own
            continue
        total = shorter[2 + axis] + own
        # of two that are known exactly, half each
        share = shorter[2 + axis] / total if total > 0.0 else 0.5
        shorter[axis] += share * (median - shorter[axis])
        shorter[2 + axis] = share * own


@kernel
def _statistics(value):
    """Median and the square of its standard error; the values are lost."""
    median = _median(value)
    for i in range(value.size):
        value[i] = abs(value[i] - median)
    # of the normal distribution
    error = 1.2533 * 1.4826 * _median(value)
    return median, error * error / (value.size - SCARCE)
