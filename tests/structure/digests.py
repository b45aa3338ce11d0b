"""Digests of small results of all public functions: the table that a change meant to keep every bit is held against.

`python tests/structure/digests.py` names what differs from the table, and with `--renew` it rewrites the table, on
purpose. Processors round differently (vectors of other widths, other mathematical libraries), so bits are stored by
machine, beside a summary that any machine comes close to.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import pickle
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
import pandas as pd
import pyproj
import rasterio
import scipy
import xarray as xr
from affine import Affine
from numba.core import event
from numba.core.registry import cpu_target

import xoffset
from xoffset import filtering, masking, synthetic

sys.path.append(str(Path(__file__).parents[1] / "readers"))
import safe_products
import stac_items

TABLE = Path(__file__).with_suffix(".json")
# old name -> new name of variables and dims, for a change that renames but keeps every bit; empty it with --renew
RENAMED: dict[str, str] = {}
# of a line, such as a coordinate, and of an array of more dims
SAMPLES = (3, 8)

Call = Callable[[], Any]
Summary = dict[str, Any]  # of one variable
Arrays = dict[str, tuple[tuple[str, ...], np.ndarray]]  # dims and values of the variables of a result
Entry = dict[str, dict[str, Any]]  # of one call: {"bits": {machine: {variable: sha}}, "values": {variable: summary}}

# -------------------------------------------------------------------------------------------------------------- inputs

DAY = np.timedelta64(1, "D")
DATES = np.datetime64("2020-01-01", "us") + np.array([0, 40, 75, 130, 170, 240]) * DAY
YEARS = np.datetime64("2020-01-01", "us") + np.array([0, 45, 100, 190, 260, 340, 395, 480, 560, 700]) * DAY
SMALL = {"template": 16, "search": 6, "step": 8}
WIDE = {"template": 64, "search": 6, "step": 16}
FILTERS = {
    "bandpass": filtering.Bandpass(fine="snr", coarse="template"),
    "highpass": filtering.Highpass(coarse=4.0),
    "log": filtering.Log(level=100.0),
    "wallis": filtering.Wallis(window=9),
    "laplacian": filtering.Laplacian(fine=1.0),
    "sobel": filtering.Sobel(fine=1.0),
    "naof": filtering.Naof(fine=1.0),
    "rank": filtering.Rank(radius=3),
}


@functools.cache
def scene() -> tuple[xr.DataArray, xr.Dataset]:
    """Landslide with noise, changing light and a strip without data on every date, and the truth about it."""
    return synthetic.stack(
        (112, 128),
        dates=DATES,
        velocity=60.0,
        snr=8.0,
        nodata=0.03,
        illumination=0.1,
        misregistration=2.0,
        seed=3,
    )


@functools.cache
def images() -> xr.DataArray:
    """Images of the landslide, one with a patch of other ground, where all matches are wrong."""
    stack = scene()[0].copy()
    stack[2, 70:100, 80:115] = synthetic.scene((8, 9), seed=4).values[:30, :35]
    return stack


@functools.cache
def counts() -> xr.DataArray:
    """Integers, where 0 is declared to mean no data."""
    return images().fillna(0.0).round().astype("uint16").assign_attrs(nodata=0)


@functools.cache
def clear() -> xr.DataArray:
    """Pixels that may be matched: all but a patch of each image, elsewhere on each date."""
    values = np.ones(images().shape, dtype=bool)
    for k, image in enumerate(values):
        image[10 * k : 10 * k + 24, 60 - 8 * k : 90 - 8 * k] = False
    return xr.DataArray(values, coords=images().coords, dims=images().dims)


@functools.cache
def lazy() -> xr.DataArray:
    return images().chunk(time=2, y=48, x=40)


@functools.cache
def sheared() -> xr.DataArray:
    """Two images of a glacier, strained at its margins."""
    return synthetic.stack((96, 112), field="glacier", velocity=60.0, direction=80.0, snr=10.0, seed=4)[0]


@functools.cache
def fast() -> tuple[xr.DataArray, xr.Dataset]:
    """Three images of ground that moves by up to 18 pixels, wide enough for windows of 64."""
    dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    return synthetic.stack((160, 144), dates=dates, velocity=180.0, direction=110.0, snr=10.0, nodata=0.02, seed=5)


@functools.cache
def eventful() -> xr.DataArray:
    """Two years with a trend, a season and a step."""
    return synthetic.stack(
        (72, 80), dates=YEARS, field="constant", velocity=20.0, season=6.0, step=8.0, step_date="2021-01-10", snr=6.0,
        nodata=0.05, seed=6,
    )[0]  # fmt: skip


def correlated(**options: Any) -> xr.Dataset:
    """Result of `correlate` for the landslide, of pairs that are no more than two dates apart."""
    return xoffset.correlate(images(), xoffset.pairs(images(), max_gap=2), **SMALL | options)


@functools.cache
def raw() -> xr.Dataset:
    return xoffset.correlate(images(), xoffset.pairs(images()), **SMALL)


@functools.cache
def shifts() -> xr.Dataset:
    return xoffset.screen(raw())


def of_bands() -> dict[str, xr.Dataset]:
    """The same pairs in three bands that err each by itself, one worse, and wrong in a corner."""
    found = {"green": shifts()}
    for k, name in enumerate(("red", "infrared"), start=1):
        noise = np.random.default_rng(k).standard_normal((2, *shifts().dx.shape)).astype("float32") * k
        dx, dy = (shifts()[f"d{axis}"] + noise[i] * shifts()[f"sigma_d{axis}"] for i, axis in enumerate("xy"))
        dx[:, :2, :3] += 50.0 * (k - 1)
        sigmas = {f"sigma_d{axis}": k * shifts()[f"sigma_d{axis}"] for axis in "xy"}
        found[name] = shifts().assign(dx=dx, dy=dy, cov_dxdy=k**2 * shifts().cov_dxdy, **sigmas)
    return found


@functools.cache
def chunked() -> xr.Dataset:
    """Lazy shifts, whose dates are always there."""
    return (
        shifts().chunk(pair=-1, y=5, x=6).assign_coords({name: shifts()[name] for name in ("reference", "secondary")})
    )


@functools.cache
def messy() -> xr.Dataset:
    """Shifts with matches that are wrong, repeated and backward, and with pixels that lack pairs."""
    plain = shifts()
    generator = np.random.default_rng(7)
    wrong = generator.random(plain.dx.shape) < 0.05
    spoilt = plain.assign(dx=plain.dx + np.float32(40.0) * wrong).where(generator.random(plain.dx.shape) < 0.8)
    spoilt = spoilt.assign(flags=plain.flags)
    back = plain.isel(pair=[1, 5]).assign(dx=-plain.dx.isel(pair=[1, 5]), dy=-plain.dy.isel(pair=[1, 5]))
    turned = {"reference": ("pair", back.secondary.values), "secondary": ("pair", back.reference.values)}
    return xr.concat([spoilt, plain.isel(pair=[3]), back.assign_coords(turned)], "pair", data_vars="minimal")


@functools.cache
def torn() -> xr.Dataset:
    """Shifts of two groups of dates that no pair connects, in all of the image but its first columns."""
    ends = np.searchsorted(DATES, np.stack([shifts().reference.values, shifts().secondary.values]))
    is_across = xr.DataArray((ends[0] < 3) & (ends[1] >= 3), dims="pair")
    is_apart = is_across & (shifts().x > shifts().x[4])
    return shifts().where(~is_apart).assign(flags=shifts().flags)


@functools.cache
def yearly() -> xr.Dataset:
    """Screened shifts of the two years."""
    return xoffset.screen(xoffset.correlate(eventful(), xoffset.pairs(eventful(), max_gap=4), **SMALL))


@functools.cache
def tied() -> xr.Dataset:
    """Shifts (60 nodes a side) whose standard errors are too small, made of random numbers."""
    generator = np.random.default_rng(8)
    network = xoffset.pairs(images().isel(time=slice(4)))
    base = raw().isel(pair=np.arange(network.sizes["pair"]), y=0, x=0, drop=True).assign_coords(network.coords)
    size = (network.sizes["pair"], 60, 60)
    sigma = generator.uniform(0.2, 1.5, size)
    fields = {
        "dx": 2.0 * sigma * generator.standard_normal(size) + 3.0,
        "dy": 1.5 * sigma * generator.standard_normal(size),
        "score": generator.uniform(0.3, 1.0, size),
        "peak_gap": generator.uniform(0.1, 0.6, size),
        "sigma_dx": sigma,
        "sigma_dy": 0.8 * sigma,
        "cov_dxdy": 0.1 * sigma**2,
        "false_alarm": 1e-3 * generator.random(size),
    }
    made = {name: (("pair", "y", "x"), values.astype("float32")) for name, values in fields.items()}
    made["flags"] = (("pair", "y", "x"), np.zeros(size, "int32"))
    places = {"y": 5e6 - 80.0 * np.arange(60), "x": 5e5 + 80.0 * np.arange(60)}
    return base.drop_vars(list(base.data_vars)).assign(made).assign_coords(places)


def detected() -> xr.DataArray:
    """Three stripes on the nodes of `tied`, for each of its dates a little elsewhere."""
    nodes = tied()
    dates = np.unique([nodes.reference.values, nodes.secondary.values])
    stripes = [1 + (np.arange(60) + 3 * k) // 21 for k in range(dates.size)]
    values = np.broadcast_to(np.array(stripes, dtype="uint8")[:, np.newaxis], (dates.size, 60, 60))
    return xr.DataArray(values, dims=("time", "y", "x"), coords={"time": dates, "y": nodes.y, "x": nodes.x})


def views(dates: np.ndarray) -> xr.Dataset:
    """Views of scenes as wholes, from two orbits in turn."""
    is_east = np.arange(dates.size) % 2 == 1
    angles = {"view_zenith": np.where(is_east, 9.0, 8.0), "view_azimuth": np.where(is_east, 104.0, 285.0)}
    return xr.Dataset({name: ("time", values) for name, values in angles.items()}, {"time": dates})


def uneven() -> xr.Dataset:
    """Shifts that are known worse as wholes in some pairs than in others."""
    sigma = np.linspace(0.1, 0.6, shifts().sizes["pair"])
    return shifts().assign(sigma_shift=("pair", sigma, {"units": "m"}))


def heights() -> xr.DataArray:
    """Elevations on the nodes of `tied`, some unknown."""
    nodes = tied()
    values = 500.0 + 40.0 * np.sin(np.add.outer(np.arange(60) / 4.0, np.arange(60) / 9.0))
    values[:5, :7] = np.nan
    return xr.DataArray(values, dims=("y", "x"), coords={"y": nodes.y, "x": nodes.x})


@functools.cache
def lit() -> xr.DataArray:
    """Two years of images of terrain with shadows, and the sun of the dates."""
    return synthetic.stack((24, 24), dates=YEARS, shadows=0.6, snr=8.0, misregistration=2.0, seed=9)[0]


@functools.cache
def series() -> xr.Dataset:
    return xoffset.invert(shifts())


@functools.cache
def islands() -> xr.Dataset:
    return xoffset.invert(torn(), islands="separate")


@functools.cache
def long_series() -> xr.Dataset:
    return xoffset.invert(yearly())


@functools.cache
def bent() -> xr.Dataset:
    """Series of the two years that is faster and faster in the second."""
    years = ((long_series().time - long_series().time[0]) / np.timedelta64(1, "D") / 365.25).astype("float32")
    faster = 200.0 * (years - 0.8).clip(0.0) ** 2
    return long_series().assign(dx=(long_series().dx + faster).assign_attrs(units="m"))


@functools.cache
def rate() -> xr.Dataset:
    return xoffset.velocity(shifts())


@functools.cache
def stable() -> xr.DataArray:
    """True on the ground around the landslide, on the grid of the stack."""
    truth = scene()[1]
    return np.hypot(truth.vx, truth.vy) < 10.0


@functools.cache
def halves() -> xr.DataArray:
    """Detectors that saw the west and the east of the landslide."""
    west = images().x < images().x[60]
    return (
        xr.where(west, 1, 2)
        .astype("uint8")
        .broadcast_like(images()[0])
        .transpose("y", "x")
        .drop_vars("time", errors="ignore")
    )


@functools.cache
def opened_heights(open_dem: Callable[..., xr.DataArray]) -> xr.DataArray:
    """Elevations around the landslide, read from a raster."""
    with tempfile.TemporaryDirectory() as folder:
        dem = terrain().assign_coords(spatial_ref=images().spatial_ref).to_dataset(name="dem")
        xoffset.to_geotiff(dem, folder)
        return open_dem(Path(folder) / "dem.tif", like=images(), margin=20.0).load()


@functools.cache
def opened_speed(open_speed: Callable[..., xr.DataArray]) -> xr.DataArray:
    """Speed around the landslide, read from two rasters in metres a day."""
    with tempfile.TemporaryDirectory() as folder:
        height = terrain().drop_attrs(deep=False).assign_coords(spatial_ref=images().spatial_ref)
        xoffset.to_geotiff(xr.Dataset({"east": 1e-4 * height, "north": -2e-4 * height}), folder)
        places = [Path(folder) / f"{name}.tif" for name in ("east", "north")]
        return open_speed(places, like=images(), per="day").load()


@functools.cache
def opened_land(land_classes: Callable[..., xr.DataArray]) -> xr.DataArray:
    """Land, glacier and water around the landslide, read from a raster."""
    with tempfile.TemporaryDirectory() as folder:
        height = terrain().drop_attrs(deep=False).assign_coords(spatial_ref=images().spatial_ref)
        kinds = (height > float(height.mean())).astype("uint8")
        xoffset.to_geotiff(kinds.to_dataset(name="kinds"), folder)
        return land_classes(Path(folder) / "kinds.tif", like=images()).load()


@functools.cache
def terrain() -> xr.DataArray:
    """Elevations around the landslide, on a grid of twice the pixel size, with a hole."""
    stack = images()
    y, x = (stack[name].values[::2] for name in ("y", "x"))
    rows, columns = np.meshgrid(np.arange(y.size), np.arange(x.size), indexing="ij")
    heights = 500.0 + 90.0 * np.sin(rows / 5.0) * np.cos(columns / 7.0 + 0.5) + 9.0 * np.abs(columns - 30.0)
    heights[20:22, 40] = np.nan
    return xr.DataArray(heights, dims=("y", "x"), coords={"y": y, "x": x, "spatial_ref": stack.spatial_ref})


def outline() -> dict[str, Any]:
    """Polygon around the landslide, in the coordinates of the stack."""
    x, y = (images()[name].values for name in ("x", "y"))
    corners = [(30, 30), (90, 25), (100, 80), (60, 60), (35, 85)]
    named = {"crs": {"type": "name", "properties": {"name": "EPSG:32632"}}}
    return {"type": "Polygon", "coordinates": [[(float(x[i]), float(y[j])) for i, j in corners]]} | named


def moving() -> xr.DataArray:
    """True on the landslide, on the grid of the stack."""
    truth = scene()[1]
    return np.hypot(truth.vx, truth.vy) > 2.0


def area() -> dict[str, Any]:
    """A triangle on the landslide and around it, as GeoJSON in the CRS of the stack."""
    x, y = images().x.values, images().y.values
    corners = [(x[30], y[20]), (x[100], y[35]), (x[60], y[95]), (x[30], y[20])]
    crs = {"type": "name", "properties": {"name": "EPSG:32632"}}
    return {"type": "Polygon", "coordinates": [[tuple(map(float, each)) for each in corners]], "crs": crs}


def stakes(kind: str) -> pd.DataFrame:
    """Measurements on the ground: velocities, or displacements between two dates."""
    at = pd.DataFrame(places(rate()), columns=["x", "y"])
    at = at.assign(
        **{f"{kind}_east": [1.0, 20.0, -3.0], f"{kind}_north": 2.0, f"sigma_{kind}_east": [0.1, 0.2, np.nan]}
    )
    return (
        at if kind == "v" else at.assign(reference="2020-02-01", secondary=["2020-06-01", "2020-07-15", "2021-01-01"])
    )


def eastward(product: xr.Dataset) -> xr.DataArray:
    """Map of one direction on the nodes of a product."""
    return xr.full_like(product.dx[0].drop_attrs(), 90.0)


def everywhere(product: xr.Dataset) -> xr.DataArray:
    return xr.DataArray(np.ones(product.dx.shape[1:], bool), coords=product[["y", "x"]].coords, dims=("y", "x"))


def section(product: xr.Dataset) -> list[tuple[float, float]]:
    """Broken line through the grid that begins outside of it."""
    x, y = product.x.values, product.y.values
    return [(x[0] - 150.0, y[2]), (x[6], y[5]), (x[-2], y[-2])]


def places(product: xr.Dataset) -> list[tuple[float, float]]:
    return [(float(product.x[column]) + 7.0, float(product.y[row]) - 11.0) for row, column in ((3, 4), (6, 7), (9, 2))]


def rows(**columns: Any) -> pd.DataFrame:
    """Table of four matches of one point, one backward and one without a value."""
    plain = {
        "reference": ["2020-01-01", "2020-07-01", "2021-01-01", "2020-01-01"],
        "secondary": ["2020-07-01", "2021-01-01", "2020-01-01", "2020-07-01T10:30"],
        "dx": [1.0, 2.0, -3.1, np.nan],
        "dy": [-0.5, 0.3, 0.25, 1.0],
        "ex": [0.1, 0.2, 0.3, 0.4],
        "ey": [0.2, 0.0, 0.1, 0.4],
        "easting": [500.0, 500.0, 600.0, 600.0],
        "northing": [0.0, 100.0, 0.0, 100.0],
    }
    return pd.DataFrame(plain | columns)


# --------------------------------------------------------------------------------------------------------------- files


def _written(folder: Path, shift: float = 0.0) -> Path:
    """Three images of integers in GeoTIFF, the last one off the grid of the others by a part of a pixel."""
    for k in range(3):
        corner = 5e5 + (shift if k == 2 else 0.0)
        place = {"crs": "EPSG:32632", "transform": Affine(10, 0, corner, 0, -10, 5e6), "nodata": 0}
        size = {"height": 48, "width": 56, "count": 1, "dtype": "uint16"}
        with rasterio.open(folder / f"a_2020010{k + 1}.tif", "w", driver="GTiff", **size, **place) as file:
            file.write(counts().values[k : k + 1, 40:88, 40:96])
    return folder


def opened(*, shift: float = 0.0, **options: Any) -> xr.DataArray:
    with tempfile.TemporaryDirectory() as folder:
        return xoffset.open_stack(_written(Path(folder), shift), date="%Y%m%d", **options).compute()


def of_items(**options: Any) -> xr.DataArray:
    """Two dates of a catalogue, and an area of them."""
    with tempfile.TemporaryDirectory() as folder:
        days = ("2021-07-02", "2021-07-12")
        values = counts().values[:, 40:88, 40:96]
        items = [stac_items.sentinel2(folder, f"{day}T10:20:31", values=values[k]) for k, day in enumerate(days)]
        return xoffset.open_stac(stac_items.save(f"{folder}/items.json", *items), band="red", **options).compute()


def beside(function: Callable[..., Any], chunks: int | None = None, **options: Any) -> xr.Dataset:
    """What a Sentinel-2 product with polygons of detectors and clouds tells of a part of its pixels."""
    with tempfile.TemporaryDirectory() as folder:
        truth = safe_products.write(folder, masks="gml", baseline="02.09", overlap=150.0)
        left, top = truth.corner
        box = (left + 900, top - 2000, left + 1700, top - 1200)
        stack = xoffset.open_stack(folder, band="B04", bbox=box, chunks=chunks)
        result = function(folder, like=stack, **options).compute()
        return result.to_dataset() if isinstance(result, xr.DataArray) else result


def classified() -> xr.DataArray:
    """Classes of bands that are all made of the same images."""
    light = images() / float(images().mean())
    bands = {"blue": 0.18, "green": 0.17, "red": 0.15, "nir": 0.20, "swir16": 0.11}
    return masking.classes({name: (factor * light).astype("float32") for name, factor in bands.items()}, like=images())


def reopened(product: xr.Dataset, suffix: str) -> xr.Dataset:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"product.{suffix}"
        if suffix == "zarr":
            product.to_zarr(path, consolidated=False)
        else:
            product.to_netcdf(path, engine="h5netcdf")
        with xoffset.open_result(path) as result:
            return result.load()


def exported(writer: Callable[..., list[Path]], *arguments: Any, **options: Any) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        return {path.stem: _bands(path) for path in writer(*arguments, folder, **options)}


def stored(writer: Callable[..., xr.Dataset], *arguments: Any, **options: Any) -> xr.Dataset:
    """What a writer of stores finds there."""
    with tempfile.TemporaryDirectory() as folder:
        return writer(*arguments, Path(folder) / "results", **options).load()


def _bands(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


def passed_on(module: Any, place: str = "", **options: Any) -> xr.Dataset:
    """Shifts that were written for another system and read again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / place
        module.write(shifts(), path)
        return xoffset.open_shifts(path, **options).load()


