"""Whole-pixel matches of a tile: which candidates, by which kernel, through which levels of resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from xoffset._arrays.lattice import Lattice, Tile
from xoffset._arrays.matching.images import Image
from xoffset._kernels.matching import dense, holes, surface, zncc
from xoffset._options import is_whole

# Times of operations, in multiply-adds of a block product: measured, to choose the fastest way to search a tile.
# Addition of a row or a column of block sums, for one window and candidate.
ADD = 10.0
# Score of one window and candidate, and the search for the best.
SCORE = 100.0
# Dense search, for one pixel of a row and candidate, and for each pixel along the side of its window.
DENSE, ALONG = 60.0, 5.0
# Of the pixels that two matched windows must share, the share with which a candidate has a score: so that those beside
# the best one can be told to be lower.
LEAST_BESIDE = 0.8


class Pair(NamedTuple):
    """Indices of the two images of a pair, which prior of a guide holds for it, and by what factor.

    `native` is the side in pixels of those that both images were resampled from, 1 if they were not, or from others.
    """

    reference: int
    secondary: int
    prior: int = 0
    scale: float = 1.0
    native: float = 1.0


def roles(pairs: Sequence[Pair], ways: int) -> tuple[set[int], set[int]]:
    """Images that serve as reference, and as secondary; all as both where pairs are matched in two ways."""
    references, secondaries = {pair.reference for pair in pairs}, {pair.secondary for pair in pairs}
    return (references, secondaries) if ways == 1 else (references | secondaries, references | secondaries)


@dataclass(frozen=True)
class Candidates:
    """Which shifts to try at which node of a tile, in pixels; arrays are by node.

    `centre` and `half` (rows, columns, 2) int64: middle and half-range along y and x. `wanted` (rows, columns) bool.
    `is_uniform`: whether all nodes try the same shifts.
    """

    centre: np.ndarray
    half: np.ndarray
    wanted: np.ndarray
    is_uniform: bool

    @property
    def box(self) -> tuple[int, int, int, int]:
        """First shift along y and x, number of shifts along y and x that hold those of all wanted nodes."""
        if self.is_uniform:
            first, last = self.centre[0, 0] - self.half[0, 0], self.centre[0, 0] + self.half[0, 0]
        else:
            first = (self.centre - self.half)[self.wanted].min(axis=0)
            last = (self.centre + self.half)[self.wanted].max(axis=0)
        return int(first[0]), int(first[1]), int(last[0] - first[0] + 1), int(last[1] - first[1] + 1)

    def within(self, part: Tile) -> Candidates:
        """Those of some rows and columns of nodes."""
        centre, half, wanted = (np.ascontiguousarray(array[part]) for array in (self.centre, self.half, self.wanted))
        return Candidates(centre, half, wanted, self.is_uniform)

    def reversed(self) -> Candidates:
        """Those of the way back."""
        return replace(self, centre=-self.centre)


def search(
    reference: Image, secondary: Image, nodes: zncc.Nodes, candidates: Candidates, min_valid: float
) -> tuple[np.ndarray, np.ndarray]:
    """Best whole-pixel shift of every wanted node and template size.

    Returns
    -------
    tuple
        peaks (size, rows, columns, surface.PEAK_FIELDS) and flags (size, rows, columns) int32. NaN and 0 where nothing
        was wanted.
    """
    sizes = reference.templates
    peaks = np.full((len(sizes), nodes.rows, nodes.columns, surface.PEAK_FIELDS), np.nan, reference.filtered.dtype)
    flags = np.zeros(peaks.shape[:-1], dtype=np.int32)
    if not candidates.wanted.any():
        return peaks, flags
    images = _images(reference, secondary, nodes, candidates, min_valid)
    wanted = candidates.wanted.astype(np.uint8)
    request = zncc.Search(np.array(sizes), candidates.centre, candidates.half, candidates.box, wanted)
    block = math.gcd(nodes.step, sizes[-1], *(sizes[-1] - size for size in sizes))
    costs = _costs(nodes, sizes, block, candidates)
    cheapest = min(costs, key=costs.__getitem__)
    if cheapest == "dense":
        dense.search_densely(images, nodes, request, peaks, flags)
    elif cheapest == "blocks":
        by_blocks(images, nodes, request, block, peaks, flags)
    else:
        one_by_one(images, nodes, request, peaks, flags)
    if len(images.first) > 1:
        masks = [np.stack([getattr(image, kind) for image in (reference, secondary)]) for kind in ("known", "valid")]
        for size, template in enumerate(sizes):
            least = math.ceil(min_valid * template**2), surface.LEAST_FIT * math.ceil(min_valid * template**2)
            holes.count_common(*masks, nodes.of_size(template), wanted, least, peaks[size], flags[size])
    else:
        # NaN where there is no peak
        peaks[..., surface.COMMON] = np.where(np.isnan(peaks[..., 2]), np.nan, 1.0)
    return peaks, flags


def by_blocks(
    images: zncc.Images, nodes: zncc.Nodes, search: zncc.Search, block: int, out: np.ndarray, flags: np.ndarray
) -> None:
    """Best whole-pixel shift of every template, from products that all templates of a tile share.

    Parameters
    ----------
    images, search
        See `zncc.Images` and `zncc.Search`.
    nodes
        Windows of the largest size.
    block
        Side of a block: divides the step, the templates and their distances from one another.
    out
        (size, rows, columns, PEAK_FIELDS) what `surface._read_peak` tells, shifts in pixels; all NaN where no candidate
        has a score.
    flags
        (size, rows, columns) int32: bits against the peak are added.
    """
    across, kinds = nodes.template // block, len(images.first)
    lanes = -(-search.box[3] // zncc.LANES) * zncc.LANES
    box, elements = (*search.box[:3], lanes), search.box[2] * lanes
    plan = _plan(nodes, tuple(search.templates.tolist()), block, kinds)
    dtype = images.first.dtype
    # the last rows of blocks, summed along the row to the width of each size: a ring of them for each size
    sums = np.empty((plan[2][-1], elements + zncc.LANES), dtype)
    ring, pixels = np.empty((across, elements), dtype), np.empty(zncc.MOST_ROWS * block, dtype)
    origin, shape = (np.repeat(np.array([each]), nodes.columns, axis=0) for each in (box[:2], box[2:]))
    score, masked = _scratch(images, search.box[2:], elements)
    zncc.search_blocks(
        images, nodes, search, box, block, plan, (ring, pixels, sums, score, origin, shape), masked, out, flags
    )  # fmt: skip


@lru_cache(64)
def _plan(nodes: zncc.Nodes, sizes: tuple[int, ...], block: int, kinds: int) -> tuple[np.ndarray, ...]:
    """`plan` of `zncc.search_blocks`: that of all pairs of a tile, and of most tiles. Not to be changed."""
    per_step, across, templates = nodes.step // block, nodes.template // block, np.array(sizes)
    spans = np.stack([(nodes.template - templates) // (2 * block), templates // block], axis=1)
    first, last = spans[:, 0], spans.sum(axis=1)
    begins = kinds * nodes.columns * np.cumsum([0, *spans[:, 1]])
    block_rows = np.arange((nodes.rows - 1) * per_step + across)[:, None]
    is_used = (block_rows >= first) & ((block_rows - first) % per_step < spans[:, 1])
    row_of, rest = np.divmod(block_rows - last + 1, per_step)
    judged = np.where((rest == 0) & (row_of >= 0) & (row_of < nodes.rows), row_of, -1)
    places = np.empty((len(block_rows), len(spans), kinds, 2), dtype=np.int64)
    starts = begins[:-1] + block_rows % spans[:, 1] * kinds * nodes.columns
    places[..., 0] = starts[..., None] + nodes.columns * np.arange(kinds)
    places[..., 1] = nodes.columns
    return spans, places, begins, judged, is_used.any(axis=1) | (per_step == 1)


def one_by_one(images: zncc.Images, nodes: zncc.Nodes, search: zncc.Search, out: np.ndarray, flags: np.ndarray) -> None:
    """As `by_blocks`, each template with its own candidates: for searches that hardly coincide."""
    shapes = 2 * search.half + 1
    shapes[..., 1] = -(-shapes[..., 1] // zncc.LANES) * zncc.LANES
    most = int(shapes[search.wanted != 0].prod(axis=-1).max())
    sums = np.empty((len(images.first) * nodes.columns, most + zncc.LANES), dtype=images.first.dtype)
    largest = (2 * search.half[search.wanted != 0] + 1).max(axis=0)
    score, masked = _scratch(images, (int(largest[0]), int(largest[1])), most)
    zncc.search_one_by_one(
        images, nodes, search, search.centre - search.half, shapes, (sums, score), masked, out, flags
    )  # fmt: skip


def _scratch(images: zncc.Images, most: tuple[int, int], elements: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Working space for the scores of a template with so many candidates along y and x; for masked sums, if any."""
    kinds, dtype = len(images.first), images.first.dtype
    # one row more to keep the highest of each column
    score = np.empty((most[0] + 1, most[1] + zncc.LANES), dtype)
    return score, np.empty((kinds, elements + zncc.LANES), dtype) if kinds > 1 else None


