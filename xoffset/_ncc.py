"""The NCC matcher on plain arrays: filter each image of a tile once, then match every pair of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from xoffset import _pyramid, _search, model
from xoffset._blocks import Lattice, Tile
from xoffset._images import Image, Prefilter, noise_gain, prepare
from xoffset._kernels import bits, neighbours, refine, zncc
from xoffset._search import Candidates, Pair

FIELDS = ("dx", "dy", "score", "gap", "variance_dx", "variance_dy", "covariance", "flags")

# Least height of a peak above the others for a window that is not the largest.
LEAST_GAP = 0.05
# Whole-pixel matches of neighbours may differ by rounding, and by a strain of a twelfth.
WHOLE_PIXEL = 0.3
LARGEST_STRAIN = 1.0 / 12.0


def fields(matcher: NCC, templates: tuple[int, ...]) -> tuple[str, ...]:
    """Names of what `match_tile` returns."""
    sizes = ("template_size",) if len(templates) > 1 else ()
    return (*FIELDS, *sizes, *(("back_dx", "back_dy") if matcher.both_ways else ()))


@dataclass(frozen=True)
class NCC:
    """Masked zero-mean normalised cross-correlation with Gauss-Newton refinement.

    Parameters
    ----------
    min_valid
        Share of a window's pixels that must be valid in both images, above 0, at most 1. Below it a match is NaN and
        flagged `few_valid`.
    both_ways
        Whether to match every pair backwards too and to flag as `forward_backward` what does not come back.

    Examples
    --------
    >>> import xoffset
    >>> xoffset.NCC(min_valid=0.8)
    NCC(min_valid=0.8, both_ways=False)
    """

    min_valid: float = 0.5
    both_ways: bool = False

    def __post_init__(self) -> None:
        model.check_share(self.min_valid, "min_valid", "NCC")
        if self.min_valid == 0.0:
            raise ValueError("NCC() needs min_valid above 0; got 0. Pass a share such as 0.5.")
        object.__setattr__(self, "min_valid", float(self.min_valid))
        object.__setattr__(self, "both_ways", model.as_switch(self.both_ways, "both_ways", "NCC"))


def match_tile(
    images: np.ndarray,
    tile: Tile,
    guide: np.ndarray,
    *,
    pairs: Sequence[Pair],
    lattice: Lattice,
    matcher: NCC,
    prefilter: Prefilter,
) -> np.ndarray:
    """Match all pairs on the nodes of one tile.

    Parameters
    ----------
    images
        (time, height, width) raw values of the tile's window, NaN where there is none.
    tile
        Node rows and columns of the tile.
    guide
        (field, rows, columns) where to search, see `_search.candidates`.
    pairs
        Which images belong together.
    lattice
        The sampling grid.
    matcher, prefilter
        As in `correlate`.

    Returns
    -------
    numpy.ndarray
        (field, pair, rows, columns) in the order of `fields`; pixels.
    """
    shape = tuple(part.stop - part.start for part in tile)
    count = len(fields(matcher, lattice.templates))
    out = np.full((count, len(pairs), *shape), np.nan, dtype=lattice.dtype)
    out[FIELDS.index("flags")] = bits.OUTSIDE
    inset = lattice.margin - lattice.reach
    used: dict[int, Image] = {}
    for k, pair in enumerate(pairs):
        candidates = _search.candidates(guide, pair, tile, lattice)
        part = _extent(candidates.wanted)
        if part is None:
            continue
        for date in {pair.reference, pair.secondary} - set(used):
            used[date] = _prepare(images[date], tile, lattice, prefilter)
        nodes = zncc.Nodes(
            rows=part[0].stop - part[0].start,
            columns=part[1].stop - part[1].start,
            top=lattice.reach + part[0].start * lattice.step,
            left=lattice.reach + part[1].start * lattice.step,
            step=lattice.step,
            template=lattice.template,
        )
        scene = Scene(
            (images[pair.reference], images[pair.secondary]), (used[pair.reference], used[pair.secondary]),
            inset, nodes, lattice.levels,
        )  # fmt: skip
        found = _match(scene, candidates.within(part), matcher)
        if matcher.both_ways:
            back = _match(scene.reversed(), candidates.within(part).reversed(), matcher)
            found = np.concatenate([found, back[:2]])
        target = out[:, k, part[0], part[1]]
        target[:] = np.where(candidates.wanted[part], found, target)
    return out


def _prepare(raw: np.ndarray, tile: Tile, lattice: Lattice, prefilter: Prefilter) -> Image:
    """One image of a tile without what only the coarse levels of a pyramid need around it."""
    # unfiltered pixels need float64: where the level varies within a tile it drowns the texture in float32
    dtype = np.dtype(np.float64) if prefilter is None else lattice.dtype
    inset = lattice.margin - lattice.reach
    inner = raw[inset : raw.shape[0] - inset, inset : raw.shape[1] - inset]
    return prepare(inner, lattice.frame(tile), lattice.templates, prefilter, dtype)


def _extent(wanted: np.ndarray) -> Tile | None:
    """Rows and columns of the smallest rectangle that holds all wanted nodes; None if there are none."""
    ends = []
    for axis in (1, 0):
        hits = np.flatnonzero(wanted.any(axis=axis))
        if hits.size == 0:
            return None
        ends.append(slice(int(hits[0]), int(hits[-1]) + 1))
    return ends[0], ends[1]


@dataclass(frozen=True)
class Scene:
    """Two images of a tile and the windows to match on them.

    `raw` with, `images` without the outer `inset` pixels, in which `nodes` are counted.
    """

    raw: tuple[np.ndarray, np.ndarray]
    images: tuple[Image, Image]
    inset: int
    nodes: zncc.Nodes
    levels: int

    def reversed(self) -> Scene:
        """The same with the two images in each other's place."""
        return replace(self, raw=self.raw[::-1], images=self.images[::-1])

    @cached_property
    def valid(self) -> np.ndarray:
        """Pixels of both that are fit to be matched (2, height, width); of size zero if all are."""
        if all(image.valid.all() for image in self.images):
            return np.empty((2, 0, 0), dtype=np.uint8)
        return np.stack([image.valid for image in self.images])


