"""Variances of a dense field: what noise does to a solution, and what the prior does to it."""

from __future__ import annotations

import math

import numpy as np

from xoffset._arrays.matching.dense_field import Prior, Solution, mean_information, settle
from xoffset._arrays.matching.flow_certainty import INTERPOLATION, LEAST_RATIO
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
# Largest correlation of the errors along both axes.
MOST_ALIKE = 0.98
# Variance of the error of a start by whole pixels, px². The error falls by the factor e while what the solution goes
# through has the mean information once for SETTLED; measured on lines that are not quite straight.
OF_START, SETTLED = 1.0 / 8.0, 20.0
# Median of the information that is missing over its lower quartile, at most, of ground that is mostly clear.
QUARTILE = 1.15
# Largest factor for information that is missing.
LARGEST = 1e4


def variances(
    solution: Solution, prior: Prior, of_start: np.ndarray | float = OF_START, support: int = 1
) -> np.ndarray:
    """Variances along x and y and their covariance (3, rows, columns), px²; NaN where lines have one direction only.

    `of_start`: variance of the error of the start, at most that of one by whole pixels; `support`: side of the square
    over which equations were averaged, in blocks.

    A parametric bootstrap: the field that was found is taken for the truth, gets noise as large as the residual around,
    and is solved for once more. What comes out differs by the effect of noise and by what the prior takes away. The
    first solution has lost already what bends most: what a square takes away from it is added. Where pixels were
    distrusted, the difference would be small since nothing contradicts the prior; there variances grow by the share of
    the information that is missing. Along lines the second solution stays where the first one stayed, at its start:
    what is left of the error of the start is added.
    """
    signed = _change_by_noise(solution, prior)
    change = np.abs(signed)
    residual = _around(solution.residual, AROUND, solution.known) + np.float32(1e-9)
    # equal ground shares what its noise does: one draw tells little of a place
    scale = np.sqrt(solution.level / residual) + np.float32(1e-6)
    out = np.empty((3, *scale.shape), dtype=np.float32)
    for component in range(2):
        near = _mean(change[component], NEAR)
        wide = _around(np.sqrt(change[component] * scale), WIDE, solution.known) ** 2 / scale
        out[component] = OF_NEAR * near * near / MEAN_SIZE**2 + OF_WIDE * wide * wide / MEAN_ROOT**4
    out[2] = _correlation(solution, signed) * np.sqrt(out[0] * out[1])
    out += np.float32(OF_BEND) * _bends(solution.field, support)
    out *= _missing(solution)
    out += _unsettled(solution, of_start)
    allowed = np.maximum(np.float32(HELD) * np.sqrt(out[0] + out[1]), np.float32(LEAST_PULL))
    out[:2] += np.square(np.float32(PER_PULL) * np.maximum(_pull(solution) - allowed, np.float32(0.0)))
    out[:2] += np.float32(INTERPOLATION**2)
    return out


def _correlation(solution: Solution, change: np.ndarray) -> np.ndarray:
    """Correlation of what noise changes along x and along y (rows, columns).

    One draw tells little of how both go together at a place. It is as far as the draw confirms it, over the whole
    tile, what it would be without a prior, by the slopes around each block.
    """
    xx, xy, yy = (_mean(layer, SIDE) for layer in solution.shared)
    # noisy slopes may have more in common than they are long
    alone = np.clip(-xy / np.sqrt(np.maximum(xx * yy, np.float32(1e-20))), -MOST_ALIKE, MOST_ALIKE) * solution.known
    confirmed = float((change[0] * change[1] * alone).sum(dtype=np.float64))
    expected = 0.5 * float(((change[0] ** 2 + change[1] ** 2) * alone**2).sum(dtype=np.float64))
    return np.asarray(alone * np.float32(min(max(confirmed / max(expected, 1e-20), 0.0), 1.0)))


def _bends(field: np.ndarray, support: int) -> np.ndarray:
    """Squares along x and y, and product, of what a square takes away from a field (3, rows, columns)."""
    # a field that wide windows told is too flat over all of their width
    side, around = max(BEND, support), max(AROUND, support)
    lost = field - np.stack([_mean(each, side) for each in field])
    x, y = (_mean(np.abs(each), around) for each in lost)
    diagonal, other = (_mean(np.abs(lost[0] + sign * lost[1]), around) for sign in (1, -1))
    most = np.float32(MOST_ALIKE) * x * y
    return np.stack([x * x, y * y, np.clip((diagonal * diagonal - other * other) / 4, -most, most)])


def _change_by_noise(solution: Solution, prior: Prior) -> np.ndarray:
    """What a solution of the same equations with noise is more than the field that was found (2, rows, columns)."""
    first, both, second = solution.system[:3]
    root = np.sqrt(np.maximum(first, np.float32(1e-12)))
    lower = both / root
    rest = np.sqrt(np.maximum(second - lower * lower, np.float32(0.0)))
    amount = np.float32(SHARE) * np.sqrt(_around(solution.residual, SIDE, solution.known) / np.float32(solution.noise))
    # one pattern for all tiles
    noise = np.random.default_rng(0).standard_normal(solution.field.shape, dtype=np.float32) * amount
    system = solution.system.copy()
    found = solution.field
    system[3] = first * found[0] + both * found[1] + root * noise[0]
    system[4] = both * found[0] + second * found[1] + lower * noise[0] + rest * noise[1]
    again = found.copy()
    settle(system, solution.limit, prior, PLAN, again, solution.dual.copy())
    return np.asarray(again - found)


def _missing(solution: Solution) -> np.ndarray:
    """Information that there should be around a block over that which is used, 1 for most known blocks."""
    first, second = (_mean(layer, SIDE) for layer in solution.system[::2][:2])
    share = solution.level / np.maximum(first + second, np.float32(1e-12))
    known = share[::3, ::3][solution.known[::3, ::3] > 0]
    if not known.size:
        return np.full_like(share, LARGEST)
    quarter, half = np.percentile(known, (25, 50))
    usual = max(min(float(half), float(quarter) * QUARTILE), 1e-12)
    return np.asarray(np.clip(share / usual, 1.0, LARGEST), dtype=np.float32)


def _unsettled(solution: Solution, of_start: np.ndarray | float) -> np.ndarray:
    """Squares along x and y, and product, of what is left of the error of the start (3, rows, columns), px².

    The weaker the slopes along a direction that both images share, the slower a solution leaves its start. NaN where
    there are lines of one direction only.
    """
    xx, xy, yy = (_mean(layer, SIDE) for layer in solution.shared)
    half, root = np.float32(0.5) * (xx + yy), np.hypot(np.float32(0.5) * (xx - yy), xy)
    rate = np.float32(-2.0 * SETTLED / max(mean_information(solution.system), 1e-12))
    start = np.minimum(np.float32(OF_START), of_start)
    best, least = (start * np.exp(rate * np.maximum(each, 0.0)) for each in (half + root, half - root))
    least[half - root <= np.float32(LEAST_RATIO) * (half + root)] = np.nan
    # doubled angle from the x axis to the direction of the best
    cosine, sine = np.float32(0.5) * (xx - yy) / (root + np.float32(1e-12)), xy / (root + np.float32(1e-12))
    mean, apart = (best + least) / 2, (best - least) / 2
    return np.stack([mean + apart * cosine, mean - apart * cosine, apart * sine])


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


def _around(layer: np.ndarray, side: int, known: np.ndarray) -> np.ndarray:
    """Mean over the known blocks of the square around each block."""
    return np.asarray(_mean(layer * known, side) / np.maximum(_mean(known, side), np.float32(1e-6)))


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
