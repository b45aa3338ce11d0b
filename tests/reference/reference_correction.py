"""Slow twins of corrections: from the equations, one node after the other."""

import math
from itertools import pairwise

import numpy as np


def mode_of_vectors(x, y):
    """The half that is shortest along the longer axis, of this the half, and so on, until three vectors are left."""
    vectors = [(float(first), float(second)) for first, second in zip(x, y, strict=True)]
    while len(vectors) > 3:
        sides = [max(v[k] for v in vectors) - min(v[k] for v in vectors) for k in range(2)]
        axis = 0 if sides[0] >= sides[1] else 1
        # of equal ones in the order that they came in
        places = sorted(range(len(vectors)), key=lambda place: (vectors[place][axis], place))
        half = math.ceil(len(vectors) / 2)
        widths = [
            vectors[places[k + half - 1]][axis] - vectors[places[k]][axis] for k in range(len(vectors) - half + 1)
        ]
        best = [k for k, width in enumerate(widths) if width == min(widths)]
        start = best[(len(best) - 1) // 2]
        vectors = [vectors[place] for place in sorted(places[start : start + half])]
    return tuple(float(np.median([v[k] for v in vectors])) for k in range(2))


def normal_equations(dense, steps, signs, count, weight, value):
    """Products of all columns of a full matrix (node, column), and with the value in the last column."""
    full = np.zeros((len(value), dense.shape[1] + len(steps) * count))
    full[:, : dense.shape[1]] = dense
    for kind, step in enumerate(steps):
        for node, number in enumerate(step):
            full[node, dense.shape[1] + kind * count + number] = signs[kind]
    return np.column_stack([full.T @ (weight[:, None] * full), full.T @ (weight * value)])


def tukey(matrix, value, steps=200):
    """Coefficients that minimise Tukey's loss at the scale of the residuals, from least absolute deviations."""
    coefficients = np.linalg.lstsq(matrix, value, rcond=None)[0]
    for _ in range(steps):
        residual = value - matrix @ coefficients
        root = 1.0 / np.sqrt(np.maximum(np.abs(residual), 1e-6))
        coefficients = np.linalg.lstsq(matrix * root[:, None], value * root, rcond=None)[0]
    for _ in range(steps):
        residual = value - matrix @ coefficients
        ratio = residual / (4.685 * 1.4826 * np.median(np.abs(residual)))
        root = np.where(np.abs(ratio) < 1.0, 1.0 - ratio**2, 0.0)
        coefficients = np.linalg.lstsq(matrix * root[:, None], value * root, rcond=None)[0]
    return coefficients


def side_of(line, x, y):
    """Side of a broken line, straight on beyond its ends, by the nearest of many points on it; left is positive."""
    line = np.asarray(line, float)
    first, last = line[0] - 50.0 * (line[1] - line[0]), line[-1] + 50.0 * (line[-1] - line[-2])
    line = np.concatenate([[first], line, [last]])
    best = None
    for start, end in pairwise(line):
        length = np.hypot(*(end - start))
        share = np.clip(((x - start[0]) * (end - start)[0] + (y - start[1]) * (end - start)[1]) / length**2, 0.0, 1.0)
        distance = math.hypot(x - start[0] - share * (end - start)[0], y - start[1] - share * (end - start)[1])
        across = ((end - start)[0] * (y - start[1]) - (end - start)[1] * (x - start[0])) / length
        key = (round(distance, 6), -abs(across))
        if best is None or key < best[0]:
            best = key, across
    return math.copysign(best[0][0], best[1])
