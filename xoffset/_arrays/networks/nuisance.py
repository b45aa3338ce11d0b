"""What comes back with the sun or the seasons, told from slow motion pixel by pixel, and taken off.

Known functions of the dates, whose multiples come off, are fitted together with motion whose velocity is steady or
changes from year to year.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xoffset._arrays.layers import Layers
from xoffset._arrays.networks import solver, trend
from xoffset._arrays.networks.observations import Observations

# Dates that a pixel needs beyond as many as there are parameters: fewer let noise pass for the term.
SPARE = 3
# Least eigenvalue of a normal matrix with a unit diagonal, below which its terms are not told apart.
_ALIKE = 1e-12


@dataclass(frozen=True)
class Nuisance:
    """What all pixels share.

    terms (date, term): functions of the dates whose multiples come off; slow (date, interval): those of the motion;
    beside (date, n): further motion that the terms might be confused with, for the condition number alone; times
    (date,) [yr]; ends (pair, 2) of each match, as indices into the dates, None of a series; loss: of `trend`; growth
    (date,): of the drift of a series; base (pair,): weights of the matches, of which those that are no positive finite
    number take no part.
    """

    terms: np.ndarray
    slow: np.ndarray
    beside: np.ndarray
    times: np.ndarray
    ends: np.ndarray | None
    loss: int
    growth: np.ndarray | None = None
    base: np.ndarray | None = None

    @cached_property
    def layers(self) -> Layers:
        """Results of each pixel: displacements without the terms, in the order of the input, and what was found."""
        count, terms = len(self.times if self.ends is None else self.ends), self.terms.shape[1]
        return Layers(
            dx=count,
            dy=count,
            value=(2, terms),  # parameters along x and y, 0 where they are not told
            covariance=(2, terms, terms),  # of these
            condition=(),  # of the normal matrix with a unit diagonal, its root; NaN where terms are not told apart
            share=(),  # of the variance about the slow motion that the terms take
            is_told=(),
        )

    @property
    def unknowns(self) -> int:
        """Number of parameters, a place to count from included."""
        return 1 + int(self.slow.shape[1] + self.terms.shape[1])

    @cached_property
    def seen(self) -> Observations | None:
        """Matches as observations, None of a series."""
        return None if self.ends is None else Observations.of(self.ends)

    def of_observations(self, values: np.ndarray) -> np.ndarray:
        """Functions of the dates (date, n) as those of the observations."""
        return values if self.seen is None else values[self.seen.ends[:, 1]] - values[self.seen.ends[:, 0]]

    @cached_property
    def problem(self) -> trend.Problem:
        """The fit: for a series, the first parameter is where it starts."""
        design = self.of_observations(np.concatenate([self.slow, self.terms], axis=1))
        first, count = self.slow.shape[1], self.terms.shape[1]
        ends = np.full((len(design), 2), -1)
        if self.seen is None:
            design, first = np.column_stack([np.ones(len(design)), design]), first + 1
        else:
            ends = self.seen.ends
        entries = first + np.moveaxis(np.indices((count, count)), 0, -1).reshape(-1, 2)
        return trend.Problem(design, ends, np.zeros(len(design)), entries, self.loss, growth=self.growth)


def remove(shares: np.ndarray, *fields: np.ndarray, nuisance: Nuisance) -> np.ndarray:
    """`Nuisance.layers` of a block of pixels (layer, rows, columns).

    fields: dx, dy and their standard errors (match or date, rows, columns); of pairs maybe weights, of a series maybe
    the errors of its drift along x and y (1, rows, columns). shares: of `solver.noise`, of no use to a series.
    """
    layers, problem = nuisance.layers, nuisance.problem
    out = np.empty((layers.count, *fields[0].shape[1:]), fields[0].dtype)
    found = trend.layers(problem)
    measured, noise, walk = _measured(shares, fields, nuisance)
    fitted = trend.fit(problem, found, measured, noise, walk=walk)
    is_used = used(*measured)
    count = nuisance.terms.shape[1]
    values = np.stack([fitted[found[f"value_{name}"]] for name in "xy"])
    own = values[:, -count:]
    is_told = np.isfinite(own).all(axis=(0, 1)) & (_dates(is_used, nuisance) >= nuisance.unknowns + SPARE)
    values = np.where(is_told & np.isfinite(values), values, 0.0)
    parts = layers.split(out)
    parts["value"][:] = values[:, -count:]
    for axis, name in enumerate("xy"):
        spread = fitted[found[f"covariance_{name}"]].reshape(count, count, *is_told.shape)
        parts["covariance"][axis] = np.where(is_told, spread, 0.0)
        removed = combined(_of_matches(nuisance), parts["value"][axis].astype(np.float64))
        parts[f"d{name}"][:] = fields[axis] - removed
    every = np.concatenate([nuisance.slow, nuisance.beside, nuisance.terms], axis=1)
    parts["condition"][:] = condition(nuisance.of_observations(every), is_used, is_series=nuisance.seen is None)
    parts["share"][:] = np.where(is_told, _share(problem.design, measured[0], values, is_used, count), np.nan)
    parts["is_told"][:] = is_told
    return out


def carried(dates: int) -> Layers:
    """Where the results of `carry` are."""
    return Layers(
        removed_dx=dates, removed_dy=dates, sigma_dx=dates, sigma_dy=dates, sigma_drift_dx=(), sigma_drift_dy=()
    )


def carry(is_home: np.ndarray, *fields: np.ndarray, nuisance: Nuisance) -> np.ndarray:
    """What was removed of a series and what that adds to its errors, `carried` of a block (layer, rows, columns).

    is_home (date, 1 or rows, 1 or columns): 1 at the dates whose mean displacement is zero, else 0; fields: dx, dy and
    their standard errors (date, ...), the errors of the drift along x and y (1, ...), values and covariances as in
    `Nuisance.layers`; then maybe, of groups of dates that have zeros of their own, the index of that date (date, ...),
    -1 at dates that count from home, NaN where nobody knows: there what was removed is unknown.
    """
    displacement, sigma, drift = fields[:2], fields[2:4], fields[4:6]
    count, functions = nuisance.terms.shape[1], nuisance.terms
    values, spread = (each.astype(np.float64) for each in fields[6:8])
    layers = carried(len(functions))
    out = np.empty((layers.count, *displacement[0].shape[1:]), displacement[0].dtype)
    parts, centred = layers.split(out), functions - functions.mean(axis=0)
    lever = nuisance.times - nuisance.times.mean()
    slope = (lever[:, np.newaxis] * functions).sum(axis=0) / (lever * lever).sum()
    weight = is_home.sum(axis=0)
    for axis, name in enumerate(("dx", "dy")):
        removed = combined(functions, values[axis * count :][:count])
        zero = np.zeros(removed.shape[1:])
        for k, there in enumerate(is_home):
            zero = zero + there * removed[k]
        own_zero = _at(fields[8], removed, zero / weight) if len(fields) > 8 else zero / weight
        parts[f"removed_{name}"][:] = np.where(np.isnan(displacement[axis]), np.nan, removed - own_zero)
        entries = spread[axis * count**2 :][: count**2]
        # the difference of two dates is off by no more than the root of the sum of both squares
        own = 2.0 * combined(_products(centred), entries)
        parts[f"sigma_{name}"][:] = np.sqrt(sigma[axis].astype(np.float64) ** 2 + own)
        more = combined(_products(slope[np.newaxis]), entries)[0]
        parts[f"sigma_drift_{name}"][:] = np.sqrt(drift[axis][0].astype(np.float64) ** 2 + more)
    return out


def drift(functions: np.ndarray, times: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Velocities (term,) that functions (date, term) pass for, in a line through the pairs (pair, 2) of dates (date,).

    As `velocity` fits it: all pairs count alike, displacement over baseline.
    """
    spans, moved = _of_ends(times, ends), _of_ends(functions, ends)
    return np.asarray((spans[:, np.newaxis] * moved).sum(axis=0) / (spans * spans).sum())


