"""Tables that TICOI saves of one pixel: `ILF_result.csv` of its inversion and `RLF_result.csv`, as shifts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import xarray as xr

from xoffset import _options
from xoffset.formats import looks, rows
from xoffset.formats.names import SYSTEMS
from xoffset.formats.ticoi import YEAR_DAYS
from xoffset.model.dates import YEAR

if TYPE_CHECKING:
    import pyproj

_DATES = ("date1", "date2")
# Of the regular series, and of the inversion.
_VELOCITY, _DISPLACEMENT = "ticoi_rate", "ticoi_displacement"


def recognises(look: looks.Look) -> bool:
    """Whether a text has the columns of one of the two."""
    return look.kind == "text" and set(_DATES) <= look.names and _system(look.names) is not None


def _system(columns: object) -> str | None:
    for name in (_DISPLACEMENT, _VELOCITY):
        if {SYSTEMS[name].names["dx"], SYSTEMS[name].names["dy"]} <= set(columns):  # type: ignore[call-overload]
            return name
    return None


def read(
    path: str | os.PathLike[str],
    *,
    position: tuple[float, float] = (0.0, 0.0),
    crs: str | int | pyproj.CRS | None = None,
) -> xr.Dataset:
    """Shifts of one pixel that TICOI has inverted, between the two dates of each row.

    Displacements, which TICOI makes of velocities with years of 365 days, become those of years of 365.25 days.

    Parameters
    ----------
    path
        CSV file with the columns `date1`, `date2` and `result_dx`, `result_dy` in metres or `vx`, `vy` in metres a
        year.
    position
        Place (x, y) of the pixel in metres.
    crs
        CRS of the cube.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) of one point; standard errors are not known.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If columns hold no dates or no numbers.
    ValueError
        If a column lacks, or dates are equal or cannot be read.
    """
    caller = "ticoi_table.read"
    place = _options.as_path(path, "path", caller)
    table = rows.read(place, caller, dtype=dict.fromkeys(_DATES, str))
    system = _system(table.columns) or _VELOCITY
    rows.check_columns(table, [*_DATES, *list(SYSTEMS[system].names.values())[:2]], place, caller)
    shifts = rows.to_shifts(system, table, place, caller, crs=crs, position=position, dates=_DATES)
    if system == _DISPLACEMENT:
        factor = YEAR_DAYS * 86_400.0 / YEAR.item().total_seconds()
        shifts = shifts.assign({key: shifts[key].copy(data=shifts[key].values * factor) for key in ("dx", "dy")})
    return shifts
