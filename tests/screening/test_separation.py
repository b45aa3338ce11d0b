"""Separation test: long baselines that hold on to ground that does not move."""

import csv

import numpy as np
import pytest
import reference_separation
import xarray as xr

import xoffset
from xoffset._kernels.maps import separation
from xoffset.model import products
from xoffset.model.dates import in_years
from xoffset.model.flags import FLAGS


def locked(begin, baseline, vx, vy):
    """Result of the kernel for pixels (pair, pixel)."""
    spans, vx, vy = (np.asarray(each, dtype=np.float64) for each in (np.stack([begin, baseline], axis=1), vx, vy))
    out = np.full((*vx.shape, 1), 7, np.uint8)
    separation.is_locked(spans, vx[..., None], vy[..., None], out)
    return out[..., 0]


def network(rng, pairs=120, pixels=40, noise=1.4):
    """Baselines up to 2 years, and the noise of a displacement of so many metres as velocities (pair, pixel)."""
    baseline = np.round(np.exp(rng.uniform(np.log(5.0), np.log(700.0), pairs)))
    return (
        rng.uniform(0.0, 1500.0, pairs),
        baseline,
        *(rng.normal(0.0, noise, (pairs, pixels)) / baseline[:, None] * 365.25 for _ in range(2)),
    )


@pytest.mark.small
@pytest.mark.parametrize("speed", [0.0, 10.0, 40.0, 200.0])
@pytest.mark.parametrize("pairs", [1, 12, 60, 121])
def test_kernel_equals_its_twin(speed, pairs):
    rng = np.random.default_rng(pairs)
    begin, baseline, vx, vy = network(rng, pairs)
    moves = baseline < rng.choice([64.0, 128.0, 256.0])
    vx += speed * 0.8 * moves[:, None]
    vy -= speed * 0.6 * moves[:, None]
    vx[rng.random(vx.shape) < 0.2] = np.nan
    vy[rng.random(vy.shape) < 0.1] = np.inf
    expected = [reference_separation.is_locked(begin, baseline, *pixel) for pixel in zip(vx.T, vy.T, strict=True)]
    found = locked(begin, baseline, vx, vy)
    np.testing.assert_array_equal(found, np.array(expected).T)
    # what is still is seldom dropped, what is locked often where there are pairs enough
    assert found.mean() < 0.01 or speed > 0.0
    assert found.mean() > 0.1 or speed < 200.0 or pairs < 60


@pytest.mark.small
def test_only_where_there_is_a_value():
    rng = np.random.default_rng(0)
    begin, baseline, vx, vy = network(rng)
    vx[baseline < 256.0] += 300.0
    vx[::3] = np.nan
    found = locked(begin, baseline, vx, vy)
    assert found[1::3].any()
    assert not found[::3].any()
    assert not locked(begin, baseline, vx * np.nan, vy).any()


@pytest.mark.data
@pytest.mark.parametrize("times", [1, 10, 20])
def test_locked_pairs_of_columbia_are_found_even_if_they_are_most(data_folder, times):
    with (data_folder / "itslive_point_columbia" / "columbia_61.1804_-146.9751.csv").open() as file:
        rows = list(csv.DictReader(file))
    baseline, vx, vy = (
        np.array([float(row[name]) for row in rows]) for name in ("date_dt [days]", "vx [m/yr]", "vy [m/yr]")
    )
    begin = np.array([row["mid_date"][:10] for row in rows], "M8[D]").astype(float) - 0.5 * baseline
    index = np.concatenate([np.arange(baseline.size), *[np.flatnonzero(baseline > 400.0)] * (times - 1)])
    found = locked(begin[index], baseline[index], vx[index, None], vy[index, None])[:, 0]
    assert found[baseline[index] > 400.0].mean() >= 0.99
    assert found[baseline[index] <= 60.0].mean() <= 0.1


