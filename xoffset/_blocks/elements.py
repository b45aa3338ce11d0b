"""Functions of single elements, of arrays of any dims."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from xoffset._blocks.threads import in_threads

# Values that are looked at together: few calls, and what is made on the way stays in the cache of a core.
_PART = 1 << 17


def any_part(needs: Callable[..., bool], arrays: list[Any]) -> bool:
    """Whether any part of NumPy arrays of one shape needs something; of dask arrays, which are not computed, yes."""
    if not all(isinstance(array, np.ndarray) for array in arrays):
        return True
    flat = [array.reshape(-1) for array in arrays]
    found = []

    def look(start: int) -> None:
        found.append(needs(*(array[start : start + _PART] for array in flat)))

    in_threads(look, range(0, flat[0].size, _PART))
    return any(found)


def apply_if(
    needs: Callable[..., bool], function: Callable[..., np.ndarray], arrays: list[Any], dtype: np.dtype
) -> Any:
    """Apply a function of arrays of one shape, which returns one like them, if a part of them needs it.

    It leaves alone what needs nothing: if no part of NumPy arrays does, the first one comes back as it is, uncopied. A
    dask array gets one task a chunk.
    """
    if not all(isinstance(array, np.ndarray) for array in arrays):
        return _in_blocks(needs, function, arrays, dtype)
    if not any_part(needs, arrays):
        return arrays[0].astype(dtype, copy=False)
    layers = range(arrays[0].shape[0] if arrays[0].ndim > 2 else 1)
    parts = [array if array.ndim > 2 else array[np.newaxis] for array in arrays]
    out = np.empty(arrays[0].shape, dtype=dtype)
    target = out if out.ndim > 2 else out[np.newaxis]

    def apply(layer: int) -> None:
        target[layer] = function(*(part[layer] for part in parts))

    in_threads(apply, layers)
    return out


def apply(function: Callable[..., np.ndarray], arrays: list[Any], dtype: np.dtype) -> Any:
    """Apply a function of arrays of one shape, which returns one like them, everywhere."""
    return apply_if(_always, function, arrays, dtype)


def _always(*_: np.ndarray) -> bool:
    return True


def on_layers_of(map_: Any, like: Any) -> Any:
    """A map (rows, columns) on each layer of an array (n, rows, columns), not copied; lazy if one of the two is."""
    if isinstance(map_, np.ndarray) and isinstance(like, np.ndarray):
        return np.broadcast_to(map_, like.shape)
    import dask.array as da

    chunks = da.asarray(like).chunks
    return da.broadcast_to(da.asarray(map_).rechunk(chunks[1:])[np.newaxis], like.shape, chunks=chunks)


def _in_blocks(
    needs: Callable[..., bool], function: Callable[..., np.ndarray], arrays: list[Any], dtype: np.dtype
) -> Any:
    import dask.array as da

    chunks = next(array.chunks for array in arrays if not isinstance(array, np.ndarray))
    aligned = [da.asarray(array).rechunk(chunks) for array in arrays]
    meta = np.empty((0,) * len(chunks), dtype=dtype)
    return da.map_blocks(partial(_of_block, needs, function, dtype), *aligned, dtype=dtype, meta=meta)


def _of_block(
    needs: Callable[..., bool], function: Callable[..., np.ndarray], dtype: np.dtype, *blocks: np.ndarray
) -> np.ndarray:
    return function(*blocks) if needs(*blocks) else blocks[0].astype(dtype, copy=False)
