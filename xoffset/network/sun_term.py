"""sun_term(): whether dates tell what moves with the sun from motion."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.networks import nuisance, terms
from xoffset.model import checks
from xoffset.model import sun as sunlight
from xoffset.model.dates import in_years

_CALLER = "sun_term"


class SunTerm(NamedTuple):
    """The sun for `velocity`, `decompose` and `invert`, if the dates tell it from motion, and what it costs."""

    sun: xr.Dataset | None
    growth: float
    drift: float
    why: str


def sun_term(network: xr.Dataset, *, sun: xr.DataArray | xr.Dataset, max_growth: float = 3.0) -> SunTerm:
    """Whether dates tell what moves with the sun from motion, and by how much velocities are less certain then.

    Textures that hold shadows seem to move with these, back and forth each year. A term of the sun takes that off, as
    `velocity(sun=)`, `decompose(sun=)` and `invert(sun=)` have it, if the dates are many and their seasons differ.

    Parameters
    ----------
    network
        Pairs (pair), from `pairs` or any product with dim `pair`. Nothing but their dates counts.
    sun
        Stack, or Dataset, with `sun_azimuth` and `sun_elevation` on (time) [degree]. That these lack is no error.
    max_growth
        Largest factor by which the standard error of a velocity may grow.

    Returns
    -------
    sun : xarray.Dataset or None
        `sun_azimuth` and `sun_elevation` (time) [degree] of the dates of the network, to be passed on as ``sun=``. None
        where these are unknown, where the dates do not tell light from motion, or where the factor is larger.
    growth : float
        Factor by which the standard error of a velocity grows with the term, at least 1: that of a line through all
        dates, whose noise is white. Infinite if they tell nothing, NaN where the sun is unknown.
    drift : float
        How far the velocity is off without the term [m yr-1], for each metre that what casts the shadows is high. NaN
        where the sun is unknown.
    why : str
        Why there is no sun, in a sentence; empty where there is.

    Raises
    ------
    TypeError, ValueError
        If the network has no pairs, the sun is neither a stack nor a Dataset, or `max_growth` is less than 1.

    Notes
    -----
    With t the times, s the sun as of `invert`, both less their mean, and t' what is left of t after a fit by s, the
    factor is |t| / |t'|, and the drift the length of Σ t·s / Σ t². Of dates drawn by lot over a year and more, at
    latitudes of 10, 46 and 65 degrees, the factor is 1.0 to 2.9, and near 1 from three years on. Over half a year, in
    which the sun goes one way as the ground does, it is 2 to 10.

    Examples
    --------
    >>> import numpy as np, xoffset, xoffset.synthetic
    >>> dates = np.arange("2020-01-01", "2022-01-01", 60, dtype="datetime64[D]")
    >>> stack, _ = xoffset.synthetic.stack((64, 64), dates=dates, velocity=0.0, shadows=0.5)
    >>> light = xoffset.sun_term(xoffset.pairs(stack, max_gap=3), sun=stack)
    >>> round(light.growth, 1)
    1.1
    >>> xoffset.sun_term(xoffset.pairs(stack[:3]), sun=stack).sun is None
    True
    """
    network = checks.check_pairs(network, _CALLER)
    limit = _options.as_positive(max_growth, "max_growth", _CALLER, unit="1", example=3.0)
    if limit < 1.0:
        raise ValueError(f"{_CALLER}() needs max_growth of at least 1; got {limit:g}. Pass one such as 3.0.")
    _, epochs, _ = checks.sorted_pairs(network)
    try:
        angles = sunlight.angles_of(sun, epochs, "sun", _CALLER)
    except ValueError as error:
        return SunTerm(None, math.nan, math.nan, str(error))
    slants, times = sunlight.slants(angles), in_years(epochs - epochs[0])
    growth, drift = nuisance.growth(slants, times), math.hypot(*nuisance.slopes(slants, times))
    why = _why_not(slants, terms.slow(epochs), growth, limit)
    if why:
        return SunTerm(None, growth, drift, f"{why} Without it, velocities are off by {drift:.2g} m yr-1 for each "
            "metre that what casts the shadows is high.")  # fmt: skip
    return SunTerm(_labelled(angles, epochs), growth, drift, "")


def _why_not(slants: np.ndarray, slow: np.ndarray, growth: float, limit: float) -> str:
    """Why dates do not bear the term; empty if they do."""
    try:
        sunlight.check_told(slants, slow, _CALLER)
    except ValueError as error:
        return str(error)
    if growth <= limit:
        return ""
    return (
        f"{_CALLER}() needs dates that tell light from motion; got some with which the term makes the standard error "
        f"of a velocity {growth:.3g} times as large, and max_growth={limit:g}. Add dates of other seasons."
    )


def _labelled(angles: np.ndarray, epochs: np.ndarray) -> xr.Dataset:
    names = ("sun_azimuth", "sun_elevation")
    fields = {name: ("time", values, {"units": "degree"}) for name, values in zip(names, angles, strict=True)}
    return xr.Dataset(fields, coords={"time": epochs})
