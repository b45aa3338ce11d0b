"""Search for dates at which the velocity of a pixel changes: a line that bends, its bends found one by one.

u(t) = c + v·t + Σ Δ_j·max(t - τ_j, 0) along x and along y, with the same dates τ_j. Arrays by pixel as in `trend`.
"""

from __future__ import annotations

import math

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.bends import SECTIONS, _basis, _fit, _gain, _refine, _walked
from xoffset._kernels.networks.order import _median
from xoffset._kernels.networks.trend import MEDIAN_LENGTH

# Least number of dates before, between and after changes: fewer may be outliers.
FEWEST = 3
# Dates that are tried between two dates of the series.
PARTS = 4
# Length of a residual, in units of the scale, beyond which a date is an outlier: of 100 000 dates without one it is 4.
CUT = 4.5
# Most times that outliers are looked for anew, and that the dates of several changes are adjusted to each other.
TURNS, ROUNDS = 8, 24
# Least scatter in units of the standard errors: what is far below these is no evidence.
LEAST_SCATTER = 0.25
# The same without standard errors, as a share of the largest displacement: a few times the rounding of float32.
ROUNDING = 1e-6
# Stands for the bend that is left out where none is.
ALL = -9
# Share of the false alarm that two bends at once may have, where one is not significant.
AHEAD = 0.1
# Why there are no changes.
FOUND, NONE, TOO_FEW = 0, 1, 2


@kernel
def find(time, rows, value, own, mean, count, is_blind, growth, drift, most, false_alarm, limits, out):
    """Changes of each pixel, by the layers of `_arrays.networks.changes`.

    growth (date,): of drift through time; drift (2, pixel): variance along x and y that it is multiplied by.
    limits (degrees of freedom + 1,): fall of the squares, in units of their mean, within which a date is as good.
    out (pixel, layer): state, number of changes; of each change date, first and last date of its interval, false alarm;
    of each part between them velocity and its variance along x and y.
    """
    size = rows.shape[1]
    t, base, weight, kept = np.empty(size), np.empty(size), np.empty(size), np.empty(size, np.bool_)
    steps, wander = np.empty(size), np.empty(size)
    basis, rest = np.empty((most + 3, size)), np.empty((2, size))
    length, sample, until = np.empty(size), np.empty(size), np.empty(size, np.int64)
    gains, trials = np.empty(size * PARTS), np.empty(size * PARTS)
    sums, last = np.empty((most + 3, 2)), np.empty(most + 3)
    bends, chances = np.empty(most + 1), np.empty(most + 1)
    for p in range(count.size):
        n = count[p]
        for layer in range(out.shape[1]):
            out[p, layer] = np.nan
        out[p, 0], out[p, 1] = TOO_FEW, 0
        if n < 2 * FEWEST:
            continue
        middle = 0.5 * (time[rows[p, 0]] + time[rows[p, n - 1]])
        for k in range(n):
            t[k], base[k], kept[k] = time[rows[p, k]] - middle, 1.0 / mean[p, k], True
        least = LEAST_SCATTER
        if is_blind[p]:
            largest = 0.0
            for k in range(n):
                largest = max(largest, abs(value[p, 0, k]), abs(value[p, 1, k]))
            least = (ROUNDING * largest) ** 2
        # what the noise of pairs adds from each date to the next, and half of both components of it
        for k in range(n):
            steps[k] = growth[rows[p, k]] - growth[rows[p, k - 1]] if k > 0 else 0.0
            wander[k] = 0.0 if is_blind[p] else 0.5 * (drift[0, p] + drift[1, p]) * steps[k]
        found, state = 0, TOO_FEW
        while found < most:
            state = NONE if found == 0 else FOUND
            chance = _next(
                t[:n], base[:n], value[p], kept[:n], weight[:n], wander[:n], basis, rest, length[:n], sample[:n],
                until[:n], gains, trials, sums, last, bends, found, least,
            )  # fmt: skip
            if np.isnan(chance) and found == 0:
                state = TOO_FEW
            if not chance <= false_alarm:
                if np.isnan(chance) or found + 1 >= most:
                    break
                # what begins and ends takes two bends, of which one alone may explain little
                chance = _next(
                    t[:n], base[:n], value[p], kept[:n], weight[:n], wander[:n], basis, rest, length[:n], sample[:n],
                    until[:n], gains, trials, sums, last, bends, found + 1, least,
                )  # fmt: skip
                if np.isnan(chance):
                    break
                _adjust(
                    t[:n], weight[:n], wander[:n], value[p], kept[:n], basis, rest, until[:n], gains, trials, sums,
                    last, bends, found + 2,
                )  # fmt: skip
                chance = _chance_of_last(
                    t[:n], weight[:n], wander[:n], value[p], kept[:n], basis, rest, until[:n], gains, trials, sums,
                    last, bends, found + 2, least,
                )  # fmt: skip
                if not chance <= AHEAD * false_alarm:
                    break
                chances[found] = chance
                found += 1
            chances[found] = chance
            found += 1
            state = FOUND
            _adjust(
                t[:n], weight[:n], wander[:n], value[p], kept[:n], basis, rest, until[:n], gains, trials, sums, last,
                bends, found,
            )  # fmt: skip
        out[p, 0], out[p, 1] = state, found
        if found == 0:
            continue
        _settle(
            t[:n], base[:n], value[p], kept[:n], weight[:n], basis, rest, length[:n], sample[:n], bends, found, least
        )
        # dates that a model without these bends took for outliers are back
        _adjust(
            t[:n], weight[:n], wander[:n], value[p], kept[:n], basis, rest, until[:n], gains, trials, sums, last, bends,
            found,
        )  # fmt: skip
        _sort(bends, chances, found)
        _settle(
            t[:n], base[:n], value[p], kept[:n], weight[:n], basis, rest, length[:n], sample[:n], bends, found, least
        )
        _tell(
            t[:n], weight[:n], wander[:n], steps[:n], value[p], own[p], drift[:, p], kept[:n], basis, rest, until[:n],
            gains, trials, sums, last, bends, found, most, least, is_blind[p], limits, out[p],
        )  # fmt: skip
        for j in range(found):
            out[p, 2 + 3 * most + j] = chances[j]
            for k in range(3):
                out[p, 2 + k * most + j] += middle


