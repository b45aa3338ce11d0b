"""Pairs of synthetic images a year apart, and the errors of shifts against their truth, in pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.model import products
from xoffset.model.flags import FLAGS

DATES = ["2020-01-01T00:00", "2020-12-31T06:00"]  # one year of 365.25 days apart
PIXEL = 10.0  # m
OUTLIER = 0.5  # px


def pair(size: int, **options: Any) -> tuple[xr.DataArray, xr.Dataset]:
    """Two images a year apart and the truth; speeds in tenths of a pixel."""
    return synthetic.stack((size, size), dates=DATES, pixel_size=PIXEL, **options)


def constant(size: int, right: float, down: float, **options: Any) -> xr.DataArray:
    """Two images of ground that moves by (right, down) pixels."""
    speed, direction = PIXEL * np.hypot(right, down), np.degrees(np.arctan2(right, -down))
    return pair(size, field="constant", velocity=speed, direction=direction, **options)[0]


def decorrelated(size: int, part: float, **options: Any) -> tuple[xr.DataArray, xr.Dataset]:
    """A pair whose second image got this part of its variance from other ground; that ground moves alike."""
    stack, truth = pair(size, **options)
    other, _ = pair(size, **options | {"seed": options.get("seed", 0) + 100, "snr": np.inf})
    level = float(stack[1].mean())
    second = level + np.sqrt(1.0 - part) * (stack[1] - level) + np.sqrt(part) * (other[1] - level)
    return xr.concat([stack[0], second.assign_coords(time=stack.time[1])], dim="time").assign_attrs(stack.attrs), truth


def tiled(size: int, pairs: int = 1) -> tuple[xr.DataArray, xr.Dataset]:
    """Images of any size at no cost, and so many pairs of them: ground that repeats itself every 512 px."""
    dates = int(np.ceil(0.5 + np.sqrt(0.25 + 2.0 * pairs)))
    time = np.datetime64("2020-01-01") + 10 * np.arange(dates)
    side = min(size, 512)
    small, _ = synthetic.stack(
        (side, side), dates=time, pixel_size=PIXEL, field="constant", velocity=40.0, direction=120.0, snr=4.0
    )
    copies = -(-size // side)
    pixels = np.tile(np.rint(small.values).astype(np.uint16), (1, copies, copies))[:, :size, :size]
    axis = PIXEL * (np.arange(size) + 0.5)
    stack = products.stack(pixels, time=time, x=axis, y=-axis, crs=None, attrs={})
    return stack, xoffset.pairs(stack).isel(pair=slice(pairs))


def errors(shifts: xr.Dataset | np.ndarray, truth: xr.Dataset, like: xr.Dataset) -> np.ndarray:
    """Measured minus true displacement (2, rows, columns) along x and down; of shifts, or of an array in pixels."""
    true = truth.isel(time=1).interp(x=like.x, y=like.y)
    found = shifts if isinstance(shifts, np.ndarray) else in_pixels(shifts)
    return found - np.stack([true.dx.values, -true.dy.values]) / PIXEL


def in_pixels(shifts: xr.Dataset) -> np.ndarray:
    """Displacement of the first pair (2, rows, columns) along x and down."""
    return np.stack([shifts.dx.values[0], -shifts.dy.values[0]]) / PIXEL


def summary(error: np.ndarray, where: np.ndarray | None = None, limit: float = OUTLIER) -> dict[str, float]:
    """Share of nodes with a value, outliers among them, and the RMSE by component without those."""
    length = np.hypot(*error)
    found = np.isfinite(length) if where is None else np.isfinite(length) & where
    inliers = found & (length <= limit)
    return {
        "valid %": 100.0 * found.sum() / (length.size if where is None else max(where.sum(), 1)),
        "outliers %": 100.0 * (found & ~inliers).sum() / max(found.sum(), 1),
        "rmse px": float(np.sqrt(np.mean(error[:, inliers] ** 2))) if inliers.any() else float("nan"),
    }


def searched(shifts: xr.Dataset) -> np.ndarray:
    """Nodes of the first pair (rows, columns) whose window and search lie inside the image."""
    return (shifts.flags.values[0] & FLAGS["outside"]) == 0