def _match(scene: Scene, candidates: Candidates, matcher: NCC) -> np.ndarray:
    """Fields of one pair on the nodes of a tile."""
    if scene.levels > 0:
        peaks, flags = _pyramid.search(
            scene.raw, scene.images, scene.inset, scene.nodes, candidates, scene.levels, matcher.min_valid
        )
    else:
        peaks, flags = _search.search(*scene.images, scene.nodes, candidates, matcher.min_valid)
    chosen, disagrees = _smallest_that_passes(peaks, flags, scene.nodes.step)
    peaks = np.ascontiguousarray(np.take_along_axis(peaks, chosen[None, ..., None], axis=0)[0])
    flags = np.take_along_axis(flags, chosen[None], axis=0)[0]
    flags[disagrees] |= bits.TEMPLATE_DISAGREES
    reference, secondary = scene.images
    dtype = reference.filtered.dtype
    refined = np.full((*flags.shape, 6), np.nan, dtype=dtype)
    refined[..., 2] = peaks[..., 2]
    for size, template in enumerate(reference.templates):
        inset = (scene.nodes.template - template) // 2
        windows = scene.nodes._replace(template=template, top=scene.nodes.top + inset, left=scene.nodes.left + inset)
        wanted = ((chosen == size) & (flags == 0)).astype(np.uint8)
        refine.refine(
            reference.filtered, reference.slopes, dtype.type(noise_gain(reference.prefilter)), secondary.coefficients,
            scene.valid, windows, peaks, wanted, refined, flags,
        )  # fmt: skip
    u, v, score, variance_x, variance_y, covariance = np.moveaxis(refined, -1, 0)
    sizes = np.array(reference.templates)[chosen]
    found = [u, v, score, peaks[..., 3], variance_x, variance_y, covariance, flags]
    return np.stack([*found, sizes] if len(reference.templates) > 1 else found, dtype=dtype, casting="unsafe")


def _smallest_that_passes(peaks: np.ndarray, flags: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of the window size to use at each node, and where none of several passes.

    A size passes if its peak is accepted, stands above the others and agrees with those of its neighbours.
    """
    sizes = peaks.shape[0]
    passes = flags == 0
    if sizes == 1:
        return np.zeros(flags.shape[1:], dtype=np.int64), np.zeros(flags.shape[1:], dtype=bool)
    limit = LARGEST_STRAIN * neighbours.RADIUS * step
    for size in range(sizes):
        passes[size] &= ~(peaks[size, ..., 3] < LEAST_GAP)
        v, u = (np.where(passes[size], peaks[size, ..., axis], np.nan) for axis in (0, 1))
        is_odd = np.empty(u.shape, dtype=np.uint8)
        neighbours.disagrees(u, v, np.full_like(u, WHOLE_PIXEL), limit, is_odd)
        passes[size] &= is_odd == 0
    found = passes.any(axis=0)
    # the largest says best why there is nothing
    chosen = np.where(found, passes.argmax(axis=0), sizes - 1)
    return chosen, ~found & (flags[-1] == 0)
