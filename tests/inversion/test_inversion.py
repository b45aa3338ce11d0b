"""invert() against its slow twin, against networks solved by hand, and against what physics asks of it."""

from __future__ import annotations

import os

import dask
import numpy as np
import pandas as pd
import pytest
import reference_inversion as twin
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import xoffset
from xoffset import synthetic
from xoffset._arrays.networks import adjustment, solver
from xoffset.model import products
from xoffset.model.dates import in_years
from xoffset.model.flags import FLAGS

few = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)

LOSSES = ("linear", "huber", "tukey", "l1")
ISLANDS = ("nan", "bridge", "separate")
WEIGHTS = ("sigma", "score", "uniform", "velocity", "baseline", "long_baseline")
FIELDS = ("dx", "dy", "sigma_dx", "sigma_dy")


def irregular(count, seed=0):
    """So many dates, from hours to months apart."""
    days = np.cumsum(np.random.default_rng(seed).uniform(0.5, 60.0, count))
    return np.datetime64("2019-05-03T10:15", "us") + (days * 86400e6).astype("m8[us]")


def gaps_up_to(dates, gap):
    return np.array([(i, j) for i in range(dates) for j in range(i + 1, min(i + gap + 1, dates))])


def make(ends, dx, dy, sigma=1.0, dates=None, **more):
    """Shifts of pairs (pair, 2) of dates with these displacements, (pair,) or (pair, y, x), and standard errors."""
    ends = np.asarray(ends)
    dates = irregular(ends.max() + 1) if dates is None else np.asarray(dates, "M8[us]")
    dx, dy = (np.asarray(field, float) for field in (dx, dy))
    dx, dy = (field if field.ndim == 3 else field[:, None, None] for field in (dx, dy))
    shape = np.broadcast_shapes(dx.shape, dy.shape)
    fields = {"dx": dx, "dy": dy, "sigma_dx": sigma, "sigma_dy": sigma} | more
    fields = {name: np.broadcast_to(np.asarray(values, float), shape).copy() for name, values in fields.items()}
    network = products.network(dates[ends[:, 0]], dates[ends[:, 1]])
    x, y = 80.0 * np.arange(shape[2]), -80.0 * np.arange(shape[1])
    return products.shifts(fields, network, x=x, y=y, like=xr.DataArray(0.0), step={"function": "test"})


def moving(ends, displacement, dates=None, shape=(2, 3), **more):
    """Noise-free shifts of a displacement (date, 2)."""
    ends = np.asarray(ends)
    moved = displacement[ends[:, 1]] - displacement[ends[:, 0]]
    dx, dy = np.broadcast_to(moved.T[:, :, None, None], (2, len(ends), *shape))
    return make(ends, dx, dy, dates=dates, **more)


def since(series, date=0):
    """Displacement (date, 2, y, x) since one of the dates."""
    found = np.stack([series.dx.values, series.dy.values], axis=1)
    return found - found[date]


def times_of(series):
    return in_years(series.time.values - series.time.values[0])


# ---------------------------------------------------------------------------------------------------------------- twin


def ends_of(shifts):
    dates = np.unique([shifts.reference.values, shifts.secondary.values])
    return np.stack([np.searchsorted(dates, shifts[name].values) for name in ("reference", "secondary")], axis=1)


def weight_of(shifts, weights, row, column, ends, variance):
    """Weight of the observations of a pixel, and whether it is the inverse variance."""
    baseline = np.abs(in_years(shifts.secondary.values - shifts.reference.values))
    index = {tuple(sorted(pair)): k for k, pair in enumerate(ends_of(shifts).tolist())}
    own = baseline[[index[tuple(pair)] for pair in ends.tolist()]]
    precision, relative = 1.0 / variance.mean(axis=1), own / np.median(baseline)
    if weights == "sigma":
        return precision, False
    return {
        "uniform": np.ones(len(ends)), "velocity": own**-2.0, "baseline": precision / relative,
        "long_baseline": precision * relative,
    }[weights], True  # fmt: skip


def likely_shares(shifts):
    """How probable the shares of the pairs are in a scene; None where the network has redundant pairs that tell."""
    dates = np.unique([shifts.reference.values, shifts.secondary.values])
    ends = ends_of(shifts)
    once = np.unique(np.sort(ends, axis=1), axis=0)
    if twin.redundant(once, twin.groups(once)) >= 4:
        return None
    merged = []
    for row, column in np.ndindex(*shifts.dx.shape[1:]):
        dx, dy, error_x, error_y = (shifts[name].values[:, row, column] for name in FIELDS)
        merged.append(twin.merge(ends, np.stack([dx, dy], 1), np.stack([error_x, error_y], 1))[:3])
    return twin.shares_of_scene(merged, in_years(dates - dates[0]), twin.envelope(ends, dates.size))


def pixel_twin(shifts, row, column, *, weights="sigma", reference=None, prior=None, **options):
    """Twin of one pixel; weights by name, or (pair,) or (pair, y, x)."""
    dates = np.unique([shifts.reference.values, shifts.secondary.values])
    ends = ends_of(shifts)
    dx, dy, error_x, error_y = (shifts[name].values[:, row, column] for name in FIELDS)
    if isinstance(weights, str) and weights == "score":
        score = np.clip(shifts.score.values, 0.0, 0.99)
        weights = score / (1.0 - score)
    given_weight = None
    if not isinstance(weights, str):
        given_weight = weights if weights.ndim == 1 else weights[:, row, column]
        taken = given_weight > 0.0
        dx, given_weight = np.where(taken, dx, np.nan), np.where(taken, given_weight, np.nan)
    found = twin.merge(ends, np.stack([dx, dy], 1), np.stack([error_x, error_y], 1), given_weight)
    weight, is_general = (
        (found[3], True) if found[3] is not None else weight_of(shifts, weights, row, column, found[0], found[2])
    )
    home = [int(np.flatnonzero(dates == np.datetime64(each))[0]) for each in reference]
    options.setdefault("before", likely_shares(shifts))
    options["first"] = twin.envelope(ends, dates.size, 2 if options.get("smooth") else 1)
    moved = None if prior is None else np.stack([prior[name].values[:, row, column] for name in ("dx", "dy")], axis=1)
    return twin.invert(
        *found[:3], weight, in_years(dates - dates[0]), home, prior=moved, is_general=is_general, **options
    )


STATES = {
    0: twin.CONNECTED,
    FLAGS["no_pairs"]: twin.NO_PAIRS,
    FLAGS["disconnected"]: twin.DISCONNECTED,
    FLAGS["bridged"]: twin.DISCONNECTED,
    FLAGS["no_reference"]: twin.NO_REFERENCE,
    FLAGS["no_reference"] | FLAGS["bridged"]: twin.OWN_ZERO,
    FLAGS["oversmoothed"]: twin.FAR,
}


def assert_equals_twin(shifts, atol=1e-9, **options):
    """Every variable of every pixel."""
    labelled = {"loss": "linear"} | options
    series = xoffset.invert(shifts, **labelled)
    chosen = series.attrs["reference"].split(", ")
    for row, column in np.ndindex(*shifts.dx.shape[1:]):
        here = series.isel(y=row, x=column)
        expected = pixel_twin(shifts, row, column, **({"loss": "linear", "reference": chosen} | options))
        states = np.array([STATES[int(flag)] for flag in here.flags])
        has_own_zero = (here.flags == FLAGS["no_reference"]) & np.isfinite(here.dx)
        np.testing.assert_array_equal(np.where(has_own_zero, twin.OWN_ZERO, states), expected.state)
        for axis, name in enumerate(("dx", "dy")):
            np.testing.assert_allclose(here[name], expected.displacement[:, axis], atol=atol)
            sigma = np.sqrt(expected.variance[:, axis])
            # a variance is the small difference of large numbers: rounding leaves 1e-15 of them
            np.testing.assert_allclose(here[f"sigma_{name}"], sigma, rtol=1e-6, atol=1e-6)
        numbers = [here.rms, here.n_pairs, here.n_components, here.n_outliers, here.pair_share]
        wanted = [expected.rms, expected.pairs, expected.components, expected.outliers, expected.share]
        np.testing.assert_allclose(numbers, wanted, rtol=1e-6, atol=atol)
        if "smooth" in series:
            np.testing.assert_allclose(here.smooth, expected.smooth, rtol=1e-6)
    return series


NETWORKS = {
    "one pair": [(0, 1)],
    "backward pair": [(1, 0)],
    "three times": [(0, 1), (1, 0), (0, 1)],
    "chain": [(0, 1), (1, 2), (2, 3), (3, 4)],
    "star": [(2, 0), (1, 2), (2, 3), (4, 2)],
    "islands": [(0, 1), (2, 3), (3, 4), (2, 4)],
    "woven islands": [(0, 2), (2, 4), (0, 4), (1, 3), (3, 5), (1, 5)],
    "all": gaps_up_to(5, 4).tolist(),
    "both ways": [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 3), (3, 4), (4, 3), (2, 4)],
    "sequential": gaps_up_to(8, 2).tolist(),
}


@st.composite
def networks(draw):
    """Pairs of a network, of any kind."""
    name = draw(st.sampled_from([*NETWORKS, "random", "random", "random"]))
    if name != "random":
        return NETWORKS[name]
    dates = draw(st.integers(2, 9))
    pair = st.tuples(st.integers(0, dates - 1), st.integers(0, dates - 1)).filter(lambda pair: pair[0] != pair[1])
    ends = draw(st.lists(pair, min_size=1, max_size=24))
    # every date that there is has a pair
    _, index = np.unique(ends, return_inverse=True)
    return index.reshape(-1, 2).tolist()


