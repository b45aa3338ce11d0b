"""pycorr: netCDF files and sets of GeoTIFFs, one a pair."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import border, file_sets, looks, pycorr_layers, pycorr_netcdf, rasters, stores, writing
from xoffset.formats.names import SYSTEMS
from xoffset.formats.pycorr_browse import SLOWEST as SLOWEST
from xoffset.formats.pycorr_browse import write_browse as write_browse
from xoffset.formats.pycorr_geotiffs import write_geotiffs as write_geotiffs
from xoffset.formats.pycorr_layers import About
from xoffset.model import units
from xoffset.model.dates import Date
from xoffset.model.flags import FLAGS

_SYSTEM = "pycorr"
_READ, _WRITE = "pycorr.read", "pycorr.write"
_NAMES = SYSTEMS[_SYSTEM].names
# Numbers for no value that files may not declare, of velocities, scores and curvatures.
_FILLS, _NO_SCORE, _NO_CURVATURE = (-99.0, -9999.0), -2.0, -999.0
_UNITS = "m d-1"
# What a file name ends with, by our names; pycorr itself writes the masked speed over the masked vx.
_ENDS = {name: f"_{theirs}.tif" for name, theirs in _NAMES.items()}
_MASKED = "_vy_masked.tif"


def recognises(look: looks.Look) -> bool:
    """Whether it is a netCDF file of a pair, or one of its GeoTIFFs."""
    if look.kind == "hdf5":
        return {"vx", "vy", "image_pair_times"} <= look.names
    return look.kind == "tiff" and look.name.endswith((*_ENDS.values(), _MASKED)) and "velo-" not in look.name


def main(place: str) -> str:
    """The file that stands for a pair: the one along x."""
    end = next((end for end in (_MASKED, *reversed(_ENDS.values())) if place.endswith(end)), None)
    return place if end is None else place.removesuffix(end) + _ENDS["dx"]


def read(
    path: str | os.PathLike[str],
    *,
    masked: bool = True,
    dates: tuple[Date, Date] | None = None,
    per: str | None = None,
) -> xr.Dataset:
    """Shifts of a pair of pycorr.

    Its velocities follow the axes of the projection, in metres a day, or a year if it was asked to. They are multiplied
    by the time between the images. `score` is its `corr`, `peak_gap` its `del_corr`, `curvature_x` and `curvature_y`
    its `d2idx2` and `d2jdx2`. It has no standard errors.

    Parameters
    ----------
    path
        netCDF file, or the GeoTIFF `<name>_vx.tif` beside `<name>_vy.tif`.
    masked
        Set to NaN, with the flag `pycorr`, what pycorr masks for a weak peak or one like another. In a set of GeoTIFFs
        the file `<name>_vy_masked.tif` tells where that is.
    dates
        Reference and secondary date, of GeoTIFFs whose name does not tell them.
    per
        Unit of time of GeoTIFFs, `"day"` or `"year"`, which they do not tell. None: a day.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) of one pair.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    ImportError
        If it is a netCDF file and the extra `netcdf` is not installed.
    ValueError
        If it is no file of pycorr, its units are none of a velocity, or dates are not known.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (path,) = xoffset.formats.pycorr.write(shifts, folder)
    ...     dict(xoffset.formats.pycorr.read(path).load().sizes)["pair"]
    1
    """
    place = _options.as_path(path, "path", _READ)
    is_masked = _options.as_switch(masked, "masked", _READ)
    if place.suffix.lower() in (".tif", ".tiff"):
        return _read_files(place, is_masked, file_sets.Given(dates=dates), per)
    if dates is not None or per is not None:
        raise ValueError(
            f"{_READ}() needs no dates and no unit for {place.name}, which tells them; got one. Leave it out."
        )
    data, name = stores.opened(place, _READ), place.name
    stores.check_has(data, ("vx", "vy", "x", "y", "image_pair_times"), name, _READ)
    about = data["image_pair_times"].attrs
    first, second = (
        stores.dates(about.get(f"{key}_date", ""), f"{key}_date of {name}", _READ) for key in ("start", "end")
    )
    fields = {ours: data[theirs].data for ours, theirs in _NAMES.items() if theirs in data}
    scale = _per_day(data["vx"].attrs.get("units", about.get("del_t_speed_units", "")), name)
    flags = None
    if is_masked and "vx_masked" in data:
        flags = _screen(fields, data["vx_masked"].data)
    grid = stores.place_of(data, _READ)
    return border.to_shifts(
        _SYSTEM, _in_days(fields, scale), first, second, grid, source=[name], caller=_READ, flags=flags
    )


def _read_files(path: Path, is_masked: bool, given: file_sets.Given, per: str | None) -> xr.Dataset:
    stem = main(str(path)).removesuffix(_ENDS["dx"])
    files = {name: Path(f"{stem}{end}") for name, end in _ENDS.items()}
    files = {name: file for name, file in files.items() if file.exists() or name in ("dx", "dy")}
    mask = Path(f"{stem}{_MASKED}")
    if is_masked and mask.exists():
        files["masked"] = mask
    scale = 1.0 if per is None else _options.one_of(per, {"day": 1.0, "year": 1.0 / 365.25}, "per", _READ)
    if per is not None and files["dx"].exists():
        _check_tells_no_unit(files["dx"], per)

    def change(fields: dict[str, Any]) -> Any:
        flags = _screen(fields, fields.pop("masked")) if "masked" in fields else None
        fields.update(_in_days(fields, scale))
        return flags

    return file_sets.read_files(_SYSTEM, files, given, _READ, change=change)


def _check_tells_no_unit(path: Path, per: str) -> None:
    with rasters.opened(path, _READ) as file:
        if file.units[0]:
            raise ValueError(
                f"{_READ}() needs no unit of time for {path.name}, which tells {file.units[0]!r}; got per={per!r}. "
                "Leave it out."
            )


def _screen(fields: dict[str, Any], masked: Any) -> Any:
    """Set to NaN what pycorr masks, and answer the flags of that."""
    is_lost = _is_missing(masked) & ~_is_missing(fields["dx"])
    for name in ("dx", "dy"):
        fields[name] = np.where(is_lost, np.float32(np.nan), fields[name])
    return is_lost * np.int64(FLAGS["pycorr"])


def _is_missing(values: Any) -> Any:
    is_missing = np.isnan(values)
    for number in _FILLS:
        is_missing = is_missing | (values == np.float32(number))
    return is_missing


def _in_days(fields: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """Velocities per day, and scores without the number for none."""
    out = dict(fields)
    for name in ("dx", "dy"):
        values = out[name]
        out[name] = values if scale == 1.0 else np.where(_is_missing(values), values, values * np.float32(scale))
    limits = dict.fromkeys(("score", "peak_gap"), _NO_SCORE)
    limits |= dict.fromkeys(("curvature_x", "curvature_y"), _NO_CURVATURE)
    for name, limit in limits.items():
        if name in out:
            out[name] = np.where(out[name] > np.float32(limit), out[name], np.float32(np.nan))
    return out


def _per_day(stated: Any, name: str) -> float:
    """Factor from the units of a file to metres a day."""
    factor = units.factor(str(stated), _UNITS)
    if factor is None:
        raise ValueError(
            f"{_READ}() needs velocities in metres a day or a year; got units {str(stated)!r} in {name}. Correct the "
            "attribute 'units' of vx."
        )
    return factor


def write(
    shifts: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    unmasked: xr.Dataset | None = None,
    per: Literal["day", "year"] = "day",
    overwrite: bool = False,
    **about: Unpack[About],
) -> list[Path]:
    """NetCDF files in the layout of pycorr, one a pair, `<reference>_<secondary>_hp.nc`, in any projection.

    They hold `vx`, `vy`, `vv` as they were matched and, what the masks leave, `vx_masked`, `vy_masked`, `vv_masked`,
    east and north positive along the axes of the grid; `corr`, `del_corr`, and `d2idx2`, `d2jdx2` of
    `NCC(curvature=True)`; `del_i`, `del_j` [px], to the right and downwards, as they were matched, where shifts tell
    the side of a pixel; and attributes of `image_pair_times`, `offset_correction` and `input_image_details`.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) with a CRS, screened, and corrected by one shift a pair if at all; lazy ones are computed
        pair by pair.
    folder
        Where the files go; made if it is not there.
    unmasked
        The matches that the shifts were made of, by `screen` and `correct`; None: the shifts themselves. What was taken
        off the shifts is taken off them, too.
    per
        Unit of time of velocities, metres a `"day"` or a `"year"` of 365.25 days.
    overwrite
        Replace files of the same names.
    about
        `classes`: land, glacier or water of `masking.land_classes`, written as `lgo_mask`. `images`: the stack that was
        matched; names of its scenes, pixels and CRS are told. `base`: what the names begin with, in place of the dates
        of a single pair, before those of several. `log`: first lines of `processing_log`, such as a command,
        below which it tells what was done of the pair: images, grid, matches, offset, masks; without it, none.

    Returns
    -------
    list of pathlib.Path
        The files, in the order of the pairs.

    Raises
    ------
    TypeError
        If it is no Dataset, the classes or images are none, or something else is told.
    ImportError
        If the extra `netcdf` is not installed.
    ValueError
        If these are no shifts, they have no CRS, a correction varies within a pair, the matches are of other pairs or
        nodes, the classes are of another CRS, or the name holds signs of folders.
    FileExistsError
        If a file is there and `overwrite` is not set.
    OSError
        If the files cannot be written.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     len(xoffset.formats.pycorr.write(shifts, folder)) == shifts.sizes["pair"]
    True
    """
    target = _options.as_path(folder, "folder", _WRITE)
    is_asked = _options.as_switch(overwrite, "overwrite", _WRITE)
    looks.optional("h5netcdf", "netcdf", _WRITE)
    given = pycorr_layers.given(unmasked, per, about, _WRITE)
    sheets = pycorr_layers.prepared(shifts, given, _WRITE)
    border.check_has_crs(sheets.masked, _WRITE)
    names = [f"{stem}_hp.nc" for stem in sheets.names]
    with writing.replaced_all(target, names, overwrite=is_asked, caller=_WRITE) as scratch:
        for pair, name in enumerate(names):
            pycorr_netcdf.write(sheets, pair, given.log, scratch / name, _WRITE)
    return [target / name for name in names]
