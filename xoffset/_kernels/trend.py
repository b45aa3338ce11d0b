"""Robust linear models of motion in time, with standard errors that follow the dates."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

LINEAR, HUBER, TUKEY, L1 = range(4)
# Thresholds on the length of a vector of two components, in units of the scale: the quantile (82 %) that 1.345 is for
# one component, the biweight that keeps 95 % of the efficiency (4.685 for one component), and one that is hardly there.
THRESHOLDS = (np.inf, 1.856, 5.123, 0.05)
# What Gaussian noise lets expect: the ratio of the mean squares of weight and weighted residual, and the variance of
# the estimate over the one with its weights taken for fixed, if there is much redundancy; without any it is the same.
CONSISTENCY = (1.0, 1.1516, 1.3460, 7.1125)
EFFICIENCY = (1.0, 1.0174, 1.0292, 0.5402)
# Median length of a vector of two independent components of unit variance.
MEDIAN_LENGTH = 1.1774100225154747
ITERATIONS, RESCALED, TOLERANCE, SMALLEST_SCALE = 100, 50, 1e-3, 1e-6
# Squared sine of the angle between a term and those before it under which the data do not tell them apart.
DEPENDENT = 1e-10
SEARCHES, SMALLEST_GAIN, FEWEST = 5, 10.0, 2
# Neighbouring pixels that are copied together: what lies side by side in memory is read once.
STRIP = 8


@kernel
def median(values):
    """Median; the values change their order."""
    count = values.size
    middle = count // 2
    low, high = 0, count - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            break
    found = values[middle]
    if count % 2 == 0:
        below = values[0]
        for k in range(1, middle):
            below = max(below, values[k])
        found = 0.5 * (found + below)
    return found


@kernel
def _factor(normal, lower, scale, is_base):
    """Cholesky factor of the normal matrix with a unit diagonal, without the terms that depend on those before them.

    The row of a term left out holds what it is made of.
    """
    for j in range(scale.size):
        scale[j] = 1.0 / np.sqrt(normal[j, j]) if normal[j, j] > 0.0 else 0.0
        rest = 1.0
        for i in range(j):
            lower[j, i] = 0.0
            if is_base[i]:
                value = normal[j, i] * scale[j] * scale[i]
                for k in range(i):
                    value -= lower[j, k] * lower[i, k]
                lower[j, i] = value / lower[i, i]
                rest -= lower[j, i] * lower[j, i]
        is_base[j] = scale[j] > 0.0 and rest > DEPENDENT
        lower[j, j] = np.sqrt(rest) if is_base[j] else 0.0
        if not is_base[j]:
            # a term left out must not enter the rows after it
            for k in range(j + 1, scale.size):
                lower[k, j] = 0.0


@kernel
def _back(lower, is_base, x):
    """Solve with the transpose of the factor, in place."""
    for i in range(x.size - 1, -1, -1):
        if is_base[i]:
            for k in range(i + 1, x.size):
                if is_base[k]:
                    x[i] -= lower[k, i] * x[k]
            x[i] /= lower[i, i]


@kernel
def _solve(lower, scale, is_base, x):
    """Solve with the factor of `_factor`, in place; terms left out are zero."""
    for i in range(x.size):
        if is_base[i]:
            x[i] *= scale[i]
            for k in range(i):
                if is_base[k]:
                    x[i] -= lower[i, k] * x[k]
            x[i] /= lower[i, i]
        else:
            x[i] = 0.0
    _back(lower, is_base, x)
    for i in range(x.size):
        x[i] *= scale[i]


@kernel
def _invert(lower, scale, is_base, inverse):
    """Inverse of the normal matrix of the terms that are not left out, zero elsewhere."""
    for i in range(scale.size):
        inverse[i, :] = 0.0
        inverse[i, i] = 1.0
        _solve(lower, scale, is_base, inverse[i])
        if not is_base[i]:
            inverse[i, :] = 0.0


@kernel
def _tell(lower, is_base, mix, is_known):
    """Which terms the data determine: those that no combination without effect contains."""
    is_known[:] = is_base
    for j in range(is_base.size):
        if is_base[j]:
            continue
        for k in range(is_base.size):
            mix[k] = lower[j, k] if k < j and is_base[k] else 0.0
        _back(lower, is_base, mix)
        for k in range(is_base.size):
            if is_base[k] and abs(mix[k]) > 1e-6:
                is_known[k] = False


@kernel
def _least_squares(design, rows, observed, base, weight, state):
    """Weighted least squares for both components; leaves the factor and the inverse normal matrix in `state`."""
    normal, inverse, lower, scale, is_base, solution = state
    terms = scale.size
    normal[:] = 0.0
    solution[:] = 0.0
    if terms == 1:
        # a line through the origin is the usual case, and three sums are all it needs
        total, along_x, along_y = 0.0, 0.0, 0.0
        for k in range(rows.size):
            g = design[rows[k], 0]
            pull = base[k] * weight[k] * g
            total += pull * g
            along_x += pull * observed[0, k]
            along_y += pull * observed[1, k]
        normal[0, 0], solution[0, 0], solution[1, 0] = total, along_x, along_y
    else:
        for k in range(rows.size):
            strength = base[k] * weight[k]
            if strength == 0.0:
                continue
            for i in range(terms):
                pull = strength * design[rows[k], i]
                if pull != 0.0:
                    for j in range(i + 1):
                        normal[i, j] += pull * design[rows[k], j]
                    solution[0, i] += pull * observed[0, k]
                    solution[1, i] += pull * observed[1, k]
    for i in range(terms):
        for j in range(i):
            normal[j, i] = normal[i, j]
    _factor(normal, lower, scale, is_base)
    _invert(lower, scale, is_base, inverse)
    for axis in range(2):
        _solve(lower, scale, is_base, solution[axis])


@kernel
def _form(matrix, table, p):
    """Quadratic form of a symmetric matrix and a row of a table; a slice in a loop would cost more than its use."""
    total = 0.0
    for i in range(table.shape[1]):
        value = table[p, i]
        if value != 0.0:
            total += matrix[i, i] * value * value
            for j in range(i):
                total += 2.0 * matrix[i, j] * value * table[p, j]
    return total


@kernel
def _residual(design, p, observed, solution, axis, k):
    value = observed[axis, k]
    for i in range(design.shape[1]):
        value -= design[p, i] * solution[axis, i]
    return value


@kernel
def _robust_weight(length, threshold, loss):
    if loss == TUKEY:
        rest = 1.0 - (length / threshold) ** 2
        return rest * rest if rest > 0.0 else 0.0
    return threshold / length if length > threshold else 1.0


@kernel
def _iterate(design, rows, observed, base, loss, weight, state, lengths):
    """Iteratively reweighted least squares; returns the scale, negative if the weights did not converge.

    The scale is the median of the studentised lengths, renewed in the first iterations only, so that the rest
    descends. The biweight starts from Huber's solution and keeps its scale.
    """
    normal, inverse, _, scale_of, _, solution = state
    length, sample, before = lengths
    weight[:] = 1.0
    stage = HUBER if loss == TUKEY else loss
    scale, age = 1.0, 0
    for _ in range(ITERATIONS):
        _least_squares(design, rows, observed, base, weight, state)
        if loss == LINEAR:
            return scale
        if age > 0:
            change = 0.0
            for axis in range(2):
                for i in range(scale_of.size):
                    before[axis, i] = solution[axis, i] - before[axis, i]
                change += _form(normal, before, axis)
            if change <= (TOLERANCE * scale) ** 2:
                if stage == loss:
                    return scale
                stage, age = loss, 0
        before[:] = solution
        count = 0
        for k in range(rows.size):
            along_x = _residual(design, rows[k], observed, solution, 0, k)
            along_y = _residual(design, rows[k], observed, solution, 1, k)
            free = 1.0 - base[k] * weight[k] * _form(inverse, design, rows[k])
            length[k] = 0.0
            # an observation that fits whatever it says tells nothing
            if free > 1e-6:
                length[k] = np.sqrt(base[k] * (along_x * along_x + along_y * along_y) / free)
                sample[count] = length[k]
                count += 1
        if age < RESCALED and stage != TUKEY:
            scale = max(median(sample[:count]) / MEDIAN_LENGTH, SMALLEST_SCALE) if count > 0 else SMALLEST_SCALE
        threshold = THRESHOLDS[stage] * scale
        for k in range(rows.size):
            weight[k] = _robust_weight(length[k], threshold, stage)
        age += 1
    return -scale


@kernel
def _load(observed, variance, row, column, strip):
    """Copy the pixels from a column on, (pixel, 4, observation): displacements and variances."""
    width = min(STRIP, observed.shape[3] - column)
    for axis in range(2):
        for p in range(observed.shape[1]):
            for c in range(width):
                strip[c, axis, p] = observed[axis, p, row, column + c]
                strip[c, 2 + axis, p] = variance[axis, p, row, column + c]


@kernel
def _gather(pixel, rows, value, mean):
    """Observations that take part; returns their number, and whether none of them has a variance."""
    for is_blind in (False, True):
        count = 0
        for p in range(pixel.shape[1]):
            along_x, along_y, of_x, of_y = pixel[0, p], pixel[1, p], pixel[2, p], pixel[3, p]
            has_variance = 0.0 < of_x < np.inf and 0.0 < of_y < np.inf
            if np.isfinite(along_x) and np.isfinite(along_y) and (is_blind or has_variance):
                rows[count] = p
                value[0, count], value[1, count] = along_x, along_y
                mean[count] = 1.0 if is_blind else 0.5 * (of_x + of_y)
                count += 1
        if count > 0:
            return count, is_blind
    return 0, True


@kernel
def _wander(design, rows, observed, mean, spread, state, lengths):
    """Variance per unit of `spread` that the residuals show beyond the variances of the observations.

    It is the one that gives the median of the standardised lengths its value; zero if the variances explain them.
    """
    solution = state[5]
    length, sample, _ = lengths
    largest = 0.0
    for k in range(rows.size):
        length[k] = (
            _residual(design, rows[k], observed, solution, 0, k) ** 2
            + _residual(design, rows[k], observed, solution, 1, k) ** 2
        )
        largest = max(largest, length[k] / spread[rows[k]])
    low, high = 0.0, largest
    for step in range(60):
        middle = 0.0 if step == 0 else 0.5 * (low + high)
        for k in range(rows.size):
            sample[k] = length[k] / (mean[k] + middle * spread[rows[k]])
        is_explained = median(sample[: rows.size]) <= MEDIAN_LENGTH**2
        if is_explained:
            high = middle
        else:
            low = middle
        if high - low <= 1e-6 * high:
            break
    return high


@kernel
def _cost(design, rows, observed, base, solution, threshold):
    """Sum of squared lengths of the weighted residuals, beyond the threshold growing with the length only."""
    total = 0.0
    for k in range(rows.size):
        along_x = _residual(design, rows[k], observed, solution, 0, k)
        along_y = _residual(design, rows[k], observed, solution, 1, k)
        square = base[k] * (along_x * along_x + along_y * along_y)
        total += square if square <= threshold**2 else 2.0 * threshold * np.sqrt(square) - threshold**2
    return total


@kernel
def _misfit(cost, values):
    """Twice the negative logarithm of the likelihood, where noise is as the variances say or, if more, as seen."""
    return cost if cost < values else values * (1.0 + np.log(cost / values))


@kernel
def _best_step(design, rows, observed, base, weight, state, suffix):
    """Observation after which a step takes most from the weighted squares; -1 if there is none to try."""
    inverse, solution = state[1], state[5]
    suffix[:] = 0.0
    terms = suffix.shape[1]
    best, most = -1, 0.0
    total, along_x, along_y = 0.0, 0.0, 0.0
    for k in range(rows.size - 1, 0, -1):
        pull = base[k] * weight[k]
        total += pull
        along_x += pull * _residual(design, rows[k], observed, solution, 0, k)
        along_y += pull * _residual(design, rows[k], observed, solution, 1, k)
        for i in range(terms):
            suffix[0, i] += pull * design[rows[k], i]
        left = total - _form(inverse, suffix, 0)
        if left > 1e-6 * total and k >= FEWEST and rows.size - k >= FEWEST:
            gain = (along_x * along_x + along_y * along_y) / left
            if gain > most:
                best, most = k, gain
    return best


@kernel
def _search(design, rows, observed, base, loss, weight, state, lengths, spare):
    """Put the step that the data ask for into the last column of the design; returns the first observation after it.

    -1 where no step lowers the Bayesian information criterion by SMALLEST_GAIN: two components and a date are three
    parameters.
    """
    column = design.shape[1] - 1
    solution = state[5]
    likely = LINEAR if loss == LINEAR else HUBER
    design[:, column] = 0.0
    _iterate(design, rows, observed, base, likely, weight, state, lengths)
    suffix, without = spare
    without[:] = solution
    found = -1
    scale = 1.0
    for _ in range(SEARCHES):
        design[:, column] = 0.0
        _least_squares(design, rows, observed, base, weight, state)
        best = _best_step(design, rows, observed, base, weight, state, suffix)
        if best < 0 or best == found:
            break
        found = best
        for k in range(rows.size):
            design[rows[k], column] = 1.0 if k >= found else 0.0
        scale = abs(_iterate(design, rows, observed, base, likely, weight, state, lengths))
    design[:, column] = 0.0
    if found < 0:
        return found
    for k in range(found, rows.size):
        design[rows[k], column] = 1.0
    scale = abs(_iterate(design, rows, observed, base, likely, weight, state, lengths))
    threshold = THRESHOLDS[likely] * scale
    values = 2.0 * rows.size
    gain = _misfit(_cost(design, rows, observed, base, without, threshold), values)
    gain -= _misfit(_cost(design, rows, observed, base, solution, threshold), values)
    if gain - 3.0 * np.log(values) > SMALLEST_GAIN:
        return found
    design[:, column] = 0.0
    return -1


@kernel
def _covariance(design, ends, rows, base, weight, own, of_dates, state, gain, lever, covariance):
    """Covariance of the estimate, K Σ Kᵀ with Σ = A·diag(of_dates)·Aᵀ + diag(own), for each component.

    The index -1 of a date that is none stands for the last one, which has no variance.
    """
    inverse, is_base = state[1], state[4]
    terms = is_base.size
    lever[:] = 0.0
    for k in range(rows.size):
        p = rows[k]
        for i in range(terms):
            value = 0.0
            for j in range(terms):
                value += inverse[i, j] * design[p, j]
            gain[k, i] = value * base[k] * weight[k]
            lever[i, ends[p, 0]] -= gain[k, i]
            lever[i, ends[p, 1]] += gain[k, i]
    for axis in range(2):
        for i in range(terms):
            for j in range(i + 1):
                value = 0.0
                for d in range(lever.shape[1]):
                    value += lever[i, d] * lever[j, d] * of_dates[axis, d]
                for k in range(rows.size):
                    value += gain[k, i] * gain[k, j] * own[axis, k]
                covariance[axis, i, j] = value
                covariance[axis, j, i] = value


@kernel
def _scatter(design, ends, rows, observed, base, weight, own, of_dates, state, gain, lever, covariance, sums):
    """Squares of weighted residuals: found, expected under Σ, and expected if nothing were fitted, (3, component)."""
    solution = state[5]
    terms = design.shape[1]
    for axis in range(2):
        spread = covariance[axis]
        found, expected, total = 0.0, 0.0, 0.0
        for k in range(rows.size):
            p = rows[k]
            pull = base[k] * weight[k] * weight[k]
            rest = _residual(design, p, observed, solution, axis, k)
            found += pull * rest * rest
            # dates that are none come last and have no variance
            first, second = ends[p, 0], ends[p, 1]
            before, after = of_dates[axis, first], of_dates[axis, second]
            fitted = 0.0
            for i in range(terms):
                fitted += design[p, i] * (
                    gain[k, i] * own[axis, k] - lever[i, first] * before + lever[i, second] * after
                )
            alone = before + after + own[axis, k]
            total += pull * alone
            expected += pull * (alone - 2.0 * fitted + _form(spread, design, p))
        sums[0, axis], sums[1, axis], sums[2, axis] = found, expected, total


@kernel
def fit(design, ends, spread, loss, has_step, entries, observed, variance, of_dates, share, weight, out):
    """Robust linear model of each pixel's displacements, and the covariance of its parameters.

    Both components share the weight of a vector: the inverse of the mean of its variances times the weight of the
    loss, which looks at the length of the residual, studentised, over its scale (median over 1.1774).

    Parameters
    ----------
    design
        (observation, term) derivative of each observation with respect to each parameter.
    ends
        (observation, 2) dates whose noise the observation takes with signs -1 and 1, as indices; -1 for none.
    spread
        (observation,) variance of each observation per unit of one that is estimated from the residuals; all zero if
        there is none.
    loss
        LINEAR, HUBER, TUKEY or L1.
    has_step
        Whether the last column of the design is a step whose date is searched; observations are in order of time.
    entries
        (entry, 2) terms whose covariances are wanted.
    observed, variance
        (2, observation, rows, columns) displacement along x and y, and their variances; a vector with a NaN takes no
        part, nor does one without positive variances beside others that have them.
    of_dates, share
        (2, date, rows, columns) variance of each date along x and y, and (rows, columns) the share of `variance` that
        belongs to the observations themselves: Σ = A·diag(of_dates)·Aᵀ + diag(share·variance).
    weight
        (observation, rows, columns) result: weight of the loss, 0 to 1, 0 where an observation takes no part.
    out
        (2·term + 2·entry + 5, rows, columns) result: parameters along x, along y; covariances along x, along y; root
        mean square residual of the mean component; number of observations; 1 where the weights did not converge, else
        0; first observation after the step found, and the last before it (NaN if none).

    Notes
    -----
    Parameters that the data do not determine are NaN; the others are not touched by them. The covariances grow with
    the scatter of the residuals where that is more than Σ lets expect, and never shrink. Where no observation has a
    variance all weigh alike, and the covariances follow from the scatter alone; they are NaN without redundancy.
    """
    observations, terms = design.shape
    wanted = entries.shape[0]
    matrix = design.copy()
    strip = np.empty((STRIP, 4, observations))
    rows_of = np.empty(observations, np.int64)
    value_of, own_of = np.empty((2, observations)), np.empty((2, observations))
    mean_of, base_of, weight_of = np.empty(observations), np.empty(observations), np.empty(observations)
    lengths = (np.empty(observations), np.empty(observations), np.empty((2, terms)))
    state = (
        np.empty((terms, terms)), np.empty((terms, terms)), np.empty((terms, terms)), np.empty(terms),
        np.empty(terms, np.bool_), np.empty((2, terms)),
    )  # fmt: skip
    spare, is_known = (np.empty((1, terms)), np.empty((2, terms))), np.empty(terms, np.bool_)
    growth = np.empty(2)
    gain, lever = np.empty((observations, terms)), np.empty((terms, of_dates.shape[1] + 1))
    dates, sums = np.zeros((2, of_dates.shape[1] + 1)), np.empty((3, 2))
    covariance = np.empty((2, terms, terms))
    has_spread = spread.max() > 0.0
    for row in range(out.shape[1]):
        for column in range(out.shape[2]):
            fields = out[:, row, column]
            fields[:] = np.nan
            weight[:, row, column] = 0.0
            if column % STRIP == 0:
                _load(observed, variance, row, column, strip)
            pixel = strip[column % STRIP]
            count, is_blind = _gather(pixel, rows_of, value_of, mean_of)
            tail = 2 * terms + 2 * wanted
            fields[tail + 1], fields[tail + 2] = count, 0.0
            if count == 0:
                continue
            rows, value, own = rows_of[:count], value_of[:, :count], own_of[:, :count]
            base, robust = base_of[:count], weight_of[:count]
            for k in range(count):
                base[k] = 1.0 / mean_of[k]
            wandering = 0.0
            if has_spread:
                for k in range(count):
                    base[k] = 1.0 / spread[rows[k]]
                if not is_blind:
                    _iterate(matrix, rows, value, base, loss, robust, state, lengths)
                    wandering = _wander(matrix, rows, value, mean_of[:count], spread, state, lengths)
                    for k in range(count):
                        base[k] = 1.0 / (mean_of[k] + wandering * spread[rows[k]])
            if has_step:
                first = _search(matrix, rows, value, base, loss, robust, state, lengths, spare)
                if first > 0:
                    fields[tail + 3], fields[tail + 4] = rows[first], rows[first - 1]
            scale = _iterate(matrix, rows, value, base, loss, robust, state, lengths)
            fields[tail + 2] = scale < 0.0
            for axis in range(2):
                for k in range(count):
                    own[axis, k] = 1.0 / base[k]
                    if not is_blind:
                        own[axis, k] = share[row, column] * pixel[2 + axis, rows[k]]
                        own[axis, k] += wandering * spread[rows[k]]
                for d in range(of_dates.shape[1]):
                    given = of_dates[axis, d, row, column]
                    dates[axis, d] = given if np.isfinite(given) and not is_blind else 0.0
            _covariance(matrix, ends, rows, base, robust, own, dates, state, gain, lever, covariance)
            growth[:] = 1.0
            _scatter(matrix, ends, rows, value, base, robust, own, dates, state, gain, lever, covariance, sums)
            found, expected, total = sums
            found *= CONSISTENCY[loss]
            if is_blind:
                for axis in range(2):
                    is_told = expected[axis] > 1e-6 * total[axis] and found[axis] > 0.0
                    growth[axis] = found[axis] / expected[axis] if is_told else np.nan
            # two directions of one pair leave nothing to compare but rounding
            elif expected.sum() > 1e-6 * total.sum():
                growth[:] = max(found.sum() / expected.sum(), 1.0)
            growth *= 1.0 + (EFFICIENCY[loss] - 1.0) * (1.0 - state[4].sum() / count)
            _tell(state[2], state[4], spare[0][0], is_known)
            for axis in range(2):
                for i in range(terms):
                    if is_known[i]:
                        fields[axis * terms + i] = state[5][axis, i]
                for e in range(wanted):
                    i, j = entries[e, 0], entries[e, 1]
                    if is_known[i] and is_known[j]:
                        fields[2 * terms + axis * wanted + e] = growth[axis] * covariance[axis, i, j]
            squares = 0.0
            for k in range(count):
                weight[rows[k], row, column] = robust[k]
                for axis in range(2):
                    squares += _residual(matrix, rows[k], value, state[5], axis, k) ** 2
            fields[tail] = np.sqrt(0.5 * squares / count)


@kernel
def bootstrap(design, dates, counts, term, observed, variance, weight, out):
    """Spread of one parameter over replicates in which dates occur several times or not at all.

    design, observed, variance and weight as in `fit`, whose weights are kept; dates (observation, 2) of each, the
    second -1 for one date alone: an observation counts as often as its dates do together, the product. counts
    (replicate, date). out (2, rows, columns): standard deviation along x and y; NaN where the parameter is unknown in
    more than half of the replicates.
    """
    observations, terms = design.shape
    strip = np.empty((STRIP, 4, observations))
    rows_of = np.empty(observations, np.int64)
    value_of = np.empty((2, observations))
    mean_of, base_of = np.empty(observations), np.empty(observations)
    robust_of = np.empty(observations)
    state = (
        np.empty((terms, terms)), np.empty((terms, terms)), np.empty((terms, terms)), np.empty(terms),
        np.empty(terms, np.bool_), np.empty((2, terms)),
    )  # fmt: skip
    mix, is_known = np.empty(terms), np.empty(terms, np.bool_)
    mean, squares = np.empty(2), np.empty(2)
    for row in range(out.shape[1]):
        for column in range(out.shape[2]):
            out[:, row, column] = np.nan
            if column % STRIP == 0:
                _load(observed, variance, row, column, strip)
            count, _ = _gather(strip[column % STRIP], rows_of, value_of, mean_of)
            rows, value, base, robust = rows_of[:count], value_of[:, :count], base_of[:count], robust_of[:count]
            for k in range(count):
                robust[k] = weight[rows[k], row, column] / mean_of[k]
            mean[:], squares[:] = 0.0, 0.0
            told = 0
            for b in range(counts.shape[0]):
                for k in range(count):
                    first, second = dates[rows[k], 0], dates[rows[k], 1]
                    base[k] = counts[b, first] * (counts[b, second] if second >= 0 else 1)
                _least_squares(design, rows, value, base, robust, state)
                _tell(state[2], state[4], mix, is_known)
                if not is_known[term]:
                    continue
                told += 1
                for axis in range(2):
                    step = state[5][axis, term] - mean[axis]
                    mean[axis] += step / told
                    squares[axis] += step * (state[5][axis, term] - mean[axis])
            if told > 1 and 2 * told >= counts.shape[0]:
                for axis in range(2):
                    out[axis, row, column] = np.sqrt(squares[axis] / (told - 1))
