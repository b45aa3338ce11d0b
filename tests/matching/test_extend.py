"""A network that grew: what was matched is kept, what is new is matched, and nothing tells the two apart."""

import dataclasses

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import filtering, synthetic
from xoffset._arrays.filters import options as filtering_options
from xoffset.model.flags import FLAGS

OPTIONS = {"template": 16, "search": 4, "step": 16}


@pytest.fixture(scope="module")
def stack():
    """Four images, the last one new."""
    dates = ["2020-01-01", "2020-07-01", "2021-01-01", "2021-07-01"]
    return synthetic.stack((96, 112), field="constant", velocity=12.0, dates=dates, snr=10.0, nodata=0.05)[0]


@pytest.fixture(scope="module")
def before(stack):
    return xoffset.correlate(stack[:3], xoffset.pairs(stack[:3]), **OPTIONS)


@pytest.fixture(scope="module")
def network(stack):
    return xoffset.pairs(stack)


@pytest.fixture(scope="module")
def scratch(stack, network):
    return xoffset.correlate(stack, network, **OPTIONS)


@pytest.fixture
def matched(monkeypatch):
    """Pairs of dates in every call of the tile kernel."""
    calls = []
    original = xoffset.NCC.match_tile

    def counted(matcher, images, tile, guide, *, pairs, **options):
        calls.append((len(images), [tuple(pair[:2]) for pair in pairs]))
        return original(matcher, images, tile, guide, pairs=pairs, **options)

    monkeypatch.setattr(xoffset.NCC, "match_tile", counted)
    return calls


def counting(stack, reads):
    """Lazy stack that notes the date of every block that is read."""

    def read(block, block_info=None):
        reads.append(block_info[0]["array-location"][0][0])
        return block

    lazy = stack.chunk(time=1, y=40, x=50)
    return lazy.copy(data=da.map_blocks(read, lazy.data, dtype=lazy.dtype, meta=np.empty((0, 0, 0), lazy.dtype)))


def test_the_result_is_that_of_all_pairs(stack, before, network, scratch):
    extended = xoffset.extend(before, stack, network, **OPTIONS)
    xr.testing.assert_identical(extended, scratch)
    xr.testing.assert_identical(extended.offset.invert(), scratch.offset.invert())
    assert np.isfinite(scratch.dx).any(("y", "x")).all()


def test_a_second_time_is_like_the_first(stack, before, network, scratch):
    two = xoffset.correlate(stack[:2], xoffset.pairs(stack[:2]), **OPTIONS)
    three = xoffset.extend(two, stack[:3], xoffset.pairs(stack[:3]), **OPTIONS)
    xr.testing.assert_identical(three, before)
    xr.testing.assert_identical(three.offset.extend(stack, network, **OPTIONS), scratch)


def test_only_new_pairs_are_matched(stack, before, network, matched):
    xoffset.extend(before, stack, network, **OPTIONS)
    assert matched == [(4, [(0, 3), (1, 3), (2, 3)])]
    matched.clear()
    # a new pair of images matched before: the other two are not even handed over
    xoffset.extend(before.isel(pair=[0, 1]), stack, network.isel(pair=[0, 1, 3]), **OPTIONS)
    assert matched == [(2, [(0, 1)])]


def test_nothing_new_reads_nothing(stack, before, network, matched):
    reads = []
    again = xoffset.extend(before, counting(stack, reads), network.isel(pair=[0, 1, 3]), **OPTIONS)
    assert (matched, reads) == ([], [])
    assert not dask.is_dask_collection(again)
    xr.testing.assert_identical(again, before)


def test_only_images_of_new_pairs_are_read(stack, before, network, scratch):
    reads = []
    chain = network.isel(pair=[0, 3, 5])  # each date with the next
    with dask.config.set(scheduler="synchronous"):
        extended = xoffset.extend(before, counting(stack, reads), chain, **OPTIONS)
        assert reads == []
        xr.testing.assert_identical(extended.compute(), scratch.isel(pair=[0, 3, 5]))
    assert set(reads) == {2, 3}
    assert len(reads) == 2 * 3 * 3


@pytest.mark.parametrize("order", [[5, 4, 3, 2, 1, 0], [3, 0, 5], [4], [1, 1, 5, 5]])
def test_the_order_is_that_of_the_network(stack, before, network, scratch, order):
    extended = xoffset.extend(before, stack, network.isel(pair=order), **OPTIONS)
    xr.testing.assert_identical(extended, scratch.isel(pair=order))


