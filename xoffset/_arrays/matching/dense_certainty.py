"""Variances of a dense field: what noise does to a solution, and what the prior does to it."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.matching.dense_field import Prior, Solution, settle
from xoffset._kernels.matching import residuals

# Iterations of the second solution, on grids of 2, 4, 8 ... px. With fewer it keeps more of the noise that it is given.
PLAN = (60, 40, 40, 40)
# Share of the noise, as an amplitude: neighbouring residuals are alike, and vary less over a block than over an area.
SHARE = 0.85
# Side of the square over which squared errors are averaged, in blocks.
SIDE = 15
# Bias of interpolation, px.
INTERPOLATION = 0.002
# Largest factor for information that is missing.
LARGEST = 1e4


def variances(solution: Solution, prior: Prior) -> np.ndarray:
    """Variances along x and y and their covariance (3, rows, columns), px².

    A parametric bootstrap: the field that was found is taken for the truth, gets noise as large as the residual around,
    and is solved for once more. What comes out differs by the effect of noise and by what the prior takes away. Where
    pixels were distrusted, the difference would be small since nothing contradicts the prior; there variances grow by
    the share of the information that is missing.
    """
    first, both, second = solution.system[:3]
    root = np.sqrt(np.maximum(first, np.float32(1e-12)))
    lower = both / root
    rest = np.sqrt(np.maximum(second - lower * lower, np.float32(0.0)))
    amount = np.float32(SHARE) * np.sqrt(_mean(solution.residual) / np.float32(solution.noise))
    # one pattern for all tiles
    noise = np.random.default_rng(0).standard_normal(solution.field.shape, dtype=np.float32) * amount
    system = solution.system.copy()
    found = solution.field
    system[3] = first * found[0] + both * found[1] + root * noise[0]
    system[4] = both * found[0] + second * found[1] + lower * noise[0] + rest * noise[1]
    again = found.copy()
    settle(system, solution.limit, prior, PLAN, again, solution.dual.copy())
    change = again - found
    out = np.stack([_mean(change[i] * change[j]) for i, j in ((0, 0), (1, 1), (0, 1))])
    out *= _missing(solution)
    out[:2] += np.float32(INTERPOLATION**2)
    return out


def _missing(solution: Solution) -> np.ndarray:
    """Information that there should be around a block over that which is used, 1 for most blocks."""
    used = _mean(solution.system[0] + solution.system[2])
    share = solution.level / np.maximum(used, np.float32(1e-12))
    usual = np.median(share[::3, ::3])
    return np.asarray(np.clip(share / max(float(usual), 1e-12), 1.0, LARGEST), dtype=np.float32)


def _mean(layer: np.ndarray) -> np.ndarray:
    """Mean over the square around each block, of the part that is there."""
    total = np.empty_like(layer)
    residuals.box(layer, SIDE, total)
    counts = []
    for size in layer.shape:
        at = np.arange(size)
        counts.append(np.minimum(at + SIDE // 2, size - 1) - np.maximum(at - SIDE // 2, 0) + 1)
    total /= np.multiply.outer(*counts).astype(np.float32)
    return total
