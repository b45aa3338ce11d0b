"""Stores that are written tile by tile: complete as they would be in one piece, and resumed without a difference."""

import json
import os
import socket
import threading

import numpy as np
import pytest
import xarray as xr
import zarr

import xoffset
from xoffset import synthetic
from xoffset.pipeline import lock, store
from xoffset.pipeline.tiles import correlate_windows

DATES = ["2020-01-01", "2020-07-01", "2021-01-01"]
OPTIONS = {"template": 16, "search": 3, "step": 8}


@pytest.fixture(scope="module")
def shifts():
    stack, _ = synthetic.stack((160, 200), dates=DATES, field="constant", velocity=10.0, nodata=0.02)
    return xoffset.correlate(stack, xoffset.pairs(stack), **OPTIONS)


@pytest.fixture
def lazy(shifts):
    return shifts.chunk(pair=2, y=8, x=8)


class Fails:
    """A function of blocks that fails for one of them, until it is told not to; it counts what it did."""

    def __init__(self, error, at=(1, 1)):
        self.error, self.at, self.calls = error, at, 0

    def __call__(self, block, block_id):
        self.calls += 1
        if self.error is not None and block_id[-2:] == self.at:
            raise self.error
        return block

    def __dask_tokenize__(self):
        return id(self)


def through(data, function):
    """Product whose dx goes through a function of blocks."""
    dx = data.dx.chunk(pair=-1)
    return data.assign(dx=dx.copy(data=dx.data.map_blocks(function, dtype=dx.dtype, meta=np.empty((0, 0, 0), "f4"))))


def chunk_of(path, name, *place):
    return path / name / "c" / "/".join(map(str, place))


def test_a_store_is_what_was_to_be_written(shifts, lazy, tmp_path):
    found = lazy.offset.to_zarr(tmp_path / "shifts.zarr")
    xr.testing.assert_identical(found.compute(), shifts)
    assert found.rio.crs == shifts.rio.crs
    assert [path.name for path in tmp_path.iterdir()] == ["shifts.zarr"]
    array = zarr.open_group(tmp_path / "shifts.zarr")["dx"]
    assert array.shards == (3, 8, 8)
    states = zarr.open_group(tmp_path / "shifts.zarr" / store.RECORD)["state"]
    assert states.chunks == (1, 1)
    assert (states[:] == store.DONE).all()


@pytest.mark.parametrize("make", [lambda s: s, xoffset.invert, xoffset.velocity, lambda s: xoffset.correct(s)])
def test_every_kind_of_product_comes_back(shifts, lazy, tmp_path, make):
    found = xoffset.to_zarr(make(lazy), tmp_path / "a.zarr")
    xr.testing.assert_identical(found.compute(), make(lazy).compute())
    xr.testing.assert_equal(found.compute(), make(shifts))


def test_products_in_memory_are_written_too(shifts, tmp_path):
    xr.testing.assert_identical(xoffset.to_zarr(shifts, tmp_path / "a.zarr").compute(), shifts)
    again = shifts.assign(dx=shifts.dx + 1.0)
    with pytest.raises(ValueError, match=r"inputs: values: was .* is .*Choose another path, or remove"):
        xoffset.to_zarr(again, tmp_path / "a.zarr", resume=True)


def test_windows_are_written_with_one_match_a_tile(shifts, tmp_path, monkeypatch):
    monkeypatch.setattr("xoffset._arrays.lattice.TILE", 64)
    monkeypatch.setattr("xoffset._blocks.tiles.WINDOW", 64)
    stack, _ = synthetic.stack((160, 200), dates=DATES, field="constant", velocity=10.0, nodata=0.02)
    read = []

    def reader(rows, columns):
        read.append((rows.start, columns.start))
        return stack.values[:, rows, columns]

    network = xoffset.pairs(stack)
    found = correlate_windows(stack.chunk(time=1), network, reader, **OPTIONS).offset.to_zarr(tmp_path / "a.zarr")
    xr.testing.assert_identical(found.compute(), xoffset.correlate(stack, network, **OPTIONS))
    assert len(set(read)) == len(read) > 4


