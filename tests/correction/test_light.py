"""What moves with the sun or comes back each year: found, removed, told from motion, and left where nobody can tell."""

import numpy as np
import pandas as pd
import pytest
import reference_light as reference
import scipy.ndimage
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._arrays.networks import nuisance, terms
from xoffset._arrays.scenes import sunlight
from xoffset._kernels.images import warp
from xoffset.model.flags import FLAGS

# from deep winter to the height of summer: what comes back each year makes a trend
DATES = np.array(
    ["2019-12-10", "2020-01-25", "2020-03-10", "2020-04-25", "2020-06-10", "2020-08-01", "2020-09-20", "2020-11-05",
     "2020-12-20", "2021-02-05", "2021-03-25", "2021-05-10", "2021-06-20"], "M8[us]"
)  # fmt: skip
AZIMUTH, ELEVATION = sunlight.position(DATES, 45.0)
SUN = xr.Dataset({"sun_azimuth": ("time", AZIMUTH), "sun_elevation": ("time", ELEVATION)}, coords={"time": DATES})
SLANTS = reference.slants(AZIMUTH, ELEVATION)
SHAPE = (8, 9)
NOISE = 0.3


def positions(dates=DATES, shape=SHAPE, by_sun=(0.0, 0.0), seasonal=0.0, velocity=4.0, noise=NOISE, seed=0):
    """Displacement (component, date, rows, columns) of ground [m]: steady, with the sun, with the season, and noise."""
    generator = np.random.default_rng(seed)
    beta = np.array([[by_sun[0], 0.5 * by_sun[1]], [-0.3 * by_sun[0], by_sun[1]]])
    steady = velocity * reference.years(dates) + seasonal * reference.season(dates)[:, 0]
    common = np.stack([steady, -0.5 * steady])
    if len(dates) == len(DATES):
        common = common + beta @ SLANTS.T
    return common[:, :, None, None] + noise * generator.standard_normal((2, len(dates), *shape))


def shifts_of(found, dates=DATES, max_gap=4, noise=NOISE):
    """Shifts of a network without any error of the pairs themselves."""
    network = xoffset.pairs(xr.Dataset(coords={"time": dates}), max_gap=max_gap)
    first, second = (np.searchsorted(dates, network[name].values) for name in ("reference", "secondary"))
    moved = found[:, second] - found[:, first]
    sigma = np.full_like(moved[0], max(noise, 0.01) * np.sqrt(2.0))
    rows, columns = found.shape[2:]
    fields = {"dx": moved[0], "dy": moved[1], "sigma_dx": sigma, "sigma_dy": sigma}
    return network.assign({name: (("pair", "y", "x"), values) for name, values in fields.items()}).assign_coords(
        y=5e6 - 80.0 * np.arange(rows), x=5e5 + 80.0 * np.arange(columns)
    )


# ------------------------------------------------------------------------------------------------------------- the sun


@pytest.mark.parametrize("latitude", [60.0, 45.0, -33.0])
def test_the_sun_stands_where_other_formulas_put_it(latitude):
    dates = np.array([f"2021-{month:02d}-15" for month in range(1, 13)], "M8[us]")
    found = sunlight.position(dates, latitude)
    wanted = reference.place_of_sun(pd.DatetimeIndex(dates).day_of_year.values, latitude, sunlight.HOUR)
    assert np.abs(found[1] - wanted[1]).max() < 1.0
    assert np.abs((found[0] - wanted[0] + 180.0) % 360.0 - 180.0).max() < 1.5


def test_a_spline_is_seen_where_its_points_have_moved():
    generator = np.random.default_rng(0)
    spline, places = generator.standard_normal((9, 7)), generator.uniform(-12.0, 20.0, (2, 200))
    out = np.empty(200)
    for moved in ((0.0, 0.0), (1.3, -0.4)):
        warp.values(spline, np.ones((9, 7)), *moved, *places, out)
        came_from = places - np.array(moved)[:, None]
        wanted = scipy.ndimage.map_coordinates(spline, came_from, order=3, mode="grid-wrap", prefilter=False)
        np.testing.assert_allclose(out, wanted, atol=1e-6)


