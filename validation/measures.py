"""Numbers that several cases tell."""

from __future__ import annotations

import importlib.util
import tempfile
from typing import Any

import numpy as np
import xarray as xr

import xoffset
from benchmarks import _peers
from validation.data import Found

Row = dict[str, Any]
HAS_OPENCV = importlib.util.find_spec("cv2") is not None


def row(quantity: str, value: float, unit: str, **others: Any) -> Row:
    """One measured number as a row of a table."""
    return {"quantity": quantity, "unit": unit, "xoffset": float(value), **others}


def nmad(values: Any) -> float:
    """Spread by the median absolute deviation, times 1.4826; NaN are left out."""
    known = np.asarray(values, dtype=np.float64)
    return float(1.4826 * np.nanmedian(np.abs(known - np.nanmedian(known))))


def side_of(stack: xr.DataArray) -> float:
    """Side of a pixel [m]."""
    return abs(float(stack.x[1] - stack.x[0]))


def in_pixels(shifts: xr.Dataset, side: float) -> np.ndarray:
    """Displacement (component, ...) along x and y in pixels."""
    return np.stack([shifts.dx.values, shifts.dy.values]) / side


def opencv(stack: xr.DataArray, template: int, search: int, step: int) -> np.ndarray | None:
    """Displacement (component, row, column) along x and y in pixels of a pair by OpenCV; None where it is absent.

    Windows on the grid of `correlate`, high-passed and refined by a parabola: what most tools do. A pixel without a
    value counts as the mean of the image.
    """
    if not HAS_OPENCV:
        return None
    images = np.stack([np.where(np.isfinite(each), each, np.nanmean(each)) for each in stack.values.astype(np.float64)])
    right, down = _peers.opencv_loop(images.astype(np.float32), template, search, step)
    return np.stack([right, -down])


def window_mean(truth: xr.Dataset, side: int) -> xr.Dataset:
    """Mean of windows of so many pixels, at their middles: what a match is of. NaN at the rim."""
    mean = truth.rolling(y=side, x=side, center=True).mean()
    if side % 2:
        return mean
    # the middle of such a window lies half a pixel before the one that the mean is put at
    half = {dim: 0.5 * float(truth[dim][1] - truth[dim][0]) for dim in ("y", "x")}
    return mean.assign_coords({dim: mean[dim] - each for dim, each in half.items()})


def of_recipe(found: Found, recipe: str, *products: str, **changes: Any) -> list[xr.Dataset]:
    """Products of a recipe of the library on the images of a case, with the options of the case."""
    options = {name: tuple(each) if isinstance(each, list) else each for name, each in found.case.options.items()}
    with tempfile.TemporaryDirectory() as out:
        made = xoffset.run(recipe, found.all("images"), out, **options | changes)
        return [made[name].load() for name in products]


def toward_truth(dataset: xr.Dataset, table: Any) -> list[Row]:
    """Rows of motion beside that of GNSS receivers or stakes: accuracy, precision, bias and coverage."""
    found = xoffset.compare(dataset, table)
    unit = "m/yr" if "vx" in dataset else "m"
    residual = np.stack([found.residual_east.values, found.residual_north.values])
    residual = residual[:, np.isfinite(residual).all(axis=0)]
    precise = np.sqrt(np.mean((residual - residual.mean(axis=1, keepdims=True)) ** 2))
    coverage = 50.0 * float(found.coverage_east + found.coverage_north)
    return [
        row("accuracy: RMSE of a component against the ground", np.sqrt(np.mean(residual**2)), unit),
        row("precision: the same without the mean difference", precise, unit),
        row("measurements on the ground", float(found.n), "points"),
        row("coverage of 95 % intervals", coverage, "%"),
    ]
