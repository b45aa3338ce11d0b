"""A store of which something was not written, was lost or has rotted is never read as if it were whole."""

import itertools
import os
import pickle
import shutil
import time
from pathlib import Path

import dask
import forked
import numpy as np
import pytest
import xarray as xr
import zarr
from test_round_trip import make, save

import xoffset
from xoffset import synthetic
from xoffset.model import products
from xoffset.model.flags import FLAGS

UNWRITTEN = FLAGS["unwritten"]
# variables that no product needs, so that their loss shows only where they are asked for
# may have no value in a whole chunk, which Zarr 2 then leaves out
OPTIONAL = {"false_alarm", "ambiguity", "valid_fraction", "template_size", "mismatch", "removed_dx", "removed_dy"}
OPTIONAL |= {"sigma_shift", "curvature_x", "curvature_y", "n_bands"}
PRODUCTS = ("shifts", "series", "rate")
PARTIAL = r"open_result\(path, partial=True\)"
pytestmark = pytest.mark.filterwarnings("ignore:The codec `vlen-utf8` is currently not part in the Zarr format 3")


def flagged(product, shape=(12, 14)):
    """Product whose values without a number have a flag, as all of ours do, and others have none."""
    data = make(product, shape=shape)
    is_lost = np.isnan(data["vx" if product == "rate" else "dx"].values)
    data["flags"] = data["flags"].copy(data=np.where(is_lost, FLAGS["border"], 0))
    return products.finish(data)


def chunk_files(path, name):
    """Files of the chunks of a variable, for either version of the format."""
    files = (file for file in (path / name).rglob("*") if file.is_file())
    return sorted(file for file in files if file.name == "c" or file.name.replace(".", "").isdigit())


class Stopped(Exception):
    """What stops a writer."""


def of_maps(data):
    """A product without the variables that have no blocks."""
    return data.drop_vars([name for name, each in data.data_vars.items() if not each.dims])


def stopping(data, stop):
    """Product that stops its writer after some blocks, in the order of dask."""
    count = itertools.count()

    def block(values):
        if next(count) >= stop:
            raise Stopped
        return values

    lazy = data.chunk(y=5, x=6).assign_coords(data.coords)  # dates are there from the start
    for name, variable in lazy.data_vars.items():
        meta = np.empty((0,) * variable.ndim, variable.dtype)
        blocks = variable.data.map_blocks(block, dtype=variable.dtype, meta=meta)
        lazy[name] = variable.variable._replace(data=blocks)
    return lazy


def write_until(data, path, stop, **options):
    """Write a product and stop after some blocks."""
    with dask.config.set(scheduler="synchronous"):
        stopping(data, stop).to_zarr(path, consolidated=False, **options)


@pytest.mark.parametrize("zarr_format", [3, 2])
@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_stopped_writer_is_noticed(product, share, zarr_format, tmp_path):
    data, path = flagged(product), tmp_path / "store.zarr"
    data = of_maps(data)
    if zarr_format == 2 and product == "shifts":
        # of the others an append leaves out chunks without values
        data = data[["dx", "dy", "sigma_dx", "sigma_dy", "flags"]]
    blocks = sum(np.prod([len(side) for side in v.chunks]) for v in data.chunk(y=5, x=6).data_vars.values())
    stop = min(int(share * blocks), blocks - 1)
    with pytest.raises(Stopped):
        write_until(data, path, stop, zarr_format=zarr_format)
    with pytest.raises(OSError, match=rf"lacks .*Its writer was stopped.*{PARTIAL}"):
        xoffset.open_result(path)
    opened = xoffset.open_result(path, partial=True).load()
    gaps = (opened.flags & UNWRITTEN) != 0
    assert gaps.any()
    for name, values in data.data_vars.items():
        if values.dims == data.flags.dims and values.dtype.kind == "f":
            assert opened[name].where(gaps).isnull().all()
            np.testing.assert_array_equal(opened[name].where(~gaps), values.where(~gaps))
    np.testing.assert_array_equal(opened.flags.where(~gaps), data.flags.where(~gaps))


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_complete_store_is_whole_to_xarray_too(product, tmp_path):
    data = flagged(product)
    for options in ({}, {"compute": False}):
        data.chunk(y=5, x=6).to_zarr(tmp_path / "store.zarr", mode="w", consolidated=False, **options)
        if options:
            continue
        plain = xr.open_zarr(tmp_path / "store.zarr", consolidated=False, decode_coords="all")
        xr.testing.assert_equal(plain.load(), data)
        maps = [name for name, variable in data.data_vars.items() if "y" in variable.dims]
        assert all(len(chunk_files(tmp_path / "store.zarr", name)) == 9 for name in maps)
    # a template to be filled by region, of which nothing is
    with pytest.raises(OSError, match=r"lacks (9 of 9|1 of 1) chunks"):
        xoffset.open_result(tmp_path / "store.zarr")
    for rows in (slice(0, 5), slice(5, 12)):
        part = data.isel(y=rows).drop_vars([n for n, v in data.variables.items() if "y" not in v.dims])
        part.to_zarr(tmp_path / "store.zarr", region={"y": rows}, consolidated=False)
    if not {"reference", "time"} & set(data.coords):
        xr.testing.assert_identical(xoffset.open_result(tmp_path / "store.zarr").load(), data)


