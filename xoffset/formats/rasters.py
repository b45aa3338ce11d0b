"""Raster files of one pair, GeoTIFF or ENVI: bands with their grid, and files that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xoffset import _options
from xoffset.formats import border, writing
from xoffset.formats.border import Place
from xoffset.model import grids
from xoffset.readers import files

if TYPE_CHECKING:
    import pyproj


@dataclass(frozen=True, eq=False)
class Raster:
    """Bands of a file: values (band, y, x), NaN where the file declares none, by descriptions, units and grid.

    `pixel` are the steps of its columns toward increasing x and of its rows toward decreasing y, in metres: both are
    positive where rows run southward.
    """

    values: np.ndarray
    names: Sequence[str]
    units: Sequence[str]
    place: Place
    pixel: tuple[float, float]


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
    if not path.exists():
        raise FileNotFoundError(f"{caller}() needs a raster file; got {path}, where there is none. Check the path.")
    with opened(path, caller) as file:
        values = _values(file)
        names, units = ([text or "" for text in texts] for texts in (file.descriptions, file.units))
        transform, stated, shape = file.transform, file.crs, file.shape
        is_placed = files.is_georeferenced(files.header(str(path)))
    own = None if stated is None else _parsed(stated.to_wkt())
    if own is not None and crs is not None and not grids.agree(own, _parsed(crs)):
        raise ValueError(
            f"{caller}() needs no crs for {path.name}, which tells {grids.name_of(own)}; got {crs!r}. Leave it out."
        )
    known = own if own is not None or crs is None else _parsed(crs)
    place, pixel = _grid(transform if is_placed else None, shape, known, border.sides(pixel_size, caller), path, caller)
    return Raster(values, names, units, place, pixel)


@contextmanager
def opened(path: Path, caller: str) -> Iterator[Any]:
    """Opened file, also one without georeference, of which rasterio would warn.

    Raises
    ------
    OSError
        If it is no raster, or ends before its pixels do.
    """
    with _options.speaking_as(caller, "open_stack"):
        is_placed = files.is_georeferenced(files.header(str(path)))
        with files.opened(str(path), is_local=not is_placed) as file:
            n_bytes = file.width * file.height * sum(np.dtype(each).itemsize for each in file.dtypes)
            files.check_whole(str(path), files.driver_of(str(path)), n_bytes, files.state(str(path)))
            yield file


def _values(file: Any) -> np.ndarray:
    from rasterio.enums import MaskFlags

    values = file.read()
    numbers = values.astype(np.float64 if values.dtype.itemsize > 4 else np.float32)
    for band in range(file.count):
        fill = file.nodatavals[band]
        if fill is not None and not np.isnan(fill):
            numbers[band][values[band] == np.asarray(fill).astype(values.dtype)] = np.nan
        if MaskFlags.per_dataset in file.mask_flag_enums[band]:
            numbers[band][file.read_masks(band + 1) == 0] = np.nan
        if (file.scales[band], file.offsets[band]) != (1.0, 0.0):
            numbers[band] = numbers[band] * file.scales[band] + file.offsets[band]
    return np.asarray(numbers)


def _parsed(crs: Any) -> Any:
    import pyproj

    return pyproj.CRS.from_user_input(crs)


def _grid(
    transform: Any, shape: tuple[int, int], crs: Any, given: tuple[float, float] | None, path: Path, caller: str
) -> tuple[Place, tuple[float, float]]:
    rows, columns = (np.arange(size, dtype=np.float64) for size in shape)
    if transform is None or transform.is_identity:
        if given is None:
            raise ValueError(
                f"{caller}() needs the grid of {path.name}, which has no georeference; got no pixel_size. Pass the "
                "side of a pixel in metres, pixel_size=10.0, or give the file the georeference of the matched image."
            )
        return Place(given[0] * columns, -given[1] * rows, crs), given
    if transform.b or transform.d:
        raise ValueError(
            f"{caller}() needs a grid along its axes; got {path.name}, which is rotated. Warp it first: gdalwarp."
        )
    if given is not None and not np.allclose(given, (abs(transform.a), abs(transform.e)), rtol=1e-6):
        raise ValueError(
            f"{caller}() needs no pixel_size for {path.name}, whose pixels are {abs(transform.a):g} x "
            f"{abs(transform.e):g} m; got {given}. Leave it out."
        )
    x, y = transform.c + transform.a * (columns + 0.5), transform.f + transform.e * (rows + 0.5)
    return Place(x, y, crs), (transform.a, -transform.e)


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
    path: Path,
    bands: Mapping[str, np.ndarray],
    options: Mapping[str, Any],
    tags: Mapping[str, str],
    caller: str,
    *,
    units: str = "",
) -> None:
    """Write bands (y, x) of one type with their descriptions; NaN is the nodata of floats, 0 that of whole numbers."""
    import rasterio

    first = next(iter(bands.values()))
    is_float = first.dtype.kind == "f"
    packing = {"driver": "GTiff", "compress": "deflate", "predictor": 3 if is_float else 2, "tiled": True}
    about = packing | {"nodata": np.nan if is_float else 0} | dict(options)
    about = {name: value for name, value in about.items() if value is not None or name == "crs"}
    with writing.explained(path.parent, caller):
        with rasterio.open(path, "w", count=len(bands), dtype=first.dtype, **about) as file:
            for band, (name, values) in enumerate(bands.items(), start=1):
                file.write(values, band)
                if name:
                    file.set_band_description(band, name)
                if units:
                    file.set_band_unit(band, units)
            file.update_tags(**tags)
        # of a full disk GDAL does not always tell
        with opened(path, caller) as file:
            for band, values in enumerate(bands.values(), start=1):
                if not np.array_equal(file.read(band), values, equal_nan=True):
                    raise OSError(f"other values in {path.name} than were written")
