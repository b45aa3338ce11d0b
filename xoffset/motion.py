"""velocity(): from shifts or a series to a rate."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from xoffset import _blocks, model
from xoffset._kernels import laplacian, trend


def velocity(shifts_or_series: xr.Dataset) -> xr.Dataset:
    """Mean velocity, with its uncertainty, by a weighted line.

    Parameters
    ----------
    shifts_or_series
        Series (time, y, x) from `invert`: a line with a free intercept, each date weighted by its own variance. Or
        shifts (pair, y, x): a line through the origin of displacement over baseline, each pair vector weighted by the
        inverse of the mean of its two variances.

    Returns
    -------
    xarray.Dataset
        Rate (y, x). `vx`, `vy`: velocity in m yr-1 of 365.25 days, positive toward increasing x and y; `sigma_vx`,
        `sigma_vy`: standard errors in m yr-1; `v`: speed in m yr-1 (never below zero, so noise makes it too large
        where nothing moves); `direction`: degrees clockwise from grid north, NaN where the speed is zero. All NaN, and
        `flags` set, where fewer than two dates are left. Lazy if the input is.

    Raises
    ------
    TypeError, ValueError
        If the input is neither shifts nor a series.

    Notes
    -----
    The standard errors follow the dates, not the number of pairs: an image's noise enters all of its pairs alike. For
    pairs their variances are split into a share of each date first. Where the displacements scatter about the line more
    than that allows, by a season or an error that nobody modelled, the standard errors are scaled up to the scatter.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=20.0, direction=90.0)
    >>> rate = xoffset.velocity(xoffset.correlate(stack, xoffset.pairs(stack), search=5))
    >>> float(rate.vx.median().round(1))
    20.0
    """
    if isinstance(shifts_or_series, xr.Dataset) and "pair" in shifts_or_series.dims:
        data = model.as_shifts(shifts_or_series, "velocity")
        order, epochs, ends = model.sorted_pairs(data)
        baseline = model.years(epochs[ends[:, 1]] - epochs[ends[:, 0]])
        fit = partial(_fit_pairs, baseline=baseline, ends=ends, dates=epochs.size)
    else:
        data = model.as_series(shifts_or_series, "velocity")
        time = model.as_dates(data["time"].values)
        order = slice(None)
        fit = partial(_fit_series, time=model.years(time - time[0]))
    fields = [data[name].data[order] for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    vx, vy, sigma_vx, sigma_vy = _blocks.per_pixel(fit, fields, 4)

    speed = np.hypot(vx, vy)
    direction = np.rad2deg(np.arctan2(vx, vy)) % 360.0
    direction = np.where(direction < 360.0, direction, 0.0)  # rounding of the smallest angles west of north
    return model.rate(
        {
            "vx": vx,
            "vy": vy,
            "sigma_vx": sigma_vx,
            "sigma_vy": sigma_vy,
            "v": speed,
            "direction": np.where(speed > 0.0, direction, np.nan).astype(vx.dtype),
            "flags": np.isnan(vx) * np.int32(model.FLAGS["too_few_dates"]),
        },
        like=data,
        step={"function": "velocity"},
    )


def _fit_series(
    dx: np.ndarray, dy: np.ndarray, sigma_x: np.ndarray, sigma_y: np.ndarray, time: np.ndarray
) -> np.ndarray:
    out = np.empty((4, *dx.shape[1:]), dtype=dx.dtype)
    trend.line_of_series(time, dx, dy, sigma_x, sigma_y, out)
    return out


def _fit_pairs(*fields: np.ndarray, baseline: np.ndarray, ends: np.ndarray, dates: int) -> np.ndarray:
    dx, dy, sigma_x, sigma_y = fields
    has_vector = np.isfinite(dx) & np.isfinite(dy)
    variances = [np.where(has_vector, sigma.astype(np.float64) ** 2, np.nan) for sigma in (sigma_x, sigma_y)]
    of_dates = [np.empty((dates, *dx.shape[1:])) for _ in variances]
    for variance, share in zip(variances, of_dates, strict=True):
        laplacian.date_variance(ends, variance, share)
    out = np.empty((4, *dx.shape[1:]), dtype=dx.dtype)
    trend.line_of_pairs(baseline, ends, dx, dy, *variances, *of_dates, out)
    return out
