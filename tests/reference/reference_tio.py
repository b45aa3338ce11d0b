"""The equations of TIO for one pixel, dense: increments between dates, a smooth series, and what links the two."""

from __future__ import annotations

import numpy as np

# Weight of the rows that link the series of the pairs with the smooth one.
LINK = 5e-4


def second_differences(times: np.ndarray, points: int = 5, has_ends: bool = True) -> np.ndarray:
    """Half of the second derivative (date, date) in time, weighted by the time steps around each date.

    Of three or five dates around each, one-sided at both ends, or without those (`has_ends`). A row is
    multiplied by its mean time step, and all of them are divided by the mean of one over it.
    """
    count = times.size
    out, steps = np.zeros((count, count)), np.zeros(count)
    for k in range(count):
        reach = 2 if points == 5 and 2 <= k < count - 2 else 1
        low = min(max(k - reach, 0), count - 1 - 2 * reach)
        around = np.arange(low, low + 2 * reach + 1)
        away = times[around] - times[k]
        # the polynomial through all of them: its second derivative over two is the coefficient of the square
        weights = np.linalg.inv(np.vander(away, increasing=True))[2]
        out[k, around] = weights
        steps[k] = (away[-1] - away[0]) / (2.0 * reach)
    out *= steps[:, None] / (1.0 / steps).mean()
    if not has_ends:
        out[[0, -1]] = 0.0
    return out


def rows_of_pairs(ends: np.ndarray, dates: int) -> np.ndarray:
    """Increments (pair, interval) that each pair spans."""
    return np.array([[float(first <= k < second) for k in range(dates - 1)] for first, second in ends])


def solve(
    ends: np.ndarray,
    observed: np.ndarray,
    times: np.ndarray,
    *,
    weight: np.ndarray,
    smoothing: float,
    residuals: tuple[float, float] | None = None,
    points: int = 5,
    link: float = LINK,
    has_ends: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative displacement (date,) of the pairs, and the smooth one.

    observed (pair,) of one component; weight (pair,): of a squared residual. residuals: scale and limit of the step of
    weights by residuals.
    """
    dates = times.size
    pairs = rows_of_pairs(ends, dates)
    sums = np.tril(np.ones((dates, dates - 1)), -1)
    matrix = np.block([
        [pairs, np.zeros((len(ends), dates))],
        [link * sums, -link * np.eye(dates)],
        [np.zeros((dates, dates - 1)), smoothing * second_differences(times, points, has_ends)],
    ])  # fmt: skip
    right = np.concatenate([observed, np.zeros(2 * dates)])

    def solved(factor: np.ndarray) -> np.ndarray:
        root = np.concatenate([np.sqrt(weight * factor), np.ones(2 * dates)])
        return np.linalg.lstsq(root[:, None] * matrix, root * right)[0]

    found = solved(np.ones(len(ends)))
    if residuals is not None:
        scale, limit = residuals
        length = np.abs(observed - pairs @ found[: dates - 1])
        factor = np.where(length > limit, 1e-3, 1.0) / (length**2 + scale**2)
        found = solved(factor / factor.mean())
    return sums @ found[: dates - 1], found[dates - 1 :] - found[dates - 1]
