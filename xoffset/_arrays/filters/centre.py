"""Pixels as the filters take them: without their mean, in range, known or not."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from xoffset._arrays.filters.options import Log, Prefilter
from xoffset._kernels.images import filters


class Centred(NamedTuple):
    """Pixels of an image that filters can work on."""

    values: np.ndarray  # without the mean and divided by 2**exponent, within ±1; zero where unknown
    known: np.ndarray  # uint8, finite pixels
    peak: float  # largest of the values
    exponent: int


def centre(raw: np.ndarray, dtype: np.dtype) -> Centred:
    """Remove the mean and bring the rest within ±1 by a power of two.

    That changes no bit of what follows, and keeps products of faint or bright images within float32.
    """
    known = np.empty(raw.shape, dtype=np.uint8)
    total = np.empty(raw.shape[1])
    low, high = (np.empty(raw.shape[1], dtype=raw.dtype) for _ in range(2))
    filters.survey(raw, known, total, low, high)
    count = int(np.count_nonzero(known))
    mean = float(total.sum()) / max(count, 1)
    largest = max(float(high.max()) - mean, mean - float(low.min())) if count else 0.0
    peak, exponent = math.frexp(largest)
    values = np.empty(raw.shape, dtype=dtype)
    filters.centre(raw, known, mean, math.ldexp(1.0, -exponent), values)
    return Centred(values, known, peak, exponent)


def brightness(prefilter: Prefilter | None, raw: np.ndarray) -> np.ndarray:
    """Values that the filter works on: logarithms for `Log`, NaN where there is none; else the raw ones."""
    return logarithm(raw, prefilter.level) if isinstance(prefilter, Log) else raw


def logarithm(raw: np.ndarray, level: float) -> np.ndarray:
    """Natural logarithm of raw - level; NaN where that is not positive."""
    above = raw - raw.dtype.type(level)
    return np.asarray(np.log(above, where=(above > 0) & (above < np.inf), out=np.full_like(above, np.nan)))