def tabled(**options: Any) -> xr.Dataset:
    """Result of `from_table` for a file."""
    with tempfile.TemporaryDirectory() as folder:
        rows().to_csv(Path(folder) / "rows.csv", index=False)
        return xoffset.from_table(Path(folder) / "rows.csv", **options)


# --------------------------------------------------------------------------------------------------------------- calls

IMAGES: dict[str, Call] = {
    "scene": lambda: synthetic.scene((40, 48)),
    "scene white": lambda: synthetic.scene((40, 48), redness=0.0, seed=1),
    "stack constant on given ground": lambda: synthetic.stack(
        (40, 48), field="constant", ground=synthetic.scene((40, 48), seed=2), pixel_size=15.0
    ),
    "stack landslide with all that spoils it": lambda: synthetic.stack(
        (40, 48), snr=3.0, illumination=0.2, clouds=0.2, nodata=0.1, misregistration=3.0, seed=1
    ),
    "stack fault step": lambda: synthetic.stack(
        (40, 48), dates=YEARS[:4], field="fault", velocity=0.0, step=20.0, step_date="2020-03-01"
    ),
    "stack glacier season": lambda: synthetic.stack((40, 48), field="glacier", season=10.0, dates=YEARS[:4]),
    "stack landslide with shadows": lambda: synthetic.stack(
        (40, 48), dates=YEARS[:3], shadows=0.7, misregistration=3.0, jitter=2.0, velocity=20.0
    ),
    "stack landslide with errors of geometry": lambda: synthetic.stack(
        (40, 48), dates=YEARS[:3], ramp=3.0, stripes=2.0, jitter=1.5, seed=2
    ),
    "filter bandpass": lambda: filtering.bandpass(images()),
    "filter bandpass snr": lambda: filtering.bandpass(images(), fine="snr", coarse=5.0),
    "filter bandpass dask": lambda: filtering.bandpass(lazy(), fine=0.5),
    "filter highpass": lambda: filtering.highpass(images(), coarse=4.0),
    "filter wallis": lambda: filtering.wallis(images()),
    "filter laplacian": lambda: filtering.laplacian(images()),
    "filter sobel": lambda: filtering.sobel(images(), fine=0.0),
    "filter orientation": lambda: filtering.orientation(images()),
    "filter naof": lambda: filtering.naof(images(), fine=1.0),
    "filter rank": lambda: filtering.rank(images(), radius=3),
    "filter log": lambda: filtering.log(images(), level=100.0),
}

