"""The NCC matcher on plain arrays: filter each image of a tile once, then match every pair of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from xoffset import _options
from xoffset._arrays.filters.options import Prefilter
from xoffset._arrays.lattice import Lattice, Tile
from xoffset._arrays.matching import constant, holed, locking, memory, pyramid, search, sharpness, significance
from xoffset._arrays.matching.images import Image, prepare, working_dtype
from xoffset._arrays.matching.protocol import Matcher
from xoffset._arrays.matching.search import Candidates, Pair
from xoffset._kernels import bits
from xoffset._kernels.images import filters
from xoffset._kernels.maps import neighbours
from xoffset._kernels.matching import affine, peaks, surface, zncc
from xoffset._kernels.matching import refine as refinement

FIELDS: tuple[str, ...] = (
    "dx",
    "dy",
    "score",
    "peak_gap",
    "variance_dx",
    "variance_dy",
    "covariance",
    "false_alarm",
    "ambiguity",
    "valid_fraction",
    "flags",
)

Refinement = Literal["icgn", "affine", "parabola", "gauss", "quadratic", "none"]
# Root mean square bias of the closed forms to whole pixels, px, in two parts: one that all windows have, and one that
# is divided by the side of the window in px. Measured without noise on the default texture, windows of 16 to 64 px.
LOCKING = {"parabola": (0.015, 0.27), "gauss": (0.003, 0.27), "quadratic": (0.0145, 0.4)}
# Code that the kernels take for each closed form.
FORMS = {"parabola": peaks.PARABOLA, "gauss": peaks.GAUSS, "quadratic": peaks.QUADRATIC}

# Share of the pixels of a window whose noise the default filter leaves independent.
INDEPENDENT = 0.4
# With several window sizes, the four constants below decide which sizes pass at a node. A glacier under clouds keeps
# 0.27 % of outliers with them; with 0.01, 0.05 and a LARGEST_SPREAD of 8/3 px it keeps 0.46 %.
# Largest probability that a window matches by chance.
LARGEST_CHANCE = 0.001
# Least difference between the score of the best peak and that of the second.
LEAST_GAP = 0.1
# Standard error of a shift from a parabola, px, where shifts are compared with those of the neighbours.
VERTEX = 0.1
# Largest difference of the motion from one side of a window to the other, px: a strain of 1/16 in a window of 32 px.
LARGEST_SPREAD = 2.0


@dataclass(frozen=True)
class NCC(Matcher):
    """Masked zero-mean normalised cross-correlation, refined to a fraction of a pixel.

    Parameters
    ----------
    refine
        `"icgn"`: Gauss-Newton on the pixels (inverse compositional), free of pixel locking. `"affine"`: the same, then
        with the strain of the window where it is significant, for sheared ground; about 20 times slower there. For
        comparison with other tools, the vertex of a surface through the 3x3 scores around the best whole shift, which
        is drawn to whole pixels: `"parabola"`, `"gauss"` (of the logarithms), `"quadratic"` (least squares); or the
        whole shift itself, `"none"`. On ground that is not strained `"affine"` loses up to a fifth of the precision to
        strain that noise suggests; its standard errors hold curvature that neighbours show, and windows near holes keep
        the shift of `"icgn"`. Those of the closed forms hold for natural textures; on others, such as speckle of one
        size, they can be half of the error.
    min_valid
        Share of a window's pixels that must be known in both images, above 0, at most 1. Below it a match is NaN and
        flagged `few_valid`. Shifts beside the match may share a fifth less.
    both_ways
        Whether to match every pair backwards too and to flag as `forward_backward` what comes back elsewhere. Where
        there is no match backwards `mismatch` is NaN, and the match was not checked.
    flat_block
        Side in pixels of a square of one exact value that shows no ground, 3 to 64: still water, saturated snow, zeros
        that stand for no data and do not say so. Its pixels count as unknown in either image, so that its edge, which
        stays where it is, cannot win a match; as do those of narrower areas with as many pixels. A window that then
        has too few pixels is flagged `flat`. 0 keeps them all.
    curvature
        Whether to tell how sharp the peak is along x and y, `curvature_x` and `curvature_y` [px⁻²]: the second
        derivatives at the match of the cubic spline through the scores of the 7 x 7 whole shifts around it, with the
        other sign, so that sharp peaks have large ones. NaN where there is no match, and less than 3 px from the end of
        the search.

    Examples
    --------
    >>> import xoffset
    >>> xoffset.NCC(min_valid=0.8)
    NCC(refine='icgn', min_valid=0.8, both_ways=False, flat_block=7, curvature=False)
    """

    refine: Refinement = "icgn"
    min_valid: float = 0.5
    both_ways: bool = False
    flat_block: int = 7
    curvature: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.refine, str) or self.refine not in get_args(Refinement):
            raise ValueError(
                f"NCC() needs refine to be one of {', '.join(get_args(Refinement))}; got {self.refine!r}. "
                "Pass refine='icgn'."
            )
        _options.check_share(self.min_valid, "min_valid", "NCC")
        if self.min_valid == 0.0:
            raise ValueError("NCC() needs min_valid above 0; got 0. Pass a share such as 0.5.")
        object.__setattr__(self, "min_valid", float(self.min_valid))
        for name in ("both_ways", "curvature"):
            object.__setattr__(self, name, _options.as_switch(getattr(self, name), name, "NCC"))
        object.__setattr__(self, "flat_block", constant.as_side(self.flat_block, "NCC"))

    @property
    def ways(self) -> int:
        """How often each pair is matched."""
        return 2 if self.both_ways else 1

    @property
    def kernels(self) -> tuple[Any, ...]:
        """Kernels that every match calls."""
        return (filters.spline_coefficients,)

    def fields(self, templates: tuple[int, ...]) -> tuple[str, ...]:
        """Names of what `match_tile` returns."""
        sizes = ("template_size",) if len(templates) > 1 else ()
        strained = ("side",) if self.refine == "affine" else ()
        curved = ("curvature_x", "curvature_y") if self.curvature else ()
        return (*FIELDS, *sizes, *strained, *curved, *(("back_dx", "back_dy") if self.both_ways else ()))

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
        shape = tuple(part.stop - part.start for part in tile)
        count = len(self.fields(lattice.templates))
        out = np.full((count, len(pairs), *shape), np.nan, dtype=lattice.dtype)
        flags = out[FIELDS.index("flags")]
        flags[:] = bits.OUTSIDE
        used: dict[int, tuple[Image, ...]] = {}
        sums: dict[int, np.ndarray] = {}
        inset = lattice.margin - lattice.reach
        asked: tuple[int, float] | None = None
        for k, pair in enumerate(pairs):
            # most pairs search in the same places as the one before
            if asked != (pair.prior, pair.scale):
                asked = pair.prior, pair.scale
                candidates = search.candidates(guide, pair, tile, lattice)
                part = _extent(candidates.wanted)
                if part is not None:
                    nodes, within = _windows(part, lattice), candidates.within(part)
            if part is None:
                continue
            for date in {pair.reference, pair.secondary} - set(used):
                pixels, sums[date] = constant.without_constant(images[date], self.flat_block)
                used[date] = _prepare(pixels, tile, lattice, prefilter)
            scene = Scene(used[pair.reference], used[pair.secondary], inset, nodes, within, pair.native)
            found = _match(scene, self)
            if self.both_ways:
                back = _match(scene.reversed(), self)
                found = np.concatenate([found, back[:2]])
            target = out[:, k, part[0], part[1]]
            target[:] = np.where(candidates.wanted[part], found, target)
            constant.explain(flags[k], (sums[pair.reference], sums[pair.secondary]), candidates, lattice)
        return out

    def scores_per_shift(self, templates: tuple[int, ...]) -> int:
        """One of every window, each way."""
        return len(templates) * self.ways

    def memory(self, lattice: Lattice, prefilter: Prefilter | None, pairs: Sequence[Pair]) -> float:
        """Bytes of the images of a tile, and of the search of a pair."""
        return memory.of_images(lattice, prefilter, pairs, self.ways) + memory.of_search(lattice, prefilter)


def _prepare(raw: np.ndarray, tile: Tile, lattice: Lattice, prefilter: Prefilter | None) -> tuple[Image, ...]:
    """One image of a tile: what matching at full resolution needs of it, then all of it at lower resolutions."""
    dtype = working_dtype(prefilter, lattice.dtype)
    inset = lattice.margin - lattice.reach
    inner = raw[inset : raw.shape[0] - inset, inset : raw.shape[1] - inset]
    fine = prepare(inner, lattice.frame(tile, inset), lattice.templates, prefilter, dtype)
    return fine, *pyramid.coarse_images(raw, lattice.frame(tile), lattice, prefilter, dtype)


def _extent(wanted: np.ndarray) -> Tile | None:
    """Rows and columns of the smallest rectangle that holds all wanted nodes; None if there are none."""
    ends = []
    for axis in (1, 0):
        hits = np.flatnonzero(wanted.any(axis=axis))
        if hits.size == 0:
            return None
        ends.append(slice(int(hits[0]), int(hits[-1]) + 1))
    return ends[0], ends[1]


def _windows(part: Tile, lattice: Lattice) -> zncc.Nodes:
    """Windows of the largest size at these rows and columns of the nodes of a tile."""
    return zncc.Nodes(
        rows=part[0].stop - part[0].start,
        columns=part[1].stop - part[1].start,
        top=lattice.reach + part[0].start * lattice.step,
        left=lattice.reach + part[1].start * lattice.step,
        step=lattice.step,
        template=lattice.template,
    )


@dataclass(frozen=True)
class Scene:
    """Two images of a tile, each at full resolution and then at lower ones; the windows to match on them, and where.

    `nodes` are counted in the images at full resolution, which lack the outer `inset` pixels of the others.
    """

    reference: tuple[Image, ...]
    secondary: tuple[Image, ...]
    inset: int
    nodes: zncc.Nodes
    candidates: Candidates
    native: float  # side of the pixels that both were resampled from, px

    def reversed(self) -> Scene:
        """The same with the two images in each other's place."""
        return replace(
            self, reference=self.secondary, secondary=self.reference, candidates=self.candidates.reversed()
        )  # fmt: skip

    @cached_property
    def valid(self) -> np.ndarray:
        """Pixels of both that are fit to be matched (2, height, width); of size zero if all are that can be touched."""
        reference, secondary = self.reference[0], self.secondary[0]
        if search.are_complete(reference, secondary, self.nodes, self.candidates):
            return np.empty((2, 0, 0), dtype=np.uint8)
        return np.stack([reference.valid, secondary.valid])


