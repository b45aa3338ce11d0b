"""Numbers, choices and switches, checked alike on all floors."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

Choice = TypeVar("Choice")


@contextmanager
def speaking_as(caller: str, function: str) -> Iterator[None]:
    """Let errors of a function bear the name of the one that calls it, which is what its user has called."""
    try:
        yield
    except (TypeError, ValueError, OSError, ImportError) as error:
        if caller == function or not str(error).startswith(f"{function}() "):
            raise
        raise type(error)(f"{caller}{str(error).removeprefix(function)}") from error


def is_number(value: Any) -> bool:
    """Whether a value is a finite real number, of Python or NumPy: neither a switch nor a duration."""
    is_real = isinstance(value, (float, int, np.floating, np.integer))
    return is_real and not isinstance(value, (bool, np.timedelta64)) and bool(-np.inf < value < np.inf)


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, of Python or NumPy: neither a switch nor a duration."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64))


def check_share(value: Any, name: str, caller: str) -> None:
    """Refuse what is no number between 0 and 1."""
    if not is_number(value) or not 0.0 <= value <= 1.0:
        raise ValueError(f"{caller}() needs {name} between 0 and 1; got {value!r}. Pass a share such as 0.5.")


def check_name(value: Any, names: Collection[str], name: str, caller: str) -> None:
    """Refuse what is none of the names of a choice."""
    if not isinstance(value, str) or value not in names:
        *others, last = map(repr, names)
        raise ValueError(f"{caller}() needs {name} {', '.join(others)} or {last}; got {value!r}. Choose one of these.")


def one_of(value: Any, choices: Mapping[str, Choice], name: str, caller: str) -> Choice:
    """What a name stands for, refusing any other."""
    check_name(value, choices, name, caller)
    return choices[value]


def check_finite(value: Any, name: str, caller: str) -> None:
    """Refuse what is no finite number."""
    if not is_number(value) or abs(value) > 1e100:
        raise ValueError(f"{caller}() needs a finite number as {name}; got {value!r}. Pass one such as 1.0.")


def as_number(value: Any, name: str, caller: str, *, least: float = 0.0) -> float:
    """Return a finite number of at least `least` as float, refusing anything else."""
    if not is_number(value) or value < least:
        raise ValueError(
            f"{caller}() needs a number of at least {least:g} as {name}; got {value!r}. Pass one such as {least + 1:g}."
        )
    return float(value)


def as_positive(value: Any, name: str, caller: str, *, unit: str, example: float) -> float:
    """Return a finite number above zero as float, refusing anything else."""
    if not is_number(value) or value <= 0.0:
        raise ValueError(
            f"{caller}() needs a number above 0 as {name} [{unit}]; got {value!r}. Pass one such as {example:g}."
        )
    return float(value)


def as_whole_number(value: Any, name: str, caller: str, *, least: int, example: int) -> int:
    """Return a whole number of at least `least` as int, refusing anything else."""
    if not is_whole(value) or value < least:
        raise ValueError(
            f"{caller}() needs a whole number of at least {least} as {name}; got {value!r}. Pass {name}={example}."
        )
    return int(value)


def as_azimuth(value: Any, name: str, caller: str) -> float:
    """Return an angle in degrees as float from 0 to 360, refusing what is no finite number."""
    if not is_number(value):
        raise ValueError(f"{caller}() needs a number of degrees as {name}; got {value!r}. Pass one from 0 to 360.")
    return float(value) % 360.0


def as_path(value: Any, name: str, caller: str) -> Path:
    """Return a place in the file system, refusing what names none."""
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value) or "\0" in str(value):
        came = repr(value) if isinstance(value, str) else type(value).__name__
        raise TypeError(f"{caller}() needs a path as {name}; got {came}. Pass a text or a pathlib.Path.")
    return Path(value)


def check_count(value: float, most: float, what: str, caller: str, advice: str) -> None:
    """Refuse what would take more memory than it can be worth."""
    if value > most:
        raise ValueError(f"{caller}() needs at most {most:,.0f} {what}; got {value:,.0f}. {advice}.")


def as_radius(window: Any, caller: str, *, least: int, name: str = "window") -> int:
    """Half the side of a window of nodes around a node: an odd number of at least `least`."""
    if not is_whole(window) or window < least or window % 2 == 0:
        raise ValueError(
            f"{caller}() needs an odd number of at least {least} nodes as {name}; got {window!r}. "
            f"Pass a number such as {name}=5."
        )
    return int(window) // 2


def as_switch(value: Any, name: str, caller: str) -> bool:
    """Return a yes or no as bool, refusing anything else."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{caller}() needs {name} to be True or False; got {value!r}. Pass one of the two.")
    return bool(value)
