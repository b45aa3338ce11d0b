"""Corrections by date: what the pairs of a network tell of each of its dates."""

import logging

import numpy as np
import pytest
import reference_dates
import xarray as xr

import xoffset
from xoffset._arrays.corrections import dates
from xoffset.model.flags import FLAGS

SPACING = 80.0  # of the nodes [m]


def ends_of(count):
    """All pairs of so many dates."""
    return np.array([(first, second) for first in range(count) for second in range(first + 1, count)])


def shifts_of(fields, ends, noise=0.1, seed=0, date_share=0.0):
    """Shifts of pairs of ground that does not move, and what each pair is wrong by (pair, 2, rows, columns).

    fields (date, 2, rows, columns): what each date is displaced by [m]; noise: standard deviation of the vectors [m],
    of whose variance a share belongs to the dates.
    """
    generator = np.random.default_rng(seed)
    error = fields[ends[:, 1]] - fields[ends[:, 0]]
    of_dates = noise * np.sqrt(0.5 * date_share) * generator.standard_normal(fields.shape)
    own = noise * np.sqrt(1.0 - date_share) * generator.standard_normal(error.shape)
    seen = error + of_dates[ends[:, 1]] - of_dates[ends[:, 0]] + own
    days = np.datetime64("2020-01-01", "us") + 12 * np.arange(len(fields)) * np.timedelta64(1, "D")
    dims, sigma = ("pair", "y", "x"), np.full(seen[:, 0].shape, noise)
    data = {"dx": (dims, seen[:, 0]), "dy": (dims, seen[:, 1]), "sigma_dx": (dims, sigma), "sigma_dy": (dims, sigma)}
    rows, columns = fields.shape[2:]
    coords = {
        "reference": ("pair", days[ends[:, 0]]),
        "secondary": ("pair", days[ends[:, 1]]),
        "y": 5e6 - SPACING * np.arange(rows),
        "x": 5e5 + SPACING * np.arange(columns),
    }
    return xr.Dataset(data, coords), error


def ramps(count, shape, order=0, size=3.0, seed=1):
    """Displacement of each date (date, 2, rows, columns) [m]: a shift, and terms of a ramp up to an order."""
    generator = np.random.default_rng(seed)
    y, x = np.meshgrid(*(np.linspace(-1.0, 1.0, side) for side in shape), indexing="ij")
    terms = [np.ones(shape), x, y, x * x, x * y, y * y][: (1, 3, 6)[order]]
    return np.einsum("dct,tyx->dcyx", size * generator.standard_normal((count, 2, len(terms))), np.stack(terms))


def everywhere(shifts):
    return xr.ones_like(shifts.dx.isel(pair=0, drop=True), dtype=bool)


def removed(result):
    return np.stack([result.removed_dx.values, result.removed_dy.values], axis=1)


def rms(values):
    return float(np.sqrt(np.mean(values**2)))


# ---------------------------------------------------------------------------------------------------------- adjustment


def observed(count=7, sets=2, numbers=3, seed=0):
    generator = np.random.default_rng(seed)
    ends = ends_of(count)
    values = generator.standard_normal((len(ends), sets, numbers))
    variance = generator.uniform(0.5, 2.0, values.shape)
    values[3, 1, 2], variance[5, 0] = np.nan, np.nan
    return values, variance, ends


def test_differences_are_those_of_weighted_least_squares():
    values, variance, ends = observed()
    found = dates.adjust(values, variance, ends, 7)
    for k, number in np.ndindex(values.shape[1:]):
        trust = np.where(found.trust[:, k] >= dates.REJECTED, found.trust[:, k], 0.0)
        weight = np.nan_to_num(trust / variance[:, k, number]) * np.isfinite(values[:, k, number])
        expected = reference_dates.adjusted(np.nan_to_num(values[:, k, number]), weight, ends, 7)
        np.testing.assert_allclose(found.of_pairs[:, k, number], expected, atol=1e-9)
        np.testing.assert_allclose(found.of_dates[:, k, number].mean(), 0.0, atol=1e-9)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e5])
