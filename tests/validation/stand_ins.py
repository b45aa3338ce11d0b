"""Synthetic stand-ins of images that are not at hand, in the same files as the real ones, and tables of their truth."""

from __future__ import annotations

import json
from pathlib import Path

import landsat_products
import numpy as np
import pandas as pd
import rasterio
import rioxarray  # noqa: F401, registers `.rio`
import safe_products
import xarray as xr

import xoffset
from xoffset import synthetic

SIZE = 240  # px of Sentinel-2
TIME = "T10:20:31.024"


def sentinel2(folder: Path, stack: xr.DataArray, tile: str = "31TGK") -> xr.DataArray:
    """Products of level 1C with these pixels in band 4, and the stack as it is read from them."""
    for date, image in zip(stack.time.values, stack.values, strict=True):
        pixels = np.clip(np.rint(image), 1, 60_000).astype(np.uint16)
        day = str(date.astype("M8[D]"))
        safe_products.write(folder, date=f"{day}{TIME}", tile=tile, size=SIZE, bands=("B04",), pixels={"B04": pixels})
    return xoffset.open_stack(folder / "*.SAFE", band="B04")


def moved(dates: list[str], **motion: object) -> tuple[xr.DataArray, xr.Dataset]:
    """Images of a size that the products have, and the truth about them."""
    return synthetic.stack((SIZE, SIZE), dates=dates, snr=8.0, **motion)


def rasters(folder: Path, stack: xr.DataArray, name: str) -> None:
    """One GeoTIFF a date, called `name` and the day."""
    folder.mkdir(parents=True, exist_ok=True)
    for date, image in zip(stack.time.values, stack, strict=True):
        day = str(date.astype("M8[D]")).replace("-", "")
        image.drop_vars("time").astype("float32").rio.to_raster(folder / f"{name}{day}.tif")


def landsat(folder: Path, stack: xr.DataArray, corner: tuple[float, float] = (480_000.0, 6_700_000.0)) -> xr.DataArray:
    """Two scenes of Landsat 8 with these pixels in band 8, and the stack as it is read from them."""
    shape = landsat_products.SHAPE
    landsat_products.SHAPE = tuple(size // 2 for size in stack.shape[1:])
    try:
        for date, image in zip(stack.time.values, stack.values, strict=True):
            day = str(date.astype("M8[D]"))
            scene = landsat_products.write_scene(
                folder, path=9, row=11, time=f"{day}T15:00:00", processed=f"{day}T20:00:00"
            )
            with rasterio.open(next(scene.folder.glob("*_B8.TIF")), "r+") as file:
                file.write(np.clip(np.rint(image), 1, 60_000).astype(np.uint16), 1)
    finally:
        landsat_products.SHAPE = shape
    return xoffset.open_stack(sorted(folder.glob("LC08*")), band="B8")


def outline(path: Path, like: xr.DataArray, rows: tuple[int, int], columns: tuple[int, int]) -> Path:
    """GeoJSON of the rectangle between these rows and columns of a stack."""
    (top, bottom), (left, right) = rows, columns
    corners = [(top, left), (top, right), (bottom, right), (bottom, left), (top, left)]
    return shape(path, like, "Polygon", corners)


def shape(path: Path, like: xr.DataArray, kind: str, pixels: list[tuple[int, int]]) -> Path:
    """GeoJSON of a Polygon or a LineString through these pixels (row, column) of a stack."""
    points = [[float(like.x[column]), float(like.y[row])] for row, column in pixels]
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{like.rio.crs.to_epsg()}"}}
    geometry = {"type": kind, "coordinates": [points] if kind == "Polygon" else points}
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    return path


def receivers(
    path: Path,
    values: dict[str, np.ndarray],
    like: xr.DataArray,
    pixels: list[tuple[int, int]],
    *,
    datum: str = "ITRF2014",
    axes: str = "true",
    **columns: object,
) -> Path:
    """Table of the motion (y, x) along the axes of the grid at these pixels, turned toward true north."""
    rows, columns_of = (np.array(each) for each in zip(*pixels, strict=True))
    coords = {"y": like.y.values, "x": like.x.values, "spatial_ref": like.spatial_ref}
    names = ("vx", "vy") if "vx" in values else ("dx", "dy")
    field = xr.Dataset({name: (("y", "x"), values[name], {"units": _UNIT[name[0]]}) for name in names}, coords)
    true = xoffset.ground(field)
    table = pd.DataFrame(
        {"name": [f"P{k}" for k in range(len(pixels))], "x": like.x.values[columns_of], "y": like.y.values[rows]}
        | {str(name): true[name].values[rows, columns_of] for name in true.data_vars if str(name)[1:3] in ("_e", "_n")}
        | columns
    )
    path.write_text(f"# datum: {datum}\n# axes: {axes}\n{table.to_csv(index=False)}")
    return path


_UNIT = {"v": "m yr-1", "d": "m"}
