"""Means, coherence and quality of the pairs of a network."""

from __future__ import annotations

import numpy as np
import pytest
import reference_stacking
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._arrays.networks import shares, solver
from xoffset._kernels.networks import means
from xoffset._kernels.networks.coherence import of_pairs, window_sum
from xoffset.model import products
from xoffset.model.dates import in_years
from xoffset.model.flags import FLAGS

DATES = np.array(["2020-01-01", "2020-02-10", "2020-06-01", "2020-09-20", "2021-03-01", "2022-01-01"], "M8[us]")
FUNCTIONS = {
    "mean_displacement": xoffset.mean_displacement,
    "weighted": xoffset.mean_velocity,
    "mpic": lambda shifts: xoffset.mean_velocity(shifts, estimator="mpic"),
    "vector_coherence": lambda shifts: xoffset.vector_coherence(shifts, window=3),
    "quality": lambda shifts: xoffset.quality(shifts, threshold=0.5),
}
each_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


def all_pairs(dates):
    first, second = np.triu_indices(len(dates), 1)
    return np.stack([first, second], axis=1)


def make(dx, dy, ends, *, sigma=0.2, score=0.9, dates=DATES, dtype="float64"):
    """Shifts of a network with given displacements (pair, y, x)."""
    dx = np.asarray(dx, dtype)
    fields = {"dx": dx, "dy": np.asarray(dy, dtype)}
    for name, value in (("score", score), ("sigma_dx", sigma), ("sigma_dy", sigma)):
        fields[name] = np.broadcast_to(np.asarray(value, dtype), dx.shape).copy()
    network = products.network(dates[ends[:, 0]], dates[ends[:, 1]])
    _, rows, columns = dx.shape
    return products.shifts(
        fields,
        network,
        x=80.0 * np.arange(columns),
        y=-80.0 * np.arange(rows),
        like=xr.DataArray(0.0),
        step={"function": "test"},
    )


@pytest.fixture(scope="module")
def shifts():
    """Random shifts with gaps."""
    generator = np.random.default_rng(0)
    ends = all_pairs(DATES)
    shape = (len(ends), 9, 13)
    dx, dy = 1.0 + generator.standard_normal((2, *shape))
    dx[generator.random(shape) < 0.3] = np.nan
    return make(dx, dy, ends, sigma=generator.uniform(0.1, 1.0, shape), score=generator.random(shape), dtype="float32")


def steady(ends, vx=7.0, vy=-3.0, shape=(4, 5)):
    baseline = in_years(DATES[ends[:, 1]] - DATES[ends[:, 0]])[:, None, None] * np.ones(shape)
    return make(vx * baseline, vy * baseline, ends)


# ------------------------------------------------------------------------------------------------------------- kernels


def hard_pixels(pairs, seed=1):
    """Displacements and variances (4, pair, 1, columns), one difficulty a column."""
    generator = np.random.default_rng(seed)
    observed = generator.standard_normal((4, pairs, 1, 12))
    observed[2:] = observed[2:] ** 2 + 0.1
    observed[:, :, 0, 1] = np.nan
    observed[:, 1:, 0, 2] = np.nan
    observed[0, ::2, 0, 3] = np.nan
    observed[1, 0, 0, 4] = np.inf
    observed[2, 1, 0, 5] = np.nan
    observed[2:, 2, 0, 6] = 0.0
    observed[:2, :, 0, 7] = 0.0
    observed[:2, :, 0, 8] += 1e6
    observed[:2, 0, 0, 9] = 0.0
    return observed


