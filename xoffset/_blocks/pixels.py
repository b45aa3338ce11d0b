"""Functions of pixels, each for itself, with all layers of a pixel at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import dask.array as da
from xoffset._blocks.threads import in_threads

# Rows of pixels that a thread solves at a time.
STRIP = 8


def per_pixel(function: Callable[..., np.ndarray], arrays: list[Any], layers: int) -> Any:
    """Apply a function of (n, rows, columns) arrays, pixel by pixel, that returns (layers, rows, columns)."""
    if all(isinstance(array, np.ndarray) for array in arrays):
        out = np.empty((layers, *arrays[0].shape[1:]), dtype=arrays[0].dtype)

        def solve(rows: slice) -> None:
            out[:, rows] = function(*(array[:, rows] for array in arrays))

        height = arrays[0].shape[1]
        in_threads(solve, [slice(top, min(top + STRIP, height)) for top in range(0, height, STRIP)])
        return out
    return _blocks_of_pixels(function, [], arrays, layers)


def per_pixel_of(function: Callable[..., np.ndarray], arrays: list[Any], table: Any, layers: int) -> Any:
    """As `per_pixel`, with a small array that the function gets whole as its first argument."""
    if isinstance(table, np.ndarray):
        return per_pixel(partial(function, table), arrays, layers)
    return _blocks_of_pixels(function, [table, "abc"[: table.ndim]], arrays, layers)


def total(function: Callable[..., np.ndarray], arrays: list[Any], shape: tuple[int, ...]) -> Any:
    """Sum over all pixels of the whole numbers (shape) that a function of (n, rows, columns) arrays counts."""
    if all(isinstance(array, np.ndarray) for array in arrays):
        height = arrays[0].shape[1]
        tops = range(0, height, STRIP)
        found = np.zeros((len(tops), *shape), np.int64)

        def count(k: int) -> None:
            found[k] = function(*(array[:, tops[k] : tops[k] + STRIP] for array in arrays))

        in_threads(count, list(range(len(tops))))
        return found.sum(axis=0)

    counts = _blocks_of_pixels(
        partial(_as_pixel, function), [], arrays, math.prod(shape), np.dtype(np.int64), is_reduced=True
    )
    return counts.sum(axis=(1, 2)).reshape(shape)


def totals_of_layers(function: Callable[..., np.ndarray], arrays: list[Any], kinds: int) -> Any:
    """Sums (kinds, n) over the pixels of each layer of what a function of (n, rows, columns) arrays counts in them."""
    if all(isinstance(array, np.ndarray) for array in arrays):
        out = np.zeros((kinds, arrays[0].shape[0]), dtype=np.int64)

        def count(layer: int) -> None:
            out[:, layer : layer + 1] = function(*(array[layer : layer + 1] for array in arrays))

        in_threads(count, range(arrays[0].shape[0]))
        return out
    import dask.array as da

    chunks = next(array.chunks for array in arrays if not isinstance(array, np.ndarray))
    counts = da.blockwise(
        partial(_as_pixels, function),
        "klyx",
        *(part for array in arrays for part in (da.asarray(array).rechunk(chunks), "lyx")),
        new_axes={"k": kinds},
        adjust_chunks={"y": 1, "x": 1},
        dtype=np.int64,
        meta=np.empty((0, 0, 0, 0), dtype=np.int64),
    )
    return counts.sum(axis=(2, 3))


def summaries(function: Callable[..., np.ndarray], array: Any, kinds: int) -> Any:
    """What a function of (1, rows, columns) tells (kinds,) of the parts of a map: (kinds, parts down, parts across)."""
    if isinstance(array, np.ndarray):
        tops = range(0, array.shape[0], STRIP)
        found = np.empty((kinds, len(tops), 1))

        def tell(k: int) -> None:
            found[:, k, 0] = function(array[np.newaxis, tops[k] : tops[k] + STRIP])

        in_threads(tell, list(range(len(tops))))
        return found
    return _blocks_of_pixels(
        partial(_as_pixel, function), [], [array[np.newaxis]], kinds, np.dtype(np.float64), is_reduced=True
    )


def _as_pixels(function: Callable[..., np.ndarray], *blocks: np.ndarray) -> np.ndarray:
    return function(*blocks)[..., np.newaxis, np.newaxis]


def _as_pixel(function: Callable[..., np.ndarray], *blocks: np.ndarray) -> np.ndarray:
    return function(*blocks).reshape(-1, 1, 1)


def _blocks_of_pixels(
    function: Callable[..., np.ndarray],
    table: list[Any],
    arrays: list[Any],
    layers: int,
    dtype: np.dtype | None = None,
    is_reduced: bool = False,
) -> da.Array:
    """A function block by block; is_reduced: it makes one pixel of a block. dtype: of the first array if None."""
    import dask.array as da

    dtype = arrays[0].dtype if dtype is None else dtype
    # each array has a first axis of its own, which every block gets whole
    whole = [(da.asarray(array).rechunk({0: -1}), (f"n{k}", "y", "x")) for k, array in enumerate(arrays)]
    found: da.Array = da.blockwise(
        function,
        "lyx",
        *table,
        *(part for pair in whole for part in pair),
        new_axes={"l": layers},
        concatenate=True,
        dtype=dtype,
        meta=np.empty((0, 0, 0), dtype=dtype),
        adjust_chunks={"y": 1, "x": 1} if is_reduced else None,
    )
    return found
