"""Bytes that a core needs to match a tile: of the images as they are kept, and of the search of a pair."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from xoffset._arrays import lattice as lattices
from xoffset._arrays.filters.options import Prefilter
from xoffset._arrays.lattice import Lattice
from xoffset._arrays.matching.images import working_dtype
from xoffset._arrays.matching.search import Pair, roles
from xoffset._kernels.matching import dense, zncc

# Arrays of pixels that filters and the search of a pair need for a while.
TRANSIENT = 8
# Bytes that a tile which fades may take, with its pixels and its results but without what dask holds of its blocks;
# and those of results alone if there are several pairs, since tiles wait for the ones around.
FADED, WAITING = 150 * 10**6, 32 * 10**6
# By how much the side of a tile that needs more is made smaller, px.
LESS = 32


def of_images(lattice: Lattice, prefilter: Prefilter | None, pairs: Sequence[Pair], ways: int) -> float:
    """Bytes of what is kept of all images of a tile, see `images.Image`: slopes of some, coefficients of others."""
    references, secondaries = roles(pairs, ways)
    dates = len(references | secondaries)
    width = working_dtype(prefilter, lattice.dtype).itemsize
    outer, inner = (pixels_of(lattice, beyond) for beyond in (lattice.margin, lattice.reach))
    kept = dates * _of_image(len(lattice.templates), width) + width * (4 * len(references) + len(secondaries))
    if lattice.levels == 0:
        return float(inner * kept)
    coarse = outer * sum(0.25**level for level in range(1, lattice.levels + 1))
    return inner * kept + dates * (inner * lattice.dtype.itemsize + coarse * (_of_image(1, width) + 8))


def of_search(lattice: Lattice, prefilter: Prefilter | None) -> int:
    """Bytes that the search of one pair needs on a tile."""
    width = working_dtype(prefilter, lattice.dtype).itemsize
    return (pixels_of(lattice, lattice.reach) * TRANSIENT + _buffers(lattice)) * width


def of_dense(lattice: Lattice, pairs: Sequence[Pair], images: tuple[float, int], solution: tuple[float, int]) -> float:
    """Bytes of a dense matcher: a pixel of each image of a tile, and of what solving a pair needs.

    Each has the pixels beyond the windows on which it is kept.
    """
    (of_image, around), (of_pair, context) = images, solution
    return len(dates_of(pairs)) * of_image * pixels_of(lattice, around) + of_pair * pixels_of(lattice, context)


def of_task(lattice: Lattice, pairs: Sequence[Pair], layers: int, working: float) -> float:
    """Bytes of a full tile of some pairs: its pixels as floats, its results twice, and what the matcher needs."""
    pixels = len(dates_of(pairs)) * pixels_of(lattice, lattice.margin)
    return (pixels + 2 * layers * len(pairs) * math.prod(lattice.most)) * lattice.dtype.itemsize + working


def dates_of(pairs: Sequence[Pair]) -> list[int]:
    """Images of some pairs."""
    return sorted({date for pair in pairs for date in pair[:2]})


def with_sides(lattice: Lattice, bytes_of_pair: Callable[[Lattice], float]) -> Lattice:
    """Lattice whose tiles that fade are so small that a single pair takes no more than it may."""
    side = lattices.FADED_TILE
    found = dataclasses.replace(lattice, side=side)
    while bytes_of_pair(found) > FADED and side - LESS >= lattices.LEAST_FADED_TILE:
        side -= LESS
        found = dataclasses.replace(lattice, side=side)
    return found


def pixels_of(lattice: Lattice, beyond: int) -> int:
    """Pixels of a full tile, with so many on each side."""
    return math.prod((count - 1) * lattice.step + lattice.template + 2 * beyond for count in lattice.most)


def _of_image(sizes: int, width: int) -> int:
    """Bytes a pixel of what is kept of every image: pixels, sums and inverse spread; known, valid and flat."""
    return width * (1 + 2 * sizes) + 2 + sizes


def _buffers(lattice: Lattice) -> int:
    """Numbers that the search of a tile keeps, see `search.by_blocks` and `dense.search_densely`."""
    columns = min(lattice.per_tile, lattice.nodes[1])
    half = [-(-each // (1 << lattice.levels)) + (lattice.levels > 0) for each in lattice.search]
    shifts, lanes = 2 * half[0] + 1, 2 * half[1] + zncc.LANES
    block = math.gcd(lattice.step, *lattice.templates)
    blocks = ((columns - 1) * lattice.step + lattice.template) // block
    strips = sum(size // block for size in lattice.templates) * columns
    by_blocks = (blocks + strips + columns) * shifts * lanes
    if len(lattice.templates) > 1:
        return by_blocks
    densely = shifts * lanes * (2 * dense.STRIP + lattice.template) + (shifts + lanes) * dense.STRIP
    return min(by_blocks, densely)
