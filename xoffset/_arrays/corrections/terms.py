"""Terms of a correction: the table of their coefficients, and the displacement that they add up to at any node."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from xoffset._arrays.corrections import edges
from xoffset._arrays.corrections.robust import Design
from xoffset._arrays.corrections.track import Track
from xoffset._arrays.layers import Layers

# Powers of x and of y in the terms of a ramp, and how many of them belong to each order.
POWERS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
OF_ORDER = (1, 3, 6)
# Powers of the elevation.
ELEVATION = 2
# How far beyond the elevations of stable ground the polynomial holds, in their range.
BEYOND = 0.1
# What came of a pair: corrected; corrected by the mode of the whole field; left as it was.
CORRECTED, UNREFERENCED, NOT_CORRECTED = 0, 1, 2
# Vectors on stable ground that a step needs.
LEAST = 20
# Highest number of a stripe of a sensor.
STRIPES = 32


@dataclass(frozen=True)
class Setup:
    """What is to be corrected, as plain numbers."""

    order: int | None = 0  # None: told from the data
    is_needed: bool = True  # whether the order must be carried by some pair
    stripes: int = 0  # of the sensor, each with a step; 0 if they are not told
    half: tuple[float, float] | None = None  # half of the scene [m] along x and y if edges of stripes are to be found
    has_elevation: bool = False
    depths: tuple[float, ...] = ()  # locking depths [m] that the motion across a trace may have; none without a trace
    blur: float = 0.0  # distance from a trace [m] up to which windows lie on both sides of it
    is_referenced: bool = True  # to ground that is stable
    least: tuple[float, float] = (500, 0.005)  # vectors on stable ground, and their share of all
    largest: float = np.inf  # shift [m] that is taken off
    track: Track | None = None  # of the jitter; None: it stays

    @cached_property
    def terms(self) -> Layers:
        """Coefficients of one component."""
        return Layers(
            ramp=len(POWERS),
            elevation=ELEVATION if self.has_elevation else 0,
            secondary=self.stripes,
            reference=self.stripes,
        )

    @cached_property
    def table(self) -> Layers:
        """Numbers of a pair.

        Coefficients [m] of x and of y, NaN of what is unknown, with their variances [m2]; order of the ramp; what came
        of the pair; number of vectors that it was told from, and how many of them err alike; lowest and highest
        elevation there [m]; offset across the trace [m], which stays, and its locking depth [m]; standard error of the
        shift [m], and the parts of it that belong to the two dates and to the pair alone, the latter before a network
        lowers it; shift of the pair by itself [m], and standard error of a pair that keeps it [m]; weight that the
        pair kept in the adjustment by date; edges of stripes that were found, the same for all pairs; direction of
        flight in degrees, and the jitter [m] as `Track` has it, NaN where it is not known.
        """
        each = (2, self.terms.count)
        return Layers(
            coefficient=each, variance=each, order=(), is_lowered=(), state=(), n_stable=(), alike=(), elevation=2,
            trace=2, depth=(), sigma_shift=(), sigma_parts=2, shift=2, sigma_left=(), trust=(),
            edges=0 if self.half is None else edges.SIZE, heading=int(self.track is not None),
            jitter=self.track.shape if self.track is not None else 0,
        )  # fmt: skip

    @property
    def has_unknown(self) -> bool:
        """Whether a part of the correction may be unknown at some nodes."""
        return self.stripes > 0 or self.has_elevation or self.track is not None

    @property
    def is_constant(self) -> bool:
        """Whether nothing but one shift is wanted."""
        return self.order == 0 and not (self.stripes or self.has_elevation or self.depths)


class Places(NamedTuple):
    """Nodes of any shape: where they are, and what the sensor and the ground are there."""

    u: np.ndarray  # along x, -1 to 1 over the scene
    v: np.ndarray  # along y
    secondary: np.ndarray | None = None  # number of the stripe in the secondary image, 0 where there is none
    reference: np.ndarray | None = None
    elevation: np.ndarray | None = None  # [m]
    across: np.ndarray | None = None  # distance from the trace [m], with a sign for each side

    def at(self, index: np.ndarray) -> Places:
        """Some of the nodes: by their numbers (node,), or where a boolean array of their shape is True."""
        shape = index.shape if index.dtype == np.bool_ else self.u.shape
        return Places(*(None if each is None else np.broadcast_to(each, shape)[index] for each in self))  # type: ignore[arg-type]


def with_found(places: Places, found: np.ndarray, setup: Setup) -> Places:
    """Nodes with the stripes between the edges that were found."""
    if setup.half is None:
        return places
    stripes = edges.numbers(places.u * setup.half[0], places.v * setup.half[1], found)
    return places._replace(secondary=stripes, reference=stripes)


def checked_stripes(lowest: np.ndarray, highest: np.ndarray) -> np.ndarray:
    """The highest number of a stripe of each date (date,), after it is told that the numbers are none.

    Raises
    ------
    ValueError
        If a number is out of range, or all of them are 0.
    """
    low, high = int(lowest.min(initial=0)), int(highest.max(initial=0))
    if low < 0 or high > STRIPES or high == 0:
        raise ValueError(
            f"correct() needs stripes numbered from 1 to {STRIPES} at most, 0 where there is none; got {low} to "
            f"{high} on the nodes. Number them anew, or leave stripes out."
        )
    return highest.astype(np.int64)


def stripes_of(_: np.ndarray, stripes: np.ndarray) -> np.ndarray:
    """The stripes (date, rows, columns), once `checked_stripes` has seen all of them."""
    return stripes


def scaled(values: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """Coordinates of nodes, or of other places beside them, brought to -1 ... 1 over the nodes."""
    low, high = float(values.min()), float(values.max())
    values = values if others is None else others
    return np.asarray((values - 0.5 * (low + high)) / max(0.5 * (high - low), 1e-9))


def ramp(u: np.ndarray, v: np.ndarray, number: int) -> list[np.ndarray]:
    """The first terms of a ramp."""
    return [u**i * v**j for i, j in POWERS[:number]]


def elevation_terms(elevation: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
    """Powers of the elevation, -1 to 1 between its ends and a little farther, as far as the polynomial is to hold."""
    half = 0.5 * float(ends[1] - ends[0])
    if not half > 0.0:
        return [np.zeros(elevation.shape)] * ELEVATION
    last = 1.0 + 2.0 * BEYOND
    height = np.clip((elevation - (ends[0] + half)) / half, -last, last)
    return [height ** (k + 1) for k in range(ELEVATION)]


def _beyond(elevation: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Where there is no elevation, or one that lies too far beyond the ends of those that tell the polynomial."""
    margin = BEYOND * float(ends[1] - ends[0])
    return np.asarray(~np.isfinite(elevation) | (elevation < ends[0] - margin) | (elevation > ends[1] + margin))


