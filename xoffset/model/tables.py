"""Tables of variables: what is known of each before it has values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xoffset.model.flags import flag_attrs

# Name of standard errors that a whole map shares.
SHIFT_ERROR = "sigma_shift"
# Names of those of its parts that belong to the two dates of a pair, and to the pair alone.
SHIFT_ERROR_PARTS = (f"{SHIFT_ERROR}_dates", f"{SHIFT_ERROR}_own")
# Name of that of a velocity [m yr-1] through a series, by errors of pairs as wholes that pile up from date to date.
SHIFT_DRIFT = f"{SHIFT_ERROR}_drift"
# Name of the variable that tells pairs that a correction left as they were, which are wrong by their whole shift.
IS_CORRECTED = "is_corrected"


@dataclass(frozen=True)
class Variable:
    """What is known of a variable before it has values.

    Dims that begin with "..." are preceded by those of the input or of the request, if there are any. Units are None
    for a flag or a count, as CF wants. Zero has a meaning in the middle of a signed quantity, such as a component of
    motion; a cyclic one begins anew after its period, which is in its units.
    """

    name: str
    dims: tuple[str, ...]
    units: str | None
    long_name: str
    is_signed: bool = False
    period: float | None = None


Table = Mapping[str, Variable]
Rows = Mapping[str, tuple[str | None, str]]  # variable -> (units, long name)


def table(
    dims: tuple[str, ...], rows: Rows, *, signed: Sequence[str] = (), periods: Mapping[str, float] | None = None
) -> dict[str, Variable]:
    """Variables with the same dims; `signed` are names of them, `periods` those of the cyclic ones by name."""
    cycles = periods or {}
    return {
        name: Variable(name, dims, units, long_name, name in signed, cycles.get(name))
        for name, (units, long_name) in rows.items()
    }


def components_of(
    dims: tuple[str, ...], name: str, units: str, of: str, *, is_signed: bool = True, period: float | None = None
) -> dict[str, Variable]:
    """Both components of a quantity and their standard errors; {} in the name stands for x or y."""
    names = {axis: name.format(axis) for axis in ("x", "y")}
    values = {
        each: Variable(each, dims, units, f"{of} along {axis}", is_signed, period) for axis, each in names.items()
    }
    return values | errors_of(values)


def errors_of(values: Table, words: str = "standard error of the ") -> dict[str, Variable]:
    """Standard errors of variables, which have no sign and no period."""
    rows = {f"sigma_{each.name}": (each, f"{words}{each.long_name}") for each in values.values()}
    return {name: Variable(name, each.dims, each.units, long_name) for name, (each, long_name) in rows.items()}


def flags(dims: tuple[str, ...]) -> dict[str, Variable]:
    """Flags of values with these dims."""
    return table(dims, {"flags": (None, flag_attrs()["long_name"])})


def shared_error_of(name: str, main: str) -> str:
    """Name of the standard error that a whole map shares in a component: `sigma_shift` of the main one."""
    if name == main:
        return SHIFT_ERROR
    return f"{SHIFT_ERROR}_{name.removesuffix('_dx') if name.endswith('_dx') else name[:-1]}"


def shared_errors_of(values: Table, main: str) -> dict[str, Variable]:
    """Standard errors that a whole map shares, one for both components of each quantity that has standard errors."""
    out = {}
    for each in values.values():
        if each.is_signed and each.name.endswith("x") and f"sigma_{each.name}" in values:
            name = shared_error_of(each.name, main)
            text = f"standard error of the {each.long_name.removesuffix(' along x')} that the whole map shares"
            out[name] = Variable(name, each.dims[:-2], each.units, text)
    return out
