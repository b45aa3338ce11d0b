"""The only module that builds dask graphs or starts threads: tiles, halos and blocks of pixels."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    import dask.array as da

Item = TypeVar("Item")
Tile = tuple[slice, slice]
TileKernel = Callable[[np.ndarray, Tile, np.ndarray], np.ndarray]
ReadImage = Callable[[slice, slice], np.ndarray]

# Side of a compute tile, and largest side of a dask block, px. Large images get large tiles, whose margins cost less,
# if what a thread keeps of all dates stays within bounds (bytes, at about so many a pixel).
TILE, LARGE_TILE, LARGE_IMAGE, LARGEST_BLOCK = 256, 512, 2048, 2048
IMAGES, BYTES_PER_PIXEL = 256 * 2**20, 64
# Bytes that a thread may hold in products of blocks (seven of them, where pixels are masked).
BUFFER = 256 * 2**20
SMALLEST_TILE = 32
# Bytes of results that a dask task may return.
LARGEST_OUTPUT = 256 * 2**20
# Rows of pixels that a thread solves at a time.
STRIP = 8


@dataclass(frozen=True)
class Lattice:
    """The sampling grid of a matcher and the compute tiles that divide it, fixed to the first pixel of the image.

    Every statistic belongs to a tile and its margin, never to a dask block, so that the result has the same bits for
    any chunks. Window k starts at pixel k·step. Tile edges lie on multiples of step.
    """

    shape: tuple[int, int]
    step: int
    templates: tuple[int, ...]  # sides of the windows, ascending
    search: tuple[int, int]  # half-range along y and x, the largest if it differs by node
    reach: int  # pixels that matching at full resolution needs around the windows of a tile
    margin: int  # those that are read: more than `reach` if there are coarser levels
    levels: int  # of a search from coarse to fine, 0 if there is none
    dates: int  # that a tile keeps at a time
    nodata: float | None
    dtype: np.dtype

    @property
    def template(self) -> int:
        """Side of the largest window, which the grid is made for."""
        return self.templates[-1]

    @property
    def nodes(self) -> tuple[int, int]:
        """Number of windows along y and x."""
        rows, columns = ((size - self.template) // self.step + 1 for size in self.shape)
        return rows, columns

    @property
    def per_tile(self) -> int:
        """Nodes along the side of a tile: TILE or LARGE_TILE pixels, or what keeps products of blocks in BUFFER."""
        block = math.gcd(self.step, self.template, *(self.template - size for size in self.templates))
        # a strip of the products of blocks for each of the rows of blocks that a window holds
        rows = sum(-(-size // block) for size in self.templates)
        per_node = 7 * rows * math.prod(2 * half + 8 for half in self.search) * self.dtype.itemsize
        window = (LARGE_TILE + self.template + 2 * self.margin) ** 2
        is_large = min(self.shape) >= LARGE_IMAGE and self.dates * window * BYTES_PER_PIXEL <= IMAGES
        side = min(LARGE_TILE if is_large else TILE, max(BUFFER // per_node * self.step, SMALLEST_TILE))
        return max(1, side // self.step)

    def tiles(self, block: Tile | None = None) -> Iterator[Tile]:
        """Node rows and columns of each tile, of all or of those within a block of whole tiles."""
        rows, columns = block or tuple(slice(0, count) for count in self.nodes)
        for top in range(rows.start, rows.stop, self.per_tile):
            for left in range(columns.start, columns.stop, self.per_tile):
                yield (
                    slice(top, min(top + self.per_tile, rows.stop)),
                    slice(left, min(left + self.per_tile, columns.stop)),
                )

    def window(self, tile: Tile) -> Tile:
        """Pixels that the tile needs; they may lie outside the image."""
        rows, columns = (
            slice(
                nodes.start * self.step - self.margin,
                (nodes.stop - 1) * self.step + self.template + self.margin,
            )
            for nodes in tile
        )
        return rows, columns

    def frame(self, tile: Tile, inset: int = 0) -> Tile:
        """Part of the tile's window, without its outer `inset` pixels, inside the image; from its first pixel on."""
        rows, columns = (
            slice(max(-part.start - inset, 0), min(part.stop - inset, size) - part.start - inset)
            for part, size in zip(self.window(tile), self.shape, strict=True)
        )
        return rows, columns


