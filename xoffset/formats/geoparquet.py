"""GeoParquet 1.1 of profiles and trajectories: tables for many features, in their own CRS."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import features, geometries, writing
from xoffset.model import grids
from xoffset.model.dates import as_dates


def write(dataset: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """GeoParquet file of a profile or of trajectories.

    The rows and columns are those of `formats.geojson.write`: a point a sample of a profile, a line a trajectory, whose
    columns are lists with one value a vertex. The geometry is in the CRS of the product, in metres; what is unknown is
    null; dates are timestamps in UTC.

    Parameters
    ----------
    dataset
        Profile (..., distance) or trajectories (point, time), with a CRS.
    path
        File to write, such as "profile.parquet".
    overwrite
        Replace a file that is there, as a whole.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TypeError
        If it is no Dataset.
    ValueError
        If it is neither a profile nor trajectories, or has no CRS.
    ImportError
        If pyarrow is not installed.
    FileExistsError
        If there is a file and it may not be replaced.
    OSError
        If it cannot be written; nothing is left of it then.
    """
    target = _options.as_path(path, "path", "geoparquet.write")
    replace = _options.as_switch(overwrite, "overwrite", "geoparquet.write")
    arrow, parquet = _pyarrow()
    data, found = features.of(dataset, "geoparquet.write")
    if found.kind == "Point":
        every = np.concatenate(found.vertices)
        shapes: Any = list(geometries.points(every[:, 0], every[:, 1]))
    else:
        shapes = geometries.lines(found.vertices)
    columns = {"geometry": arrow.array(shapes, arrow.binary())}
    columns |= {name: _column(arrow, values) for name, values in found.columns.items()}
    about = {
        "geo": json.dumps(_geo(data, found)),
        "units": json.dumps({str(name): str(each.attrs.get("units", "")) for name, each in data.variables.items()}),
        "processing": str(data.attrs.get("processing", "[]")),
    }
    with writing.replaced(target, overwrite=replace, caller="geoparquet.write") as scratch:
        parquet.write_table(arrow.table(columns).replace_schema_metadata(about), scratch, compression="zstd")
    return target


def _pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError(
            f"geoparquet.write() needs pyarrow; got '{error}'. Install it, pip install 'xoffset[parquet]', or write "
            "formats.geojson.write(...)."
        ) from error


def _column(arrow: Any, values: Any) -> Any:
    """Arrow array of one value a feature, or of a list a feature."""
    if isinstance(values, np.ndarray):
        return arrow.array(*_typed(arrow, values), from_pandas=True)
    lists = [_column(arrow, each) for each in values]
    kind = lists[0].type if lists else arrow.float64()
    return arrow.array([each.to_pylist() for each in lists], arrow.list_(kind))


def _typed(arrow: Any, values: np.ndarray) -> tuple[np.ndarray, Any]:
    if values.dtype.kind == "M":
        return as_dates(values), arrow.timestamp("us", tz="UTC")
    return values, arrow.string() if values.dtype.kind in "OTU" else None


def _geo(data: xr.Dataset, found: features.Features) -> dict[str, Any]:
    crs = grids.crs_of(data)
    assert crs is not None
    every = np.concatenate([*found.vertices, np.empty((0, 2))])
    every = every[np.isfinite(every).all(axis=1)]
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": [found.kind], "crs": crs.to_json_dict()}
    if len(every):
        column["bbox"] = [*every.min(axis=0).tolist(), *every.max(axis=0).tolist()]
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
