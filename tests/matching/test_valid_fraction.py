"""valid_fraction: how much of its window a match saw in both images."""

import dask
import numpy as np
import pytest
import reference_holes as twin
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.model.flags import FLAGS

DATES = ["2020-01-01", "2021-01-01"]
OPTIONS = {"template": 16, "search": 5, "step": 8}
# ground that moves by 10 px to the right and 6 px down
WHOLE = {
    "velocity": np.hypot(100.0, 60.0) / (366 / 365.25),
    "direction": float(np.rad2deg(np.arctan2(100.0, -60.0))),
    "field": "constant",
}


@pytest.fixture(scope="module")
def stack():
    return synthetic.stack((96, 112), field="glacier", velocity=25.0, direction=60.0, dates=DATES, snr=8.0)[0]


@pytest.fixture(scope="module")
def mask(stack):
    return holes_of(stack)


def holes_of(stack):
    """Single pixels and a large block, elsewhere in each image; the first rows have none."""
    random = np.random.default_rng(1)
    values = random.random(stack.shape) > 0.08
    values[0, 50:72, 20:50] = values[1, 44:70, 60:88] = False
    values[:, :34] = True
    return xr.DataArray(values, coords=stack.coords, dims=stack.dims)


def match(stack, mask, **options):
    return xoffset.correlate(stack, xoffset.pairs(stack), mask=mask, **OPTIONS | options)


def assert_counts(shifts, known, step, largest):
    """The share at each match is that of the pixels known in its window and in the one that it moves to."""
    spacing = [float(np.diff(known[name])[0]) for name in ("y", "x")]
    moved = [np.rint(shifts[name].values[0] / size) for name, size in zip(("dy", "dx"), spacing, strict=True)]
    sizes = shifts.get("template_size", xr.full_like(shifts.dx, largest)).values[0]
    found = shifts.valid_fraction.values[0]
    matched = np.argwhere(np.isfinite(moved[0]))
    for node in map(tuple, matched):
        side = int(sizes[node])
        corner = tuple(step * k + (largest - side) // 2 for k in node)
        expected = twin.shared(known.values, corner, tuple(int(each[node]) for each in moved), side)
        assert found[node] == found.dtype.type(expected), (node, side)
    assert len(matched) > 40
    kept = found[tuple(matched.T)]
    assert len(np.unique(kept)) > 10
    assert (kept == 1.0).any()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"template": 9, "search": 3, "step": 4},
        {"template": (16, 32)},
        {"template": (12, 20, 28), "step": 4},
        {"prefilter": None},
        {"prefilter": "wallis"},
        {"search": xoffset.Pyramid(8)},
        {"search": (3, 6)},
    ],
    ids=str,
)
def test_it_is_what_both_windows_share(stack, mask, options):
    whole = match(stack, mask, matcher=xoffset.NCC(refine="none", min_valid=0.3), **options)
    sides = (OPTIONS | options)["template"]
    largest = max(sides) if isinstance(sides, tuple) else sides
    assert_counts(whole, mask, (OPTIONS | options)["step"], largest)
    if isinstance(sides, tuple):
        assert len(np.unique(whole.template_size.values[np.isfinite(whole.dx)])) > 1
    np.testing.assert_array_equal(np.isnan(whole.valid_fraction), np.isnan(whole.score))
    assert whole.valid_fraction.dtype == np.float32
    assert float(whole.valid_fraction.where(whole.dx.notnull()).min()) >= 0.3


@pytest.mark.parametrize(
    "matcher",
    [xoffset.NCC(refine=name) for name in ("icgn", "affine", "gauss")] + [xoffset.NCC(both_ways=True)],
    ids=str,
)
def test_the_fraction_of_a_pixel_does_not_change_it(stack, mask, matcher):
    """However the whole-pixel match is refined, and whether it is checked backwards: the same pixels were counted."""
    whole = match(stack, mask, matcher=xoffset.NCC(refine="none"))
    found = match(stack, mask, matcher=matcher)
    xr.testing.assert_identical(found.valid_fraction, whole.valid_fraction)
    assert float(found.valid_fraction.where(found.dx.notnull()).min()) >= 0.5


@pytest.mark.parametrize("method", ["plane", "orientation", "orientation_plane"])
def test_it_is_what_both_windows_of_phase_share(method):
    pair = synthetic.stack((160, 160), dates=DATES, **WHOLE)[0]
    known = holes_of(pair)
    known[:, :64] = True
    matcher = xoffset.Phase(method=method, min_valid=0.3)
    found = match(pair, known, matcher=matcher, template=32, search=14, step=8)
    # the whole-pixel peak of a right match is known
    is_right = (abs(found.dx - 100.0) < 5.0) & (abs(found.dy + 60.0) < 5.0)
    assert int(is_right.sum()) > 100
    assert_counts(found.assign(dx=found.dx.where(is_right), dy=found.dy.where(is_right)), known, 8, 32)
    np.testing.assert_array_equal(np.isnan(found.valid_fraction), np.isnan(found.score))


