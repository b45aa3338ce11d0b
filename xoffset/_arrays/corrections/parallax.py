"""What heights beside those of the terrain model do to displacements between images from different sides."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.layers import Layers
from xoffset._arrays.networks import solver
from xoffset._arrays.networks.observations import Observations
from xoffset._kernels.corrections.parallax import ALIKE, height_errors


def look_of(zenith: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Displacement of a place along x and y for each metre that it lies above the terrain model (2, ...).

    Away from the satellite. zenith, azimuth: of the direction toward it, azimuth clockwise from grid north [degree].
    """
    slant = np.tan(np.radians(zenith))
    return np.stack([-slant * np.sin(np.radians(azimuth)), -slant * np.cos(np.radians(azimuth))])


def layers_of(pairs: int) -> Layers:
    """Where the results are.

    Height error and its standard error [m]; what is taken off each pair [m]; its standard error [m], with the sign of
    the view difference; 1 where a pair holds an unknown part.
    """
    return Layers(height=(), error=(), dx=(pairs,), dy=(pairs,), own_x=(pairs,), own_y=(pairs,), unknown=(pairs,))


def solve(*fields: np.ndarray, ends: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Results (layer, rows, columns) as `layers_of` says.

    fields: displacements along x and y and their standard errors (pair, rows, columns), then zenith and azimuth as of
    `look_of` (date, rows, columns). ends (pair, 2): dates of each pair as indices into times (date,) [yr].
    """
    dx, dy, sigma_x, sigma_y, zenith, azimuth = fields
    seen = Observations.of(ends)
    merged = seen.merge(dx, dy, sigma_x, sigma_y)
    look = look_of(zenith.astype(np.float64), azimuth.astype(np.float64))
    of_dates = np.empty(look.shape)
    for variance, out in zip(merged[2:], of_dates, strict=True):
        solver.date_variance(seen.ends, variance, out)
    found = np.empty((2, *dx.shape[1:]))
    years = times[seen.ends[:, 1]] - times[seen.ends[:, 0]]
    height_errors(seen.ends, years, merged, look, of_dates, found)

    places = layers_of(len(ends))
    result = np.empty((places.count, *dx.shape[1:]), dtype=dx.dtype)
    parts = places.split(result)
    parts["height"][...], parts["error"][...] = found
    for pair, (first, second) in enumerate(ends):
        view = look[:, second] - look[:, first]
        # views that are alike leave nothing; what is unknown is not taken off
        is_alike = np.hypot(*view) < ALIKE
        is_told = ~is_alike & np.isfinite(found).all(axis=0) & np.isfinite(view).all(axis=0)
        parts["dx"][pair], parts["dy"][pair] = np.where(is_told, view * found[0], 0.0)
        parts["own_x"][pair], parts["own_y"][pair] = np.where(is_told, view * found[1], 0.0)
        parts["unknown"][pair] = ~is_alike & ~is_told
    return result
