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


def _centre(data: xr.DataArray | xr.Dataset) -> tuple[float, float]:
    x, y = (0.5 * float(data[name].values[0] + data[name].values[-1]) for name in ("x", "y"))
    return x, y
