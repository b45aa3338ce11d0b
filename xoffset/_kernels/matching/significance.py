"""Probability that unrelated ground reaches a score, from the effective numbers of pixels and of candidates.

Where two images have nothing in common the score scatters about zero with variance 1 / pixels_eff, and the best of all
candidates is the highest maximum of a smooth random surface. `pixels_eff` follows from the autocorrelations of both
windows, the number of maxima from the roughness of the surface. Where few bright pixels hold the contrast, the meeting
of two of them makes a high score: how few follows from the fourth moments of the windows.

What a matcher does with it, for one pair on one tile (see `ncc._match`, and `autocorrelation` for the first two)::

    lagged = lags(template, reach)                      # once; reach: how far the pre-filter lets pixels correlate
    texture(image, valid, lagged)                       # once an image: `image` is zero where not `valid`
    effective_pixels(first, second, lagged.weight, nodes, peaks, out)   # whole-pixel shift of each node's peak
    roughness(first, second, lagged)                    # correlation of scores one pixel apart along y, x
    moments.excess(kurtosis_of_first, second_image, valid, nodes, peaks, out)      # see `moments.kurtosis`
    false_alarm(score, effective, excess, candidates, roughness, template**2, out)

The score is that of the best whole-pixel candidate. `candidates` counts what could have won at full resolution: all
but the outermost ring, (2·search_y - 1)·(2·search_x - 1), also where a pyramid or a prior spared most of them the
computing; with a prior whose range is small, those of that range. Images without a pre-filter correlate over more
than a window: there `unrelated_scores` replaces the second to the fourth line.
"""

from __future__ import annotations

import math

import numpy as np

from xoffset._kernels._jit import hot_kernel, kernel, lean_kernel
from xoffset._kernels.matching.autocorrelation import Lags, Texture, corner_at, count_points

# The next constants correct pixels_eff, the number of independent pixels of a window. The textures around the best of
# many candidates resemble each other by chance, which makes it too small by OFFSET + SHARE·pixels. The values were set
# with unrelated synthetic scenes from white to red, with clouds and without.
# Part of the correction that is the same for all windows, pixels.
OFFSET = 0.3
# Part of the correction that grows with the window, per pixel of it.
SHARE = 0.006
# Largest pixels_eff of two images, relative to that of each with itself: where their textures have no frequency in
# common it would come out far too large.
LARGEST_RATIO = 2.0
# Least pixels_eff of any window.
LEAST_PIXELS = 1.3
# Below this level, in standard deviations, the share of scores that are maxima is that at the level.
LEAST_LEVEL = 2.0
# With fewer degrees of freedom the share would grow faster with the score than its tail falls.
LEAST_FREEDOM = 4.0
# Windows along a tile that are compared with each other where there is no pre-filter.
SAMPLES = 8


@lean_kernel
def _of_sums(square, mean_a, mean_b, pixels):
    """Effective pixels from sums of squared and plain correlations, the means of the windows removed.

    Bartlett (1946, J. R. Stat. Soc. Suppl. 8, 27-41): the variance of a correlation is the sum over the lags of the
    product of both autocorrelations, over the number of pixels.
    """
    a = min(max(mean_a / pixels, 0.0), 0.95)
    b = min(max(mean_b / pixels, 0.0), 0.95)
    return pixels * (1.0 - a) * (1.0 - b) / max(square - pixels * a * b, 1.0)


