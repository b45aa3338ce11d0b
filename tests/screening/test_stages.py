"""screen(): each stage against a slow twin, on planted errors, in any chunks, and at points."""

import functools

import numpy as np
import pytest
import reference_screening as reference
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._kernels.maps import medians, outliers
from xoffset._kernels.networks import triplets as closing
from xoffset.flags import FLAGS
from xoffset.model import products
from xoffset.screening import neighbourhood as nearby

PIXEL = 10.0
OFF = {"false_alarm": None, "ambiguity": None, "neighbourhood": False}
DATES = np.array(["2020-01-01", "2020-03-01", "2020-06-01", "2020-10-01"], "M8[us]")
SHAPE = (14, 17)


def network_of(dates=DATES):
    images, _ = synthetic.stack((16, 16), dates=dates)
    return xoffset.pairs(images), images


def made(vx=40.0, vy=-20.0, *, dates=DATES, shape=SHAPE, noise=0.0, sigma=0.5, dtype=np.float32):
    """Shifts of one motion on a grid of windows, with noise of its standard error times `noise`."""
    network, images = network_of(dates)
    years = ((network.secondary - network.reference) / np.timedelta64(1, "D")).values / 365.25
    generator = np.random.default_rng(5)
    full = (len(years), *shape)
    fields = {
        name: (velocity * years[:, None, None] + noise * sigma * generator.standard_normal(full)).astype(dtype)
        for name, velocity in (("dx", vx), ("dy", vy))
    }
    fields |= {name: np.full(full, sigma, dtype) for name in ("sigma_dx", "sigma_dy")}
    fields |= {"score": np.full(full, 0.8, dtype), "peak_gap": np.full(full, 0.4, dtype)}
    fields |= {"mismatch": np.full(full, 1.0, dtype), "flags": np.zeros(full, np.int64)}
    fields |= {"valid_fraction": np.full(full, 0.9, dtype)}
    x, y = 5e5 + 80.0 * np.arange(shape[1]), 5e6 - 80.0 * np.arange(shape[0])
    sampling = {products.PIXEL_SIZE: PIXEL, products.WINDOW_SIZE: 320.0, products.SEARCH_AREA: (17 * PIXEL) ** 2}
    return products.shifts(fields, network, x=x, y=y, like=images, step={"function": "made"}, sampling=sampling)


def planted(name, place, value, shifts=None):
    """Shifts with other values of a variable in some places."""
    shifts = (made() if shifts is None else shifts).copy(deep=True)
    shifts[name].values[place] = value
    return shifts


def flagged(found, name):
    return ((found.flags & FLAGS[name]) != 0).values


def only(shifts, **options):
    return xoffset.screen(shifts, **(OFF | options))


def rough(shape, seed=0, holes=0.2):
    """Fields (2, rows, columns) of some motion with outliers and holes."""
    generator = np.random.default_rng(seed)
    fields = 0.4 * generator.standard_normal((2, *shape)) + np.linspace(0.0, 2.0, shape[-1])
    is_wrong = generator.random(shape) < 0.2
    fields[:, is_wrong] += generator.uniform(-9.0, 9.0, (2, is_wrong.sum()))
    fields[:, generator.random(shape) < holes] = np.nan
    return fields


# ----------------------------------------------------------------------------------------------------------- the twins


@pytest.mark.parametrize("with_centre", [False, True])
@pytest.mark.parametrize("radius", [1, 2])
@pytest.mark.parametrize("shape", [(7, 140), (1, 5), (3, 2), (1, 1)])
def test_medians_against_twin(shape, radius, with_centre):
    field = rough(shape)[0]
    median, spread = np.empty((2, *shape))
    count = np.empty(shape, np.uint8)
    medians.median_and_spread(field, *medians.square(radius, with_centre=with_centre), median, spread, count)
    expected = reference.median_and_spread(field, radius, with_centre=with_centre)
    np.testing.assert_array_equal(count, expected[2])
    np.testing.assert_allclose(np.array([median, spread]), expected[:2], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(12, 23), (2, 3), (1, 9)])
