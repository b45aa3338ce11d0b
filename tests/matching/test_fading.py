"""Dense matchers: tiles that fade into each other, whatever the chunks; windows of their own."""

from __future__ import annotations

import dataclasses
import json

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._arrays import lattice as lattices
from xoffset._arrays.matching import crossfade, memory
from xoffset._arrays.matching.crossfade import Part
from xoffset._arrays.matching.protocol import FIELDS, Matcher
from xoffset._blocks import fading
from xoffset.model.flags import FLAGS


@dataclasses.dataclass(frozen=True)
class Means(Matcher):
    """A dense matcher whose values are those of its tile: the mean of all its pixels, and the pixel of the node."""

    window: int = 5
    context: int = 3
    fade: int = 6
    unit: float = 1.0

    def match_tile(self, images, tile, guide, *, pairs, lattice, prefilter):
        shape = [part.stop - part.start for part in tile]
        out = np.empty((len(FIELDS), len(pairs), *shape), dtype=lattice.dtype)
        first = lattice.margin + self.window // 2
        places = np.ix_(*(first + lattice.step * np.arange(count) for count in shape))
        for k, pair in enumerate(pairs):
            known = [images[date] for date in pair[:2]]
            here = known[1][places]
            out[:, k] = np.nanmean(known[0]) - 1000.0 + 0.01 * np.nan_to_num(here)
            if len(guide):
                out[:, k] += guide[2]
            out[:, k] *= self.unit
            is_lost = ~np.isfinite(known[0][places])
            out[[0, 1, 4, 5, 6], k] = np.where(is_lost, np.nan, out[:5, k])
            out[4:6, k] = np.abs(out[4:6, k])
            out[-1, k] = np.where(is_lost, FLAGS["nodata"], 0)
        return out


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(lattices, "FADED_TILE", 40)
    monkeypatch.setattr(lattices, "TILE", 24)


def textured(shape=(150, 131), dates=2, seed=5):
    values = 1000.0 + np.random.default_rng(seed).normal(size=(dates, *shape)).cumsum(axis=1).cumsum(axis=2)
    values[0, 60:75, 40:70] = np.nan
    days = [f"2020-0{k + 1}-01" for k in range(dates)]
    return synthetic.stack(shape, dates=days, field="constant")[0].copy(data=values.astype(np.float32))


OPTIONS = {"matcher": Means(), "search": 2, "prefilter": None}


@pytest.mark.parametrize(
    ("step", "chunks"), [(1, {"y": 37, "x": 200}), (4, {"y": 150, "x": 11}), (7, {"y": (5, 100, 45), "x": 64})]
)
def test_same_bits_whatever_the_chunks(step, chunks):
    stack = textured()
    network = xoffset.pairs(stack)
    options = OPTIONS | {"step": step}
    eager = xoffset.correlate(stack, network, **options)
    lazy = xoffset.correlate(stack.chunk(chunks), network, **options)
    assert not isinstance(lazy.dx.data, np.ndarray)
    xr.testing.assert_identical(lazy.compute(), eager)
    prior = xr.Dataset({"dx": stack[0].drop_vars("time") * 0 + 9.0, "dy": stack[0].drop_vars("time") * 0 + 13.0})
    mask = xr.DataArray(np.indices(stack.shape[1:]).sum(axis=0) % 90 > 4, coords=stack[0].drop_vars("time").coords)
    guided = options | {"prior": prior}
    eager = xoffset.correlate(stack, network, **guided, mask=mask)
    lazy = xoffset.correlate(stack, network, **guided, mask=mask.chunk(x=50))
    assert isinstance(lazy.dx.data, da.Array)
    xr.testing.assert_identical(lazy.compute(), eager)


