"""A velocity for each calendar year."""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.networks import separation
from xoffset._arrays.networks import terms as motion_terms
from xoffset._arrays.networks.observations import Observations
from xoffset.model import checks, products, variables
from xoffset.model.carried_errors import carries_shift_error
from xoffset.model.dates import Duration, as_dates, as_duration
from xoffset.model.flags import FLAGS
from xoffset.model.points import takes_points
from xoffset.motion import regression
from xoffset.motion.components import Fields, season_terms
from xoffset.motion.regression import Loss, Options

_LOGGER = logging.getLogger(__name__)


@takes_points
@carries_shift_error(variables.ANNUAL, "vx")
def yearly_velocity(
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
        do not tell it apart from other years, which a line of the log counts; never filled from other years. `flags`
        says why, and where long pairs were left out. Of shifts with `sigma_shift` the standard errors hold it, and
        `sigma_shift` (year) in m yr-1 is the part that all of the map shares, see `velocity`. Lazy if `shifts` is.

    Raises
    ------
    TypeError, ValueError
        If `shifts` are no shifts, an option is not one of those above, or the pairs tell no year: those of archive
        photographs span many. Of these, `interval_velocity` gives the velocity between each two dates.

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
    that stands still where the shorter ones move, as `screen` does. Bins of few pairs are not tested; where a network
    is small, one long pair that holds on can pull a year, and `max_separation` as a duration is the remedy.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> dates = ["2020-01-01", "2020-07-01", "2021-01-01", "2021-07-01", "2022-01-01"]
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=dates, field="constant", velocity=20.0, direction=90.0)
    >>> rate = xoffset.yearly_velocity(xoffset.correlate(stack, xoffset.pairs(stack, max_gap=2), search=5))
    >>> rate.year.values, rate.vx.median(("y", "x")).values.round(1)
    (array([2020, 2021]), array([20., 20.], dtype=float32))
    """
    code = _options.one_of(loss, regression.LOSSES, "loss", "yearly_velocity")
    shifts = checks.as_shifts(shifts, "yearly_velocity")
    is_auto = isinstance(max_separation, str) and max_separation == "auto"
    if max_separation is not None and not is_auto:
        shifts = _no_longer(shifts, as_duration(max_separation, "max_separation", "yearly_velocity"))
    given = regression.source(shifts, "yearly_velocity")
    assert given.ends is not None
    years, spent = motion_terms.years(given.epochs)
    terms = {str(year): spent[:, k] for k, year in enumerate(years)}
    if _options.as_switch(seasonal, "seasonal", "yearly_velocity"):
        terms |= season_terms(given.epochs, ["annual"])
    ends = Observations.of(given.ends).ends
    first, second = given.epochs[ends].T
    central = (first + (second - first) // 2).astype("datetime64[Y]").astype(np.int64) + 1970
    options = Options(
        code,
        is_wandering=True,
        days=separation.spans_of(given.epochs, ends) if is_auto else None,
        group=(central[:, None] == years).astype(np.float64),
    )
    _check_years(years, spent[ends[:, 1]] - spent[ends[:, 0]], central)
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
    fields["flags"] = (("year", "y", "x"), flags)
    step = {
        "function": "yearly_velocity",
        "max_separation": None if max_separation is None else str(max_separation),
        "seasonal": bool(seasonal),
        "loss": loss,
    }
    return products.product(fields, variables.ANNUAL, like=given.data, step=step, coords={"year": ("year", years)})


def _check_years(years: np.ndarray, within: np.ndarray, central: np.ndarray) -> None:
    """Say which years the dates of the pairs cannot tell, and refuse if none is told.

    within (observation, year): years that each spends in each; central (observation,): year of its middle.
    """
    # a year that pairs tell apart from the others is in no combination of years without effect on any pair
    normal = within.T @ within
    size, combinations = np.linalg.eigh(normal)
    without_effect = combinations[:, size <= 1e-9 * size[-1]]
    is_told = ((without_effect**2).sum(axis=1) < 1e-9) & np.isin(years, central)
    if is_told.any():
        if not is_told.all():
            _LOGGER.warning(
                "yearly_velocity: the pairs do not tell %d of the %d years from %d to %d, which are NaN. It needs "
                "pairs within a year, or that overlap there; interval_velocity gives what lies between dates.",
                np.count_nonzero(~is_told), years.size, years[0], years[-1],
            )  # fmt: skip
        return
    lengths = within.sum(axis=1)
    raise ValueError(
        "yearly_velocity() needs pairs that tell single calendar years, of about a year or less; got pairs of "
        f"{lengths.min():.1f} to {lengths.max():.1f} years, which tell none of the {years.size} years from {years[0]} "
        f"to {years[-1]}. Use interval_velocity(), which gives the velocity between each two dates."
    )


def _no_longer(shifts: xr.Dataset, longest: np.timedelta64) -> xr.Dataset:
    """Shifts of baselines up to the longest."""
    length = np.abs(as_dates(shifts["secondary"].values) - as_dates(shifts["reference"].values))
    keep = np.flatnonzero(length <= longest)
    if not keep.size:
        raise ValueError(
            f"yearly_velocity() needs pairs of no more than max_separation; got {length.min()} for the shortest. "
            "Pass a longer one."
        )
    return shifts.isel(pair=keep)
