"""Sub-pixel matching of strained windows: inverse-compositional Gauss-Newton with six parameters.

The shift of the window's centre, and its derivatives along x and y (Baker & Matthews 2004, Int. J. Comput. Vis. 56,
221-255). Where the window moves as one, the pure shift is surer and stays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xoffset._kernels._jit import hot_kernel
from xoffset._kernels.matching.certainty import BLOCK_GAIN, PRIOR_BLOCKS, add_bias, coloured_products
from xoffset._kernels.matching.ridges import LEAST_AGREEMENT
from xoffset._kernels.matching.templates import BLOCK, Template, common_pixels, cut_template

# Most Gauss-Newton steps; a window that has not converged by then fails.
ITERATIONS = 40
# Motion of the centre and of the edges below which a step is the last one, px.
TOLERANCE = 1e-3
# Longest step, as motion of the centre and of the edges, px; longer ones are shortened.
LONGEST_STEP = 0.7
# Largest sum of the absolute values of the four derivatives of the shift; beyond it the match fails.
LARGEST_STRAIN = 0.4
# Largest distance of the shift from that without strain, px; farther ones are not believed.
FARTHEST = 2.0
# Largest standard error of a shift under strain that is believed, px.
LARGEST_SIGMA = 0.25
# Least pivot as a share of its diagonal element. Below it the six parameters cannot be told apart, and the match fails.
LEAST_PIVOT = 1e-3
# Chi-square of the four strains that noise alone exceeds once in 20 windows: below it no strain is looked for.
SUSPICIOUS = 9.49
# Chi-square of the four strains that noise alone exceeds once in 1000 windows: below it no strain is believed.
SIGNIFICANT = 18.47
# Side of the first window, px; windows then grow to the size of the template. A small window still matches under a
# strain at which a large one is lost, and gives a start for the next.
LEAST_SIDE = 12
# Ratio of the sides of a window and of the one before.
GROWTH = 1.42
# Largest change of the shift from a window to the next larger one, in standard errors. Beyond it the ground moves in a
# way that strain does not describe, and windows grow no more (Lepskii 1991, Theory Probab. Appl. 35, 454-466).
LARGEST_CHANGE = 2.0


class Images(NamedTuple):
    """What `refine.refine` asks of a pair."""

    image: np.ndarray
    slopes: np.ndarray
    noise_gain: float
    coefficients: np.ndarray


class Window(NamedTuple):
    """Working space of a window inside the template."""

    template: Template
    steepest: np.ndarray  # (6, pixels) slopes by the parameters, in px at the window's edge, without part in the values
    moved: np.ndarray  # (pixels,)
    hessian: np.ndarray  # (6, 6)
    factor: np.ndarray  # (6, 6) lower triangle
    step: np.ndarray  # (6,)
    covariance: np.ndarray  # (6, 6)


class Room(NamedTuple):
    """Memory for windows of any side up to the template's."""

    pixels: np.ndarray  # (11·size²,)
    matrices: np.ndarray  # (3, 6, 6)
    step: np.ndarray  # (6,)
    sums: np.ndarray  # (6,)


@hot_kernel
def refine(image, slopes, noise_gain, coefficients, valid, nodes, wanted, out, flags, sides):
    """Refine pure shifts to those of the centres of strained windows.

    Parameters are those of `refine.refine`, whose result `out` (rows, columns, 6) comes in and is replaced where the
    strain is significant: by the shift, score and covariance of the largest window around the template's centre, up to
    the template itself, whose motion is a shift and a strain. Flagged nodes and those that are not wanted stay as they
    are. The side of the window that a match was made with goes into `sides` (rows, columns) [px].
    """
    size = nodes.template
    images = Images(image, slopes, noise_gain, coefficients)
    mask = np.ones((size, size), image.dtype)
    room = Room(np.empty(11 * size * size, image.dtype), np.empty((3, 6, 6)), np.empty(6), np.empty(6, image.dtype))
    match = np.empty(6, image.dtype)
    for row in range(nodes.rows):
        for column in range(nodes.columns):
            if wanted[row, column] == 0 or flags[row, column] != 0:
                continue
            sides[row, column] = size
            y = nodes.top + row * nodes.step
            x = nodes.left + column * nodes.step
            match[:] = out[row, column]
            if valid.size > 0:
                near_x, near_y = int(np.floor(match[0] + 0.5)), int(np.floor(match[1] + 0.5))
                common_pixels(valid, y, x, near_y, near_x, size, size, mask.reshape(-1))
            side = _grow(images, y, x, mask, room, match)
            if side > 0:
                out[row, column] = match
                sides[row, column] = side