@lean_kernel
def effective_pixels(first, second, weight, nodes, peaks, out):
    """Pixels that a score of two windows is worth, out (rows, columns); 0 where either holds no texture.

    Parameters
    ----------
    first, second
        `sums` and `moments` of the Texture of reference and secondary.
    weight
        Weights of the lags.
    nodes
        Which windows, as in `zncc.search`; only rows, columns, top, left, step and template count.
    peaks
        (rows, columns, 2 or more): shift along y and x, px; NaN where there is none.
    """
    sums_a, moments_a = first
    sums_b, moments_b = second
    size = nodes.template
    points = count_points(size)
    pixels = float(size * size)
    for row in range(nodes.rows):
        for column in range(nodes.columns):
            dy = peaks[row, column, 0]
            if not abs(dy) < np.inf:
                out[row, column] = 0
                continue
            dx = peaks[row, column, 1]
            both = 0.0
            energy_a, energy_b, mean_a, mean_b, square_a, square_b = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for i in range(points):
                y = nodes.top + row * nodes.step + (i + 0.5) * size / points
                row_a = corner_at(y, sums_a.shape[0])
                row_b = corner_at(y + dy, sums_b.shape[0])
                for j in range(points):
                    x = nodes.left + column * nodes.step + (j + 0.5) * size / points
                    column_a = corner_at(x, sums_a.shape[1])
                    column_b = corner_at(x + dx, sums_b.shape[1])
                    a = sums_a[row_a, column_a]
                    b = sums_b[row_b, column_b]
                    of_a = moments_a[row_a, column_a]
                    of_b = moments_b[row_b, column_b]
                    total = a.dtype.type(0.0)
                    for k in range(weight.size):
                        total += weight[k] * a[k] * b[k]
                    both += total
                    # of either image only what the other one knows too
                    energy_a += of_a[0] * of_b[1]
                    energy_b += of_b[0] * of_a[1]
                    mean_a += of_a[2] * of_b[1]
                    mean_b += of_b[2] * of_a[1]
                    square_a += of_a[3] * of_b[1] * of_b[1]
                    square_b += of_b[3] * of_a[1] * of_a[1]
            if energy_a <= 0.0 or energy_b <= 0.0:
                out[row, column] = 0
                continue
            count = points * points
            mean_a /= energy_a
            mean_b /= energy_b
            crossed = _of_sums(count * both / (energy_a * energy_b), mean_a, mean_b, pixels)
            own_a = _of_sums(count * square_a / (energy_a * energy_a), mean_a, mean_a, pixels)
            own_b = _of_sums(count * square_b / (energy_b * energy_b), mean_b, mean_b, pixels)
            largest = min(LARGEST_RATIO * math.sqrt(own_a * own_b), pixels)
            out[row, column] = max(min(crossed + OFFSET + SHARE * pixels, largest), LEAST_PIXELS)


def roughness(first: Texture, second: Texture, lagged: Lags) -> tuple[float, float]:
    """Correlation of the scores of unrelated images at candidates one pixel apart, along y and x.

    One less half the curvature of the surface: the second difference of one autocorrelation, weighted by the other.
    """
    weight = lagged.weight * first.mean
    total = float((weight * second.mean).sum())
    if not total > 0.0:
        return 0.0, 0.0
    beside = np.where(lagged.neighbours >= 0, second.mean[lagged.neighbours], 0.0)
    found = []
    for before, after in (beside[:2], beside[2:]):
        bend = float((weight * (2.0 * second.mean - before - after) / lagged.stride**2).sum())
        found.append(min(max(1.0 - 0.5 * bend / total, 0.0), 0.999))
    return found[0], found[1]


