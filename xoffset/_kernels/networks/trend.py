"""Robust linear models of motion in time: kernels that solve some pixels each.

`_arrays.networks.trend` calls them one after the other. Arrays that they share, by pixel:

designs
    (1 or pixel, observation, term) derivative of each observation with respect to each parameter.
rows, value, own, mean
    (pixel, observation), the second and third (pixel, 2, observation): the observations that take part, as indices;
    their displacements along x and y, the variances of these, and the mean of both. See `gather`.
base, weight
    (pixel, observation) weight of each of them from its variance, and 0 to 1 from its residual.
count
    (pixel,) number of observations that take part; nothing is done for a pixel without any.
matrices, is_base, solution
    (pixel, 3, term, term) normal matrix, its inverse and its factor; (pixel, term) whether a term is none that depends
    on those before it; (pixel, 2, term) parameters along x and y.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.least_squares import _form, _least_squares, _squared_length
from xoffset._kernels.networks.order import _median

# Codes of the losses: least squares, Huber's, Tukey's biweight, and absolute values.
LINEAR = 0
HUBER = 1
TUKEY = 2
L1 = 3
# Length of a residual vector from which each loss lowers its weight (for the biweight: rejects it), in units of the
# scale, by code. Huber's is the 82 % quantile, as 1.345 is for one component. The biweight's keeps 95 % of the
# efficiency, as 4.685 does for one component. That of "l1" only keeps weights finite.
THRESHOLDS = (np.inf, 1.856, 5.123, 0.05)
# Median length of a vector of two independent components of unit variance; it turns a median length into a scale.
MEDIAN_LENGTH = 1.1774100225154747
# Most iterations; a pixel that needs more has not converged.
ITERATIONS = 100
# Iterations after which the scale stays as it is, so that the rest converges.
RESCALED = 50
# Change of the solution that ends the iteration, in units of the scale and of its standard errors.
TOLERANCE = 1e-3
# Least scale, in standard errors of the observations: a median residual of zero would reject all that is not zero.
SMALLEST_SCALE = 1e-6


@kernel
def gather(observed, variance, rows, value, own, mean, count, is_blind):
    """Put the observations that take part one after the other, pixel by pixel.

    observed, variance (2, observation, pixel): a vector with a NaN takes no part, nor does one without positive
    variances beside others that have them. is_blind (pixel,): none of those that take part has a variance; then all
    weigh alike, and `own` is left as it comes.
    """
    pixels = count.size
    for p in range(pixels):
        count[p], is_blind[p] = 0, True
    for is_second in range(2):
        for k in range(observed.shape[1]):
            for p in range(pixels):
                if not is_blind[p]:
                    continue
                along_x, along_y = observed[0, k, p], observed[1, k, p]
                of_x, of_y = variance[0, k, p], variance[1, k, p]
                has_variance = 0.0 < of_x < np.inf and 0.0 < of_y < np.inf
                if np.isfinite(along_x) and np.isfinite(along_y) and (is_second or has_variance):
                    c = count[p]
                    rows[p, c] = k
                    value[p, 0, c], value[p, 1, c] = along_x, along_y
                    own[p, 0, c], own[p, 1, c] = of_x, of_y
                    mean[p, c] = 1.0 if is_second else 0.5 * (of_x + of_y)
                    count[p] = c + 1
        has_blind = False
        for p in range(pixels):
            if is_second == 0:
                is_blind[p] = count[p] == 0
            has_blind = has_blind or is_blind[p]
        if not has_blind:
            break


@kernel
def linear(designs, rows, value, base, count, weight, matrices, is_base, solution):
    """Weighted least squares; the weights become 1."""
    unit = np.empty(solution.shape[2])
    for p in range(count.size):
        for k in range(count[p]):
            weight[p, k] = 1.0
        if count[p] > 0:
            _least_squares(
                designs[min(p, designs.shape[0] - 1)], rows[p, : count[p]], value[p], base[p], weight[p],
                matrices[p], unit, is_base[p], solution[p],
            )  # fmt: skip


@kernel
def robust(loss, designs, rows, value, base, count, weight, matrices, is_base, solution, scale):
    """Iteratively reweighted least squares; scale (pixel,) of the residuals as from `_iterate`."""
    work, before, unit = np.empty((2, rows.shape[1])), np.empty((2, solution.shape[2])), np.empty(solution.shape[2])
    for p in range(count.size):
        if count[p] > 0:
            scale[p] = _iterate(
                loss, designs[min(p, designs.shape[0] - 1)], rows[p, : count[p]], value[p], base[p], weight[p],
                matrices[p], unit, is_base[p], solution[p], work[0], work[1], before,
            )  # fmt: skip


@kernel
def _iterate(
    loss, design, rows, observed, base, weight, matrices, unit, is_base, solution, length, sample, before
):  # fmt: skip
    """Iteratively reweighted least squares of a pixel; returns the scale, negative if the weights did not converge.

    The scale is the median of the studentised lengths, renewed in the first iterations only, so that the rest
    descends. The biweight starts from Huber's solution and keeps its scale.
    """
    normal, inverse = matrices[0], matrices[1]
    for k in range(rows.size):
        weight[k] = 1.0
    stage = HUBER if loss == TUKEY else loss
    scale, age = 1.0, 0
    for _ in range(ITERATIONS):
        _least_squares(design, rows, observed, base, weight, matrices, unit, is_base, solution)
        if loss == LINEAR:
            return scale
        if age > 0:
            change = 0.0
            for axis in range(2):
                for i in range(unit.size):
                    before[axis, i] = solution[axis, i] - before[axis, i]
                change += _form(normal, before, axis)
            if change <= (TOLERANCE * scale) ** 2:
                if stage == loss:
                    return scale
                stage, age = loss, 0
        for i in range(unit.size):
            before[0, i], before[1, i] = solution[0, i], solution[1, i]
        count = 0
        for k in range(rows.size):
            squares = _squared_length(design, rows[k], observed, solution, k)
            free = 1.0 - base[k] * weight[k] * _form(inverse, design, rows[k])
            length[k] = 0.0
            # an observation that fits whatever it says tells nothing
            if free > 1e-6:
                length[k] = np.sqrt(base[k] * squares / free)
                sample[count] = length[k]
                count += 1
        if age < RESCALED and stage != TUKEY:
            scale = max(_median(sample[:count]) / MEDIAN_LENGTH, SMALLEST_SCALE) if count > 0 else SMALLEST_SCALE
        threshold = THRESHOLDS[stage] * scale
        for k in range(rows.size):
            weight[k] = _robust_weight(length[k], threshold, stage)
        age += 1
    return -scale


@kernel
def _robust_weight(length, threshold, loss):
    if loss == TUKEY:
        rest = 1.0 - (length / threshold) ** 2
        return rest * rest if rest > 0.0 else 0.0
    return threshold / length if length > threshold else 1.0


@kernel
def wander(designs, rows, value, mean, count, solution, spread, base, wandering):
    """Variance per unit of `spread` that the residuals show beyond the variances of the observations; weigh by both.

    It is the one that gives the median of the standardised lengths its value; zero if the variances explain them.
    spread (observation,), wandering (pixel,).
    """
    length, sample = np.empty(rows.shape[1]), np.empty(rows.shape[1])
    for p in range(count.size):
        design = designs[min(p, designs.shape[0] - 1)]
        largest = 0.0
        for k in range(count[p]):
            length[k] = _squared_length(design, rows[p, k], value[p], solution[p], k)
            largest = max(largest, length[k] / spread[rows[p, k]])
        low, high = 0.0, largest
        for step in range(60 if count[p] > 0 else 0):
            middle = 0.0 if step == 0 else 0.5 * (low + high)
            for k in range(count[p]):
                sample[k] = length[k] / (mean[p, k] + middle * spread[rows[p, k]])
            is_explained = _median(sample[: count[p]]) <= MEDIAN_LENGTH**2
            if is_explained:
                high = middle
            else:
                low = middle
            if high - low <= 1e-6 * high:
                break
        wandering[p] = high
        for k in range(count[p]):
            base[p, k] = 1.0 / (mean[p, k] + high * spread[rows[p, k]])
