"""Robust linear models of one pixel: the kernel against its twin, what it tells apart, and what it leaves unknown."""

import numpy as np
import pytest
import reference_trend as reference
import scipy.integrate

from xoffset._arrays.networks import terms as motion_terms
from xoffset._arrays.networks import trend
from xoffset._arrays.networks.terms import acceleration, exponential, logarithmic, velocity
from xoffset._kernels._jit import kernel
from xoffset._kernels.networks import order
from xoffset._kernels.networks.trend import MEDIAN_LENGTH, THRESHOLDS
from xoffset.motion import regression

LOSSES = ["linear", "huber", "tukey", "l1"]
NETWORK = np.array([(i, j) for i in range(9) for j in range(i + 1, min(i + 4, 9))])
TIME = np.array([0.0, 0.3, 1.1, 1.2, 2.5, 2.9, 3.3, 4.0, 4.2])
ALONE = np.full((9, 2), -1)


def run(design, ends, loss, value, variance, of_dates=None, share=None, *, spread=None, has_step=False, entries=None,
        draws=None):  # fmt: skip
    """Layers of `trend.fit` for arrays (2, observation, pixel)."""
    pixels = value.shape[2]
    terms = design.shape[1]
    entries = np.array([(i, i) for i in range(terms)]) if entries is None else entries
    of_dates = np.zeros((2, 0, pixels)) if of_dates is None else of_dates
    share = np.ones(pixels) if share is None else share
    weight = np.empty((*value.shape[1:2], 1, pixels))
    problem = trend.Problem(
        design, ends, np.zeros(len(design)) if spread is None else spread, entries, regression.LOSSES[loss], has_step,
        draws,
    )  # fmt: skip
    measured = value[:, :, None], variance[:, :, None]
    out = trend.fit(problem, trend.layers(problem), measured, (of_dates[:, :, None], share[None]), weight)
    return out[:, 0], weight[:, 0]


def measured(count, pixels=8, missing=0.2, outliers=0.1, seed=0):
    rng = np.random.default_rng(seed)
    value = rng.normal(size=(2, count, pixels))
    value[:, rng.random((count, pixels)) < outliers] += 20.0
    value[0, rng.random((count, pixels)) < missing] = np.nan
    variance = rng.uniform(0.5, 2.0, value.shape)
    variance[:, rng.random((count, pixels)) < 0.1] = np.nan
    variance[0, 0, 0], variance[1, 1, 0], variance[0, 2, 0] = 0.0, np.inf, -1.0
    return value, variance


def assert_like_the_twin(design, ends, loss, value, variance, of_dates, share):
    terms = design.shape[1]
    entries = np.array([(i, j) for i in range(terms) for j in range(i + 1)])
    out, weight = run(design, ends, loss, value, variance, of_dates, share, entries=entries)
    for p in range(value.shape[2]):
        found, covariance, weights = reference.fit(
            design, ends, loss, value[:, :, p].T, variance[:, :, p].T, of_dates[:, :, p].T, share[p]
        )
        error = np.sqrt(np.abs(covariance.diagonal(axis1=1, axis2=2))).T
        # the kernel stops when it moves by a thousandth of the error of well-behaved data
        close = 1e-8 if loss == "linear" else 0.02
        np.testing.assert_allclose(out[:terms, p], found[:, 0], rtol=1e-8, atol=close * error.max())
        np.testing.assert_allclose(out[terms : 2 * terms, p], found[:, 1], rtol=1e-8, atol=close * error.max())
        expected = np.concatenate([covariance[axis][tuple(entries.T)] for axis in range(2)])
        np.testing.assert_allclose(
            out[2 * terms : 2 * terms + expected.size, p], expected,
            rtol=1e-7 if loss == "linear" else 0.05, atol=(1e-9 if loss == "linear" else 0.02) * expected.max(),
        )  # fmt: skip
        is_used = weight[:, p] > 0
        if loss != "tukey":
            assert is_used.sum() == weights.size


