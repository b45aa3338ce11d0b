"""Parts of images moved by displacements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xoffset._kernels.images import moved

# Beyond it a number is no pixel's: infinity, and what libraries leave where nothing was written.
LARGEST = 1e15


@dataclass(frozen=True)
class Setup:
    """What the pixels of a stack are: the values that mean "no data", and the precision to compute in."""

    nodata: tuple[float, ...]
    dtype: np.dtype


def as_floats(images: np.ndarray, setup: Setup) -> np.ndarray:
    """Pixels as floats, NaN where there is no data."""
    values = images.astype(setup.dtype)
    if images.dtype.kind == "f":
        values[~(np.abs(values) < LARGEST)] = np.nan
    for nodata in setup.nodata:
        # a value that the type cannot hold is no pixel's
        if abs(nodata) <= float(np.finfo(setup.dtype).max):
            values[values == nodata] = np.nan
    return values


def fill(
    images: np.ndarray,
    corner: tuple[int, int],
    table: np.ndarray,
    places: tuple[np.ndarray, np.ndarray],
    out: np.ndarray,
) -> None:
    """Fill `out` (time, rows, columns) with images (time, rows, columns) seen through the displacements of a table.

    The first pixel of `out` lies at `corner` of the images; table (time, 2, term) [pixel] along columns and rows;
    places: coordinates of the rows and the columns of `out`.
    """
    for image, (along_x, along_y), target in zip(images, table, out, strict=True):
        terms = np.ascontiguousarray(along_x), np.ascontiguousarray(along_y)
        moved.resample(image, *corner, places[1], places[0], *terms, target)
