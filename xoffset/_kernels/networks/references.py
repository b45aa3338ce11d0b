"""How many displacements are known with each date as reference: groups of dates, as in `groups`, counted only.

Pixels lie side by side along the last axis of every array (the lanes). Integers are as short as they can be, since this
is done for every pixel before any is solved.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks import observations

# Least and largest standard error that counts as known.
LEAST, MOST = np.sqrt(observations.LEAST), np.sqrt(observations.MOST)
# Square of the length of a displacement beyond which the ground moved, over its variance along x.
FAR = 9.0


@kernel
def find(group, matches, needs_sigma, used, votes):
    """Observations that take part, used (observation, lanes) 1 or 0 in int16, and whether most of them tell motion.

    group (pair,): observation of each pair; matches (3, pair, lanes): displacements along x and y, and the standard
    error along x, which there is where that along y is; reading is what takes time here. votes (lanes): pairs longer
    than three standard errors less those that are not.
    """
    _, pairs, lanes = matches.shape
    one, zero = np.int16(1), np.int16(0)
    for k in range(used.shape[0]):
        for lane in range(lanes):
            used[k, lane] = zero
    for lane in range(lanes):
        votes[lane] = zero
    for p in range(pairs):
        row = used[group[p]]
        for lane in range(lanes):
            x, y, error = matches[0, p, lane], matches[1, p, lane], matches[2, p, lane]
            has_sigma = (error > LEAST) & (error < MOST)
            is_used = (abs(x) < np.inf) & (abs(y) < np.inf) & (has_sigma | (not needs_sigma))
            is_far = x * x + y * y > FAR * error * error
            row[lane] |= one if is_used else zero
            votes[lane] += (one if is_far else -one) if is_used else zero


@kernel
def connect(ends, used, root, has_pairs):
    """First date of the group of each date, root (date, lanes), and whether it has pairs, 1 or 0: both int16."""
    dates, lanes = root.shape
    for k in range(dates):
        for lane in range(lanes):
            root[k, lane] = np.int16(k)
            has_pairs[k, lane] = np.int16(0)
    changes, is_forward = 1, True
    while changes > 0:
        changes = 0
        for q in range(used.shape[0]):
            p = q if is_forward else used.shape[0] - 1 - q
            i, j = ends[p, 0], ends[p, 1]
            changed = np.int16(0)
            for lane in range(lanes):
                a, b, is_used = root[i, lane], root[j, lane], used[p, lane]
                lower = min(a, b)
                root[i, lane] = lower if is_used else a
                root[j, lane] = lower if is_used else b
                has_pairs[i, lane] |= is_used
                has_pairs[j, lane] |= is_used
                changed |= (a ^ b) if is_used else np.int16(0)
            changes += 1 if changed else 0
        is_forward = not is_forward


@kernel
def count(root, has_pairs, votes, since, kept):
    """Add to kept (2, date) how many dates each date has in its group, and the same of lanes that move alone.

    Lanes before `since` have been counted.
    """
    dates, lanes = root.shape
    size = np.empty((dates, lanes), np.int16)
    for k in range(dates):
        for lane in range(lanes):
            size[k, lane] = np.int16(0)
    for k in range(dates):
        for lane in range(since, lanes):
            size[root[k, lane], lane] += has_pairs[k, lane]
    for k in range(dates):
        for lane in range(since, lanes):
            own = size[root[k, lane], lane] if has_pairs[k, lane] else np.int16(0)
            kept[0, k] += own
            kept[1, k] += own if votes[lane] > 0 else np.int16(0)
