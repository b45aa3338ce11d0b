"""Shifts with known errors of position, made as fields: no image is matched."""

import numpy as np
import xarray as xr

from xoffset._arrays import acquisition

STEP = 80.0  # between nodes [m]; a pixel has 10 m
PIXEL = 10.0


def shifts(shape=(150, 150), *, pairs=((0, 1),), ramp=0.0, stripes=0.0, jitter=0.0, noise=1.0, motion=None, seed=0):
    """Shifts (pair, y, x) of pairs of dates five days apart, the errors of position in them, and the stripes.

    All in metres. Half of the variance of the noise of a pair is that of each of its dates. motion: (component, rows,
    columns) of each pair.
    """
    dates = 1 + max(map(max, pairs))
    geometry = acquisition.geometry(shape, STEP, dates, (ramp, stripes, jitter), seed)
    generator = np.random.default_rng([seed, 3])
    seen = geometry.error + np.sqrt(0.5) * noise * generator.standard_normal(geometry.error.shape)
    first, second = np.transpose(pairs)
    values = seen[:, second] - seen[:, first]
    if motion is not None:
        values = values + motion[:, np.newaxis]
    dims, time = ("pair", "y", "x"), np.datetime64("2020-01-01T10:00", "us") + np.arange(dates) * np.timedelta64(5, "D")
    sigma = np.full(values.shape[1:], noise)
    found = xr.Dataset(
        {
            "dx": (dims, values[0], {"units": "m"}),
            "dy": (dims, values[1], {"units": "m"}),
            "sigma_dx": (dims, sigma, {"units": "m"}),
            "sigma_dy": (dims, sigma, {"units": "m"}),
        },
        coords={
            "y": 5e6 - STEP * np.arange(shape[0]),
            "x": 5e5 + STEP * np.arange(shape[1]),
            "reference": ("pair", time[first]),
            "secondary": ("pair", time[second]),
        },
    )
    error = geometry.error[:, second] - geometry.error[:, first]
    return found, error, on_grid(geometry.detector, found)


def on_grid(values, like):
    """A map of the nodes of shifts."""
    return xr.DataArray(values, dims=("y", "x"), coords={"y": like.y, "x": like.x})


def places(shape):
    """Places x, y [m] of the nodes from the middle of the scene (rows, columns)."""
    y, x = (STEP * (np.indices(shape)[k] - 0.5 * (shape[k] - 1)) for k in (0, 1))
    return x, -y


def along(shape, heading=192.0):
    """Places along the flight [m]."""
    x, y = places(shape)
    return x * np.sin(np.deg2rad(heading)) + y * np.cos(np.deg2rad(heading))
