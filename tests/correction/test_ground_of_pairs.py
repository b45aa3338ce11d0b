"""correct() where ground is scarce, scattered or split, and where sensors number their stripes otherwise."""

import logging
import math

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset._arrays import neighbours
from xoffset.correction import scene
from xoffset.model.flags import FLAGS

SPACING = 80.0  # of the nodes [m]


def shifts_of(values, ends=((0, 1),), sigma=1.0):
    """Shifts of the displacements (pair, 2, rows, columns) [m] of pairs of dates ten days apart."""
    values = np.asarray(values, dtype=np.float64)
    first, second = np.transpose(ends)
    dates = np.datetime64("2020-01-01T10", "us") + 10 * np.arange(1 + max(map(max, ends))) * np.timedelta64(1, "D")
    dims, errors = ("pair", "y", "x"), np.full(values[:, 0].shape, sigma)
    data = {"dx": (dims, values[:, 0]), "dy": (dims, values[:, 1]), "sigma_dx": (dims, errors)}
    coords = {
        "y": 5e6 - SPACING * np.arange(values.shape[2]),
        "x": 5e5 + SPACING * np.arange(values.shape[3]),
        "reference": ("pair", dates[first]),
        "secondary": ("pair", dates[second]),
    }
    return xr.Dataset(data | {"sigma_dy": (dims, errors.copy())}, coords)


def on_grid(values, like):
    return xr.DataArray(values, dims=("y", "x"), coords={"y": like.y, "x": like.x})


def everywhere(like):
    return on_grid(np.ones(like.dx.shape[1:], dtype=bool), like)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


# -------------------------------------------------------------------------------------------------------------- stripes


