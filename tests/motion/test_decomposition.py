"""velocity, decompose, coseismic and yearly_velocity on networks and series whose motion is known."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.model import products
from xoffset.model.dates import YEAR, in_years
from xoffset.model.flags import FLAGS

DATES = np.arange("2018-01-10", "2021-01-01", 30, dtype="M8[D]").astype("M8[us]")


def years(dates, since="2000-01-01"):
    return in_years(dates - np.datetime64(since, "us"))


def made(u, dates=DATES, pairs=None, noise=0.0, sigma=0.1, shape=(3, 4), seed=0, dtype="float64"):
    """Shifts of a displacement u(dates) along x, and -2 times it along y, with noise of each date."""
    dates = np.asarray(dates, "M8[us]")
    pairs = (
        [(i, j) for i in range(dates.size) for j in range(i + 1, min(i + 4, dates.size))] if pairs is None else pairs
    )
    first, second = np.array(pairs).T
    of_date = noise * np.random.default_rng(seed).normal(size=(2, dates.size, *shape))
    moved = np.stack([u, -2.0 * u])[:, :, None, None] + of_date
    dx, dy = (moved[:, second] - moved[:, first]).astype(dtype)
    spread = np.full(dx.shape, sigma, dtype)
    fields = {"dx": dx, "dy": dy, "sigma_dx": spread, "sigma_dy": spread.copy()}
    y, x = (10.0 * np.arange(size) for size in shape)
    like = xr.DataArray(np.empty(0), dims="pair")
    return products.shifts(
        fields, products.network(dates[first], dates[second]), x=x, y=y, like=like, step={"function": "made"}
    )


def both(shifts):
    """Shifts and the series inverted from them."""
    return {"pairs": shifts, "series": xoffset.invert(shifts)}


T = years(DATES, "2018-01-10")
EVENT = "2019-06-15"
AFTER = (np.datetime64(EVENT) <= DATES).astype(float)
ELAPSED = np.maximum((DATES - np.datetime64(EVENT, "us")) / np.timedelta64(1, "D"), 0.0)
THROUGH = pytest.mark.parametrize("through", ["pairs", "series"])


@THROUGH
@pytest.mark.parametrize("loss", ["linear", "huber", "tukey", "l1"])
def test_everything_at_once_without_noise(through, loss):
    phase = 2.0 * np.pi * years(DATES)
    u = 7.0 * T + 0.5 * 3.0 * (T - T[-1] / 2) ** 2 + 1.5 * np.sin(phase) - 2.0 * np.cos(phase) + 0.4 * np.cos(2 * phase)
    u = u + 5.0 * AFTER + 2.0 * -np.expm1(-ELAPSED / 40.0) + 0.5 * np.log1p(ELAPSED / 200.0)
    parts = xoffset.decompose(
        both(made(u))[through], acceleration=True, seasonal=True, semiannual=True, steps=[EVENT],
        exponential=[(EVENT, 40.0)], logarithmic=[(EVENT, 200.0)], loss=loss,
    )  # fmt: skip
    expected = {
        "vx": 7.0, "ax": 3.0, "annual_sin_dx": 1.5, "annual_cos_dx": -2.0, "annual_dx": 2.5, "annual_dy": 5.0,
        "semiannual_cos_dx": 0.4, "semiannual_sin_dx": 0.0, "semiannual_dx": 0.4, "step_dx": 5.0, "step_dy": -10.0,
        "exponential_dx": 2.0, "logarithmic_dy": -1.0, "ay": -6.0,
    }  # fmt: skip
    for name, value in expected.items():
        np.testing.assert_allclose(parts[name], value, atol=1e-5, err_msg=name)
        assert np.isfinite(parts[f"sigma_{name}"]).all()
    day = 365.25 * (np.arctan2(1.5, -2.0) / (2 * np.pi))
    np.testing.assert_allclose(parts.annual_day_x, day, atol=1e-3)
    np.testing.assert_allclose(parts.annual_day_y, day + 365.25 / 2, atol=1e-3)
    assert (abs(parts.rms) < 1e-5).all()
    assert (parts.flags == 0).all()
    assert parts.step_dx.dims == ("step", "y", "x")
    assert parts.exponential_tau.values == [40.0]


@THROUGH
def test_standard_errors_of_all_terms_hold(through):
    phase = 2.0 * np.pi * years(DATES)
    u = 7.0 * T + 1.5 * np.sin(phase) - 2.0 * np.cos(phase) + 5.0 * AFTER
    data = both(made(u, noise=0.3, sigma=0.3 * np.sqrt(2.0), shape=(20, 20)))[through]
    parts = xoffset.decompose(data, seasonal=True, steps=[EVENT])
    day = 365.25 * (np.arctan2(1.5, -2.0) / (2 * np.pi))
    for name, value in {"vx": 7.0, "annual_dx": 2.5, "annual_day_x": day, "step_dx": 5.0, "annual_sin_dx": 1.5}.items():
        z = abs(parts[name] - value) / parts[f"sigma_{name}"]
        assert 0.60 <= (z < 1.0).mean() <= 0.80, name
        assert 0.90 <= (z < 1.96).mean() <= 0.995, name


@THROUGH
def test_a_stated_epoch_moves_the_velocity(through):
    data = both(made(0.5 * 4.0 * T**2))[through]
    for epoch, expected in (("2018-01-10", 0.0), ("2020-01-10", 4.0 * 730 / 365.25)):
        parts = xoffset.decompose(data, acceleration=True, epoch=epoch)
        np.testing.assert_allclose(parts.vx, expected, atol=1e-9)
        assert parts.attrs["epoch"].startswith(epoch)


def test_a_step_outside_the_dates_of_a_pixel_is_unknown_and_the_rest_right():
    shifts = made(7.0 * T + 5.0 * AFTER)
    shifts["dx"][(shifts.secondary >= np.datetime64(EVENT)).values, 0, 0] = np.nan
    for data in (shifts, xoffset.invert(shifts, reference=DATES[0])):
        parts = xoffset.decompose(data, steps=[EVENT])
        np.testing.assert_allclose(parts.vx, 7.0, rtol=1e-9)
        np.testing.assert_array_equal(np.isnan(parts.step_dx[0]), np.arange(12).reshape(3, 4) == 0)
        np.testing.assert_array_equal(parts.flags > 0, np.arange(12).reshape(3, 4) == 0)


@pytest.mark.parametrize("loss", ["linear", "huber", "tukey", "l1"])
def test_step_is_searched(loss):
    u = 7.0 * T + 4.0 * AFTER
    series = xoffset.invert(made(u, noise=0.3, sigma=0.42, shape=(8, 8)))
    series["dx"][5, 2:4] += 60.0  # a wrong date
    series["dx"][:, 0, 0] -= 4.0 * AFTER
    series["dy"][:, 0, 0] += 8.0 * AFTER
    parts = xoffset.decompose(series, steps="search", loss=loss)
    found = parts.step_date.values
    assert parts.step_date.dtype == "datetime64[us]"
    assert np.isnat(found[0, 0])
    assert np.isnan(parts.step_dx[0, 0])
    k = int(np.searchsorted(DATES, np.datetime64(EVENT)))
    middle = DATES[k - 1] + (DATES[k] - DATES[k - 1]) // 2
    rows = [0, 1, 4, 5, 6, 7] if loss == "linear" else range(8)
    is_right = (found == middle)[rows]
    assert is_right.sum() >= is_right.size - 3
    z = abs((parts.step_dx - 4.0) / parts.sigma_step_dx).values[rows][is_right]
    assert (z < 3.0).mean() > 0.95


def test_noise_seldom_makes_a_step():
    series = xoffset.invert(made(7.0 * T, noise=0.3, sigma=0.42, shape=(20, 20)))
    assert np.isnat(xoffset.decompose(series, steps="search").step_date).mean() > 0.97
    # nor does a season that nobody modelled, in most places
    moved = xoffset.invert(made(7.0 * T + 0.6 * np.sin(2 * np.pi * T), noise=0.3, sigma=0.42, shape=(10, 10)))
    parts = xoffset.decompose(moved, steps="search", seasonal=True)
    assert np.isnat(parts.step_date).mean() > 0.97


@pytest.mark.parametrize("kind", ["zarr", "netcdf"])
def test_step_dates_survive_a_file(kind, tmp_path):
    series = xoffset.invert(made(4.0 * AFTER, noise=0.1))
    series["dx"][:, 0, 0] = series["dy"][:, 0, 0] = 0.0
    parts = xoffset.decompose(series, steps="search")
    assert np.isnat(parts.step_date).sum() == 1
    if kind == "zarr":
        parts.to_zarr(tmp_path / "a.zarr", consolidated=False)
        again = xoffset.open_result(tmp_path / "a.zarr").load()
    else:
        parts.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
        again = xoffset.open_result(tmp_path / "a.nc").load()
    np.testing.assert_array_equal(again.step_date.values.astype("M8[us]"), parts.step_date.values)
    xr.testing.assert_equal(again.step_dx, parts.step_dx)


# ----------------------------------------------------------------------------------------------------------- coseismic


@pytest.mark.parametrize(("before", "after"), [(1, 1), (2, 3), (4, 8)])
def test_sigma_of_a_step_follows_the_dates(before, after):
    dates = DATES[: before + after]
    cross = [(i, before + j) for i in range(before) for j in range(after)]
    step = 5.0 * (np.arange(dates.size) >= before)
    s2 = 0.09
    shifts = made(step, dates, cross, sigma=np.sqrt(2.0 * s2))
    date = dates[before] - np.timedelta64(1, "D")
    expected = np.sqrt(s2 / before + s2 / after)
    for data in (shifts, xoffset.invert(shifts)):
        found = xoffset.coseismic(data, date, loss="linear")
        np.testing.assert_allclose(found.dx, 5.0)
        # a little of the noise may be the pairs' own
        np.testing.assert_allclose(found.sigma_dx, expected, rtol=0.02)
        np.testing.assert_allclose(found.sigma_dy, expected, rtol=0.02)
    # with real noise of that size the error is as large as said, for any number of cross pairs
    noisy = xoffset.coseismic(made(step, dates, cross, noise=0.3, sigma=np.sqrt(2.0 * s2), shape=(30, 30)), date)
    np.testing.assert_allclose((noisy.dx - 5.0).std(), expected, rtol=0.15)
    np.testing.assert_allclose(noisy.sigma_dx.median(), expected, rtol=0.15)


@THROUGH
def test_an_event_with_trend_and_what_follows(through):
    u = 7.0 * T + 5.0 * AFTER + 1.2 * np.log1p(ELAPSED / 60.0)
    data = both(made(u))[through]
    found = xoffset.coseismic(data, EVENT, trend=True, postseismic=60.0)
    np.testing.assert_allclose(found.dx, 5.0, rtol=1e-6)
    np.testing.assert_allclose(found.vy, -14.0, rtol=1e-6)
    np.testing.assert_allclose(found.postseismic_dx, 1.2, rtol=1e-6)
    biased = xoffset.coseismic(data, EVENT)
    assert "vx" not in biased
    assert (abs(biased.dx - 5.0) > 0.5).all()


def test_the_instant_of_an_image_is_after():
    u = 5.0 * (np.arange(4) >= 2)
    shifts = made(u, DATES[:4])
    np.testing.assert_allclose(xoffset.coseismic(shifts, pd.Timestamp(DATES[2])).dx, 5.0)
    with pytest.raises(ValueError, match="Give the time, UTC: date='2018-03-11T10:30'"):
        xoffset.coseismic(shifts, "2018-03-11")


# ------------------------------------------------------------------------------------------------------------ velocity


@THROUGH
def test_backward_matches_and_repeated_pairs_change_nothing(through):
    shifts = made(7.0 * T, noise=0.3)
    back = xr.concat([shifts, shifts.assign({name: -shifts[name] for name in ("dx", "dy")}).assign_coords(
        reference=shifts.secondary, secondary=shifts.reference)], "pair")  # fmt: skip
    twice = xr.concat([shifts, shifts.isel(pair=slice(0, 50))], "pair")
    for function in (
        xoffset.velocity,
        lambda data: xoffset.coseismic(data, EVENT, trend=True),
        xoffset.yearly_velocity,
        xoffset.interval_velocity,
    ):
        one = function(shifts)
        for other in (back, twice):
            again = function(other)
            for name in {"n_dates", "first", "last"} & set(one.data_vars):
                np.testing.assert_array_equal(again[name], one[name])
            for name in set(one.data_vars) - {"n_pairs", "flags", "n_dates", "first", "last"}:
                np.testing.assert_allclose(again[name], one[name], rtol=1e-7, atol=1e-12, err_msg=name)


def test_speed_is_debiased():
    rate = xoffset.velocity(made(0.0 * T, noise=0.3, sigma=0.42, shape=(30, 30)))
    noise = np.hypot(rate.sigma_vx, rate.sigma_vy)
    np.testing.assert_allclose(rate.v_debiased, np.sqrt(np.maximum(rate.v**2 - noise**2, 0.0)), atol=1e-12)
    assert (rate.v_debiased == 0.0).mean() > 0.5
    assert float((rate.v_debiased**2).mean()) < 0.6 * float((rate.v**2).mean())


@THROUGH
def test_bootstrap_tells_the_scatter_of_dates(through):
    shifts = made(7.0 * T, noise=0.3, sigma=0.42, pairs=[(i, j) for i in range(37) for j in range(i + 1, 37)])
    data = both(shifts)[through]
    rate = xoffset.velocity(data, bootstrap=200, block=1, seed=3)
    plain = xoffset.velocity(data)
    np.testing.assert_allclose(rate.sigma_vx_bootstrap.median(), plain.sigma_vx.median(), rtol=0.35)
    xr.testing.assert_equal(rate[["vx", "sigma_vx"]], plain[["vx", "sigma_vx"]])
    xr.testing.assert_identical(rate, xoffset.velocity(data, bootstrap=200, block=1, seed=3))
    other = xoffset.velocity(data, bootstrap=200, block=1, seed=4)
    assert (rate.sigma_vx_bootstrap != other.sigma_vx_bootstrap).any()
    assert json.loads(rate.attrs["processing"])[-1]["bootstrap"] == 200


def test_one_gap_of_dates_out_of_two_pairs_is_no_replicate():
    rate = xoffset.velocity(made(7.0 * T[:2], DATES[:2]), bootstrap=40, block=1)
    # half of the draws lack one of the two dates
    assert (np.isnan(rate.sigma_vx_bootstrap) | (rate.sigma_vx_bootstrap < 1e-12)).all()


def test_without_sigma_the_scatter_of_pairs_tells():
    rng = np.random.default_rng(0)
    shifts = made(7.0 * T, shape=(20, 20))
    shifts["dx"] += 0.5 * rng.normal(size=shifts.dx.shape)
    for name in ("sigma_dx", "sigma_dy"):
        shifts[name][:, :10] = np.nan
    rate = xoffset.velocity(shifts, loss="linear").isel(y=slice(0, 10))
    z = (rate.vx - 7.0) / rate.sigma_vx
    assert 0.55 <= (abs(z) < 1.0).mean() <= 0.80
    assert (rate.sigma_vy < 1e-9).all()
    one = made(7.0 * T[:2], DATES[:2], sigma=np.nan)
    assert np.isfinite(xoffset.velocity(one).vx).all()
    assert np.isnan(xoffset.velocity(one).sigma_vx).all()


# ---------------------------------------------------------------------------------------------------------------- lazy


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("chunks", [{"y": 3, "x": 2}, {"y": 1, "x": 5}])
def test_any_chunks_give_the_same_bits(chunks, dtype):
    shifts = made(7.0 * T + 5.0 * AFTER, noise=0.3, shape=(7, 5), dtype=dtype)
    shifts["dx"][::3, 1:4, 2:] = np.nan
    series = xoffset.invert(shifts)
    calls = [
        (shifts, lambda data: xoffset.velocity(data, bootstrap=10)),
        (series, lambda data: xoffset.decompose(data, seasonal=True, acceleration=True, steps=[EVENT])),
        (series, lambda data: xoffset.decompose(data, steps="search")),
        (shifts, lambda data: xoffset.coseismic(data, EVENT, trend=True, postseismic=30.0, loss="tukey")),
        (shifts, lambda data: xoffset.yearly_velocity(data, seasonal=True)),
    ]
    for data, call in calls:
        lazy, eager = call(data.chunk(chunks)), call(data)
        assert all(variable.chunks is not None for variable in lazy.data_vars.values())
        for name, variable in lazy.data_vars.items():
            assert variable.dtype == eager[name].dtype == variable.data._meta.dtype
            if eager[name].dtype.kind == "f":
                assert eager[name].dtype == dtype, name
        xr.testing.assert_identical(lazy.compute(), eager)


# -------------------------------------------------------------------------------------------------------------- annual


def test_a_year_without_pairs_is_not_bridged():
    dates = np.array(["2015-01-01", "2015-05-01", "2015-11-01", "2017-02-01", "2017-10-01"], "M8[us]")
    rate = xoffset.yearly_velocity(made(10.0 * years(dates), dates, [(0, 1), (1, 2), (3, 4)]), max_separation=None)
    np.testing.assert_array_equal(rate.year, [2015, 2016, 2017])
    np.testing.assert_allclose(rate.vx[[0, 2]], 10.0)
    assert np.isnan(rate.vx[1]).all()
    assert (rate.flags[1] == FLAGS["too_few_dates"]).all()
    np.testing.assert_array_equal(rate.n_pairs[:, 0, 0], [2, 0, 1])


def test_years_of_different_velocity():
    dates = np.arange("2015-01", "2018-02", dtype="M8[M]").astype("M8[us]")
    of_year = {2015: 10.0, 2016: 30.0, 2017: -5.0}
    length = (dates[1:] - dates[:-1]) / YEAR
    u = np.concatenate([[0.0], np.cumsum([of_year[d.astype("M8[Y]").astype(int) + 1970] for d in dates[:-1]] * length)])
    season = 2.0 * np.sin(2 * np.pi * years(dates))
    pairs = [(i, j) for i in range(37) for j in range(i + 1, min(i + 5, 37))]
    rate = xoffset.yearly_velocity(made(u + season, dates, pairs), seasonal=True)
    for year, value in of_year.items():
        np.testing.assert_allclose(rate.vx.sel(year=year), value, atol=1e-3)
        assert (rate.sigma_vx.sel(year=year) > 0).all()
    short = xoffset.yearly_velocity(made(u, dates, pairs), max_separation="35D")
    assert int(short.n_pairs.sum("year")[0, 0]) == 36


def at_a_point(table):
    length = ((table.secondary - table.reference) / YEAR).values
    fields = {
        to: (length * table[name].values)[:, None, None]
        for to, name in (("dx", "vx"), ("dy", "vy"), ("sigma_dx", "vx_error"), ("sigma_dy", "vy_error"))
    }
    network = products.network(table.reference.values, table.secondary.values)
    like = xr.DataArray(np.empty(0), dims="pair")
    return products.shifts(fields, network, x=np.zeros(1), y=np.zeros(1), like=like, step={"function": "made"})


@pytest.mark.data
@pytest.mark.parametrize("repeated", [0, 10, 20])
def test_years_of_columbia_glacier(columbia, repeated):
    is_locked = columbia.date_dt > 400
    assert is_locked.sum() == 275
    table = pd.concat([columbia, *[columbia[is_locked]] * repeated])
    rate = xoffset.yearly_velocity(at_a_point(table)).isel(y=0, x=0)
    short = columbia[columbia.date_dt <= 60].groupby("year")
    short = short[["vx", "vy", "v"]].median()[short.size() >= 15]
    assert len(short) == 21
    ratio = rate.v.sel(year=short.index).values / short.v
    assert abs(ratio - 1.0).max() < 0.1
    # locked pairs are out, short ones in
    rest = len(columbia) - int(rate.n_pairs.sum())
    assert 0.99 * 275 <= rest <= 275 + 0.1 * (columbia.date_dt <= 60).sum()
    assert (rate.flags.sel(year=2019) == FLAGS["separation"]).all()


def test_a_match_repeated_or_turned_is_no_new_evidence(columbia):
    short = columbia[columbia.date_dt <= 400].iloc[::7]
    locked = columbia[columbia.date_dt > 400].iloc[:3]
    once = xoffset.yearly_velocity(at_a_point(pd.concat([short, locked])))
    turned = locked.rename(columns={"reference": "secondary", "secondary": "reference"})
    turned = turned.assign(vx=turned.vx, vy=turned.vy)
    many = xoffset.yearly_velocity(at_a_point(pd.concat([short, locked, *[turned] * 8, locked])))
    for name in ("vx", "vy", "n_pairs", "flags"):
        np.testing.assert_allclose(many[name], once[name], rtol=1e-9)


# ------------------------------------------------------------------------------------------------------------ coverage


@pytest.fixture(scope="module")
def images():
    """Shifts of all pairs of six images with a step, in windows that share no pixel."""
    dates = ["2020-01-01", "2020-04-10", "2020-08-01", "2020-11-20", "2021-03-01", "2021-07-01"]
    ground = synthetic.scene((400, 400))
    found = {}
    for snr in (2, 4):
        stack, truth = synthetic.stack(
            (400, 400), dates=dates, field="constant", velocity=3.0, direction=60.0, step=4.0, step_date="2020-10-01",
            snr=snr, ground=ground,
        )  # fmt: skip
        shifts = xoffset.correlate(stack, xoffset.pairs(stack), template=24, step=24, search=4)
        found[snr] = shifts, truth
    return found


def network_of(shifts, gap):
    dates = np.unique(np.concatenate([shifts.reference.values, shifts.secondary.values]))
    length = np.searchsorted(dates, shifts.secondary) - np.searchsorted(dates, shifts.reference)
    return shifts.isel(pair=np.flatnonzero(length <= gap))


@THROUGH
@pytest.mark.parametrize("gap", [1, 3, 5])
@pytest.mark.parametrize("snr", [2, 4])
def test_coverage_of_step_and_velocity(images, snr, gap, through):
    shifts, truth = images[snr]
    found = xoffset.coseismic(both(network_of(shifts, gap))[through], "2020-10-01", trend=True)
    moved = {name: truth[name].mean(("y", "x")) for name in ("dx", "dy", "vx", "vy")}
    elapsed = in_years(truth.time.values[-1] - truth.time.values[0])
    for names in (("vx", "vy"), ("dx", "dy")):
        z = []
        for name in names:
            true = float(moved[name].values.ravel()[-1])
            if name[0] == "d":
                true -= elapsed * float(moved[f"v{name[1]}"])
            z.append(((found[name] - true) / found[f"sigma_{name}"]).values.ravel())
        z = np.abs(np.concatenate(z))
        z = z[np.isfinite(z)]
        # a series of a chain cannot tell whose noise it is, and the worse is believed
        is_untold = through == "series" and gap == 1
        assert 0.60 <= (z < 1.0).mean() <= (1.0 if is_untold else 0.80), names
        assert 0.88 <= (z < 1.96).mean() <= (1.0 if is_untold else 0.995), names
