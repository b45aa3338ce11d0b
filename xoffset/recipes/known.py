"""Recipes by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xoffset.recipes.annual_rate import AnnualRate
from xoffset.recipes.base import Recipe, read_toml
from xoffset.recipes.earthquake import Earthquake
from xoffset.recipes.gdm_etq import GdmOptEtq
from xoffset.recipes.gdm_time import GdmOptIce, GdmOptSlide
from xoffset.recipes.generic import Generic
from xoffset.recipes.landslide import Glacier, Landslide
from xoffset.recipes.mpic import MpicOpt
from xoffset.recipes.pycorr import Pycorr
from xoffset.recipes.tio import Tio

_ALL = (
    Generic, Landslide, Glacier, Earthquake, MpicOpt, GdmOptEtq, GdmOptSlide, GdmOptIce, Pycorr, AnnualRate, Tio,
)  # fmt: skip
RECIPES: dict[str, type[Recipe]] = {each.name: each for each in _ALL}


def as_recipe(recipe: str | os.PathLike[str] | Recipe, changes: Mapping[str, Any] | None = None) -> Recipe:
    """Recipe of a name, of a TOML file, or as it is, with changes.

    Raises
    ------
    TypeError
        If it is none of the three, or a change is no field of it.
    ValueError
        If there is no such name or file, or the file holds no recipe, or a value is out of range or lacks.
    """
    if isinstance(recipe, Recipe):
        return recipe.changed(changes) if changes else recipe
    if not isinstance(recipe, (str, os.PathLike)):
        raise TypeError(
            f"run() needs a recipe; got {type(recipe).__name__}. Pass the name of one ({', '.join(RECIPES)}), a TOML "
            "file, or a recipe itself."
        )
    if recipe in RECIPES:
        return RECIPES[str(recipe)].of(changes or {})
    file = Path(recipe).expanduser()
    if not file.is_file():
        raise ValueError(
            f"run() needs a recipe that is known, or a TOML file of one; got {os.fspath(recipe)!r}, which is neither. "
            f"There are: {', '.join(RECIPES)}."
        )
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"run() needs a recipe in a TOML file, which is text in UTF-8; got {file} with other bytes ({error}). "
            "Write one with recipe.to_toml()."
        ) from error
    return read_toml(text, RECIPES, changes, file.absolute().parent)
