"""How many neighbouring nodes share one error."""

from __future__ import annotations

import numpy as np

# Correlation of neighbours below which no farther neighbour counts as alike.
LEAST_CORRELATION = 0.1


def alike(ratio: np.ndarray) -> float:
    """Number of neighbouring nodes that share one error: the product of the correlation lengths along y and x.

    ratio (component, pair, rows, columns): residuals in units of their spread, NaN where there is none.
    """
    has = np.isfinite(ratio)
    limit = 3.0 * 1.4826 * np.median(np.abs(ratio[has]))
    # outliers are no part of what neighbours share
    value = np.where(has, np.clip(ratio, -limit, limit), 0.0)
    variance = (value**2).sum() / has.sum()
    found = 1.0
    if not variance > 0.0:
        return found
    for axis in (2, 3):
        length = 1.0
        for lag in range(1, ratio.shape[axis] // 2 + 1):
            near, far = slice(None, -lag), slice(lag, None)
            index = [(slice(None),) * axis + (part,) for part in (near, far)]
            both = (has[index[0]] & has[index[1]]).sum()
            correlation = (value[index[0]] * value[index[1]]).sum() / both / variance if both else 0.0
            if correlation < LEAST_CORRELATION:
                break
            length += 2.0 * correlation
        found *= length
    return found
