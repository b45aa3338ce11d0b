"""misclosure(): what a series leaves of the pairs that it was made of."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays.networks import residuals
from xoffset._blocks import pixels
from xoffset.model import checks, grids, products, variables
from xoffset.model.dates import as_dates

_CALLER = "misclosure"


def misclosure(shifts: xr.Dataset, series: xr.Dataset) -> xr.Dataset:
    """Residuals of the pairs of a series, and their root mean square by date.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) that the series was made of.
    series
        Series (time, y, x) of `invert`, at the dates and on the grid of the shifts.

    Returns
    -------
    xarray.Dataset
        On (pair, y, x) `residual_dx`, `residual_dy` [m]: the shift of the pair minus what the series moves between its
        dates, NaN where one of the two is unknown. On (time, y, x) `rms_dx`, `rms_dy` [m]: root mean square of the
        residuals of the pairs of the date, NaN where it has none. Lazy if one of them is.

    Raises
    ------
    TypeError, ValueError
        If these are no shifts and no series, or the series lacks a date or lies on another grid.

    Examples
    --------
    >>> import xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01", "2021-01-01"])
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    >>> found = xoffset.misclosure(shifts, xoffset.invert(shifts))
    >>> dict(found.residual_dx.sizes)["pair"], dict(found.rms_dx.sizes)["time"]
    (3, 3)
    """
    shifts = checks.as_shifts(shifts, _CALLER)
    series = checks.as_series(series, _CALLER)
    dates = as_dates(series["time"].values)
    both = np.stack([as_dates(shifts[name].values) for name in ("reference", "secondary")], axis=1)
    missing = both[~np.isin(both, dates)]
    if missing.size or not grids.is_same(series, shifts):
        got = f"none at {missing[0]}" if missing.size else "another grid or CRS"
        raise ValueError(
            f"{_CALLER}() needs a series at the dates and on the grid of the shifts; got {got}. Invert the same shifts."
        )
    ends = np.searchsorted(dates, both)
    fields = [each[name].data for each in (shifts, series) for name in ("dx", "dy")]
    places = residuals.layers_of(len(ends), dates.size)
    parts = places.split(pixels.per_pixel(partial(residuals.misclosures, ends=ends), fields, places.count))
    found: dict[str, Any] = {}
    for kind, dim in (("residual", "pair"), ("rms", "time")):
        found |= {
            f"{kind}_{name}": ((dim, "y", "x"), each) for name, each in zip(("dx", "dy"), parts[kind], strict=True)
        }
    coords: dict[Hashable, Any] = {name: shifts[name] for name in ("reference", "secondary")} | {
        "time": ("time", dates)
    }
    return products.product(found, variables.MISCLOSURE, like=shifts, step={"function": _CALLER}, coords=coords)