def offset(across: np.ndarray, depth: float) -> np.ndarray:
    """Motion of both sides of a fault that is locked down to a depth [m], -0.5 to 0.5 far from it.

    Savage & Burford 1973, Journal of Geophysical Research 78, 832-845. At a depth of 0 it is a step.
    """
    return np.where(across >= 0.0, 0.5, -0.5) if depth == 0.0 else np.arctan(across / depth) / np.pi


def design(places: Places, order: int, ends: np.ndarray, depth: float | None, is_same: bool, stripes: int) -> Design:
    """Terms at nodes (node,) that are fitted.

    depth: locking depth of the trace [m], None without a trace. is_same: both images were seen by the same stripes, of
    which one step each is told.
    """
    dense = ramp(places.u, places.v, OF_ORDER[order])
    strong = len(dense)
    if depth is not None and places.across is not None:
        dense.append(offset(places.across, depth))
        strong += 1
    if places.elevation is not None:
        dense += elevation_terms(places.elevation, ends)
    steps, signs = [], []
    if places.secondary is not None and places.reference is not None:
        steps, signs = [places.secondary.astype(np.int64) - 1], [1.0]
        if not is_same:
            steps, signs = [*steps, places.reference.astype(np.int64) - 1], [1.0, -1.0]
    return Design(np.stack(dense), tuple(steps), tuple(signs), stripes, len(dense) - strong)


def removed(
    coefficients: np.ndarray, places: Places, ends: np.ndarray, setup: Setup
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Displacement [m] along x and y that the coefficients (2, term) of a pair are worth, and where a part is unknown.

    Where the step of a stripe or the elevation is unknown, the rest is given; where the elevation lies too far beyond
    those of stable ground, what the polynomial is where it ends.
    """
    unknown: np.ndarray | None = None
    parts = setup.terms.split(coefficients.T)
    number = int(np.flatnonzero(parts["ramp"].any(axis=1)).max(initial=0)) + 1
    out = [np.zeros(np.broadcast_shapes(places.u.shape, places.v.shape)) for _ in range(2)]
    # the same operations in the same order at every node, whatever the block
    for k, term in enumerate(ramp(places.u, places.v, number)):
        for total, factor in zip(out, parts["ramp"][k], strict=True):
            total += factor * term
    if places.elevation is not None:
        unknown = _beyond(places.elevation, ends)
        for k, term in enumerate(elevation_terms(places.elevation, ends)):
            for total, factor in zip(out, parts["elevation"][k], strict=True):
                total += np.where(np.isfinite(term), factor * term, 0.0)
    for name, stripe, sign in (("secondary", places.secondary, 1.0), ("reference", places.reference, -1.0)):
        if stripe is None or not np.asarray(parts[name]).any():
            continue
        lacks = np.zeros(stripe.shape, dtype=np.bool_)
        for total, factor in zip(out, parts[name].T, strict=True):
            step = np.concatenate([[np.nan], factor])[stripe]
            lacks |= np.isnan(step)
            total += sign * np.where(np.isnan(step), 0.0, step)
        unknown = lacks if unknown is None else unknown | lacks
    return out, unknown
