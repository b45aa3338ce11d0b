"""The sampling grid of a matcher, and the tiles that divide it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Tile = tuple[slice, slice]
# Side of a compute tile, px.
TILE = 256
# Side of a compute tile of a large image, px: a wide tile spends less on its margins.
LARGE_TILE = 512
# Side from which an image is large, px.
LARGE_IMAGE = 2048
# Step from which a tile is large whatever the image is, px: few nodes share there what a tile costs.
LARGE_STEP = 64
# Largest side of tiles that fade into each other, px, and the one below which none is made smaller to save memory.
# Wider ones spend less on their margins, but the results of many tiles wait in memory at a time.
FADED_TILE, LEAST_FADED_TILE = 512, 128
# Largest side of a dask block, px.
LARGEST_BLOCK = 2048
# Memory that a tile of all dates may take in one thread, bytes; a large tile that needs more becomes an ordinary one.
IMAGES = 256 * 2**20
# Memory that one pixel of one date takes while it is matched, bytes, measured.
BYTES_PER_PIXEL = 64
# Memory that a thread may hold in products of blocks, bytes; there are seven of them where pixels are masked.
BUFFER = 256 * 2**20
# Side below which a tile is not made smaller to save memory, px.
SMALLEST_TILE = 32


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
    nodata: tuple[float, ...]
    dtype: np.dtype
    spacing: tuple[float, float] = (-1.0, 1.0)  # metres of the grid from one row to the next, and column
    fade: int = 0  # half the nodes beyond the last edges of a tile over which its values fade into the next one's
    side: int = FADED_TILE  # of tiles that fade, px, at most; the same for any number of dates and pairs

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
        is_large = min(self.shape) >= LARGE_IMAGE or self.step >= LARGE_STEP
        is_large = is_large and self.dates * window * BYTES_PER_PIXEL <= IMAGES
        side = min(LARGE_TILE if is_large else TILE, max(BUFFER // per_node * self.step, SMALLEST_TILE))
        return max(1, side // self.step)

    @property
    def per_side(self) -> tuple[int, int]:
        """Nodes along the sides of a tile."""
        if not self.fade:
            return self.per_tile, self.per_tile
        rows, columns = map(self._per_faded_side, self.nodes)
        return rows, columns

    def _per_faded_side(self, count: int) -> int:
        """Nodes along the side of a tile that fades, of so many: all alike, and the last at least half as many."""
        least = -(-count * self.step // self.side)
        for tiles in (*range(least, 2 * least), *range(least - 1, 0, -1)):
            per_tile = -(-count // tiles)
            last = count - (tiles - 1) * per_tile
            # what fades reaches no farther than into the next tile
            if tiles == 1 or last >= max(2 * self.fade, per_tile / 2):
                return int(per_tile)
        return count

    def faded(self, tile: Tile) -> Tile:
        """Nodes of a tile and those of the next ones, as far as there are any, over which its values fade out.

        None of those before: so a tile is done as soon as it and those before are, and waits for no other.
        """
        rows, columns = (
            slice(part.start, min(part.stop + 2 * self.fade, count))
            for part, count in zip(tile, self.nodes, strict=True)
        )
        return rows, columns

    @property
    def most(self) -> tuple[int, int]:
        """Node rows and columns that are matched for a full tile."""
        rows, columns = (
            min(per_side + 2 * self.fade, count) for per_side, count in zip(self.per_side, self.nodes, strict=True)
        )
        return rows, columns

    def tiles(self, block: Tile | None = None) -> Iterator[Tile]:
        """Node rows and columns of each tile, of all or of those within a block of whole tiles."""
        rows, columns = block or tuple(slice(0, count) for count in self.nodes)
        down, right = self.per_side
        for top in range(rows.start, rows.stop, down):
            for left in range(columns.start, columns.stop, right):
                yield slice(top, min(top + down, rows.stop)), slice(left, min(left + right, columns.stop))

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
