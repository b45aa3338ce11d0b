"""What the noise of pairs adds to the velocity of a series beyond the noise of its dates."""

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset._arrays.networks import solver
from xoffset.model import products


def found(ends, times, of_dates, of_pairs, share, factor=None):
    """Result of the kernel for one pixel (2,)."""
    out = np.empty((2, 1))
    factor = np.ones((2, times.size)) if factor is None else factor
    solver.slope_variance(ends, times, factor, of_dates[..., None], of_pairs[..., None], np.full(1, share), out)
    return out[:, 0]


def exact(ends, times, of_dates, of_pairs, share):
    """The same (2,) from the covariance of the least-squares series, in full."""
    known = np.isfinite(of_dates).all(axis=0)
    design = np.zeros((len(ends), times.size))
    design[np.arange(len(ends)), ends[:, 0]], design[np.arange(len(ends)), ends[:, 1]] = -1.0, 1.0
    is_used = np.isfinite(of_pairs).all(axis=0) & known[ends].all(axis=1)
    design, ends, of_pairs = design[is_used], ends[is_used], of_pairs[:, is_used]
    weight = np.diag(1.0 / of_pairs.mean(axis=0))
    solve = np.linalg.pinv(design.T @ weight @ design) @ design.T @ weight
    of_date = np.where(known, 2.0 / np.where(known, of_dates, 1.0).sum(axis=0), 0.0)
    centred = times - (of_date @ times) / of_date.sum()
    lever = of_date * centred / (of_date @ centred**2)
    result = []
    for axis in range(2):
        halves = [0.5 * of_pairs[axis][(ends == k).any(axis=1)] for k in range(times.size)]
        least = np.array([half.min(initial=np.inf) for half in halves])
        own = share * of_pairs[axis]
        own += (1.0 - share) * np.maximum(of_pairs[axis] - 1.5 * least[ends].sum(axis=1), 0.0)
        held = [
            max(of_dates[axis, k] - (1.0 - share) * half.mean(), 0.0) if half.size else 0.0
            for k, half in enumerate(halves)
        ]
        gain = lever @ solve
        result.append(max(gain @ np.diag(own) @ gain - lever**2 @ held, 0.0))
    return np.array(result)


