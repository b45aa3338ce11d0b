"""Pairs of images of ground that moves as told, none of them interpolated: any field, and parts that are cut out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.ndimage
import xarray as xr

from xoffset import synthetic
from xoffset.model import products

DATES = ("2020-01-01T00:00", "2020-12-31T06:00")  # one year of 365.25 days apart
PIXEL = 10.0  # m
FINER = synthetic.OVERSAMPLING


def bent(
    share: Callable[[np.ndarray, np.ndarray], np.ndarray],
    shape: tuple[int, int],
    right: float,
    down: float,
    *,
    snr: float,
    seed: int,
    light: float = 0.15,
) -> xr.DataArray:
    """Images of ground that moves by share(rows, columns) times (right, down) pixels; `share` is a smooth function.

    The spline of `synthetic.scene` is sampled four times finer where each sample of the second image came from, and
    averaged.
    """
    ground = synthetic.scene(shape, seed=seed).values
    rows, columns = ((np.arange(FINER * size) + 0.5) / FINER - 0.5 for size in shape)
    fine = np.empty((2, rows.size, columns.size), dtype=np.float32)
    # a strip at a time: all at once would need gigabytes
    for part in np.array_split(np.arange(rows.size), max(shape[0] // 64, 1)):
        here = came = np.meshgrid(rows[part], columns, indexing="ij")
        for _ in range(6):
            moved = share(*came)
            came = [here[0] - down * moved, here[1] - right * moved]
        for image, places in zip(fine, (here, came), strict=True):
            at = [FINER * (each + 0.5) - 0.5 for each in places]
            image[part] = scipy.ndimage.map_coordinates(ground, at, order=3, prefilter=False, mode="grid-wrap")
    return _averaged(list(fine), snr, light, seed)


def cut_out(
    inside: np.ndarray, quarters: tuple[int, int], *, snr: float, seed: int, light: float = 0.15
) -> xr.DataArray:
    """Images whose part `inside` (rows, columns) has moved by quarters of a pixel (right, down) over the rest."""
    spline = synthetic.scene(inside.shape, seed=seed).values
    ground = spline
    for axis in range(2):
        ground = scipy.ndimage.convolve1d(ground, [1 / 6, 4 / 6, 1 / 6], axis=axis, mode="wrap")
    fine = np.kron(inside, np.ones((FINER, FINER), bool)).astype(bool)
    there, brought = (np.roll(each, quarters[::-1], (0, 1)) for each in (fine, ground))
    return _averaged([ground, np.where(there, brought, ground)], snr, light, seed)


def discs(radius: int, size: int = 160) -> np.ndarray:
    """Where nine discs of a radius are, their middles 40 px apart (size, size)."""
    y, x = np.indices((size, size))
    middles = [(row, column) for row in (40, 80, 120) for column in (40, 80, 120)]
    return np.any([np.hypot(y - row, x - column) < radius for row, column in middles], axis=0)


def _averaged(fine: list[np.ndarray], snr: float, light: float, seed: int) -> xr.DataArray:
    """A stack of two images from scenes four times finer, with changing light and noise."""
    rng = np.random.default_rng(seed + 1000)
    rows, columns = (size // FINER for size in fine[0].shape)
    images = np.stack([each.reshape(rows, FINER, columns, FINER).mean(axis=(1, 3)) for each in fine])
    detail = images[0] - scipy.ndimage.gaussian_filter(images[0], 3.0, mode="wrap")
    change = scipy.ndimage.gaussian_filter(rng.standard_normal((rows, columns)), min(rows, columns) / 12, mode="wrap")
    images[1] *= 1.0 + light * (1.0 / 3.0 + change / np.abs(change).max())
    images += rng.standard_normal(images.shape) * detail.std() / snr
    return stack_of(images)


def stack_of(images: np.ndarray) -> xr.DataArray:
    """Two images (2, rows, columns) with pixels of 10 m, rows from north to south."""
    rows, columns = (PIXEL * (np.arange(size) + 0.5) for size in images.shape[1:])
    time = np.array(DATES, dtype="datetime64[us]")
    return products.stack(images.astype(np.float32), time=time, x=columns, y=-rows, crs=None, attrs={})