@kernel
def unrelated_scores(first, second, valid, template, search, out):
    """Mean square of the scores of windows of a tile that lie too far apart to be related, and their correlations.

    For images of any spectrum. out (3,): effective pixels of a score; correlation of scores one pixel apart along y and
    x. `first`, `second` (height, width) are zero where not `valid` (2, height, width).
    """
    height, width = first.shape
    room_y, room_x = height - template - 1, width - template - 1
    count = SAMPLES * SAMPLES
    a = np.empty((count, template, template))
    b = np.empty((3, count, template, template))
    is_known = np.zeros((2, count), np.bool_)
    for k in range(count):
        y = room_y * (k // SAMPLES) // (SAMPLES - 1)
        x = room_x * (k % SAMPLES) // (SAMPLES - 1)
        is_known[0, k] = _take(first, valid[0], y, x, a[k])
        is_known[1, k] = True
        for shift in range(3):
            fits = _take(second, valid[1], y + (shift == 1), x + (shift == 2), b[shift, k])
            is_known[1, k] = is_known[1, k] and fits
    apart = search + template // 2
    sums = np.zeros(4)
    for k in range(count):
        for m in range(count):
            dy = room_y * (k // SAMPLES) // (SAMPLES - 1) - room_y * (m // SAMPLES) // (SAMPLES - 1)
            dx = room_x * (k % SAMPLES) // (SAMPLES - 1) - room_x * (m % SAMPLES) // (SAMPLES - 1)
            if is_known[0, k] and is_known[1, m] and max(abs(dy), abs(dx)) > apart:
                here = _product(a[k], b[0, m])
                sums[0] += 1.0
                sums[1] += here * here
                sums[2] += here * _product(a[k], b[1, m])
                sums[3] += here * _product(a[k], b[2, m])
    out[0] = max(sums[0] / sums[1], LEAST_PIXELS) if sums[1] > 0.0 else 0.0
    out[1] = min(max(sums[2] / sums[1], 0.0), 0.999) if sums[1] > 0.0 else 0.0
    out[2] = min(max(sums[3] / sums[1], 0.0), 0.999) if sums[1] > 0.0 else 0.0


@kernel
def _take(image, valid, y, x, out):
    """Window of mean 0 and norm 1; False where less than half is valid or it holds no texture."""
    size = out.shape[0]
    count = 0.0
    total = 0.0
    for i in range(size):
        for j in range(size):
            if valid[y + i, x + j]:
                count += 1.0
                total += image[y + i, x + j]
    if count < 0.5 * size * size:
        return False
    mean = total / count
    square = 0.0
    for i in range(size):
        for j in range(size):
            out[i, j] = image[y + i, x + j] - mean if valid[y + i, x + j] else 0.0
            square += out[i, j] ** 2
    if square <= 0.0:
        return False
    norm = math.sqrt(square)
    for i in range(size):
        for j in range(size):
            out[i, j] /= norm
    return True


@hot_kernel
def _product(a, b):
    total = 0.0
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            total += a[i, j] * b[i, j]
    return total


@hot_kernel
def _bennett(u):
    """2 ((1 + u) log(1 + u) - u) / u², which is 1 at 0."""
    if u < 1e-3:
        return 1.0 - u / 3.0
    return 2.0 * ((1.0 + u) * math.log1p(u) - u) / (u * u)


@kernel
def false_alarm(score, effective, excess, candidates, rough, pixels, out):
    """Probability that the best candidate of unrelated ground is accepted and scores this much, out like `score`.

    A correlation r of D effective pixels has tail probability Phi(-z) with z² = (D - 1)·h, L = -log(1 - r²) and
    h = L·(1 + k·L). For equal eigenvalues of the covariance of the pixels k is 0, and D the degrees of freedom of
    Student's t (normal form of Wallace 1959, Ann. Math. Stat. 30, 1121-1130). Eigenvalues that fall exponentially to
    zero, those of a smooth texture, have k = 1/3, which is the second-order term of the large deviation of the
    quadratic form; between both k = (1 - (D / pixels)³) / 3.

    Where few bright points hold the contrast, D pixels hold K = D / (1 + excess) of them, and chance decides how many
    meet: their number follows Poisson, whose tail has z² = D·r²·B(u), with u = r·excess and
    B(u) = 2 ((1 + u) log(1 + u) - u) / u² (Bennett 1962, J. Am. Stat. Assoc. 57, 33-45). What h adds to r² is due to
    their contrasts, and has K - 1 degrees of freedom: z² = (D - 1)·r²·B(u) + (K - 1)·(h - r²), which is the above where
    the excess is 0.

    Of scores that high a share are maxima of their
    neighbours: along each axis the two beside it are lower (after Taylor, Worsley & Gosselin 2007, Biometrika 94,
    1-18). With n candidates, n·Phi(-z)·share such maxima are to be expected, 1 - exp(-that) is the probability.

    Parameters
    ----------
    score
        (rows, columns) best whole-pixel score; NaN gives NaN, and 0 or less 1.
    effective
        (rows, columns) effective pixels; where 0 the result is 1.
    excess
        (rows, columns) excess of the fourth moments of the pixels over those of a normal distribution, as of `excess`.
    candidates
        (rows, columns) candidates that can be accepted.
    rough
        (2,) correlation of scores one pixel apart along y and x.
    pixels
        Pixels of the template.
    """
    for row in range(score.shape[0]):
        for column in range(score.shape[1]):
            r = float(score[row, column])
            d = float(effective[row, column])
            if r != r:
                out[row, column] = np.nan
                continue
            if r <= 0.0 or d <= 0.0:
                out[row, column] = 1.0
                continue
            rest = max(1.0 - r * r, 1e-7)
            freedom = max(d, LEAST_PIXELS) - 1.0
            bend = (1.0 - min(d / pixels, 1.0) ** 3) / 3.0
            log = -math.log(rest)
            whole = log * (1.0 + bend * log)
            points = max((freedom + 1.0) / (1.0 + excess[row, column]) - 1.0, 0.0)
            share = (r * r * _bennett(r * excess[row, column]) + points / freedom * (whole - r * r)) / whole
            level = (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0) * math.sqrt(freedom * whole * share)
            steepness = level
            if freedom >= LEAST_FREEDOM:
                steepness = math.sqrt(freedom * (1.0 + 2.0 * bend * log) * r * r / rest * share)
            expected = candidates[row, column] * 0.5 * math.erfc(level / math.sqrt(2.0))
            for axis in range(2):
                rho = rough[axis]
                above = math.sqrt((1.0 - rho) / (1.0 + rho)) * max(steepness, LEAST_LEVEL)
                higher = 0.5 * math.erfc(above / math.sqrt(2.0))
                expected *= 1.0 - 2.0 * higher + (1.0 - rho * rho) * higher * higher
            out[row, column] = -math.expm1(-expected)
