"""Agreement of a vector with the vectors around it."""

from __future__ import annotations

import math

import numpy as np

from xoffset._kernels._jit import kernel

# Distance along each axis to which a node has neighbours, in nodes or in whole windows.
RADIUS = 2
# Rows and columns from a node to each of its neighbours, by rows.
PLACES = np.delete(np.argwhere(np.ones((2 * RADIUS + 1,) * 2)) - RADIUS, 2 * RADIUS * (RADIUS + 1), axis=0)
# Neighbours of a node.
COUNT = len(PLACES)
# Largest gradient of the shifts that is believed, px per px: windows on ground that is strained more do not match.
LARGEST_STRAIN = 0.2
# Nodes of a row that are looked at together, so that what is known of their neighbours stays in the nearest cache.
WIDTH = 128
# Shares of right matches among the neighbours that are thought of, all as likely.
SHARES = (0.2, 0.4, 0.8)
# Distance from the peak of its neighbours at which a weak match may lie, px: at least and at most.
NEAREST, NEAR = 0.4, 0.85
# Distance from which on it belongs to another one, px.
REACH = 3.5
# Largest evidence that is told; more would leave single precision.
MOST_EVIDENCE = 1e30


def sorting_network(size: int) -> np.ndarray:
    """Places to compare and exchange, one pair after the other, until all are in order (Batcher 1968)."""
    pairs = []
    whole = 1 << (size - 1).bit_length()
    p = 1
    while p < whole:
        k = p
        while k >= 1:
            for j in range(k % p, whole - k, 2 * k):
                for i in range(min(k, whole - j - k)):
                    if (i + j) // (2 * p) == (i + j + k) // (2 * p):
                        pairs.append((i + j, i + j + k))
            k //= 2
        p *= 2
    # what lies beyond the end is as good as infinite, and stays there
    return np.array([pair for pair in pairs if pair[1] < size])


_NETWORK = sorting_network(COUNT)


