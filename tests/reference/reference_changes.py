"""Slow twins of the searches for changes of motion, from their definitions: plain NumPy, all dates tried one by one."""

import math

import numpy as np
from scipy.stats import f as fisher


def squares_of(design, values, variance):
    """Weighted squares of the residuals of both components, and the parameters (term, 2)."""
    root = 1.0 / np.sqrt(variance)
    found = np.linalg.lstsq(design * root[:, None], values.T * root[:, None], rcond=None)[0]
    return float((((values.T - design @ found) * root[:, None]) ** 2).sum()), found


def bends(time, dates):
    """Terms of a line with bends at some dates."""
    return np.column_stack([np.ones_like(time), time, *(np.maximum(time - date, 0.0) for date in dates)])


def tried(time, parts=200):
    """Dates with three dates or more on both sides."""
    return np.linspace(time[2], time[-3] - 1e-9, parts * (len(time) - 5))


def one_bend(time, values, variance, confidence=0.95):
    """Best date, its false alarm, and the interval that holds it; of two components with the same variances (date,)."""
    dates = tried(time)
    steady, _ = squares_of(bends(time, []), values, variance)
    left = np.array([squares_of(bends(time, [date]), values, variance)[0] for date in dates])
    best = int(left.argmin())
    free = 2 * (len(time) - 2)
    share = (steady - left[best]) / steady
    crossings = math.gamma(free / 2) / math.gamma((free - 1) / 2) / math.sqrt(math.pi)
    chance = (1 - share) ** (free / 2 - 1)
    chance += arc(time, dates, variance) * crossings * math.sqrt(share) * (1 - share) ** ((free - 3) / 2)
    inner = free - 3
    inside = dates[left <= left[best] + fisher.ppf(confidence, 1, inner) * left[best] / inner]
    return dates[best], min(chance, 1.0), inside[0], inside[-1]


def arc(time, dates, variance):
    """Length of the curve of bends that are orthogonal to a line and normalised."""
    root = 1.0 / np.sqrt(variance)
    line, _ = np.linalg.qr(bends(time, []) * root[:, None])
    curve = np.maximum(time - dates[:, None], 0.0) * root
    curve -= (curve @ line) @ line.T
    curve /= np.linalg.norm(curve, axis=1, keepdims=True)
    return float(np.arccos(np.clip((curve[1:] * curve[:-1]).sum(axis=1), -1.0, 1.0)).sum())


def two_bends(time, values, variance):
    """Best two dates with three dates or more before, between and after them."""
    dates = tried(time, 12)
    best, found = np.inf, None
    for first in dates:
        for second in dates[dates > first]:
            if np.count_nonzero((time > first) & (time <= second)) >= 3:
                squares, _ = squares_of(bends(time, [first, second]), values, variance)
                if squares < best:
                    best, found = squares, (first, second)
    return found


def failure(time, values, variance, confidence=0.95):
    """Best date of failure and its interval, of dates from the last one to long after; infinity for none."""
    shares = np.concatenate([-np.expm1(np.linspace(3.0, 0.0, 3000)), -np.expm1(-np.linspace(1e-4, 7.0, 7000))])
    span = time[-1] - time[0]
    since = (time - time[0]) / span
    left = np.array(
        [
            squares_of(np.column_stack([np.ones_like(since), curve(since, share)]), values, variance)[0]
            for share in shares
        ]
    )
    best = int(left.argmin())
    free = 2 * len(time) - 5
    inside = shares[left <= left[best] + fisher.ppf(confidence, 1, free) * left[best] / free]

    def date(share):
        return time[0] + span / share if share > 0.0 else np.inf

    return date(shares[best]), date(inside.max()), date(inside.min())


def curve(since, share):
    """Displacement whose inverse velocity is linear in time and zero at 1/share."""
    return since if abs(share) < 1e-12 else -np.log(1.0 - share * since) / share
