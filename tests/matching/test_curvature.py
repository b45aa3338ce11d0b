"""What strain leaves of curved motion: the rule equals its slow twin, and standard errors hold on bent ground."""

import numpy as np
import pytest
import reference_refine
import scipy.ndimage
import xarray as xr

import xoffset
from xoffset._arrays.matching import curvature

AFFINE = xoffset.NCC(refine="affine")


def bent(size=(11, 13), seed=0):
    """Shifts of windows on a paraboloid with noise, with holes, and the sides of the windows."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    shift = 0.02 * y**2 - 0.01 * x**2 + 0.1 * x + 0.02 * generator.standard_normal(size)
    shift[generator.random(size) < 0.05] = np.nan
    return shift, np.where(np.isnan(shift), 0, generator.choice([12, 18, 32], size))


@pytest.mark.small
@pytest.mark.parametrize("step", [4, 8, 40])
@pytest.mark.parametrize("size", [(11, 13), (2, 9), (1, 1)])
def test_the_bias_of_curvature_equals_its_slow_twin(step, size):
    shift, sides = bent(size)
    found = curvature.variance(shift, sides, step)
    expected = [[reference_refine.curvature(shift, sides, i, j, step) for j in range(size[1])] for i in range(size[0])]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)
    assert (found.max() > 0.0) == (min(size) > 2)


@pytest.mark.small
def test_the_mean_of_a_window_differs_from_its_centre_by_the_bias():
    """Means of a paraboloid over windows of 16 pixels, every 4 pixels."""
    y, x = np.mgrid[:80, :96].astype(float)
    motion = 2e-3 * (y - 30.0) ** 2 + 1e-3 * (x - 40.0) * (y - 30.0) + 5e-4 * x**2
    means = np.lib.stride_tricks.sliding_window_view(motion, (16, 16))[::4, ::4].mean(axis=(2, 3))
    middle = 2e-3 * (y + 7.5 - 30.0) ** 2 + 1e-3 * (x + 7.5 - 40.0) * (y + 7.5 - 30.0)
    middle += 5e-4 * (x + 7.5) ** 2
    centres = middle[: 4 * means.shape[0] : 4, : 4 * means.shape[1] : 4]
    bias = np.sqrt(curvature.variance(means, np.full(means.shape, 16), 4))
    inside = (slice(2, -2), slice(2, -2))
    expected = curvature.MARGIN * (means - centres)[inside]
    np.testing.assert_allclose(bias[inside], expected, rtol=0.01)


@pytest.mark.small
def test_a_wrong_match_does_not_make_its_neighbours_vague():
    shift, sides = bent()
    shift, sides = np.nan_to_num(shift), np.full(shift.shape, 32)
    right = curvature.variance(shift, sides, 8)
    shift[5, 6] += 5.0
    found = curvature.variance(shift, sides, 8)
    found[5, 6] = right[5, 6]
    inside = (slice(4, 7), slice(4, 9))  # nodes that see it from one side only
    assert (np.sqrt(found[inside]) < curvature.LARGEST_RATIO * np.sqrt(right[inside].max())).all()


def stepped(height, width, noise, along, size=(240, 240)):
    """Two images, of which the second moved down by a step along y or x, and the motion at (y, x) in rows."""
    generator = np.random.default_rng(1)
    texture = scipy.ndimage.gaussian_filter(generator.standard_normal([each + 100 for each in size]), 1.2) * 1000.0
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    middle = 0.5 * size[along]

    def motion(at_y, at_x):
        return height * np.tanh(((at_y, at_x)[along] - middle) / width)

    # the images are drawn where the rows of the second come from, by a spline of another order than the matcher's
    images = [
        scipy.ndimage.map_coordinates(texture, [y + 50.0 - down, x + 50.0], order=5) for down in (0.0, motion(y, x))
    ]
    images = [image + noise * texture.std() * generator.standard_normal(size) for image in images]
    coords = {"time": np.array(["2020-01-01", "2021-01-01"], "M8[us]"), "y": -y[:, 0], "x": x[0]}
    return xr.DataArray(np.array(images, np.float32), coords=coords, dims=("time", "y", "x")), motion


@pytest.fixture(scope="module")
def matched():
    """Shifts, and errors in standard errors with the distance from the step, by kind of step."""
    found = {}
    for name, (height, width, noise, along) in {
        "stretched": (4.0, 50.0, 0.05, 0),
        "sheared": (-3.0, 40.0, 0.05, 1),
        "with much noise": (2.0, 30.0, 0.2, 1),
        "straight": (-3.0, 1e5, 0.05, 1),
    }.items():
        stack, motion = stepped(height, width, noise, along)
        shifts = stack.offset.correlate(stack.offset.pairs(), search=8, matcher=AFFINE).isel(pair=0)
        y, x = np.meshgrid(-shifts.y.values, shifts.x.values, indexing="ij")
        there = y.copy()
        for _ in range(40):  # motion is told by where the ground arrives
            there = y + motion(there, x)
        ratio = (-shifts.dy.values - (there - y)) / shifts.sigma_dy.values
        found[name] = shifts, ratio, np.abs((y, x)[along] - 120.0) / width
    return found


@pytest.mark.parametrize("name", ["stretched", "sheared", "with much noise", "straight"])
def test_intervals_hold_the_truth_on_bent_ground(matched, name):
    _, ratio, distance = matched[name]
    here = np.isfinite(ratio) & (distance < 1.0)
    assert here.sum() > 150
    assert np.mean(np.abs(ratio[here]) < 1.96) > 0.9
    assert np.sqrt(np.mean(ratio[here] ** 2)) > 0.6


def test_ground_that_moves_as_one_hardly_loses_certainty(matched):
    shifts, ratio, _ = matched["straight"]
    pure = np.sqrt(np.nanmean(ratio**2))
    assert 0.75 < pure < 1.1
    stack, _ = stepped(-3.0, 1e5, 0.05, 1)
    without = stack.offset.correlate(stack.offset.pairs(), search=8).isel(pair=0)
    assert float((shifts.sigma_dy / without.sigma_dy).median()) < 1.15


@pytest.mark.parametrize("chunks", [{"y": 100, "x": 77}], ids=str)
def test_chunks_change_no_bit(matched, chunks):
    stack, _ = stepped(4.0, 50.0, 0.05, 0)
    lazy = stack.chunk(chunks).offset.correlate(stack.offset.pairs(), search=8, matcher=AFFINE)
    xr.testing.assert_equal(lazy.isel(pair=0).compute(), matched["stretched"][0])
