"""What recipes share: fields with units and ranges, files of them, and the steps that they stand for."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, TypedDict, Unpack

import xarray as xr

from xoffset.recipes import scripts, values
from xoffset.recipes.values import kinds_of


class Result(str):
    """Name of the result of an earlier step, as an argument of a later one; ``planned.search`` is a part of one."""

    __slots__ = ()

    @property
    def key(self) -> str:
        """What it stands under among the results."""
        return self.partition(".")[0]

    def taken(self, results: Mapping[str, Any]) -> Any:
        """The result that it names, or the part of it."""
        found = results[self.key]
        for part in self.split(".")[1:]:
            found = getattr(found, part)
        return found


class Folder(Result):
    """Folder of a run that a step writes files to, as an argument of it: a name, or several with slashes."""

    __slots__ = ()

    @property
    def key(self) -> str:
        """What it stands under among the results, where a product may have its name."""
        return f"{self}/"

    def taken(self, results: Mapping[str, Any]) -> Any:
        """The folder that it names."""
        return results[self.key]


class Step(NamedTuple):
    """A call of a public function: what its result is called, its subjects and options, and whether it is stored."""

    name: str
    call: Callable[..., Any]
    subjects: tuple[Any, ...]
    options: Mapping[str, Any]
    is_stored: bool = False
    is_scene: bool = False  # whether the whole scene enters each of its values
    title: str = ""  # what to say while it is computed

    @property
    def folder(self) -> Folder | None:
        """Folder that it writes files to, if it does: several steps may write to one."""
        return next((each for each in self.subjects if isinstance(each, Folder)), None)

    @property
    def sources(self) -> list[Result]:
        """Results of earlier steps that it takes."""
        used = _names((*self.subjects, *self.options.values()))
        return [Result(each.key) for each in used if not isinstance(each, Folder)]


def _names(values: Iterable[Any]) -> list[Result]:
    """Names of results among values, and within their lists and tables."""
    found: list[Result] = []
    for each in values:
        if isinstance(each, Result):
            found.append(each)
        elif isinstance(each, Mapping):
            found += _names(each.values())
        elif isinstance(each, (list, tuple)):
            found += _names(each)
    return found


def filled(value: Any, results: Mapping[str, Any]) -> Any:
    """Result that a name stands for, lists and tables with those that theirs stand for, or the value itself."""
    if isinstance(value, Result):
        return value.taken(results)
    if isinstance(value, Mapping) and _names([value]):
        return {key: filled(each, results) for key, each in value.items()}
    if isinstance(value, (list, tuple)) and _names(value):
        return [filled(each, results) for each in value]
    return value


# Name of the scenes among the results.
SCENES = Result("scenes")


class Told(TypedDict, total=False):
    """What a field tells beside its default and what it means."""

    unit: str
    least: float | None
    most: float | None
    choices: Sequence[str]  # of a field that names files, words that name none
    is_path: bool
    is_required: bool
    example: Any  # of a field without a default


def option(default: Any, what: str, **told: Unpack[Told]) -> Any:
    """Field of a recipe: default, what it means, and what `Told` has. One that is required has None as its default."""
    usual: Told = {
        "unit": "", "least": None, "most": None, "choices": (), "is_path": False, "is_required": False,
        "example": default,
    }  # fmt: skip
    return dataclasses.field(default=default, metadata={"what": what, **usual, **told})


@dataclass(frozen=True)
class Recipe:
    """Parameters of a way from images to products, and its steps.

    Fields are made by `option`. What is None or empty is left to the functions that the steps call.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = values.checked(getattr(self, field.name), field, kinds_of(type(self))[field.name], self.name)
            object.__setattr__(self, field.name, value)

    @property
    def steps(self) -> list[Step]:
        """Calls that make the products, in order."""
        raise NotImplementedError

    @property
    def not_written(self) -> dict[str, str]:
        """Files of the service that the steps do not write, and why: an input lacks."""
        return {}

    @property
    def warnings(self) -> list[str]:
        """What to tell before a run with these parameters."""
        return []

    def undone(self, results: Mapping[str, Any]) -> dict[str, str]:
        """What a run leaves undone, by its results that are not computed yet, and why."""
        return {}

    def scenes_of(self, scenes: Any) -> Any:
        """Those of the scenes that are opened."""
        return scenes

    def ways(self, scenes: Any) -> list[Self]:
        """Recipes without open questions, of which the first that these scenes have all inputs for is carried out."""
        return [self]

    def check_plan(self, results: Mapping[str, Any]) -> None:
        """Refuse a run, by its results that are not computed yet, whose files could not be written at its end."""

    def check(self, name: str, product: xr.Dataset) -> None:
        """Refuse a stored product that nothing good can follow from; warn of what it lacks."""

    @property
    def values(self) -> dict[str, Any]:
        """Fields by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @property
    def files(self) -> dict[str, Any]:
        """Fields that name files, whose change makes another run of it."""
        named = [field for field in dataclasses.fields(self) if field.metadata["is_path"]]
        return {
            field.name: getattr(self, field.name)
            for field in named
            if getattr(self, field.name) not in (None, *field.metadata["choices"])
        }

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Recipe with these values of some fields.

        Raises
        ------
        TypeError
            If a field is none of the recipe.
        ValueError
            If a field that is required lacks, or a value is out of range.
        """
        cls._check_names(given)
        return cls(**given)

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Recipe with other values of some fields.

        Raises
        ------
        TypeError
            If a field is none of the recipe.
        ValueError
            If a value is out of range.
        """
        self._check_names(changes)
        return dataclasses.replace(self, **changes)

    @classmethod
    def _check_names(cls, given: Mapping[str, Any]) -> None:
        names = [field.name for field in dataclasses.fields(cls)]
        for name in given:
            if name not in names:
                lower = {each.lower(): each for each in names}
                close = difflib.get_close_matches(name.lower(), lower, n=1)
                advice = f"Did you mean {lower[close[0]]!r}?" if close else f"There are: {', '.join(names)}."
                raise TypeError(f"the recipe {cls.name} needs one of its fields; got {name!r}. {advice}")

    def placed(self, folder: Path, *, is_bound: bool = False) -> Self:
        """Recipe whose files have whole paths; others are taken from a folder, which they must not leave if `is_bound`.

        Raises
        ------
        ValueError
            If a path leaves the folder.
        """
        return dataclasses.replace(self, **values.placed(self.files, folder, type(self), is_bound=is_bound))

    @classmethod
    def located(cls, given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Values of a recipe file whose paths are whole: taken from its folder, which they must not leave.

        Raises
        ------
        ValueError
            If a path leaves the folder.
        """
        return dict(given) | values.placed(given, folder, cls, is_bound=True)

    def to_toml(self, about: Mapping[str, Mapping[str, str]] | None = None) -> str:
        """Text of a TOML file that holds the recipe and the version of xoffset; fields that are None are comments.

        `about` are further tables, such as the inputs of a run, which `from_toml` passes over.
        """
        return values.to_toml(self.name, self.values, about or {})

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Recipe of this class that the text of a TOML file holds, as `to_toml` writes it."""
        _, given = values.from_toml(text, [cls.name])
        return cls.of(given)

    def script(self, scenes: Any = "scenes", out: str = "results") -> str:
        """The same steps as plain calls in Python, which store and resume the same products."""
        lines = ["import xoffset", ""]
        given: dict[str, str] = {SCENES: scripts.as_code(scenes, {}, Result)}
        for step in self.steps:
            if step.folder is not None:
                given[step.folder.key] = scripts.as_code(f"{out}/{step.folder}".removesuffix("/."), {}, Result)
            arguments = [scripts.as_code(each, given, Result) for each in step.subjects]
            arguments += [f"{name}={scripts.as_code(value, given, Result)}" for name, value in step.options.items()]
            lines.append(f"{step.name} = {scripts.public_name(step.call)}({', '.join(arguments)})")
            if step.is_stored:
                place = repr(f"{out}/{step.name}.zarr")
                lines.append(f"{step.name} = {step.name}.offset.to_zarr({place}, resume=True)")
        return "\n".join(lines) + "\n"


def read_toml(
    text: str,
    recipes: Mapping[str, type[Recipe]],
    changes: Mapping[str, Any] | None = None,
    folder: Path | None = None,
) -> Recipe:
    """Recipe that a TOML file holds, of those known by name, with changes.

    Paths of the file are taken from its folder, if that is told, and may not leave it unless they are whole paths.

    Raises
    ------
    TypeError
        If a field is none of the recipe.
    ValueError
        If it is no TOML, or of another version, names no recipe that is known, or a value is out of range, or a path
        leaves the folder.
    """
    name, given = values.from_toml(text, list(recipes))
    if folder is not None:
        given = recipes[name].located(given, folder)
    return recipes[name].of(given | dict(changes or {}))
