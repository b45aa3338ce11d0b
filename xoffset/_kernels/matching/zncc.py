"""Zero-mean normalised cross-correlation of many templates with many candidates, by products of blocks.

The image is cut into square blocks of gcd(step, templates) pixels. One multiply-add per pixel and shift gives the
products of each block, which overlapping templates, and templates of several sizes, then share. Lanes run along the
shifts in x. Where the searches of neighbours do not coincide, each template is a block of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xoffset._kernels._jit import hot_kernel
from xoffset._kernels.matching.surface import _masked_scores, _plain_scores, _read_peak

# Number to whose multiple the shifts along x are rounded up, so that vector instructions work on whole vectors.
LANES = 8


class Nodes(NamedTuple):
    """Windows of one size on a tile; everything in pixels but the node counts."""

    rows: int
    columns: int
    top: int
    left: int
    step: int
    template: int

    def of_size(self, template: int) -> Nodes:
        """Windows of another size about the same centres."""
        inset = (self.template - template) // 2
        return self._replace(template=template, top=self.top + inset, left=self.left + inset)


class Images(NamedTuple):
    """What the search needs of the two images of a pair.

    `first`, `second` (1, height, width): the filtered images; or, where a pixel is missing, (6, height, width) factors
    of the masked sums, all zero where invalid: image·image, mask·mask, image·mask, mask·image, square·mask,
    mask·square; then known·known if not all of the known pixels are valid. By template size and first pixel of the
    window: `statistics` (size, 4, height, width) sum and inverse root spread of the reference, then of the secondary,
    unused if masked; `flat` (size, 2, height, width) uint8, raw windows that hold one value only. `floors` (2):
    variance that each must exceed to be texture and not rounding. `least_valid` (size): known pixels that two windows
    must share to have a score.
    """

    first: np.ndarray
    second: np.ndarray
    statistics: np.ndarray
    flat: np.ndarray
    floors: np.ndarray
    least_valid: np.ndarray


class Search(NamedTuple):
    """Which candidates belong to which template; all (rows, columns) arrays are by node.

    `templates` (size): sides of the windows, ascending, all about the same centre. `centre` and `half` (rows, columns,
    2) int64: middle and half-range of the candidate shifts along y and x. `box`: first shift along y and x, number of
    shifts along y and x that hold all of them. `wanted` (rows, columns) uint8: which nodes to search.
    """

    templates: np.ndarray
    centre: np.ndarray
    half: np.ndarray
    box: tuple[int, int, int, int]
    wanted: np.ndarray


@hot_kernel
def _add_line(source, shifted, line):
    """Products of a row of pixels with shifted copies of another: line[d] += sum of source[j]·shifted[j + d]."""
    size = source.shape[0]
    lanes = line.shape[0]
    j = 0
    while j + 4 <= size:
        a0, a1, a2, a3 = source[j], source[j + 1], source[j + 2], source[j + 3]
        window = shifted[j : j + lanes + 3]
        for d in range(lanes):
            line[d] += a0 * window[d] + a1 * window[d + 1] + a2 * window[d + 2] + a3 * window[d + 3]
        j += 4
    while j < size:
        a0 = source[j]
        window = shifted[j : j + lanes]
        for d in range(lanes):
            line[d] += a0 * window[d]
        j += 1


@hot_kernel
def _add_two_lines(upper, lower, shifted, line, line_above):
    """As `_add_line` with two rows of pixels that meet the same row of the other image at two shifts along y.

    What is loaded serves twice. Fives rather than fours where they divide the rows: nothing is left over then.
    """
    size = upper.shape[0]
    lanes = line.shape[0]
    j = 0
    if size % 5 == 0:
        while j < size:
            a0, a1, a2, a3, a4 = upper[j], upper[j + 1], upper[j + 2], upper[j + 3], upper[j + 4]
            b0, b1, b2, b3, b4 = lower[j], lower[j + 1], lower[j + 2], lower[j + 3], lower[j + 4]
            window = shifted[j : j + lanes + 4]
            for d in range(lanes):
                w0, w1, w2, w3, w4 = window[d], window[d + 1], window[d + 2], window[d + 3], window[d + 4]
                line[d] += a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3 + a4 * w4
                line_above[d] += b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3 + b4 * w4
            j += 5
    while j + 4 <= size:
        a0, a1, a2, a3 = upper[j], upper[j + 1], upper[j + 2], upper[j + 3]
        b0, b1, b2, b3 = lower[j], lower[j + 1], lower[j + 2], lower[j + 3]
        window = shifted[j : j + lanes + 3]
        for d in range(lanes):
            w0, w1, w2, w3 = window[d], window[d + 1], window[d + 2], window[d + 3]
            line[d] += a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3
            line_above[d] += b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3
        j += 4
    while j < size:
        a0, b0 = upper[j], lower[j]
        window = shifted[j : j + lanes]
        for d in range(lanes):
            line[d] += a0 * window[d]
            line_above[d] += b0 * window[d]
        j += 1


@hot_kernel
def _block_products(first, second, y, x, size, shift_y, shift_x, shifts, lanes, out):
    """Products of a square block with all shifted copies of another image; out (shifts·lanes,), lanes along x."""
    for d in range(shifts * lanes):
        out[d] = 0
    i = 0
    while i + 2 <= size:
        upper, lower = first[y + i, x : x + size], first[y + i + 1, x : x + size]
        above = out[:lanes]
        _add_line(upper, second[y + i + shift_y, x + shift_x :], above)
        for row in range(1, shifts):
            line = out[row * lanes : (row + 1) * lanes]
            _add_two_lines(upper, lower, second[y + i + shift_y + row, x + shift_x :], line, above)
            above = line
        _add_line(lower, second[y + i + shift_y + shifts, x + shift_x :], above)
        i += 2
    if i < size:
        for row in range(shifts):
            line = out[row * lanes : (row + 1) * lanes]
            _add_line(first[y + i, x : x + size], second[y + i + shift_y + row, x + shift_x :], line)


@hot_kernel
def products(first, second, y, x, size, origin, shape, wanted, out):
    """Products of square blocks that start in the same row with all of their candidates.

    Parameters
    ----------
    first, second
        (height, width) one of `Images.first` and its like of `Images.second`.
    y, x
        First row of the blocks, and first column of each (block,).
    size
        Side of the blocks.
    origin, shape
        (block, 2): first shift along y and x of each, and number of shifts along y and of lanes along x.
    wanted
        (block,) uint8: the others are passed over.
    out
        (block, shifts·lanes or more).
    """
    for k in range(x.size):
        if wanted[k] != 0:
            _block_products(
                first, second, y, x[k], size, origin[k, 0], origin[k, 1], shape[k, 0], shape[k, 1], out[k]
            )  # fmt: skip


@hot_kernel
def add_blocks(blocks, first, stride, count, step, wanted, out):
    """Sums of `count` blocks each, `step` apart.

    Parameters
    ----------
    blocks
        (block, element).
    first, stride
        First block of the first sum, and how much further on that of the next one is.
    wanted
        (sum,) uint8: the others are left alone.
    out
        (sum, element).
    """
    size = out.shape[1]
    for n in range(wanted.size):
        if wanted[n] == 0:
            continue
        start = first + n * stride
        source, target = blocks[start], out[n]
        for d in range(size):
            target[d] = source[d]
        k = 1
        while k + 3 <= count:
            a, b, c = blocks[start + k * step], blocks[start + (k + 1) * step], blocks[start + (k + 2) * step]
            for d in range(size):
                target[d] += a[d] + b[d] + c[d]
            k += 3
        while k < count:
            a = blocks[start + k * step]
            for d in range(size):
                target[d] += a[d]
            k += 1


@hot_kernel
def plain_peaks(sums, origin, shape, centre, half, wanted, statistics, y, x, count, score, out, flags):
    """Peaks of the templates of a row of nodes, where every pixel is valid.

    Parameters
    ----------
    sums
        (column, shifts·lanes or more) sums of products, from the shift `origin` on, in the `shape` of `products`.
    origin, shape
        As in `products`.
    centre, half, wanted
        (column, 2) and (column,) as in `Search`.
    statistics
        (4, height, width) those of `Images` for this size.
    y, x
        First row of the templates, and first column of each (column,).
    count
        Pixels of a template, in the type of the images.
    score
        (shifts, lanes) scratch for all candidates of any template, and a row more.
    out, flags
        (column, PEAK_FIELDS) and (column,) as in `search.search`; bits against the peak are added.
    """
    for k in range(x.size):
        if wanted[k] == 0:
            continue
        height, width = 2 * half[k, 0] + 1, 2 * half[k, 1] + 1
        top, left = centre[k, 0] - half[k, 0], centre[k, 1] - half[k, 1]
        lanes = shape[k, 1]
        first = (top - origin[k, 0]) * lanes + left - origin[k, 1]
        _plain_scores(
            sums[k], first, lanes, count, statistics[0, y, x[k]], statistics[1, y, x[k]], statistics[2], statistics[3],
            y + top, x[k] + left, height, width, score,
        )  # fmt: skip
        peak = out[k]
        flags[k] |= _read_peak(score, height, width, peak)
        peak[0] += top
        peak[1] += left


@hot_kernel
def masked_peaks(
    sums, origin, shape, centre, half, wanted, floors, least_valid, flat, y, x, score, out, flags
):  # fmt: skip
    """As `plain_peaks` over the pixels valid in both windows; sums (6 or 7, column, shifts·lanes or more).

    `floors`, `least_valid` and `flat` (2, height, width) are those of `Images` for this size.
    """
    for k in range(x.size):
        if wanted[k] == 0:
            continue
        height, width = 2 * half[k, 0] + 1, 2 * half[k, 1] + 1
        top, left = centre[k, 0] - half[k, 0], centre[k, 1] - half[k, 1]
        lanes = shape[k, 1]
        first = (top - origin[k, 0]) * lanes + left - origin[k, 1]
        is_flat = flat[0, y, x[k]] != 0
        _masked_scores(
            sums, k, first, lanes, floors, least_valid, is_flat, flat[1], y + top, x[k] + left, height, width, score
        )  # fmt: skip
        peak = out[k]
        flags[k] |= _read_peak(score, height, width, peak)
        peak[0] += top
        peak[1] += left
