"""What is asked of the arrays of a scene: counts, the fit of each pair, what it is worth, and what it takes off."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from xoffset._arrays.corrections import edges, fit, jittered, joint, terms
from xoffset._arrays.corrections.fit import Sample
from xoffset._arrays.corrections.terms import NOT_CORRECTED, UNREFERENCED, Places, Setup

# Spread on stable ground, in units of the standard errors, above which it is said that the ground may move.
_LARGE_RATIO = 3.0
# Pairs that tell the edges of stripes, at most.
_OF_EDGES = 30
# What is the same for all pairs.
_OF_ALL = ("used", "across", "elevation", "edges")

_log = logging.getLogger(__name__)


def counts(dx: np.ndarray, dy: np.ndarray, stable: np.ndarray) -> np.ndarray:
    """Vectors on stable ground, and all vectors, of each pair (pair, 2)."""
    known = np.isfinite(dx) & np.isfinite(dy)
    return np.stack([(known & stable).sum(axis=(1, 2)), known.sum(axis=(1, 2))], axis=1)


def thinned(used: np.ndarray, most: int) -> np.ndarray:
    """Nodes (rows, columns) that are used, as many as `most` of them, drawn at random."""
    nodes = np.flatnonzero(used)
    if nodes.size <= most:
        return used
    out = np.zeros(used.shape, dtype=np.bool_)
    out.ravel()[np.random.default_rng(0).permutation(nodes)[:most]] = True
    return out


def with_probes(used: np.ndarray) -> np.ndarray:
    """Nodes (rows, columns) that are used, and those where it is asked how well a ramp is known."""
    return np.asarray(used | joint.probed(used.shape))


def fit_pair(*arrays: np.ndarray, names: tuple[str, ...], u: np.ndarray, v: np.ndarray, setup: Setup) -> np.ndarray:
    """Numbers of a pair (layer,) as `Setup.table` says."""
    given = dict(zip(names, arrays, strict=True))
    if "order" in given:
        setup = replace(setup, order=int(given["order"]))
    sample = _sample(given, u, v, setup)
    numbers = fit.of_pair(sample, given["counts"], setup)
    if setup.track is not None:
        numbers = _with_jitter(sample, numbers, given, setup)
    if setup.half is not None:
        numbers[setup.table["edges"]] = given["edges"]
    return numbers


def _with_jitter(sample: Sample, numbers: np.ndarray, given: dict[str, np.ndarray], setup: Setup) -> np.ndarray:
    """Numbers of a pair (layer,) with its jitter, from those that were fitted without."""
    values, places = sample.at_used()

    def told(numbers: np.ndarray, before: np.ndarray) -> np.ndarray:
        setup.table.split(numbers)["heading"][:] = given["heading"]
        jittered.fill(values, places, before, setup, numbers)
        return np.asarray(setup.table.split(numbers)["jitter"])

    # jitter looks like noise that all neighbours share, and leaks into the other terms: once it is known, they are
    # fitted to what it leaves, and it is told anew from what they leave
    first = told(numbers, setup.table.split(numbers)["jitter"])
    numbers = fit.of_pair(_calmed(sample, values, places, setup, numbers), given["counts"], setup)
    told(numbers, first)
    return numbers


def _calmed(sample: Sample, values: list[np.ndarray], places: Places, setup: Setup, numbers: np.ndarray) -> Sample:
    """The sample without jitter, where it is known."""
    told = setup.table.split(numbers)
    waves = jittered.At.of(places, float(told["heading"][0]), setup).jitter(told["jitter"])
    out = [np.full(sample.used.shape, np.nan) for _ in values]
    for field, value, wave in zip(out, values, waves, strict=True):
        field[sample.used] = value - np.nan_to_num(wave)
    return sample._replace(dx=out[0], dy=out[1])


def judge_pair(*arrays: np.ndarray, names: tuple[str, ...], u: np.ndarray, v: np.ndarray, setup: Setup) -> np.ndarray:
    """Statistics (layer,) of a pair as `fit.STATISTICS` says."""
    given = dict(zip(names, arrays, strict=True))
    return fit.statistics(_sample(given, u, v, setup), given["table"], setup)


def _on_grid(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A field (rows, columns), if need be of the numbers of some of its nodes and the values there; 0 elsewhere."""
    if values.dtype != object:
        return values
    parts = list(values.ravel())
    out = np.zeros(shape, dtype=parts[0][1].dtype)
    for nodes, here in parts:
        out.ravel()[nodes] = here
    return out


