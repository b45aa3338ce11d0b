"""Zero-mean normalised cross-correlation of many templates with many candidates, by products of blocks.

The image is cut into square blocks of gcd(step, templates) pixels. One multiply-add per pixel and shift gives the
products of each block, which overlapping templates, and templates of several sizes, then share. Lanes run along the
shifts in x. Where the searches of neighbours do not coincide, each template is a block of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xoffset._kernels._jit import fused_kernel, hot_kernel, lean_kernel
from xoffset._kernels.matching import twins, vectors
from xoffset._kernels.matching.surface import (
    ONE_VALUE,
    PEAK_FIELDS,
    _masked_scores,
    _read_peak,
    _verdict_without_peak,
)

LANES, MOST_ROWS = twins.LANES, vectors.MOST_ROWS


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
    window: `statistics` (size, 2, height, width) sum and inverse root spread of the reference, and the same of the
    secondary, unused if masked; `flat` (size, height, width) uint8, raw windows that hold one value only. `floors` (2):
    variance that each must exceed to be texture and not rounding. `least_valid` (size): known pixels that two windows
    must share to have a score.
    """

    first: np.ndarray
    second: np.ndarray
    statistics: np.ndarray
    statistics_of_other: np.ndarray
    flat: np.ndarray
    flat_of_other: np.ndarray
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
def products(first, second, y, x, size, origin, shape, wanted, out):
    """Products of square blocks that start in the same row with all of their candidates, each with its own.

    Parameters
    ----------
    first, second
        (kind, height, width) those of `Images`.
    y, x
        First row of the blocks, and first column of each (block,).
    size
        Side of the blocks.
    origin, shape
        (block, 2): first shift along y and x of each, and number of shifts along y and of lanes along x.
    wanted
        (block,) uint8: the others are passed over.
    out
        (kind·block, shifts·lanes or more).
    """
    pixels = np.empty(MOST_ROWS * size, first.dtype)
    for kind in range(first.shape[0]):
        for k in range(x.size):
            if wanted[k] != 0:
                vectors.products(
                    first[kind], second[kind], y, x[k], size, origin[k, 0], origin[k, 1], shape[k, 0], shape[k, 1],
                    pixels, out[kind * x.size + k],
                )  # fmt: skip


@fused_kernel
def _add_along(ring, start, count, out):
    """Sum of `count` lines of a ring from `start` on, in fours."""
    size, lines = out.size, ring.shape[0]
    if count >= 4:
        a, b = ring[start % lines], ring[(start + 1) % lines]
        c, d = ring[(start + 2) % lines], ring[(start + 3) % lines]
        for n in range(size):
            out[n] = (a[n] + b[n]) + (c[n] + d[n])
    elif count >= 2:
        a, b = ring[start % lines], ring[(start + 1) % lines]
        for n in range(size):
            out[n] = a[n] + b[n]
    else:
        a = ring[start % lines]
        for n in range(size):
            out[n] = a[n]
    done = 4 if count >= 4 else min(count, 2)
    while done + 4 <= count:
        a, b = ring[(start + done) % lines], ring[(start + done + 1) % lines]
        c, d = ring[(start + done + 2) % lines], ring[(start + done + 3) % lines]
        for n in range(size):
            out[n] += (a[n] + b[n]) + (c[n] + d[n])
        done += 4
    while done < count:
        a = ring[(start + done) % lines]
        for n in range(size):
            out[n] += a[n]
        done += 1


@lean_kernel
def search_blocks(images, nodes, search, box, block, plan, buffers, masked, out, flags):
    """Best whole-pixel shift of every template, from products that all templates of a tile share.

    Parameters
    ----------
    images, nodes, search
        See `Images`, `Nodes`, those of the largest size, and `Search`.
    box
        As in `_block_sums`.
    block
        Side of a block, px.
    plan
        `spans` and, by row of blocks, `places` as in `_block_sums`; `begins` (size,), first row of the sums of each
        size; `judged` (row of blocks, size): row of nodes whose last blocks these are, -1 if there is none; `is_used`
        (row of blocks,): whether any template holds them.
    buffers
        `ring`, `pixels` and `sums` as in `_block_sums`, `score` as in `_plain_peaks`; `origin` and `shape` (column, 2)
        of the box.
    masked
        `scratch` of `_masked_peaks`; None where every pixel is valid.
    out, flags
        As in `search.search`; bits against the peak are added.
    """
    spans, places, begins, judged, is_used = plan
    ring, pixels, sums, score, origin, shape = buffers
    strips, ahead = images.first.shape[0] * nodes.columns, nodes.columns
    for strip in range(judged.shape[0]):
        if not is_used[strip]:
            continue
        _block_sums(
            images.first, images.second, nodes.top + strip * block, nodes.left, block, box, nodes.step // block, spans,
            places[strip], ring, pixels, sums,
        )  # fmt: skip
        for size in range(judged.shape[1]):
            row = judged[strip, size]
            if row >= 0:
                _row_of_peaks(
                    images, nodes, search, sums, (begins[size], strips, ahead), spans[size, 1], origin, shape, size,
                    row, score, masked, out[size, row], flags[size, row],
                )  # fmt: skip


