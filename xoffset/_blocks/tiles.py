"""Tiles of images with all of their dates: the matcher's way through a stack."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import dask.array as da
from xoffset._arrays.lattice import LARGEST_BLOCK, TILE, Lattice, Tile
from xoffset._blocks import halos
from xoffset._blocks.reads import in_blocks, part_of
from xoffset._blocks.threads import in_threads

TileKernel = Callable[[np.ndarray, Tile, np.ndarray], np.ndarray]
# Beyond it a number is no pixel's: infinity, and what libraries leave where nothing was written.
LARGEST_PIXEL = 1e15
ReadImage = Callable[[slice, slice], np.ndarray]
# Bytes of results that a dask task may return.
LARGEST_OUTPUT = 256 * 2**20
# Bytes of the pixels of all dates that a block may have.
LARGEST_IMAGES = 256 * 2**20
# Blocks along the longer side of an image, if each holds a tile.
FEWEST = 8
# Side of the block whose window one task reads for itself, px: of smaller ones the margins are read too often.
WINDOW = 512


def match_tiles(
    stack: Any, guide: np.ndarray, lattice: Lattice, kernel: TileKernel, shape: tuple[int, int], mask: Any = None
) -> Any:
    """Run a tile kernel over a stack (time, y, x): shape·(rows, columns), NumPy if stack and mask are, dask otherwise.

    The kernel gets the pixels of a tile's window as floats, NaN outside the image, where there is no data and where the
    mask (time or 1, y, x) is not True, the nodes of the tile, and their part of the guide (field, rows, columns).
    """
    if not (isinstance(stack, np.ndarray) and isinstance(mask, (np.ndarray, type(None)))):
        return _match_blocks(stack, mask, guide, lattice, kernel, shape)
    out = np.empty((*shape, *lattice.nodes), dtype=lattice.dtype)

    def match(tile: Tile) -> None:
        out[:, :, tile[0], tile[1]] = kernel(cut(stack, mask, (0, 0), tile, lattice), tile, guide[:, *tile])

    in_threads(match, lattice.tiles())
    return out


def _match_blocks(
    stack: Any, mask: Any, guide: np.ndarray, lattice: Lattice, kernel: TileKernel, shape: tuple[int, int]
) -> da.Array:
    """Blocks of whole tiles, chosen from these and not from the chunks: so any chunks make a graph of the same size.

    A block gets the rims of those around it; where the images are read by the task itself, its whole window.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    layers = [da.asarray(each) for each in (stack, mask) if each is not None]
    halo = _halo(lattice)
    side = block_side(lattice, shape, layers[0].dtype.itemsize * len(layers[0]))
    edges = [
        _block_edges(count, size, side, lattice, halo) for count, size in zip(lattice.nodes, lattice.shape, strict=True)
    ]
    pixels = [
        tuple(np.diff([*(edge * lattice.step for edge in ends[:-1]), size]).tolist())
        for ends, size in zip(edges, lattice.shape, strict=True)
    ]
    aligned: list[Any] = [in_blocks(each, (pixels[0], pixels[1])) for each in layers]
    name = f"matched-{tokenize(guide, lattice, kernel, shape, *aligned)}"
    match = partial(_match_block, lattice, kernel, shape)
    counts = len(pixels[0]), len(pixels[1])
    graph: dict[Any, Any] = {}
    for row, column in np.ndindex(*counts):
        block = slice(*edges[0][row : row + 2]), slice(*edges[1][column : column + 2])
        keys = [(each.name, 0, row, column) for each in aligned]
        around = halos.rim_keys(f"rim-{name}", halo, (row, column), counts)
        graph[(name, 0, 0, row, column)] = (match, block, guide[:, *block], keys, around)
        if any(around):
            graph[(f"rim-{name}", row, column)] = (halos.rims_of, halo, keys)
    return da.Array(
        HighLevelGraph.from_collections(name, graph, dependencies=aligned),
        name,
        ((shape[0],), (shape[1],), *(tuple(np.diff(ends).tolist()) for ends in edges)),
        dtype=lattice.dtype,
        meta=np.empty((0, 0, 0, 0), dtype=lattice.dtype),
    )


def _match_block(
    lattice: Lattice,
    kernel: TileKernel,
    shape: tuple[int, int],
    block: Tile,
    guide: np.ndarray,
    blocks: list[np.ndarray],
    around: list[Any],
) -> np.ndarray:
    pixels, *masks = halos.widened(blocks, around)
    origin = tuple(max(part.start * lattice.step - _halo(lattice), 0) for part in block)
    part = partial(cut, pixels, masks[0] if masks else None, origin, lattice=lattice)
    return _match_tiles_of(block, part, guide, lattice, kernel, shape)


