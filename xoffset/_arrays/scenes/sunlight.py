"""The sun of a date, and the shadows that it casts on rugged ground which is known everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft

from xoffset._arrays import terrain
from xoffset._kernels.images import warp

# Mean solar time at which satellites on orbits such as those of Sentinel-2 and Landsat pass [h].
HOUR = 10.5
# Obliquity of the ecliptic [degree].
_OBLIQUITY = 23.439
# Longest and shortest waves of the hills, as shares of the side, and root mean square of their slope [degree].
_HILLS = (0.25, 1.0, 10.0)
# Shortest and longest waves of the pattern whose highest fifth are rocks [px], from so many of its standard deviations
# on; their height [px], and the width of their walls in standard deviations. Walls cast shadows in summer too.
_ROCKS, _FROM, _HEIGHT, _WALL = (3.0, 8.0), 0.8, 1.5, 0.1
# Points along the side of a pixel at which the light is looked at.
_FINE = 4


def position(dates: np.ndarray, latitude: float) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth, clockwise from true north, and elevation (date,) [degree] of the sun at 10:30 mean solar time.

    By the low-precision formulas of the Astronomical Almanac, within about 0.1 degree from 1950 to 2050.
    """
    days = np.floor((dates - np.datetime64("2000-01-01T00:00", "us")) / np.timedelta64(1, "D"))
    longitude = np.deg2rad((280.460 + 0.9856474 * days) % 360.0)
    anomaly = np.deg2rad((357.528 + 0.9856003 * days) % 360.0)
    ecliptic = longitude + np.deg2rad(1.915 * np.sin(anomaly) + 0.020 * np.sin(2.0 * anomaly))
    tilt, place = math.radians(_OBLIQUITY), math.radians(latitude)
    declination = np.arcsin(math.sin(tilt) * np.sin(ecliptic))
    ascension = np.arctan2(math.cos(tilt) * np.sin(ecliptic), np.cos(ecliptic))
    # how far the true sun is ahead of the mean one
    ahead = (longitude - ascension + np.pi) % (2.0 * np.pi) - np.pi
    hour = math.radians(15.0 * (HOUR - 12.0)) + ahead
    east = -np.cos(declination) * np.sin(hour)
    north = math.cos(place) * np.sin(declination) - math.sin(place) * np.cos(declination) * np.cos(hour)
    up = math.sin(place) * np.sin(declination) + math.cos(place) * np.cos(declination) * np.cos(hour)
    return np.rad2deg(np.arctan2(east, north)) % 360.0, np.rad2deg(np.arcsin(up))


@dataclass(frozen=True)
class Relief:
    """Hills strewn with rocks, which repeat themselves, under images of the same shape (rows, columns).

    hills: coefficients of the spline of heights [px]; rocks: of that of the pattern of rocks, in its standard
    deviations; moves: share of the motion of the ground at each pixel: rocks move with it, and hills do not.
    """

    hills: np.ndarray
    rocks: np.ndarray
    moves: np.ndarray

    @classmethod
    def of(cls, moves: np.ndarray, generator: np.random.Generator) -> Relief:
        """Random relief."""
        rows, columns = moves.shape
        shape, side = (rows, columns), min(moves.shape)
        pattern = _waves(shape, generator, *_ROCKS)
        hills = _waves(shape, generator, _HILLS[0] * side, _HILLS[1] * side)
        rise = math.sqrt(sum(float((np.diff(hills, axis=axis) ** 2).mean()) for axis in (0, 1)))
        hills *= math.tan(math.radians(_HILLS[2])) / rise if rise > 0.0 else 0.0
        return cls(hills, pattern / (pattern.std() or 1.0), moves)

    @property
    def heights(self) -> np.ndarray:
        """Heights (rows, columns) [px] at the centres of the pixels, before the ground moved."""
        places = np.indices(self.hills.shape, dtype=np.float64)
        return self._at(places[0], places[1], (0.0, 0.0))

    def _at(self, y: np.ndarray, x: np.ndarray, moved: tuple[float, float]) -> np.ndarray:
        """Heights [px] at places [px], (rows, columns), after motion along y and x [px]."""
        hills, rocks = np.empty((2, y.size))
        warp.values(self.hills, self.moves, 0.0, 0.0, y.ravel(), x.ravel(), hills)
        warp.values(self.rocks, self.moves, moved[0], moved[1], y.ravel(), x.ravel(), rocks)
        return np.asarray(hills + _HEIGHT * np.clip((rocks - _FROM) / _WALL + 0.5, 0.0, 1.0)).reshape(y.shape)

    def shadow(
        self, sun: tuple[float, float], moved: tuple[float, float], displaced: tuple[np.ndarray, np.ndarray]
    ) -> np.ndarray:
        """Share of each pixel (rows, columns) that lies in the shadow of the relief.

        sun: azimuth, clockwise from the top, and elevation [degree]; moved: motion of the ground along y and x [px]
        where it moves most; displaced: how far the image is, along y and x [px], a number each or one a pixel. The
        relief is looked at where it is seen, so no image is ever interpolated.
        """
        azimuth, elevation = sun
        shape, fall = self.hills.shape, math.tan(math.radians(elevation))
        # shadows come in from beyond the edges that face the sun
        reach = min((np.ptp(self.hills) + _HEIGHT) / fall, 2.0 * max(shape))
        toward = -math.cos(math.radians(azimuth)), math.sin(math.radians(azimuth))
        edges = [(2 + math.ceil(reach * max(-each, 0.0)), 2 + math.ceil(reach * max(each, 0.0))) for each in toward]
        around = [np.pad(np.broadcast_to(each, shape), edges, mode="edge") for each in displaced]
        fine = [np.repeat(np.repeat(each, _FINE, axis=0), _FINE, axis=1) for each in around]
        places = np.indices(fine[0].shape, dtype=np.float64)
        y, x = (
            (k + 0.5) / _FINE - 0.5 - before - each for k, (before, _), each in zip(places, edges, fine, strict=True)
        )
        light = terrain.Light.of(azimuth, elevation, 1.0 / _FINE, -1.0 / _FINE)
        size = y.shape[0], y.shape[1]
        dark = light.shadows(self._at(y, x, moved), 0, light.start(size), size)[0]
        inside = tuple(slice(_FINE * before, -_FINE * after) for before, after in edges)
        return np.asarray(dark[inside].reshape(shape[0], _FINE, shape[1], _FINE).mean(axis=(1, 3)))


def _waves(shape: tuple[int, int], generator: np.random.Generator, shortest: float, longest: float) -> np.ndarray:
    """Random heights (rows, columns) of waves between two lengths [px]."""
    spectrum = scipy.fft.rfft2(generator.standard_normal(shape))
    frequency = np.hypot(scipy.fft.fftfreq(shape[0])[:, None], scipy.fft.rfftfreq(shape[1])[None])
    frequency[0, 0] = np.inf
    # tiny images may have no such wave
    is_wave = (frequency >= 1.0 / longest) & (frequency <= 1.0 / shortest)
    return np.asarray(scipy.fft.irfft2(np.where(is_wave, spectrum / frequency, 0.0), s=shape))