@kernel
def disagrees(dx, dy, sigma, limit, out):
    """Set out where a vector is far from the vector median of its neighbours, or its neighbours agree on nothing.

    The vector median (Astola et al. 1990, Proc. IEEE 78, 678-689) is the neighbour with the least sum of distances to
    the others. Far: more than three times their median distance from it and four standard errors, and in any case more
    than `limit`.

    Parameters
    ----------
    dx, dy, sigma
        (rows, columns) displacement and its standard error; NaN where there is none, infinite where there can be none
        (beyond the edges of the grid, say): such a node is no neighbour.
    limit
        Distance beyond which no vector belongs to its neighbourhood, same unit.
    out
        (rows, columns) uint8.
    """
    rows, columns = dx.shape
    fields, space = _known(dx, dy, sigma), _working_space(dx)
    _, distances, errors, counts, median = space
    for row in range(rows):
        for first in range(0, columns, WIDTH):
            width = min(WIDTH, columns - first)
            out[row, first : first + width] = 0
            if not fields[2, row, first : first + width].any():
                continue
            _look_around(fields, row, first, width, 1, space)
            for c in range(width):
                if fields[2, row, first + c] == 0.0:
                    continue
                known, nodes = int(counts[c]), int(counts[WIDTH + c])
                if known == 0 or 2 * known < nodes:
                    out[row, first + c] = 1
                    continue
                # half of all nodes around, also of those without a vector
                spread = distances[(nodes - 1) // 2 * WIDTH + c]
                noise = _apart(_middle(errors, known, c), sigma[row, first + c])
                most = max(limit, 4.0 * noise)
                far = _apart(dx[row, first + c] - median[c], dy[row, first + c] - median[WIDTH + c])
                if spread > most or not far <= min(max(3.0 * spread, 4.0 * noise), most):
                    out[row, first + c] = 1


@kernel
def likelihood(false_alarm, out):
    """Likelihood ratio that a false alarm makes against unrelated ground, on which its mean is 1.

    (1 - p + p·log p) / (p·log² p), the mean over all powers of p that have this mean (Vovk & Wang 2021, Ann. Stat. 49,
    1736-1754). False alarms that are not known count as 1. Both (rows, columns).
    """
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            p = float(false_alarm[row, column])
            p = min(max(p, 1e-12), 0.999) if p == p else 0.999
            log = math.log(p)
            out[row, column] = (1.0 - p + p * log) / (p * log * log)


@kernel
def evidence(dx, dy, variance, weight, floors, area, largest, stride, out):
    """How much likelier vectors are with the neighbours they have than if all had been drawn by lot, out like `dx`.

    Of two right matches the difference is distributed about zero, with a scale that their errors and the gradients of
    the motion make and a long tail (Student's t of 2 degrees of freedom in two dimensions); matches of unrelated ground
    lie anywhere in the area searched. With a share of right ones among the neighbours, each multiplies the likelihood
    ratio by 1 - share + share·ratio. The mean over the SHARES is at most one, on average over unrelated ground, however
    many neighbours were tried (an e-value, see `likelihood`).

    Parameters
    ----------
    dx, dy
        (rows, columns) displacement.
    variance
        (rows, columns) mean variance of its components.
    weight
        (rows, columns) what the agreement of a neighbour is multiplied by; 0 if it may confirm nothing, negative where
        there is no vector.
    floors
        (COUNT,) square of the difference that motion makes between a node and each neighbour, by rows.
    area
        Area of the displacements that were searched, square of the unit of `dx`.
    largest
        Largest ratio that one neighbour makes.
    stride
        Nodes from a neighbour to the next: as many as it takes until windows share no pixel.
    out
        (rows, columns) likelihood ratio, at most MOST_EVIDENCE; of no meaning where there is no vector.
    """
    rows, columns = dx.shape
    scales = np.array([area / math.pi, largest, 0.0]).astype(dx.dtype)
    shares = np.array(SHARES).astype(dx.dtype)
    products = np.empty((3, columns), dx.dtype)
    ratio = np.empty(columns, dx.dtype)
    for row in range(rows):
        products[:] = 1.0
        for k in range(COUNT):
            down, right = PLACES[k, 0], PLACES[k, 1]
            i, shift = row + down * stride, right * stride
            if i < 0 or i >= rows or abs(shift) >= columns:
                continue
            first, last = max(-shift, 0), columns - max(shift, 0)
            here = (dx[row, first:last], dy[row, first:last], variance[row, first:last])
            first, last, start = first + shift, last + shift, first
            there = (dx[i, first:last], dy[i, first:last], variance[i, first:last], weight[i, first:last])
            scales[2] = floors[k]
            _ratios(here, there, scales, ratio)
            for share in range(3):
                _multiply(products[share, start:], ratio[: last - first], shares[share])
        for column in range(columns):
            out[row, column] = (products[0, column] + products[1, column] + products[2, column]) / 3.0


@kernel
def _ratios(here, there, scales, out):
    """Likelihood ratios of vectors and one neighbour each, less 1; 0 where the neighbour has no vector."""
    x, y, variance = here
    other_x, other_y, other_variance, weight = there
    scale, largest, floor = scales
    zero, one, two = x.dtype.type(0.0), x.dtype.type(1.0), x.dtype.type(2.0)
    for c in range(x.size):
        u, v = x[c] - other_x[c], y[c] - other_y[c]
        wide = two * (variance[c] + other_variance[c]) + floor
        root = wide + u * u + v * v
        ratio = scale * weight[c] * wide / (root * root)
        ratio = ratio if ratio < largest else largest
        out[c] = ratio - one if weight[c] >= zero else zero


@kernel
def _multiply(products, ratios, share):
    one, most = products.dtype.type(1.0), products.dtype.type(MOST_EVIDENCE)
    for c in range(ratios.size):
        value = products[c] * (one + share * ratios[c])
        products[c] = value if value < most else most


@kernel
def strays(dx, dy, sigma, is_weak, stride, pixel, out):
    """Set out where a weak match lies beside the peak that its neighbours found.

    Noise moves a peak by more than its standard error says once that comes near a pixel: the match then sits on the
    flank of the right peak or on what noise raised beside it; where its neighbours are certain, so does what spoils
    this window alone, such as the edge of a cloud. Beside: farther than NEAREST pixels and two standard errors of the
    neighbours, or than NEAR (and than twice what their scatter exceeds that of their errors), and nearer than REACH;
    what is farther is no part of this peak. The peak of the neighbours is that of a plane through those about their
    vector median.

    Parameters
    ----------
    dx, dy, sigma
        (rows, columns) displacement and its standard error; NaN or infinite where there is none.
    is_weak
        (rows, columns) uint8, which to look at.
    stride
        Nodes from a neighbour to the next: as many as it takes until windows share no pixel.
    pixel
        Side of a pixel, in the unit of `dx`.
    out
        (rows, columns) uint8.
    """
    rows, columns = dx.shape
    fields, space = _known(dx, dy, sigma), _working_space(dx)
    around, distances, errors, counts, median = space
    sums = np.empty((6, 5))
    for row in range(rows):
        for first in range(0, columns, WIDTH):
            width = min(WIDTH, columns - first)
            out[row, first : first + width] = 0
            if not is_weak[row, first : first + width].any():
                continue
            _look_around(fields, row, first, width, stride, space)
            for c in range(width):
                known = int(counts[c])
                if not is_weak[row, first + c] or known == 0:
                    continue
                noise = _middle(errors, known, c)
                spread = distances[(known - 1) // 2 * WIDTH + c]
                x, y, scatter = _plane_about(around, median, max(spread, noise), c, sums)
                far = _apart(dx[row, first + c] - x, dy[row, first + c] - y)
                excess = max(scatter - math.sqrt(2.0) * noise, 0.0)
                near = min(NEAREST * pixel + 2.0 * noise, NEAR * pixel)
                allowed = max(min(4.0 * _apart(noise, sigma[row, first + c]), near), 2.0 * excess)
                if allowed < far < REACH * pixel:
                    out[row, first + c] = 1


@kernel
def _known(dx, dy, sigma):
    """Fields (5, rows, columns): dx, dy, whether they are known, errors, and whether a node could hold a vector.

    What is not known is 0, and its error infinite.
    """
    fields = np.zeros((5, *dx.shape), dx.dtype)
    for row in range(dx.shape[0]):
        for column in range(dx.shape[1]):
            u, v = dx[row, column], dy[row, column]
            fields[3, row, column] = np.inf
            if np.isfinite(u) and np.isfinite(v):
                fields[0, row, column], fields[1, row, column], fields[2, row, column] = u, v, 1.0
                fields[3, row, column] = sigma[row, column]
            fields[4, row, column] = not np.isinf(u)
    return fields


@kernel
def _working_space(like):
    """Arrays that `_look_around` fills: what neighbours hold, their distances and errors, counts, vector medians."""
    return (
        np.empty(3 * COUNT * WIDTH, like.dtype), np.empty(COUNT * WIDTH, like.dtype),
        np.empty(COUNT * WIDTH, like.dtype), np.empty(2 * WIDTH, like.dtype), np.empty(2 * WIDTH, like.dtype),
    )  # fmt: skip


@kernel
def _look_around(fields, row, first, width, stride, space):
    """Neighbours of some nodes of a row and their vector medians; distances from these and errors in order."""
    around, distances, errors, counts, median = space
    _gather(fields, row, first, width, stride, around, errors, counts)
    _vector_median(around, width, distances, median)
    _distances(around, median, width, distances)
    _sort(distances, width)
    _sort(errors, width)


@kernel
def _gather(fields, row, first, width, stride, around, errors, counts):
    """What the neighbours of some nodes of a row hold, COUNT rows of WIDTH each, from the fields of `_known`.

    `around`: dx, dy, and 1 where they are known. `counts`: number of vectors around, and of nodes that could hold one.
    """
    rows, columns = fields.shape[1:]
    counts[:] = 0.0
    for k in range(COUNT):
        down, right = PLACES[k, 0], PLACES[k, 1]
        start, end = k * WIDTH, k * WIDTH + width
        i, j = row + down * stride, first + right * stride
        low, high = max(-j, 0), min(columns - j, width)
        is_outside = i < 0 or i >= rows or low >= high
        x, y = around[start:end], around[COUNT * WIDTH + start : COUNT * WIDTH + end]
        is_known, error = around[2 * COUNT * WIDTH + start : 2 * COUNT * WIDTH + end], errors[start:end]
        if is_outside or high - low < width:
            for c in range(width):
                x[c], y[c], is_known[c], error[c] = 0.0, 0.0, 0.0, np.inf
        if is_outside:
            continue
        source = fields[:, i, j + low : j + high]
        _copy(source[0], x[low:high])
        _copy(source[1], y[low:high])
        _copy(source[2], is_known[low:high])
        _copy(source[3], error[low:high])
        _add(source[2], counts[low:high])
        _add(source[4], counts[WIDTH + low : WIDTH + high])


@kernel
def _copy(values, out):
    for c in range(out.size):
        out[c] = values[c]


@kernel
def _add(values, out):
    for c in range(out.size):
        out[c] += values[c]


@kernel
def _vector_median(around, width, totals, median):
    """Vector with the least sum of distances to the others, of the neighbours of some nodes: x and y, WIDTH each."""
    apart = np.empty(WIDTH, around.dtype)
    y, known = COUNT * WIDTH, 2 * COUNT * WIDTH
    totals[:] = 0.0
    for i in range(0, COUNT * WIDTH, WIDTH):
        for j in range(i + WIDTH, COUNT * WIDTH, WIDTH):
            for c in range(width):
                u = around[i + c] - around[j + c]
                v = around[i + y + c] - around[j + y + c]
                apart[c] = np.sqrt(u * u + v * v) * (around[i + known + c] * around[j + known + c])
            for c in range(width):
                totals[i + c] += apart[c]
            for c in range(width):
                totals[j + c] += apart[c]
    least = apart
    least[:] = np.inf
    median[:] = np.nan
    for i in range(0, COUNT * WIDTH, WIDTH):
        for c in range(width):
            if around[i + known + c] > 0.0 and totals[i + c] < least[c]:
                least[c] = totals[i + c]
                median[c], median[WIDTH + c] = around[i + c], around[i + y + c]


@kernel
def _distances(around, median, width, out):
    """Distances of the neighbours from a vector; infinite where there is none."""
    y, known = COUNT * WIDTH, 2 * COUNT * WIDTH
    for i in range(0, COUNT * WIDTH, WIDTH):
        for c in range(width):
            u = around[i + c] - median[c]
            v = around[i + y + c] - median[WIDTH + c]
            apart = np.sqrt(u * u + v * v)
            out[i + c] = apart if around[i + known + c] > 0.0 else np.inf


@kernel
def _sort(values, width):
    """Put COUNT rows of WIDTH in order, column by column."""
    for pair in range(_NETWORK.shape[0]):
        i, j = _NETWORK[pair, 0] * WIDTH, _NETWORK[pair, 1] * WIDTH
        low, high = values[i : i + width], values[j : j + width]
        for c in range(width):
            a, b = low[c], high[c]
            low[c] = a if a < b else b
            high[c] = b if a < b else a


@kernel
def _apart(u, v):
    return math.sqrt(u * u + v * v)


@kernel
def _middle(ordered, count, c):
    """Median of the first values of a column that is in order."""
    return 0.5 * (ordered[(count - 1) // 2 * WIDTH + c] + ordered[count // 2 * WIDTH + c])


@kernel
def _plane_about(around, median, scale, c, sums):
    """What a plane through the neighbours is at their middle, and how they scatter about it.

    Neighbours count the less the farther they are from their median; none does beyond three scales.
    """
    values = sums[5]
    sums[:5] = 0.0
    # a gradient is only believed with neighbours on both sides
    sums[0, 0], sums[1, 1] = 1.0, 1.0
    for k in range(COUNT):
        at = k * WIDTH + c
        u, v = around[at] - median[c], around[at + COUNT * WIDTH] - median[WIDTH + c]
        far = (u * u + v * v) / (scale * scale)
        if around[at + 2 * COUNT * WIDTH] > 0.0 and far < 9.0:
            weight = 1.0 / (1.0 + far) ** 2
            values[0], values[1] = PLACES[k, 0], PLACES[k, 1]
            values[2], values[3], values[4] = 1.0, u, v
            for i in range(5):
                for j in range(i, 5):
                    sums[i, j] += weight * values[i] * values[j]
    total = sums[2, 2]
    x = y = 0.0
    for k in range(3):
        x, y = sums[k, 3] / sums[k, k], sums[k, 4] / sums[k, k]
        for i in range(k + 1, 5):
            for j in range(i, 5):
                sums[i, j] -= sums[k, i] * sums[k, j] / sums[k, k]
    return median[c] + x, median[WIDTH + c] + y, math.sqrt(max(sums[3, 3] + sums[4, 4], 0.0) / total)


@kernel
def vector_median(field, out):
    """Vector median of the 3 x 3 vectors around each, itself included; (rows, columns, 2), NaN where unknown."""
    rows, columns = field.shape[:2]
    around = np.empty((9, 2))
    for row in range(rows):
        for column in range(columns):
            count = 0
            for i in range(max(row - 1, 0), min(row + 2, rows)):
                for j in range(max(column - 1, 0), min(column + 2, columns)):
                    if np.isfinite(field[i, j, 0]) and np.isfinite(field[i, j, 1]):
                        around[count, 0], around[count, 1] = field[i, j, 0], field[i, j, 1]
                        count += 1
            out[row, column, 0], out[row, column, 1] = np.nan, np.nan
            least = np.inf
            differ = 0
            for i in range(1, count):
                differ += around[i, 0] != around[0, 0] or around[i, 1] != around[0, 1]
            # whole pixels often agree to the last: then the first is as good as any
            for i in range(count if differ > 0 else min(count, 1)):
                total = 0.0
                for j in range(count):
                    total += np.hypot(around[i, 0] - around[j, 0], around[i, 1] - around[j, 1])
                if total < least:
                    least = total
                    out[row, column, 0], out[row, column, 1] = around[i, 0], around[i, 1]


@kernel
def fails_to_come_back(dx, dy, back_x, back_y, variance_x, variance_y, step, out):
    """Set out where a displacement and the one back, at the same node, do not cancel.

    The way back starts elsewhere: a gradient of the field over the distance moved is allowed for, besides half a pixel
    and three standard errors of the sum. No gradient above LARGEST_STRAIN is believed: wrong neighbours make any.

    Parameters
    ----------
    dx, dy, back_x, back_y, variance_x, variance_y
        (rows, columns), in pixels and px²; NaN where unknown, infinite beyond the edges.
    step
        Distance of the nodes in pixels.
    out
        (rows, columns) uint8. Without one of the two displacements nothing is set.
    """
    rows, columns = dx.shape
    for row in range(rows):
        for column in range(columns):
            out[row, column] = 0
            u, v = dx[row, column], dy[row, column]
            mismatch = np.hypot(u + back_x[row, column], v + back_y[row, column])
            if not np.isfinite(mismatch):
                continue
            along_x = u * _slope_along(dx, row, column, 0, 1) + v * _slope_along(dx, row, column, 1, 0)
            along_y = u * _slope_along(dy, row, column, 0, 1) + v * _slope_along(dy, row, column, 1, 0)
            noise = np.sqrt(2.0 * (variance_x[row, column] + variance_y[row, column]))
            change = min(np.hypot(along_x, along_y) / step, LARGEST_STRAIN * np.hypot(u, v))
            if mismatch > max(0.5, 3.0 * noise) + change:
                out[row, column] = 1


@kernel
def _slope_along(field, row, column, down, right):
    """Slope at a node toward the node so many rows down and columns to the right."""
    has_before = row >= down and column >= right
    has_after = row + down < field.shape[0] and column + right < field.shape[1]
    before = field[row - down, column - right] if has_before else np.nan
    after = field[row + down, column + right] if has_after else np.nan
    return _slope(before, field[row, column], after)


@kernel
def _slope(before, here, after):
    """Central difference per node, one-sided where only one neighbour is known, zero where none is."""
    if np.isfinite(before) and np.isfinite(after):
        return 0.5 * (after - before)
    if np.isfinite(before):
        return here - before
    return after - here if np.isfinite(after) else 0.0
