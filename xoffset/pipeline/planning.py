"""A recipe made ready to be carried out: all of its results, lazy, in tiles that keep a limit of memory."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import xarray as xr

from xoffset import _options
from xoffset._blocks import quota, tiles, writes
from xoffset.matching.correlate import correlate
from xoffset.pipeline import costs
from xoffset.pipeline.identity import made_of
from xoffset.pipeline.places import Place
from xoffset.pipeline.tiles import correlate_windows
from xoffset.readers import open_stack as stacks
from xoffset.recipes.base import SCENES, Recipe, Step, filled
from xoffset.recipes.known import as_recipe

Results = dict[str, Any]
# What reads windows of the images of a stack, by its name; None of stacks that are sliced.
Readers = Mapping[str, tiles.ReadImage | None]
# Part of the memory of the machine that a run may take if no limit is given.
SHARE = 0.8


@dataclass(frozen=True)
class Plan:
    """A recipe with all of its results, lazy, and what reads windows of its images."""

    recipe: Recipe
    scenes: Any
    results: Results
    readers: Readers
    side: int | None = None  # of the tiles, px, at most; the usual one if None
    lacks: str = ""  # why the recipe is not the fuller one that it could have been
    # tiles of a stage at the same time; one a core of those that are not there
    workers: Mapping[str, int] = field(default_factory=dict)

    @property
    def not_written(self) -> dict[str, str]:
        """Files that the run does not write, and what else it leaves undone, and why."""
        reason = f": {self.lacks}" if self.lacks else ""
        found = {name: f"{why}{reason}" for name, why in self.recipe.not_written.items()}
        return found | self.recipe.undone(self.results)

    @property
    def warnings(self) -> list[str]:
        """What to tell before a run."""
        undone = self.recipe.undone(self.results).items()
        return [*self.recipe.warnings, *(f"{self.recipe.name}: {what}: {why}" for what, why in undone)]

    def options_of(self, call: Callable[..., Any]) -> dict[str, Any]:
        """Options of the step that calls a function."""
        return {name: filled(value, self.results) for name, value in self._step_of(call).options.items()}

    @property
    def matched(self) -> tuple[xr.DataArray, xr.Dataset, xr.Dataset]:
        """Images that are matched first, their network, and the matches, whatever the recipe calls them."""
        step = self._step_of(correlate)
        stack, network = (filled(each, self.results) for each in step.subjects)
        return stack, network, self.results[step.name]

    def _step_of(self, call: Callable[..., Any]) -> Step:
        return next(step for step in self.recipe.steps if step.call is call)


def make_plan(
    recipe: str | os.PathLike[str] | Recipe, scenes: Any, changes: Mapping[str, Any], side: int | None = None
) -> Plan:
    """All results of a recipe, lazy: so bad options are refused before anything is computed or replaced.

    Of a recipe that leaves it to the scenes what it does, the first way that they have all inputs for.
    """
    lacks: list[str] = []
    placed = as_recipe(recipe, changes).placed(Path.cwd())
    scenes = placed.scenes_of(scenes)
    *fuller, last = placed.ways(scenes)
    for each in fuller:
        try:
            return _plan_of(each, scenes, side, lacks)
        except (FileNotFoundError, ValueError) as error:
            lacks.append(str(error))
    return _plan_of(last, scenes, side, lacks)


def _plan_of(recipe: Recipe, scenes: Any, side: int | None, lacks: list[str]) -> Plan:
    results: Results = {SCENES: scenes}
    readers: dict[str, tiles.ReadImage | None] = {}
    for step in recipe.steps:
        if step.folder is not None:
            continue
        if step.call is stacks.open_stack:
            results[step.name], readers[step.name] = _opened(scenes, dict(step.options))
        else:
            results[step.name] = called(step, results, readers, side)
    recipe.check_plan(results)
    return Plan(recipe, scenes, results, readers, side, "; ".join(dict.fromkeys(lacks)))


def _in_tiles(plan: Plan, side: int) -> Plan:
    """The plan with tiles of another side; only what is made of shifts is made anew."""
    results, are_new = dict(plan.results), False
    for step in plan.recipe.steps:
        are_new = are_new or step.call is correlate
        if are_new and step.folder is None:
            results[step.name] = called(step, results, plan.readers, side)
    return replace(plan, results=results, side=side)


def _opened(scenes: Any, options: dict[str, Any]) -> tuple[xr.DataArray, tiles.ReadImage | None]:
    if isinstance(scenes, xr.DataArray):
        # it has the chunks that it was made with
        options.pop("chunks", None)
        if not options:
            return scenes, None
    return stacks.open_with_reader(scenes, **options)


def called(step: Step, results: Results, readers: Readers, side: int | None, beside: Place | None = None) -> Any:
    """Result of a step; shifts are matched by windows, of what lies in a store beside them if there is one."""
    subjects = [filled(each, results) for each in step.subjects]
    options = {name: filled(value, results) for name, value in step.options.items()}
    if step.call is correlate:
        stack, network = subjects
        return correlate_windows(stack, network, readers.get(str(step.subjects[0])), side, beside, **options)
    return step.call(*subjects, **options)


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


def within(
    recipe: str | os.PathLike[str] | Recipe, scenes: Any, changes: Mapping[str, Any], out: Place, memory_limit: Any
) -> Plan:
    """Plan whose stages keep a limit of memory: by smaller tiles, then by fewer of them at the same time.

    A folder that a run was begun in keeps its tiles. Without a limit that of the machine or container counts as far as
    fewer tiles at a time keep it.

    Raises
    ------
    MemoryError
        If one tile of a stage needs more.
    NotADirectoryError
        If `out` is a file.
    """
    if isinstance(out, Path) and out.is_file():
        raise NotADirectoryError(f"run() needs a folder for results; {out} is a file. Choose another path.")
    limit = SHARE * quota.memory() if memory_limit is None else as_bytes(memory_limit)
    threads = writes.threads_of_worker()
    begun = _side_of(out)
    plan = make_plan(recipe, scenes, changes, begun or tiles.WINDOW)
    stages = costs.stages_of(plan.recipe.steps, plan.results, calibrate=False)
    if not begun and any(stage.memory * (threads or 1) > limit for stage in stages):
        plan = _in_tiles(plan, tiles.WINDOW // 2)
        stages = costs.stages_of(plan.recipe.steps, plan.results, calibrate=False)
    if memory_limit is not None:
        costs.check_limit(stages, limit, threads)
    if threads is not None:
        return plan
    return replace(plan, workers={stage.name: costs.workers_of(stage, limit) for stage in stages})


def _side_of(out: Place) -> int | None:
    """Side in pixels of the tiles that a run was begun with in a folder; None of a new one."""
    for name in ("matches.zarr.part", "matches.zarr"):
        made = made_of(out / name)
        if made is not None:
            steps = [step for step in made["steps"].values() if step["function"] == "correlate"]
            if not steps:
                return None
            # windows reach beyond the last node of a tile, so that one that holds the whole image seems smaller
            is_half = int(max(made["tiles"])) * int(steps[-1]["step"]) <= tiles.WINDOW // 2
            return tiles.WINDOW // 2 if is_half else tiles.WINDOW
    return None
