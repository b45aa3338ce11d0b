"""onset: series whose changes of velocity are known, or that have none."""

import numpy as np
import pytest
import reference_changes as twin
import test_intervals
import xarray as xr

import xoffset
from xoffset.model import products
from xoffset.model.flags import FLAGS
from xoffset.plotting.models import at_dates

START = np.datetime64("2016-01-01", "us")
YEAR = np.timedelta64(int(365.25 * 86400), "s")
BEFORE, JUMP = np.array([0.5, 0.3]), np.array([1.2, -0.9])


def instants(years):
    return START + np.round(np.asarray(years) * 365.25 * 86400e6).astype("m8[us]")


def dates_of(number, seed=0):
    """Dates in five years, unevenly apart [yr]."""
    years = np.sort(np.random.default_rng(seed).uniform(0.0, 5.0, number))
    return years - years[0]


def made(years, changes=(), *, shape=(20, 20), noise=0.1, told=None, outliers=0.0, size=10.0, seed=1, dtype=float):
    """Series with changes (date [yr], change along x and y [m yr-1]), whose dates are noisy, some more."""
    rng = np.random.default_rng(seed)
    sigma = noise * np.exp(rng.normal(0.0, 0.3, (len(years), *shape)))
    fields = {}
    for axis, name in enumerate(("dx", "dy")):
        place = BEFORE[axis] * years + sum(jump[axis] * np.maximum(years - date, 0.0) for date, jump in changes)
        values = place[:, None, None] + sigma * rng.standard_normal(sigma.shape)
        fields[name] = values
    is_out = rng.random(sigma.shape) < outliers
    for name in ("dx", "dy"):
        fields[name] = np.where(is_out, fields[name] + size * noise * rng.standard_normal(sigma.shape), fields[name])
        fields[f"sigma_{name}"] = sigma if told is None else told * sigma
    like = xr.Dataset(coords={"y": -100.0 * np.arange(shape[0]), "x": 100.0 * np.arange(shape[1])})
    fields = {name: values.astype(dtype) for name, values in fields.items()}
    return products.series(fields, instants(years), like=like, step={})


def years_of(dates):
    return ((dates - START) / YEAR).values.astype(float)


def share_found(**options):
    level = options.pop("false_alarm")
    return float((xoffset.onset(made(**options), false_alarm=level).n_changes > 0).mean())


def test_a_known_change():
    years = dates_of(24)
    found = xoffset.onset(made(years, [(3.1, JUMP)], noise=1e-4), false_alarm=1e-5)
    assert found.change_date.dims == ("change", "y", "x")
    np.testing.assert_array_equal(found.n_changes, 1)
    np.testing.assert_allclose(years_of(found.change_date[0]), 3.1, atol=2e-3)
    np.testing.assert_allclose(found.vx_before[0], BEFORE[0], atol=1e-3)
    np.testing.assert_allclose(found.vy_after[0], (BEFORE + JUMP)[1], atol=1e-3)
    assert found.change_date.dtype == found.change_latest.dtype == "datetime64[us]"
    assert found.vx_before.attrs["units"] == found.sigma_vx_after.attrs["units"] == "m yr-1"
    assert np.isnat(found.change_date[1].values).all()
    assert np.isnan(found.vx_after[1].values).all()
    assert np.isnan(found.false_alarm[1].values).all()
    assert (found.false_alarm[0] < 1e-10).all()
    assert not found.flags.any()


@pytest.mark.parametrize("level", [0.01, 0.05])
@pytest.mark.parametrize("number", [8, 20, 60])
def test_false_alarms_of_steady_motion_are_as_many_as_asked_for(number, level):
    found = share_found(years=dates_of(number), shape=(100, 80), false_alarm=level)
    spread = np.sqrt(level * (1.0 - level) / 8000)
    assert 0.8 * level - 3.0 * spread < found < 1.05 * level + 3.0 * spread
    # the common factor of the standard errors does not matter, within reason
    assert (
        share_found(years=dates_of(number), shape=(50, 40), told=0.3, false_alarm=level) < 1.05 * level + 6.0 * spread
    )


