"""combine(): one mask of pixels that may be matched, from all that is known of a stack."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.masking.stable_ground import stable_ground
from xoffset.model import checks, masks, products
from xoffset.model.dates import as_dates
from xoffset.model.variables import TERRAIN, USABLE
from xoffset.readers.polygons import Polygons

_CALLER = "combine"


def combine(
    like: xr.DataArray,
    *,
    usable: xr.DataArray | None = None,
    slopes: xr.DataArray | None = None,
    shadow: xr.DataArray | None = None,
    outlines: Polygons | None = None,
    buffer: float = 0.0,
) -> xr.DataArray:
    """Pixels that may be matched by all that is known of them, on the grid of a stack.

    Parameters
    ----------
    like
        Stack (time, y, x) on whose grid the mask is wanted.
    usable
        Boolean (time, y, x) on the dates of the stack, or (y, x), True where a pixel may be matched: of `usable`.
    slopes
        Boolean (y, x), True where the slope lets pixels be matched: of `slope_mask`. On any grid and in any CRS.
    shadow
        Boolean (time, y, x) on the dates of the stack, or (y, x), True where the terrain keeps the sun away: of
        `cast_shadow`. On any grid and in any CRS.
    outlines
        Areas inside which pixels are matched, such as outlines of glaciers, given as `moving` of `stable_ground`.
    buffer
        Distance [m] around the outlines that is matched, too.

    Returns
    -------
    xarray.DataArray
        `usable` (time, y, x), or (y, x) if nothing that was given is of single dates, boolean: True where all that was
        given lets a pixel be matched; True everywhere if nothing was given. A pixel of another grid counts as in `mask`
        of `correlate`: all that a pixel touches must be True, and what lies beyond a layer is not matched. Lazy if a
        layer is, or if one of another grid is laid on a lazy stack.

    Raises
    ------
    FileNotFoundError
        If there is no file of the outlines.
    TypeError
        If a layer is no boolean DataArray.
    ValueError
        If a layer has other dims or dates, or lies elsewhere, or a buffer is given without outlines.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> mask = xoffset.masking.combine(stack, usable=stack > 900.0, slopes=truth.vx > 1.0)
    >>> mask.dims
    ('time', 'y', 'x')
    """
    like = checks.as_stack(like, _CALLER)
    if buffer and outlines is None:
        raise ValueError(
            f"combine() needs outlines where buffer is given; got buffer={buffer!r} alone. Pass outlines, or leave "
            "buffer out."
        )
    chunks = None if isinstance(like.data, np.ndarray) else like.data.chunks[-2:]
    parts = [
        _laid(each, name, like, chunks) for name, each in (("usable", usable), ("slopes", slopes)) if each is not None
    ]
    if shadow is not None:
        masks.check_boolean(shadow, masks.Kind("shadow", "in the shadow", "elevation_of_sun", "< 0"), _CALLER)
        parts.append(_laid(~shadow, "shadow", like, chunks))
    if outlines is not None:
        reach = _options.as_number(buffer, "buffer", _CALLER)
        with _options.speaking_as(_CALLER, "stable_ground"):
            parts.append(~stable_ground(like, moving=outlines, buffer=reach).data[np.newaxis])
    values: Any = np.ones((1, like.sizes["y"], like.sizes["x"]), dtype=np.bool_)
    for part in parts:
        values = values & part
    has_dates = values.shape[0] == like.sizes["time"] and any(part.shape[0] > 1 for part in parts)
    told = {"usable": usable, "slopes": slopes, "shadow": shadow, "outlines": outlines}
    step: dict[str, Any] = {"function": _CALLER, "given": [name for name, each in told.items() if each is not None]}
    step |= {"buffer": float(buffer)} if outlines is not None else {}
    fields: dict[str, tuple[tuple[str, ...], Any]]
    if not has_dates:
        fields = {"usable": (("y", "x"), values[0])}
        return products.product(fields, TERRAIN, like=like.to_dataset(name="image"), step=step)["usable"]
    coords = {name: each.variable for name, each in like.coords.items() if each.dims == ("time",)}
    fields = {"usable": (("time", "y", "x"), values)}
    return products.product(fields, USABLE, like=like.to_dataset(name="image"), step=step, coords=coords)["usable"]


def _laid(mask: xr.DataArray, name: str, like: xr.DataArray, chunks: Any) -> Any:
    """A layer on the pixels of a stack (1 or time, y, x)."""
    kind = masks.Kind(name, "where pixels may be matched", "classes", "== 0")
    masks.check_boolean(mask, kind, _CALLER)
    if set(mask.dims) not in ({"y", "x"}, {"time", "y", "x"}):
        raise ValueError(
            f"combine() needs {name} with dims ('time', 'y', 'x'), or ('y', 'x') for all dates; got {mask.dims}. Name "
            "them, or take one layer."
        )
    if "time" in mask.dims:
        dates, wanted = (np.atleast_1d(as_dates(data["time"].values)) for data in (mask, like))
        if not np.array_equal(dates, wanted):
            raise ValueError(
                f"combine() needs {name} on the dates of the stack; got {dates.size} dates, the first {dates[0]}, and "
                f"a stack of {wanted.size}, the first {wanted[0]}. Take the same: {name}.sel(time=stack.time)."
            )
        mask = mask.transpose("time", "y", "x")
    else:
        mask = mask.transpose("y", "x").expand_dims("time")
    return masks.on_cells(mask, like, kind, _CALLER, chunks).values
