"""Pairs of the same two dates as one observation, and maps of what was made of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset._arrays.networks import graph, solver
from xoffset.model import checks, products
from xoffset.model.variables import Table


class Observations(NamedTuple):
    """Pairs of dates of a network, and which matches belong to each."""

    ends: np.ndarray
    group: np.ndarray
    sign: np.ndarray
    dates: int


def observations(shifts: xr.Dataset) -> tuple[slice | np.ndarray, Observations]:
    """Order of the pairs by date, and the pairs of dates that they are matches of."""
    order, epochs, ends = checks.sorted_pairs(shifts)
    return order, Observations(*graph.observations(ends), epochs.size)


def on_grid(fields: dict[str, Any], table: Table, shifts: xr.Dataset, step: dict[str, Any]) -> xr.Dataset:
    """Product (y, x) of fields over all pairs."""
    return products.product(
        {name: (("y", "x"), values) for name, values in fields.items()}, table, like=shifts, step=step
    )


def merge_pairs(fields: tuple[np.ndarray, ...], seen: Observations) -> np.ndarray:
    """Displacements forward in time and variances (4, pair of dates, rows, columns)."""
    out = np.empty((4, len(seen.ends), *fields[0].shape[1:]))
    solver.merge(seen.group, seen.sign, *fields, out=out)
    return out