def _costs(nodes: zncc.Nodes, sizes: tuple[int, ...], block: int, candidates: Candidates) -> dict[str, float]:
    """Multiply-adds of each way to search a tile, all counted alike; a matter of the tile, never of a chunk."""
    lanes = -(-candidates.box[3] // zncc.LANES) * zncc.LANES
    area, count = candidates.box[2] * lanes, nodes.rows * nodes.columns
    if candidates.is_uniform:
        own = area * np.count_nonzero(candidates.wanted)
    else:
        half = candidates.half[candidates.wanted]
        own = ((2 * half[:, 0] + 1) * (-(-(2 * half[:, 1] + 1) // zncc.LANES) * zncc.LANES)).sum()
    pixels = math.prod((size - 1) * min(nodes.step, sizes[-1]) + sizes[-1] for size in (nodes.rows, nodes.columns))
    rows_of_sums = sum(size // block for size in sizes)
    per_block = min(nodes.step, sizes[-1]) / block
    costs: dict[str, float] = {
        "blocks": area * (pixels + ADD * count * rows_of_sums * (1 + per_block)) + SCORE * own * len(sizes),
        "one by one": own * sum(size**2 + SCORE for size in sizes),
    }
    if len(sizes) == 1 and candidates.is_uniform:
        costs["dense"] = area * count * nodes.step * (DENSE + ALONG * sizes[0])
    return costs


def _images(
    reference: Image, secondary: Image, nodes: zncc.Nodes, candidates: Candidates, min_valid: float
) -> zncc.Images:
    """The arrays that the kernels ask for: the pixels alone where all that is touched is valid, else with masks."""
    if are_complete(reference, secondary, nodes, candidates):
        first, second = reference.filtered[None], secondary.filtered[None]
        statistics, of_other = reference.statistics_at(nodes), secondary.statistics
    else:
        statistics = of_other = np.empty((len(reference.templates), 2, 0, 0), dtype=reference.filtered.dtype)
        known_a, mask_a, a, square_a = reference.masked
        known_b, mask_b, b, square_b = secondary.masked
        all_fit = reference.valid is reference.known and secondary.valid is secondary.known
        first = np.stack([a, mask_a, a, mask_a, square_a, mask_a, *([] if all_fit else [known_a])])
        second = np.stack([b, mask_b, mask_b, b, mask_b, square_b, *([] if all_fit else [known_b])])
    dtype = reference.filtered.dtype
    return zncc.Images(
        first,
        second,
        statistics,
        of_other,
        reference.flat,
        secondary.flat,
        np.array([reference.floor, secondary.floor], dtype=dtype),
        np.array(
            [math.ceil(LEAST_BESIDE * math.ceil(min_valid * size**2)) for size in reference.templates], dtype=dtype
        ),
    )


def are_complete(reference: Image, secondary: Image, nodes: zncc.Nodes, candidates: Candidates) -> bool:
    """Whether every pixel is valid that a template of these nodes touches in the reference or, moved, in the secondary.

    Then nothing of a pair on a tile needs masks. A matter of the tile, never of a chunk.
    """
    return _is_complete(reference, nodes, (0, 0, 1, 1)) and _is_complete(secondary, nodes, candidates.box)


def _is_complete(image: Image, nodes: zncc.Nodes, box: tuple[int, int, int, int]) -> bool:
    """Whether every pixel is valid that a template of these nodes touches, shifted by any of the box."""
    rows, columns = (
        slice(start + first, start + first + (count - 1) * nodes.step + nodes.template + shifts - 1)
        for start, first, count, shifts in (
            (nodes.top, box[0], nodes.rows, box[2]),
            (nodes.left, box[1], nodes.columns, box[3]),
        )
    )
    if image.is_valid:
        return True
    part = rows.start, rows.stop, columns.start, columns.stop
    if part not in image.complete:
        image.complete[part] = bool(image.valid[rows, columns].all())
    return image.complete[part]


def candidates(guide: np.ndarray, pair: Pair, tile: Tile, lattice: Lattice) -> Candidates:
    """Shifts to try for one pair on the nodes of a tile; wanted are the nodes whose search stays inside the image.

    `guide` (field, rows, columns): half-range along y and x, then the priors along y and x, in pixels per unit of the
    pair's scale, NaN where there is none; without any field all nodes search as far as the lattice, around zero.
    """
    shape = (tile[0].stop - tile[0].start, tile[1].stop - tile[1].start)
    centre = np.zeros((*shape, 2), dtype=np.int64)
    half = np.empty((*shape, 2), dtype=np.int64)
    half[:] = lattice.search
    wanted = np.ones(shape, dtype=bool)
    if guide.shape[0] > 0:
        half[:] = np.moveaxis(guide[:2], 0, -1)
        wanted &= (half > 0).all(axis=-1)
    if guide.shape[0] > 2:
        prior = guide[2 + 2 * pair.prior : 4 + 2 * pair.prior] * pair.scale
        centre[:] = np.moveaxis(np.rint(np.where(np.isfinite(prior).all(axis=0), prior, 0.0)), 0, -1)
    if guide.shape[0] == 0:
        inside = []
        for part, size, reach in zip(tile, lattice.shape, lattice.search, strict=True):
            start = np.arange(part.start, part.stop) * lattice.step
            inside.append((start >= reach) & (start + reach <= size - lattice.template))
        return Candidates(centre, half, np.logical_and.outer(*inside), True)
    for axis, (part, size) in enumerate(zip(tile, lattice.shape, strict=True)):
        start = np.expand_dims(np.arange(part.start, part.stop) * lattice.step, 1 - axis)
        wanted &= start + centre[..., axis] >= half[..., axis]
        wanted &= start + centre[..., axis] + half[..., axis] <= size - lattice.template
    return Candidates(centre, half, wanted, False)


def as_half_range(search: int | Sequence[int], caller: str) -> tuple[int, int]:
    """Half-range along y and x from one number or two."""
    halves = tuple(search) if isinstance(search, (tuple, list)) else (search, search)
    if len(halves) != 2 or any(not is_whole(half) or half < 1 for half in halves):
        raise ValueError(
            f"{caller}() needs a whole number of at least 1 pixels as search, or two of them for y and x; got "
            f"{search!r}. Pass a number such as search=8."
        )
    return int(halves[0]), int(halves[1])
