"""Errors that all nodes of a map share, carried on from pairs and dates to what a function makes of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

import numpy as np
import xarray as xr

from xoffset._blocks import whole
from xoffset.model import checks, noise, products
from xoffset.model.shift_errors import SAMPLE, of_dates, parts_of, usual, with_shift_error, without_uncorrected
from xoffset.model.tables import IS_CORRECTED, SHIFT_DRIFT, SHIFT_ERROR, SHIFT_ERROR_PARTS, Table, shared_error_of

P = ParamSpec("P")

# Displacement [m] of the date whose part in a result is asked for: far below any noise, so that it changes no weight.
_SMALL = 1e-6
# Nodes in which pairs err by themselves, at most: of more pairs the error is told to some 3 %.
PROBES = 400
# Options that leave the weights to the standard errors alone, and values of options that the data decide.
WITH_PLAIN_WEIGHTS = {"loss": "linear", "bootstrap": 0, "min_pairs": 1}
TOLD_BY_DATA = {"steps": "search", "max_separation": "auto"}


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
    errors = whole.at_once(usual, whole.sample(fields, nodes, SAMPLE), np.dtype(np.float64), (len(lever),))
    dims, dtype = (dim, "y", "x"), data["dx"].dtype
    sigma = (errors[:, np.newaxis, np.newaxis] * np.ones(lever.shape)).astype(dtype)
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