def test_a_pair_backward_is_a_pair_of_its_own(stack, before, matched):
    network = xoffset.pairs(stack[:3], direction="both")
    extended = xoffset.extend(before, stack, network, **OPTIONS)
    assert sorted(matched[0][1]) == [(1, 0), (2, 0), (2, 1)]
    xr.testing.assert_identical(extended, xoffset.correlate(stack, network, **OPTIONS))


@pytest.mark.parametrize("which", ["stack", "shifts", "both"])
def test_lazy_parts_give_the_same_bits(stack, before, network, scratch, which):
    images = stack if which == "shifts" else stack.chunk(time=1, y=31, x=77)
    shifts = before if which == "stack" else before.chunk(pair=2, y=3, x=2)
    extended = xoffset.extend(shifts, images, network, **OPTIONS)
    assert all(variable.chunks is not None for variable in extended.data_vars.values())
    assert extended.dx.chunksizes["pair"] == (6,)
    xr.testing.assert_identical(extended.compute(), scratch)
    # the default one is counted when lazy shifts are computed, and not said before
    reference = scratch.reference.values.min()
    series = extended.offset.invert(reference=reference)
    assert dask.is_dask_collection(series)
    xr.testing.assert_identical(series.compute(), scratch.offset.invert(reference=reference))


def prior(stack, **names):
    places = stack.isel(time=0, drop=True)[::8, ::8]
    return xr.Dataset({name: xr.full_like(places, value) for name, value in names.items()})


SEARCHES = {
    "velocity": lambda stack: {"prior": prior(stack, vx=10.0, vy=-3.0)},
    "displacement": lambda stack: {"prior": prior(stack, dx=10.0, dy=0.0)},
    "both ways": lambda stack: {"matcher": xoffset.NCC(both_ways=True)},
    "nested": lambda stack: {"template": (16, 24), "step": 4},
    "pyramid": lambda stack: {"search": xoffset.Pyramid(6)},
    "map": lambda stack: {"search": xr.full_like(stack.isel(time=0, drop=True), 4.0)},
    "phase": lambda stack: {"matcher": "phase", "template": 32, "prefilter": None},
}


@pytest.mark.parametrize("name", SEARCHES)
def test_every_kind_of_match_can_be_extended(stack, network, name):
    options = OPTIONS | SEARCHES[name](stack)
    before = xoffset.correlate(stack[:3], xoffset.pairs(stack[:3]), **options)
    extended = xoffset.extend(before, stack, network, **options)
    scratch = xoffset.correlate(stack, network, **options)
    if name == "velocity":
        # a longer baseline needs wider margins, which may change the last bits of what was matched before
        xr.testing.assert_identical(extended.isel(pair=[2, 4, 5]), scratch.isel(pair=[2, 4, 5]))
        xr.testing.assert_allclose(extended, scratch, rtol=1e-4, atol=1e-4)
    else:
        xr.testing.assert_identical(extended, scratch)


def test_a_prior_by_pair_goes_with_its_pair(stack, network):
    layers = prior(stack, dx=1.0, dy=0.0).expand_dims(pair=6).assign_coords(network.coords)
    layers = layers * xr.DataArray(np.arange(6.0), dims="pair")
    options = OPTIONS | {"prior": layers.where(layers.pair != 4)}
    before = xoffset.correlate(stack, network.isel(pair=[5, 0, 1]), **options)
    scratch = xoffset.correlate(stack, network, **options)
    xr.testing.assert_identical(xoffset.extend(before, stack, network, **options), scratch)
    assert set(np.unique(scratch.flags & FLAGS["no_prior"], axis=None)) == {0, FLAGS["no_prior"]}


def test_shifts_from_disk_can_be_extended(stack, before, network, scratch, tmp_path):
    before.to_zarr(tmp_path / "before.zarr", consolidated=False)
    stored = xoffset.open_result(tmp_path / "before.zarr")
    extended = xoffset.extend(stored, stack, network, **OPTIONS)
    extended.to_zarr(tmp_path / "after.zarr", consolidated=False)
    xr.testing.assert_identical(xoffset.open_result(tmp_path / "after.zarr").compute(), scratch)


def test_what_was_left_out_of_the_shifts_stays_so(stack, before, network, scratch):
    fewer = before.drop_vars("score").assign(mine=before.dx, note=("pair", np.arange(3)))
    xr.testing.assert_identical(xoffset.extend(fewer, stack, network, **OPTIONS), scratch.drop_vars("score"))
    same = xoffset.extend(fewer, stack[:3], xoffset.pairs(stack[:3]), **OPTIONS)
    xr.testing.assert_identical(same, before.drop_vars("score"))


