"""Errors of the reference of whole pairs, which all nodes of a map share, carried on to what is made of the pairs.

A correction tells the shift of a pair from the vectors on stable ground, and knows it as well as these allow. Its
standard error `sigma_shift` is beside those of the vectors: it adds to each of them and cancels in their differences.
"""

from __future__ import annotations

import functools
import inspect
import logging
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ParamSpec

import numpy as np
import xarray as xr

from xoffset._arrays.networks import graph, solver
from xoffset._blocks import whole
from xoffset.model import checks, noise, products
from xoffset.model.dates import in_years
from xoffset.model.declared import decoded
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.tables import IS_CORRECTED, SHIFT_DRIFT, SHIFT_ERROR, SHIFT_ERROR_PARTS, Table, shared_error_of

P = ParamSpec("P")
_log = logging.getLogger(__name__)

# Nodes of which the median tells the standard error that a pair or a date usually has, at most.
SAMPLE = 4000
# Displacement [m] of the date whose part in a result is asked for: far below any noise, so that it changes no weight.
_SMALL = 1e-6
# Ratio of the weights of two pairs from which on it matters that they do not know the errors of the pairs as wholes.
_UNEVEN = 1.1
# Nodes in which pairs err by themselves, at most: of more pairs the error is told to some 3 %.
PROBES = 400
# Options that leave the weights to the standard errors alone, and values of options that the data decide.
WITH_PLAIN_WEIGHTS = {"loss": "linear", "bootstrap": 0, "min_pairs": 1}
TOLD_BY_DATA = {"steps": "search", "max_separation": "auto"}


def shift_error(data: xr.Dataset, caller: str, name: str = SHIFT_ERROR) -> Any | None:
    """Standard errors of the reference of each pair or date [m], NumPy or dask, NaN where unknown; None if none are.

    name: of the variable that holds them, or a part of them.

    Raises
    ------
    TypeError
        If they are no real numbers.
    ValueError
        If their dims are not those of pairs or dates, or their units no lengths.
    """
    if name not in data:
        return None
    dim = "pair" if "pair" in data.dims else "time"
    sigma = data[name]
    if sigma.dims != (dim,):
        raise ValueError(
            f"{caller}() needs '{name}' with the dim '{dim}'; got {sigma.dims}. Keep what correct() or invert() "
            f"gave, or leave it out: drop_vars('{name}')."
        )
    if sigma.dtype.kind not in "iuf":
        raise TypeError(
            f"{caller}() needs real numbers in '{name}'; got dtype {sigma.dtype}. Keep what correct() gave."
        )
    values = decoded(sigma, f"'{name}'", caller, wanted="m").data.astype(np.float64)
    return np.where(np.isfinite(values) & (values >= 0.0), values, np.nan)


def parts_of(data: xr.Dataset, caller: str) -> tuple[Any, Any]:
    """Parts (pair,) of `sigma_shift` [m] that belong to the two dates of each pair, and to the pair alone.

    Where they are not told, all of it belongs to the dates. NaN where `sigma_shift` is.

    Raises
    ------
    TypeError, ValueError
        As for `shift_error`.
    """
    total: Any = shift_error(data, caller)
    of_dates, own = (shift_error(data, caller, name) for name in SHIFT_ERROR_PARTS)
    if of_dates is None or own is None:
        return total, 0.0 * total
    is_told = np.isfinite(of_dates) & np.isfinite(own)
    return np.where(is_told, of_dates + 0.0 * total, total), np.where(is_told, own, 0.0) + 0.0 * total


def after_correction(shifts: xr.Dataset, sigma: Any, parts: Any) -> dict[str, Any]:
    """Standard errors (pair,) of pairs as wholes and their parts (2, pair) by name, after a correction of the shifts.

    Where it tells none, those of an earlier one stay.
    """
    errors = dict(zip((SHIFT_ERROR, *SHIFT_ERROR_PARTS), (sigma, *parts), strict=True))
    if SHIFT_ERROR not in shifts:
        return errors
    before = {name: shifts[name].data if name in shifts else np.nan for name in errors}
    return {name: np.where(np.isfinite(sigma), each, before[name]) for name, each in errors.items()}


