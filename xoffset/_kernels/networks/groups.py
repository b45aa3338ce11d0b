"""Groups of dates that chains of pairs connect, and what becomes of those that lack the reference.

Pixels lie side by side along the last axis of every array (the lanes).
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

# States of a date.
# A chain of pairs connects it with the reference date.
CONNECTED = 0
# It has no pair.
NO_PAIRS = 1
# It has pairs, but no chain of them leads to the reference date.
DISCONNECTED = 2
# The reference date itself has no pair.
NO_REFERENCE = 3
# The reference date has no pair, and this date has a value all the same: since the first date of its group, or on the
# line of the bridge.
OWN_ZERO = 4
# It is connected, and smoothing holds it far from what its pairs tell.
FAR = 5
# What becomes of dates that no chain of pairs connects with the reference date.
# They have no value.
NAN = 0
# Every group is moved as a whole onto one line in time, whose slope all groups share.
BRIDGE = 1
# Their displacements are those since the first date of their group.
SEPARATE = 2


@kernel
def connect(ends, weight, state, root):
    """Groups of dates that pairs of positive weight (pair, lanes) connect.

    root (date, lanes) becomes the first date of the group of each date, state CONNECTED where it has pairs, NO_PAIRS
    elsewhere.
    """
    pairs, lanes = weight.shape
    dates = root.shape[0]
    for k in range(dates):
        for lane in range(lanes):
            state[k, lane] = NO_PAIRS
            root[k, lane] = k
    changes, is_forward = 1, True
    while changes > 0:
        changes = 0
        for q in range(pairs):
            p = q if is_forward else pairs - 1 - q
            i, j = ends[p, 0], ends[p, 1]
            for lane in range(lanes):
                a, b, is_used = root[i, lane], root[j, lane], weight[p, lane] > 0.0
                lower = min(a, b)
                root[i, lane] = lower if is_used else a
                root[j, lane] = lower if is_used else b
                state[i, lane] = CONNECTED if is_used else state[i, lane]
                state[j, lane] = CONNECTED if is_used else state[j, lane]
                changes += 1 if is_used and a != b else 0
        is_forward = not is_forward
        if _is_one_group(state, root):
            break


@kernel
def _is_one_group(state, root):
    """Whether all dates with pairs belong to one group, in all pixels."""
    dates, lanes = root.shape
    first, apart = np.empty(lanes, np.int64), 0
    for lane in range(lanes):
        first[lane] = -1
    for k in range(dates):
        for lane in range(lanes):
            has_pairs = state[k, lane] == CONNECTED
            first[lane] = root[k, lane] if has_pairs and first[lane] < 0 else first[lane]
            apart += 1 if has_pairs and root[k, lane] != first[lane] else 0
    return apart == 0


@kernel
def classify(home, islands, n_pairs, state, root, zero, lacks, n_groups, members, redundant):
    """Tell the dates of the group of the reference dates `home` from those of other groups.

    zero (lanes): a date of the group whose dates become CONNECTED. Where the reference lacks (`lacks` is 1), since one
    of its dates has no pair or lies in another group, it is the first date of the largest group, or if there are to be
    no values without the reference (NAN), all dates are NO_REFERENCE. A date of `root` -1 is no unknown. n_groups,
    members and redundant (lanes): number of groups, of dates in the group of `zero`, and of the pairs (of n_pairs) that
    the dates do not need.
    """
    dates, lanes = root.shape
    size = np.empty(dates, np.int64)
    for lane in range(lanes):
        of_home = root[home[0], lane]
        has_reference = True
        for h in range(home.size):
            has_reference &= state[home[h], lane] == CONNECTED and root[home[h], lane] == of_home
        lacks[lane] = 0.0 if has_reference else 1.0
        zero[lane] = home[0]
        is_solved = has_reference or islands != NAN
        if is_solved and not has_reference:
            for k in range(dates):
                size[k] = 0
            largest = home[0]
            for k in range(dates):
                size[root[k, lane]] += 1 if state[k, lane] == CONNECTED else 0
            for k in range(dates):
                largest = k if size[k] > size[largest] or (size[k] == size[largest] and k < largest) else largest
            # without any pair there is nothing to solve
            is_solved = size[largest] > 0
            zero[lane], of_home = largest, largest
        groups, seen, inside = 0, 0, 0
        for k in range(dates):
            has_pairs = state[k, lane] == CONNECTED
            is_home = has_pairs and root[k, lane] == of_home
            groups += 1 if has_pairs and root[k, lane] == k else 0
            seen += 1 if has_pairs else 0
            inside += 1 if is_home and is_solved else 0
            if not is_solved:
                state[k, lane] = NO_REFERENCE
            elif has_pairs and not is_home:
                state[k, lane] = DISCONNECTED
            if not has_pairs or not is_solved:
                root[k, lane] = -1
        n_groups[lane] = groups
        members[lane] = inside
        redundant[lane] = groups + n_pairs[lane] - seen


@kernel
def keep_reference(ends, members, state, root, weight, redundant):
    """Leave a series that is smoothed the group of the reference, with unknowns from its first to its last date.

    Pairs of other groups lose their weight; `redundant` (lanes) counts anew.
    """
    dates, lanes = root.shape
    for lane in range(lanes):
        first, last = -1, -1
        for k in range(dates):
            if state[k, lane] == CONNECTED:
                first, last = root[k, lane], k
            root[k, lane] = -1
        if last >= 0:
            for k in range(first, last + 1):
                root[k, lane] = first
        redundant[lane] = 1.0 - members[lane]
    for p in range(ends.shape[0]):
        i = ends[p, 0]
        for lane in range(lanes):
            weight[p, lane] = weight[p, lane] if state[i, lane] == CONNECTED else 0.0
            redundant[lane] += 1.0 if weight[p, lane] > 0.0 else 0.0


@kernel
def bridge(times, home, zero, lacks, state, root, solution, variance):
    """Move the groups of dates of each pixel so that all lie on one line in time: the limit of weak NSBAS rows.

    The slope is common to all groups, each is moved as a whole, and none is deformed. variance (2, date, lanes) grows
    by that of the bridge, from the scatter about the line. Where the reference dates `home` lack, the line is zero at
    their mean. Other pixels of one group, and those without any, stay as they are.
    """
    dates, lanes = root.shape
    count, mean_time, mean = np.empty(dates), np.empty(dates), np.empty(dates)
    origin = 0.0
    for h in range(home.size):
        origin += times[home[h]] / home.size
    for lane in range(lanes):
        of_home = root[zero[lane], lane]
        groups = 0.0
        for k in range(dates):
            groups += 1.0 if root[k, lane] == k else 0.0
        if (groups <= 1.0 and lacks[lane] == 0.0) or of_home < 0 or state[zero[lane], lane] != CONNECTED:
            continue
        for k in range(dates):
            count[k] = 0.0
            mean_time[k] = 0.0
        for k in range(dates):
            if root[k, lane] >= 0:
                count[root[k, lane]] += 1.0
                mean_time[root[k, lane]] += times[k]
        spread, observations = 0.0, 0.0
        for k in range(dates):
            at = root[k, lane]
            if at >= 0:
                centred = times[k] - mean_time[at] / count[at]
                spread += centred * centred
                observations += 1.0
        for axis in range(2):
            u = solution[axis]
            for k in range(dates):
                mean[k] = 0.0
            for k in range(dates):
                if root[k, lane] >= 0:
                    mean[root[k, lane]] += u[k, lane] / count[root[k, lane]]
            slope = 0.0
            for k in range(dates):
                at = root[k, lane]
                if at >= 0:
                    slope += (times[k] - mean_time[at] / count[at]) * (u[k, lane] - mean[at]) / spread
            scatter = 0.0
            for k in range(dates):
                at = root[k, lane]
                if at >= 0:
                    along = slope * (times[k] - mean_time[at] / count[at])
                    scatter += (u[k, lane] - mean[at] - along) ** 2
            freedom = observations - groups - 1.0
            noise = scatter / freedom if freedom > 0.0 else np.nan
            level = mean[of_home] + slope * (origin - mean_time[of_home] / count[of_home])
            for k in range(dates):
                at = root[k, lane]
                if at >= 0 and lacks[lane] > 0.0:
                    u[k, lane] -= level
                if at >= 0 and at != of_home:
                    apart = mean_time[at] / count[at] - mean_time[of_home] / count[of_home]
                    u[k, lane] += slope * apart - (mean[at] - mean[of_home])
                    variance[axis, k, lane] += noise * (apart * apart / spread + 1.0 / count[at] + 1.0 / count[of_home])


@kernel
def write(home, lacks, islands, state, root, solution, displacement, variance):
    """Displacement since the dates of `home`; it and the variance (2, date, lanes) are NaN where nothing is told.

    Where the reference lacks, it is that since the first date of the group, or what `bridge` made of it.
    """
    dates, lanes = root.shape
    zero = np.empty(lanes)
    for axis in range(2):
        u, out = solution[axis], displacement[axis]
        for lane in range(lanes):
            zero[lane] = 0.0
        for h in range(home.size):
            for lane in range(lanes):
                zero[lane] += u[home[h], lane] / home.size if lacks[lane] == 0.0 else 0.0
        for k in range(dates):
            for lane in range(lanes):
                is_told = state[k, lane] == CONNECTED or (state[k, lane] == DISCONNECTED and islands != NAN)
                out[k, lane] = u[k, lane] - zero[lane] if is_told else np.nan
                variance[axis, k, lane] = variance[axis, k, lane] if is_told else np.nan


@kernel
def separate(lacks, state, root, solution, displacement):
    """Displacement (2, date, lanes) of groups without the reference since their own first dates."""
    dates, lanes = root.shape
    for k in range(dates):
        for lane in range(lanes):
            if state[k, lane] == DISCONNECTED or (state[k, lane] == CONNECTED and lacks[lane] > 0.0):
                for axis in range(2):
                    displacement[axis, k, lane] = solution[axis, k, lane] - solution[axis, root[k, lane], lane]
