"""What no measurement gives becomes unknown where it comes in, and what is unknown gets a flag."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import xarray as xr

from xoffset._blocks import elements
from xoffset._kernels import bits
from xoffset.model.flags import FLAGS

# Metres, or metres a year, beyond which nothing on Earth moves. The numbers that libraries leave where nothing was
# written lie beyond it, and the squares of all that lies below fit single precision.
LARGEST = 1e9
# The same for whatever else a product holds: squares of larger numbers are beyond single precision.
LARGEST_OF_ALL = 1e15
# Covariance over the product of the two standard errors, at most; more than 1 by rounding only.
_LARGEST_CORRELATION = 1.001
_NAMED = np.int64(sum(FLAGS.values()))


def without_nonsense(data: xr.Dataset, names: tuple[str, str], errors: tuple[str, str, str]) -> xr.Dataset:
    """Product whose unusable values are NaN, with a flag where that is the vector; the same arrays if there are none.

    A vector that is infinite or longer than anything on Earth moves is unknown, with its errors, and flagged `nodata`.
    So is one whose flags are NaN, which `where` of xarray makes of those whose values its caller removed, and one that
    is NaN without a flag. A standard error that is infinite, as large or below zero is unknown, and so is a covariance
    larger than the product of both errors; their vector stays. Infinity and numbers beyond reason in other variables
    become NaN. Bits of flags that have no name are dropped; flags below zero, such as a fill value, are `nodata`. Lazy
    arrays stay lazy.
    """
    dims = data[names[0]].dims
    vector = [data[name].data for name in names]
    sigmas = [data[name].data for name in errors[:2] if name in data and data[name].dims == dims]
    changed: dict[Hashable, Any] = {}
    for name, variable in data.data_vars.items():
        values, dtype = variable.data, variable.dtype
        if name == "flags" and variable.dims == dims and dtype.kind in "iuf":
            changed[name] = elements.apply_if(_lack_flags, _flagged, [values, *vector], np.dtype(np.int64))
        elif name in errors[:2] and variable.dims == dims:
            changed[name] = elements.apply_if(_are_no_errors, _errors, [values, *vector], dtype)
        elif name in names and variable.dims == dims:
            changed[name] = elements.apply_if(_are_nonsense, _blanked, [values, *vector], dtype)
        elif name == errors[2] and variable.dims == dims and len(sigmas) == 2:
            changed[name] = elements.apply_if(_are_no_covariances, _covariances, [values, *vector, *sigmas], dtype)
        elif name != "flags" and dtype.kind == "f":
            changed[name] = elements.apply_if(_are_beyond, _within, [values], dtype)
    return data.assign({name: data[name].copy(data=values) for name, values in changed.items()})


def _is_nonsense(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray((np.abs(x) > LARGEST) | (np.abs(y) > LARGEST))


def _are_nonsense(_: np.ndarray, x: np.ndarray, y: np.ndarray) -> bool:
    return bool(_is_nonsense(x, y).any())


def _blanked(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(_is_nonsense(x, y), values.dtype.type(np.nan), values)


def _is_no_covariance(
    values: np.ndarray, x: np.ndarray, y: np.ndarray, sigma_x: np.ndarray, sigma_y: np.ndarray
) -> np.ndarray:
    # of errors that are no errors either nothing is known
    with np.errstate(over="ignore", invalid="ignore"):
        largest = np.abs(sigma_x.astype(np.float64) * sigma_y) * _LARGEST_CORRELATION
    return np.asarray(_is_nonsense(x, y) | (np.abs(values) > largest) | (np.abs(values) > LARGEST_OF_ALL))


def _are_no_covariances(values: np.ndarray, *others: np.ndarray) -> bool:
    return bool(_is_no_covariance(values, *others).any())


def _covariances(values: np.ndarray, *others: np.ndarray) -> np.ndarray:
    return np.where(_is_no_covariance(values, *others), values.dtype.type(np.nan), values)


def _is_no_error(sigma: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(_is_nonsense(x, y) | (sigma < 0.0) | (sigma > LARGEST))


def _are_no_errors(sigma: np.ndarray, x: np.ndarray, y: np.ndarray) -> bool:
    return bool(_is_no_error(sigma, x, y).any())


def _errors(sigma: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(_is_no_error(sigma, x, y), sigma.dtype.type(np.nan), sigma)


def _are_beyond(values: np.ndarray) -> bool:
    return bool((np.abs(values) > LARGEST_OF_ALL).any())


def _within(values: np.ndarray) -> np.ndarray:
    return np.where(np.abs(values) > LARGEST_OF_ALL, values.dtype.type(np.nan), values)


def _lack_flags(flags: np.ndarray, x: np.ndarray, y: np.ndarray) -> bool:
    if flags.dtype.kind == "f" and not np.isfinite(flags).all():
        return True
    if (flags.astype(np.int64, copy=False) & ~_NAMED).any():
        return True
    return bool(_is_nonsense(x, y).any() or ((np.isnan(x) | np.isnan(y)) & (flags == 0)).any())


def _flagged(flags: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    found = np.where(np.isfinite(flags) & (flags >= 0), flags, bits.NODATA).astype(np.int64) & _NAMED
    lacks = _is_nonsense(x, y) | ((np.isnan(x) | np.isnan(y)) & (found == 0))
    return np.asarray(found | np.where(lacks, np.int64(bits.NODATA), np.int64(0)))
