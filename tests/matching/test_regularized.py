"""What the options of regularised matching mean, and far or hidden ground; for accuracy see `test_dense_accuracy`."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.ndimage
import xarray as xr
from reference_scenes import DATES, PIXEL, cut_out, discs

import xoffset
from xoffset import synthetic
from xoffset.model.flags import FLAGS

DENSE = {"matcher": "regularized", "step": 1, "search": 4}
SEEDS = (0, 1)


def pair(size=160, **options):
    return synthetic.stack((size, size), dates=DATES, pixel_size=PIXEL, **options)


def match(stack, **options):
    return xoffset.correlate(stack, xoffset.pairs(stack), **DENSE | options)


def in_pixels(shifts):
    """Displacement of the first pair (2, rows, columns) to the right and down."""
    return np.stack([shifts.dx.values[0], -shifts.dy.values[0]]) / PIXEL


def errors(shifts, truth):
    at = truth.isel(time=1).interp(x=shifts.x, y=shifts.y)
    return in_pixels(shifts) - np.stack([at.dx.values, -at.dy.values]) / PIXEL


def nmad(values):
    values = values[np.isfinite(values)]
    return 1.4826 * np.median(np.abs(values - np.median(values)))


def rmse(values):
    return np.sqrt(np.nanmean(values**2))


# ----------------------------------------------------------------------------------------------------------- accuracy


@pytest.mark.parametrize("seed", SEEDS)
def test_a_constant_shift_has_no_bias(seed):
    stack, truth = pair(field="constant", velocity=26.9, direction=121.3, snr=10.0, seed=seed)
    error = errors(match(stack), truth)
    assert np.abs(np.nanmedian(error, axis=(1, 2))).max() < 0.004
    assert rmse(error) < 0.006


def test_small_objects_that_move_little_are_found():
    inside = discs(8)
    shifts = match(cut_out(inside, (6, 5), snr=4.0, seed=4))
    found = np.pad(in_pixels(shifts), ((0, 0), (3, 3), (3, 3)), constant_values=np.nan)
    assert np.nanmedian(np.hypot(found[0] - 1.5, found[1] - 1.25)[inside]) < 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_steep_motion_does_not_break_into_steps(seed):
    stack, truth = pair(256, field="glacier", velocity=50.0, direction=70.0, snr=10.0, seed=seed)
    assert rmse(errors(match(stack, search=7), truth)[:, 16:-16, 16:-16]) < 0.035


def test_what_clouds_hide_is_not_told_or_as_uncertain_as_it_is_wrong():
    stack, truth = pair(288, field="landslide", velocity=30.0, snr=4.0, clouds=0.1, nodata=0.05, seed=3)
    shifts = match(stack)
    error = errors(shifts, truth)
    rows, columns = (slice(3, size - 3) for size in stack.shape[1:])
    is_bad = (truth.cloud.values | np.isnan(stack.values)).any(axis=0)[rows, columns]
    # as far as the pre-filter sees a cloud
    is_bad = scipy.ndimage.binary_dilation(is_bad, iterations=10)
    hidden = scipy.ndimage.binary_erosion(truth.cloud.values.any(axis=0)[rows, columns], iterations=6)
    sigma = shifts.sigma_dx.values[0] / PIXEL
    assert np.median(np.nan_to_num(sigma[hidden], nan=np.inf)) > 2.0 * np.nanmedian(sigma[~is_bad])
    told = hidden & np.isfinite(sigma)
    assert not told.any() or nmad(error[0][told] / sigma[told]) < 1.15


@pytest.mark.parametrize(("search", "speed"), [(11, 80.0), (24, 200.0), (48, 400.0)])
def test_far_motion(search, speed):
    stack, truth = pair(256, field="constant", velocity=speed, direction=60.0, snr=10.0)
    shifts = match(stack, search=search, step=2)
    # what the search does not leave
    assert np.isfinite(shifts.dx).mean() > 0.95 * (1.0 - 2.0 * (search + 3.0) / 256.0) ** 2
    assert np.nanpercentile(np.abs(errors(shifts, truth)), 99.9) < 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_far_motion_with_margins_is_found(seed):
    stack, truth = pair(288, field="landslide", velocity=150.0, direction=70.0, snr=6.0, seed=seed)
    shifts = match(stack, search=24, step=2)
    error, at = np.hypot(*errors(shifts, truth)), truth.isel(time=1).interp(x=shifts.x, y=shifts.y)
    # from 40 px off the edge of the image all of it could be found
    inner = (slice(20, -20), slice(20, -20))
    moves = (np.hypot(at.dx, at.dy).values > 6.0 * PIXEL)[inner]
    assert moves.sum() > 500
    assert (error[inner][moves] < 0.5).mean() > 0.6
    assert (error > 1.0).mean() < 0.015


@pytest.mark.parametrize(("radius", "smoothness"), [(16, 0.1), (24, 0.3)])
def test_far_objects_are_found(radius, smoothness):
    stack, _ = pair(200, field="constant", velocity=0.0, snr=6.0)
    other, _ = pair(200, field="constant", velocity=0.0, snr=6.0, seed=9)
    images = stack.values.copy()
    inside = np.hypot(*(np.indices(images[0].shape) - 90)) < radius
    there = np.roll(inside, (-17, 13), (0, 1))
    images[1, inside] = other.values[1, inside]
    images[1, there] = np.roll(stack.values[1], (-17, 13), (0, 1))[there]
    shifts = match(stack.copy(data=images), search=24, matcher=xoffset.Regularized(smoothness=smoothness))
    found = np.pad(in_pixels(shifts), ((0, 0), (3, 3), (3, 3)), constant_values=np.nan)
    assert (np.hypot(found[0] - 13.0, found[1] + 17.0) < 0.5)[inside].mean() > 0.4


# ------------------------------------------------------------------------------------------------------------ options


@pytest.fixture(scope="module")
def landslide():
    return pair(128, field="landslide", velocity=30.0, snr=4.0)


def test_without_smoothness_it_is_dense_ncc(landslide):
    stack, _ = landslide
    found = match(stack, matcher=xoffset.Regularized(smoothness=0.0), step=4)
    plain = match(stack, matcher="ncc", template=7, step=4)
    for name in plain.data_vars:
        np.testing.assert_array_equal(found[name], plain[name])


def test_the_smoother_the_less_noise_until_all_moves_alike(landslide):
    stack, truth = landslide
    found = {s: match(stack, matcher=xoffset.Regularized(smoothness=s), step=2) for s in (0.03, 0.3, 10.0, 1e6)}
    noise = [nmad(errors(found[s], truth)) for s in (0.03, 0.3)]
    assert noise[0] > 3.0 * noise[1]
    spread = [float(found[s].dx.std()) / PIXEL for s in (0.3, 10.0, 1e6)]
    assert spread[0] > 0.3
    assert max(spread[1:]) < 0.01


@pytest.mark.parametrize("is_south_up", [False, True])
@pytest.mark.parametrize("strike", [45.0, 135.0])
def test_direction_smooths_along_and_not_across(strike, is_south_up):
    stack, truth = pair(160, field="fault", velocity=10.0, direction=strike, snr=3.0)
    if is_south_up:
        stack = stack.isel(y=slice(None, None, -1))
    found = {
        azimuth: rmse(errors(match(stack, matcher=xoffset.Regularized(direction=azimuth), step=2), truth))
        for azimuth in (strike, strike - 180.0, strike + 90.0)
    }
    assert found[strike] == found[strike - 180.0]
    assert found[strike] < 0.9 * found[strike + 90.0]


@pytest.mark.parametrize("search", [4, 20])
def test_a_high_cost_floor_leaves_less_that_pulls(landslide, search):
    stack, truth = landslide
    found = [match(stack, matcher=xoffset.Regularized(cost_floor=each), step=4, search=search) for each in (0.0, 0.8)]
    assert not found[0].dx.equals(found[1].dx)
    for shifts in found:
        assert nmad(errors(shifts, truth)) < 0.05


def test_the_window_is_the_support():
    stack = cut_out(discs(10), (11, -8), snr=4.0, seed=0)
    found = [np.nanmean(in_pixels(match(stack, matcher=xoffset.Regularized(window=w)))[0][37, 37]) for w in (5, 31)]
    # the disc fills the small window, and is a tenth of the large one
    assert found[0] > 2.0
    assert found[1] < 1.5


def test_a_mask_acts_like_nodata(landslide):
    stack, _ = landslide
    hole = np.zeros(stack.shape, dtype=bool)
    hole[1, 50:80, 60:90] = True
    mask = xr.DataArray(~hole, dims=stack.dims, coords=stack.coords)
    xr.testing.assert_equal(match(stack, mask=mask, step=2), match(stack.where(~hole), step=2))


@pytest.mark.parametrize("chunks", [{"y": 64, "x": 50}, {"y": 30, "x": -1}])
def test_any_chunks_give_the_same_bits(chunks):
    stack, _ = pair(200, field="landslide", velocity=30.0, snr=4.0, nodata=0.05)
    stack = stack.isel(y=slice(0, 150))
    for options in ({"step": 1}, {"step": 8, "search": (3, 5)}, {"step": 4, "search": (14, 30)}):
        xr.testing.assert_identical(match(stack.chunk(chunks), **options).compute(), match(stack, **options))


def test_sparse_nodes_sample_the_dense_field(landslide):
    stack, _ = landslide
    dense, sparse = match(stack), match(stack, step=4)
    np.testing.assert_allclose(sparse.dx, dense.dx[:, ::4, ::4], atol=0.02)


def test_a_prior_moves_the_search():
    stack, truth = pair(160, field="constant", velocity=120.0, direction=90.0, snr=10.0)
    coarse = truth[["vx", "vy"]].isel(y=slice(4, None, 8), x=slice(4, None, 8))
    # known a little wrong, with a trend, and not everywhere
    prior = coarse + xr.full_like(coarse.x, 1.0) * (coarse.x - coarse.x.mean()) * 0.01
    shifts = match(stack, search=3, prior=prior, step=2)
    assert np.nanmax(np.abs(errors(shifts, truth))) < 0.15
    assert np.isfinite(shifts.dx).mean() > 0.7
    prior.vx[:2] = np.nan
    partly = match(stack, search=3, prior=prior, step=2)
    assert (partly.flags.values & FLAGS["no_prior"]).any()
    assert np.nanpercentile(np.abs(errors(partly, truth)[:, 30:-30, 30:-30]), 99) < 0.15


def test_a_prior_moves_a_far_search():
    stack, truth = pair(256, field="constant", velocity=300.0, direction=90.0, snr=10.0)
    prior = (truth[["vx", "vy"]] * 0.0).assign(vx=lambda each: each.vx + 130.0, vy=lambda each: each.vy - 50.0)
    shifts = match(stack, search=20, prior=prior, step=4)
    assert np.isfinite(shifts.dx).mean() > 0.5
    assert np.nanmax(np.abs(errors(shifts, truth))) < 0.15


# -------------------------------------------------------------------------------------------------------------- flags


def test_what_is_not_told_has_a_flag(landslide):
    stack, _ = landslide
    images = stack.values.copy()
    images[0, 20:50, 20:50] = np.nan
    images[1, 80:100, 80:110] = 777.0
    changed = stack.copy(data=images)
    shifts = match(changed)
    names = {name for name, bit in FLAGS.items() if (shifts.flags.values & bit).any()}
    assert {"outside", "nodata", "few_valid", "flat"} <= names
    assert (np.isnan(shifts.dx) == (shifts.flags != 0)).all()
    for name in ("sigma_dx", "sigma_dy", "cov_dxdy"):
        assert (np.isnan(shifts[name]) == np.isnan(shifts.dx)).all()
    assert float(shifts.valid_fraction.where(shifts.flags == 0).min()) >= 0.5


def test_motion_beyond_the_search_is_not_told():
    stack, _ = pair(128, field="constant", velocity=40.0, direction=90.0, snr=10.0)
    shifts = match(stack, search=3, step=4)
    assert not (np.abs(in_pixels(shifts) - np.array([4.0, 0.0])[:, None, None]) < 0.5).any()
    assert (shifts.flags.values & (FLAGS["border"] | FLAGS["outside"])).any()


@pytest.mark.parametrize("value", [np.nan, 5.0])
def test_images_without_ground(landslide, value):
    stack, _ = landslide
    for which in (0, 1, slice(None)):
        images = stack.values.copy()
        images[which] = value
        shifts = match(stack.copy(data=images), step=4)
        assert np.isnan(shifts.dx).all()
        assert (shifts.flags != 0).all()


@pytest.mark.parametrize("dtype", [np.float64, ">f4", np.uint8, ">u2"])
def test_types_of_pixels(landslide, dtype):
    stack, _ = landslide
    scaled = np.rint((stack - stack.min()) / (stack.max() - stack.min()) * 250.0)
    one, other = match(scaled, step=4), match(scaled.astype(dtype), step=4)
    np.testing.assert_allclose(other.dx, one.dx, atol=0.02)
    assert other.dx.dtype == (np.float64 if dtype == np.float64 else np.float32)


@pytest.mark.parametrize("prefilter", [None, "highpass", "wallis", "rank", "naof"])
def test_other_filters(landslide, prefilter):
    stack, truth = landslide
    assert rmse(errors(match(stack, prefilter=prefilter, step=2), truth)) < 0.2


def test_options_are_recorded(landslide):
    stack, _ = landslide
    shifts = match(stack, matcher=xoffset.Regularized(direction=370.0), step=8)
    *_, last = json.loads(shifts.attrs["processing"])
    assert last["matcher"] == {
        "name": "regularized", "window": 7, "smoothness": 0.3, "direction": 10.0, "cost_floor": 0.5, "min_valid": 0.5,
        "flat_block": 7,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"window": 1}, "Pass window=7"),
        ({"window": 8}, "Pass window=7"),
        ({"smoothness": -0.1}, "Pass one such as"),
        ({"smoothness": np.inf}, "Pass one such as"),
        ({"direction": "north"}, "Pass one from 0 to 360"),
        ({"cost_floor": 1.0}, "Pass a correlation"),
        ({"min_valid": 0.0}, "Pass a share"),
        ({"flat_block": 1}, "Leave it out"),
    ],
)
def test_wrong_options(options, advice):
    with pytest.raises(ValueError, match=advice):
        xoffset.Regularized(**options)


def test_what_it_cannot_serve(landslide):
    stack, _ = landslide
    wide = xr.full_like(stack[0], 3.0)
    for options in ({"search": wide}, {"search": xoffset.Pyramid(8)}):
        with pytest.raises(ValueError, match="Pass a number"):
            match(stack, **options)
    with pytest.raises(ValueError, match="Leave template out"):
        match(stack, template=(16, 32))
    with pytest.raises(ValueError, match="search"):
        match(stack, search=0)
