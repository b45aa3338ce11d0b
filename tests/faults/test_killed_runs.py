"""Runs that are killed at any moment go on, and end with the same bits as if nothing had happened."""

import errno
import os
import time

import forked
import numpy as np
import pytest
import xarray as xr
import zarr

import xoffset
from xoffset import synthetic
from xoffset.pipeline import lock, store, writing

# Seconds within which each SIGKILL comes; `--kills 20` has more of them, which find rarer moments.
WITHIN = 1.2
SEED = 3

WRITER = """
import sys, time
import numpy as np, xarray as xr
import xoffset
from xoffset.pipeline import lock, store, writing
shifts = xoffset.open_result(sys.argv[1]).chunk(y=4, x=4)
def slow(block):
    with open(sys.argv[3], "a") as calls:
        calls.write("x")
    time.sleep(0.02)
    return block
dx = shifts.dx.copy(data=shifts.dx.data.map_blocks(slow, dtype="f4", meta=np.empty((0, 0, 0), "f4")))
print("begins", flush=True)
shifts.assign(dx=dx).offset.to_zarr(sys.argv[2], resume=True)
"""

# a whole run, in tiles that are small enough for a small image to have many
RUNNER = """
import sys
import xoffset
from xoffset._arrays import lattice
from xoffset._blocks import tiles
lattice.TILE = tiles.WINDOW = 64
print("begins", flush=True)
xoffset.run("generic", sys.argv[1], sys.argv[2], template=16, search=3)
"""


@pytest.fixture(scope="module")
def shifts():
    dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    stack, _ = synthetic.stack((240, 240), dates=dates, field="constant", velocity=10.0, nodata=0.02)
    return xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=3, step=8)


def begun(code, *arguments):
    return forked.begin(code, *arguments).until("begins")


@pytest.mark.skipif(not forked.CAN_FORK, reason="no processes to fork here")
def test_every_tile_survives_kills(shifts, tmp_path, kills):
    source, path, calls = (tmp_path / name for name in ("source.zarr", "out.zarr", "calls"))
    shifts.to_zarr(source, consolidated=False)
    random = np.random.default_rng(SEED)
    killed = 0
    for _ in range(kills):
        process = begun(WRITER, source, path, calls)
        time.sleep(random.uniform(0.05, WITHIN))
        killed += process.kill()
    assert killed
    status, _, errors = begun(WRITER, source, path, calls).end()
    assert status == 0, errors
    xr.testing.assert_identical(xoffset.open_result(path).compute(), shifts)
    states = zarr.open_group(path / store.RECORD)["state"][:]
    assert np.isin(states, (store.DONE, store.ALL_NAN)).all()
    # nothing twice but the tiles in flight: one a thread, and those that wait in memory for theirs
    assert calls.stat().st_size <= states.size + killed * 4 * (os.cpu_count() or 1)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["calls", "out.zarr", "source.zarr"]
    assert not list(path.rglob("*.partial"))


