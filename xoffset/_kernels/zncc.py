"""Zero-mean normalised cross-correlation of many templates with many candidates, by products of blocks.

The image is cut into square blocks of gcd(step, templates) pixels. One multiply-add per pixel and shift gives the
products of each block, which overlapping templates, and templates of several sizes, then share. Lanes run along the
shifts in x. Where the searches of neighbours do not coincide, each template is a block of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xoffset._kernels._jit import hot_kernel
from xoffset._kernels.surface import ONE_VALUE, masked_scores, plain_scores, read_peak

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

    `first`, `second` (1, height, width): the filtered images; or, where a pixel is missing, (7, height, width) factors
    of the masked sums, all zero where invalid: image·image, mask·mask, image·mask, mask·image, square·mask,
    mask·square, known·known. By template size and first pixel of the window: `statistics` (size, 4, height, width) sum
    and inverse root spread of the reference, then of the secondary, unused if masked; `flat` (size, 2, height, width)
    uint8, raw windows that hold one value only. `floors` (2): variance that each must exceed to be texture and not
    rounding. `least_valid` (size): known pixels that two windows must share.
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
def block_products(first, second, y, x, size, shift_y, shift_x, out):
    """Products of a square block with all shifted copies of another image; out (shifts along y, lanes along x)."""
    shifts = out.shape[0]
    out[:] = 0
    i = 0
    while i + 2 <= size:
        upper, lower = first[y + i, x : x + size], first[y + i + 1, x : x + size]
        _add_line(upper, second[y + i + shift_y, x + shift_x :], out[0])
        for row in range(1, shifts):
            _add_two_lines(upper, lower, second[y + i + shift_y + row, x + shift_x :], out[row], out[row - 1])
        _add_line(lower, second[y + i + 1 + shift_y + shifts - 1, x + shift_x :], out[shifts - 1])
        i += 2
    if i < size:
        for row in range(shifts):
            _add_line(first[y + i, x : x + size], second[y + i + shift_y + row, x + shift_x :], out[row])


@hot_kernel
def _add_blocks(blocks, first, count, step, out):
    """Sum `count` blocks, `step` apart from the first on; blocks (block, element), out (element)."""
    size = out.shape[0]
    out[:] = blocks[first]
    k = 1
    while k + 3 <= count:
        a, b, c = blocks[first + k * step], blocks[first + (k + 1) * step], blocks[first + (k + 2) * step]
        for d in range(size):
            out[d] += a[d] + b[d] + c[d]
        k += 3
    while k < count:
        a = blocks[first + k * step]
        for d in range(size):
            out[d] += a[d]
        k += 1


@hot_kernel
def _judge_node(sums, origin, images, nodes, search, size, row, column, work, out, flags):
    """Peak of one template of the given size index; `sums` start with the candidate at shift `origin`."""
    score, scratch = work
    height, width = 2 * search.half[row, column, 0] + 1, 2 * search.half[row, column, 1] + 1
    top = search.centre[row, column, 0] - search.half[row, column, 0]
    left = search.centre[row, column, 1] - search.half[row, column, 1]
    first, line = top - origin[0], left - origin[1]
    template = search.templates[size]
    inset = (nodes.template - template) // 2
    y, x = nodes.top + row * nodes.step + inset, nodes.left + column * nodes.step + inset
    count = score.dtype.type(template * template)
    if sums.shape[0] == 1:
        statistics = images.statistics[size]
        plain_scores(
            sums[0], first, line, count, statistics[0, y, x], statistics[1, y, x], statistics[2], statistics[3],
            y + top, x + left, height, width, score,
        )  # fmt: skip
    else:
        flat = images.flat[size]
        masked_scores(
            sums, first, line, images.floors, images.least_valid[size], flat[1], y + top, x + left, height, width, score
        )
        if flat[0, y, x] != 0:
            score[:height, :width] = ONE_VALUE
    peak = out[size, row, column]
    flags[size, row, column] |= read_peak(score, height, width, scratch, peak)
    peak[0] += top
    peak[1] += left


@hot_kernel
def search_by_blocks(images, nodes, search, block, out, flags):
    """Best whole-pixel shift of every template, from products that all templates of a tile share.

    Parameters
    ----------
    images, search
        See `Images` and `Search`.
    nodes
        Windows of the largest size.
    block
        Side of a block: divides the step, the templates and their distances from one another.
    out
        (size, rows, columns, PEAK_FIELDS) what `surface.read_peak` tells, shifts in pixels; all NaN where no candidate
        has a score.
    flags
        (size, rows, columns) int32: bits against the peak are added.
    """
    kinds = images.first.shape[0]
    sizes = search.templates.size
    shifts, lanes = search.box[2], (search.box[3] + LANES - 1) // LANES * LANES
    per_step = nodes.step // block
    spans = search.templates // block
    insets = (nodes.template - search.templates) // (2 * block)
    ends = np.cumsum(spans)
    blocks = (nodes.columns - 1) * per_step + nodes.template // block
    is_used = np.zeros(max(nodes.rows, nodes.columns) * per_step + nodes.template // block, np.uint8)
    for size in range(sizes):
        for k in range(max(nodes.rows, nodes.columns)):
            is_used[k * per_step + insets[size] : k * per_step + insets[size] + spans[size]] = 1
    dtype = images.first.dtype
    products = np.empty((kinds * blocks, shifts * lanes), dtype)
    # the last rows of blocks, summed along the row to the width of each size
    strips = np.empty((ends[-1] * kinds * nodes.columns, shifts * lanes), dtype)
    sums = np.empty((kinds, shifts * lanes), dtype)
    work = np.empty((shifts, lanes), dtype), np.empty(lanes, dtype)
    for block_row in range((nodes.rows - 1) * per_step + nodes.template // block):
        if not is_used[block_row]:
            continue
        y = nodes.top + block_row * block
        for kind in range(kinds):
            for k in range(blocks):
                if is_used[k]:
                    block_products(
                        images.first[kind], images.second[kind], y, nodes.left + k * block, block, search.box[0],
                        search.box[1], products[kind * blocks + k].reshape(shifts, lanes),
                    )  # fmt: skip
        for size in range(sizes):
            span = spans[size]
            start = ends[size] - span
            for kind in range(kinds):
                strip = ((start + block_row % span) * kinds + kind) * nodes.columns
                for column in range(nodes.columns):
                    first = kind * blocks + column * per_step + insets[size]
                    _add_blocks(products, first, span, 1, strips[strip + column])
            row, rest = divmod(block_row - insets[size] - span + 1, per_step)
            if rest != 0 or row < 0 or row >= nodes.rows:
                continue
            for column in range(nodes.columns):
                if search.wanted[row, column]:
                    for kind in range(kinds):
                        first = (start * kinds + kind) * nodes.columns + column
                        _add_blocks(strips, first, span, kinds * nodes.columns, sums[kind])
                    surface = sums.reshape(kinds, shifts, lanes)
                    _judge_node(surface, search.box[:2], images, nodes, search, size, row, column, work, out, flags)


@hot_kernel
def search_one_by_one(images, nodes, search, out, flags):
    """As `search_by_blocks`, each template with its own candidates: for searches that hardly coincide."""
    kinds = images.first.shape[0]
    most_y, most_x = 1, 1
    for row in range(nodes.rows):
        for column in range(nodes.columns):
            if search.wanted[row, column]:
                most_y = max(most_y, 2 * search.half[row, column, 0] + 1)
                most_x = max(most_x, 2 * search.half[row, column, 1] + 1)
    dtype = images.first.dtype
    work = np.empty((most_y, most_x + LANES), dtype), np.empty(most_x + LANES, dtype)
    scratch = np.empty(kinds * most_y * (most_x + LANES), dtype)
    for row in range(nodes.rows):
        for column in range(nodes.columns):
            if not search.wanted[row, column]:
                continue
            half_y, half_x = search.half[row, column]
            shift_y, shift_x = search.centre[row, column, 0] - half_y, search.centre[row, column, 1] - half_x
            shifts, lanes = 2 * half_y + 1, (2 * half_x + LANES) // LANES * LANES
            sums = scratch[: kinds * shifts * lanes].reshape(kinds, shifts, lanes)
            for size in range(search.templates.size):
                template = search.templates[size]
                inset = (nodes.template - template) // 2
                y, x = nodes.top + row * nodes.step + inset, nodes.left + column * nodes.step + inset
                for kind in range(kinds):
                    first, second = images.first[kind], images.second[kind]
                    block_products(first, second, y, x, template, shift_y, shift_x, sums[kind])
                origin = (shift_y, shift_x)
                _judge_node(sums, origin, images, nodes, search, size, row, column, work, out, flags)
