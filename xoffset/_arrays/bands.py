"""Displacements of several bands as one: how alike their errors are, which agree, and what they tell together."""

from __future__ import annotations

import math

import numpy as np

from xoffset._arrays.layers import Layers

# Quantities of a band that take part in its vote, and those that follow it: means of the bands in use.
VECTORS = ("dx", "dy", "sigma_dx", "sigma_dy", "cov_dxdy")
# Nodes with two bands or more from which on their differences tell how alike the bands err.
LEAST_NODES = 30
# Median of a chi-square of two degrees of freedom.
MEDIAN_SQUARE = 2.0 * math.log(2.0)
# Largest correlation that the weights take for true: with one of 1 they would trust the best band alone.
MOST_ALIKE = 0.95
# Differences beyond this false alarm do not tell how the others scatter; times that these are looked for.
WILD, TRIMS = 1e-3, 5
# Least scale of the squares that bands are tested by: of bands that are one and the same, rounding is no disagreement.
LEAST_SCALE = 1e-3
# Rows of the table: how large differences are, how alike the bands err, what of that the weights take, and how large
# differences are for that.
SPREAD, CORRELATION, ALIKE, SCALE = 0, 1, 2, 3
ROWS = 4


def layers_of(pairs: int, bands: int, others: int) -> Layers:
    """Where the results are: vectors with their errors, means of other quantities, number of bands, which are used."""
    return Layers(
        **dict.fromkeys(VECTORS, (pairs,)), others=(others, pairs), n_bands=(pairs,), is_used=(bands, pairs)
    )  # fmt: skip


def spread(*fields: np.ndarray, bands: int) -> np.ndarray:
    """How bands differ (4, pair), of fields as for `combine`.

    `SPREAD`: the squares of the differences in units of what independent standard errors allow, by their median over
    nodes and twos of bands, NaN where too few nodes tell. `CORRELATION`: that of the errors, which makes them so small,
    1 where too few tell. `ALIKE` and `SCALE`: as `_own` and `_vote` need them.
    """
    value, variance = _read(fields, bands)
    pairs = value.shape[2]
    out = np.stack([np.full(pairs, np.nan), np.ones(pairs), np.zeros(pairs), np.ones(pairs)])
    for p in range(pairs):
        of_pair, errors = value[:, :, p], variance[:, :, p]
        squares, balances, nodes = _differences(of_pair, errors)
        if nodes >= LEAST_NODES:
            out[SPREAD, p], is_tame = _usual(squares)
            lacking = (1.0 - out[SPREAD, p]) / np.median(balances[is_tame])
            out[CORRELATION, p] = min(max(lacking, 0.0), 1.0)
            out[ALIKE, p] = min(out[CORRELATION, p], MOST_ALIKE)
            scale, _ = _usual(_differences(of_pair, _own(errors, out[ALIKE, p]))[0])
            out[SCALE, p] = max(scale, LEAST_SCALE)
    return out