def test_what_fits_is_kept_and_what_fails_is_left_out(unit):
    ends = ends_of(8)
    truth = unit * np.random.default_rng(0).standard_normal((8, 1, 2))
    values = truth[ends[:, 1]] - truth[ends[:, 0]]
    bad = [2, 9, 20]
    values[bad] += 5.0 * unit
    found = dates.adjust(values, np.full(values.shape, unit**2), ends, 8)
    np.testing.assert_allclose(found.of_pairs, truth[ends[:, 1]] - truth[ends[:, 0]], atol=1e-8 * unit)
    assert (np.flatnonzero(found.trust[:, 0] < dates.REJECTED) == bad).all()
    assert (np.delete(found.trust[:, 0], bad) > 0.99).all()


def test_parts_of_a_network_are_adjusted_each_by_itself():
    ends = np.array([(0, 1), (1, 2), (0, 2), (3, 4), (5, 6), (0, 3)])
    values = np.ones((6, 1, 1))
    values[4] = values[5] = np.nan
    found = dates.adjust(values, np.ones_like(values), ends, 8)
    assert np.isnan(found.of_dates[5:, 0, 0]).all()
    np.testing.assert_allclose(found.of_dates[3:5, 0, 0], [-0.5, 0.5])
    assert (np.isnan(found.of_pairs[:, 0, 0]) == [False, False, False, False, True, True]).all()
    np.testing.assert_allclose(found.of_pairs[:3, 0, 0].sum(), 2.0 * found.of_pairs[2, 0, 0])


@pytest.mark.parametrize("date_share", [0.0, 0.9])
def test_variances_hold_whether_errors_are_those_of_pairs_or_of_dates(date_share):
    ends, ratios, of_dates = ends_of(9), [], []
    for seed in range(12):
        generator = np.random.default_rng(seed)
        noise = np.sqrt(0.5 * date_share) * generator.standard_normal((9, 1, 20))
        own = np.sqrt(1.0 - date_share) * generator.standard_normal((len(ends), 1, 20))
        values = noise[ends[:, 1]] - noise[ends[:, 0]] + own
        found = dates.adjust(values, np.ones(values.shape), ends, 9)
        ratios.append((found.of_pairs**2 / found.variance).mean())
        of_dates.append((found.of_dates**2).mean() / found.of_dates_variance.mean())
    assert 0.8 < np.mean(ratios) < 1.2
    assert 0.7 < np.mean(of_dates) < 1.3


@pytest.mark.parametrize(("date_share", "low", "high"), [(0.0, 0.8, 1.0), (0.5, 0.3, 0.7), (1.0, 0.0, 0.1)])
def test_residuals_tell_which_part_of_the_errors_is_that_of_pairs(date_share, low, high):
    ends = ends_of(9)
    generator = np.random.default_rng(0)
    noise = np.sqrt(0.5 * date_share) * generator.standard_normal((9, 1, 40))
    own = np.sqrt(1.0 - date_share) * generator.standard_normal((len(ends), 1, 40))
    values = noise[ends[:, 1]] - noise[ends[:, 0]] + own
    assert low < dates.adjust(values, np.ones(values.shape), ends, 9).share[0] <= high


@pytest.mark.parametrize("date_share", [0.0, 1.0])
@pytest.mark.parametrize("by_date", [False, True])
def test_both_parts_of_the_errors_of_pairs_are_told(by_date, date_share):
    ends = ends_of(12)
    shifts, _ = shifts_of(ramps(12, (10, 10)), ends, noise=1.0, date_share=date_share)
    found = xoffset.correct(shifts, stable=everywhere(shifts), by_date=by_date, min_nodes=20)
    total = np.hypot(found.sigma_shift_dates, found.sigma_shift_own)
    share = float(((found.sigma_shift_own / total) ** 2).mean())
    assert share > 0.6 if date_share == 0.0 else share < 0.45
    # medians of differences are no differences of medians: some is always of the pairs. A network lowers that
    ratio = float((found.sigma_shift / total).mean())
    assert ratio < 0.7 if by_date and date_share == 0.0 else 0.8 < ratio < 1.001
    of_field = xoffset.correct(shifts, by_date=by_date, min_nodes=20)
    assert of_field.sigma_shift_own.isnull().all()


