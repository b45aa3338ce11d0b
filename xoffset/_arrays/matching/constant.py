"""Pixels of a tile that show no ground: constant blocks, and values that stand for no data without saying so."""

from __future__ import annotations

import numpy as np
import scipy.ndimage

from xoffset import _options
from xoffset._arrays.lattice import Lattice
from xoffset._arrays.matching.search import Candidates
from xoffset._kernels import bits
from xoffset._kernels.images import constant as kernels

# Least and largest side of a block: smaller ones are found in any image of few grey levels.
LEAST_SIDE, LARGEST_SIDE = 3, 64
# A value at the end of the range of a tile is none of the ground if no pixel lies between it and the rest for so many
# times the step to the next value; images of few grey levels have equal steps everywhere.
STEPS = 4
# Equal neighbours, of those looked at, below which a value fills no noteworthy part of a tile.
LEAST_PAIRS = 4
# Pixels around such a value that resampling may have made of it and of the ground.
MIXED = 2


def as_side(side: int, caller: str) -> int:
    """Return the side of a constant block after checking it; 0 masks none."""
    if not _options.is_whole(side) or not (side == 0 or LEAST_SIDE <= side <= LARGEST_SIDE):
        raise ValueError(
            f"{caller}() needs flat_block from {LEAST_SIDE} to {LARGEST_SIDE} pixels, or 0 to keep constant blocks; "
            f"got {side!r}. Leave it out."
        )
    return int(side)


def without_constant(raw: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """One image of a tile, NaN where it is constant, and the running sums of how many pixels that were.

    Constant is what lies in a rectangle of side² pixels or more that hold one exact value, be it a square or as narrow
    as a line. Where a value lies at an end of the range, at a distance from all others, every pixel that holds it is
    constant, if there are side² of them: such is the rim of stripes that are filled with zeros and too narrow for a
    block.

    Returns
    -------
    raw : numpy.ndarray
        (height, width); the one that was given where nothing is constant.
    sums : numpy.ndarray
        (height + 1, width + 1) int64; of size zero where nothing is constant.
    """
    nothing = np.empty((0, 0), dtype=np.int64)
    if side == 0:
        return raw, nothing
    pixels = np.ascontiguousarray(raw)
    found = np.empty(6)
    kernels.survey_alike(pixels, side, found)
    alike = kernels.Alike(*found.tolist())
    marked = np.zeros(pixels.shape, dtype=np.uint8)
    if alike.in_row:
        kernels.mark_blocks(pixels, side, marked)
    if alike.in_column:
        turned = np.zeros(pixels.shape[::-1], dtype=np.uint8)
        kernels.mark_blocks(np.ascontiguousarray(pixels.T), side, turned)
        marked |= turned.T
    values = {alike.lowest} if alike.pairs_of_lowest >= LEAST_PAIRS else set()
    values |= {alike.highest} if alike.pairs_of_highest >= LEAST_PAIRS else set()
    if marked.any():
        # resampling that rings goes beyond the values of blocks
        blocks = pixels[marked != 0]
        values |= {float(blocks.min()), float(blocks.max())}
    for value in sorted(values):
        fill = _pixels_of(value, pixels, side)
        if fill is not None:
            marked |= fill
    if not marked.any():
        return raw, nothing
    sums = np.zeros((pixels.shape[0] + 1, pixels.shape[1] + 1), dtype=np.int64)
    np.cumsum(np.cumsum(marked, axis=0, dtype=np.int64), axis=1, out=sums[1:, 1:])
    return np.where(marked, pixels.dtype.type(np.nan), pixels), sums


def _pixels_of(value: float, pixels: np.ndarray, side: int) -> np.ndarray | None:
    """Where a value stands that is none of the ground, if it is one; with what was mixed of it and the ground."""
    holds = pixels == value
    if np.count_nonzero(holds) < side**2:
        return None
    around = scipy.ndimage.maximum_filter(holds.view(np.uint8), 2 * MIXED + 1, mode="constant") != 0
    distance = pixels.astype(np.float64) - value
    gap = _gap(distance[~around], side**2)
    if gap == 0.0:
        return np.asarray(holds) if _gap(distance[~holds], side**2) > 0.0 else None
    # pixels of the ground lie beyond the gap, but for a few
    is_mixed = around & ~holds & (np.abs(distance) < gap)
    return np.asarray(around if np.count_nonzero(is_mixed) >= 2 * side else holds)


def _gap(others: np.ndarray, least: int) -> float:
    """Least distance of the others from a value if they are all above it, or all below, and far off; else 0."""
    away = others[np.isfinite(others)]
    if away.size <= least or away.min() < 0.0 < away.max():
        return 0.0
    # the nearest tell how far they are from one another; where they are all alike, the next one does
    distance = np.abs(away)
    near = np.unique(np.partition(distance, least)[: least + 1])
    beyond = distance[distance > near[-1]]
    if near.size == 1 and beyond.size == 0:
        return 0.0
    step = np.median(np.diff(near)) if near.size > 1 else beyond.min() - near[0]
    return float(near[0]) if near[0] >= STEPS * step else 0.0


def explain(flags: np.ndarray, sums: tuple[np.ndarray, np.ndarray], nodes: Candidates, lattice: Lattice) -> None:
    """Add `flat` to the flags (rows, columns) of windows that lack pixels where one of two images is constant.

    `sums`: those of `without_constant` for both images of a pair. A window that is constant throughout has no other
    flag: its pixels are there.
    """
    rows, columns = np.nonzero(nodes.wanted)
    if all(each.size == 0 for each in sums) or rows.size == 0:
        return
    found = flags[rows, columns].astype(np.int64)
    first = lattice.margin + lattice.step * np.stack([rows, columns], axis=1)
    template = np.full_like(first, lattice.template)
    centre, half = nodes.centre[rows, columns], nodes.half[rows, columns]
    boxes = ((first, template), (first + centre - half, template + 2 * half))
    is_some, is_all = np.zeros(rows.size, dtype=bool), np.zeros(rows.size, dtype=bool)
    for each, (start, size) in zip(sums, boxes, strict=True):
        if each.size:
            count = _count(each, start, size)
            np.logical_or(is_some, count > 0, out=is_some)
            np.logical_or(is_all, count == size.prod(axis=1), out=is_all)
    lacks = is_some & ((found & (bits.NODATA | bits.FEW_VALID)) != 0)
    flags[rows, columns] = np.where(is_all & lacks, 0, found) | np.where(lacks, bits.FLAT, 0)


def _count(sums: np.ndarray, start: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Constant pixels in boxes from their first row and column and their height and width (box, 2)."""
    (top, left), (bottom, right) = start.T, (start + size).T
    return np.asarray(sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left])