def _match(scene: Scene, matcher: NCC) -> np.ndarray:
    """Fields of one pair on the nodes of a tile."""
    reference, secondary, candidates = scene.reference[0], scene.secondary[0], scene.candidates
    if len(scene.reference) > 1:
        found, flags = pyramid.search(
            scene.reference, scene.secondary, scene.inset, scene.nodes, candidates, matcher.min_valid
        )
    else:
        found, flags = search.search(reference, secondary, scene.nodes, candidates, matcher.min_valid)
    chance, ambiguity = significance.doubts(reference, secondary, scene.nodes, candidates, scene.valid, found)
    if len(reference.templates) == 1:
        found, flags, chance, ambiguity = found[0], flags[0], chance[0], ambiguity[0]
        chosen = np.zeros(flags.shape, dtype=np.int64)
    else:
        suspect = np.where(chance <= LARGEST_CHANCE, flags, 1)
        chosen, disagrees = _smallest_that_passes(found, suspect, reference.templates, scene.nodes.step)
        found = np.ascontiguousarray(np.take_along_axis(found, chosen[None, ..., None], axis=0)[0])
        flags, chance, ambiguity = (
            np.take_along_axis(each, chosen[None], axis=0)[0] for each in (flags, chance, ambiguity)
        )
        flags[disagrees & (flags == 0)] |= bits.TEMPLATE_DISAGREES
    refined = np.full((*flags.shape, 6), np.nan, dtype=found.dtype)
    for size, template in enumerate(reference.templates):
        # a node that is not wanted has no peak to start from
        is_wanted = (chosen == size) & candidates.wanted
        _refine(scene, template, found, is_wanted, refined, flags, matcher.refine)
    sizes = np.array(reference.templates)[chosen]
    if matcher.refine == "affine":
        sides = _refine_strain(scene, sizes, found, candidates.wanted, refined, flags)
    u, v, score, variance_x, variance_y, covariance = np.moveaxis(refined, -1, 0)
    if scene.native > 1.0:
        variance_x, variance_y = (
            of_noise + locking.variance(reference.filtered, reference.slopes[:2], reference.valid, shift, scene.native)
            for of_noise, shift in ((variance_x, u), (variance_y, v))
        )
    covariances = (variance_x, variance_y, covariance)
    fields = [u, v, score, found[..., 3], *covariances, chance, ambiguity, found[..., surface.COMMON], flags]
    if len(reference.templates) > 1:
        fields.append(sizes)
    if matcher.refine == "affine":
        fields.append(sides)
    if matcher.curvature:
        fields += list(sharpness.curvatures(reference, secondary, scene.nodes, candidates, chosen, found, refined))
    return np.stack(fields, dtype=found.dtype, casting="unsafe")


