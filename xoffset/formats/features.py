"""Profiles and trajectories as features: points or lines with a table, for GeoJSON and GeoParquet."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset.formats import gridded
from xoffset.formats.gridded import LABELS
from xoffset.model.dates import as_dates


class Features(NamedTuple):
    """Features of one kind, in the order of the rows of their table."""

    kind: str  # "Point" or "LineString"
    vertices: list[np.ndarray]  # (vertex, 2) x and y of each feature [m]
    columns: dict[str, Any]  # name -> values, one a feature, or one array a feature


def of(dataset: xr.Dataset, caller: str) -> tuple[xr.Dataset, Features]:
    """Features of a profile or of trajectories, and the product, decoded.

    Raises
    ------
    TypeError, ValueError
        If it is neither.
    """
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"{caller}() needs a Dataset; got {type(dataset).__name__}. Pass a profile or trajectories.")
    data = gridded.decoded(dataset, caller)
    gridded.check_has_crs(data, caller, "others must know where it is")
    if "distance" in data.dims and {"x", "y"} <= set(data.coords):
        return data, _of_profile(data, caller)
    if {"x", "y"} <= set(data.data_vars) and set(data["x"].dims) == {"point", "time"}:
        return data, _of_trajectories(data)
    raise ValueError(
        f"{caller}() needs a profile (distance) or trajectories (point, time); got dims {tuple(data.dims)}. "
        "Pass the result of profile() or trajectory(); maps go to to_geotiff(), points to formats.points.write()."
    )


def _of_profile(data: xr.Dataset, caller: str) -> Features:
    """One point a sample, and as many times as there are layers."""
    layers = [str(dim) for dim in data.dims if dim != "distance"]
    if len(layers) > 1:
        raise ValueError(
            f"{caller}() needs at most one dim besides distance; got {layers}. "
            f"Select along one of them: profile.isel({layers[0]}=0)."
        )
    count = data.sizes[layers[0]] if layers else 1
    samples = data.sizes["distance"]
    columns: dict[str, Any] = {}
    for name, label in data.coords.items():
        if layers and label.dims == (layers[0],) and label.dtype.kind in "Mifu" and (name in LABELS or name in layers):
            columns[str(name)] = np.repeat(label.values, samples)
        elif not label.ndim and name in LABELS:
            columns[str(name)] = np.repeat(label.values, samples * count)
    for name in ("distance", "x", "y"):
        columns[name] = np.tile(np.asarray(data[name].values, dtype=np.float64), count)
    for name, values in data.data_vars.items():
        if "distance" in values.dims:
            columns[str(name)] = np.broadcast_to(values.transpose(..., "distance").values, (count, samples)).ravel()
    return Features("Point", list(np.stack([columns["x"], columns["y"]], axis=1)[:, np.newaxis]), columns)


def _of_trajectories(data: xr.Dataset) -> Features:
    """One line a point, through the dates at which its place is known; its columns have one value a vertex."""
    data = data.transpose("point", "time", ...)
    x, y = (np.asarray(data[name].values, dtype=np.float64) for name in ("x", "y"))
    is_known = np.isfinite(x) & np.isfinite(y)
    time = as_dates(data["time"].values)
    vertices = [np.stack([x[k, known], y[k, known]], axis=1) for k, known in enumerate(is_known)]
    columns: dict[str, Any] = {"point": np.arange(len(x))}
    for name, label in data.coords.items():
        if label.dims == ("point",) and label.dtype.kind in "OTUifu":
            columns[str(name)] = label.values
    columns["time"] = [time[known] for known in is_known]
    for name, values in data.data_vars.items():
        if values.dims == ("point", "time") and name not in ("x", "y"):
            columns[str(name)] = [values.values[k, known] for k, known in enumerate(is_known)]
    return Features("LineString", vertices, columns)
