"""Pixels of a tile, filtered."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.filters import apply, centre, noise, options
from xoffset._arrays.lattice import Lattice, Tile


def filter_tile(
    images: np.ndarray,
    tile: Tile,
    guide: np.ndarray,
    *,
    lattice: Lattice,
    prefilter: options.Prefilter,
    working: np.dtype,
) -> np.ndarray:
    """Filtered pixels of a tile (1, time, rows, columns) from those of its window (time, height, width)."""
    rows, columns = (slice(lattice.margin, lattice.margin + part.stop - part.start) for part in tile)
    frame = lattice.frame(tile)
    out = np.empty((1, len(images), rows.stop - rows.start, columns.stop - columns.start), dtype=lattice.dtype)
    for raw, target in zip(images, out[0], strict=True):
        target[:] = _filter_image(raw, frame, prefilter, working)[rows, columns]
    return out


def _filter_image(raw: np.ndarray, frame: Tile, prefilter: options.Prefilter, working: np.dtype) -> np.ndarray:
    if isinstance(prefilter, options.Log):
        return centre.logarithm(raw, prefilter.level)
    pixels = centre.centre(np.ascontiguousarray(raw), working)
    settled = noise.settle(prefilter, pixels.values, pixels.known, 0)
    filtered, valid = apply.apply(settled, pixels.values, pixels.known, frame)
    if options.keeps_units(prefilter):
        filtered = np.ldexp(filtered, pixels.exponent)
    filtered[valid == 0] = np.nan
    return filtered
