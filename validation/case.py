"""What a case needs, what is published about it, and whether its files are there and as they should be."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent / "cases"
Row = dict[str, Any]


@dataclass(frozen=True)
class Product:
    """A file or folder that a case reads.

    `id` is the name that its archive knows it by, `source` where it is had, `file` its path below the data folder, in
    which `*` stands for any characters, and `sha256` the checksum of one file, None where none is known.
    """

    id: str
    source: str
    file: str
    sha256: str | None = None


@dataclass(frozen=True)
class Figure:
    """A published number: of which quantity, by which tool or method, and the text that it stands in."""

    quantity: str
    value: float
    unit: str
    of: str
    source: str


@dataclass(frozen=True)
class Case:
    """One case; `missing` tells in words what is not known about it, such as product ids that no source gives."""

    name: str
    title: str
    about: str
    products: tuple[Product, ...]
    published: tuple[Figure, ...]
    missing: tuple[str, ...] = ()


def names() -> list[str]:
    """Names of all cases, in order."""
    return sorted(path.parent.name for path in CASES.glob("*/case.toml"))


def load(name: str) -> Case:
    """Read one case; without its code."""
    if name not in names():
        raise ValueError(
            f"a case needs a name of {', '.join(names())}; got {name!r}. List them: python -m validation --list"
        )
    told = tomllib.loads((CASES / name / "case.toml").read_text())
    return Case(
        name,
        told["title"],
        told["about"],
        tuple(Product(**each) for each in told.get("products", [])),
        tuple(Figure(**each) for each in told.get("published", [])),
        tuple(told.get("missing", [])),
    )


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