NETWORKS: dict[str, Call] = {
    "pairs": lambda: xoffset.pairs(images()),
    "pairs gaps and baselines": lambda: xoffset.pairs(
        images(), min_gap=1, max_gap=3, min_baseline="50D", max_baseline="120D"
    ),
    "pairs season and sun": lambda: xoffset.pairs(lit(), max_season_gap="40D", max_sun_gap=20.0),
    "pairs per date": lambda: xoffset.pairs(images(), per_date=2),
    "pairs split both": lambda: xoffset.pairs(images(), split="2020-04-01", direction="both"),
    "pairs same orbit": lambda: xoffset.pairs(
        images().assign_coords(relative_orbit=("time", [8, 108, 8, 108, 8, 108])), same_orbit=True
    ),
    "pair": lambda: xoffset.pair(shifts(), "2020-02-10", "2020-05-10"),
    "sun_term": lambda: told_of_sun(),
    "plan": lambda: xoffset.plan(images(), v_max=60.0),
    "plan event": lambda: xoffset.plan(images(), event="2020-04-01", displacement=30.0),
    "plan slow": lambda: xoffset.plan(images(), v_max=100.0, v_min=20.0, precision=0.2, max_search=6),
    "diagnose": lambda: xoffset.diagnose(shifts()),
    "diagnose islands": lambda: xoffset.diagnose(xoffset.pairs(images()).isel(pair=[0, 1, 5, 12, 14])),
    "estimate": lambda: costs(images()),
    "estimate pyramid dask": lambda: costs(lazy(), search=xoffset.Pyramid(20), matcher=xoffset.NCC(both_ways=True)),
    "estimate phase": lambda: costs(images(), template=64, search=6, matcher="phase"),
    "from_table": lambda: xoffset.from_table(rows()),
    "from_table velocity": lambda: xoffset.from_table(rows(), kind="velocity", sigma=("ex", "ey"), crs="EPSG:3413"),
    "from_table points in a file": lambda: tabled(position=("easting", "northing"), sigma=0.5),
    "from_table scattered points": lambda: xoffset.from_table(
        rows(stake=["A", "B", "A", "B"], northing=[0.0, 7.0, 3.0, 7.5]),
        position=("easting", "northing"),
        layout="points",
        name="stake",
        crs="EPSG:3413",
    ),
    "open_stac": lambda: of_items(),
    "open_stac area dask": lambda: of_items(bbox=(500_100.0, 4_999_700.0, 500_400.0, 4_999_900.0), chunks=16),
    "open_stack": lambda: opened(),
    "open_stack crop": lambda: opened(bbox=(500_100.0, 4_999_700.0, 500_400.0, 4_999_900.0), nodata=1500.0),
    "open_stack cubic": lambda: opened(shift=3.7, align="cubic"),
    "open_stack nearest dask": lambda: opened(shift=3.7, align="nearest", chunks=24),
    "detectors": lambda: beside(xoffset.detectors, band="B04"),
    "angles": lambda: beside(xoffset.angles, band="B11"),
    "angles dask": lambda: beside(xoffset.angles, chunks=30, band="B04"),
    "class_layer": lambda: beside(xoffset.class_layer),
    "masking classes": lambda: beside(masking.classes),
    "masking classes of bands": lambda: classified().to_dataset(),
    "masking slope": lambda: masking.slope(terrain()).to_dataset(),
    "masking aspect": lambda: masking.aspect(terrain()).to_dataset(),
    "masking slope_mask": lambda: masking.slope_mask(terrain(), removed=(0.0, 40.0)).to_dataset(),
    "masking cast_shadow": lambda: masking.cast_shadow(
        terrain(), sun_azimuth=205.0, sun_elevation=xr.DataArray([20.0, 45.0], dims="time", coords={"time": DATES[:2]})
    ).to_dataset(),
    "masking cast_shadow dask": lambda: masking.cast_shadow(
        terrain().chunk(y=20, x=30), sun_azimuth=110.0, sun_elevation=30.0
    ).to_dataset(),
    "masking stable_ground": lambda: masking.stable_ground(
        lazy(), moving=outline(), buffer=45.0, dem=terrain(), max_slope=50.0
    ).to_dataset(),
    "masking drop_cloudy": lambda: masking.drop_cloudy(images(), images(), max_mean=float(images().mean())),
    "one_a_year": lambda: xoffset.one_a_year(images()),
    "crop": lambda: xoffset.crop(
        images(), tuple(float(each) for each in (*images().x[[4, 9]], *images().y[[9, 4]])), buffer=25.0
    ),
    "grid_step": lambda: {"step": xoffset.grid_step(images(), spacing=80.0)},
    "masking combine": lambda: masking.combine(
        images(),
        usable=clear(),
        slopes=masking.slope_mask(terrain(), removed=(30.0, 90.0)),
        outlines=outline(),
        buffer=45.0,
    ).to_dataset(),
    "masking cast_shadow sun": lambda: masking.cast_shadow(terrain(), sun=lit()[:3]).to_dataset(),
    "open_dem": lambda: opened_heights(xoffset.open_dem).to_dataset(),
    "open_speed": lambda: opened_speed(xoffset.open_speed).to_dataset(),
    "masking land_classes": lambda: opened_land(masking.land_classes).to_dataset(),
    "masking usable": lambda: masking.usable(classified(), buffer=25.0, closing=40.0, opening=15.0).to_dataset(),
    "masking usable dask": lambda: masking.usable(classified().chunk(y=30, x=40), buffer=25.0).to_dataset(),
}


