"""What noise of the pairs adds to the slope of a series beyond the noise of its dates, as it piles up over dates."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

# A pair this many times as noisy as its dates are in their best pairs has noise of its own: where a cloud cuts its
# window it sees other noise of the same dates. Less is what the variances themselves err by.
NOISIER = 1.5
# Variances beyond are none, as in the inversion.
LEAST, MOST = 1e-30, 1e30


@kernel
def _slope(times, of_dates, lever, total, mean):
    """Share (date, lanes) of each date in the slope of a line that weighs dates by their variances (2, date, lanes).

    `total` (lanes) becomes the weighted spread of the known dates, zero where there is no slope.
    """
    dates, lanes = lever.shape
    total[:] = 0.0
    mean[:] = 0.0
    for k in range(dates):
        for lane in range(lanes):
            both = of_dates[0, k, lane] + of_dates[1, k, lane]
            weight = 2.0 / both if 0.0 < both < np.inf else 0.0
            lever[k, lane] = weight
            total[lane] += weight
            mean[lane] += weight * times[k]
    for lane in range(lanes):
        mean[lane] = mean[lane] / total[lane] if total[lane] > 0.0 else 0.0
        total[lane] = 0.0
    for k in range(dates):
        for lane in range(lanes):
            total[lane] += lever[k, lane] * (times[k] - mean[lane]) ** 2
    for k in range(dates):
        for lane in range(lanes):
            spread = total[lane]
            lever[k, lane] *= (times[k] - mean[lane]) / spread if spread > 0.0 else 0.0


@kernel
def _gather(ends, of_dates, of_pairs, weight, halves, used):
    """Inverse variances (pair, lanes) of the pairs between known dates, 0 for the others; `used` (lanes), their number.

    halves (5, date, lanes): half the variance of the pairs of each date, mean along x and y, least along x and y, and
    the number of pairs.
    """
    halves[:2] = 0.0
    halves[2:4] = np.inf
    halves[4] = 0.0
    used[:] = 0.0
    for p in range(ends.shape[0]):
        of_i, of_j = of_dates[0, ends[p, 0]], of_dates[0, ends[p, 1]]
        for lane in range(used.size):
            x, y = of_pairs[0, p, lane], of_pairs[1, p, lane]
            # a date is known along x and y alike, and a sum with NaN is not above zero
            takes_part = (min(x, y) > LEAST) & (max(x, y) < MOST) & (of_i[lane] + of_j[lane] >= 0.0)
            weight[p, lane] = 2.0 / (x + y) if takes_part else 0.0
            used[lane] += 1.0 if takes_part else 0.0
    for p in range(ends.shape[0]):
        for k in ends[p]:
            for lane in range(used.size):
                halves[4, k, lane] += 1.0 if weight[p, lane] > 0.0 else 0.0
        for axis in range(2):
            variance = of_pairs[axis, p]
            for k in ends[p]:
                total, least = halves[axis, k], halves[2 + axis, k]
                for lane in range(used.size):
                    takes_part = weight[p, lane] > 0.0
                    half = 0.5 * variance[lane]
                    total[lane] += half if takes_part else 0.0
                    least[lane] = half if takes_part & (half < least[lane]) else least[lane]
    for k in range(halves.shape[1]):
        for lane in range(used.size):
            number = max(halves[4, k, lane], 1.0)
            halves[0, k, lane] /= number
            halves[1, k, lane] /= number


@kernel
def _rise(ends, weight, lever, rise, behind, largest):
    """Displacements (date, lanes) by which pairs weigh in the slope: weight times the difference of their dates."""
    dates, lanes = lever.shape
    rise[:] = 0.0
    for p in range(ends.shape[0]):
        # sums of differences give the tie of each interval
        i, j = ends[p, 0], ends[p, 1]
        for lane in range(lanes):
            strength = weight[p, lane] * (j - i)
            rise[i, lane] += strength
            rise[j, lane] -= strength
    behind[:] = 0.0
    largest[:] = 0.0
    for k in range(dates):
        for lane in range(lanes):
            behind[lane] += lever[k, lane]
            rise[k, lane] += rise[k - 1, lane] if k > 0 else 0.0
            largest[lane] = max(largest[lane], rise[k, lane])
    for lane in range(lanes):
        tie, rise[0, lane] = rise[0, lane], 0.0
        for k in range(dates - 1):
            behind[lane] -= lever[k, lane]
            # where no pair crosses an interval, rounding is left
            step = behind[lane] / tie if tie > 1e-9 * largest[lane] else 0.0
            tie, rise[k + 1, lane] = rise[k + 1, lane], rise[k, lane] + step


@kernel
def _add_up(ends, factor, variances, levers, halves, axis, out):
    """Variance (lanes) of the slope by the noise of the pairs, less what the variances of the dates hold of it."""
    of_dates, of_pairs, own = variances
    lever, rise, weight = levers
    out[:] = 0.0
    for p in range(ends.shape[0]):
        i, j = ends[p, 0], ends[p, 1]
        for lane in range(out.size):
            gain = weight[p, lane] * (rise[j, lane] - rise[i, lane])
            least = NOISIER * (halves[2 + axis, i, lane] + halves[2 + axis, j, lane])
            variance = of_pairs[p, lane] if weight[p, lane] > 0.0 else 0.0
            rest = (1.0 - own[lane]) * (variance - least) if (variance > least) & (own[lane] < 1.0) else 0.0
            out[lane] += gain * gain * (own[lane] * variance + rest)
    for k in range(of_dates.shape[0]):
        for lane in range(out.size):
            alone = max(factor[k] - own[lane], 0.0) * halves[axis, k, lane]
            there = of_dates[k, lane] if halves[4, k, lane] > 0.0 else 0.0
            out[lane] -= lever[k, lane] ** 2 * max(there - alone, 0.0)


@kernel
def drift(ends, times, factor, of_dates, of_pairs, share, out):
    """Variance that the noise of pairs adds to the slope of a line through a series.

    A pair ties its two dates; the error of a pair moves all that comes after it. Across the interval between two dates
    pairs are taken for as strong as the sum of their weights times their lengths in dates. That is exact for a chain,
    where every date has one pair before and one after it, and close to it for a slope, which is smooth, in any network.

    Parameters
    ----------
    ends
        (pair, 2) earlier and later date of each pair, as indices into times (date,) in years.
    factor
        (2, date) of the variances of the dates along x and y that stable ground shows.
    of_dates
        (2, date, lanes) variance of each date of the series along x and y, NaN where the date is unknown. What the
        noise of the pairs contributes to them is not added again. Pixels lie side by side along the lanes.
    of_pairs
        (2, pair, lanes) variance of each pair, NaN where it is missing.
    share
        (lanes) share of the variances of the pairs that is their own.
    out
        (2, lanes) result along x and y, squared per year; NaN where nothing tells.
    """
    pairs, dates, lanes = ends.shape[0], times.size, share.size
    lever, rise = np.empty((dates, lanes)), np.empty((dates, lanes))
    weight, halves = np.empty((pairs, lanes)), np.empty((5, dates, lanes))
    mean, spread, used, spare = np.empty(lanes), np.empty(lanes), np.empty(lanes), np.empty(lanes)
    _slope(times, of_dates, lever, spread, mean)
    _gather(ends, of_dates, of_pairs, weight, halves, used)
    _rise(ends, weight, lever, rise, mean, spare)
    for axis in range(2):
        variances = of_dates[axis], of_pairs[axis], share
        _add_up(ends, factor[axis], variances, (lever, rise, weight), halves, axis, out[axis])
        for lane in range(lanes):
            is_told = used[lane] > 0.0 and spread[lane] > 0.0 and np.isfinite(share[lane])
            out[axis, lane] = max(out[axis, lane], 0.0) if is_told else np.nan
