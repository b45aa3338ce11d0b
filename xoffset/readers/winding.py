"""Rings of outlines: which way they run, which holds which, and which are areas and which are holes."""

from __future__ import annotations

import numpy as np

Ring = np.ndarray  # (n, 2) x and y of its corners
Polygon = list[Ring]  # outline and holes

# Corners of a ring that are looked for in another one, at most, and how far they are drawn towards its inside.
_CORNERS, _DRAWN_IN = 64, 1e-3


def signed_area(ring: Ring) -> float:
    """Area, above 0 if the ring runs counterclockwise."""
    x, y = (ring - ring[0]).T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def directed(polygon: Polygon) -> Polygon:
    """A polygon whose outline runs counterclockwise, and its holes clockwise, from the same corners."""
    return [
        ring if (signed_area(ring) >= 0.0) == (k == 0) else np.roll(ring[::-1], 1, axis=0)
        for k, ring in enumerate(polygon)
    ]


def by_winding(rings: list[Ring]) -> tuple[list[Polygon], int]:
    """Polygons of the rings of a shape of which the direction alone tells what is an area and what is a hole.

    Each ring that runs as the outermost one around it does is an area of its own, wherever it lies; one that runs the
    other way is a hole of the smallest area that holds it. Which way the outermost runs does not matter, since not all
    that write files keep to one. Returns the number of areas that lie in another one, too.
    """
    if len(rings) == 1:
        return [rings], 0
    areas = np.array([signed_area(ring) if len(ring) > 2 else 0.0 for ring in rings])
    boxes = np.array([[*ring.min(axis=0), *ring.max(axis=0)] for ring in rings])
    holders = [_holders(k, rings, areas, boxes) for k in range(len(rings))]
    # from the smallest to the largest of what holds a ring
    is_area = [not held or (areas[k] > 0.0) == (areas[held[-1]] > 0.0) for k, held in enumerate(holders)]
    polygons = {k: [ring] for k, ring in enumerate(rings) if is_area[k]}
    for k, held in enumerate(holders):
        if not is_area[k]:
            polygons[next(each for each in held if is_area[each])].append(rings[k])
    in_others = sum(is_area[k] and bool(held) and is_area[held[0]] for k, held in enumerate(holders))
    return list(polygons.values()), in_others


def _holders(k: int, rings: list[Ring], areas: np.ndarray, boxes: np.ndarray) -> list[int]:
    """Larger rings that hold a ring, or part of it, from the smallest on; of two that are as large the first."""
    own, sizes = boxes[k], np.abs(areas)
    beside = (boxes[:, :2] <= own[2:]).all(axis=1) & (boxes[:, 2:] >= own[:2]).all(axis=1)
    is_larger = (sizes > sizes[k]) | ((sizes == sizes[k]) & (np.arange(len(rings)) < k))
    larger = np.flatnonzero(beside & is_larger)
    if not larger.size or not np.isfinite(rings[k]).all():
        return []
    # a hole that leaks is still one, for the checks to refuse; corners are drawn in, since those of neighbours touch
    inside = place_inside(rings[k])
    corners = rings[k][:: -(-len(rings[k]) // _CORNERS)]
    places = np.concatenate([inside[np.newaxis], corners + _DRAWN_IN * (inside - corners)])
    held = [int(each) for each in larger if holds(rings[each], places).any()]
    return sorted(held, key=lambda each: sizes[each])


def place_inside(ring: Ring) -> np.ndarray:
    """A place inside a ring: on a line between two of its corners, in the middle of the widest stretch inside."""
    heights = np.unique(ring[:, 1])
    gap = int(np.argmax(np.diff(heights))) if heights.size > 1 else 0
    y = 0.5 * (heights[gap] + heights[min(gap + 1, heights.size - 1)])
    start, end = ring, np.roll(ring, -1, axis=0)
    crosses = (start[:, 1] > y) != (end[:, 1] > y)
    if not crosses.any():
        return np.array(ring[0])
    (x0, y0), (x1, y1) = start[crosses].T, end[crosses].T
    x = np.sort(x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    widest = 2 * int(np.argmax(x[1::2] - x[::2]))
    return np.array([0.5 * (x[widest] + x[widest + 1]), y])


def holds(ring: Ring, places: np.ndarray) -> np.ndarray:
    """Whether a ring holds places (n, 2), by the number of its edges west of each."""
    start, end = ring, np.roll(ring, -1, axis=0)
    found = np.zeros(len(places), dtype=np.bool_)
    for k, (x, y) in enumerate(places):
        crosses = (start[:, 1] > y) != (end[:, 1] > y)
        (x0, y0), (x1, y1) = start[crosses].T, end[crosses].T
        found[k] = np.count_nonzero(x0 + (y - y0) / (y1 - y0) * (x1 - x0) <= x) % 2
    return found


def edges_of(polygon: Polygon) -> np.ndarray:
    """Edges (n, 4) of all rings of a polygon."""
    return np.concatenate([np.column_stack([ring, np.roll(ring, -1, axis=0)]) for ring in polygon])