def test_a_chi_square_of_one_date_would_find_changes_in_noise():
    """What the distribution of the largest is for: the threshold of one date is passed five times as often."""
    years = dates_of(30)
    found = xoffset.onset(made(years, shape=(40, 50)), false_alarm=0.999, max_changes=1)
    chances = found.false_alarm[0].fillna(1.0).values
    for level in (0.02, 0.05, 0.2):
        assert 0.7 * level < (chances < level).mean() < 1.25 * level
    one = 0.05 * (1.0 + twin.arc(years, twin.tried(years), np.ones(30)) * np.sqrt(-np.log(0.05) / np.pi))
    assert 0.2 < one < 0.3


def test_outliers_are_not_taken_for_changes():
    for number in (10, 20, 60):
        assert share_found(years=dates_of(number), shape=(80, 50), outliers=0.05, false_alarm=0.01) < 0.025
        assert share_found(years=dates_of(number), shape=(80, 50), outliers=0.05, false_alarm=0.05) < 0.075
        assert share_found(years=dates_of(number), shape=(80, 50), outliers=0.05, size=1e4, false_alarm=0.01) < 0.025


@pytest.mark.parametrize(("number", "at", "jump"), [(12, 3.0, 2.0), (30, 3.0, 0.5), (60, 4.5, 3.0), (60, 2.0, 0.5)])
def test_intervals_hold_the_date_and_errors_the_velocities(number, at, jump):
    years = dates_of(number)
    found = xoffset.onset(made(years, [(at, jump * JUMP)], shape=(50, 40)), max_changes=1)
    is_there = found.n_changes.values == 1
    assert is_there.mean() > 0.99
    low, high = (years_of(found[name][0])[is_there] for name in ("change_earliest", "change_latest"))
    assert 0.91 < ((low <= at) & (at <= high)).mean() < 0.98
    date = years_of(found.change_date[0])[is_there]
    assert ((low <= date) & (date <= high)).all()
    for axis, letter in enumerate("xy"):
        for when, true in (("before", BEFORE), ("after", BEFORE + jump * JUMP)):
            error = found[f"v{letter}_{when}"][0] - true[axis]
            scale = np.std((error / found[f"sigma_v{letter}_{when}"][0]).values[is_there])
            assert 0.75 < scale < (1.1 if at < 4.0 else 1.25)


def test_a_change_that_few_dates_follow_is_found_among_outliers():
    years = np.linspace(0.0, 5.0, 60)
    found = xoffset.onset(made(years, [(4.5, 30.0 * JUMP)], outliers=0.05), max_changes=1)
    assert (found.n_changes == 1).mean() > 0.97
    date = years_of(found.change_date[0])
    assert np.nanmedian(np.abs(date - 4.5)) < 0.01


def test_several_changes():
    years = np.linspace(0.0, 5.0, 50)
    series = made(years, [(1.5, JUMP), (2.5, -JUMP), (3.6, 2.0 * JUMP)], noise=0.05)
    found = xoffset.onset(series, max_changes=6, false_alarm=0.001)
    assert (found.n_changes == 3).mean() > 0.98
    is_three = (found.n_changes == 3).values
    for k, at in enumerate((1.5, 2.5, 3.6)):
        date = years_of(found.change_date[k])[is_three]
        assert np.abs(np.median(date) - at) < 0.02
        low, high = (years_of(found[name][k])[is_three] for name in ("change_earliest", "change_latest"))
        assert ((low <= at) & (at <= high)).mean() > 0.88
    np.testing.assert_allclose(found.vx_after[0].values[is_three].mean(), (BEFORE + JUMP)[0], atol=0.05)
    np.testing.assert_array_equal(found.vx_after[0], found.vx_before[1])
    few = xoffset.onset(series, max_changes=2)
    assert (few.n_changes == 2).all()


def test_slow_twin_of_one_change():
    years = dates_of(14)
    for seed, jump in ((0, 0.0), (1, 0.1), (2, 0.4), (3, 1.5)):
        series = made(years, [(2.7, jump * JUMP)], shape=(1, 2), seed=seed)
        found = xoffset.onset(series, max_changes=1, false_alarm=0.9999)
        for x in range(2):
            values = np.stack([series.dx.values[:, 0, x], series.dy.values[:, 0, x]])
            date, chance, low, high = twin.one_bend(years, values, series.sigma_dx.values[:, 0, x] ** 2)
            here = found.isel(change=0, y=0, x=x)
            if chance > 0.9:
                continue
            step = np.diff(years).max() / 200
            assert abs(years_of(here.change_date) - date) < step
            np.testing.assert_allclose(here.false_alarm, chance, rtol=0.05)
            bounds = years_of(here.change_earliest), years_of(here.change_latest)
            assert abs(bounds[0] - (low if low > years[2] + step else 0.0)) < 2 * step
            assert abs(bounds[1] - (high if high < years[-3] - step else years[-1])) < 2 * step


