"""Matching for runs that are larger than memory: each task reads the window that it needs, and no other."""

from __future__ import annotations

from typing import Any

import numpy as np
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
    stack: xr.DataArray,
    network: xr.Dataset,
    read: tiles.ReadImage | None = None,
    side: int = tiles.WINDOW,
    **options: Any,
) -> xr.Dataset:
    """Shifts of every pair as `correlate` returns them, lazy, with the same bits; a task reads its own window.

    `read(rows, columns)` reads all dates (time, rows, columns); without it windows are cut from the stack. A task has
    blocks of `side` pixels at most, and of one tile at least. Matchers whose tiles fade into each other need those
    around: of them the result is that of `correlate`.
    """
    request = prepare(stack, network, Options(**DEFAULTS | options))
    if request.lattice.fade > 0:
        return correlate(stack, network, **options)
    reads = [tiles.window_reader(stack.data) if read is None else read]
    if request.mask is not None:
        reads.append(tiles.window_reader(request.mask.values))
    found = tiles.match_windows(
        reads, request.guide.fields, request.lattice, request.kernel(request.guide.pairs), request.shape, side
    )
    return label_shifts(checked_fields(found, request), stack, network, request)


def request_of(stack: xr.DataArray, network: xr.Dataset, options: dict[str, Any]) -> Request:
    """What `correlate` is asked for with these options."""
    return prepare(stack, network, Options(**DEFAULTS | options))


def bytes_of_task(stack: xr.DataArray, request: Request, shifts: xr.Dataset) -> int:
    """Bytes that a core works with while it matches a tile of these lazy shifts."""
    rows, columns = (max(shifts.chunksizes[dim]) for dim in ("y", "x"))
    return memory_of_core(stack, request, (rows, columns))


def bytes_of_windows(request: Request, shifts: xr.Dataset) -> float:
    """Bytes of pixels that the tiles of these lazy shifts read, margins included."""
    lattice = request.lattice
    along = []
    for dim, size in zip(("y", "x"), lattice.shape, strict=True):
        ends = np.cumsum((0, *shifts.chunksizes[dim]))
        first = ends[:-1] * lattice.step - lattice.margin
        last = (ends[1:] - 1) * lattice.step + lattice.template + lattice.margin
        along.append(float((np.minimum(last, size) - np.maximum(first, 0)).sum()))
    mask = 0 if request.mask is None else len(request.mask.values)
    return along[0] * along[1] * (len(request.frame.dates) * request.frame.dtype.itemsize + mask)