@hot_kernel
def _is_suspicious(images, y, x, mask, room, match):
    """Whether the residual of a pure shift looks like strain: one step of the search is longer than by chance."""
    window = _cut_window(images, y, x, mask.shape[0], mask, room)
    count = window.template.weight.sum()
    if not _steepest_images(window, count):
        return False
    move = np.zeros(6)
    move[0], move[1] = match[0], match[1]
    score = _compare(images.coefficients, y, x, count, move, window)
    if not score > 0:
        return False
    step = window.step.copy()
    _covariance(images, y, x, count, score, window)
    return _chi_square(window.covariance, step) > SUSPICIOUS


@hot_kernel
def _grow(images, y, x, mask, room, match):
    """Match ever larger windows; return the side of that which `match` now is of, 0 if it stays as it was."""
    size = mask.shape[0]
    pure_x, pure_y = match[0], match[1]
    is_suspicious = size < 2 * LEAST_SIDE or _is_suspicious(images, y, x, mask, room, match)
    move = np.zeros(6)
    move[0], move[1] = pure_x, pure_y
    trial = np.empty(6)
    found = match.copy()
    has_found, is_whole, chi_square, found_side = False, False, 0.0, size
    side = min(LEAST_SIDE + (size - LEAST_SIDE) % 2, size)
    while not is_whole:
        is_whole = side == size
        inset = (size - side) // 2
        window = _cut_window(images, y, x, side, mask, room)
        count = window.template.weight.sum()
        trial[:] = move
        score = 0.0
        if count > 6 and _steepest_images(window, count):
            score = _gauss_newton(images.coefficients, y + inset, x + inset, count, window, trial)
        if score > 0:
            _covariance(images, y + inset, x + inset, count, score, window)
            if has_found and _is_far(found, trial, LARGEST_CHANGE):
                # bent ground pulls a window by the square of its side, this one by about as much as the larger one more
                found[3] += (trial[0] - found[0]) ** 2
                found[4] += (trial[1] - found[1]) ** 2
                is_whole = False
                break
            _fill(window, trial, score, found)
            found_side = side
            move[:] = trial
            half = 0.5 * (side - 1)
            trial[2:] *= half
            chi_square = _chi_square(window.covariance, trial)
            has_found = True
            is_calm = chi_square < SUSPICIOUS and not _is_far(found, match, LARGEST_CHANGE)
            if not is_suspicious and is_calm:
                return 0
        elif has_found:
            is_whole = False
            break
        side = int(side * GROWTH) + 1
        side -= (size - side) % 2
        if side > 0.85 * size:
            side = size
    is_near = abs(found[0] - pure_x) < FARTHEST and abs(found[1] - pure_y) < FARTHEST
    move[0], move[1] = pure_x, pure_y
    is_new = chi_square > SIGNIFICANT or (not is_whole and _is_far(found, move, LARGEST_CHANGE))
    if not (has_found and is_near and is_new):
        return 0
    if max(found[3], found[4]) < LARGEST_SIGMA * LARGEST_SIGMA:
        match[:] = found
        return found_side
    # clouds and rims look like strain: neither shift is certain, and what moves with the ground is seldom so vague
    match[3] += (found[0] - pure_x) ** 2
    match[4] += (found[1] - pure_y) ** 2
    return size


