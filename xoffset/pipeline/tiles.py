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
    side: int | None = None,
    beside: Place | None = None,
    **options: Any,
) -> xr.Dataset:
    """Shifts of every pair as `correlate` returns them, lazy, with the same bits; a task reads its own window.

    `read(rows, columns)` reads all dates (time, rows, columns); without it windows are cut from the stack. A task has
    blocks of `side` pixels at most, or of the usual side, and of one tile at least. Matchers whose tiles fade into each
    other need those around: of them the result is that of `correlate`. Masks, and images in memory, are written to the
    store `beside`, if it is given, and tasks read windows of it: a task that is sent to another machine should not
    carry them.
    """
    request = prepare(stack, network, Options(**DEFAULTS | options))
    if request.lattice.fade > 0:
        is_here = isinstance(stack.data, np.ndarray)
        return correlate(stack.chunk({"time": 1, "y": BLOCK, "x": BLOCK}) if is_here else stack, network, **options)
    is_carried = isinstance(stack.data, np.ndarray) and stack.nbytes > LARGEST_CARRIED
    reads = [_reader(stack.data, beside if is_carried else None, "images") if read is None else read]
    if request.mask is not None:
        mask = request.mask.values
        reads.append(_reader(mask, beside if mask.nbytes > LARGEST_CARRIED else None, "mask"))
    found = tiles.match_windows(
        reads, request.guide.fields, request.lattice, request.kernel(request.guide.pairs), request.shape, side
    )
    return label_shifts(checked_fields(found, request), stack, network, request)


def request_of(stack: xr.DataArray, network: xr.Dataset, options: dict[str, Any]) -> Request:
    """What `correlate` is asked for with these options."""
    return prepare(stack, network, Options(**DEFAULTS | options))


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
