"""Facts of an object of xarray, lazy or not: grid, CRS, dates, pairs, share of valid values, and how it was made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from xoffset.inspection.info_text import Facts
from xoffset.model import grids, history, storage
from xoffset.model.declared import stated_units
from xoffset.model.points import are_points

# Values up to which all are counted, bytes; blocks that are looked at of more, and the largest of them.
LOOKED_AT, BLOCKS, LARGEST = 64 * 2**20, 400, 2**30
_DAY = np.timedelta64(1, "D")
_DATED = (("pair", "reference", "secondary"), ("interval", "reference", "secondary"))


def of_dataset(data: xr.Dataset) -> Facts:
    """Facts of a product, or of a stack as a Dataset, for which no values on the grid are read."""
    names = [str(name) for name in data.data_vars]
    stated = {name: stated_units(data[name]) or None for name in names}
    found = {"grid": grid(data), "crs": crs(data), "dates": dates_of(data), "pairs": pairs(data)}
    found["period"] = period(data) if found["dates"] is None else None
    found |= {"variables": stated}
    found |= next((made for each in (data, *data.data_vars.values()) if (made := history_of(each.attrs))), {})
    return {name: value for name, value in found.items() if value is not None or name == "crs"}


def history_of(attrs: Mapping[Any, Any]) -> Facts:
    """Versions of xoffset and steps that attributes tell; nothing if they tell none."""
    made = history.records(xr.Dataset(attrs=dict(attrs)))
    versions = dict.fromkeys(str(step.get("xoffset", "unknown")) for step in made)
    return {"version": ", ".join(versions), "history": made} if made else {}


# ------------------------------------------------------------------------------------------------------------- places


def grid(data: xr.Dataset) -> Facts | None:
    """Shape, spacing and extent of a grid; the number of scattered points."""
    if are_points(data):
        return {"points": data.sizes["point"]}
    if not {"y", "x"} <= set(data.dims):
        return None
    axes = [np.asarray(data[name].values, dtype=np.float64) if name in data.coords else None for name in ("x", "y")]
    steps = [None if axis is None else _step(axis) for axis in axes]
    is_known = all(steps) and all(axis is not None and np.isfinite(axis).all() for axis in axes)
    return {
        "columns": data.sizes["x"],
        "rows": data.sizes["y"],
        "unit_of_grid": "nodes",
        "spacing": [abs(step) for step in steps if step] if is_known else None,
        "units": stated_units(data["x"]) if "x" in data.coords and stated_units(data["x"]) else "m",
        "extent": _extent(axes, steps) if is_known else None,
    }


def _step(axis: np.ndarray) -> float | None:
    """Step of a uniform axis; None of others, and of one node."""
    steps = np.diff(axis) if np.isfinite(axis).all() else np.array([])
    is_uniform = len(steps) > 0 and np.allclose(steps, steps.mean(), rtol=1e-3, atol=0.0)
    return float(steps.mean()) if is_uniform and steps.mean() else None


def _extent(axes: list[Any], steps: list[Any]) -> list[float]:
    """Left, bottom, right and top edge."""
    ends = [(axis.min() - abs(step) / 2, axis.max() + abs(step) / 2) for axis, step in zip(axes, steps, strict=True)]
    return [float(ends[0][0]), float(ends[1][0]), float(ends[0][1]), float(ends[1][1])]


def crs(data: xr.Dataset) -> str | None:
    """Code and name of the CRS, None if there is none."""
    try:
        return named(grids.crs_of(data))
    except ValueError as error:
        return f"unknown ({error})"


def named(found: Any) -> str | None:
    """Code and name of a CRS of pyproj, and its units where these are no metres."""
    if found is None:
        return None
    code = grids.name_of(found)
    text = code if code == found.name else f"{code}, {found.name}"
    return f"{text} (degrees: reproject before matching)" if found.is_geographic else text


# -------------------------------------------------------------------------------------------------------------- dates


def dates_of(data: xr.Dataset) -> Facts | None:
    """Dates of a stack, a series, or of the images of pairs."""
    if "time" in data.coords and data["time"].dtype.kind == "M":
        return dates(data["time"].values)
    for _, first, last in _DATED:
        if first in data.coords and last in data.coords:
            return dates(np.unique(np.concatenate([np.ravel(data[name].values) for name in (first, last)])))
    return None


def dates(values: Any) -> Facts:
    """Number of dates, the first and last, the longest gap, and those that are there more than once."""
    given = np.ravel(np.asarray(values, dtype="datetime64[us]"))
    given = given[~np.isnat(given)]
    known, counts = np.unique(given, return_counts=True)
    found: Facts = {"number": len(known)}
    if len(known):
        found |= {"first": _text(known[0]), "last": _text(known[-1])}
    if len(known) > 1:
        k = int(np.argmax(np.diff(known)))
        days = float((known[k + 1] - known[k]) / _DAY)
        found["longest_gap"] = {"days": days, "from": _text(known[k]), "to": _text(known[k + 1])}
    n_days = len(np.unique(known.astype("datetime64[D]")))
    if n_days < len(known):
        found["days"] = n_days
    if (counts > 1).any():
        found["repeated"] = int((counts > 1).sum())
    return found


def _text(date: np.datetime64) -> str:
    return str(date.astype("datetime64[s]"))


def period(data: xr.Dataset) -> Facts | None:
    """First and last date that maps of dates tell, as far as they were looked at."""
    if not {"first", "last"} <= set(data.data_vars) or {data[name].dtype.kind for name in ("first", "last")} != {"M"}:
        return None
    ends = []
    for name in ("first", "last"):
        windows = _windows(data[name]) or []
        blocks = [_read(data[name], window).ravel() for window in windows]
        known = np.concatenate([block[~np.isnat(block)] for block in blocks]) if blocks else np.array([])
        if not known.size:
            return None
        ends.append((_text(known.min() if name == "first" else known.max()), len(windows)))
    how = "all values" if ends[0][1] == 1 else f"{ends[0][1]} blocks of the maps of dates"
    return {"first": ends[0][0], "last": ends[1][0], "counted": how}


def pairs(data: xr.Dataset) -> Facts | None:
    """Number of pairs and their baselines in days."""
    for dim, first, last in _DATED:
        if dim in data.dims and first in data.coords and last in data.coords:
            days = (data[last].values - data[first].values) / _DAY
            lengths = np.abs(days[np.isfinite(days)])
            ends = np.quantile(lengths, (0.0, 0.5, 1.0)).tolist() if lengths.size else None
            base = ends and dict(zip(("shortest", "median", "longest"), ends, strict=True))
            return {"number": data.sizes[dim], "baselines": base, "backward": int((days < 0).sum())}
    return None


# -------------------------------------------------------------------------------------------------------------- values


def valid(data: xr.Dataset, fills: Mapping[str, Any]) -> Facts | None:
    """Share of the values that are no NaN, of all or of blocks of them; what was never written does not count.

    `fills` are what stands for unwritten values in a store.
    """
    name = _counted(data)
    if name is None:
        return None
    variable = data[name]
    if not variable.size:
        return {"share": None, "of": name, "counted": "there are no values"}
    windows = _windows(variable)
    if windows is None:
        return {"share": None, "of": name, "counted": "a block of it is too large to be looked at"}
    finite = written = looked_at = 0
    for window in windows:
        block = _read(variable, window)
        unwritten = storage.is_unwritten(name, block, fills.get(name))
        is_finite = ~np.isnan(block) if block.dtype.kind == "M" else np.isfinite(block)
        looked_at += block.size
        written += block.size if unwritten is None else int((~unwritten).sum())
        finite += int(is_finite.sum()) if unwritten is None else int((is_finite & ~unwritten).sum())
    how = "all values" if looked_at == variable.size else _sampled(len(windows), looked_at / variable.size)
    if not written:
        return {"share": None, "of": name, "counted": "nothing of it was written where it was looked at"}
    if written < looked_at:
        how += ", where they were written"
    return {"share": finite / written, "of": name, "counted": how}


def _read(variable: xr.DataArray, window: tuple[slice, ...]) -> np.ndarray:
    return np.asarray(variable.variable[window].compute(scheduler="synchronous").values)


def _sampled(count: int, share: float) -> str:
    return f"{count} blocks with {100.0 * share:.2g} % of the values"


def _counted(data: xr.Dataset) -> str | None:
    """Variable that tells what is valid: the first component of motion, or the first on the grid."""
    on_maps = [str(name) for name, each in data.data_vars.items() if {"y", "x"} <= set(each.dims) or are_points(data)]
    first = [name for name in ("dx", "vx", "d_east", "v_east") if name in data]
    floats = [name for name in on_maps if data[name].dtype.kind == "f"]
    return next(iter([*first, *floats, *on_maps]), None)


def _windows(variable: xr.DataArray) -> list[tuple[slice, ...]] | None:
    """Blocks that are looked at, all of a small variable; None if one would be too large.

    Those of a large one are spread by the additive recurrence of Roberts (2018), "The unreasonable effectiveness of
    quasirandom sequences": evenly, and in no step with rows or columns.
    """
    if variable.nbytes <= LOOKED_AT:
        return [tuple(slice(None) for _ in variable.dims)]
    sides = _sides(variable)
    piece = math.prod(sides) * variable.dtype.itemsize
    if piece > LARGEST:
        return None
    most = max(1, min(BLOCKS, LOOKED_AT // piece))
    counts = [-(-size // side) for size, side in zip(variable.shape, sides, strict=True)]
    picked = list(dict.fromkeys(_spread(counts, most)))
    return [tuple(slice(k * side, (k + 1) * side) for k, side in zip(place, sides, strict=True)) for place in picked]


def _spread(counts: list[int], most: int) -> Iterator[tuple[int, ...]]:
    """Places on a lattice, spread evenly."""
    ratio = 2.0
    for _ in range(40):  # the root of ratio**(dims + 1) = ratio + 1
        ratio = (1.0 + ratio) ** (1.0 / (len(counts) + 1))
    for k in range(most):
        yield tuple(int((0.5 + k / ratio ** (j + 1)) % 1.0 * count) for j, count in enumerate(counts))


def _sides(variable: xr.DataArray) -> list[int]:
    """Sides of the blocks in which values are stored, or computed; of what is in one piece, some rows."""
    stored = variable.encoding.get("chunks") or variable.encoding.get("chunksizes")
    if variable.chunks is not None:
        stored = tuple(max(each) for each in variable.chunks)
    if stored is not None and len(stored) == variable.ndim:
        return [max(1, min(int(side), size)) for side, size in zip(stored, variable.shape, strict=True)]
    sides = [1] * variable.ndim
    left = 2**18  # values of a block
    for k, size in reversed(list(enumerate(variable.shape))):
        sides[k] = max(1, min(size, left))
        left //= sides[k]
    return sides
