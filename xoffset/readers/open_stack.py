"""Stacks of images from raster files."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import xarray as xr

from xoffset import _options
from xoffset._blocks import tiles
from xoffset.model.dates import Date
from xoffset.readers import dated, objects, saved_stack, selection, stacking
from xoffset.readers.pixels import Align
from xoffset.readers.products import is_product, open_all
from xoffset.readers.rasters import PathLike, find
from xoffset.readers.scenes import Layer, as_tiles
from xoffset.readers.selection import as_orbits, choose
from xoffset.readers.stacking import Chunks, sides_of

Source = PathLike | objects.Loaded | Iterable[PathLike | objects.Loaded]


def open_stack(
    source: Source,
    *,
    band: int | str | None = None,
    tile: str | Iterable[str] | None = None,
    orbit: int | Iterable[int] | None = None,
    bbox: tuple[float, float, float, float] | None = None,
    date: str | Iterable[Date] | None = None,
    nodata: float | None = None,
    align: Align | None = None,
    pixel_size: float | None = None,
    chunks: Chunks | None = None,
) -> xr.DataArray:
    """Stack of images (time, y, x) from products of satellites or any raster files, sorted by time.

    Pixel values are those of the files, neither scaled nor interpolated; only EOPF stores and netCDF with an axis of
    time are decoded as they declare, and only `align` resamples, the files that need it. Files whose grids differ by
    whole pixels are put in their place on the union of all extents.

    Parameters
    ----------
    source
        One file or product, a list, a glob pattern such as ``"scenes/*"``, or a folder; also by an address such as
        ``"s3://bucket/scenes/*.tif"``, of which windows alone are fetched. Products are opened as they are
        delivered, folder or archive: Sentinel-2 (SAFE, EOPF Zarr, this also by its address), Landsat, Pléiades, SPOT
        6/7 and PlanetScope. Of any other folder the files with the suffix of an image are taken. A file may hold
        several dates: a GeoTIFF whose bands each tell one in their description or tags, or netCDF with an axis of time.
        Or a stack that was saved: a Zarr store or netCDF4 file that `stack.to_zarr(path)` or `stack.to_netcdf(path)`
        wrote. Or what other loaders opened: trees of Sentinel-2 products (EOPF), and arrays or datasets of odc-stac,
        stackstac, rioxarray or xarray-eopf, one or a list; they stay lazy if they are.
    band
        Number of the band, counted from 1, or its description. Needed where a file has several bands; an alpha band
        does not count. Of a saved stack, and of netCDF with an axis of time, the name of the variable. A band that is
        named by number or description is one date. Of products the name of the band, "B04" or "red", and of several
        pixel sizes the native one unless it is said, "B04_20m".
    tile
        Tiles to read, such as "31TGK", or path and row of Landsat, "063018"; all others are left out. Several tiles of
        one pass become one image where their grids fit together. Without `tile` every date must have the same tiles;
        with it a date may lack some, which are NaN.
    orbit
        Relative orbits to read, of Landsat paths, one or several. Scenes of products must otherwise be of one orbit
        for each kind of satellite.
    bbox
        (xmin, ymin, xmax, ymax) in the CRS of the stack [m]. Pixels whose centres lie inside are read, nothing else.
        Dates whose image lies outside are kept, all NaN.
    date
        Where the names do not tell: a strptime pattern searched in the file names, such as ``"ortho_%Y"``, or one date
        a file in ISO 8601, in the order of the list or of the sorted names; of files with several dates one for each
        band or step in time. Dates are UTC; a pattern that stops at the year means its first day, months are English,
        and years have four digits: ``%y`` is refused. Without `date`, names of Sentinel-2 and Landsat are read, and
        other names that hold one date, such as ``naip_20090818.tif`` or ``2009-08-18_red.tif``, all in the same form.
    nodata
        Value that means "no data", in place of the one that the files declare. Where none is declared and areas of
        zeros are seen, a line is logged and the attribute `undeclared_zeros` says so; with `chunks` only corners, edges
        and middle of the first and the last image are looked at, or these two as a whole if they are JPEG or PNG.
    align
        How to resample, once, the files that do not lie on the grid that most files share (of equally many, that of
        the earliest): ``"cubic"`` for images, ``"nearest"`` for classes. The attributes `align` and `resampled` record
        it, and `native_pixel_size` where sizes differ. Two images must see at least 1 % of the pixels that all of them
        span, or of the `bbox`, unless only one reaches into that.
    pixel_size
        Side of a pixel [m] of images without georeference, such as most JPEG and PNG files. Coordinates are local
        metres then, y decreasing downwards. Photographs are turned as their orientation tag says. Rows of netCDF files
        are put north up by the coordinates `x` and `y`, which must be there in steps of this size.
    chunks
        Side of the dask blocks along y and x [px], or a mapping of both, -1 for the whole axis; one date a block.
        Each block reads its own window, and JPEG 2000 is read once a row of its tiles, JPEG and PNG once. A file that
        has changed since the stack was opened raises when it is computed. Without `chunks` all pixels are read at once,
        into NumPy.

    Returns
    -------
    xarray.DataArray
        Pixel values (time, y, x): float32 from integers of up to 16 bits and float32, float64 otherwise. NaN where a
        file has no pixel, no data, a mask, a transparent pixel, an infinite value or a tile never written. Coordinates
        `x`, `y` are pixel centres [m], y in the row order of the files; `time` is UTC, with the time of day where the
        name or the metadata tell it, and of tiles side by side that of the earliest; `scene` is the name of the
        product, or that of the file without suffix. Where all scenes tell them: `platform`, `relative_orbit`, `tile`,
        `level`, `geometry`, a class of processing geometry; of the scene as a whole `sun_azimuth`, `sun_elevation`,
        `view_azimuth`, `view_zenith` [degree], azimuths clockwise from true north; `radiometric_offset` and
        `quantification`, reflectance being (value + radiometric_offset) / quantification. `native_pixel_size` [m] is
        that of each image before it was resampled, where one had another; `spatial_ref` holds the CRS.

    Raises
    ------
    FileNotFoundError
        If a file is missing or nothing matches the pattern.
    OSError
        If a file is no raster or is damaged, or a saved stack or a product is incomplete; for damaged pixels, and files
        that have changed since, when they are read or computed.
    TypeError
        If the pixels are complex numbers.
    ValueError
        If dates, bands or grids are ambiguous or do not fit together, if the images share less than 1 % of their
        ground, if the CRS is not in metres of ground, or if the crop is empty.

    Examples
    --------
    >>> import xoffset
    >>> stack = xoffset.open_stack("scenes/*.SAFE", band="B04", tile="31TGK")  # doctest: +SKIP
    >>> stack = xoffset.open_stack("scenes/*_B04.jp2", bbox=(5e5, 41e5, 51e4, 42e5), chunks=1024)  # doctest: +SKIP
    >>> stack = xoffset.open_stack("photos", date="ortho_%Y.tif", align="cubic")  # doctest: +SKIP
    """
    return open_with_reader(
        source, band=band, tile=tile, orbit=orbit, bbox=bbox, date=date, nodata=nodata, align=align,
        pixel_size=pixel_size, chunks=chunks,
    )[0]  # fmt: skip


def open_with_reader(source: Source, **options: Any) -> tuple[xr.DataArray, tiles.ReadImage | None]:
    """Stack of images as `open_stack` with these options makes it, and what reads a window of all of its dates.

    The reader, read(rows, columns) -> (time, rows, columns), reads files of images and nothing beyond the window. There
    is none for stacks that were saved or opened by others.
    """
    if isinstance(source, str) and source.startswith("file://"):
        source = urllib.request.url2pathname(urlsplit(source).path)
    asked = {name: each.default for name, each in signature(open_stack).parameters.items()} | options
    chunks, align = asked["chunks"], asked["align"]
    _check_arguments(align, asked["pixel_size"])
    other = _of_others(source, asked)
    if other is not None:
        return other, None
    wanted = as_tiles(asked["tile"]), as_orbits(asked["orbit"])
    of_files = {name: asked[name] for name in ("band", "date", "nodata", "pixel_size")}
    layers = choose(*_layers(find(source), **of_files, tile=wanted[0]), *wanted)
    told = {name: asked[name] for name in ("band", "tile", "orbit", "bbox", "nodata", "pixel_size")}
    return stacking.stacked(layers, stacking.Request(align, asked["bbox"], chunks), "open_stack", told)


def _of_others(source: Source, asked: Mapping[str, Any]) -> xr.DataArray | None:
    """Stack that was saved, or that other loaders opened; None of images that are still to be opened."""
    sides = None if asked["chunks"] is None else sides_of(asked["chunks"])
    files = ("align", "pixel_size", "tile", "orbit")
    if saved_stack.is_saved(source) and not is_product(str(source)):
        saved_stack.check_options({name: asked[name] for name in ("date", "nodata", *files)})
        return saved_stack.read(source, band=asked["band"], bbox=asked["bbox"], chunks=sides)  # type: ignore[arg-type]
    if objects.are_loaded(source):
        saved_stack.check_options({name: asked[name] for name in files}, "arrays of another loader")
        options = objects.Options(asked["band"], asked["date"], asked["nodata"], asked["bbox"], sides)
        return objects.read(source, options)
    return None


def _layers(
    places: Sequence[str],
    band: int | str | None,
    date: str | Iterable[Date] | None,
    nodata: float | None,
    pixel_size: float | None,
    tile: Sequence[str] | None,
) -> tuple[list[Layer], list[Layer]]:
    """Images of all places: those of products, which know their dates, and those of raster files."""
    are_products = [is_product(place) for place in places]
    delivered = [place for place, is_one in zip(places, are_products, strict=True) if is_one]
    files = [place for place, is_one in zip(places, are_products, strict=True) if not is_one]
    for name, value in (("date", date), ("pixel_size", pixel_size)):
        if value is not None and not files:
            raise ValueError(
                f"open_stack() needs no {name}= for products, which know it; got {value!r}. Leave it out, or look "
                f"whether {_name_of(places[0])} is what it should be."
            )
    layers = [layer for each in open_all(delivered, tile) for layer in each.layers(band, nodata)]
    if not files:
        return layers, []
    wanted = selection.of_band(files, band)
    if not isinstance(date, str) and isinstance(date, Iterable):
        given = list(date)
        date = [given[k] for k in wanted] if len(given) == len(files) else given
    within = {files[k]: each for k, each in wanted.items()}
    return layers, dated.layers(within, date, nodata, pixel_size)


def _name_of(place: Any) -> str:
    return "the tree" if isinstance(place, xr.DataTree) else Path(place).name


def _check_arguments(align: Align | None, pixel_size: float | None) -> None:
    if align is not None:
        _options.check_name(align, get_args(Align), "align", "open_stack")
    if pixel_size is not None:
        _options.as_positive(pixel_size, "pixel_size", "open_stack", unit="m", example=10.0)
