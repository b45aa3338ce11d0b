"""Values of tiles that fade into each other where they overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from xoffset._arrays.lattice import Lattice, Tile

# Fields that are no quantity: those of the tile with the largest weight hold.
KEPT = ("flags", "template_size", "side")
# Distance between what two tiles say, px, above which one of them is wrong; and that below which both may be right,
# with more than that many standard errors of the difference between.
APART, NEAR, ERRORS = 0.5, 0.1, 3.0


class Part(NamedTuple):
    """Values (field, pair, rows, columns) of a tile on some of the nodes that it was matched on."""

    tile: Tile
    nodes: Tile
    values: np.ndarray


def blend(tile: Tile, parts: Sequence[Part], lattice: Lattice, names: tuple[str, ...]) -> np.ndarray:
    """Values of a tile, where they fade into those of the tiles around; (field, pair, rows, columns).

    A value is the mean of those of all tiles that know it, each with a weight that falls linearly over the first nodes
    of the next tile. Where tiles contradict each other, no mean of them is true: the one with the best score holds, of
    equal ones that with the largest weight, with those that agree with it. Variances are those of a mixture of all, so
    that they grow where tiles disagree. Where the tile with the largest weight has a flag, what it says is kept.

    Parameters
    ----------
    tile
        The nodes that are wanted.
    parts
        The tile itself and what reaches into it, in the order in which all tiles come; sums follow it.
    lattice
        The sampling grid.
    names
        Those of the fields.
    """
    own = next(part for part in parts if part.tile == tile)
    out = own.values[:, :, *_within(own.nodes, tile)].copy()
    for piece in _pieces(tile, parts):
        some = [part for part in parts if _holds(part.nodes, piece)]
        if len(some) > 1:
            where = (slice(None), slice(None), *_within(tile, piece))
            out[where] = _mixture(piece, some, lattice, names)
    return out


def _pieces(tile: Tile, parts: Sequence[Part]) -> Iterator[Tile]:
    """Parts of a tile, on each of which the same tiles have values."""
    edges = []
    for axis, own in enumerate(tile):
        ends = {end for part in parts for end in (part.nodes[axis].start, part.nodes[axis].stop)}
        edges.append(sorted({own.start, own.stop} | {end for end in ends if own.start < end < own.stop}))
    for top, bottom in zip(edges[0][:-1], edges[0][1:], strict=True):
        for left, right in zip(edges[1][:-1], edges[1][1:], strict=True):
            yield slice(top, bottom), slice(left, right)


def _mixture(piece: Tile, parts: Sequence[Part], lattice: Lattice, names: tuple[str, ...]) -> np.ndarray:
    """Weighted means of the values of several tiles on a piece that all of them know, but for what one must keep."""
    values = [part.values[:, :, *_within(part.nodes, piece)] for part in parts]
    place = {name: k for k, name in enumerate(names)}
    shares = [_weights(part.tile, piece, lattice) for part in parts]
    out = values[0].copy()
    home = np.argmax(shares, axis=0)
    for k, each in enumerate(values):
        np.copyto(out, each, where=home == k)
    weights = _without_contradiction(out, values, shares, place)
    means = {
        name: _mean([each[k] for each in values], weights) for name, k in place.items() if name not in KEPT
    }  # fmt: skip
    for name, first, second in (
        ("variance_dx", "dx", "dx"),
        ("variance_dy", "dy", "dy"),
        ("covariance", "dx", "dy"),
    ):
        products = [(each[place[first]] - means[first]) * (each[place[second]] - means[second]) for each in values]
        means[name] = means[name] + _mean(products, shares)
    is_free = out[place["flags"]] == 0
    for name, mean in means.items():
        np.copyto(out[place[name]], mean, where=is_free)
    return out


def _without_contradiction(
    home: np.ndarray, values: Sequence[np.ndarray], weights: Sequence[np.ndarray], place: dict[str, int]
) -> list[np.ndarray]:
    """Weights (pair, rows, columns), zero where a tile knows nothing or contradicts the one with the best score.

    The best score is the largest, of either sign: that of inverted contrast is negative. Of equal ones `home` (field,
    pair, rows, columns) is the best.
    """
    known = [np.isfinite(each[place["dx"]]) & np.isfinite(each[place["dy"]]) for each in values]
    some = [place[name] for name in ("dx", "dy", "variance_dx", "variance_dy", "score")]
    best = home[some]
    is_led = np.isfinite(best[0]) & np.isfinite(best[1])
    for each, is_known in zip(values, known, strict=True):
        # a score that is not known is worse than any
        score, highest = (np.nan_to_num(np.abs(layer), nan=-1.0) for layer in (each[place["score"]], best[4]))
        is_better = is_known & ((score > highest) | ~is_led)
        is_led |= is_better
        np.copyto(best, each[some], where=is_better)
    kept = []
    for each, weight, is_known in zip(values, weights, known, strict=True):
        square = (each[place["dx"]] - best[0]) ** 2 + (each[place["dy"]] - best[1]) ** 2
        error = each[place["variance_dx"]] + each[place["variance_dy"]] + best[2] + best[3]
        is_other = (square > APART**2) | ((square > NEAR**2) & (square > ERRORS**2 * error))
        kept.append(np.where(is_known & ~is_other, weight, 0).astype(best.dtype))
    return kept


def _mean(values: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> np.ndarray:
    """Weighted mean of the values that are known, NaN where none is."""
    total = np.zeros_like(values[0])
    share = np.zeros_like(values[0])
    for value, weight in zip(values, weights, strict=True):
        is_known = np.isfinite(value)
        total += np.where(is_known, weight * value, 0)
        share += np.where(is_known, weight, 0)
    return np.asarray(np.where(share > 0, total / np.where(share > 0, share, 1), np.nan), dtype=total.dtype)


def _weights(tile: Tile, piece: Tile, lattice: Lattice) -> np.ndarray:
    """Share (rows, columns) that a tile has in the nodes of a piece; those of all tiles sum to one."""
    along = []
    for own, nodes, count in zip(tile, piece, lattice.nodes, strict=True):
        at = np.arange(nodes.start, nodes.stop)
        along.append(_rise(at, own.start, count, lattice.fade) - _rise(at, own.stop, count, lattice.fade))
    return np.asarray(np.multiply.outer(*along), dtype=lattice.dtype)


def _rise(at: np.ndarray, edge: int, count: int, fade: int) -> np.ndarray:
    """From 0 before an edge between two tiles to 1 beyond it; 1 from the first of the grid on, 0 up to the last."""
    if edge == 0:
        return np.ones(at.size)
    if edge == count:
        return np.zeros(at.size)
    return np.asarray(np.clip((at - edge + 0.5) / (2.0 * fade), 0.0, 1.0))


def _within(outer: Tile, inner: Tile) -> Tile:
    """Place of nodes in an array that holds others."""
    rows, columns = (
        slice(part.start - whole.start, part.stop - whole.start) for whole, part in zip(outer, inner, strict=True)
    )
    return rows, columns


def _holds(outer: Tile, inner: Tile) -> bool:
    return all(
        whole.start <= part.start and part.stop <= whole.stop for whole, part in zip(outer, inner, strict=True)
    )  # fmt: skip
