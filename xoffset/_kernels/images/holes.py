"""Values for the rims of holes, so that what is interpolated beside them does not ring."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

# Pixels from the rim inward that are filled; farther in nothing reaches what is known.
DEPTH = 8
# Of these, the ones whose bend is made least.
SMOOTHED = 3
# Rounds that lessen the bend.
ROUNDS = 6


@kernel
def fill_holes(image, known, out):
    """Continue an image into its holes: from the rim inward by means of neighbours, then with the least bend.

    The values at the rim minimise the squared second differences (the discrete biharmonic equation, by Gauss-Seidel
    steps), which continues curved ground as well as slopes. Farther than DEPTH from what is known stays zero.

    Parameters
    ----------
    image
        (height, width).
    known
        (height, width) uint8.
    out
        (height, width) the image where known.
    """
    height, width = image.shape
    depth = np.empty(image.shape, np.uint8)
    count = 0
    for y in range(height):
        for x in range(width):
            is_known = known[y, x] != 0
            out[y, x] = image[y, x] if is_known else 0
            depth[y, x] = 0 if is_known else 255
            count += not is_known
    holes = np.empty((count, 2), np.int32)
    n = 0
    for y in range(height):
        for x in range(width):
            if known[y, x] == 0:
                holes[n, 0], holes[n, 1] = y, x
                n += 1
    done = 0
    for layer in range(1, DEPTH + 1):
        # pixels of this layer move to the front of those that are left
        start = done
        for k in range(start, count):
            y, x = holes[k, 0], holes[k, 1]
            total, weight = 0.0, 0.0
            for i in range(max(y - 1, 0), min(y + 2, height)):
                for j in range(max(x - 1, 0), min(x + 2, width)):
                    if depth[i, j] < layer:
                        total += out[i, j]
                        weight += 1.0
            if weight > 0.0:
                out[y, x] = total / weight
                depth[y, x] = layer
                holes[k, 0], holes[k, 1] = holes[done, 0], holes[done, 1]
                holes[done, 0], holes[done, 1] = y, x
                done += 1
        if done == start:
            break
    for _ in range(ROUNDS):
        for k in range(done):
            y, x = holes[k, 0], holes[k, 1]
            if depth[y, x] <= SMOOTHED and 2 <= y < height - 2 and 2 <= x < width - 2:
                beside = out[y - 1, x] + out[y + 1, x] + out[y, x - 1] + out[y, x + 1]
                across = out[y - 1, x - 1] + out[y - 1, x + 1] + out[y + 1, x - 1] + out[y + 1, x + 1]
                beyond = out[y - 2, x] + out[y + 2, x] + out[y, x - 2] + out[y, x + 2]
                out[y, x] = (8.0 * beside - 2.0 * across - beyond) / 20.0


@kernel
def count_holes(known, top, left, bottom, right, out):
    """Running sums (height + 1, width + 1) int32 of the unknown pixels among rows top to bottom, columns left to right.

    What lies outside of them is no hole.
    """
    height, width = known.shape
    for x in range(width + 1):
        out[0, x] = 0
    for y in range(height):
        total = 0
        out[y + 1, 0] = 0
        for x in range(width):
            total += known[y, x] == 0 and top <= y < bottom and left <= x < right
            out[y + 1, x + 1] = out[y, x + 1] + total
