"""destripe(): shifts without the step of each detector of the sensor."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.corrections import stripes as steps
from xoffset._arrays.corrections.terms import STRIPES
from xoffset._blocks import pixels, whole
from xoffset.correction import layers
from xoffset.model import checks, products
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.stable import on_nodes

_CALLER = "destripe"


def destripe(
    shifts: xr.Dataset,
    stripes: xr.DataArray,
    *,
    stable: xr.DataArray | None = None,
    value: Literal["mean", "median"] = "mean",
    min_nodes: int = 20,
) -> xr.Dataset:
    """Shifts without the mean or median of what each detector of the sensor saw, which is kept beside them.

    `correct(stripes=)` fits the steps of detectors robustly along with a ramp, and is better told from motion. This is
    what CO-REGIS and the GDM-OPT services do after the ramp came off.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate`, best after `screen` and `correct`.
    stripes
        Number of the detector that saw each pixel, (time, y, x) as `xoffset.detectors` gives it or (y, x) for all
        dates, from 1 to 32 at most, 0 where none did.
    stable
        True where the ground does not move (y, x), boolean. None: all ground counts, as in the services, and motion of
        a large part of a stripe comes off with it.
    value
        `"mean"` or `"median"` of the displacements that a detector of the secondary image and one of the reference saw
        together.
    min_nodes
        Vectors that a stripe needs.

    Returns
    -------
    xarray.Dataset
        Shifts with corrected `dx`, `dy` [m], and what was taken off added to `removed_dx`, `removed_dy` [m] (pair, y,
        x). Nodes that no detector saw, and those of stripes with too few vectors, stay as they are, with the flag
        `not_corrected`. Lazy if the shifts or stripes are: all of a scene is needed for the first block.

    Raises
    ------
    TypeError
        If shifts or stripes are of the wrong type, or stable is not boolean.
    ValueError
        If stripes lack a date, lie elsewhere or have other numbers, or an option is out of range.

    Notes
    -----
    Stumpf, Michéa & Malet (2018, Remote Sens. 10, 160). Of scenes with more than a million nodes one row and one column
    of every few are looked at.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((256, 256), field="constant", velocity=0.0, stripes=3.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    >>> flat = xoffset.destripe(shifts, truth.detector.astype("uint8"))
    >>> bool(flat.dx.std() < 0.5 * shifts.dx.std())
    True
    """
    shifts = checks.as_shifts(shifts, _CALLER)
    _options.check_name(value, ("mean", "median"), "value", _CALLER)
    least = _options.as_whole_number(min_nodes, "min_nodes", _CALLER, least=1, example=20)
    with _options.speaking_as(_CALLER, "correct"):
        found = layers.stripes_on_nodes(stripes, shifts)
    pairs = shifts.sizes["pair"]
    dtype = np.result_type(shifts["dx"].dtype, shifts["dy"].dtype)
    fields = [shifts[name].data.astype(dtype, copy=False) for name in ("dx", "dy")]
    seen = [*fields, found.values]
    if stable is not None:
        mask = on_nodes(stable, shifts, _CALLER)
        seen = [np.where(mask[np.newaxis], each, each.dtype.type(np.nan)) for each in fields] + [found.values]
    count = shifts.sizes["y"] * shifts.sizes["x"]
    tell = partial(steps.table, ends=found.ends, value=value, least=least)
    looked_at = whole.sample(whole.read_anew(seen), count, steps.MOST)
    table = whole.at_once(tell, looked_at, np.dtype(np.float64), (2, pairs, STRIPES + 1, STRIPES + 1))
    parts = pixels.per_pixel_of(
        partial(steps.applied, ends=found.ends),
        [fields[0], found.values.astype(dtype)],
        table.reshape(2, pairs, -1),
        2 * pairs,
    )
    return _labelled(
        shifts, fields, (parts[:pairs], parts[pairs:]), {"function": _CALLER, "value": value, "min_nodes": least}
    )


def _labelled(shifts: xr.Dataset, fields: list[Any], steps_of: tuple[Any, Any], step: dict[str, Any]) -> xr.Dataset:
    out = shifts.copy()
    dims = shifts["dx"].dims
    is_known = np.isfinite(steps_of[0])
    for name, given, taken in zip(("dx", "dy"), fields, steps_of, strict=True):
        taken = np.where(is_known, taken, given.dtype.type(0.0))
        out[name] = (dims, given - taken)
        removed = f"removed_{name}"
        out[removed] = (dims, taken + shifts[removed].data if removed in shifts else taken)
    is_left = ~is_known & np.isfinite(fields[0])
    out["flags"] = (dims, flags_of(shifts, _CALLER) | is_left * np.int64(FLAGS["not_corrected"]))
    return products.relabel(out, step)
