"""Pairs of images of ground that moves by any field, and what a window should show of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.ndimage
import xarray as xr
from _scenes import DATES, PIXEL, in_pixels, searched

from xoffset import synthetic
from xoffset.model import products

FINE = synthetic.OVERSAMPLING
# Motion down and right [px] of the ground that was at a place, in pixels down and right of the middle.
Field = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def linear(down: tuple[float, float], right: tuple[float, float]) -> tuple[Field, Field]:
    """Motion with a gradient (along y, along x) of either component, and where what is now at a place came from."""
    gradient = np.array([down, right])
    back = np.linalg.inv(np.eye(2) + gradient)
    return (lambda y, x: _times(gradient, y, x)), (lambda y, x: _times(back, y, x))


def _times(matrix: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return matrix[0, 0] * y + matrix[0, 1] * x, matrix[1, 0] * y + matrix[1, 1] * x


def profile(of: Callable[[np.ndarray], np.ndarray]) -> tuple[Field, Field]:
    """Motion down that differs from left to right, and where what is now at a place came from."""
    return (lambda y, x: (of(x) + 0.0 * y, 0.0 * x)), (lambda y, x: (y - of(x), x + 0.0 * y))


def fields(span: float, side: int) -> dict[str, tuple[Field, Field]]:
    """Motions by kind, with this range [px] within windows of this side, or a step of it."""
    part = span / side
    return {
        "shear": linear((0.0, part), (0.0, 0.0)),
        "strain": linear((0.0, 0.0), (0.0, part)),
        "rotation": linear((0.0, part / np.sqrt(2.0)), (-part / np.sqrt(2.0), 0.0)),
        "edge": profile(lambda x: span * (x > 0.3)),
        "bend": profile(lambda x: span * np.exp(-((x / side) ** 2))),
    }


def pair(moves: tuple[Field, Field], size: int, snr: float, *, redness: float = 1.3, seed: int = 0) -> xr.DataArray:
    """Two images of ground that moves; what each shows is told by a spline, and no image is interpolated."""
    ground = synthetic.scene((size, size), redness=redness, seed=seed).values
    middle, half = 0.5 * (size - 1), 0.5 * (FINE - 1)
    axis = (np.arange(FINE * size) - half) / FINE - middle
    seen = np.meshgrid(axis, axis, indexing="ij")
    images = np.empty((2, size, size))
    for image, places in zip(images, (seen, moves[1](*seen)), strict=True):
        coefficients = [FINE * (place + middle) + half for place in places]
        fine = scipy.ndimage.map_coordinates(ground, coefficients, order=3, prefilter=False, mode="grid-wrap")
        image[:] = fine.reshape(size, FINE, size, FINE).mean(axis=(1, 3))
    images += images.std() / snr * np.random.default_rng([seed, 5]).standard_normal(images.shape)
    x = PIXEL * (np.arange(size) - middle)
    return products.stack(images.astype("f4"), time=np.array(DATES, "M8[us]"), x=x, y=-x, crs=None, attrs={})


def prior(moves: tuple[Field, Field], stack: xr.DataArray) -> xr.Dataset:
    """Motion of every pixel [m]."""
    down, right = moves[0](*np.meshgrid(-stack.y.values / PIXEL, stack.x.values / PIXEL, indexing="ij"))
    return xr.Dataset(
        {"dx": (("y", "x"), PIXEL * right), "dy": (("y", "x"), -PIXEL * down)}, stack.drop_vars("time").coords
    )


def seen(moves: tuple[Field, Field], shifts: xr.Dataset, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean motion (2, rows, columns) of the pixels of each window, right and down, and its range [px]."""
    within = np.arange(side) - 0.5 * (side - 1)
    y, x = -shifts.y.values / PIXEL, shifts.x.values / PIXEL
    places = np.meshgrid((y[:, None] + within).ravel(), (x[:, None] + within).ravel(), indexing="ij")
    motion = np.stack(moves[0](*places)[::-1]).reshape(2, y.size, side, x.size, side)
    return motion.mean(axis=(2, 4)), np.sqrt(12.0 * motion.var(axis=(2, 4)).sum(axis=0))


def errors(moves: tuple[Field, Field], shifts: xr.Dataset, side: int) -> dict[str, Any]:
    """Errors and standard errors (2, node) right and down of windows inside the image [px], and the ranges (node,)."""
    mean, ranges = seen(moves, shifts, side)
    sigma = np.stack([shifts.sigma_dx.values[0], shifts.sigma_dy.values[0]]) / PIXEL
    inside = searched(shifts)
    return {"error": (in_pixels(shifts) - mean)[:, inside], "sigma": sigma[:, inside], "range": ranges[inside]}
