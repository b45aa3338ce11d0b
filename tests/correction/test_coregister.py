"""Images put on top of each other by what their pairs tell."""

import logging

import numpy as np
import pytest
import reference_dates
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._arrays.corrections import moved
from xoffset._blocks.moved import move

DATES = ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"]
PIXEL = 10.0
QUICK = {"template": 32, "search": 4, "step": 8}


@pytest.fixture(scope="module")
def slide():
    """Landslide on images that lie up to two pixels beside each other."""
    return synthetic.stack((128, 144), dates=DATES, velocity=60.0, misregistration=6.0, snr=10.0)


@pytest.fixture(scope="module")
def stable(slide):
    return np.hypot(slide[1].vx, slide[1].vy) == 0.0


def missed(placed, truth, home=None):
    """How far the positions are off those of the truth (2, date) [m], since a date or the mean of all."""
    out = [placed[f"misregistration_{name}"].values - truth[f"misregistration_{name}"].values for name in ("dx", "dy")]
    return np.stack([each - (each.mean() if home is None else each[home]) for each in out])


# ---------------------------------------------------------------------------------------------------------- resampling


def texture(shape=(23, 31), seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


RAMP = np.array([[0.4, 1.3, -0.7, 0.2, -0.3, 0.5], [-1.2, 0.3, 0.6, -0.4, 0.1, 0.2]])


def places(shape):
    return tuple(np.linspace(-1.0, 1.0, side) for side in shape)


def seen(image, ramp, reach=5, dtype=np.float64):
    setup = moved.Setup((), np.dtype(dtype))
    return move(image[np.newaxis], np.asarray(ramp)[np.newaxis], places(image.shape), reach, setup)[0]


def test_resampling_is_cubic_convolution():
    image = texture()
    image[12, 15] = np.nan
    v, u = (each.ravel() for each in np.meshgrid(*places(image.shape), indexing="ij"))
    terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v])
    right, down = ((factors @ terms).reshape(image.shape) for factors in RAMP)
    np.testing.assert_allclose(seen(image, RAMP), reference_dates.moved(image, right, down), atol=1e-12)


def test_whole_pixels_are_moved_as_they_are():
    image, ramp = texture(), np.zeros((2, 6))
    np.testing.assert_array_equal(seen(image, ramp), image)
    ramp[:, 0] = 2.0, -3.0
    found = seen(image, ramp)
    np.testing.assert_array_equal(found[3:, :-2], image[:-3, 2:])
    assert np.isnan(found[:3]).all()
    assert np.isnan(found[:, -2:]).all()


@pytest.mark.parametrize("chunks", [(1, 7, 9), (2, 3, 31), (1, 23, 4)])
def test_blocks_give_the_same_bits(chunks):
    da = pytest.importorskip("dask.array")
    images = np.stack([texture(), texture(seed=1)])
    images[1, 3, 4:9] = np.nan
    table = np.stack([RAMP, -RAMP])
    setup = moved.Setup((), np.dtype(np.float64))
    expected = move(images, table, places(images.shape[1:]), 5, setup)
    found = move(da.from_array(images, chunks=chunks), table, places(images.shape[1:]), 5, setup)
    assert found.chunks == da.from_array(images, chunks=chunks).chunks
    np.testing.assert_array_equal(found.compute(), expected)


# ---------------------------------------------------------------------------------------------------------------- truth


def test_positions_are_those_of_the_images(slide, stable):
    stack, truth = slide
    placed = xoffset.coregister(stack, stable=stable, apply=False, **QUICK)
    assert np.abs(missed(placed, truth)).max() < 0.02 * PIXEL
    assert (placed.n_pairs == 3).all()
    ratio = missed(placed, truth) / placed.sigma_shift.values
    assert 0.5 < np.sqrt((ratio**2).mean()) < 2.0
    home = xoffset.coregister(stack, stable=stable, reference=DATES[1], apply=False, **QUICK)
    assert home.misregistration_dx[1] == home.misregistration_dy[1] == 0.0
    assert np.abs(missed(home, truth, 1)).max() < 0.03 * PIXEL


def test_most_of_the_ground_tells_where_none_is_named():
    still = synthetic.stack((128, 144), dates=DATES, velocity=0.0, misregistration=6.0, snr=10.0)
    placed = xoffset.coregister(still[0], apply=False, **QUICK)
    assert np.abs(missed(placed, still[1])).max() < 0.05 * PIXEL


