"""Edges of the stripes of a sensor, found in the displacements themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xoffset._arrays.corrections import robust

# Edges that are found, at most.
MOST = 15
# Numbers that tell the edges: tilt of the track [degree], and the places of the edges across it [m], infinite where
# there are no more.
SIZE = 1 + MOST
# Tilts that are tried [degree clockwise from grid north], coarsely and then around the best of them.
_TILTS = np.arange(-45.0, 45.1, 1.0)
_FINE = np.arange(-1.25, 1.3, 0.25)
# Nodes that the coarse search looks at, and bins to each side of a place that tell whether there is a step.
_FEW, _REACH = 20_000, 4
# Bins between two edges, at least, and nodes that a bin needs.
_APART, _LEAST = 8, 8
# How many times as large as usual a step must be, as a square, and how far beyond chance.
_USUAL, _CHANCE = 4.0, 6.0
# Residuals beyond so many spreads count as so many.
_FAR = 3.0


@dataclass(frozen=True)
class Profiles:
    """Means of residuals across the track, in units of their errors: one row for each pair and component."""

    mean: np.ndarray  # (row, bin), 0 where there are too few nodes
    count: np.ndarray  # (bin,)
    start: float  # of the first bin [m]
    width: float  # of a bin [m]

    @property
    def weight(self) -> np.ndarray:
        """Nodes of the bins that have enough of them."""
        return np.where(self.count >= _LEAST, self.count, 0.0)

    def steps(self) -> np.ndarray:
        """Square of the step at the start of each bin in units of its standard error, the sum of all rows (bin,)."""
        weight = self.weight
        sums = np.concatenate([np.zeros((len(self.mean), 1)), np.cumsum(self.mean * weight, axis=1)], axis=1)
        counts = np.concatenate([[0.0], np.cumsum(weight)])
        out = np.zeros(weight.size)
        middle = np.arange(_REACH, weight.size - _REACH + 1)
        left, right = (
            (counts[middle] - counts[middle - _REACH], sums[:, middle] - sums[:, middle - _REACH]),
            (counts[middle + _REACH] - counts[middle], sums[:, middle + _REACH] - sums[:, middle]),
        )
        known = (left[0] > 0.0) & (right[0] > 0.0)
        number, other = np.where(known, left[0], 1.0), np.where(known, right[0], 1.0)
        square = ((right[1] / other - left[1] / number) ** 2).sum(axis=0) / (1.0 / number + 1.0 / other)
        out[middle[middle < weight.size]] = np.where(known, square, 0.0)[: (middle < weight.size).sum()]
        return out


def numbers(x: np.ndarray, y: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Number of the stripe at places [m] (from 1 on), of the edges as `found` tells them."""
    return np.asarray(np.searchsorted(edges[1:], _across(x, y, float(edges[0])), side="right") + 1)


def _across(x: np.ndarray, y: np.ndarray, tilt: float) -> np.ndarray:
    angle = np.deg2rad(tilt)
    return np.asarray(np.cos(angle) * x - np.sin(angle) * y)


def without_lines(
    values: np.ndarray, used: np.ndarray, x: np.ndarray, y: np.ndarray, width: float, tilt: float
) -> np.ndarray:
    """Values at nodes `used` (rows, columns) without the mean of each line across a track of some tilt."""
    nodes = np.flatnonzero(used)
    along = _across(y[nodes], -x[nodes], tilt)
    lines = ((along - along.min()) / width).astype(np.int64)
    return np.asarray(values - (np.bincount(lines, values) / np.maximum(np.bincount(lines), 1))[lines])