@pytest.mark.small
@pytest.mark.parametrize("power", [None, -1.0, 1.0])
def test_means_equal_dense_matrices(power):
    ends = all_pairs(DATES)
    generator = np.random.default_rng(2)
    observed = hard_pixels(len(ends))
    baseline = generator.uniform(0.1, 2.0, len(ends))
    pull = np.ones(len(ends)) if power is None else baseline**power
    strength = np.ones(len(ends)) if power is None else baseline ** (power + 1.0)
    of_dates = generator.uniform(0.1, 1.0, (2, DATES.size, 1, 12))
    share = np.linspace(0.0, 1.5, 12)[None]
    out = np.empty((6, 1, 12))
    means.combine(ends, pull, strength, power == 1.0, observed, of_dates, share, out)
    for k in range(12):
        parts = observed[:, :, 0, k], of_dates[:, :, 0, k], share[0, k]
        expected = reference_stacking.combine(ends, pull, strength, power == 1.0, *parts)
        np.testing.assert_allclose(out[:, 0, k], expected, rtol=1e-9)
    assert np.isnan(out[:5, 0, 1]).all()


@pytest.mark.small
@pytest.mark.parametrize("gap", [1, 2, 5])
def test_directions_equal_dense_matrices(gap):
    ends = all_pairs(DATES)
    ends = ends[ends[:, 1] - ends[:, 0] <= gap]
    observed = hard_pixels(len(ends))
    out = np.empty((8, 1, 12))
    of_pairs(ends, DATES.size, observed[0], observed[1], out)
    for k in range(12):
        expected = reference_stacking.directions(ends, DATES.size, observed[0, :, 0, k], observed[1, :, 0, k])
        np.testing.assert_allclose(out[[0, 1, 2, 3, 5, 6, 7], 0, k], expected, rtol=1e-9)


@pytest.mark.small
@pytest.mark.parametrize("radius", [0, 1, 4, 30])
def test_sums_of_windows(radius):
    field = np.random.default_rng(3).standard_normal((7, 11))
    field[2, 3], field[5, 5] = np.nan, np.inf
    out = np.empty_like(field)
    window_sum(field, radius, out)
    known = np.where(np.isfinite(field), field, 0.0)
    for i, j in np.ndindex(field.shape):
        window = known[max(i - radius, 0) : i + radius + 1, max(j - radius, 0) : j + radius + 1]
        np.testing.assert_allclose(out[i, j], window.sum(), atol=1e-12)


# --------------------------------------------------------------------------------------------------------------- means


def test_a_mean_displacement_ignores_the_baselines():
    ends = all_pairs(DATES)
    generator = np.random.default_rng(4)
    dx, dy = generator.standard_normal((2, len(ends), 3, 4)) + 2.0
    found = xoffset.mean_displacement(make(dx, dy, ends))
    np.testing.assert_allclose(found.dx, dx.mean(axis=0))
    np.testing.assert_allclose(found.dy, dy.mean(axis=0))
    np.testing.assert_allclose(found.magnitude, np.hypot(dx.mean(axis=0), dy.mean(axis=0)))
    np.testing.assert_allclose(found.mean_magnitude, np.hypot(dx, dy).mean(axis=0))
    assert (found.mean_magnitude > found.magnitude).all()
    assert (found.n_pairs == len(ends)).all()
    assert (found.flags == 0).all()


@pytest.mark.parametrize("estimator", ["weighted", "mpic"])
def test_both_estimators_find_a_steady_motion(estimator):
    rate = xoffset.mean_velocity(steady(all_pairs(DATES)), estimator=estimator)
    np.testing.assert_allclose(rate.vx, 7.0)
    np.testing.assert_allclose(rate.vy, -3.0)
    np.testing.assert_allclose(rate.v, np.hypot(7.0, 3.0))
    np.testing.assert_allclose(rate.direction, np.degrees(np.arctan2(7.0, -3.0)))


def test_mpic_takes_the_mean_of_the_velocities_and_keeps_their_sign():
    ends = all_pairs(DATES)
    generator = np.random.default_rng(5)
    dx, dy = generator.standard_normal((2, len(ends), 2, 2))
    baseline = in_years(DATES[ends[:, 1]] - DATES[ends[:, 0]])[:, None, None]
    rate = xoffset.mean_velocity(make(dx, dy, ends), estimator="mpic")
    np.testing.assert_allclose(rate.vx, (dx / baseline).mean(axis=0))
    weighted = xoffset.mean_velocity(make(dx, dy, ends))
    np.testing.assert_allclose(weighted.vx, (dx * baseline).sum(axis=0) / (baseline**2).sum(axis=0))