def drift(data: xr.Dataset, caller: str) -> Any | None:
    """Standard error [m yr-1] of a velocity through the series of these pairs, by errors of pairs that pile up.

    It is what a line through all dates, which count alike, errs by beyond the standard errors of the dates. None of
    pairs that do not tell which part of their errors is their own.

    Raises
    ------
    TypeError, ValueError
        As for `shift_error`.
    """
    if not set(SHIFT_ERROR_PARTS) <= set(data.variables):
        return None
    order, epochs, ends = checks.sorted_pairs(data)
    total: Any = shift_error(data, caller)
    errors = [each[order] for each in (total, *parts_of(data, caller))]
    times = in_years(epochs - epochs[0])
    return whole.at_once(partial(_drift, ends=ends, times=times), errors, np.dtype(np.float64), (1,))[0]


def _drift(total: np.ndarray, of_dates: np.ndarray, own: np.ndarray, ends: np.ndarray, times: np.ndarray) -> np.ndarray:
    known = np.isfinite(total)
    if not known.any():
        return np.array([np.nan])
    ends, dates = ends[known], times.size
    lever = times - times.mean()
    lever /= max(lever @ lever, 1e-300)
    # a pair moves all that comes after it, as far as no other pair holds it
    normal = np.equal.outer(*2 * [graph.components(dates, ends)]).astype(np.float64)
    np.add.at(normal, (ends, ends), 1.0)
    np.subtract.at(normal, (ends, ends[:, ::-1]), 1.0)
    rise = np.linalg.solve(normal, lever)
    of_pairs = (rise[ends[:, 1]] - rise[ends[:, 0]]) * own[known]
    alone, held = (_of_dates(each[known], ends, dates) for each in (of_dates, total))
    # dates without pairs have neither
    square = of_pairs @ of_pairs + np.nansum(lever**2 * (alone**2 - held**2))
    return np.array([np.sqrt(max(square, 0.0))])


def of_dates(sigma: Any, ends: np.ndarray, dates: int) -> Any:
    """Standard error (date,) that each date has of those of its pairs (pair,), NumPy or dask; NaN where none is known.

    As with the noise of images, errors of stable ground belong to dates: those of a pair are the sum of both.
    ends (pair, 2).
    """
    return whole.at_once(partial(_of_dates, ends=ends, dates=dates), [sigma], np.dtype(np.float64), (dates,))


def _of_dates(sigma: np.ndarray, ends: np.ndarray, dates: int) -> np.ndarray:
    variance = np.empty((dates, 1, 1))
    solver.date_variance(ends, (sigma**2)[:, np.newaxis, np.newaxis], variance)
    return np.sqrt(variance[:, 0, 0])


def uneven(sigma: Any, fields: list[Any]) -> Any:
    """Variances [m²] of the reference of pairs (pair,), NumPy or dask, to be added to those that weigh their vectors.

    All are 0 where that changes hardly how the pairs weigh to one another, at nodes with the standard errors that are
    usual in each. sigma (pair,): of `shift_error`; fields: dx, dy and their standard errors (pair, rows, columns).
    """
    nodes = math.prod(fields[0].shape[1:])
    given = [sigma, *whole.sample(fields, nodes, SAMPLE)]
    return whole.at_once(_uneven, given, np.dtype(np.float64), sigma.shape)


def _uneven(sigma: np.ndarray, *fields: np.ndarray) -> np.ndarray:
    variance = np.where(np.isfinite(sigma), sigma**2, 0.0)
    growth = 1.0 + variance / _usual(*fields) ** 2
    known = growth[np.isfinite(growth)]
    is_alike = not known.size or known.max() <= _UNEVEN * known.min()
    return np.zeros_like(variance) if is_alike else variance


