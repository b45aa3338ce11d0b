"""Farmland that does not move, on aerial photographs of ten years."""

from __future__ import annotations

import numpy as np
import xarray as xr

import xoffset
from validation.case import Rows
from validation.data import Found
from validation.measures import in_pixels, nmad, opencv, row, side_of

# Dates that the data set calls good: 2012 to 2020 without 2015.
YEARS = (2012, 2014, 2016, 2017, 2018, 2019, 2020)
TEMPLATE, SEARCH, STEP = 64, 8, 16


def images(found: Found) -> xr.DataArray:
    """The good dates on one grid."""
    stack = xoffset.open_stack(found.all("images"), date="naip_%Y%m%d", align="cubic")
    return stack.sel(time=np.isin(stack.time.dt.year, YEARS)).load()


def run(found: Found) -> dict[str, Rows]:
    """Shifts of each date to the last, which should be zero, and whether standard errors hold."""
    stack = images(found)
    side = side_of(stack)
    network = stack.offset.pairs()
    network = network.isel(pair=network.secondary.values == stack.time.values[-1])
    shifts = stack.offset.correlate(network, template=TEMPLATE, search=SEARCH, step=STEP)
    moved = in_pixels(shifts, side)
    of_peer = [opencv(stack.isel(time=[k, -1]), TEMPLATE, SEARCH, STEP) for k in range(len(YEARS) - 1)]
    peers = None if of_peer[0] is None else np.stack([each for each in of_peer if each is not None], axis=1)
    last = None if peers is None else max(map(nmad, peers[:, -1]))
    return {
        "table": [
            row("largest median of a date", _largest(moved), "px", OpenCV=None if peers is None else _largest(peers)),
            row("spread (NMAD), 2019 to 2020", max(map(nmad, moved[:, -1])), "px", OpenCV=last),
            row("spread over standard error on other ground", _calibrated(stack), "1"),
        ]
    }


def _largest(moved: np.ndarray) -> float:
    return float(np.abs(np.nanmedian(moved, axis=(2, 3))).max())


def _calibrated(stack: xr.DataArray) -> float:
    """Spread of velocities in units of their standard errors, on the half of the ground that these were not told by."""
    shifts = stack.offset.correlate(stack.offset.pairs(), template=32, search=5, step=16).offset.screen(min_score=0.5)
    y, x = np.indices((shifts.sizes["y"], shifts.sizes["x"]))
    still = xr.DataArray((x // 4 + y // 4) % 2 == 0, dims=("y", "x"), coords={"y": shifts.y, "x": shifts.x})
    rate = shifts.offset.invert(stable=still).offset.velocity()
    return float(np.mean([nmad((rate[name] / rate[f"sigma_{name}"]).where(~still)) for name in ("vx", "vy")]))