def test_a_bad_pair_weighs_less():
    ends = all_pairs(DATES)
    shifts = steady(ends)
    shifts.dx[3] += 5.0
    error = float(xoffset.mean_velocity(shifts).vx.mean()) - 7.0
    for name in ("sigma_dx", "sigma_dy"):
        shifts[name][3] *= 10.0
    assert abs(float(xoffset.mean_velocity(shifts).vx.mean()) - 7.0) < 0.02 * abs(error)


def test_weighted_is_the_slope_that_velocity_fits():
    ends = all_pairs(DATES)
    generator = np.random.default_rng(6)
    dx, dy = generator.standard_normal((2, len(ends), 3, 4))
    shifts = make(dx, dy, ends, sigma=generator.uniform(0.1, 1.0, (len(ends), 3, 4)))
    np.testing.assert_allclose(xoffset.mean_velocity(shifts).vx, xoffset.velocity(shifts, loss="linear").vx, rtol=1e-9)


@pytest.mark.parametrize("name", ["mean_displacement", "weighted", "mpic"])
@pytest.mark.parametrize("noise", ["dates", "pairs"])
def test_standard_errors_tell_the_spread(name, noise):
    """Noise of dates is not averaged down by more pairs, noise of pairs is."""
    ends = all_pairs(DATES)
    generator = np.random.default_rng(7)
    shape = (40, 50)
    if noise == "dates":
        of_dates = generator.standard_normal((2, DATES.size, *shape))
        dx, dy = (each[ends[:, 1]] - each[ends[:, 0]] for each in of_dates)
    else:
        dx, dy = np.sqrt(2.0) * generator.standard_normal((2, len(ends), *shape))
    found = FUNCTIONS[name](make(dx, dy, ends, sigma=np.sqrt(2.0)))
    for component in ("dx", "dy") if name == "mean_displacement" else ("vx", "vy"):
        # how much is noise of pairs, 20 degrees of freedom tell: the rest is taken for noise of dates
        low, high = (0.95, 1.05) if noise == "dates" else (0.8, 1.0)
        assert low < float((found[component] / found[f"sigma_{component}"]).std()) < high


def test_more_pairs_of_the_same_images_promise_no_precision():
    few, many = (np.concatenate([all_pairs(DATES[:3])] * k) for k in (1, 5))
    one, five = (xoffset.mean_displacement(steady(ends)) for ends in (few, many))
    xr.testing.assert_allclose(five, one)
    assert float(five.n_pairs.max()) == 3


def test_a_split_stack_is_as_good_as_its_dates():
    """Of 3 x 3 pairs across an earthquake each date holds a third of either side."""
    ends = np.array([(i, j) for i in range(3) for j in range(3, 6)])
    found = xoffset.mean_displacement(make(*np.ones((2, 9, 2, 2)), ends, sigma=np.sqrt(2.0)))
    # closes exactly: all noise belongs to the six dates, of variance 1
    # and a little for what the pairs may have of their own
    np.testing.assert_allclose(found.sigma_dx, np.sqrt(6.0 / 9.0), rtol=0.01)


# ---------------------------------------------------------------------------------------------- networks of any clothes


def assert_close(found, expected):
    for name in expected.data_vars:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, atol=1e-6, err_msg=name)


@each_function
def test_the_order_of_the_pairs_changes_nothing(function, shifts):
    order = np.random.default_rng(0).permutation(shifts.sizes["pair"])
    xr.testing.assert_identical(function(shifts.isel(pair=order)), function(shifts))


@each_function
def test_a_reversed_pair_is_the_same_pair(function, shifts):
    turned = shifts.assign(dx=-shifts.dx, dy=-shifts.dy).assign_coords(
        reference=shifts.secondary, secondary=shifts.reference
    )
    mixed = xr.concat([shifts.isel(pair=slice(0, 7)), turned.isel(pair=slice(7, None))], "pair")
    for other in (turned, mixed):
        assert_close(function(other), function(shifts))