def costs(stack: xr.DataArray, **options: Any) -> dict[str, Any]:
    """What `estimate` tells that depends on neither time nor cores."""
    cost = xoffset.estimate(stack, xoffset.pairs(stack), **options, calibrate=False)._asdict()
    return {name: cost[name] for name in ("pairs", "nodes", "tiles", "shifts", "output")}


MATCHES: dict[str, Call] = {
    "correlate": lambda: raw(),
    "correlate dask": lambda: xoffset.correlate(lazy(), xoffset.pairs(lazy()), **SMALL),
    "correlate float64": lambda: xoffset.correlate(
        images().astype("float64"), xoffset.pairs(images(), max_gap=2), **SMALL
    ),
    "correlate integers": lambda: xoffset.correlate(counts(), xoffset.pairs(counts(), max_gap=2), **SMALL),
    "correlate backward pairs": lambda: xoffset.correlate(
        images(), xoffset.pairs(images(), max_gap=1, direction="both"), **SMALL
    ),
    "correlate rows upside down": lambda: xoffset.correlate(
        images().isel(y=slice(None, None, -1)), xoffset.pairs(images(), max_gap=1), **SMALL
    ),
    "correlate nested": lambda: correlated(template=(16, 32, 48)),
    "correlate nested affine": lambda: correlated(template=(16, 32), matcher=xoffset.NCC("affine")),
    "correlate nested dask": lambda: xoffset.correlate(
        lazy(), xoffset.pairs(lazy(), max_gap=2), template=(16, 32), search=6, step=8
    ),
    "correlate dense": lambda: xoffset.correlate(
        images()[:2, 30:80, 30:90], xoffset.pairs(images()[:2]), template=16, search=4, step=1
    ),
    "correlate sparse": lambda: correlated(step=24, search=(3, 7)),
    "correlate large search": lambda: correlated(template=24, search=30),
    "correlate sheared affine": lambda: xoffset.correlate(
        sheared(), xoffset.pairs(sheared()), template=24, search=8, matcher=xoffset.NCC(refine="affine")
    ),
    "correlate prefilter None": lambda: correlated(prefilter=None),
    "correlate both ways": lambda: correlated(matcher=xoffset.NCC(both_ways=True)),
    "correlate min_valid": lambda: correlated(matcher=xoffset.NCC(min_valid=0.95)),
    "correlate map of search": lambda: correlated(search=widths()),
    "correlate curvature": lambda: correlated(matcher=xoffset.NCC(curvature=True)),
    "search_range": lambda: xoffset.search_range(
        images(), xoffset.pairs(images()), search=5, template=16, max_speed=150.0, still=stable()
    ).to_dataset(),
    "correlate mask": lambda: correlated(mask=clear()),
    "correlate mask of another grid dask": lambda: correlated(mask=clear().coarsen(y=4, x=4).all().chunk(time=1, y=12)),
    "correlate prior": lambda: travelled(search=4, prior=guess()),
    "correlate prior by pair": lambda: travelled(search=4, prior=guess_by_pair()),
    "correlate pyramid": lambda: travelled(search=xoffset.Pyramid(24)),
    "correlate pyramid levels": lambda: travelled(search=xoffset.Pyramid((16, 24), levels=1)),
    "correlate pyramid nested prior": lambda: travelled(
        search=xoffset.Pyramid(20, levels=2), template=(16, 32), prior=guess()
    ),
    "correlate pyramid dask": lambda: travelled(fast()[0].chunk(time=1, y=80, x=72), search=xoffset.Pyramid(24)),
    "extend": lambda: xoffset.extend(raw().isel(pair=[0, 1, 2, 5, 6, 9]), images(), xoffset.pairs(images()), **SMALL),
    "extend dask": lambda: xoffset.extend(raw().isel(pair=[0, 14]), lazy(), xoffset.pairs(lazy(), max_gap=2), **SMALL),
    "correlate phase": lambda: phased(matcher="phase"),
    "correlate phase least squares": lambda: phased(matcher=xoffset.Phase(iterations=0)),
    "correlate phase mask": lambda: phased(matcher=xoffset.Phase(mask=1.0, iterations=2, min_valid=0.9)),
    "correlate phase orientation": lambda: phased(matcher=xoffset.Phase("orientation")),
    "correlate phase orientation_plane": lambda: phased(matcher=xoffset.Phase("orientation_plane")),
    "correlate phase unfiltered": lambda: phased(matcher="phase", prefilter=None),
    "correlate phase prior": lambda: phased(matcher="phase", prior=guess()),
    "correlate phase dask": lambda: phased(fast()[0].chunk(time=1, y=80, x=72), matcher="phase"),
    "correlate regularized": lambda: flowing(matcher="regularized", search=8),
    "correlate regularized far": lambda: flowing(matcher="regularized"),
    "correlate regularized options": lambda: flowing(
        matcher=xoffset.Regularized(window=11, smoothness=0.1, direction=30.0, cost_floor=0.3), prior=guess(), search=5
    ),
    "correlate regularized plain": lambda: flowing(matcher=xoffset.Regularized(smoothness=0.0), search=6),
    "correlate regularized dask": lambda: flowing(fast()[0].chunk(time=1, y=80, x=72), matcher="regularized", search=8),
    "correlate flow": lambda: flowing(matcher="flow"),
    "correlate flow options": lambda: flowing(
        matcher=xoffset.Flow((16, 6), levels=2, iterations=2, rank=0, contrast_inversion=False), prior=guess()
    ),
    "correlate flow smooth": lambda: flowing(matcher=xoffset.Flow(smoothness=0.3), prefilter="highpass"),
    "correlate flow dask": lambda: flowing(fast()[0].chunk(time=1, y=80, x=72), matcher="flow"),
}
for _refine in ("affine", "parabola", "gauss", "quadratic", "none"):
    MATCHES[f"correlate refine {_refine}"] = lambda refine=_refine: correlated(matcher=xoffset.NCC(refine=refine))
for _name, _filter in FILTERS.items():
    MATCHES[f"correlate prefilter {_name} with options"] = lambda chosen=_filter: correlated(prefilter=chosen)


def travelled(stack: xr.DataArray | None = None, **options: Any) -> xr.Dataset:
    """Result of `correlate` for the fast ground."""
    stack = fast()[0] if stack is None else stack
    return xoffset.correlate(stack, xoffset.pairs(stack), **{"template": 16, "step": 8} | options)


def phased(stack: xr.DataArray | None = None, **options: Any) -> xr.Dataset:
    return travelled(stack, **WIDE | options)


def flowing(stack: xr.DataArray | None = None, **options: Any) -> xr.Dataset:
    return travelled(stack, **{"template": None, "search": 12} | options)


def widths() -> xr.DataArray:
    """Half-range of the search by pixel, none in a corner."""
    shape = images().shape[1:]
    values = np.add.outer(np.arange(shape[0]), np.arange(shape[1])) // 40 + 1.0
    values[:40, :40] = np.nan
    return xr.DataArray(values, coords=images()[0].coords, dims=("y", "x"))


