"""The same input gives the same bits: whatever the chunks, the scheduler, the threads and the order of the pairs."""

from __future__ import annotations

import contextlib
import os

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import xoffset
from xoffset._arrays import lattice
from xoffset._blocks import halos
from xoffset.inversion.invert import COUNTED
from xoffset.model import products

few = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
# of what takes longer
fewer = settings(few, max_examples=12)

DATES = np.array(["2020-01-01T10:15", "2020-03-01", "2021-01-01"], dtype="M8[us]")


@contextlib.contextmanager
def small_tiles(side=32):
    """Tiles so small that a small image has several; their size is part of the result, so both sides get the same."""
    before, lattice.TILE = lattice.TILE, side
    try:
        yield
    finally:
        lattice.TILE = before


def assert_same_bits(found: xr.Dataset, expected: xr.Dataset) -> None:
    """Values, dtypes, coordinates and attributes."""
    for name, variable in expected.variables.items():
        assert found.variables[name].dtype == variable.dtype, name
    found, expected = found.compute(), expected.copy()
    if COUNTED in str(found.attrs.get("processing")):
        # which date is the reference is not known before it is computed
        for name in ("reference", "processing"):
            found.attrs.pop(name, None), expected.attrs.pop(name, None)
    xr.testing.assert_identical(found, expected)


@pytest.mark.parametrize("dates", [1, 2])
def test_rims_do_not_keep_their_blocks_in_memory(dates):
    block = np.zeros((dates, 20, 30))
    rims = halos.rims_of(3, [block])
    assert len(rims[0]) == 8
    assert not any(np.shares_memory(rim, block) for rim in rims[0])


def ground(shape, seed=0):
    """Three images of a random texture that moves by a pixel or so."""
    generator = np.random.default_rng(seed)
    rows, columns = shape
    base = generator.standard_normal((rows + 2, columns + 2))
    base = base[1:] + base[:-1]
    images = [base[:rows, k : k + columns] for k in range(3)]
    return np.stack([image + 0.3 * generator.standard_normal(shape) for image in images])


def spoil(values, pattern, seed):
    """Pixels that have no value: NaN and infinity."""
    generator = np.random.default_rng(seed)
    _, rows, columns = values.shape
    if pattern == "holes":
        values[generator.random(values.shape) < 0.02] = np.nan
    elif pattern == "half":
        values[1, :, columns // 2 :] = np.nan
    elif pattern == "date":
        values[2] = np.nan
    elif pattern == "patch":
        values[0, rows // 3 : rows // 3 + 7, 4:12] = np.inf
    elif pattern == "flat":
        values[:, : rows // 2, : columns // 2] = 3.0
    return values


def as_stack(values, dtype):
    attrs = {}
    if np.dtype(dtype).kind == "u":
        holes = ~np.isfinite(values)
        values = np.where(holes, 0.0, np.clip(values * 25 + 128, 1, 255))
        attrs = {"nodata": 0} if dtype == "uint16" else {}
    _, rows, columns = values.shape
    return products.stack(
        values.astype(dtype),
        time=DATES,
        x=1000.0 + 10.0 * np.arange(columns),
        y=5000.0 - 10.0 * np.arange(rows),
        crs=None,
        attrs=attrs,
    )


@st.composite
def chunks(draw, size):
    """Chunk sizes along an axis, down to a pixel."""
    cuts = (
        draw(st.lists(st.integers(1, size - 1), min_size=min(size - 1, 2), max_size=5, unique=True)) if size > 1 else []
    )
    return tuple(np.diff([0, *sorted(cuts), size]).tolist())


@st.composite
def cases(draw):
    """A stack, how it is cut, and a grid that fits it."""
    template = draw(st.integers(5, 16))
    search = draw(st.integers(1, 5))
    # the least of them thinner than the halo
    least = template + 2 * search
    shape = (draw(st.integers(least, least + 90)), draw(st.integers(least, least + 90)))
    # every pixel a node only where there are few; at least two nodes along each axis, or screen() knows no spacing
    most = min(20, min(shape) - template)
    step = draw(st.integers(1 if max(shape) < 45 else min(3, most), most))
    dtype = draw(st.sampled_from(["uint8", "uint16", "float32", "float64"]))
    seed = draw(st.integers(0, 9))
    pattern = draw(st.sampled_from(["none", "holes", "half", "date", "patch", "flat"]))
    stack = as_stack(spoil(ground(shape, seed), pattern, seed), dtype)
    cut = (draw(chunks(3)), draw(chunks(shape[0])), draw(chunks(shape[1])))
    return stack, cut, {"template": template, "search": search, "step": step}


@st.composite
def shift_cases(draw):
    """Shifts with gaps as a matcher returns them, and how they are cut."""
    shape = (3, draw(st.integers(1, 30)), draw(st.integers(2, 30)))
    generator = np.random.default_rng(draw(st.integers(0, 9)))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    fields = {name: generator.standard_normal(shape).astype(dtype) for name in ("dx", "dy", "score", "peak_gap")}
    fields |= {name: generator.uniform(0.1, 2.0, shape).astype(dtype) for name in ("sigma_dx", "sigma_dy")}
    fields["cov_dxdy"] = 0.1 * fields["dx"]
    fields["dx"][generator.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.9]))] = np.nan
    fields["flags"] = np.isnan(fields["dx"]) * np.int64(16)
    like = as_stack(ground((2, 2)), "float32")
    shifts = products.shifts(
        fields,
        xoffset.pairs(like),
        x=80.0 * np.arange(shape[2]),
        y=-80.0 * np.arange(shape[1]),
        like=like,
        step={"function": "test"},
    )
    cut = {name: draw(chunks(shifts.sizes[name])) for name in ("pair", "y", "x")}
    return shifts, cut


