"""Matching for runs that are larger than memory: each task reads the window that it needs, and no other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset._blocks import tiles, writes
from xoffset.matching.correlate import checked_fields, correlate, label_shifts
from xoffset.matching.cost import memory_of_core
from xoffset.matching.request import Options, Request, prepare
from xoffset.pipeline.places import Place

# What `correlate` takes when an option is left out.
DEFAULTS: dict[str, Any] = {
    "template": None, "search": 8, "step": 8, "matcher": "ncc", "prefilter": "bandpass", "prior": None, "mask": None,
}  # fmt: skip

# Bytes of an array that a task may carry, and the side of the chunks that larger ones are stored in, px.
LARGEST_CARRIED, BLOCK = 2**16, 512


def correlate_windows(
    stack: xr.DataArray,
    network: xr.Dataset,
    read: tiles.ReadImage | None = None,
    beside: Place | None = None,
    **options: Any,
) -> xr.Dataset:
    """Shifts of every pair as `correlate` returns them, lazy, with the same bits; a task reads its own window.

    `read(rows, columns)` reads all dates (time, rows, columns); without it windows are cut from the stack. Matchers
    whose tiles fade into each other need those around: of them the result is that of `correlate`. Masks, and images in
    memory, are written to the store `beside`, if it is given, and tasks read windows of it: a task that is sent to
    another machine should not carry them.
    """
    request = prepare(stack, network, Options(**DEFAULTS | options))
    if request.lattice.fade > 0:
        return correlate(stack, network, **options)
    is_carried = isinstance(stack.data, np.ndarray) and stack.nbytes > LARGEST_CARRIED
    reads = [_reader(stack.data, beside if is_carried else None, "images") if read is None else read]
    if request.mask is not None:
        mask = request.mask.values
        reads.append(_reader(mask, beside if mask.nbytes > LARGEST_CARRIED else None, "mask"))
    found = tiles.match_windows(
        reads, request.guide.fields, request.lattice, request.kernel(request.guide.pairs), request.shape
    )
    return label_shifts(checked_fields(found, request), stack, network, request)


class StoredWindow(NamedTuple):
    """Reads windows of an array (n, y, x) in a store of Zarr; it is as small as its address."""

    place: str
    name: str

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """All of the array in a window."""
        import zarr

        array: Any = zarr.open_group(self.place, mode="r")[self.name]
        return np.asarray(array[:, rows, columns])


def _reader(array: Any, beside: Place | None, name: str) -> tiles.ReadImage:
    """What reads windows of an array: from where it is, or from a store that it is written to."""
    if beside is None:
        return tiles.window_reader(array)
    variable = xr.Variable(("n", "y", "x"), writes.in_blocks(array, (BLOCK, BLOCK)))
    variable.encoding = {"chunks": (len(array), BLOCK, BLOCK)}
    xr.Dataset({name: variable}).to_zarr(str(beside), mode="a", consolidated=False, zarr_format=3)
    return StoredWindow(str(beside), name).read


def bytes_of_task(stack: xr.DataArray, network: xr.Dataset, shifts: xr.Dataset, **options: Any) -> int:
    """Bytes that a core works with while it matches a tile of these lazy shifts."""
    request: Request = prepare(stack, network, Options(**DEFAULTS | options))
    rows, columns = (max(shifts.chunksizes[dim]) for dim in ("y", "x"))
    return memory_of_core(stack, request, (rows, columns))
