"""What does not close around three dates."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.maps.neighbours import LARGEST_STRAIN, _slope

# Standard errors that a misclosure may reach: of one triplet of pure noise 2 % are beyond.
ALLOWED = 2.0


@kernel
def misclosure(triplets, ends, is_backward, spacing_x, spacing_y, merged, out):
    """Misclosure of the triplets of each observation, and what their standard errors and the motion allow.

    Around the dates i, j and k, c = d_ij + d_jk - d_ik. Its length over the root of 3 is the error that each of the
    three has if they are alike. All are reported where the feature was on their first date, so d_jk belongs to another
    place than d_ij leads to: (d_ij·∇)d_jk is no error. An observation that was matched backward is reported where the
    feature was on its second date, which costs as much once more, of itself.

    Parameters
    ----------
    triplets
        (triplet, 3) observations ij, jk and ik.
    ends, is_backward
        (observation, 2) earlier and later date; (observation,) whether any of its pairs goes backward in time.
    spacing_x, spacing_y
        Signed distance of the nodes in metres.
    merged
        (4, observation, rows + 2, columns + 2) displacement along x and y forward in time [m] and their variances [m2],
        with one node around the pixels; NaN where unknown.
    out
        (3·observation + 2·date, rows, columns): root mean square of ``|c|``/√3 over the triplets of each observation
        [m], that of what is allowed [m] and the number of its triplets, then the root mean square over the triplets of
        each date and their number. NaN where there is no triplet; allowed is also NaN where a standard error is
        unknown. A gradient is taken from the neighbours that are known: along an axis without any it adds nothing, and
        none counts for more than `LARGEST_STRAIN`.
    """
    count = ends.shape[0]
    _, _, rows, columns = merged.shape
    dates = (out.shape[0] - 3 * count) // 2
    has_vector = np.empty(count, np.bool_)
    # of each observation: displacement, variance, derivatives, the change that is believed at most, and its own
    vector = np.empty((count, 2))
    noise = np.empty(count)
    slope = np.empty((count, 4))
    most = np.empty(count)
    own = np.empty(count)
    # sums over its triplets: misclosure, noise, change of place, and their number
    total = np.empty((count, 4))
    of_date = np.empty((dates, 2))
    for row in range(1, rows - 1):
        for column in range(1, columns - 1):
            for p in range(count):
                for axis in range(2):
                    field = merged[axis, p]
                    here = field[row, column]
                    vector[p, axis] = here
                    slope[p, 2 * axis] = _slope(field[row, column - 1], here, field[row, column + 1]) / spacing_x
                    slope[p, 2 * axis + 1] = _slope(field[row - 1, column], here, field[row + 1, column]) / spacing_y
                has_vector[p] = np.isfinite(vector[p, 0]) and np.isfinite(vector[p, 1])
                noise[p] = merged[2, p, row, column] + merged[3, p, row, column]
                most[p] = LARGEST_STRAIN**2 * (vector[p, 0] * vector[p, 0] + vector[p, 1] * vector[p, 1])
                own[p] = np.sqrt(_squared_change(vector[p], slope[p], most[p])) if is_backward[p] else 0.0
            for p in range(count):
                for k in range(4):
                    total[p, k] = 0.0
            for k in range(dates):
                of_date[k, 0], of_date[k, 1] = 0.0, 0.0
            for t in range(triplets.shape[0]):
                ij, jk, ik = triplets[t, 0], triplets[t, 1], triplets[t, 2]
                if not (has_vector[ij] and has_vector[jk] and has_vector[ik]):
                    continue
                along_x = vector[ij, 0] + vector[jk, 0] - vector[ik, 0]
                along_y = vector[ij, 1] + vector[jk, 1] - vector[ik, 1]
                squared = along_x * along_x + along_y * along_y
                allowed = noise[ij] + noise[jk] + noise[ik]
                change = _squared_change(vector[ij], slope[jk], most[ij])
                backward = own[ij] + own[jk] + own[ik]
                if backward > 0.0:
                    change = (np.sqrt(change) + backward) ** 2
                for p in (ij, jk, ik):
                    total[p, 0] += squared
                    total[p, 1] += allowed
                    total[p, 2] += change
                    total[p, 3] += 1.0
                for k in (ends[ij, 0], ends[ij, 1], ends[jk, 1]):
                    of_date[k, 0] += squared
                    of_date[k, 1] += 1.0
            pixel = out[:, row - 1, column - 1]
            for p in range(count):
                pixel[p], pixel[count + p] = np.nan, np.nan
                pixel[2 * count + p] = total[p, 3]
                if total[p, 3] > 0.0:
                    number = 3.0 * total[p, 3]
                    pixel[p] = np.sqrt(total[p, 0] / number)
                    pixel[count + p] = ALLOWED * np.sqrt(total[p, 1] / number) + np.sqrt(total[p, 2] / number)
            for k in range(dates):
                pixel[3 * count + k] = np.nan
                pixel[3 * count + dates + k] = of_date[k, 1]
                if of_date[k, 1] > 0.0:
                    pixel[3 * count + k] = np.sqrt(of_date[k, 0] / (3.0 * of_date[k, 1]))


@kernel
def _squared_change(moved, slope, most):
    """Squared length of the change of a field over the distance moved, from its derivatives."""
    along_x = moved[0] * slope[0] + moved[1] * slope[1]
    along_y = moved[0] * slope[2] + moved[1] * slope[3]
    return min(along_x * along_x + along_y * along_y, most)
