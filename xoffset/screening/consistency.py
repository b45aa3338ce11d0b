"""Tests of the pairs of each pixel against its others: velocities over time, and what closes around three dates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays.networks import graph
from xoffset._arrays.networks.observations import Observations
from xoffset._blocks import halos, pixels
from xoffset._kernels.maps import outliers
from xoffset._kernels.networks.triplets import unconfirmed
from xoffset.model import checks, grids
from xoffset.model.flags import FLAGS
from xoffset.model.points import places_of
from xoffset.screening.limits import usual_errors, with_usual


@dataclass(frozen=True)
class Consistency:
    """Tests of the pairs of a pixel against each other; None tests nothing."""

    angle: float | None = None  # rad, from the median velocity
    deviation: float | None = None  # from the median velocity, in robust standard deviations
    closure: float | None = None  # largest misclosure, in its standard errors

    @property
    def are_asked(self) -> bool:
        """Whether there is anything to test."""
        return self != Consistency()

    def check(self, shifts: xr.Dataset) -> None:
        """Refuse shifts with too few pairs to tell anything."""
        pairs = shifts.sizes["pair"]
        if not (self.angle is None and self.deviation is None) and pairs < outliers.LEAST:
            raise ValueError(
                f"screen() needs at least {outliers.LEAST} pairs for max_angle_spread and max_deviation; got {pairs}. "
                "Match more pairs, or leave these out."
            )
        if self.closure is None:
            return
        _spacing(shifts)
        if not len(_triplets(shifts)[1]):
            raise ValueError(
                f"screen() needs three dates with all of their three pairs for max_closure; got {pairs} pairs without. "
                "Match longer pairs too, pairs(max_gap=2), or leave max_closure out."
            )

    def failed(self, shifts: xr.Dataset, dx: Any, dy: Any, years: np.ndarray) -> Any:
        """Flags of the tests that vectors fail (pair, y, x), int64, from what earlier tests left of them."""
        sigmas = [shifts[name].data for name in ("sigma_dx", "sigma_dy")]
        out: Any = np.int64(0)
        if self.angle is not None or self.deviation is not None:
            angle, deviation = (math.inf if limit is None else limit for limit in (self.angle, self.deviation))
            test = partial(_at_odds_in_time, years=years, usual=usual_errors(shifts), limits=(angle, deviation))
            found = pixels.per_pixel(test, [dx, dy, *sigmas], len(years)).astype(np.int64)
            out = ((found & outliers.POINTS_ELSEWHERE) > 0) * np.int64(FLAGS["angle_spread"])
            out = out | ((found & outliers.IS_FAR) > 0) * np.int64(FLAGS["temporal_outlier"])
        if self.closure is not None:
            out = out | (_unconfirmed(shifts, [dx, dy, *sigmas], self.closure) > 0.0) * np.int64(FLAGS["closure"])
        return out


def _at_odds_in_time(
    *fields: np.ndarray, years: np.ndarray, usual: np.ndarray, limits: tuple[float, float]
) -> np.ndarray:
    dx, dy, *sigmas = fields
    out = np.empty(dx.shape, dtype=np.uint8)
    errors = [with_usual(sigma, usual[:, np.newaxis, np.newaxis]) for sigma in sigmas]
    outliers.at_odds_in_time(years, dx, dy, *errors, *limits, out)
    return out.astype(dx.dtype)


def _triplets(shifts: xr.Dataset) -> tuple[Observations, np.ndarray, slice | np.ndarray]:
    """Observations of the pairs in order of their dates, their triplets, and that order."""
    order, _, ends = checks.sorted_pairs(shifts)
    seen = Observations.of(ends)
    return seen, graph.triplets(seen.ends), order


def _spacing(shifts: xr.Dataset) -> grids.Spacing:
    """Distance of the nodes."""
    # points that lie alone have no gradient: whatever is infinitely far away adds nothing
    is_alone = places_of(shifts) is not None or shifts.sizes["y"] * shifts.sizes["x"] == 1
    return grids.Spacing(math.inf, math.inf) if is_alone else grids.spacing(shifts, "screen")


def _unconfirmed(shifts: xr.Dataset, fields: list[Any], limit: float) -> Any:
    """Where no triplet of a pair closes (pair, y, x), above 0."""
    seen, triplets, order = _triplets(shifts)
    spacing = _spacing(shifts)
    is_backward = np.zeros(len(seen.ends), dtype=np.bool_)
    is_backward[seen.group[seen.sign < 0.0]] = True
    test = partial(_unconfirmed_of_block, seen=seen, of_pair=seen.of_pairs(order))
    test = partial(test, network=(triplets, is_backward, spacing.x, spacing.y, limit))
    return halos.around_pixel(test, [field[order] for field in fields], 1, shifts.sizes["pair"])


def _unconfirmed_of_block(
    *fields: np.ndarray, seen: Observations, of_pair: np.ndarray, network: tuple[Any, ...]
) -> np.ndarray:
    found = np.empty((len(seen.ends), *(size - 2 for size in fields[0].shape[1:])))
    unconfirmed(*network, seen.merge(*fields), found)
    return np.asarray(found[of_pair], dtype=fields[0].dtype)
