"""rereference() and resample(): a series from another date on, and at other dates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset._blocks import pixels, whole
from xoffset._kernels.maps import resampling
from xoffset.model import checks, history, products, variables
from xoffset.model.dates import Date, Duration, as_dates, as_duration, as_instant, index_of_date
from xoffset.model.flags import FLAGS, flag_attrs, flags_of
from xoffset.model.points import takes_points
from xoffset.model.shift_errors import shift_error
from xoffset.model.tables import SHIFT_ERROR

# Longest gap between dates that is bridged where no limit is given, in the integer time unit of the dates.
_FOREVER = np.iinfo(np.int64).max

# Dates of a series, at most.
MOST_DATES = 1_000_000


@takes_points
def rereference(series: xr.Dataset, reference: Date | Sequence[Date] | xr.DataArray) -> xr.Dataset:
    """Series whose displacement is zero at another date, or on the mean of several.

    Parameters
    ----------
    series
        Series (time, y, x) from `invert`.
    reference
        One date of the series, or several whose mean displacement becomes zero: a mean does not put the noise of one
        date into all.

    Returns
    -------
    xarray.Dataset
        The series with `dx`, `dy` in metres since the reference; where a pixel lacks one of the reference dates they
        are NaN throughout and `flags` says `no_reference`. What was NaN stays so. Dates of an island that has a zero of
        its own (a value, flagged `disconnected`) keep it, and do not serve as reference. `sigma_dx`, `sigma_dy` belong
        to each date and stay as they are; the attribute `reference` is set anew. Lazy if `series` is.

    Raises
    ------
    TypeError, ValueError
        If `series` is no series, or a reference is none of its dates.

    Notes
    -----
    The standard error of the displacement at date k since one date r is the root of s_k² + s_r². Since the mean of n
    dates it is the root of s_k² + Σ s_r²/n² for a date that is not among them, and of (1 - 1/n)² s_k² + Σ s_r²/n² over
    the others for one that is.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01", "2021-01-01"])
    >>> series = xoffset.invert(xoffset.correlate(stack, xoffset.pairs(stack), search=6), reference="2020-01-01")
    >>> float(abs(xoffset.rereference(series, "2020-07-01").dx.sel(time="2020-07-01")).max())
    0.0
    """
    series = checks.as_series(series, "rereference")
    dates = as_dates(series["time"].values)
    chosen = _references(dates, reference)
    flags = flags_of(series, "rereference")

    fields = [series["dx"].data, series["dy"].data, flags]
    found = pixels.per_pixel(partial(_since, chosen=chosen), fields, 2 * dates.size + 1)
    lacks = (found[-1:] != 0.0) * np.int64(FLAGS["no_reference"])

    out = series.copy()
    for name, values in (("dx", found[: dates.size]), ("dy", found[dates.size : -1])):
        out[name] = (series[name].dims, values, series[name].attrs)
    # islands with a zero of their own keep it
    counts = (flags & np.int64(FLAGS["disconnected"])) == 0
    for name in ("removed_dx", "removed_dy"):
        if name in series:
            removed = series[name].data
            zero = sum(removed[k] for k in chosen) / len(chosen)
            out[name] = (series[name].dims, np.where(counts, removed - zero, removed), series[name].attrs)
    own_zero, bridged = np.int64(FLAGS["no_reference"]), np.int64(FLAGS["bridged"])
    is_own = (flags & own_zero) != 0
    # a reference within the group leaves nothing of it to a guess
    is_told = is_own & is_own[chosen].all(axis=0)
    flags = flags & ~(is_own * own_zero) & ~(is_told * bridged)
    out["flags"] = (series["dx"].dims, flags | lacks, flag_attrs())
    named = ", ".join(str(dates[k]) for k in chosen)
    out.attrs = series.attrs | {
        "reference": named,
        "processing": history.processed(series, {"function": "rereference", "reference": named}),
    }
    return products.finish(out)


@takes_points
def resample(
    series: xr.Dataset, dates: Duration | Sequence[Date] | xr.DataArray, *, max_gap: Duration | None = None
) -> xr.Dataset:
    """Series at regular or other dates, linear in time between its own.

    Parameters
    ----------
    series
        Series (time, y, x) from `invert`.
    dates
        Time between regular dates from the first date of the series to its last, such as "30D", or the dates, in order;
        a million at most.
    max_gap
        Longest time between two neighbouring dates with a value that is interpolated, such as "90D". None: any.

    Returns
    -------
    xarray.Dataset
        Series (time, y, x) at the dates: `dx`, `dy` in metres since the reference date of the series, and `sigma_dx`,
        `sigma_dy` in metres: the root of (1 - a)² s_i² + a² s_j² of the two neighbours, where a is the part of the
        way from one to the other; at a date of the series its own. Nothing is extrapolated: NaN, and flagged
        `too_few_dates`, before the first value of a pixel, after its last, and in longer gaps. A value has the flags of
        both neighbours. The coordinate `shares_noise` says that dates have parts of each other's noise.
        Maps such as `rms` are those of the series; `sigma_shift`, if it has one, is resampled as the other standard
        errors, and like theirs that of a velocity through these dates is unknown, NaN. Lazy if `series` is.

    Raises
    ------
    TypeError, ValueError
        If `series` is no series, the dates are out of order or none lies within it, or a duration is none.

    Notes
    -----
    The standard errors do not tell what the ground did between two dates. Results between the same two dates share
    their noise: fit velocities to the series itself, since a fit takes every date for new evidence. Dates of an island
    that has a zero of its own (flagged `disconnected`) count as missing.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01", "2021-01-01"])
    >>> series = xoffset.invert(xoffset.correlate(stack, xoffset.pairs(stack), search=6))
    >>> xoffset.resample(series, "30D").sizes["time"]
    13
    """
    series = checks.without_islands(checks.as_series(series, "resample"), "resample", may_have_own_zero=True)
    own = as_dates(series["time"].values)
    wanted = _wanted(own, dates)
    longest = _FOREVER if max_gap is None else _positive(max_gap, "max_gap")
    instants = [(each - own[0]).astype("timedelta64[us]").astype(np.int64) for each in (own, wanted)]
    when = (*instants, np.searchsorted(own, wanted, side="right"), longest)

    flags = flags_of(series, "resample")
    fields = [series[name].data for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    found = pixels.per_pixel(partial(_interpolate, when=when), fields, 4 * wanted.size)
    dx, dy, sigma_x, sigma_y = (found[k * wanted.size : (k + 1) * wanted.size] for k in range(4))
    out = products.series(
        {
            "dx": dx,
            "dy": dy,
            "sigma_dx": sigma_x,
            "sigma_dy": sigma_y,
            "flags": pixels.per_pixel(partial(_flags_between, when=when), [flags, *fields[:2]], wanted.size),
        },
        wanted,
        like=series,
        step={
            "function": "resample",
            "dates": dates if isinstance(dates, str) else f"{wanted.size} dates",
            "max_gap": None if max_gap is None else str(pd.Timedelta(longest, unit="us")),
        },
        shares_noise=True,
    )
    sigma = shift_error(series, "resample")
    if sigma is not None:
        between = partial(_shift_errors, when=when)
        sigma = whole.at_once(between, [sigma], np.dtype(np.float64), wanted.shape)
        attrs = products.attrs_of(variables.SERIES[SHIFT_ERROR])
        out[SHIFT_ERROR] = ("time", sigma.astype(dx.dtype), attrs)
    if "reference" in series.attrs:
        out.attrs["reference"] = series.attrs["reference"]
    return products.finish(
        out.assign({name: each for name, each in series.data_vars.items() if each.dims == ("y", "x")})
    )


def _references(dates: np.ndarray, reference: Any) -> np.ndarray:
    """Indices of the reference dates, in order."""
    several = np.atleast_1d(reference.values) if isinstance(reference, xr.DataArray) else reference
    if not isinstance(several, (list, tuple, np.ndarray, pd.Index)):
        several = [several]
    chosen = {index_of_date(dates, each, "reference", "rereference") for each in several}
    if not chosen:
        raise ValueError("rereference() needs at least one date; got none. Pass one of series.time.")
    return np.array(sorted(chosen))


def _since(dx: np.ndarray, dy: np.ndarray, flags: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Displacements (2·date + 1, rows, columns) since the mean of the chosen dates, and 1 where a pixel lacks one."""
    out = np.empty((2 * len(dx) + 1, *dx.shape[1:]), dtype=dx.dtype)
    is_alone = np.isfinite(dx) & ((flags & FLAGS["disconnected"]) != 0)
    lacks = ~(np.isfinite(dx[chosen]) & np.isfinite(dy[chosen]) & ~is_alone[chosen]).all(axis=0)
    for part, values in zip(np.split(out[:-1], 2), (dx, dy), strict=True):
        zero = np.mean(values[chosen], axis=0, dtype=np.float64)
        # infinity counts as NaN
        known = np.where(np.isfinite(values) & ~lacks, values, np.nan)
        part[:] = np.where(is_alone, known, known - zero)
    out[-1] = lacks
    return out


