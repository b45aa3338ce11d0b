"""Slope, aspect and shadows of terrain, and surroundings of what is marked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from xoffset._kernels.maps import terrain as kernels

# Rows that are looked at together, so that what is made on the way stays small.
STRIP = 256
# Numbers that stand for no data in elevation models, declared or not, in whatever units.
_FILLS = (-9999.0, -10000.0, -32767.0, -32768.0, -99999.0)
# No ground is lower or higher, not that of the sea either [m].
_LOWEST, _HIGHEST = -12_000.0, 9000.0
# Light that moves by fewer pixels sideways, from row to row, moves straight on.
_STRAIGHT = 1e-12


def heights(values: np.ndarray) -> np.ndarray:
    """Heights as floats, NaN where a number is none of land."""
    floats = values.astype(np.float64 if values.dtype.kind == "f" and values.dtype.itemsize > 4 else np.float32)
    floats[~is_of_land(floats) | is_fill(floats)] = np.nan
    return floats


def is_fill(values: Any) -> Any:
    """Whether numbers, as they were stored, stand for no data; so does the largest of integers of two bytes or more."""
    fills = list(_FILLS)
    if values.dtype.kind in "iu" and values.dtype.itemsize > 1:
        fills.append(float(np.iinfo(values.dtype).max))
    found = values == fills[0]
    for fill in fills[1:]:
        found |= values == fill
    return found


def is_of_land(heights: Any) -> Any:
    """Whether some ground is as low or high [m]; not where the height is unknown."""
    return (heights >= _LOWEST) & (heights <= _HIGHEST)


def slope(values: np.ndarray, *, along_x: float, along_y: float, dtype: np.dtype) -> np.ndarray:
    """Slope (n, rows, columns) [degree] from the horizontal of terrain; NaN where a neighbour is unknown."""
    return _of_gradient(values, along_x, along_y, dtype, is_aspect=False)


def aspect(values: np.ndarray, *, along_x: float, along_y: float, dtype: np.dtype) -> np.ndarray:
    """Direction (n, rows, columns) [degree] in which terrain falls, clockwise from y; NaN where it is level."""
    return _of_gradient(values, along_x, along_y, dtype, is_aspect=True)


def _of_gradient(values: np.ndarray, along_x: float, along_y: float, dtype: np.dtype, *, is_aspect: bool) -> np.ndarray:
    out = np.empty(values.shape, dtype=dtype)
    rows = values.shape[1]
    for layer in range(values.shape[0]):
        for top in range(0, rows, STRIP):
            # a row more on each side, if there is one
            wide = slice(max(top - 1, 0), top + STRIP + 1)
            land = heights(values[layer, wide])
            found = np.empty((2, *land.shape))
            kernels.gradient(land, along_x, along_y, found)
            x, y = found[:, top - wide.start :][:, :STRIP]
            part = out[layer, top : top + STRIP]
            if is_aspect:
                part[:] = np.rad2deg(np.arctan2(-x, -y)) % 360.0
                # rounding may end at a whole turn
                part[part == 360.0] = 0.0
                part[(x == 0.0) & (y == 0.0)] = np.nan
            else:
                part[:] = np.rad2deg(np.arctan(np.hypot(x, y)))
    return out


@dataclass(frozen=True)
class Light:
    """How parallel light comes over a grid.

    It goes from row to row if the axis is 0, from column to column if it is 1, backwards if it is reversed. From one to
    the next it moves by so many pixels sideways, and loses so much height [m].
    """

    axis: int
    is_reversed: bool
    drift: float
    fall: float

    @classmethod
    def of(cls, azimuth: float, elevation: float, along_x: float, along_y: float) -> Light:
        """Light of a sun at an azimuth, clockwise from y, and elevation [degree]; signed pixel sizes [m]."""
        # pixels that it moves per metre: away from the sun
        columns = -math.sin(math.radians(azimuth)) / along_x
        rows = -math.cos(math.radians(azimuth)) / along_y
        axis, main, side = (0, rows, columns) if abs(rows) >= abs(columns) else (1, columns, rows)
        fall = math.tan(math.radians(elevation)) / abs(main)
        # along rows or columns to rounding, light moves along these and between no two others
        drift = 0.0 if abs(side / main) < _STRAIGHT else side / abs(main)
        return cls(axis, main < 0.0, drift, fall)

    def start(self, shape: tuple[int, int]) -> np.ndarray:
        """State before the first strip of a grid: the rays of all lines, which have met nothing."""
        return np.full(self._before(shape) + self._after(shape) + shape[1 - self.axis] + 1, np.nan)

    def _before(self, shape: tuple[int, int]) -> int:
        return 1 + max(math.floor(self.drift * (shape[self.axis] - 1)), 0)

    def _after(self, shape: tuple[int, int]) -> int:
        return max(-math.floor(self.drift * (shape[self.axis] - 1)), 0)

    def shadows(
        self, values: np.ndarray, first: int, rays: np.ndarray, shape: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Shadows on a strip of a grid of some shape, and the rays behind it.

        The strip (rows, columns) lies as in the grid, whole across the light; `first` is the number of pixels between
        it and the edge that the light comes from.
        """
        land = heights(values)
        flip = slice(None, None, -1 if self.is_reversed else 1)
        along = np.ascontiguousarray((land if self.axis == 0 else land.T)[flip])
        out = np.empty(along.shape, dtype=np.bool_)
        rays = rays.copy()
        kernels.shade(along, first, self.drift, self.fall, self._before(shape), rays, out)
        return (out[flip] if self.axis == 0 else out[flip].T), rays


def near(marked: np.ndarray, *, reach: float, steps: tuple[float, float]) -> np.ndarray:
    """Pixels (n, rows, columns) no further than a reach from a marked one, centre to centre; steps along y and x."""
    from scipy.ndimage import distance_transform_edt

    out = np.zeros(marked.shape, dtype=np.bool_)
    for layer in range(len(marked)):
        if marked[layer].any():
            # a pixel of a third of a metre has no exact side
            out[layer] = distance_transform_edt(~marked[layer], sampling=steps) <= reach * (1.0 + 1e-9)
    return out


def hillshade(elevation: np.ndarray, spacing: tuple[float, float], azimuth: float, altitude: float) -> np.ndarray:
    """Brightness of terrain (rows, columns) under a light, 0 to 1; NaN beside a hole.

    Rows go from south to north, columns from west to east, at distances (y, x) [m]; azimuth clockwise from north and
    altitude of the light in degrees. Ground that is level has the sine of the altitude (Lambert).
    """
    slopes = [
        np.gradient(elevation, step, axis=axis) if elevation.shape[axis] > 1 else np.zeros_like(elevation)
        for axis, step in enumerate(spacing)
    ]
    turn, height = np.radians(azimuth), np.radians(altitude)
    toward = -np.cos(height) * (slopes[0] * np.cos(turn) + slopes[1] * np.sin(turn)) + np.sin(height)
    return np.asarray(np.clip(toward / np.sqrt(1.0 + slopes[0] ** 2 + slopes[1] ** 2), 0.0, 1.0))
