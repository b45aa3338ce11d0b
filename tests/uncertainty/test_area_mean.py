"""Means over areas: their standard error covers on fields of known correlation."""

import numpy as np
import pyproj
import pytest
import reference_quality
import xarray as xr

import xoffset
from xoffset._arrays import variogram
from xoffset.model import grids, products
from xoffset.model.flags import FLAGS

CRS = "EPSG:32632"
SIDE = 40.0  # of a cell [m]


def place(shape):
    y, x = 5e6 - SIDE * np.arange(shape[0]), 5e5 + SIDE * np.arange(shape[1])
    return xr.DataArray(np.zeros(shape), coords={"y": y, "x": x}, dims=("y", "x")).assign_coords(
        spatial_ref=grids.spatial_ref(pyproj.CRS(CRS))
    )


def as_shifts(dx, dy, sigma=1.0, **more):
    """Shifts (pair, y, x)."""
    like, dates = (
        place(dx.shape[1:]),
        np.datetime64("2020-01-01", "us") + np.arange(len(dx) + 1) * np.timedelta64(9, "D"),
    )
    fields = {"dx": dx, "dy": dy, "sigma_dx": np.full(dx.shape, sigma), "sigma_dy": np.full(dx.shape, sigma)} | more
    network = products.network(dates[:-1], dates[1:])
    return products.shifts(fields, network, x=like.x.values, y=like.y.values, like=like, step={})


def box(data, rows, columns):
    """Rectangle around nodes, as GeoJSON in the CRS of the grid."""
    x = data.x.values[list(columns)] + [-0.4 * SIDE, 0.4 * SIDE]
    y = data.y.values[list(rows)] + [0.4 * SIDE, -0.4 * SIDE]
    corners = [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1]), (x[0], y[0])]
    return {"type": "Polygon", "coordinates": [corners], "crs": {"type": "name", "properties": {"name": CRS}}}


def fields(count, shape, reach, kind, seed=0):
    """Gaussian fields (count, rows, columns) of unit variance with a known correlation: `reach` in nodes."""
    rng = np.random.default_rng(seed)
    size = 4 * max(shape)
    lag = np.minimum(np.arange(size), size - np.arange(size))
    distance = np.hypot(lag[:, np.newaxis], lag)
    correlation = {
        "white": distance == 0.0,
        "gaussian": np.exp(-((distance / max(reach, 1e-9)) ** 2)),
        "exponential": np.exp(-distance / max(reach, 1e-9)),
        # of windows that overlap, the product of two tents
        "windows": np.prod([np.maximum(1.0 - each / max(reach, 1e-9), 0.0) for each in np.meshgrid(lag, lag)], axis=0),
    }[kind]
    spectrum = np.sqrt(np.maximum(np.fft.fft2(correlation).real, 0.0))
    noise = rng.standard_normal((count, size, size))
    return np.fft.ifft2(np.fft.fft2(noise) * spectrum).real[:, : shape[0], : shape[1]]


def test_variance_of_a_sum_is_the_double_sum():
    rng = np.random.default_rng(1)
    weight = np.where(rng.random((7, 9)) < 0.6, rng.random((7, 9)), 0.0)
    kinds = {"exponential": 30.0, "gaussian": 90.0, "spherical": 150.0}
    model = variogram.Correlation(
        2.0, 1.0, tuple(variogram.Structure(kind, reach, 0.2, 3.0, 0.4) for kind, reach in kinds.items())
    )
    found = variogram.variance_of_sum(weight, model, (30.0, 40.0))
    twin = reference_quality.variance_of_sum(weight, model.at, (30.0, 40.0))
    assert found == pytest.approx(twin, rel=1e-12)


