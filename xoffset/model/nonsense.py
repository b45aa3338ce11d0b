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
    # whole numbers have no NaN
    whole = [name for name in (*names, *errors) if name in data and data[name].dtype.kind in "iu"]
    data = data.assign({name: data[name].astype(np.result_type(data[name].dtype, np.float32)) for name in whole})
    dims = data[names[0]].dims
    vector = [data[name].data for name in names]
    sigmas = [data[name].data for name in errors[:2] if name in data and data[name].dims == dims]
    # mostly all vectors are sound, and need not be looked at again with each of the other variables
    unsure = vector if elements.any_part(_are_nonsense, vector) else []
    changed: dict[Hashable, Any] = {}
    for name, variable in data.data_vars.items():
        values, dtype = variable.data, variable.dtype
        if name == "flags" and variable.dims == dims and dtype.kind in "iuf":
            changed[name] = elements.apply_if(_lack_flags, _flagged, [values, *vector], np.dtype(np.int64))
        elif name in errors[:2] and variable.dims == dims:
            changed[name] = elements.apply_if(_are_no_errors, _errors, [values, *unsure], dtype)
        elif name in names and variable.dims == dims:
            if unsure:
                changed[name] = elements.apply_if(_go_with_nonsense, _blanked, [values, *vector], dtype)
        elif name == errors[2] and variable.dims == dims and len(sigmas) == 2:
            changed[name] = elements.apply_if(_are_no_covariances, _covariances, [values, *sigmas, *unsure], dtype)
        elif name != "flags" and dtype.kind == "f":
            changed[name] = elements.apply_if(_are_beyond, _within, [values], dtype)
    # xarray takes longer to assign a variable than all of this does on a small map
    new = {name: values for name, values in changed.items() if values is not data.variables[name].data}
    return data.assign({name: data[name].copy(data=values) for name, values in new.items()}) if new else data.copy()


def _reach_beyond(values: np.ndarray, least: float, most: float) -> bool:
    """Whether a number is less than the least or more than the most; NaN is neither. Makes no copy."""
    if values.size == 0:
        return False
    return bool(np.fmin.reduce(values, axis=None) < least or np.fmax.reduce(values, axis=None) > most)


def _are_nonsense(*vector: np.ndarray) -> bool:
    return any(_reach_beyond(each, -LARGEST, LARGEST) for each in vector)


def _is_nonsense(*vector: np.ndarray) -> np.ndarray | bool:
    """Where a vector is none; nowhere if none is given, since all are sound."""
    return np.logical_or(*(np.abs(each) > LARGEST for each in vector)) if vector else False


def _go_with_nonsense(_: np.ndarray, *vector: np.ndarray) -> bool:
    return _are_nonsense(*vector)


def _blanked(values: np.ndarray, *vector: np.ndarray) -> np.ndarray:
    return np.where(_is_nonsense(*vector), values.dtype.type(np.nan), values)


def _is_no_covariance(values: np.ndarray, *errors: np.ndarray) -> np.ndarray:
    # of errors that are no errors either nothing is known
    with np.errstate(over="ignore", invalid="ignore"):
        largest = errors[0] * errors[1]
        largest *= values.dtype.type(_LARGEST_CORRELATION)
    return np.asarray(np.abs(values) > np.abs(largest, out=largest))


def _are_no_covariances(values: np.ndarray, *errors_and_vector: np.ndarray) -> bool:
    errors, vector = errors_and_vector[:2], errors_and_vector[2:]
    is_beyond = _reach_beyond(values, -LARGEST_OF_ALL, LARGEST_OF_ALL)
    return is_beyond or _are_nonsense(*vector) or bool(_is_no_covariance(values, *errors).any())


def _covariances(values: np.ndarray, *errors_and_vector: np.ndarray) -> np.ndarray:
    errors, vector = errors_and_vector[:2], errors_and_vector[2:]
    is_none = _is_no_covariance(values, *errors) | _is_nonsense(*vector) | (np.abs(values) > LARGEST_OF_ALL)
    return np.where(is_none, values.dtype.type(np.nan), values)


def _are_no_errors(sigma: np.ndarray, *vector: np.ndarray) -> bool:
    return _reach_beyond(sigma, 0.0, LARGEST) or _are_nonsense(*vector)


def _errors(sigma: np.ndarray, *vector: np.ndarray) -> np.ndarray:
    is_none = (sigma < 0.0) | (sigma > LARGEST) | _is_nonsense(*vector)
    return np.where(is_none, sigma.dtype.type(np.nan), sigma)


def _are_beyond(values: np.ndarray) -> bool:
    return _reach_beyond(values, -LARGEST_OF_ALL, LARGEST_OF_ALL)


def _within(values: np.ndarray) -> np.ndarray:
    return np.where(np.abs(values) > LARGEST_OF_ALL, values.dtype.type(np.nan), values)


def _lack_flags(flags: np.ndarray, x: np.ndarray, y: np.ndarray) -> bool:
    if flags.dtype.kind == "f" and not np.isfinite(flags).all():
        return True
    if np.bitwise_or.reduce(flags.astype(np.int64, copy=False), axis=None) & ~_NAMED:
        return True
    return _are_nonsense(x, y) or bool(((np.isnan(x) | np.isnan(y)) & (flags == 0)).any())


def _flagged(flags: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    found = np.where(np.isfinite(flags) & (flags >= 0), flags, bits.NODATA).astype(np.int64) & _NAMED
    lacks = _is_nonsense(x, y) | ((np.isnan(x) | np.isnan(y)) & (found == 0))
    return np.asarray(found | np.where(lacks, np.int64(bits.NODATA), np.int64(0)))