@kernel
def _next(
    t, base, observed, kept, weight, wander, basis, rest, length, sample, until, gains, trials, sums, last, bends,
    found, least,
):  # fmt: skip
    """Put the bend that takes most of the squares behind those that are there, and leave out what are outliers to it.

    Returns the probability that noise alone would bend as much somewhere; NaN where there are too few dates.
    """
    # an outlier near an end could be taken for a bend: those of the motion without one are left out to begin with, but
    # several in a row may be what follows a bend
    _settle(t, base, observed, kept, weight, basis, rest, length, sample, bends, found, least)
    _restore(kept)
    chance = np.nan
    for _ in range(TURNS):
        number = _weigh(base, kept, weight)
        terms = _basis(t, weight, bends, found, ALL, basis)
        squares = _fit(weight, observed, basis, terms, rest)
        best, arc, starts = _scan(
            t, weight, wander, kept, basis, terms, rest, until, gains, trials, sums, last, bends, found, ALL
        )
        if best < 0:
            return np.nan
        bends[found] = _refine(t, weight, wander, basis, terms, rest, trials, gains, best, last)
        gain = _gain(t, weight, wander, basis, terms, rest, bends[found], last)
        chance = _chance(gain, squares, 2.0 * (number - terms), arc, starts, least)
        terms = _basis(t, weight, bends, found + 1, ALL, basis)
        _fit(weight, observed, basis, terms, rest)
        if not _keep(base, basis, terms, rest, length, sample, kept, least):
            break
    return chance


