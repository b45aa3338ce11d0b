"""discard_pairs(): shifts without the pairs of which too little is left."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._blocks import pixels, whole
from xoffset.model import checks
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.stable import on_nodes
from xoffset.screening import stages

_CALLER = "discard_pairs"


def discard_pairs(shifts: xr.Dataset, *, max_ratio: float = 0.8, inside: xr.DataArray | None = None) -> xr.Dataset:
    """Shifts without the pairs that are masked for the most part.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) after `screen` or other steps that take vectors out.
    max_ratio
        Largest number of nodes without a vector over the number of those with one, as the GDM-OPT services count: 0.8
        stands for 44 % of the nodes without.
    inside
        Area of interest (y, x), boolean, True where nodes are counted. None: all are.

    Returns
    -------
    xarray.Dataset
        Shifts with all pairs, whose `dx`, `dy`, `sigma_dx`, `sigma_dy` and `cov_dxdy` are NaN, with the flag `sparse`,
        where the ratio of the pair is larger; such pairs take no part in an inversion. Lazy if the shifts are: all of
        them are needed for the first block of the result.

    Raises
    ------
    TypeError
        If the shifts are none, or the area is no boolean DataArray.
    ValueError
        If the ratio is no number of at least 0, or the area lies elsewhere.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((128, 128), dates=["2020-01-01", "2020-07-01", "2021-01-01"])
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=6)
    >>> sparse = shifts.assign(dx=shifts.dx.where(shifts.baseline < 200.0))
    >>> kept = xoffset.discard_pairs(sparse, max_ratio=0.8)
    >>> kept.dx.notnull().any(("y", "x")).values
    array([ True, False,  True])
    """
    shifts = checks.as_shifts(shifts, _CALLER)
    largest = _options.as_number(max_ratio, "max_ratio", _CALLER)
    flags = flags_of(shifts, _CALLER)
    arrays = [shifts["dx"].data, shifts["dy"].data]
    if inside is not None:
        area = on_nodes(inside, shifts, _CALLER)[np.newaxis]
        arrays.append(
            np.broadcast_to(area, shifts["dx"].shape)
            if isinstance(area, np.ndarray)
            else area.repeat(shifts.sizes["pair"], axis=0)
        )
    counts = pixels.totals_of_layers(_count, whole.read_anew(arrays), 2)
    table = whole.at_once(partial(_is_sparse, largest=largest), [counts], np.dtype(np.int64), (shifts.sizes["pair"],))
    failed = pixels.per_pixel_of(_as_flags, [flags], table, shifts.sizes["pair"])
    return stages.without_failed(shifts, flags, failed, {"function": _CALLER, "max_ratio": largest})


def _count(dx: np.ndarray, dy: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Numbers of nodes without a vector and with one (2, pair)."""
    is_known = np.isfinite(dx) & np.isfinite(dy)
    counted = np.ones_like(is_known) if inside is None else inside
    return np.stack([(~is_known & counted).sum(axis=(1, 2)), (is_known & counted).sum(axis=(1, 2))])


def _is_sparse(counts: np.ndarray, largest: float) -> np.ndarray:
    """Flags (pair,) of pairs with too many nodes without a vector."""
    masked, known = counts
    return np.asarray((masked > largest * known) * np.int64(FLAGS["sparse"]))


def _as_flags(table: np.ndarray, flags: np.ndarray) -> Any:
    return np.broadcast_to(table[:, np.newaxis, np.newaxis], flags.shape).astype(np.int64)
