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
_NAMED = sum(FLAGS.values())


def without_nonsense(data: xr.Dataset, names: tuple[str, str], errors: tuple[str, str, str]) -> xr.Dataset:
    """Product whose unusable values are NaN, with a flag where that is the vector; the same arrays if there are none.

    A vector that is infinite or longer than anything on Earth moves is unknown, with its errors, and flagged `nodata`.
    So is one whose flags are NaN, which `where` of xarray makes of those whose values its caller removed, and one that
    is NaN without a flag. Bits of flags that have no name are taken away. A standard error that is infinite, as large
    or below zero is unknown, and so is such a covariance; the vector stays.
    Infinity in other variables becomes NaN. Lazy arrays stay lazy.
    """
    dims = data[names[0]].dims
    vector = [data[name].data for name in names]
    changed: dict[Hashable, Any] = {}
    for name, variable in data.data_vars.items():
        values, dtype = variable.data, variable.dtype
        if name == "flags" and variable.dims == dims and dtype.kind in "iuf":
            changed[name] = elements.apply_if(_lack_flags, _flagged, [values, *vector], np.dtype(np.int64))
        elif name in errors[:2] and variable.dims == dims:
            changed[name] = elements.apply_if(_are_no_errors, _errors, [values, *vector], dtype)
        elif name in (*names, errors[2]) and variable.dims == dims:
            changed[name] = elements.apply_if(_are_nonsense, _blanked, [values, *vector], dtype)
        elif name != "flags" and dtype.kind == "f":
            changed[name] = elements.apply_if(_are_infinite, _finite, [values], dtype)
    return data.assign({name: data[name].copy(data=values) for name, values in changed.items()})


def _is_nonsense(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray((np.abs(x) > LARGEST) | (np.abs(y) > LARGEST))


def _are_nonsense(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> bool:
    return bool(_is_nonsense(x, y).any() or (np.abs(values) > LARGEST).any())


def _blanked(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(_is_nonsense(x, y) | (np.abs(values) > LARGEST), values.dtype.type(np.nan), values)


def _is_no_error(sigma: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(_is_nonsense(x, y) | (sigma < 0.0) | (sigma > LARGEST))


def _are_no_errors(sigma: np.ndarray, x: np.ndarray, y: np.ndarray) -> bool:
    return bool(_is_no_error(sigma, x, y).any())


def _errors(sigma: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(_is_no_error(sigma, x, y), sigma.dtype.type(np.nan), sigma)


def _are_infinite(values: np.ndarray) -> bool:
    return bool(np.isinf(values).any())


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isinf(values), values.dtype.type(np.nan), values)


def _lack_flags(flags: np.ndarray, x: np.ndarray, y: np.ndarray) -> bool:
    if flags.dtype.kind == "f" and not np.isfinite(flags).all():
        return True
    if _have_no_name(flags).any():
        return True
    return bool(_is_nonsense(x, y).any() or ((np.isnan(x) | np.isnan(y)) & (flags == 0)).any())


def _have_no_name(flags: np.ndarray) -> np.ndarray:
    """Bits that are no flag's; of a negative number, which is no set of flags, all."""
    return np.asarray(flags.astype(np.int64, copy=False) & ~np.int64(_NAMED))


def _flagged(flags: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    found = np.where(np.isfinite(flags) & (flags >= 0), flags, bits.NODATA).astype(np.int64) & np.int64(_NAMED)
    lacks = _is_nonsense(x, y) | ((np.isnan(x) | np.isnan(y)) & (found == 0))
    return np.asarray(found | np.where(lacks, np.int64(bits.NODATA), np.int64(0)))
