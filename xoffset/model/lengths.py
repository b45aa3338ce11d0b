"""Lengths of shifts in metres: those given in pixels of the matched images, and sides of pixels and windows."""

from __future__ import annotations

import re

import numpy as np
import xarray as xr

from xoffset.model import products


def pixels_in_metres(text: str, shifts: xr.Dataset, name: str, caller: str, *, example: float) -> float:
    """Metres of a text such as "10 px", in pixels of the matched images, which must be alike in all pairs.

    Raises
    ------
    ValueError
        If it is no such text, or the shifts do not tell one size of pixels.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*px\s*", text)
    if found is None:
        raise ValueError(
            f"{caller}() needs metres, or a text of pixels, as {name}; got {text!r}. Pass {example!r} or '10 px'."
        )
    sizes = np.unique(shifts[products.PIXEL_SIZE].values) if products.PIXEL_SIZE in shifts.coords else np.empty(0)
    if sizes.size != 1 or not np.isfinite(sizes[0]):
        came = f"{sizes.min():g} to {sizes.max():g} m" if sizes.size else "none"
        raise ValueError(
            f"{caller}() needs shifts that tell one size of pixels for {name}={text!r}; got {came}. Pass "
            f"metres: {name}={example!r}."
        )
    return float(found[1]) * float(sizes[0])


def sides_of(shifts: xr.Dataset, what: str, caller: str) -> tuple[np.ndarray, np.ndarray]:
    """Sides of the pixels and of the largest windows of each pair [m], (pair,) each; what: that they are needed for.

    Raises
    ------
    ValueError
        If the shifts do not tell one of them.
    """
    told = []
    for name in (products.PIXEL_SIZE, products.WINDOW_SIZE):
        values = np.asarray(shifts[name].values, dtype=np.float64) if name in shifts.coords else np.array(np.nan)
        if not (np.isfinite(values) & (values > 0.0)).all():
            raise ValueError(
                f"{caller}() needs the coordinate '{name}' {what}; got shifts that do not tell it. Assign it: "
                f"shifts.assign_coords({name}=...), in metres."
            )
        told.append(np.broadcast_to(values, shifts.sizes["pair"]))
    return told[0], told[1]