# ---------------------------------------------------------------------------------------------------------------- truth


@pytest.mark.parametrize("date_share", [0.0, 0.5])
def test_shifts_by_date_are_better_than_medians_of_pairs(date_share):
    ends, fields = ends_of(20), ramps(20, (10, 10))
    stable = np.zeros((10, 10), dtype=bool)
    stable[:, :5] = True
    shifts, error = shifts_of(fields, ends, noise=1.0, date_share=date_share)
    bad = np.random.default_rng(0).random(len(ends)) < 0.1
    shifts["dx"][bad] += 8.0
    options = {"stable": everywhere(shifts).copy(data=stable), "min_nodes": 20}
    by_pair, by_date = (removed(xoffset.correct(shifts, by_date=each, **options)) - error for each in (False, True))
    # of the pairs that do not fail: each date is told by 19 pairs, and what is its own stays
    assert rms(by_date[~bad]) < (0.6 if date_share == 0.0 else 0.85) * rms(by_pair[~bad])
    # the others err no more than these
    assert rms(by_date[bad]) < 1.4 * rms(by_date[~bad])


@pytest.mark.parametrize("order", [0, 1, 2])
def test_ramps_of_dates_come_off_and_sums_around_triplets_stay(order):
    ends = ends_of(6)
    shifts, error = shifts_of(ramps(6, (30, 30), order), ends)
    result = xoffset.correct(shifts, stable=everywhere(shifts), order="auto", by_date=True)
    assert (result.order == order).all()
    assert rms(removed(result) - error) < 0.02
    assert 0.5 < rms(removed(result) - error) / float(result.sigma_shift.mean()) < 1.5
    place = {tuple(pair): k for k, pair in enumerate(ends)}
    for first, second, third in ((0, 1, 2), (1, 3, 5)):
        around = removed(result)[[place[first, second], place[second, third], place[first, third]]]
        np.testing.assert_allclose(around[0] + around[1], around[2], atol=1e-12)


def test_ramps_of_pairs_that_know_different_ground_are_adjusted():
    """Clouds leave each pair a strip of its own, on which shift and slope err together."""
    ends, better, ratio = ends_of(8), [], []
    for seed in range(3):
        shifts, error = shifts_of(ramps(8, (30, 30), 1, seed=seed), ends, noise=1.0, seed=seed)
        generator = np.random.default_rng([seed, 1])
        for pair, axis in enumerate(generator.integers(0, 2, len(ends))):
            hidden = np.roll(np.arange(30) < 15, generator.integers(30))
            shifts["dx"][pair].values[(slice(None), hidden) if axis else hidden] = np.nan
        found = [
            xoffset.correct(shifts, stable=everywhere(shifts), order=1, by_date=by_date, min_nodes=50)
            for by_date in (False, True)
        ]
        alone, together = (removed(each) - error for each in found)
        better.append(rms(together) / rms(alone))
        ratio.append(rms(together) / float(np.sqrt((found[1].sigma_shift ** 2).mean())))
        place = {tuple(pair): k for k, pair in enumerate(ends)}
        around = removed(found[1])[[place[0, 3], place[3, 5], place[0, 5]]]
        np.testing.assert_allclose(around[0] + around[1], around[2], atol=1e-9)
    # of 28 pairs of 8 dates a quarter of the variance is left where nothing else errs
    assert np.mean(better) < 0.6, better
    assert 0.5 < np.mean(ratio) < 1.2, ratio


