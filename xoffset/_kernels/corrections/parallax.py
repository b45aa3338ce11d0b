"""Height errors of a terrain model from images that looked at it from different sides."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.networks.order import _median

# Length of a residual vector beyond which it counts linearly, and what turns a median length into a scale: those of two
# components of one variance.
HUBER = 1.856
MEDIAN_LENGTH = 1.1774100225154747
# Most reweighting steps, and the change of the height, in units of its standard error, that ends them.
STEPS = 20
TOLERANCE = 0.01
# Difference of two views, in metres of displacement per metre of height, below which they count as one.
ALIKE = 0.01
# Least part of the view differences that a steady velocity must not explain.
APART = 0.02


@kernel
def height_errors(ends, years, observed, look, of_dates, out):
    """Height errors that displacements tell beside a steady velocity, d = v·years + (look_j - look_i)·height.

    Three unknowns, by robust weighted least squares (Huber's loss on the lengths of the residual vectors).

    Parameters
    ----------
    ends
        (observation, 2) dates of reference and secondary image, as indices.
    years
        (observation,) time between them.
    observed
        (4, observation, rows, columns) displacement along x and y, and their variances; NaN where unknown. Observations
        without variances take no part beside others that have some.
    look
        (2, date, rows, columns) displacement of a place along x and y for each metre of height, NaN where unknown.
    of_dates
        (2, date, rows, columns) variance of each date along x and y, NaN where unknown.
    out
        (2, rows, columns): height [m], and its standard error, which follows the errors of the dates and the scatter;
        NaN where the views do not tell it from motion.
    """
    count, rows, columns = observed.shape[1:]
    dates = look.shape[1]
    base, weight, length, work = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
    view, lever = np.empty((2, count)), np.empty((2, dates))
    for row in range(rows):
        for column in range(columns):
            out[0, row, column] = np.nan
            out[1, row, column] = np.nan
            has_variance = False
            for p in range(count):
                variance = observed[2, p, row, column] + observed[3, p, row, column]
                has_variance = has_variance or (0.0 < variance < np.inf)
            used, apart = 0, 0
            for p in range(count):
                i, j = ends[p, 0], ends[p, 1]
                variance = 0.5 * (observed[2, p, row, column] + observed[3, p, row, column])
                base[p] = 1.0 if not has_variance else (1.0 / variance if 0.0 < variance < np.inf else 0.0)
                size = 0.0
                for axis in range(2):
                    view[axis, p] = look[axis, j, row, column] - look[axis, i, row, column]
                    size += view[axis, p] * view[axis, p]
                    if not abs(observed[axis, p, row, column]) < np.inf or not abs(view[axis, p]) < np.inf:
                        base[p] = 0.0
                if base[p] == 0.0 or size < ALIKE * ALIKE:
                    view[0, p], view[1, p] = 0.0, 0.0
                used += 1 if base[p] > 0.0 else 0
                apart += 1 if base[p] > 0.0 and size >= ALIKE * ALIKE else 0
                weight[p] = base[p]
            # as many components as unknowns leave no residual
            if apart == 0 or 2 * used <= 3:
                continue
            height, error, scale = 0.0, np.inf, 0.0
            for step in range(STEPS):
                tt, xt, yt, gg, dxt, dyt, gd = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
                for p in range(count):
                    if weight[p] == 0.0:
                        continue
                    w, t, x, y = weight[p], years[p], view[0, p], view[1, p]
                    dx, dy = observed[0, p, row, column], observed[1, p, row, column]
                    tt += w * t * t
                    xt += w * x * t
                    yt += w * y * t
                    gg += w * (x * x + y * y)
                    dxt += w * dx * t
                    dyt += w * dy * t
                    gd += w * (x * dx + y * dy)
                rest = gg - (xt * xt + yt * yt) / tt
                if not rest > APART * gg:
                    error = np.nan
                    break
                before = height
                height = (gd - (xt * dxt + yt * dyt) / tt) / rest
                error = 1.0 / np.sqrt(rest)
                vx, vy = (dxt - xt * height) / tt, (dyt - yt * height) / tt
                known = 0
                for p in range(count):
                    if base[p] == 0.0:
                        continue
                    x = observed[0, p, row, column] - vx * years[p] - view[0, p] * height
                    y = observed[1, p, row, column] - vy * years[p] - view[1, p] * height
                    length[p] = np.sqrt((x * x + y * y) * base[p])
                    work[known] = length[p]
                    known += 1
                # residuals of few observations are too short
                scale = _median(work[:known]) / MEDIAN_LENGTH * np.sqrt(2.0 * known / (2.0 * known - 3.0))
                if step > 0 and abs(height - before) <= TOLERANCE * error * max(scale, 1e-12):
                    break
                for p in range(count):
                    is_far = base[p] > 0.0 and length[p] > HUBER * scale
                    weight[p] = base[p] * (HUBER * scale / length[p] if is_far else 1.0)
            if not error < np.inf:
                continue
            for k in range(dates):
                lever[0, k], lever[1, k] = 0.0, 0.0
            own = 0.0
            for p in range(count):
                if weight[p] == 0.0:
                    continue
                x = weight[p] * (view[0, p] - xt * years[p] / tt) / rest
                y = weight[p] * (view[1, p] - yt * years[p] / tt) / rest
                own += (x * x + y * y) / base[p]
                lever[0, ends[p, 0]] -= x
                lever[0, ends[p, 1]] += x
                lever[1, ends[p, 0]] -= y
                lever[1, ends[p, 1]] += y
            variance = 0.0
            for k in range(dates):
                for axis in range(2):
                    if lever[axis, k] != 0.0:
                        variance += lever[axis, k] ** 2 * of_dates[axis, k, row, column]
            # noise of dates, with its scatter where that is more; without variances the scatter alone tells
            if has_variance:
                variance *= max(scale * scale, 1.0)
            else:
                variance = own * scale * scale
            out[0, row, column] = height
            out[1, row, column] = np.sqrt(variance)
