"""Five years of Sentinel-2 over slides that creep by 20 cm a year, and over places beside them that do not.

The images are synthetic: ground that moves by a known rate, seen with the errors that Sentinel-2 is known for. Four
places are outlined as if they might move; two of them do. All else stands still, and tells the corrections.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset import masking, synthetic

PIXEL = 10.0
DIRECTION = 120.0
YEARS, REVISIT = 5.0, 5
# Side of a place, and how far it lies from the edges of the image [px].
PLACE, MARGIN = 72, 36
# Distance from an outline beyond which ground counts as stable [m].
BUFFER = 160.0
# Detail over noise that makes 0.05 px a date in a window of 32 px, with no other error.
WHITE = 1.0
# Share of the dates whose clouds no mask tells of.
MISSED = 0.1
# First and last day of the year with snow, and share of the terrain above the snow line, least and most.
WINTER, SNOW = (335, 90), (0.1, 0.5)


class Error(NamedTuple):
    """Size of an error of the images, and where the figure is from."""

    value: float
    unit: str
    source: str


ERRORS = {
    "snr": Error(2.0, "detail over noise", "so that pairs with all errors but clouds are good to 0.1 px, as real "
                 "ones of one season (Yang et al. 2020, Sensors 20, 4721)"),
    "misregistration": Error(2.3, "m", "0.4 px between two dates on average since June 2016 (Yan, Roy et al. 2018)"),
    "ramp": Error(1.0, "m at the corners", "assumed: as what an affine fit leaves, 0.12 px (Skakun et al. 2017)"),
    "stripes": Error(0.3, "m", "assumed: no figure is published for steps between detectors after 2016"),
    "jitter": Error(0.4, "m", "what a correction of jitter takes, 0.5 to 0.3 m of precision (Provost et al. 2022)"),
    "shadows": Error(0.3, "of the brightness", "assumed"),
    "illumination": Error(0.1, "of the brightness", "assumed"),
    "clouds": Error(0.05, "of each image", "assumed, of dates that were chosen for being clear"),
}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """Images (time, y, x) without what masks take, detectors (y, x), corners of the places [px], and rate [m yr-1]."""

    images: xr.DataArray
    detector: xr.DataArray
    corners: tuple[tuple[int, int], ...]
    rate: float

    def polygons(self, places: tuple[int, ...]) -> dict[str, Any]:
        """GeoJSON of places by their numbers."""
        x, y = self.images["x"].values, self.images["y"].values
        rings = []
        for row, column in (self.corners[place] for place in places):
            left, right = x[column] - 0.5 * PIXEL, x[column + PLACE - 1] + 0.5 * PIXEL
            top, bottom = y[row] + 0.5 * PIXEL, y[row + PLACE - 1] - 0.5 * PIXEL
            ring = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
            rings.append([[[float(a), float(b)] for a, b in ring]])
        crs = {"type": "name", "properties": {"name": "EPSG:32632"}}
        return {"type": "MultiPolygon", "coordinates": rings, "crs": crs}


# Numbers of the places that move, and of those that stand still.
MOVING, STILL = (0, 3), (1, 2)


def acquisitions(count: int, generator: np.random.Generator) -> np.ndarray:
    """Dates (time) of clear images of one orbit in five years, more in summer than in winter."""
    days = REVISIT * np.arange(int(365.25 * YEARS / REVISIT))
    chance = 1.0 + 0.4 * np.cos(2.0 * np.pi * (days - 200.0) / 365.25)
    chosen = np.sort(generator.choice(days.size, count, replace=False, p=chance / chance.sum()))
    return np.datetime64("2018-01-01T10:30", "us") + days[chosen] * np.timedelta64(86_400_000_000, "us")


def photographed(rate: float, dates: np.ndarray, side: int, seed: int, *, white: bool = False) -> Scene:
    """A scene in which two of four places move by `rate` [m yr-1]; `white`: of all errors only noise."""
    told = {"snr": WHITE} if white else {name: error.value for name, error in ERRORS.items()}
    make = {"dates": dates, "field": "constant", "direction": DIRECTION, "seed": seed, **told}
    images, truth = synthetic.stack((side, side), velocity=0.0, **make)
    moving, _ = synthetic.stack((side, side), velocity=rate, **make)
    places = [MARGIN, side - MARGIN - PLACE]
    corners = tuple((row, column) for row in places for column in places)
    for row, column in (corners[place] for place in MOVING):
        part = (slice(None), slice(row, row + PLACE), slice(column, column + PLACE))
        images.values[part] = moving.values[part]
    detector = truth["detector"] if "detector" in truth else xr.ones_like(truth["vx"], dtype=np.uint8)
    if not white:
        images = images.where(usable(truth, images, np.random.default_rng([seed, 9])))
    return Scene(images, detector, corners, rate)


def usable(truth: xr.Dataset, images: xr.DataArray, generator: np.random.Generator) -> xr.DataArray:
    """Pixels (time, y, x) that the masks leave, as the recipe makes them from the classes of the products."""
    classes = np.where(truth["cloud"].values, 2, 0).astype(np.uint8)
    classes[generator.random(len(classes)) < MISSED] = 0
    height = truth["elevation"].values
    day = images["time"].dt.dayofyear.values
    for k in np.flatnonzero((day >= WINTER[0]) | (day <= WINTER[1])):
        classes[k][height > np.quantile(height, 1.0 - generator.uniform(*SNOW))] = 4
    labelled = images.copy(data=classes)
    return masking.usable(labelled, snow=True, closing=100.0, opening=20.0, buffer=60.0)