def noisy(ends, seed, missing=0.15, shape=(2, 3), spread=2.0):
    """Shifts of random walks with noise, gaps, and standard errors that differ by e to the power of the spread."""
    generator = np.random.default_rng(seed)
    ends = np.array(ends)
    whole = (len(ends), *shape)
    walk = np.cumsum(generator.standard_normal((ends.max() + 1, 2, 1, 1)), axis=0)
    sigma = {f"sigma_{name}": np.exp(generator.uniform(-spread, 0.0, whole)) for name in ("dx", "dy")}
    dx, dy = (
        walk[ends[:, 1], axis]
        - walk[ends[:, 0], axis]
        + 0.3 * sigma[f"sigma_{name}"] * generator.standard_normal(whole)
        for axis, name in enumerate(("dx", "dy"))
    )
    score = generator.uniform(0.0, 1.0, whole)
    shifts = make(ends, dx, dy, dates=irregular(ends.max() + 1, seed), score=score, **sigma)
    for name in ("dx", "dy", "sigma_dx", "score"):
        shifts[name].values[generator.random(whole) < missing / 4.0] = np.nan
    return shifts


@few
@given(
    ends=networks(), seed=st.integers(0, 99), missing=st.sampled_from([0.0, 0.2, 0.6]),
    weights=st.sampled_from(WEIGHTS), islands=st.sampled_from(ISLANDS),
)  # fmt: skip
def test_least_squares(ends, seed, missing, weights, islands):
    assert_equals_twin(noisy(ends, seed, missing), weights=weights, islands=islands)


@few
@given(ends=networks(), seed=st.integers(0, 99), by_pixel=st.booleans(), islands=st.sampled_from(ISLANDS))
def test_least_squares_with_weights_of_an_array(ends, seed, by_pixel, islands):
    shifts = noisy(ends, seed)
    generator = np.random.default_rng(seed)
    weights = np.exp(generator.uniform(-3.0, 3.0, shifts.dx.shape if by_pixel else len(ends)))
    weights[generator.random(weights.shape) < 0.1] = 0.0
    weights[generator.random(weights.shape) < 0.1] = np.nan
    assert_equals_twin(shifts, weights=weights, islands=islands)


@pytest.mark.parametrize("weights", ["sigma", "uniform", "velocity"])
def test_least_squares_of_a_larger_network(weights):
    shifts = noisy(gaps_up_to(30, 6), 3, missing=0.8, shape=(1, 4))
    assert_equals_twin(shifts, weights=weights)


@pytest.mark.small
@pytest.mark.parametrize("islands", ISLANDS)
@pytest.mark.parametrize("name", ["islands", "all"])
def test_least_squares_of_a_small_network(name, islands):
    assert_equals_twin(noisy(NETWORKS[name], 2, shape=(1, 2)), islands=islands)


@few
@given(
    ends=networks(), seed=st.integers(0, 99), missing=st.sampled_from([0.0, 0.3]),
    smooth=st.sampled_from([1e-3, 0.03, 1.0]), weights=st.sampled_from(["sigma", "uniform", "baseline"]),
    has_prior=st.booleans(),
)  # fmt: skip
def test_smooth_least_squares(ends, seed, missing, smooth, weights, has_prior):
    shifts = noisy(ends, seed, missing)
    prior = random_prior(shifts, seed) if has_prior else None
    assert_equals_twin(shifts, smooth=smooth, weights=weights, prior=prior, atol=1e-8)


def random_prior(shifts, seed):
    """Series on the dates and the grid of shifts, unknown here and there."""
    series = xoffset.invert(shifts)
    generator = np.random.default_rng(seed + 1000)
    for name in ("dx", "dy"):
        series[name].values[:] = np.cumsum(generator.standard_normal(series.dx.shape), axis=0)
    series["dx"].values[generator.random(series.dx.shape) < 0.1] = np.nan
    series["dy"].values[np.isnan(series["dx"].values)] = np.nan
    return series


@pytest.mark.parametrize("missing", [0.0, 0.6])
@pytest.mark.parametrize("has_prior", [False, True])
def test_generalised_cross_validation(missing, has_prior):
    shifts = noisy(gaps_up_to(9, 4), 5, missing)
    prior = random_prior(shifts, 5) if has_prior else None
    assert_equals_twin(shifts, smooth="gcv", prior=prior, atol=1e-6)


@pytest.mark.parametrize("islands", ["woven islands", "islands"])
def test_the_bridge_is_that_of_nsbas(islands):
    shifts = noisy(NETWORKS[islands], 11, missing=0.0)
    date = str(np.unique(shifts.reference)[0])
    series = xoffset.invert(shifts, weights="uniform", loss="linear", islands="bridge", reference=date)
    ends, times = ends_of(shifts), times_of(series)
    for row, column in np.ndindex(2, 3):
        observed = np.stack([shifts[name].values[:, row, column] for name in ("dx", "dy")], axis=1)
        expected = twin.nsbas(ends, observed, np.ones(len(ends)), times, 0)
        found = np.stack([series[name].values[:, row, column] for name in ("dx", "dy")], axis=1)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (series.flags[:, 0, 0] == FLAGS["bridged"]).sum() == 3


# -------------------------------------------------------------------------------------------------------------- robust


def with_outliers(seed, dates=20, pairs=100, share=0.03, shape=(4, 8), size=3.0, noise=0.1):
    """Shifts of a network at rest, some of them wild, a tenth missing; truth is zero."""
    generator = np.random.default_rng(seed)
    ends = gaps_up_to(dates, dates)
    ends = ends[np.sort(generator.choice(len(ends), pairs, replace=False))]
    whole = (pairs, *shape)
    dx, dy = noise * generator.standard_normal((2, *whole))
    is_wild = generator.random(whole) < share
    dx += size * is_wild * generator.choice([-1.0, 1.0], whole)
    dy += size * is_wild * generator.choice([-1.0, 1.0], whole)
    dx[generator.random(whole) < 0.1] = np.nan
    return make(ends, dx, dy, sigma=noise), is_wild & np.isfinite(dx)


def free(displacement):
    """Displacement (date, ...) relative to the mean of the dates."""
    return displacement - np.nanmean(displacement, axis=0)


# Steps of the twin end at its own scale and leverages, those of the kernel a few steps before: it matters little.
@pytest.mark.parametrize(("loss", "apart"), [("huber", 0.01), ("tukey", 0.06), ("l1", 0.3)])
def test_robust_solutions_are_as_good_as_those_of_the_twin(loss, apart):
    shifts, _ = with_outliers(0)
    series = xoffset.invert(shifts, loss=loss)
    found = np.stack([series.dx.values, series.dy.values], axis=1)
    expected = np.full_like(found, np.nan)
    for row, column in np.ndindex(*found.shape[2:]):
        reference = [series.attrs["reference"]]
        expected[..., row, column] = pixel_twin(shifts, row, column, loss=loss, reference=reference).displacement
    differences = np.abs(free(found) - free(expected)) / 0.1
    assert np.nanmedian(differences.max(axis=(0, 1))) < apart
    found, expected = (np.sqrt(np.nanmean(free(each) ** 2)) for each in (found, expected))
    assert found < 1.03 * expected
    # 0.1 m times the root of 19 unknowns in 90 pairs, and what a robust loss costs
    assert found < 0.05


@pytest.mark.parametrize("loss", LOSSES[1:])
def test_outliers_cost_little(loss):
    clean, _ = with_outliers(1, share=0.0)
    wild, planted = with_outliers(1, share=0.03)
    errors = [
        np.sqrt(np.nanmean(free(since(xoffset.invert(shifts, loss=each))) ** 2))
        for shifts, each in ((clean, "linear"), (wild, loss), (wild, "linear"))
    ]
    assert errors[1] < 1.25 * errors[0]
    assert errors[2] > 3.0 * errors[0]
    counted = xoffset.invert(wild, loss=loss).n_outliers.values - planted.sum(axis=0)
    # good pairs that happen to lie beyond four times the scale are rare
    assert (counted >= 0).all()
    assert counted.mean() < {"huber": 0.5, "tukey": 0.5, "l1": 1.5}[loss]


def test_linear_loss_counts_no_outliers():
    shifts, _ = with_outliers(1)
    assert (xoffset.invert(shifts, loss="linear").n_outliers == 0).all()


@pytest.mark.parametrize("component", ["dx", "dy"])
def test_a_pair_that_is_wrong_in_one_component_is_rejected_in_both(component):
    shifts, _ = with_outliers(2, share=0.0)
    other = "dy" if component == "dx" else "dx"
    wrong = shifts.copy(deep=True)
    wrong[component].values[30] += 3.0
    # no outlier by itself
    wrong[other].values[30] += 0.2
    without = wrong.copy(deep=True)
    without["dx"].values[30] = np.nan
    found, expected, linear = (
        since(xoffset.invert(each, loss=loss))[:, ("dx", "dy").index(other)]
        for each, loss in ((wrong, "tukey"), (without, "tukey"), (wrong, "linear"))
    )
    changes = [np.sqrt(np.nanmean((each - expected) ** 2)) for each in (found, linear)]
    assert changes[0] < 0.004
    assert changes[1] > 3.0 * changes[0]
    assert (xoffset.invert(wrong, loss="tukey").n_outliers.values >= 1)[np.isfinite(wrong.dx[30])].all()


