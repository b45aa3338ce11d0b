"""Whole-pixel matches from coarse to fine: wide searches at low resolution, narrow ones at full resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xoffset import _search
from xoffset._images import MARGIN, Image, Prefilter, prepare
from xoffset._kernels import bits, neighbours, surface, zncc
from xoffset._search import Candidates

# Half-range around a proposal, px: one for the halved resolution it comes from, one for the ring.
NARROW = 2
# Least side of a window at low resolution, px: smaller ones find their like anywhere.
LEAST_TEMPLATE = 16
# Half-range that a single search at low resolution may have before it gets a coarser one, px.
WIDEST = 12
WALKS = 2
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
    The proposals for a node are its own match one level below, the vector median of the matches around it, and no
    displacement beyond the prior, which is kept at every level: what is smaller than a window at low resolution is
    found from there if it moves little. Candidates between the proposals are never looked at: `gap` tells the
    difference from the best proposal elsewhere.

    Examples
    --------
    >>> import xoffset
    >>> xoffset.Pyramid(45).levels
    2
    """

    search: int | tuple[int, int]
    levels: int | None = None

    def __post_init__(self) -> None:
        half = _search.as_half_range(self.search, "Pyramid")
        levels = self.levels
        if levels is None:
            levels = 1
            while max(half) > WIDEST * 2**levels and levels < 4:
                levels += 1
        if isinstance(levels, bool) or not isinstance(levels, (int, np.integer)) or not 1 <= levels <= 4:
            raise ValueError(f"Pyramid() needs 1 to 4 levels; got {self.levels!r}. Leave levels out.")
        object.__setattr__(self, "levels", int(levels))


def margin(template: int, levels: int) -> int:
    """Pixels that must be known around a window and its search for all levels."""
    factor = 2**levels
    return factor * (MARGIN + max(LEAST_TEMPLATE, -(-template // factor)) + NARROW)


def search(
    raw: tuple[np.ndarray, np.ndarray],
    images: tuple[Image, Image],
    inset: int,
    nodes: zncc.Nodes,
    candidates: Candidates,
    levels: int,
    min_valid: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Best whole-pixel shift of every wanted node and template size, as `_search.search`.

    `raw`: the two images of the tile, NaN where unknown; `images`: the same without their outer `inset` pixels,
    filtered; `nodes` are counted in the latter.
    """
    proposals = [candidates.centre]
    outer = nodes._replace(top=nodes.top + inset, left=nodes.left + inset)
    for level in range(levels, 0, -1):
        grid = Grid(outer, 2**level)
        first, second = (grid.prepare(image, images[0].prefilter) for image in raw)
        here = grid.candidates(candidates)
        if level == levels:
            peaks, flags = _search.search(first, second, grid.nodes, here, min_valid)
        else:
            peaks, flags = _try(first, second, grid.nodes, here, [grid.reduce(shift) for shift in proposals], min_valid)
        shifts = np.where((flags[0] == 0)[..., None], peaks[0, ..., :2], np.nan)
        median = np.empty_like(shifts)
        neighbours.vector_median(shifts, median)
        proposals = [candidates.centre, *(grid.enlarge(shift, candidates.centre) for shift in (shifts, median))]
    return _try(*images, nodes, candidates, proposals, min_valid)


class Grid:
    """Nodes of a tile at a fraction of its resolution, and the way there and back."""

    def __init__(self, nodes: zncc.Nodes, factor: int) -> None:
        self.factor = factor
        template = max(LEAST_TEMPLATE, -(-nodes.template // factor))
        step = max(1, round(nodes.step / factor))
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

    def prepare(self, raw: np.ndarray, prefilter: Prefilter) -> Image:
        """One image at this resolution, filtered; a pixel needs half of those it is the mean of."""
        factor = self.factor
        rows, columns = (size // factor for size in raw.shape)
        blocks = raw[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor).astype(np.float64)
        is_known = np.isfinite(blocks)
        count = is_known.sum(axis=(1, 3))
        total = np.where(is_known, blocks, 0.0).sum(axis=(1, 3))
        mean = np.where(2 * count >= factor**2, total / np.maximum(count, 1), np.nan)
        everything = (slice(0, rows), slice(0, columns))
        return prepare(mean, everything, (self.nodes.template,), prefilter, np.dtype(np.float32))

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
        found = _search.search(reference, secondary, nodes, near, min_valid)
        tried.append(np.where(wanted[..., None], centre, FAR))
        peaks.append(found[0])
        flags.append(np.where(wanted, found[1], bits.BORDER))

    for proposal in proposals:
        attempt(proposal, candidates.wanted)
    for _ in range(WALKS):
        best, verdict = _best(peaks, flags)
        at_border = candidates.wanted & (verdict[-1] == bits.BORDER) & np.isfinite(best[-1, ..., 0])
        attempt(np.where(at_border[..., None], np.nan_to_num(best[-1, ..., :2]), 0.0).astype(np.int64), at_border)
    return _best(peaks, flags)


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
    return best, np.take_along_axis(all_flags, chosen[None], axis=0)[0]
