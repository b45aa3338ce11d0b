"""What dense matchers say of ground that has nothing in common, and of contrasts that are turned over."""

from __future__ import annotations

import numpy as np
import pytest
import reference_dense as twin
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._arrays.filters.options import as_prefilter
from xoffset._arrays.lattice import Lattice
from xoffset._arrays.matching import dense_chance, dense_images
from xoffset._arrays.matching.protocol import FIELDS
from xoffset._kernels.images import filters
from xoffset._kernels.matching import growth
from xoffset.model.flags import FLAGS

DATES = ["2020-01-01T00:00", "2020-12-31T06:00"]
PIXEL = 10.0
MATCHERS = {"regularized": xoffset.Regularized(), "flow": xoffset.Flow()}


def scene(seed, size=160, **options):
    options = {"field": "constant", "velocity": 0.0, "snr": 4.0} | options
    return synthetic.stack((size, size), dates=DATES, pixel_size=PIXEL, seed=seed, **options)[0]


def unrelated(seed=0, **options):
    """Two images of different ground."""
    stack = scene(seed, **options)
    return stack.copy(data=np.stack([stack.values[0], scene(seed + 100, **options).values[1]]))


def match(stack, matcher, **options):
    options = {"step": 2, "search": 4, "matcher": matcher} | options
    return xoffset.correlate(stack, xoffset.pairs(stack), **options)


# ----------------------------------------------------------------------------------------------------- unrelated ground


@pytest.mark.parametrize("prefilter", ["bandpass", None, "highpass", "rank", "wallis"])
@pytest.mark.parametrize("name", MATCHERS)
def test_unrelated_ground_has_a_chance_and_no_motion(name, prefilter):
    # without a filter the texture is coarse, so that it takes more ground to tell a share
    options = {"size": 224, "step": 4} if prefilter is None else {"size": 160, "step": 2}
    seeds = (0, 1, 2, 3) if prefilter is None else (0, 1)
    found = [
        match(unrelated(seed, size=options["size"]), MATCHERS[name], prefilter=prefilter, step=options["step"])
        for seed in seeds
    ]
    chance = np.concatenate([each.false_alarm.values.ravel() for each in found])
    chance = chance[np.isfinite(chance)]
    # ranks of unrelated ground share no slopes, which leaves little to judge
    assert chance.size > 100
    for limit in (0.1, 0.01, 0.001):
        assert (chance < limit).mean() <= 1.1 * limit + 2.0 * np.sqrt(limit / chance.size)
    assert np.mean([np.isfinite(each.dx).mean() for each in found]) < 0.01
    for each in found:
        assert ((each.flags == FLAGS["refine_failed"]) == (each.false_alarm > 0.01)).mean() > 0.99
        assert np.isnan(each.sigma_dx.where(each.flags != 0)).all()


@pytest.mark.parametrize(
    ("matcher", "options"),
    [
        (xoffset.Regularized(smoothness=0.05), {}),
        (xoffset.Regularized(smoothness=2.0), {}),
        (xoffset.Regularized(window=17, direction=30.0), {}),
        (xoffset.Regularized(), {"search": 11}),
        (xoffset.Regularized(), {"search": 20}),
        (xoffset.Regularized(), {"step": 9}),
        (xoffset.Flow(smoothness=0.3), {}),
        (xoffset.Flow(rank=0, contrast_inversion=False), {"search": 16}),
    ],
)
def test_other_options_find_nothing_either(matcher, options):
    found = match(unrelated(2), matcher, **options)
    assert np.isfinite(found.false_alarm).any()
    assert np.isfinite(found.dx).mean() < 0.01