def test_shadows_darken_what_the_terrain_keeps_from_the_sun():
    options = {"dates": DATES[[0, 4]], "velocity": 0.0}
    plain, _ = synthetic.stack((64, 72), **options)
    shaded, truth = synthetic.stack((64, 72), shadows=0.4, **options)
    share = ((1.0 - shaded / plain) / 0.4).values
    assert -1e-5 < share.min() < 0.01 < 0.99 < share.max() < 1.0 + 1e-5
    sun = {name: shaded[name] for name in ("sun_azimuth", "sun_elevation")}
    cast = xoffset.masking.cast_shadow(truth.elevation, **sun).values
    # centres of pixels see little of the short ones of summer
    assert share[0][cast[0]].mean() > share[0][~cast[0]].mean() + 0.5
    # long shadows of winter, short ones of summer, when rocks have some too
    assert share[0].mean() > 3.0 * share[1].mean() > 0.0
    again = synthetic.stack((64, 72), shadows=0.4, **options)
    xr.testing.assert_identical(again[0], shaded)


def test_shadows_move_with_an_image_that_is_displaced():
    dates = DATES[4] + np.array([0, 1461]) * np.timedelta64(1, "D")  # the same sun
    stack, truth = synthetic.stack((96, 96), dates=dates, velocity=0.0, shadows=0.8, misregistration=4.0, jitter=2.0)
    found = xoffset.correlate(stack, xoffset.pairs(stack), template=32, search=3, step=16)
    for name in ("dx", "dy"):
        wanted = truth[f"misregistration_{name}"][1] + truth[f"geometry_{name}"][1].rolling(x=32, y=32).mean()
        wanted = wanted.isel(x=slice(31, None, 16), y=slice(31, None, 16))
        error = found[name][0].values - wanted.values
        assert np.nanmedian(np.abs(error)) < 0.2


# ------------------------------------------------------------------------------------------------------- the arithmetic


def test_the_sun_comes_off_as_in_the_twin():
    spoilt = positions(by_sun=(0.8, -0.5))
    shifts = shifts_of(spoilt)
    generator = np.random.default_rng(1)
    shifts = shifts.where(generator.random(shifts.dx.shape) < 0.9)
    series = xoffset.invert(shifts, loss="linear", sun=SUN, reference=DATES[3])
    first, second = (np.searchsorted(DATES, shifts[name].values) for name in ("reference", "secondary"))
    every = np.concatenate([reference.slow(DATES), SLANTS], axis=1)
    design = every[second] - every[first]
    beside = np.concatenate([reference.slow(DATES), reference.season(DATES), SLANTS], axis=1)
    beside = beside[second] - beside[first]
    for row, column in ((0, 0), (3, 4), (7, 8)):
        known = np.isfinite(shifts.dx.values[:, row, column])
        for name in ("dx", "dy"):
            # all pairs weigh alike, and the errors of the dates do not enter the solution
            values = reference.fitted(design, shifts[name].values[:, row, column])
            wanted = (SLANTS - SLANTS[3]) @ values[-2:]
            np.testing.assert_allclose(series[f"removed_{name}"].values[:, row, column], wanted, atol=1e-9)
        wanted = reference.condition(beside[known])
        assert series.sun_condition.values[row, column] == pytest.approx(wanted, rel=1e-6)


def test_what_was_removed_and_what_is_left_add_up():
    shifts = shifts_of(positions(by_sun=(0.8, -0.5)))
    plain, series = (xoffset.invert(shifts, reference=DATES[2], **more) for more in ({}, {"sun": SUN}))
    for name in ("dx", "dy"):
        np.testing.assert_allclose(series[name] + series[f"removed_{name}"], plain[name], atol=1e-9)
        assert float(abs(series[f"removed_{name}"][2]).max()) < 1e-12
    assert "removed_dx" not in plain
    assert "sun_condition" not in plain


@pytest.mark.parametrize("loss", ["linear", "huber", "tukey", "l1"])
def test_standard_errors_hold_what_the_removal_adds(loss):
    spoilt = positions(by_sun=(0.8, -0.5), shape=(20, 20))
    series = xoffset.invert(shifts_of(spoilt), loss=loss, sun=SUN)
    truth = positions(shape=(1, 1), noise=0.0)[0]
    home = list(DATES).index(np.datetime64(series.attrs["reference"], "us"))
    error = series.dx.values - (truth - truth[home])
    sigma = np.sqrt(series.sigma_dx.values**2 + series.sigma_dx.values[home] ** 2)
    others = np.arange(DATES.size) != home
    assert 0.5 < np.sqrt(np.mean((error[others] / sigma[others]) ** 2)) < 1.1
    rate = xoffset.velocity(series)
    ratio = (rate.vx.values - 4.0) / rate.sigma_vx.values
    assert 0.5 < np.sqrt(np.mean(ratio**2)) < 1.25


