"""Whole-pixel matches from coarse to fine: wide searches at low resolution, narrow ones at full resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xoffset._arrays.filters.options import Prefilter
from xoffset._arrays.lattice import Lattice, Tile
from xoffset._arrays.matching import images as imaging
from xoffset._arrays.matching import search as searching
from xoffset._arrays.matching.images import Image, prepare
from xoffset._arrays.matching.search import Candidates, as_half_range
from xoffset._kernels import bits
from xoffset._kernels.images import filters
from xoffset._kernels.maps import neighbours
from xoffset._kernels.matching import surface, zncc
from xoffset._options import is_whole

# Half-range of the search around the shift found at half the resolution, px: one pixel because that shift is known to
# two pixels only, and one because a peak on the border of the range does not count.
NARROW = 2
# Least side of a window at low resolution, px: smaller windows match by chance.
LEAST_TEMPLATE = 16
# Largest half-range at the lowest resolution, in pixels of it: a longer search gets one more level, up to four.
WIDEST = 12
# Times that a search whose best score lies on its border is repeated around that score.
WALKS = 2
# Shift that stands for "not searched here", px: it is far from every real one.
FAR = 1 << 20


@dataclass(frozen=True)
class Pyramid:
    """Search from coarse to fine, for long displacements.

    Parameters
    ----------
    search
        Largest displacement looked for along y and x, in pixels of the image: one number or (y, x).
    levels
        How often the resolution is halved, 1 to 4. None halves it until the first search reaches at most 12 of its
        pixels.

    Notes
    -----
    The lowest resolution is searched as a whole. Every other level searches a few pixels around three proposals for a
    node: its match at half the resolution, the vector median of the matches around it there, and the prior (or zero).
    The prior is tried at every level, so that slow ground smaller than a window at low resolution is still found.
    Candidates between the proposals are never looked at.
    `peak_gap` is therefore the difference from the best proposal elsewhere, or, where all proposals coincide, that of
    the search at the lowest resolution.

    Examples
    --------
    >>> import xoffset
    >>> xoffset.Pyramid(45).levels
    2
    """

    search: int | tuple[int, int]
    levels: int | None = None

    def __post_init__(self) -> None:
        half = as_half_range(self.search, "Pyramid")
        levels = self.levels
        if levels is None:
            levels = 1
            while max(half) > WIDEST * 2**levels and levels < 4:
                levels += 1
        if not is_whole(levels) or not 1 <= levels <= 4:
            raise ValueError(f"Pyramid() needs 1 to 4 levels; got {self.levels!r}. Leave levels out.")
        object.__setattr__(self, "search", half if isinstance(self.search, (tuple, list)) else half[0])
        object.__setattr__(self, "levels", int(levels))


def margin(prefilter: Prefilter | None, template: int, step: int, levels: int) -> int:
    """Pixels beyond the reach at full resolution that the searches at the lower ones need."""
    factor = int(2**levels)
    side, pitch = coarse_windows(template, step, factor)
    beyond = max(side - template // factor, 0) // 2 + pitch + NARROW
    return factor * (imaging.margin(prefilter, side) + beyond) - imaging.margin(prefilter, template)


def coarse_images(
    raw: np.ndarray, frame: Tile, lattice: Lattice, prefilter: Prefilter | None, dtype: np.dtype
) -> tuple[Image, ...]:
    """One image of a tile, NaN where unknown, at a half, a quarter ... of its resolution, each filtered.

    Beyond the `frame`, the part inside the image, its outermost pixels go on: no window that is wanted lies there, and
    all can be matched without masks.
    """
    images = []
    for level in range(1, lattice.levels + 1):
        factor = 2**level
        rows, columns = (slice(-(-part.start // factor), part.stop // factor) for part in frame)
        known = np.empty((rows.stop - rows.start, columns.stop - columns.start))
        filters.decimate(
            np.ascontiguousarray(raw[rows.start * factor : rows.stop * factor, columns.start * factor :]), factor, known
        )
        size = [side // factor for side in raw.shape]
        beyond = [(part.start, side - part.stop) for part, side in zip((rows, columns), size, strict=True)]
        pixels = np.pad(known, beyond, mode="edge")
        everything = (slice(0, size[0]), slice(0, size[1]))
        images.append(
            prepare(pixels, everything, (coarse_windows(lattice.template, lattice.step, factor)[0],), prefilter, dtype)
        )
    return tuple(images)


def coarse_windows(template: int, step: int, factor: int) -> tuple[int, int]:
    """Side and distance of the windows that stand for others at a fraction of their resolution, in its pixels.

    The side is a multiple of the distance, if that is no more than half of it: the search is quicker then.
    """
    step = max(1, round(step / factor))
    side = max(LEAST_TEMPLATE, -(-template // factor))
    return (-(-side // step) * step if 2 * step <= side else side), step


def search(
    reference: tuple[Image, ...],
    secondary: tuple[Image, ...],
    inset: int,
    nodes: zncc.Nodes,
    candidates: Candidates,
    min_valid: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Best whole-pixel shift of every wanted node and template size, as `search.search`.

    `reference` and `secondary`: images at full resolution, in which `nodes` are counted, then those of `coarse_images`,
    which reach `inset` pixels of full resolution farther on all sides.
    """
    proposals = [candidates.centre]
    gap, where = np.full(candidates.wanted.shape, np.nan), candidates.centre
    outer = nodes._replace(top=nodes.top + inset, left=nodes.left + inset)
    levels = len(reference) - 1
    for level in range(levels, 0, -1):
        grid = Grid(outer, 2**level)
        images, here = (reference[level], secondary[level]), grid.candidates(candidates)
        if level == levels:
            peaks, flags = searching.search(*images, grid.nodes, here, min_valid)
            gap, where = peaks[0, ..., 3][np.ix_(*grid.back)], grid.enlarge(peaks[0, ..., :2], candidates.centre)
        else:
            peaks, flags = _try(*images, grid.nodes, here, [grid.reduce(shift) for shift in proposals], min_valid)
        shifts = np.where((flags[0] == 0)[..., None], peaks[0, ..., :2], np.nan)
        median = np.empty_like(shifts)
        neighbours.vector_median(shifts, median)
        proposals = [candidates.centre, *(grid.enlarge(shift, candidates.centre) for shift in (shifts, median))]
    peaks, flags = _try(reference[0], secondary[0], nodes, candidates, proposals, min_valid)
    # where nothing farther off was tried at full resolution, the widest search knows whether there are others
    is_same = (np.abs(peaks[..., :2] - where) <= 2.0 * 2**levels).all(axis=-1)
    is_taken = np.isnan(peaks[..., 3]) & is_same
    peaks[..., 3] = np.where(is_taken, gap, peaks[..., 3])
    peaks[..., surface.OTHER] = np.where(is_taken, peaks[..., 2] - gap, peaks[..., surface.OTHER])
    return peaks, flags


