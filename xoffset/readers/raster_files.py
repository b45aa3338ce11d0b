"""What a raster file shows of itself before it is opened as an image of a stack: any CRS, any bands, any size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from xoffset.readers import dated, files
from xoffset.readers.grids import Bounds
from xoffset.readers.pixels import WHOLE_ONLY

# Pixels up to which an image is looked at as a whole, and the side and number of windows of a larger one, px.
_SMALL, _SIDE, _WINDOWS = 2**22, 64, 6
# Drivers that decode images coarsely.
_BY_LEVELS = ("JP2", "JPEG2000")


@dataclass(frozen=True)
class RasterFile:
    """Header of a file: `bands` by name, its grid, and the share of valid pixels of the first band.

    `spacing` are the sides of a pixel in the units of the CRS, in pixels where there is no georeference; `extent` are
    left, bottom, right and top edge, None if it is rotated. `dates` are those that the bands tell.
    """

    driver: str
    shape: tuple[int, int]
    bands: tuple[str, ...]
    dtype: str
    nodata: float | None
    crs: Any
    spacing: tuple[float, float]
    extent: Bounds | None
    is_placed: bool
    dates: tuple[np.datetime64, ...]
    tags: Mapping[str, str]
    valid: float | None
    looked_at: float  # share of the pixels that `valid` was counted in


def read(path: str, *, is_counted: bool) -> RasterFile:
    """Header of a file, and with `is_counted` the share of valid pixels, counted in some of them.

    Raises
    ------
    OSError
        If GDAL cannot read it, or it ends before its pixels do.
    ValueError
        If it holds no image, or several.
    """
    has_place = files.is_georeferenced(files.header(path))
    with files.opened(path, is_local=not has_place) as dataset:
        driver = dataset.driver if has_place else files.driver_of(path) or dataset.driver
        is_placed = has_place and not dataset.transform.is_identity
        n_bytes = dataset.width * dataset.height * sum(np.dtype(each).itemsize for each in dataset.dtypes)
        files.check_whole(path, driver, n_bytes, files.state(path))
        turn = dataset.transform
        is_upright = not (turn.b or turn.d)
        valid, share = _valid(dataset, driver) if is_counted else (None, 0.0)
        names = tuple(text or str(number) for number, text in enumerate(dataset.descriptions, 1))
        return RasterFile(
            driver=driver,
            shape=dataset.shape,
            bands=names,
            dtype=dataset.dtypes[0],
            nodata=dataset.nodatavals[0],
            crs=dataset.crs,
            spacing=(float(np.hypot(turn.a, turn.d)), float(np.hypot(turn.b, turn.e))),
            extent=_extent(dataset.bounds) if is_placed and is_upright else None,
            is_placed=is_placed,
            dates=dated.of_bands(path, dataset),
            tags=dataset.tags(),
            valid=valid,
            looked_at=share,
        )


def _extent(bounds: Bounds) -> Bounds:
    """Edges in their order, whichever way rows and columns run."""
    x, y = sorted(bounds[::2]), sorted(bounds[1::2])
    return x[0], y[0], x[1], y[1]


def _valid(dataset: Any, driver: str) -> tuple[float | None, float]:
    """Share of valid pixels of the first band, and the share of all pixels that were looked at."""
    from rasterio.windows import Window

    rows, columns = dataset.shape
    is_small = rows * columns <= _SMALL
    if is_small:
        found = [_is_valid(dataset)]
    elif driver in WHOLE_ONLY:  # every window would decode the whole
        return None, 0.0
    elif driver.startswith(_BY_LEVELS):
        step = max(1, int(np.sqrt(rows * columns / 2**18)))
        found = [_is_valid(dataset, out_shape=(-(-rows // step), -(-columns // step)))]
    else:
        starts = product(_starts(rows), _starts(columns))
        found = [_is_valid(dataset, window=Window(left, top, _SIDE, _SIDE)) for top, left in starts]
    count = sum(each.size for each in found)
    return sum(int(each.sum()) for each in found) / count, count / (rows * columns)


def _is_valid(dataset: Any, **where: Any) -> np.ndarray:
    """Where the first band is a number that counts: neither nodata, nor transparent, nor masked."""
    from rasterio.enums import ColorInterp, MaskFlags

    values = dataset.read(1, **where)
    found = np.isfinite(values)
    fill = dataset.nodatavals[0]
    if fill is not None:
        found &= values != fill
    alphas = [number for number, kind in enumerate(dataset.colorinterp, 1) if kind is ColorInterp.alpha and number > 1]
    if alphas:
        found &= dataset.read(alphas[0], **where) != 0
    elif MaskFlags.per_dataset in dataset.mask_flag_enums[0]:
        found &= dataset.read_masks(1, **where) != 0
    return np.asarray(found)


def _starts(size: int) -> Iterator[int]:
    """Where windows start along a side, the middle of equal parts."""
    for k in range(_WINDOWS):
        yield max(0, min(int((k + 0.5) * size / _WINDOWS) - _SIDE // 2, size - _SIDE))
