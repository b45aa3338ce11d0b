"""Angles at the nodes of coarse grids, one a detector of the sensor, on the pixels of a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from xoffset._arrays.scenes import directions

# Rows of pixels whose angles are computed together.
_STRIP = 256


@dataclass(frozen=True)
class AngleGrid:
    """Directions at nodes, unit vectors (rows, columns, 3) to the east, to the north and up, NaN where unknown.

    `x`, `y` are the place of the first node [m], `dx`, `dy` the signed distances between nodes [m].
    """

    x: float
    y: float
    dx: float
    dy: float
    directions: np.ndarray


@dataclass(frozen=True)
class TileAngles:
    """Direction toward the sun, and toward the satellite by number of the detector, for one band."""

    sun: AngleGrid
    views: Mapping[int, AngleGrid]


def filled(grid: AngleGrid) -> AngleGrid:
    """Grid whose nodes without a direction have that of the nearest node that has one.

    Beside it, it is carried on by one node along the plane of all nodes, so that pixels between the last node of a
    detector and its edge go on as they do inside.
    """
    from scipy.ndimage import distance_transform_edt

    is_known = np.isfinite(grid.directions).all(axis=-1)
    if is_known.all() or not is_known.any():
        return grid
    nodes = np.indices(is_known.shape)
    nearest = distance_transform_edt(~is_known, return_distances=False, return_indices=True)
    known = nodes[:, is_known].T
    centred = known - known.mean(axis=0)
    values = grid.directions[is_known]
    slopes = np.linalg.lstsq(centred, values - values.mean(axis=0), rcond=None)[0]
    reach = np.clip(nodes - nearest, -1, 1)
    carried = grid.directions[tuple(nearest)] + np.moveaxis(reach, 0, -1) @ slopes
    return AngleGrid(grid.x, grid.y, grid.dx, grid.dy, np.where(is_known[..., None], grid.directions, carried))


def angles_at(angles: TileAngles, detectors: np.ndarray, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Angles at pixels with centres `x` and `y`, float32 (rows, columns) [degrees], NaN where unknown.

    Each pixel takes the grid of its own detector, and has no view where it has none, or one without a grid.
    """
    names = ("sun_azimuth", "sun_elevation", "view_azimuth", "view_zenith")
    out = {name: np.full((len(y), len(x)), np.nan, dtype=np.float32) for name in names}
    for top in range(0, len(y), _STRIP):
        rows = slice(top, min(top + _STRIP, len(y)))
        numbers = detectors[rows]
        azimuth, zenith = _interpolated(angles.sun, y[rows], x)
        out["sun_azimuth"][rows], out["sun_elevation"][rows] = azimuth, 90.0 - zenith
        for number in np.intersect1d(numbers, list(angles.views)):
            is_seen = numbers == number
            seen_columns = np.flatnonzero(is_seen.any(axis=0))
            columns = slice(seen_columns[0], seen_columns[-1] + 1)
            azimuth, zenith = _interpolated(angles.views[int(number)], y[rows], x[columns])
            for name, values in (("view_azimuth", azimuth), ("view_zenith", zenith)):
                np.copyto(out[name][rows, columns], values, where=is_seen[:, columns], casting="same_kind")
    return out


def _interpolated(grid: AngleGrid, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth, 0 up to 360, and zenith [degrees] at rows and columns of pixels, (rows, columns), NaN beyond the nodes.

    They are those of interpolated unit vectors, since azimuths begin anew at 360.
    """
    top, row, is_row = _between(y, grid.y, grid.dy, grid.directions.shape[0])
    left, column, is_column = _between(x, grid.x, grid.dx, grid.directions.shape[1])
    row = row[:, np.newaxis]
    vectors = []
    for nodes in np.moveaxis(grid.directions, -1, 0):
        along = (1 - column) * nodes[:, left] + column * nodes[:, left + 1]
        vectors.append((1 - row) * along[top] + row * along[top + 1])
    azimuth, zenith = directions.angles(*vectors)
    for values in (azimuth, zenith):
        values[~is_row], values[:, ~is_column] = np.nan, np.nan
    return azimuth, zenith


def _between(places: np.ndarray, start: float, step: float, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Node before each place, the share of the way from it to the next, and whether the place lies among the nodes."""
    at = (places - start) / step
    first = np.clip(np.floor(at).astype(np.int64), 0, count - 2)
    return first, at - first, (at >= 0) & (at <= count - 1)
