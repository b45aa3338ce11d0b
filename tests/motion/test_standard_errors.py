"""How certain a velocity is: dates that resemble each other, few pairs, and what it says that it stands on."""

import numpy as np
import pytest
import reference_correlation as reference
import xarray as xr

import xoffset
from xoffset._arrays.networks import trend
from xoffset._kernels.networks.trend import LINEAR
from xoffset.model import products

DATES = np.datetime64("2019-01-01", "us") + 20 * np.arange(60) * np.timedelta64(1, "D")


def grid_of(values):
    rows, columns = values.shape[2:]
    return {"x": 10.0 * np.arange(columns), "y": -10.0 * np.arange(rows)}


def series_of(values, sigma=1.0, dates=DATES):
    """Series of displacements (2, date, rows, columns) whose dates all err by sigma."""
    like = xr.Dataset(coords=grid_of(values))
    error = np.full(values.shape[1:], sigma)
    fields = {"dx": values[0], "dy": values[1], "sigma_dx": error, "sigma_dy": error}
    fields["flags"] = np.zeros(error.shape, np.int64)
    return products.series(fields, dates[: values.shape[1]], like=like, step={})


def shifts_of(values, ends, sigma=1.0):
    """Shifts of displacements (2, pair, rows, columns)."""
    grid = grid_of(values)
    like = products.stack(np.zeros((1, *values.shape[2:])), time=DATES[:1], **grid, crs=None, attrs={})
    error = np.full(values.shape[1:], sigma)
    fields = {"dx": values[0], "dy": values[1], "sigma_dx": error, "sigma_dy": error}
    network = products.network(DATES[ends[:, 0]], DATES[ends[:, 1]])
    return products.shifts(fields, network, **grid, like=like, step={})


def alike(factor, dates, side, seed):
    """Errors (2, date, side, side) of unit variance, each of which resembles the one before."""
    noise = np.random.default_rng(seed).standard_normal((2, dates, side, side))
    for k in range(1, dates):
        noise[:, k] = factor * noise[:, k - 1] + np.sqrt(1.0 - factor**2) * noise[:, k]
    return noise


@pytest.mark.small
@pytest.mark.parametrize("drift", [0.0, 0.4])
def test_correlated_dates_are_like_the_twin(drift):
    generator = np.random.default_rng(4)
    dates, pixels = 24, 6
    time = np.linspace(-1.0, 1.0, dates)
    design = np.stack([np.ones(dates), time, time**2], axis=1)
    growth = np.cumsum(generator.uniform(0.1, 1.0, dates))
    value = np.cumsum(generator.standard_normal((2, dates, pixels)), axis=1) * [0.02, 0.1, 0.3, 1.0, 1.0, 3.0]
    variance = generator.uniform(0.5, 2.0, value.shape)
    entries = np.array([(i, j) for i in range(3) for j in range(3)])
    problem = trend.Problem(design, np.full((dates, 2), -1), np.zeros(dates), entries, LINEAR, growth=growth)
    layers = trend.layers(problem)
    walk = np.array([drift, 2.0 * drift])[:, None, None] * np.ones((1, pixels))
    out = trend.fit(
        problem, layers, (value[:, :, None], variance[:, :, None]), (np.empty((2, 0, 1, pixels)), np.ones((1, pixels))),
        walk=walk,
    )  # fmt: skip
    found = np.stack([out[layers["covariance_x"]], out[layers["covariance_y"]]]).reshape(2, 3, 3, pixels)
    for p in range(pixels):
        expected = reference.covariance(design, value[:, :, p].T, variance[:, :, p].T, growth, walk[:, 0, p])
        np.testing.assert_allclose(found[..., p], expected, rtol=1e-3, atol=1e-3 * expected.max())


