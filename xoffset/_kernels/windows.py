"""Statistics of every template-sized window of an image."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel, kernel


@kernel
def flat_windows(values, valid, template, out):
    """Set out[y, x] where the template that starts there holds nothing but one value.

    Flat: standard deviation of the valid pixels at most 1e-6 of their largest absolute value. `values` (float64) are
    the raw pixels; `out` is uint8. Windows are summed afresh, since running sums would drown so small a spread.
    """
    height, width = valid.shape
    out[:] = 0
    suspicious = False
    largest = 0.0
    is_complete = True
    for y in range(height):
        for x in range(width):
            if valid[y, x]:
                largest = max(largest, abs(values[y, x]))
            else:
                is_complete = False
    # any template holds a whole block of half its side; holes leave it fewer
    block = (template + 1) // 2 if is_complete else max(template // 8, 1)
    for top in range(0, height - block + 1, block):
        for left in range(0, width - block + 1, block):
            low = np.inf
            high = -np.inf
            for y in range(top, top + block):
                for x in range(left, left + block):
                    if valid[y, x]:
                        low = min(low, values[y, x])
                        high = max(high, values[y, x])
            # a flat template holds whole blocks, whose range is at most this
            if low <= high and high - low <= 2.0 * template * 1e-6 * largest:
                suspicious = True
    if not suspicious:
        return
    count = np.empty(width)
    total = np.empty(width)
    square = np.empty(width)
    peak = np.empty(width)
    for top in range(height - template + 1):
        count[:] = 0.0
        total[:] = 0.0
        square[:] = 0.0
        peak[:] = 0.0
        offset = np.zeros(width)
        for y in range(top, top + template):
            for x in range(width):
                if valid[y, x]:
                    if count[x] == 0.0:
                        offset[x] = values[y, x]
                    count[x] += 1.0
                    total[x] += values[y, x] - offset[x]
                    square[x] += (values[y, x] - offset[x]) ** 2
                    peak[x] = max(peak[x], abs(values[y, x]))
        for left in range(width - template + 1):
            pixels = 0.0
            mean = 0.0
            spread = 0.0
            largest = 0.0
            for x in range(left, left + template):
                if count[x] > 0.0:
                    # merge a column into the window (Chan et al. 1983)
                    column_mean = offset[x] + total[x] / count[x]
                    column_spread = square[x] - total[x] * total[x] / count[x]
                    both = pixels + count[x]
                    spread += column_spread + (column_mean - mean) ** 2 * pixels * count[x] / both
                    mean += (column_mean - mean) * count[x] / both
                    pixels = both
                    largest = max(largest, peak[x])
            if pixels > 0.0 and spread <= pixels * (1e-6 * largest) ** 2:
                out[top, left] = 1


@hot_kernel
def sum_along(columns, template, out):
    """Sums of `template` neighbours in a line: out[x] from columns[x] on."""
    size = out.size
    k = template % 6
    if k == 0:
        out[:] = 0
    elif k % 2 == 1:
        out[:] = columns[:size]
    else:
        a, b = columns[:size], columns[1 : 1 + size]
        for x in range(size):
            out[x] = a[x] + b[x]
    done = 2 - k % 2
    while k > done:
        a, b = columns[done : done + size], columns[done + 1 : done + 1 + size]
        for x in range(size):
            out[x] += a[x] + b[x]
        done += 2
    while k < template:
        a, b, c = columns[k : k + size], columns[k + 1 : k + 1 + size], columns[k + 2 : k + 2 + size]
        d, e, f = columns[k + 3 : k + 3 + size], columns[k + 4 : k + 4 + size], columns[k + 5 : k + 5 + size]
        for x in range(size):
            out[x] += (a[x] + b[x] + c[x]) + (d[x] + e[x] + f[x])
        k += 6


@hot_kernel
def window_sums(image, template, floor, total, inverse):
    """Sum of every template-sized window of a valid image, and one over the root of its sum of squared deviations.

    The latter is zero where the variance of the window is at most `floor`. Running column sums in float64; results
    (height, width) stand at the window's first pixel, and are left alone where no window starts.
    """
    height, width = image.shape
    columns = np.zeros((2, width))
    sums = np.empty((2, width - template + 1))
    count = float(template * template)
    for y in range(height):
        for x in range(width):
            value = np.float64(image[y, x])
            columns[0, x] += value
            columns[1, x] += value * value
        if y >= template:
            for x in range(width):
                value = np.float64(image[y - template, x])
                columns[0, x] -= value
                columns[1, x] -= value * value
        if y >= template - 1:
            sum_along(columns[0], template, sums[0])
            sum_along(columns[1], template, sums[1])
            totals, inverses = total[y - template + 1], inverse[y - template + 1]
            for x in range(width - template + 1):
                s = sums[0, x]
                spread = sums[1, x] - s * s / count
                totals[x] = s
                inverses[x] = 1.0 / np.sqrt(spread) if spread > floor * count else 0.0
