"""Ground that stands still, from polygons, rasters of classes and the slope of the terrain."""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays import terrain
from xoffset._blocks import halos, whole
from xoffset.masking.elevations import as_dem
from xoffset.masking.land import flat, of_classes
from xoffset.masking.land import tell as tell_land
from xoffset.masking.terrain import steepness
from xoffset.model import grids, masks, products
from xoffset.model.declared import in_metres
from xoffset.model.variables import TERRAIN
from xoffset.readers import polygons as shapes
from xoffset.readers.polygons import Polygons

_log = logging.getLogger(__name__)

# What is taken around moving ground [m], and the steepest slope [degree], where nothing else is asked for. The
# signature has None, so that one that is given without what it belongs to can be told and refused.
BUFFER, MAX_SLOPE = 1000.0, 40.0
# Farthest that a buffer may reach [m].
_FARTHEST = 100_000.0
_CALLER = "stable_ground"
# Places along each side of a grid where pixels of another CRS are measured.
_SAMPLES = 17
# Times by which their sides may differ from one another there.
_UNEVEN = 1.5


class _Grid(NamedTuple):
    """Where stable ground is wanted: coordinates and CRS, the chunks along y and x if it is to be lazy."""

    data: xr.Dataset
    chunks: tuple[tuple[int, ...], ...] | None


def stable_ground(
    like: xr.DataArray | xr.Dataset,
    *,
    polygons: Polygons | xr.DataArray | None = None,
    moving: Polygons | xr.DataArray | None = None,
    buffer: float | None = None,
    classes: xr.DataArray | None = None,
    dem: xr.DataArray | None = None,
    max_slope: float | None = None,
) -> xr.DataArray:
    """Ground that stands still by all that is known of it, to be passed as `stable`.

    Parameters
    ----------
    like
        Stack, or shifts or another product, on whose grid (y, x) the ground is wanted.
    polygons
        Areas that are stable; all else is not. A path of GeoJSON or of a Shapefile; of a GeoPackage or another file
        that pyogrio reads, with the extra ``xoffset[vector]``; a GeoJSON object, a shapely polygon of the coordinates
        of a grid without a CRS, a GeoDataFrame; or a list of these. Or a boolean DataArray, True where it is stable.
    moving
        Areas that move, such as outlines of glaciers or landslides, given as `polygons` are. Of a DataArray, True where
        it moves or nothing is known: ``~(speed <= 5)``.
    buffer
        Distance [m] around `moving` that is not taken for stable either; None takes 1000.
    classes
        Raster (y, x) with 1 on land, 0 on glaciers, 0 or 2 on water, or with the attributes `flag_values` and
        `flag_meanings`, of which one is "land"; or the result of `classes` (time, y, x), of which
        a pixel is land if it is clear more often than it shows snow or water. Masks of ice, glaciers or water have 1 on
        what moves: they belong into `moving`, ``moving=ice == 1``. One that is called so is refused here; of one
        without a telling name 1 is land, and the log says how much of the grid that is.
    dem
        Elevations (y, x) [m] on a regular grid in metres, as for `slope`.
    max_slope
        Steepest slope [degree] that is taken for stable; None takes 40.

    Returns
    -------
    xarray.DataArray
        `stable` (y, x), boolean: True where everything that was given says that the ground is stable, False where any
        of it does not, or does not know: beyond a raster or the model, in their holes. Polygons hold the pixels whose
        centre they hold. Rasters on another grid are laid on by position, of another CRS by the nearest pixel: all that
        a pixel touches has to be stable. Lazy if `like`, a raster or the model is.

    Raises
    ------
    FileNotFoundError
        If there is no file at a path.
    ImportError
        If it takes pyogrio to read a file, and it is not installed.
    TypeError
        If an argument is of another kind than what it needs.
    ValueError
        If nothing is given that tells stable ground; if polygons have no CRS, lie outside of the grid, cross themselves
        or are none; if a raster lies elsewhere or has classes that are not known; if the elevations are not those that
        `slope` needs, or an option is out of range or without what it belongs to.

    Notes
    -----
    Coordinates of GeoJSON without a CRS are longitude and latitude (RFC 7946), or those of the grid if it has none
    either. Edges are straight in the CRS of the polygons. An outline that crosses itself is refused, unless the loop is
    a slip of the hand, less than a thousandth of its area, which is cut off and logged; so are one that runs along a
    line twice the same way, holes that reach out of it or leave nothing of it, and edges of more than half around the
    Earth. Of a Shapefile the direction of a part tells whether it is a hole.

    Distances are those of the grid, of rasters of another CRS too, whose pixels have to be much of one size there.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((96, 96))
    >>> fast = (truth.vx**2 + truth.vy**2) ** 0.5 > 1.0
    >>> stable = xoffset.masking.stable_ground(stack, moving=fast, buffer=100.0)
    >>> bool((stable & fast).any())
    False
    """
    grid = _grid_of(like)
    reach, steepest = _limits(moving, buffer, dem, max_slope)
    parts: dict[str, Any] = {}
    if polygons is not None:
        parts["polygons"] = _marked(polygons, grid)
    if moving is not None:
        parts["moving"] = _left_by_moving(moving, reach, grid)
    if classes is not None:
        parts["classes"] = _laid(of_classes(classes, _CALLER), masks.Kind("classes", "land", "classes", "== 1"), grid)
        tell_land(classes, parts["classes"], _CALLER)
    if dem is not None:
        parts["dem"] = _laid(_gentle(dem, steepest, grid), masks.Kind("dem", "known", "slope", "< 40"), grid)
    if not parts:
        raise ValueError(
            "stable_ground() needs something that tells what is stable; got nothing. Pass polygons, moving, classes or "
            "dem, such as moving='glaciers.geojson'."
        )
    values: Any = True
    for part in parts.values():
        values = values & part
    values = whole.in_chunks(values, grid.chunks)
    _tell_if_none(values, parts)
    told = {"buffer": reach if moving is not None else None, "max_slope": steepest if dem is not None else None}
    step = {"function": _CALLER, "given": list(parts)} | {name: each for name, each in told.items() if each is not None}
    return products.product({"stable": (("y", "x"), values)}, TERRAIN, like=grid.data, step=step)["stable"]


