"""Networks of pairs solved for many pixels at once: the normal matrix of a pair network is a weighted graph Laplacian.

It is assembled in O(pairs), factored within its envelope in the order of the dates, and takes both components with one
factor. Pixels lie side by side along the last axis of every array (the lanes), so that each step of the factorisation
is one vector operation; no lane ever looks at another one, so the result is the same in any company.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xoffset._kernels._jit import kernel

LINEAR, HUBER, TUKEY, L1 = 0, 1, 2, 3
# States of a date.
CONNECTED, NO_PAIRS, DISCONNECTED, NO_REFERENCE = 0, 1, 2, 3
# What becomes of dates that no chain of pairs connects with the reference date.
NAN, BRIDGE, SEPARATE = 0, 1, 2
# Layers of `invert` behind the five of each date, and which of them is the share of the pairs.
EXTRA, SHARE = 7, 4

# Updates of the variances of dates, and the share of the difference that each makes good. Few: where a network hardly
# tells, as a chain, more would follow the errors of the variances of the pairs. A date has at least this share of the
# variance of its best pair, of which a half is fair.
SPLITS, DAMPING, LEAST_SHARE = 3, 0.9, 0.25
# Steps of the loss, at most, and largest change of the solution that may be left, in units of the noise of the pairs;
# first with one leverage for all pairs, then with each its own. Steps between new matrices of the latter.
EQUAL_STEPS, EQUAL_TOLERANCE = 3, 0.1
STEPS, TOLERANCE, RENEWAL = 100, 0.02, 5
# The scale: share of the first, which outliers have part in; steps with a new one, and from one to the next of those
# afterwards that may only fall, and by this factor at least; halvings that find it, to a hundredth or two; its least
# share of the root mean square, and of the displacements, below which misclosure is rounding and no noise. Square of
# the change that is.
FIRST_SCALE, NEW_SCALES, FALL, HALVINGS = 0.6, 3, 0.9, 10
LEAST_SCALE, PRECISION, ROUNDING = 0.01, 1e-7, 1e-20
# Median length of a vector of two standard normal components.
RAYLEIGH = 1.1774100225154747
# Thresholds on the length of residual vectors: as many good ones are beyond Huber's as are beyond 1.345 of a single
# residual; Tukey's keeps 95 % of the efficiency, as 4.685 does for a single residual; least length for "l1".
HUBER_LIMIT, TUKEY_LIMIT, L1_LEAST = 1.856, 5.123, 0.05
# Variance of the "l1" solution, the spatial median, over that of least squares, for normal noise of two components.
L1_EXCESS = 4.0 / np.pi
# Residuals beyond tell nothing of the noise; a weight below this share is none. No loss leaves less than the last: a
# group of dates that the loss cuts off stays determined until it is taken out.
OUTLIER, REJECTED, LEAST_TRUST = 4.0, 0.01, 1e-9
# Share of the variance of a pair that is its own by experience, which counts as much as one redundant pair: matches of
# synthetic images, with and without clouds, have 1 to 5 %.
PRIOR_SHARE = 0.03
# Variances beyond are none: single precision does not hold them.
LEAST, MOST = 1e-30, 1e30
# A pair that nothing checks has this little of its own residual left.
UNCHECKED = 1e-9
# Ratios of smoothness to data that cross-validation tries.
TRIES = 19


class Network(NamedTuple):
    """Dates and pairs that all pixels share.

    ends (pair, 2): earlier and later date of each pair, as indices; first (date,): first column of the envelope of each
    row; home: dates whose mean displacement is zero; times (date,): years; factor (2, date): of the variances of the
    dates along x and y, as stable ground shows them.
    """

    ends: np.ndarray
    first: np.ndarray
    home: np.ndarray
    times: np.ndarray
    factor: np.ndarray


class Method(NamedTuple):
    """How to solve: loss and islands by number; smooth [yr m-1], below zero for cross-validation."""

    loss: int
    islands: int
    smooth: float
    is_general: bool  # weights are not the inverse of the variances, or the series is smoothed


class Scratch(NamedTuple):
    """Arrays that are filled anew for every group of pixels (..., lanes)."""

    observed: np.ndarray  # (2, pair) displacements
    variance: np.ndarray  # (2, pair) of each component, of the measurement, NaN for a pair that takes no part
    weight: np.ndarray  # (pair) that the caller gave, 0 for a pair that takes no part
    trust: np.ndarray  # (pair) factor of the weight that the loss gives
    redundancy: np.ndarray  # (pair) 1 minus leverage
    length: np.ndarray  # (pair) studentised residual
    band: np.ndarray  # (date, width) normal matrix, then its factor
    inverse: np.ndarray  # (date, 2 width - 1) of the normal matrix within the envelope, on both sides of the diagonal
    dense: np.ndarray  # (date, date) the whole inverse, where it is needed
    solution: np.ndarray  # (2, date)
    change: np.ndarray  # (3, date) right-hand sides
    share: np.ndarray  # (2, date) variance that belongs to each date
    rest: np.ndarray  # (3, date) work of the split; variances have single precision, which is twice as fast
    ratio: np.ndarray  # (2, date)
    prior: np.ndarray  # (2, date) series that the smoothness refers to
    state: np.ndarray  # (date) int64
    root: np.ndarray  # (date) int64: first date of the group that the date belongs to
    lane: np.ndarray  # (20) one number a pixel


def scratch(pairs: int, dates: int, width: int, lanes: int, needs_dense: bool) -> Scratch:
    """Arrays for networks of so many pairs and dates."""

    def made(*shape: int) -> np.ndarray:
        return np.empty((*shape, lanes))

    return Scratch(
        observed=made(2, pairs),
        variance=np.empty((2, pairs, lanes), np.float32),
        weight=made(pairs),
        trust=made(pairs),
        redundancy=made(pairs),
        length=made(pairs),
        band=made(dates, width),
        inverse=np.zeros((dates, 2 * width - 1, lanes)),
        dense=made(dates, dates) if needs_dense else made(0, 0),
        solution=made(2, dates),
        change=made(3, dates),
        share=np.empty((2, dates, lanes), np.float32),
        rest=np.empty((3, dates, lanes), np.float32),
        ratio=made(2, dates),
        prior=np.zeros((2, dates, lanes)),
        state=np.empty((dates, lanes), np.int64),
        root=np.empty((dates, lanes), np.int64),
        lane=made(20),
    )


# --------------------------------------------------------------------------------------------------- variances of dates


@kernel
def _split(ends, variance, out, work):
    """Variance of each date (date, lanes) whose sums over the ends of the pairs come closest to those of the pairs.

    variance (pair, lanes), NaN where a pair takes no part. Where a network cannot tell (a chain), each date keeps half
    a pair. All in single precision.
    """
    pairs, lanes = variance.shape
    rest, count, least = work[0], work[1], work[2]
    dates = out.shape[0]
    zero, one, most = np.float32(0.0), np.float32(1.0), np.float32(np.inf)
    half, damping = np.float32(0.5), np.float32(DAMPING)
    rest[:] = zero
    count[:] = zero
    least[:] = most
    for p in range(pairs):
        i, j = ends[p, 0], ends[p, 1]
        for lane in range(lanes):
            part = variance[p, lane]
            is_used = part == part
            part = part if is_used else zero
            rest[i, lane] += part
            rest[j, lane] += part
            count[i, lane] += one if is_used else zero
            count[j, lane] += one if is_used else zero
            part = np.float32(LEAST_SHARE) * part if is_used else most
            least[i, lane] = min(least[i, lane], part)
            least[j, lane] = min(least[j, lane], part)
    for k in range(dates):
        for lane in range(lanes):
            out[k, lane] = half * rest[k, lane] / count[k, lane] if count[k, lane] > zero else np.float32(np.nan)
            count[k, lane] = damping / max(count[k, lane], one)
    for _ in range(SPLITS):
        # what the pairs of a date have beyond what the present split gives them
        rest[:] = zero
        for p in range(pairs):
            i, j = ends[p, 0], ends[p, 1]
            for lane in range(lanes):
                part = variance[p, lane] - out[i, lane] - out[j, lane]
                part = part if part == part else zero
                rest[i, lane] += part
                rest[j, lane] += part
        for k in range(dates):
            for lane in range(lanes):
                share = out[k, lane] + count[k, lane] * rest[k, lane]
                out[k, lane] = max(share, least[k, lane]) if out[k, lane] == out[k, lane] else out[k, lane]


@kernel
def date_variance(ends, variance, out):
    """Share of each date in the variances of its pairs.

    ends (pair, 2); variance (pair, rows, columns), NaN where a pair is missing; out (date, rows, columns), NaN where a
    date has no pair.
    """
    dates, rows, columns = out.shape
    share = np.empty((dates, columns), np.float32)
    work = np.empty((3, dates, columns), np.float32)
    of_row = np.empty((variance.shape[0], columns), np.float32)
    for row in range(rows):
        for p in range(variance.shape[0]):
            for column in range(columns):
                of_row[p, column] = variance[p, row, column]
        _split(ends, of_row, share, work)
        for k in range(dates):
            for column in range(columns):
                out[k, row, column] = share[k, column]


# --------------------------------------------------------------------------------------------------------------- groups


@kernel
def _is_one_group(s):
    """Whether all dates with pairs belong to one group, in all pixels."""
    dates, lanes = s.state.shape
    first, apart = s.lane[0], 0
    first[:] = -1.0
    for k in range(dates):
        for lane in range(lanes):
            has_pairs = s.state[k, lane] == CONNECTED
            first[lane] = s.root[k, lane] if has_pairs and first[lane] < 0.0 else first[lane]
            apart += 1 if has_pairs and s.root[k, lane] != first[lane] else 0
    return apart == 0


@kernel
def _group(network, s, is_smooth):
    """Groups of dates that pairs of positive weight connect: s.root, the first date of each, and s.state.

    s.lane[0] is their number, [1] the dates of the group of `home`, [15] the pairs to be solved that are redundant. A
    date of `root` -1 is no unknown. A smoothed series has unknowns from the first to the last date of its group.
    """
    dates, lanes = s.state.shape
    pairs = s.weight.shape[0]
    s.state[:] = NO_PAIRS
    for k in range(dates):
        s.root[k] = k
    changes, is_forward = 1, True
    while changes > 0:
        changes = 0
        for q in range(pairs):
            p = q if is_forward else pairs - 1 - q
            i, j = network.ends[p, 0], network.ends[p, 1]
            for lane in range(lanes):
                a, b, is_used = s.root[i, lane], s.root[j, lane], s.weight[p, lane] > 0.0
                first = min(a, b)
                s.root[i, lane] = first if is_used else a
                s.root[j, lane] = first if is_used else b
                s.state[i, lane] = CONNECTED if is_used else s.state[i, lane]
                s.state[j, lane] = CONNECTED if is_used else s.state[j, lane]
                changes += 1 if is_used and a != b else 0
        is_forward = not is_forward
        if _is_one_group(s):
            break
    s.lane[0] = 0.0
    s.lane[1] = 0.0
    s.lane[15] = 0.0
    for lane in range(lanes):
        home = s.root[network.home[0], lane]
        has_reference = True
        for k in network.home:
            has_reference &= s.state[k, lane] == CONNECTED and s.root[k, lane] == home
        last = -1
        for k in range(dates):
            has_pairs = s.state[k, lane] == CONNECTED
            is_home = s.root[k, lane] == home
            s.lane[0, lane] += has_pairs and s.root[k, lane] == k
            s.lane[15, lane] -= has_pairs and (is_home or not is_smooth)
            if not has_reference:
                s.state[k, lane] = NO_REFERENCE
            elif has_pairs and is_home:
                s.lane[1, lane] += 1.0
                last = k
            elif has_pairs:
                s.state[k, lane] = DISCONNECTED
            if not has_pairs or not has_reference or (is_smooth and not is_home):
                s.root[k, lane] = -1
        s.lane[15, lane] += 1.0 if is_smooth else s.lane[0, lane] + s.lane[2, lane]
        if is_smooth and last >= 0:
            for k in range(home, last + 1):
                s.root[k, lane] = home
    for p in range(pairs if is_smooth else 0):
        i = network.ends[p, 0]
        for lane in range(lanes):
            s.weight[p, lane] = s.weight[p, lane] if s.state[i, lane] == CONNECTED else 0.0
            s.lane[15, lane] += 1.0 if s.weight[p, lane] > 0.0 else 0.0


# ------------------------------------------------------------------------------------------------------- linear systems


@kernel
def _assemble(network, s, with_trust):
    """Grounded Laplacian of every pixel: the first date of a group, and dates that are no unknowns, keep a row of 1."""
    _, width, lanes = s.band.shape
    band = s.band
    band[:] = 0.0
    last = width - 1
    for p in range(s.weight.shape[0]):
        i, j = network.ends[p, 0], network.ends[p, 1]
        for lane in range(lanes):
            weight = s.weight[p, lane] * s.trust[p, lane] if with_trust else s.weight[p, lane]
            band[i, last, lane] += weight
            band[j, last, lane] += weight
            band[j, last - (j - i), lane] -= weight
    _ground(s)


@kernel
def _ground(s):
    dates, width, lanes = s.band.shape
    last = width - 1
    for k in range(dates):
        for lane in range(lanes):
            if s.root[k, lane] == k or s.root[k, lane] < 0:
                s.band[k, last, lane] = 1.0
                for d in range(1, width):
                    s.band[k, last - d, lane] = 0.0
                    if k + d < dates:
                        s.band[k + d, last - d, lane] = 0.0


@kernel
def _hold(s):
    """A row of 1 for dates that no pair touches: unknowns of a smoothed series, but not before it is smoothed."""
    dates, width, lanes = s.band.shape
    for k in range(dates):
        for lane in range(lanes):
            if s.band[k, width - 1, lane] == 0.0:
                s.band[k, width - 1, lane] = 1.0


@kernel
def _stiffen(network, s, strength):
    """Add the penalty on changes of velocity, strength (lanes) [yr2 m-2], to the normal matrix."""
    dates, width, lanes = s.band.shape
    last = width - 1
    for k in range(1, dates - 1):
        a = 1.0 / (network.times[k] - network.times[k - 1])
        c = 1.0 / (network.times[k + 1] - network.times[k])
        b = -(a + c)
        for lane in range(lanes):
            root = s.root[k, lane]
            inside = root >= 0 and s.root[k - 1, lane] == root and s.root[k + 1, lane] == root
            w = strength[lane] if inside else 0.0
            s.band[k - 1, last, lane] += w * a * a
            s.band[k, last, lane] += w * b * b
            s.band[k + 1, last, lane] += w * c * c
            s.band[k, last - 1, lane] += w * a * b
            s.band[k + 1, last - 1, lane] += w * b * c
            s.band[k + 1, last - 2, lane] += w * a * c
    _ground(s)


@kernel
def _factor(band, first):
    """Cholesky factors of banded matrices in place, with the inverse of the diagonal on the diagonal.

    band[i, width - 1 - d] is the entry (i, i - d). A matrix that is not definite gives NaN.
    """
    dates, width, lanes = band.shape
    total = np.empty(lanes)
    for i in range(dates):
        row = band[i]
        to_i = width - 1 - i
        for j in range(first[i], i + 1):
            to_j = width - 1 - j
            start = max(first[i], first[j])
            left, right = row[start + to_i : j + to_i], band[j][start + to_j : j + to_j]
            entry = row[j + to_i]
            for lane in range(lanes):
                total[lane] = entry[lane]
            for k in range(j - start):
                one, other = left[k], right[k]
                for lane in range(lanes):
                    total[lane] -= one[lane] * other[lane]
            if j < i:
                diagonal = band[j][width - 1]
                for lane in range(lanes):
                    entry[lane] = total[lane] * diagonal[lane]
            else:
                for lane in range(lanes):
                    is_definite = total[lane] > 1e-12 * entry[lane]
                    entry[lane] = 1.0 / np.sqrt(total[lane]) if is_definite else np.nan


@kernel
def _solve(band, first, x):
    """Solve with the factors of `_factor`, in place: x (date, lanes)."""
    dates, width, lanes = band.shape
    for i in range(dates):
        to_i = width - 1 - i
        target = x[i]
        for k in range(first[i], i):
            one, other = band[i][k + to_i], x[k]
            for lane in range(lanes):
                target[lane] -= one[lane] * other[lane]
        diagonal = band[i][width - 1]
        for lane in range(lanes):
            target[lane] *= diagonal[lane]
    for i in range(dates - 1, -1, -1):
        to_i = width - 1 - i
        source, diagonal = x[i], band[i][width - 1]
        for lane in range(lanes):
            source[lane] *= diagonal[lane]
        for k in range(first[i], i):
            one, target = band[i][k + to_i], x[k]
            for lane in range(lanes):
                target[lane] -= one[lane] * source[lane]


@kernel
def _invert(band, first, inverse):
    """Entries of the inverses within the envelope, from the factors (Takahashi's recurrence).

    inverse[i, width - 1 - d] is the entry (i, i - d), for d below zero too; what lies outside the envelope stays 0.
    """
    dates, width, lanes = band.shape
    total = np.empty(lanes)
    last = width - 1
    for j in range(dates - 1, -1, -1):
        diagonal = band[j][last]
        after = min(dates, j + width) - j - 1
        whole = after - after % 4
        for i in range(j + after, j - 1, -1):
            if first[i] > j:
                continue
            for lane in range(lanes):
                total[lane] = diagonal[lane] if i == j else 0.0
            known = inverse[i][last + j + 1 - i :]
            # four at a time: every sum is loaded and stored a quarter as often
            for k in range(0, whole, 4):
                a0, a1, a2, a3 = known[k], known[k + 1], known[k + 2], known[k + 3]
                b0, b1 = band[j + 1 + k][last - 1 - k], band[j + 2 + k][last - 2 - k]
                b2, b3 = band[j + 3 + k][last - 3 - k], band[j + 4 + k][last - 4 - k]
                for lane in range(lanes):
                    total[lane] -= a0[lane] * b0[lane] + a1[lane] * b1[lane] + a2[lane] * b2[lane] + a3[lane] * b3[lane]
            for k in range(whole, after):
                one, other = known[k], band[j + 1 + k][last - 1 - k]
                for lane in range(lanes):
                    total[lane] -= one[lane] * other[lane]
            below, above = inverse[i][last - (i - j)], inverse[j][last + (i - j)]
            for lane in range(lanes):
                value = total[lane] * diagonal[lane]
                below[lane] = value
                above[lane] = value


# ------------------------------------------------------------------------------------------------------------ residuals


@kernel
def _redundancies(network, s):
    """Part of each pair's error that its residual shows, 1 minus its leverage; 0 where nothing checks the pair."""
    last = s.band.shape[1] - 1
    for p in range(s.weight.shape[0]):
        i, j = network.ends[p, 0], network.ends[p, 1]
        for lane in range(s.weight.shape[1]):
            of_i = s.inverse[i, last, lane] if s.root[i, lane] != i else 0.0
            of_j = s.inverse[j, last, lane]
            both = s.inverse[j, last - (j - i), lane] if s.root[i, lane] != i else 0.0
            leverage = s.weight[p, lane] * s.trust[p, lane] * (of_i + of_j - 2.0 * both)
            rest = 1.0 - leverage
            s.redundancy[p, lane] = rest if rest > UNCHECKED and s.weight[p, lane] > 0.0 else 0.0


@kernel
def _residuals(network, s):
    """Length of each pair's studentised residual, in units of its weight; -1 where nothing checks the pair."""
    x, y = s.solution[0], s.solution[1]
    for p in range(s.weight.shape[0]):
        i, j = network.ends[p, 0], network.ends[p, 1]
        for lane in range(s.weight.shape[1]):
            along_x = s.observed[0, p, lane] - x[j, lane] + x[i, lane]
            along_y = s.observed[1, p, lane] - y[j, lane] + y[i, lane]
            square = s.weight[p, lane] * (along_x * along_x + along_y * along_y)
            checked = s.redundancy[p, lane]
            s.length[p, lane] = np.sqrt(square / checked) if checked > 0.0 else -1.0


@kernel
def _scale(s, is_settled, least, may_rise):
    """Noise of the pairs from the median length of their residuals, in units of their weights, s.lane[3].

    The median is found by halving the logarithm of an interval, of all pixels at once; of an even number it is the
    lower one. The noise is at least this share of the root mean square, and never only rounding; s.lane[6] is the mean
    weight.
    """
    pairs, lanes = s.weight.shape
    low, high, beyond, below, square = s.lane[10], s.lane[11], s.lane[12], s.lane[13], s.lane[16]
    middle = s.lane[14]
    square[:] = 0.0
    high[:] = 0.0
    beyond[:] = 0.0
    for p in range(pairs):
        for lane in range(lanes):
            length = max(s.length[p, lane], 0.0)
            # pairs that nothing checks count as below
            beyond[lane] += 1.0 if s.length[p, lane] >= 0.0 else 2.0
            high[lane] = max(high[lane], length)
            square[lane] += length * length
    for lane in range(lanes):
        count = 2.0 * pairs - beyond[lane]
        floor = max(
            least * np.sqrt(square[lane] / max(count, 1.0)), PRECISION * np.sqrt(s.lane[6, lane] * s.lane[19, lane])
        )
        low[lane] = RAYLEIGH * floor
        high[lane] = max(high[lane], low[lane])
    for _ in range(HALVINGS):
        below[:] = 0.0
        for lane in range(lanes):
            middle[lane] = np.sqrt(low[lane] * high[lane])
        for p in range(pairs):
            for lane in range(lanes):
                below[lane] += 1.0 if s.length[p, lane] <= middle[lane] else 0.0
        for lane in range(lanes):
            is_beyond = 2.0 * below[lane] < beyond[lane]
            low[lane] = middle[lane] if is_beyond else low[lane]
            high[lane] = high[lane] if is_beyond else middle[lane]
    for lane in range(lanes):
        scale = np.sqrt(low[lane] * high[lane]) / RAYLEIGH
        is_new = is_settled[lane] == 0.0 and (may_rise or scale < FALL * s.lane[3, lane])
        s.lane[3, lane] = scale if is_new else s.lane[3, lane]


@kernel
def _weigh(s, loss, is_settled):
    """Factor of each weight that the loss gives, of pixels that have not settled; s.lane[3] is their scale."""
    for p in range(s.weight.shape[0]):
        for lane in range(s.weight.shape[1]):
            scale = s.lane[3, lane]
            z = max(s.length[p, lane], 0.0) / scale if scale > 0.0 else 0.0
            if loss == TUKEY:
                t = 1.0 - (z / TUKEY_LIMIT) ** 2
                trust = max(t * t, LEAST_TRUST) if t > 0.0 else LEAST_TRUST
            elif loss == L1:
                trust = L1_LEAST / max(z, L1_LEAST)
            else:
                trust = HUBER_LIMIT / max(z, HUBER_LIMIT)
            s.trust[p, lane] = s.trust[p, lane] if is_settled[lane] > 0.0 else trust


@kernel
def _gradient(network, s, strength):
    """Right-hand sides s.change[:2] that lead from the present solution to the weighted least-squares one."""
    dates, lanes = s.state.shape
    s.change[:2] = 0.0
    for axis in range(2):
        u, g = s.solution[axis], s.change[axis]
        for p in range(s.weight.shape[0]):
            i, j = network.ends[p, 0], network.ends[p, 1]
            for lane in range(lanes):
                weight = s.weight[p, lane] * s.trust[p, lane]
                pull = weight * (s.observed[axis, p, lane] - u[j, lane] + u[i, lane])
                g[i, lane] -= pull
                g[j, lane] += pull
        if strength.size > 0:
            for k in range(1, dates - 1):
                a = 1.0 / (network.times[k] - network.times[k - 1])
                c = 1.0 / (network.times[k + 1] - network.times[k])
                for lane in range(lanes):
                    root = s.root[k, lane]
                    inside = root >= 0 and s.root[k - 1, lane] == root and s.root[k + 1, lane] == root
                    jump = c * (u[k + 1, lane] - u[k, lane]) - a * (u[k, lane] - u[k - 1, lane])
                    before, here, after = s.prior[axis, k - 1, lane], s.prior[axis, k, lane], s.prior[axis, k + 1, lane]
                    expected = c * (after - here) - a * (here - before)
                    # where the prior knows nothing, a steady motion is expected
                    jump -= expected if np.isfinite(expected) else 0.0
                    jump *= strength[lane] if inside else 0.0
                    g[k - 1, lane] -= a * jump
                    g[k, lane] += (a + c) * jump
                    g[k + 1, lane] -= c * jump
        for k in range(dates):
            for lane in range(lanes):
                if s.root[k, lane] == k or s.root[k, lane] < 0:
                    g[k, lane] = 0.0


@kernel
def _step(network, s, is_settled):
    """Solve for the change of the solution and add it where a pixel has not settled.

    s.lane[4] is the largest square of the changes, [19] that of the solution.
    """
    dates, lanes = s.state.shape
    s.lane[4] = 0.0
    s.lane[19] = 0.0
    for axis in range(2):
        _solve(s.band, network.first, s.change[axis])
        for k in range(dates):
            for lane in range(lanes):
                change = s.change[axis, k, lane] if is_settled[lane] == 0.0 else 0.0
                s.solution[axis, k, lane] += change
                s.lane[4, lane] = max(s.lane[4, lane], change * change)
                s.lane[19, lane] = max(s.lane[19, lane], s.solution[axis, k, lane] ** 2)


@kernel
def _has_one_matrix(s, strength):
    """Whether all pixels have the same pairs with the same weights, so that they share a factor."""
    for p in range(s.weight.shape[0]):
        for lane in range(1, s.weight.shape[1]):
            if s.weight[p, lane] != s.weight[p, 0]:
                return False
    for k in range(s.root.shape[0]):
        for lane in range(1, s.weight.shape[1]):
            if s.root[k, lane] != s.root[k, 0]:
                return False
    return bool((strength == strength[0]).all()) if strength.size > 0 else True


@kernel
def _prepare(network, s, strength, with_trust):
    """Normal matrices of all pixels, factored."""
    _assemble(network, s, with_trust)
    if strength.size > 0:
        _stiffen(network, s, strength)
    else:
        _hold(s)
    if not with_trust and _has_one_matrix(s, strength):
        dates, width, lanes = s.band.shape
        one = np.empty((dates, width, 1))
        for k in range(dates):
            for d in range(width):
                one[k, d, 0] = s.band[k, d, 0]
        _factor(one, network.first)
        for k in range(dates):
            for d in range(width):
                for lane in range(lanes):
                    s.band[k, d, lane] = one[k, d, 0]
    else:
        _factor(s.band, network.first)


@kernel
def _fit(network, s, loss):
    """Solve all pixels; s.lane[5] is 1 where the loss settled, s.trust the factors that it gave the weights.

    Steps of Newton's kind with one factor (Huber's algorithm), which the loss never exceeds. What a pair's residual
    shows of its error is first taken for the same in all pairs, then computed for each, with the weights that are
    nearly final by then; s.inverse belongs to these.
    """
    pairs, lanes = s.weight.shape
    is_settled, mean, freedom, rigid = s.lane[5], s.lane[6], s.lane[16], s.lane[5][:0]
    is_settled[:] = 0.0
    s.solution[:] = 0.0
    s.trust[:] = 1.0
    s.lane[3] = 0.0
    _prepare(network, s, rigid, False)
    _gradient(network, s, rigid)
    _step(network, s, is_settled)
    mean[:] = 0.0
    freedom[:] = 0.0
    for p in range(pairs):
        for lane in range(lanes):
            mean[lane] += s.weight[p, lane]
            freedom[lane] += 1.0 if s.weight[p, lane] > 0.0 else 0.0
    for lane in range(lanes):
        count = max(freedom[lane], 1.0)
        mean[lane], freedom[lane] = mean[lane] / count, s.lane[15, lane] / count
    for p in range(pairs):
        for lane in range(lanes):
            s.redundancy[p, lane] = freedom[lane] if s.weight[p, lane] > 0.0 else 0.0
    if loss != LINEAR:
        _leave_unchecked(network, s)
        _settle(network, s, L1 if loss == L1 else HUBER, True)
        _prepare(network, s, rigid, True)
    _invert(s.band, network.first, s.inverse)
    if loss != LINEAR:
        _redundancies(network, s)
    _sum_inverse(network, s)
    is_settled[:] = 1.0 if loss == LINEAR else 0.0
    if loss != LINEAR:
        if loss == TUKEY:
            # it ends in the solution that is next to its start, whose scale it keeps
            _settle(network, s, HUBER, False)
            is_settled[:] = 0.0
        _settle(network, s, loss, False)
    _residuals(network, s)


@kernel
def _leave_unchecked(network, s):
    """Share the redundancy among the pairs that least squares leaves a residual, s.lane[15] over their number.

    What has none is checked by nothing, as a pair that alone connects two groups. It tells nothing of the noise.
    """
    pairs, lanes = s.weight.shape
    rounding, count = s.lane[10], s.lane[11]
    _residuals(network, s)
    count[:] = 0.0
    for lane in range(lanes):
        rounding[lane] = PRECISION * np.sqrt(s.lane[6, lane] * s.lane[19, lane])
    for p in range(pairs):
        for lane in range(lanes):
            is_checked = s.length[p, lane] * np.sqrt(s.redundancy[p, lane]) > rounding[lane]
            s.redundancy[p, lane] = 1.0 if is_checked else 0.0
            count[lane] += s.redundancy[p, lane]
    for p in range(pairs):
        for lane in range(lanes):
            s.redundancy[p, lane] *= min(s.lane[15, lane] / max(count[lane], 1.0), 1.0)


@kernel
def _sum_inverse(network, s):
    """Sums of the rows of the inverse, s.change[2]."""
    for k in range(s.root.shape[0]):
        for lane in range(s.root.shape[1]):
            s.change[2, k, lane] = 0.0 if s.root[k, lane] == k or s.root[k, lane] < 0 else 1.0
    _solve(s.band, network.first, s.change[2])


@kernel
def _settle(network, s, loss, is_first):
    """Reweight and step until the solutions of all pixels stay where they are, or steps are out.

    In the first stage all pairs have one leverage, and the matrix at the start knows nothing of the loss.
    """
    lanes = s.weight.shape[1]
    is_settled, mean, rigid = s.lane[5], s.lane[6], s.lane[5][:0]
    steps = EQUAL_STEPS if is_first else STEPS
    tolerance = EQUAL_TOLERANCE if is_first else TOLERANCE
    # "huber" has its last matrix from the first stage; those of "l1" change with every step
    renewal = 1 if is_first or loss == L1 else RENEWAL
    has_matrix = 1 if loss == HUBER and not is_first else 0
    for step in range(steps):
        _residuals(network, s)
        if loss != TUKEY and (step < NEW_SCALES or step % NEW_SCALES == 0):
            # pairs that nothing checks may be most of them, as long as all count alike
            _scale(s, is_settled, LEAST_SCALE if is_first else 0.0, step < NEW_SCALES)
        if is_first and step == 0:
            s.lane[3] *= FIRST_SCALE
        _weigh(s, loss, is_settled)
        if (step + has_matrix) % renewal == 0:
            _prepare(network, s, rigid, True)
        _gradient(network, s, rigid)
        _step(network, s, is_settled)
        left = 0
        for lane in range(lanes):
            limit = tolerance * s.lane[3, lane]
            # without scale nothing is reweighted
            is_small = limit == 0.0 or not mean[lane] * s.lane[4, lane] > limit * limit
            is_small |= s.lane[4, lane] <= ROUNDING * s.lane[19, lane]
            is_settled[lane] = 1.0 if is_small else is_settled[lane]
            left += is_settled[lane] == 0.0
        if left == 0:
            break


# ----------------------------------------------------------------------------------------------------------- smoothness


@kernel
def _smooth(network, s, strength):
    """Penalised least squares with the weights that the loss left; pairs are judged by their misclosure alone."""
    is_fixed = s.lane[10]
    is_fixed[:] = 0.0
    s.solution[:] = 0.0
    _prepare(network, s, strength, True)
    _gradient(network, s, strength)
    _step(network, s, is_fixed)


@kernel
def _cross_validate(network, s, strength):
    """Strength of the smoothness of every pixel that predicts its dates best (generalised cross-validation).

    The noise belongs to dates, so what is predicted are the displacements of the dates that the pairs alone give, not
    the pairs, which close too well.
    """
    dates, lanes = s.state.shape
    last = s.band.shape[1] - 1
    plain = s.ratio
    for axis in range(2):
        for k in range(dates):
            for lane in range(lanes):
                plain[axis, k, lane] = s.solution[axis, k, lane]
    least, trial, scale, trace = s.lane[10], s.lane[11], s.lane[12], s.lane[13]
    least[:] = np.inf
    s.solution[:] = 0.0
    _assemble(network, s, True)
    scale[:] = 0.0
    for k in range(dates):
        for lane in range(lanes):
            is_free = s.root[k, lane] >= 0 and s.root[k, lane] != k
            scale[lane] += s.band[k, last, lane] if is_free else 0.0
    s.band[:] = 0.0
    trial[:] = 1.0
    _stiffen(network, s, trial)
    for lane in range(lanes):
        stiffness = 0.0
        for k in range(dates):
            if s.root[k, lane] >= 0 and s.root[k, lane] != k:
                stiffness += s.band[k, last, lane]
        scale[lane] = scale[lane] / stiffness if stiffness > 0.0 else 0.0
    for attempt in range(TRIES):
        ratio = 10.0 ** (0.5 * attempt - 5.0)
        for lane in range(lanes):
            trial[lane] = ratio * scale[lane]
        _assemble(network, s, True)
        _stiffen(network, s, trial)
        _factor(s.band, network.first)
        _invert(s.band, network.first, s.inverse)
        trace[:] = 1.0
        for p in range(s.weight.shape[0]):
            i, j = network.ends[p, 0], network.ends[p, 1]
            for lane in range(lanes):
                of_i = s.inverse[i, last, lane] if s.root[i, lane] != i else 0.0
                both = s.inverse[j, last - (j - i), lane] if s.root[i, lane] != i else 0.0
                weight = s.weight[p, lane] * s.trust[p, lane]
                trace[lane] += weight * (of_i + s.inverse[j, last, lane] - 2.0 * both)
        _gradient(network, s, trial)
        for axis in range(2):
            _solve(s.band, network.first, s.change[axis])
        for lane in range(lanes):
            members, misfit = s.lane[1, lane], 0.0
            for axis in range(2):
                mean, square = 0.0, 0.0
                for k in range(dates):
                    if s.state[k, lane] == CONNECTED:
                        change = s.change[axis, k, lane] - plain[axis, k, lane]
                        mean += change
                        square += change * change
                misfit += square - mean * mean / max(members, 1.0)
            freedom = 1.0 - trace[lane] / max(members, 1.0)
            score = misfit / (freedom * freedom) if freedom > 1e-9 else np.inf
            if score < least[lane]:
                least[lane] = score
                strength[lane] = trial[lane]


# ---------------------------------------------------------------------------------------------------------- error model


@kernel
def _complete_variances(s):
    """Variance of pairs that have none: the mean of the others; s.lane[8] is 1 where there are pairs and none has one.

    There the inverse weights stand for the variances up to a common factor, and nothing is known of the dates.
    """
    pairs, lanes = s.weight.shape
    known, total_x, total_y = s.lane[8], s.lane[10], s.lane[11]
    if s.lane[8].max() == 0.0:
        return
    known[:] = 0.0
    total_x[:] = 0.0
    total_y[:] = 0.0
    for p in range(pairs):
        for lane in range(lanes):
            is_known = s.weight[p, lane] > 0.0 and s.variance[0, p, lane] > 0.0
            known[lane] += 1.0 if is_known else 0.0
            total_x[lane] += s.variance[0, p, lane] if is_known else 0.0
            total_y[lane] += s.variance[1, p, lane] if is_known else 0.0
    for p in range(pairs):
        for lane in range(lanes):
            weight = s.weight[p, lane]
            if weight > 0.0 and s.variance[0, p, lane] == 0.0:
                s.variance[0, p, lane] = total_x[lane] / known[lane] if known[lane] > 0.0 else 1.0 / weight
                s.variance[1, p, lane] = total_y[lane] / known[lane] if known[lane] > 0.0 else 1.0 / weight
    for lane in range(lanes):
        known[lane] = 1.0 if known[lane] == 0.0 and s.lane[2, lane] > 0.0 else 0.0


@kernel
def _noise_of_pairs(s, loss):
    """Share of the variances that the misclosure shows to be the pairs' own, s.lane[9]; outliers, s.lane[14].

    Where little is redundant it is mostly that of experience; without variances the misclosure alone tells, or nothing,
    and it is NaN. s.lane[12] is the root mean square misclosure.
    """
    pairs, lanes = s.weight.shape
    found, freedom, outliers, limit, square = s.lane[9], s.lane[10], s.lane[14], s.lane[11], s.lane[12]
    found[:] = 0.0
    freedom[:] = 0.0
    outliers[:] = 0.0
    square[:] = 0.0
    for lane in range(lanes):
        limit[lane] = OUTLIER * s.lane[3, lane] if loss != LINEAR else np.inf
    for p in range(pairs):
        for lane in range(lanes):
            redundancy, length, weight = s.redundancy[p, lane], s.length[p, lane], s.weight[p, lane]
            is_good = redundancy > 0.0 and length <= limit[lane]
            # what nothing checks closes
            variances = np.float64(s.variance[0, p, lane]) + np.float64(s.variance[1, p, lane])
            part = length * length * redundancy / (weight * variances) if redundancy > 0.0 else 0.0
            square[lane] += part * variances if redundancy > 0.0 else 0.0
            found[lane] += part if is_good else 0.0
            freedom[lane] += redundancy if is_good else 0.0
            outliers[lane] += 1.0 if redundancy > 0.0 and not is_good else 0.0
    for lane in range(lanes):
        if s.lane[8, lane] == 0.0:
            found[lane] = (found[lane] + PRIOR_SHARE) / (freedom[lane] + 1.0)
        else:
            found[lane] = found[lane] / freedom[lane] if freedom[lane] > 0.0 else np.nan
        square[lane] = np.sqrt(0.5 * square[lane] / s.lane[2, lane])


@kernel
def _variances(network, s, excess):
    """Variance of each date, s.change[:2], if the weights are the inverse variances and nothing is smoothed.

    excess: of the variance of the solution over that of least squares, where the noise is that of the pairs.
    """
    dates, lanes = s.state.shape
    last = s.band.shape[1] - 1
    sums, totals, counts = s.change[2], s.ratio[0], s.ratio[1]
    totals[:] = 0.0
    counts[:] = 0.0
    for k in range(dates):
        for lane in range(lanes):
            root = s.root[k, lane]
            if root >= 0:
                totals[root, lane] += sums[k, lane]
                counts[root, lane] += 1.0
    for k in range(dates):
        for lane in range(lanes):
            root, share = s.root[k, lane], s.lane[9, lane]
            at = max(root, 0)
            members = max(counts[at, lane], 1.0)
            # diagonal of the pseudo-inverse: the inverse without the choice of a date that is zero
            grounded = 0.0 if root == k else s.inverse[k, last, lane]
            spread = grounded - 2.0 * sums[k, lane] / members + totals[at, lane] / (members * members)
            # so that the sums of the variances of two dates are those of their difference on average
            spread *= members / max(members - 1.0, 1.0)
            # the weights are inverse variances of a mean component
            both = s.lane[17, lane] + s.lane[18, lane]
            for axis in range(2):
                rest = max(network.factor[axis, k] - share, 0.0)
                of_date = rest * s.share[axis, k, lane] if s.lane[8, lane] == 0.0 else 0.0
                balance = 2.0 * s.lane[axis + 17, lane] / both if both > 0.0 else 1.0
                s.change[axis, k, lane] = of_date + excess * share * spread * balance


@kernel
def _is_seen(network, s, k, lane):
    """Whether a date has pairs in its group; a smoothed series has dates between those of its group that have none."""
    root, state = s.root[k, lane], s.state[k, lane]
    is_apart = state == DISCONNECTED and root != s.root[network.home[0], lane]
    return root >= 0 and (state == CONNECTED or is_apart)


@kernel
def _general_variances(network, s, excess):
    """Variance of each date, s.change[:2], for any weights and any smoothness: K Sigma K', relative to no date.

    K maps the pairs to the dates; its rows lose their mean over the dates of a group that have pairs, so that no date
    is special. excess: as in `_variances`.
    """
    dates, lanes = s.state.shape
    dense, counts, means, row = s.dense, s.ratio[0], s.change[2], s.ratio[1]
    counts[:] = 0.0
    for k in range(dates):
        dense[k] = 0.0
        for lane in range(lanes):
            root = s.root[k, lane]
            dense[k, k, lane] = 0.0 if root == k or root < 0 else 1.0
            if _is_seen(network, s, k, lane):
                counts[root, lane] += 1.0
        _solve(s.band, network.first, dense[k])
    # rows: right-hand sides; columns: dates. Symmetric, so either may be centred
    means[:] = 0.0
    for k in range(dates):
        for other in range(dates):
            for lane in range(lanes):
                root = s.root[other, lane]
                if s.root[k, lane] == root and _is_seen(network, s, other, lane):
                    means[k, lane] += dense[k, other, lane] / counts[root, lane]
    s.change[:2] = 0.0
    for k in range(dates):
        row[:] = 0.0
        for p in range(s.weight.shape[0]):
            i, j = network.ends[p, 0], network.ends[p, 1]
            for lane in range(lanes):
                if s.root[k, lane] < 0 or s.root[i, lane] != s.root[k, lane]:
                    continue
                weight, members = s.weight[p, lane] * s.trust[p, lane], counts[s.root[k, lane], lane]
                gain = weight * (dense[j, k, lane] - means[j, lane] - dense[i, k, lane] + means[i, lane])
                row[i, lane] -= gain
                row[j, lane] += gain
                for axis in range(2):
                    of_pair = excess * s.lane[9, lane] * s.variance[axis, p, lane] if weight > 0.0 else 0.0
                    s.change[axis, k, lane] += gain * gain * of_pair * members / max(members - 1.0, 1.0)
        for other in range(dates):
            for lane in range(lanes):
                root = s.root[other, lane]
                has_variance = s.lane[8, lane] == 0.0
                if has_variance and s.root[k, lane] == root and _is_seen(network, s, other, lane):
                    gain = row[other, lane] + 1.0 / counts[root, lane]
                    for axis in range(2):
                        rest = max(network.factor[axis, other] - s.lane[9, lane], 0.0)
                        s.change[axis, k, lane] += gain * gain * rest * s.share[axis, other, lane]


# -------------------------------------------------------------------------------------------------------------- islands


@kernel
def _bridge(network, s, lane):
    """Move the groups of dates of one pixel so that all lie on one line in time: the limit of weak NSBAS rows.

    The slope is common to all groups, each is moved as a whole, and none is deformed. s.change[:2] grows by the
    variance of the bridge, from the scatter about the line.
    """
    dates = s.state.shape[0]
    home = s.root[network.home[0], lane]
    count, mean_time = s.ratio[0, :, lane], s.ratio[1, :, lane]
    count[:] = 0.0
    mean_time[:] = 0.0
    for k in range(dates):
        root = s.root[k, lane]
        if root >= 0:
            count[root] += 1.0
            mean_time[root] += network.times[k]
    spread, observations, groups = 0.0, 0.0, 0.0
    for k in range(dates):
        root = s.root[k, lane]
        if root >= 0:
            centred = network.times[k] - mean_time[root] / count[root]
            spread += centred * centred
            observations += 1.0
            groups += root == k
    for axis in range(2):
        u, mean = s.solution[axis], s.change[2, :, lane]
        mean[:] = 0.0
        for k in range(dates):
            if s.root[k, lane] >= 0:
                mean[s.root[k, lane]] += u[k, lane] / count[s.root[k, lane]]
        slope = 0.0
        for k in range(dates):
            root = s.root[k, lane]
            if root >= 0:
                slope += (network.times[k] - mean_time[root] / count[root]) * (u[k, lane] - mean[root]) / spread
        scatter = 0.0
        for k in range(dates):
            root = s.root[k, lane]
            if root >= 0:
                along = slope * (network.times[k] - mean_time[root] / count[root])
                scatter += (u[k, lane] - mean[root] - along) ** 2
        freedom = observations - groups - 1.0
        noise = scatter / freedom if freedom > 0.0 else np.nan
        for k in range(dates):
            root = s.root[k, lane]
            if root >= 0 and root != home:
                apart = mean_time[root] / count[root] - mean_time[home] / count[home]
                u[k, lane] += slope * apart - (mean[root] - mean[home])
                s.change[axis, k, lane] += noise * (apart * apart / spread + 1.0 / count[root] + 1.0 / count[home])


# -------------------------------------------------------------------------------------------------------------- results


@kernel
def load(merged, weight, s):
    """Take over displacements and variances, merged (4, pair, lanes), and weights (pair, lanes) of a group of pixels.

    Without weights (0, lanes) they are the inverse of the mean of the two variances. A pair without displacement or
    with a weight that is no positive number takes no part, and has no variance. s.lane[2] is the number of
    others, [8] of those without one, which is 0 then; [17] and [18] are the sums of those with one.
    """
    s.lane[8] = 0.0
    s.lane[2] = 0.0
    s.lane[17] = 0.0
    s.lane[18] = 0.0
    for p in range(s.weight.shape[0]):
        for lane in range(s.weight.shape[1]):
            x, y, along_x, along_y = merged[0, p, lane], merged[1, p, lane], merged[2, p, lane], merged[3, p, lane]
            w = weight[p, lane] if weight.shape[0] > 0 else 2.0 / (along_x + along_y)
            is_known = LEAST < along_x < MOST and LEAST < along_y < MOST
            is_used = abs(x) < np.inf and abs(y) < np.inf and 0.0 < w < np.inf and (is_known or weight.shape[0] > 0)
            s.weight[p, lane] = w if is_used else 0.0
            s.lane[2, lane] += 1.0 if is_used else 0.0
            # what takes no part must be a number all the same: 0 times NaN is NaN
            s.observed[0, p, lane] = x if is_used else 0.0
            s.observed[1, p, lane] = y if is_used else 0.0
            s.variance[0, p, lane] = (along_x if is_known else 0.0) if is_used else np.nan
            s.variance[1, p, lane] = (along_y if is_known else 0.0) if is_used else np.nan
            s.lane[8, lane] += 1.0 if is_used and not is_known else 0.0
            s.lane[17, lane] += along_x if is_used and is_known else 0.0
            s.lane[18, lane] += along_y if is_used and is_known else 0.0


@kernel
def noise(network, s, loss, out):
    """Share of the variances that belongs to the pairs and not to the dates, out (lanes), from s as for `invert`."""
    _group(network, s, False)
    _complete_variances(s)
    _fit(network, s, loss)
    _noise_of_pairs(s, loss)
    for lane in range(out.size):
        out[lane] = s.lane[9, lane]


@kernel
def invert(network, method, s, out):
    """Displacement of each date since the reference by robust weighted least squares.

    Parameters
    ----------
    network, method
        As in `Network` and `Method`.
    s
        Scratch with observed, variance, weight and prior of the pixels: a pair with weight 0 takes no part.
    out
        (5·dates + 7, lanes): displacement along x and y, variance of each date along x and y, state of the date; then
        misclosure (root mean square), number of pairs, of groups of dates and of outliers, share of the variances that
        is the pairs' own, whether the loss settled, and the smoothness.
    """
    lanes = s.state.shape[1]
    is_smooth = method.smooth != 0.0
    strength = s.lane[7]
    strength[:] = 0.0
    rigid = strength[:0]
    _group(network, s, is_smooth)
    _complete_variances(s)
    for axis in range(2):
        _split(network.ends, s.variance[axis], s.share[axis], s.rest)
    _fit(network, s, method.loss)
    _noise_of_pairs(s, method.loss)
    if is_smooth:
        strength[:] = method.smooth * method.smooth
        if method.smooth < 0.0:
            strength[:] = 0.0
            _cross_validate(network, s, strength)
        _smooth(network, s, strength)
        _misclosure(network, s)
    if method.loss == TUKEY:
        _reject(network, s, is_smooth)
    _covariance(network, method, s, strength if is_smooth else rigid)
    for lane in range(lanes):
        if method.islands == BRIDGE and s.lane[0, lane] > 1.0 and s.state[network.home[0], lane] == CONNECTED:
            _bridge(network, s, lane)
    _write(network, method, s, out)


@kernel
def _misclosure(network, s):
    """Root mean square misclosure of the pairs of each pixel in metres, s.lane[12]."""
    s.lane[12] = 0.0
    s.lane[13] = 0.0
    for axis in range(2):
        u = s.solution[axis]
        for p in range(s.weight.shape[0]):
            i, j = network.ends[p, 0], network.ends[p, 1]
            for lane in range(s.weight.shape[1]):
                rest = s.observed[axis, p, lane] - u[j, lane] + u[i, lane]
                is_used = s.weight[p, lane] > 0.0
                s.lane[12, lane] += 0.5 * rest * rest if is_used else 0.0
                s.lane[13, lane] += 0.5 if is_used else 0.0
    for lane in range(s.weight.shape[1]):
        count = s.lane[13, lane]
        s.lane[12, lane] = np.sqrt(s.lane[12, lane] / count) if count > 0.0 else np.nan


@kernel
def _reject(network, s, is_smooth):
    """Take pairs out whose weight the loss has taken away, and group what is left."""
    before, groups = s.ratio[0], s.lane[10]
    before[:] = s.state
    groups[:] = s.lane[0]
    for p in range(s.weight.shape[0]):
        for lane in range(s.weight.shape[1]):
            s.weight[p, lane] = s.weight[p, lane] if s.trust[p, lane] >= REJECTED else 0.0
    _group(network, s, is_smooth)
    if is_smooth:
        # a smoothed series has left the pairs of other groups out before
        for lane in range(s.weight.shape[1]):
            s.lane[0, lane] += groups[lane] - (before[network.home[0], lane] == CONNECTED)
            for k in range(s.state.shape[0]):
                is_apart = s.state[k, lane] == NO_PAIRS and before[k, lane] == DISCONNECTED
                s.state[k, lane] = DISCONNECTED if is_apart else s.state[k, lane]


@kernel
def _covariance(network, method, s, strength):
    """Variance of each date, s.change[:2], with the weights that the loss left.

    Those of "l1" hang on the noise itself, and the solution varies as if all pairs counted.
    """
    excess = 1.0
    if method.loss == L1:
        s.trust[:] = 1.0
        excess = L1_EXCESS
    if method.is_general:
        _prepare(network, s, strength, True)
        _general_variances(network, s, excess)
        return
    if method.loss == TUKEY or method.loss == L1:
        _prepare(network, s, strength, True)
        _invert(s.band, network.first, s.inverse)
        _sum_inverse(network, s)
    _variances(network, s, excess)


@kernel
def _write(network, method, s, out):
    dates, lanes = s.state.shape
    zero_x, zero_y, has_reference = s.lane[10], s.lane[11], s.lane[13]
    zero_x[:] = 0.0
    zero_y[:] = 0.0
    for k in network.home:
        for lane in range(lanes):
            zero_x[lane] += s.solution[0, k, lane] / network.home.size
            zero_y[lane] += s.solution[1, k, lane] / network.home.size
    for lane in range(lanes):
        has_reference[lane] = 1.0 if s.state[network.home[0], lane] == CONNECTED else 0.0
    for k in range(dates):
        for lane in range(lanes):
            state = s.state[k, lane]
            is_apart = state == DISCONNECTED and has_reference[lane] > 0.0 and method.islands != NAN
            is_told = state == CONNECTED or is_apart
            out[k, lane] = s.solution[0, k, lane] - zero_x[lane] if is_told else np.nan
            out[dates + k, lane] = s.solution[1, k, lane] - zero_y[lane] if is_told else np.nan
            out[2 * dates + k, lane] = s.change[0, k, lane] if is_told else np.nan
            out[3 * dates + k, lane] = s.change[1, k, lane] if is_told else np.nan
            # a bridge that cannot be built
            is_lost = is_apart and not abs(out[k, lane]) < np.inf
            out[4 * dates + k, lane] = DISCONNECTED if is_lost else state
    if method.islands == SEPARATE:
        for k in range(dates):
            for lane in range(lanes):
                if s.state[k, lane] == DISCONNECTED and has_reference[lane] > 0.0:
                    first = s.root[k, lane]
                    out[k, lane] = s.solution[0, k, lane] - s.solution[0, first, lane]
                    out[dates + k, lane] = s.solution[1, k, lane] - s.solution[1, first, lane]
    extra = out[5 * dates :]
    for lane in range(lanes):
        known = 1.0 if has_reference[lane] > 0.0 else np.nan
        extra[0, lane] = known * s.lane[12, lane]
        extra[1, lane] = s.lane[2, lane]
        extra[2, lane] = s.lane[0, lane]
        extra[3, lane] = s.lane[14, lane]
        extra[SHARE, lane] = known * s.lane[9, lane]
        extra[5, lane] = s.lane[5, lane]
        extra[6, lane] = known * np.sqrt(s.lane[7, lane])
