"""Rank of each pixel among those around it."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel


@kernel
def _compare_one(line, other, twice):
    for x in range(line.size):
        twice[x] += np.int32(other[x] < line[x]) + np.int32(other[x] <= line[x])


@kernel
def _compare_three(line, a, b, c, twice):
    for x in range(line.size):
        value = line[x]
        first = np.int32(a[x] < value) + np.int32(a[x] <= value)
        second = np.int32(b[x] < value) + np.int32(b[x] <= value)
        twice[x] += first + second + np.int32(c[x] < value) + np.int32(c[x] <= value)


@kernel
def _count_around(known, radius, out):
    """Known pixels within `radius` rows and columns of each, without itself; none beyond the edges."""
    height, width = known.shape
    column = np.zeros(width, np.int32)
    for y in range(-radius, height):
        if y + radius < height:
            line = known[y + radius]
            for x in range(width):
                column[x] += line[x]
        if y - radius - 1 >= 0:
            line = known[y - radius - 1]
            for x in range(width):
                column[x] -= line[x]
        if y < 0:
            continue
        total = 0
        for x in range(min(radius, width)):
            total += column[x]
        target, own = out[y], known[y]
        for x in range(width):
            if x + radius < width:
                total += column[x + radius]
            if x - radius - 1 >= 0:
                total -= column[x - radius - 1]
            target[x] = total - own[x]


@kernel
def rank(image, known, radius, out, count):
    """Share of the known neighbours within `radius` rows and columns that are smaller, ties half.

    Parameters
    ----------
    image
        (height, width).
    known
        (height, width) uint8. Beyond the edges nothing is known.
    radius
        Pixels.
    out
        (height, width) of the type of the image; zero where a pixel or all around it are unknown.
    count
        (height, width) int32: neighbours that are known.
    """
    height, width = image.shape
    side = 2 * radius + 1
    # nothing is smaller than what is no number, and it is smaller than nothing
    padded = np.empty((height + 2 * radius, width + 2 * radius), image.dtype)
    for y in range(padded.shape[0]):
        target = padded[y]
        for x in range(target.size):
            target[x] = np.nan
    for y in range(height):
        source, mark, target = image[y], known[y], padded[y + radius, radius:]
        for x in range(width):
            if mark[x]:
                target[x] = source[x]
    _count_around(known, radius, count)
    twice = np.empty(width, np.int32)
    for y in range(height):
        for x in range(width):
            twice[x] = 0
        line = padded[y + radius, radius : radius + width]
        for i in range(side):
            row = padded[y + i]
            done = side // 3 * 3
            for j in range(0, done, 3):
                _compare_three(line, row[j:], row[j + 1 :], row[j + 2 :], twice)
            for j in range(done, side):
                _compare_one(line, row[j:], twice)
        target, others, mark = out[y], count[y], known[y]
        for x in range(width):
            # a pixel ties with itself
            target[x] = 0.5 * (twice[x] - 1) / others[x] if mark[x] and others[x] > 0 else 0.0
