"""Values of files at the pixels of a grid, by position: masks of classes and detectors, never interpolated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from xoffset._arrays.scenes.laying import Axis, Laying
from xoffset.model.grids import Turn, agree, turn
from xoffset.readers import files, grids
from xoffset.readers.grids import Grid, Window

if TYPE_CHECKING:
    from rasterio.crs import CRS

# Pixels along a side of a part of a grid for which what lies below it in another CRS is read together.
_TILE = 512


class Found(NamedTuple):
    """Values of a file at the pixels of a grid (band, rows, columns), where there are any, and the CRS of the file."""

    values: np.ndarray
    is_inside: np.ndarray
    crs: CRS | None


def values_at(path: str, grid: Grid, *, bands: tuple[int, ...] = (1,)) -> Found:
    """Values of the pixels that hold the pixel centres of a grid, in whatever CRS.

    Bands count from 1. Only the window that is needed is read. Outside of the file values are zero, and the boolean
    (rows, columns) is False.
    """
    from rasterio.windows import Window as Rectangle

    with files.opened(path, is_local=False) as dataset:
        if max(bands) > dataset.count:
            raise ValueError(
                f"open_stack() needs a mask of {max(bands)} bands; got {dataset.count} in {Path(path).name}. Fetch the "
                "product again, or leave it out."
            )
        corner = dataset.transform
        place = Grid(corner.c, corner.f, corner.a, corner.e, dataset.width, dataset.height, dataset.crs)
        out = np.zeros((len(bands), grid.height, grid.width), dtype=np.result_type(*dataset.dtypes))
        inside = lay(lambda window: dataset.read(list(bands), window=Rectangle.from_slices(*window)), place, grid, out)
    return Found(out, inside, place.crs)


def lay(read: Callable[[Window], np.ndarray], place: Grid, grid: Grid, out: np.ndarray) -> np.ndarray:
    """Put values at the pixels of a grid, (..., rows, columns), by position; where there are any, (rows, columns).

    `read` reads a window of what lies at `place`, a grid of the same CRS or of another.
    """
    if differ(place.crs, grid.crs):
        return _lay_turned(read, place, grid, out)
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


def _lay_turned(read: Callable[[Window], np.ndarray], place: Grid, grid: Grid, out: np.ndarray) -> np.ndarray:
    """The same from another CRS: a pixel takes the one that holds its centre there."""
    inside = np.zeros((grid.height, grid.width), dtype=np.bool_)
    to_place = _turn(grid.crs, place.crs)
    for top in range(0, grid.height, _TILE):
        for left in range(0, grid.width, _TILE):
            part = (
                slice(top, min(top + _TILE, grid.height)),
                slice(left, min(left + _TILE, grid.width)),
            )
            rows, columns = Laying(_axes(place), _axes(grid.part(part)), to_place).indices()
            is_there = (rows >= 0) & (columns >= 0)
            if not is_there.any():
                continue
            rows, columns = rows[is_there], columns[is_there]
            first, start = int(rows.min()), int(columns.min())
            values = read((slice(first, int(rows.max()) + 1), slice(start, int(columns.max()) + 1)))
            out[..., *part][..., is_there] = values[..., rows - first, columns - start]
            inside[part] = is_there
    return inside


def _turn(source: CRS | None, target: CRS | None) -> Turn:
    from_crs, to_crs = grids.as_pyproj(source), grids.as_pyproj(target)
    assert from_crs is not None  # they differ only where both are known
    assert to_crs is not None
    return turn(from_crs, to_crs)


def _axes(grid: Grid) -> tuple[Axis, Axis]:
    return (
        Axis(grid.y + grid.dy / 2, grid.dy, grid.height),
        Axis(grid.x + grid.dx / 2, grid.dx, grid.width),
    )


def differ(first: CRS | None, second: CRS | None) -> bool:
    """Whether two CRS are known and are not one."""
    if first is None or second is None or first == second:
        return False
    return not agree(grids.as_pyproj(first), grids.as_pyproj(second))


def check_crs(grid: Grid, crs: CRS | None, name: str) -> None:
    """Refuse a grid that is in another CRS than a layer, where that tells its own; `name` is that of its file."""
    if crs is not None and crs != grid.crs:
        raise ValueError(
            f"open_stack() needs a grid in the CRS of the product; got {grids.name_of(grid.crs)} for {name} in "
            f"{grids.name_of(crs)}. Ask for the layer on a stack in the CRS of the product, then reproject it like the "
            "stack: layer.rio.reproject_match(stack)."
        )