def without_uncorrected(data: xr.Dataset, caller: str) -> xr.Dataset:
    """Shifts without the vectors that `correct` left as they were; anything else comes back as it is.

    They are wrong by their whole shift, which their standard errors do not hold: where they tie dates together, all
    later dates would be. They are those of pairs that were not corrected, or whose `sigma_shift` is not known unless
    none is, and of nodes flagged `not_corrected`. A line in the log counts them.

    Raises
    ------
    TypeError, ValueError
        If what tells them is not of pairs, or of another kind.
    """
    if "pair" not in data.dims or not {IS_CORRECTED, SHIFT_ERROR} & set(data.variables):
        return data
    sigma, is_corrected = shift_error(data, caller), is_corrected_of(data, caller)
    given = [is_corrected] if sigma is None else [is_corrected, sigma]
    shape = (data.sizes["pair"],)
    takes_part = whole.at_once(partial(_takes_part, caller=caller), given, np.dtype(np.bool_), shape)
    if not (isinstance(takes_part, np.ndarray) and takes_part.all()):
        stays = xr.DataArray(takes_part, dims="pair")
        names = [name for name in ("dx", "dy", SHIFT_ERROR, *SHIFT_ERROR_PARTS) if name in data]
        data = data.assign({name: data[name].where(stays) for name in names})
    return _without_nodes(data, caller)


def _without_nodes(data: xr.Dataset, caller: str) -> xr.Dataset:
    """Shifts without the vectors of nodes that are flagged `not_corrected`."""
    if "flags" not in data:
        return data
    is_left = (flags_of(data, caller) & np.int64(FLAGS["not_corrected"])) != 0
    if isinstance(is_left, np.ndarray):
        lost = int((is_left & np.isfinite(data["dx"].data)).sum()) if is_left.any() else 0
        if not lost:
            return data
        _log.warning(
            "%s(): %d vectors of single nodes, whose stripe, elevation, jitter or height was not known, were not "
            "corrected and take no part: see the flag not_corrected.",
            caller, lost,
        )  # fmt: skip
    stays = xr.DataArray(~is_left, dims=data["dx"].dims)
    return data.assign({name: data[name].where(stays) for name in ("dx", "dy")})


def is_corrected_of(data: xr.Dataset, caller: str) -> Any:
    """Whether the shift of each pair was taken off (pair,), NumPy or dask; true of shifts that do not tell.

    Raises
    ------
    ValueError
        If it is told of something else than pairs, or in another type.
    """
    if IS_CORRECTED not in data.variables:
        return np.ones(data.sizes["pair"], dtype=np.bool_)
    told = data[IS_CORRECTED]
    if told.dims != ("pair",) or told.dtype.kind not in "biuf":
        raise ValueError(
            f"{caller}() needs 1 or 0 with the dim 'pair' in '{IS_CORRECTED}'; got {told.dtype} with {told.dims}. "
            f"Keep what correct() gave, or leave it out: drop_vars('{IS_CORRECTED}')."
        )
    return told.data == 1


def _takes_part(is_corrected: np.ndarray, *sigma: np.ndarray, caller: str) -> np.ndarray:
    is_known = np.isfinite(sigma[0]) if sigma else np.ones_like(is_corrected)
    takes_part = is_corrected & (is_known | ~is_known.any())
    if not takes_part.all():
        _log.warning(
            "%s(): %d of %d pairs were not corrected, or nobody knows how well, and take no part: they are wrong by "
            "their whole shift. See is_corrected and sigma_shift.",
            caller, (~takes_part).sum(), takes_part.size,
        )  # fmt: skip
    return takes_part


def with_shift_error(data: xr.Dataset, caller: str) -> xr.Dataset:
    """Shifts or a series whose standard errors hold those of the reference; any other product comes back as it is."""
    values = shift_error(data, caller) if {"pair", "time"} & set(data.dims) else None
    if values is None:
        return data
    sigma = xr.DataArray(values, dims=data[SHIFT_ERROR].dims)
    errors = {SHIFT_ERROR: sigma}
    for name in ("sigma_dx", "sigma_dy"):
        total = ((data[name].astype(np.float64) ** 2 + sigma**2) ** 0.5).astype(data[name].dtype)
        errors[name] = total.assign_attrs(data[name].attrs)
    if SHIFT_DRIFT in data:
        for name in {"sigma_drift_dx", "sigma_drift_dy"} & set(data.data_vars):
            total = (data[name].astype(np.float64) ** 2 + data[SHIFT_DRIFT] ** 2) ** 0.5
            errors[name] = total.astype(data[name].dtype).assign_attrs(data[name].attrs)
    return data.assign(errors)