def _refine(
    scene: Scene,
    template: int,
    found: np.ndarray,
    is_wanted: np.ndarray,
    out: np.ndarray,
    flags: np.ndarray,
    method: Refinement,
) -> None:
    """Shift, score and covariance (rows, columns, 6) of the wanted windows around integer peaks; adds to the flags."""
    reference, secondary = scene.reference[0], scene.secondary[0]
    dtype = reference.filtered.dtype
    nodes = scene.nodes.of_size(template)
    wanted = is_wanted.astype(np.uint8)
    if method == "none":
        peaks.whole(found, wanted, INDEPENDENT * template**2, out, flags)
        return
    of_reference = (reference.filtered, reference.slopes, dtype.type(reference.colour.gain))
    always, shrinking = LOCKING.get(method, (0.0, 0.0))
    if method in ("icgn", "affine") and (reference.has_holes or secondary.has_holes):
        some, corners = _beside_holes(scene, template, found, is_wanted)
        if some[0].size:
            out[some], flags[some] = holed.refine(reference, secondary, corners, found[some], flags[some], template)
            wanted[some] = 0
    form, locking = FORMS.get(method, peaks.ICGN), dtype.type(math.hypot(always, shrinking / template))
    sums = np.empty((0, 0), dtype=dtype) if scene.valid.size else reference.template_sums(nodes)
    refinement.refine(
        *of_reference, secondary.coefficients, scene.valid, sums, nodes, found, wanted, out, flags, form, locking
    )


