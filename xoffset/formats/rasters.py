"""Raster files of one pair, GeoTIFF or ENVI: bands with their grid, and files that hold them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xoffset import _options
from xoffset.formats import writing
from xoffset.formats.border import Place
from xoffset.model import grids

if TYPE_CHECKING:
    import pyproj


@dataclass(frozen=True, eq=False)
class Raster:
    """Bands of a file: values (band, y, x), NaN where the file declares none, by their descriptions and grid.

    `pixel` are the sides of its pixels along x and y in metres. `is_whole` tells that they are stored as whole numbers.
    """

    values: np.ndarray
    names: Sequence[str]
    place: Place
    pixel: tuple[float, float]
    is_whole: bool


def read(
    path: Path,
    caller: str,
    *,
    pixel_size: float | tuple[float, float] | None = None,
    crs: str | int | pyproj.CRS | None = None,
) -> Raster:
    """Bands of a raster file with their grid, from the file or, where it has none, from the size of its pixels.

    Without a georeference, coordinates are metres from the centre of the first pixel, with y decreasing downwards.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If it is no raster, or damaged.
    ValueError
        If the grid is rotated, or neither the file nor the caller tells it, or both do.
    """
    import rasterio

    if not path.exists():
        raise FileNotFoundError(f"{caller}() needs a raster file; got {path}, where there is none. Check the path.")
    try:
        with rasterio.open(path) as file:
            values, names, is_whole = _values(file), [name or "" for name in file.descriptions], _is_whole(file)
            transform, stated, shape = file.transform, file.crs, file.shape
    except rasterio.errors.RasterioError as error:
        raise OSError(f"{caller}() needs a whole raster file; got {path}, of which GDAL says: {error}.") from error
    own = None if stated is None else _parsed(stated.to_wkt())
    if own is not None and crs is not None and not grids.agree(own, _parsed(crs)):
        raise ValueError(
            f"{caller}() needs no crs for {path.name}, which tells {grids.name_of(own)}; got {crs!r}. Leave it out."
        )
    known = own if own is not None or crs is None else _parsed(crs)
    place, pixel = _grid(transform, shape, known, _sizes(pixel_size, caller), path, caller)
    return Raster(values, names, place, pixel, is_whole)


def _values(file: Any) -> np.ndarray:
    values = file.read()
    numbers = values.astype(np.float64 if values.dtype.itemsize > 4 else np.float32)
    for band in range(file.count):
        fill = file.nodatavals[band]
        if fill is not None and not np.isnan(fill):
            numbers[band][values[band] == np.asarray(fill).astype(values.dtype)] = np.nan
        if (file.scales[band], file.offsets[band]) != (1.0, 0.0):
            numbers[band] = numbers[band] * file.scales[band] + file.offsets[band]
    return np.asarray(numbers)


def _is_whole(file: Any) -> bool:
    return all(np.dtype(each).kind in "iu" for each in file.dtypes)


def _parsed(crs: Any) -> Any:
    import pyproj

    return pyproj.CRS.from_user_input(crs)


def _sizes(pixel_size: Any, caller: str) -> tuple[float, float] | None:
    if pixel_size is None:
        return None
    both = tuple(pixel_size) if isinstance(pixel_size, (tuple, list)) else (pixel_size, pixel_size)
    if len(both) != 2:
        raise ValueError(f"{caller}() needs one pixel_size, or one along x and one along y; got {pixel_size!r}.")
    x, y = (_options.as_positive(each, "pixel_size", caller, unit="m", example=10.0) for each in both)
    return x, y


def _grid(
    transform: Any, shape: tuple[int, int], crs: Any, given: tuple[float, float] | None, path: Path, caller: str
) -> tuple[Place, tuple[float, float]]:
    if transform.b or transform.d:
        raise ValueError(
            f"{caller}() needs a grid along its axes; got {path.name}, which is rotated. Warp it first: gdalwarp."
        )
    rows, columns = (np.arange(size, dtype=np.float64) for size in shape)
    if transform.is_identity or (transform.a, abs(transform.e), crs) == (1.0, 1.0, None):  # no georeference
        if given is None:
            raise ValueError(
                f"{caller}() needs the grid of {path.name}, which has no georeference; got no pixel_size. Pass the side "
                "of a pixel in metres, pixel_size=10.0, or write the georeference of the matched image into the file."
            )
        return Place(given[0] * columns, -given[1] * rows, crs), given
    if given is not None and not np.allclose(given, (abs(transform.a), abs(transform.e)), rtol=1e-6):
        raise ValueError(
            f"{caller}() needs no pixel_size for {path.name}, whose pixels are {abs(transform.a):g} x "
            f"{abs(transform.e):g} m; got {given}. Leave it out."
        )
    x, y = transform.c + transform.a * (columns + 0.5), transform.f + transform.e * (rows + 0.5)
    return Place(x, y, crs), (abs(transform.a), abs(transform.e))


# ------------------------------------------------------------------------------------------------------------- writing


def profile(place: Place, step: grids.Spacing) -> dict[str, Any]:
    """Options of a file on a grid from north to south."""
    from rasterio.crs import CRS
    from rasterio.transform import Affine

    corner = float(place.x[0]) - step.x / 2, float(place.y[0]) - step.y / 2
    return {
        "height": place.y.size, "width": place.x.size,
        "transform": Affine(step.x, 0.0, corner[0], 0.0, step.y, corner[1]),
        "crs": None if place.crs is None else CRS.from_wkt(place.crs.to_wkt()),
    }  # fmt: skip


def write(
    path: Path, bands: Mapping[str, np.ndarray], options: Mapping[str, Any], tags: Mapping[str, str], caller: str
) -> None:
    """Write bands (y, x) of one type with their descriptions; NaN is the nodata of floats, 0 that of whole numbers."""
    import rasterio

    first = next(iter(bands.values()))
    is_float = first.dtype.kind == "f"
    packing = {"driver": "GTiff", "compress": "deflate", "predictor": 3 if is_float else 2, "tiled": True}
    about = packing | {"nodata": np.nan if is_float else 0} | dict(options)
    about = {name: value for name, value in about.items() if value is not None or name == "crs"}
    with (
        writing.explained(path.parent, caller),
        rasterio.open(path, "w", count=len(bands), dtype=first.dtype, **about) as file,
    ):
        for band, (name, values) in enumerate(bands.items(), start=1):
            file.write(values, band)
            if name:
                file.set_band_description(band, name)
        file.update_tags(**tags)


def names_of(paths: Sequence[str | os.PathLike[str]]) -> str:
    """Names of files for an error, without where they lie."""
    return ", ".join(Path(each).name for each in paths)
