"""Functions of whole arrays, or of places in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np


def at_once(function: Callable[..., np.ndarray], arrays: list[Any], dtype: np.dtype, shape: tuple[int, ...]) -> Any:
    """Apply a function to whole arrays of any shapes: one task, which waits for all of them."""
    if all(isinstance(array, np.ndarray) for array in arrays):
        return function(*arrays)
    import dask.array as da

    # every axis has a number of its own: none need fit another, since no array is cut
    out = tuple(range(len(shape)))
    parts: list[Any] = []
    count = len(shape)
    for array in arrays:
        parts += [da.asarray(array), tuple(range(count, count + array.ndim))]
        count += array.ndim
    return da.blockwise(
        function,
        out,
        *parts,
        align_arrays=False,
        new_axes=dict(zip(out, shape, strict=True)),
        concatenate=True,
        dtype=dtype,
        meta=np.empty((0,) * len(shape), dtype=dtype),
    )


def sample(arrays: list[Any], count: int, most: int) -> list[Any]:
    """Every so many rows and columns of arrays (..., rows, columns): about `most` of `count` values are left."""
    stride = max(math.ceil(math.sqrt(count / most)), 1)
    return [array[..., ::stride, ::stride] for array in arrays]


def gather(array: Any, rows: np.ndarray, columns: np.ndarray) -> Any:
    """Nodes of an array (n, rows, columns) by their indices: (n, *indices). Of a dask array no block is joined."""
    if isinstance(array, np.ndarray):
        return array[:, rows, columns]
    import dask.array as da

    return da.moveaxis(array.vindex[:, rows, columns], -1, 0)


def of_places(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray], y: np.ndarray, x: np.ndarray, like: Any, layers: int
) -> Any:
    """Fields (layers, rows, columns) of a function of the coordinates (rows,), (columns,), in the blocks of `like`."""
    if isinstance(like, np.ndarray):
        return function(y, x)
    import dask.array as da

    return da.blockwise(
        function,
        "lyx",
        da.from_array(y, chunks=(like.chunks[-2],)),
        "y",
        da.from_array(x, chunks=(like.chunks[-1],)),
        "x",
        new_axes={"l": layers},
        dtype=np.float64,
        meta=np.empty((0, 0, 0)),
    )