def test_ndc_against_twin(shape):
    dx, dy = rough(shape, 1)
    keep = nearby._is_coherent(dx, dy, 1.6, 0.125)
    np.testing.assert_array_equal(keep, reference.ndc(dx, dy, 1.6, 0.125))
    assert shape[0] < 9 or 0.3 < keep.mean() < 0.8


@pytest.mark.parametrize("shape", [(12, 23), (2, 3), (1, 9)])
def test_median_test_against_twin(shape):
    dx, dy = rough(shape, 2, holes=0.4)
    known = np.isfinite(dx)
    found = nearby._is_near_median(dx, dy, 0.1, 2.0)
    np.testing.assert_array_equal(found[known], reference.passes_median_test(dx, dy, 0.1, 2.0)[known])
    assert shape[0] < 9 or 0.2 < found[known].mean() < 0.8


@pytest.mark.parametrize("degrees", [10.0, 45.0, 90.0, 135.0, 180.0])
def test_angles_against_twin(degrees):
    generator = np.random.default_rng(3)
    dx, dy, toward = *generator.normal(0.0, 2.0, (2, 6, 8)), generator.uniform(0.0, 6.3, (6, 8))
    x, y = np.cos(toward), np.sin(toward)
    sigma, angle = generator.uniform(0.0, 0.5, (6, 8)), np.deg2rad(degrees)
    dx[0, 0], x[1, 1], sigma[2, 2] = np.nan, np.nan, np.nan
    out = np.empty(dx.shape, np.uint8)
    outliers.points_elsewhere(dx, dy, sigma, x, y, angle, out)
    expected = [
        reference.away(dx[node], dy[node], (x[node], y[node]), angle) > max(2.0 * np.nan_to_num(sigma[node]), 1e-3)
        for node in np.ndindex(dx.shape)
    ]
    np.testing.assert_array_equal(out.ravel(), expected)
    assert degrees == 180.0 or 0 < out.sum() < out.size


def test_velocities_over_time_against_twin():
    generator = np.random.default_rng(4)
    years = np.concatenate([generator.uniform(0.1, 1.5, 9), [-0.5, -0.2]])
    vectors = np.array([3.0, -2.0])[:, None, None] * years[:, None] + generator.normal(0.0, 0.3, (2, 11, 60))
    is_wrong = generator.random((11, 60)) < 0.25
    vectors[:, is_wrong] += generator.uniform(-9.0, 9.0, (2, is_wrong.sum()))
    vectors[:, generator.random((11, 60)) < 0.2] = np.nan
    vectors[:, 4:, 0] = np.nan
    vectors[:, :, 1] -= np.array([3.0, -2.0])[:, None] * years  # stands still
    sigmas = generator.uniform(0.1, 0.5, (2, 11, 60))
    sigmas[:, 3, 5] = np.nan
    # in coarse steps: most pairs tell the same, with known errors and without
    vectors[:, :, 2:4] = np.where(np.arange(11) == 6, 4.0, 0.0)[None, :, None]
    sigmas[:, :, 3] = np.nan
    out = np.empty((11, 60), np.uint8)
    limits = (np.deg2rad(45.0), 3.5)
    fields = [each[:, None] for each in (*vectors, *sigmas)]
    outliers.at_odds_in_time(years, *fields, *limits, out[:, None])
    expected = [reference.at_odds_in_time(years, vectors[:, :, k], sigmas[:, :, k], *limits) for k in range(60)]
    np.testing.assert_array_equal(out, np.transpose(expected))
    assert {0, 1, 2, 3} == set(np.unique(out))
    assert out[:, 2].any()
    assert not out[:, 3].any()


