"""Functions of whole arrays, or of places in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from xoffset._blocks.threads import in_threads

# Rows whose places are looked at together.
STRIP = 512


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


def of_maps(
    function: Callable[..., np.ndarray], common: list[Any], fields: list[Any], count: int, dtype: np.dtype
) -> Any:
    """What a function tells of whole maps: (count, n) of fields (n, rows, columns), (count,) of (rows, columns).

    It gets the common arrays, then those of one layer; each layer is a task of its own.
    """
    if fields[0].ndim == 2:
        return at_once(function, [*common, *fields], dtype, (count,))
    layers = [[field[k] for field in fields] for k in range(len(fields[0]))]
    return np.stack([at_once(function, [*common, *each], dtype, (count,)) for each in layers], axis=1)


def each_layer(function: Callable[[np.ndarray], np.ndarray], array: Any, shape: tuple[int, int], chunks: Any) -> Any:
    """Apply a function to each layer (rows, columns) of an array (n, rows, columns), whole: (n, *shape).

    A dask array is cut into `chunks` along rows and columns afterwards, if there are any.
    """
    if isinstance(array, np.ndarray):
        out = np.empty((array.shape[0], *shape), dtype=array.dtype)

        def apply(layer: int) -> None:
            out[layer] = function(array[layer])

        in_threads(apply, range(array.shape[0]))
        return out
    import dask.array as da

    layers = array.rechunk((1, -1, -1))
    found = da.map_blocks(
        partial(_of_layer, function),
        layers,
        chunks=((1,) * array.shape[0], (shape[0],), (shape[1],)),
        dtype=array.dtype,
        meta=np.empty((0, 0, 0), dtype=array.dtype),
    )
    return found if chunks is None else found.rechunk({1: chunks[0], 2: chunks[1]})


def _of_layer(function: Callable[[np.ndarray], np.ndarray], block: np.ndarray) -> np.ndarray:
    return function(block[0])[np.newaxis]


def read_anew(arrays: list[Any]) -> list[Any]:
    """Arrays that are read a second time for the whole scene, so that no block waits in memory for its own result.

    NumPy arrays, and dask arrays that are more than blocks of a store or of memory with simple steps on each, come back
    as they are: to compute them twice would cost more than to keep them.
    """
    return [array if isinstance(array, np.ndarray) or not _is_cheap(array) else _cloned(array) for array in arrays]


def _is_cheap(array: Any) -> bool:
    """Whether all blocks come of blocks that are read or in memory, one by one."""
    from dask.blockwise import Blockwise
    from dask.highlevelgraph import HighLevelGraph

    graph = array.dask
    if not isinstance(graph, HighLevelGraph):
        return False
    # what has neighbours, is cut anew or joined has layers of other kinds
    return all(isinstance(layer, Blockwise) or not graph.dependencies[name] for name, layer in graph.layers.items())


def _cloned(array: Any) -> Any:
    from dask.graph_manipulation import clone

    return clone(array, seed="whole")


def each_pair(function: Callable[..., np.ndarray], arrays: list[Any], shared: list[Any], layers: int) -> Any:
    """Apply a function of one layer of each array (pair, ...), and of shared arrays: (layers, pair).

    It is asked of small arrays: a dask array is joined along all other axes.
    """
    count = arrays[0].shape[0]
    if all(isinstance(array, np.ndarray) for array in (*arrays, *shared)):
        out = np.empty((layers, count))

        def apply(pair: int) -> None:
            out[:, pair] = function(*(array[pair] for array in arrays), *shared)

        in_threads(apply, range(count))
        return out
    import dask.array as da

    parts: list[Any] = []
    axis = 2  # 0 and 1 are those of the result
    for array in arrays:
        joined = da.asarray(array).rechunk({0: 1} | dict.fromkeys(range(1, array.ndim), -1))
        parts += [joined, (1, *range(axis, axis + array.ndim - 1))]
        axis += array.ndim - 1
    for array in shared:
        parts += [da.asarray(array).rechunk(-1), tuple(range(axis, axis + array.ndim))]
        axis += array.ndim
    return da.blockwise(
        partial(_of_pair, function, len(arrays)),
        (0, 1),
        *parts,
        new_axes={0: layers},
        align_arrays=False,
        concatenate=True,
        dtype=np.float64,
        meta=np.empty((0, 0)),
    )


def _of_pair(function: Callable[..., np.ndarray], number: int, *blocks: np.ndarray) -> np.ndarray:
    return function(*(block[0] for block in blocks[:number]), *blocks[number:])[:, np.newaxis]


def sample(arrays: list[Any], count: int, most: int) -> list[Any]:
    """Every so many rows and columns of arrays (..., rows, columns): about `most` of `count` values are left."""
    stride = max(math.ceil(math.sqrt(count / most)), 1)
    return [array[..., ::stride, ::stride] for array in arrays]


def lattice(shape: tuple[int, int], most: int) -> tuple[Any, Any]:
    """Rows and columns of a grid of which about `most` nodes are left, as indices.

    One is drawn of every so many, so that they do not keep step with what repeats along the grid.
    """
    stride = max(math.ceil(math.sqrt(shape[0] * shape[1] / most)), 1)
    if stride == 1:
        return slice(None), slice(None)
    generator = np.random.default_rng(0)
    starts = [np.arange(0, size, stride) for size in shape]
    rows, columns = (
        start + generator.integers(0, np.minimum(stride, size - start))
        for start, size in zip(starts, shape, strict=True)
    )
    return rows, columns


def where_wanted(array: Any, wanted: Any) -> Any:
    """What a dask array (n, rows, columns) is where a map (rows, columns) is True, so that little of it is kept.

    An array (n, blocks down, blocks across) of pairs: numbers of the nodes, row by row of the whole map, and values
    there. A NumPy array comes back as it is.
    """
    if isinstance(array, np.ndarray):
        return array
    import dask.array as da

    layers, *chunks = array.chunks
    return da.map_blocks(
        partial(_pick, array.shape[2]),
        array,
        da.asarray(wanted).rechunk(tuple(chunks))[np.newaxis],
        chunks=(layers, *((1,) * len(each) for each in chunks)),
        dtype=object,
        meta=np.empty((0, 0, 0), dtype=object),
    )


def _pick(width: int, block: np.ndarray, wanted: np.ndarray, *, block_info: dict[Any, dict[str, Any]]) -> np.ndarray:
    _, (top, _), (left, _) = block_info[0]["array-location"]
    row, column = np.nonzero(wanted[0])
    nodes = (row + top) * width + column + left
    out = np.empty((len(block), 1, 1), dtype=object)
    for k, layer in enumerate(block):
        out[k, 0, 0] = nodes, layer[row, column]
    return out


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
        # the blocks are those of `like` already
        align_arrays=False,
        dtype=np.float64,
        meta=np.empty((0, 0, 0)),
    )


def marked(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    y: np.ndarray,
    x: np.ndarray,
    chunks: tuple[tuple[int, ...], ...] | None,
) -> Any:
    """What a function of the coordinates (rows,), (columns,) marks, boolean (rows, columns); dask if chunks are given.

    It gets some rows or a block at a time, so that what it needs on the way stays small.
    """
    if chunks is None:
        out = np.empty((y.size, x.size), dtype=np.bool_)

        def mark(top: int) -> None:
            out[top : top + STRIP] = function(y[top : top + STRIP], x)

        in_threads(mark, range(0, y.size, STRIP))
        return out
    import dask.array as da

    meta = np.empty((0, 0), dtype=np.bool_)
    return da.map_blocks(partial(_mark_block, function, y, x), chunks=chunks, dtype=np.bool_, meta=meta)


def _mark_block(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    y: np.ndarray,
    x: np.ndarray,
    *,
    block_info: dict[Any, dict[str, Any]],
) -> np.ndarray:
    rows, columns = (slice(*ends) for ends in block_info[None]["array-location"])
    return function(y[rows], x[columns])


def in_chunks(array: Any, chunks: tuple[tuple[int, ...], ...] | None) -> Any:
    """A map (rows, columns) as dask in these chunks, or as it is if none are given."""
    if chunks is None:
        return array
    import dask.array as da

    return da.asarray(array).rechunk(chunks) if not isinstance(array, np.ndarray) else da.from_array(array, chunks)
