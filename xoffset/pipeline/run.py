"""A recipe carried out: stage by stage, each of them stored, so that a run that is stopped can go on."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import xarray as xr

from xoffset import _options
from xoffset._blocks import tiles, writes
from xoffset.matching.correlate import correlate
from xoffset.pipeline.folder import RECIPE, make_room
from xoffset.pipeline.identity import differences, fingerprints
from xoffset.pipeline.lock import only_writer
from xoffset.pipeline.tiles import bytes_of_task, correlate_windows
from xoffset.pipeline.writing import Job, Report, write_store
from xoffset.readers import objects, saved_stack
from xoffset.readers import open_stack as stacks
from xoffset.readers.rasters import find
from xoffset.recipes.base import FOLDER, SCENES, Recipe, Result, Step
from xoffset.recipes.known import as_recipe

Results = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """A recipe with all of its results, lazy, and what reads windows of its images."""

    recipe: Recipe
    scenes: Any
    results: Results
    read: tiles.ReadImage | None

    def options_of(self, call: Callable[..., Any]) -> dict[str, Any]:
        """Options of the step that calls a function."""
        step = next(step for step in self.recipe.steps if step.call is call)
        return {name: _filled(value, self.results) for name, value in step.options.items()}


def run(
    recipe: str | os.PathLike[str] | Recipe,
    scenes: str | os.PathLike[str] | list[str] | list[Path] | xr.DataArray,
    out: str | os.PathLike[str],
    *,
    memory_limit: str | float | None = None,
    overwrite: bool = False,
    progress: Report | None = None,
    **changes: object,
) -> dict[str, xr.Dataset]:
    """Products of a recipe in a folder, made tile by tile; a run that was stopped goes on where it was.

    All is checked before anything is computed. Images are never in memory as a whole: a task reads the window of a tile
    on all dates, matches all pairs of it, and writes them. Tasks run on all cores here, or where the client of
    dask.distributed points that the caller has connected.

    Parameters
    ----------
    recipe
        Name of a recipe, such as ``"generic"``; a TOML file of one; or a recipe itself.
    scenes
        Images as `open_stack` takes them, or a stack (time, y, x).
    out
        Folder of the products. What a run that was stopped has written there is kept.
    memory_limit
        Most memory to match with: bytes or a text such as "8 GB", of this process, or of each worker of a cluster. As
        many tiles are matched at the same time as it lets. None: one a core.
    overwrite
        Replace the results of another run in the folder.
    progress
        Called after each tile with `stage`, `done`, `total`, `new`, `seconds` and `left`, as in `to_zarr`.
    changes
        Fields of the recipe in place of its own, such as ``template=24``.

    Returns
    -------
    dict
        Products by name, lazy, as `open_result` opens them from the folder: of ``"generic"`` `matches`, as `correlate`
        returns them, `shifts`, what `screen` leaves of them, `corrected` where anything is corrected, `series` and
        `velocity`.

    Raises
    ------
    BlockingIOError
        If another process runs in the same folder.
    FileExistsError
        If the folder holds results that no run can go on with.
    MemoryError
        If one tile needs more than `memory_limit`; the message tells how much.
    OSError
        If the disk is full, or tiles could not be computed, which are named. What is written is safe: the same call
        goes on.
    TypeError
        If an argument is of the wrong type, or a change is no field of the recipe.
    ValueError
        If a value is out of range, if the images or parameters differ from those that the folder was begun with, which
        are named, or if a function that the recipe calls would raise one.

    Examples
    --------
    >>> import tempfile, xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="constant", velocity=12.0, direction=90.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     products = xoffset.run("generic", stack, folder, search=4)
    ...     velocity = products["velocity"].load()
    >>> float(velocity.vx.median().round(1))
    12.0
    """
    overwrite = _options.as_switch(overwrite, "overwrite", "run")
    folder = _options.as_path(out, "out", "run")
    plan = make_plan(recipe, scenes, changes)
    job = Job("run", "", workers=workers_within(plan, memory_limit), report=progress)
    return carry_out(plan, folder, overwrite, job)


def make_plan(recipe: str | os.PathLike[str] | Recipe, scenes: Any, changes: Mapping[str, Any]) -> Plan:
    """All results of a recipe, lazy: so bad options are refused before anything is computed or replaced."""
    chosen = as_recipe(recipe).changed(changes)
    results: Results = {SCENES: scenes}
    read = None
    for step in chosen.steps:
        if FOLDER in step.subjects:
            continue
        if step.call is stacks.open_stack:
            results[step.name], read = _opened(scenes, dict(step.options))
        else:
            results[step.name] = _called(step, results, read)
    return Plan(chosen, scenes, results, read)


def carry_out(plan: Plan, out: Path, overwrite: bool, job: Job) -> dict[str, xr.Dataset]:
    """Compute and store what is missing of a plan; returns the stored products."""
    out = out.expanduser().absolute()
    with only_writer(out / "run", "run"):
        make_room(out, overwrite)
        if not (out / RECIPE).exists():
            _write_whole(out / RECIPE, plan.recipe.to_toml())
        results: Results = {SCENES: plan.scenes, FOLDER: out}
        stored: dict[str, xr.Dataset] = {}
        images: Results = {"scenes": _images_of(plan.scenes)}
        # values in memory stay as they are, and are many
        fixed, inputs = (fingerprints(images), {}) if isinstance(plan.scenes, xr.DataArray) else ({}, images)
        for step in plan.recipe.steps:
            used = (*step.subjects, *step.options.values())
            inputs |= {name: value for name, value in plan.recipe.files.items() if value in _texts(used)}
            if FOLDER in step.subjects:
                _write_files(step, results, out)
            elif step.is_stored:
                product, place = _called(step, results, plan.read), out / f"{step.name}.zarr"
                told = replace(job, stage=step.title, inputs=fixed | fingerprints(inputs), is_scene=step.is_scene)
                if not place.exists() and (out / step.name).exists():
                    # files of a product that was removed
                    shutil.rmtree(out / step.name)
                results[step.name] = stored[step.name] = write_store(product, place, told)
                _check_inputs(told.inputs, fixed | fingerprints(inputs), place)
                plan.recipe.check(step.name, stored[step.name])
            elif any(isinstance(each, Result) and each in stored for each in used):
                results[step.name] = _called(step, results, plan.read)
            else:
                results[step.name] = plan.results[step.name]
        _write_whole(out / RECIPE, plan.recipe.to_toml())
    return stored


def _check_inputs(before: Mapping[str, str], after: Mapping[str, str], place: Path) -> None:
    """Refuse a product whose images were replaced while it was made."""
    found = differences(before, after)
    if found:
        raise ValueError(
            f"run() needs images that stay as they are while it runs; got other ones before {place.name} was complete: "
            f"{'; '.join(found[:3])}. Begin anew: another folder, or overwrite=True."
        )


def _images_of(scenes: Any) -> Any:
    """Files and products that scenes stand for, and not what else lies in their folder; other scenes as they are."""
    if objects.are_loaded(scenes) or saved_stack.is_saved(scenes):
        return scenes
    return find(scenes)


def _opened(scenes: Any, options: dict[str, Any]) -> tuple[xr.DataArray, tiles.ReadImage | None]:
    if isinstance(scenes, xr.DataArray) and set(options) <= {"chunks"}:
        return scenes, None
    return stacks.open_with_reader(scenes, **options)


def _called(step: Step, results: Results, read: tiles.ReadImage | None) -> Any:
    """Result of a step; shifts are matched by windows."""
    subjects = [_filled(each, results) for each in step.subjects]
    options = {name: _filled(value, results) for name, value in step.options.items()}
    if step.call is correlate:
        stack, network = subjects
        return correlate_windows(stack, network, read, **options)
    return step.call(*subjects, **options)


def _filled(value: Any, results: Results) -> Any:
    return results[value] if isinstance(value, Result) else value


def _texts(values: tuple[Any, ...]) -> list[Any]:
    """Values that may name files."""
    return [value for value in values if isinstance(value, (str, tuple, os.PathLike))]


def _write_files(step: Step, results: Results, out: Path) -> None:
    """Files of a product, in a folder of its name that is there only if it is complete."""
    name = next(str(each) for each in step.subjects if each is not FOLDER)
    done, part = out / name, out / f"{name}.part"
    if not done.exists():
        # what a run that was killed left there
        shutil.rmtree(part, ignore_errors=True)
        step.call(results[name], part, **step.options)
        part.rename(done)


def _write_whole(file: Path, text: str) -> None:
    part = file.with_name(f"{file.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)


# ------------------------------------------------------------------------------------------------------------- memory


def as_bytes(limit: str | float) -> float:
    """Bytes of a limit of memory, a number or a text such as "8 GB" or "500 MiB"."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*(|k|M|G|T)(i?)B\s*", limit) if isinstance(limit, str) else None
    if found:
        return float(found[1]) * (1024.0 if found[3] else 1000.0) ** ["", "k", "M", "G", "T"].index(found[2])
    if isinstance(limit, str):
        raise ValueError(
            f"run() needs a number of bytes or a text as memory_limit; got {limit!r}. Pass one such as '8 GB'."
        )
    return _options.as_positive(limit, "memory_limit", "run", unit="bytes", example=8e9)


def workers_within(plan: Plan, memory_limit: str | float | None) -> int | None:
    """Tiles to match at the same time within a limit of memory; None for one a core, or what a cluster decides.

    Raises
    ------
    MemoryError
        If one tile needs more.
    """
    if memory_limit is None:
        return None
    limit = as_bytes(memory_limit)
    matches = next(step for step in plan.recipe.steps if step.call is correlate)
    options = plan.options_of(correlate)
    stack, network = (_filled(each, plan.results) for each in matches.subjects)
    needed = bytes_of_task(stack, network, plan.results[matches.name], **options)
    most = writes.threads_of_worker()
    fitting = int(limit // needed)
    if fitting < (1 if most is None else most):
        what = "one tile" if most is None else f"the {most} threads of a worker"
        raise MemoryError(
            f"run() needs {needed * (most or 1) / 1e9:.2f} GB for {what}; got memory_limit={limit / 1e9:.2f} GB. Raise "
            "it, or match fewer pairs at a time or with a smaller search."
        )
    return min(fitting, writes.workers_here()) if most is None else None