@pytest.mark.data
def test_screen_finds_the_locked_pairs_of_columbia(data_folder):
    """A table of points is a map of one node."""
    with (data_folder / "itslive_point_columbia" / "columbia_61.1804_-146.9751.csv").open() as file:
        rows = list(csv.DictReader(file))
    days, vx, vy, error_x, error_y = (
        np.array([float(row[name]) for row in rows])
        for name in ("date_dt [days]", "vx [m/yr]", "vy [m/yr]", "vx_error [m/yr]", "vy_error [m/yr]")
    )
    middle = np.array([row["mid_date"][:26] for row in rows], "M8[us]")
    half = (days / 2.0 * 86_400_000_000).astype("m8[us]")
    names = ("dx", "dy", "sigma_dx", "sigma_dy")
    fields = {
        name: (rate * days / 365.25)[:, None, None]
        for name, rate in zip(names, (vx, vy, error_x, error_y), strict=True)
    }
    node = xr.DataArray(np.zeros((1, 1)), coords={"y": [0.0], "x": [0.0]}, dims=("y", "x"))
    network = products.network(middle - half, middle + half)
    shifts = products.shifts(fields, network, x=node.x.values, y=node.y.values, like=node, step={})
    found = flagged(xoffset.screen(shifts, max_separation="auto")).values[:, 0, 0]
    assert found[days > 400.0].mean() >= 0.99
    assert found[days <= 60.0].mean() <= 0.1


# ------------------------------------------------------------------------------------------------------- false alarms

DATES = np.sort(np.random.default_rng(5).choice(np.arange(0, 1095, 5), 40, replace=False)).astype(float)
MOTIONS = {
    "still": lambda t: 0.0 * t,
    "steady": lambda t: t / 365.25,
    "seasons": lambda t: t / 365.25 + 0.9 / (2.0 * np.pi) * np.sin(2.0 * np.pi * (t - 200.0) / 365.25),
    "faster": lambda t: 0.3 * t / 365.25 + 0.2 * (t / 365.25) ** 2,
    "surge": lambda t: 0.1 * t / 365.25 + 2.5 * np.clip((t - 400.0) / 150.0, 0.0, 1.0),
    "step": lambda t: np.where(t > 500.0, 1.0, 0.0),
}


@pytest.mark.parametrize("largest_gap", [7, 39])
@pytest.mark.parametrize("name", MOTIONS)
def test_motion_that_changes_is_not_locked(name, largest_gap):
    """Noise of 1 m belongs to the dates, so that it grows as one over the baseline; 30 % of the pairs are missing."""
    rng = np.random.default_rng(1)
    first, second = np.array([(i, j) for i in range(40) for j in range(i + 1, min(i + 1 + largest_gap, 40))]).T
    baseline = DATES[second] - DATES[first]
    for speed in (5.0, 50.0, 500.0):
        position = speed * MOTIONS[name](DATES)[:, None, None] + rng.normal(0.0, 1.0, (40, 2, 1000))
        velocity = (position[second] - position[first]) / baseline[:, None, None] * 365.25
        velocity[rng.random(velocity.shape) < 0.15] = np.nan
        assert locked(DATES[first], baseline, velocity[:, 0], velocity[:, 1]).any(axis=0).mean() <= 0.005


def test_locked_pairs_are_found_among_those_that_move():
    rng = np.random.default_rng(2)
    first, second = np.array([(i, j) for i in range(40) for j in range(i + 1, 40)]).T
    baseline = DATES[second] - DATES[first]
    noise = rng.normal(0.0, 1.0, (40, 2, 200))
    moved = np.where(baseline < 128.0, 200.0 * baseline / 365.25, 0.0)[:, None, None] * [[0.6], [-0.8]]
    velocity = (moved + noise[second] - noise[first]) / baseline[:, None, None] * 365.25
    found = locked(DATES[first], baseline, velocity[:, 0], velocity[:, 1])
    assert found[baseline >= 128.0].mean() > 0.99
    assert not found[baseline < 128.0].any()
    # the direction does not matter
    np.testing.assert_array_equal(locked(DATES[first], baseline, -velocity[:, 1], velocity[:, 0]), found)


# Archives: separations, pairs and noise [m/yr] of each kind, at any time in 1500 days.
KINDS = (
    (5, 16, 400, 60),
    (16, 32, 300, 27),
    (32, 64, 300, 16),
    (64, 128, 300, 12),
    (128, 256, 300, 8),
    (256, 540, 1100, 2),
)


