"""Sentinel-2 products of level 1C and 2A in the SAFE format: folders or archives, of all namings since 2015."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from xoffset.readers import archives, xml
from xoffset.readers.archives import Tree
from xoffset.readers.bands import OF_SENTINEL2
from xoffset.readers.grids import Grid
from xoffset.readers.pixels import RasterImage, describe
from xoffset.readers.scenes import Classes, Contents, Layer, NoSuchTile, Scene, percent
from xoffset.readers.scenes import Product as AnyProduct
from xoffset.readers.sentinel2 import files, layers, metadata
from xoffset.readers.sentinel2.files import Granule
from xoffset.readers.sentinel2.metadata import Metadata

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_NAME = re.compile(r"S2[A-D]_(MSIL|\w{4}_PRD_MSIL)\w+(\.SAFE)?(\.zip|\.tar|\.tgz|\.tar\.gz)", re.IGNORECASE)
_BAND = re.compile(r"(?i:B0?(\d{1,2}|8A)|([A-Z]{3}))(?:_(\d\d)m)?")
# Pixel size of what was measured or computed [m]: copies are given in other sizes too.
_NATIVE = dict.fromkeys(("B02", "B03", "B04", "B08", "AOT", "WVP"), 10) | dict.fromkeys(("B01", "B09", "B10"), 60)
# Layers of which 0 is a value like others: probabilities [%].
_WITHOUT_NODATA = ("CLD", "SNW")


@dataclass(frozen=True)
class Mask:
    """A mask of a product: polygons (GML) or a raster."""

    tree: Tree
    name: str

    @property
    def is_raster(self) -> bool:
        """Whether it holds pixels, polygons otherwise."""
        return not self.name.lower().endswith(".gml")

    def root(self) -> Element:
        """Root of the parsed GML."""
        return xml.parse(self.tree.text(self.name), self.name)


@dataclass(frozen=True)
class Product:
    """One tile of a Sentinel-2 product."""

    granule: Granule
    metadata: Metadata

    @property
    def place(self) -> str:
        """Path of the product."""
        return self.granule.tree.place

    @property
    def scenes(self) -> list[Scene]:
        """What is known of the acquisition without a band."""
        return [replace(self.metadata.scene(""), band=None)]

    @property
    def contents(self) -> Contents:
        """Its bands, those that are missing, and the share of clouds of the tile."""
        there = {name for name, _ in self.granule.images}
        names = sorted({name for name, _ in self._sizes() if name != "TCI"})
        clouds = xml.optional(self.metadata.tile, ".//CLOUDY_PIXEL_PERCENTAGE")
        if clouds is None and self.metadata.product is not None:
            clouds = xml.optional(self.metadata.product, ".//Cloud_Coverage_Assessment")
        extent = self.metadata.extent
        return Contents(
            {name: float(_NATIVE.get(name, 20)) for name in names},
            tuple(name for name in names if name not in there),
            percent(clouds),
            None if extent is None else (f"EPSG:{extent[0]}", extent[1]),
        )

    @property
    def tile_metadata(self) -> Element:
        """Parsed metadata of the tile, with its grids of angles."""
        return self.metadata.tile

    def mask(self, kind: str, band: str | None = None) -> Mask | None:
        """Mask of a kind ("DETFOO", "CLASSI", "CLOUDS", ...) for a band, None if there is none."""
        name = self.granule.masks.get((kind, "B00" if band is None else self.band_named(band)[0]))
        return None if name is None else Mask(self.granule.tree, name)

    def layers(self, band: int | str | None, nodata: float | None) -> list[Layer]:
        """The image of a band."""
        name, size = self.band_named(band)
        scene = self.metadata.scene(name)
        declared = 0.0 if name not in _WITHOUT_NODATA else None
        tree, file = self.granule.tree, self.image(name, size)
        # what lies in an archive is looked at when its pixels are read
        path = tree.gdal_path(file) if archives.kind_of(tree.place) else files.whole_raster(tree, file)
        image = describe(path, None, declared if nodata is None else nodata, None)
        _check_extent(image, self.metadata)
        return [Layer(scene, image)]

    def detectors(self, band: str | None, grid: Grid) -> np.ndarray:
        """Number of the detector that saw each pixel of a grid."""
        return layers.detectors(self, band, grid)

    def angles(self, band: str | None, grid: Grid) -> dict[str, np.ndarray]:
        """Angles of sun and view at each pixel of a grid."""
        return layers.angles(self, band, grid)

    def class_layer(self, grid: Grid) -> Classes:
        """Classes of each pixel of a grid."""
        return layers.class_layer(self, grid)

    def band_named(self, band: int | str | None) -> tuple[str, int | None]:
        """Name of a band as in "B04", and the pixel size [m] where it was asked for."""
        match = _BAND.fullmatch(OF_SENTINEL2.get(band.lower(), band)) if isinstance(band, str) else None
        known = {name for name, _ in self._sizes()}
        name, size = "", None
        if match:
            name = match[2].upper() if match[2] else f"B{match[1].upper():0>2}"
            size = int(match[3]) if match[3] else None
        if name not in known:
            raise self._unknown(band)
        if name == "TCI":
            raise ValueError(
                f"open_stack() needs one band; got TCI of {self.place}, a picture of three. Pass band='B04' (red), "
                "'B03' (green) or 'B02' (blue) for what was measured."
            )
        return name, size

    def image(self, band: str, size: int | None = None) -> str:
        """Name of the image of a band: that of a pixel size, or the finest that is no enlarged copy."""
        sizes = sorted(each or 0 for name, each in self._sizes() if name == band)
        if size is None:
            native = _NATIVE.get(band, 20)
            size = next((each for each in sizes if each >= native), sizes[-1])
        elif size not in sizes and 0 in sizes and size == _NATIVE.get(band, 20):
            size = 0  # L1C has each band once, and no size in its names
        if size not in sizes:
            raise self._unknown(f"{band}_{size}m")
        name = self._images().get((band, size or None))
        if name is None:
            there = self._offer(self.granule.images)
            raise FileNotFoundError(
                f"open_stack() needs the image of band {band}; got {self.place} without it, of tile "
                f"{self.metadata.tile_of_id()}, though its metadata list it. Fetch the whole product; it has {there}."
            )
        return name

    def _images(self) -> dict[tuple[str, int | None], str]:
        """Name of the image of every band and pixel size [m]: those that the metadata list go before copies."""
        listed = {name.upper() for name in self.metadata.declared_images}
        names = self.granule.names
        return files.images_of(sorted(names, key=lambda name: PurePosixPath(name).stem.upper() not in listed))

    def _sizes(self) -> set[tuple[str, int | None]]:
        """Bands and pixel sizes of the images that are there or should be."""
        tile = self.metadata.tile_of_id()
        listed = [name for name in self.metadata.declared_images if f"T{tile}_" in name]
        return set(self.granule.images) | set(files.images_of(f"{name}.jp2" for name in listed))

    def _unknown(self, band: object) -> ValueError:
        there = self._offer(self._sizes())
        wanted = "one band" if band is None else f"band {band!r}"
        return ValueError(
            f"open_stack() needs {wanted}; {self.metadata.name} has {there}. Pass band= one of them, or a name such as "
            "'red' or 'nir'; with a pixel size, 'B04_20m'."
        )

    @staticmethod
    def _offer(sizes: Iterable[tuple[str, int | None]]) -> str:
        """Bands and their pixel sizes, for messages."""
        found: dict[str, list[str]] = {}
        for name, size in sorted((name, size or 0) for name, size in sizes):
            found.setdefault(name, []).extend([str(size)] if size else [])
        told = (f"{name} ({', '.join(each)} m)" if each else name for name, each in found.items() if name != "TCI")
        return ", ".join(told) or "none"


# ------------------------------------------------------------------------------------------------------ format of files


def is_product(place: str) -> bool:
    """Whether a path is that of a product, of its metadata, of its manifest or of a tile in it."""
    path = Path(place).expanduser()
    try:
        if path.is_dir():
            names = [file.name for file in path.iterdir()]
            return path.suffix.upper() == ".SAFE" or files.describes_product(names)
        if path.name.lower() == "manifest.safe":
            return path.is_file()
        if not path.is_file():
            return False
    except OSError:
        return False
    named = _NAME.fullmatch(path.name) or files.describes_product([path.name])
    return bool(named) or files.describes_product(archives.first_names(place))


def without_masks(places: Sequence[str]) -> list[str]:
    """Places less the masks of products, which bear the band in their names as the images do, if there are others."""
    kept = [place for place in places if Path(place).parent.name != "QI_DATA" or not files.mask_of(place)]
    return kept or [*places]


def open_product(place: str, tile: Sequence[str] | None) -> list[AnyProduct]:
    """The tiles of the products in a place: all of them, or those wanted."""
    root, folder = files.root_of(place)
    tree = archives.open_tree(root)
    granules = files.granules(tree)
    if folder is not None:
        granules = [each for each in granules if f"/{folder}/" in f"/{each.metadata}"]
    if not granules:
        raise FileNotFoundError(
            f"open_stack() needs Sentinel-2 products of level 1C or 2A, with metadata of their tiles "
            f"(GRANULE/*/MTD_TL.xml); got none in {place}{_seen(tree)}. Fetch the whole product, or leave it out."
        )
    if any(each.is_orphan for each in granules):
        raise FileNotFoundError(
            f"open_stack() needs Sentinel-2 products with their metadata (MTD_MSIL1C.xml or MTD_MSIL2A.xml, which tell "
            f"the offsets of values); got {place} without{_seen(tree)}. Fetch the whole product, or leave it out."
        )
    parsed = {name: xml.parse(tree.text(name), name) for name in {each.product_metadata for each in granules} if name}
    if tile is not None:
        granules = [each for each in granules if each.tile is None or each.tile in tile]
    products = [Product(each, metadata.read(each, parsed.get(each.product_metadata or ""))) for each in granules]
    for each in products:
        _check_tile(each)
    wanted = [each for each in products if tile is None or each.metadata.tile_of_id() in tile]
    if not wanted:
        there = sorted({name for each in files.granules(tree) if (name := each.tile)})
        there = there or sorted({each.metadata.tile_of_id() for each in products})
        raise NoSuchTile(
            f"open_stack() needs tile {' or '.join(tile or ())}; {place} has {', '.join(there)}. Pass tile= one of "
            "them, or leave the product out."
        )
    return [*wanted]


def _seen(tree: Tree) -> str:
    """What a folder that is no whole product holds, for messages."""
    tops = sorted({PurePosixPath(name).parts[0] for name in tree.names})
    return f", which holds {', '.join(tops[:5])}" if tops else ", which is empty"


def _check_tile(product: Product) -> None:
    told, named = product.metadata.tile_of_id(), product.granule.tile
    level, listed = product.metadata.level_of_tile, product.metadata.declared_tiles
    if (listed and told not in listed) or level not in (None, product.metadata.level):
        whose = f"{product.metadata.level} of {', '.join(sorted(listed)) or 'no tile'}"
        raise ValueError(
            f"open_stack() needs tiles with the metadata of their product, which tell the offsets of values; got "
            f"{product.metadata.product_name} ({whose}) with the tile {told}{f' of {level}' if level else ''} in "
            f"{product.place}. Fetch the product again."
        )
    if named is not None and told != named:
        raise ValueError(
            f"open_stack() needs tiles with their own metadata; got {product.granule.metadata} of {product.place}, "
            f"which describes tile {told}. Fetch the product again."
        )


def _check_extent(image: RasterImage, metadata: Metadata) -> None:
    """Refuse an image that does not lie where the metadata of its tile say."""
    if metadata.extent is None:
        return
    code, bounds = metadata.extent
    grid = image.grid
    found = None if grid.crs is None else grid.crs.to_epsg()
    apart = [abs(a - b) for a, b in zip(bounds, grid.bounds_of_all, strict=True)]
    if max(apart) > abs(grid.dx) / 2 or (found is not None and found != code):
        edges = ", ".join(f"{edge:.10g}" for edge in grid.bounds_of_all)
        wanted = ", ".join(f"{edge:.10g}" for edge in bounds)
        raise ValueError(
            f"open_stack() needs images that lie where the metadata of their tile say: ({wanted}) in EPSG:{code}; got "
            f"{image.name} at ({edges}) in {'no CRS' if found is None else f'EPSG:{found}'}. Fetch the product again, "
            "or give the path of the image itself if it was moved or cut on purpose."
        )
