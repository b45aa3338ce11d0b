"""Optical flow as a matcher."""

from __future__ import annotations

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
    flow_certainty,
    flow_field,
    locking,
    memory,
)
from xoffset._arrays.matching import search as searching
from xoffset._arrays.matching.dense_field import SMOOTHNESS, Prior, metric_along
from xoffset._arrays.matching.dense_images import Even, prepare
from xoffset._arrays.matching.dense_nodes import Part
from xoffset._arrays.matching.flow_field import Plan
from xoffset._arrays.matching.protocol import FIELDS, Matcher
from xoffset._arrays.matching.search import Candidates, Pair
from xoffset._kernels.matching import flow as kernels
from xoffset._kernels.matching import growth

# Pixels around the windows of a tile on which the field is solved too, and those over which tiles fade into each other.
CONTEXT, FADE = 16, 16
# Motion that the lowest resolution is left to find, in pixels of it.
NEAR = 2
# Most resolutions.
LEVELS = 6
FLAG = FIELDS.index("flags")
# Bytes a pixel of what is kept of an image, and of what solving a pair needs.
OF_IMAGE, OF_PAIR = 55, 125


@dataclass(frozen=True)
class Flow(Matcher):
    """A displacement at every pixel by optical flow: fast, smooth, and without a score for every shift.

    Use it for smooth motion, however far, where the light changes or seasons invert contrasts. What is smaller than
    the narrowest window is lost once it moves farther than about the size of its details.

    Parameters
    ----------
    radius
        Radii of the square windows in pixels, from wide to narrow, each 2 to 128: a wide one finds the motion, the
        narrowest tells it. A window has 2·radius + 1 pixels a side.
    levels
        How many resolutions are gone through, 1 to 6, each half of the one before; images must have 16 pixels a side at
        the lowest. None: as many as the search needs and the image has room for.
    iterations
        How often the field is improved for each radius at each resolution, 1 to 10.
    rank
        Radius in pixels, 1 to 16, within which the rank of a pixel takes the place of its value, after the pre-filter:
        a rank ignores how strong a contrast is. 0: values.
    contrast_inversion
        Whether the contrast of a window may be inverted in the secondary, as that of snow and rock between seasons:
        where the negative matches clearly better than any motion that is found.
    smoothness
        Above 0, the field is refined as by `Regularized` with this smoothness, which makes steps sharp. 0: it is not.
    min_valid, flat_block
        As in `NCC`.

    Notes
    -----
    Lucas & Kanade (1981, IJCAI, 674-679) on a pyramid, with ranks and narrowing windows after GeFolki (Brigot et al.
    2016, IEEE J. Sel. Top. Appl. Earth Obs. Remote Sens. 9, 2923-2939), whose names the parameters have. Radii above
    twice the narrowest serve at the lowest resolution only. NaN is what nothing was found of: `border` where the motion
    goes beyond `search`, `ill_conditioned` where a window has no texture or lines of one direction and noise only,
    `refine_failed` where `false_alarm` exceeds 0.01. That is the probability that a window as narrow, or twice as wide,
    of unrelated ground correlates so well at the best of all shifts that were searched, with either sign if the
    contrast may be inverted. `score` is the correlation of the pre-filtered windows of the narrowest radius, negative
    where the contrast is inverted: `screen(min_score=)` removes these. `peak_gap` is NaN: `screen` can test no
    `min_peak_gap`. Patches of any size may be wrong alike, so that for `screen` no value is evidence for another one
    (coordinate `tied_size`). Pixels are computed in float32, whatever their type. The standard errors hold the noise of
    the images and how much the field bends within a window.

    Examples
    --------
    >>> import xoffset
    >>> xoffset.Flow(radius=(16, 8)).window
    17
    """

    radius: tuple[int, ...] = (32, 24, 16, 8)
    levels: int | None = None
    iterations: int = 1
    rank: int = 4
    contrast_inversion: bool = True
    smoothness: float = 0.0
    min_valid: float = 0.5
    flat_block: int = 7

    def __post_init__(self) -> None:
        radii = tuple(self.radius) if isinstance(self.radius, (tuple, list)) else (self.radius,)
        is_fit = bool(radii) and all(_options.is_whole(each) and 2 <= each <= 128 for each in radii)
        if not is_fit or list(radii) != sorted(set(radii), reverse=True):
            raise ValueError(
                f"Flow() needs whole numbers from 2 to 128 pixels as radius, from wide to narrow; got {self.radius!r}. "
                "Pass radii such as (32, 16, 8)."
            )
        object.__setattr__(self, "radius", tuple(int(each) for each in radii))
        for name, least, most in (("levels", 1, LEVELS), ("iterations", 1, 10), ("rank", 0, 16)):
            value = getattr(self, name)
            if value is None and name == "levels":
                continue
            if not _options.is_whole(value) or not least <= value <= most:
                raise ValueError(
                    f"Flow() needs a whole number from {least} to {most} as {name}; got {value!r}. Leave {name} out."
                )
            object.__setattr__(self, name, int(value))
        inversion = _options.as_switch(self.contrast_inversion, "contrast_inversion", "Flow")
        object.__setattr__(self, "contrast_inversion", inversion)
        object.__setattr__(self, "smoothness", _options.as_number(self.smoothness, "smoothness", "Flow"))
        _options.check_share(self.min_valid, "min_valid", "Flow")
        if self.min_valid == 0.0:
            raise ValueError("Flow() needs min_valid above 0; got 0. Pass a share such as 0.5.")
        object.__setattr__(self, "min_valid", float(self.min_valid))
        object.__setattr__(self, "flat_block", constant.as_side(self.flat_block, "Flow"))

    @property
    def window(self) -> int:
        """Side in pixels of the narrowest window."""
        return 2 * self.radius[-1] + 1

    @property
    def context(self) -> int:
        """Pixels around the windows of a tile on which the field is solved too."""
        return CONTEXT

    @property
    def tied(self) -> float:
        """Distance in pixels from which values are evidence for each other: none, since patches may be wrong alike."""
        return math.inf

    @property
    def fade(self) -> int:
        """Pixels on either side of the edge of a tile over which it fades into the next one."""
        return FADE

    @property
    def kernels(self) -> tuple[Any, ...]:
        """Kernels that every match calls."""
        return (kernels.solve, growth.scores)

    def fields(self, templates: tuple[int, ...]) -> tuple[str, ...]:
        """Names of what `match_tile` returns."""
        return dense_chance.FIELDS_WITH_CHANCE

    def check(self, lattice: Lattice, prefilter: Prefilter | None, *, is_uniform: bool) -> None:
        """Refuse searches and windows that this matcher cannot serve; `is_uniform`: whether all nodes search alike.

        Raises
        ------
        ValueError
            If the search differs by node or is a Pyramid, or a window or a level does not fit the image.
        """
        if not is_uniform or lattice.levels > 0:
            raise ValueError(
                "correlate() needs one search for all nodes for matcher='flow'; got a map or a Pyramid. Pass a number, "
                "or matcher='ncc'."
            )
        if self.radius[0] >= min(lattice.shape):
            raise ValueError(
                f"correlate() needs images larger than the radius for matcher='flow'; got {lattice.shape[0]} x "
                f"{lattice.shape[1]} pixels and radius={self.radius}. Pass narrower windows: Flow(radius=(8, 4))."
            )
        if self.levels and flow_field.levels_of(lattice.shape, self.levels) < self.levels:
            raise ValueError(
                f"correlate() needs images of at least {flow_field.least_of(self.levels)} pixels a side for "
                f"Flow(levels={self.levels}); got {lattice.shape[0]} x {lattice.shape[1]}. Leave levels out: there are "
                "then as many as the image has room for."
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
        levels = flow_field.levels_of(lattice.shape, self.levels or levels_for(max(lattice.search)))
        part = dense_nodes.part_of(lattice, tile, CONTEXT, 2**levels, flow_field.least_of(levels))
        # ranks do not see how even the contrast is
        is_even = self.rank == 0 or self.smoothness > 0.0
        filtered = partial(prepare, prefilter=prefilter, window=self.window, is_even=is_even)
        kept: dict[int, list[Even]] = {}
        sought: dict[int, list[Even]] = {}
        sums = {}
        for date in sorted({date for pair in pairs for date in pair[:2]}):
            pixels, sums[date] = constant.without_constant(images[date], self.flat_block)
            kept[date] = flow_field.pyramid(pixels, lattice.frame(tile), part, levels, filtered)
            sought[date] = [flow_field.ranked(each, self.rank) for each in kept[date]] if self.rank else kept[date]
        shape = tuple(nodes.stop - nodes.start for nodes in tile)
        out = np.empty((len(dense_chance.FIELDS_WITH_CHANCE), len(pairs), *shape), dtype=lattice.dtype)
        for k, pair in enumerate(pairs):
            nodes = searching.candidates(guide, pair, tile, lattice)
            centre = dense_nodes.centre_of(nodes, part, lattice)
            plan = Plan(self.radius, levels, self.iterations, self.contrast_inversion)
            motion = flow_field.solve(
                sought[pair.reference], sought[pair.secondary], part, centre, max(lattice.search), plan
            )
            first = kept[pair.reference][0]
            out[:, k] = self._describe(first, kept[pair.secondary][0], motion, part, nodes, lattice)
            locking.widen(out[:, k], first.values, first.slopes[1:], first.weight, pair.native)
            flags = out[FLAG, k].astype(np.int32)
            constant.explain(flags, (sums[pair.reference], sums[pair.secondary]), nodes, lattice)
            out[FLAG, k] = flags
        return out

    def _describe(
        self, first: Even, second: Even, motion: flow_field.Motion, part: Part, nodes: Candidates, lattice: Lattice
    ) -> np.ndarray:
        """Fields (field, rows, columns) of one pair."""
        views = dense_nodes.views_of(first, second, part, self.window, self.min_valid)
        field, sign = motion.field, motion.sign
        variances = flow_certainty.variances(motion, self.radius[-1], is_ranked=self.rank > 0)
        if self.smoothness > 0.0:
            prior = Prior(self.smoothness / SMOOTHNESS, metric_along(None, 1.0))
            solution = dense_field.solve(views, field, prior)
            # equations of single pixels know of no inverted contrast
            field = np.where(sign < 0, field, solution.field)
            refined = dense_certainty.variances(solution, prior, variances[0] + variances[1])
            variances = np.where(sign < 0, variances, refined)
            variances[:, flow_certainty.is_of_lines(motion)] = np.nan
        found = dense_nodes.describe(views, field, variances, part.first, nodes, lattice)
        return dense_chance.judged(
            found, first, second, lattice, self.min_valid, inversion=self.contrast_inversion
        )  # fmt: skip

    def memory(self, lattice: Lattice, prefilter: Prefilter | None, pairs: Sequence[Pair]) -> float:
        """Bytes of the images of a tile and of solving one pair."""
        return memory.of_dense(lattice, pairs, (OF_IMAGE, lattice.margin), (OF_PAIR, CONTEXT))


def levels_for(search: int) -> int:
    """Number of resolutions of which the lowest one is left a small motion."""
    levels = 1
    while search > NEAR * 2 ** (levels - 1) and levels < LEVELS:
        levels += 1
    return levels
