"""What is known of a network of pairs and of a strip of its pixels: the arrays that the kernels of the inversion share.

Pixels lie side by side along the last axis of every array (the lanes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from xoffset._arrays.layers import Layers
from xoffset._kernels.networks.chains import PRIOR, SHARES


class Network(NamedTuple):
    """Dates and pairs that all pixels share.

    ends (pair, 2): earlier and later date of each pair, as indices; first (date,): first column of the envelope of each
    row; home: dates whose mean displacement is zero; times (date,): years; factor (2, date): of the variances of the
    dates along x and y, as stable ground shows them; shares (share,): how probable each of `chains.SHARES` is in the
    scene; by_baseline (pair,): pairs from the shortest to the longest.
    """

    ends: np.ndarray
    first: np.ndarray
    home: np.ndarray
    times: np.ndarray
    factor: np.ndarray
    shares: np.ndarray
    by_baseline: np.ndarray

    @classmethod
    def of(
        cls,
        ends: np.ndarray,
        first: np.ndarray,
        home: np.ndarray,
        times: np.ndarray,
        factor: np.ndarray | None = None,
        shares: np.ndarray | None = None,
    ) -> Network:
        """The same with its pairs in order; factors are 1 and shares those that are usual where nothing is given."""
        factor = np.ones((2, times.size)) if factor is None else factor
        shares = np.array(PRIOR) if shares is None else shares
        order = np.argsort(times[ends[:, 1]] - times[ends[:, 0]], kind="stable")
        return cls(ends, first, home, np.ascontiguousarray(times), factor, shares, order)


class Method(NamedTuple):
    """How to solve: loss and islands by number; smooth [yr m-1], below zero for cross-validation.

    residual_scale and residual_limit [m] belong to the loss `losses.RESIDUAL`.
    """

    loss: int
    islands: int
    smooth: float
    is_general: bool  # weights are not the inverse of the variances, or the series is smoothed
    residual_scale: float = np.inf
    residual_limit: float = np.inf


class SeriesLayers(NamedTuple):
    """Results of each pixel, (..., *pixels)."""

    displacement: Any  # (2, date) along x and y
    variance: Any  # (2, date) of each date
    state: Any  # (date)
    misclosure: Any  # root mean square
    n_pairs: Any
    n_groups: Any
    n_outliers: Any
    share: Any  # of the variances that is the pairs' own
    has_settled: Any  # whether the loss settled
    smooth: Any
    is_inconsistent: Any  # whether short and long pairs tell different motion
    drift: Any  # (2) variance that the noise of the pairs adds to a velocity
    root: Any  # (date) of groups that are separate the date of their zero, -1 where that is the reference; or nothing

    @classmethod
    def places(cls, dates: int, has_root: bool = False) -> Layers:
        """Where each of them is in an array (layer, *pixels) for so many dates."""
        shapes: dict[str, tuple[int, ...]] = {
            "displacement": (2, dates), "variance": (2, dates), "state": (dates,), "drift": (2,),
            "root": (dates * has_root,),
        }  # fmt: skip
        return Layers(**{name: shapes.get(name, ()) for name in cls._fields})

    @classmethod
    def of(cls, found: Any, dates: int) -> SeriesLayers:
        """Results by name from an array (layer, *pixels)."""
        has_root = found.shape[0] > cls.places(dates).count
        return cls(**cls.places(dates, has_root).split(found))


@dataclass(frozen=True)
class Strip:
    """Arrays that are filled anew for every strip of pixels: (..., lanes), one number a pixel where nothing is said."""

    matches: np.ndarray  # (4, match) displacements and their standard errors as they are given, in their type
    merged: np.ndarray  # (4, pair) displacements and variances forward in time
    observed: np.ndarray  # (2, pair) displacements, 0 for a pair that takes no part
    variance: np.ndarray  # (2, pair) float32, of each component, of the measurement, NaN for a pair that takes no part
    weight: np.ndarray  # (pair) of least squares, 0 for a pair that takes no part
    trust: np.ndarray  # (pair) factor of the weight that the loss gives
    effective: np.ndarray  # (pair) product of both
    redundancy: np.ndarray  # (pair) 1 minus leverage
    length: np.ndarray  # (pair) studentised residual
    band: np.ndarray  # (date, width) normal matrix, then its factor
    factor: np.ndarray  # (date, width) of the normal matrix that the errors come from
    inverse: np.ndarray  # (date, 2 width - 1) of the normal matrix within the envelope, on both sides of the diagonal
    whole: np.ndarray  # (date, date) the whole inverse, where it is needed
    solution: np.ndarray  # (2, date)
    change: np.ndarray  # (2, date) right-hand sides
    sums: np.ndarray  # (1, date) of the rows of the inverse
    of_date: np.ndarray  # (2, date) float32: variance that belongs to each date
    least_of_date: np.ndarray  # (2, date) float32, variance that no date is below, by its best pair
    work: np.ndarray  # (2, date) float32, of `variances.split`
    prior: np.ndarray  # (2, date) series that the smoothness refers to
    state: np.ndarray  # (date) int64
    root: np.ndarray  # (date) int64: first date of the group that the date belongs to
    zero: np.ndarray  # int64: a date of the group that has the reference, or of the largest
    lacks: np.ndarray  # 1 where the reference dates have no pair, or not all in one group
    n_pairs: np.ndarray
    n_groups: np.ndarray
    members: np.ndarray  # dates of the group of `zero`
    redundant: np.ndarray  # pairs that the dates do not need
    is_blind: np.ndarray  # 1 where no pair has a variance
    total: np.ndarray  # (2) sums of the variances of the pairs
    mean_weight: np.ndarray
    scale: np.ndarray  # of the noise, in units of the weights
    largest_change: np.ndarray  # square of the last step
    largest: np.ndarray  # square of the solution
    is_settled: np.ndarray  # 1 where the loss settled
    strength: np.ndarray  # of the smoothness
    far: np.ndarray  # (date) 1 where smoothing holds a date far from its pairs
    is_beyond: np.ndarray  # 1 where the smoothness is more than the noise explains
    share: np.ndarray  # of the variances that is the pairs' own
    likelihood: np.ndarray  # (share) logarithms of those of `chains.SHARES`, from the changes from date to date
    guess: np.ndarray  # of the share, from these
    least_share: np.ndarray  # smallest that it may be where the pairs tell little of it
    n_outliers: np.ndarray
    misclosure: np.ndarray

    @property
    def lanes(self) -> int:
        """Number of pixels."""
        return int(self.weight.shape[1])


def strip(matches: int, dtype: Any, network: Network, lanes: int, needs_whole: bool) -> Strip:
    """Arrays for so many pixels, and for so many matches of a type."""
    pairs, dates = len(network.ends), network.first.size
    width = int((np.arange(dates) - network.first).max(initial=0)) + 1
    of_pairs, of_dates = (pairs,), (dates,)
    shapes: dict[str, tuple[int, ...]] = {
        "matches": (4, matches), "merged": (4, pairs), "observed": (2, pairs), "variance": (2, pairs),
        "weight": of_pairs, "trust": of_pairs, "effective": of_pairs, "redundancy": of_pairs, "length": of_pairs,
        "band": (dates, width), "factor": (dates, width), "inverse": (dates, 2 * width - 1),
        "whole": (dates, dates) if needs_whole else (0, 0), "solution": (2, dates), "change": (2, dates),
        "sums": (1, dates), "of_date": (2, dates), "least_of_date": (2, dates), "work": (2, dates),
        "prior": (2, dates), "state": of_dates,
        "root": of_dates, "far": of_dates, "total": (2,), "likelihood": (len(SHARES),),
    }  # fmt: skip
    dtypes: dict[str, Any] = dict.fromkeys(
        ("variance", "of_date", "least_of_date", "work"), np.float32
    ) | dict.fromkeys(("state", "root", "zero"), np.int64)
    dtypes["matches"] = dtype
    names = [each.name for each in fields(Strip)]
    return Strip(*(np.zeros((*shapes.get(name, ()), lanes), dtypes.get(name, np.float64)) for name in names))


def strips_of(count: int, lanes: int) -> Iterator[slice]:
    """Strips of pixels; the last overlaps the one before rather than being smaller: the bits are the same."""
    for start in range(0, count, lanes):
        yield slice(min(start, count - lanes), min(start, count - lanes) + lanes)
