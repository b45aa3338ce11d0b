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
        ],
        "half a pixel": half_a_pixel(stack.isel(time=[-2, -1])),
    }


def half_a_pixel(pair: xr.DataArray) -> Rows:
    """Medians and spreads along x where the truth is none, and half a pixel: areas of two pixels, averaged one on.

    Matches that prefer whole pixels spread little where the truth is one.
    """
    rows = []
    for step in (0, 1):
        first, second = (_averaged(image, start) for image, start in zip(pair.values, (0, step), strict=True))
        y, x = (side * np.arange(size) for side, size in zip((-10.0, 10.0), first.shape, strict=True))
        coords = {"time": pair.time.values, "y": y, "x": x}
        coarse = xr.DataArray(np.stack([first, second]), dims=("time", "y", "x"), coords=coords)
        found = {
            "xoffset": _along_x(coarse, "bandpass"), "xoffset, highpass": _along_x(coarse, "highpass"),
        }  # fmt: skip
        if (peer := opencv(coarse, 32, 6, 8)) is not None:
            found["OpenCV, parabola"] = peer[0]
        is_known = np.all([np.isfinite(each) for each in found.values()], axis=0)
        for method, along_x in found.items():
            told = {"median": float(np.median(along_x[is_known])), "spread (NMAD)": nmad(along_x[is_known])}
            rows.append({"truth": (0.0, -0.5)[step], "method": method} | told)
    return rows


def _averaged(image: np.ndarray, start: int) -> np.ndarray:
    """Means of areas of two by two pixels, the first of them so many pixels from the rim."""
    rows, columns = image.shape[0] // 2, image.shape[1] // 2 - 1
    part = image[: 2 * rows, start : start + 2 * columns].astype(np.float64)
    return part.reshape(rows, 2, columns, 2).mean(axis=(1, 3))


def _along_x(pair: xr.DataArray, prefilter: str) -> np.ndarray:
    shifts = pair.offset.correlate(pair.offset.pairs(), template=32, search=6, step=8, prefilter=prefilter)
    return in_pixels(shifts, 10.0)[0, 0]


def _largest(moved: np.ndarray) -> float:
    return float(np.abs(np.nanmedian(moved, axis=(2, 3))).max())


def _calibrated(stack: xr.DataArray) -> float:
    """Spread of velocities in units of their standard errors, on the half of the ground that these were not told by."""
    shifts = stack.offset.correlate(stack.offset.pairs(), template=32, search=5, step=16).offset.screen(min_score=0.5)
    y, x = np.indices((shifts.sizes["y"], shifts.sizes["x"]))
    still = xr.DataArray((x // 4 + y // 4) % 2 == 0, dims=("y", "x"), coords={"y": shifts.y, "x": shifts.x})
    rate = shifts.offset.invert(stable=still).offset.velocity()
    return float(np.mean([nmad((rate[name] / rate[f"sigma_{name}"]).where(~still)) for name in ("vx", "vy")]))
