"""estimate_run(): what each stage of a run will cost, before it runs."""

from __future__ import annotations

import os
from pathlib import Path

import xarray as xr

from xoffset import _options
from xoffset._blocks import writes
from xoffset.pipeline import costs
from xoffset.pipeline.places import as_place
from xoffset.pipeline.planning import Plan, within
from xoffset.recipes.base import Recipe


def estimate_run(
    recipe: str | os.PathLike[str] | Recipe,
    scenes: str | os.PathLike[str] | list[str] | list[Path] | xr.DataArray,
    out: str | os.PathLike[str],
    *,
    memory_limit: str | float | None = None,
    calibrate: bool = True,
    **changes: object,
) -> list[costs.Stage]:
    """What each stage of `run` with the same arguments will cost; nothing is computed or written.

    Parameters
    ----------
    recipe, scenes, out, memory_limit
        As in `run`. Of a folder that a run was begun in the tiles are those of that run, and it tells what all of them
        cost, done or not.
    calibrate
        Whether to time the matcher on one tile of made-up images, as `estimate` does.
    changes
        Fields of the recipe in place of its own, as in `run`.

    Returns
    -------
    list
        Stages in order. Each has `name`, `title`, `tiles`, and as numbers `cpu_seconds` on one core (NaN of matching
        without a calibration), `memory`, the most that one thread needs, `read` and `written`, both before compression,
        in bytes, and `at_once`, tiles that are computed at the same time within `memory_limit`. Printed it is a line.

    Raises
    ------
    MemoryError
        If one tile of a stage needs more than `memory_limit`; the message tells which stage, and how much.
    TypeError, ValueError, OSError
        If `run` would raise one before it begins; the message is the same.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="constant", velocity=12.0)
    >>> stages = xoffset.estimate_run("generic", stack, "results", search=4, calibrate=False)
    >>> [stage.name for stage in stages]
    ['matches', 'shifts', 'series', 'velocity', 'files']
    """
    calibrate = _options.as_switch(calibrate, "calibrate", "estimate_run")
    _options.as_path(out, "out", "run")
    return costs_of(within(recipe, scenes, changes, as_place(out, "run"), memory_limit), calibrate=calibrate)


def costs_of(plan: Plan, *, calibrate: bool = True) -> list[costs.Stage]:
    """Costs of the stages of a plan, and how many of their tiles are computed at the same time."""
    stages = costs.stages_of(plan.recipe.steps, plan.results, calibrate=calibrate)
    # a plan for a cluster leaves that to the workers that are there
    usual = writes.workers_here()
    return [stage._replace(at_once=min(plan.workers.get(stage.name, usual), stage.tiles)) for stage in stages]
