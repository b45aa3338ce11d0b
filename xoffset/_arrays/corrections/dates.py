"""Numbers of pairs as differences of those of dates: robust adjustment of a network, a few numbers a pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from xoffset._arrays.networks import solver
from xoffset._kernels.networks.variances import PRIOR_SHARE

# Reweighting steps: those of the start, by absolute values, which no bad pair can draw, and the most of the rest.
START, STEPS = 10, 30
# Residual, as a share of the scale, below which the start weighs pairs alike.
ALIKE = 0.1
# Root mean square residual in units of the scale beyond which a pair does not count (Tukey): that of vectors of two
# components, whatever a pair tells, since its numbers may go wrong together.
TUKEY = 5.123 / np.sqrt(2.0)
# Trust below which a pair is left out: it ties no dates any more.
REJECTED = 0.01
# Residual, in the standard errors that pairs claim, up to which they tell how much of these is their own.
CLAIMED = 5.0
# Trust from which on a pair counts in full for what is known of the dates.
FULL = 0.5
# Change of the trust at which the weights have settled.
TOLERANCE = 1e-3
# Share of its error that the residual of a pair must show for the pair to be checked by others.
CHECKED = 1e-6
# Scale, as a share of the numbers in their standard errors, below which residuals are but rounding.
ROUNDING = 1e-12
# Numbers in the normal matrices that are held at a time.
AT_ONCE = 1 << 22


class Adjusted(NamedTuple):
    """Tables of dates, and what pairs take from them.

    `of_dates` (date, set, number) is zero on the mean of the dates that pairs tie together, NaN for a date that none
    ties, and `of_dates_variance` its variance. `of_pairs` (pair, set, number) is that of the second date less that of
    the first, NaN where no chain of pairs leads from one to the other, and `variance` its variance; `own` is that of
    the pair alone, or, of a pair without numbers, the sum of those of its dates. `trust` (pair, set), 0 to 1, is what
    weight the pair kept, NaN of one without numbers. `part` (date, set, number) tells which dates are tied together,
    by the first of them. `share` (set,) of the variances is the pairs' own.
    """

    of_dates: np.ndarray
    of_dates_variance: np.ndarray
    of_pairs: np.ndarray
    variance: np.ndarray
    own: np.ndarray
    trust: np.ndarray
    part: np.ndarray
    share: np.ndarray


def adjust(values: np.ndarray, variance: np.ndarray, ends: np.ndarray, dates: int) -> Adjusted:
    """Numbers q of the dates of which those of the pairs (pair, set, number) are differences, p = q_second - q_first.

    Each number is adjusted by itself, with the inverse of its variance as weight; NaN takes no part. The numbers of a
    set are trusted or not together: a match that fails spoils all of them.

    The errors of a pair are those of its two dates, which close around every triplet and which no residual shows, and
    its own. The residuals tell how much of the variance is the pairs' own: that part falls with the redundancy of the
    network, the rest stays.

    Parameters
    ----------
    values, variance
        (pair, set, number), NaN where unknown.
    ends
        (pair, 2) indices of the dates of each pair.
    dates
        Number of the dates.
    """
    network = _Network.of(values, variance, ends, dates)
    trust, share = _trust(network)
    weight = network.weight * np.where(trust >= REJECTED, trust, 0.0)[:, :, np.newaxis]
    of_dates, part = network.solve(weight), network.parts(weight)
    # a pair that fits tells all that it knows, though its weight is a little lowered
    reach, spread = network.reach(network.weight * np.minimum(trust / FULL, 1.0)[:, :, np.newaxis] * (weight > 0.0))
    first, second = ends.T
    is_tied = part[first] == part[second]
    of_pairs = np.where(is_tied, of_dates[second] - of_dates[first], np.nan)
    own, of_date = network.of_two_dates()
    # what residuals do not show stays
    total, of_dates_variance = (
        np.maximum(1.0 - share, 0.0)[:, np.newaxis] * stays + share[:, np.newaxis] * falls
        for stays, falls in ((own, reach), (of_date, spread))
    )
    # a date without pairs has nothing that it differs from
    is_alone = _size(part) == 1
    return Adjusted(
        np.where(is_alone, np.nan, of_dates),
        np.where(is_alone, np.nan, of_dates_variance),
        of_pairs,
        np.where(is_tied, total, np.nan),
        own,
        np.where((network.weight > 0.0).any(axis=2), trust, np.nan),
        part,
        np.minimum(share, 1.0),
    )


@dataclass(frozen=True)
class _Network:
    """Numbers of the pairs (pair, set, number), 0 where unknown, and their weights, 0 there, on a network."""

    values: np.ndarray
    weight: np.ndarray
    ends: np.ndarray
    dates: int

    @classmethod
    def of(cls, values: np.ndarray, variance: np.ndarray, ends: np.ndarray, dates: int) -> _Network:
        known = np.isfinite(values) & np.isfinite(variance) & (variance > 0.0)
        weight = np.divide(1.0, variance, out=np.zeros(known.shape), where=known)
        return cls(np.where(known, values, 0.0), weight, ends, dates)

    @cached_property
    def redundancy(self) -> np.ndarray:
        """Share of the error of each number that its residual shows; 0 where it is unknown."""
        return self.shown(self.weight)

    def shown(self, weight: np.ndarray) -> np.ndarray:
        """Share of the error of each number that its residual shows with these weights, 1 less its leverage."""
        return np.where(weight > 0.0, np.clip(1.0 - weight * self.reach(weight)[0], 0.0, 1.0), 0.0)

    def away(self, of_dates: np.ndarray) -> np.ndarray:
        """Residuals (pair, set, number): what each pair says beyond its dates."""
        first, second = self.ends.T
        return np.asarray(self.values - (of_dates[second] - of_dates[first]))

    def residuals(self, of_dates: np.ndarray) -> np.ndarray:
        """Root mean square (pair, set) of the residuals in their own standard errors, NaN of a pair nothing checks.

        Numbers of a pair that are checked poorly count by how far they are.
        """
        square = self.weight * self.away(of_dates) ** 2 * (self.redundancy > CHECKED)
        total = self.redundancy.sum(axis=2)
        mean = np.divide(square.sum(axis=2), total, out=np.full(total.shape, np.nan), where=total > CHECKED)
        return np.asarray(np.sqrt(mean))

    def of_two_dates(self) -> tuple[np.ndarray, np.ndarray]:
        """Variances of the pairs, of those without numbers as the sum of those of their dates, and those of dates."""
        flat = self.weight.reshape(len(self.weight), -1, 1)
        variance = np.divide(1.0, flat, out=np.full(flat.shape, np.nan), where=flat > 0.0)
        out = np.empty((self.dates, *flat.shape[1:]))
        solver.date_variance(self.ends, variance, out)
        first, second = self.ends.T
        own = np.where(flat > 0.0, variance, out[first] + out[second])
        return own.reshape(self.weight.shape), out.reshape(self.dates, *self.weight.shape[1:])

    def solve(self, weight: np.ndarray) -> np.ndarray:
        """Numbers of the dates (date, set, number), of mean zero in each part, with these weights."""

        def found(normal: np.ndarray, right: np.ndarray) -> np.ndarray:
            return np.asarray(np.linalg.solve(normal, right[:, :, np.newaxis])[:, :, 0].T)

        return self._each(found, weight, self.dates)

    def reach(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Variances (pair, set, number) of the differences of dates, if the weights are the inverse variances.

        And those of the dates (date, set, number) since the mean of their part.
        """
        first, second = self.ends.T

        def found(normal: np.ndarray, _: np.ndarray) -> np.ndarray:
            inverse = np.linalg.inv(normal)
            diagonal = np.einsum("kii->ik", inverse)
            of_pairs = diagonal[first] + diagonal[second] - 2.0 * inverse[:, first, second].T
            return np.concatenate([of_pairs, diagonal])

        out = self._each(found, weight, len(self.ends) + self.dates)
        # the condition on the mean of n dates has added 1/n²
        of_dates = out[len(self.ends) :] - 1.0 / _size(self.parts(weight)) ** 2
        return out[: len(self.ends)] / _unit(weight), np.maximum(of_dates, 0.0) / _unit(weight)

    def parts(self, weight: np.ndarray) -> np.ndarray:
        """First of the dates (date, set, number) that a chain of pairs with a weight ties to each date."""
        part = np.tile(np.arange(self.dates).reshape(-1, 1, 1), (1, *weight.shape[1:]))
        known = weight > 0.0
        while True:
            before = part.copy()
            for pair, (i, j) in enumerate(self.ends):
                lower = np.minimum(part[i], part[j])
                part[i], part[j] = (np.where(known[pair], lower, part[k]) for k in (i, j))
            if np.array_equal(part, before):
                return part

    def _each(self, found: Callable[..., np.ndarray], weight: np.ndarray, rows: int) -> np.ndarray:
        """What a function makes of the normal equations of some numbers, for all: (rows, set, number)."""
        unit, part = _unit(weight), self.parts(weight)
        scaled, pull, part = (
            each.reshape(len(each), -1) for each in (weight / unit, weight / unit * self.values, part)
        )
        out = np.empty((rows, scaled.shape[1]))
        step = max(AT_ONCE // self.dates**2, 1)
        for start in range(0, scaled.shape[1], step):
            some = slice(start, start + step)
            # dates of a part may move together, at no cost: their mean is made zero, which changes no difference
            normal = (part[:, np.newaxis, some] == part[np.newaxis, :, some]).astype(np.float64)
            right = np.zeros(part[:, some].shape)
            for pair, (i, j) in enumerate(self.ends):
                own = scaled[pair, some]
                normal[i, i] += own
                normal[j, j] += own
                normal[i, j] -= own
                normal[j, i] -= own
                right[j] += pull[pair, some]
                right[i] -= pull[pair, some]
            out[:, some] = found(np.ascontiguousarray(np.moveaxis(normal, 2, 0)), np.ascontiguousarray(right.T))
        return out.reshape(rows, *weight.shape[1:])


def _size(part: np.ndarray) -> np.ndarray:
    """Number of dates (date, set, number) in the part of each."""
    return np.stack([(part == each).sum(axis=0) for each in part])


def _unit(weight: np.ndarray) -> np.ndarray:
    """Largest weight of each number, so that none is too small to be told from zero."""
    unit = weight.max(axis=0)
    return np.asarray(np.where(unit > 0.0, unit, 1.0))


def _trust(network: _Network) -> tuple[np.ndarray, np.ndarray]:
    """Factor of the weights of each pair (pair, set), and the share of the variances that is the pairs' own (set,)."""
    trust = np.ones(network.weight.shape[:2])
    least = ROUNDING * np.sqrt((network.weight * network.values**2).mean(axis=(0, 2)))
    scale = np.zeros(network.weight.shape[1])
    for step in range(START + STEPS):
        length = network.residuals(network.solve(network.weight * trust[:, :, np.newaxis]))
        scale = np.maximum(_scale(length, network), least)
        # what nothing checks is trusted
        ratio = np.divide(length, scale, out=np.zeros(length.shape), where=(scale > 0.0) & np.isfinite(length))
        before = trust
        if step < START:
            trust = np.where(ratio > ALIKE, ALIKE / np.maximum(ratio, ALIKE), 1.0)
        else:
            trust = np.where(ratio < TUKEY, (1.0 - np.minimum(ratio / TUKEY, 1.0) ** 2) ** 2, 0.0)
        if step > START and np.abs(trust - before).max(initial=0.0) < TOLERANCE:
            break
    return trust, _share(network, trust)


def _share(network: _Network, trust: np.ndarray) -> np.ndarray:
    """Share of the variances (set,) that is the pairs' own: chi-square of the residuals over its expectation.

    Of pairs that claim much more than they err, as where most noise is that of the dates, the scale of the robust
    weights would leave out good ones; so all count that are as good as they claim, and alike.
    """
    robust = network.solve(network.weight * np.where(trust >= REJECTED, trust, 0.0)[:, :, np.newaxis])
    keeps = ~(network.residuals(robust) > CLAIMED)
    weight = network.weight * keeps[:, :, np.newaxis]
    free = network.shown(weight)
    total, square = free.sum(axis=(0, 2)), (weight * network.away(network.solve(weight)) ** 2).sum(axis=(0, 2))
    redundant = free.mean(axis=2).sum(axis=0)
    mean = np.divide(square, total, out=np.zeros(total.shape), where=total > CHECKED)
    return np.asarray((redundant * mean + PRIOR_SHARE) / (redundant + 1.0))


def _scale(length: np.ndarray, network: _Network) -> np.ndarray:
    """Scale (set,) of the residuals of pairs (pair, set), 0 where none is checked.

    It is 1 where residuals are as large as the standard errors, if the numbers of a pair err each for itself.
    """
    checked = np.isfinite(length)
    out = np.zeros(length.shape[1])
    for k in np.flatnonzero(checked.any(axis=0)):
        numbers = (network.weight[checked[:, k], k] > 0.0).sum(axis=1).mean()
        # median of the mean square of so many normal numbers (Wilson & Hilferty 1931)
        out[k] = np.median(length[checked[:, k], k]) / (1.0 - 2.0 / (9.0 * numbers)) ** 1.5
    return out
