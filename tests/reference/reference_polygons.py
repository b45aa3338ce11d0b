"""Places inside polygons by their winding angle: slow, from the definition."""

import numpy as np


def inside(ring: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Whether a ring (n, 2) that does not cross itself goes round places (m, 2): the angles to its corners add up."""
    vectors = ring[np.newaxis] - places[:, np.newaxis]
    angles = np.arctan2(vectors[..., 1], vectors[..., 0])
    turns = np.diff(np.column_stack([angles, angles[:, :1]]), axis=1)
    turns = (turns + np.pi) % (2.0 * np.pi) - np.pi
    return np.abs(turns.sum(axis=1)) > np.pi
