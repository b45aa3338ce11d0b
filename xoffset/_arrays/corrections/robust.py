"""Robust fits of a sum of terms, and the mode of values of which many are far from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from xoffset._kernels.corrections.normal import normal_equations

# Tuning constant of Tukey's biweight: 95 % as good as least squares where errors are normal.
TUKEY = 4.685
# Steps towards least absolute deviations, which find a start that outliers do not move, and steps of the biweight.
_START, _STEPS = 8, 30
# Weight of the prior knowledge that a step is as likely up as down, in nodes.
_PRIOR = 0.1
# Largest condition number of the ramp that the stable ground can carry.
_WORST = 1e10
# Size of residuals, in units of the largest value, that is one of rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Design:
    """Terms of a fit at n nodes: some with values of their own, and steps, of which each node has one of each kind."""

    dense: np.ndarray  # (term, node)
    steps: tuple[np.ndarray, ...]  # numbers of the steps (node,), 0 ... count - 1
    signs: tuple[float, ...]
    count: int  # of the steps of each kind
    weak: int  # of the last dense terms, how many may be undetermined

    @cached_property
    def by_node(self) -> np.ndarray:
        """Dense terms (node, term)."""
        return np.ascontiguousarray(self.dense.T)

    @property
    def size(self) -> int:
        """Number of terms."""
        return len(self.dense) + len(self.steps) * self.count

    def at(self, coefficients: np.ndarray) -> np.ndarray:
        """Sum of the terms at the nodes."""
        out = np.zeros(self.dense.shape[1])
        for term, coefficient in zip(self.dense, coefficients, strict=False):
            out += coefficient * term
        for k, (step, sign) in enumerate(zip(self.steps, self.signs, strict=True)):
            start = len(self.dense) + k * self.count
            out += sign * coefficients[start : start + self.count][step]
        return out

    def normal(self, weight: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Normal equations (term, term) and their right-hand side (term,) for values with weights.

        Every step, and what may be undetermined, has a weak prior of 0. The steps of a kind add up to 0, since what is
        common to all of them is a shift.
        """
        number = len(self.dense)
        out = np.empty((self.size, self.size + 1))
        columns = [number + k * self.count + step for k, step in enumerate(self.steps)]
        normal_equations(
            self.by_node,
            np.array(columns, dtype=np.int64).reshape(len(columns), weight.size),
            np.array(self.signs, dtype=np.float64),
            weight,
            value,
            out,
        )
        left = out[:, :-1].copy()
        for k in range(len(self.steps)):
            here = slice(number + k * self.count, number + (k + 1) * self.count)
            total = np.diag(left)[here]
            is_there = (total > 0.0).astype(np.float64)
            left[here, here] += total.sum() * np.outer(is_there, is_there)
        first = number - self.weak
        left[range(first, self.size), range(first, self.size)] += _PRIOR
        return left, out[:, -1]

    def is_determined(self) -> bool:
        """Whether the nodes tell all terms that are not weak from each other."""
        strong = len(self.dense) - self.weak
        ones = np.ones(self.dense.shape[1])
        block = self.normal(ones, ones)[0][:strong, :strong]
        return bool(np.linalg.cond(block) < _WORST)


class Fit(NamedTuple):
    """Result of a robust fit."""

    coefficients: np.ndarray  # (term,)
    residual: np.ndarray  # (node,)
    scale: float  # of the residuals, from their median absolute deviation
    covariance: np.ndarray  # (term, term), if the errors of nodes were independent


def fit(design: Design, value: np.ndarray) -> Fit:
    """Coefficients with Tukey's biweight, from a start that minimises absolute deviations."""
    coefficients = _solve(design, np.ones_like(value), value)
    residual, scale = left(design, coefficients, value)
    for _ in range(_START):
        if not scale > 0.0:
            break
        coefficients = _solve(design, 1.0 / np.maximum(np.abs(residual) / scale, 0.05), value)
        residual, scale = left(design, coefficients, value)
    for _ in range(_STEPS):
        if not scale > 0.0:
            break
        before, spread_before = coefficients, scale
        coefficients = _solve(design, _biweight(residual / scale), value)
        residual, scale = left(design, coefficients, value)
        # by far less than their standard errors
        if np.abs(coefficients - before).max() < 1e-2 * spread_before / np.sqrt(value.size):
            break
    return Fit(coefficients, residual, scale, _covariance(design, residual, scale))


def left(design: Design, coefficients: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, float]:
    """Residuals (node,) and their scale; where most are nothing but rounding of the values, both are 0 there."""
    residual = value - design.at(coefficients)
    scale = spread(residual)
    least = _ROUNDING * float(np.abs(value).max(initial=0.0))
    if scale > least:
        return residual, scale
    return np.where(np.abs(residual) > least, residual, 0.0), 0.0


def _solve(design: Design, weight: np.ndarray, value: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.solve(*design.normal(weight, value)))


def _biweight(ratio: np.ndarray) -> np.ndarray:
    return np.clip(1.0 - (ratio / TUKEY) ** 2, 0.0, None) ** 2


def _covariance(design: Design, residual: np.ndarray, scale: float) -> np.ndarray:
    """Covariance of an M-estimate (Huber 1981): mean of psi squared over the square of the mean of its slope."""
    normal, _ = design.normal(np.ones(residual.size), residual)
    inverse = np.linalg.inv(normal)
    if not scale > 0.0:
        # most values are fitted as they are, and the others tell how far that may be from true
        return np.asarray(inverse * np.mean(residual**2))
    square = np.clip(1.0 - (residual / (TUKEY * scale)) ** 2, 0.0, None)
    influence = ((residual * square**2) ** 2).sum() / max(residual.size - design.size, 1)
    slope = (square * (5.0 * square - 4.0) * (square > 0.0)).mean()
    return np.asarray(inverse * influence / max(slope, 0.1) ** 2)


def spread(residual: np.ndarray) -> float:
    """Standard deviation of most values around zero, from their median size."""
    return 1.4826 * float(np.median(np.abs(residual)))


def spread_of_some(residual: np.ndarray) -> float:
    """As `spread`, or the standard deviation around zero where most values are zero but not all."""
    scale = spread(residual)
    return scale if scale > 0.0 else float(np.sqrt(np.mean(residual**2)))


def loss(residual: np.ndarray, scale: float) -> float:
    """Mean of twice Tukey's loss, which is the square of residuals over the scale where they are small."""
    square = np.clip(1.0 - (residual / (TUKEY * scale)) ** 2, 0.0, None)
    return float(TUKEY**2 / 3.0 * (1.0 - square**3).mean())


def _shortest_half(values: np.ndarray) -> tuple[int, int]:
    """Start and size of the shortest half of sorted values (n,)."""
    half = (values.size + 1) // 2
    width = values[half - 1 :] - values[: values.size - half + 1]
    shortest = np.flatnonzero(width == width.min())
    # of equal ones that in the middle
    return int(shortest[(shortest.size - 1) // 2]), half


def mode_of_vectors(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Mode of vectors (n,), told from the same ones along x and along y, so that it is the motion of some ground.

    The half of them that lies closest together along the axis where they spread most, of this the half, and so on: the
    half-sample mode of Bickel & Fruehwirth 2006, Computational Statistics & Data Analysis 50, 3500-3530, of two
    components.
    """
    while x.size > 3:
        along = x if np.ptp(x) >= np.ptp(y) else y
        order = np.argsort(along, kind="stable")
        start, half = _shortest_half(along[order])
        keep = np.sort(order[start : start + half])
        x, y = x[keep], y[keep]
    return float(np.median(x)), float(np.median(y))
