"""Masks of pixels that may be matched: False acts like NaN to the last bit, in either image, on any grid."""

import json
import logging

import dask
import numpy as np
import pyproj
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.model import grids
from xoffset.model.flags import FLAGS

DATES = ["2020-01-01", "2020-07-01", "2021-01-01"]
OPTIONS = {"template": 16, "search": 5, "step": 8}


@pytest.fixture(scope="module")
def stack():
    return synthetic.stack((96, 112), field="constant", velocity=20.0, direction=60.0, dates=DATES, snr=8.0)[0]


@pytest.fixture(scope="module")
def network(stack):
    return xoffset.pairs(stack)


@pytest.fixture(scope="module")
def mask(stack):
    """Blobs of a few pixels, a large one, and an edge, elsewhere on each date."""
    random = np.random.default_rng(1)
    values = np.ones(stack.shape, bool)
    for image in values:
        for row, column in zip(random.integers(0, 90, 30), random.integers(0, 106, 30), strict=True):
            image[row : row + 3, column : column + 4] = False
        row, column = random.integers(20, 60, 2)
        image[row : row + 26, column : column + 24] = False
    values[1, :7] = False
    return xr.DataArray(values, coords=stack.coords, dims=stack.dims)


@pytest.fixture(scope="module")
def masked(stack, network, mask):
    return xoffset.correlate(stack, network, mask=mask, **OPTIONS)


def correlate(stack, mask, **options):
    return xoffset.correlate(stack, xoffset.pairs(stack), mask=mask, **OPTIONS | options)


# ------------------------------------------------------------------------------------------------------------ like NaN


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prefilter": None},
        {"prefilter": "wallis"},
        {"template": (16, 32)},
        {"step": 1, "template": 9, "search": 2, "prefilter": None},
        {"matcher": xoffset.NCC(refine="affine")},
        {"matcher": xoffset.NCC(both_ways=True)},
        {"search": xoffset.Pyramid(8)},
        {"template": 64, "matcher": "phase"},
    ],
    ids=str,
)
def test_false_acts_like_nan(stack, network, mask, options):
    found = xoffset.correlate(stack, network, mask=mask, **OPTIONS | options)
    expected = xoffset.correlate(stack.where(mask), network, **OPTIONS | options)
    xr.testing.assert_equal(found, expected)
    unmasked = xoffset.correlate(stack, network, **OPTIONS | options)
    assert not found.dx.equals(unmasked.dx)
    assert np.isfinite(found.dx).sum() > 0


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64"])
def test_pixels_of_any_type_with_a_declared_nodata_value(stack, mask, dtype):
    values = (stack / 20.0).round().astype(dtype)
    values[:, 30:40, 50:60] = 0
    values.attrs["_FillValue"] = 0
    found, expected = correlate(values, mask), correlate(values.where(mask), None)
    xr.testing.assert_equal(found, expected)
    assert found.dx.dtype == expected.dx.dtype


def test_numbers_keep_the_precision_that_they_have_without_a_mask(stack, mask):
    counts = stack.round().astype("int32")
    assert correlate(counts, mask).dx.dtype == np.float32
    xr.testing.assert_equal(correlate(counts, mask), correlate(counts.astype("int16"), mask))


def test_one_mask_for_all_dates(stack, mask):
    alone = mask[0].drop_vars("time")
    found = correlate(stack, alone)
    xr.testing.assert_equal(found, correlate(stack.where(alone), None))
    # a date that was picked counts for all as well
    xr.testing.assert_identical(correlate(stack, mask[0]), found)


def test_everything_may_be_matched_like_without_a_mask(stack, mask):
    xr.testing.assert_equal(correlate(stack, xr.ones_like(mask)), correlate(stack, None))


def test_nothing_may_be_matched_is_nan_and_a_flag(stack, mask):
    found = correlate(stack, xr.zeros_like(mask))
    assert np.isnan(found.dx).all()
    assert (found["flags"] != 0).all()
    inner = (found["flags"] & FLAGS["outside"]) == 0
    assert xoffset.flags.flagged(found, "nodata", "few_valid").where(inner, True).all()
    assert np.isnan(found.offset.screen().dx).all()


def test_infinity_under_a_mask_and_a_mask_of_what_is_nan_already(stack, mask, masked):
    wild = stack.where(mask, np.inf)
    xr.testing.assert_equal(correlate(wild, mask), masked)
    xr.testing.assert_equal(correlate(stack.where(mask), mask), masked)


# ------------------------------------------------------------------------------------------------------- either image