def test_what_the_loss_has_cut_off_is_disconnected():
    """Two groups whose only two links contradict each other by 100 m."""
    ends = [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (0, 3), (2, 5)]
    motion = np.arange(6.0)[:, None] * [1.0, -2.0]
    generator = np.random.default_rng(0)
    shifts = moving(ends, motion, sigma=0.01)
    for name in ("dx", "dy"):
        shifts[name].values[:] += 0.01 * generator.standard_normal(shifts[name].shape)
    shifts["dx"].values[6] += 50.0
    shifts["dx"].values[7] -= 50.0
    dates = irregular(6)
    found = {each: xoffset.invert(shifts, loss="tukey", islands=each, reference=str(dates[0])) for each in ISLANDS}
    for series in found.values():
        assert (series.n_components == 2).all()
        assert (series.n_outliers == 2).all()
        assert (series.n_pairs == 8).all()
        np.testing.assert_allclose(since(series)[:3, :, 0, 0], motion[:3], atol=0.05)
    assert np.isnan(found["nan"].dx[3:]).all()
    assert (found["nan"].flags[3:] == FLAGS["disconnected"]).all()
    np.testing.assert_array_equal(found["separate"].dx[3], 0.0)
    np.testing.assert_allclose(found["separate"].dy[5], -4.0, atol=0.05)
    assert (found["separate"].flags[3:] == FLAGS["disconnected"]).all()
    assert (found["bridge"].flags[3:] == FLAGS["bridged"]).all()


def test_a_loss_that_does_not_settle_is_flagged(monkeypatch):
    shifts, _ = with_outliers(3, dates=8, pairs=20, share=0.1, shape=(2, 3))
    shifts["dx"].values[:, 1, 1] = np.nan
    flag = FLAGS["not_converged"]
    assert not (xoffset.invert(shifts, loss="huber").flags & flag).any()
    monkeypatch.setattr(adjustment, "STEPS", 1)
    series = xoffset.invert(shifts, loss="huber")
    is_known = np.isfinite(series.dx)
    assert ((series.flags & flag) > 0).equals(is_known)
    assert is_known.any()
    assert not (xoffset.invert(shifts, loss="linear").flags & flag).any()


# ------------------------------------------------------------------------------------------------------------- by hand


# Three dates: 0 to 1 moves by 1.0, 1 to 2 by 2.0, 0 to 2 by 3.6. The loop does not close by 3.6 - 1.0 - 2.0 = 0.6, of
# which least squares gives each pair a third: 1.2, 2.2, 3.4. MintPy (least squares of a connected network, first date
# zero) returns (0, 1.2, 3.4), with the norm of its residuals (-0.2, -0.2, 0.2) as the quality, 0.3464; TICOI solves for
# the displacements between neighbouring dates: its rows (1, 0), (0, 1), (1, 1) have the normal matrix ((2, 1), (1, 2))
# and the right-hand sides (4.6, 5.6), hence (1.2, 2.2). All residuals are alike, so that no loss weighs one pair down.
THREE = [(0, 1), (1, 2), (0, 2)]


@pytest.mark.small
@pytest.mark.parametrize("loss", LOSSES)
def test_three_dates_by_hand(loss):
    shifts = make(THREE, [1.0, 2.0, 3.6], [-10.0, -20.0, -36.0])
    series = xoffset.invert(shifts, loss=loss, reference=str(irregular(3)[0]))
    np.testing.assert_allclose(series.dx[:, 0, 0], [0.0, 1.2, 3.4], atol=1e-12)
    np.testing.assert_allclose(series.dy[:, 0, 0], [0.0, -12.0, -34.0], atol=1e-12)
    np.testing.assert_allclose(series.rms, np.sqrt((0.2**2 + 2.0**2) / 2.0))


def test_the_error_of_three_dates_by_hand():
    # misclosure 0.6 along x and none along y: squared residuals 3 · 0.04 = 0.12 of one degree of freedom in a loop, so
    # a variance of 0.06 a component, where 0.36 is what a pair has: a sixth is its own, by experience 3 %, and
    # both tell as much. Of 0.36 each date has a half. A pair's own noise reaches the dates by the pseudo-inverse of
    # ((2, -1, -1), (-1, 2, -1), (-1, -1, 2)), 2/9 each, and half as much again, as the difference of two dates has 2/3.
    series = xoffset.invert(make(THREE, [1.0, 2.0, 3.6], [0.0, 0.0, 0.0], sigma=0.6), loss="linear")
    share = (1.0 / 6.0 + 0.03) / 2.0
    np.testing.assert_allclose(series.pair_share, share)
    np.testing.assert_allclose(series.sigma_dx**2, (1.0 - share) * 0.18 + share * 0.36 / 3.0)
    np.testing.assert_allclose(series.sigma_dy, series.sigma_dx)


def test_three_dates_of_unequal_weight_by_hand():
    # the long pair has twice the weight of the others: the 0.6 are shared as 1 : 1 : 1/2, and 0.24 go to a short one
    shifts = make(THREE, [1.0, 2.0, 3.6], [0.0, 0.0, 0.0])
    for loss, atol in (("linear", 1e-12), ("huber", 1e-3)):
        series = xoffset.invert(shifts, weights=np.array([1.0, 1.0, 2.0]), loss=loss, reference=str(irregular(3)[0]))
        np.testing.assert_allclose(series.dx[:, 0, 0], [0.0, 1.24, 3.48], atol=atol)


def test_four_dates_with_one_wrong_pair_by_hand():
    # All six pairs of a steady motion; the pair 0 to 3 shows 13 instead of 3. Least squares leaves residuals of 5 on
    # it, of 2.5 on the four that touch its dates and of 0 on the last, and moves date 3 by 5. Tukey and l1 return the
    # motion, which five pairs show exactly. Huber's scale is the median of six residuals, four of which stem from the
    # wrong pair: it hardly helps where so few pairs check each other.
    ends = gaps_up_to(4, 3)
    shifts = make(ends, np.where((ends == [0, 3]).all(axis=1), 13.0, ends[:, 1] - ends[:, 0]), ends[:, 0] - ends[:, 1])
    found = {each: xoffset.invert(shifts, loss=each, reference=str(irregular(4)[0])) for each in LOSSES}
    np.testing.assert_allclose(found["linear"].dx[:, 0, 0], [0.0, 3.5, 4.5, 8.0], atol=1e-12)
    np.testing.assert_allclose(found["huber"].dx[:, 0, 0], [0.0, 2.4, 3.4, 5.8], atol=0.4)
    for series in found.values():
        np.testing.assert_allclose(series.dy[:, 0, 0], [0.0, -1.0, -2.0, -3.0], atol=1e-9)
    for loss in ("tukey", "l1"):
        np.testing.assert_allclose(found[loss].dx[:, 0, 0], [0.0, 1.0, 2.0, 3.0], atol=0.1)
        assert int(found[loss].n_outliers[0, 0]) == 1


# ------------------------------------------------------------------------------------------------------------- physics


MOTION = np.array([[0.0, 0.0], [1.7, -3.0], [-0.4, 2.0], [12.0, 2.5], [5.5, -40.0], [8.0, 0.1], [9.0, 0.2]])


