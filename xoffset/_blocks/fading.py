"""Tiles that fade into each other: each is matched with a rim of nodes that belong to its neighbours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import dask.array as da
from xoffset._arrays.lattice import Lattice, Tile
from xoffset._arrays.matching.crossfade import Part
from xoffset._blocks.threads import in_threads
from xoffset._blocks.tiles import TileKernel, cut

# Values of a tile (field, pair, rows, columns) from its own and those of the tiles around, see `crossfade.blend`.
Blend = Callable[[Tile, Sequence[Part]], np.ndarray]
Place = tuple[int, int]
_STEPS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]


def match_tiles(
    stack: Any,
    guide: np.ndarray,
    lattice: Lattice,
    kernel: TileKernel,
    shape: tuple[int, int],
    blend: Blend,
    mask: Any = None,
) -> Any:
    """As `tiles.match_tiles`, where the kernel gets the nodes beyond the edges of a tile, too, and `blend` mixes."""
    tiles = _by_place(lattice)
    if not (isinstance(stack, np.ndarray) and isinstance(mask, (np.ndarray, type(None)))):
        return _match_blocks(_padded(stack, mask, lattice, tiles), guide, lattice, kernel, shape, blend)
    out = np.empty((*shape, *lattice.nodes), dtype=lattice.dtype)
    found: dict[Place, Part] = {}
    begun: set[Place] = set()
    ended: set[Place] = set()
    lock = threading.Lock()

    def match(place: Place) -> None:
        tile = tiles[place]
        nodes = lattice.faded(tile)
        values = kernel(cut(stack, mask, (0, 0), nodes, lattice), nodes, guide[:, *nodes])
        with lock:
            found[place] = Part(tile, nodes, values)
            # whatever waited for this tile alone
            ready = [
                each
                for each in _around(place, tiles)
                if each not in begun and all(other in found for other in _around(each, tiles))
            ]
            begun.update(ready)
            parts = [[found[other] for other in _around(each, tiles)] for each in ready]
        for each, of_each in zip(ready, parts, strict=True):
            out[:, :, *tiles[each]] = blend(tiles[each], of_each)
        with lock:
            ended.update(ready)
            for other in {other for each in ready for other in _around(each, tiles)}:
                if ended.issuperset(_around(other, tiles)):
                    found.pop(other, None)

    in_threads(match, tiles)
    return out


def _by_place(lattice: Lattice) -> dict[Place, Tile]:
    """Tiles by their row and column."""
    return {(tile[0].start // lattice.per_tile, tile[1].start // lattice.per_tile): tile for tile in lattice.tiles()}


def _around(place: Place, tiles: dict[Place, Tile]) -> list[Place]:
    """Places of a tile and of those around, in the order of the tiles."""
    near = [(place[0] + down, place[1] + right) for down, right in _STEPS]
    return [each for each in near if each in tiles]


def _padded(stack: Any, mask: Any, lattice: Lattice, tiles: dict[Place, Tile]) -> list[Any]:
    """Stack and mask, if there is one, in blocks of one tile with all the pixels that it may need."""
    import dask.array as da

    depth: dict[int, Any] = {0: 0}
    pixels = []
    for axis in range(2):
        starts = sorted({tile[axis].start * lattice.step for tile in tiles.values()})
        pixels.append(tuple(np.diff([*starts, lattice.shape[axis]]).tolist()))
        before = lattice.margin + lattice.fade * lattice.step
        # a single block has no neighbours, and may be thinner than the halo
        is_single = len(starts) == 1
        depth[axis + 1] = 0 if is_single else (before, before + max(lattice.template - lattice.step, 0))
    layers = [da.asarray(each) for each in (stack, mask) if each is not None]
    aligned = [each.rechunk((each.shape[0], *pixels)) for each in layers]
    return [da.overlap.overlap(each, depth=depth, boundary="none") for each in aligned]


def _match_blocks(
    padded: list[Any],
    guide: np.ndarray,
    lattice: Lattice,
    kernel: TileKernel,
    shape: tuple[int, int],
    blend: Blend,
) -> da.Array:
    """Three tasks a tile: one matches it, one cuts what reaches into the tiles around, one mixes."""
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    tiles = _by_place(lattice)
    name = f"faded-{tokenize(guide, lattice, kernel, shape, blend, *padded)}"
    graph: dict[Any, Any] = {}
    for place, tile in tiles.items():
        nodes = lattice.faded(tile)
        blocks = [(each.name, 0, *place) for each in padded]
        matched, rims = (f"matched-{name}", *place), [(f"rims-{name}", *each) for each in _around(place, tiles)]
        graph[matched] = (_match_block, lattice, kernel, tile, guide[:, *nodes], blocks)
        graph[(f"rims-{name}", *place)] = (_rims, lattice, tile, matched)
        rims.remove((f"rims-{name}", *place))
        graph[(name, 0, 0, *place)] = (_blend_block, blend, lattice, tile, matched, rims)
    counts = []
    for axis, count in enumerate(lattice.nodes):
        starts = sorted({tile[axis].start for tile in tiles.values()})
        counts.append(tuple(np.diff([*starts, count]).tolist()))
    return da.Array(
        HighLevelGraph.from_collections(name, graph, dependencies=padded),
        name,
        ((shape[0],), (shape[1],), *counts),
        dtype=lattice.dtype,
        meta=np.empty((0, 0, 0, 0), dtype=lattice.dtype),
    )


def _match_block(
    lattice: Lattice, kernel: TileKernel, tile: Tile, guide: np.ndarray, blocks: list[np.ndarray]
) -> np.ndarray:
    before = lattice.margin + lattice.fade * lattice.step
    rows, columns = (max(part.start * lattice.step - before, 0) for part in tile)
    stack, mask = blocks[0], blocks[1] if len(blocks) > 1 else None
    nodes = lattice.faded(tile)
    return kernel(cut(stack, mask, (rows, columns), nodes, lattice), nodes, guide)


def _rims(lattice: Lattice, tile: Tile, values: np.ndarray) -> dict[Place, Part]:
    """What a tile says of the nodes of the tiles around, by where their first node lies: above, below, left, right."""
    nodes = lattice.faded(tile)
    ends = [
        {-1: slice(whole.start, own.start), 0: own, 1: slice(own.stop, whole.stop)}
        for whole, own in zip(nodes, tile, strict=True)
    ]
    rims = {}
    for down, right in _STEPS:
        beyond = ends[0][down], ends[1][right]
        rows, columns = (
            slice(part.start - whole.start, part.stop - whole.start) for part, whole in zip(beyond, nodes, strict=True)
        )
        if (down, right) != (0, 0):
            rims[down, right] = Part(tile, beyond, np.ascontiguousarray(values[:, :, rows, columns]))
    return rims


def _blend_block(
    blend: Blend, lattice: Lattice, tile: Tile, values: np.ndarray, rims: list[dict[Place, Part]]
) -> np.ndarray:
    parts = [Part(tile, lattice.faded(tile), values)]
    for of_neighbour in rims:
        parts += [
            part
            for part in of_neighbour.values()
            if all(
                own.start <= beyond.start < min(beyond.stop, own.stop)
                for own, beyond in zip(tile, part.nodes, strict=True)
            )
        ]
    return blend(tile, sorted(parts, key=lambda part: (part.tile[0].start, part.tile[1].start)))
