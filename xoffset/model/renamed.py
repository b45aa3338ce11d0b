"""Old names, accepted for one release with a warning that tells the new one."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import ParamSpec, TypeVar

import xarray as xr

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")

VARIABLES = {
    "gap": "peak_gap",
    "sigma_dxdy": "cov_dxdy",
    "sigma_vxvy": "cov_vxvy",
    "sigma_d_east_north": "cov_d_east_north",
    "sigma_v_east_north": "cov_v_east_north",
}
FUNCTIONS = {"annual": "yearly_velocity"}


def warn(old: str, new: str) -> None:
    """Warn of an old name, at the line outside the package that used it."""
    level = 1
    while sys._getframe(level).f_globals.get("__name__", "").partition(".")[0] == "xoffset":
        level += 1
    warnings.warn(f"{old} is called {new} now; the old name goes with the next release", DeprecationWarning, level + 1)


def with_new_names(data: xr.Dataset) -> xr.Dataset:
    """Product whose variables go by their new names; one that has both is left as it is."""
    if not {"dx", "vx", "d_east", "v_east"} & set(data.data_vars):
        return data
    old = _old(data.data_vars)
    return data.rename_vars(old) if old else data


def fields_with_new_names(fields: Mapping[str, V]) -> dict[str, V]:
    """Fields of a product by their new names."""
    old = _old(fields)
    return {old.get(name, name): values for name, values in fields.items()}


def _old(names: Collection[Hashable]) -> dict[str, str]:
    """New names of the variables that go by old ones, which are warned of."""
    old = {name: new for name, new in VARIABLES.items() if name in names and new not in names}
    for name, new in old.items():
        warn(f"the variable '{name}'", f"'{new}'")
    return old


def renamed_argument(old: str, new: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take a keyword by its old name too."""

    def accept(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **options: P.kwargs) -> R:
            if old in options:
                if new in options:
                    raise TypeError(
                        f"{function.__name__}() needs '{new}' once; got it by its old name '{old}' too. Leave that out."
                    )
                warn(f"the argument '{old}' of {function.__name__}()", f"'{new}'")
                options[new] = options.pop(old)
            return function(*args, **options)

        return call

    return accept
