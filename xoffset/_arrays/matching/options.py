"""What every matcher answers, and the matchers there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from xoffset._arrays.filters.options import Prefilter
from xoffset._arrays.lattice import Lattice, Tile
from xoffset._arrays.matching.ncc import NCC
from xoffset._arrays.matching.phase import Phase
from xoffset._arrays.matching.search import Pair


@runtime_checkable
class Matcher(Protocol):
    """A way to match: a frozen dataclass of options that answers what follows; a line of MATCHERS gives it a name."""

    __dataclass_fields__: ClassVar[dict[str, Any]]  # only a dataclass has them

    @property
    def ways(self) -> int:
        """How often each pair is matched: 2 if backwards too, else 1."""

    @property
    def kernels(self) -> tuple[Any, ...]:
        """Compiled functions that every match calls, by which one can tell whether compilation is still due."""

    def fields(self, templates: tuple[int, ...]) -> tuple[str, ...]:
        """Names of the layers that `match_tile` returns: those of `phase.FIELDS` at least."""

    def check(self, lattice: Lattice, prefilter: Prefilter | None, *, is_uniform: bool) -> None:
        """Refuse a grid, a search or a pre-filter that does not suit; `is_uniform`: whether all nodes search alike."""

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
            (time, height, width) raw values of the tile's window, NaN where there is none.
        tile
            Node rows and columns of the tile.
        guide
            (field, rows, columns) where to search, see `search.candidates`.
        pairs
            Which images belong together.
        lattice
            The sampling grid.
        prefilter
            As in `correlate`.

        Returns
        -------
        numpy.ndarray
            (field, pair, rows, columns) in the order of `fields`; pixels.
        """

    def scores_per_shift(self, templates: tuple[int, ...]) -> int:
        """How many scores are computed for every candidate shift of a node."""

    def memory(self, lattice: Lattice, prefilter: Prefilter | None, pairs: Sequence[Pair]) -> float:
        """Bytes that a core needs to match a full tile, beside its raw pixels and the layers that it returns."""


MatcherName = Literal["ncc", "phase"]
MATCHERS: dict[MatcherName, Callable[[], Matcher]] = {
    "ncc": NCC,
    "phase": Phase,
}


def as_matcher(value: Any, caller: str) -> Matcher:
    """Return the matcher of that name, or the one that was given.

    Raises
    ------
    ValueError
        If it is none.
    """
    if isinstance(value, str) and value in MATCHERS:
        return MATCHERS[value]()
    # a class has all that its instances have
    if isinstance(value, Matcher) and not isinstance(value, type):
        return value
    names = ", ".join(repr(name) for name in MATCHERS)
    raise ValueError(
        f"{caller}() needs matcher {names}, or one with options, such as NCC(); got {value!r}. Pass matcher='ncc'."
    )
