"""Correlation of errors over distance, from a variogram, and what it leaves of the mean of many values."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

# Directions of the lags, in rows and columns; stripes of detectors and of scan lines lie a little beside an axis.
_WAYS = (
    (0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1), (1, 5), (5, 1), (1, -5), (5, -1),
)  # fmt: skip
# Lags in nodes; a factor of about 1.4 from one to the next.
_LAGS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024)
# Differences that a lag needs, and those that are looked at of each at most.
_LEAST, _SAMPLE = 30, 200_000
# Ratio of the ranges that the model chooses from.
_RATIO = 1.4
# How many times farther than across them errors reach along stripes, one of these.
_STRETCHES = (4.0, 16.0, 64.0, 256.0, 1024.0)
# Structures beside the nugget, at most, and by how much each must lessen chi-square, in units of its mean; stripes, of
# which there are many more to choose from, must lessen it by that much more.
_STRUCTURES, _WORTH, _WORTH_OF_STRIPES = 2, 10.0, 30.0
# Values further from the median of their region than so many spreads are wrong matches, or move.
_FAR = 3.0


class Structure(NamedTuple):
    """Part of the covariance that falls off with distance, one at none; along one direction more slowly."""

    kind: str
    reach: float  # [m]
    share: float
    stretch: float = 1.0  # times the reach, along the direction
    angle: float = 0.0  # of that direction [rad], from x towards y

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Correlation at distances along x and y [m]."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        ratio = np.hypot((cosine * x + sine * y) / self.stretch, cosine * y - sine * x) / self.reach
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

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Correlation at distances along x and y [m]."""
        nugget = 1.0 - sum(each.share for each in self.structures)
        found = np.where((x == 0.0) & (y == 0.0), nugget, 0.0)
        for each in self.structures:
            found = found + each.share * each.at(x, y)
        return found


