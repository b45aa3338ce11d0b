"""GeoTIFF export: one cloud-optimised file a variable, north up, with units and dates in its tags."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import gridded, legends, writing
from xoffset.model import grids

# Memory that the rows computed at a time may take, bytes; at least one dask chunk is.
_STRIP_BYTES = 256 * 2**20
# Memory that a block of a file with all its bands may take, bytes: a reader of one band reads all of them.
_BLOCK_BYTES = 32 * 2**20


def to_geotiff(
    dataset: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    variables: str | Sequence[str] | None = None,
    legend: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Cloud-optimised GeoTIFFs for QGIS and GDAL, one `<variable>.tif` for each variable on the grid.

    Files are north-up and west-left whatever the order of the rows and columns, with one band a pair, date or interval,
    ZSTD compression and overviews. Each band says its dates in its description and tags (`reference` and `secondary`,
    or `time`, ISO 8601, UTC), or its year, and its unit; the file says `units`, `long_name` and `processing`. Floats
    have nodata NaN, integers (`flags`, counts) have none. Values that are dates, such as `step_date`, become days since
    1970-01-01, NaN where there is none. Overviews hold means, but of integers, flags, dates and cyclic quantities such
    as `direction` the nearest value. No file is ever left half-written.

    All variables are computed together, a strip of rows at a time, so that lazy data are computed once and need never
    fit in memory. Meanwhile the folder needs room for the uncompressed variables as well.

    Parameters
    ----------
    dataset
        Shifts (pair, y, x), series (time, y, x), rate (y, x), yearly velocities (year, y, x), those of intervals
        (interval, y, x) or anything else with evenly spaced `x` and `y`. Without a CRS the files have none.
    folder
        Where the files go; made if it is not there.
    variables
        Names of the variables to write. None: all that have dims y and x; scalars and the like are passed over.
    legend
        Write a `<variable>.qml` beside each file, which QGIS takes for its colours and its legend: those of the maps of
        `plotting`, from the 0.5th to the 99.5th percentile of the values of all bands; of `flags` one class for each
        value that occurs, named by its bits. It needs the extra `plot`.
    overwrite
        Replace files of these names that are there; otherwise they are refused before anything is computed.

    Returns
    -------
    list of pathlib.Path
        The GeoTIFFs, in the order of the variables.

    Raises
    ------
    TypeError
        If it is no Dataset, or a variable holds neither real numbers nor dates.
    ValueError
        If there are no variables on y and x, a variable is unknown, empty or has more than three dims, or the grid is
        uneven.
    ImportError
        If legends are asked for without matplotlib and cmcrameri.
    FileExistsError
        If the folder is a file, or a file is there already and `overwrite` is not set.
    OSError
        If the files cannot be written, such as on a full disk; nothing is left of them.

    Examples
    --------
    >>> import tempfile
    >>> import xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in xoffset.to_geotiff(truth, folder, variables=["vx", "vy"])]
    ['vx.tif', 'vy.tif']
    """
    target = _options.as_path(folder, "folder", "to_geotiff")
    dataset = gridded.as_gridded(dataset, "to_geotiff")
    names = gridded.names_of(dataset, variables, "to_geotiff")
    dataset = gridded.north_up(gridded.with_days(dataset[names]), "to_geotiff")
    profile = _profile(dataset)
    files = [f"{name}.tif" for name in names]
    if _options.as_switch(legend, "legend", "to_geotiff"):
        legends.check_extra("to_geotiff")
        files += [f"{name}.qml" for name in names]
    is_asked = _options.as_switch(overwrite, "overwrite", "to_geotiff")
    # what GDAL and QGIS made of old files of these names: statistics, masks, overviews
    old = [f"{name}.tif.{suffix}" for name in names for suffix in ("aux.xml", "msk", "ovr")]
    with writing.replaced_all(target, files, overwrite=is_asked, caller="to_geotiff", beside=old) as scratch:
        sums = _write_plain(dataset, scratch, profile)
        with writing.explained(target, "to_geotiff"):
            for name in names:
                _optimise(dataset[name], scratch)
                _check_whole(_finished(name, scratch), _strips(dataset), sums[name])
        if legend:
            for name in names:
                legends.write(dataset[name], _finished(name, scratch))
    return [target / f"{name}.tif" for name in names]


def _profile(dataset: xr.Dataset) -> dict[str, Any]:
    """Options that all files share: size and georeference."""
    from rasterio.crs import CRS
    from rasterio.transform import Affine

    steps = grids.spacing(dataset, "to_geotiff")
    west = float(dataset["x"][0]) - steps.x / 2
    north = float(dataset["y"][0]) - steps.y / 2
    crs = grids.crs_of(dataset)
    return {
        "height": dataset.sizes["y"],
        "width": dataset.sizes["x"],
        "transform": Affine(steps.x, 0.0, west, 0.0, steps.y, north),
        "crs": None if crs is None else CRS.from_wkt(crs.to_wkt()),
    }


def _plain(name: str, scratch: Path) -> Path:
    return scratch / f"{name}.plain.tif"


def _finished(name: str, scratch: Path) -> Path:
    return scratch / f"{name}.tif"


