"""Medians of the values around each node, and what agrees with them."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel
from xoffset._kernels.maps.neighbours import sorting_network

# Nodes of a row that are looked at together, so that their neighbours stay in the nearest cache.
WIDTH = 128


def square(radius: int, *, with_centre: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns from a node to those of the square around it (n, 2), and the network that sorts so many."""
    places = np.argwhere(np.ones((2 * radius + 1,) * 2)) - radius
    if not with_centre:
        places = np.delete(places, len(places) // 2, axis=0)
    return places, sorting_network(len(places))


@kernel
def median_and_spread(field, places, network, median, spread, count):
    """Median of the values around each node, and their median distance from it.

    Parameters
    ----------
    field
        (rows, columns), NaN where unknown.
    places, network
        (n, 2), (pairs, 2) which nodes count, as `square` says.
    median, spread
        (rows, columns) results like `field`; NaN where no value is around.
    count
        (rows, columns) uint8, number of values around.
    """
    rows, columns = field.shape
    size = places.shape[0]
    values = np.empty((size, WIDTH), field.dtype)
    known = np.empty(WIDTH, np.int64)
    for row in range(rows):
        for first in range(0, columns, WIDTH):
            width = min(WIDTH, columns - first)
            known[:] = 0
            for k in range(size):
                target = values[k]
                i, j = row + places[k, 0], first + places[k, 1]
                low, high = max(-j, 0), min(columns - j, width)
                if i < 0 or i >= rows or low >= high:
                    low, high = width, width
                for c in range(low):
                    target[c] = np.inf
                for c in range(high, width):
                    target[c] = np.inf
                if low < high:
                    _take(field[i, j + low : j + high], target[low:high], known[low:high])
            _sort(values, network, width)
            centre = median[row, first : first + width]
            _middles(values, known, centre)
            for k in range(size):
                _distances(values[k], centre)
            _sort(values, network, width)
            _middles(values, known, spread[row, first : first + width])
            for c in range(width):
                count[row, first + c] = known[c]


@kernel
def _take(source, target, known):
    """Values of a part of a row, infinite where unknown, and how many are known."""
    for c in range(target.size):
        value = source[c]
        is_known = np.isfinite(value)
        target[c] = value if is_known else np.inf
        known[c] += is_known


@kernel
def _distances(values, centre):
    for c in range(centre.size):
        values[c] = abs(values[c] - centre[c])


@kernel
def _sort(values, network, width):
    """Put the rows in order, column by column."""
    for k in range(network.shape[0]):
        low, high = values[network[k, 0], :width], values[network[k, 1], :width]
        for c in range(width):
            a, b = low[c], high[c]
            low[c] = a if a < b else b
            high[c] = b if a < b else a


@kernel
def _middles(values, known, out):
    """Median of the known values of each column, which are in order before all others."""
    half = values.dtype.type(0.5)
    for c in range(out.size):
        n = known[c]
        out[c] = half * (values[(n - 1) // 2, c] + values[n // 2, c]) if n > 0 else np.nan


@kernel
def count_near(field, tolerance, places, out):
    """Number of nodes around each whose value is nearer to its own than a tolerance.

    All (rows, columns); out is uint8, and 0 where the own value is unknown.
    """
    rows, columns = field.shape
    for row in range(rows):
        out[row] = 0
        for k in range(places.shape[0]):
            i, shift = row + places[k, 0], places[k, 1]
            if i < 0 or i >= rows or abs(shift) >= columns:
                continue
            first, last = max(-shift, 0), columns - max(shift, 0)
            _add_near(field[row, first:last], field[i, first + shift : last + shift], tolerance, out[row, first:last])


@kernel
def _add_near(here, there, tolerance, out):
    for c in range(out.size):
        out[c] += abs(there[c] - here[c]) < tolerance
