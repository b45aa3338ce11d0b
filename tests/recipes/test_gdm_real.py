"""Recipes of GDM-OPT on crops of real images: ground that stands still, a glacier, and an image warped by a fault."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from gdm_scenes import made
from own_scenes import slip_of, warped_by_a_fault
from reference_places import yahtse

import xoffset

pytestmark = pytest.mark.data


def test_forest_of_slovenia_stands_still(data_folder: Path) -> None:
    data = xr.open_dataset(data_folder / "s2_ndvi_slovenia" / "s2_ndvi_68dates.nc").drop_duplicates("time")
    is_clear = (data.valid == 1) & (data.cloud == 0)
    stack = data.ndvi.where(is_clear).isel(time=is_clear.mean(("y", "x")) > 0.98).rio.write_crs("EPSG:32633")
    # two winters, whose images correlate
    winters = stack.sel(time=slice("2015-12-01", "2017-02-01")).isel(time=[0, 1, 2, 3, 8, 9]).chunk()
    rate = made(
        "slide", "rate", winters, spatial_matching_range=1, maximum_matching_range=3, along_track_destriping=False
    )  # fmt: skip
    known = rate.vx.notnull() & rate.sigma_vx.notnull()
    assert known.mean() > 0.8
    for name in ("vx", "vy"):
        inside = np.abs(rate[name]) < 1.96 * rate[f"sigma_{name}"]
        assert inside.where(known).mean() >= 0.9


def test_ice_of_yahtse_moves_south_as_windows_tell(data_folder: Path) -> None:
    """The tongue moves by 15 to 20 px in 16 days."""
    stack = yahtse(data_folder).isel(y=slice(448, 960), x=slice(760, 1272)).load()
    windows = xoffset.correlate(stack, xoffset.pairs(stack), search=25, step=16).isel(pair=0)
    found = made(
        "ice", "within", stack.chunk(), spatial_matching_range=20, displacement_amplitude_threshold=40.0,
        deramping=False, along_track_destriping=False,
        dem=str(data_folder / "yahtse_landsat8" / "yahtse_srtm_dem.tif"),
    ).isel(pair=0)  # fmt: skip
    there = found[["dx", "dy"]].interp(x=windows.x, y=windows.y)
    apart = np.hypot(there.dx - windows.dx, there.dy - windows.dy) / 15.0
    for least in (2.0, 10.0):
        is_ice = (windows.score > 0.7) & (windows.dy < -least * 15.0)
        known = apart.where(is_ice & there.dx.notnull())
        assert int(is_ice.sum()) > 40
        assert int(known.notnull().sum()) > 0.9 * int(is_ice.sum())
        assert float(known.median()) < 0.3
        assert float(known.max()) < 3.0
    assert -25.0 < float(found.dy.quantile(0.001)) / 15.0 < -18.0


@pytest.mark.parametrize("strike", ["north", "east"])
def test_a_real_image_warped_by_a_fault(data_folder: Path, strike: str) -> None:
    """Both sides of a line are moved by whole fine pixels, then areas are averaged: nothing is interpolated."""
    stack, slip = warped_by_a_fault(data_folder, strike)
    found = made(
        "etq", "displacement", stack.chunk(), split_date="2020-03-01", spatial_matching_range=2,
        apply_jitter_correction=False,
    )  # fmt: skip
    assert abs(slip_of(found, stack, strike, near=6.0) - slip) < 0.05 * slip