def test_triplets_against_twin():
    generator = np.random.default_rng(6)
    triplets = np.array([(0, 3, 1), (0, 4, 2), (1, 5, 2), (3, 5, 4)])  # of four dates
    truth = np.array([1.0, 2.0, 3.5, 1.0, 2.5, 1.5])
    merged = np.empty((4, 6, 7, 8))
    merged[:2] = truth[:, None, None] + generator.normal(0.0, 0.1, (2, 6, 7, 8))
    merged[:2, generator.random((6, 7, 8)) < 0.15] = 9.0
    merged[0, generator.random((6, 7, 8)) < 0.1] = np.nan
    merged[2:] = 0.01
    merged[2, 0, 3, 3] = np.nan
    out = np.empty((6, 5, 6))
    far = np.inf  # nodes so far apart that the motion adds nothing
    closing.unconfirmed(triplets, np.zeros(6, bool), far, far, 3.0, merged, out)
    expected = np.empty_like(out)
    for row, column in np.ndindex(out.shape[1:]):
        here = merged[:, :, row + 1, column + 1]
        expected[:, row, column] = reference.unconfirmed(triplets, here[:2], here[2] + here[3], np.zeros(4), 3.0)
    np.testing.assert_array_equal(out, expected)
    assert 0.05 < out.mean() < 0.6


@pytest.mark.parametrize("least", [2, 5, 12])
def test_clumps_against_twin(least):
    keep = np.random.default_rng(7).random((14, 17)) < 0.35
    found = nearby.is_small_clump(np.where(keep, 0, 4)[None].astype(np.int64), least)[0]
    np.testing.assert_array_equal(found == FLAGS["small_clump"], keep & (reference.clump_sizes(keep) < least))
    assert 0 < (found > 0).sum() < keep.sum()


# ----------------------------------------------------------------------------------------------------- what is planted

HERE = (2, 5, 6)


@pytest.mark.parametrize(
    ("options", "flag", "variable", "wrong", "right"),
    [
        ({"pycorr": (0.05, 1.0, 0.0)}, "pycorr", "peak_gap", 0.04, 0.06),
        ({"pycorr": (0.05, 0.7, 0.0)}, "pycorr", "score", -0.1, 0.1),
        ({"pycorr": (0.5, 0.7, 0.0)}, "pycorr", "score", 0.65, 0.75),
        ({"pycorr": (0.05, 1.0, 0.3)}, "pycorr", "peak_gap", np.nan, 0.06),
        ({"min_peak_ratio": 1.3}, "low_ratio", "peak_gap", 0.18, 0.19),
        ({"min_peak_ratio": 1.3}, "low_ratio", "peak_gap", np.nan, 0.9),
        ({"max_mismatch": 3.0}, "forward_backward", "mismatch", 3.1, 2.9),
        ({"max_mismatch": 3.0}, "forward_backward", "mismatch", np.nan, 0.0),
        ({"min_valid_fraction": 0.7}, "few_valid", "valid_fraction", 0.69, 0.7),
        ({"min_valid_fraction": np.float64(0.7)}, "few_valid", "valid_fraction", np.nan, 0.7),
        ({"min_valid_fraction": 0.9}, "few_valid", "valid_fraction", 0.899, 1.0),
        ({"max_displacement": 60.0}, "amplitude", "dx", 61.0, 50.0),
        ({"max_speed": 50.0}, "amplitude", "dy", -40.0, -17.0),
    ],
)
def test_a_limit_takes_what_is_beyond_it_and_nothing_else(options, flag, variable, wrong, right):
    found = only(planted(variable, HERE, wrong), **options)
    expected = np.zeros(found.dx.shape, bool)
    expected[HERE] = True
    np.testing.assert_array_equal(flagged(found, flag), expected)
    np.testing.assert_array_equal(found.dx.isnull(), expected)
    np.testing.assert_array_equal(found.flags != 0, expected)
    assert not (only(planted(variable, HERE, right), **options).flags != 0).any()


@pytest.mark.parametrize("options", [{"ndc": 0.2}, {"median_test": 2.0}])
def test_a_vector_that_its_neighbours_deny_is_flagged(options):
    flag = next(iter(options))
    found = only(planted("dx", HERE, 70.0), **options)
    expected = np.zeros(found.dx.shape, bool)
    expected[HERE] = True
    np.testing.assert_array_equal(flagged(found, flag), expected)


