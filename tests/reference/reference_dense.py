"""Slow twins of dense matching, in plain NumPy and SciPy, from the equations."""

from __future__ import annotations

import itertools

import numpy as np
import scipy.ndimage


def quantised(image):
    """Pixels as whole numbers of an eighth, at most 31 of these."""
    return np.clip(np.rint(8.0 * image), -31, 31)


def block_costs(first, second, half, weights, floor):
    """Costs (row, shift, column): 1024·(1 - max(correlation, floor)) of blocks of 4 px and those around, by weights.

    Beyond the first and the last block there is nothing; `second` holds `half` pixels more.
    """
    a, b = quantised(first), quantised(second)
    rows, columns = first.shape[0] // 4, first.shape[1] // 4
    reach = len(weights) - 1
    kernel = np.array([weights[abs(k)] for k in range(-reach, reach + 1)])
    taps = np.repeat(kernel, 4)

    def energy(image, top, left):
        total = 0.0
        for i, j in itertools.product(range(len(taps)), repeat=2):
            y, x = top - 4 * reach + i, left - 4 * reach + j
            if 0 <= y < image.shape[0] and 0 <= x < image.shape[1]:
                total += taps[i] * taps[j] * image[y, x] ** 2
        return total

    own = np.array([[energy(a, 4 * row, 4 * column) for column in range(columns)] for row in range(rows)])
    least = max(0.05 * own.mean(), 1e-3)
    out = []
    for dy, dx in itertools.product(range(-half[0], half[0] + 1), range(-half[1], half[1] + 1)):
        part = b[half[0] + dy : half[0] + dy + a.shape[0], half[1] + dx : half[1] + dx + a.shape[1]]
        # a quarter of the sum, rounded down
        products = np.floor((a * part).reshape(rows, 4, columns, 4).sum(axis=(1, 3)) / 4.0)
        sums = scipy.ndimage.correlate1d(products, kernel, axis=0, mode="constant")
        sums = 4.0 * scipy.ndimage.correlate1d(sums, kernel, axis=1, mode="constant")
        other = np.array(
            [[energy(b, half[0] + dy + 4 * row, half[1] + dx + 4 * column) for column in range(columns)]
             for row in range(rows)]
        )  # fmt: skip
        score = sums / np.sqrt(np.maximum(own, least) * np.maximum(other, least))
        out.append(1024.0 * (1.0 - np.maximum(np.minimum(score, 1.0), floor)))
    return np.moveaxis(np.stack(out), 0, 1)


def swept(cost, half, slope, is_reversed, change, most):
    """Least cost of all paths that come from one side, counted from the least one, by trying every step."""
    rows, shifts, columns = cost.shape
    places = np.array(list(itertools.product(range(2 * half[0] + 1), range(2 * half[1] + 1))))
    price = np.minimum(change * np.abs(places[:, None] - places[None]).sum(axis=-1), most)
    out = np.zeros_like(cost)
    order = range(rows - 1, -1, -1) if is_reversed else range(rows)
    last = None
    for row in order:
        for column in range(columns):
            came = column - slope
            before = last[:, came] if last is not None and 0 <= came < columns else np.zeros(shifts, dtype=cost.dtype)
            out[row, :, column] = cost[row, :, column] + (before[:, None] + price).min(axis=0) - before.min()
        last = out[row]
    return out


def spline_at(coefficients, y, x):
    """Value of a cubic B-spline from its coefficients, by the sum over the sixteen around."""

    def basis(t):
        t = abs(t)
        return 2 / 3 - t * t + t**3 / 2 if t < 1 else (2 - t) ** 3 / 6 if t < 2 else 0.0

    total = 0.0
    for i in range(int(np.floor(y)) - 1, int(np.floor(y)) + 3):
        for j in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3):
            total += basis(y - i) * basis(x - j) * coefficients[i, j]
    return total


def energy_of(field, system, limit, metric):
    """Σ ½ d'Jd - r'd + limit·√(Σ g'Tg), g the forward differences of a component, none beyond the last ones."""
    xx, xy, yy, rx, ry = system
    dx, dy = field
    data = 0.5 * (xx * dx * dx + 2 * xy * dx * dy + yy * dy * dy) - rx * dx - ry * dy
    square = np.zeros_like(dx)
    for component in field:
        along, down = np.zeros_like(component), np.zeros_like(component)
        along[:, :-1], down[:-1] = np.diff(component, axis=1), np.diff(component, axis=0)
        square += metric[0] * along**2 + 2 * metric[1] * along * down + metric[2] * down**2
    return float((data + limit * np.sqrt(square)).sum())


def window_score(first, second, weight):
    """Zero-mean correlation of the pixels with a weight, NaN where there are none."""
    a, b = first[weight > 0], second[weight > 0]
    if a.size < 2:
        return np.nan
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def value_at(layer, y, x):
    """Bilinear value at a pixel of a layer on blocks of 2x2 px, whose middles lie at 0.5, 2.5, ... px."""
    rows, columns = layer.shape
    at_y, at_x = np.clip((y - 0.5) / 2.0, 0, rows - 1), np.clip((x - 0.5) / 2.0, 0, columns - 1)
    total = 0.0
    for i, j in np.ndindex(rows, columns):
        total += max(0.0, 1.0 - abs(at_y - i)) * max(0.0, 1.0 - abs(at_x - j)) * layer[i, j]
    return total


def verdict(node, windows, frame, side, least, half):
    """Name of the flag of one node, None if it is told; the first that holds of what may be wrong, by definition.

    node: dx, dy, their variances, score, pixels known in both, centre (x, y), whether it is left out, first pixel (y,
    x) of its window; windows: functions of a first pixel, for either image: known pixels, whether it has one value.
    """
    dx, dy, variances, score, count, centre, is_left_out, (y, x) = node
    is_known = np.isfinite([dx, dy]).all()
    to = (y + int(np.rint(dy)), x + int(np.rint(dx))) if is_known else (y, x)
    (known, is_flat), (known_there, is_flat_there) = windows
    is_few = count < least * side**2
    is_beyond = any(to[k] < frame[k][0] or to[k] + side > frame[k][1] for k in (0, 1))
    checks = {
        "OUTSIDE": is_left_out or (is_few and is_beyond),
        "NODATA": known(y, x) == 0 or known_there(*to) == 0,
        "FEW_VALID": is_few,
        "FLAT": np.isnan(score) or is_flat(y, x) or is_flat_there(*to),
        "BORDER": abs(dx - centre[0]) > half[1] - 0.5 or abs(dy - centre[1]) > half[0] - 0.5,
        "ILL_CONDITIONED": not (is_known and np.isfinite(variances).all()),
    }
    return next((name for name, holds in checks.items() if holds), None)