def _wanted(own: np.ndarray, dates: Any) -> np.ndarray:
    """Dates to resample at, datetime64[us]."""
    if isinstance(dates, (str, dt.timedelta, np.timedelta64, pd.offsets.BaseOffset)):
        count = (own[-1] - own[0]) / np.timedelta64(_positive(dates, "dates"), "us") + 1.0
        _options.check_count(count, MOST_DATES, "dates", "resample", "Pass a longer time between them, such as '30D'")
        return np.arange(own[0], own[-1] + np.timedelta64(1, "us"), np.timedelta64(_positive(dates, "dates"), "us"))
    if not isinstance(dates, (list, tuple, np.ndarray, pd.Index, xr.DataArray)):
        raise TypeError(
            f"resample() needs a duration or a list of dates; got {type(dates).__name__}. "
            "Pass '30D', or a list such as ['2020-01-01', '2020-07-01']."
        )
    _options.check_count(np.size(dates), MOST_DATES, "dates", "resample", "Pass fewer")
    instants = np.atleast_1d(dates.values) if isinstance(dates, xr.DataArray) else dates
    wanted = np.array([as_instant(each, "dates", "resample") for each in instants], dtype="datetime64[us]")
    if not wanted.size or (np.diff(wanted) <= np.timedelta64(0)).any():
        came = "dates out of order or twice" if wanted.size else "none"
        raise ValueError(f"resample() needs dates in order, each once; got {came}. Sort them: numpy.unique(dates).")
    if not ((own[0] <= wanted) & (wanted <= own[-1])).any():
        raise ValueError(
            f"resample() needs dates within those of the series, {own[0]} to {own[-1]}; got {wanted[0]} to "
            f"{wanted[-1]}. Nothing is extrapolated: choose others."
        )
    return wanted


