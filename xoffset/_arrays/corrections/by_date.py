"""Corrections of pairs as differences of corrections of dates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from xoffset._arrays.corrections import common, dates, jitter_by_date
from xoffset._arrays.corrections.terms import CORRECTED, NOT_CORRECTED, OF_ORDER, POWERS, UNREFERENCED, Setup
from xoffset._arrays.layers import Layers
from xoffset._arrays.networks import graph, solver

# Variance [m2] below which nothing is known better: errors far below a thousandth of a pixel.
_LEAST_VARIANCE = 1e-12
# Share of the dates that must carry the order of the ramp; the pairs of the others are not corrected.
NEARLY_ALL = 0.9
# Numbers of a date: terms of the ramp along x and y [m], its order, standard error of the shift [m], first date that it
# is tied to, and number of the pairs that tell of it.
OF_DATES = Layers(ramp=(2, len(POWERS)), order=(), sigma_shift=(), part=(), n_pairs=())


def common_order(table: np.ndarray, ends: np.ndarray, setup: Setup) -> np.ndarray:
    """Order of the ramp that each pair takes (pair,): one for all that chains of pairs tie together.

    It is the largest that at least half of the pairs of some date chose.
    """
    told = setup.table.split(table)
    known = told["state"] != NOT_CORRECTED

    def usual(here: np.ndarray) -> int:
        of_dates = (told["order"][known & here & (ends == date).any(axis=1)] for date in np.unique(ends[here]))
        return int(max((np.sort(each)[each.size // 2] for each in of_dates if each.size), default=0))

    return _of_parts(usual, ends)


def carried_order(table: np.ndarray, ends: np.ndarray, setup: Setup) -> np.ndarray:
    """Order of the ramp that each pair takes (pair,): one for all that chains of pairs tie together.

    It is the largest that nearly all of their dates have a pair for whose ground carries it.
    """
    told = setup.table.split(table)
    known = told["state"] != NOT_CORRECTED

    def carried(here: np.ndarray) -> int:
        chosen = (known & here & (told["order"] >= order) for order in range(len(OF_ORDER)))
        dates_of = [np.unique(ends[each]).size for each in chosen]
        return int(max(order for order, count in enumerate(dates_of) if count >= NEARLY_ALL * dates_of[0]))

    return _of_parts(carried, ends)


def _of_parts(choose: Callable[[np.ndarray], int], ends: np.ndarray) -> np.ndarray:
    """What is chosen for the pairs (pair,) of each connected part of the network."""
    part = graph.components(int(ends.max(initial=-1)) + 1, ends)[ends[:, 0]]
    out = np.zeros(len(ends), dtype=np.int64)
    for each in np.unique(part):
        out[part == each] = choose(part == each)
    return out


def adjusted(table: np.ndarray, ends: np.ndarray, setup: Setup) -> np.ndarray:
    """The table (layer, pair) of `Setup.table` with what the dates of each pair say: that of its second less its first.

    Pairs that were not corrected, and pairs whose ground carries a lower order than that of others, tell nothing, and
    take what the others tell. Where no chain of pairs leads from one date to the other, a pair is not corrected.
    """
    out = table.copy()
    told = setup.table.split(out)
    known = told["state"] != NOT_CORRECTED
    if not known.any():
        return out
    adjustment = _adjusted(told, ends, setup)
    found, order, is_used = adjustment.found, adjustment.order, adjustment.is_used
    is_wanted = ~_beyond(order, setup)
    # the steps of the secondary images are those of both, but where these were seen by different stripes
    is_wanted[setup.terms["reference"]] = False
    # and where the shift is a part of each step there is none beside
    is_wanted[0] = not adjustment.is_in_steps
    of_pairs = _unflat(found.of_pairs)
    apart, is_apart = _steps_of_both(told, found, ends, setup), _are_apart(told, setup) | ~known
    length = np.hypot(*_shifts(told, is_used, ends))
    told["coefficient"][:] = np.where(is_wanted, of_pairs, 0.0)
    told["variance"][:] = np.where(np.isfinite(of_pairs), _unflat(found.variance), np.inf)
    for slot, steps in apart.items():
        told["coefficient"][:, setup.terms[slot]][:, :, is_apart] = steps[:, :, is_apart]
    # stripes that no pair tells of stay unknown, NaN
    of_steps = setup.terms["secondary"]
    is_tied = np.isfinite(told["coefficient"][:, : of_steps.start]).all(axis=(0, 1)) & ~(length > setup.largest)
    if adjustment.is_in_steps:
        is_tied &= np.isfinite(told["coefficient"][:, of_steps]).any(axis=(0, 1))
    told["state"][:] = np.where(is_tied, CORRECTED if setup.is_referenced else UNREFERENCED, NOT_CORRECTED)
    if setup.has_elevation:
        common.to_known_elevation(told, adjustment.known_ends)
    told["order"][:] = np.where(is_tied, order, 0)
    told["is_lowered"][:] = is_tied & (order < (0 if setup.order is None else setup.order))
    told["coefficient"][:, :, ~is_tied] = 0.0
    told["variance"][:, :, ~is_tied] = np.inf
    told["trust"][:] = found.trust[:, 0]
    if setup.track is not None:
        waves = told["jitter"].reshape(-1, len(ends))
        waves[:] = jitter_by_date.adjusted(waves, np.where(is_used, np.nan_to_num(found.trust[:, 0]), 0.0), ends)
    if setup.is_referenced:
        _tell_errors(told, adjustment, is_tied, ends)
    else:
        # the spread of what is left of a field, which is much the same in all of them
        told["sigma_shift"][is_tied & ~known] = np.median(told["sigma_shift"][known])
    told["sigma_shift"][~is_tied] = told["sigma_left"][~is_tied]
    return out


def with_parts(table: np.ndarray, ends: np.ndarray, setup: Setup) -> np.ndarray:
    """The table (layer, pair) of `Setup.table` with both parts of the errors of pairs that are corrected one by one.

    How badly their shifts close around the network tells which part is their own.
    """
    out = table.copy()
    told, trial = setup.table.split(out), setup.table.split(table.copy())
    known = told["state"] == CORRECTED
    if known.any():
        if setup.has_elevation:
            common.to_common_elevation(trial, known, ends)
        common.to_common_steps(trial, known, setup)
        values, variance = (each[:, :1] for each in _differences(trial, known, setup))
        share = dates.adjust(_flat(values), _flat(variance), ends, int(ends.max()) + 1).share[0]
        told["sigma_parts"][:] = np.where(known, _parts(told["sigma_shift"] ** 2, share), np.nan)
    return out


def _parts(square: np.ndarray, share: float) -> np.ndarray:
    """Standard errors (2, pair) that belong to the dates of the pairs, and to the pairs, of variances (pair,)."""
    return np.sqrt(np.stack([(1.0 - share) * square, share * square]))


def of_dates(table: np.ndarray, ends: np.ndarray, setup: Setup) -> np.ndarray:
    """Ramps of the dates, `OF_DATES` (layer, date), from the table (layer, pair) of `Setup.table`.

    Those of dates that pairs tie together are zero on their mean; NaN for a date that no pair ties.
    """
    count = int(ends.max()) + 1
    out = np.full((OF_DATES.count, count), np.nan)
    told = setup.table.split(table.copy())
    parts = OF_DATES.split(out)
    parts["n_pairs"][:] = 0.0
    if not (told["state"] != NOT_CORRECTED).any():
        return out
    found, order, is_used = _adjusted(told, ends, setup)[:3]
    parts["order"][ends] = order[:, np.newaxis]
    ramp = _unflat(found.of_dates)[:, : len(POWERS)]
    beyond = _beyond(parts["order"], setup)[: len(POWERS)]
    parts["ramp"][:] = np.where(beyond & np.isfinite(ramp[:, :1]), 0.0, ramp)
    parts["sigma_shift"][:] = np.sqrt(_unflat(found.of_dates_variance)[:, 0].mean(axis=0))
    parts["part"][:] = _unflat(found.part)[0, 0]
    keeps = is_used & (found.trust[:, 0] >= dates.REJECTED)
    parts["n_pairs"][:] = np.bincount(ends[keeps].ravel(), minlength=count)
    return out


def _shifts(told: Mapping[str, np.ndarray], is_used: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Shifts of the ground (2, pair) [m] as the dates say, NaN where they do not tell.

    The first term of a ramp is none: it counts from the middle of the scene and from the zero of steps and elevations.
    """
    values, variance = (np.where(is_used, each, np.nan) for each in (told["shift"], told["variance"][:, 0]))
    values, variance = _flat(values[:, np.newaxis]), _flat(np.maximum(variance, _LEAST_VARIANCE)[:, np.newaxis])
    return _unflat(dates.adjust(values, variance, ends, int(ends.max()) + 1).of_pairs)[:, 0]


