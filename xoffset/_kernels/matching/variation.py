"""Total variation of a displacement field: primal-dual steps on grids from coarse to fine, serial and in float32."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel, kernel


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
    per_square = np.float32(1.0) / (scale * scale)
    for y in range(rows):
        x0, x1 = field_x[y], field_x[min(y + 1, rows - 1)]
        y0, y1 = field_y[y], field_y[min(y + 1, rows - 1)]
        line = weight[y]
        for x in range(columns):
            beside = min(x + 1, columns - 1)
            a, b, c, d = x0[beside] - x0[x], x1[x] - x0[x], y0[beside] - y0[x], y1[x] - y0[x]
            square = (a * a + b * b + c * c + d * d) * per_square
            line[x] = max(line[x] / (1 + square * square), np.float32(1e-12))


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
def _ascend(e0, e1, f0, f1, limit, metric, step, p0, p1, p2, p3):
    """A step of the dual variables of a row, brought back to where their length is at most the limit.

    e0, f0: components of the extrapolated field in this row, e1, f1: in the next; p0, p1: dual of the slopes of the
    first component along x and y; p2, p3: of the second.
    """
    xx, xy, yy, ixx, ixy, iyy = metric[0], metric[1], metric[2], metric[3], metric[4], metric[5]
    last = limit.size - 1
    for x in range(last):
        a, b = e0[x + 1] - e0[x], e1[x] - e0[x]
        c, d = f0[x + 1] - f0[x], f1[x] - f0[x]
        u0 = p0[x] + step * (xx * a + xy * b)
        u1 = p1[x] + step * (xy * a + yy * b)
        u2 = p2[x] + step * (xx * c + xy * d)
        u3 = p3[x] + step * (xy * c + yy * d)
        square = ixx * (u0 * u0 + u2 * u2) + 2 * ixy * (u0 * u1 + u2 * u3) + iyy * (u1 * u1 + u3 * u3)
        factor = limit[x] / max(np.sqrt(square), limit[x])
        p0[x], p1[x], p2[x], p3[x] = factor * u0, factor * u1, factor * u2, factor * u3
    # beyond the last column there is no slope along x
    u1 = p1[last] + step * yy * (e1[last] - e0[last])
    u3 = p3[last] + step * yy * (f1[last] - f0[last])
    factor = limit[last] / max(np.sqrt((u1 * u1 + u3 * u3) / max(yy, np.float32(1e-9))), limit[last])
    p0[last], p1[last], p2[last], p3[last] = 0, factor * u1, 0, factor * u3


@hot_kernel
def _descend(r0, r1, i0, i1, i2, p0, p1, p2, p3, q1, q3, tau, d0, d1, e0, f0):
    """A step of a row of the field d0, d1, and its extrapolation e0, f0; q1, q3: dual of the row above along y."""
    u = d0[0] + tau * (p0[0] + p1[0] - q1[0] + r0[0])
    v = d1[0] + tau * (p2[0] + p3[0] - q3[0] + r1[0])
    a, b = i0[0] * u + i1[0] * v, i1[0] * u + i2[0] * v
    e0[0], f0[0], d0[0], d1[0] = 2 * a - d0[0], 2 * b - d1[0], a, b
    for x in range(1, d0.size):
        u = d0[x] + tau * (p0[x] - p0[x - 1] + p1[x] - q1[x] + r0[x])
        v = d1[x] + tau * (p2[x] - p2[x - 1] + p3[x] - q3[x] + r1[x])
        a, b = i0[x] * u + i1[x] * v, i1[x] * u + i2[x] * v
        e0[x], f0[x] = 2 * a - d0[x], 2 * b - d1[x]
        d0[x], d1[x] = a, b


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
    step = np.float32(1.0) / (8 * tau)
    nothing = np.zeros(columns, np.float32)
    # beyond the last row there is no slope along y
    of_last = np.zeros(6, np.float32)
    of_last[0], of_last[3] = metric[0], 1 / metric[0]
    _invert(system, tau, work[2:])
    for y in range(rows):
        a, b, c, d = field_x[y], field_y[y], work[0, y], work[1, y]
        for x in range(columns):
            c[x], d[x] = a[x], b[x]
    for _ in range(iterations):
        for y in range(rows):
            below = min(y + 1, rows - 1)
            p0, p1, p2, p3 = dual[0, y], dual[1, y], dual[2, y], dual[3, y]
            weights = metric if y < rows - 1 else of_last
            _ascend(work[0, y], work[0, below], work[1, y], work[1, below], limit[y], weights, step, p0, p1, p2, p3)
            q1, q3 = (dual[1, y - 1], dual[3, y - 1]) if y > 0 else (nothing, nothing)
            _descend(
                system[3, y], system[4, y], work[2, y], work[3, y], work[4, y], p0, p1, p2, p3, q1, q3, tau,
                field_x[y], field_y[y], work[0, y], work[1, y],
            )  # fmt: skip