@each_function
def test_both_directions_count_once(function, shifts):
    turned = shifts.assign(dx=-shifts.dx, dy=-shifts.dy).assign_coords(
        reference=shifts.secondary, secondary=shifts.reference
    )
    assert_close(function(xr.concat([shifts, turned], "pair")), function(shifts))


@each_function
def test_the_origin_of_time_changes_nothing(function, shifts):
    later = {name: shifts[name] + np.timedelta64(3652, "D") for name in ("reference", "secondary")}
    assert_close(function(shifts.assign_coords(later)), function(shifts))


@each_function
@pytest.mark.parametrize("cut", [{"pair": 4, "y": 2, "x": 3}, {"y": 1, "x": 13}, {"y": 9, "x": 4}])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_chunks_give_the_same_bits(function, shifts, cut, dtype):
    typed = shifts.astype(dtype)
    lazy = function(typed.chunk(cut))
    assert all(variable.chunks is not None for variable in lazy.data_vars.values())
    expected = function(typed)
    xr.testing.assert_identical(lazy.compute(), expected)
    floats = [name for name in expected if expected[name].dtype.kind == "f"]
    assert {lazy[name].dtype for name in floats} == {expected[name].dtype for name in floats} == {np.dtype(dtype)}
    assert {expected[name].dtype.name for name in set(expected) - set(floats)} == {"int32", "int64"}


@each_function
def test_a_node_without_pairs_is_unknown(function):
    shifts = make(*np.ones((2, 3, 4, 5)), all_pairs(DATES[:3]))
    shifts.dx[:, 1, 2] = shifts.score[:, 1, 2] = np.nan
    found = function(shifts)
    counts = {"n_pairs", "n_valid"} & set(found.data_vars)
    assert {int(found[name][1, 2]) for name in counts} == {0}
    assert all(np.isnan(found[name][1, 2]) for name in found.data_vars if name not in counts | {"flags"})
    assert int(found.flags[1, 2]) == FLAGS["no_pairs"]
    assert (found.flags.where(found.flags[1, 2] != found.flags, 0) == 0).all()


@each_function
def test_one_pair_is_a_network(function):
    found = function(make(*np.ones((2, 1, 4, 5)), np.array([[0, 3]])))
    assert (found.flags == 0).all()


@pytest.mark.parametrize("wrong", [np.nan, 0.0, -1.0, np.inf])
def test_unknown_errors_stay_unknown(wrong):
    ends = all_pairs(DATES)
    shifts = steady(ends)
    shifts.sigma_dx[2, 0, 0] = wrong
    for found in (xoffset.mean_displacement(shifts), xoffset.mean_velocity(shifts, estimator="mpic")):
        x = "dx" if "dx" in found else "vx"
        assert np.isfinite(found[x]).all()
        assert np.isnan(found[f"sigma_{x}"][0, 0])
        assert np.isfinite(found[f"sigma_{x}"]).sum() == found[x].size - 1
        assert (found.n_pairs == len(ends)).all()
    weighted = xoffset.mean_velocity(shifts)
    assert int(weighted.n_pairs[0, 0]) == len(ends) - 1
    np.testing.assert_allclose(weighted.vx, 7.0)
    assert np.isfinite(weighted.sigma_vx).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_counts_as_nan(shifts, value):
    other = shifts.copy(deep=True)
    other["dx"] = other.dx.where(np.isfinite(other.dx), value)
    for name, function in FUNCTIONS.items():
        if name != "quality":
            xr.testing.assert_identical(function(other), function(shifts))


# ----------------------------------------------------------------------------------------------------------- coherence


def test_coherence_of_a_steady_motion_is_one():
    found = xoffset.vector_coherence(steady(all_pairs(DATES)))
    for name in ("vector_coherence", "normalised_vector_coherence", "debiased_vector_coherence"):
        np.testing.assert_allclose(found[name], 1.0)


def test_the_window_form_is_the_sum_over_window_and_pairs(shifts):
    found = xoffset.vector_coherence(shifts.astype("float64"), window=5, min_displacement=0.0, min_valid=0.0)
    vectors = (shifts.dx.values + 1j * shifts.dy.values).astype(complex)
    for i, j in np.ndindex(9, 13):
        window = vectors[:, max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3]
        expected = abs(np.nansum(window)) / np.nansum(abs(window))
        np.testing.assert_allclose(found.vector_coherence[i, j], expected, rtol=1e-6)


