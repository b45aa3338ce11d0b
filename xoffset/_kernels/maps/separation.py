"""Long baselines that hold on to ground that does not move."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.order import _median

# Inner edges of the bins of separations [days], those of ITS_LIVE.
EDGES = (16.0, 32.0, 64.0, 128.0, 256.0)
# Pairs that a bin needs to be judged, and to judge others. With 6, networks of 66 pairs find ground that is locked in
# 64 to 85 % of the pixels; with 10 in 3 %.
LEAST = 6
# Difference of the median speeds of two bins that is significant, in its standard errors. On ground that does not move,
# 4.5 drops a bin in 0.1 to 0.8 % of the pixels, 4 in up to 2.3 %.
SIGNIFICANT = 4.5
# Pairs taken off the number in a bin for its standard error, because the spread of few pairs is often too small.
SCARCE = 4
# Share of the speed of the shortest bin that a bin which is locked keeps at most.
LARGEST_SHARE = 0.25


@kernel
def is_locked(baseline, vx, vy, out):
    """Set out for the pairs of every bin of separations that stands still where the shortest bin moves.

    The shortest bin with at least `LEAST` pairs tells how the ground moves: its median velocity is the direction along
    which all are compared, so the locked pairs may be the majority. A bin is dropped if its median plus and minus half
    an interquartile range (0.67·1.4826·MAD) does not reach that of the shortest bin (the test of ITS_LIVE), and if the
    two medians differ by more than `SIGNIFICANT` standard errors, which bins of few pairs need, and if it stands still:
    at most `LARGEST_SHARE` of the speed of the shortest bin. Motion that changes makes bins differ, but stops none.

    Parameters
    ----------
    baseline
        (pair,) absolute length in days.
    vx, vy
        (pair, rows, columns) velocity in m/yr, NaN where a pair is missing.
    out
        (pair, rows, columns) uint8, 1 where the pair belongs to a bin that is dropped.
    """
    pairs, rows, columns = vx.shape
    bins, order = np.zeros(pairs, np.int64), np.empty(pairs, np.int64)
    for p in range(pairs):
        for edge in EDGES:
            bins[p] += baseline[p] >= edge
    placed = 0
    for k in range(len(EDGES) + 1):
        for p in range(pairs):
            if bins[p] == k:
                order[placed] = p
                placed += 1
    along_x, along_y, value = np.empty(pairs), np.empty(pairs), np.empty(pairs)
    # of the bins of a pixel: where they begin in the values, and whether they are dropped
    start = np.empty(len(EDGES) + 2, np.int64)
    dropped = np.empty(len(EDGES) + 1, np.bool_)
    for row in range(rows):
        for column in range(columns):
            count = 0
            for k in range(start.size):
                start[k] = 0
            for i in range(pairs):
                p = order[i]
                along_x[count], along_y[count] = vx[p, row, column], vy[p, row, column]
                if np.isfinite(along_x[count]) and np.isfinite(along_y[count]):
                    count += 1
                    start[bins[p] + 1] = count
                out[p, row, column] = 0
            for k in range(start.size - 1):
                start[k + 1] = max(start[k + 1], start[k])
            if _compare(start, along_x, along_y, value, dropped):
                for p in range(pairs):
                    is_valid = np.isfinite(vx[p, row, column]) and np.isfinite(vy[p, row, column])
                    out[p, row, column] = is_valid and dropped[bins[p]]


@kernel
def _compare(start, along_x, along_y, value, dropped):
    """Set which bins are dropped, from the velocities in the order of the bins; returns whether any is."""
    first = -1
    for k in range(dropped.size):
        dropped[k] = False
        if first < 0 and start[k + 1] - start[k] >= LEAST:
            first = k
    if first < 0:
        return False
    # unit vector along the motion of the shortest bin
    here = value[start[first] : start[first + 1]]
    for i in range(here.size):
        here[i] = along_x[start[first] + i]
    towards_x = _median(here)
    for i in range(here.size):
        here[i] = along_y[start[first] + i]
    towards_y = _median(here)
    speed = np.hypot(towards_x, towards_y)
    if not speed > 0.0:
        return False
    for i in range(start[-1]):
        value[i] = towards_x / speed * along_x[i] + towards_y / speed * along_y[i]
    speed, spread = _statistics(here)
    count = start[first + 1] - start[first]
    found = False
    for k in range(first + 1, dropped.size):
        number = start[k + 1] - start[k]
        if number < LEAST:
            continue
        median, width = _statistics(value[start[k] : start[k + 1]])
        error = 1.2533 * np.sqrt(spread * spread / (count - SCARCE) + width * width / (number - SCARCE))
        apart = speed - median > max(0.67 * (spread + width), SIGNIFICANT * error)
        dropped[k] = apart and abs(median) <= LARGEST_SHARE * speed
        found = found or dropped[k]
    return found


@kernel
def _statistics(value):
    """Median and 1.4826·MAD; the values are lost."""
    median = _median(value)
    for i in range(value.size):
        value[i] = abs(value[i] - median)
    return median, 1.4826 * _median(value)
