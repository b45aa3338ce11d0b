"""Slow twin of the vote of bands, from its definition: plain NumPy, one node at a time."""

import numpy as np
from scipy.stats import chi2


def root(matrix):
    """Symmetric square root."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.sqrt(values)) @ vectors.T


def own(covariances, alike):
    """Covariances without the part of the least variance that bands share, with the correlation of x and y kept."""
    least = np.min([np.diag(each) for each in covariances], axis=0)
    out = []
    for each in covariances:
        scale = np.sqrt((np.diag(each) - alike * least) / np.diag(each))
        out.append(each * np.outer(scale, scale))
    return out


def mean(values, weights):
    return np.linalg.solve(sum(weights), sum(w @ v for w, v in zip(weights, values, strict=True)))


def misfit(values, weights):
    centre = mean(values, weights)
    return sum((v - centre) @ w @ (v - centre) for v, w in zip(values, weights, strict=True))


def combined(values, covariances, told, false_alarm):
    """Mean, covariance and number of the bands that agree; None without a majority.

    told: spread, correlation, alike, scale of the pair.
    """
    spread, correlation, alike, scale = told
    weights = [np.linalg.inv(each) for each in own(covariances, alike)]
    used = list(range(len(values)))
    while len(used) > 1:

        def of(which):
            return misfit([values[b] for b in which], [weights[b] for b in which])

        if of(used) <= chi2.isf(false_alarm, 2 * (len(used) - 1)) * scale:
            break
        used.remove(min(used, key=lambda b: of([each for each in used if each != b])))
    if 2 * len(used) <= len(values):
        return None
    inverse = np.linalg.inv(sum(weights[b] for b in used))
    shares = [inverse @ weights[b] for b in used]
    total = np.zeros((2, 2))
    for i, a in enumerate(used):
        for j, b in enumerate(used):
            common = root(covariances[a]) @ root(covariances[b])
            total += shares[i] @ (common * (1.0 if a == b else correlation)) @ shares[j].T
    centre = mean([values[b] for b in used], [weights[b] for b in used])
    return centre, max(1.0, np.nan_to_num(spread)) * total, len(used)