@kernel
def _chance_of_last(
    t, weight, wander, observed, kept, basis, rest, until, gains, trials, sums, last, bends, count, least
):  # fmt: skip
    """False alarm of the last bend beside the others, as they are."""
    number = 0
    for k in range(t.size):
        number += kept[k]
    terms = _basis(t, weight, bends, count, count - 1, basis)
    squares = _fit(weight, observed, basis, terms, rest)
    _, arc, starts = _scan(
        t, weight, wander, kept, basis, terms, rest, until, gains, trials, sums, last, bends, count, count - 1
    )
    gain = _gain(t, weight, wander, basis, terms, rest, bends[count - 1], last)
    return _chance(gain, squares, 2.0 * (number - terms), arc, starts, least)


@kernel
def _chance(gain, squares, free, arc, starts, least):
    """Probability that noise takes such a share of the squares at some date, by the length of the curve of all bends.

    Of normalised bends at successive dates, which lie on a sphere, `arc` is the length [radian]. free: degrees of
    freedom of the squares.
    """
    share = gain / (gain + max(squares - gain, least * (free - 2.0)))
    if share >= 1.0:
        return 0.0
    rest = math.log1p(-share)
    at_once = math.exp(0.5 * (free - 2.0) * rest)
    crossings = math.exp(math.lgamma(0.5 * free) - math.lgamma(0.5 * (free - 1.0)) + 0.5 * (free - 3.0) * rest)
    return min(starts * at_once + arc * math.sqrt(share / math.pi) * crossings, 1.0)


# ------------------------------------------------------------------------------------------------------------ the model


@kernel
def _weigh(base, kept, weight):
    """Weights of the dates, none of outliers; returns how many are kept."""
    number = 0
    for k in range(base.size):
        weight[k] = base[k] if kept[k] else 0.0
        number += kept[k]
    return number


@kernel
def _keep(base, basis, terms, rest, length, sample, kept, least):
    """Keep the dates whose residuals are no outliers; returns whether others are kept than before.

    Residuals are studentised: those of dates in use are too small, and those of others too large.
    """
    largest = 0.0
    for k in range(base.size):
        lever = 0.0
        for i in range(terms):
            lever += base[k] * basis[i, k] ** 2
        spread = max(1.0 - lever, 0.1) if kept[k] else 1.0 + lever
        length[k] = math.sqrt(base[k] * (rest[0, k] ** 2 + rest[1, k] ** 2) / spread)
        sample[k] = length[k]
        largest = max(largest, length[k])
    scale = max(_median(sample) / MEDIAN_LENGTH, math.sqrt(least))
    number = 0
    for k in range(base.size):
        number += length[k] <= CUT * scale
    if number < max(2 * FEWEST, terms + 2) or largest == 0.0:
        return False
    is_changed = False
    for k in range(base.size):
        is_kept = length[k] <= CUT * scale
        is_changed = is_changed or is_kept != kept[k]
        kept[k] = is_kept
    return is_changed


@kernel
def _settle(t, base, observed, kept, weight, basis, rest, length, sample, bends, found, least):
    """Outliers of a model whose bends stay as they are."""
    for _ in range(TURNS):
        _weigh(base, kept, weight)
        terms = _basis(t, weight, bends, found, ALL, basis)
        _fit(weight, observed, basis, terms, rest)
        if not _keep(base, basis, terms, rest, length, sample, kept, least):
            break
    _weigh(base, kept, weight)


@kernel
def _restore(kept):
    """Keep dates that were left out several in a row."""
    start = 0
    for k in range(kept.size + 1):
        if k == kept.size or kept[k]:
            if k - start >= FEWEST:
                for m in range(start, k):
                    kept[m] = True
            start = k + 1


@kernel
def _adjust(t, weight, wander, observed, kept, basis, rest, until, gains, trials, sums, last, bends, found):
    """Search the date of each bend anew, given the others, until none moves."""
    for _ in range(ROUNDS if found > 1 else 0):
        moved = 0.0
        for j in range(found):
            terms = _basis(t, weight, bends, found, j, basis)
            _fit(weight, observed, basis, terms, rest)
            best, _, _ = _scan(
                t, weight, wander, kept, basis, terms, rest, until, gains, trials, sums, last, bends, found, j
            )
            if best >= 0:
                before = bends[j]
                bends[j] = _refine(t, weight, wander, basis, terms, rest, trials, gains, best, last)
                moved = max(moved, abs(bends[j] - before))
        if moved <= 1e-4 * (t[t.size - 1] - t[0]):
            break


