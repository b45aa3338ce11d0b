"""land_classes(): land, glacier or water around a stack, from a raster or from the tiles of ITS_LIVE."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.model import checks, grids, north, products
from xoffset.model.variables import TERRAIN
from xoffset.readers import around, tile_index
from xoffset.readers.patience import is_remote

_log = logging.getLogger(__name__)

_CALLER = "land_classes"
# Numbers of the classes, and that of what is not known.
GLACIER, LAND, WATER, UNKNOWN = 0, 1, 2, 255
NAMES = {GLACIER: "glacier", LAND: "land", WATER: "water", UNKNOWN: "unknown"}
# Index of the tiles of ITS_LIVE, and its column that names those of stable surfaces.
ITS_LIVE = "https://its-live-data.s3.amazonaws.com/autorift_parameters/v001/autorift_landice_0120m.shp"
STABLE_SURFACE = "StableSurface"


def land_classes(source: str | os.PathLike[str], *, like: xr.DataArray, column: str | None = None) -> xr.DataArray:
    """Land, glacier or water around a stack, in its CRS, from a raster or from tiles that an index names.

    Parameters
    ----------
    source
        Raster with 1 on land, 0 on glaciers, and 0 or 2 on water, a path or an address. Or an index of such rasters,
        a Shapefile in longitude and latitude with one row a raster, such as that of ITS_LIVE,
        https://its-live-data.s3.amazonaws.com/autorift_parameters/v001/autorift_landice_0120m.shp.
    like
        Stack (time, y, x) around which the classes are wanted; of an index the tile that holds its middle.
    column
        Column of the index that names the rasters; Shapefiles cut names after ten letters. None: "StableSurface", as
        ITS_LIVE has it, whose rasters have 1 on what does not move.

    Returns
    -------
    xarray.DataArray
        `land_classes` (y, x), uint8: 0 glacier (or water), 1 land, 2 water, 255 unknown, as the attributes
        `flag_values` and `flag_meanings` say, in memory. Of a raster in the CRS of the stack the pixels are those of
        the raster; others are brought there by the nearest pixel. `stable_ground` takes them as `classes`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If an address does not answer, or a file is damaged.
    ValueError
        If the raster holds other numbers, or lies elsewhere; if the index has no such column, or no tile there.

    Notes
    -----
    The address of the index of ITS_LIVE, and the name of its column, are those that the software which makes the
    products of ITS_LIVE takes. They were not tried against the server: tests have an index and tiles of their own. If
    they have moved, pass the address of another index, and `column`.

    Examples
    --------
    >>> import xoffset
    >>> stack = xoffset.open_stack("scenes/*.SAFE", band="B08")  # doctest: +SKIP
    >>> land = xoffset.masking.land_classes("land_glacier_ocean.tif", like=stack)  # doctest: +SKIP
    >>> stable = xoffset.masking.stable_ground(stack, classes=land)  # doctest: +SKIP
    """
    like = checks.as_stack(like, _CALLER)
    _options.as_path(source, "source", _CALLER)
    place = os.fspath(source)
    if not is_remote(place) and not Path(place).exists():
        raise FileNotFoundError(
            f"land_classes() needs a raster of land, glaciers and water; got {place}, which is not there. Check it."
        )
    if place.lower().endswith(".shp"):
        place = _tile_of(place, like, STABLE_SURFACE if column is None else column)
    elif column is not None:
        raise ValueError(
            f"land_classes() needs an index of tiles for column={column!r}; got {place}. Leave it out, or pass a .shp."
        )
    raster = around.read(place, like, around.Wanted(_CALLER, "classes", "nearest"))
    where = xr.Dataset(coords={name: raster[name].variable for name in ("y", "x")})
    crs = grids.crs_of(like)
    if crs is not None:
        where = where.assign_coords(spatial_ref=grids.spatial_ref(crs))
    fields = {"land_classes": (("y", "x"), _checked(raster.values, place))}
    data = products.product(fields, TERRAIN, like=where, step={"function": _CALLER})["land_classes"]
    return data.assign_attrs(flag_values=list(NAMES), flag_meanings=" ".join(NAMES.values()))


def _tile_of(index: str, like: xr.DataArray, column: str) -> str:
    """Raster that holds the middle of a stack, by an index."""
    middle = north.middle(like.to_dataset(name="image"), "the stack", _CALLER)
    if middle is None:
        raise ValueError(
            "land_classes() needs a stack with a CRS to find its place in an index; got local metres. Name it: "
            "stack.rio.write_crs('EPSG:...')."
        )
    place = tile_index.find(index, column, *middle, _CALLER)
    if is_remote(index) and not is_remote(place):
        raise ValueError(
            f"land_classes() needs addresses of rasters in an index of a server; got {place!r} in {index}, a file of "
            "this computer. Fetch the index, or pass the raster itself."
        )
    if not is_remote(place):
        place = os.path.join(Path(index).parent, place)  # noqa: PTH118, whole paths stay as they are
    _log.info("land_classes(): the tile of %s here is %s.", index, place)
    return place


def _checked(values: np.ndarray, place: str) -> np.ndarray:
    """Classes as numbers, after refusing those that are none."""
    is_known = np.isfinite(values) & (values != UNKNOWN)
    wrong = np.unique(values[is_known & ~np.isin(values, (GLACIER, LAND, WATER))])
    if wrong.size:
        raise ValueError(
            f"land_classes() needs 1 (land), 0 (glacier, or water) and 2 (water); got "
            f"{', '.join(f'{value:g}' for value in wrong[:5])} in {place}. Translate them, or declare a nodata value."
        )
    return np.where(is_known, values, UNKNOWN).astype(np.uint8)
