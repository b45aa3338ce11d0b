"""Corrections by date: what the pairs of a network tell of each of its dates."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays.corrections import by_date, scene
from xoffset._arrays.corrections.terms import NOT_CORRECTED, Setup
from xoffset._arrays.networks import graph
from xoffset._blocks import whole
from xoffset.model.dates import as_dates

_log = logging.getLogger(__name__)


def of_dates(fit: Callable[[list[Any]], Any], shifts: xr.Dataset, setup: Setup, caller: str) -> Any:
    """Table `by_date.OF_DATES` (layer, date) of all dates of the shifts; fit: as for `adjusted`."""
    table, ends, dates = _fitted(fit, shifts, setup, caller)
    tell = partial(by_date.of_dates, ends=ends, setup=setup)
    return whole.at_once(tell, [table], np.dtype(np.float64), (by_date.OF_DATES.count, dates))


def adjusted(fit: Callable[[list[Any]], Any], shifts: xr.Dataset, setup: Setup, caller: str) -> Any:
    """Table (layer, pair) as `Setup.table` says, in which the dates of each pair have their say.

    fit: makes the table of the pairs, each by itself; of the orders (pair,) of their ramps, if it is given them.
    """
    table, ends, _ = _fitted(fit, shifts, setup, caller)
    adjust = partial(by_date.adjusted, ends=ends, setup=setup)
    return whole.at_once(adjust, [table], np.dtype(np.float64), (setup.table.count, len(ends)))


def with_parts(table: Any, shifts: xr.Dataset, setup: Setup) -> Any:
    """Table (layer, pair) of pairs, each by itself, with the parts of their errors that belong to dates and pairs."""
    ends = _ends(shifts)[1]
    tell = partial(by_date.with_parts, ends=ends, setup=setup)
    return whole.at_once(tell, [table], np.dtype(np.float64), (setup.table.count, len(ends)))


def _fitted(
    fit: Callable[[list[Any]], Any], shifts: xr.Dataset, setup: Setup, caller: str
) -> tuple[Any, np.ndarray, int]:
    """Table of the pairs with ramps of one order, the dates of each pair as numbers (pair, 2), and their number."""
    epochs, ends = _ends(shifts)
    parts = int(graph.components(epochs.size, ends).max()) + 1
    if parts > 1:
        _log.warning(
            "%s(): no chain of pairs ties all dates together; the network has %d parts, each adjusted by itself.",
            caller, parts,
        )  # fmt: skip
    table = fit([])
    # one order for all, since those of dates differ by what those of pairs are
    choices = [by_date.common_order] if setup.order is None else []
    for choose in [*choices, by_date.carried_order] if setup.order != 0 else []:
        tell = partial(_orders, choose=choose, ends=ends, setup=setup, caller=caller)
        orders = whole.at_once(tell, [table], np.dtype(np.float64), (len(ends),))
        if not _are_alike(table, orders, setup):
            table = fit([orders])
    return table, ends, epochs.size


def _ends(shifts: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Dates of the network, and those of each pair by their number (pair, 2)."""
    reference, secondary = (as_dates(shifts[name].values) for name in ("reference", "secondary"))
    return graph.incidence(reference, secondary)


def _orders(
    table: np.ndarray, choose: Callable[..., np.ndarray], ends: np.ndarray, setup: Setup, caller: str
) -> np.ndarray:
    scene.check_carried(table, setup, caller)
    return choose(table, ends, setup).astype(np.float64)


def _are_alike(table: Any, orders: Any, setup: Setup) -> bool:
    """Whether a table that is in memory has these orders already."""
    if not isinstance(table, np.ndarray):
        return False
    told = setup.table.split(table)
    return bool((told["order"] == orders)[told["state"] != NOT_CORRECTED].all())