@pytest.mark.parametrize("first", [1, 17, 29])
def test_numbers_of_stripes_change_no_bit_lazily_or_not(first):
    generator = np.random.default_rng(1)
    detector = np.tile(np.arange(40) // 10, (40, 1))
    values = generator.standard_normal((2, 2, 40, 40)) + 1.3 * detector
    shifts = shifts_of(values, [(0, 1), (1, 2)])
    plain = xoffset.correct(shifts, stable=everywhere(shifts), stripes=on_grid(detector + 1, shifts), order=1)
    stripes = on_grid((detector + first).astype("uint8"), shifts)
    eager = xoffset.correct(shifts, stable=everywhere(shifts), stripes=stripes, order=1)
    lazy = xoffset.correct(shifts, stable=everywhere(shifts), stripes=stripes.chunk(y=15), order=1)
    xr.testing.assert_identical(lazy.compute(), eager)
    xr.testing.assert_identical(eager.drop_attrs(), plain.drop_attrs())


@pytest.mark.parametrize("wrong", [-9999, 33])
def test_stripes_out_of_range_are_refused_lazily_too(wrong):
    shifts = shifts_of(np.zeros((1, 2, 20, 20)))
    numbers = np.ones((20, 20), dtype="int16")
    numbers[:3] = wrong
    for stripes in (numbers, 0 * numbers):
        lazy = xoffset.correct(
            shifts, stable=everywhere(shifts), stripes=on_grid(stripes, shifts).chunk(y=7), min_nodes=50
        )
        with pytest.raises(ValueError, match=r"correct\(\) needs stripes numbered from 1 to 32 at most"):
            lazy.compute()


def test_a_pair_whose_few_places_lie_in_no_stripe_has_an_error_of_its_shift():
    generator = np.random.default_rng(2)
    shifts = shifts_of(generator.standard_normal((1, 2, 90, 90)))
    stripes = np.zeros((90, 90), dtype="uint8")
    stripes[4:7, 4:80], stripes[15:18, 4:80] = 1, 2
    corrected = xoffset.correct(
        shifts, stable=everywhere(shifts), stripes=on_grid(stripes, shifts), min_nodes=100, min_share=0.0
    )
    assert 0.02 < corrected.sigma_shift[0] < 0.2


# -------------------------------------------------------------------------------------------------------------- by date


def chain(dates, bad, shape=(40, 40), ramp=0.0, seed=3):
    """Shifts of a network of dates, and of one pair beside it whose few vectors in a corner are `bad` [m] off."""
    generator = np.random.default_rng(seed)
    ends = [(i, j) for i in range(dates) for j in range(i + 1, dates) if j - i <= 3]
    of_dates = ramp * generator.standard_normal((dates, 2, 1, 1)) * np.linspace(-1.0, 1.0, shape[1])
    values = np.stack([of_dates[j] - of_dates[i] + np.zeros(shape) for i, j in ends] + [np.zeros((2, *shape))])
    values += generator.standard_normal(values.shape)
    values[-1, 0] += bad
    values[-1, :, 8:], values[-1, :, :, 8:] = np.nan, np.nan
    return shifts_of(values, [*ends, (dates, dates + 1)])


def test_a_pair_beside_the_network_has_an_order_of_its_own(caplog):
    shifts = chain(6, 10.0, ramp=4.0)
    options = {"stable": everywhere(shifts), "order": 1, "min_nodes": 40, "min_share": 0.001, "by_date": True}
    with caplog.at_level(logging.WARNING):
        corrected = xoffset.correct(shifts, **options)
    assert corrected.order.values.tolist() == [1] * 12 + [0]
    assert "1 of 13 pairs cannot carry a ramp of order 1" in caplog.text
    left = corrected.dx[:-1].mean("y").values
    assert np.abs(left[:, -8:].mean(axis=1) - left[:, :8].mean(axis=1)).max() < 0.3
    # the shift alone comes off
    assert abs(float(corrected.dx[-1].mean())) < 1.0
    assert not (corrected.flags & FLAGS["not_corrected"]).any()


def test_a_pair_that_by_date_stays_as_it_is_has_an_error_of_its_shift():
    generator = np.random.default_rng(4)
    of_dates = np.array([0.0, 5.0, 10.8])
    ends = [(0, 1), (1, 2), (0, 2)]
    values = generator.standard_normal((3, 2, 40, 40))
    values[:, 0] += np.array([of_dates[j] - of_dates[i] for i, j in ends])[:, None, None]
    values[2, 0] -= 1.0  # below the limit by itself, above it by the dates
    shifts = shifts_of(values, ends)
    corrected = xoffset.correct(shifts, stable=everywhere(shifts), by_date=True, max_shift=10.0)
    is_left = (corrected.flags == FLAGS["not_corrected"]).all(("y", "x")).values
    assert is_left.tolist() == [False, False, True]
    assert (corrected.removed_dx[2] == 0.0).all()
    assert corrected.sigma_shift[2] == pytest.approx(9.8 / np.sqrt(2.0), abs=0.2)
    assert (corrected.sigma_shift[:2] < 0.3).all()


def test_by_date_pairs_without_a_stripe_have_the_zero_of_the_others():
    generator = np.random.default_rng(5)
    detector = np.tile(np.arange(60) // 15, (60, 1))
    ends = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    steps = 3.0 * generator.standard_normal((5, 2, 4))[:, :, detector]
    values = np.stack([steps[j] - steps[i] for i, j in ends])
    planted = values.copy()
    values += 0.5 * generator.standard_normal(values.shape)
    # clouds over one stripe of some pairs
    values[::2] = np.where(detector == 3, np.nan, values[::2])
    shifts = shifts_of(values, ends)
    stripes = on_grid((detector + 1).astype("uint8"), shifts)
    corrected = xoffset.correct(shifts, stable=everywhere(shifts), stripes=stripes, by_date=True, min_nodes=100)
    removed = np.stack([corrected.removed_dx, corrected.removed_dy], axis=1)
    assert np.abs(removed - planted).max() < 0.1
    assert not (corrected.flags & FLAGS["not_corrected"]).any()


@pytest.mark.parametrize("by_date", [False, True])
def test_max_shift_is_that_of_stable_ground_not_of_the_middle_of_the_terms(by_date):
    generator = np.random.default_rng(6)
    rows, columns = np.mgrid[:40, :40]
    # 40 m at the height of the stable ground, 0 at that of the middle of the scene: far above it
    height = 100.0 * (columns >= 30) + 900.0 * (columns < 2) + rows
    ends = [(0, 1), (1, 2), (0, 2)]
    values = generator.standard_normal((3, 2, 40, 40))
    values += np.array([j - i for i, j in ends])[:, None, None, None] * 0.02 * (height - 500.0)
    shifts = shifts_of(values, ends)
    corrected = xoffset.correct(
        shifts, stable=everywhere(shifts), dem=on_grid(height, shifts), by_date=by_date, max_shift=16.0
    )
    is_left = (corrected.flags == FLAGS["not_corrected"]).all(("y", "x")).values
    assert is_left.tolist() == [False, False, True]


# --------------------------------------------------------------------------------------------------------------- errors


def shared_noise(shape, window, generator):
    """Noise of unit variance whose neighbours share a window of so many nodes along both axes."""
    noise = generator.standard_normal((*shape[:-2], *(side + window - 1 for side in shape[-2:])))
    return np.lib.stride_tricks.sliding_window_view(noise, (window, window), axis=(-2, -1)).mean(axis=(-2, -1)) * window


def apart(count):
    """Pairs of which no two have a date in common."""
    return [(2 * k, 2 * k + 1) for k in range(count)]


def ratio_of_errors(shifts, stable, **options):
    """Root mean square of what is removed, where nothing is to be, over that of sigma_shift."""
    corrected = xoffset.correct(shifts, stable=on_grid(stable, shifts), **options)
    return rms([corrected.removed_dx, corrected.removed_dy]) / rms(corrected.sigma_shift)


def test_the_error_of_the_shift_holds_on_grids_of_which_a_part_is_fitted():
    generator = np.random.default_rng(7)
    values = shared_noise((5, 2, 300, 300), 2, generator)
    shifts = shifts_of(values, apart(5))
    assert 0.8 < ratio_of_errors(shifts, np.ones((300, 300), dtype=bool), order=1) < 1.2


@pytest.mark.parametrize(("window", "order"), [(3, 0), (3, 1), (6, 0)])
def test_the_error_of_the_shift_holds_on_scattered_ground(window, order):
    generator = np.random.default_rng(8)
    stable = generator.random((60, 60)) < 0.2
    shifts = shifts_of(shared_noise((60, 2, 60, 60), window, generator), apart(60))
    assert 0.75 < ratio_of_errors(shifts, stable, order=order, min_nodes=100) < 1.25


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_few_nodes_are_not_told_to_be_exact(number):
    generator = np.random.default_rng(9)
    stable = np.arange(64).reshape(8, 8) < number
    shifts = shifts_of(generator.standard_normal((60, 2, 8, 8)), apart(60))
    corrected = xoffset.correct(shifts, stable=on_grid(stable, shifts), min_nodes=1, min_share=0.0)
    error = np.stack([corrected.removed_dx, corrected.removed_dy])[:, :, 0, 0] / corrected.sigma_shift.values
    assert (np.abs(error) > 3.0).mean() < 0.03
    assert 0.6 < rms(error) < 1.2


@pytest.mark.parametrize("options", [{}, {"stable": None}, {"order": 1}])
def test_whole_pixels_are_not_told_to_be_exact(options):
    """Of vectors in steps of 2.5 m the median is one of the steps, wherever the ground lies between two of them."""
    generator = np.random.default_rng(14)
    true = generator.uniform(-1.25, 1.25, (60, 2, 1, 1))
    values = np.round((true + 0.6 * generator.standard_normal((60, 2, 40, 40))) / 2.5) * 2.5
    shifts = shifts_of(values, apart(60))
    corrected = xoffset.correct(shifts, **({"stable": everywhere(shifts)} | options))
    error = np.stack([corrected.removed_dx, corrected.removed_dy], axis=1) - true
    if options.get("order") != 1:
        assert 0.3 < rms(error) / rms(corrected.sigma_shift) < 1.2
    assert (corrected.sigma_shift > 0.01).all()


@pytest.mark.parametrize("value", [0.3, 3.0, -1000.0])
def test_a_component_that_is_the_same_everywhere_carries_any_order(value):
    shifts = shifts_of(np.random.default_rng(15).standard_normal((1, 2, 40, 40)))
    for order in (0, 1, 2):
        found = []
        for each in (0.0, value):
            shifts["dy"][:] = each
            found.append(xoffset.correct(shifts, stable=everywhere(shifts), order=order))
            assert (found[-1].order == order).all()
            np.testing.assert_allclose(found[-1].removed_dy, each, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found[1].sigma_shift, found[0].sigma_shift, rtol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_without_stable_ground_the_shift_is_that_of_one_side_not_half_of_both(seed):
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((1, 2, 60, 60))
    sides = np.array([[8.0, -8.0], [-3.0, 5.0]])
    values += np.where(np.arange(60) < 30, sides[0][:, None, None], sides[1][:, None, None])
    corrected = xoffset.correct(shifts_of(values))
    removed = np.array([corrected.removed_dx[0, 0, 0], corrected.removed_dy[0, 0, 0]])
    assert np.hypot(*(removed - sides).T).min() < 1.0


@pytest.mark.parametrize(("window", "pairs"), [(1, 1), (2, 1), (4, 1), (4, 4)])
def test_no_edges_are_found_in_noise_that_neighbours_share(window, pairs, caplog):
    generator = np.random.default_rng(12)
    for _ in range(8):
        shifts = shifts_of(shared_noise((pairs, 2, 60, 60), window, generator), apart(pairs))
        plain = xoffset.correct(shifts, stable=everywhere(shifts))
        found = xoffset.correct(shifts, stable=everywhere(shifts), stripes="auto")
        np.testing.assert_allclose(found.removed_dx, plain.removed_dx, atol=plain.sigma_shift.values.max())
        assert np.unique(found.removed_dx[0]).size == 1
    assert "edges of stripes" not in caplog.text


@pytest.mark.parametrize("window", [1, 3])
def test_steps_in_noise_that_neighbours_share_are_found_and_told(window, caplog):
    stripes = np.ones((60, 1), dtype=int) * np.repeat([0, 1, 2], [14, 24, 22])
    steps = np.array([[0.0, 1.5, -1.0], [1.0, 0.0, 1.5]])[:, stripes]
    shifts = shifts_of(steps + shared_noise((2, 2, 60, 60), window, np.random.default_rng(13)), apart(2))
    found = xoffset.correct(shifts, stable=everywhere(shifts), stripes="auto")
    missed = np.stack([found.removed_dx, found.removed_dy], axis=1) - steps
    assert rms(missed - missed.mean(axis=(2, 3), keepdims=True)) < 0.06 * window
    assert "found 2 edges of stripes" in caplog.text
    assert "A straight fault" in caplog.text


@pytest.mark.parametrize("by_date", [False, True])
def test_elevations_that_no_stable_ground_has_are_told(by_date):
    """Stable ground lies in the valley, and what moves above it, where what is to be removed is off by metres."""
    elevation = 500.0 + 10.0 * np.arange(60)[:, np.newaxis] * np.ones(60)
    values = 0.1 * np.random.default_rng(11).standard_normal((3, 2, 60, 60))
    values += 0.01 * np.array([1.0, 2.0, 3.0])[:, None, None, None] * (elevation - 500.0)
    shifts = shifts_of(values, [(0, 1), (1, 2), (0, 2)])
    stable = (elevation >= 600.0) & (elevation <= 800.0)
    options = {"stable": on_grid(stable, shifts), "dem": on_grid(elevation, shifts), "by_date": by_date}
    for data in (shifts, shifts.chunk({"y": 25})):
        corrected = xoffset.correct(data, **options)
        is_told = (corrected.flags & FLAGS["not_corrected"]).values == 0
        np.testing.assert_array_equal(is_told[0], (elevation >= 580.0) & (elevation <= 820.0))
        assert abs(corrected.dx.values[is_told]).max() < 0.6 + 0.03 * 20.0
    # on ground of one elevation nothing is told of any other
    corrected = xoffset.correct(shifts, **(options | {"stable": on_grid(elevation <= 500.0, shifts), "min_nodes": 50}))
    is_told = (corrected.flags & FLAGS["not_corrected"]).values == 0
    np.testing.assert_array_equal(is_told[0], elevation == 500.0)


# --------------------------------------------------------------------------------------------------------- large scenes


def ground(kind, shape):
    """Stable nodes that repeat along the grid, that are few of it, or all."""
    row, column = np.indices(shape)
    period = {"every second": 2, "every third": 3}.get(kind)
    if period:
        return (row % period == 1) & (column % period == 1)
    few = np.random.default_rng(3).random(shape) < 0.02
    return {"chessboard": (row + column) % 2 == 1, "few": few, "all": np.ones(shape, dtype=bool)}[kind]


@pytest.mark.parametrize("kind", ["every second", "every third", "chessboard", "few", "all"])
@pytest.mark.parametrize("most", [2_000_000, 4000])
def test_of_large_scenes_stable_ground_is_looked_at_wherever_it_lies(kind, most, monkeypatch):
    monkeypatch.setattr(scene, "SAMPLE", 1000)
    monkeypatch.setattr(scene, "MOST", most)
    shape = (180, 120)
    stable = ground(kind, shape)
    values = np.random.default_rng(4).standard_normal((12, 2, *shape))
    shifts = shifts_of(values, apart(12))
    corrected = xoffset.correct(shifts, stable=on_grid(stable, shifts), min_nodes=100, min_share=0.0)
    assert (corrected.is_corrected == 1).all()
    assert (corrected.n_stable == stable.sum()).all()
    ratio = rms([corrected.removed_dx, corrected.removed_dy]) / rms(corrected.sigma_shift)
    assert 0.75 < ratio < 1.25
    if most > stable.size:
        # no fewer than the stable ground has, and no more than may be looked at
        told = math.sqrt(0.5 * math.pi / min(stable.sum(), 1000))
        np.testing.assert_allclose(corrected.sigma_shift, told, rtol=0.15)


@pytest.mark.parametrize("most", [2_000_000, 3000])
@pytest.mark.parametrize("is_lazy_mask", [False, True])
def test_of_large_scenes_lazy_shifts_give_the_same_bits(most, is_lazy_mask, monkeypatch):
    monkeypatch.setattr(scene, "SAMPLE", 1000)
    monkeypatch.setattr(scene, "MOST", most)
    values = np.random.default_rng(5).standard_normal((3, 2, 90, 80))
    values[1, :, 20:40] = np.nan
    shifts = shifts_of(values, [(0, 1), (1, 2), (0, 2)])
    stable = on_grid(ground("every second", (90, 80)) | (np.indices((90, 80))[0] > 50), shifts)
    stripes = on_grid(np.arange(80) // 20 + np.ones((90, 1), dtype=int), shifts)
    for options in (
        {"order": 1, "stripes": stripes, "by_date": True},
        {"stripes": "auto"},
        {"jitter": xoffset.Jitter(heading=190.0)},
    ):
        eager = xoffset.correct(shifts, stable=stable, **options)
        lazy = {
            name: value.chunk(y=33, x=70) if isinstance(value, xr.DataArray) else value
            for name, value in options.items()
        }
        mask = stable.chunk(y=20) if is_lazy_mask else stable
        for chunks in ({"pair": 1}, {"pair": 2, "y": 31, "x": 50}):
            xr.testing.assert_identical(xoffset.correct(shifts.chunk(chunks), stable=mask, **lazy).compute(), eager)


@pytest.mark.parametrize("window", [1, 3, 6])
def test_neighbours_in_a_list_are_those_on_the_grid(window):
    generator = np.random.default_rng(6)
    used = generator.random((50, 70)) < np.where(np.arange(70) < 30, 1.0, 0.2)
    ratio = shared_noise((2, 50, 70), window, generator)[:, used]
    field = np.full((2, 1, 50, 70), np.nan)
    field[:, 0, used] = ratio
    along_y, along_x = neighbours.correlations(field)
    on_the_grid = 1.0 + sum(2.0 * each * share for each, share in (*along_y, *along_x))
    on_the_grid += sum(4.0 * y[0] * x[0] * min(y[1], x[1]) for y in along_y for x in along_x)
    assert neighbours.alike_of_some(ratio, used) == pytest.approx(on_the_grid, rel=1e-9)
    assert neighbours.alike_of_some(0.0 * ratio, used) == 1.0
    assert on_the_grid > 0.3 * window**2
