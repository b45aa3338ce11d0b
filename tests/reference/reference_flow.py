"""Optical flow of windows, written from its equations, one block at a time."""

from __future__ import annotations

import numpy as np
import scipy.ndimage


def gather(images, weight, second, known, origin, field, factor, limit):
    """Equations (5, rows, columns) of blocks of 2x2 pixels and sums of product, squared residual and known pixels."""
    rows, columns = field.shape[1:]
    system, seen = np.zeros((5, rows, columns)), np.zeros((3, rows, columns))
    for row, column in np.ndindex(rows, columns):
        d = field[:, row, column].astype(np.float64)
        for y, x in ((2 * row + i, 2 * column + j) for i in range(2) for j in range(2)):
            at = origin[0] + y + d[1], origin[1] + x + d[0]
            low = np.floor(at).astype(int)
            first = np.floor([origin[0] + 2 * row + d[1], origin[1] + 2 * column + d[0]])
            if (first < 1).any() or (first + 4 > np.array(second.shape)).any():
                continue
            fit = weight[y, x] * known[low[0] : low[0] + 2, low[1] : low[1] + 2].min()
            value = scipy.ndimage.map_coordinates(second, [[at[0]], [at[1]]], order=3, mode="mirror")[0]
            e = images[0, y, x] - factor[0, row, column] * value
            g = images[1:, y, x].astype(np.float64)
            w = fit * factor[1, row, column] * min(1.0, limit / max(abs(e), 1e-9))
            j = w * np.outer(g, g)
            r = w * g * (g @ d + e)
            system[:, row, column] += [j[0, 0], j[0, 1], j[1, 1], *r]
            seen[:, row, column] += [fit * images[0, y, x] * value, fit * e * e, fit]
    return system, seen


def matrices(sums):
    """J (rows, columns, 2, 2) and r (rows, columns, 2) of equations (5, rows, columns)."""
    xx, xy, yy, rx, ry = sums.astype(np.float64)
    return np.moveaxis(np.array([[xx, xy], [xy, yy]]), (0, 1), (-2, -1)), np.stack([rx, ry], axis=-1)


def solve(sums, damping, field):
    """Solution (2, rows, columns) of (J + damping) d = r + damping·d."""
    j, r = matrices(sums)
    right = r + damping * np.moveaxis(field.astype(np.float64), 0, -1)
    return np.moveaxis(np.linalg.solve(j + damping * np.eye(2), right[..., None])[..., 0], -1, 0)
