"""Spread and peak of vectors of which some are wrong, from their density: the measures of GLAFT.

Zheng and others 2023, The Cryosphere 17, 4063-4078, https://doi.org/10.5194/tc-17-4063-2023.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from xoffset._kernels.maps.density import density

# Bandwidth of the kernel of Epanechnikov in two dimensions, in units of the spread times n^(-1/6).
RULE_OF_THUMB = 2.1991
# The contour lies where a normal density is at so many standard deviations from its peak.
SIGMAS = 2.0
# Places along each side of the mesh that the density is evaluated on.
MESH = 60
# Vectors that a density needs.
LEAST = 10


class Contour(NamedTuple):
    """Box around the contour of a density at two standard deviations; all NaN of too few vectors, or of equal ones."""

    half_x: float = math.nan
    half_y: float = math.nan
    peak_x: float = math.nan
    peak_y: float = math.nan
    share_outside: float = math.nan


def contour(x: np.ndarray, y: np.ndarray) -> Contour:
    """Box around the contour of the density of vectors (n,), all of them finite.

    A first mesh, three standard deviations to each side of the median, tells how wide the contour is; a second one, so
    wide to each side, gives the result, to one step of the mesh.
    """
    if x.size < LEAST:
        return Contour()
    scale = (float(np.var(x, ddof=1)) * float(np.var(y, ddof=1))) ** 0.25
    if not scale > 0.0:
        return Contour()
    bandwidth = RULE_OF_THUMB * scale * x.size ** (-1.0 / 6.0)
    centre = float(np.median(x)), float(np.median(y))
    low, high, _ = _box(x, y, bandwidth, centre, (SIGMAS + 1.0) * scale)
    low, high, peak = _box(x, y, bandwidth, centre, 0.5 * (high[0] - low[0] + high[1] - low[1]))
    is_inside = (low[0] <= x) & (x <= high[0]) & (low[1] <= y) & (y <= high[1])
    half = 0.5 * (high[0] - low[0]), 0.5 * (high[1] - low[1])
    return Contour(*half, *peak, 1.0 - float(is_inside.mean()))


Place = tuple[float, float]


def _box(x: np.ndarray, y: np.ndarray, bandwidth: float, centre: Place, half: float) -> tuple[Place, Place, Place]:
    """Low corner and high corner of the box around the contour, and the peak, on a mesh around a centre."""
    columns, rows = (np.linspace(middle - half, middle + half, MESH) for middle in centre)
    found = np.empty((MESH, MESH))
    density(x, y, bandwidth, columns, rows, found)
    row, column = np.unravel_index(np.argmax(found), found.shape)
    above = found >= found[row, column] * math.exp(-0.5 * SIGMAS**2)
    across, along = columns[above.any(axis=0)], rows[above.any(axis=1)]
    return (
        (float(across[0]), float(along[0])),
        (float(across[-1]), float(along[-1])),
        (float(columns[column]), float(rows[row])),
    )
