"""Grids of MintPy's files: attributes that tell them, and the place from which MintPy counts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xoffset import _options
from xoffset.formats.border import Place
from xoffset.formats.names import SYSTEMS
from xoffset.model import grids

# With this processor MintPy takes offsets for metres of the map; with all others for pixels of radar images.
IN_METRES = "cosicorr"


def place(attrs: Mapping[str, str], path: Path, caller: str) -> Place:
    """Grid that the attributes tell: the corner of the first pixel, steps and size."""
    lacking = [name for name in ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP", "LENGTH", "WIDTH") if name not in attrs]
    processor = attrs.get("PROCESSOR", IN_METRES)
    if lacking or processor != IN_METRES:
        got = f"none of {', '.join(lacking)}" if lacking else f"PROCESSOR {processor}, which counts radar pixels,"
        raise ValueError(
            f"{caller}() needs offsets along the axes of a map, in metres; got {got} in {path}. Geocode the stack and "
            "turn range and azimuth into east and north first."
        )
    x, y = (
        float(attrs[f"{axis}_FIRST"]) + float(attrs[f"{axis}_STEP"]) * (np.arange(int(attrs[size])) + 0.5)
        for axis, size in (("X", "WIDTH"), ("Y", "LENGTH"))
    )
    return Place(x, y, _crs(attrs))


def _crs(attrs: Mapping[str, str]) -> Any:
    """CRS of the code, the text that `write` leaves where there is no code, or the UTM zone; None if none tells."""
    import pyproj

    if "CRS_WKT" in attrs:
        return pyproj.CRS.from_wkt(attrs["CRS_WKT"])
    if "EPSG" in attrs:
        return pyproj.CRS.from_epsg(int(attrs["EPSG"]))
    if attrs.get("X_UNIT", "").startswith("deg"):
        return pyproj.CRS.from_epsg(4326)
    zone = attrs.get("UTM_ZONE", "")
    if zone[:-1].isdecimal():  # a number and the letter N or S
        return pyproj.CRS.from_epsg((32600 if zone[-1] == "N" else 32700) + int(zone[:-1]))
    return None


def georeference(place: Place, step: grids.Spacing) -> dict[str, str]:
    """What MintPy wants to know of the grid, as texts; LAT and LON are northing and easting, as its loader has them."""
    west, north = float(place.x[0]) - step.x / 2, float(place.y[0]) - step.y / 2
    east, south = float(place.x[-1]) + step.x / 2, float(place.y[-1]) + step.y / 2
    attrs: dict[str, Any] = {
        "PROCESSOR": IN_METRES, "LENGTH": place.y.size, "WIDTH": place.x.size, "UNIT": "m",
        "X_FIRST": repr(west), "Y_FIRST": repr(north), "X_STEP": repr(float(step.x)), "Y_STEP": repr(float(step.y)),
        "X_UNIT": "meters", "Y_UNIT": "meters", "RANGE_PIXEL_SIZE": step.x, "AZIMUTH_PIXEL_SIZE": abs(step.y),
        "RLOOKS": 1, "ALOOKS": 1, "P_BASELINE_TOP_HDR": 0, "P_BASELINE_BOTTOM_HDR": 0, "CENTER_LINE_UTC": 0,
        "LAT_REF1": south, "LAT_REF2": south, "LAT_REF3": north, "LAT_REF4": north,
        "LON_REF1": west, "LON_REF2": east, "LON_REF3": west, "LON_REF4": east,
    }  # fmt: skip
    if place.crs is not None:
        code = place.crs.to_epsg()
        attrs |= {"CRS_WKT": place.crs.to_wkt()} if code is None else {"EPSG": code}
        if place.crs.utm_zone:
            attrs["UTM_ZONE"] = place.crs.utm_zone
    return {name: str(value) for name, value in attrs.items()}


def nodata(attrs: Mapping[str, str]) -> tuple[float, ...]:
    """Numbers that stand for no value: those of the table, and the one that a file declares."""
    told = attrs.get("NO_DATA_VALUE", "none")
    return (*SYSTEMS["mintpy"].nodata, *([] if told.lower() in ("none", "auto") else [float(told)]))


def wanted_pixel(
    place: Place, step: grids.Spacing, stable: tuple[float, float] | None, caller: str
) -> tuple[int, int] | None:
    """Row and column of the place that does not move, if one was given."""
    if stable is None:
        return None
    if not (isinstance(stable, (tuple, list)) and len(stable) == 2 and all(map(_options.is_number, stable))):
        raise ValueError(f"{caller}() needs x and y in metres as stable; got {stable!r}. Pass (503200.0, 5170800.0).")
    column = round((stable[0] - float(place.x[0])) / step.x)
    row = round((stable[1] - float(place.y[0])) / step.y)
    if not (0 <= row < place.y.size and 0 <= column < place.x.size):
        raise ValueError(
            f"{caller}() needs a stable place within the grid; got {tuple(stable)} outside x {place.x.min():g} to "
            f"{place.x.max():g}, y {place.y.min():g} to {place.y.max():g}. Pass coordinates of its CRS."
        )
    return row, column


def reference_pixel(place: Place, pixel: tuple[int, int]) -> dict[str, str]:
    """Attributes of the pixel whose value MintPy subtracts."""
    row, column = pixel
    attrs = {"REF_Y": row, "REF_X": column, "REF_LAT": place.y[row], "REF_LON": place.x[column]}
    return {name: str(value) for name, value in attrs.items()}
