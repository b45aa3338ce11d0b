"""MintPy: `ifgramStack.h5` of offsets as shifts, `timeseriesRg.h5` and `timeseriesAz.h5` as a series, both ways."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import border, looks, mintpy_grid, writing
from xoffset.formats.border import Place
from xoffset.formats.mintpy_results import write_quality as write_quality
from xoffset.formats.mintpy_results import write_velocity as write_velocity
from xoffset.formats.names import SYSTEMS
from xoffset.model import checks, grids, products, units
from xoffset.model.dates import as_dates, as_instants
from xoffset.model.flags import FLAGS

# Files of a time series: along x and along y.
SERIES_FILES = ("timeseriesRg.h5", "timeseriesAz.h5")
_NAMES = SYSTEMS["mintpy"].names
# Memory that the rows read or written at a time may take, bytes.
_TASK_BYTES, _STRIP_BYTES = 16 * 2**20, 256 * 2**20


def recognises(look: looks.Look) -> bool:
    """Whether a file is a stack of offsets."""
    return look.kind == "hdf5" and {_NAMES["dx"], _NAMES["dy"], "date"} <= look.names


def read(path: str | os.PathLike[str], *, dropped: bool = False) -> xr.Dataset:
    """Shifts from MintPy's stack of offsets, or a series from a folder with its two time series.

    `rangeOffset` is taken for the displacement along x and `azimuthOffset` for that along y, in metres of the map, as
    in stacks of optical images, whose `PROCESSOR` is "cosicorr"; those of radar images are refused. Dates without a
    time of day are at midnight. Values of the file's `NO_DATA_VALUE`, and of -32768, stand for none. Its `offsetSNR` is
    no correlation and becomes `snr`.

    Parameters
    ----------
    path
        `ifgramStack.h5`, under any name; or a folder with `timeseriesRg.h5` and `timeseriesAz.h5`.
    dropped
        Read the pairs too that are marked as dropped, which MintPy leaves out.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x), lazy: `dx`, `dy` and their standard errors in metres, NaN and flagged `nodata` where there
        is no value. Or a series (time, y, x): `dx`, `dy` in metres since MintPy's reference date, of unknown standard
        errors, since its files have none.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the `netcdf` extra, which brings h5py, is not installed.
    ValueError
        If the file holds no offsets, is in radar geometry or in degrees, or all pairs are dropped.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.mintpy.write(shifts, f"{folder}/ifgramStack.h5")
    ...     xoffset.formats.mintpy.read(files).load().sizes["pair"] == shifts.sizes["pair"]
    True
    """
    caller = "mintpy.read"
    place = _options.as_path(path, "path", caller)
    is_all = _options.as_switch(dropped, "dropped", caller)
    if place.is_dir():
        return _read_series(place, caller)
    with _opened(place, caller) as file:
        _check_holds(file, (_NAMES["dx"], _NAMES["dy"], "date"), place, caller)
        attrs = _attributes(file)
        where, nodata = mintpy_grid.place(attrs, place, caller), mintpy_grid.nodata(attrs)
        dates = file["date"][:].astype("U")
        kept = np.ones(len(dates), dtype=np.bool_)
        if "dropIfgram" in file and not is_all:
            kept = np.asarray(file["dropIfgram"][:], dtype=np.bool_)  # True where MintPy keeps the pair
        names = {ours: theirs for ours, theirs in _NAMES.items() if theirs in file}
    if not kept.any():
        raise ValueError(
            f"{caller}() needs pairs that are not dropped; got {len(dates)} in {place}, all of them dropped. "
            "Read them all the same: dropped=True."
        )
    fields = {name: each if kept.all() else each[kept] for name, each in _lazy(place, names).items()}
    fields = {name: border.without(each, nodata) for name, each in fields.items()}
    first, second = (_instants(dates[kept, k], place, caller) for k in (0, 1))
    source = [f"{place.name} {a}_{b}" for a, b in dates[kept]]
    return border.to_shifts("mintpy", fields, first, second, where, source=source, caller=caller)


def write(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    stable: tuple[float, float] | None = None,
) -> Path:
    """Write shifts as MintPy's `ifgramStack.h5`, or a series as its two time series, for its programs to run on.

    Displacements along x are `rangeOffset`, those along y `azimuthOffset`, in metres, NaN where there is none, with
    standard errors as `rangeOffsetStd` and `azimuthOffsetStd`, and `snr`, if there is one, as `offsetSNR`. Rows go from
    north to south.

    Parameters
    ----------
    dataset
        Shifts (pair, y, x) or a series (time, y, x).
    path
        The file of shifts, ending in `.h5`; the folder for `timeseriesRg.h5` and `timeseriesAz.h5` of a series.
    overwrite
        Replace files that are there.
    stable
        Place (x, y) in metres that does not move: MintPy subtracts what is measured there. None: nothing needs
        subtracting. MintPy wants a place all the same; it is the pixel that most pairs know, and its option
        `--skip-reference` leaves the values as they are.

    Returns
    -------
    pathlib.Path
        The file of shifts, or the folder of a series.

    Raises
    ------
    TypeError
        If it is no Dataset.
    ImportError
        If the `netcdf` extra, which brings h5py, is not installed.
    FileExistsError
        If a file is there and `overwrite` is False.
    ValueError
        If it is neither shifts nor a series, two dates fall on one day, which MintPy could not tell apart, or `stable`
        lies outside.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.mintpy.write(shifts, f"{folder}/ifgramStack.h5")
    ...     xoffset.formats.mintpy.read(files).load().sizes["pair"] == shifts.sizes["pair"]
    True
    """
    caller = "mintpy.write"
    target = _options.as_path(path, "path", caller)
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    if isinstance(dataset, xr.Dataset) and "time" in dataset.dims and "pair" not in dataset.dims:
        return _write_series(dataset, target, is_free, stable, caller)
    if target.suffix != ".h5":
        raise ValueError(f"{caller}() needs the name of a file that ends in .h5 for shifts; got {target}. Rename it.")
    theirs = border.from_shifts("mintpy", dataset, caller=caller, fields=tuple(_NAMES))
    fields = {_NAMES[name]: values for name, values in theirs.fields.items()}
    days = _days(np.concatenate([theirs.reference, theirs.secondary]), caller)
    pairs = np.stack(np.split(days, 2), axis=1)
    attrs = mintpy_grid.georeference(theirs.place, theirs.step) | {"FILE_TYPE": "ifgramStack"}
    wanted = mintpy_grid.wanted_pixel(theirs.place, theirs.step, stable, caller)
    attrs |= {"START_DATE": min(days), "END_DATE": max(days), "DATE12": f"{pairs[0, 0][2:]}-{pairs[0, 1][2:]}"}
    n_bytes = sum(values.nbytes for values in fields.values())
    with (
        writing.replaced(target, overwrite=is_free, caller=caller) as scratch,
        _opened(scratch, caller, "w", n_bytes) as file,
    ):
        file["date"] = pairs.astype("S8")
        file["bperp"] = np.zeros(len(pairs), dtype=np.float32)
        file["dropIfgram"] = np.ones(len(pairs), dtype=np.bool_)
        written = _write_maps(file, fields)
        attrs |= mintpy_grid.reference_pixel(theirs.place, wanted or written.most_known)
        file.attrs.update({name: str(value) for name, value in attrs.items()})
    return target


# -------------------------------------------------------------------------------------------------------------- series


def _read_series(folder: Path, caller: str) -> xr.Dataset:
    parts, dates, places = [], [], []
    for name in SERIES_FILES:
        place = folder / name
        with _opened(place, caller) as file:
            _check_holds(file, ("timeseries", "date"), place, caller)
            attrs = _attributes(file)
            _check_in_metres(attrs.get("UNIT", "m"), place, caller)
            places.append(mintpy_grid.place(attrs, place, caller))
            dates.append(_instants(file["date"][:].astype("U"), place, caller))
        parts.append(
            border.without(_lazy(place, {"timeseries": "timeseries"})["timeseries"], mintpy_grid.nodata(attrs))
        )
    if dates[0].tolist() != dates[1].tolist() or parts[0].shape != parts[1].shape:
        raise ValueError(
            f"{caller}() needs the same dates and pixels in both time series; got {parts[0].shape} and "
            f"{parts[1].shape} (time, y, x) from {dates[0][0]} and {dates[1][0]} on. Make both from one stack."
        )
    is_known = np.isfinite(parts[0]) & np.isfinite(parts[1])
    fields = {
        name: np.where(is_known, part, np.float32(np.nan)) for name, part in zip(("dx", "dy"), parts, strict=True)
    }
    fields |= {f"sigma_{name}": values * np.float32(np.nan) for name, values in fields.items()}
    fields["flags"] = np.where(is_known, np.int64(0), np.int64(FLAGS["nodata"]))
    like = xr.Dataset(coords={"y": places[0].y, "x": places[0].x})
    if places[0].crs is not None:
        like = like.assign_coords(spatial_ref=grids.spatial_ref(places[0].crs))
    grids.check_crs(places[0].crs, like, caller)
    return products.series(fields, dates[0], like=like, step={"function": caller, "system": "mintpy"})


def _check_in_metres(unit: str, path: Path, caller: str) -> None:
    if units.factor(unit, "m") != 1.0:
        raise ValueError(
            f"{caller}() needs time series in metres; got UNIT {unit!r} in {path}. Pass those that ifgram_inversion.py "
            "makes of offsets in metres."
        )


def _write_series(
    series: xr.Dataset, folder: Path, overwrite: bool, stable: tuple[float, float] | None, caller: str
) -> Path:
    series = checks.as_series(series, caller)
    steps = grids.spacing(series, caller)
    flips = {label: slice(None, None, -1) for label, flip in (("y", steps.y > 0), ("x", steps.x < 0)) if flip}
    series = series.isel(flips)
    steps = grids.spacing(series, caller)
    place = Place.of(series)
    days = _days(as_dates(series["time"].values), caller)
    attrs = mintpy_grid.georeference(place, steps) | {
        "FILE_TYPE": "timeseries",
        "START_DATE": days[0],
        "END_DATE": days[-1],
    }
    wanted = mintpy_grid.wanted_pixel(place, steps, stable, caller)
    n_bytes = sum(series[component].nbytes for component in ("dx", "dy"))
    with (
        writing.replaced_all(folder, SERIES_FILES, overwrite=overwrite, caller=caller) as scratch,
        ExitStack() as stack,
    ):
        files = [stack.enter_context(_opened(scratch / name, caller, "w", n_bytes)) for name in SERIES_FILES]
        written = _write_maps(files, {component: series[component].data for component in ("dx", "dy")})
        # the reference day: all displacements that are known are zero then
        attrs |= {"REF_DATE": days[int(np.argmax(written.largest == 0.0))]}
        attrs |= mintpy_grid.reference_pixel(place, wanted or written.most_known)
        for file in files:
            file["date"] = days.astype("S8")
            file["bperp"] = np.zeros(days.size, dtype=np.float32)
            file.attrs.update({name: str(value) for name, value in attrs.items()})
    return folder


# --------------------------------------------------------------------------------------------------------------- files


def _opened(path: Path, caller: str, mode: str = "r", n_bytes: int = 0) -> Any:
    """HDF5 file, to write so many bytes to or to read."""
    h5py = looks.optional("h5py", "netcdf", caller)
    writing.check_room(path.parent, n_bytes, caller)
    if mode == "r" and not path.is_file():
        raise FileNotFoundError(f"{caller}() needs a file of MintPy; got {path}, where there is none. Check the path.")
    try:
        return h5py.File(path, mode)
    except OSError as error:
        raise OSError(f"{caller}() needs an HDF5 file; got {path}, of which h5py says: {error}.") from error


def _check_holds(file: Any, names: tuple[str, ...], path: Path, caller: str) -> None:
    lacking = [name for name in names if name not in file]
    if lacking:
        raise ValueError(
            f"{caller}() needs {', '.join(names)} in a file of MintPy; got {path} with "
            f"{', '.join(sorted(file)) or 'none'}. Pass the stack of offsets, or the folder with both time series."
        )


def _attributes(file: Any) -> dict[str, str]:
    return {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in file.attrs.items()}


def _lazy(path: Path, names: Mapping[str, str]) -> dict[str, Any]:
    """Arrays (date or pair, y, x) or (pair,) in dask chunks of whole rows, all dates in each."""
    stored = xr.open_dataset(path, engine="h5netcdf", phony_dims="sort", decode_cf=False, cache=False)
    arrays = {}
    for ours, theirs in names.items():
        variable = stored[theirs].variable
        row_bytes = variable.nbytes // max(variable.sizes[variable.dims[1]], 1)
        sides = (-1, max(1, _TASK_BYTES // max(row_bytes, 1)), -1)
        arrays[ours] = variable.chunk(dict(zip(variable.dims, sides, strict=True))).data
    return arrays


@dataclass(frozen=True)
class _Written:
    """What was seen while maps were written: row and column of the pixel that most maps know, largest value of each."""

    most_known: tuple[int, int]
    largest: np.ndarray


def _write_maps(file: Any, fields: Mapping[str, Any]) -> _Written:
    """Write maps (n, y, x) as float32, the rows of all together, so that lazy ones are computed once.

    They go into one file by their names, or into one each as `timeseries`.
    """
    places = [(each, "timeseries") for each in file] if isinstance(file, list) else [(file, name) for name in fields]
    made = []
    for (target, name), values in zip(places, fields.values(), strict=True):
        made.append(target.create_dataset(name, values.shape, np.float32, maxshape=(None, *values.shape[1:])))
        made[-1].attrs["MODIFICATION_TIME"] = "0"
    maps = xr.Dataset({name: (("n", "y", "x"), values) for name, values in fields.items()})
    known = np.zeros((maps.sizes["y"], maps.sizes["x"]), dtype=np.int64)
    largest = np.full(maps.sizes["n"], np.nan)
    for rows in _strips(maps.sizes["y"], max(1, _STRIP_BYTES * maps.sizes["y"] // max(maps.nbytes, 1))):
        strip = maps.isel(y=rows).compute()
        for array, values in zip(made, strip.values(), strict=True):
            array[:, rows] = values.values.astype(np.float32)
        first, second = (strip[name].values for name in list(fields)[:2])
        known[rows] = np.isfinite(first).sum(axis=0)
        largest = np.fmax(largest, np.fmax.reduce(np.fmax(abs(first), abs(second)), axis=(1, 2), initial=np.nan))
    row, column = divmod(int(known.argmax()), known.shape[1])
    return _Written((row, column), largest)


def _strips(height: int, rows: int) -> Iterator[slice]:
    for start in range(0, height, rows):
        yield slice(start, min(start + rows, height))


# --------------------------------------------------------------------------------------------------------------- dates


def _instants(texts: np.ndarray, path: Path, caller: str) -> np.ndarray:
    """Dates of texts YYYYMMDD, perhaps with their time, YYYYMMDDTHHMM."""
    found = as_instants(texts.tolist())
    if np.isnat(found).any():
        raise ValueError(
            f"{caller}() needs dates YYYYMMDD or YYYYMMDDTHHMM; got {texts[np.isnat(found)][0]} in {path}. Correct "
            "'date' in the file."
        )
    return found


def _days(dates: np.ndarray, caller: str) -> np.ndarray:
    """Days of dates as texts YYYYMMDD, refusing two dates of one day."""
    days = np.array([day.replace("-", "") for day in np.datetime_as_string(dates, unit="D")])
    for day, many in zip(*np.unique(np.unique(dates).astype("M8[D]"), return_counts=True), strict=True):
        if many > 1:
            raise ValueError(
                f"{caller}() needs dates of different days, which is all that MintPy tells apart; got {many} on {day}. "
                "Leave out the pairs of all but one of them."
            )
    return days
