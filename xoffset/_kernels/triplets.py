"""What does not close around three dates."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

# Standard errors that a misclosure may reach: of one triplet of pure noise 2 % are beyond.
ALLOWED = 2.0
# Windows on ground that is strained more do not match.
LARGEST_STRAIN = 0.2


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
    has_vector = np.empty(count, np.bool_)
    value = np.empty((2, count))
    noise = np.empty(count)
    slope = np.empty((4, count))
    own = np.empty(count)
    # sums over the triplets of each observation: misclosure, noise, change of place, and their number
    total = np.empty((4, count))
    dates = (out.shape[0] - 3 * count) // 2
    of_date = np.empty((2, dates))
    for row in range(1, rows - 1):
        for column in range(1, columns - 1):
            for p in range(count):
                for axis in range(2):
                    field = merged[axis, p]
                    here = field[row, column]
                    value[axis, p] = here
                    slope[2 * axis, p] = _slope(field[row, column - 1], here, field[row, column + 1]) / spacing_x
                    slope[2 * axis + 1, p] = _slope(field[row - 1, column], here, field[row + 1, column]) / spacing_y
                has_vector[p] = np.isfinite(value[0, p]) and np.isfinite(value[1, p])
                noise[p] = merged[2, p, row, column] + merged[3, p, row, column]
                own[p] = _change(value, p, slope, p) if is_backward[p] else 0.0
            total[:] = 0.0
            of_date[:] = 0.0
            for t in range(triplets.shape[0]):
                ij, jk, ik = triplets[t, 0], triplets[t, 1], triplets[t, 2]
                if not (has_vector[ij] and has_vector[jk] and has_vector[ik]):
                    continue
                along_x = value[0, ij] + value[0, jk] - value[0, ik]
                along_y = value[1, ij] + value[1, jk] - value[1, ik]
                squared = along_x * along_x + along_y * along_y
                allowed = noise[ij] + noise[jk] + noise[ik]
                change = _change(value, ij, slope, jk) + own[ij] + own[jk] + own[ik]
                for p in (ij, jk, ik):
                    total[0, p] += squared
                    total[1, p] += allowed
                    total[2, p] += change * change
                    total[3, p] += 1.0
                for k in (ends[ij, 0], ends[ij, 1], ends[jk, 1]):
                    of_date[0, k] += squared
                    of_date[1, k] += 1.0
            for p in range(count):
                found, allowed = np.nan, np.nan
                if total[3, p] > 0.0:
                    number = 3.0 * total[3, p]
                    found = np.sqrt(total[0, p] / number)
                    allowed = ALLOWED * np.sqrt(total[1, p] / number) + np.sqrt(total[2, p] / number)
                out[p, row - 1, column - 1] = found
                out[count + p, row - 1, column - 1] = allowed
                out[2 * count + p, row - 1, column - 1] = total[3, p]
            for k in range(dates):
                number = 3.0 * of_date[1, k]
                found = np.sqrt(of_date[0, k] / number) if number > 0.0 else np.nan
                out[3 * count + k, row - 1, column - 1] = found
                out[3 * count + dates + k, row - 1, column - 1] = of_date[1, k]


@kernel
def _slope(before, here, after):
    """Central difference per node, one-sided where only one neighbour is known, zero where none is."""
    if np.isfinite(before) and np.isfinite(after):
        return 0.5 * (after - before)
    if np.isfinite(before):
        return here - before
    return after - here if np.isfinite(after) else 0.0


@kernel
def _change(value, p, slope, q):
    """Length of the difference of q between here and where p leads to."""
    along_x = value[0, p] * slope[0, q] + value[1, p] * slope[1, q]
    along_y = value[0, p] * slope[2, q] + value[1, p] * slope[3, q]
    return min(np.hypot(along_x, along_y), LARGEST_STRAIN * np.hypot(value[0, p], value[1, p]))
