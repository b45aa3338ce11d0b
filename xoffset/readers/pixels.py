"""Images of raster files: what a header says, and windows of pixels, copied or resampled onto the grid of a stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xoffset.readers import files, grids, orientation, patience, positions, tiff
from xoffset.readers.grids import Grid, Window
from xoffset.readers.scenes import Image, floats_for

Align = Literal["nearest", "cubic"]

# Drivers of arrays, whose rows may run either way.
_ARRAYS = ("netCDF", "HDF", "ZARR", "GRIB")

# Side of the tiles in which images are resampled, px: fixed to the grid, so that chunks and crops change no bit.
_WARP_TILE = 512
# Rows of these tiles for which images that take long to decode are read at once, px.
_WARP_STRIP = 4 * _WARP_TILE
# Largest error of the interpolated coordinate transformation of a resampling, px; GDAL's own default is 0.125.
_WARP_TOLERANCE = 1e-4


# Drivers whose files are decoded as a whole, whatever window is read.
WHOLE_ONLY = ("PNG", "JPEG", "WEBP")
# Drivers whose files are made of tiles that take long to decode, and are best read in whole rows of them.
_SLOW_TILES = ("JP2OpenJPEG", "JP2ECW", "JP2KAK", "JP2MrSID", "JPEG2000")


@dataclass(frozen=True)
class RasterImage:
    """A band of a raster file: where its pixels are and which of them count.

    `grid` is that of the image as it is shown: `orientation` tells how its pixels are stored. `state` and, of an image
    made of others (VRT, DIMAP), `state_of_parts` tell a file from the one that it replaced. `strip` is the height of
    what is decoded together where that takes long, 0 otherwise.
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
    orientation: int
    state: files.State
    state_of_parts: files.State
    strip: int = 0

    @property
    def name(self) -> str:
        """Name of the file."""
        return Path(self.path).name

    @property
    def result_dtype(self) -> np.dtype:
        """Type that holds every value of the file and NaN."""
        return floats_for(self.dtype)

    def read(self, window: Window) -> np.ndarray:
        """Pixels of a window as floats, NaN where they do not count."""
        return patience.from_afar(lambda: read_pixels(self, window), self.path)


def describe(path: str, band: int | str | None, nodata: float | None, pixel_size: float | None) -> RasterImage:
    """Read a file's header and check its georeference, band and type; reads no pixels."""
    return describe_each(path, lambda dataset: [pick_band(path, dataset, band)], nodata, pixel_size)[0]


def describe_each(
    path: str, pick: Callable[[Any], Sequence[int]], nodata: float | None, pixel_size: float | None
) -> list[RasterImage]:
    """Images of the bands of a file that a function picks of its dataset, as `describe` tells them."""
    before = files.state(path)
    is_local = not files.is_georeferenced(files.header(path))
    with files.opened(path, is_local=is_local) as dataset:
        driver = files.driver_of(path) if is_local else dataset.driver
        turn = orientation.tagged(path, driver, dataset.tags())
        grid, turn = (
            _local(path, dataset, driver, pixel_size, turn) if is_local else _placed(path, dataset, pixel_size, turn)
        )
        image = RasterImage(
            path=path,
            driver=driver,
            band=0,
            n_bands=dataset.count,
            dtype=np.dtype(np.float32),
            grid=grid,
            nodata=None,
            alpha=None,
            is_masked=False,
            is_local=is_local,
            orientation=turn,
            state=before,
            state_of_parts=_state_of_parts(path, dataset),
        )
        return [_of_band(image, dataset, number, nodata) for number in pick(dataset)]


def _of_band(image: RasterImage, dataset: Any, number: int, nodata: float | None) -> RasterImage:
    """Image of a band of a file that is described."""
    from rasterio.enums import ColorInterp, MaskFlags

    if image.driver.startswith(_ARRAYS):
        orientation.check_order(image.path, dataset.tags(number).get("NETCDF_VARNAME", ""))
    flags = dataset.mask_flag_enums[number - 1]
    kinds = zip(dataset.indexes, dataset.colorinterp, strict=True)
    alphas = (k for k, kind in kinds if kind is ColorInterp.alpha and k != number)
    declared = dataset.nodatavals[number - 1]
    image = replace(
        image,
        band=number,
        dtype=_real_dtype(image.path, dataset.dtypes[number - 1]),
        nodata=declared if nodata is None else float(nodata),
        alpha=next(alphas, None),
        is_masked=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
        strip=_strip(image.driver, image.grid, dataset.block_shapes[number - 1][0]),
    )
    _check_written(image, dataset)
    return image


