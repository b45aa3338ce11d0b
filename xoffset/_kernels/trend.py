"""Straight lines through displacements, with standard errors that follow the dates."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel


@kernel
def line_of_series(time, dx, dy, sigma_x, sigma_y, out):
    """Slope of a line with a free intercept through each series.

    time (date,) in years; the others (date, rows, columns), NaN where a date is missing. out (4, rows, columns): slope
    along x and y and their standard errors; NaN where fewer than two dates are left. The standard errors are those of
    the dates, scaled up where the series scatters more than they allow.
    """
    dates, rows, columns = dx.shape
    used = np.empty(dates, np.bool_)
    for row in range(rows):
        for column in range(columns):
            out[:, row, column] = np.nan
            count = 0
            for k in range(dates):
                used[k] = (
                    np.isfinite(dx[k, row, column])
                    and np.isfinite(dy[k, row, column])
                    and sigma_x[k, row, column] > 0.0
                    and sigma_y[k, row, column] > 0.0
                )
                count += used[k]
            if count < 2:
                continue
            misfit = 0.0
            for axis in range(2):
                value = dx if axis == 0 else dy
                sigma = sigma_x if axis == 0 else sigma_y
                total, mean_time, mean_value = 0.0, 0.0, 0.0
                for k in range(dates):
                    if used[k]:
                        weight = np.float64(sigma[k, row, column]) ** -2
                        total += weight
                        mean_time += weight * time[k]
                        mean_value += weight * value[k, row, column]
                mean_time /= total
                mean_value /= total
                spread, cross = 0.0, 0.0
                for k in range(dates):
                    if used[k]:
                        weight = np.float64(sigma[k, row, column]) ** -2
                        spread += weight * (time[k] - mean_time) ** 2
                        cross += weight * (time[k] - mean_time) * (value[k, row, column] - mean_value)
                slope = cross / spread
                for k in range(dates):
                    if used[k]:
                        residual = value[k, row, column] - mean_value - slope * (time[k] - mean_time)
                        misfit += (residual / sigma[k, row, column]) ** 2
                out[axis, row, column] = slope
                out[2 + axis, row, column] = 1.0 / np.sqrt(spread)
            if count > 2:
                scale = np.sqrt(max(misfit / (2.0 * (count - 2)), 1.0))
                out[2, row, column] *= scale
                out[3, row, column] *= scale


@kernel
def _mean_variance(dx, dy, variance_x, variance_y, p, row, column):
    """Mean variance of the two components of a vector, 0 if it takes no part."""
    mean = 0.5 * (np.float64(variance_x[p, row, column]) + np.float64(variance_y[p, row, column]))
    is_used = np.isfinite(dx[p, row, column]) and np.isfinite(dy[p, row, column]) and 0.0 < mean < np.inf
    return mean if is_used else 0.0


@kernel
def line_of_pairs(baseline, ends, dx, dy, variance_x, variance_y, date_x, date_y, out):
    """Slope of a line through the origin through the displacements of all pairs, over their baselines.

    baseline (pair,) in years, ends (pair, 2); dx, dy and their variances (pair, rows, columns), NaN where a pair is
    missing; date_x, date_y (date, rows, columns) variance that belongs to each date. out as in `line_of_series`. The
    variance of the slope follows from A·diag(date)·Aᵀ, scaled up where the pairs scatter more than it allows.
    """
    pairs, rows, columns = dx.shape
    lever = np.empty(date_x.shape[0])
    for row in range(rows):
        for column in range(columns):
            out[:, row, column] = np.nan
            count = 0
            strength, along_x, along_y = 0.0, 0.0, 0.0
            lever[:] = 0.0
            for p in range(pairs):
                mean = _mean_variance(dx, dy, variance_x, variance_y, p, row, column)
                if mean == 0.0:
                    continue
                pull = baseline[p] / mean
                count += 1
                strength += pull * baseline[p]
                along_x += pull * dx[p, row, column]
                along_y += pull * dy[p, row, column]
                lever[ends[p, 0]] -= pull
                lever[ends[p, 1]] += pull
            if count == 0:
                continue
            slope_x, slope_y = along_x / strength, along_y / strength
            variance = np.zeros(2)
            for k in range(lever.size):
                if lever[k] != 0.0:
                    variance[0] += (lever[k] / strength) ** 2 * date_x[k, row, column]
                    variance[1] += (lever[k] / strength) ** 2 * date_y[k, row, column]
            # weighted scatter about the line, found and expected
            found, total = 0.0, 0.0
            for p in range(pairs):
                mean = _mean_variance(dx, dy, variance_x, variance_y, p, row, column)
                if mean == 0.0:
                    continue
                first, second = ends[p, 0], ends[p, 1]
                residual_x = dx[p, row, column] - slope_x * baseline[p]
                residual_y = dy[p, row, column] - slope_y * baseline[p]
                found += (residual_x * residual_x + residual_y * residual_y) / mean
                total += (date_x[first, row, column] + date_x[second, row, column]) / mean
                total += (date_y[first, row, column] + date_y[second, row, column]) / mean
            expected = total - (variance[0] + variance[1]) * strength
            scale = 1.0
            # two directions of one pair leave nothing to compare but rounding
            if count > 1 and expected > 1e-6 * total:
                scale = max(found / expected, 1.0)
            out[0, row, column] = slope_x
            out[1, row, column] = slope_y
            out[2, row, column] = np.sqrt(scale * variance[0])
            out[3, row, column] = np.sqrt(scale * variance[1])
