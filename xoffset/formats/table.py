"""Tables with our own names of columns, CSV or Parquet, as shifts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import xarray as xr

from xoffset import _options
from xoffset.formats import looks, rows
from xoffset.formats.names import SYSTEMS

if TYPE_CHECKING:
    import pyproj

_NAMES = SYSTEMS["table"].names
_DATES = ("reference", "secondary")


def recognises(look: looks.Look) -> bool:
    """Whether it is a Parquet file, or a text with these columns."""
    return look.kind == "parquet" or (look.kind == "text" and {*_DATES, _NAMES["dx"], _NAMES["dy"]} <= look.names)


def read(path: str | os.PathLike[str], *, crs: str | int | pyproj.CRS | None = None) -> xr.Dataset:
    """Shifts of a table whose columns are called `reference`, `secondary`, `dx`, `dy`.

    Displacements are in metres toward increasing x and y, dates are texts in ISO 8601 or datetimes. There may be
    `sigma_dx` and `sigma_dy`; `x` and `y` of nodes of a regular grid, or of scattered points if there is a `name` too.
    Tables with other columns, units or signs are for `from_table`.

    Parameters
    ----------
    path
        CSV file with a header, or Parquet file.
    crs
        CRS of the displacements and the positions.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) or (pair, point), as of `from_table`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If it is a Parquet file and the `parquet` extra is not installed.
    TypeError
        If columns hold no dates or no numbers.
    ValueError
        If a column lacks, dates are equal or cannot be read, or nodes lie on no regular grid.
    """
    caller = "table.read"
    place = _options.as_path(path, "path", caller)
    table = rows.read(place, caller, dtype=dict.fromkeys(_DATES, str))
    rows.check_columns(table, [*_DATES, _NAMES["dx"], _NAMES["dy"]], place, caller)
    has_place = {"x", "y"} <= set(table)
    named: dict[str, Any] = {"layout": "points", "name": "name"} if has_place and "name" in table else {}
    position: Any = ("x", "y") if has_place else (0.0, 0.0)
    return rows.to_shifts("table", table, place, caller, crs=crs, position=position, **named)