def guess() -> xr.Dataset:
    """Velocity on a coarser grid, unknown in some columns, not quite the true one."""
    coarse = fast()[1][["vx", "vy"]].isel(y=slice(4, None, 12), x=slice(4, None, 12))
    return (0.9 * coarse).where(coarse.x > coarse.x[2])


def guess_by_pair() -> xr.Dataset:
    """Displacement of every pair."""
    days = np.array([182.0, 366.0, 184.0]) / 365.25
    velocity = guess().rename(vx="dx", vy="dy")
    moved = velocity * xr.DataArray(days, dims="pair", coords=xoffset.pairs(fast()[0]).coords)
    for variable in moved.data_vars.values():
        variable.attrs["units"] = "m"  # arithmetic keeps those of the velocity
    return moved


CHECKS: dict[str, Call] = {
    "screen": lambda: xoffset.screen(raw()),
    "screen nothing": lambda: xoffset.screen(raw(), false_alarm=None, ambiguity=None, neighbourhood=False),
    "screen scores": lambda: xoffset.screen(raw(), min_score=0.7, min_peak_gap=0.1, false_alarm=1e-6),
    "screen limits": lambda: xoffset.screen(
        raw(),
        pycorr=(0.1, 0.9, 0.2),
        min_peak_ratio=1.2,
        max_displacement=30.0,
        max_speed=40.0,
        direction=eastward(raw()),
    ),
    "screen valid fraction": lambda: xoffset.screen(raw(), min_valid_fraction=0.9, neighbourhood=False),
    "screen around": lambda: xoffset.screen(raw(), false_alarm=None, ndc=0.1, median_test=2.0, min_clump=6),
    "screen range": lambda: xoffset.screen(raw(), max_range=0.3),
    "screen range nested": lambda: xoffset.screen(correlated(template=(16, 32)), max_range=0.3),
    "screen over time": lambda: xoffset.screen(
        raw(), neighbourhood=False, max_angle_spread=30.0, max_deviation=3.0, max_closure=1.0
    ),
    "screen pixels": lambda: xoffset.screen(raw(), max_displacement="3 px", neighbourhood=False),
    "drop_masked": lambda: xoffset.drop_masked(raw(), clear()),
    "drop_masked dask": lambda: xoffset.drop_masked(chunked(), stable()),
    "combine_bands": lambda: xoffset.combine_bands(of_bands()),
    "combine_bands dask": lambda: xoffset.combine_bands({name: each.chunk(y=5) for name, each in of_bands().items()}),
    "discard_pairs": lambda: xoffset.discard_pairs(shifts(), max_ratio=0.3),
    "discard_pairs dask": lambda: xoffset.discard_pairs(chunked(), max_ratio=0.3, inside=stable()),
    "discard_pixels": lambda: xoffset.discard_pixels(shifts(), max_discarded=0.4, min_pairs=2),
    "remove_median": lambda: xoffset.remove_median(shifts(), stable=stable()),
    "misclosure": lambda: xoffset.misclosure(shifts(), series()),
    "drop_misclosed": lambda: xoffset.drop_misclosed(series(), max_rms=0.5),
    "whole_pixels": lambda: xoffset.whole_pixels(raw()),
    "destripe": lambda: xoffset.destripe(raw(), halves()),
    "destripe median dask": lambda: xoffset.destripe(chunked(), halves(), value="median", stable=stable()),
    "losses": lambda: xoffset.losses(shifts()),
    "correct jitter": lambda: xoffset.correct(
        correlated(step=4),
        stable=stable(),
        min_nodes=50,
        jitter=xoffset.Jitter(heading=192.0, shortest=160.0, longest=640.0),
    ),
    "denoise": lambda: raw().offset.denoise(),
    "denoise nlm dask": lambda: xoffset.denoise(chunked(), method="nlm", size=5),
    "screen separation": lambda: xoffset.screen(raw(), max_separation="100D"),
    "screen separation auto": lambda: xoffset.screen(yearly(), max_separation="auto"),
    "screen nested both ways": lambda: xoffset.screen(
        correlated(template=(16, 32), matcher=xoffset.NCC(both_ways=True)), min_score=0.3
    ),
    "screen phase": lambda: xoffset.screen(phased(matcher="phase"), min_score=0.3, neighbourhood=False),
    "screen dask": lambda: xoffset.screen(chunked(), min_score=0.5, max_separation="auto"),
    "calibrate": lambda: xoffset.calibrate(tied(), everywhere(tied())),
    "calibrate apply_to": lambda: xoffset.calibrate(tied(), everywhere(tied()), apply_to=raw()),
    "calibrate dask": lambda: xoffset.calibrate(
        tied().chunk(y=25, x=40), everywhere(tied()) & (tied().x < tied().x[35])
    ),
    "widen_sheared": lambda: xoffset.widen_sheared(rate(), shifts=shifts()),
    "widen_sheared series dask": lambda: xoffset.widen_sheared(series().chunk(y=5, x=6), shifts=shifts()),
    "correct": lambda: shifts().offset.correct(stable=stable(), min_nodes=20),
    "correct ramp stripes elevation": lambda: xoffset.correct(
        tied(), stable=everywhere(tied()), order=2, stripes=detected(), dem=heights(), max_shift=50.0
    ),
    "correct by_date": lambda: xoffset.correct(
        tied(), stable=everywhere(tied()), order="auto", stripes=detected(), by_date=True
    ),
    "coregister": lambda: images().offset.coregister(template=32, search=4, step=8),
    "coregister ramp dask": lambda: xoffset.coregister(
        counts().chunk(y=48, x=40), order="auto", reference=DATES[2], template=32, search=4, step=8
    ),
    "coregister positions": lambda: xoffset.coregister(
        images(), order="auto", mask=clear(), template=32, search=4, step=8, min_nodes=10, apply=False
    ),
    "correct found trace dask": lambda: xoffset.correct(
        tied().chunk(y=25, x=40), order="auto", stripes="auto", trace=section(tied())
    ),
    "correct view": lambda: xoffset.correct(shifts(), stable=stable(), min_nodes=20, view=views(DATES)),
    "correct view dask": lambda: xoffset.correct(chunked(), stable=stable(), min_nodes=20, view=views(DATES)),
    "thinning_bias": lambda: shifts().offset.thinning_bias(view=views(DATES)),
    "thinning_bias rate dask": lambda: xoffset.thinning_bias(rate().chunk(y=5, x=6), view=views(DATES)),
    "velocity shared": lambda: xoffset.velocity(uneven()),
    "velocity series shared": lambda: xoffset.velocity(xoffset.invert(uneven())),
    "decompose shared": lambda: xoffset.decompose(uneven(), acceleration=True, steps=["2020-04-15"]),
    "coseismic shared": lambda: xoffset.coseismic(uneven(), "2020-04-15", trend=True),
    "mean_displacement shared": lambda: xoffset.mean_displacement(uneven()),
    "interval_velocity shared": lambda: xoffset.interval_velocity(uneven()),
    "closure stable": lambda: xoffset.closure(shifts(), stable=stable()),
    "closure messy": lambda: xoffset.closure(messy()),
    "closure dask": lambda: xoffset.closure(chunked(), stable=stable()),
    "stable_statistics": lambda: xoffset.stable_statistics(raw(), stable(), moving=moving()),
    "stable_statistics rate": lambda: xoffset.stable_statistics(rate(), stable(), moving=moving()),
    "stable_statistics dask": lambda: xoffset.stable_statistics(chunked(), stable(), pixel_size=10.0),
    "area_mean": lambda: xoffset.area_mean(shifts(), area()),
    "area_mean rate dask": lambda: xoffset.area_mean(rate().chunk(y=5, x=6), area(), stable=stable()),
    "compare": lambda: xoffset.compare(rate(), stakes("v")),
    "compare series dask": lambda: xoffset.compare(series().chunk(y=5, x=6), stakes("d")),
}

