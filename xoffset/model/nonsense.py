"""What no measurement gives becomes unknown where it comes in, and what is unknown gets a flag."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import xarray as xr

from xoffset._blocks import elements
from xoffset._kernels import bits

# Metres, or metres a year, beyond which nothing on Earth moves. The numbers that libraries leave where nothing was
# written lie beyond it, and the squares of all that lies below fit single precision.
LARGEST = 1e9


def without_nonsense(data: xr.Dataset, names: tuple[str, str], errors: tuple[str, str, str]) -> xr.Dataset:
    """Product whose unusable values are NaN and flagged `nodata`; the same arrays where there are none.

    A vector that is infinite, that is longer than anything on Earth moves, or whose standard error is infinite, as
    large or below zero is unknown with all that belongs to it. So is one whose flags are NaN, which `where` of xarray
    makes of those whose values its caller removed. A vector that is NaN without a flag gets one. Infinity in other
    variables becomes NaN. Lazy arrays stay lazy.
    """
    dims = data[names[0]].dims
    fields = [data[name].data for name in (*names, *errors[:2]) if name in data and data[name].dims == dims]
    has_flags = "flags" in data and data["flags"].dims == dims and data["flags"].dtype.kind in "iuf"
    changed: dict[Hashable, Any] = {}
    if has_flags:
        changed["flags"] = elements.apply_if(_lacks_flags, _flagged, [data["flags"].data, *fields], np.dtype(np.int64))
    for name, variable in data.data_vars.items():
        if name in (*names, *errors) and variable.dims == dims:
            changed[name] = elements.apply_if(_any_nonsense, _blanked, [variable.data, *fields], variable.dtype)
        elif variable.dtype.kind == "f" and name != "flags":
            changed[name] = elements.apply_if(_any_infinite, _finite, [variable.data], variable.dtype)
    return data.assign({name: data[name].copy(data=values) for name, values in changed.items()})


def _is_nonsense(x: np.ndarray, y: np.ndarray, *sigmas: np.ndarray) -> np.ndarray:
    found = (np.abs(x) > LARGEST) | (np.abs(y) > LARGEST)
    for sigma in sigmas:
        found |= (sigma < 0.0) | (sigma > LARGEST)
    return np.asarray(found)


def _any_nonsense(values: np.ndarray, *fields: np.ndarray) -> bool:
    return bool(_is_nonsense(*fields).any() or np.isinf(values).any())


def _blanked(values: np.ndarray, *fields: np.ndarray) -> np.ndarray:
    return np.where(_is_nonsense(*fields) | np.isinf(values), values.dtype.type(np.nan), values)


def _any_infinite(values: np.ndarray) -> bool:
    return bool(np.isinf(values).any())


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isinf(values), values.dtype.type(np.nan), values)


def _lacks_flags(flags: np.ndarray, *fields: np.ndarray) -> bool:
    if flags.dtype.kind == "f" and not np.isfinite(flags).all():
        return True
    unknown = np.isnan(fields[0]) | np.isnan(fields[1])
    return bool(_is_nonsense(*fields).any() or (unknown & (flags == 0)).any())


def _flagged(flags: np.ndarray, *fields: np.ndarray) -> np.ndarray:
    is_told = np.isfinite(flags)
    found = np.where(is_told, flags, bits.NODATA).astype(np.int64)
    unknown = np.isnan(fields[0]) | np.isnan(fields[1])
    lacks = _is_nonsense(*fields) | (unknown & (found == 0))
    return found | np.where(lacks, np.int64(bits.NODATA), np.int64(0))
