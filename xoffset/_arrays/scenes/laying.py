"""Layers laid on the pixels of another grid by position: each takes the pixel that holds its centre."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Rows that are turned to another CRS together.
_STRIP = 256
# Pixels along each side that are looked at to find out whether a layer lies there at all.
_SAMPLES = (256, 2048)
# Part of a pixel by which a centre may miss an edge and be taken to lie on it.
_ON_EDGE = 1e-6
# Of two pixels that share an edge the one in the south or in the east has what lies on it, in whatever order they come.
_SOUTH, _EAST = -1.0, 1.0

# From x and y of a grid to those of another CRS.
Turn = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Axis:
    """Uniform coordinates of pixel centres."""

    first: float
    step: float
    size: int

    @property
    def centres(self) -> np.ndarray:
        """Coordinates, float64."""
        return self.first + self.step * np.arange(self.size)

    def index(self, places: np.ndarray, side: float) -> np.ndarray:
        """Pixel that holds each place; -1 where none does. On an edge it is that of larger, or smaller, coordinates."""
        at = np.floor((places - self.first) / self.step + 0.5 + np.copysign(_ON_EDGE, side * self.step))
        # an infinite place is one that the other CRS does not have
        is_inside = (at >= 0) & (at < self.size)
        return np.where(is_inside, at, -1).astype(np.int64)


@dataclass(frozen=True)
class Laying:
    """Grids of a layer and of where it goes, as (y, x), and the way from the second CRS to the first if they differ."""

    of: tuple[Axis, Axis]
    onto: tuple[Axis, Axis]
    turn: Turn | None = None

    @property
    def is_same(self) -> bool:
        """Whether both grids are one, to a thousandth of a pixel."""
        return self.turn is None and all(
            of.size == onto.size and np.abs(of.centres - onto.centres).max() <= 1e-3 * abs(of.step)
            for of, onto in zip(self.of, self.onto, strict=True)
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of where it goes."""
        return self.onto[0].size, self.onto[1].size

    def lay(self, layer: np.ndarray, outside: float) -> np.ndarray:
        """Layer (rows, columns) on the other grid; `outside` where it does not reach."""
        out = np.full(self.shape, outside, dtype=layer.dtype)
        for top in range(0, out.shape[0], _STRIP):
            rows, columns = self.indices(slice(top, top + _STRIP))
            is_inside = (rows >= 0) & (columns >= 0)
            out[top : top + _STRIP] = np.where(is_inside, layer[rows, columns], out[top : top + _STRIP])
        return out

    def touches(self) -> bool:
        """Whether any pixel gets a value; of another CRS every so many are looked at, more if these get none."""
        for most in _SAMPLES if self.turn else (max(self.shape),):
            y, x = (each.centres[:: -(-each.size // most)] for each in self.onto)
            rows, columns = self._at(y, x)
            if ((rows >= 0) & (columns >= 0)).any():
                return True
        return False

    def indices(self, part: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of the layer for each pixel of a part of the rows, -1 where it has none; they broadcast."""
        return self._at(self.onto[0].centres[part], self.onto[1].centres)

    def _at(self, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of the layer for each y and x, which broadcast to (y, x)."""
        if self.turn is None:
            return self.of[0].index(y, _SOUTH)[:, np.newaxis], self.of[1].index(x, _EAST)[np.newaxis]
        turned_x, turned_y = self.turn(*np.meshgrid(x, y))
        return self.of[0].index(turned_y, _SOUTH), self.of[1].index(turned_x, _EAST)
