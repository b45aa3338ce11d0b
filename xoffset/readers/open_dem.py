"""Elevations of a raster around a stack, in its CRS."""

from __future__ import annotations

import logging
import os

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.model import checks, grids, products
from xoffset.model.variables import TERRAIN

_CALLER = "open_dem"
_log = logging.getLogger(__name__)
# Farthest that a margin may reach [m].
_FARTHEST = 100_000.0
# Pixels along each axis at which it is looked whether there are elevations.
_LOOKED_AT = 100
# Share of them above which the few without are holes.
_WHOLE = 0.99


def open_dem(source: str | os.PathLike[str], *, like: xr.DataArray, margin: float = 0.0) -> xr.DataArray:
    """Elevations around a stack, in the CRS of the stack, from any raster that GDAL reads.

    Parameters
    ----------
    source
        Raster of elevations in metres, such as a tile of the Copernicus model; its first band counts.
    like
        Stack (time, y, x) around which the elevations are wanted.
    margin
        How far beyond the stack they are wanted [m]: mountains there cast shadows into it.

    Returns
    -------
    xarray.DataArray
        `elevation` (y, x) [m], NaN where the raster has none, in memory. Of a raster in the CRS of the stack the pixels
        are those of the raster; others are brought there by bilinear interpolation, with pixels as large as theirs. The
        log tells if it covers a part of the stack only.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the raster has no CRS but the stack has one, or lies elsewhere, or the margin is out of range.

    Examples
    --------
    >>> import xoffset
    >>> stack = xoffset.open_stack("scenes/*.SAFE", band="B04")  # doctest: +SKIP
    >>> dem = xoffset.open_dem("dem.tif", like=stack, margin=5000.0)  # doctest: +SKIP
    >>> slopes = xoffset.masking.slope_mask(dem)  # doctest: +SKIP
    """
    import rioxarray

    path = _options.as_path(source, "source", _CALLER)
    like = checks.as_stack(like, _CALLER)
    reach = _options.as_number(margin, "margin", _CALLER)
    _options.check_count(reach, _FARTHEST, "metres as margin", _CALLER, "Pass one such as 5000")
    if not path.exists():
        raise FileNotFoundError(f"open_dem() needs a raster of elevations; got {path}, which is not there. Check it.")
    raster = rioxarray.open_rasterio(path, masked=True)
    assert isinstance(raster, xr.DataArray)
    with raster:
        land = _around(raster.isel(band=0, drop=True), like, reach, path)
    values = land.values.astype(np.float64 if land.dtype.itemsize > 4 else np.float32)
    _tell_cover(land.copy(data=values), like, path)
    fields = {"elevation": (("y", "x"), values)}
    where = xr.Dataset(coords={name: land[name].variable for name in ("y", "x")})
    crs = grids.crs_of(like)
    if crs is not None:
        where = where.assign_coords(spatial_ref=grids.spatial_ref(crs))
    step = {"function": _CALLER, "margin": reach}
    return products.product(fields, TERRAIN, like=where, step=step)["elevation"]


def _tell_cover(land: xr.DataArray, like: xr.DataArray, path: os.PathLike[str]) -> None:
    """Log that elevations leave a part of a stack without; every few of its pixels are looked at."""
    x, y = (like[name].values[:: max(1, like.sizes[name] // _LOOKED_AT)] for name in ("x", "y"))
    reach = max(abs(each) for each in land.rio.resolution())
    at = land.reindex(y=y, x=x, method="nearest", tolerance=reach)
    share = float(at.notnull().mean())
    if share < _WHOLE:
        _log.warning(
            "open_dem(): %s covers %.0f %% of the stack; slopes and shadows of the rest are not known, and where they "
            "are asked for nothing is matched there.", path, 100.0 * share,
        )  # fmt: skip


def _around(raster: xr.DataArray, like: xr.DataArray, reach: float, path: os.PathLike[str]) -> xr.DataArray:
    """The part of a raster around a stack, in its CRS."""
    from rasterio.enums import Resampling
    from rasterio.warp import transform_bounds

    own, wanted = raster.rio.crs, grids.crs_of(like)
    steps = grids.spacing(like, _CALLER)
    x, y = (like[name].values for name in ("x", "y"))
    half = 0.5 * abs(steps.x) + reach, 0.5 * abs(steps.y) + reach
    box = (float(x.min()) - half[0], float(y.min()) - half[1], float(x.max()) + half[0], float(y.max()) + half[1])
    if own is None and wanted is not None:
        raise ValueError(
            f"open_dem() needs a raster with a CRS, since the stack has one; got {path} without. Name it: gdal_edit.py "
            "-a_srs EPSG:... dem.tif."
        )
    # nothing has to be turned where the stack has no CRS, or that of the raster
    target = None if wanted is None or grids.agree(wanted, grids.crs_of(raster)) else wanted.to_wkt()
    there = box if target is None else transform_bounds(target, own, *box, densify_pts=21)
    sides = [abs(each) for each in raster.rio.resolution()]
    # slopes and interpolation need the pixels around
    rim = [2.0 * side for side in sides]
    try:
        part = raster.rio.clip_box(there[0] - rim[0], there[1] - rim[1], there[2] + rim[0], there[3] + rim[1])
    except Exception as error:  # rioxarray has errors of its own for what lies elsewhere
        raise ValueError(
            f"open_dem() needs elevations around the stack; got {path}, which lies elsewhere ({error}). Check both CRS."
        ) from error
    found: xr.DataArray = part if target is None else part.rio.reproject(target, resampling=Resampling.bilinear)
    return found
