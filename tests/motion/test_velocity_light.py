"""velocity(sun=) and sun_term(): what moves with shadows beside a line, and whether dates bear that."""

import re

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset._arrays.networks import terms
from xoffset._arrays.scenes import sunlight
from xoffset.model.flags import FLAGS

TRUE = (4.0, -2.0)  # m yr-1
# Two years and a half from a winter to a summer, in which what comes back each year makes a trend.
DATES = np.datetime64("2019-12-10T10:30", "us") + 25 * np.arange(37) * np.timedelta64(86_400_000_000, "us")
NOISE, HEIGHT = 0.3, 1.5


def sun_at(dates, latitude=45.0):
    azimuth, elevation = sunlight.position(dates, latitude)
    return xr.Dataset({"sun_azimuth": ("time", azimuth), "sun_elevation": ("time", elevation)}, coords={"time": dates})


def slants_at(dates):
    """Offset of the sun from the vertical (date, 2), from the equation."""
    azimuth, elevation = np.deg2rad(sunlight.position(dates, 45.0))
    return np.stack([np.sin(azimuth), np.cos(azimuth)], axis=1) / np.tan(elevation)[:, None]


def shifts_at(dates=DATES, height=HEIGHT, shape=(20, 24), max_gap=4, seed=0):
    """Shifts of ground that moves steadily, of textures that move away from the sun by their height [m], and noise."""
    years = terms.days(dates, dates[0]) / 365.25
    common = np.multiply.outer(TRUE, years) - height * slants_at(dates).T
    moved = common[:, :, None, None] + NOISE * np.random.default_rng(seed).standard_normal((2, dates.size, *shape))
    network = xoffset.pairs(xr.Dataset(coords={"time": dates}), max_gap=max_gap)
    first, second = (np.searchsorted(dates, network[name].values) for name in ("reference", "secondary"))
    sigma = np.full((first.size, *shape), NOISE * np.sqrt(2.0))
    dx, dy = moved[:, second] - moved[:, first]
    fields = {"dx": dx, "dy": dy, "sigma_dx": sigma, "sigma_dy": sigma}
    return network.assign({name: (("pair", "y", "x"), each) for name, each in fields.items()}).assign_coords(
        y=5e6 - 80.0 * np.arange(shape[0]), x=5e5 + 80.0 * np.arange(shape[1])
    )


SUN = sun_at(DATES)


def held(rate):
    """Shares of the velocities of which the intervals of 68 and 95 % hold the truth."""
    ratio = np.abs([(rate[f"v{k}"] - true) / rate[f"sigma_v{k}"] for k, true in zip("xy", TRUE, strict=True)])
    return (ratio < 1.0).mean(), (ratio < 1.96).mean()


@pytest.fixture(scope="module")
def shifts():
    return shifts_at()


def test_intervals_hold_with_the_sun_and_not_without(shifts):
    near, far = held(xoffset.velocity(shifts, sun=SUN))
    assert 0.62 < near < 0.80
    assert 0.93 < far < 0.99
    assert held(xoffset.velocity(shifts))[1] < 0.4


def test_drift_is_what_a_velocity_of_pairs_is_off_by(shifts):
    found = xoffset.velocity(shifts, loss="linear")
    off = np.hypot(float(found.vx.mean()) - TRUE[0], float(found.vy.mean()) - TRUE[1])
    assert off == pytest.approx(HEIGHT * xoffset.sun_term(shifts, sun=SUN).drift, rel=0.03)
    assert float(found.sigma_vx.median()) < 0.5 * off


@pytest.mark.parametrize("made", ["shifts", "series"])
def test_numbers_are_those_of_decompose(shifts, made):
    of = shifts if made == "shifts" else xoffset.invert(shifts)
    few = xr.where(of.x > float(of.x[20]), np.nan, of.dx) if made == "shifts" else of.dx
    of = of.assign(dx=few.transpose(*of.dx.dims))
    for loss in ("huber", "linear"):
        rate, parts = xoffset.velocity(of, sun=SUN, loss=loss), xoffset.decompose(of, sun=SUN, loss=loss)
        for name in ("vx", "vy", "sigma_vx", "sigma_vy", "sun_condition", "flags"):
            np.testing.assert_array_equal(rate[name].values, parts[name].values)
    assert "sun_condition" not in xoffset.velocity(of)
    assert '"sun": "' in str(rate.attrs["processing"])
    assert '"sun"' not in str(xoffset.velocity(of).attrs["processing"])


