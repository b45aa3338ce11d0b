"""Rock glacier on aerial photographs of twenty years: motion of up to 15 px, and ground that stands still beside it."""

from __future__ import annotations

import numpy as np
import xarray as xr

import xoffset
from validation.case import Rows
from validation.data import Found
from validation.measures import in_pixels, nmad, opencv, row, side_of
from xoffset.model.dates import in_years

TEMPLATE, SEARCH, STEP = 32, 24, 16


def images(found: Found) -> xr.DataArray:
    """The photographs of 2003 to 2023."""
    return xoffset.open_stack(found.all("images"), date="ortho_%Y").sel(time=slice("2003", None)).load()


def run(found: Found) -> dict[str, Rows]:
    """Fastest motion of each pair of neighbours beside the stable third, and what that third shows."""
    stack = images(found)
    shifts = stack.offset.correlate(stack.offset.pairs(max_gap=1), template=TEMPLATE, search=SEARCH, step=STEP)
    shifts = shifts.where(shifts.score > 0.5)
    moved = in_pixels(shifts, side_of(stack))
    found_by_peer = [opencv(stack.isel(time=[k, k + 1]), TEMPLATE, SEARCH, STEP) for k in range(4)]
    peer = None if found_by_peer[0] is None else np.stack([each for each in found_by_peer if each is not None], axis=1)
    third = 2 * shifts.sizes["x"] // 3
    years = in_years((shifts.secondary - shifts.reference).values)
    rows = []
    for k, (first, last) in enumerate(
        zip(shifts.reference.dt.year.values, shifts.secondary.dt.year.values, strict=True)
    ):
        fastest, of_peer = (None if each is None else _fastest(each[:, k], third) for each in (moved, peer))
        assert fastest is not None
        rows.append(row(f"fastest 1 %, {first} to {last}", fastest, "px", OpenCV=of_peer))
        rows.append(row(f"the same a year, {first} to {last}", fastest * side_of(stack) / years[k], "m/yr"))
    for name, measure in (("largest median", _median), ("largest spread (NMAD)", nmad)):
        ours, theirs = (
            None if each is None else max(measure(part) for part in each[:, :, :, third:].reshape(8, -1))
            for each in (moved, peer)
        )
        assert ours is not None
        rows.append(row(f"{name} on the stable third", ours, "px", OpenCV=theirs))
    return {"table": rows}


def _fastest(moved: np.ndarray, third: int) -> float:
    """99th percentile of the motion (component, row, column) of the west, less the median of the stable third."""
    still = np.nanmedian(moved[:, :, third:], axis=(1, 2), keepdims=True)
    return float(np.nanquantile(np.hypot(*(moved - still)[:, :, :third]), 0.99))


def _median(values: np.ndarray) -> float:
    return float(abs(np.nanmedian(values)))
