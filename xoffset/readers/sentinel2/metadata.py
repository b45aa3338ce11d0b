"""What the metadata of a Sentinel-2 product say of a tile and a band."""

from __future__ import annotations

import logging
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np

from xoffset.readers import xml
from xoffset.readers.archives import Tree
from xoffset.readers.grids import Bounds
from xoffset.readers.scenes import Scene
from xoffset.readers.sentinel2.files import Granule

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_logger = logging.getLogger(__name__)

# Position of a band in lists of the metadata: its bandId.
BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")

# Baselines whose geometry changed, by the first of each generation. Products of before 02.04 have known errors of
# geometry (shifted pixels, misregistered bands); since 03.00 images are tied to the Global Reference Image where that
# succeeds; until 04.00 the DEM became that of Copernicus, which not all metadata tell; 05.00 is the archive processed
# anew. Those between changed radiometry, masks, names or, as 02.07 did, the outermost pixels: a class for each of them
# would cut series for nothing.
_GENERATIONS = ("02.04", "03.00", "04.00", "05.00")
_TILE = re.compile(r"(?:^|_)T(\d\d[A-Z]{3})(?:_|$)")
_BASELINE = re.compile(r"_N(\d\d\.\d\d)$")
_REFINING = re.compile(rb"""<(?:\w+:)?Image_Refining\s[^>]*?flag\s*=\s*["'](\w+)["']""")
_PIECE, _LONGEST_TAG = 2**20, 500
_REPORTED = {"has not been refined": False, "has been refined": True}