def test_what_agrees_with_enough_neighbours_passes():
    """Nine wrong vectors are the minority of each of their windows, 25 are all that the middle one sees."""
    nine, more = np.ix_([2], range(4, 7), range(5, 8)), np.ix_([2], range(4, 9), range(5, 10))
    assert flagged(only(planted("dx", nine, 90.0), ndc=0.2), "ndc")[nine].all()
    found = flagged(only(planted("dx", more, 90.0), ndc=0.2), "ndc")[more]
    assert not found[0, 2, 2]
    assert found[0, [0, 0, 4, 4], [0, 4, 0, 4]].all()
    assert not flagged(only(planted("dx", nine, 90.0), median_test=2.0), "median_test")[2, 5, 6]


def test_ndc_is_as_lax_as_the_search_is_wide():
    wide = planted("dx", HERE, made().dx.values[HERE] + 40.0)
    assert flagged(only(wide, ndc=0.2), "ndc").sum() == 1
    far = wide.assign_coords(search_area=(201 * PIXEL) ** 2)
    # the count lets it pass, the distance from the median does not
    assert flagged(only(far, ndc=0.2), "ndc").sum() == 1
    noisy = made(noise=8.0)
    lax = noisy.assign_coords(search_area=(401 * PIXEL) ** 2)
    assert flagged(only(lax, ndc=0.2), "ndc").sum() < flagged(only(noisy, ndc=0.01), "ndc").sum()


def test_search_and_pixel_may_differ_by_pair():
    """Coordinates of pairs that were matched apart are taken pair by pair."""
    shifts = made(noise=8.0)
    areas = np.where(np.arange(6) < 3, (7 * PIXEL) ** 2, (41 * PIXEL) ** 2)
    together = only(shifts.assign_coords(search_area=("pair", areas)), ndc=0.2, median_test=2.0)
    for part in (slice(0, 3), slice(3, 6)):
        alone = shifts.isel(pair=part).assign_coords(search_area=areas[part][0])
        np.testing.assert_array_equal(together.flags[part], only(alone, ndc=0.2, median_test=2.0).flags)
    lazy = only(shifts.assign_coords(search_area=("pair", areas)).chunk(pair=2, y=6), ndc=0.2, median_test=2.0)
    xr.testing.assert_identical(lazy.compute(), together)


def aspect_of(shifts, azimuth=116.565, **changes):
    """Map of one direction, on a finer grid that is larger than that of the shifts."""
    x, y = np.arange(499_900.0, 502_000.0, 20.0), np.arange(5_000_300.0, 4_998_600.0, -20.0)
    values = np.full((y.size, x.size), azimuth)
    field = xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x, "spatial_ref": shifts.spatial_ref})
    return field.assign_attrs(changes)


def test_direction_takes_what_points_elsewhere():
    shifts = made()
    toward = aspect_of(shifts)
    assert not flagged(only(shifts, direction=toward), "direction").any()
    assert flagged(only(shifts, direction=toward + 75.0), "direction").all()
    assert not flagged(only(shifts, direction=toward + 75.0, max_angle=80.0), "direction").any()
    assert not flagged(only(shifts, direction=toward + 360.0), "direction").any()
    in_radians = np.deg2rad(toward).assign_attrs(units="rad")
    assert not flagged(only(shifts, direction=in_radians), "direction").any()
    found = only(planted("dx", HERE, -30.0), direction=toward)
    assert np.argwhere(flagged(found, "direction")).tolist() == [list(HERE)]


def test_directions_in_radians_are_turned_or_told_of(caplog):
    """Level ground of other software is -1, in whatever unit; no map turns all around within 6.3 degrees."""
    shifts = made()
    level = aspect_of(shifts, -1.0, units="radian")
    assert not flagged(only(shifts, direction=level), "direction").any()
    turning = aspect_of(shifts)
    turning = turning.copy(data=np.linspace(0.0, 360.0, turning.size).reshape(turning.shape))
    plain, told = only(shifts, direction=turning), np.deg2rad(turning).assign_attrs(units="radians")
    np.testing.assert_array_equal(only(shifts, direction=told).flags, plain.flags)
    toward_north = turning * 0.0 + 2.0
    for harmless in (turning, told, toward_north, np.deg2rad(turning).chunk()):
        only(shifts, direction=harmless)
    assert "radians" not in caplog.text
    only(shifts, direction=np.deg2rad(turning))
    assert "azimuths of direction are from 0 to 6.28, as if in radians" in caplog.text
    with pytest.raises(ValueError, match=r"needs direction in degree; got units 'gon'"):
        only(shifts, direction=turning.assign_attrs(units="gon"))


