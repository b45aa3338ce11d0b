"""Vectors on a grid."""

from __future__ import annotations

from typing import Any

import numpy as np


def polar(x: Any, y: Any) -> tuple[Any, Any]:
    """Length of vectors and their direction [degrees clockwise from north], NaN where nothing moves."""
    length = np.hypot(x, y)
    direction = np.rad2deg(np.arctan2(x, y)) % 360.0
    direction = np.where(direction < 360.0, direction, 0.0)  # rounding of the smallest angles west of north
    return length, np.where(length > 0.0, direction, np.nan).astype(x.dtype)
