"""A recipe carried out: stage by stage, each of them stored, so that a run that is stopped can go on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from xoffset import _options
from xoffset._blocks import writes
from xoffset.pipeline.folder import INPUTS, RECIPE, make_room
from xoffset.pipeline.identity import differences, fingerprints
from xoffset.pipeline.lock import only_writer
from xoffset.pipeline.parts import Part, as_part
from xoffset.pipeline.places import Place, as_place, folder_for, remove, write_whole
from xoffset.pipeline.planning import Plan, Results, called, within
from xoffset.pipeline.progress import Report, as_report
from xoffset.pipeline.store import tiles_of
from xoffset.pipeline.store_files import Unwritable
from xoffset.pipeline.writing import Job, write_store
from xoffset.readers import objects, saved_stack
from xoffset.readers.rasters import find
from xoffset.recipes.base import FOLDER, SCENES, Recipe, Result, Step


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
    with only_writer(out / "run", "run", part):
        make_room(out, overwrite)
        by = "" if part is None else f".{part.first}-{part.stop}"
        if not (out / RECIPE).exists():
            write_whole(out / RECIPE, plan.recipe.to_toml(), by)
        results: Results = {SCENES: plan.scenes, FOLDER: out}
        stored: dict[str, xr.Dataset] = {}
        images: Results = {"scenes": _images_of(plan.scenes)}
        # values in memory stay as they are, and are many
        fixed, inputs = (fingerprints(images), {}) if isinstance(plan.scenes, xr.DataArray) else ({}, images)
        for step in plan.recipe.steps:
            used = (*step.subjects, *step.options.values())
            inputs |= {name: value for name, value in plan.recipe.files.items() if value in _texts(used)}
            _check_stands(out)
            if FOLDER in step.subjects:
                _write_files(step, results, out)
            elif step.is_stored:
                place = out / f"{step.name}.zarr"
                product = called(step, results, plan.read, plan.side) if stored else _matched(plan, step, place, part)
                told = replace(
                    job,
                    stage=step.title,
                    inputs=fixed | fingerprints(inputs),
                    is_scene=step.is_scene,
                    workers=plan.workers.get(step.name),
                )
                if not place.exists() and (out / step.name).exists():
                    # files of a product that was removed
                    remove(out / step.name)
                found = write_store(product, place, told if not stored else replace(told, part=None))
                _check_inputs(told.inputs, fixed | fingerprints(inputs), place)
                if found is None and part is None:
                    raise OSError(_of_others(product, place))
                if found is None or part is not None:
                    return {} if found is None else {step.name: found}
                remove(out / INPUTS)
                results[step.name] = stored[step.name] = found
                plan.recipe.check(step.name, found)
            elif any(isinstance(each, Result) and each in stored for each in used):
                results[step.name] = called(step, results, plan.read, plan.side)
            else:
                results[step.name] = plan.results[step.name]
        write_whole(out / RECIPE, plan.recipe.to_toml())
    return stored


def _matched(plan: Plan, step: Step, place: Place, part: Part | None) -> xr.Dataset:
    """Shifts, lazy; tasks of a cluster read what they need from a store beside, which parts would take from others."""
    product: xr.Dataset = plan.results[step.name]
    if writes.client_here() is None or part is not None or tiles_of(product, place).is_complete:
        return product
    inputs = place.with_name(INPUTS)
    remove(inputs)
    matched: xr.Dataset = called(step, plan.results, plan.read, plan.side, inputs)
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


def _write_files(step: Step, results: Results, out: Place) -> None:
    """Files of a product, in a folder of its name that is there only if it is complete."""
    name = next(str(each) for each in step.subjects if each is not FOLDER)
    if not (out / name).exists():
        try:
            with folder_for(out / name) as part:
                step.call(results[name], part, **step.options)
        except Exception:
            _check_stands(out)
            raise


def _check_stands(out: Place) -> None:
    """Refuse to go on in a folder that is gone: it would be begun anew beside what is in it."""
    if isinstance(out, Path) and not (out / RECIPE).exists():
        raise Unwritable(
            f"run() needs a folder that stays while it runs; got no {out / RECIPE} any more. What is written there is "
            "safe: bring the disk or the folder back, and run the same again."
        )
