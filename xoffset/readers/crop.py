"""crop(): the pixels of a stack inside of an area."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.model import checks, grids
from xoffset.model.history import processed
from xoffset.readers import polygons as shapes
from xoffset.readers.polygons import Polygons

_CALLER = "crop"
_LONGITUDE_LATITUDE = "OGC:CRS84"
# Places along each side of a box in degrees that is turned.
_PLACES = 21


def crop(
    stack: xr.DataArray, area: tuple[float, float, float, float] | Polygons, *, buffer: float = 0.0
) -> xr.DataArray:
    """Pixels of a stack inside of a box or around polygons, by index: nothing is resampled.

    Parameters
    ----------
    stack
        Images (time, y, x).
    area
        (west, south, east, north) in degrees (WGS 84) if all four are within ±180 and ±90 and the stack has a CRS, else
        (xmin, ymin, xmax, ymax) in metres of its grid; or polygons, as `stable_ground` takes them, whose box counts.
        Of degrees it is the smallest box in metres that holds all of it.
    buffer
        Distance around it [m].

    Returns
    -------
    xarray.DataArray
        Stack (time, y, x) of the pixels whose centres lie inside. Lazy if the stack is.

    Raises
    ------
    FileNotFoundError
        If there is no file of that name.
    TypeError, ValueError
        If it is no stack, the area is neither box nor polygons or holds no pixel, or the buffer is no number of at
        least 0.

    Examples
    --------
    >>> import xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96))
    >>> west, north = float(stack.x[0]), float(stack.y[0])
    >>> dict(xoffset.crop(stack, (west + 95.0, north - 205.0, west + 405.0, north - 95.0)).sizes)["y"]
    11
    """
    stack = checks.as_stack(stack, _CALLER)
    around = _options.as_number(buffer, "buffer", _CALLER)
    left, bottom, right, top = _box(area, stack)
    kept = {
        name: np.flatnonzero((stack[name].values >= low - around) & (stack[name].values <= high + around))
        for name, low, high in (("x", left, right), ("y", bottom, top))
    }
    if not all(each.size for each in kept.values()):
        x, y = np.sort(stack["x"].values), np.sort(stack["y"].values)
        raise ValueError(
            f"crop() needs an area that holds pixels; got {area!r}, which is x {left:.10g} to {right:.10g}, y "
            f"{bottom:.10g} to {top:.10g} on a stack from x {x[0]:.10g} to {x[-1]:.10g}, y {y[0]:.10g} to {y[-1]:.10g}"
            ". Pass one within these."
        )
    part = stack.isel({name: slice(int(each[0]), int(each[-1]) + 1) for name, each in kept.items()})
    told = np.asarray(area).tolist() if _is_box(area) else "polygons"
    return part.assign_attrs(processing=processed(stack, {"function": _CALLER, "area": told, "buffer": around}))


def _is_box(area: Any) -> bool:
    return isinstance(area, (Sequence, np.ndarray)) and len(area) == 4 and all(map(_options.is_number, area))


def _box(area: Any, stack: xr.DataArray) -> tuple[float, float, float, float]:
    """Box in the CRS of the stack [m]."""
    crs = grids.crs_of(stack)
    is_row = isinstance(area, (Sequence, np.ndarray)) and not isinstance(area, str)
    if not _is_box(area) and not (is_row and any(isinstance(each, (float, int, np.number)) for each in area)):
        corners = np.concatenate([polygon[0] for polygon in shapes.read(area, crs, _CALLER, "area")])
        return (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
    if not (_is_box(area) and area[0] < area[2] and area[1] < area[3]):
        raise ValueError(
            f"crop() needs area=(west, south, east, north) in degrees, or (xmin, ymin, xmax, ymax) in metres; got "
            f"{area!r}. Order it so."
        )
    left, bottom, right, top = map(float, area)
    if crs is None or max(-left, right) > 180 or max(-bottom, top) > 90:
        return left, bottom, right, top
    import pyproj

    turn = pyproj.Transformer.from_crs(_LONGITUDE_LATITUDE, crs, always_xy=True)
    found = turn.transform_bounds(left, bottom, right, top, densify_pts=_PLACES)
    return tuple(map(float, found))  # type: ignore[return-value]