def test_without_any_light_nothing_changes_by_more_than_its_error():
    shifts = shifts_of(positions(shape=(20, 20)))
    plain, series = xoffset.invert(shifts), xoffset.invert(shifts, sun=SUN)
    home = list(DATES).index(np.datetime64(series.attrs["reference"], "us"))
    for name in ("dx", "dy"):
        sigma = np.sqrt(series[f"sigma_{name}"] ** 2 + series[f"sigma_{name}"][home] ** 2)
        assert float((abs(series[name] - plain[name]) <= sigma).mean()) > 0.97


def test_motion_that_changes_from_year_to_year_is_left_alone():
    dates = np.arange("2018-01-15", "2022-01-15", 60, dtype="M8[D]").astype("M8[us]")
    moved = positions(dates, noise=0.0, velocity=0.0)
    time = reference.years(dates)
    edges = np.linspace(0.0, time[-1], 4)
    walked = sum(v * (np.clip(time, a, b) - a) for v, a, b in zip((3.0, 9.0, -2.0), edges[:-1], edges[1:], strict=True))
    moved[:] = walked[None, :, None, None]
    azimuth, elevation = sunlight.position(dates, 45.0)
    sun = xr.Dataset({"sun_azimuth": ("time", azimuth), "sun_elevation": ("time", elevation)}, coords={"time": dates})
    series = xoffset.invert(shifts_of(moved, dates, noise=0.1), sun=sun)
    assert float(abs(series.removed_dx).max()) < 1e-6
    assert float(abs(xoffset.remove_season(xoffset.invert(shifts_of(moved, dates, noise=0.1))).removed_dx).max()) < 1e-6


def test_few_dates_and_weights_of_zero_are_no_evidence():
    shifts = shifts_of(positions(by_sun=(0.8, -0.5)))
    few = ((shifts.reference <= DATES[4]) & (shifts.secondary <= DATES[4])) | (shifts.x > shifts.x[0])
    series = xoffset.invert(shifts.where(few), sun=SUN, reference=DATES[2])
    plain = xoffset.invert(shifts.where(few), reference=DATES[2])
    is_left = (series.flags & FLAGS["not_corrected"]) > 0
    assert bool(is_left[:5, :, 0].all())
    assert not bool(is_left[:, :, 1:].any())
    np.testing.assert_array_equal(series.dx[:, :, 0], plain.dx[:, :, 0])
    assert float(abs(series.removed_dx[:5, :, 0]).max()) == 0.0
    assert bool(np.isnan(series.removed_dx[5:, :, 0]).all())

    spoilt = shifts.copy(deep=True)
    wrong = np.zeros(shifts.sizes["pair"], bool)
    wrong[::7] = True
    spoilt["dx"] = shifts.dx + 50.0 * xr.DataArray(wrong, dims="pair")
    weights = np.where(wrong, 0.0, 1.0)
    one, other = (xoffset.invert(each, sun=SUN, weights=weights, loss="linear") for each in (shifts, spoilt))
    np.testing.assert_allclose(one.dx, other.dx, atol=1e-9)


def test_pairs_in_any_order_and_blocks_of_any_size_give_the_same_bits():
    shifts = shifts_of(positions(by_sun=(0.8, -0.5)).astype(np.float32)).astype(np.float32)
    shifts = shifts.where(np.random.default_rng(2).random(shifts.dx.shape) < 0.9)
    wanted = xoffset.invert(shifts, sun=SUN, reference=DATES[0])
    mixed = shifts.isel(pair=np.random.default_rng(3).permutation(shifts.sizes["pair"]))
    xr.testing.assert_equal(xoffset.invert(mixed, sun=SUN, reference=DATES[0]), wanted)
    lazy = shifts.chunk(pair=7, y=3, x=1).assign_coords({name: shifts[name] for name in ("reference", "secondary")})
    xr.testing.assert_equal(xoffset.invert(lazy, sun=SUN, reference=DATES[0]).compute(), wanted)
    xr.testing.assert_equal(
        xoffset.remove_season(wanted.chunk(time=3, y=1, x=4)).compute(), xoffset.remove_season(wanted)
    )
    xr.testing.assert_equal(
        xoffset.decompose(lazy, sun=SUN).compute().drop_attrs(), xoffset.decompose(shifts, sun=SUN).drop_attrs()
    )


