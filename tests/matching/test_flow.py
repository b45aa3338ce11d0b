"""Optical flow: kernels against slow twins, and motion whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import reference_flow as twin
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._arrays import lattice as lattices
from xoffset._arrays.matching import flow_field
from xoffset._kernels.images import filters
from xoffset._kernels.matching import flow
from xoffset.model.flags import FLAGS

DATES = ["2020-01-01T00:00", "2020-12-31T06:00"]  # one year of 365.25 days apart
PIXEL = 10.0
STEP = {"step": 4, "search": 4}


def moving(right, down, shape=(160, 176), **options):
    speed, direction = PIXEL * np.hypot(right, down), np.degrees(np.arctan2(right, -down))
    stack, _ = synthetic.stack(
        shape, dates=DATES, pixel_size=PIXEL, field="constant", velocity=speed, direction=direction, **options
    )
    return stack


def match(stack, matcher=None, **options):
    return xoffset.correlate(stack, xoffset.pairs(stack), matcher=matcher or xoffset.Flow(), **STEP | options)


def errors(shifts, right, down):
    return np.stack([shifts.dx.values[0] / PIXEL - right, -shifts.dy.values[0] / PIXEL - down])


# ------------------------------------------------------------------------------------------------------------- kernels


def random_blocks(seed, rows=7, columns=9):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(3, 2 * rows, 2 * columns)).astype(np.float32)
    second = scipy_smooth(rng.normal(size=(2 * rows + 9, 2 * columns + 11))).astype(np.float32)
    weight = (rng.random(images.shape[1:]) > 0.2).astype(np.float32)
    known = (rng.random(second.shape) > 0.1).astype(np.float32)
    field = rng.uniform(-6.0, 6.0, size=(2, rows, columns)).astype(np.float32)
    return rng, images, weight, second, known, field


def scipy_smooth(image):
    padded = np.pad(image, 1, mode="edge")
    return sum(padded[i : i + image.shape[0], j : j + image.shape[1]] for i in range(3) for j in range(3)) / 3.0


@pytest.mark.small
def test_equations_of_blocks():
    rng, images, weight, second, known, field = random_blocks(1)
    factor = np.stack([rng.choice([-1.0, 1.0], field.shape[1:]), rng.random(field.shape[1:])]).astype(np.float32)
    spline = np.empty_like(second)
    filters.spline_coefficients(second, spline)
    system, seen = np.empty((5, *field.shape[1:]), np.float32), np.empty((3, *field.shape[1:]), np.float32)
    flow.gather(
        images, weight, spline, known, (4, 5), field[0], field[1], factor, np.float32(0.7), system, seen
    )  # fmt: skip
    wanted, alike = twin.gather(images, weight, second.astype(np.float64), known, (4, 5), field, factor, 0.7)
    np.testing.assert_allclose(system, wanted, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(seen, alike, rtol=2e-4, atol=2e-4)
    assert 0 < (seen[2] == 0).sum() < seen[2].size


@pytest.mark.small
def test_solutions_of_windows():
    rng, *_, field = random_blocks(2)
    roots = rng.normal(size=(*field.shape[1:], 2, 3))
    j = roots @ np.swapaxes(roots, -1, -2)
    sums = np.concatenate([np.stack([j[..., 0, 0], j[..., 0, 1], j[..., 1, 1]]), rng.normal(size=field.shape)]).astype(
        np.float32
    )
    sums[:, 3, 4] = 0.0
    found, wanted = field.copy(), twin.solve(sums, 0.5, field)
    wide = np.array([-1e3, 1e3, -1e3, 1e3], dtype=np.float32).reshape(4, 1, 1)
    flow.solve(sums, np.float32(0.5), wide, found[0], found[1])
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found[:, 3, 4], field[:, 3, 4])
    narrow = np.stack([field[0] - 1, field[0] + 1, field[1] - 2, field[1] + 2])
    for bounds, low in ((narrow, 1.0), (np.array([0, 1, -1, 0], dtype=np.float32).reshape(4, 1, 1), None)):
        found = field.copy()
        flow.solve(sums, np.float32(0.5), bounds, found[0], found[1])
        limited = np.clip(wanted, bounds[[0, 2]], bounds[[1, 3]])
        np.testing.assert_allclose(found, limited, rtol=1e-4, atol=1e-4 if low else 1e-5)
    variances = np.empty((3, *field.shape[1:]), np.float32)
    factor = np.full(field.shape[1:], 0.01, dtype=np.float32)
    flow.covariances(sums, 0.01, 0.25, factor, variances)
    values = np.linalg.eigvalsh(j)
    singular = (values[..., 0] <= 0.01 * values[..., 1]) | (0.01 / np.maximum(values[..., 0], 1e-12) >= 0.25)
    singular[3, 4] = True
    np.testing.assert_array_equal(np.isnan(variances[0]), singular)
    assert 1 < singular.sum() < singular.size
    inverse = 0.01 * np.linalg.inv(j[~singular])
    np.testing.assert_allclose(variances[0][~singular], inverse[:, 0, 0], rtol=1e-3)
    np.testing.assert_allclose(variances[1][~singular], inverse[:, 1, 1], rtol=1e-3)
    np.testing.assert_allclose(variances[2][~singular], inverse[:, 0, 1], rtol=1e-3, atol=1e-5)
    # what a second look takes away
    moved, lost = np.empty_like(field), np.empty((3, *field.shape[1:]), np.float32)
    flow.multiply(sums, field[0], field[1], moved[0], moved[1])
    product = np.moveaxis(np.einsum("yxij,jyx->yxi", twin.matrices(sums)[0], field), -1, 0)
    np.testing.assert_allclose(moved, product, rtol=1e-4, atol=1e-4)
    flow.differ(sums, field[0], field[1], lost)
    fit = values[..., 0] * values[..., 1] > 1e-3 * values.sum(axis=-1) ** 2
    fit[3, 4] = False
    change = field - twin.solve(sums, 1e-9, field)
    np.testing.assert_allclose(lost[0][fit], change[0][fit] ** 2, rtol=2e-2, atol=1e-3)
    np.testing.assert_allclose(lost[2][fit], (change[0] * change[1])[fit], rtol=2e-2, atol=1e-3)
    assert (lost[:, 3, 4] == 0).all()


@pytest.mark.small
def test_signs_and_weights_of_blocks():
    product = np.array([[1.0, -0.5, -3.0], [0.0, -0.41, -0.39]], dtype=np.float32)
    count = np.full((2, 3), 4.0, dtype=np.float32)
    sign = np.empty_like(product)
    flow.turn(product, count, np.float32(0.1), sign)
    np.testing.assert_array_equal(sign, [[1, -1, -1], [1, -1, 1]])
    weight = np.empty_like(product)
    flow.trust(np.abs(product), count, np.float32(0.25), weight)
    np.testing.assert_allclose(weight, 1.0 / (1.0 + np.abs(product) ** 2), rtol=1e-6)


# -------------------------------------------------------------------------------------------------------------- motion


@pytest.mark.parametrize(("rank", "seed"), [(4, 0), (0, 1)])
def test_a_constant_shift(rank, seed):
    shifts = match(moving(2.3, -1.4, snr=10.0, seed=seed), xoffset.Flow(rank=rank))
    assert set(shifts.data_vars) == {
        "dx", "dy", "score", "peak_gap", "sigma_dx", "sigma_dy", "cov_dxdy", "valid_fraction", "flags",
        "false_alarm",
    }  # fmt: skip
    error = errors(shifts, 2.3, -1.4)[:, 6:-6, 6:-6]
    assert np.abs(np.median(error, axis=(1, 2))).max() < 0.005
    assert np.sqrt(np.mean(error**2)) < 0.03
    assert not shifts.flags[0, 6:-6, 6:-6].any()
    assert shifts.score[0, 6:-6, 6:-6].min() > 0.8


@pytest.mark.parametrize("smoothness", [0.0, 0.3])
def test_far_motion(smoothness):
    shifts = match(moving(-15.7, 12.4, snr=10.0), xoffset.Flow(smoothness=smoothness), search=24)
    error = errors(shifts, -15.7, 12.4)[:, 10:-10, 10:-10]
    assert np.abs(error).max() < 0.2
    assert np.abs(np.median(error, axis=(1, 2))).max() < 0.01


@pytest.mark.parametrize("matcher", [xoffset.Flow(contrast_inversion=False), xoffset.Regularized()])
def test_far_motion_in_narrow_tiles(matcher, monkeypatch):
    monkeypatch.setattr(lattices, "FADED_TILE", 60)
    stack = moving(43.0, -2.0, shape=(300, 290), snr=10.0)
    shifts = match(stack, matcher, search=48)
    dx, dy = errors(shifts, 43.0, -2.0)
    # without the rim that the search leaves out, and the ground of which the partner has left
    found = (shifts.flags.values[0] == 0)[14:-14, 14:-16]
    assert found.mean() > 0.98
    assert np.nanmax(np.hypot(dx, dy)[14:-14, 14:-16]) < 0.5
    sides = [flow_field.levels_of(shape, 6) for shape in ((300, 290), (512, 600), (31, 900), (8, 8))]
    assert sides == [5, 6, 1, 1]


def test_motion_about_a_prior_and_beyond_the_search():
    stack = moving(12.3, -7.6, snr=10.0)
    prior = xr.Dataset({"dx": 0 * stack[0].drop_vars("time") + 120.0, "dy": 0 * stack[0].drop_vars("time") + 80.0})
    near = match(stack, prior=prior, search=2)
    assert np.nanmax(np.abs(errors(near, 12.3, -7.6)[:, 8:-8, 8:-8])) < 0.2
    assert np.isfinite(near.dx[0, 8:-8, 8:-8]).all()
    lost = match(stack, search=4)
    assert np.isnan(lost.dx).mean() > 0.97
    assert ((lost.flags.values & (FLAGS["border"] | FLAGS["refine_failed"])) != 0).mean() > 0.5
    assert lost.false_alarm.median() > 0.01
    assert near.false_alarm[0, 8:-8, 8:-8].max() < 1e-6


def test_a_landslide():
    stack, truth = synthetic.stack(
        (256, 256), dates=DATES, pixel_size=PIXEL, field="landslide", velocity=24.0, snr=10.0
    )
    shifts = match(stack)
    true = truth.isel(time=1).interp(x=shifts.x, y=shifts.y)
    error = (
        np.stack([shifts.dx.values[0] - true.dx.values, shifts.dy.values[0] - true.dy.values])[:, 4:-4, 4:-4] / PIXEL
    )
    assert np.sqrt(np.mean(error**2)) < 0.06
    assert np.median(np.abs(error)) < 0.02


def test_inverted_contrast():
    stack = moving(1.3, 0.8, snr=10.0)
    level = float(stack[1].mean())
    other = stack.copy()
    other[1, :, 88:] = 2.0 * level - stack.values[1, :, 88:]
    shifts = match(other)
    left, right = shifts.isel(x=slice(4, 14)), shifts.isel(x=slice(26, 36))
    assert left.score.median() > 0.8
    # the correlation is told as it is
    assert right.score.median() < -0.8
    assert right.false_alarm.max() < 1e-6
    for half in (left, right):
        assert np.abs(errors(half, 1.3, 0.8)[:, 6:-6]).max() < 0.15
    plain = match(other, xoffset.Flow(contrast_inversion=False)).isel(x=slice(26, 36), y=slice(6, -6))
    assert not (np.abs(errors(plain, 1.3, 0.8)) < 0.15).mean() > 0.5
    # the prior of smooth fields knows of no inversion, and leaves those windows as they are
    refined = match(other, xoffset.Flow(smoothness=0.3)).isel(x=slice(26, 36), y=slice(6, -6))
    assert np.abs(errors(refined, 1.3, 0.8)).max() < 0.15


# ------------------------------------------------------------------------------------------------------- nothing to see


def test_lines_of_one_direction_have_no_motion():
    stack = moving(0.0, 0.0)
    across = np.add.outer(np.arange(160), np.arange(176))
    profile = np.random.default_rng(0).normal(size=336).astype(np.float32)
    lines = np.broadcast_to(1000.0 + 100.0 * profile[across], stack.shape).copy()
    for matcher in (xoffset.Flow(), xoffset.Flow(rank=0)):
        shifts = match(stack.copy(data=lines), matcher)
        # at the edges of the image the filter bends lines
        inner = shifts.isel(y=slice(4, -4), x=slice(4, -4))
        assert np.isnan(inner.dx).all()
        assert np.isnan(inner.sigma_dx).all()
        assert (inner.flags.values == FLAGS["ill_conditioned"]).all()


@pytest.mark.parametrize("matcher", [xoffset.Flow(), xoffset.Flow(rank=0), xoffset.Flow(smoothness=0.3)])
def test_noise_on_lines_is_no_texture(matcher):
    rng = np.random.default_rng(0)
    stack = moving(0.0, 0.0)
    profile = np.convolve(rng.normal(size=400), np.ones(3) / 3, mode="same").astype(np.float32)
    # lines along y, whose motion along y is not to be seen
    lines = np.stack([np.broadcast_to(profile[10:186], (160, 176)), np.broadcast_to(profile[8:184], (160, 176))])
    noise = rng.normal(size=stack.shape).astype(np.float32) * 0.05
    shifts = match(stack.copy(data=1000.0 + 100.0 * (lines + noise)), matcher)
    assert np.isfinite(shifts.dx).mean() < 0.01
    assert (shifts.flags.isel(y=slice(8, -8), x=slice(8, -8)) == FLAGS["ill_conditioned"]).mean() > 0.9


def test_flat_and_missing_ground():
    stack = moving(1.2, 0.4)
    empty = match(stack.where(stack.time == stack.time[0]))
    assert np.isnan(empty.dx).all()
    is_searched = (match(stack).flags.values & FLAGS["outside"]) == 0
    assert (empty.flags.values[is_searched] == FLAGS["nodata"]).all()
    both = match(stack.copy(data=np.full(stack.shape, np.nan, dtype=np.float32)))
    assert (both.flags.values[is_searched] == FLAGS["nodata"]).all()
    flat = match(stack.copy(data=np.full(stack.shape, 700.0, dtype=np.float32)))
    assert np.isnan(flat.dx).all()
    assert ((flat.flags.values[is_searched] & FLAGS["flat"]) != 0).all()
    holes = stack.copy()
    holes[1, 60:110, 70:130] = np.nan
    shifts = match(holes)
    inner = shifts.isel(y=slice(17, 22), x=slice(20, 27))
    assert np.isnan(inner.dx).all()
    assert (inner.flags.values != 0).all()
    known = np.isfinite(shifts.dx.values[0])
    assert np.abs(errors(shifts, 1.2, 0.4)[:, known]).max() < 0.5
    assert shifts.valid_fraction.where(shifts.dx.notnull()).min() >= 0.5
    mask = xr.DataArray(np.isfinite(holes.values), coords=holes.coords, dims=holes.dims)
    masked = match(stack, mask=mask)
    for name in ("dx", "dy", "sigma_dx", "flags", "score"):
        np.testing.assert_array_equal(masked[name].values, shifts[name].values)


@pytest.mark.parametrize("smoothness", [0.0, 0.3])
def test_same_bits_whatever_the_chunks(smoothness, monkeypatch):
    monkeypatch.setattr(lattices, "FADED_TILE", 70)
    monkeypatch.setattr(lattices, "TILE", 48)
    stack = moving(1.2, 0.4, shape=(230, 190))
    stack[0, 40:60, 100:140] = np.nan
    options = {"matcher": xoffset.Flow(radius=(12, 6), smoothness=smoothness), "step": 3}
    eager = match(stack, **options)
    for chunks in ({"y": 61, "x": 190}, {"y": 230, "x": 40}):
        xr.testing.assert_identical(match(stack.chunk(chunks), **options).compute(), eager)


@pytest.mark.parametrize("dtype", [np.float64, np.uint8, ">f4", ">u2"])
def test_types_of_pixels(dtype):
    stack = moving(1.2, 0.4, shape=(96, 96))
    scaled = (stack - stack.min()) / (stack.max() - stack.min()) * 250.0
    found = match(scaled.astype(dtype), matcher=xoffset.Flow(radius=(16, 8)))
    assert found.dx.dtype == (np.float64 if dtype is np.float64 else np.float32)
    assert np.abs(np.median(errors(found, 1.2, 0.4)[:, 5:-5, 5:-5], axis=(1, 2))).max() < 0.05


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.small
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": ()}, "as radius"),
        ({"radius": (8, 16)}, "from wide to narrow"),
        ({"radius": (8, 8)}, "from wide to narrow"),
        ({"radius": (1,)}, "from 2 to 128"),
        ({"radius": (8.5,)}, "whole numbers"),
        ({"radius": "wide"}, "as radius"),
        ({"levels": 0}, "as levels"),
        ({"levels": 7}, "from 1 to 6"),
        ({"iterations": 0}, "as iterations"),
        ({"rank": -1}, "as rank"),
        ({"rank": 17}, "from 0 to 16"),
        ({"rank": True}, "as rank"),
        ({"contrast_inversion": "no"}, "contrast_inversion"),
        ({"smoothness": -0.1}, "smoothness"),
        ({"smoothness": np.inf}, "smoothness"),
        ({"min_valid": 0}, "min_valid above 0"),
        ({"flat_block": 1}, "flat_block"),
    ],
)
def test_options_that_are_none(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        xoffset.Flow(**options)


@pytest.mark.small
def test_searches_and_windows_that_do_not_suit():
    stack = moving(1.0, 0.0, shape=(64, 60))
    search = (0 * stack[0] + 3).drop_vars("time").drop_attrs(deep=False)
    for options, message in (
        ({"search": search}, "one search for all nodes"),
        ({"search": xoffset.Pyramid(8)}, "one search for all nodes"),
        ({"matcher": xoffset.Flow(radius=(60, 8))}, r"larger than the radius .* Flow\(radius"),
        ({"matcher": xoffset.Flow(radius=8, levels=4)}, r"at least 128 pixels .* got 64 x 60\. Leave levels out"),
        ({"template": (16, 32)}, "no template"),
        ({"search": 0}, "search"),
    ):
        with pytest.raises(ValueError, match=message):
            match(stack, **options)
    with pytest.raises(ValueError, match="needs images of at least"):
        match(stack.isel(x=slice(0, 1)))
    with pytest.raises(ValueError, match="larger than the radius"):
        match(stack.isel(x=slice(0, 30)))
