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
# Pixels that are more than any distance that is asked for.
_FAR = 32767


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
    """Pixels no farther than a radius [m] from one of a set, centre to centre: a disc, row by row of it."""
    if not is_set.any() or is_set.all():
        return is_set
    beside = _in_row(is_set)
    out = np.zeros_like(is_set)
    rows = is_set.shape[0]
    for k in range(min(int(radius * _SAME / outline.steps[0]) + 1, rows)):
        width = math.sqrt(max((radius * _SAME) ** 2 - (k * outline.steps[0]) ** 2, 0.0)) / outline.steps[1]
        is_near = beside <= min(int(width), _FAR - 1)
        out[k:] |= is_near[: rows - k]
        out[: rows - k] |= is_near[k:]
    return out


def _in_row(is_set: np.ndarray) -> np.ndarray:
    """Columns to the nearest pixel of a set in the same row, int16; _FAR where there is none so near."""
    column = np.arange(is_set.shape[1], dtype=np.int32)
    before = np.maximum.accumulate(np.where(is_set, column, np.int32(-_FAR)), axis=1)
    after = np.minimum.accumulate(np.where(is_set, column, np.int32(2 * _FAR))[:, ::-1], axis=1)[:, ::-1]
    return np.minimum(np.minimum(column - before, after - column), _FAR).astype(np.int16)


def _eroded(is_set: np.ndarray, is_null: np.ndarray, radius: float, outline: Outline) -> np.ndarray:
    """Pixels of a set that are farther than a radius [m] from all that are known not to be of it."""
    return ~_dilated(~(is_set | is_null), radius, outline)