def test_coherence_is_nan_not_zero_where_nothing_moves_or_too_little_is_known():
    ends = all_pairs(DATES)
    shifts = steady(ends)
    shifts.dx[:, 0, 0] = 0.1
    shifts.dy[:, 0, 0] = 0.1
    shifts.dx[: round(0.7 * len(ends)), 2, 3] = np.nan
    found = xoffset.vector_coherence(shifts, window=3)
    assert np.isnan(found.vector_coherence[0, 0])
    assert np.isnan(found.vector_coherence[2, 3])
    assert int(np.isnan(found.vector_coherence).sum()) == 2
    assert int(found.flags[0, 0]) == FLAGS["insignificant"]
    assert int(found.flags[2, 3]) == FLAGS["few_valid"]
    assert np.isfinite(found.normalised_vector_coherence).all()
    relaxed = xoffset.vector_coherence(shifts, window=3, min_displacement=0.1, min_valid=0.2)
    assert (relaxed.flags == 0).all()


@pytest.mark.parametrize("kind", ["pairs", "all", "gap", "split"])
def test_the_floor_is_the_coherence_of_noise(kind):
    """Pairs that share no image have 1/√N; where many share one their noise turns alike."""
    generator = np.random.default_rng(8)
    dates = DATES[0] + np.timedelta64(30, "D") * np.arange(20)
    ends = {
        "pairs": np.arange(20).reshape(-1, 2),
        "all": all_pairs(dates[:8]),
        "gap": np.array([pair for pair in all_pairs(dates) if pair[1] - pair[0] <= 6]),
        "split": np.array([(i, j) for i in range(4) for j in range(4, 8)]),
    }[kind]
    of_dates = generator.standard_normal((2, dates.size, 60, 60))
    dx, dy = (each[ends[:, 1]] - each[ends[:, 0]] for each in of_dates)
    found = xoffset.vector_coherence(make(dx, dy, ends, dates=dates), window=1, min_displacement=0.0)
    coherence = float(np.sqrt((found.normalised_vector_coherence**2).mean()))
    naive = 1.0 / np.sqrt(len(ends))
    np.testing.assert_allclose(found.noise_floor, found.noise_floor[0, 0])
    floor = float(found.noise_floor[0, 0])
    if kind == "pairs":
        assert floor == pytest.approx(naive)
    if kind in ("all", "split"):
        assert coherence > 1.4 * naive
    assert floor >= naive * (1.0 - 1e-9)
    assert coherence == pytest.approx(floor, rel=0.03) if kind != "gap" else coherence < 1.05 * floor
    assert float(found.debiased_vector_coherence.median()) < 0.5 * coherence


def test_a_single_pair_has_no_debiased_coherence():
    found = xoffset.vector_coherence(make(*np.ones((2, 1, 3, 3)), np.array([[0, 1]])))
    np.testing.assert_allclose(found.normalised_vector_coherence, 1.0)
    np.testing.assert_allclose(found.noise_floor, 1.0)
    assert np.isnan(found.debiased_vector_coherence).all()


def test_ground_that_does_not_move_at_all_has_no_direction():
    found = xoffset.vector_coherence(make(*np.zeros((2, 3, 3, 3)), all_pairs(DATES[:3])), min_displacement=0.0)
    for name in ("vector_coherence", "normalised_vector_coherence", "noise_floor"):
        assert np.isnan(found[name]).all()


# ------------------------------------------------------------------------------------------------------------- quality


def test_quality_counts_all_pairs():
    score = np.array([0.9, 0.5, 0.5, 0.1, np.nan, np.nan])[:, None, None] * np.ones((1, 2, 3))
    shifts = make(*np.ones((2, 6, 2, 3)), all_pairs(DATES[:4]), score=score)
    found = xoffset.quality(shifts, threshold=0.5)
    np.testing.assert_allclose(found.quality, 100.0 / 6.0)
    np.testing.assert_allclose(found.quality_of_valid, 25.0)
    assert (found.n_valid == 4).all()
    np.testing.assert_allclose(xoffset.quality(shifts).quality, 50.0)
    assert found.quality.attrs["units"] == "percent"