@pytest.mark.parametrize("date", [0, 1])
def test_a_pair_is_masked_at_x_in_its_first_image_and_at_x_plus_d_in_its_second(date):
    """Ground that moved by 10 px to the right and 6 px down; what cannot be seen is 40 x 40 pixels of one image."""
    moved = np.hypot(100.0, 60.0)
    direction = float(np.rad2deg(np.arctan2(100.0, -60.0)))
    pair = synthetic.stack(
        (160, 160), field="constant", velocity=moved / (366 / 365.25), direction=direction, dates=DATES[::2]
    )[0]
    values = np.ones(pair.shape, bool)
    values[date, 60:100, 60:100] = False
    hidden = xr.DataArray(values, coords=pair.coords, dims=pair.dims)
    found = xoffset.correlate(pair, xoffset.pairs(pair), template=16, search=14, step=4, mask=hidden)
    # where the ground cannot be seen again anything may be the most like it
    found = found.offset.screen().isel(pair=0)
    lost = np.isnan(found.dx) & ~xoffset.flags.flagged(found, "outside")
    assert 50 < lost.sum() < 100
    centre = float(found.x.where(lost).mean()), float(found.y.where(lost).mean())
    block = float(pair.x[60:100].mean()), float(pair.y[60:100].mean())
    # the windows that saw it lie where it was on the first date
    expected = (block[0] - 100.0, block[1] + 60.0) if date == 1 else block
    np.testing.assert_allclose(centre, expected, atol=5.0)
    kept = np.isfinite(found.dx)
    np.testing.assert_allclose(found.dx.where(kept).median(), 100.0, atol=0.2)
    # windows half of which may be seen are matched as well as others
    assert float(abs(found.dx.where(kept) - 100.0).max()) < 3.0
    assert float(abs(found.dy.where(kept) + 60.0).max()) < 3.0


# ---------------------------------------------------------------------------------------------------- dates and dims


def test_dims_and_dates_in_any_order_and_dates_too_many(stack, mask, masked):
    xr.testing.assert_equal(correlate(stack, mask.transpose("x", "y", "time")), masked)
    xr.testing.assert_equal(correlate(stack, mask.isel(time=[2, 0, 1])), masked)
    more = xr.concat([mask.isel(time=[0]).assign_coords(time=np.array(["2019-01-01"], "M8[s]")), mask], "time")
    xr.testing.assert_equal(correlate(stack, more), masked)


def test_a_date_without_pairs_needs_no_mask(stack, network, mask, masked):
    two = xoffset.correlate(stack, network.isel(pair=[1]), mask=mask.isel(time=[0, 2]), **OPTIONS)
    xr.testing.assert_equal(two, masked.isel(pair=[1]))


# --------------------------------------------------------------------------------------------------------------- dask


@pytest.mark.parametrize(
    ("of_stack", "of_mask"),
    [
        (None, {"time": 1, "y": 30, "x": 112}),
        ({"time": 1, "y": 40, "x": 50}, None),
        ({"time": 1, "y": 40, "x": 50}, {"time": 3, "y": 20, "x": 31}),
        ({"time": 3, "y": 96, "x": 13}, {"time": 1, "y": 96, "x": 112}),
    ],
    ids=str,
)
def test_chunks_change_no_bit(monkeypatch, stack, network, mask, of_stack, of_mask):
    monkeypatch.setattr("xoffset._arrays.lattice.TILE", 32)
    monkeypatch.setattr("xoffset._blocks.tiles.TILE", 32)
    options = OPTIONS | {"template": 9, "search": 3, "prefilter": None}
    eager = xoffset.correlate(stack, network, mask=mask, **options)

    def refuse(dsk, keys, **kwargs):
        raise AssertionError("computed while building")

    lazy = [each if chunks is None else each.chunk(chunks) for each, chunks in ((stack, of_stack), (mask, of_mask))]
    with dask.config.set(scheduler=refuse):
        found = xoffset.correlate(lazy[0], network, mask=lazy[1], **options)
    assert all(variable.chunks is not None for variable in found.data_vars.values())
    xr.testing.assert_identical(found.compute(), eager)


def test_a_lazy_mask_of_another_grid(stack, network, mask):
    coarse = mask.coarsen(y=2, x=2).all()
    options = OPTIONS | {"prefilter": None}
    eager = xoffset.correlate(stack, network, mask=coarse, **options)
    lazy = xoffset.correlate(stack, network, mask=coarse.chunk(time=1, y=13), **options)
    xr.testing.assert_identical(lazy.compute(), eager)
    both = xoffset.correlate(stack.chunk(y=50), network, mask=coarse.chunk(x=13), **options)
    xr.testing.assert_identical(both.compute(), eager)


# --------------------------------------------------------------------------------------------------------- other grids