def archive(metres, *, lock=np.inf, times=1.0, pixels=40, late=False):
    """Pairs of an archive that see the metres of each day up to the separation `lock`, and none beyond."""
    rng = np.random.default_rng(6)
    begin, length, noise = [], [], []
    for least, most, number, spread in KINDS:
        number = int(number * times)
        share = rng.random(number)
        begin.append(1500.0 * (np.sqrt(share) if late and most <= 64 else share))
        length.append(rng.integers(least, most, number).astype(float))
        noise.append(np.full(number, float(spread)))
    begin, length, noise = (np.concatenate(each) for each in (begin, length, noise))
    seen = np.where(length < lock, metres(begin + length) - metres(begin), 0.0) / length * 365.25
    vx, vy = (
        rng.normal(0.0, 1.0, (2, length.size, pixels)) * noise[:, None]
        + np.array([0.8, 0.6])[:, None, None] * seen[:, None]
    )
    return length, locked(begin, length, vx, vy)


@pytest.mark.parametrize("speed", [25.0, 250.0])
@pytest.mark.parametrize("lock", [64, 100, 128, 200, 256, 300])
def test_locked_pairs_beside_noisy_short_ones(lock, speed):
    """The shortest pairs tell 25 m/yr within 4 m/yr, all shorter ones together within 1."""
    length, found = archive(lambda t: speed * t / 365.25, lock=lock)
    # a half of a bin is dropped or kept as a whole
    assert found[length >= lock * 1.2].mean() > 0.98
    assert found[length < lock / 1.2].mean() < 0.01
    assert found[length >= lock].mean() > 0.95


def test_fewer_locked_pairs():
    length, found = archive(lambda t: 25.0 * t / 365.25, lock=128, times=0.25)
    assert found[length >= 128].mean() > 0.95
    assert not found[length < 128].any()


@pytest.mark.parametrize("lock", [64, 128, 256])
def test_slow_ground_loses_nothing(lock):
    assert not archive(lambda t: 4.0 * t / 365.25, lock=lock)[1].any()


