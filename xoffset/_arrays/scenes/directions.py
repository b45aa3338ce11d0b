"""Directions as unit vectors and as angles [degrees]: means go by vectors, since azimuths begin anew at 360."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def vectors(zenith: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3) to the east, to the north and up of angles [degrees], azimuths clockwise from north."""
    zenith, azimuth = np.deg2rad(zenith), np.deg2rad(azimuth)
    horizontal = np.sin(zenith)
    return np.stack([horizontal * np.sin(azimuth), horizontal * np.cos(azimuth), np.cos(zenith)], axis=-1)


def angles(east: np.ndarray, north: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth, 0 up to 360, and zenith angle [degrees] of vectors of any length, from their components."""
    return np.rad2deg(np.arctan2(east, north)) % 360.0, np.rad2deg(np.arctan2(np.hypot(east, north), up))


def mean(directions: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Azimuth and elevation [degrees] of the mean of unit vectors, given by theirs."""
    azimuth, elevation = np.array(directions, dtype=np.float64).T
    azimuth, zenith = angles(*vectors(90.0 - elevation, azimuth).sum(axis=0))
    return float(azimuth), 90.0 - float(zenith)
