"""Small arrays on a grid, and the numbers of the six classes."""

import numpy as np
import pyproj
import xarray as xr

from xoffset.model import grids

CLEAR, NULL, CLOUD, SHADOW, SNOW, WATER = range(6)
DATES = np.array(["2021-07-17T10:20:31", "2021-07-22T10:20:31"], "M8[us]")
UTM = "EPSG:32632"


def on_grid(values, *, step=10.0, corner=(5e5, 5e6), crs=UTM, dates=DATES, name=None, **attrs):
    """Array (time, y, x), its first row in the north, its upper left corner given."""
    values = np.asarray(values)
    y = corner[1] - step * (np.arange(values.shape[1]) + 0.5)
    x = corner[0] + step * (np.arange(values.shape[2]) + 0.5)
    coords = {"time": dates[: len(values)], "y": y, "x": x}
    if crs is not None:
        coords["spatial_ref"] = grids.spatial_ref(pyproj.CRS.from_user_input(crs))
    return xr.DataArray(values, dims=("time", "y", "x"), coords=coords, name=name, attrs=attrs)


def stack(shape=(2, 24, 30), **place):
    return on_grid(np.zeros(shape, np.float32), **place)
