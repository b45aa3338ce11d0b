"""Corrections by date: what the pairs of a network tell of each of its dates."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays.corrections import by_date
from xoffset._arrays.corrections.terms import Setup
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


def _fitted(
    fit: Callable[[list[Any]], Any], shifts: xr.Dataset, setup: Setup, caller: str
) -> tuple[Any, np.ndarray, int]:
    """Table of the pairs with ramps of one order, the dates of each pair as numbers (pair, 2), and their number."""
    reference, secondary = (as_dates(shifts[name].values) for name in ("reference", "secondary"))
    epochs, ends = graph.incidence(reference, secondary)
    parts = int(graph.components(epochs.size, ends).max()) + 1
    if parts > 1:
        _log.warning(
            "%s(): no chain of pairs ties all dates together; the network has %d parts, and each is adjusted by itself.",
            caller, parts,
        )  # fmt: skip
    table = fit([])
    if setup.order is None:
        # one order for all, since those of dates differ by what those of pairs are
        choose = partial(_orders, ends=ends, setup=setup)
        table = fit([whole.at_once(choose, [table], np.dtype(np.float64), (len(ends),))])
    return table, ends, epochs.size


def _orders(table: np.ndarray, ends: np.ndarray, setup: Setup) -> np.ndarray:
    return np.full(len(ends), by_date.common_order(table, ends, setup), dtype=np.float64)
