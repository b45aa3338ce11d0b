"""A recipe carried out: stage by stage, each of them stored, so that a run that is stopped can go on."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from xoffset import _options
from xoffset._blocks import writes
from xoffset.pipeline import files
from xoffset.pipeline.folder import INPUTS, RECIPE, REPORT, make_room
from xoffset.pipeline.identity import differences, fingerprints
from xoffset.pipeline.lock import only_writer
from xoffset.pipeline.parts import Part, as_part
from xoffset.pipeline.places import Place, as_place, remove, write_whole
from xoffset.pipeline.planning import Plan, called, within
from xoffset.pipeline.progress import Report, as_report
from xoffset.pipeline.store import tiles_of
from xoffset.pipeline.store_files import Unwritable
from xoffset.pipeline.writing import Job, write_store
from xoffset.plotting.style import has_extra
from xoffset.readers import objects, saved_stack
from xoffset.readers.rasters import find
from xoffset.recipes.base import SCENES, Recipe, Step
from xoffset.report.report import report

logger = logging.getLogger("xoffset")


def run(
    recipe: str | os.PathLike[str] | Recipe,
    scenes: str | os.PathLike[str] | list[str] | list[Path] | xr.DataArray,
    out: str | os.PathLike[str],
    *,
    memory_limit: str | float | None = None,
    overwrite: bool = False,
    progress: Report | bool | None = None,
    tiles: slice | range | str | None = None,
    **changes: object,
) -> dict[str, xr.Dataset]:
    """Products of a recipe in a folder, made tile by tile; a run that was stopped goes on where it was.

    At its end the page ``report.html`` of `report` is in the folder, too, if the `plot` extra is installed.

    All is checked before anything is computed. Images are never in memory as a whole: a task reads the window of a tile
    on all dates, matches all pairs of it, and writes them. Tasks run on all cores here, or where the client of
    dask.distributed points that the caller has connected.

    Parameters
    ----------
    recipe
        Name of a recipe, such as ``"generic"`` or ``"mpic-opt"``; a TOML file of one, such as the ``recipe.toml`` that
        a run leaves beside its products; or a recipe itself.
    scenes
        Images as `open_stack` takes them, or a stack (time, y, x).
    out
        Folder of the products, or an address that fsspec knows, such as ``"s3://bucket/results"``. What a run that was
        stopped has written there is kept.
    memory_limit
        Most memory of any stage: bytes or a text such as "8 GB", of this process, or of each worker of a cluster,
        beside what Python and its libraries need. Tiles are made smaller, and as many are computed at the same time as
        it lets. None: one a core, as far as the memory of the machine or container lets.
    overwrite
        Replace the results of another run in the folder.
    progress
        Called after each tile with `stage`, `done`, `total`, `new`, `seconds`, `rate`, `left` and `waits`, or True for
        a bar, as in `to_zarr`.
    tiles
        Match a part of the tiles only, and leave the rest to other calls at the same time: a slice, a range or a text
        such as "0:100"; "3/20", the fourth of twenty parts; "@SLURM_ARRAY", that of an element of a SLURM job array. A
        call without `tiles`, or with "none" to match none itself, does what comes after, when the parts are through.
    changes
        Fields of the recipe in place of its own, such as ``template=24``.

    Returns
    -------
    dict
        Products by name, lazy, as `open_result` opens them from the folder: of ``"generic"`` `matches`, as `correlate`
        returns them, `shifts`, what `screen` leaves of them, `corrected` where anything is corrected, `series` and
        `velocity`. Of a part of the tiles `matches` if all of them are there, or nothing.

    Raises
    ------
    BlockingIOError
        If another process runs in the same folder, or on the same tiles.
    FileExistsError
        If the folder holds results that no run can go on with.
    MemoryError
        If one tile of a stage needs more than `memory_limit`; the message tells which stage, and how much.
    OSError
        If the disk is full, or tiles could not be computed, which are named, or if tiles of other parts lack with
        `tiles="none"`. What is written is safe: the same call goes on.
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
    overwrite, report = _options.as_switch(overwrite, "overwrite", "run"), as_report(progress, "run")
    _options.as_path(out, "out", "run")
    place = as_place(out, "run")
    plan = within(recipe, scenes, changes, place, memory_limit)
    job = Job("run", "", report=report, part=part_of(plan, tiles, overwrite))
    return carry_out(plan, place, overwrite, job)


def part_of(plan: Plan, tiles: Any, overwrite: bool) -> Part | None:
    """Part of the tiles of a plan that is asked for; None for all.

    Raises
    ------
    TypeError
        If it is no slice, range or text.
    ValueError
        If it cannot be read, or results are to be replaced, too.
    """
    if tiles is None:
        return None
    if overwrite:
        raise ValueError(
            "run() needs all tiles to replace results; got overwrite=True and tiles, and parts would remove those of "
            "others. Remove the results before the parts begin."
        )
    name = next(step.name for step in plan.recipe.steps if step.is_stored)
    return as_part(tiles, len(tiles_of(plan.results[name], Path(name)).places), "run")


