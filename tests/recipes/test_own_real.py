"""Our own recipes on real images, as they come, against what is known of them."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import scipy.ndimage
import xarray as xr
from own_scenes import made, slip_of, warped_by_a_fault, write_shape
from reference_places import yahtse

import xoffset
from xoffset.recipes import Earthquake, Glacier, Landslide

pytestmark = pytest.mark.data


def test_the_rock_glacier_moves_as_is_known(data_folder: Path) -> None:
    """Kaiserberg: 99th percentile of the lower lobe for the four pairs since 2003, px; velocities with their sigma."""
    place = data_folder / "kaiserberg_rock_glacier"
    years = (2003, 2010, 2015, 2020, 2023)
    stack = xoffset.open_stack([place / f"ortho_{year}.tif" for year in years], date="ortho_%Y").chunk()
    recipe = Landslide(max_velocity=2.0, stable=str(place / "stable_area.geojson"), pairs_per_date=2)
    shifts = made(recipe, "calibrated", stack)
    moving = xoffset.masking.stable_ground(shifts, polygons=place / "moving_area.geojson")
    known = {(2003, 2010): 15.4, (2010, 2015): 15.2, (2015, 2020): 15.3, (2020, 2023): 8.8}
    for (first, second), pixels in known.items():
        one = xoffset.pair(shifts, f"{first}-01-01", f"{second}-01-01")
        length = np.hypot(one.dx, one.dy).where(moving) / float(one.pixel_size)
        assert float(length.quantile(0.99)) == pytest.approx(pixels, rel=0.2), first


def test_windows_are_tuned_on_real_ground(data_folder: Path) -> None:
    """Kaiserberg: larger windows scatter less, and lose a strip that moves; the choice is between the two."""
    place = data_folder / "kaiserberg_rock_glacier"
    stack = xoffset.open_stack([place / f"ortho_{year}.tif" for year in (2020, 2023)], date="ortho_%Y")
    stable = xoffset.masking.stable_ground(stack, polygons=place / "stable_area.geojson")
    told = {"windows": (16, 32, 64), "prefilters": ("bandpass",), "motions": (0.2,), "tiles": 1, "pairs_of_each": 1}
    tuned = Landslide(max_velocity=2.0).tune(stack, stable, **told)
    table = tuned.table
    assert (np.diff(table.spread) < 0.0).all()
    assert (np.diff(table.found) < 0.0).all()
    assert float(table.retention.min()) > 0.9
    assert tuned.recipe.window in ((16,), (32,))
    assert float(table.error.min()) == float(table.error[table.is_chosen.values].item()) < 0.05


def test_ice_of_perito_moreno_moves_as_is_known(data_folder: Path) -> None:
    """95th percentile of two pairs, px; nothing but ice is in the images, and no ground is told."""
    place = data_folder / "perito_moreno_s2"
    stack = xoffset.open_stack(
        [place / f"{date}.jpg" for date in ("20200131", "20200207", "20200210", "20200220")], band=1, date="%Y%m%d",
        pixel_size=1.0,
    )  # fmt: skip
    with rasterio.open(f"vrt://{place / 'mask.jpg'}?a_ullr=0,0,1,-1") as file:
        is_ice = file.read(1) > 128
    inside = scipy.ndimage.binary_erosion((stack > 10).all("time").values, iterations=12) & is_ice
    stack = stack.where(xr.DataArray(inside, dims=("y", "x"))).chunk()
    shifts = made(Glacier(max_velocity=200.0), "shifts", stack)
    for first, second, pixels in (("2020-01-31", "2020-02-07", 2.2), ("2020-02-10", "2020-02-20", 3.6)):
        one = xoffset.pair(shifts, first, second)
        length = np.hypot(one.dx, one.dy)
        assert float(length.quantile(0.95)) == pytest.approx(pixels, rel=0.2)


def test_ice_of_yahtse_moves_south_as_windows_tell(data_folder: Path) -> None:
    """The tongue moves by up to about 20 px in 16 days."""
    stack = yahtse(data_folder).load()
    windows = xoffset.correlate(stack, xoffset.pairs(stack), search=26).isel(pair=0)
    found = made(Glacier(max_velocity=8000.0), "shifts", stack.chunk({"y": 512, "x": 512})).isel(pair=0)
    is_fast = (windows.score > 0.7) & (windows.dy < -10.0 * 15.0)
    there = found[["dx", "dy"]].reindex_like(windows, method="nearest", tolerance=1.0)
    apart = np.hypot(there.dx - windows.dx, there.dy - windows.dy).where(is_fast) / 15.0
    assert int(is_fast.sum()) > 200
    # the motion ranges over more than 3 px in a quarter of the windows that one size keeps
    assert int(apart.notnull().sum()) > 0.65 * int(is_fast.sum())
    every = made(Glacier(max_velocity=8000.0, max_range=100.0), "shifts", stack.chunk({"y": 512, "x": 512}))
    every = every.isel(pair=0).dx.reindex_like(windows, method="nearest", tolerance=1.0)
    assert int(every.where(is_fast).notnull().sum()) > 0.85 * int(is_fast.sum())
    assert float(apart.max()) < 0.5
    assert 18.0 < -float(found.dy.min()) / 15.0 < 22.0


@pytest.mark.parametrize("strike", ["north", "east"])
@pytest.mark.parametrize("has_trace", [True, False])
def test_slip_of_a_real_image_warped_by_a_fault(
    data_folder: Path, tmp_path: Path, strike: str, has_trace: bool
) -> None:
    stack, slip = warped_by_a_fault(data_folder, strike)
    rows, columns = stack.shape[1:]
    middle = (
        [(0, columns // 2), (rows - 1, columns // 2)]
        if strike == "north"
        else [(rows // 2, 0), (rows // 2, columns - 1)]
    )
    trace = write_shape(tmp_path / "trace.geojson", stack, "LineString", middle, epsg=31254) if has_trace else None
    recipe = Earthquake(date="2020-03-01", max_displacement=4.0, trace=trace, step=4)
    found = made(recipe, "displacement", stack.chunk())
    assert abs(slip_of(found, stack, strike, near=16.0) - slip) < 0.05 * slip
