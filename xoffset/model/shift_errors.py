"""Errors of the reference of whole pairs, which all nodes of a map share, carried on to what is made of the pairs.

A correction tells the shift of a pair from the vectors on stable ground, and knows it as well as these allow. Its
standard error `sigma_shift` is beside those of the vectors: it adds to each of them and cancels in their differences.
"""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays.networks import graph, solver
from xoffset._blocks import whole
from xoffset.model import checks
from xoffset.model.dates import in_years
from xoffset.model.declared import decoded
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.tables import IS_CORRECTED, SHIFT_DRIFT, SHIFT_ERROR, SHIFT_ERROR_PARTS

_log = logging.getLogger(__name__)

# Nodes of which the median tells the standard error that a pair or a date usually has, at most.
SAMPLE = 4000
# Ratio of the weights of two pairs from which on it matters that they do not know the errors of the pairs as wholes.
_UNEVEN = 1.1


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
    growth = 1.0 + variance / usual(*fields) ** 2
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


def usual(dx: np.ndarray, dy: np.ndarray, sigma_x: np.ndarray, sigma_y: np.ndarray) -> np.ndarray:
    """Median over the nodes of the standard error of a vector (n,), NaN where no vector has one."""
    variance = 0.5 * (sigma_x.astype(np.float64) ** 2 + sigma_y.astype(np.float64) ** 2)
    is_known = np.isfinite(dx) & np.isfinite(dy) & (variance > 0.0)
    out = np.full(len(dx), np.nan)
    for k, known in enumerate(is_known):
        if known.any():
            out[k] = np.sqrt(np.median(variance[k][known]))
    return out