def without_shift_error(data: xr.Dataset, names: tuple[str, str]) -> xr.Dataset:
    """Product whose standard errors are those of differences within a map, without what all of its nodes share.

    names: of the components. Shifts and series have it apart already and come back as they are.
    """
    if SHIFT_ERROR not in data or {"pair", "time"} & set(data[SHIFT_ERROR].dims):
        return data
    shared = data[SHIFT_ERROR] ** 2
    errors = [name for name in checks.errors_of(names)[:2] if name in data]
    rest = {name: (data[name] ** 2 - shared).clip(min=0.0) ** 0.5 for name in errors}
    return data.assign({name: each.astype(data[name].dtype) for name, each in rest.items()})


def carries_shift_error(table: Table, main: str) -> Callable[[Callable[P, xr.Dataset]], Callable[P, xr.Dataset]]:
    """Let a function of shifts or a series add their `sigma_shift`, where they have it, to its standard errors.

    It sees vectors whose standard errors hold `sigma_shift`, and weighs them by these. What is common to the whole map
    is kept apart in the result: how much an error of each date moves the result, the function itself is asked, with
    the standard errors that are usual in the scene. table: of the variables of the result. main: component that
    `sigma_shift` belongs to; those of others are called after them.
    """

    def carry(function: Callable[P, xr.Dataset]) -> Callable[P, xr.Dataset]:
        options_of = inspect.signature(function).parameters

        @functools.wraps(function)
        def call(*args: P.args, **options: P.kwargs) -> xr.Dataset:
            name = next(iter(options_of))
            subject = args[0] if args else options.get(name)
            if not isinstance(subject, xr.Dataset) or not {IS_CORRECTED, SHIFT_ERROR} & set(subject.variables):
                return function(*args, **options)
            given: Any = {each: value for each, value in options.items() if each != name}
            given |= dict(zip(list(options_of)[1:], args[1:], strict=False))
            caller = function.__name__
            is_pairs = "pair" in subject.dims
            subject = checks.as_shifts(subject, caller) if is_pairs else checks.as_series(subject, caller)
            with_total_errors = with_shift_error(without_uncorrected(subject, caller), caller)
            of_data: Callable[..., xr.Dataset] = function
            found = of_data(with_total_errors, **given)
            if SHIFT_ERROR not in subject:
                return found
            of_dates_alone = of_data(_moved(with_total_errors, caller), **(given | _plain(given, options_of)))
            # both components have the same levers
            names = [str(each) for each in found.data_vars if str(each).endswith("x") and each in of_dates_alone]
            labels = {shared_error_of(each, main): each for each in names}
            levers = {label: of_dates_alone[each] for label, each in labels.items() if label in table}
            return _labelled(found, levers, with_total_errors, table, caller)

        return call

    return carry