@pytest.mark.parametrize("is_same", [True, False])
def test_steps_of_stripes_are_told_by_date(is_same):
    ends, shape = ends_of(5), (30, 40)
    steps = 2.0 * np.random.default_rng(3).standard_normal((5, 2, 4))
    stripe = np.broadcast_to(1 + np.arange(40) // 10, (5, *shape)).copy()
    if not is_same:
        # the other orbit sees the ground with other detectors
        stripe[3:] = 1 + (np.arange(40) + 5) // 10 % 4
    fields = np.stack([step[:, seen - 1] for step, seen in zip(steps, stripe, strict=True)])
    shifts, error = shifts_of(fields, ends)
    days = np.unique(np.concatenate([shifts.reference.values, shifts.secondary.values]))
    layer = xr.DataArray(stripe, coords={"time": days, "y": shifts.y, "x": shifts.x}, dims=("time", "y", "x"))
    result = xoffset.correct(shifts, stable=everywhere(shifts), stripes=layer, by_date=True)
    assert rms(removed(result) - error) < 0.03


def test_elevation_is_told_by_date_whatever_ground_a_pair_knows():
    ends, shape = ends_of(5), (30, 30)
    height = np.linspace(500.0, 2500.0, 30)[:, np.newaxis] * np.ones(shape)
    scaled = (height - 1500.0) / 1000.0
    factor = np.random.default_rng(4).standard_normal((5, 2, 2))
    fields = np.einsum("dct,tyx->dcyx", factor, np.stack([scaled, scaled**2]))
    shifts, error = shifts_of(fields, ends)
    shifts["dx"][3, :10] = np.nan
    dem = everywhere(shifts).copy(data=height)
    result = xoffset.correct(shifts, stable=everywhere(shifts), dem=dem, by_date=True)
    assert rms(removed(result) - error) < 0.02


def stripes_of(shifts, stripe):
    """Stripes (date, rows, columns) of the images."""
    days = np.unique(np.concatenate([shifts.reference.values, shifts.secondary.values]))
    return xr.DataArray(stripe, coords={"time": days, "y": shifts.y, "x": shifts.x}, dims=("time", "y", "x"))


@pytest.mark.parametrize("by_date", [False, True])
@pytest.mark.parametrize("is_same", [True, False])
def test_stripes_without_stable_ground_stay_unknown_and_are_flagged(is_same, by_date):
    ends, shape = ends_of(5), (30, 40)
    steps = 2.0 * np.random.default_rng(3).standard_normal((5, 2, 5))
    stripe = np.broadcast_to(1 + np.arange(40) // 10, (5, *shape)).copy()
    if not is_same:
        stripe[3:] = 1 + (np.arange(40) + 5) // 10
    shifts, error = shifts_of(np.stack([step[:, seen - 1] for step, seen in zip(steps, stripe, strict=True)]), ends)
    stable = everywhere(shifts).copy(data=np.broadcast_to(np.arange(40) < 25, shape))
    options = {"stable": stable, "stripes": stripes_of(shifts, stripe), "min_nodes": 100, "by_date": by_date}
    result = xoffset.correct(shifts, **options)
    is_flagged = ((result.flags & FLAGS["not_corrected"]) != 0).values
    # the fourth stripe of the one sensor, and the fourth and fifth of the other
    hidden = np.stack([np.maximum(stripe[i], stripe[j] - (not is_same and j > 2)) == 4 for i, j in ends])
    assert (is_flagged[hidden]).all()
    assert is_flagged.mean() < 0.5
    known = np.broadcast_to(~is_flagged[:, np.newaxis], error.shape)
    assert rms((removed(result) - error)[known]) < 0.03


def test_a_pair_that_tells_nothing_takes_the_steps_of_both_its_images():
    ends, shape = ends_of(5), (30, 40)
    steps = 2.0 * np.random.default_rng(3).standard_normal((5, 2, 4))
    stripe = np.broadcast_to(1 + np.arange(40) // 10, (5, *shape)).copy()
    stripe[3:] = 1 + (np.arange(40) + 5) // 10 % 4
    shifts, error = shifts_of(np.stack([step[:, seen - 1] for step, seen in zip(steps, stripe, strict=True)]), ends)
    stable = everywhere(shifts)
    stable[:, 38:] = False
    # clouds on all stable ground
    shifts["dx"][2, :, :38] = np.nan
    result = xoffset.correct(shifts, stable=stable, stripes=stripes_of(shifts, stripe), by_date=True)
    assert result.n_stable[2] == 0
    assert tuple(ends[2]) == (0, 3)
    assert rms(removed(result)[2] - error[2]) < 0.03


def test_steps_are_told_where_each_pair_lacks_another_stripe():
    ends, shape = ends_of(6), (30, 40)
    steps = 2.0 * np.random.default_rng(3).standard_normal((6, 2, 4))
    stripe = np.broadcast_to(1 + np.arange(40) // 10, (6, *shape))
    shifts, error = shifts_of(np.stack([step[:, seen - 1] for step, seen in zip(steps, stripe, strict=True)]), ends)
    for pair in range(len(ends)):
        shifts["dx"][pair].values[stripe[0] == 1 + pair % 4] = np.nan
    options = {"stable": everywhere(shifts), "stripes": stripes_of(shifts, stripe)}
    alone, together = (xoffset.correct(shifts, by_date=by_date, **options) for by_date in (False, True))
    assert ((alone.flags & FLAGS["not_corrected"]) != 0).any()
    assert not (together.flags & FLAGS["not_corrected"]).any()
    off = [removed(each) - error for each in (alone, together)]
    hidden = np.broadcast_to(((alone.flags & FLAGS["not_corrected"]) != 0).values[:, np.newaxis], error.shape)
    assert rms(off[1][~hidden]) <= rms(off[0][~hidden])
    assert rms(off[1]) < 0.01
    assert 0.5 < rms(off[1]) / float(together.sigma_shift.mean()) < 1.5


def high_and_low(seed=3):
    """Eight dates that err by a shift and with the elevation: shifts of pairs, errors, and elevations [m]."""
    generator, ends = np.random.default_rng(seed), np.array([(i, j) for i, j in ends_of(8) if j - i <= 3])
    height = 500.0 + 20.0 * np.arange(30) * np.ones((30, 1))
    of_date, factor = 4.0 * generator.standard_normal((8, 2, 1, 1)), 0.01 * generator.standard_normal((8, 2, 1, 1))
    shifts, error = shifts_of(of_date + factor * (height - 500.0), ends, noise=0.3)
    return shifts, error, everywhere(shifts).copy(data=height)


def test_pairs_that_see_low_ground_alone_do_not_spoil_those_that_see_all():
    shifts, error, dem = high_and_low()
    shifts["dx"][::2, :, 10:] = np.nan
    result = xoffset.correct(shifts, stable=everywhere(shifts), dem=dem, by_date=True, min_nodes=50)
    assert result.is_corrected.all()
    off = removed(result) - error
    assert rms(off) < 0.03
    assert 0.5 < rms(off) / float(result.sigma_shift.mean()) < 2.0


def test_a_date_that_only_low_ground_tells_is_known_there():
    shifts, error, dem = high_and_low()
    of_first = (shifts.reference == shifts.reference[0]).values
    shifts["dx"][of_first, :, 10:] = np.nan
    result = xoffset.correct(shifts, stable=everywhere(shifts), dem=dem, by_date=True, min_nodes=50)
    assert result.is_corrected.all()
    off = removed(result) - error
    assert rms(off[~of_first]) < 0.03
    assert rms(off[of_first][..., :10]) < 0.06
    # beyond it the polynomial stays where it ends, as that of a pair by itself does
    high = removed(result)[of_first][..., 10:]
    np.testing.assert_allclose(high, np.broadcast_to(high[..., :1], high.shape), atol=1e-9)


@pytest.mark.parametrize(("number", "order"), [(5, 1), (12, 2)])
def test_a_ramp_that_a_date_cannot_carry_is_lowered_for_all_unless_it_is_one_of_many(number, order):
    ends = ends_of(number)
    shifts, error = shifts_of(ramps(number, (30, 30), 1), ends)
    of_first = (ends == 0).any(axis=1)
    shifts["dx"][of_first, :, 10:] = np.nan
    result = xoffset.correct(shifts, stable=everywhere(shifts), order=2, by_date=True, min_nodes=100)
    corrected = ((result.flags & FLAGS["not_corrected"]) == 0).all(("y", "x")).values
    assert (corrected == (~of_first | (order == 1))).all()
    assert (result.order[corrected] == order).all()
    assert rms((removed(result) - error)[corrected]) < 0.03


# ----------------------------------------------------------------------------------------------------- what is not told


def test_a_pair_without_stable_ground_takes_what_the_others_tell():
    ends = ends_of(5)
    shifts, error = shifts_of(ramps(5, (30, 30)), ends)
    shifts["dx"][4, :, 5:] = np.nan
    options = {"stable": everywhere(shifts).copy(data=np.broadcast_to(np.arange(30) >= 5, (30, 30)))}
    alone = xoffset.correct(shifts, **options)
    assert alone.flags[4, 0, 0] == FLAGS["not_corrected"]
    result = xoffset.correct(shifts, by_date=True, **options)
    assert not (result.flags & FLAGS["not_corrected"]).any()
    assert result.n_stable[4] == 0
    assert rms(removed(result)[4] - error[4]) < 0.02
    others = np.delete(result.sigma_shift.values, 4)
    assert others.min() <= result.sigma_shift[4] <= 2.0 * others.max()


def test_each_part_of_a_network_is_corrected_and_it_is_said(caplog):
    ends = np.array([(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)])
    shifts, error = shifts_of(ramps(6, (30, 30)), ends)
    with caplog.at_level(logging.WARNING):
        result = xoffset.correct(shifts, stable=everywhere(shifts), by_date=True)
    assert "the network has 2 parts" in caplog.text
    assert rms(removed(result) - error) < 0.02
    assert not result.flags.any()


def test_a_date_that_no_pair_tells_of_leaves_its_pairs_as_they_are():
    ends = ends_of(4)
    shifts, _ = shifts_of(ramps(4, (30, 30)), ends)
    of_last = (ends == 3).any(axis=1)
    shifts["dx"][of_last, :, 3:] = np.nan
    result = xoffset.correct(shifts, stable=everywhere(shifts), by_date=True)
    assert ((result.flags & FLAGS["not_corrected"]) > 0).all(("y", "x")).values.tolist() == of_last.tolist()
    np.testing.assert_array_equal(result.dx[of_last], shifts.dx[of_last])
    assert not removed(result)[of_last].any()


def test_too_long_a_shift_is_not_taken_off_whoever_tells_it():
    ends, fields = ends_of(5), ramps(5, (30, 30), size=1.0)
    fields[2] += 40.0
    shifts, error = shifts_of(fields, ends)
    result = xoffset.correct(shifts, stable=everywhere(shifts), by_date=True, max_shift=20.0)
    of_third = (ends == 2).any(axis=1)
    assert ((result.flags & FLAGS["not_corrected"]) > 0).all(("y", "x")).values.tolist() == of_third.tolist()
    assert rms((removed(result) - error)[~of_third]) < 0.02


@pytest.mark.parametrize("chunks", [{"x": 7, "y": 30}, {"pair": 2, "x": 11, "y": 13}])
def test_lazy_shifts_give_the_same_bits(chunks):
    shifts, _ = shifts_of(ramps(5, (30, 30), 1), ends_of(5))
    options = {"stable": everywhere(shifts), "order": "auto", "by_date": True}
    lazy = xoffset.correct(shifts.chunk(chunks), **options)
    assert lazy.dx.chunks is not None
    xr.testing.assert_identical(lazy.compute(), xoffset.correct(shifts, **options))


def test_by_date_is_a_switch():
    shifts, _ = shifts_of(ramps(3, (8, 8)), ends_of(3))
    with pytest.raises(TypeError, match=r"correct\(\) needs by_date to be True or False"):
        xoffset.correct(shifts, by_date="yes")