@pytest.mark.skipif(not forked.CAN_FORK, reason="no processes to fork here")
def test_runs_survive_kills_at_every_stage(tmp_path, kills):
    """Killed again and again, each time later, until it is done."""
    dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    stack, _ = synthetic.stack((200, 200), dates=dates, field="constant", velocity=10.0, nodata=0.02)
    stack.to_zarr(tmp_path / "stack.zarr", consolidated=False)
    start = time.monotonic()
    status, _, errors = begun(RUNNER, tmp_path / "stack.zarr", tmp_path / "whole").end()
    assert status == 0, errors
    needs = time.monotonic() - start
    random = np.random.default_rng(SEED)
    for share in (np.arange(kills) + random.uniform(0.0, 1.0, kills)) / kills:
        process = begun(RUNNER, tmp_path / "stack.zarr", tmp_path / "killed")
        time.sleep(share * needs)
        process.kill()
    status, _, errors = begun(RUNNER, tmp_path / "stack.zarr", tmp_path / "killed").end()
    assert status == 0, errors
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    for name in ("matches", "shifts", "series", "velocity"):
        found, expected = (
            xoffset.open_result(tmp_path / out / f"{name}.zarr").compute() for out in ("killed", "whole")
        )
        xr.testing.assert_identical(found, expected)


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_full_disk_stops_at_once_and_keeps_what_is_there(shifts, tmp_path, monkeypatch):
    """What a full disk raises, at the fifth tile, in place of a disk."""
    lazy, path, write = shifts.chunk(y=8, x=8), tmp_path / "a.zarr", xr.Dataset.to_zarr
    written = []

    def fills(self, *arguments, **options):
        if "region" in options:
            written.append(options["region"])
            if len(written) >= 5:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, *arguments, **options)

    monkeypatch.setattr(xr.Dataset, "to_zarr", fills)
    with pytest.raises(OSError, match=r"No space left on device.*is safe: make room, or mend the disk, and run"):
        xoffset.to_zarr(lazy, path)
    monkeypatch.undo()
    states = zarr.open_group(tmp_path / "a.zarr.part" / store.RECORD)["state"][:]
    assert (states != store.NEVER_RUN).sum() == 4
    assert (states == store.FAILED).sum() == 0
    xr.testing.assert_identical(xoffset.to_zarr(lazy, path, resume=True).compute(), shifts)


def test_a_disk_that_is_full_from_the_start_says_so(shifts, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(xr.Dataset, "to_zarr", full)
    with pytest.raises(OSError, match=r"No space left.*Make room, or choose another path"):
        xoffset.to_zarr(shifts.chunk(y=16, x=16), tmp_path / "a.zarr")
    monkeypatch.undo()
    xr.testing.assert_identical(xoffset.to_zarr(shifts, tmp_path / "a.zarr", resume=True).compute(), shifts)


# ------------------------------------------------------------------------------------------- files that are not whole


class Stops:
    """A function of progress that stops a call after so many tiles."""

    def __init__(self, after):
        self.after = after

    def __call__(self, state):
        if state.new == self.after:
            raise KeyboardInterrupt


def shards(path, name="dx"):
    return sorted(each for each in (path / name / "c").rglob("*") if each.is_file())


@pytest.mark.parametrize("part", ["all", "middle"])
def test_shards_of_zeros_are_computed_again(shifts, tmp_path, part):
    """What a loss of power leaves: the size of a file, and not its content."""
    lazy, path = shifts.chunk(y=16, x=16), tmp_path / "a.zarr"
    with pytest.raises(KeyboardInterrupt):
        xoffset.to_zarr(lazy, path, progress=Stops(3))
    file = shards(tmp_path / "a.zarr.part")[0]
    content = bytearray(file.read_bytes())
    lost = slice(None) if part == "all" else slice(len(content) // 3, len(content) // 2)
    content[lost] = bytes(len(content[lost]))
    file.write_bytes(content)
    xr.testing.assert_identical(xoffset.to_zarr(lazy, path, resume=True).compute(), shifts)


@pytest.mark.parametrize("damage", ["lost", "cut"])
def test_a_complete_store_that_lost_files_is_completed_again(shifts, tmp_path, damage, caplog):
    """Zarr reads a shard that is not there as a value, and zero is one of flags."""
    lazy, path = shifts.chunk(y=16, x=16), tmp_path / "a.zarr"
    xoffset.to_zarr(lazy, path)
    file = shards(path, "flags")[-1]
    if damage == "lost":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1])
    seen = []
    found = xoffset.to_zarr(lazy, path, resume=True, progress=seen.append)
    xr.testing.assert_identical(found.compute(), shifts)
    assert seen[-1].new == 1
    assert "has lost or damaged files" in caplog.text


