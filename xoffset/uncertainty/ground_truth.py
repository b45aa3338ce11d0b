"""What was measured on the ground, of tables and of products at points, as one row a measurement."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset.model import grids, history
from xoffset.model.dates import as_dates, as_instants, in_years
from xoffset.model.declared import with_decoded
from xoffset.model.points import are_points
from xoffset.motion.ground import ground

Names = tuple[str, str]
# Components by the axes that they are along.
_TRUE: tuple[Names, ...] = (("v_east", "v_north"), ("d_east", "d_north"))
_GRID: tuple[Names, ...] = (("vx", "vy"), ("dx", "dy"))
_DATES = ("reference", "secondary")
# Dates of a measurement and of a displacement that differ by no more are the same.
_SAME = np.timedelta64(1, "D")
# What pandas finds in a column that it would make numbers of, though it holds none.
_NO_NUMBERS = {"boolean", "datetime", "datetime64", "date", "time", "timedelta", "timedelta64", "period", "complex"}


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
    is_of_other_dates: np.ndarray | None = None  # than the displacement that it is compared with


def measured(table: Any, data: xr.Dataset, *, axes: str, is_rate: bool) -> Measured:
    """Measurements of a table, as velocities or as displacements, after checking that it has them."""
    if isinstance(table, pd.DataFrame):
        points, names = _of_rows(table, data, _wanted(_TRUE if axes == "true" else _GRID, is_rate=is_rate), axes)
    elif isinstance(table, xr.Dataset):
        # from_table() calls the two columns dx and dy whatever they are along
        wanted = _wanted((*_TRUE, _GRID[1]) if axes == "true" else _GRID, is_rate=is_rate)
        points, names = _of_product(table, data, wanted, axes)
    else:
        raise TypeError(
            f"compare() needs a DataFrame, or the result of from_table(..., layout='points'), as table; got "
            f"{type(table).__name__}. Read a file first: pandas.read_csv(...)."
        )
    points = _bounded(points, names)
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
    if names[0].startswith("v") and not is_rate:
        raise ValueError(
            "compare() needs displacements in the table, for a dataset of displacements; got velocities. Compare the "
            "velocity: compare(velocity(series), table)."
        )
    if names[0].startswith("v"):
        return found
    _check_dates(found, are_needed=is_rate or "time" in data.dims)
    if is_rate:
        return _as_velocities(found)
    return found if "time" in data.dims else _between_dates_of(data, found)


def _bounded(points: xr.Dataset, names: Names) -> xr.Dataset:
    """Measurements, NaN where one is infinite or errs without bounds: that tells nothing."""
    is_known = np.isfinite(points[names[0]]) & np.isfinite(points[names[1]])
    for name in (f"sigma_{name}" for name in names):
        if name in points:
            is_known = is_known & ~np.isinf(points[name])
    return points.assign({name: points[name].where(is_known) for name in names})


def _wanted(names: tuple[Names, ...], *, is_rate: bool) -> tuple[Names, ...]:
    """Names of components, those of the kind that the dataset has first."""
    return tuple(sorted(names, key=lambda pair: pair[0].startswith("v") != is_rate))


# -------------------------------------------------------------------------------------------------------------- tables


def _of_rows(rows: pd.DataFrame, data: xr.Dataset, wanted: tuple[Names, ...], axes: str) -> tuple[xr.Dataset, Names]:
    """Product (point,) of a table, in the CRS of the dataset, and the names of its components."""
    columns = list(map(str, rows.columns))
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
    # a velocity needs no dates: a column "reference" alone may name its source
    if names[0].startswith("d") or set(_DATES) <= set(columns):
        coords |= {name: ("point", _dates(rows, name)) for name in _DATES if name in columns}
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
        return _each_known(rows, "x", "y")
    if not {"longitude", "latitude"} <= set(rows.columns):
        raise ValueError(
            "compare() needs columns x and y [m], or longitude and latitude [degrees], in the table; got "
            f"{', '.join(map(str, rows.columns[:20]))}. Rename them: table.rename(columns={{'lon': 'longitude', ...}})."
        )
    import pyproj

    transformer = pyproj.Transformer.from_crs("EPSG:4326", grids.crs_of(data), always_xy=True)
    x, y = transformer.transform(*_each_known(rows, "longitude", "latitude"))
    return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)


def _each_known(rows: pd.DataFrame, *names: str) -> tuple[np.ndarray, np.ndarray]:
    """Places in two columns, of which none is empty."""
    x, y = (_numbers(rows, name) for name in names)
    wrong = np.flatnonzero(np.isnan(x) | np.isnan(y))
    if wrong.size:
        raise ValueError(
            f"compare() needs a place in each row of the table; got none in row {wrong[0]}, counted from 0. Leave such "
            f"rows out: table.dropna(subset={list(names)})."
        )
    return x, y


def _numbers(rows: pd.DataFrame, name: str) -> np.ndarray:
    """Column as float64, NaN where it is empty."""
    kind = pd.api.types.infer_dtype(rows[name], skipna=True) if isinstance(rows[name], pd.Series) else ""
    if kind in _NO_NUMBERS:
        raise TypeError(
            f"compare() needs numbers in {name!r} of the table; got values of the kind {kind}. Rename or "
            "drop that column."
        )
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


def _of_product(table: xr.Dataset, data: xr.Dataset, wanted: tuple[Names, ...], axes: str) -> tuple[xr.Dataset, Names]:
    """Product (..., point) of one at points or on the nodes of a grid, and the names of its components."""
    names = next((pair for pair in wanted if set(pair) <= set(table.data_vars)), None)
    if names is None:
        listed = ", or ".join(" and ".join(pair) for pair in wanted)
        raise ValueError(
            f"compare() needs {listed} in the table, for axes={axes!r}; got {sorted(map(str, table.data_vars))}. Use "
            "the result of from_table(); pass axes='grid' for what is along the axes of a grid."
        )
    _check_product(table, names, axes)
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


def _check_product(table: xr.Dataset, names: Names, axes: str) -> None:
    """Refuse what is no table of the ground: values that are no numbers, a series, motion along the axes of a grid."""
    for name in (*names, *(f"sigma_{name}" for name in names)):
        if name in table and table[name].dtype.kind not in "iuf":
            raise TypeError(
                f"compare() needs numbers in {name!r} of the table; got dtype {table[name].dtype}. Convert it: "
                "table.astype(float)."
            )
    dims = table[names[0]].dims
    if "time" in dims:
        raise ValueError(
            f"compare() needs displacements between two dates in the table, or velocities; got a series, dims {dims}. "
            "Take the last date less the first, and name both: .assign_coords(reference=..., secondary=...)."
        )
    # what was read from a table is along what its columns are; points without a history may be anybody's
    made_by = [step["function"] for step in history.steps(table)]
    is_of_grid = "from_table" not in made_by and (bool(made_by) or {"y", "x"} <= set(dims))
    if axes == "true" and names in _GRID and is_of_grid:
        raise ValueError(
            f"compare() needs components along true east and north in the table, for axes='true'; got {names[0]} and "
            f"{names[1]} of a product, which are along the axes of its grid. Pass axes='grid', or ground(table)."
        )


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
    east, north, *sigmas = (row.astype(np.float64) for row in rows[:4])
    reference, secondary = (as_dates(named[name]) if name in named else None for name in _DATES)
    x, y = (named[name].astype(np.float64) for name in ("x", "y"))
    sigma_east, sigma_north = (np.where((sigma > 0.0) & (sigma < np.inf), sigma, np.nan) for sigma in sigmas)
    return Measured(x, y, east, north, sigma_east, sigma_north, reference, secondary, named.get("name"))


def _in_crs_of(data: xr.Dataset, found: Measured, points: xr.Dataset) -> Measured:
    """Measurements at places in the CRS of the dataset."""
    own, wanted = grids.crs_of(points), grids.crs_of(data)
    if own is None or wanted is None or grids.agree(own, wanted):
        return found
    import pyproj

    x, y = pyproj.Transformer.from_crs(own, wanted, always_xy=True).transform(found.x, found.y)
    return found._replace(x=np.asarray(x), y=np.asarray(y))


def _check_dates(found: Measured, *, are_needed: bool) -> None:
    """Refuse displacements between dates that are not told, or of which only one is, or that are equal."""
    first, second = found.reference, found.secondary
    lacking = [name for name, dates in zip(_DATES, (first, second), strict=True) if dates is None]
    if len(lacking) == 1 or (lacking and are_needed):
        got = "none in the table" if len(lacking) == 2 else f"no {lacking[0]!r} in the table"
        advice = "Add both columns" if len(lacking) == 2 else f"Add the column {lacking[0]!r}"
        raise ValueError(
            "compare() needs the dates between which a displacement was measured, 'reference' and 'secondary'; got "
            f"{got}. {advice}, or compare velocities with a rate."
        )
    if first is not None and second is not None and bool(np.any(first == second)):
        raise ValueError(
            "compare() needs two different dates a measurement; got equal ones. Drop such rows: "
            "table[table.reference != table.secondary]."
        )


def _as_velocities(found: Measured) -> Measured:
    """Displacements between two dates as mean velocities."""
    assert found.reference is not None
    assert found.secondary is not None
    years = in_years(found.secondary - found.reference)
    length = np.abs(years)
    return found._replace(
        east=found.east / years,
        north=found.north / years,
        sigma_east=found.sigma_east / length,
        sigma_north=found.sigma_north / length,
    )


def _between_dates_of(data: xr.Dataset, found: Measured) -> Measured:
    """Displacements in the order of the dates of a displacement (y, x), after checking that some are of these dates.

    One that tells no dates counts forward in time.
    """
    if found.reference is None or found.secondary is None:
        return found
    own = _own_dates(data)
    if own is None and "time" in data.coords and data.coords["time"].ndim == 0:
        raise ValueError(
            "compare() needs both dates of a displacement that it compares with a table of dates; got one date of a "
            "series. Compare the series itself, or drop the columns: table.drop(columns=['reference', 'secondary'])."
        )
    dates = np.stack([found.reference, found.secondary])
    is_turned, is_other = found.reference > found.secondary, np.zeros(found.x.shape, dtype=np.bool_)
    if own is not None:
        # of dates that are hours apart one must not stand for the other
        near = min(_SAME, abs(own[1, 0] - own[0, 0]) / 4)
        is_same = (np.abs(dates - own) <= near).all(axis=0)
        is_turned = (np.abs(dates - own[::-1]) <= near).all(axis=0) & ~is_same
        is_other = ~(is_same | is_turned)
        if is_other.all():
            raise ValueError(
                f"compare() needs displacements between the dates of the dataset, {own[0, 0]} and {own[1, 0]}, to a "
                f"day; got none, the first between {dates[0, 0]} and {dates[1, 0]}. Select the pair of these dates, or "
                "compare the series."
            )
    sign = np.where(is_turned, -1.0, 1.0)
    return found._replace(
        east=sign * found.east,
        north=sign * found.north,
        reference=np.where(is_turned, found.secondary, found.reference),
        secondary=np.where(is_turned, found.reference, found.secondary),
        is_of_other_dates=is_other,
    )


def _own_dates(data: xr.Dataset) -> np.ndarray | None:
    """Dates of a displacement (2, 1), from the first to the second; None if it does not tell both."""
    own = [data.coords[name] for name in _DATES if name in data.coords]
    if len(own) < 2 or any(date.ndim or date.dtype.kind != "M" or np.isnat(date.values) for date in own):
        return None
    return np.array([as_dates(date.values) for date in own]).reshape(2, 1)