def match_tiles(stack: Any, guide: np.ndarray, lattice: Lattice, kernel: TileKernel, shape: tuple[int, int]) -> Any:
    """Run a tile kernel over a stack (time, y, x): shape·(rows, columns), NumPy or dask like the stack.

    The kernel gets the pixels of a tile's window as floats, NaN outside the image and where there is no data, the nodes
    of the tile, and their part of the guide (field, rows, columns).
    """
    if not isinstance(stack, np.ndarray):
        return _match_blocks(stack, guide, lattice, kernel, shape)
    out = np.empty((*shape, *lattice.nodes), dtype=lattice.dtype)

    def match(tile: Tile) -> None:
        out[:, :, tile[0], tile[1]] = kernel(_cut(stack, (0, 0), tile, lattice), tile, guide[:, *tile])

    in_threads(match, lattice.tiles())
    return out


def _match_blocks(
    stack: da.Array, guide: np.ndarray, lattice: Lattice, kernel: TileKernel, shape: tuple[int, int]
) -> da.Array:
    import dask.array as da

    before = lattice.margin
    after = lattice.margin + max(lattice.template - lattice.step, 0)
    most = math.isqrt(max(LARGEST_OUTPUT // (math.prod(shape) * lattice.dtype.itemsize), 1)) * lattice.step
    edges = [
        _block_edges(count, size, min(max(chunks), LARGEST_BLOCK, most), lattice, max(before, after))
        for count, size, chunks in zip(lattice.nodes, stack.shape[1:], stack.chunks[1:], strict=True)
    ]
    pixels = [
        tuple(np.diff([*(edge * lattice.step for edge in ends[:-1]), size]).tolist())
        for ends, size in zip(edges, stack.shape[1:], strict=True)
    ]
    aligned = stack.rechunk((stack.shape[0], *pixels))
    # a single block has no neighbours, and may be thinner than the halo
    depth = {0: 0} | {axis + 1: (before, after) if len(ends) > 2 else 0 for axis, ends in enumerate(edges)}
    padded = da.overlap.overlap(aligned, depth=depth, boundary="none")
    counts = [tuple(np.diff(ends).tolist()) for ends in edges]
    found: da.Array = da.map_blocks(
        _match_block,
        padded,
        # an array of its own, so that a task carries its own part only
        da.from_array(guide, chunks=(guide.shape[0], *counts)),
        lattice=lattice,
        kernel=kernel,
        shape=shape,
        edges=edges,
        chunks=((shape[0],), (shape[1],), *counts),
        new_axis=0,
        dtype=lattice.dtype,
        meta=np.empty((0, 0, 0, 0), dtype=lattice.dtype),
    )
    return found


def _match_block(
    padded: np.ndarray,
    guide: np.ndarray,
    *,
    lattice: Lattice,
    kernel: TileKernel,
    shape: tuple[int, int],
    edges: list[list[int]],
    block_id: tuple[int, ...],
) -> np.ndarray:
    top, bottom = edges[0][block_id[2] : block_id[2] + 2]
    left, right = edges[1][block_id[3] : block_id[3] + 2]
    origin = (max(top * lattice.step - lattice.margin, 0), max(left * lattice.step - lattice.margin, 0))
    out = np.empty((*shape, bottom - top, right - left), dtype=lattice.dtype)
    for tile in lattice.tiles((slice(top, bottom), slice(left, right))):
        rows, columns = (
            slice(nodes.start - first, nodes.stop - first) for nodes, first in zip(tile, (top, left), strict=True)
        )
        out[:, :, rows, columns] = kernel(_cut(padded, origin, tile, lattice), tile, guide[:, rows, columns])
    return out


def _block_edges(count: int, size: int, chunk: int, lattice: Lattice, halo: int) -> list[int]:
    """Node edges of the dask blocks along one axis: whole tiles, all alike but a smaller last, none under the halo."""
    tile = lattice.per_tile * lattice.step
    per_block = lattice.per_tile * -(-max(chunk, TILE, halo) // tile)
    while True:
        edges = list(range(0, count, per_block))
        if len(edges) == 1 or size - edges[-1] * lattice.step >= halo:
            return [*edges, count]
        # a merged last block would be larger than the first, which Zarr refuses: enlarge them all
        per_block += lattice.per_tile


def _cut(array: np.ndarray, origin: tuple[int, int], tile: Tile, lattice: Lattice) -> np.ndarray:
    """Window of a tile (time, rows, columns) as floats, NaN where there is no data; the array starts at `origin`."""
    inside, padding = [], []
    for part, start, size in zip(lattice.window(tile), origin, array.shape[1:], strict=True):
        first, last = max(part.start - start, 0), min(part.stop - start, size)
        inside.append(slice(first, last))
        padding.append((first - (part.start - start), (part.stop - start) - last))
    values = array[:, inside[0], inside[1]]
    is_exact = values.dtype.itemsize <= (4 if values.dtype.kind == "f" else 2)
    values = values.astype(np.float32 if is_exact else np.float64)
    # a value that the type cannot hold is no pixel's
    if lattice.nodata is not None and abs(lattice.nodata) <= float(np.finfo(values.dtype).max):
        values[values == lattice.nodata] = np.nan
    return np.pad(values, ((0, 0), *padding), constant_values=np.nan)


def filter_tiles(stack: Any, lattice: Lattice, kernel: TileKernel) -> Any:
    """Run a tile kernel over every image of a stack (time, y, x) alone: (time, rows, columns), NumPy or dask."""
    guide = np.empty((0, *lattice.nodes))
    if isinstance(stack, np.ndarray):
        return match_tiles(stack, guide, lattice, kernel, (1, len(stack)))[0]
    import dask.array as da

    # one array an image, so that a task carries its own image only
    images = [match_tiles(stack[k : k + 1], guide, lattice, kernel, (1, 1))[0] for k in range(stack.shape[0])]
    return da.concatenate(images)


def lazy_images(
    reads: Sequence[ReadImage], shape: tuple[int, int], dtype: np.dtype, sides: tuple[int, int]
) -> da.Array:
    """Dask array (time, y, x) of images, one a block along time; each block calls read(rows, columns) for itself."""
    import dask.array as da

    # one array an image, so that a task carries its own image only
    chunks = da.core.normalize_chunks((1, *sides), shape=(1, *shape), dtype=dtype)
    meta = np.empty((0, 0, 0), dtype=dtype)
    images = [da.map_blocks(partial(_read_block, read), chunks=chunks, dtype=dtype, meta=meta) for read in reads]
    stack: da.Array = da.concatenate(images)
    return stack


def _read_block(read: ReadImage, *, block_info: dict[Any, dict[str, Any]]) -> np.ndarray:
    _, rows, columns = (slice(*ends) for ends in block_info[None]["array-location"])
    return read(rows, columns)[np.newaxis]


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


def _blocks_of_pixels(
    function: Callable[..., np.ndarray], table: list[Any], arrays: list[Any], layers: int
) -> da.Array:
    import dask.array as da

    # each array has a first axis of its own, which every block gets whole
    whole = [(da.asarray(array).rechunk({0: -1}), (f"n{k}", "y", "x")) for k, array in enumerate(arrays)]
    found: da.Array = da.blockwise(
        function,
        "lyx",
        *table,
        *(part for pair in whole for part in pair),
        new_axes={"l": layers},
        concatenate=True,
        dtype=arrays[0].dtype,
        meta=np.empty((0, 0, 0), dtype=arrays[0].dtype),
    )
    return found


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
    return da.map_overlap(
        function,
        *aligned,
        depth=depths,
        boundary={0: "none", 1: np.inf, 2: np.inf},
        dtype=dtype,
        meta=np.empty((0, 0, 0), dtype=dtype),
    )


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
    return da.map_blocks(
        partial(_trimmed, function, depths[1], depths[2]),
        *(da.overlap.overlap(array, depth=depths, boundary=boundary) for array in aligned),
        chunks=((fields,), *aligned[0].chunks),
        new_axis=0,
        dtype=dtype,
        meta=np.empty((0, 0, 0, 0), dtype=dtype),
    )


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
    return da.map_blocks(
        partial(_around_pixel_of_block, function, depth, layers),
        *padded,
        chunks=((layers,), *chunks),
        dtype=arrays[0].dtype,
        meta=np.empty((0, 0, 0), dtype=arrays[0].dtype),
    )


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


def _no_thinner(sizes: tuple[int, ...], least: int) -> tuple[int, ...]:
    """Chunk sizes with neighbours merged until none is thinner than `least`."""
    merged: list[int] = []
    for size in sizes:
        if merged and (merged[-1] < least or size < least):
            merged[-1] += size
        else:
            merged.append(size)
    return tuple(merged)


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


def progress() -> contextlib.AbstractContextManager[Any]:
    """Bar on standard output while dask computes within the block; for programs, not for the library."""
    from dask.diagnostics.progress import ProgressBar

    # a file or a pipe keeps every redrawn line: draw seldom there
    bar: contextlib.AbstractContextManager[Any] = ProgressBar(dt=0.2 if sys.stdout.isatty() else 1.0)
    return bar


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(function: Callable[[Item], None], items: Iterable[Item], workers: int | None = None) -> None:
    """Call a function that releases the GIL on every item, on all cores; the order of the calls is not defined."""
    with ThreadPoolExecutor(workers or cores()) as pool:
        try:
            for done in [pool.submit(function, item) for item in items]:
                done.result()
        except BaseException:
            # what has not begun would only delay the news
            pool.shutdown(wait=False, cancel_futures=True)
            raise
