"""What was measured on the ground, of tables and of products at points, as one row a measurement."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset.model import grids
from xoffset.model.dates import as_dates, as_instants, in_years
from xoffset.model.declared import with_decoded
from xoffset.model.points import are_points
from xoffset.motion.ground import ground

Names = tuple[str, str]
# Components by the axes that they are along.
_TRUE: tuple[Names, ...] = (("v_east", "v_north"), ("d_east", "d_north"))
_GRID: tuple[Names, ...] = (("vx", "vy"), ("dx", "dy"))
_DATES = ("reference", "secondary")


class Measured(NamedTuple):
    """Measurements (point,) toward true east and north, NaN where unknown, at places in the CRS of the dataset."""

    x: np.ndarray
    y: np.ndarray
    east: np.ndarray
    north: np.ndarray
    sigma_east: np.ndarray
    sigma_north: np.ndarray
    reference: np.ndarray | None = None
    secondary: np.ndarray | None = None
    name: np.ndarray | None = None


def measured(table: Any, data: xr.Dataset, *, axes: str, is_rate: bool) -> Measured:
    """Measurements of a table, as velocities or as displacements, after checking that it has them."""
    if isinstance(table, pd.DataFrame):
        points, names = _of_rows(table, data, axes)
    elif isinstance(table, xr.Dataset):
        points, names = _of_product(table, data, axes)
    else:
        raise TypeError(
            f"compare() needs a DataFrame, or the result of from_table(..., layout='points'), as table; got "
            f"{type(table).__name__}. Read a file first: pandas.read_csv(...)."
        )
    if axes == "grid":
        with _options.speaking_as("compare", "ground"):
            points = ground(points)
        names = _TRUE[_GRID.index(names)]
    found = _in_crs_of(data, _flat(points, names), points)
    if not (np.isfinite(found.east) & np.isfinite(found.north)).any():
        raise ValueError(
            f"compare() needs at least one measurement in the table; got {found.east.size} of which none is known. "
            "Check the selection, and the columns."
        )
    return _of_kind(found, is_velocity=names[0].startswith("v"), is_rate=is_rate, is_series="time" in data.dims)


# -------------------------------------------------------------------------------------------------------------- tables


def _of_rows(rows: pd.DataFrame, data: xr.Dataset, axes: str) -> tuple[xr.Dataset, Names]:
    """Product (point,) of a table, in the CRS of the dataset, and the names of its components."""
    columns = list(map(str, rows.columns))
    wanted = _TRUE if axes == "true" else _GRID
    names = next((pair for pair in wanted if set(pair) <= set(columns)), None)
    if names is None:
        listed = " or ".join(" and ".join(pair) for pair in wanted)
        raise ValueError(
            f"compare() needs columns {listed} in the table, for axes={axes!r}; got {', '.join(columns[:20])}. Rename "
            "them: table.rename(columns={'ve': 'v_east', ...})."
        )
    errors = [f"sigma_{name}" for name in names]
    fields = {name: ("point", _numbers(rows, name)) for name in (*names, *errors) if name in columns}
    coords: dict[str, Any] = dict(zip(("x", "y"), (("point", each) for each in _places(rows, data)), strict=True))
    if set(_DATES) <= set(columns):
        coords |= {name: ("point", _dates(rows, name)) for name in _DATES}
    if "name" in columns:
        coords["name"] = ("point", np.array([str(each) for each in rows["name"]]))
    return grids.with_crs(xr.Dataset(fields, coords).assign_coords(spatial_ref=spatial_ref_of(data))), names


def spatial_ref_of(data: xr.Dataset) -> xr.Variable:
    """Coordinate that holds the CRS of a dataset that has one."""
    crs = grids.crs_of(data)
    assert crs is not None
    return grids.spatial_ref(crs)


def _places(rows: pd.DataFrame, data: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Places x and y of rows in the CRS of the dataset."""
    if {"x", "y"} <= set(rows.columns):
        return _numbers(rows, "x"), _numbers(rows, "y")
    if not {"longitude", "latitude"} <= set(rows.columns):
        raise ValueError(
            "compare() needs columns x and y [m], or longitude and latitude [degrees], in the table; got "
            f"{', '.join(map(str, rows.columns[:20]))}. Rename them: table.rename(columns={{'lon': 'longitude', ...}})."
        )
    import pyproj

    transformer = pyproj.Transformer.from_crs("EPSG:4326", grids.crs_of(data), always_xy=True)
    x, y = transformer.transform(_numbers(rows, "longitude"), _numbers(rows, "latitude"))
    return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)


def _numbers(rows: pd.DataFrame, name: str) -> np.ndarray:
    """Column as float64, NaN where it is empty."""
    try:
        return np.asarray(pd.to_numeric(rows[name]).to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"compare() needs one column of numbers called {name!r} in the table; got dtype "
            f"{getattr(rows[name], 'dtype', 'of several')}: {str(error)[:80]}. Convert it: pandas.to_numeric(...)."
        ) from error


