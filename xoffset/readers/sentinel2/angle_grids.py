"""Grids of angles of sun and view in the metadata of a Sentinel-2 tile, laid on the grid of a stack."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xoffset.readers import xml
from xoffset.readers.grids import Grid
from xoffset.readers.sentinel2.metadata import BANDS

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# Least and largest angles that there are [degrees]: another number says that there is none, or is damage.
_POSSIBLE = {"Zenith": (0.0, 180.0), "Azimuth": (-360.0, 360.0)}
# Rows of pixels whose angles are computed together.
_STRIP = 256


@dataclass(frozen=True)
class AngleGrid:
    """Directions at nodes, unit vectors (rows, columns, 3) along x, y and up, NaN where they are not told.

    `x`, `y` are the place of the first node [m], `dx`, `dy` the signed distances between nodes [m].
    """

    x: float
    y: float
    dx: float
    dy: float
    directions: np.ndarray


@dataclass(frozen=True)
class TileAngles:
    """Direction toward the sun, and toward the satellite by number of the detector, for one band."""

    sun: AngleGrid
    views: Mapping[int, AngleGrid]


# -------------------------------------------------------------------------------------------------------------- reading


def read_angles(root: Element, band: str, name: str) -> TileAngles:
    """Grids of angles of a band from the metadata of a tile; `name` is that of the file, for messages."""
    sun = next(root.iter("Sun_Angles_Grid"), None)
    corner = next(root.iter("Geoposition"), None)
    if sun is None or corner is None:
        missing = "Sun_Angles_Grid" if sun is None else "Geoposition"
        raise _broken(f"none in {name}, which lacks {missing}")
    x, y = (_number(corner, axis, name) for axis in ("ULX", "ULY"))
    views: dict[int, AngleGrid] = {}
    for element in root.iter("Viewing_Incidence_Angles_Grids"):
        if element.get("bandId") == str(BANDS.index(band)):
            number = re.fullmatch(r"D?(\d{1,2})", told := element.get("detectorId") or "")
            if number is None or int(number[1]) in views:
                raise _broken(f"{'two grids' if number else 'a grid'} of detector {told!r} in {name}")
            views[int(number[1])] = _grid(element, x, y, name)
    return TileAngles(_grid(sun, x, y, name), {number: filled(grid) for number, grid in sorted(views.items())})


def _grid(element: Element, x: float, y: float, name: str) -> AngleGrid:
    values, steps = [], []
    for angle in ("Zenith", "Azimuth"):
        part = next(element.iter(angle), None)
        if part is None:
            raise _broken(f"a grid without {angle} in {name}")
        steps.append((_number(part, "COL_STEP", name), _number(part, "ROW_STEP", name)))
        if not min(steps[-1]) > 0:
            raise _broken(f"nodes {steps[-1]} m apart in {name}")
        try:
            values.append(np.array([(row.text or "").split() for row in part.iter("VALUES")], dtype=np.float64))
        except ValueError:
            raise _broken(f"rows of {angle} in {name} that are not of numbers, or not of one length") from None
        values[-1][np.isinf(values[-1])] = np.nan
        low, high = _POSSIBLE[angle]
        if np.any((values[-1] < low) | (values[-1] > high)):
            raise _broken(f"{angle} of {np.nanmin(values[-1]):g} to {np.nanmax(values[-1]):g} degrees in {name}")
    zenith, azimuth = values
    if zenith.shape != azimuth.shape or zenith.ndim != 2 or min(zenith.shape) < 2 or steps[0] != steps[1]:
        raise _broken(f"zeniths {zenith.shape} and azimuths {azimuth.shape} in {name}, {steps[0]} m apart")
    column_step, row_step = steps[0]
    return AngleGrid(x, y, column_step, -row_step, directions(zenith, azimuth))


def _broken(got: str) -> ValueError:
    return ValueError(
        f"open_stack() needs grids of angles as the metadata of a tile has them; got {got}. Fetch the product again, "
        "or leave it out."
    )


def _number(element: Element, tag: str, name: str) -> float:
    text = xml.required(element, f".//{tag}", name)
    try:
        return float(text)
    except ValueError:
        raise _broken(f"{text!r} as {tag} in {name}") from None


def directions(zenith: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3) along x, y and up of angles [degrees]."""
    zenith, azimuth = np.deg2rad(zenith), np.deg2rad(azimuth)
    horizontal = np.sin(zenith)
    return np.stack([horizontal * np.sin(azimuth), horizontal * np.cos(azimuth), np.cos(zenith)], axis=-1)


