"""Displacement between consecutive dates from a network of pairs, block by block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xoffset._arrays.layers import Layers
from xoffset._arrays.networks import adjustment, graph, linear, strips
from xoffset._arrays.networks.observations import Observations
from xoffset._arrays.networks.solver import abreast
from xoffset._arrays.networks.strips import Network, Strip
from xoffset._kernels.networks import losses, systems
from xoffset._kernels.networks.observations import LEAST, MOST, load

# States of an interval: pairs tie its dates; one of them has no pair; no chain of pairs leads from one to the other.
TIED, NO_PAIRS, DISCONNECTED = 0.0, 1.0, 2.0
# Redundancy under which no other pair checks one.
UNCHECKED = 1e-6


def layers_of(dates: int) -> Layers:
    """Where the results are: displacement and variance (2, interval), state and pairs (interval), open losses."""
    each = dates - 1
    return Layers(displacement=(2, each), variance=(2, each), state=(each,), n_pairs=(each,), is_open=())


def solve(shares: np.ndarray, *fields: np.ndarray, ends: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Results (layer, rows, columns) as `layers_of` says, of dx, dy and their standard errors (pair, rows, columns).

    shares: of `Network`. ends (pair, 2) of each match as indices into times (date,) [yr].
    """
    seen, dates = Observations.of(ends), times.size
    merged = seen.merge(*fields).reshape(4, len(seen.ends), -1)
    places = layers_of(dates)
    out = np.full((places.count, merged.shape[2]), np.nan, fields[0].dtype)
    result = places.split(out)
    result["state"][:], result["n_pairs"][:], result["is_open"][:] = NO_PAIRS, 0.0, 0.0
    is_known = np.isfinite(merged[:2]).all(axis=0)
    has_variance = is_known & ((merged[2:] > LEAST) & (merged[2:] < MOST)).all(axis=0)
    # where no pair has standard errors all weigh alike
    is_blind = ~has_variance.any(axis=0)
    is_used = np.where(is_blind, is_known, has_variance)
    first = graph.envelope(dates, seen.ends, diagonals=1)
    for home, pixels in _alike(seen.ends, is_used, is_blind):
        network = Network.of(seen.ends, first, np.array([home]), times, shares=shares)
        given = np.ones((len(seen.ends) * int(is_blind[pixels[0]]), 1))
        s = _strip(network, pixels.size)
        for few in strips.strips_of(pixels.size, s.lanes):
            s.merged[:] = merged[:, :, pixels[few]]
            weight = np.ascontiguousarray(np.broadcast_to(given, (len(given), s.lanes)))
            load(s.merged, weight, s.observed, s.variance, s.weight, s.n_pairs, s.is_blind, s.total)
            adjustment.noise(network, s, losses.HUBER)
            for name, values in _between(network, s).items():
                result[name][..., pixels[few]] = values
    return out.reshape(places.count, *fields[0].shape[1:])


def _alike(ends: np.ndarray, is_used: np.ndarray, is_blind: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Pixels with the same first date, all of them with or all without standard errors; none without pairs."""
    order = np.argsort(ends[:, 0], kind="stable")
    first = ends[order[np.argmax(is_used[order], axis=0)], 0]
    has_pairs = is_used.any(axis=0)
    for home in np.unique(first[has_pairs]):
        for blind in (False, True):
            pixels = np.flatnonzero(has_pairs & (first == home) & (is_blind == blind))
            if pixels.size:
                yield int(home), pixels


def _strip(network: Network, pixels: int) -> Strip:
    dates = network.first.size
    width = int((np.arange(dates) - network.first).max()) + 1
    lanes = abreast(len(network.ends), dates, pixels, 24 * dates * width)
    return strips.strip(0, np.float64, network, lanes, False)


def _between(network: Network, s: Strip) -> dict[str, np.ndarray]:
    """Results of a strip whose network is solved, by the names of the layers."""
    has_pairs = s.root >= 0
    is_tied = has_pairs[:-1] & (s.root[:-1] == s.root[1:])
    is_lone = ~(has_pairs[:-1] & has_pairs[1:])
    return {
        "displacement": np.where(is_tied, np.diff(s.solution, axis=1), np.nan),
        "variance": np.where(is_tied, _variance(network, s), np.nan),
        "state": np.where(is_tied, TIED, np.where(is_lone, NO_PAIRS, DISCONNECTED)),
        "n_pairs": _across(network.ends, s.weight > 0.0),
        "is_open": s.is_settled == 0.0,
    }


def _across(ends: np.ndarray, is_used: np.ndarray) -> np.ndarray:
    """Number of the pairs in use (pair, lanes) that pass over each interval, (interval, lanes)."""
    counts = []
    for end in range(2):
        order = np.argsort(ends[:, end], kind="stable")
        until = np.zeros((len(ends) + 1, is_used.shape[1]), np.int32)
        np.cumsum(is_used[order], axis=0, out=until[1:])
        counts.append(until[np.searchsorted(ends[order, end], np.arange(ends.max()), side="right")])
    return np.asarray(counts[0] - counts[1])


def _variance(network: Network, s: Strip) -> np.ndarray:
    """Variance of the displacement between neighbouring dates (2, interval, lanes).

    The noise of both dates enters it whole, that of the pairs as the solution passes it on. A pair between the two
    dates tells more: as long as it counts the displacement is no worse than it, and no better if nothing checks it.
    """
    linear.prepare(network, s)
    systems.invert(network.first, s.band, s.inverse)
    last = s.inverse.shape[1] // 2
    is_free = (s.root >= 0) & (s.root != np.arange(s.root.shape[0])[:, np.newaxis])
    own = np.where(is_free, s.inverse[:, last], 0.0)
    shared = np.where(is_free[1:] & is_free[:-1], s.inverse[1:, last - 1], 0.0)
    spread = own[1:] + own[:-1] - 2.0 * shared
    both = s.total.sum(axis=0)
    balance = np.divide(2.0 * s.total, both, out=np.ones_like(s.total), where=both > 0.0)[:, np.newaxis]
    of_dates = s.of_date[:, 1:].astype(np.float64) + s.of_date[:, :-1]
    held = np.where(s.is_blind > 0.0, 0.0, np.maximum(1.0 - s.share, 0.0) * of_dates)
    out: np.ndarray = held + s.share * spread * balance
    direct = np.flatnonzero(np.diff(network.ends, axis=1)[:, 0] == 1)
    at = network.ends[direct, 0]
    trust = np.divide(s.effective, s.weight, out=np.zeros_like(s.weight), where=s.weight > 0.0)[direct]
    counts = (trust > 0.0) & (s.is_blind == 0.0)
    with np.errstate(divide="ignore"):
        limit = np.maximum(s.share, 1.0) * s.variance[:, direct] / trust
    is_alone = s.redundancy[direct] < UNCHECKED
    out[:, at] = np.where(counts, np.where(is_alone, limit, np.minimum(out[:, at], limit)), out[:, at])
    return out
