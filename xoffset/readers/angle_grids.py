"""Grids of angles of sun and view in the metadata of a Sentinel-2 tile, laid on the grid of a stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xoffset.readers import xml
from xoffset.readers.grids import Grid
from xoffset.readers.sentinel2_metadata import BANDS

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

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
            views[int(element.get("detectorId") or 0)] = _grid(element, x, y, name)
    return TileAngles(_grid(sun, x, y, name), {number: _filled(grid) for number, grid in sorted(views.items())})


def _grid(element: Element, x: float, y: float, name: str) -> AngleGrid:
    values, steps = [], []
    for angle in ("Zenith", "Azimuth"):
        part = next(element.iter(angle), None)
        if part is None:
            raise _broken(f"a grid without {angle} in {name}")
        steps.append((_number(part, "COL_STEP", name), _number(part, "ROW_STEP", name)))
        try:
            values.append(np.array([(row.text or "").split() for row in part.iter("VALUES")], dtype=np.float64))
        except ValueError:
            raise _broken(f"rows of {angle} in {name} that are not of numbers, or not of one length") from None
    zenith, azimuth = values
    if zenith.shape != azimuth.shape or zenith.ndim != 2 or min(zenith.shape) < 2 or steps[0] != steps[1]:
        raise _broken(f"zeniths {zenith.shape} and azimuths {azimuth.shape} in {name}, {steps[0]} m apart")
    column_step, row_step = steps[0]
    return AngleGrid(x, y, column_step, -row_step, _directions(zenith, azimuth))


def _broken(got: str) -> ValueError:
    return ValueError(
        f"angles() needs grids of angles as the metadata of a tile has them; got {got}. Fetch the product again, or "
        "leave it out."
    )


def _number(element: Element, tag: str, name: str) -> float:
    text = xml.required(element, f".//{tag}", name)
    try:
        return float(text)
    except ValueError:
        raise _broken(f"{text!r} as {tag} in {name}") from None


def _directions(zenith: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    zenith, azimuth = np.deg2rad(zenith), np.deg2rad(azimuth)
    horizontal = np.sin(zenith)
    return np.stack([horizontal * np.sin(azimuth), horizontal * np.cos(azimuth), np.cos(zenith)], axis=-1)


def _filled(grid: AngleGrid) -> AngleGrid:
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
    filled = grid.directions[tuple(nearest)] + np.moveaxis(reach, 0, -1) @ slopes
    return AngleGrid(grid.x, grid.y, grid.dx, grid.dy, np.where(is_known[..., None], grid.directions, filled))


# -------------------------------------------------------------------------------------------------------------- laying


def angles_at(angles: TileAngles, detectors: np.ndarray, grid: Grid) -> dict[str, np.ndarray]:
    """Angles at each pixel of a grid, float32 (rows, columns) [degrees], NaN where unknown.

    Each pixel takes the grid of its own detector, and has no view where it has none, or one without a grid.
    """
    names = ("sun_azimuth", "sun_elevation", "view_azimuth", "view_zenith")
    out = {name: np.full((grid.height, grid.width), np.nan, dtype=np.float32) for name in names}
    for top in range(0, grid.height, _STRIP):
        rows = slice(top, min(top + _STRIP, grid.height))
        y, x = (values.ravel() for values in np.meshgrid(grid.y_centres[rows], grid.x_centres, indexing="ij"))
        numbers = detectors[rows].ravel()
        azimuth, zenith = _interpolated(angles.sun, x, y)
        out["sun_azimuth"][rows] = azimuth.reshape(-1, grid.width)
        out["sun_elevation"][rows] = (90.0 - zenith).reshape(-1, grid.width)
        azimuth, zenith = np.full(x.shape, np.nan), np.full(x.shape, np.nan)
        for number in np.intersect1d(numbers, list(angles.views)):
            here = np.flatnonzero(numbers == number)
            azimuth[here], zenith[here] = _interpolated(angles.views[int(number)], x[here], y[here])
        out["view_azimuth"][rows] = azimuth.reshape(-1, grid.width)
        out["view_zenith"][rows] = zenith.reshape(-1, grid.width)
    return out


def _interpolated(grid: AngleGrid, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth, 0 up to 360, and zenith [degrees] at places; of unit vectors, since azimuths begin anew at 360.

    NaN beyond the nodes.
    """
    at = np.stack([(y - grid.y) / grid.dy, (x - grid.x) / grid.dx])
    last = np.array(grid.directions.shape[:2]) - 1
    beyond = ((at < 0) | (at > last[:, None])).any(axis=0)
    first = np.clip(np.floor(at).astype(np.int64), 0, last[:, None] - 1)
    row, column = at - first
    top, left = first
    d = grid.directions
    vectors = [
        (1 - row) * ((1 - column) * d[top, left, k] + column * d[top, left + 1, k])
        + row * ((1 - column) * d[top + 1, left, k] + column * d[top + 1, left + 1, k])
        for k in range(3)
    ]
    azimuth = np.rad2deg(np.arctan2(vectors[0], vectors[1])) % 360.0
    zenith = np.rad2deg(np.arctan2(np.hypot(vectors[0], vectors[1]), vectors[2]))
    azimuth[beyond], zenith[beyond] = np.nan, np.nan
    return azimuth, zenith
