"""Linear systems of a strip of pixels: normal matrices, factors and inverses, and what these make of the noise."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.networks.strips import Network, Strip
from xoffset._kernels.networks import smoothing, systems, variances


def prepare(network: Network, s: Strip) -> None:
    """Normal matrices of all pixels, factored."""
    systems.assemble(network.ends, s.effective, s.band)
    systems.ground(s.root, True, s.band)
    systems.factor(network.first, s.band)


def prepare_smooth(network: Network, s: Strip, strength: np.ndarray) -> None:
    """As `prepare`, with a penalty of the strength (lanes) on changes of velocity."""
    systems.assemble(network.ends, s.effective, s.band)
    smoothing.stiffen(network.times, s.root, strength, s.band)
    systems.ground(s.root, False, s.band)
    systems.factor(network.first, s.band)


def prepare_equal(network: Network, s: Strip) -> None:
    """As `prepare`, with one factor for all pixels if they have the same pairs with the same weights."""
    if not (_is_alike(s.effective) and _is_alike(s.root)):
        prepare(network, s)
        return
    one, root = (np.ascontiguousarray(array[..., :1]) for array in (s.effective, s.root))
    band = np.empty((*s.band.shape[:2], 1))
    systems.assemble(network.ends, one, band)
    systems.ground(root, True, band)
    systems.factor(network.first, band)
    s.band[:] = band


def _is_alike(array: np.ndarray) -> bool:
    """Whether all pixels of an array (n, lanes) are the same."""
    return bool((array[0] == array[0, 0]).all() and (array == array[:, :1]).all())


def sum_inverse(network: Network, s: Strip, has_inverse: bool) -> None:
    """Sums of the rows of the inverse, and itself within the envelope, unless it is there; the factor is kept."""
    if not has_inverse:
        systems.invert(network.first, s.band, s.inverse)
    systems.unknowns(s.root, s.sums[0])
    systems.solve(network.first, s.band, s.sums)
    np.copyto(s.factor, s.band)


def step(network: Network, s: Strip) -> None:
    """Solve for the change of the solution and add it where a pixel has not settled."""
    systems.gradient(network.ends, s.root, s.effective, s.observed, s.solution, s.change)
    systems.solve(network.first, s.band, s.change)
    systems.advance(s.change, s.is_settled, s.solution, s.largest_change, s.largest)


def invert_whole(network: Network, s: Strip, strength: np.ndarray | None) -> None:
    """Whole inverse of the normal matrix, with a penalty of the strength (lanes) if there is one; keeps the factor."""
    if strength is None:
        prepare(network, s)
    else:
        prepare_smooth(network, s, strength)
    s.whole.fill(0.0)
    systems.unknowns(s.root, s.sums[0])
    for k in range(network.first.size):
        s.whole[k, k] = s.sums[0, k]
        systems.solve(network.first, s.band, s.whole[k : k + 1])
    np.copyto(s.factor, s.band)


def general_covariance(network: Network, s: Strip, excess: float, out: np.ndarray, mean: float = 1.0) -> None:
    """As `_covariance`, for any weights and any smoothness, from the whole inverse; mean: of `gain_of_dates`."""
    dates = network.first.size
    seen, counts, means, row = np.empty((4, dates, s.lanes))
    variances.see(s.zero, s.state, s.root, seen)
    variances.centre(seen, s.root, s.whole, counts, means)
    of_pairs = s.root, s.effective, s.whole, counts, means, s.variance, s.share, row
    of_dates = seen, s.root, row, counts, s.of_date, s.is_blind, s.share
    for k in range(dates):
        variances.gain_of_pairs(k, network.ends, excess, *of_pairs, out)
        variances.gain_of_dates(k, network.factor, mean, *of_dates, out)