def _write_plain(dataset: xr.Dataset, scratch: Path, profile: dict[str, Any]) -> dict[str, int]:
    """Write plain files strip by strip: the COG driver writes no strips, it only copies a finished file.

    Returns a checksum of the values of each variable.
    """
    import rasterio
    from rasterio.windows import Window

    sums = dict.fromkeys(map(str, dataset.data_vars), 0)
    with contextlib.ExitStack() as opened:
        files = {}
        with writing.explained(scratch.parent, "to_geotiff"):
            for name, data in dataset.data_vars.items():
                options = profile | {"count": data[..., 0, 0].size, "dtype": _dtype(data), "bigtiff": "IF_SAFER"}
                if data.dtype.kind == "f":
                    options["nodata"] = np.nan
                place = _plain(str(name), scratch)
                file = rasterio.open(place, "w", driver="GTiff", interleave="band", **options)
                files[str(name)] = opened.enter_context(file)
                _label(file, data, dataset.attrs)
        for rows in _strips(dataset):
            strip = dataset.isel(y=rows).compute()
            window = Window(0, rows.start, dataset.sizes["x"], rows.stop - rows.start)
            with writing.explained(scratch.parent, "to_geotiff"):
                for name, file in files.items():
                    values = strip[name].values
                    bands = values.reshape(-1, *values.shape[-2:]).astype(_dtype(strip[name]), copy=False)
                    file.write(bands, window=window)
                    sums[name] = zlib.crc32(bands.tobytes(), sums[name])
        with writing.explained(scratch.parent, "to_geotiff"):
            for file in files.values():
                file.close()
    return sums


def _check_whole(path: Path, strips: Iterator[slice], expected: int) -> None:
    """Refuse a file that does not hold what was written: of a full disk GDAL does not always tell."""
    import rasterio
    from rasterio.windows import Window

    with rasterio.open(path) as file:
        found = 0
        for rows in strips:
            bands = file.read(window=Window(0, rows.start, file.width, rows.stop - rows.start))
            found = zlib.crc32(bands.tobytes(), found)
        levels = len(file.overviews(1))
    if found != expected:
        raise OSError(f"other values in {path.name} than were written")
    for level in range(levels):
        with rasterio.open(path, overview_level=level) as file:
            for band in file.indexes:
                file.read(band)


def _dtype(data: xr.DataArray) -> str:
    """Type in the file: GeoTIFF has neither booleans nor half floats, and rasterio wants the native byte order."""
    return {"bool": "uint8", "float16": "float32"}.get(data.dtype.name, data.dtype.name)


def _label(file: Any, data: xr.DataArray, provenance: Mapping[Hashable, Any]) -> None:
    names = ("units", "long_name", "flag_masks", "flag_meanings")
    about = dict(provenance) | {name: data.attrs[name] for name in names if name in data.attrs}
    texts = {str(name): gridded.text_of(value) for name, value in about.items()}
    file.update_tags(**(texts | {"AREA_OR_POINT": "Area"}))
    file.units = [texts.get("units", "")] * file.count
    for band, (description, tags) in enumerate(_bands(data), start=1):
        file.set_band_description(band, description)
        file.update_tags(band, **tags)


def _bands(data: xr.DataArray) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield description and tags of each band."""
    if data.ndim == 2:
        name = str(data.attrs.get("long_name", data.name))
        told = [label for label in gridded.LABELS if label in data.coords and not data[label].ndim]
        tags = {label: gridded.text_of(data[label].values[()]) for label in told}
        yield f"{name}, {'/'.join(tags.values())}" if tags else name, tags
        return
    dim = str(data.dims[0])
    along = {str(name): each.values for name, each in data.coords.items() if each.dims == (dim,)}
    for band in range(data.sizes[dim]):
        tags = {name: gridded.text_of(values[band]) for name, values in along.items()}
        yield "/".join(tags[label] for label in gridded.LABELS if label in tags) or tags.get(dim, f"{dim} {band}"), tags


def _strips(dataset: xr.Dataset) -> Iterator[slice]:
    """Rows to compute together: whole dask chunks, as many as the memory limit allows and at least one."""
    rows = dataset.unify_chunks().chunksizes.get("y", (1,) * dataset.sizes["y"])
    row_bytes = sum(data.nbytes for data in dataset.data_vars.values()) / dataset.sizes["y"]
    start = stop = 0
    for count in rows:
        if stop > start and (stop + count - start) * row_bytes > _STRIP_BYTES:
            yield slice(start, stop)
            start = stop
        stop += count
    yield slice(start, stop)


def _optimise(data: xr.DataArray, scratch: Path) -> None:
    """Turn the plain file of a variable into a cloud-optimised one."""
    import rasterio.shutil

    plain = _plain(str(data.name), scratch)
    rasterio.shutil.copy(
        plain,
        _finished(str(data.name), scratch),
        driver="COG",
        compress="ZSTD",
        predictor="FLOATING_POINT" if data.dtype.kind == "f" else "STANDARD",
        overview_resampling="AVERAGE" if gridded.has_mean(data) else "NEAREST",
        bigtiff="IF_SAFER",
        **_layout(data),
    )
    plain.unlink()


def _layout(data: xr.DataArray) -> dict[str, Any]:
    """Blocks that a reader of one band can afford: by band where GDAL can, else smaller the more bands they hold."""
    from rasterio.env import GDALVersion

    if GDALVersion.runtime().at_least("3.11"):
        return {"blocksize": 512, "interleave": "BAND"}
    pixel_bytes = data.dtype.itemsize * (data.shape[0] if data.ndim == 3 else 1)
    block = 512
    while block > 64 and block**2 * pixel_bytes > _BLOCK_BYTES:
        block //= 2
    return {"blocksize": block}
