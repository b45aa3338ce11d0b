"""Footprints of detectors and masks of classes that Sentinel-2 gives as polygons (GML), laid on a grid."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

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
# Largest distance between neighbouring points of an outline from which depths are measured [m].
_STEP = 10.0

Ring = np.ndarray  # (vertex, 2), x and y [m]


@dataclass(frozen=True)
class Feature:
    """What a mask says of a part of the image: what it is, and the polygons that it is true in.

    A polygon is a list of rings, of which the first is its outline and the others are holes.
    """

    name: str
    kind: str
    polygons: tuple[tuple[Ring, ...], ...]


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


def _polygons(feature: Element, name: str) -> Iterator[tuple[Ring, ...]]:
    polygons = [*feature.iter("Polygon"), *feature.iter("PolygonPatch")]
    if not polygons:
        raise _broken(name, f"the feature {feature.get('id')!r} without a polygon")
    for polygon in polygons:
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
    """Pixels of a grid whose centres lie in any of the features, boolean (rows, columns).

    Of two polygons with a common edge just one has the centres on it. Rasterio's own way would set filters of warnings,
    which are those of all threads.
    """
    out = np.zeros((grid.height, grid.width), dtype=np.bool_)
    # rows and columns in rising order, as views of the same pixels
    rows, columns = (slice(None, None, -1 if step < 0 else 1) for step in (grid.dy, grid.dx))
    rising = out[rows, columns]
    for feature in features:
        for rings in feature.polygons:
            _add_inside(rings, grid.x_centres[columns], grid.y_centres[rows], rising)
    return out


def _add_inside(rings: Sequence[Ring], x: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    """Set the pixels (rows, columns) at rising places that have an odd number of edges of the rings to their left."""
    start = np.concatenate(rings)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    # an edge reaches from its low end to just below its high one
    first, last = np.searchsorted(y, low), np.searchsorted(y, high)
    edge = np.repeat(np.arange(len(start)), last - first)
    if not edge.size:
        return
    row = np.arange(edge.size) - np.repeat(np.cumsum(last - first) - last, last - first)
    (x0, y0), (x1, y1) = start[edge].T, end[edge].T
    column = np.searchsorted(x, x0 + (y[row] - y0) / (y1 - y0) * (x1 - x0))
    top, left = row.min(), column.min()
    crossed = np.zeros((row.max() + 1 - top, column.max() + 1 - left), dtype=np.uint8)
    np.add.at(crossed, (row - top, column - left), 1)
    # the last column may lie behind the last pixel
    inside = np.add.accumulate(crossed, axis=1, dtype=np.uint8)[:, : len(x) - left] & 1
    out[top : top + inside.shape[0], left : left + inside.shape[1]] |= inside.astype(np.bool_)


def detectors(mask: PolygonMask, band: str, grid: Grid) -> np.ndarray:
    """Number of the detector that saw each pixel, uint8 (rows, columns), 0 where none did.

    Footprints of neighbouring detectors may overlap: there a pixel is that of the detector whose footprint reaches
    deeper, which parts the overlap along its middle; of equally deep ones that of the lower number.
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
    out = np.zeros((grid.height, grid.width), dtype=np.uint8)
    for number, features in sorted(by_number.items()):
        inside = covered(features, grid)
        twice = inside & (out > 0)
        for other in np.unique(out[twice]):
            rows, columns = np.nonzero(twice & (out == other))
            places = np.stack([grid.x_centres[columns], grid.y_centres[rows]], axis=1)
            stays = ~_is_deeper(features, by_number[int(other)], places)
            inside[rows[stays], columns[stays]] = False
        out[inside] = number
    return out


def check_numbers(numbers: Iterable[int], name: str) -> None:
    """Refuse numbers of detectors that the instrument does not have; 0 is that of none."""
    unknown = [int(number) for number in numbers if not 0 <= number <= _DETECTORS]
    if unknown:
        raise _broken(name, f"detector {unknown[0]} of an instrument with {_DETECTORS}")


def _is_deeper(first: Sequence[Feature], second: Sequence[Feature], places: np.ndarray) -> np.ndarray:
    """Whether places (n, 2) inside two footprints lie further from the edge of the first than from that of the second.

    What both have in common, which is the edge of the tile, is the edge of neither.
    """
    from scipy.spatial import cKDTree

    edges = [_points_of_outline(features) for features in (first, second)]
    trees = [cKDTree(edge) for edge in edges]
    depths = []
    for edge, other in ((edges[0], trees[1]), (edges[1], trees[0])):
        # points along a line that both have are no further than half a step from each other
        own = edge[other.query(edge)[0] > 0.6 * _STEP]
        depths.append(cKDTree(own).query(places)[0] if own.size else np.full(len(places), np.inf))
    return np.asarray(depths[0] > depths[1])


def _points_of_outline(features: Sequence[Feature]) -> np.ndarray:
    """Points (n, 2) along all outlines, no further apart than the step."""
    points = []
    for ring in (ring for feature in features for rings in feature.polygons for ring in rings):
        for start, end in pairwise(np.concatenate([ring, ring[:1]])):
            count = max(int(np.ceil(np.hypot(*(end - start)) / _STEP)), 1)
            points.append(start + (end - start) * (np.arange(count) / count)[:, None])
    return np.concatenate(points)