@pytest.mark.parametrize("options", [{}, {"template": (16, 32)}, {"template": 32, "matcher": "phase"}], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_exactly_one_without_holes(stack, options, dtype):
    found = match(stack.astype(dtype), None, **options)
    assert found.valid_fraction.dtype == found.score.dtype
    np.testing.assert_array_equal(found.valid_fraction, xr.ones_like(found.score).where(found.score.notnull()))
    assert found.valid_fraction.isnull().any()
    assert found.valid_fraction.attrs["units"] == "1"


def test_a_single_pixel_counts_in_the_windows_that_hold_it():
    pair = synthetic.stack((96, 96), dates=DATES, **WHOLE)[0]
    pair[1, 50, 60] = np.nan
    found = match(pair, None, search=14)
    # it shows the ground that was at row 44 and column 50
    y, x = ((found[name] - pair[name][0]) / pair[name].diff(name)[0] for name in ("y", "x"))
    holds = ((abs(y - 44.0) < 8.0) & (abs(x - 50.0) < 8.0)).values
    assert holds.sum() == 4
    kept = found.dx.notnull().values[0]
    expected = np.where(holds, np.float32(255 / 256), np.float32(1.0))
    np.testing.assert_array_equal(found.valid_fraction.values[0][kept], expected[kept])
    assert kept[holds].all()


def test_nodata_and_blocks_of_one_value_are_no_valid_pixels(stack):
    """A declared value, and what `flat_block` takes for unknown."""
    known = xr.ones_like(stack, dtype=bool)
    known[0, 40:50, 30:41] = known[1, 60:68, 50:58] = False
    declared = stack.where(known, -5.0).assign_attrs(nodata=-5.0)
    constant = stack.where(known, float(stack.mean()))
    whole = xoffset.NCC(refine="none", min_valid=0.3)
    found = match(declared, None, matcher=whole)
    assert int((found.valid_fraction < 1.0).sum()) > 5
    xr.testing.assert_equal(found.valid_fraction, match(stack, known, matcher=whole).valid_fraction)
    xr.testing.assert_equal(found.valid_fraction, match(constant, None, matcher=whole).valid_fraction)
    kept = match(constant, None, matcher=xoffset.NCC(refine="none", flat_block=0)).valid_fraction
    assert float(kept.min()) == 1.0


def test_chunks_and_tiles_change_no_bit(monkeypatch, stack, mask):
    """A tile without a hole has the same numbers as one of an image that has some elsewhere."""
    options = {"template": (8, 16), "search": 3, "step": 4, "prefilter": None}
    large = match(stack, mask, **options)
    monkeypatch.setattr("xoffset._arrays.lattice.TILE", 32)
    monkeypatch.setattr("xoffset._blocks.tiles.TILE", 32)
    eager = match(stack, mask, **options)
    is_same = (abs(eager.dx - large.dx) + abs(eager.dy - large.dy) < 1.0).values
    is_same &= (eager.template_size == large.template_size).values
    assert is_same.sum() > 100
    np.testing.assert_array_equal(eager.valid_fraction.values[is_same], large.valid_fraction.values[is_same])

    def refuse(dsk, keys, **kwargs):
        raise AssertionError("computed while building")

    with dask.config.set(scheduler=refuse):
        lazy = match(stack.chunk(time=1, y=40, x=31), mask.chunk(y=29), **options)
    assert lazy.valid_fraction.chunks is not None
    xr.testing.assert_identical(lazy.compute(), eager)


def test_older_shifts_without_it_go_on(stack, mask):
    """They are extended as they are, opened, and screened by all that they have."""
    network = xoffset.pairs(stack, direction="both")
    before = match(stack, mask).drop_vars("valid_fraction")
    extended = xoffset.extend(before, stack, network, mask=mask)
    assert "valid_fraction" not in extended
    assert "valid_fraction" in xoffset.extend(match(stack, mask), stack, network, mask=mask)
    with pytest.raises(ValueError, match=r"needs 'valid_fraction' for min_valid_fraction; got .*\. Match again"):
        xoffset.screen(extended, min_valid_fraction=0.7)
    xoffset.screen(extended)


def test_it_comes_back_from_disk_and_stays_with_points(tmp_path, stack, mask):
    found = match(stack, mask)
    found.to_zarr(tmp_path / "shifts.zarr", consolidated=False)
    xr.testing.assert_identical(xoffset.open_result(tmp_path / "shifts.zarr").load(), found)
    places = {"y": xr.DataArray([2, 5, 7], dims="point"), "x": xr.DataArray([6, 4, 9], dims="point")}
    options = {"min_valid_fraction": 0.8, "neighbourhood": False, "false_alarm": None, "ambiguity": None}
    points = xoffset.screen(found.isel(places), **options)
    xr.testing.assert_equal(points.flags, xoffset.screen(found, **options).flags.isel(places))
    assert points.valid_fraction.dims == ("pair", "point")


def test_screen_and_losses_tell_the_matches_that_saw_too_little(stack, mask):
    raw = match(stack, mask)
    options = {"neighbourhood": False, "false_alarm": None, "ambiguity": None}
    found = xoffset.screen(raw, min_valid_fraction=0.8, **options)
    taken = raw.dx.notnull() & (raw.valid_fraction < 0.8)
    assert int(taken.sum()) > 10
    np.testing.assert_array_equal(found.dx.notnull(), raw.dx.notnull() & (raw.valid_fraction >= 0.8))
    np.testing.assert_array_equal(found.flags, raw.flags | taken * FLAGS["few_valid"])
    xr.testing.assert_equal(found.valid_fraction, raw.valid_fraction)
    before, after = (xoffset.losses(each).lost.sum("pair") for each in (raw, found))
    others = before.stage != "few_valid"
    assert int(before.sel(stage="few_valid")) > 0
    assert int((after - before).sel(stage="few_valid")) == int(taken.sum())
    np.testing.assert_array_equal(after[others], before[others])
    # what an earlier call took is not counted again
    strict = xoffset.screen(raw, max_displacement=1e-6, **options)
    again = xoffset.screen(strict, min_valid_fraction=1.0, **options)
    np.testing.assert_array_equal(xoffset.losses(again).lost, xoffset.losses(strict).lost)
    xr.testing.assert_equal(xoffset.screen(raw, min_valid_fraction=0.0, **options).dx, raw.dx)
