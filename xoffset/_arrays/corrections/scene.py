"""What is asked of the arrays of a scene: counts, the fit of each pair, what it is worth, and what it takes off."""

from __future__ import annotations

import logging

import numpy as np

from xoffset._arrays.corrections import fit, terms
from xoffset._arrays.corrections.fit import Sample
from xoffset._arrays.corrections.terms import NOT_CORRECTED, Places, Setup

# Spread on stable ground, in units of the standard errors, above which it is said that the ground may move.
_LARGE_RATIO = 3.0

_log = logging.getLogger(__name__)


def counts(dx: np.ndarray, dy: np.ndarray, stable: np.ndarray) -> np.ndarray:
    """Vectors on stable ground, and all vectors, of each pair (pair, 2)."""
    known = np.isfinite(dx) & np.isfinite(dy)
    return np.stack([(known & stable).sum(axis=(1, 2)), known.sum(axis=(1, 2))], axis=1)


def fit_pair(*arrays: np.ndarray, names: tuple[str, ...], u: np.ndarray, v: np.ndarray, setup: Setup) -> np.ndarray:
    """Numbers of a pair (layer,) as `Setup.table` says."""
    given = dict(zip(names, arrays, strict=True))
    return fit.of_pair(_sample(given, u, v), given["counts"], setup)


def judge_pair(*arrays: np.ndarray, names: tuple[str, ...], u: np.ndarray, v: np.ndarray, setup: Setup) -> np.ndarray:
    """Statistics (layer,) of a pair as `fit.STATISTICS` says."""
    given = dict(zip(names, arrays, strict=True))
    errors = given["sigma_dx"], given["sigma_dy"]
    return fit.statistics(_sample(given, u, v), errors, given["table"], setup)


def _sample(given: dict[str, np.ndarray], u: np.ndarray, v: np.ndarray) -> Sample:
    layers = {name: given[name] for name in ("secondary", "reference", "elevation", "across") if name in given}
    used = given["used"] & np.isfinite(given["dx"]) & np.isfinite(given["dy"])
    return Sample(given["dx"], given["dy"], used, Places(u, v, **layers))


def checked(table: np.ndarray, *, setup: Setup) -> np.ndarray:
    """The table (layer, pair), after it is told what could not be done.

    Raises
    ------
    ValueError
        If the ground can carry the order that is wanted in no pair.
    """
    told = setup.table.split(table)
    corrected = told["state"] != NOT_CORRECTED
    lowered = corrected & (told["is_lowered"] > 0.0)
    if corrected.any() and lowered[corrected].all():
        raise ValueError(
            f"correct() needs stable ground all around to carry a ramp of order {setup.order}, and so much of it that "
            "the ramp is known better than a single vector; got ground that carries no more than order "
            f"{int(told['order'][corrected].max())}. Enlarge stable, or lower the order."
        )
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


def removed(
    table: np.ndarray, *arrays: np.ndarray, names: tuple[str, ...], ends: np.ndarray | None, setup: Setup
) -> np.ndarray:
    """What is taken off along x and along y [m], and where a part of it is unknown, 1 (layer, rows, columns)."""
    given = dict(zip(names, arrays, strict=True))
    dx, places = given["dx"], given["places"]
    has_unknown = setup.stripes > 0 or setup.has_elevation
    out = np.zeros((2 + has_unknown, *dx.shape), dtype=dx.dtype)
    for pair, numbers in enumerate(table.T):
        told = setup.table.split(numbers)
        stripes: dict[str, np.ndarray] = {}
        if ends is not None:
            stripes = {name: given["stripes"][ends[pair, k]] for k, name in enumerate(("reference", "secondary"))}
        elevation = given["elevation"][0] if "elevation" in given else None
        here = Places(places[0], places[1], **stripes, elevation=elevation)
        parts, unknown = terms.removed(told["coefficient"], here, told["elevation"], setup)
        out[0, pair], out[1, pair] = parts
        if has_unknown and unknown is not None and told["state"] != NOT_CORRECTED:
            out[2, pair] = unknown
    return out.reshape(-1, *dx.shape[1:])
