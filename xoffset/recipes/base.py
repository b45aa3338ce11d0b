"""What recipes share: fields with units and ranges, files of them, and the steps that they stand for."""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import xarray as xr

from xoffset import _options


class Result(str):
    """Name of the result of an earlier step, as an argument of a later one."""

    __slots__ = ()


class Step(NamedTuple):
    """A call of a public function: what its result is called, its subjects and options, and whether it is stored."""

    name: str
    call: Callable[..., Any]
    subjects: tuple[Any, ...]
    options: Mapping[str, Any]
    is_stored: bool = False
    is_scene: bool = False  # whether the whole scene enters each of its values
    title: str = ""  # what to say while it is computed


# Name of the scenes among the results, and of the folder that products are written to.
SCENES, FOLDER = Result("scenes"), Result("out")


def option(
    default: Any,
    what: str,
    *,
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
    choices: Sequence[str] = (),
    is_path: bool = False,
) -> Any:
    """Field of a recipe: default, what it means, unit, range or choices, and whether it names files."""
    told = {"what": what, "unit": unit, "least": least, "most": most, "choices": tuple(choices), "is_path": is_path}
    return dataclasses.field(default=default, metadata=told)


@dataclass(frozen=True)
class Recipe:
    """Parameters of a way from images to products, and its steps.

    Fields are made by `option`. What is None or empty is left to the functions that the steps call.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(getattr(self, field.name), field, self.name)

    @property
    def steps(self) -> list[Step]:
        """Calls that make the products, in order."""
        raise NotImplementedError

    def check(self, name: str, product: xr.Dataset) -> None:
        """Refuse a stored product that nothing good can follow from; warn of what it lacks."""

    @property
    def files(self) -> dict[str, Any]:
        """Fields that name files, whose change makes another run of it."""
        named = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.metadata["is_path"]
        }
        return {name: value for name, value in named.items() if value is not None}

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Recipe with other values of some fields.

        Raises
        ------
        TypeError
            If a field is none of the recipe.
        """
        names = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in names:
                close = difflib.get_close_matches(name, names, n=1)
                advice = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(names)}."
                raise TypeError(f"the recipe {self.name} needs one of its fields; got {name!r}. {advice}")
        return dataclasses.replace(self, **changes)

    def to_toml(self) -> str:
        """Text of a TOML file that holds the recipe; fields that are None are left out."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        lines = [f"{name} = {_as_toml(value)}" for name, value in values.items() if value is not None]
        return "\n".join([f"recipe = {json.dumps(self.name)}", *lines]) + "\n"

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Recipe of this class that the text of a TOML file holds, as `to_toml` writes it."""
        return cls(**dataclasses.asdict(read_toml(text, {cls.name: cls})))

    def script(self, scenes: Any = "scenes", out: str = "results") -> str:
        """The same steps as plain calls in Python, which store and resume the same products."""
        lines = ["import xoffset", ""]
        given: dict[str, str] = {SCENES: _as_code(scenes, {}), FOLDER: _as_code(f"{out}/velocity", {})}
        for step in self.steps:
            arguments = [_as_code(each, given) for each in step.subjects]
            arguments += [f"{name}={_as_code(value, given)}" for name, value in step.options.items()]
            lines.append(f"{step.name} = {_public_name(step.call)}({', '.join(arguments)})")
            if step.is_stored:
                place = repr(f"{out}/{step.name}.zarr")
                lines.append(f"{step.name} = {step.name}.offset.to_zarr({place}, resume=True)")
        return "\n".join(lines) + "\n"


def read_toml(text: str, recipes: Mapping[str, type[Recipe]]) -> Recipe:
    """Recipe that a TOML file holds, of those known by name.

    Raises
    ------
    TypeError
        If a field is none of the recipe.
    ValueError
        If it is no TOML, or names no recipe that is known, or a value is out of range.
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
    lists = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return recipes[name]().changed(lists)


def _check(value: Any, field: dataclasses.Field[Any], recipe: str) -> None:
    told = field.metadata
    if value is None:
        if field.default is not None:
            raise ValueError(f"the recipe {recipe} needs a value of {field.name}; got None. Leave it out.")
        return
    if told["choices"] and value not in told["choices"]:
        raise ValueError(
            f"the recipe {recipe} needs {field.name} to be one of {', '.join(told['choices'])}; got {value!r}. "
            "Choose one of them."
        )
    if field.default is True or field.default is False:
        _options.as_switch(value, field.name, "run")
    if told["least"] is None and told["most"] is None:
        return
    least = -float("inf") if told["least"] is None else told["least"]
    most = float("inf") if told["most"] is None else told["most"]
    if not _options.is_number(value) or not least <= value <= most:
        unit = f" [{told['unit']}]" if told["unit"] else ""
        raise ValueError(
            f"the recipe {recipe} needs a number from {least:g} to {most:g} as {field.name}{unit}; got {value!r}. "
            f"Pass a number such as {field.name}={field.default if field.default is not None else least}."
        )


def _as_toml(value: Any) -> str:
    """A value of TOML; texts and lists of JSON are those of TOML, too."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _as_code(value: Any, given: Mapping[str, str]) -> str:
    if isinstance(value, Result):
        return given.get(value, str(value))
    if isinstance(value, Path):
        return repr(str(value))
    if isinstance(value, (list, tuple)):
        inside = ", ".join(_as_code(each, given) for each in value)
        return f"[{inside}]"
    return "stack" if isinstance(value, xr.DataArray) else repr(value)


def _public_name(call: Callable[..., Any]) -> str:
    return f"xoffset.{'masking.' if '.masking.' in call.__module__ else ''}{call.__name__}"
