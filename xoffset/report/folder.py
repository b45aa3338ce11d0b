"""What the folder of a run holds: its recipe, its products, finished or not, and the files that it wrote."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xarray as xr

from xoffset.inspection import stores
from xoffset.pipeline import files
from xoffset.pipeline.folder import PRODUCTS, RECIPE
from xoffset.pipeline.places import Place, below
from xoffset.readers.open_result import open_result
from xoffset.recipes.base import Recipe, read_toml
from xoffset.recipes.known import RECIPES
from xoffset.recipes.values import ABOUT, VERSION

CALLER = "report"
COMPLETE, UNFINISHED, ABSENT, BROKEN = "complete", "unfinished", "not begun", "cannot be read"
_PART = ".part"
# Stores that hold no product: what tasks of a cluster read.
_STORES = tuple(name.removesuffix(".zarr") for name in PRODUCTS if name.endswith(".zarr") and name != "inputs.zarr")


@dataclass(frozen=True)
class Run:
    """What was found in the folder of a run; products by name, lazy, in the order in which they are made."""

    place: Place
    recipe: Recipe | None
    recipe_name: str
    parameters: dict[str, Any]
    inputs: dict[str, str]
    not_written: dict[str, str]
    version: str
    products: dict[str, xr.Dataset]
    states: dict[str, str]
    files: dict[str, int]
    problems: list[str] = field(default_factory=list)

    @property
    def unfinished(self) -> list[str]:
        """Stages that lack, with what is known of each."""
        return [f"{name}: {state}" for name, state in self.states.items() if state != COMPLETE]

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.place.name or str(self.place)


def read_run(place: Place) -> Run:
    """What a folder of results holds.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or it holds neither a recipe nor products.
    """
    names = below(place)
    begun = {name.removesuffix(_PART).removesuffix(".zarr") for name in names if ".zarr" in name}
    if RECIPE not in names and not begun & set(_STORES):
        held = ", ".join(sorted(names)[:5]) or "nothing"
        raise FileNotFoundError(
            f"{CALLER}() needs the folder of a run, with {RECIPE} or stores such as velocity.zarr; got {place}, which "
            f"holds {held}. Give the folder that run() or 'xoffset run -o' wrote to."
        )
    problems: list[str] = []
    told = _recipe_text(place, names, problems)
    recipe = _recipe(place, told, problems)
    products: dict[str, xr.Dataset] = {}
    states: dict[str, str] = {}
    for name in _stages(recipe, begun):
        states[name] = _open(place, name, names, products, problems)
    about = {key: told.get(key, {}) for key in ABOUT}
    return Run(
        place=place,
        recipe=recipe,
        recipe_name=str(told.get("recipe", "steps without a recipe")),
        parameters={name: value for name, value in told.items() if name not in ("recipe", VERSION, *ABOUT)},
        inputs=about["inputs"],
        not_written=about["not_written"],
        version=str(told.get(VERSION, "")),
        products=products,
        states=states,
        files={name: size for step in files.written(place).values() for name, size in step["files"].items()},
        problems=problems,
    )


def _recipe_text(place: Place, names: list[str], problems: list[str]) -> dict[str, Any]:
    """Tables of the recipe file; nothing if it lacks or cannot be read."""
    if RECIPE not in names:
        return {}
    try:
        return tomllib.loads((place / RECIPE).read_text())
    except (ValueError, OSError) as error:
        problems.append(f"{RECIPE} cannot be read ({error}).")
        return {}


def _recipe(place: Place, told: dict[str, Any], problems: list[str]) -> Recipe | None:
    if not told:
        return None
    try:
        return read_toml((place / RECIPE).read_text(), RECIPES)
    except (ValueError, TypeError, OSError) as error:
        problems.append(f"{RECIPE} holds no recipe that is known here ({error}).")
        return None


def _stages(recipe: Recipe | None, begun: set[str]) -> list[str]:
    """Names of the stores that the recipe makes, and of others that are there."""
    made = [] if recipe is None else [step.name for step in recipe.steps if step.is_stored]
    return list(dict.fromkeys([*made, *(name for name in _STORES if name in begun)]))


def _open(place: Place, name: str, names: list[str], products: dict[str, xr.Dataset], problems: list[str]) -> str:
    """Open a store, finished or not, and tell its state."""
    whole = f"{name}.zarr"
    is_whole = whole in names
    if not is_whole and f"{whole}{_PART}" not in names:
        return ABSENT
    where = place / (whole if is_whole else f"{whole}{_PART}")
    try:
        products[name] = open_result(str(where), partial=not is_whole)
    except (ValueError, TypeError, OSError, KeyError) as error:
        problems.append(f"{where.name} cannot be read ({error}).")
        return BROKEN if is_whole else _progress(where)
    return COMPLETE if is_whole else _progress(where)


def _progress(where: Place) -> str:
    """How far a store is that is written tile by tile."""
    if isinstance(where, Path):
        try:
            state = stores.of_saved(str(where)).facts["complete"]
        except (ValueError, OSError, KeyError):
            return UNFINISHED
        tiles = state.get("tiles", {})
        if tiles:
            return f"{UNFINISHED}, {tiles['done']} of {tiles['total']} tiles"
    return UNFINISHED