def _dates(rows: pd.DataFrame, name: str) -> np.ndarray:
    """Dates of a column as datetime64[us], UTC."""
    found = as_instants(rows[name])
    wrong = np.flatnonzero(np.isnat(found))
    if wrong.size:
        raise ValueError(
            f"compare() needs dates in ISO 8601 in {name!r} of the table; got {rows[name].iloc[wrong[0]]!r} in row "
            f"{wrong[0]}, counted from 0. Convert: pandas.to_datetime(table[{name!r}], format=...)."
        )
    return found


def _of_product(table: xr.Dataset, data: xr.Dataset, axes: str) -> tuple[xr.Dataset, Names]:
    """Product (..., point) of one at points or on the nodes of a grid, and the names of its components."""
    # from_table() calls the two columns dx and dy whatever they are along
    wanted = (*_TRUE, ("dx", "dy")) if axes == "true" else _GRID
    names = next((pair for pair in wanted if set(pair) <= set(table.data_vars)), None)
    if names is None:
        listed = ", or ".join(" and ".join(pair) for pair in wanted)
        raise ValueError(
            f"compare() needs {listed} in the table, for axes={axes!r}; got {sorted(map(str, table.data_vars))}. Use "
            "the result of from_table(); pass axes='grid' for what is along the axes of a grid."
        )
    if {"y", "x"} <= set(table[names[0]].dims):
        table = table.stack(point=("y", "x")).reset_index("point")
    if not are_points(table):
        raise ValueError(
            f"compare() needs a table of points with coordinates x and y; got dims {table[names[0]].dims}. Read it "
            "with from_table(..., layout='points')."
        )
    if grids.crs_of(table) is None:
        table = table.assign_coords(spatial_ref=spatial_ref_of(data))
    return with_decoded(grids.with_crs(table), "compare"), names


# ---------------------------------------------------------------------------------------------------------- one by one


def _flat(points: xr.Dataset, names: Names) -> Measured:
    """One row for each pair and point of a product, without those of several pairs that have no value."""
    values = [points[name].transpose(..., "point") for name in names]
    errors = [points[f"sigma_{name}"] if f"sigma_{name}" in points else values[0] * np.nan for name in names]
    own = [name for name in ("x", "y", *_DATES, "name") if name in points.coords]
    fields = xr.broadcast(*values, *(each.transpose(..., "point") for each in errors), *(points[name] for name in own))
    rows = [np.ravel(each.transpose(*values[0].dims).values) for each in fields]
    # points that a pair did not measure are no rows
    here = np.isfinite(rows[0].astype(np.float64)) if values[0].ndim > 1 else np.ones(rows[0].size, dtype=np.bool_)
    rows = [row[here] for row in rows]
    named = dict(zip(own, rows[4:], strict=True))
    numbers = [row.astype(np.float64) for row in rows[:4]]
    reference, secondary = (as_dates(named[name]) if name in named else None for name in _DATES)
    x, y = (named[name].astype(np.float64) for name in ("x", "y"))
    sigma_east, sigma_north = (np.where(sigma > 0.0, sigma, np.nan) for sigma in numbers[2:])
    return Measured(
        x, y, numbers[0], numbers[1], sigma_east, sigma_north, reference, secondary, named.get("name")
    )  # fmt: skip


def _in_crs_of(data: xr.Dataset, found: Measured, points: xr.Dataset) -> Measured:
    """Measurements at places in the CRS of the dataset."""
    own, wanted = grids.crs_of(points), grids.crs_of(data)
    if own is None or wanted is None or grids.agree(own, wanted):
        return found
    import pyproj

    x, y = pyproj.Transformer.from_crs(own, wanted, always_xy=True).transform(found.x, found.y)
    return found._replace(x=np.asarray(x), y=np.asarray(y))


def _of_kind(found: Measured, *, is_velocity: bool, is_rate: bool, is_series: bool) -> Measured:
    """Measurements as velocities where the dataset has velocities, and as displacements where it has those."""
    if is_velocity == is_rate and not (is_series and found.reference is None):
        return found
    if is_velocity:
        raise ValueError(
            "compare() needs displacements in the table, for a dataset of displacements; got velocities. Compare the "
            "velocity: compare(velocity(series), table)."
        )
    if found.reference is None or found.secondary is None:
        raise ValueError(
            "compare() needs the dates between which a displacement was measured, 'reference' and 'secondary'; got "
            "none in the table. Add both columns, or compare velocities with a rate."
        )
    if not is_rate:
        return found
    years = in_years(found.secondary - found.reference)
    if (years == 0.0).any():
        raise ValueError(
            "compare() needs two different dates a measurement; got equal ones. Drop such rows: "
            "table[table.reference != table.secondary]."
        )
    length = np.abs(years)
    return found._replace(
        east=found.east / years,
        north=found.north / years,
        sigma_east=found.sigma_east / length,
        sigma_north=found.sigma_north / length,
    )