@pytest.mark.parametrize("islands", ISLANDS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weights", [*WEIGHTS, "array"])
def test_a_network_without_noise_returns_the_truth(weights, loss, islands):
    ends = gaps_up_to(7, 3)
    generator = np.random.default_rng(0)
    shifts = moving(ends, MOTION, sigma=generator.uniform(0.1, 1.0, (len(ends), 2, 3)), score=0.8)
    # one place without its dates 2 and 5
    shifts["dx"].values[np.isin(ends, [2, 5]).any(axis=1), 0, 0] = np.nan
    given_weights = generator.uniform(0.1, 5.0, len(ends)) if weights == "array" else weights
    series = xoffset.invert(shifts, weights=given_weights, loss=loss, islands=islands, reference=str(irregular(7)[0]))
    expected = np.broadcast_to(MOTION[:, :, None, None], (7, 2, 2, 3)).copy()
    expected[[2, 5], :, 0, 0] = np.nan
    np.testing.assert_allclose(since(series), expected, atol=1e-9)
    np.testing.assert_allclose(series.rms, 0.0, atol=1e-9)
    assert (series.n_outliers == 0).all()
    assert not (series.flags & FLAGS["not_converged"]).any()


VARIANTS = {
    "default": {},
    "linear": {"loss": "linear"},
    "tukey, uniform": {"loss": "tukey", "weights": "uniform"},
    "l1, score": {"loss": "l1", "weights": "score"},
    "velocity, separate": {"weights": "velocity", "islands": "separate"},
    "baseline, bridge": {"weights": "baseline", "islands": "bridge"},
    "smooth": {"smooth": 0.05},
    "gcv, tukey": {"smooth": "gcv", "loss": "tukey"},
}


@pytest.fixture(scope="module")
def plain():
    """A network with noise, outliers, gaps, islands in some places, and scores."""
    shifts = noisy(gaps_up_to(8, 3), 21, missing=0.5, shape=(7, 9))
    shifts["dx"].values[4, :, ::3] += 8.0
    first, second = ends_of(shifts).T
    # left of the middle nothing leads across
    shifts["dx"].values[(first < 4) & (second >= 4), :, :4] = np.nan
    return shifts


@pytest.mark.parametrize("name", VARIANTS)
def test_the_order_of_the_pairs_changes_no_bit(plain, name):
    other = plain.isel(pair=np.random.default_rng(0).permutation(plain.sizes["pair"]))
    xr.testing.assert_identical(xoffset.invert(other, **VARIANTS[name]), xoffset.invert(plain, **VARIANTS[name]))


def turned(shifts):
    """The same pairs, later date first."""
    back = shifts.assign({name: -shifts[name] for name in ("dx", "dy")}).drop_vars(("reference", "secondary"))
    return back.assign_coords(reference=("pair", shifts.secondary.values), secondary=("pair", shifts.reference.values))


@pytest.mark.parametrize("name", VARIANTS)
def test_backward_pairs_change_no_bit(plain, name):
    chosen = np.arange(plain.sizes["pair"]) % 2 == 0
    mixed = xr.concat([plain.isel(pair=chosen), turned(plain.isel(pair=~chosen))], "pair")
    expected = xoffset.invert(plain, **VARIANTS[name])
    for other in (mixed, turned(plain)):
        found = xoffset.invert(other, **VARIANTS[name])
        xr.testing.assert_identical(found.drop_attrs(), expected.drop_attrs())


@pytest.mark.parametrize("name", [each for each in VARIANTS if "baseline" not in each])
def test_repeated_pairs_change_nothing(plain, name):
    expected = xoffset.invert(plain, **VARIANTS[name])
    for more in (plain, turned(plain), plain.isel(pair=[3, 3, 5])):
        found = xoffset.invert(xr.concat([plain, more], "pair"), **VARIANTS[name])
        xr.testing.assert_identical(found.n_pairs, expected.n_pairs)
        for each in FIELDS:
            apart = np.abs(found[each] - expected[each])
            # rounding may make a loss settle a step earlier
            assert float(apart.max()) < (1e-3 if "tukey" in name else 1e-8)
            assert float(apart.median()) < 1e-12


@pytest.mark.parametrize("name", VARIANTS)
def test_the_origin_of_time_changes_no_bit(plain, name):
    delay = np.timedelta64(9000, "D")
    later = plain.assign_coords({each: ("pair", plain[each].values + delay) for each in ("reference", "secondary")})
    found, expected = (xoffset.invert(each, **VARIANTS[name]) for each in (later, plain))
    np.testing.assert_array_equal(found.time, expected.time + delay)
    for each in expected.data_vars:
        np.testing.assert_array_equal(found[each], expected[each])


@pytest.mark.parametrize("name", VARIANTS)
def test_a_place_without_values_has_none(plain, name):
    shifts = plain.copy(deep=True)
    shifts["dy"].values[:, 2, 2] = np.nan
    here = xoffset.invert(shifts, **VARIANTS[name]).isel(y=2, x=2)
    for each in ("dx", "dy", "sigma_dx", "sigma_dy", "rms", "pair_share"):
        assert np.isnan(here[each]).all()
    assert (here.flags == FLAGS["no_reference"]).all()
    assert int(here.n_pairs) == int(here.n_components) == int(here.n_outliers) == 0
    assert np.isnan(here["smooth"]) if "smooth" in here else True


@pytest.mark.parametrize("name", VARIANTS)
def test_a_split_network_is_never_joined_unseen(plain, name):
    options = VARIANTS[name]
    series = xoffset.invert(plain, **options, reference=str(plain.reference.values.min()))
    ends = ends_of(plain)
    states = {FLAGS[each] for each in ("disconnected", "bridged", "no_pairs")}
    islands = 0
    for row, column in np.ndindex(*plain.dx.shape[1:]):
        needed = ["dx", "dy"] + (["score"] if "score" in name else [])
        if options.get("weights", "sigma") in ("sigma", "baseline"):
            needed.append("sigma_dx")
        has_value = np.isfinite(sum(plain[each].values for each in needed))[:, row, column]
        members = twin.component(ends[has_value], 0) if 0 in ends[has_value] else set()
        here = series.isel(y=row, x=column)
        apart = sorted(set(range(8)) - members)
        islands += len(apart) > 0
        flags = here.flags.values & ~FLAGS["not_converged"]
        # "tukey" may cut the reference date off
        is_cut = "tukey" in name and (flags == FLAGS["no_reference"]).all()
        needs_reference = options.get("islands", "nan") == "nan"
        if members and not is_cut:
            assert set(flags[apart].tolist()) <= states
        elif needs_reference:
            assert (flags == FLAGS["no_reference"]).all()
        if needs_reference:
            assert np.isnan(here.dx[apart]).all()
        else:
            known = sorted(set(ends[has_value].ravel().tolist()))
            assert np.isfinite(here.dx[known]).all()
            # one group, the largest, stands in for that of the reference
            is_own = (flags & FLAGS["no_reference"]) != 0
            largest = max(map(len, twin.groups(ends[has_value])), default=0)
            assert is_own.sum() == (0 if members else largest or 8)
        if options.get("islands") == "separate":
            # each island starts at zero
            for each in twin.groups(ends[has_value]):
                np.testing.assert_allclose(here.dx[each[0]], 0.0, atol=1e-12)
    assert islands > 25


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("islands", ["bridge", "separate"])
def test_islands_of_a_steady_motion(islands, loss):
    dates = irregular(6)
    motion = in_years(dates - dates[0])[:, None] * [10.0, -4.0]
    series = xoffset.invert(
        moving(NETWORKS["woven islands"], motion), islands=islands, loss=loss, reference=str(dates[2])
    )
    expected = motion - motion[2]
    if islands == "separate":
        expected[1::2] = motion[1::2] - motion[1]
    found = np.stack([series.dx[:, 1, 1], series.dy[:, 1, 1]], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    flag = FLAGS["bridged" if islands == "bridge" else "disconnected"]
    np.testing.assert_array_equal(series.flags[:, 0, 0], [0, flag] * 3)
    assert (series.n_components == 2).all()


def test_the_bridge_deforms_no_group_and_is_less_certain():
    shifts = noisy(NETWORKS["woven islands"], 8, missing=0.0)
    apart, bridged = (xoffset.invert(shifts, islands=each) for each in ("separate", "bridge"))
    for name in ("dx", "dy"):
        for group in ([0, 2, 4], [1, 3, 5]):
            moved = (bridged[name] - apart[name])[group]
            np.testing.assert_allclose(moved, moved[:1].values.repeat(3, 0), atol=1e-12)
        home = (bridged.flags[:, 0, 0] == 0).values
        assert home.sum() == 3
        xr.testing.assert_identical(bridged[f"sigma_{name}"][home], apart[f"sigma_{name}"][home])
        assert (bridged[f"sigma_{name}"][~home] > apart[f"sigma_{name}"][~home]).all()


def test_velocities_through_time_have_no_islands():
    shifts = moving(NETWORKS["all"], MOTION[:5], shape=(5, 6))
    series = xoffset.invert(shifts)
    rates = series.rename(dx="vx", dy="vy")[["vx", "vy", "flags"]]
    for name in ("vx", "vy"):
        rates[name].attrs["units"] = "m yr-1"
    assert np.isfinite(xoffset.strain(rates).exx).any()


@pytest.mark.parametrize("islands", ["bridge", "separate"])
def test_what_follows_leaves_islands_out(islands):
    dates = irregular(6)
    motion = in_years(dates - dates[0])[:, None] * [10.0, -4.0] + np.random.default_rng(0).normal(0.0, 0.3, (6, 2))
    shifts = moving(NETWORKS["woven islands"], motion, shape=(5, 6))
    # right of the middle another group has the reference
    shifts["dx"].values[0, :, 3:] = shifts["dx"].values[1, :, 3:] = np.nan
    series, plain = (xoffset.invert(shifts, islands=each, reference=str(dates[4])) for each in (islands, "nan"))
    assert (series.flags & (FLAGS["bridged"] | FLAGS["disconnected"])).any()
    for function in (xoffset.velocity, xoffset.decompose):
        found, expected = (function(each).drop_attrs() for each in (series, plain))
        xr.testing.assert_identical(found, expected)
    if islands == "separate":
        line = [(20.0, -100.0), (380.0, -100.0)]
        for function in (xoffset.strain, lambda each: xoffset.profile(each, line)):
            xr.testing.assert_identical(function(series).drop_attrs(), function(plain).drop_attrs())


@pytest.mark.parametrize("smooth", [0.1, "gcv"])
def test_nobody_knows_the_error_of_a_fit_to_a_smoothed_series(smooth):
    shifts = noisy(gaps_up_to(8, 3), 3, missing=0.0)
    series = xoffset.invert(shifts, smooth=smooth)
    resampled = xoffset.resample(xoffset.invert(shifts), "5D")
    for each in (series, xoffset.rereference(series, str(irregular(8, 3)[1])), resampled):
        rate = xoffset.velocity(each)
        assert np.isfinite(rate.vx).all()
        assert np.isnan(rate.sigma_vx).all()
    assert np.isfinite(xoffset.velocity(xoffset.invert(shifts)).sigma_vx).all()


@pytest.mark.parametrize("kind", ["smoothed", "resampled"])
def test_shared_noise_is_told_by_the_series_and_not_by_its_attributes(kind, tmp_path):
    shifts = noisy(gaps_up_to(8, 3), 3, missing=0.0)
    plain = xoffset.invert(shifts)
    series = xoffset.invert(shifts, smooth=0.1) if kind == "smoothed" else xoffset.resample(plain, "5D")
    series.to_zarr(tmp_path / "series.zarr", consolidated=False)
    series.to_netcdf(tmp_path / "series.nc", engine="h5netcdf")
    needed = ["dx", "dy", "sigma_dx", "sigma_dy"]
    for each in (
        series.drop_attrs(), series[needed], xr.Dataset({name: series[name] for name in needed}),
        series.isel(time=slice(1, None)), series.isel(y=[0], x=slice(None, None, -1)), series.chunk(time=2),
        series.assign(dx=2.0 * series.dx), xoffset.rereference(series, series.time[1]),
        xoffset.open_result(tmp_path / "series.zarr"), xoffset.open_result(tmp_path / "series.nc"),
    ):  # fmt: skip
        for fit in (xoffset.velocity, lambda data: xoffset.decompose(data, acceleration=True)):
            rate = fit(each)
            assert np.isnan(rate.sigma_vx).all()
            assert np.isfinite(rate.vx).any()
    # the attributes of a smoothed series make no plain one smooth
    told = plain.assign_attrs(processing=series.attrs["processing"])
    xr.testing.assert_equal(xoffset.velocity(told), xoffset.velocity(plain))


def test_a_smoothed_series_that_only_holds_its_strength_is_known():
    series = xoffset.invert(noisy(gaps_up_to(8, 3), 3, missing=0.0), smooth=0.1)
    assert np.isnan(xoffset.velocity(series.drop_vars("shares_noise").drop_attrs()).sigma_vx).all()


@pytest.mark.parametrize("function", ["invert", "closure"])
@pytest.mark.parametrize("is_fine", [False, True])
def test_stable_ground_has_its_dims_in_any_order_or_lacks_one(function, is_fine):
    stack, _ = synthetic.stack((128, 160), dates=["2020-01-01", "2020-03-01", "2020-06-01"], snr=5.0)
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=5, step=8)
    grid = stack[0].drop_vars("time") if is_fine else shifts.dx[0].drop_vars(["reference", "secondary"])
    call = getattr(xoffset, function)
    for dim, other in (("x", "y"), ("y", "x")):
        line = grid[dim] > grid[dim].mean()
        whole = line.broadcast_like(grid).transpose("y", "x")
        expected = call(shifts, stable=whole)
        for mask in (whole.transpose("x", "y"), line, whole.chunk(y=50).transpose("x", "y")):
            xr.testing.assert_equal(call(shifts, stable=mask).compute(), expected)
        some = call(shifts, stable=line & (grid[other] > grid[other].mean()))
        assert not some.equals(expected)
    for mask, advice in (
        (xr.DataArray(True), r"got \(\)\. Mark the ground on its grid"),
        (whole.expand_dims(time=2), r"stable\.all\(\['time'\]\)"),
        (whole[:0], r"at least one pixel"),
    ):
        with pytest.raises(ValueError, match=advice):
            call(shifts, stable=mask)


# --------------------------------------------------------------------------------------------------------- error model


def with_errors(ends, of_dates, of_pairs, pixels=1500, seed=0, **more):
    """Shifts of ground at rest: noise of dates (date,) and of pairs, and standard errors that know both."""
    generator = np.random.default_rng(seed)
    ends = np.asarray(ends)
    shape = (len(ends), 1, pixels)
    errors = of_dates[:, None, None] * generator.standard_normal((2, of_dates.size, 1, pixels))
    dx, dy = errors[:, ends[:, 1]] - errors[:, ends[:, 0]] + of_pairs * generator.standard_normal((2, *shape))
    sigma = np.sqrt(of_dates[ends[:, 0]] ** 2 + of_dates[ends[:, 1]] ** 2 + of_pairs**2)[:, None, None]
    return make(ends, dx, dy, sigma=sigma, **more)


def spread_of(series, chosen=slice(None)):
    """Spread of the errors of all differences from the first date, in units of what sigma says."""
    z = []
    for name in ("dx", "dy"):
        error = series[name].values - series[name].values[:1]
        sigma = np.hypot(series[f"sigma_{name}"].values, series[f"sigma_{name}"].values[:1])
        z.append((error / sigma)[1:][chosen])
    return 1.4826 * np.nanmedian(np.abs(np.stack(z)))


OF_DATES = np.array([0.2, 0.3, 0.2, 0.4, 0.25, 0.2, 0.3, 0.2, 0.35, 0.2])


@pytest.mark.parametrize("weights", [*WEIGHTS, "array"])
@pytest.mark.parametrize("of_pairs", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("gap", [3, 9])
def test_sigma_is_the_spread_of_the_errors(gap, of_pairs, weights):
    ends = gaps_up_to(10, gap)
    generator = np.random.default_rng(5)
    shifts = with_errors(ends, OF_DATES, of_pairs, score=generator.uniform(0.5, 0.9, (len(ends), 1, 1)), seed=1)
    given_weights = np.exp(generator.uniform(-1.0, 1.0, len(ends))) if weights == "array" else weights
    series = xoffset.invert(shifts, weights=given_weights)
    assert 0.85 < spread_of(series) < 1.15
    if of_pairs == 0.0:
        # nothing but experience says otherwise
        np.testing.assert_allclose(series.pair_share, 0.03 / (len(ends) - 9 + 1))


@pytest.mark.parametrize("loss", LOSSES)
def test_sigma_is_the_spread_of_the_errors_for_any_loss(loss):
    series = xoffset.invert(with_errors(gaps_up_to(10, 4), OF_DATES, 0.3, seed=2), loss=loss)
    assert 0.85 < spread_of(series) < 1.2


@pytest.mark.parametrize("islands", ["bridge", "separate"])
@pytest.mark.parametrize("weights", ["sigma", "uniform"])
def test_sigma_of_islands_is_the_spread_of_their_errors(weights, islands):
    first = gaps_up_to(5, 4)
    shifts = with_errors(np.concatenate([2 * first, 2 * first + 1]), OF_DATES, 0.2, seed=3)
    series = xoffset.invert(shifts, weights=weights, islands=islands, reference=str(irregular(10)[0]))
    if islands == "bridge":
        # the noise of 10 dates that are at rest makes the bridge as uncertain as it is
        assert 0.85 < spread_of(series) < 1.15
    else:
        group = series.isel(time=slice(1, None, 2))
        assert 0.85 < spread_of(group) < 1.15


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("smooth", [0.01, 0.2, 3.0])
def test_sigma_of_a_smoothed_series_is_the_spread_of_its_errors(smooth, missing):
    ends = gaps_up_to(10, 4)
    shifts = with_errors(ends, OF_DATES, 0.2, seed=4)
    if missing:
        # three dates in the middle have no pairs, which the smoothed series passes
        shifts["dx"].values[np.isin(ends, [3, 4, 5]).any(axis=1)] = np.nan
    series = xoffset.invert(shifts, smooth=smooth, loss="linear", reference=str(irregular(10)[0]))
    # relative to the mean of the dates, which is what the sigma of one date says
    assert np.isnan(series.dx[3:6]).all() == missing
    seen = series.isel(time=[0, 1, 2, 6, 7, 8, 9] if missing else slice(None))
    z = [free(seen[name].values) / np.sqrt(np.mean(seen[f"sigma_{name}"].values ** 2, axis=0)) for name in ("dx", "dy")]
    spread = 1.4826 * np.nanmedian(np.abs(z))
    # sigma leaves room for bends of the motion, and this ground has none
    assert 0.4 < spread < 1.15, spread


@pytest.mark.parametrize("loss", LOSSES)
def test_pairs_that_nothing_checks_do_not_spoil_the_sigma_of_others(loss):
    """A triangle that closes as well as its noise lets expect, and a chain that nothing checks."""
    ends = [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (4, 5)]
    shifts = with_errors(ends, np.full(6, 0.15), 0.05, seed=8)
    series, plain = (xoffset.invert(shifts, loss=each) for each in (loss, "linear"))
    for name in ("sigma_dx", "sigma_dy"):
        np.testing.assert_allclose(series[name].median("x"), plain[name].median("x"), rtol=0.1)
    assert 0.85 < spread_of(series) < 1.15


def test_without_any_sigma_the_misclosure_tells_the_noise():
    ends = gaps_up_to(8, 4)
    shifts = with_errors(ends, np.zeros(8), 0.5, seed=6)
    for name in ("sigma_dx", "sigma_dy"):
        shifts[name].values[:] = np.nan
    series = xoffset.invert(shifts, weights="uniform")
    assert 0.85 < spread_of(series) < 1.15
    # a chain has no misclosure, and nothing is invented
    chain = xoffset.invert(shifts.isel(pair=np.flatnonzero(np.diff(ends, axis=1)[:, 0] == 1)), weights="uniform")
    assert np.isfinite(chain.dx).all()
    assert np.isnan(chain.sigma_dx).all()
    assert np.isnan(chain.pair_share).all()


def test_weights_of_inverse_variances_are_those_of_sigma():
    shifts = noisy(gaps_up_to(8, 3), 9, missing=0.0)
    shifts["sigma_dy"] = shifts.sigma_dx
    named, given_weights = (
        xoffset.invert(shifts, weights=weights, loss="linear") for weights in ("sigma", shifts.sigma_dx**-2.0)
    )
    for name in FIELDS:
        np.testing.assert_allclose(given_weights[name], named[name], rtol=1e-9, atol=1e-9)


@pytest.mark.small
@pytest.mark.parametrize("name", NETWORKS)
def test_date_variance(name):
    ends = np.sort(np.array(NETWORKS[name]), axis=1)
    variance = np.random.default_rng(0).uniform(0.01, 4.0, (len(ends), 3, 4))
    variance[np.random.default_rng(1).random(variance.shape) < 0.1] = np.nan
    out = np.empty((ends.max() + 1, 3, 4))
    solver.date_variance(ends, variance, out)
    for row, column in np.ndindex(3, 4):
        values = variance[:, row, column]
        used = np.isfinite(values)
        expected = twin.date_variance(ends[used], values[used], len(out))
        # single precision
        np.testing.assert_allclose(out[:, row, column], expected, rtol=1e-5)


def test_date_variance_finds_the_variances_of_the_dates():
    # a network with triangles tells them apart, after few updates least so the smallest
    true = np.array([0.1, 0.5, 1.0, 2.0, 0.3])
    ends = gaps_up_to(5, 4)
    out = np.empty((5, 1, 1))
    solver.date_variance(ends, true[ends].sum(axis=1)[:, None, None], out)
    np.testing.assert_allclose(out[:, 0, 0], true, rtol=0.2)


# ---------------------------------------------------------------------------------------------------------- smoothness


MONTHS = np.arange("2018-01", "2020-07", dtype="M8[M]").astype("M8[us]")
YEARS = in_years(MONTHS - MONTHS[0])


def of_series(along_x, sigma=0.1, noise=0.0, seed=0, pixels=40, gap=4):
    """Shifts of a motion (date,) along x and half as much along y, seen with noise of the dates."""
    ends = gaps_up_to(MONTHS.size, gap)
    errors = noise * np.random.default_rng(seed).standard_normal((2, MONTHS.size, 1, pixels))
    seen = np.stack([along_x, 0.5 * along_x])[:, :, None, None] + errors
    return make(ends, *(seen[:, ends[:, 1]] - seen[:, ends[:, 0]]), sigma=sigma, dates=MONTHS)


def test_little_smoothing_changes_a_smooth_motion_hardly():
    parabola = 2.0 * YEARS**2
    series = xoffset.invert(of_series(parabola, pixels=2), smooth=0.01, reference=MONTHS[0].astype(str))
    np.testing.assert_allclose(series.dx[:, 0, 0], parabola, atol=2e-3)


def test_strong_smoothing_gives_a_straight_line():
    series = xoffset.invert(of_series(2.0 * YEARS**2, pixels=2), smooth=1e4, reference=MONTHS[0].astype(str))
    slope, level = np.polyfit(YEARS, series.dx[:, 0, 0], 1)
    np.testing.assert_allclose(series.dx[:, 0, 0], slope * YEARS + level, atol=1e-3)
    # the line that fits the pairs best
    ends = gaps_up_to(MONTHS.size, 4)
    baseline, moved = (values[ends[:, 1]] - values[ends[:, 0]] for values in (YEARS, 2.0 * YEARS**2))
    np.testing.assert_allclose(slope, (baseline @ moved) / (baseline @ baseline), rtol=1e-4)
    np.testing.assert_allclose(series.dy, 0.5 * series.dx, atol=1e-9)


def test_strong_smoothing_follows_the_shape_of_the_prior():
    shifts = of_series(0.3 * YEARS, noise=0.1)
    shape = np.sin(2.0 * np.pi * YEARS)
    prior = xoffset.invert(shifts)
    prior["dx"].values[:], prior["dy"].values[:] = shape[:, None, None], 100.0 + YEARS[:, None, None] ** 2
    # what the prior does not know is steady
    prior["dx"].values[12:15, :, 20:] = np.nan
    series = xoffset.invert(shifts, smooth=1e5, prior=prior)
    for name, expected in (("dx", shape), ("dy", YEARS**2)):
        rest = series[name].values[:, 0, :20] - expected[:, None]
        slope, level = np.polyfit(YEARS, rest, 1)
        np.testing.assert_allclose(rest, np.outer(YEARS, slope) + level, atol=1e-3)
    change = np.diff(np.diff(series.dx[:, 0, 30]) / np.diff(YEARS))
    np.testing.assert_allclose(change[11:14], 0.0, atol=1e-3)
    assert abs(change[2]) > 0.1


def errors_of(series, truth):
    found = since(series)[:, :, 0]
    return found - np.stack([truth, 0.5 * truth], axis=1)[:, :, None]


def test_cross_validation_smooths_noise_away():
    truth = 2.0 * YEARS + 0.5 * YEARS**2
    shifts = of_series(truth, noise=0.1)
    plain, smooth = (free(errors_of(xoffset.invert(shifts, smooth=each), truth)) for each in (0.0, "gcv"))
    assert np.sqrt(np.mean(smooth**2)) < 0.6 * np.sqrt(np.mean(plain**2))


def test_cross_validation_keeps_a_season_in_noise():
    truth = 1.0 * np.sin(2.0 * np.pi * YEARS)
    shifts = of_series(truth, noise=0.1)
    plain, smooth = (free(errors_of(xoffset.invert(shifts, smooth=each), truth)) for each in (0.0, "gcv"))
    assert np.sqrt(np.mean(smooth**2)) < 0.85 * np.sqrt(np.mean(plain**2))


def test_cross_validation_leaves_a_rough_motion_without_noise():
    truth = np.cumsum(np.cumsum(np.random.default_rng(0).standard_normal(MONTHS.size)))
    truth += 3.0 * np.random.default_rng(1).standard_normal(MONTHS.size)
    series = xoffset.invert(of_series(truth, pixels=2), smooth="gcv")
    rough = truth - np.polyval(np.polyfit(YEARS, truth, 3), YEARS)
    assert np.sqrt(np.mean(free(errors_of(series, truth)[:, 0, 0]) ** 2)) < 0.1 * rough.std()


@pytest.mark.parametrize("smooth", [0.1, "gcv"])
def test_dates_without_pairs_stay_unknown_when_smoothing(smooth):
    shifts = of_series(2.0 * YEARS, noise=0.1)
    ends = ends_of(shifts)
    shifts["dx"].values[np.isin(ends, [7, 8]).any(axis=1), :, :20] = np.nan
    # and an island is none of its business
    shifts["dx"].values[(ends[:, 0] < 20) & (ends[:, 1] >= 20), :, :10] = np.nan
    series = xoffset.invert(shifts, smooth=smooth, reference=MONTHS[2].astype(str))
    assert np.isnan(series.dx[7:9, 0, :20]).all()
    assert (series.flags[7:9, 0, :20] == FLAGS["no_pairs"]).all()
    assert np.isnan(series.dx[20:, 0, :10]).all()
    assert (series.flags[20:, 0, :10] == FLAGS["disconnected"]).all()
    assert np.isfinite(series.dx[9:20]).all()
    assert np.isfinite(series.dx[:, 0, 20:]).all()
    # the gap costs little elsewhere
    errors = errors_of(series, 2.0 * YEARS)
    assert np.sqrt(np.mean((errors[9:20] - errors[2]) ** 2)) < 0.15
    assert (series.sigma_dx[9:20] > 0.0).all()


# ----------------------------------------------------------------------------------------------------------- reference


@pytest.mark.parametrize("name", VARIANTS)
def test_another_reference_is_a_shift(plain, name):
    shifts = plain.isel(x=slice(4, None))
    dates = np.unique(shifts.reference).astype(str)
    options = {key: value for key, value in VARIANTS[name].items() if key != "islands"}
    first, second, mean = (
        xoffset.invert(shifts, **options, reference=each) for each in (dates[0], dates[3], [dates[1], dates[3]])
    )
    assert mean.attrs["reference"] == f"{dates[1]}, {dates[3]}"
    for other, chosen in ((second, [3]), (mean, [1, 3])):
        # not every place has both
        same = (first.flags == other.flags).all("time") & np.isfinite(other.dx[chosen]).all("time")
        assert same.sum() > 20
        for each in ("dx", "dy"):
            np.testing.assert_allclose(other[each][chosen].mean("time").where(same, 0.0), 0.0, atol=1e-12)
            moved = (first[each] - first[each][chosen].mean("time")).where(same)
            np.testing.assert_allclose(moved, other[each].where(same), atol=1e-9)
            xr.testing.assert_allclose(first[f"sigma_{each}"].where(same), other[f"sigma_{each}"].where(same))


def test_the_mean_of_several_dates_must_be_connected():
    shifts = moving(NETWORKS["islands"], MOTION[:5])
    dates = irregular(5).astype(str)
    series = xoffset.invert(shifts, reference=[dates[0], dates[3]])
    assert (series.flags == FLAGS["no_reference"]).all()
    together = xoffset.invert(shifts, reference=[dates[2], dates[3]])
    np.testing.assert_allclose(together.dx[2:4].mean("time"), 0.0, atol=1e-12)
    assert np.isnan(together.dx[:2]).all()


def test_a_reference_under_clouds_is_flagged_and_a_better_one_named():
    ends = gaps_up_to(6, 5)
    shifts = moving(ends, MOTION[:6], shape=(10, 10))
    dates = irregular(6).astype(str)
    clouds = (ends == 0).any(axis=1)
    shifts["dx"].values[clouds, :3] = np.nan
    # date 1 has few pairs but everywhere; date 2 and later lack a corner
    shifts["dx"].values[(ends >= 2).any(axis=1) & ~(ends == 1).any(axis=1), -1:, -1:] = np.nan
    series = xoffset.invert(shifts, reference=dates[0])
    assert (series.flags[:, :3] == FLAGS["no_reference"]).all()
    assert np.isnan(series.dx[:, :3]).all()
    assert np.isfinite(series.dx[:, 3:]).all()
    assert series.attrs["better_reference"] == dates[1]
    assert np.isfinite(xoffset.invert(shifts, reference=series.attrs["better_reference"]).dx[1:]).all()
    # lazy shifts do not know, and a good reference needs no better one
    assert "better_reference" not in xoffset.invert(shifts.chunk(), reference=dates[0]).attrs
    assert "better_reference" not in xoffset.invert(shifts, reference=dates[2]).attrs


def test_the_best_connected_date_is_named():
    shifts = moving([(0, 1), (1, 0), (0, 1), (2, 1), (3, 2), (2, 4), (3, 4)], MOTION[:5])
    dates = irregular(5).astype(str)
    series = xoffset.invert(shifts, reference=dates[0])
    assert series.attrs["best_connected"] == dates[2]
    assert xoffset.invert(shifts).attrs["reference"] == dates[2]


# ------------------------------------------------------------------------------------------------------- stable ground


def test_stable_ground_tells_where_the_images_went():
    dates = ["2020-01-01", "2020-03-01", "2020-06-01", "2020-10-01"]
    stack, truth = synthetic.stack((192, 192), dates=dates, velocity=20.0, misregistration=4.0, snr=6.0, seed=3)
    still = np.hypot(truth.vx, truth.vy) < 0.01
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), template=24, search=5, step=12)
    series = xoffset.invert(shifts, stable=still, reference=dates[0])
    for axis in ("dx", "dy"):
        np.testing.assert_allclose(series[f"geolocation_{axis}"], truth[f"misregistration_{axis}"], atol=0.2)
        assert np.abs(truth[f"misregistration_{axis}"]).max() > 2.0
        # it is reported, not taken away
        moved = series[axis].where(still.sel(x=series.x, y=series.y, method="nearest").values)
        np.testing.assert_allclose(moved.median(("y", "x")), truth[f"misregistration_{axis}"], atol=0.3)
    plain = xoffset.invert(shifts, reference=dates[0])
    xr.testing.assert_identical(series.dx.drop_attrs(), plain.dx.drop_attrs())
    other = xoffset.invert(shifts, stable=still, reference=dates[2])
    np.testing.assert_allclose(other.geolocation_dx, series.geolocation_dx - series.geolocation_dx[2], atol=1e-6)


