"""What a tile keeps of each image: its pixels after the pre-filter, and everything that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

import numpy as np

from xoffset._blocks import Tile
from xoffset._kernels import filters, refine, windows

Prefilter = Literal["bandpass"] | None

# Gaussian widths of the band-pass, px, and how far beyond the last pixel used an image must be known: the reach of the
# wider Gaussian, and some pixels for the recursion of the spline to forget where it started.
FINE, COARSE = 0.7, 3.0
MARGIN = 18


@dataclass(frozen=True)
class Image:
    """One image of a tile after the pre-filter; arrays are (height, width) but for those by template size."""

    raw: np.ndarray  # float64, zero where unknown
    known: np.ndarray  # uint8, pixels with a value
    filtered: np.ndarray  # zero where far from any valid pixel
    valid: np.ndarray  # uint8, those that are fit to be matched: the filter had enough known pixels around
    templates: tuple[int, ...]
    floor: float  # variance that a pixel must exceed to be texture and not rounding
    prefilter: Prefilter

    @cached_property
    def coefficients(self) -> np.ndarray:
        """Coefficients of the cubic spline through the filtered pixels."""
        out = np.empty_like(self.filtered)
        filters.spline_coefficients(self.filtered, out)
        return out

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
    def flat(self) -> np.ndarray:
        """Windows that hold one raw value only, by template size and first pixel (size, height, width), uint8."""
        out = np.zeros((len(self.templates), *self.raw.shape), dtype=np.uint8)
        for found, template in zip(out, self.templates, strict=True):
            inner = np.empty([side - template + 1 for side in self.raw.shape], dtype=np.uint8)
            windows.flat_windows(self.raw, self.known, template, inner)
            found[: inner.shape[0], : inner.shape[1]] = inner
        return out

    @cached_property
    def statistics(self) -> np.ndarray:
        """Sum and inverse root spread of windows without holes (size, 2, height, width); the latter is 0 if flat."""
        out = np.zeros((len(self.templates), 2, *self.raw.shape), dtype=self.filtered.dtype)
        # what lies in holes would leave its rounding in the running sums
        pixels = self.filtered * self.valid
        for found, flat, template in zip(out, self.flat, self.templates, strict=True):
            windows.window_sums(pixels, template, self.floor, found[0], found[1])
            found[1][flat != 0] = 0.0
        return out

    @cached_property
    def masked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Known pixels, mask, image and squared image, zero where invalid."""
        mask = self.valid.astype(self.filtered.dtype)
        return self.known.astype(mask.dtype), mask, self.filtered * mask, self.filtered**2 * mask


def prepare(raw: np.ndarray, frame: Tile, templates: tuple[int, ...], prefilter: Prefilter, dtype: np.dtype) -> Image:
    """Filter one image of a tile, NaN where there is no pixel; `frame` is the part inside the image."""
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
    # what the sums of the filters may round to: the band-pass of a pure slope must not pass for texture
    floor = (max(32.0 * float(np.finfo(dtype).eps), 1e-12) * float(peak)) ** 2
    return Image(values, known, filtered, valid, templates, floor, prefilter)


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
def noise_gain(prefilter: Prefilter) -> float:
    """Variance that the pre-filter leaves of white noise of variance 1: the energy of its kernel."""
    if prefilter is None:
        return 1.0
    impulse = np.zeros((2 * MARGIN + 1, 2 * MARGIN + 1))
    impulse[MARGIN, MARGIN] = 1.0
    return float(((_lowpass(impulse, FINE) - _lowpass(impulse, COARSE)) ** 2).sum())