def test_a_coarse_mask_is_laid_on_by_position_and_said_so(stack, network, mask, caplog):
    caplog.set_level(logging.INFO, "xoffset")
    coarse = mask.coarsen(y=2, x=2).all()
    found = xoffset.correlate(stack, network, mask=coarse, **OPTIONS)
    fine = xr.DataArray(np.kron(coarse.values, np.ones((1, 2, 2), bool)), coords=stack.coords, dims=stack.dims)
    xr.testing.assert_equal(found, xoffset.correlate(stack.where(fine), network, **OPTIONS))
    assert caplog.messages == ["correlate(): mask lies on another grid, and is laid on by position."]
    assert json.loads(found.attrs["processing"])[-1]["mask"] == {"dims": ["time", "y", "x"], "laid": "by position"}


def test_a_mask_of_a_part_leaves_the_rest_out(stack, network, mask, caplog):
    part = mask.isel(y=slice(10, 80), x=slice(None, 100))
    found = xoffset.correlate(stack, network, mask=part, **OPTIONS)
    whole = part.reindex_like(mask, fill_value=False)
    xr.testing.assert_equal(found, xoffset.correlate(stack, network, mask=whole, **OPTIONS))
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "correlate(): mask reaches 65.1 % of the grid; what lies beyond is not where pixels may be matched."
    ]


def test_a_mask_of_another_crs_is_brought_here(stack, network):
    to_mask = pyproj.Transformer.from_crs(32632, 32633, always_xy=True)
    x, y = to_mask.transform(*np.meshgrid(stack.x, stack.y))
    coords = {"y": np.arange(y.max() + 40, y.min() - 40, -20.0), "x": np.arange(x.min() - 40, x.max() + 40, 20.0)}
    values = np.random.default_rng(0).random([each.size for each in coords.values()]) < 0.9
    crs = grids.spatial_ref(pyproj.CRS("EPSG:32633"))
    away = xr.DataArray(values, coords=coords | {"spatial_ref": crs}, dims=("y", "x"))
    picked = {"x": xr.DataArray(x, dims=("y", "x")), "y": xr.DataArray(y, dims=("y", "x"))}
    here = away.drop_vars("spatial_ref").sel(picked, method="nearest").drop_vars(["y", "x"])
    found = xoffset.correlate(stack, network, mask=away, **OPTIONS)
    xr.testing.assert_equal(found, xoffset.correlate(stack.where(here.assign_coords(y=stack.y, x=stack.x)), network,
                                                     **OPTIONS))  # fmt: skip
    assert json.loads(found.attrs["processing"])[-1]["mask"]["laid"] == "nearest pixel, from EPSG:32633"


# ------------------------------------------------------------------------------------------------ extend and estimate


def test_extend_asks_for_the_mask_and_gives_what_all_pairs_would(stack, network, mask, masked):
    before = xoffset.correlate(stack[:2], xoffset.pairs(stack[:2]), mask=mask, **OPTIONS)
    xr.testing.assert_identical(xoffset.extend(before, stack, network, mask=mask), masked)
    new = xoffset.extend(before, stack, network, mask=mask, only_new=True)
    xr.testing.assert_equal(new, masked.isel(pair=[1, 2]))
    with pytest.raises(ValueError, match=r"extend\(\) needs mask= as correlate\(\) was given it.*Pass it\."):
        xoffset.extend(before, stack, network)
    with pytest.raises(ValueError, match=r"got mask=None instead of \{.*\}\. Pass the old ones"):
        xoffset.extend(before, stack, network, mask=None)
    with pytest.raises(ValueError, match=r"got mask=\{'dims': \['y', 'x'\].*\}\. Pass the old ones"):
        xoffset.extend(before, stack, network, mask=mask[0])
    one = xoffset.correlate(stack[:2], xoffset.pairs(stack[:2]), mask=mask[0], **OPTIONS)
    xr.testing.assert_identical(
        xoffset.extend(one, stack, network, mask=mask[0]), xoffset.correlate(stack, network, mask=mask[0], **OPTIONS)
    )


def test_what_a_mask_costs(stack, network, mask):
    def estimate(images, **options):
        return xoffset.estimate(images, network, calibrate=False, **OPTIONS | options)

    without, eager = estimate(stack), estimate(stack, mask=mask)
    assert (eager.memory, eager.shifts, eager.tiles) == (without.memory, without.shifts, without.tiles)
    assert eager.output == xoffset.correlate(stack, network, mask=mask, **OPTIONS).nbytes
    lazy = stack.chunk(y=50)
    pixels = stack.size  # a single block
    assert estimate(lazy, mask=mask).memory == estimate(lazy).memory + 3 * pixels
    assert estimate(lazy, mask=mask[0]).memory == estimate(lazy).memory + pixels
    # a lazy mask makes blocks of NumPy images
    assert estimate(stack, mask=mask.chunk()).memory == estimate(stack.chunk(), mask=mask).memory
