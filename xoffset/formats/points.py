"""Points with a velocity and a column a date, as InSAR Explorer in QGIS reads them: GeoPackage, shapefile or CSV."""

from __future__ import annotations

import importlib
import math
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset.formats import geometries, gridded, writing
from xoffset.model import checks, grids
from xoffset.model.dates import as_dates
from xoffset.model.points import are_points

# Files of a shapefile, and how many columns its table can have.
_SHAPEFILE = (".shp", ".dbf", ".shx", ".prj", ".cpg")
_MOST_COLUMNS = 255
# Files that programs make beside a shapefile: an old index is of other points.
_INDICES = (".qix", ".sbn", ".sbx", ".qpj")
_DRIVERS = {".gpkg": "GPKG", ".shp": "ESRI Shapefile"}


class Component(NamedTuple):
    """Motion along one direction at the points that are known."""

    name: str
    displacement: np.ndarray  # (time, point) [m]
    velocity: np.ndarray  # (point,) [m yr-1]
    sigma: np.ndarray  # (point,) [m yr-1]


def write(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    rate: xr.Dataset | None = None,
    azimuth: float | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Points whose columns are a velocity and the displacement at each date, for time series in a GIS.

    Each point has `id`, `velocity` and `sigma`, its standard error, both in m yr-1, and a column `DYYYYMMDD` for each
    date: the displacement in metres since the reference date, empty where it is unknown. Points without any value are
    left out. As such a table holds one component, there is one for x, `dx`, and one for y, `dy`: two layers of a
    GeoPackage, or two files whose names end in `_dx` and `_dy`. Both products are computed as a whole.

    Parameters
    ----------
    dataset
        Series (time, y, x) or (time, point); or a rate (y, x) or (point), by which there are no columns of dates.
    path
        File with the suffix ".gpkg", ".shp" or ".csv". A CSV has the columns `x`, `y` in metres and, if there is a CRS,
        `longitude`, `latitude` in degrees; the first line names them.
    rate
        Velocity of a series on the same grid, as `velocity` gives it.
    azimuth
        Direction in degrees clockwise from grid north. Then there is one table, of the motion along it. None: one along
        x and one along y.
    overwrite
        Replace files that are there, as a whole.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    TypeError
        If it is no Dataset.
    ValueError
        If it is neither a series nor a rate, `rate` is missing or on another grid, two dates are of one day, the suffix
        is none of these, nothing is known, or a shapefile would have more than 255 columns.
    ImportError
        If pyogrio is not installed, which CSV does without.
    FileExistsError
        If there is a file and it may not be replaced.
    OSError
        If it cannot be written; nothing is left of it then.

    Examples
    --------
    >>> import tempfile
    >>> import xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((32, 32))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.points.write(truth[["vx", "vy"]], f"{folder}/velocity.csv", azimuth=90.0)
    ...     files[0].read_text().splitlines()[0]
    'id,x,y,longitude,latitude,velocity,sigma'
    """
    target = _options.as_path(path, "path", "points.write")
    replace = _options.as_switch(overwrite, "overwrite", "points.write")
    suffix = target.suffix.lower()
    _options.check_name(suffix, (*_DRIVERS, ".csv"), "a path that ends in", "points.write")
    series, velocity = _checked(dataset, rate)
    days = _days(series)
    if suffix == ".shp" and len(days) + 3 > _MOST_COLUMNS:
        raise ValueError(
            f"points.write() needs at most {_MOST_COLUMNS - 3} dates for a shapefile; got {len(days)}. "
            "Write a GeoPackage: path='points.gpkg'."
        )
    x, y = _places(velocity)
    found = _components(series, velocity, azimuth)
    is_known = np.any([_is_known(each) for each in found], axis=0)
    if not is_known.any():
        raise ValueError("points.write() needs a point with a value; got none. Check the flags: offset.flag_summary().")
    crs = grids.crs_of(velocity)
    tables = {each.name: _table(each, days, is_known) for each in found}
    if suffix == ".csv":
        where = _where(velocity, x[is_known], y[is_known])
        return _write_csv(target, {name: _with_places(table, where) for name, table in tables.items()}, replace)
    places = geometries.points(x[is_known], y[is_known])
    return _write_vectors(target, tables, places, None if crs is None else crs.to_wkt(), replace)


def _checked(dataset: xr.Dataset, rate: xr.Dataset | None) -> tuple[xr.Dataset | None, xr.Dataset]:
    """Series, if there is one, and rate, on one grid."""
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"points.write() needs a Dataset; got {type(dataset).__name__}. Pass a series or a rate.")
    data = gridded.decoded(dataset, "points.write")
    if {"vx", "vy"} <= set(data.data_vars) and "time" not in data["vx"].dims:
        return None, _on_places(data, ("vx", "vy"), ())
    if not {"dx", "dy"} <= set(data.data_vars) or data["dx"].dims[:1] != ("time",):
        raise ValueError(
            f"points.write() needs a series (time, y, x) or a rate (y, x); got variables {list(map(str, data))} with "
            f"dims {tuple(data.dims)}. Pass the result of invert() or velocity()."
        )
    if not isinstance(rate, xr.Dataset) or not {"vx", "vy"} <= set(rate.data_vars):
        came = "none" if rate is None else type(rate).__name__
        raise ValueError(
            f"points.write() needs the velocity of the series as rate; got {came}. Pass rate=series.offset.velocity()."
        )
    checks.check_times(data["time"], "points.write")
    data = checks.without_islands(data, "points.write")
    velocity = gridded.decoded(rate, "points.write")
    if velocity["vx"].dims != data["dx"].dims[1:] or not grids.is_same(velocity, data):
        raise ValueError(
            "points.write() needs series and rate on one grid; got others. Pass rate=series.offset.velocity()."
        )
    return _on_places(data, ("dx", "dy"), ("time",)), _on_places(velocity, ("vx", "vy"), ())


def _on_places(data: xr.Dataset, names: tuple[str, str], before: tuple[str, ...]) -> xr.Dataset:
    """Product whose components have these dims before those of the places."""
    dims = ("point",) if are_points(data) else ("y", "x")
    for name in names:
        if set(data[name].dims) != {*before, *dims}:
            raise ValueError(
                f"points.write() needs dims {(*before, *dims)}; got {data[name].dims} in '{name}'. "
                "Select along the others: dataset.isel(...)."
            )
    return data.transpose(*before, *dims, missing_dims="ignore").transpose(*before, ...) if before else data


def _days(series: xr.Dataset | None) -> list[str]:
    """Names of the columns of the dates."""
    if series is None:
        return []
    days = np.datetime_as_string(as_dates(series["time"].values), unit="D")
    names = [f"D{day.replace('-', '')}" for day in days]
    twice = sorted({day for day, name in zip(days, names, strict=True) if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"points.write() needs one date a day, which names its column; got several of {twice[0]}. "
            "Keep one: series.isel(time=[...])."
        )
    return names


def _places(data: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the points, row by row of a grid."""
    x, y = (np.asarray(data[name].values, dtype=np.float64) for name in ("x", "y"))
    if are_points(data):
        return x, y
    columns, rows = np.meshgrid(x, y)
    return columns.ravel(), rows.ravel()


def _components(series: xr.Dataset | None, rate: xr.Dataset, azimuth: float | None) -> list[Component]:
    if azimuth is None:
        turns = {"dx": (1.0, 0.0), "dy": (0.0, 1.0)}
    else:
        angle = math.radians(_options.as_azimuth(azimuth, "azimuth", "points.write"))
        turns = {"along": (math.sin(angle), math.cos(angle))}
    v = [_values(rate, name) for name in ("vx", "vy", "sigma_vx", "sigma_vy", "cov_vxvy")]
    d = [np.empty((0, v[0].size))] * 2 if series is None else [_values(series, name) for name in ("dx", "dy")]
    covariance = np.where(np.isnan(v[4]), 0.0, v[4])
    found = []
    for name, (east, north) in turns.items():
        # a component that has no part must not spread its gaps
        variance = _sum(v[2] ** 2, v[3] ** 2, east**2, north**2) + 2.0 * east * north * covariance
        found.append(
            Component(
                name, _sum(d[0], d[1], east, north), _sum(v[0], v[1], east, north), np.sqrt(np.maximum(variance, 0.0))
            )
        )
    return found


def _sum(first: np.ndarray, second: np.ndarray, a: float, b: float) -> np.ndarray:
    """Weighted sum of two arrays; one whose weight is zero has no say."""
    return a * first if b == 0.0 else b * second if a == 0.0 else a * first + b * second


def _values(data: xr.Dataset, name: str) -> np.ndarray:
    """Values (..., point) of a variable, NaN if it is not there."""
    dims = ("point",) if are_points(data) else ("y", "x")
    if name not in data:
        return np.full(math.prod(data.sizes[dim] for dim in dims), np.nan)
    values = np.asarray(data[name].transpose(..., *dims).values, dtype=np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    return values.reshape(*values.shape[: values.ndim - len(dims)], -1)


def _is_known(component: Component) -> np.ndarray:
    return np.asarray(~np.isnan(component.velocity) | (~np.isnan(component.displacement)).any(axis=0))


def _table(component: Component, days: list[str], is_known: np.ndarray) -> dict[str, np.ndarray]:
    columns = {"id": np.flatnonzero(is_known).astype(np.int64)}
    columns |= {"velocity": component.velocity[is_known], "sigma": component.sigma[is_known]}
    return columns | dict(zip(days, component.displacement[:, is_known], strict=True))


def _where(data: xr.Dataset, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    places = {"x": x, "y": y}
    if grids.crs_of(data) is None:
        return places
    longitude, latitude = gridded.to_wgs84(data, x, y)
    return places | {"longitude": longitude.round(9), "latitude": latitude.round(9)}


def _with_places(table: dict[str, np.ndarray], where: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"id": table["id"]} | where | {name: values for name, values in table.items() if name != "id"}


def _write_csv(target: Path, tables: dict[str, dict[str, np.ndarray]], overwrite: bool) -> list[Path]:
    files = _files(target, tables)
    names = [file.name for file in files.values()]
    with writing.replaced_all(target.parent, names, overwrite=overwrite, caller="points.write") as scratch:
        for name, table in tables.items():
            pd.DataFrame(table).to_csv(scratch / files[name].name, index=False)
    return list(files.values())


def _files(target: Path, tables: dict[str, Any]) -> dict[str, Path]:
    """File of each table: that of the target if there is one table."""
    return {
        name: target if len(tables) == 1 else target.with_name(f"{target.stem}_{name}{target.suffix}")
        for name in tables
    }


def _write_vectors(
    target: Path, tables: dict[str, dict[str, np.ndarray]], places: np.ndarray, crs: str | None, overwrite: bool
) -> list[Path]:
    suffix = target.suffix.lower()
    files = dict.fromkeys(tables, target) if suffix == ".gpkg" else _files(target, tables)
    paths = list(dict.fromkeys(files.values()))
    is_shapefile = suffix == ".shp"
    parts = [each for each in _SHAPEFILE if crs is not None or each != ".prj"] if is_shapefile else [suffix]
    others = (".prj", *_INDICES) if is_shapefile else ()
    names = [path.with_suffix(each).name for path in paths for each in parts]
    old = [path.with_suffix(each).name for path in paths for each in others if each not in parts]
    raw = _pyogrio()
    with (
        warnings.catch_warnings(),
        writing.replaced_all(target.parent, names, overwrite=overwrite, caller="points.write", beside=old) as scratch,
        writing.explained(target.parent, "points.write"),
    ):
        warnings.filterwarnings("ignore", "'crs' was not provided")  # local metres have none
        for name, table in tables.items():
            raw.write(
                scratch / files[name].with_suffix(suffix).name,
                geometry=places,
                field_data=list(table.values()),
                fields=np.array(list(table), dtype=object),
                field_mask=[np.isnan(values) if values.dtype.kind == "f" else None for values in table.values()],
                layer=name if suffix == ".gpkg" else files[name].stem,
                driver=_DRIVERS[suffix],
                geometry_type="Point",
                crs=crs,
                append=suffix == ".gpkg" and (scratch / files[name].name).exists(),
            )
    return paths


def _pyogrio() -> Any:
    try:
        return importlib.import_module("pyogrio.raw")
    except ImportError as error:
        raise ImportError(
            f"points.write() needs pyogrio for this file; got '{error}'. Install it, pip install 'xoffset[vector]', "
            "or write a CSV file: path='points.csv'."
        ) from error
