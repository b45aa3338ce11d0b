"""Standard errors of the dense matchers against errors on ground whose motion is known."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import scipy.ndimage
from reference_scenes import stack_of

import xoffset
from xoffset import synthetic
from xoffset._arrays.matching import dense_certainty, dense_colour, dense_field
from xoffset._arrays.matching.dense_images import prepare
from xoffset.model.flags import FLAGS

PIXEL = 10.0
DATES = ["2020-01-01T00:00", "2020-12-31T06:00"]  # a year of 365.25 days
MOTION = {
    "constant": {"velocity": 26.9, "direction": 121.3},
    "landslide": {"velocity": 30.0},
    "fault": {"velocity": 10.0, "direction": 70.0},
}
MATCHERS = {"regularized": xoffset.Regularized(), "flow": xoffset.Flow()}
WITH_PRIOR = {"regularized": xoffset.Regularized(), "flow": xoffset.Flow(smoothness=0.3)}


@functools.cache
def ground(field, snr, seed, size=192):
    stack, truth = synthetic.stack(
        (size, size), dates=DATES, pixel_size=PIXEL, field=field, snr=snr, seed=seed, illumination=0.1, **MOTION[field]
    )
    return stack, truth.isel(time=1)


def match(stack, matcher, **options):
    return xoffset.correlate(stack, xoffset.pairs(stack), matcher=matcher, **{"step": 1, "search": 4} | options)


def ratios(field, snr, seed, matcher, **options):
    """Error over standard error of dx and dy (2, n) where the ground moves, and where it does not."""
    stack, truth = ground(field, snr, seed)
    shifts = match(stack, matcher, **options)
    at = truth.interp(x=shifts.x, y=shifts.y)
    ratio = np.stack([(shifts[f"d{k}"][0] - at[f"d{k}"]) / shifts[f"sigma_d{k}"][0] for k in "xy"])[:, 8:-8, 8:-8]
    moves = np.hypot(at.dx, at.dy).values[8:-8, 8:-8] > 1.0
    return ratio[:, moves], ratio[:, ~moves]


def spread(ratio):
    """Normalised median absolute error about zero: standard errors hold the bias too."""
    return 1.4826 * np.nanmedian(np.abs(ratio), axis=1)


@pytest.mark.parametrize("snr", [4.0, 10.0])
@pytest.mark.parametrize("name", MATCHERS)
def test_standard_errors_are_as_large_as_errors(name, snr):
    found = {field: [ratios(field, snr, seed, MATCHERS[name]) for seed in (0, 1)] for field in MOTION}
    moving = np.concatenate([each[0] for both in found.values() for each in both], axis=1)
    still = np.concatenate([each[1] for each in found["landslide"]], axis=1)
    assert np.all((spread(moving) > 0.85) & (spread(moving) < 1.15)), spread(moving)
    # the errors of `Regularized` are alike over tens of pixels: one scene tells few of them
    for both in found.values():
        of_field = spread(np.concatenate([each[0] for each in both], axis=1))
        assert np.all((of_field > 0.7) & (of_field < 1.35)), of_field
    low, high = (0.55, 1.15) if name == "regularized" else (0.75, 1.15)
    assert np.all((spread(still) > low) & (spread(still) < high)), spread(still)
    for ratio in (moving, still):
        assert np.nanmean(np.abs(ratio) < 2.0) > 0.9


@pytest.mark.parametrize("prefilter", [None, "highpass", "log", "rank"])
@pytest.mark.parametrize("name", MATCHERS)
def test_standard_errors_hold_for_other_filters(name, prefilter):
    both = [part for seed in (0, 1) for part in ratios("landslide", 4.0, seed, MATCHERS[name], prefilter=prefilter)]
    found = spread(np.concatenate(both, axis=1))
    assert np.all((found > 0.7) & (found < 1.4)), found


def test_no_window_is_far_more_certain_than_it_should_be():
    ratio = []
    for seed in (0, 1):
        stack, truth = ground("fault", 4.0, seed)
        shifts = match(stack, xoffset.Regularized(), step=4)
        at = truth.interp(x=shifts.x, y=shifts.y)
        ratio.append(np.hypot(*[((shifts[f"d{k}"][0] - at[f"d{k}"]) / shifts[f"sigma_d{k}"][0]).values for k in "xy"]))
    assert np.nanpercentile(ratio, 99.0) < 6.0


@pytest.mark.parametrize("smoothness", [0.3, 3.0])
def test_covariances_do_not_say_that_one_direction_is_certain(smoothness):
    stack, _ = ground("constant", 10.0, 0)
    shifts = match(stack, xoffset.Regularized(smoothness=smoothness), step=4)
    correlation = (shifts.cov_dxdy / (shifts.sigma_dx * shifts.sigma_dy)).values
    # this texture is alike in all directions
    assert np.nanpercentile(np.abs(correlation), 99.0) < 0.7


# ----------------------------------------------------------------------------------------------------------- direction


def stretched(times, angle, right, down, snr, seed, size=192):
    """Ground that has moved, with detail so many times longer along an angle from the columns down to the rows."""
    rng = np.random.default_rng(seed)
    x, y = np.fft.fftfreq(size)[None], np.fft.fftfreq(size)[:, None]
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    size_of_wave = np.hypot(times * (x * cosine + y * sine), y * cosine - x * sine)
    waves = np.fft.fft2(rng.standard_normal((size, size))) * np.sinc(x) * np.sinc(y) / (size_of_wave + 0.01) ** 1.3
    waves[0, 0] = 0.0
    moved = waves * np.exp(-2j * np.pi * (x * right + y * down))
    images = np.stack([np.fft.ifft2(each).real for each in (waves, moved)])
    detail = images[0] - scipy.ndimage.gaussian_filter(images[0], 3.0, mode="wrap")
    images += rng.standard_normal(images.shape) * detail.std() / snr
    return stack_of(1000.0 + 100.0 * images / detail.std())


@pytest.mark.parametrize("snr", [np.inf, 4.0])
@pytest.mark.parametrize("angle", [0.0, 30.0, 45.0, 90.0])
@pytest.mark.parametrize("name", WITH_PRIOR)
def test_along_lines_of_one_direction_nothing_is_told(name, angle, snr):
    shifts = match(stretched(400.0, angle, 0.0, 0.0, snr, 0, size=128), WITH_PRIOR[name], step=4)
    inner = shifts.isel(y=slice(4, -4), x=slice(4, -4))
    assert np.isnan(inner.dx).all()
    assert np.isnan(inner.sigma_dx).all()
    assert (inner.flags.values == FLAGS["ill_conditioned"]).all()


@pytest.mark.parametrize("times", [5.0, 8.0, 12.0])
@pytest.mark.parametrize("snr", [4.0, 10.0])
@pytest.mark.parametrize("name", WITH_PRIOR)
def test_errors_along_lines_that_are_not_quite_straight(name, snr, times):
    ratio = []
    for seed in (0, 1):
        shifts = match(stretched(times, 45.0, 1.37, -0.73, snr, seed), WITH_PRIOR[name], step=2)
        inner = shifts.isel(pair=0, y=slice(8, -8), x=slice(8, -8))
        # y points north, rows down
        for sign in (-1.0, 1.0):
            error = (inner.dx - 13.7 + sign * (inner.dy - 7.3)).values / np.sqrt(2.0)
            variance = (inner.sigma_dx**2 + inner.sigma_dy**2).values / 2.0 + sign * inner.cov_dxdy.values
            ratio.append(error / np.sqrt(variance))
    along, across = (spread(np.stack(ratio[k::2]).reshape(1, -1))[0] for k in (0, 1))
    assert along < 1.4
    assert 0.5 < across < 1.15


@pytest.mark.parametrize(("of_noise", "told"), [(0.8, 0.8), (0.4, 0.4), (0.0, 0.0), (-0.8, 0.0)])
def test_covariances_are_of_the_same_noise_as_the_variances(of_noise, told, monkeypatch):
    shape, rng = (120, 130), np.random.default_rng(0)
    same, other = rng.standard_normal((2, *shape))
    change = np.stack([same, of_noise * same + np.sqrt(1.0 - of_noise**2) * other]).astype(np.float32)
    monkeypatch.setattr(dense_certainty, "_change_by_noise", lambda *_: change)
    # windows alone would have errors of a correlation of 0.9; what there is of it, the prior tells
    system = np.ones((5, *shape), dtype=np.float32)
    system[1] = -0.9
    # and nothing pulls at the field
    system[3:] = 0.0
    plane = np.ones(shape, dtype=np.float32)
    solution = dense_field.Solution(
        np.zeros((2, *shape), np.float32), system, plane, plane, system[:4], plane, plane, 1.0, system[:3], plane
    )
    found = dense_certainty.variances(solution, dense_field.Prior(1.0, dense_field.metric_along(None, 1.0)))
    correlation = found[2] / np.sqrt(found[0] * found[1])
    np.testing.assert_allclose(correlation, told, atol=0.04)


def test_covariances_of_motion_that_bends():
    columns = np.indices((60, 70))[1]
    step = np.where(columns > 35, 1.0, -1.0)
    found = dense_certainty._bends(np.stack([2.0 * step, -step]).astype(np.float32), 1)
    np.testing.assert_allclose(found[0], 4.0 * found[1], rtol=1e-4)
    # along the step nothing else moves
    beside = np.abs(columns - 35) < 3
    assert (found[1][beside] > 0.01).all()
    np.testing.assert_allclose(found[2][beside], -0.98 * 2.0 * found[1][beside], rtol=1e-3)
    assert np.abs(found[:, :, :25]).max() < 1e-6


# ----------------------------------------------------------------------------------------------- what else is in a tile


@functools.cache
def large():
    """Ground of which parts are taken away, and the middle of these."""
    stack, _ = ground("constant", 4.0, 3, size=320)
    return stack, {"y": slice(120, 200), "x": slice(110, 210)}


def sigma_of(stack, matcher):
    shifts = match(stack, matcher, step=2)
    middle = large()[0].isel(large()[1])
    inner = shifts.sel(x=slice(middle.x[0], middle.x[-1]), y=slice(middle.y[0], middle.y[-1]))
    assert inner.sizes["x"] > 40
    assert (inner.flags == 0).all()
    return np.sqrt(float(inner.sigma_dx.median()) * float(inner.sigma_dy.median()))


@pytest.mark.parametrize("name", WITH_PRIOR)
def test_holes_elsewhere_change_no_standard_errors(name):
    stack, _ = large()
    rows, columns = np.indices(stack.shape[1:])
    # a sixth of all pixels
    is_known = (rows >= 100) & (rows < 220) & (columns >= 90) & (columns < 230)
    holes = stack.where(stack.copy(data=np.broadcast_to(is_known, stack.shape)))
    ratio = sigma_of(holes, WITH_PRIOR[name]) / sigma_of(stack, WITH_PRIOR[name])
    assert 0.75 < ratio < 1.35


def test_clouds_elsewhere_change_no_standard_errors_of_windows():
    stack, _ = large()
    rng = np.random.default_rng(0)
    clouds = np.stack([scipy.ndimage.gaussian_filter(rng.standard_normal((320, 320)), 2.0) for _ in range(2)])
    # all but a strip, and 20 px beside it: more than half of the tile
    is_clear = scipy.ndimage.binary_dilation(np.isin(stack.x, stack.x[large()[1]["x"]]), iterations=20)
    values = np.where(is_clear, stack, float(stack.mean()) + float(stack.std()) * clouds / clouds.std()).astype(
        np.float32
    )
    ratio = sigma_of(stack.copy(data=values), xoffset.Flow()) / sigma_of(stack, xoffset.Flow())
    assert 0.85 < ratio < 1.15


@pytest.mark.parametrize(("side", "most"), [(64, 1.1), (110, 1.25)])
def test_colour_is_that_of_clear_ground(side, most):
    rng = np.random.default_rng(0)
    ground = scipy.ndimage.gaussian_filter(rng.standard_normal((192, 192)), 1.0)
    images = ground + 0.05 * rng.standard_normal((2, 192, 192))
    clouds = scipy.ndimage.gaussian_filter(rng.standard_normal((192, 192)), 2.0)
    clouds[side:], clouds[:, side:] = 0.0, 0.0
    whole = (slice(0, 192),) * 2
    found = []
    for amount in (0.0, 2.0):
        second = images[1] + amount * clouds / clouds[:side, :side].std()
        # noise and clouds shall keep their size
        first, other = (
            prepare(1000.0 + each.astype(np.float32), whole, None, 7, is_even=False) for each in (images[0], second)
        )
        gain = np.full((96, 96), second.std() / images[0].std(), np.float32)
        found.append(
            dense_colour.colour(first.slopes, first.weight, other, (0, 0), np.zeros((2, 96, 96), np.float32), gain)
        )
    assert found[0] == pytest.approx(1.0, abs=0.1)
    assert 1.0 / most < found[1] / found[0] < most


def test_standard_errors_hold_for_filters_that_leave_coarse_noise():
    prefilter = xoffset.filtering.Bandpass(fine=3.0, coarse=9.0)
    both = [ratios("constant", 4.0, seed, xoffset.Regularized(), prefilter=prefilter)[0] for seed in (0, 1)]
    found = spread(np.concatenate(both, axis=1))
    assert np.all((found > 0.7) & (found < 1.4)), found


@pytest.mark.parametrize("name", MATCHERS)
def test_clean_images_are_no_more_certain_than_interpolation(name):
    stack, _ = ground("constant", np.inf, 0)
    shifts = match(stack, MATCHERS[name], step=4)
    for sigma in (shifts.sigma_dx, shifts.sigma_dy):
        assert float(sigma.min()) >= 0.0019 * PIXEL


@pytest.mark.parametrize("name", MATCHERS)
def test_pixels_made_of_larger_ones_have_the_standard_error_of_locking(name):
    stack, _ = ground("constant", 10.0, 0)
    plain = match(stack, MATCHERS[name], step=8)
    coarse = match(stack.assign_coords(native_pixel_size=("time", [20.0, 20.0])), MATCHERS[name], step=8)
    np.testing.assert_array_equal(coarse.dx, plain.dx)
    # a shift of 2.3 px is 0.15 of such a pixel from a whole one
    assert float((coarse.sigma_dx / plain.sigma_dx).median()) > 1.5


@pytest.mark.parametrize("name", ["regularized", xoffset.Flow(smoothness=0.3)])
def test_ground_that_is_masked_does_not_make_the_rest_uncertain(name):
    stack, _ = ground("constant", 4.0, 1)
    level = scipy.ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(stack.shape[1:]), 12.0, mode="wrap")
    mask = stack.isel(time=0, drop=True).copy(data=level < 0.7 * level.std())
    whole, masked = (match(stack, name, **options) for options in ({}, {"mask": mask}))
    grown = (masked.sigma_dx / whole.sigma_dx).values
    assert np.isfinite(grown).mean() > 0.4
    assert 0.8 < np.nanmedian(grown) < 2.0
    assert np.nanpercentile(grown, 95) < 5.0


def test_wide_windows_know_that_they_blur():
    stack, truth = ground("fault", 10.0, 0)
    shifts = match(stack, xoffset.Regularized(window=41), step=2)
    at = truth.interp(x=shifts.x, y=shifts.y)
    ratio = ((shifts.dx - at.dx) / shifts.sigma_dx).values
    assert np.nanmean(np.abs(ratio) > 5.0) < 0.005


@pytest.mark.parametrize("matcher", [xoffset.Regularized(smoothness=100.0), xoffset.Flow(smoothness=100.0)])
def test_a_strong_prior_is_not_certain_where_pixels_contradict_it(matcher):
    stack, truth = ground("fault", 4.0, 0)
    shifts = match(stack, matcher, step=2)
    at = truth.interp(x=shifts.x, y=shifts.y)
    ratio = ((shifts.dx - at.dx) / shifts.sigma_dx).values
    # all moves alike, although the sides of the fault move against each other
    assert float((shifts.dx - at.dx).std()) > 0.5 * PIXEL
    assert np.nanmean(np.abs(ratio) > 5.0) < 0.2


def test_hidden_ground_is_not_the_usual_one():
    rng = np.random.default_rng(0)
    clear, clouds = rng.chisquare(4, 4000) / 4.0, 30.0 * rng.chisquare(4, 6000) / 4.0
    usual = dense_colour.typical(clear)
    assert usual == pytest.approx(np.median(clear))
    assert dense_colour.typical(np.concatenate([clear, clouds])) < 4.0 * usual
    assert dense_colour.typical(np.empty(0)) == 1.0


def test_information_of_a_tile_is_that_of_its_ground():
    system = np.zeros((5, 20, 20), dtype=np.float32)
    system[0, :, :1], system[2, :, :1] = 3.0, 1.0
    assert dense_field.mean_information(system) == pytest.approx(2.0)


def test_colour_by_autocorrelation():
    image = np.random.default_rng(1).standard_normal((2, 9, 12))
    found = dense_colour._alike(image)
    for y, x in ((0, 0), (2, -3), (-4, 4)):
        rows, columns = slice(max(y, 0), 9 + min(y, 0)), slice(max(x, 0), 12 + min(x, 0))
        back = slice(max(-y, 0), 9 - max(y, 0)), slice(max(-x, 0), 12 - max(x, 0))
        assert found[4 + y, 4 + x] == pytest.approx(np.sum(image[:, rows, columns] * image[:, back[0], back[1]]))
