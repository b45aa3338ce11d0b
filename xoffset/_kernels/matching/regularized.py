"""Whole-pixel shifts of blocks of 4x4 pixels: the volume of their costs, and dynamic programming in eight directions.

All numbers of the volume are int16, so that a vector register holds many; lanes run along the blocks of a row. Images
are split by column modulo 4, which makes every shift a contiguous load.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel, kernel

# Side of a block, px.
BLOCK = 4
# Cost of a correlation of zero.
SCALE = 1024
# Pixels are kept as whole numbers of 1/8 of their root mean square, at most LARGEST of these.
STEPS, LARGEST = 8, 31


@kernel
def quantise(image, out):
    """Pixels as whole numbers, split by column: out[x % 4, y, x // 4], int16; columns beyond the image are zero."""
    height, width = image.shape
    for part in range(BLOCK):
        for y in range(height):
            source, target = image[y], out[part, y]
            for x in range(target.size):
                column = BLOCK * x + part
                value = source[column] * STEPS if column < width else np.float32(0.0)
                target[x] = np.int16(np.rint(min(max(value, -LARGEST), LARGEST)))


@hot_kernel
def block_products(first, second, half_y, half_x, out):
    """Sums of products over 4x4 pixels at all whole shifts: out (row, shift, column) int16, a quarter of the sum.

    first (4, height, blocks) as from `quantise`; second (4, height + 2·half_y, blocks + 2·pad) the same of an image
    that starts half_y rows and 4·pad columns earlier. Shifts are counted along x first.
    """
    rows, _, blocks = out.shape
    pad = (second.shape[2] - blocks) // 2
    sums = np.empty(blocks, np.int16)
    for row in range(rows):
        shift = 0
        for dy in range(-half_y, half_y + 1):
            for dx in range(-half_x, half_x + 1):
                for x in range(blocks):
                    sums[x] = 0
                for part in range(BLOCK):
                    other = (part + dx) % BLOCK
                    start = pad + (part + dx) // BLOCK
                    for y in range(row * BLOCK, row * BLOCK + BLOCK):
                        u = first[part, y]
                        v = second[other, y + half_y + dy, start : start + blocks]
                        for x in range(blocks):
                            sums[x] += np.int16(u[x] * v[x])
                line = out[row, shift]
                for x in range(blocks):
                    line[x] = sums[x] >> 2
                shift += 1


@hot_kernel
def _weighted(line, weights, out):
    """Sums over the blocks around each, by their distance; the line holds as many more on each side."""
    reach = weights.size - 1
    for x in range(out.size):
        out[x] = weights[0] * line[x + reach]
    for k in range(1, reach + 1):
        left, right, weight = line[reach - k :], line[reach + k :], weights[k]
        for x in range(out.size):
            out[x] += weight * (left[x] + right[x])


@hot_kernel
def energies(parts, weights, out):
    """Weighted sums of squares around the block that starts at each pixel: out[x % 4, y, x // 4] float32.

    parts (4, height, blocks) as from `quantise`; weights by distance in blocks, as in `block_costs`.
    """
    height, blocks = parts.shape[1:]
    width = BLOCK * blocks
    reach = weights.size - 1
    around = BLOCK * (2 * reach + 1)
    along = np.zeros((height, width), np.float32)
    square = np.zeros(width + 2 * around, np.float32)
    line = np.empty(width, np.float32)
    for y in range(height):
        for part in range(BLOCK):
            source = parts[part, y]
            for x in range(blocks):
                value = np.float32(source[x])
                square[around + BLOCK * x + part] = value * value
        for x in range(width):
            line[x] = 0
        for k in range(-reach, reach + 1):
            for i in range(BLOCK):
                shifted, weight = square[around + BLOCK * k + i :], weights[abs(k)]
                for x in range(width):
                    line[x] += weight * shifted[x]
        target = along[y]
        for x in range(width):
            target[x] = line[x]
    for y in range(height):
        for x in range(width):
            line[x] = 0
        for k in range(-reach, reach + 1):
            for i in range(BLOCK):
                row = y + BLOCK * k + i
                if 0 <= row < height:
                    source, weight = along[row], weights[abs(k)]
                    for x in range(width):
                        line[x] += weight * source[x]
        for x in range(width):
            out[x % BLOCK, y, x // BLOCK] = line[x]


@hot_kernel
def block_costs(products, inverse, inverse_of_other, half_y, half_x, weights, floor, out):
    """Cost of every shift of every block: SCALE·(1 - max(correlation, floor)), int16.

    Parameters
    ----------
    products
        As from `block_products`.
    inverse
        (rows, blocks) float32: 4 over the root of the weighted energy around the blocks of the first image.
    inverse_of_other
        (4, height, blocks + 2·pad) float32: one over that root, of blocks that start at each pixel of the second one.
    half_y, half_x
        Largest shifts, px.
    weights
        float32: of the blocks 0, 1, ... away along either axis.
    floor
        Correlation below which all are alike.
    out
        int16, like the products.
    """
    rows, _, blocks = products.shape
    pad = (inverse_of_other.shape[2] - blocks) // 2
    reach = weights.size - 1
    line = np.zeros(blocks + 2 * reach, np.float32)
    found = np.empty(blocks, np.float32)
    scale, one = np.float32(SCALE), np.float32(1.0)
    for row in range(rows):
        shift = 0
        for dy in range(-half_y, half_y + 1):
            for dx in range(-half_x, half_x + 1):
                inner = line[reach : reach + blocks]
                source = products[row, shift]
                for x in range(blocks):
                    inner[x] = weights[0] * source[x]
                for k in range(1, reach + 1):
                    # beyond the edges there is nothing, of the products as of the energies
                    if row - k >= 0:
                        up = products[row - k, shift]
                        for x in range(blocks):
                            inner[x] += weights[k] * up[x]
                    if row + k < rows:
                        down = products[row + k, shift]
                        for x in range(blocks):
                            inner[x] += weights[k] * down[x]
                _weighted(line, weights, found)
                start = pad + dx // BLOCK
                own = inverse[row]
                other = inverse_of_other[dx % BLOCK, row * BLOCK + half_y + dy, start : start + blocks]
                cost = out[row, shift]
                for x in range(blocks):
                    score = found[x] * own[x] * other[x]
                    cost[x] = np.int16(scale * (one - max(min(score, one), floor)))
                shift += 1


@hot_kernel
def _spread(previous, current, count_y, count_x, slope, change):
    """Least of the previous costs plus the way there, by two passes over the shifts: current (shift, blocks + 2)."""
    blocks = current.shape[1] - 2
    shifts = count_y * count_x
    for shift in range(shifts):
        i, j = shift // count_x, shift % count_x
        before, here = previous[shift, 1 - slope : 1 - slope + blocks], current[shift, 1 : blocks + 1]
        if i > 0 and j > 0:
            left, up = current[shift - 1, 1 : blocks + 1], current[shift - count_x, 1 : blocks + 1]
            for x in range(blocks):
                here[x] = min(np.int16(min(left[x], up[x]) + change), before[x])
        elif i > 0 or j > 0:
            left = current[shift - 1 if j > 0 else shift - count_x, 1 : blocks + 1]
            for x in range(blocks):
                here[x] = min(np.int16(left[x] + change), before[x])
        else:
            for x in range(blocks):
                here[x] = before[x]
    for shift in range(shifts - 2, -1, -1):
        i, j = shift // count_x, shift % count_x
        here = current[shift, 1 : blocks + 1]
        if i < count_y - 1 and j < count_x - 1:
            right, down = current[shift + 1, 1 : blocks + 1], current[shift + count_x, 1 : blocks + 1]
            for x in range(blocks):
                here[x] = min(np.int16(min(right[x], down[x]) + change), here[x])
        else:
            right = current[shift + 1 if j < count_x - 1 else shift + count_x, 1 : blocks + 1]
            for x in range(blocks):
                here[x] = min(np.int16(right[x] + change), here[x])


@hot_kernel
def sweep(cost, count_y, count_x, slope, is_reversed, change, most, total):
    """Add to `total` the least cost of all paths that come from one side, from row to row; int16 like the cost.

    A path pays `change` for every pixel by which its shift changes from one row to the next, and at most `most`. It
    moves by `slope` columns from each row to the next, upward if reversed. Costs are counted from the least one, so
    that they do not grow with the way (Hirschmueller 2008, IEEE Trans. Pattern Anal. Mach. Intell. 30, 328-341).
    """
    rows, shifts, blocks = cost.shape
    previous = np.zeros((shifts, blocks + 2), np.int16)
    current = np.zeros((shifts, blocks + 2), np.int16)
    least = np.zeros(blocks + 2, np.int16)
    next_least = np.zeros(blocks + 2, np.int16)
    for k in range(rows):
        row = rows - 1 - k if is_reversed else k
        _spread(previous, current, count_y, count_x, slope, change)
        came = least[1 - slope : 1 - slope + blocks]
        lowest = next_least[1 : blocks + 1]
        for x in range(blocks):
            lowest[x] = 32000
        for shift in range(shifts):
            here, own, sums = current[shift, 1 : blocks + 1], cost[row, shift], total[row, shift]
            for x in range(blocks):
                value = np.int16(np.int16(min(here[x], np.int16(came[x] + most)) - came[x]) + own[x])
                here[x] = value
                sums[x] += value
                lowest[x] = min(lowest[x], value)
            current[shift, 0] = 0
            current[shift, blocks + 1] = 0
        previous, current = current, previous
        least, next_least = next_least, least


@kernel
def turn(volume, out):
    """Exchange rows and columns: (row, shift, column) to (column, shift, row)."""
    rows, shifts, blocks = volume.shape
    for y in range(0, rows, 32):
        for x in range(0, blocks, 32):
            for shift in range(shifts):
                for column in range(x, min(x + 32, blocks)):
                    target = out[column, shift]
                    for row in range(y, min(y + 32, rows)):
                        target[row] = volume[row, shift, column]


@kernel
def cheapest(total, count_y, count_x, best, dx, dy):
    """Shift of least total of every block, moved to the vertex of parabolas along x and y, px; and its number."""
    rows, shifts, blocks = total.shape
    half_y, half_x = count_y // 2, count_x // 2
    least = np.empty(blocks, np.int16)
    for row in range(rows):
        where = best[row]
        for x in range(blocks):
            least[x] = 32767
            where[x] = 0
        for shift in range(shifts):
            line = total[row, shift]
            for x in range(blocks):
                is_less = line[x] < least[x]
                least[x] = line[x] if is_less else least[x]
                where[x] = np.int32(shift) if is_less else where[x]
        for x in range(blocks):
            i, j = where[x] // count_x, where[x] % count_x
            middle = np.float32(least[x])
            along_x, along_y = np.float32(0.0), np.float32(0.0)
            if 0 < j < count_x - 1:
                low, high = np.float32(total[row, where[x] - 1, x]), np.float32(total[row, where[x] + 1, x])
                along_x = (low - high) / (2 * max(low + high - 2 * middle, np.float32(1.0)))
            if 0 < i < count_y - 1:
                low, high = np.float32(total[row, where[x] - count_x, x]), np.float32(total[row, where[x] + count_x, x])
                along_y = (low - high) / (2 * max(low + high - 2 * middle, np.float32(1.0)))
            dx[row, x] = j - half_x + along_x
            dy[row, x] = i - half_y + along_y