@hot_kernel
def search_one_by_one(images, nodes, search, origins, shapes, buffers, masked, out, flags):
    """As `search_blocks`, each template with its own candidates: for searches that hardly coincide.

    `origins`, `shapes` (rows, columns, 2) as in `products`; `buffers`: `sums` and `score` as in `search_blocks`.
    """
    sums, score = buffers
    x = np.empty(nodes.columns, np.int64)
    for row in range(nodes.rows):
        origin, shape = origins[row], shapes[row]
        for size in range(search.templates.size):
            template = search.templates[size]
            inset = (nodes.template - template) // 2
            for k in range(x.size):
                x[k] = nodes.left + inset + k * nodes.step
            y = nodes.top + row * nodes.step + inset
            products(images.first, images.second, y, x, template, origin, shape, search.wanted[row], sums)
            _row_of_peaks(
                images, nodes, search, sums, (0, 0, nodes.columns), 1, origin, shape, size, row, score, masked,
                out[size, row], flags[size, row],
            )  # fmt: skip


@lean_kernel
def _row_of_peaks(
    images, nodes, search, sums, strips, count, origin, shape, size, row, score, masked, out, flags
):  # fmt: skip
    """Peaks of a row of nodes and a size, as `_masked_peaks` has them, or `_plain_peaks` if `masked` is None."""
    template = search.templates[size]
    inset = (nodes.template - template) // 2
    place = nodes.top + row * nodes.step + inset, nodes.left + inset, nodes.step
    centre, half, wanted = search.centre[row], search.half[row], search.wanted[row]
    if masked is None:
        _plain_peaks(
            sums, strips, count, origin, shape, centre, half, wanted, images.statistics[size],
            images.statistics_of_other[size], images.first.dtype.type(template * template), place, score, out, flags,
        )  # fmt: skip
    else:
        _masked_peaks(
            sums, strips, count, origin, shape, centre, half, wanted, images.floors, images.least_valid[size],
            images.flat[size], images.flat_of_other[size], place, masked, score, out, flags,
        )  # fmt: skip


@lean_kernel
def _block_sums(first, second, y, left, block, box, per_step, spans, places, ring, pixels, out):
    """Products of a row of blocks with all shifts of a box, summed along the row to the windows of each size.

    Parameters
    ----------
    first, second
        (kind, height, width) those of `Images`.
    y, left, block
        First row and column of the blocks, and their side.
    box
        First shift along y and x, number of shifts along y and of lanes along x.
    per_step
        Blocks from one window to the next.
    spans
        (size, 2): for each size of window the blocks left of the first one, and those along its side.
    places
        (size, kind, 2): first row of `out` for each size and kind, and number of windows.
    ring
        (blocks of the largest window, shifts·lanes) scratch for the last products.
    pixels
        Scratch as of `vectors.products`.
    out
        (row, shifts·lanes or more) sums.
    """
    shift_y, shift_x, shifts, lanes = box
    blocks = 0
    for size in range(spans.shape[0]):
        blocks = max(blocks, (places[size, 0, 1] - 1) * per_step + spans[size, 0] + spans[size, 1])
    for kind in range(first.shape[0]):
        for k in range(blocks):
            is_used = False
            for size in range(spans.shape[0]):
                within = k - spans[size, 0]
                is_used |= within >= 0 and within % per_step < spans[size, 1]
            is_used |= per_step <= 1
            if is_used:
                x = left + k * block
                line = ring[k % ring.shape[0]]
                vectors.products(
                    first[kind], second[kind], y, x, block, shift_y, shift_x, shifts, lanes, pixels, line
                )  # fmt: skip
            for size in range(spans.shape[0]):
                column, rest = divmod(k - spans[size, 0] - spans[size, 1] + 1, per_step)
                if rest == 0 and 0 <= column < places[size, kind, 1]:
                    line = out[places[size, kind, 0] + column, : shifts * lanes]
                    _add_along(ring, k - spans[size, 1] + 1, spans[size, 1], line)