def test_images_filtered_alike_can_be_extended(stack, network):
    filtered = filtering.highpass(stack, coarse=3.0)
    options = OPTIONS | {"prefilter": None}
    before = xoffset.correlate(filtered[:3], xoffset.pairs(filtered[:3]), **options)
    scratch = xoffset.correlate(filtered, network, **options)
    xr.testing.assert_identical(xoffset.extend(before, filtered, network, **options), scratch)
    with pytest.raises(ValueError, match=r"got steps none instead of highpass\. Prepare the stack alike"):
        xoffset.extend(before, stack, network, **options)
    other = filtering.highpass(stack, coarse=4.0)
    with pytest.raises(ValueError, match=r"Prepare the stack alike"):
        xoffset.extend(before, other, network, **options)


@pytest.mark.parametrize(
    "changed",
    [
        {"template": 24}, {"search": 5}, {"search": (4, 5)}, {"step": 8}, {"matcher": xoffset.NCC(min_valid=0.8)},
        {"matcher": "phase", "template": 32}, {"prefilter": None}, {"search": xoffset.Pyramid(4)},
    ],
)  # fmt: skip
def test_other_options_are_refused(stack, before, network, changed, matched):
    with pytest.raises(ValueError, match=r"Pass the old ones, or match all pairs again"):
        xoffset.extend(before, stack, network, **OPTIONS | changed)
    assert matched == []


def test_input_is_not_modified(stack, before, network):
    copies = [each.copy(deep=True) for each in (before, stack, network)]
    extended = xoffset.extend(before, stack, network, **OPTIONS)
    extended.dx.values[:] = 7.0
    for each, copied in zip((before, stack, network), copies, strict=True):
        xr.testing.assert_identical(each, copied)


RECORDED = {
    "plain": {},
    "rectangle": {"search": (4, 5)},
    "nested": {"template": (16, 24), "step": 4},
    "pyramid": {"search": xoffset.Pyramid((6, 7), levels=1)},
    "NCC": {"matcher": xoffset.NCC(min_valid=0.8, both_ways=True)},
    "Phase": {"matcher": xoffset.Phase(mask=0.8), "template": 32, "prefilter": None},
    "Regularized": {"matcher": xoffset.Regularized(smoothness=0.2, direction=20.0), "template": None},
    "Flow": {"matcher": xoffset.Flow((12, 6)), "template": None},
    "no filter": {"prefilter": None},
    "filter by name": {"prefilter": "highpass"},
    "filter": {"prefilter": filtering_options.Bandpass(fine=0.8, coarse=4.0)},
    "log": {"prefilter": filtering_options.Log(level=-5.0)},
}


@pytest.mark.parametrize("name", RECORDED)
def test_options_left_out_are_those_on_record(stack, network, name):
    options = OPTIONS | RECORDED[name]
    before = xoffset.correlate(stack[:3], xoffset.pairs(stack[:3]), **options)
    xr.testing.assert_identical(xoffset.extend(before, stack, network), xoffset.correlate(stack, network, **options))


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("velocity", "prior", r"extend\(\) needs prior= as correlate\(\) was given it.*only the names.*Pass it"),
        ("map", "search", r"extend\(\) needs search= as correlate\(\) was given it.*only that it was a map.*Pass it"),
    ],
)
def test_what_is_not_on_record_is_asked_for(stack, network, name, option, message):
    options = OPTIONS | SEARCHES[name](stack)
    before = xoffset.correlate(stack[:3], xoffset.pairs(stack[:3]), **options)
    with pytest.raises(ValueError, match=message):
        xoffset.extend(before, stack, network)
    given = {option: options[option]}
    assert xoffset.extend(before, stack, network, **given).sizes["pair"] == 6


def test_a_matcher_of_somebody_else_is_asked_for_whatever_its_name(stack, network):
    @dataclasses.dataclass(frozen=True)
    class NCC(xoffset.NCC):
        pass

    options = OPTIONS | {"matcher": NCC()}
    before = xoffset.correlate(stack[:3], xoffset.pairs(stack[:3]), **options)
    with pytest.raises(ValueError, match=r"needs matcher= .*not of this library\. Pass it"):
        xoffset.extend(before, stack, network)
    assert xoffset.extend(before, stack, network, matcher=NCC()).sizes["pair"] == 6


