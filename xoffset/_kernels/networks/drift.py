"""What noise of the pairs adds to the slope of a series beyond the noise of its dates, as it piles up over dates."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.groups import CONNECTED
from xoffset._kernels.networks.observations import LEAST, MOST

# A pair this many times as noisy as its dates are in their best pairs has noise of its own: where a cloud cuts its
# window it sees other noise of the same dates. Less is what the variances themselves err by.
NOISIER = 1.5


@kernel
def levers(times, state, of_dates, lever, spread):
    """Share (date, lanes) of each date in the slope of a line that weighs dates by their variances (2, date, lanes).

    Dates of islands have none, since a fit leaves them out: state (date, lanes). `spread` (lanes) becomes the weighted
    spread of the known dates, zero where there is no slope.
    """
    dates, lanes = lever.shape
    mean = np.empty(lanes)
    for lane in range(lanes):
        spread[lane] = 0.0
        mean[lane] = 0.0
    for k in range(dates):
        for lane in range(lanes):
            both = of_dates[0, k, lane] + of_dates[1, k, lane]
            is_known = (both > 0.0) & (both < np.inf) & (state[k, lane] == CONNECTED)
            weight = 2.0 / both if is_known else 0.0
            lever[k, lane] = weight
            spread[lane] += weight
            mean[lane] += weight * times[k]
    for lane in range(lanes):
        mean[lane] = mean[lane] / spread[lane] if spread[lane] > 0.0 else 0.0
        spread[lane] = 0.0
    for k in range(dates):
        for lane in range(lanes):
            spread[lane] += lever[k, lane] * (times[k] - mean[lane]) ** 2
    for k in range(dates):
        for lane in range(lanes):
            lever[k, lane] *= (times[k] - mean[lane]) / spread[lane] if spread[lane] > 0.0 else 0.0


@kernel
def gather(ends, of_dates, of_pairs, effective, weight, halves, used):
    """Weights (pair, lanes) of the pairs between known dates, 0 for the others; `used` (lanes), their number.

    effective (pair, lanes): with which the series was solved. halves (5, date, lanes): half the variance of the pairs
    of each date, mean along x and y, least along x and y, and the number of pairs.
    """
    _, dates, lanes = halves.shape
    for layer in range(5):
        for k in range(dates):
            for lane in range(lanes):
                halves[layer, k, lane] = np.inf if 2 <= layer < 4 else 0.0
    for lane in range(lanes):
        used[lane] = 0.0
    for p in range(ends.shape[0]):
        i, j = ends[p, 0], ends[p, 1]
        for lane in range(lanes):
            x, y = of_pairs[0, p, lane], of_pairs[1, p, lane]
            # a date is known along x and y alike, and a sum with NaN is not above zero
            is_known = of_dates[0, i, lane] + of_dates[0, j, lane] >= 0.0
            takes_part = (min(x, y) > LEAST) & (max(x, y) < MOST) & is_known & (effective[p, lane] > 0.0)
            weight[p, lane] = effective[p, lane] if takes_part else 0.0
            used[lane] += 1.0 if takes_part else 0.0
    for p in range(ends.shape[0]):
        for end in range(2):
            k = ends[p, end]
            for lane in range(lanes):
                halves[4, k, lane] += 1.0 if weight[p, lane] > 0.0 else 0.0
            for axis in range(2):
                for lane in range(lanes):
                    takes_part = weight[p, lane] > 0.0
                    half = 0.5 * of_pairs[axis, p, lane]
                    least = halves[2 + axis, k, lane]
                    halves[axis, k, lane] += half if takes_part else 0.0
                    halves[2 + axis, k, lane] = half if takes_part & (half < least) else least
    for k in range(dates):
        for lane in range(lanes):
            number = max(halves[4, k, lane], 1.0)
            halves[0, k, lane] /= number
            halves[1, k, lane] /= number


@kernel
def pull(root, lever, rise):
    """Right-hand sides (1, date, lanes) of which the normal matrix of the network makes displacements.

    A pair weighs in the slope by its weight times the difference of these displacements at its two dates: the error of
    a pair moves all that comes after it, as far as no other pair holds it.
    """
    dates, lanes = lever.shape
    for k in range(dates):
        for lane in range(lanes):
            is_unknown = (root[k, lane] >= 0) & (root[k, lane] != k)
            rise[0, k, lane] = lever[k, lane] if is_unknown else 0.0


@kernel
def add_up(ends, factor, of_dates, of_pairs, own, lever, rise, weight, halves, out):
    """Variance (2, lanes) of the slope by the noise of the pairs, less what the variances of the dates hold of it.

    factor (2, date) and own (lanes): of the variances of the dates that stable ground shows, share of
    those of the pairs that is their own; the other arrays from the kernels above.
    """
    for axis in range(2):
        for lane in range(own.size):
            out[axis, lane] = 0.0
        for p in range(ends.shape[0]):
            i, j = ends[p, 0], ends[p, 1]
            for lane in range(own.size):
                gain = weight[p, lane] * (rise[0, j, lane] - rise[0, i, lane])
                least = NOISIER * (halves[2 + axis, i, lane] + halves[2 + axis, j, lane])
                variance = of_pairs[axis, p, lane] if weight[p, lane] > 0.0 else 0.0
                rest = (1.0 - own[lane]) * (variance - least) if (variance > least) & (own[lane] < 1.0) else 0.0
                out[axis, lane] += gain * gain * (own[lane] * variance + rest)
        for k in range(lever.shape[0]):
            for lane in range(own.size):
                alone = max(factor[axis, k] - own[lane], 0.0) * halves[axis, k, lane]
                there = of_dates[axis, k, lane] if halves[4, k, lane] > 0.0 else 0.0
                out[axis, lane] -= lever[k, lane] ** 2 * max(there - alone, 0.0)


@kernel
def tell(growth, lever, used, spread, own, out):
    """Variances (2, lanes) that are not below zero, NaN where nothing tells.

    Of a slope through all dates of the network with equal weights, if drift grows from date to date as growth (date)
    [yr2] does: a pixel that lacks dates then has the same drift as its neighbours.
    """
    dates, lanes = lever.shape
    behind, seen = np.zeros(lanes), np.zeros(lanes)
    for k in range(dates - 1, 0, -1):
        step = growth[k] - growth[k - 1]
        for lane in range(lanes):
            behind[lane] += lever[k, lane]
            seen[lane] += step * behind[lane] * behind[lane]
    for axis in range(2):
        for lane in range(lanes):
            is_told = used[lane] > 0.0 and spread[lane] > 0.0 and seen[lane] > 0.0 and np.isfinite(own[lane])
            out[axis, lane] = max(out[axis, lane], 0.0) / seen[lane] if is_told else np.nan
