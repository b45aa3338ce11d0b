"""What the noise of pairs adds to the velocity of a series beyond the noise of its dates."""

import numpy as np
import pytest
import reference_inversion as twin
import xarray as xr

import xoffset
from xoffset._arrays.networks import adjustment, graph, linear, solver, strips
from xoffset._kernels.networks import chains, groups, variances
from xoffset.model import products


def split(ends, of_pairs, dates):
    """Variances of the dates (2, date, lanes), and what none is below."""
    of_pairs = np.float32(of_pairs)
    of_date, least, work = np.empty((3, 2, dates, of_pairs.shape[-1]), np.float32)
    for axis in range(2):
        variances.split(ends, of_pairs[axis], of_date[axis], least[axis], work)
    return of_date.astype(np.float64), least


def found(ends, times, of_dates, of_pairs, share, factor=None, state=None):
    """Result (2, lanes) for pixels side by side: variances of dates and pairs (2, ..., lanes), share (lanes)."""
    factor = np.ones((2, times.size)) if factor is None else factor
    network = strips.Network.of(ends, graph.envelope(times.size, ends), np.array([0]), times, factor)
    s = strips.strip(len(ends), np.float64, network, share.size, False)
    s.variance[:] = of_pairs
    s.of_date[:], s.least_of_date[:] = split(ends, of_pairs, times.size)
    known = np.isfinite(of_pairs).all(axis=0)
    s.weight[:] = s.effective[:] = np.where(known, 2.0 / of_pairs.sum(axis=0), 0.0)
    s.n_pairs[:] = known.sum(axis=0)
    s.is_blind[:] = s.n_pairs == 0.0
    adjustment._group(network, s, groups.NAN, is_smooth=False)
    linear.prepare(network, s)
    s.factor[:], s.share[:] = s.band, share
    if state is not None:
        s.state[:] = state
    out = np.empty((2, share.size))
    growth = graph.growth(times, ends)
    solver.slope_variance(network, s, growth, of_dates, out)
    return out


def scaled(ends, times, of_dates):
    """Variance of a line through dates weighted by their variances, if drift grows as the network says it does."""
    weight = np.where(np.isfinite(of_dates).all(axis=0), 2.0 / of_dates.sum(axis=0), 0.0)
    centred = times - (weight @ times) / weight.sum()
    behind = np.cumsum((weight * centred / (weight @ centred**2))[::-1])[::-1][1:]
    return np.diff(graph.growth(times, ends)) @ behind**2


def exact(ends, times, of_dates, of_pairs, share):
    """The same (2,) from the covariance of the least-squares series, in full."""
    known = np.isfinite(of_dates).all(axis=0)
    design = np.zeros((len(ends), times.size))
    design[np.arange(len(ends)), ends[:, 0]], design[np.arange(len(ends)), ends[:, 1]] = -1.0, 1.0
    halves = [[0.5 * np.nanmin(of_pairs[axis][(ends == k).any(axis=1)]) for k in range(times.size)] for axis in (0, 1)]
    alone = split(ends, of_pairs[..., None], times.size)[0][..., 0]
    is_used = np.isfinite(of_pairs).all(axis=0) & known[ends].all(axis=1)
    design, ends, of_pairs = design[is_used], ends[is_used], of_pairs[:, is_used]
    weight = np.diag(1.0 / of_pairs.mean(axis=0))
    solve = np.linalg.pinv(design.T @ weight @ design) @ design.T @ weight
    of_date = np.where(known, 2.0 / np.where(known, of_dates, 1.0).sum(axis=0), 0.0)
    centred = times - (of_date @ times) / of_date.sum()
    lever = of_date * centred / (of_date @ centred**2)
    result = []
    for axis in range(2):
        least = np.array(halves[axis])
        own = share * of_pairs[axis]
        own += (1.0 - share) * np.maximum(of_pairs[axis] - 1.5 * least[ends].sum(axis=1), 0.0)
        held = np.where(lever != 0.0, np.maximum(of_dates[axis] - (1.0 - share) * alone[axis], 0.0), 0.0)
        gain = lever @ solve
        result.append(max(gain @ np.diag(own) @ gain - lever**2 @ held, 0.0))
    return np.array(result)


