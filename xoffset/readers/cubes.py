"""Stacks in netCDF and HDF5 files of anybody: variables with an axis of time, read a window at a time."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset.model import declared
from xoffset.model.grids import crs_of
from xoffset.model.products import NATIVE_SIZE
from xoffset.readers import cube_dates, files, grids
from xoffset.readers.cube_image import CubeImage
from xoffset.readers.grids import Grid
from xoffset.readers.open_result import HDF
from xoffset.readers.scenes import Layer, Scene
from xoffset.readers.stored import Stored

# Names of axes where no attributes tell; "T", "X" and "Y" are what CF calls them.
_NAMES = {
    "time": ("time", "t", "date", "dates", "datetime"),
    "x": ("x", "easting", "eastings", "xc", "projection_x_coordinate"),
    "y": ("y", "northing", "northings", "yc", "projection_y_coordinate"),
    "angle": ("lon", "lat", "longitude", "latitude", "rlon", "rlat", "grid_longitude", "grid_latitude"),
}
_SUBDATASET = re.compile(r'NETCDF:"?(.+?)"?:/?([^:]+)')
# What netCDF writes where nothing was written, if no fill value is declared.
_DEFAULT_FILLS = {"f4": 9.969209968386869e36, "f8": 9.969209968386869e36, "i2": -32767.0, "i4": -2147483647.0}
# What coordinates on time tell of scenes, by the names that they have in a stack.
_KNOWN: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("platform", "tile", "level", "geometry"), (str,)),
    "relative_orbit": (int,),
    **dict.fromkeys(("sun_azimuth", "sun_elevation", "view_azimuth", "view_zenith"), (int, float)),
    **dict.fromkeys(("radiometric_offset", "quantification", NATIVE_SIZE), (int, float)),
}


@dataclass(frozen=True)
class Cube:
    """A variable of a file and its dims along time, y and x."""

    path: str
    name: str
    data: xr.Dataset  # as it is stored, undecoded
    time: Hashable
    y: Hashable
    x: Hashable

    @property
    def variable(self) -> xr.Variable:
        """The variable as it is stored."""
        return self.data.variables[self.name]

    @property
    def told(self) -> str:
        """Name for messages."""
        return f"'{self.name}' of {Path(self.path).name}"


def layers(
    path: str, band: int | str | None, nodata: float | None, pixel_size: float | None, *, has_dates: bool
) -> list[Layer] | None:
    """Images of a file with an axis of time, None if it has none, or is no such file.

    If dates are given (`has_dates`), those of the file are not read, and NaT stands for them.
    """
    if isinstance(band, int):
        return None
    subdataset = _SUBDATASET.fullmatch(path)
    if subdataset and band is None:
        path, band = subdataset[1], subdataset[2]
    data = _opened(path)
    if data is None:
        return None
    cube = _picked(path, data, band)
    if cube is None:
        data.close()
        return None
    return _layers(cube, nodata, pixel_size, has_dates=has_dates)


def _opened(path: str) -> xr.Dataset | None:
    """What is in a netCDF or HDF5 file, undecoded; None if it is none that xarray can read."""
    if not Path(path).is_file():
        return None
    with Path(path).open("rb") as stream:
        start = stream.read(len(HDF))
    if start != HDF and start[:3] != b"CDF":
        return None
    engine = "h5netcdf" if start == HDF else "scipy"
    try:
        return xr.open_dataset(path, engine=engine, decode_cf=False, chunks=None, cache=False)
    except ImportError as error:
        if b"NETCDF_DIM_" not in files.header(path):
            return None
        raise ImportError(
            f"open_stack() needs h5netcdf and h5py to read the dates of {path}; got '{error}'. "
            "Install them: pip install 'xoffset[netcdf]'."
        ) from error
    except (ValueError, OSError, KeyError, TypeError):  # GDAL may know more, or tells what is wrong
        return None


# ----------------------------------------------------------------------------------------------------------------- axes


def _picked(path: str, data: xr.Dataset, band: str | None) -> Cube | None:
    """The variable wanted, None if no variable has an axis of time."""
    dated = {str(name): dims for name in data.data_vars if (dims := _dims(data, str(name))) is not None}
    if not dated:
        _check_depth(path, data)
        return None
    offer = ", ".join(dated)
    if band is not None and band not in dated:
        what = "which has no dates" if band in data.variables else "which is not there"
        raise ValueError(
            f"open_stack() needs the name of a variable (time, y, x) of {Path(path).name} as band; got {band!r}, "
            f"{what}. Choose of: {offer}."
        )
    if band is None and len(dated) > 1:
        raise ValueError(
            f"open_stack() needs one band; {Path(path).name} holds {offer}. Pass band={next(iter(dated))!r} or "
            "another one."
        )
    name = next(iter(dated)) if band is None else band
    time, *plane = dated[name]
    kinds = {_kind(data, dim): dim for dim in plane}
    if set(kinds) != {"x", "y"}:
        raise ValueError(_no_plane(f"'{name}' of {Path(path).name}", data, plane))
    return Cube(path, name, data, time, kinds["y"], kinds["x"])


def _dims(data: xr.Dataset, name: str) -> tuple[Hashable, Hashable, Hashable] | None:
    """Dims of a variable along time and of its images, None if it has others, or no axis of time."""
    variable = data.variables[name]
    long = _long_dims(data, name)
    times = [dim for dim in long if _kind(data, dim) == "time"]
    if variable.dtype.kind not in "biuf" or len(long) != 3 or len(times) != 1:
        return None
    first, second = (dim for dim in long if dim != times[0])
    return times[0], first, second


def _long_dims(data: xr.Dataset, name: str) -> list[Hashable]:
    """Dims of a variable but those of a single element that are no axis."""
    variable = data.variables[name]
    return [dim for dim in variable.dims if variable.sizes[dim] > 1 or _kind(data, dim)]


def _check_depth(path: str, data: xr.Dataset) -> None:
    """Refuse images with dates and another axis, such as that of the bands."""
    for name in map(str, data.data_vars):
        kinds = {dim: _kind(data, dim) for dim in _long_dims(data, name)}
        others = [dim for dim, kind in kinds.items() if not kind]
        if others and {"time", "x", "y"} <= set(kinds.values()):
            raise ValueError(
                f"open_stack() needs variables (time, y, x); got '{name}' of {Path(path).name} with dims "
                f"{tuple(map(str, kinds))}. Pick one place along '{others[0]}' with xarray, "
                f"data['{name}'].isel({others[0]}=0), and write that to a file."
            )


def _kind(data: xr.Dataset, dim: Hashable) -> str:
    """Whether a dim is "time", "x", "y" or an "angle"; empty if nothing tells."""
    attrs = data.variables[dim].attrs if dim in data.variables else {}
    meaning, axis = (str(attrs.get(name, "")).strip().lower() for name in ("standard_name", "axis"))
    unit = str(attrs.get("units", "")).strip().lower()
    if dim in data.variables and cube_dates.is_time(data.variables[dim]):
        return "time"
    for kind in ("angle", "x", "y"):
        if meaning in _NAMES[kind]:
            return kind
    if unit.startswith("degree"):
        return "angle"
    if axis in ("x", "y"):
        return axis
    named = next((kind for kind, names in _NAMES.items() if str(dim).lower() in names), "")
    return named or ("time" if cube_dates.beside(data, dim) else "")


def _no_plane(told: str, data: xr.Dataset, plane: Sequence[Hashable]) -> str:
    dims = " and ".join(f"'{dim}'" for dim in plane)
    if any(_kind(data, dim) == "angle" for dim in plane):
        return (
            f"open_stack() needs images on a grid in metres; got {told} on {dims} in degrees, which are not the same "
            "length everywhere. Reproject it with rioxarray: data.rio.write_crs('EPSG:4326').rio.reproject("
            "data.rio.estimate_utm_crs()), and write that to a file."
        )
    return (
        f"open_stack() needs to know which axis is x and which is y; got {told} on {dims}, of which neither names nor "
        "the attributes standard_name and axis tell. Rename them with xarray, data.rename({...: 'y', ...: 'x'}), with "
        "pixel centres in metres as coordinates, and write that to a file."
    )


# ----------------------------------------------------------------------------------------------------------------- grid


def _grid(cube: Cube, pixel_size: float | None) -> Grid:
    """Grid of the images, in the row order of the file."""
    plane = {cube.y: "y", cube.x: "x"}
    missing = [dim for dim in plane if dim not in cube.data.variables or cube.data.variables[dim].dims != (dim,)]
    if missing:
        raise ValueError(
            f"open_stack() needs pixel centres as coordinates; got {cube.told} without those of '{missing[0]}'. Assign "
            f"them with xarray, data.assign_coords({missing[0]}=...), in metres, and write that to a file."
        )
    stored = xr.decode_cf(cube.data[list(plane)], decode_times=False, decode_coords=False)
    axes = {name: xr.DataArray(stored.variables[dim].values, dims=name, attrs=stored.variables[dim].attrs)
            for dim, name in plane.items()}  # fmt: skip
    crs = _crs(cube)
    is_stated = crs is not None or all(str(axis.attrs.get("units", "")).strip() for axis in axes.values())
    if pixel_size is not None and is_stated:
        raise ValueError(
            f"open_stack() needs pixel_size= only for images without georeference; got {cube.told}, which has one. "
            "Leave pixel_size out, or open the two kinds of files apart."
        )
    named = {name: (name, axis.values, axis.attrs) for name, axis in axes.items()}
    metres = declared.in_metres(xr.Dataset(coords=named), "open_stack")
    advice = "Resample it to a regular grid first: data.rio.reproject('EPSG:...')."
    grid = grids.of_centres(metres["x"].values, metres["y"].values, crs, cube.told, advice)
    if not is_stated:
        _check_side(cube, grid, pixel_size)
    grids.check_crs(grid, Path(cube.path).name)
    return grid


def _crs(cube: Cube) -> Any:
    """CRS that the variable or the file states, None if there is none."""
    attrs = dict(cube.variable.attrs)
    named = str(attrs.pop("grid_mapping", "")).replace(":", " ").split()
    missing = [name for name in named[:1] if name not in cube.data.variables]
    if missing:
        raise ValueError(
            f"open_stack() needs the CRS that a file names; got grid_mapping '{missing[0]}' of {cube.told}, which "
            "is not in the file. Write it again with a CRS: data.rio.write_crs('EPSG:...').to_netcdf(...)."
        )
    others = [name for name, each in cube.data.data_vars.items() if each.ndim < 2 and name != cube.name]
    mappings = [name for name in named if name in cube.data.variables] or others
    coords = {name: xr.Variable((), 0, cube.data.variables[name].attrs) for name in mappings}
    return crs_of(xr.DataArray(0.0, coords=coords, attrs=cube.data.attrs | attrs))


def _check_side(cube: Cube, grid: Grid, pixel_size: float | None) -> None:
    """Refuse coordinates without a unit and without a CRS, unless the side of a pixel says that they are metres."""
    steps = f"x and y in steps of {grid.dx:g} and {grid.dy:g}"
    if pixel_size is None:
        raise ValueError(
            f"open_stack() needs to know what coordinates count; got {cube.told} with {steps}, without a CRS and "
            f"without units. If they are metres, say so: pixel_size={abs(grid.dx):g}; else write the file with a CRS: "
            "data.rio.write_crs('EPSG:...').to_netcdf(...)."
        )
    if max(abs(abs(step) / pixel_size - 1) for step in (grid.dx, grid.dy)) > 1e-3:
        raise ValueError(
            f"open_stack() needs coordinates in metres; got {cube.told} with {steps} for pixel_size={pixel_size:g}. "
            "Correct the one or the other, or write the file with a CRS: data.rio.write_crs('EPSG:...').to_netcdf(...)."
        )


# --------------------------------------------------------------------------------------------------------------- images


def _layers(cube: Cube, nodata: float | None, pixel_size: float | None, *, has_dates: bool) -> list[Layer]:
    variable = cube.variable
    count = variable.sizes[cube.time]
    dates = (
        np.full(count, np.datetime64("NaT", "us")) if has_dates else cube_dates.read(cube.data, cube.time, cube.told)
    )
    pieces = variable.encoding.get("chunksizes") or variable.shape
    template = CubeImage(
        source=Stored(cube.path, cube.name, variable, tuple(pieces), caller="open_stack"),
        rows=cube.y,
        columns=cube.x,
        index=(),
        name=Path(cube.path).name,
        grid=_grid(cube, pixel_size),
        path=cube.path,
        state=files.state(cube.path),
        **_coding(cube, nodata),
    )
    others = tuple((dim, 0) for dim in variable.dims if dim not in (cube.time, cube.y, cube.x))
    return [Layer(_scene(cube, k, dates[k]), replace(template, index=((cube.time, k), *others))) for k in range(count)]


def _coding(cube: Cube, nodata: float | None) -> dict[str, Any]:
    """How values were packed, by the conventions of netCDF, and which of them do not count."""
    variable = cube.variable
    attrs: Mapping[str, Any] = variable.attrs
    is_unsigned = variable.dtype.kind == "i" and str(attrs.get("_Unsigned", "")).lower() == "true"
    fills = (float(nodata),) if nodata is not None else _fills(variable, is_unsigned=is_unsigned)
    scale, offset = (_number(cube, name, default) for name, default in (("scale_factor", 1.0), ("add_offset", 0.0)))
    low, high = -np.inf, np.inf
    for name, values in attrs.items():
        if name in ("valid_min", "valid_max", "valid_range"):
            ends = np.ravel(np.asarray(values))
            if ends.dtype.kind not in "iuf" or not np.isfinite(ends).all():
                continue
            # the type tells whether it is that of values as they are stored
            is_packed = ends.dtype.kind == variable.dtype.kind or (scale, offset) == (1.0, 0.0)
            sides = _reread(ends, variable.dtype, is_unsigned) if is_packed else (ends - offset) / scale
            low = max(low, float(sides.min())) if name != "valid_max" else low
            high = min(high, float(sides.max())) if name != "valid_min" else high
    return {
        "fills": fills, "scale": scale, "offset": offset, "valid": (low, high), "is_unsigned": is_unsigned,
    }  # fmt: skip


def _fills(variable: xr.Variable, *, is_unsigned: bool) -> tuple[float, ...]:
    stated = declared.fills_of(xr.DataArray(variable.dtype.type(0), attrs=variable.attrs))
    default = _DEFAULT_FILLS.get(variable.dtype.str[1:])
    if "_FillValue" not in variable.attrs and default is not None and not is_unsigned:
        return (*stated, float(variable.dtype.type(default)))
    return tuple(float(value) for value in _reread(np.array(stated), variable.dtype, is_unsigned))


def _reread(values: np.ndarray, dtype: np.dtype, is_unsigned: bool) -> np.ndarray:
    """Stored values as the unsigned numbers that they stand for."""
    if not is_unsigned:
        return values
    return np.where(values < 0, values + 2.0 ** (8 * dtype.itemsize), values)


def _number(cube: Cube, name: str, default: float) -> float:
    """Scale or offset of a variable."""
    values = np.ravel(np.asarray(cube.variable.attrs.get(name, default)))
    is_number = values.size == 1 and values.dtype.kind in "iuf" and bool(np.isfinite(values[0]))
    if not is_number or (name == "scale_factor" and values[0] == 0):
        raise ValueError(
            f"open_stack() needs a finite number as {name} of {cube.told}; got {cube.variable.attrs[name]!r}. "
            "Correct or remove that attribute."
        )
    return float(values[0])


def _scene(cube: Cube, k: int, date: np.datetime64) -> Scene:
    """What the coordinates on time tell of an image."""
    known: dict[str, Any] = {}
    for name, types in {"scene": (str,), **_KNOWN}.items():
        values = cube.data.variables.get(name)
        if values is not None and values.dims == (cube.time,):
            value = values[k].values.item()
            value = value.decode() if isinstance(value, bytes) else value
            if isinstance(value, types) and value == value:  # NaN is not
                known[name] = value
    return Scene(known.pop("scene", f"{Path(cube.path).stem}_{k + 1}"), date, **known)
