"""Places along and across the flight of a sensor, and its direction as the edges of its stripes show it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft

# Bins in the shortest wavelength: lines between them are then within 8 % of its amplitude, and 0.5 % of one four times
# as long.
FINE = 8
# Columns across the scene of a field of wavelets.
COLUMNS = 33


@dataclass(frozen=True)
class Track:
    """Bins along the flight, on both sides of the middle of the scene, and the waves that are told."""

    half: tuple[float, float]  # half the extent of the nodes along x and y [m]
    shortest: float  # wavelength [m]
    longest: float
    stripes: int = 1
    is_wavelet: bool = False

    @property
    def width(self) -> float:
        """Width of a bin [m]."""
        return self.shortest / FINE

    @property
    def _side(self) -> int:
        return math.ceil(math.hypot(*self.half) / self.width)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Components, stripes, columns and bins of the table of a pair."""
        return 2, self.stripes, COLUMNS if self.is_wavelet else 1, 2 * self._side + 1

    def along(self, u: np.ndarray, v: np.ndarray, heading: float) -> np.ndarray:
        """Place along the flight, in bins from the first one; u, v: -1 to 1 over the scene, heading in degrees."""
        east, north = math.sin(math.radians(heading)), math.cos(math.radians(heading))
        return np.asarray((u * (self.half[0] * east) + v * (self.half[1] * north)) / self.width + self._side)

    def across(self, u: np.ndarray, v: np.ndarray, heading: float) -> np.ndarray:
        """Place across the flight, in columns from the first one."""
        east, north = math.sin(math.radians(heading)), math.cos(math.radians(heading))
        away = u * (self.half[0] * north) - v * (self.half[1] * east)
        return np.asarray((away / max(math.hypot(*self.half), 1e-9) + 1.0) * (0.5 * (COLUMNS - 1)))

    @cached_property
    def size(self) -> int:
        """Length of the transforms: the bins, and room for the longest wave, so that the two ends are on their own."""
        return int(scipy.fft.next_fast_len(self.shape[3] + math.ceil(self.longest / self.width), real=True))

    @cached_property
    def bands(self) -> np.ndarray:
        """Band of each frequency of a transform: -1 of the longer waves, then octaves or so, down to the shortest."""
        length = self.size * self.width
        wave = length / np.maximum(np.arange(int(length / self.shortest) + 1), 1e-9)
        number = max(round(math.log2(self.longest / self.shortest)), 1)
        band = np.floor(number * np.log(self.longest / wave) / math.log(self.longest / self.shortest))
        return np.where(wave >= self.longest, -1, np.minimum(band, number - 1)).astype(np.int64)


def heading_of_edges(stripes: np.ndarray, spacing: tuple[float, float]) -> float:
    """Direction of the edges between stripes (layer, rows, columns), 0 where there are none, in degrees from 90 to 270.

    `spacing`: signed distance of nodes along x and y [m]. NaN where no edge shows a direction.
    """
    scatter = np.zeros((2, 2))
    for layer in stripes.astype(np.int64):
        for axis in (0, 1):
            first, second = (layer[:-1], layer[1:]) if axis == 0 else (layer[:, :-1], layer[:, 1:])
            row, column = np.nonzero((first != second) & (first > 0) & (second > 0))
            edge = first[row, column] * (1 + stripes.max()) + second[row, column]
            x = spacing[0] * (column + 0.5 * axis)
            y = spacing[1] * (row + 0.5 * (1 - axis))
            for each in np.unique(edge):
                here = edge == each
                away = np.stack([x[here] - x[here].mean(), y[here] - y[here].mean()])
                scatter += away @ away.T
    if not scatter.any():
        return math.nan
    angle = 0.5 * math.atan2(2.0 * scatter[0, 1], scatter[0, 0] - scatter[1, 1])
    # an azimuth is counted from north the other way round, and of two opposite ones the southward one is taken
    return 90.0 + (-math.degrees(angle)) % 180.0
