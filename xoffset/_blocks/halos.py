"""Functions that look at the neighbours of each node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import dask.array as da
from xoffset._arrays.lattice import TILE, Tile
from xoffset._blocks.pixels import STRIP
from xoffset._blocks.threads import in_threads


def with_halo(function: Callable[..., np.ndarray], arrays: list[Any], depth: int, dtype: np.dtype) -> Any:
    """Apply a function of (n, rows, columns) arrays that looks `depth` nodes around each.

    NumPy arrays end at the edges of the grid; in the blocks of a dask array infinity lies beyond them.
    """
    if all(isinstance(array, np.ndarray) for array in arrays):
        out = np.empty(arrays[0].shape, dtype=dtype)

        def apply(layer: int) -> None:
            out[layer : layer + 1] = function(*(array[layer : layer + 1] for array in arrays))

        in_threads(apply, range(arrays[0].shape[0]))
        return out
    import dask.array as da

    aligned, depths = _aligned(arrays, depth)
    found = da.map_overlap(
        function,
        *aligned,
        depth=depths,
        boundary={0: "none", 1: np.inf, 2: np.inf},
        dtype=dtype,
        meta=np.empty((0, 0, 0), dtype=dtype),
    )
    return _cut_like(found, arrays[0])


def fields_with_halo(function: Callable[..., np.ndarray], arrays: list[Any], depth: int, fields: int) -> Any:
    """As `with_halo`, for a function that returns several fields: (fields, n, rows, columns)."""
    dtype = arrays[0].dtype
    if all(isinstance(array, np.ndarray) for array in arrays):
        out = np.empty((fields, *arrays[0].shape), dtype=dtype)

        def apply(layer: int) -> None:
            out[:, layer : layer + 1] = function(*(array[layer : layer + 1] for array in arrays))

        in_threads(apply, range(arrays[0].shape[0]))
        return out
    import dask.array as da

    aligned, depths = _aligned(arrays, depth)
    boundary = {0: "none", 1: np.inf, 2: np.inf}
    found = da.map_blocks(
        partial(_trimmed, function, depths[1], depths[2]),
        *(da.overlap.overlap(array, depth=depths, boundary=boundary) for array in aligned),
        chunks=((fields,), *aligned[0].chunks),
        new_axis=0,
        dtype=dtype,
        meta=np.empty((0, 0, 0, 0), dtype=dtype),
    )
    return _cut_like(found, arrays[0])


def _trimmed(function: Callable[..., np.ndarray], rows: int, columns: int, *padded: np.ndarray) -> np.ndarray:
    found = function(*padded)
    return found[:, :, rows : found.shape[2] - rows, columns : found.shape[3] - columns]


def _aligned(arrays: list[Any], depth: int) -> tuple[list[da.Array], dict[int, int]]:
    """Dask arrays (n, rows, columns) of the same chunks, none thinner than the halo, and its depth along each axis."""
    import dask.array as da

    # chunks thinner than the halo would be merged behind our back: merge them first, for all arrays alike
    first = da.asarray(arrays[0])
    chunks = tuple(_no_thinner(sizes, depth) for sizes in first.chunks[1:])
    aligned = [da.asarray(array).rechunk((first.chunks[0], *chunks)) for array in arrays]
    return aligned, {0: 0, 1: min(depth, first.shape[1]), 2: min(depth, first.shape[2])}


def around_pixel(function: Callable[..., np.ndarray], arrays: list[Any], depth: int, layers: int) -> Any:
    """Apply a function of (n, rows, columns) arrays that looks `depth` nodes around each pixel, in all of their layers.

    It gets a small tile at a time, with a margin of `depth` nodes, NaN beyond the edges of the grid, and returns the
    tile without its margin: (layers, rows, columns).
    """
    if all(isinstance(array, np.ndarray) for array in arrays):
        out = np.empty((layers, *arrays[0].shape[1:]), dtype=arrays[0].dtype)

        def solve(tile: Tile) -> None:
            wide = [slice(max(part.start - depth, 0), part.stop + depth) for part in tile]
            # only at the edges of the grid something is missing
            missing = [
                (max(depth - part.start, 0), max(part.stop + depth - size, 0))
                for part, size in zip(tile, out.shape[1:], strict=True)
            ]
            out[:, *tile] = function(
                *(np.pad(array[:, *wide], ((0, 0), *missing), constant_values=np.nan) for array in arrays)
            )

        in_threads(solve, _small_tiles(out.shape[1:]))
        return out
    import dask.array as da

    chunks = tuple(_no_thinner(sizes, depth) for sizes in da.asarray(arrays[0]).chunks[1:])
    padded = [
        da.overlap.overlap(
            da.asarray(array).rechunk((-1, *chunks)),
            depth=dict(enumerate((0, depth, depth))),
            boundary=dict(enumerate(("none", np.nan, np.nan))),
        )
        for array in arrays
    ]
    found = da.map_blocks(
        partial(_around_pixel_of_block, function, depth, layers),
        *padded,
        chunks=((layers,), *chunks),
        dtype=arrays[0].dtype,
        meta=np.empty((0, 0, 0), dtype=arrays[0].dtype),
    )
    return _cut_like(found, arrays[0])


def _around_pixel_of_block(
    function: Callable[..., np.ndarray], depth: int, layers: int, *padded: np.ndarray
) -> np.ndarray:
    rows, columns = (size - 2 * depth for size in padded[0].shape[1:])
    out = np.empty((layers, rows, columns), dtype=padded[0].dtype)
    for tile in _small_tiles((rows, columns)):
        wide = [slice(part.start, part.stop + 2 * depth) for part in tile]
        out[:, *tile] = function(*(array[:, *wide] for array in padded))
    return out


def _small_tiles(shape: tuple[int, ...]) -> Iterator[Tile]:
    """Rows and columns of tiles so small that all pairs of their pixels may be held in double precision."""
    for top in range(0, shape[0], STRIP):
        for left in range(0, shape[1], TILE):
            yield slice(top, min(top + STRIP, shape[0])), slice(left, min(left + TILE, shape[1]))


def _cut_like(found: da.Array, given: Any) -> da.Array:
    """Cut rows and columns as they were given: no store takes chunks of which a middle one is the largest."""
    import dask.array as da

    chunks = da.asarray(given).chunks[-2:]
    alike: da.Array = found.rechunk({found.ndim - 2: chunks[0], found.ndim - 1: chunks[1]})
    return alike


def _no_thinner(sizes: tuple[int, ...], least: int) -> tuple[int, ...]:
    """Chunk sizes with neighbours merged until none is thinner than `least`."""
    merged: list[int] = []
    for size in sizes:
        if merged and (merged[-1] < least or size < least):
            merged[-1] += size
        else:
            merged.append(size)
    return tuple(merged)
