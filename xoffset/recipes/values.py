"""Values of the fields of recipes: their types and ranges, places of files, and how TOML holds them."""

from __future__ import annotations

import dataclasses
import json
import os
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from xoffset import _options

# Key of the version in a file, and tables of it that tell of a run and are no fields.
VERSION, ABOUT = "xoffset", ("inputs", "not_written")


def kinds_of(recipe: type) -> dict[str, tuple[Any, ...]]:
    """Types that each field of a recipe may have, None left out."""
    hints = typing.get_type_hints(recipe)
    found = {}
    for field in dataclasses.fields(recipe):
        hint = hints[field.name]
        each = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
        found[field.name] = tuple(kind for kind in each if kind is not types.NoneType)
    return found


def checked(value: Any, field: dataclasses.Field[Any], kinds: tuple[Any, ...], recipe: str) -> Any:
    """The value of a field, if it is of its types and within its range; paths as texts, numbers as those of Python.

    Words of a choice may be written large or small, as the services write theirs.

    Raises
    ------
    TypeError
        If it is to be True or False, and is neither.
    ValueError
        If it is of another type, none of the choices, out of range, or lacks.
    """
    told, value = field.metadata, _plain(value)
    if value is None:
        _check_lacks(field, recipe)
        return None
    if told["is_path"] and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) and value.lower() in told["choices"]:
        value = value.lower()
    if told["choices"] and not told["is_path"] and value not in told["choices"]:
        raise ValueError(
            f"the recipe {recipe} needs {field.name} to be one of {', '.join(told['choices'])}; got {value!r}. "
            "Choose one of them."
        )
    if kinds == (bool,):
        return _options.as_switch(value, field.name, "run")
    if kinds == (str,) and not isinstance(value, str):
        example = f" such as {told['example']!r}" if told["example"] is not None else ""
        raise ValueError(f"the recipe {recipe} needs a text as {field.name}; got {value!r}. Pass one{example}.")
    if told["least"] is not None or told["most"] is not None:
        _check_range(value, field, kinds, recipe)
    return value


def _plain(value: Any) -> Any:
    """Numbers of NumPy as those of Python, which files of recipes hold; arrays and lists as tuples."""
    if isinstance(value, np.ndarray):
        value = tuple(value.tolist()) if value.ndim else value.item()
    if isinstance(value, (tuple, list)):
        return type(value)(map(_plain, value)) if type(value) in (tuple, list) else value
    return value.item() if isinstance(value, np.generic) and value.dtype.kind in "iufb" else value


def _check_lacks(field: dataclasses.Field[Any], recipe: str) -> None:
    told = field.metadata
    if told["is_required"]:
        unit = f" [{told['unit']}]" if told["unit"] else ""
        raise ValueError(
            f"the recipe {recipe} needs {field.name}{unit}, {told['what']}; got none, and there is no default. Pass "
            f"one such as {field.name}={told['example']!r}."
        )
    if field.default is not None:
        raise ValueError(f"the recipe {recipe} needs a value of {field.name}; got None. Leave it out.")


def _check_range(value: Any, field: dataclasses.Field[Any], kinds: tuple[Any, ...], recipe: str) -> None:
    told = field.metadata
    least = -float("inf") if told["least"] is None else told["least"]
    most = float("inf") if told["most"] is None else told["most"]
    is_whole = kinds == (int,)
    if (
        not _options.is_number(value)
        or not least <= value <= most
        or (is_whole and not _options.is_whole(value))
    ):  # fmt: skip
        unit = f" [{told['unit']}]" if told["unit"] else ""
        what = "a whole number" if is_whole and _options.is_number(value) and least <= value <= most else "a number"
        example = told["example"] if told["example"] is not None else least
        raise ValueError(
            f"the recipe {recipe} needs {what} from {least:g} to {most:g} as {field.name}{unit}; got {value!r}. "
            f"Pass a number such as {field.name}={example}."
        )


def placed(given: Mapping[str, Any], folder: Path, recipe: type, *, is_bound: bool) -> dict[str, Any]:
    """Those of the values that name files, with whole paths; others are taken from a folder.

    Raises
    ------
    ValueError
        If one leaves the folder that it is bound to.
    """
    named = [field for field in dataclasses.fields(recipe) if field.metadata["is_path"] and field.name in given]
    return {field.name: _placed(given[field.name], folder, field, is_bound) for field in named}


def _placed(value: Any, folder: Path, field: dataclasses.Field[Any], is_bound: bool) -> Any:
    """Path, or several, as a whole one; addresses, whole paths and words that name no file as they are."""
    if isinstance(value, (tuple, list)):
        return tuple(_placed(each, folder, field, is_bound) for each in value)
    if not isinstance(value, str) or value in field.metadata["choices"]:
        return value
    return whole(value, folder, field.name, is_bound=is_bound)


def whole(value: str, folder: Path, name: str, *, is_bound: bool) -> str:
    """Whole path of a file that a field names from a folder; addresses and whole paths as they are.

    Raises
    ------
    ValueError
        If it leaves the folder that it is bound to.
    """
    if "://" in value or Path(value).expanduser().is_absolute():
        return value
    found = Path(os.path.normpath(folder / value))
    if is_bound and not found.is_relative_to(os.path.normpath(folder)):
        raise ValueError(
            f"a recipe file needs paths within its folder, or whole ones, as {name}; got {value!r}, which leaves "
            f"{folder}. Give the whole path, or put the file beside the recipe."
        )
    return str(found)


# ---------------------------------------------------------------------------------------------------------------- TOML


def to_toml(recipe: str, fields: Mapping[str, Any], about: Mapping[str, Mapping[str, str]]) -> str:
    """Text of a TOML file of a recipe with its fields, the version, and tables about it."""
    lines = [f"recipe = {json.dumps(recipe)}", f"{VERSION} = {json.dumps(version('xoffset'))}"]
    for name, value in fields.items():
        lines.append(f"# {name} is not given" if value is None else f"{name} = {_as_toml(value)}")
    for table, rows in about.items():
        lines += ["", f"[{table}]", *(f"{json.dumps(key)} = {json.dumps(text)}" for key, text in rows.items())]
    return "\n".join(lines) + "\n"


def _as_toml(value: Any) -> str:
    """A value of TOML; texts and lists of JSON are those of TOML, too."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def from_toml(text: str, recipes: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Name of the recipe that a TOML file holds, and its fields.

    Raises
    ------
    ValueError
        If it is no TOML, or of another version, or names no recipe that is known.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"a recipe needs a TOML file; got '{error}'. Write one with recipe.to_toml().") from error
    name = values.pop("recipe", None)
    if name not in recipes:
        raise ValueError(
            f'a recipe file needs a line such as recipe = "generic"; got {name!r}. There are: {", ".join(recipes)}.'
        )
    made = values.pop(VERSION, version("xoffset"))
    if made != version("xoffset"):
        raise ValueError(
            f"a recipe file needs to be of this version of xoffset, {version('xoffset')}, to make the same again; got "
            f"{made!r}. Install that version, or remove the line '{VERSION} = ...' to use it with this one."
        )
    for table in ABOUT:
        values.pop(table, None)
    return name, {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
