"""One raster file: what its header says, and windows of its pixels, copied or resampled onto the grid of a stack."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xoffset.readers import grids
from xoffset.readers.grids import Grid, Window

Align = Literal["nearest", "cubic"]

# Side of the tiles in which images are resampled, px: fixed to the grid, so that chunks and crops change no bit.
_WARP_TILE = 512
# Largest error of the interpolated coordinate transformation of a resampling, px; GDAL's own default is 0.125.
_WARP_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Image:
    """Where the pixels of one date are and which of them count.

    `place` is the window of the frame that it fills, None if it is resampled. `changed` [ns] lets dask tell a file from
    the one that it replaced.
    """

    path: str
    driver: str
    band: int
    n_bands: int
    dtype: np.dtype
    grid: Grid
    nodata: float | None
    alpha: int | None
    is_masked: bool
    is_local: bool
    changed: int
    place: Window | None = None

    @property
    def result_dtype(self) -> np.dtype:
        """Type that holds every value of the file and NaN."""
        is_small = self.dtype.itemsize <= (4 if self.dtype.kind == "f" else 2)
        return np.dtype(np.float32 if is_small else np.float64)


def describe(path: str, band: int | str | None, nodata: float | None, pixel_size: float | None) -> Image:
    """Read a file's header and check its georeference, band and type; reads no pixels."""
    from rasterio.enums import ColorInterp, MaskFlags
    from rasterio.errors import NotGeoreferencedWarning

    # only here, in the caller's thread: filters are global, so the readers of pixels must not set them
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with _opened(path) as dataset:
            grid = _georeference(path, dataset, pixel_size)
            number = _pick_band(path, dataset, band)
            flags = dataset.mask_flag_enums[number - 1]
            kinds = zip(dataset.indexes, dataset.colorinterp, strict=True)
            alphas = (k for k, kind in kinds if kind is ColorInterp.alpha and k != number)
            declared = dataset.nodatavals[number - 1]
            return Image(
                path=path,
                driver=dataset.driver,
                band=number,
                n_bands=dataset.count,
                dtype=_real_dtype(path, dataset.dtypes[number - 1]),
                grid=grid,
                nodata=declared if nodata is None else float(nodata),
                alpha=next(alphas, None),
                is_masked=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
                is_local=dataset.transform.is_identity,
                changed=Path(path).stat().st_mtime_ns if Path(path).exists() else 0,
            )


def _georeference(path: str, dataset: Any, pixel_size: float | None) -> Grid:
    name, transform = Path(path).name, dataset.transform
    if transform.is_identity:
        if pixel_size is None:
            raise ValueError(
                f"open_stack() needs georeferenced images or their pixel size; got {name} without either. "
                "Pass pixel_size= in metres for local coordinates, or georeference the file first."
            )
        return Grid(0.0, 0.0, pixel_size, -pixel_size, dataset.width, dataset.height, None)
    if pixel_size is not None:
        raise ValueError(
            f"open_stack() needs pixel_size= only for images without georeference; got {name}, which has one. "
            "Leave pixel_size out, or open the two kinds of files apart."
        )
    size = max(dataset.width, dataset.height)
    shear = max(abs(transform.b), abs(transform.d)) * size
    if shear > grids.LATTICE_TOLERANCE * min(abs(transform.a), abs(transform.e)) or transform.a <= 0:
        raise ValueError(
            f"open_stack() needs rows along x and columns along y; got {name}, whose grid is rotated, sheared or "
            f"mirrored (geotransform {transform.to_gdal()}). Resample it first: rio warp {name} upright.tif."
        )
    grid = Grid(transform.c, transform.f, transform.a, transform.e, dataset.width, dataset.height, dataset.crs)
    grids.check_crs(grid, name)
    return grid


def _pick_band(path: str, dataset: Any, band: int | str | None) -> int:
    """Find the number of the band wanted."""
    from rasterio.enums import ColorInterp

    kinds = dict(zip(dataset.indexes, dataset.colorinterp, strict=True))
    names = dict(zip(dataset.indexes, dataset.descriptions, strict=True))
    if band is None:
        fits = [number for number, kind in kinds.items() if kind is not ColorInterp.alpha]
    elif isinstance(band, str):
        fits = [number for number, name in names.items() if name == band]
    else:
        fits = [number for number in kinds if number == band]
    if len(fits) == 1:
        return int(fits[0])
    offer = ", ".join(f"{number} ({names[number] or kinds[number].name})" for number in kinds)
    if band is None:
        wanted, advice = "one band", "Pass band=, the number or the description of one of them"
    else:
        wanted, advice = f"band {band!r}", "Pass the number of one of them"
    raise ValueError(f"open_stack() needs {wanted}; {Path(path).name} has bands {offer or 'none'}. {advice}.")


def _real_dtype(path: str, name: str) -> np.dtype:
    if name.startswith("complex"):
        raise TypeError(
            f"open_stack() needs real numbers; got {name} pixels in {Path(path).name}. "
            "Write the amplitude first: rio calc '(abs (read 1))' in.tif amplitude.tif."
        )
    return np.dtype(name)


