"""What a series leaves of the pairs that it was made of, and pixels that too few pairs are left of, block by block."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.layers import Layers


def layers_of(pairs: int, dates: int) -> Layers:
    """Where the results of `misclosures` are."""
    return Layers(residual=(2, pairs), rms=(2, dates))


def misclosures(*fields: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Residuals of pairs and their root mean squares by date (layer, rows, columns), as `layers_of` says.

    fields: dx, dy of the pairs (pair, rows, columns), then of the series (date, rows, columns); ends (pair, 2): its
    dates, as indices.
    """
    observed, series = np.stack(fields[:2]), np.stack(fields[2:])
    dates = series.shape[1]
    places = layers_of(len(ends), dates)
    out = np.empty((places.count, *observed.shape[2:]), fields[0].dtype)
    rest = observed - (series[:, ends[:, 1]] - series[:, ends[:, 0]])
    out[places["residual"]] = rest.reshape(-1, *rest.shape[2:])
    of_dates = np.full((2, dates, *rest.shape[2:]), np.nan)
    for k in range(dates):
        mine = rest[:, (ends == k).any(axis=1)].astype(np.float64)
        count = np.isfinite(mine).sum(axis=1)
        total = np.nansum(mine * mine, axis=1)
        np.sqrt(np.divide(total, count, out=of_dates[:, k], where=count > 0), out=of_dates[:, k])
    out[places["rms"]] = of_dates.reshape(-1, *rest.shape[2:])
    return out


def too_few(dx: np.ndarray, dy: np.ndarray, ends: np.ndarray, max_discarded: float, min_pairs: int) -> np.ndarray:
    """Which pairs (pair, rows, columns) take no part since too few are left, 1 or 0.

    All pairs of a pixel that lacks more than the share `max_discarded` of them; pairs of a date that has fewer than
    `min_pairs`, again and again until no date has.
    """
    is_known = np.isfinite(dx) & np.isfinite(dy)
    kept = is_known & ((~is_known).sum(axis=0) <= int(max_discarded * len(ends)))
    before = -1
    while kept.sum() != before and min_pairs > 1:
        before = kept.sum()
        for k in np.unique(ends):
            is_mine = (ends == k).any(axis=1)
            kept[is_mine] &= kept[is_mine].sum(axis=0) >= min_pairs
    return np.asarray(is_known & ~kept, dtype=dx.dtype)
