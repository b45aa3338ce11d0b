"""Correction of a pair, from displacements of stable ground."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from xoffset._arrays.corrections import jittered, robust
from xoffset._arrays.corrections.joint import Found, Ground, fitted, known, neighbours_of, variance_of_removed
from xoffset._arrays.corrections.terms import (
    CORRECTED,
    ELEVATION,
    LEAST,
    NOT_CORRECTED,
    OF_ORDER,
    UNREFERENCED,
    Places,
    Setup,
    offset,
    removed,
)
from xoffset._arrays.layers import Layers

# What the variance of a median has more than that of a mean, in variances of a value (normal errors that are
# independent; what neighbours share counts in both alike).
_OF_MEDIAN = 0.5 * math.pi - 1.0
# Vectors whose spread tells their standard error.
FEW = 10
# How often stable ground is halved, to see whether its parts move alike; share of them whose difference tells by how
# much they do not; and how often that must be what noise makes of it, to count.
_HALVED, _USUAL, _BEYOND_NOISE = 3, 0.683, 3.0
# Statistics of a pair: median and spread of its vectors on stable ground before and after [m], and the spread in units
# of the standard errors, without what moves across a trace.
STATISTICS = Layers(median_before=2, median_after=2, nmad_before=2, nmad_after=2, sigma_ratio=2)


class Sample(NamedTuple):
    """Nodes of a pair (rows, columns) that the correction is told from, and all that is known of them."""

    dx: np.ndarray
    dy: np.ndarray
    used: np.ndarray
    places: Places
    errors: tuple[np.ndarray, np.ndarray]  # standard errors of dx and dy

    def at_used(self) -> tuple[list[np.ndarray], Places]:
        """Displacements and places of the nodes that are used (node,)."""
        return [each[self.used].astype(np.float64) for each in (self.dx, self.dy)], self.places.at(self.used)

    def usual_errors(self) -> list[float]:
        """Root mean square of the standard errors of each component where it is used, NaN if one of them is unknown."""
        return [float(np.sqrt(np.mean(each[self.used].astype(np.float64) ** 2))) for each in self.errors]


def of_pair(sample: Sample, counts: np.ndarray, setup: Setup) -> np.ndarray:
    """Numbers of a pair (layer,) as `Setup.table` says.

    counts: vectors on stable ground, and all vectors of the pair, of the whole scene.
    """
    out = np.full(setup.table.count, np.nan)
    table = setup.table.split(out)
    n_stable, n_all = int(counts[0]), int(counts[1])
    out[setup.table.at("n_stable")] = n_stable
    out[setup.table.at("order")] = 0.0
    out[setup.table.at("is_lowered")] = 0.0
    out[setup.table.at("state")] = NOT_CORRECTED
    table["coefficient"][:] = 0.0
    table["variance"][:] = np.inf
    values, _ = sample.at_used()
    if not values[0].size:
        return out
    shifts = tuple(map(float, map(np.median, values))) if setup.is_referenced else robust.mode_of_vectors(*values)
    away = [value - shift for value, shift in zip(values, shifts, strict=True)]
    spreads = [robust.spread_of_some(each) for each in away]
    if values[0].size < FEW:
        # so few may lie close together by chance
        spreads = [max(spread, error) for spread, error in zip(spreads, sample.usual_errors(), strict=True)]
    ground = known(values, sample.places, sample.used, setup)
    # of the nodes of the sample, which stand for all
    number = (n_stable if setup.is_referenced else n_all) * ground.values[0].size / values[0].size
    is_left = number < max(setup.least[0], setup.least[1] * n_all) or math.hypot(*shifts) > setup.largest
    found = None if is_left or setup.is_constant else fitted(ground)
    if found is None:
        size, alike = values[0].size, neighbours_of(away, sample.used)
    else:
        size, alike = found.fits[0].residual.size, found.neighbours
    errors = [
        max(spread**2 * (alike + _OF_MEDIAN) / size, _of_steps(each))
        for spread, each in zip(spreads, away, strict=True)
    ]
    if found is None and setup.is_referenced:
        errors = list(map(max, errors, _of_parts(away, sample)))
    table["shift"][:] = shifts
    # what is not taken off remains as an error
    left = math.sqrt(0.5 * sum(s**2 + e for s, e in zip(shifts, errors, strict=True)))
    out[setup.table.at("sigma_left")] = left
    if is_left:
        out[setup.table.at("sigma_shift")] = left
        return out
    out[setup.table.at("state")] = CORRECTED if setup.is_referenced else UNREFERENCED
    if found is None:
        out[setup.table.at("alike")] = alike
        table["coefficient"][:, 0] = shifts
        table["variance"][:, 0] = errors
        out[setup.table.at("sigma_shift")] = math.sqrt(0.5 * sum(errors))
    else:
        _put(found, ground, setup, out)
        away = [fit.residual for fit in found.fits]
    if not setup.is_referenced:
        # without stable ground any of the motions of the field may be the error
        out[setup.table.at("sigma_shift")] = math.hypot(*map(robust.spread_of_some, away)) / math.sqrt(2.0)
    return out


def _of_steps(away: np.ndarray) -> float:
    """Variance [m2] of a median that most values are equal to, as those of whole pixels may be; 0 otherwise.

    It may lie anywhere between them and the next ones, however many there are.
    """
    beside = np.abs(away[away != 0.0])
    return float(beside.min()) ** 2 / 12.0 if 0 < beside.size < 0.5 * away.size else 0.0


def _of_parts(away: list[np.ndarray], sample: Sample) -> list[float]:
    """Variances [m2] by which parts of the ground differ from a shift, 0 where noise explains it.

    Where both sides of a fault are taken for stable, the median lies on one of them, among vectors that agree well.
    """
    parts = _halved(sample.places.at(sample.used), _HALVED)
    if min(part.size for part in parts) < FEW:
        return [0.0] * len(away)
    medians = [np.array([np.median(each[part]) for part in parts]) for each in away]
    inner = [each.copy() for each in away]
    for each, of_parts in zip(inner, medians, strict=True):
        for part, median in zip(parts, of_parts, strict=True):
            each[part] -= median
    differs = [float(np.quantile(np.abs(each), _USUAL)) ** 2 for each in medians]
    of_noise = [len(parts) * robust.spread_of_some(each) ** 2 / each.size for each in inner]
    limit = _BEYOND_NOISE**2 * (1.0 + _OF_MEDIAN)
    if not any(one > limit * noise for one, noise in zip(differs, of_noise, strict=True)):
        return [0.0] * len(away)
    limit = _BEYOND_NOISE**2 * (neighbours_of(inner, sample.used) + _OF_MEDIAN)
    return [one if one > limit * noise else 0.0 for one, noise in zip(differs, of_noise, strict=True)]


def _halved(places: Places, times: int) -> list[np.ndarray]:
    """Indices of nodes in parts of equal number, by cutting so many times across the longer side."""
    u, v = np.broadcast_arrays(places.u, places.v)
    parts = [np.arange(u.size)]
    for _ in range(times):
        cut = []
        for part in parts:
            along = max((u[part], v[part]), key=lambda each: np.ptp(each) if each.size else 0.0)
            order = part[np.argsort(along, kind="stable")]
            cut += np.array_split(order, 2)
        parts = cut
    return parts


def _put(found: Found, ground: Ground, setup: Setup, out: np.ndarray) -> None:
    """Fill the numbers of a pair with those of a fit of all terms."""
    table = setup.table.split(out)
    out[setup.table.at("order")] = found.order
    out[setup.table.at("is_lowered")] = float(setup.order is not None and found.order < setup.order)
    out[setup.table.at("alike")] = found.neighbours
    out[setup.table.at("depth")] = np.nan if found.depth is None else found.depth
    table["elevation"][:] = ground.ends
    number, has_trace = OF_ORDER[found.order], found.depth is not None
    slots = {"elevation": np.arange(ELEVATION if setup.has_elevation else 0), "secondary": ground.stripes - 1}
    if not ground.is_same:
        # otherwise the steps of both images are those of the secondary one
        slots["reference"] = slots["secondary"]
    for component, fit in enumerate(found.fits):
        variance = found.neighbours * np.diag(fit.covariance)
        for name, each in (("coefficient", fit.coefficients), ("variance", variance)):
            row = table[name][component]
            row[:number] = each[:number]
            start = number + has_trace
            for kind, place in slots.items():
                row[setup.terms[kind]][place] = each[start : start + place.size]
                start += place.size
        table["trace"][component] = fit.coefficients[number] if has_trace else np.nan
    for name, stripe in (("secondary", ground.places.secondary), ("reference", ground.places.reference)):
        if stripe is not None and (name == "secondary" or not ground.is_same):
            few = np.ones(setup.stripes, dtype=np.bool_)
            few[ground.stripes - 1] = np.bincount(stripe, minlength=ground.stripes.size + 1)[1:] < LEAST
            table["coefficient"][:, setup.terms[name]][:, few] = np.nan
            table["variance"][:, setup.terms[name]][:, few] = np.inf
    errors = [found.neighbours * variance_of_removed(fit, found.order, ground).mean() for fit in found.fits]
    out[setup.table.at("sigma_shift")] = math.sqrt(0.5 * sum(errors))


# ---------------------------------------------------------------------------------------------------- what it is worth


def statistics(sample: Sample, pair: np.ndarray, setup: Setup) -> np.ndarray:
    """Statistics (layer,) of a pair as `STATISTICS` says."""
    out = np.full(STATISTICS.count, np.nan)
    found = STATISTICS.split(out)
    table = setup.table.split(pair)
    values, places = sample.at_used()
    if not values[0].size:
        return out
    parts, unknown = removed(table["coefficient"], places, table["elevation"], setup)
    if setup.track is not None:
        at = jittered.At.of(places, float(table["heading"][0]), setup)
        parts, _ = jittered.added(parts, unknown, table, at)
    for k, (before, part, error) in enumerate(zip(values, parts, sample.errors, strict=True)):
        after = before - part
        for name, value in (("before", before), ("after", after)):
            found[f"median_{name}"][k] = np.median(value)
            found[f"nmad_{name}"][k] = robust.spread(value - np.median(value))
        still = after
        if places.across is not None and np.isfinite(table["trace"][k]):
            still = after - table["trace"][k] * offset(places.across, float(table["depth"]))
        sigma = error[sample.used].astype(np.float64)
        known = sigma > 0.0
        if known.sum() >= LEAST:
            found["sigma_ratio"][k] = robust.spread((still - np.median(still))[known] / sigma[known])
    return out
