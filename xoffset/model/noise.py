"""What a series says of how its dates err together."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xoffset._arrays.networks import graph
from xoffset.model.dates import as_dates, in_years
from xoffset.model.products import DRIFT_GROWTH, SHARES_NOISE


def shares_noise(series: xr.Dataset) -> bool:
    """Whether dates of a series have parts of the noise of others: smoothed, or resampled.

    Of a series that does not say so, such as one of another program, each date is taken for an observation of its own.
    """
    return "smooth" in series or (SHARES_NOISE in series and bool(np.any(series[SHARES_NOISE].values)))


def drift_growth(series: xr.Dataset) -> np.ndarray:
    """How what the noise of pairs adds up to grows through the dates of a series, (date,) [yr2] from zero."""
    if DRIFT_GROWTH in series.coords and series[DRIFT_GROWTH].dims == ("time",):
        return np.asarray(series[DRIFT_GROWTH].values, dtype=np.float64)
    # of a series that does not say, alike from date to date
    times = as_dates(series["time"].values)
    each = np.arange(times.size)
    return graph.growth(in_years(times - times[0]), np.stack([each[:-1], each[1:]], axis=1))
