"""inverse_velocity: series that accelerate toward a known date, move steadily, or slow down."""

import numpy as np
import pytest
import reference_changes as twin
import test_onset
import xarray as xr

import xoffset
from xoffset._arrays.networks import failure as arrays
from xoffset.model import products
from xoffset.model.flags import FLAGS

WAY = np.array([0.8, -0.6])


def made(share, *, number=20, size=5.0, shape=(20, 20), noise=0.1, outliers=0.0, seed=1, uneven=True):
    """Series over a year whose inverse velocity is zero at 1/share of its length, size [m yr-1] at its begin."""
    rng = np.random.default_rng(seed)
    years = np.sort(rng.uniform(0.0, 1.0, number)) if uneven else np.linspace(0.0, 1.0, number)
    years = (years - years[0]) / (years[-1] - years[0])
    place = size * twin.curve(years, share)
    sigma = noise * np.exp(rng.normal(0.0, 0.3, (number, *shape)))
    is_out = rng.random(sigma.shape) < outliers
    fields = {}
    for axis, name in enumerate(("dx", "dy")):
        values = (WAY[axis] * place)[:, None, None] + sigma * rng.standard_normal(sigma.shape)
        fields[name] = np.where(is_out, values + 10.0 * noise * rng.standard_normal(sigma.shape), values)
        fields[f"sigma_{name}"] = sigma
    like = xr.Dataset(coords={"y": -100.0 * np.arange(shape[0]), "x": 100.0 * np.arange(shape[1])})
    return products.series(fields, test_onset.instants(years), like=like, step={})


def years_of(dates):
    return test_onset.years_of(dates)