@pytest.mark.small
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("terms", [1, 3])
def test_pairs(loss, terms):
    values = np.stack([TIME, np.sin(2.0 * TIME), (TIME > 2.0).astype(float)], 1)[:, :terms]
    design = values[NETWORK[:, 1]] - values[NETWORK[:, 0]]
    value, variance = measured(len(NETWORK))
    rng = np.random.default_rng(1)
    of_dates = rng.uniform(0.1, 0.6, (2, 9, 8))
    of_dates[:, 4, 2] = np.nan
    assert_like_the_twin(design, NETWORK, loss, value, variance, of_dates, rng.uniform(0.0, 1.2, 8))


@pytest.mark.small
@pytest.mark.parametrize("loss", LOSSES)
def test_series(loss):
    time = np.linspace(0.0, 3.0, 30)
    design = np.stack([np.ones(30), time, time**2], 1)
    value, variance = measured(30)
    assert_like_the_twin(design, np.full((30, 2), -1), loss, value, variance, np.zeros((2, 0, 8)), np.ones(8))


@pytest.mark.small
@pytest.mark.parametrize("loss", LOSSES)
def test_without_any_variance_the_scatter_tells(loss):
    value, variance = measured(len(NETWORK))
    design = (TIME[NETWORK[:, 1]] - TIME[NETWORK[:, 0]])[:, None]
    variance[:] = np.nan
    assert_like_the_twin(design, NETWORK, loss, value, variance, np.full((2, 9, 8), np.nan), np.zeros(8))


@pytest.mark.small
def test_one_observation_without_variance_has_no_error():
    out, _ = run(np.ones((1, 1)), np.array([[0, 1]]), "huber", np.full((2, 1, 1), 3.0), np.full((2, 1, 1), np.nan),
                 np.full((2, 2, 1), np.nan))  # fmt: skip
    np.testing.assert_array_equal(out[:4, 0], [3.0, 3.0, np.nan, np.nan])


@pytest.mark.small
def test_nothing_is_nan():
    out, weight = run(np.ones((2, 1)), np.array([[0, 1], [1, 0]]), "huber", np.full((2, 2, 1), np.nan),
                      np.ones((2, 2, 1)), np.ones((2, 2, 1)))  # fmt: skip
    assert np.isnan(out[:5]).all()
    assert out[5, 0] == 0.0
    assert (weight == 0.0).all()


@pytest.mark.small
@pytest.mark.parametrize("loss", LOSSES)
def test_what_the_data_do_not_tell_is_unknown_and_the_rest_right(loss):
    time = np.linspace(0.0, 2.0, 12)
    # a term that is nowhere, one twice, and the intercept as a sum of two
    early = (time < 1.0).astype(float)
    design = np.stack([np.ones(12), time, 0.0 * time, early, time**3, time**3, 1.0 - early], 1)
    truth = np.array([0.0, 5.0, 0.0, 2.0, 0.0, 0.0, 1.0])
    value = np.repeat((design @ truth)[None, :, None], 2, 0)
    out, _ = run(design, np.full((12, 2), -1), loss, value, np.ones((2, 12, 1)))
    np.testing.assert_array_equal(np.isnan(out[:7, 0]), [True, False, True, True, True, True, True])
    np.testing.assert_allclose(out[1, 0], 5.0, rtol=1e-9)
    np.testing.assert_array_equal(np.isnan(out[14:21, 0]), np.isnan(out[:7, 0]))


