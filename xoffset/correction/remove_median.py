"""remove_median(): shifts without the median of each pair."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._blocks import whole
from xoffset.model import checks, products
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.stable import on_nodes

_CALLER = "remove_median"
# Nodes that are looked at, at most.
MOST = 1_000_000


def remove_median(shifts: xr.Dataset, *, stable: xr.DataArray | None = None, min_nodes: int = 20) -> xr.Dataset:
    """Shifts without the median of the ground of each pair, which is kept beside them.

    `correct` tells a shift robustly, with a standard error. This is what TIO does, of the whole map, and what is done
    around landslides with autoRIFT and MintPy.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate`, best after `screen`.
    stable
        True where the ground does not move (y, x), boolean, on the grid of the shifts or on the finer one of the stack.
        None: all ground counts, and where most of it moves its motion comes off.
    min_nodes
        Vectors that a pair needs.

    Returns
    -------
    xarray.Dataset
        Shifts with corrected `dx`, `dy` [m], and what was taken off added to `removed_dx`, `removed_dy` [m] (pair, y,
        x). Pairs with too few vectors stay as they are, with the flag `not_corrected`. Lazy if shifts or stable are:
        all of a scene is needed for the first block.

    Raises
    ------
    TypeError
        If the shifts are of the wrong type, or stable is not boolean.
    ValueError
        If stable lies elsewhere, or an option is out of range.

    Notes
    -----
    Of scenes with more than a million nodes one row and one column of every few are looked at.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0, direction=90.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    >>> float(abs(xoffset.remove_median(shifts).dx.median()).round(6))
    0.0
    """
    shifts = checks.as_shifts(shifts, _CALLER)
    least = _options.as_whole_number(min_nodes, "min_nodes", _CALLER, least=1, example=20)
    fields = [shifts[name].data for name in ("dx", "dy")]
    seen = fields if stable is None else [*fields, on_nodes(stable, shifts, _CALLER)]
    looked_at = whole.sample(whole.read_anew(seen), shifts.sizes["y"] * shifts.sizes["x"], MOST)
    pairs = shifts.sizes["pair"]
    table = whole.at_once(partial(_medians, least=least), looked_at, np.dtype(np.float64), (2, pairs))
    return _labelled(shifts, fields, table, {"function": _CALLER, "stable": stable is not None, "min_nodes": least})


def _medians(dx: np.ndarray, dy: np.ndarray, mask: np.ndarray | None = None, *, least: int) -> np.ndarray:
    """Medians (2, pair) [m], NaN of pairs with too few vectors."""
    out = np.full((2, len(dx)), np.nan)
    for pair, (x, y) in enumerate(zip(dx, dy, strict=True)):
        is_seen = np.isfinite(x) & np.isfinite(y)
        is_seen = is_seen if mask is None else is_seen & mask
        if is_seen.sum() >= least:
            out[:, pair] = np.median(x[is_seen].astype(np.float64)), np.median(y[is_seen].astype(np.float64))
    return out


def _labelled(shifts: xr.Dataset, fields: list[Any], table: Any, step: dict[str, Any]) -> xr.Dataset:
    out = shifts.copy()
    dims = shifts["dx"].dims
    is_known = np.isfinite(table[0])[:, np.newaxis, np.newaxis]
    for name, given, medians in zip(("dx", "dy"), fields, table, strict=True):
        taken = np.where(is_known, medians[:, np.newaxis, np.newaxis], 0.0).astype(given.dtype)
        taken = taken + np.zeros_like(given)
        out[name] = (dims, given - taken)
        removed = f"removed_{name}"
        out[removed] = (dims, taken + shifts[removed].data if removed in shifts else taken)
    is_left = ~is_known & np.isfinite(fields[0])
    out["flags"] = (dims, flags_of(shifts, _CALLER) | is_left * np.int64(FLAGS["not_corrected"]))
    return products.relabel(out, step)
