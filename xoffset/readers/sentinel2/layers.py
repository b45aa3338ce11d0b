"""What a Sentinel-2 product tells of each pixel of a grid: its detector, angles of sun and view, and its class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xoffset._arrays.scenes.angle_grids import angles_at
from xoffset.readers.grids import Grid
from xoffset.readers.positions import check_crs, values_at
from xoffset.readers.scenes import Classes
from xoffset.readers.sentinel2 import angle_grids, class_masks, footprints
from xoffset.readers.sentinel2.files import whole_raster

if TYPE_CHECKING:
    from xoffset.readers.sentinel2.product import Product


def detectors(product: Product, band: str | None, grid: Grid) -> np.ndarray:
    """Number of the detector that saw each pixel, from polygons before baseline 04.00, from a raster since."""
    name, _ = product.band_named(band)
    mask = product.mask("DETFOO", name)
    if mask is None:
        raise FileNotFoundError(
            f"open_stack() needs the footprints of the detectors, MSK_DETFOO_{name}; got {product.place} without. "
            "Fetch the whole product: it is in QI_DATA of its tile."
        )
    if mask.is_raster:
        values, _, crs = values_at(whole_raster(mask.tree, mask.name), grid)
        check_crs(grid, crs, mask.name)
        footprints.check_numbers((values.min(), values.max()), mask.name)
        return np.asarray(values[0], dtype=np.uint8)
    return footprints.detectors(footprints.read_polygons(mask.root(), mask.name), name, grid)


def angles(product: Product, band: str | None, grid: Grid) -> dict[str, np.ndarray]:
    """Angles of sun and view at each pixel, from the grids in the metadata of the tile."""
    name, _ = product.band_named(band)
    seen_by = detectors(product, band, grid)
    told = angle_grids.read_angles(product.tile_metadata, name, product.place)
    return angles_at(told, seen_by, grid.x_centres, grid.y_centres)


def class_layer(product: Product, grid: Grid) -> Classes:
    """Scene classification of L2A; masks of clouds and snow of L1C."""
    if product.metadata.level == "L2A":
        return class_masks.scene_classification(whole_raster(product.granule.tree, product.image("SCL")), grid)
    raster = product.mask("CLASSI")
    if raster is not None:
        return class_masks.classification_masks(whole_raster(raster.tree, raster.name), grid)
    polygons = product.mask("CLOUDS")
    if polygons is None:
        raise FileNotFoundError(
            f"open_stack() needs the masks of clouds, MSK_CLASSI_B00 or MSK_CLOUDS_B00; got {product.place} without. "
            "Fetch the whole product: they are in QI_DATA of its tile."
        )
    return class_masks.cloud_polygons(polygons.root(), product.tile_metadata, grid, polygons.name)
