"""Linear equations of dense matching: the second image at a field, its residual, and what it says of the motion.

Fields live on blocks of 2x2 pixels. All arrays are float32; the two images share their pixels, but for an origin: pixel
(0, 0) of the first one lies at `origin` (y, x) of the second.
"""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel, kernel
from xoffset._kernels.images.windows import sum_along

# Side of a block of the field, px.
BLOCK = 2
# Layers of `look`: energies of both images, their product, pixels known in both.
FIRST, SECOND, PRODUCT, COUNT = 0, 1, 2, 3


@kernel
def box(image, side, out):
    """Sums over side x side, side odd, of an image that is zero beyond its edges."""
    rows, columns = image.shape
    reach = side // 2
    sums = np.zeros(columns + 2 * reach)
    line = np.empty(columns)
    inner = sums[reach : reach + columns]
    for y in range(-reach, rows):
        if y + reach < rows:
            source = image[y + reach]
            for x in range(columns):
                inner[x] += source[x]
        if y - reach - 1 >= 0:
            source = image[y - reach - 1]
            for x in range(columns):
                inner[x] -= source[x]
        if y >= 0:
            sum_along(sums, side, line)
            target = out[y]
            for x in range(columns):
                target[x] = line[x]


@hot_kernel
def _weights(fraction, out):
    """Weights of the four coefficients of a cubic B-spline around a fraction of a pixel."""
    # whole numbers would make doubles of all
    one, sixth, half = np.float32(1.0), np.float32(1.0 / 6.0), np.float32(0.5)
    rest = one - fraction
    out[0] = rest * rest * rest * sixth
    out[3] = fraction * fraction * fraction * sixth
    out[1] = np.float32(2.0 / 3.0) - fraction * fraction * (one - half * fraction)
    out[2] = one - out[0] - out[1] - out[3]


@hot_kernel
def look(first, weight, spline, known, origin, field_x, field_y, values, shared, sums):
    """Second image at the field, where it is known, and the sums of both images over blocks.

    Parameters
    ----------
    first, weight
        (2·rows, 2·columns) pixels of the first image, and 1 where they count, else 0.
    spline, known
        (height, width) B-spline coefficients of the second image, and 1 where it is known, else 0.
    origin
        (y, x) in the second image of the first pixel.
    field_x, field_y
        (rows, columns) displacement of the blocks, px.
    values, shared
        (2·rows, 2·columns) second image at the field, and the weight where it is known there, else 0.
    sums
        (4, rows, columns): see FIRST to COUNT.
    """
    height, width = spline.shape
    along_x, along_y, lines = np.empty(4, np.float32), np.empty(4, np.float32), np.empty((2, 5), np.float32)
    nothing = np.float32(0.0)
    for row in range(field_x.shape[0]):
        for column in range(field_x.shape[1]):
            y, x = BLOCK * row, BLOCK * column
            at_y, at_x = origin[0] + y + field_y[row, column], origin[1] + x + field_x[row, column]
            one, two, product, count = nothing, nothing, nothing, nothing
            # a field that has lost all bounds is nowhere
            is_inside = at_x >= 1 and at_y >= 1 and at_x < width - 3 and at_y < height - 3
            if not is_inside:
                for i in range(BLOCK):
                    for j in range(BLOCK):
                        values[y + i, x + j], shared[y + i, x + j] = nothing, nothing
            else:
                top, left = int(at_y), int(at_x)
                _weights(np.float32(at_x - left), along_x)
                _weights(np.float32(at_y - top), along_y)
                for j in range(5):
                    c0, c1, c2 = spline[top - 1, left - 1 + j], spline[top, left - 1 + j], spline[top + 1, left - 1 + j]
                    c3, c4 = spline[top + 2, left - 1 + j], spline[top + 3, left - 1 + j]
                    lines[0, j] = along_y[0] * c0 + along_y[1] * c1 + along_y[2] * c2 + along_y[3] * c3
                    lines[1, j] = along_y[0] * c1 + along_y[1] * c2 + along_y[2] * c3 + along_y[3] * c4
                for i in range(BLOCK):
                    for j in range(BLOCK):
                        near = known[top + i, left + j] * known[top + i, left + j + 1]
                        near *= known[top + i + 1, left + j] * known[top + i + 1, left + j + 1]
                        fit = weight[y + i, x + j] * near
                        value = along_x[0] * lines[i, j] + along_x[1] * lines[i, j + 1]
                        value += along_x[2] * lines[i, j + 2] + along_x[3] * lines[i, j + 3]
                        own = first[y + i, x + j]
                        values[y + i, x + j], shared[y + i, x + j] = value, fit
                        one += fit * own * own
                        two += fit * value * value
                        product += fit * own * value
                        count += fit
            sums[0, row, column], sums[1, row, column] = one, two
            sums[2, row, column], sums[3, row, column] = product, count


