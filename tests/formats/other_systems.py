"""Small files of other systems, written from their layouts alone, with a known motion in them."""

import warnings
from pathlib import Path

import h5py
import numpy as np
import rasterio
import xarray as xr
from rasterio.transform import Affine

DATES = (("20190701", "20190805"), ("20190701", "20200619"), ("20190805", "20200619"))
SIDE, WEST, NORTH = 10.0, 500_000.0, 5_170_000.0
ROWS, COLUMNS = 5, 7
EPSG = 32632
# The pixel that has no value, row and column.
HOLE = (1, 2)


def axes():
    """Centres of columns and rows, from the west and from the north."""
    return WEST + SIDE * (np.arange(COLUMNS) + 0.5), NORTH - SIDE * (np.arange(ROWS) + 0.5)


def days(pair):
    """Time between the dates of a pair."""
    first, second = (np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}") for day in DATES[pair])
    return float((second - first) / np.timedelta64(1, "D"))


def velocity():
    """East and north component [m/d] on the grid, all different from each other and from those mirrored."""
    row, column = np.mgrid[:ROWS, :COLUMNS].astype(np.float64)
    return 0.02 + 0.003 * column + 0.0005 * row, -0.05 + 0.001 * column - 0.004 * row


def displacement(pair):
    """East and north component [m] of a pair, NaN in the hole."""
    east, north = (each * days(pair) for each in velocity())
    east[HOLE] = north[HOLE] = np.nan
    return east, north


def raster(path, bands, *, nodata=None, names=(), is_placed=True, driver="GTiff", south_up=False):
    """Raster file of bands (y, x), rows from the north unless asked otherwise."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    bands = np.asarray(bands)[:, ::-1] if south_up else np.asarray(bands)
    place = {}
    if is_placed:
        corner, step = (NORTH - SIDE * ROWS, SIDE) if south_up else (NORTH, -SIDE)
        place = {"transform": Affine(SIDE, 0, WEST, 0, step, corner), "crs": f"EPSG:{EPSG}"}
    profile = {"driver": driver, "dtype": bands.dtype, "nodata": nodata, "count": len(bands)}
    quiet = warnings.catch_warnings(action="ignore", category=rasterio.errors.NotGeoreferencedWarning)
    with quiet, rasterio.open(path, "w", height=ROWS, width=COLUMNS, **profile, **place) as file:
        file.write(bands)
        for number, name in enumerate(names, start=1):
            file.set_band_description(number, name)
    return Path(path)


def pixels(pair, dtype=np.float32):
    """Toward the right and downwards [pixel], as MicMac and the Ames Stereo Pipeline count."""
    east, north = displacement(pair)
    return np.stack([east / SIDE, -north / SIDE]).astype(dtype)


def correlation():
    """Score 0 to 1 and its numbers of 8 bit, 0 in the hole."""
    score = np.linspace(0.1, 1.0, ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    number = np.rint(128 + 127 * score).astype(np.uint8)
    number[HOLE] = 0
    return score, number


def mintpy(path, *, processor="cosicorr", dropped=(), extra=None):
    """Stack of offsets of MintPy: pairs of DATES, east as range, north as azimuth."""
    fields = np.stack([displacement(pair) for pair in range(len(DATES))]).astype(np.float32)
    attrs = {
        "LENGTH": ROWS, "WIDTH": COLUMNS, "PROCESSOR": processor, "X_FIRST": WEST, "Y_FIRST": NORTH, "X_STEP": SIDE,
        "Y_STEP": -SIDE, "EPSG": EPSG, "REF_Y": 0, "REF_X": 0, "FILE_TYPE": "ifgramStack",
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        file["rangeOffset"], file["azimuthOffset"] = fields[:, 0], fields[:, 1]
        file["rangeOffsetStd"] = np.full_like(fields[:, 0], 0.25)
        file["azimuthOffsetStd"] = np.full_like(fields[:, 0], 0.5)
        file["date"] = np.array(DATES, dtype="S8")
        file["bperp"] = np.zeros(len(DATES), dtype=np.float32)
        file["dropIfgram"] = np.array([pair not in dropped for pair in range(len(DATES))])
        file.attrs.update({name: str(value) for name, value in (attrs | (extra or {})).items()})
    return path


def ticoi(path, *, order=("mid_date", "y", "x"), year=365.25, errors=True):
    """Cube of TICOI: velocities [m/yr] between two dates, east and north, on the pairs of DATES."""
    instants = [[np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}", "ns") for day in pair] for pair in DATES]
    first, second = (np.array(each) for each in zip(*instants, strict=True))
    fields = np.stack([displacement(pair) for pair in range(len(DATES))])
    years = np.array([days(pair) / year for pair in range(len(DATES))])
    x, y = axes()
    shape = ("mid_date", "y", "x")
    cube = xr.Dataset(
        {
            "vx": (shape, (fields[:, 0] / years[:, None, None]).astype(np.float32)),
            "vy": (shape, (fields[:, 1] / years[:, None, None]).astype(np.float32)),
            "date1": ("mid_date", first),
            "date2": ("mid_date", second),
        },
        coords={"mid_date": first + (second - first) / 2, "y": y, "x": x},
        attrs={"author": "L. Charrier", "source": "test", "proj4": f"EPSG:{EPSG}"},
    ).transpose(*order)
    if errors:
        cube["errorx"] = ("mid_date", 0.25 / years)
        cube["errory"] = ("mid_date", 0.5 / years)
    for name in ("vx", "vy"):
        cube[name] = cube[name].fillna(0.0)  # what is exactly 0 is missing
    cube.to_netcdf(path, engine="h5netcdf")
    return path