def test_a_value_is_the_mean_of_those_of_the_tiles_by_the_distance_to_their_edges():
    stack = textured(dates=3)
    # tiles that differ by so little do not contradict each other
    matcher = Means(unit=1e-4)
    options = OPTIONS | {"step": 2, "matcher": matcher}
    request = xoffset.matching.request.prepare(
        stack, xoffset.pairs(stack), xoffset.matching.request.Options(None, 2, 2, matcher, None, None)
    )
    lattice = request.lattice
    assert lattice.fade == 3
    tiles = list(lattice.tiles())
    assert len(tiles) >= 9
    values, weights = [], []
    for tile in tiles:
        nodes = lattice.faded(tile)
        whole = np.full((*request.shape, *lattice.nodes), np.nan)
        weight = np.zeros(lattice.nodes)
        cut = xoffset._blocks.tiles.cut(stack.values, None, (0, 0), nodes, lattice)
        whole[:, :, *nodes] = request.kernel(request.guide.pairs)(cut, nodes, request.guide.fields[:, *nodes])
        for row in range(nodes[0].start, nodes[0].stop):
            for column in range(nodes[1].start, nodes[1].stop):
                share = 1.0
                for at, own, count in ((row, tile[0], lattice.nodes[0]), (column, tile[1], lattice.nodes[1])):
                    for edge, sign in ((own.start, 1), (own.stop, -1)):
                        if 0 < edge < count:
                            rise = min(max((at + 0.5 - edge) / (2 * lattice.fade), 0.0), 1.0)
                            share *= rise if sign > 0 else 1.0 - rise
                weight[row, column] = share
        values.append(whole)
        weights.append(weight)
    np.testing.assert_allclose(sum(weights), 1.0)
    found = xoffset.correlate(stack, xoffset.pairs(stack), **options)
    # the gap of peaks is a plain mean, and is known everywhere
    place = FIELDS.index("peak_gap")
    wanted = sum(np.nan_to_num(each[place]) * weight for each, weight in zip(values, weights, strict=True))
    is_good = found.flags.values == 0
    np.testing.assert_allclose(found.peak_gap.values[is_good], wanted[is_good], rtol=1e-5)
    found = np.stack(values)[:, place]
    assert (np.nanmax(found, axis=0) - np.nanmin(found, axis=0)).max() > 1e-5


def parts_of_two(first, second, flags=(0, 0)):
    """Two tiles side by side on a grid of 4 x 20 nodes that fade over 6 nodes from column 10 on."""
    lattice = lattices.Lattice(
        shape=(4, 20), step=1, templates=(1,), search=(1, 1), reach=0, margin=0, levels=0, dates=2, nodata=(),
        dtype=np.dtype(np.float64), fade=3,
    )  # fmt: skip
    tiles = [(slice(0, 4), slice(0, 10)), (slice(0, 4), slice(10, 20))]
    parts = []
    for tile, values, flag in zip(tiles, (first, second), flags, strict=True):
        nodes = lattice.faded(tile)
        layers = np.empty((len(FIELDS), 1, 4, nodes[1].stop - nodes[1].start))
        for name, layer in zip(FIELDS, layers, strict=True):
            layer[:] = values.get(name, 0.5)
        layers[-1] = flag
        parts.append(Part(tile, nodes, layers))
    return [dict(zip(FIELDS, crossfade.blend(tile, parts, lattice, FIELDS)[:, 0, 1], strict=True)) for tile in tiles]


@pytest.mark.small
def test_variances_grow_where_tiles_disagree():
    one, two = parts_of_two(
        {"dx": 1.0, "variance_dx": 0.01, "covariance": 0.0},
        {"dx": 1.4, "variance_dx": 0.03, "dy": 0.7, "covariance": 0.0},
    )
    share = (np.arange(6) + 0.5) / 6
    np.testing.assert_allclose(one["dx"], 1.0)
    np.testing.assert_allclose(two["dx"][:6], 1.0 + 0.4 * share)
    np.testing.assert_allclose(two["dx"][6:], 1.4)
    mixed = 0.01 * (1 - share) + 0.03 * share + 0.16 * share * (1 - share)
    np.testing.assert_allclose(two["variance_dx"][:6], mixed)
    np.testing.assert_allclose(two["covariance"][:6], 0.08 * share * (1 - share))
    np.testing.assert_allclose(one["variance_dx"], 0.01)


