"""Matching by the phase of spectra, for wide windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.fft
import scipy.ndimage

from xoffset import _options
from xoffset._arrays.filters.options import Prefilter
from xoffset._arrays.lattice import Lattice, Tile
from xoffset._arrays.matching import aliasing, constant, holed, locking, memory
from xoffset._arrays.matching import search as searching
from xoffset._arrays.matching.images import prepare, working_dtype
from xoffset._arrays.matching.protocol import FIELDS, Matcher
from xoffset._arrays.matching.search import Pair
from xoffset._arrays.matching.spectra import BUFFER, Source, Windows, batches, directions
from xoffset._kernels import bits
from xoffset._kernels.matching import orientations, planes
from xoffset._kernels.matching.spectra import cut_windows, find_peaks, whiten
from xoffset._kernels.matching.surface import LEAST_FIT, OTHER, PEAK_FIELDS

# Indices of the fields that are NaN for a flagged match; the others stay.
VALUES = [FIELDS.index(name) for name in ("dx", "dy", "variance_dx", "variance_dy", "covariance")]
# Least side of a window, px: a smaller one has too few frequencies for a plane.
LEAST_TEMPLATE = 32
# Portions of spectra, of BUFFER bytes each, that the match of a pair needs for a while.
PORTIONS = 3


@dataclass(frozen=True)
class Phase(Matcher):
    """Shifts from the phase of the cross-spectrum, for windows of 64 pixels and more.

    Use it for wide and smooth motion where the light changes, or where images have stripes or holes. The taper costs
    precision: at the same template the error is about 1.4 times that of `NCC`. Windows below 64 px have few frequencies
    to choose from; below 32 px they are refused. Displacements of more than half a template are not found.

    Parameters
    ----------
    method
        `"plane"`: whole-pixel shift from the phase correlation, fraction from a plane through the phases, with a
        frequency mask and robust weights. `"orientation"`: correlation of the directions of the gradient, which
        ignores how strong a contrast is and tolerates stripes and holes, fraction from a surface through
        the peak. `"orientation_plane"`: whole-pixel shift from the orientation, fraction from the plane.
    mask
        Which frequencies count, above 0, at most 1. The log amplitude of the mean frequency lies some way below that of
        the loudest; a frequency counts if it lies below the loudest by no more than this share of that way. 1 keeps all
        that are louder than the geometric mean. For the plane only.
    iterations
        How often the plane weighs the phases anew, 0 to 20; 0 makes it least squares. For the plane only.
    min_valid
        Share of a window's pixels that must be known in both images, above 0, at most 1. Below it a match is NaN and
        flagged `few_valid`.
    flat_block
        As in `NCC`: side in pixels of a square of one exact value that shows no ground and counts as unknown.

    Notes
    -----
    Where a window has holes, `mask` and `iterations` have nothing to weigh: holes are in all frequencies. There the
    fraction of `"plane"` and `"orientation_plane"` comes from Gauss-Newton on the pixels that both images know.

    Phase plane after Leprince et al. (2007, IEEE Trans. Geosci. Remote Sens. 45, 1529-1558), orientation correlation
    after Fitch et al. (2002, BMVC, 133-142). `score` is the correlation of the tapered windows at the match, as far as
    it can be compared with that of `NCC`; `peak_gap` belongs to the surface that gave the whole-pixel shift, whose peak
    is below 1 even without noise where the shift is no whole number.

    Examples
    --------
    >>> import xoffset
    >>> xoffset.Phase(mask=0.8)
    Phase(method='plane', mask=0.8, iterations=4, min_valid=0.5, flat_block=7)
    """

    method: Literal["plane", "orientation", "orientation_plane"] = "plane"
    mask: float = 0.9
    iterations: int = 4
    min_valid: float = 0.5
    flat_block: int = 7

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or self.method not in ("plane", "orientation", "orientation_plane"):
            raise ValueError(
                f"Phase() needs method 'plane', 'orientation' or 'orientation_plane'; got {self.method!r}. "
                "Choose one of the three."
            )
        for name in ("mask", "min_valid"):
            value = getattr(self, name)
            _options.check_share(value, name, "Phase")
            if value == 0.0:
                raise ValueError(f"Phase() needs {name} above 0; got 0. Pass a share such as 0.5.")
            object.__setattr__(self, name, float(value))
        rounds = self.iterations
        if not _options.is_whole(rounds) or not 0 <= rounds <= 20:
            raise ValueError(f"Phase() needs iterations from 0 to 20; got {rounds!r}. Pass a whole number such as 4.")
        object.__setattr__(self, "iterations", int(rounds))
        object.__setattr__(self, "flat_block", constant.as_side(self.flat_block, "Phase"))

    @property
    def kernels(self) -> tuple[Any, ...]:
        """Kernels that every match calls."""
        return (cut_windows,)

    def check(self, lattice: Lattice, prefilter: Prefilter | None, *, is_uniform: bool) -> None:
        """Refuse windows and searches that this matcher cannot serve; `is_uniform`: whether all nodes search alike.

        Raises
        ------
        ValueError
            If there are several templates, the template is under 32 pixels, the search differs by axis or node, is over
            half of the template or goes from coarse to fine.
        """
        if len(lattice.templates) > 1 or lattice.template < LEAST_TEMPLATE:
            raise ValueError(
                f"correlate() needs one template of at least {LEAST_TEMPLATE} pixels for matcher='phase'; got "
                f"{lattice.templates}. Pass template=64, or matcher='ncc'."
            )
        half = max(lattice.search)
        if not is_uniform or lattice.levels > 0 or min(lattice.search) < half:
            raise ValueError(
                "correlate() needs one number as search for matcher='phase'; got a pair, a map or a Pyramid. Pass a "
                "number and a prior, or matcher='ncc'."
            )
        if half > lattice.template // 2:
            raise ValueError(
                f"correlate() needs a search of at most half the template for matcher='phase', whose windows repeat "
                f"themselves; got search={half} with template={lattice.template}. Pass template={2 * half} or more, or "
                "matcher='ncc'."
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
        rows, columns = tile
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        out = np.empty((len(FIELDS), len(pairs), *shape), dtype=lattice.dtype)
        frame = lattice.frame(tile)
        working = working_dtype(prefilter, lattice.dtype)
        sources, sums = {}, {}
        for date in sorted({date for pair in pairs for date in (pair.reference, pair.secondary)}):
            pixels, sums[date] = constant.without_constant(images[date], self.flat_block)
            image = prepare(pixels, frame, lattice.templates, prefilter, working)
            sources[date] = Source(image, directions(image, self.method))
        candidates = [searching.candidates(guide, pair, tile, lattice) for pair in pairs]
        nodes = np.indices(shape).reshape(2, -1).T
        for batch in batches(nodes, lattice.template, len(sources) * working.itemsize):
            corners = lattice.margin + batch * lattice.step
            windows = {date: Windows(source, corners, lattice.template) for date, source in sources.items()}
            for k, (pair, where) in enumerate(zip(pairs, candidates, strict=True)):
                is_inside = where.wanted[batch[:, 0], batch[:, 1]]
                centre = np.where(is_inside[:, None], where.centre[batch[:, 0], batch[:, 1]], 0)
                second = windows[pair.secondary]
                if centre.any():
                    second = Windows(second.source, corners + centre, second.size)
                flags = np.where(is_inside, 0, bits.OUTSIDE).astype(np.int32)
                found = _match(windows[pair.reference], second, flags, lattice.search[0], self)
                found[:2] += centre[:, ::-1].T
                if pair.native > 1.0:
                    for shift, of_noise in (("dx", "variance_dx"), ("dy", "variance_dy")):
                        image, along = sources[pair.reference].image, found[FIELDS.index(shift)]
                        found[FIELDS.index(of_noise)] += locking.variance(image, along, pair.native)
                out[:, k, batch[:, 0], batch[:, 1]] = found
        for flags, pair, where in zip(out[-1], pairs, candidates, strict=True):
            constant.explain(flags, (sums[pair.reference], sums[pair.secondary]), where, lattice)
        return out

    def memory(self, lattice: Lattice, prefilter: Prefilter | None, pairs: Sequence[Pair]) -> float:
        """Bytes of the images of a tile, and of the spectra of the windows in work."""
        return memory.of_images(lattice, prefilter, pairs, self.ways) + PORTIONS * BUFFER


def _match(first: Windows, second: Windows, flags: np.ndarray, search: int, matcher: Phase) -> np.ndarray:
    """Fields (field, window) of windows of one pair, shifts counted from where the second ones are cut.

    `flags` (window,) int32: windows with a bit set are passed over.
    """
    out = np.full((len(FIELDS), flags.size), np.nan)
    least = math.ceil(matcher.min_valid * first.size**2)
    verdicts = _verdict_on_windows(first, least) | _verdict_on_windows(second, least)
    flags = np.where(flags == 0, verdicts, flags)
    usable = np.flatnonzero(flags == 0)
    if usable.size:
        peaks = np.empty((usable.size, 6))
        verdicts = np.where(first.has_lines_only[usable], bits.ILL_CONDITIONED, 0).astype(np.int32)
        find_peaks(_surfaces(first, second, usable, matcher), search, peaks, verdicts)
        out[:-1, usable] = _refine(first, second, usable, peaks, verdicts, matcher)
        flags[usable] = verdicts
    out[np.ix_(VALUES, flags != 0)] = np.nan
    out[-1] = flags
    return out


def _verdict_on_windows(windows: Windows, least: int) -> np.ndarray:
    """Bits against windows of one image, before any match."""
    known, fit = windows.counts.T
    few = (known < least) | (fit < LEAST_FIT * least)
    return np.select([known == 0, few, windows.is_flat], [bits.NODATA, bits.FEW_VALID, bits.FLAT], 0).astype(np.int32)


def _surfaces(first: Windows, second: Windows, which: np.ndarray, matcher: Phase) -> np.ndarray:
    """(window, size, size) correlation at every whole-pixel shift, negative ones at the end of each axis."""
    if matcher.method != "plane":
        cross = np.conj(first.spectra_of_directions[which]) * second.spectra_of_directions[which]
        return np.ascontiguousarray(scipy.fft.ifft2(cross, workers=1).real)
    one, other = first.own[0][which], second.own[0][which]
    white = np.empty_like(one)
    whiten(one, other, matcher.mask, white)
    return np.asarray(scipy.fft.irfft2(white, s=(first.size, first.size), workers=1))


def _refine(
    first: Windows, second: Windows, usable: np.ndarray, peaks: np.ndarray, flags: np.ndarray, matcher: Phase
) -> np.ndarray:
    """(8, window) of FIELDS but the flags, to which bits are added, from peaks as of `phase.find_peaks`."""
    moved = peaks[:, :2].astype(np.int64)
    one, other = first.chosen(usable), second.chosen(usable, moved)
    common = one.counts_with(other)
    least = math.ceil(matcher.min_valid * first.size**2)
    flags |= np.where((common[:, 0] < least) | (common[:, 1] < LEAST_FIT * least), bits.FEW_VALID, 0).astype(np.int32)
    flags |= np.where(other.is_flat, bits.FLAT, 0).astype(np.int32)
    fit = np.empty((usable.size, 6), dtype=first.source.image.filtered.dtype)
    fractions = peaks[:, 4:].copy()
    if matcher.method != "plane":
        _fit_surfaces(one, other, fractions, fit, flags)
    if matcher.method != "orientation":
        spectra, statistics = first.own
        images = one.source.image, other.source.image
        has_holes = (common[:, 1] < first.size**2) | holed.beside_holes(
            *images, one.corners, other.corners - one.corners, first.size
        )
        which = np.flatnonzero(~has_holes)
        if which.size:
            shared = spectra[usable[which]], statistics[usable[which], 1]
            some = one.chosen(which), other.chosen(which)
            fit[which], flags[which] = _fit_whole(some, shared, fractions[which], flags[which], matcher)
        which = np.flatnonzero(has_holes)
        if which.size:
            some = one.chosen(which), other.chosen(which)
            fit[which], flags[which] = _fit_pixels(*some, fractions[which], flags[which])
    u, v, score, *covariance = fit.T.astype(np.float64)
    share = common[:, 0] / first.size**2
    return np.stack([u + moved[:, 1], v + moved[:, 0], score, peaks[:, 3], *covariance, share])


def _fit_surfaces(one: Windows, other: Windows, fractions: np.ndarray, fit: np.ndarray, flags: np.ndarray) -> None:
    """Refine by the surface of orientation correlation; fractions (window, 2) along y and x are replaced."""
    directions = one.source.directions, other.source.directions
    orientations.fit_surfaces(*directions, one.corners, other.corners, one.size, fit, flags)
    fractions[:] = np.nan_to_num(fit[:, 1::-1])
    score = np.empty(len(fit), dtype=fit.dtype)
    spectra, _ = one.cut(other, np.zeros_like(fractions))
    planes.scores(spectra, other.cut(one, fractions)[0], fractions, score)
    fit[:, 2] = score


def _fit_whole(
    windows: tuple[Windows, Windows],
    shared: tuple[np.ndarray, np.ndarray],
    fractions: np.ndarray,
    flags: np.ndarray,
    matcher: Phase,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit and flags of windows without holes; `shared`: spectra of the first ones and their loss by the taper."""
    one, other = windows
    shifted, _ = other.cut(one, fractions)
    fit = np.empty((len(fractions), 6), dtype=shifted.real.dtype)
    planes.fit_planes(shared[0], shifted, fractions, (matcher.mask, matcher.iterations), shared[1], fit, flags)
    fit[:, 3:5] += aliasing.variance(shared[0], shifted, fit[:, :2])
    return fit, flags


def _fit_pixels(
    one: Windows, other: Windows, fractions: np.ndarray, flags: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit and flags of windows with holes: Gauss-Newton on the pixels that both images know, as of `NCC`.

    Holes stay where they are when the ground moves. In a spectrum they are everywhere, and pull the phases of all
    frequencies alike.
    """
    image = one.source.image
    whole = other.corners - one.corners
    starts = np.full((len(whole), PEAK_FIELDS), np.nan, dtype=image.filtered.dtype)
    starts[:, :2] = whole
    # a correlation of phases is no score that could be compared with that of pixels
    starts[:, 2] = -1.0
    # on the top of a paraboloid about the fraction found so far the iteration starts
    offset = np.arange(-1.0, 2.0)
    height = (offset[:, None] - fractions[:, :1, None]) ** 2 + (offset - fractions[:, 1:, None]) ** 2
    starts[:, 4:OTHER] = -height.reshape(-1, 9)
    fit, flags = holed.refine(image, other.source.image, one.corners, starts, flags, one.size)
    fit[:, :2] -= whole[:, ::-1]
    return fit, flags
