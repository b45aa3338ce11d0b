"""Known motion planted into real images by whole pixels, so that nothing is interpolated, and how much comes back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.ndimage

# Share of the half width of a band that moves as one; beyond it the motion fades.
PLATEAU = 0.7
# Share of the planted motion from which on a place counts as moved by it.
MOVED = 0.9
# Farthest that a found displacement may lie from the planted one: in pixels, and as a share of it.
OFF, OFF_SHARE = 0.5, 0.25
# Spread of a normal distribution over its median absolute deviation.
_TO_SIGMA = 1.4826
# Steps that find where a place has moved to.
_STEPS = 20


def band(side: int, width: float, moved: int, angle: float) -> np.ndarray:
    """Displacement in whole pixels (2, side, side), along rows and columns, of a band that slides along itself.

    The band runs through the middle from edge to edge, at `angle` [radian] from the columns towards larger rows, and is
    `width` pixels wide; its inner part moves by `moved` pixels, less and less so toward its sides. The displacement is
    that of what is seen at a pixel afterwards. Within `moved` pixels of the edges what is seen comes from the edge.
    """
    y, x = np.indices((side, side)) - 0.5 * (side - 1)
    share = _faded(np.abs(y * np.cos(angle) - x * np.sin(angle)) / (0.5 * width))
    toward = np.array([np.sin(angle), np.cos(angle)])[:, None, None]
    return np.asarray(np.rint(moved * share * toward), dtype=np.int64)


def _faded(distance: np.ndarray) -> np.ndarray:
    """Share of the motion by the distance from the middle, in half widths."""
    phase = np.clip((distance - PLATEAU) / (1.0 - PLATEAU), 0.0, 1.0)
    return np.asarray(np.cos(0.5 * np.pi * phase) ** 2)


def plant(image: np.ndarray, field: np.ndarray) -> np.ndarray:
    """The image (side, side) with its pixels moved by the field of `band`, each taken from one pixel."""
    rows, columns = _at(np.indices(image.shape) - field)
    return np.asarray(image[rows, columns])


def reached(field: np.ndarray) -> np.ndarray:
    """Displacement (2, side, side) of what was at a pixel before, of a field of what is seen at a pixel afterwards."""
    start = np.indices(field.shape[1:])
    found = np.zeros_like(field)
    for _ in range(_STEPS):
        rows, columns = _at(start + found)
        before, found = found, field[:, rows, columns]
        if np.array_equal(before, found):
            break
    return found


def _at(place: np.ndarray) -> np.ndarray:
    """Rows and columns within the image."""
    return np.asarray(np.clip(place, 0, np.array(place.shape[1:])[:, None, None] - 1))


def widest(is_moving: np.ndarray) -> float:
    """Width [px] of the widest place that is not stable: twice the largest distance to ground that is; 0 if none is."""
    if not is_moving.any() or is_moving.all():
        return 0.0
    return float(2.0 * scipy.ndimage.distance_transform_edt(is_moving).max())


class Scores(NamedTuple):
    """What a way to match makes of ground that stands still and of planted motion."""

    spread: float
    coverage: float
    retention: float
    found: float


def scores(
    still: np.ndarray, moved: np.ndarray, truth: np.ndarray, is_stable: np.ndarray, scale: np.ndarray, pixel: float
) -> Scores:
    """Scores of displacements (2, n, rows, columns) [m] of maps without and with planted motion.

    `truth` is the motion that was planted, `is_stable` (n, rows, columns) where the ground stands still, and `scale`
    (n) what a displacement of the map is divided by, such as its baseline in years. `spread`: that of stable ground
    about the median of its map, in metres over the scale, both components together (NMAD). `coverage`: share of the
    stable nodes with a value. `found`: share of the nodes in the planted motion with a displacement less than half a
    pixel or a quarter of the motion off. `retention`: median share of the planted motion that values there show. What
    the ground does without the planted motion is taken off first. NaN where nothing tells.
    """
    is_known = np.isfinite(still).all(axis=0)
    deviations = []
    background = np.zeros_like(still)
    for k in range(still.shape[1]):
        here = is_known[k] & is_stable[k]
        middle = np.median(still[:, k, here], axis=1) if here.any() else np.zeros(2)
        deviations.append(np.abs(still[:, k, here] - middle[:, None]).ravel() / scale[k])
        background[:, k] = np.where(is_known[k], still[:, k], middle[:, None, None])
    length = np.hypot(*truth)
    largest = length.max(axis=(1, 2), keepdims=True)
    is_planted = (length > 0.0) & (length >= MOVED * largest)
    shown = moved - background
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (shown * truth).sum(axis=0) / length**2
        off = np.hypot(*(shown - truth))
    is_right = off <= np.maximum(OFF * pixel, OFF_SHARE * length)
    every = np.concatenate(deviations)
    has_value = is_planted & np.isfinite(share)
    return Scores(
        spread=_TO_SIGMA * float(np.median(every)) if every.size else np.nan,
        coverage=float(is_known[is_stable].mean()) if is_stable.any() else np.nan,
        retention=float(np.median(share[has_value])) if has_value.any() else np.nan,
        found=float(is_right[is_planted].mean()) if is_planted.any() else np.nan,
    )