def growth(functions: np.ndarray, times: np.ndarray, ends: np.ndarray) -> float:
    """By what the standard error of such a velocity grows if the functions are fitted beside it, see `drift`.

    Of noise that belongs to the dates, alike on all; infinite where functions and velocity are not told apart.
    """
    spans, moved = _of_ends(times, ends), _of_ends(functions, ends)
    alone = spans - moved @ np.linalg.lstsq(moved, spans, rcond=None)[0]
    if alone @ alone <= _ALIKE * (spans @ spans):
        return float("inf")
    errors = []
    for part in (alone, spans):
        lever = part / (part @ part)
        of_dates = np.bincount(ends[:, 1], lever, times.size) - np.bincount(ends[:, 0], lever, times.size)
        errors.append(np.sqrt(of_dates @ of_dates))
    return float(errors[0] / errors[1])


def _of_ends(functions: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """What functions (date, ...) of the dates change by in each pair (pair, ...)."""
    return np.asarray(functions[ends[:, 1]] - functions[ends[:, 0]])


def _at(root: np.ndarray, values: np.ndarray, of_home: np.ndarray) -> np.ndarray:
    """Values (date, rows, columns) at the date `root` that each of the dates counts from, see `carry`."""
    whole = np.where(root >= 0.0, root, 0.0).astype(np.int64)
    there = np.where(root >= 0.0, np.take_along_axis(values, whole, axis=0), of_home)
    return np.where(np.isnan(root), np.nan, there)


def _products(functions: np.ndarray) -> np.ndarray:
    """Products of all two of some functions (n, term): (n, term·term)."""
    return np.asarray(np.einsum("ni,nj->nij", functions, functions).reshape(len(functions), -1))


def combined(functions: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Sum of functions (n, term) times parameters (term, ...): (n, ...), in one order of sums whatever the shape."""
    total = np.multiply.outer(functions[:, 0], parameters[0])
    for k in range(1, len(parameters)):
        total += np.multiply.outer(functions[:, k], parameters[k])
    return np.asarray(total)


def condition(design: np.ndarray, is_used: np.ndarray, *, is_series: bool) -> np.ndarray:
    """Condition number (rows, columns) of functions of the observations that are used (observation, rows, columns).

    Each function (observation, term) is scaled to the same length, of a series after its mean is taken off. NaN where
    they are not told apart.
    """
    columns = np.column_stack([design, np.ones(len(design))]) if is_series else design
    row, column = np.triu_indices(columns.shape[1])
    sums = np.zeros((row.size, *is_used.shape[1:]))
    for k, used in enumerate(is_used):
        sums += np.multiply.outer(columns[k, row] * columns[k, column], used)
    normal = np.empty((*is_used.shape[1:], columns.shape[1], columns.shape[1]))
    for k, (i, j) in enumerate(zip(row, column, strict=True)):
        normal[..., i, j] = normal[..., j, i] = sums[k]
    with np.errstate(all="ignore"):
        if is_series:
            mean = normal[..., :-1, -1:] / normal[..., -1:, -1:]
            normal = normal[..., :-1, :-1] - mean * normal[..., -1:, :-1]
        size = np.sqrt(np.diagonal(normal, axis1=-2, axis2=-1))
        normal = normal / size[..., :, np.newaxis] / size[..., np.newaxis, :]
        is_whole = np.isfinite(normal).all(axis=(-2, -1))
        normal[~is_whole] = np.eye(design.shape[1])
        values = np.linalg.eigvalsh(normal)
        is_whole &= values[..., 0] > _ALIKE
        return np.where(is_whole, np.sqrt(values[..., -1] / values[..., 0]), np.nan)


def _measured(
    shares: np.ndarray, fields: tuple[np.ndarray, ...], nuisance: Nuisance
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], np.ndarray | None]:
    """Displacements and variances (2, observation, ...), noise of dates and share of pairs, and drift of a series."""
    if nuisance.seen is None:
        observed = np.stack(fields[:2]).astype(np.float64)
        variance = np.stack(fields[2:4]).astype(np.float64) ** 2
        noise = np.empty((2, 0, *observed.shape[2:])), np.ones(observed.shape[2:])
        walk = np.concatenate(fields[4:6]).astype(np.float64) ** 2 if len(fields) > 4 else None
        return (observed, variance), noise, np.zeros((2, *observed.shape[2:])) if walk is None else walk
    matches = [field.astype(np.float64) for field in fields[:4]]
    weight = fields[4] if len(fields) > 4 else nuisance.base
    if weight is not None:
        takes_part = (weight > 0.0) & (weight < np.inf)
        matches[0][~takes_part] = np.nan
    merged = nuisance.seen.merge(*matches)
    pull = np.ones(len(nuisance.seen.ends))
    of_dates, share = solver.noise(nuisance.seen.ends, nuisance.times, merged, pull, shares)
    # where no variances are known, the scatter about the model tells them
    share = np.where(np.isnan(share), 0.0, share)
    return (merged[:2], merged[2:]), (np.maximum(1.0 - share, 0.0) * of_dates, share), None


def used(observed: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Which observations take part, (observation, ...): those with variances, or all where none has any.

    observed, variance (2, observation, ...): along x and y.
    """
    has_variance = ((variance > 0.0) & (variance < np.inf)).all(axis=0)
    is_known = np.isfinite(observed).all(axis=0)
    return np.asarray(is_known & (has_variance | ~(is_known & has_variance).any(axis=0)))


def _dates(is_used: np.ndarray, nuisance: Nuisance) -> np.ndarray:
    """Number of the dates that take part."""
    if nuisance.seen is None:
        return np.asarray(is_used.sum(axis=0))
    has_date = np.zeros((nuisance.times.size, *is_used.shape[1:]), np.bool_)
    for k, (first, second) in enumerate(nuisance.seen.ends):
        has_date[first] |= is_used[k]
        has_date[second] |= is_used[k]
    return np.asarray(has_date.sum(axis=0))


def _of_matches(nuisance: Nuisance) -> np.ndarray:
    """Terms (match or date, term) in the order of the input."""
    if nuisance.ends is None:
        return nuisance.terms
    return _of_ends(nuisance.terms, nuisance.ends)


def _share(design: np.ndarray, observed: np.ndarray, values: np.ndarray, is_used: np.ndarray, count: int) -> np.ndarray:
    """Share of the squares about the slow motion that the last `count` terms take, 0 to 1, of both components."""
    before, after = np.zeros((2, *is_used.shape[1:]))
    for axis in range(2):
        rest = np.where(is_used, observed[axis] - combined(design, values[axis]), 0.0)
        term = np.where(is_used, combined(design[:, -count:], values[axis, -count:]), 0.0)
        # one after the other, so that the bits do not depend on the shape
        for k in range(len(rest)):
            before += (rest[k] + term[k]) ** 2
            after += rest[k] ** 2
    with np.errstate(all="ignore"):
        return np.where(before > 0.0, np.clip(1.0 - after / before, 0.0, 1.0), 0.0)
