"""Slow twins of the image filters: float64 NumPy, pixel by pixel, written from the equations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import reference


def _around(image: np.ndarray, radius: int) -> np.ndarray:
    """Square around each pixel (rows, columns, side, side), NaN beyond the edges."""
    return reference.windows(np.pad(image, radius, constant_values=np.nan), 2 * radius + 1)


def _by_pixel(image: np.ndarray, radius: int, function: Callable[[np.ndarray], float | complex]) -> np.ndarray:
    return np.array([[function(square) for square in row] for row in _around(image, radius)])


def bandpass(raw: np.ndarray, fine: float, coarse: float) -> np.ndarray:
    """Fine minus coarse local plane (fine = 0: the image); NaN where too little or too lopsidedly known."""
    mask = np.isfinite(raw)
    low, support = (np.nan_to_num(raw), mask * 1.0) if fine == 0 else reference.local_plane(raw, fine)[:2]
    high, _, centroid = reference.local_plane(raw, coarse)
    _, _, of_frame = reference.local_plane(np.zeros(raw.shape), coarse)
    is_fit = mask & (support >= 0.5) & (np.hypot(*(centroid - of_frame)) <= 0.35)
    return np.where(is_fit, low - high, np.nan)


def _level(raw: np.ndarray, fine: float) -> np.ndarray:
    """Low-pass, NaN where less than half of its weight is known."""
    if fine == 0:
        return raw
    level, weight, _ = reference.local_plane(raw, fine)
    return np.where(weight >= 0.5, level, np.nan)


def _of_stencil(raw: np.ndarray, fine: float, function: Callable[[np.ndarray], float | complex]) -> np.ndarray:
    def value(square: np.ndarray) -> float | complex:
        return function(square) if np.isfinite(square).all() else np.nan

    return np.where(np.isfinite(raw), _by_pixel(_level(raw, fine), 1, value), np.nan)


def laplacian(raw: np.ndarray, fine: float) -> np.ndarray:
    return _of_stencil(raw, fine, lambda s: s[0, 1] + s[2, 1] + s[1, 0] + s[1, 2] - 4 * s[1, 1])


def _gradient(square: np.ndarray) -> complex:
    """Sobel slope along columns, and along rows as the imaginary part."""
    weights = np.array([1, 2, 1]) / 8
    return complex(weights @ (square[:, 2] - square[:, 0]), weights @ (square[2] - square[0]))


def sobel(raw: np.ndarray, fine: float) -> np.ndarray:
    return _of_stencil(raw, fine, lambda square: abs(_gradient(square)))


def orientation(raw: np.ndarray, fine: float) -> np.ndarray:
    def unit(square: np.ndarray) -> complex:
        slope = _gradient(square)
        return slope / abs(slope) if abs(slope) > 1e-12 * np.abs(square).max() else 0.0

    return _of_stencil(raw, fine, unit)


def naof(raw: np.ndarray, fine: float) -> np.ndarray:
    def angles(s: np.ndarray) -> float:
        along, across, down, up = (2 * s[1, 1] - a - b for a, b in (
            (s[1, 0], s[1, 2]), (s[0, 1], s[2, 1]), (s[0, 0], s[2, 2]), (s[2, 0], s[0, 2]),
        ))  # fmt: skip
        total = 0.0
        for first, second in ((along, across), (down, up)):
            is_flat = max(abs(first), abs(second)) <= 1e-12 * np.abs(s).max()
            angle = 0.0 if is_flat else math.atan2(first, second)
            total += math.cos(angle) + math.sin(angle)
        return total

    return _of_stencil(raw, fine, angles)


def noise(raw: np.ndarray) -> float:
    """Immerkaer's standard deviation of the noise, over the pixels whose neighbours are all known."""
    weights = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    found = [abs((weights * square).sum()) for row in _around(raw, 1) for square in row if np.isfinite(square).all()]
    return math.sqrt(math.pi / 2) / 6 * float(np.mean(found)) if found else 0.0


def wallis(raw: np.ndarray, window: int) -> np.ndarray:
    floor = 2 * noise(raw)

    def score(square: np.ndarray) -> float:
        values = square[np.isfinite(square)]
        centre = square[window // 2, window // 2]
        if np.isnan(centre):
            return np.nan
        spread = np.std(values, ddof=1) if values.size > 1 else 0.0
        return (centre - values.mean()) / max(spread, floor)

    inside = _by_pixel(np.ones(raw.shape), window // 2, np.nansum)
    known = _by_pixel(np.isfinite(raw) * 1.0, window // 2, np.nansum)
    return np.where(known >= inside / 2, _by_pixel(raw, window // 2, score), np.nan)


def rank(raw: np.ndarray, radius: int) -> np.ndarray:
    def share(square: np.ndarray) -> float:
        centre = square[radius, radius]
        others = np.delete(square.ravel(), square.size // 2)
        others = others[np.isfinite(others)]
        return np.nan if others.size == 0 else np.mean((others < centre) + 0.5 * (others == centre))

    inside = _by_pixel(np.ones(raw.shape), radius, np.nansum) - 1
    known = _by_pixel(np.isfinite(raw) * 1.0, radius, np.nansum) - np.isfinite(raw)
    is_fit = np.isfinite(raw) & (known >= inside / 2)
    return np.where(is_fit, _by_pixel(raw, radius, share), np.nan)


def log(raw: np.ndarray, level: float) -> np.ndarray:
    return np.array([[math.log(v - level) if level < v < np.inf else np.nan for v in row] for row in raw])
