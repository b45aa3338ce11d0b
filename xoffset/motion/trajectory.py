"""trajectory(): where points went."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._blocks import whole
from xoffset._kernels.maps import paths
from xoffset.model import checks, grids, products, variables
from xoffset.model.dates import Date, as_dates, index_of_date
from xoffset.model.flags import FLAGS
from xoffset.model.shift_errors import with_shift_error

# Fields of a path, in the order of the kernel.
_FIELDS = ("x", "y", "dx", "dy", "sigma_dx", "sigma_dy", "dx_eulerian", "dy_eulerian", "state")
_STATES = {paths.LEFT: "outside", paths.NO_VALUE: "nodata", paths.NO_START: "no_reference"}


def trajectory(
    series: xr.Dataset,
    points: Sequence[tuple[float, float]] | np.ndarray,
    *,
    start: Date | None = None,
    window: float | None = None,
) -> xr.Dataset:
    """Paths of points that move with the ground, beside what passed their first places.

    A series is Eulerian: from one date to the next it tells how far the ground moved that was at a node on the first of
    the two. Where it moves by much of the distance over which the displacement changes, that is no longer the same
    ground. A path adds up the steps at the places that the point itself came to.

    Parameters
    ----------
    series
        Series (time, y, x) from `invert`.
    points
        `(x, y)` of every point at the start, in the CRS of the series, or an array (point, 2).
    start
        Date at which the points are there. None: the first of the series.
    window
        Side of the windows that were matched, in metres: two of them err alike as far as they overlap. None: a date
        errs alike everywhere, by which the standard errors are too small once a path is longer than a window.

    Returns
    -------
    xarray.Dataset
        (point, time) from the start on. `x`, `y`: place in metres; `dx`, `dy`: displacement in metres since the start,
        positive toward increasing x and y, and its standard errors `sigma_dx`, `sigma_dy`; `dx_eulerian`,
        `dy_eulerian`: what the series tells at the place of the start, in metres since then. NaN where the series has
        no value around the point (`flags` says `nodata`; the next step goes over such a date), after the point has left
        the grid (`outside`), and throughout where there is no value at the start (`no_reference`). The standard errors
        hold the `sigma_shift` of the series, if it has one. The attribute
        `start` holds the date. Lazy if `series` is.

    Raises
    ------
    TypeError, ValueError
        If `series` is no series on a regular grid, `points` are none or lie outside it, or the start is none of its
        dates.

    Notes
    -----
    X(t + 1) = X(t) + u(X(t), t + 1) - u(X(t), t), with u interpolated bilinearly between nodes. Dates of an island that
    has a zero of its own (flagged `disconnected`) count as missing. The standard errors are those of the dates at both
    ends of every step; that errors of a place lead to other steps is left out. A lazy series is loaded as a whole when
    the result is computed: cut out the part that the points stay in first.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=20.0, direction=90.0)
    >>> series = xoffset.invert(xoffset.correlate(stack, xoffset.pairs(stack), search=6))
    >>> centre = (float(series.x.mean()), float(series.y.mean()))
    >>> path = xoffset.trajectory(series, [centre])
    >>> float(path.dx.isel(point=0, time=-1).round())
    20.0
    """
    series = checks.without_islands(checks.as_series(series, "trajectory"), "trajectory")
    series = with_shift_error(series, "trajectory")
    spacing = grids.spacing(series, "trajectory")
    places = _places(points, series)
    dates = as_dates(series["time"].values)
    first = 0 if start is None else index_of_date(dates, start, "start", "trajectory")
    if window is not None:
        window = _options.as_positive(window, "window", "trajectory", unit="m", example=320.0)

    origin = np.array([series["x"].values[0], series["y"].values[0]], dtype=np.float64)
    follow = partial(_follow, start=places - origin, first=first, spacing=np.array(spacing), window=window or np.inf)
    fields = [series[name].data for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    shape = (len(_FIELDS), len(places), dates.size - first)
    found = dict(zip(_FIELDS, whole.at_once(follow, fields, np.dtype(np.float64), shape), strict=True))
    state = found.pop("state")

    values = {name: each.astype(series["dx"].dtype) for name, each in found.items()}
    values |= {"x": found["x"] + origin[0], "y": found["y"] + origin[1]}
    values["flags"] = sum((state == code) * np.int64(FLAGS[name]) for code, name in _STATES.items())
    out = products.product(
        {name: (("point", "time"), each) for name, each in values.items()},
        variables.TRAJECTORY,
        like=series,
        step={"function": "trajectory", "start": str(dates[first]), "window": window},
        coords={"time": ("time", dates[first:])} | products.noise_is_shared(dates.size - first),
    )
    out.attrs["start"] = str(dates[first])
    return out


def _places(points: Any, series: xr.Dataset) -> np.ndarray:
    """Points (point, 2), after checking that they lie on the grid."""
    advice = "Pass a list such as [(503200.0, 5170800.0)]."
    try:
        places = np.array(points, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"trajectory() needs points as (x, y) in metres; got {type(points).__name__}. {advice}"
        ) from error
    if places.ndim != 2 or places.shape[1] != 2 or not len(places):
        raise ValueError(
            f"trajectory() needs points as (x, y) in metres; got an array of shape {places.shape}. {advice}"
        )
    for axis, name in enumerate(("x", "y")):
        ends = float(series[name].min()), float(series[name].max())
        wrong = np.flatnonzero(~((ends[0] <= places[:, axis]) & (places[:, axis] <= ends[1])))
        if wrong.size:
            raise ValueError(
                f"trajectory() needs points on the grid of the series, {name} from {ends[0]:g} to {ends[1]:g} m; got "
                f"{places[wrong[0], axis]:g} of point {wrong[0]}, counted from 0. Leave it out, or mind the CRS."
            )
    return places


def _follow(*fields: np.ndarray, start: np.ndarray, first: int, spacing: np.ndarray, window: float) -> np.ndarray:
    out = np.empty((len(_FIELDS), len(start), len(fields[0]) - first))
    paths.follow(*fields, start, first, spacing, window, out)
    return out
