"""Slow twins of the adjustment by date and of cubic resampling, from the equations."""

import numpy as np


def adjusted(values, weight, ends, dates):
    """Differences (pair,) that least squares give one number of the pairs, NaN where no chain of pairs leads."""
    used = weight > 0.0
    rows = np.zeros((len(ends), dates))
    for row, (first, second) in zip(rows, ends, strict=True):
        row[second] += 1.0
        row[first] -= 1.0
    root = np.sqrt(weight[used])
    found = np.linalg.lstsq(rows[used] * root[:, None], values[used] * root, rcond=None)[0]
    reach = np.eye(dates, dtype=bool)
    for first, second in ends[used]:
        reach[first, second] = reach[second, first] = True
    for _ in range(dates):
        reach = reach @ reach
    return np.where(reach[ends[:, 0], ends[:, 1]], rows @ found, np.nan)


def moved(image, right, down):
    """Image (rows, columns) seen through displacements [pixel] of its shape, by Keys' convolution kernel, a = -1/2."""

    def kernel(distance):
        distance = abs(distance)
        if distance <= 1.0:
            return 1.5 * distance**3 - 2.5 * distance**2 + 1.0
        if distance < 2.0:
            return -0.5 * distance**3 + 2.5 * distance**2 - 4.0 * distance + 2.0
        return 0.0

    out = np.full(image.shape, np.nan)
    for row, column in np.ndindex(image.shape):
        y, x = row + down[row, column], column + right[row, column]
        if not (np.isfinite(y) and np.isfinite(x)):
            continue
        total = 0.0
        for i in range(int(np.floor(y)) - 1, int(np.floor(y)) + 3):
            for j in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3):
                weight = kernel(y - i) * kernel(x - j)
                if weight != 0.0:
                    is_inside = 0 <= i < image.shape[0] and 0 <= j < image.shape[1]
                    total += weight * image[i, j] if is_inside else np.nan
        out[row, column] = total
    return out
