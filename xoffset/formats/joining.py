"""Shifts of several files and systems as one network on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xoffset.formats.names import SOURCE
from xoffset.model import grids, products
from xoffset.model.flags import FLAGS


def joined(parts: Sequence[xr.Dataset], caller: str) -> xr.Dataset:
    """Shifts of all pairs of several, on the least grid that holds them all, NaN and flagged where one has no nodes.

    Pairs stay as they are, also those of the same two dates: their coordinates `system` and `source` tell them apart.

    Raises
    ------
    ValueError
        If a part is of scattered points, CRS or steps differ, or the nodes of one lie between those of another.
    """
    if len(parts) == 1:
        return parts[0]
    for part in parts[1:]:
        _check_same_lattice(parts[0], part, caller)
    x, y = (_union([part[label].values for part in parts]) for label in ("x", "y"))
    placed = [_placed(part, x, y) for part in parts]
    names = dict.fromkeys(name for part in placed for name in part.data_vars)
    # what a part lacks is not known there
    filled = [
        part.assign({name: xr.full_like(part["dx"], np.nan) for name in names if name not in part}) for part in placed
    ]
    out = xr.concat(
        filled, dim="pair", data_vars="minimal", coords="minimal", compat="override", join="override",
        combine_attrs="override",
    )  # fmt: skip
    return products.relabel(out, {"function": caller})


def _check_same_lattice(first: xr.Dataset, other: xr.Dataset, caller: str) -> None:
    crs = grids.crs_of(first), grids.crs_of(other)
    names = [str(data[SOURCE].values[0]) if SOURCE in data.coords else "shifts" for data in (first, other)]
    for data, name in zip((first, other), names, strict=True):
        if "point" in data.dims:
            raise ValueError(
                f"{caller}() needs maps, or series of one place, to make one network of them; got points from {name}. "
                "Open each file of points on its own, and compare it: compare(dataset, points)."
            )
    if not grids.agree(*crs):
        raise ValueError(
            f"{caller}() needs one CRS; got {grids.name_of(crs[0])} of {names[0]} and {grids.name_of(crs[1])} of "
            f"{names[1]}. Open them one by one and reproject: resample values before they are joined."
        )
    if all(np.array_equal(first[label], other[label]) for label in ("x", "y")):
        return
    ours, theirs = (grids.spacing(data, caller) for data in (first, other))
    for label, a, b in (("x", ours.x, theirs.x), ("y", ours.y, theirs.y)):
        apart = (float(other[label][0]) - float(first[label][0])) / a
        if abs(abs(b) - abs(a)) > 1e-6 * abs(a) or abs(apart - round(apart)) > 1e-3:
            raise ValueError(
                f"{caller}() needs nodes of one grid; got steps of {abs(a):g} and {abs(b):g} m along {label}, "
                f"{abs(apart - round(apart)):.3f} of a step apart, of {names[0]} and {names[1]}. Open them one by one "
                "and interpolate: shifts.interp(x=..., y=...)."
            )


def _union(axes: Sequence[np.ndarray]) -> np.ndarray:
    """Centres of the least axis that holds all, in the direction of the first and with its numbers."""
    first = np.asarray(axes[0], dtype=np.float64)
    step = next((float(axis[-1] - axis[0]) / (axis.size - 1) for axis in axes if axis.size > 1), 1.0)
    step = step if first.size < 2 else float(first[-1] - first[0]) / (first.size - 1)
    places = [np.rint((np.asarray(axis) - first[0]) / step).astype(np.int64) for axis in axes]
    least, most = min(place.min() for place in places), max(place.max() for place in places)
    whole = first[0] + step * np.arange(least, most + 1)
    whole[-least : first.size - least] = first
    return np.asarray(whole)


def _placed(part: xr.Dataset, x: np.ndarray, y: np.ndarray) -> xr.Dataset:
    """Shifts on a larger grid of the same lattice."""
    axes = {"x": x, "y": y}
    if all(part[label].size == axis.size and (part[label].values == axis).all() for label, axis in axes.items()):
        return part
    near = {
        label: axis[[int(np.abs(axis - value).argmin()) for value in part[label].values]]
        for label, axis in axes.items()
    }
    fill: dict[Any, Any] = {name: np.nan for name in part.data_vars if part[name].dtype.kind == "f"}
    fill |= {"flags": FLAGS["nodata"]} if "flags" in part else {}
    return part.assign_coords(near).reindex(axes, fill_value=fill)
