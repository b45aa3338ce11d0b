"""Masks: boolean arrays of pixels, laid on the grid of a stack or on the nodes of shifts, wherever they come from."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset._arrays.laying import Cells, Points, Span
from xoffset._blocks.laying import laid
from xoffset.model import grids
from xoffset.model.dates import as_dates
from xoffset.model.declared import fills_of, in_metres

_log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """What a mask is for, in words: the name of the argument, what True means, and how one is made of values.

    Comparisons with NaN are False; where that is not what is meant of what is unknown, the test is of the opposite.
    """

    name: str
    meaning: str
    values: str
    test: str
    is_negated: bool = False

    def made_of(self, values: str) -> str:
        """How the mask is made of values."""
        return f"~({values} {self.test})" if self.is_negated else f"{values} {self.test}"


MASK = Kind("mask", "where pixels may be matched", "classes", "== 0")
STABLE = Kind("stable", "on stable ground", "slope", "< 20")
_PLACED = "by position"
# Places along each axis of a sample that finds a small mask in a large grid.
FINE = 1024


class Laid(NamedTuple):
    """A mask (..., rows, columns) on another grid, NumPy or dask, and how it came there."""

    values: Any
    how: str


def on_stack(mask: xr.DataArray, stack: xr.DataArray, network: xr.Dataset, caller: str) -> Laid:
    """Pixels of a stack that may be matched, boolean (1 or time, y, x), NumPy or dask; nothing is computed of dask.

    A pixel may be matched where all of the mask that it touches is True, and nowhere beyond the mask.

    Raises
    ------
    TypeError
        If the mask is no boolean DataArray, or its dates are none.
    ValueError
        If its dims, dates or grid do not fit the stack, if it lies elsewhere, or was made of values with a fill.
    """
    check_boolean(mask, MASK, caller)
    _check_dims(mask, caller)
    if "time" in mask.dims:
        mask = _of_dates(mask, stack, network, caller).transpose("time", "y", "x")
    else:
        mask = mask.transpose("y", "x").expand_dims("time")
    chunks = None if isinstance(stack.data, np.ndarray) else stack.data.chunks[-2:]
    return on_cells(mask, stack, MASK, caller, chunks)


def on_cells(
    mask: xr.DataArray,
    like: xr.DataArray | xr.Dataset,
    kind: Kind,
    caller: str,
    chunks: tuple[tuple[int, ...], ...] | None = None,
) -> Laid:
    """A mask (..., y, x) on the grid of a stack or of shifts, boolean (..., rows, columns).

    A cell is True where all of the mask is that it touches: the pixel that holds its centre, and all whose centre is in
    the cell. Of a mask of another CRS it is the nearest pixel; of one whose pixels are smaller than the cell, those
    nearest to as many points, evenly spread, as the cell has pixels. What lies beyond the mask is not True. Dask if the
    mask is, or if chunks along y and x are given, unless it lies on these cells already.

    Raises
    ------
    ValueError
        If its grid is none, or nothing of it lies on the other one.
    """
    crs, wanted = grids.crs_of(mask), grids.crs_of(like)
    sides, shape = grids.spacing(like, caller), (like.sizes["y"], like.sizes["x"])
    y, x = (np.asarray(like[name].values, dtype=np.float64) for name in ("y", "x"))
    places: Cells | Points
    if crs is None or wanted is None or grids.agree(crs, wanted):
        mask = in_metres(mask, caller)
        start, own, size = _grid_of(mask, caller)
        if _are_same(mask["y"].values, y) and _are_same(mask["x"].values, x):
            return Laid(mask.data, "pixel by pixel")
        places, how = Cells(Span.of(y, sides.y, start[0], own[0]), Span.of(x, sides.x, start[1], own[1]), size), _PLACED
    else:
        to_mask = grids.turn(wanted, crs)
        places = Points(y, x, (sides.y, sides.x), to_mask, *_grid_of(mask, caller)).spread()
        how = f"nearest pixel, from {grids.name_of(crs)}"
    share = _share(places)
    _check_reach(share, mask, like, kind, caller)
    _tell(share, how, kind, caller)
    return Laid(laid(mask.data, places, shape, chunks), how)


def _grid_of(mask: xr.DataArray, caller: str) -> tuple[tuple[float, float], tuple[float, float], tuple[int, int]]:
    """Centre of the first pixel of a mask, its signed spacing and its size, all along y and x."""
    lacking = [name for name in ("y", "x") if name not in mask.coords]
    if lacking:
        raise ValueError(
            f"{caller}() needs coordinates x and y of the mask, which say where it lies; got none on '{lacking[0]}'. "
            "Assign the pixel centres, such as those of the stack: mask.assign_coords(x=stack.x, y=stack.y)."
        )
    sides = grids.spacing(mask, caller)
    return (float(mask["y"][0]), float(mask["x"][0])), (sides.y, sides.x), (mask.sizes["y"], mask.sizes["x"])


def _are_same(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether coordinates are the same, to a thousandth of a step."""
    step = np.abs(np.diff(theirs)).min(initial=1.0)
    return ours.shape == theirs.shape and bool(np.abs(ours - theirs).max(initial=0.0) <= 1e-3 * step)


def _share(places: Cells | Points) -> float:
    """Share of the cells that a mask reaches, 0 only if it is none."""
    share = places.share()
    if share == 0.0 and isinstance(places, Points):
        # the mask may be smaller than the sample is dense
        return places.share(FINE)
    return share


