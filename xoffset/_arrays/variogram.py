"""Correlation of errors over distance, from a variogram, and what it leaves of the mean of many values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Directions of the lags, in rows and columns.
_WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))
# Lags in nodes; a factor of about 1.4 from one to the next.
_LAGS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024)
# Differences that a lag needs, and those that its median is taken of at most.
_LEAST, _SAMPLE = 30, 200_000
# Ratio of the ranges that the model chooses from.
_RATIO = 1.4


class Correlation(NamedTuple):
    """Model of the covariance of errors over distance: sill·(nugget at 0, exponentials, Gaussians).

    The shares of the nugget, of the exponentials and of the Gaussians add up to 1.
    """

    sill: float
    nugget: float
    ranges: np.ndarray  # (range,) [m]
    exponential: np.ndarray  # (range,) share of exp(-h/range)
    gaussian: np.ndarray  # (range,) share of exp(-(h/range)²)

    def at(self, distance: np.ndarray) -> np.ndarray:
        """Correlation at distances [m]."""
        found = np.where(distance == 0.0, self.nugget, 0.0)
        for reach, exponential, gaussian in zip(self.ranges, self.exponential, self.gaussian, strict=True):
            if exponential > 0.0:
                found += exponential * np.exp(-distance / reach)
            if gaussian > 0.0:
                found += gaussian * np.exp(-((distance / reach) ** 2))
        return found


def fitted(values: np.ndarray, region: np.ndarray, spacing: tuple[float, float]) -> Correlation | None:
    """Model of a map (rows, columns), NaN where unknown; None where it has too few values to tell.

    Differences are taken of two values with the same number of `region` (rows, columns), 0 for those that have no part:
    what differs from one region to the next is then no error. `spacing` is that along x and y.
    """
    distance, gamma = _variogram(values, region, spacing)
    if distance.size < 3 or not (gamma > 0.0).any():
        return None
    return _fit(distance, gamma)


def _variogram(values: np.ndarray, region: np.ndarray, spacing: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Distances [m] and half the squared spread of the differences: the estimator of Dowd, by medians."""
    region = np.where(np.isfinite(values), region, 0)
    rows, columns = values.shape
    found = []
    for along_y, along_x in _WAYS:
        for lag in _LAGS:
            down, right = lag * along_y, lag * along_x
            # farther than half of the map there are few that are independent of each other
            if down > rows // 2 or abs(right) > columns // 2:
                break
            first = slice(None, rows - down), slice(max(-right, 0), columns - max(right, 0))
            second = slice(down, None), slice(max(right, 0), columns - max(-right, 0))
            both = (region[first] == region[second]) & (region[first] > 0)
            difference = np.abs(values[second][both].astype(np.float64) - values[first][both])
            if difference.size >= _LEAST:
                difference = difference[:: -(-difference.size // _SAMPLE)]
                spread = 1.4826 * float(np.median(difference))
                found.append((float(np.hypot(right * spacing[0], down * spacing[1])), 0.5 * spread**2))
    distance, gamma = np.array(found, dtype=np.float64).reshape(-1, 2).T
    return distance, gamma


def _fit(distance: np.ndarray, gamma: np.ndarray) -> Correlation:
    """Mixture of a nugget, exponentials and Gaussians of many ranges, by least squares without negative parts."""
    from scipy.optimize import nnls

    least, most = distance.min(), distance.max()
    ranges = least * 0.5 * _RATIO ** np.arange(int(np.log(2.0 * most / least) / np.log(_RATIO)) + 1)
    ratio = distance[:, np.newaxis] / ranges
    parts = [np.ones((distance.size, 1)), 1.0 - np.exp(-ratio), 1.0 - np.exp(-(ratio**2))]
    # farther apart fewer differences are independent: their number goes as the square of the distance
    weight = 1.0 / (np.maximum(gamma, 1e-6 * gamma.max()) * np.sqrt(distance / least))
    shares, _ = nnls(np.concatenate(parts, axis=1) * weight[:, np.newaxis], gamma * weight)
    sill = float(shares.sum())
    shares = shares / sill
    return Correlation(sill, float(shares[0]), ranges, shares[1 : ranges.size + 1], shares[ranges.size + 1 :])


def variance_of_sum(weight: np.ndarray, correlation: Correlation, spacing: tuple[float, float]) -> float:
    """Variance of the sum of errors of unit variance, each times its weight (rows, columns).

    It is the sum over all pairs of nodes of both weights times the correlation, which depends on the lag alone.
    """
    rows, columns = np.nonzero(weight)
    cut = weight[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    # twice as large, since the transform goes round
    shape = 2 * cut.shape[0], 2 * cut.shape[1]
    products = np.fft.irfft2(np.abs(np.fft.rfft2(cut, shape)) ** 2, shape)
    lag_y, lag_x = (np.fft.fftfreq(size, 1.0 / size) for size in shape)
    distance = np.hypot(lag_y[:, np.newaxis] * spacing[1], lag_x * spacing[0])
    return float((products * correlation.at(distance)).sum())