@hot_kernel
def _is_far(match, move, limit):
    """Whether a motion lies off a match by so many of its standard errors, along x or y."""
    off_x, off_y = match[0] - move[0], match[1] - move[1]
    return off_x * off_x > limit * limit * match[3] or off_y * off_y > limit * limit * match[4]


@hot_kernel
def _fill(window, move, score, out):
    """Shift, score and covariance of a matched window."""
    sums = window.template.sums
    out[0], out[1], out[2] = move[0], move[1], score
    add_bias((sums[3] + sums[5]) * score, sums[0], out)
    out[3] += window.covariance[0, 0]
    out[4] += window.covariance[1, 1]
    out[5] = window.covariance[0, 1]


@hot_kernel
def _cut_window(images, y, x, side, mask, room):
    """Inner window of this side of the template at (y, x)."""
    inset = (mask.shape[0] - side) // 2
    area = side * side
    weight = room.pixels[:area]
    for i in range(side):
        for j in range(side):
            weight[i * side + j] = mask[inset + i, inset + j]
    template = Template(
        side,
        side,
        weight,
        weight,
        weight,
        room.pixels[area : 2 * area],
        room.pixels[2 * area : 3 * area],
        room.pixels[3 * area : 4 * area],
        room.sums,
    )
    steepest = room.pixels[4 * area : 10 * area].reshape(6, area)
    moved = room.pixels[10 * area : 11 * area]
    cut_template(images.image, images.slopes, y + inset, x + inset, max(weight.sum(), 1), template)
    return Window(template, steepest, moved, room.matrices[0], room.matrices[1], room.step, room.matrices[2])


@hot_kernel
def _steepest_images(window, count):
    """Fill the slopes by the six parameters and their Hessian; say whether it can be inverted."""
    template = window.template
    size = template.size
    half = template.values.dtype.type(0.5 * (size - 1))
    for i in range(size):
        down = (i - half) / half
        for j in range(size):
            right = (j - half) / half
            k = i * size + j
            slope_x, slope_y = template.slope_x[k], template.slope_y[k]
            window.steepest[0, k], window.steepest[1, k] = slope_x, slope_y
            window.steepest[2, k], window.steepest[3, k] = slope_x * right, slope_x * down
            window.steepest[4, k], window.steepest[5, k] = slope_y * right, slope_y * down
    weight, values = template.weight, template.values
    for k in range(6):
        line = window.steepest[k]
        mean, along = line.dtype.type(0.0), line.dtype.type(0.0)
        for n in range(line.size):
            mean += weight[n] * line[n]
            along += values[n] * line[n]
        mean /= count
        along /= template.sums[0]
        for n in range(line.size):
            line[n] = weight[n] * (line[n] - mean) - along * values[n]
    for k in range(6):
        for m in range(k + 1):
            product = _dot(window.steepest[k], window.steepest[m])
            window.hessian[k, m], window.hessian[m, k] = product, product
    return _factorise(window.hessian, window.factor)


@hot_kernel
def _dot(first, second):
    total = first.dtype.type(0.0)
    for n in range(first.size):
        total += first[n] * second[n]
    return total


@hot_kernel
def _factorise(matrix, out):
    """Lower triangle L of the Cholesky factors of a matrix; False if it is ill-conditioned."""
    for k in range(matrix.shape[0]):
        for m in range(k + 1):
            rest = matrix[k, m]
            for n in range(m):
                rest -= out[k, n] * out[m, n]
            if m < k:
                out[k, m] = rest / out[m, m]
            elif rest > LEAST_PIVOT * matrix[k, k]:
                out[k, k] = np.sqrt(rest)
            else:
                return False
    return True