def _sample(given: dict[str, np.ndarray], u: np.ndarray, v: np.ndarray, setup: Setup) -> Sample:
    given = {name: _on_grid(values, given["used"].shape) for name, values in given.items()}
    layers = {name: given[name] for name in ("secondary", "reference", "elevation", "across") if name in given}
    used = given["used"] & np.isfinite(given["dx"]) & np.isfinite(given["dy"])
    places = Places(u, v, **layers)
    if setup.half is not None:
        places = terms.with_found(places, given["edges"], setup)
    return Sample(given["dx"], given["dy"], used, places, (given["sigma_dx"], given["sigma_dy"]))


def found_edges(
    *arrays: np.ndarray, names: tuple[str, ...], u: np.ndarray, v: np.ndarray, width: float, setup: Setup
) -> np.ndarray:
    """Edges of stripes in all pairs together, as `edges.found` tells them."""
    given = dict(zip(names, arrays, strict=True))
    assert setup.half is not None
    shape = given["used"].shape
    x, y = (np.broadcast_to(each * half, shape).ravel() for each, half in zip((u, v), setup.half, strict=True))
    left = _left(given, u, v, replace(setup, stripes=0, half=None))
    rows = [(np.flatnonzero(used), each) for values, used in left for each in values]
    told = edges.found(rows, np.ones(len(rows)), x, y, width)
    if np.isfinite(told[1:]).any():
        # what the steps themselves have in common is no noise that neighbours share, nor is jitter, which moves both
        # sides of an edge
        alike = [
            joint.neighbours_of([edges.without_lines(each, used, x, y, width, told[0]) for each in values], used)
            for values, used in _left(given | {"edges": told}, u, v, setup)
        ]
        told = edges.found(rows, np.repeat(alike, 2), x, y, width)
    places = told[1:][np.isfinite(told[1:])]
    if not places.size:
        _log.info("correct(): found no edges of stripes.")
        return told
    _log.warning(
        "correct(): found %d edges of stripes, tilted by %g degrees from grid north, %s m from the middle of the "
        "scene, and takes the steps there off. A straight fault or margin looks alike: see removed_dx and removed_dy, "
        "and pass trace, or stripes=xoffset.detectors(...) if an edge is none of the sensor.",
        places.size, told[0], ", ".join(f"{place:.0f}" for place in places),
    )  # fmt: skip
    return told


