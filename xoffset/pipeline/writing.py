"""A lazy product written tile by tile: what is missing is computed, and what fails is told by its tile."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xoffset._blocks import writes
from xoffset.pipeline.identity import Identity, fingerprints, identity_of
from xoffset.pipeline.lock import only_writer
from xoffset.pipeline.parts import Part
from xoffset.pipeline.places import Place
from xoffset.pipeline.progress import Report, Tally, raising_what_is_told
from xoffset.pipeline.store import Place as Tile
from xoffset.pipeline.store import TileStore, tiles_of
from xoffset.pipeline.store_files import Unwritable, lazy_arrays
from xoffset.pipeline.warmup import warm_worker
from xoffset.readers.open_result import open_stored

logger = logging.getLogger("xoffset")

# Tiles a worker that are computed together: few wait in memory, and little is to be done again after a crash.
AT_ONCE = 2
# Values of a variable that are worth a task of the stages that follow: each of them takes microseconds.
WORTH = 2**18


@dataclass(frozen=True)
class Job:
    """How a store is to be written: who asks, what it is called, and what computes it."""

    caller: str
    stage: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    is_scene: bool = False  # whether what belongs to the whole scene is computed for all tiles together
    report: Report | None = None
    part: Part | None = None  # of the tiles, where others write the rest


def write_store(data: xr.Dataset, path: Place, job: Job) -> xr.Dataset | None:
    """Write a product to a Zarr store, or what of it is missing there, and open it; None while tiles of others lack.

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
    was_complete = store.is_complete
    if was_complete and _is_whole(store, identity, job):
        return _opened(store, data)
    with only_writer(path, job.caller, job.part), raising_what_is_told():
        if store.is_complete:
            # another writer may have ended it meanwhile; what was damaged before is not read once more
            if (not was_complete or job.part is not None) and _is_whole(store, identity, job):
                return _opened(store, data)
            if job.part is not None:
                raise OSError(
                    f"{job.caller}() needs all tiles to mend a store that was complete; got {path}, which has lost "
                    "files, and a part of the tiles. Run it without tiles."
                )
            logger.warning("%s has lost or damaged files since it was complete: they are written anew", path)
            store.reopen()
        try:
            is_ended = _write_part(store, data, identity, job)
        except (OSError, KeyError):
            # others have put it in its place while this one looked at it
            if job.part is None or not store.is_complete:
                raise
            is_ended = True
    return _opened(store, data) if is_ended else None


def _opened(store: TileStore, data: xr.Dataset) -> xr.Dataset:
    """The stored product in blocks of a few tiles, so that what follows has many tasks to share."""
    values = max(each.size for each in data.data_vars.values()) / np.prod(store.shape) * np.prod(store.sides)
    times = max(1, round(float(np.sqrt(WORTH / values))))
    return open_stored(str(store.path), {dim: times * side for dim, side in zip(("y", "x"), store.sides, strict=True)})


def _is_whole(store: TileStore, identity: Identity, job: Job) -> bool:
    """Whether all of a complete store is still as it was written; refuses one of something else.

    Of those that write parts of it none reads what all have written: they look whether files are there.
    """
    store.check(identity, store.path, job.caller)
    complete = store.complete()
    if job.part is not None:
        return not complete.missing(by_content=False)
    return not complete.damaged() and not complete.missing()


def _write_part(store: TileStore, data: xr.Dataset, identity: Identity, job: Job) -> bool:
    """Write all tiles or a part of them; whether the store is complete then."""
    _begin(store, data, identity, job)
    if not store.is_complete:
        mine = store.places if job.part is None else store.places[job.part.first : job.part.stop]
        _write_missing(store, data, job, mine)
        _check_written(store, mine, job.caller)
        left = store.missing(by_content=False) if job.part is not None else []
        if left and not store.is_complete:
            logger.info(
                "%s: %d of %d tiles are there; those of others lack, the first at row and column %s",
                job.stage, len(store.places) - len(left), len(store.places), left[0],
            )  # fmt: skip
            return False
    if not store.is_complete:
        store.finish()
    return True


def _check_written(store: TileStore, places: Sequence[Tile], caller: str) -> None:
    """Refuse to go on without tiles that could not be computed, or that were lost since."""
    wanted = set(places)
    failed = {place: reason for place, reason in store.reasons().items() if place in wanted}
    if failed:
        told = [f"{place}: {reason}" for place, reason in list(failed.items())[:3]]
        raise OSError(
            f"{caller}() needs every tile of {store.path}; {len(failed)} of {len(places)} failed, at row and "
            f"column {'; '.join(told)}. All others are safe: mend the cause and run the same again."
        )
    lost = store.missing(places, by_content=False)
    if lost:
        raise OSError(
            f"{caller}() needs every tile of {store.path}; got {len(lost)} of {len(places)} whose files are "
            "gone or cut since they were written. All others are safe: run the same again."
        )