@pytest.mark.parametrize("search", [4, 24])
@pytest.mark.parametrize("name", MATCHERS)
def test_a_patch_of_150_px_that_is_wrong_alike_does_not_confirm_itself(name, search):
    """Each of its values has a chance of 0.005, which the matcher lets pass."""
    found = match(scene(3, size=224), MATCHERS[name], search=search, step=5)
    assert found.tied_size == pytest.approx(224 * np.sqrt(2.0) * PIXEL)
    y, x = (np.arange(found.sizes[dim]) for dim in ("y", "x"))
    is_wrong = (np.abs(y[:, None] - y[-1] // 2) <= 15) & (np.abs(x - x[-1] // 2) <= 15)
    assert is_wrong.sum() == 31 * 31
    wrong = found.assign(
        dx=xr.where(is_wrong, 12.0, found.dx), dy=xr.where(is_wrong, -8.0, found.dy),
        false_alarm=xr.where(is_wrong, 0.005, found.false_alarm),
    )  # fmt: skip
    screened = xoffset.screen(wrong)
    assert np.isnan(screened.dx.values[0, is_wrong]).all()
    assert (screened.flags.values[0, is_wrong] & FLAGS["insignificant"]).all()
    # as it would if the windows were independent
    loose = xoffset.screen(wrong.drop_vars("tied_size"))
    assert np.isfinite(loose.dx.values[0, is_wrong]).mean() > 0.5
    # ground that is there needs none to confirm it
    right = ~is_wrong & np.isfinite(found.dx.values[0])
    sure = right & (found.false_alarm.values[0] < 1e-4)
    assert sure.sum() > 0.9 * right.sum()
    alone = xoffset.screen(wrong, neighbourhood=False)
    assert np.isfinite(alone.dx.values[0, sure]).all()


@pytest.mark.parametrize("name", MATCHERS)
def test_the_window_is_that_of_the_matcher_and_what_is_tied_is_told_beside_it(name):
    stack = scene(5, size=96)
    found = match(stack, MATCHERS[name], step=8)
    assert found.window_size == MATCHERS[name].window * PIXEL
    assert found.tied_size.attrs["units"] == "m"
    for made in (found, xoffset.screen(found), xoffset.correct(found, min_nodes=4), xoffset.invert(found)):
        assert made.tied_size == pytest.approx(96 * np.sqrt(2.0) * PIXEL)
    for plain in (match(stack, "ncc", template=16), match(stack, xoffset.Regularized(smoothness=0.0))):
        assert "tied_size" not in plain.coords


@pytest.mark.parametrize("name", MATCHERS)
def test_ground_beside_a_trace_counts_from_half_the_diagonal_of_the_window_on(name):
    found = match(scene(5, size=160), MATCHERS[name], step=4)
    middle = float(found.x.mean())
    trace = [(middle, float(found.y[0]) + 1e4), (middle, float(found.y[-1]) - 1e4)]
    away = np.abs(found.x - middle) / (MATCHERS[name].window * PIXEL * np.sqrt(0.5))
    removed = [
        xoffset.correct(found.assign(dx=found.dx + 1.0 * is_other), order=0, trace=trace, min_nodes=4).removed_dx
        for is_other in (False, away < 1.0, (away > 1.0) & (away < 2.0))
    ]
    np.testing.assert_allclose(removed[1], removed[0], atol=1e-6)
    assert np.abs(removed[2] - removed[0]).max() > 1e-3


@pytest.mark.parametrize("name", MATCHERS)
def test_a_patch_of_unrelated_ground_does_not_confirm_itself(name):
    found = match(unrelated(3), MATCHERS[name], step=1)
    # as though nothing had been flagged, each patch of the field with the shift of one node
    wrong = xr.where(found.false_alarm.notnull(), 12.0, np.nan)
    shifts = found.assign(
        dx=wrong, dy=wrong, sigma_dx=0.2 + 0 * wrong, sigma_dy=0.2 + 0 * wrong, cov_dxdy=0 * wrong,
        flags=xr.where(found.flags == FLAGS["refine_failed"], 0, found.flags),
    )  # fmt: skip
    patch = shifts.isel(y=slice(40, 70), x=slice(40, 70))
    assert np.isnan(xoffset.screen(patch).dx).mean() > 0.9


@pytest.mark.parametrize("snr", [4.0, 1.5])
@pytest.mark.parametrize("name", MATCHERS)
def test_ground_that_is_there_is_no_chance(name, snr):
    found = match(scene(5, field="landslide", velocity=25.0, snr=snr), MATCHERS[name])
    assert float(found.false_alarm.max()) < 1e-6
    assert not (found.flags == FLAGS["refine_failed"]).any()


def test_one_image_is_other_ground_in_one_half():
    stack = scene(6)
    stack[1, :, 80:] = scene(107).values[1, :, 80:]
    for matcher in MATCHERS.values():
        found = match(stack, matcher)
        assert np.isfinite(found.dx.isel(x=slice(8, 28), y=slice(8, -8))).mean() > 0.99
        assert np.isfinite(found.dx.isel(x=slice(-24, -8))).mean() < 0.01


@pytest.mark.parametrize("size", [7, 9])
def test_an_object_between_the_nodes_that_are_looked_at_is_looked_at_itself(size):
    """A square that moved by 3 px to the right over ground that stands: its middle lies between nodes 24 and 32."""
    count, margin, middle = 64, 24, 28
    side = 2 * margin + count + 6
    first = np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)
    second = first.copy()
    rows = margin + 3 + middle + np.arange(size) - size // 2
    second[np.ix_(rows, rows + 3)] = first[np.ix_(rows, rows)]
    frame = (slice(0, side), slice(0, side))
    even = [dense_images.prepare(each, frame, as_prefilter("bandpass"), 7) for each in (first, second)]
    lattice = Lattice(
        shape=first.shape, step=1, templates=(7,), search=(4, 4), reach=margin, margin=margin, levels=0, dates=2,
        nodata=(), dtype=np.dtype(np.float32),
    )  # fmt: skip
    found = np.zeros((len(FIELDS), count, count), np.float32)
    found[0, middle - 1 : middle + 2, middle - 1 : middle + 2] = 3.0
    found[0, 40, 44] = -2.0  # and one that moved nowhere
    *fields, chance = dense_chance.judged(found.copy(), *even, lattice, 0.5)
    assert chance[middle, middle] < 1e-3
    assert fields[0][middle, middle] == 3.0
    assert fields[-1][middle, middle] == 0
    assert 0.01 < chance[40, 44] <= 1.0
    assert fields[-1][40, 44] == FLAGS["refine_failed"]
    # ground all around moves as the nodes there that were looked at
    assert (chance[found[0] == 0.0] < 1e-6).all()


# -------------------------------------------------------------------------------------------------------------- kernels


@pytest.mark.small
def test_sides_of_the_windows_that_are_judged():
    assert dense_chance.sides(7) == (7, 15, 31)
    assert dense_chance.sides(17) == (17, 35)
    assert dense_chance.sides(63) == (63,)


@pytest.mark.small
def test_scores_of_windows_at_one_shift():
    rng = np.random.default_rng(0)
    first, second = (rng.normal(3.0, 1.0, (30, 34)).astype(np.float32) for _ in range(2))
    weight, known = np.ones_like(first), np.ones_like(second)
    weight[10:13, 12:15] = 0.0
    spline = np.empty_like(second)
    filters.spline_coefficients(second, spline)
    shifts = rng.uniform(-2.0, 2.0, (2, 2, 3)).astype(np.float32)
    shifts[:, 1, 1] = np.nan
    shifts[0, 1, 2] = 40.0
    found = np.empty((2, 3), np.float32)
    growth.scores(first, weight, spline, known, (8, 6), 5, np.float32(0.5), shifts, found)
    assert np.isnan(found[1, 1])
    assert found[1, 2] == 0.0
    for i, j in ((0, 0), (0, 1), (0, 2), (1, 0)):
        rows, columns = 8 + 6 * i + np.arange(5), 8 + 6 * j + np.arange(5)
        moved = np.array(
            [
                [twin.spline_at(spline.astype(float), y + shifts[1, i, j], x + shifts[0, i, j]) for x in columns]
                for y in rows
            ]
        )
        window = np.ix_(rows, columns)
        expected = twin.window_score(first[window].astype(float), moved, weight[window])
        np.testing.assert_allclose(found[i, j], expected, atol=1e-4)
    growth.scores(first, weight * 0.0, spline, known, (8, 6), 5, np.float32(0.5), shifts, found)
    assert found[0, 0] == 0.0


@pytest.mark.small
def test_nodes_take_over_the_chance_of_those_around_that_move_alike():
    shifts = np.zeros((2, 6, 7), np.float32)
    shifts[0, :, 4:] = 3.0
    shifts[:, 2, 2] = np.nan
    some, values = np.ascontiguousarray(shifts[:, ::3, ::3]), np.array([[0.1, 0.2, 0.3], [0.4, 0.01, 0.6]], np.float32)
    found = np.empty((6, 7), np.float32)
    growth.take_over(shifts, some, values, 3, np.float32(1.0), found)
    assert np.isnan(found[2, 2])
    for (i, j), expected in {
        (0, 0): 0.1, (0, 1): 0.1, (1, 1): 0.01, (0, 4): 0.3, (0, 6): 0.3, (5, 0): 0.4, (4, 5): 0.6, (5, 3): 0.01,
    }.items():  # fmt: skip
        assert found[i, j] == np.float32(expected)
    shifts[0, 0, 1] = 9.0
    growth.take_over(shifts, some, values, 3, np.float32(1.0), found)
    assert found[0, 1] == 1.0


# ------------------------------------------------------------------------------------------------------------ contrasts


def rows_of_dunes(shift, size=176):
    """Rows about 12 px apart, which have moved by `shift` px; nothing is interpolated."""
    y, x = np.mgrid[:size, :size].astype(float)
    rng = np.random.default_rng(0)
    images = []
    for moved in (0.0, shift):
        at = x - moved
        phase = 2 * np.pi * at / 12.0 + 1.5 * np.sin(2 * np.pi * at / 83.0) + 1.5 * np.sin(2 * np.pi * y / 61.0)
        images.append(np.sin(phase) + 0.6 * np.sin(2 * np.pi * y / 17.0) + 0.1 * rng.standard_normal(x.shape))
    stack = scene(0, size=size)
    return stack.copy(data=100.0 * np.stack(images).astype(np.float32))


def test_rows_that_moved_by_half_of_their_distance_are_not_taken_for_their_negative():
    for inversion in (True, False):
        found = match(rows_of_dunes(6.0), xoffset.Flow(contrast_inversion=inversion), search=9)
        right = found.dx.values / PIXEL
        assert np.isfinite(right).mean() > 0.7
        # what comes to rest elsewhere has an honest score
        at_rest = np.abs(right) < 3.0
        assert (found.score.values[at_rest] < 0.0).all()
        assert at_rest.mean() < 0.05


def test_a_score_has_the_sign_of_the_contrast():
    stack = scene(8)
    negative = stack.copy(data=np.stack([stack.values[0], 3000.0 - stack.values[1]]))
    found = match(negative, xoffset.Flow())
    assert float(found.score.where(found.flags == 0).max()) < -0.8
    assert np.isnan(xoffset.screen(found, min_score=0.3).dx).all()
    for matcher in (xoffset.Flow(contrast_inversion=False), xoffset.Regularized()):
        assert np.isfinite(match(negative, matcher).dx).mean() < 0.01


@pytest.mark.parametrize("matcher", [xoffset.Flow(), xoffset.Regularized()])
def test_shadow_beside_snow_is_not_flat(matcher):
    stack = scene(9)
    images = stack.values - stack.values.mean()
    images[:, :, :80] *= 2e-4
    found = match(stack.copy(data=1000.0 + images), matcher)
    dark = found.isel(x=slice(6, 18), y=slice(8, -8))  # as far as no filter sees the snow
    assert not (dark.flags == FLAGS["flat"]).any()
    assert np.isfinite(dark.dx).mean() > 0.95
