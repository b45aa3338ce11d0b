"""Changes of the velocity of pixels, some pixels at a time."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.layers import Layers
from xoffset._kernels.networks import changes, trend

# Pixels that are solved at a time: what one kernel writes should be in the cache when the next one reads it.
LANES = 256


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
    observed = np.stack(fields[:2]).astype(np.float64).reshape(2, dates, -1)
    variance = np.stack(fields[2:4]).astype(np.float64).reshape(2, dates, -1) ** 2
    drift = np.zeros((2, observed.shape[2]))
    if len(fields) > 4:
        drift = np.nan_to_num(np.concatenate(fields[4:]).astype(np.float64).reshape(2, -1) ** 2)
    limits = np.append(np.inf, stdtrit(np.arange(1.0, 2.0 * dates + 1.0), 0.5 * (1.0 + confidence)) ** 2)
    layers = layers_of(most)
    out = np.empty((layers.count, observed.shape[2]), fields[0].dtype)
    for start in range(0, observed.shape[2], LANES):
        part = slice(start, min(start + LANES, observed.shape[2]))
        size = part.stop - start
        rows, mean = np.zeros((size, dates), np.int64), np.empty((size, dates))
        value, own = np.empty((size, 2, dates)), np.empty((size, 2, dates))
        number, is_blind = np.empty(size, np.int64), np.empty(size, np.bool_)
        trend.gather(
            np.ascontiguousarray(observed[:, :, part]), np.ascontiguousarray(variance[:, :, part]),
            rows, value, own, mean, number, is_blind,
        )  # fmt: skip
        found = np.empty((size, layers.count))
        changes.find(
            time, rows, value, own, mean, number, is_blind, growth, np.ascontiguousarray(drift[:, part]),
            most, false_alarm, limits, found,
        )  # fmt: skip
        out[:, part] = found.T
    return out.reshape(layers.count, *shape)
