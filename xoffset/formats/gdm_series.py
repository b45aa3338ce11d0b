"""Displacement through time as the GDM-OPT services write it: a table, and the archive of the inversion."""

from __future__ import annotations

import gzip
import importlib.util
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset.formats import gridded, writing
from xoffset.formats.gdm_maps import ANALYSIS, as_tile, day
from xoffset.model import checks, grids
from xoffset.model.dates import as_dates

ARCHIVE = "Inversion.tgz"
# Our components, their names there and the sign: south is positive.
_COMPONENTS = {"EW": ("dx", 1.0), "NS": ("dy", -1.0)}
_METRES = "%.4f"


def write_series(
    series: xr.Dataset, folder: str | os.PathLike[str], *, tile: str = "local", overwrite: bool = False
) -> list[Path]:
    """Write displacement through time into the folder `Analysis`: a table and the archive `Inversion.tgz`.

    The table has a row for each pixel with a value: `x`, `y` [m], `longitude`, `latitude` [degree] if there is a CRS,
    and `EW_YYYYMMDD`, `NS_YYYYMMDD`, `norm_YYYYMMDD` for each date: displacement in metres since the date whose
    displacement is zero, positive toward east and south, and its length; empty where it is unknown. The archive has
    `EW.csv`, `NS.csv` of the same rows with the misclosure `rms` [m], and `EW.h5`, `NS.h5` with `displacement` (date,
    y, x), `rms` (y, x), `dates`, `x`, `y`.

    Parameters
    ----------
    series
        Series (time, y, x) of `invert`; it is computed as a whole.
    folder
        Folder of the results, in which `Analysis` is made.
    tile
        Name of the area in the name of the table, such as "31TGK".
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The table `MM_TIO_Displacement_TILE_DATE1_to_DATEN.csv` and the archive.

    Raises
    ------
    ImportError
        If the `netcdf` extra is not installed, which brings h5py.
    TypeError, ValueError
        If it is no series on a grid, two dates are of one day, or the tile has other signs than letters and digits.
    FileExistsError
        If a file is there and `overwrite` is False.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01"])
    >>> series = xoffset.invert(xoffset.correlate(stack, xoffset.pairs(stack), search=5))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in xoffset.formats.gdm.write_series(series, folder)]
    ['MM_TIO_Displacement_local_20200101_to_20200701.csv', 'Inversion.tgz']
    """
    caller = "gdm.write_series"
    target = _options.as_path(folder, "folder", caller) / ANALYSIS
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    if importlib.util.find_spec("h5py") is None:
        raise ImportError(f"{caller}() needs h5py, which is not installed. Install it: pip install 'xoffset[netcdf]'.")
    series = gridded.north_up(gridded.decoded(checks.as_series(series, caller), caller), caller).compute()
    dates = as_dates(series["time"].values)
    days = [day(date) for date in dates]
    if len(set(days)) < len(days):
        raise ValueError(f"{caller}() needs one date a day, which columns tell; got two of a day. Choose one of them.")
    table = f"MM_TIO_Displacement_{as_tile(tile, caller)}_{days[0]}_to_{days[-1]}.csv"
    fields = {
        name: (sign * series[ours].values.astype(np.float64) + 0.0).astype(np.float32)  # no zero with a sign
        for name, (ours, sign) in _COMPONENTS.items()
    }
    rms = series["rms"].values if "rms" in series else np.full(fields["EW"].shape[1:], np.nan, dtype=np.float32)
    is_known = np.asarray(np.isfinite(fields["EW"]).any(axis=0))
    where = _where(series, is_known)
    with writing.replaced_all(target, [table, ARCHIVE], overwrite=is_free, caller=caller) as scratch:
        columns = _columns(fields, days, is_known)
        pd.DataFrame(where | columns).to_csv(scratch / table, index=False, float_format=_METRES)
        files = {f"{name}.csv": _csv(values, days, rms, is_known, where) for name, values in fields.items()}
        files |= {f"{name}.h5": _hdf5(values, rms, series, dates) for name, values in fields.items()}
        _write_archive(scratch / ARCHIVE, files)
    return [target / table, target / ARCHIVE]


def _where(series: xr.Dataset, is_known: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of places."""
    rows, columns = np.nonzero(is_known)
    x, y = series["x"].values[columns], series["y"].values[rows]
    where = {"x": x, "y": y}
    if grids.crs_of(series) is not None:
        longitude, latitude = gridded.to_wgs84(series, x, y)
        # seven digits of a degree are a centimetre
        where |= {"longitude": _as_text(longitude), "latitude": _as_text(latitude)}
    return where


def _as_text(degrees: np.ndarray) -> np.ndarray:
    return np.array([f"{each:.7f}" for each in degrees.tolist()], dtype=object)


def _columns(fields: dict[str, np.ndarray], days: list[str], is_known: np.ndarray) -> dict[str, np.ndarray]:
    """Displacement and its length for each date."""
    named = fields | {"norm": np.hypot(fields["EW"], fields["NS"])}
    return {f"{name}_{each}": values[k][is_known] for k, each in enumerate(days) for name, values in named.items()}


def _csv(
    values: np.ndarray, days: list[str], rms: np.ndarray, is_known: np.ndarray, where: dict[str, np.ndarray]
) -> bytes:
    of_dates = {each: values[k][is_known] for k, each in enumerate(days)}
    table = pd.DataFrame(where | of_dates | {"rms": rms[is_known]})
    return table.to_csv(index=False, float_format=_METRES).encode()


def _hdf5(values: np.ndarray, rms: np.ndarray, series: xr.Dataset, dates: np.ndarray) -> bytes:
    import h5py  # type: ignore[import-untyped]

    place = io.BytesIO()
    crs = grids.crs_of(series)
    with h5py.File(place, "w", track_order=True) as file:
        for name, data, units in (("displacement", values, "m"), ("rms", rms, "m")):
            file.create_dataset(name, data=data, compression="gzip", shuffle=True).attrs["units"] = units
        file["dates"] = np.array([date.item().isoformat() for date in dates], dtype="S26")
        for name in ("x", "y"):
            file[name] = series[name].values
        file.attrs["crs"] = "" if crs is None else crs.to_wkt()
    return place.getvalue()


def _write_archive(path: Path, files: dict[str, bytes]) -> None:
    """Archive without times, so that the same values make the same bytes."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    # the highest level takes four times as long, and saves a hundredth
    path.write_bytes(gzip.compress(plain.getvalue(), 6, mtime=0))
