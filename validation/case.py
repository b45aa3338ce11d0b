"""What a case needs, what is published about it, and what is not known."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

CASES = Path(__file__).parent / "cases"
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Product:
    """Files that a case reads.

    `key` is what the code of the case calls them, `id` the name that their archive knows them by, in which `*` stands
    for what no source gives, `source` where they are had, and `file` their place below the folder of the data, with
    `*` for any characters. There must be at least `least` of them, unless `without` tells what the case does without.
    `sha256` are the checksums that are known, by the name of the file.
    """

    key: str
    id: str
    source: str
    file: str
    least: int = 1
    without: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A published number, and what ours should be beside it.

    `of` is the tool or method, `source` the text that it stands in. `ours` should be "at most" or "at least" as large,
    or "about" it: by a share of `within` at most. Left out, it says nothing about ours.
    """

    quantity: str
    value: float
    unit: str
    of: str
    source: str
    ours: Literal["at most", "at least", "about", ""] = ""
    within: float = 0.1

    def is_met(self, value: float) -> bool | None:
        """Whether our number is as it should be; None if this says nothing about it."""
        if self.ours == "at most":
            return value <= self.value
        if self.ours == "at least":
            return value >= self.value
        return abs(value - self.value) <= self.within * abs(self.value) if self.ours else None


@dataclass(frozen=True)
class Truth:
    """What a table of GNSS receivers or stakes must be: its product, datums, axes, and the span of its dates.

    `axes` are "true" east and north, or "grid". The first measurement may not be later than `first` nor the last
    earlier than `last`, if they are told.
    """

    key: str
    datum: tuple[str, ...]
    axes: Literal["true", "grid"] = "true"
    first: str = ""
    last: str = ""


@dataclass(frozen=True)
class Case:
    """One case: `about` tells what is measured, `met` what to think of it, `missing` what no source gives."""

    name: str
    title: str
    about: str
    products: tuple[Product, ...]
    published: tuple[Figure, ...]
    missing: tuple[str, ...] = ()
    note: str = ""
    truth: Truth | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def recipe(self) -> Callable[..., dict[str, Rows]]:
        """What measures the case: takes what `data.find` found, returns tables by name, the first called "table"."""
        found = importlib.import_module(f"validation.cases.{self.name}").run
        assert callable(found)
        return found

    def product(self, key: str) -> Product:
        """Product of a key."""
        return next(each for each in self.products if each.key == key)


def names() -> list[str]:
    """Names of all cases, in order."""
    return sorted(path.parent.name for path in CASES.glob("*/case.toml"))


def load(name: str) -> Case:
    """Read one case, without its code."""
    if name not in names():
        raise ValueError(
            f"validation needs the name of a case, of {', '.join(names())}; got {name!r}. List them: "
            "python -m validation --list"
        )
    told = tomllib.loads((CASES / name / "case.toml").read_text())
    truth = told.pop("truth", None)
    if truth is not None:
        truth["datum"] = tuple(truth["datum"])
    return Case(
        name,
        truth=None if truth is None else Truth(**truth),
        products=tuple(Product(**each) for each in told.pop("products", [])),
        published=tuple(Figure(**each) for each in told.pop("published", [])),
        missing=tuple(told.pop("missing", [])),
        **told,
    )
