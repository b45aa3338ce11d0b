"""Stacks from any rasters that GDAL reads: one grid, cropped and aligned by index, read exactly."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _blocks
from xoffset.model import history, products
from xoffset.readers import dates, grids
from xoffset.readers.grids import Grid
from xoffset.readers.pixels import Align, Image, Reader, describe

Chunks = int | Mapping[str, int]
PathLike = str | os.PathLike[str]

_SUFFIXES = (".tif", ".tiff", ".jp2", ".j2k", ".jpg", ".jpeg", ".png", ".img", ".vrt", ".bil", ".bmp")


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
    images = [describe(path, band, nodata, pixel_size) for path in paths]
    scenes = dates.scenes(paths, date)
    order = np.argsort([scene.date for scene in scenes], kind="stable")
    scenes = [scenes[k] for k in order]
    frame, images = _arrange([images[k] for k in order], align)
    window = grids.crop(frame, bbox)
    dtype = np.result_type(*(image.result_dtype for image in images))
    readers = [Reader(image, frame, window, align or "nearest", dtype) for image in images]
    shape = window[0].stop - window[0].start, window[1].stop - window[1].start
    stack = products.stack(
        _read_all(readers, shape, dtype)
        if chunks is None
        else _blocks.lazy_images(readers, shape, dtype, _sides(chunks)),
        time=np.array([scene.date for scene in scenes]),
        x=frame.x_centres[window[1]],
        y=frame.y_centres[window[0]],
        crs=grids.as_pyproj(frame.crs),
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


def _read_all(readers: Sequence[Reader], shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    out = np.empty((len(readers), *shape), dtype=dtype)

    def read(k: int) -> None:
        out[k] = readers[k](slice(0, shape[0]), slice(0, shape[1]))

    _blocks.in_threads(read, range(len(readers)))
    return out


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
    step = {"function": "open_stack"}
    step |= {name: np.asarray(value).tolist() for name, value in parameters.items() if value is not None}
    resampled = ", ".join(Path(image.path).name for image in images if image.place is None)
    if not resampled:
        return {"processing": history.processed(xr.DataArray(), step)}
    processing = history.processed(xr.DataArray(), step | {"align": align})
    return {"align": align, "resampled": resampled, "processing": processing}


# ---------------------------------------------------------------------------------------------------------------- files


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


# ------------------------------------------------------------------------------------------------------ one common grid


def _arrange(images: Sequence[Image], align: Align | None) -> tuple[Grid, list[Image]]:
    """Grid of the stack, and the images with their place on it; those to be resampled have none."""
    _check_kinds(images)
    # of equally many, that of the earliest: images come sorted by time
    shared = grids.most_shared([image.grid for image in images])
    if len(shared) < len(images) and align is None:
        raise ValueError(_differences(images, shared))
    base = images[shared[0]].grid
    places = [grids.place(image.grid, base) if k in shared else None for k, image in enumerate(images)]
    whole = grids.union(place or grids.covered(image.grid, base) for image, place in zip(images, places, strict=True))
    return base.part(whole), [
        replace(image, place=place and grids.within(place, whole)) for image, place in zip(images, places, strict=True)
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


def _differences(images: Sequence[Image], shared: Sequence[int]) -> str:
    """Error text that names the files which are not on the shared grid, and why."""
    base = images[shared[0]]
    others = [image for k, image in enumerate(images) if k not in shared]
    told = [f"{Path(image.path).name} ({grids.difference(image.grid, base.grid)})" for image in others[:3]]
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return (
        f"open_stack() needs images on one pixel grid; {len(others)} of {len(images)} are not on that of "
        f"{Path(base.path).name}: {', '.join(told)}{more}. Pass align='cubic' to resample them once onto it, "
        "align='nearest' for classes."
    )
