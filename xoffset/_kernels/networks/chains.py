"""Whose noise the series of a network has in which little is redundant: that of its dates, or that of its pairs.

Noise of a date moves one date alone, so that the changes from date to date beside it are of opposite sign. Noise of a
pair moves all that follow, and neighbouring changes do not know of each other. Against steady motion both can be told
from the changes themselves, the better the more dates there are; motion that is not steady looks like noise of pairs.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.correlation import to_probability
from xoffset._kernels.networks.groups import CONNECTED
from xoffset._kernels.networks.variances import ENOUGH, PRIOR_SHARE

# Shares of the variances that belong to the pairs which are tried, and how probable they are before anything is seen:
# matches of synthetic images have the first two, those of real stacks a fifth and more.
SHARES = (0.012, 0.03, 0.1, 0.25, 0.5, 1.0)
PRIOR = (0.68, 0.275, 0.01, 0.015, 0.01, 0.01)


@kernel
def likelihoods(first, times, state, root, inverse, of_date, solution, redundant, out):
    """Logarithms of the likelihoods of SHARES (share, lanes), given the changes from date to date; NaN if unknown.

    Restricted likelihood of the changes about a steady velocity, along x and y, free of their scale.

    Parameters
    ----------
    first, times
        (date,) first column of the envelope of each row, and years.
    state, root
        (date, lanes) states of the dates, and their groups.
    inverse
        (date, 2 * width - 1, lanes) inverse of the normal matrix within its envelope.
    of_date
        (2, date, lanes) share of each date in the variances of its pairs.
    solution
        (2, date, lanes) displacements.
    redundant
        (lanes) number of pairs that the dates do not need; with ENOUGH of them nothing is asked.
    out
        (share, lanes) result; NaN where nothing is asked, fewer than three changes tell nothing, or the envelope does
        not hold how two neighbouring dates are tied.
    """
    for lane in range(state.shape[1]):
        for t in range(len(SHARES)):
            out[t, lane] = np.nan
            if redundant[lane] < ENOUGH:
                out[t, lane] = _likelihood(SHARES[t], first, times, state, root, inverse, of_date, solution, lane)


@kernel
def mean_share(likelihood, before, out):
    """Mean share (lanes) of the pairs in the variances; PRIOR_SHARE where the changes tell nothing.

    likelihood (share, lanes) from `likelihoods`; before (share,): how probable each share is without it.
    """
    likely = np.empty(len(SHARES))
    for lane in range(out.size):
        for t in range(len(SHARES)):
            likely[t] = np.log(before[t]) + likelihood[t, lane]
        out[lane] = PRIOR_SHARE
        if not np.isfinite(likely).all():
            continue
        to_probability(likely)
        out[lane] = 0.0
        for t in range(len(SHARES)):
            out[lane] += likely[t] * SHARES[t]


@kernel
def _likelihood(share, first, times, state, root, inverse, of_date, solution, lane):
    """Logarithm of the likelihood of a share of a pixel, or NaN, as `likelihoods` says."""
    last = inverse.shape[1] // 2
    data, before = np.empty(3), np.empty(3)
    determinant, slope, of_x, of_y, squares = 0.0, 0.0, 0.0, 0.0, 0.0
    pivot, i, count = 1.0, -1, 0
    for j in range(times.size):
        if state[j, lane] != CONNECTED:
            continue
        if i >= 0:
            ahead = 0.5 * (np.float64(of_date[0, j, lane]) + np.float64(of_date[1, j, lane]))
            behind = 0.5 * (np.float64(of_date[0, i, lane]) + np.float64(of_date[1, i, lane]))
            # the first date of a group is none of the unknowns
            has_both = root[i, lane] != i and root[j, lane] != j
            if has_both and i < first[j]:
                return np.nan
            of_pairs = inverse[i, last, lane] if root[i, lane] != i else 0.0
            of_pairs += inverse[j, last, lane] if root[j, lane] != j else 0.0
            of_pairs -= 2.0 * inverse[j, last + i - j, lane] if has_both else 0.0
            variance = (1.0 - share) * (ahead + behind) + share * of_pairs
            data[0] = times[j] - times[i]
            data[1] = solution[0, j, lane] - solution[0, i, lane]
            data[2] = solution[1, j, lane] - solution[1, i, lane]
            # the date between two changes is in both, with opposite signs
            factor = -(1.0 - share) * behind / pivot if count > 0 else 0.0
            pivot = max(variance - factor * factor * pivot, 1e-12 * variance)
            for c in range(3):
                data[c] -= factor * before[c] if count > 0 else 0.0
                before[c] = data[c]
            determinant += np.log(pivot)
            slope += data[0] * data[0] / pivot
            of_x += data[0] * data[1] / pivot
            of_y += data[0] * data[2] / pivot
            squares += (data[1] * data[1] + data[2] * data[2]) / pivot
            count += 1
        i = j
    squares -= (of_x * of_x + of_y * of_y) / slope if slope > 0.0 else 0.0
    if count < 3 or not squares > 0.0:
        return np.nan
    # of both components, freed of the velocity and of the scale
    return -determinant - np.log(slope) - (count - 1) * np.log(squares)