@dataclass(frozen=True)
class Metadata:
    """Parsed metadata of a tile and, unless the tile came alone, of its product."""

    tile: Element
    product: Element | None
    tile_name: str  # of the file, for messages
    product_name: str
    is_refined: bool | None

    @property
    def tile_id(self) -> str:
        """Identifier of the tile, such as S2A_OPER_MSI_L1C_TL_SGS__20160412T160205_A004209_T29KQB_N02.01."""
        found = xml.optional(self.tile, ".//TILE_ID") or xml.optional(self.tile, ".//TILE_ID_2A")
        return found or xml.required(self.tile, ".//TILE_ID", self.tile_name)

    @property
    def declared_images(self) -> list[str]:
        """Names of the images that the product should have, without suffix."""
        if self.product is None:
            return []
        tags = ("IMAGE_FILE", "IMAGE_ID", "IMAGE_FILE_2A", "IMAGE_ID_2A")
        texts = (each.text or "" for tag in tags for each in self.product.iter(tag))
        return [text.strip().rsplit("/", 1)[-1] for text in texts]

    @property
    def declared_tiles(self) -> set[str]:
        """Names of the tiles that the product should have; none if its metadata tell none."""
        found = [] if self.product is None else [each.get("granuleIdentifier") or "" for each in self.product.iter()]
        return {match[1] for name in (*found, *self.declared_images) if (match := _TILE.search(name))}

    @property
    def level_of_tile(self) -> str | None:
        """Level of processing that the metadata of the tile are of, where they tell it."""
        found = re.match(r"Level-(1C|2A)", self.tile.tag)
        return f"L{found[1]}" if found else None

    @property
    def extent(self) -> tuple[int, Bounds] | None:
        """EPSG code, and left, bottom, right and top edge of the tile [m]; None where they are not told."""
        code = re.fullmatch(r"EPSG:(\d+)", xml.optional(self.tile, ".//HORIZONTAL_CS_CODE") or "")
        size, corner = self.tile.find(".//Tile_Geocoding/Size"), self.tile.find(".//Tile_Geocoding/Geoposition")
        if code is None or size is None or corner is None:
            return None
        names = ("ULX", "ULY", "XDIM", "YDIM")
        x, y, dx, dy = (self._number(xml.required(corner, name, self.tile_name)) for name in names)
        rows, columns = (self._number(xml.required(size, name, self.tile_name)) for name in ("NROWS", "NCOLS"))
        if size.get("resolution") != corner.get("resolution"):
            return None
        return int(code[1]), (x, y + dy * rows, x + dx * columns, y)

    def scene(self, band: str) -> Scene:
        """What is known of the image of a band."""
        offset, quantification = self._scale(band)
        sun = self.tile.find(".//Mean_Sun_Angle")
        view = next((each for each in self.tile.iter("Mean_Viewing_Incidence_Angle") if self._is_of(each, band)), None)
        sun_zenith = self._angle(sun, "ZENITH_ANGLE")
        return Scene(
            name=self.name,
            date=self._sensing_time(),
            platform=self._platform(),
            relative_orbit=self._orbit(),
            tile=self.tile_of_id(),
            level=self.level,
            band=band,
            geometry=self.geometry,
            processed=self._processed(),
            strip_start=self._strip_start(),
            sun_azimuth=self._angle(sun, "AZIMUTH_ANGLE"),
            sun_elevation=None if sun_zenith is None else 90.0 - sun_zenith,
            view_azimuth=self._angle(view, "AZIMUTH_ANGLE"),
            view_zenith=self._angle(view, "ZENITH_ANGLE"),
            radiometric_offset=offset,
            quantification=quantification,
        )

    @property
    def name(self) -> str:
        """Name of the product without suffix; of a tile that came alone, that of the tile."""
        uri = xml.optional(self.product, ".//PRODUCT_URI") or xml.optional(self.product, ".//PRODUCT_URI_2A")
        return (uri or self.tile_id).removesuffix(".SAFE")

    def tile_of_id(self) -> str:
        """Name of the tile, such as "31TGK"."""
        found = re.search(r"_T(\d\d[A-Z]{3})(?:_|$)", self.tile_id)
        if found is None:
            raise self._broken(f"{self.tile_id!r} for the identifier of a tile")
        return found[1]

    @property
    def level(self) -> str:
        """Level of processing, "L1C" or "L2A"."""
        text = xml.optional(self.product, ".//PROCESSING_LEVEL") or self.tile.tag
        found = re.search(r"Level-(1C|2A)", text)
        if found is None:
            raise self._broken(f"{text!r} for the level of processing, of which L1C and L2A can be read")
        return f"L{found[1]}"

    @property
    def geometry(self) -> str:
        """Class of processing geometry: generation of the baseline, whether refined, and elevation model."""
        refined = {True: "refined", False: "not refined", None: "refinement unknown"}[self.is_refined]
        return f"{self._generation()}, {refined}, {self._elevation_model()}"

    def _generation(self) -> str:
        # L2A takes its geometry from the L1C product that it was made of, whatever its own baseline
        ids = (xml.optional(self.tile, ".//L1C_TILE_ID"), self.tile_id)
        found = next((match[1] for each in ids if each and (match := _BASELINE.search(each))), None)
        return generation(found or xml.optional(self.product, ".//PROCESSING_BASELINE"))

    def _elevation_model(self) -> str:
        return elevation_model(xml.optional(self.product, ".//PRODUCTION_DEM_TYPE") or "")

    def _sensing_time(self) -> np.datetime64:
        text = xml.optional(self.tile, ".//SENSING_TIME")
        if text is None:
            root = self.tile if self.product is None else self.product
            text = xml.required(root, ".//DATATAKE_SENSING_START", self.product_name)
            _logger.info(
                "%s tells no sensing time of its tile; its date is that of the start of the data take", self.name
            )
        return self._time(text)

    def _platform(self) -> str:
        found = re.fullmatch(r"Sentinel-2([A-Z])", xml.optional(self.product, ".//SPACECRAFT_NAME") or "")
        return f"S2{found[1]}" if found else self.tile_id[:3]

    def _orbit(self) -> int | None:
        text = xml.optional(self.product, ".//SENSING_ORBIT_NUMBER")
        if text is None:
            return None
        if not re.fullmatch(r"0*[1-9]\d{0,2}", text):
            raise self._broken(f"{text!r} for a relative orbit")
        return int(text)

    def _processed(self) -> np.datetime64 | None:
        text = xml.optional(self.product, ".//GENERATION_TIME")
        if text:
            return self._time(text)
        found = re.search(r"_(\d{8}T\d{6})_A", self.tile_id)
        return self._stamp(found[1] if found else None)

    def _strip_start(self) -> np.datetime64 | None:
        return self._stamp(_start_of_strip(self.tile))

    def _stamp(self, digits: str | None) -> np.datetime64 | None:
        """Time that an identifier holds in digits alone."""
        if digits is None:
            return None
        return self._time(re.sub(r"(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\d)", r"\1-\2-\3:\4:\5", digits))

    def _scale(self, band: str) -> tuple[float | None, float | None]:
        """Offset and quantification of a band; None where they are not told, or where values have no scale."""
        if self.product is None or (band not in BANDS and band not in ("AOT", "WVP")):
            return None, None
        kind = {"L1C": "", "L2A": "BOA_"}[self.level] if band in BANDS else f"{band}_"
        names = (f"{kind}QUANTIFICATION_VALUE", f"L2A_{kind}QUANTIFICATION_VALUE")
        text = next((found for name in names if (found := xml.optional(self.product, f".//{name}"))), None)
        if text is None:
            text = xml.required(self.product, f".//{names[0]}", self.product_name)
        scale = self._number(text)
        if scale <= 0:
            raise self._broken(f"{text!r} for a quantification, by which values are divided")
        return self._offset(self.product, band), scale

    def _offset(self, product: Element, band: str) -> float:
        # Told by the metadata alone: baselines and dates do not tell, since archives are processed anew.
        tag = {"L1C": "RADIO_ADD_OFFSET", "L2A": "BOA_ADD_OFFSET"}[self.level]
        offsets = list(product.iter(tag))
        if not offsets or band not in BANDS:
            return 0.0
        found = {self._number(each.text or "") for each in offsets if self._is_of(each, band)}
        if not found:
            raise self._broken(f"{tag} of other bands but none of {band}")
        if len(found) > 1:
            raise self._broken(f"several {tag} of {band}, {', '.join(f'{each:g}' for each in sorted(found))},")
        return found.pop()

    def _is_of(self, element: Element, band: str) -> bool:
        number = element.get("bandId") or element.get("band_id")
        return band in BANDS and number == str(BANDS.index(band))

    def _angle(self, element: Element | None, name: str) -> float | None:
        text = xml.optional(element, name)
        # beyond the swath there is no view
        return None if text is None or text.lower() == "nan" else self._number(text)

    def _number(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._broken(f"{text!r} for a number")
        return value

    def _time(self, text: str) -> np.datetime64:
        # identifiers tell times without a Z, in UTC too
        found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?)\d*(?:Z|[+-]00:00)?", text)
        with suppress(ValueError):  # such as the 30th of February
            if found:
                return np.datetime64(found[1], "us")
        raise self._broken(f"{text!r} for a date and time of day in UTC")

    def _broken(self, got: str) -> ValueError:
        return ValueError(
            f"open_stack() needs the metadata of a Sentinel-2 product; got {got} in {self.product_name} or "
            f"{self.tile_name}. Fetch the product again, or leave it out."
        )


