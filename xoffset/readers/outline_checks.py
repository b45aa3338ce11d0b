"""Polygons whose inside is not open to doubt: rings of three corners that do not cross, with holes inside of them."""

from __future__ import annotations

import logging
import math

import numpy as np

from xoffset._kernels.maps import polygons as kernels
from xoffset.readers.winding import Polygon, Ring, directed, edges_of, holds, place_inside, signed_area

_log = logging.getLogger(__name__)

# A loop that an outline makes by crossing itself is a slip of the hand up to this share of its area.
SLIP = 1e-3
# Places are on a line when they are no further from it than this share of the largest coordinate.
_ON_LINE = 1e-9
_REPAIR = "Repair it: geopandas.read_file(...).make_valid(), or 'Fix geometries' in QGIS."


def checked(polygon: Polygon, place: str, caller: str) -> Polygon:
    """Return a polygon whose rings are not closed by a corner of their own, after checking that it is one."""
    rings = []
    for ring in polygon:
        corners = _distinct(ring)
        if len(corners) < 3 or not np.isfinite(corners).all():
            raise ValueError(
                f"{caller}() needs rings of three corners or more in {place}; got {ring[:3].tolist()}. Remove what is "
                "no area, or draw it anew."
            )
        rings.append(corners)
    rings = directed(rings)
    while (found := _crossing(rings)) is not None:
        _cut_loop(rings, found, place, caller)
    _check_doubled(rings, place, caller)
    _check_holes(rings, place, caller)
    return rings


def _distinct(ring: Ring) -> Ring:
    """Corners of which those that follow one another at one place, the last and the first too, are one."""
    is_new = np.ones(len(ring), dtype=np.bool_)
    is_new[1:] = (ring[1:] != ring[:-1]).any(axis=1)
    corners = ring[is_new]
    return corners[:-1] if len(corners) > 1 and (corners[0] == corners[-1]).all() else corners


def _sweep(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges (n, 4) with x and y exchanged if they are shorter along y, and their order along the first of the two."""
    lengths = np.abs(edges[:, :2] - edges[:, 2:]).sum(axis=0)
    edges = edges if lengths[0] <= lengths[1] else edges[:, [1, 0, 3, 2]]
    return edges, np.argsort(np.minimum(edges[:, 0], edges[:, 2]), kind="stable")


def _crossing(rings: Polygon) -> np.ndarray | None:
    """Where two edges of a polygon cross, and the indices of the two (4,)."""
    edges = edges_of(rings)
    last = np.cumsum([len(ring) for ring in rings]) - 1
    before = np.arange(len(edges)) - 1
    before[np.append(0, last[:-1] + 1)] = last
    found = np.empty(4)
    swept, order = _sweep(edges)
    kernels.crossing(swept, before, order, _ON_LINE * np.abs(edges).max(), found)
    if swept is not edges:
        found[:2] = found[1], found[0]
    return found if np.isfinite(found).all() else None


def _cut_loop(rings: Polygon, found: np.ndarray, place: str, caller: str) -> None:
    """Cut off the loop that a ring makes where it crosses itself, if it is a slip of the hand; refuse any other."""
    starts = np.cumsum([0, *map(len, rings)])
    first, second = (int(np.searchsorted(starts, edge, side="right")) - 1 for edge in found[2:])
    crossed = found[np.newaxis, :2]
    if first == second:
        ring = rings[first]
        i, j = (int(edge) - starts[first] for edge in found[2:])
        loops = [
            _distinct(np.concatenate([crossed, ring[i + 1 : j + 1]])),
            _distinct(np.concatenate([ring[: i + 1], crossed, ring[j + 1 :]])),
        ]
        small, large = sorted(loops, key=_area)
        if _area(small) <= SLIP * _area(large):
            _log.warning(
                "%s(): an outline in %s crosses itself at (%.10g, %.10g); the loop, %.1g of its area, is cut off.",
                caller, place, *found[:2], _area(small) / _area(large),
            )  # fmt: skip
            rings[first] = large
            return
    raise ValueError(
        f"{caller}() needs polygons whose outline does not cross itself; got one in {place} that does at "
        f"({found[0]:.10g}, {found[1]:.10g}), so that its inside is open to doubt. {_REPAIR}"
    )


def _check_doubled(rings: Polygon, place: str, caller: str) -> None:
    """Refuse a polygon whose rings run along a line twice, the same way: by their number, what is inside would not be.

    A line that is run to and fro, as to a hole or a spike, bounds nothing.
    """
    edges = edges_of(rings)
    found = np.empty(2)
    swept, order = _sweep(edges)
    kernels.doubled(swept, order, _ON_LINE * np.abs(edges).max(), found)
    if swept is not edges:
        found = found[::-1]
    if np.isfinite(found).all():
        raise ValueError(
            f"{caller}() needs polygons whose rings bound each area once; got one in {place} that runs twice along a "
            f"line at ({found[0]:.10g}, {found[1]:.10g}), so that its inside is open to doubt. {_REPAIR}"
        )


def _check_holes(rings: Polygon, place: str, caller: str) -> None:
    """Refuse a polygon with a hole that reaches out of its outline, leaves nothing of it, or lies in another hole."""
    outline = edges_of(rings[:1])
    low, high = np.minimum(outline[:, 1], outline[:, 3]), np.maximum(outline[:, 1], outline[:, 3])
    whole = _area(rings[0])
    for k, hole in enumerate(rings[1:], 1):
        area = _area(hole)
        places = np.concatenate([hole, 0.5 * (hole + np.roll(hole, -1, axis=0))])
        found = np.empty(1, dtype=np.int64)
        tolerance = max(_ON_LINE * float(np.abs(places).max()), SLIP * math.sqrt(area))
        is_beside = (high >= places[:, 1].min() - tolerance) & (low <= places[:, 1].max() + tolerance)
        kernels.outside(outline[is_beside], places, tolerance, found)
        fault = ""
        if found[0] >= 0:
            fault = "reaches out of its outline"
        elif area >= (1.0 - SLIP) * whole:
            fault = "leaves nothing of it"
        elif _lies_in_another(k, rings):
            fault = "lies in another hole"
        if fault:
            at = places[max(found[0], 0)]
            raise ValueError(
                f"{caller}() needs polygons whose holes lie inside of their outline, side by side; got one in {place} "
                f"with a hole that {fault}, at ({at[0]:.10g}, {at[1]:.10g}). Make a polygon of each area, a "
                f"MultiPolygon of them; or repair it: {_REPAIR.removeprefix('Repair it: ')}"
            )


def _lies_in_another(k: int, rings: Polygon) -> bool:
    """Whether a hole lies in another one, of holes that do not cross."""
    own = place_inside(rings[k])[np.newaxis]
    low, high = rings[k].min(axis=0), rings[k].max(axis=0)
    return any(
        (hole.min(axis=0) <= low).all() and (hole.max(axis=0) >= high).all() and holds(hole, own)[0]
        for hole in (*rings[1:k], *rings[k + 1 :])
    )


def _area(ring: np.ndarray) -> float:
    return abs(signed_area(ring))