def test_errors_of_the_request_name_extend(stack, before, network):
    with pytest.raises(ValueError, match=r"^extend\(\) needs a whole number"):
        xoffset.extend(before, stack, network, template=-1)
    with pytest.raises(ValueError, match=r"^extend\(\) needs the dates of the network in the stack"):
        xoffset.extend(before, stack[:3], network)


class TestLoop:
    """A new image every five days: open the store, match what is new, append it."""

    def stored(self, chunks, shards, path, first, zarr_format=3):
        encoding = {}
        if shards:
            encoding = {name: first[name].encoding | {"chunks": chunks, "shards": shards} for name in first.data_vars}
            first.to_zarr(path, encoding=encoding, consolidated=False)
        else:
            cut = dict(zip(("pair", "y", "x"), chunks, strict=True))
            first.chunk(cut).to_zarr(path, consolidated=False, zarr_format=zarr_format)

    @pytest.mark.parametrize("is_lazy", [False, True])
    @pytest.mark.parametrize(
        ("chunks", "shards", "zarr_format"),
        [
            ((-1, -1, -1), None, 3), ((1, 4, 3), None, 3), ((2, 4, 3), None, 3), ((2, 4, 3), None, 2),
            ((2, 2, 2), (4, 4, 4), 3),
        ],
    )  # fmt: skip
    def test_the_store_is_that_of_all_pairs(self, stack, chunks, shards, zarr_format, is_lazy, tmp_path):
        path = tmp_path / "shifts.zarr"
        images = stack.chunk(time=1, y=40, x=50) if is_lazy else stack
        first = xoffset.correlate(stack[:2], xoffset.pairs(stack[:2]), **OPTIONS)
        self.stored(chunks, shards, path, first, zarr_format)
        for n in (3, 4):
            known = images[:n]
            new = xoffset.open_result(path).offset.extend(known, xoffset.pairs(known), only_new=True)
            assert new.sizes["pair"] == n - 1
            new.to_zarr(path, append_dim="pair", consolidated=False)
        grown = xoffset.open_result(path)
        in_order = xr.Dataset(coords={name: grown[name] for name in ("reference", "secondary")})
        xr.testing.assert_identical(grown.load(), xoffset.correlate(stack, in_order, **OPTIONS))
        none = xoffset.extend(grown, stack, xoffset.pairs(stack), only_new=True)
        none.to_zarr(path, append_dim="pair", consolidated=False)
        xr.testing.assert_identical(xoffset.open_result(path).load(), grown)

    def test_variables_that_were_left_out_stay_so(self, stack, before, network, scratch, tmp_path):
        path = tmp_path / "shifts.zarr"
        before.drop_vars("score").to_zarr(path, consolidated=False)
        new = xoffset.extend(xoffset.open_result(path), stack, network, only_new=True)
        assert "score" not in new
        new.to_zarr(path, append_dim="pair", consolidated=False)
        order = [0, 1, 3, 2, 4, 5]
        xr.testing.assert_identical(xoffset.open_result(path).load(), scratch.drop_vars("score").isel(pair=order))

    def test_variables_of_others_are_refused(self, stack, before, network):
        with pytest.raises(ValueError, match=r"got 'mine' too.*shifts\.drop_vars\(\['mine'\]\)"):
            xoffset.extend(before.assign(mine=before.dx), stack, network, only_new=True)


def test_unwritten_pairs_are_matched_again(stack, before, network, scratch, matched):
    broken = before.copy(deep=True)
    broken["dx"][1, 2, 3] = np.nan
    broken["flags"][1, 2, 3] = FLAGS["unwritten"]
    xr.testing.assert_identical(xoffset.extend(broken, stack, network), scratch)
    assert sorted(matched[0][1]) == [(0, 2), (0, 3), (1, 3), (2, 3)]
    # as open_result(path, partial=True) opens it: the flags alone are read
    opened = broken.chunk(y=2).assign(flags=broken["flags"])
    xr.testing.assert_identical(xoffset.extend(opened, stack, network).load(), scratch)
    for shifts in (broken, opened):
        with pytest.raises(ValueError, match=r"got 1 pairs with unwritten values.*Leave only_new out"):
            xoffset.extend(shifts, stack, network, only_new=True)
    with pytest.raises(ValueError, match=r"Load them first: shifts\.load\(\)"):
        xoffset.extend(broken.chunk(), stack, network).load()