def _positive(value: Any, name: str) -> int:
    """Duration in microseconds, at least one."""
    duration = int(as_duration(value, name, "resample").astype("timedelta64[us]").astype(np.int64))
    if duration <= 0:
        raise ValueError(f"resample() needs a positive duration as {name}; got {value!r}. Pass one such as '30D'.")
    return duration


def _interpolate(*fields: np.ndarray, when: tuple[Any, ...]) -> np.ndarray:
    dx, dy, sigma_x, sigma_y = fields
    out = np.empty((4, when[1].size, *dx.shape[1:]), dtype=dx.dtype)
    resampling.interpolate(*when, dx, dy, sigma_x, sigma_y, out)
    return out.reshape(-1, *dx.shape[1:])


def _shift_errors(sigma: np.ndarray, when: tuple[Any, ...]) -> np.ndarray:
    column = sigma[:, np.newaxis, np.newaxis]
    here = np.where(np.isfinite(column), 0.0, np.nan)
    return _interpolate(here, here, column, column, when=when)[2 * when[1].size : 3 * when[1].size, 0, 0]


def _flags_between(flags: np.ndarray, dx: np.ndarray, dy: np.ndarray, when: tuple[Any, ...]) -> np.ndarray:
    out = np.empty((when[1].size, *flags.shape[1:]), dtype=np.int64)
    lack = np.int64(FLAGS["too_few_dates"])
    resampling.flags_between(*when, lack, flags, dx, dy, out)
    return out