def noisy_date(times=3.0, pixels=(24, 25)):
    """Shifts of 7 dates, one of which has so many times the noise that its standard errors say."""
    of_dates = np.full(7, 0.1)
    of_dates[4] *= times
    shifts = with_errors(gaps_up_to(7, 6), of_dates, 0.0, pixels=pixels[0] * pixels[1], seed=7)
    fields = {name: shifts[name].values.reshape(-1, *pixels) for name in FIELDS}
    fields["sigma_dx"][:] = fields["sigma_dy"][:] = 0.1 * np.sqrt(2.0)
    return make(ends_of(shifts), **{k: fields[k] for k in ("dx", "dy")}, sigma=fields["sigma_dx"])


def still_on(shifts, value=True):
    return xr.DataArray(np.full(shifts.dx.shape[1:], value), coords={"y": shifts.y, "x": shifts.x}, dims=("y", "x"))


def test_stable_ground_scales_the_sigma_of_a_bad_date():
    shifts = noisy_date()
    plain, scaled = xoffset.invert(shifts), xoffset.invert(shifts, stable=still_on(shifts))
    factor = (scaled.sigma_dx / plain.sigma_dx).median(("y", "x"))
    np.testing.assert_allclose(factor[4], 3.0, rtol=0.15)
    np.testing.assert_allclose(factor[[0, 1, 2, 3, 5, 6]], 1.0, atol=0.25)
    assert 0.85 < spread_of(scaled, 3) < 1.15
    assert spread_of(plain, 3) > 2.0
    # one component alone may be bad
    shifts["dy"].values[:] = 0.1 * shifts.dy.values
    other = xoffset.invert(shifts, stable=still_on(shifts))
    np.testing.assert_allclose(other.sigma_dx, scaled.sigma_dx)
    assert float((other.sigma_dy / plain.sigma_dy).max()) < 0.5


