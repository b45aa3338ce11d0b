"""What images of stable ground differ by from date to date, to be added to other images.

The part of an image that another image of the same ground does not explain: the surface that changed, light, leaves,
the sensor's noise, and what is left of the position of the images. It is given in units of the detail that both share,
so that a texture with this noise correlates as the real images do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.ndimage
import xarray as xr

from validation.experiments.textures import averaged, read_image

# Detail is what is finer than this [px].
DETAIL = 3.0


@dataclass(frozen=True)
class Ground:
    """Ground that stands still, and dates that it looks much alike on."""

    title: str
    dates: tuple[str, ...]


GROUNDS = {
    "scree and meadow": Ground("Kaiserberg, right-hand third, pixels of 1.06 m", ("2010", "2015", "2020", "2023")),
    "farmland": Ground(
        "North Dakota, NAIP, pixels of 10 m",
        ("20120731", "20140720", "20160816", "20170827", "20180716", "20190904", "20200831"),
    ),
    "forest": Ground(
        "Slovenia, Sentinel-2 NDVI, pixels of 10 m",
        ("2017-06-20", "2017-07-05", "2017-07-10", "2017-07-20", "2017-08-04", "2017-08-24", "2017-08-29"),
    ),
}
# Pairs of dates by what they stand for: ground, and its two dates.
PAIRS = {
    "forest, 10 days": ("forest", "2017-07-10", "2017-07-20"),
    "forest, 11 months": ("forest", "2017-01-11", "2017-12-07"),
    "forest, 6 months": ("forest", "2017-04-01", "2017-10-08"),
    "farmland, 1 year": ("farmland", "20190904", "20200831"),
    "farmland, 4 years": ("farmland", "20160816", "20200831"),
    "scree, 3 years": ("scree and meadow", "2020", "2023"),
    "scree, 13 years": ("scree and meadow", "2010", "2023"),
}


@lru_cache(maxsize=16)
def images(ground: str, dates: tuple[str, ...], folder: Path) -> np.ndarray:
    """Images of a ground on some dates (date, rows, columns); unknown pixels have the median of their image."""
    if ground == "scree and meadow":
        found = [read_image(folder / f"kaiserberg_rock_glacier/ortho_{date}.tif")[:, 1262:] for date in dates]
    elif ground == "farmland":
        found = [read_image(folder / f"naip_stable/naip_{date}.tif")[:723, :934] for date in dates]
    else:
        with xr.open_dataset(folder / "s2_ndvi_slovenia" / "s2_ndvi_68dates.nc") as data:
            ndvi = data["ndvi"].drop_duplicates("time")
            found = [ndvi.sel(time=date).squeeze("time").values.astype(np.float64) for date in dates]
    whole = np.stack([np.where(np.isfinite(each), each, np.nanmedian(each)) for each in found])
    return whole if ground == "forest" else averaged(whole, 2)


def pair_of(name: str, folder: Path) -> np.ndarray:
    """The two images (2, rows, columns) of a pair of `PAIRS`."""
    ground, first, second = PAIRS[name]
    return images(ground, (first, second), folder)


def detail(image: np.ndarray) -> np.ndarray:
    """An image without what is coarser than 3 px."""
    return np.asarray(image - scipy.ndimage.gaussian_filter(image, DETAIL))


def unexplained(image: np.ndarray, by: np.ndarray) -> tuple[np.ndarray, float]:
    """What another image does not explain of one, over the spread of the detail that it does; and their correlation."""
    fine, other = detail(image), detail(by)
    slope = float((fine * other).mean() / (other**2).mean())
    rest = (image - image.mean()) - slope * (by - by.mean())
    correlation = float((fine * other).mean() / (fine.std() * other.std()))
    return rest / (abs(slope) * other.std()), correlation


def of_pair(name: str, folder: Path) -> tuple[np.ndarray, float]:
    """Noise (rows, columns) of a pair of `PAIRS`, and how well the detail of its two images correlates."""
    before, after = pair_of(name, folder)
    return unexplained(after, before)


@lru_cache(maxsize=4)
def of_dates(ground: str, folder: Path) -> np.ndarray:
    """Noise of each date (date, rows, columns): what the mean of the other dates does not explain."""
    every = images(ground, GROUNDS[ground].dates, folder)
    others = (every.sum(axis=0) - every) / (len(every) - 1)
    return np.stack([unexplained(image, by)[0] for image, by in zip(every, others, strict=True)])


def cut(noise: np.ndarray, shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """A part of a noise (rows, columns) of this shape, turned over and from a place drawn at random.

    Of noise that is smaller it is mirrored at the edges.
    """
    missing = [(0, max(0, wanted - size)) for wanted, size in zip(shape, noise.shape, strict=True)]
    whole = np.pad(noise, missing, mode="reflect")
    if generator.random() < 0.5:
        whole = whole[::-1]
    whole = whole[:, ::-1]  # always, so that noise never lies on the ground that it comes from
    row, column = (int(generator.integers(size - wanted + 1)) for size, wanted in zip(whole.shape, shape, strict=True))
    return whole[row : row + shape[0], column : column + shape[1]]


def added(image: np.ndarray, noise: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """An image with noise of another place in it, as strong beside its detail as it is there."""
    return np.asarray(image + detail(image).std() * cut(noise, (image.shape[0], image.shape[1]), generator))