def _grid_of(like: Any) -> _Grid:
    """Grid of a stack or a product, checked."""
    if not isinstance(like, (xr.DataArray, xr.Dataset)):
        raise TypeError(
            f"stable_ground() needs a stack or shifts, on whose grid it lays the ground; got {type(like).__name__}. "
            "Pass what is to be matched or corrected: stable_ground(stack, ...)."
        )
    if not {"y", "x"} <= set(like.dims) or not {"y", "x"} <= set(like.coords):
        raise ValueError(
            f"stable_ground() needs a grid with dims and coordinates y and x; got dims {tuple(map(str, like.dims))}. "
            "Pass a stack (time, y, x), or shifts (pair, y, x)."
        )
    if not (like.sizes["y"] and like.sizes["x"]):
        raise ValueError("stable_ground() needs at least one pixel; got an empty grid. Check the selection.")
    fields = (
        [like] if isinstance(like, xr.DataArray) else [each for each in like.values() if {"y", "x"} <= set(each.dims)]
    )
    chunks = next((tuple(each.chunksizes[dim] for dim in ("y", "x")) for each in fields if each.chunks), None)
    grids.check_crs(grids.crs_of(like), like, _CALLER)
    data = xr.Dataset(coords={name: like[name].variable for name in ("y", "x")}, attrs=dict(like.attrs))
    crs = grids.crs_of(like)
    data = in_metres(data if crs is None else data.assign_coords(spatial_ref=grids.spatial_ref(crs)), _CALLER)
    grids.spacing(data, _CALLER)
    return _Grid(data, chunks)


def _limits(moving: Any, buffer: Any, dem: Any, max_slope: Any) -> tuple[float, float]:
    """Buffer [m] and steepest slope [degree]."""
    for value, name, owner, of in ((buffer, "buffer", moving, "moving"), (max_slope, "max_slope", dem, "dem")):
        if value is not None and owner is None:
            raise ValueError(
                f"stable_ground() needs {of} where {name} is given; got {name}={value!r} alone. Pass {of}, or leave "
                f"{name} out."
            )
    reach = BUFFER if buffer is None else _options.as_number(buffer, "buffer", _CALLER)
    _options.check_count(reach, _FARTHEST, "metres as buffer", _CALLER, "It is the distance around what moves")
    steepest = (
        MAX_SLOPE
        if max_slope is None
        else _options.as_positive(max_slope, "max_slope", _CALLER, unit="degree", example=40.0)
    )
    if steepest > 90.0:
        raise ValueError(
            f"stable_ground() needs max_slope up to 90 degrees; got {max_slope!r}. Pass an angle such as 40, not a "
            "gradient in percent."
        )
    return reach, steepest


# ---------------------------------------------------------------------------------------------------- what is known


def _marked(polygons: Any, grid: _Grid) -> Any:
    """Pixels in polygons that are stable, or of a mask of stable ground."""
    if isinstance(polygons, xr.DataArray):
        kind = masks.Kind("polygons", "stable", "slope", "< 20")
        return _laid(_boolean(polygons, kind), kind, grid)
    return _in_polygons(polygons, 0.0, "polygons", grid)


def _left_by_moving(moving: Any, reach: float, grid: _Grid) -> Any:
    """Pixels farther than a reach from all that moves."""
    if not isinstance(moving, xr.DataArray):
        return ~_in_polygons(moving, reach, "moving", grid)
    # what is not known moves
    kind = masks.Kind("moving", "known", "speed", "<= 5", is_negated=True)
    mask = _on_coordinates(_boolean(moving, kind), grid)
    if reach:
        steps = _steps_of(mask, reach, grid)
        own = grids.spacing(grid.data, _CALLER)
        is_alike = not _is_turned(mask, grid) and np.allclose(steps, (abs(own.y), abs(own.x)))
        # ground moves up to the sides of a pixel, and that of another grid does around any place in it
        reach += 0.5 * (max(steps) if is_alike else math.hypot(*steps))
        near = partial(terrain.near, reach=reach, steps=steps)
        depth = math.ceil(reach / min(steps)) + 1
        mask = mask.copy(data=halos.with_halo(near, [mask.data[np.newaxis]], depth, np.dtype(np.bool_))[0])
    return _laid(~mask, kind, grid)