def _beside_holes(
    scene: Scene, template: int, found: np.ndarray, is_wanted: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Rows and columns of the wanted windows near holes, and their first pixels (window, 2)."""
    nodes = scene.nodes.of_size(template)
    rows, columns = np.nonzero(is_wanted)
    corners = np.stack([nodes.top + nodes.step * rows, nodes.left + nodes.step * columns], axis=1)
    images = scene.reference[0], scene.secondary[0]
    beside = holed.beside_holes(*images, corners, found[rows, columns, :2], template)
    return (rows[beside], columns[beside]), corners[beside]


def _refine_strain(
    scene: Scene, sizes: np.ndarray, found: np.ndarray, is_wanted: np.ndarray, out: np.ndarray, flags: np.ndarray
) -> np.ndarray:
    """Refine pure shifts `out` of windows of these sizes (rows, columns) with strain; return the sides used [px].

    Beside holes the filter errs, and pure shifts on the pixels that both images know stay.
    """
    reference, secondary = scene.reference[0], scene.secondary[0]
    gain = reference.filtered.dtype.type(reference.colour.gain)
    images = (reference.filtered, reference.slopes, gain, secondary.coefficients, scene.valid)
    sides = np.zeros(flags.shape, dtype=np.int64)
    for template in reference.templates:
        of_size = is_wanted & (sizes == template)
        wanted = of_size.astype(np.uint8)
        wanted[_beside_holes(scene, template, found, of_size)[0]] = 0
        sides[of_size & (wanted == 0) & (flags == 0)] = template
        affine.refine(*images, scene.nodes.of_size(template), wanted, out, flags, sides)
    return sides


def _smallest_that_passes(
    found: np.ndarray, flags: np.ndarray, templates: tuple[int, ...], step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Index of the window size to use at each node, and where none of several passes.

    A size passes if its peak has no flag, stands above the others and agrees with those of its neighbours, once among
    windows of its own size, and once among those that all nodes keep: where strain is large, large windows agree with
    each other on what no small one sees.
    """
    passes = (flags == 0) & ~(found[..., 3] < LEAST_GAP)
    for size, template in enumerate(templates):
        passes[size] &= _agrees(found[size], passes[size], template, step)
    any_passes = passes.any(axis=0)
    # the largest says best why there is nothing
    chosen = np.where(any_passes, passes.argmax(axis=0), len(templates) - 1)
    kept = np.take_along_axis(found, chosen[None, ..., None], axis=0)[0]
    agrees = np.stack([_agrees(kept, any_passes, template, step) for template in templates])
    return chosen, ~(any_passes & np.take_along_axis(agrees, chosen[None], axis=0)[0])


def _agrees(found: np.ndarray, is_valid: np.ndarray, template: int, step: int) -> np.ndarray:
    """Where a match (rows, columns, PEAK_FIELDS) agrees with the valid ones around it, as windows of a size can."""
    shifts = []
    for axis, (before, after) in enumerate(((5, 11), (7, 9))):
        bend = found[..., before] - 2.0 * found[..., 8] + found[..., after]
        with np.errstate(divide="ignore", invalid="ignore"):
            vertex = 0.5 * (found[..., before] - found[..., after]) / bend
        shifts.append(np.where(is_valid, found[..., axis] + np.nan_to_num(np.clip(vertex, -0.5, 0.5)), np.nan))
    is_odd = np.empty(is_valid.shape, dtype=np.uint8)
    limit = LARGEST_SPREAD / template * neighbours.RADIUS * step
    neighbours.disagrees(shifts[1], shifts[0], np.full_like(shifts[0], VERTEX), limit, is_odd)
    return np.asarray(is_odd == 0)
