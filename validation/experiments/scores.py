"""Errors and standard errors put in a few numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

# Standard errors within which 68 and 95 % of normal errors lie.
LIMITS = {"68 %": 1.0, "95 %": 1.96}
# Farther off is an outlier [px].
OUTLIER = 0.5


def coverage(error: np.ndarray, sigma: np.ndarray) -> dict[str, float]:
    """Share [%] of the errors within their intervals of 68 and 95 %, of those that have one; NaN of none."""
    ratio = np.abs(np.asarray(error) / np.asarray(sigma))
    ratio = ratio[np.isfinite(ratio)]
    return {name: 100.0 * float((ratio < limit).mean()) if ratio.size else np.nan for name, limit in LIMITS.items()}


def of_vectors(error: np.ndarray, sigma: np.ndarray | None, truth: np.ndarray) -> dict[str, Any]:
    """Numbers of vectors (2, n), all in pixels; errors are NaN where there is no value.

    Outliers are off by more than half a pixel; RMSE is that of a component without them; retention is the share of the
    motion that the values show, by least squares through the origin, NaN where nothing moves. An outlier shows nothing
    of it, however long it is. What images as wholes lie apart by counts as motion, so that little of it can be lost.
    """
    length = np.hypot(*error)
    is_known = np.isfinite(length)
    good = is_known & (length <= OUTLIER)
    count, known = length.size, max(int(is_known.sum()), 1)
    row = {
        "windows": count,
        "kept %": 100.0 * float(is_known.sum()) / max(count, 1),
        "outliers %": 100.0 * float((is_known & ~good).sum()) / known,
        "rmse px": float(np.sqrt(0.5 * (error[:, good] ** 2).sum() / max(good.sum(), 1))) if good.any() else np.nan,
    }
    if sigma is not None:
        row["sigma px"] = (
            float(np.sqrt(np.median(0.5 * (sigma[:, is_known] ** 2).sum(axis=0)))) if is_known.any() else np.nan
        )
        row |= coverage(error[:, is_known], sigma[:, is_known])
    row["retention"] = _retention(error, truth, is_known, good)
    return row


def _retention(error: np.ndarray, truth: np.ndarray, is_known: np.ndarray, good: np.ndarray) -> float:
    """Share of the motion of what moves by more than a quarter of a pixel that its values show; NaN of few."""
    moves = is_known & (np.hypot(*truth) > 0.25)
    shown = np.where(good, ((truth + error) * truth).sum(axis=0), 0.0)[moves].sum()
    return float(shown / (truth[:, moves] ** 2).sum()) if moves.sum() > 5 else float("nan")
