"""The NCC matcher on plain arrays: filter each image of a tile once, then match every pair of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

import numpy as np

from xoffset import model
from xoffset._blocks import Lattice, Tile
from xoffset._kernels import bits, filters, refine, zncc

Prefilter = Literal["bandpass"] | None

# Gaussian widths of the band-pass, px, and how far beyond the last pixel used an image must be known: the reach of the
# wider Gaussian, and some pixels for the recursion of the spline to forget where it started.
FINE, COARSE = 0.7, 3.0
MARGIN = 18
FIELDS = ("dx", "dy", "score", "gap", "variance_dx", "variance_dy", "covariance", "flags")


@dataclass(frozen=True)
class NCC:
    """Masked zero-mean normalised cross-correlation with Gauss-Newton refinement.

    Parameters
    ----------
    min_valid
        Share of a window's pixels that must be valid in both images, above 0, at most 1. Below it a match is NaN and
        flagged `few_valid`.

    Examples
    --------
    >>> import xoffset
    >>> xoffset.NCC(min_valid=0.8)
    NCC(min_valid=0.8)
    """

    min_valid: float = 0.5

    def __post_init__(self) -> None:
        model.check_share(self.min_valid, "min_valid", "NCC")
        if self.min_valid == 0.0:
            raise ValueError("NCC() needs min_valid above 0; got 0. Pass a share such as 0.5.")
        object.__setattr__(self, "min_valid", float(self.min_valid))


@dataclass(frozen=True)
class Image:
    """What a tile keeps of one image; all arrays (height, width)."""

    filtered: np.ndarray  # zero where far from any valid pixel
    known: np.ndarray  # uint8, pixels with a value
    valid: np.ndarray  # uint8, those that are fit to be matched: the filter had enough known pixels around
    coefficients: np.ndarray  # of the cubic spline through `filtered`
    flat: np.ndarray  # uint8, by first pixel of the window
    total: np.ndarray  # window sums of `filtered`, by first pixel of the window
    spread: np.ndarray
    floor: float  # variance that a pixel must exceed to be texture and not rounding
    prefilter: Prefilter

    @cached_property
    def slopes(self) -> np.ndarray:
        """Derivatives along x and y, then the same filtered once more (4, height, width)."""
        out = np.empty((4, *self.filtered.shape), dtype=self.filtered.dtype)
        refine.slopes(self.filtered, out[0], out[1])
        for slope, filtered in zip(out[:2], out[2:], strict=True):
            if self.prefilter is None:
                filtered[:] = slope
            else:
                fine, coarse = (_lowpass(slope, sigma) for sigma in (FINE, COARSE))
                np.subtract(fine, coarse, out=filtered)
        return out

    @cached_property
    def masked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Known pixels, mask, image and squared image, zero where invalid."""
        mask = self.valid.astype(self.filtered.dtype)
        return self.known.astype(mask.dtype), mask, self.filtered * mask, self.filtered**2 * mask


