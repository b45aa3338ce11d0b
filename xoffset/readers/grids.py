"""Pixel grids of images: their lattice, windows on it, and how one grid lies on another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xoffset._options import is_number
from xoffset.model.grids import check_crs as check_metric

if TYPE_CHECKING:
    import pyproj
    from affine import Affine
    from rasterio.crs import CRS

Bounds = tuple[float, float, float, float]
Window = tuple[slice, slice]

# Grids are one lattice when no pixel lies further than this from its place, px.
LATTICE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Grid:
    """Pixels of an image: outer corner of its first pixel, signed pixel size, size and CRS."""

    x: float
    y: float
    dx: float
    dy: float
    width: int
    height: int
    crs: CRS | None

    def __dask_tokenize__(self) -> tuple[float | str, ...]:
        crs = "" if self.crs is None else self.crs.to_string()
        return self.x, self.y, self.dx, self.dy, self.width, self.height, crs

    @property
    def x_centres(self) -> np.ndarray:
        """Pixel centres along x [m]."""
        return self.x + self.dx * (np.arange(self.width) + 0.5)

    @property
    def y_centres(self) -> np.ndarray:
        """Pixel centres along y [m]."""
        return self.y + self.dy * (np.arange(self.height) + 0.5)

    @property
    def whole(self) -> Window:
        """Window of all pixels."""
        return slice(0, self.height), slice(0, self.width)

    def part(self, window: Window) -> Grid:
        """Grid of a window, which may reach beyond this one."""
        rows, columns = window
        return replace(
            self,
            x=self.x + self.dx * columns.start,
            y=self.y + self.dy * rows.start,
            width=columns.stop - columns.start,
            height=rows.stop - rows.start,
        )

    @property
    def bounds_of_all(self) -> Bounds:
        """Left, bottom, right and top edge of all pixels [m]."""
        return self.bounds(self.whole)

    def transform(self, window: Window) -> Affine:
        """Affine transformation of a window."""
        from affine import Affine

        corner = self.part(window)
        return Affine(corner.dx, 0, corner.x, 0, corner.dy, corner.y)

    def bounds(self, window: Window) -> Bounds:
        """Left, bottom, right and top edge of a window [m]."""
        rows, columns = window
        xs = [self.x + self.dx * edge for edge in (columns.start, columns.stop)]
        ys = [self.y + self.dy * edge for edge in (rows.start, rows.stop)]
        return min(xs), min(ys), max(xs), max(ys)


# -------------------------------------------------------------------------------------------------------------- windows


def of_centres(x: np.ndarray, y: np.ndarray, crs: pyproj.CRS | None, name: str, advice: str) -> Grid:
    """Grid of pixel centres x and y [m], which are to be in even steps; rows run as y does.

    The error for uneven ones names the variable or file, and ends with the advice.
    """
    corners = []
    for axis, centres in (("x", x), ("y", y)):
        values = np.asarray(centres, dtype=np.float64)
        step = float(values[-1] - values[0]) / (values.size - 1) if values.size > 1 else np.nan
        # single precision has not the digits for the places of pixels
        rounding = np.spacing(np.abs(np.asarray(centres)).max(initial=0)) if centres.dtype.kind == "f" else 0.0
        allowed = max(LATTICE_TOLERANCE * abs(step), float(rounding))
        if not (step and np.abs(values - (values[0] + step * np.arange(values.size))).max(initial=0.0) <= allowed):
            steps = np.diff(values) if values.size > 1 else np.array([np.nan])
            raise ValueError(
                f"open_stack() needs pixel centres in even steps; got '{axis}' of {name} with {values.size} values in "
                f"steps from {steps.min():g} to {steps.max():g}. {advice}"
            )
        corners.append((float(values[0]) - step / 2, step, values.size))
    (left, dx, width), (top, dy, height) = corners
    if dx < 0:
        raise ValueError(
            f"open_stack() needs columns from west to east; got {name} with x from {x[0]:.10g} down to {x[-1]:.10g}. "
            "Turn it with xarray: data.sortby('x')."
        )
    return Grid(left, top, dx, dy, width, height, None if crs is None else as_rasterio(crs))


def common(first: Window, second: Window) -> Window | None:
    """Window that two windows share, None if there is none."""
    rows, columns = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def union(windows: Iterable[Window]) -> Window:
    """Smallest window that holds all windows."""
    rows, columns = (
        slice(min(side.start for side in sides), max(side.stop for side in sides))
        for sides in zip(*windows, strict=True)
    )
    return rows, columns


def within(window: Window, origin: Window) -> Window:
    """Window counted from the first pixel of another."""
    rows, columns = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(window, origin, strict=True))
    return rows, columns


def crop(grid: Grid, bbox: Bounds | None) -> Window:
    """Window of the pixels whose centres lie within the box."""
    if bbox is None:
        return grid.whole
    edges = ", ".join(f"{edge:.10g}" for edge in grid.bounds_of_all)
    return window_in(bbox, grid.y_centres, grid.x_centres, f"({edges}) in {name_of(grid.crs)}")


def window_in(bbox: Bounds, y: np.ndarray, x: np.ndarray, extent: str) -> Window:
    """Window of the pixels whose centres lie within a box; `extent` tells what there is."""
    edges = np.ravel(np.asarray(bbox, dtype=object)).tolist()
    if len(edges) != 4 or not all(map(is_number, edges)) or not (edges[0] < edges[2] and edges[1] < edges[3]):
        raise ValueError(
            f"open_stack() needs bbox=(xmin, ymin, xmax, ymax) in the CRS of the images; got {bbox!r}. "
            f"Order it so; the images cover {extent}."
        )
    left, bottom, right, top = edges
    rows, columns = np.flatnonzero((y >= bottom) & (y <= top)), np.flatnonzero((x >= left) & (x <= right))
    if rows.size == 0 or columns.size == 0:
        raise ValueError(
            f"open_stack() needs a bbox that holds pixels; there is none in {bbox!r}. "
            f"Give (xmin, ymin, xmax, ymax) in the CRS of the images, which cover {extent}."
        )
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def share_seen_twice(parts: Sequence[Window], window: Window) -> float:
    """Share of a window that lies in two or more of the windows within it."""
    edges = [sorted({edge for part in parts for edge in (part[k].start, part[k].stop)}) for k in (0, 1)]
    # number of windows over each field between neighbouring edges: up where one starts, down behind its end
    times = np.zeros([len(side) for side in edges], dtype=np.int64)
    for rows, columns in parts:
        top, bottom = (edges[0].index(edge) for edge in (rows.start, rows.stop))
        left, right = (edges[1].index(edge) for edge in (columns.start, columns.stop))
        times[top, left] += 1
        times[bottom, left] -= 1
        times[top, right] -= 1
        times[bottom, right] += 1
    times = times.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
    areas = np.multiply.outer(*(np.diff(np.array(side, dtype=np.float64)) for side in edges))
    rows, columns = window
    return float(areas[times > 1].sum() / ((rows.stop - rows.start) * (columns.stop - columns.start)))


# ---------------------------------------------------------------------------------------------- one grid and the others


def most_shared(grids: Sequence[Grid]) -> list[int]:
    """Positions of the grids on the lattice that most of them share; of equally many, on that of the first."""
    groups: list[list[int]] = []
    for k, grid in enumerate(grids):
        fitting = (group for group in groups if place(grid, grids[group[0]]) is not None)
        group = next(fitting, None)
        if group is None:
            groups.append([k])
        else:
            group.append(k)
    return max(groups, key=len)


def place(grid: Grid, base: Grid) -> Window | None:
    """Window of a base grid, counted from its first pixel, that a grid fills; None if it lies on another lattice."""
    starts = []
    for first, step, size, origin, spacing in (
        (grid.y, grid.dy, grid.height, base.y, base.dy),
        (grid.x, grid.dx, grid.width, base.x, base.dx),
    ):
        start = round((first - origin) / spacing)
        # both ends, so that pixel sizes may differ by rounding only
        errors = ((first - origin) / spacing - start, (first + step * size - origin) / spacing - start - size)
        if max(map(abs, errors)) > LATTICE_TOLERANCE:
            return None
        starts.append(start)
    if grid.crs != base.crs:
        return None
    return slice(starts[0], starts[0] + grid.height), slice(starts[1], starts[1] + grid.width)


def covered(grid: Grid, base: Grid) -> Window:
    """Window of a base grid, counted from its first pixel, whose pixel centres a grid covers."""
    rows, columns = (
        slice(int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5))) for low, high in edges(grid, grid.whole, base)
    )
    return rows, columns


def edges(grid: Grid, window: Window, base: Grid) -> tuple[tuple[float, float], tuple[float, float]]:
    """Edges of a window of a grid in rows and in columns of a base grid, fractions included."""
    from rasterio.warp import transform_bounds

    bounds = grid.bounds(window)
    if grid.crs != base.crs:
        bounds = transform_bounds(grid.crs, base.crs, *bounds)
    left, bottom, right, top = bounds
    low, high = sorted((edge - base.y) / base.dy for edge in (bottom, top))
    return (low, high), ((left - base.x) / base.dx, (right - base.x) / base.dx)


def difference(grid: Grid, base: Grid) -> str:
    """Reason why a grid does not lie on the lattice of another."""
    if grid.crs != base.crs:
        return f"in {name_of(grid.crs)}, not {name_of(base.crs)}"
    if not np.allclose(
        (grid.dx, grid.dy), (base.dx, base.dy), rtol=LATTICE_TOLERANCE / max(base.width, base.height), atol=0
    ):
        return f"pixels of {grid.dx:g} x {grid.dy:g} m, not {base.dx:g} x {base.dy:g} m"
    x, y = (grid.x - base.x) / base.dx, (grid.y - base.y) / base.dy
    return f"shifted by ({x - round(x) + 0.0:.2g}, {y - round(y) + 0.0:.2g}) px"


# ------------------------------------------------------------------------------------------------------------------ CRS


def check_crs(grid: Grid, name: str) -> None:
    """Refuse the grid of a file that is not in metres of ground."""
    crs = as_pyproj(grid.crs)
    if crs is None:
        return
    centre = {"x": grid.x + grid.dx * grid.width / 2, "y": grid.y + grid.dy * grid.height / 2}
    try:
        check_metric(crs, xr.DataArray(0.0, coords=centre), "open_stack")
    except ValueError as error:
        raise ValueError(
            f"{error} The file is {name}; rio warp --dst-crs ... --resampling cubic reprojects it."
        ) from None


def as_pyproj(crs: CRS | None) -> pyproj.CRS | None:
    """CRS of rasterio as one of pyproj."""
    if crs is None:
        return None
    import pyproj

    return pyproj.CRS.from_wkt(crs.to_wkt())


def as_rasterio(crs: pyproj.CRS) -> CRS:
    """CRS of pyproj as one of rasterio."""
    from rasterio.crs import CRS

    code = crs.to_epsg()
    return CRS.from_wkt(crs.to_wkt()) if code is None else CRS.from_epsg(code)


def name_of(crs: CRS | None) -> str:
    """Name of a CRS, for messages."""
    proper = as_pyproj(crs)
    return "no CRS" if proper is None else proper.name