SERIES: dict[str, Call] = {
    "invert": lambda: xoffset.invert(shifts()),
    "invert float64": lambda: xoffset.invert(shifts().astype("float64").assign(flags=shifts().flags)),
    "invert table": lambda: xoffset.invert(xoffset.from_table(rows()), weights="uniform", loss="linear"),
    "invert long": lambda: xoffset.invert(yearly()),
    "invert dask": lambda: xoffset.invert(chunked()),
    "invert sun": lambda: xoffset.invert(yearly(), sun=lit()),
    "remove_season": lambda: long_series().offset.remove_season(semiannual=True),
    "remove_season dask": lambda: xoffset.remove_season(long_series().chunk(y=3, x=4), loss="tukey"),
    "invert weights by pair": lambda: xoffset.invert(shifts(), weights=np.linspace(0.0, 2.0, 15)),
    "invert weights by pixel": lambda: xoffset.invert(shifts(), weights=raw().score ** 2),
    "invert reference": lambda: xoffset.invert(shifts(), reference="2020-01-01"),
    "invert references": lambda: xoffset.invert(shifts(), reference=DATES[[1, 3]]),
    "invert stable": lambda: xoffset.invert(shifts(), stable=stable()),
    "invert smooth": lambda: xoffset.invert(yearly(), smooth=0.05),
    "invert smooth cross-validated": lambda: xoffset.invert(yearly(), smooth="gcv"),
    "invert smooth prior": lambda: xoffset.invert(yearly(), smooth=0.2, prior=long_series(), loss="linear"),
    "invert smooth messy": lambda: xoffset.invert(messy(), smooth=0.1, loss="tukey", weights="score"),
    "invert tio": lambda: xoffset.invert(messy(), weights="tio", loss="tio", residual_limit=5.0),
    "tio_smoothness": lambda: {"strength": xoffset.tio_smoothness(shifts(), coefficient=0.003)},
    "velocity uniform": lambda: xoffset.velocity(series(), weights="uniform", loss="linear"),
    "invert smooth dask": lambda: xoffset.invert(chunked(), smooth="gcv"),
    "rereference": lambda: xoffset.rereference(series(), "2020-03-16"),
    "rereference mean": lambda: xoffset.rereference(series(), DATES[[0, 2, 5]]),
    "rereference islands": lambda: xoffset.rereference(islands(), DATES[4]),
    "resample": lambda: xoffset.resample(series(), "30D"),
    "resample dates": lambda: xoffset.resample(islands(), ["2019-12-01", "2020-02-01", "2020-05-01"]),
    "resample gap dask": lambda: xoffset.resample(series().chunk(y=5, x=6), "17D", max_gap="45D"),
    "trajectory": lambda: xoffset.trajectory(series(), places(series())),
    "trajectory window": lambda: xoffset.trajectory(series(), places(series()), start="2020-02-10", window=160.0),
    "trajectory islands dask": lambda: xoffset.trajectory(islands().chunk(y=5), places(islands())),
}
for _loss in ("linear", "huber", "tukey", "l1"):
    SERIES[f"invert messy {_loss}"] = lambda loss=_loss: xoffset.invert(messy(), loss=loss)
for _weights in ("score", "uniform", "velocity", "baseline", "long_baseline"):
    SERIES[f"invert weights {_weights}"] = lambda weights=_weights: xoffset.invert(messy(), weights=weights)
for _islands in ("nan", "bridge", "separate"):
    SERIES[f"invert islands {_islands}"] = lambda islands=_islands: xoffset.invert(torn(), islands=islands)

MOTION: dict[str, Call] = {
    "velocity series": lambda: xoffset.velocity(series()),
    "velocity series bootstrap": lambda: xoffset.velocity(long_series(), bootstrap=20, seed=1),
    "velocity bootstrap": lambda: xoffset.velocity(messy(), bootstrap=20, block=2),
    "velocity islands": lambda: xoffset.velocity(islands()),
    "velocity dask": lambda: xoffset.velocity(chunked()),
    "decompose": lambda: xoffset.decompose(long_series()),
    "decompose shifts": lambda: xoffset.decompose(yearly(), seasonal=True, steps=["2021-01-10"]),
    "decompose seasons": lambda: xoffset.decompose(
        long_series(), acceleration=True, seasonal=True, semiannual=True, epoch="2020-06-01"
    ),
    "decompose steps searched": lambda: xoffset.decompose(long_series(), steps="search", loss="tukey"),
    "velocity sun": lambda: xoffset.velocity(yearly(), sun=lit()),
    "decompose sun": lambda: xoffset.decompose(yearly(), sun=lit()),
    "light": lambda: yearly().offset.light(dem=terrain(), sun=lit(), sectors=4, min_slope=5.0),
    "light dask": lambda: xoffset.light(yearly().chunk(pair=4, y=5, x=6), dem=terrain(), sun=lit(), sectors=4),
    "decompose decays": lambda: xoffset.decompose(
        long_series(), exponential=[("2020-06-01", 60.0)], logarithmic=[("2021-01-10", 30.0)], loss="linear"
    ),
    "decompose dask": lambda: xoffset.decompose(long_series().chunk(y=3, x=4), seasonal=True, steps="search"),
    "coseismic": lambda: xoffset.coseismic(yearly(), "2021-01-10"),
    "coseismic postseismic": lambda: xoffset.coseismic(
        long_series(), "2021-01-10", trend=True, postseismic=20.0, loss="linear"
    ),
    "coseismic dask": lambda: xoffset.coseismic(chunked(), "2020-05-01", loss="l1"),
    "annual": lambda: xoffset.yearly_velocity(yearly()),
    "annual seasonal": lambda: xoffset.yearly_velocity(yearly(), seasonal=True, loss="huber"),
    "annual separation": lambda: xoffset.yearly_velocity(yearly(), max_separation="200D", loss="tukey"),
    "interval_velocity": lambda: xoffset.interval_velocity(yearly()),
    "interval_velocity series dask": lambda: xoffset.interval_velocity(long_series().chunk(y=3, x=4)),
    "annual all dask": lambda: xoffset.yearly_velocity(
        yearly().chunk(y=4).assign_coords(yearly().coords), max_separation=None, loss="linear"
    ),
}
for _loss in ("linear", "huber", "tukey", "l1"):
    MOTION[f"velocity {_loss}"] = lambda loss=_loss: xoffset.velocity(messy(), loss=loss)

MAPS: dict[str, Call] = {
    "onset": lambda: xoffset.onset(bent()),
    "onset dask": lambda: xoffset.onset(bent().chunk(y=3, x=4), max_changes=1, false_alarm=0.05),
    "inverse_velocity": lambda: xoffset.inverse_velocity(bent()),
    "inverse_velocity dask": lambda: xoffset.inverse_velocity(bent().chunk(y=3), start="2020-04-01", false_alarm=0.2),
    "mean_displacement": lambda: xoffset.mean_displacement(messy()),
    "mean_displacement dask": lambda: xoffset.mean_displacement(chunked()),
    "mean_velocity": lambda: xoffset.mean_velocity(messy()),
    "mean_velocity mpic": lambda: xoffset.mean_velocity(messy(), estimator="mpic"),
    "vector_coherence": lambda: xoffset.vector_coherence(messy()),
    "vector_coherence small window": lambda: xoffset.vector_coherence(
        shifts(), window=3, min_displacement=2.0, min_valid=0.7
    ),
    "vector_coherence dask": lambda: xoffset.vector_coherence(chunked(), window=5),
    "quality": lambda: xoffset.quality(raw()),
    "quality threshold": lambda: xoffset.quality(messy(), threshold=0.8),
    "strain": lambda: xoffset.strain(rate()),
    "strain shifts": lambda: xoffset.strain(shifts(), window=3, overlap=2.0, min_valid=0.8),
    "strain series dask": lambda: xoffset.strain(series().chunk(y=6, x=7), window=5),
    "profile": lambda: xoffset.profile(rate(), section(rate())),
    "profile swath": lambda: xoffset.profile(
        shifts(), section(rate()), spacing=50.0, width=200.0, strike=30.0, overlap=2.0
    ),
    "profile series dask": lambda: xoffset.profile(series().chunk(y=6, x=7), section(rate()), width=90.0),
    "ground": lambda: xoffset.ground(rate()),
    "ground series dask": lambda: xoffset.ground(series().chunk(y=6, x=7)),
    "to_zarr": lambda: stored(xoffset.to_zarr, chunked()),
    "to_zarr accessor": lambda: stored(rate().offset.to_zarr, resume=True),
    "run": lambda: stored(lambda folder: xoffset.run("generic", images(), folder, search=5, step=12)["velocity"]),
    "run mpic-opt": lambda: stored(
        lambda folder: xoffset.run("mpic-opt", images(), folder, spatial_matching_range=3)["velocity"]
    ),
    "run landslide": lambda: stored(
        lambda folder: xoffset.run("landslide", images(), folder, max_velocity=60.0, window=(16,))["velocity"]
    ),
    "run earthquake": lambda: stored(
        lambda folder: xoffset.run(
            "earthquake", images(), folder, date="2020-04-01", max_displacement=20.0, window=(16,)
        )["displacement"]
    ),
    "recipes tune": lambda: (
        xoffset.recipes.tune(
            xoffset.recipes.Landslide(max_velocity=60.0),
            images(),
            everywhere(raw()),
            windows=(16,),
            prefilters=("bandpass",),
            motions=(0.5,),
            tiles=1,
            pairs_of_each=1,
        ).table
    ),
    "recipes tune event": lambda: (
        xoffset.recipes.tune(
            xoffset.recipes.Earthquake(date="2020-04-01", max_displacement=20.0),
            images(),
            everywhere(raw()),
            windows=(16,),
            prefilters=("bandpass",),
            tiles=1,
            pairs_of_each=1,
        ).table
    ),
    "to_geotiff": lambda: exported(xoffset.to_geotiff, rate()),
    "to_geotiff accessor": lambda: exported(rate().offset.to_geotiff, variables="vx"),
    "to_geotiff some dask": lambda: exported(xoffset.to_geotiff, chunked(), variables=["dx", "flags"]),
    "open_shifts itslive": lambda: passed_on(xoffset.formats.itslive),
    "open_shifts itslive_cube": lambda: passed_on(xoffset.formats.itslive_cube, "cube.zarr"),
    "open_shifts autorift": lambda: passed_on(xoffset.formats.autorift, pixel_size=10.0),
    "open_shifts pycorr": lambda: passed_on(xoffset.formats.pycorr),
    "open_shifts mpic": lambda: passed_on(xoffset.formats.mpic),
    "open_shifts gdm": lambda: passed_on(xoffset.formats.gdm),
    "open_shifts cosicorr": lambda: passed_on(xoffset.formats.cosicorr),
    "open_shifts mintpy": lambda: passed_on(xoffset.formats.mintpy, "ifgramStack.h5"),
    "open_shifts ticoi": lambda: passed_on(xoffset.formats.ticoi, "cube.zarr"),
    "open_result netcdf": lambda: reopened(shifts(), "nc"),
    "open_result zarr": lambda: reopened(series(), "zarr"),
}


