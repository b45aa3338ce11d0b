"""What each stage of a run will cost: time, memory of a worker, bytes that it reads and writes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from xoffset._blocks import writes
from xoffset.matching.correlate import correlate
from xoffset.matching.estimate import seconds_of
from xoffset.pipeline.store import tiles_of
from xoffset.pipeline.tiles import bytes_of_task, bytes_of_windows, request_of
from xoffset.recipes.base import Step, filled

# CPU seconds, and bytes in memory with what is read and written, of each vector of the product that a stage reads: with
# 392 pairs of 60 dates, in blocks of 64 x 64 nodes, with reading and writing, on one core of the machine of the
# benchmarks.
SECONDS_OF_VECTOR = {"screen": 2.6e-6, "correct": 4.0e-6, "invert": 4.0e-7, "velocity": 6.0e-7}
BYTES_OF_VECTOR = {"screen": 130.0, "correct": 150.0, "invert": 85.0, "velocity": 125.0}
# Of any other step.
USUAL_SECONDS, USUAL_BYTES = 1.0e-6, 160.0
# Blocks that a stage reads for each that it makes, where it looks at the nodes around: its own, and those beside it.
AROUND = {"screen": 9}


class Stage(NamedTuple):
    """A stage of a run: CPU seconds, most bytes of memory of one thread, bytes read and written before compression."""

    name: str
    title: str
    tiles: int
    cpu_seconds: float
    memory: float
    read: float
    written: float
    at_once: int = 1  # tiles that are computed at the same time

    def __str__(self) -> str:
        time = "" if math.isnan(self.cpu_seconds) else f"{self.cpu_seconds:.3g} CPU s, "
        return (
            f"{self.title}: {self.tiles} tiles, {time}{self.memory / 1e9:.2f} GB a thread, "
            f"reads {self.read / 1e9:.2f} GB, writes {self.written / 1e9:.2f} GB, "
            f"{self.at_once} at a time"
        )


def stages_of(steps: list[Step], results: dict[str, Any], *, calibrate: bool = True) -> list[Stage]:
    """Costs of the stages that are stored, and of the files that are made of them; nothing is computed."""
    found = []
    for step in steps:
        if step.folder is not None:
            found.append(_of_files(step, results))
        elif step.is_stored and step.call is correlate:
            found.append(_of_matching(step, results, calibrate))
        elif step.is_stored:
            found.append(_of_step(step, results))
    return found


def _of_matching(step: Step, results: dict[str, Any], calibrate: bool) -> Stage:
    stack, network = (filled(each, results) for each in step.subjects)
    options = {name: filled(value, results) for name, value in step.options.items()}
    made: xr.Dataset = results[step.name]
    request = request_of(stack, network, options)
    seconds = seconds_of(request) if calibrate else math.nan
    tiles, share = _blocks(made)
    memory = bytes_of_task(stack, request, made) + made.nbytes * share
    return Stage(step.name, step.title, tiles, seconds, memory, bytes_of_windows(request, made), made.nbytes)


def _of_step(step: Step, results: dict[str, Any]) -> Stage:
    """Cost of a step that takes a product which is stored before it: by the vectors of that."""
    made: xr.Dataset = results[step.name]
    taken = [filled(each, results) for each in step.subjects]
    taken += [each for many in taken if isinstance(many, dict) for each in many.values()]  # of several bands
    given = [each for each in taken if isinstance(each, xr.Dataset)]
    name = step.call.__name__
    vectors = max((each[key].size for each in given for key in ("dx", "vx") if key in each), default=0)
    tiles, share = _blocks(made)
    around = min(AROUND.get(name, 1), tiles)
    read = float(sum(each.nbytes for each in given))
    # the blocks beside one are in memory until their margins are cut
    memory = share * (vectors * BYTES_OF_VECTOR.get(name, USUAL_BYTES) + (around - 1) * read)
    seconds = vectors * SECONDS_OF_VECTOR.get(name, USUAL_SECONDS)
    return Stage(step.name, step.title, tiles, seconds, memory, around * read, made.nbytes)


def _of_files(step: Step, results: dict[str, Any]) -> Stage:
    """Files of products: they are read whole, a layer at a time where there are many."""
    made = [results[name] for name in step.sources]
    n_bytes = float(sum(each.nbytes for each in made))
    layers = max((each.sizes.get(dim, 1) for each in made for dim in ("pair", "time")), default=1)
    return Stage(str(step.name), "Writing files", 1, n_bytes * 1e-8, 2.0 * n_bytes / layers, n_bytes, n_bytes)


def _blocks(made: xr.Dataset) -> tuple[int, float]:
    """Number of tiles of a lazy product, and the share of the largest of them."""
    store = tiles_of(made, Path())
    return len(store.places), math.prod(store.sides) / math.prod(store.shape)


# ------------------------------------------------------------------------------------------------------------- limits


def check_limit(stages: list[Stage], limit: float, threads: int | None) -> None:
    """Refuse a limit of memory that one task of a stage does not keep, or the threads of a worker of a cluster.

    Raises
    ------
    MemoryError
        If a stage needs more; the message tells which, and how much.
    """
    worst = max(stages, key=lambda stage: stage.memory)
    needed = worst.memory * (threads or 1)
    if needed > limit:
        what = "one tile" if threads is None else f"the {threads} threads of a worker"
        raise MemoryError(
            f"run() needs {needed / 1e9:.2f} GB for {what}, of {worst.title.lower()}; got "
            f"memory_limit={limit / 1e9:.2f} GB. Raise it, or match fewer pairs at a time or with a smaller search."
        )


def workers_of(stage: Stage, limit: float) -> int:
    """Tiles of a stage that are computed at the same time within a limit."""
    return max(1, min(int(limit // max(stage.memory, 1.0)), writes.workers_here()))
