"""Matches of the same two dates, in either direction, as one observation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xoffset._arrays.networks.strips import strips_of
from xoffset._kernels.networks import observations

# Pixels whose matches are merged at a time: their arrays stay in the cache of a core.
WIDE = 512


@dataclass(frozen=True)
class Observations:
    """Pairs of dates of a network, and the matches that belong to each."""

    ends: np.ndarray  # (observation, 2) earlier and later date of each, in order, every two dates once
    group: np.ndarray  # (pair,) observation that each pair belongs to
    sign: np.ndarray  # (pair,) 1.0 for a pair forward in time, -1.0 for one backward

    @classmethod
    def of(cls, ends: np.ndarray) -> Observations:
        """Observations of a network of pairs, `ends` (pair, 2) indices of reference and secondary."""
        found, group = np.unique(np.sort(ends, axis=1), axis=0, return_inverse=True)
        return cls(np.ascontiguousarray(found), group.reshape(-1), np.where(ends[:, 0] < ends[:, 1], 1.0, -1.0))

    @property
    def dates(self) -> int:
        """Number of dates of the network, each of which belongs to a pair."""
        return int(self.ends.max()) + 1

    def of_pairs(self, order: slice | np.ndarray) -> np.ndarray:
        """Observation of each pair (pair,), in the order that they had before `order` sorted them."""
        out = np.empty_like(self.group)
        out[order] = self.group
        return out

    def merge(self, dx: np.ndarray, dy: np.ndarray, sigma_x: np.ndarray, sigma_y: np.ndarray) -> np.ndarray:
        """Displacements forward in time and their variances (4, observation, rows, columns), float64.

        The fields (pair, rows, columns) are displacements and their standard errors. What has no match is NaN, as are
        variances where no match has standard errors.
        """
        fields = (dx, dy, sigma_x, sigma_y)
        flat = [array.reshape(array.shape[0], -1) for array in fields]
        pixels = flat[0].shape[1]
        lanes = max(1, min(WIDE, pixels))
        matches = np.empty((4, len(self.group), lanes), np.result_type(*fields))
        merged = np.empty((4, len(self.ends), lanes))
        out = np.empty((4, len(self.ends), pixels))
        for strip in strips_of(pixels, lanes):
            for layer, array in zip(matches, flat, strict=True):
                layer[:] = array[:, strip]
            self.merge_strip(matches, merged)
            out[:, :, strip] = merged
        return out.reshape(4, len(self.ends), *dx.shape[1:])

    def merge_strip(self, matches: np.ndarray, merged: np.ndarray) -> None:
        """Merge the matches (4, pair, lanes) of pixels side by side into merged (4, observation, lanes)."""
        if len(self.ends) == len(self.group):
            observations.take(self.group, self.sign, matches, merged)
        else:
            observations.merge(self.group, self.sign, matches, merged)