def test_quality_counts_the_better_of_two_matches():
    ends = np.array([[0, 1], [1, 0], [1, 2]])
    score = np.array([0.1, 0.8, 0.1])[:, None, None] * np.ones((1, 2, 2))
    found = xoffset.quality(make(*np.ones((2, 3, 2, 2)), ends, score=score))
    np.testing.assert_allclose(found.quality, 50.0)
    assert (found.n_valid == 2).all()


# ---------------------------------------------------------------------------------------------------- matches of images


@pytest.fixture(scope="module")
def still():
    """Noisy images of ground that does not move, all pairs."""
    stack, _ = synthetic.stack((260, 260), dates=[str(d) for d in DATES], field="constant", velocity=0.0, snr=4.0)
    return xoffset.correlate(stack, xoffset.pairs(stack), search=3, step=16)


@pytest.mark.parametrize("name", ["mean_displacement", "weighted", "mpic"])
def test_errors_of_matches_are_told(still, name):
    found = FUNCTIONS[name](still)
    ratio = [found[c] / found[f"sigma_{c}"] for c in ("dx", "dy", "vx", "vy") if c in found]
    assert 0.8 < float(np.sqrt(np.mean([(each**2).mean() for each in ratio]))) < 1.25


def test_floor_of_matches_is_told(still):
    found = xoffset.vector_coherence(still, window=1, min_displacement=0.0)
    coherence = float(np.sqrt((found.normalised_vector_coherence**2).mean()))
    assert coherence == pytest.approx(float(found.noise_floor.median()), rel=0.15)
    assert coherence > 1.25 / np.sqrt(still.sizes["pair"])


@pytest.mark.data
def test_a_rock_glacier_is_coherent_and_the_slope_beside_it_is_not(data_folder):
    stack = xoffset.open_stack(data_folder / "kaiserberg_rock_glacier" / "ortho_*.tif", date="ortho_%Y")
    stack = stack.sel(time=slice("2010", None))
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=24, step=32)
    stable = slice(2 * shifts.sizes["x"] // 3, None)
    for name in ("dx", "dy"):
        shifts[name] = shifts[name] - shifts[name].isel(x=stable).median(("y", "x"))
    rate = xoffset.mean_velocity(xoffset.screen(shifts, min_score=0.5))
    found = xoffset.vector_coherence(xoffset.screen(shifts, min_score=0.5), window=5)
    moves = rate.v > 0.3
    assert int(moves.sum()) > 20
    assert float(found.debiased_vector_coherence.where(moves).median()) > 0.98
    assert float(found.vector_coherence.where(moves).median()) > 0.9
    assert float(found.debiased_vector_coherence.isel(x=stable).median()) < 0.6


@pytest.mark.small
def test_twin_and_product_share_the_error_model():
    """The labelled function hands the kernels what they need: one pixel by hand."""
    ends = all_pairs(DATES)
    generator = np.random.default_rng(9)
    dx, dy = generator.standard_normal((2, len(ends), 1, 2))
    sigma = generator.uniform(0.5, 1.0, (len(ends), 1, 2))
    found = xoffset.mean_displacement(make(dx, dy, ends, sigma=sigma))
    merged = np.stack([dx, dy, sigma**2, sigma**2])
    of_dates, share = solver.noise(ends, in_years(DATES - DATES[0]), merged, np.ones(len(ends)), shares.usual())
    observed = merged[:, :, 0, 0]
    ones = np.ones(len(ends))
    expected = reference_stacking.combine(ends, ones, ones, False, observed, of_dates[..., 0, 0], share[0, 0])
    names = ("dx", "dy", "sigma_dx", "sigma_dy", "mean_magnitude", "n_pairs")
    np.testing.assert_allclose([found[name][0, 0] for name in names], expected, rtol=1e-9)
