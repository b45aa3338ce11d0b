"""The innermost loops of the search in plain numba, with the bits of those of `vectors`, which they stand in for."""

from __future__ import annotations

from xoffset._kernels._jit import fused_kernel
from xoffset._kernels.matching.surface import LOWEST, ONE_VALUE

# Number to whose multiple the shifts along x are rounded up, so that vector instructions work on whole vectors.
LANES = 8
# Side of the blocks whose products with themselves at a lag are summed, px: LANES, so that a row of one is a vector.
BLOCK = 8


@fused_kernel
def plain_products(first, second, y, x, size, shift_y, shift_x, shifts, lanes, pixels, out):
    """Products of a square block with all shifted copies of another image.

    out[s·lanes + d] = sum over i, j of first[y + i, x + j]·second[y + shift_y + s + i, x + shift_x + d + j].

    Parameters
    ----------
    first, second
        (height, width) images, finite, in C order. Of blocks of less than ROWS rows up to 3 rows above the window are
        read too.
    y, x, size
        First row and column of the block, and its side.
    shift_y, shift_x, shifts, lanes
        First shift along y and x, number of shifts along y, and along x, where they are a multiple of LANES.
    pixels
        (MOST_ROWS·size or more,) scratch.
    out
        (shifts·lanes or more,).
    """
    for s in range(shifts):
        line = out[s * lanes : (s + 1) * lanes]
        for d in range(lanes):
            line[d] = 0
        for i in range(size):
            other = second[y + shift_y + s + i]
            for j in range(size):
                pixel, window = first[y + i, x + j], other[x + shift_x + j : x + shift_x + j + lanes]
                for d in range(lanes):
                    line[d] += pixel * window[d]


@fused_kernel
def plain_scores(sums, row, stride, count, place, lanes, of_window, totals, inverses, y, x, height, width, score):
    """ZNCC of one template with its candidates where every pixel is valid, and the highest of each column.

    Parameters
    ----------
    sums
        (row, shifts·lanes or more): the sums of products are those of `count` rows, `stride` apart, from `row` on.
    place, lanes
        Where the first candidate stands in a row, and how much further on that of the next shift along y does.
    of_window
        Mean of the template, and one over the root of its squared deviations, above 0.
    totals, inverses
        (height, width) sum of each window of the secondary, and the like of the latter, 0 without texture; that of the
        first candidate starts at (y, x).
    height, width
        Number of candidates along y and x, the latter a multiple of LANES.
    score
        Filled from its first corner: the score, or ONE_VALUE without texture; its last row is filled with the highest
        of each column.
    """
    mean, inverse = of_window
    one, mark = score.dtype.type(1.0), score.dtype.type(ONE_VALUE)
    high = score[score.shape[0] - 1]
    for d in range(width):
        high[d] = LOWEST
    for i in range(height):
        line = score[i, :width]
        start = place + i * lanes
        source = sums[row, start : start + width]
        for d in range(width):
            line[d] = source[d]
        for k in range(1, count):
            source = sums[row + k * stride, start : start + width]
            for d in range(width):
                line[d] += source[d]
        means, scales = totals[y + i, x : x + width], inverses[y + i, x : x + width]
        for d in range(width):
            value = (line[d] - mean * means[d]) * (inverse * scales[d])
            value = value if value < one else one
            value = value if scales[d] > 0 else mark
            line[d] = value
            high[d] = value if value > high[d] else high[d]


@fused_kernel
def plain_cut(image, y, x, rows, columns, pitch, mean, out):
    """Copy rows and columns of an image (height, width) from (y, x) on into a line, less a number.

    The rows begin `pitch` apart in `out`; what lies between them stays.
    """
    for i in range(rows):
        line, source = out[i * pitch :], image[y + i, x:]
        for j in range(columns):
            line[j] = source[j] - mean


@fused_kernel
def plain_lags(image, y, x, lag_y, lag_x, line, out):
    """Products of a block of an image with the image at a lag.

    out[k] = sum over i, j of image[y + i, x + j]·image[y + lag_y[k] + i, x + lag_x[k] + j].

    Parameters
    ----------
    image
        (height, width), finite, in C order.
    y, x
        First row and column of the block, whose side is BLOCK.
    lag_y, lag_x
        (lag,) int64.
    line
        (BLOCK,) scratch.
    out
        (lag,).
    """
    for k in range(out.size):
        for j in range(BLOCK):
            line[j] = 0
        for i in range(BLOCK):
            here, there = image[y + i, x:], image[y + lag_y[k] + i, x + lag_x[k] :]
            for j in range(BLOCK):
                line[j] += here[j] * there[j]
        even = (line[0] + line[4]) + (line[2] + line[6])
        out[k] = even + ((line[1] + line[5]) + (line[3] + line[7]))
