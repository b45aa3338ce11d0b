"""The test for long baselines that hold on to ground that does not move, on what `Observations.merge` returns."""

from __future__ import annotations

import numpy as np

from xoffset._kernels.maps import separation


def is_locked(days: np.ndarray, merged: np.ndarray) -> np.ndarray:
    """Observations (observation, rows, columns) that the test drops, boolean.

    days (observation,): baselines forward in time; merged (4, observation, rows, columns) from `Observations.merge`.
    """
    years = days[:, np.newaxis, np.newaxis] / 365.25
    out = np.empty(merged.shape[1:], dtype=np.uint8)
    separation.is_locked(days, merged[0] / years, merged[1] / years, out)
    return out > 0
