"""Separation test: long baselines that hold on to ground that does not move."""

import csv

import numpy as np
import pytest
import reference_separation

from xoffset._kernels import separation


def locked(baseline, vx, vy):
    """Result of the kernel for pixels (pair, pixel)."""
    baseline, vx, vy = (np.asarray(each, dtype=np.float64) for each in (baseline, vx, vy))
    out = np.full((*vx.shape, 1), 7, np.uint8)
    separation.is_locked(baseline, vx[..., None], vy[..., None], out)
    return out[..., 0]


def network(rng, pairs=120, pixels=40, noise=1.4):
    """Baselines up to 2 years, and the noise of a displacement of so many metres as velocities (pair, pixel)."""
    baseline = np.round(np.exp(rng.uniform(np.log(5.0), np.log(700.0), pairs)))
    return baseline, *(rng.normal(0.0, noise, (pairs, pixels)) / baseline[:, None] * 365.25 for _ in range(2))


@pytest.mark.small
@pytest.mark.parametrize("speed", [0.0, 10.0, 40.0, 200.0])
@pytest.mark.parametrize("pairs", [1, 12, 60, 121])
def test_kernel_equals_its_twin(speed, pairs):
    rng = np.random.default_rng(pairs)
    baseline, vx, vy = network(rng, pairs)
    moves = baseline < rng.choice([64.0, 128.0, 256.0])
    vx += speed * 0.8 * moves[:, None]
    vy -= speed * 0.6 * moves[:, None]
    vx[rng.random(vx.shape) < 0.2] = np.nan
    vy[rng.random(vy.shape) < 0.1] = np.inf
    expected = [reference_separation.is_locked(baseline, *pixel) for pixel in zip(vx.T, vy.T, strict=True)]
    found = locked(baseline, vx, vy)
    np.testing.assert_array_equal(found, np.array(expected).T)
    assert found.any() == (speed == 200.0 and pairs > 12) or speed in (10.0, 40.0)


@pytest.mark.small
def test_only_where_there_is_a_value():
    rng = np.random.default_rng(0)
    baseline, vx, vy = network(rng)
    vx[baseline < 256.0] += 300.0
    vx[::3] = np.nan
    found = locked(baseline, vx, vy)
    assert found[1::3].any()
    assert not found[::3].any()
    assert not locked(baseline, vx * np.nan, vy).any()


@pytest.mark.data
@pytest.mark.parametrize("times", [1, 10, 20])
def test_locked_pairs_of_columbia_are_found_even_if_they_are_most(data_folder, times):
    with (data_folder / "itslive_point_columbia" / "columbia_61.1804_-146.9751.csv").open() as file:
        rows = list(csv.DictReader(file))
    baseline, vx, vy = (
        np.array([float(row[name]) for row in rows]) for name in ("date_dt [days]", "vx [m/yr]", "vy [m/yr]")
    )
    index = np.concatenate([np.arange(baseline.size), *[np.flatnonzero(baseline > 400.0)] * (times - 1)])
    found = locked(baseline[index], vx[index, None], vy[index, None])[:, 0]
    assert found[baseline[index] > 400.0].mean() >= 0.99
    assert found[baseline[index] <= 60.0].mean() <= 0.1
