"""The part of a raster around a stack, in its CRS."""

from __future__ import annotations

from typing import Any, NamedTuple

import xarray as xr

from xoffset import _options
from xoffset.model import grids
from xoffset.readers import files, patience


class Wanted(NamedTuple):
    """What is read: for which function, what it is in words, how it is resampled to another CRS, and how far around."""

    caller: str
    what: str
    resampling: str  # as of `rasterio.enums.Resampling`
    margin: float = 0.0  # m


def read(place: str, like: xr.DataArray, wanted: Wanted) -> xr.DataArray:
    """First band (y, x) of a raster around a stack, NaN where it has no data, with the units that it tells, in memory.

    Of a raster in the CRS of the stack the pixels are those of the raster; others have pixels as large as theirs. An
    address is read where it is needed alone.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it has no CRS but the stack has one, or lies elsewhere.
    """
    import rioxarray

    def opened() -> xr.DataArray:
        reads = files.opened(files.in_place(place), is_local=False)
        with _options.speaking_as(wanted.caller, "open_stack"), reads as dataset:
            raster = rioxarray.open_rasterio(dataset, masked=True)
            assert isinstance(raster, xr.DataArray)
            part = _part(raster.isel(band=0, drop=True), like, wanted, place).load()
            return part.assign_attrs(units=dataset.units[0] or "")

    return patience.from_afar(opened, place, wanted.caller)


def _part(raster: xr.DataArray, like: xr.DataArray, wanted: Wanted, place: str) -> xr.DataArray:
    from rasterio.enums import Resampling
    from rasterio.warp import transform_bounds

    caller, what = wanted.caller, wanted.what
    own, crs = raster.rio.crs, grids.crs_of(like)
    if own is None and crs is not None:
        raise ValueError(
            f"{caller}() needs a raster with a CRS, since the stack has one; got {place} without. Name it: "
            "gdal_edit.py -a_srs EPSG:... dem.tif."
        )
    # nothing has to be turned where the stack has no CRS, or that of the raster
    target: Any = None if crs is None or grids.agree(crs, grids.crs_of(raster)) else crs.to_wkt()
    box = _box(like, wanted.margin, caller)
    there = box if target is None else transform_bounds(target, own, *box, densify_pts=21)
    # interpolation, and what looks at slopes, need the pixels around
    rim = [2.0 * abs(side) for side in raster.rio.resolution()]
    try:
        part = raster.rio.clip_box(there[0] - rim[0], there[1] - rim[1], there[2] + rim[0], there[3] + rim[1])
    except Exception as error:  # rioxarray has errors of its own for what lies elsewhere
        raise ValueError(
            f"{caller}() needs {what} around the stack; got {place}, which lies elsewhere ({error}). Check both CRS."
        ) from error
    turned = part if target is None else part.rio.reproject(target, resampling=Resampling[wanted.resampling])
    assert isinstance(turned, xr.DataArray)
    return turned


def _box(like: xr.DataArray, margin: float, caller: str) -> tuple[float, float, float, float]:
    """Edges of the pixels of a stack, and a margin: west, south, east, north."""
    steps = grids.spacing(like, caller)
    x, y = (like[name].values for name in ("x", "y"))
    wide, high = 0.5 * abs(steps.x) + margin, 0.5 * abs(steps.y) + margin
    return float(x.min()) - wide, float(y.min()) - high, float(x.max()) + wide, float(y.max()) + high
