"""Windows in which the motion differs too much for one vector to tell it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays import sheared
from xoffset._blocks import halos
from xoffset.model import grids
from xoffset.model.flags import FLAGS
from xoffset.model.lengths import sides_of

# Squared range of the motion that noise makes, in that which its standard errors make: less than once in 100 windows
# it is more.
OF_NOISE = 4.0


def sides(shifts: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Sides of the pixels and windows of each pair [m], (pair,) each; refuses shifts that do not tell them."""
    return sides_of(shifts, "for max_range", "screen")


def failed(shifts: xr.Dataset, earlier: Any, largest: float) -> Any:
    """Flags so far and that of windows in which the motion ranges over more than `largest` px (pair, y, x), int64."""
    pixels, windows = sides(shifts)
    spacing = grids.spacing(shifts, "screen")
    apart = spacing.y, spacing.x
    fields = [earlier, *(shifts[name].data for name in ("dx", "dy", "sigma_dx", "sigma_dy"))]
    if "template_size" in shifts:
        fields.append(shifts["template_size"].data)
    test = partial(_failed_of_block, largest=largest, spacing=apart)
    depth = sheared.depth(float(windows.max()), apart)
    return halos.with_halo(test, fields, depth, np.dtype(np.int64), np.stack([pixels, windows], axis=1))


def _failed_of_block(
    sampling: np.ndarray, *fields: np.ndarray, largest: float, spacing: tuple[float, float]
) -> np.ndarray:
    """Flags (n, rows, columns); sampling (n, 2): sides of pixels and windows [m]."""
    out = fields[0].copy()
    for (pixel, window), target, earlier, *vector in zip(sampling, out, *fields, strict=True):
        keep = earlier == 0
        dx, dy, *errors = (np.where(keep, field, np.nan).astype(np.float64) for field in vector[:4])
        own = window if len(vector) == 4 else pixel * vector[4].astype(np.float64)
        square, noise = sheared.squared_ranges((dx, dy), (errors[0], errors[1]), own, spacing)
        least = np.sqrt(np.maximum(square.sum(axis=0) - OF_NOISE * noise.sum(axis=0), 0.0))
        target |= (keep & (least > largest * pixel)) * np.int64(FLAGS["sheared"])
    return out
