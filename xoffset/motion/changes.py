"""What searches for changes of motion share: the series that they take, and dates from numbers of years."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._blocks import elements
from xoffset.model import noise
from xoffset.model.dates import YEAR
from xoffset.model.shift_errors import with_shift_error
from xoffset.motion import regression


def source(series: xr.Dataset, caller: str) -> regression.Source:
    """Return the series to be searched, with the errors of its dates as wholes in its standard errors."""
    given = regression.source(series, caller)
    if given.ends is not None:
        raise ValueError(f"{caller}() needs a series; got shifts. Pass invert(shifts).")
    if noise.shares_noise(given.data):
        raise ValueError(
            f"{caller}() needs a series whose dates err each by itself; got one that was smoothed or resampled, whose "
            "errors look like changes. Pass the result of invert(shifts) without smooth."
        )
    data = with_shift_error(given.data, caller)
    fields = [data[name].data for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    # of a series that tells it, the drift
    fields += [data[name].data[np.newaxis] for name in ("sigma_drift_dx", "sigma_drift_dy")[: len(given.fields) - 4]]
    return given._replace(data=data, fields=fields)


def as_probability(value: Any, name: str, caller: str) -> float:
    """Return a probability between 0 and 1, both excluded, as float."""
    _options.check_share(value, name, caller)
    if not 0.0 < value < 1.0:
        raise ValueError(
            f"{caller}() needs {name} above 0 and below 1; got {value!r}. Pass one such as "
            f"{0.95 if name == 'confidence' else 0.01}."
        )
    return float(value)


def instants(years: Any, first: np.datetime64) -> Any:
    """Dates of numbers of years since the first date, NumPy or dask; NaT for NaN."""
    found = elements.apply(partial(_instants, first=first), [years], np.dtype(np.int64))
    return found.astype("datetime64[us]")


def _instants(years: np.ndarray, first: np.datetime64) -> np.ndarray:
    is_known = np.isfinite(years)
    since = np.round(np.where(is_known, years, 0.0).astype(np.float64) * (YEAR / np.timedelta64(1, "us")))
    dates = first.astype("datetime64[us]") + since.astype("timedelta64[us]")
    return np.asarray(np.where(is_known, dates, np.datetime64("NaT", "us")).astype(np.int64))
