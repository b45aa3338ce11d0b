"""Jitter as a part of the correction of a pair: told after all other terms, and added to what they take off."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xoffset._arrays.corrections import jitter, terms
from xoffset._arrays.corrections.terms import NOT_CORRECTED, Places, Setup
from xoffset._arrays.corrections.track import heading_of_edges

Told = dict[str, np.ndarray]


def heading(stripes: np.ndarray, *, spacing: tuple[float, float]) -> np.ndarray:
    """Direction of flight (1,) in degrees, from the edges of stripes (time, rows, columns).

    Raises
    ------
    ValueError
        If there are no edges.
    """
    return _checked(heading_of_edges(stripes, spacing))


def along_edges(edges: np.ndarray) -> np.ndarray:
    """Direction of flight (1,) in degrees, from edges of stripes as `edges.found` tells them.

    Raises
    ------
    ValueError
        If there are no edges.
    """
    tilt, *places = edges
    return _checked(180.0 + float(tilt) if np.isfinite(places).any() else np.nan)


def _checked(found: float) -> np.ndarray:
    if not np.isfinite(found):
        raise ValueError(
            "correct() needs the direction of flight for jitter, which edges between stripes show; got no "
            "edge in the scene. Pass it in degrees clockwise from grid north: jitter=xoffset.Jitter(heading=192.0)."
        )
    return np.array([found])


def fill(values: list[np.ndarray], places: Places, before: np.ndarray, setup: Setup, numbers: np.ndarray) -> None:
    """Fill in the jitter of a pair, among its numbers (layer,) as `Setup.table` says, from what other terms leave.

    What it may be wrong by adds to the standard error of the shift.

    values: displacements (component)(node,) on stable ground; before: the jitter that is known so far, NaN if none is.
    """
    told, track = setup.table.split(numbers), setup.track
    assert track is not None
    told["jitter"][:] = np.nan
    if told["state"] == NOT_CORRECTED or not values[0].size:
        return
    parts, _ = terms.removed(told["coefficient"], places, told["elevation"], setup)
    left = [value - part for value, part in zip(values, parts, strict=True)]
    if places.across is not None and np.isfinite(told["depth"]):
        step = terms.offset(places.across, float(told["depth"]))
        left = [rest - np.nan_to_num(size) * step for rest, size in zip(left, told["trace"], strict=True)]
    stripe = stripe_of(places)
    keep = stripe >= 0
    along, across = (
        np.broadcast_to(place(places.u, places.v, float(told["heading"][0])), stripe.shape)[keep]
        for place in (track.along, track.across)
    )
    left = [rest[keep] for rest in left]
    told["jitter"][:], variance = jitter.of_pair(left, along, across, stripe[keep], before, track)
    if track.is_wavelet:
        # a profile counts what neighbours share by itself
        variance *= float(told["alike"])
    sigma = setup.table.at("sigma_shift")
    numbers[sigma] = np.sqrt(numbers[sigma] ** 2 + variance.mean())


@dataclass(frozen=True)
class At:
    """Where nodes lie in the table of the jitter: along the flight, across it, and in which stripe, -1 in none."""

    along: np.ndarray
    across: np.ndarray | None
    stripe: np.ndarray

    @classmethod
    def of(cls, places: Places, flight: float, setup: Setup) -> At:
        """Places of the nodes of a pair."""
        assert setup.track is not None
        along = setup.track.along(places.u, places.v, flight)
        across = setup.track.across(places.u, places.v, flight) if setup.track.is_wavelet else None
        return cls(along, across, stripe_of(places))

    def of_stripe(self, places: Places) -> At:
        """The same nodes of another pair, whose stripes may be others."""
        return replace(self, stripe=stripe_of(places))

    def jitter(self, table: np.ndarray) -> np.ndarray:
        """Values (component, ...) of a table (component, stripe, column, bin), NaN where it is not known."""
        components, stripes, columns, bins = table.shape
        flat = table.reshape(components, -1)
        stripe = np.clip(self.stripe, 0, stripes - 1)
        first, part = _between(self.along, bins)
        if self.across is None:
            return self._where_seen(_mixed(flat, stripe * bins + first, part))
        column, share = _between(self.across, columns)
        places = (stripe * columns + column) * bins + first
        near, far = _mixed(flat, places, part), _mixed(flat, places + bins, part)
        return self._where_seen((1.0 - share) * near + share * far)

    def _where_seen(self, values: np.ndarray) -> np.ndarray:
        return np.where(self.stripe >= 0, values, np.nan)


def stripe_of(places: Places) -> np.ndarray:
    """Stripe of both images, from 0 on, -1 where they differ or there is none; 0 everywhere of a sensor without."""
    if places.secondary is None or places.reference is None:
        return np.zeros(np.broadcast_shapes(places.u.shape, places.v.shape), dtype=np.int64)
    return np.where(places.secondary == places.reference, places.secondary, 0).astype(np.int64) - 1


def _between(place: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The entry before each place, and how far it lies toward the next one."""
    first = np.clip(np.floor(place).astype(np.int64), 0, count - 2)
    return first, place - first


def _mixed(table: np.ndarray, places: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Values (component, ...) between the entries at places and the next ones."""
    return np.stack([(1.0 - part) * each[places] + part * each[places + 1] for each in table])


def added(
    parts: list[np.ndarray], unknown: np.ndarray | None, told: Told, at: At
) -> tuple[list[np.ndarray], np.ndarray]:
    """Displacements [m] along x and y that are taken off, with the jitter, and where a part is unknown."""
    values = at.jitter(told["jitter"])
    lacks = np.isnan(values).any(axis=0)
    parts = [part + np.where(lacks, 0.0, value) for part, value in zip(parts, values, strict=True)]
    return parts, lacks if unknown is None else unknown | lacks