@pytest.mark.parametrize("dates", [20, 60])
@pytest.mark.parametrize("factor", [0.0, 0.3, 0.6, 0.9])
def test_velocity_of_dates_that_resemble_each_other(factor, dates):
    rate = series_of(alike(factor, dates, 30, 5)).offset.velocity()
    z = np.concatenate([(rate[f"v{axis}"] / rate[f"sigma_v{axis}"]).values.ravel() for axis in "xy"])
    assert 0.92 < (np.abs(z) < 1.96).mean() < 0.985
    if factor == 0.0:
        # independent dates lose next to nothing
        centred = xoffset.model.dates.in_years(DATES[:dates] - DATES[0])
        plain = 1.0 / np.sqrt(((centred - centred.mean()) ** 2).sum())
        assert 1.0 <= float(rate.sigma_vx.median()) / plain < 1.1
    if factor == 0.6:
        event = np.datetime64(str(DATES[dates // 2] + np.timedelta64(1, "D")))
        step = series_of(alike(factor, dates, 30, 6)).offset.coseismic(event)
        assert 0.92 < (np.abs(step.dx / step.sigma_dx) < 1.96).mean() < 0.985


def test_a_season_that_nobody_fits_makes_no_false_velocity():
    phase = np.random.default_rng(0).uniform(0.0, 2.0 * np.pi, (2, 1, 20, 20))
    season = 2.0 * np.sin(2.0 * np.pi * np.arange(40)[:, None, None] * 20.0 / 365.25 + phase)
    rate = series_of(season + alike(0.0, 40, 20, 1)).offset.velocity()
    assert (np.abs(rate.vx / rate.sigma_vx) < 1.96).mean() > 0.95


def test_a_velocity_says_what_it_stands_on(tmp_path):
    ends = np.array([(0, 1), (1, 2), (0, 2), (2, 4), (3, 4)])
    values = np.zeros((2, 5, 2, 3))
    values[:, [0, 1, 2, 3], 0, 0] = np.nan  # the last pair alone
    values[:, :, 0, 1] = np.nan
    values[:, [0, 2], 0, 2] = np.nan  # the first date is lacking
    values[0, 1, 1, 0] = np.nan
    shifts = shifts_of(values, ends)
    for rate in (shifts.offset.velocity(), shifts.chunk(y=1, x=2).offset.velocity().compute()):
        assert {str(rate[name].dtype) for name in ("n_pairs", "n_dates")} == {"int32"}
        np.testing.assert_array_equal(rate.n_pairs, [[1, 0, 3], [4, 5, 5]])
        np.testing.assert_array_equal(rate.n_dates, [[2, 0, 4], [5, 5, 5]])
        first, last = np.array([[3, -1, 1], [0, 0, 0]]), np.array([[4, -1, 4], [4, 4, 4]])
        for index, name in ((first, "first"), (last, "last")):
            expected = np.where(index < 0, np.datetime64("NaT", "us"), DATES[index])
            np.testing.assert_array_equal(rate[name].values, expected)
    demanding = shifts.offset.velocity(min_pairs=4)
    too_few = np.array([[True, True, True], [False, False, False]])
    for name in ("vx", "sigma_vy", "v", "direction"):
        assert np.isnan(demanding[name].values[too_few]).all(), name
    np.testing.assert_array_equal(demanding.flags == xoffset.flags.FLAGS["too_few_dates"], too_few)
    xr.testing.assert_equal(demanding.vx[1], rate.vx[1])
    # a store keeps it, and so does a table
    demanding.to_zarr(tmp_path / "rate.zarr", consolidated=False)
    xr.testing.assert_identical(xoffset.open_result(tmp_path / "rate.zarr").compute(), demanding)
    assert str(demanding.to_dataframe()["first"].dtype).startswith("datetime64")
    tables = demanding.offset.to_geotiff(tmp_path / "maps")
    assert {"first.tif", "n_dates.tif"} <= {path.name for path in tables}
    series = shifts.isel(y=[1]).offset.invert()
    of_series = series.offset.velocity(min_pairs=5)
    np.testing.assert_array_equal(of_series.n_pairs, series.n_pairs)
    np.testing.assert_array_equal(of_series.n_dates, [[5, 5, 5]])
    np.testing.assert_array_equal(np.isnan(of_series.vx), [[True, False, False]])


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_few_intervals_are_as_certain_as_their_standard_errors(noise):
    """One pair, or two: what scatters little by chance makes no velocity more certain."""
    year = (DATES[10] - DATES[0]) / np.timedelta64(1, "D") / 365.25
    values = noise * np.random.default_rng(0).standard_normal((2, 2, 20, 20))
    ends = np.array([(0, 10), (20, 30)])
    both = shifts_of(values, ends).offset.velocity()
    one = shifts_of(values[:, :1], ends[:1]).offset.velocity()
    np.testing.assert_allclose(one.sigma_vx, 1.0 / year)
    assert (both.sigma_vx >= 0.999 / year / np.sqrt(2.0)).all()
    # without standard errors nothing tells, and nothing is said
    for shifts in (shifts_of(values, ends), shifts_of(values[:, :1], ends[:1])):
        blind = shifts.assign({name: np.nan * shifts[name] for name in ("sigma_dx", "sigma_dy")}).offset.velocity()
        assert np.isfinite(blind.vx).all()
        assert np.isnan(blind.sigma_vx).all()


def test_a_pixel_that_lacks_the_first_date_is_as_certain_as_others():
    """The first date is nothing special to a line through shifts."""
    generator = np.random.default_rng(2)
    ends = np.array([(i, j) for i in range(8) for j in range(i + 1, min(i + 4, 8))])
    of_dates = generator.standard_normal((2, 8, 10, 10))
    noise = of_dates[:, ends[:, 1]] - of_dates[:, ends[:, 0]] + 0.5 * generator.standard_normal((2, len(ends), 10, 10))
    whole = shifts_of(noise, ends, 1.5)
    lacking = whole.isel(pair=np.flatnonzero((ends > 0).all(axis=1)))
    with_nan = whole.where(xr.DataArray((ends > 0).all(axis=1), dims="pair"))
    for function in (xoffset.velocity, xoffset.mean_velocity):
        expected, found = function(lacking), function(with_nan)
        for name in ("vx", "sigma_vx", "sigma_vy"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9)
