"""Two images of a glacier beside land, the second of which lies a pixel off, and a mask of land, glacier and water."""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
import rioxarray  # noqa: F401, registers `.rio`
import xarray as xr

from xoffset import synthetic

DATES = ("2020-05-12", "2020-05-27")
DAYS = 15.0
STEM = "20200512_20200527"
# Metres that the second image lies off, toward the east and the north.
OFF = (10.0, -10.0)
FAST = {"inc": 4, "half_source_chip": 8, "half_target_chip": 16}
OPTIONS = FAST | {"plotvmax": 2.0, "log10": True, "offset_correction_lgo_mask": True}


class Scene(NamedTuple):
    """Folder of the images and of the mask, the stack, and where the ground is land."""

    folder: Path
    mask: Path
    stack: xr.DataArray
    is_land: xr.DataArray


@functools.cache
def glacier() -> tuple[xr.DataArray, xr.Dataset]:
    """Images (time, y, x) of ice that moves up to 25 m in between, southeast, and its truth."""
    stack, truth = synthetic.stack((176, 200), dates=DATES, velocity=600.0, direction=120.0, snr=10.0, seed=4)
    moved = stack.copy(data=stack.values)
    moved[1] = np.roll(moved.values[1], (1, 1), axis=(0, 1))
    # other ground, where all matches are weak
    moved[1, 40:76, 110:160] = synthetic.scene((36, 50), seed=8).values[:36, :50]
    return moved, truth


def write(path: Path, values: np.ndarray, like: xr.DataArray, **about: object) -> Path:
    """GeoTIFF of an array on the grid of a stack."""
    side = float(like.x[1] - like.x[0])
    corner = float(like.x[0]) - side / 2, float(like.y[0]) + side / 2
    options = {"height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": str(values.dtype)}
    place = {"crs": like.rio.crs, "transform": rasterio.transform.from_origin(*corner, side, side)}
    with rasterio.open(path, "w", driver="GTiff", **options | place | about) as file:
        file.write(values, 1)
    return path


def scene_in(folder: Path) -> Scene:
    """The images as GeoTIFFs, and the mask: water in the first rows."""
    stack, truth = glacier()
    images = folder / "images"
    images.mkdir(parents=True)
    for date, image in zip(DATES, stack.values, strict=True):
        write(images / f"S2_{date.replace('-', '')}_B08.tif", image.astype("float32"), stack)
    is_land = np.hypot(truth.vx, truth.vy) == 0.0
    classes = is_land.values.astype("uint8")
    classes[:6] = 2
    mask = write(folder / "lgo.tif", classes, stack)
    return Scene(images, mask, stack, is_land)
