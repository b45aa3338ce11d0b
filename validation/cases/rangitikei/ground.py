"""Images of ground that moves between pegs as they do: every point by the rates of the three pegs around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyproj
import scipy.interpolate
import scipy.ndimage
import xarray as xr

from xoffset import synthetic
from xoffset.model.dates import in_years
from xoffset.model.products import stack as labelled

SHAPE, SIDE, FINE = (208, 144), 10.0, 4  # px, m, parts of a pixel
SNR = 8.0
_STEPS = 40


def images_of_pegs(pegs: pd.DataFrame, dates: Sequence[str], seed: int = 0) -> tuple[xr.DataArray, xr.Dataset]:
    """Images and the velocity `vx`, `vy` [m yr-1] of the ground that is at a pixel on the first date.

    Textures are drawn at a quarter of a pixel and averaged, so that no interpolation favours anybody; the noise is
    white.
    """
    x = pegs.x.mean() + SIDE * (np.arange(SHAPE[1]) - SHAPE[1] / 2)
    y = pegs.y.mean() - SIDE * (np.arange(SHAPE[0]) - SHAPE[0] / 2)
    fine_x, fine_y = (_refined(axis) for axis in (x, y))
    velocity = _between(pegs, fine_x, fine_y)
    ground = synthetic.scene(SHAPE, seed=seed).values
    times = np.array(dates, dtype="datetime64[us]")
    rng = np.random.default_rng(seed)
    made = [_seen(ground, velocity, years, rng) for years in in_years(times - times[0])]
    truth = {name: (("y", "x"), _averaged(each)) for name, each in zip(("vx", "vy"), velocity, strict=True)}
    stack = labelled(np.stack(made).astype(np.float32), time=times, x=x, y=y, crs=pyproj.CRS(32760), attrs={})
    return stack, xr.Dataset(truth, {"x": x, "y": y})


def _refined(axis: np.ndarray) -> np.ndarray:
    """Centres of the parts of pixels along an axis."""
    side = axis[1] - axis[0]
    return (axis[:, None] + side * (np.arange(FINE) + 0.5 - FINE / 2) / FINE).ravel()


def _between(pegs: pd.DataFrame, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Velocity (component, y, x) linear in the triangles between pegs, zero outside of them and smooth at the rim."""
    places, rates = pegs[["x", "y"]].to_numpy(), pegs[["v_east", "v_north"]].to_numpy()
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    found = scipy.interpolate.LinearNDInterpolator(places, rates, fill_value=0.0)(grid)
    return np.stack([scipy.ndimage.gaussian_filter(found[..., k], FINE) for k in range(2)])


def _seen(ground: np.ndarray, velocity: np.ndarray, years: float, rng: np.random.Generator) -> np.ndarray:
    """Image of the ground after some years, with noise."""
    moved = years / SIDE * FINE * velocity * np.array([1.0, -1.0])[:, None, None]  # right and down, parts of a pixel
    here = np.indices(ground.shape, dtype=np.float64)
    origin = here.copy()
    for _ in range(_STEPS):
        # half a step at a time: where ground is stretched a lot, whole steps do not settle
        right, down = (scipy.ndimage.map_coordinates(each, origin, order=1, mode="nearest") for each in moved)
        origin = 0.5 * origin + 0.5 * (here - np.stack([down, right]))
    image = _averaged(scipy.ndimage.map_coordinates(ground, origin, order=3, mode="nearest"))
    detail = (image - scipy.ndimage.gaussian_filter(image, 3.0)).std()
    return image + rng.normal(0.0, detail / SNR, image.shape)


def _averaged(fine: np.ndarray) -> np.ndarray:
    return fine.reshape(SHAPE[0], FINE, SHAPE[1], FINE).mean(axis=(1, 3))
