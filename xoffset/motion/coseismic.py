"""Displacement of an event: decompose() with a step at a known instant."""

from __future__ import annotations

import xarray as xr

from xoffset import _options
from xoffset._arrays.networks import terms as motion_terms
from xoffset._arrays.networks.terms import velocity
from xoffset.model import products, variables
from xoffset.model.carried_errors import carries_shift_error
from xoffset.model.dates import Date
from xoffset.model.points import takes_points
from xoffset.motion import regression
from xoffset.motion.components import event, fields_of
from xoffset.motion.regression import Loss, Options


@takes_points
@carries_shift_error(variables.COSEISMIC, "dx")
def coseismic(
    shifts_or_series: xr.Dataset,
    date: Date,
    *,
    trend: bool = False,
    postseismic: float | None = None,
    loss: Loss = "huber",
) -> xr.Dataset:
    """Displacement of a sudden event, with an uncertainty that follows the number of dates on each side.

    Parameters
    ----------
    shifts_or_series
        Series (time, y, x) from `invert`, or shifts (pair, y, x); pairs across the event are enough.
    date
        Instant of the event (UTC). An image taken at the very instant shows what came of it; a bare date on which an
        image was taken is refused.
    trend
        Fit a velocity too, common to before and after.
    postseismic
        Time tau in days of a displacement that goes on like ln(1 + t/tau) after the event. None: none is fitted.
    loss
        How residuals count: `"linear"`, `"huber"`, `"tukey"` or `"l1"`, see `velocity`.

    Returns
    -------
    xarray.Dataset
        On (y, x), positive toward increasing x and y: `dx`, `dy`, displacement of the event in metres; with a trend
        `vx`, `vy` in m yr-1; with `postseismic` the amplitude `postseismic_dx`, `postseismic_dy` in metres. Each has
        its standard error `sigma_...`. `rms`: root mean square residual in m of the mean component. NaN where the dates
        of a pixel do not tell a parameter; `flags` says so, and where the weights did not converge. Lazy if the input
        is. `ground` turns both displacement and velocity, `strain` and `profile` take the displacement. Of input with
        `sigma_shift` the standard errors hold it, and `sigma_shift` [m], `sigma_shift_v` [m yr-1] and
        `sigma_shift_postseismic` [m] (no dims) are the parts that all of the map shares, see `velocity`.

    Raises
    ------
    TypeError, ValueError
        If the input is neither shifts nor a series, the date is none or has no image before or after it, or an option
        is not one of those above.

    Notes
    -----
    Most noise of a match comes from its two images, so more pairs of the same images hardly help: with m images before
    and n after, the variance of the step is s²/m + s²/n, where s² is the variance of a date. What does not close is
    noise of the pairs, which many pairs reduce. See `velocity` for weights, standard errors, and what they cover.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-02-01", "2020-04-01"], velocity=0.0,
    ...                                    field="constant", direction=90.0, step=6.0, step_date="2020-03-01")
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, split="2020-03-01"))
    >>> float(xoffset.coseismic(shifts, "2020-03-01").dx.median().round(1))
    6.0
    """
    code = _options.one_of(loss, regression.LOSSES, "loss", "coseismic")
    given = regression.source(shifts_or_series, "coseismic")
    instant = event(given, date, "date", "coseismic")
    terms = {"d": motion_terms.step(given.epochs, instant)}
    if _options.as_switch(trend, "trend", "coseismic"):
        terms["v"] = velocity(given.epochs, regression.middle(given.epochs))
    if postseismic is not None:
        days = _options.as_positive(postseismic, "postseismic", "coseismic", unit="days", example=30.0)
        terms["postseismic"] = motion_terms.logarithmic(given.epochs, instant, days)
    fitted = regression.fit(given, terms, Options(code))
    labels = {"d": "d{}", "v": "v{}", "postseismic": "postseismic_d{}"}
    fields = fields_of(fitted, {name: labels[name] for name in terms})
    fields["rms"] = (("y", "x"), fitted.rms)
    fields["flags"] = (("y", "x"), regression.flags(fitted, list(terms)))
    step = {
        "function": "coseismic", "date": str(instant), "trend": bool(trend), "postseismic": postseismic, "loss": loss,
    }  # fmt: skip
    return products.product(fields, variables.COSEISMIC, like=given.data, step=step)