def _plain(given: Mapping[str, Any], options_of: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """Options with which the standard errors alone are the weights, of a function with these parameters."""
    plain: dict[str, Any] = {name: value for name, value in WITH_PLAIN_WEIGHTS.items() if name in options_of}
    for name, value in TOLD_BY_DATA.items():
        if name in options_of and given.get(name, options_of[name].default) is value:
            plain[name] = None
    return plain


def _moved(data: xr.Dataset, caller: str) -> xr.Dataset:
    """The same pairs or dates on a row of nodes, in each of which the image of one date lies beside the others.

    Of pairs that have errors of their own, more nodes follow in which pairs alone err.
    """
    if "pair" in data.dims:
        order, epochs, ends = checks.sorted_pairs(data)
        lever = np.zeros((len(ends), 1, epochs.size))
        pairs = np.arange(len(ends))
        lever[pairs, 0, ends[:, 0]] -= _SMALL
        lever[pairs, 0, ends[:, 1]] += _SMALL
        data, dim = data.isel(pair=order), "pair"
        if _has_own(data):
            own = parts_of(data, caller)[1]
            alone = whole.at_once(_of_pairs_alone, [own], np.dtype(np.float64), (len(ends), min(len(ends), PROBES)))
            lever = np.concatenate([lever, alone[:, np.newaxis]], axis=2)
        # pairs that take no part move nothing
        lever = np.where(np.isnan(data[SHIFT_ERROR].data)[:, np.newaxis, np.newaxis], np.nan, lever)
    else:
        dim = "time"
        lever = np.eye(data.sizes["time"])[:, np.newaxis] * _SMALL
    fields = [data[name].data for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    nodes = data.sizes["y"] * data.sizes["x"]
    usual = whole.at_once(_usual, whole.sample(fields, nodes, SAMPLE), np.dtype(np.float64), (len(lever),))
    dims, dtype = (dim, "y", "x"), data["dx"].dtype
    sigma = (usual[:, np.newaxis, np.newaxis] * np.ones(lever.shape)).astype(dtype)
    values = lever.astype(dtype)
    coords: dict[Any, Any] = {name: each.variable for name, each in data.coords.items() if each.dims == (dim,)}
    return xr.Dataset(
        {"dx": (dims, values), "dy": (dims, 0.0 * values), "sigma_dx": (dims, sigma), "sigma_dy": (dims, sigma)},
        coords=coords | {"y": [0.0], "x": np.arange(lever.shape[2], dtype=np.float64)},
    )


def _has_own(data: xr.Dataset) -> bool:
    """Whether pairs tell which part of their errors as wholes is their own."""
    return "pair" in data.dims and set(SHIFT_ERROR_PARTS) <= set(data.variables)


def _of_pairs_alone(own: np.ndarray) -> np.ndarray:
    """Displacements (pair, node) whose squares, in what is linear in them, add up to the variance by errors (pair,).

    One pair a node, or, of many pairs, all of them with signs drawn by lot.
    """
    own = np.nan_to_num(own)
    if own.size <= PROBES:
        return np.diag(_SMALL * own)
    signs = np.random.default_rng(0).integers(0, 2, (own.size, PROBES)) * 2.0 - 1.0
    return np.asarray(_SMALL / np.sqrt(PROBES) * own[:, np.newaxis] * signs)


def _usual(dx: np.ndarray, dy: np.ndarray, sigma_x: np.ndarray, sigma_y: np.ndarray) -> np.ndarray:
    """Median over the nodes of the standard error of a vector (n,), NaN where no vector has one."""
    variance = 0.5 * (sigma_x.astype(np.float64) ** 2 + sigma_y.astype(np.float64) ** 2)
    is_known = np.isfinite(dx) & np.isfinite(dy) & (variance > 0.0)
    out = np.full(len(dx), np.nan)
    for k, known in enumerate(is_known):
        if known.any():
            out[k] = np.sqrt(np.median(variance[k][known]))
    return out


def _labelled(
    found: xr.Dataset, levers: Mapping[str, xr.DataArray], data: xr.Dataset, table: Table, caller: str
) -> xr.Dataset:
    """The result with what the errors of all dates together add to each of its components.

    levers (..., 1, date): by the name of that error, how far a component moves with each date, times `_SMALL`.
    """
    sigma = data[SHIFT_ERROR].data
    if "pair" in data.dims:
        order, epochs, ends = checks.sorted_pairs(data)
        sigma = of_dates(parts_of(data, caller)[0][order], ends, epochs.size)
    elif noise.shares_noise(data):
        # dates that have parts of each other's errors are no evidence of their own
        sigma = np.nan * sigma
    errors = {}
    for name, moved in levers.items():
        every = moved.data[..., 0, :].astype(np.float64) / _SMALL
        lever, own = every[..., : sigma.size], every[..., sigma.size :]
        # the error of a date that takes no part may be unknown
        square = np.where(lever == 0.0, 0.0, (lever * sigma) ** 2).sum(axis=-1)
        if _has_own(data):
            square = square + (own**2).sum(axis=-1)
        if SHIFT_DRIFT in data:
            square = square + data[SHIFT_DRIFT].data ** 2 * _walked(lever, data)
        values = np.sqrt(square).astype(moved.dtype)
        errors[name] = (moved.dims[:-2], values, products.attrs_of(table[name]))
    return products.finish(found.assign(errors))


def _walked(lever: Any, data: xr.Dataset) -> Any:
    """Variance (...) of what levers (..., date) make of a walk of the dates of a series, see `noise.drift_growth`."""
    behind = np.flip(np.cumsum(np.flip(lever, -1), axis=-1), -1)
    return (behind[..., 1:] ** 2 * np.diff(noise.drift_growth(data))).sum(axis=-1)
