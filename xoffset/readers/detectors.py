"""Which detector of the sensor saw each pixel of a stack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import xarray as xr

from xoffset._options import speaking_as
from xoffset.model.variables import DETECTORS
from xoffset.readers import beside
from xoffset.readers.grids import Grid
from xoffset.readers.rasters import PathLike
from xoffset.readers.scenes import Product


def detectors(source: PathLike | Iterable[PathLike], *, like: xr.DataArray, band: str | None = None) -> xr.DataArray:
    """Number of the detector that saw each pixel of a stack, for each of its dates.

    Sentinel-2 sees the ground with twelve detectors side by side, which look a little ahead and a little back by turns.
    Where one date was seen by an odd and another by an even detector, relief shifts the two images against each other,
    and along the edges of detectors there are steps.

    Parameters
    ----------
    source
        The products that the stack was made of: a folder, an archive, a pattern or a list, as `open_stack` takes them.
        Products of other dates are passed over.
    like
        Stack (time, y, x) with a CRS, that of the products, on whose grid and dates the layer is wanted. A product
        belongs to the date nearest to its own, no more than half an hour away, or to its day if the date has no time
        of day; tiles of one pass over the ground are put side by side.
    band
        Name of the band, such as "B04" or "red". Needed, since the detectors of each band lie a little apart.

    Returns
    -------
    xarray.DataArray
        Number of the detector `detector` (time, y, x), uint8, 0 where none saw the pixel. A pixel counts to the
        footprint that holds its centre. Where footprints of neighbours overlap, the overlap is parted along its middle.
        Lazy if the stack is, one date a block.

    Raises
    ------
    FileNotFoundError
        If a file or a mask is missing, or nothing matches the pattern.
    OSError
        If a product is damaged.
    TypeError
        If the stack is none.
    ValueError
        If a date has no product, or products of several passes; if the band is not told or is not there; if the
        products do not tell their detectors, or lie in another CRS.

    Examples
    --------
    >>> import xoffset
    >>> stack = xoffset.open_stack("scenes/*.SAFE", band="B04")  # doctest: +SKIP
    >>> detector = xoffset.detectors("scenes/*.SAFE", like=stack, band="B04")  # doctest: +SKIP
    """
    like, found = beside.products_of(source, like, "detectors")
    with speaking_as("detectors", "open_stack"):
        values = beside.layers(found, like, partial(_read, band), 1, np.dtype(np.uint8))
    fields = {"detector": (("time", "y", "x"), values[:, 0])}
    return beside.labelled(fields, DETECTORS, like, {"function": "detectors", "band": band})["detector"]


def _read(band: str | None, tiles: Sequence[Product], grid: Grid) -> np.ndarray:
    """Detectors (1, rows, columns) of the tiles of a date; of several that see a pixel the first counts."""
    out = np.zeros((1, grid.height, grid.width), dtype=np.uint8)
    for each in tiles:
        out[0] = np.where(out[0] == 0, each.detectors(band, grid), out[0])
    return out
