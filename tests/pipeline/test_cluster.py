"""Workers of a cluster that are killed, leave and join: the bits of one process, and little sent to any of them."""

import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time

import cloudpickle
import dask
import forked
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine

import xoffset
from xoffset import synthetic
from xoffset._blocks import threads, writes
from xoffset.pipeline import folder, store, tiles, warmup, writing
from xoffset.readers.open_stack import open_with_reader

distributed = pytest.importorskip("distributed")
cluster_of_blocks = pytest.importorskip("xoffset._blocks.cluster")

# Seconds between two workers that are killed; `--kills 10` kills more of them in one run.
EVERY = 2.0
DATES = ["2020-01-01", "2020-07-01", "2021-01-01"]
CHANGES = {"template": 16, "search": 3}
PLACE = {"crs": "EPSG:32632", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}


@pytest.fixture(scope="module")
def processes():
    """Two worker processes, of which dead ones are begun again."""
    # forked from one that has imported what it needs, where that can be
    method = "forkserver" if forked.CAN_FORK else "spawn"
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": method}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
    ):
        yield cluster


@pytest.fixture
def client(processes):
    """Client of two worker processes."""
    with distributed.Client(processes) as found:
        yield found


@pytest.fixture
def near():
    """Client of workers in this process."""
    with (
        distributed.LocalCluster(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as found,
    ):
        yield found
    # a client that a test has closed leaves its mark there
    dask.config.config.pop("scheduler", None)


def write_images(folder, images, ending="", dtype="float32"):
    folder.mkdir()
    for date, image in zip(images.time.values, images.fillna(0.0).values, strict=True):
        path = folder / f"{str(date)[:10].replace('-', '')}{ending}.tif"
        height, width = image.shape
        with rasterio.open(
            path, "w", driver="GTiff", height=height, width=width, count=1, dtype=dtype, nodata=0, **PLACE
        ) as file:
            file.write(image.astype(dtype), 1)
    return folder


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    # as wide as two tiles, which workers in other processes have as they are
    stack, _ = synthetic.stack((96, 1060), dates=DATES, field="constant", velocity=15.0, nodata=0.01)
    return write_images(tmp_path_factory.mktemp("scenes") / "images", stack)


@pytest.fixture(scope="module")
def shifts():
    stack, _ = synthetic.stack((240, 240), dates=DATES, field="constant", velocity=10.0, nodata=0.02)
    return xoffset.correlate(stack, xoffset.pairs(stack), step=8, **CHANGES)


def slow(block, seconds):
    time.sleep(seconds)
    return block


def slowly(shifts, seconds=0.05):
    """The same values, each block of them late: 36 tiles."""
    dx = shifts.chunk(y=5, x=5).dx
    late = dx.data.map_blocks(slow, seconds, dtype="f4", meta=dx.data._meta)
    return shifts.chunk(y=5, x=5).assign(dx=dx.copy(data=late))


# ------------------------------------------------------------------------------------------------------ killed workers


def note_process(path):
    """In place of compiling: writes down which worker it was called in."""
    with open(path, "a") as file:  # noqa: PTH123 (one write, appended)
        file.write(f"{os.getpid()}\n")


class Killer(threading.Thread):
    """Kills a worker now and then, in the middle of its tasks."""

    def __init__(self, cluster, kills):
        super().__init__(daemon=True)
        self.cluster, self.kills, self.killed, self.ends = cluster, kills, [], threading.Event()

    def run(self):
        while len(self.killed) < self.kills and not self.ends.wait(EVERY):
            pids = [nanny.pid for nanny in self.cluster.workers.values()]
            there = [pid for pid in pids if pid is not None and pid not in self.killed]
            if there:
                chosen = there[len(self.killed) % len(there)]
                os.kill(chosen, signal.SIGKILL)
                self.killed.append(chosen)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_workers_that_are_killed_change_no_bit(client, shifts, tmp_path, monkeypatch, kills):
    notes = tmp_path / "notes"
    monkeypatch.setattr(writing, "warm_worker", functools.partial(note_process, str(notes)))
    killer, seen = Killer(client.cluster, kills), []
    # as late as makes two workers need longer than all kills take
    lazy = slowly(shifts, kills * EVERY / 15)

    def tell(state):
        seen.append(state)
        if state.new == 1 and len(seen) == 2:
            killer.start()

    try:
        found = xoffset.to_zarr(lazy, tmp_path / "a.zarr", progress=tell)
    finally:
        killer.ends.set()
        killer.join()
    assert len(killer.killed) == kills
    xr.testing.assert_identical(found.compute(), shifts)
    assert [each.new for each in seen if not each.waits] == list(range(seen[-1].total + 1))
    # once in each worker, and in those that took the place of killed ones
    processes = notes.read_text().split()
    assert len(processes) == len(set(processes)) > 2


def die(block, notes, times):
    """A block whose first calls end the worker."""
    with open(notes, "a") as file:  # noqa: PTH123 (one write, appended)
        file.write("x")
    if os.stat(notes).st_size <= times:  # noqa: PTH116 (within a worker)
        os.kill(os.getpid(), signal.SIGKILL)
    return block


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("times", [1, 9])
def test_a_tile_whose_workers_die_is_tried_once_more(processes, shifts, tmp_path, monkeypatch, times):
    monkeypatch.setattr(processes.scheduler, "allowed_failures", 0)
    part = shifts.isel(x=slice(16), y=slice(16)).chunk(y=8, x=16)
    deadly = part.dx.data.blocks[:, :1].map_blocks(
        die, str(tmp_path / "notes"), times, dtype="f4", meta=part.dx.data._meta
    )
    lazy = part.assign(dx=part.dx.copy(data=dask.array.concatenate([deadly, part.dx.data.blocks[:, 1:]], axis=1)))
    with distributed.Client(processes):
        if times == 1:
            xr.testing.assert_identical(xoffset.to_zarr(lazy, tmp_path / "a.zarr").compute(), part.compute())
            return
        with pytest.raises(OSError, match=r"1 of 2 failed, at row and column \(0, 0\): KilledWorker"):
            xoffset.to_zarr(lazy, tmp_path / "a.zarr")
    assert (tmp_path / "notes").read_text() == "xx"


def test_a_run_on_processes_has_the_bits_of_threads(client, scenes, tmp_path):
    expected = {
        name: each.compute() for name, each in xoffset.run("generic", scenes, tmp_path / "a", **CHANGES).items()
    }
    with dask.config.set(scheduler=client):
        found = xoffset.run("generic", scenes, tmp_path / "b", **CHANGES)
    for name, each in expected.items():
        xr.testing.assert_identical(found[name].compute(), each)
    assert sorted(each.name for each in (tmp_path / "b").iterdir()) == sorted(
        each.name for each in (tmp_path / "a").iterdir()
    )
    # no library within a worker opens threads beside those of dask
    assert set(client.run(os.getenv, "OMP_NUM_THREADS").values()) == {"1"}


# ------------------------------------------------------------------------------------------------- workers come and go


def test_workers_may_leave_and_join(near, shifts, tmp_path):
    cluster, flying = near.cluster, []

    def change(state):
        flying.append(len([each for each in near.futures.values() if each.status == "pending"]))
        if state.new == 5:
            cluster.scale(1)
        if state.new == 15:
            cluster.scale(3)

    found = xoffset.to_zarr(slowly(shifts), tmp_path / "a.zarr", progress=change)
    xr.testing.assert_identical(found.compute(), shifts)
    assert max(flying[:15]) <= 2 * 2
    assert max(flying) <= 2 * 3


def fails(block):
    raise ValueError("a damaged file")


def test_a_tile_that_fails_is_told_and_the_others_are_written(near, shifts, tmp_path):
    lazy = shifts.chunk(y=8, x=8)
    part = lazy.dx.data.map_blocks(fails, dtype="f4", meta=lazy.dx.data._meta)
    blocks = lazy.dx.data.blocks
    row = dask.array.concatenate([part.blocks[:, 0, :1], blocks[:, 0, 1:]], axis=2)
    broken = lazy.assign(dx=lazy.dx.copy(data=dask.array.concatenate([row, blocks[:, 1:]], axis=1)))
    with pytest.raises(OSError, match=r"1 of \d+ failed, at row and column \(0, 0\): ValueError: a damaged file"):
        xoffset.to_zarr(broken, tmp_path / "a.zarr")
    seen = []
    found = xoffset.to_zarr(lazy, tmp_path / "a.zarr", resume=True, progress=seen.append)
    xr.testing.assert_identical(found.compute(), shifts)
    assert seen[-1].new == 1


def test_a_cluster_that_is_lost_leaves_what_is_written(near, shifts, tmp_path):
    def closes(state):
        if state.new == 5:
            near.close()

    with pytest.raises(OSError, match=r"its scheduler was lost or the client closed.*run the same again"):
        xoffset.to_zarr(slowly(shifts), tmp_path / "a.zarr", progress=closes)
    with dask.config.set(scheduler="threads"):
        seen = []
        found = xoffset.to_zarr(slowly(shifts), tmp_path / "a.zarr", resume=True, progress=seen.append)
        xr.testing.assert_identical(found.compute(), shifts)
    assert seen[0].done >= 5


def test_a_run_without_workers_waits_for_them_and_says_so(near, shifts, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(cluster_of_blocks, "PATIENCE", 0.2)
    seen = []

    def change(state):
        seen.append(state)
        if state.new == 5 and not state.waits:
            near.cluster.scale(0)
        if sum(each.waits for each in seen) == 3:
            near.cluster.scale(2)

    found = xoffset.to_zarr(slowly(shifts), tmp_path / "a.zarr", progress=change)
    xr.testing.assert_identical(found.compute(), shifts)
    waits = [each for each in seen if each.waits]
    assert len(waits) >= 3
    assert re.fullmatch(r"a.zarr: \d+ of 36 tiles, waits for workers", str(waits[0]))
    assert (seen[-1].done, seen[-1].waits) == (36, False)
    told = [each.getMessage() for each in caplog.records if "waits for workers" in each.getMessage()]
    assert len(told) == 1
    assert told[0].endswith("It goes on when there are some; what is written is safe if you stop it")


SCHEDULER = """
import time
import distributed
with distributed.LocalCluster(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None,
                              protocol="tcp") as cluster:
    print(cluster.scheduler_address, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_scheduler_that_dies_is_told(shifts, tmp_path):
    # with the same modules as here
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", SCHEDULER], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            address = process.stdout.readline().strip()

            def dies(state):
                if state.new == 5:
                    process.kill()

            with (
                distributed.Client(address),
                pytest.raises(OSError, match=r"its scheduler was lost or the client closed.*run the same again"),
            ):
                xoffset.to_zarr(slowly(shifts), tmp_path / "a.zarr", progress=dies)
        finally:
            process.kill()
    with dask.config.set(scheduler="threads"):
        found = xoffset.to_zarr(slowly(shifts), tmp_path / "a.zarr", resume=True)
        xr.testing.assert_identical(found.compute(), shifts)


def test_ctrl_c_lets_the_workers_go(near, shifts, tmp_path):
    def interrupt(state):
        if state.new == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        xoffset.to_zarr(slowly(shifts), tmp_path / "a.zarr", progress=interrupt)
    assert not (tmp_path / "a.zarr.lock").exists()
    xr.testing.assert_identical(xoffset.to_zarr(slowly(shifts), tmp_path / "a.zarr", resume=True).compute(), shifts)


def test_a_tile_that_is_there_is_not_written_again(shifts, tmp_path):
    """What a worker does that was given up for lost, and went on."""
    lazy = shifts.chunk(y=16, x=16)
    with pytest.raises(KeyboardInterrupt):
        xoffset.to_zarr(lazy, tmp_path / "a.zarr", progress=Stops())
    found = store.tiles_of(lazy, tmp_path / "a.zarr")
    place = next(each for each in found.places if each not in found.missing())
    before = {file: file.stat().st_mtime_ns for file in found.part.rglob("*")}
    blocks = {name: each.data.blocks[(..., *place)].compute() for name, each in lazy.data_vars.items()}
    found.write(place, blocks)
    assert {file: file.stat().st_mtime_ns for file in found.part.rglob("*")} == before


class Stops:
    """A function of progress that stops a call after some tiles."""

    def __call__(self, state):
        if state.new == 2:
            raise KeyboardInterrupt


# ----------------------------------------------------------------------------------------------------- what is sent


def sizes_of_tasks(product):
    graph = product.dx.data.__dask_graph__()
    return [len(cloudpickle.dumps(graph[key])) for key in graph if str(key[0]).startswith("windows")]


def test_tasks_carry_no_images_nor_masks(near, tmp_path):
    """Sixty dates in files, and a mask of all of them."""
    days = np.arange("2020-01-01", "2020-03-01", dtype="M8[D]").astype("M8[us]")
    images, _ = synthetic.stack((120, 200), dates=days, field="constant")
    stack, read = open_with_reader(write_images(tmp_path / "images", images), chunks=64)
    mask = xr.ones_like(images, dtype=bool)
    assert mask.nbytes > 1e6
    network = xoffset.pairs(stack, max_gap=3)
    found = tiles.correlate_windows(stack, network, read, beside=tmp_path / "inputs.zarr", mask=mask, **CHANGES)
    assert max(sizes_of_tasks(found)) < 100_000
    # and of images in memory
    images = images.isel(time=slice(2))
    found = tiles.correlate_windows(images, xoffset.pairs(images), beside=tmp_path / "inputs.zarr", **CHANGES)
    assert max(sizes_of_tasks(found)) < 20_000


def test_masks_and_images_travel_through_a_store(near, scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(tiles, "LARGEST_CARRIED", 1000)
    monkeypatch.setattr("xoffset._arrays.lattice.TILE", 64)
    monkeypatch.setattr("xoffset._blocks.tiles.WINDOW", 64)
    stack = xoffset.open_stack(scenes)[..., :160]
    layers = xr.where(stack > float(stack.quantile(0.1)), 5, 9)
    masks = write_images(tmp_path / "masks", layers, "_SCL", "uint8")
    options = {"mask": str(masks / "*.tif"), **CHANGES}
    there = []

    def look(state):
        there.append((tmp_path / "there" / folder.INPUTS).exists())

    with dask.config.set(scheduler="threads"):
        expected = xoffset.run("generic", stack, tmp_path / "here", tiles=":", **options)["matches"].compute()
    found = xoffset.run("generic", stack, tmp_path / "there", progress=look, **options)["matches"]
    xr.testing.assert_identical(found.compute(), expected)
    assert there[0]
    assert not there[-1]
    assert bool(np.isnan(expected.dx).any())


def test_tasks_use_one_core_each(near):
    assert near.submit(count_threads, pure=False).result() == 1
    assert writes.threads_of_worker() == 1


def count_threads():
    """Threads that a call takes which uses all cores elsewhere."""
    seen = set()

    def look(_):
        time.sleep(0.01)
        seen.add(threading.get_ident())

    threads.in_threads(look, range(8), 4)
    return len(seen)


def test_kernels_are_loaded_once(monkeypatch, caplog):
    called = []
    monkeypatch.setattr(warmup, "PARTS", dict.fromkeys(warmup.OF_RUNS, lambda: called.append(1)))
    warmup.warm_worker.cache_clear()
    warmup.warm_worker()
    warmup.warm_worker()
    assert len(called) == len(warmup.OF_RUNS)
    monkeypatch.setattr(warmup, "PARTS", {})
    warmup.warm_worker.cache_clear()
    warmup.warm_worker()
    assert "could not be compiled beforehand" in caplog.text
    warmup.warm_worker.cache_clear()
