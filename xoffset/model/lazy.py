"""Results of lazy input in few tasks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec

import numpy as np
import xarray as xr

from xoffset._blocks import fusing

P = ParamSpec("P")


def in_few_tasks(function: Callable[P, xr.Dataset]) -> Callable[P, xr.Dataset]:
    """Let a function of lazy input return the same with few tasks: one a block, and one for each variable of it."""

    @functools.wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> xr.Dataset:
        found = function(*args, **options)
        lazy = {str(name): each.data for name, each in found.data_vars.items() if not isinstance(each.data, np.ndarray)}
        if not lazy:
            return found
        inputs = [array for each in (*args, *options.values()) for array in _lazy_arrays(each)]
        arrays = fusing.in_few_tasks(lazy, inputs)
        for name, array in arrays.items():
            found[name].data = array
        return found

    return call


def _lazy_arrays(given: Any) -> Iterator[Any]:
    """Dask arrays of a dataset or a map of an argument."""
    if isinstance(given, xr.Dataset):
        variables = list(given.variables.values())
    elif isinstance(given, xr.DataArray):
        variables = [given.variable, *(each.variable for each in given.coords.values())]
    else:
        return
    for each in variables:
        if hasattr(each._data, "dask"):
            yield each._data