# -------------------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Reader:
    """Reads blocks (y, x) of one date; `window` is the part of the frame that the stack shows."""

    image: Image
    frame: Grid
    window: Window
    align: Align
    dtype: np.dtype

    def __call__(self, rows: slice, columns: slice) -> np.ndarray:
        """Pixels of a block, NaN where the image has none."""
        top, left = (edge.start for edge in self.window)
        block = slice(top + rows.start, top + rows.stop), slice(left + columns.start, left + columns.stop)
        out = np.full((rows.stop - rows.start, columns.stop - columns.start), np.nan, dtype=self.dtype)
        if self.image.place is None:
            self._resample(block, out)
        else:
            self._copy(self.image.place, block, out)
        return out

    def _copy(self, place: Window, block: Window, out: np.ndarray) -> None:
        common = grids.common(place, block)
        if common:
            out[grids.within(common, block)] = _read_pixels(self.image, grids.within(common, place))

    def _resample(self, block: Window, out: np.ndarray) -> None:
        starts = (range(edge.start // _WARP_TILE * _WARP_TILE, edge.stop, _WARP_TILE) for edge in block)
        for top, left in product(*starts):
            tile = (
                slice(top, min(top + _WARP_TILE, self.frame.height)),
                slice(left, min(left + _WARP_TILE, self.frame.width)),
            )
            common = grids.common(tile, block)
            if common:
                resampled = _warp(self.image, self.frame, tile, self.align)
                out[grids.within(common, block)] = resampled[grids.within(common, tile)]


def _read_pixels(image: Image, window: Window) -> np.ndarray:
    """Pixels of a window of the file as floats, NaN where they do not count."""
    from rasterio.windows import Window as Rectangle

    _check_whole(image)
    rectangle = Rectangle.from_slices(*window)
    with _opened(image.path, image.grid if image.is_local else None) as dataset:
        raw = dataset.read(image.band, window=rectangle)
        values: np.ndarray = raw.astype(image.result_dtype)
        invalid = ~np.isfinite(values)
        if image.nodata is not None:
            with np.errstate(over="ignore"):  # a float64 value declared for a float32 band
                invalid |= raw == image.nodata
        if image.alpha is not None:
            invalid |= dataset.read(image.alpha, window=rectangle) == 0
        if image.is_masked:
            invalid |= dataset.read_masks(image.band, window=rectangle) == 0
    values[invalid] = np.nan
    return values


def _check_whole(image: Image) -> None:
    """Refuse cut files of the formats for which GDAL makes up the missing pixels and stays silent."""
    path = Path(image.path)
    if image.driver not in ("PNG", "ENVI") or not path.exists():
        return
    size = path.stat().st_size
    if image.driver == "PNG":
        with path.open("rb") as file:
            file.seek(max(0, size - 1024))
            is_whole = b"IEND" in file.read()
    else:
        is_whole = size >= image.n_bands * image.grid.height * image.grid.width * image.dtype.itemsize
    if not is_whole:
        raise OSError(_unreadable(image.path, "the file ends before the image does"))


def _warp(image: Image, frame: Grid, tile: Window, align: Align) -> np.ndarray:
    """Pixels of a tile of the frame, resampled from the image."""
    from rasterio.enums import Resampling
    from rasterio.io import MemoryFile
    from rasterio.vrt import WarpedVRT

    shape = (tile[0].stop - tile[0].start, tile[1].stop - tile[1].start)
    scale = abs(image.grid.dx / frame.dx), abs(image.grid.dy / frame.dy)
    source = _source_window(image.grid, frame, tile, min(*scale, 1.0))
    if source is None:
        return np.full(shape, np.nan, dtype=image.result_dtype)
    pixels = _read_pixels(image, source)
    profile = {"driver": "GTiff", "count": 1, "dtype": pixels.dtype.name, "nodata": np.nan, "crs": image.grid.crs}
    profile |= {"height": pixels.shape[0], "width": pixels.shape[1], "transform": image.grid.transform(source)}
    with MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.write(pixels, 1)
        with (
            memory.open() as dataset,
            WarpedVRT(
                dataset,
                crs=frame.crs,
                transform=frame.transform(tile),
                height=shape[0],
                width=shape[1],
                resampling=Resampling[align],
                tolerance=_WARP_TOLERANCE,
                # GDAL would guess the scale of every tile from its size, and blur small ones
                warp_extras={"XSCALE": scale[0], "YSCALE": scale[1]},
            ) as warped,
        ):
            return np.asarray(warped.read(1))


def _source_window(grid: Grid, frame: Grid, tile: Window, scale: float) -> Window | None:
    """Pixels of the image that a tile of the frame needs, None if it needs none."""
    margin = int(np.ceil(2 / scale)) + 2  # reach of the cubic kernel, and the rounding of edges
    rows, columns = (
        slice(int(np.floor(low)) - margin, int(np.ceil(high)) + margin) for low, high in grids.edges(frame, tile, grid)
    )
    return grids.common((rows, columns), grid.whole)


# ---------------------------------------------------------------------------------------------------------------- files


@contextmanager
def _opened(path: str, local: Grid | None = None) -> Iterator[Any]:
    """Dataset of a path, or the reason in three parts why GDAL cannot open or read it.

    A local grid stands in for the georeference that the file lacks: rasterio warns without one, and warning filters
    are no option in the threads that read pixels.
    """
    import rasterio
    from rasterio.errors import RasterioIOError

    name = path if local is None or "?" in path else f"vrt://{path}?a_ullr=0,0,{local.width},-{local.height}"
    try:
        # premature ends of JPEG data are errors then, grey pixels otherwise
        with rasterio.Env(GDAL_ERROR_ON_LIBJPEG_WARNING="TRUE"), rasterio.open(name) as dataset:
            yield dataset
    except RasterioIOError as error:
        if not Path(path).exists() and "://" not in path and not path.startswith("/vsi"):
            raise FileNotFoundError(
                f"open_stack() needs an image; there is no file {path}. "
                f"Check the name, and the working folder {Path.cwd()}."
            ) from error
        raise OSError(_unreadable(path, str(error.__cause__ or error))) from error


def _unreadable(path: str, reason: str) -> str:
    return (
        f"open_stack() needs whole images that GDAL can read; got {path}, which it cannot ({reason}). "
        "Fetch or make the file again, or leave it out."
    )
