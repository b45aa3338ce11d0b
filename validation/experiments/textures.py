"""Real images as ground that is moved by a known field, without interpolation.

A fine image is moved by whole fine pixels, then blocks of `factor` x `factor` fine pixels are averaged, as a sensor
with larger pixels averages over its area. So motion comes in steps of 1 / factor of a pixel, and is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr

from xoffset._arrays import planting
from xoffset.model import products
from xoffset.synthetic import _shape_of_field

# Side of a pixel of the averaged images, whatever it is in truth [m].
PIXEL = 10.0
# Largest side of the averaged images [px].
LARGEST = 192
# Fields by name: direction [degree clockwise from north], and motion where it is largest [px].
FIELDS = {"landslide": (120.0, 2.0), "fault": (30.0, 1.0), "glacier": (75.0, 4.0)}


@dataclass(frozen=True)
class Texture:
    """A real image: its file below the data folder, the part of it that is used, and how many pixels are averaged.

    `rows`, `columns`: first and last pixel of the part, None for all; `band`: number of the band, or name of the
    variable and its date in a netCDF file.
    """

    title: str
    file: str
    factor: int = 4
    rows: tuple[int, int | None] = (0, None)
    columns: tuple[int, int | None] = (0, None)
    band: int | tuple[str, str] = 1

    def read(self, folder: Path) -> np.ndarray:
        """Fine image (rows, columns), float64; unknown pixels have the median of the others."""
        path = folder / self.file
        if isinstance(self.band, tuple):
            name, date = self.band
            with xr.open_dataset(path) as data:
                image = data[name].drop_duplicates("time").sel(time=date).squeeze("time").values.astype(np.float64)
        else:
            image = read_image(path, self.band)
        image = image[slice(*self.rows), slice(*self.columns)]
        return middle(np.where(np.isfinite(image), image, np.nanmedian(image)), self.factor * LARGEST)


TEXTURES = {
    "rock glacier": Texture("scree and meadow, Kaiserberg, aerial image", "kaiserberg_rock_glacier/ortho_2015.tif"),
    "farmland": Texture("farmland, North Dakota, NAIP", "naip_stable/naip_20190904.tif"),
    "rock and ice": Texture(
        "rock, ice and sea, Yahtse, Landsat 8", "yahtse_landsat8/LC80630182016216LGN00_B8_yahtse.tif",
        columns=(600, None),
    ),
    "crevasses": Texture(
        "glacier tongue, Perito Moreno, Sentinel-2, compressed", "perito_moreno_s2/20200207.jpg",
        rows=(521, 1041), columns=(181, 701),
    ),
    "high mountains": Texture("snow and rock, Everest, Landsat 7", "dem_and_masks/everest_landsat7_B4_20001030.tif"),
    "river plain": Texture("forest and river, Ucayali, Landsat composite", "river_landsat_latlon/1995.tif", 3),
    "speckle": Texture("computer-made speckle, DIC challenge", "dic_challenge_14/reference.png", 3),
    "forest": Texture(
        "forest, Slovenia, Sentinel-2 NDVI", "s2_ndvi_slovenia/s2_ndvi_68dates.nc", 1, band=("ndvi", "2017-04-01")
    ),
}  # fmt: skip


def read_image(path: Path, band: int = 1) -> np.ndarray:
    """One band of an image (rows, columns), float64; nodata is NaN."""
    # a photograph has no coordinates, which is no reason to warn
    with rasterio.open(f"vrt://{path}?a_ullr=0,0,1,-1") as file:
        image = file.read(band).astype(np.float64)
        return np.where(image == file.nodata, np.nan, image) if file.nodata is not None else image


def middle(image: np.ndarray, side: int) -> np.ndarray:
    """The middle of an image (rows, columns), no more than `side` pixels high and wide."""
    starts = [max(0, (size - side) // 2) for size in image.shape]
    return image[starts[0] : starts[0] + side, starts[1] : starts[1] + side]


def averaged(fine: np.ndarray, factor: int) -> np.ndarray:
    """Means of blocks of factor x factor pixels (..., rows, columns); what is left over is cut off."""
    rows, columns = (size // factor for size in fine.shape[-2:])
    cut = fine[..., : rows * factor, : columns * factor]
    return np.asarray(cut.reshape(*fine.shape[:-2], rows, factor, columns, factor).mean(axis=(-3, -1)))


def shares(field: str, shape: tuple[int, int]) -> np.ndarray:
    """Motion of a field by name (2, rows, columns), down and to the right, where the largest is 1."""
    direction = np.deg2rad(FIELDS[field][0])
    share = _shape_of_field(field, shape, FIELDS[field][0])
    return np.stack([-np.cos(direction) * share, np.sin(direction) * share])


def moved(fine: np.ndarray, motion: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Image after a motion (2, rows, columns) of fine pixels, down and right, [px]; and the truth, [px].

    Both are averaged over blocks. The truth is the displacement of what was in a pixel before, and belongs to the image
    before the motion, as shifts do. Motion is rounded to whole fine pixels.
    """
    steps = np.rint(factor * motion).astype(np.int64)
    after = averaged(planting.plant(fine, steps), factor)
    return after, averaged(planting.reached(steps) / factor, factor)


def stack_of(images: list[np.ndarray], dates: np.ndarray) -> xr.DataArray:
    """Images (rows, columns) as a stack with pixels of 10 m and no CRS."""
    rows, columns = images[0].shape
    x, y = PIXEL * np.arange(columns), -PIXEL * np.arange(rows)
    return products.stack(np.stack(images).astype(np.float32), time=dates, x=x, y=y, crs=None, attrs={})


def in_windows(values: np.ndarray, side: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each window of `side` pixels, every `step` pixels (..., rows, columns), and the range of values in it."""
    windows = np.lib.stride_tricks.sliding_window_view(values, (side, side), axis=(-2, -1))[..., ::step, ::step, :, :]
    return windows.mean(axis=(-2, -1)), windows.max(axis=(-2, -1)) - windows.min(axis=(-2, -1))


def searched(shape: tuple[int, ...], side: int, search: int, step: int) -> np.ndarray:
    """Which windows of `side` pixels, every `step` pixels, have room for their search (rows, columns)."""
    fits = []
    for size in shape:
        start = step * np.arange((size - side) // step + 1)
        fits.append((start >= search) & (start + side + search <= size))
    return np.logical_and.outer(*fits)


def kinds_of_ground(truth: np.ndarray, side: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean truth of each window (2, rows, columns) [px], and its kind of ground: 0 still, 1 moving as one, 2 a margin.

    truth: motion (2, rows, columns) [px]. A window moves as one if the motion in it differs by no more than a quarter
    of a pixel, the finest step of the fields, or a tenth of its length.
    """
    mean, spread = in_windows(truth, side, step)
    length, range_ = np.hypot(*mean), np.hypot(*spread)
    is_margin = range_ > np.maximum(0.36, 0.1 * length)
    return mean, np.where(is_margin, 2, np.where(length > 0.0, 1, 0)).astype(np.int8)


GROUNDS = ("still", "moving", "margin")


def in_pixels(shifts: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Displacements (pair, 2, rows, columns), down and right, and their standard errors [px], of stacks from here."""
    found: Any = [-shifts["dy"].values, shifts["dx"].values], [shifts["sigma_dy"].values, shifts["sigma_dx"].values]
    return np.stack(found[0], axis=1) / PIXEL, np.stack(found[1], axis=1) / PIXEL
