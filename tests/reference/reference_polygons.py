"""Places inside polygons by their winding angle: slow, from the definition."""

import numpy as np


def inside(ring: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Whether a ring (n, 2) that does not cross itself goes round places (m, 2): the angles to its corners add up."""
    vectors = ring[np.newaxis] - places[:, np.newaxis]
    angles = np.arctan2(vectors[..., 1], vectors[..., 0])
    turns = np.diff(np.column_stack([angles, angles[:, :1]]), axis=1)
    turns = (turns + np.pi) % (2.0 * np.pi) - np.pi
    return np.abs(turns.sum(axis=1)) > np.pi


def distance(ring: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Distance of places (m, 2) from the edges of a ring (n, 2)."""
    found = np.full(len(places), np.inf)
    for start, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        way = end - start
        share = np.clip((places - start) @ way / (way @ way), 0.0, 1.0)
        found = np.minimum(found, np.hypot(*(places - start - share[:, None] * way).T))
    return found


def runs_twice(rings: list[np.ndarray]) -> bool:
    """Whether rings along the lines of a lattice run along a side of it more often one way than the other by two."""
    net: dict[tuple[float, ...], int] = {}
    for ring in rings:
        for start, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            way = np.sign(end - start)
            for k in range(int(np.abs(end - start).max())):
                middle = tuple((start + (k + 0.5) * way).tolist())
                net[middle] = net.get(middle, 0) + int(way.sum())
    return any(abs(count) > 1 for count in net.values())
