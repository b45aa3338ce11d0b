"""Stable forest in a stack of vegetation indices: how far images of summers lie apart from spring."""

from __future__ import annotations

import xarray as xr

import xoffset  # noqa: F401, registers `.offset`
from validation.case import Rows
from validation.data import Found
from validation.measures import row
from xoffset import filtering

HOME = "2017-04-01"
DATES = ("2017-07-20", "2017-08-04", "2017-08-24", "2015-07-11")


def run(found: Found) -> dict[str, Rows]:
    """Misregistration of four dates, and of all."""
    with xr.open_dataset(found.one("stack")) as file:
        data = file.drop_duplicates("time").load()
    is_clear = (data.valid == 1) & (data.cloud == 0)
    stack = data.ndvi.where(is_clear).isel(time=is_clear.mean(("y", "x")) > 0.98).rio.write_crs("EPSG:32633")
    placed = stack.offset.coregister(
        reference=HOME, search=4, prefilter=filtering.Highpass(0.5), min_nodes=8, apply=False
    )
    along_y = placed.misregistration_dy / 10.0
    rows = [row(f"{date} lies off along y", float(along_y.sel(time=date).squeeze()), "px") for date in DATES]
    return {"table": [*rows, row("median of all dates", float(abs(along_y).median()), "px")]}
