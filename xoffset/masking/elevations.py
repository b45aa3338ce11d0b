"""Elevation models: what is checked of them, and which of their numbers are no heights."""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
import xarray as xr

from xoffset._arrays import terrain
from xoffset._blocks import halos
from xoffset.model import grids
from xoffset.model.declared import decoded, in_metres

_log = logging.getLogger(__name__)

# Pixels of 0 m that can be holes beside as many others: those of a square of 7 x 7; and the height that land near water
# stays below [m].
_LEAST_AREA, _LOW_LAND = 49, 100.0
# A block holds no more different numbers of no data, which are beyond any height in millimetres or alike all over.
_MOST_FILLS, _LARGEST_HEIGHT = 4, 1.2e7
# Pixels of elevations without a CRS that are smaller are of degrees [m].
_NO_PIXEL = 0.01


def as_dem(dem: xr.DataArray, caller: str) -> xr.DataArray:
    """Return elevations (y, x) [m] after checking them; holes that were declared are NaN, others are left as they are.

    Raises
    ------
    TypeError
        If it is no DataArray of real numbers.
    ValueError
        If dims, size, coordinates, CRS or units are not those of elevations on a regular grid in metres.
    """
    if not isinstance(dem, xr.DataArray):
        raise TypeError(
            f"{caller}() needs a DataArray (y, x) of elevations; got {type(dem).__name__}. Open the file: "
            "rioxarray.open_rasterio('dem.tif', masked=True)."
        )
    if dem.dtype.kind not in "iuf":
        raise TypeError(
            f"{caller}() needs elevations in numbers; got dtype {dem.dtype}. Convert them: dem.astype('float32')."
        )
    others = [dim for dim in dem.dims if dim not in ("y", "x")]
    if not {"y", "x"} <= set(dem.dims) or any(dem.sizes[dim] != 1 for dim in others):
        raise ValueError(
            f"{caller}() needs elevations with dims ('y', 'x'); got {dict(dem.sizes)}. Name them, "
            "dem.rename(lat='y', lon='x'), or take one band: dem.isel(band=0)."
        )
    dem = dem.squeeze(others, drop=True).transpose("y", "x")
    if min(dem.shape) < 3:
        raise ValueError(
            f"{caller}() needs elevations of 3 x 3 pixels or more; got {dem.shape[0]} x {dem.shape[1]}. Take more of "
            "the model."
        )
    if "x" in dem.coords and "y" in dem.coords:
        grids.check_crs(grids.crs_of(dem), dem, caller)
    dem = _in_metres(grids.with_crs(in_metres(dem, caller)), caller)
    sides = grids.spacing(dem, caller)
    if max(abs(sides.x), abs(sides.y)) < _NO_PIXEL and grids.crs_of(dem) is None:
        raise ValueError(
            f"{caller}() needs elevations on a grid in metres; got pixels of {abs(sides.x):.3g} without a CRS, as of "
            "degrees. Name the CRS and reproject: dem.rio.write_crs(4326).rio.reproject(dem.rio.estimate_utm_crs())."
        )
    if isinstance(dem.data, np.ndarray):
        _check_heights(dem.data, caller)
        _with_checked_zeros(dem.data, caller=caller)
        return dem
    # block by block, when they are computed
    check = partial(_with_checked_block, caller=caller)
    return dem.copy(data=halos.with_halo(check, [dem.data[np.newaxis]], 0, dem.dtype)[0])


def _in_metres(dem: xr.DataArray, caller: str) -> xr.DataArray:
    """Elevations in metres, NaN where they were a number of no data before any scale or units changed it."""
    land = decoded(dem, "the elevations", caller, wanted="m")
    return land if land is dem else land.where(~terrain.is_fill(dem))


def _check_heights(values: np.ndarray, caller: str) -> None:
    """Refuse elevations in memory of which none is one of land, and tell of those that are none."""
    is_odd = ~(terrain.is_of_land(values) | terrain.is_fill(values)) & np.isfinite(values)
    if not is_odd.any():
        return
    odd = values[is_odd]
    if not _has_land(values):
        raise _not_in_metres(odd, caller)
    _log.warning(
        "%s(): %d pixels have elevations that no ground has, such as %g m, and are taken for holes. Say so: "
        "dem.where(dem != %g).", caller, odd.size, odd[0], odd[0],
    )  # fmt: skip


def _has_land(values: np.ndarray) -> bool:
    return bool((terrain.is_of_land(values) & ~terrain.is_fill(values)).any())


def _not_in_metres(odd: np.ndarray, caller: str) -> ValueError:
    return ValueError(
        f"{caller}() needs elevations in metres, -12000 to 9000; got {odd.min():g} to {odd.max():g}. Convert them, "
        "or state their units: dem.assign_attrs(units='cm')."
    )


def _with_checked_block(values: np.ndarray, *, caller: str) -> np.ndarray:
    """Refuse a block whose heights are none of land: of other units. One of fills alone may be part of a good model."""
    if not _has_land(values):
        is_height = np.isfinite(values) & (np.abs(values) <= _LARGEST_HEIGHT) & ~terrain.is_fill(values)
        odd = values[is_height]
        if np.unique(odd).size > _MOST_FILLS:
            raise _not_in_metres(odd, caller)
    return _with_checked_zeros(values, caller=caller)


def _with_checked_zeros(values: np.ndarray, *, caller: str) -> np.ndarray:
    """Refuse elevations of which many are 0 and no other is near: no data, which would be level ground."""
    zeros = int((values == 0).sum())
    others = values[values > 0] if zeros >= _LEAST_AREA else values[:0]
    if others.size >= _LEAST_AREA and others.min() > _LOW_LAND and not ((values < 0) & ~terrain.is_fill(values)).any():
        raise ValueError(
            f"{caller}() needs elevations whose holes are NaN or declared; got {zeros} pixels of 0 m where no other is "
            f"below {others.min():g} m, as if 0 meant no data. Say so: dem.where(dem != 0)."
        )
    return values
