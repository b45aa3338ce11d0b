"""Elevation models: what is checked of them, and which of their numbers are no heights."""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
import xarray as xr

from xoffset._arrays import terrain
from xoffset._arrays.layers import Layers
from xoffset._blocks import pixels, whole
from xoffset.model import grids
from xoffset.model.declared import decoded, in_metres

_log = logging.getLogger(__name__)

# Numbers that stand for no data and could be heights; pixels that have one of them, and as many others, before it is
# taken for such; and how near to it some other height is where it is one [m], as land at a coast is to the sea.
_SUSPECTS, _LEAST_AREA, _LOW_LAND = (0.0, -1.0, -99.0, -999.0, 255.0), 49, 100.0
# What is told of a model: pixels of land, those of numbers that are neither land nor a known fill, the least, the
# largest and the first of these; of each suspect the pixels that have it, and the distance to the next height [m].
_SUMMARY = Layers(land=(), odd=(), lowest=(), highest=(), first=(), suspects=2 * len(_SUSPECTS))
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
    # of the whole model at once, so that chunks do not matter: of a lazy one when it is computed
    summaries = pixels.summaries(_summary, dem.data, _SUMMARY.count)
    told = whole.at_once(partial(_checked, caller=caller), [summaries], np.dtype(np.float64), (_SUMMARY.count,))
    if isinstance(dem.data, np.ndarray):
        return dem
    return dem.copy(data=pixels.per_pixel_of(_as_it_is, [dem.data[np.newaxis]], told, 1)[0])


def _in_metres(dem: xr.DataArray, caller: str) -> xr.DataArray:
    """Elevations in metres, NaN where they were a number of no data before any scale or units changed it."""
    land = decoded(dem, "the elevations", caller, wanted="m")
    return land if land is dem else land.where(~terrain.is_fill(dem))


def _summary(values: np.ndarray) -> np.ndarray:
    """Numbers of a part of a model that tell, as `_SUMMARY` says, whether all of it is one of heights in metres."""
    out = np.array([0.0, 0.0, np.inf, -np.inf, np.nan, *(0.0, np.inf) * len(_SUSPECTS)])
    is_fill, is_of_land = terrain.is_fill(values), terrain.is_of_land(values)
    land, odd = values[is_of_land & ~is_fill], values[~(is_of_land | is_fill) & np.isfinite(values)]
    out[0] = land.size
    if odd.size:
        out[1:5] = odd.size, odd.min(), odd.max(), odd[0]
    if not land.size:
        return out
    low, high = land.min(), land.max()
    for number, suspect in zip(_SUSPECTS, _SUMMARY.split(out)["suspects"].reshape(-1, 2), strict=True):
        # a number beyond all heights is the height of none, and the lowest or the highest is the nearest to it
        if low <= number <= high:
            others = land[land != number]
            suspect[:] = land.size - others.size, np.abs(others - number).min(initial=np.inf)
        else:
            suspect[:] = 0.0, min(abs(low - number), abs(high - number))
    return out


def _checked(summaries: np.ndarray, *, caller: str) -> np.ndarray:
    """Summary of the whole model from those of its parts, after refusing one that is of no heights in metres.

    Raises ValueError where none of the heights is one of land, or many are one number of no data and no other is near:
    it would be level ground.
    """
    parts = _SUMMARY.split(summaries.reshape(_SUMMARY.count, -1))
    land, odd = parts["land"].sum(), parts["odd"].sum()
    lowest, highest = parts["lowest"].min(), parts["highest"].max()
    if odd and not land:
        raise ValueError(
            f"{caller}() needs elevations in metres, -12000 to 9000; got {lowest:g} to {highest:g}. Convert them, "
            "or state their units: dem.assign_attrs(units='cm')."
        )
    if odd:
        first = parts["first"][np.isfinite(parts["first"])][0]
        _log.warning(
            "%s(): %d pixels have elevations that no ground has, such as %g m, and are taken for holes. Say so: "
            "dem.where(dem != %g).", caller, odd, first, first,
        )  # fmt: skip
    counts, distances = parts["suspects"].reshape(len(_SUSPECTS), 2, -1).transpose(1, 0, 2)
    for number, count, distance in zip(_SUSPECTS, counts.sum(axis=1), distances.min(axis=1), strict=True):
        if count >= _LEAST_AREA and land - count >= _LEAST_AREA and distance > _LOW_LAND:
            raise ValueError(
                f"{caller}() needs elevations whose holes are NaN or declared; got {count:.0f} pixels of {number:g} m "
                f"where no other is within {distance:g} m, as if {number:g} meant no data. Say so: "
                f"dem.where(dem != {number:g})."
            )
    return summaries.reshape(_SUMMARY.count, -1)[:, 0]


def _as_it_is(_: np.ndarray, heights: np.ndarray) -> np.ndarray:
    return heights
