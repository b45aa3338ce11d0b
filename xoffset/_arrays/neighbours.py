"""Neighbouring nodes: their values, and how many of them share one error."""

from __future__ import annotations

import numpy as np

from xoffset._kernels.corrections.lags import products

# Correlation of neighbours below which no farther neighbour counts as alike.
LEAST_CORRELATION = 0.1


def alike(ratio: np.ndarray) -> float:
    """Number of neighbouring nodes that share one error: the product of the correlation lengths along y and x.

    ratio (component, pair, rows, columns): residuals in units of their spread, NaN where there is none.
    """
    along_y, along_x = correlations(ratio)
    return (1.0 + sum(2.0 * each for each, _ in along_y)) * (1.0 + sum(2.0 * each for each, _ in along_x))


def alike_of_some(ratio: np.ndarray, used: np.ndarray) -> float:
    """As `alike`, of nodes that are used alone: a neighbour counts by the share of the nodes that have it.

    ratio (component, node): residuals in units of their spread, at nodes `used` (rows, columns).
    """
    along_y, along_x = _correlations_of_some(ratio, used)
    found = 1.0 + sum(2.0 * each * share for each, share in (*along_y, *along_x))
    # neighbours in all four directions, of which as many are used as along the axis with fewer of them
    for of_y, share_y in along_y:
        found += sum(4.0 * of_y * of_x * min(share_y, share_x) for of_x, share_x in along_x)
    return found


def _correlations_of_some(ratio: np.ndarray, used: np.ndarray) -> list[list[tuple[float, float]]]:
    """As `correlations`, from a list of nodes, which may be far shorter than the grid that they are looked up in."""
    found: list[list[tuple[float, float]]] = [[], []]
    limit = 3.0 * 1.4826 * np.median(np.abs(ratio))
    # outliers are no part of what neighbours share
    value = np.clip(ratio, -limit, limit)
    variance = (value**2).mean()
    if not variance > 0.0:
        return found
    width = used.shape[1]
    nodes = np.flatnonzero(used)
    number = np.full(used.size, -1, dtype=np.int32)
    number[nodes] = np.arange(nodes.size)
    for lags, step, along, size in zip(found, (width, 1), np.divmod(nodes, width), used.shape, strict=True):
        for lag in range(1, size // 2 + 1):
            total, count = products(value, nodes, number, along, size, lag, step)
            correlation = total / (count * len(value)) / variance if count else 0.0
            if correlation < LEAST_CORRELATION:
                break
            lags.append((float(correlation), count / nodes.size))
    return found


def correlations(ratio: np.ndarray) -> list[list[tuple[float, float]]]:
    """Correlations with the first, second, ... neighbour along y and along x, down to the last that counts as alike.

    Each with the share of the nodes that have this neighbour. ratio: as for `alike`.
    """
    found: list[list[tuple[float, float]]] = [[], []]
    has = np.isfinite(ratio)
    limit = 3.0 * 1.4826 * np.median(np.abs(ratio[has]))
    # outliers are no part of what neighbours share
    value = np.where(has, np.clip(ratio, -limit, limit), 0.0)
    variance = (value**2).sum() / has.sum()
    if not variance > 0.0:
        return found
    for axis, lags in zip((2, 3), found, strict=True):
        for lag in range(1, ratio.shape[axis] // 2 + 1):
            near, far = slice(None, -lag), slice(lag, None)
            index = [(slice(None),) * axis + (part,) for part in (near, far)]
            both = (has[index[0]] & has[index[1]]).sum()
            correlation = (value[index[0]] * value[index[1]]).sum() / both / variance if both else 0.0
            if correlation < LEAST_CORRELATION:
                break
            lags.append((float(correlation), float(both / has.sum())))
    return found


def moved(values: np.ndarray, down: int, right: int) -> np.ndarray:
    """Value of the node so many rows and columns farther, NaN beyond the edges."""
    out = np.full(values.shape, np.nan)
    rows, columns = values.shape
    if abs(down) < rows and abs(right) < columns:
        here = tuple(slice(max(-by, 0), size - max(by, 0)) for by, size in ((down, rows), (right, columns)))
        there = tuple(slice(max(by, 0), size + min(by, 0)) for by, size in ((down, rows), (right, columns)))
        out[here] = values[there]
    return out
