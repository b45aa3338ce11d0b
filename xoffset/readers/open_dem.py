"""Elevations of a raster around a stack, in its CRS."""

from __future__ import annotations

import logging
import os

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.model import checks, grids, products
from xoffset.model.variables import TERRAIN
from xoffset.readers import around

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
    path = _options.as_path(source, "source", _CALLER)
    like = checks.as_stack(like, _CALLER)
    reach = _options.as_number(margin, "margin", _CALLER)
    _options.check_count(reach, _FARTHEST, "metres as margin", _CALLER, "Pass one such as 5000")
    if not path.exists():
        raise FileNotFoundError(f"open_dem() needs a raster of elevations; got {path}, which is not there. Check it.")
    land = around.read(str(path), like, around.Wanted(_CALLER, "elevations", "bilinear", reach))
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