@few
@given(case=cases())
def test_correlate(case):
    stack, cut, grid = case
    network = xoffset.pairs(stack)
    with small_tiles():
        expected = xoffset.correlate(stack, network, **grid)
        found = xoffset.correlate(stack.chunk(dict(zip(stack.dims, cut, strict=True))), network, **grid)
        assert found.chunks
        assert_same_bits(found, expected)


@fewer
@given(case=cases())
def test_correlate_to_velocity(case):
    stack, cut, grid = case

    def chain(stack):
        shifts = xoffset.correlate(stack, xoffset.pairs(stack), **grid).offset.screen(min_score=0.2)
        return shifts, shifts.offset.invert(), shifts.offset.velocity(), shifts.offset.invert().offset.velocity()

    with small_tiles():
        lazy = stack.chunk(dict(zip(stack.dims, cut, strict=True)))
        for found, expected in zip(chain(lazy), chain(stack), strict=True):
            assert_same_bits(found, expected)


@fewer
@given(case=shift_cases())
def test_screen(case):
    shifts, cut = case
    assert_same_bits(xoffset.screen(shifts.chunk(cut), min_peak_gap=0.1), xoffset.screen(shifts, min_peak_gap=0.1))


@fewer
@given(case=shift_cases(), weights=st.sampled_from(["sigma", "score", "uniform"]), smooth=st.sampled_from([0, 0.1]))
def test_invert(case, weights, smooth):
    shifts, cut = case
    options = {"weights": weights, "smooth": smooth}
    assert_same_bits(xoffset.invert(shifts.chunk(cut), **options), xoffset.invert(shifts, **options))


@fewer
@given(case=shift_cases())
def test_velocity(case):
    shifts, cut = case
    assert_same_bits(xoffset.velocity(shifts.chunk(cut)), xoffset.velocity(shifts))
    series = xoffset.invert(shifts)
    along = {"time": cut["pair"], "y": cut["y"], "x": cut["x"]}
    assert_same_bits(xoffset.velocity(series.chunk(along)), xoffset.velocity(series))


