"""Pairs whose dates lie too far apart: by a limit, or by what shorter ones of their pixel tell."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from xoffset._arrays.networks.observations import Observations
from xoffset._arrays.networks.separation import is_locked, spans_of
from xoffset._blocks import pixels
from xoffset._kernels.maps import separation
from xoffset.model import checks
from xoffset.model.dates import Duration, as_duration

# What `max_separation="auto"` goes by, for the record of a product.
RULES = {
    "edges_days": separation.EDGES,
    "least_pairs": separation.LEAST,
    "standard_errors": separation.SIGNIFICANT,
    "largest_share": separation.LARGEST_SHARE,
    "slow": separation.SLOW,
}


def longest(max_separation: Literal["auto"] | Duration | None) -> np.timedelta64 | None:
    """Limit of the separation, if there is one that needs no data."""
    if max_separation is None or (isinstance(max_separation, str) and max_separation == "auto"):
        return None
    limit = as_duration(max_separation, "max_separation", "screen")
    if limit <= np.timedelta64(0):
        raise ValueError(
            f"screen() needs a duration above zero as max_separation; got {max_separation!r}. Pass '200D', or 'auto'."
        )
    return limit


def locked(shifts: xr.Dataset, failed: Any) -> Any:
    """Where a pair belongs to baselines that stand still while shorter ones move (pair, y, x), boolean."""
    order, epochs, ends = checks.sorted_pairs(shifts)
    seen = Observations.of(ends)
    spans = spans_of(epochs, seen.ends)
    test = partial(_is_locked_of_block, spans=spans, seen=seen, of_pair=seen.of_pairs(order))
    fields = [shifts[name].data for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    return pixels.per_pixel(test, [*(field[order] for field in fields), failed[order]], shifts.sizes["pair"]) > 0.0


def _is_locked_of_block(*fields: np.ndarray, spans: np.ndarray, seen: Observations, of_pair: np.ndarray) -> np.ndarray:
    dx, dy, sigma_dx, sigma_dy, failed = fields
    dx, dy = (np.where(failed == 0, field, field.dtype.type(np.nan)) for field in (dx, dy))
    return np.asarray(is_locked(spans, seen.merge(dx, dy, sigma_dx, sigma_dy))[of_pair], dtype=dx.dtype)