def _is_turned(mask: xr.DataArray, grid: _Grid) -> bool:
    """Whether a raster is of another CRS than the grid."""
    own, wanted = grids.crs_of(mask), grids.crs_of(grid.data)
    return own is not None and wanted is not None and not grids.agree(own, wanted)


def _on_coordinates(mask: xr.DataArray, grid: _Grid) -> xr.DataArray:
    """A raster whose coordinates are those of the grid, in metres, unless it is of another CRS."""
    if _is_turned(mask, grid):
        return mask
    if grids.crs_of(grid.data) is None and {"x", "y"} <= set(mask.coords):
        grids.check_crs(grids.crs_of(mask), mask, _CALLER)
    return in_metres(mask, _CALLER)


def _steps_of(mask: xr.DataArray, reach: float, grid: _Grid) -> tuple[float, float]:
    """Length of the sides of pixels along y and x [m]; of another CRS the least that they have around the grid."""
    sides = grids.spacing(mask, _CALLER)
    if not _is_turned(mask, grid):
        return abs(sides.y), abs(sides.x)
    import pyproj

    y, x = (
        np.linspace(ends.min() - reach, ends.max() + reach, _SAMPLES)
        for ends in (grid.data[name].values for name in ("y", "x"))
    )
    transformer = pyproj.Transformer.from_crs(grids.crs_of(grid.data), grids.crs_of(mask), always_xy=True)
    there_x, there_y = transformer.transform(*np.meshgrid(x, y))
    start, up, right = (
        np.stack(transformer.transform(there_x + dx, there_y + dy, direction="INVERSE"))
        for dx, dy in ((0.0, 0.0), (0.0, sides.y), (sides.x, 0.0))
    )
    lengths = [np.hypot(*(end - start)) for end in (up, right)]
    known = [each[np.isfinite(each)] for each in lengths]
    found = [float(each.min(initial=np.inf)) for each in known]
    if not np.isfinite(found).all() or any(each.max() > _UNEVEN * each.min() for each in known):
        raise ValueError(
            "stable_ground() needs moving in a CRS whose pixels are much of one size around the grid, where buffer is "
            f"laid around what moves; got {grids.name_of(grids.crs_of(mask))}. Reproject it: "
            "moving.astype('uint8').rio.reproject_match(stack) > 0."
        )
    return found[0], found[1]


def _in_polygons(source: Any, reach: float, name: str, grid: _Grid) -> Any:
    """Pixels whose centres lie in polygons, or no farther than a reach from them."""
    found = shapes.read(source, grids.crs_of(grid.data), _CALLER, name)
    y, x = grid.data["y"].values, grid.data["x"].values
    shapes.check_overlap(found, y, x, reach, _CALLER, name)
    values = whole.marked(partial(shapes.within, found, reach), y, x, grid.chunks)
    if grid.chunks is None:
        shapes.check_any(values, found, _CALLER, name)
    elif not shapes.hold_any(found, reach, y, x):
        shapes.check_any(np.zeros(1, dtype=np.bool_), found, _CALLER, name)
    return values


def _gentle(dem: Any, steepest: float, grid: _Grid) -> xr.DataArray:
    """Where terrain is not steeper than a slope, on its own grid."""
    land = as_dem(dem, _CALLER)
    own, wanted = (max(map(abs, grids.spacing(data, _CALLER))) for data in (land, grid.data))
    if own > 1.5 * wanted:
        _log.warning(
            "stable_ground(): the elevations have pixels of %g m, coarser than the %g m of the grid; slopes within "
            "them are not seen.", own, wanted,
        )  # fmt: skip
    # unknown slopes compare as False
    return land.copy(data=steepness(land, "slope") <= steepest)


# -------------------------------------------------------------------------------------------------------------- rasters


def _boolean(mask: xr.DataArray, kind: masks.Kind) -> xr.DataArray:
    masks.check_boolean(mask, kind, _CALLER)
    return flat(mask, kind.name, _CALLER)


def _laid(mask: xr.DataArray, kind: masks.Kind, grid: _Grid) -> Any:
    """A raster on the grid; what it does not reach is False."""
    return masks.on_cells(mask, grid.data, kind, _CALLER, grid.chunks).values


def _tell_if_none(values: Any, parts: dict[str, Any]) -> None:
    """Log that nothing is left, and what took it; lazy values are not looked at."""
    if isinstance(values, np.ndarray) and not values.any():
        shares = ", ".join(f"{name} {100.0 * np.mean(part):.3g} %" for name, part in parts.items())
        _log.warning("stable_ground(): no ground is stable by all that was given; each alone leaves: %s.", shares)
