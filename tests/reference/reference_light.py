"""Slow twins of what comes back with the sun or the seasons: plain NumPy, one pixel at a time, from the equations."""

from itertools import pairwise

import numpy as np

YEAR = 365.25


def years(dates):
    return (dates - dates[0]) / np.timedelta64(1, "s") / 86400.0 / YEAR


def slow(dates):
    """Displacement of one unit of velocity in each of some equal intervals of a year or more."""
    time = years(dates)
    edges = np.linspace(0.0, time[-1], max(int(time[-1]), 1) + 1)
    return np.stack([np.clip(time, a, b) - a for a, b in pairwise(edges)], axis=1)


def season(dates):
    phase = 2.0 * np.pi * (dates - np.datetime64("2000-01-01")) / np.timedelta64(1, "s") / 86400.0 / YEAR
    return np.stack([np.sin(phase), np.cos(phase)], axis=1)


def slants(azimuth, elevation):
    away = np.cos(np.deg2rad(elevation)) / np.sin(np.deg2rad(elevation))
    return np.stack([away * np.sin(np.deg2rad(azimuth)), away * np.cos(np.deg2rad(azimuth))], axis=1)


def fitted(design, observed):
    """Parameters of a line of observations, those that are NaN left out."""
    known = np.isfinite(observed)
    return np.linalg.lstsq(design[known], observed[known], rcond=None)[0]


def condition(design):
    return np.linalg.cond(design / np.linalg.norm(design, axis=0))


def place_of_sun(day_of_year, latitude, hour):
    """Azimuth and elevation by Cooper's declination and Spencer's equation of time: good to about half a degree."""
    turn = 2.0 * np.pi * (day_of_year - 1) / 365.0
    minutes = 229.18 * (
        0.000075 + 0.001868 * np.cos(turn) - 0.032077 * np.sin(turn) - 0.014615 * np.cos(2 * turn)
        - 0.040849 * np.sin(2 * turn)
    )  # fmt: skip
    declination = np.deg2rad(23.45 * np.sin(2.0 * np.pi * (284 + day_of_year) / 365.0))
    angle, place = np.deg2rad(15.0 * (hour - 12.0) + minutes / 4.0), np.deg2rad(latitude)
    height = np.arcsin(np.sin(place) * np.sin(declination) + np.cos(place) * np.cos(declination) * np.cos(angle))
    cosine = (np.sin(declination) - np.sin(height) * np.sin(place)) / (np.cos(height) * np.cos(place))
    from_north = np.rad2deg(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return np.where(angle < 0.0, from_north, 360.0 - from_north), np.rad2deg(height)
