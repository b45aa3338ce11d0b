"""correct(): planted shifts, ramps, steps and faults come off as they were put in, and nothing else does."""

import json
import logging
import math
from types import SimpleNamespace

import dask
import numpy as np
import pyproj
import pytest
import reference_correction as reference
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._arrays.corrections import edges, robust
from xoffset._blocks import whole
from xoffset._kernels.corrections.normal import normal_equations
from xoffset.correction import traces
from xoffset.model import grids
from xoffset.model.flags import FLAGS

PIXEL, NODES, SIDE = 10.0, 80.0, 110
DIMS = ("pair", "y", "x")
NOISE = 0.10 * PIXEL


class Scene:
    """Shifts with planted errors of the images, motion and noise, and what was planted, all in metres."""

    def __init__(self, seed=0, pairs=2, side=SIDE, *, ramp=0, steps=0.0, tilt=12.0, differ=False, noise=NOISE):
        generator = np.random.default_rng(seed)
        self.generator = generator
        self.y = 5e6 - NODES * np.arange(side)
        self.x = 5e5 + NODES * np.arange(side)
        self.dates = np.datetime64("2020-01-01", "us") + 10 * np.arange(pairs + 1) * np.timedelta64(1, "D")
        self.grid_x, self.grid_y = np.meshgrid(self.x - self.x.mean(), self.y - self.y.mean())
        u, v = self.grid_x / self.grid_x.max(), self.grid_y / self.grid_y.max()
        terms = [np.ones_like(u), u, v, u * u, u * v, v * v][: (1, 3, 6)[ramp]]
        angle = math.radians(tilt)
        self.across = math.cos(angle) * self.grid_x - math.sin(angle) * self.grid_y
        detectors, geometry = [], []
        for k in range(pairs + 1):
            offset = 1100.0 * (k % 2) if differ else 0.0
            detectors.append(np.floor((self.across - self.across.min() + offset) / 2600.0).astype(int) + 1)
            size = np.array([6.0, 3.0, 3.0, 1.5, 1.5, 1.5])[: len(terms), None] * (k > 0 or differ)
            both = np.tensordot(size * generator.standard_normal((len(terms), 2)), np.stack(terms), (0, 0))
            both = both + steps * (k > 0 or differ) * generator.standard_normal((2, 12))[:, detectors[-1]]
            geometry.append(both)
        self.planted = np.stack([geometry[k] - geometry[0] for k in range(1, pairs + 1)])
        self.detectors = xr.DataArray(
            np.array(detectors, "uint8"), dims=("time", "y", "x"), coords={"time": self.dates, "y": self.y, "x": self.x}
        )
        self.moved = np.zeros((2, side, side))
        self.still = np.ones((side, side), bool)
        self.noise = noise * generator.standard_normal(self.planted.shape)
        self.sigma = noise

    def landslide(self, peak):
        inside = np.clip(1.0 - (self.grid_x / 1000.0) ** 2 - (self.grid_y / 700.0) ** 2, 0.0, None)
        shape = 1.0 - (1.0 - inside**2) ** 2
        self.moved += peak * np.array([0.8, -0.6])[:, None, None] * shape
        self.still &= shape == 0.0
        return self

    def fault(self, offset, strike=30.0, depth=40.0):
        angle = math.radians(strike)
        self.distance = math.cos(angle) * self.grid_x - math.sin(angle) * self.grid_y
        shape = np.arctan(self.distance / depth) / np.pi
        self.moved += offset * np.array([math.sin(angle), math.cos(angle)])[:, None, None] * shape
        reach = 20e3 * np.array([math.sin(angle), math.cos(angle)])
        middle = np.array([self.x.mean(), self.y.mean()])
        self.trace = [tuple(middle - reach), tuple(middle + reach)]
        return self

    def map(self, values):
        return xr.DataArray(values, dims=("y", "x"), coords={"y": self.y, "x": self.x})

    @property
    def stable(self):
        return self.map(self.still)

    def pairs(self, ends, beside):
        """Shifts of ground that stands still, of pairs of images that lie so many metres beside the first."""
        noise = np.random.default_rng(5).standard_normal((2, len(beside), *self.still.shape))
        noise[0] += beside[:, None, None]
        dx, dy = noise[:, ends[:, 1]] - noise[:, ends[:, 0]]
        sigma = np.full(dx.shape, np.sqrt(2.0))
        data = {"dx": (DIMS, dx), "dy": (DIMS, dy), "sigma_dx": (DIMS, sigma), "sigma_dy": (DIMS, sigma)}
        self.dates = np.datetime64("2020-01-01T10:00", "us") + np.arange(len(beside)) * np.timedelta64(20, "D")
        dates = {"reference": ("pair", self.dates[ends[:, 0]]), "secondary": ("pair", self.dates[ends[:, 1]])}
        return xr.Dataset(data, coords={"y": self.y, "x": self.x} | dates)

    @property
    def shifts(self):
        values = (self.planted + self.moved + self.noise).astype("float32")
        data = {"dx": (DIMS, values[:, 0]), "dy": (DIMS, values[:, 1])}
        data |= {f"sigma_{name}": (DIMS, np.full(values[:, 0].shape, max(self.sigma, 0.01), "f4")) for name in data}
        data["flags"] = (DIMS, np.zeros(values[:, 0].shape, "int64"))
        ends = {"reference": ("pair", np.repeat(self.dates[:1], len(values))), "secondary": ("pair", self.dates[1:])}
        return xr.Dataset(data, coords={"y": self.y, "x": self.x} | ends)

    def missed(self, corrected):
        """Removed less planted [pixel] (pair, component, y, x)."""
        return (np.stack([corrected.removed_dx, corrected.removed_dy], axis=1) - self.planted) / PIXEL

    def left(self, corrected):
        """Corrected shifts less the motion [pixel]."""
        return (np.stack([corrected.dx, corrected.dy], axis=1) - self.moved) / PIXEL


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


