"""Layers beside the pixels of a stack: the products of its dates, and what they say of each pixel of its grid."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._blocks import threads, tiles
from xoffset._options import speaking_as
from xoffset.model import checks, products
from xoffset.model.dates import as_dates, of_same_pass
from xoffset.model.grids import crs_of, spacing
from xoffset.model.tables import Table
from xoffset.readers.grids import Grid, as_rasterio
from xoffset.readers.products import is_product, open_products
from xoffset.readers.rasters import PathLike, find
from xoffset.readers.scenes import Product, Scene
from xoffset.readers.selection import is_beside

_logger = logging.getLogger(__name__)

# Rows that are read together, over the whole width, where all pixels are wanted.
_STRIP = 2048

# What is read of the products of one date, on a part of the grid: layers (layer, rows, columns).
ReadLayers = Callable[[Sequence[Product], Grid], np.ndarray]


@dataclass(frozen=True)
class Beside:
    """Products of each date of a stack, and the grid of the stack."""

    products: tuple[tuple[Product, ...], ...]
    grid: Grid


def products_of(source: PathLike | Iterable[PathLike], like: xr.DataArray, caller: str) -> tuple[xr.DataArray, Beside]:
    """The stack, checked, and the products of its dates."""
    like = checks.as_stack(like, caller)
    grid = _grid_of(like, caller)
    with speaking_as(caller, "open_stack"):
        places = [place for place in find(source) if is_product(place)]
        found = [
            (product, scene) for place in places for product in open_products(place, None) for scene in product.scenes
        ]
    if not found:
        raise ValueError(
            f"{caller}() needs products with their metadata, such as Sentinel-2 SAFE or Landsat scenes; got none in "
            f"{str(source)[:200]}. Give the products that the stack was made of, not images alone."
        )
    chosen = [_of_date(k, found, like, caller) for k in range(like.sizes["time"])]
    missing = [str(as_dates(like["time"].values)[k])[:19] for k, products in enumerate(chosen) if not products]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise ValueError(
            f"{caller}() needs a product for every date of the stack; got none for {', '.join(missing[:5])}{more}. "
            "Add them to the source, or leave the dates out: like.sel(time=[...])."
        )
    return like, Beside(tuple(chosen), grid)


def _grid_of(like: xr.DataArray, caller: str) -> Grid:
    crs, step = crs_of(like), spacing(like, caller)
    if crs is None:
        raise ValueError(
            f"{caller}() needs a stack with a CRS, to lay the product on its grid; got none. Take the stack that "
            "open_stack() made of the products, or assign it: stack.rio.write_crs('EPSG:32632')."
        )
    return Grid(
        float(like["x"].values[0]) - step.x / 2,
        float(like["y"].values[0]) - step.y / 2,
        step.x,
        step.y,
        like.sizes["x"],
        like.sizes["y"],
        as_rasterio(crs),
    )


# ------------------------------------------------------------------------------------------- which product is of a date


def _of_date(k: int, found: Sequence[tuple[Product, Scene]], like: xr.DataArray, caller: str) -> tuple[Product, ...]:
    """Products of a date of a stack, one a tile, in the order of the names of the tiles."""
    dates = as_dates(like["time"].values)
    here = [each for each in found if of_same_pass(each[1].date, dates).tolist() == [k]]
    # what the stack tells of a date decides between products of it, where it leaves any
    for coordinate, name in _TOLD.items():
        if coordinate in like.coords and like[coordinate].dims == ("time",):
            accepted = str(like[coordinate].values[k]).split(" + ")  # of tiles that were put side by side
            here = [each for each in here if str(getattr(each[1], name)) in accepted] or here
    passes = {(scene.platform, scene.relative_orbit) for _, scene in here}
    if len(passes) > 1:
        names = " and ".join(sorted(scene.name for _, scene in here)[:2])
        raise ValueError(
            f"{caller}() needs the products of one pass for each date; got {names} for {dates[k]}. Give the products "
            "that the stack was made of, or a stack with the time of day."
        )
    parts: list[list[tuple[Product, Scene]]] = []
    for each in sorted(here, key=lambda each: (each[1].tile or "", each[1].date)):
        same = [part for part in parts if part[0][1].tile == each[1].tile and not is_beside(part[0][1], each[1])]
        if same:
            same[0].append(each)
        else:
            parts.append([each])
    return tuple(_newest(each, caller) for each in parts)


# Coordinates on time that tell products of one date apart, and their names in scenes.
_TOLD = {name: name for name in ("platform", "relative_orbit", "level", "tile")} | {"scene": "name"}


def _newest(found: Sequence[tuple[Product, Scene]], caller: str) -> Product:
    """Of several products of one tile and date the one that was made last."""
    levels = {scene.level for _, scene in found}
    if len(levels) > 1:
        raise ValueError(
            f"{caller}() needs products of one level; got {' and '.join(sorted(map(str, levels)))} for "
            f"{found[0][1].date}. Give those of one level, or a stack that has 'level' on 'time'."
        )
    ordered = sorted(found, key=lambda each: (each[1].processed is not None, each[1].processed, each[1].name))
    if len(ordered) > 1:
        _logger.info("Of %d products of %s the newest counts: %s", len(ordered), found[0][1].date, ordered[-1][1].name)
    return ordered[-1][0]


# --------------------------------------------------------------------------------------------------------------- layers


def layers(beside: Beside, like: xr.DataArray, read: ReadLayers, count: int, dtype: np.dtype) -> Any:
    """Layers (time, layer, y, x) of the products of each date, NumPy or dask like the stack."""
    reads = [partial(_read_part, read, products, beside.grid) for products in beside.products]
    shape = beside.grid.height, beside.grid.width
    if not isinstance(like.data, np.ndarray):
        # what is wrong with a product is to be known now
        for each in reads:
            each(slice(0, 1), slice(0, 1))
        return tiles.lazy_layers(reads, count, like.data.chunks[1:], dtype)
    out = np.empty((len(reads), count, *shape), dtype=dtype)

    def fill(part: tuple[int, slice]) -> None:
        k, rows = part
        out[k, :, rows] = reads[k](rows, slice(0, shape[1]))

    starts = range(0, shape[0], _STRIP)
    threads.in_threads(
        fill, [(k, slice(top, min(top + _STRIP, shape[0]))) for k in range(len(reads)) for top in starts]
    )
    return out


def _read_part(read: ReadLayers, products: Sequence[Product], grid: Grid, rows: slice, columns: slice) -> np.ndarray:
    return read(products, grid.part((rows, columns)))


def labelled(
    fields: Mapping[str, tuple[tuple[str, ...], Any]], table: Table, like: xr.DataArray, step: dict[str, Any]
) -> xr.Dataset:
    """Dataset of layers with the dates of a stack, and what it knows of them, on its grid."""
    # means over a scene, such as of angles, give way to what is told pixel by pixel
    coords = {
        name: each.variable for name, each in like.coords.items() if each.dims == ("time",) and name not in fields
    }
    told = {name: value for name, value in step.items() if value is not None}
    return products.product(fields, table, like=like.to_dataset(name="image"), step=told, coords=coords)
