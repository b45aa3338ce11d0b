"""Jitter as a part of the correction of a pair: told after all other terms, and added to what they take off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xoffset._arrays.corrections import jitter, terms
from xoffset._arrays.corrections.fit import Sample
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
    found = heading_of_edges(stripes, spacing)
    if not np.isfinite(found):
        raise ValueError(
            "correct() needs the direction of flight for jitter=, which edges between stripes show; got stripes without "
            "an edge in the scene. Pass it in degrees clockwise from grid north: jitter=xoffset.Jitter(heading=192.0)."
        )
    return np.array([found])


def fill(sample: Sample, flight: np.ndarray, setup: Setup, numbers: np.ndarray) -> np.ndarray:
    """The numbers of a pair (layer,), as `Setup.table` says, with the jitter told from what the other terms leave."""
    told = setup.table.split(numbers)
    if setup.track is None:
        return numbers
    told["jitter"][:] = np.nan
    told["heading"][:] = flight
    values, places = sample.at_used()
    if told["state"] == NOT_CORRECTED or not values[0].size:
        return numbers
    parts, _ = terms.removed(told["coefficient"], places, told["elevation"], setup)
    at = At.of(places, float(flight[0]), setup)
    keep = at.stripe >= 0
    left = []
    for k, (value, part) in enumerate(zip(values, parts, strict=True)):
        rest = value - part
        if places.side is not None and np.isfinite(told["trace"][k]):
            rest -= told["trace"][k] * places.side
        left.append(rest[keep])
    track = setup.track
    across = track.across(places.u, places.v, float(flight[0]))
    told["jitter"][:] = jitter.of_pair(left, at.along[keep], across[keep], at.stripe[keep], track)
    return numbers


@dataclass(frozen=True)
class At:
    """Where nodes lie in the table of the jitter: along the flight, across it, and in which stripe, -1 in none."""

    along: np.ndarray
    across: np.ndarray | None
    stripe: np.ndarray

    @classmethod
    def of(cls, places: Places, flight: float, setup: Setup) -> At:
        """Places of nodes of a pair: where its images were seen by two stripes, there is none."""
        assert setup.track is not None
        along = setup.track.along(places.u, places.v, flight)
        across = setup.track.across(places.u, places.v, flight) if setup.track.is_wavelet else None
        return cls(along, across, stripe_of(places, along.shape))

    def of_stripe(self, stripe: np.ndarray) -> At:
        """The same nodes in other stripes."""
        return At(self.along, self.across, stripe)

    def jitter(self, table: np.ndarray) -> np.ndarray:
        """Values (component, ...) of a table (component, stripe, column, bin), NaN where it is not known."""
        components, stripes, columns, bins = table.shape
        # a stripe more, which -1 takes
        table = np.concatenate([table, np.full((components, 1, columns, bins), np.nan)], axis=1)
        first, part = _between(self.along, bins)
        if self.across is None:
            places = (self.stripe * columns) * bins + first
            return _mixed(table.reshape(components, -1), places % ((stripes + 1) * bins), part)
        column, share = _between(self.across, columns)
        out = np.zeros((components, *self.along.shape))
        for offset, weight in ((0, 1.0 - share), (1, share)):
            places = (self.stripe % (stripes + 1) * columns + column + offset) * bins + first
            out += weight * _mixed(table.reshape(components, -1), places, part)
        return out


def stripe_of(places: Places, shape: tuple[int, ...]) -> np.ndarray:
    """Stripe of both images, from 0 on, -1 where they differ or there is none; 0 everywhere of a sensor without."""
    if places.secondary is None or places.reference is None:
        return np.zeros(shape, dtype=np.int64)
    return np.where(places.secondary == places.reference, places.secondary, 0).astype(np.int64) - 1


def _between(place: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The entry before each place, and how far it lies toward the next one."""
    first = np.clip(np.floor(place).astype(np.int64), 0, count - 2)
    return first, place - first


def _mixed(table: np.ndarray, places: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Values (component, ...) between the entries at places and the next ones."""
    return np.stack([(1.0 - part) * each[places] + part * each[places + 1] for each in table])


def added(
    parts: list[np.ndarray], unknown: np.ndarray | None, told: Told, at: At | None
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Displacements [m] along x and y that are taken off, with the jitter, and where a part is unknown."""
    if at is None:
        return parts, unknown
    values = at.jitter(told["jitter"])
    lacks = np.isnan(values).any(axis=0)
    parts = [part + np.where(lacks, 0.0, value) for part, value in zip(parts, values, strict=True)]
    return parts, lacks if unknown is None else unknown | lacks