@fewer
@given(case=shift_cases(), data=st.data())
def test_order_of_the_pairs(case, data):
    shifts, _ = case
    other = shifts.isel(pair=data.draw(st.permutations(range(3))))
    for function in (xoffset.invert, xoffset.velocity):
        assert_same_bits(function(other), function(shifts))


def half_ranges(stack):
    """A map of search: zero, unknown, narrow and wide."""
    rows, columns = np.indices(stack.shape[1:])
    values = np.where(columns % 40 < 20, 2.0, 5.0)
    values[(rows % 50 < 9) & (columns % 70 < 25)] = 0.0
    values[60:66] = np.nan
    return xr.DataArray(values, coords={"y": stack.y, "x": stack.x}, dims=("y", "x"))


def prior(stack, names=("vx", "vy")):
    """A coarse field that varies by some pixels a year, unknown in one place."""
    places = stack[0, ::9, ::9]
    rows, columns = np.indices(places.shape)
    field = 40.0 * np.sin(columns / 5.0) + 5.0 * rows
    field[3:5, 6:8] = np.nan
    return xr.Dataset({name: places.copy(data=sign * field) for name, sign in zip(names, (-1.0, 0.5), strict=True)})


def prior_by_pair(stack):
    network = xoffset.pairs(stack)
    each = [(k + 1) * prior(stack, ("dx", "dy")) for k in range(network.sizes["pair"])]
    return xr.concat(each, "pair").assign_coords(network.coords)


WAYS = {
    "rectangle": lambda stack: {"search": (2, 6)},
    "map": lambda stack: {"search": half_ranges(stack)},
    "prior": lambda stack: {"prior": prior(stack), "step": 5},
    "prior by pair, map": lambda stack: {"prior": prior_by_pair(stack), "search": half_ranges(stack)},
    "pyramid": lambda stack: {"search": xoffset.Pyramid((14, 20), levels=2), "template": 16},
    "pyramid, prior": lambda stack: {"search": xoffset.Pyramid(9), "prior": prior(stack)},
    "nested": lambda stack: {"template": (8, 16, 24), "step": 4},
    "nested pyramid": lambda stack: {"template": (8, 24), "search": xoffset.Pyramid(10), "step": 8},
    "both ways": lambda stack: {"matcher": xoffset.NCC(both_ways=True)},
    "both ways, nested, prior": lambda stack: {
        "matcher": xoffset.NCC(both_ways=True), "template": (8, 16), "step": 4, "prior": prior(stack)
    },
    "dense": lambda stack: {"template": 7, "step": 1, "search": 2},
    "dense, by two": lambda stack: {"template": 9, "step": 2, "search": (3, 2)},
}  # fmt: skip


@pytest.fixture(scope="module", params=WAYS)
def searched(request):
    """A stack with holes, how it is searched, and what is found."""
    stack = as_stack(spoil(ground((96, 113)), "holes", 1), "float32")
    stack[0, 40:60, 30:47] = np.nan
    options = {"template": 12, "search": 3, "step": 6} | WAYS[request.param](stack)
    with small_tiles():
        return stack, options, xoffset.correlate(stack, xoffset.pairs(stack), **options)


@pytest.mark.parametrize("cut", [(1, 96, 113), (3, 17, 31), (2, 50, 7)])
def test_any_way_to_search(searched, cut):
    stack, options, expected = searched
    assert (expected["flags"] == 0).any()
    with small_tiles():
        lazy = stack.chunk(dict(zip(stack.dims, cut, strict=True)))
        found = xoffset.correlate(lazy, xoffset.pairs(stack), **options)
        assert found.chunks
        assert_same_bits(found, expected)


def test_any_way_to_search_with_any_threads(searched, monkeypatch):
    stack, options, expected = searched
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(5)), raising=False)
    with small_tiles():
        assert_same_bits(xoffset.correlate(stack, xoffset.pairs(stack), **options), expected)


@pytest.fixture(scope="module")
def stack():
    """Several tiles of the true size, with holes."""
    return as_stack(spoil(ground((300, 560)), "holes", 0), "float32")