def _local(path: str, dataset: Any, driver: str, pixel_size: float | None, turn: int) -> tuple[Grid, int]:
    """Grid in local metres, and the orientation of an image without georeference."""
    if pixel_size is None:
        raise ValueError(
            f"open_stack() needs georeferenced images or their pixel size; got {Path(path).name} without either. "
            "Pass pixel_size= in metres for local coordinates, or georeference the file first."
        )
    if driver.startswith(_ARRAYS):
        turn = orientation.of_rows(path, pixel_size)
    width, height = dataset.width, dataset.height
    if orientation.is_swapped(turn):
        width, height = height, width
    return Grid(0.0, 0.0, pixel_size, -pixel_size, width, height, None), turn


def _placed(path: str, dataset: Any, pixel_size: float | None, turn: int) -> tuple[Grid, int]:
    """Grid of a georeferenced image, which is to be upright."""
    name, transform = Path(path).name, dataset.transform
    if pixel_size is not None:
        raise ValueError(
            f"open_stack() needs pixel_size= only for images without georeference; got {name}, which has one. "
            "Leave pixel_size out, or open the two kinds of files apart."
        )
    if turn != orientation.UPRIGHT:
        raise ValueError(
            f"open_stack() needs georeferenced images that lie upright; got {name} with orientation tag {turn}, for "
            "which programs place the pixels differently. Write it without the tag, look whether it lies right, and "
            f"open that: rio convert {name} upright.tif."
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
    if dataset.driver.startswith(_ARRAYS):
        orientation.check_axes(name, dataset.tags(), has_crs=grid.crs is not None)
    return grid, turn


def _strip(driver: str, grid: Grid, height: int) -> int:
    """Rows that are decoded together, 0 where any window is read fast; `height` is that of the tiles."""
    return grid.height if driver in WHOLE_ONLY else height if driver in _SLOW_TILES else 0


def _check_written(image: RasterImage, dataset: Any) -> None:
    """Refuse zeros that may be tiles never written where GDAL does not tell which: behind a VRT."""
    if dataset.driver != "VRT" or image.nodata is not None or image.alpha is not None or image.is_masked:
        return
    sparse = [Path(part).name for part in dataset.files if tiff.is_sparse(part)]
    if sparse:
        raise ValueError(
            f"open_stack() needs pixels that were written; got {Path(image.path).name}, where tiles of {sparse[0]} "
            "that never were would read as zeros. Pass nodata=0, or open georeferenced TIFF files without a VRT."
        )


def _state_of_parts(path: str, dataset: Any) -> files.State:
    """Last change and size of the files that a VRT or a DIMAP image is made of."""
    if dataset.driver not in ("VRT", "DIMAP"):
        return None
    return files.state(*(part for part in dataset.files if part != path and not part.endswith((".ovr", ".aux.xml"))))


def pick_band(path: str, dataset: Any, band: int | str | None) -> int:
    """Number of the band wanted."""
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
        wanted, advice = (
            "one band",
            "Pass band=, the number or the description of one of them, or dates if each band is one",
        )
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


def image_at(image: Image, grid: Grid) -> np.ndarray:
    """Pixels of an image on a grid, by position and in whatever CRS, NaN where it has none."""
    if positions.differ(image.grid.crs, grid.crs):
        out = np.full((grid.height, grid.width), np.nan, dtype=image.result_dtype)
        positions.lay(image.read, image.grid, grid, out)
        return out
    return Reader(image, grids.place(image.grid, grid), grid, grid.whole, "nearest", image.result_dtype)(*grid.whole)


@dataclass(frozen=True)
class Reader:
    """Reads blocks (y, x) of one date.

    `place` is the window of the frame that the image fills, None if it is resampled; `window` is the part of the frame
    that the stack shows.
    """

    image: Image
    place: Window | None
    frame: Grid
    window: Window
    align: Align
    dtype: np.dtype

    def __call__(self, rows: slice, columns: slice) -> np.ndarray:
        """Pixels of a block, NaN where the image has none."""
        top, left = (edge.start for edge in self.window)
        block = slice(top + rows.start, top + rows.stop), slice(left + columns.start, left + columns.stop)
        if self.place is not None and grids.common(self.place, block) == block:
            return self.image.read(grids.within(block, self.place)).astype(self.dtype, copy=False)
        out = np.full((rows.stop - rows.start, columns.stop - columns.start), np.nan, dtype=self.dtype)
        if self.place is None:
            self._resample(block, out)
        else:
            self._copy(self.place, block, out)
        return out

    @property
    def heights(self) -> tuple[int, ...]:
        """Rows to be read together from the top of the window: none where blocks of any shape will do."""
        strip, (rows, _) = self.image.strip, self.window
        if not strip:
            return ()
        top = 0 if self.place is None else self.place[0].start
        if self.place is None:
            strip = _WARP_STRIP
        first = strip - (rows.start - top) % strip
        edges = [0, *range(first, rows.stop - rows.start, strip), rows.stop - rows.start]
        return tuple(np.diff(edges).tolist())

    def _copy(self, place: Window, block: Window, out: np.ndarray) -> None:
        common = grids.common(place, block)
        if common:
            out[grids.within(common, block)] = self.image.read(grids.within(common, place))

    def _resample(self, block: Window, out: np.ndarray) -> None:
        starts = (range(edge.start // _WARP_TILE * _WARP_TILE, edge.stop, _WARP_TILE) for edge in block)
        tiles = [
            (
                slice(top, min(top + _WARP_TILE, self.frame.height)),
                slice(left, min(left + _WARP_TILE, self.frame.width)),
            )
            for top, left in product(*starts)
        ]
        sources = [_source_window(self.image.grid, self.frame, tile) for tile in tiles]
        read: Callable[[Window], np.ndarray] = self.image.read
        if self.image.strip:
            read = _once(read, [source for source in sources if source is not None])
        for tile, source in zip(tiles, sources, strict=True):
            common = grids.common(tile, block)
            if common and source is not None:
                resampled = _warp(read(source), self.image.grid.part(source), self.frame, tile, self.align)
                out[grids.within(common, block)] = resampled[grids.within(common, tile)]


def read_pixels(image: RasterImage, window: Window) -> np.ndarray:
    """Pixels of a window of the image as floats, NaN where they do not count."""
    from rasterio.windows import Window as Rectangle

    now, grid = files.state(image.path), image.grid
    files.check_unchanged(image.path, image.state, now)
    files.check_whole(image.path, image.driver, image.n_bands * grid.height * grid.width * image.dtype.itemsize, now)
    stored = orientation.stored_window(window, (grid.height, grid.width), image.orientation)
    rectangle = Rectangle.from_slices(*stored)
    with files.opened(image.path, is_local=image.is_local) as dataset:
        raw = dataset.read(image.band, window=rectangle)
        values: np.ndarray = raw.astype(image.result_dtype)
        invalid = ~np.isfinite(raw) if raw.dtype.kind == "f" else np.zeros(raw.shape, dtype=bool)
        if image.nodata is not None:
            with np.errstate(over="ignore"):  # a float64 value declared for a float32 band
                invalid |= raw == _comparable(image.nodata, raw.dtype)
        if image.alpha is not None:
            invalid |= dataset.read(image.alpha, window=rectangle) == 0
        if image.is_masked:
            invalid |= dataset.read_masks(image.band, window=rectangle) == 0
        if dataset.driver == "GTiff":
            tiff.mark_unwritten(dataset, image.band, raw, stored, invalid)
        parts = _state_of_parts(image.path, dataset)
    files.check_unchanged(image.path, image.state, files.state(image.path))
    files.check_unchanged(image.path, image.state_of_parts, parts)
    np.copyto(values, np.nan, where=invalid)
    return orientation.turned(values, image.orientation)


def _comparable(nodata: float, dtype: np.dtype) -> Any:
    """The value as a pixel, where it is one: arrays of integers are compared with it in a tenth of the time."""
    if dtype.kind in "iu" and float(nodata).is_integer() and np.iinfo(dtype).min <= nodata <= np.iinfo(dtype).max:
        return dtype.type(int(nodata))
    return nodata


def _once(read: Callable[[Window], np.ndarray], windows: Sequence[Window]) -> Callable[[Window], np.ndarray]:
    """Reads windows from memory, where all of them are put at once."""
    if not windows:
        return read
    whole = grids.union(windows)
    pixels = read(whole)
    return lambda window: pixels[grids.within(window, whole)]


def _warp(pixels: np.ndarray, grid: Grid, frame: Grid, tile: Window, align: Align) -> np.ndarray:
    """Pixels of a tile of the frame, resampled from those of a part of an image that reaches beyond it."""
    from rasterio.enums import Resampling
    from rasterio.io import MemoryFile
    from rasterio.vrt import WarpedVRT

    shape = (tile[0].stop - tile[0].start, tile[1].stop - tile[1].start)
    profile = {"driver": "GTiff", "count": 1, "dtype": pixels.dtype.name, "nodata": np.nan, "crs": grid.crs}
    profile |= {"height": grid.height, "width": grid.width, "transform": grid.transform(grid.whole)}
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
                warp_extras=dict(zip(("XSCALE", "YSCALE"), _scales(grid, frame), strict=True)),
            ) as warped,
        ):
            return np.asarray(warped.read(1))


def _scales(grid: Grid, frame: Grid) -> tuple[float, float]:
    """Size of the pixels of an image along x and y in those of the frame."""
    return abs(grid.dx / frame.dx), abs(grid.dy / frame.dy)


def _source_window(grid: Grid, frame: Grid, tile: Window) -> Window | None:
    """Pixels of the image that a tile of the frame needs, None if it needs none."""
    scale = min(*_scales(grid, frame), 1.0)
    margin = int(np.ceil(2 / scale)) + 2  # reach of the cubic kernel, and the rounding of edges
    rows, columns = (
        slice(int(np.floor(low)) - margin, int(np.ceil(high)) + margin) for low, high in grids.edges(frame, tile, grid)
    )
    return grids.common((rows, columns), grid.whole)
