"""Stacks of images of several pixel sizes, resampled once: what they record, and whether sigma of their pairs holds."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine

import xoffset
import xoffset.synthetic
from xoffset._arrays.filters.options import as_prefilter
from xoffset._arrays.matching import images, locking

# Pixels of the ground from which images of all sizes are drawn, without any interpolation [m].
FINE = 5.0


def drawn(fine, factor, snr=None, seed=0):
    """Image of pixels `factor` times as wide as those of the ground, with white noise of its own."""
    image = fine.coarsen(x=factor, y=factor, boundary="trim").mean().values
    if snr:
        detail = np.std(image - np.mean(image))
        image = image + detail / snr * np.random.default_rng(seed).standard_normal(image.shape)
    return image.astype(np.float32)


def write(folder, name, image, factor, corner=(5e5, 5e6)):
    size = factor * FINE
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "crs": "EPSG:32632"}
    place = Affine(size, 0, corner[0], 0, -size, corner[1])
    height, width = image.shape
    with rasterio.open(folder / name, "w", height=height, width=width, transform=place, **profile) as file:
        file.write(image, 1)


@pytest.fixture(scope="module")
def ground():
    """Five images of ground that is shifted as a whole, and the shifts (2, 5) along x and y [m]."""
    dates = [f"2020-0{k + 1}-01" for k in range(5)]
    options = {"field": "constant", "velocity": 0.0, "pixel_size": FINE, "misregistration": 7.0}
    stack, truth = xoffset.synthetic.stack((960, 960), dates=dates, **options, seed=4)
    return stack, np.stack([truth.misregistration_dx, truth.misregistration_dy])


def opened(folder, ground, factor, snr):
    """Three images of 10 m, of the first shift, then one of each other shift with larger pixels."""
    for k in range(5):
        write(folder, f"fine_2020010{k + 1}.tif", drawn(ground[0], 2, snr, 10 + k), 2)
    for k in range(1, 5):
        write(folder, f"wide_2020020{k}.tif", drawn(ground[k], factor, snr, k), factor)
    return xoffset.open_stack(folder, align="cubic")


def test_native_pixel_sizes_are_told_where_they_differ(tmp_path, ground):
    stack = opened(tmp_path, ground[0].isel(x=slice(240), y=slice(240)), 6, None)
    assert stack.native_pixel_size.values.tolist() == [10.0] * 5 + [30.0] * 4
    assert stack.native_pixel_size.attrs["units"] == "m"
    assert stack.attrs["align"] == "cubic"
    assert stack.attrs["resampled"].count("wide") == 4
    stack.to_zarr(tmp_path / "stack.zarr", consolidated=False)
    assert xoffset.open_stack(tmp_path / "stack.zarr").identical(stack)


def test_native_pixel_sizes_stay_however_a_stack_is_reopened(tmp_path, ground):
    stack = opened(tmp_path, ground[0].isel(x=slice(240), y=slice(240)), 6, None)
    for name, part in (("a.nc", stack[:6]), ("b.nc", stack[6:])):
        part.to_netcdf(tmp_path / name, engine="h5netcdf")
    sizes = stack.native_pixel_size.values
    pieces = xoffset.open_stack(tmp_path / "[ab].nc")
    for again in (pieces, xoffset.open_stack(stack), xoffset.open_stack([stack[:6], stack[6:]])):
        np.testing.assert_array_equal(again, stack)
        np.testing.assert_array_equal(again.native_pixel_size, sizes)
        assert again.native_pixel_size.attrs["units"] == "m"
    fine = stack[:5].drop_vars("native_pixel_size")
    np.testing.assert_array_equal(xoffset.open_stack([fine, stack[5:]]).native_pixel_size, sizes)


def test_half_a_pixel_is_no_other_size(tmp_path, ground):
    for k, corner in enumerate([(5e5, 5e6), (5e5, 5e6), (500_005.0, 5e6)]):
        write(tmp_path, f"a_2020010{k + 1}.tif", drawn(ground[0][k, :240, :240], 2), 2, corner)
    stack = xoffset.open_stack(tmp_path, align="cubic")
    assert "resampled" in stack.attrs
    assert "native_pixel_size" not in stack.coords


def test_only_pairs_of_one_larger_size_have_the_bias_of_its_pixels(tmp_path, ground):
    stack = opened(tmp_path, ground[0].isel(x=slice(480), y=slice(480)), 6, 10.0)[3:8]
    network = xoffset.pairs(stack)
    told = xoffset.correlate(stack, network, search=6)
    without = xoffset.correlate(stack.drop_vars("native_pixel_size"), network, search=6)
    is_wide = (told.reference >= stack.time[2]).values
    assert is_wide.sum() == 3
    for name in without:
        if name not in ("sigma_dx", "sigma_dy"):
            xr.testing.assert_equal(told[name], without[name])
    for name in ("sigma_dx", "sigma_dy"):
        xr.testing.assert_equal(told[name][~is_wide], without[name][~is_wide])
        # shifts of whole pixels of 30 m have none
        larger = (told[name] / without[name]).values[is_wide]
        assert np.nanmin(larger) >= 1.0
        assert np.nanmedian(larger) > 1.2
    lazy = xoffset.correlate(stack.chunk(y=50, x=70), network, search=6)
    xr.testing.assert_equal(lazy.compute(), told)
    phase = xoffset.correlate(stack, network[{"pair": is_wide}], matcher="phase", template=64)
    plain = xoffset.correlate(
        stack.drop_vars("native_pixel_size"), network[{"pair": is_wide}], matcher="phase", template=64
    )
    assert np.nanmedian(phase.sigma_dx / plain.sigma_dx) > 1.2
    # no selection of pairs changes any of it
    xr.testing.assert_equal(xoffset.correlate(stack, network.isel(pair=is_wide), search=6), told.isel(pair=is_wide))


def seen(image):
    """Values of an image, its slopes, and where it has them."""
    return image.filtered, image.slopes[:2], image.valid


def test_the_bias_follows_the_shift_and_the_size(ground):
    pixels = drawn(ground[0][0, :480, :480], 2)
    frame = (slice(0, 240), slice(0, 240))
    image = images.prepare(pixels, frame, (32,), as_prefilter("bandpass"), np.dtype(np.float32))
    for native in (1.5, 3.0):
        shift = native * np.array([0.0, 0.25, 0.5, 0.75, 1.0, -0.25])
        found = locking.variance(*seen(image), shift, native)
        np.testing.assert_allclose(found / found[1], [0, 1, 0, 1, 0, 1], atol=1e-6)
    wide = locking.variance(*seen(image), np.array([0.75]), 3.0)
    assert wide > locking.variance(*seen(image), np.array([0.375]), 1.5) > 0
    empty = images.prepare(np.full((240, 240), np.nan), frame, (32,), as_prefilter("bandpass"), np.dtype(np.float32))
    assert locking.variance(*seen(empty), np.array([0.5, np.nan]), 3.0).tolist() == [0.0, 0.0]


@pytest.mark.slow
@pytest.mark.parametrize("factor", [3, 4, 6])
@pytest.mark.parametrize("snr", [5.0, 20.0])
def test_sigma_holds_for_pairs_of_other_sizes(tmp_path, ground, factor, snr):
    stack = opened(tmp_path, ground[0], factor, snr)[2:]
    network = xoffset.pairs(stack)
    found = xoffset.correlate(stack, network, search=6, step=16).isel(x=slice(2, -2), y=slice(2, -2))
    shift = xr.DataArray(np.concatenate([np.zeros((2, 3)), ground[1][:, 1:]], axis=1), dims=("axis", "time"))
    shift = shift.assign_coords(time=stack.time)
    true = shift.sel(time=found.secondary).values - shift.sel(time=found.reference).values
    ends = np.stack([stack.native_pixel_size.sel(time=found[name]).values > 10 for name in ("reference", "secondary")])
    for kind, members in (("one", ends[0] != ends[1]), ("both", ends.all(axis=0))):
        error = np.stack([found[f"d{axis}"].values[members] for axis in "xy"]) - true[:, members, None, None]
        sigma = np.stack([found[f"sigma_d{axis}"].values[members] for axis in "xy"])
        seen = np.isfinite(error) & (abs(error) < 10.0)
        assert seen.mean() > 0.9, kind
        ratio = np.sqrt((error[seen] ** 2).mean() / (sigma[seen] ** 2).mean())
        coverage = (abs(error[seen]) < 1.96 * sigma[seen]).mean()
        assert 0.8 < ratio < 1.25, (kind, ratio)
        assert 0.9 < coverage < 0.99, (kind, coverage)


@pytest.mark.slow
def test_sigma_of_a_series_of_two_sizes_holds(tmp_path, ground):
    shifts = np.concatenate([np.zeros((2, 1)), ground[1][:, 1:]], axis=1)
    for k in range(5):
        factor = (2, 6, 2, 6, 2)[k]
        write(tmp_path, f"a_2020010{k + 1}.tif", drawn(ground[0][k], factor, 5.0, k), factor)
    stack = xoffset.open_stack(tmp_path, align="cubic")
    assert stack.native_pixel_size.values.tolist() == [10.0, 30.0, 10.0, 30.0, 10.0]
    found = xoffset.correlate(stack, xoffset.pairs(stack), search=6, step=16).isel(x=slice(2, -2), y=slice(2, -2))
    series = xoffset.invert(found)
    for k in range(1, 5):
        for axis, name in enumerate("xy"):
            error = series[f"d{name}"].values[k] - shifts[axis, k]
            # of the difference of two dates
            sigma = np.hypot(series[f"sigma_d{name}"].values[k], series[f"sigma_d{name}"].values[0])
            seen = np.isfinite(error)
            assert seen.mean() > 0.8
            assert (abs(error[seen]) < 1.96 * sigma[seen]).mean() > 0.88, (k, name)
    spread = series.sigma_dx.median(("y", "x")).values
    assert spread[[1, 3]].min() > 3.0 * spread[[0, 2, 4]].max()