@pytest.fixture(scope="module")
def shifts(stack):
    return xoffset.correlate(stack, xoffset.pairs(stack), search=4, step=12)


@pytest.mark.parametrize("cut", [(1, 300, 560), (3, 37, 41), (2, 256, 256), (3, 1, 560), (3, 299, 261)])
def test_tiles_of_true_size(stack, shifts, cut):
    lazy = stack.chunk(dict(zip(stack.dims, cut, strict=True)))
    assert_same_bits(xoffset.correlate(lazy, xoffset.pairs(stack), search=4, step=12), shifts)


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_scheduler(stack, shifts, scheduler):
    with dask.config.set(scheduler=scheduler):
        lazy = xoffset.correlate(stack.chunk({"y": 90, "x": 130}), xoffset.pairs(stack), search=4, step=12)
        assert_same_bits(lazy, shifts)
        assert_same_bits(lazy.offset.screen().offset.invert(), shifts.offset.screen().offset.invert())


@pytest.mark.parametrize("cores", [1, 2, 7])
def test_threads_of_the_numpy_path(stack, shifts, cores, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    again = xoffset.correlate(stack, xoffset.pairs(stack), search=4, step=12)
    assert_same_bits(again, shifts)
    assert_same_bits(again.offset.invert(), shifts.offset.invert())


@pytest.mark.parametrize("chosen", [[2, 0, 1], [1], [0, 2]])
def test_a_pair_knows_nothing_of_the_others(stack, shifts, chosen):
    network = xoffset.pairs(stack).isel(pair=chosen)
    assert_same_bits(xoffset.correlate(stack, network, search=4, step=12), shifts.isel(pair=chosen))


def test_a_date_that_no_pair_uses_changes_nothing(stack, shifts):
    network = xoffset.pairs(stack).isel(pair=[0])
    found = xoffset.correlate(stack.isel(time=[0, 1]), network, search=4, step=12)
    assert_same_bits(found, shifts.isel(pair=[0]))


def test_tiles_leave_no_trace(stack):
    # the tile decides on rounding only: means removed, start of the spline's recursion
    inner = stack.isel(y=slice(0, 120), x=slice(0, 180)).astype("float64")
    network = xoffset.pairs(stack).isel(pair=[0])
    whole = xoffset.correlate(inner, network, search=3, step=12, template=16)
    with small_tiles():
        tiled = xoffset.correlate(inner, network, search=3, step=12, template=16)
    np.testing.assert_array_equal(tiled["flags"], whole["flags"])
    for name in ("dx", "dy"):
        # last step of the refinement below 5e-4 px of 10 m, and what is left of the spline's start after 18 px
        np.testing.assert_allclose(tiled[name], whole[name], atol=5e-3)


@pytest.mark.parametrize("order", ["F", "C"])
def test_memory_order(stack, order):
    same = stack.copy(data=np.asarray(stack.values, order=order))
    network = xoffset.pairs(stack).isel(pair=[0])
    eager, lazy = (xoffset.correlate(images, network, search=4, step=12) for images in (same, same.chunk({"x": 150})))
    assert_same_bits(lazy, eager)


@pytest.mark.parametrize("shape", [(48, 48), (48, 300), (300, 50)])
def test_image_thinner_than_the_halo(shape):
    stack = as_stack(ground(shape), "float32")
    network = xoffset.pairs(stack)
    expected = xoffset.correlate(stack, network, step=2)
    assert_same_bits(xoffset.correlate(stack.chunk({"y": 20, "x": 20}), network, step=2), expected)


@pytest.mark.parametrize("size", [{"y": 1}, {"x": 1}])
def test_map_thinner_than_the_neighbourhood(shifts, size):
    strip = shifts.isel({name: slice(count) for name, count in size.items()})
    assert_same_bits(strip.chunk({"y": 4, "x": 4}).offset.screen(), strip.offset.screen())