def test_a_store_is_complete_only_with_all_of_its_files(shifts, tmp_path):
    lazy, path = shifts.chunk(y=16, x=16), tmp_path / "a.zarr"

    def loses(state):
        if state.new == state.total:
            shards(tmp_path / "a.zarr.part")[0].unlink()

    with pytest.raises(OSError, match=r"1 of \d+ whose files are gone or cut.*run the same again"):
        xoffset.to_zarr(lazy, path, progress=loses)
    assert not path.exists()
    xr.testing.assert_identical(xoffset.to_zarr(lazy, path, resume=True).compute(), shifts)


def test_a_kill_between_data_and_status_computes_the_tile_again(shifts, tmp_path, monkeypatch):
    lazy, path = shifts.chunk(y=16, x=16), tmp_path / "a.zarr"
    note, noted = store.TileStore._note, []

    def killed(self, place, *arguments):
        if len(noted) == 2:
            raise KeyboardInterrupt
        noted.append(place)
        note(self, place, *arguments)

    monkeypatch.setattr(store.TileStore, "_note", killed)
    with pytest.raises(KeyboardInterrupt):
        xoffset.to_zarr(lazy, path)
    monkeypatch.undo()
    assert len(shards(tmp_path / "a.zarr.part")) > 2
    seen = []
    xr.testing.assert_identical(xoffset.to_zarr(lazy, path, resume=True, progress=seen.append).compute(), shifts)
    assert seen[0].done == 2


def test_a_kill_before_the_last_rename_only_renames(shifts, tmp_path, monkeypatch):
    lazy, path = shifts.chunk(y=16, x=16), tmp_path / "a.zarr"

    def killed(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(store.TileStore, "finish", killed)
    with pytest.raises(KeyboardInterrupt):
        xoffset.to_zarr(lazy, path)
    monkeypatch.undo()
    seen = []
    xr.testing.assert_identical(xoffset.to_zarr(lazy, path, resume=True, progress=seen.append).compute(), shifts)
    assert [each.new for each in seen] == [0]


@pytest.mark.parametrize("change", [{"dtype": "float64"}, {"crs": "EPSG:32633"}])
def test_other_types_and_systems_are_refused(shifts, tmp_path, change):
    lazy, path = shifts.chunk(y=16, x=16), tmp_path / "a.zarr"
    xoffset.to_zarr(lazy, path)
    other = lazy.assign(dx=lazy.dx.astype(change["dtype"])) if "dtype" in change else lazy.rio.write_crs(change["crs"])
    with pytest.raises(ValueError, match=r"crs: was|variables: dx: was float32"):
        xoffset.to_zarr(other, path, resume=True)


def test_a_place_that_cannot_be_written_is_told(shifts, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match=r"to_zarr\(\) needs a folder that can be written; got .* choose another folder"):
        xoffset.to_zarr(shifts, tmp_path / "file" / "a.zarr")


# ---------------------------------------------------------------------------------------------------------- two writers


@pytest.mark.skipif(lock.fcntl is None, reason="no locks of files here")
def test_a_lock_that_was_taken_over_meanwhile_stays(tmp_path):
    """Two find the lock of a process that has ended; the first takes it over before the second does."""
    file = tmp_path / "a.zarr.lock"
    file.write_text("ended")
    lock._remove_unchanged(file, "ended")
    assert not file.exists()
    file.write_text("the first")
    lock._remove_unchanged(file, "ended")
    assert file.read_text() == "the first"


def test_who_comes_late_finds_the_store_of_the_other(shifts, tmp_path, monkeypatch):
    """The other completes it after this one looked, and before it has the lock."""
    lazy, path, take = shifts.chunk(y=16, x=16), tmp_path / "a.zarr", lock.only_writer

    def late(*asked):
        monkeypatch.setattr(writing, "only_writer", take)
        xoffset.to_zarr(lazy, path)
        return take(*asked)

    monkeypatch.setattr(writing, "only_writer", late)
    xr.testing.assert_identical(xoffset.to_zarr(lazy, path).compute(), shifts)
    assert [each.name for each in tmp_path.iterdir()] == ["a.zarr"]