def test_direction_of_a_field_of_velocities():
    shifts = made()
    unit = xr.zeros_like(aspect_of(shifts))
    rate = xr.Dataset({"vx": unit + 4.0, "vy": unit - 2.0})
    assert not flagged(only(shifts, direction=rate), "direction").any()
    assert flagged(only(shifts, direction=-rate), "direction").all()
    assert not flagged(only(shifts, direction=0.0 * rate), "direction").any()  # points nowhere
    turned = rate.isel(y=slice(None, None, -1))
    xr.testing.assert_identical(only(shifts, direction=turned).flags, only(shifts, direction=rate).flags)


def test_a_field_of_a_backward_pair_is_turned():
    shifts = made()
    one = shifts[["dx", "dy"]].isel(pair=0)
    back = (-one).assign_coords(reference=one.secondary, secondary=one.reference)
    for field in (one, back, back.drop_vars(["reference", "secondary"]) * -1.0):
        assert not flagged(only(shifts, direction=field), "direction").any()
    assert flagged(only(shifts, direction=-back), "direction").all()


def test_direction_from_true_north_is_refused():
    shifts = made()
    turned = xoffset.ground(xoffset.velocity(shifts))
    with pytest.raises(ValueError, match=r"from the north of the grid; got one from true north.*before ground\(\)"):
        only(shifts, direction=turned.direction)
    with pytest.raises(ValueError, match=r"from true north"):
        only(shifts, direction=aspect_of(shifts, standard_name="azimuth_from_true_north"))
    with pytest.raises(ValueError, match=r"before ground\(\)"):
        only(shifts, direction=turned)
    only(shifts, direction=xoffset.velocity(shifts).direction)


@pytest.mark.parametrize("fill", [-9999.0, -9999, 9999.0, -1, np.inf, 32767])
def test_what_is_no_azimuth_is_unknown(fill):
    shifts = made(-40.0, -40.0)
    toward = aspect_of(shifts, 225.0)
    nowhere = toward.copy(data=np.full(toward.shape, fill))
    assert not flagged(only(shifts, direction=nowhere), "direction").any()
    assert flagged(only(shifts, direction=(toward - 180.0).round()), "direction").all()
    assert not flagged(only(shifts, direction=toward - 360.0), "direction").any()


def unsure(shifts):
    """Shifts without standard errors."""
    return shifts.assign(sigma_dx=np.nan * shifts.sigma_dx, sigma_dy=np.nan * shifts.sigma_dy)


MONTHS = np.datetime64("2020-01-01", "us") + np.arange(8) * np.timedelta64(30, "D")


def test_a_tenth_of_a_pixel_is_no_outlier():
    """Without standard errors, of ground of which most pairs tell exactly the same."""
    shifts = unsure(made(0.0, 0.0, dates=MONTHS))
    near, far = (planted("dx", HERE, value, shifts) for value in (3.4, 3.6))
    assert not (only(near, max_deviation=3.5).flags != 0).any()
    found = flagged(only(far, max_deviation=3.5), "temporal_outlier")
    assert np.argwhere(found).tolist() == [list(HERE)]
    # nothing tells in shifts that do not know their pixel
    unknown = far.drop_vars("pixel_size")
    assert not (only(unknown, max_deviation=3.5).flags != 0).any()
    unequal = unknown.assign(dx=unknown.dx + 0.1 * np.random.default_rng(1).standard_normal(unknown.dx.shape))
    assert flagged(only(unequal, max_deviation=9.0), "temporal_outlier")[HERE]
    lazy = only(far.chunk(pair=3, y=4), max_deviation=3.5).compute()
    np.testing.assert_array_equal(flagged(lazy, "temporal_outlier"), found)