@kernel
def _sort(bends, chances, found):
    """Bends in order of time."""
    for i in range(1, found):
        for j in range(i, 0, -1):
            if bends[j] < bends[j - 1]:
                bends[j], bends[j - 1] = bends[j - 1], bends[j]
                chances[j], chances[j - 1] = chances[j - 1], chances[j]


# ----------------------------------------------------------------------------------------------------------- the search


@kernel
def _scan(t, weight, wander, kept, basis, terms, rest, until, gains, trials, sums, last, bends, count, skipped):
    """What a bend at each date tried takes from the squares, NaN where there are too few dates on a side.

    Returns the place of the largest, -1 without any; the length of the curve of normalised bends on the sphere, and
    the number of its pieces. All sums are over the dates after the bend, from the last one on.
    """
    n, total = t.size, 0
    for k in range(n):
        total += kept[k]
        until[k] = total
    for i in range(terms):
        sums[i, 0], sums[i, 1], last[i] = 0.0, 0.0, 0.0
    w0, w1, w2 = 0.0, 0.0, 0.0
    x0, x1, y0, y1 = 0.0, 0.0, 0.0, 0.0
    best, arc, starts, most = -1, 0.0, 0, 0.0
    later, norm_later, has_later = 0.0, 0.0, False
    v0, v1, v2 = 0.0, 0.0, 0.0
    for c in range(n * PARTS):
        gains[c] = np.nan
    for k in range(n - 2, -1, -1):
        w, s = weight[k + 1], t[k + 1]
        w0, w1, w2 = w0 + w, w1 + w * s, w2 + w * s * s
        x0, x1 = x0 + w * rest[0, k + 1], x1 + w * s * rest[0, k + 1]
        y0, y1 = y0 + w * rest[1, k + 1], y1 + w * s * rest[1, k + 1]
        for i in range(terms):
            sums[i, 0] += w * basis[i, k + 1]
            sums[i, 1] += w * s * basis[i, k + 1]
        for part in range(PARTS - 1, -1, -1):
            c = k * PARTS + part
            at = t[k] + (t[k + 1] - t[k]) * part / PARTS
            trials[c] = at
            square = w2 - 2.0 * at * w1 + at * at * w0
            shared, whole = 0.0, square
            for i in range(terms):
                level = sums[i, 1] - at * sums[i, 0]
                square -= level * level
                shared += level * last[i]
                last[i] = level
            is_free = _is_free(t, until, k, total, bends, count, skipped) and square > 1e-9 * whole
            if is_free:
                gain = ((x1 - at * x0) ** 2 + (y1 - at * y0) ** 2) / square
                gain /= 1.0 + _walked(t, weight, wander, basis, terms, last, at, square)
                gains[c] = gain
                if gain > most:
                    best, most = c, gain
                norm = math.sqrt(square)
                if has_later:
                    cosine = (v2 - (at + later) * v1 + at * later * v0 - shared) / (norm * norm_later)
                    arc += math.acos(min(max(cosine, -1.0), 1.0))
                else:
                    starts += 1
                later, norm_later = at, norm
                v0, v1, v2 = w0, w1, w2
            has_later = is_free
    return best, arc, starts


@kernel
def _is_free(t, until, k, total, bends, count, skipped):
    """Whether there are dates enough around a bend between date k and the next, up to the ends and to other bends."""
    before = until[k]
    if before < FEWEST or total - before < FEWEST:
        return False
    for j in range(count):
        if j != skipped:
            other = 0
            for m in range(t.size):
                if t[m] <= bends[j]:
                    other = until[m]
            if abs(other - before) < FEWEST:
                return False
    return True


# ----------------------------------------------------------------------------------------------------------- the result


