"""whole_pixels(): shifts without fractions of a pixel."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset.model import checks, products
from xoffset.model.points import takes_points

_CALLER = "whole_pixels"


@takes_points
def whole_pixels(shifts: xr.Dataset) -> xr.Dataset:
    """Shifts in whole pixels of the images, as matching without refinement tells them.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) of `correlate`, which tell the side of a pixel of the images, `pixel_size`.

    Returns
    -------
    xarray.Dataset
        Shifts whose `dx`, `dy` [m] are the nearest multiples of the side of a pixel; `sigma_dx`, `sigma_dy` [m] hold
        the error of rounding, a pixel over the root of 12. NaN stays NaN. Lazy if the shifts are.

    Raises
    ------
    TypeError
        If the shifts are none.
    ValueError
        If they do not tell the side of a pixel.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0, direction=90.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    >>> float(xoffset.whole_pixels(shifts).dx.median())
    10.0
    """
    shifts = checks.as_shifts(shifts, _CALLER)
    sizes = shifts[products.PIXEL_SIZE].values if products.PIXEL_SIZE in shifts.coords else np.array(np.nan)
    if not (np.isfinite(sizes) & (sizes > 0.0)).all():
        raise ValueError(
            f"whole_pixels() needs the coordinate '{products.PIXEL_SIZE}'; got shifts that do not tell it. Assign it: "
            f"shifts.assign_coords({products.PIXEL_SIZE}=10.0), in metres."
        )
    side = np.broadcast_to(np.asarray(sizes, dtype=np.float64), (shifts.sizes["pair"],))[:, np.newaxis, np.newaxis]
    new: dict[str, Any] = {}
    for name, function in (("d", partial(_rounded, side)), ("sigma_d", partial(_widened, side))):
        for axis in "xy":
            values = shifts[f"{name}{axis}"]
            new[f"{name}{axis}"] = values.copy(data=function(values.data))
    return products.relabel(shifts.assign(new), {"function": _CALLER})


def _rounded(side: np.ndarray, values: Any) -> Any:
    side = side.astype(values.dtype)
    return np.rint(values / side) * side


def _widened(side: np.ndarray, sigma: Any) -> Any:
    return np.sqrt(sigma**2 + (side.astype(sigma.dtype) / math.sqrt(12.0)) ** 2).astype(sigma.dtype)
