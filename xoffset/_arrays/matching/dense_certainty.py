"""Variances of a dense field: what noise does to a solution, and what the prior does to it."""

from __future__ import annotations

import math

import numpy as np

from xoffset._arrays.matching.dense_field import Prior, Solution, settle
from xoffset._kernels.matching import residuals

# Iterations of the second solution, on grids of 2, 4, 8 ... px. With fewer it keeps more of the noise that it is given.
PLAN = (60, 40, 40, 40)
# Share of the noise, as an amplitude, that the second solution is given. It and the next ones were chosen with constant
# motion, a landslide and a fault at SNR 4 and 10, six scenes each: error over standard error is as large in all.
SHARE = 0.8
# Sides in blocks of the squares over which changes are averaged, a near and a wide one, and what their squares count:
# how much the prior takes away differs from place to place, but one draw of noise tells little of a place.
NEAR, WIDE = 9, 61
OF_NEAR, OF_WIDE = 0.75, 0.15
# Side of the square within which a field that bends was made too flat, and of that over which this is averaged, blocks;
# and what its square counts.
BEND, AROUND = 7, 5
OF_BEND = 0.65
# Side of the square whose information counts as that of a block, in blocks.
SIDE = 15
# Mean size of a normal number over its standard deviation, and mean root of the size over the root of it. Few large
# changes, as beside a step, shall count little far from them.
MEAN_SIZE, MEAN_ROOT = math.sqrt(2.0 / math.pi), 0.822
# How far the pixels of a square of SIDE blocks may pull at a field that the prior holds, in standard errors and px; and
# standard error over what they pull beyond: they know little of a motion that is farther away than a pixel.
HELD, LEAST_PULL, PER_PULL = 3.0, 0.1, 3.0
# Bias of interpolation, px.
INTERPOLATION = 0.002
# Largest factor for information that is missing.
LARGEST = 1e4


def variances(solution: Solution, prior: Prior, support: int = 1) -> np.ndarray:
    """Variances along x and y and their covariance (3, rows, columns), px².

    A parametric bootstrap: the field that was found is taken for the truth, gets noise as large as the residual around,
    and is solved for once more. What comes out differs by the effect of noise and by what the prior takes away. The
    first solution has lost already what bends most: what a square takes away from it is added. Where pixels were
    distrusted, the difference would be small since nothing contradicts the prior; there variances grow by the share of
    the information that is missing. `support`: side of the square over which equations were averaged, in blocks.
    """
    # a field that wide windows told is too flat over all of their width
    bend_side, bend_around = max(BEND, support), max(AROUND, support)
    # where nothing is known there is neither a residual nor noise that could move anything
    known = (solution.system[0] + solution.system[2] > 0).astype(np.float32)
    change = np.abs(_change_by_noise(solution, prior, known))
    residual = _known_mean(solution.residual, known, AROUND, solution.noise) + np.float32(1e-9)
    # what one of two grounds alike tells by chance, both tell better
    scale = np.sqrt(solution.level / residual) + np.float32(1e-6)
    out = np.empty((3, *scale.shape), dtype=np.float32)
    for component in range(2):
        found = solution.field[component]
        near = _mean(change[component], NEAR)
        wide = _known_mean(np.sqrt(change[component] * scale), known, WIDE, 0.0) ** 2 / scale
        bend = _mean(np.abs(found - _mean(found, bend_side)), bend_around)
        out[component] = OF_NEAR * near * near / MEAN_SIZE**2 + OF_WIDE * wide * wide / MEAN_ROOT**4
        out[component] += OF_BEND * bend * bend
    first, both, second = (_mean(layer, SIDE) for layer in solution.system[:3])
    out[:2] *= _missing(solution, first + second)
    allowed = np.maximum(np.float32(HELD) * np.sqrt(out[0] + out[1]), np.float32(LEAST_PULL))
    out[:2] += np.square(np.float32(PER_PULL) * np.maximum(_pull(solution) - allowed, np.float32(0.0)))
    out[:2] += np.float32(INTERPOLATION**2)
    # the sign and size that the texture gives it: lines leave open the motion along them
    correlation = -both / np.sqrt(np.maximum(first * second, np.float32(1e-20)))
    out[2] = np.clip(correlation, -0.99, 0.99) * np.sqrt(out[0] * out[1])
    return out


def _change_by_noise(solution: Solution, prior: Prior, known: np.ndarray) -> np.ndarray:
    """What a solution of the same equations with noise is more than the field that was found (2, rows, columns)."""
    first, both, second = solution.system[:3]
    root = np.sqrt(np.maximum(first, np.float32(1e-12)))
    lower = both / root
    rest = np.sqrt(np.maximum(second - lower * lower, np.float32(0.0)))
    amount = np.float32(SHARE) * np.sqrt(
        _known_mean(solution.residual, known, SIDE, solution.noise) / np.float32(solution.noise)
    )
    # one pattern for all tiles
    noise = np.random.default_rng(0).standard_normal(solution.field.shape, dtype=np.float32) * amount
    system = solution.system.copy()
    found = solution.field
    system[3] = first * found[0] + both * found[1] + root * noise[0]
    system[4] = both * found[0] + second * found[1] + lower * noise[0] + rest * noise[1]
    again = found.copy()
    settle(system, solution.limit, prior, PLAN, again, solution.dual.copy())
    return np.asarray(again - found)


def _pull(solution: Solution) -> np.ndarray:
    """How far all pixels of the square around would move a field if there were no prior (rows, columns), px.

    A strong prior holds a field however wrong it is, and noise does not move it.
    """
    system, (dx, dy) = solution.system, solution.field
    xx, xy, yy = (_mean(layer, SIDE) for layer in system[:3])
    # a square that knows nothing pulls at nothing
    xx, yy = xx + np.float32(1.0 / SIDE**2), yy + np.float32(1.0 / SIDE**2)
    x = _mean(system[3] - system[0] * dx - system[1] * dy, SIDE)
    y = _mean(system[4] - system[1] * dx - system[2] * dy, SIDE)
    return np.asarray(np.hypot(yy * x - xy * y, xx * y - xy * x) / np.maximum(xx * yy - xy * xy, np.float32(1e-12)))


def _missing(solution: Solution, used: np.ndarray) -> np.ndarray:
    """Information that there should be around a block over that which is used, 1 for most blocks."""
    share = solution.level / np.maximum(used, np.float32(1e-12))
    usual = np.median(share[::3, ::3])
    return np.asarray(np.clip(share / max(float(usual), 1e-12), 1.0, LARGEST), dtype=np.float32)


def _known_mean(layer: np.ndarray, known: np.ndarray, side: int, otherwise: float) -> np.ndarray:
    """Mean over the known blocks, 1 if known and else 0, of the square around each; a value where there are none."""
    share = _mean(known, side)
    is_there = share > np.float32(0.5 / side**2)
    return np.where(
        is_there, _mean(layer * known, side) / np.where(is_there, share, np.float32(1.0)), np.float32(otherwise)
    )


def _mean(layer: np.ndarray, side: int) -> np.ndarray:
    """Mean over the square around each block, of the part that is there."""
    total = np.empty_like(layer)
    residuals.box(np.ascontiguousarray(layer), side, total)
    counts = []
    for size in layer.shape:
        at = np.arange(size)
        counts.append(np.minimum(at + side // 2, size - 1) - np.maximum(at - side // 2, 0) + 1)
    total /= np.multiply.outer(*counts).astype(np.float32)
    return total