def through_stack() -> dict[str, Any]:
    """What the accessor of a stack gives."""
    stack = images().offset
    network = stack.pairs(max_gap=1)
    cost = stack.estimate(network, **SMALL, calibrate=False)
    search = stack.plan(v_max=60.0).search
    ranges = stack.search_range(network, search=4, max_speed=80.0)
    shifts = stack.correlate(network, **SMALL)
    part = images().isel(x=slice(2, 40), y=slice(2, 40))
    box = (float(part.x.min()), float(part.y.min()), float(part.x.max()), float(part.y.max()))
    of_stack = {"crop": stack.crop(box)[0], "dates": stack.one_a_year().time, "step": stack.grid_step(spacing=80.0)}
    return {"nodes": cost.nodes, "search": search, "ranges": ranges, "shifts": shifts, **of_stack}


def told_of_sun() -> tuple[Any, ...]:
    """What `sun_term` gives, of a network and of the accessor of a product, but for the text."""
    told = xoffset.sun_term(yearly(), sun=lit())
    assert yearly().offset.sun_term(sun=lit())[1:] == told[1:]
    return told[:3]


def through_product() -> dict[str, xr.DataArray]:
    """First variable of what every method of the accessor of a product gives."""
    found = {
        "calibrate": tied().offset.calibrate(everywhere(tied())),
        "widen_sheared": rate().offset.widen_sheared(shifts=shifts()),
        "tio_smoothness": xr.Dataset({"strength": shifts().offset.tio_smoothness(coefficient=0.003)}),
        "extend": raw().offset.extend(images(), xoffset.pairs(images()), **SMALL),
        "annual": yearly().offset.yearly_velocity(),
        "interval_velocity": yearly().offset.interval_velocity(),
        "onset": bent().offset.onset(),
        "inverse_velocity": bent().offset.inverse_velocity(),
        "coseismic": yearly().offset.coseismic("2021-01-10"),
        "decompose": yearly().offset.decompose(),
        "rereference": series().offset.rereference("2020-01-01"),
        "resample": series().offset.resample("60D"),
        "trajectory": series().offset.trajectory(places(series())),
        "profile": rate().offset.profile(section(rate())),
        "strain": rate().offset.strain(),
        "ground": rate().offset.ground(),
        "stable_statistics": raw().offset.stable_statistics(stable()),
        "area_mean": rate().offset.area_mean(area()),
        "compare": rate().offset.compare(stakes("v")),
        "closure": shifts().offset.closure(),
        "thinning_bias": rate().offset.thinning_bias(view=views(DATES)),
        "losses": shifts().offset.losses(),
        "denoise": raw().offset.denoise(),
        "drop_masked": raw().offset.drop_masked(clear()),
        "discard_pairs": shifts().offset.discard_pairs(max_ratio=0.3),
        "discard_pixels": shifts().offset.discard_pixels(),
        "remove_median": shifts().offset.remove_median(),
        "misclosure": shifts().offset.misclosure(series()),
        "drop_misclosed": series().offset.drop_misclosed(),
        "whole_pixels": raw().offset.whole_pixels(),
        "destripe": raw().offset.destripe(halves()),
        "diagnose": shifts().offset.diagnose(),
        "pair": shifts().offset.pair(DATES[1], DATES[3]),
        "invert": shifts().offset.invert(),
        "mean_displacement": shifts().offset.mean_displacement(),
        "mean_velocity": shifts().offset.mean_velocity(),
        "quality": shifts().offset.quality(),
        "screen": raw().offset.screen(),
        "vector_coherence": shifts().offset.vector_coherence(),
        "velocity": shifts().offset.velocity(),
    }
    of_flags = {
        "flagged": raw().offset.flagged("border"),
        "flag_summary": raw().offset.flag_summary().to_xarray()["share"],
    }
    return {name: next(iter(result.data_vars.values())) for name, result in found.items()} | of_flags


MAPS["accessor of a stack"] = through_stack
MAPS["accessor of products"] = through_product
CALLS: dict[str, Call] = IMAGES | NETWORKS | MATCHES | CHECKS | SERIES | MOTION | MAPS

# ------------------------------------------------------------------------------------------------------------- digests


def arrays_of(result: Any) -> Arrays:
    """Dims and computed values of all variables and coordinates of a result, sorted by name."""
    if hasattr(result, "_asdict"):
        result = result._asdict()
    if isinstance(result, tuple):
        result = {str(k): each for k, each in enumerate(result)}
    if isinstance(result, pd.DataFrame):
        result = result.to_xarray()
    if isinstance(result, xr.DataArray):
        result = result.rename("values").to_dataset()
    if isinstance(result, xr.Dataset):
        result = {str(name): variable for name, variable in result.compute().variables.items()}
    found = {}
    for name, value in result.items():
        if isinstance(value, xr.Dataset):
            found |= {f"{name}.{inner}": array for inner, array in arrays_of(value).items()}
        elif isinstance(value, xr.DataArray | xr.Variable):
            found[name] = (tuple(map(str, value.dims)), np.asarray(value.values))
        else:
            array = np.asarray(value.to_numpy() if isinstance(value, pd.Timedelta | pd.Timestamp) else value)
            found[name] = (tuple(f"dim_{k}" for k in range(array.ndim)), array)
    return {name: (dims, _narrow(name, array)) for name, (dims, array) in sorted(found.items())}


def _narrow(name: str, array: np.ndarray) -> np.ndarray:
    """Flags as int32 where they fit, since stores hold either width."""
    is_flags = name.rpartition(".")[2] == "flags" and array.dtype.kind == "i" and array.max(initial=0) < 1 << 31
    return array.astype(np.int32) if is_flags else array


def sha_of(array: np.ndarray) -> str:
    """Digest of the bits of an array in C order and of little end: every NaN alike, -0.0 apart from 0.0."""
    if array.dtype.kind in "OTU":
        return _sha("\0".join(map(str, array.ravel())).encode())
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).ravel()
    if plain.dtype.kind in "fc":
        parts = plain.view(f"<f{plain.dtype.itemsize // (2 if plain.dtype.kind == 'c' else 1)}")
        plain = np.where(np.isnan(parts), parts.dtype.type(np.nan), parts)
    return _sha(plain.tobytes())


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def numbers_of(array: np.ndarray) -> np.ndarray:
    """Flat numbers of an array, dates as int64, NaT and texts as NaN; the real part of complex ones, then the other."""
    if array.dtype.kind in "mM":
        return np.where(np.isnat(array), np.nan, array.astype("int64")).ravel()
    if array.dtype.kind in "OTU":
        return np.full(array.size, np.nan)
    if array.dtype.kind == "c":
        return np.concatenate([array.real.ravel(), array.imag.ravel()])
    return array.ravel()


def label_of(dims: tuple[str, ...], array: np.ndarray) -> str:
    """Type and shape of an array, such as `float32 (y: 13, x: 15)`."""
    return f"{array.dtype} ({', '.join(f'{dim}: {size}' for dim, size in zip(dims, array.shape, strict=True))})"


def summary_of(dims: tuple[str, ...], array: np.ndarray) -> Summary:
    """What is compared on other machines: label, finite values, samples of these at evenly spread places.

    The places are part of it, lest one value that is missing elsewhere moves all that follow.
    """
    numbers = numbers_of(array)
    finite = np.flatnonzero(np.isfinite(numbers))
    places = finite[
        np.unique(np.linspace(0, finite.size - 1, min(SAMPLES[array.ndim > 1], finite.size)).round().astype(int))
    ]
    # the shortest decimal that gives the same bits; texts of numbers are JSON but for True and False
    samples = [json.loads(str(value).lower()) for value in numbers[places]]
    return {"is": label_of(dims, array), "finite": int(finite.size), "at": places.tolist(), "samples": samples}


def entry_of(arrays: Arrays, key: str) -> Entry:
    """Entry of the table for the result of a call on one machine."""
    shas = {name: sha_of(array) for name, (_, array) in arrays.items()}
    return {"bits": {key: shas}, "values": {name: summary_of(*each) for name, each in arrays.items()}}


