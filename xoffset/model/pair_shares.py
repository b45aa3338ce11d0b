"""What a scene tells of the share that its pairs have of the variances, where the network tells little."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from xoffset._arrays.networks import shares
from xoffset._blocks import whole

# Nodes that are looked at, at most: of a larger scene every so many are.
SAMPLE = 4000


def pair_shares(fields: list[Any], ends: np.ndarray, times: np.ndarray) -> Any:
    """Probabilities (share,) of `chains.SHARES`, NumPy or, of lazy fields of a chain, dask.

    fields: dx, dy and their standard errors (pair, rows, columns); ends (pair, 2), indices into times (date,) [yr].
    """
    usual = shares.usual()
    if not shares.are_asked(ends, times.size):
        return usual
    fit = partial(shares.of_scene, ends=ends, times=times)
    nodes = math.prod(fields[0].shape[1:])
    return whole.at_once(fit, whole.sample(fields, nodes, SAMPLE), usual.dtype, usual.shape)
