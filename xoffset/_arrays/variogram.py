"""Correlation of errors over distance, from a variogram, and what it leaves of the mean of many values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Directions of the lags, in rows and columns.
_WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))
# Lags in nodes; a factor of about 1.4 from one to the next.
_LAGS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024)
# Differences that a lag needs, and those that are looked at of each at most.
_LEAST, _SAMPLE = 30, 200_000
# Ratio of the ranges that the model chooses from.
_RATIO = 1.4
# Structures beside the nugget, at most, and by how much each must lessen chi-square, in units of its mean.
_STRUCTURES, _WORTH = 2, 10.0
# Values further from the median of their region than so many spreads are wrong matches, or move.
_FAR = 3.0


class Structure(NamedTuple):
    """Part of the covariance that falls off with distance, one at none."""

    kind: str
    reach: float  # [m]
    share: float

    def at(self, distance: np.ndarray) -> np.ndarray:
        """Correlation at distances [m]."""
        ratio = distance / self.reach
        if self.kind == "spherical":
            return np.where(ratio < 1.0, 1.0 - 1.5 * ratio + 0.5 * ratio**3, 0.0)
        return np.asarray(np.exp(-ratio if self.kind == "exponential" else -(ratio**2)))


class Correlation(NamedTuple):
    """Model of the covariance of errors: a variance, of which shares fall off with distance and the rest at once.

    Values far from all others are not in it; `excess` is how many times the variance is that of all.
    """

    variance: float
    excess: float
    structures: tuple[Structure, ...]

    def at(self, distance: np.ndarray) -> np.ndarray:
        """Correlation at distances [m]."""
        nugget = 1.0 - sum(each.share for each in self.structures)
        found = np.where(distance == 0.0, nugget, 0.0)
        for each in self.structures:
            found = found + each.share * each.at(distance)
        return found


def fitted(values: np.ndarray, region: np.ndarray, spacing: tuple[float, float]) -> Correlation | None:
    """Model of a map (rows, columns), NaN where unknown; None where it has too few values to tell, or all are equal.

    Differences are taken of two values with the same number of `region` (rows, columns), 0 for those that have no part:
    what differs from one region to the next is then no error. `spacing` is that along x and y.
    """
    values, region, excess = _near(values, region)
    distance, gamma, count = _variogram(values, region, spacing)
    if distance.size < 3 or not (gamma > 0.0).all():
        return None
    variance, structures = _fit(distance, gamma, count)
    return Correlation(variance, excess, structures)


def _near(values: np.ndarray, region: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Values less the median of their region, regions without what is far from it, and the excess of the variance."""
    out, left = np.zeros(values.shape), np.zeros(values.shape, dtype=np.int64)
    region = np.where(np.isfinite(values), region, 0)
    of_all, of_near = [], []
    for number in np.unique(region[region > 0]):
        here = region == number
        away = np.where(here, values, 0.0) - np.median(values[here])
        spread = 1.4826 * float(np.median(np.abs(away[here])))
        # more than half of the values may be one number, as those of coarse steps
        is_near = here & (np.abs(away) <= (_FAR * spread if spread > 0.0 else np.inf))
        out[is_near], left[is_near] = away[is_near], number
        of_all.append(away[here])
        of_near.append(away[is_near])
    if not of_near:
        return out, left, 1.0
    square = float((np.concatenate(of_near) ** 2).mean())
    return out, left, float((np.concatenate(of_all) ** 2).mean()) / square if square > 0.0 else 1.0


def _variogram(
    values: np.ndarray, region: np.ndarray, spacing: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances [m], half the mean square of the differences, and the number of these (lag,)."""
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
            both = np.flatnonzero((region[first] == region[second]) & (region[first] > 0))
            if both.size >= _LEAST:
                some = both[:: -(-both.size // _SAMPLE)]
                difference = values[second].ravel()[some] - values[first].ravel()[some]
                distance = float(np.hypot(right * spacing[0], down * spacing[1]))
                found.append((distance, 0.5 * float((difference**2).mean()), float(both.size)))
    table = np.array(found, dtype=np.float64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def _fit(distance: np.ndarray, gamma: np.ndarray, count: np.ndarray) -> tuple[float, tuple[Structure, ...]]:
    """Variance, and the structures that are worth it: the best one first, then the best beside it."""
    least, most = float(distance.min()), float(distance.max())
    # the farther apart, the fewer differences are independent of each other
    weight = np.sqrt(count / (2.0 * (distance / least) ** 1.5)) / gamma
    ranges = least * _RATIO ** np.arange(-2, int(np.log(2.0 * most / least) / np.log(_RATIO)) + 1)
    choices = [Structure(kind, float(reach), 0.0) for reach in ranges for kind in ("exponential", "gaussian")]
    choices += [Structure("spherical", 2.0 * float(reach), 0.0) for reach in ranges]
    columns = {each: 1.0 - each.at(distance) for each in choices}

    chosen: list[Structure] = []
    parts, misfit = _solve([], gamma, weight)
    for _ in range(_STRUCTURES):
        trials = [(_solve([columns[each] for each in (*chosen, new)], gamma, weight), new) for new in choices]
        (new_parts, new_misfit), best = min(trials, key=lambda trial: trial[0][1])
        mean = new_misfit / max(distance.size - len(chosen) - 2, 1)
        if not misfit - new_misfit > _WORTH * mean:
            break
        chosen, parts, misfit = [*chosen, best], new_parts, new_misfit
    variance = float(parts.sum())
    return variance, tuple(
        each._replace(share=float(part) / variance) for each, part in zip(chosen, parts[1:], strict=True)
    )


def _solve(structures: list[np.ndarray], gamma: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, float]:
    """Parts of the nugget and of the structures, none negative, and chi-square."""
    from scipy.optimize import nnls

    columns = np.stack([np.ones_like(gamma), *structures], axis=1)
    parts, residual = nnls(columns * weight[:, np.newaxis], gamma * weight)
    return parts, float(residual) ** 2


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
    # no correlation is negative: what rounding leaves is not less than the sum of the squares
    return max(float((products * correlation.at(distance)).sum()), float((cut**2).sum()))
