"""grid_step(): distance of the nodes of a grid in pixels."""

from __future__ import annotations

import xarray as xr

from xoffset import _options
from xoffset.model import checks, grids

# Share of a pixel by which a distance may differ from whole pixels.
_ROUNDING = 0.01


def grid_step(stack: xr.DataArray, *, spacing: float = 80.0) -> int:
    """Step of `correlate`, in pixels, of a grid whose nodes are so many metres apart.

    Parameters
    ----------
    stack
        Images (time, y, x).
    spacing
        Distance of the nodes [m], a whole number of pixels.

    Returns
    -------
    int
        Step in pixels.

    Raises
    ------
    TypeError, ValueError
        If it is no stack, or the distance is no whole number of its pixels.

    Examples
    --------
    >>> import xoffset
    >>> stack, _ = xoffset.synthetic.stack((32, 32))
    >>> xoffset.grid_step(stack, spacing=80.0)
    8
    """
    stack = checks.as_stack(stack, "grid_step")
    wanted = _options.as_positive(spacing, "spacing", "grid_step", unit="m", example=80.0)
    steps = grids.spacing(stack, "grid_step")
    sides = abs(steps.x), abs(steps.y)
    found = max(1, round(wanted / sides[0]))
    if any(abs(wanted - found * side) > _ROUNDING * side for side in sides):
        raise ValueError(
            f"grid_step() needs a whole number of pixels of {sides[0]:g} x {sides[1]:g} m as spacing [m]; got "
            f"{wanted:g}. Pass one such as {found * sides[0]:g}, to the recipe annual-rate as grid."
        )
    return found
