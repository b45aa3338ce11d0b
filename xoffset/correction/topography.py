"""Heights beside those of the terrain model: what they do to shifts between images from two sides."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays.corrections import parallax
from xoffset._arrays.networks import graph
from xoffset._blocks import pixels
from xoffset.correction.views import views_on_nodes
from xoffset.model.dates import as_dates, in_years
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.shift_errors import with_shift_error, without_uncorrected

_log = logging.getLogger(__name__)


def without_parallax(shifts: xr.Dataset, view: xr.Dataset) -> xr.Dataset:
    """Shifts without what errors of the terrain model make between views from two sides, which is added to `removed`.

    Adds `dem_error` and `sigma_dem_error` (y, x). What is taken off adds to the standard errors of the pair.
    """
    reference, secondary = (as_dates(shifts[name].values) for name in ("reference", "secondary"))
    epochs, ends = graph.incidence(reference, secondary)
    angles = views_on_nodes(view, shifts["dx"].isel(pair=0), epochs, "correct")
    # what is wrong by its whole shift tells no height
    telling = with_shift_error(without_uncorrected(shifts, "correct"), "correct")
    fields = [telling[name].data for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    layers = parallax.layers_of(len(ends))
    solve = partial(parallax.solve, ends=ends, times=in_years(epochs - epochs[0]))
    found = layers.split(pixels.per_pixel(solve, [*fields, *angles], layers.count))
    _tell(found["height"])

    out = shifts.copy()
    dims = shifts["dx"].dims
    own = {axis: found[f"own_{axis}"] for axis in "xy"}
    if "sigma_dem_error" in shifts:
        # the errors of the pairs hold that of the height already
        is_new = np.isnan(shifts["sigma_dem_error"].data)
        own = {axis: each * is_new for axis, each in own.items()}
    for axis in "xy":
        removed = found[f"d{axis}"]
        _add(out, f"removed_d{axis}", removed, dims)
        out[f"d{axis}"] = (dims, shifts[f"d{axis}"].data - removed)
        out[f"sigma_d{axis}"] = (dims, np.hypot(shifts[f"sigma_d{axis}"].data, own[axis]))
    if "cov_dxdy" in shifts:
        out["cov_dxdy"] = (dims, shifts["cov_dxdy"].data + own["x"] * own["y"])
    _add(out, "dem_error", found["height"], dims[1:])
    out["sigma_dem_error"] = (dims[1:], found["error"])
    unknown = (found["unknown"] > 0.0) * np.int64(FLAGS["not_corrected"])
    out["flags"] = (dims, flags_of(shifts, "correct") | unknown)
    return out


def _add(shifts: xr.Dataset, name: str, values: Any, dims: tuple[Any, ...]) -> None:
    """Set a variable, or add to what an earlier correction left there."""
    shifts[name] = (dims, values + shifts[name].data if name in shifts else values)


def _tell(height: Any) -> None:
    """Say where the views tell no height at all, of what is in memory."""
    if isinstance(height, np.ndarray) and not np.isfinite(height).any():
        _log.warning(
            "correct(): the views tell no error of the terrain model. It takes pairs across two orbits, and beside "
            "them pairs of one orbit, or of both ways round or other lengths, to tell it from motion."
        )
