"""Dense matching under the prior that neighbours move alike."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from xoffset import _options
from xoffset._arrays.filters.options import Prefilter
from xoffset._arrays.lattice import Lattice, Tile
from xoffset._arrays.matching import (
    constant,
    dense_certainty,
    dense_chance,
    dense_field,
    dense_nodes,
    flow_field,
    labels,
    locking,
    memory,
)
from xoffset._arrays.matching import search as searching
from xoffset._arrays.matching.dense_field import SMOOTHNESS, Prior, Views, metric_along
from xoffset._arrays.matching.dense_images import Even, prepare
from xoffset._arrays.matching.dense_nodes import Part
from xoffset._arrays.matching.flow import CONTEXT, FADE
from xoffset._arrays.matching.ncc import FIELDS as FIELDS_OF_NCC
from xoffset._arrays.matching.ncc import NCC
from xoffset._arrays.matching.protocol import Matcher
from xoffset._arrays.matching.search import Candidates, Pair
from xoffset._kernels.matching import growth, variation

# Sides of the part of an image on which fields are solved are multiples of it, px.
MULTIPLE = 8
# Strength of the prior along a direction, over that which it has if there is none.
ALONG = 1.5
# Part of the variation across a direction that counts, over that along it.
ACROSS = 0.25
# Side of a window, less 2, up to which each block of 2x2 px has its own equations, px: then a step stays sharp.
SINGLE = 5
# Least side of a window whose neighbours tell nothing, px.
LEAST_ALONE = 5
# Correlation below which all shifts are alike, unless told otherwise.
COST_FLOOR = 0.5
# Largest half-range of a search by whole-pixel shifts at full resolution, px. A longer one begins at a half, a quarter
# ... of it, where it costs no more; each higher resolution looks so many pixels around.
LARGEST_SEARCH, NEARBY = 11, 2
# Side of the blocks that are shifted, px.
OF_BLOCK = 4
FLAG = dense_chance.FIELDS_WITH_CHANCE.index("flags")
# Bytes a pixel of what is kept of an image, of what solving a pair needs, and of the search before it for each shift.
OF_IMAGE, OF_PAIR, OF_SHIFT = 30, 120, 0.42


@dataclass(frozen=True)
class Regularized(Matcher):
    """A displacement at every pixel from small windows, under the prior that neighbours move alike.

    Where plain correlation of small windows is noise, the ground around tells what is likely. A step of the motion
    costs as much as a gradient over the same difference, so that faults stay sharp.

    Parameters
    ----------
    window
        Side in pixels of the square that a shift is first found by, and judged by in the end; odd, at least 3. Its
        fraction of a pixel comes from blocks of 2 x 2 px, up to 7 px, or wider ones.
    smoothness
        What variation of the motion costs, above which noise it must rise. 0.3 suits most images; 1 and more leave only
        what is large and certain, until all moves alike within a tile of up to 512 pixels a side. Tiles know nothing of
        each other: where each moves alike, the motion changes from one to the next over 32 pixels, which is no strain.
        0 is the dense matching of `NCC` with this window, of at least 5 px, each pixel for itself.
    direction
        Direction in degrees clockwise from grid north along which the motion varies little, such as the strike of a
        fault: the prior holds strongly along it and weakly across. None: all directions are alike.
    cost_floor
        Correlation of a window, from 0 up to below 1, below which one shift is as unlikely as any other: what is hidden
        by clouds does not pull at its surroundings.
    min_valid, flat_block
        As in `NCC`.

    Notes
    -----
    Whole-pixel shifts by dynamic programming in eight directions (Hirschmueller 2008, IEEE Trans. Pattern Anal. Mach.
    Intell. 30, 328-341): all of them at full resolution up to a `search` of 11 px, at half of it up to 44 px, at a
    quarter up to 180 px, and so on; each higher resolution looks 2 px around. So objects that move farther than 11 px
    must be about twice as wide, and so on. From there linear equations of the pixels under total variation, solved by
    primal-dual steps (Chambolle & Pock 2011, J. Math. Imaging Vis. 40, 120-145). `window` and `cost_floor` are SzW and
    CorrelMin of MicMac. `peak_gap` is NaN: `screen` can test no `min_peak_gap`. `score` is the correlation of the
    window at the field that was found, which bends until small windows match, on unrelated ground too. `false_alarm` is
    therefore of wider windows that move as one: the least of those up to about 35 px at the nodes around that move
    alike, of all shifts that were searched. Where it exceeds 0.01 nothing is told (`refine_failed`). Patches of any
    size may be wrong alike, so that for `screen` no value is evidence for another one (coordinate `tied_size`). Pixels
    are computed in float32, whatever their type. The standard errors hold what noise does to a solution, and what the
    prior does to it: the field that was found is given noise and solved for once more. Nothing is told
    (`ill_conditioned`) where the ground within 31 px has lines of one direction only; where it nearly has, standard
    errors are large along them.
    Where neighbouring blocks of 2 px differ by more than a pixel, a node tells the motion of its own block, not a mean.

    Examples
    --------
    >>> import xoffset
    >>> xoffset.Regularized(smoothness=0.1)
    Regularized(window=7, smoothness=0.1, direction=None, cost_floor=0.5, min_valid=0.5, flat_block=7)
    """

    window: int = 7
    smoothness: float = SMOOTHNESS
    direction: float | None = None
    cost_floor: float = COST_FLOOR
    min_valid: float = 0.5
    flat_block: int = 7

    def __post_init__(self) -> None:
        if not _options.is_whole(self.window) or not 3 <= self.window <= 63 or self.window % 2 == 0:
            raise ValueError(
                f"Regularized() needs an odd number from 3 to 63 pixels as window; got {self.window!r}. Pass window=7."
            )
        object.__setattr__(self, "window", int(self.window))
        object.__setattr__(self, "smoothness", _options.as_number(self.smoothness, "smoothness", "Regularized"))
        if self.direction is not None:
            object.__setattr__(self, "direction", _options.as_azimuth(self.direction, "direction", "Regularized"))
        for name in ("cost_floor", "min_valid"):
            _options.check_share(getattr(self, name), name, "Regularized")
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.cost_floor == 1.0:
            raise ValueError("Regularized() needs cost_floor below 1; got 1. Pass a correlation such as 0.5.")
        self._check_without_prior()
        if self.min_valid == 0.0:
            raise ValueError("Regularized() needs min_valid above 0; got 0. Pass a share such as 0.5.")
        object.__setattr__(self, "flat_block", constant.as_side(self.flat_block, "Regularized"))

    def _check_without_prior(self) -> None:
        """Refuse what would be ignored, or is too small, where neighbours tell nothing."""
        if self.smoothness > 0.0:
            return
        if self.window < LEAST_ALONE:
            raise ValueError(
                f"Regularized() needs a window of at least {LEAST_ALONE} pixels with smoothness=0; got {self.window}. "
                f"Pass window={LEAST_ALONE}, or a smoothness above 0."
            )
        if self.direction is not None or self.cost_floor != COST_FLOOR:
            raise ValueError(
                f"Regularized() needs a smoothness above 0 for direction and cost_floor; got smoothness=0 with "
                f"direction={self.direction!r} and cost_floor={self.cost_floor!r}. Leave them out, or pass "
                "smoothness=0.3."
            )

    @property
    def _without_prior(self) -> NCC | None:
        """The matcher of windows that it is if neighbours tell nothing."""
        return NCC(min_valid=self.min_valid, flat_block=self.flat_block) if self.smoothness == 0.0 else None

    @property
    def context(self) -> int:
        """Pixels around the windows of a tile on which the field is solved too."""
        return 0 if self._without_prior else CONTEXT

    @property
    def tied(self) -> float | None:
        """Distance in pixels from which values are evidence for each other: none, since patches may be wrong alike."""
        return None if self._without_prior else math.inf

    @property
    def fade(self) -> int:
        """Pixels on either side of the edge of a tile over which it fades into the next one."""
        return 0 if self._without_prior else FADE

    @property
    def kernels(self) -> tuple[Any, ...]:
        """Kernels that every match calls."""
        return self._without_prior.kernels if self._without_prior else (variation.descend, growth.scores)

    def fields(self, templates: tuple[int, ...]) -> tuple[str, ...]:
        """Names of what `match_tile` returns."""
        return FIELDS_OF_NCC if self._without_prior else dense_chance.FIELDS_WITH_CHANCE

    def check(self, lattice: Lattice, prefilter: Prefilter | None, *, is_uniform: bool) -> None:
        """Refuse searches that this matcher cannot serve; `is_uniform`: whether all nodes search alike.

        Raises
        ------
        ValueError
            If the search differs by node, goes from coarse to fine, or leaves an option without use.
        """
        if self._without_prior:
            return
        if not is_uniform or lattice.levels > 0:
            raise ValueError(
                "correlate() needs one search for all nodes for matcher='regularized'; got a map or a Pyramid. Pass a "
                "number and a prior, or matcher='ncc'."
            )

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
        """Match all pairs on the nodes of one tile, see `protocol.Matcher`."""
        plain = self._without_prior
        if plain:
            return plain.match_tile(images, tile, guide, pairs=pairs, lattice=lattice, prefilter=prefilter)
        levels = levels_of(lattice)
        # at low resolution a narrow tile is a few pixels: what the search has read around it helps
        around = min(2 * CONTEXT, lattice.margin) if levels > 1 else CONTEXT
        multiple = max(MULTIPLE, OF_BLOCK << (levels - 1))
        part = dense_nodes.part_of(lattice, tile, around, multiple, flow_field.least_of(levels))
        filtered = partial(prepare, prefilter=prefilter, window=self.window)
        kept, sums = {}, {}
        for date in sorted({date for pair in pairs for date in pair[:2]}):
            pixels, sums[date] = constant.without_constant(images[date], self.flat_block)
            kept[date] = flow_field.pyramid(pixels, lattice.frame(tile), part, levels, filtered)
        shape = tuple(nodes.stop - nodes.start for nodes in tile)
        out = np.empty((len(dense_chance.FIELDS_WITH_CHANCE), len(pairs), *shape), dtype=lattice.dtype)
        for k, pair in enumerate(pairs):
            nodes = searching.candidates(guide, pair, tile, lattice)
            centre = dense_nodes.centre_of(nodes, part, lattice)
            one, two = kept[pair.reference][0], kept[pair.secondary][0]
            views = dense_nodes.views_of(one, two, part, self.window, self.min_valid)
            views = dataclasses.replace(views, support=max((self.window - SINGLE) // 2 | 1, 1))
            start = self._start(kept[pair.reference], kept[pair.secondary], part, centre, lattice)
            out[:, k] = self._match(views, start, part, nodes, lattice)
            locking.widen(out[:, k], one.values, one.slopes[1:], one.weight, pair.native)
            flags = out[FLAG, k].astype(np.int32)
            constant.explain(flags, (sums[pair.reference], sums[pair.secondary]), nodes, lattice)
            out[FLAG, k] = flags
        return out

    def _start(
        self, first: list[Even], second: list[Even], part: Part, centre: np.ndarray, lattice: Lattice
    ) -> np.ndarray:
        """Displacement on blocks from whole-pixel shifts about a centre: all of them at the lowest resolution.

        `first` and `second`: images at full resolution, then at lower ones. Each higher one looks nearby.
        """
        lowest = len(first) - 1
        about = flow_field.reduced(centre, 2**lowest)
        if about[0].size == 1:
            about = np.rint(about)  # one shift for all must be whole
        half = shifts_at(lattice, lowest)
        for level in range(lowest, -1, -1):
            part_here = flow_field.part_at(part, 2**level)
            views = dense_nodes.views_of(first[level], second[level], part_here, self.window, self.min_valid)
            shift = labels.on_blocks_of_two(self._shifts(views, about, half, lattice))
            field = labels.about(shift, about)
            if level > 0:
                sides = 2 * views.blocks[0], 2 * views.blocks[1]
                about, half = flow_field.enlarged(dense_field.grown(views, field), sides), (NEARBY, NEARBY)
        return field

    def _shifts(self, views: Views, centre: np.ndarray, half: tuple[int, int], lattice: Lattice) -> np.ndarray:
        """Whole-pixel shifts of blocks of 4x4 px about a centre, at most `half` (y, x)."""
        second = dense_nodes.second_around(views, centre, half)
        costs = labels.costs(views.images[0], second, half, labels.weights_of(self.window), self.cost_floor)
        return labels.optimise(costs, half, self._prior(lattice))

    def _match(self, views: Views, start: np.ndarray, part: Part, nodes: Candidates, lattice: Lattice) -> np.ndarray:
        """Fields (field, rows, columns) of one pair."""
        prior = self._prior(lattice)
        solution = dense_field.solve(views, start, prior)
        variances = dense_certainty.variances(solution, prior, support=views.support)
        found = dense_nodes.describe(views, solution.field, variances, part.first, nodes, lattice)
        return dense_chance.judged(found, views.first, views.other, lattice, self.min_valid)

    def _prior(self, lattice: Lattice) -> Prior:
        """How much variation costs, in all directions or mostly along one."""
        strength = self.smoothness / SMOOTHNESS
        if self.direction is None:
            return Prior(strength, metric_along(None, 1.0))
        east, north = math.sin(math.radians(self.direction)), math.cos(math.radians(self.direction))
        along = east / lattice.spacing[1], north / lattice.spacing[0]
        return Prior(ALONG * strength, metric_along(along, ACROSS))

    def memory(self, lattice: Lattice, prefilter: Prefilter | None, pairs: Sequence[Pair]) -> float:
        """Bytes of the images of a tile, of the volume of one pair and of its equations."""
        if self._without_prior:
            return self._without_prior.memory(lattice, prefilter, pairs)
        lowest = levels_of(lattice) - 1
        shifts = math.prod(2 * half + 1 for half in shifts_at(lattice, lowest))
        of_pair = max(OF_PAIR, OF_SHIFT * shifts / 4**lowest)
        # each lower resolution has a quarter of the pixels
        images = OF_IMAGE * (4.0 / 3.0 if lowest else 1.0), lattice.margin
        return memory.of_dense(lattice, pairs, images, (of_pair, CONTEXT))


def levels_of(lattice: Lattice) -> int:
    """Number of resolutions, of which the lowest tries all shifts: each of its pixels may have more of them."""
    levels = 1
    while max(shifts_at(lattice, levels - 1)) > 2 ** (levels - 1) * (LARGEST_SEARCH + 0.5) - 0.5:
        levels += 1
    return flow_field.levels_of(lattice.shape, levels)


def shifts_at(lattice: Lattice, level: int) -> tuple[int, int]:
    """Half-range of the search (y, x) in pixels of an image whose resolution was halved so often."""
    return -(-lattice.search[0] // 2**level), -(-lattice.search[1] // 2**level)
