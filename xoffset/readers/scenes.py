"""Scenes: what is known of an image beside its pixels, and which of many scenes make one stack."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from xoffset.readers.grids import Bounds, Grid, Window

if TYPE_CHECKING:
    from rasterio.crs import CRS

_TILE = re.compile(r"T?(\d{2}[C-X][A-Z]{2}|\d{6})")


@dataclass(frozen=True)
class Scene:
    """One image: its name, its date [UTC], and what its name or its metadata say of the acquisition.

    Angles are in degrees, azimuths clockwise from true north, toward the sun or the satellite;
    those of the view are means over the scene for the band that was asked for. Reflectance is
    (value + radiometric_offset) / quantification.
    """

    name: str
    date: np.datetime64
    platform: str | None = None  # "S2A", "LC08"
    relative_orbit: int | None = None  # of Landsat the path
    tile: str | None = None  # "31TGK", of Landsat path and row "063018"
    level: str | None = None  # "L1C"
    band: str | None = None
    geometry: str | None = None  # class of processing geometry
    processed: np.datetime64 | None = None  # when the product was made: of two of one acquisition the later one counts
    strip_start: np.datetime64 | None = None  # of the data strip: a tile may lie in two of one pass
    sun_azimuth: float | None = None
    sun_elevation: float | None = None
    view_azimuth: float | None = None
    view_zenith: float | None = None
    radiometric_offset: float | None = None
    quantification: float | None = None
    native_pixel_size: float | None = None  # [m], of an image that was resampled before from pixels of another size
    has_gaps: bool = False  # lines without pixels: Landsat 7 since its scan line corrector failed


class Image(Protocol):
    """Pixels of one date: a raster file, a part of an array, or several of them side by side."""

    @property
    def name(self) -> str:
        """Name for messages."""

    @property
    def grid(self) -> Grid:
        """Where the pixels lie."""

    @property
    def result_dtype(self) -> np.dtype:
        """Type that holds every value and NaN."""

    @property
    def is_local(self) -> bool:
        """Whether it has no georeference, so that all images must have one size."""

    @property
    def strip(self) -> int:
        """Rows that are best read together, over the whole width; 0 if windows of any shape will do."""

    def read(self, window: Window) -> np.ndarray:
        """Pixels of a window (rows, columns) as floats, NaN where they do not count; safe to call from threads."""


def floats_for(dtype: np.dtype) -> np.dtype:
    """Type of floats that holds every value of a type, and NaN."""
    is_small = dtype.itemsize <= (4 if dtype.kind == "f" else 2)
    return np.dtype(np.float32 if is_small else np.float64)


@dataclass(frozen=True)
class Layer:
    """The image of a scene in one band."""

    scene: Scene
    image: Image


class Classes(NamedTuple):
    """Classes of the pixels of a grid (rows, columns), the value of each by name, and the CRS that they come from.

    Bits may be set together.
    """

    values: np.ndarray
    names: dict[str, int]
    are_bits: bool
    crs: CRS | None


class Contents(NamedTuple):
    """What a product holds, as its metadata and the list of its files tell.

    `bands` has the side of the pixels of each [m], None where it is not told. Of the `missing` bands there is no image.
    `clouds` is their share of the scene [%]; `extent` are name of the CRS and left, bottom, right and top edge.
    """

    bands: dict[str, float | None]
    missing: tuple[str, ...] = ()
    clouds: float | None = None
    extent: tuple[str, Bounds] | None = None


def percent(text: object) -> float | None:
    """Share of clouds [%] as metadata have it; None of what is none, such as -1 for "not assessed"."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if 0.0 <= value <= 100.0 else None


class Product(Protocol):
    """A scene as it is delivered: a folder, an archive or a store with metadata, bands and layers of quality.

    Opening one reads metadata only. Every method takes the name of a band as the user gives it.
    """

    @property
    def place(self) -> str:
        """Path or address, for messages."""

    @property
    def scenes(self) -> Sequence[Scene]:
        """What is known of its acquisitions without a band, of most products of one."""

    @property
    def contents(self) -> Contents:
        """Its bands, those that are missing, and the share of clouds."""

    def layers(self, band: int | str | None, nodata: float | None) -> list[Layer]:
        """Images of a band, one a date and tile; the error for an unknown band lists those that there are."""

    def detectors(self, band: str | None, grid: Grid) -> np.ndarray:
        """Number of the detector that saw each pixel of a grid, uint8 (rows, columns), 0 where none did."""

    def angles(self, band: str | None, grid: Grid) -> dict[str, np.ndarray]:
        """Angles of sun and view at each pixel of a grid, float32 (rows, columns) [degrees], NaN where unknown.

        Named sun_azimuth, sun_elevation, view_azimuth and view_zenith.
        """

    def class_layer(self, grid: Grid) -> Classes:
        """Classes of each pixel of a grid as the product has them, by position, in whatever CRS the grid is."""


