"""Constant parts of images are no ground: their edges stay where they are, and must not win a match."""

import numpy as np
import pytest
import reference
import xarray as xr

import xoffset
from xoffset import NCC, Phase, Pyramid, synthetic
from xoffset._arrays.matching import constant
from xoffset.model.flags import FLAGS

SIDE = 200
ROWS, COLUMNS = np.indices((SIDE, SIDE))
OPTIONS = {"template": 32, "search": 6, "step": 8}


def tilted(degrees, width, period):
    """Stripes as of the broken scan line corrector of Landsat 7."""
    angle = np.deg2rad(degrees)
    return (ROWS * np.cos(angle) + COLUMNS * np.sin(angle)) % period < width


def disks(period, radius):
    return (ROWS % period - period / 2) ** 2 + (COLUMNS % period - period / 2) ** 2 < radius**2


MASKS = {
    "half": COLUMNS >= SIDE // 2,
    "curved shore": SIDE / 2 + 15 * np.sin(ROWS / 12) < COLUMNS,
    "disks": disks(64, 15),
    "tilted, wide": tilted(8, 13, 50),
    "tilted": tilted(11, 8, 33),
    "tilted, narrow": tilted(14, 3, 33),
    "rows": ROWS % 18 < 6,
    "dead rows": ROWS % 40 == 7,
    "dead columns": COLUMNS % 25 == 3,
    "frame": np.hypot(ROWS - SIDE / 2, COLUMNS - SIDE / 2) > 80,
}


@pytest.fixture(scope="module")
def moving():
    """Two images (whole numbers) of ground that moves as one, by how much along x and y, in metres."""
    stack, truth = synthetic.stack((SIDE, SIDE), field="constant", velocity=33.0, direction=120.0, snr=4.0)
    return stack.round(), (float(truth.dx[1].mean()), float(truth.dy[1].mean()))


def spoilt(stack, mask, value):
    """Stack with a value where a mask is True, or where that of each date is."""
    masks = mask if isinstance(mask, tuple) else (mask, mask)
    return stack.copy(data=np.stack([np.where(m, value, image) for m, image in zip(masks, stack.values, strict=True)]))


def matched(stack, **options):
    return xoffset.correlate(stack, xoffset.pairs(stack), **OPTIONS | options)


def assert_right(shifts, motion, *, lies=0.02):
    """No screened vector is half a pixel off, hardly any is beyond three standard errors."""
    good = xoffset.screen(shifts)
    error = np.hypot(good.dx - motion[0], good.dy - motion[1]).values
    sigma = np.hypot(good.sigma_dx, good.sigma_dy).values
    known = np.isfinite(error)
    assert not (error[known] > 5.0).any()
    assert (error[known] > 3.0 * sigma[known]).mean() <= lies if known.any() else True
    assert not (shifts.dx.isnull() & (shifts.flags == 0)).any()


@pytest.mark.parametrize("value", [0.0, -9999.0, 65535.0])
@pytest.mark.parametrize("name", MASKS)
def test_what_is_filled_tells_nothing_and_spoils_nothing(moving, name, value):
    stack, motion = moving
    shifts = matched(spoilt(stack, MASKS[name], value))
    assert_right(shifts, motion)
    # no less is found than where the same pixels are declared to hold no data
    declared = matched(spoilt(stack, MASKS[name], np.nan))
    np.testing.assert_array_equal(shifts.dx, declared.dx)
    lost = shifts.dx.isnull() & ((shifts.flags & FLAGS["outside"]) == 0)
    is_short = lost & ((shifts.flags & FLAGS["few_valid"]) > 0)
    assert ((shifts.flags & FLAGS["flat"]) > 0).where(is_short, True).all()


@pytest.mark.parametrize("name", ["half", "curved shore", "disks", "tilted, wide"])
def test_level_ground_within_the_range_of_the_image(moving, name):
    stack, motion = moving
    shifts = matched(spoilt(stack, MASKS[name], float(stack.median())))
    assert_right(shifts, motion)
    assert int(shifts.dx.notnull().sum()) > 40


@pytest.mark.parametrize("which", ["reference", "secondary", "both"])
def test_holes_that_differ_between_the_dates(moving, which):
    stack, motion = moving
    nothing = np.zeros((SIDE, SIDE), bool)
    holes = {"reference": (disks(60, 14), nothing), "secondary": (nothing, disks(60, 14))}
    holes["both"] = (disks(60, 14), disks(70, 16))
    assert_right(matched(spoilt(stack, holes[which], 0.0)), motion)


