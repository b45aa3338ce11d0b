"""Matches of the same two dates as one observation."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel


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
    total = np.empty(observations)
    count = np.empty(observations)
    precision = np.empty((2, observations))
    value = np.empty((2, observations))
    for row in range(rows):
        for column in range(columns):
            for is_weighted in (True, False):
                total[:], count[:], precision[:], value[:] = 0.0, 0.0, 0.0, 0.0
                for p in range(pairs):
                    along_x, along_y = np.float64(dx[p, row, column]), np.float64(dy[p, row, column])
                    if not (np.isfinite(along_x) and np.isfinite(along_y)):
                        continue
                    error_x, error_y = np.float64(sigma_x[p, row, column]), np.float64(sigma_y[p, row, column])
                    has_sigma = 0.0 < error_x < np.inf and 0.0 < error_y < np.inf
                    if is_weighted and not has_sigma:
                        continue
                    k = group[p]
                    weight = 2.0 / (error_x * error_x + error_y * error_y) if is_weighted else 1.0
                    total[k] += weight
                    count[k] += 1.0
                    value[0, k] += sign[p] * weight * along_x
                    value[1, k] += sign[p] * weight * along_y
                    if is_weighted:
                        precision[0, k] += 1.0 / (error_x * error_x)
                        precision[1, k] += 1.0 / (error_y * error_y)
                for k in range(observations):
                    if is_weighted:
                        out[:, k, row, column] = np.nan
                    if count[k] == 0.0 or np.isfinite(out[0, k, row, column]):
                        continue
                    for axis in range(2):
                        out[axis, k, row, column] = value[axis, k] / total[k]
                        if is_weighted:
                            out[2 + axis, k, row, column] = count[k] / precision[axis, k]