def test_unknown_errors_are_a_tenth_of_a_pixel_for_angles():
    shifts = unsure(made(0.0, 0.0, noise=1.0))
    assert flagged(only(shifts, direction=aspect_of(shifts)), "direction").mean() < 0.12
    steady = unsure(made(40.0, -20.0))
    wrong = planted("dx", HERE, -60.0, steady)
    assert np.argwhere(flagged(only(wrong, direction=aspect_of(shifts)), "direction")).tolist() == [list(HERE)]
    slow = made(2.0, 0.0, dates=MONTHS)
    still = planted("dx", HERE, -1.5, slow)
    assert not flagged(only(unsure(still), max_angle_spread=45.0), "angle_spread").any()
    certain = still.assign(sigma_dx=0.01 + 0.0 * still.sigma_dx, sigma_dy=0.01 + 0.0 * still.sigma_dy)
    assert flagged(only(certain, max_angle_spread=45.0), "angle_spread")[HERE]


def test_closure_needs_standard_errors():
    assert not (only(unsure(planted("dx", HERE, 500.0)), max_closure=3.0).flags != 0).any()


def test_ground_that_does_not_move_points_nowhere():
    shifts = made(0.0, 0.0, noise=1.0)
    found = only(shifts, direction=aspect_of(shifts))
    assert flagged(found, "direction").mean() < 0.12
    certain = shifts.assign(sigma_dx=0.0 * shifts.sigma_dx, sigma_dy=0.0 * shifts.sigma_dy)
    assert flagged(only(certain, direction=aspect_of(shifts)), "direction").mean() > 0.6


def test_direction_is_tested_where_it_is_known():
    shifts = made()
    away = aspect_of(shifts) + 180.0
    half = away.where(away.x < shifts.x.values[8])
    found = flagged(only(shifts, direction=half), "direction")
    np.testing.assert_array_equal(found, np.broadcast_to(shifts.x.values < shifts.x.values[8], found.shape))
    part = away.isel(x=slice(0, 30))  # ends within the grid
    inside = shifts.x.values < part.x.values[-1] + 10.0
    np.testing.assert_array_equal(flagged(only(shifts, direction=part), "direction")[0, 0], inside)
    coded = away.fillna(-9999.0).where(half.notnull(), -9999.0).assign_attrs(nodata=-9999.0)
    np.testing.assert_array_equal(flagged(only(shifts, direction=coded), "direction"), found)


def test_backward_pairs_go_the_other_way():
    shifts = made()
    turned = (-shifts[["dx", "dy"]]).assign_coords(reference=shifts.secondary, secondary=shifts.reference)
    backward = shifts.assign_coords(turned[["reference", "secondary"]].coords).assign(dx=turned.dx, dy=turned.dy)
    options = {"direction": aspect_of(shifts), "max_angle_spread": 45.0, "max_deviation": 3.5, "max_speed": 60.0}
    assert not (only(backward, **options, max_closure=3.0).flags != 0).any()
    wrong = planted("dx", HERE, 70.0, backward)
    assert flagged(only(wrong, **options), "direction")[HERE]
    assert flagged(only(wrong, max_angle_spread=45.0), "angle_spread")[HERE]


def test_outliers_in_time_are_flagged_where_they_are():
    shifts = made(noise=0.5)
    wrong = planted("dx", HERE, 60.0, shifts)
    wrong = planted("dy", HERE, 60.0, wrong)
    found = only(wrong, max_deviation=3.5, max_angle_spread=45.0)
    for flag in ("temporal_outlier", "angle_spread"):
        assert flagged(found, flag)[HERE]
        assert flagged(found, flag).mean() < 0.01
    # noise that the standard errors know is no outlier, however short the pair
    assert flagged(only(made(0.0, 0.0, noise=1.0), max_angle_spread=45.0), "angle_spread").mean() < 0.02
    few = only(wrong.where(wrong.pair < 4), max_deviation=3.5, max_angle_spread=45.0)
    assert not (few.flags & (FLAGS["temporal_outlier"] | FLAGS["angle_spread"])).any()


