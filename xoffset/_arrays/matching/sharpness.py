"""How sharp the peak of the scores is at a match."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.matching.images import Image
from xoffset._arrays.matching.search import Candidates
from xoffset._kernels.matching import peaks, zncc


def curvatures(
    reference: Image,
    secondary: Image,
    nodes: zncc.Nodes,
    candidates: Candidates,
    chosen: np.ndarray,
    found: np.ndarray,
    refined: np.ndarray,
) -> np.ndarray:
    """Second derivatives along x and y (2, rows, columns) at the matches, the sign turned [px⁻²].

    They are those of the cubic spline, not-a-knot, through the scores of the 7 x 7 whole shifts around the best one
    (rows, columns, PEAK_FIELDS), at the refined shift (rows, columns, 6). `chosen` is the index of the window size.
    NaN where there is no match, or the search ends within these shifts.
    """
    away = np.abs(found[..., :2] - candidates.centre)
    is_inside = candidates.wanted & np.isfinite(refined[..., 0]) & (away + peaks.AROUND <= candidates.half).all(axis=-1)
    across = 2 * peaks.AROUND + 1
    scores = np.full((*is_inside.shape, across, across), np.nan)
    for size, template in enumerate(reference.templates):
        wanted = (is_inside & (chosen == size)).astype(np.uint8)
        images = reference.filtered, secondary.filtered, reference.valid, secondary.valid
        peaks.surroundings(*images, nodes.of_size(template), found, wanted, scores)
    right, down = (np.nan_to_num(refined[..., k] - found[..., 1 - k]) for k in range(2))
    along_x = np.einsum("...i,...ij,...j->...", _weights(down, 0), scores, _weights(right, 2))
    along_y = np.einsum("...i,...ij,...j->...", _weights(down, 2), scores, _weights(right, 0))
    return -np.stack([along_x, along_y])


def _weights(place: np.ndarray, derivative: int) -> np.ndarray:
    """Weights (..., 7) of values at whole places for a derivative of the spline through them, at a place beside 0."""
    from scipy.interpolate import CubicSpline

    ends = np.arange(-peaks.AROUND, peaks.AROUND + 1.0)
    weights: np.ndarray = CubicSpline(ends, np.eye(ends.size))(place, derivative)
    return weights