def match_tile(
    images: np.ndarray, tile: Tile, *, pairs: np.ndarray, lattice: Lattice, matcher: NCC, prefilter: Prefilter
) -> np.ndarray:
    """Match all pairs on the nodes of one tile.

    Parameters
    ----------
    images
        (time, height, width) raw values of the tile's window, NaN where there is none.
    tile
        Node rows and columns of the tile.
    pairs
        (pair, 2) indices of reference and secondary.
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
    dtype = lattice.dtype
    out = np.full((len(FIELDS), len(pairs), *shape), np.nan, dtype=dtype)
    out[-1] = bits.OUTSIDE
    inner = lattice.inner(tile)
    if inner is None:
        return out
    first_row, first_column = inner[0].start - rows.start, inner[1].start - columns.start
    nodes = zncc.Nodes(
        rows=inner[0].stop - inner[0].start,
        columns=inner[1].stop - inner[1].start,
        top=lattice.margin + first_row * lattice.step,
        left=lattice.margin + first_column * lattice.step,
        step=lattice.step,
        template=lattice.template,
        search=lattice.search,
        block=math.gcd(lattice.step, lattice.template),
    )
    # unfiltered pixels need float64: where the level varies within a tile it drowns the texture in float32
    working = np.dtype(np.float64) if prefilter is None else dtype
    frame = lattice.frame(tile)
    used = {date: prepare(images[date], frame, lattice.template, prefilter, working) for date in np.unique(pairs)}
    target = out[:, :, first_row : first_row + nodes.rows, first_column : first_column + nodes.columns]
    for k, (reference, secondary) in enumerate(pairs):
        target[:, k] = _match(used[reference], used[secondary], nodes, matcher)
    return out


def prepare(raw: np.ndarray, frame: Tile, template: int, prefilter: Prefilter, dtype: np.dtype) -> Image:
    """Filter one image of a tile and gather what matching asks of it; `frame` is the part inside the image."""
    # in rows, whatever the memory order of the stack: sums follow it
    values = raw.astype(np.float64, order="C")
    finite = np.isfinite(values)
    known = finite.astype(np.uint8)
    values[~finite] = 0.0
    mean = values.sum() / max(int(finite.sum()), 1)
    centred = np.where(finite, values - mean, 0.0)
    # a power of two changes no bit of the result, and keeps products of faint or bright images within float32
    peak, exponent = np.frexp(np.abs(centred).max())
    centred = np.ldexp(centred, -exponent).astype(dtype)
    filtered, valid = (centred, known) if prefilter is None else _bandpass(centred, known, frame)
    coefficients = np.empty_like(filtered)
    filters.spline_coefficients(filtered, coefficients)
    windows = tuple(size - template + 1 for size in raw.shape)
    flat = np.empty(windows, dtype=np.uint8)
    zncc.flat_windows(values, known, template, flat)
    total = np.empty(windows, dtype=dtype)
    spread = np.empty(windows, dtype=dtype)
    # only windows without holes use these sums; what lies in holes would leave its rounding in the running ones
    zncc.window_sums(filtered * valid, template, total, spread)
    # what the sums of the filters may round to: the band-pass of a pure slope must not pass for texture
    floor = (max(32.0 * float(np.finfo(dtype).eps), 1e-12) * float(peak)) ** 2
    return Image(filtered, known, valid, coefficients, flat, total, spread, floor, prefilter)


def _bandpass(centred: np.ndarray, known: np.ndarray, frame: Tile) -> tuple[np.ndarray, np.ndarray]:
    """Difference of two normalised Gaussian low-passes, and the pixels that had enough known ones around."""
    if known.all():
        fine, coarse = (_lowpass(centred, sigma) / _weight_of_window(centred, sigma) for sigma in (FINE, COARSE))
        return fine - coarse, known
    fine, near = _local_level(centred, known, FINE)
    coarse, far = _local_level(centred, known, COARSE)
    is_fit = near[0] >= filters.LEAST_WEIGHT
    is_fit &= _lopsidedness(far, frame) <= filters.LARGEST_OFFSET
    return fine - coarse, known & is_fit.astype(np.uint8)


def _lopsidedness(moments: np.ndarray, frame: Tile) -> np.ndarray:
    """Offset of the centroid of the known pixels that holes cause, in widths of the coarse filter.

    The edge of the image is no hole: a template keeps away from it as far as it is searched for.
    """
    taps = filters.gaussian_taps(COARSE, np.dtype(np.float64))
    lever = taps * (np.arange(taps.size) - taps.size // 2) / COARSE
    of_frame = []
    for size, part in zip(moments.shape[1:], frame, strict=True):
        inside = np.zeros(size)
        inside[part] = 1.0
        weight = np.correlate(inside, taps, mode="same")
        of_frame.append(np.correlate(inside, lever, mode="same") / np.maximum(weight, 1e-6))
    weight = np.maximum(moments[0], 1e-6)
    return np.asarray(np.hypot(moments[1] / weight - of_frame[1], moments[2] / weight - of_frame[0][:, None]))


def _local_level(centred: np.ndarray, known: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Low-pass of an image with holes, and the moments of the known pixels around each."""
    mask = known.astype(centred.dtype)
    taps = filters.gaussian_taps(sigma, np.dtype(np.float64))
    offset = (np.arange(taps.size) - taps.size // 2) / sigma
    powers = [(taps * offset**n).astype(centred.dtype) for n in range(3)]
    rows = np.empty_like(centred)
    moments = np.empty((9, *centred.shape), dtype=centred.dtype)
    terms = [(mask, y, x) for y, x in ((0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0))]
    terms += [(centred, y, x) for y, x in ((0, 0), (0, 1), (1, 0))]
    for moment, (image, along_y, along_x) in zip(moments, terms, strict=True):
        filters.smooth(image, powers[along_y], powers[along_x], rows, moment)
    out = np.empty_like(centred)
    filters.local_level(moments, out)
    return out, moments


def _lowpass(image: np.ndarray, sigma: float) -> np.ndarray:
    out = np.empty_like(image)
    taps = filters.gaussian_taps(sigma, image.dtype)
    filters.smooth(image, taps, taps, np.empty_like(image), out)
    return out


def _weight_of_window(image: np.ndarray, sigma: float) -> np.ndarray:
    """Low-pass of a mask without holes: below 1 near the edges of the window only."""
    taps = filters.gaussian_taps(sigma, np.dtype(np.float64))
    along = [np.convolve(np.ones(size), taps, mode="same") for size in image.shape]
    return np.multiply.outer(*along).astype(image.dtype)


@cache
def _noise_gain(prefilter: Prefilter) -> float:
    """Variance that the pre-filter leaves of white noise of variance 1: the energy of its kernel."""
    if prefilter is None:
        return 1.0
    impulse = np.zeros((2 * MARGIN + 1, 2 * MARGIN + 1))
    impulse[MARGIN, MARGIN] = 1.0
    return float(((_lowpass(impulse, FINE) - _lowpass(impulse, COARSE)) ** 2).sum())


def _match(reference: Image, secondary: Image, nodes: zncc.Nodes, matcher: NCC) -> np.ndarray:
    """Fields of one pair on the inner nodes of a tile."""
    dtype = reference.filtered.dtype
    window = nodes.template**2
    is_masked = not (_is_complete(reference, nodes) and _is_complete(secondary, nodes))
    if is_masked:
        known_a, mask_a, a, square_a = reference.masked
        known_b, mask_b, b, square_b = secondary.masked
        first = np.stack([a, mask_a, a, mask_a, square_a, mask_a, known_a])
        second = np.stack([b, mask_b, mask_b, b, mask_b, square_b, known_b])
        valid = np.stack([reference.valid, secondary.valid])
    else:
        first, second = reference.filtered[None], secondary.filtered[None]
        valid = np.empty((2, 0, 0), dtype=np.uint8)
    flags = np.zeros((nodes.rows, nodes.columns), dtype=np.int32)
    peaks = np.empty((nodes.rows, nodes.columns, 4), dtype=dtype)
    statistics = np.stack([reference.total, reference.spread, secondary.total, secondary.spread])
    flat = np.stack([reference.flat, secondary.flat])
    floor = dtype.type(max(reference.floor, secondary.floor))
    least_valid = math.ceil(matcher.min_valid * window)
    zncc.search(first, second, statistics, flat, nodes, floor, dtype.type(least_valid), peaks, flags)
    refined = np.empty((nodes.rows, nodes.columns, 6), dtype=dtype)
    refine.refine(
        reference.filtered, reference.slopes, dtype.type(_noise_gain(reference.prefilter)), secondary.coefficients,
        valid, nodes, peaks, refined, flags,
    )  # fmt: skip
    u, v, score, variance_x, variance_y, covariance = np.moveaxis(refined, -1, 0)
    return np.stack([u, v, score, peaks[..., 3], variance_x, variance_y, covariance, flags.astype(dtype)])


def _is_complete(image: Image, nodes: zncc.Nodes) -> bool:
    """Whether every pixel that a template or a candidate of these nodes touches is valid."""
    rows, columns = (
        slice(start - nodes.search, start + (count - 1) * nodes.step + nodes.template + nodes.search)
        for start, count in ((nodes.top, nodes.rows), (nodes.left, nodes.columns))
    )
    return bool(image.valid[rows, columns].all())
