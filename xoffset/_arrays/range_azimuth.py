"""From displacements along the line of sight and the track of a radar to those toward east and north."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Sine of the angle between the two directions on the ground below which they tell no vector.
_LEAST = 0.15


def at_height(cube: np.ndarray, axes: Sequence[np.ndarray], height: float, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Values of a cube (height, y, x) at one height and the nodes of a grid (y, x), linear between; NaN outside.

    Below the lowest and above the highest layer the values of that layer hold.
    """
    from scipy.interpolate import RegularGridInterpolator

    layers, rows, columns = (np.asarray(axis, dtype=np.float64) for axis in axes)
    order = [np.argsort(axis) for axis in (layers, rows, columns)]
    values = np.asarray(cube, dtype=np.float64)[np.ix_(*order)]
    ascending = [axis[each] for axis, each in zip((layers, rows, columns), order, strict=True)]
    if ascending[0].size == 1:
        plane = values[0]
    else:
        height = float(np.clip(height, ascending[0][0], ascending[0][-1]))
        above = int(np.clip(np.searchsorted(ascending[0], height), 1, ascending[0].size - 1))
        low, high = ascending[0][above - 1 : above + 1]
        share = (height - low) / (high - low)
        plane = (1.0 - share) * values[above - 1] + share * values[above]
    find = RegularGridInterpolator(ascending[1:], plane, bounds_error=False, fill_value=np.nan)
    found: np.ndarray = find(np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1))
    return found


def horizontal(
    away: np.ndarray,
    along: np.ndarray,
    sigma_away: np.ndarray | None,
    sigma_along: np.ndarray | None,
    covariance: np.ndarray | None,
    *,
    vectors: np.ndarray,
) -> tuple[np.ndarray | None, ...]:
    """Horizontal displacement toward east and north, with standard errors and covariance, of the two of a radar.

    Away from the sensor r = -(l_e e + l_n n), with l the unit vector from the ground to the sensor, whose vertical part
    meets no motion; along the track a = t_e e + t_n n. NaN where the two directions are nearly one.

    Parameters
    ----------
    away, along
        Displacement along the line of sight, positive away from the sensor, and along the track (y, x), metres.
    sigma_away, sigma_along, covariance
        Their errors; None if not known.
    vectors
        East and north of the unit vector to the sensor, and of that along the track (4, y, x).
    """
    l_e, l_n, t_e, t_n = vectors
    determinant = l_n * t_e - l_e * t_n
    length = np.hypot(l_e, l_n) * np.hypot(t_e, t_n)
    with np.errstate(divide="ignore", invalid="ignore"):
        is_told = np.abs(determinant) >= _LEAST * length
        inverse = np.where(is_told, 1.0 / determinant, np.nan)
    # e and n from r and a
    a, b, c, d = t_n * inverse, l_n * inverse, -t_e * inverse, -l_e * inverse
    kind = np.float64 if away.dtype == np.float64 else np.float32
    east, north = a * away + b * along, c * away + d * along
    if sigma_away is None or sigma_along is None:
        return east.astype(kind), north.astype(kind), None, None, None
    rr, aa = sigma_away.astype(np.float64) ** 2, sigma_along.astype(np.float64) ** 2
    ra = 0.0 if covariance is None else covariance.astype(np.float64)
    return (
        east.astype(kind),
        north.astype(kind),
        np.sqrt(np.maximum(a * a * rr + b * b * aa + 2.0 * a * b * ra, 0.0)).astype(kind),
        np.sqrt(np.maximum(c * c * rr + d * d * aa + 2.0 * c * d * ra, 0.0)).astype(kind),
        (a * c * rr + b * d * aa + (a * d + b * c) * ra).astype(kind),
    )
