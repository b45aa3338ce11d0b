"""Series side by side as kernels take them, some pixels at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from xoffset._kernels.networks import trend

# Pixels that are solved at a time: what one kernel writes should be in the cache when the next one reads it.
LANES = 256


class Gathered(NamedTuple):
    """Known dates of each pixel, as `trend.gather` lays them: rows, mean (pixel, date), value, own (pixel, 2, date)."""

    rows: np.ndarray
    value: np.ndarray
    own: np.ndarray
    mean: np.ndarray
    number: np.ndarray
    is_blind: np.ndarray


def gathered(fields: Sequence[np.ndarray]) -> Iterator[tuple[slice, Gathered]]:
    """Pixels, and what is known of them, of dx, dy and their standard errors (date, rows, columns)."""
    dates = fields[0].shape[0]
    observed = np.stack(fields[:2]).astype(np.float64).reshape(2, dates, -1)
    variance = np.stack(fields[2:4]).astype(np.float64).reshape(2, dates, -1) ** 2
    for start in range(0, observed.shape[2], LANES):
        part = slice(start, min(start + LANES, observed.shape[2]))
        size = part.stop - start
        found = Gathered(
            np.zeros((size, dates), np.int64), np.empty((size, 2, dates)), np.empty((size, 2, dates)),
            np.empty((size, dates)), np.empty(size, np.int64), np.empty(size, np.bool_),
        )  # fmt: skip
        trend.gather(np.ascontiguousarray(observed[:, :, part]), np.ascontiguousarray(variance[:, :, part]), *found)
        yield part, found
