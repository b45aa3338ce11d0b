"""Slow twins of what tells jitter, from the equations."""

import numpy as np


def posterior(weight: np.ndarray, moment: np.ndarray, prior: np.ndarray, size: int) -> np.ndarray:
    """Most probable signal (bin,) of a periodic process of `size` bins, from a dense covariance.

    prior: variance of each orthonormal Fourier coefficient, from frequency 0 on; weight: inverse variances of the
    means of the bins, 0 where none was seen; moment: means times weights.
    """
    lag = np.arange(size)
    twice = np.where(np.arange(prior.size) == 0, 1.0, 2.0)
    of_lag = (twice * prior * np.cos(2.0 * np.pi * np.outer(lag, np.arange(prior.size)) / size)).sum(axis=1) / size
    covariance = of_lag[np.abs(np.subtract.outer(np.arange(weight.size), np.arange(weight.size)))]
    seen = weight > 0.0
    noisy = covariance[np.ix_(seen, seen)] + np.diag(1.0 / weight[seen])
    return covariance[:, seen] @ np.linalg.solve(noisy, moment[seen] / weight[seen])
