"""Pairs of real images, from the folder of the sets of images: for tests of crops and figures of the whole."""

from __future__ import annotations

from pathlib import Path

import rasterio
import scipy.ndimage
import xarray as xr

import xoffset


def kaiserberg(folder: Path) -> xr.DataArray:
    """Aerial photographs of a rock glacier, 2020 and 2023."""
    stack = xoffset.open_stack(folder / "kaiserberg_rock_glacier" / "ortho_*.tif", date="ortho_%Y")
    return stack.sel(time=["2020", "2023"])


def yahtse(folder: Path) -> xr.DataArray:
    """Landsat 8, a tidewater glacier, 16 days."""
    return xoffset.open_stack(folder / "yahtse_landsat8" / "LC8*.tif")


def perito_moreno(folder: Path) -> xr.DataArray:
    """Sentinel-2, a glacier in Patagonia, 7 days; NaN beside the ice, which was cut out."""
    place = folder / "perito_moreno_s2"
    stack = xoffset.open_stack(
        [place / f"{date}.jpg" for date in ("20200131", "20200207")], band=1, date="%Y%m%d", pixel_size=1.0
    )
    with rasterio.open(f"vrt://{place / 'mask.jpg'}?a_ullr=0,0,1,-1") as file:
        is_ice = file.read(1) > 128
    # compression smears the black around the cut into the pixels next to it
    inside = scipy.ndimage.binary_erosion((stack > 10).all("time").values, iterations=12) & is_ice
    return stack.where(xr.DataArray(inside, dims=("y", "x")))