CASES = {
    "white": ("white", 0.0), "windows": ("windows", 4.0), "gaussian": ("gaussian", 3.0),
    "exponential": ("exponential", 3.0), "wide windows": ("windows", 8.0), "far": ("gaussian", 7.0),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_standard_error_covers(case):
    """Of 48 means of a landslide that moves by 30 sigma, with noise whose correlation nobody told."""
    kind, reach = CASES[case]
    shape, pairs = (60, 70), 24
    dx, dy = fields(2 * pairs, shape, reach, kind, seed=2).reshape(2, pairs, *shape)
    dx[:, 20:40, 25:50] += 30.0
    shifts = as_shifts(0.7 * dx, 0.7 * dy, sigma=0.7)
    found = xoffset.area_mean(shifts, box(shifts, (22, 37), (27, 47)))
    error = np.concatenate([found.dx - 21.0, found.dy])
    sigma = np.concatenate([found.sigma_dx, found.sigma_dy])
    assert (np.abs(error) < 1.96 * sigma).mean() >= 0.86
    assert 0.7 < np.sqrt((error**2).mean()) / np.sqrt((sigma**2).mean()) < 1.25
    # the number of independent vectors is that of the double sum
    distance = SIDE * np.hypot(*np.meshgrid(np.arange(-20, 21), np.arange(-15, 16)))
    pairs_at = np.outer(16 - np.abs(np.arange(-15, 16)), 21 - np.abs(np.arange(-20, 21)))
    shares = {
        "white": distance == 0.0,
        "gaussian": np.exp(-((distance / SIDE / max(reach, 1.0)) ** 2)),
        "exponential": np.exp(-distance / SIDE / max(reach, 1.0)),
        "windows": np.outer(*(np.maximum(1.0 - np.abs(np.arange(-n, n + 1)) / max(reach, 1.0), 0.0) for n in (15, 20))),
    }[kind]
    true = (16 * 21) ** 2 / (pairs_at * shares).sum()
    assert 0.5 < float(found.n_effective_x.median()) / true < 1.8


@pytest.mark.parametrize("tilt", [0.0, 90.0, 11.0, -45.0])
@pytest.mark.parametrize("reach", [0.5, 3.0])
def test_stripes_are_no_white_noise(tilt, reach):
    """Half of the variance is alike along lines, as jitter and scan lines are; standard errors are right."""
    rng = np.random.default_rng(7)
    shape, pairs = (64, 64), 12
    rows, columns = np.indices(shape)
    across = rows * np.cos(np.radians(tilt)) - columns * np.sin(np.radians(tilt))
    lines = across[..., np.newaxis] - np.arange(-64, 128)
    kernel = np.exp(-((lines / reach) ** 2))
    stripes = np.einsum("ln,yxn->lyx", rng.standard_normal((2 * pairs, 192)), kernel)
    stripes /= np.sqrt((kernel**2).sum(axis=-1))
    noise = (stripes + rng.standard_normal(stripes.shape)).reshape(2, pairs, *shape) / np.sqrt(2.0)
    shifts = as_shifts(*noise)
    found = xoffset.area_mean(shifts, box(shifts, (20, 49), (15, 44)))
    error = np.concatenate([found.dx, found.dy]) / np.concatenate([found.sigma_dx, found.sigma_dy])
    assert 0.7 < np.sqrt((error**2).mean()) < 1.4


def test_the_mean_is_that_of_the_nodes():
    rng = np.random.default_rng(3)
    shifts = as_shifts(*rng.normal(size=(2, 2, 30, 40)))
    is_lost = rng.random((2, 30, 40)) < 0.2
    shifts = shifts.assign(dx=shifts.dx.where(~is_lost))
    found = xoffset.area_mean(shifts, box(shifts, (5, 14), (8, 27)))
    here = shifts.isel(y=slice(5, 15), x=slice(8, 28)).where(~is_lost[:, 5:15, 8:28])
    for name in ("dx", "dy"):
        np.testing.assert_allclose(found[name], here[name].mean(("y", "x")), rtol=1e-12)
    assert found.n_nodes.values.tolist() == here.dx.notnull().sum(("y", "x")).values.tolist()
    np.testing.assert_allclose(found.valid_share, found.n_nodes / 200.0)
    assert (found.flags == 0).all()


def test_stable_ground_tells_the_size_of_the_errors_and_what_they_share():
    """Standard errors that are a third of the truth, everything displaced by 0.5 m."""
    shape = (60, 70)
    noise = fields(8, shape, 2.0, "gaussian", seed=4)
    dx, dy = noise[:4] + 0.5, noise[4:]
    dx[:, 20:40, 25:50] += 30.0
    shifts = as_shifts(dx, dy, sigma=1.0 / 3.0)
    stable = xr.ones_like(shifts.dx[0], dtype=bool).drop_vars(["reference", "secondary", "baseline"])
    stable[18:42, 23:52] = False
    area = box(shifts, (22, 37), (27, 47))
    trusted, told = xoffset.area_mean(shifts, area), xoffset.area_mean(shifts, area, stable=stable)
    np.testing.assert_allclose(told.sigma_dy, 3.0 * trusted.sigma_dy, rtol=0.35)
    assert ((told.sigma_dx > 0.45) & (told.sigma_dx < 0.75)).all()
    assert (np.abs(told.dx - 30.0) < 2.0 * told.sigma_dx).all()


def test_stable_ground_must_be_somewhere():
    shifts = as_shifts(*np.random.default_rng(8).normal(size=(2, 2, 30, 40)))
    area = box(shifts, (5, 14), (8, 27))
    nowhere = xr.zeros_like(shifts.dx[0], dtype=bool).drop_vars(["reference", "secondary", "baseline"])
    with pytest.raises(ValueError, match=r"area_mean\(\) needs stable to be True on at least one node.*enlarge"):
        xoffset.area_mean(shifts, area, stable=nowhere)
    stable = nowhere.copy(deep=True)
    stable[20:, :] = True
    lost = shifts.where((shifts.y > shifts.y[18]) | xr.DataArray([False, True], dims="pair"))
    for data, mask, flags in ((shifts, nowhere.chunk(), [FLAGS["nodata"]] * 2), (lost, stable, [FLAGS["nodata"], 0])):
        found = xoffset.area_mean(data, area, stable=mask).compute()
        assert found.flags.values.tolist() == flags
        assert np.isfinite(found.dx).all()
        assert np.isnan(found.sigma_dx.values).tolist() == [flag > 0 for flag in flags]
    nothing = xoffset.area_mean(lost.where(False), area, stable=stable)
    assert (nothing.flags == FLAGS["few_valid"]).all()


def test_without_standard_errors_the_variogram_tells_their_size():
    noise = fields(16, (60, 70), 2.0, "gaussian", seed=5)
    shifts = as_shifts(1.7 * noise[:8], 1.7 * noise[8:], sigma=1.7)
    rate = shifts[["dx", "dy"]].isel(pair=0, drop=True).rename(dx="vx", dy="vy")
    rate = rate.assign({name: rate[name].assign_attrs(units="m yr-1") for name in ("vx", "vy")})
    area = box(shifts, (22, 37), (27, 47))
    with_errors = xoffset.area_mean(shifts.isel(pair=[0]), area)
    found = xoffset.area_mean(rate, area)
    assert found.vx.dims == ()
    np.testing.assert_allclose(found.sigma_vx, with_errors.sigma_dx[0], rtol=0.2)


def test_a_covariance_stays():
    rng = np.random.default_rng(6)
    dx, dy = rng.normal(size=(2, 1, 40, 40))
    shifts = as_shifts(dx, 0.6 * dx + 0.8 * dy, cov_dxdy=np.full(dx.shape, 0.6))
    found = xoffset.area_mean(shifts, box(shifts, (5, 24), (5, 24)))
    np.testing.assert_allclose(found.cov_dxdy, 0.6 * found.sigma_dx * found.sigma_dy)


def test_too_few_vectors_give_none():
    rng = np.random.default_rng(7)
    shifts = as_shifts(*rng.normal(size=(2, 2, 30, 40)))
    lost = shifts.where((shifts.x > shifts.x[20]) | xr.DataArray([False, True], dims="pair"))
    found = xoffset.area_mean(lost, box(shifts, (5, 14), (8, 27)))
    assert np.isnan(found.dx.values).tolist() == [True, False]
    assert found.flags.values.tolist() == [FLAGS["few_valid"], 0]
    assert np.isnan(found.sigma_dx[0])
    assert np.isfinite(xoffset.area_mean(lost, box(shifts, (5, 14), (8, 27)), min_valid=0.1).dx).all()
    nothing = xoffset.area_mean(shifts.where(False), box(shifts, (5, 14), (8, 27)))
    assert nothing.n_nodes.values.tolist() == [0, 0]
    assert (nothing.flags == FLAGS["few_valid"]).all()


def test_a_handful_of_nodes_is_one_vector():
    shifts = as_shifts(*np.random.default_rng(8).normal(size=(2, 1, 4, 4)))
    found = xoffset.area_mean(shifts, box(shifts, (0, 3), (0, 3)))
    np.testing.assert_allclose(found.sigma_dx, 1.0)
    np.testing.assert_allclose(found.n_effective_x, 1.0)


@pytest.mark.parametrize("chunks", [{"y": 7, "x": 11}, {"pair": 1}])
def test_chunks_change_no_bit(chunks):
    noise = fields(4, (40, 50), 2.0, "windows", seed=9)
    shifts = as_shifts(noise[:2], noise[2:])
    stable = xr.ones_like(shifts.dx[0], dtype=bool).drop_vars(["reference", "secondary", "baseline"])
    area = box(shifts, (5, 24), (5, 24))
    whole, lazy = (xoffset.area_mean(each, area, stable=stable) for each in (shifts, shifts.chunk(chunks)))
    assert all(each.chunks is not None for each in lazy.data_vars.values())
    xr.testing.assert_identical(whole, lazy.compute())


def test_any_crs():
    shifts = as_shifts(*np.random.default_rng(10).normal(size=(2, 1, 30, 40)))
    area = box(shifts, (5, 14), (8, 27))
    corners = np.array(area["coordinates"][0])
    turned = pyproj.Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(*corners.T)
    degrees = {"type": "Polygon", "coordinates": [np.column_stack(turned).tolist()]}
    xr.testing.assert_identical(xoffset.area_mean(shifts, area), xoffset.area_mean(shifts, degrees))


def test_what_lies_beyond_the_map_counts():
    shifts = as_shifts(*np.random.default_rng(5).normal(size=(2, 1, 40, 40)))
    corner = box(shifts, (0, 9), (0, 9))
    ring = np.array(corner["coordinates"][0])
    # ten times as wide and high, from the same corner out of the map
    far = np.array([ring[:, 0].max(), ring[:, 1].min()])
    wide = corner | {"coordinates": [(far + 10.0 * (ring - far)).tolist()]}
    found = xoffset.area_mean(shifts, wide)
    assert int(found.n_nodes[0]) == 100
    np.testing.assert_allclose(found.valid_share, 0.01, rtol=0.05)
    assert found.flags.values.tolist() == [FLAGS["few_valid"]]
    assert np.isfinite(xoffset.area_mean(shifts, wide, min_valid=0.005).dx).all()


@pytest.mark.parametrize("case", ["stable", "no errors"])
def test_wrong_matches_count_in_the_standard_error(case):
    """One in twenty errs twenty times as much."""
    rng = np.random.default_rng(6)
    noise = rng.normal(size=(2, 24, 40, 40))
    noise = np.where(rng.random(noise.shape) < 0.05, 20.0 * noise, noise)
    shifts = as_shifts(*noise)
    more = {}
    if case == "stable":
        more["stable"] = xr.ones_like(shifts.dx[0], dtype=bool).drop_vars(["reference", "secondary", "baseline"])
    else:
        shifts = shifts.drop_vars(["sigma_dx", "sigma_dy"])
    found = xoffset.area_mean(shifts, box(shifts, (10, 29), (10, 29)), **more)
    z = np.concatenate([found.dx / found.sigma_dx, found.dy / found.sigma_dy])
    assert 0.6 < np.sqrt((z**2).mean()) < 1.5


def test_the_number_of_vectors_knows_what_they_share():
    """All of the map is displaced by 1 m, as much as one vector errs: the mean is worth one vector."""
    dx, dy = np.random.default_rng(8).normal(size=(2, 4, 40, 40))
    shifts = as_shifts(dx + 1.0, dy)
    stable = xr.ones_like(shifts.dx[0], dtype=bool).drop_vars(["reference", "secondary", "baseline"])
    found = xoffset.area_mean(shifts, box(shifts, (10, 29), (10, 29)), stable=stable)
    np.testing.assert_allclose(found.n_effective_x, 1.0, rtol=0.2)
    np.testing.assert_allclose(found.sigma_dx, 1.0, rtol=0.1)


def test_the_reference_date_of_a_series_does_not_err():
    shifts = as_shifts(*np.random.default_rng(9).normal(size=(2, 1, 20, 20)), sigma=0.0)
    found = xoffset.area_mean(shifts, box(shifts, (5, 14), (5, 14)))
    assert found.sigma_dx.values.tolist() == [0.0]
    assert found.flags.values.tolist() == [0]
    unknown = shifts.assign(sigma_dx=shifts.sigma_dx + 1.0)
    unknown.sigma_dx[0, 7, 7] = np.nan
    found = xoffset.area_mean(unknown, box(shifts, (5, 14), (5, 14)))
    assert np.isnan(found.sigma_dx).all()
    assert found.flags.values.tolist() == [FLAGS["nodata"]]