def test_slow_twin_of_two_changes():
    years = dates_of(16, seed=4)
    series = made(years, [(1.6, 2.0 * JUMP), (3.2, -1.5 * JUMP)], shape=(1, 2), seed=5)
    found = xoffset.onset(series, max_changes=2, false_alarm=0.2)
    for x in range(2):
        values = np.stack([series.dx.values[:, 0, x], series.dy.values[:, 0, x]])
        expected = twin.two_bends(years, values, series.sigma_dx.values[:, 0, x] ** 2)
        np.testing.assert_allclose(years_of(found.change_date[:, 0, x]), expected, atol=np.diff(years).max() / 10)


def test_dates_that_are_missing_take_no_part():
    years = dates_of(30)
    whole = made(years, [(2.5, JUMP)])
    few = whole.isel(time=slice(0, None, 2))
    holed = whole.where(xr.DataArray(np.arange(30) % 2 == 0, dims="time"))
    expected, found = xoffset.onset(few), xoffset.onset(holed)
    for name in ("change_date", "vx_before", "n_changes", "false_alarm"):
        np.testing.assert_array_equal(found[name], expected[name])


def test_why_there_is_none():
    series = made(dates_of(12), noise=0.1)
    series = series.assign(dx=series.dx.where((series.x > 500.0) | (series.time < series.time[5])))
    found = xoffset.onset(series, false_alarm=1e-6)
    flags = found.flags.values
    assert (flags[:, :6] == FLAGS["too_few_dates"]).all()
    assert (flags[:, 6:] == FLAGS["no_change"]).all()
    assert (found.n_changes.values == 0).all()
    assert np.isnan(found.vx_before.values).all()


def test_chunks_points_and_axes():
    series = made(dates_of(20), [(2.5, 0.3 * JUMP)], shape=(9, 11), outliers=0.05, dtype="float32")
    expected = xoffset.onset(series)
    assert expected.vx_before.dtype == "float32"
    for chunks in ({"y": 4, "x": 3}, {"time": 5, "y": 9}):
        xr.testing.assert_identical(xoffset.onset(series.chunk(chunks)).compute(), expected)
    places = {"y": xr.DataArray([3, 5, 4], dims="point"), "x": xr.DataArray([2, 6, 4], dims="point")}
    np.testing.assert_array_equal(xoffset.onset(series.isel(places)).change_date, expected.change_date.isel(places))
    turned = series.assign(
        dx=series.dy, dy=series.dx.copy(data=-series.dx), sigma_dx=series.sigma_dy, sigma_dy=series.sigma_dx
    )
    found = xoffset.onset(turned.assign(dx=turned.dx.assign_attrs(series.dx.attrs)))
    np.testing.assert_array_equal(found.n_changes, expected.n_changes)
    np.testing.assert_allclose(found.vy_before, -expected.vx_before, rtol=1e-4)
    later = xoffset.onset(series.assign_coords(time=series.time + np.timedelta64(10_000, "D")))
    np.testing.assert_array_equal(later.n_changes, expected.n_changes)


def test_errors_of_dates_as_wholes_are_in_the_standard_errors():
    series = made(dates_of(20), [(2.5, JUMP)])
    told = series.assign(sigma_shift=("time", np.full(20, 0.5), {"units": "m"}))
    plain, found = xoffset.onset(series), xoffset.onset(told)
    assert (found.sigma_vx_before[0] > 2.0 * plain.sigma_vx_before[0]).mean() > 0.95


def test_what_has_no_dates_of_its_own_is_refused():
    shifts = test_intervals.made(test_intervals.ALL, sigma=0.1)
    with pytest.raises(ValueError, match=r"onset\(\) needs a series; got shifts\. Pass invert"):
        xoffset.onset(shifts)
    series = xoffset.invert(shifts)
    for spoilt in (xoffset.invert(shifts, smooth=0.1), xoffset.resample(series, "600D")):
        with pytest.raises(ValueError, match=r"err each by itself.*without smooth"):
            xoffset.onset(spoilt)
    assert series.offset.onset().sizes["change"] == 2


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"max_changes": 0}, "max_changes=2"),
        ({"max_changes": 1.5}, "max_changes=2"),
        ({"max_changes": 1000}, "at most 20 changes"),
        ({"false_alarm": 0.0}, "above 0 and below 1"),
        ({"false_alarm": "few"}, "between 0 and 1"),
        ({"confidence": 1.0}, "such as 0.95"),
        ({"confidence": True}, "between 0 and 1"),
    ],
)
def test_bad_options(options, advice):
    with pytest.raises(ValueError, match=advice):
        xoffset.onset(made(dates_of(8), shape=(2, 2)), **options)