def _beyond(order: np.ndarray, setup: Setup) -> np.ndarray:
    """Terms (term, n) of the ramp that are none of ramps of these orders (n,)."""
    term = np.arange(setup.terms.count)[:, np.newaxis]
    return np.asarray((term >= np.array(OF_ORDER)[order.astype(np.int64)]) & (term < len(POWERS)))


class _Adjustment(NamedTuple):
    """Numbers of the dates from those of the pairs."""

    found: dates.Adjusted
    order: np.ndarray  # of the ramps (pair,)
    is_used: np.ndarray  # pairs (pair,) that told it
    tells_shift: np.ndarray  # and those of them that told of shift and elevation
    known_ends: np.ndarray  # elevations [m] between which the dates of each pair are known (2, pair)
    is_in_steps: bool  # whether the shift is a part of each step


def _adjusted(told: Mapping[str, np.ndarray], ends: np.ndarray, setup: Setup) -> _Adjustment:
    known = told["state"] != NOT_CORRECTED
    order = _of_parts(lambda here: int(told["order"][known & here].max(initial=0)), ends)
    is_used = known & (told["order"] == order)
    tells_shift, known_ends = is_used, told["elevation"]
    if setup.has_elevation:
        tells_shift, known_ends = common.to_common_elevation(told, is_used, ends)
    is_in_steps = common.to_common_steps(told, is_used, setup)
    values, variance = _differences(told, is_used, setup)
    values[:, 0, ~tells_shift] = np.nan
    values[:, setup.terms["elevation"], ~tells_shift] = np.nan
    found = dates.adjust(_flat(values), _flat(variance), ends, int(ends.max()) + 1)
    return _Adjustment(found, order, is_used, tells_shift, known_ends, is_in_steps)