def test_other_options_hold_with_the_sun(shifts):
    part = shifts.isel(x=slice(4), y=slice(3))
    plain = xoffset.velocity(part, sun=SUN)
    drawn = xoffset.velocity(part, sun=SUN, bootstrap=40, min_pairs=1000)
    assert drawn.vx.isnull().all()
    assert (drawn.flags == FLAGS["too_few_dates"]).all()
    drawn = xoffset.velocity(part, sun=SUN, bootstrap=40)
    xr.testing.assert_equal(drawn.vx, plain.vx)
    assert (drawn.sigma_vx_bootstrap > 0.5 * drawn.sigma_vx).all()
    # a pixel of three dates tells no four parameters
    few = part.where(part.secondary <= DATES[2])
    told = xoffset.velocity(few, sun=SUN)
    assert told.vx.isnull().all()
    assert (told.flags == FLAGS["too_few_dates"]).all()
    assert xoffset.velocity(few).vx.notnull().all()


def test_points_and_chunks_give_the_same(shifts):
    part = shifts.isel(x=slice(4), y=slice(3)).astype("float32")
    wanted = xoffset.velocity(part, sun=SUN)
    points = part.stack(point=("y", "x")).reset_index("point").transpose("pair", "point")
    images = xr.DataArray(np.zeros((37, 3, 4)), dims=("time", "y", "x"), coords=dict(SUN.data_vars) | {"time": DATES})
    for sun in (SUN, images):
        found = xoffset.velocity(points, sun=sun)
        np.testing.assert_array_equal(found.vx.values, wanted.vx.values.ravel())
        np.testing.assert_array_equal(found.sun_condition.values, wanted.sun_condition.values.ravel())
    lazy = xoffset.velocity(part.chunk(y=2, x=3, pair=5), sun=images)
    assert all(lazy[name].chunks for name in ("vx", "sigma_vx", "sun_condition"))
    xr.testing.assert_equal(lazy.compute(), wanted)


def test_errors_of_pairs_as_wholes_count_with_the_sun(shifts):
    part = shifts.isel(x=slice(4), y=slice(3))
    sigma = ("pair", np.full(part.sizes["pair"], 0.4), {"units": "m"})
    plain, wholes = (xoffset.velocity(each, sun=SUN) for each in (part, part.assign(sigma_shift=sigma)))
    assert 0.0 < float(wholes.sigma_shift) < 1.0
    assert (wholes.sigma_vx > plain.sigma_vx).all()
    assert wholes.sigma_shift != xoffset.velocity(part.assign(sigma_shift=sigma)).sigma_shift


# ------------------------------------------------------------------------------------------------------------ sun_term


def test_growth_and_drift_are_those_of_least_squares(shifts):
    """Of the pairs, whose noise is that of their dates."""
    found = xoffset.sun_term(shifts, sun=SUN)
    ends = [np.searchsorted(DATES, shifts[name].values) for name in ("secondary", "reference")]
    years, slants = terms.days(DATES, DATES[0]) / 365.25, slants_at(DATES)
    of_dates = np.eye(DATES.size)[ends[0]] - np.eye(DATES.size)[ends[1]]
    errors = []
    for functions in (years[:, None], np.column_stack([years, slants])):
        levers = np.linalg.pinv(of_dates @ functions)[0] @ of_dates
        errors.append(np.linalg.norm(levers))
    assert found.growth == pytest.approx(errors[1] / errors[0], rel=1e-6)
    off = np.linalg.lstsq(of_dates @ years[:, None], of_dates @ slants, rcond=None)[0]
    assert found.drift == pytest.approx(np.linalg.norm(off), rel=1e-6)
    assert found.why == ""
    np.testing.assert_allclose(found.sun.sun_azimuth.values, SUN.sun_azimuth.values)
    again = shifts.isel(pair=[*range(shifts.sizes["pair"]), 3, 5])
    assert xoffset.sun_term(again, sun=SUN)[1:] == found[1:] == shifts.offset.sun_term(sun=SUN)[1:]
    assert xoffset.sun_term(shifts.isel(pair=slice(100)), sun=SUN).sun.sizes["time"] < DATES.size


def test_the_error_of_a_velocity_grows_as_it_says():
    for dates in (DATES[:17], DATES[4:16]):
        shifts = shifts_at(dates, height=0.0, shape=(10, 10))
        growth = xoffset.sun_term(shifts, sun=SUN).growth
        spread = [float(xoffset.velocity(shifts, loss="linear", sun=sun).vx.std()) for sun in (SUN, None)]
        assert spread[0] / spread[1] == pytest.approx(growth, rel=0.15)