ARCHIVE_MOTIONS = {
    "still": lambda t: 0.0 * t,
    "steady": lambda t: 25.0 * t / 365.25,
    "seasons": lambda t: 25.0 * t / 365.25 + 22.0 / (2.0 * np.pi) * np.sin(2.0 * np.pi * t / 365.25),
    "surge": lambda t: 250.0 * np.clip(t / 365.25 - 1.0, 0.0, 1.2),
    "decay": lambda t: 100.0 * (1.0 - np.exp(-t / 120.0)),
    "acceleration": lambda t: 10.0 * (t / 365.25) ** 2,
    "stop": lambda t: 25.0 * np.minimum(t / 365.25, 2.2),
    "start": lambda t: 25.0 * np.maximum(t / 365.25 - 2.5, 0.0),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", ARCHIVE_MOTIONS)
def test_archives_of_ground_that_agrees_lose_nothing(name, late):
    """`late`: most short pairs are from the second half of the time."""
    assert archive(ARCHIVE_MOTIONS[name], late=late)[1].any(axis=0).mean() <= 0.025


# ------------------------------------------------------------------------------------------------------------- screen


def shifts_of(shape=(6, 7), *, days=DATES, dtype="float32", both=False, speed=150.0):
    """Shifts whose pairs over 128 days are locked in the western half."""
    rng = np.random.default_rng(3)
    first, second = np.array([(i, j) for i in range(len(days)) for j in range(i + 1, len(days))]).T
    baseline = days[second] - days[first]
    x, y = 100.0 * np.arange(shape[1]), -100.0 * np.arange(shape[0])
    is_locked = (baseline >= 128.0)[:, None, None] & (x < x.mean())[None, None]
    noise = rng.normal(0.0, 1.0, (2, len(days), *shape))
    along = np.where(is_locked, 0.0, speed * baseline[:, None, None] / 365.25) * np.ones(shape)
    dx, dy = (share * along + each[second] - each[first] for share, each in zip((0.8, 0.6), noise, strict=True))
    dx[rng.random(dx.shape) < 0.1] = np.nan
    dates = np.datetime64("2018-01-01", "us") + days.astype("m8[D]")
    if both:
        first, second = np.concatenate([first, second]), np.concatenate([second, first])
        dx, dy, is_locked = np.concatenate([dx, -dx]), np.concatenate([dy, -dy]), np.concatenate([is_locked] * 2)
    fields = {"dx": dx, "dy": dy, "sigma_dx": np.ones_like(dx), "sigma_dy": np.ones_like(dx)}
    stack = xr.DataArray(np.zeros(shape), coords={"y": y, "x": x}, dims=("y", "x"))
    network = products.network(dates[first], dates[second])
    shifts = products.shifts(
        {name: field.astype(dtype) for name, field in fields.items()}, network, x=x, y=y, like=stack, step={}
    )
    return shifts, shifts.dx.copy(data=np.broadcast_to(is_locked, dx.shape)) & shifts.dx.notnull()


def flagged(screened):
    return (screened.flags & FLAGS["separation"]) > 0


def test_screen_finds_what_is_locked_where_it_is_locked():
    shifts, truth = shifts_of()
    assert "score" not in shifts
    screened = xoffset.screen(shifts, neighbourhood=False, max_separation="auto")
    np.testing.assert_array_equal(flagged(screened), truth)
    for name in ("dx", "dy", "sigma_dx", "sigma_dy"):
        assert not (np.isfinite(screened[name]) & truth).any()
        xr.testing.assert_equal(
            screened[name].where(~truth & shifts.dx.notnull()), shifts[name].where(screened.dx.notnull())
        )
    assert not flagged(xoffset.screen(shifts, neighbourhood=False)).any()
    assert '"max_separation": "auto"' in screened.processing
    assert '"least_pairs": 6' in screened.processing


def test_matches_there_and_back_are_one_and_their_order_does_not_matter():
    shifts, truth = shifts_of(both=True)
    screened = xoffset.screen(shifts, neighbourhood=False, max_separation="auto")
    np.testing.assert_array_equal(flagged(screened), truth)
    # 4 pairs of the shortest bin are too few, and stay too few if they are counted twice
    days = np.array([0.0, 5.0, 100.0, 105.0, 300.0, 305.0, 600.0, 605.0])
    few, _ = shifts_of(days=days, both=True, speed=500.0)
    assert not flagged(xoffset.screen(few, neighbourhood=False, max_separation="auto")).any()
    order = np.random.default_rng(0).permutation(shifts.sizes["pair"])
    other = xoffset.screen(shifts.isel(pair=order), neighbourhood=False, max_separation="auto")
    xr.testing.assert_identical(other, screened.isel(pair=order))


def test_only_pairs_that_pass_the_other_tests_are_judged():
    shifts, truth = shifts_of()
    days = abs(in_years((shifts.secondary - shifts.reference).values)) * 365.25
    # without the short pairs nothing moves
    shifts["score"] = shifts.dx.copy(data=np.where(days < 128.0, 0.1, 0.9)[:, None, None] * np.ones(shifts.dx.shape))
    shifts["score"].attrs["units"] = "1"
    assert flagged(xoffset.screen(shifts, neighbourhood=False, max_separation="auto")).any()
    strict = xoffset.screen(shifts, min_score=0.5, neighbourhood=False, max_separation="auto")
    assert not (flagged(strict) & truth).any()


@pytest.mark.parametrize("limit", ["200D", np.timedelta64(200, "D"), "4800h"])
def test_a_limit_needs_no_data(limit):
    shifts, _ = shifts_of(both=True)
    screened = xoffset.screen(shifts, neighbourhood=False, max_separation=limit)
    is_long = abs(shifts.secondary - shifts.reference) > np.timedelta64(200, "D")
    assert is_long.any()
    assert not is_long.all()
    np.testing.assert_array_equal(flagged(screened), is_long & shifts.dx.notnull())
    np.testing.assert_array_equal(screened.dx.notnull(), ~is_long & shifts.dx.notnull())
    assert '"max_separation": "200 days 00:00:00"' in screened.processing


def test_a_table_of_points_is_a_map_of_one_node():
    shifts, truth = shifts_of((1, 2))
    point, truth = shifts.isel(x=[0]), truth.isel(x=[0])
    screened = xoffset.screen(point, max_separation="auto")
    np.testing.assert_array_equal(flagged(screened), truth)
    assert not (screened.flags & FLAGS["neighbourhood"]).any()
    xr.testing.assert_equal(xoffset.screen(point).dx, point.dx.where(point.dy.notnull()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("chunks", [{"pair": 100, "y": 1, "x": 3}, {"pair": -1, "y": 5, "x": 2}])
def test_chunks_change_no_bit(dtype, chunks):
    shifts, _ = shifts_of(dtype=dtype)
    expected = xoffset.screen(shifts, max_separation="auto")
    assert flagged(expected).any()
    assert expected.dx.dtype == dtype
    found = xoffset.screen(shifts.chunk(chunks), max_separation="auto")
    assert found.chunks
    xr.testing.assert_identical(found.compute(), expected)
