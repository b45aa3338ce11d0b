"""estimate(): counts against the lattice, bytes against a run, seconds against a made-up clock."""

import math
import os
import subprocess
import sys
import tracemalloc

import dask
import numpy as np
import pytest
import reference_estimate
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._arrays import lattice
from xoffset._arrays.filters.options import as_prefilter
from xoffset._arrays.matching.search import candidates
from xoffset.matching import cost as counting
from xoffset.matching import estimate, timing
from xoffset.matching.guide import Grid
from xoffset.matching.request import Request
from xoffset.model import grids
from xoffset.model.dates import in_years
from xoffset.model.flags import FLAGS

DATES = ["2020-01-01", "2020-04-01", "2020-09-01"]
SHAPE = (90, 110)
OPTIONS = {"template": 16, "search": 4, "step": 8}


@pytest.fixture(scope="module")
def stack():
    return synthetic.stack(SHAPE, dates=DATES, field="constant", velocity=15.0, snr=10.0)[0]


@pytest.fixture(scope="module")
def network(stack):
    return xoffset.pairs(stack)


def count(stack, network, **options):
    return xoffset.estimate(stack, network, calibrate=False, **(OPTIONS | options))


def on_nodes(stack, values, template=16, step=8):
    """DataArray (y, x) of one value a window, in the order of the windows."""
    y, x = Grid.of(stack, grids.spacing(stack, "test"), template, step)
    values = np.broadcast_to(values, (y.size, x.size)).astype(float)
    return xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x, "spatial_ref": stack.spatial_ref})


# --------------------------------------------------------------------------------------------------------------- counts


@pytest.mark.small
@pytest.mark.parametrize("tile", [256, 32])
@pytest.mark.parametrize(("search", "step"), [(4, 8), ((3, 6), 8), (5, 20), (37, 8), (1, 1)])
def test_counts_of_a_plain_search(stack, network, monkeypatch, search, step, tile):
    monkeypatch.setattr("xoffset._arrays.lattice.TILE", tile)
    cost = count(stack, network, search=search, step=step)
    half = search if isinstance(search, tuple) else (search, search)
    nodes = [(size - 16) // step + 1 for size in SHAPE]
    assert (cost.pairs, cost.nodes) == (3, math.prod(nodes))
    assert cost.tiles == math.prod(-(-number // max(tile // step, 1)) for number in nodes)
    assert cost.shifts == reference_estimate.shifts(SHAPE, 16, step, 3 * [lambda r, c: (half, (0.0, 0.0))])


@pytest.mark.small
def test_counts_of_a_map_of_searches(stack, network):
    random = np.random.default_rng(0)
    halves = on_nodes(stack, random.integers(0, 6, (10, 12)))
    cost = count(stack, network, search=halves)
    value = halves.values.astype(int)
    assert cost.shifts == reference_estimate.shifts(
        SHAPE, 16, 8, 3 * [lambda r, c: ((value[r, c], value[r, c]), (0.0, 0.0))]
    )


@pytest.mark.small
def test_counts_about_a_prior(stack, network):
    random = np.random.default_rng(1)
    fields = {name: on_nodes(stack, random.uniform(-200.0, 200.0, (10, 12))) for name in ("vx", "vy")}
    # beside a gap there is no prior either
    fields["vx"][1:4, 2:5] = fields["vy"][1:4, 2:5] = 0.0
    fields["vx"][2, 3] = np.nan
    cost = count(stack, network, prior=xr.Dataset(fields))
    years = in_years((network.secondary - network.reference).values)

    def of_pair(baseline):
        return lambda r, c: (
            (4, 4),
            (fields["vy"].values[r, c] * baseline / -10, fields["vx"].values[r, c] * baseline / 10),
        )

    assert cost.shifts == reference_estimate.shifts(SHAPE, 16, 8, [of_pair(baseline) for baseline in years])


@pytest.mark.parametrize("prior", [False, True])
def test_shifts_are_those_of_the_windows_that_are_not_outside(stack, network, prior):
    options = {"prior": xr.Dataset({"dx": on_nodes(stack, 30.0), "dy": on_nodes(stack, -50.0)})} if prior else {}
    flags = xoffset.correlate(stack, network, **OPTIONS, **options).flags
    is_searched = (flags & FLAGS["outside"]) == 0
    assert 0 < is_searched.sum() < flags.size
    assert count(stack, network, **options).shifts == 81 * int(is_searched.sum())


@pytest.mark.small
def test_sizes_and_ways_multiply_the_shifts_and_a_pyramid_saves_them(stack, network):
    once = count(stack, network, template=32, search=20).shifts
    assert count(stack, network, template=(16, 32), search=20).shifts == 2 * once
    assert count(stack, network, template=32, search=20, matcher=xoffset.NCC(both_ways=True)).shifts == 2 * once
    assert 0 < count(stack, network, template=32, search=xoffset.Pyramid(20)).shifts < 0.5 * once


@pytest.mark.small
def test_of_many_pairs_and_tiles_a_part_stands_for_all(stack, network, monkeypatch):
    fields = {name: on_nodes(stack, np.linspace(-60.0, 60.0, 12)) for name in ("vx", "vy")}
    monkeypatch.setattr(lattice, "TILE", 16)
    whole = count(stack, network, prior=xr.Dataset(fields))
    monkeypatch.setattr(counting, "COUNTED", 160)
    part = count(stack, network, prior=xr.Dataset(fields))
    assert part.shifts != whole.shifts
    assert part.shifts == pytest.approx(whole.shifts, rel=0.35)


# ---------------------------------------------------------------------------------------------------------------- bytes


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda stack: stack, {}),
        (lambda stack: stack, {"template": (16, 32), "matcher": xoffset.NCC(both_ways=True)}),
        (lambda stack: stack.astype("float64"), {"search": (3, 2)}),
        (lambda stack: stack.astype("uint16"), {"prefilter": None}),
        (lambda stack: stack.chunk(time=1, y=32, x=32), {}),
    ],
    ids=["plain", "nested both ways", "float64", "uint16", "dask"],
)
def test_output_is_that_of_the_result(stack, network, change, options):
    images, network = change(stack), network.assign_coords(orbit=("pair", [1, 2, 3]))
    shifts = xoffset.correlate(images, network, **(OPTIONS | options))
    assert count(images, network, **options).output == shifts.nbytes


