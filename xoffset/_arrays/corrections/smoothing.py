"""Smoothing of vectors that keeps edges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xoffset._kernels.corrections import means
from xoffset._kernels.maps import medians

# Nodes from a node to the farthest that takes part in its nonlocal mean.
REACH = 5
# How fast the weights of a nonlocal mean fall: squares of nine nodes with the same motion differ by 1 ± 0.33.
_STEEPNESS = 3.0


@dataclass(frozen=True)
class Median:
    """Median of each component over a square."""

    size: int

    @property
    def depth(self) -> int:
        """Nodes around that it looks at."""
        return self.size // 2

    @cached_property
    def _square(self) -> tuple[np.ndarray, np.ndarray]:
        return medians.square(self.depth, with_centre=True)

    def __call__(self, dx: np.ndarray, dy: np.ndarray, *_: np.ndarray) -> np.ndarray:
        """Smoothed (component, layer, rows, columns); what is unknown stays so."""
        out = np.empty((2, *dx.shape), dtype=dx.dtype)
        places, network = self._square
        spread, count = np.empty(dx.shape[1:], dtype=dx.dtype), np.empty(dx.shape[1:], dtype=np.uint8)
        for smooth, field in zip(out, (dx, dy), strict=True):
            for each, layer in zip(smooth, field, strict=True):
                known = np.isfinite(layer)
                medians.median_and_spread(np.where(known, layer, np.nan), places, network, each, spread, count)
                each[~known] = np.nan
        return out


@dataclass(frozen=True)
class NonlocalMeans:
    """Mean over nodes whose surroundings, a square, show the same motion."""

    size: int

    @property
    def depth(self) -> int:
        """Nodes around that it looks at."""
        return REACH + self.size // 2

    def __call__(self, *fields: np.ndarray) -> np.ndarray:
        """Smoothed (component, layer, rows, columns) of dx, dy and their standard errors."""
        out = np.empty((2, *fields[0].shape), dtype=fields[0].dtype)
        for k in range(fields[0].shape[0]):
            layers = [np.ascontiguousarray(field[k], dtype=np.float64) for field in fields]
            smooth = np.empty((2, *layers[0].shape))
            means.nonlocal_means(*layers, self.size // 2, REACH, _STEEPNESS, smooth)
            out[:, k] = smooth
        return out
