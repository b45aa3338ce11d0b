"""Variances of pairs and dates: which noise is that of the images of a date, which that of the pairs themselves.

Pixels lie side by side along the last axis of every array (the lanes).
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.groups import CONNECTED, DISCONNECTED

# Updates of the variances of the dates. Few, because a network with little redundancy, such as a chain, hardly
# determines them: more updates would fit the errors of the variances of the pairs.
SPLITS = 3
# Share of the difference between the variances of the pairs and of their dates that each update removes.
DAMPING = 0.9
# Least variance of a date, as a share of that of its best pair. An even split between the two dates would be 0.5.
LEAST_SHARE = 0.25
# Length of a residual, in units of the scale, beyond which the pair is an outlier and does not count for the noise.
OUTLIER = 4.0
# Expected share of the variance of a pair that is its own noise and not that of its two images. It counts as much as
# one redundant pair. Matches of synthetic images, with and without clouds, have 0.01 to 0.05.
PRIOR_SHARE = 0.03
# Redundant pairs from which on their misclosure tells the share.
ENOUGH = 4.0


@kernel
def split(ends, variance, out, least, work):
    """Variance of each date (date, lanes) whose sums over the ends of the pairs come closest to those of the pairs.

    variance (pair, lanes), NaN where a pair takes no part; out is NaN where a date has no pair. Where a network cannot
    tell (a chain), each date keeps half a pair. least (date, lanes): what no date is below, by its best pair. All in
    single precision, which is twice as fast; work (2, date, lanes).
    """
    pairs, lanes = variance.shape
    rest, count = work[0], work[1]
    dates = out.shape[0]
    zero, one, most = np.float32(0.0), np.float32(1.0), np.float32(np.inf)
    half, damping = np.float32(0.5), np.float32(DAMPING)
    for k in range(dates):
        for lane in range(lanes):
            rest[k, lane] = zero
            count[k, lane] = zero
            least[k, lane] = most
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
        for k in range(dates):
            for lane in range(lanes):
                rest[k, lane] = zero
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
def complete(weight, n_pairs, variance, is_blind):
    """Variance (2, pair, lanes) of pairs that have none (0): the mean of the others.

    is_blind (lanes) becomes 1 where there are pairs and none has a variance. There the inverse weights stand for the
    variances up to a common factor, and nothing is known of the dates.
    """
    pairs, lanes = weight.shape
    known, total = np.empty(lanes), np.empty((2, lanes))
    for lane in range(lanes):
        known[lane] = 0.0
        total[0, lane] = 0.0
        total[1, lane] = 0.0
    for p in range(pairs):
        for lane in range(lanes):
            is_known = weight[p, lane] > 0.0 and variance[0, p, lane] > 0.0
            known[lane] += 1.0 if is_known else 0.0
            total[0, lane] += variance[0, p, lane] if is_known else 0.0
            total[1, lane] += variance[1, p, lane] if is_known else 0.0
    for p in range(pairs):
        for lane in range(lanes):
            if weight[p, lane] > 0.0 and variance[0, p, lane] == 0.0:
                for axis in range(2):
                    mean = total[axis, lane] / known[lane] if known[lane] > 0.0 else 1.0 / weight[p, lane]
                    variance[axis, p, lane] = mean
    for lane in range(lanes):
        is_blind[lane] = 1.0 if known[lane] == 0.0 and n_pairs[lane] > 0.0 else 0.0


@kernel
def share_of_pairs(
    is_robust, length, redundancy, weight, variance, scale, n_pairs, is_blind, guess, share, least, outliers, rms
):  # fmt: skip
    """Share (lanes) of the variances that the misclosure shows to be the pairs' own; outliers; root mean square [m].

    What is expected counts as one more redundant pair: PRIOR_SHARE, or the guess (lanes) where little is redundant, up
    to ENOUGH pairs, the more the less there is. `least` (lanes) is what the misclosure tells without a guess, elsewhere
    both are alike. Without variances (is_blind) the misclosure alone tells, or nothing, and they are NaN. Least
    squares, not is_robust, has no scale to tell outliers by.
    """
    pairs, lanes = weight.shape
    freedom, limit = np.empty(lanes), np.empty(lanes)
    for lane in range(lanes):
        share[lane] = 0.0
        outliers[lane] = 0.0
        rms[lane] = 0.0
        freedom[lane] = 0.0
        limit[lane] = OUTLIER * scale[lane] if is_robust else np.inf
    for p in range(pairs):
        for lane in range(lanes):
            checked, z = redundancy[p, lane], length[p, lane]
            is_good = (checked > 0.0) & (z <= limit[lane])
            # what nothing checks closes
            variances = np.float64(variance[0, p, lane]) + np.float64(variance[1, p, lane])
            part = z * z * checked / (weight[p, lane] * variances) if checked > 0.0 else 0.0
            rms[lane] += part * variances if checked > 0.0 else 0.0
            share[lane] += part if is_good else 0.0
            freedom[lane] += checked if is_good else 0.0
            outliers[lane] += 1.0 if (checked > 0.0) & (not is_good) else 0.0
    for lane in range(lanes):
        if is_blind[lane] == 0.0:
            untold = max(1.0 - freedom[lane] / ENOUGH, 0.0) ** 2
            expected = PRIOR_SHARE + untold * (guess[lane] - PRIOR_SHARE)
            least[lane] = (1.0 - untold) * (share[lane] + PRIOR_SHARE) / (freedom[lane] + 1.0)
            share[lane] = (share[lane] + expected) / (freedom[lane] + 1.0)
        else:
            share[lane] = share[lane] / freedom[lane] if freedom[lane] > 0.0 else np.nan
            least[lane] = share[lane]
        rms[lane] = np.sqrt(0.5 * rms[lane] / n_pairs[lane])


@kernel
def of_dates(factor, excess, root, inverse, sums, of_date, total, is_blind, share, out):
    """Variance of each date (2, date, lanes), if the weights are the inverse variances and nothing is smoothed.

    Parameters
    ----------
    factor
        (2, date) of the variances of the dates along x and y, as stable ground shows them.
    excess
        Of the variance of the solution over that of least squares, where the noise is that of the pairs.
    root, inverse, sums
        Groups, inverse of the normal matrix within its envelope, and the sums (date, lanes) of its rows.
    of_date
        (2, date, lanes) from `split`.
    total
        (2, lanes) sums of the variances of the pairs along x and y.
    is_blind, share
        (lanes) from `complete` and `share_of_pairs`.
    """
    dates, lanes = root.shape
    last = inverse.shape[1] // 2
    totals, counts = np.empty((dates, lanes)), np.empty((dates, lanes))
    for k in range(dates):
        for lane in range(lanes):
            totals[k, lane] = 0.0
            counts[k, lane] = 0.0
    for k in range(dates):
        for lane in range(lanes):
            at = root[k, lane]
            if at >= 0:
                totals[at, lane] += sums[k, lane]
                counts[at, lane] += 1.0
    for k in range(dates):
        for lane in range(lanes):
            at = max(root[k, lane], 0)
            members = max(counts[at, lane], 1.0)
            # diagonal of the pseudo-inverse: the inverse without the choice of a date that is zero
            grounded = 0.0 if root[k, lane] == k else inverse[k, last, lane]
            spread = grounded - 2.0 * sums[k, lane] / members + totals[at, lane] / (members * members)
            # so that the sums of the variances of two dates are those of their difference on average
            spread *= members / max(members - 1.0, 1.0)
            # the weights are inverse variances of a mean component
            both = total[0, lane] + total[1, lane]
            for axis in range(2):
                rest = max(factor[axis, k] - share[lane], 0.0)
                held = rest * of_date[axis, k, lane] if is_blind[lane] == 0.0 else 0.0
                balance = 2.0 * total[axis, lane] / both if both > 0.0 else 1.0
                out[axis, k, lane] = held + excess * share[lane] * spread * balance


@kernel
def see(zero, state, root, out):
    """Which dates have pairs in their group, out (date, lanes), 1 or 0; smoothing puts others between them."""
    dates, lanes = root.shape
    for k in range(dates):
        for lane in range(lanes):
            is_apart = state[k, lane] == DISCONNECTED and root[k, lane] != root[zero[lane], lane]
            is_seen = root[k, lane] >= 0 and (state[k, lane] == CONNECTED or is_apart)
            out[k, lane] = 1.0 if is_seen else 0.0


@kernel
def centre(seen, root, inverse, counts, means):
    """Number of the dates with pairs in the group of each date, and the mean over them of each row of the inverse.

    seen (date, lanes) from `see`; inverse (date, date, lanes): the whole one; counts and means (date, lanes), counts 1
    at least.
    """
    dates, lanes = root.shape
    for k in range(dates):
        for lane in range(lanes):
            counts[k, lane] = 0.0
            means[k, lane] = 0.0
    for k in range(dates):
        for other in range(dates):
            for lane in range(lanes):
                is_shared = (root[k, lane] == root[other, lane]) & (seen[other, lane] > 0.0)
                counts[k, lane] += 1.0 if is_shared else 0.0
    for k in range(dates):
        for lane in range(lanes):
            counts[k, lane] = max(counts[k, lane], 1.0)
    # rows: right-hand sides; columns: dates. Symmetric, so either may be centred
    for k in range(dates):
        for other in range(dates):
            for lane in range(lanes):
                is_shared = (root[k, lane] == root[other, lane]) & (seen[other, lane] > 0.0)
                means[k, lane] += inverse[k, other, lane] / counts[other, lane] if is_shared else 0.0


@kernel
def gain_of_pairs(k, ends, excess, root, effective, inverse, counts, means, variance, share, row, out):
    """Share of the pairs in the variance of date k, out (2, date, lanes); row (date, lanes): how dates' noise enters.

    The date is K Sigma K', where K maps the pairs to the dates for any weights and any smoothness; its rows lose their
    mean over the dates of a group that have pairs (`centre`), so that no date is special. excess: as in `of_dates`.
    """
    dates, lanes = root.shape
    for other in range(dates):
        for lane in range(lanes):
            row[other, lane] = 0.0
    for lane in range(lanes):
        out[0, k, lane] = 0.0
        out[1, k, lane] = 0.0
    for p in range(ends.shape[0]):
        i, j = ends[p, 0], ends[p, 1]
        # conditions without branches, so that all lanes are looked at together
        for lane in range(lanes):
            is_inside = (root[k, lane] >= 0) & (root[i, lane] == root[k, lane])
            weight, members = effective[p, lane], counts[k, lane]
            gain = weight * (inverse[j, k, lane] - means[j, lane] - inverse[i, k, lane] + means[i, lane])
            gain = gain if is_inside else 0.0
            row[i, lane] -= gain
            row[j, lane] += gain
            scale = members / max(members - 1.0, 1.0)
            of_x = excess * share[lane] * variance[0, p, lane] if weight > 0.0 else 0.0
            of_y = excess * share[lane] * variance[1, p, lane] if weight > 0.0 else 0.0
            out[0, k, lane] += gain * gain * of_x * scale if is_inside else 0.0
            out[1, k, lane] += gain * gain * of_y * scale if is_inside else 0.0


@kernel
def gain_of_dates(k, factor, mean, seen, root, row, counts, of_date, is_blind, share, out):
    """Add what the noise of the dates (2, date, lanes) contributes to the variance of date k, out (2, date, lanes).

    mean: 1 for a displacement, which keeps the mean of its group; 0 for the difference of two, which has none.
    """
    dates, lanes = root.shape
    for other in range(dates):
        for axis in range(2):
            for lane in range(lanes):
                is_shared = (root[k, lane] == root[other, lane]) & (seen[other, lane] > 0.0) & (is_blind[lane] == 0.0)
                gain = row[other, lane] + mean / counts[other, lane]
                rest = max(factor[axis, other] - share[lane], 0.0)
                added = gain * gain * rest * of_date[axis, other, lane]
                out[axis, k, lane] += added if is_shared else 0.0


@kernel
def misclosure(ends, weight, observed, solution, rms):
    """Root mean square misclosure (lanes) of the pairs of each pixel in metres."""
    pairs, lanes = weight.shape
    count = np.empty(lanes)
    for lane in range(lanes):
        rms[lane] = 0.0
        count[lane] = 0.0
    for axis in range(2):
        u = solution[axis]
        for p in range(pairs):
            i, j = ends[p, 0], ends[p, 1]
            for lane in range(lanes):
                rest = observed[axis, p, lane] - u[j, lane] + u[i, lane]
                is_used = weight[p, lane] > 0.0
                rms[lane] += 0.5 * rest * rest if is_used else 0.0
                count[lane] += 0.5 if is_used else 0.0
    for lane in range(lanes):
        rms[lane] = np.sqrt(rms[lane] / count[lane]) if count[lane] > 0.0 else np.nan


@kernel
def worse(ends, pull, variance, of_date, least, share):
    """Share (lanes) of the variances that is the pairs' own, or `least` (lanes) where that makes more of the error.

    Of a sum of pairs, each by its `pull` (pair,) over its variance (2, pair, lanes), NaN where a pair is missing:
    noise of the pairs is averaged down pair by pair, that of a date that all of them share is not. of_date (2, date,
    lanes).
    """
    _, dates, lanes = of_date.shape
    lever = np.empty((dates, lanes))
    by_pairs, by_dates = np.zeros(lanes), np.zeros(lanes)
    for k in range(dates):
        for lane in range(lanes):
            lever[k, lane] = 0.0
    for p in range(ends.shape[0]):
        i, j = ends[p, 0], ends[p, 1]
        for lane in range(lanes):
            both = variance[0, p, lane] + variance[1, p, lane]
            gain = pull[p] / both if both > 0.0 else 0.0
            lever[i, lane] -= gain
            lever[j, lane] += gain
            by_pairs[lane] += gain * gain * both if both > 0.0 else 0.0
    for k in range(dates):
        for lane in range(lanes):
            both = of_date[0, k, lane] + of_date[1, k, lane]
            by_dates[lane] += lever[k, lane] ** 2 * both if both > 0.0 else 0.0
    for lane in range(lanes):
        share[lane] = share[lane] if by_pairs[lane] >= by_dates[lane] else least[lane]
