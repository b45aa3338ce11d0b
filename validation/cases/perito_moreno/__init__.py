"""Glacier on compressed views of Sentinel-2, cut to the ice."""

from __future__ import annotations

import numpy as np
import rasterio
import xarray as xr

import xoffset
from validation.case import Rows
from validation.data import Found
from validation.measures import opencv, row

PAIRS = (("2020-01-31", "2020-02-07"), ("2020-02-10", "2020-02-20"), ("2020-01-01", "2020-01-31"))
TEMPLATE, SEARCH, STEP = 32, 16, 16


def run(found: Found) -> dict[str, Rows]:
    """95th percentile of the motion of clear pairs."""
    return {"table": [_of_pair(found, first, second) for first, second in PAIRS]}


def ice(found: Found, first: str, second: str) -> xr.DataArray:
    """Two dates, NaN where there is no ice."""
    stack = xoffset.open_stack(found.all("images"), band=1, date="%Y%m%d", pixel_size=1.0).sel(time=[first, second])
    with rasterio.open(f"vrt://{found.one('mask')}?a_ullr=0,0,1,-1") as mask:
        is_ice = xr.DataArray(mask.read(1) > 128, dims=("y", "x"))
    return stack.where((stack > 10) & is_ice).load()


def _of_pair(found: Found, first: str, second: str) -> dict[str, object]:
    stack = ice(found, first, second)
    shifts = stack.offset.correlate(stack.offset.pairs(), template=TEMPLATE, search=SEARCH, step=STEP)
    shifts = shifts.offset.screen(min_score=0.5).isel(pair=0)
    peer = opencv(stack, TEMPLATE, SEARCH, STEP)
    is_there = np.isfinite(shifts.score.values) & (shifts.score.values > 0.5)
    beside = None if peer is None else float(np.nanquantile(np.where(is_there, np.hypot(*peer), np.nan), 0.95))
    moved = float(np.hypot(shifts.dx, shifts.dy).quantile(0.95))
    return row(f"motion of the fastest 5 %, {first} to {second}", moved, "px", OpenCV=beside)