def test_ground_that_moves_is_kept_out_of_the_errors():
    shifts = noisy_date()
    stable = still_on(shifts)
    stable[:12] = False
    expected = xoffset.invert(shifts, stable=stable)
    shifts["dx"].values[:, :12] += 5.0 * np.random.default_rng(0).standard_normal(shifts.dx[:, :12].shape)
    found = xoffset.invert(shifts, stable=stable)
    xr.testing.assert_identical(found.isel(y=slice(12, None)), expected.isel(y=slice(12, None)))


@pytest.mark.parametrize("cut", [(3, 7, 5), (21, 24, 25)])
def test_stable_ground_lazily(cut):
    shifts = noisy_date()
    stable = still_on(shifts)
    stable[3:9, 4:11] = False
    shifts["dx"].values[2, ::2] = np.nan
    expected = xoffset.invert(shifts, stable=stable)
    lazy = shifts.chunk(dict(zip(shifts.dx.dims, cut, strict=True)))
    for mask in (stable, stable.chunk(y=7)):
        found = xoffset.invert(lazy, stable=mask)
        assert all(found[name].chunks for name in ("dx", "geolocation_dx"))
        xr.testing.assert_identical(found.compute(), expected.drop_attrs(deep=False).assign_attrs(found.attrs))


def test_a_pair_without_stable_ground_tells_no_geolocation():
    shifts = noisy_date().isel(pair=slice(None))
    ends = ends_of(shifts)
    shifts["dx"].values[(ends == 6).any(axis=1), :, :-1] = np.nan
    stable = still_on(shifts)
    stable[:, -1] = False
    series = xoffset.invert(shifts, stable=stable)
    assert np.isnan(series.geolocation_dx[6])
    assert np.isfinite(series.geolocation_dx[:6]).all()
    # what is not known is left as it is
    plain = xoffset.invert(shifts)
    xr.testing.assert_allclose(series.sigma_dx[6], plain.sigma_dx[6])


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("loss", LOSSES)
def test_one_pair(loss):
    series = xoffset.invert(make([(0, 1)], [3.0], [-4.0], sigma=0.2), loss=loss)
    np.testing.assert_allclose(since(series)[1, :, 0, 0], [3.0, -4.0])
    # the noise of the solution is greater for "l1", as far as it is the pair's own
    np.testing.assert_allclose(series.sigma_dx, 0.2 / np.sqrt(2.0), rtol=0.01 if loss == "l1" else 1e-7)
    assert (series.flags == 0).all()
    assert (series.rms == 0.0).all()
    # nothing tells it
    np.testing.assert_allclose(series.pair_share, 0.03)


