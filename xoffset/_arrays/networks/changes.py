"""Changes of the velocity of pixels, some pixels at a time."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.layers import Layers
from xoffset._arrays.networks.gathering import gathered
from xoffset._kernels.networks import changes


def layers_of(most: int) -> Layers:
    """Where the results are, of at most so many changes: dates in years, velocities of the parts between them."""
    parts = most + 1
    return Layers(
        state=(), number=(), date=(most,), earliest=(most,), latest=(most,), false_alarm=(most,),
        velocity=(2, parts), variance=(2, parts),
    )  # fmt: skip


def find(
    *fields: np.ndarray, time: np.ndarray, growth: np.ndarray, most: int, false_alarm: float, confidence: float
) -> np.ndarray:
    """Results (layer, rows, columns) as `layers_of` says, of dx, dy and their standard errors (date, rows, columns).

    Two more fields (1, rows, columns), if there are any: standard errors of drift, whose variance is multiplied by
    growth (date,). time (date,) in years. confidence: probability that an interval holds its date.
    """
    from scipy.special import stdtrit

    dates, shape = len(time), fields[0].shape[1:]
    drift = np.zeros((2, fields[0][0].size))
    if len(fields) > 4:
        drift = np.nan_to_num(np.concatenate(fields[4:]).astype(np.float64).reshape(2, -1) ** 2)
    limits = np.append(np.inf, stdtrit(np.arange(1.0, 2.0 * dates + 1.0), 0.5 * (1.0 + confidence)) ** 2)
    layers = layers_of(most)
    out = np.empty((layers.count, drift.shape[1]), fields[0].dtype)
    for part, known in gathered(fields):
        found = np.empty((known.number.size, layers.count))
        changes.find(time, *known, growth, np.ascontiguousarray(drift[:, part]), most, false_alarm, limits, found)
        out[:, part] = found.T
    return out.reshape(layers.count, *shape)
