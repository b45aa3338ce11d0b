"""Places of measurements: the nodes of a regular grid that they lie on, or which of them are one point."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# Share of the step that a coordinate may be off its node: 5 decimals of a degree are 0.9 % of 50 m.
TOLERANCE = 0.01
# Coordinates closer than this are of one place [m]: what rounding does to them.
SAME = 0.01
# Places closer than this are neither surely one nor surely two [m].
NEAR = 1.0
# Share of the rows of a grid, and of its columns, that hold points, at least: any few numbers fit some fine grid.
OCCUPIED = 0.1
# Share of the nodes of a grid that hold points, at least, where there are more nodes than SMALL.
FILLED, SMALL = 0.01, 10_000
# Least ratio of the steps to the differences that rounding made, twice the tolerance.
_RATIO = 0.96 / (2.0 * TOLERANCE)
# Steps to which the nodes of a grid are rounded, as a share of the step.
_ROUNDING = 2e-4


class Axis(NamedTuple):
    """Nodes along one axis, increasing, their step [m], NaN of a single one, and the node of each value."""

    nodes: np.ndarray
    step: float
    at: np.ndarray


def grid(x: np.ndarray, y: np.ndarray) -> tuple[Axis | None, Axis | None]:
    """Axes of the regular grid that points lie on; None along which they lie on none."""
    found = [_axis(values) for values in (x, y)]
    # where the points lie in one line, the step along it tells what is a difference across
    across = [
        _single(values) if other is not None and np.ptp(values) <= 2.0 * TOLERANCE * other.step else own
        for values, own, other in zip((x, y), found, found[::-1], strict=True)
    ]
    return across[0], across[1]


def is_filled(x: Axis, y: Axis) -> bool:
    """Whether a fair share of the nodes of a grid hold points."""
    nodes = x.nodes.size * y.nodes.size
    return nodes <= SMALL or np.unique(y.at * x.nodes.size + x.at).size >= FILLED * nodes


def rounding(x: Axis, y: Axis) -> float:
    """How far rounding moves a place, at most [m]; nothing where no step tells how large a grid is."""
    step = float(np.nanmin([x.step, y.step, math.inf]))
    return min(SAME, 2.0 * TOLERANCE * step) if math.isfinite(step) else 0.0


def points(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, tuple[int, int] | None]:
    """Number of the point of each place, and two places that are neither surely one point nor surely two, if any."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    distinct, row, place = np.unique(np.column_stack([x, y]), axis=0, return_index=True, return_inverse=True)
    near = cKDTree(distinct).query_pairs(SAME, output_type="ndarray")
    size = len(distinct)
    graph = coo_array((np.ones(len(near)), (near[:, 0], near[:, 1])), shape=(size, size))
    group = connected_components(graph, directed=False)[1]
    one = np.unique(group, return_index=True)[1]
    far = np.flatnonzero(np.hypot(*(distinct - distinct[one[group]]).T) > SAME * (1.0 + 1e-6))
    if far.size:
        return group[place.ravel()], (int(row[far[0]]), int(row[one[group[far[0]]]]))
    if one.size > 1:
        distance, other = cKDTree(distinct[one]).query(distinct[one], k=2)
        wrong = np.flatnonzero(distance[:, 1] < NEAR)
        if wrong.size:
            return group[place.ravel()], (int(row[one[wrong[0]]]), int(row[one[other[wrong[0], 1]]]))
    return group[place.ravel()], None


def spread(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Largest less smallest value of each group, which are numbered from 0."""
    largest, smallest = np.full((2, int(group.max(initial=-1)) + 1), -np.inf)
    np.maximum.at(largest, group, values)
    np.maximum.at(smallest, group, -values)
    return np.asarray(largest + smallest)


# ----------------------------------------------------------------------------------------------------------- one axis


def _axis(values: np.ndarray) -> Axis | None:
    """Finest grid that the values lie on with a fair share of its nodes."""
    if np.ptp(values) <= SAME:
        return _single(values)
    distinct, place = np.unique(values, return_inverse=True)
    gaps = np.diff(distinct)
    for limit in _limits(gaps):
        starts = np.flatnonzero(np.concatenate([[True], gaps > limit]))
        ends = np.append(starts[1:], distinct.size) - 1
        low, high = distinct[starts], distinct[ends]
        fitted = None if low.size < 2 else _fitted(low, high)
        if fitted is not None:
            nodes, step, row = fitted
            group = np.searchsorted(starts, np.arange(distinct.size), side="right") - 1
            return Axis(nodes, step, row[group][place.ravel()])
    return None


def _single(values: np.ndarray) -> Axis:
    """One node."""
    middle = values.min() + 0.5 * np.ptp(values)
    return Axis(np.array([middle]), math.nan, np.zeros(values.size, dtype=np.int64))


def _limits(gaps: np.ndarray) -> Iterator[float]:
    """Largest difference within a node, from none on: all that are far smaller than the next larger one."""
    yield 0.0
    ordered = np.sort(gaps)
    yield from ordered[:-1][ordered[1:] >= _RATIO * ordered[:-1]]


def _fitted(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, float, np.ndarray] | None:
    """Nodes, step and the place of each row among the nodes; rows are given by their smallest and largest value."""
    centre = low + 0.5 * (high - low)
    least, whole = np.diff(centre).min(), centre[-1] - centre[0]
    parts = 1
    while (whole / least * parts + 1.0) * OCCUPIED <= low.size:
        row = _rows(np.diff(centre), least / parts)
        origin, step = _line(row, low, high)
        off = max(np.abs(each - (origin + step * row)).max() for each in (low, high))
        # a step that no two rows show must fit better: any few numbers have a common divisor
        if off <= (1.0 + 1e-6) * step * (TOLERANCE if parts == 1 else 0.1 * TOLERANCE):
            count = np.arange(row[-1] + 1)
            if np.array_equal(low, high) and off <= _ROUNDING * step:
                return np.interp(count, row, centre), step, row
            decimals = math.ceil(-math.log10(_ROUNDING * step))
            return np.round(origin + step * count, decimals), step, row
        parts += 1
    return None


def _rows(gaps: np.ndarray, step: float) -> np.ndarray:
    """Place of each row among the nodes: small gaps tell the step that large ones are counted in."""
    count = np.empty(gaps.size, dtype=np.int64)
    length, steps = 0.0, 0
    for k in np.argsort(gaps, kind="stable"):
        count[k] = max(round(gaps[k] / step), 1)
        length, steps = length + gaps[k], steps + count[k]
        step = length / steps
    return np.concatenate([[0], np.cumsum(count)])


def _line(row: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Origin and step of the line that all values are closest to, the farthest of them."""
    step = (high[-1] + low[-1] - high[0] - low[0]) / (2.0 * row[-1])
    line = low[0] + step * row
    above, below = high - line, low - line
    if max(np.ptp(above), np.ptp(below)) <= 1e-9 * step:
        return float(low[0]), float(step)
    from scipy.optimize import linprog

    # of origin, slope and the largest distance, in steps: line + distance >= high, line - distance <= low
    ones = np.ones_like(line)
    share = row / row[-1]
    above_high, below_low = np.column_stack([ones, share, ones]), np.column_stack([ones, share, -ones])
    found = linprog(
        [0.0, 0.0, 1.0],
        A_ub=np.concatenate([-above_high, below_low]),
        b_ub=np.concatenate([-above, below]) / step,
        bounds=[(None, None), (None, None), (0.0, None)],
    )
    origin, slope, _ = found.x * step
    return float(low[0] + origin), float(step + slope / row[-1])
