"""Layers of the sensor and of the terrain on the nodes of shifts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset._arrays import terrain
from xoffset._arrays.corrections import edges, terms
from xoffset._arrays.corrections.terms import Setup
from xoffset._blocks import pixels, whole
from xoffset._options import speaking_as
from xoffset.masking import elevations, places
from xoffset.model import grids
from xoffset.model.dates import as_dates


class Stripes(NamedTuple):
    """Stripes on the nodes (time, rows, columns), 0 where there are none, NumPy or dask, and which dates pairs have."""

    values: Any
    ends: np.ndarray  # (pair, 2): of the reference and of the secondary image
    highest: int  # number of a stripe, or what it may be if that is not in memory

    def of_pairs(self) -> dict[str, Any]:
        """Stripes of both images of each pair (pair, rows, columns)."""
        return {"secondary": self.values[self.ends[:, 1]], "reference": self.values[self.ends[:, 0]]}


def with_edges(setup: Setup, stripes: str, shifts: xr.Dataset) -> Setup:
    """The setup with steps of stripes whose edges are to be found."""
    if stripes != "auto":
        raise ValueError(
            f"correct() needs stripes 'auto', or a DataArray of them; got {stripes!r}. Use xoffset.detectors(...)."
        )
    sides = grids.spacing(shifts, "correct")
    half = 0.5 * abs(sides.x) * (shifts.sizes["x"] - 1), 0.5 * abs(sides.y) * (shifts.sizes["y"] - 1)
    return replace(setup, stripes=edges.MOST + 1, half=half)


def stripes_on_nodes(stripes: xr.DataArray, shifts: xr.Dataset) -> Stripes:
    """Stripes of each date on the nodes of shifts, by position.

    Raises
    ------
    TypeError
        If they are no DataArray of whole numbers.
    ValueError
        If dims or dates are not those of stripes, they lie elsewhere, or there are too many of them.
    """
    if not isinstance(stripes, xr.DataArray) or stripes.dtype.kind not in "iu":
        came = f"dtype {stripes.dtype}" if isinstance(stripes, xr.DataArray) else type(stripes).__name__
        raise TypeError(
            f"correct() needs a DataArray of whole numbers as stripes; got {came}. Use xoffset.detectors(...), or "
            "number the stripes from 1 on, 0 where there is none: stripes.fillna(0).astype('uint8')."
        )
    if set(stripes.dims) not in ({"time", "y", "x"}, {"y", "x"}):
        raise ValueError(
            f"correct() needs stripes with dims ('time', 'y', 'x'), or ('y', 'x') for all dates; got {stripes.dims}. "
            "Use xoffset.detectors(...)."
        )
    ends = np.zeros((shifts.sizes["pair"], 2), dtype=np.int64)
    if "time" in stripes.dims:
        ends = _ends(stripes, shifts)
    else:
        stripes = stripes.expand_dims("time")
    stripes = stripes.transpose("time", "y", "x")
    like = shifts["dx"].isel(pair=0)
    with speaking_as("correct", "classes"):
        values, _ = places.on_grid(stripes, like, 0, "stripes")
    # no block is used before all are looked at: a number out of range would be a place beyond a table
    ends_of = [values.min(axis=(1, 2)), values.max(axis=(1, 2))]
    shape = (values.shape[0],)
    table = whole.at_once(terms.checked_stripes, ends_of, np.dtype(np.int64), shape)
    highest = int(table.max()) if isinstance(table, np.ndarray) else terms.STRIPES
    return Stripes(pixels.per_pixel_of(terms.stripes_of, [values], table, shape[0]), ends, highest)


def _ends(stripes: xr.DataArray, shifts: xr.Dataset) -> np.ndarray:
    """Layers of the reference and of the secondary image of each pair (pair, 2)."""
    dates = np.atleast_1d(as_dates(stripes["time"].values))
    wanted = np.stack([as_dates(shifts[name].values) for name in ("reference", "secondary")], axis=1)
    order = np.argsort(dates, kind="stable")
    found = np.searchsorted(dates[order], wanted).clip(max=dates.size - 1)
    missing = np.unique(wanted[dates[order][found] != wanted])
    if missing.size:
        raise ValueError(
            f"correct() needs stripes of every date of the shifts; got none of {missing.size}, the first is "
            f"{str(missing[0])[:19]}. Read the footprints of all scenes, xoffset.detectors(..., like=stack), or give "
            "one layer (y, x) for all dates."
        )
    return np.asarray(order[found])


def elevation_on_nodes(dem: xr.DataArray, shifts: xr.Dataset) -> Any:
    """Elevations [m] on the nodes (rows, columns), of the pixels that hold them; NaN where there is none.

    A number that stands for no data is none, declared or not, nor is one that no ground has.

    Raises
    ------
    TypeError
        If they are no DataArray of real numbers.
    ValueError
        If dims, grid, CRS or units are not those of elevations, or they lie elsewhere.
    """
    land = elevations.as_dem(dem, "correct")
    land = land.where(terrain.is_of_land(land) & ~terrain.is_fill(land))
    like = shifts["dx"].isel(pair=0)
    with speaking_as("correct", "classes"):
        values, _ = places.on_grid(land.expand_dims("time"), like, np.nan, "dem")
    return values[0]
