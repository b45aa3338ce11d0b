"""Scenes and inputs of the tests of the recipes of GDM-OPT, and what a recipe makes of them."""

import functools
import json

import numpy as np
import rasterio
from rasterio.transform import from_origin

from xoffset import synthetic
from xoffset.pipeline.planning import make_plan
from xoffset.recipes import GdmOptEtq, GdmOptIce, GdmOptSlide

RECIPES = {"etq": GdmOptEtq, "slide": GdmOptSlide, "ice": GdmOptIce}
DATES = ["2020-01-01", "2020-02-01", "2020-06-01", "2020-07-01"]
SIDE = 96


@functools.cache
def scene():
    """A landslide, with noise, a ramp and a cloud that nobody masks, and the truth about it; lazy."""
    stack, truth = synthetic.stack(
        (SIDE, SIDE), dates=DATES, field="landslide", velocity=20.0, snr=6.0, ramp=2.0, seed=3
    )
    sun = {"sun_azimuth": ("time", [120.0, 130.0, 150.0, 160.0]), "sun_elevation": ("time", [40.0, 35.0, 50.0, 60.0])}
    return stack.assign_coords(sun).chunk(), truth


@functools.cache
def still():
    """Ground that does not move, with noise and a ramp; lazy."""
    stack, _ = synthetic.stack((SIDE, SIDE), dates=DATES, field="constant", velocity=0.0, snr=6.0, ramp=3.0, seed=3)
    return stack.chunk()


def made(kind, name, scenes=None, **changes):
    """A result of a recipe, by its name among the steps."""
    recipe = RECIPES[kind](**({"spatial_matching_range": 2, "classes": "none"} | changes))
    found = make_plan(recipe, scene()[0] if scenes is None else scenes, {}).results[name]
    return found.compute() if hasattr(found, "compute") else found


def write_raster(path, values, like, side=None):
    """GeoTIFF on the grid of a stack, or with pixels of another size from its corner on."""
    step = 10.0
    west, north = float(like.x[0]) - step / 2, float(like.y[0]) + step / 2
    about = {"height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": values.dtype.name,
             "crs": "EPSG:32632", "transform": from_origin(west, north, side or step, side or step)}  # fmt: skip
    with rasterio.open(path, "w", driver="GTiff", **about) as file:
        file.write(values, 1)
    return str(path)


def write_classes(folder, like, **places):
    """Rasters of the scene classification of each date, with a class in rectangles (date, rows, columns)."""
    numbers = {"shadow": 3, "clear": 4, "water": 6, "cloud": 9, "snow": 11}
    paths = []
    for k, date in enumerate(like.time.dt.strftime("%Y%m%d").values):
        values = np.full((SIDE, SIDE), numbers["clear"], dtype=np.uint8)
        for name, (of_date, rows, columns) in places.items():
            if of_date == k:
                values[rows, columns] = numbers[name]
        paths.append(write_raster(folder / f"{date}_SCL.tif", values, like))
    return tuple(paths)


def write_polygon(path, like, rows, columns):
    """GeoJSON of a rectangle of pixels."""
    x, y = like.x.values, like.y.values
    (west, east), (north, south) = (x[columns[0]], x[columns[1]]), (y[rows[0]], y[rows[1]])
    ring = [[west, north], [east, north], [east, south], [west, south], [west, north]]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    shape = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [shape]}))
    return str(path)