def _match_tiles_of(
    block: Tile,
    pixels: Callable[..., np.ndarray],
    guide: np.ndarray,
    lattice: Lattice,
    kernel: TileKernel,
    shape: tuple[int, int],
) -> np.ndarray:
    """Match the tiles of a block one after the other; `pixels(tile=)` cuts the window of each."""
    out = np.empty((*shape, *(part.stop - part.start for part in block)), dtype=lattice.dtype)
    for tile in lattice.tiles(block):
        rows, columns = (
            slice(nodes.start - part.start, nodes.stop - part.start) for nodes, part in zip(tile, block, strict=True)
        )
        out[:, :, rows, columns] = kernel(pixels(tile=tile), tile, guide[:, rows, columns])
    return out


def match_windows(
    reads: Sequence[ReadImage],
    guide: np.ndarray,
    lattice: Lattice,
    kernel: TileKernel,
    shape: tuple[int, int],
    side: int | None = None,
) -> da.Array:
    """As `match_tiles`, lazily: each task calls read(rows, columns) for the window of its block, and needs no other.

    `reads` are those of the stack (time, rows, columns), and of the mask where there is one.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    per_block = (
        max(1, min(side or WINDOW, _most(lattice, shape)) // (lattice.per_tile * lattice.step)) * lattice.per_tile
    )
    ends = [[*range(0, count, per_block), count] for count in lattice.nodes]
    name = f"windows-{tokenize(guide, lattice, shape)}-{uuid.uuid4().hex}"
    match = partial(_match_window, reads, lattice, kernel, shape)
    # a graph of its own: blocks that nothing is needed for dask would compute anew for each field
    graph: dict[Any, Any] = {}
    for row, column in np.ndindex(len(ends[0]) - 1, len(ends[1]) - 1):
        block = slice(*ends[0][row : row + 2]), slice(*ends[1][column : column + 2])
        graph[(name, 0, 0, row, column)] = (match, block, guide[:, *block])
    return da.Array(
        HighLevelGraph.from_collections(name, graph, dependencies=[]),
        name,
        ((shape[0],), (shape[1],), *(tuple(np.diff(each).tolist()) for each in ends)),
        dtype=lattice.dtype,
        meta=np.empty((0, 0, 0, 0), dtype=lattice.dtype),
    )


def window_reader(array: Any) -> ReadImage:
    """What reads a window of an array (n, y, x), NumPy or dask: of dask the blocks that it touches, in one thread."""
    return partial(part_of, array)


def _match_window(
    reads: Sequence[ReadImage],
    lattice: Lattice,
    kernel: TileKernel,
    shape: tuple[int, int],
    block: Tile,
    guide: np.ndarray,
) -> np.ndarray:
    rows, columns = (
        slice(max(part.start, 0), min(part.stop, size))
        for part, size in zip(lattice.window(block), lattice.shape, strict=True)
    )
    pixels, *masks = (read(rows, columns) for read in reads)
    part = partial(cut, pixels, masks[0] if masks else None, (rows.start, columns.start), lattice=lattice)
    return _match_tiles_of(block, part, guide, lattice, kernel, shape)


def _halo(lattice: Lattice) -> int:
    """Pixels around a block that its windows may need."""
    return lattice.margin + max(lattice.template - lattice.step, 0)


def block_side(lattice: Lattice, shape: tuple[int, int], bytes_of_pixel: int) -> int:
    """Side of a block, px: few blocks of a large image, whose results and pixels of all dates fit in a task."""
    images = math.isqrt(LARGEST_IMAGES // max(bytes_of_pixel, 1))
    return min(max(lattice.shape) // FEWEST, LARGEST_BLOCK, _most(lattice, shape), images)


def _most(lattice: Lattice, shape: tuple[int, int]) -> int:
    """Largest side of a block whose results a task may return, px."""
    return math.isqrt(max(LARGEST_OUTPUT // (math.prod(shape) * lattice.dtype.itemsize), 1)) * lattice.step


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


def cut(
    array: np.ndarray,
    mask: np.ndarray | None,
    origin: tuple[int, int],
    tile: Tile,
    lattice: Lattice,
    dates: Any = slice(None),
) -> np.ndarray:
    """Window of a tile (time, rows, columns) as floats, NaN where there is no data or the mask says so.

    Array and mask start at `origin`; of both only these dates are wanted, or all.
    """
    window = lattice.window(tile)
    inside, there = [], []
    for part, start, size in zip(window, origin, array.shape[1:], strict=True):
        first, last = max(part.start - start, 0), min(part.stop - start, size)
        inside.append(slice(first, last))
        there.append(slice(first + start - part.start, last + start - part.start))
    pixels = array[dates, inside[0], inside[1]]
    is_exact = pixels.dtype.itemsize <= (4 if pixels.dtype.kind == "f" else 2)
    shape = (len(pixels), *(part.stop - part.start for part in window))
    out = np.empty(shape, dtype=np.float32 if is_exact else np.float64)
    if pixels.shape != shape:
        out.fill(np.nan)
    values = out[:, there[0], there[1]]
    values[:] = pixels
    # two numbers tell it of most images
    if array.dtype.kind == "f" and not _is_within(values, LARGEST_PIXEL):
        np.copyto(values, np.nan, where=np.abs(values) > LARGEST_PIXEL)
    # a value that the type cannot hold is no pixel's
    for nodata in lattice.nodata:
        if abs(nodata) <= float(np.finfo(values.dtype).max):
            np.copyto(values, np.nan, where=values == nodata)
    if mask is not None:
        np.copyto(values, np.nan, where=~mask[dates if len(mask) > 1 else slice(None), inside[0], inside[1]])
    return out


def _is_within(values: np.ndarray, limit: float) -> bool:
    """Whether all values lie between -limit and limit, and none is NaN."""
    return values.size == 0 or bool(max(values.max(), -values.min()) <= limit)


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
    reads: Sequence[ReadImage],
    heights: Sequence[tuple[int, ...]],
    shape: tuple[int, int],
    dtype: np.dtype,
    sides: tuple[int, int],
) -> da.Array:
    """Dask array (time, y, x) of images, one a block along time; each block calls read(rows, columns) for itself.

    Images whose tiles take long to decode are read in strips of the heights given, over the whole width, and cut into
    blocks afterwards: each tile is decoded once, whatever the blocks are.
    """
    import dask.array as da

    chunks = da.core.normalize_chunks((1, *sides), shape=(1, *shape), dtype=dtype)
    meta = np.empty((0, 0, 0), dtype=dtype)
    if not any(heights):
        return _lazy_blocks(reads, chunks[1:], meta)
    # one array an image, so that a task carries its own image only
    images = []
    for read, strips in zip(reads, heights, strict=True):
        read_in = ((1,), _merged(strips, chunks[1][0]), (shape[1],)) if strips else chunks
        image = da.map_blocks(partial(_read_block, read), chunks=read_in, dtype=dtype, meta=meta)
        images.append(image.rechunk(chunks))
    stack: da.Array = da.concatenate(images)
    return stack


def _lazy_blocks(
    reads: Sequence[ReadImage], chunks: tuple[tuple[int, ...], tuple[int, ...]], meta: np.ndarray
) -> da.Array:
    """Dask array (time, y, x) whose blocks are read each for itself; of hundreds of images it is made at once.

    Images and edges are blocks of arrays, too, so that a task carries its own image only.
    """
    import dask.array as da

    edges = [[slice(end - side, end) for side, end in zip(sides, np.cumsum(sides), strict=True)] for sides in chunks]
    images, rows, columns = (_as_blocks(each) for each in (reads, *edges))
    found: da.Array = da.blockwise(
        _read_at, "tyx", images, "t", rows, "y", columns, "x",
        adjust_chunks=dict(zip("yx", chunks, strict=True)), dtype=meta.dtype, meta=meta, align_arrays=False,
    )  # fmt: skip
    return found


def _as_blocks(values: Sequence[Any]) -> da.Array:
    """Dask array of objects, one a block."""
    import dask.array as da
    from dask.base import tokenize

    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    blocks: da.Array = da.from_array(objects, chunks=1, name=f"objects-{tokenize(list(values))}")
    return blocks


def _read_at(read: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return np.asarray(read[0](rows[0], columns[0]))[np.newaxis]


def lazy_layers(
    reads: Sequence[ReadImage], count: int, chunks: tuple[tuple[int, ...], tuple[int, ...]], dtype: np.dtype
) -> da.Array:
    """Dask array (time, layer, y, x) of dates with so many layers, one a block; each block calls read(rows, columns).

    The layers of a date are made together, and none is made again for another of them.
    """
    import dask.array as da

    blocks = ((1,), (count,), *chunks)
    meta = np.empty((0, 0, 0, 0), dtype=dtype)
    # one array a date, so that a task carries its own date only
    dates = [da.map_blocks(partial(_read_block, read), chunks=blocks, dtype=dtype, meta=meta) for read in reads]
    layers: da.Array = da.concatenate(dates)
    return layers


def _merged(strips: Sequence[int], height: int) -> tuple[int, ...]:
    """Strips put together as long as they stay within a height, so that tall blocks are not read piece by piece."""
    merged = [0]
    for rows in strips:
        if merged[-1] + rows <= height or not merged[-1]:
            merged[-1] += rows
        else:
            merged.append(rows)
    return tuple(merged)


def lazy_reads(source: Any, chunks: Any, name: str) -> da.Array:
    """Dask array of something that has shape and dtype and reads what its index asks for, a block at a time."""
    import dask.array as da

    meta = np.empty((0,) * source.ndim, dtype=source.dtype)
    array: da.Array = da.from_array(source, chunks=chunks, name=name, asarray=False, fancy=False, meta=meta)
    return array


def _read_block(read: ReadImage, *, block_info: dict[Any, dict[str, Any]]) -> np.ndarray:
    rows, columns = (slice(*ends) for ends in block_info[None]["array-location"][-2:])
    return read(rows, columns)[np.newaxis]
