"""Places of the cells of one grid on a mask of another, and what the mask says of each cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np

Part = tuple[slice, slice]
# From x and y of the cells to those of the mask.
ToMask = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

# Share of a side of a cell, or of a pixel of the mask if that is smaller, within which a place is on an edge.
TOLERANCE = 0.01
# Share of a pixel of the mask by which a cell must be larger than whole pixels to be looked at in one more place.
LARGER = 0.05
# Places along each side of a part of the cells that tell which window of the mask it needs.
SAMPLES = 33
# Cells along each axis whose median size in pixels of the mask counts, and most points along a side of a cell.
CELLS, MOST = 5, 1024
# Times that one axis of the mask may be stretched against the other, as longitudes are up to 83 degrees north.
STRETCH = 8.0
# Pixels of the mask beyond these places, where the way to the other CRS has no bends.
PADDING = 2
# Share of a pixel of the mask within which a point lies on an edge, and the pixel that has it, along y and x: that in
# the south and the east, in whatever order the rows come and wherever a window begins.
ON_EDGE, TO_SOUTH_EAST = 1e-6, (-1.0, 1.0)
# Places that are brought to the mask at a time.
AT_ONCE = 1 << 18


class Places(Protocol):
    """What the cells of a grid need to know of a mask."""

    def cut(self, part: Part) -> tuple[Places, Part]:
        """Places of some rows and columns of cells on a window of the mask, and the window, which is all they need."""

    def values(self, mask: np.ndarray) -> np.ndarray:
        """What the mask (..., rows, columns) says of the cells; nothing is True beyond it."""


class Span(NamedTuple):
    """First and last pixel of a mask that count for each cell along an axis; they may lie beyond the mask."""

    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, centres: np.ndarray, side: float, start: float, step: float) -> Span:
        """Pixels that hold a centre, or whose own centre is in a cell of that side; those on an edge are in both.

        The first pixel of the mask has its centre at `start`, the next one a step on.
        """
        at = (np.asarray(centres, dtype=np.float64) - start) / step
        reach = max(0.5, 0.5 * abs(side / step)) + TOLERANCE * min(1.0, abs(side / step))
        return cls(np.ceil(at - reach).astype(np.int64), np.floor(at + reach).astype(np.int64))

    def inside(self, size: int) -> np.ndarray:
        """Cells all of whose pixels are on a mask of so many."""
        return (self.first >= 0) & (self.last < size)


@dataclass(frozen=True)
class Cells:
    """Places on a mask whose axes are those of the cells; `size` is the number of its rows and columns."""

    rows: Span
    columns: Span
    size: tuple[int, int]

    def cut(self, part: Part) -> tuple[Cells, Part]:
        """See `Places`."""
        spans, windows = [], []
        for span, piece, size in zip((self.rows, self.columns), part, self.size, strict=True):
            own = Span(span.first[piece], span.last[piece])
            inside = own.inside(size)
            start, stop = 0, 0
            if inside.any():
                start, stop = int(own.first[inside].min()), int(own.last[inside].max()) + 1
            spans.append(Span(own.first - start, own.last - start))
            windows.append(slice(start, stop))
        sides = windows[0].stop - windows[0].start, windows[1].stop - windows[1].start
        return Cells(spans[0], spans[1], sides), (windows[0], windows[1])

    def values(self, mask: np.ndarray) -> np.ndarray:
        """See `Places`."""
        return _all_along(_all_along(mask, self.rows, -2), self.columns, -1)

    def share(self) -> float:
        """Share of the cells that the mask reaches."""
        return float(self.rows.inside(self.size[0]).mean() * self.columns.inside(self.size[1]).mean())


def _all_along(mask: np.ndarray, span: Span, axis: int) -> np.ndarray:
    """Cells along an axis whose pixels are all True."""
    size = mask.shape[axis]
    inside = span.inside(size)
    if not inside.any():
        shape = list(mask.shape)
        shape[axis] = span.first.size
        return np.zeros(shape, dtype=bool)
    found = inside[:, np.newaxis] if axis == -2 else inside
    for k in range(int((span.last - span.first).max()) + 1):
        pixel = np.clip(np.minimum(span.first + k, span.last), 0, size - 1)
        found = found & np.take(mask, pixel, axis=axis)
    return np.asarray(found)


@dataclass(frozen=True)
class Points:
    """Places on a mask of another CRS: so many points a cell, each of which has the pixel of the mask that holds it."""

    y: np.ndarray  # centres of the cells
    x: np.ndarray
    sides: tuple[float, float]  # of a cell along y and x
    to_mask: ToMask
    start: tuple[float, float]  # centre of the first pixel of the mask, y and x
    step: tuple[float, float]
    size: tuple[int, int]
    count: tuple[int, int] = (1, 1)  # points along y and x of a cell
    corner: tuple[int, int] = (0, 0)  # pixel of the mask, counted from `start`, where the window begins

    def at(self, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the mask, with fractions, of the points of a lattice; NaN where they cannot be had."""
        columns, rows = np.meshgrid(x, y)
        there = self.to_mask(columns, rows)
        out = [
            (np.where(np.isfinite(values), values, np.nan) - start) / step - first
            for values, start, step, first in zip(there[::-1], self.start, self.step, self.corner, strict=True)
        ]
        return out[0], out[1]

    def spread(self) -> Points:
        """With one point a cell, or as many as a cell has pixels of the mask if these are smaller."""
        some = [values[np.unique(np.linspace(0, values.size - 1, CELLS).astype(int))] for values in (self.y, self.x)]
        y, x = (_spread(values, 2, 2.0 * side) for values, side in zip(some, self.sides, strict=True))
        # rows and columns of the mask at the corners of each cell
        corners = np.stack(self.at(y, x)).reshape(2, some[0].size, 2, some[1].size, 2)
        # the median of some cells: one at a pole or astride the end of the longitudes spans them all
        pixels = np.array(
            [[_median(np.abs(np.diff(each, axis=axis)).max(axis=(1, 3))) for each in corners] for axis in (1, 3)]
        )
        step = np.abs(self.step)
        pixels = np.minimum(pixels, STRETCH * (pixels * step).max(axis=0)[::-1] / step)
        counts = np.clip(np.ceil(pixels.max(axis=1) - LARGER), 1, MOST).astype(int)
        return replace(self, count=(int(counts[0]), int(counts[1])))

    def cut(self, part: Part) -> tuple[Points, Part]:
        """See `Places`."""
        own = replace(self, y=self.y[part[0]], x=self.x[part[1]])
        windows = [
            slice(*(int(np.clip(end, 0, size)) for end in ends))
            for ends, size in zip(own._ends(), self.size, strict=True)
        ]
        corner = self.corner[0] + windows[0].start, self.corner[1] + windows[1].start
        sides = windows[0].stop - windows[0].start, windows[1].stop - windows[1].start
        return replace(own, corner=corner, size=sides), (windows[0], windows[1])

    def _ends(self) -> list[tuple[float, float]]:
        """First and last row and column of the mask that the cells need, and some more."""
        y, x = (
            np.linspace(values[0] - 0.5 * side, values[-1] + 0.5 * side, SAMPLES)
            for values, side in zip((self.y, self.x), self.sides, strict=True)
        )
        found = []
        for values in self.at(y, x):
            known = values[np.isfinite(values)]
            low, high = (known.min(), known.max()) if known.size else (0.0, -2.0 * PADDING)
            # between samples lie no larger extremes than these bends tell, not even at a pole
            bends = [np.abs(np.diff(values, n=2, axis=axis)) for axis in (0, 1)]
            padding = PADDING + max(np.max(each, initial=0.0, where=np.isfinite(each)) for each in bends)
            found.append((np.floor(low - padding), max(np.ceil(high + padding) + 1, np.floor(low - padding))))
        return found

    def values(self, mask: np.ndarray) -> np.ndarray:
        """See `Places`."""
        out = np.zeros((*mask.shape[:-2], self.y.size, self.x.size), dtype=bool)
        if 0 in mask.shape:
            return out
        width = min(max(AT_ONCE // (self.count[0] * self.count[1]), 1), self.x.size)
        height = max(AT_ONCE // (width * self.count[0] * self.count[1]), 1)
        for top in range(0, self.y.size, height):
            for left in range(0, self.x.size, width):
                part = slice(top, top + height), slice(left, left + width)
                out[..., part[0], part[1]] = self._values_of(mask, self.y[part[0]], self.x[part[1]])
        return out

    def _values_of(self, mask: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """What the mask says of the cells of some rows and columns, all at a time."""
        y, x = (
            _spread(values, count, side)
            for values, count, side in zip((rows, columns), self.count, self.sides, strict=True)
        )
        inside = np.ones((y.size, x.size), dtype=bool)
        places = []
        for at, size, step, side in zip(self.at(y, x), mask.shape[-2:], self.step, TO_SOUTH_EAST, strict=True):
            tie = np.copysign(ON_EDGE, side * step)
            nearest = np.floor(np.where(np.isfinite(at), at, -1.0) + 0.5 + tie)
            inside &= (nearest >= 0) & (nearest < size)
            places.append(np.clip(nearest, 0, size - 1).astype(np.int64))
        found = mask[..., places[0], places[1]] & inside
        parted = found.reshape(*mask.shape[:-2], rows.size, self.count[0], columns.size, self.count[1])
        return np.asarray(parted.all(axis=(-3, -1)))

    def share(self, count: int = 4 * SAMPLES) -> float:
        """Share of the cells that the mask reaches, by a sample of so many rows and columns of them."""
        y, x = (values[np.unique(np.linspace(0, values.size - 1, count).astype(int))] for values in (self.y, self.x))
        inside = [(at > -0.5) & (at < size - 0.5) for at, size in zip(self.at(y, x), self.size, strict=True)]
        return float((inside[0] & inside[1]).mean())


def _spread(centres: np.ndarray, count: int, side: float) -> np.ndarray:
    """Evenly spread points of cells, so many each."""
    offsets = (np.arange(count) - 0.5 * (count - 1)) / count * side
    return np.asarray((centres[:, np.newaxis] + offsets).ravel())


def _median(values: np.ndarray) -> float:
    """Median of those that are known, 0 if none is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else 0.0
