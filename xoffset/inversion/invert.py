"""invert(): from a network of shifts to displacement through time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset._arrays.networks import graph, solver, strips
from xoffset._blocks import pixels
from xoffset._kernels.networks import groups, losses
from xoffset.inversion import scene, sunlight
from xoffset.inversion.weights import Weights, weighting
from xoffset.model import checks, grids, products
from xoffset.model.dates import Date, as_dates, in_years, index_of_date
from xoffset.model.flags import FLAGS
from xoffset.model.lazy import in_few_tasks
from xoffset.model.pair_shares import pair_shares
from xoffset.model.points import takes_points
from xoffset.model.shift_errors import drift, of_dates, shift_error, uneven, without_uncorrected
from xoffset.model.tables import SHIFT_DRIFT, SHIFT_ERROR

LOSSES = {
    "linear": losses.LINEAR, "huber": losses.HUBER, "tukey": losses.TUKEY, "l1": losses.L1, "tio": losses.RESIDUAL,
}  # fmt: skip
# Scale of the weights of TIO by the residual [m], where none is given.
RESIDUAL_SCALE = 2.0
ISLANDS = {"nan": groups.NAN, "bridge": groups.BRIDGE, "separate": groups.SEPARATE}
_STATES = {
    groups.NO_PAIRS: "no_pairs",
    groups.DISCONNECTED: "disconnected",
    groups.NO_REFERENCE: "no_reference",
    groups.OWN_ZERO: "no_reference",
    groups.FAR: "oversmoothed",
}
# Nodes of which a part tells whether a reference that was given is a good one.
MANY = 1000
# What the attribute `reference` of lazy shifts says: nothing is counted before they are computed.
COUNTED = "the date with which the fewest values are lost, counted when computed"


@in_few_tasks
@takes_points
def invert(
    shifts: xr.Dataset,
    *,
    weights: Weights | Sequence[str] | xr.DataArray | np.ndarray = "sigma",
    loss: Literal["linear", "huber", "tukey", "l1", "tio"] = "huber",
    smooth: float | Literal["gcv"] = 0.0,
    prior: xr.Dataset | None = None,
    islands: Literal["nan", "bridge", "separate"] = "nan",
    reference: Date | Sequence[Date] | None = None,
    stable: xr.DataArray | None = None,
    sun: xr.DataArray | xr.Dataset | None = None,
    residual_scale: float | None = None,
    residual_limit: float | None = None,
) -> xr.Dataset:
    """Displacement at every date from a network of pairwise shifts.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate` or `screen`; pairs may be missing (NaN) in any pixel. All matches of the
        same two dates, repeated or backward, count as one. Pairs that `correct` left as they were (`is_corrected` 0, or
        `sigma_shift` NaN in some of the pairs) and nodes that it flagged `not_corrected` take no part, of which the log
        tells.
    weights
        One weight for both components of a pair. `"sigma"`: the inverse of the mean of the two variances; a pair
        without positive finite standard errors takes no part. The square of `sigma_shift` is added to both where that
        changes how the pairs weigh to one another by more than a tenth. `"score"`: score / (1 − score), which the
        variance of a match is inverse to on ground of one texture. `"uniform"`: all alike. `"velocity"`: the inverse of
        the squared baseline, which fits velocities instead of displacements. `"tio"`: 1 / (1 + T²)² of the baseline T
        in years, as the script of TIO has it: a pair of two years counts a sixth of one of a year.
        `"baseline"`, `"long_baseline"`: that of `"sigma"` times median baseline over baseline, or the other way round.
        Two names, `("score", "long_baseline")` or so: what the score gives times what the baseline gives, without the
        standard errors. Or an array (pair,) or (pair, y, x) in the order of the shifts; a weight that is zero or NaN
        takes the pair out, and so does one that is negative or infinite where that is not seen before computing.
    loss
        How misclosure counts: `"linear"` squared; `"huber"` squared up to 1.856 and linearly beyond; `"tukey"` not at
        all beyond 5.123; `"l1"` linearly. In units of the pixel's own median misclosure, of the vector, and corrected
        for how much of a pair's error its misclosure shows. `"tio"`: as TIO has it, least squares and one step in
        which each weight is divided by r² + residual_scale², r being the length of the residual of the pair [m].
    smooth
        Strength of a penalty on changes of velocity [yr m-1]: from one interval between dates to the next, a change of
        the velocity by 1 / smooth costs as much as a misfit of one standard error; with weights of other kinds, as a
        misfit of 1 m of a pair of weight 1. 0: none. `"gcv"`: chosen for each
        pixel by generalised cross-validation over the dates, and lowered until what it changes is explained by the
        known noise. Pairs keep the weights that their misclosure gave them, so smoothness makes no outliers. Dates
        without pairs stay unknown.
    prior
        Series (time, y, x), `dx` and `dy` in metres at the dates of the network, whose changes of velocity are expected
        when smoothing. None: none are.
    islands
        What becomes of dates that no chain of pairs connects with the reference date. `"nan"`: unknown. `"bridge"`:
        every group of dates is moved as a whole onto one line in time, whose slope all groups share, and flagged
        `bridged`. `"separate"`: displacement since the first date of its group, flagged `disconnected`. With both, a
        pixel that lacks the reference date has a series all the same: its largest group stands in for that of the
        reference, flagged `no_reference`, on the line that is zero at the reference date, or since its first date.
    reference
        Date whose displacement is zero, or several, whose mean is; `"first"`: the first one. None: the date with which
        the fewest values of all pixels are unknown, of several that with which most ground that moves is known, then
        the one with the most pairs, then the first. The attribute `reference` says which. Of lazy shifts it is counted
        when the series is computed, which holds all shifts until then; there the displacement is zero.
    stable
        True where the ground does not move (y, x), boolean, on the grid of the shifts or on the finer one of the stack;
        dims in any order, and along one that it lacks it holds for all.
        The standard errors of each date are scaled to the spread seen there, and the displacement of this ground as a
        whole is reported by date, apart from them. None: the standard errors of the matches are believed.
    sun
        Stack, or Dataset, with `sun_azimuth` and `sun_elevation` on (time) [degree] at the dates of the shifts: what
        moves with the shadows is told from the motion and removed. None: nothing is.
    residual_scale, residual_limit
        Of the loss `"tio"` [m]: residual at which a pair counts half, about the noise of a pair, 2 if it is None; and
        residual beyond which it is clearly wrong and counts a thousandth of that, None: however large.

    Returns
    -------
    xarray.Dataset
        Series (time, y, x). `dx`, `dy`: displacement in metres of the grid since the reference date, NaN where a date
        has no pair, where its pairs do not connect it with the reference date, or where the pixel lacks the reference
        date altogether; `flags` says which, `not_converged` where the loss did not settle, `oversmoothed` at dates that
        smoothing holds farther from their pairs than noise explains, and `inconsistent` where short pairs tell more
        motion than the series has, as where long ones hold on to what stays. `sigma_dx`, `sigma_dy`:
        standard error in metres that belongs to each date, the reference date included; the one of a difference of two
        dates is their root sum of squares. What smoothing does to the motion is in them as far as the pairs show it.
        NaN where neither standard errors nor redundancy tell. On (y, x): `rms`,
        misclosure of the pairs in metres (a test of consistency, not a measure of precision), `n_pairs`, pairs with a
        value, `n_components`, the number of groups of dates that no pair connects, `n_outliers`, pairs whose misclosure
        is more than four times what it usually is in the pixel, `pair_share`, the share of the variance of the pairs
        that is their own, not that of their dates, `sigma_drift_dx` and `sigma_drift_dy`, what the noise of the pairs
        adds to the standard error of a velocity over all dates in m yr-1, as it piles up from date to date by the
        coordinate `drift_growth` (NaN if nothing tells), and `smooth` if the series is smoothed, which the
        coordinate `shares_noise` says by date. With `stable`, on (time), `geolocation_dx` and `geolocation_dy` in
        metres since the reference date: the median displacement of the stable
        ground, which is an error of the images' positions. It is not removed, and no part of sigma, since it is common
        to all pixels; subtract it, or `correct` before. NaN where no pairs with enough stable ground tell. Of shifts
        that were corrected, `sigma_shift` on (time): standard error in metres of the position of each date as a whole,
        which follows from those of the pairs. It is in no other error, since all pixels share it, and counts for a
        displacement between two dates as the root of the sum of their squares. Where a
        correction tells which part belongs to the pairs, `sigma_shift_drift` (no dims) in m yr-1: what that part adds
        to the standard error of a velocity over all dates, as it piles up from date to date.
        With `sun`, `removed_dx` and `removed_dy` (time, y, x): what was removed, in metres since the reference date,
        0 and flagged `not_corrected` where the dates do not tell it, and on (y, x) `sun_condition`.
        Lazy if `shifts` or `stable` are.

        The attribute `best_connected` names the date with the most pairs, and, of eager shifts, `better_reference` the
        date that loses the fewest values where with the given one a tenth of these, or of those that move, are unknown.

    Raises
    ------
    TypeError, ValueError
        If `shifts` are no shifts, the sun is not known at their dates or does not move between them, the reference is
        none of their dates, an option is unknown, smoothing is to join islands, weights are negative or infinite, the
        weights are on other pairs or another grid, need standard errors or scores that are not there, stable is on
        another grid or holds too little ground. What takes a look at the values is refused for eager shifts; of lazy
        ones, the pairs take no part, or stable is refused when computed.

    Notes
    -----
    Weighted least squares per pixel on the graph of the pairs. Most noise of a match belongs to its two images and
    closes around every triplet; the variances of the pairs are therefore split into a share of each date, and only the
    part that the misclosure reveals is treated as noise of the pairs, which redundancy reduces. With fewer than four
    redundant pairs the changes from date to date tell it too: noise of dates makes them alternate. Of a network with so
    few the pixels of the whole scene, up to 4000, are asked together; a single point of fewer than forty dates hardly
    tells, and its standard errors are those of good matches. A few pairs that skip a date tell.
    Of pairs without any standard error (`from_table`), the misclosure alone tells the noise, as that of the pairs.

    Shadows end on the other side of the sun, farther the lower it stands, and textures that hold shadows seem to move
    with them, back and forth each year. With `sun`, each component of a shift holds β·(s_j - s_i) of the sun at its
    dates, s = cot(elevation)·(sin(azimuth), cos(azimuth)), beside the motion of the ground. β is fitted pixel by pixel
    together with a velocity that may change from year to year, and its part is taken off the shifts before they are
    inverted: a pixel needs three dates more than there are unknowns. Motion with the seasons looks much alike and goes
    with it. `sun_condition` is the condition number of the fit with a yearly motion beside the sun's: near 1 the dates
    tell the two apart, from about 30 on hardly. What the standard error of β adds is in `sigma_dx`, `sigma_dy` and, of
    velocities, in `sigma_drift_dx`, `sigma_drift_dy`.

    The bridge is the limit of the additional rows of NSBAS (López-Quiroz et al. 2009, J. Appl. Geophys. 69, 1-15) as
    their weight tends to zero: it moves groups, and deforms none. Thresholds of the losses are those on the length of a
    vector that as much good data pass as 1.345 and 4.685 let pass of one component.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01", "2021-01-01"])
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=6)
    >>> xoffset.invert(shifts, reference="2020-01-01").sizes["time"]
    3
    """
    shifts = checks.as_shifts(shifts, "invert")
    shifts = without_uncorrected(shifts, "invert")
    shared = shift_error(shifts, "invert")
    loss_code = _options.one_of(loss, LOSSES, "loss", "invert")
    islands_code = _options.one_of(islands, ISLANDS, "islands", "invert")
    strength = _strength(smooth, islands, prior)
    residuals = _residuals(loss, residual_scale, residual_limit)
    if sun is not None:
        of_light = losses.LINEAR if loss_code == losses.RESIDUAL else loss_code
        shifts, light = sunlight.without(shifts, sun, weights, of_light)
    order, epochs, ends = checks.sorted_pairs(shifts)
    home = None if reference is None else _home(epochs, reference)

    fields = [shifts[name].data[order] for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    of_pairs, given = weighting(weights, shifts, order, in_years(epochs[ends[:, 1]] - epochs[ends[:, 0]]))
    fields += given
    observed = fields[:]
    if prior is not None:
        fields += _prior(prior, epochs, shifts)
    times = in_years(epochs - epochs[0])
    setup = solver.Setup(
        ends, times, home or (0,), loss_code, islands_code, strength, has_prior=prior is not None,
        growth=graph.growth(times, graph.undirected(ends)), **residuals, **of_pairs,
    )  # fmt: skip
    is_lazy = not all(isinstance(field, np.ndarray) for field in observed)
    # nothing is counted where nothing is known yet and nothing depends on it
    kept: Any = None if is_lazy and home else _kept(observed, setup, is_exact=home is None)
    if home is None and not is_lazy:
        home = (solver.best_reference(kept, ends),)
        setup = replace(setup, home=home)
    likely = pair_shares(observed[:4], ends, times)
    table = scene.table(stable, shifts, order, setup, likely, kept if home is None else None)
    has_sigma_weights = setup.is_relative or not setup.is_weighted
    total = None if shared is None or not has_sigma_weights else uneven(shared[order], observed[:4])
    found = scene.solve(fields, table, setup, total)
    step = {
        "function": "invert", "weights": _told(weights), "loss": loss,
        "smooth": smooth if isinstance(smooth, str) else float(smooth), "prior": prior is not None,
        "islands": islands, "reference": ", ".join(str(epochs[k]) for k in home) if home else COUNTED,
        "stable": stable is not None, **residuals,
    } | ({} if sun is None else {"sun": light.told})  # fmt: skip
    names = ("geolocation_dx", "geolocation_dy")
    places = {} if stable is None else {name: table[scene.TABLE.at(name)] for name in names}
    if shared is not None:
        places[SHIFT_ERROR] = of_dates(shared[order], ends, epochs.size).astype(shifts["dx"].dtype)
        walked = drift(shifts, "invert")
        places |= {} if walked is None else {SHIFT_DRIFT: walked.astype(shifts["dx"].dtype)}
    variables = _fields(found, setup)
    if sun is not None:
        root = strips.SeriesLayers.of(found, epochs.size).root
        variables = light.carried(variables, table[scene.TABLE.at("is_home")], root)
    series = products.series(
        variables | places, epochs, like=shifts, step=step, shares_noise=bool(strength), growth=setup.growth
    )
    series.attrs["reference"] = step["reference"]
    best = graph.degree(epochs.size, graph.undirected(ends))
    series.attrs["best_connected"] = str(epochs[int(np.argmax(best))])
    better = None if is_lazy else solver.better_reference(kept, ends, setup.home)
    return series if better is None else series.assign_attrs(better_reference=str(epochs[better]))


def _kept(observed: list[Any], setup: solver.Setup, is_exact: bool) -> Any:
    """Displacements that are known with each date as reference, (2, date) as of `solver.kept`, NumPy or dask.

    is_exact: or of a quarter of the nodes.
    """
    rows, columns = observed[0].shape[1:]
    if not is_exact and rows * columns > MANY:
        observed = [field[:, ::2, ::2] for field in observed]
    count = partial(solver.kept, setup=replace(setup, has_prior=False))
    return pixels.total(count, observed, (2, setup.times.size))


def _fields(found: Any, setup: solver.Setup) -> dict[str, Any]:
    """Variables of the series from the layers of the solver."""
    layers = strips.SeriesLayers.of(found, setup.times.size)
    dx, dy = layers.displacement
    state = layers.state
    # states that the options leave out need no look
    rare = {groups.OWN_ZERO: setup.islands != groups.NAN, groups.FAR: setup.smooth != 0.0}
    flags = sum((state == code) * np.int64(FLAGS[name]) for code, name in _STATES.items() if rare.get(code, True))
    is_known, is_told = np.isfinite(dx), state == groups.CONNECTED
    for code in (code for code, may_be in rare.items() if may_be):
        is_told = is_told | (state == code)
    # smoothness that drowns the pairs leaves nothing either
    is_open = ((layers.has_settled == 0.0) & is_known) | (is_told & ~is_known)
    flags = flags | is_open * np.int64(FLAGS["not_converged"])
    flags = flags | ((layers.is_inconsistent > 0.0) & is_known) * np.int64(FLAGS["inconsistent"])
    if setup.islands == groups.BRIDGE:
        is_bridged = (state == groups.DISCONNECTED) & np.isfinite(dx)
        flags = flags + is_bridged * np.int64(FLAGS["bridged"] - FLAGS["disconnected"])
        # the line leads to the reference, and no pair does
        flags = flags | (state == groups.OWN_ZERO) * np.int64(FLAGS["bridged"])
    fields = {
        "dx": dx, "dy": dy, "sigma_dx": np.sqrt(layers.variance[0]), "sigma_dy": np.sqrt(layers.variance[1]),
        "flags": flags, "rms": layers.misclosure, "n_pairs": layers.n_pairs.astype(np.int32),
        "n_components": layers.n_groups.astype(np.int32), "n_outliers": layers.n_outliers.astype(np.int32),
        "pair_share": layers.share, "sigma_drift_dx": np.sqrt(layers.drift[0]),
        "sigma_drift_dy": np.sqrt(layers.drift[1]),
    }  # fmt: skip
    return fields | ({"smooth": layers.smooth} if setup.smooth else {})


# -------------------------------------------------------------------------------------------------------------- checks


def _told(weights: Any) -> str:
    """What the history says of the weights."""
    if isinstance(weights, str):
        return weights
    are_names = isinstance(weights, (tuple, list)) and all(isinstance(each, str) for each in weights)
    return ", ".join(weights) if are_names else "array"


def _strength(smooth: Any, islands: str, prior: xr.Dataset | None) -> float:
    """Strength of the smoothness, below zero if it is to be found."""
    is_found = isinstance(smooth, str) and smooth == "gcv"
    if not is_found and not (_options.is_number(smooth) and smooth >= 0.0):
        raise ValueError(
            f"invert() needs smooth as a number of at least 0 [yr m-1], or 'gcv'; got {smooth!r}. Pass 0 for none."
        )
    strength = -1.0 if is_found else float(smooth)
    if strength and islands != "nan":
        raise ValueError(
            f"invert() needs islands='nan' where it smooths; got {islands!r}: a smooth series would join them unseen. "
            "Leave smooth or islands out."
        )
    if prior is not None and not strength:
        raise ValueError("invert() needs smooth with a prior; got smooth=0. Pass one, or leave the prior out.")
    return strength


def _residuals(loss: str, scale: Any, limit: Any) -> dict[str, Any]:
    """Options of the setup for the loss of TIO; nothing for others."""
    if loss != "tio":
        if scale is not None or limit is not None:
            raise ValueError(
                f"invert() needs loss='tio' for residual_scale and residual_limit; got loss={loss!r}. Leave them out."
            )
        return {}
    given = {"residual_scale": RESIDUAL_SCALE if scale is None else scale}
    given |= {} if limit is None else {"residual_limit": limit}
    return {name: _options.as_positive(each, name, "invert", unit="m", example=2.0) for name, each in given.items()}


def _home(epochs: np.ndarray, reference: Any) -> tuple[int, ...]:
    """Indices of the dates whose mean displacement is zero."""
    if isinstance(reference, str) and reference == "first":
        return (0,)
    if isinstance(reference, (xr.DataArray, pd.Series)):
        reference = reference.values
    several = isinstance(reference, (list, tuple, np.ndarray, pd.DatetimeIndex)) and np.ndim(reference) == 1
    if several and not len(reference):
        raise ValueError(
            "invert() needs at least one date as reference; got none. Write it as '2020-06-01T10:30', or leave it out."
        )
    dates = reference if several else [reference]
    return tuple(sorted({index_of_date(epochs, each, "reference", "invert") for each in dates}))


def _prior(prior: xr.Dataset, epochs: np.ndarray, shifts: xr.Dataset) -> list[Any]:
    """Displacements of the prior (date, rows, columns) at the dates of the network."""
    prior = checks.as_series(prior, "invert")
    dates = as_dates(prior["time"].values)
    missing = epochs[~np.isin(epochs, dates)]
    if missing.size or not grids.is_same(prior, shifts):
        got = f"none at {missing[0]}" if missing.size else "another grid or CRS"
        raise ValueError(
            f"invert() needs a prior at the dates and on the grid of the shifts; got {got}. "
            "Invert the same shifts, or resample the prior."
        )
    rows = np.searchsorted(dates, epochs)
    return [prior[name].data[rows] for name in ("dx", "dy")]