SLOW = """
import sys, time
sys.path.append(sys.argv[1])
from test_incomplete import flagged
data = flagged(sys.argv[2], (40, 40)).chunk(y=4, x=4)
data.map_blocks(lambda block: time.sleep(0.02) or block, template=data).to_zarr(sys.argv[3], consolidated=False)
"""


@pytest.mark.skipif(not forked.CAN_FORK, reason="no processes to fork here")
@pytest.mark.parametrize("product", PRODUCTS)
def test_a_killed_writer_is_noticed(product, tmp_path):
    path = tmp_path / "store.zarr"
    writer = forked.begin(SLOW, Path(__file__).parent, product, path)
    name = "vx" if product == "rate" else "dx"
    deadline = time.monotonic() + 120
    while len(chunk_files(path, name)) < 5 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert writer.kill()
    with pytest.raises(OSError, match=PARTIAL):
        xoffset.open_result(path)


@pytest.mark.parametrize("zarr_format", [3, 2])
@pytest.mark.parametrize("product", [*PRODUCTS, "network"])
def test_lost_chunks_of_any_variable_are_noticed(product, zarr_format, tmp_path):
    data = flagged(product) if product != "network" else make(product)
    path = save(data, tmp_path, f"zarr{zarr_format}")
    for name in data.variables:
        if zarr_format == 2 and name == "spatial_ref":
            continue  # its only value has no meaning, and appends of xarray take it away
        if zarr_format == 2 and product in ("shifts", "series") and name in ("score", "snr", "peak_gap", "cov_dxdy"):
            continue
        for file in chunk_files(path, name)[-1:]:
            kept = file.read_bytes()
            file.unlink()
            if zarr_format == 3 or (name not in OPTIONAL and "factor" not in name):
                with pytest.raises(OSError, match=rf"'{name}'|values of 'dx'"):
                    xoffset.open_result(path).load()
            file.write_bytes(kept)
    xr.testing.assert_identical(xoffset.open_result(path).load(), data)


@pytest.mark.parametrize("product", PRODUCTS)
def test_lost_variables_are_noticed(product, tmp_path):
    data = flagged(product)
    path = save(data, tmp_path)
    component = "vx" if product == "rate" else "dx"
    dates = {"shifts": ["reference", "secondary"], "series": ["time"], "rate": []}[product]
    for name in (component, f"sigma_{component}", "flags", "y", *dates):
        shutil.move(path / name, tmp_path / "away")
        with pytest.raises(OSError, match=f"lacks the variable '{name}'.*{PARTIAL}"):
            xoffset.open_result(path)
        shutil.move(tmp_path / "away", path / name)
    shutil.rmtree(path / "flags")
    opened = xoffset.open_result(path, partial=True)
    np.testing.assert_array_equal((opened.flags & UNWRITTEN) != 0, np.isnan(data[component]))


