"""Slope, aspect and shadows of terrain, slowly and from their definitions."""

import numpy as np


def horn(heights: np.ndarray, along_x: float, along_y: float) -> tuple[np.ndarray, np.ndarray]:
    """Slope and direction of descent [degree] pixel by pixel; NaN where a neighbour is missing."""
    slope, aspect = np.full((2, *heights.shape), np.nan)
    weights = np.array([1.0, 2.0, 1.0]) / 8.0
    for row in range(1, heights.shape[0] - 1):
        for column in range(1, heights.shape[1] - 1):
            around = heights[row - 1 : row + 2, column - 1 : column + 2].astype(np.float64)
            if np.isfinite(around).all():
                x = weights @ (around[:, 2] - around[:, 0]) / along_x
                y = weights @ (around[2] - around[0]) / along_y
                slope[row, column] = np.degrees(np.arctan(np.sqrt(x**2 + y**2)))
                if x or y:
                    aspect[row, column] = np.degrees(np.arctan2(-x, -y)) % 360.0
    return slope, aspect


def shadows(
    heights: np.ndarray, azimuth: float, elevation: float, along_x: float, along_y: float, step: float
) -> np.ndarray:
    """Whether the straight line toward the sun runs below the bilinear terrain, looked at every so many metres."""
    rows, columns = np.mgrid[: heights.shape[0], : heights.shape[1]].astype(np.float64)
    found = np.zeros(heights.shape, bool)
    top = np.nanmax(heights)
    distance = 0.0
    while distance * np.tan(np.radians(elevation)) <= top - np.nanmin(heights):
        distance += step
        row = rows + distance * np.cos(np.radians(azimuth)) / along_y
        column = columns + distance * np.sin(np.radians(azimuth)) / along_x
        # rounding must not put a ray along the edge outside
        row, column = (np.where(np.abs(each - np.rint(each)) < 1e-6, np.rint(each), each) for each in (row, column))
        inside = (row >= 0) & (row <= heights.shape[0] - 1) & (column >= 0) & (column <= heights.shape[1] - 1)
        r, c = row[inside], column[inside]
        r0, c0 = np.minimum(r.astype(int), heights.shape[0] - 2), np.minimum(c.astype(int), heights.shape[1] - 2)
        fr, fc = r - r0, c - c0
        land = (1 - fr) * ((1 - fc) * heights[r0, c0] + fc * heights[r0, c0 + 1])
        land += fr * ((1 - fc) * heights[r0 + 1, c0] + fc * heights[r0 + 1, c0 + 1])
        found[inside] |= land > heights[inside] + distance * np.tan(np.radians(elevation))
    return found
