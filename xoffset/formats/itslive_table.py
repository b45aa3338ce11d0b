"""Tables of ITS_LIVE: velocities of image pairs at points, with a middle date and a separation, as shifts."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset.formats import looks, rows
from xoffset.formats.names import SYSTEMS
from xoffset.model.dates import as_instants

_NAMES = SYSTEMS["itslive_table"].names
_MIDDLE, _DAYS, _CRS, _PLACE = "mid_date", "date_dt [days]", "epsg", ("lon", "lat")


def recognises(look: looks.Look) -> bool:
    """Whether a text has the columns of such a table."""
    return look.kind == "text" and {_MIDDLE, _DAYS, _NAMES["dx"], _NAMES["dy"], _CRS} <= look.names


def read(path: str | os.PathLike[str]) -> xr.Dataset:
    """Shifts of the points of a table of image pairs, as the web site of ITS_LIVE gives it.

    The two dates are half a separation before and after the middle date. Separations are whole days while middle dates
    have their time of day, so that dates are off by up to half a day and the same image may have several; `floor` them
    to days for a network that is to be inverted: `shifts.assign_coords(reference=shifts.reference.dt.floor("D"), ...)`.

    Parameters
    ----------
    path
        CSV file with the columns `mid_date`, `date_dt [days]`, `vx [m/yr]`, `vy [m/yr]`, their errors, `lat`, `lon` and
        `epsg`.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) of one point, or (pair, point) of several.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If columns hold no numbers.
    ValueError
        If a column lacks, dates cannot be read, or rows are of several CRS.
    """
    import pyproj

    caller = "itslive_table.read"
    place = _options.as_path(path, "path", caller)
    table = rows.read(place, caller, dtype={_MIDDLE: str})
    rows.check_columns(table, [_MIDDLE, _DAYS, *list(_NAMES.values())[:2], _CRS, *_PLACE], place, caller)
    codes = table[_CRS].unique()
    if len(codes) != 1:
        raise ValueError(
            f"{caller}() needs rows of one CRS; got EPSG codes {', '.join(map(str, codes))} in {place}. Save one table "
            "for each: table[table.epsg == 3413]."
        )
    crs = pyproj.CRS.from_epsg(int(codes[0]))
    middle = as_instants(table[_MIDDLE])
    if np.isnat(middle).any():
        wrong = table[_MIDDLE][int(np.flatnonzero(np.isnat(middle))[0])]
        raise ValueError(f"{caller}() needs dates in ISO 8601 in '{_MIDDLE}'; got {wrong!r} in {place}. Correct it.")
    half = (pd.to_numeric(table[_DAYS]).to_numpy(dtype=np.float64) * 43_200e6).astype("m8[us]")
    to_grid = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    longitude, latitude = (pd.to_numeric(table[name]).to_numpy(dtype=np.float64) for name in _PLACE)
    x, y = to_grid.transform(longitude, latitude)
    table = table.assign(reference=middle - half, secondary=middle + half, x=x, y=y)
    if np.ptp(x) < 1.0 and np.ptp(y) < 1.0:
        return rows.to_shifts("itslive_table", table, place, caller, crs=crs, position=(float(x[0]), float(y[0])))
    return rows.to_shifts("itslive_table", table, place, caller, crs=crs, position=("x", "y"), layout="points")
