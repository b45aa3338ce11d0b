"""Values of raster files at the pixels of a grid, by position: masks of classes and detectors, never interpolated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xoffset.readers import files, grids
from xoffset.readers.grids import Grid, Window

if TYPE_CHECKING:
    from rasterio.crs import CRS


def values_at(path: str, grid: Grid, *, bands: tuple[int, ...] = (1,)) -> tuple[np.ndarray, np.ndarray]:
    """Values of the pixels that hold the pixel centres of a grid, (band, rows, columns), and where there are any.

    Bands count from 1. Only the window that is needed is read. Outside of the file values are zero, and the boolean
    (rows, columns) is False.
    """
    from rasterio.windows import Window as Rectangle

    with files.opened(path, is_local=False) as dataset:
        check_crs(grid, dataset.crs, Path(path).name)
        if max(bands) > dataset.count:
            raise ValueError(
                f"open_stack() needs a mask of {max(bands)} bands; got {dataset.count} in {Path(path).name}. Fetch the "
                "product again, or leave it out."
            )
        corner = dataset.transform
        place = Grid(corner.c, corner.f, corner.a, corner.e, dataset.width, dataset.height, dataset.crs)
        out = np.zeros((len(bands), grid.height, grid.width), dtype=np.result_type(*dataset.dtypes))
        inside = lay(lambda window: dataset.read(list(bands), window=Rectangle.from_slices(*window)), place, grid, out)
    return out, inside


def lay(read: Callable[[Window], np.ndarray], place: Grid, grid: Grid, out: np.ndarray) -> np.ndarray:
    """Put values at the pixels of a grid, (..., rows, columns), by position; where there are any, (rows, columns).

    `read` reads a window of what lies at `place`, a grid of the same CRS.
    """
    rows = np.floor((grid.y_centres - place.y) / place.dy).astype(np.int64)
    columns = np.floor((grid.x_centres - place.x) / place.dx).astype(np.int64)
    rows_inside, columns_inside = (rows >= 0) & (rows < place.height), (columns >= 0) & (columns < place.width)
    inside: np.ndarray = np.logical_and.outer(rows_inside, columns_inside)
    if inside.any():
        rows, columns = rows[rows_inside], columns[columns_inside]
        top, left = int(rows.min()), int(columns.min())
        values = read((slice(top, int(rows.max()) + 1), slice(left, int(columns.max()) + 1)))
        at = np.ix_(rows_inside, columns_inside)
        out[..., at[0], at[1]] = values[..., rows - top, :][..., columns - left]
    return inside


def check_crs(grid: Grid, crs: CRS | None, name: str) -> None:
    """Refuse a grid that is in another CRS than a layer, where that tells its own; `name` is that of its file."""
    if crs is not None and crs != grid.crs:
        raise ValueError(
            f"open_stack() needs a grid in the CRS of the product; got {grids.name_of(grid.crs)} for {name} in "
            f"{grids.name_of(crs)}. Ask for the layer on a stack in the CRS of the product, then reproject it like the "
            "stack: layer.rio.reproject_match(stack)."
        )
