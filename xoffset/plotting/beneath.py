"""What lies beneath a map: relief or an image, in grey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
from xoffset._arrays.terrain import hillshade
from xoffset.model import grids
from xoffset.plotting.fields import as_field
from xoffset.plotting.style import axis_unit, edges

# Light from the north-west, as maps have it, and how much of it a map on top lets through.
_AZIMUTH, _ALTITUDE, _SEEN = 315.0, 45.0, 0.35


def draw_beneath(
    axes: Axes, field: xr.DataArray, relief: xr.DataArray | None, image: xr.DataArray | None, caller: str
) -> float:
    """Draw elevations as relief, or an image, in grey, and return how opaque a map on top of it is to be."""
    if relief is not None and image is not None:
        raise ValueError(f"{caller}() needs either relief or an image; got both. Leave one of them out.")
    below = image if relief is None else relief
    if below is None:
        return 1.0
    name = "image" if relief is None else "relief"
    part = _around(below, field, name, caller)
    values = part.values.astype("float64")
    sides = edges(part)
    if relief is not None:
        steps = [(sides[k + 1] - sides[k]) / part.sizes[dim] for k, dim in ((2, "y"), (0, "x"))]
        values = hillshade(values, (steps[0], steps[1]), _AZIMUTH, _ALTITUDE)
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [1.0, 99.0]) if known.size else (0.0, 1.0)
    _, divisor = axis_unit(field)
    axes.imshow(
        values, cmap="gray", vmin=low, vmax=high if high > low else low + 1.0, origin="lower", zorder=0.5,
        extent=(sides[0] / divisor, sides[1] / divisor, sides[2] / divisor, sides[3] / divisor),
    )  # fmt: skip
    return 1.0 - _SEEN


def _around(below: xr.DataArray, field: xr.DataArray, name: str, caller: str) -> xr.DataArray:
    """Part of a background that the map covers, with a pixel more around it."""
    if not isinstance(below, xr.DataArray) or not {"y", "x"} <= set(below.dims) & set(below.coords):
        got = f"dims {below.dims}" if isinstance(below, xr.DataArray) else type(below).__name__
        raise ValueError(
            f"{caller}() needs a DataArray on y and x with both coordinates as {name}; got {got}. Pass one image or "
            "the elevations, such as stack.isel(time=0)."
        )
    ours, theirs = grids.crs_of(field), grids.crs_of(below)
    if ours is not None and theirs is not None and not grids.agree(ours, theirs):
        raise ValueError(
            f"{caller}() needs {name} in the CRS of the map, {ours.name}; got {theirs.name}. "
            f"Reproject it: {name}.rio.reproject(...)."
        )
    left, right, bottom, top = edges(field)
    for dim, low, high in (("x", left, right), ("y", bottom, top)):
        centres = below[dim].values
        side = abs(float(centres[-1] - centres[0])) / max(centres.size - 1, 1)
        below = below.isel({dim: (centres > low - side) & (centres < high + side)})
    if not below.size:
        raise ValueError(f"{caller}() needs {name} where the map lies; got none of it there. Check its coordinates.")
    return as_field(below, caller)
