"""Incomplete stores, opened on request: what was never written is NaN and flagged so."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

import numpy as np
import xarray as xr

from xoffset.model import storage
from xoffset.model.flags import flag_attrs
from xoffset.readers import completeness
from xoffset.readers.completeness import Listed
from xoffset.readers.stored import Stored

# Flags that are not there, or of netCDF, whose fill value is 0.
_WITHOUT_FILL = Listed((), (), None, False, False, ())


def check(place: str, stored: xr.Dataset, arrays: Mapping[str, Listed]) -> None:
    """Refuse a store of which not even a part can be had: without values or places, or pixels that cannot be NaN."""
    if not stored.data_vars and "pair" not in stored.dims:
        raise OSError(
            f"open_result() needs a product of which a part was written; {place} holds coordinates at most. Its writer "
            "was stopped, or files were lost. Write it again."
        )
    for name in (each for each in ("x", "y") if each in stored.coords):
        array = arrays.get(name)
        if (array is not None and array.missing) or completeness.has_gaps(name, stored, array):
            raise OSError(
                f"open_result() needs the places of the values; {place} lacks the coordinate '{name}'. Its writer was "
                "stopped, or files were lost. Write it again."
            )
    for key, variable in stored.data_vars.items():
        array = arrays.get(str(key))
        if array is not None and array.missing and array.is_strict and variable.dtype.kind == "u":
            raise OSError(
                f"open_result() needs whole pixels of {variable.dtype}, which has no NaN for those that are not there; "
                f"{place} lacks {len(array.missing)} of {array.count} chunks of '{key}'. Write it again."
            )


def with_gaps(result: xr.Dataset, sources: Mapping[Hashable, Stored], arrays: Mapping[str, Listed]) -> xr.Dataset:
    """Product whose unwritten values are flagged so, and NaN in all variables of the node; undated layers left out."""
    undated = {dim: keep for dim, keep in _dated(result) if not keep.all()}
    first = next((sources[name] for name in ("flags", "dx", "vx") if name in sources), None)
    if first is None:
        return result.isel(undated)
    dims, shape = first.variable.dims, first.shape
    flags = sources["flags"].raw() if "flags" in sources else np.zeros(shape, dtype=np.int64)
    how = arrays.get("flags", _WITHOUT_FILL)
    known = completeness.as_bits(flags)
    gaps = xr.DataArray((known & np.int64(storage.UNWRITTEN)) != 0, dims=dims)
    parts = {name: each for name, each in sources.items() if set(each.variable.dims) <= set(dims) and name != "flags"}
    for name, source in parts.items():
        block = source.raw()
        of_block = storage.is_unwritten(name, block, source.fill) if block.dtype.kind != "M" else None
        if of_block is not None:
            gaps |= xr.DataArray(of_block, dims=source.variable.dims)
        if any(name in names for names in completeness.COMPONENTS) and source.variable.dims == dims:
            gaps |= completeness.are_gaps(block, flags, how)
        for ends in _lost(arrays.get(str(name))):
            gaps[dict(zip(source.variable.dims, ends, strict=True))] = True
    told = xr.Variable(dims, np.where(gaps, np.int64(storage.UNWRITTEN), known), flag_attrs())
    filled = {
        name: result[name].where(~gaps).transpose(*dims)
        for name, source in parts.items()
        if source.variable.dims == dims and source.dtype.kind == "f"
    }
    return result.assign(filled | {"flags": told}).isel(undated)


def _lost(array: Listed | None) -> Iterator[tuple[slice, ...]]:
    """Places of the chunks that should be there."""
    if array is not None and (array.is_strict or array.is_ours):
        yield from (tuple(slice(*each) for each in array.ends(chunk)) for chunk in array.missing)


def _dated(result: xr.Dataset) -> Iterator[tuple[Hashable, np.ndarray]]:
    """Pairs and dates whose dates are there."""
    for dim, names in (("pair", ("reference", "secondary")), ("time", ("time",))):
        known = [~np.isnat(result[name].values) for name in names if name in result.coords and result[name].ndim == 1]
        if known:
            yield dim, np.logical_and.reduce(known)
