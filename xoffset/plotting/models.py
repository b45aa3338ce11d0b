"""What a model of motion says of a point at dates."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xoffset._arrays.networks import terms

# Terms of a model that a line cannot be drawn of, and what they need besides.
_UNKNOWN = {
    "ax": "the date of its velocity",
    "sun_east_dx": "the angles of the sun",
    "postseismic_dx": "its time constant",
}


def at_dates(model: xr.Dataset, name: str, dates: np.ndarray, caller: str) -> np.ndarray:
    """Displacement [m] along one axis, `dx` or `dy`, of a model at a point, but for a constant.

    The model is a rate, the result of decompose(), coseismic() or onset(), or a series, which is interpolated.
    """
    axis = name[-1]
    if "change_date" in model:
        return _of_changes(model, axis, dates)
    if name in model and "time" in model[name].dims:
        times, values = model["time"].values, model[name].values.astype("float64")
        known = np.isfinite(values)
        if not known.any():
            return np.full(dates.size, np.nan)
        days, own = (terms.days(each, times[0]) for each in (dates, times[known]))
        return np.asarray(np.interp(days, own, values[known], left=np.nan, right=np.nan))
    found = [other for other in _UNKNOWN if other in model]
    if f"v{axis}" not in model or model[f"v{axis}"].ndim or found:
        lacks = f"a term '{found[0]}', which needs {_UNKNOWN[found[0]]}" if found else str(sorted(map(str, model))[:12])
        raise ValueError(
            f"{caller}() needs a model with vx and vy at each point, seasons, steps and decays at most; got {lacks}. "
            "Pass what it says as a series: dx and dy on (time, y, x)."
        )
    epoch = dates[0]
    total = float(model[f"v{axis}"]) * terms.velocity(dates, epoch)
    for season, cycles in (("annual", 1), ("semiannual", 2)):
        if f"{season}_sin_d{axis}" in model:
            sine, cosine = terms.season(dates, cycles)
            total = (
                total + float(model[f"{season}_sin_d{axis}"]) * sine + float(model[f"{season}_cos_d{axis}"]) * cosine
            )
    return np.asarray(total + _of_events(model, axis, dates))


def _of_changes(model: xr.Dataset, axis: str, dates: np.ndarray) -> np.ndarray:
    """Line that bends at the dates of changes; NaN without any."""
    moments = model["change_date"].values
    before, after = (model[f"v{axis}_{when}"].values.astype("float64") for when in ("before", "after"))
    total = before[0] * terms.velocity(dates, dates[0])
    for moment, change in zip(moments, after - before, strict=True):
        if not np.isnat(moment):
            total = total + change * np.maximum(terms.velocity(dates, moment), 0.0)
    return np.asarray(total)


def _of_events(model: xr.Dataset, axis: str, dates: np.ndarray) -> np.ndarray:
    """Steps and decays of a model."""
    total = np.zeros(dates.size)
    if f"step_d{axis}" in model:
        sizes = np.atleast_1d(model[f"step_d{axis}"].values.astype("float64"))
        moments = np.atleast_1d(model["step_date" if "step_date" in model else "step"].values)
        for size, moment in zip(sizes, moments, strict=True):
            if np.isfinite(size) and not np.isnat(moment):
                total = total + size * terms.step(dates, moment)
    for name, function in (("exponential", terms.exponential), ("logarithmic", terms.logarithmic)):
        if f"{name}_d{axis}" in model:
            entries = zip(model[f"{name}_d{axis}"].values, model[name].values, model[f"{name}_tau"].values, strict=True)
            for size, moment, tau in entries:
                total = total + float(size) * function(dates, moment, float(tau))
    return total
