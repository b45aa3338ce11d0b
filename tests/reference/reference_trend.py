"""Slow twin of the robust linear models: plain NumPy with whole matrices, one pixel at a time, from the equations."""

import numpy as np

THRESHOLD = {"linear": np.inf, "huber": 1.856, "tukey": 5.123, "l1": 0.05}
CONSISTENCY = {"linear": 1.0, "huber": 1.1516, "tukey": 1.3460, "l1": 7.1125}
EFFICIENCY = {"linear": 1.0, "huber": 1.0174, "tukey": 1.0292, "l1": 0.5402}


def loss_weight(length, scale, loss):
    ratio = length / (THRESHOLD[loss] * scale)
    if loss == "tukey":
        return np.where(ratio < 1.0, (1.0 - ratio**2) ** 2, 0.0)
    return 1.0 / np.maximum(ratio, 1.0)


def lengths(design, value, base, weight):
    """Parameters, residuals (observation, 2), and their studentised lengths (NaN where nothing is left to tell)."""
    strength = base * weight
    inverse = np.linalg.pinv(design.T @ (strength[:, None] * design), rcond=1e-12)
    found = inverse @ design.T @ (strength[:, None] * value)
    rest = value - design @ found
    free = 1.0 - strength * np.einsum("ij,jk,ik->i", design, inverse, design)
    size = np.sqrt(base / np.where(free > 1e-6, free, np.nan)) * np.hypot(*rest.T)
    return found, rest, size


def robust(design, value, base, loss, times=200):
    """Parameters and loss weights, a fixed point of the equations; the biweight keeps the scale of Huber's solution."""
    weight = np.ones(len(base))
    scale = 1.0
    for each in ["huber", "tukey"] if loss == "tukey" else [loss]:
        for k in range(times if loss != "linear" else 0):
            size = lengths(design, value, base, weight)[2]
            if each != "tukey" and k < 50:
                told = size[np.isfinite(size)]
                scale = max(np.median(told) / np.sqrt(2.0 * np.log(2.0)), 1e-6) if told.size else 1e-6
            weight = loss_weight(np.nan_to_num(size), scale, each)
    return lengths(design, value, base, weight)[0], weight


def fit(design, ends, loss, value, variance, of_dates, share):
    """Parameters (term, 2) and their covariance (2, term, term) of observations (observation, 2)."""
    used = np.isfinite(value).all(1)
    has_variance = ((variance > 0.0) & (variance < np.inf)).all(1)
    is_blind = not (used & has_variance).any()
    used &= has_variance | is_blind
    design, ends, value, variance = design[used], ends[used], value[used], variance[used]
    if is_blind:
        variance, of_dates, share = np.ones_like(variance), np.zeros_like(of_dates), 1.0
    base = 1.0 / variance.mean(1)
    found, weight = robust(design, value, base, loss)
    gain = np.linalg.pinv(design.T @ ((base * weight)[:, None] * design), rcond=1e-12) @ design.T * (base * weight)
    incidence = np.zeros((len(ends), len(of_dates)))
    for sign, column in ((-1.0, 0), (1.0, 1)):
        inside = np.flatnonzero(ends[:, column] >= 0)
        incidence[inside, ends[inside, column]] += sign
    rest_of = np.eye(len(base)) - design @ gain
    redundancy = 1.0 - np.linalg.matrix_rank(design) / len(base)
    efficiency = 1.0 + (EFFICIENCY[loss] - 1.0) * redundancy
    squares, expected, total, covariance = np.empty(2), np.empty(2), np.empty(2), []
    for axis in range(2):
        noise = incidence @ np.diag(np.nan_to_num(of_dates[:, axis])) @ incidence.T
        noise += np.diag(share * variance[:, axis])
        pull = np.diag(base * weight**2)
        rest = rest_of @ value[:, axis]
        squares[axis] = CONSISTENCY[loss] * (rest @ pull @ rest)
        expected[axis] = np.trace(pull @ rest_of @ noise @ rest_of.T)
        total[axis] = np.trace(pull @ noise)
        covariance.append(efficiency * gain @ noise @ gain.T)
    if is_blind:
        growth = np.where(expected > 1e-6 * total, squares / np.where(expected > 0, expected, 1.0), np.nan)
    else:
        is_told = expected.sum() > 1e-6 * total.sum()
        growth = np.full(2, max(squares.sum() / expected.sum(), 1.0) if is_told else 1.0)
    return found, np.array(covariance) * growth[:, None, None], weight


def best_step(time, value, variance):
    """First date after the step that lowers the criterion most, and by how much; a line and equal noise, linear."""
    base = 1.0 / variance.mean(1)

    def cost(design):
        rest = (
            value
            - design @ np.linalg.lstsq(np.sqrt(base)[:, None] * design, np.sqrt(base)[:, None] * value, rcond=None)[0]
        )
        total = (base[:, None] * rest**2).sum()
        return total if total < rest.size else rest.size * (1.0 + np.log(total / rest.size))

    line = np.stack([np.ones_like(time), time], 1)
    costs = {k: cost(np.column_stack([line, np.arange(time.size) >= k])) for k in range(2, time.size - 1)}
    best = min(costs, key=costs.get)
    return best, cost(line) - costs[best] - 3.0 * np.log(value.size)
