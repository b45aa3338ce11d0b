"""Neighbouring nodes: their values, and how many of them share one error."""

from __future__ import annotations

import numpy as np

# Correlation of neighbours below which no farther neighbour counts as alike.
LEAST_CORRELATION = 0.1
# Nodes of a grid above which those that are used are looked at one by one.
LARGE = 200_000


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
    along_y, along_x = _correlations_of_few(ratio, used) if used.size > LARGE else _correlations_of_many(ratio, used)
    found = 1.0 + sum(2.0 * each * share for each, share in (*along_y, *along_x))
    # neighbours in all four directions, of which as many are used as along the axis with fewer of them
    for of_y, share_y in along_y:
        found += sum(4.0 * of_y * of_x * min(share_y, share_x) for of_x, share_x in along_x)
    return found


def _correlations_of_many(ratio: np.ndarray, used: np.ndarray) -> list[list[tuple[float, float]]]:
    field = np.full((len(ratio), 1, *used.shape), np.nan)
    field[:, 0, used] = ratio
    return correlations(field)


def _correlations_of_few(ratio: np.ndarray, used: np.ndarray) -> list[list[tuple[float, float]]]:
    """As `correlations`, from a list of nodes, which is shorter than the grid that they are looked up in."""
    found: list[list[tuple[float, float]]] = [[], []]
    limit = 3.0 * 1.4826 * np.median(np.abs(ratio))
    value = np.clip(ratio, -limit, limit)
    variance = (value**2).mean()
    if not variance > 0.0:
        return found
    width = used.shape[1]
    nodes = np.flatnonzero(used)
    place = np.full(used.size, -1, dtype=np.int32)
    place[nodes] = np.arange(nodes.size)
    row, column = np.divmod(nodes, width)
    for lags, step, along, size in zip(found, (width, 1), (row, column), used.shape, strict=True):
        for lag in range(1, size // 2 + 1):
            near = np.flatnonzero(along + lag < size)
            far = place[nodes[near] + lag * step]
            near, far = near[far >= 0], far[far >= 0]
            correlation = (value[:, near] * value[:, far]).mean() / variance if far.size else 0.0
            if correlation < LEAST_CORRELATION:
                break
            lags.append((float(correlation), far.size / nodes.size))
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
