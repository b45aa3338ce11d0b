"""Masks laid on the cells of another grid, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import dask.array as da
from xoffset._arrays.laying import Part, Places, Points
from xoffset._blocks.threads import in_threads

# Rows of cells that a thread lays at a time, and the side of a block if nothing else says what it should be.
STRIP, BLOCK = 64, 2048


def laid(mask: Any, places: Places, shape: tuple[int, int], chunks: tuple[tuple[int, ...], ...] | None) -> Any:
    """A mask (..., rows, columns) on the cells of another grid (..., *shape), boolean.

    NumPy if the mask is and no chunks are given; else dask, in these chunks along rows and columns. A block reads no
    more of the mask than it needs.
    """
    if chunks is None and isinstance(mask, np.ndarray):
        out = np.empty((*mask.shape[:-2], *shape), dtype=bool)

        def lay(top: int) -> None:
            strip = slice(top, min(top + STRIP, shape[0]))
            own, window = places.cut((strip, slice(0, shape[1])))
            out[..., strip, :] = own.values(mask[..., window[0], window[1]])

        in_threads(lay, range(0, shape[0], STRIP))
        return out
    import dask.array as da

    if chunks is None:
        chunks = da.core.normalize_chunks((BLOCK, BLOCK), shape=shape, dtype=bool)
    edges = [np.cumsum([0, *sizes]).tolist() for sizes in chunks]
    source = da.asarray(mask)
    rows = [
        [
            _block(source, places, (slice(top, bottom), slice(left, right)))
            for left, right in zip(edges[1][:-1], edges[1][1:], strict=True)
        ]
        for top, bottom in zip(edges[0][:-1], edges[0][1:], strict=True)
    ]
    found: da.Array = da.concatenate([da.concatenate(row, axis=-1) for row in rows], axis=-2)
    return found


def _block(mask: da.Array, places: Places, part: Part) -> da.Array:
    """The cells of one block."""
    import dask.array as da

    own, window = places.cut(part)
    shape = [piece.stop - piece.start for piece in part]
    needed = mask[..., window[0], window[1]]
    if 0 in needed.shape:
        empty: da.Array = da.zeros((*mask.shape[:-2], *shape), dtype=bool, chunks=(*mask.chunks[:-2], *shape))
        return empty
    whole = [mask.ndim - 2, mask.ndim - 1]
    if isinstance(own, Points):
        # to bring places to another CRS takes most of the time, and is the same for all dates
        whole = list(range(mask.ndim))
    needed = needed.rechunk(dict.fromkeys(whole, -1))
    found: da.Array = da.map_blocks(
        own.values,
        needed,
        chunks=(*needed.chunks[:-2], (shape[0],), (shape[1],)),
        dtype=bool,
        meta=np.empty((0,) * mask.ndim, dtype=bool),
    )
    return found