@pytest.mark.parametrize(
    ("dates", "sun", "advice"),
    [
        (DATES[:5], SUN, r"needs 7 dates to tell light from motion; got 5\. .* off by [\d.]+ m yr-1 for each metre"),
        (DATES, xr.Dataset(coords={"time": DATES}), r"needs 'sun_azimuth' and 'sun_elevation' .*; got none of"),
        (DATES, SUN.isel(time=slice(30)), r"needs the sun of all dates in sun; 7 are not there"),
        (DATES, SUN.where(SUN.time > DATES[0]), r"needs the sun of each date above the horizon.* nan"),
        (DATES, SUN.isel(time=[0] * 37).assign_coords(time=DATES), r"needs a sun that moves between the dates"),
        # from the shortest day to the longest one
        (
            DATES[0] + np.arange(20) * np.timedelta64(9, "D"),
            sun_at(DATES[0] + np.arange(20) * np.timedelta64(9, "D")),
            r"makes the standard error of a velocity [\d.]+ times as large, and max_growth=3\. Add .* off by [\d.]+ m",
        ),
    ],
)  # fmt: skip
def test_it_says_why_there_is_no_sun(dates, sun, advice):
    network = xoffset.pairs(xr.Dataset(coords={"time": dates}), max_gap=2)
    found = xoffset.sun_term(network, sun=sun)
    assert found.sun is None
    assert re.search(advice, found.why)


def test_the_scatter_of_few_dates_tells_no_error_beside_the_sun():
    """Each parameter takes an interval: what is left of four or five dates is rounding, or next to nothing."""
    unknown = ["sigma_dx", "sigma_dy"]
    for count in (4, 5, 6):
        few = shifts_at(DATES[:count])
        few = few.assign({name: few[name] * np.nan for name in unknown})
        told = xoffset.velocity(few, sun=SUN)
        assert np.isfinite(told.vx).all()
        assert np.isfinite(told.sigma_vx).all() == (count >= 6)
        # of a line alone three intervals do
        assert np.isfinite(xoffset.velocity(few).sigma_vx).all()
        series = xoffset.decompose(few, sun=SUN)
        np.testing.assert_array_equal(series.sigma_vx, told.sigma_vx)


@pytest.mark.parametrize("function", [xoffset.velocity, xoffset.decompose, xoffset.invert])
def test_another_sun_is_another_step(shifts, function):
    """A store that goes on by its record must not go on with the values of another sun."""
    other = SUN.assign(sun_elevation=SUN.sun_elevation + np.linspace(0.0, 5.0, DATES.size))
    same, changed = (function(shifts, sun=sun).attrs["processing"] for sun in (SUN.copy(deep=True), other))
    assert function(shifts, sun=SUN).attrs["processing"] == same != changed


@pytest.mark.parametrize(
    "sun",
    [
        SUN.assign(sun_elevation=90.0 + 0.0 * SUN.sun_elevation),
        SUN.assign(sun_elevation=40.0 + 1e-9 * SUN.sun_elevation, sun_azimuth=150.0 + 0.0 * SUN.sun_azimuth),
    ],
    ids=["in the zenith", "but for rounding"],
)
def test_rounding_is_no_light_that_moves(shifts, sun):
    network = xoffset.pairs(xr.Dataset(coords={"time": DATES}), max_gap=4)
    assert "needs a sun that moves" in xoffset.sun_term(network, sun=sun).why
    with_sun, without = xoffset.velocity(shifts, sun=sun), xoffset.velocity(shifts)
    np.testing.assert_allclose(with_sun.vx, without.vx, rtol=1e-5)
    np.testing.assert_array_equal(with_sun.flags, 0)


@pytest.mark.parametrize(
    ("sun", "what"),
    [
        (SUN.assign(sun_azimuth=SUN.sun_azimuth.where(np.arange(DATES.size) != 4, -9999.0)), "sun_azimuth within 360"),
        (SUN.assign(sun_azimuth=np.deg2rad(SUN.sun_azimuth)), "in degrees, or their units"),
        (xr.concat([SUN.isel(time=slice(1)) + 20.0, SUN], "time"), "each date once"),
    ],
    ids=["azimuth that stands for none", "azimuth in radians", "date twice"],
)
@pytest.mark.parametrize("function", [xoffset.velocity, xoffset.decompose, xoffset.invert])
def test_angles_that_cannot_be_are_refused(shifts, function, sun, what):
    with pytest.raises(ValueError, match=what):
        function(shifts, sun=sun)