def read(granule: Granule, product: Element | None) -> Metadata:
    """Metadata of a tile, whose product is parsed already: it may hold many."""
    tree, name = granule.tree, granule.metadata
    tile = xml.parse(tree.text(name), name)
    return Metadata(
        tile=tile,
        product=product,
        tile_name=name,
        product_name=granule.product_metadata or name,
        is_refined=_is_refined(granule, tile),
    )


def _start_of_strip(tile: Element) -> str | None:
    """Start of the data strip of a tile, in digits alone."""
    told = xml.optional(tile, ".//DATASTRIP_ID") or xml.optional(tile, ".//DATASTRIP_ID_2A") or ""
    found = re.search(r"_S(\d{8}T\d{6})(?:_|$)", told)
    return found[1] if found else None


def _is_refined(granule: Granule, tile: Element) -> bool | None:
    """Whether the geometry was tied to reference images; None if nothing tells, or the data strips disagree."""
    tree = granule.tree
    # a product of many tiles may hold several data strips
    start = _start_of_strip(tile)
    found = {_flag(tree, name) for name in granule.datastrips(start)} - {None}
    if not found:
        found = {_reported(tree, name) for name in granule.quality_reports(start)} - {None}
    return found.pop() if len(found) == 1 else None


def _flag(tree: Tree, name: str) -> bool | None:
    with tree.opened(name) as stream:
        return flag_in(stream)


def flag_in(stream: IO[bytes]) -> bool | None:
    """Whether the metadata of a data strip say that its geometry was tied to reference images; None if they do not."""
    # Read in pieces and without a parser: behind the flag stand all states of the satellite, tens of megabytes.
    piece = b""
    while more := stream.read(_PIECE):
        piece = piece[-_LONGEST_TAG:] + more
        # a word is found ten times as fast as a pattern
        found = _REFINING.search(piece) if b"Image_Refining" in piece else None
        if found:
            return {b"REFINED": True, b"NOT_REFINED": False}.get(found[1])
    return None


def _reported(tree: Tree, name: str) -> bool | None:
    messages = [each.text or "" for each in xml.parse(tree.text(name), name).iter("message")]
    told = [state for text, state in _REPORTED.items() if any(text in message for message in messages)]
    return told[0] if len(told) == 1 else None


def generation(baseline: str | None) -> str:
    """Baselines whose geometry is like that of one, "05.11", in words."""
    if baseline is None or not "01" <= baseline < "06":
        return f"baseline {baseline or 'unknown'}"
    first = max((each for each in _GENERATIONS if each <= baseline), default=None)
    return f"baseline {first} or alike" if first else f"baseline before {_GENERATIONS[0]}"


def elevation_model(text: str) -> str:
    """Elevation model that a product was made with, in words, from what it says of it."""
    copernicus = re.search(r"COP(?:ERNICUS)?[-_]?DEM[-_]?(?:GLO)?[-_]?(\d\d)", text, re.IGNORECASE)
    if copernicus:
        return f"DEM Copernicus {copernicus[1]} m"
    # what else Sen2Cor writes into L2A is the elevation model of its correction of the atmosphere, or a folder
    named = re.search(r"DEM_([A-Z0-9]+)_", text)
    return f"DEM {named[1]}" if named else "DEM unknown"