def found(
    residuals: list[tuple[np.ndarray, np.ndarray]], alike: np.ndarray, x: np.ndarray, y: np.ndarray, width: float
) -> np.ndarray:
    """Tilt of the track and the edges across it, (SIZE,).

    residuals: what a ramp leaves, of each pair and component: numbers of nodes, and displacements [m] there. alike: how
    many nodes of each err alike. x, y [m] (node,): places of all nodes. width: distance of the nodes [m].
    """
    out = np.full(SIZE, np.inf)
    out[0] = 0.0
    # as small as if each node erred on its own
    rows = [
        (nodes, _unit(values) / np.sqrt(number))
        for (nodes, values), number in zip(residuals, alike, strict=True)
        if nodes.size
    ]
    if not rows:
        return out
    generator = np.random.default_rng(0)
    few = []
    for nodes, values in rows:
        index = np.sort(generator.permutation(nodes.size)[:_FEW])
        few.append((nodes[index], values[index]))
    best = _TILTS[int(np.argmax([_sharpness(profiles(few, x, y, width, tilt)) for tilt in _TILTS]))]
    fine = best + _FINE
    tilt = float(fine[int(np.argmax([_sharpness(profiles(rows, x, y, width, tilt)) for tilt in fine]))])
    places = _edges(profiles(rows, x, y, width, tilt))
    out[0] = tilt
    out[1 : 1 + places.size] = places
    return out


def _unit(values: np.ndarray) -> np.ndarray:
    scale = robust.spread(values - np.median(values))
    return np.clip(values / scale, -_FAR, _FAR) if scale > 0.0 else np.zeros(values.size)


def profiles(
    rows: list[tuple[np.ndarray, np.ndarray]], x: np.ndarray, y: np.ndarray, width: float, tilt: float
) -> Profiles:
    """Profiles across a track of some tilt, with the mean number of nodes of the rows in each bin."""
    across = _across(x, y, tilt)
    start = float(across.min())
    bins = ((across - start) / width).astype(np.int64)
    size = int(bins.max()) + 1
    mean, total = np.zeros((len(rows), size)), np.zeros(size)
    for row, (nodes, values) in zip(mean, rows, strict=True):
        count = np.bincount(bins[nodes], minlength=size)
        row[:] = np.bincount(bins[nodes], values, size) / np.maximum(count, 1)
        total += count
    return Profiles(mean, total / len(rows), start, width)


def _limit(steps: np.ndarray, rows: int) -> float:
    """Square that a step must exceed: what is usual in the profiles, and what chance does."""
    usual = float(np.median(steps[steps > 0.0])) if (steps > 0.0).any() else 0.0
    return float(max(_USUAL * usual, rows + _CHANCE * np.sqrt(2.0 * rows) + 2.0 * np.log(max(steps.size, 2))))


def _sharpness(found: Profiles) -> float:
    steps = found.steps()
    return float(np.clip(steps - _limit(steps, len(found.mean)), 0.0, None).sum())


def _edges(found: Profiles) -> np.ndarray:
    """Places of the edges [m], one after the other: that which explains most of what the earlier ones leave."""
    steps = found.steps()
    limit = _limit(steps, len(found.mean))
    weight = found.weight
    along = np.linspace(-1.0, 1.0, weight.size)
    columns = [np.ones(weight.size), along, along**2]
    chosen: list[int] = []
    while len(chosen) < MOST:
        gain = _gain(found.mean, weight, columns)
        gain[steps <= limit] = 0.0
        for each in chosen:
            gain[max(each - _APART + 1, 0) : each + _APART] = 0.0
        edge = int(np.argmax(gain))
        if gain[edge] <= limit:
            break
        chosen.append(edge)
        columns.append((np.arange(weight.size) >= edge).astype(np.float64))
    return np.sort(found.start + found.width * np.array(chosen, dtype=np.float64))


def _gain(mean: np.ndarray, weight: np.ndarray, columns: list[np.ndarray]) -> np.ndarray:
    """By how much a step at the start of each bin lessens the sum of squares, fitted with the columns (bin,)."""
    root = np.sqrt(weight)
    basis, triangle = np.linalg.qr(np.stack(columns, axis=1) * root[:, np.newaxis])
    basis = basis[:, np.abs(np.diag(triangle)) > 1e-9 * np.abs(np.diag(triangle)).max()]
    residual = mean * root
    residual = residual - (residual @ basis) @ basis.T
    # steps (bin, edge) at all edges, without what the columns hold of them
    step = np.tril(np.ones((weight.size, weight.size))) * root[:, np.newaxis]
    step = step - basis @ (basis.T @ step)
    square = (step**2).sum(axis=0)
    product = ((residual @ step) ** 2).sum(axis=0)
    return np.where(square > 1e-6 * weight.sum(), product / np.maximum(square, 1e-30), 0.0)
