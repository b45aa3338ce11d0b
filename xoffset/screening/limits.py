"""Tests of each vector by itself, beside those of `Judgement`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from xoffset._kernels.maps import outliers
from xoffset.model import products
from xoffset.model.flags import FLAGS

# Standard error in pixels of vectors that tell none: the noise that the normalised median test expects.
USUAL_ERROR = 0.1


def usual_errors(shifts: xr.Dataset) -> np.ndarray:
    """Standard error [m] of the vectors of each pair that tell none (pair,); NaN where the pixel is unknown."""
    pixel = shifts[products.PIXEL_SIZE].values if products.PIXEL_SIZE in shifts.coords else np.nan
    return np.broadcast_to(USUAL_ERROR * np.asarray(pixel, dtype=np.float64), (shifts.sizes["pair"],))


def with_usual(sigma: np.ndarray, usual: np.ndarray | float) -> np.ndarray:
    """Standard errors, the usual one where they are unknown."""
    return np.where(np.isnan(sigma), usual, sigma).astype(sigma.dtype, copy=False)


@dataclass(frozen=True)
class Limits:
    """Limits that each vector has to keep; None tests nothing."""

    pycorr: tuple[float, float, float] | None = None  # dcam, cam, cam1
    min_peak_ratio: float | None = None
    max_mismatch: float | None = None  # m
    max_displacement: float | None = None  # m
    max_speed: float | None = None  # m/yr
    angle: float | None = None  # rad, from a direction
    min_valid_fraction: float | None = None

    @property
    def are_asked(self) -> bool:
        """Whether there is anything to test."""
        return self != Limits()

    @property
    def names(self) -> tuple[str, ...]:
        """Variables that are tested, beside the displacement."""
        has_peaks = self.pycorr is not None or self.min_peak_ratio is not None
        of_pixels = ("valid_fraction",) * (self.min_valid_fraction is not None)
        return of_pixels + ("score", "peak_gap") * has_peaks + ("mismatch",) * (self.max_mismatch is not None)

    def failed(self, of_pairs: np.ndarray, *fields: np.ndarray) -> np.ndarray:
        """Flags of the tests that vectors fail (n, rows, columns), int64; of no meaning where there is no vector.

        Of pairs (n, 2): years from the reference to the secondary date, and `usual_errors`. Fields: `dx`, `dy`, the
        variables of `names`, and, if there is an angle, `sigma_dx`, `sigma_dy` and a unit vector in direction of the
        motion, NaN where unknown.
        """
        dx, dy = fields[:2]
        years, usual = of_pairs.T
        tested = dict(zip(self.names, fields[2:], strict=False))
        out = np.zeros(dx.shape, dtype=np.int64)
        # unknown is as bad as beyond the limit
        if self.min_valid_fraction is not None:
            out |= ~(tested["valid_fraction"] >= self.min_valid_fraction) * np.int64(FLAGS["few_valid"])
        if self.pycorr is not None:
            least_gap, enough, least = self.pycorr
            score = tested["score"]
            is_clear = (tested["peak_gap"] >= least_gap) | (score >= enough)
            out |= ~(is_clear & (score >= least)) * np.int64(FLAGS["pycorr"])
        if self.min_peak_ratio is not None:
            score, gap = tested["score"], tested["peak_gap"]
            stands_out = (score > 0.0) & (score >= np.float64(self.min_peak_ratio) * (score - gap))
            out |= ~stands_out * np.int64(FLAGS["low_ratio"])
        if self.max_mismatch is not None:
            out |= ~(tested["mismatch"] <= self.max_mismatch) * np.int64(FLAGS["forward_backward"])
        if self.max_displacement is not None or self.max_speed is not None:
            length = np.hypot(dx, dy, dtype=np.float64)
            is_long = length > (np.inf if self.max_displacement is None else self.max_displacement)
            if self.max_speed is not None:
                is_long |= length > self.max_speed * np.abs(years)[:, np.newaxis, np.newaxis]
            out |= is_long * np.int64(FLAGS["amplitude"])
        if self.angle is not None:
            for layer, target in enumerate(out):
                vectors = [field[layer] for field in (dx, dy, *fields[-4:])]
                vectors[2:4] = (with_usual(sigma, usual[layer]) for sigma in vectors[2:4])
                target |= self._points_elsewhere(years[layer], vectors) * np.int64(FLAGS["direction"])
        return out

    def _points_elsewhere(self, years: float, vectors: list[np.ndarray]) -> np.ndarray:
        dx, dy, sigma_x, sigma_y, toward_x, toward_y = vectors
        # backward in time the motion goes the other way
        sign = dx.dtype.type(np.sign(years))
        sigma = np.sqrt(dx.dtype.type(0.5) * (sigma_x**2 + sigma_y**2))
        fields = (dx, dy, sigma, sign * toward_x, sign * toward_y)
        out = np.empty(dx.shape, dtype=np.uint8)
        outliers.points_elsewhere(*(np.ascontiguousarray(field) for field in fields), self.angle, out)
        return out > 0
