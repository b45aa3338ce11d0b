"""velocity(): from shifts or a series to a rate."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays import vectors
from xoffset._arrays.networks import terms as motion_terms
from xoffset.model import products, variables
from xoffset.model.carried_errors import carries_shift_error
from xoffset.model.flags import FLAGS
from xoffset.model.lazy import in_few_tasks
from xoffset.model.points import takes_points
from xoffset.model.tables import SHIFT_DRIFT, SHIFT_ERROR, SHIFT_ERROR_PARTS
from xoffset.motion import regression
from xoffset.motion.components import sun_condition, sun_record, sun_terms
from xoffset.motion.regression import VELOCITY, Fit, Loss, Source

# Replicates beyond which a standard error gains nothing more.
MOST_REPLICATES = 100_000
# What shifts and series tell of errors that many dates or pixels share.
_SHARED = (SHIFT_ERROR, *SHIFT_ERROR_PARTS, SHIFT_DRIFT, "sigma_drift_dx", "sigma_drift_dy")


@in_few_tasks
@takes_points
@carries_shift_error(variables.RATE, "vx")
def velocity(
    shifts_or_series: xr.Dataset,
    *,
    loss: Loss = "huber",
    weights: Literal["sigma", "uniform"] = "sigma",
    bootstrap: int = 0,
    block: int | None = None,
    seed: int = 0,
    min_pairs: int = 1,
    sun: xr.DataArray | xr.Dataset | None = None,
) -> xr.Dataset:
    """Mean velocity, with its uncertainty, by a robust weighted line.

    Parameters
    ----------
    shifts_or_series
        Series (time, y, x) from `invert`: a line with a free intercept. Or shifts (pair, y, x): a line through the
        origin of displacement over baseline; all matches of the same two dates are one observation. Each vector weighs
        the inverse of the mean of its two variances, see `weights`; without any standard errors (all NaN) all weigh
        alike.
    loss
        How residuals count, by their length over both components: `"linear"` (least squares), `"huber"`, `"tukey"`
        (far ones not at all), or `"l1"` (a median). Long pairs weigh most in a line through pairs: a few that hold on
        to ground that does not move can outweigh many short ones, in all but `"tukey"`. Find those with
        `screen(max_separation="auto")`.
    weights
        `"sigma"`: as the standard errors of the input say. `"uniform"`: all alike, as if there were none, and standard
        errors from the scatter about the line alone, as MintPy has them with `loss="linear"`.
    bootstrap
        Number of replicates, in which dates occur several times or not at all; 0: none. Adds `sigma_vx_bootstrap` and
        `sigma_vy_bootstrap`.
    block
        Number of consecutive dates that are drawn together. None: the cube root of the number of dates, rounded.
    seed
        Of the draws of dates, which are those of all pixels alike.
    min_pairs
        Fewest pairs, `n_pairs` of the result, that a pixel needs; with fewer it is NaN and flagged `too_few_dates`.
    sun
        Stack, or Dataset, with `sun_azimuth` and `sun_elevation` on (time) [degree] at the dates of the data: what
        moves with shadows is fitted beside the line, see `invert`. None: it is part of the velocity.

    Returns
    -------
    xarray.Dataset
        Rate (y, x). `vx`, `vy`: velocity in m yr-1 of 365.25 days, positive toward increasing x and y; `sigma_vx`,
        `sigma_vy`: standard errors in m yr-1; `v`: speed in m yr-1 (never below zero, so noise makes it too large
        where nothing moves), and `v_debiased`, the root of v² - sigma_vx² - sigma_vy² or zero; `direction`: degrees
        clockwise from grid north, NaN where the speed is zero. All NaN where fewer than two dates are left. A standard
        error is NaN where neither the input nor the scatter tells it: of fewer than three independent intervals, or
        five with `sun`, the scatter alone tells nothing. `flags` says why, and where the weights did not converge. What
        the velocity stands on: `n_pairs`, pairs of dates that took part (of a series those of the pixel that it says,
        else the intervals between its dates), `n_dates`, dates that took part, `first` and `last` of them (UTC, NaT
        where none). Of input with `sigma_shift`, as `correct` and `invert` give it, `sigma_vx` and `sigma_vy` hold that
        error too, and `sigma_shift` (no dims) in m yr-1 is the part of it that all of the map shares: differences
        within the map do not have it. With `sun`, `sun_condition`, the condition number of the fit with a cycle of a
        year beside the sun's: near 1 the dates tell the two apart, from about 30 on hardly. A pixel whose dates do not
        tell light from motion is NaN and flagged `too_few_dates`. Lazy if the input is.

    Raises
    ------
    TypeError, ValueError
        If the input is neither shifts nor a series, the sun is not known at its dates, or the options are not those
        above.

    Notes
    -----
    The standard errors follow the dates, not the number of pairs: an image's noise enters all of its pairs alike. For
    pairs their variances are split into a share of each date first, and what does not close is noise of the pairs.
    Where the displacements scatter about the line more than that allows, by a season or an error that nobody modelled,
    the standard errors are scaled up to the scatter, in which outliers count as little as in the fit. With fewer than
    three independent intervals they are what the standard errors of the input say, and no scatter makes them smaller.

    A series tells the noise of each date. Noise of the pairs adds up from date to date: `sigma_drift_dx`,
    `sigma_drift_dy` and the coordinate `drift_growth` account for it, with any number of pairs. Errors of a date that
    resemble those of the date before (AR(1), an unmodelled season) are found from the residuals of 15 dates or more, by
    the posterior of their correlation; fewer are taken for independent, as are those of shifts. Not covered are errors
    that grow through the whole series, such as a trend of the images' positions: they cannot be told from motion. The
    noise of a smoothed or resampled series, which has the coordinate `shares_noise`, is unknown, and the standard
    errors and `sigma_shift` are NaN. Dates of islands, bridged or not, take no part: their place is unknown or guessed.

    What is left of the shift of a pair after a correction, by its standard error `sigma_shift`, is taken to belong to
    the two dates, as noise of images does, but for the part that `sigma_shift_own` says is the pair's; of a series
    `sigma_shift_drift` says what that part piles up to. It adds to the variance of each vector, and lowers the weight
    of a pair that is badly known as a whole. A pair that `correct` left as it was (`is_corrected` 0) takes no part, nor
    one whose `sigma_shift` is NaN, unless all are, nor a node that it flagged `not_corrected`. The part that the map
    shares is that of a pixel with the pairs and the standard errors that are usual in the scene.

    Residuals are studentised and compared with their scale, the median of their lengths over 1.1774. The thresholds
    are those of two components: 1.856 is the quantile (82 %) that Huber's 1.345 is for one, 5.123 gives the biweight
    95 % of the efficiency of least squares. The bootstrap keeps the weights of the loss; a pair counts as often as the
    product of the counts of its two dates. Of pairs it is cautious in networks of short ones: there the noise of a date
    cancels between the pairs before and after it, which a draw without some of them undoes; longer blocks lessen that.
    Of a series of few dates it is a tenth to a third too small, as bootstraps of small samples are.

    Textures that hold shadows seem to move with the sun, back and forth each year. That is no noise of the dates: how
    far it turns the line depends on how they are spread over the seasons, and the standard errors do not tell. With
    `sun` its two components are two more parameters of each pixel, and the standard errors hold what they cost. The
    numbers are those of `decompose(sun=)`. `sun_term` tells beforehand whether the dates bear it.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=20.0, direction=90.0)
    >>> rate = xoffset.velocity(xoffset.correlate(stack, xoffset.pairs(stack), search=5))
    >>> float(rate.vx.median().round(1))
    20.0
    """
    code = _options.one_of(loss, regression.LOSSES, "loss", "velocity")
    if _options.one_of(weights, {"sigma": False, "uniform": True}, "weights", "velocity"):
        shifts_or_series = _without_errors(shifts_or_series)
    given = regression.source(shifts_or_series, "velocity")
    _options.as_whole_number(min_pairs, "min_pairs", "velocity", least=1, example=3)
    counts = _draw(given.epochs.size, bootstrap, block, seed)
    terms = {VELOCITY: motion_terms.velocity(given.epochs, regression.middle(given.epochs))}
    terms |= sun_terms(given, sun, "velocity")
    fitted = regression.fit(given, terms, regression.Options(code, counts=counts))

    n_pairs = _pairs_of(given, fitted)
    is_enough = n_pairs >= min_pairs
    vx, vy, sigma_vx, sigma_vy = (
        np.where(is_enough, each, each.dtype.type(np.nan))
        for each in (*fitted.value[VELOCITY], *(fitted.sigma(VELOCITY, axis) for axis in range(2)))
    )
    speed, direction = vectors.polar(vx, vy)
    fields = {
        "vx": vx,
        "vy": vy,
        "sigma_vx": sigma_vx,
        "sigma_vy": sigma_vy,
        "v": speed,
        "v_debiased": np.sqrt(np.maximum(speed**2 - sigma_vx**2 - sigma_vy**2, 0.0)),
        "direction": direction,
        "n_pairs": n_pairs,
        "n_dates": fitted.n_dates.astype(np.int32),
        "first": regression.dates_at(fitted.span[0], given.epochs),
        "last": regression.dates_at(fitted.span[1], given.epochs),
        "flags": regression.flags(fitted, [VELOCITY]) | ~is_enough * np.int64(FLAGS["too_few_dates"]),
    }
    fields |= {name: values for name, (_, values) in sun_condition(given, terms).items()}
    step: dict[str, str | int | None] = {"function": "velocity", "loss": loss, "min_pairs": int(min_pairs)}
    step |= {} if weights == "sigma" else {"weights": weights}
    step |= sun_record(terms)
    if fitted.bootstrap is not None:
        spread = (np.where(is_enough, each, each.dtype.type(np.nan)) for each in fitted.bootstrap)
        fields |= dict(zip(("sigma_vx_bootstrap", "sigma_vy_bootstrap"), spread, strict=True))
        step |= {"bootstrap": bootstrap, "block": block, "seed": seed}
    return products.rate(fields, like=given.data, step=step)


def _without_errors(data: Any) -> Any:
    """Shifts or a series that know no standard errors."""
    if not isinstance(data, xr.Dataset):
        return data
    unknown = {name: xr.full_like(data[name], np.nan) for name in ("sigma_dx", "sigma_dy") if name in data}
    return data.assign(unknown).drop_vars(_SHARED, errors="ignore")


def _pairs_of(given: Source, fitted: Fit) -> Any:
    """Number of the pairs (rows, columns) that a velocity stands on."""
    if given.ends is not None:
        return fitted.n_pairs.astype(np.int32)
    if "n_pairs" in given.data and given.data["n_pairs"].dims == ("y", "x"):
        counted = given.data["n_pairs"].data
        # fill values that a file declares are NaN
        return np.where(np.isfinite(counted), counted, 0).astype(np.int32)
    return np.maximum(fitted.n_dates - 1, 0).astype(np.int32)


def _draw(dates: int, replicates: int, block: int | None, seed: int) -> np.ndarray | None:
    """How often each replicate draws each date; None without replicates."""
    _options.as_whole_number(replicates, "bootstrap", "velocity", least=0, example=200)
    _options.as_whole_number(seed, "seed", "velocity", least=0, example=0)
    if block is not None:
        _options.as_whole_number(block, "block", "velocity", least=1, example=3)
    if replicates == 1:
        raise ValueError("velocity() needs two or more replicates; got bootstrap=1. Pass bootstrap=200, or 0 for none.")
    if replicates == 0:
        return None
    _options.check_count(float(replicates), MOST_REPLICATES, "replicates", "velocity", "Pass bootstrap=200")
    length = max(1, round(dates ** (1.0 / 3.0))) if block is None else int(block)
    if 2 * length > dates:
        raise ValueError(
            f"velocity() needs a block of at most half of the {dates} dates, or all draws are alike; got {length}. "
            "Pass a shorter block, or bootstrap=0."
        )
    return regression.block_counts(dates, int(replicates), length, int(seed))
