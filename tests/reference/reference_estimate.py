"""Slow twin of the counts of `estimate`, window by window."""

import numpy as np


def shifts(shape, template, step, pairs):
    """Candidates of all windows whose search stays in the image.

    `pairs`: one function (row, column) -> ((half y, half x), (prior y, prior x)) in pixels for each pair; a half-range
    of 0 leaves the window out, a prior that is NaN counts as none.
    """
    total = 0
    for of_node in pairs:
        for row, y in enumerate(range(0, shape[0] - template + 1, step)):
            for column, x in enumerate(range(0, shape[1] - template + 1, step)):
                half, prior = of_node(row, column)
                middle = [0, 0] if np.isnan(prior).any() else [int(np.rint(each)) for each in prior]
                fits = all(
                    start + centre - reach >= 0 and start + centre + reach + template <= size
                    for start, centre, reach, size in zip((y, x), middle, half, shape, strict=True)
                )
                if fits and min(half) > 0:
                    total += (2 * half[0] + 1) * (2 * half[1] + 1)
    return total