@pytest.mark.parametrize("smooth", [0.3, "gcv"])
@pytest.mark.parametrize("ends", [[(0, 1)], [(0, 2)], [(0, 1), (1, 2)]])
def test_few_dates_cannot_be_smoothed_and_are_not(ends, smooth):
    shifts = moving(ends, MOTION[:3], dates=irregular(max(map(max, ends)) + 1))
    series = xoffset.invert(shifts, smooth=smooth)
    if len(ends) == 1:
        np.testing.assert_allclose(since(series), since(xoffset.invert(shifts)), atol=1e-12)
    assert np.isfinite(series.dx).all()
    assert np.isfinite(series.sigma_dx).all()


def spoil(name, value, missing="dx", chosen=([2, 5], 1)):
    """Shifts of a network, those with a wrong value in some pairs, and those in which these are missing."""
    shifts = noisy(gaps_up_to(6, 3), 4, missing=0.0)
    spoilt, without = shifts.copy(deep=True), shifts.copy(deep=True)
    spoilt[name].values[chosen] = value
    without[missing].values[chosen] = np.nan
    return shifts, spoilt, without


@pytest.mark.parametrize("name", ["sigma_dx", "sigma_dy"])
@pytest.mark.parametrize("value", [np.nan, 0.0, -1.0, np.inf])
def test_a_pair_without_a_proper_sigma_takes_no_part(name, value):
    shifts, spoilt, without = spoil(name, value)
    xr.testing.assert_identical(xoffset.invert(spoilt), xoffset.invert(without))
    # other weights need none; the mean of the others stands for it
    uniform = xoffset.invert(spoilt, weights="uniform")
    xr.testing.assert_identical(uniform.dx, xoffset.invert(shifts, weights="uniform").dx)
    assert np.isfinite(uniform.sigma_dx).all()
    assert (uniform.n_pairs == shifts.sizes["pair"]).all()