@pytest.mark.filterwarnings("ignore:Variable.s. referenced in grid_mapping")
def test_a_writer_that_was_stopped_between_variables_is_noticed(tmp_path):
    stack, _ = synthetic.stack((64, 64), dates=["2020-01-01", "2020-04-01", "2020-07-01", "2020-10-01"])
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=4, step=8)
    series = xoffset.invert(shifts, reference="2020-01-01")
    rate = xoffset.velocity(series)
    made = (shifts, series, rate, xoffset.closure(shifts), xoffset.strain(rate), xoffset.ground(rate))
    for k, data in enumerate((*made, xoffset.resample(series, "30D"), xoffset.quality(shifts))):
        # older shifts have no false alarms, and no ambiguity
        names = [name for name in data.variables if name not in ("false_alarm", "ambiguity")]
        for count in range(len(names)):
            data.drop_vars(data.variables.keys() - set(names[:count])).to_zarr(
                tmp_path / f"{k}.zarr", mode="w", consolidated=False
            )
            with pytest.raises(OSError, match="lacks "):
                xoffset.open_result(tmp_path / f"{k}.zarr")
        data.to_zarr(tmp_path / f"{k}.zarr", mode="w", consolidated=False)
        xr.testing.assert_identical(xoffset.open_result(tmp_path / f"{k}.zarr").load(), data)


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
@pytest.mark.parametrize("zarr_format", [3, 2])
def test_a_network_that_lost_a_coordinate_is_noticed(zarr_format, tmp_path):
    network = products.finish(make("network"))
    path = tmp_path / "network.zarr"
    for consolidated in (True, False):
        network.to_zarr(path, mode="w", zarr_format=zarr_format, consolidated=consolidated)
        shutil.rmtree(path / "baseline")
        with pytest.raises(OSError, match="lacks the variable 'baseline'"):
            xoffset.open_result(path)


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
@pytest.mark.parametrize("consolidated", [True, False])
@pytest.mark.parametrize("zarr_format", [3, 2])
def test_variables_lost_on_a_server_are_noticed(zarr_format, consolidated, tmp_path):
    import fsspec

    place = f"memory://{tmp_path.name}.zarr"
    server = fsspec.filesystem("memory")
    for name in ("flags", "dx", "y", "reference", "baseline"):
        flagged("shifts").to_zarr(place, mode="w", zarr_format=zarr_format, consolidated=consolidated)
        server.rm(f"/{tmp_path.name}.zarr/{name}", recursive=True)
        with pytest.raises(OSError, match="needs a complete product"):
            xoffset.open_result(place).load()
    server.rm(f"/{tmp_path.name}.zarr", recursive=True)


@pytest.mark.filterwarnings("ignore:Object at .* is not recognized as a component")
@pytest.mark.parametrize("zarr_format", [3, 2])
def test_arrays_whose_description_is_damaged_are_noticed(zarr_format, tmp_path):
    path = tmp_path / "store.zarr"
    flagged("series").to_zarr(path, zarr_format=zarr_format, consolidated=False)
    name = "zarr.json" if zarr_format == 3 else ".zarray"
    for variable in ("rms", "n_pairs", "spatial_ref"):
        whole = (path / variable / name).read_text()
        for damaged in (whole.replace("zarr_format", "zarr_formau"), None):
            (path / variable / name).unlink()
            if damaged is not None:
                (path / variable / name).write_text(damaged)
            with pytest.raises(OSError, match=rf"{variable}|damaged"):
                xoffset.open_result(path)
            (path / variable / name).write_text(whole)
    xoffset.open_result(path).close()


@pytest.mark.filterwarnings("ignore:Object at .* is not recognized as a component")
def test_a_store_without_variables_is_no_product(tmp_path):
    data, path = flagged("rate").assign_attrs(processing='[{"function": "velocity"}]'), tmp_path / "store.zarr"
    data.to_zarr(path, zarr_format=2)
    group = (path / ".zgroup").read_text()
    (path / ".zgroup").write_text(group.replace("2", "3"))
    with pytest.raises(OSError, match="lacks "):
        xoffset.open_result(path)
    with pytest.raises(OSError, match="holds coordinates at most"):
        xoffset.open_result(path, partial=True)


def test_a_damaged_summary_is_explained(tmp_path):
    path = tmp_path / "store.zarr"
    flagged("rate").to_zarr(path, zarr_format=2, consolidated=True)
    summary = (path / ".zmetadata").read_bytes()
    for damaged in (b"", summary[:100], bytes(len(summary)), b"\xff" + summary[1:]):
        (path / ".zmetadata").write_bytes(damaged)
        with pytest.raises(OSError, match="incomplete or damaged"):
            xoffset.open_result(path)


def opened_or_named(path, name):
    """Product of a store, or None if it is refused with an error that names variable, chunk and store."""
    try:
        return xoffset.open_result(path).load()
    except OSError as error:
        told = str(error)
    assert all(part in told for part in (f"'{name}'", "chunk", str(path))), told
    return None


@pytest.mark.parametrize("zarr_format", [3, 2])
@pytest.mark.parametrize("product", [*PRODUCTS, "stack", "network"])
def test_flipped_bits_are_noticed(product, zarr_format, tmp_path):
    data = products.finish(make(product))
    path = save(data, tmp_path, f"zarr{zarr_format}")
    random = np.random.default_rng(3)
    # of each variable, and more of each where they are few
    flips = 1 if product == "shifts" else 3
    for name in data.variables:
        for file in chunk_files(path, name):
            kept = file.read_bytes()
            for place in random.integers(0, len(kept), flips):
                changed = bytearray(kept)
                changed[place] ^= 1 << int(random.integers(0, 8))
                file.write_bytes(changed)
                opened = opened_or_named(path, name)
                # a few bits have no meaning
                assert opened is None or opened.identical(data)
            file.write_bytes(kept)
    xr.testing.assert_identical(xoffset.open_result(path).load(), data)


