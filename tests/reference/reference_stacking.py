"""Slow twins of the kernels of stacking, strain and profiles: dense matrices, written from the equations."""

from __future__ import annotations

import numpy as np


def design(ends, dates):
    """Rows −1 at the reference, +1 at the secondary (pair, date)."""
    rows = np.zeros((len(ends), dates))
    rows[np.arange(len(ends)), ends[:, 0]] -= 1.0
    rows[np.arange(len(ends)), ends[:, 1]] += 1.0
    return rows


def combine(ends, pull, strength, is_weighted, observed, date_variance, pair_share):
    """Estimate of one pixel: K·y and the root of K·Σ·Kᵀ, mean length, number of pairs (6,)."""
    used = np.isfinite(observed[:2]).all(axis=0)
    mean_variance = observed[2:].mean(axis=0)
    if is_weighted:
        used &= np.isfinite(mean_variance) & (mean_variance > 0)
    if not used.any():
        return np.array([np.nan] * 5 + [0.0])
    weight = 1.0 / mean_variance[used] if is_weighted else np.ones(used.sum())
    factors = weight * pull[used] / (weight * strength[used]).sum()
    rows = design(ends[used], date_variance.shape[1])
    touched = rows.any(axis=0)
    sigma = []
    for axis in range(2):
        of_dates = rows[:, touched] @ np.diag(date_variance[axis, touched]) @ rows[:, touched].T
        covariance = max(1.0 - pair_share, 0.0) * of_dates + pair_share * np.diag(observed[2 + axis, used])
        sigma.append(np.sqrt(factors @ covariance @ factors))
    length = np.hypot(*observed[:2, used]).mean()
    return np.array([factors @ observed[0, used], factors @ observed[1, used], *sigma, length, used.sum()])


def directions(ends, dates, dx, dy):
    """Sums of one pixel, number of pairs, coherence, floor and debiased coherence (7,)."""
    used = np.isfinite(dx) & np.isfinite(dy)
    vectors = dx[used] + 1j * dy[used]
    sums = [vectors.real.sum(), vectors.imag.sum(), np.abs(vectors).sum(), used.sum()]
    moving = np.abs(vectors) > 0
    if not moving.any():
        return np.array([*sums, np.nan, np.nan, np.nan])
    units = vectors[moving] / np.abs(vectors[moving])
    rows = design(ends[used][moving], dates)
    # two pairs with a common date correlate by one half, with its sign
    expected = np.eye(len(rows)) + 0.4063 * np.sign(rows @ rows.T - 2.0 * np.eye(len(rows)))
    count = len(rows)
    floor = np.sqrt(max(expected.sum(), count)) / count
    coherence = abs(units.mean())
    independent = floor**-2
    excess = np.nan
    if independent > 1.0 + 1e-9:
        excess = np.sqrt(max((independent * coherence**2 - 1.0) / (independent - 1.0), 0.0))
    return np.array([*sums, coherence, floor, excess])


def tent(first, second, overlap):
    """Correlation of the errors of two lists of nodes."""
    distance = np.abs(np.subtract.outer(np.asarray(first, float), np.asarray(second, float)))
    return np.clip(1.0 - distance / overlap, 0.0, None)


def error_model(row, column, sigma_x, sigma_y, correlation, overlap):
    """Covariance of all components along x, then along y, of a list of nodes (2n, 2n)."""
    alike = tent(row, row, overlap) * tent(column, column, overlap)
    both = 0.5 * np.add.outer(correlation, correlation)
    return np.block(
        [
            [alike * np.outer(sigma_x, sigma_x), alike * both * np.outer(sigma_x, sigma_y)],
            [alike * both * np.outer(sigma_y, sigma_x), alike * np.outer(sigma_y, sigma_y)],
        ]
    )


def strain(fields, row, column, radius, least, overlap, spacing):
    """Exx, eyy, exy, dilatation, rotation of one node, then their standard errors (10,), by lstsq."""
    rows, columns = fields[0].shape
    nodes = [
        (i, j)
        for i in range(max(row - radius, 0), min(row + radius + 1, rows))
        for j in range(max(column - radius, 0), min(column + radius + 1, columns))
        if np.isfinite(fields[0][i, j]) and np.isfinite(fields[1][i, j])
    ]
    if len(nodes) < max(least, 3):
        return np.full(10, np.nan)
    i, j = np.array(nodes).T
    plane = np.stack([np.ones(len(nodes)), spacing[0] * j, spacing[1] * i], axis=1)
    if np.linalg.matrix_rank(plane - [0.0, plane[:, 1].mean(), plane[:, 2].mean()]) < 3:
        return np.full(10, np.nan)
    solve = np.linalg.pinv(plane)[1:]
    none = np.zeros_like(solve)
    # from all components to exx, ∂dx/∂y, ∂dy/∂x, eyy
    gradient = np.block([[solve[:1], none[:1]], [solve[1:], none[1:]], [none[:1], solve[:1]], [none[1:], solve[1:]]])
    to_strain = np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 0.5, 0.5, 0], [1, 0, 0, 1], [0, -0.5, 0.5, 0]])
    factors = to_strain @ gradient
    dx, dy, sigma_x, sigma_y, correlation = (field[i, j] for field in fields)
    covariance = error_model(i, j, sigma_x, sigma_y, correlation, overlap)
    return np.append(factors @ np.append(dx, dy), np.sqrt(np.diag(factors @ covariance @ factors.T)))
