"""Which pixels may be matched: classes that are taken out, with their surroundings, by exact distances."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from xoffset._arrays.scenes.legends import NULL

# Side of the parts that are looked at together, px: what a transform of distances needs stays small.
_PART = 1024
# Distances that differ by less are the same: pixels of a third of a metre have no exact side.
_SAME = 1.0 + 1e-9


@dataclass(frozen=True)
class Outline:
    """Which classes go, and how far their outline moves [m]; `steps` are the sides of a pixel along y and x [m]."""

    kinds: tuple[int, ...]
    closing: float
    opening: float
    buffer: float
    steps: tuple[float, float]

    @property
    def reach(self) -> int:
        """Pixels around each that decide about it."""
        farthest = 2.0 * self.closing + 2.0 * self.opening + self.buffer
        return math.ceil(farthest / min(self.steps)) + 1 if farthest else 0


def usable(classes: np.ndarray, outline: Outline) -> np.ndarray:
    """Pixels (n, rows, columns), boolean, that may be matched. The end of the array is that of the image."""
    is_null = classes == NULL
    is_set = np.isin(classes, outline.kinds)
    if not outline.reach:
        found: np.ndarray = ~(is_set | is_null)
        return found
    out = np.empty(classes.shape, dtype=np.bool_)
    for layer in range(classes.shape[0]):
        for top in range(0, classes.shape[1], _PART):
            for left in range(0, classes.shape[2], _PART):
                first = max(top - outline.reach, 0), max(left - outline.reach, 0)
                wide = tuple(slice(k, k + _PART + 2 * outline.reach) for k in first)
                moved = _moved(is_set[layer][wide], is_null[layer][wide], outline)
                inner = moved[top - first[0] :, left - first[1] :][:_PART, :_PART]
                out[layer, top : top + _PART, left : left + _PART] = ~inner
    out &= ~is_null
    return out


def _moved(is_set: np.ndarray, is_null: np.ndarray, outline: Outline) -> np.ndarray:
    """Outline of a set moved: closed, opened, widened. What is not known, or lies outside, may be of the set."""
    if outline.closing:
        is_set = is_set | _eroded(_dilated(is_set, outline.closing, outline), is_null, outline.closing, outline)
    if outline.opening:
        kept = _eroded(is_set, is_null, outline.opening, outline)
        is_set = is_set & _dilated(kept, outline.opening, outline)
    return _dilated(is_set, outline.buffer, outline) if outline.buffer else is_set


def _dilated(is_set: np.ndarray, radius: float, outline: Outline) -> np.ndarray:
    """Pixels no farther than a radius [m] from one of a set, centre to centre."""
    import scipy.ndimage

    if not is_set.any() or is_set.all():
        return is_set
    distance = scipy.ndimage.distance_transform_edt(~is_set, sampling=outline.steps)
    near: np.ndarray = distance <= radius * _SAME
    return near


def _eroded(is_set: np.ndarray, is_null: np.ndarray, radius: float, outline: Outline) -> np.ndarray:
    """Pixels of a set that are farther than a radius [m] from all that are known not to be of it."""
    return ~_dilated(~(is_set | is_null), radius, outline)