class Grid:
    """Nodes of a tile at a fraction of its resolution, and the way there and back."""

    def __init__(self, nodes: zncc.Nodes, factor: int) -> None:
        self.factor = factor
        template, step = coarse_windows(nodes.template, nodes.step, factor)
        first, count, self.there, self.back = [], [], [], []
        for start, number in ((nodes.top, nodes.rows), (nodes.left, nodes.columns)):
            # centres of the windows in pixels of low resolution
            fine = (start + nodes.step * np.arange(number) + 0.5 * (nodes.template - factor)) / factor
            first.append(int(np.floor(fine[0] - 0.5 * (template - 1))))
            origin = first[-1] + 0.5 * (template - 1)
            count.append(int((fine[-1] - origin) / step) + 2)
            coarse = origin + step * np.arange(count[-1])
            self.there.append(np.abs(fine[:, None] - coarse).argmin(axis=0))
            self.back.append(np.abs(fine[:, None] - coarse).argmin(axis=1))
        self.nodes = zncc.Nodes(count[0], count[1], first[0], first[1], step, template)

    def candidates(self, fine: Candidates) -> Candidates:
        """Those of the nearest nodes at full resolution."""
        index = np.ix_(*self.there)
        half = -(-fine.half[index] // self.factor) + 1
        return Candidates(self.reduce(fine.centre), half, fine.wanted[index], fine.is_uniform)

    def reduce(self, shifts: np.ndarray) -> np.ndarray:
        """Shifts of the nearest nodes at full resolution, in pixels of this one."""
        return np.rint(shifts[np.ix_(*self.there)] / self.factor).astype(np.int64)

    def enlarge(self, shifts: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
        """Shifts of the nearest nodes of this resolution, in pixels of the full one; NaN gives way to `otherwise`."""
        shifts = np.rint(self.factor * shifts[np.ix_(*self.back)])
        return np.where(np.isfinite(shifts), shifts, otherwise).astype(np.int64)


def _try(
    reference: Image,
    secondary: Image,
    nodes: zncc.Nodes,
    candidates: Candidates,
    proposals: list[np.ndarray],
    min_valid: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The best match near any of the proposals, within the range of the candidates."""
    half = np.minimum(candidates.half, NARROW)
    least, most = candidates.centre - candidates.half + half, candidates.centre + candidates.half - half
    tried: list[np.ndarray] = []
    peaks: list[np.ndarray] = []
    flags: list[np.ndarray] = []

    def attempt(proposal: np.ndarray, wanted: np.ndarray) -> None:
        centre = np.clip(proposal, least, most)
        for earlier in tried:
            wanted = wanted & (np.abs(centre - earlier) > 1).any(axis=-1)
        if not wanted.any():
            return
        first = centre[wanted][0]
        is_uniform = candidates.is_uniform and bool((centre[wanted] == first).all())
        near = Candidates(
            np.broadcast_to(first, centre.shape).copy() if is_uniform else centre, half, wanted, is_uniform
        )
        found = searching.search(reference, secondary, nodes, near, min_valid)
        tried.append(np.where(wanted[..., None], centre, FAR))
        peaks.append(found[0])
        flags.append(np.where(wanted, found[1], bits.BORDER))

    for proposal in proposals:
        attempt(proposal, candidates.wanted)
    best, verdict = _best(peaks, flags)
    for _ in range(WALKS):
        at_border = candidates.wanted & (verdict[-1] == bits.BORDER) & np.isfinite(best[-1, ..., 0])
        if not at_border.any():
            break
        attempt(np.where(at_border[..., None], np.nan_to_num(best[-1, ..., :2]), 0.0).astype(np.int64), at_border)
        best, verdict = _best(peaks, flags)
    return best, verdict


def _best(peaks: list[np.ndarray], flags: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of several peaks of each node the highest, and how far it stands above the others that lie elsewhere."""
    all_peaks, all_flags = np.stack(peaks), np.stack(flags)
    score = np.nan_to_num(all_peaks[..., 2], nan=surface.LOWEST)
    # a slope towards a ring says only where to go on
    chosen = np.where(all_flags == 0, score, score - 1.0).argmax(axis=0)
    best = np.take_along_axis(all_peaks, chosen[None, ..., None], axis=0)[0]
    is_far = (np.abs(all_peaks[..., :2] - best[..., :2]) > surface.PEAK_RADIUS).any(axis=-1)
    second = np.where(is_far, score, surface.LOWEST).max(axis=0)
    best[..., 3] = np.where(second > surface.NO_SCORE, best[..., 2] - second, np.nan)
    best[..., surface.OTHER] = np.where(second > surface.NO_SCORE, second, np.nan)
    return best, np.take_along_axis(all_flags, chosen[None], axis=0)[0]
