"""Options of a command from the fields of a recipe."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from xoffset.recipes.base import Recipe
from xoffset.recipes.known import RECIPES
from xoffset.recipes.values import from_toml, kinds_of

# Options of the command that take no value, after which its first argument may come.
_FLAGS = ("--overwrite", "--dry-run")


class OfRecipes(click.Command):
    """A command with the options of the recipe that its first argument names, or else those that it was made with."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> click.Context:
        """Context of the command with the options of its recipe."""
        named = _named(args)
        if named is None:
            return super().make_context(info_name, args, parent, **extra)
        recipe, is_file = _class_of(named), named not in RECIPES
        fields = [field.name for field in dataclasses.fields(RECIPES["generic"])]
        shared = [param for param in self.params if param.name not in fields]
        of_recipe = click.Command(
            self.name,
            context_settings=self.context_settings,
            callback=self.callback,
            params=[*shared[:2], *options_of(recipe, is_file=is_file), *shared[2:]],
            help=f"{_about(recipe)}\n\nA run that was stopped goes on with the same command.",
        )
        return of_recipe.make_context(f"{info_name} {named}", args, parent, **extra)


def _about(recipe: type[Recipe]) -> str:
    """What a recipe says of itself, without its parameters: the options tell these."""
    return inspect.cleandoc(recipe.__doc__ or "").partition("\n\nParameters\n---")[0]


def _named(args: Sequence[str]) -> str | None:
    """The recipe other than the generic one, or the file of one, that the first argument names; None if it does not."""
    for before, each in zip(["", *args], args, strict=False):
        if each.startswith("-") or _takes_next(before):
            continue
        return each if is_recipe(each) and each != "generic" else None
    return None


def _takes_next(option: str) -> bool:
    """Whether what comes after an argument is its value: of an option that takes one, and does not hold it already."""
    is_with_value = "=" in option if option.startswith("--") else len(option) > 2
    return option.startswith("-") and option not in _FLAGS and not is_with_value


def _class_of(named: str) -> type[Recipe]:
    if named in RECIPES:
        return RECIPES[named]
    try:
        return RECIPES[from_toml(Path(named).read_text(encoding="utf-8"), list(RECIPES))[0]]
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error


def is_recipe(name: str) -> bool:
    """Whether an argument names a recipe, or the file of one, and no image."""
    return Path(name).is_file() if name.endswith(".toml") else name in RECIPES and not Path(name).exists()


def options_of(recipe: type[Recipe], *, is_file: bool) -> list[click.Option]:
    """An option for each field of a recipe; of a file of one they have no default, and replace what it says."""
    return [_option(field, kinds_of(recipe)[field.name], is_file) for field in dataclasses.fields(recipe)]


def _option(field: dataclasses.Field[Any], kinds: tuple[Any, ...], is_file: bool) -> click.Option:
    told, flag = field.metadata, f"--{field.name.replace('_', '-')}"
    what = f"{told['what'][:1].upper()}{told['what'][1:]}"
    unit = f", {told['unit']}" if told["unit"] else ""
    about: dict[str, Any] = {"help": f"{what}{unit}."}
    if field.default is not None and not is_file:
        about |= {"default": field.default, "show_default": True}
    if kinds == (bool,):
        about.setdefault("default", None)  # neither of the two
        return click.Option([field.name, f"{flag}/--no-{flag[2:]}"], **about)
    tuples = [kind for kind in kinds if typing.get_origin(kind) is tuple]
    scalars = [kind for kind in kinds if kind not in tuples]
    if tuples and not scalars:
        inside = typing.get_args(tuples[0])
        if Ellipsis in inside:
            return click.Option([field.name, flag], type=inside[0], multiple=True, **about)
        return click.Option([field.name, flag], nargs=len(inside), type=inside[0], **about)
    kind: Any = scalars[0] if len(scalars) == 1 else str
    if told["choices"] and not told["is_path"]:
        kind = click.Choice(list(told["choices"]), case_sensitive=False)
    if tuples and "default" in about:
        about["default"] = [field.default]
    return click.Option(
        [field.name, flag], type=kind, multiple=bool(tuples), required=told["is_required"] and not is_file, **about
    )


def fields_of(asked: dict[str, Any]) -> dict[str, Any]:
    """Options as fields of a recipe: numbers as numbers, and nothing of what was not asked for."""
    fields = {name: value for name, value in asked.items() if value is not None and value != ()}
    for name, value in fields.items():
        if name in ("band", "order") and isinstance(value, str) and value.isdigit():
            fields[name] = int(value)
        elif isinstance(value, tuple) and len(value) == 1:
            fields[name] = value[0]
    return fields
