"""Height errors of a terrain model by the equation, pixel by pixel."""

import numpy as np


def height_error(ends, years, d, look, weight):
    """Height and velocity (3,) of one pixel, and how the height follows each displacement (2, pair), by least squares.

    d (2, pair), look (2, date), weight (pair,).
    """
    pairs = len(ends)
    design, value, root = np.zeros((2 * pairs, 3)), np.zeros(2 * pairs), np.zeros(2 * pairs)
    for p, (i, j) in enumerate(ends):
        for axis in range(2):
            design[2 * p + axis, axis] = years[p]
            design[2 * p + axis, 2] = look[axis, j] - look[axis, i]
            value[2 * p + axis] = d[axis, p]
            root[2 * p + axis] = np.sqrt(weight[p])
    estimator = np.linalg.pinv(root[:, None] * design) * root
    return (estimator @ value)[[2, 0, 1]], estimator[2].reshape(pairs, 2).T


def robust_height_error(ends, years, d, look, variance, steps=50):
    """The same with Huber's loss on lengths of residuals."""
    base = 2.0 / variance.sum(axis=0)
    weight = base.copy()
    for _ in range(steps):
        (height, vx, vy), lever = height_error(ends, years, d, look, weight)
        view = look[:, ends[:, 1]] - look[:, ends[:, 0]]
        rest = d - np.outer([vx, vy], years) - view * height
        length = np.sqrt((rest**2).sum(axis=0) * base)
        scale = np.median(length) / 1.1774100225154747 * np.sqrt(2.0 * len(ends) / (2.0 * len(ends) - 3.0))
        weight = base * np.where(length > 1.856 * scale, 1.856 * scale / length, 1.0)
    return height, lever, scale
