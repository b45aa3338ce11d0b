"""Slow twins of calibrate(), written from the definitions: one node, one vector, one pair of neighbours at a time."""

from __future__ import annotations

import numpy as np


def is_stable(mask: np.ndarray, y: float, x: float, step: float) -> bool:
    """Whether all mask pixels within half a step of a node, at (y, x) in pixels of the mask, are stable."""
    stable = []
    for row in range(int(np.floor(y - step)), int(np.ceil(y + step)) + 1):
        for column in range(int(np.floor(x - step)), int(np.ceil(x + step)) + 1):
            if abs(row - y) <= 0.5 * step and abs(column - x) <= 0.5 * step:
                inside = 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]
                stable.append(inside and bool(mask[row, column]))
    return all(stable)


def correlated_nodes(ratio: np.ndarray, least: float) -> float:
    """Sum of the autocorrelation of (component, pair, y, x) along y times that along x, up to where it is lost."""
    known = [abs(value) for value in ratio.ravel() if np.isfinite(value)]
    limit = 3.0 * 1.4826 * np.median(known)
    clipped = [min(value, limit) for value in known]
    variance = sum(value**2 for value in clipped) / len(clipped)
    area = 1.0
    for axis in (2, 3):
        length = 1.0
        for lag in range(1, ratio.shape[axis] // 2 + 1):
            products = []
            for index in np.ndindex(ratio.shape):
                other = list(index)
                other[axis] += lag
                if other[axis] < ratio.shape[axis]:
                    here, there = (float(np.clip(ratio[each], -limit, limit)) for each in (index, tuple(other)))
                    if np.isfinite(here) and np.isfinite(there):
                        products.append(here * there)
            correlation = np.mean(products) / variance if products else 0.0
            if correlation < least:
                break
            length += 2.0 * correlation
        area *= length
    return area


def factor(shifts, stable: np.ndarray, pairs: np.ndarray, scores: tuple[float, float], name: str) -> float:
    """Normalised median absolute deviation of d / sigma, of the vectors of some pairs within a range of scores."""
    ratios = []
    for pair in np.flatnonzero(pairs):
        d, sigma, score = (shifts[each].values[pair] for each in (name, f"sigma_{name}", "score"))
        used = stable & np.isfinite(d) & np.isfinite(sigma) & np.isfinite(score)
        level = np.median(d[used].astype(float))
        for y, x in np.argwhere(used):
            if scores[0] < float(score[y, x]) <= scores[1]:
                ratios.append(abs(float(d[y, x]) - level) / float(sigma[y, x]))
    return 1.4826 * float(np.median(ratios))


def towards_one(factors: list[float], number: list[float]) -> tuple[list[float], list[float]]:
    """Factors of strata with so many independent vectors, drawn towards their mean, and their relative errors."""
    logs, chance = [np.log(each) for each in factors], [1.36 / each for each in number]
    weights = [1.0 / each for each in chance]
    mean = sum(w * v for w, v in zip(weights, logs, strict=True)) / sum(weights)
    scatter = sum(w * (v - mean) ** 2 for w, v in zip(weights, logs, strict=True))
    true = max(scatter - (len(logs) - 1), 0.0) / (sum(weights) - sum(w**2 for w in weights) / sum(weights))
    weights = [1.0 / (each + true) for each in chance]
    mean = sum(w * v for w, v in zip(weights, logs, strict=True)) / sum(weights)
    shrunk, errors = [], []
    for value, variance in zip(logs, chance, strict=True):
        kept = true / (true + variance)
        shrunk.append(float(np.exp(kept * value + (1.0 - kept) * mean)))
        errors.append(float(np.sqrt(kept * variance + (1.0 - kept) ** 2 / sum(weights))))
    return shrunk, errors