def test_the_damaged_chunk_is_named(tmp_path):
    data = make("shifts", shape=(12, 14))
    path = tmp_path / "store.zarr"
    data.chunk(pair=2, y=5, x=6).to_zarr(path, consolidated=False)
    (path / "dy/c/1/2/1").write_bytes(b"rotten")
    opened = xoffset.open_result(path)
    assert opened.dy.chunksizes["y"] == (12,)
    with pytest.raises(OSError, match=r"'dy' in chunk 1/2/1 \(pair 2 to 2, y 10 to 11, x 6 to 11\) of .*store\.zarr"):
        opened.load()
    xr.testing.assert_identical(opened.drop_vars("dy").load(), data.drop_vars("dy"))


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_stopped_writer_of_netcdf_is_noticed(product, tmp_path):
    data, path = of_maps(flagged(product)), tmp_path / "file.nc"
    with dask.config.set(scheduler="synchronous"), pytest.raises(Stopped):
        stopping(data, 14).to_netcdf(path, engine="h5netcdf")
    component = "vx" if product == "rate" else "dx"
    for name in (component, f"sigma_{component}", "flags"):
        with pytest.raises(OSError, match=rf"unwritten values of '{name}' in chunk.*{PARTIAL}"):
            xoffset.open_result(path)[name].load()
    opened = xoffset.open_result(path, partial=True).load()
    gaps = (opened.flags & UNWRITTEN) != 0
    assert not (opened[component].isnull() & (opened.flags == 0)).any()
    np.testing.assert_array_equal(opened[component].where(~gaps), data[component].where(~gaps))


@pytest.mark.parametrize("is_whole", [True, False])
def test_older_stores_open(is_whole, tmp_path):
    """Flags whose fill value is 0 have no chunks where all is good; a chunk without a reason is told from that."""
    data, path = flagged("shifts"), tmp_path / "store.zarr"
    data["flags"] = data["flags"].astype("int32")
    for variable in data.variables.values():
        variable.encoding = {}
    data.chunk(y=5, x=6).to_zarr(path, consolidated=False)
    assert len(chunk_files(path, "flags")) == 1
    if is_whole:
        xr.testing.assert_identical(xoffset.open_result(path).load(), data)
        return
    for file in (chunk_files(path, "flags")[0], chunk_files(path, "dx")[0]):
        file.unlink()
    with pytest.raises(OSError, match=r"lacks values of 'dx' in chunk 0/0/0"):
        xoffset.open_result(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_a_cut_netcdf_is_refused(share, tmp_path):
    path = save(make("shifts", shape=(40, 40)), tmp_path, "netcdf")
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(OSError, match=r"needs (a readable|readable values)"):
        xoffset.open_result(path).load()


def test_a_chunk_that_is_lost_later_is_noticed(tmp_path):
    path = save(flagged("series"), tmp_path)
    opened = xoffset.open_result(path)
    for name in ("dx", "flags", "n_pairs"):
        shutil.rmtree(path / name / "c")
        with pytest.raises(OSError, match=rf"unwritten values of '{name}' in chunk"):
            opened[name].load()


DATES = ("2020-01-01", "2020-01-06", "2020-01-11", "2020-01-16")


@pytest.fixture(scope="module")
def stack():
    return synthetic.stack((96, 96), dates=DATES, snr=5.0)[0]


@pytest.fixture(scope="module")
def whole(stack):
    return xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=4, step=8)


