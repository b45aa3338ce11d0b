"""ITS_LIVE image pairs: netCDF granules of version 1 and 2, which HyP3 makes too with autoRIFT."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset.formats import border, looks, stores, writing
from xoffset.formats.border import Theirs
from xoffset.formats.names import SYSTEMS
from xoffset.model import declared, north, products, units
from xoffset.model.flags import FLAGS

_SYSTEM = "itslive"
_READ, _WRITE = "itslive.read", "itslive.write"
_FILL = -32767
# Numbers for no value, of signed and of unsigned whole numbers.
FILLS = {"i": _FILL, "u": 0}
_UNITS = "meter/year"
# Names of the attributes with the dates, in granules of version 2 and of version 1.
_DATES = ("acquisition_date_img", "acquisition_img")
# Variables of shifts that granules and cubes take.
CHIP = "chip_size"
CHIPS = ("chip_size_width", "chip_size_height")
WRITTEN = ("dx", "dy", "sigma_dx", "sigma_dy", "flags", CHIP)
# Attributes of a component with its standard error, the best one first.
_ERRORS = ("error", "vx_error", "vy_error", "stable_rmse")


def recognises(look: looks.Look) -> bool:
    """Whether it is a granule."""
    return look.kind == "hdf5" and {"vx", "vy", "img_pair_info"} <= look.names


def read(source: str | os.PathLike[str] | xr.Dataset) -> xr.Dataset:
    """Shifts of an ITS_LIVE image pair.

    The velocity is multiplied by the time between the images, with their time of day. Standard errors are those that
    the granule tells for the whole pair, NaN where it tells none. Values that were interpolated have the flag
    `smoothed`.

    Parameters
    ----------
    source
        netCDF file of version 1 or 2, of ITS_LIVE or of HyP3, or what xarray makes of it.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) of one pair, lazy.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the extra `netcdf` is not installed.
    ValueError
        If it is no granule, or its dates cannot be read.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = xoffset.formats.itslive.write(shifts, folder)
    ...     dict(xoffset.formats.itslive.read(files[0]).load().sizes)["pair"]
    1
    """
    data = stores.opened(source, _READ)
    name = stores.name_of(source)
    stores.check_has(data, ("vx", "vy", "img_pair_info", "x", "y"), name, _READ)
    about = data["img_pair_info"].attrs
    key = next((key for key in _DATES if f"{key}1" in about), _DATES[0])
    reference, secondary = (
        stores.dates(about.get(f"{key}{number}", ""), f"{key}{number} of {name}", _READ) for number in (1, 2)
    )
    fields, wanted = stores.vectors_of(data, SYSTEMS[_SYSTEM], _READ), SYSTEMS[_SYSTEM].units
    for component in ("x", "y"):
        about_it = data[f"v{component}"].attrs
        ratio = units.factor(about_it.get("units", wanted), wanted) or 1.0
        fields[f"sigma_d{component}"] = np.array([stores.number(about_it, *_ERRORS) * ratio])
    chip = data.get("chip_size_width")
    side = float("nan") if chip is None else stores.number(chip.attrs, "x_pixel_size")
    if chip is not None and np.isfinite(side):
        sides = declared.decoded(chip, "'chip_size_width'", _READ, wanted="m").data
        fields["template_size"] = np.where(sides > 0, sides, np.nan).astype(np.float32) / np.float32(side)
    flags = None
    if "interp_mask" in data:
        flags = (data["interp_mask"].fillna(0).data == 1) * np.int64(FLAGS["smoothed"])
    place = stores.place_of(data, _READ)
    return border.to_shifts(
        _SYSTEM, fields, reference, secondary, place, source=[name], caller=_READ, flags=flags,
    )  # fmt: skip


def write(shifts: xr.Dataset, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Granules in the layout of ITS_LIVE version 2, one netCDF file a pair.

    Velocities are whole metres a year, as in all granules: displacements that are slower are lost, and pairs of a few
    days may be beyond what 16 bits hold. The standard error of a pair is the root mean square of those of its values.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) with a CRS; lazy ones are computed pair by pair.
    folder
        Where the files go; made if it is not there.
    overwrite
        Replace files of the same names.

    Returns
    -------
    list of pathlib.Path
        The files, in the order of the pairs.

    Raises
    ------
    TypeError
        If it is no Dataset.
    ImportError
        If the extra `netcdf` is not installed.
    ValueError
        If these are no shifts, they have no CRS, or a velocity is beyond ±32766 m/yr.
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
    ...     len(xoffset.formats.itslive.write(shifts, folder)) == shifts.sizes["pair"]
    True
    """
    target = _options.as_path(folder, "folder", _WRITE)
    is_asked = _options.as_switch(overwrite, "overwrite", _WRITE)
    looks.optional("h5netcdf", "netcdf", _WRITE)
    theirs = border.from_shifts(_SYSTEM, with_chips(shifts), caller=_WRITE, fields=WRITTEN)
    border.check_has_crs(theirs, _WRITE)
    sides = np.broadcast_to(shifts.coords.get(products.PIXEL_SIZE, np.nan), len(theirs.reference))
    names = [f"{stem}_G{abs(theirs.step.x):04.0f}V02.nc" for stem in border.stems(theirs, "_X_")]
    with writing.replaced_all(target, names, overwrite=is_asked, caller=_WRITE) as scratch:
        for pair, name in enumerate(names):
            granule = _granule(theirs, pair)
            for axis, key in zip("xy", CHIPS, strict=True):
                if key in granule:
                    granule[key].attrs[f"{axis}_pixel_size"] = float(sides[pair])
            writing.netcdf(granule, scratch / name, _WRITE)
    return [target / name for name in names]


