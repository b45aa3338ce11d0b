"""How the rows and columns of a file lie on the image that it shows: orientation tags, and rows of netCDF files."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import xarray as xr

from xoffset.model import units
from xoffset.readers import files, tiff
from xoffset.readers.grids import Window

# Orientation of TIFF and EXIF: whether the image as shown has the stored columns as rows, and whether, after that, its
# rows and its columns run backwards.
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
UPRIGHT, UPSIDE_DOWN = 1, 4

_TAG = 274

_SUBDATASET = re.compile(r'NETCDF:"?(.+?)"?:[^:]+')
_TRANSPOSED = (("x", "y"), ("lon", "lat"), ("longitude", "latitude"), ("easting", "northing"), ("col", "row"))
# Names of axes, and of what they are by the conventions of netCDF.
_ANGLES = ("lat", "lon", "latitude", "longitude")
_LENGTHS = ("x", "y", "projection_x_coordinate", "projection_y_coordinate")


def is_swapped(orientation: int) -> bool:
    """Whether the image as shown has the stored columns as rows."""
    return _TURNS[orientation][0]


def stored_window(window: Window, shape: tuple[int, int], orientation: int) -> Window:
    """Window of the stored pixels that holds a window of the image as shown, whose shape (y, x) is given."""
    swap, *backwards = _TURNS[orientation]
    rows, columns = (
        slice(size - side.stop, size - side.start) if is_back else side
        for side, size, is_back in zip(window, shape, backwards, strict=True)
    )
    return (columns, rows) if swap else (rows, columns)


def turned(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels (y, x) of a window as they are shown."""
    swap, rows, columns = _TURNS[orientation]
    shown = stored.T if swap else stored
    return shown[:: -1 if rows else 1, :: -1 if columns else 1]


# ----------------------------------------------------------------------------------------------------------------- tags


def tagged(path: str, driver: str, tags: Mapping[str, str]) -> int:
    """Orientation that a file declares; upright if it declares none."""
    found: int | None = None
    if driver in ("GTiff", "PNG", "WEBP") and Path(path).is_file():
        with Path(path).open("rb") as stream:
            start = {"GTiff": _tiff, "PNG": _exif_of_png, "WEBP": _exif_of_webp}[driver](stream)
            try:
                found = None if start is None else tiff.fields(stream, start, {_TAG}).get(_TAG, (None,))[0]
            except struct.error:  # cut short; the pixels will tell
                found = None
    elif driver != "GTiff" and tags.get("EXIF_Orientation", "").strip().isdigit():
        found = int(tags["EXIF_Orientation"])
    return found if found in _TURNS else UPRIGHT


def _tiff(_stream: BinaryIO) -> int:
    return 0


def _exif_of_png(stream: BinaryIO) -> int | None:
    """Place of the EXIF data of a PNG file."""
    stream.seek(8)
    while len(start := stream.read(8)) == 8:
        size, name = struct.unpack(">I4s", start)
        if name == b"eXIf":
            return stream.tell()
        stream.seek(size + 4, 1)
    return None


def _exif_of_webp(stream: BinaryIO) -> int | None:
    """Place of the EXIF data of a WebP file."""
    stream.seek(12)
    while len(start := stream.read(8)) == 8:
        name, size = struct.unpack("<4sI", start)
        if name == b"EXIF":
            place = stream.tell()
            return place + 6 if stream.read(6) == b"Exif\0\0" else place
        stream.seek(size + size % 2, 1)
    return None


# --------------------------------------------------------------------------------------------------------------- netCDF


def of_rows(path: str, pixel_size: float) -> int:
    """Orientation of an array file without georeference, from its coordinates x and y.

    Rows of arrays run either way, unlike those of photographs: only the coordinates tell.
    """
    steps = {}
    stated = set()
    for name in "xy":
        values, unit = _axis(path, name)
        stated.add(unit)
        if values is not None and values.size > 1:
            steps[name] = float(values[-1] - values[0]) / (values.size - 1)
            if not np.abs(np.diff(values) - steps[name]).max() <= 1e-3 * abs(steps[name]):
                steps[name] = np.nan
    are_metres = all(map(_is_metre, stated))
    if (
        len(steps) == 2
        and are_metres
        and steps["x"] > 0
        and all(abs(abs(step) / pixel_size - 1) < 1e-3 for step in steps.values())
    ):
        return UPRIGHT if steps["y"] < 0 else UPSIDE_DOWN
    told = "no coordinates x and y"
    if len(steps) == 2:
        told = f"x and y in steps of {steps['x']:g} and {steps['y']:g} {' and '.join(sorted(stated))}".strip()
    raise ValueError(
        f"open_stack() needs to know whether rows run north or south; got {Path(path).name} without georeference and "
        f"with {told} for pixel_size={pixel_size:g}. Open it with xarray and write it with a georeference: "
        "data.rio.write_crs('EPSG:...').rio.write_transform().to_netcdf(...)."
    )


def _is_metre(unit: str) -> bool:
    """Whether an axis is in metres, as one is that states no unit."""
    return not unit or units.factor(unit, "m") == 1.0


def check_axes(name: str, tags: Mapping[str, str], *, has_crs: bool) -> None:
    """Refuse an array file whose axes are not in metres: of these GDAL makes a georeference without a unit."""
    names = dict.fromkeys(key.split("#")[0] for key in tags if "#" in key)
    meanings = {axis: {axis, tags.get(f"{axis}#standard_name", "")} for axis in names}
    lengths = [axis for axis in names if meanings[axis] & set(_LENGTHS)]
    # latitudes and longitudes of all pixels may lie beside the axes
    angles = [] if lengths or has_crs else [axis for axis in names if meanings[axis] & set(_ANGLES)]
    for axis in lengths + angles:
        unit = tags.get(f"{axis}#units", "degrees" if axis in angles else "").strip()
        if not _is_metre(unit):
            raise ValueError(
                f"open_stack() needs axes in metres; got '{axis}' of {name} in {unit}. Open it with xarray, convert "
                "or reproject it, and write it with a georeference: "
                "data.rio.write_crs('EPSG:...').rio.write_transform().to_netcdf(...)."
            )


def check_order(path: str, variable: str) -> None:
    """Refuse an array file whose rows run along x: GDAL takes the last dim for x, whatever its name is."""
    subdataset = _SUBDATASET.fullmatch(path)
    try:
        with xr.open_dataset(subdataset[1] if subdataset else path, decode_cf=False, chunks=None) as found:
            dims = tuple(map(str, found[variable].dims))
    except (ImportError, ValueError, OSError, KeyError):  # no library for this format, or no such variable
        return
    if dims[-2:] in _TRANSPOSED:
        raise ValueError(
            f"open_stack() needs images (y, x); got '{variable}' of {Path(path).name} with dims {dims}. Turn it with "
            f"xarray: data.transpose(..., {dims[-1]!r}, {dims[-2]!r}).to_netcdf(...)."
        )


def _axis(path: str, name: str) -> tuple[np.ndarray | None, str]:
    """Values of a coordinate of a netCDF file as it is stored, None if it has none, and their unit."""
    subdataset = _SUBDATASET.fullmatch(path)
    try:
        with files.opened(f'NETCDF:"{subdataset[1] if subdataset else path}":{name}', is_local=True) as dataset:
            unit = dataset.tags().get(f"{name}#units", "")
            return np.asarray(dataset.read(1), dtype=np.float64).ravel(), unit.strip()
    except OSError:
        return None, ""
