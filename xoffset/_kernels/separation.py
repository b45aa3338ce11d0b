"""Long baselines that hold on to ground that does not move."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

# Inner edges of the bins of separations [days], those of ITS_LIVE.
EDGES = (16.0, 32.0, 64.0, 128.0, 256.0)
# Pairs that a bin needs to be judged, and to judge others. With 6, networks of 66 pairs find ground that is locked in
# 64 to 85 % of the pixels; with 10 in none.
LEAST = 6
# Standard errors of the difference of two medians that the medians differ by. On ground that does not move 4.5 drop a
# bin in 0.1 to 0.7 % of the pixels, 4 in up to 3 %. The spread of few is too small as often as too large: `SCARCE`
# pairs less are counted than there are.
SIGNIFICANT, SCARCE = 4.5, 4
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
    bins = np.empty(pairs, np.int64)
    value = np.empty(pairs)
    for p in range(pairs):
        bins[p] = 0
        for edge in EDGES:
            bins[p] += baseline[p] >= edge
    for row in range(rows):
        for column in range(columns):
            of_pixel = (vx[:, row, column], vy[:, row, column])
            out[:, row, column] = 0
            # unit vector along the motion of the shortest bin, and its statistics
            along_x, along_y = 0.0, 0.0
            first, speed, spread, count = -1, 0.0, 0.0, 0
            for k in range(len(EDGES) + 1):
                if first < 0:
                    median_x, _, count = _statistics(bins, k, of_pixel, 1.0, 0.0, value)
                    if count < LEAST:
                        continue
                    median_y, _, _ = _statistics(bins, k, of_pixel, 0.0, 1.0, value)
                    first, speed = k, np.hypot(median_x, median_y)
                    if not speed > 0.0:
                        break
                    along_x, along_y = median_x / speed, median_y / speed
                    speed, spread, count = _statistics(bins, k, of_pixel, along_x, along_y, value)
                    continue
                median, width, number = _statistics(bins, k, of_pixel, along_x, along_y, value)
                if number < LEAST or not abs(median) <= LARGEST_SHARE * speed:
                    continue
                error = 1.2533 * np.sqrt(spread * spread / (count - SCARCE) + width * width / (number - SCARCE))
                if speed - median > max(0.67 * (spread + width), SIGNIFICANT * error):
                    for p in range(pairs):
                        if bins[p] == k and np.isfinite(of_pixel[0][p]) and np.isfinite(of_pixel[1][p]):
                            out[p, row, column] = 1


@kernel
def _statistics(bins, k, of_pixel, along_x, along_y, value):
    """Median and 1.4826·MAD of the velocities of a bin along a direction, and their number."""
    vx, vy = of_pixel
    count = 0
    for p in range(bins.size):
        if bins[p] == k and np.isfinite(vx[p]) and np.isfinite(vy[p]):
            value[count] = along_x * vx[p] + along_y * vy[p]
            count += 1
    if count == 0:
        return np.nan, np.nan, 0
    median = _median(value[:count])
    for i in range(count):
        value[i] = abs(value[i] - median)
    return median, 1.4826 * _median(value[:count]), count


@kernel
def _median(value):
    """Median; puts the values in order."""
    value.sort()
    middle = value.size // 2
    return value[middle] if value.size % 2 else 0.5 * (value[middle - 1] + value[middle])
