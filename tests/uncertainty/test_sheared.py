"""Windows in which the motion differs: how far it ranges, which of them are left out, and errors of what is left."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._arrays import sheared
from xoffset.flags import FLAGS
from xoffset.model import products
from xoffset.recipes import Glacier

PIXEL = 10.0
OFF = {"false_alarm": None, "ambiguity": None, "neighbourhood": False}
LARGEST = Glacier(max_velocity=1.0).max_range


@pytest.fixture(scope="module")
def ground():
    """What makes images of ground that moves by any field."""
    folder = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    yield importlib.import_module("_sheared")
    sys.path.remove(folder)


def made(dx, dy, *, step=8, window=32, sigma=0.05, dtype=np.float64):
    """Shifts of one pair by displacements in pixels (rows, columns) to the right and down."""
    images, _ = synthetic.stack((16, 16))
    fields = {"dx": PIXEL * dx[None], "dy": -PIXEL * dy[None]}
    fields |= {name: np.full(fields["dx"].shape, PIXEL * sigma) for name in ("sigma_dx", "sigma_dy")}
    fields = {name: each.astype(dtype) for name, each in fields.items()}
    fields["flags"] = np.zeros(fields["dx"].shape, np.int64)
    x, y = (PIXEL * step * np.arange(size) for size in dx.shape[::-1])
    sampling = {
        products.PIXEL_SIZE: PIXEL, products.WINDOW_SIZE: window * PIXEL, products.SEARCH_AREA: (17 * PIXEL) ** 2,
    }  # fmt: skip
    return products.shifts(fields, xoffset.pairs(images), x=x, y=-y, like=images, step={}, sampling=sampling)


def linear(right, down, shape=(15, 17), step=8):
    """Displacements with gradients (along x, along y) of both components."""
    y, x = step * np.mgrid[: shape[0], : shape[1]].astype(float)
    return right[0] * x + right[1] * y, down[0] * x + down[1] * y


def ranges(dx, dy, side=32.0, step=8.0, sigma=0.0):
    error = np.full(dx.shape, sigma)
    square, noise = sheared.squared_ranges((dx, dy), (error, error), side, (step, step))
    return np.sqrt(square.sum(axis=0)), np.sqrt(noise.sum(axis=0))


def is_sheared(shifts):
    return ((shifts.flags & FLAGS["sheared"]) != 0).values[0]


# ----------------------------------------------------------------------------------------------------------- the range


@pytest.mark.parametrize("side", [16, 32, 64])
@pytest.mark.parametrize("step", [4, 8, 16])
@pytest.mark.parametrize(
    "gradients",
    [((0.05, 0.0), (0.0, 0.0)), ((0.0, 0.05), (0.0, 0.0)), ((0.0, 0.03), (-0.03, 0.0)), ((0.02, 0.01), (0.03, -0.02))],
)
def test_range_of_even_motion_is_its_gradient_times_the_window(gradients, step, side):
    shape = (21, 23)
    found, _ = ranges(*linear(*gradients, shape, step), float(side), float(step))
    inner = slice(9, -9)
    expected = side * np.sqrt(np.square(gradients).sum())
    np.testing.assert_allclose(found[inner, inner], expected, rtol=1e-9)
    # a node at the edge has neighbours on one side alone, at a corner along one diagonal more than the other
    assert (np.abs(found / expected - 1.0) < 0.5).all()


def test_what_lacks_lies_between_and_an_island_in_lost_ground_is_seen():
    dx, dy = linear((0.2, 0.0), (0.0, 0.0), (9, 30))
    whole, _ = ranges(dx, dy)
    holed = dx.copy()
    holed[2:7, 10:15] = np.nan
    found, _ = ranges(holed, dy)
    known = np.isfinite(holed)
    np.testing.assert_allclose(found[known], whole[known], rtol=0.3)
    assert np.isnan(found[~known]).all()
    # two sides that move apart, and nothing in between: each side moves as one, as far as its own nodes tell
    step = np.where(np.arange(30) < 15, 0.0, 10.0) + np.zeros((9, 1))
    step[:, 12:18] = np.nan
    found, _ = ranges(step, np.where(np.isnan(step), np.nan, 0.0))
    assert (found[:, [11, 18]] > 4.0).all()
    np.testing.assert_allclose(found[:, :8], 0.0, atol=1e-12)
    # farther apart than two windows they tell nothing of each other
    step[:, 8:22] = np.nan
    found, _ = ranges(step, np.where(np.isnan(step), np.nan, 0.0))
    np.testing.assert_allclose(found[np.isfinite(step)], 0.0, atol=1e-12)


@pytest.mark.parametrize(("side", "step"), [(16, 8), (32, 8), (64, 8), (32, 32)])
def test_noise_of_windows_that_overlap_is_told_and_makes_no_shear(side, step):
    generator = np.random.default_rng(2)
    shape = (60, 60)
    fields = []
    for _ in range(2):
        blocks = generator.standard_normal([size + side // step - 1 if step <= side else size for size in shape])
        wide = side // step
        fields.append(
            scipy.ndimage.uniform_filter(blocks, wide, mode="constant")[: shape[0], : shape[1]] * wide
            if wide > 1
            else blocks
        )
    sigma = 0.3
    dx, dy = (sigma * each[8:-8, 8:-8] for each in fields)
    found, noise = ranges(dx, dy, float(side), float(step), sigma)
    assert np.mean(found**2) == pytest.approx(np.mean(noise**2), rel=0.25)
    shifts = made(dx, dy, step=step, window=side, sigma=sigma)
    assert is_sheared(xoffset.screen(shifts, max_range=0.5, **OFF)).mean() < 0.02


def test_windows_of_each_size_have_their_own_range():
    dx, dy = linear((0.05, 0.0), (0.0, 0.0))
    shifts = made(dx, dy, window=64)
    sizes = np.where(np.arange(17) < 8, 32.0, 64.0) + np.zeros((1, 15, 1))
    shifts["template_size"] = (("pair", "y", "x"), sizes)
    found = is_sheared(xoffset.screen(shifts, max_range=2.5, **OFF))
    np.testing.assert_array_equal(found[4:-4, 4:-4], (sizes[0] == 64.0)[4:-4, 4:-4])
    gone = xoffset.screen(shifts, max_range=2.5, **OFF)
    assert np.isnan(gone.dx.values[0][found]).all()
    assert np.isfinite(gone.dx.values[0][~found]).all()


# ------------------------------------------------------------------------------------------------------------- images


@pytest.mark.parametrize("kind", ["shear", "strain", "rotation", "edge", "bend"])
@pytest.mark.parametrize("side", [16, 32])
def test_intervals_hold_the_mean_motion_of_windows_that_are_left(ground, kind, side):
    ratios = []
    for seed, span in enumerate((1.0, 3.0, 5.0)):
        moves = ground.fields(span, side)[kind]
        stack = ground.pair(moves, 144, 6.0, seed=seed)
        shifts = xoffset.correlate(
            stack, xoffset.pairs(stack), template=side, search=10, prior=ground.prior(moves, stack)
        )
        found = ground.errors(moves, xoffset.screen(shifts, max_range=LARGEST), side)
        is_known = np.isfinite(found["error"]).all(axis=0)
        ratios.append(np.abs(found["error"] / found["sigma"])[:, is_known])
        if span < 2.0 and kind not in ("edge", "bend"):
            assert is_known.mean() > 0.9
    ratios = np.concatenate(ratios, axis=1)
    assert ratios.shape[1] > 100
    assert (ratios < 1.96).mean() > 0.9
    assert 0.6 < (ratios < 1.0).mean() < 0.9


def test_ground_that_moves_as_one_keeps_its_windows_and_standard_errors():
    stack, _ = synthetic.stack((160, 160), field="constant", velocity=23.0, snr=3.0)
    shifts = xoffset.screen(xoffset.correlate(stack, xoffset.pairs(stack), search=6))
    again = xoffset.screen(shifts, max_range=LARGEST)
    assert int(again.dx.notnull().sum()) == int(shifts.dx.notnull().sum())
    rate = xoffset.velocity(shifts)
    wider = xoffset.widen_sheared(rate, shifts=shifts)
    assert float((wider.sigma_vx / rate.sigma_vx).median()) < 1.05
    assert float((wider.sigma_vx / rate.sigma_vx).max()) < 1.5


# ------------------------------------------------------------------------------------------------------ what it is told


def many(gradient, *, count=4, noise=0.02, of_texture=0.05, shape=(15, 17), step=8, side=32):
    """Shifts of pairs of many baselines by motion toward the right, whose windows err by a share of its range too."""
    dates = np.datetime64("2020-01-01", "us") + 60 * np.arange(count) * np.timedelta64(1, "D")
    images, _ = synthetic.stack((16, 16), dates=dates)
    network = xoffset.pairs(images)
    years = ((network.secondary - network.reference) / np.timedelta64(1, "D")).values[:, None, None] / 365.25
    generator = np.random.default_rng(9)
    x = step * np.arange(shape[1], dtype=float)
    texture = of_texture * scipy.ndimage.gaussian_filter(generator.standard_normal(shape), 1.5)
    texture *= of_texture / texture.std()
    velocity = gradient * x + side * gradient * texture
    error = noise * generator.standard_normal((2, years.size, *shape))
    sigma = np.hypot(noise, of_texture * side * gradient * years + np.zeros(error.shape[1:]))
    fields = {"dx": PIXEL * (velocity * years + error[0]), "dy": PIXEL * error[1]}
    fields |= {"sigma_dx": PIXEL * sigma, "sigma_dy": np.full(sigma.shape, PIXEL * noise)}
    fields["flags"] = np.zeros(sigma.shape, np.int64)
    sampling = {
        products.PIXEL_SIZE: PIXEL, products.WINDOW_SIZE: side * PIXEL, products.SEARCH_AREA: (17 * PIXEL) ** 2,
    }  # fmt: skip
    y = -PIXEL * step * np.arange(shape[0])
    shifts = products.shifts(fields, network, x=PIXEL * x, y=y, like=images, step={}, sampling=sampling)
    return shifts, PIXEL * gradient * x


def test_an_error_that_all_pairs_share_is_in_the_standard_error_of_what_is_made_of_them():
    shifts, truth = many(0.08, count=12, of_texture=0.08)
    for made, names in ((xoffset.velocity(shifts), ("vx", "vy")), (xoffset.invert(shifts), ("dx", "dy"))):
        wider = xoffset.widen_sheared(made, shifts=shifts)
        for name in made.data_vars:
            if not str(name).startswith("sigma") and name != "v_debiased":
                xr.testing.assert_identical(wider[name], made[name])
        assert (wider[f"sigma_{names[0]}"] >= made[f"sigma_{names[0]}"]).all()
    rate = xoffset.velocity(shifts)
    wider = xoffset.widen_sheared(rate, shifts=shifts)
    inner = {"y": slice(2, -2), "x": slice(2, -2)}
    ratio = np.abs((wider.vx - truth) / wider.sigma_vx).isel(inner)
    assert (np.abs((rate.vx - truth) / rate.sigma_vx).isel(inner) < 1.96).mean() < 0.9
    assert (ratio < 1.96).mean() > 0.95
    # the share is that of the texture, half as much again; across the motion that of the noise
    added = np.sqrt(wider.sigma_vx**2 - rate.sigma_vx**2).isel(inner)
    assert float(added.median()) == pytest.approx(1.5 * 0.08 * 32 * 0.08 * PIXEL, rel=0.1)
    square = (wider.v**2 - wider.sigma_vx**2 - wider.sigma_vy**2).clip(min=0.0)
    np.testing.assert_allclose(wider.v_debiased, np.sqrt(square), rtol=1e-4, atol=1e-3)


def test_the_share_has_a_limit():
    shifts, _ = many(0.08, of_texture=0.13)
    rate = xoffset.velocity(shifts)
    added = np.sqrt(xoffset.widen_sheared(rate, shifts=shifts).sigma_vx ** 2 - rate.sigma_vx**2)
    assert float(added.median()) == pytest.approx(sheared.LARGEST_SHARE * 32 * 0.08 * PIXEL, rel=0.1)


def test_vectors_without_neighbours_have_no_standard_error():
    shifts, _ = many(0.05)
    rate = xoffset.velocity(shifts)
    alone = rate.where((rate.x == rate.x[8]) & (rate.y == rate.y[7]))
    alone["flags"] = rate.flags
    assert np.isnan(xoffset.widen_sheared(alone, shifts=shifts).sigma_vx).all()


def test_a_single_node_has_no_standard_error():
    shifts, _ = many(0.05)
    here = {"y": slice(4, 5), "x": slice(4, 5)}
    rate = xoffset.velocity(shifts).isel(here)
    wider = xoffset.widen_sheared(rate, shifts=shifts.isel(here))
    assert np.isnan(wider.sigma_vx).all()
    xr.testing.assert_identical(wider.vx, rate.vx)


def test_a_window_that_was_taken_away_does_not_count():
    shifts, _ = many(0.06, count=9)
    sizes = np.where(np.arange(len(shifts.dx))[:, None, None] < 12, 32.0, 16.0) * np.ones(shifts.dx.shape)
    shifts["template_size"] = (shifts.dx.dims, sizes.astype(np.float32))
    is_small = shifts.template_size == 16.0
    names = ["dx", "dy", "sigma_dx", "sigma_dy"]
    left = shifts.assign({name: shifts[name].where(~is_small) for name in names})
    rate = xoffset.velocity(left)
    of_left = xoffset.widen_sheared(rate, shifts=left)
    large = left.assign(template_size=xr.full_like(shifts.template_size, 32.0))
    xr.testing.assert_identical(of_left.sigma_vx, xoffset.widen_sheared(rate, shifts=large).sigma_vx)


@pytest.mark.parametrize("nested", [False, True])
def test_the_same_bits_whatever_the_chunks(nested):
    generator = np.random.default_rng(4)
    dx, dy = linear((0.06, 0.0), (0.0, 0.02), (23, 31))
    dx = dx + 0.3 * generator.standard_normal(dx.shape)
    dx[generator.random(dx.shape) < 0.2] = np.nan
    shifts = made(dx, np.where(np.isnan(dx), np.nan, dy), dtype=np.float32)
    if nested:
        shifts["template_size"] = (
            shifts.dx.dims, generator.choice([16.0, 32.0], shifts.dx.shape).astype(np.float32)
        )  # fmt: skip
    chunks = {"pair": 1, "y": 5, "x": 7}
    lazy = xoffset.screen(shifts.chunk(chunks), max_range=2.0, **OFF)
    assert lazy.sigma_dx.chunks is not None
    xr.testing.assert_identical(lazy.compute(), xoffset.screen(shifts, max_range=2.0, **OFF))
    assert is_sheared(lazy.compute()).any()
    several, _ = many(0.06, shape=(23, 31))
    several = several.where(generator.random(several.dx.shape) > 0.2).assign(flags=several.flags).astype(np.float32)
    several["flags"] = several.flags.astype(np.int64)
    if nested:
        sizes = generator.choice([16.0, 32.0], several.dx.shape).astype(np.float32)
        several["template_size"] = (several.dx.dims, sizes)
    rate = xoffset.velocity(several)
    lazy = xoffset.widen_sheared(rate.chunk(y=6, x=9), shifts=several.chunk(chunks))
    assert lazy.sigma_vx.chunks is not None
    xr.testing.assert_identical(lazy.compute(), xoffset.widen_sheared(rate, shifts=several))


def test_what_is_missing_is_named():
    shifts = made(*linear((0.05, 0.0), (0.0, 0.0)))
    for name in ("pixel_size", "window_size"):
        with pytest.raises(ValueError, match=rf"screen\(\) needs the coordinate '{name}' for max_range"):
            xoffset.screen(shifts.drop_vars(name), max_range=2.5, **OFF)
    with pytest.raises(ValueError, match=r"max_range.*; got -1"):
        xoffset.screen(shifts, max_range=-1, **OFF)
    several, _ = many(0.05)
    rate = xoffset.velocity(several)
    with pytest.raises(ValueError, match=r"got a dataset without sigma_vx, sigma_vy\. Use the result of"):
        xoffset.widen_sheared(rate.drop_vars(["sigma_vx", "sigma_vy"]), shifts=several)
    with pytest.raises(ValueError, match="needs shifts on the grid of the dataset"):
        xoffset.widen_sheared(rate, shifts=several.isel(x=slice(5)))
    with pytest.raises(ValueError, match=r"got shifts, .* Pass the result of velocity\(\)"):
        xoffset.widen_sheared(several, shifts=several)
    for name in ("pixel_size", "window_size"):
        with pytest.raises(ValueError, match=rf"widen_sheared\(\) needs the coordinate '{name}'"):
            xoffset.widen_sheared(rate, shifts=several.drop_vars(name))
