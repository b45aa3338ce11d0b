"""decompose(), coseismic(), annual(): what a motion consists of."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.networks import graph
from xoffset._arrays.networks import terms as motion_terms
from xoffset._arrays.networks.terms import DAY, YEAR_DAYS, season, velocity
from xoffset._blocks import pixels
from xoffset.model import checks, products, variables
from xoffset.model.dates import Date, Duration, as_dates, as_duration, as_event, as_instant
from xoffset.model.flags import FLAGS
from xoffset.motion import regression
from xoffset.motion.regression import Fit, Loss, Options, Source

SEASONS = {"annual": 1, "semiannual": 2}
Fields = dict[str, tuple[tuple[str, ...], Any]]


def decompose(
    shifts_or_series: xr.Dataset,
    *,
    acceleration: bool = False,
    annual: bool = False,
    semiannual: bool = False,
    steps: Literal["search"] | Sequence[Date] | None = None,
    exponential: Sequence[tuple[Date, float]] | None = None,
    logarithmic: Sequence[tuple[Date, float]] | None = None,
    epoch: Date | None = None,
    loss: Loss = "huber",
) -> xr.Dataset:
    """Velocity, acceleration, seasons, steps and decays of a motion, with their uncertainty.

    Parameters
    ----------
    shifts_or_series
        Series (time, y, x) from `invert`, or shifts (pair, y, x), which are fitted pair by pair and need not connect.
    acceleration
        Fit an acceleration; the velocity is then the one at `epoch`.
    annual, semiannual
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

    Returns
    -------
    xarray.Dataset
        On (y, x), positive toward increasing x and y: `vx`, `vy` in m yr-1; `ax`, `ay` in m yr-2; `annual_sin_dx`,
        `annual_cos_dx` and so on, coefficients in m of the sine and cosine of the time since 1 January 2000;
        `annual_dx`, `annual_dy`, the amplitude in m, and `annual_day_x`, `annual_day_y`, its largest displacement in
        days from 1 January (the first of the year, and NaN without a cycle); the same for `semiannual`. `step_dx`,
        `step_dy` in m: (step, y, x) for given dates, else (y, x) with `step_date` (NaT, and NaN, where there is no
        step). `exponential_dx` (exponential, y, x) and `logarithmic_dx` (logarithmic, y, x): amplitudes in m that
        multiply the functions above. Each has its standard error `sigma_...`. `rms`: root mean square residual in m of
        the mean component, outliers included. NaN where the dates of a pixel do not tell a parameter; `flags` says so,
        and where the weights did not converge. Lazy if the input is.

    Raises
    ------
    TypeError, ValueError
        If the input is neither shifts nor a series, a date or an option is none, a date is outside the data, or steps
        are searched in shifts.

    Notes
    -----
    Weights and standard errors are those of `velocity`, which says what is left out of a series. The search tries every
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
    code = regression.check_loss(loss, "decompose")
    given = regression.source(shifts_or_series, "decompose")
    is_search = isinstance(steps, str)
    if is_search and steps != "search":
        raise ValueError(f"decompose() needs dates as steps, or 'search'; got {steps!r}. Pass a list: [{steps!r}].")
    if is_search and given.ends is not None:
        raise ValueError("decompose() needs a series to search steps in; got shifts. Pass invert(shifts).")
    moment = regression.middle(given.epochs) if epoch is None else as_instant(epoch, "epoch", "decompose")
    dates = [_event(given, date, "steps", "decompose") for date in ([] if is_search or steps is None else steps)]
    decays = {
        name: [_decay(given, entry, name) for entry in entries or []]
        for name, entries in (("exponential", exponential), ("logarithmic", logarithmic))
    }

    terms = {"v": velocity(given.epochs, moment)}
    if _options.as_switch(acceleration, "acceleration", "decompose"):
        terms["a"] = motion_terms.acceleration(given.epochs, moment)
    wanted = {"annual": annual, "semiannual": semiannual}
    seasons = [name for name, is_wanted in wanted.items() if _options.as_switch(is_wanted, name, "decompose")]
    terms |= _season_terms(given.epochs, seasons)
    terms |= {f"step {k}": motion_terms.step(given.epochs, date) for k, date in enumerate(dates)}
    for name, function in (("exponential", motion_terms.exponential), ("logarithmic", motion_terms.logarithmic)):
        terms |= {f"{name} {k}": function(given.epochs, *entry) for k, entry in enumerate(decays[name])}
    asked = list(terms)
    if is_search:
        terms["step"] = np.zeros(given.epochs.size)
    crossed = [(f"{name}_sin", f"{name}_cos") for name in seasons]
    fitted = regression.fit(given, terms, Options(code, has_step=is_search), crossed)

    fields = _simple(fitted, {"v": "v{}"} | ({"a": "a{}"} if "a" in terms else {}))
    for name in seasons:
        fields |= _season_fields(fitted, name)
    coords: dict[Hashable, Any] = {}
    fields |= _list_fields(fitted, "step", len(dates), coords, np.array(dates, "datetime64[us]"))
    for name, entries in decays.items():
        fields |= _list_fields(fitted, name, len(entries), coords, np.array([each[0] for each in entries], "M8[us]"))
        if entries:
            coords[f"{name}_tau"] = (name, np.array([each[1] for each in entries]))
    if is_search:
        fields |= _simple(fitted, {"step": "step_d{}"})
        fields["step_date"] = (("y", "x"), _step_date(fitted, given.epochs))
    fields["rms"] = (("y", "x"), fitted.rms)
    fields["flags"] = (("y", "x"), regression.flags(fitted, asked))
    step = {
        "function": "decompose",
        "terms": asked,
        "steps": "search" if is_search else [str(date) for date in dates],
        "epoch": str(moment),
        "loss": loss,
    } | {name: [[str(date), tau] for date, tau in entries] for name, entries in decays.items()}
    result = products.product(fields, variables.DECOMPOSITION, like=given.data, step=step, coords=coords)
    result.attrs["epoch"] = str(moment)
    return result


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
        is.

    Raises
    ------
    TypeError, ValueError
        If the input is neither shifts nor a series, the date is none or has no image before or after it, or an option
        is not one of those above.

    Notes
    -----
    The noise of a match is that of its two images. All pairs of m images before with n after say no more of the step
    than m + n dates can: its variance is s²/m + s²/n with the variance s² of a date, however many pairs there are. What
    does not close is noise of the pairs, which many pairs reduce. See `velocity` for weights, standard errors, and what
    is left out of a series.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-02-01", "2020-04-01"], velocity=0.0,
    ...                                    field="constant", direction=90.0, step=6.0, step_date="2020-03-01")
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, split="2020-03-01"))
    >>> float(xoffset.coseismic(shifts, "2020-03-01").dx.median().round(1))
    6.0
    """
    code = regression.check_loss(loss, "coseismic")
    given = regression.source(shifts_or_series, "coseismic")
    instant = _event(given, date, "date", "coseismic")
    terms = {"d": motion_terms.step(given.epochs, instant)}
    if _options.as_switch(trend, "trend", "coseismic"):
        terms["v"] = velocity(given.epochs, regression.middle(given.epochs))
    if postseismic is not None:
        _check_days(postseismic, "postseismic", "coseismic")
        terms["postseismic"] = motion_terms.logarithmic(given.epochs, instant, float(postseismic))
    fitted = regression.fit(given, terms, Options(code))
    labels = {"d": "d{}", "v": "v{}", "postseismic": "postseismic_d{}"}
    fields = _simple(fitted, {name: labels[name] for name in terms})
    fields["rms"] = (("y", "x"), fitted.rms)
    fields["flags"] = (("y", "x"), regression.flags(fitted, list(terms)))
    step = {
        "function": "coseismic", "date": str(instant), "trend": bool(trend), "postseismic": postseismic, "loss": loss,
    }  # fmt: skip
    return products.product(fields, variables.COSEISMIC, like=given.data, step=step)


def annual(
    shifts: xr.Dataset,
    *,
    max_separation: Literal["auto"] | Duration | None = "auto",
    seasonal: bool = False,
    loss: Loss = "l1",
) -> xr.Dataset:
    """Mean velocity of every calendar year, from the pairs themselves.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x); pairs may be missing (NaN), need not connect, and may reach across years.
    max_separation
        Longest baseline that takes part, such as `"200D"`. `"auto"`: long baselines that hold on to ground that does
        not move, while the short ones of the pixel move, are left out, see Notes. None: all take part.
    seasonal
        Fit a cycle of a year beside the velocities. Only where every season of the years has pairs: else the cycle
        and the velocities share what they cannot tell apart.
    loss
        How residuals count: `"linear"`, `"huber"`, `"tukey"` or `"l1"`, see `velocity`.

    Returns
    -------
    xarray.Dataset
        On (year, y, x): `vx`, `vy`, mean velocity of each year in m yr-1, positive toward increasing x and y;
        `sigma_vx`, `sigma_vy`; the speed `v`; `n_pairs`, the number of pairs of dates centred in the year that took
        part. All years from the first date to the last are there; NaN where no pair is centred in the year or the pairs
        do not tell it, never filled from other years. `flags` says why, and where long pairs were left out. Lazy if
        `shifts` is.

    Raises
    ------
    TypeError, ValueError
        If `shifts` are no shifts, or an option is not one of those above.

    Notes
    -----
    The displacement of a pair is the sum of the velocities of the years times the time spent in each (ITS_LIVE's model,
    Gardner et al. 2019), with two deviations that irregular pairs ask for. First, velocity wanders within a year: to
    the variance of a pair a part is added, as large as the residuals ask for, that grows with the square of its
    baseline b, and beyond 45 days with b²·(1 + (b/45 days)²). Pairs of any length then tell the year, and long ones,
    which average over fast and slow seasons and lose the fast ground, do not outweigh the others. Second, the loss is
    the length of the residual ("l1"): a year whose pairs show two populations is given the middle of all of them.

    At Columbia glacier all 21 years with 15 pairs or more of up to 60 days come out within 8 % of the median of those
    pairs. The 45 days were chosen there, 32 and 64 days leave the worst year about 10 % off, 90 days 14 %: elsewhere,
    compare with the short pairs. Least squares is up to 22 % off where seasons are sampled unevenly, Huber's loss 16 %,
    the biweight, which picks one of two populations, 27 %, and a cycle common to years that differ more than that.

    `"auto"` sorts the pairs into the bins of separations of ITS_LIVE (16, 32, 64, 128 and 256 days) and drops a bin
    that stands still where the shortest bin with enough pairs moves. Bins of few pairs are not tested; where a network
    is small, one long pair that holds on can pull a year, and `max_separation` as a duration is the remedy.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> dates = ["2020-01-01", "2020-07-01", "2021-01-01", "2021-07-01", "2022-01-01"]
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=dates, field="constant", velocity=20.0, direction=90.0)
    >>> rate = xoffset.annual(xoffset.correlate(stack, xoffset.pairs(stack, max_gap=2), search=5))
    >>> rate.year.values, rate.vx.median(("y", "x")).values.round(1)
    (array([2020, 2021]), array([20., 20.], dtype=float32))
    """
    code = regression.check_loss(loss, "annual")
    shifts = checks.as_shifts(shifts, "annual")
    is_auto = isinstance(max_separation, str) and max_separation == "auto"
    if max_separation is not None and not is_auto:
        shifts = _no_longer(shifts, as_duration(max_separation, "max_separation", "annual"))
    given = regression.source(shifts, "annual")
    assert given.ends is not None
    years, spent = motion_terms.years(given.epochs)
    terms = {str(year): spent[:, k] for k, year in enumerate(years)}
    if _options.as_switch(seasonal, "seasonal", "annual"):
        terms |= _season_terms(given.epochs, ["annual"])
    first, second = given.epochs[graph.observations(given.ends)[0]].T
    central = (first + (second - first) // 2).astype("datetime64[Y]").astype(np.int64) + 1970
    options = Options(
        code,
        is_wandering=True,
        days=(second - first) / DAY if is_auto else None,
        group=(central[:, None] == years).astype(np.float64),
    )
    fitted = regression.fit(given, terms, options)

    fields: Fields = {}
    is_told = fitted.used > 0
    for axis, name in enumerate(("vx", "vy")):
        value = np.stack([fitted.value[str(year)][axis] for year in years])
        sigma = np.stack([fitted.sigma(str(year), axis) for year in years])
        fields[name] = (("year", "y", "x"), np.where(is_told, value, np.float32(np.nan)))
        fields[f"sigma_{name}"] = (("year", "y", "x"), np.where(is_told, sigma, np.float32(np.nan)))
    fields["v"] = (("year", "y", "x"), np.hypot(fields["vx"][1], fields["vy"][1]))
    fields["n_pairs"] = (("year", "y", "x"), fitted.used.astype(np.int32))
    flags = (
        np.isnan(fields["vx"][1]) * np.int64(FLAGS["too_few_dates"])
        + (fitted.is_loose > 0) * np.int64(FLAGS["not_converged"])
        + (fitted.dropped > 0) * np.int64(FLAGS["separation"])
    )
    fields["flags"] = (("year", "y", "x"), flags.astype(np.int64))
    step = {
        "function": "annual",
        "max_separation": None if max_separation is None else str(max_separation),
        "seasonal": bool(seasonal),
        "loss": loss,
    }
    return products.product(fields, variables.ANNUAL, like=given.data, step=step, coords={"year": ("year", years)})


def _no_longer(shifts: xr.Dataset, longest: np.timedelta64) -> xr.Dataset:
    """Shifts of baselines up to the longest."""
    length = np.abs(as_dates(shifts["secondary"].values) - as_dates(shifts["reference"].values))
    keep = np.flatnonzero(length <= longest)
    if not keep.size:
        raise ValueError(
            f"annual() needs pairs of no more than max_separation; got {length.min()} for the shortest. "
            "Pass a longer one."
        )
    return shifts.isel(pair=keep)


def _event(given: Source, date: Date, name: str, caller: str) -> np.datetime64:
    """Instant of an event that has dates on both sides."""
    instant = as_event(date, given.epochs, name, caller)
    if not given.epochs[0] < instant <= given.epochs[-1]:
        raise ValueError(
            f"{caller}() needs dates before and after {name}; got {instant} for dates from {given.epochs[0]} to "
            f"{given.epochs[-1]}. Choose a date between them."
        )
    return instant


def _decay(given: Source, entry: tuple[Date, float], name: str) -> tuple[np.datetime64, float]:
    """Instant and days of a decay."""
    if not isinstance(entry, (tuple, list)) or len(entry) != 2:
        raise ValueError(
            f"decompose() needs pairs of a date and days as {name}; got {entry!r}. Pass [('2020-06-01T10:30', 30.0)]."
        )
    instant = as_instant(entry[0], name, "decompose")
    if instant >= given.epochs[-1]:
        raise ValueError(
            f"decompose() needs dates after the one of {name}; got {instant}, the last is {given.epochs[-1]}. "
            "Choose an earlier date."
        )
    _check_days(entry[1], name, "decompose")
    return instant, float(entry[1])


def _check_days(value: float, name: str, caller: str) -> None:
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not is_number or not 0.0 < value < np.inf:
        raise ValueError(f"{caller}() needs a number of days above zero as {name}; got {value!r}. Pass one such as 30.")


def _season_terms(epochs: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    terms = {}
    for name in names:
        terms[f"{name}_sin"], terms[f"{name}_cos"] = season(epochs, SEASONS[name])
    return terms


def _simple(fitted: Fit, labels: Mapping[str, str]) -> Fields:
    """Parameters and standard errors of terms, under a label whose {} stands for x or y."""
    fields: Fields = {}
    for term, label in labels.items():
        for axis, letter in enumerate("xy"):
            fields[label.format(letter)] = (("y", "x"), fitted.value[term][axis])
            fields["sigma_" + label.format(letter)] = (("y", "x"), fitted.sigma(term, axis))
    return fields


def _season_fields(fitted: Fit, name: str) -> Fields:
    """Coefficients, amplitude and day of the maximum of a cycle, with first-order standard errors."""
    fields = _simple(fitted, {f"{name}_{part}": f"{name}_{part}_d{{}}" for part in ("sin", "cos")})
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
    before, after = (np.where(np.isnan(index), -1.0, index).astype(np.int64)[None] for index in fitted.step)
    found = pixels.per_pixel(partial(_middles, epochs=epochs), [before, after], 1)
    return found[0].astype("datetime64[us]")


def _middles(before: np.ndarray, after: np.ndarray, epochs: np.ndarray) -> np.ndarray:
    middle = epochs[before] + (epochs[after] - epochs[before]) // 2
    return np.where(before < 0, np.datetime64("NaT", "us"), middle).astype(np.int64)
