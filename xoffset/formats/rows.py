"""Tables of other systems: rows in their numbers become shifts, with our signs and units."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset.formats import border, looks
from xoffset.formats.names import SYSTEMS
from xoffset.formats.tables import from_table

if TYPE_CHECKING:
    import pyproj

# What each of our columns is called, where a system has it.
_COLUMNS = ("dx", "dy", "sigma_dx", "sigma_dy")


def read(path: Path, caller: str, **options: Any) -> pd.DataFrame:
    """Rows of a CSV file, or of a Parquet file; dates stay text.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If it is a Parquet file and the `parquet` extra is not installed.
    ValueError
        If it is no table.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{caller}() needs a table; got {path}, where there is no file. Check the path.")
    try:
        with path.open("rb") as file:
            if file.read(4) == b"PAR1":
                looks.optional("pyarrow", "parquet", caller)
                whole: pd.DataFrame = pd.read_parquet(path)
                return whole
        table: pd.DataFrame = pd.read_csv(path, index_col=False, **options)
        return table
    except ValueError as error:  # what pandas raises of a file without columns, of uneven rows, of other bytes
        raise ValueError(
            f"{caller}() needs a table of columns; got {path}, of which pandas says: {str(error)[:200]}. Read it "
            "yourself and pass the DataFrame to from_table()."
        ) from error


def to_shifts(
    system: str,
    rows: pd.DataFrame,
    path: Path,
    caller: str,
    *,
    crs: str | int | pyproj.CRS | None,
    position: tuple[float, float] | tuple[str, str],
    pixel: tuple[float, float] | None = None,
    **options: Any,
) -> xr.Dataset:
    """Shifts of rows with the columns `reference`, `secondary` and those of a system; other options go to from_table().

    Raises
    ------
    TypeError
        If columns hold no dates or no numbers.
    ValueError
        If a column lacks, dates are equal or cannot be read, or the size of pixels lacks.
    """
    row = SYSTEMS[system]
    check_columns(rows, [row.names["dx"], row.names["dy"]], path, caller)
    present = {ours: theirs for ours, theirs in row.names.items() if ours in _COLUMNS and theirs in rows}
    rows = rows.assign(**{ours: rows[theirs] for ours, theirs in present.items()})
    with _options.speaking_as(caller, "from_table"):
        kind: Any = "velocity" if row.units == "m yr-1" else "displacement"
        shifts = from_table(
            rows, sigma=("sigma_dx", "sigma_dy") if "sigma_dx" in present else None, kind=kind, position=position,
            crs=crs, nodata=row.nodata[0] if row.nodata else None, **options,
        )  # fmt: skip
    shifts = _scaled(shifts, system, pixel, caller)
    count = shifts.sizes["pair"]
    return shifts.assign_coords(
        {
            border.SYSTEM: ("pair", np.full(count, system, dtype=object)),
            border.SOURCE: ("pair", np.full(count, path.name, dtype=object)),
        }
    )


def check_columns(rows: pd.DataFrame, wanted: list[str], path: Path, caller: str) -> None:
    """Refuse a table that lacks columns."""
    lacking = [name for name in wanted if name not in rows]
    if lacking:
        raise ValueError(
            f"{caller}() needs columns {', '.join(wanted)}; got none called {', '.join(lacking)} in {path}, but "
            f"{', '.join(map(str, rows.columns[:20]))}. Say which columns are along x and along y, with which sign: "
            "from_table(..., components=...)."
        )


def _scaled(shifts: xr.Dataset, name: str, pixel: tuple[float, float] | None, caller: str) -> xr.Dataset:
    """Metres toward increasing x and y, of the numbers of a system that are taken for metres."""
    system = SYSTEMS[name]
    sizes = pixel or (1.0, 1.0)
    if system.units == "pixel" and pixel is None:
        raise ValueError(
            f"{caller}() needs the size of a pixel of the matched images, since {system.title} counts pixels; got "
            "none. Pass it in metres: pixel_size=3.0."
        )
    changed: Mapping[str, xr.DataArray] = {
        key: shifts[key].copy(data=shifts[key].values * factor)
        for component, sign, size in zip(("dx", "dy"), system.signs, sizes, strict=True)
        for key, factor in ((component, sign * size), (f"sigma_{component}", size))
    }
    return shifts.assign(changed)