@hot_kernel
def gains(one, two, out):
    """Factor of the second image that gives it the energy of the first, from sums of both (rows, columns)."""
    tiny, low, high = np.float32(1e-3), np.float32(0.25), np.float32(4.0)
    for row in range(out.shape[0]):
        a, b, line = one[row], two[row], out[row]
        for x in range(line.size):
            line[x] = min(max(np.sqrt((a[x] + tiny) / (b[x] + tiny)), low), high)


@hot_kernel
def mean_residual(sums, gain, out):
    """Mean squared residual of the first image minus gain times the second, from sums as of `look`."""
    nothing, one, two = np.float32(0.0), np.float32(1.0), np.float32(2.0)
    for row in range(out.shape[0]):
        a, b, c, n, g, line = sums[0, row], sums[1, row], sums[2, row], sums[3, row], gain[row], out[row]
        for x in range(line.size):
            line[x] = max(a[x] - two * g[x] * c[x] + g[x] * g[x] * b[x], nothing) / max(n[x], one)


@hot_kernel
def equations(images, values, shared, gain, residual, field_x, field_y, noise, tolerance, system):
    """Sums over blocks of g g' and g (g·d + e), e the residual, divided by its variance; (5, rows, columns).

    Parameters
    ----------
    images
        (3, 2·rows, 2·columns): first image, its slopes g along x and along y.
    values, shared
        As from `look`.
    gain, residual
        (rows, columns): as from `gains` and `mean_residual`.
    field_x, field_y
        (rows, columns) where the second image was looked at.
    noise
        (2,): variance of the residual; variance of sums of slopes times residual over that of a white residual.
    tolerance
        Mean squared residual at which a block has half of its weight.
    system
        J along x, across and along y, r along x and y.
    """
    limit = np.float32(2.5) * np.sqrt(noise[0])
    one, tiny = np.float32(1.0), np.float32(1e-9)
    scale = one / (noise[0] * noise[1])
    per_tolerance = one / tolerance
    nothing = np.float32(0.0)
    for row in range(field_x.shape[0]):
        for column in range(field_x.shape[1]):
            excess = residual[row, column] * per_tolerance
            of_block, factor = scale / (one + excess * excess), gain[row, column]
            xx, xy, yy, rx, ry = nothing, nothing, nothing, nothing, nothing
            for i in range(BLOCK):
                for j in range(BLOCK):
                    y, x = BLOCK * row + i, BLOCK * column + j
                    e = images[0, y, x] - factor * values[y, x]
                    w = shared[y, x] * of_block * min(one, limit / max(abs(e), tiny))
                    u, v = images[1, y, x], images[2, y, x]
                    xx += w * u * u
                    xy += w * u * v
                    yy += w * v * v
                    rx += w * u * e
                    ry += w * v * e
            d, f = field_x[row, column], field_y[row, column]
            system[0, row, column], system[1, row, column], system[2, row, column] = xx, xy, yy
            system[3, row, column], system[4, row, column] = rx + xx * d + xy * f, ry + xy * d + yy * f


@hot_kernel
def _steps(x0, x1, y0, y1, largest, out):
    """1 where the four blocks of two rows around a point differ by more than `largest` along x or y, else 0."""
    for x in range(out.size):
        low = min(min(x0[x], x0[x + 1]), min(x1[x], x1[x + 1]))
        high = max(max(x0[x], x0[x + 1]), max(x1[x], x1[x + 1]))
        least = min(min(y0[x], y0[x + 1]), min(y1[x], y1[x + 1]))
        most = max(max(y0[x], y0[x + 1]), max(y1[x], y1[x + 1]))
        out[x] = 1 if max(high - low, most - least) > largest else 0


