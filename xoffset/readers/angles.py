"""Where sun and satellite stood, as seen from each pixel of a stack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import xarray as xr

from xoffset._options import speaking_as
from xoffset.model.variables import ANGLES
from xoffset.readers import beside
from xoffset.readers.grids import Grid
from xoffset.readers.rasters import PathLike
from xoffset.readers.scenes import Product


def angles(source: PathLike | Iterable[PathLike], *, like: xr.DataArray, band: str | None = None) -> xr.Dataset:
    """Angles of sun and view at each pixel of a stack, for each of its dates.

    Sentinel-2 tells them every 5 km and for each detector. In between directions are interpolated, never from one
    detector to another, so that the view jumps at the edges of detectors as it did in orbit. From the outermost node of
    a detector to its edge the directions go on as they do inside.

    Parameters
    ----------
    source
        The products that the stack was made of: a folder, an archive, a pattern or a list, as `open_stack` takes them.
        Products of other dates are passed over.
    like
        Stack (time, y, x) with a CRS, that of the products, on whose grid and dates the angles are wanted. A product
        belongs to the date nearest to its own, no more than half an hour away, or to its day if the date has no time
        of day; tiles of one pass over the ground are put side by side.
    band
        Name of the band, such as "B04" or "red". Needed for Sentinel-2, each of whose bands looks another way.

    Returns
    -------
    xarray.Dataset
        `sun_azimuth`, `sun_elevation`, `view_azimuth`, `view_zenith` (time, y, x), float32 [degree], NaN where unknown,
        such as where no detector saw the pixel. Azimuths are clockwise from true north, toward sun and satellite. Lazy
        if the stack is, one date a block.

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
        products do not tell their angles, or lie in another CRS.

    Examples
    --------
    >>> import xoffset
    >>> stack = xoffset.open_stack("scenes/*.SAFE", band="B04")  # doctest: +SKIP
    >>> view = xoffset.angles("scenes/*.SAFE", like=stack, band="B04").view_zenith  # doctest: +SKIP
    """
    like, found = beside.products_of(source, like, "angles")
    with speaking_as("angles", "open_stack"):
        values = beside.layers(found, like, partial(_read, band), len(ANGLES), np.dtype(np.float32))
    fields = {name: (("time", "y", "x"), values[:, k]) for k, name in enumerate(ANGLES)}
    return beside.labelled(fields, ANGLES, like, {"function": "angles", "band": band})


def _read(band: str | None, tiles: Sequence[Product], grid: Grid) -> np.ndarray:
    """Angles (4, rows, columns) of the tiles of a date; of several that tell an angle the first counts."""
    out = np.full((len(ANGLES), grid.height, grid.width), np.nan, dtype=np.float32)
    for each in tiles:
        told = each.angles(band, grid)
        values = np.stack([told[name] for name in ANGLES])
        out = np.where(np.isnan(out), values, out)
    return out
