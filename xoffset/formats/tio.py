"""TIO: displacement through time and its misclosure in files of many bands, both ways, and its quicklooks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import rasters, service_maps, writing
from xoffset.formats.border import Place
from xoffset.formats.tio_quicklooks import COMPONENTS
from xoffset.formats.tio_quicklooks import write_quicklooks as write_quicklooks
from xoffset.model import checks, grids, products
from xoffset.model.dates import as_dates, as_instants
from xoffset.model.flags import FLAGS

# Number that stands for no value in its files.
NODATA = 9999.0
_TOWARD = {"EW": "east", "NS": "south"}
_READ = "tio.read"


def read(folder: str | os.PathLike[str]) -> xr.Dataset:
    """Series of the files `depl_cumule_EW.tiff` and `depl_cumule_NS.tiff`.

    Parameters
    ----------
    folder
        Folder with both files. Each band is a date, which its description tells, YYYYMMDD.

    Returns
    -------
    xarray.Dataset
        Series (time, y, x): `dx`, `dy` in metres of the grid since the date whose displacement is zero, positive toward
        increasing x and y, NaN and flagged `nodata` where there is none. Standard errors are not known.

    Raises
    ------
    FileNotFoundError
        If one of the files is not there.
    ValueError
        If they have other dates or grids, or bands that tell no date.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01"])
    >>> series = xoffset.invert(xoffset.correlate(stack, xoffset.pairs(stack), search=5), reference="first")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.tio.write(series, folder)
    ...     float(abs(xoffset.formats.tio.read(folder).dy - series.dy).max())
    0.0
    """
    place = _options.as_path(folder, "folder", _READ)
    read_of = {}
    for end in COMPONENTS:
        path = place / f"depl_cumule_{end}.tiff"
        if not path.is_file():
            raise FileNotFoundError(f"{_READ}() needs {path.name} in {place}; there is none. Check the folder.")
        read_of[end] = rasters.read(path, _READ)
    first, second = read_of.values()
    if first.names != second.names or not all(
        np.array_equal(getattr(first.place, name), getattr(second.place, name)) for name in ("x", "y")
    ):
        raise ValueError(
            f"{_READ}() needs both files with the same dates and on one grid; got {len(first.names)} bands and "
            f"{len(second.names)}, or other places. Make them of one run."
        )
    dates = as_instants(first.names)
    if np.isnat(dates).any():
        raise ValueError(
            f"{_READ}() needs a date YYYYMMDD as the description of every band; got {first.names}. Describe the bands."
        )
    fields: dict[str, Any] = {}
    for end, (name, sign) in COMPONENTS.items():
        values = read_of[end].values
        fields[name] = np.where(values == NODATA, np.float32(np.nan), values * np.float32(sign))
    is_known = np.isfinite(fields["dx"]) & np.isfinite(fields["dy"])
    fields |= {f"sigma_{name}": np.full_like(fields["dx"], np.nan) for name in ("dx", "dy")}
    fields["flags"] = np.where(is_known, np.int64(0), np.int64(FLAGS["nodata"]))
    like = xr.Dataset(coords={"y": first.place.y, "x": first.place.x})
    if first.place.crs is not None:
        like = like.assign_coords(spatial_ref=grids.spatial_ref(first.place.crs))
    grids.check_crs(first.place.crs, like, _READ)
    return products.series(fields, dates, like=like, step={"function": _READ, "system": "tio"})


def write(series: xr.Dataset, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Write displacement through time as `depl_cumule_EW.tiff` and `depl_cumule_NS.tiff`.

    Each band is a date, YYYYMMDD in its description: displacement in metres since the date whose displacement is zero,
    positive toward east and, as MicMac's Px2, toward **south**; 9999 where it is unknown. Tags tell the first and the
    last date.

    Parameters
    ----------
    series
        Series (time, y, x) of `invert`; it is computed as a whole.
    folder
        Where the files go; made if it is not there.
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        Both files.

    Raises
    ------
    TypeError, ValueError
        If it is no series on a grid, or two dates are of one day.
    FileExistsError
        If a file is there and `overwrite` is False.
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01"])
    >>> series = xoffset.invert(xoffset.correlate(stack, xoffset.pairs(stack), search=5))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in xoffset.formats.tio.write(series, folder)]
    ['depl_cumule_EW.tiff', 'depl_cumule_NS.tiff']
    """
    caller = "tio.write"
    target = _options.as_path(folder, "folder", caller)
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    series = service_maps.prepared(checks.as_series(series, caller), caller)
    days = days_of(as_dates(series["time"].values), caller)
    files = {
        f"depl_cumule_{end}.tiff": (
            _bands(series[name], sign, days),
            f"displacement since the reference date, {_TOWARD[end]} positive",
        )
        for end, (name, sign) in COMPONENTS.items()
    }
    return _write(files, series, target, {"first": days[0], "last": days[-1]}, is_free, caller)


