"""How likely unrelated ground is to match as well as a dense field does.

A dense field bends until small windows match, so that unrelated ground reaches high scores, too. What is judged are
wider windows that move as one by the shift of their middle: of all shifts that were searched, unrelated ground reaches
the score of the best one with the probability that `significance` tells, whatever led to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from xoffset._arrays.lattice import Lattice
from xoffset._arrays.matching.dense_images import Even
from xoffset._arrays.matching.protocol import FIELDS
from xoffset._arrays.matching.significance import UNFILTERED
from xoffset._kernels import bits
from xoffset._kernels.matching import autocorrelation, growth, moments, significance, zncc

# Distance of the nodes whose windows are looked at, px: those between take over what is said of the ones around them.
SPACING = 8
# Difference of shifts, px, up to which they do; beyond it they are looked at themselves.
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
    """Probabilities (rows, columns) of shifts (2, rows, columns) along x and y.

    Some nodes are looked at, and those between take over what is said of them. Nodes around which none of these moves
    alike, such as small objects, are looked at themselves.
    """
    every = max(SPACING // lattice.step, 1)
    some = np.ascontiguousarray(shifts[:, ::every, ::every])
    out = np.empty(shifts.shape[1:], dtype=np.float32)
    growth.take_over(shifts, some, np.zeros(some.shape[1:], dtype=np.float32), every, np.float32(ALIKE), out)
    is_alone = out == 1.0
    looks = [(some, every)]
    if is_alone.any():
        looks.append((np.where(is_alone, shifts, np.float32(np.nan)), 1))
    found = _least(looks, first, second, lattice, min_valid, inversion=inversion)
    growth.take_over(shifts, some, found[0], every, np.float32(ALIKE), out)
    if is_alone.any():
        out[is_alone] = found[1][is_alone]
    return out


def _least(
    looks: list[tuple[np.ndarray, int]],
    first: Even,
    second: Even,
    lattice: Lattice,
    min_valid: float,
    *,
    inversion: bool,
) -> list[np.ndarray]:
    """Least probability of all sizes of windows: of each look its shifts (2, rows, columns) of one node in so many."""
    tried = sides(lattice.template)
    # the surroundings of a tile hold the widest windows, too, see `Matcher.context`
    one, two = first.values, second.values
    valid = np.stack([first.weight, second.weight]).astype(np.uint8)
    holes = np.empty((2, 0, 0), dtype=np.uint8) if valid.all() else valid
    best = [np.ones(shifts[0].shape) for shifts, _ in looks]
    for side in tried:
        top = lattice.margin - (side - lattice.template) // 2
        worth, rough = _effective_pixels(one, two, valid, side, max(lattice.search), first.reach)
        for (shifts, every), least in zip(looks, best, strict=True):
            rows, columns = least.shape
            nodes = zncc.Nodes(rows, columns, top, top, every * lattice.step, side)
            peaks = np.ascontiguousarray(np.rint(np.moveaxis(shifts[::-1], 0, -1)).astype(np.float64))
            score = np.empty(least.shape, dtype=np.float32)
            growth.scores(
                one, first.weight, second.coefficients, second.weight, (top, nodes.step), side, np.float32(min_valid),
                shifts, score,
            )  # fmt: skip
            effective, excess, out = (np.empty(least.shape) for _ in range(3))
            worth(nodes, peaks, effective)
            moments.kurtosis(one, holes[0], nodes, out)
            moments.excess(out, two, holes[1], nodes, peaks, excess)
            excess *= UNFILTERED if first.reach == 0 else 1.0
            strength = np.abs(score) if inversion else score
            significance.false_alarm(
                strength.astype(np.float64), effective, excess, np.ones(out.shape), rough, side**2, out
            )
            np.fmin(least, out, out=least)
    # each size of window, each node around, and each sign of the contrast is a try of its own
    tries = len(tried) * (1 + inversion)
    tries *= max(2 * lattice.search[0] - 1, 1) * max(2 * lattice.search[1] - 1, 1)
    around = [4 if every > 1 else 1 for _, every in looks]
    return [
        (-np.expm1(count * tries * np.log1p(-np.minimum(least, 1.0 - 1e-12)))).astype(np.float32)
        for least, count in zip(best, around, strict=True)
    ]


def _effective_pixels(
    one: np.ndarray, two: np.ndarray, valid: np.ndarray, side: int, search: int, reach: int
) -> tuple[Callable[[zncc.Nodes, np.ndarray, np.ndarray], None], np.ndarray]:
    """What fills in the pixels that scores are worth (nodes, peaks, out), and the correlation of scores 1 px apart.

    As for `NCC`: from the textures around both windows, or, without a pre-filter (reach 0), of windows far apart. The
    correlation is that along y and along x.
    """
    if reach == 0:
        found = np.empty(3)
        significance.unrelated_scores(one, two, valid, side, search, found)
        return (lambda nodes, peaks, out: out.fill(found[0])), found[1:]
    lagged = autocorrelation.lags(side, reach)
    first, second = (
        autocorrelation.texture(image, known, lagged) for image, known in zip((one, two), valid, strict=True)
    )
    of_both = (first.sums, first.moments), (second.sums, second.moments), lagged.weight
    return partial(significance.effective_pixels, *of_both), np.array(significance.roughness(first, second, lagged))
