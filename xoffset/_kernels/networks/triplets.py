"""What does not close around three dates."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.maps.neighbours import LARGEST_STRAIN, _slope

# Standard errors that a misclosure may reach: of one triplet of pure noise 2 % are beyond.
ALLOWED = 2.0
# Places in what `_read` finds of an observation, behind its displacement.
NOISE, SLOPE, MOST, OWN, SIZE = 2, 3, 7, 8, 9


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
    # of each observation: what `_read` finds
    of_pair = np.empty((count, SIZE))
    spacing = (spacing_x, spacing_y)
    # sums over its triplets: misclosure, noise, change of place, and their number
    total = np.empty((count, 4))
    of_date = np.empty((dates, 2))
    for row in range(1, rows - 1):
        for column in range(1, columns - 1):
            _read(merged[:, :, row - 1 : row + 2, column - 1 : column + 2], is_backward, spacing, has_vector, of_pair)
            for p in range(count):
                for k in range(4):
                    total[p, k] = 0.0
            for k in range(dates):
                of_date[k, 0], of_date[k, 1] = 0.0, 0.0
            for t in range(triplets.shape[0]):
                ij, jk, ik = triplets[t, 0], triplets[t, 1], triplets[t, 2]
                if not (has_vector[ij] and has_vector[jk] and has_vector[ik]):
                    continue
                squared, allowed, change = _of_triplet(of_pair, ij, jk, ik)
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
def unconfirmed(triplets, is_backward, spacing_x, spacing_y, limit, merged, out):
    """Find the observations of which no triplet closes as well as standard errors and the motion allow.

    A triplet that closes confirms all three of its observations; one that does not spoils only those that no other
    triplet confirms. Arguments as for `misclosure`, and the largest misclosure in its standard errors.

    Parameters
    ----------
    out
        (observation, rows, columns), 1 where an observation has triplets and none closes, else 0. Where a standard
        error is unknown a triplet tells nothing.
    """
    count = merged.shape[1]
    _, _, rows, columns = merged.shape
    has_vector = np.empty(count, np.bool_)
    of_pair = np.empty((count, SIZE))
    spacing = (spacing_x, spacing_y)
    for row in range(1, rows - 1):
        for column in range(1, columns - 1):
            _read(merged[:, :, row - 1 : row + 2, column - 1 : column + 2], is_backward, spacing, has_vector, of_pair)
            pixel = out[:, row - 1, column - 1]
            for p in range(count):
                pixel[p] = 0.0
            for closes in (False, True):
                for t in range(triplets.shape[0]):
                    ij, jk, ik = triplets[t, 0], triplets[t, 1], triplets[t, 2]
                    if not (has_vector[ij] and has_vector[jk] and has_vector[ik]):
                        continue
                    squared, allowed, change = _of_triplet(of_pair, ij, jk, ik)
                    most = limit * np.sqrt(allowed) + np.sqrt(change)
                    if np.isfinite(most) and (squared <= most * most) == closes:
                        pixel[ij] = pixel[jk] = pixel[ik] = 0.0 if closes else 1.0


@kernel
def _read(around, is_backward, spacing, has_vector, of_pair):
    """What is known of each observation of a pixel, from `merged` there and at the nodes beside it (4, n, 3, 3).

    `of_pair` (n, SIZE): displacement along x and y, variance, derivatives of both along x and y, the square of the
    change of place that is believed at most, and the change that a backward match makes of itself.
    """
    for p in range(around.shape[1]):
        pair = of_pair[p]
        for axis in range(2):
            field = around[axis, p]
            here = field[1, 1]
            pair[axis] = here
            pair[SLOPE + 2 * axis] = _slope(field[1, 0], here, field[1, 2]) / spacing[0]
            pair[SLOPE + 2 * axis + 1] = _slope(field[0, 1], here, field[2, 1]) / spacing[1]
        has_vector[p] = np.isfinite(pair[0]) and np.isfinite(pair[1])
        pair[NOISE] = around[2, p, 1, 1] + around[3, p, 1, 1]
        pair[MOST] = LARGEST_STRAIN**2 * (pair[0] * pair[0] + pair[1] * pair[1])
        pair[OWN] = np.sqrt(_squared_change(pair, pair[SLOPE:], pair[MOST])) if is_backward[p] else 0.0


@kernel
def _of_triplet(of_pair, ij, jk, ik):
    """Squared misclosure of a triplet, the variance that it has by noise, and by the change of place."""
    along_x = of_pair[ij, 0] + of_pair[jk, 0] - of_pair[ik, 0]
    along_y = of_pair[ij, 1] + of_pair[jk, 1] - of_pair[ik, 1]
    squared = along_x * along_x + along_y * along_y
    allowed = of_pair[ij, NOISE] + of_pair[jk, NOISE] + of_pair[ik, NOISE]
    change = _squared_change(of_pair[ij], of_pair[jk, SLOPE:], of_pair[ij, MOST])
    backward = of_pair[ij, OWN] + of_pair[jk, OWN] + of_pair[ik, OWN]
    if backward > 0.0:
        change = (np.sqrt(change) + backward) ** 2
    return squared, allowed, change


@kernel
def _squared_change(moved, slope, most):
    """Squared length of the change of a field over the distance moved, from its derivatives."""
    along_x = moved[0] * slope[0] + moved[1] * slope[1]
    along_y = moved[0] * slope[2] + moved[1] * slope[3]
    return min(along_x * along_x + along_y * along_y, most)