def test_a_tile_that_fails_is_told_and_tried_again(shifts, lazy, tmp_path):
    broken = Fails(ValueError("a damaged file"))
    path = tmp_path / "a.zarr"
    with pytest.raises(OSError, match=r"1 of 9 failed, at row and column \(1, 1\): ValueError: a damaged file.*safe"):
        xoffset.to_zarr(through(lazy, broken), path)
    part = path.with_name("a.zarr.part")
    states = zarr.open_group(part / store.RECORD)["state"][:]
    assert states[1, 1] == store.FAILED
    assert (states == store.DONE).sum() == 8
    mended = Fails(None)
    xr.testing.assert_identical(xoffset.to_zarr(through(lazy, mended), path, resume=True).compute(), shifts)
    assert mended.calls == 1
    assert not part.exists()


def test_a_tile_without_values_is_done(shifts, tmp_path):
    empty = shifts.where(shifts.x < float(shifts.x[8])).assign(flags=shifts.flags).chunk(y=8, x=8)
    found = xoffset.to_zarr(empty, tmp_path / "a.zarr")
    states = zarr.open_group(tmp_path / "a.zarr" / store.RECORD)["state"][:]
    assert states.tolist() == [[store.DONE, store.ALL_NAN, store.ALL_NAN]] * 3
    np.testing.assert_array_equal(found.dx, empty.dx)


@pytest.mark.parametrize("damage", ["cut", "lost", "half a file"])
def test_tiles_whose_files_changed_are_computed_again(shifts, lazy, tmp_path, damage):
    path, part = tmp_path / "a.zarr", tmp_path / "a.zarr.part"
    with pytest.raises(OSError, match="failed"):
        xoffset.to_zarr(through(lazy, Fails(ValueError("no"), at=(2, 2))), path)
    file = chunk_of(part, "dy", 0, 0, 1)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-10])
    elif damage == "lost":
        file.unlink()
    else:
        (file.parent / "1.0123456789abcdef.partial").write_bytes(b"half")
    again = Fails(None)
    xr.testing.assert_identical(xoffset.to_zarr(through(lazy, again), path, resume=True).compute(), shifts)
    assert again.calls == (1 if damage == "half a file" else 2)
    assert not list(path.rglob("*.partial"))


def test_a_complete_store_is_left_alone(lazy, tmp_path):
    path = tmp_path / "a.zarr"
    xoffset.to_zarr(lazy, path)
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    with pytest.raises(FileExistsError, match="Pass resume=True"):
        xoffset.to_zarr(lazy, path)
    counted = Fails(None)
    xoffset.to_zarr(through(lazy, counted), path, resume=True)
    assert counted.calls == 0
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before


def test_what_differs_is_named(shifts, lazy, tmp_path, monkeypatch):
    path = tmp_path / "a.zarr"
    with pytest.raises(OSError, match="failed"):
        xoffset.to_zarr(through(xoffset.screen(lazy, min_score=0.5), Fails(ValueError("no"))), path)
    with pytest.raises(ValueError, match=r"steps: \d screen: min_score: was 0.5, is 0.6"):
        xoffset.to_zarr(xoffset.screen(lazy, min_score=0.6), path, resume=True)
    with pytest.raises(ValueError, match=r"dates: reference: was 3 values"):
        xoffset.to_zarr(xoffset.screen(lazy.isel(pair=[0, 1]), min_score=0.5), path, resume=True)
    with pytest.raises(ValueError, match=r"grid: x: was "):
        xoffset.to_zarr(xoffset.screen(lazy.isel(x=slice(3, None)), min_score=0.5), path, resume=True)
    with pytest.raises(ValueError, match=r"tiles: was \[8, 8\], is \[16, 8\]"):
        xoffset.to_zarr(xoffset.screen(lazy.chunk(y=16), min_score=0.5), path, resume=True)
    monkeypatch.setattr("xoffset.pipeline.identity.version", lambda _: "99")
    with pytest.raises(ValueError, match=r"xoffset: was .*, is 99"):
        xoffset.to_zarr(xoffset.screen(lazy, min_score=0.5), path, resume=True)


