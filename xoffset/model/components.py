"""Components along x and y: which two belong together, and what they become on true east and north."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from xoffset.model.tables import Variable

# Units of a component of motion, and those of a product of two.
_SQUARES = {"m": "m2", "m yr-1": "m2 yr-2", "m yr-2": "m2 yr-4"}


class Components(NamedTuple):
    """Variables that belong to an axis of the grid, by name; of two that belong together x -> y."""

    vectors: dict[str, str]  # both parts of a vector: they can be turned, with their standard errors sigma_NAME
    errors: dict[str, str]  # other standard errors of the parts of a vector: they can be turned too
    all: frozenset[str]  # these and all others, which mean nothing once the axes are turned
    lengths: frozenset[str]  # variables that belong to no axis and are in metres of the grid, to some power


def of_tables(tables: Iterable[Mapping[str, Variable]]) -> Components:
    """Find the components among the variables of all products, told by their long names."""
    vectors, errors, names, lengths = {}, {}, set(), set()
    for table in tables:
        lengths |= {each.name for each in table.values() if _is_length(each.units)}
        by_text = {each.long_name: each for each in table.values()}
        for along_x in table.values():
            along_y = by_text.get(along_x.long_name.replace(" along x", " along y"))
            if along_y is None or along_y is along_x:
                continue
            names |= {along_x.name, along_y.name}
            if along_x.units not in _SQUARES or along_x.dims[-2:] != ("y", "x"):
                continue
            if along_x.is_signed:
                vectors[along_x.name] = along_y.name
            elif along_x.name.startswith("sigma_") and along_x.name.removeprefix("sigma_") not in table:
                errors[along_x.name] = along_y.name
    return Components(vectors, errors, frozenset(names), frozenset(lengths - names))


def on_ground(x: str, y: str) -> tuple[str, str]:
    """Names of two components turned to true east and north: d_east, d_north of dx, dy."""
    place = next(k for k, (one, other) in enumerate(zip(x, y, strict=True)) if one != other)
    return f"{x[:place]}_east{x[place + 1 :]}", f"{x[:place]}_north{x[place + 1 :]}"


def covariance_on_ground(x: str, y: str) -> str:
    """Name of the covariance of two components turned to true east and north: cov_d_east_north of dx, dy."""
    return f"cov_{on_ground(x, y)[0]}_north"


def _is_length(units: str | None) -> bool:
    """Whether a quantity in these units is in metres, to some power."""
    return units is not None and re.search(r"\bm(2|-1)?( |$)", units) is not None


def turned(tables: Iterable[Mapping[str, Variable]], found: Components) -> dict[str, Variable]:
    """Variables that components become on true east and north; where names are alike the first table is followed."""
    registered: dict[str, Variable] = {}
    for table in tables:
        registered = dict(table) | registered
    out: dict[str, Variable] = {}
    for x, y in (found.vectors | found.errors).items():
        for name, of, axis, way in zip(on_ground(x, y), (x, y), "xy", ("east", "north"), strict=True):
            text = registered[of].long_name.replace(f" along {axis}", f" toward true {way}")
            out[name] = replace(
                registered[of], name=name, dims=("...", "y", "x"), long_name=f"{text}, metres of ground"
            )
            if x in found.vectors and f"sigma_{x}" in registered:
                error = f"sigma_{name}"
                out[error] = replace(out[name], name=error, long_name=f"standard error of the {text}", is_signed=False)
        if x in found.vectors and f"sigma_{x}" in registered:
            name = covariance_on_ground(x, y)
            text = registered[x].long_name.replace(" along x", " toward true east and toward true north")
            units = _SQUARES[registered[x].units or ""]
            out[name] = replace(
                registered[x], name=name, dims=("...", "y", "x"), units=units, long_name=f"covariance of the {text}"
            )
    return out
