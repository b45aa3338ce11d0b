"""Grids of angles of sun and view in the metadata of a Sentinel-2 tile."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from xoffset._arrays.scenes import directions
from xoffset._arrays.scenes.angle_grids import AngleGrid, TileAngles, filled
from xoffset.readers import xml
from xoffset.readers.sentinel2.metadata import BANDS

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# Least and largest angles that there are [degrees]: another number says that there is none, or is damage.
_POSSIBLE = {"Zenith": (0.0, 180.0), "Azimuth": (-360.0, 360.0)}


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
    return AngleGrid(x, y, column_step, -row_step, directions.vectors(zenith, azimuth))


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
