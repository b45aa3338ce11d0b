"""screen(): what matches and their independent neighbours tell together."""

import functools

import numpy as np
import pytest
import reference_evidence as reference
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._kernels.maps import neighbours
from xoffset.flags import FLAGS

PIXEL = 10.0


def vectors(shape, seed=0):
    generator = np.random.default_rng(seed)
    dx, dy = 0.4 * generator.standard_normal((2, *shape))
    is_wrong = generator.random(shape) < 0.3
    dx[is_wrong] += generator.uniform(-8, 8, is_wrong.sum())
    dx[generator.random(shape) < 0.2] = np.nan
    return dx, dy, generator.uniform(0.1, 0.5, shape), generator.random(shape)


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("shape", [(9, 140), (2, 3), (1, 7)])
def test_evidence_against_twin(shape, stride):
    dx, dy, sigma, chance = vectors(shape)
    own = np.empty(shape)
    neighbours.likelihood(chance, own)
    np.testing.assert_allclose(own, reference.likelihood(chance), rtol=1e-9)
    weight = np.where(np.isnan(dx), -1.0, np.where(chance > 0.8, 0.0, own))
    floors = np.linspace(0.01, 0.3, 24)
    arguments = (dx, dy, sigma**2, weight, floors, 361.0, 50.0, stride)
    found = np.empty(shape)
    neighbours.evidence(*arguments, found)
    known = np.isfinite(dx)
    np.testing.assert_allclose(found[known], reference.evidence(*arguments)[known], rtol=1e-9)


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("shape", [(9, 140), (2, 3), (1, 7)])
def test_strays_against_twin(shape, stride):
    dx, dy, sigma, chance = vectors(shape)
    is_weak = (np.isfinite(dx) & (chance > 0.3)).astype(np.uint8)
    out = np.empty(shape, np.uint8)
    neighbours.strays(dx, dy, sigma, is_weak, stride, 1.0, out)
    np.testing.assert_array_equal(out, reference.strays(dx, dy, sigma, is_weak, stride, 1.0))
    assert shape[0] < 9 or 0.02 < out.mean() < 0.6


def test_evidence_of_vectors_drawn_by_lot_is_one_on_average():
    generator = np.random.default_rng(3)
    shape = (300, 300)
    dx, dy = generator.uniform(-9.5, 9.5, (2, *shape)).astype(np.float32)
    chance = generator.random(shape)
    own, found = np.empty(shape, np.float32), np.empty(shape, np.float32)
    neighbours.likelihood(chance, own)
    neighbours.evidence(dx, dy, np.full_like(dx, 0.1), own, np.full(24, 0.1), 361.0, 1e6, 1, found)
    together = (own * found).astype(np.float64)
    # no more than one in a thousand may reach a thousand, nor one in a hundred a hundred
    assert (together > 1000.0).mean() < 1e-3
    assert (together > 100.0).mean() < 1e-2
    assert (together > 10.0).mean() > 1e-4
    assert 0.5 < own.mean() < 1.5


@functools.cache
def weak(step):
    """Matches of which a quarter are wrong, and their errors in pixels."""
    stack, truth = synthetic.stack(
        (208, 208), field="constant", velocity=60.0, direction=60.0, snr=0.4, dates=["2020-01-01", "2021-01-01"]
    )
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=10, step=step)
    errors = np.hypot(shifts.dx - truth.dx[1].mean(), shifts.dy - truth.dy[1].mean()).values / PIXEL
    return shifts, errors


@pytest.mark.parametrize("step", [4, 8, 16])
def test_weak_matches_that_others_confirm_are_kept(step):
    shifts, errors = weak(step)
    kept = np.isfinite(xoffset.screen(shifts).dx.values)
    is_right, is_wrong = errors < 1.0, errors >= 1.0
    assert is_wrong.sum() > 0.2 * is_right.sum()
    assert kept[is_right].mean() > 0.7
    assert kept[is_wrong].mean() < 0.05
    alone = np.isfinite(xoffset.screen(shifts, neighbourhood=False).dx.values)
    assert alone[is_right].mean() < 0.5


def unrelated(template, search, step):
    first, second = (synthetic.stack((224, 224), seed=seed, snr=4.0)[0] for seed in (1, 2))
    stack = first.copy(data=np.stack([first.values[0], second.values[1]]))
    return stack, xoffset.correlate(stack, xoffset.pairs(stack), template=template, search=search, step=step)


@pytest.mark.parametrize(("template", "search", "step"), [(16, 6, 2), (16, 10, 4), (24, 12, 8), (16, 4, 16)])
def test_unrelated_ground_is_not_kept(template, search, step):
    shifts = unrelated(template, search, step)[1]
    assert np.isfinite(shifts.dx).sum() > 15
    assert np.isfinite(xoffset.screen(shifts).dx.values).mean() < 1e-3


def test_unrelated_ground_is_not_kept_beside_related_ground():
    stack = unrelated(16, 8, 8)[0]
    stack[1, :, :128] = stack[0, :, :128].roll(x=2).values
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=8, step=4)
    kept = np.isfinite(xoffset.screen(shifts).dx.values[0])
    x = (shifts.x - stack.x[0]).values / PIXEL
    assert kept[6:-6, (x > 20) & (x < 115)].mean() > 0.99
    # what a window sees of the related half is right
    assert kept[:, x > 128 + 16].mean() < 1e-3


