"""Orthoimages of Pléiades and SPOT 6/7 as they are delivered: DIMAP 2 in a folder or archive, one document an image.

GDAL reads the tiles of an image as one raster through its document.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from xoffset.model.dates import as_instant
from xoffset.readers import archives, indirection, mean_angles, pixels, xml
from xoffset.readers.archives import Tree
from xoffset.readers.grids import Grid
from xoffset.readers.scenes import Classes, Contents, Layer, Product, Scene, percent, refuse_tiles

_DOCUMENT = re.compile(r"(?!\.)(?:.*/)?DIM_[^/]*\.XML", re.IGNORECASE)
_VOLUME = re.compile(r"VOL_.*\.XML", re.IGNORECASE)
# Names that all sensors share, and those of Pléiades and SPOT, then of Pléiades Neo.
_COMMON = {
    "pan": ("P",),
    "blue": ("B0", "B"),
    "green": ("B1", "G"),
    "red": ("B2", "R"),
    "nir": ("B3", "NIR"),
    "nir08": ("B3", "NIR"),
    "rededge1": ("RE",),
    "coastal": ("DB",),
}
_CHANNELS = ("RED_CHANNEL", "GREEN_CHANNEL", "BLUE_CHANNEL", "ALPHA_CHANNEL")
# Images of one pass, panchromatic and in colour, are taken within this time of each other.
_SAME = np.timedelta64(1, "s")


def is_product(place: str) -> bool:
    """Whether a path is a DIMAP document, the folder of one or of a delivery, or an archive with one."""
    if "://" in place:
        return False
    path = Path(place).expanduser()
    try:
        if path.is_dir():
            names = [each.name for each in path.iterdir()]
            is_delivery = any(map(_VOLUME.fullmatch, names))
            # images lie in the folder of a product, or in products of a delivery
            inside = (next(path.glob(f"{level}[Dd][Ii][Mm]_*"), None) for level in ("*/", "*/*/"))
            return any(map(_DOCUMENT.fullmatch, names)) or (is_delivery and any(inside))
    except OSError:
        return False
    if not archives.kind_of(place):
        return bool(_DOCUMENT.fullmatch(path.name) or _VOLUME.fullmatch(path.name)) and path.is_file()
    return any(map(_DOCUMENT.fullmatch, archives.first_names(place)))


def open_product(place: str, tile: Sequence[str] | None) -> list[Product]:
    """The acquisitions in a place: one for the panchromatic and the colour image of a pass."""
    refuse_tiles(tile, "DIMAP products", place)
    path = Path(place).expanduser()
    is_document = path.is_file() and not archives.kind_of(place)
    tree = archives.open_tree(str(path.parent) if is_document else place)
    if is_document and _DOCUMENT.fullmatch(path.name):
        names = [path.name]
    else:
        names = [name for name in tree.names if _DOCUMENT.fullmatch(name)]
    documents = [_open(tree, name) for name in names]
    groups: list[list[_Document]] = []
    for document in sorted(documents, key=lambda each: each.time):
        last = groups[-1][0] if groups else None
        if last and last.platform == document.platform and document.time - last.time < _SAME:
            groups[-1].append(document)
        else:
            groups.append([document])
    if not groups:
        raise ValueError(_needed(place, "no document of an image (DIM_*.XML)"))
    return [_Acquisition(place, tuple(group)) for group in groups]


def _needed(place: str, got: str, advice: str = "Fetch the product again, or leave it out.") -> str:
    return f"open_stack() needs an orthoimage of Pléiades or SPOT 6/7 in DIMAP 2; got {got} in {place}. {advice}"


# ------------------------------------------------------------------------------------------------------------ documents


@dataclass(frozen=True)
class _Document:
    """Metadata of one image, panchromatic or in colour."""

    tree: Tree
    name: str
    root: Element

    @property
    def place(self) -> str:
        return f"{self.name} of {self.tree.place}"

    @cached_property
    def time(self) -> np.datetime64:
        """Time of the centre of the image, UTC, or when its acquisition began."""
        told = xml.optional(self._centre, "TIME")
        if told is None:
            source = ".//Dataset_Sources//Strip_Source/"
            day = xml.required(self.root, f"{source}IMAGING_DATE", self.place)
            told = f"{day}T{xml.required(self.root, f'{source}IMAGING_TIME', self.place)}"
        return as_instant(told, f"time of {self.place}", "open_stack")

    @cached_property
    def platform(self) -> str:
        source = ".//Dataset_Sources//Strip_Source/"
        mission = xml.required(self.root, f"{source}MISSION", self.place)
        return f"{mission}{xml.optional(self.root, f'{source}MISSION_INDEX') or ''}".replace(" ", "").upper()

    @cached_property
    def _centre(self) -> Element | None:
        """Times and angles of the centre of the image."""
        located = self.root.findall(".//Located_Geometric_Values")
        names = [(each.findtext("LOCATION_TYPE") or "").strip().lower() for each in located]
        return located[names.index("center")] if "center" in names else None

    def angle(self, path: str) -> float | None:
        told = xml.optional(self._centre, path)
        return None if told is None else _number(told, path, self.place)

    @cached_property
    def bands(self) -> dict[str, int]:
        """Numbers of the bands by name; by number where the document does not tell their order."""
        count = int(_number(xml.required(self.root, ".//Raster_Dimensions/NBANDS", self.place), "NBANDS", self.place))
        indices = {
            xml.required(each, "BAND_ID", self.place): int(
                _number(xml.required(each, "BAND_INDEX", self.place), "BAND_INDEX", self.place)
            )
            for each in self.root.findall(".//Raster_Index_List/Raster_Index")
        }
        if sorted(indices.values()) == list(range(1, count + 1)):
            return indices
        # without an index, bands are in the order of the colours on a screen
        channels = [xml.optional(self.root, f".//Band_Display_Order/{name}") for name in _CHANNELS]
        shown = list(dict.fromkeys(name for name in channels if name))
        if len(shown) == count and not indices:
            return {name: number for number, name in enumerate(shown, start=1)}
        if count == 1:
            return {"P": 1}
        return {str(number): number for number in range(1, count + 1)}

    @property
    def pixel(self) -> float:
        return abs(_number(xml.required(self.root, ".//Geoposition_Insert/XDIM", self.place), "XDIM", self.place))

    @property
    def nodata(self) -> float | None:
        for each in self.root.findall(".//Special_Value"):
            if (each.findtext("SPECIAL_VALUE_TEXT") or "").strip().upper() == "NODATA":
                return _number(xml.required(each, "SPECIAL_VALUE_COUNT", self.place), "NODATA", self.place)
        return None


def _open(tree: Tree, name: str) -> _Document:
    """Document of an orthoimage whose files are there."""
    root = xml.parse(tree.text(name), f"{name} of {tree.place}")
    document = _Document(tree, name, root)
    version = root.find("Metadata_Identification/METADATA_FORMAT")
    told = "" if version is None else version.get("version", "")
    if root.tag != "Dimap_Document" or not told.startswith("2"):
        raise ValueError(_needed(document.place, f"<{root.tag}> of version {told!r}"))
    level = xml.optional(root, ".//Geometric_Settings/GEOMETRIC_PROCESSING") or xml.required(
        root, ".//Product_Settings/PROCESSING_LEVEL", document.place
    )
    if level.upper() not in ("ORTHO", "ORTHOIMAGE"):
        reason = {
            "SENSOR": "an image in the geometry of the sensor, where no pixel has a place on the ground",
            "MOSAIC": "a mosaic, which has no single time",
        }.get(level.upper(), f"processing '{level}', which leaves the parallax of the terrain in it")
        advice = (
            "Order it as ORTHO, or orthorectify it over a good elevation model, and open the rasters that come out."
        )
        raise ValueError(_needed(document.place, reason, advice))
    _check_files(document)
    return document


def _check_files(document: _Document) -> None:
    """Refuse a product of which images are missing: GDAL would make them up."""
    folder = PurePosixPath(document.name).parent
    links = [each.get("href", "") for each in document.root.findall(".//Data_File/DATA_FILE_PATH")]
    if not links:
        raise ValueError(_needed(document.place, "no image (Data_File)"))
    if len(document.root.findall(".//Data_Access/Data_Files")) > 1:
        advice = "Put the images of all files together first: gdalbuildvrt -separate image.vrt ..., and open that."
        raise ValueError(_needed(document.place, "bands in several files", advice))
    names = set(document.tree.names)
    missing = [link for link in links if str(folder / link) not in names]
    if missing:
        raise FileNotFoundError(
            f"open_stack() needs all images of a product; {document.place} lacks {', '.join(missing[:3])} "
            f"({len(missing)} of {len(links)}). Fetch the product again, or leave it out."
        )
    for link in links:
        indirection.check_content(document.tree.gdal_path(str(folder / link)))


def _number(text: str, what: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(_needed(place, f"{text!r} where {what} should be a number"))
    return value


# --------------------------------------------------------------------------------------------------------- acquisitions


@dataclass(frozen=True)
class _Acquisition:
    """Images of one pass: panchromatic, in colour, or both."""

    place: str
    documents: tuple[_Document, ...]

    @property
    def scenes(self) -> list[Scene]:
        """What is known of each of the images without a band."""
        return [replace(_scene(document, ""), band=None) for document in self.documents]

    @property
    def contents(self) -> Contents:
        """Its bands, and the share of clouds."""
        sizes: dict[str, float | None] = {
            name: document.pixel for document in self.documents for name in document.bands
        }
        return Contents(sizes, clouds=percent(xml.optional(self.documents[0].root, ".//CLOUD_COVERAGE")))

    def layers(self, band: int | str | None, nodata: float | None) -> list[Layer]:
        """The image of a band, of several the finest."""
        document, name, number = self._picked(band)
        value = document.nodata if nodata is None else nodata
        path = document.tree.gdal_path(document.name)
        heights: list[int] = []  # of the tiles of the file
        image = pixels.describe_each(path, lambda dataset: _noted(dataset, number, heights), value, None)[0]
        if "jp2" in (xml.optional(document.root, ".//Data_Access/DATA_FILE_FORMAT") or "").lower():
            image = replace(image, strip=heights[0])
        return [Layer(_scene(document, name), image)]

    def detectors(self, band: str | None, grid: Grid) -> np.ndarray:
        """Detectors, which these products do not tell."""
        raise ValueError(
            f"detectors() needs products that tell which detector saw a pixel; got {self.place}, a DIMAP product, "
            "which does not. Leave it out."
        )

    def angles(self, band: str | None, grid: Grid) -> dict[str, np.ndarray]:
        """Angles of the centre, at every pixel of the image."""
        return mean_angles.fields(self.layers(band if band is not None else self._any, None)[0], grid)

    def class_layer(self, grid: Grid) -> Classes:
        """Classes, which these products do not have as a raster."""
        raise ValueError(
            f"class_layer() needs products with a raster of classes; got {self.place}, a DIMAP product, which has "
            "none. Leave it out, or make a mask of your own."
        )

    @property
    def _any(self) -> str:
        return next(iter(self.documents[0].bands))

    def _picked(self, band: int | str | None) -> tuple[_Document, str, int]:
        """Document, name and number of the band wanted."""
        every = [(document, name, number) for document in self.documents for name, number in document.bands.items()]
        if band is None:
            found = every
        elif isinstance(band, str):
            wanted = (band.upper(), *_COMMON.get(band.lower(), ()))
            found = [each for each in every if each[1].upper() in wanted]
        else:
            found = [each for each in every if each[2] == band]
        if isinstance(band, str):
            found = sorted(found, key=lambda each: each[0].pixel)[:1]
        if len(found) == 1:
            return found[0]
        offer = ", ".join(dict.fromkeys(_offered(name) for _, name, _ in every))
        wanted_text = "one band" if band is None else f"band {band!r}"
        raise ValueError(f"open_stack() needs {wanted_text}; {self.place} has bands {offer}. Pass band=, one of these.")


def _noted(dataset: Any, number: int, heights: list[int]) -> list[int]:
    heights.append(dataset.block_shapes[number - 1][0])
    return [number]


def _offered(name: str) -> str:
    common = next((common for common, names in _COMMON.items() if name in names), None)
    return f"{name} ({common})" if common else name


def _scene(document: _Document, band: str) -> Scene:
    root, place = document.root, document.place
    name = xml.optional(root, "Dataset_Identification/DATASET_NAME") or PurePosixPath(document.name).stem[4:]
    processed = xml.optional(root, ".//Delivery_Identification/PRODUCTION_DATE")
    radiometry = _reflectance(document, band)
    told = {
        what: xml.optional(root, f".//Geometric_Settings/{tag}_DESC")
        for what, tag in (("on", "GROUND"), ("over", "VERTICAL"))
    }
    return Scene(
        name=name,
        date=document.time,
        platform=document.platform,
        level="ORTHO",
        band=band,
        geometry=" ".join(["DIMAP ortho", *(f"{what} {text}" for what, text in told.items() if text)]),
        processed=None if processed is None else as_instant(processed, f"PRODUCTION_DATE of {place}", "open_stack"),
        sun_azimuth=document.angle("Solar_Incidences/SUN_AZIMUTH"),
        sun_elevation=document.angle("Solar_Incidences/SUN_ELEVATION"),
        view_azimuth=document.angle("Acquisition_Angles/AZIMUTH_ANGLE"),
        view_zenith=document.angle("Acquisition_Angles/INCIDENCE_ANGLE"),
        radiometric_offset=None if radiometry is None else radiometry[0],
        quantification=None if radiometry is None else radiometry[1],
    )


def _reflectance(document: _Document, band: str) -> tuple[float, float] | None:
    """Offset and quantification of the reflectance, None where the document does not tell them."""
    kind = (xml.optional(document.root, ".//Radiometric_Settings/RADIOMETRIC_PROCESSING") or "").upper()
    if kind == "REFLECTANCE":
        gain, bias = (_measure(document, "Band_Reflectance", band, name) for name in ("GAIN", "BIAS"))
        return None if not gain or bias is None else (bias * gain, gain)
    if kind != "BASIC":
        return None
    # radiance = value / gain + bias, and reflectance = pi radiance distance^2 / (irradiance sin(elevation))
    gain, bias = (_measure(document, "Band_Radiance", band, name) for name in ("GAIN", "BIAS"))
    irradiance = _measure(document, "Band_Solar_Irradiance", band, "VALUE")
    elevation = document.angle("Solar_Incidences/SUN_ELEVATION")
    if not gain or bias is None or not irradiance or elevation is None:
        return None
    day = float((document.time - document.time.astype("datetime64[Y]")) / np.timedelta64(1, "D")) + 1
    distance = 1 - 0.01672 * math.cos(math.radians(0.9856 * (day - 4)))  # of the sun, astronomical units
    return bias * gain, gain * irradiance * math.sin(math.radians(elevation)) / (math.pi * distance**2)


def _measure(document: _Document, kind: str, band: str, name: str) -> float | None:
    measures: Iterable[Element] = document.root.findall(f".//Band_Measurement_List/{kind}")
    for each in measures:
        if (each.findtext("BAND_ID") or "").strip() == band:
            told = xml.optional(each, name)
            return None if told is None else _number(told, f"{name} of {band}", document.place)
    return None