def walked(number, drift, *, shape=(60, 50), seed=3):
    """Series of steady motion with noise that piles up from date to date, as single short pairs make it."""
    years = dates_of(number)
    rng = np.random.default_rng(seed)
    series = made(years, shape=shape, seed=seed)
    growth = years - years[0]
    for name in ("dx", "dy"):
        steps = np.sqrt(np.diff(growth, prepend=0.0))[:, None, None] * rng.standard_normal(series.dx.shape)
        series[name] = series[name].copy(data=series[name].values + drift * np.cumsum(steps, axis=0))
    told = {f"sigma_drift_{name}": (("y", "x"), np.full(shape, drift), {"units": "m yr-1"}) for name in ("dx", "dy")}
    return series, series.assign(told).assign_coords(drift_growth=("time", growth))


@pytest.mark.parametrize("drift", [0.05, 0.2])
def test_noise_that_piles_up_is_not_taken_for_changes(drift):
    blind, told = walked(30, drift)
    assert (xoffset.onset(blind).n_changes > 0).mean() > (0.02 if drift < 0.1 else 0.15)
    assert (xoffset.onset(told).n_changes > 0).mean() < 0.015
    # and is in the standard errors of what is found
    found, plain = (xoffset.onset(each, false_alarm=0.99, max_changes=1) for each in (told, blind))
    is_same = (found.change_date[0] == plain.change_date[0]).values
    assert (found.sigma_vx_after[0].values[is_same] > plain.sigma_vx_after[0].values[is_same]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_is_no_change(dtype):
    for seed in range(5):
        found = xoffset.onset(made(dates_of(12, seed), shape=(2, 2), noise=0.0, dtype=dtype))
        assert not found.n_changes.any()
    found = xoffset.onset(made(dates_of(12), [(3.1, JUMP)], shape=(2, 2), noise=0.0, dtype=dtype))
    np.testing.assert_array_equal(found.n_changes, 1)


def test_a_picture_draws_the_bends():
    years = np.linspace(0.0, 5.0, 30)
    series = made(years, [(2.0, JUMP), (3.5, 2.0 * JUMP)], shape=(2, 2), noise=0.05)
    here = xoffset.onset(series).isel(y=0, x=0)
    for name in ("dx", "dy"):
        line = at_dates(here, name, series.time.values, "series")
        expected = series[name].values[:, 0, 0]
        np.testing.assert_allclose(line - line[0], expected - expected[0], atol=0.25)
    none = xoffset.onset(made(years, shape=(1, 1)), false_alarm=1e-9).isel(y=0, x=0)
    assert np.isnan(at_dates(none, "dx", series.time.values, "series")).all()


@pytest.mark.data
def test_ice_that_moves_steadily_has_no_change(data_folder):
    """Perito Moreno in twelve weeks of a summer, on images that lie up to 0.9 px apart."""
    dates = ("0101", "0121", "0126", "0131", "0205", "0207", "0210", "0220", "0222", "0227", "0313", "0328")
    files = [data_folder / "perito_moreno_s2" / f"2020{date}.jpg" for date in dates]
    stack = xoffset.open_stack(files, band=1, date="%Y%m%d", pixel_size=6.5).isel(y=slice(400, 720), x=slice(900, 1220))
    stack = stack.astype("float32").where(stack > 2).load()
    shifts = stack.offset.correlate(stack.offset.pairs(max_gap=4), template=32, search=16, step=16).offset.screen()
    series = shifts.offset.correct(by_date=True, min_nodes=50).offset.invert()
    found = series.offset.onset()
    has_dates = (found.flags & FLAGS["too_few_dates"]) == 0
    assert has_dates.sum() > 250
    assert (found.n_changes > 0).where(has_dates).mean() < 0.02
    assert series.offset.inverse_velocity().failure_date.isnull().where(has_dates, True).mean() > 0.97