@pytest.mark.parametrize("name", ["dx", "dy"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_displacement_is_none(name, value):
    _, spoilt, without = spoil(name, value)
    xr.testing.assert_identical(xoffset.invert(spoilt), xoffset.invert(without))


@pytest.mark.parametrize("by_pixel", [False, True])
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_weight_takes_a_pair_out(value, by_pixel):
    shifts = noisy(gaps_up_to(6, 3), 4, missing=0.0)
    weights = np.full(shifts.dx.shape if by_pixel else shifts.dx.shape[:1], 2.0)
    weights[[2, 5]] = value
    found = xoffset.invert(shifts, weights=weights)
    expected = xoffset.invert(
        shifts.isel(pair=np.setdiff1d(np.arange(shifts.sizes["pair"]), [2, 5])), weights="uniform"
    )
    for name in (*FIELDS, "flags", "n_pairs", "rms"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("by_pixel", [False, True])
def test_a_weight_takes_one_of_several_matches_out(by_pixel):
    shifts = noisy(gaps_up_to(6, 3), 4, missing=0.0)
    bad = shifts.isel(pair=[2, 5]).assign(dx=lambda data: data.dx + 70.0)
    for both in ([shifts, bad], [bad, shifts]):
        together = xr.concat(both, "pair")
        weights = np.where(np.isin(np.arange(together.sizes["pair"]), [0, 1] if both[0] is bad else [12, 13]), 0.0, 1.0)
        assert together.sizes["pair"] == 14
        if by_pixel:
            weights = np.broadcast_to(weights[:, None, None], together.dx.shape).copy()
        found, expected = xoffset.invert(together, weights=weights), xoffset.invert(shifts, weights="uniform")
        np.testing.assert_allclose(since(found), since(expected), atol=1e-9)


@pytest.mark.parametrize("value", [-1.0, np.inf])
def test_lazy_weights_that_cannot_be_take_the_pair_out(value):
    shifts = noisy(gaps_up_to(6, 3), 4, missing=0.0)
    weights = xr.ones_like(shifts.dx)
    weights[[2, 5], 1] = value
    found = xoffset.invert(shifts, weights=weights.chunk(y=1)).compute()
    expected = xoffset.invert(shifts, weights=weights.where(np.isfinite(weights) & (weights > 0.0), 0.0))
    xr.testing.assert_identical(found.drop_attrs(), expected.drop_attrs())


def test_weights_follow_the_order_of_the_shifts():
    shifts = noisy(gaps_up_to(6, 3), 4, missing=0.0)
    weights = np.random.default_rng(0).uniform(0.1, 9.0, shifts.sizes["pair"])
    order = np.random.default_rng(1).permutation(shifts.sizes["pair"])
    for given_weights in (weights, np.broadcast_to(weights[:, None, None], shifts.dx.shape)):
        found = xoffset.invert(shifts.isel(pair=order), weights=given_weights[order])
        xr.testing.assert_identical(found, xoffset.invert(shifts, weights=given_weights))


@pytest.mark.parametrize("dims", [("pair",), ("pair", "y", "x")])
def test_labelled_and_lazy_weights(dims):
    shifts = noisy(gaps_up_to(6, 3), 4, missing=0.0)
    weights = (
        xr.ones_like(shifts.dx) if len(dims) == 3 else xr.ones_like(shifts.dx[:, 0, 0], dtype=float).drop_vars("x")
    )
    weights = weights.drop_vars("y", errors="ignore") if len(dims) == 1 else weights
    weights = weights.copy(data=np.random.default_rng(0).uniform(0.1, 9.0, weights.shape))
    expected = xoffset.invert(shifts, weights=weights.values)
    xr.testing.assert_identical(xoffset.invert(shifts, weights=weights), expected)
    # the dates stay loaded
    fields = shifts.assign({name: shifts[name].copy(data=shifts[name].chunk(y=1).data) for name in shifts.data_vars})
    for each in (weights.copy(data=weights.chunk().data), weights.chunk().data):
        with dask.config.set(scheduler=refuse):
            lazy = xoffset.invert(fields, weights=each)
        xr.testing.assert_allclose(lazy.compute().drop_attrs(), expected.drop_attrs(), rtol=1e-12)


def refuse(*_, **__):
    raise AssertionError("computed early")


@pytest.mark.parametrize("value", [1e-30, 1e30])
def test_a_sigma_beyond_all_sense_is_none(value):
    _, spoilt, without = spoil("sigma_dx", value, missing="sigma_dx", chosen=2)
    xr.testing.assert_identical(xoffset.invert(spoilt), xoffset.invert(without))
    uniform = xoffset.invert(spoilt, weights="uniform")
    assert np.isfinite(uniform.sigma_dx).all()
    assert np.isfinite(uniform.pair_share).all()


def test_smoothness_that_drowns_the_pairs_is_told():
    series = xoffset.invert(noisy(gaps_up_to(6, 3), 4, missing=0.0), smooth=1e12)
    lost = np.isnan(series.dx)
    assert lost.any()
    assert (series.flags.where(lost, 0) == lost * FLAGS["not_converged"]).all()


def test_a_reference_may_be_labelled_and_counts_once():
    shifts = noisy(gaps_up_to(6, 3), 4, missing=0.0)
    dates = np.unique(shifts.reference)
    expected = xoffset.invert(shifts, reference=[dates[1], dates[3]])
    for reference in ([dates[3], dates[1], dates[3]], xr.DataArray(dates[[1, 3]]), pd.Series(dates[[1, 3]])):
        xr.testing.assert_identical(xoffset.invert(shifts, reference=reference), expected)
    xr.testing.assert_allclose(xoffset.rereference(expected, [dates[1], dates[3]]).dx, expected.dx, atol=1e-12)


def test_a_network_of_ten_thousand_pairs():
    ends = gaps_up_to(142, 141)
    assert len(ends) > 10_000
    motion = np.cumsum(np.random.default_rng(0).standard_normal((142, 2)), axis=0)
    shifts = moving(
        ends, motion, shape=(1, 1), dates=np.datetime64("2015-01-01", "us") + np.arange(142) * 86400000000 * 12
    )
    shifts["dx"].values[::50] += 30.0
    series = xoffset.invert(shifts, loss="tukey")
    np.testing.assert_allclose(since(series)[:, :, 0, 0], motion - motion[0], atol=1e-2)
    assert int(series.n_outliers[0, 0]) == len(range(0, len(ends), 50))


def test_dates_within_one_day():
    dates = np.datetime64("2020-01-01", "us") + np.array([0, 90, 3600, 40000, 80000]).astype("m8[s]")
    for smooth in (0.0, 1e-6, "gcv"):
        series = xoffset.invert(moving(gaps_up_to(5, 4), 0.1 * MOTION[:5], dates=dates), smooth=smooth)
        np.testing.assert_array_equal(series.time, dates)
        assert np.isfinite(series.dx).all()
        if not smooth:
            np.testing.assert_allclose(since(series)[:, :, 0, 0], 0.1 * MOTION[:5], atol=1e-9)


@pytest.mark.parametrize("name", VARIANTS)
def test_single_precision(plain, name):
    single = xoffset.invert(plain.drop_vars("flags", errors="ignore").astype("float32"), **VARIANTS[name])
    double = xoffset.invert(plain, **VARIANTS[name])
    assert single.dx.dtype == single.sigma_dx.dtype == np.float32
    np.testing.assert_array_equal(single.n_pairs, double.n_pairs)
    # a pair at the threshold of a loss may count a little more or less
    for each in ("dx", "sigma_dy"):
        apart = np.abs(single[each] - double[each])
        assert float(apart.median()) < 1e-5
        assert float(apart.quantile(0.95)) < 2e-2


# -------------------------------------------------------------------------------------------------------------- chunks


WAYS = VARIANTS | {
    "array": {"weights": np.linspace(0.5, 2.0, 18)},
    "array, smooth, prior": {"weights": "map", "smooth": 0.02, "prior": True},
    "uniform, linear": {"weights": "uniform", "loss": "linear"},
    "long_baseline, mean": {"weights": "long_baseline", "reference": "mean"},
}


def options_of(name, shifts, chunks=None):
    """Options with their arrays, cut as the shifts are."""
    options = dict(WAYS[name])
    if isinstance(options.get("weights"), str) and options["weights"] == "map":
        options["weights"] = xr.DataArray(
            np.random.default_rng(3).uniform(0.1, 2.0, shifts.dx.shape), dims=shifts.dx.dims
        )
    if options.pop("prior", False):
        options["prior"] = xoffset.invert(shifts, smooth=0.5)
    if options.pop("reference", None):
        options["reference"] = np.unique(shifts.reference)[[0, 2]]
    if chunks:
        for key, value in options.items():
            if isinstance(value, (xr.DataArray, xr.Dataset)):
                options[key] = value.chunk({dim: size for dim, size in chunks.items() if dim in value.dims})
    return options


@pytest.mark.parametrize(
    "cut", [{"pair": 18, "y": 2, "x": 4}, {"pair": 5, "y": 7, "x": 1}, {"pair": 1, "y": 3, "x": 9}]
)
@pytest.mark.parametrize("name", WAYS)
def test_chunks_change_no_bit(plain, name, cut):
    assert plain.sizes["pair"] == 18
    expected = xoffset.invert(plain, **options_of(name, plain))
    found = xoffset.invert(plain.chunk(cut), **options_of(name, plain, cut))
    assert found.chunks
    xr.testing.assert_identical(found.compute(), expected.assign_attrs(found.attrs))


@pytest.mark.parametrize("cores", [1, 2, 7])
def test_threads_change_no_bit(plain, cores, monkeypatch):
    wide = xr.concat([plain] * 9, "x").assign_coords(x=80.0 * np.arange(81))
    expected = {name: xoffset.invert(wide, **VARIANTS[name]) for name in ("default", "gcv, tukey")}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    for name, series in expected.items():
        xr.testing.assert_identical(xoffset.invert(wide, **VARIANTS[name]), series)


@pytest.mark.parametrize("lanes", [(1, 1), (3, 3), (16, 16), (1, 40)])
@pytest.mark.parametrize("name", WAYS)
def test_a_place_knows_nothing_of_its_company(plain, name, lanes, monkeypatch):
    options = options_of(name, plain)
    expected = xoffset.invert(plain, **options)
    monkeypatch.setattr(solver, "LANES", lanes)
    xr.testing.assert_identical(xoffset.invert(plain, **options), expected)


@pytest.mark.parametrize("name", WAYS)
def test_a_place_alone_is_the_same_place(plain, name):
    options = options_of(name, plain)
    expected = xoffset.invert(plain, **options)
    for row, column in ((0, 0), (3, 4), (6, 8), (2, 7)):
        here = {"y": [row], "x": [column]}
        alone = {
            key: value.isel(here) if isinstance(value, (xr.DataArray, xr.Dataset)) else value
            for key, value in options.items()
        }
        # the best reference of the whole need not be that of one place
        alone.setdefault("reference", expected.attrs["reference"])
        found = xoffset.invert(plain.isel(here), **alone)
        xr.testing.assert_identical(found.drop_attrs(deep=False), expected.isel(here).drop_attrs(deep=False))