def test_a_pair_that_closes_nowhere_is_flagged():
    shifts = made(noise=0.5)
    found = only(planted("dx", HERE, 40.0, shifts), max_closure=3.0)
    expected = np.zeros(found.dx.shape, bool)
    expected[HERE] = True
    # the other pairs of its dates close around other dates
    np.testing.assert_array_equal(flagged(found, "closure"), expected)
    # of three dates nobody knows which of the three pairs is wrong
    three = made(dates=DATES[:3], noise=0.5)
    found = flagged(only(planted("dx", HERE, 60.0, three), max_closure=3.0), "closure")
    assert found[:, 5, 6].all()
    assert found.sum() == 3


def test_small_clumps_are_what_is_left_of_the_others():
    shifts = made()
    shifts = shifts.assign(score=shifts.score.where((shifts.x > shifts.x[5]) | (shifts.y > shifts.y[2]), 0.1))
    island = planted("score", np.ix_([2], [9, 10], [9, 10]), 0.9, shifts.assign(score=0.0 * shifts.score + 0.1))
    found = only(island, min_score=0.5, min_clump=5)
    assert flagged(found, "small_clump").sum() == 4
    assert not (only(island, min_score=0.5, min_clump=4).flags & FLAGS["small_clump"]).any()
    assert not found.dx.notnull().any()


# -------------------------------------------------------------------------------------------------------- all together

ALL = {
    "min_score": 0.3, "max_separation": "250D", "pycorr": (0.05, 0.9, 0.1), "min_peak_ratio": 1.2, "max_mismatch": 4.0,
    "max_displacement": 75.0, "max_speed": 200.0, "ndc": 0.2, "median_test": 3.0, "max_range": 3.5,
    "max_angle_spread": 45.0,
    "max_deviation": 3.5, "max_closure": 3.0, "min_clump": 7, "neighbourhood": False, "min_valid_fraction": 0.7,
}  # fmt: skip
# names of the flags that the stages set
OF_ALL = {
    "low_score", "separation", "pycorr", "low_ratio", "forward_backward", "amplitude", "direction", "ndc",
    "median_test", "sheared", "angle_spread", "temporal_outlier", "closure", "small_clump", "few_valid",
}  # fmt: skip


@functools.cache
def spoilt(shape=SHAPE):
    """Shifts with errors of all kinds."""
    shifts = made(noise=1.0, shape=shape)
    generator = np.random.default_rng(8)
    full = shifts.dx.shape
    is_wrong = generator.random(full) < 0.12
    for name in ("dx", "dy"):
        shifts[name].values[is_wrong] += generator.uniform(-70.0, 70.0, is_wrong.sum())
    is_short = np.random.default_rng(10).random(full) < 0.05
    shifts.valid_fraction.values[is_short] = 0.6
    for name, low, high in (("score", 0.0, 1.0), ("peak_gap", 0.0, 0.4), ("mismatch", 0.0, 5.0)):
        values = generator.uniform(low, high, full)
        shifts[name].values[:] = np.where(generator.random(full) < 0.2, values, shifts[name].values)
    is_lost = generator.random(full) < 0.03
    shifts.dx.values[is_lost] = np.nan
    shifts.flags.values[is_lost] = FLAGS["nodata"]
    # wrong together, so that neighbours confirm it, and far from all others, right and alone
    shifts.dx.values[1, 6:13, 8:16], shifts.dy.values[1, 6:13, 8:16] = -30.0, 20.0
    shifts.score.values[0] = 0.0
    shifts.score.values[0, 3:6, 3:6] = 0.9
    shifts.peak_gap.values[0], shifts.mismatch.values[0] = 0.4, 1.0
    shifts.dx.values[0, 3:6, 3:6], shifts.dy.values[0, 3:6, 3:6] = 6.5, -3.2
    shifts.dy.values[1, 3:5] = np.nan
    shifts.flags.values[1, 3:5] = FLAGS["border"]
    return shifts


def known_in_part():
    """Direction of motion, unknown in the east, where nothing is tested by it."""
    return aspect_of(spoilt()).where(lambda field: field.x < spoilt().x[7])


@functools.cache
def screened():
    return xoffset.screen(spoilt(), direction=known_in_part(), **ALL)