@lean_kernel
def _plain_peaks(
    sums, strips, count, origin, shape, centre, half, wanted, statistics, statistics_of_other, pixels, place, score,
    out, flags,
):  # fmt: skip
    """Peaks of the templates of a row of nodes, where every pixel is valid.

    Parameters
    ----------
    sums
        (row, shifts·lanes and LANES more) sums of products, from the shift `origin` on.
    strips
        First row of them, and how much further on the next one of the same column is.
    count
        How many rows add up.
    origin, shape
        As in `products`, by column.
    centre, half, wanted
        (column, 2) and (column,) as in `Search`.
    statistics, statistics_of_other
        (2, height, width) those of `Images` for this size.
    pixels
        Pixels of a template, in the type of the images.
    place
        First row of the templates, first column of the first of them, and columns from one to the next.
    score
        (shifts, lanes) scratch for all candidates of any template, and a row more.
    out, flags
        (column, PEAK_FIELDS) and (column,) as in `search.search`; bits against the peak are added.
    """
    y, first, step = place
    for k in range(wanted.size):
        if wanted[k] == 0:
            continue
        peak, x = out[k], first + k * step
        total, inverse = statistics[0, y, x], statistics[1, y, x]
        if inverse <= 0:
            for n in range(PEAK_FIELDS):
                peak[n] = np.nan
            flags[k] |= _verdict_without_peak(ONE_VALUE)
            continue
        height, width = 2 * half[k, 0] + 1, 2 * half[k, 1] + 1
        top, left = centre[k, 0] - half[k, 0], centre[k, 1] - half[k, 1]
        lanes = shape[k, 1]
        start = (top - origin[k, 0]) * lanes + left - origin[k, 1]
        vectors.scores(
            sums, strips[0] + k, strips[1], count, start, lanes, (total / pixels, inverse), statistics_of_other[0],
            statistics_of_other[1], y + top, x + left, height, -(-width // LANES) * LANES, score,
        )  # fmt: skip
        flags[k] |= _read_peak(score, height, width, peak)
        peak[0] += top
        peak[1] += left


@lean_kernel
def _masked_peaks(
    sums, strips, count, origin, shape, centre, half, wanted, floors, least_valid, flat, flat_of_other, place, scratch,
    score, out, flags,
):  # fmt: skip
    """As `_plain_peaks` over the pixels valid in both windows.

    `strips`: first row of the sums, how much further on the next one of the same column is, and that of the next kind.
    `floors`, `least_valid`, `flat` and `flat_of_other` (height, width) are those of `Images` for this size; `scratch`
    (6 or 7, shifts·lanes or more) is for the sums of one window.
    """
    y, left_of_first, step = place
    for k in range(wanted.size):
        if wanted[k] == 0:
            continue
        x = left_of_first + k * step
        height, width = 2 * half[k, 0] + 1, 2 * half[k, 1] + 1
        top, left = centre[k, 0] - half[k, 0], centre[k, 1] - half[k, 1]
        lanes = shape[k, 1]
        for kind in range(scratch.shape[0]):
            first = strips[0] + kind * strips[2] + k
            _add_down(sums, first, strips[1], count, scratch[kind, : shape[k, 0] * lanes])
        start = (top - origin[k, 0]) * lanes + left - origin[k, 1]
        is_flat = flat[y, x] != 0
        _masked_scores(
            scratch, start, lanes, floors, least_valid, is_flat, flat_of_other, y + top, x + left, height, width,
            score,
        )  # fmt: skip
        peak = out[k]
        flags[k] |= _read_peak(score, height, width, peak)
        peak[0] += top
        peak[1] += left


@fused_kernel
def _add_down(sums, row, stride, count, out):
    """Sum of `count` rows, `stride` apart."""
    line = sums[row]
    for n in range(out.size):
        out[n] = line[n]
    for k in range(1, count):
        line = sums[row + k * stride]
        for n in range(out.size):
            out[n] += line[n]
