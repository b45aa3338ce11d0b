"""Whether short and long pairs tell the same motion: long ones may hold on to what does not move.

Pixels lie side by side along the last axis of every array (the lanes).
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

# Fewest of the shortest pairs that are looked at together; then twice as many, and so on up to half of all.
FEWEST = 12
# Twice the logarithm of how often chance may go as far, for each number of pairs.
CHANCE = 2.0 * np.log(1e4)
# Least share of the motion of the short pairs that their misclosure adds up to: less may be shear, or tenths of pixels.
LEAST = 0.2
# Misclosure along an axis beyond which it counts no more, in units of the scale: it may be an outlier.
OUTLIER = 4.0


@kernel
def disagree(order, ends, weight, variance, observed, solution, scale, share, out):
    """Whether the misclosures of the shortest pairs point one way, out (lanes), 1 or 0.

    order (pair,): pairs by their time. The errors of good pairs point any way, so the sum S of n vectors is short: 2 S²
    over the sum of their squares has a chi-square distribution with two degrees of freedom at most, whatever their
    standard errors are. S is to be as long in terms of these, too, with the share (lanes) that is the pairs' own, and
    to be a part of the motion. scale (lanes): of the misclosures in units of the weights, 0 without a robust loss.
    """
    pairs, lanes = weight.shape
    sums, told = np.zeros((2, lanes)), np.zeros((2, lanes))
    whole, squares, expected = np.zeros((2, lanes)), np.zeros(lanes), np.zeros(lanes)
    limit, root, rest = np.empty((3, lanes))
    for lane in range(lanes):
        out[lane] = 0.0
        limit[lane] = OUTLIER * scale[lane] if scale[lane] > 0.0 else np.inf
    last, end = FEWEST, FEWEST
    while 4 * last <= pairs:
        last *= 2
    for q in range(last if 2 * last <= pairs else 0):
        p = order[q]
        i, j = ends[p, 0], ends[p, 1]
        # few arrays in each loop, or the compiler does not look at all lanes together
        for lane in range(lanes):
            root[lane] = np.sqrt(weight[p, lane])
        for lane in range(lanes):
            both = np.float64(variance[0, p, lane]) + np.float64(variance[1, p, lane])
            expected[lane] += 0.5 * weight[p, lane] * both if weight[p, lane] > 0.0 else 0.0
        for axis in range(2):
            for lane in range(lanes):
                told[axis, lane] += root[lane] * observed[axis, p, lane]
            for lane in range(lanes):
                moved = solution[axis, j, lane] - solution[axis, i, lane]
                rest[lane] = root[lane] * (observed[axis, p, lane] - moved)
            for lane in range(lanes):
                whole[axis, lane] += rest[lane]
            for lane in range(lanes):
                counted = min(max(rest[lane], -limit[lane]), limit[lane])
                sums[axis, lane] += counted
                squares[lane] += counted * counted
        if q + 1 == end:
            end *= 2
            for lane in range(lanes):
                square = sums[0, lane] ** 2 + sums[1, lane] ** 2
                is_far = 2.0 * square > CHANCE * squares[lane]
                is_far &= square > CHANCE * min(share[lane], 1.0) * expected[lane]
                motion = told[0, lane] ** 2 + told[1, lane] ** 2
                is_far &= whole[0, lane] ** 2 + whole[1, lane] ** 2 > LEAST * LEAST * motion
                out[lane] = 1.0 if is_far else out[lane]
