"""drop_misclosed(): a series without the pixels whose pairs contradict it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.model import checks, products
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.points import takes_points
from xoffset.model.variables import SERIES

_CALLER = "drop_misclosed"


@takes_points
def drop_misclosed(series: xr.Dataset, *, max_rms: float = 1.2) -> xr.Dataset:
    """Series without the pixels whose pairs do not close.

    Parameters
    ----------
    series
        Series (time, y, x) of `invert`, with `rms` (y, x).
    max_rms
        Largest misclosure `rms` of a pixel [m].

    Returns
    -------
    xarray.Dataset
        Series whose `dx`, `dy`, `sigma_dx` and `sigma_dy` are NaN, with the flag `closure`, in pixels of a larger
        misclosure; `rms` and the rest stay. Lazy if the series is.

    Raises
    ------
    TypeError, ValueError
        If it is no series, has no `rms`, or the limit is no number above 0.

    Examples
    --------
    >>> import xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01", "2021-01-01"])
    >>> series = xoffset.invert(xoffset.correlate(stack, xoffset.pairs(stack), search=5))
    >>> kept = xoffset.drop_misclosed(series, max_rms=float(series.rms.median()))
    >>> bool(kept.dx[0].where(series.rms > series.rms.median()).notnull().any())
    False
    """
    series = checks.as_series(series, _CALLER)
    limit = _options.as_positive(max_rms, "max_rms", _CALLER, unit="m", example=1.2)
    if "rms" not in series:
        raise ValueError(
            f"{_CALLER}() needs 'rms' (y, x) of the series; got variables {list(map(str, series.data_vars))}. Pass the "
            "result of invert()."
        )
    is_beyond = series["rms"].variable > limit
    flags = series["dx"].variable.copy(data=flags_of(series, _CALLER))
    is_lost = is_beyond & series["dx"].variable.notnull()
    new = {
        name: (series[name].dims, series[name].variable.where(~is_beyond).transpose(*series[name].dims).data)
        for name in ("dx", "dy", "sigma_dx", "sigma_dy")
    }
    flags = (flags | is_lost * np.int64(FLAGS["closure"])).transpose(*series["dx"].dims)
    found = series.assign(new | {"flags": (flags.dims, flags.data)})
    return products.relabel(found, {"function": _CALLER, "max_rms": limit}, SERIES)