@pytest.mark.small
@pytest.mark.parametrize("share", [0.05, 1.0])
@pytest.mark.parametrize("longest", [1, 2, 5, 11])
def test_the_drift_of_any_network_is_exact(longest, share):
    generator = np.random.default_rng(longest)
    dates = 12
    times = np.cumsum(generator.uniform(0.05, 0.4, dates))
    first, second = np.triu_indices(dates, 1)
    ends = np.stack([first, second], axis=1)[second - first <= longest]
    of_pairs = generator.uniform(1.0, 4.0, (2, len(ends))).astype(np.float32).astype(np.float64)
    if longest == 5:
        of_pairs[:, generator.random(len(ends)) < 0.3] = np.nan
    of_dates = generator.uniform(0.02, 0.1, (2, dates))
    if longest == 1:
        # the end of the chain is cut off
        of_dates[:, 10:] = np.nan
    expected = exact(ends, times, of_dates, of_pairs, share) / scaled(ends, times, of_dates)
    given = of_dates[..., None], of_pairs[..., None], np.full(1, share)
    np.testing.assert_allclose(found(ends, times, *given)[:, 0], expected, rtol=1e-9, atol=1e-12)
    assert (expected > 0.0).any()
    # neither the order of the pairs nor the origin of time matters
    order = generator.permutation(len(ends))
    other = found(ends[order], times + 30.0, of_dates[..., None], of_pairs[:, order, None], np.full(1, share))
    np.testing.assert_allclose(other[:, 0], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.small
@pytest.mark.parametrize("longest", [1, 3])
def test_growth_makes_the_variance_of_a_line_that_of_the_network(longest):
    """Two islands of which one is known: the walk of a chain has a step for each pair."""
    times = np.arange(9) / 10.0
    ends = np.array([(i, j) for i in range(9) for j in range(i + 1, min(i + 1 + longest, 9))])
    growth = graph.growth(times, ends)
    centred = times - times.mean()
    lever = centred / (centred @ centred)
    design = np.zeros((len(ends), 9))
    design[np.arange(len(ends)), ends[:, 0]], design[np.arange(len(ends)), ends[:, 1]] = -1.0, 1.0
    network = lever @ np.linalg.pinv(design.T @ design) @ lever
    behind = np.cumsum(lever[::-1])[::-1][1:]
    np.testing.assert_allclose(np.diff(growth) @ behind**2, 1.0)
    if longest == 1:
        np.testing.assert_allclose(np.diff(growth), 1.0 / network)
    apart = graph.growth(times, ends[(ends < 4).all(axis=1) | (ends >= 4).all(axis=1)])
    assert apart[3] == apart[4]
    assert (np.delete(np.diff(apart), 3) > 0.0).all()


@pytest.mark.small
def test_what_nothing_tells_is_unknown():
    ends, times = np.array([[0, 1], [1, 2]]), np.array([0.0, 1.0, 2.0])
    dates, pairs = np.ones((2, 3, 1)), np.full((2, 2, 1), 2.0)
    some, nothing = np.full(1, 0.05), np.full_like
    assert (found(ends, times, 0.01 * dates, pairs, some) > 0.0).all()
    assert np.isnan(found(ends, times, dates, pairs, np.full(1, np.nan))).all()
    assert np.isnan(found(ends, times, dates, nothing(pairs, np.nan), some)).all()
    assert np.isnan(found(ends, times, nothing(dates, np.nan), pairs, some)).all()
    one = dates.copy()
    one[:, 1:] = np.nan
    assert np.isnan(found(ends, times, one, pairs, some)).all()
    # dates of islands take no part in a line
    assert np.isnan(found(ends, times, dates, pairs, some, state=groups.DISCONNECTED)).all()


@pytest.mark.small
def test_no_pixel_depends_on_its_neighbours():
    generator = np.random.default_rng(0)
    ends = np.array([[0, 1], [1, 2], [0, 2], [2, 3], [3, 4], [2, 4]])
    times, factor = np.array([0.0, 0.3, 0.5, 0.9, 1.4]), generator.uniform(0.5, 2.0, (2, 5))
    of_dates, of_pairs = generator.uniform(0.5, 2.0, (2, 5, 140)), generator.uniform(1.0, 4.0, (2, 6, 140))
    share = generator.random(140)
    of_pairs[generator.random(of_pairs.shape) < 0.1] = np.nan
    together = found(ends, times, of_dates, of_pairs, share, factor)
    for column in range(140):
        one = slice(column, column + 1)
        alone = found(ends, times, of_dates[..., one], of_pairs[..., one], share[one], factor)
        np.testing.assert_array_equal(alone, together[:, one])


def made(noise_of_dates, noise_of_pairs, generator, ends=None, missing=0.0, side=20, dtype="float64"):
    """Shifts of ground that does not move, every 30 days; a chain of 10 dates unless pairs are given."""
    ends = chain(10) if ends is None else ends
    moment = np.datetime64("2020-01-01", "us") + 30 * np.arange(ends.max() + 1) * np.timedelta64(1, "D")
    of_dates = noise_of_dates * generator.standard_normal((2, moment.size, side, side))
    of_pairs = noise_of_pairs * generator.standard_normal((2, len(ends), side, side))
    sigma = np.full((len(ends), side, side), np.sqrt(2.0 * noise_of_dates**2 + noise_of_pairs**2))
    values = of_dates[:, ends[:, 1]] - of_dates[:, ends[:, 0]] + of_pairs
    values[:, generator.random(values.shape[1:]) < missing] = np.nan
    fields = {"dx": values[0], "dy": values[1], "sigma_dx": sigma, "sigma_dy": sigma}
    fields = {name: field.astype(dtype) for name, field in fields.items()}
    grid = 10.0 * np.arange(side)
    like = products.stack(np.zeros((1, side, side)), time=moment[:1], x=grid, y=-grid, crs=None, attrs={})
    return products.shifts(
        fields, products.network(moment[ends[:, 0]], moment[ends[:, 1]]), x=grid, y=-grid, like=like, step={}
    )


def gaps_up_to(dates, longest):
    return np.array([(i, j) for i in range(dates) for j in range(i + 1, min(i + 1 + longest, dates))])


def spread(rate, *names):
    """Root mean square of the errors over their standard errors, where the truth is zero."""
    z = np.concatenate([(rate[name] / rate[f"sigma_{name}"]).values.ravel() for name in names])
    return np.sqrt(np.nanmean(z**2))


@pytest.mark.parametrize(
    ("longest", "missing", "share"), [(3, 0.0, 0.05), (5, 0.3, 0.9), (8, 0.0, 0.3), (29, 0.0, 0.5)]
)
def test_what_is_fitted_to_a_series_holds_the_noise_of_its_pairs(longest, missing, share):
    shifts = made(
        np.sqrt(0.5 * (1.0 - share)), np.sqrt(share), np.random.default_rng(3), gaps_up_to(30, longest), missing
    )
    series = shifts.offset.invert()
    rate = series.offset.velocity()
    assert 0.9 < spread(rate, "vx", "vy") < 1.1
    event = np.datetime64("2021-04-01")
    assert 0.8 < spread(series.offset.coseismic(event), "dx", "dy") < 1.1
    assert 0.7 < spread(series.offset.decompose(acceleration=True), "vx", "vy", "ax", "ay") < 1.1
    # of a part of the dates too
    assert 0.8 < spread(series.isel(time=slice(12)).offset.velocity(), "vx", "vy") < 1.1
    names = ["sigma_drift_dx", "sigma_drift_dy"]
    without = series.drop_vars(names).offset.velocity()
    xr.testing.assert_equal(rate.vx, without.vx)
    if longest == 5:
        assert spread(without, "vx", "vy") > 1.4


def chain(dates):
    return np.stack([np.arange(dates - 1), np.arange(1, dates)], axis=1)


@pytest.mark.parametrize("share", [0.03, 0.5, 1.0])
def test_a_long_chain_tells_whose_noise_it_has(share):
    """Noise of the dates makes neighbouring changes alternate, that of the pairs does not."""
    shifts = made(np.sqrt(0.5 * (1.0 - share)), np.sqrt(share), np.random.default_rng(1), chain(60), dtype="float32")
    series = shifts.offset.invert()
    assert str(series.sigma_drift_dx.dtype) == "float32"
    assert abs(float(series.pair_share.mean()) - share) < 0.15
    error = np.hypot(series.sigma_dx, series.sigma_dx.isel(time=1))
    z = (series.dx - series.dx.isel(time=1)) / error
    assert 0.9 < float(np.sqrt((z.isel(time=slice(2, None)) ** 2).mean())) < 1.2
    assert 0.85 < spread(series.offset.velocity(), "vx", "vy") < 1.2
    assert 0.85 < spread(shifts.offset.velocity(), "vx", "vy") < 1.2


@pytest.mark.parametrize("share", [0.03, 0.25, 1.0])
def test_of_short_chains_the_scene_tells(share):
    """A pixel of ten dates hardly does; of one alone experience is kept to."""
    shifts = made(np.sqrt(0.5 * (1.0 - share)), np.sqrt(share), np.random.default_rng(1))
    series = shifts.offset.invert()
    assert abs(float(series.pair_share.mean()) - share) < 0.2
    for rate in (series.offset.velocity(), shifts.offset.velocity(), shifts.offset.mean_velocity()):
        assert 0.8 < spread(rate, "vx", "vy") < 1.25
    shares = [float(shifts.isel(y=[k], x=[k]).offset.invert().pair_share.mean()) for k in range(20)]
    assert 0.015 < np.mean(shares) < max(0.05, 0.5 * share)


def test_parts_of_a_scene_have_shares_of_their_own():
    """One half has noise of its pairs, the other that of its dates: each pixel is told by its own changes too."""
    parts = [made(*noise, np.random.default_rng(1), chain(16)) for noise in ((0.7, 0.17), (0.2, 1.0))]
    parts[1] = parts[1].assign_coords(x=parts[1].x + 200.0)
    series = xr.concat(parts, "x").offset.invert()
    share = [float(part.pair_share.median()) for part in (series.isel(x=slice(20)), series.isel(x=slice(20, None)))]
    assert share[0] < 0.15
    assert share[1] > 0.6


@pytest.mark.parametrize("cut", [(3, 31), (63, 17)])
def test_the_scene_tells_the_same_in_any_blocks(cut):
    """More nodes than are looked at; of lazy shifts all is counted when it is computed."""
    shifts = made(0.3, 0.5, np.random.default_rng(4), chain(6), missing=0.1, side=66, dtype="float32")
    lazy = shifts.chunk({"pair": 2, "y": cut[0], "x": cut[1]})
    reference = str(shifts.reference.values[0])
    for call in (
        lambda given: xoffset.invert(given, reference=reference),
        lambda given: xoffset.invert(given, reference=reference, stable=xr.ones_like(shifts.dx[0], bool)),
        xoffset.velocity,
        xoffset.mean_velocity,
        xoffset.interval_velocity,
    ):
        expected, found = call(shifts), call(lazy)
        assert all(found[name].chunks for name in found.data_vars if found[name].ndim > 1)
        drop = [name for name in ("better_reference",) if name in expected.attrs]
        expected.attrs = {name: value for name, value in expected.attrs.items() if name not in drop}
        xr.testing.assert_identical(found.compute(), expected)


def test_three_dates_tell_nothing():
    # three dates have two changes, which a velocity and a scale explain
    assert (made(0.0, 1.0, np.random.default_rng(1), chain(3)).offset.invert().pair_share == 0.03).all()


@pytest.mark.small
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_the_share_that_changes_show_is_that_of_dense_algebra(missing):
    """Dates between that pairs leave out, and groups apart; the twin has the whole covariance of the changes."""
    generator = np.random.default_rng(7)
    dates, lanes = 12, 40
    times = np.cumsum(generator.uniform(0.05, 0.4, dates))
    ends = gaps_up_to(dates, 2)[[0, 2, 4, 5, 7, 8, 10, 12, 14, 16]]
    network = strips.Network.of(ends, graph.envelope(dates, ends), np.array([0]), times, np.ones((2, dates)))
    s = strips.strip(len(ends), np.float64, network, lanes, False)
    s.weight[:] = s.effective[:] = generator.uniform(0.5, 2.0, (len(ends), lanes))
    s.weight[generator.random((len(ends), lanes)) < missing] = 0.0
    s.weight[0] = s.effective[0]
    s.effective[:] = s.weight
    s.n_pairs[:] = (s.weight > 0.0).sum(axis=0)
    s.of_date[:] = generator.uniform(0.1, 0.5, (2, dates, lanes))
    s.solution[:] = generator.standard_normal((2, dates, lanes)).cumsum(axis=1)
    adjustment._group(network, s, groups.NAN, is_smooth=False)
    linear.prepare(network, s)
    linear.sum_inverse(network, s, has_inverse=False)
    known = network.first, network.times, s.state, s.root, s.inverse, s.of_date, s.solution
    chains.likelihoods(*known, s.redundant, s.likelihood)
    found, before = np.empty(lanes), generator.dirichlet(np.ones(6))
    chains.mean_share(s.likelihood, before, found)
    for lane in range(lanes):
        used = s.weight[:, lane] > 0.0
        members = twin.group_of([0], twin.groups(ends[used]), "nan")[0]
        of_dates, moved = np.float64(s.of_date[:, :, lane].T), s.solution[:, :, lane].T
        logs = twin.log_likelihoods(ends[used], s.weight[used, lane], of_dates, moved, members, times)
        if logs is not None:
            np.testing.assert_allclose(s.likelihood[:, lane], logs, rtol=1e-9, atol=1e-9)
        assert found[lane] == pytest.approx(twin.mean_share(logs, before), rel=1e-9)
    assert np.ptp(found) > 0.1
    # enough other pairs tell by themselves
    s.redundant[:] = 4.0
    chains.likelihoods(*known, s.redundant, s.likelihood)
    chains.mean_share(s.likelihood, before, found)
    assert (found == 0.03).all()


def test_a_star_does_not_tell_either():
    """All pairs have one date in common, whose noise no number of them takes away."""
    ends = np.array([(0, k) for k in range(1, 12)])
    for of_dates, of_pairs, low, high in ((1.0, 0.0, 0.85, 1.1), (0.0, np.sqrt(2.0), 0.1, 0.8)):
        shifts = made(of_dates, of_pairs, np.random.default_rng(2), ends)
        assert low < spread(shifts.offset.velocity(), "vx", "vy") < high
        assert low < spread(shifts.offset.mean_velocity(), "vx", "vy") < high


def test_without_standard_errors_nothing_is_added():
    shifts = made(1.0, 1.0, np.random.default_rng(0), side=3)
    blind = shifts.assign({name: np.nan * shifts[name] for name in ("sigma_dx", "sigma_dy")})
    again = xr.concat([blind, blind.isel(pair=[0])], "pair")
    series = xoffset.invert(again, weights="uniform")
    assert np.isnan(series.sigma_drift_dx).all()
    names = ["sigma_drift_dx", "sigma_drift_dy"]
    xr.testing.assert_equal(series.offset.velocity(), series.drop_vars(names).offset.velocity())


@pytest.mark.small
def test_pairs_without_standard_errors_drift_as_their_misclosure_tells():
    """The noise of the pairs alone is known there: of the same pairs with the right errors it is the same."""
    ends = np.array([(i, j) for i in range(14) for j in range(i + 1, min(i + 4, 14))])
    shifts = made(0.0, 0.5, np.random.default_rng(3), ends, side=6)
    plain = shifts.assign({name: shifts[name] * np.nan for name in ("sigma_dx", "sigma_dy")})
    known = xoffset.invert(shifts, weights="uniform")
    told = xoffset.invert(plain, weights="uniform")
    ratio = told.sigma_drift_dx.median() / known.sigma_drift_dx.median()
    assert 0.9 < float(ratio) < 1.1
