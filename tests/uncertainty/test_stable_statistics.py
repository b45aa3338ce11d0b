"""Statistics of stable ground: the published numbers of a glacier, and numbers put in that come out."""

import numpy as np
import pyproj
import pytest
import reference_quality
import rioxarray
import xarray as xr

import xoffset
from xoffset._arrays import density, statistics
from xoffset._kernels.maps.density import density as kernel
from xoffset.model import grids, products
from xoffset.readers import polygons

DATES = np.array(["2020-01-01", "2020-07-01", "2021-01-01"], "M8[us]")
CRS = "EPSG:32632"


def grid(shape, side=40.0):
    """Rows going south."""
    y, x = 5e6 - side * np.arange(shape[0]), 5e5 + side * np.arange(shape[1])
    return xr.DataArray(np.zeros(shape), coords={"y": y, "x": x}, dims=("y", "x")).assign_coords(
        spatial_ref=grids.spatial_ref(pyproj.CRS(CRS))
    )


def as_rate(vx, vy, side=40.0, **more):
    like = grid(vx.shape, side)
    fields = {"vx": vx, "vy": vy} | more
    return xr.Dataset({name: (("y", "x"), field) for name, field in fields.items()}, coords=like.coords)


def as_shifts(dx, dy, **more):
    """Shifts (pair, y, x) of given displacements."""
    like = grid(dx.shape[1:])
    fields = {"dx": dx, "dy": dy, "sigma_dx": np.ones(dx.shape), "sigma_dy": np.ones(dx.shape)} | more
    network = products.network(DATES[: len(dx)], DATES[1 : len(dx) + 1])
    return products.shifts(
        fields, network, x=like.x.values, y=like.y.values, like=like, step={}, sampling={"pixel_size": 10.0}
    )


def everywhere(data):
    name = "dx" if "dx" in data else "vx"
    return xr.ones_like(data[name].isel(pair=0, drop=True) if "pair" in data.dims else data[name], dtype=bool)


# ---------------------------------------------------------------------------------------------------------------- twins


def test_density_is_its_definition():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50))
    columns, rows = np.linspace(-2.0, 3.0, 17), np.linspace(-4.0, 1.0, 13)
    found = np.empty((13, 17))
    kernel(x, y, 0.7, columns, rows, found)
    np.testing.assert_allclose(found, reference_quality.density(x, y, 0.7, columns, rows), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_contour_is_its_definition(share):
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.3, 0.5, 400), rng.normal(-0.2, 0.8, 400)
    x[: int(400 * share)] = rng.uniform(-9.0, 9.0, int(400 * share))
    np.testing.assert_allclose(density.contour(x, y), reference_quality.contour(x, y), rtol=1e-9)


def test_strain_is_its_definition():
    rng = np.random.default_rng(2)
    vx, vy = rng.normal(size=(2, 9, 11))
    vx[4, 3] = np.nan
    normal, shear = statistics.along_flow(vx, vy, np.isfinite(vx), (50.0, -50.0))
    cosine, sine = statistics._direction(vx, vy, (50.0, -50.0))
    twins = reference_quality.strain(vx, vy, cosine, sine, 50.0)
    for found, twin in zip((normal, shear), twins, strict=True):
        np.testing.assert_allclose(found, twin[np.isfinite(twin)], rtol=1e-10, atol=1e-15)


# ---------------------------------------------------------------------------------------------------------------- truth


@pytest.fixture(scope="module")
def kaskawulsh(data_folder):
    """Velocities [m/day], bedrock and glacier."""
    folder = data_folder / "kaskawulsh_velocity"
    fields = {}
    for name in ("vx", "vy"):
        path = folder / f"20180304-20180405_velo-raw_{name}.tif"
        with rioxarray.open_rasterio(path, masked=True) as file:
            fields[name] = file.squeeze("band", drop=True).load().assign_attrs(units="m/day")
    rate = xr.Dataset(fields)
    files = ("bedrock_V2.shp", "glacier_V1_Kaskawulsh_s_inwardBuffer600m.shp")
    inside = [polygons.inside(folder / name, rate, "test", "polygon") for name in files]
    return rate, *(rate.vx.copy(data=values).astype(bool) for values in inside)


