"""Speed of a velocity map around a stack, in its CRS."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.model import checks, grids, products, units
from xoffset.model.declared import decoded
from xoffset.model.variables import TERRAIN
from xoffset.readers import around
from xoffset.readers.open_result import open_result
from xoffset.readers.patience import is_remote

_CALLER = "open_speed"
_WANTED = "m yr-1"
_PER = {"day": "m d-1", "year": _WANTED}
# Pixels of a map of a product that are kept around a stack.
_RIM = 2

Place = str | os.PathLike[str]


def open_speed(
    source: Place | Sequence[Place], *, like: xr.DataArray, per: Literal["day", "year"] | None = None
) -> xr.DataArray:
    """Speed of a velocity map around a stack, such as `search_range` takes it.

    Parameters
    ----------
    source
        Two rasters, of the velocity along x and y; or one of the speed; or a product with vx and vy in m a year that
        `open_result` opens, a Zarr store or netCDF, in the CRS of the stack.
    like
        Stack (time, y, x) around which the speed is wanted.
    per
        Unit of time of rasters that do not tell it: metres a `"day"` or a `"year"`.

    Returns
    -------
    xarray.DataArray
        `v` (y, x) [m yr-1], NaN where it is not known, in memory. Of rasters in the CRS of the stack the pixels are
        those of the rasters; others are brought there by the nearest pixel. The length of a velocity is that of the
        rasters, in metres of their grid.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If the source is neither one nor two paths.
    ValueError
        If rasters tell no unit and none is given, or another one; if they lie on two grids, or elsewhere.

    Examples
    --------
    >>> import xoffset
    >>> stack = xoffset.open_stack("scenes/*.SAFE", band="B08")  # doctest: +SKIP
    >>> speed = xoffset.open_speed(["vx.tif", "vy.tif"], like=stack, per="day")  # doctest: +SKIP
    """
    like = checks.as_stack(like, _CALLER)
    unit = None if per is None else _options.one_of(per, _PER, "per", _CALLER)
    places = _places(source)
    if len(places) == 1 and _is_product(places[0]):
        if unit is not None:
            raise ValueError(f"open_speed() needs no unit for {places[0]}, which tells it; got {per!r}. Leave it out.")
        found = _of_product(places[0], like)
    else:
        layers = [_raster(place, like, unit) for place in places]
        _check_one_grid(layers, places)
        found = layers[0] if len(layers) == 1 else layers[0].copy(data=np.hypot(layers[0].values, layers[1].values))
    fields = {"v": (("y", "x"), np.abs(found.values))}
    where = xr.Dataset(coords={name: found[name].variable for name in ("y", "x")})
    crs = grids.crs_of(like)
    if crs is not None:
        where = where.assign_coords(spatial_ref=grids.spatial_ref(crs))
    return products.product(fields, TERRAIN, like=where, step={"function": _CALLER, "per": per})["v"]


def _places(source: Any) -> list[str]:
    each = [source] if isinstance(source, (str, os.PathLike)) else source
    if not isinstance(each, (list, tuple)) or len(each) not in (1, 2):
        raise TypeError(
            f"open_speed() needs one path, or two of the velocity along x and y; got {source!r}. Pass "
            "['vx.tif', 'vy.tif']."
        )
    places = [str(_options.as_path(one, "source", _CALLER)) if not is_remote(str(one)) else str(one) for one in each]
    for place in places:
        if not is_remote(place) and not Path(place).exists():
            raise FileNotFoundError(f"open_speed() needs a velocity map; got {place}, which is not there. Check it.")
    return places


def _is_product(place: str) -> bool:
    return place.rstrip("/").endswith((".zarr", ".nc"))


def _of_product(place: str, like: xr.DataArray) -> xr.DataArray:
    """Speed of a product with vx and vy."""
    data = open_result(place)
    if not {"vx", "vy"} <= set(data.data_vars) or data["vx"].dims != ("y", "x"):
        raise ValueError(
            f"open_speed() needs vx and vy (y, x) in {place}; got {sorted(map(str, data.data_vars))[:8]}. Save a rate, "
            "as of velocity() or mean_velocity()."
        )
    if not grids.agree(grids.crs_of(data), grids.crs_of(like)):
        raise ValueError(
            f"open_speed() needs {place} in the CRS of the stack, {grids.name_of(grids.crs_of(like))}; got "
            f"{grids.name_of(grids.crs_of(data))}. Save it as rasters, to_geotiff(), which are brought there."
        )
    part = data[["vx", "vy"]].isel({name: _span(data, like, name) for name in ("y", "x")})
    if not part["vx"].size:
        raise ValueError(f"open_speed() needs velocities around the stack; got {place}, which lies elsewhere.")
    vx, vy = (decoded(part[name], f"'{name}'", _CALLER, wanted=_WANTED).values for name in ("vx", "vy"))
    return part["vx"].copy(data=np.hypot(vx, vy))


def _span(data: xr.Dataset, like: xr.DataArray, name: str) -> slice:
    """Pixels of an axis around those of a stack."""
    at, wanted = data[name].values, like[name].values
    step = float(np.abs(np.diff(at)).max(initial=0.0))
    inside = np.flatnonzero((at >= wanted.min() - _RIM * step) & (at <= wanted.max() + _RIM * step))
    return slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0)


def _raster(place: str, like: xr.DataArray, unit: str | None) -> xr.DataArray:
    """Values of a raster [m yr-1]."""
    part = around.read(place, like, around.Wanted(_CALLER, "velocities", "nearest"))
    stated = part.attrs["units"]
    if stated and unit is not None:
        raise ValueError(f"open_speed() needs no unit for {place}, which tells {stated!r}; got one. Leave per out.")
    if not stated and unit is None:
        raise ValueError(
            f"open_speed() needs the unit of {place}, which tells none; got none. Pass per='day' or per='year'."
        )
    factor = units.factor(stated or unit, _WANTED)
    if factor is None:
        raise ValueError(
            f"open_speed() needs velocities, such as 'm d-1'; got {stated!r} in {place}. Correct the unit of its band."
        )
    return part.copy(data=part.values * factor)


def _check_one_grid(layers: list[xr.DataArray], places: list[str]) -> None:
    if len(layers) == 2 and not all(np.array_equal(layers[0][name], layers[1][name]) for name in ("y", "x")):
        raise ValueError(
            f"open_speed() needs both components on one grid; got {dict(layers[0].sizes)} in {places[0]} and "
            f"{dict(layers[1].sizes)} in {places[1]}, or at other places. Resample one: gdalwarp."
        )
