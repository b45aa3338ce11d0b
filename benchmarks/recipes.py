"""Recipes: how long a whole run takes, from a stack to all files, on real images and on images of any size.

python benchmarks/recipes.py [--small]     some minutes

Real images are looked for in ../shared/data beside the checkout; without them the synthetic ones are run alone.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from _measure import Extent, Rows, run

import xoffset
from xoffset import synthetic
from xoffset._blocks import quota

DATA = Path(__file__).parents[2] / "shared" / "data"
# Endings of the files that are counted.
FILES = (".tif", ".tiff", ".png", ".csv", ".nc", ".kmz", ".h5", ".txt", ".tgz")
# Outlines of what moves of the rock glacier, and of what stands still.
MOVING, STABLE = (DATA / "kaiserberg_rock_glacier" / f"{what}_area.geojson" for what in ("moving", "stable"))


def _rock_glacier() -> xr.DataArray:
    """Five years of a rock glacier, aerial images."""
    place = DATA / "kaiserberg_rock_glacier"
    files = [place / f"ortho_{year}.tif" for year in (2003, 2010, 2015, 2020, 2023)]
    return xoffset.open_stack(files, date="ortho_%Y").isel(y=slice(330, 650), x=slice(820, 1540))


def _glacier() -> xr.DataArray:
    """Four dates of a glacier, Sentinel-2."""
    place = DATA / "perito_moreno_s2"
    files = [place / f"2020{date}.jpg" for date in ("0131", "0207", "0210", "0220")]
    return xoffset.open_stack(files, band=1, pixel_size=10.0).isel(y=slice(550, 910), x=slice(130, 490))


def _tongue() -> xr.DataArray:
    """Two dates of a fast glacier, Landsat 8."""
    stack = xoffset.open_stack(DATA / "yahtse_landsat8" / "LC8*.tif")
    return stack.isel(y=slice(448, 960), x=slice(760, 1272))


def _forest() -> xr.DataArray:
    """Six dates of two winters of a forest that stands still, Sentinel-2."""
    data = xr.open_dataset(DATA / "s2_ndvi_slovenia" / "s2_ndvi_68dates.nc").drop_duplicates("time")
    is_clear = (data.valid == 1) & (data.cloud == 0)
    stack = data.ndvi.where(is_clear).isel(time=is_clear.mean(("y", "x")) > 0.98).rio.write_crs("EPSG:32633")
    return stack.sel(time=slice("2015-12-01", "2017-02-01")).isel(time=[0, 1, 2, 3, 8, 9])


def _fault() -> xr.DataArray:
    """An aerial image, and the same with the two sides of a line moved against each other by six pixels.

    Both sides move by whole pixels, one up and one down, then areas of four by four are averaged: the slip is 1.5 px.
    """
    file = DATA / "kaiserberg_rock_glacier" / "ortho_2020.tif"
    fine = xoffset.open_stack([file], date="ortho_%Y")[0].isel(y=slice(0, 640), x=slice(1300, 2100)).astype(float)
    left, right = np.array_split(fine.values, 2, axis=1)
    moved = np.concatenate([np.roll(left, 3, axis=0), np.roll(right, -3, axis=0)], axis=1)
    time = np.array(["2020-01-01", "2020-04-01"], dtype="datetime64[us]")
    coords = {"time": time, "y": fine.y, "x": fine.x, "spatial_ref": fine.spatial_ref}
    stack = xr.DataArray(np.stack([fine.values, moved]), coords, ("time", "y", "x"))
    return stack.coarsen(y=4, x=4, boundary="trim").mean()


# Recipe, images and parameters beside the defaults.
REAL: list[tuple[str, str, Callable[[], xr.DataArray], dict[str, Any]]] = [
    ("mpic-opt", "rock glacier, 5 dates", _rock_glacier, {"spatial_matching_range": 16, "temporal_matching_range": 1}),
    ("mpic-opt", "glacier, 4 dates", _glacier, {"spatial_matching_range": 5}),
    ("gdm-opt-etq", "rock glacier, 5 dates", _rock_glacier, {"spatial_matching_range": 16, "split_date": "2016-01-01"}),
    ("gdm-opt-slide", "forest, 6 dates", _forest,
     {"spatial_matching_range": 1, "maximum_matching_range": 3, "along_track_destriping": False}),
    ("gdm-opt-ice", "tidewater glacier, 2 dates", _tongue,
     {"spatial_matching_range": 20, "displacement_amplitude_threshold": 40.0, "deramping": False,
      "along_track_destriping": False}),
    ("pycorr", "tidewater glacier, 2 dates", _tongue, {"inc": 10, "half_source_chip": 16, "half_target_chip": 41}),
    ("annual-rate", "rock glacier, 5 dates", _rock_glacier,
     {"grid": 8 * 0.529167, "chip_size_min": 32, "chip_size_max": 64, "landslides": str(MOVING),
      "landslide_buffer": 20.0}),
    ("tio", "glacier, 4 dates", _glacier, {"spatial_matching_range": 6, "max_pairs_per_date": 2, "rm_median": False}),
    ("landslide", "rock glacier, 5 dates", _rock_glacier,
     {"max_velocity": 2.0, "stable": str(STABLE)}),
    ("glacier", "tidewater glacier, 2 dates", _tongue, {"max_velocity": 8000.0}),
    ("earthquake", "a photograph moved by a fault", _fault,
     {"date": "2020-03-01", "max_displacement": 4.0, "step": 4}),
]  # fmt: skip


def runs(extent: Extent) -> Rows:
    """Each recipe on real images, and MPIC-OPT on four synthetic ones of 2048 px; a hundred pixels if small."""
    if extent == "small":
        return [_row("mpic-opt", "landslide", _landslide(96, 2), {"spatial_matching_range": 1})]
    # compiled before it is timed
    for name in ("mpic-opt", "gdm-opt-slide"):
        _row(name, "", _landslide(96, 3), {"spatial_matching_range": 12})
    rows = [_row(name, what, images(), fields) for name, what, images, fields in REAL if DATA.is_dir()]
    return [*rows, _row("mpic-opt", "landslide", _landslide(2048, 4), {"spatial_matching_range": 3})]


def _landslide(side: int, dates: int) -> xr.DataArray:
    times = np.arange("2020-01", "2021-01", dtype="datetime64[M]")[:dates]
    return synthetic.stack((side, side), dates=times, field="landslide", velocity=60.0, snr=5.0, seed=1)[0]


def _row(name: str, what: str, stack: xr.DataArray, fields: dict[str, Any]) -> dict[str, Any]:
    """Seconds of one run with all cores, from the images in memory to all of its files."""
    stack = stack.load().chunk({"time": 1, "y": 512, "x": 512})
    with tempfile.TemporaryDirectory() as folder:
        wall, spent = time.perf_counter(), time.process_time()
        xoffset.run(name, stack, Path(folder) / "out", **fields)
        wall, spent = time.perf_counter() - wall, time.process_time() - spent
        files = sum(each.suffix in FILES for each in (Path(folder) / "out").rglob("*"))
    size = f"{stack.sizes['x']} x {stack.sizes['y']}"
    row = {"recipe": name, "images": what, "size": size, "dates": stack.sizes["time"], "files": files}
    return row | {"cores": quota.cores(), "seconds": wall, "CPU seconds": spent}


PARTS = [runs]

if __name__ == "__main__":
    run("recipes", PARTS)
