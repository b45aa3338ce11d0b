"""Where a satellite is when it is closest to places on the ground, in coordinates that turn with the earth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Degree of the polynomials in time that positions are fitted with.
DEGREE = 4


class Track:
    """A path in coordinates that turn with the earth, as a polynomial in time."""

    def __init__(self, seconds: np.ndarray, positions: Sequence[np.ndarray]) -> None:
        """Fit more than `DEGREE` positions: x, y and z at the same times."""
        self._first, self._last = seconds.min(), seconds.max()
        self._path = [np.polynomial.Polynomial.fit(seconds, each, DEGREE) for each in positions]

    def at(self, seconds: np.ndarray) -> np.ndarray:
        """Positions (3, ...) at times."""
        return np.stack([path(seconds) for path in self._path])

    def covers(self, seconds: np.ndarray) -> np.ndarray:
        """Whether times lie on the path."""
        inside: np.ndarray = (seconds >= self._first) & (seconds <= self._last)
        return inside

    def closest(self, ground: np.ndarray) -> np.ndarray:
        """Times at which the path is closest to places (3, ...), by Newton's method."""
        seconds = np.full(ground.shape[1:], (self._first + self._last) / 2)
        speeds = [path.deriv() for path in self._path]
        for _ in range(4):
            toward, speed = self.at(seconds) - ground, np.stack([each(seconds) for each in speeds])
            turn = np.stack([each.deriv()(seconds) for each in speeds])
            slope = (speed * speed).sum(axis=0) + (toward * turn).sum(axis=0)
            seconds = seconds - (toward * speed).sum(axis=0) / slope
        return seconds


def local_axes(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Axes (3, 3, ...) to east, north and up at places on the ellipsoid [degrees]."""
    (sin_l, cos_l), (sin_b, cos_b) = ((np.sin(a), np.cos(a)) for a in np.radians((longitude, latitude)))
    east, north = (-sin_l, cos_l, np.zeros(sin_l.shape)), (-sin_b * cos_l, -sin_b * sin_l, cos_b)
    return np.stack([np.stack(axis) for axis in (east, north, (cos_b * cos_l, cos_b * sin_l, sin_b))])