# --------------------------------------------------------------------------------------------------------- truth


@pytest.mark.parametrize("order", [0, 1, 2])
def test_ramps_and_steps_come_off_to_a_hundredth_of_a_pixel(order):
    scene = Scene(order, ramp=order, steps=0.8).landslide(5.4)
    corrected = xoffset.correct(scene.shifts, stable=scene.stable, order=order, stripes=scene.detectors[0])
    assert rms(scene.missed(corrected)) < 0.01
    assert rms(scene.left(corrected)[:, :, scene.still]) <= 0.11
    assert (corrected.order == order).all()
    assert not corrected.flags.any()


def test_steps_of_images_from_two_orbits_come_off():
    scene = Scene(3, ramp=1, steps=0.8, differ=True)
    corrected = xoffset.correct(scene.shifts, stable=scene.stable, order=1, stripes=scene.detectors)
    assert rms(scene.missed(corrected)) < 0.01


def test_without_their_stripes_steps_stay():
    scene = Scene(4, steps=0.8)
    corrected = xoffset.correct(scene.shifts, stable=scene.stable)
    assert rms(scene.missed(corrected)) > 0.03


@pytest.mark.parametrize("tilt", [12.0, -14.0, 0.0])
def test_edges_of_stripes_are_found(tilt):
    scene = Scene(5, ramp=1, steps=0.8, tilt=tilt).landslide(5.4)
    corrected = xoffset.correct(scene.shifts, stable=scene.stable, order=1, stripes="auto")
    assert rms(scene.missed(corrected)) < 0.015
    assert rms(scene.left(corrected)[:, :, scene.still]) <= 0.11


def test_where_there_are_no_edges_none_are_found():
    scene = Scene(6, ramp=2)
    rows = [(np.arange(SIDE**2), noise.ravel()) for pair in scene.noise for noise in pair]
    found = edges.found(rows, np.ones(len(rows)), scene.grid_x.ravel(), scene.grid_y.ravel(), NODES)
    assert not np.isfinite(found[1:]).any()
    plain = xoffset.correct(scene.shifts, stable=scene.stable, order=2)
    corrected = xoffset.correct(scene.shifts, stable=scene.stable, order=2, stripes="auto")
    np.testing.assert_allclose(corrected.removed_dx, plain.removed_dx, atol=1e-3)


@pytest.mark.parametrize(("ramp", "order"), [(1, 1), (0, "auto"), (1, "auto"), (2, "auto")])
def test_a_landslide_keeps_its_peak(ramp, order):
    scene = Scene(7, ramp=ramp).landslide(5.4)
    corrected = xoffset.correct(scene.shifts, stable=scene.stable, order=order)
    assert (corrected.order == ramp).all()
    peak = np.hypot(*scene.moved) > 5.0
    length = np.hypot(corrected.dx.mean("pair"), corrected.dy.mean("pair")).values[peak].mean()
    assert length == pytest.approx(np.hypot(*scene.moved)[peak].mean(), rel=0.05)
    assert rms(scene.missed(corrected)) < 0.01
    assert rms(scene.left(corrected)[:, :, scene.still]) <= 0.11


def across(scene, values):
    """Mean of the far side to the right of the fault less that of the other, along its strike."""
    far = np.abs(scene.distance) > scene.distance.max() / 3.0
    strike = np.array([math.sin(math.radians(30.0)), math.cos(math.radians(30.0))])
    along = np.tensordot(strike, values, (0, 0))
    return along[far & (scene.distance > 0.0)].mean() - along[far & (scene.distance < 0.0)].mean()


@pytest.mark.parametrize(("order", "side", "depth"), [(0, 40, 40.0), (1, 30, 40.0), (1, 60, 300.0), (2, 60, 40.0)])
def test_the_offset_of_a_fault_stays_if_its_trace_is_given(order, side, depth):
    scene = Scene(8, ramp=order, side=side).fault(20.0, depth=depth)
    corrected = xoffset.correct(scene.shifts, order=order, trace=scene.trace)
    for pair in range(2):
        found = across(scene, np.stack([corrected.dx[pair], corrected.dy[pair]]))
        assert found == pytest.approx(across(scene, scene.moved), rel=0.05)
    assert rms(scene.missed(corrected)) < 0.03
    assert (corrected.flags == FLAGS["unreferenced"]).all()
    assert (corrected.sigma_shift < 2.0 * NOISE).all()


def test_without_its_trace_what_a_fault_loses_is_in_what_was_removed():
    scene = Scene(9, ramp=1, side=60).fault(20.0)
    corrected = xoffset.correct(scene.shifts, order=1)
    kept = across(scene, np.stack([corrected.dx[0], corrected.dy[0]]))
    lost = across(scene, np.stack([corrected.removed_dx[0], corrected.removed_dy[0]]) - scene.planted[0])
    assert kept < 0.5 * across(scene, scene.moved)
    assert kept + lost == pytest.approx(across(scene, scene.moved), rel=0.02)


