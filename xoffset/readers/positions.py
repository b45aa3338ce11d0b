"""Values of raster files at the pixels of a grid, by position: masks of classes and detectors, never interpolated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xoffset.readers import files, grids
from xoffset.readers.grids import Grid

if TYPE_CHECKING:
    from rasterio.crs import CRS


def values_at(path: str, grid: Grid, *, bands: tuple[int, ...] = (1,)) -> tuple[np.ndarray, np.ndarray]:
    """Values of the pixels that hold the pixel centres of a grid, (band, rows, columns), and where there are any.

    Bands count from 1. Only the window that is needed is read. Outside of the file values are zero, and the boolean
    (rows, columns) is False.
    """
    from rasterio.windows import Window

    with files.opened(path, is_local=False) as dataset:
        check_crs(grid, dataset.crs, Path(path).name)
        if max(bands) > dataset.count:
            raise ValueError(
                f"open_stack() needs a mask of {max(bands)} bands; got {dataset.count} in {Path(path).name}. Fetch the "
                "product again, or leave it out."
            )
        place = dataset.transform
        rows = np.floor((grid.y_centres - place.f) / place.e).astype(np.int64)
        columns = np.floor((grid.x_centres - place.c) / place.a).astype(np.int64)
        rows_inside, columns_inside = (rows >= 0) & (rows < dataset.height), (columns >= 0) & (columns < dataset.width)
        out = np.zeros((len(bands), grid.height, grid.width), dtype=np.result_type(*dataset.dtypes))
        inside = np.logical_and.outer(rows_inside, columns_inside)
        if inside.any():
            rows, columns = rows[rows_inside], columns[columns_inside]
            top, left = int(rows.min()), int(columns.min())
            window = Window(left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top)
            read = dataset.read(list(bands), window=window)
            out[:, *np.ix_(rows_inside, columns_inside)] = read[:, rows - top][:, :, columns - left]
    return out, inside


def check_crs(grid: Grid, crs: CRS | None, name: str) -> None:
    """Refuse a grid that is in another CRS than a layer, where that tells its own; `name` is that of its file."""
    if crs is not None and crs != grid.crs:
        raise ValueError(
            f"open_stack() needs a grid in the CRS of the product; got {grids.name_of(grid.crs)} for {name} in "
            f"{grids.name_of(crs)}. Ask for the layer on a stack in the CRS of the product, then reproject it like the "
            "stack: layer.rio.reproject_match(stack)."
        )
