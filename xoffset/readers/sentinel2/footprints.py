"""Footprints of detectors and masks of classes that Sentinel-2 gives as polygons (GML), laid on a grid."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xoffset._arrays.scenes import polygons
from xoffset._arrays.scenes.polygons import Polygon, Ring
from xoffset.readers import xml
from xoffset.readers.grids import Grid
from xoffset.readers.positions import check_crs

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from rasterio.crs import CRS

_logger = logging.getLogger(__name__)

# "detector_footprint-B04-11-0": band, detector, and the number of the feature in the file
_DETECTOR = re.compile(r"[-_](B\d[\dA])[-_]D?(\d{1,2})[-_]\d+$")
_DETECTORS = 12


@dataclass(frozen=True)
class Feature:
    """What a mask says of a part of the image: what it is, and the polygons that it is true in."""

    name: str
    kind: str
    polygons: tuple[Polygon, ...]


@dataclass(frozen=True)
class PolygonMask:
    """Features of a mask, in the order of the file; their CRS where the file tells it and there are any."""

    name: str
    crs: CRS | None
    features: tuple[Feature, ...]


# -------------------------------------------------------------------------------------------------------------- reading


def read_polygons(root: Element, name: str) -> PolygonMask:
    """Features of a GML mask, parsed by `xml.parse`; `name` is that of the file, for messages."""
    features = tuple(
        Feature(each.get("id", ""), xml.optional(each, ".//maskType") or "", tuple(_polygons(each, name)))
        for each in root.iter("MaskFeature")
    )
    codes = {code for each in root.iter() if (code := _code(each.get("srsName")))}
    if len(codes) > 1:
        raise _broken(name, f"in several CRS: EPSG {' and '.join(sorted(codes))}")
    crs = None
    if codes:
        from rasterio.crs import CRS

        crs = CRS.from_epsg(int(codes.pop()))
    return PolygonMask(name, crs, features)


def _polygons(feature: Element, name: str) -> Iterator[Polygon]:
    elements = [*feature.iter("Polygon"), *feature.iter("PolygonPatch")]
    if not elements:
        raise _broken(name, f"the feature {feature.get('id')!r} without a polygon")
    for polygon in elements:
        outlines = [ring for each in polygon.iter("exterior") for ring in _rings(each, polygon, name)]
        holes = [ring for each in polygon.iter("interior") for ring in _rings(each, polygon, name)]
        if len(outlines) != 1:
            raise _broken(name, f"a polygon with {len(outlines)} outlines")
        yield (*outlines, *holes)


def _rings(boundary: Element, polygon: Element, name: str) -> Iterator[Ring]:
    for ring in boundary.iter("LinearRing"):
        lists = [*ring.iter("posList"), *ring.iter("pos")]
        stated = [each.get("srsDimension") for each in (*lists, ring, boundary, polygon)]
        try:
            numbers = np.array(" ".join(each.text or "" for each in lists).split(), dtype=np.float64)
        except ValueError:
            raise _broken(name, "an outline that is not of numbers") from None
        size = next((int(text) for text in stated if text in ("2", "3")), 0) or _size(numbers)
        if numbers.size % size or numbers.size < 3 * size or not np.isfinite(numbers).all():
            raise _broken(name, f"an outline of {numbers.size} numbers, {size} a vertex")
        yield numbers.reshape(-1, size)[:, :2]


def _size(numbers: np.ndarray) -> int:
    """Numbers of a position, where nothing tells: an outline ends where it begins."""
    closed = [size for size in (2, 3) if numbers.size % size == 0 and np.array_equal(numbers[:size], numbers[-size:])]
    return closed[0] if closed else 2


def _broken(name: str, what: str) -> ValueError:
    return ValueError(
        f"open_stack() needs masks as Sentinel-2 has them; got {name} with {what}. Fetch the product "
        "again, or leave it out."
    )


def _code(srs_name: str | None) -> str | None:
    """EPSG code of "urn:ogc:def:crs:EPSG:8.7:32707" or "EPSG:32707"."""
    match = re.search(r"EPSG:+(?:[\d.]*:)?(\d{4,5})$", srs_name or "")
    return match[1] if match else None


# -------------------------------------------------------------------------------------------------------------- laying


def covered(features: Sequence[Feature], grid: Grid) -> np.ndarray:
    """Pixels of a grid whose centres lie in any of the features, boolean (rows, columns)."""
    return polygons.covered(_polygons_of(features), grid.x_centres, grid.y_centres)


def detectors(mask: PolygonMask, band: str, grid: Grid) -> np.ndarray:
    """Number of the detector that saw each pixel, uint8 (rows, columns), 0 where none did.

    Footprints of neighbouring detectors may overlap, and are parted along the middle of the overlap.
    """
    check_crs(grid, mask.crs, mask.name)
    by_number: dict[int, list[Feature]] = {}
    for feature in mask.features:
        match = _DETECTOR.search(feature.name)
        if match is None:
            raise _broken(mask.name, f"the feature {feature.name!r}, which names no detector")
        if match[1] == band:
            by_number.setdefault(int(match[2]), []).append(feature)
    if 0 in by_number:  # which stands for no detector
        raise _broken(mask.name, "a footprint of detector 0")
    check_numbers(by_number, mask.name)
    if not by_number:
        _logger.warning("%s holds no footprint of band %s: no pixel has a detector.", mask.name, band)
    footprints = {number: _polygons_of(features) for number, features in by_number.items()}
    return polygons.parted(footprints, grid.x_centres, grid.y_centres)


def _polygons_of(features: Sequence[Feature]) -> list[Polygon]:
    return [each for feature in features for each in feature.polygons]


def check_numbers(numbers: Iterable[int], name: str) -> None:
    """Refuse numbers of detectors that the instrument does not have; 0 is that of none."""
    unknown = [int(number) for number in numbers if not 0 <= number <= _DETECTORS]
    if unknown:
        raise _broken(name, f"detector {unknown[0]} of an instrument with {_DETECTORS}")
