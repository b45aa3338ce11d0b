"""from_table(): point measurements of others in, shifts out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Number
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset.formats import nodes
from xoffset.model import products
from xoffset.model.dates import as_instants, in_years
from xoffset.model.flags import FLAGS
from xoffset.model.nonsense import without_nonsense
from xoffset.model.points import off_row

if TYPE_CHECKING:
    import pyproj


def from_table(
    table: pd.DataFrame | str | os.PathLike[str],
    *,
    dates: tuple[str, str] = ("reference", "secondary"),
    components: tuple[str, str] = ("dx", "dy"),
    sigma: tuple[str, str] | float | None = None,
    kind: Literal["displacement", "velocity"] = "displacement",
    position: tuple[float, float] | tuple[str, str] = (0.0, 0.0),
    layout: Literal["grid", "points"] = "grid",
    name: str | None = None,
    crs: str | int | pyproj.CRS | None = None,
    nodata: float | None = None,
) -> xr.Dataset:
    """Shifts from a table of measurements between two dates, one a row, so that any network can be inverted.

    Parameters
    ----------
    table
        DataFrame, or path of a CSV file with a header. Rows may repeat, and may run backward in time.
    dates
        Names of the columns with the reference date and the secondary date: datetimes, or texts in ISO 8601 such as
        "2020-06-01T10:30". A time zone is turned into UTC, a date without one is taken for UTC.
    components
        Names of the columns along x and along y, positive toward increasing x and y from the reference date to the
        secondary date. A row with a missing or infinite number in either is NaN and flagged `nodata`.
    sigma
        Standard errors along x and y in the unit of the components: names of two columns, or one number for all. None:
        not known. What is missing, infinite, zero or negative is NaN. Standard errors are never invented: pairs
        without them take part only where all weigh alike, as with `invert(weights="uniform")`.
    kind
        `"displacement"` in metres, or `"velocity"` in metres a year of 365.25 days: that is multiplied by the time from
        the reference to the secondary date, its standard error by the length of that time.
    position
        Place of the one point `(x, y)` in metres, or names of the columns with x and y of several points.
    layout
        What several points are. `"grid"`: the nodes of a regular grid, of which any may lack, whole rows and columns
        too. Coordinates may be off their node by up to 1 % of the step, which rounding does to them, and are moved onto
        it; of two rows and more of each axis one in ten must hold points. `"points"`: scattered, such as stakes or
        GNSS receivers. It is never chosen by the numbers, since any few numbers lie on some grid.
    name
        Column with the name of each point of `layout="points"`, such as that of the stake: rows of one name are one
        point, which may move. None: rows within 1 cm are one point, and those within 1 m are refused, since they may be
        either.
    crs
        CRS of the components and of the position, in any form that pyproj takes, such as "EPSG:3413".
    nodata
        Number that stands for a missing value in the columns of the components and of sigma, such as the -32767 of
        ITS_LIVE: a table has no other way to declare it. None: empty cells alone are missing.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x), float64, computed: `dx`, `dy` and `sigma_dx`, `sigma_dy` in metres, and `flags`. Of one
        point y and x are of size 1, and the pairs are the rows in their order. Of several points x increases and y
        decreases, a pair holds the points measured between its two dates, and the pairs are in the order in which they
        first appear; a point that was measured repeatedly between the same two dates has as many pairs of them.

        With `layout="points"` shifts (pair, point), the points in the order in which they first appear, with the
        coordinates `x`, `y` and, if given, `name` on `point`. The place of a point is that of its earliest reference
        date. What looks at no neighbours takes them: `invert`, `rereference`, `resample`, `velocity`, `decompose`,
        `coseismic`, `yearly_velocity`, `mean_displacement`, `mean_velocity`, `quality`, `ground`, `closure`,
        `diagnose`, `pair`, and `screen(neighbourhood=False)`.

    Raises
    ------
    TypeError
        If `table` is neither a DataFrame nor a path, or columns hold no dates or no numbers.
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no CSV, there is no row, a column is not there, a date cannot be read, the two dates of a row are
        equal, the points lie on no regular grid or two rows of different places would become one, rows may be of one
        point or of two, an option is none of those above, or the CRS is not in metres.

    Examples
    --------
    ITS_LIVE gives velocities with a middle date and a separation; pandas makes the two dates:

    >>> import pandas, xoffset
    >>> table = pandas.DataFrame(
    ...     {"mid_date": ["2020-01-09", "2020-01-17"], "days": [16, 32], "vx": [730.5, 365.25], "vy": [0.0, 36.525]}
    ... )
    >>> middle, half = pandas.to_datetime(table["mid_date"]), pandas.to_timedelta(table["days"] / 2, unit="D")
    >>> table = table.assign(reference=(middle - half).dt.floor("D"), secondary=(middle + half).dt.floor("D"))
    >>> shifts = xoffset.from_table(table, components=("vx", "vy"), sigma=50.0, kind="velocity", crs="EPSG:3413")
    >>> shifts.dx.values.ravel()
    array([32., 32.])

    Two stakes, one of which was measured once:

    >>> rows = pandas.DataFrame(
    ...     {"reference": ["2020-06-01", "2020-06-01", "2020-09-01"], "secondary": ["2020-09-01", "2020-09-01",
    ...      "2021-06-01"], "dx": [2.0, 4.0, 9.0], "dy": 0.0, "x": [503_200.4, 504_117.9, 504_121.9], "y": 5_170_800.0,
    ...      "stake": ["A", "B", "B"]}
    ... )
    >>> stakes = xoffset.from_table(rows, position=("x", "y"), layout="points", name="stake", crs="EPSG:32632")
    >>> stakes.name.values.tolist(), dict(stakes.sizes)
    (['A', 'B'], {'pair': 2, 'point': 2})
    """
    _check_options(dates, components, sigma, kind, position)
    _check_layout(layout, name, position)
    given_position = isinstance(position[0], str)
    rows = _read(table, dates if name is None else [*dates, name])
    wanted = [*dates, *components, *(sigma if isinstance(sigma, (tuple, list)) else ())]
    _check_columns(rows, [*wanted, *(position if given_position else ()), *([] if name is None else [name])])

    reference, secondary = (_dates(rows[name]) for name in dates)
    _check_two_dates(reference, secondary)
    if nodata is not None:
        rows = _without(rows, nodata, wanted[len(dates) :])
    values = _displacement(rows, components, sigma)
    if kind == "velocity":
        baseline = in_years(secondary - reference)
        values = values * np.stack([baseline, baseline, abs(baseline), abs(baseline)])
    at = [_numbers(rows[label]) if given_position else np.full(len(rows), float(label)) for label in position]
    names = None if name is None else rows[name]
    of = nodes.grid(at, crs) if layout == "grid" else nodes.scattered(at, reference, names, crs)
    first, pair = nodes.pairs(reference, secondary, of, at)

    shape = (first.size, *of.place.shape)
    fields = dict(zip(("dx", "dy", "sigma_dx", "sigma_dy"), np.full((4, *shape), np.nan), strict=True))
    for field, column in zip(fields.values(), values, strict=True):
        field[pair, of.row, of.column] = column
    found = products.shifts(
        fields | {"flags": np.isnan(fields["dx"]) * np.int64(FLAGS["nodata"])},
        products.network(reference[first], secondary[first]),
        x=of.place["x"].values,
        y=of.place["y"].values,
        like=of.place,
        step={
            "function": "from_table", "kind": kind, "components": list(components),
            "sigma": list(sigma) if isinstance(sigma, (tuple, list)) else sigma,
        },
    )  # fmt: skip
    found = without_nonsense(found, ("dx", "dy"), ("sigma_dx", "sigma_dy", "cov_dxdy"))
    return found if layout == "grid" else products.finish(off_row(found, of.coords))


def _check_options(dates: Any, components: Any, sigma: Any, kind: Any, position: Any) -> None:
    """Refuse what is no name of a column, no number, no kind."""
    for name, value in (("dates", dates), ("components", components)):
        if not _are_names(value):
            raise ValueError(
                f"from_table() needs the names of two columns as {name}; got {value!r}. "
                f"Pass a pair such as {name}=('first', 'second')."
            )
    if not (sigma is None or _are_names(sigma) or (_options.is_number(sigma) and sigma > 0.0)):
        raise ValueError(
            f"from_table() needs the names of two columns, a number above zero or None as sigma; got {sigma!r}. "
            "Pass sigma=('sigma_dx', 'sigma_dy'), or leave it out if it is not known."
        )
    _options.check_name(kind, ("displacement", "velocity"), "kind", "from_table")
    is_point = isinstance(position, (tuple, list)) and len(position) == 2 and all(map(_options.is_number, position))
    if not (is_point or _are_names(position)):
        raise ValueError(
            f"from_table() needs x and y in metres, or the names of two columns, as position; got {position!r}. "
            "Pass position=(503200.0, 5170800.0), or position=('x', 'y')."
        )


def _check_layout(layout: Any, name: Any, position: Any) -> None:
    _options.check_name(layout, ("grid", "points"), "layout", "from_table")
    if layout == "points" and not _are_names(position):
        raise ValueError(
            f"from_table() needs the columns with x and y of scattered points; got position={position!r}. "
            "Pass position=('x', 'y'), or leave layout out for one point."
        )
    if name is not None and (layout != "points" or not isinstance(name, str)):
        raise ValueError(
            f"from_table() needs the name of one column as name, of layout='points' only; got {name!r} with "
            f"layout={layout!r}. Pass layout='points', name='stake', or leave name out."
        )


def _are_names(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(name, str) for name in value)


def _read(table: Any, dates: Sequence[str]) -> pd.DataFrame:
    """Rows of a table, numbered from 0; dates of a file stay text, so that 20200601 is no number."""
    if isinstance(table, pd.DataFrame):
        rows = table.reset_index(drop=True)
    elif isinstance(table, (str, os.PathLike)):
        try:
            rows = pd.read_csv(table, dtype=dict.fromkeys(dates, str), index_col=False)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"from_table() needs a CSV file; found none at {os.fspath(table)}; check the path. "
                "Or pass a DataFrame: pandas.read_csv(...)."
            ) from error
        except ValueError as error:  # what pandas raises of a file without columns, of uneven rows, of other bytes
            raise ValueError(
                f"from_table() needs a CSV file; got {os.fspath(table)}, of which pandas says: {str(error)[:200]}. "
                "Read it yourself and pass the DataFrame: pandas.read_csv(..., sep=..., comment=...)."
            ) from error
    else:
        raise TypeError(
            f"from_table() needs a DataFrame or the path of a CSV file; got {type(table).__name__}. "
            "Convert it first: pandas.DataFrame(...)."
        )
    if not len(rows):
        raise ValueError("from_table() needs at least one row; got none. Check the selection or the file.")
    return rows


def _check_columns(rows: pd.DataFrame, wanted: Sequence[str]) -> None:
    """Refuse names that are not those of one column."""
    found = list(rows.columns)
    lacking = [name for name in wanted if found.count(name) != 1]
    if lacking:
        listed = ", ".join(str(name) for name in found[:20]) + (", ..." if len(found) > 20 else "")
        raise ValueError(
            f"from_table() needs one column called {lacking[0]!r}; got {found.count(lacking[0])} of it among {listed}. "
            "Name the columns: dates=, components=, sigma=, position=."
        )


def _dates(column: pd.Series) -> np.ndarray:
    """Dates of a column as datetime64[us], UTC."""
    name = column.name
    advice = f"Convert: table[{name!r}] = pandas.to_datetime(table[{name!r}].astype(str), format='%Y%m%d')."
    # a number may count anything since any day
    if column.dtype.kind not in "OMUT" or any(isinstance(value, Number) for value in column.dropna()):
        raise TypeError(f"from_table() needs dates in {name!r}; got numbers (dtype {column.dtype}). {advice}")
    parsed = as_instants(column)
    wrong = np.flatnonzero(np.isnat(parsed))
    if wrong.size:
        if pd.isna(column.iloc[wrong[0]]):
            advice = f"Drop such rows: table.dropna(subset=[{name!r}])."
        raise ValueError(
            f"from_table() needs dates in ISO 8601 in {name!r}; got {column.iloc[wrong[0]]!r} in row {wrong[0]}, "
            f"counted from 0, the first of {wrong.size}. {advice}"
        )
    return parsed


def _check_two_dates(reference: np.ndarray, secondary: np.ndarray) -> None:
    """Refuse rows whose dates are equal."""
    wrong = np.flatnonzero(reference == secondary)
    if wrong.size:
        listed = ", ".join(str(row) for row in wrong[:10]) + (", ..." if wrong.size > 10 else "")
        raise ValueError(
            f"from_table() needs two different dates a row; got equal ones in row {listed}, counted from 0. "
            "Drop them: table[table[reference] != table[secondary]]."
        )


def _displacement(rows: pd.DataFrame, components: Sequence[str], sigma: Any) -> np.ndarray:
    """Components and standard errors (4, row); NaN where a number is missing or means nothing."""
    out = np.full((4, len(rows)), np.nan)
    for k, name in enumerate(components):
        out[k] = _numbers(rows[name])
    if isinstance(sigma, (tuple, list)):
        for k, name in enumerate(sigma):
            out[2 + k] = _numbers(rows[name])
    elif sigma is not None:
        out[2:] = float(sigma)
    out[:, ~np.isfinite(out[:2]).all(axis=0)] = np.nan
    errors = out[2:]
    errors[~(np.isfinite(errors) & (errors > 0.0))] = np.nan
    return out


def _without(rows: pd.DataFrame, nodata: Any, names: Sequence[str]) -> pd.DataFrame:
    """Rows whose cells with the number for no data are empty."""
    if not _options.is_number(nodata):
        raise ValueError(
            f"from_table() needs a number as nodata; got {nodata!r}. Pass one such as -32767, or None if empty cells "
            "alone are missing."
        )
    # as numbers: a column of a file that also holds a text is text throughout
    return rows.assign(
        **{name: rows[name].mask(pd.to_numeric(rows[name], errors="coerce") == nodata) for name in names}
    )


def _numbers(column: pd.Series) -> np.ndarray:
    """Column as float64, NaN where it is empty."""
    is_other = column.dtype.kind in "bMmc" or isinstance(column.dtype, pd.DatetimeTZDtype)
    numbers = None if is_other else pd.to_numeric(column, errors="coerce")
    wrong = np.arange(len(column)) if numbers is None else np.flatnonzero(numbers.isna() & column.notna())
    if numbers is None or wrong.size:
        raise TypeError(
            f"from_table() needs real numbers in {column.name!r}; got {column.iloc[wrong[0]]!r} in row {wrong[0]}, "
            "counted from 0. Correct it, or leave it empty for a missing number."
        )
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)
