"""STAC items: what a product is, where and when, and the files that hold it, for catalogues."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import gridded, writing
from xoffset.model import grids
from xoffset.model.dates import Date, as_dates, as_instant

_EXTENSION = "https://stac-extensions.github.io/{}/schema.json"
# Media types and roles by the suffix of a file.
_TYPES = {
    ".tif": ("image/tiff; application=geotiff; profile=cloud-optimized", "data"),
    ".nc": ("application/x-netcdf", "data"),
    ".zarr": ("application/vnd+zarr", "data"),
    ".parquet": ("application/vnd.apache.parquet", "data"),
    ".gpkg": ("application/geopackage+sqlite3", "data"),
    ".geojson": ("application/geo+json", "data"),
    ".csv": ("text/csv", "data"),
    ".kmz": ("application/vnd.google-earth.kmz", "visual"),
    ".png": ("image/png", "overview"),
    ".qml": ("application/xml", "metadata"),
    ".json": ("application/json", "metadata"),
}
# Vertices of an edge of the footprint.
_EDGE = 9
_DECIMALS = 8


def write(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    assets: Mapping[str, str | os.PathLike[str]],
    start: Date | None = None,
    end: Date | None = None,
    properties: Mapping[str, str | float | bool | list[str]] | None = None,
    overwrite: bool = False,
) -> Path:
    """STAC item 1.1.0 of a product and of the files that it was written to.

    It tells the footprint (WGS 84), the grid and CRS (extension projection), the first and the last date, and the
    version of the software (extension processing); of a GeoTIFF its bands with their names, units and types, of a Zarr
    store or a netCDF file the dims and variables (extension datacube). `datetime` is the middle of the two dates. Files
    in the folder of the item or below are told by relative paths, others as they are given. There is no time stamp, so
    that the same product gives the same item: `properties={"created": ...}` adds one.

    Parameters
    ----------
    dataset
        Product on a grid, with a CRS.
    path
        File to write, such as "velocity.json"; its name without the suffix is the `id` of the item.
    assets
        Name -> file or store: `{"vx": "velocity/vx.tif", "cube": "velocity.zarr"}`; or URL, which is not looked into.
    start, end
        First and last date of the images. None: those of `reference` and `secondary`, of `time`, or of the variables
        `first` and `last` of a rate.
    properties
        More properties, such as `platform` or `title`.
    overwrite
        Replace a file that is there, as a whole.

    Returns
    -------
    pathlib.Path
        The item.

    Raises
    ------
    TypeError
        If it is no Dataset, or assets are no mapping of names to paths.
    ValueError
        If the product has no grid, no CRS or no dates, the dates are reversed, or the footprint holds a pole or crosses
        the antimeridian.
    FileNotFoundError
        If a file of the assets is not there.
    FileExistsError
        If there is a file and it may not be replaced.
    OSError
        If it cannot be written; nothing is left of it then.

    Examples
    --------
    >>> import json, tempfile
    >>> import xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((32, 32))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.to_geotiff(truth, folder, variables=["vx"])
    ...     path = xoffset.formats.stac.write(truth, f"{folder}/velocity.json", assets={"vx": files[0]})
    ...     json.loads(path.read_text())["assets"]["vx"]["href"]
    './vx.tif'
    """
    target = _options.as_path(path, "path", "stac.write")
    replace = _options.as_switch(overwrite, "overwrite", "stac.write")
    data = gridded.north_up(gridded.as_gridded(dataset, "stac.write"), "stac.write")
    gridded.check_has_crs(data, "stac.write", "catalogues tell where things are")
    first, last = _dates(data, start, end)
    ring = _footprint(data)
    described = {name: _asset(name, place, target.parent, data) for name, place in _checked(assets).items()}
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": _extensions(described),
        "id": target.stem,
        "geometry": {"type": "Polygon", "coordinates": [ring.tolist()]},
        "bbox": [*ring.min(axis=0).tolist(), *ring.max(axis=0).tolist()],
        "properties": _properties(data, first, last) | dict(properties or {}),
        "links": [],
        "assets": described,
    }
    with writing.replaced(target, overwrite=replace, caller="stac.write") as scratch:
        scratch.write_text(json.dumps(item, indent=2, allow_nan=False), encoding="utf-8")
    return target


def _dates(data: xr.Dataset, start: Date | None, end: Date | None) -> tuple[np.datetime64, np.datetime64]:
    """First and last date of a product."""
    found = []
    for name in ("reference", "secondary", "time", "first", "last"):
        if name in data and data[name].dtype.kind == "M":
            values = as_dates(np.ravel(data[name].values))
            found.append(values[~np.isnat(values)])
    every = np.concatenate([*found, np.empty(0, "M8[us]")])
    if (start is None or end is None) and not every.size:
        raise ValueError(
            "stac.write() needs the first and the last date of a product; got none in its coordinates. "
            "Give them: start='2019-07-01', end='2021-08-15'."
        )
    first = every.min() if start is None else as_instant(start, "start", "stac.write")
    last = every.max() if end is None else as_instant(end, "end", "stac.write")
    if first > last:
        raise ValueError(f"stac.write() needs start before end; got {first} and {last}. Exchange the two.")
    return np.datetime64(first), np.datetime64(last)


def _footprint(data: xr.Dataset) -> np.ndarray:
    """Outline of the grid (vertex, 2), counterclockwise, in degrees of longitude and latitude."""
    west, south, east, north = gridded.bounds_of(data, "stac.write")
    share = np.linspace(0.0, 1.0, _EDGE)[:-1]
    x = np.concatenate([west + share * (east - west), np.full(_EDGE - 1, east)])
    y = np.concatenate([np.full(_EDGE - 1, south), south + share * (north - south)])
    x = np.concatenate([x, west + east - x, x[:1]])
    y = np.concatenate([y, south + north - y, y[:1]])
    ring = np.stack(gridded.to_wgs84(data, x, y), axis=1).round(_DECIMALS)
    if not np.isfinite(ring).all() or np.abs(np.diff(ring[:, 0])).max() > 180.0:
        raise ValueError(
            "stac.write() needs a footprint that neither holds a pole nor crosses the antimeridian; got "
            f"x from {west:.0f} to {east:.0f} m and y from {south:.0f} to {north:.0f} m in "
            f"{grids.name_of(grids.crs_of(data))}. Cut the product in two."
        )
    return ring


def _properties(data: xr.Dataset, first: np.datetime64, last: np.datetime64) -> dict[str, Any]:
    crs = grids.crs_of(data)
    assert crs is not None
    code = crs.to_authority()
    middle = first + (last - first) // 2
    return {
        "datetime": _utc(middle),
        "start_datetime": _utc(first),
        "end_datetime": _utc(last),
        "proj:code": ":".join(code) if code else None,
        **({} if code else {"proj:wkt2": crs.to_wkt()}),
        "proj:shape": [data.sizes["y"], data.sizes["x"]],
        "proj:transform": list(gridded.transform_of(data, "stac.write")),
        "processing:software": {"xoffset": version("xoffset")},
        "processing:lineage": str(data.attrs.get("processing", "[]")),
    }


def _utc(date: np.datetime64) -> str:
    return f"{gridded.text_of(date)}Z"


def _checked(assets: object) -> dict[str, str]:
    is_known = isinstance(assets, Mapping) and all(
        isinstance(name, str) and isinstance(place, (str, os.PathLike)) for name, place in assets.items()
    )
    if not is_known or not isinstance(assets, Mapping) or not assets:
        raise TypeError(
            f"stac.write() needs names and paths as assets; got {assets!r}. Pass assets={{'vx': 'velocity/vx.tif'}}."
        )
    return {name: os.fspath(place) for name, place in assets.items()}


def _asset(name: str, place: str, folder: Path, data: xr.Dataset) -> dict[str, Any]:
    suffix = Path(place).suffix.lower()
    kind, role = _TYPES.get(suffix, ("application/octet-stream", "data"))
    asset: dict[str, Any] = {"href": place, "type": kind, "roles": [role], "title": name}
    if "://" in place:
        return asset
    file = Path(place)
    if not file.exists():
        raise FileNotFoundError(
            f"stac.write() needs the files of the assets; got none at {place} for {name!r}. Write it first."
        )
    if file.resolve().is_relative_to(folder.resolve()):
        asset["href"] = f"./{file.resolve().relative_to(folder.resolve()).as_posix()}"
    if suffix == ".tif":
        asset["bands"] = _bands(file)
    elif suffix in (".nc", ".zarr"):
        asset |= _cube(data)
    return asset


def _bands(file: Path) -> list[dict[str, Any]]:
    import rasterio

    with rasterio.open(file) as opened:
        return [
            {
                "name": description or str(band),
                "data_type": kind,
                **({"unit": unit} if unit else {}),
                **({} if fill is None else {"nodata": "nan" if np.isnan(fill) else fill}),
            }
            for band, description, kind, unit, fill in zip(
                opened.indexes, opened.descriptions, opened.dtypes, opened.units, opened.nodatavals, strict=True
            )
        ]


def _cube(data: xr.Dataset) -> dict[str, Any]:
    """Dims and variables, by the extension datacube."""
    crs = grids.crs_of(data)
    assert crs is not None
    west, south, east, north = gridded.bounds_of(data, "stac.write")
    system = crs.to_epsg() or crs.to_wkt()
    dims: dict[str, Any] = {
        "x": {"type": "spatial", "axis": "x", "extent": [west, east], "reference_system": system},
        "y": {"type": "spatial", "axis": "y", "extent": [south, north], "reference_system": system},
    }
    for dim in map(str, data.dims):
        if dim in dims:
            continue
        if dim == "time" and "time" in data.coords:
            dates = [_utc(date) for date in as_dates(data["time"].values)]
            dims["time"] = {"type": "temporal", "extent": [dates[0], dates[-1]], "values": dates}
        else:
            dims[dim] = {"type": "count", "extent": [0, data.sizes[dim] - 1]}
    variables = {
        str(name): {
            "dimensions": list(map(str, field.dims)),
            "type": "data",
            "description": str(field.attrs.get("long_name", name)),
            **({"unit": str(field.attrs["units"])} if "units" in field.attrs else {}),
        }
        for name, field in data.data_vars.items()
    }
    return {"cube:dimensions": dims, "cube:variables": variables}


def _extensions(assets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names = ["projection/v2.0.0", "processing/v1.2.0"]
    if any("cube:dimensions" in asset for asset in assets.values()):
        names.append("datacube/v2.2.0")
    return [_EXTENSION.format(name) for name in names]
