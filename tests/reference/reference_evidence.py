"""Slow twins of the evidence that independent neighbours make."""

from __future__ import annotations

import numpy as np


def likelihood(chance):
    """Likelihood ratio of a false alarm, unknown ones as likely as can be."""
    p = np.clip(np.where(np.isnan(chance), 0.999, chance), 1e-12, 0.999).astype(np.float64)
    return (1 - p + p * np.log(p)) / (p * np.log(p) ** 2)


def around(row, column, shape, stride):
    """Number and place of each neighbour of a node that is on the grid, at one and two strides."""
    away = [(i, j) for i in range(-2, 3) for j in range(-2, 3) if (i, j) != (0, 0)]
    for k, (i, j) in enumerate(away):
        place = row + i * stride, column + j * stride
        if all(0 <= at < size for at, size in zip(place, shape, strict=True)):
            yield k, place


def evidence(dx, dy, variance, weight, floors, area, largest, stride):
    """Mean over three shares of right neighbours of the product of 1 - share + share·ratio."""
    out = np.empty(dx.shape)
    for here in np.ndindex(*dx.shape):
        products = np.ones(3)
        for k, there in around(*here, dx.shape, stride):
            if weight[there] < 0:
                continue
            wide = 2 * (variance[here] + variance[there]) + floors[k]
            apart = (dx[here] - dx[there]) ** 2 + (dy[here] - dy[there]) ** 2
            density = 1 / (np.pi * wide) / (1 + apart / wide) ** 2
            ratio = min(area * density * weight[there], largest)
            shares = np.array([0.2, 0.4, 0.8])
            products *= 1 - shares + shares * ratio
        out[here] = products.mean()
    return out


def strays(dx, dy, sigma, is_weak, stride, pixel):
    """Weak vectors 0.4 or 0.85 to 3.5 px beside a plane through the neighbours about their vector median."""
    out = np.zeros(dx.shape, dtype=bool)
    known = np.isfinite(dx) & np.isfinite(dy)
    for here in np.argwhere(is_weak > 0):
        here = tuple(here)
        places = [place for _, place in around(*here, dx.shape, stride) if known[place]]
        if not places:
            continue
        vectors = np.array([(dx[place], dy[place]) for place in places])
        apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
        median = vectors[np.argmin(apart.sum(axis=1))]
        distances = np.sort(np.linalg.norm(vectors - median, axis=1))
        spread = distances[(len(places) - 1) // 2]
        noise = np.median([sigma[place] for place in places])
        relative = ((vectors - median) ** 2).sum(axis=1) / max(spread, noise) ** 2
        weights = np.where(relative < 9, 1 / (1 + relative) ** 2, 0)
        offsets = (np.array(places) - np.array(here)) / stride
        design = np.column_stack([np.ones(len(places)), offsets])
        # slopes are drawn to zero, with the weight of one neighbour at one node
        normal = design.T @ (weights[:, None] * design) + np.diag([0, 1, 1])
        plane = np.linalg.solve(normal, design.T @ (weights[:, None] * vectors))
        squares = (weights[:, None] * vectors * (vectors - design @ plane)).sum()
        far = np.hypot(*(np.array([dx[here], dy[here]]) - plane[0]))
        excess = max(np.sqrt(max(squares, 0) / weights.sum()) - np.sqrt(2) * noise, 0)
        near = min(0.4 * pixel + 2 * noise, 0.85 * pixel)
        allowed = max(2 * excess, min(4 * np.hypot(noise, sigma[here]), near))
        out[here] = allowed < far < 3.5 * pixel
    return out