def test_terms_that_nothing_tells_apart_have_no_condition_number():
    design = np.stack([np.arange(6.0), 2.0 * np.arange(6.0)], axis=1)
    used = np.ones((6, 1, 2), bool)
    used[1:, 0, 1] = False
    assert np.isnan(nuisance.condition(design, used, is_series=True)).all()
    design[:, 1] = [1.0, -1.0, 0.0, 0.0, -1.0, 1.0]
    found = nuisance.condition(design, used, is_series=True)
    assert found[0, 0] == pytest.approx(reference.condition(design - design.mean(axis=0)))
    assert np.isnan(found[0, 1])


def test_slow_motion_has_intervals_of_a_year_or_more():
    np.testing.assert_allclose(terms.slow(DATES), reference.slow(DATES), atol=1e-12)
    long = np.array(["1980-01-01", "1999-01-01", "2020-01-01"], "M8[us]")
    assert terms.slow(long).shape == (3, terms.MOST_INTERVALS)
    np.testing.assert_allclose(terms.slow(long).sum(axis=1), reference.years(long), rtol=1e-6)


# ------------------------------------------------------------------------------------------------------- decompositions


@pytest.mark.parametrize("is_series", [False, True])
def test_decompose_tells_what_the_sun_does(is_series):
    given = shifts_of(positions(by_sun=(0.8, -0.5), shape=(16, 16)))
    given = xoffset.invert(given, reference=DATES[0]) if is_series else given
    found = xoffset.decompose(given, sun=SUN)
    wanted = {"sun_east_dx": 0.8, "sun_north_dx": -0.25, "sun_east_dy": -0.24, "sun_north_dy": -0.5, "vx": 4.0}
    for name, value in wanted.items():
        ratio = (found[name] - value) / found[f"sigma_{name}"]
        assert 0.7 < float(np.sqrt((ratio**2).mean())) < 1.3
    beside = np.concatenate([reference.years(DATES)[:, None], reference.season(DATES), SLANTS], axis=1)
    if is_series:
        wanted = reference.condition(beside - beside.mean(axis=0))
    else:
        first, second = (np.searchsorted(DATES, given[name].values) for name in ("reference", "secondary"))
        wanted = reference.condition(beside[second] - beside[first])
    np.testing.assert_allclose(found.sun_condition, wanted, rtol=1e-6)
    both = xoffset.decompose(given, sun=SUN, seasonal=True)
    assert float(both.sigma_sun_north_dx.median()) > 1.5 * float(found.sigma_sun_north_dx.median())
    np.testing.assert_allclose(both.sun_condition, wanted, rtol=1e-6)


# -------------------------------------------------------------------------------------------------------------- seasons


def test_a_season_comes_off_and_the_rest_stays():
    dates = np.arange("2019-01-01", "2021-06-01", 40, dtype="M8[D]").astype("M8[us]")
    spoilt = positions(dates, seasonal=5.0, noise=0.1)
    series = xoffset.invert(shifts_of(spoilt, dates, noise=0.1), reference=dates[5])
    found = xoffset.remove_season(series)
    for name in ("dx", "dy"):
        np.testing.assert_allclose(found[name] + found[f"removed_{name}"], series[name], atol=1e-9)
        assert float(abs(found[name][5]).max()) == 0.0
    wanted = 5.0 * (reference.season(dates)[:, 0] - reference.season(dates)[5, 0])
    assert float(abs(found.removed_dx.mean(("y", "x")) - wanted).max()) < 0.1
    assert float(found.season_share.min()) > 0.98
    assert (found.sigma_dx > series.sigma_dx).all()
    assert float(abs(xoffset.velocity(found).vx.mean() - 4.0)) < 0.05
    # a second time hardly anything is left, and what was removed stays told
    again = xoffset.remove_season(found)
    np.testing.assert_allclose(again.dx + again.removed_dx, series.dx, atol=1e-9)
    assert float(again.season_share.max()) < 0.3
    moved = xoffset.rereference(found, dates[0])
    np.testing.assert_allclose(moved.dx + moved.removed_dx, xoffset.rereference(series, dates[0]).dx, atol=1e-9)