@pytest.mark.small
@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        # three pixels apart: the one with the better score, whichever that is
        ({"dx": 1.0, "score": 0.6}, {"dx": 4.0, "score": 0.9}, [4.0] * 6),
        ({"dy": 1.0, "score": 0.9}, {"dy": -2.0, "score": 0.6}, [1.0] * 6),
        # inverted contrast has a negative one
        ({"dy": 1.0, "score": -0.9}, {"dy": -2.0, "score": 0.6}, [1.0] * 6),
        # equally good, or of no known score: the one to which the node belongs
        ({"dx": 1.0}, {"dx": 4.0}, [1.0] * 3 + [4.0] * 3),
        ({"dx": 1.0, "score": np.nan}, {"dx": 4.0, "score": np.nan}, [1.0] * 3 + [4.0] * 3),
        ({"dx": 1.0, "variance_dx": np.nan}, {"dx": 4.0, "variance_dx": np.nan}, [1.0] * 3 + [4.0] * 3),
        # many standard errors apart, and no more than a tenth of a pixel
        ({"dx": 1.0, "variance_dx": 1e-4, "variance_dy": 0.0}, {"dx": 1.2, "variance_dx": 1e-4, "variance_dy": 0.0},
         [1.0] * 3 + [1.2] * 3),
        ({"dx": 1.0, "variance_dx": 1e-6, "variance_dy": 0.0}, {"dx": 1.09, "variance_dx": 1e-6, "variance_dy": 0.0},
         1.0 + 0.09 * (np.arange(6) + 0.5) / 6),
    ],
)  # fmt: skip
def test_tiles_that_contradict_each_other_are_not_mixed(first, second, wanted):
    one, two = parts_of_two(first, second)
    name = "dy" if "dy" in first else "dx"
    np.testing.assert_allclose(two[name][:6], wanted)
    np.testing.assert_allclose(one[name], first[name])
    np.testing.assert_allclose(two[name][6:], second[name])
    if "score" in first:
        score = two["score"][:6]
        np.testing.assert_allclose(score, np.where(np.array(wanted) == first[name], first["score"], second["score"]))
    spread = f"variance_{name}"
    between = two[spread][:6] - first.get(spread, 0.5)
    assert np.isnan(between).all() or (between > 0.0).all()


@pytest.mark.small
def test_a_node_keeps_what_its_tile_says_against_it():
    lost = {"dx": np.nan, "dy": np.nan, "variance_dx": np.nan, "score": 0.1}
    one, two = parts_of_two(lost, {"dx": 2.0, "score": 0.9}, flags=(2, 0))
    assert np.isnan(one["dx"]).all()
    # the tile that has more weight
    assert np.isnan(two["dx"][:3]).all()
    flags = np.concatenate([one["flags"], two["flags"]])
    np.testing.assert_array_equal(flags, [2] * 13 + [0] * 7)
    np.testing.assert_array_equal(np.concatenate([one["score"], two["score"][:3]]), 0.1)
    # and where the other tile knows nothing, its own value is all there is
    np.testing.assert_array_equal(two["dx"][3:], 2.0)
    np.testing.assert_array_equal(two["variance_dx"][3:], 0.5)
    np.testing.assert_array_equal(two["score"][3:], 0.9)


def test_windows_of_a_dense_matcher():
    stack = textured()
    network = xoffset.pairs(stack)
    shifts = xoffset.correlate(stack, network, **OPTIONS, step=1)
    assert shifts.sizes["y"] == 150 - 5 + 1
    assert shifts.x[0] == stack.x[2]
    assert shifts.window_size == 50.0
    *_, last = json.loads(shifts.attrs["processing"])
    assert last["template"] is None
    assert last["matcher"]["window"] == 5
    for template in (5, 32, (16, 32)):
        with pytest.raises(ValueError, match=r"correlate\(\) needs no template .* Leave template out"):
            xoffset.correlate(stack, network, **OPTIONS, template=template)
    again = xoffset.extend(shifts, stack, network, matcher=Means())
    xr.testing.assert_identical(again, shifts)
    with pytest.raises(ValueError, match=r"extend\(\) needs matcher= .* Pass it"):
        xoffset.extend(shifts, stack, network)