def test_images_lie_on_top_of_each_other(slide, stable):
    stack = slide[0]
    found = xoffset.coregister(stack, stable=stable, reference=DATES[0], **QUICK)
    np.testing.assert_array_equal(found[0], stack[0])
    assert found.dtype == stack.dtype
    assert '"resampling": "cubic"' in found.attrs["processing"]
    assert xoffset.model.kinds.kind_of(found) == "stack"
    again = xoffset.coregister(found, stable=stable, apply=False, **QUICK)
    assert np.abs([again.misregistration_dx, again.misregistration_dy]).max() < 0.05 * PIXEL
    # it is the ground that stays, and the slide that moves
    clean = synthetic.stack((128, 144), dates=DATES, velocity=60.0, snr=10.0)[0]
    shifts = [xoffset.correlate(each, xoffset.pairs(each, min_gap=3), **QUICK) for each in (found, clean)]
    assert np.nanmedian(np.hypot(shifts[0].dx - shifts[1].dx, shifts[0].dy - shifts[1].dy)) < 0.1 * PIXEL


def test_a_ramp_is_told_and_taken_off():
    dates = DATES[:3]
    stack, _ = synthetic.stack((160, 160), dates=dates, velocity=0.0, ramp=8.0, snr=20.0)
    plain, level = (xoffset.coregister(stack, order=order, reference=dates[0], **QUICK) for order in (0, 1))
    apart = []
    for images in (plain, level):
        shifts = xoffset.correlate(images, xoffset.pairs(images), **QUICK)
        apart.append(float(np.hypot(shifts.dx, shifts.dy).quantile(0.9)))
    assert apart[1] < 0.12 * PIXEL < 0.3 * PIXEL < apart[0]
    told = xoffset.coregister(stack, order=1, reference=dates[0], apply=False, **QUICK)
    assert told.ramp_dx.dims == ("time", "term")
    assert not told.ramp_dx[0].any()
    assert np.abs(told.ramp_dx[1:, 1:3]).max() > 1.0
    assert not told.ramp_dx[:, 3:].any()


# ------------------------------------------------------------------------------------------------------- unusual images


def test_lazy_images_stay_lazy_and_keep_their_bits(slide, stable):
    stack = slide[0]
    expected = xoffset.coregister(stack, stable=stable, **QUICK)
    lazy = xoffset.coregister(stack.chunk({"time": 2, "y": 50, "x": 37}), stable=stable, **QUICK)
    assert lazy.chunks == ((2, 2), (50, 50, 28), (37, 37, 37, 33))
    xr.testing.assert_identical(lazy.compute(), expected)
    placed = xoffset.coregister(stack.chunk(), stable=stable, apply=False, **QUICK)
    assert placed.misregistration_dx.chunks is not None
    xr.testing.assert_identical(placed.compute(), xoffset.coregister(stack, stable=stable, apply=False, **QUICK))


def test_what_is_no_data_stays_so(slide, stable):
    stack = slide[0].round().astype("uint16").copy()
    stack[1, 40:60, 70:90] = 0
    found = xoffset.coregister(stack.assign_attrs(nodata=0), stable=stable, **QUICK)
    assert found.dtype == np.float32
    assert found[1, 44:56, 74:86].isnull().all()
    assert float(found.min()) > 100.0
    assert "nodata" not in found.attrs


def test_a_date_that_no_pair_tells_of_is_left_out(slide, stable, caplog):
    stack = slide[0].copy()
    stack[2] = np.random.default_rng(0).standard_normal(stack[2].shape)
    with caplog.at_level(logging.WARNING):
        found = xoffset.coregister(stack, stable=stable, min_score=0.6, **QUICK)
    assert "1 of 4 dates have no pair" in caplog.text
    assert found[2].isnull().all()
    assert found[[0, 1, 3], 20:-20, 20:-20].notnull().all()


def test_an_image_that_lies_too_far_off_is_left_out(slide, stable, caplog):
    with caplog.at_level(logging.WARNING):
        found = xoffset.coregister(slide[0], stable=stable, reference=DATES[0], max_shift=5.0, **QUICK)
    truth = slide[1]
    length = np.hypot(truth.misregistration_dx, truth.misregistration_dy).values
    assert found.isnull().all(("y", "x")).values.tolist() == (length > 5.0).tolist()
    assert "lie farther off than 5 m" in caplog.text


def test_groups_of_dates_are_put_on_their_own_mean(slide, stable, caplog):
    stack, truth = slide
    network = xoffset.pairs(stack).isel(pair=[0, 5])
    with caplog.at_level(logging.WARNING):
        placed = xoffset.coregister(stack, stable=stable, network=network, apply=False, **QUICK)
    assert "2 parts" in caplog.text
    for group in ([0, 1], [2, 3]):
        assert np.abs(missed(placed.isel(time=group), truth.isel(time=group))).max() < 0.03 * PIXEL


