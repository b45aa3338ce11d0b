"""Local autocorrelation of an image: products of its pixels with those at a lag, summed over blocks.

Windows take that of the blocks around some points. Where they do not overlap only these blocks are computed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from xoffset._kernels._jit import hot_kernel, lean_kernel
from xoffset._kernels.matching import vectors
from xoffset._kernels.matching.twins import BLOCK

# Blocks along a side of the square whose texture stands for that at its middle.
AREA = 2
# Longest lag up to which every lag is measured, px; to twice as far every second one is, and so on.
FINE = 4
# Points along a window at which the textures of the two images meet.
MOST_POINTS = 4


class Lags(NamedTuple):
    """Lags of half a plane; the first is zero."""

    y: np.ndarray  # int64 (lag,), px
    x: np.ndarray
    weight: np.ndarray  # float32 (lag,): lags it stands for, both signs, times the share of a window's pixels that pair
    neighbours: np.ndarray  # int64 (4, lag): index of the lags one stride along -y, y, -x and x; -1 if there is none
    stride: np.ndarray  # float64 (lag,), px


class Texture(NamedTuple):
    """Autocorrelation of an image around the corners of its blocks.

    `image` and `valid`: its pixels, with zeros around them as far as the longest lag, and which are valid; `products`
    and `counts`: of each block, NaN where not yet known. All four are of size zero if all corners are known.
    """

    image: np.ndarray
    valid: np.ndarray  # uint8; of size zero if all are
    products: np.ndarray  # (rows, columns, lag)
    counts: np.ndarray  # (rows, columns): valid pixels
    is_known: np.ndarray  # uint8, by corner
    sums: np.ndarray  # by corner and lag: products over AREA x AREA blocks
    moments: np.ndarray  # by corner (4): energy, share of valid pixels, weighted sums of products and their squares
    mean: np.ndarray  # float64 (lag,): mean correlation at each lag


def lags(template: int, reach: int) -> Lags:
    """Lags up to `reach` px, fine near zero and coarser beyond, with trapezoidal weights; at most template - 1."""
    weight: dict[tuple[int, int], float] = {}
    stride: dict[tuple[int, int], int] = {}
    inner, outer, step = 0, FINE, 1
    while inner < min(reach, template - 1):
        line = np.arange(-outer, outer + 1, step)
        whole = step * np.where(np.abs(line) == outer, 0.5, 1.0)
        hole = step * np.where(np.abs(line) < inner, 1.0, np.where(np.abs(line) == inner, 0.5, 0.0)) * (inner > 0)
        areas = np.multiply.outer(whole, whole) - np.multiply.outer(hole, hole)
        for i, j in np.argwhere(areas > 0.0).tolist():
            lag = (int(line[i]), int(line[j]))
            weight[lag] = weight.get(lag, 0.0) + float(areas[i, j])
            stride.setdefault(lag, step)
        inner, outer, step = outer, 2 * outer, 2 * step
    half = sorted(lag for lag in weight if lag >= (0, 0) and max(map(abs, lag)) < template)
    index = {(sign * y, sign * x): k for k, (y, x) in enumerate(half) for sign in (1, -1)}
    pairing = [(1.0 - abs(y) / template) * (1.0 - abs(x) / template) * (1.0 + ((y, x) != (0, 0))) for y, x in half]
    towards = ((-1, 0), (1, 0), (0, -1), (0, 1))
    return Lags(
        y=np.array([y for y, _ in half]),
        x=np.array([x for _, x in half]),
        weight=np.array([weight[lag] * share for lag, share in zip(half, pairing, strict=True)], dtype=np.float32),
        neighbours=np.array(
            [[index.get((y + i * stride[y, x], x + j * stride[y, x]), -1) for y, x in half] for i, j in towards]
        ),
        stride=np.array([stride[lag] for lag in half], dtype=np.float64),
    )


def texture(image: np.ndarray, valid: np.ndarray, lagged: Lags, corners: np.ndarray | None = None) -> Texture:
    """Local autocorrelation of an image (height, width) that is zero where not `valid` (uint8).

    Around all corners of its blocks, or around those of `corners` (uint8, see `count_corners`), which alone its mean
    then is of; others can be added by `complete`.
    """
    rows, columns = (max(size // BLOCK, AREA) for size in image.shape)
    reach = longest_lag(lagged.y, lagged.x)
    height, width = (max(size, BLOCK * count) for size, count in zip(image.shape, (rows, columns), strict=True))
    wide = np.zeros((height + reach, width + 2 * reach), dtype=image.dtype)
    wide[: image.shape[0], reach : reach + image.shape[1]] = image
    shape = count_corners(image.shape)
    products = np.empty((rows, columns, lagged.y.size), dtype=image.dtype)
    counts = np.full((rows, columns), np.nan, dtype=image.dtype)
    sums = np.empty((*shape, lagged.y.size), dtype=image.dtype)
    moments = np.empty((*shape, 4), dtype=image.dtype)
    is_known, mean = np.zeros(shape, dtype=np.uint8), np.empty(lagged.y.size)
    is_whole = image.shape == (height, width) and valid.all()
    found = Texture(wide, valid[:0] if is_whole else valid, products, counts, is_known, sums, moments, mean)
    complete(found, lagged, np.ones(shape, dtype=np.uint8) if corners is None else corners)
    mean_correlation(sums, moments, is_known, mean)
    if corners is not None:
        return found
    return found._replace(image=wide[:0, :0], valid=valid[:0, :0], products=products[:0], counts=counts[:0])


def count_corners(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the corners where AREA x AREA blocks of an image meet."""
    rows, columns = (max(size // BLOCK, AREA) - AREA + 1 for size in shape)
    return rows, columns


def complete(texture: Texture, lagged: Lags, corners: np.ndarray) -> None:
    """Make a texture known around these corners too (uint8)."""
    if texture.products.size == 0:
        return
    block_products(
        texture.image, texture.valid, lagged.y, lagged.x, corners, texture.is_known, texture.products, texture.counts
    )
    gather(texture.products, texture.counts, lagged.weight, corners, texture.is_known, texture.sums, texture.moments)


@lean_kernel
def without_mean(image, valid, inset, out):
    """Inner part of an image without the mean of its valid pixels, and zero where they are not `valid` (uint8)."""
    total, count = 0.0, 0
    for y in range(out.shape[0]):
        line, is_valid = image[inset + y, inset:], valid[inset + y, inset:]
        part = image.dtype.type(0.0)
        for x in range(out.shape[1]):
            part += line[x] * is_valid[x]
            count += int(is_valid[x])
        total += part
    mean = image.dtype.type(total / max(count, 1))
    for y in range(out.shape[0]):
        line, is_valid, target = image[inset + y, inset:], valid[inset + y, inset:], out[y]
        for x in range(out.shape[1]):
            target[x] = (line[x] - mean) * is_valid[x]


@lean_kernel
def longest_lag(lag_y, lag_x):
    """Longest lag along either axis."""
    reach = 0
    for k in range(lag_y.size):
        reach = max(reach, max(lag_y[k], abs(lag_x[k])))
    return reach


@hot_kernel
def block_products(image, valid, lag_y, lag_x, corners, is_known, out, counts):
    """Sums over the pixels i of each block of image[i]·image[i + lag], and its valid pixels, where they are wanted.

    Parameters
    ----------
    image
        As that of `Texture`.
    valid
        (height, width) uint8; of size zero if all pixels of all blocks are.
    lag_y, lag_x
        (lag,) those of `Lags`.
    corners, is_known
        Corners that are wanted, those of them that are known already (uint8).
    out
        (rows, columns, lag), of blocks of BLOCK px around corners that are wanted and not known.
    counts
        (rows, columns), NaN where a block is not known.
    """
    reach, line = longest_lag(lag_y, lag_x), np.empty(BLOCK, image.dtype)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            if np.isnan(counts[row, column]) and _is_beside(corners, is_known, row, column):
                y, x = row * BLOCK, column * BLOCK
                counts[row, column] = _count(valid, y, x)
                vectors.lags(image, y, reach + x, lag_y, lag_x, line, out[row, column])


@lean_kernel
def _is_beside(corners, is_known, row, column):
    """Whether a block is one of those around a corner that is wanted and not known."""
    found = False
    for i in range(max(row - AREA + 1, 0), min(row + 1, corners.shape[0])):
        for j in range(max(column - AREA + 1, 0), min(column + 1, corners.shape[1])):
            found |= (corners[i, j] != 0) & (is_known[i, j] == 0)
    return found


@lean_kernel
def _count(valid, y, x):
    """Valid pixels of a block; all are if `valid` is of size zero."""
    if valid.size == 0:
        return BLOCK * BLOCK
    count = 0
    for i in range(y, min(y + BLOCK, valid.shape[0])):
        for j in range(x, min(x + BLOCK, valid.shape[1])):
            count += 1 if valid[i, j] else 0
    return count


@lean_kernel
def mark_corners(nodes, peaks, out):
    """Mark (uint8) the corners that `effective_pixels` asks for: those of windows moved by `peaks`, NaN of none."""
    size = nodes.template
    points = count_points(size)
    for row in range(nodes.rows):
        for column in range(nodes.columns):
            dy, dx = peaks[row, column, 0], peaks[row, column, 1]
            if not abs(dy) < np.inf:
                continue
            for i in range(points):
                y = corner_at(nodes.top + row * nodes.step + (i + 0.5) * size / points + dy, out.shape[0])
                for j in range(points):
                    x = nodes.left + column * nodes.step + (j + 0.5) * size / points + dx
                    out[y, corner_at(x, out.shape[1])] = 1


@lean_kernel
def count_points(template):
    """Points along a window at which the textures of the two images meet."""
    return min(MOST_POINTS, max(1, (template + BLOCK // 2) // BLOCK))


@lean_kernel
def corner_at(position, count):
    """Index of the AREA x AREA blocks whose middle lies nearest to a position in px."""
    return min(max(math.floor(position / BLOCK - 0.5 * AREA + 0.5), 0), count - 1)


@lean_kernel
def mean_correlation(sums, moments, is_known, out):
    """Mean correlation at each lag (lag,) of the known places with texture, at least half of whose pixels are valid."""
    for k in range(out.size):
        out[k] = 0
    count = 0
    for row in range(sums.shape[0]):
        for column in range(sums.shape[1]):
            energy = moments[row, column, 0]
            if is_known[row, column] == 0 or not (energy > 0 and 2 * moments[row, column, 1] > 1):
                continue
            line, scale = sums[row, column], 1 / float(energy)
            for k in range(out.size):
                out[k] += line[k] * scale
            count += 1
    for k in range(out.size):
        out[k] /= max(count, 1)


@lean_kernel
def gather(products, counts, weight, corners, is_known, sums, moments):
    """Sum AREA x AREA blocks of products and counts into `sums` and `moments`, as in Texture, where they are wanted."""
    rows, columns, lagged = sums.shape
    for row in range(rows):
        for column in range(columns):
            if corners[row, column] == 0 or is_known[row, column] != 0:
                continue
            is_known[row, column] = 1
            target = sums[row, column]
            for k in range(lagged):
                target[k] = 0
            known = products.dtype.type(0.0)
            for i in range(row, row + AREA):
                for j in range(column, column + AREA):
                    source = products[i, j]
                    for k in range(lagged):
                        target[k] += source[k]
                    known += counts[i, j]
            mean = products.dtype.type(0.0)
            square = products.dtype.type(0.0)
            for k in range(lagged):
                mean += weight[k] * target[k]
                square += weight[k] * target[k] * target[k]
            moments[row, column, 0] = target[0]
            moments[row, column, 1] = known / (AREA * BLOCK) ** 2
            moments[row, column, 2] = mean
            moments[row, column, 3] = square