@functools.cache
def machine() -> str:
    """What the bits of a result depend on besides the code: processor, compiler and mathematical libraries."""
    _, processor, features = cpu_target.target_context.codegen().magic_tuple()
    # neither is compiled as usual: the one not at all, the other without vectors
    unusual = [word for word in ("DISABLE_JIT", "BOUNDSCHECK") if getattr(numba.config, word)]
    versions = {
        "numba": numba, "llvmlite": llvmlite, "numpy": np, "scipy": scipy, "pyproj": pyproj, "rasterio": rasterio,
    }  # fmt: skip
    named = [f"{name} {module.__version__}" for name, module in versions.items()]
    host = [platform.machine(), f"{processor}-{_sha(str(features).encode())[:8]}", "".join(platform.libc_ver())]
    return ", ".join([" ".join(host), *named, *unusual])


# ----------------------------------------------------------------------------------------------------------- processes


def compute(path: Path) -> None:
    """Write the arrays of all calls, or what they raised, and whether kernels had to be compiled."""
    found: dict[str, Arrays | str] = {}
    with event.install_recorder("numba:compile") as compiled:
        for name, call in CALLS.items():
            try:
                found[name] = arrays_of(call())
            except Exception as error:
                found[name] = f"raises {type(error).__name__}: {error}"
    path.write_bytes(pickle.dumps((found, bool(compiled.buffer))))


def results(known: dict[str, Entry] | None = None) -> dict[str, Arrays | str]:
    """Arrays of all calls, or what they raised, from a process of its own that finds all kernels on disk.

    A process that compiles may link the parts of a kernel in another way than the processes after it, which read it
    from disk, and round in another way: its results are compared only if they are those of a table that is known.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arrays"
        for _ in range(2):
            # rioxarray multiplies matrices in a way that its library asks to leave
            told = ["-W", "error", "-W", "ignore::PendingDeprecationWarning"]
            subprocess.run([sys.executable, *told, __file__, "--compute", str(path)], check=True)
            found, has_compiled = pickle.loads(path.read_bytes())
            if not has_compiled or (known is not None and _are_those_of(found, known)):
                break
    return found


def _are_those_of(found: dict[str, Arrays | str], known: dict[str, Entry]) -> bool:
    key = machine()
    return not any(differences(name, found[name], known[name], key) for name in found.keys() & known.keys())


# --------------------------------------------------------------------------------------------------------- comparisons


def renamed(entry: Entry) -> Entry:
    """Entry under the new names of variables and dims."""

    def turn(by_name: dict[str, Any]) -> dict[str, Any]:
        return dict(sorted((RENAMED.get(name, name), value) for name, value in by_name.items()))

    def label(text: str) -> str:
        return re.sub(r"\w+(?=:)", lambda dim: RENAMED.get(dim[0], dim[0]), text)

    values = {name: summary | {"is": label(summary["is"])} for name, summary in turn(entry["values"]).items()}
    return {"bits": {key: turn(shas) for key, shas in entry["bits"].items()}, "values": values}


def differences(name: str, arrays: Arrays | str, entry: Entry, key: str) -> list[str]:
    """What differs between the result of a call and its entry, a line for each variable; none if all agrees.

    Bits are compared on a machine that the entry knows, values on others.
    """
    if isinstance(arrays, str):
        return [f"{name}: {arrays}"]
    entry = renamed(entry)
    found = [f"{name}: {each}: is missing" for each in sorted(entry["values"].keys() - arrays.keys())]
    found += [f"{name}: {each}: is new" for each in sorted(arrays.keys() - entry["values"].keys())]
    shas = entry["bits"].get(key)
    for each in sorted(arrays.keys() & entry["values"].keys()):
        wrong = _difference(*arrays[each], entry["values"][each], shas and shas[each])
        found += [f"{name}: {each}: {text}" for text in wrong]
    return found


def _difference(dims: tuple[str, ...], array: np.ndarray, stored: Summary, sha: str | None) -> list[str]:
    if (label := label_of(dims, array)) != stored["is"]:
        return [f"is {label} in place of {stored['is']}"]
    if sha is None:
        return _far(array, stored)
    return [] if sha_of(array) == sha else [f"bits differ{_how_far(array, stored)}"]


def _far(array: np.ndarray, stored: Summary) -> list[str]:
    """What is further from a summary than other rounding explains.

    Rounding moves a value by far less than a thousandth of itself, or of the spread of the samples where it is near
    zero: compiled for the least of processors half of all arrays have other bits, and the furthest sample is a
    ten-thousandth away. But where a decision (a peak, the size of a template, an outlier, a flag) is close it may fall
    the other way, and a loop that ends at a tolerance may end a round earlier: then a few values are quite others. So
    one sample of eight may be off, of fewer none, and a value in fifty come or go; in a small result, one.
    """
    numbers, wrong = numbers_of(array), []
    finite = int(np.isfinite(numbers).sum())
    if abs(finite - stored["finite"]) > max(1, numbers.size // 50):
        wrong.append(f"{finite} finite values in place of {stored['finite']}")
    then, now = np.array(stored["samples"], float), np.asarray(numbers[stored["at"]], float)
    if then.size:
        is_off = ~(np.abs(now - then) <= 1e-3 * (np.abs(then) + np.ptp(then)))
        if is_off.sum() > then.size // 8:
            k = int(np.flatnonzero(is_off)[0])
            wrong.append(f"{is_off.sum()} of {then.size} samples are off, such as {now[k]} in place of {then[k]}")
    return wrong


def _how_far(array: np.ndarray, stored: Summary) -> str:
    then = np.array(stored["samples"], float)
    now = np.asarray(numbers_of(array)[stored["at"]], float)
    off = np.abs(now - then)[now != then]
    return f"; {off.size} of {then.size} samples do, by up to {off.max():.3g}" if off.size else ""


# --------------------------------------------------------------------------------------------------------------- table


def read() -> dict[str, Entry]:
    """Return the table: entries by the name of their call."""
    table = json.loads(TABLE.read_text())
    for entry in table.values():
        entry["values"] = {name: _unpacked(*packed) for name, packed in entry["values"].items()}
    return table


def write(table: dict[str, Entry]) -> None:
    """Write the table, sorted, a line for every variable and for the bits of a machine: small, and fit for a diff."""
    calls = []
    for name, entry in sorted(table.items()):
        values = {each: _packed(summary) for each, summary in entry["values"].items()}
        blocks = [_block("bits", entry["bits"]), _block("values", values)]
        calls.append(f"{json.dumps(name)}: {{\n" + ",\n".join(blocks) + "\n}")
    TABLE.write_text("{\n" + ",\n".join(calls) + "\n}\n")


def _packed(summary: Summary) -> list[Any]:
    """Summary without the names of its parts, and with places only where some are left out."""
    at, samples = summary["at"], summary["samples"]
    every = at == list(range(len(at)))
    return [summary["is"], summary["finite"], samples if every else dict(zip(map(str, at), samples, strict=True))]


def _unpacked(label: str, finite: int, samples: list[float] | dict[str, float]) -> Summary:
    by_place = samples if isinstance(samples, dict) else dict(enumerate(samples))
    return {"is": label, "finite": finite, "at": [int(at) for at in by_place], "samples": list(by_place.values())}


def _block(part: str, by_name: dict[str, Any]) -> str:
    lines = [f"  {json.dumps(key)}: {json.dumps(each, separators=(',', ':'))}" for key, each in sorted(by_name.items())]
    return f' "{part}": {{\n' + ",\n".join(lines) + "\n }"


def renew(name: str, arrays: Arrays, old: Entry | None, key: str) -> Entry:
    """Entry of a call that holds on this machine.

    Bits of other machines stay only if nothing changed on this one; if it is new to the table, if its values agree.
    """
    new = entry_of(arrays, key)
    if old is None or differences(name, arrays, old, key):
        return new
    kept = renamed(old)
    return {"bits": kept["bits"] | new["bits"], "values": kept["values"]}


def compare(found: dict[str, Arrays | str], table: dict[str, Entry], key: str) -> dict[str, list[str]]:
    """What differs, by call, with those that are new or gone."""
    lines = {name: [f"{name}: is not in the table"] for name in found.keys() - table.keys()}
    lines |= {name: [f"{name}: is no longer a call"] for name in table.keys() - found.keys()}
    lines |= {name: differences(name, found[name], table[name], key) for name in found.keys() & table.keys()}
    return {name: each for name, each in sorted(lines.items()) if each}


def main() -> int:
    """Compare all calls with the table, or rewrite it; 1 if any differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--renew", action="store_true", help="rewrite the table: results were meant to change")
    parser.add_argument("--compute", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.compute:
        compute(arguments.compute)
        return 0
    key, old, found = machine(), read() if TABLE.exists() else {}, results()
    lines = compare(found, old, key)
    for each in lines.values():
        print(*each, sep="\n")  # noqa: T201
    known = sum(key in entry["bits"] for entry in old.values())
    print(f"{len(found)} calls, {known} of them known to {key}: {len(lines)} differ")  # noqa: T201
    if not arguments.renew:
        return 1 if lines else 0
    if failed := [name for name, arrays in found.items() if isinstance(arrays, str)]:
        print(f"the table stays as it is: {', '.join(failed)} failed")  # noqa: T201
        return 1
    write({name: renew(name, arrays, old.get(name), key) for name, arrays in found.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