def with_chips(shifts: xr.Dataset) -> xr.Dataset:
    """Shifts with the side of the windows in metres, where they tell it."""
    if not isinstance(shifts, xr.Dataset) or products.PIXEL_SIZE not in shifts.coords or "dx" not in shifts:
        return shifts
    if "template_size" in shifts:
        return shifts.assign(
            {CHIP: (shifts["template_size"] * shifts[products.PIXEL_SIZE]).transpose(*shifts["dx"].dims)}
        )
    if products.WINDOW_SIZE not in shifts.coords:
        return shifts
    is_known = shifts["dx"].notnull()
    return shifts.assign({CHIP: shifts[products.WINDOW_SIZE].where(is_known).transpose(*shifts["dx"].dims)})


def packed_chips(chips: np.ndarray) -> np.ndarray:
    """Sides of windows in metres as granules and cubes have them, 0 where there is none."""
    return border.packed(chips, "uint16", 0, "chip_size_width", "m", _WRITE)


def _granule(theirs: Theirs, pair: int) -> xr.Dataset:
    """Dataset of one pair in the layout of version 2."""
    values = {key: np.asarray(data[pair]) for key, data in theirs.fields.items()}
    vx, vy = values["dx"], values["dy"]
    spread = error_of_speed(vx, vy, values["sigma_dx"], values["sigma_dy"])
    is_smoothed = (values.get("flags", np.zeros(vx.shape, np.int64)) & FLAGS["smoothed"]) != 0
    maps = {"vx": vx, "vy": vy, "v": np.hypot(vx, vy), "v_error": spread}
    whole = {
        key: (("y", "x"), border.packed(each, "int16", _FILL, key, "m/yr", _WRITE), about(key))
        for key, each in maps.items()
    }
    for key in ("x", "y"):
        whole[f"v{key}"][2]["error"] = root_mean_square(values[f"sigma_d{key}"])
        whole[f"v{key}"][2]["error_description"] = "root mean square of the standard errors of the values"
    for key in CHIPS if CHIP in values else ():
        whole[key] = (("y", "x"), packed_chips(values[CHIP]), about(key))
    share = 100.0 * float(np.isfinite(vx).mean())
    data = xr.Dataset(
        whole | {"interp_mask": (("y", "x"), is_smoothed.astype(np.uint8), about("interp_mask"))},
        coords={key: (key, getattr(theirs.place, key), AXES[key]) for key in ("y", "x")},
        attrs=dict(ROOT),
    )
    data["mapping"] = ((), np.int8(0), mapping(theirs))
    data["img_pair_info"] = ((), np.int8(0), _pair_info(theirs, pair, share))
    for name, variable in data.variables.items():
        variable.encoding = {"_FillValue": None}
        if variable.ndim == 2:
            variable.attrs["grid_mapping"] = "mapping"
            fill = {} if name == "interp_mask" else {"_FillValue": variable.dtype.type(FILLS[variable.dtype.kind])}
            rows = min(640, variable.shape[0])
            variable.encoding |= fill | {"zlib": True, "complevel": 2, "shuffle": True}
            variable.encoding["chunksizes"] = (rows, variable.shape[1])
    return data


