"""Products as they are delivered: which reader opens what is in a place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import xarray as xr

from xoffset.readers import dimap, other_archives, planetscope
from xoffset.readers.eopf import product as eopf
from xoffset.readers.landsat import product as landsat
from xoffset.readers.scenes import Format, NoSuchTile, Product
from xoffset.readers.sentinel2 import product as sentinel2

# Modules that answer `is_product` and `open_product`, in the order in which they are asked; the last takes any archive.
FORMATS = cast(
    tuple[Format, ...],
    (sentinel2, landsat, eopf, dimap, planetscope, other_archives),
)


def is_product(place: Any) -> bool:
    """Whether a path or address is a product that one of the readers opens, or a tree one that was opened."""
    if isinstance(place, xr.DataTree):
        return eopf.is_tree(place)
    return any(each.is_product(place) for each in FORMATS)


def without_parts(places: Sequence[str]) -> list[str]:
    """Places less those that are parts of a product among them, as patterns may find both."""
    folders = {place for place in places if Path(place).is_dir() and is_product(place)}
    apart = [place for place in places if not any(str(folder) in folders for folder in Path(place).parents)]
    return planetscope.without_parts(landsat.without_parts(sentinel2.without_masks(apart)))


def open_products(place: Any, tile: Sequence[str] | None) -> list[Product]:
    """The products in a place that `is_product`."""
    if isinstance(place, xr.DataTree):
        return eopf.open_tree(place, tile)
    return next(each for each in FORMATS if each.is_product(place)).open_product(place, tile)


def open_all(places: Sequence[Any], tile: Sequence[str] | None) -> list[Product]:
    """The products in several places, of which some may lack the tiles wanted."""
    found: list[Product] = []
    reasons: list[NoSuchTile] = []
    for place in places:
        try:
            found += open_products(place, tile)
        except NoSuchTile as reason:
            reasons.append(reason)
    if reasons and not found:
        raise ValueError(str(reasons[0])) from reasons[0]
    return found
