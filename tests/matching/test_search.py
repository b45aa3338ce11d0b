"""Where correlate() looks: ranges, maps, priors, pyramids, nested windows and the way back."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._arrays import lattice
from xoffset._arrays.matching import search
from xoffset._arrays.matching.search import Candidates, _costs
from xoffset._kernels.matching import peaks, surface, zncc
from xoffset.model import products
from xoffset.model.dates import YEAR
from xoffset.model.flags import FLAGS

PIXEL = 10.0
NAMES = ("dx", "dy", "score", "peak_gap", "sigma_dx", "sigma_dy", "cov_dxdy")


def flag(data, name):
    """Where a flag is set."""
    return (data["flags"] & FLAGS[name]) != 0


@functools.cache
def ground(shape):
    return synthetic.scene(shape)


def years(*since):
    return np.array([np.datetime64("2020-01-01", "us") + each * YEAR for each in since])


@functools.cache
def moving(right=4.6, down=1.2, *, shape=(160, 176), since=(0.0, 1.0), **kind):
    """Images of ground that moves by so many pixels a year."""
    return synthetic.stack(
        shape,
        dates=years(*since),
        field="constant",
        velocity=PIXEL * float(np.hypot(right, down)),
        direction=float(np.rad2deg(np.arctan2(right, -down))),
        ground=ground(shape),
        **kind,
    )[0]


def match(stack, network=None, **options):
    options = {"template": 16, "search": 6, "step": 8} | options
    return xoffset.correlate(stack, xoffset.pairs(stack) if network is None else network, **options)


def assert_moved(shifts, right=4.6, down=1.2, atol=0.2):
    """All accepted vectors are those of the ground, as far as the smallest windows tell."""
    accepted = shifts["flags"] == 0
    assert accepted.any()
    for name, true in (("dx", PIXEL * right), ("dy", -PIXEL * down)):
        np.testing.assert_allclose(shifts[name].values[accepted], true, atol=PIXEL * atol)


def leaves(stack, shifts, template, half, centre=(0, 0), step=8):
    """Nodes (y, x) whose template, shifted by any of the candidates (y, x), leaves the image."""
    out = np.zeros((shifts.sizes["y"], shifts.sizes["x"]), dtype=bool)
    for axis, name in enumerate(("y", "x")):
        first = np.arange(shifts.sizes[name]) * step + centre[axis]
        beyond = (first < half[axis]) | (first + template + half[axis] > stack.sizes[name])
        out |= np.expand_dims(beyond, 1 - axis)
    return out


def on_grid(stack, values, pitch=1):
    """Values (rows, columns) as a map on every so many pixels of a stack."""
    places = stack[0, ::pitch, ::pitch]
    return xr.DataArray(
        np.broadcast_to(np.asarray(values, dtype=np.float64), places.shape).copy(),
        coords={"y": places.y, "x": places.x, "spatial_ref": stack.spatial_ref},
        dims=("y", "x"),
    )


def prior_of(stack, right, down, names=("vx", "vy"), pitch=1):
    """Prior in metres (a year) from pixels (a year)."""
    return xr.Dataset({names[0]: on_grid(stack, PIXEL * right, pitch), names[1]: on_grid(stack, -PIXEL * down, pitch)})


# --------------------------------------------------------------------------------------------------------------- range


@pytest.mark.parametrize("half", [(3, 6), (2, 9)])
def test_search_along_y_and_x(half):
    stack = moving()
    shifts = match(stack, search=half)
    np.testing.assert_array_equal(flag(shifts, "outside")[0], leaves(stack, shifts, 16, half))
    assert_moved(shifts)
    assert np.isfinite(shifts.dx).sum() == (~flag(shifts, "outside")).sum()
    # the other way round what moves by 4.6 px along x lies beyond
    swapped = match(stack, search=half[::-1])
    np.testing.assert_array_equal(flag(swapped, "outside")[0], leaves(stack, swapped, 16, half[::-1]))
    assert not (np.abs(swapped.dx - PIXEL * 4.6) < PIXEL).any()
    assert np.isnan(swapped.dx.where(flag(swapped, "border"))).all()


def test_a_square_range_is_that_of_one_number():
    stack = moving()
    square = match(stack, search=(6, 6))
    for name in NAMES:
        np.testing.assert_array_equal(square[name], match(stack)[name])


def test_half_ranges_from_a_map():
    stack = moving()
    halves = np.full(stack.shape[1:], 6.0)
    halves[:, :60], halves[:50], halves[120:] = 2.0, 0.0, np.nan
    shifts, uniform, narrow = (match(stack, search=search) for search in (on_grid(stack, halves), 6, 2))
    rows, columns = (np.arange(shifts.sizes[name]) * 8 + 7.5 for name in ("y", "x"))
    is_out = (rows < 49.5) | (rows > 119.5)
    is_narrow = ~is_out[:, None] & (columns < 59.5)
    is_wide = ~is_out[:, None] & (columns > 60)
    np.testing.assert_array_equal(flag(shifts, "outside")[0][is_out], True)
    for part, same in ((is_narrow, narrow), (is_wide, uniform)):
        np.testing.assert_array_equal(shifts["flags"][0].values[part], same["flags"][0].values[part])
        for name in ("dx", "dy", "score"):
            np.testing.assert_allclose(shifts[name][0].values[part], same[name][0].values[part], atol=1e-3)
    assert flag(shifts, "border")[0].values[is_narrow].any()
    assert_moved(shifts)


@pytest.mark.parametrize("layout", ["coarse", "upside down"])
def test_the_nearest_half_range_holds_whatever_the_grid_of_the_map(layout):
    stack = moving()
    halves = on_grid(stack, np.where(np.indices(stack.shape[1:])[1] < 84, 6.0, 3.0))
    expected = match(stack, search=halves, template=15)
    other = {
        # pixels 3 apart from the second on: no node is as near to two of them
        "coarse": halves[1::3, 1::3],
        "upside down": halves[::-1, ::-1],
    }[layout]
    found = match(stack, search=other, template=15)
    assert flag(found, "border").any()
    assert np.isfinite(found.dx).any()
    for name in (*NAMES, "flags"):
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.small
@pytest.mark.parametrize("half", [4, (2, 4)])
def test_no_search_reads_beyond_its_tile(half, monkeypatch):
    # to be seen without compilation or with bounds checking; a pre-filter would ask for more pixels anyway
    monkeypatch.setattr(lattice, "TILE", 16)
    stack = moving(1.6, 0.2, shape=(40, 56))
    shifts = match(stack, template=8, search=half, prefilter=None)
    np.testing.assert_array_equal(
        flag(shifts, "outside")[0], leaves(stack, shifts, 8, (half, half) if half == 4 else half)
    )
    assert_moved(shifts, 1.6, 0.2, atol=0.5)


def test_nodes_beyond_the_map_are_left_out():
    stack = moving()
    shifts = match(stack, search=on_grid(stack, 6.0)[:, 80:])
    is_beyond = (shifts.x < float(stack.x[80]) - PIXEL).values
    assert flag(shifts, "outside").values[..., is_beyond].all()
    assert np.isfinite(shifts.dx.values[..., ~is_beyond]).any()


# --------------------------------------------------------------------------------------------------------------- prior


@pytest.mark.parametrize(("names", "since"), [(("vx", "vy"), 1.0), (("vx", "vy"), 0.5), (("dx", "dy"), 1.0)])
def test_a_prior_finds_what_lies_far_beyond_the_search(names, since):
    right, down = 31.4, -22.7
    stack = moving(right / since, down / since, shape=(224, 240), since=(0.0, since))
    scale = since if names[0] == "vx" else 1.0
    prior = prior_of(stack, (right + 0.8) / scale, (down - 1.1) / scale, names)
    shifts, without = match(stack, search=4, prior=prior), match(stack, search=4)
    np.testing.assert_array_equal(flag(shifts, "outside")[0], leaves(stack, shifts, 16, (4, 4), (-24, 32)))
    assert_moved(shifts, right, down)
    assert (shifts["flags"] == 0).sum() == (~flag(shifts, "outside")).sum()
    # it never moves where a match is reported
    for name in ("y", "x"):
        np.testing.assert_array_equal(shifts[name], without[name])
    assert not (np.abs(without.dx - PIXEL * right) < PIXEL).any()


def test_a_prior_of_zero_changes_nothing():
    stack = moving()
    for names in (("vx", "vy"), ("dx", "dy")):
        found, plain = match(stack, prior=prior_of(stack, 0.3, -0.2, names)), match(stack)
        np.testing.assert_array_equal(found["flags"], plain["flags"])
        # another kernel may serve, which rounds otherwise
        np.testing.assert_allclose(found.dx, plain.dx, atol=1e-3 * PIXEL)
        np.testing.assert_allclose(found.score, plain.score, atol=1e-5)


def test_matches_are_reported_where_the_ground_was():
    shape = (256, 256)
    stack, truth = synthetic.stack(shape, dates=years(0.0, 1.0), velocity=150.0, direction=90.0, ground=ground(shape))
    prior = xr.Dataset({"vx": truth.vx, "vy": truth.vy}).assign_coords(spatial_ref=stack.spatial_ref)
    shifts = match(stack, search=5, prior=prior).isel(pair=0)
    true = truth.dx[1].interp(y=shifts.y, x=shifts.x)
    assert float(true.max()) > 14 * PIXEL
    # what a window at the place on the other date would see
    there = truth.dx[1].interp(y=shifts.y, x=shifts.x + true)
    moves = (true > 2 * PIXEL) & np.isfinite(shifts.dx)
    assert moves.sum() > 100
    error, alternative = (float(np.abs(shifts.dx - each).where(moves).median()) for each in (true, there))
    assert PIXEL < alternative > 3.0 * error


@pytest.mark.parametrize("order", ["descending", "ascending"])
@pytest.mark.parametrize("size", [(10.0, 10.0), (30.0, 5.0)])
def test_signs_of_a_prior(order, size):
    right, down = -9.3, 7.4
    stack = moving(right, down)
    stack = stack.assign_coords(x=size[0] * np.arange(176.0), y=-size[1] * np.arange(160.0))
    prior = xr.Dataset({"vx": on_grid(stack, size[0] * (right + 1)), "vy": on_grid(stack, -size[1] * (down + 1))})
    if order == "ascending":
        stack = stack.isel(y=slice(None, None, -1))
    # the prior keeps its own order of rows
    network = xoffset.pairs(stack, direction="both")
    shifts = match(stack, network, search=3, prior=prior)
    for k, sign in enumerate((1.0, -1.0)):
        accepted = shifts["flags"][k].values == 0
        assert accepted.sum() > 100
        np.testing.assert_allclose(shifts.dx[k].values[accepted], sign * size[0] * right, atol=0.2 * size[0])
        np.testing.assert_allclose(shifts.dy[k].values[accepted], -sign * size[1] * down, atol=0.2 * size[1])


def test_each_pair_gets_its_share_of_a_velocity():
    stack = moving(20.0, 6.0, since=(0.0, 0.3, 1.0))
    shifts = match(stack, search=2, prior=prior_of(stack, 20.0, 6.0))
    for k, since in enumerate((0.3, 1.0, 0.7)):
        pair = shifts.isel(pair=k)
        assert (pair["flags"] == 0).any()
        assert_moved(pair, 20.0 * since, 6.0 * since)


def test_a_prior_by_pair_goes_by_its_dates():
    stack = moving(20.0, 6.0, since=(0.0, 0.3, 1.0))
    network = xoffset.pairs(stack)
    each = [prior_of(stack, 20.0 * since, 6.0 * since, ("dx", "dy")) for since in (0.3, 1.0, 0.7)]
    prior = xr.concat(each, "pair").assign_coords(network.coords)
    shifts = match(stack, network, search=2, prior=prior)
    for k, since in enumerate((0.3, 1.0, 0.7)):
        assert_moved(shifts.isel(pair=k), 20.0 * since, 6.0 * since)
    chosen = [2, 0]
    again = match(stack, network.isel(pair=chosen), search=2, prior=prior.isel(pair=[1, 2, 0]))
    np.testing.assert_array_equal(again["flags"], shifts["flags"][chosen])
    for name in ("dx", "dy", "score"):
        # the longest prior says how many pixels around a tile are read
        np.testing.assert_allclose(again[name], shifts[name][chosen], rtol=1e-5)


@pytest.mark.parametrize("pitch", [5, 23])
def test_a_coarse_prior_is_interpolated(pitch):
    stack = moving(12.3, -7.2)
    columns = np.arange(176)
    # from 2 px too little to 2 px too much; rounded in between
    fine, coarse = (prior_of(stack, 12.3 + (columns[::each] - 88) * 2.0 / 88, -7.2, pitch=each) for each in (1, pitch))
    found, expected = match(stack, search=4, prior=coarse), match(stack, search=4, prior=fine)
    is_inside = ~flag(found, "no_prior").values
    assert is_inside.sum() > 100
    np.testing.assert_array_equal(found["flags"].values[is_inside], expected["flags"].values[is_inside])
    for name in ("dx", "dy", "score"):
        np.testing.assert_allclose(found[name].values[is_inside], expected[name].values[is_inside], rtol=1e-5)
    assert_moved(found, 12.3, -7.2)


def test_without_a_prior_a_node_searches_around_zero_and_says_so():
    stack = moving()
    prior = prior_of(stack, 4.0, 1.0)
    prior["vy"][:, 90:] = np.nan
    shifts, plain = match(stack, prior=prior), match(stack)
    is_blind = flag(shifts, "no_prior").values
    np.testing.assert_array_equal(
        is_blind[0], np.broadcast_to((shifts.x > float(stack.x[89])).values, is_blind[0].shape)
    )
    assert np.isfinite(shifts.dx.values[is_blind]).any()
    for name in NAMES:
        np.testing.assert_allclose(shifts[name].values[is_blind], plain[name].values[is_blind], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(shifts["flags"].values[is_blind], plain["flags"].values[is_blind] | FLAGS["no_prior"])
    assert_moved(shifts)


def test_a_prior_of_nothing_is_a_search_around_zero():
    stack = moving()
    shifts, plain = match(stack, prior=prior_of(stack, np.nan, np.nan)), match(stack)
    assert flag(shifts, "no_prior").all()
    np.testing.assert_allclose(shifts.dx, plain.dx, atol=1e-3)


def test_a_prior_joins_a_map_of_ranges():
    stack = moving(20.3, -11.8)
    halves = on_grid(stack, np.where(np.indices(stack.shape[1:])[0] < 80, 3.0, 0.0))
    shifts = match(stack, search=halves, prior=prior_of(stack, 19.0, -11.0))
    assert_moved(shifts, 20.3, -11.8)
    assert flag(shifts, "outside").values[:, shifts.y < float(stack.y[80])].all()


# ------------------------------------------------------------------------------------------------------------- pyramid


@pytest.mark.parametrize("prefilter", ["bandpass", None])
@pytest.mark.parametrize(("right", "down"), [(8.3, -5.6), (-0.4, 0.2), (10.6, 10.2)])
def test_pyramid_equals_exhaustive_search(right, down, prefilter):
    stack = moving(right, down, snr=8.0)
    options = {"template": 24, "prefilter": prefilter}
    found, expected = (match(stack, search=search, **options) for search in (xoffset.Pyramid(12), 12))
    np.testing.assert_array_equal(found["flags"], expected["flags"])
    assert (found["flags"] == 0).sum() > 100
    np.testing.assert_allclose(found.dx, expected.dx, atol=2e-3 * PIXEL)
    np.testing.assert_allclose(found.dy, expected.dy, atol=2e-3 * PIXEL)
    np.testing.assert_allclose(found.score, expected.score, atol=1e-4)


@pytest.mark.parametrize("template", [16, 32, (16, 48)])
def test_pyramid_finds_long_displacements(template):
    stack = moving(40.4, -21.3, shape=(256, 288), snr=6.0)
    shifts = match(stack, template=template, search=xoffset.Pyramid((30, 45)), step=16)
    np.testing.assert_array_equal(
        flag(shifts, "outside")[0], leaves(stack, shifts, np.max(template), (30, 45), step=16)
    )
    assert_moved(shifts, 40.4, -21.3)
    assert (shifts["flags"] == 0).sum() >= 0.97 * (~flag(shifts, "outside")).sum()


def test_pyramid_keeps_a_small_object_that_does_not_move():
    stack = moving(17.4, 6.2, shape=(256, 256)).copy()
    still = synthetic.stack((256, 256), field="constant", velocity=0.0, seed=7)[0]
    # 20 px: ten at half the resolution, where no window is smaller than 16
    place = (slice(None), slice(112, 132), slice(104, 124))
    stack[place] = still[place].values
    shifts = match(stack, search=xoffset.Pyramid(24), template=16, step=4)
    on_object = shifts.isel(pair=0, y=slice(28, 30), x=slice(26, 28))
    assert (on_object["flags"] == 0).all()
    # the pre-filter sees a little of what moves around
    np.testing.assert_allclose(on_object.dx, 0.0, atol=0.3 * PIXEL)
    np.testing.assert_allclose(on_object.dy, 0.0, atol=0.3 * PIXEL)
    around = shifts.isel(pair=0, y=slice(6, 20))
    assert_moved(around, 17.4, 6.2)


def test_pyramid_around_a_prior():
    stack = moving(43.2, -30.7, shape=(256, 288))
    shifts = match(stack, search=xoffset.Pyramid(16), template=24, prior=prior_of(stack, 34.0, -20.0))
    np.testing.assert_array_equal(flag(shifts, "outside")[0], leaves(stack, shifts, 24, (16, 16), (-20, 34)))
    assert_moved(shifts, 43.2, -30.7)
    assert (shifts["flags"] == 0).sum() >= 0.97 * (~flag(shifts, "outside")).sum()


def test_pyramid_leaves_out_what_a_hole_hides():
    stack = moving(14.4, 8.3, shape=(224, 224)).copy()
    stack[0, 80:150, 60:130] = np.nan
    found, expected = (match(stack, search=search, template=24) for search in (xoffset.Pyramid(18), 18))
    inner = ~flag(expected, "outside").values
    # the exhaustive search may find its like far away where few pixels are left
    is_sure = inner & (expected.peak_gap.values > 0.3) & (expected["flags"].values == 0)
    assert is_sure.sum() > 100
    np.testing.assert_allclose(found.dx.values[is_sure], expected.dx.values[is_sure], atol=0.02 * PIXEL)
    empty = flag(expected, "nodata").values
    assert empty.any()
    assert np.isnan(found.dx.values[empty]).all()


@pytest.mark.parametrize(("search", "levels"), [(8, 1), (24, 1), (25, 2), ((10, 49), 3), (300, 4)])
def test_levels_of_a_pyramid(search, levels):
    assert xoffset.Pyramid(search).levels == levels
    assert xoffset.Pyramid(search, levels=2).levels == 2


# ------------------------------------------------------------------------------------------------------ nested windows


def test_nested_windows_share_their_centres():
    stack = moving()
    nested, largest, smallest = (match(stack, template=template) for template in ((16, 32), 32, 16))
    for name in ("y", "x"):
        np.testing.assert_array_equal(nested[name], largest[name])
    assert "template_size" not in largest
    assert "template_size" not in smallest
    assert nested.template_size.attrs["units"] == "pixel"
    np.testing.assert_array_equal(flag(nested, "outside"), flag(largest, "outside"))
    # easy ground: the smallest everywhere, as if alone
    inner = ~flag(nested, "outside")
    assert (nested.template_size.where(inner, 16) == 16).all()
    assert np.isnan(nested.template_size.where(~inner)).all()
    alone = smallest.sel(y=nested.y, x=nested.x, method="nearest", tolerance=0.01)
    for name in ("dx", "dy", "score"):
        np.testing.assert_allclose(nested[name].where(inner), alone[name].where(inner).values, rtol=1e-4, atol=1e-3)


def test_order_and_repetition_of_sizes_do_not_matter():
    stack = moving(snr=2.0)
    expected = match(stack, template=(16, 32, 48))
    for template in ([48, 16, 32], (16, 16, 48, 32)):
        found = match(stack, template=template)
        for name in (*NAMES, "template_size", "flags"):
            np.testing.assert_array_equal(found[name], expected[name])


def test_noise_asks_for_larger_windows():
    stack = moving(snr=0.7)
    nested, small = (match(stack, template=template, search=8, step=4) for template in ((8, 16, 32), 8))
    sizes = nested.template_size.values[nested["flags"].values == 0]
    assert set(np.unique(sizes)) <= {8, 16, 32}
    assert (sizes > 8).mean() > 0.5

    def wrong(shifts):
        far = np.hypot(shifts.dx - PIXEL * 4.6, shifts.dy + PIXEL * 1.2) > PIXEL
        return float(far.sum() / np.isfinite(shifts.dx).sum())

    assert wrong(nested) < 0.02 < 0.1 < wrong(small)


def test_where_no_size_passes_the_templates_disagree():
    stack = moving().copy()
    stack[1] = synthetic.stack(stack.shape[1:], field="constant", seed=5)[0].values[1]
    shifts = match(stack, template=(16, 32), search=8)
    inner = ~flag(shifts, "outside").values
    lost = np.isnan(shifts.dx.values) & inner
    assert lost.sum() > 0.9 * inner.sum()
    says_why = flag(shifts, "template_disagrees") | flag(shifts, "border")
    assert says_why.values[lost].mean() > 0.9
    # the largest says best why there is nothing
    assert (shifts.template_size.values[flag(shifts, "template_disagrees").values] == 32).all()


def test_nested_windows_beside_a_hole():
    stack = moving().copy()
    stack[0, 60:100, 70:110] = np.nan
    nested, small, large = (match(stack, template=template) for template in ((16, 32), 16, 32))
    inner = ~flag(nested, "outside").values
    assert_moved(nested)
    alone = small.sel(y=nested.y, x=nested.x, method="nearest", tolerance=0.01)
    # nothing that either size matches is lost
    either = (np.isfinite(alone.dx.values) | np.isfinite(large.dx.values)) & inner
    assert np.isfinite(nested.dx.values[either]).mean() > 0.95
    assert flag(nested, "nodata").values[0, 8, 9]
    # two of its columns are known
    assert flag(nested, "few_valid").values[0, 8, 10]


# ---------------------------------------------------------------------------------------------------------- both ways

BOTH = xoffset.NCC(both_ways=True)


def test_there_and_back_cancel_on_good_ground():
    stack = moving(snr=10.0)
    both, plain = match(stack, matcher=BOTH), match(stack)
    assert "mismatch" not in plain
    assert both.mismatch.attrs["units"] == "m"
    for name in (*NAMES, "flags"):
        np.testing.assert_array_equal(both[name], plain[name])
    # the windows lie 4.6 px apart: two matches with their own noise
    assert float(both.mismatch.median()) < 0.05 * PIXEL
    assert float(both.mismatch.max()) < 0.3 * PIXEL
    back = match(stack, products.network(stack.time.values[1:], stack.time.values[:1]))
    np.testing.assert_allclose(both.mismatch, np.hypot(plain.dx + back.dx, plain.dy + back.dy), rtol=1e-3, atol=1e-3)


def test_mismatch_is_in_metres_of_rectangular_pixels():
    stack = moving(snr=2.0)
    wide = stack.assign_coords(x=30.0 * np.arange(176.0), y=5.0 * np.arange(160.0))
    network = products.network(stack.time.values[1:], stack.time.values[:1])
    both, plain, back = match(wide, matcher=BOTH), match(wide), match(wide, network)
    expected = np.hypot(plain.dx + back.dx, plain.dy + back.dy)
    assert np.isfinite(expected).any()
    np.testing.assert_allclose(both.mismatch, expected, rtol=1e-3, atol=1e-3)


def test_what_does_not_come_back_is_flagged():
    stack = moving(snr=10.0, shape=(224, 224)).copy()
    other = synthetic.stack((224, 224), field="constant", seed=5)[0].values[0]
    # the reference shows other ground in one place: its like is found by chance, and matches something else back
    stack[0, 80:144, 80:144] = other[80:144, 80:144]
    # closed forms accept any peak
    one_way, two_ways = (xoffset.NCC(refine="parabola", both_ways=each) for each in (False, True))
    both, plain = match(stack, matcher=two_ways, search=8), match(stack, matcher=one_way, search=8)
    inside = (slice(None), slice(10, 17), slice(10, 17))
    caught = flag(both, "forward_backward").values
    # a match back that fails tells nothing
    known = np.isfinite(plain.dx.values[inside]) & np.isfinite(both.mismatch.values[inside])
    assert known.sum() > 20
    # chance matches are uncertain by up to 2 px, and may come back
    assert caught[inside][known].mean() > 0.3
    far = both.mismatch.values[inside] > 8 * PIXEL
    assert far.sum() > 5
    assert caught[inside][far].all()
    assert not caught[:, :7].any()
    for name in ("dx", "dy", "sigma_dx", "sigma_dy", "cov_dxdy"):
        assert np.isnan(both[name].values[caught]).all()
    # what the match was stays to be seen
    assert np.isfinite(both.score.values[caught]).all()
    assert (both.mismatch.values[caught] > 0.5 * PIXEL).all()


def test_strained_ground_comes_back():
    shape = (256, 256)
    stack, truth = synthetic.stack(shape, dates=years(0.0, 1.0), velocity=80.0, direction=90.0, ground=ground(shape))
    both, plain = (match(stack, search=11, matcher=each) for each in (BOTH, "ncc"))
    true = truth.dx[1].interp(y=plain.y, x=plain.x)
    is_right = np.abs(plain.dx - true) < 0.5 * PIXEL
    # the way back starts where the ground moves otherwise
    is_strained = is_right & (both.mismatch > 0.5 * PIXEL)
    assert is_strained.sum() > 10
    assert flag(both, "forward_backward").where(is_strained).mean() < 0.2
    assert flag(both, "forward_backward").where(is_right).mean() < 0.01


# ----------------------------------------------------------------------------------------------------- choice of kernel


class Recorder:
    """Notes what was asked and which kernel costs least; or makes one of them free."""

    def __init__(self, monkeypatch, free=None):
        self.asked, self.free, self.costs = [], free, _costs
        monkeypatch.setattr(search, "_costs", self)

    def __call__(self, nodes, sizes, block, candidates):
        costs = self.costs(nodes, sizes, block, candidates)
        cheapest = min(costs, key=costs.__getitem__)
        self.asked.append((tuple(nodes), sizes, block, candidates.box, int(candidates.wanted.sum()), cheapest))
        return costs | {self.free: -1.0} if self.free in costs else costs


SETTINGS = {
    "grid": {},
    "dense": {"template": 7, "step": 2, "search": 4},
    "rectangle": {"search": (3, 9)},
    "pyramid": {"search": xoffset.Pyramid(12), "template": 24},
}


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_every_kernel_gives_the_same_matches(name, holes, monkeypatch):
    stack = moving(shape=(96, 112)).copy()
    if holes:
        stack[1, 40:50, 50:64] = np.nan
        stack[0, 20, 30:34] = np.nan
    found = []
    for free in ("blocks", "one by one", "dense"):
        with monkeypatch.context() as patch:
            recorder = Recorder(patch, free)
            found.append(match(stack, **SETTINGS[name]))
            assert recorder.asked
    for other in found[1:]:
        np.testing.assert_array_equal(other["flags"], found[0]["flags"])
        np.testing.assert_allclose(other.dx, found[0].dx, atol=2e-3 * PIXEL)
        np.testing.assert_allclose(other.dy, found[0].dy, atol=2e-3 * PIXEL)
        np.testing.assert_allclose(other.score, found[0].score, atol=1e-4)
        np.testing.assert_allclose(other.peak_gap, found[0].peak_gap, atol=1e-4)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_kernel_is_a_matter_of_the_tile_and_never_of_the_chunk(name, monkeypatch):
    stack = moving(shape=(300, 320), snr=8.0)
    options = {"step": 16} | SETTINGS[name] | ({"step": 3} if name == "dense" else {})
    asked = []
    for chunks in (None, {"y": 300, "x": 320}, {"y": 37, "x": 41}):
        with monkeypatch.context() as patch:
            recorder = Recorder(patch)
            match(stack if chunks is None else stack.chunk(chunks), **options).compute(scheduler="synchronous")
            asked.append(sorted(recorder.asked))
    assert len(asked[0]) >= 4
    assert asked[1] == asked[0]
    assert asked[2] == asked[0]


def uniform(rows, columns, half):
    shape = (rows, columns)
    return Candidates(
        np.zeros((*shape, 2), np.int64), np.full((*shape, 2), half), np.ones(shape, dtype=bool), is_uniform=True
    )


@pytest.mark.small
@pytest.mark.parametrize(
    ("template", "step", "half", "block", "expected"),
    [(32, 8, 20, 8, "blocks"), (20, 10, 45, 10, "blocks"), (7, 1, 4, 1, "dense"), (15, 2, 8, 1, "dense")],
)
def test_grids_go_by_blocks_and_every_pixel_densely(template, step, half, block, expected):
    side = 256 // step
    costs = _costs(zncc.Nodes(side, side, 0, 0, step, template), (template,), block, uniform(side, side, half))
    assert min(costs, key=costs.__getitem__) == expected


@pytest.mark.small
@pytest.mark.parametrize(
    ("hole", "in_first", "in_second"),
    [((15, 30), True, True), ((16, 30), True, False), ((20, 16), True, False), ((43, 43), False, False),
     ((44, 44), True, False), ((47, 47), True, False), ((48, 30), True, True)],
)  # fmt: skip
def test_only_tiles_whose_windows_touch_unknown_pixels_need_masks(hole, in_first, in_second):
    # windows take pixels 20 to 43, and as far as 4 px beyond in the secondary
    nodes, candidates = zncc.Nodes(2, 2, 20, 20, 8, 16), uniform(2, 2, 4)
    valid = np.ones((64, 64), np.uint8)
    valid[hole] = 0
    whole = SimpleNamespace(valid=valid | 1, is_valid=True, complete={})
    holed = SimpleNamespace(valid=valid, is_valid=False, complete={})
    assert search.are_complete(whole, whole, nodes, candidates)
    assert search.are_complete(holed, whole, nodes, candidates) == in_first
    assert search.are_complete(whole, holed, nodes, candidates) == in_second


@pytest.mark.small
def test_searches_that_do_not_coincide_go_one_by_one():
    near = uniform(16, 16, 2)
    spread = Candidates(np.indices((16, 16)).transpose(1, 2, 0) * 3, near.half, near.wanted, is_uniform=False)
    costs = _costs(zncc.Nodes(16, 16, 0, 0, 16, 32), (32,), 16, spread)
    assert min(costs, key=costs.__getitem__) == "one by one"


# ------------------------------------------------------------------------------------------------ whole pixels, chance


@pytest.mark.small
def test_whole_pixels_take_their_covariance_from_the_curvature():
    generator = np.random.default_rng(3)
    found = np.full((2, 3, surface.PEAK_FIELDS), np.nan)
    found[..., :2] = generator.integers(-5, 6, (2, 3, 2))
    y, x = np.mgrid[-1:2, -1:2]
    expected = {}
    for node in np.ndindex(2, 3):
        root = np.eye(2) + 0.3 * generator.standard_normal((2, 2))
        bend, top = 0.1 * root @ root.T, generator.uniform(0.3, 0.9)
        scores = top - 0.5 * (bend[0, 0] * x * x + 2 * bend[0, 1] * x * y + bend[1, 1] * y * y)
        found[node][2], found[node][4 : surface.OTHER] = top, scores.ravel()
        inverse = np.linalg.inv(bend)
        covariance = (1 - top) / 40 * (2 * inverse + (1 - top) / 2 * inverse @ inverse) + np.eye(2) / 12
        expected[node] = (*found[node][1::-1], top, covariance[0, 0], covariance[1, 1], covariance[0, 1])
    flags = np.zeros((2, 3), np.int32)
    flags[1, 2] = 16
    wanted = np.ones((2, 3), np.uint8)
    wanted[0, 0] = 0
    out = np.full((2, 3, 6), 7.0)
    peaks.whole(found, wanted, 40.0, out, flags)
    assert (out[0, 0] == 7.0).all()
    assert np.isnan(out[1, 2][[0, 1, 3, 4, 5]]).all()
    for node in ((0, 1), (0, 2), (1, 0), (1, 1)):
        np.testing.assert_allclose(out[node], expected[node], rtol=1e-10)


def test_a_ridge_of_scores_is_no_whole_pixel_match():
    found = np.zeros((1, 1, surface.PEAK_FIELDS))
    found[0, 0, 2], found[0, 0, 4 : surface.OTHER] = 0.9, [0.8, 0.9, 0.8] * 3
    out, flags = np.empty((1, 1, 6)), np.zeros((1, 1), np.int32)
    peaks.whole(found, np.ones((1, 1), np.uint8), 40.0, out, flags)
    assert flags[0, 0] == FLAGS["ill_conditioned"]
    assert np.isnan(out[0, 0, 0])


FILTERS = ["bandpass", "highpass", "wallis", "laplacian", "sobel", "naof", "rank", "log", None]


@pytest.mark.parametrize("prefilter", FILTERS)
def test_true_matches_are_significant_with_every_filter(prefilter):
    stack, _ = synthetic.stack((160, 160), field="constant", velocity=23.0, direction=60.0, snr=4.0)
    shifts = stack.offset.correlate(stack.offset.pairs(), search=5, prefilter=prefilter)
    kept = shifts.offset.screen(neighbourhood=False)
    assert int(np.isfinite(kept.dx).sum()) > 0.9 * int((shifts.flags != FLAGS["outside"]).sum())


@pytest.mark.parametrize("prefilter", ["bandpass", "sobel", "rank"])
def test_unrelated_ground_is_seldom_significant(prefilter):
    shares = []
    for seed in range(4):
        first, second = (
            synthetic.stack((256, 256), field="constant", velocity=0.0, snr=10.0, seed=2 * seed + k)[0] for k in (0, 1)
        )
        stack = first.copy(data=np.stack([first.values[0], second.values[0]]))
        shifts = stack.offset.correlate(stack.offset.pairs(), template=16, search=8, step=16, prefilter=prefilter)
        inside = shifts.flags != FLAGS["outside"]
        shares.append(float(((shifts.false_alarm <= 0.01) & inside).sum() / inside.sum()))
    assert np.mean(shares) < 0.04


def test_a_pyramid_tells_how_far_the_peak_stands_above_others():
    stack, _ = synthetic.stack((192, 192), field="constant", velocity=83.0, direction=60.0, snr=4.0)
    wide = stack.offset.correlate(stack.offset.pairs(), search=xoffset.Pyramid(14))
    whole = stack.offset.correlate(stack.offset.pairs(), search=14)
    has_value = np.isfinite(wide.dx)
    assert int(has_value.sum()) > 100
    assert np.isfinite(wide.peak_gap.where(has_value, 1.0)).all()
    assert abs(float(wide.peak_gap.median() - whole.peak_gap.median())) < 0.15
