"""How probable the shares are that pairs have of the variances, over a scene of which a sample of pixels is seen."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.networks import graph, solver
from xoffset._arrays.networks.observations import Observations
from xoffset._kernels.networks.chains import PRIOR
from xoffset._kernels.networks.variances import ENOUGH

# Pixels that experience counts for: a scene of fewer hardly tells more than each of its pixels.
EXPERIENCE = 100.0
# Rounds of the estimate; it moves by less than a hundredth after half as many.
ROUNDS = 40


def usual() -> np.ndarray:
    """Probabilities (share,) before anything is seen."""
    return np.array(PRIOR)


def are_asked(ends: np.ndarray, dates: int) -> bool:
    """Whether a network, ends (pair, 2), has so few redundant pairs that changes from date to date have a say."""
    return len(graph.undirected(ends)) - graph.rank(dates, ends) < ENOUGH


def of_scene(*fields: np.ndarray, ends: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Probabilities (share,) of `chains.SHARES` in the pixels of a scene, whatever the share of each.

    dx, dy and their standard errors (pair, rows, columns); ends (pair, 2) of each match as indices into times (date,)
    [yr]. Expectation and maximisation of the weights of a mixture (Dempster et al. 1977, J. R. Stat. Soc. B 39, 1-38).
    """
    seen = Observations.of(ends)
    log = solver.likelihoods(seen.ends, times, seen.merge(*fields))
    log = log[:, np.isfinite(log).all(axis=0)]
    likely, found = np.exp(log - log.max(axis=0, initial=-np.inf)), usual()
    for _ in range(ROUNDS):
        each = found[:, np.newaxis] * likely
        found = (EXPERIENCE * usual() + (each / each.sum(axis=0)).sum(axis=1)) / (EXPERIENCE + log.shape[1])
    return found
