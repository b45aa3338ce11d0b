"""Bytes that a core needs to match a tile: of the images as they are kept, and of the search of a pair."""

from __future__ import annotations

import math
from collections.abc import Sequence

from xoffset._arrays.filters.options import Prefilter
from xoffset._arrays.lattice import Lattice
from xoffset._arrays.matching.images import working_dtype
from xoffset._arrays.matching.search import Pair, roles
from xoffset._kernels.matching import dense, zncc

# Arrays of pixels that filters and the search of a pair need for a while.
TRANSIENT = 8


def of_images(lattice: Lattice, prefilter: Prefilter | None, pairs: Sequence[Pair], ways: int) -> float:
    """Bytes of what is kept of all images of a tile, see `images.Image`: slopes of some, coefficients of others."""
    references, secondaries = roles(pairs, ways)
    dates = len(references | secondaries)
    width = working_dtype(prefilter, lattice.dtype).itemsize
    outer, inner = (_pixels(lattice, beyond) for beyond in (lattice.margin, lattice.reach))
    kept = dates * _of_image(len(lattice.templates), width) + width * (4 * len(references) + len(secondaries))
    if lattice.levels == 0:
        return float(inner * kept)
    coarse = outer * sum(0.25**level for level in range(1, lattice.levels + 1))
    return inner * kept + dates * (inner * lattice.dtype.itemsize + coarse * (_of_image(1, width) + 8))


def of_search(lattice: Lattice, prefilter: Prefilter | None) -> int:
    """Bytes that the search of one pair needs on a tile."""
    width = working_dtype(prefilter, lattice.dtype).itemsize
    return (_pixels(lattice, lattice.reach) * TRANSIENT + _buffers(lattice)) * width


def _pixels(lattice: Lattice, beyond: int) -> int:
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
    densely = shifts * lanes * (2 * dense.STRIP + lattice.template)
    return min(by_blocks, densely)