def _left(
    given: dict[str, np.ndarray], u: np.ndarray, v: np.ndarray, setup: Setup
) -> list[tuple[list[np.ndarray], np.ndarray]]:
    """What a fit leaves of both components (node,) of some of the pairs, at nodes `used` (rows, columns)."""
    pairs = len(given["dx"])
    out = []
    for pair in range(0, pairs, -(-pairs // _OF_EDGES)):
        of_pair = {name: each if name in _OF_ALL else each[pair] for name, each in given.items()}
        sample = _sample(of_pair, u, v, setup)
        ground = joint.known(sample.at_used()[0], sample.places, sample.used, setup)
        if ground.values[0].size >= terms.LEAST:
            found = joint.fitted(ground)
            out.append((ground.residuals(found.fits, found.order, found.depth), ground.used))
    return out


def check_carried(table: np.ndarray, setup: Setup, caller: str) -> None:
    """Check that the ground carries the order that is wanted in some pair of a table (layer, pair).

    Raises
    ------
    ValueError
        If it does so in none.
    """
    told = setup.table.split(table)
    corrected = told["state"] != NOT_CORRECTED
    if setup.is_needed and corrected.any() and (told["is_lowered"][corrected] > 0.0).all():
        raise ValueError(
            f"{caller}() needs stable ground all around to carry a ramp of order {setup.order}, and so much of it that "
            "the ramp is known better than a single vector; got ground that carries no more than order "
            f"{int(told['order'][corrected].max())}. Enlarge stable, or lower the order."
        )


def checked(table: np.ndarray, *, setup: Setup, is_by_date: bool = False) -> np.ndarray:
    """The table (layer, pair), after it is told what could not be done.

    Raises
    ------
    ValueError
        If the ground can carry the order that is wanted in no pair.
    """
    if not is_by_date:
        # otherwise the pairs themselves were looked at, before they took one order
        check_carried(table, setup, "correct")
    told = setup.table.split(table)
    corrected = told["state"] != NOT_CORRECTED
    lowered = corrected & (told["is_lowered"] > 0.0)
    if lowered.any():
        _log.warning(
            "correct(): the stable ground of %d of %d pairs cannot carry a ramp of order %s: they take a lower one.",
            lowered.sum(), lowered.size, setup.order,
        )  # fmt: skip
    if not corrected.all():
        _log.warning(
            "correct(): %d of %d pairs have too little stable ground or too large a shift, and stay as they are. "
            "Enlarge stable, or change min_nodes, min_share or max_shift.",
            (~corrected).sum(), corrected.size,
        )  # fmt: skip
    return table


def judged(statistics: np.ndarray) -> np.ndarray:
    """The statistics (layer, pair), after it is told of ground that may move."""
    # one component alone may move, and few pairs span the event that moves it
    ratio = np.nan_to_num(fit.STATISTICS.split(statistics)["sigma_ratio"]).max(axis=0)
    moves = ratio > _LARGE_RATIO
    if moves.any():
        _log.warning(
            "correct(): in %d of %d pairs what is left on stable ground spreads more than %.0f times as far as the "
            "standard errors say, up to %.1f times. Is it stable? See sigma_ratio_dx, sigma_ratio_dy; shrink stable, "
            "give the trace of a fault that crosses it, or calibrate() the errors first.",
            moves.sum(), moves.size, _LARGE_RATIO, ratio.max(),
        )  # fmt: skip
    return statistics


def applied(
    table: np.ndarray, *arrays: np.ndarray, names: tuple[str, ...], ends: np.ndarray | None, setup: Setup
) -> np.ndarray:
    """Corrected shifts along x and y, all that was taken off so far, and 1 where a part of it is unknown.

    Each has a layer for every pair: (4 or 5 times pair, rows, columns). ends (pair, 2): layers of the stripes of its
    reference and of its secondary image.
    """
    given = dict(zip(names, arrays, strict=True))
    shifts, (u, v) = (given["dx"], given["dy"]), given["places"]
    has_unknown = setup.has_unknown
    out = np.zeros((4 + has_unknown, *shifts[0].shape), dtype=shifts[0].dtype)
    at: jittered.At | None = None
    for pair, numbers in enumerate(table.T):
        told = setup.table.split(numbers)
        stripes: dict[str, np.ndarray] = {}
        if ends is not None:
            stripes = {name: given["stripes"][ends[pair, k]] for k, name in enumerate(("reference", "secondary"))}
        elevation = given["elevation"][0] if "elevation" in given else None
        here = Places(u, v, **stripes, elevation=elevation)
        if setup.half is not None:
            here = terms.with_found(here, told["edges"], setup)
        parts, unknown = terms.removed(told["coefficient"], here, told["elevation"], setup)
        if setup.track is not None:
            at = jittered.At.of(here, float(told["heading"][0]), setup) if at is None else at.of_stripe(here)
            parts, unknown = jittered.added(parts, unknown, told, at)
        for k, (name, part) in enumerate(zip(("removed_dx", "removed_dy"), parts, strict=True)):
            removed = out[2 + k, pair]
            removed[:] = part
            # what is taken off is what was rounded, so that it can be put back
            out[k, pair] = shifts[k][pair] - removed
            if name in given:
                removed += given[name][pair]
        if has_unknown and unknown is not None and told["state"] != NOT_CORRECTED:
            out[4, pair] = unknown
    return out.reshape(-1, *shifts[0].shape[1:])


def flagged(
    table: np.ndarray, flags: np.ndarray, *unknown: np.ndarray, setup: Setup, bits: tuple[int, int]
) -> np.ndarray:
    """Flags (pair, rows, columns) with the bits for no stable ground, and for what was not corrected.

    A pair that an earlier correction could not refer to stable ground may be now. What it did not know of single nodes
    is still in their shifts, and stays flagged.
    """
    unreferenced, not_corrected = (np.int64(bit) for bit in bits)
    out = np.empty(flags.shape, dtype=np.int64)
    for pair, state in enumerate(table[setup.table.at("state")]):
        if state == NOT_CORRECTED:
            out[pair] = flags[pair] | not_corrected
            continue
        out[pair] = flags[pair] & ~unreferenced
        if state == UNREFERENCED:
            out[pair] |= unreferenced
        if unknown:
            out[pair][unknown[0][pair] > 0.0] |= not_corrected
    return out
