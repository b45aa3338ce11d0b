"""Images moved by displacements that a table tells, which may have to be computed first."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from xoffset._arrays.corrections import moved
from xoffset._arrays.lattice import TILE
from xoffset._blocks.threads import in_threads


def move(stack: Any, table: Any, places: tuple[np.ndarray, np.ndarray], reach: int, setup: moved.Setup) -> Any:
    """Images (time, y, x) seen through the displacements of a table (time, 2, term), NumPy if both are, else dask.

    places: scaled coordinates along y and x of all pixels. No displacement is longer than `reach` pixels.
    """
    if isinstance(stack, np.ndarray) and isinstance(table, np.ndarray):
        out = np.empty(stack.shape, dtype=setup.dtype)

        def fill(date: int) -> None:
            image = moved.as_floats(stack[date : date + 1], setup)
            for top in range(0, stack.shape[1], TILE):
                rows = slice(top, min(top + TILE, stack.shape[1]))
                part = out[date : date + 1, rows]
                moved.fill(image, (top, 0), table[date : date + 1], (places[0][rows], places[1]), part)

        in_threads(fill, range(stack.shape[0]))
        return out
    import dask.array as da

    images = da.asarray(stack)
    images = images.rechunk({0: 1}) if isinstance(stack, np.ndarray) else images
    chunks = images.chunks
    floats = da.map_blocks(
        partial(moved.as_floats, setup=setup), images, dtype=setup.dtype, meta=np.empty((0, 0, 0), setup.dtype)
    )
    margin = reach + 2
    wide = da.overlap.overlap(floats, depth=(0, margin, margin), boundary=math.nan)
    inner = [tuple(size - 2 * margin for size in sizes) for sizes in wide.chunks[1:]]
    found = da.blockwise(
        partial(_move_block, margin=margin),
        "tyx",
        wide,
        "tyx",
        da.asarray(table).rechunk({0: chunks[0], 1: -1, 2: -1}),
        "tcp",
        da.from_array(places[0], chunks=(inner[0],)),
        "y",
        da.from_array(places[1], chunks=(inner[1],)),
        "x",
        align_arrays=False,
        adjust_chunks={"y": inner[0], "x": inner[1]},
        concatenate=True,
        dtype=setup.dtype,
        meta=np.empty((0, 0, 0), setup.dtype),
    )
    return found.rechunk(chunks)


def _move_block(wide: np.ndarray, table: np.ndarray, y: np.ndarray, x: np.ndarray, margin: int) -> np.ndarray:
    out = np.empty((wide.shape[0], y.size, x.size), dtype=wide.dtype)
    moved.fill(wide, (margin, margin), table, (y, x), out)
    return out
