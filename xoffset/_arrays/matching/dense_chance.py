"""How likely unrelated ground is to match as well as a dense field does.

A dense field bends until small windows match, so that unrelated ground reaches high scores, too. What is judged are
wider windows that move as one by the shift of their middle: of all shifts that were searched, unrelated ground reaches
the score of the best one with the probability that `significance` tells, whatever led to it.
"""

from __future__ import annotations

import numpy as np

from xoffset._arrays.lattice import Lattice
from xoffset._arrays.matching.dense_images import Even
from xoffset._arrays.matching.protocol import FIELDS
from xoffset._arrays.matching.significance import UNFILTERED
from xoffset._kernels import bits
from xoffset._kernels.matching import growth, moments, significance, zncc

# Distance of the nodes whose windows are looked at, px: those between take over what is said of the ones around them.
SPACING = 8
# Difference of shifts, px, up to which they do.
ALIKE = 1.0
# Largest side of a window that is wider than that of the matcher, px.
WIDEST = 35
# Probability above which nothing has been found.
LARGEST = 0.01
# Names of fields that a matcher returns with the probability.
FIELDS_WITH_CHANCE = (*FIELDS, "false_alarm")
_PLACES = [FIELDS.index(name) for name in ("dx", "dy", "variance_dx", "variance_dy", "covariance")]
_FLAGS = FIELDS.index("flags")


def sides(window: int) -> tuple[int, ...]:
    """Sides of the windows that are looked at, each about twice the one before, px."""
    out = [window]
    while 2 * out[-1] + 1 <= WIDEST:
        out.append(2 * out[-1] + 1)
    return tuple(out)


def judged(
    found: np.ndarray, first: Even, second: Even, lattice: Lattice, min_valid: float, *, inversion: bool = False
) -> np.ndarray:
    """Fields (field, rows, columns) and the probability that unrelated ground matches so well.

    Where it is large there is no match: the ground is not to be seen, or has moved farther than was searched. NaN where
    there is no shift. `inversion`: whether an inverted contrast is a match, too.
    """
    chance = _chance(found[:2], first, second, lattice, min_valid, inversion=inversion)
    is_lost = (found[_FLAGS] == 0) & (chance > LARGEST)
    found[_FLAGS, is_lost] = bits.REFINE_FAILED
    for place in _PLACES:
        found[place, is_lost] = np.nan
    return np.concatenate([found, chance[None]])


def _chance(
    shifts: np.ndarray, first: Even, second: Even, lattice: Lattice, min_valid: float, *, inversion: bool
) -> np.ndarray:
    """Probabilities (rows, columns) of shifts (2, rows, columns) along x and y."""
    every = max(SPACING // lattice.step, 1)
    some = np.ascontiguousarray(shifts[:, ::every, ::every])
    tried = sides(lattice.template)
    # the surroundings of a tile hold the widest windows, too, see `Matcher.context`
    one, two = first.values, second.values
    valid = np.stack([first.weight, second.weight]).astype(np.uint8)
    holes = np.empty((2, 0, 0), dtype=np.uint8) if valid.all() else valid
    peaks = np.rint(np.moveaxis(some[::-1], 0, -1)).astype(np.float64)
    peaks = np.ascontiguousarray(peaks)
    # each size of window, each node around, and each sign of the contrast is a try of its own
    tries = len(tried) * (4 if every > 1 else 1) * (1 + inversion)
    tries *= max(2 * lattice.search[0] - 1, 1) * max(2 * lattice.search[1] - 1, 1)
    best = np.ones(some.shape[1:])
    for side in tried:
        top = lattice.margin - (side - lattice.template) // 2
        nodes = zncc.Nodes(*some.shape[1:], top, top, every * lattice.step, side)
        score = np.empty(some.shape[1:], dtype=np.float32)
        growth.scores(
            one, first.weight, second.coefficients, second.weight, (top, nodes.step), side, np.float32(min_valid),
            some, score,
        )  # fmt: skip
        effective, rough = _effective_pixels(one, two, valid, nodes, peaks, max(lattice.search), first.reach)
        excess = np.empty(score.shape)
        moments.excess(one, two, holes, nodes, peaks, excess)
        excess *= UNFILTERED if first.reach == 0 else 1.0
        out = np.empty(score.shape)
        strength = np.abs(score) if inversion else score
        significance.false_alarm(strength.astype(np.float64), effective, excess, 1.0, rough, side**2, out)
        np.fmin(best, out, out=best)
    best = -np.expm1(tries * np.log1p(-np.minimum(best, 1.0 - 1e-12)))
    out = np.empty(shifts.shape[1:], dtype=np.float32)
    growth.take_over(shifts, some, best.astype(np.float32), every, np.float32(ALIKE), out)
    return out


def _effective_pixels(
    one: np.ndarray, two: np.ndarray, valid: np.ndarray, nodes: zncc.Nodes, peaks: np.ndarray, search: int, reach: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that a score is worth at every node, and the correlation of scores one pixel apart along y and x.

    As for `NCC`: from the textures around both windows, or, without a pre-filter (reach 0), of windows far apart.
    """
    effective = np.empty(peaks.shape[:2])
    if reach == 0:
        found = np.empty(3)
        significance.unrelated_scores(one, two, valid, nodes.template, search, found)
        effective[:] = found[0]
        return effective, found[1:]
    lagged = significance.lags(nodes.template, reach)
    first, second = (significance.texture(image, known, lagged) for image, known in zip((one, two), valid, strict=True))
    significance.effective_pixels(
        (first.sums, first.moments), (second.sums, second.moments), lagged.weight, nodes, peaks, effective
    )  # fmt: skip
    return effective, np.array(significance.roughness(first, second, lagged))