def error_of_speed(vx: np.ndarray, vy: np.ndarray, along_x: np.ndarray, along_y: np.ndarray) -> np.ndarray:
    """Standard error of the length of vectors, to first order; NaN where nothing moves."""
    speed = np.hypot(vx, vy)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(speed > 0, np.hypot(vx * along_x, vy * along_y) / speed, np.nan).astype(vx.dtype)


def root_mean_square(values: np.ndarray) -> float:
    """Of the values that are known; NaN if none is."""
    known = values[np.isfinite(values)].astype(np.float64)
    return float(np.sqrt(np.mean(known**2))) if known.size else float("nan")


def mapping(theirs: Theirs) -> dict[str, Any]:
    """Attributes of the grid mapping."""
    place, step = theirs.place, theirs.step
    assert place.crs is not None
    corner = place.x[0] - step.x / 2, place.y[0] - step.y / 2
    text = place.crs.to_wkt("WKT1_GDAL")
    about = place.crs.to_cf() | {"crs_wkt": text, "spatial_ref": text}
    code = place.crs.to_epsg()
    about |= {"GeoTransform": f"{corner[0]} {step.x} 0.0 {corner[1]} 0.0 {step.y}"}
    return about | ({} if code is None else {"spatial_epsg": code})


def _pair_info(theirs: Theirs, pair: int, share: float) -> dict[str, Any]:
    first, second = theirs.reference[pair], theirs.secondary[pair]
    like = xr.Dataset(coords={"x": theirs.place.x, "y": theirs.place.y, "spatial_ref": border.mapping_of(theirs)})
    longitude, latitude = north.middle(like, "the grid", _WRITE) or (float("nan"), float("nan"))
    about: dict[str, Any] = {
        "standard_name": "image_pair_information",
        "acquisition_date_img1": basic(first), "acquisition_date_img2": basic(second),
        "time_standard_img1": "UTC", "time_standard_img2": "UTC",
        "date_center": basic(first + (second - first) // 2), "date_dt": float(theirs.days[pair]),
        "latitude": round(latitude, 2), "longitude": round(longitude, 2), "roi_valid_percentage": round(share, 1),
    }  # fmt: skip
    return about | ({"id_pair": theirs.source[pair]} if theirs.source[pair] else {})


def basic(date: np.datetime64) -> str:
    """Date as granules have it."""
    return pd.Timestamp(date).strftime("%Y%m%dT%H:%M:%S.%f")


AXES = {
    name: {
        "standard_name": f"projection_{name}_coordinate",
        "description": f"{name} coordinate of projection",
        "units": "m",
    }
    for name in ("x", "y")
}  # fmt: skip
_TEXTS = {
    "vx": ("land_ice_surface_x_velocity", "velocity component in x direction"),
    "vy": ("land_ice_surface_y_velocity", "velocity component in y direction"),
    "v": ("land_ice_surface_velocity", "velocity magnitude"),
    "v_error": ("velocity_error", "velocity magnitude error"),
    "chip_size_width": ("chip_size_width", "width of search template (chip)"),
    "chip_size_height": ("chip_size_height", "height of search template (chip)"),
    "interp_mask": ("interpolated_value_mask", "true where values have been interpolated"),
}
ROOT = {
    "GDAL_AREA_OR_POINT": "Area",
    "Conventions": "CF-1.8",
    "title": "image-pair surface velocities",
    "scene_pair_type": "optical",
    "motion_detection_method": "feature",
    "motion_coordinates": "map",
    "source": "xoffset",
}


def about(name: str) -> dict[str, Any]:
    """Attributes of a map, as granules and cubes have them."""
    standard, text = _TEXTS[name]
    told: dict[str, Any] = {"standard_name": standard, "description": text}
    if name == "interp_mask":
        return told | {"flag_values": np.array([0, 1], np.uint8), "flag_meanings": "measured interpolated"}
    if name.startswith("chip_size"):
        return told | {"units": "m", "chip_size_coordinates": "image projection geometry: width = x, height = y"}
    return told | {"units": _UNITS}