def _differences(value: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Squares of the differences of all twos of bands in units of their variances, how alike these are, nodes."""
    squares, balances, is_told = [], [], np.zeros(value.shape[2:], np.bool_)
    for a in range(len(value)):
        for b in range(a + 1, len(value)):
            square = _form(_inverse(variance[a] + variance[b]), value[a] - value[b])
            known = np.isfinite(square)
            of_a, of_b = ((variance[each, 0] + variance[each, 1])[known] for each in (a, b))
            squares.append(square[known])
            balances.append(2.0 * np.sqrt(of_a * of_b) / (of_a + of_b))
            is_told |= known
    return np.concatenate(squares), np.concatenate(balances), int(np.count_nonzero(is_told))


def _usual(squares: np.ndarray) -> tuple[float, np.ndarray]:
    """Scale of squares that are those of two components but for wild ones, and which are not wild."""
    is_tame = np.ones(squares.size, np.bool_)
    for _ in range(TRIMS):
        scale = float(np.median(squares[is_tame])) / MEDIAN_SQUARE
        is_tame = squares <= -2.0 * math.log(WILD) * scale
    return scale, is_tame


def combine(table: np.ndarray, *fields: np.ndarray, bands: int, false_alarm: float) -> np.ndarray:
    """Results (layer, rows, columns) as `layers_of` says.

    table (4, pair) from `spread`. fields (pair, rows, columns): `VECTORS` of the first band, of the second and so on,
    then any others of the first band and so on.
    """
    value, variance = _read(fields, bands)
    spread_of, correlation, alike, scale = (row[:, np.newaxis, np.newaxis] for row in table)
    weight = _swapped(_inverse(_swapped(_own(variance, alike))))
    is_there = np.isfinite(weight).all(axis=1) & np.isfinite(value).all(axis=1)
    weight, value, variance = (np.where(is_there[:, np.newaxis], each, 0.0) for each in (weight, value, variance))
    is_used = _vote(value, weight, is_there, scale, false_alarm)

    number = is_used.sum(axis=0)
    mean, inverse = _mean(value, weight, is_used)
    used = _swapped(np.where(is_used[:, np.newaxis], weight, 0.0))
    pull = _product(used, _root(_swapped(variance)))
    whole = _product(inverse, pull.sum(axis=1))
    each = _product(inverse[:, np.newaxis], pull)
    found = (1.0 - correlation) * _square(each).sum(axis=1) + correlation * _square(whole)
    found = found * np.fmax(spread_of, 1.0)

    others = fields[len(VECTORS) * bands :]
    pairs, kinds = value.shape[2], len(others) // bands
    layers = layers_of(pairs, bands, kinds)
    out = np.empty((layers.count, *fields[0].shape[1:]), fields[0].dtype)
    named = dict(zip(VECTORS, (*mean, np.sqrt(found[0]), np.sqrt(found[1]), found[2]), strict=True))
    for name, values in named.items():
        out[layers[name]] = np.where(number > 0, values, np.nan)
    for k in range(kinds):
        few = np.stack(others[k * bands : (k + 1) * bands])
        out[layers["others"]][k * pairs : (k + 1) * pairs] = _mean_of(few, is_used)
    out[layers["n_bands"]] = number
    out[layers["is_used"]] = is_used.reshape(bands * pairs, *number.shape[1:])
    return out


def reasons(*fields: np.ndarray, bands: int, dissent: int, lacking: int) -> np.ndarray:
    """Flags of what was combined (int64): those of the bands in use, or, where there is none, of all.

    fields: `is_used` of each band, its flags, and what is NaN where it has no vector with standard errors. dissent:
    flag of a band that was left out. lacking: flag where there is none in use and no other reason.
    """
    is_used = np.stack(fields[:bands]) > 0.0
    flags, is_there = np.stack(fields[bands : 2 * bands]), np.isfinite(np.stack(fields[2 * bands :]))
    is_any = is_used.any(axis=0)
    borne = np.bitwise_or.reduce(np.where(is_used | ~is_any, flags, 0), axis=0)
    borne = borne | (is_there & ~is_used).any(axis=0) * np.int64(dissent)
    return np.asarray(np.where((borne == 0) & ~is_any, np.int64(lacking), borne))


# ---------------------------------------------------------------------------------------------------------------- vote


def _vote(
    value: np.ndarray, weight: np.ndarray, is_there: np.ndarray, scale: np.ndarray, false_alarm: float
) -> np.ndarray:
    """Which bands (band, pair, rows, columns) tell the displacement: all that agree, if they are the majority.

    The one that disagrees most is left out, again and again, until the others agree. None where no majority does.
    """
    from scipy.special import chdtri

    bands = len(value)
    # one band has nothing to agree with
    limits = np.array([np.inf, np.inf, *(chdtri(2.0 * (n - 1), false_alarm) for n in range(2, bands + 1))])
    is_used, total = is_there.copy(), is_there.sum(axis=0)
    for _ in range(bands - 1):
        square = _misfit(value, weight, is_used)
        is_split = square > limits[is_used.sum(axis=0)] * scale
        if not is_split.any():
            break
        least, worst = np.full(square.shape, np.inf), np.full(square.shape, -1)
        for b in range(bands):
            without = is_used.copy()
            without[b] = False
            rest = np.where(is_used[b], _misfit(value, weight, without), np.inf)
            worst = np.where(rest < least, b, worst)
            least = np.minimum(rest, least)
        is_used &= ~(is_split & (worst == np.arange(bands)[:, np.newaxis, np.newaxis, np.newaxis]))
    return np.asarray(is_used & (2 * is_used.sum(axis=0) > total))


def _misfit(value: np.ndarray, weight: np.ndarray, is_used: np.ndarray) -> np.ndarray:
    """Sum of the squares of the bands in use about their mean, in units of their standard errors."""
    mean, _ = _mean(value, weight, is_used)
    squares = _form(_swapped(weight), _swapped(value - mean))
    return np.asarray(np.where(is_used, squares, 0.0).sum(axis=0))


def _mean(value: np.ndarray, weight: np.ndarray, is_used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (2, ...) of the bands in use by their weights, and the inverse (3, ...) of the sum of these; 0 without."""
    used = np.where(is_used[:, np.newaxis], weight, 0.0)
    inverse = np.nan_to_num(_inverse(used.sum(axis=0)))
    pull = _times(_swapped(used), _swapped(value)).sum(axis=1)
    return _times(inverse, pull), inverse


def _mean_of(values: np.ndarray, is_used: np.ndarray) -> np.ndarray:
    """Mean (pair, ...) over the bands in use, or, where there is none, over all that have a value."""
    is_known = np.isfinite(values)
    is_wanted = is_known & (is_used | ~is_used.any(axis=0))
    number = is_wanted.sum(axis=0)
    total = np.where(is_wanted, values, 0.0).sum(axis=0, dtype=np.float64)
    return np.asarray(np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0))