def test_stable_ground_on_one_side_of_a_fault_is_the_zero():
    scene = Scene(10, side=60).fault(20.0)
    far = scene.map(scene.distance < -1500.0)
    corrected = xoffset.correct(scene.shifts, stable=far, trace=scene.trace)
    assert abs(float(corrected.dx.values[:, far.values].mean())) < 0.05 * PIXEL
    assert across(scene, np.stack([corrected.dx[0], corrected.dy[0]])) == pytest.approx(
        across(scene, scene.moved), rel=0.02
    )


EVENT = "2020-04-01"
WAY = np.array([math.sin(math.radians(120.0)), math.cos(math.radians(120.0))])
SEEDS = range(10)


@pytest.fixture(scope="module")
def quakes():
    """Shifts over an earthquake in images that lie beside each other and have clouds, the truth, and the trace."""
    dates, found = ["2020-01-01", "2020-02-01", "2020-05-01", "2020-06-01"], []
    for seed in SEEDS:
        stack, truth = synthetic.stack(
            (208, 208), dates=dates, field="fault", velocity=0.0, step=6.0, step_date=EVENT, misregistration=2.0,
            clouds=0.03, snr=10.0, seed=seed,
        )  # fmt: skip
        network = xoffset.pairs(stack, split=EVENT)
        shifts = xoffset.screen(xoffset.correlate(stack, network, search=6, mask=~truth.cloud))
        moved = truth.isel(time=-1).interp(x=shifts.x, y=shifts.y)[["dx", "dy"]].compute()
        middle = np.array([float(stack.x.mean()), float(stack.y.mean())])
        trace = np.array([middle - 800.0 * WAY, middle + 800.0 * WAY])
        side = shifts.dx[0].drop_vars(["reference", "secondary"]).copy(data=traces.across(trace, shifts))
        found.append((shifts, moved, trace, side))
    return found


def slipped(displacement, side):
    """Motion of the far ground on one side of a fault less that on the other, along x and y."""
    far = [displacement[["dx", "dy"]].where(beside > 400.0).mean() for beside in (side, -side)]
    return np.array([float(far[0][name] - far[1][name]) for name in ("dx", "dy")])


def in_errors(found, moved, side):
    """Errors of the far ground in units of their standard errors, of both components."""
    ratio = [((found[name] - moved[name]) / found[f"sigma_{name}"]).where(abs(side) > 400.0) for name in ("dx", "dy")]
    return np.concatenate([each.values[np.isfinite(each)] for each in ratio])


def nmad_of(ratios):
    return 1.4826 * np.median(np.abs(ratios))


def test_earthquakes_are_told_to_two_percent_and_keep_to_their_errors(quakes):
    """Far ground masked, and the trace given: the zero lies halfway between both sides."""
    ratios = []
    for shifts, moved, trace, side in quakes:
        corrected = xoffset.correct(shifts, stable=abs(side) > 400.0, trace=trace, min_nodes=50)
        found = xoffset.coseismic(corrected, EVENT)
        length, true = (np.hypot(each.dx, each.dy).where(abs(side) > 400.0).median() for each in (found, moved))
        assert float(length) == pytest.approx(float(true), rel=0.02)
        assert np.hypot(*(slipped(found, side) - slipped(moved, side))) < 0.02 * np.hypot(*slipped(moved, side))
        ratios.append(in_errors(found, moved, side))
        assert 0.6 < nmad_of(ratios[-1]) < 1.4
    assert 0.8 < nmad_of(np.concatenate(ratios)) < 1.25
    assert np.mean(np.abs(np.concatenate(ratios)) > 3.0) < 0.01


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_an_earthquake_counts_from_the_side_that_is_masked(quakes, sign):
    """The far ground of one side alone, and no trace."""
    ratios = []
    for shifts, moved, _, side in quakes[:3]:
        found = xoffset.coseismic(xoffset.correct(shifts, stable=sign * side > 400.0, min_nodes=50), EVENT)
        assert np.hypot(*(slipped(found, side) - slipped(moved, side))) < 0.02 * np.hypot(*slipped(moved, side))
        moved = moved - moved.where(sign * side > 400.0).mean()
        ratios.append(in_errors(found, moved, side))
        moving = found.where(-sign * side > 400.0).median()
        assert math.hypot(moving.dx, moving.dy) == pytest.approx(np.hypot(*slipped(moved, side)), rel=0.02)
    assert 0.7 < nmad_of(np.concatenate(ratios)) < 1.25


def test_two_sides_that_part_are_no_zero_without_their_trace(quakes, caplog):
    """The far ground of both sides, and no trace: the offset stays, and it is said that this is no stable ground."""
    for shifts, moved, _, side in quakes[:3]:
        with caplog.at_level(logging.WARNING):
            corrected = xoffset.correct(shifts, stable=abs(side) > 400.0, min_nodes=50)
        assert "Is it stable?" in caplog.text
        caplog.clear()
        found = xoffset.coseismic(corrected, EVENT)
        assert np.hypot(*(slipped(found, side) - slipped(moved, side))) < 0.02 * np.hypot(*slipped(moved, side))
        for name in ("dx", "dy"):
            assert (corrected[f"sigma_ratio_{name}"] > 5.0).all()


