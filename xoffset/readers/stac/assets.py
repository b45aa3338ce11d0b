"""Files of an item: which of them shows a band, and what the item tells of its pixels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from xoffset._options import is_number
from xoffset.readers import bands, grids
from xoffset.readers.grids import Grid
from xoffset.readers.stac.items import Item

if TYPE_CHECKING:
    from rasterio.crs import CRS

# Layers of classes by the names of their files, and what their numbers mean.
CLASS_LAYERS = {"scl": "scl", "qa_pixel": "qa_pixel", "qa_pixel.tif": "qa_pixel", "oa_fmask": "fmask", "fmask": "fmask"}
_NO_IMAGES = ("thumbnail", "overview", "metadata", "tiles", "visual")


@dataclass(frozen=True)
class Asset:
    """A band in a file of an item: number of the band in the file, None if it is the only one."""

    key: str
    entry: Mapping[str, Any]
    number: int | None
    names: list[str]
    common: str | None
    stated: Mapping[str, Any]  # what is said of the values: nodata, data_type, scale, offset


def find(item: Item, band: str) -> Asset | None:
    """File of a band: by its name, or by the name or common name of the band in it; None if there is none.

    Raises
    ------
    ValueError
        If several fit.
    """
    offered = list(_offered(item))
    wanted = band.lower()
    ways = (
        [each for each in offered if each.key == band],
        [each for each in offered if each.key.lower() == wanted],
        [each for each in offered if wanted in [name.lower() for name in each.names[1:]]],
        [each for each in offered if each.common and each.common.lower() == wanted],
        [each for each in offered if bands.OF_SENTINEL2.get(wanted) == each.names[0]],
    )
    for fits in ways:
        single = [each for each in fits if each.number is None] or fits
        tiffs = [each for each in single if "tiff" in str(each.entry.get("type", "tiff")).lower()] or single
        if len(tiffs) == 1:
            return tiffs[0]
        if tiffs:
            keys = ", ".join(dict.fromkeys(each.key for each in tiffs))
            raise ValueError(
                f"open_stac() needs one file for band {band!r}; {item.id} has several: {keys}. Pass band= the name of "
                "one of them."
            )
    return None


def names(item: Item) -> str:
    """Bands of an item, for messages."""
    told = [
        f"{each.key} ({each.common})" if each.common and each.common != each.key else each.key
        for each in _offered(item)
    ]
    return ", ".join(dict.fromkeys(told)) or "no files of images"


def class_layer(item: Item) -> tuple[str, Asset] | None:
    """Layer of classes of an item, and what its numbers mean."""
    for key, entry in item.assets.items():
        kind = CLASS_LAYERS.get(key.lower())
        if kind and "jp2" not in str(entry.get("type", "")).lower():
            return kind, Asset(key, entry, None, [key], None, _values(entry, {}))
    return None


def _offered(item: Item) -> Iterator[Asset]:
    """Bands of an item that are pixels of images."""
    for key, entry in item.assets.items():
        kind = str(entry.get("type") or "image/").lower()
        roles = [str(role).lower() for role in entry.get("roles") or ()]
        if not kind.startswith(("image/tiff", "image/vnd.stac.geotiff", "image/jp2", "image/")) or (
            any(role in _NO_IMAGES for role in roles) or ("jpeg" in kind or "png" in kind)
        ):
            continue
        told = [_band(each, item) for each in entry.get("eo:bands") or entry.get("bands") or ()]
        values = entry.get("raster:bands") or entry.get("bands") or ()
        for k, each in enumerate(told or [{}]):
            of_values = values[k] if k < len(values) and isinstance(values[k], Mapping) else {}
            common = each.get("common_name") or each.get("eo:common_name")
            found = [key, *([str(each["name"])] if each.get("name") else [])]
            yield Asset(
                key, entry, k + 1 if len(told) > 1 else None, found, common and str(common), _values(entry, of_values)
            )


def _band(told: Any, item: Item) -> Mapping[str, Any]:
    """What is said of a band; old items number those of the whole item."""
    if isinstance(told, int):
        all_bands = item.properties.get("eo:bands") or ()
        told = all_bands[told] if told < len(all_bands) else {}
    return told if isinstance(told, Mapping) else {}


def _values(entry: Mapping[str, Any], band: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the values of a band, in the words of the raster extension or those of STAC 1.1."""
    found: dict[str, Any] = {}
    for name in ("nodata", "data_type", "scale", "offset"):
        for place, key in ((band, name), (band, f"raster:{name}"), (entry, name), (entry, f"raster:{name}")):
            if place.get(key) is not None:
                found.setdefault(name, place[key])
    return found


# ---------------------------------------------------------------------------------------------------------------- grids


def grid_of(item: Item, asset: Asset) -> Grid | None:
    """Grid of a file as the item tells it, None if it does not, or not of this file."""
    entry, told = asset.entry, item.properties
    has_own = entry.get("proj:transform") is not None and entry.get("proj:shape") is not None
    place = entry if has_own else told
    transform, shape = (_numbers(place.get(f"proj:{each}")) for each in ("transform", "shape"))
    code = next((each[key] for each in (entry, told) for key in _CODES if each.get(key)), None)
    if len(transform) not in (6, 9) or len(shape) != 2 or code is None:
        return None
    dx, shear, x, other, dy, y = transform[:6]
    steps = [each.get("gsd") for each in (entry, *_entries(entry))]
    is_of_other_pixels = any(is_number(step) and abs(float(step) / dx - 1) > 0.1 for step in steps if step)
    if shear or other or dx <= 0 or not dy or (not has_own and is_of_other_pixels):
        return None
    crs = _crs(code if isinstance(code, (str, int)) else repr(code))
    return None if crs is None else Grid(x, y, dx, dy, int(shape[1]), int(shape[0]), crs)


_CODES = ("proj:code", "proj:epsg", "proj:wkt2")


def _entries(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in entry.get("eo:bands") or () if isinstance(each, Mapping)]


def _numbers(values: Any) -> list[float]:
    is_list = isinstance(values, Sequence) and not isinstance(values, str)
    return [float(each) for each in values] if is_list and all(map(is_number, values)) else []


@lru_cache(maxsize=256)
def _crs(code: str | int) -> CRS | None:
    """CRS of a code, None if it is none: then the file tells."""
    import pyproj

    try:
        return grids.as_rasterio(pyproj.CRS.from_user_input(code))
    except pyproj.exceptions.CRSError:
        return None


def dtype_of(asset: Asset) -> np.dtype | None:
    """Type of the pixels as the item tells it."""
    try:
        found = np.dtype(re.sub(r"^(u?int|float)$", r"\g<1>32", str(asset.stated.get("data_type") or "O")))
    except TypeError:
        return None
    return found if found.kind in "iuf" else None


def nodata_of(asset: Asset) -> float | None:
    """Value that means "no data" as the item tells it."""
    value: Any = asset.stated.get("nodata")
    is_told = is_number(value) or (isinstance(value, str) and value.lower() in ("nan", "inf", "-inf"))
    return float(value) if is_told else None
