"""Velocity, acceleration, seasons, steps and decays of every pixel."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.networks import terms as motion_terms
from xoffset._arrays.networks.terms import YEAR_DAYS
from xoffset.model import products, variables
from xoffset.model.carried_errors import carries_shift_error
from xoffset.model.dates import Date, as_instant
from xoffset.model.lazy import in_few_tasks
from xoffset.model.points import takes_points
from xoffset.model.renamed import renamed_argument
from xoffset.motion import regression
from xoffset.motion.components import (
    SEASONS,
    SUN,
    Fields,
    decay,
    event,
    fields_of,
    list_of,
    season_terms,
    sun_condition,
    sun_record,
    sun_terms,
)
from xoffset.motion.regression import Fit, Loss, Options


@in_few_tasks
@takes_points
@renamed_argument("annual", "seasonal")
@carries_shift_error(variables.DECOMPOSITION, "vx")
def decompose(
    shifts_or_series: xr.Dataset,
    *,
    acceleration: bool = False,
    seasonal: bool = False,
    semiannual: bool = False,
    steps: Literal["search"] | Sequence[Date] | None = None,
    exponential: Sequence[tuple[Date, float]] | None = None,
    logarithmic: Sequence[tuple[Date, float]] | None = None,
    epoch: Date | None = None,
    loss: Loss = "huber",
    sun: xr.DataArray | xr.Dataset | None = None,
) -> xr.Dataset:
    """Velocity, acceleration, seasons, steps and decays of a motion, with their uncertainty.

    Parameters
    ----------
    shifts_or_series
        Series (time, y, x) from `invert`, or shifts (pair, y, x), which are fitted pair by pair and need not connect.
    acceleration
        Fit an acceleration; the velocity is then the one at `epoch`.
    seasonal, semiannual
        Fit a cycle of a year of 365.25 days, or of half a year.
    steps
        Dates of sudden displacements (UTC); images taken at the very instant belong to what came after, and a bare
        date on which an image was taken is refused. `"search"`: one step, at the date that each pixel of a series asks
        for, if any.
    exponential, logarithmic
        Pairs of a date and a time tau in days: displacement that grows from the date on like 1 - exp(-t/tau), or like
        ln(1 + t/tau).
    epoch
        Date of the velocity. None: halfway between the first and the last date; the attribute `epoch` says which.
    loss
        How residuals count: `"linear"`, `"huber"`, `"tukey"` or `"l1"`, see `velocity`.
    sun
        Stack, or Dataset, with `sun_azimuth` and `sun_elevation` on (time) [degree] at the dates of the data: fit what
        moves with shadows beside the motion, see `invert`.

    Returns
    -------
    xarray.Dataset
        On (y, x), positive toward increasing x and y: `vx`, `vy` in m yr-1; `ax`, `ay` in m yr-2; `annual_sin_dx`,
        `annual_cos_dx` and so on, coefficients in m of the sine and cosine of the time since 1 January 2000;
        `annual_dx`, `annual_dy`, the amplitude in m, and `annual_day_x`, `annual_day_y`, its largest displacement in
        days from 1 January (the first of the year, and NaN without a cycle); the same for `semiannual`. `step_dx`,
        `step_dy` in m: (step, y, x) for given dates, else (y, x) with `step_date` (NaT, and NaN, where there is no
        step). `exponential_dx` (exponential, y, x) and `logarithmic_dx` (logarithmic, y, x): amplitudes in m that
        multiply the functions above. `sun_east_dx`, `sun_north_dx` and so on: metres per unit of
        cot(elevation)·sin(azimuth) and of cot(elevation)·cos(azimuth) of the sun, and `sun_condition`, the condition
        number of the fit with a cycle of a year beside the sun's, NaN where nothing tells the two apart: a yearly
        motion of the ground that is not asked for goes with the light. Each has its standard error `sigma_...`. `rms`:
        root mean square residual in m of the mean component, outliers included. NaN where the dates of a pixel do not
        tell a parameter; `flags` says so, and where the weights did not converge. Of input with `sigma_shift` the
        standard errors hold it; the part of it that all of the map shares is `sigma_shift` [m yr-1] for the velocity,
        and `sigma_shift_a`, `sigma_shift_step` (step), `sigma_shift_annual_sin` and so on for the others, see
        `velocity`: not for a step that is searched, as if none were. Lazy if the input is.

    Raises
    ------
    TypeError, ValueError
        If the input is neither shifts nor a series, the sun is not known at its dates, a date or an option is none, a
        date is outside the data, or steps are searched in shifts.

    Notes
    -----
    Weights and standard errors are those of `velocity`, which says what they cover. The search tries every
    interval between successive dates with two dates on each side, by what the step takes from the robustly weighted
    squares, and weighs anew until the interval stays. Noise enters the Bayesian information criterion as the standard
    errors say or, where the residuals scatter more, as they scatter. The step is kept where it lowers the criterion by
    more than 10 with three parameters (two components and a date); its standard error takes the date for known.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> dates = ["2020-01-01", "2020-03-01", "2020-05-01", "2020-07-01", "2020-09-01"]
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=dates, velocity=0.0, field="constant", direction=90.0,
    ...                                    step=6.0, step_date="2020-06-01")
    >>> parts = xoffset.decompose(xoffset.correlate(stack, xoffset.pairs(stack)), steps=["2020-06-01"])
    >>> parts.step_dx.median(("y", "x")).values.round(1)
    array([6.], dtype=float32)
    """
    code = _options.one_of(loss, regression.LOSSES, "loss", "decompose")
    given = regression.source(shifts_or_series, "decompose")
    is_search = isinstance(steps, str)
    if is_search and steps != "search":
        raise ValueError(f"decompose() needs dates as steps, or 'search'; got {steps!r}. Pass a list: [{steps!r}].")
    if is_search and given.ends is not None:
        raise ValueError("decompose() needs a series to search steps in; got shifts. Pass invert(shifts).")
    moment = regression.middle(given.epochs) if epoch is None else as_instant(epoch, "epoch", "decompose")
    dates = [
        event(given, date, "steps", "decompose")
        for date in ([] if is_search else list_of(steps, "steps", "['2020-06-01T10:30']"))
    ]
    decays = {
        name: [decay(given, entry, name) for entry in list_of(entries, name, "[('2020-06-01T10:30', 30.0)]")]
        for name, entries in (("exponential", exponential), ("logarithmic", logarithmic))
    }

    terms = {"v": motion_terms.velocity(given.epochs, moment)}
    if _options.as_switch(acceleration, "acceleration", "decompose"):
        terms["a"] = motion_terms.acceleration(given.epochs, moment)
    wanted = {
        "annual": _options.as_switch(seasonal, "seasonal", "decompose"),
        "semiannual": _options.as_switch(semiannual, "semiannual", "decompose"),
    }
    seasons = [name for name, is_wanted in wanted.items() if is_wanted]
    terms |= season_terms(given.epochs, seasons)
    terms |= {f"step {k}": motion_terms.step(given.epochs, date) for k, date in enumerate(dates)}
    for name, function in (("exponential", motion_terms.exponential), ("logarithmic", motion_terms.logarithmic)):
        terms |= {f"{name} {k}": function(given.epochs, *entry) for k, entry in enumerate(decays[name])}
    terms |= sun_terms(given, sun, "decompose")
    asked = list(terms)
    if is_search:
        terms["step"] = np.zeros(given.epochs.size)
    crossed = [(f"{name}_sin", f"{name}_cos") for name in seasons]
    fitted = regression.fit(given, terms, Options(code, has_step=is_search), crossed)
    fields = fields_of(fitted, {"v": "v{}"} | ({"a": "a{}"} if "a" in terms else {}))
    for name in seasons:
        fields |= _season_fields(fitted, name)
    fields |= {} if sun is None else _sun_fields(given, fitted, {name: terms[name] for name in asked})
    coords: dict[Hashable, Any] = {}
    fields |= _list_fields(fitted, "step", len(dates), coords, np.array(dates, "datetime64[us]"))
    for name, entries in decays.items():
        fields |= _list_fields(fitted, name, len(entries), coords, np.array([each[0] for each in entries], "M8[us]"))
        if entries:
            coords[f"{name}_tau"] = (name, np.array([each[1] for each in entries]))
    if is_search:
        fields |= fields_of(fitted, {"step": "step_d{}"})
        fields["step_date"] = (("y", "x"), _step_date(fitted, given.epochs))
    fields["rms"] = (("y", "x"), fitted.rms)
    fields["flags"] = (("y", "x"), regression.flags(fitted, asked))
    step = {
        "function": "decompose", "terms": asked, "steps": "search" if is_search else [str(date) for date in dates],
        "epoch": str(moment), "loss": loss, **sun_record(terms),
    } | {name: [[str(date), tau] for date, tau in entries] for name, entries in decays.items()}  # fmt: skip
    result = products.product(fields, variables.DECOMPOSITION, like=given.data, step=step, coords=coords)
    result.attrs["epoch"] = str(moment)
    return result


def _sun_fields(given: regression.Source, fitted: Fit, terms: dict[str, np.ndarray]) -> Fields:
    """What moves with the sun, and how well the dates tell it from a cycle of a year."""
    return fields_of(fitted, {name: name + "_d{}" for name in SUN}) | sun_condition(given, terms)


def _season_fields(fitted: Fit, name: str) -> Fields:
    """Coefficients, amplitude and day of the maximum of a cycle, with first-order standard errors."""
    fields = fields_of(fitted, {f"{name}_{part}": f"{name}_{part}_d{{}}" for part in ("sin", "cos")})
    sine, cosine = f"{name}_sin", f"{name}_cos"
    per_radian = YEAR_DAYS / (2.0 * np.pi * SEASONS[name])
    for axis, letter in enumerate("xy"):
        a, b = fitted.value[sine][axis], fitted.value[cosine][axis]
        var_a, var_b = fitted.covariance[sine, sine][axis], fitted.covariance[cosine, cosine][axis]
        cross = fitted.covariance[sine, cosine][axis]
        square = np.where(a**2 + b**2 > 0.0, a**2 + b**2, a.dtype.type(np.nan))
        # rounding may take a variance that should be zero below it
        along = np.maximum(a**2 * var_a + b**2 * var_b + 2.0 * a * b * cross, 0.0) / square
        across = np.maximum(b**2 * var_a + a**2 * var_b - 2.0 * a * b * cross, 0.0) / square
        day = (np.arctan2(a, b) * per_radian) % (2.0 * np.pi * per_radian)
        for label, values in (
            (f"{name}_d{letter}", np.hypot(a, b)),
            (f"sigma_{name}_d{letter}", np.sqrt(along)),
            (f"{name}_day_{letter}", np.where(square > 0.0, day, np.nan)),
            (f"sigma_{name}_day_{letter}", np.sqrt(across / square) * per_radian),
        ):
            fields[label] = (("y", "x"), values.astype(a.dtype))
    return fields


def _list_fields(fitted: Fit, name: str, count: int, coords: dict[Hashable, Any], dates: np.ndarray) -> Fields:
    """Parameters of terms of the same kind along a dim of their own, whose dates are its coordinate."""
    if not count:
        return {}
    coords[name] = (name, dates)
    fields: Fields = {}
    for axis, letter in enumerate("xy"):
        values = np.stack([fitted.value[f"{name} {k}"][axis] for k in range(count)])
        sigmas = np.stack([fitted.sigma(f"{name} {k}", axis) for k in range(count)])
        fields[f"{name}_d{letter}"] = ((name, "y", "x"), values)
        fields[f"sigma_{name}_d{letter}"] = ((name, "y", "x"), sigmas)
    return fields


def _step_date(fitted: Fit, epochs: np.ndarray) -> Any:
    """Middle of the interval that holds the step of each pixel, NaT where there is none."""
    before, after = (regression.dates_at(index, epochs) for index in fitted.step)
    return before + (after - before) // 2
