"""Stacks from any rasters that GDAL reads: one grid, cropped and aligned by index, read exactly."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from xoffset import _blocks, model
from xoffset.readers import dates

if TYPE_CHECKING:
    import pyproj
    from affine import Affine
    from rasterio.crs import CRS

Align = Literal["nearest", "cubic"]
Chunks = int | Mapping[str, int]
PathLike = str | os.PathLike[str]
Bounds = tuple[float, float, float, float]
Window = tuple[slice, slice]

_SUFFIXES = (".tif", ".tiff", ".jp2", ".j2k", ".jpg", ".jpeg", ".png", ".img", ".vrt", ".bil", ".bmp")

# Grids are one lattice when no pixel lies further than this from its place, px.
_LATTICE_TOLERANCE = 1e-3
# Side of the tiles in which images are resampled, px: fixed to the grid, so that chunks and crops change no bit.
_WARP_TILE = 512
# Largest error of the interpolated coordinate transformation of a resampling, px; GDAL's own default is 0.125.
_WARP_TOLERANCE = 1e-4


def open_stack(
    source: PathLike | Iterable[PathLike],
    *,
    band: int | str | None = None,
    bbox: tuple[float, float, float, float] | None = None,
    date: str | Iterable[dates.DateLike] | None = None,
    nodata: float | None = None,
    align: Align | None = None,
    pixel_size: float | None = None,
    chunks: Chunks | None = None,
) -> xr.DataArray:
    """Stack of images (time, y, x) from raster files, sorted by time.

    Pixel values are those of the files, neither scaled nor interpolated; only `align` resamples, and only the files
    that need it. Files whose grids differ by whole pixels are put in their place on the union of all extents.

    Parameters
    ----------
    source
        One file, a list of files, a glob pattern such as ``"scenes/*_B04.jp2"``, or a folder, of which the files with
        the suffix of an image are taken.
    band
        Number of the band, counted from 1, or its description. Needed where a file has several bands; an alpha band
        does not count.
    bbox
        (xmin, ymin, xmax, ymax) in the CRS of the stack [m]. Pixels whose centres lie inside are read, nothing else.
        Dates whose image lies outside are kept, all NaN.
    date
        Where names are not those of Sentinel-2 or Landsat: a strptime pattern searched in the file names, such as
        ``"naip_%Y%m%d"``, or one date a file, in the order of the list or of the sorted names. Dates are UTC; a
        pattern that stops at the year means its first day.
    nodata
        Value that means "no data", in place of the one that the files declare.
    align
        How to resample, once, the files that do not lie on the grid that most files share (of equally many, that of
        the earliest): ``"cubic"`` for images, ``"nearest"`` for classes. The attributes `align` and `resampled` record
        it.
    pixel_size
        Side of a pixel [m] of images without georeference, such as most JPEG and PNG files. Coordinates are local
        metres then, y decreasing downwards.
    chunks
        Side of the dask blocks along y and x [px], or a mapping of both, -1 for the whole axis; one date a block.
        Each block reads its own window, for which JPEG and PNG decode the whole image: take -1 there. Without
        `chunks` all pixels are read at once, into NumPy.

    Returns
    -------
    xarray.DataArray
        Pixel values (time, y, x): float32 from integers of up to 16 bits and float32, float64 otherwise. NaN where a
        file has no pixel, no data, a mask, a transparent pixel or an infinite value. Coordinates `x`, `y` are pixel
        centres [m], y in the row order of the files; `time` is UTC, with the time of day where the name tells it;
        `scene` is the file's name without suffix; `platform` and `relative_orbit` where all names or product folders
        tell them; `spatial_ref` holds the CRS.

    Raises
    ------
    FileNotFoundError
        If a file is missing or nothing matches the pattern.
    OSError
        If a file is no raster or is damaged; for damaged pixels when they are read or computed.
    TypeError
        If the pixels are complex numbers.
    ValueError
        If dates, bands or grids are ambiguous or do not fit together, if the CRS is not in metres of ground, or if
        the crop is empty.

    Examples
    --------
    >>> import xoffset
    >>> stack = xoffset.open_stack("scenes/*_B04.jp2", bbox=(5e5, 41e5, 51e4, 42e5), chunks=1024)  # doctest: +SKIP
    >>> stack = xoffset.open_stack("photos", date="ortho_%Y.tif", align="cubic")  # doctest: +SKIP
    """
    _check_arguments(align, pixel_size)
    paths = _find(source)
    images = [_describe(path, band, nodata, pixel_size) for path in paths]
    scenes = dates.scenes(paths, date)
    order = np.argsort([scene.date for scene in scenes], kind="stable")
    scenes = [scenes[k] for k in order]
    frame, images = _arrange([images[k] for k in order], align)
    window = _crop(frame, bbox)
    dtype = np.result_type(*(image.result_dtype for image in images))
    readers = [Reader(image, frame, window, align or "nearest", dtype) for image in images]
    shape = window[0].stop - window[0].start, window[1].stop - window[1].start
    stack = model.stack(
        _read_all(readers, shape, dtype)
        if chunks is None
        else _blocks.lazy_images(readers, shape, dtype, _sides(chunks)),
        time=np.array([scene.date for scene in scenes]),
        x=frame.x_centres[window[1]],
        y=frame.y_centres[window[0]],
        crs=_as_pyproj(frame.crs),
        attrs=_history({"band": band, "bbox": bbox, "nodata": nodata, "pixel_size": pixel_size}, images, align),
    )
    return stack.assign_coords(_acquisition(scenes))


def _check_arguments(align: Align | None, pixel_size: float | None) -> None:
    if align not in (None, "nearest", "cubic"):
        raise ValueError(
            f"open_stack() needs align= None, 'nearest' or 'cubic'; got {align!r}. Take 'cubic' for images."
        )
    if pixel_size is not None and not 0 < pixel_size < np.inf:
        raise ValueError(
            f"open_stack() needs pixel_size= as a positive length in metres; got {pixel_size!r}. "
            "Give the side of a pixel, such as pixel_size=10."
        )


def _acquisition(scenes: Sequence[dates.Scene]) -> dict[str, tuple[str, np.ndarray]]:
    """Coordinates on time that the names of all images tell."""
    platforms = [scene.platform for scene in scenes]
    orbits = [scene.relative_orbit for scene in scenes]
    coords = {"scene": ("time", np.array([scene.name for scene in scenes], dtype=object))}
    if None not in platforms:
        coords["platform"] = ("time", np.array(platforms, dtype=object))
    if None not in orbits:
        coords["relative_orbit"] = ("time", np.array(orbits, dtype=np.int64))
    return coords


def _history(parameters: dict[str, Any], images: Sequence[Image], align: Align | None) -> dict[str, Any]:
    """Attributes that tell how the stack was made; names in one text, since netCDF unpacks a list of one."""
    given = {name: _plain(value) for name, value in parameters.items() if value is not None}
    resampled = [Path(image.path).name for image in images if image.place is None]
    attrs: dict[str, Any] = {"align": align, "resampled": ", ".join(resampled)} if resampled else {}
    given |= {"align": align} if resampled else {}
    return attrs | {"processing": model.processed(xr.DataArray(), {"function": "open_stack"} | given)}


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist()


# --------------------------------------------------------------------------------------------------------------- files


def _find(source: PathLike | Iterable[PathLike]) -> list[str]:
    """Paths of the images, absolute where they are local, sorted unless they were listed."""
    if isinstance(source, (str, os.PathLike)):
        paths = _search(os.fspath(source))
    elif isinstance(source, Iterable) and not isinstance(source, (bytes, Mapping)):
        paths = [os.fspath(path) for path in source]
    else:
        raise TypeError(
            f"open_stack() needs a file, a list of files, a pattern or a folder; got {type(source).__name__}. "
            "Pass paths: open_stack('scenes/*.tif')."
        )
    if not paths:
        raise ValueError("open_stack() needs at least one image; got an empty list. Check how it was made.")
    for path in paths:
        if Path(path).is_dir():
            raise ValueError(
                f"open_stack() needs image files; got the folder {path} among them. "
                "Give the files inside: a pattern such as 'scenes/*.SAFE/**/*_B04_10m.jp2', or one folder alone."
            )
    return [str(Path(path).expanduser().absolute()) if Path(path).expanduser().exists() else path for path in paths]


def _search(source: str) -> list[str]:
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(str(file) for file in path.iterdir() if file.suffix.lower() in _SUFFIXES)
        if not files:
            raise FileNotFoundError(
                f"open_stack() needs images in the folder; found none in {source} ({', '.join(_SUFFIXES)}). "
                "For other suffixes or for subfolders give a pattern, such as 'folder/**/*_B04.jp2'."
            )
        return files
    if path.exists() or not glob.has_magic(source):
        return [source]
    files = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
    if not files:
        raise FileNotFoundError(
            f"open_stack() needs images; no file matches {source}. "
            f"Check the pattern, and the working folder {Path.cwd()}."
        )
    return files


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


# --------------------------------------------------------------------------------------------------- one file's header


@dataclass(frozen=True)
class Grid:
    """Pixels of an image: outer corner of its first pixel, signed pixel size, size and CRS."""

    x: float
    y: float
    dx: float
    dy: float
    width: int
    height: int
    crs: CRS | None

    @property
    def x_centres(self) -> np.ndarray:
        """Pixel centres along x [m]."""
        return self.x + self.dx * (np.arange(self.width) + 0.5)

    @property
    def y_centres(self) -> np.ndarray:
        """Pixel centres along y [m]."""
        return self.y + self.dy * (np.arange(self.height) + 0.5)

    @property
    def whole(self) -> Window:
        """Window of all pixels."""
        return slice(0, self.height), slice(0, self.width)

    def transform(self, window: Window) -> Affine:
        """Affine transformation of a window."""
        from affine import Affine

        rows, columns = window
        return Affine(self.dx, 0, self.x + self.dx * columns.start, 0, self.dy, self.y + self.dy * rows.start)

    def bounds(self, window: Window) -> Bounds:
        """Left, bottom, right and top edge of a window [m]."""
        rows, columns = window
        xs = [self.x + self.dx * edge for edge in (columns.start, columns.stop)]
        ys = [self.y + self.dy * edge for edge in (rows.start, rows.stop)]
        return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True)
class Image:
    """Where the pixels of one date are and which of them count.

    `place` is the row and the column of its first pixel on the frame, None if it is resampled. `changed` [ns] lets dask
    tell a file from the one that it replaced.
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
    place: tuple[int, int] | None = None

    @property
    def result_dtype(self) -> np.dtype:
        """Type that holds every value of the file and NaN."""
        is_small = self.dtype.itemsize <= (4 if self.dtype.kind == "f" else 2)
        return np.dtype(np.float32 if is_small else np.float64)


