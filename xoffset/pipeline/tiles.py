"""Matching for runs that are larger than memory: each task reads the window that it needs, and no other."""

from __future__ import annotations

from typing import Any

import xarray as xr

from xoffset._blocks import tiles
from xoffset.matching.correlate import checked_fields, correlate, label_shifts
from xoffset.matching.cost import memory_of_core
from xoffset.matching.request import Options, Request, prepare

# What `correlate` takes when an option is left out.
DEFAULTS: dict[str, Any] = {
    "template": None, "search": 8, "step": 8, "matcher": "ncc", "prefilter": "bandpass", "prior": None, "mask": None,
}  # fmt: skip


def correlate_windows(
    stack: xr.DataArray, network: xr.Dataset, read: tiles.ReadImage | None = None, **options: Any
) -> xr.Dataset:
    """Shifts of every pair as `correlate` returns them, lazy, with the same bits; a task reads its own window.

    `read(rows, columns)` reads all dates (time, rows, columns); without it windows are cut from the stack. Matchers
    whose tiles fade into each other need those around: of them the result is that of `correlate`.
    """
    request = prepare(stack, network, Options(**DEFAULTS | options))
    if request.lattice.fade > 0:
        return correlate(stack, network, **options)
    reads = [tiles.window_reader(stack.data) if read is None else read]
    if request.mask is not None:
        reads.append(tiles.window_reader(request.mask.values))
    found = tiles.match_windows(
        reads, request.guide.fields, request.lattice, request.kernel(request.guide.pairs), request.shape
    )
    return label_shifts(checked_fields(found, request), stack, network, request)


def bytes_of_task(stack: xr.DataArray, network: xr.Dataset, shifts: xr.Dataset, **options: Any) -> int:
    """Bytes that a core works with while it matches a tile of these lazy shifts."""
    request: Request = prepare(stack, network, Options(**DEFAULTS | options))
    rows, columns = (max(shifts.chunksizes[dim]) for dim in ("y", "x"))
    return memory_of_core(stack, request, (rows, columns))
