"""Variances of the motion of windows: the noise of the images, and how much the motion bends within a window."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.matching.flow_field import DAMPING, Motion
from xoffset._kernels.matching import flow


def variances(motion: Motion, radius: int) -> np.ndarray:
    """Variances along x and y and their covariance (3, rows, columns), px²."""
    out = np.empty((3, *motion.field.shape[1:]), dtype=np.float32)
    flow.covariances(motion.sums, np.float32(DAMPING), out)
    return out