def _begin(store: TileStore, data: xr.Dataset, identity: Identity, job: Job) -> None:
    """Make the store, or go on with what a run left that was stopped."""
    by = "" if job.part is None else f".{job.part.first}-{job.part.stop}"
    if job.part is None:
        store.sweep()
    with _writable(store, job):
        if not store.is_begun:
            store.create(lazy_arrays(data, store), identity, by)
    if store.is_complete:
        return
    store.check(identity, store.part, job.caller)
    damaged = store.damaged()
    if damaged and job.part is not None:
        raise OSError(
            f"{job.caller}() needs all tiles to mend what is beside them; got {store.path}, of which {damaged[0]} is "
            "damaged, and a part of the tiles. Run it without tiles."
        )
    if damaged:
        with _writable(store, job):
            store.restore(lazy_arrays(data, store), identity, damaged)


@contextmanager
def _writable(store: TileStore, job: Job) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritable(
            f"{job.caller}() needs a disk that can be written; got '{error}'. Make room, or choose another path than "
            f"{store.path}."
        ) from error


def _write_missing(store: TileStore, data: xr.Dataset, job: Job, places: Sequence[Tile]) -> None:
    """Compute and write what is missing of some tiles."""
    if not places:
        return
    missing = store.missing(places)
    tally = Tally(job.stage, len(places), len(missing), job.report)
    tally.begin()
    if not missing:
        return
    laid = lazy_arrays(data, store)
    lazy = {str(name): each for name, each in laid.data_vars.items() if not isinstance(each.data, np.ndarray)}
    maps = {name: each.data for name, each in lazy.items() if each.dims[-2:] == ("y", "x")}
    tasks = writes.tasks_of(maps, {name: each.data for name, each in lazy.items() if name not in maps}, store.write)
    tasks = {place: tasks[place] for place in missing}
    client = writes.client_here()
    if client is None:
        _on_threads(store, tasks, tally, job)
    else:
        _on_cluster(client, store, tasks, tally, job)


def _on_threads(store: TileStore, tasks: Mapping[Tile, object], tally: Tally, job: Job) -> None:
    """Compute and write tiles here, some at a time or all together, and write down which of them fail, and why."""
    at_once = None if job.is_scene else AT_ONCE * (job.workers or writes.workers_here())
    for places in writes.rounds(list(tasks), at_once):
        try:
            writes.compute_each([tasks[place] for place in places], tally.ended, job.workers)
        except Unwritable:
            raise
        except Exception as error:
            if job.is_scene:
                raise
            logger.warning("%s: %s: each tile by itself", job.stage, error)
            _one_by_one(store, {place: tasks[place] for place in places if place not in tally.done}, tally, job)


def _on_cluster(client: Any, store: TileStore, tasks: Mapping[Tile, object], tally: Tally, job: Job) -> None:
    """Compute and write tiles on the workers of a client, and write down which of them fail, and why."""
    from xoffset._blocks import cluster

    def at_once() -> int:
        return len(tasks) if job.is_scene else AT_ONCE * writes.workers_here()

    def failed(place: Tile, error: Exception) -> None:
        if job.is_scene or isinstance(error, Unwritable):
            raise error
        store.fail(place, f"{type(error).__name__}: {error}")

    cluster.prepare(client, "xoffset-warm", warm_worker)
    cluster.compute_few(client, tasks, at_once, tally.ended, failed, tally.waits)


def _one_by_one(store: TileStore, tasks: Mapping[Tile, object], tally: Tally, job: Job) -> None:
    """Compute tiles each for itself, to find those that fail, and write down why."""
    for place, task in tasks.items():
        try:
            writes.compute_each([task], tally.ended, job.workers)
        except Unwritable:
            raise
        except Exception as error:
            store.fail(place, f"{type(error).__name__}: {error}")


def inputs_of(data: xr.Dataset) -> dict[str, str]:
    """Hash of a product that is in memory; nothing of a lazy one."""
    is_here = all(isinstance(each.variable._data, np.ndarray) for each in data.data_vars.values())
    return fingerprints({"values": data}) if is_here else {}
