"""Robust losses: residuals in units of their noise, the scale of the noise, and the weights that a loss leaves.

Pixels lie side by side along the last axis of every array (the lanes). weight (pair, lanes) is that of least squares, 0
for a pair that takes no part; redundancy (pair, lanes) the part of each pair's error that its residual shows, 1 minus
its leverage; length (pair, lanes) the studentised residuals.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

# Codes of the losses, as the kernels take them.
# Least squares: every pair keeps its weight.
LINEAR = 0
# Huber's: squares of small residuals, absolute values of large ones.
HUBER = 1
# Tukey's biweight: large residuals have no weight.
TUKEY = 2
# Absolute values of all residuals.
L1 = 3
# One step of weights that fall with the square of the residual, whose scale is known.
RESIDUAL = 4

# Least scale of the noise, as a share of the largest displacement: smaller misclosures are rounding and not noise.
PRECISION = 1e-7
# Square of the last change over that of the largest displacement, below which the change is rounding: a pixel settles.
ROUNDING = 1e-20
# Bisections that find the median residual; they leave an error of 1 to 2 %.
HALVINGS = 10
# In later steps the scale may only fall. A new one replaces the old where it is below this share of it.
FALL = 0.9
# Median length of a vector whose two components are standard normal; it turns a median length into a scale.
RAYLEIGH = 1.1774100225154747
# Length of a residual vector at which Huber's loss begins to lower its weight, in units of the scale. As many good
# vectors (18 %) are longer as single residuals exceed the usual 1.345.
HUBER_LIMIT = 1.856
# Length of a residual vector from which Tukey's biweight rejects it, in units of the scale. It keeps 95 % of the
# efficiency, as 4.685 does for a single residual.
TUKEY_LIMIT = 5.123
# Length below which "l1" lowers no weight, in units of the scale: the weight 1/length would be infinite at zero.
L1_LEAST = 0.05
# Least factor of a weight. With zero, the dates that a loss cuts off would make the equations singular before their
# pairs are taken out.
LEAST_TRUST = 1e-9
# Redundancy at or below which no other pair checks a pair; what is left is rounding.
UNCHECKED = 1e-9
# Factor of the weight of a pair whose residual is clearly wrong.
WRONG = 1e-3


@kernel
def share_redundancy(weight, redundant, mean, redundancy):
    """Take what residuals show for the same in all pairs; mean (lanes) becomes the mean weight."""
    pairs, lanes = weight.shape
    count = np.empty(lanes)
    for lane in range(lanes):
        mean[lane] = 0.0
        count[lane] = 0.0
    for p in range(pairs):
        for lane in range(lanes):
            mean[lane] += weight[p, lane]
            count[lane] += 1.0 if weight[p, lane] > 0.0 else 0.0
    for lane in range(lanes):
        number = max(count[lane], 1.0)
        mean[lane], count[lane] = mean[lane] / number, redundant[lane] / number
    for p in range(pairs):
        for lane in range(lanes):
            redundancy[p, lane] = count[lane] if weight[p, lane] > 0.0 else 0.0


@kernel
def leave_unchecked(length, redundant, mean, largest, redundancy):
    """Share the redundant pairs (lanes) among those that least squares leaves a residual.

    What has none is checked by nothing, as a pair that alone connects two groups. It tells nothing of the noise.
    mean and largest (lanes): mean weight, and largest square of the solution.
    """
    pairs, lanes = length.shape
    rounding, count = np.empty(lanes), np.empty(lanes)
    for lane in range(lanes):
        rounding[lane] = PRECISION * np.sqrt(mean[lane] * largest[lane])
        count[lane] = 0.0
    for p in range(pairs):
        for lane in range(lanes):
            is_checked = length[p, lane] * np.sqrt(redundancy[p, lane]) > rounding[lane]
            redundancy[p, lane] = 1.0 if is_checked else 0.0
            count[lane] += redundancy[p, lane]
    for p in range(pairs):
        for lane in range(lanes):
            redundancy[p, lane] *= min(redundant[lane] / max(count[lane], 1.0), 1.0)


@kernel
def redundancies(ends, root, weight, effective, inverse, out):
    """Redundancy of each pair from the inverse of the normal matrix; 0 where nothing checks the pair.

    effective (pair, lanes): the weights that the matrix was made of.
    """
    pairs, lanes = weight.shape
    last = inverse.shape[1] // 2
    for p in range(pairs):
        i, j = ends[p, 0], ends[p, 1]
        for lane in range(lanes):
            of_i = inverse[i, last, lane] if root[i, lane] != i else 0.0
            of_j = inverse[j, last, lane]
            both = inverse[j, last - (j - i), lane] if root[i, lane] != i else 0.0
            leverage = effective[p, lane] * (of_i + of_j - 2.0 * both)
            rest = 1.0 - leverage
            out[p, lane] = rest if rest > UNCHECKED and weight[p, lane] > 0.0 else 0.0


@kernel
def residuals(ends, weight, redundancy, observed, solution, out):
    """Length of each pair's studentised residual, in units of its weight; -1 where nothing checks the pair.

    observed (2, pair, lanes), solution (2, date, lanes).
    """
    x, y = solution[0], solution[1]
    for p in range(weight.shape[0]):
        i, j = ends[p, 0], ends[p, 1]
        for lane in range(weight.shape[1]):
            along_x = observed[0, p, lane] - x[j, lane] + x[i, lane]
            along_y = observed[1, p, lane] - y[j, lane] + y[i, lane]
            square = weight[p, lane] * (along_x * along_x + along_y * along_y)
            checked = redundancy[p, lane]
            out[p, lane] = np.sqrt(square / checked) if checked > 0.0 else -1.0


@kernel
def rescale(length, least, may_rise, mean, largest, is_settled, scale):
    """Noise of the pairs from the median length of their residuals, in units of their weights: scale (lanes).

    The median is found by halving the logarithm of an interval, of all pixels at once; of an even number it is the
    lower one. The noise is at least this share of the root mean square, and never only rounding: mean and largest
    (lanes) are the mean weight and the largest square of the solution. Pixels that have settled keep theirs.
    """
    pairs, lanes = length.shape
    low, high, middle = np.empty(lanes), np.empty(lanes), np.empty(lanes)
    beyond, below, square = np.empty(lanes), np.empty(lanes), np.empty(lanes)
    for lane in range(lanes):
        square[lane] = 0.0
        high[lane] = 0.0
        beyond[lane] = 0.0
    for p in range(pairs):
        for lane in range(lanes):
            checked = max(length[p, lane], 0.0)
            # pairs that nothing checks count as below
            beyond[lane] += 1.0 if length[p, lane] >= 0.0 else 2.0
            high[lane] = max(high[lane], checked)
            square[lane] += checked * checked
    for lane in range(lanes):
        count = 2.0 * pairs - beyond[lane]
        floor = max(least * np.sqrt(square[lane] / max(count, 1.0)), PRECISION * np.sqrt(mean[lane] * largest[lane]))
        low[lane] = RAYLEIGH * floor
        high[lane] = max(high[lane], low[lane])
    for _ in range(HALVINGS):
        for lane in range(lanes):
            below[lane] = 0.0
            middle[lane] = np.sqrt(low[lane] * high[lane])
        for p in range(pairs):
            for lane in range(lanes):
                below[lane] += 1.0 if length[p, lane] <= middle[lane] else 0.0
        for lane in range(lanes):
            is_beyond = 2.0 * below[lane] < beyond[lane]
            low[lane] = middle[lane] if is_beyond else low[lane]
            high[lane] = high[lane] if is_beyond else middle[lane]
    for lane in range(lanes):
        found = np.sqrt(low[lane] * high[lane]) / RAYLEIGH
        is_new = is_settled[lane] == 0.0 and (may_rise or found < FALL * scale[lane])
        scale[lane] = found if is_new else scale[lane]


@kernel
def reweigh(loss, length, scale, is_settled, weight, trust, effective):
    """Factor of each weight that the loss gives, trust (pair, lanes), of pixels that have not settled.

    effective (pair, lanes) becomes the product of both. scale (lanes): of the noise, 0 where nothing is reweighted.
    """
    for p in range(length.shape[0]):
        for lane in range(length.shape[1]):
            z = max(length[p, lane], 0.0) / scale[lane] if scale[lane] > 0.0 else 0.0
            if loss == TUKEY:
                t = 1.0 - (z / TUKEY_LIMIT) ** 2
                found = max(t * t, LEAST_TRUST) if t > 0.0 else LEAST_TRUST
            elif loss == L1:
                found = L1_LEAST / max(z, L1_LEAST)
            else:
                found = HUBER_LIMIT / max(z, HUBER_LIMIT)
            found = trust[p, lane] if is_settled[lane] > 0.0 else found
            trust[p, lane] = found
            effective[p, lane] = weight[p, lane] * found


@kernel
def weigh_residuals(ends, weight, observed, solution, scale, limit, trust, effective):
    """Factor 1 / (1 + (r / scale)^2) of the weight of a pair, trust (pair, lanes), r being the length of its residual.

    It is a thousandth of that beyond the limit; scale and limit [m]. The factors of a pixel are divided by their mean
    over its pairs, so that they stay as strong as what else holds the solution. effective: as in `reweigh`.
    """
    pairs, lanes = weight.shape
    total, count = np.zeros(lanes), np.zeros(lanes)
    x, y = solution[0], solution[1]
    for p in range(pairs):
        i, j = ends[p, 0], ends[p, 1]
        for lane in range(lanes):
            along_x = observed[0, p, lane] - x[j, lane] + x[i, lane]
            along_y = observed[1, p, lane] - y[j, lane] + y[i, lane]
            square = along_x * along_x + along_y * along_y
            found = scale * scale / (scale * scale + square)
            found *= WRONG if square > limit * limit else 1.0
            trust[p, lane] = found
            total[lane] += found if weight[p, lane] > 0.0 else 0.0
            count[lane] += 1.0 if weight[p, lane] > 0.0 else 0.0
    for p in range(pairs):
        for lane in range(lanes):
            trust[p, lane] *= count[lane] / total[lane] if count[lane] > 0.0 else 1.0
            effective[p, lane] = weight[p, lane] * trust[p, lane]


@kernel
def settle(tolerance, scale, mean, largest_change, largest, is_settled):
    """Note in is_settled (lanes) where the last step hardly changed the solution; return how many pixels are left.

    tolerance: in units of the scale (lanes). mean, largest_change and largest (lanes): mean weight, largest square of
    the changes and of the solution.
    """
    left = 0
    for lane in range(scale.size):
        limit = tolerance * scale[lane]
        # without scale nothing is reweighted
        is_small = limit == 0.0 or not mean[lane] * largest_change[lane] > limit * limit
        is_small |= largest_change[lane] <= ROUNDING * largest[lane]
        is_settled[lane] = 1.0 if is_small else is_settled[lane]
        left += 1 if is_settled[lane] == 0.0 else 0
    return left
