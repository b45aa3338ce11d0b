"""Small products of known numbers, made by hand from what the contract says of them."""

import numpy as np
import pyproj
import xarray as xr

EPSG = 32632
DATES = np.array(["2020-01-01T10:00:00", "2020-03-11T10:20:30.250001", "2021-02-01T23:59:59.999999"], dtype="M8[us]")
X, Y = 300_005.0 + 10.0 * np.arange(9), 4_999_995.0 - 10.0 * np.arange(6)
FLAGS = {"flag_masks": [1, 2, 4], "flag_meanings": "outside nodata few_valid", "long_name": "flags"}


def coords(epsg=EPSG, x=X, y=Y, **more):
    found = {"y": ("y", y, {"units": "m"}), "x": ("x", x, {"units": "m"})} | more
    if epsg is not None:
        crs = pyproj.CRS.from_epsg(epsg)
        found["spatial_ref"] = ((), 0, crs.to_cf() | {"spatial_ref": crs.to_wkt()})
    return found


def maps(names, units, shape=(6, 9), dims=("y", "x"), seed=0):
    """Maps by name, each NaN in its second row and third column."""
    random = np.random.default_rng(seed)
    found = {}
    for name in names:
        values = random.normal(size=shape).astype("float32")
        values[..., 1, 2] = np.nan
        found[name] = (dims, np.abs(values) if name.startswith(("sigma", "v_")) else values, {"units": units})
    return found


def with_flags(data):
    """Product with flags on the dims of its first variable, `nodata` where that is NaN."""
    first = next(iter(data.data_vars.values()))
    return data.assign(flags=(first.dims, np.isnan(first.values).astype("int64") * 2, FLAGS))


def shifts(**options):
    pairs = {"reference": ("pair", DATES[[0, 0]]), "secondary": ("pair", DATES[[1, 2]])}
    fields = maps(("dx", "dy", "sigma_dx", "sigma_dy"), "m", (2, 6, 9), ("pair", "y", "x"))
    return with_flags(xr.Dataset(fields, coords(**pairs, **options)))


def series(**options):
    fields = maps(("dx", "dy", "sigma_dx", "sigma_dy"), "m", (3, 6, 9), ("time", "y", "x"), seed=1)
    for x, y, text in (("dx", "dy", "displacement along {} since the reference date"),):
        fields[x][2]["long_name"], fields[y][2]["long_name"] = text.format("x"), text.format("y")
    return with_flags(xr.Dataset(fields, coords(time=("time", DATES), **options)))


def rate(**options):
    fields = maps(("vx", "vy", "sigma_vx", "sigma_vy"), "m yr-1", seed=2)
    for name, axis in (("vx", "x"), ("vy", "y")):
        fields[name][2]["long_name"] = f"velocity along {axis}"
    speed = np.hypot(fields["vx"][1], fields["vy"][1])
    fields["v"] = (("y", "x"), speed, {"units": "m yr-1", "long_name": "speed"})
    angle = np.degrees(np.arctan2(fields["vx"][1], fields["vy"][1])) % 360.0
    fields["direction"] = (("y", "x"), angle.astype("float32"), {"units": "degree"})
    last = np.full((6, 9), DATES[2])
    last[1, 2] = np.datetime64("NaT")
    fields["last"] = (("y", "x"), last)
    return with_flags(xr.Dataset(fields, coords(**options)))


def profile():
    """Five samples along a line, at two pairs."""
    along = {
        "distance": ("distance", 20.0 * np.arange(5), {"units": "m"}),
        "reference": ("pair", DATES[[0, 0]]),
        "secondary": ("pair", DATES[[1, 2]]),
    }
    where = {"x": ("distance", 300_100.0 + 12.0 * np.arange(5)), "y": ("distance", 4_999_900.0 - 16.0 * np.arange(5))}
    names = ("parallel", "normal", "sigma_parallel", "sigma_normal")
    fields = {name: (("pair", "distance"), np.arange(10.0).reshape(2, 5) + 100.0 * k) for k, name in enumerate(names)}
    fields["parallel"][1][1, 3] = np.nan
    made = {name: (dims, values, {"units": "m"}) for name, (dims, values) in fields.items()}
    return xr.Dataset(made, {k: v for k, v in coords().items() if k == "spatial_ref"} | along | where)


def trajectories():
    """Three points: one known throughout, one that leaves at the second date, one that is nowhere."""
    x = np.array([[300_100.0, 300_101.5, 300_103.0], [300_200.0, 300_202.0, np.nan], [np.nan] * 3])
    y = np.array([[4_999_900.0, 4_999_898.0, 4_999_896.0], [4_999_800.0, 4_999_801.0, np.nan], [np.nan] * 3])
    fields = {"x": x, "y": y, "dx": x - x[:, :1], "dy": y - y[:, :1]}
    made = {name: (("point", "time"), values, {"units": "m"}) for name, values in fields.items()}
    made["flags"] = (("point", "time"), np.isnan(x).astype("int64"))
    return xr.Dataset(made, {k: v for k, v in coords().items() if k == "spatial_ref"} | {"time": ("time", DATES)})