def _read(fields: tuple[np.ndarray, ...], bands: int) -> tuple[np.ndarray, np.ndarray]:
    """Displacements (band, 2, pair, ...) and covariances (band, 3, pair, ...), float64, of fields as for `combine`."""
    each = np.stack(fields[: len(VECTORS) * bands]).astype(np.float64)
    each = each.reshape(bands, len(VECTORS), *fields[0].shape)
    value, variance = each[:, :2], each[:, 2:]
    variance[:, :2] **= 2
    is_known = np.isfinite(each).all(axis=1, keepdims=True)
    return value, np.where(is_known, variance, np.nan)


def _own(variance: np.ndarray, alike: np.ndarray | float) -> np.ndarray:
    """Covariances (band, 3, ...) without what a band shares with the others: that part of the least variance of all.

    Weights by these are best if all bands have one error in common and each its own, and are never below zero. Those
    from correlations that are alike for all twos of bands would be: they set the worse bands against the best one.
    """
    least = np.where(variance > 0.0, variance, np.inf)[:, :2].min(axis=0)
    diagonal = variance[:, :2] - alike * np.where(np.isfinite(least), least, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        shrunk = np.sqrt(diagonal / variance[:, :2]).prod(axis=1)
    return np.concatenate([diagonal, (variance[:, 2] * shrunk)[:, np.newaxis]], axis=1)


def _swapped(array: np.ndarray) -> np.ndarray:
    """Array with its first two axes exchanged: bands first or elements first."""
    return np.moveaxis(array, 0, 1)


# -------------------------------------------------- symmetric matrices of two rows, (3, ...): both diagonals, the other


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Inverse, NaN where the matrix is not positive."""
    xx, yy, xy = matrix
    determinant = xx * yy - xy * xy
    is_positive = (determinant > 0.0) & (xx > 0.0) & np.isfinite(determinant)
    divisor = np.where(is_positive, determinant, np.nan)
    return np.stack([yy / divisor, xx / divisor, -xy / divisor])


def _root(matrix: np.ndarray) -> np.ndarray:
    """Square root; 0 of zero."""
    xx, yy, xy = matrix
    determinant = np.sqrt(np.maximum(xx * yy - xy * xy, 0.0))
    length = np.sqrt(xx + yy + 2.0 * determinant)
    return np.stack([xx + determinant, yy + determinant, xy]) / np.where(length > 0.0, length, 1.0)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Product (4, ...) of two matrices (3 or 4, ...): both diagonals, the upper and the lower other element."""
    a_xx, a_yy, a_xy, a_yx = a[0], a[1], a[2], a[-1]
    b_xx, b_yy, b_xy, b_yx = b[0], b[1], b[2], b[-1]
    return np.stack(
        [a_xx * b_xx + a_xy * b_yx, a_yx * b_xy + a_yy * b_yy, a_xx * b_xy + a_xy * b_yy, a_yx * b_xx + a_yy * b_yx]
    )


def _square(matrix: np.ndarray) -> np.ndarray:
    """Product of a matrix (4, ...) with its own transpose, which is symmetric."""
    xx, yy, xy, yx = matrix
    return np.stack([xx * xx + xy * xy, yx * yx + yy * yy, xx * yx + xy * yy])


def _times(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    xx, yy, xy = matrix
    x, y = vector
    return np.stack([xx * x + xy * y, xy * x + yy * y])


def _form(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Square of a vector in units of a matrix."""
    xx, yy, xy = matrix
    x, y = vector
    return np.asarray(xx * x * x + 2.0 * xy * x * y + yy * y * y)