@pytest.mark.parametrize("is_lazy", [False, True])
def test_dates_that_nothing_ties_to_the_reference_are_left_out(slide, stable, is_lazy, caplog):
    stack, truth = slide
    stack = stack.chunk() if is_lazy else stack
    options = {"stable": stable, "network": xoffset.pairs(stack).isel(pair=[0, 5]), **QUICK}
    with caplog.at_level(logging.WARNING):
        placed = xoffset.coregister(stack, reference=DATES[2], apply=False, **options).compute()
    assert "those without the reference are left out" in caplog.text
    assert placed.misregistration_dx.isnull().values.tolist() == [True, True, False, False]
    assert placed.misregistration_dy.isnull().values.tolist() == [True, True, False, False]
    assert np.abs(missed(placed.isel(time=[2, 3]), truth.isel(time=[2, 3]), 0)).max() < 0.03 * PIXEL
    images = xoffset.coregister(stack, reference=DATES[2], **options).compute()
    assert images[:2].isnull().all()
    np.testing.assert_array_equal(images[2], stack[2])


def test_groups_are_told(slide, stable):
    stack = slide[0]
    for chosen, groups in (([0, 5], [1, 1, 2, 2]), ([2], [1, 0, 0, 1]), ([0, 1, 2], [1, 1, 1, 1])):
        network = xoffset.pairs(stack).isel(pair=chosen)
        placed = xoffset.coregister(stack, stable=stable, network=network, apply=False, **QUICK)
        assert placed.group.values.tolist() == groups


def test_masks_hold_beside_stable_ground(slide, stable):
    stack, truth = slide
    mask = xr.ones_like(stack, dtype=bool)
    spoilt = stack.copy()
    for date in range(4):
        spoilt[date, 30 * date : 30 * date + 25, 10:60] = stack[0, 30 * date : 30 * date + 25, 12:62].values
        mask[date, 30 * date : 30 * date + 25, 10:60] = False
    placed = xoffset.coregister(spoilt, stable=stable, mask=mask, apply=False, **QUICK)
    assert np.abs(missed(placed, truth)).max() < 0.03 * PIXEL


# -------------------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 3}, r"coregister\(\) needs order 0, 1, 2 or 'auto'"),
        ({"reference": "2021-01-01"}, r"coregister\(\) needs one of the 4 dates"),
        ({"search": 1}, r"coregister\(\) needs a whole number of at least 2 as search"),
        ({"min_score": 2.0}, r"coregister\(\) needs min_score between 0 and 1"),
        ({"min_nodes": 0}, r"coregister\(\) needs a whole number of at least 1 as min_nodes"),
        ({"max_shift": -1.0}, r"coregister\(\) needs a number above 0 as max_shift"),
        ({"template": 500}, r"coregister\(\) needs images of at least"),
        ({"min_nodes": 10_000}, r"coregister\(\) needs a pair with enough matches"),
    ],
)
def test_wrong_options_are_refused(slide, options, message):
    with pytest.raises(ValueError, match=message):
        xoffset.coregister(slide[0], **QUICK | options)


def test_ground_that_cannot_carry_a_ramp_is_refused(slide, stable):
    few = stable.copy(data=np.zeros(stable.shape, dtype=bool))
    few[10:50, 10:50] = True
    with pytest.raises(ValueError, match=r"coregister\(\) needs stable ground all around to carry a ramp of order 2"):
        xoffset.coregister(slide[0], stable=few, order=2, min_nodes=1, **QUICK)


def test_one_image_and_no_stable_ground_are_refused(slide, stable):
    with pytest.raises(ValueError, match=r"coregister\(\) needs at least two dates"):
        xoffset.coregister(slide[0][:1])
    with pytest.raises(ValueError, match=r"coregister\(\) needs stable to be True on at least one node"):
        xoffset.coregister(slide[0], stable=stable & False)
    with pytest.raises(TypeError, match=r"coregister\(\) needs apply to be True or False"):
        xoffset.coregister(slide[0], apply=None)


@pytest.mark.parametrize("matcher", ["regularized", xoffset.Flow((16, 8))])
def test_dense_matchers_tell_positions_too(slide, matcher):
    images, truth = slide
    placed = xoffset.coregister(images, matcher=matcher, search=4, step=8, apply=False)
    assert np.abs(missed(placed, truth)).max() < 0.1 * PIXEL
