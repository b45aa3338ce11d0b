"""Angles of products that tell means of a scene only."""

from __future__ import annotations

import numpy as np

from xoffset.model.variables import ANGLES
from xoffset.readers import grids
from xoffset.readers.grids import Grid
from xoffset.readers.positions import check_crs
from xoffset.readers.scenes import Layer


def fields(layer: Layer, grid: Grid) -> dict[str, np.ndarray]:
    """Means of a scene at each pixel of a grid that its image covers, float32 [degrees], NaN elsewhere."""
    check_crs(grid, layer.image.grid.crs, layer.scene.name)
    covered = grids.common(grids.covered(layer.image.grid, grid), grid.whole)
    found = {}
    for name in ANGLES:
        found[name] = np.full((grid.height, grid.width), np.nan, dtype=np.float32)
        value = getattr(layer.scene, name)
        if covered is not None and value is not None:
            found[name][covered] = value
    return found