def _flat(numbers: np.ndarray) -> np.ndarray:
    """Numbers (2, term, pair) as one set a pair (pair, 1, number)."""
    return np.ascontiguousarray(numbers.reshape(-1, numbers.shape[2]).T[:, np.newaxis])


def _unflat(numbers: np.ndarray) -> np.ndarray:
    """The way back from `_flat`, of pairs or of dates."""
    return np.moveaxis(numbers.reshape(len(numbers), 2, -1), 0, 2)


def _differences(told: Mapping[str, np.ndarray], is_used: np.ndarray, setup: Setup) -> tuple[np.ndarray, np.ndarray]:
    """Numbers that are differences of those of dates, and their variances (2, term, pair), NaN where unknown.

    Where steps of stripes were told for both images apart, their difference counts.
    """
    values, variance = told["coefficient"].copy(), told["variance"].copy()
    second, first = setup.terms["secondary"], setup.terms["reference"]
    is_apart = _are_apart(told, setup)
    values[:, second] -= np.where(is_apart, values[:, first], 0.0)
    variance[:, second] += np.where(is_apart, variance[:, first], 0.0)
    variance[:, first] = np.inf
    is_known = is_used & np.isfinite(values) & np.isfinite(variance)
    return np.where(is_known, values, np.nan), np.where(is_known, np.maximum(variance, _LEAST_VARIANCE), np.nan)


def _are_apart(told: Mapping[str, np.ndarray], setup: Setup) -> np.ndarray:
    """Pairs (pair,) whose images were seen by different stripes, so that the steps of both were told apart."""
    return np.asarray(np.isfinite(told["variance"][:, setup.terms["reference"]]).any(axis=(0, 1)))


def _steps_of_both(
    told: Mapping[str, np.ndarray], found: dates.Adjusted, ends: np.ndarray, setup: Setup
) -> dict[str, np.ndarray]:
    """Steps of the stripes (2, stripe, pair) of both images of the pairs, none if no pair told them apart.

    Differences leave open what is common to all dates: the median of what such pairs show beyond them.
    """
    is_apart = _are_apart(told, setup)
    if not is_apart.any():
        return {}
    # of dates that no chain of pairs ties to most of the others, nothing is common to all
    size = np.stack([(found.part == each).sum(axis=0) for each in found.part])
    main = np.take_along_axis(found.part, size.argmax(axis=0)[np.newaxis], axis=0)
    steps = _unflat(np.where(found.part == main, found.of_dates, np.nan))[:, setup.terms["secondary"]]
    slots = {"secondary": steps[:, :, ends[:, 1]], "reference": steps[:, :, ends[:, 0]]}
    beyond = np.stack([told["coefficient"][:, setup.terms[slot]] - each for slot, each in slots.items()])
    beyond[:, :, :, ~is_apart] = np.nan
    shared = np.full(beyond.shape[1:3], np.nan)
    for place in np.ndindex(shared.shape):
        shown = beyond[:, *place].ravel()
        shown = shown[np.isfinite(shown)]
        shared[place] = np.median(shown) if shown.size else np.nan
    return {slot: each + shared[:, :, np.newaxis] for slot, each in slots.items()}


def _tell_errors(
    told: Mapping[str, np.ndarray], adjustment: _Adjustment, is_tied: np.ndarray, ends: np.ndarray
) -> None:
    """Standard errors (pair,) of the pairs as a whole, lowered as those of their shifts are; those of others told."""
    found, tells, sigma = adjustment.found, adjustment.tells_shift, told["sigma_shift"]
    square = np.where(tells, np.maximum(sigma, 0.0) ** 2, np.nan)
    of_dates = np.empty((int(ends.max()) + 1, 1, 1))
    solver.date_variance(ends, square.reshape(-1, 1, 1), of_dates)
    own = np.where(tells, square, of_dates[ends[:, 0], 0, 0] + of_dates[ends[:, 1], 0, 0])
    ratio = (found.variance / found.own)[:, 0]
    if adjustment.is_in_steps:
        factor = np.array([each[np.isfinite(each)].mean() if np.isfinite(each).any() else np.nan for each in ratio])
    else:
        # the shift is the first term of each component
        factor = ratio[:, [0, ratio.shape[1] // 2]].mean(axis=1)
    sigma[is_tied] = np.sqrt(own * factor)[is_tied]
    told["sigma_parts"][:] = np.where(is_tied, _parts(own, found.share[0]), np.nan)