@kernel
def _tell(
    t, weight, wander, steps, observed, own, drift, kept, basis, rest, until, gains, trials, sums, last, bends, found,
    most, least, is_blind, limits, out,
):  # fmt: skip
    """Dates with their intervals, velocities between them with their variances: layers from the third on."""
    number = 0
    for k in range(t.size):
        number += kept[k]
    free = 2 * number - 2 * (2 + found) - found
    terms = _basis(t, weight, bends, found, ALL, basis)
    squares = _fit(weight, observed, basis, terms, rest)
    scatter = max(squares / free, least) if free > 0 else np.nan
    _tell_velocities(t, weight, steps, observed, own, drift, rest, bends, found, most, scatter, is_blind, out)
    for j in range(found):
        terms = _basis(t, weight, bends, found, j, basis)
        _fit(weight, observed, basis, terms, rest)
        _scan(t, weight, wander, kept, basis, terms, rest, until, gains, trials, sums, last, bends, found, j)
        out[2 + j] = bends[j]
        enough = _gain(t, weight, wander, basis, terms, rest, bends[j], last)
        enough -= limits[free] * scatter if free > 0 else np.inf
        bound_low = bends[j - 1] if j > 0 else t[0]
        bound_high = bends[j + 1] if j + 1 < found else t[t.size - 1]
        out[2 + most + j] = _bound(
            t, weight, wander, basis, terms, rest, trials, gains, enough, bends[j], bound_low, -1, last
        )
        out[2 + 2 * most + j] = _bound(
            t, weight, wander, basis, terms, rest, trials, gains, enough, bends[j], bound_high, 1, last
        )


@kernel
def _bound(t, weight, wander, basis, terms, rest, trials, gains, enough, bend, limit, way, last):
    """Outermost date on a side of a bend whose gain is enough; the limit if that of all dates tried is."""
    near, far = bend, limit
    start, stop = (0, gains.size) if way < 0 else (gains.size - 1, -1)
    is_open = True
    for c in range(start, stop, -way):
        if np.isnan(gains[c]) or trials[c] * way < bend * way or trials[c] * way > limit * way:
            continue
        if gains[c] >= enough:
            near = trials[c]
            break
        far, is_open = trials[c], False
    if is_open:
        return limit
    for _ in range(SECTIONS):
        middle = 0.5 * (near + far)
        if _gain(t, weight, wander, basis, terms, rest, middle, last) >= enough:
            near = middle
        else:
            far = middle
    return far


@kernel
def _tell_velocities(t, weight, steps, observed, own, drift, rest, bends, found, most, scatter, is_blind, out):
    """Velocity of each part and its variance, that of a line through its dates alone, which knows no date of a change.

    Along the change of velocity that is what it is with an unknown date; across it is a little more.
    """
    grown = scatter if is_blind else max(scatter, 1.0)
    for part in range(found + 1):
        total, mean = 0.0, 0.0
        first, final = -1, -1
        for k in range(t.size):
            if (part == 0 or t[k] > bends[part - 1]) and (part == found or t[k] <= bends[part]):
                total += weight[k]
                mean += weight[k] * t[k]
                first = k if first < 0 else first
                final = k
        if total <= 0.0 or final == first:
            continue
        mean /= total
        for axis in range(2):
            square, variance, behind, walked = 0.0, 0.0, 0.0, 0.0
            for k in range(final, first - 1, -1):
                lever = weight[k] * (t[k] - mean)
                square += lever * (t[k] - mean)
                if weight[k] > 0.0:
                    variance += lever * lever * (1.0 / weight[k] if is_blind else own[axis, k])
                behind += lever
                if k > first and not is_blind:
                    walked += behind * behind * steps[k] * drift[axis]
            # what is fitted is a line there
            rise = observed[axis, final] - rest[axis, final] - (observed[axis, first] - rest[axis, first])
            at = 2 + 4 * most + axis * (most + 1) + part
            out[at] = rise / (t[final] - t[first])
            out[at + 2 * (most + 1)] = (grown * variance + walked) / (square * square)
