"""How much the motion differs within a window, from the displacements at the nodes around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from xoffset._arrays.neighbours import moved

# Windows across which displacements that lack are laid in between: ground that is sheared loses its matches, and what
# is left beside them would look as if it moved as one.
FARTHEST = 2.0
# Error of a window by motion that differs within it, as a share of the range of the motion, at most: its texture is
# not even, and where it is strong its motion counts more. In real images (Landsat 8 and Sentinel-2 of ice and rivers,
# aerial photographs) the centre of the squared slopes lies 0.06 to 0.14 of the side from that of the window, root mean
# square, in windows of 16 to 64 px alike; on synthetic ground 1 px.
LARGEST_SHARE = 0.13
# How much the standard errors of matches may be too small where the motion bends within a window.
BENT = 1.5


class Around(NamedTuple):
    """Where the neighbours of a node lie along one axis: so many in each direction, so many nodes apart."""

    radius: int
    lag: int

    @classmethod
    def of(cls, side: float, spacing: float) -> Around:
        """Neighbours that reach to the edges of a window of this side, for nodes this far apart, both in metres."""
        half = 0.5 * side / abs(spacing)
        radius = 2 if half > 1.25 else 1
        return cls(radius, max(1, round(half / radius)))

    @property
    def reach(self) -> int:
        """Nodes to the farthest neighbour."""
        return self.radius * self.lag


def depth(side: float, spacing: tuple[float, float]) -> int:
    """Nodes around each that have a say, for windows of at most this side; spacing along y and x, both in metres."""
    return max(Around.of(side, each).reach + _farthest(side, each) for each in spacing)


def filled(values: np.ndarray, side: float, spacing: tuple[float, float]) -> np.ndarray:
    """Displacements (rows, columns) with those that lack between others laid on straight lines between these.

    Along rows and along columns, and the mean of both; over FARTHEST windows at most. NaN where none lie on both sides.
    """
    along = [_between(values, _farthest(side, each), axis) for axis, each in enumerate(spacing)]
    rows, columns = (np.where(np.isnan(one), other, one) for one, other in (along, along[::-1]))
    return np.asarray(np.where(np.isnan(values), 0.5 * (rows + columns), values))


def squared_range(
    values: np.ndarray, sigma: np.ndarray, side: float, spacing: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Square of the range of a component of the motion within windows, and the part of it that noise makes.

    The range of motion that changes evenly is its gradient times the side of the window. Here it is that which makes
    the mean square of the differences from the nodes up to half a window away.

    Parameters
    ----------
    values, sigma
        (rows, columns) displacement at the middle of windows, and its standard error; NaN where there is none.
        Standard errors that are unknown count as those of no error.
    side, spacing
        Side of the windows, and distance of the nodes along y and x, in one unit.

    Returns
    -------
    square, noise
        (rows, columns) in the square of the unit of `values`, not less than zero. Windows that share pixels share
        their noise by the share of their area. NaN where there is no displacement, or none around it.
    """
    here, error = filled(values, side, spacing), np.nan_to_num(sigma) ** 2
    error = np.where(np.isnan(values), np.nan, error)
    differences, noise, distances = np.zeros((3, *values.shape))
    for step in _steps(side, spacing):
        away = np.array(step) * spacing
        difference = moved(here, *step) - here
        is_there = ~np.isnan(difference)
        there = moved(error, *step)
        alike = max(1.0 - abs(away[0]) / side, 0.0) * max(1.0 - abs(away[1]) / side, 0.0)
        differences += np.where(is_there, difference**2, 0.0)
        # what lies between others is taken to be known like the node itself
        noise += np.where(is_there, (error + np.where(np.isnan(there), error, there)) * (1.0 - alike), 0.0)
        distances += np.where(is_there, away @ away, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(np.isnan(values), np.nan, 2.0 * side**2 / distances)
        return np.where(distances > 0.0, scale * differences, np.nan), np.where(distances > 0.0, scale * noise, np.nan)


def squared_ranges(
    vectors: tuple[np.ndarray, np.ndarray],
    errors: tuple[np.ndarray, np.ndarray],
    sides: np.ndarray | float,
    spacing: tuple[float, float],
) -> np.ndarray:
    """Squared ranges of both components, and the parts of them that noise makes (2, component, rows, columns).

    As of `squared_range`, with windows of several sides (rows, columns); NaN where the side is.
    """
    out = np.full((2, 2, *vectors[0].shape), np.nan)
    every = np.broadcast_to(np.asarray(sides, dtype=np.float64), vectors[0].shape)
    for side in np.unique(every[np.isfinite(every)]):
        for component, (values, sigma) in enumerate(zip(vectors, errors, strict=True)):
            found = squared_range(values, sigma, float(side), spacing)
            out[:, component] = np.where(every == side, found, out[:, component])
    return out


def share(variances: np.ndarray, square: np.ndarray) -> np.ndarray:
    """Error of each window as a share of the range of the motion within it (rows, columns), from those of its pairs.

    variances, square (pair, rows, columns): of the errors of a component, by noise and by motion that differs, and
    squared range of the motion; NaN where unknown. All pairs see the same texture, so that the share is theirs all.
    """
    is_known = np.isfinite(variances) & np.isfinite(square)
    error, span = (np.where(is_known, each, 0.0).astype(np.float64).sum(axis=0) for each in (variances, square))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.sqrt(error / span)
    return np.asarray(np.fmin(BENT * found, LARGEST_SHARE))


def _steps(side: float, spacing: tuple[float, float]) -> Iterator[tuple[int, int]]:
    """Rows and columns to each neighbour."""
    down, right = (Around.of(side, each) for each in spacing)
    for i in range(-down.radius, down.radius + 1):
        for j in range(-right.radius, right.radius + 1):
            if i or j:
                yield i * down.lag, j * right.lag


def _farthest(side: float, spacing: float) -> int:
    return max(1, round(FARTHEST * side / abs(spacing)))


def _between(values: np.ndarray, farthest: int, axis: int) -> np.ndarray:
    """Values on straight lines along an axis between the nearest on both sides, so many nodes apart at most."""
    ends, distances = np.full((2, *values.shape), np.nan), np.full((2, *values.shape), np.inf)
    for k in range(1, farthest):
        for end, sign in enumerate((-1, 1)):
            there = moved(values, *(sign * k * np.eye(2, dtype=int)[axis]))
            is_first = np.isnan(ends[end]) & ~np.isnan(there)
            ends[end][is_first], distances[end][is_first] = there[is_first], k
    before, after = distances
    with np.errstate(invalid="ignore"):
        laid = (after * ends[0] + before * ends[1]) / (before + after)
    return np.where(before + after <= farthest, laid, np.nan)
