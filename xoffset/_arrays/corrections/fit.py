"""Correction of a pair, from displacements of stable ground."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from xoffset._arrays.corrections import robust
from xoffset._arrays.corrections.terms import (
    CORRECTED,
    LEAST,
    NOT_CORRECTED,
    OF_ORDER,
    UNREFERENCED,
    Places,
    Setup,
    design,
    ramp,
    removed,
)
from xoffset._arrays.layers import Layers
from xoffset._arrays.neighbours import alike

# Share of the nodes whose stripes must be the same in both images for one step each.
SAME = 0.9
# Places along x and y where it is asked how well a ramp is known.
_PLACES = 9
# Variance of a median over that of a mean (normal errors).
_OF_MEDIAN = 0.5 * math.pi
# Statistics of a pair: median and spread of its vectors on stable ground before and after [m], and the spread in units
# of the standard errors, without what moves across a trace.
STATISTICS = Layers(median_before=2, median_after=2, nmad_before=2, nmad_after=2, sigma_ratio=2)


class Sample(NamedTuple):
    """Nodes of a pair (rows, columns) that the correction is told from, and all that is known of them."""

    dx: np.ndarray
    dy: np.ndarray
    used: np.ndarray
    places: Places

    def at_used(self) -> tuple[list[np.ndarray], Places]:
        """Displacements and places of the nodes that are used (node,)."""
        fields = [None if each is None else np.broadcast_to(each, self.used.shape)[self.used] for each in self.places]
        values = [each[self.used].astype(np.float64) for each in (self.dx, self.dy)]
        return values, Places(*fields)  # type: ignore[arg-type]


def of_pair(sample: Sample, counts: np.ndarray, setup: Setup) -> np.ndarray:
    """Numbers of a pair (layer,) as `Setup.table` says.

    counts: vectors on stable ground, and all vectors of the pair, of the whole scene.
    """
    out = np.full(setup.table.count, np.nan)
    table = setup.table.split(out)
    n_stable, n_all = int(counts[0]), int(counts[1])
    number = n_stable if setup.is_referenced else n_all
    out[setup.table.at("n_stable")] = n_stable
    out[setup.table.at("order")] = 0.0
    out[setup.table.at("is_lowered")] = 0.0
    out[setup.table.at("state")] = NOT_CORRECTED
    table["coefficient"][:] = 0.0
    table["variance"][:] = np.inf
    values, places = sample.at_used()
    if not values[0].size:
        return out
    shifts = [float(np.median(value)) if setup.is_referenced else robust.half_sample_mode(value) for value in values]
    of_shift = _alike([value - shift for value, shift in zip(values, shifts, strict=True)], sample.used)
    errors = [
        _OF_MEDIAN * robust.spread(value - shift) ** 2 * of_shift / value.size
        for value, shift in zip(values, shifts, strict=True)
    ]
    if number < max(setup.least[0], setup.least[1] * n_all) or math.hypot(*shifts) > setup.largest:
        # what is not taken off remains as an error
        out[setup.table.at("sigma_shift")] = math.sqrt(0.5 * sum(s**2 + e for s, e in zip(shifts, errors, strict=True)))
        return out
    out[setup.table.at("state")] = CORRECTED if setup.is_referenced else UNREFERENCED
    if setup.is_constant:
        out[setup.table.at("alike")] = of_shift
        table["coefficient"][:, 0] = shifts
        table["variance"][:, 0] = errors
        out[setup.table.at("sigma_shift")] = math.sqrt(0.5 * sum(errors))
    else:
        _fit(values, places, sample.used, setup, out)
    if not setup.is_referenced:
        # without stable ground any of the motions of the field may be the error
        spreads = [robust.spread(value - shift) for value, shift in zip(values, shifts, strict=True)]
        out[setup.table.at("sigma_shift")] = math.hypot(*spreads) / math.sqrt(2.0)
    return out


def _alike(residuals: list[np.ndarray], used: np.ndarray) -> float:
    """Number of neighbouring nodes that err alike, of both components (node,)."""
    ratio = np.full((2, 1, *used.shape), np.nan)
    for component, residual in enumerate(residuals):
        scale = robust.spread(residual)
        ratio[component, 0, used] = residual / scale if scale > 0.0 else 0.0
    return min(alike(ratio), float(used.sum()))


# ----------------------------------------------------------------------------------------------- several terms at once


class _Attempt(NamedTuple):
    """Fit of both components with a ramp of some order."""

    order: int
    fits: list[robust.Fit]
    is_carried: bool


def _fit(values: list[np.ndarray], places: Places, used: np.ndarray, setup: Setup, out: np.ndarray) -> None:
    """Fill the numbers of a pair from displacements (component)(node,) with all terms of the setup."""
    table = setup.table.split(out)
    keep, is_same = _known(places, setup)
    values = [value[keep] for value in values]
    places = Places(*[None if each is None else each[keep] for each in places])  # type: ignore[arg-type]
    here = np.zeros(used.shape, dtype=np.bool_)
    here[used] = keep
    ends = np.array([np.nan, np.nan])
    if places.elevation is not None and places.elevation.size:
        ends = np.array([places.elevation.min(), places.elevation.max()])
    table["elevation"][:] = ends
    sides = places.side
    has_sides = sides is not None and min((sides > 0.0).sum(), (sides < 0.0).sum()) >= LEAST

    attempts: list[_Attempt] = []
    neighbours = 1.0
    wanted = (2, 1, 0) if setup.order is None else tuple(range(setup.order, -1, -1))
    for order in wanted:
        terms = design(places, order, ends, has_sides, is_same, setup.stripes)
        if order and not (terms.is_determined() and values[0].size > 2 * terms.dense.shape[0]):
            continue
        fits = [robust.fit(terms, value) for value in values]
        if not attempts:
            # of the most terms, lest what they would take off counts as noise that neighbours share
            neighbours = _alike([each.residual for each in fits], here)
        carried = order == 0 or _is_carried(fits, order, neighbours)
        if carried:
            attempts.append(_Attempt(order, fits, carried))
        if attempts and setup.order is not None:
            break
    best = _best(attempts, neighbours)
    out[setup.table.at("order")] = best.order
    out[setup.table.at("is_lowered")] = float(setup.order is not None and best.order < setup.order)
    out[setup.table.at("alike")] = neighbours
    _put(best, places, setup, out, (has_sides, is_same))


def _known(places: Places, setup: Setup) -> tuple[np.ndarray, bool]:
    """Nodes where all terms are known (node,), and whether both images were seen by the same stripes."""
    keep = np.ones(places.u.shape, dtype=np.bool_)
    is_same = True
    if places.secondary is not None and places.reference is not None:
        keep = (places.secondary > 0) & (places.reference > 0)
        agree = (places.secondary == places.reference) & keep
        is_same = bool(agree.sum() >= SAME * keep.sum())
        keep = agree if is_same else keep
    if places.elevation is not None:
        keep = keep & np.isfinite(places.elevation)
    return keep, is_same


def _variance_of_ramp(fit: robust.Fit, order: int) -> np.ndarray:
    """Variance [m2] of the ramp at places all over the scene, if the errors of nodes were independent."""
    along = np.linspace(-1.0, 1.0, _PLACES)
    u, v = (each.ravel() for each in np.meshgrid(along, along))
    number = OF_ORDER[order]
    terms = np.stack(ramp(u, v, number))
    return np.asarray(np.einsum("ip,ij,jp->p", terms, fit.covariance[:number, :number], terms))


def _is_carried(fits: list[robust.Fit], order: int, neighbours: float) -> bool:
    """Whether a ramp is known everywhere better than one vector is."""
    return all(neighbours * _variance_of_ramp(fit, order).max() <= fit.scale**2 for fit in fits if fit.scale > 0.0)


def _best(attempts: list[_Attempt], neighbours: float) -> _Attempt:
    """The attempt with the least AICc, of both components together (Hurvich & Tsai 1989, Biometrika 76, 297-307).

    What counts is the number of vectors that err on their own.
    """
    if len(attempts) == 1:
        return attempts[0]
    scales = [fit.scale for fit in attempts[0].fits]
    number = attempts[0].fits[0].residual.size / neighbours
    criteria = []
    for attempt in attempts:
        terms = OF_ORDER[attempt.order] + 1
        penalty = 2.0 * terms + 2.0 * terms * (terms + 1) / max(number - terms - 1, 1e-3)
        losses = [
            robust.loss(fit.residual, scale) for fit, scale in zip(attempt.fits, scales, strict=True) if scale > 0.0
        ]
        criteria.append(sum(number * math.log(max(each, 1e-30)) + penalty for each in losses))
    return attempts[int(np.argmin(criteria))]


def _put(best: _Attempt, places: Places, setup: Setup, out: np.ndarray, kinds: tuple[bool, bool]) -> None:
    """Lay the coefficients of a fit where the table has them."""
    table = setup.table.split(out)
    neighbours = float(table["alike"])
    has_sides, is_same = kinds
    number = OF_ORDER[best.order]
    for component, fit in enumerate(best.fits):
        variance = neighbours * np.diag(fit.covariance)
        for name, found in (("coefficient", fit.coefficients), ("variance", variance)):
            table[name][component, :number] = found[:number]
            start = number + has_sides
            of_elevation = setup.terms["elevation"]
            end = start + of_elevation.stop - of_elevation.start
            table[name][component, of_elevation] = found[start:end]
            if setup.stripes:
                table[name][component, setup.terms["secondary"]] = found[end : end + setup.stripes]
                if not is_same:
                    table[name][component, setup.terms["reference"]] = found[end + setup.stripes :]
        table["trace"][component] = fit.coefficients[number] if has_sides else np.nan
        for name, stripe in (("secondary", places.secondary), ("reference", places.reference)):
            if stripe is not None and (name == "secondary" or not is_same):
                few = np.bincount(stripe, minlength=setup.stripes + 1)[1:] < LEAST
                table["coefficient"][component, setup.terms[name]][few] = np.nan
                table["variance"][component, setup.terms[name]][few] = np.inf
    errors = [neighbours * _variance_of_ramp(fit, best.order).mean() for fit in best.fits]
    out[setup.table.at("sigma_shift")] = math.sqrt(0.5 * sum(errors))


# ---------------------------------------------------------------------------------------------------- what it is worth


def statistics(sample: Sample, errors: tuple[np.ndarray, np.ndarray], pair: np.ndarray, setup: Setup) -> np.ndarray:
    """Statistics (layer,) of a pair as `STATISTICS` says; errors are the standard errors of its vectors."""
    out = np.full(STATISTICS.count, np.nan)
    found = STATISTICS.split(out)
    table = setup.table.split(pair)
    values, places = sample.at_used()
    if not values[0].size:
        return out
    parts, _ = removed(table["coefficient"], places, table["elevation"], setup)
    for k, (before, part, error) in enumerate(zip(values, parts, errors, strict=True)):
        after = before - part
        for name, value in (("before", before), ("after", after)):
            found[f"median_{name}"][k] = np.median(value)
            found[f"nmad_{name}"][k] = robust.spread(value - np.median(value))
        still = after
        if places.side is not None and np.isfinite(table["trace"][k]):
            still = after - table["trace"][k] * places.side
        sigma = error[sample.used].astype(np.float64)
        known = sigma > 0.0
        if known.sum() >= LEAST:
            found["sigma_ratio"][k] = robust.spread((still - np.median(still))[known] / sigma[known])
    return out
