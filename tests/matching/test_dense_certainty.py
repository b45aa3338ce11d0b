"""Standard errors of the dense matchers against errors on ground whose motion is known."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import scipy.ndimage

import xoffset
from xoffset import synthetic
from xoffset._arrays.matching import dense_field
from xoffset._arrays.matching.dense_colour import _alike

PIXEL = 10.0
DATES = ["2020-01-01T00:00", "2020-12-31T06:00"]  # a year of 365.25 days
MOTION = {
    "constant": {"velocity": 26.9, "direction": 121.3},
    "landslide": {"velocity": 30.0},
    "fault": {"velocity": 10.0, "direction": 70.0},
}
MATCHERS = {"regularized": xoffset.Regularized(), "flow": xoffset.Flow()}


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
    usual = dense_field.typical(clear)
    assert usual == pytest.approx(np.median(clear))
    assert dense_field.typical(np.concatenate([clear, clouds])) < 4.0 * usual
    assert dense_field.typical(np.empty(0)) == 1.0


def test_information_of_a_tile_is_that_of_its_ground():
    system = np.zeros((5, 20, 20), dtype=np.float32)
    system[0, :, :1], system[2, :, :1] = 3.0, 1.0
    assert dense_field._mean_information(system) == pytest.approx(2.0)


def test_colour_by_autocorrelation():
    image = np.random.default_rng(1).standard_normal((2, 9, 12))
    found = _alike(image)
    for y, x in ((0, 0), (2, -3), (-4, 4)):
        rows, columns = slice(max(y, 0), 9 + min(y, 0)), slice(max(x, 0), 12 + min(x, 0))
        back = slice(max(-y, 0), 9 - max(y, 0)), slice(max(-x, 0), 12 - max(x, 0))
        assert found[4 + y, 4 + x] == pytest.approx(np.sum(image[:, rows, columns] * image[:, back[0], back[1]]))
