"""Scores to compute, and bytes to hold, of a request to match."""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import numpy as np
import xarray as xr

from xoffset._arrays.lattice import Lattice, Tile
from xoffset._arrays.matching import pyramid, search
from xoffset._arrays.matching.search import Pair
from xoffset.matching.request import Request

# Most nodes, times kinds of pairs, whose shifts are counted one by one; of more pairs only a part is counted.
COUNTED = 8_000_000
# Proposals that usually differ at a level of a pyramid: no shift at all, and what the level below found.
PROPOSALS = 2
# Copies of a dask block in memory at once: as read, with its halo, and in parts as the halos of its neighbours.
COPIES = 3


class Part(NamedTuple):
    """Tiles that cost alike, with one of them and a pair that stand for all."""

    shifts: float  # of all pairs
    pixels: float  # of the windows that are read, one date
    tile: Tile
    pair: Pair


def count_work(request: Request) -> list[Part]:
    """Work of the tiles that lie inside the image with all they read, and of the others.

    Beyond the edge of the image the pre-filter does without, which costs more.
    """
    lattice, guide = request.lattice, request.guide
    tiles = list(lattice.tiles())
    windows = [lattice.window(lattice.faded(tile)) for tile in tiles]
    pixels = np.array([math.prod(part.stop - part.start for part in window) for window in windows])
    is_inside = np.array(
        [all(part.start >= 0 and part.stop <= size for part, size in zip(window, lattice.shape, strict=True))
         for window in windows]
    )  # fmt: skip
    alike = Counter((pair.prior, pair.scale) for pair in guide.pairs)
    kinds = sorted(alike)
    which, where, counts = _count_all_shifts(request, kinds, tiles)
    weights = np.array([alike[kinds[k]] for k in which])
    share = len(guide.pairs) * len(tiles) / float(weights.sum())
    parts = []
    for wanted in (is_inside, ~is_inside):
        here = wanted[where]
        total = float((weights * counts)[here].sum())
        if total > 0:
            # the tile in which a shift is found on average, not the average tile: most may have little to do
            mean = (weights * counts**2)[here].sum() / total
            typical = np.flatnonzero(here)[np.abs(counts[here] - mean).argmin()]
            is_read = np.unique(where[here & (counts > 0)]).size / np.unique(where[here]).size
            pair = Pair(0, 1, *kinds[which[typical]])
            parts.append(Part(total * share, float(pixels[wanted].sum()) * is_read, tiles[where[typical]], pair))
    return parts


def _count_all_shifts(
    request: Request, kinds: list[tuple[int, float]], tiles: list[Tile]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shifts of one pair of each kind in each tile, or in as many as can be counted soon: kind, tile and number."""
    lattice, fields = request.lattice, request.guide.fields
    if len(fields) == 0:
        ends = [[(part.start, part.stop) for part in window] for window in tiles]
        inside = [_count_inside(lattice, axis, np.array(ends)[:, axis]) for axis in (0, 1)]
        counts = inside[0] * inside[1] * count_scores(np.array(lattice.search), request)
        return np.zeros(len(tiles), dtype=np.int64), np.arange(len(tiles)), counts.astype(np.float64)
    most = max(1, COUNTED // min(math.prod(lattice.per_side), math.prod(lattice.nodes)))
    chosen = np.random.default_rng(0).permutation(len(kinds) * len(tiles))[:most]
    which, where = np.divmod(np.sort(chosen), len(tiles))
    counts = [count_shifts(request, Pair(0, 1, *kinds[k]), tiles[n]) for k, n in zip(which, where, strict=True)]
    return which, where, np.array(counts, dtype=np.float64)


def _count_inside(lattice: Lattice, axis: int, ends: np.ndarray) -> np.ndarray:
    """How many of the nodes from first to last (tile, 2) along an axis can search as far as they should."""
    first = -(-lattice.search[axis] // lattice.step)
    last = (lattice.shape[axis] - lattice.template - lattice.search[axis]) // lattice.step + 1
    return np.asarray(np.maximum(np.minimum(ends[:, 1], last) - np.maximum(ends[:, 0], first), 0))


def count_shifts(request: Request, pair: Pair, tile: Tile) -> int:
    """Scores to compute for one pair on the nodes of a tile."""
    candidates = search.candidates(request.guide.fields[:, *tile], pair, tile, request.lattice)
    return int((count_scores(candidates.half, request) * candidates.wanted).sum())


def count_scores(half: np.ndarray, request: Request) -> np.ndarray:
    """Scores to compute for nodes with half-ranges (..., 2)."""
    levels = request.lattice.levels
    if levels == 0:
        candidates = (2 * half + 1).prod(axis=-1)
    else:
        coarsest = (2 * (-(-half // (1 << levels)) + 1) + 1).prod(axis=-1)
        near = (2 * np.minimum(half, pyramid.NARROW) + 1).prod(axis=-1)
        candidates = coarsest + PROPOSALS * levels * near
    return np.asarray(candidates * request.matcher.scores_per_shift(request.lattice.templates))


def largest_task(stack: xr.DataArray, request: Request) -> tuple[int, int]:
    """Node rows and columns of the largest task: a tile, or a block of a dask array."""
    if request.is_eager(stack):
        rows, columns = map(min, request.lattice.per_side, request.lattice.nodes)
        return rows, columns
    rows, columns = (max(sizes) for sizes in request.match(stack).chunks[2:])
    return rows, columns


def memory_of_core(stack: xr.DataArray, request: Request, side: tuple[int, int]) -> int:
    """Bytes that a core works with, on a task of so many node rows and columns."""
    if request.lattice.fade > 0:
        tile = max(map(request.bytes_of, request.batches))
        return round(tile + _block(stack, request, side))
    lattice = request.lattice
    shape = lattice.most
    pixels = math.prod((count - 1) * lattice.step + lattice.template + 2 * lattice.margin for count in shape)
    working = request.matcher.memory(lattice, request.prefilter, request.guide.pairs)
    results = 2 * math.prod(request.shape) * math.prod(shape)
    tile = (len(request.frame.dates) * pixels + results) * lattice.dtype.itemsize + working
    return round(tile + _block(stack, request, side))


def _block(stack: xr.DataArray, request: Request, side: tuple[int, int]) -> int:
    """Bytes of a dask task beyond those of a tile: the pixels of its block, as read and with a halo, and its result."""
    if request.is_eager(stack):
        return 0
    lattice = request.lattice
    pixels = math.prod(
        min((count + 2 * lattice.fade - 1) * lattice.step + lattice.template + 2 * lattice.margin, size)
        for count, size in zip(side, lattice.shape, strict=True)
    )
    pairs, dates = most_at_a_time(request)
    results = len(request.names) * pairs * math.prod(side) * lattice.dtype.itemsize
    stored = dates * request.frame.dtype.itemsize
    # a boolean of a mask takes one byte
    stored += 0 if request.mask is None else min(dates, len(request.mask.values))
    return COPIES * pixels * stored + results


def most_at_a_time(request: Request) -> tuple[int, int]:
    """Largest numbers of pairs that a task matches, and of dates that it reads."""
    if request.lattice.fade == 0:
        return len(request.guide.pairs), len(request.frame.dates)
    dates = max(len(request.only(batch)[0]) for batch in request.batches)
    return max(map(len, request.batches)), dates


def memory_shared(stack: xr.DataArray, request: Request) -> int:
    """Bytes of what the cores write into, beside the result that is made of it: of NumPy arrays only."""
    if not request.is_eager(stack):
        return 0
    return math.prod((*request.shape, *request.lattice.nodes)) * request.lattice.dtype.itemsize
