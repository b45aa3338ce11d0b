"""Products and stacks of ours on disk, complete or not, and folders of runs."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from xoffset import _options
from xoffset.inspection import datasets
from xoffset.inspection.info_text import Facts, Info
from xoffset.model import history, kinds
from xoffset.model.variables import TABLES
from xoffset.pipeline import folder, identity, store
from xoffset.pipeline.lock import holder
from xoffset.readers import completeness
from xoffset.readers.open_result import is_zarr, open_arrays
from xoffset.recipes.values import ABOUT, VERSION

CALLER = "info"
# Names by which kinds are called here, where they have others.
_NAMES = {"map": "product", None: "arrays"}
_PART = ".part"


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run."""
    return path.is_dir() and any((path / name).is_file() for name in (folder.MARKER, folder.RECIPE))


def of_saved(place: str) -> Info:
    """Info of a Zarr store or a netCDF4 file with arrays on a grid, scattered points, or pairs.

    Raises
    ------
    OSError
        If it is damaged.
    ValueError
        If nothing that it holds is known.
    """
    with _options.speaking_as(CALLER, "open_result"):
        stored, arrays = open_arrays(place, is_partial=True)
    try:
        kind = _kind(stored, place)
        problems: list[str] = []
        facts = datasets.of_dataset(stored)
        facts |= counted(stored, {name: each.fill for name, each in arrays.items()}, place, problems)
        lacking = _lacking(stored, arrays, place)
        state: Facts = {"state": "incomplete: its writer was stopped, or files were lost" if lacking else "complete"}
        facts["complete"] = (state | {"lacking": lacking}) if lacking else state
        if is_zarr(Path(place)):
            facts |= _tiles_or_problem(stored, Path(place), facts["complete"], problems)
        if kind == "stack":
            facts["bands"] = {name: None for name, each in stored.data_vars.items() if "time" in each.dims}
            facts.pop("variables")
        return Info(place, kind, facts, problems=tuple(problems))
    finally:
        stored.close()


def counted(data: xr.Dataset, fills: Mapping[str, Any], place: str, problems: list[str]) -> Facts:
    """Share of valid values; what cannot be read is a problem that is told."""
    try:
        share = datasets.valid(data, fills)
    except MemoryError:
        raise
    except Exception as error:  # what a damaged chunk raises depends on the library and on the byte that is wrong
        problems.append(
            f"{CALLER}() needs readable values; got '{type(error).__name__}: {error}' from {place}. It is damaged: "
            "restore it from a copy, or write it again."
        )
        return {}
    return {} if share is None else {"valid": share}


def _kind(data: xr.Dataset, place: str) -> str:
    known = kinds.kind_of(data)
    names = [name for name in data.data_vars if any(name in table for table in TABLES)]
    if known == "map" and not names and any({*each.dims} == {"time", "y", "x"} for each in data.data_vars.values()):
        return "stack"
    if known == "network" and any(set(each.dims) != {"pair"} for each in data.data_vars.values()):
        return "product"
    is_ours = names or history.records(data)
    if known is None and not is_ours:
        dims = ", ".join(f"{dim}: {size}" for dim, size in data.sizes.items())
        raise ValueError(
            f"{CALLER}() needs arrays on a grid (y, x), scattered points or pairs; got {place} with variables "
            f"{sorted(map(str, data.variables))[:12]} and dims ({dims}). Open it with xarray.open_dataset()."
        )
    return str(_NAMES.get(known, known))


def _lacking(stored: xr.Dataset, arrays: dict[str, completeness.Listed], place: str) -> list[str]:
    """What the list of the chunks of a store, and its coordinates, tell to be missing."""
    if not arrays or "://" in place:
        return []
    import zarr

    folders = {each.name for each in Path(place).iterdir() if each.is_dir() and not each.name.startswith(".")}
    return completeness.unwritten(stored, arrays, {}, zarr.open_group(place, mode="r"), folders)


def _tiles_or_problem(stored: xr.Dataset, where: Path, known: Facts, problems: list[str]) -> Facts:
    """As `_of_tiles`; a record that cannot be read is a problem, as a writer may have just renamed the store."""
    try:
        return _of_tiles(stored, where, known)
    except (OSError, KeyError, ValueError) as error:
        problems.append(
            f"{CALLER}() needs the record of the tiles of {where}; got '{type(error).__name__}: {error}'. If another "
            "process writes it, ask again; else it is damaged: run the same again."
        )
        return {"complete": {"state": "unknown"}}


def _of_tiles(stored: xr.Dataset, where: Path, known: Facts) -> Facts:
    """What a store that is written tile by tile notes of its tiles, and who writes it."""
    made = identity.made_of(where)
    if made is None or not {"y", "x"} <= set(stored.dims):
        is_part = where.name.endswith(_PART)
        return {"complete": {"state": "unfinished: nothing tells which of its tiles are done"}} if is_part else {}
    final = where.with_name(where.name.removesuffix(_PART))
    tiles = replace(store.tiles_of(stored, final, tuple(made.get("tiles", (1, 1)))), where=where)
    lost_record = [name for name in tiles.damaged() if name.startswith(identity.RECORD)]
    if lost_record:
        raise OSError(f"{lost_record[0]} is lost or damaged")
    counts, reasons = tiles.counts(), tiles.reasons()
    lost = len(tiles.missing(by_content=False)) - (counts["total"] - counts["done"])
    writer = holder(final)
    state: Facts = {"state": "unfinished", "tiles": counts}
    if where != final:
        state |= {"written_by": writer} if writer else {}
    state |= {"reasons": {str(place): text for place, text in reasons.items()}} if reasons else {}
    counts |= {"lost": lost} if lost > 0 else {}
    if where == final:
        state = known | {"tiles": counts}
    inputs = sorted(name for name in made.get("inputs", ()) if Path(name).is_absolute())
    told = {"made_of": inputs} if inputs else {}
    return {"complete": state, "version": str(made.get("xoffset")), **told}


# --------------------------------------------------------------------------------------------------------------- runs


def of_run(path: Path, describe: Any) -> Info:
    """Info of the folder of a run: its recipe, how far it is, and each of its products."""
    facts: Facts = {}
    problems: list[str] = []
    file = path / folder.RECIPE
    if file.is_file():
        try:
            fields = tomllib.loads(file.read_text())
        except (ValueError, OSError) as error:
            problems.append(f"{folder.RECIPE} cannot be read ({error}): the run cannot go on with it")
        else:
            told = {name: value for name, value in fields.items() if name not in ("recipe", VERSION, *ABOUT)}
            facts = {"recipe": str(fields.get("recipe", "unknown")), "parameters": told}
    stages: dict[str, str] = {}
    parts: list[Info] = []
    for name in (name for name in folder.PRODUCTS if name.endswith(".zarr")):
        where = next((each for each in (path / name, path / f"{name}{_PART}") if each.exists()), None)
        if where is None:
            continue
        try:
            part = describe(where)
        except (OSError, ValueError) as error:
            problems.append(str(error))
            stages[name] = "cannot be read"
        else:
            parts.append(part)
            state = part.facts["complete"]
            stages[name] = state["state"].split(":")[0]
            if "tiles" in state:
                stages[name] += f", {state['tiles']['done']} of {state['tiles']['total']} tiles"
    facts["stages"] = stages or {"none": "nothing was written yet"}
    writer = holder(path / "run")
    facts |= {"note": [f"being written now by {writer}"]} if writer else {}
    return Info(str(path), "run", facts, tuple(parts), tuple(problems))
