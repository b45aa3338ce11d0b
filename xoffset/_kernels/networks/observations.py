"""Matches of the same two dates as one observation, and observations as the inversion takes them.

Pixels lie side by side along the last axis of every array (the lanes). matches (4, pair, lanes): displacements along x
and y and their standard errors. merged (4, observation, lanes): displacements forward in time and their variances, NaN
where no match takes part; variances are also NaN where no match has standard errors. group and sign (pair,):
observation of each pair, counted from 0, and 1.0 or -1.0 for its direction.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

# Least variance that counts as known, in the square of the unit of the displacements: the inverse of a smaller one
# comes near the limit of single precision.
LEAST = 1e-30
# Largest variance that counts as known, for the same reason.
MOST = 1e30


@kernel
def take(group, sign, matches, merged):
    """Observations of which each has one match."""
    _, pairs, lanes = matches.shape
    for p in range(pairs):
        k = group[p]
        for lane in range(lanes):
            along_x = sign[p] * np.float64(matches[0, p, lane])
            along_y = sign[p] * np.float64(matches[1, p, lane])
            error_x, error_y = np.float64(matches[2, p, lane]), np.float64(matches[3, p, lane])
            is_known = (abs(along_x) < np.inf) & (abs(along_y) < np.inf)
            has_sigma = (error_x > 0.0) & (error_y > 0.0) & (error_x < np.inf) & (error_y < np.inf) & is_known
            merged[0, k, lane] = along_x if is_known else np.nan
            merged[1, k, lane] = along_y if is_known else np.nan
            merged[2, k, lane] = error_x * error_x if has_sigma else np.nan
            merged[3, k, lane] = error_y * error_y if has_sigma else np.nan


@kernel
def merge(group, sign, matches, merged):
    """Mean of the matches of each two dates, weighted by their variances.

    The same images matched again, or matched back, show the same noise: the mean is no better than one of them, and its
    variance the harmonic mean of theirs. A match with a NaN in its displacement takes no part, nor does one without
    positive finite standard errors beside others that have them.
    """
    _, pairs, lanes = matches.shape
    observations = merged.shape[1]
    # of those with standard errors: weight, number, precision along x and y
    weight, number = np.zeros((observations, lanes)), np.zeros((observations, lanes))
    precision = np.zeros((2, observations, lanes))
    # of all: number, sums, and a displacement that the others are added up relative to, or the mean of equal ones would
    # not be equal to them
    count, total = np.zeros((observations, lanes)), np.zeros((2, observations, lanes))
    origin = np.zeros((2, observations, lanes))
    for axis in range(4):
        for k in range(observations):
            for lane in range(lanes):
                merged[axis, k, lane] = 0.0
    for p in range(pairs):
        k = group[p]
        for lane in range(lanes):
            along_x = sign[p] * np.float64(matches[0, p, lane])
            along_y = sign[p] * np.float64(matches[1, p, lane])
            error_x, error_y = np.float64(matches[2, p, lane]), np.float64(matches[3, p, lane])
            is_known = (abs(along_x) < np.inf) & (abs(along_y) < np.inf)
            has_sigma = error_x > 0.0 and error_y > 0.0 and error_x < np.inf and error_y < np.inf
            is_used = is_known and has_sigma
            own = 2.0 / (error_x * error_x + error_y * error_y) if is_used else 0.0
            is_first = is_known and count[k, lane] == 0.0
            origin[0, k, lane] = along_x if is_first else origin[0, k, lane]
            origin[1, k, lane] = along_y if is_first else origin[1, k, lane]
            along_x -= origin[0, k, lane]
            along_y -= origin[1, k, lane]
            weight[k, lane] += own
            number[k, lane] += 1.0 if is_used else 0.0
            precision[0, k, lane] += 1.0 / (error_x * error_x) if is_used else 0.0
            precision[1, k, lane] += 1.0 / (error_y * error_y) if is_used else 0.0
            merged[0, k, lane] += own * along_x if is_used else 0.0
            merged[1, k, lane] += own * along_y if is_used else 0.0
            count[k, lane] += 1.0 if is_known else 0.0
            total[0, k, lane] += along_x if is_known else 0.0
            total[1, k, lane] += along_y if is_known else 0.0
    for axis in range(2):
        for k in range(observations):
            for lane in range(lanes):
                if weight[k, lane] > 0.0:
                    mean = merged[axis, k, lane] / weight[k, lane]
                    merged[2 + axis, k, lane] = number[k, lane] / precision[axis, k, lane]
                else:
                    mean = total[axis, k, lane] / count[k, lane] if count[k, lane] > 0.0 else np.nan
                    merged[2 + axis, k, lane] = np.nan
                merged[axis, k, lane] = origin[axis, k, lane] + mean


@kernel
def load(merged, given, observed, variance, weight, n_pairs, is_blind, total):
    """Displacements (2, observation, lanes), variances and weights of the observations that take part in the inversion.

    given: weights (observation, lanes), or none (0, lanes): then they are the inverse of the mean of the two variances.
    An observation without displacement or with a weight that is no positive number takes no part: its weight is 0 and
    its variance NaN. n_pairs, is_blind (lanes): numbers of the others, and of those of them without a variance, which
    is 0 then; total (2, lanes): sums of the variances.
    """
    observations, lanes = weight.shape
    for lane in range(lanes):
        n_pairs[lane] = 0.0
        is_blind[lane] = 0.0
        total[0, lane] = 0.0
        total[1, lane] = 0.0
    is_given = given.shape[0] > 0
    for p in range(observations):
        # conditions without branches, so that all lanes are looked at together
        for lane in range(lanes):
            weight[p, lane] = given[p, lane] if is_given else 2.0 / (merged[2, p, lane] + merged[3, p, lane])
        for lane in range(lanes):
            x, y, along_x, along_y = merged[0, p, lane], merged[1, p, lane], merged[2, p, lane], merged[3, p, lane]
            w = weight[p, lane]
            is_known = (along_x > LEAST) & (along_x < MOST) & (along_y > LEAST) & (along_y < MOST)
            is_used = (abs(x) < np.inf) & (abs(y) < np.inf) & (w > 0.0) & (w < np.inf) & (is_known | is_given)
            is_told = is_used & is_known
            weight[p, lane] = w if is_used else 0.0
            # what takes no part must be a number all the same: 0 times NaN is NaN
            observed[0, p, lane] = x if is_used else 0.0
            observed[1, p, lane] = y if is_used else 0.0
            n_pairs[lane] += 1.0 if is_used else 0.0
            is_blind[lane] += 1.0 if is_used & (not is_known) else 0.0
            total[0, lane] += along_x if is_told else 0.0
            total[1, lane] += along_y if is_told else 0.0
            missing = 0.0 if is_used else np.nan
            variance[0, p, lane] = along_x if is_told else missing
            variance[1, p, lane] = along_y if is_told else missing