@pytest.mark.small
@pytest.mark.parametrize("loss", ["huber", "tukey", "l1"])
def test_planted_outliers_are_rejected_in_both_components(loss):
    rng = np.random.default_rng(3)
    design = (TIME[NETWORK[:, 1]] - TIME[NETWORK[:, 0]])[:, None]
    value = np.stack([4.0 * design, -2.0 * design]) + 0.1 * rng.normal(size=(2, len(NETWORK), 1))
    clean = run(design, NETWORK, loss, value, np.full(value.shape, 0.01), np.full((2, 9, 1), 0.005))[0]
    value[0, ::5] += 1e4  # wrong along x only
    out, weight = run(design, NETWORK, loss, value, np.full(value.shape, 0.01), np.full((2, 9, 1), 0.005))
    assert (weight[::5] < 1e-3).all()
    error = np.sqrt(clean[2:4, 0])
    np.testing.assert_array_less(abs(out[:2, 0] - [4.0, -2.0]), 3.0 * error)
    np.testing.assert_array_less(np.sqrt(out[2:4, 0]), 3.0 * error)


@pytest.mark.small
@pytest.mark.parametrize("loss", ["huber", "tukey", "l1"])
def test_constants_of_the_losses(loss):
    """Integrals over the length of a vector of two Gaussian components."""
    code = regression.LOSSES[loss]
    limit = THRESHOLDS[code]

    def mean(function):
        parts = [scipy.integrate.quad(lambda r: function(r) * r * np.exp(-r * r / 2), a, b)[0]
                 for a, b in ((0.0, limit), (limit, limit + 40.0))]  # fmt: skip
        return sum(parts)

    def weight(length):
        return float(reference.loss_weight(np.array(length), 1.0, loss))

    def slope(length, step=1e-6):
        return (weight(length + step) * (length + step) - weight(length - step) * (length - step)) / (2 * step)

    squares = mean(lambda r: (weight(r) * r) ** 2) / 2
    descent = (mean(slope) + mean(weight)) / 2
    if loss == "tukey":
        np.testing.assert_allclose(descent**2 / squares, 0.95, atol=1e-4)
    np.testing.assert_allclose(trend.CONSISTENCY[code], mean(lambda r: weight(r) ** 2) / squares, rtol=2e-3)
    expected = squares / descent**2 / (mean(lambda r: weight(r) ** 2) / mean(weight) ** 2)
    np.testing.assert_allclose(trend.EFFICIENCY[code], expected, rtol=2e-3)
    np.testing.assert_allclose(MEDIAN_LENGTH, np.sqrt(2.0 * np.log(2.0)))


@kernel
def median(values):
    return order._median(values)


@pytest.mark.small
@pytest.mark.parametrize("count", [1, 2, 3, 8, 9, 50])
def test_median(count):
    values = np.random.default_rng(count).integers(0, 9, count).astype(float)
    assert median(values.copy()) == np.median(values)


@pytest.mark.small
@pytest.mark.parametrize("wandering", [0.0, 3.0])
def test_wandering_is_found_from_the_residuals(wandering):
    rng = np.random.default_rng(0)
    length = rng.uniform(0.05, 0.6, 400)
    noise = 0.1 * rng.normal(size=(2, 400, 20)) + np.sqrt(wandering) * length[:, None] * rng.normal(size=(2, 400, 20))
    value = 7.0 * length[:, None] + noise
    out, _ = run(length[:, None], np.full((400, 2), -1), "l1", value, np.full(value.shape, 0.01), spread=length**2)
    # variance of the mean velocity if each pair weighs as it should
    best = 1.273 / (length**2 / (0.01 + wandering * length**2)).sum()
    np.testing.assert_allclose(np.median(out[2]), best, rtol=0.25)
    assert abs(out[:2].mean() - 7.0) < 4.0 * np.sqrt(best / 40)


