"""One zero for the numbers of all pairs of a network, so that those of pairs are differences of those of dates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from xoffset._arrays.corrections.terms import POWERS, Setup
from xoffset._arrays.networks import graph

# Terms of the polynomial in elevation, which follow those of the ramp, see `Setup.terms`.
_LINEAR, _SQUARE = len(POWERS), len(POWERS) + 1
# Share of the elevations that others know of its dates, of which a pair must see as much to tell of the whole. If
# without the pairs that see less dates fall apart, those that see a little less tell too.
_SHARES = (0.8, 0.6, 0.4, 0.2)


def to_common_elevation(
    told: Mapping[str, np.ndarray], is_used: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Express the polynomials of all pairs in elevations between the same ends.

    Returns the pairs (pair,) that tell of shift and elevation, and the ends (2, pair) [m] between which the dates of
    each pair are known. A polynomial that is drawn far beyond the elevations of its pair is worth nothing there, and
    would spoil those of others.
    """
    low, high = told["elevation"].copy()
    rises = is_used & (high > low)
    if not rises.any():
        return is_used, told["elevation"]
    tells = _widest(np.where(rises, high - low, 0.0), is_used, ends)
    known = _known_ends(low, high, tells & rises, ends)
    ends_of_all = np.array([low[rises].min(), high[rises].max()])
    for component, variance in zip(told["coefficient"], told["variance"], strict=True):
        _express(component, variance, np.array([low, high]), ends_of_all[:, np.newaxis], rises)
    told["elevation"][:] = ends_of_all[:, np.newaxis]
    is_whole = ~(known[1] - known[0] < _SHARES[0] * (ends_of_all[1] - ends_of_all[0]))
    return tells, np.where(is_whole, told["elevation"], known)


def to_known_elevation(told: Mapping[str, np.ndarray], known: np.ndarray) -> None:
    """Express the polynomials of pairs that know a part of the elevations alone in these (2, pair), to end there."""
    is_part = (np.isfinite(known) & (known != told["elevation"])).any(axis=0)
    for component, variance in zip(told["coefficient"], told["variance"], strict=True):
        _express(component, variance, told["elevation"], known, is_part)
    told["elevation"][:, is_part] = known[:, is_part]


def _widest(span: np.ndarray, is_used: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Pairs (pair,) that see nearly all elevations which others see of the same dates, and that tie as many dates."""
    dates = int(ends.max()) + 1
    of_dates = np.zeros(dates)
    for each in ends.T:
        np.maximum.at(of_dates, each, span)
    wanted = of_dates[ends].min(axis=1)
    parts = graph.components(dates, ends[is_used]).max()
    for share in _SHARES:
        tells = np.asarray(is_used & (span >= share * wanted))
        if graph.components(dates, ends[tells]).max() == parts:
            return tells
    return is_used


def _known_ends(low: np.ndarray, high: np.ndarray, tells: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Elevations (2, pair) between which some pair tells of each of the two dates."""
    lowest, highest = (np.full(int(ends.max()) + 1, value) for value in (np.inf, -np.inf))
    for each in ends[tells].T:
        np.minimum.at(lowest, each, low[tells])
        np.maximum.at(highest, each, high[tells])
    found = np.array([lowest[ends].max(axis=1), highest[ends].min(axis=1)])
    # of dates that have no elevation in common, or none, nothing is told
    return np.where(found[1] > found[0], found, np.nan)


def _express(
    coefficient: np.ndarray, variance: np.ndarray, old: np.ndarray, new: np.ndarray, is_wanted: np.ndarray
) -> None:
    """Express polynomials (term, pair) between other ends (2, pair), with variances as if their terms erred apart."""
    half = np.where(is_wanted, 0.5 * (old[1] - old[0]), 1.0)
    stretch = np.where(is_wanted, 0.5 * (new[1] - new[0]) / half, 1.0)
    offset = np.where(is_wanted, 0.5 * (new[0] + new[1] - old[0] - old[1]), 0.0) / half
    linear, square = coefficient[_LINEAR].copy(), coefficient[_SQUARE].copy()
    coefficient[0] += linear * offset + square * offset**2
    coefficient[_LINEAR] = stretch * (linear + 2.0 * square * offset)
    coefficient[_SQUARE] = stretch**2 * square
    more = np.where(offset != 0.0, offset**2, 0.0)
    with np.errstate(invalid="ignore"):
        of_linear, of_square = (np.where(more > 0.0, more * variance[k], 0.0) for k in (_LINEAR, _SQUARE))
    variance[0] += of_linear + more * of_square
    variance[_LINEAR] = stretch**2 * (variance[_LINEAR] + 4.0 * of_square)
    variance[_SQUARE] *= stretch**4


def to_common_steps(told: Mapping[str, np.ndarray], is_used: np.ndarray, setup: Setup) -> bool:
    """Let the steps of all pairs add up to 0 over the stripes that all of them know, not over those of each pair.

    Where all know none of them, and all images were seen by the same stripes, the shift becomes a part of each step:
    True, and no pair tells of a shift any more.
    """
    coefficient, variance = told["coefficient"], told["variance"]
    is_apart = bool((is_used & np.isfinite(variance[:, setup.terms["reference"]]).any(axis=(0, 1))).any())
    for kind, sign in (("secondary", 1.0), ("reference", -1.0)):
        steps = coefficient[:, setup.terms[kind]]
        known = (np.isfinite(steps) & np.isfinite(variance[:, setup.terms[kind]])).all(axis=0)
        has_steps = is_used & known.any(axis=0)
        if not has_steps.any():
            continue
        common = known[:, has_steps].all(axis=1)
        if common.any():
            mean = np.where(has_steps, steps[:, common].mean(axis=1), 0.0)
            coefficient[:, 0] += sign * mean
            steps -= mean[:, np.newaxis]
        elif not is_apart:
            steps += coefficient[:, :1]
            variance[:, setup.terms[kind]] += variance[:, :1]
            coefficient[:, 0], variance[:, 0] = 0.0, np.inf
            return True
    return False
