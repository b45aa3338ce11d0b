"""invert(): from a network of shifts to displacement through time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset._arrays.layers import Layers
from xoffset._arrays.networks import graph, solver, strips
from xoffset._arrays.networks.observations import Observations
from xoffset._blocks import pixels
from xoffset._blocks.whole import at_once
from xoffset._kernels.networks import groups, losses
from xoffset.model import checks, grids, products
from xoffset.model.dates import Date, as_dates, in_years, index_of_date
from xoffset.model.declared import decoded, in_metres
from xoffset.model.flags import FLAGS
from xoffset.model.points import takes_points
from xoffset.model.stable import on_nodes

Weights = Literal["sigma", "score", "uniform", "velocity", "baseline", "long_baseline"]

LOSSES = {"linear": losses.LINEAR, "huber": losses.HUBER, "tukey": losses.TUKEY, "l1": losses.L1}
ISLANDS = {"nan": groups.NAN, "bridge": groups.BRIDGE, "separate": groups.SEPARATE}
_STATES = {
    groups.NO_PAIRS: "no_pairs",
    groups.DISCONNECTED: "disconnected",
    groups.NO_REFERENCE: "no_reference",
}
# A score that no weight rewards beyond, so that none is infinite.
BEST_SCORE = 0.99
# Vectors that a pair needs on stable ground for its spread to count.
LEAST = 20
# Vectors of all pairs together that are looked at, at most: of a larger scene every so many nodes are.
SAMPLE = 4_000_000
# Stable ground tells the variance of a date with little noise poorly, so it may lower it to this share at most.
LEAST_FACTOR = 0.1
# Table of stable ground (layer, date): factors of the variances along x and y, displacement of the whole [m].
_STABLE = Layers(factor=2, geolocation_dx=(), geolocation_dy=())


@takes_points
def invert(
    shifts: xr.Dataset,
    *,
    weights: Weights | xr.DataArray | np.ndarray = "sigma",
    loss: Literal["linear", "huber", "tukey", "l1"] = "huber",
    smooth: float | Literal["gcv"] = 0.0,
    prior: xr.Dataset | None = None,
    islands: Literal["nan", "bridge", "separate"] = "nan",
    reference: Date | Sequence[Date] | None = None,
    stable: xr.DataArray | None = None,
) -> xr.Dataset:
    """Displacement at every date from a network of pairwise shifts.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate` or `screen`; pairs may be missing (NaN) in any pixel. All matches of the
        same two dates, repeated or backward, count as one.
    weights
        One weight for both components of a pair. `"sigma"`: the inverse of the mean of the two variances; a pair
        without positive finite standard errors takes no part. `"score"`: score / (1 − score), which the variance of a
        match is inverse to on ground of one texture. `"uniform"`: all alike. `"velocity"`: the inverse of the squared
        baseline, which fits velocities instead of displacements. `"baseline"`, `"long_baseline"`: that of `"sigma"`
        times median baseline over baseline, or the other way round. Or an array (pair,) or (pair, y, x) in the order
        of the shifts; a weight that is zero or NaN takes the pair out, and so does one that is negative or infinite
        where that is not seen before computing.
    loss
        How misclosure counts: `"linear"` squared; `"huber"` squared up to 1.856 and linearly beyond; `"tukey"` not at
        all beyond 5.123; `"l1"` linearly. In units of the pixel's own median misclosure, of the vector, and corrected
        for how much of a pair's error its misclosure shows.
    smooth
        Strength of a penalty on changes of velocity [yr m-1]: from one interval between dates to the next, a change of
        the velocity by 1 / smooth costs as much as a misfit of one standard error; with weights of other kinds, as a
        misfit of 1 m of a pair of weight 1. 0: none. `"gcv"`: chosen for each
        pixel by generalised cross-validation over the dates. Pairs keep the weights that their misclosure gave them, so
        smoothness makes no outliers. Dates without pairs stay unknown.
    prior
        Series (time, y, x), `dx` and `dy` in metres at the dates of the network, whose changes of velocity are expected
        when smoothing. None: none are.
    islands
        What becomes of dates that no chain of pairs connects with the reference date. `"nan"`: unknown. `"bridge"`:
        every group of dates is moved as a whole onto one line in time, whose slope all groups share, and flagged
        `bridged`. `"separate"`: displacement since the first date of its group, flagged `disconnected`.
    reference
        Date whose displacement is zero, or several, whose mean is. None: the date with the most pairs, the first of
        them; the attribute `reference` says which.
    stable
        True where the ground does not move (y, x), boolean, on the grid of the shifts or on the finer one of the stack;
        dims in any order, and along one that it lacks it holds for all.
        The standard errors of each date are scaled to the spread seen there, and the displacement of this ground as a
        whole is reported by date, apart from them. None: the standard errors of the matches are believed.

    Returns
    -------
    xarray.Dataset
        Series (time, y, x). `dx`, `dy`: displacement in metres of the grid since the reference date, NaN where a date
        has no pair, where its pairs do not connect it with the reference date, or where the pixel lacks the reference
        date altogether; `flags` says which, and `not_converged` where the loss did not settle. `sigma_dx`, `sigma_dy`:
        standard error in metres that belongs to each date, the reference date included; the one of a difference of two
        dates is their root sum of squares. What smoothing does to the motion is not in them. NaN where neither standard
        errors nor redundancy tell. On (y, x): `rms`,
        misclosure of the pairs in metres (a test of consistency, not a measure of precision), `n_pairs`, pairs with a
        value, `n_components`, the number of groups of dates that no pair connects, `n_outliers`, pairs whose misclosure
        is more than four times what it usually is in the pixel, `pair_share`, the share of the variance of the pairs
        that is their own, not that of their dates, `sigma_drift_dx` and `sigma_drift_dy`, what the noise of the pairs
        adds to the standard error of a velocity over all dates in m yr-1, as it piles up from date to date by the
        coordinate `drift_growth` (NaN without standard errors), and `smooth` if the series is smoothed, which the
        coordinate `shares_noise` says by date. With `stable`, on (time), `geolocation_dx` and `geolocation_dy` in
        metres since the reference date: the median displacement of the stable
        ground, which is an error of the images' positions. It is not removed, and no part of sigma, since it is common
        to all pixels; subtract it, or `correct` before. NaN where no pairs with enough stable ground tell.
        Lazy if `shifts` or `stable` are.

        The attribute `best_connected` names the date with the most pairs, and, of eager shifts, `better_reference` the
        date that most pixels have where the reference is missing in more than a tenth of these.

    Raises
    ------
    TypeError, ValueError
        If `shifts` are no shifts, the reference is none of their dates, an option is unknown, smoothing is to join
        islands, weights are negative or infinite, the weights are on other pairs or another grid, need standard errors
        or scores that are not there, stable is on another grid or holds too little ground. What takes a look at the
        values is refused for eager shifts; of lazy ones, the pairs take no part, or stable is refused when computed.

    Notes
    -----
    Weighted least squares per pixel on the graph of the pairs. Most noise of a match belongs to its two images and
    closes around every triplet; the variances of the pairs are therefore split into a share of each date, and only the
    part that the misclosure reveals is treated as noise of the pairs, which redundancy reduces. A network without
    redundancy reveals nothing: there all is taken for that of the pairs, the worse for displacements over many dates,
    and with up to four redundant pairs as much as may well be.
    Of pairs without any standard error (`from_table`), the misclosure alone tells the noise, as that of the pairs.

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
    loss_code = _options.one_of(loss, LOSSES, "loss", "invert")
    islands_code = _options.one_of(islands, ISLANDS, "islands", "invert")
    strength = _strength(smooth, islands, prior)
    order, epochs, ends = checks.sorted_pairs(shifts)
    home = _home(epochs, ends, reference)

    fields = [shifts[name].data[order] for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    weighting, given = _weighting(weights, shifts, order, in_years(epochs[ends[:, 1]] - epochs[ends[:, 0]]))
    fields += given
    if prior is not None:
        fields += _prior(prior, epochs, shifts)
    times = in_years(epochs - epochs[0])
    setup = solver.Setup(
        ends, times, home, loss_code, islands_code, strength, has_prior=prior is not None,
        growth=graph.growth(times, graph.undirected(ends)), **weighting,
    )  # fmt: skip
    table = None if stable is None else _table(stable, shifts, order, setup)
    if table is None:
        found = pixels.per_pixel(partial(solver.solve, setup=setup), fields, setup.layers)
    else:
        found = pixels.per_pixel_of(partial(_solve_with, setup=setup), fields, table, setup.layers)
    step = {
        "function": "invert", "weights": weights if isinstance(weights, str) else "array", "loss": loss,
        "smooth": smooth if isinstance(smooth, str) else float(smooth), "prior": prior is not None,
        "islands": islands, "reference": ", ".join(str(epochs[k]) for k in home), "stable": stable is not None,
    }  # fmt: skip
    names = ("geolocation_dx", "geolocation_dy")
    places = {} if table is None else {name: table[_STABLE.at(name)] for name in names}
    series = products.series(
        _fields(found, setup) | places, epochs, like=shifts, step=step, shares_noise=bool(strength), growth=setup.growth
    )
    series.attrs["reference"] = step["reference"]
    best = graph.degree(epochs.size, graph.undirected(ends))
    series.attrs["best_connected"] = str(epochs[int(np.argmax(best))])
    better = _better(fields[0], ends, home, epochs)
    return series if better is None else series.assign_attrs(better_reference=better)


def _fields(found: Any, setup: solver.Setup) -> dict[str, Any]:
    """Variables of the series from the layers of the solver."""
    layers = strips.SeriesLayers.of(found, setup.times.size)
    dx, dy = layers.displacement
    state = layers.state
    flags = sum((state == code) * np.int64(FLAGS[name]) for code, name in _STATES.items())
    # smoothness that drowns the pairs leaves nothing either
    is_open = ((layers.has_settled == 0.0) & np.isfinite(dx)) | ((state == groups.CONNECTED) & ~np.isfinite(dx))
    flags = flags | is_open * np.int64(FLAGS["not_converged"])
    if setup.islands == groups.BRIDGE:
        is_bridged = (state == groups.DISCONNECTED) & np.isfinite(dx)
        flags = flags + is_bridged * np.int64(FLAGS["bridged"] - FLAGS["disconnected"])
    fields = {
        "dx": dx, "dy": dy, "sigma_dx": np.sqrt(layers.variance[0]), "sigma_dy": np.sqrt(layers.variance[1]),
        "flags": flags, "rms": layers.misclosure, "n_pairs": layers.n_pairs.astype(np.int32),
        "n_components": layers.n_groups.astype(np.int32), "n_outliers": layers.n_outliers.astype(np.int32),
        "pair_share": layers.share, "sigma_drift_dx": np.sqrt(layers.drift[0]),
        "sigma_drift_dy": np.sqrt(layers.drift[1]),
    }  # fmt: skip
    return fields | ({"smooth": layers.smooth} if setup.smooth else {})


# ------------------------------------------------------------------------------------------------------- stable ground


def _table(stable: xr.DataArray, shifts: xr.Dataset, order: Any, setup: solver.Setup) -> Any:
    """Table of `_of_stable_ground`, NumPy or dask."""
    mask = on_nodes(stable, shifts, "invert")
    stride = math.ceil(math.sqrt(shifts["dx"].size / SAMPLE))
    fields = [shifts[name].data[order][..., ::stride, ::stride] for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    fit = partial(_of_stable_ground, setup=setup)
    return at_once(fit, [*fields, mask[::stride, ::stride]], np.dtype(np.float64), (_STABLE.count, setup.times.size))


def _of_stable_ground(*fields: np.ndarray, setup: solver.Setup) -> np.ndarray:
    """Table as `_STABLE` says."""
    observed = Observations.of(setup.ends)
    ends = observed.ends
    merged = observed.merge(*(field[:, fields[4]][:, np.newaxis] for field in fields[:4]))
    known = np.asarray(np.isfinite(merged[:, :, 0]).all(axis=0))
    enough = known.sum(axis=1) >= LEAST
    if not enough.any() and not np.isfinite(merged[2:]).any() and np.isfinite(merged[:2]).any():
        raise ValueError(
            "invert() needs standard errors of the shifts to scale them to stable ground; got none. Leave stable out."
        )
    if not enough.any():
        raise ValueError(
            f"invert() needs {LEAST} vectors on stable ground in at least one pair; got at most "
            f"{known.sum(axis=1).max(initial=0)}. Enlarge stable, or leave it out."
        )
    median, seen, expected = np.full((3, 2, len(ends)), np.nan)
    for pair in np.flatnonzero(enough):
        vectors = merged[:, pair, 0][:, known[pair]]
        median[:, pair] = np.median(vectors[:2], axis=1)
        spread = 1.4826 * np.median(np.abs(vectors[:2] - median[:, pair, np.newaxis]), axis=1)
        seen[:, pair], expected[:, pair] = spread**2, np.median(vectors[2:], axis=1)
    table = np.ones((_STABLE.count, setup.times.size))
    stable = _STABLE.split(table)
    for axis in range(2):
        of_dates = np.empty((2, setup.times.size, 1, 1))
        for variance, out in zip((seen[axis], expected[axis]), of_dates, strict=True):
            solver.date_variance(ends, variance[:, np.newaxis, np.newaxis], out)
        factor = np.maximum(of_dates[0] / of_dates[1], LEAST_FACTOR)[:, 0, 0]
        stable["factor"][axis] = np.where(np.isfinite(factor), factor, 1.0)
    # the whole moves as one pixel would
    whole = replace(setup, ends=ends, base=np.ones(len(ends)), is_relative=False, has_field=False, has_prior=False,
                    smooth=0.0, islands=groups.NAN)  # fmt: skip
    pixel = [array[:, np.newaxis, np.newaxis] for array in (*median, *np.ones_like(median))]
    moved = strips.SeriesLayers.of(solver.solve(*pixel, setup=whole), setup.times.size).displacement
    stable["geolocation_dx"][:], stable["geolocation_dy"][:] = moved[:, :, 0, 0]
    return table


def _solve_with(table: np.ndarray, *fields: np.ndarray, setup: solver.Setup) -> np.ndarray:
    return solver.solve(*fields, setup=replace(setup, factor=np.ascontiguousarray(table[_STABLE["factor"]])))


# -------------------------------------------------------------------------------------------------------------- checks


def _strength(smooth: Any, islands: str, prior: xr.Dataset | None) -> float:
    """Strength of the smoothness, below zero if it is to be found."""
    is_found = isinstance(smooth, str) and smooth == "gcv"
    if not is_found and not (_options.is_number(smooth) and smooth >= 0.0):
        raise ValueError(
            f"invert() needs smooth as a number of at least 0 [yr m-1], or 'gcv'; got {smooth!r}. Try smooth='gcv'."
        )
    strength = -1.0 if is_found else float(smooth)
    if strength and islands != "nan":
        raise ValueError(
            f"invert() needs islands='nan' where it smooths; got {islands!r}: a smooth series would join them unseen. "
            "Leave smooth or islands out."
        )
    if prior is not None and not strength:
        raise ValueError("invert() needs smooth with a prior; got smooth=0. Pass smooth='gcv', or leave the prior out.")
    return strength


def _home(epochs: np.ndarray, ends: np.ndarray, reference: Any) -> tuple[int, ...]:
    """Indices of the dates whose mean displacement is zero."""
    if reference is None:
        return (int(np.argmax(graph.degree(epochs.size, graph.undirected(ends)))),)
    if isinstance(reference, (xr.DataArray, pd.Series)):
        reference = reference.values
    several = isinstance(reference, (list, tuple, np.ndarray, pd.DatetimeIndex)) and np.ndim(reference) == 1
    if several and not len(reference):
        raise ValueError(
            "invert() needs at least one date as reference; got none. Write it as '2020-06-01T10:30', or leave it out."
        )
    dates = reference if several else [reference]
    return tuple(sorted({index_of_date(epochs, each, "reference", "invert") for each in dates}))


def _weighting(weights: Any, shifts: xr.Dataset, order: Any, baseline: np.ndarray) -> tuple[dict[str, Any], list[Any]]:
    """Options of the setup that say how pairs weigh, and the field of weights, if any, both in the order of the ends.

    order: of the shifts in that of the ends; baseline (pair,) [yr] in that of the ends.
    """
    if not isinstance(weights, str):
        return _of_array(weights, shifts, order)
    if weights in ("sigma", "baseline", "long_baseline"):
        sigma = shifts["sigma_dx"].data
        if isinstance(sigma, np.ndarray) and np.isnan(sigma).all() and np.isfinite(shifts["dx"].data).any():
            raise ValueError(
                f"invert() needs standard errors for weights={weights!r}; got none. Pass weights='uniform'."
            )
    length = np.abs(baseline)
    relative = length / np.median(length)
    bases = {"uniform": np.ones_like(length), "velocity": length**-2.0}
    scaled = {"baseline": 1.0 / relative, "long_baseline": relative}
    if weights == "sigma":
        return {}, []
    if weights in bases:
        return {"base": bases[weights]}, []
    if weights in scaled:
        return {"base": scaled[weights], "is_relative": True}, []
    if weights != "score":
        raise ValueError(
            "invert() needs weights 'sigma', 'score', 'uniform', 'velocity', 'baseline', 'long_baseline' or an array; "
            f"got {weights!r}. Choose one of these."
        )
    if "score" not in shifts or shifts["score"].dims != ("pair", "y", "x"):
        raise ValueError(
            "invert() needs 'score' (pair, y, x) for weights='score'; got shifts without it. Pass weights='sigma'."
        )
    score = np.clip(shifts["score"].data.astype(shifts["dx"].dtype), 0.0, BEST_SCORE)
    return {"has_field": True}, [(score / (1.0 - score))[order]]


def _of_array(weights: Any, shifts: xr.Dataset, order: Any) -> tuple[dict[str, Any], list[Any]]:
    dims, shape = shifts["dx"].dims, shifts["dx"].shape
    if isinstance(weights, xr.DataArray):
        weights = decoded(in_metres(weights, "invert"), "weights", "invert", wanted=None)
        shared = [name for name in ("reference", "secondary", "y", "x") if name in weights.coords]
        is_alike = all(np.array_equal(weights[name].values, shifts[name].values) for name in shared)
        if weights.dims not in (dims[:1], dims) or not is_alike:
            raise ValueError(
                f"invert() needs weights with dims {dims[:1]} or {dims}, on the pairs and the grid of the shifts; got "
                f"{weights.dims}{'' if is_alike else ' with other coordinates'}. Reorder: weights.transpose(...), or "
                "align them."
            )
        weights = weights.data
    if isinstance(weights, xr.Dataset):
        raise TypeError(
            "invert() needs an array of weights; got a Dataset. Pick one of its variables: weights['score']."
        )
    # what is lazy stays lazy
    values = weights if hasattr(weights, "dask") else np.asarray(weights)
    if values.dtype.kind not in "iuf" or values.shape not in (shape[:1], shape):
        raise ValueError(
            f"invert() needs an array of weights with shape {shape[:1]} or {shape}; got {values.dtype} {values.shape}. "
            "Pass one number a pair, or one a pair and pixel."
        )
    if isinstance(values, np.ndarray) and ((values < 0) | np.isinf(values)).any():
        raise ValueError(
            "invert() needs weights that are neither negative nor infinite; got some. Set those to 0 to drop pairs."
        )
    if values.ndim == 1 and isinstance(values, np.ndarray):
        return {"base": values.astype(np.float64)[order]}, []
    field = values if values.ndim == 3 else np.broadcast_to(values[:, np.newaxis, np.newaxis], shape)
    return {"has_field": True}, [field.astype(np.float64)[order]]


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


def _better(dx: Any, ends: np.ndarray, home: tuple[int, ...], epochs: np.ndarray) -> str | None:
    """Date that most pixels have, if many of them lack the reference; None if the shifts are lazy."""
    if not isinstance(dx, np.ndarray):
        return None
    has_value = np.isfinite(dx)
    count = np.array([has_value[(ends == k).any(axis=1)].any(axis=0).sum() for k in range(epochs.size)])
    best = int(np.argmax(count))
    return str(epochs[best]) if count[list(home)].min() < 0.9 * count[best] else None
