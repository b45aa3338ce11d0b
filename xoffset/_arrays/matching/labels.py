"""Start of a dense match: whole-pixel shifts of blocks of 4x4 px under a prior that neighbours move alike."""

from __future__ import annotations

import numpy as np
import scipy.ndimage

from xoffset._arrays.matching.dense_field import Prior
from xoffset._kernels.matching import regularized as kernels

# What a change of the shift by a pixel between blocks costs, and the most that a change costs, of SCALE.
CHANGE, MOST = 100, 800
# Totals of eight directions must stay within int16.
LARGEST_MOST = 3000
# Energy below which blocks have no contrast, as a part of the mean one.
LEAST_ENERGY = 0.05


def weights_of(window: int) -> np.ndarray:
    """Weights of the blocks 0, 1, ... away, so that a window of that side is covered."""
    beside = max(window / kernels.BLOCK - 1.0, 0.0) / 2.0
    return np.array([1.0] * (1 + int(beside)) + [beside % 1.0] * (beside % 1.0 > 0.0), dtype=np.float32)


def costs(
    first: np.ndarray, second: np.ndarray, half: tuple[int, int], weights: np.ndarray, floor: float
) -> np.ndarray:
    """Costs (row, shift, column) int16 of blocks of the first image, whose sides are multiples of 4.

    `second` holds `half` (y, x) pixels more on each side.
    """
    rows, blocks = (size // kernels.BLOCK for size in first.shape)
    pad = -(-half[1] // kernels.BLOCK)
    beside = kernels.BLOCK * pad - half[1]
    second = np.pad(second, ((0, 0), (beside, beside)))
    one = np.empty((kernels.BLOCK, first.shape[0], blocks), dtype=np.int16)
    two = np.empty((kernels.BLOCK, second.shape[0], blocks + 2 * pad), dtype=np.int16)
    kernels.quantise(first, one)
    kernels.quantise(second, two)
    shifts = (2 * half[0] + 1) * (2 * half[1] + 1)
    products = np.empty((rows, shifts, blocks), dtype=np.int16)
    kernels.block_products(one, two, half[0], half[1], products)
    energy: np.ndarray = np.empty(one.shape, dtype=np.float32)
    other: np.ndarray = np.empty(two.shape, dtype=np.float32)
    kernels.energies(one, weights, energy)
    kernels.energies(two, weights, other)
    own = energy[0, :: kernels.BLOCK]
    least = np.float32(max(LEAST_ENERGY * float(own.mean(dtype=np.float64)), 1e-3))
    inverse = np.float32(4.0) / np.sqrt(np.maximum(own, least))
    inverse_of_other = np.float32(1.0) / np.sqrt(np.maximum(other, least))
    out = np.empty_like(products)
    kernels.block_costs(products, inverse, inverse_of_other, half[0], half[1], weights, np.float32(floor), out)
    return out


def optimise(cost: np.ndarray, half: tuple[int, int], prior: Prior) -> np.ndarray:
    """Shift (2, rows, columns) along x and y of least cost under the prior."""
    count = (2 * half[0] + 1, 2 * half[1] + 1)
    turned = np.empty(cost.shape[::-1], dtype=np.int16)
    kernels.turn(cost, turned)
    across = np.zeros_like(turned)
    for is_reversed in (False, True):
        kernels.sweep(turned, *count, 0, is_reversed, *_price(1, 0, prior), across)
    # memory that was used before is fast
    total = turned.reshape(cost.shape)
    kernels.turn(across, total)
    del across
    for slope in (-1, 0, 1):
        for is_reversed in (False, True):
            # a way that goes up and to the right lies on the same line as one down and to the left
            right = -slope if is_reversed else slope
            kernels.sweep(cost, *count, slope, is_reversed, *_price(right, 1, prior), total)
    field = np.empty((2, cost.shape[0], cost.shape[2]), dtype=np.float32)
    kernels.cheapest(total, *count, np.empty(field.shape[1:], dtype=np.int32), field[0], field[1])
    return field


def _price(right: int, down: int, prior: Prior) -> tuple[np.int16, np.int16]:
    """What a change by a pixel costs on the way to the next block, and the most that one costs."""
    xx, xy, yy = prior.metric[:3].astype(np.float64)
    length = (xx * right * right + 2 * xy * right * down + yy * down * down) / (right * right + down * down)
    factor = prior.strength * np.sqrt(length)
    return np.int16(min(CHANGE * factor, LARGEST_MOST)), np.int16(min(MOST * factor, LARGEST_MOST))


def about(shift: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Displacement (2, rows, columns) on blocks of 2 px of shifts that were found about a centre that may vary.

    The second image was looked at from where the shift ends, as far away as the centre is there.
    """
    if centre[0].size == 1:
        return np.asarray(shift + centre)
    rows, columns = np.indices(shift.shape[1:], dtype=np.float32)
    ends = rows + shift[1] / np.float32(2.0), columns + shift[0] / np.float32(2.0)
    return np.asarray(
        shift + np.stack([scipy.ndimage.map_coordinates(each, ends, order=1, mode="nearest") for each in centre])
    )


def on_blocks_of_two(field: np.ndarray) -> np.ndarray:
    """Shifts (2, rows, columns) of blocks of 4 px on blocks of 2 px."""
    return np.repeat(np.repeat(field, 2, axis=1), 2, axis=2)