@pytest.mark.parametrize(
    ("dates", "options"),
    [
        (2, {"search": 8}),
        (8, {"search": 8}),
        (8, {"search": 8, "prefilter": None}),
        (2, {"search": 20, "step": 4}),
        (3, {"search": xoffset.Pyramid(40)}),
        (3, {"template": (16, 32)}),
        (3, {"template": 9, "step": 1, "search": 2, "matcher": xoffset.NCC(refine="none")}),
        (2, {"template": None, "step": 2, "search": 11, "matcher": "regularized"}),
        (2, {"template": None, "step": 2, "search": 44, "matcher": "regularized"}),
    ],
    ids=["pair", "8 dates", "no filter", "wide", "pyramid", "nested", "dense", "regularized", "far"],
)
def test_memory_is_that_of_a_run(dates, options):
    times = np.datetime64("2020-01-01") + 30 * np.arange(dates)
    images, _ = synthetic.stack((220, 240), dates=times, snr=10.0)
    network = xoffset.pairs(images, max_gap=2)
    options = {"template": 32, "step": 8} | options
    xoffset.correlate(images, network, **options)
    cost = xoffset.estimate(images, network, calibrate=False, **options)
    assert cost.tiles == 1
    tracemalloc.start()
    try:
        shifts = xoffset.correlate(images, network, **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.6 < (cost.memory + cost.output) / peak < 1.8
    assert cost.memory >= cost.memory_per_core
    assert shifts.nbytes == cost.output


@pytest.mark.small
def test_a_core_holds_a_block_of_a_lazy_stack_whatever_its_chunks(stack, network):
    large = xr.concat([xr.concat(6 * [stack[:, :, :100]], "x")] * 6, "y")
    large = large.assign_coords(y=-10.0 * np.arange(large.y.size), x=10.0 * np.arange(large.x.size))
    one, many = (count(large.chunk(time=1, y=side, x=side), network) for side in (600, 256))
    assert (one.memory_per_core, one.memory, one.tiles) == (many.memory_per_core, many.memory, many.tiles)
    assert many.memory_per_core > 1.2 * count(large, network).memory_per_core
    assert many.memory == min(many.cores, 9) * many.memory_per_core


# -------------------------------------------------------------------------------------------------------------- seconds


class Clock:
    """A clock that only a made-up kernel moves: by the pixels it is given and the shifts it tries."""

    A_PIXEL, A_SHIFT = 1e-5, 1e-3

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(timing.time, "thread_time", lambda: self.now)
        monkeypatch.setattr(Request, "kernel", lambda request, pairs: self.kernel(request.lattice, pairs))

    def kernel(self, lattice, pairs):
        def work(images, tile, guide):
            wanted = [candidates(guide, pair, tile, lattice).wanted.sum() for pair in pairs]
            self.now += self.A_PIXEL * images.size + self.A_SHIFT * 81 * sum(wanted)

        return work


@pytest.mark.small
@pytest.mark.parametrize("dates", [2, 3, 12])
def test_seconds_are_those_of_images_and_pairs(monkeypatch, dates):
    images = xr.DataArray(
        np.zeros((dates, 400, 300), dtype=np.float32),
        dims=("time", "y", "x"),
        coords={"time": np.datetime64("2020-01-01") + 30 * np.arange(dates), "y": -10.0 * np.arange(400),
                "x": 10.0 * np.arange(300)},
    )  # fmt: skip
    network = xoffset.pairs(images)
    Clock(monkeypatch)
    monkeypatch.setattr("xoffset._arrays.lattice.TILE", 64)
    cost = xoffset.estimate(images, network, **OPTIONS)
    # margins of the search, the band-pass and the spline are read around each tile of 8 x 8 windows of 16 px
    margin = 4 + 6 + as_prefilter("bandpass").reach(16)
    rows, columns = (
        sum((min(8, number - first) - 1) * 8 + 16 + 2 * margin for first in range(0, number, 8))
        for number in ((size - 16) // 8 + 1 for size in (400, 300))
    )
    expected = Clock.A_PIXEL * rows * columns * dates + Clock.A_SHIFT * cost.shifts
    # the single window that tells the time of an image takes some
    assert cost.cpu_seconds == pytest.approx(expected, rel=0.03)
    assert cost.seconds == pytest.approx(cost.cpu_seconds * math.ceil(cost.tiles / cost.cores) / cost.tiles)


def test_a_calibration_takes_seconds_that_grow_with_the_pairs(stack, network):
    few, many = (xoffset.estimate(stack, net, **OPTIONS) for net in (network.isel(pair=[0]), network))
    assert 0 < few.cpu_seconds < many.cpu_seconds < 60
    assert few.seconds <= few.cpu_seconds


@pytest.mark.parametrize(
    "options",
    [
        {"search": xoffset.Pyramid(10)},
        {"template": (16, 32)},
        {"matcher": xoffset.NCC(refine="none", both_ways=True), "step": 3},
        {"prefilter": None},
        {"search": "map"},
        {"prior": "fast"},
    ],
    ids=["pyramid", "nested", "both ways", "no filter", "map", "prior"],
)
def test_every_kind_of_request_is_timed(stack, network, options):
    changes = {"map": on_nodes(stack, 3), "fast": xr.Dataset(
        {"vx": on_nodes(stack, 100.0), "vy": on_nodes(stack, np.nan)})}  # fmt: skip
    options = {name: changes.get(value, value) if isinstance(value, str) else value for name, value in options.items()}
    cost = xoffset.estimate(stack, network, **(OPTIONS | options))
    assert 0 < cost.cpu_seconds < 60
    assert cost.shifts > 0


@pytest.mark.small
def test_what_searches_nowhere_costs_nothing(stack, network):
    cost = xoffset.estimate(stack[:, :24, :24], network, **(OPTIONS | {"step": 100}))
    assert (cost.nodes, cost.shifts, cost.cpu_seconds, cost.seconds) == (1, 0, 0.0, 0.0)


@pytest.mark.small
def test_without_a_calibration_there_are_no_seconds(stack, network, monkeypatch):
    monkeypatch.setattr(Request, "kernel", None)
    cost = count(stack, network)
    assert math.isnan(cost.cpu_seconds)
    assert math.isnan(cost.seconds)
    assert " s on " not in str(cost)


# ------------------------------------------------------------------------------------------------------ input and words


BAD = {
    "search": {"search": 0},
    "large template": {"template": 99},
    "unequal centres": {"template": (16, 20)},
    "step": {"step": 0},
    "matcher": {"matcher": "best"},
    "prefilter": {"prefilter": "gauss"},
    "phase": {"matcher": "phase"},
    "prior": {"prior": xr.Dataset()},
    "no prior": {"prior": 3},
}


@pytest.mark.small
@pytest.mark.parametrize("name", BAD)
def test_bad_options_are_refused_as_by_correlate(stack, network, name):
    with pytest.raises((TypeError, ValueError)) as wanted:
        xoffset.correlate(stack, network, **(OPTIONS | BAD[name]))
    with pytest.raises((TypeError, ValueError)) as found:
        count(stack, network, **BAD[name])
    assert type(found.value) is type(wanted.value)
    assert str(found.value) == str(wanted.value).replace("correlate()", "estimate()", 1)


@pytest.mark.small
def test_bad_images_and_pairs_are_refused_as_by_correlate(stack, network):
    for images, pairs in ((stack[0], network), (stack[:2], network), (stack, network.isel(pair=[])), (stack, stack)):
        with pytest.raises((TypeError, ValueError)) as wanted:
            xoffset.correlate(images, pairs)
        with pytest.raises((TypeError, ValueError)) as found:
            xoffset.estimate(images, pairs)
        assert type(found.value) is type(wanted.value)
    assert str(found.value) == str(wanted.value).replace("correlate()", "estimate()", 1)


@pytest.mark.small
def test_calibrate_is_a_switch(stack, network):
    with pytest.raises(TypeError, match="Pass one of the two"):
        xoffset.estimate(stack, network, calibrate="yes")


def test_a_lazy_stack_is_not_read(stack, network):
    def refuse(dsk, keys, **kwargs):
        raise AssertionError("computed")

    with dask.config.set(scheduler=refuse):
        cost = xoffset.estimate(stack.chunk(time=1, y=32, x=32), network, **OPTIONS)
    assert cost[:4] == count(stack, network)[:4]


@pytest.mark.small
def test_it_can_be_read():
    cost = estimate.Cost(12, 61_009, 36, 211_000_000, 2, 190_000_000, 380_000_000, 29_000_000, 380.0, 190.4, 0.0)
    assert str(cost) == (
        "61,009 windows x 12 pairs, 211,000,000 shifts: about 3 min on 2 cores, 0.4 GB of memory, 29 MB of results"
    )
    assert "1 pair, 1 shift: about 12 s on 1 core" in str(cost._replace(pairs=1, shifts=1, cores=1, seconds=12.2))
    assert "about 2.0 h on" in str(cost._replace(seconds=7200.0))
    assert "on 2 cores, 15 s to compile kernels, first use only, 0.4 GB" in str(cost._replace(compile_seconds=15.0))


FRESH = """
import xoffset
stack, _ = xoffset.synthetic.stack((64, 64), field="constant", velocity=12.0)
options = dict(search=4, template=32, calibrate=False)
print(*(xoffset.estimate(stack, xoffset.pairs(stack), matcher=m, **options).compile_seconds for m in ("ncc", "phase")))
"""


def seconds_to_compile(**environment):
    """What a fresh process expects of compilation: of NCC, of the phase matcher."""
    done = subprocess.run(
        [sys.executable, "-c", FRESH], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return [float(value) for value in done.stdout.split()]


def test_compilation_is_counted_only_where_it_has_to_be_done(stack, network, tmp_path):
    xoffset.correlate(stack, network, **OPTIONS)
    for calibrate in (True, False):
        assert xoffset.estimate(stack, network, **OPTIONS, calibrate=calibrate).compile_seconds == 0.0
    assert seconds_to_compile()[0] == 0.0
    assert min(seconds_to_compile(NUMBA_CACHE_DIR=str(tmp_path))) > 1.0