def write_misclosure(misclosure: xr.Dataset, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Write `RMSpixel_dates_EW.tiff`, `RMSpixel_pairs_EW.tiff` and those of NS: what does not close, by date and pair.

    Each band is a date, YYYYMMDD in its description, and holds the root mean square of the residuals of its pairs in
    metres; or a pair, YYYYMMDD-YYYYMMDD, and holds the size of its residual. 9999 where there is none.

    Parameters
    ----------
    misclosure
        Result of `misclosure`; it is computed as a whole.
    folder
        Where the files go; made if it is not there.
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The four files.

    Raises
    ------
    TypeError, ValueError
        If it is another dataset, two dates are of one day, or two pairs have the same days.
    FileExistsError
        If a file is there and `overwrite` is False.
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01", "2021-01-01"])
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    >>> found = xoffset.misclosure(shifts, xoffset.invert(shifts))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     len(xoffset.formats.tio.write_misclosure(found, folder))
    4
    """
    caller = "tio.write_misclosure"
    target = _options.as_path(folder, "folder", caller)
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    lacking = [name for name in ("residual_dx", "residual_dy", "rms_dx", "rms_dy") if name not in misclosure]
    if lacking:
        raise ValueError(
            f"{caller}() needs {', '.join(lacking)}; got variables {list(map(str, misclosure.data_vars))}. Pass the "
            "result of misclosure()."
        )
    found = service_maps.prepared(checks.check_pairs(misclosure, caller), caller)
    days = days_of(as_dates(found["time"].values), caller)
    pairs = ["-".join(each) for each in service_maps.days_of_pairs(found, caller)]
    files: dict[str, tuple[dict[str, np.ndarray], str]] = {}
    for end, (name, _) in COMPONENTS.items():
        of_dates = _bands(found[f"rms_{name}"], 1.0, days), "root mean square residual of the pairs of a date"
        of_pairs = _bands(abs(found[f"residual_{name}"]), 1.0, pairs), "size of the residual of a pair"
        files |= {f"RMSpixel_dates_{end}.tiff": of_dates, f"RMSpixel_pairs_{end}.tiff": of_pairs}
    return _write(files, found, target, {"first": days[0], "last": days[-1]}, is_free, caller)


def days_of(dates: np.ndarray, caller: str) -> list[str]:
    """Days YYYYMMDD, which must be different ones."""
    days = [str(day).replace("-", "") for day in np.datetime_as_string(dates, unit="D")]
    if len(set(days)) < len(days):
        raise ValueError(f"{caller}() needs one date a day, which bands tell; got two of a day. Choose one of them.")
    return days


def _bands(field: xr.DataArray, sign: float, names: list[str]) -> dict[str, np.ndarray]:
    """Bands by their descriptions, with the number for no value; no zero has a sign."""
    values = (sign * field.values.astype(np.float64) + 0.0).astype(np.float32)
    values = np.where(np.isfinite(values), values, np.float32(NODATA))
    return dict(zip(names, values, strict=True))


def _write(
    files: Mapping[str, tuple[Mapping[str, np.ndarray], str]],
    like: xr.Dataset,
    folder: Path,
    tags: Mapping[str, str],
    overwrite: bool,
    caller: str,
) -> list[Path]:
    options = rasters.profile(Place.of(like), grids.spacing(like, caller))
    options |= {"nodata": NODATA, "interleave": "band"}
    with writing.replaced_all(folder, list(files), overwrite=overwrite, caller=caller) as scratch:
        for name, (bands, title) in files.items():
            rasters.write(scratch / name, bands, options, {"units": "m", "long_name": title, **tags}, caller)
    return [folder / name for name in files]