# ------------------------------------------------------------------------------------------- what the result says


def test_a_shift_is_the_median_on_stable_ground():
    scene = Scene(11).landslide(30.0)
    shifts = scene.shifts
    corrected = xoffset.correct(shifts, stable=scene.stable)
    for name in ("dx", "dy"):
        on_stable = shifts[name].values[:, scene.still]
        median = np.median(on_stable.astype("float64"), axis=1)
        np.testing.assert_allclose(
            corrected[f"removed_{name}"].values, np.broadcast_to(median[:, None, None], shifts.dx.shape), rtol=1e-6
        )
        np.testing.assert_allclose(corrected[f"median_before_{name}"], median, rtol=1e-6)
        np.testing.assert_allclose(corrected[f"median_after_{name}"], 0.0, atol=1e-5)
        spread = 1.4826 * np.median(np.abs(on_stable - median[:, None]), axis=1)
        np.testing.assert_allclose(corrected[f"nmad_after_{name}"], spread, rtol=1e-4)
        np.testing.assert_allclose(corrected[f"sigma_ratio_{name}"], spread / NOISE, rtol=1e-4)
    assert (corrected.n_stable == scene.still.sum()).all()
    step = json.loads(corrected.attrs["processing"])[-1]
    assert (step["function"], step["order"], step["stable"]) == ("correct", 0, True)


def test_corrected_plus_removed_are_the_shifts_that_were_given():
    scene = Scene(12, ramp=2, steps=0.5)
    shifts = scene.shifts
    once = xoffset.correct(shifts, stable=scene.stable, order=0)
    twice = xoffset.correct(once, stable=scene.stable, order=2, stripes=scene.detectors[0])
    for corrected in (once, twice):
        for name in ("dx", "dy"):
            np.testing.assert_allclose(corrected[name] + corrected[f"removed_{name}"], shifts[name], atol=3e-6)
    direct = xoffset.correct(shifts, stable=scene.stable, order=2, stripes=scene.detectors[0])
    np.testing.assert_allclose(twice.removed_dx, direct.removed_dx, atol=2e-2)


@pytest.mark.parametrize("window", [1, 4])
def test_the_standard_error_of_the_shift_holds(window):
    """Of errors that neighbours share as well."""
    generator = np.random.default_rng(13)
    pairs, side = 60, 60
    noise = generator.standard_normal((pairs, 2, side + window - 1, side + window - 1))
    noise = np.lib.stride_tricks.sliding_window_view(noise, (window, window), axis=(2, 3)).mean(axis=(4, 5))
    scene = Scene(13, pairs=pairs, side=side)
    scene.noise = 2.0 * window * noise
    corrected = xoffset.correct(scene.shifts, stable=scene.stable)
    error = PIXEL * scene.missed(corrected)[:, :, 0, 0] / corrected.sigma_shift.values[:, None]
    assert 0.8 < rms(error) < 1.25


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_order_is_told_from_the_data(order):
    scene = Scene(14 + order, ramp=order, pairs=3)
    corrected = xoffset.correct(scene.shifts, stable=scene.stable, order="auto")
    assert (corrected.order == order).all()


@pytest.mark.parametrize("chunks", [{"pair": 1, "y": 40, "x": 33}, {"pair": 2, "y": 17, "x": 70}])
def test_chunks_change_no_bit(chunks):
    scene = Scene(20, side=70, ramp=1, steps=0.5, differ=True).fault(10.0)
    scene.noise[:, :, 30:40, 20:50] = np.nan
    dem = scene.map(300.0 + 0.05 * scene.grid_x + 50.0 * np.sin(scene.grid_y / 900.0))
    options = {
        "given": {"stripes": scene.detectors, "order": 1},
        "found": {"stripes": "auto", "order": 1},
        "trace": {"trace": scene.trace, "order": "auto", "dem": dem},
    }
    for each in options.values():
        eager = xoffset.correct(scene.shifts, stable=scene.stable, **each)
        some = {
            name: value.chunk(y=30, x=30) if isinstance(value, xr.DataArray) else value for name, value in each.items()
        }
        lazy = xoffset.correct(scene.shifts.chunk(chunks), stable=scene.stable.chunk(y=20), **some)
        assert all(dask.is_dask_collection(lazy[name].data) for name in ("dx", "removed_dy", "flags", "sigma_shift"))
        xr.testing.assert_identical(lazy.compute(), eager)


# ----------------------------------------------------------------------------------------------------- no stable ground


def test_without_stable_ground_the_mode_of_the_field_is_the_shift():
    scene = Scene(21)
    # 40 % of the ground moves, which drags a median along
    scene.moved[:, :, : int(0.4 * SIDE)] += np.linspace(8.0, 30.0, SIDE)[:, None]
    shifts = scene.shifts
    corrected = xoffset.correct(shifts)
    assert np.abs(scene.missed(corrected)).max() < 0.1
    assert abs(float(shifts.dx[0].median()) - scene.planted[0, 0, 0, 0]) > 0.2 * NOISE
    assert (corrected.flags == FLAGS["unreferenced"]).all()
    # any of the motions of the field may be the error
    assert (corrected.sigma_shift > 2.0).all()
    again = xoffset.correct(corrected, stable=scene.map(scene.grid_x > 0.0))
    assert not again.flags.any()