@pytest.mark.small
def test_step_is_the_one_that_lowers_the_criterion_most():
    rng = np.random.default_rng(5)
    time = np.linspace(0.0, 2.0, 24)
    design = np.stack([np.ones(24), time, 0.0 * time], 1)
    value = rng.normal(size=(2, 24, 30)) + 3.0 * time[:, None]
    size = rng.uniform(0.0, 4.0, 30)
    when = rng.integers(3, 21, 30)
    value += np.where(np.arange(24)[:, None] >= when, size, 0.0)
    variance = np.broadcast_to(rng.uniform(0.5, 1.5, (24, 1)), value.shape).copy()
    out, _ = run(design, np.full((24, 2), -1), "linear", value, variance, has_step=True)
    kept = 0
    for p in range(30):
        best, gain = reference.best_step(time, value[:, :, p].T, variance[:, :, p].T)
        assert abs(gain - 10.0) > 1e-3
        np.testing.assert_array_equal(out[-2:, p], [best, best - 1] if gain > 10.0 else [np.nan, np.nan])
        assert np.isnan(out[2, p]) == (gain <= 10.0)
        kept += gain > 10.0
    assert 5 < kept < 25


def test_bootstrap_of_dates_agrees_with_the_covariance():
    rng = np.random.default_rng(2)
    dates = 40
    time = np.sort(rng.uniform(0.0, 3.0, dates))
    ends = np.array([(i, j) for i in range(dates) for j in range(i + 1, dates)])
    of_date = rng.normal(size=(2, dates, 12))
    value = of_date[:, ends[:, 1]] - of_date[:, ends[:, 0]]
    variance = np.full(value.shape, 2.0)
    design = (time[ends[:, 1]] - time[ends[:, 0]])[:, None]
    counts = regression.block_counts(dates, 300, 1, seed=0)
    assert (counts.sum(1) == dates).all()
    draws = trend.Draws(counts, ends, 0)
    out, _ = run(design, ends, "linear", value, variance, np.ones((2, dates, 12)), np.zeros(12), draws=draws)
    np.testing.assert_allclose(np.median(out[-2:]), np.sqrt(np.median(out[2])), rtol=0.3)


@pytest.mark.small
def test_blocks_are_of_consecutive_dates():
    counts = regression.block_counts(10, 50, 10, seed=1)
    assert (counts == 1).all()
    for row in regression.block_counts(12, 20, 4, seed=1):
        # three blocks of four
        assert row.sum() == 12
        assert (row > 0).sum() >= 4
    assert (regression.block_counts(12, 20, 4, seed=1) == regression.block_counts(12, 20, 4, seed=1)).all()


@pytest.mark.small
def test_terms():
    epochs = np.array(["2019-12-31", "2020-01-01", "2020-01-31", "2021-01-01"], "M8[us]")
    instant = epochs[1]
    np.testing.assert_allclose(velocity(epochs, instant), np.array([-1, 0, 30, 366]) / 365.25)
    np.testing.assert_allclose(acceleration(epochs, instant), 0.5 * (np.array([-1, 0, 30, 366]) / 365.25) ** 2)
    # an image taken at the very instant belongs to what came after
    np.testing.assert_array_equal(motion_terms.step(epochs, instant), [0.0, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(exponential(epochs, instant, 30.0), [0, 0, 1 - np.exp(-1), 1 - np.exp(-12.2)])
    np.testing.assert_allclose(logarithmic(epochs, instant, 30.0), [0.0, 0.0, np.log(2.0), np.log(13.2)])
    years, spent = motion_terms.years(epochs)
    np.testing.assert_array_equal(years, [2019, 2020])
    np.testing.assert_allclose(365.25 * (spent[3] - spent[0]), [1.0, 366.0])
    np.testing.assert_allclose(spent.sum(1) - spent.sum(1)[0], velocity(epochs, epochs[0]))


@pytest.mark.small
def test_layout_and_blocks_change_no_bit():
    value, variance = measured(len(NETWORK), 12)
    design = (TIME[NETWORK[:, 1]] - TIME[NETWORK[:, 0]])[:, None]
    of_dates, share = np.ones((2, 9, 12)), np.zeros(12)
    whole, _ = run(design, NETWORK, "huber", value, variance, of_dates, share)
    for part in (slice(0, 5), slice(11, None, -2)):
        out, _ = run(design, NETWORK, "huber", value[..., part], variance[..., part], of_dates[..., part], share[part])
        np.testing.assert_array_equal(out, whole[:, part])
