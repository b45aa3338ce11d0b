"""Vectors along a line: interpolated, averaged across it and turned."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel


@kernel
def _tent(distance, overlap):
    return max(1.0 - abs(distance) / overlap, 0.0)


@kernel
def along(row, column, weight, overlap, turn, fields, out):
    """Mean vector of the points at each place of a line, in the direction of a fault and to the right of it.

    Parameters
    ----------
    row, column, weight
        (corner, sample) the four nodes around each point, four corners a point, and their weights within it.
    overlap
        Number of nodes over which errors correlate, see `gradient`.
    turn
        (2,) sine and cosine of the fault's azimuth, clockwise from y.
    fields
        (5, n, corner, sample) components along x and y at the nodes, their standard errors and the correlation of
        these.
    out
        (4, n, sample): components along the fault and to the right of it, and their standard errors. NaN where less
        than half of the points have a vector: a point lacks it if one of its nodes does.
    """
    layers, corners, samples = fields.shape[1:]
    factor = np.empty(corners)
    for layer in range(layers):
        for sample in range(samples):
            for k in range(4):
                out[k, layer, sample] = np.nan
            count = 0
            for point in range(0, corners, 4):
                is_known = True
                for c in range(point, point + 4):
                    factor[c] = weight[c, sample]
                    if weight[c, sample] != 0.0:
                        is_known = (
                            is_known
                            and np.isfinite(weight[c, sample])
                            and np.isfinite(fields[0, layer, c, sample])
                            and np.isfinite(fields[1, layer, c, sample])
                        )
                if is_known:
                    count += 1
                else:
                    for c in range(point, point + 4):
                        factor[c] = 0.0
            if count == 0 or 8 * count < corners:
                continue
            x, y = 0.0, 0.0
            for c in range(corners):
                factor[c] /= count
                if factor[c] != 0.0:
                    x += factor[c] * fields[0, layer, c, sample]
                    y += factor[c] * fields[1, layer, c, sample]
            xx, yy, xy = 0.0, 0.0, 0.0
            for a in range(corners):
                if factor[a] == 0.0:
                    continue
                for b in range(corners):
                    if factor[b] == 0.0:
                        continue
                    alike = _tent(row[a, sample] - row[b, sample], overlap)
                    alike *= factor[a] * factor[b] * _tent(column[a, sample] - column[b, sample], overlap)
                    if alike == 0.0:
                        continue
                    xx += alike * fields[2, layer, a, sample] * fields[2, layer, b, sample]
                    yy += alike * fields[3, layer, a, sample] * fields[3, layer, b, sample]
                    # the correlation of the components at two nodes is the mean of those at each of them
                    both = 0.5 * (fields[4, layer, a, sample] + fields[4, layer, b, sample])
                    xy += alike * both * fields[2, layer, a, sample] * fields[3, layer, b, sample]
            sine, cosine = turn[0], turn[1]
            out[0, layer, sample] = x * sine + y * cosine
            out[1, layer, sample] = x * cosine - y * sine
            of_both = 2.0 * sine * cosine * xy
            out[2, layer, sample] = np.sqrt(max(sine * sine * xx + cosine * cosine * yy + of_both, 0.0))
            out[3, layer, sample] = np.sqrt(max(cosine * cosine * xx + sine * sine * yy - of_both, 0.0))
