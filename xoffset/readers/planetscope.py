"""Orthoscenes of PlanetScope as they are delivered: images, metadata and UDM2 masks, loose in folders or archives."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from xoffset.model.dates import as_instant
from xoffset.readers import archives, mean_angles, pixels, xml
from xoffset.readers.archives import Tree
from xoffset.readers.grids import Grid
from xoffset.readers.scenes import Classes, Contents, Layer, Product, Scene, percent, refuse_tiles

# Item: time to the second, of newer ones to the hundredth, and satellite.
_ITEM = r"(?P<item>\d{8}_\d{6}_(?:\d{1,2}_)?[0-9a-f]{4})"
_TOOLS = r"(?P<tools>(?:_clip|_reproject|_file_format|_coregistered)*)"
_IMAGE = re.compile(
    rf"{_ITEM}_(?P<level>1B|3B)_AnalyticMS(?P<kind>(?:_SR|_toar|_8b|_harmonized)*){_TOOLS}\.tiff?", re.IGNORECASE
)
_MASK = re.compile(rf"{_ITEM}_3B_udm2{_TOOLS}\.tiff?", re.IGNORECASE)
# Whatever else belongs to a scene and lies beside its image.
_PART = re.compile(
    rf"{_ITEM}(?:_\w*udm2?\w*\.tiff?|(?:_\w*metadata\w*)?\.(?:json|xml)|_\w+\.tiff?\.aux\.xml)", re.IGNORECASE
)
# Folders of an order in which its files lie.
_FOLDERS = re.compile(r"PSScene\w*|files|analytic\w*|ortho\w*", re.IGNORECASE)

# Names of the bands, those that all sensors share first.
_BANDS = {
    4: (("blue",), ("green",), ("red",), ("nir", "nir08")),
    8: (
        ("coastal", "coastal_blue"), ("blue",), ("green_i", "green1"), ("green", "green_ii"), ("yellow",), ("red",),
        ("rededge1", "rededge"), ("nir", "nir08"),
    ),
}  # fmt: skip
# Bands of the mask, counted from 1, and their bits in the layer of classes; of the last any value counts, and its first
# bit where nothing was imaged.
_CLASSES = {
    "clear": (1, 1), "snow": (2, 2), "shadow": (3, 4), "light_haze": (4, 8), "heavy_haze": (5, 16), "cloud": (6, 32),
    "unusable": (8, 64),
}  # fmt: skip
_NO_DATA, _NOT_IMAGED = 128, 1
# Height of the orbit over the radius of the Earth, which makes an angle of incidence of one off nadir.
_HEIGHT = 475.0 / 6371.0


def is_product(place: str) -> bool:
    """Whether a path is an image of PlanetScope, a folder with such images, or an archive with them."""
    if "://" in place:
        return False
    path = Path(place).expanduser()
    try:
        if path.is_dir():
            return any(_IMAGE.fullmatch(name) for name in _names_in(path, 4))
    except OSError:
        return False
    if archives.kind_of(place):
        return any(_IMAGE.fullmatch(PurePosixPath(name).name) for name in archives.first_names(place))
    return bool(_IMAGE.fullmatch(path.name)) and path.is_file()


def _names_in(folder: Path, depth: int) -> Iterator[str]:
    for each in folder.iterdir():
        if not each.is_dir():
            yield each.name
        elif depth and _FOLDERS.fullmatch(each.name):
            yield from _names_in(each, depth - 1)


def open_product(place: str, tile: Sequence[str] | None) -> list[Product]:
    """The scenes in a place."""
    refuse_tiles(tile, "PlanetScope scenes", place)
    path = Path(place).expanduser()
    is_image = path.is_file() and not archives.kind_of(place)
    tree = archives.beside(place) if is_image else archives.open_tree(place)
    names = [path.name] if is_image else [name for name in tree.names if _IMAGE.fullmatch(PurePosixPath(name).name)]
    found: dict[str, _Acquisition] = {}
    for name in names:
        match = _IMAGE.fullmatch(PurePosixPath(name).name)
        if match is None:
            continue
        if match["level"].upper() == "1B":
            raise ValueError(
                f"open_stack() needs orthoscenes of PlanetScope (3B); got {name} in {place}, a basic scene (1B), whose "
                "pixels have no place on the ground. Order it as ortho_analytic, or orthorectify it yourself."
            )
        item = match["item"].lower()
        if item in found:
            raise ValueError(
                f"open_stack() needs one image a scene; got {PurePosixPath(found[item].name).name} and "
                f"{PurePosixPath(name).name} in {place}. Give those of one kind: a pattern such as "
                f"'*_AnalyticMS{match['kind']}{match['tools']}{PurePosixPath(name).suffix}'."
            )
        found[item] = _Acquisition(tree, name, item, match["kind"].lower(), match["tools"].lower())
    return list(found.values())


def without_parts(places: Sequence[str]) -> list[str]:
    """Places less the metadata and masks of scenes whose images are among them, as patterns find both."""
    images = [match for match in (_IMAGE.fullmatch(Path(place).name) for place in places) if match]
    items = {match["item"].lower() for match in images}
    kept = []
    for place in places:
        part = _PART.fullmatch(Path(place).name)
        if part is None or part["item"].lower() not in items:
            kept.append(place)
    return kept


@dataclass(frozen=True)
class _Acquisition:
    """A scene: its image, and the metadata and mask that bear the same identifier."""

    tree: Tree
    name: str
    item: str
    kind: str
    tools: str

    @property
    def place(self) -> str:
        """Path of the image, for messages."""
        return f"{self.name} of {self.tree.place}"

    @property
    def scenes(self) -> list[Scene]:
        """What is known of the scene without a band."""
        return [replace(self._scene(1, ""), band=None, radiometric_offset=None, quantification=None)]

    @property
    def contents(self) -> Contents:
        """Its bands, and the share of clouds."""
        image = self.layers(1, None)[0].image
        names = [names[0] for names in _BANDS[image.n_bands]] if isinstance(image, pixels.RasterImage) else []
        share = self._number("cloud_cover", None)
        clouds = self._number("cloud_percent", "cloudCoverPercentage") if share is None else 100.0 * share
        return Contents(dict.fromkeys(names, abs(image.grid.dx)), clouds=percent(clouds))

    def layers(self, band: int | str | None, nodata: float | None) -> list[Layer]:
        """The image of a band."""
        picked: list[tuple[int, str]] = []

        def pick(dataset: Any) -> list[int]:
            picked.append(_picked(self.place, dataset.count, band))
            return [picked[0][0]]

        value = 0.0 if nodata is None else nodata
        image = pixels.describe_each(self.tree.gdal_path(self.name), pick, value, None)[0]
        return [Layer(self._scene(*picked[0]), image)]

    def detectors(self, band: str | None, grid: Grid) -> np.ndarray:
        """Detectors, which these products do not tell."""
        raise ValueError(
            f"detectors() needs products that tell which detector saw a pixel; got {self.place}, a PlanetScope scene, "
            "which does not. Leave it out."
        )

    def angles(self, band: str | None, grid: Grid) -> dict[str, np.ndarray]:
        """Angles of the scene, at every pixel of its image."""
        return mean_angles.fields(self.layers(1 if band is None else band, None)[0], grid)

    def class_layer(self, grid: Grid) -> Classes:
        """Classes of the UDM2 mask as bits; the confidence is no class."""
        name = self._mask
        classes = np.zeros((grid.height, grid.width), dtype=np.uint8)
        path = self.tree.gdal_path(name)
        images = pixels.describe_each(path, lambda dataset: _mask_bands(name, dataset.count), None, None)
        for image, (_, bit) in zip(images, _CLASSES.values(), strict=True):
            values = pixels.image_at(image, grid)
            classes[np.isfinite(values) & (values != 0)] |= np.uint8(bit)
        # the last one tells where there is nothing
        classes[np.isnan(values) | (np.nan_to_num(values).astype(np.int64) & _NOT_IMAGED != 0)] |= np.uint8(_NO_DATA)
        names = {label: bit for label, (_, bit) in _CLASSES.items()} | {"no_data": _NO_DATA}
        return Classes(classes, names, True, images[0].grid.crs)

    @property
    def _mask(self) -> str:
        """Name of the mask of the image."""
        matches = ((name, _MASK.fullmatch(PurePosixPath(name).name)) for name in self.tree.names)
        found = {
            match["tools"].lower(): name for name, match in matches if match and match["item"].lower() == self.item
        }
        if not found:
            raise ValueError(
                f"class_layer() needs the UDM2 mask of a PlanetScope scene; got {self.place} without "
                f"{self.item}_3B_udm2.tif beside it. Order the scene with its udm2 asset, or leave it out."
            )
        return found.get(self.tools) or next(iter(found.values()))

    # -------------------------------------------------------------------------------------------------------- metadata

    @cached_property
    def _told(self) -> dict[str, Any]:
        """Properties of the JSON file of the scene, empty if it has none."""
        for name in self.tree.names:
            base = PurePosixPath(name).name.lower()
            if base in (f"{self.item}_metadata.json", f"{self.item}.json"):
                place = f"{name} of {self.tree.place}"
                try:
                    properties = json.loads(self.tree.text(name))["properties"]
                    if not isinstance(properties, dict):
                        raise TypeError("'properties' is no object")
                except (ValueError, KeyError, TypeError) as error:
                    raise OSError(
                        f"open_stack() needs the metadata of a scene as JSON with 'properties'; got {place}, which is "
                        f"damaged ({error}). Fetch it again, or leave the scene out."
                    ) from error
                return properties
        return {}

    @cached_property
    def _root(self) -> Element | None:
        """Root of the XML file of the scene, None if it has none."""
        for name in self.tree.names:
            base = PurePosixPath(name).name.lower()
            if base.startswith(f"{self.item}_") and re.search(r"_metadata\w*\.xml$", base):
                return xml.parse(self.tree.text(name), f"{name} of {self.tree.place}")
        return None

    def _number(self, key: str | None, tag: str | None) -> float | None:
        """Number of the JSON file or, if it is not there, of the XML file."""
        value = self._told.get(key) if key else None
        if value is None and tag:
            value = xml.optional(self._root, f".//{tag}")
        if value is None:
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(
                f"open_stack() needs a number as {key or tag} of {self.place}; got {value!r}. Fetch the metadata "
                "again, or leave the scene out."
            )
        return number

    @property
    def _time(self) -> np.datetime64:
        """Time of the acquisition, UTC: that of the JSON file, of the XML file, or of the identifier."""
        told = self._told.get("acquired") or xml.optional(self._root, ".//acquisitionDateTime")
        told = told or xml.optional(self._root, ".//acquisitionDate")
        digits = self.item.split("_")
        try:
            named = np.datetime64(datetime.strptime("".join(digits[:2]), "%Y%m%d%H%M%S"), "us")
        except ValueError:
            raise ValueError(
                f"open_stack() needs names of PlanetScope that begin with a time; got {self.place}. "
                "Give the file its name again."
            ) from None
        if told is None:
            return named + np.timedelta64(10 * int(digits[2]) if len(digits) == 4 else 0, "ms")
        time = as_instant(told, f"time of {self.place}", "open_stack")
        if abs(time - named) > np.timedelta64(1, "D"):
            raise ValueError(
                f"open_stack() needs metadata that belong to their image; got {self.place} and the time {time}. "
                "Fetch the scene again."
            )
        return time

    def _incidence(self) -> float | None:
        """Angle between the view and the vertical on the ground [degrees]."""
        told = self._number(None, "incidenceAngle")
        if told is not None:
            return abs(told)
        view = self._number("view_angle", "spaceCraftViewAngle")
        return None if view is None else math.degrees(math.asin((1 + _HEIGHT) * abs(math.sin(math.radians(view)))))

    def _scene(self, number: int, band: str) -> Scene:
        told = self._told
        instrument = told.get("instrument") or xml.optional(self._root, ".//Instrument/shortName")
        controls = {"true": " with ground control", "false": " without ground control"}
        control = controls.get(str(told.get("ground_control")).lower(), "")
        published = told.get("published")
        quantification = self._quantification(number)
        return Scene(
            name=self.item,
            date=self._time,
            platform=instrument or ("PSB.SD" if "_8b" in self.kind else None),
            level="3B" + (" SR" if "_sr" in self.kind else " TOAR" if "_toar" in self.kind else ""),
            band=band,
            geometry=f"PlanetScope 3B{control}",
            processed=None if published is None else as_instant(published, f"published of {self.place}", "open_stack"),
            sun_azimuth=self._number("sun_azimuth", "illuminationAzimuthAngle"),
            sun_elevation=self._number("sun_elevation", "illuminationElevationAngle"),
            # the azimuth of the XML file is that of the scan
            view_azimuth=self._number("satellite_azimuth", None),
            view_zenith=self._incidence(),
            radiometric_offset=None if quantification is None else 0.0,
            quantification=quantification,
        )

    def _quantification(self, number: int) -> float | None:
        """Value of the reflectance 1, None if nothing tells it."""
        if "_sr" in self.kind or "_toar" in self.kind:
            return 10_000.0
        for each in [] if self._root is None else self._root.iterfind(".//bandSpecificMetadata"):
            told = xml.optional(each, "reflectanceCoefficient")
            if xml.optional(each, "bandNumber") == str(number) and told is not None:
                try:
                    return 1.0 / float(told)
                except (ValueError, ZeroDivisionError):
                    raise ValueError(
                        f"open_stack() needs a number as reflectanceCoefficient of {self.place}; got {told!r}. Fetch "
                        "the metadata again, or leave the scene out."
                    ) from None
        return None


def _picked(place: str, count: int, band: int | str | None) -> tuple[int, str]:
    """Number and name of the band wanted."""
    names = _BANDS.get(count)
    if names is None:
        raise ValueError(
            f"open_stack() needs PlanetScope images of 4 or 8 bands; got {count} in {place}. "
            "Fetch the scene again, or open a copy of the image under another name."
        )
    for number, each in enumerate(names, start=1):
        if band == number or (isinstance(band, str) and band.lower() in (*each, f"b{number}", f"b{number:02}")):
            return number, each[0]
    offer = ", ".join(f"{number} ({each[0]})" for number, each in enumerate(names, start=1))
    wanted = "one band" if band is None else f"band {band!r}"
    raise ValueError(f"open_stack() needs {wanted}; {place} has bands {offer}. Pass band=, one of these.")


def _mask_bands(name: str, count: int) -> list[int]:
    if count != 8:
        raise ValueError(
            f"class_layer() needs UDM2 masks of 8 bands; got {count} in {name}. Fetch the mask again, or leave it out."
        )
    return [number for number, _ in _CLASSES.values()]