def planted(chance, ambiguity, dx=5.0, dy=3.0):
    """Shifts of one motion on 9 x 9 windows that share no pixel."""
    stack, _ = synthetic.stack((144, 144), field="constant", velocity=10.0)
    shifts = xoffset.correlate(stack, xoffset.pairs(stack).isel(pair=[0]), template=16, search=6, step=16)
    shape = shifts.dx.shape
    values = {"dx": dx, "dy": dy, "sigma_dx": 0.5, "sigma_dy": 0.5, "flags": 0}
    values |= {"false_alarm": chance, "ambiguity": ambiguity}
    fields = {name: np.broadcast_to(value, shape).astype(shifts[name].dtype) for name, value in values.items()}
    return shifts.assign({name: shifts[name].copy(data=field.copy()) for name, field in fields.items()})


def test_matches_that_chance_explains_one_by_one_confirm_each_other():
    assert np.isfinite(xoffset.screen(planted(0.3, 0.0)).dx).all()
    assert not np.isfinite(xoffset.screen(planted(0.3, 0.0), neighbourhood=False).dx).any()
    by_lot = np.random.default_rng(1).uniform(-50.0, 50.0, (2, 1, 9, 9))
    found = xoffset.screen(planted(0.3, 0.0, *by_lot))
    assert ((found.flags & FLAGS["insignificant"]) > 0).all()


def test_without_the_coordinates_of_its_sampling_a_match_is_judged_alone():
    bare = planted(0.3, 0.0).drop_vars(["window_size", "search_area", "pixel_size"])
    assert not np.isfinite(xoffset.screen(bare).dx).any()


def test_ambiguous_matches_do_not_confirm_each_other_but_clear_ones_do():
    assert ((xoffset.screen(planted(1e-9, 0.4)).flags & FLAGS["ambiguous"]) > 0).all()
    mixed = np.where(np.indices((9, 9)).sum(axis=0) % 2 == 0, 0.4, 1e-3)
    found = xoffset.screen(planted(1e-9, mixed))
    assert np.isfinite(found.dx).all()
    # not those that lie elsewhere
    away = np.where(mixed > 0.1, 45.0, 5.0)
    found = xoffset.screen(planted(1e-9, mixed, away))
    assert (((found.flags.values[0] & FLAGS["ambiguous"]) > 0) == (mixed > 0.1)).all()
    alone = xoffset.screen(planted(1e-9, mixed), neighbourhood=False)
    assert (((alone.flags.values[0] & FLAGS["ambiguous"]) > 0) == (mixed > 0.1)).all()
    assert np.isfinite(xoffset.screen(planted(1e-9, 0.4), ambiguity=None).dx).all()
    assert np.isfinite(xoffset.screen(planted(1e-9, np.nan)).dx).all()


def test_ambiguity_needs_its_variable():
    shifts = planted(0.0, 0.0).drop_vars("ambiguity")
    assert np.isfinite(xoffset.screen(shifts).dx).all()
    with pytest.raises(ValueError, match="Leave ambiguity out"):
        xoffset.screen(shifts, ambiguity=0.2)


@pytest.mark.parametrize("chunks", [{"y": 7, "x": 31}, {"y": 30, "x": 23}])
def test_joint_evidence_has_the_same_bits_for_any_chunks(chunks):
    shifts = weak(4)[0]
    whole = xoffset.screen(shifts)
    pieces = xoffset.screen(shifts.chunk(chunks))
    xr.testing.assert_equal(pieces.compute(), whole)
    assert pieces.dx.chunksizes["x"][0] == chunks["x"]


def test_matches_nearer_than_what_is_tied_are_no_evidence():
    shifts = planted(1e-3, 0.0)
    assert np.isfinite(xoffset.screen(shifts).dx).all()
    for tied, share in ((0.0, 1.0), (float(shifts.window_size), 1.0), (1e4, 0.0), (np.inf, 0.0)):
        screened = xoffset.screen(shifts.assign_coords(tied_size=tied))
        assert float(np.isfinite(screened.dx).mean()) == share
        # of pairs that were joined the largest counts
        two = xr.concat([shifts.assign_coords(tied_size=each) for each in (0.0, tied)], "pair", coords=["tied_size"])
        assert two.tied_size.dims == ("pair",)
        assert float(np.isfinite(xoffset.screen(two).dx).mean()) == share
    # alone, a hundredth of false_alarm
    for chance, limit, is_kept in ((1e-4, 0.01, True), (2e-4, 0.01, False), (2e-4, 0.05, True), (0.5, 1.0, True)):
        screened = xoffset.screen(planted(chance, 0.0).assign_coords(tied_size=np.inf), false_alarm=limit)
        assert bool(np.isfinite(screened.dx).all()) == is_kept
    # nothing tells the ambiguous ones
    mixed = np.where(np.indices((9, 9)).sum(axis=0) % 2 == 0, 0.4, 1e-3)
    found = xoffset.screen(planted(1e-9, mixed).assign_coords(tied_size=np.inf))
    assert (((found.flags.values[0] & FLAGS["ambiguous"]) > 0) == (mixed > 0.1)).all()