def _describe(path: str, band: int | str | None, nodata: float | None, pixel_size: float | None) -> Image:
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
            alphas = [
                k for k, kind in zip(dataset.indexes, dataset.colorinterp, strict=True) if kind is ColorInterp.alpha
            ]
            declared = dataset.nodatavals[number - 1]
            return Image(
                path=path,
                driver=dataset.driver,
                band=number,
                n_bands=dataset.count,
                dtype=_real_dtype(path, dataset.dtypes[number - 1]),
                grid=grid,
                nodata=declared if nodata is None else float(nodata),
                alpha=next((k for k in alphas if k != number), None),
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
    if shear > _LATTICE_TOLERANCE * min(abs(transform.a), abs(transform.e)) or transform.a <= 0:
        raise ValueError(
            f"open_stack() needs rows along x and columns along y; got {name}, whose grid is rotated, sheared or "
            f"mirrored (geotransform {transform.to_gdal()}). Resample it first: rio warp {name} upright.tif."
        )
    grid = Grid(transform.c, transform.f, transform.a, transform.e, dataset.width, dataset.height, dataset.crs)
    _check_crs(name, grid)
    return grid


def _check_crs(name: str, grid: Grid) -> None:
    crs = _as_pyproj(grid.crs)
    if crs is None:
        return
    centre = {"x": grid.x + grid.dx * grid.width / 2, "y": grid.y + grid.dy * grid.height / 2}
    try:
        model.check_crs(crs, xr.DataArray(0.0, coords=centre), "open_stack")
    except ValueError as error:
        raise ValueError(
            f"{error} The file is {name}; rio warp --dst-crs ... --resampling cubic reprojects it."
        ) from None


def _as_pyproj(crs: CRS | None) -> pyproj.CRS | None:
    if crs is None:
        return None
    import pyproj

    return pyproj.CRS.from_wkt(crs.to_wkt())


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


# ----------------------------------------------------------------------------------------------------- one common grid


def _arrange(images: Sequence[Image], align: Align | None) -> tuple[Grid, list[Image]]:
    """Grid of the stack, and the images with their place on it; those to be resampled have none."""
    _check_kinds(images)
    groups: list[list[int]] = []
    for k, image in enumerate(images):
        fitting = [group for group in groups if _place(image.grid, images[group[0]].grid) is not None]
        if fitting:
            fitting[0].append(k)
        else:
            groups.append([k])
    shared = max(groups, key=len)  # the first of equally many: images come sorted by time
    base = images[shared[0]].grid
    if len(groups) > 1 and align is None:
        raise ValueError(_differences(images, shared))
    places = [_place(image.grid, base) if k in shared else None for k, image in enumerate(images)]
    extents = [_extent(image.grid, base, place) for image, place in zip(images, places, strict=True)]
    top, left = (min(extent[axis].start for extent in extents) for axis in (0, 1))
    bottom, right = (max(extent[axis].stop for extent in extents) for axis in (0, 1))
    frame = replace(base, x=base.x + base.dx * left, y=base.y + base.dy * top, width=right - left, height=bottom - top)
    return frame, [
        replace(image, place=None if place is None else (place[0] - top, place[1] - left))
        for image, place in zip(images, places, strict=True)
    ]


def _check_kinds(images: Sequence[Image]) -> None:
    """Refuse what no resampling can bring together."""
    first = images[0]
    for image in images[1:]:
        pair = f"{Path(first.path).name} and {Path(image.path).name}"
        if (image.grid.crs is None) != (first.grid.crs is None):
            raise ValueError(
                f"open_stack() needs one CRS; of {pair} only one has any. Assign the one that lacks: "
                "rio edit-info --crs EPSG:... file.tif."
            )
        size, other = ((grid.width, grid.height) for grid in (first.grid, image.grid))
        if image.is_local and size != other:
            raise ValueError(
                f"open_stack() needs images of one size where there is no georeference; {pair} have "
                f"{size[0]} x {size[1]} and {other[0]} x {other[1]} pixels. "
                "Crop them alike first, or georeference them: align= cannot help."
            )


def _place(grid: Grid, base: Grid) -> tuple[int, int] | None:
    """Row and column of a grid's first pixel on the lattice of another, None if it lies on another lattice."""
    starts = []
    for first, step, size, origin, spacing in (
        (grid.y, grid.dy, grid.height, base.y, base.dy),
        (grid.x, grid.dx, grid.width, base.x, base.dx),
    ):
        start = round((first - origin) / spacing)
        # both ends, so that pixel sizes may differ by rounding only
        errors = ((first - origin) / spacing - start, (first + step * size - origin) / spacing - start - size)
        if max(map(abs, errors)) > _LATTICE_TOLERANCE:
            return None
        starts.append(start)
    return (starts[0], starts[1]) if grid.crs == base.crs else None


def _extent(grid: Grid, base: Grid, place: tuple[int, int] | None) -> tuple[slice, slice]:
    """Rows and columns of a base grid, counted from its first pixel, whose centres a grid covers."""
    if place is not None:
        return slice(place[0], place[0] + grid.height), slice(place[1], place[1] + grid.width)
    rows, columns = _pixels_within(_reprojected(grid.bounds(grid.whole), grid.crs, base.crs), base)
    return (
        slice(int(np.ceil(rows[0] - 0.5)), int(np.ceil(rows[1] - 0.5))),
        slice(int(np.ceil(columns[0] - 0.5)), int(np.ceil(columns[1] - 0.5))),
    )


def _reprojected(bounds: Bounds, crs: CRS | None, to: CRS | None) -> Bounds:
    from rasterio.warp import transform_bounds

    if crs == to:
        return bounds
    left, bottom, right, top = transform_bounds(crs, to, *bounds)
    return left, bottom, right, top


def _pixels_within(bounds: Bounds, grid: Grid) -> tuple[tuple[float, float], tuple[float, float]]:
    """Edges of bounds in rows and in columns of a grid, fractions included."""
    left, bottom, right, top = bounds
    rows = sorted((edge - grid.y) / grid.dy for edge in (bottom, top))
    return (rows[0], rows[1]), ((left - grid.x) / grid.dx, (right - grid.x) / grid.dx)


def _differences(images: Sequence[Image], shared: Sequence[int]) -> str:
    """Error text that names the files which are not on the shared grid, and why."""
    base = images[shared[0]]
    others = [image for k, image in enumerate(images) if k not in shared]
    told = [f"{Path(image.path).name} ({_difference(image.grid, base.grid)})" for image in others[:3]]
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return (
        f"open_stack() needs images on one pixel grid; {len(others)} of {len(images)} are not on that of "
        f"{Path(base.path).name}: {', '.join(told)}{more}. Pass align='cubic' to resample them once onto it, "
        "align='nearest' for classes."
    )


def _difference(grid: Grid, base: Grid) -> str:
    if grid.crs != base.crs:
        return f"in {_name(grid.crs)}, not {_name(base.crs)}"
    if not np.allclose(
        (grid.dx, grid.dy), (base.dx, base.dy), rtol=_LATTICE_TOLERANCE / max(base.width, base.height), atol=0
    ):
        return f"pixels of {grid.dx:g} x {grid.dy:g} m, not {base.dx:g} x {base.dy:g} m"
    x, y = (grid.x - base.x) / base.dx, (grid.y - base.y) / base.dy
    return f"shifted by ({x - round(x) + 0.0:.2g}, {y - round(y) + 0.0:.2g}) px"


def _name(crs: CRS | None) -> str:
    proper = _as_pyproj(crs)
    return "no CRS" if proper is None else proper.name


def _crop(frame: Grid, bbox: Bounds | None) -> tuple[slice, slice]:
    """Rows and columns of the frame whose centres lie within the box."""
    if bbox is None:
        return frame.whole
    left, bottom, right, top = frame.bounds(frame.whole)
    extent = f"({left:.10g}, {bottom:.10g}, {right:.10g}, {top:.10g})"
    if len(bbox) != 4 or not (bbox[0] < bbox[2] and bbox[1] < bbox[3]):
        raise ValueError(
            f"open_stack() needs bbox=(xmin, ymin, xmax, ymax) in the CRS of the images; got {bbox!r}. "
            f"Order it so; the images cover {extent}."
        )
    rows = np.flatnonzero((frame.y_centres >= bbox[1]) & (frame.y_centres <= bbox[3]))
    columns = np.flatnonzero((frame.x_centres >= bbox[0]) & (frame.x_centres <= bbox[2]))
    if rows.size == 0 or columns.size == 0:
        raise ValueError(
            f"open_stack() needs a bbox that holds pixels; there is none in {tuple(bbox)!r}. "
            f"Give (xmin, ymin, xmax, ymax) in the CRS of the images ({_name(frame.crs)}), which cover {extent}."
        )
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


# -------------------------------------------------------------------------------------------------------------- pixels


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
            self._copy(block, out)
        return out

    def _copy(self, block: Window, out: np.ndarray) -> None:
        covered = _extent(self.image.grid, self.frame, self.image.place)
        common = _common(covered, block)
        if common:
            out[_within(common, block)] = _read_pixels(self.image, _within(common, covered))

    def _resample(self, block: Window, out: np.ndarray) -> None:
        starts = (range(edge.start // _WARP_TILE * _WARP_TILE, edge.stop, _WARP_TILE) for edge in block)
        for top, left in product(*starts):
            tile = (
                slice(top, min(top + _WARP_TILE, self.frame.height)),
                slice(left, min(left + _WARP_TILE, self.frame.width)),
            )
            common = _common(tile, block)
            if common:
                out[_within(common, block)] = _warp(self.image, self.frame, tile, self.align)[_within(common, tile)]


def _common(first: Window, second: Window) -> Window | None:
    """Window that two windows share, None if there is none."""
    rows, columns = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _within(window: Window, origin: Window) -> Window:
    """Window counted from the first pixel of another."""
    rows, columns = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(window, origin, strict=True))
    return rows, columns


def _read_all(readers: Sequence[Reader], shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    out = np.empty((len(readers), *shape), dtype=dtype)

    def read(k: int) -> None:
        out[k] = readers[k](slice(0, shape[0]), slice(0, shape[1]))

    _blocks.in_threads(read, range(len(readers)))
    return out


def _sides(chunks: Chunks) -> tuple[int, int]:
    """Side of the blocks along y and x, -1 for the whole axis."""
    sides = dict(chunks) if isinstance(chunks, Mapping) else dict.fromkeys("yx", chunks)
    fits = (isinstance(side, (int, np.integer)) and (side > 0 or side == -1) for side in sides.values())
    if not set(sides) <= {"y", "x"} or not all(fits):
        raise ValueError(
            f"open_stack() needs chunks= as a number of pixels or {{'y': ..., 'x': ...}}; got {chunks!r}. "
            "Give -1 for a whole axis; along time there is always one date a block."
        )
    return sides.get("y", -1), sides.get("x", -1)


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
    edges = _pixels_within(_reprojected(frame.bounds(tile), frame.crs, grid.crs), grid)
    margin = int(np.ceil(2 / scale)) + 2  # reach of the cubic kernel, and the rounding of edges
    rows, columns = (slice(int(np.floor(low)) - margin, int(np.ceil(high)) + margin) for low, high in edges)
    return _common((rows, columns), grid.whole)