def test_every_stage_finds_something():
    found = xoffset.flags.flag_summary(screened())
    assert set(found.index) >= OF_ALL
    assert 0.1 < float(screened().dx.notnull().mean()) < 0.9
    bears = screened().flags != 0
    np.testing.assert_array_equal(screened().dx.isnull() | screened().dy.isnull(), screened().dx.isnull())
    assert bears.where(np.isfinite(spoilt().dx) & np.isfinite(spoilt().dy) & screened().dx.isnull(), True).all()


@pytest.mark.parametrize("chunks", [{"y": 5, "x": 6}, {"pair": 2, "y": 14, "x": 1}, {"pair": 6, "y": 3, "x": 17}])
def test_chunks_change_no_bit(chunks):
    lazy = spoilt().chunk(chunks)
    found = xoffset.screen(lazy, direction=known_in_part().chunk(x=31), **ALL)
    assert found.dx.chunks is not None
    xr.testing.assert_identical(found.compute(), screened())
    eager_map = xoffset.screen(lazy, direction=known_in_part(), **ALL)
    xr.testing.assert_identical(eager_map.compute(), screened())


def test_what_limits_took_is_no_neighbour_in_any_chunks():
    """The vector median does not see what an earlier limit took, and counts it neither way."""
    generator = np.random.default_rng(9)
    shifts = made(noise=1.0)
    shifts = shifts.assign(false_alarm=0.0 * shifts.score + 1e-9)
    is_wrong = generator.random(shifts.dx.shape) < 0.45
    shifts.dx.values[is_wrong] += 90.0
    options = {"false_alarm": 0.01, "max_displacement": 70.0}
    together = xoffset.screen(shifts, **options)
    kept = together.dx.notnull().values
    assert not (kept & is_wrong).any()
    assert kept[~is_wrong].mean() > 0.97
    assert xoffset.screen(shifts, false_alarm=0.01).dx.notnull().values[~is_wrong].mean() < kept[~is_wrong].mean()
    lazy = xoffset.screen(shifts.chunk(pair=4, y=3, x=5), **options)
    xr.testing.assert_identical(lazy.compute(), together)


def test_order_of_pairs_and_precision_do_not_matter():
    order = [3, 0, 5, 2, 4, 1]
    options = {"direction": known_in_part(), **ALL}
    other = xoffset.screen(spoilt().isel(pair=order), **options)
    xr.testing.assert_identical(other.flags, screened().flags.isel(pair=order))
    double = spoilt().astype("float64").assign(flags=spoilt().flags)
    assert (xoffset.screen(double, **options).flags == screened().flags).mean() > 0.999


def test_points_are_tested_as_nodes_are():
    """Beside what compares neighbours, each stage gives a point what it gives the node of a grid."""
    alone = {
        name: value
        for name, value in ALL.items()
        if name not in ("ndc", "median_test", "max_range", "min_clump", "max_closure")
    }
    places = {"y": xr.DataArray([0, 9, 5], dims="point"), "x": xr.DataArray([1, 16, 6], dims="point")}
    points = spoilt().isel(places)
    nodes = xoffset.screen(spoilt(), direction=known_in_part(), **alone).isel(places)
    at = known_in_part().sel(x=points.x, y=points.y, method="nearest").assign_coords(x=points.x, y=points.y)
    found = xoffset.screen(points, direction=at, **alone)
    np.testing.assert_array_equal(found.flags, nodes.flags)
    with pytest.raises(ValueError, match=r"scattered points\. Leave ndc out, or screen the grid"):
        xoffset.screen(points, neighbourhood=False, ndc=0.2)
    closed = xoffset.screen(points, neighbourhood=False, max_closure=3.0)
    assert closed.dx.dims == ("pair", "point")


def test_the_record_says_what_was_asked():
    processing = screened().attrs["processing"]
    for text in ('"pycorr": [0.05, 0.9, 0.1]', '"direction": "given"', '"max_angle": 45.0', '"min_clump": 7'):
        assert text in processing
    assert "pycorr" not in xoffset.screen(spoilt()).attrs["processing"]


def test_a_single_node_has_no_neighbours():
    one = made().isel(y=[0], x=[0])
    assert not (xoffset.screen(one, ndc=0.2, median_test=2.0, max_range=1.0, min_clump=9).flags != 0).any()
