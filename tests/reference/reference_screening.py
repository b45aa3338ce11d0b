"""Slow twins of the stages of screen(): float64 NumPy, vector by vector, written from the equations."""

from __future__ import annotations

import math

import numpy as np


def around(field: np.ndarray, row: int, column: int, radius: int, *, with_centre: bool) -> np.ndarray:
    """Known values of the square around a node."""
    found = []
    for i in range(row - radius, row + radius + 1):
        for j in range(column - radius, column + radius + 1):
            is_there = 0 <= i < field.shape[0] and 0 <= j < field.shape[1]
            if is_there and (with_centre or (i, j) != (row, column)) and np.isfinite(field[i, j]):
                found.append(field[i, j])
    return np.array(found)


def median_and_spread(field: np.ndarray, radius: int, *, with_centre: bool) -> np.ndarray:
    """Median, median distance from it and number of the values around each node (3, rows, columns)."""
    out = np.full((3, *field.shape), np.nan)
    for node in np.ndindex(field.shape):
        values = around(field, *node, radius, with_centre=with_centre)
        out[2][node] = values.size
        if values.size:
            out[0][node] = np.median(values)
            out[1][node] = np.median(np.abs(values - np.median(values)))
    return out


def ndc(dx: np.ndarray, dy: np.ndarray, tolerance: float, near: float) -> np.ndarray:
    """Which vectors the filter of autoRIFT keeps."""
    fields = np.array([dx, dy])
    keep = np.ones(dx.shape, bool)
    for _ in range(3):
        counts = np.zeros(fields.shape)
        for k in range(2):
            for node in np.ndindex(dx.shape):
                values = around(fields[k], *node, 2, with_centre=True)
                counts[k][node] = (np.abs(values - fields[k][node]) < tolerance).sum()
        keep = (counts >= 8.0 / 25.0 * 5**2).all(axis=0)
        fields = np.where(keep, fields, np.nan)
    for _ in range(2):
        for k in range(2):
            median, spread, _ = median_and_spread(fields[k], 2, with_centre=True)
            keep &= np.abs(fields[k] - median) <= np.fmax(4.0 * spread, near)
        fields = np.where(keep, fields, np.nan)
    return keep


def passes_median_test(dx: np.ndarray, dy: np.ndarray, noise: float, largest: float) -> np.ndarray:
    out = np.zeros(dx.shape, bool)
    for node in np.ndindex(dx.shape):
        nodes = around(np.zeros(dx.shape), *node, 1, with_centre=False).size
        ratios = []
        for field in (dx, dy):
            values = around(field, *node, 1, with_centre=False)
            if 2 * values.size < nodes:
                ratios.append(math.inf)
                continue
            median = np.median(values)
            ratios.append(abs(field[node] - median) / (np.median(np.abs(values - median)) + noise))
        out[node] = math.hypot(*ratios) <= largest
    return out


def away(x: float, y: float, toward: tuple[float, float], angle: float) -> float:
    """Least distance of a vector from all that lie within an angle of a direction, found by trying directions."""
    if not np.isfinite([x, y, *toward]).all():
        return 0.0
    azimuths = math.atan2(toward[1], toward[0]) + np.linspace(-angle, angle, 20001)
    along = np.maximum(x * np.cos(azimuths) + y * np.sin(azimuths), 0.0)
    return float(np.hypot(x - along * np.cos(azimuths), y - along * np.sin(azimuths)).min())


def at_odds_in_time(
    years: np.ndarray, vectors: np.ndarray, sigmas: np.ndarray, angle: float, deviation: float
) -> np.ndarray:
    """Bits of the pairs of one pixel that point elsewhere (1) or are far (2); vectors and sigmas (2, pair)."""
    out = np.zeros(years.size, int)
    known = np.isfinite(vectors).all(axis=0)
    if known.sum() < 5:
        return out
    velocity, error = vectors / years, np.nan_to_num(sigmas) / np.abs(years)
    centre = np.array([np.median(each[known]) for each in velocity])
    spread = np.array([1.4826 * np.median(np.abs(v[known] - c)) for v, c in zip(velocity, centre, strict=True)])
    speed = math.hypot(*centre)
    is_clear = speed > 3.0 * 1.2533 * math.sqrt((spread**2).mean() / known.sum())
    for p in np.flatnonzero(known):
        scale = [max(spread[k], error[k, p]) for k in range(2)]
        if any(scale[k] > 0.0 and abs(velocity[k, p] - centre[k]) > deviation * scale[k] for k in range(2)):
            out[p] |= 2
        # what the twin calls nothing is no nearer than the directions that it tries
        least = max(2.0 * math.sqrt((error[:, p] ** 2).mean()), 1e-3)
        if is_clear and away(*velocity[:, p], tuple(centre / speed), angle) > least:
            out[p] |= 1
    return out


def unconfirmed(
    triplets: np.ndarray, vectors: np.ndarray, variances: np.ndarray, changes: np.ndarray, limit: float
) -> np.ndarray:
    """Observations of one pixel of which no triplet closes; vectors (2, n), variances (n,), changes by triplet."""
    has, closes = np.zeros((2, vectors.shape[1]), bool)
    for (ij, jk, ik), change in zip(triplets, changes, strict=True):
        misclosure = vectors[:, ij] + vectors[:, jk] - vectors[:, ik]
        most = limit * math.sqrt(variances[[ij, jk, ik]].sum()) + change
        if np.isfinite(misclosure).all() and np.isfinite(most):
            has[[ij, jk, ik]] = True
            closes[[ij, jk, ik]] |= math.hypot(*misclosure) <= most
    return has & ~closes


def clump_sizes(keep: np.ndarray) -> np.ndarray:
    """Number of nodes that are connected with each, over sides and corners; 0 where there is none."""
    out = np.zeros(keep.shape, int)
    for start in np.argwhere(keep):
        reached, edge = {tuple(start)}, [tuple(start)]
        while edge:
            row, column = edge.pop()
            for node in ((row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
                is_there = 0 <= node[0] < keep.shape[0] and 0 <= node[1] < keep.shape[1]
                if is_there and node not in reached and keep[node]:
                    reached.add(node)
                    edge.append(node)
        out[tuple(start)] = len(reached)
    return out