def test_published_numbers_of_a_glacier(kaskawulsh):
    rate, bedrock, glacier = kaskawulsh
    found = xoffset.stable_statistics(rate, bedrock, moving=glacier)
    assert found.n_stable == 46_677
    per_day = 1.0 / 365.25
    published = {
        "uncertainty_vx": 0.1501 / per_day, "uncertainty_vy": 0.1598 / per_day, "bias_vx": -0.01949 / per_day,
        "bias_vy": -0.02445 / per_day, "wrong_share": 0.071, "median_vx": -0.0146 / per_day,
        "median_vy": -0.0293 / per_day, "nmad_vx": 0.0434 / per_day, "nmad_vy": 0.0543 / per_day,
        # without the division by 8 of the derivative
        "along_flow_normal": 0.001755 / 8 / per_day, "along_flow_shear": 0.001646 / 8 / per_day,
    }  # fmt: skip
    assert {name: float(found[name]) for name in published} == pytest.approx(published, rel=0.02)
    assert set(found.data_vars) == {*published, "n_stable", "valid_share", "rmse_vx", "rmse_vy"}
    assert found.uncertainty_vx.attrs["units"] == "m yr-1"


def test_numbers_put_in_come_out():
    rng = np.random.default_rng(3)
    shape = (2, 80, 90)
    dx, dy = rng.normal(0.5, 0.4, shape), rng.normal(-0.3, 0.6, shape)
    is_wrong = rng.random(shape) < 0.1
    dx[is_wrong] = rng.uniform(-8.0, 8.0, is_wrong.sum())
    dx[1] += 1.0
    dx[:, :8] = np.nan
    shifts = as_shifts(dx, dy, sigma_dx=np.full(shape, 0.8))
    found = xoffset.stable_statistics(shifts, everywhere(shifts))
    assert found.n_stable.values.tolist() == [72 * 90, 72 * 90]
    np.testing.assert_allclose(found.valid_share, 0.9)
    np.testing.assert_allclose(found.bias_dx, [0.5, 1.5], atol=0.15)
    np.testing.assert_allclose(found.median_dx, [0.5, 1.5], atol=0.03)
    np.testing.assert_allclose(found.nmad_dx, 0.4, rtol=0.2)
    np.testing.assert_allclose(found.sigma_ratio_dx, 0.5, rtol=0.2)
    np.testing.assert_allclose(found.nmad_dy, 0.6, rtol=0.05)
    np.testing.assert_allclose(found.rmse_dy, np.hypot(0.6, 0.3), rtol=0.05)
    # most of what is wrong is outside, and up to 9 % of what is right: beyond two standard deviations along x or y
    assert ((found.wrong_share > 0.09) & (found.wrong_share < 0.19)).all()
    assert (found.uncertainty_dx > 0.8).all()
    assert (found.uncertainty_dy > 1.2).all()


def test_strain_along_the_flow_is_that_put_in():
    """Flow toward 30 degrees from x that grows by 0.02 a metre along itself, and by 0.006 across."""
    angle = np.radians(30.0)
    place = grid((40, 50), side=25.0)
    x, y = place.x.values - place.x.values.mean(), (place.y.values - place.y.values.mean())[:, np.newaxis]
    along, across = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    speed = 100.0 + 0.02 * along + 0.006 * across
    for sign in (1, -1):
        fields = [sign * speed * part for part in (np.cos(angle), np.sin(angle))]
        normal, shear = statistics.along_flow(*fields, np.ones(speed.shape, bool), (25.0, -25.0))
        np.testing.assert_allclose(normal, sign * 0.02, rtol=1e-9)
        np.testing.assert_allclose(shear, sign * 0.003, rtol=1e-9)


# -------------------------------------------------------------------------------------------------- parts of a pixel