def fitted(values: np.ndarray, region: np.ndarray, spacing: tuple[float, float]) -> Correlation | None:
    """Model of a map (rows, columns), NaN where unknown; None where it has too few values to tell, or all are equal.

    Differences are taken of two values with the same number of `region` (rows, columns), 0 for those that have no part:
    what differs from one region to the next is then no error. `spacing` is that along x and y.
    """
    values, region, excess = _near(values, region)
    lags, gamma, count = _variogram(values, region, spacing)
    if gamma.size < 3 or not (gamma > 0.0).all():
        return None
    variance, structures = _fit(lags, gamma, count)
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
    """Lags along x and y [m] (lag, 2), half the mean square of the differences, and the number of these (lag,)."""
    rows, columns = values.shape
    found = []
    for along_y, along_x in _WAYS:
        for lag in _LAGS:
            down, right = lag * along_y, lag * along_x
            # farther than half of the map there are few that are independent of each other
            if down > rows // 2 or abs(right) > columns // 2:
                break
            # of a large map some rows tell as much
            some = max((rows - down) * (columns - abs(right)) // (8 * _SAMPLE), 1)
            first = slice(None, rows - down, some), slice(max(-right, 0), columns - max(right, 0))
            second = slice(down, None, some), slice(max(right, 0), columns - max(-right, 0))
            both = np.flatnonzero((region[first] == region[second]) & (region[first] > 0))
            if both.size >= _LEAST:
                kept = both[:: -(-both.size // _SAMPLE)]
                difference = values[second].ravel()[kept] - values[first].ravel()[kept]
                gamma = 0.5 * float((difference**2).mean())
                found.append((right * spacing[0], down * spacing[1], gamma, some * float(both.size)))
    table = np.array(found, dtype=np.float64).reshape(-1, 4)
    return table[:, :2], table[:, 2], table[:, 3]


def _fit(lags: np.ndarray, gamma: np.ndarray, count: np.ndarray) -> tuple[float, tuple[Structure, ...]]:
    """Variance, and the structures that are worth it: the best one first, then the best beside it."""
    distance = np.hypot(*lags.T)
    # the farther apart, the fewer differences are independent of each other
    weight = np.sqrt(count / (2.0 * (distance / distance.min()) ** 1.5)) / gamma
    rounds, stripes = _choices(lags, distance)
    columns = {each: 1.0 - each.at(*lags.T) for each in (*rounds, *stripes)}

    chosen: list[Structure] = []
    (parts,), (misfit,) = _solve([], np.ones((1, 0, gamma.size)), gamma, weight)
    for _ in range(_STRUCTURES):
        is_worth_it = False
        for choices, worth in ((rounds, _WORTH), (stripes, _WORTH_OF_STRIPES)):
            trials = np.stack([columns[each] for each in choices])[:, np.newaxis]
            all_parts, misfits = _solve([columns[each] for each in chosen], trials, gamma, weight)
            new = int(np.argmin(misfits))
            mean = misfits[new] / max(gamma.size - len(chosen) - 2, 1)
            if misfit - misfits[new] > worth * mean:
                best, parts, misfit, is_worth_it = choices[new], all_parts[new], misfits[new], True
        if not is_worth_it:
            break
        chosen.append(best)
    variance = float(parts.sum())
    return variance, tuple(
        each._replace(share=float(part) / variance) for each, part in zip(chosen, parts[1:], strict=True)
    )


def _choices(lags: np.ndarray, distance: np.ndarray) -> tuple[list[Structure], list[Structure]]:
    """Structures that reach as far in all directions, and those that reach farther along the lags of one of them."""
    least, most = float(distance.min()), float(distance.max())
    ranges = least * _RATIO ** np.arange(-2, int(np.log(2.0 * most / least) / np.log(_RATIO)) + 1)
    rounds = [Structure(kind, float(reach), 0.0) for reach in ranges for kind in ("exponential", "gaussian")]
    rounds += [Structure("spherical", 2.0 * float(reach), 0.0) for reach in ranges]
    angles = np.unique(np.round(np.arctan2(lags[:, 1], lags[:, 0]) % np.pi, 9))
    stripes = [
        Structure(kind, float(reach), 0.0, stretch, float(angle))
        for kind in ("exponential", "gaussian")
        for reach in ranges[::2]
        for stretch in _STRETCHES
        for angle in angles
    ]
    return rounds, stripes


def _solve(
    chosen: list[np.ndarray], trials: np.ndarray, gamma: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Parts (trial, structure) of the nugget, of what is chosen and of each trial, none negative, and chi-squares.

    They are so few that the best of their subsets without negative parts is found by trying each.
    """
    fixed = np.broadcast_to([np.ones_like(gamma), *chosen], (len(trials), 1 + len(chosen), gamma.size))
    columns = np.concatenate([fixed, trials], axis=1) * weight
    products, wanted = columns @ columns.transpose(0, 2, 1), columns @ (gamma * weight)
    parts, misfit = np.zeros(wanted.shape), np.full(len(trials), np.sum((gamma * weight) ** 2))
    count = wanted.shape[1]
    for subset in (each for size in range(1, count + 1) for each in combinations(range(count), size)):
        of_subset = np.array(subset)
        inverse = np.linalg.pinv(products[:, of_subset[:, np.newaxis], of_subset], rcond=1e-12, hermitian=True)
        found = (inverse @ wanted[:, of_subset, np.newaxis])[..., 0]
        rest = np.sum((gamma * weight - np.einsum("tk,tkl->tl", found, columns[:, of_subset])) ** 2, axis=1)
        is_better = (found >= 0.0).all(axis=1) & (rest < misfit)
        parts[is_better], misfit[is_better] = 0.0, rest[is_better]
        parts[np.flatnonzero(is_better)[:, np.newaxis], of_subset] = found[is_better]
    return parts, misfit


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
    alike = correlation.at(lag_x * spacing[0], lag_y[:, np.newaxis] * spacing[1])
    # no correlation is negative: what rounding leaves is not less than the sum of the squares
    return max(float((products * alike).sum()), float((cut**2).sum()))