@pytest.mark.small
@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_chain_is_exact(seed, share):
    generator = np.random.default_rng(seed)
    dates = 9
    times = np.cumsum(generator.uniform(0.05, 0.4, dates))
    ends = np.stack([np.arange(dates - 1), np.arange(1, dates)], axis=1)
    of_pairs = generator.uniform(1.0, 4.0, (2, dates - 1))
    of_dates = generator.uniform(0.5, 2.0, (2, dates))
    # the end of the chain is cut off
    of_dates[:, 7:] = np.nan
    expected = exact(ends, times, of_dates, of_pairs, share)
    np.testing.assert_allclose(found(ends, times, of_dates, of_pairs, share), expected, rtol=1e-9, atol=1e-12)
    # the order of the pairs and the origin of time do not matter
    order = generator.permutation(len(ends))
    other = found(ends[order], times + 30.0, of_dates, of_pairs[:, order], share)
    np.testing.assert_allclose(other, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.small
@pytest.mark.parametrize("longest", [2, 3, 5, 11])
def test_a_network_is_nearly_exact(longest):
    """Where all noise is that of the pairs, and dates say nothing of it."""
    times = np.arange(12) / 12.0
    first, second = np.triu_indices(12, 1)
    ends = np.stack([first, second], axis=1)[second - first <= longest]
    of_pairs = np.ones((2, len(ends)))
    of_dates = np.full((2, 12), 1e-9)
    expected = exact(ends, times, of_dates, of_pairs, 1.0)
    np.testing.assert_allclose(found(ends, times, of_dates, of_pairs, 1.0), expected, rtol=0.12)


@pytest.mark.small
def test_what_nothing_tells_is_unknown():
    ends, times = np.array([[0, 1], [1, 2]]), np.array([0.0, 1.0, 2.0])
    dates, pairs = np.ones((2, 3)), np.full((2, 2), 2.0)
    assert (found(ends, times, dates, pairs, 0.05) > 0.0).all()
    nothing = np.full_like
    assert np.isnan(found(ends, times, dates, pairs, np.nan)).all()
    assert np.isnan(found(ends, times, dates, nothing(pairs, np.nan), 0.05)).all()
    assert np.isnan(found(ends, times, nothing(dates, np.nan), pairs, 0.05)).all()
    one = dates.copy()
    one[:, 1:] = np.nan
    assert np.isnan(found(ends, times, one, pairs, 0.05)).all()


@pytest.mark.small
def test_no_pixel_depends_on_its_neighbours():
    generator = np.random.default_rng(0)
    ends = np.array([[0, 1], [1, 2], [0, 2], [2, 3], [3, 4], [2, 4]])
    times, factor = np.array([0.0, 0.3, 0.5, 0.9, 1.4]), generator.uniform(0.5, 2.0, (2, 5))
    of_dates, of_pairs = generator.uniform(0.5, 2.0, (2, 5, 140)), generator.uniform(1.0, 4.0, (2, 6, 140))
    share, together, alone = generator.random(140), np.empty((2, 140)), np.empty((2, 1))
    of_pairs[generator.random(of_pairs.shape) < 0.1] = np.nan
    solver.slope_variance(ends, times, factor, of_dates, of_pairs, share, together)
    for column in range(140):
        one = slice(column, column + 1)
        solver.slope_variance(ends, times, factor, of_dates[..., one], of_pairs[..., one], share[one], alone)
        np.testing.assert_array_equal(alone, together[:, one])


def made(noise_of_dates, noise_of_pairs, generator, dates=10, side=40, dtype="float64"):
    """Chain of shifts of ground that does not move, and the years of its dates."""
    moment = np.datetime64("2020-01-01", "us") + 30 * np.arange(dates) * np.timedelta64(1, "D")
    of_dates = noise_of_dates * generator.standard_normal((2, dates, side, side))
    of_pairs = noise_of_pairs * generator.standard_normal((2, dates - 1, side, side))
    sigma = np.full((dates - 1, side, side), np.sqrt(2.0 * noise_of_dates**2 + noise_of_pairs**2))
    values = np.diff(of_dates, axis=1) + of_pairs
    fields = {"dx": values[0], "dy": values[1], "sigma_dx": sigma, "sigma_dy": sigma}
    fields = {name: field.astype(dtype) for name, field in fields.items()}
    grid = 10.0 * np.arange(side)
    like = products.stack(np.zeros((1, side, side)), time=moment[:1], x=grid, y=-grid, crs=None, attrs={})
    return products.shifts(fields, products.network(moment[:-1], moment[1:]), x=grid, y=-grid, like=like, step={})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_velocity_of_a_chain_holds_the_noise_of_its_pairs(dtype):
    """A twentieth of the variance is that of the pairs, a little more than `invert` takes for given in a chain."""
    shifts = made(1.0, np.sqrt(0.1 / 0.95), np.random.default_rng(3), dtype=dtype)
    series = shifts.offset.invert()
    names = ["sigma_drift_dx", "sigma_drift_dy"]
    assert {str(series[name].dtype) for name in names} == {dtype}
    with_drift, without = series.offset.velocity(), series.drop_vars(names).offset.velocity()
    error = np.stack([with_drift.vx.values, with_drift.vy.values])
    spread = np.sqrt(np.mean(error**2))
    assert spread / float(with_drift.sigma_vx.mean()) == pytest.approx(1.0, abs=0.08)
    assert spread / float(without.sigma_vx.mean()) > 1.15
    xr.testing.assert_equal(with_drift.vx, without.vx)
    # a velocity beside other terms holds it too
    fitted = [each.offset.decompose(acceleration=True) for each in (series, series.drop_vars(names))]
    added = fitted[0].sigma_vx ** 2 - fitted[1].sigma_vx ** 2
    np.testing.assert_allclose(added, series.sigma_drift_dx**2, rtol=1e-3)


def test_without_standard_errors_nothing_is_added():
    shifts = made(1.0, 1.0, np.random.default_rng(0), side=3)
    blind = shifts.assign({name: np.nan * shifts[name] for name in ("sigma_dx", "sigma_dy")})
    again = xr.concat([blind, blind.isel(pair=[0])], "pair")
    series = xoffset.invert(again, weights="uniform")
    assert np.isnan(series.sigma_drift_dx).all()
    names = ["sigma_drift_dx", "sigma_drift_dy"]
    xr.testing.assert_equal(series.offset.velocity(), series.drop_vars(names).offset.velocity())