@kernel
def at_nodes(layers, first_y, first_x, step, largest, out):
    """Values at pixels of layers (n, rows, columns) on blocks: out (n, node rows, node columns).

    They are bilinear, but for where the first two layers, a displacement, differ by more than `largest` between the
    four blocks around: a fault has no motion between those of its sides, and what is told is that of the nearest block.
    """
    rows, columns = layers.shape[1:]
    count = out.shape[2]
    left, part = np.empty(count, np.int32), np.empty(count, np.float32)
    for j in range(count):
        at_x = min(max((first_x + j * step - 0.5) / BLOCK, 0.0), columns - 1.0)
        left[j] = min(int(at_x), max(columns - 2, 0))
        part[j] = at_x - left[j]
    # the last column once more, for fields of one
    line = np.empty(columns + 1, np.float32)
    is_step = np.zeros(columns, np.uint8)
    half = np.float32(0.5)
    for i in range(out.shape[1]):
        at_y = min(max((first_y + i * step - 0.5) / BLOCK, 0.0), rows - 1.0)
        top = min(int(at_y), max(rows - 2, 0))
        bottom, part_y = min(top + 1, rows - 1), np.float32(at_y - top)
        _steps(layers[0, top], layers[0, bottom], layers[1, top], layers[1, bottom], largest, is_step[: columns - 1])
        nearest = bottom if part_y > half else top
        for k in range(layers.shape[0]):
            upper, lower, near, target = layers[k, top], layers[k, bottom], layers[k, nearest], out[k, i]
            for x in range(columns):
                line[x] = upper[x] + part_y * (lower[x] - upper[x])
            line[columns] = line[columns - 1]
            for j in range(count):
                at = left[j]
                value = line[at] + part[j] * (line[at + 1] - line[at])
                target[j] = near[min(at + (part[j] > half), columns - 1)] if is_step[at] else value


@hot_kernel
def _column_sums(first, values, shared, sign, sums):
    s0, s1, s2, s3, s4, s5 = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]
    for x in range(first.size):
        w, a, b = sign * shared[x], first[x], values[x]
        s0[x] += w
        s1[x] += w * a
        s2[x] += w * b
        s3[x] += w * a * a
        s4[x] += w * b * b
        s5[x] += w * a * b


@kernel
def scores(first, values, shared, least, side, first_y, first_x, step, out, count):
    """Zero-mean correlation of the windows of nodes, and the pixels known in both: out, count (node rows, columns).

    The window of node (i, j) begins at pixel (first_y + i·step, first_x + j·step) of first, values and shared (rows,
    columns), as of `look`. NaN where a window has no contrast: the variance of either image is at most its `least`
    (first, second).
    """
    columns = first.shape[1]
    sums = np.zeros((6, columns), np.float64)
    totals = np.empty((6, columns - side + 1), np.float64)
    low = 0  # rows low to high are in the sums
    high = 0
    sign, minus = np.float32(1.0), np.float32(-1.0)
    for i in range(out.shape[0]):
        top = first_y + i * step
        if top >= high:
            for k in range(6):
                for x in range(columns):
                    sums[k, x] = 0.0
            low, high = top, top
        while high < top + side:
            _column_sums(first[high], values[high], shared[high], sign, sums)
            high += 1
        while low < top:
            _column_sums(first[low], values[low], shared[low], minus, sums)
            low += 1
        for k in range(6):
            sum_along(sums[k], side, totals[k])
        for j in range(out.shape[1]):
            x = first_x + j * step
            n = totals[0, x]
            count[i, j] = n
            out[i, j] = np.nan
            if n > 1.5:
                a, b = totals[1, x] / n, totals[2, x] / n
                aa, bb, ab = totals[3, x] / n - a * a, totals[4, x] / n - b * b, totals[5, x] / n - a * b
                if aa > least[0] and bb > least[1]:
                    out[i, j] = max(min(ab / np.sqrt(aa * bb), 1.0), -1.0)
