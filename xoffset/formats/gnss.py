"""Positions of GNSS stations, `.tenv3` and `.pos` files, as shifts from each date to the next."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset.formats import looks, rows
from xoffset.model import grids, north

if TYPE_CHECKING:
    import pyproj

# Names of the columns of both kinds, from which the eastern one is told. Those of the Nevada Geodetic Laboratory are
# padded with underscores.
_TENV3 = ("site", "MJD", "e0(m)", "east(m)", "n0(m)", "north(m)", "sig_e(m)", "sig_n(m)", "corr_en")
_PLACE = ("longitude(deg)", "latitude(deg)")
_POS_TITLE = "PBO Station Position Time Series"
_POS = ("YYYYMMDD", "HHMMSS", "NLat", "Elong", "dN", "dE", "Sn", "Se", "Rne")
_EPOCH = np.datetime64("1858-11-17", "us")  # of the modified Julian day


def recognises(look: looks.Look) -> bool:
    """Whether a text is one of the two kinds, by its first line."""
    if look.kind not in ("text", "other"):
        return False
    with Path(look.place).open("rb") as file:
        first = file.readline(1 << 12).decode("utf-8", "replace")
    return first.startswith(_POS_TITLE) or set(_TENV3[:4]) <= set(_plain(first))


def read(path: str | os.PathLike[str], *, crs: str | int | pyproj.CRS | None = None) -> xr.Dataset:
    r"""Shifts of a GNSS station from each of its dates to the next, in metres of a grid.

    Positions east and north are those of true directions on the ground; they are turned and scaled to the axes of the
    CRS at the station, with their standard errors. Two positions of `u` and `v` make a displacement of standard error
    `sqrt(u**2 + v**2)`; successive ones share a position, so that their sum has the error of the first and the last one
    alone.

    Parameters
    ----------
    path
        `.tenv3` file of the Nevada Geodetic Laboratory, with its header, or `.pos` file in the PBO format.
    crs
        CRS of the grid that the station is compared with, in metres.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, point) of one point with its `name`, in the order of the dates. Gaps are no pairs of their own:
        one reaches over each.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is of another kind, has less than two dates or no place of the station, or no CRS is given.

    Examples
    --------
    >>> import pathlib, tempfile, xoffset
    >>> head = "site YYMMMDD yyyy.yyyy MJD week d reflon e0(m) east(m) n0(m) north(m) u0(m) up(m) ant(m) sig_e(m) "
    >>> head += "sig_n(m) sig_u(m) corr_en corr_eu corr_nu latitude(deg) longitude(deg) height(m)\n"
    >>> row = "ABCD 20JAN01 2020.0 {} 2086 3 9 7 {} 5 0.1 9 0 0 0.002 0.002 0.005 0 0 0 46.0 9.0 900\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "ABCD.tenv3"
    ...     _ = path.write_text(head + row.format(58849, 0.1) + row.format(58949, 0.6))
    ...     shifts = xoffset.formats.gnss.read(path, crs="EPSG:32632")
    >>> shifts.dx.values.ravel().round(4)
    array([0.4998])
    """
    caller = "gnss.read"
    place = _options.as_path(path, "path", caller)
    if not place.is_file():
        raise FileNotFoundError(
            f"{caller}() needs a file of positions; got {place}, where there is none. Check the path."
        )
    text = place.read_text(encoding="utf-8", errors="replace")
    if not text.startswith(_POS_TITLE):
        _check_tenv3(text, place, caller)
    try:
        table = _of_pos(text) if text.startswith(_POS_TITLE) else _of_tenv3(text)
    except (ValueError, LookupError, TypeError, OverflowError) as error:  # of rows that are cut or no numbers
        raise ValueError(
            f"{caller}() needs a whole file of positions; got {place}, which cannot be read as one "
            f"({str(error)[:100]}). Get the file anew."
        ) from error
    table = table.sort_values("time", kind="stable").reset_index(drop=True)
    if len(table) < 2:
        raise ValueError(f"{caller}() needs positions at two dates; got {len(table)} in {place}. Get a longer series.")
    x, y, known = _on_grid(table, crs, place, caller)
    steps = _steps(table, north.onto_ground(np.array(x), np.array(y), known.to_wkt())).assign(x=x, y=y)
    return rows.to_shifts(
        "gnss", steps, place, caller, crs=known, position=("x", "y"), layout="points", name="name",
    )  # fmt: skip


def _plain(line: str) -> list[str]:
    return [each.lstrip("_") for each in line.split()]


def _check_tenv3(text: str, path: Path, caller: str) -> None:
    """Refuse a file without the columns that are needed."""
    names = _plain(text.splitlines()[0]) if text.strip() else []
    if not set(_TENV3) <= set(names):
        raise ValueError(
            f"{caller}() needs a .tenv3 file with its header, or a .pos file in the PBO format; got {path}. For other "
            "tables see from_table(..., layout='points')."
        )
    if not set(_PLACE) <= set(names):
        raise ValueError(
            f"{caller}() needs the columns {' and '.join(_PLACE)}, which tell where the station is; got {path} "
            "without, of an older version. Get the file anew."
        )


def _of_tenv3(text: str) -> pd.DataFrame:
    """Time, east, north, their standard errors and correlation, and the place of the station, of the one kind."""
    lines = text.splitlines()
    table = pd.read_csv(StringIO("\n".join(lines[1:])), sep=r"\s+", names=_plain(lines[0]), index_col=False)
    return _with_numbers(
        {
            "name": table["site"].astype(str),
            "time": _EPOCH + _days(table["MJD"]) * np.timedelta64(86_400_000_000, "us"),
            "east": table["e0(m)"] + table["east(m)"],
            "north": table["n0(m)"] + table["north(m)"],
            "sigma_east": table["sig_e(m)"], "sigma_north": table["sig_n(m)"], "correlation": table["corr_en"],
            "longitude": table[_PLACE[0]], "latitude": table[_PLACE[1]],
        }
    )  # fmt: skip


def _days(column: pd.Series) -> np.ndarray:
    """Whole days of a count that other centuries do not reach."""
    days = column.to_numpy(dtype=np.float64)
    if not ((days >= 0) & (days < 1e6)).all():
        raise ValueError("days that are none in its column MJD")
    return days.astype(np.int64)


def _with_numbers(columns: dict[str, Any]) -> pd.DataFrame:
    """Table whose columns but those of name and time are numbers."""
    is_text = ("name", "time")
    return pd.DataFrame({key: each if key in is_text else each.astype(float) for key, each in columns.items()})


def _of_pos(text: str) -> pd.DataFrame:
    """The same of the other kind."""
    lines = text.splitlines()
    start = [line.lstrip().startswith("*YYYYMMDD") for line in lines].index(True)
    names = lines[start].replace("*", " ").split()
    station = next((line.split(":", 1)[1].strip() for line in lines[:start] if "4-character ID" in line), "station")
    days = {"YYYYMMDD": str, "HHMMSS": str}
    table = pd.read_csv(StringIO("\n".join(lines[start + 1 :])), sep=r"\s+", names=names, dtype=days, index_col=False)
    time = pd.to_datetime(table["YYYYMMDD"] + table["HHMMSS"].str.zfill(6), format="%Y%m%d%H%M%S")
    return _with_numbers(
        {
            "name": station, "time": time.to_numpy(dtype="M8[us]"), "east": table["dE"], "north": table["dN"],
            "sigma_east": table["Se"], "sigma_north": table["Sn"], "correlation": table["Rne"],
            "longitude": table["Elong"], "latitude": table["NLat"],
        }
    )  # fmt: skip


def _on_grid(table: pd.DataFrame, crs: object, path: Path, caller: str) -> tuple[float, float, pyproj.CRS]:
    """Place of the station on the grid, and its CRS."""
    import pyproj

    longitude, latitude = (float(table[name].iloc[0]) for name in ("longitude", "latitude"))
    if crs is None:
        geographic = pyproj.CRS.from_epsg(4326)
        raise ValueError(grids.geographic_message(geographic, (longitude, latitude), caller))
    known = pyproj.CRS.from_user_input(crs)
    to_grid = pyproj.Transformer.from_crs("EPSG:4326", known, always_xy=True)
    x, y = to_grid.transform((longitude + 180.0) % 360.0 - 180.0, latitude)
    return float(x), float(y), known


def _steps(table: pd.DataFrame, ground: np.ndarray) -> pd.DataFrame:
    """Displacements from each row to the next, along the axes of a grid; `ground` is metres of ground a metre of it."""
    inverse = np.linalg.inv(ground.reshape(2, 2))
    sigma = table[["sigma_east", "sigma_north"]].to_numpy(dtype=np.float64)
    covariance = np.zeros((len(table), 2, 2))
    covariance[:, 0, 0], covariance[:, 1, 1] = sigma.T**2
    covariance[:, 0, 1] = covariance[:, 1, 0] = table["correlation"] * sigma.prod(axis=1)
    turned = inverse @ (covariance[1:] + covariance[:-1]) @ inverse.T
    # a correlation beyond one allows no error at all
    variance = np.where(turned >= 0.0, turned, np.nan)
    moved = np.diff(table[["east", "north"]].to_numpy(dtype=np.float64), axis=0) @ inverse.T
    time = table["time"].to_numpy(dtype="M8[us]")
    return pd.DataFrame(
        {
            "name": table["name"].iloc[0], "reference": time[:-1], "secondary": time[1:],
            "dx": moved[:, 0], "dy": moved[:, 1],
            "sigma_dx": np.sqrt(variance[:, 0, 0]), "sigma_dy": np.sqrt(variance[:, 1, 1]),
        }
    )  # fmt: skip
