"""Tiles that fade into each other: each is matched with a rim of nodes that belong to the next ones."""

from __future__ import annotations

import itertools
import operator
import threading
from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import dask.array as da
from xoffset._arrays.lattice import Lattice, Tile
from xoffset._arrays.matching.crossfade import Part
from xoffset._blocks.threads import in_threads
from xoffset._blocks.tiles import TileKernel, cut

# Values of a tile (field, pair, rows, columns) from its own and those of the tiles before, see `crossfade.blend`.
Blend = Callable[[Tile, Sequence[Part]], np.ndarray]
Place = tuple[int, int]
# Tiles along the sides of a group of tiles of a lazy result.
GROUP = 8
# From a tile to the next ones, into which it fades.
_STEPS = [(0, 1), (1, 0), (1, 1)]


class Batch(NamedTuple):
    """Pairs that are matched together: the images that they need, their place among all pairs, and their kernel."""

    dates: list[int]
    pairs: slice
    kernel: TileKernel


def match_tiles(
    stack: Any, guide: np.ndarray, lattice: Lattice, batches: Sequence[Batch], fields: int, blend: Blend, mask: Any
) -> Any:
    """Match tiles and the nodes beyond their edges, and mix what they say: (field, pair, rows, columns).

    NumPy if stack (time, y, x) and mask are, dask otherwise. A batch is matched for itself, so that memory does not
    grow with the number of dates and pairs.
    """
    if not (isinstance(stack, np.ndarray) and isinstance(mask, (np.ndarray, type(None)))):
        import dask.array as da

        layers = [da.asarray(each) for each in (stack, mask) if each is not None]
        return da.concatenate([_match_blocks(layers, guide, lattice, batch, fields, blend) for batch in batches], 1)
    out = np.empty((fields, batches[-1].pairs.stop, *lattice.nodes), dtype=lattice.dtype)
    mosaics = [_Mosaic(stack, mask, guide, lattice, batch, blend, out[:, batch.pairs]) for batch in batches]
    in_threads(lambda job: job[0].match(job[1]), [(mosaic, place) for mosaic in mosaics for place in mosaic.tiles])
    return out


class _Mosaic:
    """The tiles of one batch, which are mixed in place as soon as those before are there."""

    def __init__(
        self, stack: Any, mask: Any, guide: np.ndarray, lattice: Lattice, batch: Batch, blend: Blend, out: np.ndarray
    ) -> None:
        self.tiles = _by_place(lattice)
        self._pixels = partial(cut, stack, mask, (0, 0), lattice=lattice, dates=batch.dates)
        self._guide, self._lattice, self._kernel, self._blend, self._out = guide, lattice, batch.kernel, blend, out
        self._rims: dict[Place, dict[Place, Part]] = {}
        self._begun: set[Place] = set()
        self._lock = threading.Lock()

    def match(self, place: Place) -> None:
        """Match a tile, and mix those that have waited for it alone."""
        nodes = self._lattice.faded(self.tiles[place])
        values = self._kernel(self._pixels(tile=nodes), nodes, self._guide[:, *nodes])
        own, rims = _divided(self._lattice, self.tiles[place], values)
        self._out[:, :, *self.tiles[place]] = own
        del values, own
        with self._lock:
            self._rims[place] = rims
            ready = [each for each in (place, *_beside(place, self.tiles, 1)) if self._is_ready(each)]
            self._begun.update(ready)
            # each is needed by one tile only
            parts = [
                [self._rims[other].pop((each[0] - other[0], each[1] - other[1])) for other in self._before(each)]
                for each in ready
            ]
        for each, of_each in zip(ready, parts, strict=True):
            tile = self.tiles[each]
            self._out[:, :, *tile] = _blended(self._out[:, :, *tile], of_each, self._blend, tile)

    def _is_ready(self, place: Place) -> bool:
        is_there = place in self._rims and all(other in self._rims for other in self._before(place))
        return is_there and place not in self._begun

    def _before(self, place: Place) -> list[Place]:
        return _beside(place, self.tiles, -1)


