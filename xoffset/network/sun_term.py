"""sun_term(): whether dates tell what moves with the sun from motion."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.networks import nuisance, terms
from xoffset._arrays.networks.observations import Observations
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
        Largest factor by which the standard error of a velocity may grow, 1 or more.

    Returns
    -------
    sun : xarray.Dataset or None
        `sun_azimuth` and `sun_elevation` (time) [degree] of the dates of the network, to be passed on as ``sun=``. None
        where these are unknown, where the dates do not tell light from motion, or where the factor is larger.
    growth : float
        Factor by which the standard error of a velocity grows with the term: of one that `velocity` fits to these
        pairs, all alike, whose noise is that of their dates. Infinite if they tell nothing, NaN where the sun is
        unknown.
    drift : float
        How far such a velocity is off without the term [m yr-1], for each metre that what casts the shadows is high.
        NaN where the sun is unknown.
    why : str
        Why there is no sun, in a sentence; empty where there is.

    Raises
    ------
    TypeError, ValueError
        If the network has no pairs, the sun is neither a stack nor a Dataset, or `max_growth` is less than 1.

    Notes
    -----
    With Δt the baselines of the pairs, and Δs the change of the sun as of `invert`, the drift is the length of
    Σ Δt·Δs / Σ Δt². Each date adds to the variance of a velocity what the levers of its pairs add up to, squared:
    those of Δt without the term, with it those of what is left of Δt after a fit by Δs. Of dates drawn at
    random the factor is mostly 0.9 to 1.3 over a year and a half and more, 0.9 to 2 over one year, and 1 to 10 over
    half a year, in which the sun goes one way, as steady ground does. It may be below 1, since a line through pairs
    that all count alike is not the most certain one.

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
    _, epochs, ends = checks.sorted_pairs(network)
    ends = Observations.of(ends).ends
    try:
        angles = sunlight.angles_of(sun, epochs, "sun", _CALLER)
    except ValueError as error:
        return SunTerm(None, math.nan, math.nan, str(error))
    slants, times = sunlight.slants(angles), in_years(epochs - epochs[0])
    growth, drift = nuisance.growth(slants, times, ends), math.hypot(*nuisance.drift(slants, times, ends))
    why = _why_not(slants, terms.slow(epochs), growth, limit)
    if why:
        off = (
            f" Without it, velocities are off by {drift:.2g} m yr-1 for each metre that what casts the shadows is high."
        )
        return SunTerm(None, growth, drift, why + (off if drift > 0.0 else ""))
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