def test_too_little_stable_ground_leaves_a_pair_as_it_is(caplog):
    scene = Scene(22)
    few = np.zeros_like(scene.still)
    few[:2, :5] = True
    shifts = scene.shifts
    with caplog.at_level(logging.WARNING):
        corrected = xoffset.correct(shifts, stable=scene.map(few))
    assert "too little stable ground" in caplog.text
    np.testing.assert_array_equal(corrected.dx, shifts.dx)
    assert (corrected.removed_dx == 0.0).all()
    assert (corrected.flags == FLAGS["not_corrected"]).all()
    assert (corrected.n_stable == 10).all()
    # the shift is still there, as an error
    planted = np.sqrt(0.5 * (scene.planted[:, :, 0, 0] ** 2).sum(axis=1))
    np.testing.assert_allclose(corrected.sigma_shift, planted, atol=1.0)
    assert not xoffset.correct(shifts, stable=scene.map(few), min_nodes=10, min_share=0.0).flags.any()
    # enough of them, but no share of the scene that could stand for it
    assert (xoffset.correct(shifts, stable=scene.map(few), min_nodes=10, min_share=0.01).flags != 0).all()


def test_clouds_over_the_stable_ground_of_one_pair():
    scene = Scene(23)
    shifts = scene.shifts
    shifts["dx"][1, :, :100] = np.nan
    stable = scene.map(scene.grid_x < 0.0)
    corrected = xoffset.correct(shifts, stable=stable)
    not_corrected = (corrected.flags & FLAGS["not_corrected"]) != 0
    assert not_corrected.all(("y", "x")).values.tolist() == [False, True]
    assert not corrected.flags[0].any()
    assert corrected.n_stable[1] == 0
    assert np.isnan(corrected.sigma_shift[1])
    assert np.isnan(corrected.median_before_dx[1])


def test_a_shift_that_is_too_long_is_not_taken_off():
    scene = Scene(24)
    length = np.hypot(*scene.planted[:, :, 0, 0].T)
    limit = float(length.mean())
    corrected = xoffset.correct(scene.shifts, stable=scene.stable, max_shift=limit)
    is_left = length > limit
    assert is_left.any()
    assert not is_left.all()
    np.testing.assert_array_equal((corrected.flags == FLAGS["not_corrected"]).all(("y", "x")), is_left)
    assert (corrected.removed_dx.values[is_left] == 0.0).all()


@pytest.mark.parametrize("share", [0.5, 0.62])
def test_two_sides_that_move_apart_are_no_better_known_than_they_differ(share, caplog):
    """The median lies on one of them, and one component of one pair shows it."""
    scene = Scene(26)
    side = np.where(scene.grid_x < np.quantile(scene.grid_x, share), -20.0, 20.0)
    still = xoffset.correct(scene.shifts, stable=scene.stable)
    shifts = scene.shifts.copy(deep=True)
    shifts["dx"][0] += side
    with caplog.at_level(logging.WARNING):
        corrected = xoffset.correct(shifts, stable=scene.stable)
    assert ("in 1 of 2 pairs" in caplog.text) == (share == 0.5)
    # root mean square of both components, of which one moves
    assert corrected.sigma_shift[0] > 0.9 * 20.0 / np.sqrt(2.0)
    np.testing.assert_array_equal(corrected.sigma_shift[1:], still.sigma_shift[1:])


def test_ground_that_moves_is_told_by_its_spread(caplog):
    scene = Scene(25)
    scene.moved += 20.0 * np.sin(scene.grid_x / 1500.0)
    with caplog.at_level(logging.WARNING):
        corrected = xoffset.correct(scene.shifts, stable=scene.stable)
    assert (corrected.sigma_ratio_dx > 5.0).all()
    assert "Is it stable?" in caplog.text


def test_a_mask_that_is_true_nowhere_is_refused():
    scene = Scene(26, side=20)
    with pytest.raises(ValueError, match=r"correct\(\) needs stable to be True on at least one node"):
        xoffset.correct(scene.shifts, stable=scene.map(~scene.still))


def test_what_a_correction_left_does_not_move_what_is_made_of_it(caplog):
    """Clouds lie over the stable ground of all pairs that lead to the image that lies beside the others."""
    scene = Scene(28, side=40)
    ends = np.array([(0, 1), (0, 2), (1, 2), (2, 3), (3, 4)])
    shifts = scene.pairs(ends, 5.0 * (np.arange(5) >= 3))
    stable = scene.map(scene.grid_x < 0.0)
    shifts["dx"][3] = shifts.dx[3].where(~stable)
    corrected = xoffset.correct(shifts, stable=stable, min_nodes=50)
    assert corrected.is_corrected.values.tolist() == [1, 1, 1, 0, 1]
    for data in (corrected, corrected.chunk({"y": 15})):
        with caplog.at_level(logging.WARNING):
            series = xoffset.invert(data, reference=scene.dates[0]).compute()
        assert "1 of 5 pairs were not corrected" in caplog.text
        caplog.clear()
        assert abs(series.dx[:3].mean(("y", "x"))).max() < 0.3
        assert np.isnan(series.dx[3:]).all()
        assert ((series.flags[3:] & FLAGS["disconnected"]) != 0).all()
    # so do pairs whose shift is too long to take off
    limited = xoffset.correct(scene.pairs(ends, 5.0 * (np.arange(5) >= 3)), stable=stable, min_nodes=50, max_shift=4.0)
    assert limited.is_corrected.values.tolist() == [1, 1, 1, 0, 1]
    assert np.isnan(xoffset.invert(limited, reference=scene.dates[0]).dx[3:]).all()
    # once it is corrected it takes part
    again = xoffset.correct(limited, stable=stable, min_nodes=50)
    assert (again.is_corrected == 1).all()
    assert not again.flags.any()
    assert abs(xoffset.invert(again, reference=scene.dates[0]).dx.mean(("y", "x"))).max() < 0.3


