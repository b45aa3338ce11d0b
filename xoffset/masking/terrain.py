"""Slope, aspect and cast shadow of terrain, from an elevation model."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays import terrain
from xoffset._blocks import halos, sweeps
from xoffset.masking.elevations import as_dem
from xoffset.model import grids, north, products, sun
from xoffset.model.declared import decoded
from xoffset.model.variables import TERRAIN

_log = logging.getLogger(__name__)


def slope(dem: xr.DataArray) -> xr.DataArray:
    """Slope of the terrain from the horizontal.

    Parameters
    ----------
    dem
        Elevations (y, x) [m] on a regular grid in metres; a further dim of one band does not matter. Holes are NaN, a
        declared nodata value, -9999, -10000, -32767, -32768, -99999 in whatever units, and what is below -12000 m or
        above 9000 m. Refused are many pixels of 0 m among high ground only, and elevations of which none is within that
        range, as of other units: those of lazy elevations when a block is computed.

    Returns
    -------
    xarray.DataArray
        `slope` (y, x), 0 to 90 [degree]; NaN where the pixel or one of the eight around it is a hole, and along the
        edges. Lazy if `dem` is.

    Raises
    ------
    TypeError
        If the elevations are no DataArray of real numbers.
    ValueError
        If dims, size, coordinates or CRS are not those of a regular grid in metres, or the units are none of length.

    Notes
    -----
    Weighted differences of the eight neighbours (Horn 1981, Proc. IEEE 69, 14-47). A coarse model is smoother than the
    ground: cliffs that are narrower than two pixels are less steep in it.

    Examples
    --------
    >>> import numpy as np, xarray as xr, xoffset
    >>> x, y = np.arange(5) * 10.0, np.arange(5) * -10.0
    >>> dem = xr.DataArray(np.outer(np.ones(5), x), dims=("y", "x"), coords={"y": y, "x": x})
    >>> round(xoffset.masking.slope(dem).item(2, 2), 3)
    45.0
    """
    return _of_neighbours(dem, "slope")


def aspect(dem: xr.DataArray) -> xr.DataArray:
    """Direction in which the terrain falls.

    Parameters
    ----------
    dem
        Elevations (y, x) [m] on a regular grid in metres, as for `slope`.

    Returns
    -------
    xarray.DataArray
        `aspect` (y, x), direction of the steepest descent, 0 to 360 [degrees clockwise from grid north], as `direction`
        of a velocity: what slides down moves there. NaN where the terrain is level, where the pixel or one of the eight
        around it is a hole, and along the edges. Lazy if `dem` is.

    Raises
    ------
    TypeError
        If the elevations are no DataArray of real numbers.
    ValueError
        If dims, size, coordinates or CRS are not those of a regular grid in metres, or the units are none of length.

    Notes
    -----
    Weighted differences of the eight neighbours (Horn 1981, Proc. IEEE 69, 14-47).

    Examples
    --------
    >>> import numpy as np, xarray as xr, xoffset
    >>> x, y = np.arange(5) * 10.0, np.arange(5) * -10.0
    >>> dem = xr.DataArray(np.outer(np.ones(5), x), dims=("y", "x"), coords={"y": y, "x": x})
    >>> xoffset.masking.aspect(dem).item(2, 2)
    270.0
    """
    return _of_neighbours(dem, "aspect")


def slope_mask(dem: xr.DataArray, *, removed: tuple[float, float] = (80.0, 90.0)) -> xr.DataArray:
    """Where the slope of the terrain lets images be matched: outside of an interval of slopes.

    Parameters
    ----------
    dem
        Elevations (y, x) [m] on a regular grid in metres, as for `slope`.
    removed
        Least and greatest slope [degree] that are taken out, both inclusive: walls by default; ``(0, 10)`` takes out
        level ground.

    Returns
    -------
    xarray.DataArray
        `usable` (y, x), boolean, to be passed as `mask` of `correlate`: False where the slope lies in the interval, and
        where it is not known. Lazy if `dem` is.

    Raises
    ------
    TypeError
        If the elevations are no DataArray of real numbers.
    ValueError
        If the interval is none from 0 to 90, or the elevations are not those that `slope` needs.

    Examples
    --------
    >>> import numpy as np, xarray as xr, xoffset
    >>> x, y = np.arange(5) * 10.0, np.arange(5) * -10.0
    >>> dem = xr.DataArray(np.outer(np.ones(5), x), dims=("y", "x"), coords={"y": y, "x": x})
    >>> xoffset.masking.slope_mask(dem, removed=(40.0, 90.0)).item(2, 2)
    False
    """
    least, most = _interval(removed)
    land = as_dem(dem, "slope_mask")
    angle = steepness(land, "slope")
    _tell_if_none(angle, least, most, land)
    # comparisons with NaN are False
    values = (angle < least) | (angle > most)
    return _labelled("usable", ("y", "x"), values, land, {"function": "slope_mask", "removed": [least, most]})


def cast_shadow(
    dem: xr.DataArray,
    *,
    sun_azimuth: float | xr.DataArray | None = None,
    sun_elevation: float | xr.DataArray | None = None,
    sun: xr.DataArray | xr.Dataset | None = None,
) -> xr.DataArray:
    """Where the terrain keeps the sun away: slopes that face away from it, and what lies in their shadow.

    Parameters
    ----------
    dem
        Elevations (y, x) [m] on a regular grid in metres, as for `slope`.
    sun_azimuth, sun_elevation
        Direction toward the sun, clockwise from true north, and its height above the horizon, above 0 to 90 [degree],
        as products tell them. Numbers, or one for each date: ``stack.sun_azimuth, stack.sun_elevation``; of angles
        whose attribute `units` says so, in radians.
    sun
        In place of both a stack, or another Dataset, that has them on `time`.

    Returns
    -------
    xarray.DataArray
        `shadow` (y, x), or (time, y, x) if the sun is given for each date, boolean: True in shadow, and in the holes of
        the model, where nothing is known. ``~shadow`` is a `mask` of `correlate`. Lazy if `dem` is.

    Raises
    ------
    TypeError
        If the elevations are no DataArray of real numbers.
    ValueError
        If the sun is below the horizon, no number or on other dims than time; if the elevations are not those that
        `slope` needs, or lie where their CRS has no coordinates.

    Notes
    -----
    A pixel is in shadow where the straight line toward the sun runs below the terrain. Rays are followed over the whole
    model, along parallel lines one pixel apart, between which heights are interpolated; shadows end where they should
    to about a pixel. Light that is scattered into shadows, the width of the sun, refraction and the curvature of the
    Earth are left out: the latter lowers a summit by 8 m at 10 km. What lies beyond the edges of the model or in its
    holes casts no shadow, so the model should reach farther toward the sun than the images do. Without a CRS, north is
    that of the grid.

    Examples
    --------
    >>> import numpy as np, xarray as xr, xoffset
    >>> x, y = np.arange(9) * 10.0, np.arange(5) * -10.0
    >>> dem = xr.DataArray(np.zeros((5, 9)), dims=("y", "x"), coords={"y": y, "x": x})
    >>> dem[:, 2] = 35.0  # a wall, and the sun west of it
    >>> xoffset.masking.cast_shadow(dem, sun_azimuth=270.0, sun_elevation=45.0)[2].astype(int).values
    array([0, 0, 0, 1, 1, 1, 0, 0, 0])
    """
    land = as_dem(dem, "cast_shadow")
    azimuths, elevations, coords = _suns(*_given_sun(sun_azimuth, sun_elevation, sun))
    # the date of the model is not that of the sun
    land = land.drop_vars("time", errors="ignore")
    spacing = grids.spacing(land, "cast_shadow")
    turned = north.to_grid_north(np.ravel(azimuths), land, "the elevations", "cast_shadow")
    shape = land.shape[0], land.shape[1]
    ways = []
    for azimuth, elevation in zip(turned.tolist(), np.ravel(elevations).tolist(), strict=True):
        light = terrain.Light.of(azimuth, elevation, spacing.x, spacing.y)
        shadows = partial(_shadows, light=light, shape=shape)
        ways.append(sweeps.Sweep(shadows, light.axis, light.is_reversed, light.start(shape)))
    values = sweeps.sweep(land.data, ways, np.dtype(np.bool_))
    dims: tuple[str, ...] = ("time", "y", "x") if azimuths.ndim else ("y", "x")
    step: dict[str, Any] = {"function": "cast_shadow"}
    step |= {"sun_azimuth": azimuths.tolist(), "sun_elevation": elevations.tolist()}
    return _labelled("shadow", dims, values if azimuths.ndim else values[0], land, step, coords)


# ------------------------------------------------------------------------------------------------------- neighbours


def _of_neighbours(dem: xr.DataArray, name: str) -> xr.DataArray:
    land = as_dem(dem, name)
    return _labelled(name, ("y", "x"), steepness(land, name), land, {"function": name})


def steepness(land: xr.DataArray, name: str) -> Any:
    """Slope or aspect of elevations that were checked."""
    spacing = grids.spacing(land, name)
    dtype = np.dtype(np.float64 if land.dtype.kind == "f" and land.dtype.itemsize > 4 else np.float32)
    function = partial(getattr(terrain, name), along_x=spacing.x, along_y=spacing.y, dtype=dtype)
    return halos.with_halo(function, [land.data[np.newaxis]], 1, dtype)[0]


def _shadows(
    values: np.ndarray, first: int, rays: np.ndarray, *, light: terrain.Light, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    return light.shadows(values, first, rays, shape)


def _labelled(
    name: str,
    dims: tuple[str, ...],
    values: Any,
    like: xr.DataArray,
    step: dict[str, Any],
    coords: dict[Any, Any] | None = None,
) -> xr.DataArray:
    fields = {name: (dims, values)}
    return products.product(fields, TERRAIN, like=like.to_dataset(name="dem"), step=step, coords=coords)[name]


def _tell_if_none(angle: Any, least: float, most: float, land: xr.DataArray) -> None:
    """Log that elevations in memory have no slope of the interval: coarse pixels even out what is steep."""
    if not isinstance(angle, np.ndarray) or ((angle >= least) & (angle <= most)).any():
        return
    steepest = float(np.nanmax(angle, initial=0.0))
    if steepest < least:
        sides = grids.spacing(land, "slope_mask")
        _log.warning(
            "slope_mask(): no slope is from %g to %g degrees: the steepest of these elevations, with pixels of %g m, "
            "is %.1f degrees. Coarse models even out walls; take a finer one, or a smaller slope.",
            least, most, max(abs(sides.x), abs(sides.y)), steepest,
        )  # fmt: skip


def _interval(removed: Any) -> tuple[float, float]:
    ends = np.ravel(np.asarray(removed, dtype=object)).tolist()
    if len(ends) != 2 or not all(map(_options.is_number, ends)) or not 0.0 <= ends[0] < ends[1] <= 90.0:
        raise ValueError(
            f"slope_mask() needs removed=(least, greatest) slope from 0 to 90 degrees; got {removed!r}. "
            "Pass an interval such as (80, 90)."
        )
    return float(ends[0]), float(ends[1])


# -------------------------------------------------------------------------------------------------------------- the sun


def _given_sun(azimuth: Any, elevation: Any, sun: Any) -> tuple[Any, Any]:
    """Azimuth and elevation that were given, or those of a stack."""
    if sun is None and azimuth is not None and elevation is not None:
        return azimuth, elevation
    if sun is None or azimuth is not None or elevation is not None:
        raise ValueError(
            "cast_shadow() needs sun_azimuth and sun_elevation, or sun, which has both; got "
            f"{'one of the two' if sun is None else 'sun and others'}. Pass sun=stack alone, or two angles."
        )
    missing = [
        name for name in ("sun_azimuth", "sun_elevation") if not hasattr(sun, "coords") or name not in sun.coords
    ]
    if missing and not (isinstance(sun, xr.Dataset) and {"sun_azimuth", "sun_elevation"} <= set(sun.variables)):
        raise ValueError(
            f"cast_shadow() needs '{missing[0]}' of sun on 'time'; got none. Products tell it; else assign it: "
            f"stack.assign_coords({missing[0]}=('time', [...])), in degrees."
        )
    return sun["sun_azimuth"], sun["sun_elevation"]


def _suns(azimuth: Any, elevation: Any) -> tuple[np.ndarray, np.ndarray, dict[Any, Any]]:
    """Azimuths and elevations, one or one a date, and the coordinates of the dates."""
    given = {"sun_azimuth": azimuth, "sun_elevation": elevation}
    angles: dict[str, xr.DataArray] = {}
    stated = []
    for name, each in given.items():
        data = each if isinstance(each, xr.DataArray) else xr.DataArray(np.asarray(each))
        if data.dims not in ((), ("time",)) or data.dtype.kind not in "iuf" or not data.size:
            came = f"dims {data.dims}" if data.dims not in ((), ("time",)) else repr(each)[:60]
            raise ValueError(
                f"cast_shadow() needs {name} as a number, or one for each date on 'time'; got {came}. Pass "
                f"stack.{name}, or the mean over the scene of a map of angles."
            )
        stated.append(data)
        angles[name] = decoded(data, f"'{name}'", "cast_shadow", wanted="degree")
    try:
        azimuths, elevations = xr.align(*angles.values(), join="exact")
    except ValueError as error:
        raise ValueError(
            "cast_shadow() needs sun_azimuth and sun_elevation of the same dates; got others. Take both from one stack."
        ) from error
    azimuths, elevations = xr.broadcast(azimuths, elevations)
    for value in np.ravel(elevations.values).tolist():
        if not 0.0 < value <= 90.0:
            raise ValueError(
                f"cast_shadow() needs the sun above the horizon, sun_elevation above 0 and up to 90 degrees; got "
                f"{value:g}. Take that of the time of the image; 90 minus the zenith angle."
            )
    if not np.isfinite(azimuths.values).all():
        raise ValueError("cast_shadow() needs a number as sun_azimuth; got NaN. Take that of the time of the image.")
    sun.check_degrees(np.stack([azimuths.values.ravel(), elevations.values.ravel()]), stated, "cast_shadow")
    coords = {name: each.variable for name, each in azimuths.coords.items() if each.dims == ("time",)}
    return azimuths.values.astype(np.float64), elevations.values.astype(np.float64), coords
