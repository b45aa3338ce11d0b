"""Smooth series: the penalty on changes of velocity, and the strength of it that predicts the dates best.

Pixels lie side by side along the last axis of every array (the lanes).
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.groups import CONNECTED

# How often chance may put one of the dates of a pixel farther from its pairs than smoothing is allowed to hold it.
CHANCE = 1e-3
# Standard deviations by which all dates together may be farther than noise lets expect.
BEYOND = 4.0
# Share of the variance of a date that no test minds: smoothing may bend the motion by a sixth of a standard error.
SLACK = 0.03
# Mean square of three dates beside each other, over what noise lets expect, from which the rest is bent motion; and how
# many standard deviations that of all dates has to be above one.
BENT, BENT_ALL = 2.2, 2.0
# Less freedom than this is rounding: such a strength explains nothing.
LEAST_FREEDOM = 1e-9


@kernel
def stiffen(times, root, strength, band):
    """Add the penalty on changes of velocity, strength (lanes) [yr2 m-2], to the normal matrix of `systems`."""
    dates, width, lanes = band.shape
    last = width - 1
    for k in range(1, dates - 1):
        a = 1.0 / (times[k] - times[k - 1])
        c = 1.0 / (times[k + 1] - times[k])
        b = -(a + c)
        for lane in range(lanes):
            at = root[k, lane]
            is_inside = at >= 0 and root[k - 1, lane] == at and root[k + 1, lane] == at
            w = strength[lane] if is_inside else 0.0
            band[k - 1, last, lane] += w * a * a
            band[k, last, lane] += w * b * b
            band[k + 1, last, lane] += w * c * c
            band[k, last - 1, lane] += w * a * b
            band[k + 1, last - 1, lane] += w * b * c
            band[k + 1, last - 2, lane] += w * a * c


@kernel
def straighten(times, root, strength, prior, solution, out):
    """Add what the penalty pulls to the right-hand sides (2, date, lanes) of `systems.gradient`.

    prior (2, date, lanes): series that the smoothness refers to.
    """
    _, dates, lanes = out.shape
    for axis in range(2):
        u, g, known = solution[axis], out[axis], prior[axis]
        for k in range(1, dates - 1):
            a = 1.0 / (times[k] - times[k - 1])
            c = 1.0 / (times[k + 1] - times[k])
            for lane in range(lanes):
                at = root[k, lane]
                is_inside = at >= 0 and root[k - 1, lane] == at and root[k + 1, lane] == at
                jump = c * (u[k + 1, lane] - u[k, lane]) - a * (u[k, lane] - u[k - 1, lane])
                expected = c * (known[k + 1, lane] - known[k, lane]) - a * (known[k, lane] - known[k - 1, lane])
                # where the prior knows nothing, a steady motion is expected
                jump -= expected if np.isfinite(expected) else 0.0
                jump *= strength[lane] if is_inside else 0.0
                g[k - 1, lane] -= a * jump
                g[k, lane] += (a + c) * jump
                g[k + 1, lane] -= c * jump
        for k in range(dates):
            for lane in range(lanes):
                if root[k, lane] == k or root[k, lane] < 0:
                    g[k, lane] = 0.0


@kernel
def stiffness(root, band, out):
    """Sum (lanes) of the diagonal of a matrix over the unknowns."""
    dates, width, lanes = band.shape
    for lane in range(lanes):
        out[lane] = 0.0
    for k in range(dates):
        for lane in range(lanes):
            is_free = root[k, lane] >= 0 and root[k, lane] != k
            out[lane] += band[k, width - 1, lane] if is_free else 0.0


@kernel
def trace(ends, root, effective, inverse, out):
    """Number (lanes) of parameters that a smoothed series has: 1 and the leverages of all pairs.

    effective (pair, lanes): weights of the pairs; inverse: of the normal matrix within its envelope.
    """
    last = inverse.shape[1] // 2
    for lane in range(out.size):
        out[lane] = 1.0
    for p in range(ends.shape[0]):
        i, j = ends[p, 0], ends[p, 1]
        for lane in range(out.size):
            of_i = inverse[i, last, lane] if root[i, lane] != i else 0.0
            both = inverse[j, last - (j - i), lane] if root[i, lane] != i else 0.0
            out[lane] += effective[p, lane] * (of_i + inverse[j, last, lane] - 2.0 * both)


@kernel
def compare(state, members, parameters, trial, smooth, plain, least, strength):
    """Take the strength that was tried for the best where its score is less than the least so far.

    members, parameters (lanes): dates of the group of the reference, and what `trace` returns. smooth and plain (2,
    date, lanes): the solution that was tried, and that of the pairs alone. The noise belongs to dates, so what is
    predicted are the displacements of the dates that the pairs alone give, not the pairs, which close too well.
    """
    _, dates, lanes = smooth.shape
    for lane in range(lanes):
        number, misfit = max(members[lane], 1.0), 0.0
        for axis in range(2):
            mean, square = 0.0, 0.0
            for k in range(dates):
                if state[k, lane] == CONNECTED:
                    change = smooth[axis, k, lane] - plain[axis, k, lane]
                    mean += change
                    square += change * change
            misfit += square - mean * mean / number
        freedom = 1.0 - parameters[lane] / number
        score = misfit / (freedom * freedom) if freedom > LEAST_FREEDOM else np.inf
        if score < least[lane]:
            least[lane] = score
            strength[lane] = trial[lane]


@kernel
def judge(state, members, is_blind, smooth, plain, of_plain, of_rest, variance, far, is_beyond):
    """Hold a smoothed series against that of the pairs alone: it may be no farther than the known noise explains.

    Parameters
    ----------
    state, members, is_blind
        (date, lanes), (lanes) from `groups.classify` and `variances.complete`.
    smooth, plain
        (2, date, lanes) displacements with and without the penalty.
    of_plain, of_rest
        (2, date, lanes) variances of the latter, and of the difference of both, if the motion is not bent.
    variance
        (2, date, lanes) of the smoothed series by noise alone. On return it holds what smoothing does to the motion,
        too: on average by the covariance of both series, which is the variance that smoothness as a prior leaves (Wahba
        1983); where the difference is larger than noise lets expect, by the rest of its square.
    far
        (date, lanes) becomes 1 at dates that are farther than chance lets any date of the pixel be.
    is_beyond
        (lanes) becomes 1 where some date is, or all are together. Without standard errors nothing tells: 0.
    """
    _, dates, lanes = smooth.shape
    apart = np.empty((2, dates))
    for lane in range(lanes):
        is_beyond[lane] = 0.0
        number = max(members[lane], 1.0)
        limit = 2.0 * np.log(number / CHANCE)
        squares, expected, allowed, whole = np.zeros(2), np.zeros(2), 0.0, 0.0
        for axis in range(2):
            mean = 0.0
            for k in range(dates):
                apart[axis, k] = smooth[axis, k, lane] - plain[axis, k, lane]
                mean += apart[axis, k] / number if state[k, lane] == CONNECTED else 0.0
            for k in range(dates):
                apart[axis, k] -= mean
                if state[k, lane] == CONNECTED:
                    squares[axis] += apart[axis, k] ** 2
                    expected[axis] += of_rest[axis, k, lane]
                    whole += of_plain[axis, k, lane]
                    allowed += of_rest[axis, k, lane] + SLACK * of_plain[axis, k, lane]
        freedom = max(number * (expected[0] + expected[1]) / whole, 1.0) if whole > 0.0 else 1.0
        is_known = is_blind[lane] == 0.0
        if is_known and squares[0] + squares[1] > allowed * (1.0 + BEYOND / np.sqrt(freedom)):
            is_beyond[lane] = 1.0
        for k in range(dates):
            far[k, lane] = 0.0
            if state[k, lane] != CONNECTED:
                continue
            length = 0.0
            for axis in range(2):
                noise = of_rest[axis, k, lane] + SLACK * of_plain[axis, k, lane]
                length += apart[axis, k] ** 2 / noise if noise > 0.0 else 0.0
            if is_known and length > limit:
                far[k, lane] = 1.0
                is_beyond[lane] = 1.0
            for axis in range(2):
                near, of_near, count = 0.0, 0.0, 0.0
                for m in range(max(k - 1, 0), min(k + 2, dates)):
                    if state[m, lane] == CONNECTED:
                        near += apart[axis, m] ** 2
                        of_near += of_rest[axis, m, lane]
                        count += 1.0
                bent = (near - of_near) / count if near > BENT * of_near else 0.0
                if squares[axis] > expected[axis] * (1.0 + BENT_ALL * np.sqrt(2.0 / freedom)):
                    rest = squares[axis] / expected[axis] - 1.0 if expected[axis] > 0.0 else 0.0
                    bent = max(bent, rest * of_rest[axis, k, lane])
                together = 0.5 * (of_plain[axis, k, lane] + variance[axis, k, lane] - of_rest[axis, k, lane])
                variance[axis, k, lane] = max(variance[axis, k, lane], together) + bent