def test_a_series_without_season_hardly_changes():
    dates = np.arange("2019-01-01", "2021-06-01", 40, dtype="M8[D]").astype("M8[us]")
    series = xoffset.invert(shifts_of(positions(dates, shape=(16, 16)), dates))
    found = xoffset.remove_season(series, semiannual=True)
    home = list(dates).index(np.datetime64(series.attrs["reference"], "us"))
    sigma = np.sqrt(found.sigma_dx**2 + found.sigma_dx[home] ** 2)
    assert float((abs(found.removed_dx) <= sigma).mean()) > 0.97


def test_a_season_of_dates_that_share_noise_has_no_known_error():
    dates = np.arange("2019-01-01", "2021-06-01", 40, dtype="M8[D]").astype("M8[us]")
    series = xoffset.resample(xoffset.invert(shifts_of(positions(dates, seasonal=5.0), dates)), "30D")
    found = xoffset.remove_season(series)
    assert np.isnan(found.sigma_dx).all()
    assert np.isfinite(found.dx).all()


def in_parts(shifts, groups):
    """Shifts of pairs whose dates belong to one group, by the number of each date."""
    first, second = (np.searchsorted(DATES, shifts[name].values) for name in ("reference", "secondary"))
    return shifts.isel(pair=np.asarray(groups)[first] == np.asarray(groups)[second])


