"""Layers brought to the dates and the grid of a stack."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays.scenes.laying import Axis, Laying
from xoffset._blocks import whole
from xoffset.model import checks, grids
from xoffset.model.dates import as_dates, of_same_pass

_logger = logging.getLogger(__name__)


def of_dates(layer: xr.DataArray, like: xr.DataArray, what: str) -> xr.DataArray:
    """Layer (time, y, x) of the dates of a stack: the nearest within a pass, or that of the day."""
    others = {"time", "y", "x"} - set(map(str, layer.dims))
    if others or layer.ndim != 3:
        advice = "Name its dims so, or pick one band"
        if "time" in others:
            advice = "Give it the date it is of: layer.expand_dims(time=[date])"
        raise ValueError(f"classes() needs dims ('time', 'y', 'x') of {what}; got {layer.dims}. {advice}.")
    layer = layer.transpose("time", "y", "x")
    if 0 in layer.shape:
        raise ValueError(
            f"classes() needs {what} with at least one date and one pixel; got shape {layer.shape}. "
            "Check the selection."
        )
    checks.check_times(layer["time"], "classes")
    wanted, there = as_dates(like["time"].values), as_dates(layer["time"].values)
    if np.array_equal(wanted, there):
        return layer
    # a layer may bear the time of its tile, which a pass over the ground sees minutes before or after
    found = [of_same_pass(date, there) for date in wanted]
    several = [(date, there[of]) for date, of in zip(wanted, found, strict=True) if of.size > 1]
    if several:
        date, of = several[0]
        raise ValueError(
            f"classes() needs one layer of {what} for each date of the stack; got {of.size} of the day of "
            f"{str(date)[:19]}, at {', '.join(str(each)[11:19] for each in of[:5])}. Give the stack the time of day, "
            "or pick the layer: layer.sel(time=[...])."
        )
    missing = [str(date)[:19] for date, of in zip(wanted, found, strict=True) if not of.size]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise ValueError(
            f"classes() needs {what} on every date of the stack; got none for {', '.join(missing[:5])}{more}. "
            "Add them, or leave the dates out: like.sel(time=[...])."
        )
    return layer.isel(time=np.concatenate(found))


def on_grid(layer: xr.DataArray, like: xr.DataArray, outside: float, what: str) -> tuple[Any, str]:
    """Layer (time, y, x) on the grid of a stack by position, NumPy or dask, and in words how it was laid there.

    Every pixel takes the one that holds its centre, of another CRS the one that holds its centre there. What lies
    outside of the layer gets the value `outside`.
    """
    of, onto = grids.crs_of(layer), grids.crs_of(like)
    turn = None if of is None or onto is None or grids.agree(of, onto) else grids.turn(onto, of)
    laying = Laying(_axes(layer), _axes(like), turn)
    if turn is None and laying.is_same:
        return layer.data, ""
    if not laying.touches():
        raise ValueError(
            f"classes() needs {what} where the stack is, x {_span(like, 'x')}, y {_span(like, 'y')}; got x "
            f"{_span(layer, 'x')}, y {_span(layer, 'y')}. Check the CRS of both and the selection."
        )
    how = "by position" if turn is None else "by position, from another CRS"
    _logger.info(
        "classes() lays %s on the grid of the stack %s: a pixel takes the one that holds its centre", what, how
    )
    chunks = None if isinstance(like.data, np.ndarray) else like.data.chunks[-2:]
    lay = partial(laying.lay, outside=outside)
    return whole.each_layer(lay, layer.data, laying.shape, chunks), how


def _axes(data: xr.DataArray) -> tuple[Axis, Axis]:
    step = grids.spacing(data, "classes")
    y, x = (Axis(float(data[name].values[0]), getattr(step, name), data.sizes[name]) for name in ("y", "x"))
    return y, x


def _span(data: xr.DataArray, name: str) -> str:
    values = data[name].values
    return f"{values.min():.10g} to {values.max():.10g}"
