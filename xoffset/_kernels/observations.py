"""Matches of the same two dates as one observation."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel


@kernel
def _copy(group, sign, dx, dy, sigma_x, sigma_y, out):
    """As `merge`, where no two matches are of the same dates."""
    pairs, rows, columns = dx.shape
    for p in range(pairs):
        k = group[p]
        for row in range(rows):
            for column in range(columns):
                along_x, along_y = sign[p] * np.float64(dx[p, row, column]), sign[p] * np.float64(dy[p, row, column])
                error_x, error_y = np.float64(sigma_x[p, row, column]), np.float64(sigma_y[p, row, column])
                is_known = abs(along_x) < np.inf and abs(along_y) < np.inf
                has_sigma = is_known and error_x > 0.0 and error_y > 0.0 and error_x < np.inf and error_y < np.inf
                out[0, k, row, column] = along_x if is_known else np.nan
                out[1, k, row, column] = along_y if is_known else np.nan
                out[2, k, row, column] = error_x * error_x if has_sigma else np.nan
                out[3, k, row, column] = error_y * error_y if has_sigma else np.nan


@kernel
def merge(group, sign, dx, dy, sigma_x, sigma_y, out):
    """Mean displacement and variance of the matches of each two dates, weighted by their variances.

    The same images matched again, or matched back, show the same noise: the mean is no better than one of them.

    Parameters
    ----------
    group, sign
        (pair,) observation of each pair, counted from 0, and 1.0 or -1.0 for its direction.
    dx, dy, sigma_x, sigma_y
        (pair, rows, columns) displacements and their standard errors. A pair with a NaN in its displacement takes no
        part, nor does one without positive finite standard errors beside others that have them.
    out
        (4, observation, rows, columns): displacement along x and y, variance along x and y (the harmonic mean of
        those merged). NaN where no pair takes part; variances are also NaN where no pair has them.
    """
    pairs, rows, columns = dx.shape
    observations = out.shape[1]
    if observations == pairs:
        _copy(group, sign, dx, dy, sigma_x, sigma_y, out)
        return
    # total weight, number, precision along x and y of those with standard errors; then number and sums of all; and a
    # displacement that the others are added up relative to, or the mean of equal ones would not be equal to them
    total = np.empty((9, observations, columns))
    for row in range(rows):
        total[:] = 0.0
        found = out[:, :, row]
        found[:] = 0.0
        for p in range(pairs):
            k = group[p]
            for column in range(columns):
                along_x, along_y = sign[p] * np.float64(dx[p, row, column]), sign[p] * np.float64(dy[p, row, column])
                error_x, error_y = np.float64(sigma_x[p, row, column]), np.float64(sigma_y[p, row, column])
                is_known = abs(along_x) < np.inf and abs(along_y) < np.inf
                has_sigma = error_x > 0.0 and error_y > 0.0 and error_x < np.inf and error_y < np.inf
                is_used = is_known and has_sigma
                weight = 2.0 / (error_x * error_x + error_y * error_y) if is_used else 0.0
                is_first = is_known and total[4, k, column] == 0.0
                total[7, k, column] = along_x if is_first else total[7, k, column]
                total[8, k, column] = along_y if is_first else total[8, k, column]
                along_x -= total[7, k, column]
                along_y -= total[8, k, column]
                total[0, k, column] += weight
                total[1, k, column] += 1.0 if is_used else 0.0
                total[2, k, column] += 1.0 / (error_x * error_x) if is_used else 0.0
                total[3, k, column] += 1.0 / (error_y * error_y) if is_used else 0.0
                found[0, k, column] += weight * along_x if is_used else 0.0
                found[1, k, column] += weight * along_y if is_used else 0.0
                total[4, k, column] += 1.0 if is_known else 0.0
                total[5, k, column] += along_x if is_known else 0.0
                total[6, k, column] += along_y if is_known else 0.0
        for k in range(observations):
            for column in range(columns):
                weight, count = total[0, k, column], total[4, k, column]
                for axis in range(2):
                    if weight > 0.0:
                        found[axis, k, column] = total[7 + axis, k, column] + found[axis, k, column] / weight
                        found[2 + axis, k, column] = total[1, k, column] / total[2 + axis, k, column]
                    else:
                        mean = total[5 + axis, k, column] / count if count > 0.0 else np.nan
                        found[axis, k, column] = total[7 + axis, k, column] + mean
                        found[2 + axis, k, column] = np.nan
