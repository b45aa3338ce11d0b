"""Step of a quantity along a line."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Step(NamedTuple):
    """Step across a place, its standard error, and the lines on both sides."""

    size: float  # positive where the quantity grows along the line
    sigma: float
    samples: int  # samples that took part
    lines: tuple[
        tuple[tuple[float, float], tuple[float, float]], ...
    ]  # (ends of distance, values at them) of each side


def step_across(distance: np.ndarray, values: np.ndarray, sigma: np.ndarray, *, at: float, gap: float) -> Step:
    """Fit two lines of one slope, before and after a place, by weighted least squares.

    Samples within half the gap of the place, and those without a value, take no part; weights are 1/sigma², or one if
    any sigma is unknown or none. The standard error follows from the scatter around the lines, as if samples erred on
    their own. The step is NaN with fewer than 4 samples, or with none on one side.
    """
    from_place = distance - at
    used = np.isfinite(values) & (np.abs(from_place) >= 0.5 * gap) & (from_place != 0.0)
    is_after = from_place > 0.0
    count = int(used.sum())
    if count < 4 or not (used & is_after).any() or not (used & ~is_after).any():
        return Step(np.nan, np.nan, count, ())
    errors = sigma[used]
    is_weighted = bool((np.isfinite(errors) & (errors > 0.0)).all())
    scale = errors.min() / errors if is_weighted else np.ones(count)
    length = float(np.abs(from_place[used]).max())
    design = np.stack([np.ones(count), from_place[used] / length, is_after[used].astype(np.float64)], axis=1)
    weighted = design * scale[:, np.newaxis]
    found, _, rank, _ = np.linalg.lstsq(weighted, values[used] * scale, rcond=None)
    if rank < 3:
        return Step(np.nan, np.nan, count, ())
    rest = values[used] * scale - weighted @ found
    variance = float(rest @ rest) / max(count - 3, 1) * np.linalg.inv(weighted.T @ weighted)[2, 2]
    lines = []
    for side, jump in ((~is_after, 0.0), (is_after, found[2])):
        ends = (float(distance[used & side].min()), float(distance[used & side].max()))
        lines.append((ends, tuple(float(found[0] + jump + found[1] * (end - at) / length) for end in ends)))
    return Step(float(found[2]), float(np.sqrt(variance)), count, tuple(lines))  # type: ignore[arg-type]