# ---------------------------------------------------------------------------------------------------------------- order


def test_an_order_that_the_ground_cannot_carry_is_refused():
    scene = Scene(27, ramp=2)
    corner = scene.map((scene.grid_x < -3000.0) & (scene.grid_y > 3000.0))
    with pytest.raises(ValueError, match=r"carry a ramp of order 2.*no more than order [01].*lower the order"):
        xoffset.correct(scene.shifts, stable=corner, order=2, min_nodes=50)
    lazy = xoffset.correct(scene.shifts.chunk(y=50), stable=corner, order=2, min_nodes=50)
    with pytest.raises(ValueError, match="carry a ramp"):
        lazy.compute()
    # of a line of nodes no ramp follows across it
    line = scene.map(np.abs(scene.grid_y) < NODES)
    with pytest.raises(ValueError, match="no more than order 0"):
        xoffset.correct(scene.shifts, stable=line, order=1, min_nodes=50)


def test_a_plane_is_taken_as_far_as_the_ground_carries_it(caplog):
    scene = Scene(27, ramp=1)
    line = scene.map(np.abs(scene.grid_y) < NODES)
    with caplog.at_level(logging.WARNING):
        shifted = xoffset.correct(scene.shifts, stable=line, order="plane", min_nodes=50)
    assert (shifted.order == 0).all()
    assert "cannot carry a ramp of order 1" in caplog.text
    order_0 = xoffset.correct(scene.shifts, stable=line, order=0, min_nodes=50)
    xr.testing.assert_allclose(shifted.dx, order_0.dx, atol=0.1)
    # everywhere it is that of order 1
    flat, plane = (
        xoffset.correct(scene.shifts, stable=scene.stable, order=each, min_nodes=50) for each in (1, "plane")
    )
    xr.testing.assert_equal(flat, plane)
    with pytest.raises(ValueError, match=r"correct\(\) needs order 0, 1, 2, 'plane' or 'auto'; got 'flat'"):
        xoffset.correct(scene.shifts, stable=line, order="flat")


def test_a_pair_with_less_ground_takes_a_lower_order(caplog):
    scene = Scene(28, ramp=1)
    shifts = scene.shifts
    shifts["dx"][1] = shifts.dx[1].where((scene.grid_x < -3000.0) & (scene.grid_y > 3000.0))
    with caplog.at_level(logging.WARNING):
        corrected = xoffset.correct(shifts, stable=scene.stable, order=2, min_nodes=50)
    assert corrected.order.values.tolist()[0] == 2
    assert corrected.order.values.tolist()[1] < 2
    assert "cannot carry a ramp of order 2" in caplog.text


# -------------------------------------------------------------------------------------------------------------- stripes


def test_nodes_without_a_detector_and_stripes_without_stable_ground_are_flagged():
    scene = Scene(29, steps=0.8)
    stripes = scene.detectors[0].copy()
    stripes[40:50, 40:50] = 0
    last = int(stripes.max())
    stable = scene.map(scene.still & (stripes.values != last))
    corrected = xoffset.correct(scene.shifts, stable=stable, stripes=stripes)
    expected = (stripes == 0) | (stripes == last)
    np.testing.assert_array_equal(corrected.flags[0] == FLAGS["not_corrected"], expected)
    assert rms(scene.missed(corrected)[:, :, ~expected.values]) < 0.01
    # the shift was taken off all the same
    assert np.abs(scene.missed(corrected)).max() < 0.3
    # the steps are still in it after another correction
    for data in (corrected, corrected.chunk({"y": 30})):
        again = xoffset.correct(data, stable=stable, order=1)
        np.testing.assert_array_equal(again.flags, corrected.flags)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda d: d.isel(time=[0]), ValueError, "stripes of every date.*got none of 2.*xoffset.detectors"),
        (lambda d: d.astype("float32"), TypeError, "whole numbers as stripes"),
        (lambda d: d.assign_coords(x=d.x + 1e6), ValueError, "needs stripes where the stack is"),
        (lambda d: 0 * d, ValueError, "numbered from 1"),
        (lambda d: d + 60, ValueError, "numbered from 1 to 32"),
        (lambda d: d.rename(time="band"), ValueError, r"stripes with dims"),
        (lambda d: "found", ValueError, "needs stripes 'auto'"),
    ],
)
def test_stripes_that_cannot_be_are_refused(change, error, message):
    scene = Scene(30, side=40)
    with pytest.raises(error, match=rf"correct\(\) needs .*{message}|correct\(\) .*{message}"):
        xoffset.correct(scene.shifts, stable=scene.stable, stripes=change(scene.detectors))


# ---------------------------------------------------------------------------------------------------------------- trace


