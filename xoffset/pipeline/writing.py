"""A lazy product written tile by tile: what is missing is computed, and what fails is told by its tile."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from xoffset._blocks import writes
from xoffset.pipeline.identity import Identity, fingerprints, identity_of
from xoffset.pipeline.lock import only_writer
from xoffset.pipeline.store import Place, TileStore, Unwritable, lazy_arrays, tiles_of
from xoffset.readers.open_result import open_result

logger = logging.getLogger("xoffset")

# Tiles a worker that are computed together: few wait in memory, and little is to be done again after a crash.
AT_ONCE = 2
# Least time between two lines in the log, seconds.
SILENCE = 10.0


class Progress(NamedTuple):
    """How far a stage of a run is: tiles done of all, of these in this run, and the seconds that these took."""

    stage: str
    done: int
    total: int
    new: int
    seconds: float

    @property
    def left(self) -> float:
        """Seconds that the rest will take at the rate so far; NaN where nothing was done yet."""
        return (self.total - self.done) * self.seconds / self.new if self.new else float("nan")


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Job:
    """How a store is to be written: who asks, what it is called, and what computes it."""

    caller: str
    stage: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    is_scene: bool = False  # whether what belongs to the whole scene is computed for all tiles together
    report: Report | None = None


def write_store(data: xr.Dataset, path: Path, job: Job) -> xr.Dataset:
    """Write a product to a Zarr store, or what of it is missing there, and open it.

    Raises
    ------
    BlockingIOError
        If another process writes it.
    OSError
        If the disk cannot be written, or if tiles could not be computed, which are named; what is written is safe.
    ValueError
        If what is there was made of something else; the message names what differs.
    """
    store = tiles_of(data, path)
    identity = identity_of(data, job.inputs) | {"tiles": list(store.sides)}
    if _is_whole(store, identity, job):
        return open_result(path)
    with only_writer(path, job.caller):
        if path.exists():
            # another writer may have ended it meanwhile
            if _is_whole(store, identity, job):
                return open_result(path)
            logger.warning("%s has lost or damaged files since it was complete: they are written anew", path)
            store.reopen()
        _begin(store, data, identity, job)
        _write_missing(store, data, job)
        failed = store.reasons()
        if failed:
            told = [f"{place}: {reason}" for place, reason in list(failed.items())[:3]]
            raise OSError(
                f"{job.caller}() needs every tile of {path}; {len(failed)} of {len(store.places)} failed, at row and "
                f"column {'; '.join(told)}. All others are safe: mend the cause and run the same again."
            )
        lost = store.missing(by_content=False)
        if lost:
            raise OSError(
                f"{job.caller}() needs every tile of {path}; got {len(lost)} of {len(store.places)} whose files are "
                "gone or cut since they were written. All others are safe: run the same again."
            )
        store.finish()
    return open_result(path)


def _is_whole(store: TileStore, identity: Identity, job: Job) -> bool:
    """Whether a store is complete, and all of it still as it was written; refuses one of something else."""
    if not store.path.exists():
        return False
    store.check(identity, store.path, job.caller)
    complete = store.complete()
    return not complete.damaged() and not complete.missing()


def _begin(store: TileStore, data: xr.Dataset, identity: Identity, job: Job) -> None:
    """Make the store, or go on with what a run left that was stopped."""
    if store.part.exists():
        store.check(identity, store.part, job.caller)
        store.sweep()
    damaged = store.damaged() if store.part.exists() else None
    try:
        if damaged is None:
            store.create(lazy_arrays(data, store), identity)
        elif damaged:
            store.restore(lazy_arrays(data, store), identity, damaged)
    except OSError as error:
        raise Unwritable(
            f"{job.caller}() needs a disk that can be written; got '{error}'. Make room, or choose another path than "
            f"{store.path}."
        ) from error


def _write_missing(store: TileStore, data: xr.Dataset, job: Job) -> None:
    missing = store.missing()
    total, began = len(store.places), time.monotonic()
    done: list[Place] = []
    told = [began]

    def report(result: tuple[Place, int]) -> None:
        done.append(result[0])
        now = time.monotonic()
        state = Progress(job.stage, total - len(missing) + len(done), total, len(done), now - began)
        if job.report is not None:
            job.report(state)
        if now - told[0] >= SILENCE:
            told[0] = now
            logger.info("%s: %d of %d tiles, about %.0f s left", *state[:3], state.left)

    if job.report is not None:
        job.report(Progress(job.stage, total - len(missing), total, 0, 0.0))
    if not missing:
        return
    laid = lazy_arrays(data, store)
    lazy = {str(name): each for name, each in laid.data_vars.items() if not isinstance(each.data, np.ndarray)}
    maps = {name: each.data for name, each in lazy.items() if each.dims[-2:] == ("y", "x")}
    tasks = writes.tasks_of(maps, {name: each.data for name, each in lazy.items() if name not in maps}, store.write)
    at_once = None if job.is_scene else AT_ONCE * (job.workers or writes.workers_here())
    for places in writes.rounds(missing, at_once):
        try:
            writes.compute_each([tasks[place] for place in places], report, job.workers)
        except Unwritable:
            raise
        except Exception as error:
            if job.is_scene:
                raise
            logger.warning("%s: %s: each tile by itself", job.stage, error)
            _one_by_one(store, {place: tasks[place] for place in places if place not in done}, report, job)


def _one_by_one(store: TileStore, tasks: Mapping[Place, object], report: Callable[..., None], job: Job) -> None:
    """Compute tiles each for itself, to find those that fail, and write down why."""
    for place, task in tasks.items():
        try:
            writes.compute_each([task], report, job.workers)
        except Unwritable:
            raise
        except Exception as error:
            store.fail(place, f"{type(error).__name__}: {error}")


def inputs_of(data: xr.Dataset) -> dict[str, str]:
    """Hash of a product that is in memory; nothing of a lazy one."""
    is_here = all(isinstance(each.variable._data, np.ndarray) for each in data.data_vars.values())
    return fingerprints({"values": data}) if is_here else {}
