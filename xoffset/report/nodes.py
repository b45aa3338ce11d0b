"""Displacement through time at some nodes, with the pairs that it comes from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays import codes
from xoffset.model.declared import with_decoded
from xoffset.report.folder import CALLER

# Nodes along a side at most, and values of pairs in the page.
MOST_NODES, MOST_VALUES = 64, 1_000_000
# Steps of values within a median standard error and within 99 % of them; ratio of neighbouring standard errors.
_OF_SIGMA, _OF_RANGE, _RATE = 8.0, 500.0, 0.05


def nodes_of(series: xr.Dataset | None, shifts: xr.Dataset | None) -> dict[str, Any]:
    """Series and pairs at nodes evenly spread over the map, as plain values; nothing without any."""
    if series is not None and not {"dx", "dy"} <= set(series.data_vars):
        series = None
    like = shifts if series is None else series
    if like is None:
        return {}
    pairs = 0 if shifts is None else shifts.sizes["pair"]
    side = min(MOST_NODES, max(1, math.isqrt(MOST_VALUES // max(pairs, 1))))
    # of decreasing y rows from the north come as they are
    rows, columns = (_spread(like.sizes[dim], side) for dim in ("y", "x"))
    at = {"y": rows, "x": columns}
    found: dict[str, Any] = {
        "x": like["x"].values[columns].astype(float).tolist(),
        "y": like["y"].values[rows].astype(float).tolist(),
        "series": None,
        "pairs": None,
    }
    if series is not None:
        found["series"] = {"dates": _texts(series["time"].values)} | _values(series, at, "time")
        found["reference"] = _reference(series, found["series"])
    if shifts is not None:
        ends = {name: _texts(shifts[name].values) for name in ("reference", "secondary")}
        found["pairs"] = ends | _values(shifts, at, "pair", has_errors=series is None)
    return found


def _spread(count: int, most: int) -> slice:
    """So many of a number of nodes, evenly, the outer ones as far from the edges as can be."""
    every = math.ceil(count / most)
    return slice((count - 1) % every // 2, None, every)


def _values(product: xr.Dataset, at: dict[str, slice], dim: str, *, has_errors: bool = True) -> dict[str, Any]:
    """Components, and their standard errors if they are wanted, (node, date or pair)."""
    names = ["dx", "dy"]
    names += [f"sigma_{name}" for name in names if has_errors and f"sigma_{name}" in product]
    few = with_decoded(product[names].isel(at), CALLER).transpose("y", "x", dim).compute()
    tables = {name: few[name].values.reshape(-1, few.sizes[dim]).astype(np.float64) for name in names}
    step = _step(tables)
    found = {name: codes.linear(tables[name], step) for name in names[:2]}
    return found | {name: codes.logarithmic(tables[name], _RATE) for name in names[2:]}


def _step(tables: dict[str, np.ndarray]) -> float:
    """Step of the values, well below what they are known to and how far they reach."""
    values = np.concatenate([tables[name].ravel() for name in ("dx", "dy")])
    values = np.abs(values[np.isfinite(values)])
    sigma = tables.get("sigma_dx", np.empty(0))
    sigma = sigma[np.isfinite(sigma)]
    steps = [float(np.percentile(values, 99.0)) / _OF_RANGE] if values.size else []
    steps += [float(np.median(sigma)) / _OF_SIGMA] if sigma.size else []
    return min((step for step in steps if step > 0.0), default=1.0)


def _reference(series: xr.Dataset, held: dict[str, Any]) -> str:
    """Date that a series counts from: the one with zeros only; nothing if that is none or several."""
    values = codes.unpacked(held["dx"])
    is_zero = (np.nan_to_num(values) == 0.0).all(axis=0) & np.isfinite(values).any(axis=0)
    found = series["time"].values[is_zero]
    return str(np.datetime_as_string(found[0], unit="D")) if found.size == 1 else ""


def _texts(dates: np.ndarray) -> list[str]:
    """Dates in UTC, to the second, which browsers can read."""
    return [f"{each}Z" for each in np.datetime_as_string(np.asarray(dates).astype("datetime64[s]"))]