def test_the_side_of_a_trace_is_that_of_the_slow_twin():
    scene = Scene(31, side=12)
    middle = np.array([scene.x.mean(), scene.y.mean()])
    line = middle + np.array([[-300.0, -200.0], [0.0, -100.0], [60.0, 140.0], [250.0, 330.0]])
    found = traces.across(line, scene.shifts)
    for row, y in enumerate(scene.y):
        for column, x in enumerate(scene.x):
            expected = reference.side_of(line, x, y)
            assert np.sign(found[row, column]) == np.sign(expected)
            assert found[row, column] == pytest.approx(expected, abs=1e-3)


def test_a_trace_comes_as_vertices_file_mapping_or_shape(tmp_path):
    scene = Scene(32, side=40).fault(10.0)
    crs = pyproj.CRS("EPSG:32632")
    shifts = scene.shifts.assign_coords(spatial_ref=grids.spatial_ref(crs))
    expected = traces.across(scene.trace, shifts)
    stated = {"type": "name", "properties": {"name": "EPSG:32632"}}
    metres = {"type": "LineString", "coordinates": [[*vertex, 0.0] for vertex in scene.trace], "crs": stated}
    turned = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
    degrees = {"type": "LineString", "coordinates": [list(turned.transform(*vertex)) for vertex in scene.trace]}
    collection = {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": degrees}]}
    path = tmp_path / "trace.geojson"
    path.write_text(json.dumps(collection))

    line = {"type": "LineString", "coordinates": tuple(scene.trace)}
    shape = SimpleNamespace(__geo_interface__=line)
    for trace in (np.array(scene.trace), metres, degrees, path, str(path), shape):
        np.testing.assert_allclose(
            traces.across(trace, shifts), expected, atol=40.0
        )  # over 40 km a line of degrees is no straight one


@pytest.mark.parametrize(
    ("trace", "error", "message"),
    [
        ([(0.0, 0.0), (1e5, 1e5)], ValueError, "a trace that crosses the grid"),
        ([(5e5, 5e6)], ValueError, "two or more finite vertices"),
        ([(5.01e5, 4.999e6)] * 2, ValueError, "two different vertices"),
        ("nowhere.geojson", FileNotFoundError, "there is none at"),
        ({"type": "Polygon", "coordinates": []}, ValueError, "one line as trace"),
        (7.0, TypeError, "a file of GeoJSON, a GeoJSON object"),
    ],
)
def test_traces_that_cannot_be_are_refused(trace, error, message):
    scene = Scene(33, side=20)
    with pytest.raises(error, match=rf"correct\(\) needs .*{message}"):
        xoffset.correct(scene.shifts, trace=trace)


# ------------------------------------------------------------------------------------------------------------ elevation


def hills(scene):
    return 800.0 + 300.0 * np.sin(scene.grid_x / 700.0) * np.cos(scene.grid_y / 900.0) + 0.03 * scene.grid_x


def test_a_polynomial_in_elevation_comes_off():
    scene = Scene(34, ramp=1)
    height = (hills(scene) - 800.0) / 300.0
    scene.planted = scene.planted + np.stack([2.0 * height + 0.5 * height**2, -height])
    corrected = xoffset.correct(scene.shifts, stable=scene.stable, order=1, dem=scene.map(hills(scene)))
    assert rms(scene.missed(corrected)) < 0.01
    # hardly farther than the stable ground goes: above it that of its highest place, and of a tenth of its range more
    is_low = hills(scene) < 900.0
    beyond = xoffset.correct(scene.shifts, stable=scene.map(is_low), order=1, dem=scene.map(hills(scene)))
    kept = np.minimum(height, height[is_low].max() + 0.1 * np.ptp(height[is_low]))
    above = np.stack([2.0 * (height - kept) + 0.5 * (height**2 - kept**2), kept - height])
    assert np.abs(scene.missed(beyond)).max() > 0.15
    assert rms(scene.missed(beyond) + above / PIXEL) < 0.02


def test_elevations_of_another_crs_are_laid_on_the_nodes():
    scene = Scene(35, ramp=1, side=60)
    shifts = scene.shifts.assign_coords(spatial_ref=grids.spatial_ref(pyproj.CRS("EPSG:32632")))
    turn = pyproj.Transformer.from_crs(32632, 32633, always_xy=True)
    corners = np.array(turn.transform(*np.meshgrid(scene.x[[0, -1]], scene.y[[0, -1]])))
    low, high = corners.reshape(2, -1).min(axis=1) - 500.0, corners.reshape(2, -1).max(axis=1) + 500.0
    x, y = np.arange(low[0], high[0], 20.0), np.arange(high[1], low[1], -20.0)
    back = pyproj.Transformer.from_crs(32633, 32632, always_xy=True).transform(*np.meshgrid(x, y))
    scene.grid_x, scene.grid_y = back[0] - scene.x.mean(), back[1] - scene.y.mean()
    other = xr.DataArray(hills(scene), dims=("y", "x"), coords={"y": y, "x": x})
    other = other.assign_coords(spatial_ref=grids.spatial_ref(pyproj.CRS("EPSG:32633")))
    scene.grid_x, scene.grid_y = np.meshgrid(scene.x - scene.x.mean(), scene.y - scene.y.mean())
    same = xoffset.correct(shifts, stable=scene.stable, dem=scene.map(hills(scene)))
    turned = xoffset.correct(shifts, stable=scene.stable, dem=other)
    np.testing.assert_allclose(turned.removed_dx, same.removed_dx, atol=0.02 * PIXEL)
    with pytest.raises(ValueError, match=r"correct\(\) needs dem where the stack is"):
        xoffset.correct(shifts, stable=scene.stable, dem=other.assign_coords(x=x + 1e6))


def test_where_the_elevation_is_unknown_the_rest_comes_off():
    """Holes are NaN, or a number that stands for no data, which nobody declared."""
    scene = Scene(36, side=60)
    dem = hills(scene)
    dem[10:20, 10:30] = np.nan
    corrected = xoffset.correct(scene.shifts, stable=scene.stable, dem=scene.map(dem))
    np.testing.assert_array_equal(corrected.flags[1] == FLAGS["not_corrected"], np.isnan(dem))
    for hole, dtype in ((-9999.0, float), (-32768, "int16"), (32767, "int16"), (9.97e36, float), (-1e5, "float32")):
        rounded = np.round(dem)
        told = scene.map(np.where(np.isnan(dem), hole, rounded).astype(dtype))
        expected = xoffset.correct(scene.shifts, stable=scene.stable, dem=scene.map(rounded))
        for each in (told, told.chunk(x=17)):
            found = xoffset.correct(scene.shifts, stable=scene.stable, dem=each)
            np.testing.assert_array_equal(found.flags, expected.flags)
            np.testing.assert_allclose(found.dx, expected.dx, atol=1e-4)
    assert np.abs(scene.missed(corrected)).max() < 0.1


# ----------------------------------------------------------------------------------------------------------- slow twins


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 33])
def test_the_mode_of_vectors_equals_its_slow_twin(size):
    generator = np.random.default_rng(size)
    for values in (generator.standard_normal((2, size)), generator.integers(0, 4, (2, size)).astype(float)):
        assert robust.mode_of_vectors(*values) == pytest.approx(reference.mode_of_vectors(*values), abs=1e-12)