def test_left_out_a_template_is_32_px_for_other_matchers():
    stack = synthetic.stack((64, 64))[0]
    network = xoffset.pairs(stack)
    given = xoffset.correlate(stack, network, template=32, search=3)
    xr.testing.assert_identical(xoffset.correlate(stack, network, search=3), given)
    xr.testing.assert_identical(xoffset.correlate(stack, network, search=3, template=None), given)


@pytest.mark.small
@pytest.mark.parametrize("shape", [(30, 400), (400, 30), (97, 98), (641, 90), (45, 45), (768, 41)])
@pytest.mark.parametrize("margin", [20, 300])
def test_tiles_are_alike_no_larger_than_they_may_be_and_the_last_is_not_narrow(shape, margin):
    lattice = lattices.Lattice(
        shape=shape, step=3, templates=(7,), search=(4, 4), reach=margin, margin=margin, levels=0, dates=2, nodata=(),
        dtype=np.dtype(np.float32), fade=2, side=40,
    )  # fmt: skip
    tiles = list(lattice.tiles())
    for axis, (per_side, count) in enumerate(zip(lattice.per_side, lattice.nodes, strict=True)):
        sides = {(tile[axis].start, tile[axis].stop - tile[axis].start) for tile in tiles}
        counts = [size for _, size in sorted(sides)]
        assert sum(counts) == count
        assert counts[0] * 3 <= 40 + 2
        assert set(counts[:-1]) <= {per_side}
        assert len(counts) == 1 or counts[-1] >= max(4, per_side / 2)


def test_a_part_of_a_lazy_result_is_matched_alone(monkeypatch):
    monkeypatch.setattr(fading, "GROUP", 4)
    stack = textured((300, 300))
    matched = []
    match = Means.match_tile

    def counted(self, images, tile, *options, **keywords):
        matched.append(tile)
        return match(self, images, tile, *options, **keywords)

    monkeypatch.setattr(Means, "match_tile", counted)
    shifts = xoffset.correlate(stack.chunk(y=50, x=60), xoffset.pairs(stack), **OPTIONS, step=1)
    corner = shifts.dx[:, -3:, -3:].compute(scheduler="synchronous")
    assert np.isfinite(corner).all()
    # the last tile, those that fade into it, and what they follow in their groups
    assert 4 <= len(matched) <= fading.GROUP**2
    matched.clear()
    shifts.dx.compute(scheduler="synchronous")
    assert len(matched) == 4 * fading.GROUP**2


def test_a_tile_may_be_smaller_than_what_it_needs_around_it():
    stack = textured()
    network = xoffset.pairs(stack)
    options = OPTIONS | {"matcher": Means(context=50), "step": 3}
    eager = xoffset.correlate(stack, network, **options)
    xr.testing.assert_identical(xoffset.correlate(stack.chunk(y=37, x=41), network, **options).compute(), eager)


def lazy_zeros(dates, dtype="uint16", side=3000):
    days = np.datetime64("2020-01-01") + 5 * np.arange(dates)
    small = synthetic.stack((4, 4), dates=[str(day) for day in days], field="constant")[0]
    values = da.zeros((dates, side, side), chunks=(1, 1000, 1000), dtype=dtype)
    axis = 10.0 * np.arange(side)
    coords = {"time": small.time, "y": axis[::-1], "x": axis}
    return xr.DataArray(values, dims=("time", "y", "x"), coords=coords, attrs=small.attrs)


@pytest.mark.parametrize("dtype", ["uint16", "float64"])
@pytest.mark.parametrize(("matcher", "search"), [("regularized", 4), ("regularized", 11), ("regularized", 40),
                                                 ("flow", 8), ("flow", 60)])  # fmt: skip
def test_memory_does_not_grow_with_dates_and_pairs(matcher, search, dtype, monkeypatch):
    monkeypatch.undo()
    lattice = []
    for dates in (2, 12):
        stack = lazy_zeros(dates, dtype)
        network = xoffset.pairs(stack)
        options = {"matcher": matcher, "search": search, "step": 1}
        cost = xoffset.estimate(stack, network, **options, calibrate=False)
        assert cost.memory_per_core <= 250e6
        given = xoffset.matching.request.Options(None, search, 1, matcher, "bandpass", None)
        lattice.append(xoffset.matching.request.prepare(stack, network, given).lattice)
    # so that old pairs have the same bits beside new ones
    assert lattice[0].per_side == lattice[1].per_side
    assert 300 < lattice[0].per_side[0] <= 512


