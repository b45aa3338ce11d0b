"""What every matcher answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from xoffset._arrays.filters.options import Prefilter
from xoffset._arrays.lattice import Lattice, Tile
from xoffset._arrays.matching import memory, search
from xoffset._arrays.matching.search import Candidates, Pair

FIELDS: tuple[str, ...] = (
    "dx",
    "dy",
    "score",
    "peak_gap",
    "variance_dx",
    "variance_dy",
    "covariance",
    "valid_fraction",
    "flags",
)


@runtime_checkable
class Matcher(Protocol):
    """A way to match: a frozen dataclass of options with a `match_tile`. Derive from this class to write your own.

    What it has beside `match_tile` suits a matcher of windows; one that solves for the field of a whole tile at once,
    a dense matcher, overrides `window`, `context` and `fade`. Options must have defaults that JSON can hold: results
    record them. Lengths are pixels.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]  # only a dataclass has them

    @property
    def window(self) -> int | None:
        """Side in pixels of the window of a dense matcher, for which `template` is left out; None: `template` says."""
        return None

    @property
    def tied(self) -> float | None:
        """Distance in pixels from which values are evidence for each other; None: the side of the window.

        A dense matcher ties its values to those around, so that a whole patch may be wrong alike. Infinity: of any
        size, so that `screen` judges each value by its own chance alone.
        """
        return None

    @property
    def context(self) -> int:
        """Pixels that it needs around the windows of a tile, beyond the search, the prior and the pre-filter."""
        return 0

    @property
    def fade(self) -> int:
        """Half the pixels beyond the last edges of a tile over which its values fade into those of the next tile.

        Above 0, `match_tile` is asked for the nodes of a tile and for those that far beyond. 0 if a value does not
        depend on the tile.
        """
        return 0

    @property
    def ways(self) -> int:
        """How often each pair is matched: 2 if backwards too, else 1."""
        return 1

    @property
    def kernels(self) -> tuple[Any, ...]:
        """Compiled functions that every match calls, by which one can tell whether compilation is still due."""
        return ()

    def fields(self, templates: tuple[int, ...]) -> tuple[str, ...]:
        """Names of the layers that `match_tile` returns, the last one "flags" but for layers of its own after it."""
        return FIELDS

    def check(self, lattice: Lattice, prefilter: Prefilter | None, *, is_uniform: bool) -> None:
        """Refuse a grid, a search or a pre-filter that does not suit; `is_uniform`: whether all nodes search alike."""
        return

    def candidates(self, guide: np.ndarray, pair: Pair, tile: Tile, lattice: Lattice) -> Candidates:
        """Where to search at the nodes of a tile: around the prior, or around zero.

        Its `centre` and `half` (rows, columns, 2) are middle and half-range of the displacement along y and x, in whole
        pixels; `wanted` (rows, columns) is False where the search would leave the image.
        """
        return search.candidates(guide, pair, tile, lattice)

    def match_tile(
        self,
        images: np.ndarray,
        tile: Tile,
        guide: np.ndarray,
        *,
        pairs: Sequence[Pair],
        lattice: Lattice,
        prefilter: Prefilter | None,
    ) -> np.ndarray:
        """Match all pairs on the nodes of one tile.

        Parameters
        ----------
        images
            (time, height, width) raw values of `lattice.window(tile)`, NaN where there is none. The first pixel of the
            window of node (i, j) of the tile is at (lattice.margin + i·lattice.step, lattice.margin + j·lattice.step).
        tile
            Node rows and columns to match, with those that fade out.
        guide
            (field, rows, columns) where to search, as `candidates` tells.
        pairs
            Which images belong together. Those of a network may come in batches, with the images of each.
        lattice
            The sampling grid.
        prefilter
            As in `correlate`.

        Returns
        -------
        numpy.ndarray
            (field, pair, rows, columns) in the order of `fields`, of type `lattice.dtype`. `dx`, `dy`: where the
            content of a window lies in the secondary minus where it is in the reference, pixels along columns and rows;
            variances and their covariance in square pixels; `flags`: bits of `flags.FLAGS` that tell why dx and dy are
            NaN, 0 where they are not.
        """
        raise NotImplementedError

    def scores_per_shift(self, templates: tuple[int, ...]) -> int:
        """How many scores are computed for every candidate shift of a node."""
        return 1

    def memory(self, lattice: Lattice, prefilter: Prefilter | None, pairs: Sequence[Pair]) -> float:
        """Bytes that a core needs to match a full tile, beside its raw pixels and the layers that it returns."""
        return memory.of_images(lattice, prefilter, pairs, self.ways)
