"""Slow twins of smoothing, from the equations."""

import numpy as np


def median(field: np.ndarray, size: int) -> np.ndarray:
    """Median of the known values of a square around each known node."""
    radius = size // 2
    out = np.full(field.shape, np.nan)
    for i, j in np.argwhere(np.isfinite(field)):
        around = field[max(i - radius, 0) : i + radius + 1, max(j - radius, 0) : j + radius + 1]
        out[i, j] = np.nanmedian(around)
    return out


def nonlocal_means(fields: list[np.ndarray], size: int, reach: int, steepness: float) -> np.ndarray:
    """Mean of the nodes around each, weighted by how alike their surroundings are; dx, dy and standard errors."""
    dx, dy, sigma_x, sigma_y = fields
    known = np.isfinite(dx) & np.isfinite(dy) & (sigma_x > 0.0) & (sigma_y > 0.0)
    radius = size // 2
    inside = set(map(tuple, np.argwhere(known)))
    out = np.full((2, *dx.shape), np.nan)
    for i, j in inside:
        sums, total = np.zeros(2), 0.0
        for a in range(i - reach, i + reach + 1):
            for b in range(j - reach, j + reach + 1):
                if (a, b) not in inside:
                    continue
                squares = []
                for p in range(-radius, radius + 1):
                    for q in range(-radius, radius + 1):
                        one, two = (i + p, j + q), (a + p, b + q)
                        if one in inside and two in inside:
                            for value, sigma in ((dx, sigma_x), (dy, sigma_y)):
                                squares.append((value[one] - value[two]) ** 2 / (sigma[one] ** 2 + sigma[two] ** 2))
                weight = np.exp(-steepness * max(np.mean(squares) - 1.0, 0.0))
                sums += weight * np.array([dx[a, b], dy[a, b]])
                total += weight
        out[:, i, j] = sums / total
    return out