def _by_place(lattice: Lattice) -> dict[Place, Tile]:
    """Tiles by their row and column."""
    down, right = lattice.per_side
    return {(tile[0].start // down, tile[1].start // right): tile for tile in lattice.tiles()}


def _beside(place: Place, tiles: Container[Place], sense: int) -> list[Place]:
    """Places of the tiles next to one (sense 1), or before it (-1)."""
    near = [(place[0] + sense * down, place[1] + sense * right) for down, right in _STEPS]
    return [each for each in near if each in tiles]


def _share(one: Place, other: Place) -> bool:
    """Whether two tiles are of one group."""
    return all(first // GROUP == second // GROUP for first, second in zip(one, other, strict=True))


def _divided(lattice: Lattice, tile: Tile, values: np.ndarray) -> tuple[np.ndarray, dict[Place, Part]]:
    """What a tile says of its own nodes, and of those of the next tiles, by the step to each of them."""
    ends = [(own, slice(own.stop, whole.stop)) for whole, own in zip(lattice.faded(tile), tile, strict=True)]
    pieces = {}
    for down, right in [(0, 0), *_STEPS]:
        piece = ends[0][down], ends[1][right]
        rows, columns = (
            slice(part.start - own.start, part.stop - own.start) for part, own in zip(piece, tile, strict=True)
        )
        # a copy, so that the whole of the values is not kept
        pieces[down, right] = Part(tile, piece, values[:, :, rows, columns].copy())
    return pieces.pop((0, 0)).values, pieces


def _blended(own: np.ndarray, rims: Sequence[Part], blend: Blend, tile: Tile) -> np.ndarray:
    """Values of a tile from its own and the rims of the tiles before."""
    parts = [Part(tile, tile, own), *rims]
    return blend(tile, sorted(parts, key=lambda part: (part.tile[0].start, part.tile[1].start)))


def _match_blocks(
    layers: Sequence[Any], guide: np.ndarray, lattice: Lattice, batch: Batch, fields: int, blend: Blend
) -> da.Array:
    """Tasks of a tile: its pixels, its match, what of it is its own and what reaches beyond, and the mixture.

    Within a group a tile is matched after those before it, so that few wait in memory for others, whatever order a
    scheduler likes; and not beyond, so that a part of the result can be had without the whole.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    tiles = _by_place(lattice)
    token = tokenize(guide, lattice, batch, fields, blend, *layers)
    name = f"faded-{token}"
    graph: dict[Any, Any] = {}
    for place, tile in tiles.items():
        nodes = lattice.faded(tile)
        rows, columns = (
            slice(max(part.start, 0), min(part.stop, size))
            for part, size in zip(lattice.window(nodes), lattice.shape, strict=True)
        )
        pixels = [_window(each, batch.dates, (rows, columns)) for each in layers]
        match = partial(_match_block, lattice, batch.kernel, tile, (rows.start, columns.start), guide[:, *nodes])
        matched = (f"matched-{token}", *place)
        before = _beside(place, tiles, -1)
        rims = [(f"rims-{token}", *each) for each in before]
        graph[matched] = (match, pixels, [rim for rim, each in zip(rims, before, strict=True) if _share(place, each)])
        graph[(f"own-{token}", *place)] = (operator.itemgetter(0), matched)
        graph[(f"rims-{token}", *place)] = (operator.itemgetter(1), matched)
        steps = [(place[0] - each[0], place[1] - each[1]) for each in before]
        graph[(name, 0, 0, *place)] = (
            partial(_blend_block, blend, tile, steps), (f"own-{token}", *place), rims
        )  # fmt: skip
    counts = [
        tuple(tile[axis].stop - tile[axis].start for place, tile in tiles.items() if place[1 - axis] == 0)
        for axis in range(2)
    ]
    return da.Array(
        HighLevelGraph.from_collections(name, graph, dependencies=layers),
        name,
        ((fields,), (batch.pairs.stop - batch.pairs.start,), *counts),
        dtype=lattice.dtype,
        meta=np.empty((0, 0, 0, 0), dtype=lattice.dtype),
    )


def _window(layer: da.Array, dates: Sequence[int], window: Tile) -> tuple[Any, ...]:
    """Task that puts pixels of some dates together from the blocks of an array (time, y, x) that hold them.

    An array of one date has the same for all.
    """
    wanted = [np.asarray(dates) if layer.shape[0] > 1 else np.zeros(1, dtype=np.int64)]
    wanted += [np.arange(part.start, part.stop) for part in window]
    along: list[list[tuple[Any, ...]]] = []
    for places, sizes in zip(wanted, layer.chunks, strict=True):
        starts = np.cumsum([0, *sizes])
        block = np.searchsorted(starts, places, side="right") - 1
        along.append(
            [(int(each), places[block == each] - starts[each], np.flatnonzero(block == each))
             for each in np.unique(block)]
        )  # fmt: skip
    pieces = list(itertools.product(*along))
    sources, targets = ([tuple(axis[k] for axis in piece) for piece in pieces] for k in (1, 2))
    put = partial(_put_together, layer.dtype, tuple(each.size for each in wanted), sources, targets)
    return put, [(layer.name, *(axis[0] for axis in piece)) for piece in pieces]


def _put_together(
    dtype: np.dtype,
    shape: tuple[int, ...],
    sources: Sequence[tuple[np.ndarray, ...]],
    targets: Sequence[tuple[np.ndarray, ...]],
    blocks: Sequence[np.ndarray],
) -> np.ndarray:
    out = np.empty(shape, dtype=dtype)
    for source, target, block in zip(sources, targets, blocks, strict=True):
        out[np.ix_(*target)] = np.asarray(block)[np.ix_(*source)]
    return out


def _match_block(
    lattice: Lattice,
    kernel: TileKernel,
    tile: Tile,
    origin: tuple[int, int],
    guide: np.ndarray,
    pixels: Sequence[np.ndarray],
    _before: Any,
) -> tuple[np.ndarray, dict[Place, Part]]:
    nodes = lattice.faded(tile)
    stack, mask = pixels[0], pixels[1] if len(pixels) > 1 else None
    return _divided(lattice, tile, kernel(cut(stack, mask, origin, nodes, lattice), nodes, guide))


def _blend_block(
    blend: Blend, tile: Tile, steps: Sequence[Place], own: np.ndarray, rims: Sequence[dict[Place, Part]]
) -> np.ndarray:
    return _blended(own, [of_other[step] for step, of_other in zip(steps, rims, strict=True)], blend, tile)