def filled(grid: AngleGrid) -> AngleGrid:
    """Grid whose nodes without a direction have that of the nearest node that has one.

    Beside it, it is carried on by one node along the plane of all nodes, so that pixels between the last node of a
    detector and its edge go on as they do inside.
    """
    from scipy.ndimage import distance_transform_edt

    is_known = np.isfinite(grid.directions).all(axis=-1)
    if is_known.all() or not is_known.any():
        return grid
    nodes = np.indices(is_known.shape)
    nearest = distance_transform_edt(~is_known, return_distances=False, return_indices=True)
    known = nodes[:, is_known].T
    centred = known - known.mean(axis=0)
    values = grid.directions[is_known]
    slopes = np.linalg.lstsq(centred, values - values.mean(axis=0), rcond=None)[0]
    reach = np.clip(nodes - nearest, -1, 1)
    carried = grid.directions[tuple(nearest)] + np.moveaxis(reach, 0, -1) @ slopes
    return AngleGrid(grid.x, grid.y, grid.dx, grid.dy, np.where(is_known[..., None], grid.directions, carried))


# -------------------------------------------------------------------------------------------------------------- laying


def angles_at(angles: TileAngles, detectors: np.ndarray, grid: Grid) -> dict[str, np.ndarray]:
    """Angles at each pixel of a grid, float32 (rows, columns) [degrees], NaN where unknown.

    Each pixel takes the grid of its own detector, and has no view where it has none, or one without a grid.
    """
    names = ("sun_azimuth", "sun_elevation", "view_azimuth", "view_zenith")
    out = {name: np.full((grid.height, grid.width), np.nan, dtype=np.float32) for name in names}
    for top in range(0, grid.height, _STRIP):
        rows = slice(top, min(top + _STRIP, grid.height))
        y, numbers = grid.y_centres[rows], detectors[rows]
        azimuth, zenith = _interpolated(angles.sun, y, grid.x_centres)
        out["sun_azimuth"][rows], out["sun_elevation"][rows] = azimuth, 90.0 - zenith
        for number in np.intersect1d(numbers, list(angles.views)):
            is_seen = numbers == number
            seen_columns = np.flatnonzero(is_seen.any(axis=0))
            columns = slice(seen_columns[0], seen_columns[-1] + 1)
            azimuth, zenith = _interpolated(angles.views[int(number)], y, grid.x_centres[columns])
            for name, values in (("view_azimuth", azimuth), ("view_zenith", zenith)):
                np.copyto(out[name][rows, columns], values, where=is_seen[:, columns], casting="same_kind")
    return out


def _interpolated(grid: AngleGrid, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth, 0 up to 360, and zenith [degrees] at rows and columns of pixels, (rows, columns), NaN beyond the nodes.

    They are those of interpolated unit vectors, since azimuths begin anew at 360.
    """
    top, row, is_row = _between(y, grid.y, grid.dy, grid.directions.shape[0])
    left, column, is_column = _between(x, grid.x, grid.dx, grid.directions.shape[1])
    row = row[:, np.newaxis]
    vectors = []
    for nodes in np.moveaxis(grid.directions, -1, 0):
        along = (1 - column) * nodes[:, left] + column * nodes[:, left + 1]
        vectors.append((1 - row) * along[top] + row * along[top + 1])
    azimuth = np.rad2deg(np.arctan2(vectors[0], vectors[1]))
    azimuth[azimuth < 0] += 360.0
    zenith = np.rad2deg(np.arctan2(np.sqrt(vectors[0] ** 2 + vectors[1] ** 2), vectors[2]))
    for values in (azimuth, zenith):
        values[~is_row], values[:, ~is_column] = np.nan, np.nan
    return azimuth, zenith


def _between(places: np.ndarray, start: float, step: float, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Node before each place, the share of the way from it to the next, and whether the place lies among the nodes."""
    at = (places - start) / step
    first = np.clip(np.floor(at).astype(np.int64), 0, count - 2)
    return first, at - first, (at >= 0) & (at <= count - 1)