@hot_kernel
def _solve(factor, vector):
    """Replace the vector by L⁻ᵀ L⁻¹ times it."""
    size = vector.size
    for k in range(size):
        for n in range(k):
            vector[k] -= factor[k, n] * vector[n]
        vector[k] /= factor[k, k]
    for back in range(size):
        k = size - 1 - back
        for n in range(k + 1, size):
            vector[k] -= factor[n, k] * vector[n]
        vector[k] /= factor[k, k]


@hot_kernel
def _strained_window(coefficients, y, x, size, move, out):
    """Spline values where the pixels of a window at (y, x) have moved to; False if that is outside the image."""
    half = 0.5 * (size - 1)
    height, width = coefficients.shape
    reach = half * (1 + abs(move[2]) + abs(move[3])), half * (1 + abs(move[4]) + abs(move[5]))
    centre_x, centre_y = x + half + move[0], y + half + move[1]
    if not (
        centre_x - reach[0] >= 1 and centre_x + reach[0] < width - 3 and centre_y - reach[1] >= 1
        and centre_y + reach[1] < height - 3
    ):  # fmt: skip
        return False
    for i in range(size):
        line = out[i * size :]
        start_x = centre_x + move[3] * (i - half)
        start_y = centre_y + (1 + move[5]) * (i - half)
        for j in range(size):
            at_x = start_x + (1 + move[2]) * (j - half)
            at_y = start_y + move[4] * (j - half)
            left, top = int(at_x), int(at_y)
            line[j] = _spline_value(coefficients, top, left, out.dtype.type(at_y - top), out.dtype.type(at_x - left))
    return True


@hot_kernel
def _spline_value(coefficients, top, left, down, right):
    """Value of the cubic spline behind pixel (top, left)."""
    rest = 1 - right
    a0, a3 = rest * rest * rest / 6, right * right * right / 6
    a1 = coefficients.dtype.type(2.0 / 3.0) - right * right * (1 - right / 2)
    a2 = 1 - a0 - a1 - a3
    rest = 1 - down
    b0, b3 = rest * rest * rest / 6, down * down * down / 6
    b1 = coefficients.dtype.type(2.0 / 3.0) - down * down * (1 - down / 2)
    b2 = 1 - b0 - b1 - b3
    r0, r1 = coefficients[top - 1, left - 1 : left + 3], coefficients[top, left - 1 : left + 3]
    r2, r3 = coefficients[top + 1, left - 1 : left + 3], coefficients[top + 2, left - 1 : left + 3]
    return (
        b0 * (a0 * r0[0] + a1 * r0[1] + a2 * r0[2] + a3 * r0[3])
        + b1 * (a0 * r1[0] + a1 * r1[1] + a2 * r1[2] + a3 * r1[3])
        + b2 * (a0 * r2[0] + a1 * r2[1] + a2 * r2[2] + a3 * r2[3])
        + b3 * (a0 * r3[0] + a1 * r3[1] + a2 * r3[2] + a3 * r3[3])
    )


@hot_kernel
def _compare(coefficients, y, x, count, move, window):
    """Score of a motion, 0 if there is none; fills the moved window and the full step of the search."""
    template = window.template
    if not _strained_window(coefficients, y, x, template.size, move, window.moved):
        return 0.0
    moved, weight = window.moved, template.weight
    total = _dot(weight, moved)
    square = moved.dtype.type(0.0)
    for n in range(moved.size):
        square += weight[n] * moved[n] * moved[n]
    product = _dot(template.values, moved)
    energy = float(template.sums[0])
    spread = square - total * total / count
    if not (spread > 0 and product > 0):
        return 0.0
    gain = np.sqrt(energy / spread)
    score = min(gain * product / energy, 1.0)
    # noise in the slopes of the template shortens the steps, about as much as it lowers the score
    for k in range(6):
        window.step[k] = gain * _dot(window.steepest[k], moved) / max(score, 0.25)
    _solve(window.factor, window.step)
    return score


