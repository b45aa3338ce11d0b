"""Slow twin of the errors of a fit to a series whose dates resemble each other and drift: whole matrices, one pixel."""

import numpy as np

FACTORS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.92)
PRIOR = (0.67, 0.08, 0.075, 0.07, 0.06, 0.045)


def covariance(design, value, variance, growth, drift):
    """Covariance (2, term, term) of least squares with the mean variances as weights.

    value, variance (date, 2); growth (date,); drift (2,) variance that it is multiplied by.
    """
    dates, terms = design.shape
    mean = variance.mean(axis=1)
    estimate = np.linalg.solve(design.T @ (design / mean[:, None]), design.T / mean)
    rest = value - design @ (estimate @ value)
    walk = np.minimum.outer(growth - growth[0], growth - growth[0])
    lags = np.abs(np.subtract.outer(np.arange(dates), np.arange(dates)))
    without = np.eye(dates) - design @ estimate
    plain = (rest**2 / mean[:, None]).sum()
    expected = sum(np.trace(without @ np.diag(v) @ without.T / mean[:, None]) for v in variance.T)
    likelihood, parts = [], []
    for factor, before in zip(FACTORS, PRIOR, strict=True):
        alike = factor**lags
        noise = np.sqrt(np.outer(mean, mean)) * alike + drift.mean() * walk
        inverse = np.linalg.inv(noise)
        normal = design.T @ inverse @ design
        free = inverse - inverse @ design @ np.linalg.solve(normal, design.T @ inverse)
        squares = np.einsum("ka,kl,la", rest, free, rest)
        logarithm = np.log(before) - (dates - terms) * np.log(squares)
        likelihood.append(logarithm - np.linalg.slogdet(noise)[1] - np.linalg.slogdet(normal)[1])
        found = plain / expected * squares / plain
        part, growth_of_all, both = min(4.0 * found, 1.0), max(found, 1.0), []
        for axis in range(2):
            size = np.sqrt(np.outer(variance[:, axis], variance[:, axis]))
            of_dates = size * (part * alike + (1.0 - part) * np.eye(dates))
            both.append(growth_of_all * estimate @ (of_dates + drift[axis] * walk) @ estimate.T)
        parts.append(both)
    probability = np.exp(np.array(likelihood) - max(likelihood))
    return np.einsum("f,faij->aij", probability / probability.sum(), np.array(parts))
