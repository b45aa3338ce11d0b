"""Shift, ramp, steps of stripes, elevation and the motion across a trace of a pair, all at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from xoffset._arrays.corrections import robust, terms
from xoffset._arrays.corrections.terms import LEAST, OF_ORDER, Places, Setup
from xoffset._arrays.neighbours import alike_of_some

# Nodes of a pair that the terms are fitted to, and that tell the locking depth of a fault, at most.
MOST, OF_DEPTH = 20_000, 5_000
# Share of the nodes whose stripes must be the same in both images for one step each.
SAME = 0.9
# By how much twice the logarithm of the likelihood must rise for another locking depth than 0.
WORTH = 8.0
# Factors of locking depths around the best one.
_CLOSER = (1.22, 1.1)
# Places along x and y where it is asked how well a ramp is known.
_PLACES = 9


@dataclass(frozen=True)
class Ground:
    """Nodes of a pair where all terms are known."""

    values: tuple[np.ndarray, ...]  # displacement of each component (node,)
    places: Places
    used: np.ndarray  # where they are on the grid, boolean (rows, columns)
    probes: Places  # some places all over the scene
    is_same: bool  # whether both images were seen by the same stripes
    stripes: np.ndarray  # numbers of the stripes of the sensor that places and probes count 1, 2, ..., 0 the others
    setup: Setup

    @cached_property
    def ends(self) -> np.ndarray:
        """Lowest and highest elevation [m]."""
        elevation = self.places.elevation
        return np.array([np.nan, np.nan]) if elevation is None else np.array([elevation.min(), elevation.max()])

    def some(self, most: int) -> Ground:
        """As many of the nodes at most, drawn from all over the ground."""
        number = self.values[0].size
        if number <= most:
            return self
        index = np.sort(np.random.default_rng(0).permutation(number)[:most])
        used = np.zeros(self.used.shape, dtype=np.bool_)
        used.ravel()[np.flatnonzero(self.used)[index]] = True
        values = tuple(value[index] for value in self.values)
        return replace(self, values=values, places=self.places.at(index), used=used)

    def fits(self, order: int, depth: float | None, ends: np.ndarray) -> list[robust.Fit]:
        """Fits of both components; none if the ground does not tell the terms apart."""
        found = terms.design(self.places, order, ends, depth, self.is_same, self.stripes.size)
        if order and not (found.is_determined() and self.values[0].size > 2 * len(found.dense)):
            return []
        return [robust.fit(found, value) for value in self.values]

    def residuals(self, fits: list[robust.Fit], order: int, depth: float | None) -> list[np.ndarray]:
        """What fits, maybe to some of the nodes, leave of the displacements (component)(node,)."""
        found = terms.design(self.places, order, self.ends, depth, self.is_same, self.stripes.size)
        return [robust.left(found, fit.coefficients, value)[0] for value, fit in zip(self.values, fits, strict=True)]


class Found(NamedTuple):
    """Fit of both components with a ramp of some order."""

    order: int
    fits: list[robust.Fit]
    depth: float | None  # locking depth of the fault [m], None without one
    neighbours: float  # of the nodes that were fitted, how many err alike


def known(values: list[np.ndarray], scene: Places, used: np.ndarray, setup: Setup) -> Ground:
    """The nodes where all terms are known, of displacements (component)(node,) at nodes `used` (rows, columns)."""
    places = scene.at(used)
    keep = np.ones(values[0].shape, dtype=np.bool_)
    is_same = True
    if places.secondary is not None and places.reference is not None:
        keep = (places.secondary > 0) & (places.reference > 0)
        agree = (places.secondary == places.reference) & keep
        is_same = bool(agree.sum() >= SAME * keep.sum())
        keep = agree if is_same else keep
    if places.elevation is not None:
        keep = keep & np.isfinite(places.elevation)
    if places.across is not None and setup.blur > 0.0:
        # a window on both sides of a fault measures neither
        is_far = np.abs(places.across) >= setup.blur
        keep = keep & is_far if (keep & is_far).any() else keep
    here = np.zeros(used.shape, dtype=np.bool_)
    here[used] = keep
    values = [value[keep] for value in values]
    # only the steps that there are: room for more would change the last bits
    places, probes = places.at(keep), scene.at(probed(used.shape))
    there = [each for each in (places.secondary, places.reference) if each is not None]
    stripes = np.unique(np.concatenate(there)) if there else np.empty(0, dtype=np.int64)
    places, probes = (_numbered(each, stripes) for each in (places, probes))
    return Ground(tuple(values), places, here, probes, is_same, stripes, setup)


def probed(shape: tuple[int, ...]) -> np.ndarray:
    """Some nodes all over a scene, boolean (rows, columns)."""
    out = np.zeros(shape, dtype=np.bool_)
    out[np.ix_(*(np.linspace(0, size - 1, _PLACES).round().astype(np.int64) for size in shape))] = True
    return out


def _numbered(places: Places, stripes: np.ndarray) -> Places:
    """Places whose stripes are counted 1, 2, ... in the order of these numbers, 0 for any other."""
    if places.secondary is None or places.reference is None:
        return places
    found = []
    for stripe in (places.secondary, places.reference):
        index = np.searchsorted(stripes, stripe).clip(max=max(stripes.size - 1, 0))
        found.append(np.where(np.isin(stripe, stripes), index + 1, 0))
    return places._replace(secondary=found[0], reference=found[1])


def fitted(ground: Ground) -> Found:
    """The fit with the order that is wanted, or the highest that the ground carries; with the best one if none is."""
    few = ground.some(MOST)
    share = few.values[0].size / ground.values[0].size
    setup = ground.setup
    depth = _depth(ground)
    found: list[Found] = []
    neighbours = 0.0
    for order in (2, 1, 0) if setup.order is None else range(setup.order, -1, -1):
        fits = few.fits(order, depth, ground.ends)
        if fits and not neighbours:
            # of the most terms, lest what they would take off counts as noise that neighbours share
            # a node always errs like itself, drawn or not
            neighbours = 1.0 + share * (neighbours_of(ground.residuals(fits, order, depth), ground.used) - 1.0)
        if fits and (order == 0 or _is_carried(fits, order, neighbours, few)):
            found.append(Found(order, fits, depth, neighbours))
            if setup.order is not None:
                break
    return _best(found)


def neighbours_of(residuals: list[np.ndarray], used: np.ndarray) -> float:
    """Number of neighbouring nodes that err alike, of both components (node,) at nodes `used` (rows, columns)."""
    scales = [robust.spread(residual) for residual in residuals]
    ratio = [
        residual / scale if scale > 0.0 else np.zeros(residual.size)
        for residual, scale in zip(residuals, scales, strict=True)
    ]
    return float(np.clip(alike_of_some(np.stack(ratio), used), 1.0, used.sum()))


def variance_of_removed(fit: robust.Fit, order: int, ground: Ground) -> np.ndarray:
    """Variance [m2] of ramp and steps at places all over the scene, if the errors of nodes were independent.

    Where none of these places lies in a stripe with enough nodes, it is that at the nodes themselves.
    """
    found = _variance_at(ground.probes, fit, order, ground)
    return found if found.size else _variance_at(ground.some(_PLACES**2).places, fit, order, ground)


def _variance_at(probes: Places, fit: robust.Fit, order: int, ground: Ground) -> np.ndarray:
    """Variance [m2] of ramp and steps at places, of those whose stripes have enough nodes."""
    number = OF_ORDER[order]
    kinds = (("secondary", 1.0),) if ground.is_same else (("secondary", 1.0), ("reference", -1.0))
    stripes = [(getattr(probes, name), getattr(ground.places, name), sign) for name, sign in kinds]
    stripes = [] if probes.secondary is None else stripes
    count = ground.stripes.size
    start = fit.coefficients.size - len(stripes) * count
    columns = np.zeros((fit.coefficients.size, probes.u.size))
    columns[:number] = terms.ramp(probes.u, probes.v, number)
    is_told = np.ones(probes.u.size, dtype=np.bool_)
    for k, (stripe, seen, sign) in enumerate(stripes):
        enough = np.bincount(seen, minlength=count + 1) >= LEAST
        is_told &= (stripe > 0) & enough[stripe]
        columns[start + k * count + stripe - 1, np.arange(stripe.size)] = sign
    columns = columns[:, is_told]
    return np.asarray(np.einsum("ip,ij,jp->p", columns, fit.covariance, columns))


def _is_carried(fits: list[robust.Fit], order: int, neighbours: float, ground: Ground) -> bool:
    """Whether what is removed is known everywhere better than one vector is."""
    variances = [(variance_of_removed(fit, order, ground).max(initial=0.0), fit.scale) for fit in fits]
    return all(neighbours * variance <= scale**2 for variance, scale in variances if scale > 0.0)


def _best(found: list[Found]) -> Found:
    """What has the least AICc, of both components together (Hurvich & Tsai 1989, Biometrika 76, 297-307).

    What counts is the number of vectors that err on their own.
    """
    scales = [fit.scale for fit in found[0].fits]
    number = found[0].fits[0].residual.size / found[0].neighbours
    criteria = []
    for each in found:
        size = OF_ORDER[each.order] + 1
        penalty = 2.0 * size + 2.0 * size * (size + 1) / max(number - size - 1, 1e-3)
        criteria.append(number * _log_loss(each.fits, scales) + len(scales) * penalty)
    return found[int(np.argmin(criteria))]


def _log_loss(fits: list[robust.Fit], scales: list[float]) -> float:
    """Logarithm of the mean loss, the sum of both components."""
    losses = [robust.loss(fit.residual, scale) for fit, scale in zip(fits, scales, strict=True) if scale > 0.0]
    return sum(math.log(max(each, 1e-30)) for each in losses)


def _depth(ground: Ground) -> float | None:
    """Locking depth [m] of the motion across the trace; None without a trace, or where all is on one side of it."""
    across, order = ground.places.across, ground.setup.order
    if across is None or min((across > 0.0).sum(), (across < 0.0).sum()) < LEAST:
        return None
    if order == 0:
        # no ramp could take the motion off, and a step has nothing to go wrong
        return 0.0
    order = 2 if order is None else order
    few = ground.some(OF_DEPTH)
    trials: dict[float, list[robust.Fit]] = {}
    losses: dict[float, float] = {}

    def attempt(depths: tuple[float, ...]) -> float:
        """The best depth of all so far."""
        for depth in depths:
            fits = few.fits(order, depth, ground.ends)
            if fits:
                trials[depth] = fits
                losses[depth] = _log_loss(fits, [fit.scale for fit in trials[0.0]])
        return min(losses, key=lambda depth: losses[depth], default=0.0)

    best = attempt(ground.setup.depths[:1])
    if not trials:
        return 0.0
    best = attempt(ground.setup.depths[1:])
    for factor in _CLOSER if best > 0.0 else ():
        best = attempt((best / factor, best * factor))
    number = ground.values[0].size / neighbours_of(ground.residuals(trials[best], order, best), ground.used)
    return best if number * (losses[0.0] - losses[best]) > WORTH else 0.0
