"""What noise of the pairs adds to the slope of a series beyond the noise of its dates, as it piles up over dates."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.groups import CONNECTED
from xoffset._kernels.networks.variances import LEAST_SHARE

# A pair this many times as noisy as its dates are in their best pairs has noise of its own: where a cloud cuts its
# window it sees other noise of the same dates. Less is what the variances themselves err by.
# In units of the least variance that a date may have, which is a share of that of its best pair.
NOISIER = 1.5 * 0.5 / LEAST_SHARE


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
def add_up(ends, effective, variance, least, is_blind, own, rise, out):
    """Variance (2, lanes) of the slope by the noise of the pairs.

    effective (pair, lanes): weights with which the series was solved; variance (2, pair, lanes); least (2, date, lanes)
    from `variances.split`; own (lanes): share of the variances of the pairs that is their own, all that is known where
    `is_blind` (lanes) is 1.
    """
    lanes = own.size
    square = np.empty(lanes)
    for axis in range(2):
        for lane in range(lanes):
            out[axis, lane] = 0.0
    for p in range(ends.shape[0]):
        i, j = ends[p, 0], ends[p, 1]
        for lane in range(lanes):
            gain = effective[p, lane] * (rise[0, j, lane] - rise[0, i, lane])
            square[lane] = gain * gain if effective[p, lane] > 0.0 else 0.0
        for axis in range(2):
            for lane in range(lanes):
                whole = np.float64(variance[axis, p, lane]) if effective[p, lane] > 0.0 else 0.0
                usual = NOISIER * (np.float64(least[axis, i, lane]) + np.float64(least[axis, j, lane]))
                rest = max(whole - usual, 0.0) * max(1.0 - own[lane], 0.0) * (1.0 - is_blind[lane])
                out[axis, lane] += square[lane] * (own[lane] * whole + rest)


@kernel
def take_off(factor, of_dates, of_date, is_blind, own, lever, out):
    """Take from out (2, lanes) what the variances of the dates of the series (2, date, lanes) hold of the pairs' noise.

    That is what they have beyond the noise of the dates themselves: of_date (2, date, lanes) times the factor (2, date)
    that stable ground shows, less the share `own` (lanes).
    """
    for axis in range(2):
        for k in range(lever.shape[0]):
            for lane in range(own.size):
                share = max(factor[axis, k] - own[lane], 0.0) * (1.0 - is_blind[lane])
                alone = share * np.float64(of_date[axis, k, lane])
                rest = max(of_dates[axis, k, lane] - alone, 0.0) if lever[k, lane] != 0.0 else 0.0
                out[axis, lane] -= lever[k, lane] ** 2 * rest


@kernel
def tell(growth, lever, spread, own, out):
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
            is_told = spread[lane] > 0.0 and seen[lane] > 0.0 and np.isfinite(own[lane])
            out[axis, lane] = max(out[axis, lane], 0.0) / seen[lane] if is_told else np.nan