def test_stores_of_others_are_refused(shifts, lazy, tmp_path):
    shifts.to_zarr(tmp_path / "a.zarr", consolidated=False)
    with pytest.raises(ValueError, match="begun itself to go on"):
        xoffset.to_zarr(lazy, tmp_path / "a.zarr", resume=True)


def test_only_products_on_a_grid_are_written(lazy, tmp_path):
    with pytest.raises(TypeError, match=r"stack.to_zarr\(path\)"):
        xoffset.to_zarr(lazy.dx, tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="on a grid"):
        xoffset.to_zarr(lazy[["reference"]], tmp_path / "a.zarr")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------------------ progress


def test_progress_counts_what_is_there_already(lazy, tmp_path):
    seen = []
    with pytest.raises(OSError, match="failed"):
        xoffset.to_zarr(through(lazy, Fails(ValueError("no"))), tmp_path / "a.zarr", progress=seen.append)
    assert [each.done for each in seen] == list(range(9))
    assert {each.total for each in seen} == {9}
    assert np.isnan(seen[0].left)
    seen.clear()
    xoffset.to_zarr(through(lazy, Fails(None)), tmp_path / "a.zarr", resume=True, progress=seen.append)
    assert [(each.done, each.new) for each in seen] == [(8, 0), (9, 1)]
    assert seen[-1].left == 0.0


def test_a_line_in_the_log_tells_how_far_it_is(lazy, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("xoffset.pipeline.progress.SILENCE", 0.0)
    with caplog.at_level("INFO", logger="xoffset"):
        xoffset.to_zarr(lazy, tmp_path / "a.zarr")
    assert "a.zarr: 9 of 9 tiles" in caplog.text


def test_an_interrupted_call_goes_on(shifts, lazy, tmp_path):
    path = tmp_path / "a.zarr"

    def interrupt(state):
        if state.new == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        xoffset.to_zarr(lazy, path, progress=interrupt)
    assert not (tmp_path / "a.zarr.lock").exists()
    assert not path.exists()
    seen = []
    xr.testing.assert_identical(xoffset.to_zarr(lazy, path, resume=True, progress=seen.append).compute(), shifts)
    assert seen[0].done >= 2


# ---------------------------------------------------------------------------------------------------------------- lock


def test_a_second_writer_is_refused(lazy, tmp_path):
    path, held, go_on = tmp_path / "a.zarr", threading.Event(), threading.Event()

    def wait(state):
        held.set()
        go_on.wait(60)

    first = threading.Thread(target=xoffset.to_zarr, args=(lazy, path), kwargs={"progress": wait})
    first.start()
    held.wait(60)
    try:
        with pytest.raises(
            BlockingIOError, match=rf"process {os.getpid()} on {socket.gethostname()}, which does. Wait"
        ):
            xoffset.to_zarr(lazy, path, resume=True)
    finally:
        go_on.set()
        first.join()
    assert path.exists()


@pytest.mark.parametrize(
    ("held", "advice"),
    [
        ({"host": "elsewhere", "process": 12, "began": "x"}, r"process 12 on elsewhere, which does.*rm .*a.zarr.lock"),
        ({}, r"a machine it does not name.*rm .*a.zarr.lock"),
    ],
)
def test_locks_of_other_machines_stay(lazy, tmp_path, held, advice):
    file = tmp_path / "a.zarr.lock"
    file.write_text(json.dumps(held))
    with pytest.raises(BlockingIOError, match=advice):
        xoffset.to_zarr(lazy, tmp_path / "a.zarr")
    assert file.exists()


@pytest.mark.parametrize("process", [2**22 + 1, os.getpid()], ids=["ended", "its number given again"])
def test_locks_of_processes_that_have_ended_are_taken_over(lazy, tmp_path, process, caplog):
    file = tmp_path / "a.zarr.lock"
    file.write_text(json.dumps({"host": socket.gethostname(), "process": process, "began": "long ago"}))
    xoffset.to_zarr(lazy, tmp_path / "a.zarr")
    assert "has ended" in caplog.text
    assert not file.exists()


def test_a_lock_is_of_one_process():
    assert lock._began(os.getpid()) == lock._began(os.getpid()) is not None
    assert lock._began(2**22 + 1) is None