def test_curves_have_inverse_velocities_that_fall_in_a_line():
    time = np.linspace(0.0, 1.0, 2001)
    for k, curve in enumerate(arrays.curves(time)):
        share = -np.expm1(-arrays.PLACES[k])
        inverse = 1.0 / np.gradient(curve, time)[1:-1]
        if share < 0.95:
            np.testing.assert_allclose(inverse, 1.0 - share * time[1:-1], rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("share", [0.4, 0.7, 0.95])
def test_a_known_date(share):
    found = xoffset.inverse_velocity(made(share, noise=1e-3))
    assert found.failure_date.dims == ("y", "x")
    assert found.failure_date.dtype == "datetime64[us]"
    np.testing.assert_allclose(years_of(found.failure_date), 1.0 / share, rtol=0.01)
    assert (found.failure_earliest <= found.failure_date).all()
    assert (found.failure_date <= found.failure_latest).all()
    assert not found.flags.any()
    assert (found.n_dates == 20).mean() > 0.95
    np.testing.assert_allclose(found.rms, 1e-3, rtol=0.8)


@pytest.mark.parametrize(("share", "number"), [(0.6, 12), (0.6, 20), (0.9, 12), (0.9, 40), (0.98, 20)])
def test_intervals_hold_the_date(share, number):
    found = xoffset.inverse_velocity(made(share, number=number, shape=(50, 40)))
    is_there = ~np.isnat(found.failure_date.values)
    assert is_there.mean() > 0.97
    low, high = (years_of(found[name])[is_there] for name in ("failure_earliest", "failure_latest"))
    assert 0.92 < ((low <= 1.0 / share) & (1.0 / share <= high)).mean() < 0.98


@pytest.mark.parametrize("size", [0.0, 0.3, 2.0, 20.0])
def test_steady_motion_has_no_date(size):
    for number in (10, 40):
        for level in (0.01, 0.05):
            found = xoffset.inverse_velocity(
                made(0.0, size=size, number=number, shape=(60, 50)), confidence=0.8, false_alarm=level
            )
            assert (~np.isnat(found.failure_date.values)).mean() < 1.2 * level + 3.0 * np.sqrt(level / 3000)
            assert (found.flags.values[np.isnat(found.failure_date.values)] == FLAGS["no_acceleration"]).all()


def test_motion_that_slows_down_has_no_date():
    assert np.isnat(xoffset.inverse_velocity(made(-3.0)).failure_date.values).all()
    assert np.isnat(xoffset.inverse_velocity(made(-0.5, size=1.0)).failure_date.values).mean() > 0.995


def test_outliers_are_not_failure():
    found = xoffset.inverse_velocity(made(0.0, size=0.5, outliers=0.05, shape=(60, 50)))
    assert (~np.isnat(found.failure_date.values)).mean() < 0.03
    found = xoffset.inverse_velocity(made(0.8, outliers=0.05, shape=(60, 50)))
    assert np.abs(np.median(years_of(found.failure_date)[~np.isnat(found.failure_date.values)]) - 1.25) < 0.02


def test_faint_acceleration_is_refused():
    found = xoffset.inverse_velocity(made(0.3, size=1.0))
    is_there = ~np.isnat(found.failure_date.values)
    assert is_there.mean() < 0.2
    assert np.isnat(found.failure_latest.values[~is_there]).all()


def test_slow_twin():
    for seed, share in ((0, 0.5), (1, 0.8), (2, 0.95), (3, 0.2)):
        series = made(share, shape=(1, 1), number=12, seed=seed)
        values = np.stack([series.dx.values[:, 0, 0], series.dy.values[:, 0, 0]])
        years = years_of(series.time)
        date, low, high = twin.failure(years, values, series.sigma_dx.values[:, 0, 0] ** 2)
        found = xoffset.inverse_velocity(series, false_alarm=0.02499).isel(y=0, x=0)
        assert np.isnat(found.failure_date.values) == np.isinf(high)
        if np.isfinite(high):
            np.testing.assert_allclose(years_of(found.failure_date), date, rtol=2e-3)
            np.testing.assert_allclose(years_of(found.failure_earliest), low, rtol=4e-3)
            np.testing.assert_allclose(1.0 / years_of(found.failure_latest), 1.0 / high, atol=2e-3)


def test_from_a_date_on():
    quiet = made(0.0, size=0.0, number=15, uneven=False)
    fast = made(0.9, number=15, uneven=False, seed=2)
    fast = fast.assign_coords(time=fast.time + np.timedelta64(400, "D"))
    both = xr.concat([quiet, fast], "time", coords="minimal", compat="override")
    start = str(fast.time.values[0])
    found = xoffset.inverse_velocity(both, start=start)
    for name, values in xoffset.inverse_velocity(fast).data_vars.items():
        np.testing.assert_array_equal(found[name], values)
    assert (found.n_dates <= 15).all()


def test_chunks_and_points():
    series = made(0.5, size=2.0, shape=(8, 9)).astype("float32")
    expected = xoffset.inverse_velocity(series)
    assert expected.rms.dtype == "float32"
    xr.testing.assert_identical(series.chunk(y=3, x=4).offset.inverse_velocity().compute(), expected)
    places = {"y": xr.DataArray([3, 5, 4], dims="point"), "x": xr.DataArray([2, 6, 4], dims="point")}
    found = xoffset.inverse_velocity(series.isel(places))
    np.testing.assert_array_equal(found.failure_date, expected.failure_date.isel(places))


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"start": "2016-12-01"}, "six|6 dates or more; got .* begin earlier"),
        ({"start": 3}, "Write it as"),
        ({"false_alarm": 0.0}, "above 0 and below 1"),
        ({"confidence": 2.0}, "between 0 and 1"),
    ],
)
def test_bad_options(options, advice):
    with pytest.raises(ValueError, match=advice):
        xoffset.inverse_velocity(made(0.5, shape=(2, 2)), **options)


def test_few_dates():
    with pytest.raises(ValueError, match="needs 6 dates or more; got 5"):
        xoffset.inverse_velocity(made(0.5, shape=(2, 2)).isel(time=slice(5)))
    series = made(0.9, number=10, shape=(2, 2))
    series["dx"][4:, 0] = np.nan
    found = xoffset.inverse_velocity(series)
    assert (found.flags.values[0] == FLAGS["too_few_dates"]).all()
    assert (found.n_dates.values[0] == 4).all()