PARTS = {
    "in a row": [0] * 8 + [1] * 5,
    "interleaved": [0, 1] * 6 + [0],
    "before the reference": [1] * 4 + [0] * 9,
    "three": [0, 1, 0, 2, 0, 1, 0, 2, 0, 1, 0, 2, 0],
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("lacks", [False, True])
def test_groups_with_a_zero_of_their_own_keep_it(name, lacks):
    spoilt = positions(by_sun=(0.8, -0.5), noise=0.01, shape=(3, 4))
    shifts = in_parts(shifts_of(spoilt, max_gap=9, noise=0.01), PARTS[name])
    home = DATES[6]
    if lacks:
        # the reference date has no pairs here, and the largest group stands in for its own
        is_other = (shifts.reference != home) & (shifts.secondary != home)
        shifts = shifts.where(is_other | (shifts.x > shifts.x[0]))
    plain, series = (xoffset.invert(shifts, islands="separate", reference=home, **more) for more in ({}, {"sun": SUN}))
    assert bool(((plain.flags & FLAGS["disconnected"]) > 0).any())
    for component in ("dx", "dy"):
        removed = series[f"removed_{component}"]
        np.testing.assert_allclose(series[component] + removed, plain[component], atol=1e-9)
        assert bool((removed.values[plain[component].values == 0.0] == 0.0).all())
    moved = xoffset.rereference(series, DATES[9])
    wanted = xoffset.rereference(plain, DATES[9])
    np.testing.assert_allclose(moved.dx + moved.removed_dx.where(moved.dx.notnull()), wanted.dx, atol=1e-9)

    found = xoffset.remove_season(plain)
    np.testing.assert_allclose(found.dx + found.removed_dx, plain.dx, atol=1e-9)
    assert bool((found.dx.values[plain.dx.values == 0.0] == 0.0).all())
    is_left = (found.flags & FLAGS["not_corrected"]) > 0
    np.testing.assert_array_equal(found.removed_dx.values[is_left], 0.0)
    np.testing.assert_array_equal(found.sigma_dx.values[is_left], plain.sigma_dx.values[is_left])
    groups = np.array(PARTS[name])
    # of two islands nobody knows which date is whose from the first of the second on
    unclear = (groups > 0) & (np.arange(DATES.size) >= 3) if name == "three" else np.zeros(DATES.size, bool)
    if not lacks:
        np.testing.assert_array_equal(is_left, np.broadcast_to(unclear[:, None, None], is_left.shape))
    removed = found.removed_dx.values[:, 1, 1]
    zero = {number: removed[np.flatnonzero(groups == number)[0] if number else 6] for number in set(groups)}
    steps = [removed[k] - zero[groups[k]] for k in range(DATES.size)]
    season = reference.season(DATES)
    told = np.where(unclear, 0.0, 1.0)
    design = np.stack([season[k] - season[6 if not groups[k] else np.flatnonzero(groups == groups[k])[0]]
                       for k in range(DATES.size)])  # fmt: skip
    fitted = design @ np.linalg.lstsq(design[told > 0], np.array(steps)[told > 0], rcond=None)[0]
    np.testing.assert_allclose(steps, np.where(told > 0, fitted, 0.0), atol=1e-9)
    xr.testing.assert_equal(xoffset.remove_season(plain.chunk(time=5, y=2, x=3)).compute(), found)


# --------------------------------------------------------------------------------------------------------------- aspect


def test_light_is_told_by_aspect():
    y, x = 5e6 - 80.0 * np.arange(40), 5e5 + 80.0 * np.arange(40)
    hill = 1500.0 - 0.4 * np.hypot((y - y.mean())[:, None], (x - x.mean())[None])
    dem = xr.DataArray(hill, dims=("y", "x"), coords={"y": y, "x": x})
    faces_north = ((y > y.mean())[:, None] & (np.abs(x - x.mean())[None] < (y - y.mean())[:, None])).astype(float)
    generator = np.random.default_rng(0)
    moved = 0.3 * generator.standard_normal((2, DATES.size, 40, 40))
    moved += -2.0 * SLANTS.T[:, :, None, None] * faces_north
    shifts = shifts_of(moved)
    found = xoffset.light(shifts, dem=dem, sun=SUN, sectors=4)
    np.testing.assert_array_equal(found.aspect, [0.0, 90.0, 180.0, 270.0])
    np.testing.assert_allclose(found.shadow_height, [2.0, 0.0, 0.0, 0.0], atol=0.1)
    np.testing.assert_allclose(found.shadow_across, 0.0, atol=0.1)
    assert (found.n_nodes > 200).all()
    reach = max(np.hypot(*(SLANTS[j] - SLANTS[i])) for i in range(13) for j in range(i + 1, min(i + 5, 13)))
    assert found.largest.values[0] == pytest.approx(2.0 * reach, rel=0.05)
    stable = xr.DataArray(np.broadcast_to((y < y.mean())[:, None], hill.shape), dims=("y", "x"), coords=dem.coords)
    fewer = xoffset.light(shifts, dem=dem, sun=SUN, sectors=4, stable=stable)
    assert np.isnan(fewer.shadow_height[0])
    assert fewer.n_nodes[2] == found.n_nodes[2]
    lazy = xoffset.light(
        shifts.chunk(y=7, x=11).assign_coords(reference=shifts.reference, secondary=shifts.secondary),
        dem=dem.chunk(y=9), sun=SUN, sectors=4, stable=stable.chunk(x=13),
    )  # fmt: skip
    xr.testing.assert_equal(lazy.compute(), fewer)


def test_the_error_of_light_holds():
    y, x = 5e6 - 80.0 * np.arange(20), 5e5 + 80.0 * np.arange(20)
    dem = xr.DataArray(1500.0 + 0.4 * (y[:, None] - y[0] + 0.0 * x), dims=("y", "x"), coords={"y": y, "x": x})
    ratios = []
    for seed in range(40):
        common = 0.5 * np.random.default_rng(seed).standard_normal((2, DATES.size, 1, 1))
        moved = positions(shape=(20, 20), velocity=0.0, noise=0.1, seed=seed) + common
        found = xoffset.light(shifts_of(moved), dem=dem, sun=SUN, sectors=1)
        ratios += [
            found.shadow_height.item() / found.sigma_shadow_height.item(),
            found.shadow_across.item() / found.sigma_shadow_across.item(),
        ]
    assert 0.75 < np.sqrt(np.mean(np.square(ratios))) < 1.35


# ---------------------------------------------------------------------------------------------------------- the claims


@pytest.fixture(scope="module")
def shaded():
    """Images of steady motion toward the east, with shadows of winter and summer, and their shifts."""
    options = {"dates": DATES, "field": "constant", "velocity": 6.0, "direction": 90.0}
    stack, _ = synthetic.stack((112, 112), snr=20.0, shadows=0.5, seed=4, **options)
    return stack, match(stack, max_gap=6)


def match(stack, **limits):
    return xoffset.correlate(stack, xoffset.pairs(stack, **limits), template=32, search=4, step=10)


def cycle(series):
    """Amplitude of the yearly cycle [m] beside a steady motion, both components."""
    design = np.column_stack([np.ones(DATES.size), reference.years(DATES), reference.season(DATES)])
    moved = np.concatenate([series[name].values.reshape(DATES.size, -1) for name in ("dx", "dy")], axis=1)
    moved = moved[:, np.isfinite(moved).all(axis=0)]
    assert moved.shape[1] > 40
    return np.sqrt(np.mean(np.sum(np.linalg.lstsq(design, moved, rcond=None)[0][2:] ** 2, axis=0)))


def trend(rate):
    """Error of the velocity [m yr-1], both components."""
    return float(np.sqrt(((rate.vx - 6.0) ** 2 + rate.vy**2).mean() / 2.0))


def test_shadows_of_terrain_come_off(shaded):
    stack, shifts = shaded
    plain, series = xoffset.invert(shifts), xoffset.invert(shifts, sun=stack)
    assert cycle(plain) > 1.0
    assert cycle(series) < 0.3 * cycle(plain)
    assert trend(series.offset.velocity()) < 0.2 * trend(plain.offset.velocity())
    assert trend(plain.offset.decompose(sun=stack)) < 0.2 * trend(plain.offset.decompose())
    # pairs over half a year and more hold little of it to begin with
    gap = np.subtract(*(np.searchsorted(DATES, shifts[name].values) for name in ("secondary", "reference")))
    near = shifts.isel(pair=gap <= 3)
    assert trend(near.offset.decompose(sun=stack)) < 0.2 * trend(near.offset.decompose())
    assert trend(shifts.offset.decompose(sun=stack)) < 0.35 * trend(shifts.offset.decompose())
    assert trend(shifts.offset.decompose(sun=stack)) < 0.15 * trend(plain.offset.velocity())
    seasonal = xoffset.remove_season(plain)
    assert cycle(seasonal) < 0.1 * cycle(plain)
    assert float(seasonal.season_share.median()) > 0.6


def test_a_landslide_keeps_its_motion():
    options = {"dates": DATES, "field": "landslide", "velocity": 25.0, "direction": 90.0, "snr": 20.0, "seed": 4}
    clear, shaded = (match(synthetic.stack((112, 112), shadows=share, **options)[0], max_gap=3) for share in (0.0, 0.5))
    truth = xoffset.velocity(xoffset.invert(clear))
    slide, still = truth.vx > 0.6 * truth.vx.max(), truth.vx < 0.05 * truth.vx.max()
    assert float(truth.vx.where(slide).min()) > 10.0
    assert slide.sum() >= 9 <= 2 * still.sum()

    def error(found, where):
        return float(np.sqrt((((found.vx - truth.vx) ** 2 + (found.vy - truth.vy) ** 2) / 2.0).where(where).mean()))

    ways = {
        "invert": lambda shifts: xoffset.velocity(xoffset.invert(shifts, sun=SUN)),
        "decompose": lambda shifts: xoffset.decompose(shifts, sun=SUN),
        "remove_season": lambda shifts: xoffset.velocity(xoffset.remove_season(xoffset.invert(shifts))),
    }
    before = {
        name: xoffset.decompose(shaded) if name == "decompose" else xoffset.velocity(xoffset.invert(shaded))
        for name in ways
    }
    along = float(truth.vx.where(slide).mean())
    for name, way in ways.items():
        # no shadows: nothing to take
        assert error(way(clear), slide) < 0.01 * along
        assert error(way(clear), still) < 0.02
        found = way(shaded)
        assert error(found, still) < 0.4 * error(before[name], still)
        assert abs(float(found.vx.where(slide).mean()) / along - 1.0) < 0.03
        across = [float((each.vy - truth.vy).where(slide).mean()) for each in (found, before[name])]
        assert abs(across[0]) < 0.2 * abs(across[1])


def test_pairs_of_one_season_and_one_sun_have_like_shadows(shaded):
    stack, shifts = shaded
    error = trend(xoffset.invert(shifts).offset.velocity())
    for limits in ({"max_season_gap": "30D"}, {"max_sun_gap": 5.0}):
        assert trend(match(stack, **limits).offset.decompose()) < 0.5 * error
