"""Steps of the detectors of a sensor: the mean or median of what two of them saw together."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.corrections.terms import STRIPES

# Nodes that are looked at, at most.
MOST = 1_000_000


def table(
    dx: np.ndarray, dy: np.ndarray, stripes: np.ndarray, *, ends: np.ndarray, value: str, least: int
) -> np.ndarray:
    """Steps (component, pair, detector of the secondary, detector of the reference) [m], NaN of those with few vectors.

    dx, dy (pair, rows, columns), NaN where there is none; stripes (time, rows, columns), 0 where there is none; ends
    (pair, 2): their layers of the reference and of the secondary image.
    """
    out = np.full((2, len(dx), STRIPES + 1, STRIPES + 1), np.nan)
    middle = np.mean if value == "mean" else np.median
    for pair, (reference, secondary) in enumerate(ends):
        x, y, first, second = dx[pair].ravel(), dy[pair].ravel(), stripes[reference].ravel(), stripes[secondary].ravel()
        is_seen = np.isfinite(x) & np.isfinite(y) & (first > 0) & (second > 0)
        both = second[is_seen].astype(np.int64) * (STRIPES + 1) + first[is_seen]
        x, y = x[is_seen].astype(np.float64), y[is_seen].astype(np.float64)
        for code, number in zip(*np.unique(both, return_counts=True), strict=True):
            if number >= least:
                is_of = both == code
                out[:, pair, code // (STRIPES + 1), code % (STRIPES + 1)] = middle(x[is_of]), middle(y[is_of])
    return out


def applied(table: np.ndarray, dx: np.ndarray, stripes: np.ndarray, *, ends: np.ndarray) -> np.ndarray:
    """Steps (2 pairs, rows, columns) [m] at the nodes, those along x first; NaN where none is known.

    table (component, pair, detectors of both images) of `table`; stripes (time, rows, columns).
    """
    pairs = len(ends)
    out = np.empty((2 * pairs, *dx.shape[1:]), dtype=dx.dtype)
    for pair, (reference, secondary) in enumerate(ends):
        both = stripes[secondary].astype(np.int64) * (STRIPES + 1) + stripes[reference].astype(np.int64)
        for component in range(2):
            out[component * pairs + pair] = table[component, pair][both]
    return out
