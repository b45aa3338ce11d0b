"""Neighbouring pixels that hold the same value."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xoffset._kernels._jit import kernel


class Alike(NamedTuple):
    """What a look at some pairs of neighbours tells.

    Whether a row, and whether a column, holds a run of one value; the lowest and the highest value of a pair of
    equals, and how many of the pairs that were looked at hold it.
    """

    in_row: float
    in_column: float
    lowest: float
    pairs_of_lowest: float
    highest: float
    pairs_of_highest: float


@kernel
def survey_alike(values, length, out):
    """Look for equal neighbours among pairs so dense that no run of `length` pixels escapes; `out` (6,) as `Alike`.

    NaN is unlike all. Most images have few equals, and cost one look at every sixth pixel or so.
    """
    height, width = values.shape
    apart = length - 1
    out[0], out[1] = 0.0, 0.0
    out[2], out[3] = np.inf, 0.0
    out[4], out[5] = -np.inf, 0.0
    for y in range(height):
        line = values[y]
        for x in range(apart - 1, width - 1, apart):
            if line[x] != line[x + 1]:
                continue
            _count(line[x], out)
            if out[0] == 0.0:
                first, last = x, x + 1
                while first > 0 and line[first - 1] == line[x]:
                    first -= 1
                while last < width - 1 and line[last + 1] == line[x]:
                    last += 1
                out[0] = last - first >= apart
    for y in range(apart - 1, height - 1, apart):
        line, below = values[y], values[y + 1]
        for x in range(width):
            if line[x] != below[x]:
                continue
            _count(line[x], out)
            if out[1] == 0.0:
                first, last = y, y + 1
                while first > 0 and values[first - 1, x] == line[x]:
                    first -= 1
                while last < height - 1 and values[last + 1, x] == line[x]:
                    last += 1
                out[1] = last - first >= apart


@kernel
def _count(value, out):
    """Enter the value of a pair of equals."""
    if value < out[2]:
        out[2], out[3] = value, 0.0
    if value > out[4]:
        out[4], out[5] = value, 0.0
    out[3] += value == out[2]
    out[5] += value == out[4]


@kernel
def mark_blocks(values, side, out):
    """Set out where a pixel lies in a block of one value, no higher than `side`, that has side² pixels or more.

    Parameters
    ----------
    values
        (height, width); NaN is unlike all.
    side
        Greatest height; blocks of fewer rows are as much wider.
    out
        (height, width) uint8; pixels that lie in no such block are left alone.
    """
    height, width = values.shape
    # pixels of one value from each down, itself included; more than `side` do not matter
    alike = np.empty(values.shape, np.uint8)
    for y in range(height - 1, -1, -1):
        for x in range(width):
            goes_on = y + 1 < height and values[y + 1, x] == values[y, x]
            alike[y, x] = min(alike[y + 1, x] + 1, side) if goes_on else 1
    for rows in range(1, side + 1):
        least = -(-side * side // rows)
        for y in range(height - rows + 1):
            start = 0
            for x in range(1, width + 1):
                if x < width and values[y, x] == values[y, x - 1] and alike[y, x] >= rows and alike[y, start] >= rows:
                    continue
                # a run ends before this pixel
                if x - start >= least and alike[y, start] >= rows:
                    for i in range(y, y + rows):
                        for j in range(start, x):
                            out[i, j] = 1
                start = x
