"""Classes that a product itself gives to the pixels of a stack: clouds, shadows, snow, water and others."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import xarray as xr

from xoffset._options import speaking_as
from xoffset.model.variables import CLASSES
from xoffset.readers import beside
from xoffset.readers.grids import Grid
from xoffset.readers.positions import differ
from xoffset.readers.rasters import PathLike
from xoffset.readers.scenes import Product

_logger = logging.getLogger(__name__)

# Names of classes that say that the product has nothing to say.
_NOTHING = ("no_data", "fill")


def class_layer(source: PathLike | Iterable[PathLike], *, like: xr.DataArray) -> xr.DataArray:
    """Classes of each pixel of a stack as the product has them, for each of its dates.

    Of Sentinel-2 L2A the scene classification, of L1C the masks of clouds and snow, of Landsat the bits of QA_PIXEL, of
    PlanetScope UDM2. Every pixel of the stack takes the pixel of the layer that holds its centre, also of
    another CRS; nothing is interpolated.

    Parameters
    ----------
    source
        The products that the stack was made of: a folder, an archive, a pattern or a list, as `open_stack` takes them.
        Products of other dates are passed over.
    like
        Stack (time, y, x) with a CRS, that of the products or another, on whose grid and dates the classes are wanted.
        A product belongs to the date nearest to its own, no more than half an hour away, or to its day if the date has
        no time of day; tiles of one pass over the ground are put side by side.

    Returns
    -------
    xarray.DataArray
        `classes` (time, y, x), unsigned integers of 8 or 16 bits. The attribute `flag_meanings` names them, in the
        order of `flag_values`, or of `flag_masks` where they are bits that may be set together. "no_data" or "fill" is
        where the product does not reach; where it reaches but saw nothing the pixels of the stack are NaN. L1C before
        baseline 04.00 tells no snow: "snow_unknown" is set there. The attribute `laid` says so where the products have
        another CRS than the stack. Lazy if the stack is, one date a block.

    Raises
    ------
    FileNotFoundError
        If a file or the layer is missing, or nothing matches the pattern.
    OSError
        If a product is damaged.
    TypeError
        If the stack is none.
    ValueError
        If a date has no product, products of several passes, or other classes than the first, or if the products have
        no classes.

    Examples
    --------
    >>> import xoffset
    >>> stack = xoffset.open_stack("scenes/*.SAFE", band="B04")  # doctest: +SKIP
    >>> is_snow = xoffset.class_layer("scenes/*.SAFE", like=stack) == 11  # doctest: +SKIP
    """
    like, found = beside.products_of(source, like, "class_layer")
    with speaking_as("class_layer", "open_stack"):
        dtype, names, are_bits, is_turned = _kind_of(found)
        values = beside.layers(found, like, partial(_read, names, are_bits), 1, dtype)
    fields = {"classes": (("time", "y", "x"), values[:, 0])}
    data = beside.labelled(fields, CLASSES, like, {"function": "class_layer"})["classes"]
    kind = "flag_masks" if are_bits else "flag_values"
    told = {kind: list(names.values()), "flag_meanings": " ".join(names)}
    if is_turned:
        _logger.info(
            "class_layer() lays the classes on the stack from another CRS: a pixel takes the one that holds its centre"
        )
        told["laid"] = "by position, from another CRS"
    return data.assign_attrs(told)


def _kind_of(found: beside.Beside) -> tuple[np.dtype, dict[str, int], bool, bool]:
    """Type, values by name, and whether these are bits, which all products must have alike; and if any is turned."""
    corner = found.grid.part((slice(0, 1), slice(0, 1)))
    first: tuple[np.dtype, dict[str, int], bool] | None = None
    is_turned = False
    for each in (product for date in found.products for product in date):
        values, names, are_bits, crs = each.class_layer(corner)
        is_turned |= differ(crs, found.grid.crs)
        this = (values.dtype, names, are_bits)
        first = first or this
        if this != first:
            raise ValueError(
                f"class_layer() needs products with the same classes; got {', '.join(first[1])} and, in {each.place}, "
                f"{', '.join(names)}. Ask for one kind of products at a time: like.sel(time=...)."
            )
    assert first is not None  # there is a date, and a product for it
    return *first, is_turned


def _read(names: dict[str, int], are_bits: bool, tiles: Sequence[Product], grid: Grid) -> np.ndarray:
    """Classes (1, rows, columns) of the tiles of a date; of several that know a pixel the first counts."""
    nothing = next((names[name] for name in _NOTHING if name in names), None)
    out: np.ndarray | None = None
    for each in tiles:
        values = each.class_layer(grid).values
        if out is None:
            out = values
        elif nothing is not None:
            is_empty = (out & out.dtype.type(nothing)) != 0 if are_bits else out == nothing
            out = np.where(is_empty, values, out)
    assert out is not None
    return out[np.newaxis]
