"""Images of items: placed by what the item tells, so that no file is opened before its pixels are wanted."""

from __future__ import annotations

import re
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from xoffset.model.grids import agree
from xoffset.model.platforms import LANDSAT, OLD_LANDSAT, SENTINEL2
from xoffset.readers import bands, grids, mosaics, patience, pixels
from xoffset.readers.grids import Grid, Window
from xoffset.readers.landsat import bands as landsat_bands
from xoffset.readers.patience import Modify, bare, is_remote, patiently, reading, signed
from xoffset.readers.pixels import RasterImage
from xoffset.readers.scenes import Image, floats_for
from xoffset.readers.sentinel2.metadata import flag_in
from xoffset.readers.stac import assets
from xoffset.readers.stac.assets import Asset
from xoffset.readers.stac.items import Item
from xoffset.readers.stac.scenes import Told


@dataclass(frozen=True, eq=False)
class ItemImage:
    """A band of a file of an item.

    The address is signed each time pixels are read: signatures expire. `nodata` replaces what the file declares, `fill`
    counts where it declares nothing.
    """

    item: Item
    told: Told
    href: str
    modify: Modify | None
    band: int | None
    grid: Grid
    result_dtype: np.dtype
    nodata: float | None
    fill: float | None
    strip: int = 0

    @property
    def name(self) -> str:
        """Name of the file."""
        return bare(self.href).rsplit("/", 1)[-1]

    @property
    def is_local(self) -> bool:
        """Items lie on the globe."""
        return False

    @property
    def is_silent(self) -> bool:
        """Whether neither the caller nor the item nor the file, whose header is read, says what means "no data"."""
        if self.nodata is not None or self.fill is not None:
            return False
        image: RasterImage = reading(lambda: _described(self.href, self.modify, self.band, None), self.href)
        return image.nodata is None and image.alpha is None and not image.is_masked

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return self.href, self.band, self.grid, str(self.result_dtype), self.nodata, self.fill

    def read(self, window: Window) -> np.ndarray:
        """Pixels of a window as floats, NaN where they do not count."""

        def attempt() -> np.ndarray:
            image = _described(self.href, self.modify, self.band, self.nodata)
            self._check(image)
            return pixels.read_pixels(_with_fill(image, self.fill), window)

        return np.asarray(reading(attempt, self.href), dtype=self.result_dtype)

    def _check(self, image: RasterImage) -> None:
        """Refuse a file that is not what its item says: pixels would lie in a wrong place."""
        same = image.grid
        if same.crs != self.grid.crs and agree(grids.as_pyproj(same.crs), grids.as_pyproj(self.grid.crs)):
            same = replace(same, crs=self.grid.crs)
        if grids.place(same, self.grid) != self.grid.whole:
            told, found = (f"{each.bounds_of_all} in {grids.name_of(each.crs)}" for each in (self.grid, image.grid))
            raise ValueError(
                f"open_stac() needs items that place their files as these lie; {self.item.id} places {self.name} at "
                f"{told}, and it lies at {found}. Delete proj:transform from the item and its assets: the file tells."
            )
        if not np.can_cast(image.result_dtype, self.result_dtype):
            raise ValueError(
                f"open_stac() needs items that tell the type of their pixels right; {self.name} of {self.item.id} "
                f"holds {image.dtype}. Delete data_type from its raster:bands, and open the stack again."
            )


def _described(href: str, modify: Modify | None, band: int | None, nodata: float | None) -> RasterImage:
    return pixels.describe(signed(href, modify) if is_remote(href) else href, band, nodata, None)


def _with_fill(image: RasterImage, fill: float | None) -> RasterImage:
    is_silent = image.nodata is None and image.alpha is None and not image.is_masked
    return replace(image, nodata=fill) if is_silent and fill is not None else image


def image_of(item: Item, told: Told, asset: Asset, modify: Modify | None, nodata: float | None) -> ItemImage:
    """Image of a band of an item; the header of its file is read where the item does not tell enough."""
    href = item.href(asset.entry)
    if "zarr" in str(asset.entry.get("type", "")).lower() or href.rstrip("/").endswith(".zarr"):
        raise ValueError(
            f"open_stac() needs files of images; {item.id} has the Zarr store {bare(href)}. Open the stores with "
            "open_stack([...], band=...)."
        )
    if modify is None and is_remote(href):
        signed(href, None)  # of many items one expired signature is told before all are planned
    grid, dtype = assets.grid_of(item, asset), assets.dtype_of(asset)
    kind = bands.family(told.scene.platform) if told.scene.platform else ""
    is_known = kind in (SENTINEL2, LANDSAT, OLD_LANDSAT)
    if dtype is None and is_known:
        dtype = np.dtype(np.uint16)
    is_slow = bare(href).lower().endswith((".jp2", ".j2k"))
    strip = 0
    if grid is None or dtype is None or is_slow:
        image = reading(lambda: _described(href, modify, asset.number, nodata), href)
        grid, dtype, strip = image.grid, image.dtype, image.strip
    fill = assets.nodata_of(asset)
    if fill is None and is_known:
        fill = 0.0 if kind == SENTINEL2 else landsat_bands.fill(asset.names[-1])
    return ItemImage(item, told, href, modify, asset.number, grid, floats_for(dtype), nodata, fill, strip)


def refinement_of(item: Item, modify: Modify | None) -> bool | None:
    """Whether the geometry was refined, from the metadata of the data strip; None if the item has none, or they do not.

    They are read up to the flag, no further.
    """
    entries = [each for key, each in item.assets.items() if _STRIP.search(key) or _STRIP.search(str(each["href"]))]
    if not entries:
        return None
    href = item.href(entries[0])

    def read(_: bool) -> bool | None:
        if not is_remote(href):
            with Path(href).open("rb") as stream:
                return flag_in(stream)
        with urllib.request.urlopen(signed(href, modify), timeout=patience.SILENCE) as stream:
            return flag_in(stream)

    return patiently(read, href)


_STRIP = re.compile(r"data_?-?strip_?-?metadata|MTD_DS\.xml", re.IGNORECASE)


def parts_of(image: Image) -> list[ItemImage]:
    """Images of items that an image is made of."""
    parts = image.parts if isinstance(image, mosaics.Mosaic) else (image,)
    return [part for part in parts if isinstance(part, ItemImage)]


def layer_of_classes(part: ItemImage) -> tuple[str, ItemImage] | None:
    """Image of the classes of the item of an image, and what its numbers mean; None if it has none."""
    found = assets.class_layer(part.item)
    if found is None:
        return None
    kind, asset = found
    image = image_of(part.item, part.told, asset, part.modify, None)
    return kind, replace(image, fill=None)