@pytest.mark.parametrize("kinds", [0, 1, 2])
def test_normal_equations_equal_their_slow_twin(kinds):
    generator = np.random.default_rng(kinds)
    dense = generator.standard_normal((50, 3))
    weight, value = generator.random(50) * (generator.random(50) > 0.2), generator.standard_normal(50)
    steps = generator.integers(0, 4, (kinds, 50))
    signs = np.array([1.0, -1.0])[:kinds]
    out = np.empty((3 + 4 * kinds, 4 + 4 * kinds))
    columns = steps + 3 + 4 * np.arange(kinds)[:, None]
    normal_equations(dense, columns.astype(np.int64), signs, weight, value, out)
    expected = reference.normal_equations(dense, steps, signs, 4, weight, value)
    np.testing.assert_allclose(out, expected, rtol=1e-10, atol=1e-12)


def test_the_robust_fit_equals_its_slow_twin():
    generator = np.random.default_rng(1)
    u, v = generator.uniform(-1.0, 1.0, (2, 400))
    value = 3.0 + 2.0 * u - v + 0.2 * generator.standard_normal(400)
    value[:120] += generator.uniform(3.0, 9.0, 120)
    design = robust.Design(np.stack([np.ones(400), u, v]), (), (), 0, 0)
    found = robust.fit(design, value)
    np.testing.assert_allclose(found.coefficients, reference.tukey(design.dense.T, value), atol=2e-3)
    np.testing.assert_allclose(found.coefficients, [3.0, 2.0, -1.0], atol=0.1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"order": 3}, ValueError, "order 0, 1, 2, 'plane' or 'auto'"),
        ({"order": True}, ValueError, "order 0, 1, 2, 'plane' or 'auto'"),
        ({"min_nodes": 0}, ValueError, "min_nodes"),
        ({"min_share": 2.0}, ValueError, "min_share"),
        ({"max_shift": -1.0}, ValueError, "max_shift"),
        ({"dem": np.zeros((3, 3))}, TypeError, "elevations"),
    ],
)
def test_options_are_checked(options, error, message):
    scene = Scene(37, side=20)
    with pytest.raises(error, match=rf"correct\(\) needs .*{message}"):
        xoffset.correct(scene.shifts, stable=scene.stable, **options)


# -------------------------------------------------------------------------------------------------------------- memory


def test_blocks_of_a_store_are_read_again_and_matches_are_not_computed_again(tmp_path):
    """Otherwise a stored scene would wait in memory for the numbers of the whole, and a lazy one be matched twice."""
    scene = Scene(40, side=40)
    scene.shifts.chunk(y=20, x=20).to_zarr(tmp_path / "shifts.zarr", consolidated=False)
    stored = xr.open_zarr(tmp_path / "shifts.zarr", consolidated=False)
    stack, _ = synthetic.stack((64, 64))
    matched = xoffset.correlate(stack.chunk(time=1, y=32, x=32), xoffset.pairs(stack), template=16, search=3, step=16)
    arrays = [(stored.dx + stored.dy).data, matched.dx.data, scene.shifts.dx.values]
    again = whole.read_anew(arrays)
    assert again[0].name != arrays[0].name
    assert again[1] is arrays[1]
    assert again[2] is arrays[2]
    np.testing.assert_array_equal(again[0].compute(), arrays[0].compute())
    eager = xoffset.correct(scene.shifts, stable=scene.stable)
    xr.testing.assert_identical(xoffset.correct(stored, stable=scene.stable).compute().drop_attrs(), eager.drop_attrs())