def carry_out(plan: Plan, out: Place, overwrite: bool, job: Job) -> dict[str, xr.Dataset]:
    """Compute and store what is missing of a plan, or of a part of its tiles; returns the stored products."""
    part = None if job.part is None or job.part.is_last else job.part
    for text in plan.warnings:
        logger.warning(text)
    with only_writer(out / "run", "run", part):
        make_room(out, overwrite)
        by = "" if part is None else f".{part.first}-{part.stop}"
        if not (out / RECIPE).exists():
            write_whole(out / RECIPE, plan.recipe.to_toml(), by)
        run = _Run(plan, out, job, part)
        # files last, in their order: a product that is computed takes away those that were written before it
        for step in sorted(plan.recipe.steps, key=lambda step: step.folder is not None):
            _check_stands(out)
            if step.folder is not None:
                run.write_files(step)
            elif not step.is_stored:
                run.take(step)
            elif not run.store(step):
                return run.stored
        write_whole(out / RECIPE, plan.recipe.to_toml({"inputs": run.made_of, "not_written": plan.not_written}))
    _tell(out)
    return run.stored


def _tell(out: Place) -> None:
    """Write the page that judges the run; what is wrong with that is told, and changes nothing of its products."""
    if not has_extra():
        logger.warning("%s is not written: it needs matplotlib, pip install 'xoffset[plot]'", REPORT)
        return
    try:
        report(str(out))
    except Exception as error:  # the products are there, whatever the page needs
        logger.warning("%s was not written: %s", out / REPORT, error)


class _Run:
    """A plan while it is carried out: results so far, and what they are made of."""

    def __init__(self, plan: Plan, out: Place, job: Job, part: Part | None) -> None:
        self.plan, self.out, self.job, self.part = plan, out, job, part
        self.results: dict[str, Any] = {SCENES: plan.scenes}
        self.stored: dict[str, xr.Dataset] = {}
        images = {"scenes": _images_of(plan.scenes)}
        # values in memory stay as they are, and are many
        in_memory = isinstance(plan.scenes, xr.DataArray)
        self.fixed, self.inputs = (fingerprints(images), {}) if in_memory else ({}, images)

    @property
    def made_of(self) -> dict[str, str]:
        """Inputs that were used so far, as they are now."""
        return self.fixed | fingerprints(self.inputs)

    def _note_inputs(self, step: Step) -> None:
        used = _texts((*step.subjects, *step.options.values()))
        self.inputs |= {name: value for name, value in self.plan.recipe.files.items() if value in used}

    def take(self, step: Step) -> None:
        """Result of a step that is not stored: of what is stored, or as it was planned."""
        self._note_inputs(step)
        is_of_stored = any(each in self.stored for each in step.sources)
        self.results[step.name] = self._called(step) if is_of_stored else self.plan.results[step.name]

    def _called(self, step: Step) -> Any:
        return called(step, self.results, self.plan.readers, self.plan.side)

    def write_files(self, step: Step) -> None:
        """Files of products, in the folder of the step."""
        assert step.folder is not None
        key = step.folder.key

        def call(folder: Path) -> None:
            called(step, self.results | {key: folder}, {}, None)

        try:
            files.write(step.name, str(step.folder), self.out, self.plan.recipe.values, call)
        except Exception:
            _check_stands(self.out)
            raise

    def store(self, step: Step) -> bool:
        """Compute what is missing of a store; whether the run goes on."""
        self._note_inputs(step)
        plan, out, part = self.plan, self.out, self.part
        place, is_first = out / f"{step.name}.zarr", not self.stored
        product = _matched(plan, step, place, part) if is_first else self._called(step)
        told = replace(
            self.job, stage=step.title, inputs=self.made_of, is_scene=step.is_scene, workers=plan.workers.get(step.name)
        )
        if not place.exists() and part is None:
            # files of a product that was removed
            files.forget(out)
        found = write_store(product, place, told if is_first else replace(told, part=None))
        _check_inputs(told.inputs, self.made_of, place)
        if found is None and part is None:
            raise OSError(_of_others(product, place))
        if found is not None:
            self.results[step.name] = self.stored[step.name] = found
        if found is None or part is not None:
            return False
        remove(out / INPUTS)
        plan.recipe.check(step.name, found)
        return True


def _matched(plan: Plan, step: Step, place: Place, part: Part | None) -> xr.Dataset:
    """Shifts, lazy; tasks of a cluster read what they need from a store beside, which parts would take from others."""
    product: xr.Dataset = plan.results[step.name]
    if writes.client_here() is None or part is not None or tiles_of(product, place).is_complete:
        return product
    inputs = place.with_name(INPUTS)
    remove(inputs)
    matched: xr.Dataset = called(step, plan.results, plan.readers, plan.side, inputs)
    return matched


def _of_others(product: xr.Dataset, place: Place) -> str:
    """Error text of tiles that others have not written."""
    store = tiles_of(product, place)
    left = store.missing(by_content=False)
    told = ", ".join(str(store.places.index(each)) for each in left[:5]) + (", ..." if len(left) > 5 else "")
    return (
        f"run() needs every tile of {place}; {len(left)} of {len(store.places)} are not there, numbers {told}. Run "
        "the parts that hold them again, or leave out tiles to compute them here."
    )


def _check_inputs(before: Mapping[str, str], after: Mapping[str, str], place: Place) -> None:
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


def _texts(values: tuple[Any, ...]) -> list[Any]:
    """Values that may name files."""
    return [value for value in values if isinstance(value, (str, tuple, os.PathLike))]


def _check_stands(out: Place) -> None:
    """Refuse to go on in a folder that is gone: it would be begun anew beside what is in it."""
    if isinstance(out, Path) and not (out / RECIPE).exists():
        raise Unwritable(
            f"run() needs a folder that stays while it runs; got no {out / RECIPE} any more. What is written there is "
            "safe: bring the disk or the folder back, and run the same again."
        )