class NoSuchTile(ValueError):
    """A place has none of the tiles wanted, which another place may have."""


class Format(Protocol):
    """What a reader of products answers: a module with these two functions."""

    def is_product(self, place: str) -> bool:
        """Whether a path or address is such a product; quick, and never an error."""

    def open_product(self, place: str, tile: Sequence[str] | None) -> list[Product]:
        """The products in a place, one a tile: all of them, or those of the tiles wanted."""


def as_tiles(tile: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """Names of tiles as scenes have them: "31TGK" for T31TGK, or path and row of Landsat as "063018"."""
    if tile is None:
        return None
    names = (tile,) if isinstance(tile, str) or not isinstance(tile, Iterable) else tuple(tile)
    found = [_TILE.fullmatch(name.upper()) if isinstance(name, str) else None for name in names]
    if not names or None in found:
        raise ValueError(
            f"open_stack() needs tile= as the name of a tile or several; got {tile!r}. Pass one such as tile='31TGK', "
            "or path and row of Landsat, tile='063018'."
        )
    return tuple(dict.fromkeys(match[1] for match in found if match))


def refuse_tiles(tile: Sequence[str] | None, kind: str, place: str) -> None:
    """Refuse tiles wanted of products that have none."""
    if tile is not None:
        raise ValueError(
            f"open_stack() needs no tile= for {kind}, which have none; got {', '.join(tile)} for {place}. Leave it out."
        )


_TEXT, _COUNT, _NUMBER = np.dtype(object), np.dtype(np.int64), np.dtype(np.float64)
_REFLECTANCE = "reflectance is (value + radiometric_offset) / quantification"
# What of a scene becomes a coordinate on time, where all scenes tell it: its type, what it is, and its unit.
COORDINATES = {
    "scene": (_TEXT, "name of the product or file", ""),
    "platform": (_TEXT, "satellite, or instrument", ""),
    "geometry": (_TEXT, "class of processing geometry", ""),
    "tile": (_TEXT, "tile, of Landsat path and row", ""),
    "level": (_TEXT, "level of processing", ""),
    "relative_orbit": (_COUNT, "relative orbit, of Landsat the path", ""),
    "sun_azimuth": (_NUMBER, "mean direction toward the sun, clockwise from true north", "degree"),
    "sun_elevation": (_NUMBER, "mean height of the sun above the horizon", "degree"),
    "view_azimuth": (_NUMBER, "mean direction toward the satellite, clockwise from true north", "degree"),
    "view_zenith": (_NUMBER, "mean angle of the view from the vertical", "degree"),
    "radiometric_offset": (_NUMBER, f"offset of the values: {_REFLECTANCE}", ""),
    "quantification": (_NUMBER, f"divisor of the values: {_REFLECTANCE}", ""),
}


def coordinate(name: str, values: ArrayLike) -> xr.Variable:
    """A coordinate on time with its labels."""
    dtype, long_name, units = COORDINATES[name]
    return xr.Variable(
        "time", np.asarray(values, dtype), {"long_name": long_name} | ({"units": units} if units else {})
    )


def coordinates(scenes: Sequence[Scene]) -> dict[str, xr.Variable]:
    """Coordinates on time that all scenes tell."""
    told = {name: [getattr(scene, "name" if name == "scene" else name) for scene in scenes] for name in COORDINATES}
    return {name: coordinate(name, values) for name, values in told.items() if None not in values}


def gaps(scenes: Sequence[Scene]) -> dict[str, str]:
    """Attribute that names the scenes with gaps of a failed scan line corrector; none if there are none."""
    names = ", ".join(scene.name for scene in scenes if scene.has_gaps)
    return {"slc_off": names} if names else {}
