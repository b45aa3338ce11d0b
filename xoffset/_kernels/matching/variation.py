"""Total variation of a displacement field: primal-dual steps on grids from coarse to fine, serial and in float32."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel, kernel

# Iterations that go through the rows together: what they touch, some 150 kB a thousand columns, stays in the cache.
TOGETHER = 8


@hot_kernel
def halve(image, share, out):
    """`share` times the sums over 2x2."""
    for y in range(out.shape[0]):
        upper, lower, line = image[2 * y], image[2 * y + 1], out[y]
        for x in range(line.size):
            line[x] = share * (upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1])


@hot_kernel
def add_change(after, before, out):
    """Add to a field what has changed on a grid of half as many nodes; the last odd ones take that beside them."""
    rows, columns = after.shape
    for y in range(out.shape[0]):
        row = min(y // 2, rows - 1)
        new, old, line = after[row], before[row], out[y]
        for x in range(line.size):
            column = min(x // 2, columns - 1)
            line[x] += new[column] - old[column]


@kernel
def soften(field_x, field_y, scale, weight):
    """Lower the weight (rows, columns) where the field steps by more than `scale` from one node to the next.

    A step then costs less for each pixel that it is high, so that a sharp one is not spread over several nodes.
    """
    rows, columns = weight.shape
    one = np.float32(1.0)
    per_square = one / (scale * scale)
    for y in range(rows):
        x0, x1 = field_x[y], field_x[min(y + 1, rows - 1)]
        y0, y1 = field_y[y], field_y[min(y + 1, rows - 1)]
        line = weight[y]
        for x in range(columns):
            beside = min(x + 1, columns - 1)
            a, b, c, d = x0[beside] - x0[x], x1[x] - x0[x], y0[beside] - y0[x], y1[x] - y0[x]
            square = (a * a + b * b + c * c + d * d) * per_square
            line[x] = max(line[x] / (one + square * square * square), np.float32(1e-12))


@hot_kernel
def _invert(system, tau, inverse):
    """Inverse of the unit matrix plus tau times the information, by node."""
    one = np.float32(1.0)
    for y in range(system.shape[1]):
        a, b, c = system[0, y], system[1, y], system[2, y]
        i0, i1, i2 = inverse[0, y], inverse[1, y], inverse[2, y]
        for x in range(a.size):
            xx, xy, yy = one + tau * a[x], tau * b[x], one + tau * c[x]
            factor = one / (xx * yy - xy * xy)
            i0[x], i1[x], i2[x] = yy * factor, -xy * factor, xx * factor


@hot_kernel
def _climb(ahead, y, below, a, b, c, dual, k):
    """A step of layers k and k + 1 of the dual of row y, those of the slopes along x and y of one component."""
    for x in range(ahead.shape[1] - 1):
        right, under = ahead[y, x + 1] - ahead[y, x], ahead[below, x] - ahead[y, x]
        dual[k, y, x] += a * right + b * under
        dual[k + 1, y, x] += b * right + c * under


@hot_kernel
def _shrink(factor, dual, k, y):
    for x in range(factor.size):
        dual[k, y, x] *= factor[x]
        dual[k + 1, y, x] *= factor[x]


@hot_kernel
def _ascend(ahead_x, ahead_y, y, limit, metric, step, dual, factor):
    """A step of the dual of row y, brought back to where its length is at most the limit.

    ahead_x, ahead_y: components of the extrapolated field; factor: scratch. Loops are short, since a compiler makes
    vectors of those only that write to few arrays.
    """
    xx, xy, yy, ixx, ixy, iyy = metric[0], metric[1], metric[2], metric[3], metric[4], metric[5]
    # a whole number would make doubles of all
    both = ixy + ixy
    last, below = limit.shape[1] - 1, min(y + 1, limit.shape[0] - 1)
    _climb(ahead_x, y, below, step * xx, step * xy, step * yy, dual, 0)
    _climb(ahead_y, y, below, step * xx, step * xy, step * yy, dual, 2)
    for x in range(last):
        square = ixx * (dual[0, y, x] * dual[0, y, x] + dual[2, y, x] * dual[2, y, x])
        square += iyy * (dual[1, y, x] * dual[1, y, x] + dual[3, y, x] * dual[3, y, x])
        square += both * (dual[0, y, x] * dual[1, y, x] + dual[2, y, x] * dual[3, y, x])
        factor[x] = limit[y, x] / max(np.sqrt(square), limit[y, x])
    # beyond the last column there is no slope along x
    dual[0, y, last], dual[2, y, last] = 0, 0
    dual[1, y, last] += step * yy * (ahead_x[below, last] - ahead_x[y, last])
    dual[3, y, last] += step * yy * (ahead_y[below, last] - ahead_y[y, last])
    square = dual[1, y, last] * dual[1, y, last] + dual[3, y, last] * dual[3, y, last]
    square /= max(yy, np.float32(1e-9))
    factor[last] = limit[y, last] / max(np.sqrt(square), limit[y, last])
    _shrink(factor, dual, 0, y)
    _shrink(factor, dual, 2, y)


@hot_kernel
def _pull(field, y, right, tau, dual, k, out):
    """Row y of a component moved by tau times what the data, `right`, and its dual ask for."""
    out[0] = field[y, 0] + tau * (dual[k, y, 0] + dual[k + 1, y, 0] + right[y, 0])
    for x in range(1, out.size):
        out[x] = field[y, x] + tau * (dual[k, y, x] - dual[k, y, x - 1] + dual[k + 1, y, x] + right[y, x])
    if y > 0:
        for x in range(out.size):
            out[x] -= tau * dual[k + 1, y - 1, x]


@hot_kernel
def _extrapolate(inverse, k, y, u, v, field, out):
    """Twice the new component of row y, by layers k and k + 1 of the inverse, minus the old one."""
    two = np.float32(2.0)
    for x in range(u.size):
        out[y, x] = two * (inverse[k, y, x] * u[x] + inverse[k + 1, y, x] * v[x]) - field[y, x]


@hot_kernel
def _descend(right_x, right_y, inverse, dual, y, tau, field_x, field_y, ahead_x, ahead_y, u, v):
    """A step of row y of the field, and its extrapolation; u, v: scratch."""
    _pull(field_x, y, right_x, tau, dual, 0, u)
    _pull(field_y, y, right_y, tau, dual, 2, v)
    _extrapolate(inverse, 0, y, u, v, field_x, ahead_x)
    _extrapolate(inverse, 1, y, u, v, field_y, ahead_y)
    half = np.float32(0.5)
    for x in range(u.size):
        field_x[y, x] = half * (field_x[y, x] + ahead_x[y, x])
        field_y[y, x] = half * (field_y[y, x] + ahead_y[y, x])


@hot_kernel
def descend(system, limit, metric, tau, iterations, field_x, field_y, dual, work):
    """Steps toward the field that minimises Σ ½ d'Jd - r'd + limit·√(Σ g'Tg), g the gradient of a component.

    Primal-dual algorithm of Chambolle & Pock (2011, J. Math. Imaging Vis. 40, 120-145). All arrays are float32.

    Parameters
    ----------
    system
        (5, rows, columns): J along x, across and along y, then r along x and y.
    limit
        (rows, columns): weight of the variation, above 0.
    metric
        (6,): T along x, across and along y, largest eigenvalue 1; then its inverse. The unit matrix weighs all
        directions alike.
    tau
        Step of the field; about the inverse of J suits.
    iterations
        Number of steps.
    field_x, field_y
        (rows, columns), replaced.
    dual
        (4, rows, columns), replaced.
    work
        (5, rows, columns) scratch.
    """
    rows, columns = field_x.shape
    step = np.float32(1.0) / (np.float32(8.0) * tau)
    u, v = np.empty(columns, np.float32), np.empty(columns, np.float32)
    # beyond the last row there is no slope along y
    of_last = np.zeros(6, np.float32)
    of_last[0], of_last[3] = metric[0], np.float32(1.0) / metric[0]
    ahead_x, ahead_y, inverse, right_x, right_y = work[0], work[1], work[2:], system[3], system[4]
    _invert(system, tau, inverse)
    for y in range(rows):
        for x in range(columns):
            ahead_x[y, x], ahead_y[y, x] = field_x[y, x], field_y[y, x]
    for begun in range(0, iterations, TOGETHER):
        together = min(iterations - begun, TOGETHER)
        # an iteration needs of the last one the next row only: some follow each other while the rows are at hand
        for front in range(rows + together - 1):
            for k in range(max(front - rows + 1, 0), min(front + 1, together)):
                y = front - k
                weights = metric if y < rows - 1 else of_last
                _ascend(ahead_x, ahead_y, y, limit, weights, step, dual, u)
                _descend(right_x, right_y, inverse, dual, y, tau, field_x, field_y, ahead_x, ahead_y, u, v)
