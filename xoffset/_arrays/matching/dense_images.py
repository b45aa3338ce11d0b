"""Images as dense matchers take them: pre-filtered, of even contrast, and where they are known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.ndimage

from xoffset._arrays.filters import apply, centre, noise, options
from xoffset._arrays.filters.options import Bandpass, Highpass, Laplacian, Log, Prefilter
from xoffset._arrays.lattice import Tile
from xoffset._arrays.matching.images import COARSE, LIKENESS
from xoffset._kernels.images import filters, windows
from xoffset._kernels.matching import refine
from xoffset._kernels.matching.residuals import box

# Side of the window whose contrast a pixel is divided by, px.
EVEN = 31
# Pixels that a slope is taken from.
STENCIL = np.array([[0, 0, 1, 0, 0], [0, 0, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 1, 0, 0], [0, 0, 1, 0, 0]], dtype=bool)
# Least contrast, as a part of the mean one: what is smoother stays faint.
LEAST_CONTRAST = 1e-3
# Variance of a window of even contrast that has none.
LEAST_VARIANCE = 1e-6
# What sums of filters may round to, as a part of the largest pixel.
ROUNDING = 32.0 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Even:
    """One image of a tile whose contrast is alike everywhere; arrays are (height, width), float32 if not said else."""

    values: np.ndarray  # of about zero mean and unit variance, zero where not valid
    weight: np.ndarray  # 1 where the pre-filter knew enough, else 0
    raw: np.ndarray  # as read, NaN where unknown
    known: np.ndarray  # uint8, pixels with a value
    frame: Tile  # the part inside the image
    window: int  # side of the windows that are judged, px
    least: float  # variance of a window that is no more than rounding
    reach: int  # distance over which the pre-filter lets pixels be alike, px; 0 without one

    @cached_property
    def coefficients(self) -> np.ndarray:
        """Coefficients of the cubic spline through the pixels."""
        out = np.empty_like(self.values)
        filters.spline_coefficients(self.values, out)
        return out

    @cached_property
    def slopes(self) -> np.ndarray:
        """The pixels, their derivatives along x and along y (3, height, width)."""
        out = np.empty((3, *self.values.shape), dtype=np.float32)
        out[0] = self.values
        refine.slopes(self.values, out[1], out[2])
        if not self.weight.all():
            # what lies beside a hole has the slope of its edge, which stays where it is
            out[1:] *= scipy.ndimage.minimum_filter(self.weight, footprint=STENCIL, mode="constant")
        return out

    @cached_property
    def counts(self) -> np.ndarray | None:
        """Known pixels of the windows by first pixel (rows, columns) int32; None if there are no holes."""
        if self.known.all():
            return None
        sums = np.zeros((self.known.shape[0] + 1, self.known.shape[1] + 1), dtype=np.int32)
        np.cumsum(np.cumsum(self.known, axis=0, dtype=np.int32), axis=1, out=sums[1:, 1:])
        n = self.window
        return np.asarray(sums[n:, n:] - sums[:-n, n:] - sums[n:, :-n] + sums[:-n, :-n])

    @cached_property
    def flat(self) -> np.ndarray | None:
        """Windows that hold one value only, by first pixel (rows, columns) uint8; None if there is none."""
        raw, known = (np.ascontiguousarray(array[self.frame]) for array in (self.raw, self.known))
        n = self.window
        if min(raw.shape) < n or (known.all() and windows.has_texture(raw, n)):
            return None
        out = np.zeros([size - n + 1 for size in self.raw.shape], dtype=np.uint8)
        inner = np.empty([size - n + 1 for size in raw.shape], dtype=np.uint8)
        windows.flat_windows(raw, known, n, inner)
        top, left = (part.start for part in self.frame)
        out[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
        return out


def prepare(raw: np.ndarray, frame: Tile, prefilter: Prefilter | None, window: int, *, is_even: bool = True) -> Even:
    """Filter one image of a tile, NaN where there is no pixel; `frame` is the part inside the image.

    If not `is_even`, the contrast stays as uneven as it is, and only the image as a whole has unit variance.
    """
    raw = np.ascontiguousarray(raw)
    # what lies beyond the image is no hole
    inner = np.ascontiguousarray(raw[frame])
    whole: Tile = (slice(0, inner.shape[0]), slice(0, inner.shape[1]))
    filtered, valid, peak, reach = inner, np.zeros(inner.shape, dtype=np.uint8), 0.0, 0
    known = valid
    if inner.size:
        filtered, known, peak, _ = centre.centre(centre.brightness(prefilter, inner), np.dtype(np.float32))
        valid = known
        if prefilter is not None:
            settled = noise.settle(prefilter, filtered, known, window)
            filtered, valid = apply.apply(settled, filtered, known, whole)
            reach = math.ceil(LIKENESS * getattr(settled, "coarse", COARSE))
    weight = valid.astype(np.float32)
    is_level = isinstance(prefilter, (Bandpass, Highpass, Laplacian, Log))
    if is_even:
        values, least = _even(filtered, weight, is_level=is_level), LEAST_VARIANCE
    else:
        rounding = ROUNDING * peak if options.keeps_units(prefilter) else apply.LEAST_TEXTURE
        values, least = _scaled(filtered, weight, rounding)
    beyond = [(part.start, size - part.stop) for part, size in zip(frame, raw.shape, strict=True)]
    if any(map(any, beyond)):
        values, weight, known = (np.pad(each, beyond) for each in (values, weight, known))
    return Even(values, weight, raw, known, frame, window, least, reach)


def _scaled(filtered: np.ndarray, weight: np.ndarray, rounding: float) -> tuple[np.ndarray, float]:
    """Pixels without their mean, over their root mean square, and the variance that rounding has then."""
    count = max(float(np.count_nonzero(weight)), 1.0)
    pixels = filtered * weight
    pixels -= np.float32(pixels.sum(dtype=np.float64) / count) * weight
    power = float(np.square(pixels).sum(dtype=np.float64)) / count
    pixels *= np.float32(1.0 / math.sqrt(power + 1e-30))
    return np.asarray(pixels), rounding**2 / (power + 1e-30)


def _even(filtered: np.ndarray, weight: np.ndarray, *, is_level: bool) -> np.ndarray:
    """Pixels over the root mean square of those around; if not `is_level`, without the mean of these first."""
    pixels = filtered * weight
    count, power = np.empty_like(pixels), np.empty_like(pixels)
    box(weight, EVEN, count)
    np.maximum(count, np.float32(1.0), out=count)
    if not is_level:
        level = np.empty_like(pixels)
        box(pixels, EVEN, level)
        pixels = (pixels - level / count) * weight
    box(pixels * pixels, EVEN, power)
    power /= count
    mean = float(power[weight > 0].mean(dtype=np.float64)) if weight.any() else 0.0
    power += np.float32(LEAST_CONTRAST * mean + 1e-30)
    np.sqrt(power, out=power)
    pixels /= power
    return np.asarray(pixels)