def moved(seed=4, share=0.0):
    """Displacements of up to 8 pixels of 10 m, of which a share goes to the next whole pixel."""
    rng = np.random.default_rng(seed)
    dx, dy = rng.uniform(-40.0, 40.0, (2, 1, 60, 70))
    is_locked = rng.random(dx.shape) < share
    return as_shifts(np.where(is_locked, 10.0 * np.round(dx / 10.0), dx), dy)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_matches_that_prefer_whole_pixels_show(share):
    shifts = moved(share=share)
    still = everywhere(shifts) & (shifts.x < shifts.x[3])
    found = xoffset.stable_statistics(shifts, still)
    np.testing.assert_allclose(found.locking_dx, share, atol=0.03)
    np.testing.assert_allclose(found.locking_dy, 0.0, atol=0.03)
    np.testing.assert_allclose(found.fraction_dx.sum("fraction"), 1.0)
    of_whole = found.fraction_dx.sel(fraction=[-0.025, 0.025], method="nearest").sum("fraction")
    np.testing.assert_allclose(of_whole, 0.1 + 0.9 * share, atol=0.03)
    assert found.fraction.values[[0, -1]].tolist() == [-0.475, 0.475]


def test_motion_that_is_alike_says_nothing_of_parts_of_a_pixel():
    shifts = moved()
    still = everywhere(shifts) & (shifts.x < shifts.x[3])
    alike = shifts.assign(dx=0.1 * shifts.dx)
    found = xoffset.stable_statistics(alike, still)
    assert np.isnan(found.locking_dx).all()
    assert np.isnan(found.fraction_dx).all()
    assert np.isfinite(found.locking_dy).all()


def test_the_side_of_a_pixel_can_be_given():
    shifts = moved(share=1.0)
    still = everywhere(shifts) & (shifts.x < shifts.x[3])
    finer = xoffset.stable_statistics(shifts.drop_vars("pixel_size"), still, pixel_size=20.0)
    np.testing.assert_allclose(finer.locking_dx, 0.0, atol=0.1)  # both whole and half pixels
    without = xoffset.stable_statistics(shifts.drop_vars("pixel_size"), still)
    assert not [name for name in without.variables if name.startswith(("locking", "fraction"))]


def test_parts_of_a_pixel_are_those_of_what_moves():
    shifts = moved(share=1.0)
    right = everywhere(shifts) & (shifts.x > shifts.x[30])
    noise = np.random.default_rng(5).uniform(-40.0, 40.0, shifts.dx.shape)
    shifts = shifts.assign(dx=shifts.dx.where(right, noise))
    still = everywhere(shifts) & (shifts.x < shifts.x[3])
    np.testing.assert_allclose(xoffset.stable_statistics(shifts, still, moving=right).locking_dx, 1.0, rtol=1e-6)
    assert xoffset.stable_statistics(shifts, still).locking_dx < 0.8


# -------------------------------------------------------------------------------------------------------------- chunks


@pytest.mark.parametrize("chunks", [{"y": 7, "x": 11}, {"pair": 1, "y": 60}])
def test_chunks_change_no_bit(chunks):
    shifts = xr.concat([moved(), moved(6)], "pair", data_vars="minimal")
    right = everywhere(shifts) & (shifts.x > shifts.x[30])
    whole = xoffset.stable_statistics(shifts, ~right, moving=right)
    lazy = xoffset.stable_statistics(shifts.chunk(chunks), (~right).chunk(), moving=right)
    assert all(each.chunks is not None for each in lazy.data_vars.values())
    xr.testing.assert_identical(whole, lazy.compute())


def test_without_vectors_nothing_is_known():
    shifts = moved()
    found = xoffset.stable_statistics(shifts.where(False), everywhere(shifts))
    assert found.n_stable == 0
    assert found.valid_share == 0.0
    assert all(np.isnan(found[name]).all() for name in found.data_vars if name not in ("n_stable", "valid_share"))


def test_masks_that_touch_nothing_are_refused():
    shifts = moved()
    nowhere = ~everywhere(shifts)
    with pytest.raises(ValueError, match=r"stable to be True on at least one node; got none.*enlarge the mask"):
        xoffset.stable_statistics(shifts, nowhere)
    with pytest.raises(ValueError, match=r"moving to be True on at least one node; got none.*enlarge the mask"):
        xoffset.stable_statistics(shifts, ~nowhere, moving=nowhere)


def test_a_lazy_mask_that_is_true_nowhere_counts_none():
    shifts = as_shifts(*np.random.default_rng(3).normal(size=(2, 2, 20, 30)))
    found = xoffset.stable_statistics(shifts, (~everywhere(shifts)).chunk()).compute()
    assert (found.n_stable == 0).all()
    assert np.isnan(found[["median_dx", "nmad_dy", "valid_share", "uncertainty_dx"]].to_array()).all()
