"""The phase matcher on plain arrays: one spectrum a window and date, shared by all pairs of a tile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import scipy.fft
import scipy.ndimage

from xoffset import _options
from xoffset._arrays.filters import prefilters
from xoffset._arrays.filters.prefilters import Prefilter
from xoffset._arrays.lattice import Lattice, Tile
from xoffset._arrays.matching import search as searching
from xoffset._arrays.matching.images import Image, prepare, working_dtype
from xoffset._arrays.matching.search import Pair
from xoffset._kernels import bits
from xoffset._kernels.matching import phase

FIELDS: tuple[str, ...] = ("dx", "dy", "score", "gap", "variance_dx", "variance_dy", "covariance", "flags")
# Fields that a flagged match has not; its score and gap stay.
VALUES = [FIELDS.index(name) for name in ("dx", "dy", "variance_dx", "variance_dy", "covariance")]
# Bytes that the spectra of the windows in work may take, for all dates together.
BUFFER = 8 * 2**20
# Pixels that resampling and slopes read beyond a window.
REACH = 3
# How often windows with holes are resampled.
ROUNDS = 3
# Fewer pixels have too few frequencies for a plane.
LEAST_TEMPLATE = 32
# Of the pixels that two windows must share, so many must be fit to be matched too.
LEAST_FIT = 0.8


@dataclass(frozen=True)
class Phase:
    """Shifts from the phase of the cross-spectrum, for windows of 64 pixels and more.

    The taper costs precision: at the same template the error is about 1.4 times that of `NCC`, and a window of less
    than 64 px has too few frequencies to be choosy; less than 32 px are refused. It is for wide and smooth motion under
    changes of light, stripes and holes. What moves by more than half a template is out of its sight.

    Parameters
    ----------
    method
        `"plane"`: whole-pixel shift from the phase correlation, fraction from a plane through the phases, with a
        frequency mask and robust weights. `"orientation"`: correlation of the directions of the gradient, which
        ignores how strong a contrast is and tolerates stripes and holes, fraction from a surface through
        the peak. `"orientation_plane"`: whole-pixel shift from the orientation, fraction from the plane.
    mask
        Frequencies are left out whose logarithm of amplitude lies further below the loudest than this share of the
        mean one does, above 0, at most 1; 1 keeps all that are louder than the geometric mean. For the plane only.
    iterations
        How often the plane weighs the phases anew, 0 to 20; 0 makes it least squares. For the plane only.
    min_valid
        Share of a window's pixels that must be valid in both images, above 0, at most 1. Below it a match is NaN and
        flagged `few_valid`.

    Notes
    -----
    Phase plane after Leprince et al. (2007, IEEE Trans. Geosci. Remote Sens. 45, 1529-1558), orientation correlation
    after Fitch et al. (2002, BMVC, 133-142). `score` is the correlation of the tapered windows at the match, as far as
    it can be compared with that of `NCC`; `gap` belongs to the surface that gave the whole-pixel shift, whose peak is
    below 1 even without noise where the shift is no whole number.

    Examples
    --------
    >>> import xoffset
    >>> xoffset.Phase(mask=0.8)
    Phase(method='plane', mask=0.8, iterations=4, min_valid=0.5)
    """

    method: Literal["plane", "orientation", "orientation_plane"] = "plane"
    mask: float = 0.9
    iterations: int = 4
    min_valid: float = 0.5

    def __post_init__(self) -> None:
        if self.method not in ("plane", "orientation", "orientation_plane"):
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
        if isinstance(rounds, bool) or not isinstance(rounds, (int, np.integer)) or not 0 <= rounds <= 20:
            raise ValueError(f"Phase() needs iterations from 0 to 20; got {rounds!r}. Pass a whole number such as 4.")
        object.__setattr__(self, "iterations", int(rounds))

    def check(self, lattice: Lattice, is_uniform: bool) -> None:
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


@dataclass(frozen=True)
class Source:
    """One image of a tile as this matcher reads it."""

    image: Image
    directions: np.ndarray  # complex (height, width), of size zero if the method does without

    @cached_property
    def valid(self) -> np.ndarray:
        """Pixels fit to be matched, uint8; without a pre-filter those near holes are left out, where splines ring."""
        if self.image.colour is not prefilters.WHITE or self.image.valid.all():
            return self.image.valid
        return np.asarray(scipy.ndimage.minimum_filter(self.image.valid, 5))

    @cached_property
    def counted(self) -> np.ndarray:
        """Known and valid pixels (2, height, width)."""
        return np.stack([self.image.known, self.valid])


@dataclass(frozen=True)
class Windows:
    """Windows of one image; what is computed of them is shared by all pairs."""

    source: Source
    corners: np.ndarray  # (window, 2) first row and column
    size: int

    def cut(self, others: Windows, fractions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Spectra of what is valid here and in the others, and their statistics as of `phase.cut_windows`."""
        return self._taper(self.source.image.filtered, self.corners, others, fractions)

    def resample(self, others: Windows, fractions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same of the windows that lie fractions of a pixel (window, 2) further down and right."""
        values = np.empty((len(self.corners), self.size, self.size), dtype=self.source.image.filtered.dtype)
        phase.resample_windows(self.source.image.coefficients, self.corners, fractions, values)
        places = np.stack([self.size * np.arange(len(values)), np.zeros(len(values), dtype=np.int64)], axis=1)
        return self._taper(values.reshape(-1, self.size), places, others, np.zeros_like(fractions))

    def _taper(
        self, pixels: np.ndarray, places: np.ndarray, others: Windows, fractions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        out = np.empty((len(places), self.size, self.size), dtype=pixels.dtype)
        statistics = np.empty((len(places), 2))
        masks = (self.source.valid, others.source.valid)
        corners = (self.corners, others.corners)
        phase.cut_windows(pixels, places, masks, corners, fractions, out, statistics)
        return scipy.fft.rfft2(out, workers=1), statistics

    @cached_property
    def own(self) -> tuple[np.ndarray, np.ndarray]:
        """The same of what is valid here."""
        return self.cut(self, np.zeros(self.corners.shape))

    @cached_property
    def spectra_of_directions(self) -> np.ndarray:
        """(window, size, size) transforms of the directions, over the root of how many there are."""
        cut = np.stack([self.source.directions[y : y + self.size, x : x + self.size] for y, x in self.corners])
        count = (cut != 0).sum(axis=(1, 2), keepdims=True)
        return np.asarray(scipy.fft.fft2(cut, workers=1) / np.sqrt(np.maximum(count, 1)).astype(cut.real.dtype))

    @cached_property
    def counts(self) -> np.ndarray:
        """(window, 2) known pixels, and those fit to be matched."""
        return self.counts_with(self)

    def counts_with(self, others: Windows) -> np.ndarray:
        """(window, 2) pixels known here and in the others, and fit to be matched in both."""
        out = np.empty((len(self.corners), 2), dtype=np.int64)
        phase.count_common(self.source.counted, others.source.counted, self.corners, others.corners, self.size, out)
        return out

    @cached_property
    def is_flat(self) -> np.ndarray:
        """(window,) whether the raw pixels hold one value only, or the filtered ones nothing but rounding."""
        image = self.source.image
        return np.asarray((image.flat[0][tuple(self.corners.T)] != 0) | (self.own[1][:, 0] <= image.floor))

    @cached_property
    def has_lines_only(self) -> np.ndarray:
        """(window,) whether the shift along one direction cannot be told."""
        out = np.empty(len(self.corners), dtype=np.uint8)
        phase.find_lines(self.source.image.filtered, self.source.valid, self.corners, self.size, out)
        return np.asarray(out != 0)

    def chosen(self, which: np.ndarray, offsets: np.ndarray | None = None) -> Windows:
        """Some of the windows, moved by whole pixels."""
        corners = self.corners[which] if offsets is None else self.corners[which] + offsets
        return Windows(self.source, corners, self.size)


def match_tile(
    images: np.ndarray,
    tile: Tile,
    guide: np.ndarray,
    *,
    pairs: Sequence[Pair],
    lattice: Lattice,
    matcher: Phase,
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
        (field, pair, rows, columns) in the order of FIELDS; pixels.
    """
    rows, columns = tile
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    out = np.empty((len(FIELDS), len(pairs), *shape), dtype=lattice.dtype)
    frame = lattice.frame(tile)
    working = working_dtype(prefilter, lattice.dtype)
    sources = {}
    for date in sorted({date for pair in pairs for date in (pair.reference, pair.secondary)}):
        image = prepare(images[date], frame, lattice.templates, prefilter, working)
        sources[date] = Source(image, _directions(image, matcher))
    candidates = [searching.candidates(guide, pair, tile, lattice) for pair in pairs]
    nodes = np.indices(shape).reshape(2, -1).T
    for batch in _batches(nodes, lattice.template, len(sources) * working.itemsize):
        corners = lattice.margin + batch * lattice.step
        windows = {date: Windows(source, corners, lattice.template) for date, source in sources.items()}
        for k, (pair, where) in enumerate(zip(pairs, candidates, strict=True)):
            is_inside = where.wanted[batch[:, 0], batch[:, 1]]
            centre = np.where(is_inside[:, None], where.centre[batch[:, 0], batch[:, 1]], 0)
            second = windows[pair.secondary]
            if centre.any():
                second = Windows(second.source, corners + centre, second.size)
            flags = np.where(is_inside, 0, bits.OUTSIDE).astype(np.int32)
            found = _match(windows[pair.reference], second, flags, lattice.search[0], matcher)
            found[:2] += centre[:, ::-1].T
            out[:, k, batch[:, 0], batch[:, 1]] = found
    return out


def _batches(nodes: np.ndarray, template: int, bytes_per_pixel: int) -> list[np.ndarray]:
    """Nodes in portions whose spectra, halves of the pixels' and whole ones of the directions, fit in BUFFER."""
    most = max(1, BUFFER // (3 * template**2 * bytes_per_pixel))
    return [nodes[start : start + most] for start in range(0, len(nodes), most)]


def _directions(image: Image, matcher: Phase) -> np.ndarray:
    dtype = np.result_type(image.filtered.dtype, np.complex64)
    if matcher.method == "plane":
        return np.empty((0, 0), dtype=dtype)
    out = np.empty(image.filtered.shape, dtype=dtype)
    phase.orientations(image.filtered, image.valid, image.filtered.dtype.type(image.floor), out)
    return out


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
        phase.find_peaks(_surfaces(first, second, usable, matcher), search, peaks, verdicts)
        out[:7, usable] = _refine(first, second, usable, peaks, verdicts, matcher)
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
    phase.whiten(one, other, matcher.mask, white)
    return np.asarray(scipy.fft.irfft2(white, s=(first.size, first.size), workers=1))


def _refine(
    first: Windows, second: Windows, usable: np.ndarray, peaks: np.ndarray, flags: np.ndarray, matcher: Phase
) -> np.ndarray:
    """(7, window) of FIELDS but the flags, to which bits are added, from peaks as of `phase.find_peaks`."""
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
        is_whole = common[:, 1] == first.size**2
        for which, fit_some in ((np.flatnonzero(is_whole), _fit_whole), (np.flatnonzero(~is_whole), _fit_holed)):
            if which.size:
                shared = spectra[usable[which]], statistics[usable[which], 1]
                some = one.chosen(which), other.chosen(which)
                fit[which], flags[which] = fit_some(some, shared, fractions[which], flags[which], matcher)
    u, v, score, *covariance = fit.T.astype(np.float64)
    return np.stack([u + moved[:, 1], v + moved[:, 0], score, peaks[:, 3], *covariance])


def _fit_surfaces(one: Windows, other: Windows, fractions: np.ndarray, fit: np.ndarray, flags: np.ndarray) -> None:
    """Refine by the surface of orientation correlation; fractions (window, 2) along y and x are replaced."""
    directions = one.source.directions, other.source.directions
    phase.fit_surfaces(*directions, one.corners, other.corners, one.size, fit, flags)
    fractions[:] = np.nan_to_num(fit[:, 1::-1])
    score = np.empty(len(fit), dtype=fit.dtype)
    spectra, _ = one.cut(other, np.zeros_like(fractions))
    phase.scores(spectra, other.cut(one, fractions)[0], fractions, score)
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
    phase.fit_planes(shared[0], shifted, fractions, (matcher.mask, matcher.iterations), shared[1], fit, flags)
    return fit, flags


def _fit_holed(
    windows: tuple[Windows, Windows],
    _: tuple[np.ndarray, np.ndarray],
    fractions: np.ndarray,
    flags: np.ndarray,
    matcher: Phase,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit and flags of windows with holes, which are left out of both.

    Holes do not move with the ground and pull the fraction toward none. So the second window is resampled at the
    present fraction, until none is left.
    """
    one, other = windows
    none = np.zeros_like(fractions)
    spectra, statistics = one.cut(other, none)
    fit = np.empty((len(fractions), 6), dtype=spectra.real.dtype)
    for _round in range(ROUNDS):
        shifted = other.resample(one, fractions)[0]
        options = (matcher.mask, matcher.iterations)
        phase.fit_planes(spectra, shifted, none, options, statistics[:, 1].copy(), fit, flags)
        fractions += np.nan_to_num(fit[:, 1::-1])
        is_far = np.abs(fractions).max(axis=1) > 1.0
        flags |= np.where(is_far, bits.REFINE_FAILED, 0).astype(np.int32)
        fractions[flags != 0] = 0.0
    fit[:, :2] = np.where(flags[:, None] == 0, fractions[:, ::-1], np.nan)
    return fit, flags
