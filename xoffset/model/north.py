"""Where a grid lies on the Earth, and how its north differs from the true one."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xoffset.model import grids

# Way along the ground that tells where true north lies on a grid [m].
_STEP = 1000.0


def middle(data: xr.DataArray | xr.Dataset, what: str, caller: str) -> tuple[float, float] | None:
    """Longitude and latitude [degree] of the middle of a grid; None without a CRS.

    Raises
    ------
    ValueError
        If `what` lies where its CRS has no coordinates.
    """
    crs = grids.crs_of(data)
    if crs is None:
        return None
    import pyproj

    x, y = _centre(data)
    place = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(x, y)
    if crs.get_geod() is None or not np.isfinite(place).all():
        raise ValueError(
            f"{caller}() needs {what} to lie where {crs.name} has coordinates; got x = {x:g}, y = {y:g}. Check "
            "coordinates and CRS."
        )
    return float(place[0]), float(place[1])


def to_grid_north(azimuths: np.ndarray, data: xr.DataArray | xr.Dataset, what: str, caller: str) -> np.ndarray:
    """Azimuths (n,) clockwise from the north of the grid, at its middle; given from true north, in degrees."""
    place, crs = middle(data, what, caller), grids.crs_of(data)
    if place is None or crs is None:
        return azimuths
    import pyproj

    longitude, latitude = (np.full(azimuths.shape, each) for each in place)
    geod = crs.get_geod()
    assert geod is not None  # `middle` has refused it
    there = geod.fwd(longitude, latitude, azimuths, np.full(azimuths.shape, _STEP))
    to_grid = pyproj.Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True)
    (x, y), (east, north) = _centre(data), to_grid.transform(there[0], there[1])
    turned: np.ndarray = np.rad2deg(np.arctan2(east - x, north - y)) % 360.0
    return turned


def onto_ground(x: np.ndarray, y: np.ndarray, crs: str) -> np.ndarray:
    """East per x, east per y, north per x, north per y (4, ...): metres of ground per metre of grid."""
    import pyproj

    projection = pyproj.Proj(pyproj.CRS.from_wkt(crs))
    longitude, latitude = projection(x, y, inverse=True)
    factors = projection.get_factors(longitude, latitude)
    # radii of curvature along the parallel and the meridian, in units of the major axis as the derivatives are
    geod = projection.crs.get_geod()
    square = geod.es if geod is not None else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        root = 1.0 - square * np.sin(np.radians(latitude)) ** 2
        parallel = np.cos(np.radians(latitude)) / np.sqrt(root)
        meridian = (1.0 - square) / (root * np.sqrt(root))
        x_east, x_north = factors.dx_dlam / parallel, factors.dx_dphi / meridian
        y_east, y_north = factors.dy_dlam / parallel, factors.dy_dphi / meridian
        determinant = x_east * y_north - x_north * y_east
        turn = np.stack([y_north, -x_north, -y_east, x_east]) / determinant
    return np.where(np.isfinite(turn), turn, np.nan)


def _centre(data: xr.DataArray | xr.Dataset) -> tuple[float, float]:
    x, y = (0.5 * float(data[name].values[0] + data[name].values[-1]) for name in ("x", "y"))
    return x, y
