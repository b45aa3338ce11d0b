"""Image filters that never let an invalid pixel take part, and cubic spline coefficients."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel, kernel, lean_kernel

# Least share of the weight of the fine low-pass that falls on known pixels. Below it a pixel is not matched.
LEAST_WEIGHT = 0.5
# Largest distance of the centroid of the known pixels from the middle of the coarse low-pass, in widths (sigma) of that
# filter. Farther off, at the rim of a hole, the filter leaves a pattern that stays while the ground moves, so the pixel
# is not matched.
LARGEST_OFFSET = 0.35
# Least determinant of the moments of the known pixels, in widths of the filter, for a plane through them. Below it only
# the level, or the level and one slope, is fitted.
LEAST_DETERMINANT = 1e-3
# Side of the square cells that are searched for holes, px; cells without one are skipped.
CELL = 16
# Taps on each side of a symmetric filter that one pass over a row adds up: enough that each pixel is loaded seldom.
FOLD = 4


@kernel
def survey(raw, known, total, low, high):
    """Mark the finite pixels in `known` (uint8) and gather their sum, minimum and maximum by column.

    `total` (width,) is float64; `low` and `high` (width,) are infinite where a column knows nothing.
    """
    height, width = raw.shape
    for x in range(width):
        total[x] = 0.0
        low[x] = np.inf
        high[x] = -np.inf
    for y in range(height):
        line, mark = raw[y], known[y]
        for x in range(width):
            value = line[x]
            is_finite = abs(value) < np.inf
            mark[x] = is_finite
            total[x] += value if is_finite else 0.0
            low[x] = value if is_finite and value < low[x] else low[x]
            high[x] = value if is_finite and value > high[x] else high[x]


@kernel
def centre(raw, known, mean, factor, out):
    """Set out = (raw - mean)·factor where known, zero elsewhere; in double precision until the end."""
    height, width = raw.shape
    for y in range(height):
        line, mark, target = raw[y], known[y], out[y]
        for x in range(width):
            target[x] = (line[x] - mean) * factor if mark[x] else 0.0


@lean_kernel
def smooth(image, taps_y, taps_x, rows, out):
    """Separable correlation; the image is zero beyond its edges. `rows` is scratch like `out`."""
    height, width = image.shape
    radius = taps_y.size // 2
    for y in range(height):
        line = rows[y]
        for x in range(width):
            line[x] = 0
        for k in range(max(-radius, -y), min(radius + 1, height - y)):
            tap = taps_y[k + radius]
            source = image[y + k]
            for x in range(width):
                line[x] += tap * source[x]
    radius = taps_x.size // 2
    for y in range(height):
        line = out[y]
        for x in range(width):
            line[x] = 0
        for k in range(max(-radius, 1 - width), min(radius + 1, width)):
            tap = taps_x[k + radius]
            first = max(0, -k)
            last = min(width, width - k)
            source = rows[y, first + k : last + k]
            target = line[first:last]
            for x in range(last - first):
                target[x] += tap * source[x]


@lean_kernel
def _fold_line(line, start, half, first, out):
    """Add to `out` the taps first, first + 1, ... of a symmetric filter along a line; out[0] lies at line[start]."""
    for k in range(first, half.size, FOLD):
        a0, a1, a2, a3 = line[start - k :], line[start - k - 1 :], line[start - k - 2 :], line[start - k - 3 :]
        b0, b1, b2, b3 = line[start + k :], line[start + k + 1 :], line[start + k + 2 :], line[start + k + 3 :]
        t0, t1, t2, t3 = half[k], half[k + 1], half[k + 2], half[k + 3]
        for x in range(out.size):
            near = t0 * (a0[x] + b0[x]) + t1 * (a1[x] + b1[x])
            out[x] += near + (t2 * (a2[x] + b2[x]) + t3 * (a3[x] + b3[x]))


@lean_kernel
def _smooth_line(line, start, fine, coarse, low, high):
    """Two symmetric filters along one line, which share the loads of the inner taps."""
    source = line[start:]
    a0, a1, a2, a3 = line[start - 1 :], line[start - 2 :], line[start - 3 :], line[start - 4 :]
    b0, b1, b2, b3 = line[start + 1 :], line[start + 2 :], line[start + 3 :], line[start + 4 :]
    f0, f1, f2, f3, f4 = fine[0], fine[1], fine[2], fine[3], fine[4]
    c0, c1, c2, c3, c4 = coarse[0], coarse[1], coarse[2], coarse[3], coarse[4]
    for x in range(low.size):
        p0, p1, p2, p3 = a0[x] + b0[x], a1[x] + b1[x], a2[x] + b2[x], a3[x] + b3[x]
        low[x] = f0 * source[x] + (f1 * p0 + f2 * p1) + (f3 * p2 + f4 * p3)
        high[x] = c0 * source[x] + (c1 * p0 + c2 * p1) + (c3 * p2 + c4 * p3)
    _fold_line(line, start, fine, FOLD + 1, low)
    _fold_line(line, start, coarse, FOLD + 1, high)


@lean_kernel
def _smooth_two_rows(rows, y, half, out):
    """A symmetric filter across the rows y and y + 1, which share most of their loads."""
    for i in range(2):
        source, target, tap = rows[y + i], out[i], half[0]
        for x in range(target.size):
            target[x] = tap * source[x]
    first, second = out[0], out[1]
    for k in range(1, half.size, FOLD):
        up, down = y - k - FOLD + 1, y + k
        u0, u1, u2, u3, u4 = rows[up], rows[up + 1], rows[up + 2], rows[up + 3], rows[up + 4]
        d0, d1, d2, d3, d4 = rows[down], rows[down + 1], rows[down + 2], rows[down + 3], rows[down + 4]
        t0, t1, t2, t3 = half[k], half[k + 1], half[k + 2], half[k + 3]
        for x in range(first.size):
            near = t0 * (u3[x] + d0[x]) + t1 * (u2[x] + d1[x])
            first[x] += near + (t2 * (u1[x] + d2[x]) + t3 * (u0[x] + d3[x]))
            near = t0 * (u4[x] + d1[x]) + t1 * (u3[x] + d2[x])
            second[x] += near + (t2 * (u2[x] + d3[x]) + t3 * (u1[x] + d4[x]))


@lean_kernel
def _smooth_beside(line, taps, out):
    """Pixels of a line by the taps (pixel, tap) for each, that all begin with its first pixel."""
    for x in range(out.size):
        total, own = line.dtype.type(0.0), taps[x]
        for k in range(own.size):
            total += own[k] * line[k]
        out[x] = total


@lean_kernel
def _smooth_across(rows, first, step, taps, out):
    """Sum of rows from `first` on, up or down, times taps."""
    for k in range(taps.size):
        source, tap = rows[first + step * k], taps[k]
        for x in range(out.size):
            out[x] = tap * source[x] + (out[x] if k > 0 else 0)


@hot_kernel
def bandpass(image, fine, coarse, gain_y, gain_x, edges, is_edge, rows, line, out):
    """Difference of two low-passes of an image that is zero beyond its edges.

    Parameters
    ----------
    image
        (height, width).
    fine, coarse
        Middle tap of each symmetric filter and those on one side of it, filled up with zeros to 1 + FOLD·n.
    gain_y, gain_x
        (2, height) and (2, width): factors by which the fine and the coarse low-pass are multiplied.
    edges
        (2, 2, lines, taps): other taps of the two filters for so many lines beside the first edge, counted from it on,
        then the same mirrored for those beside the last one.
    is_edge
        (4,): whether they are taken at the top, the bottom, the left and the right.
    rows
        (2, 2·margin + height + 1, stride) scratch, stride at least the width; the first `margin` rows and the last
        `margin` + 1 are zero.
    line
        (2·margin + stride,) scratch, zero; margin at least the size of either filter.
    out
        (height, width).
    """
    height, width = image.shape
    stride = rows.shape[2]
    margin = (line.size - stride) // 2
    low = np.empty((2, stride), image.dtype)
    high = np.empty((2, stride), image.dtype)
    beside, reach = edges.shape[2:]
    for y in range(height):
        source, target = image[y], line[margin : margin + width]
        for x in range(width):
            target[x] = source[x]
        _smooth_line(line, margin, fine, coarse, rows[0, margin + y], rows[1, margin + y])
        for n in range(2):
            smooth_row = rows[n, margin + y, :width]
            if is_edge[2]:
                _smooth_beside(target[:reach], edges[0, n], smooth_row[:beside])
            if is_edge[3]:
                _smooth_beside(target[width - reach :], edges[1, n], smooth_row[width - beside :])
    along_low, along_high = gain_x[0], gain_x[1]
    for y in range(0, height, 2):
        _smooth_two_rows(rows[0], margin + y, fine, low)
        _smooth_two_rows(rows[1], margin + y, coarse, high)
        for i in range(min(2, height - y)):
            above, below = y + i, height - 1 - y - i
            for n, found in enumerate((low, high)):
                if is_edge[0] and above < beside:
                    _smooth_across(rows[n], margin, 1, edges[0, n, above], found[i])
                elif is_edge[1] and below < beside:
                    _smooth_across(rows[n], margin + height - 1, -1, edges[0, n, below], found[i])
            across_low, across_high = gain_y[0, y + i], gain_y[1, y + i]
            fine_line, coarse_line, target = low[i], high[i], out[y + i]
            for x in range(width):
                target[x] = fine_line[x] * (across_low * along_low[x]) - coarse_line[x] * (across_high * along_high[x])


@lean_kernel
def _add_three(source, t0, t1, t2, o0, o1, o2):
    for x in range(source.size):
        o0[x] += t0 * source[x]
        o1[x] += t1 * source[x]
        o2[x] += t2 * source[x]


@lean_kernel
def _add_two(source, t0, t1, o0, o1):
    for x in range(source.size):
        o0[x] += t0 * source[x]
        o1[x] += t1 * source[x]


@lean_kernel
def _add_one(source, t0, o0):
    for x in range(source.size):
        o0[x] += t0 * source[x]


@lean_kernel
def _moments_of_row(image, mask, powers, y, first, last, columns, moments):
    """Moments of the mask (1, x, y, xx, xy, yy) and the image (1, x, y) around the pixels first to last of a row."""
    height, width = image.shape
    radius = powers.shape[1] // 2
    left, right = max(first - radius, 0), min(last + radius, width)
    for n in range(5):
        line = columns[n]
        for x in range(left, right):
            line[x] = 0
    for k in range(max(-radius, -y), min(radius + 1, height - y)):
        t0, t1, t2 = powers[0, k + radius], powers[1, k + radius], powers[2, k + radius]
        _add_three(
            mask[y + k, left:right], t0, t1, t2,
            columns[0, left:right], columns[1, left:right], columns[2, left:right],
        )  # fmt: skip
        _add_two(image[y + k, left:right], t0, t1, columns[3, left:right], columns[4, left:right])
    for n in range(9):
        line = moments[n]
        for x in range(first, last):
            line[x] = 0
    for k in range(-radius, radius + 1):
        start, stop = max(first, left - k), min(last, right - k)
        if start >= stop:
            continue
        t0, t1, t2 = powers[0, k + radius], powers[1, k + radius], powers[2, k + radius]
        # row by row: a slice of two dimensions would hide that its rows are contiguous
        here = slice(start + k, stop + k)
        mask_0, mask_1, mask_2, image_0, image_1 = (
            columns[0, here], columns[1, here], columns[2, here], columns[3, here], columns[4, here],
        )  # fmt: skip
        _add_three(mask_0, t0, t1, t2, moments[0, start:stop], moments[1, start:stop], moments[3, start:stop])
        _add_two(mask_1, t0, t1, moments[2, start:stop], moments[4, start:stop])
        _add_one(mask_2, t0, moments[5, start:stop])
        _add_two(image_0, t0, t1, moments[6, start:stop], moments[7, start:stop])
        _add_one(image_1, t0, moments[8, start:stop])


@lean_kernel
def _planes_of_row(moments, first, last, level, weight, along_x, along_y):
    """Least-squares planes from their moments, at the pixels first to last; what is known, and its moments."""
    for x in range(first, last):
        m, mx, my = moments[0, x], moments[1, x], moments[2, x]
        xx, xy, yy = moments[3, x], moments[4, x], moments[5, x]
        f, fx, fy = moments[6, x], moments[7, x], moments[8, x]
        minor = xx * yy - xy * xy
        minor_x = mx * yy - my * xy
        minor_y = mx * xy - my * xx
        determinant = m * minor - mx * minor_x + my * minor_y
        if determinant > LEAST_DETERMINANT:
            level[x] = (f * minor - fx * minor_x + fy * minor_y) / determinant
        elif m > LEAST_DETERMINANT:
            level[x] = f / m
        else:
            level[x] = 0
        weight[x] = m
        along_x[x] = mx
        along_y[x] = my


@hot_kernel
def level_beside_holes(image, mask, powers, level, centre):
    """Replace the low-pass by a weighted least-squares plane, at the pixel, wherever the filter meets a hole.

    Next to a hole a mean takes the level of one side and draws a pattern along the rim that does not move with the
    ground; a plane continues the slope across (Knutsson & Westin 1993, CVPR, 515-523). Where too little is known for a
    plane the mean is taken, and zero where nothing is. Beyond the edges of the array is no hole.

    Parameters
    ----------
    image
        (height, width), zero in holes.
    mask
        (height, width) of the type of the image: 1 where known, 0 in holes.
    powers
        (3, taps): filter times the offset to the power of 0, 1, 2, in units of the filter's width.
    level
        (height, width) low-pass of the image, replaced beside holes.
    centre
        (3, height, width): known weight, and its sums times the offset along x and y; set beside holes only.
    """
    height, width = image.shape
    radius = powers.shape[1] // 2
    known = np.zeros((height + 1, width + 1), np.int32)
    for y in range(height):
        total = 0
        for x in range(width):
            total += mask[y, x] > 0
            known[y + 1, x + 1] = known[y, x + 1] + total
    columns = np.empty((5, width), image.dtype)
    moments = np.empty((9, width), image.dtype)
    for top in range(0, height, CELL):
        bottom = min(top + CELL, height)
        low, high = max(top - radius, 0), min(bottom + radius, height)
        run = 0
        for edge in range(CELL, width + CELL, CELL):
            left, right = max(edge - CELL - radius, 0), min(edge + radius, width)
            inside = known[high, right] - known[low, right] - known[high, left] + known[low, left]
            if 0 < inside < (high - low) * (right - left):
                run += CELL
                if edge < width:
                    continue
            else:
                edge -= CELL
                if inside == 0:
                    for y in range(top, bottom):
                        for x in range(edge, min(edge + CELL, width)):
                            level[y, x] = 0
                            centre[0, y, x] = 0
                            centre[1, y, x] = 0
                            centre[2, y, x] = 0
            # cells beside holes that touch are worked off together
            first, last = edge - run, min(edge, width)
            run = 0
            for y in range(top, bottom if last > first else top):
                _moments_of_row(image, mask, powers, y, first, last, columns, moments)
                _planes_of_row(moments, first, last, level[y], centre[0, y], centre[1, y], centre[2, y])


@hot_kernel
def fit_pixels(known, weight, centre, of_frame_y, of_frame_x, out):
    """Set out = 1 at known pixels around which enough is known, evenly enough, 0 elsewhere.

    `weight` (height, width) is the known weight of the fine filter, `centre` (3, height, width) that of the coarse one
    and its moments; `of_frame_y` (height,) and `of_frame_x` (width,) are the offsets of its centroid that the edges of
    the image alone would cause.
    """
    height, width = known.shape
    least = weight.dtype.type(1e-6)
    limit = weight.dtype.type(LARGEST_OFFSET * LARGEST_OFFSET)
    for y in range(height):
        fine, coarse, along_x, along_y = weight[y], centre[0, y], centre[1, y], centre[2, y]
        mark, target, off_y = known[y], out[y], of_frame_y[y]
        for x in range(width):
            total = max(coarse[x], least)
            off_x = along_x[x] / total - of_frame_x[x]
            across = along_y[x] / total - off_y
            is_fit = fine[x] >= LEAST_WEIGHT and off_x * off_x + across * across <= limit
            target[x] = mark[x] if is_fit else 0


@hot_kernel
def correlate(image, taps, out):
    """Correlation with a small (n, n) kernel, n odd; the image is zero beyond its edges."""
    height, width = image.shape
    radius = taps.shape[0] // 2
    for y in range(height):
        line = out[y]
        for x in range(width):
            line[x] = 0
        for i in range(max(-radius, -y), min(radius + 1, height - y)):
            for j in range(max(-radius, 1 - width), min(radius + 1, width)):
                tap = taps[i + radius, j + radius]
                first, last = max(0, -j), min(width, width - j)
                source, target = image[y + i, first + j : last + j], line[first:last]
                for x in range(last - first):
                    target[x] += tap * source[x]


@hot_kernel
def _recurse_four(lines, pole, six, end):
    """Recursive spline filter along four lines at a time: one alone would wait for each result before the next."""
    width = lines.shape[1]
    l0, l1, l2, l3 = lines[0], lines[1], lines[2], lines[3]
    c0, c1, c2, c3 = six * l0[0], six * l1[0], six * l2[0], six * l3[0]
    power = six
    for x in range(1, min(width, 24)):
        power *= pole
        c0 += power * l0[x]
        c1 += power * l1[x]
        c2 += power * l2[x]
        c3 += power * l3[x]
    l0[0], l1[0], l2[0], l3[0] = c0, c1, c2, c3
    for x in range(1, width):
        c0 = six * l0[x] + pole * c0
        c1 = six * l1[x] + pole * c1
        c2 = six * l2[x] + pole * c2
        c3 = six * l3[x] + pole * c3
        l0[x], l1[x], l2[x], l3[x] = c0, c1, c2, c3
    if width > 1:
        for line in (l0, l1, l2, l3):
            line[width - 1] = end * (line[width - 1] + pole * line[width - 2])
    c0, c1, c2, c3 = l0[width - 1], l1[width - 1], l2[width - 1], l3[width - 1]
    for x in range(width - 2, -1, -1):
        c0 = pole * (c0 - l0[x])
        c1 = pole * (c1 - l1[x])
        c2 = pole * (c2 - l2[x])
        c3 = pole * (c3 - l3[x])
        l0[x], l1[x], l2[x], l3[x] = c0, c1, c2, c3


@hot_kernel
def spline_coefficients(image, out):
    """Coefficients of the cubic B-spline through the pixels, mirrored at the edges.

    Recursive filter along columns, then rows, with pole sqrt(3) - 2 (Unser et al. 1993, IEEE Trans. Signal Process.
    41, 834-848).
    """
    height, width = image.shape
    pole = image.dtype.type(np.sqrt(3.0) - 2.0)
    six = image.dtype.type(6.0)
    end = pole / (pole * pole - image.dtype.type(1.0))
    target = out[0]
    for x in range(width):
        target[x] = 0
    power = six
    for y in range(min(height, 24)):
        source = image[y]
        for x in range(width):
            target[x] += power * source[x]
        power *= pole
    for y in range(1, height):
        source, before, target = image[y], out[y - 1], out[y]
        for x in range(width):
            target[x] = six * source[x] + pole * before[x]
    if height > 1:
        before, target = out[height - 2], out[height - 1]
        for x in range(width):
            target[x] = end * (target[x] + pole * before[x])
    for y in range(height - 2, -1, -1):
        after, target = out[y + 1], out[y]
        for x in range(width):
            target[x] = pole * (after[x] - target[x])
    lines = np.zeros((4, width), image.dtype)
    for y in range(0, height, 4):
        rows = min(4, height - y)
        for i in range(rows):
            line, target = lines[i], out[y + i]
            for x in range(width):
                line[x] = target[x]
        _recurse_four(lines, pole, six, end)
        for i in range(rows):
            line, target = lines[i], out[y + i]
            for x in range(width):
                target[x] = line[x]


@kernel
def decimate(image, factor, out):
    """Means of squares of `factor` pixels a side; NaN where less than half of one is known."""
    height, width = out.shape
    total = np.empty(width * factor, image.dtype)
    count = np.empty(width * factor, image.dtype)
    one, zero = image.dtype.type(1.0), image.dtype.type(0.0)
    largest = image.dtype.type(np.finfo(image.dtype).max)
    for y in range(height):
        for x in range(width * factor):
            total[x] = 0
            count[x] = 0
        for i in range(y * factor, (y + 1) * factor):
            line = image[i, : width * factor]
            for x in range(width * factor):
                is_known = abs(line[x]) <= largest
                total[x] += line[x] if is_known else zero
                count[x] += one if is_known else zero
        for x in range(width):
            known = zero
            level = zero
            for j in range(x * factor, (x + 1) * factor):
                level += total[j]
                known += count[j]
            out[y, x] = level / known if 2 * known >= factor * factor else np.nan
