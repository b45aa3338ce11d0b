"""What a stack says of itself, read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Spacing(NamedTuple):
    """Signed distance between neighbouring pixel centres, in metres."""

    x: float
    y: float


@dataclass(frozen=True, eq=False)
class Frame:
    """What a checked stack says of itself beside its pixels, made by `model.grids.frame_of`."""

    shape: tuple[int, int]  # rows and columns
    spacing: Spacing
    dates: np.ndarray  # datetime64, ascending
    nodata: tuple[float, ...]  # values that were declared to mean "no data"
    dtype: np.dtype  # of the pixels as they are stored
    crs: Any  # a pyproj.CRS or None, which only labelled functions look into

    @property
    def working(self) -> np.dtype:
        """Precision to compute in: single, double for pixels of double."""
        return np.dtype(np.float64 if self.dtype.kind == "f" and self.dtype.itemsize > 4 else np.float32)