def test_pairs_have_the_same_bits_in_batches(monkeypatch):
    stack = textured(dates=4)
    network = xoffset.pairs(stack)
    mask = xr.DataArray(np.indices(stack.shape).sum(axis=0) % 90 > 4, coords=stack.coords)
    options = OPTIONS | {"step": 4, "mask": mask}
    whole = xoffset.correlate(stack, network, **options)
    given = xoffset.matching.request.Options(None, 2, 4, Means(), None, None, mask)
    request = xoffset.matching.request.prepare(stack, network, given)
    assert len(request.batches) == 1
    monkeypatch.setattr(memory, "WAITING", 4 * len(FIELDS) * 4 * np.prod(request.lattice.most))
    assert [list(batch) for batch in request.batches] == [[0, 1, 2], [3, 4, 5]]
    xr.testing.assert_identical(xoffset.correlate(stack, network, **options), whole)
    lazy = xoffset.correlate(stack.chunk(time=3, y=70), network, **options)
    xr.testing.assert_identical(lazy.compute(), whole)
    old = xoffset.correlate(stack[:3], xoffset.pairs(stack[:3]), **options | {"mask": mask[:3]})
    xr.testing.assert_identical(xoffset.extend(old, stack, network, matcher=Means(), mask=mask), whole)


def test_cost_counts_what_fades():
    stack = textured()
    network = xoffset.pairs(stack)
    fading, plain = (
        xoffset.estimate(stack, network, **OPTIONS | {"matcher": Means(fade=fade)}, step=1, calibrate=False)
        for fade in (6, 1)
    )
    assert fading.memory_per_core > plain.memory_per_core


def test_time_of_a_dense_matcher_is_that_of_its_pairs():
    stack = textured(dates=6)
    network = xoffset.pairs(stack)
    options = OPTIONS | {"step": 1}
    few = xoffset.estimate(stack, network.isel(pair=[0]), **options)
    many = xoffset.estimate(stack, network, **options)
    assert few.cpu_seconds > 0.0
    assert many.cpu_seconds > few.cpu_seconds


@pytest.mark.parametrize(("matcher", "clean", "beside"), [("regularized", 0.01, 0.05), ("flow", 0.01, 0.05)])
def test_tiles_leave_no_seams(matcher, clean, beside, monkeypatch):
    stack, _ = synthetic.stack((420, 430), field="landslide", velocity=25.0, snr=10.0, seed=3)
    stack[1, 150:190, 120:330] = np.nan
    network = xoffset.pairs(stack)
    found = []
    for side in (140, 768):
        monkeypatch.setattr(lattices, "FADED_TILE", side)
        found.append(xoffset.correlate(stack, network, matcher=matcher, search=4, step=2))
    many, one = found
    apart = np.stack([many.dx - one.dx, many.dy - one.dy])[:, 0] / 10.0
    difference = np.hypot(*apart)
    rows, columns = np.indices(difference.shape) * 2
    is_near = (rows > 110) & (rows < 230) & (columns > 80) & (columns < 370)
    # on clean ground not even the field differs, beside clouds it jumps no more than that of a single tile
    assert np.nanpercentile(difference[~is_near], 99.0) < clean
    for axis in (1, 2):
        jump = np.hypot(*np.diff(apart, axis=axis))
        near = is_near[1:] if axis == 1 else is_near[:, 1:]
        assert np.nanpercentile(jump[near], 99.0) < beside
        assert np.nanpercentile(jump[~near], 99.0) < clean
    monkeypatch.setattr(lattices, "FADED_TILE", 140)
    lazy = xoffset.correlate(stack.chunk(y=130, x=97), network, matcher=matcher, search=4, step=2)
    xr.testing.assert_identical(lazy.compute(), many)