class TestAppend:
    """An append that was stopped: what was there before can be had, and the rest be made again."""

    def store(self, whole, folder, chunks):
        path = folder / "shifts.zarr"
        is_old = whole.secondary.values < np.datetime64(DATES[3])
        whole.isel(pair=is_old).chunk(chunks).to_zarr(path, consolidated=False)
        return path, whole.isel(pair=~is_old)

    def check(self, path, stack, whole):
        with pytest.raises(OSError, match="needs a complete product"):
            xoffset.open_result(path).load()
        rest = xoffset.open_result(path, partial=True)
        assert rest.sizes["pair"] in (3, 6)
        for given in (rest, rest.copy().load()):
            mended = xoffset.extend(given, stack, xoffset.pairs(stack))
            xr.testing.assert_identical(mended.load(), whole)
            with pytest.raises(ValueError, match=r"(whole shifts for only_new|none)"):
                self.only_new(given, stack)
        mended.to_zarr(path, mode="w", consolidated=False)
        xr.testing.assert_identical(xoffset.open_result(path), whole)

    @staticmethod
    def only_new(rest, stack):
        if rest.sizes["pair"] == 3:
            raise ValueError("none is left to be mended")
        xoffset.extend(rest, stack, xoffset.pairs(stack), only_new=True)

    @pytest.mark.parametrize("chunks", [{"pair": 1}, {"pair": 2}, {"pair": 3, "y": 5, "x": 4}])
    @pytest.mark.parametrize("stop", [0, 1, 5, 7])
    def test_stopped_between_blocks(self, stack, whole, chunks, stop, tmp_path):
        path, new = self.store(whole, tmp_path, chunks)
        lazy = {dim: chunks.get(dim, -1) for dim in ("y", "x")}
        count = itertools.count()

        def block(values):
            if next(count) >= stop:
                raise Stopped
            return values

        parts = new.chunk(lazy)
        for name, variable in parts.data_vars.items():
            meta = np.empty((0, 0, 0), variable.dtype)
            stopping = variable.data.map_blocks(block, dtype=variable.dtype, meta=meta)
            parts[name] = variable.variable._replace(data=stopping)
        with dask.config.set(scheduler="synchronous"), pytest.raises(Stopped):
            parts.to_zarr(path, append_dim="pair", consolidated=False)
        self.check(path, stack, whole)

    @pytest.mark.parametrize("names", [("dx",), ("reference", "secondary", "dx", "dy"), ("reference",)])
    def test_stopped_between_variables(self, stack, whole, names, tmp_path):
        path, _ = self.store(whole, tmp_path, {"pair": 3})
        for name in names:
            array = zarr.open_array(path, path=name, mode="r+")
            array.resize((6, *array.shape[1:]))
        self.check(path, stack, whole)

    def test_stopped_before_the_dates(self, stack, whole, tmp_path):
        path, _ = self.store(whole, tmp_path, {"pair": 3})
        for name, variable in whole.variables.items():
            if "pair" in variable.dims:
                array = zarr.open_array(path, path=name, mode="r+")
                array.resize((6, *array.shape[1:]))
        self.check(path, stack, whole)


def test_what_was_left_out_on_purpose_of_others_stays_out(tmp_path):
    """A variable more or less that no function needs is the caller's own affair."""
    data = make("shifts").drop_vars(["score", "peak_gap"]).assign(mine=("pair", np.zeros(3, int)))
    xr.testing.assert_identical(xoffset.open_result(save(data, tmp_path)), data)


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_summary_tells_what_was_left_out_on_purpose(product, tmp_path):
    data = flagged(product)
    name = "vx" if product == "rate" else "dx"
    path = tmp_path / "store.zarr"
    data[[name]].to_zarr(path, zarr_format=2)
    xr.testing.assert_identical(xoffset.open_result(path), data[[name]])
    data.to_zarr(path, zarr_format=2, mode="w")
    shutil.rmtree(path / f"sigma_{name}")
    with pytest.raises(OSError, match=rf"lacks the variable 'sigma_{name}'"):
        xoffset.open_result(path)
    data[[name]].to_zarr(path, mode="w", consolidated=False)
    with pytest.raises(OSError, match=rf"lacks the variable .*{PARTIAL}"):
        xoffset.open_result(path)
    np.testing.assert_array_equal(xoffset.open_result(path, partial=True)[name], data[name])


def test_pixels_without_nan_are_not_opened_in_part(tmp_path):
    pixels = make("stack").drop_vars("platform").fillna(0.0).astype("uint16")
    products.finish_stack(pixels["image"])
    path = save(pixels.chunk(time=1), tmp_path)
    xr.testing.assert_identical(xoffset.open_result(path), pixels)
    next(iter(chunk_files(path, "image"))).unlink()
    with pytest.raises(OSError, match=r"1 of 4 chunks of 'image'"):
        xoffset.open_result(path)
    with pytest.raises(OSError, match=r"uint16, which has no NaN"):
        xoffset.open_result(path, partial=True)


@pytest.mark.parametrize("form", ["zarr3", "zarr2", "netcdf"])
def test_graphs_are_one_task_a_block_and_travel(form, tmp_path):
    opened = xoffset.open_result(save(make("shifts", shape=(40, 40)).chunk(y=10), tmp_path, form))
    for variable in opened.data_vars.values():
        assert len(variable.data.__dask_graph__()) <= 1 + variable.data.npartitions
    xr.testing.assert_identical(pickle.loads(pickle.dumps(opened)).load(), opened.load())