@hot_kernel
def _gauss_newton(coefficients, y, x, count, window, move):
    """Improve a motion: shift x, y, strain xx, xy, yx, yy; return the score, or 0 if the search gets lost."""
    half = 0.5 * (window.template.size - 1)
    step = window.step
    for _ in range(ITERATIONS):
        score = _compare(coefficients, y, x, count, move, window)
        if not score > 0:
            return 0.0
        longest = np.abs(step).max()
        if longest > LONGEST_STEP:
            step *= LONGEST_STEP / longest
        _compose(move, step, half)
        if np.abs(move[2:]).sum() > LARGEST_STRAIN:
            return 0.0
        if longest < TOLERANCE:
            return score
    return 0.0


@hot_kernel
def _compose(move, step, half):
    """Follow the inverse of a step by the motion; the strains of a step are in px at the window's edge."""
    a, b, c, d = 1 + move[2], move[3], move[4], 1 + move[5]
    e, f, g, h = 1 + step[2] / half, step[3] / half, step[4] / half, 1 + step[5] / half
    determinant = e * h - f * g
    xx, xy = (a * h - b * g) / determinant, (b * e - a * f) / determinant
    yx, yy = (c * h - d * g) / determinant, (d * e - c * f) / determinant
    move[0] -= xx * step[0] + xy * step[1]
    move[1] -= yx * step[0] + yy * step[1]
    move[2], move[3], move[4], move[5] = xx - 1, xy, yx, yy - 1


@hot_kernel
def _covariance(images, y, x, count, score, window):
    """Covariance of the six parameters, strains in px at the window's edge, as `certainty.residual_products`."""
    template = window.template
    size = template.size
    blocks = max(size // BLOCK, 1)
    energy = float(template.sums[0])
    moved = window.moved
    mean = _dot(template.weight, moved) / count
    gain = moved.dtype.type(score * energy / _dot(template.values, moved))
    # the residual replaces the moved window
    for n in range(moved.size):
        moved[n] = gain * template.weight[n] * (moved[n] - mean) - template.values[n]
    spread = window.covariance
    spread[:] = 0
    sums = np.empty(6)
    for row in range(blocks):
        for column in range(blocks):
            sums[:] = 0
            first, last = column * size // blocks, (column + 1) * size // blocks
            for i in range(row * size // blocks, (row + 1) * size // blocks):
                for k in range(6):
                    for j in range(first, last):
                        sums[k] += window.steepest[k, i * size + j] * moved[i * size + j]
            for k in range(6):
                for m in range(6):
                    spread[k, m] += sums[k] * sums[m]
    noise = np.empty(3, moved.dtype)
    coloured_products(images.slopes, template.weight, size, size, y, x, noise)
    number = blocks * blocks
    of_blocks = BLOCK_GAIN * number / max(number - 1, 1) * number / (number + PRIOR_BLOCKS)
    colour = (noise[0] + noise[2]) / max(window.hessian[0, 0] + window.hessian[1, 1], 1e-30)
    of_white = 2 * energy * (1 - score) / max(count - 7, 1) / images.noise_gain
    of_white *= colour * PRIOR_BLOCKS / (number + PRIOR_BLOCKS)
    agreement = max(score, LEAST_AGREEMENT)
    for k in range(6):
        for m in range(6):
            spread[k, m] = (of_blocks * spread[k, m] + of_white * window.hessian[k, m]) / (agreement * agreement)
    # H⁻¹ J H⁻¹: solve for the rows, then, J being symmetric, for the columns
    for k in range(6):
        _solve(window.factor, spread[k])
    for k in range(6):
        sums[:] = spread[:, k]
        _solve(window.factor, sums)
        spread[:, k] = sums


@hot_kernel
def _chi_square(covariance, move):
    """Square of the strains move[2:] over their covariance; 0 if that cannot be inverted."""
    factor = np.empty((4, 4))
    if not _factorise(covariance[2:, 2:].copy(), factor):
        return 0.0
    weighted = move[2:].copy()
    _solve(factor, weighted)
    return (weighted * move[2:]).sum()
