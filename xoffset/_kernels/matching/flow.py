"""Least-squares motion of windows from the linear equations of their blocks."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel, kernel
from xoffset._kernels.matching.residuals import _weights


@hot_kernel
def gather(images, weight, spline, known, origin, field_x, field_y, factor, limit, system, seen):
    """Linear equations of the blocks where the second image is looked at, and how alike both images are there.

    Parameters
    ----------
    images
        (3, 2·rows, 2·columns): first image, its slopes g along x and along y.
    weight
        (2·rows, 2·columns): 1 where the first image counts, else 0.
    spline, known
        (height, width) B-spline coefficients of the second image, and 1 where it is known, else 0.
    origin
        (y, x) in the second image of the first pixel of the first one.
    field_x, field_y
        (rows, columns) displacement of the blocks, px.
    factor
        (2, rows, columns): 1, or -1 where the contrast is inverted; weight of a block.
    limit
        Residual above which a pixel loses weight.
    system
        (5, rows, columns): sums of g g' along x, across and along y, and of g (g·d + e) along x and y, e the residual.
    seen
        (3, rows, columns): sums of the product of both images, of the squared residual, and of known pixels.
    """
    height, width = spline.shape
    along_x, along_y, lines = np.empty(4, np.float32), np.empty(4, np.float32), np.empty((2, 5), np.float32)
    nothing, one, tiny = np.float32(0.0), np.float32(1.0), np.float32(1e-9)
    for row in range(field_x.shape[0]):
        for column in range(field_x.shape[1]):
            y, x = 2 * row, 2 * column
            d, f = field_x[row, column], field_y[row, column]
            at_y, at_x = origin[0] + y + f, origin[1] + x + d
            xx, xy, yy, rx, ry = nothing, nothing, nothing, nothing, nothing
            product, square, count = nothing, nothing, nothing
            sign, of_block = factor[0, row, column], factor[1, row, column]
            if at_x >= 1 and at_y >= 1 and at_x < width - 3 and at_y < height - 3:
                top, left = int(at_y), int(at_x)
                _weights(np.float32(at_x - left), along_x)
                _weights(np.float32(at_y - top), along_y)
                for j in range(5):
                    c0, c1, c2 = spline[top - 1, left - 1 + j], spline[top, left - 1 + j], spline[top + 1, left - 1 + j]
                    c3, c4 = spline[top + 2, left - 1 + j], spline[top + 3, left - 1 + j]
                    lines[0, j] = along_y[0] * c0 + along_y[1] * c1 + along_y[2] * c2 + along_y[3] * c3
                    lines[1, j] = along_y[0] * c1 + along_y[1] * c2 + along_y[2] * c3 + along_y[3] * c4
                for i in range(2):
                    for j in range(2):
                        near = known[top + i, left + j] * known[top + i, left + j + 1]
                        near *= known[top + i + 1, left + j] * known[top + i + 1, left + j + 1]
                        fit = weight[y + i, x + j] * near
                        value = along_x[0] * lines[i, j] + along_x[1] * lines[i, j + 1]
                        value += along_x[2] * lines[i, j + 2] + along_x[3] * lines[i, j + 3]
                        own = images[0, y + i, x + j]
                        e = own - sign * value
                        product += fit * own * value
                        square += fit * e * e
                        count += fit
                        w = fit * of_block * min(one, limit / max(abs(e), tiny))
                        u, v = images[1, y + i, x + j], images[2, y + i, x + j]
                        xx += w * u * u
                        xy += w * u * v
                        yy += w * v * v
                        rx += w * u * e
                        ry += w * v * e
            system[0, row, column], system[1, row, column], system[2, row, column] = xx, xy, yy
            system[3, row, column], system[4, row, column] = rx + xx * d + xy * f, ry + xy * d + yy * f
            seen[0, row, column], seen[1, row, column], seen[2, row, column] = product, square, count


@hot_kernel
def trust(square, count, tolerance, out):
    """Weight of each block, half where the mean squared residual around is the tolerance."""
    one = np.float32(1.0)
    for row in range(out.shape[0]):
        a, n, line = square[row], count[row], out[row]
        for x in range(line.size):
            excess = a[x] / (max(n[x], one) * tolerance)
            line[x] = one / (one + excess * excess)


@hot_kernel
def solve(sums, damping, bounds, field_x, field_y):
    """Replace the field by the solution of (J + damping) d = r + damping·d, but for what lies beyond the bounds.

    `sums` (5, rows, columns): J and r as of `gather`. Where little is known the field stays. `bounds`, (4, rows,
    columns) or (4, 1, 1): least and largest displacement along x, then along y.
    """
    for row in range(field_x.shape[0]):
        a, b, c, p, q = sums[0, row], sums[1, row], sums[2, row], sums[3, row], sums[4, row]
        line_x, line_y = field_x[row], field_y[row]
        for x in range(line_x.size):
            xx, xy, yy = a[x] + damping, b[x], c[x] + damping
            rx, ry = p[x] + damping * line_x[x], q[x] + damping * line_y[x]
            inverse = 1 / (xx * yy - xy * xy)
            line_x[x], line_y[x] = (yy * rx - xy * ry) * inverse, (xx * ry - xy * rx) * inverse
        at = min(row, bounds.shape[1] - 1)
        b0, b1, b2, b3 = bounds[0, at], bounds[1, at], bounds[2, at], bounds[3, at]
        if b0.size == 1:
            low_x, high_x, low_y, high_y = b0[0], b1[0], b2[0], b3[0]
            for x in range(line_x.size):
                line_x[x] = min(max(line_x[x], low_x), high_x)
                line_y[x] = min(max(line_y[x], low_y), high_y)
        else:
            for x in range(line_x.size):
                line_x[x] = min(max(line_x[x], b0[x]), b1[x])
                line_y[x] = min(max(line_y[x], b2[x]), b3[x])


@hot_kernel
def turn(product, count, least, sign):
    """Sign -1 where windows of unit variance correlate below -`least`, else 1; sums over windows (rows, columns)."""
    one = np.float32(1.0)
    for row in range(sign.shape[0]):
        a, n, line = product[row], count[row], sign[row]
        for x in range(line.size):
            line[x] = -one if a[x] < -least * n[x] else one


@hot_kernel
def multiply(system, field_x, field_y, out_x, out_y):
    """J times a field; `system` (5, rows, columns) as of `gather`, all others (rows, columns)."""
    for row in range(field_x.shape[0]):
        a, b, c, u, v = system[0, row], system[1, row], system[2, row], field_x[row], field_y[row]
        to_x, to_y = out_x[row], out_y[row]
        for x in range(u.size):
            to_x[x], to_y[x] = a[x] * u[x] + b[x] * v[x], b[x] * u[x] + c[x] * v[x]


@hot_kernel
def differ(sums, field_x, field_y, out):
    """Squares along x and y, and product, of a field minus the solution of J d = r: out (3, rows, columns).

    `sums` (5, rows, columns): J and r. Zero where J is singular.
    """
    for row in range(field_x.shape[0]):
        a, b, c, p, q = sums[0, row], sums[1, row], sums[2, row], sums[3, row], sums[4, row]
        u, v, xx, yy, xy = field_x[row], field_y[row], out[0, row], out[1, row], out[2, row]
        for x in range(u.size):
            trace = a[x] + c[x]
            determinant = a[x] * c[x] - b[x] * b[x]
            is_fit = determinant > np.float32(1e-4) * trace * trace
            inverse = (1 if is_fit else 0) / (determinant if is_fit else np.float32(1.0))
            dx = inverse * (a[x] * c[x] * u[x] - b[x] * b[x] * u[x] - (c[x] * p[x] - b[x] * q[x]))
            dy = inverse * (a[x] * c[x] * v[x] - b[x] * b[x] * v[x] - (a[x] * q[x] - b[x] * p[x]))
            xx[x], yy[x], xy[x] = dx * dx, dy * dy, dx * dy


@kernel
def covariances(sums, least_ratio, largest, factor, out):
    """Variances along x and y, and the covariance, of windows: `factor` times the inverse of J; (3, rows, columns).

    NaN where J is singular: its smaller eigenvalue is below `least_ratio` of the larger one, or leaves a variance above
    `largest`.
    """
    for row in range(out.shape[1]):
        for x in range(out.shape[2]):
            xx, xy, yy = sums[0, row, x], sums[1, row, x], sums[2, row, x]
            half, root = 0.5 * (xx + yy), np.sqrt(max(0.25 * (xx - yy) * (xx - yy) + xy * xy, 0.0))
            low, high = half - root, half + root
            out[0, row, x], out[1, row, x], out[2, row, x] = np.nan, np.nan, np.nan
            if low > least_ratio * high and low * largest > factor[row, x]:
                scale = factor[row, x] / (xx * yy - xy * xy)
                out[0, row, x], out[1, row, x], out[2, row, x] = yy * scale, xx * scale, -xy * scale
