"""Statistics of every template-sized window of an image."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import hot_kernel, kernel, lean_kernel


@hot_kernel
def _highest(image, template, out):
    """Highest of every template-sized window into `out`, by first pixel; `image` is used up.

    Windows of 1, 2, 4 ... pixels are joined, along rows, then along columns.
    """
    height, width = image.shape
    # into other lines and back, since a vector that is written where the next is read from must wait for it
    lines = np.empty((2, width), image.dtype)
    for y in range(height):
        line, found, side, turn = image[y], image[y], 1, 0
        while side < template:
            further = min(side, template - side)
            side += further
            ahead, joined = line[further:], lines[turn]
            for x in range(width - side + 1):
                joined[x] = line[x] if line[x] > ahead[x] else ahead[x]
            line, turn = joined, 1 - turn
        for x in range(width - side + 1):
            found[x] = line[x]
    side = 1
    while 2 * side <= template:
        for y in range(height - side):
            line, ahead = image[y], image[y + side]
            for x in range(width):
                line[x] = line[x] if line[x] > ahead[x] else ahead[x]
        side *= 2
    for y in range(out.shape[0]):
        line, ahead, found = image[y], image[y + template - side], out[y]
        for x in range(out.shape[1]):
            found[x] = line[x] if line[x] > ahead[x] else ahead[x]


@kernel
def _is_flat(values, valid, top, left, template):
    """Whether the standard deviation of the valid pixels is at most 1e-6 of their largest absolute value."""
    count = 0
    total = 0.0
    square = 0.0
    largest = 0.0
    offset = 0.0
    for y in range(top, top + template):
        for x in range(left, left + template):
            if valid[y, x]:
                value = np.float64(values[y, x])
                if count == 0:
                    offset = value
                count += 1
                # deviations from one of the values lose nothing of a small spread
                total += value - offset
                square += (value - offset) ** 2
                largest = max(largest, abs(value))
    return count > 0 and square - total * total / count <= count * (1e-6 * largest) ** 2


@hot_kernel
def has_texture(values, template):
    """Whether no window of an image without holes can be flat, since no whole block of half its side is nearly so."""
    height, width = values.shape
    block = (template + 1) // 2
    high, low = np.empty(width, values.dtype), np.empty(width, values.dtype)
    largest = 0.0
    least = np.inf
    for top in range(0, height - block + 1, block):
        line = values[top]
        for x in range(width):
            high[x] = line[x]
            low[x] = line[x]
        for y in range(top + 1, top + block):
            line = values[y]
            for x in range(width):
                high[x] = line[x] if line[x] > high[x] else high[x]
                low[x] = line[x] if line[x] < low[x] else low[x]
        for left in range(0, width - block + 1, block):
            top_value, bottom_value = high[left], low[left]
            for x in range(left + 1, left + block):
                top_value, bottom_value = max(top_value, high[x]), min(bottom_value, low[x])
            largest = max(largest, abs(np.float64(top_value)), abs(np.float64(bottom_value)))
            least = min(least, np.float64(top_value) - np.float64(bottom_value))
    # a flat window is as bright as any block in it, and spans no more than it may
    return least > 4e-6 * template * largest


@kernel
def flat_windows(values, valid, template, out):
    """Set out[y, x] where the template that starts there holds nothing but one value.

    Flat: standard deviation of the valid pixels at most 1e-6 of their largest absolute value. `values` are the raw
    pixels; `out` is uint8. Only windows whose range is that small are looked at closely.
    """
    height, width = valid.shape
    negative = np.empty_like(values)
    positive = np.empty_like(values)
    for y in range(height):
        for x in range(width):
            is_valid = valid[y, x] != 0
            positive[y, x] = values[y, x] if is_valid else -np.inf
            negative[y, x] = -values[y, x] if is_valid else -np.inf
    high = np.empty(out.shape, values.dtype)
    low = np.empty(out.shape, values.dtype)
    _highest(positive, template, high)
    _highest(negative, template, low)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            top, bottom = np.float64(high[y, x]), -np.float64(low[y, x])
            # no pixel is farther from the mean than the deviation times the root of their number
            out[y, x] = top - bottom <= 2e-6 * template * max(abs(top), abs(bottom)) and top >= bottom
            if out[y, x] and top > bottom:
                out[y, x] = _is_flat(values, valid, y, x, template)


@lean_kernel
def sum_of_seven(columns, x):
    """Sum of 7 neighbours in a line from columns[x] on, in the order of `sum_along`."""
    return columns[x] + (
        (columns[x + 1] + columns[x + 2] + columns[x + 3]) + (columns[x + 4] + columns[x + 5] + columns[x + 6])
    )


@lean_kernel
def sum_along(columns, template, out):
    """Sums of `template` neighbours in a line: out[x] from columns[x] on."""
    size = out.size
    k = template % 6
    if k == 1 and template > 1:
        for x in range(size):
            out[x] = sum_of_seven(columns, x)
        k = 7
    elif k == 0:
        for x in range(size):
            out[x] = 0
    elif k % 2 == 1:
        for x in range(size):
            out[x] = columns[x]
    else:
        a, b = columns[:size], columns[1 : 1 + size]
        for x in range(size):
            out[x] = a[x] + b[x]
    done = 7 if k == 7 else 2 - k % 2
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


@lean_kernel
def _sum_by_doubling(line, template, scratch, out):
    """As `sum_along`, from runs of 1, 2, 4 ... neighbours: quicker in long lines. `scratch` (2, as many as `line`)."""
    size, length = out.size, line.size
    for x in range(size):
        out[x] = 0
    runs, done, side, turn = line, 0, 1, 0
    while side <= template:
        if template & side:
            part = runs[done:]
            for x in range(size):
                out[x] += part[x]
            done += side
        if 2 * side <= template:
            length -= side
            ahead, doubled = runs[side:], scratch[turn]
            for x in range(length):
                doubled[x] = runs[x] + ahead[x]
            runs, turn = doubled, 1 - turn
        side *= 2


@hot_kernel
def window_sums(image, template, floor, first, step, total, inverse):
    """Sum of every template-sized window of a valid image, and one over the root of its sum of squared deviations.

    The latter is zero where the variance of the window is at most `floor`. Of rows first, first + step ... of windows
    only, and those before `first` that many apart; each tells the same for any step. Running column sums in float64;
    results (height, width) stand at the window's first pixel, and are left alone where no window starts.
    """
    height, width = image.shape
    size = width - template + 1
    columns, scratch = np.zeros((2, width)), np.empty((2, width))
    sums = np.empty((2, size))
    totals, squares = columns[0], columns[1]
    share = 1.0 / float(template * template)
    one, zero = inverse.dtype.type(1.0), inverse.dtype.type(0.0)
    least = max(floor / share, float(np.finfo(inverse.dtype).tiny))
    for y in range(height):
        line = image[y]
        if y < template:
            for x in range(width):
                value = np.float64(line[x])
                totals[x] += value
                squares[x] += value * value
        else:
            gone = image[y - template]
            for x in range(width):
                value, before = np.float64(line[x]), np.float64(gone[x])
                totals[x] += value - before
                squares[x] += (value - before) * (value + before)
        top = y - template + 1
        if top < 0 or (top - first) % step != 0:
            continue
        _sum_by_doubling(totals, template, scratch, sums[0])
        _sum_by_doubling(squares, template, scratch, sums[1])
        of_pixels, of_squares, out, inverses = sums[0], sums[1], total[top], inverse[top]
        for x in range(size):
            s = of_pixels[x]
            spread = of_squares[x] - s * s * share
            out[x] = s
            # the root of what is known to so many digits only
            inverses[x] = one / np.sqrt(inverse.dtype.type(spread)) if spread > least else zero
