"""Products as they are delivered: which reader opens what is in a place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from xoffset.readers import eopf, landsat, other_archives, sentinel2
from xoffset.readers.scenes import Format, NoSuchTile, Product

# Modules that answer `is_product` and `open_product`, in the order in which they are asked; the last takes any archive.
FORMATS = cast(
    tuple[Format, ...],
    (sentinel2, landsat, eopf, other_archives),
)


def is_product(place: str) -> bool:
    """Whether a path or address is a product that one of the readers opens."""
    return any(each.is_product(place) for each in FORMATS)


def open_products(places: Sequence[str], tile: Sequence[str] | None) -> list[Product]:
    """The products in places that `is_product`, all or those of the tiles wanted, which some of the places may lack."""
    found: list[Product] = []
    reasons: list[NoSuchTile] = []
    for place in places:
        reader = next(each for each in FORMATS if each.is_product(place))
        try:
            found += reader.open_product(place, tile)
        except NoSuchTile as reason:
            reasons.append(reason)
    if reasons and not found:
        others = f" Nor has any of the other {len(reasons) - 1} products that tile." if len(reasons) > 1 else ""
        raise ValueError(f"{reasons[0]}{others}")
    return found
