"""drop_masked(): shifts without the nodes that a mask leaves out."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xoffset.model import checks, masks
from xoffset.model.dates import as_dates
from xoffset.model.flags import FLAGS, flags_of
from xoffset.screening import stages

_CALLER = "drop_masked"


def drop_masked(shifts: xr.Dataset, mask: xr.DataArray) -> xr.Dataset:
    """Shifts without the nodes whose place is masked on one of the two dates.

    `mask` of `correlate` leaves pixels out of windows; a window that is masked in part still has a match. This takes
    the nodes themselves, so that nothing is told of ground that is masked.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate`.
    mask
        Boolean, True where values may be: (time, y, x) with the dates of the pairs, or (y, x) for all of them, on any
        grid and in any CRS. A node counts where all of the mask is True that its cell touches.

    Returns
    -------
    xarray.Dataset
        Shifts whose `dx`, `dy`, `sigma_dx`, `sigma_dy` and `cov_dxdy` are NaN, with the flag `nodata`, at nodes that
        are masked in the reference or in the secondary image; the rest stays. Lazy if the shifts or the mask are.

    Raises
    ------
    TypeError
        If the shifts are none, or the mask is no boolean DataArray.
    ValueError
        If the mask has other dims, lacks a date of the pairs, or lies elsewhere.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="landslide")
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    >>> inside = xoffset.drop_masked(shifts, truth.vx > 1.0)
    >>> bool(inside.dx.count() < shifts.dx.count())
    True
    """
    shifts = checks.as_shifts(shifts, _CALLER)
    flags = flags_of(shifts, _CALLER)
    failed = ~_of_pairs(mask, shifts) * np.int64(FLAGS["nodata"])
    return stages.without_failed(shifts, flags, failed, {"function": _CALLER})


def _of_pairs(mask: xr.DataArray, shifts: xr.Dataset) -> Any:
    """Nodes (pair, rows, columns) that are free on both dates of their pair."""
    masks.check_boolean(mask, masks.MASK, _CALLER)
    if set(mask.dims) not in ({"y", "x"}, {"time", "y", "x"}):
        raise ValueError(
            f"drop_masked() needs dims ('time', 'y', 'x') of mask, or ('y', 'x') for all dates; got {mask.dims}. Name "
            "them, or take one layer."
        )
    chunks = None if isinstance(shifts["dx"].data, np.ndarray) else shifts["dx"].data.chunks[-2:]
    if "time" not in mask.dims:
        mask = mask.transpose("y", "x").expand_dims("time")
        values = masks.on_cells(mask, shifts, masks.MASK, _CALLER, chunks).values
        return values.repeat(shifts.sizes["pair"], axis=0)
    dates = np.atleast_1d(as_dates(mask["time"].values))
    wanted = np.stack([as_dates(shifts[name].values) for name in ("reference", "secondary")])
    missing = np.unique(wanted[~np.isin(wanted, dates)])
    if missing.size:
        raise ValueError(
            f"drop_masked() needs mask on every date of the pairs; got none on {missing.size}, the first is "
            f"{missing[0]}. Make it of all dates of the stack."
        )
    values = masks.on_cells(mask.transpose("time", "y", "x"), shifts, masks.MASK, _CALLER, chunks).values
    order = np.argsort(dates, kind="stable")
    first, second = (order[np.searchsorted(dates[order], each)] for each in wanted)
    return values[first] & values[second]