@pytest.mark.parametrize(
    "options",
    [
        {"matcher": Phase(), "template": 64},
        {"matcher": Phase("orientation"), "template": 64},
        {"template": (16, 32, 64)},
        {"search": Pyramid(20, levels=2)},
        {"matcher": NCC("affine")},
        {"matcher": NCC(both_ways=True)},
        {"prefilter": None},
        {"prefilter": "wallis"},
        {"prefilter": "log"},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["half", "tilted"])
def test_every_matcher_and_filter_profits(moving, name, options):
    stack, motion = moving
    shifts = matched(spoilt(stack, MASKS[name], 0.0), **options)
    # a few more errors of the phase are beyond three sigma where windows have holes, whatever made them
    assert_right(shifts, motion, lies=0.03)
    np.testing.assert_array_equal(shifts.dx, matched(spoilt(stack, MASKS[name], np.nan), **options).dx)
    assert int(shifts.dx.notnull().sum()) > 20


def test_what_resampling_mixed_with_zeros_is_left_out(moving):
    stack, motion = moving
    zeros = spoilt(stack, MASKS["frame"], 0.0).values
    # half a pixel to the right, linear
    mixed = 0.5 * (zeros[:, :, :-1] + zeros[:, :, 1:])
    assert_right(matched(stack.isel(x=slice(0, -1)).copy(data=mixed)), motion)


def test_the_edges_of_constant_parts_win_where_they_are_kept(moving):
    stack, motion = moving
    kept = matched(spoilt(stack, MASKS["rows"], 0.0), matcher=NCC(flat_block=0))
    assert abs(motion[1]) > 15.0
    assert abs(float(kept.dy.median())) < 2.0


def test_few_windows_are_lost_to_small_plateaus(moving):
    """Eight bits, half a per cent of the pixels saturated at either end."""
    stack = moving[0]
    low, high = np.percentile(stack, [0.5, 99.5])
    coarse = ((stack - low) / (high - low) * 255.0).clip(0, 255).astype("uint8")
    with_them, without = (matched(coarse, matcher=NCC(flat_block=side)) for side in (0, 7))
    assert int(without.dx.notnull().sum()) >= 0.99 * int(with_them.dx.notnull().sum())


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_images_without_constant_parts_keep_their_bits(moving, dtype):
    stack = moving[0]
    stack = (stack / 8.0 if dtype == "uint8" else stack).astype(dtype)
    stack[:, 60:66, 70:77] = stack[:, 60, 70].astype(dtype)  # one row less than a block
    for options in ({}, {"matcher": "phase", "template": 64}):
        matcher = Phase if options else NCC
        found, plain = (matched(stack, **options | {"matcher": matcher(flat_block=side)}) for side in (7, 0))
        xr.testing.assert_equal(found, plain)


@pytest.mark.parametrize("side", [3, 5, 7])
@pytest.mark.parametrize("levels", [2, 3, 8])
def test_constant_blocks_are_those_of_the_twin(side, levels):
    generator = np.random.default_rng(side + levels)
    image = generator.integers(0, levels, (40, 46)).astype(np.float32)
    image[3:10, 4:11] = 1.0
    image[20:23, 5:40] = 0.0
    image[12:40, 43] = 2.0
    image[30:36, 10:19] = 1.0
    image[5, 30:33] = np.nan
    image[15:18, 20:23] = np.nan
    found, sums = constant.without_constant(image, side)
    expected = reference.constant_blocks(image, side)
    # both levels at the ends are as near to the next as that to its own: none stands apart
    np.testing.assert_array_equal(np.isnan(found) & ~np.isnan(image), expected)
    assert sums[-1, -1] == expected.sum()
    np.testing.assert_array_equal(found[~expected], image[~expected])


def test_a_value_stands_apart_only_at_an_end_of_the_range_and_beyond_a_gap():
    generator = np.random.default_rng(1)
    image = generator.integers(300, 4000, (90, 90)).astype(np.float32)
    specks = generator.random(image.shape) < 0.1
    for value, is_apart in ((0.0, True), (9000.0, True), (2000.0, False), (299.0, False)):
        found, _ = constant.without_constant(np.where(specks, np.float32(value), image), 7)
        assert np.isnan(found).any() == is_apart
    # a clipped image has its end of the range close by
    clipped = np.maximum(image, np.float32(700.0))
    assert not np.isnan(constant.without_constant(clipped, 7)[0]).any()


def test_an_image_of_two_values_keeps_what_is_no_block():
    image = (np.random.default_rng(0).random((64, 64)) < 0.5).astype(np.float32)
    found, sums = constant.without_constant(image, 7)
    assert sums.size == 0
    assert found is image


def test_an_image_of_large_pixels_is_flat_everywhere(moving):
    stack = moving[0].isel(y=slice(0, 20), x=slice(0, 20))
    large = xr.DataArray(
        stack.values.repeat(8, axis=1).repeat(8, axis=2), dims=("time", "y", "x"),
        coords={"time": stack.time, "y": -10.0 * np.arange(160), "x": 10.0 * np.arange(160)},
    )  # fmt: skip
    shifts = matched(large)
    inner = (shifts.flags & FLAGS["outside"]) == 0
    assert ((shifts.flags & FLAGS["flat"]) > 0).where(inner, True).all()
    assert shifts.dx.isnull().all()


@pytest.mark.parametrize("chunks", [(64, 70), (200, 33)])
def test_chunks_do_not_matter(moving, chunks):
    stack = spoilt(moving[0], MASKS["tilted"], 0.0)
    lazy = stack.chunk(time=1, y=chunks[0], x=chunks[1])
    xr.testing.assert_identical(matched(lazy).compute(), matched(stack))


@pytest.mark.parametrize("side", [1, 2, 65, 7.5, "7", True, None])
@pytest.mark.parametrize("matcher", [NCC, Phase])
def test_a_block_that_is_none_is_refused(matcher, side):
    with pytest.raises(ValueError, match=rf"{matcher.__name__}\(\) needs flat_block from 3 to 64"):
        matcher(flat_block=side)
