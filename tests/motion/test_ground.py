"""From metres of the grid to metres of ground, toward true east and north."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.model import grids, variables

# CRS, longitude and latitude of a place in it
PLACES = {
    "UTM, central meridian": ("EPSG:32632", 9.0, 46.0),
    "UTM, edge of the zone": ("EPSG:32632", 11.9, 60.0),
    "UTM, far beyond": ("EPSG:32632", 17.0, 68.0),
    "UTM, south": ("EPSG:32719", -70.5, -33.0),
    "polar stereographic, Columbia": ("EPSG:3413", -146.98, 61.18),
    "polar stereographic, south": ("EPSG:3031", 30.0, -75.0),
    "Gauss-Krüger, Bessel": ("EPSG:31254", 11.0, 47.0),
    "Lambert equal area": ("EPSG:3035", 25.0, 64.0),
    "Albers": ("EPSG:3338", -146.0, 61.0),
    "sinusoidal, sphere": ("ESRI:54008", 40.0, 50.0),
    "transverse Mercator, south-west": ("EPSG:2193", 173.0, -43.0),
}


def around(code, longitude, latitude, *, names=("dx", "dy"), shape=(3, 4), vector=(6.0, -4.0), spacing=20.0):
    """Vectors on a small grid around a place."""
    crs = pyproj.CRS(code)
    x, y = pyproj.Proj(crs)(longitude, latitude)
    rows, columns = shape
    data = {name: (("y", "x"), np.full(shape, value)) for name, value in zip(names, vector, strict=True)}
    coords = {
        "y": y - spacing * np.arange(rows),
        "x": x + spacing * np.arange(columns),
        "spatial_ref": grids.spatial_ref(crs),
    }
    return xr.Dataset(data, coords)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("vector", [(6.0, 0.0), (0.0, 6.0), (-5.0, 3.0)])
def test_vectors_are_those_of_the_geodesic(place, vector):
    data = around(*place, vector=vector)
    found = xoffset.ground(data)
    projection = pyproj.Proj(place[0])
    geod = projection.crs.get_geod()
    x, y = np.meshgrid(data.x, data.y)
    start, end = (projection(x + k * vector[0], y + k * vector[1], inverse=True) for k in (-0.5, 0.5))
    azimuth, _, length = geod.inv(*start, *end)
    np.testing.assert_allclose(found.d_east, length * np.sin(np.radians(azimuth)), atol=1e-5 * np.hypot(*vector))
    np.testing.assert_allclose(found.d_north, length * np.cos(np.radians(azimuth)), atol=1e-5 * np.hypot(*vector))


def test_columbia_glacier_is_turned_and_stretched_by_its_grid():
    data = around("EPSG:3413", -146.98, 61.18, vector=(10.0, 0.0))
    found = xoffset.ground(data).isel(x=0, y=0)
    assert float(np.hypot(found.d_east, found.d_north)) == pytest.approx(10.0 / 1.034, rel=1e-3)
    # the grid's x axis points 102 degrees to the left of... the grid's north lies 102 degrees from the true one
    assert float(np.degrees(np.arctan2(found.d_north, found.d_east))) == pytest.approx(102.0, abs=0.1)


def test_on_the_central_meridian_grid_and_true_north_agree():
    found = xoffset.ground(around("EPSG:32632", 9.0, 46.0, vector=(3.0, 7.0))).isel(x=0)
    np.testing.assert_allclose(found.d_east, 3.0 / 0.9996, rtol=1e-6)
    np.testing.assert_allclose(found.d_north, 7.0 / 0.9996, rtol=1e-6)


def test_errors_turn_with_the_vectors():
    data = around("EPSG:3413", -146.98, 61.18)
    generator = np.random.default_rng(0)
    shape = (20_000, *data.dx.shape)
    covariance = np.array([[0.4, -0.15], [-0.15, 0.2]])
    noise = np.einsum("ab,bnyx->anyx", np.linalg.cholesky(covariance), generator.standard_normal((2, *shape)))
    many = xr.Dataset(
        {name: (("pair", "y", "x"), each) for name, each in zip(("dx", "dy"), noise, strict=True)}, data.coords
    )
    spread = xoffset.ground(many)
    data = data.assign(
        sigma_dx=0.0 * data.dx + np.sqrt(0.4), sigma_dy=0.0 * data.dx + np.sqrt(0.2), cov_dxdy=0.0 * data.dx - 0.15
    )
    found = xoffset.ground(data)
    np.testing.assert_allclose(found.sigma_d_east, spread.d_east.std("pair"), rtol=0.03)
    np.testing.assert_allclose(found.sigma_d_north, spread.d_north.std("pair"), rtol=0.03)
    both = (spread.d_east * spread.d_north).mean("pair")
    np.testing.assert_allclose(found.cov_d_east_north, both, atol=0.01)
    assert not {"sigma_dx", "sigma_dy", "cov_dxdy", "dx", "dy"} & set(found.data_vars)
    assert found.cov_d_east_north.attrs["units"] == "m2"
    alone = xoffset.ground(data.drop_vars("cov_dxdy"))
    assert float(abs(alone.sigma_d_east - found.sigma_d_east).max()) > 0.01


@pytest.fixture(scope="module")
def products():
    dates = ["2020-01-01", "2020-06-01", "2021-01-01"]
    stack, _ = synthetic.stack((96, 96), dates=dates, field="constant", velocity=20.0, crs="EPSG:3413", nodata=0.1)
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    return {
        "shifts": shifts, "series": xoffset.invert(shifts), "rate": xoffset.velocity(shifts),
        "mean": xoffset.mean_displacement(shifts), "mean velocity": xoffset.mean_velocity(shifts),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["shifts", "series", "rate", "mean", "mean velocity"])
def test_any_product_is_turned_and_keeps_the_rest(products, name):
    data = products[name]
    found = xoffset.ground(data)
    letter = "v" if "vx" in data else "d"
    east, north = found[f"{letter}_east"], found[f"{letter}_north"]
    old = {f"{letter}x", f"{letter}y", f"sigma_{letter}x", f"sigma_{letter}y", f"cov_{letter}x{letter}y"}
    new = {f"{letter}_east", f"{letter}_north", f"sigma_{letter}_east", f"sigma_{letter}_north"}
    new |= {f"cov_{letter}_east_north"}
    if name == "series":
        old |= {"sigma_drift_dx", "sigma_drift_dy"}
        new |= {"sigma_drift_d_east", "sigma_drift_d_north"}
    assert set(found.data_vars) == set(data.data_vars) - old | new
    changed = {"v", "v_debiased", "direction", "magnitude"}
    for each in set(found.data_vars) - new - changed:
        label = ", metres of the grid" if each in variables.COMPONENTS.lengths else ""
        expected = data[each].assign_attrs(long_name=data[each].attrs["long_name"] + label)
        xr.testing.assert_identical(found[each], expected)
    if letter == "v":
        np.testing.assert_allclose(found.v, np.hypot(east, north), rtol=1e-6)
        np.testing.assert_allclose(found.direction, np.degrees(np.arctan2(east, north)) % 360.0, rtol=1e-4)
        assert "true north" in found.direction.attrs["long_name"]
    if "magnitude" in found:
        np.testing.assert_allclose(found.magnitude, np.hypot(east, north), rtol=1e-6)
    assert east.attrs["units"] == ("m yr-1" if letter == "v" else "m")
    np.testing.assert_array_equal(np.isnan(east), np.isnan(data[f"{letter}x"]))
    assert east.dtype == "float32"
    assert grids.crs_of(found) == grids.crs_of(data)
    assert '"function": "ground"' in found.attrs["processing"]


def of_all_kinds():
    """Vectors of every name that the registry holds, with errors, where the grid is turned by 102 degrees."""
    data = around("EPSG:3413", -146.98, 61.18)
    generator = np.random.default_rng(3)
    names = [name for pair in variables.COMPONENTS.vectors.items() for name in pair]
    known = {name for table in variables.TABLES for name in table}
    errors = [name for pair in variables.COMPONENTS.errors.items() for name in pair]
    for name in (*names, *errors, *(f"sigma_{name}" for name in names if f"sigma_{name}" in known)):
        data[name] = (("y", "x"), generator.uniform(0.5, 2.0, (3, 4)))
    return data


def test_all_vectors_of_a_product_turn_alike():
    data = of_all_kinds()
    found = xoffset.ground(data)
    for x, y in variables.COMPONENTS.vectors.items():
        has_errors = f"sigma_{x}" in data
        names = {x: "dx", y: "dy"} | ({f"sigma_{x}": "sigma_dx", f"sigma_{y}": "sigma_dy"} if has_errors else {})
        alone = xr.Dataset({to: data[name] for name, to in names.items()})
        expected = xoffset.ground(alone.assign_coords(spatial_ref=data.spatial_ref))
        east, north = f"{x[:-1]}_east", f"{x[:-1]}_north"
        for name, of in ((east, "d_east"), (north, "d_north"), (f"sigma_{east}", "sigma_d_east"))[: 2 + has_errors]:
            np.testing.assert_array_equal(found[name], expected[of], err_msg=name)
        assert (f"cov_{east}_north" in found) == has_errors
    np.testing.assert_allclose(
        found.sigma_v_east_bootstrap,
        xoffset.ground(data[["dx", "dy"]].assign(sigma_dx=data.sigma_vx_bootstrap, sigma_dy=data.sigma_vy_bootstrap))
        .sigma_d_east,
    )  # fmt: skip
    assert not [name for name in found.data_vars if name in variables.COMPONENTS.all]


def test_speed_without_noise_is_that_of_the_ground():
    data = of_all_kinds()
    found = xoffset.ground(data.assign(v_debiased=data.vx, v=data.vx))
    square = found.v_east**2 + found.v_north**2 - found.sigma_v_east**2 - found.sigma_v_north**2
    np.testing.assert_allclose(found.v_debiased, np.sqrt(square.clip(0.0)), rtol=1e-6)
    without = xoffset.ground(data.drop_vars(["sigma_vx", "sigma_vy"]))
    assert "v_debiased" not in without


def test_the_input_keeps_its_labels(products):
    before = products["series"].copy(deep=True)
    xoffset.ground(products["series"])
    xr.testing.assert_identical(products["series"], before)


def test_what_belongs_to_an_axis_and_cannot_be_turned_is_left_out(products):
    series = products["series"].assign(
        geolocation_dx=("time", np.ones(3)), geolocation_dy=("time", np.ones(3)), own=("time", np.ones(3))
    )
    found = xoffset.ground(series)
    assert not {"geolocation_dx", "geolocation_dy"} & set(found.data_vars)
    assert "own" in found


@pytest.mark.parametrize("name", ["shifts", "rate"])
@pytest.mark.parametrize("cut", [(2, 9), (4, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_chunks_give_the_same_bits(products, name, cut, dtype):
    data = products[name].drop_vars("flags").astype(dtype)
    expected = xoffset.ground(data)
    lazy = xoffset.ground(data.chunk(y=cut[0], x=cut[1]))
    assert all(variable.chunks is not None for variable in lazy.data_vars.values())
    assert {variable.dtype for variable in lazy.drop_vars("flags").data_vars.values()} == {np.dtype(dtype)}
    xr.testing.assert_identical(lazy.compute(), expected)


def test_beyond_the_reach_of_the_projection_is_unknown():
    data = around("EPSG:3035", 25.0, 64.0, spacing=5_000_000.0)
    found = xoffset.ground(data)
    assert np.isfinite(found.d_east[0, 0])
    assert np.isnan(found.d_east[0, -1])
    assert bool(xoffset.flags.flagged(found, "nodata")[0, -1])
    assert found.flags[0, 0] == 0


def test_turned_results_go_to_disk(products, tmp_path):
    found = xoffset.ground(products["rate"])
    found.to_zarr(tmp_path / "rate.zarr", consolidated=False)
    xr.testing.assert_identical(xoffset.open_result(tmp_path / "rate.zarr"), found)


@pytest.fixture(scope="module")
def event():
    """Displacement of an event with a trend beside it."""
    dates = ["2020-01-01", "2020-04-01", "2020-07-01", "2020-10-01", "2021-01-01", "2021-04-01"]
    stack, _ = synthetic.stack(
        (96, 96), dates=dates, field="fault", velocity=10.0, step=6.0, step_date="2020-08-01", crs="EPSG:3413"
    )
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    return xoffset.coseismic(shifts, "2020-08-01", trend=True)


def test_an_event_with_a_trend_turns_both(event):
    found = xoffset.ground(event)
    for kept, gone in ((["dx", "dy"], ["vx", "vy"]), (["vx", "vy"], ["dx", "dy"])):
        alone = xoffset.ground(event.drop_vars([*gone, *(f"sigma_{name}" for name in gone)]))
        for name in alone.data_vars:
            xr.testing.assert_equal(alone[name], found[name])
        assert f"{kept[0][0]}_east" in alone


def test_strain_and_profile_of_an_event_with_a_trend_are_those_of_the_event(event):
    line = [(float(event.x[0]), float(event.y[4])), (float(event.x[-1]), float(event.y[4]))]
    velocities = ["vx", "vy", "sigma_vx", "sigma_vy"]
    for function in (xoffset.strain, lambda data: xoffset.profile(data, line)):
        found = function(event)
        xr.testing.assert_equal(found, function(event.drop_vars(velocities)))
        rate = function(event[velocities])
        assert not rate.equals(found)
    assert found.parallel.attrs["units"] == "m"
    assert rate.parallel.attrs["units"] == "m yr-1"