def _check_reach(share: float, mask: xr.DataArray, like: xr.DataArray | xr.Dataset, kind: Kind, caller: str) -> None:
    """Refuse a mask that lies elsewhere."""
    if share == 0.0:
        what = "stack" if isinstance(like, xr.DataArray) else "shifts"
        raise ValueError(
            f"{caller}() needs {kind.name} to overlap the {what}, {_extent(like)}; got one of {_extent(mask)}. Check "
            "its coordinates and its CRS, or leave it out."
        )


def _extent(data: xr.DataArray | xr.Dataset) -> str:
    """Where data lie, in words."""
    ends = [(float(data[name].values.min()), float(data[name].values.max())) for name in ("x", "y")]
    crs = grids.crs_of(data)
    return f"x {ends[0][0]:g} to {ends[0][1]:g}, y {ends[1][0]:g} to {ends[1][1]:g}, {grids.name_of(crs)}"


def _tell(share: float, how: str, kind: Kind, caller: str) -> None:
    """Log that a mask lies on another grid, and how much it reaches of this one."""
    _log.info("%s(): %s lies on another grid, and is laid on %s.", caller, kind.name, how)
    if share < 1.0:
        _log.warning(
            "%s(): %s reaches %.3g %% of the grid; what lies beyond is not %s.",
            caller, kind.name, 100.0 * share, kind.meaning,
        )  # fmt: skip


def check_boolean(mask: xr.DataArray, kind: Kind, caller: str) -> None:
    """Refuse what is no boolean DataArray, or one that was made of values with a fill, which a comparison hides."""
    if not isinstance(mask, xr.DataArray) or mask.dtype != np.bool_:
        got = f"dtype {mask.dtype}" if isinstance(mask, xr.DataArray) else type(mask).__name__
        dims = "(time, y, x) or (y, x)" if kind is MASK else "(y, x)"
        raise TypeError(
            f"{caller}() needs a boolean DataArray {dims} as {kind.name}, True {kind.meaning}; got {got}. "
            f"Compare: {kind.name} = {kind.made_of(kind.values)}."
        )
    fills = [value for value in fills_of(mask) if value not in (0.0, 1.0)]
    if fills:
        raise ValueError(
            f"{caller}() needs {kind.name} without a nodata value, which a boolean cannot hold; got one made of values "
            f"whose nodata value is {fills[0]:g}. Mask those first and drop the attribute: {kind.name} = "
            f"({kind.made_of(f'{kind.values}.where({kind.values} != {fills[0]:g})')}).drop_attrs(deep=False)."
        )


def _check_dims(mask: xr.DataArray, caller: str) -> None:
    """Refuse a mask that is neither of all dates nor one for all of them."""
    others = [str(dim) for dim in mask.dims if dim not in ("time", "y", "x")]
    if others or not {"y", "x"} <= set(mask.dims):
        advice = f"Join them: mask.all({others})"
        if not {"y", "x"} <= set(mask.dims):
            advice = "Name them: mask.rename(longitude='x', latitude='y'), or mark pixels: mask = classes == 0"
        raise ValueError(
            f"{caller}() needs dims ('time', 'y', 'x') of mask, or ('y', 'x') for all dates; got {mask.dims}. {advice}."
        )
    if not mask.size:
        raise ValueError(
            f"{caller}() needs mask on at least one pixel; got shape {mask.shape}. Check the selection; masks on two "
            "grids leave none where they are combined."
        )


def _of_dates(mask: xr.DataArray, stack: xr.DataArray, network: xr.Dataset, caller: str) -> xr.DataArray:
    """The mask with one layer for each date of the stack; a layer that no pair needs may be that of another date."""
    if "time" not in mask.coords or mask["time"].dtype.kind != "M":
        got = f"dtype {mask['time'].dtype}" if "time" in mask.coords else "none"
        raise TypeError(
            f"{caller}() needs datetime64 dates on 'time' of mask; got {got}. Take those of the stack: "
            "mask.assign_coords(time=stack.time)."
        )
    dates, given = (np.atleast_1d(as_dates(data["time"].values)) for data in (stack, mask))
    if np.unique(given).size < given.size or np.isnat(given).any():
        raise ValueError(
            f"{caller}() needs every date of mask once; got {given.size} layers of {np.unique(given).size} dates. Keep "
            "one: mask.drop_duplicates('time'), or join them: mask.groupby('time').all()."
        )
    wanted = np.unique(np.concatenate([as_dates(network[name].values) for name in ("reference", "secondary")]))
    missing = wanted[~np.isin(wanted, given)]
    if missing.size:
        same_days = np.isin(missing.astype("M8[D]"), given.astype("M8[D]")).all()
        advice = (
            "Make it of all dates, or say that the others are clear: mask.reindex(time=stack.time, fill_value=True)"
        )
        if same_days:
            advice = "Its days are there, at other times: mask.assign_coords(time=stack.time)"
        raise ValueError(
            f"{caller}() needs mask on every date of the network; got none on {missing.size} of {wanted.size}, the "
            f"first is {missing[0]}. {advice}."
        )
    order = np.argsort(given)
    place = order[np.clip(np.searchsorted(given, dates, sorter=order), 0, given.size - 1)]
    return mask if np.array_equal(place, np.arange(given.size)) else mask.isel(time=place)
