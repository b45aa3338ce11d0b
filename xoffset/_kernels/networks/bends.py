"""A line that bends at some dates: its terms, and what one more bend takes from the squares.

Arrays of a pixel as in `changes`: t, weight, wander (date,), basis (term, date), rest (2, date).
"""

from __future__ import annotations

import math

import numpy as np

from xoffset._kernels._jit import kernel

# Steps of the golden section between dates that are tried, each of which makes the bracket 0.618 times as long.
GOLDEN, SECTIONS = 0.6180339887498949, 24


@kernel
def _basis(t, weight, bends, count, skipped, basis):
    """Orthonormal terms of a line with bends, all but one of them; returns their number."""
    terms = 0
    for term in range(-2, count):
        if term == skipped:
            continue
        for k in range(t.size):
            if term < 0:
                basis[terms, k] = 1.0 if term == -2 else t[k]
            else:
                basis[terms, k] = max(t[k] - bends[term], 0.0)
        for _ in range(2):
            for i in range(terms):
                shared = 0.0
                for k in range(t.size):
                    shared += weight[k] * basis[i, k] * basis[terms, k]
                for k in range(t.size):
                    basis[terms, k] -= shared * basis[i, k]
        square = 0.0
        for k in range(t.size):
            square += weight[k] * basis[terms, k] ** 2
        if square > 0.0:
            factor = 1.0 / math.sqrt(square)
            for k in range(t.size):
                basis[terms, k] *= factor
            terms += 1
    return terms


@kernel
def _fit(weight, observed, basis, terms, rest):
    """Residuals (2, date) of the terms; returns the sum of their weighted squares."""
    squares = 0.0
    for axis in range(2):
        for k in range(weight.size):
            rest[axis, k] = observed[axis, k]
        for i in range(terms):
            shared = 0.0
            for k in range(weight.size):
                shared += weight[k] * basis[i, k] * rest[axis, k]
            for k in range(weight.size):
                rest[axis, k] -= shared * basis[i, k]
        for k in range(weight.size):
            squares += weight[k] * rest[axis, k] ** 2
    return squares


@kernel
def _gain(t, weight, wander, basis, terms, rest, at, level):
    """What a bend takes from the squares, less for what drift alone would; level (term,) is for work."""
    square, along_x, along_y = 0.0, 0.0, 0.0
    for k in range(t.size):
        h = max(t[k] - at, 0.0)
        square += weight[k] * h * h
        along_x += weight[k] * h * rest[0, k]
        along_y += weight[k] * h * rest[1, k]
    for i in range(terms):
        level[i] = 0.0
        for k in range(t.size):
            level[i] += weight[k] * basis[i, k] * max(t[k] - at, 0.0)
        square -= level[i] * level[i]
    if square <= 0.0:
        return 0.0
    gain = (along_x**2 + along_y**2) / square
    return gain / (1.0 + _walked(t, weight, wander, basis, terms, level, at, square))


@kernel
def _walked(t, weight, wander, basis, terms, level, at, square):
    """Variance that a walk of the dates gives to a normalised bend, which noise of the dates gives one.

    level (term,): what the bend has of each term; square: of what is left.
    """
    total, behind = 0.0, 0.0
    if wander[t.size - 1] == 0.0:
        return 0.0
    for k in range(t.size - 1, 0, -1):
        lever = max(t[k] - at, 0.0)
        for i in range(terms):
            lever -= level[i] * basis[i, k]
        behind += weight[k] * lever
        total += behind * behind * wander[k]
    return total / square


@kernel
def _refine(t, weight, wander, basis, terms, rest, trials, gains, best, last):
    """Best date beside the best one that was tried, by golden section."""
    low = trials[best - 1] if not np.isnan(gains[best - 1]) else trials[best]
    high = trials[best + 1] if not np.isnan(gains[best + 1]) else trials[best]
    if high <= low:
        return trials[best]
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    of_left = _gain(t, weight, wander, basis, terms, rest, left, last)
    of_right = _gain(t, weight, wander, basis, terms, rest, right, last)
    for _ in range(SECTIONS):
        if of_left > of_right:
            high, right, of_right = right, left, of_left
            left = high - GOLDEN * (high - low)
            of_left = _gain(t, weight, wander, basis, terms, rest, left, last)
        else:
            low, left, of_left = left, right, of_right
            right = low + GOLDEN * (high - low)
            of_right = _gain(t, weight, wander, basis, terms, rest, right, last)
    return 0.5 * (low + high)
