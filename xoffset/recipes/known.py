"""Recipes by name."""

from __future__ import annotations

import os
from pathlib import Path

from xoffset.recipes.base import Recipe, read_toml
from xoffset.recipes.generic import Generic

RECIPES: dict[str, type[Recipe]] = {each.name: each for each in (Generic,)}


def as_recipe(recipe: str | os.PathLike[str] | Recipe) -> Recipe:
    """Recipe of a name, of a TOML file, or as it is.

    Raises
    ------
    TypeError
        If it is none of the three.
    ValueError
        If there is no such name or file, or the file holds no recipe.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, (str, os.PathLike)):
        raise TypeError(
            f"run() needs a recipe; got {type(recipe).__name__}. Pass the name of one ({', '.join(RECIPES)}), a TOML "
            "file, or a recipe itself."
        )
    if recipe in RECIPES:
        return RECIPES[str(recipe)]()
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
    return read_toml(text, RECIPES)
