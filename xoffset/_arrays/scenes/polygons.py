"""Polygons on the pixels of a grid: which pixels they hold, and which of several that overlap has a pixel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

# Largest distance between neighbouring points of an outline from which depths are measured [m].
_STEP = 10.0

Ring = np.ndarray  # (vertex, 2), x and y [m]
Polygon = tuple[Ring, ...]  # its outline, then its holes


def covered(polygons: Iterable[Polygon], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pixels whose centres, at even steps `x` and `y`, lie in any of the polygons, boolean (rows, columns).

    Of two polygons with a common edge just one has the centres on it. Rasterio's own way would set filters of warnings,
    which are those of all threads.
    """
    out = np.zeros((len(y), len(x)), dtype=np.bool_)
    # rows and columns in rising order, as views of the same pixels
    rows, columns = (slice(None, None, -1 if places[-1] < places[0] else 1) for places in (y, x))
    rising = out[rows, columns]
    for rings in polygons:
        _add_inside(rings, x[columns], y[rows], rising)
    return out


def _add_inside(rings: Sequence[Ring], x: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    """Set the pixels (rows, columns) at rising places that have an odd number of edges of the rings to their left."""
    start = np.concatenate(rings)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    # an edge reaches from its low end to just below its high one
    first, last = np.searchsorted(y, low), np.searchsorted(y, high)
    edge = np.repeat(np.arange(len(start)), last - first)
    if not edge.size:
        return
    row = np.arange(edge.size) - np.repeat(np.cumsum(last - first) - last, last - first)
    (x0, y0), (x1, y1) = start[edge].T, end[edge].T
    column = np.searchsorted(x, x0 + (y[row] - y0) / (y1 - y0) * (x1 - x0))
    top, left = row.min(), column.min()
    crossed = np.zeros((row.max() + 1 - top, column.max() + 1 - left), dtype=np.uint8)
    np.add.at(crossed, (row - top, column - left), 1)
    # the last column may lie behind the last pixel
    inside = np.add.accumulate(crossed, axis=1, dtype=np.uint8)[:, : len(x) - left] & 1
    out[top : top + inside.shape[0], left : left + inside.shape[1]] |= inside.astype(np.bool_)


def parted(footprints: Mapping[int, Sequence[Polygon]], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Number of the footprint that holds the centre of each pixel, uint8 (rows, columns), 0 where none does.

    Where footprints overlap a pixel is that of the one that reaches deeper, which parts the overlap along its middle;
    of equally deep ones that of the lower number.
    """
    out = np.zeros((len(y), len(x)), dtype=np.uint8)
    for number, polygons in sorted(footprints.items()):
        inside = covered(polygons, x, y)
        twice = inside & (out > 0)
        for other in np.unique(out[twice]):
            rows, columns = np.nonzero(twice & (out == other))
            places = np.stack([x[columns], y[rows]], axis=1)
            stays = ~_is_deeper(polygons, footprints[int(other)], places)
            inside[rows[stays], columns[stays]] = False
        out[inside] = number
    return out


def _is_deeper(first: Sequence[Polygon], second: Sequence[Polygon], places: np.ndarray) -> np.ndarray:
    """Whether places (n, 2) inside two footprints lie further from the edge of the first than from that of the second.

    What both have in common, which is the edge of the tile, is the edge of neither.
    """
    from scipy.spatial import cKDTree

    edges = [_points_of_outline(polygons) for polygons in (first, second)]
    trees = [cKDTree(edge) for edge in edges]
    depths = []
    for edge, other in ((edges[0], trees[1]), (edges[1], trees[0])):
        # points along a line that both have are no further than half a step from each other
        own = edge[other.query(edge)[0] > 0.6 * _STEP]
        depths.append(cKDTree(own).query(places)[0] if own.size else np.full(len(places), np.inf))
    return np.asarray(depths[0] > depths[1])


def _points_of_outline(polygons: Sequence[Polygon]) -> np.ndarray:
    """Points (n, 2) along all outlines, no further apart than the step."""
    points = []
    for ring in (ring for rings in polygons for ring in rings):
        for start, end in pairwise(np.concatenate([ring, ring[:1]])):
            count = max(int(np.ceil(np.hypot(*(end - start)) / _STEP)), 1)
            points.append(start + (end - start) * (np.arange(count) / count)[:, None])
    return np.concatenate(points)
