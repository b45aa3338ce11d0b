"""Stacks of what other loaders made: arrays, datasets and trees of xarray, as they come."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xoffset.model import checks, declared, history, products
from xoffset.model.dates import Date, as_dates, as_instants
from xoffset.model.grids import agree, crs_of, geographic_message, spacing
from xoffset.model.products import NATIVE_SIZE
from xoffset.readers import arrays, dates, loader_coordinates, saved_stack
from xoffset.readers.bands import OF_SENTINEL2
from xoffset.readers.eopf.metadata import band_of, sensed
from xoffset.readers.eopf.product import is_tree
from xoffset.readers.grids import Bounds
from xoffset.readers.scenes import COORDINATES, coordinate, floats_for

Loaded = xr.DataArray | xr.Dataset | xr.DataTree

_DIMS = ("time", "y", "x")
_GEOGRAPHIC = ("latitude", "longitude", "lat", "lon")
_OF_STORED = ("scale_factor", "add_offset", "scales", "offsets", "nodata", "_fillvalue", "missing_value", "nodatavals")


@dataclass(frozen=True)
class Options:
    """What is asked of a stack that another loader made."""

    band: int | str | None
    date: str | Iterable[Date] | None
    nodata: float | None
    bbox: Bounds | None
    sides: tuple[int, int] | None


def are_loaded(source: Any) -> bool:
    """Whether a source is what another loader made, or a list of such; trees of products are read as products."""
    if isinstance(source, Loaded):
        return not is_tree(source)
    if not isinstance(source, (list, tuple)) or not any(isinstance(each, Loaded) for each in source):
        return False
    if not any(isinstance(each, Loaded) and not is_tree(each) for each in source):
        return False
    others = [type(each).__name__ for each in source if not isinstance(each, Loaded) or is_tree(each)]
    if others:
        raise TypeError(
            f"open_stack() needs arrays of xarray, or files; got a list of both, with {others[0]} among the arrays. "
            "Open each kind apart, and join them: xarray.concat([...], 'time')."
        )
    return True


def read(source: Any, options: Options) -> xr.DataArray:
    """Stack (time, y, x) of arrays that were opened with xarray: lazy if they are."""
    loaded = [source] if isinstance(source, Loaded) else list(source)
    picked = [_picked(each, options.band) for each in loaded]
    dated = _dated(picked, options.date)
    parts = [_part(each, options.nodata) for each in dated]
    _check_one_grid(parts)
    data = _joined(parts)
    order = np.argsort(data["time"].values, kind="stable")
    if (np.diff(order) != 1).any():
        data = data.isel(time=order)
    _check_unique(data)
    data = checks.as_stack(data, "open_stack")
    data = saved_stack.cropped(data, options.bbox)
    if options.sides is not None:
        if isinstance(data.data, np.ndarray):
            raise ValueError(
                "open_stack() needs no chunks= for arrays that are in memory already; got some. Leave it out, or let "
                "the loader that made them be lazy: chunks={}."
            )
        data = data.chunk(dict(zip(_DIMS, (1, *options.sides), strict=True)))
    step = {"function": "open_stack", "band": options.band, "nodata": options.nodata, "bbox": options.bbox}
    told = {name: np.asarray(value).tolist() for name, value in step.items() if value is not None}
    known = {name: each.variable for name, each in data.coords.items() if each.dims == ("time",) and name != "time"}
    stack = products.stack(
        data.data,
        time=data["time"].values,
        x=data["x"].values,
        y=data["y"].values,
        crs=crs_of(data),
        attrs={"processing": history.processed(data, told)},
    )
    stack = stack.assign_coords(known)
    products.finish_stack(stack)
    return stack


# -------------------------------------------------------------------------------------------------------------- picking


def _picked(loaded: Loaded, band: int | str | None) -> xr.DataArray:
    """The array of a band."""
    if isinstance(loaded, xr.DataTree):
        loaded = _only_dataset(loaded)
    if isinstance(loaded, xr.Dataset):
        return _variable(loaded, band)
    for dim in ("band", "variable"):
        if dim in loaded.dims:
            return _along(loaded, dim, band)
    own = [str(loaded.name), *np.ravel(loaded.coords["band"].values).astype(str)] if "band" in loaded.coords else []
    if band is not None and str(band) not in (own or [str(loaded.name)]):
        raise ValueError(
            f"open_stack() needs no band= for an array of one band; got {band!r} for {loaded.name!r}. Leave it out, or "
            "pass the array of that band."
        )
    return loaded


def _only_dataset(tree: xr.DataTree) -> xr.Dataset:
    filled = [node for node in tree.subtree if node.data_vars]
    if len(filled) != 1:
        paths = ", ".join(node.path for node in filled[:8]) or "none"
        raise ValueError(
            f"open_stack() needs one group of images, or a product of Sentinel-2; got a tree with data in {paths}. "
            "Pick one: tree['group'].to_dataset()."
        )
    return filled[0].to_dataset()


def _variable(dataset: xr.Dataset, band: int | str | None) -> xr.DataArray:
    offered = [name for name, each in dataset.data_vars.items() if {"y", "x"} <= set(each.dims)]
    for dim in _GEOGRAPHIC:
        if not offered and dim in dataset.dims:
            offered = [name for name, each in dataset.data_vars.items() if dim in each.dims]
    name = _chosen(band, offered, f"a Dataset with {', '.join(map(str, offered)) or 'no images (y, x)'}")
    data: xr.DataArray = dataset[name]
    return data.assign_attrs({key: value for key, value in dataset.attrs.items() if key not in data.attrs})


def _along(data: xr.DataArray, dim: str, band: int | str | None) -> xr.DataArray:
    """The band of an array that holds several along a dim."""
    names = data[dim].values.tolist() if dim in data.coords else list(range(1, data.sizes[dim] + 1))
    titles = data.attrs.get("long_name")
    if isinstance(titles, (list, tuple)) and len(titles) == len(names) and band in titles:
        return data.isel({dim: list(titles).index(band)}, drop=True)
    if "common_name" in data.coords and data["common_name"].dims == (dim,) and band not in names:
        common = data["common_name"].values.tolist()
        names = common if common.count(band) == 1 else names
    chosen = _chosen(band, names, f"an array with {', '.join(map(str, names[:20]))} along '{dim}'")
    return data.isel({dim: names.index(chosen)})


def _chosen(band: int | str | None, offered: Sequence[Any], what: str) -> Any:
    """The name that is meant: as it is, in letters of either case, or as another name of a band of Sentinel-2."""
    if band is None:
        fits = list(offered)
    else:
        tests = (
            lambda name: name == band,
            lambda name: str(name).lower() == str(band).lower(),
            lambda name: isinstance(band, str) and band_of(band) is not None and band_of(name) == band_of(band),
            # in small letters bands are those of EOPF; in capitals HLS has them of Landsat, which are others
            lambda name: str(name).startswith("b") and band_of(name) == OF_SENTINEL2.get(str(band).lower(), "none"),
        )
        fits = next((found for test in tests if (found := [name for name in offered if test(name)])), [])
    if len(fits) != 1:
        wanted = "one band" if band is None else f"band {band!r}"
        raise ValueError(
            f"open_stack() needs {wanted}; got {what}. Pass band={offered[0] if offered else 'red'!r} or another one "
            "that is there."
        )
    return fits[0]


# -------------------------------------------------------------------------------------------------------------- dates


def _dated(picked: Sequence[xr.DataArray], date: str | Iterable[Date] | None) -> list[xr.DataArray]:
    """Arrays with a dim time, dated by what they hold, by `date`, or by the names of their files."""
    with_time = [_with_time(each) for each in picked]
    bare = [k for k, each in enumerate(with_time) if "time" not in each.dims]
    if date is not None and not bare:
        raise ValueError(
            f"open_stack() needs no date= for arrays that have their dates; got {date!r}. Leave it out, or change "
            "them: data.assign_coords(time=...)."
        )
    if not bare:
        return with_time
    places = [str(with_time[k].encoding.get("source", "")) for k in bare]
    if date is None and not all(places):
        raise ValueError(
            f"open_stack() needs a date for every image; got {len(bare)} without 'time', nor the name of a file. Pass "
            "one date each, such as date=['2020-07-17T10:30'], or data.expand_dims(time=[...])."
        )
    names = [place or f"array {k + 1}" for k, place in zip(bare, places, strict=True)]
    for k, scene in zip(bare, dates.scenes(names, date), strict=True):
        told = {name: getattr(scene, name) for name in ("platform", "relative_orbit")}
        told |= {"scene": scene.name} if places[bare.index(k)] else {}
        known = {name: value for name, value in told.items() if value is not None and name not in with_time[k].coords}
        with_time[k] = with_time[k].assign_coords(known).expand_dims(time=[scene.date])
    return with_time


def _with_time(data: xr.DataArray) -> xr.DataArray:
    """Array whose dates, if it has any, are datetime64[us], UTC, along a dim."""
    if "time" not in data.coords:
        when = sensed(data.attrs)
        return data if when is None or "time" in data.dims else data.expand_dims(time=[when])
    if data["time"].ndim == 0:
        data = data.expand_dims("time")
    index = data.indexes.get("time")
    if isinstance(index, pd.DatetimeIndex):
        values = (index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index).to_numpy()
    elif data["time"].dtype.kind == "O":
        values = as_instants(data["time"].values)
    else:
        return data  # what is no date is refused with the rest
    return data.assign_coords(time=("time", as_dates(values)))


def _check_unique(data: xr.DataArray) -> None:
    times = data["time"].values
    twice = np.flatnonzero(times[1:] == times[:-1])
    if len(twice):
        k = int(twice[0])
        names = data["scene"].values[[k, k + 1]].tolist() if "scene" in data.coords else ["two images"]
        raise ValueError(
            f"open_stack() needs every date once; got {times[k]} from {' and '.join(map(str, names))}. Let the loader "
            "join the tiles of one pass (groupby='solar_day' of odc-stac), or keep one: data.drop_duplicates('time')."
        )


# -------------------------------------------------------------------------------------------------------------- values


def _part(data: xr.DataArray, nodata: float | None) -> xr.DataArray:
    """Pixels as floats, with the coordinates that a stack has."""
    _check_dims(data)
    data = _with_centres(data.transpose(*_DIMS))
    coordinates = loader_coordinates.told(data)
    crs = {name: data[name] for name in data.coords if not data[name].ndim and name in ("spatial_ref", "epsg", "crs")}
    pixels = _as_pixels(data, nodata)
    steps = loader_coordinates.of_values(data, is_scaled=pixels.attrs.pop("is_scaled", False))
    bare = xr.DataArray(
        pixels.variable, coords={name: data[name].variable for name in _DIMS if name in data.coords}, name="image"
    )
    known: dict[Hashable, Any] = {
        name: coordinate(name, values) if name in COORDINATES else ("time", values)
        for name, values in (coordinates | steps).items()
    }
    result = bare.assign_coords(known | {name: each.variable for name, each in crs.items()})
    result.attrs = {
        name: value for name, value in data.attrs.items() if name not in _OF_STORED and _is_kept(name, value)
    }
    if "grid_mapping" in data.encoding:
        result.encoding["grid_mapping"] = data.encoding["grid_mapping"]
    return result


def _is_kept(name: Hashable, value: Any) -> bool:
    return name in ("processing", "crs", "epsg", "proj:epsg", "proj:code", "grid_mapping") and value is not None


def _check_dims(data: xr.DataArray) -> None:
    geographic = [dim for dim in data.dims if str(dim).lower() in _GEOGRAPHIC]
    crs = crs_of(data)
    if geographic and crs is not None and crs.is_geographic and len(geographic) == 2:
        first, second = sorted(geographic, key=lambda dim: not str(dim).lower().startswith("lon"))
        centre = float(data[first].values.mean()), float(data[second].values.mean())
        raise ValueError(geographic_message(crs, centre, "open_stack"))
    if set(data.dims) != set(_DIMS):
        checks.check_dims(data, _DIMS, "open_stack")
    if data.dtype.kind not in "iuf":
        raise TypeError(
            f"open_stack() needs real numbers; got dtype {data.dtype}. Convert first: abs(data) for complex images, "
            "data.astype('uint8') for masks."
        )


def _as_pixels(data: xr.DataArray, nodata: float | None) -> xr.DataArray:
    """Values as they come, NaN where they mean "no data"; those of the EOPF format decoded."""
    if "_eopf_attrs" in data.attrs or data.attrs.get("units") == "digital_counts":
        found = arrays.decoded(data.variable, nodata=nodata, zero=True)
        values = data.copy(deep=False, data=found.variable.data)
        wide = values.astype(found.dtype)
        for fill in found.fills:
            wide = wide.where(values != values.dtype.type(fill))
        wide.attrs = {"is_scaled": found.is_scaled}
        return wide
    fills = [float(nodata)] if nodata is not None else list(declared.fills_of(data))
    wide = data.astype(floats_for(data.dtype))
    if data.dtype.kind == "f":
        wide = wide.where(abs(wide) < np.inf)
    wide.attrs, wide.encoding = ({"_FillValue": fills} if fills else {}), {}
    pixels = declared.decoded(wide, "the pixels", "open_stack", wanted=None)
    pixels.attrs = {}
    return pixels


def _with_centres(data: xr.DataArray) -> xr.DataArray:
    """Array of stackstac whose coordinates are those of pixel centres, not of corners.

    By default stackstac gives the top left corners of pixels; its transform, which it passes on, tells.
    """
    transform = _numbers(data.attrs.get("transform"))
    is_other = not str(data.name).startswith("stackstac-") and "epsg" not in data.coords
    if is_other or "spatial_ref" in data.coords:
        return data
    advice = (
        "Let stackstac give the centres of pixels and keep its attributes: stackstac.stack(..., xy_coords='center')"
    )
    if len(transform) < 6 or not {"x", "y"} <= set(data.coords):
        raise ValueError(
            "open_stack() needs to know whether coordinates are those of pixel centres; got an array of stackstac "
            f"without its transform or its coordinates, which are corners by default. {advice}."
        )
    centres = {}
    for axis, size, corner in (("x", transform[0], transform[2]), ("y", transform[4], transform[5])):
        values = np.asarray(data[axis].values, dtype=np.float64)
        place = (values[0] - corner) / size
        steps = np.diff(values) / size
        is_whole = abs(place - round(place)) < 1e-3
        if (np.abs(steps - 1) > 1e-3).any() or not (is_whole or abs(abs(place - round(place)) - 0.5) < 1e-3):
            raise ValueError(
                "open_stack() needs to know whether coordinates are those of pixel centres; got an array of stackstac "
                f"whose '{axis}' does not fit its transform, as after resampling. {advice}."
            )
        centres[axis] = values + size / 2 if is_whole else values
    return data.assign_coords(centres)


def _numbers(transform: Any) -> list[float]:
    """Numbers of an affine transform, none if it is none."""
    try:
        return [float(each) for each in transform]
    except (TypeError, ValueError):
        return []


def _joined(parts: Sequence[xr.DataArray]) -> xr.DataArray:
    """Arrays put together along time, with what all of them tell of their dates."""
    if len(parts) == 1:
        return parts[0]
    parts = _with_native_sizes(parts)
    common = set.intersection(*(set(each.coords) for each in parts))
    return xr.concat(
        [each.drop_vars(set(each.coords) - common) for each in parts],
        "time", coords="minimal", compat="override", join="exact", combine_attrs="override",
    )  # fmt: skip


def _with_native_sizes(parts: Sequence[xr.DataArray]) -> Sequence[xr.DataArray]:
    """Arrays that all tell the size of their pixels before they were resampled, where one of them does."""
    if not any(NATIVE_SIZE in each.coords for each in parts):
        return parts
    return [
        each
        if NATIVE_SIZE in each.coords
        else each.assign_coords({NATIVE_SIZE: ("time", np.full(each.sizes["time"], _side(each)))})
        for each in parts
    ]


def _side(data: xr.DataArray) -> float:
    step = spacing(data, "open_stack")
    return float(np.sqrt(abs(step.x * step.y)))


def _check_one_grid(parts: Sequence[xr.DataArray]) -> None:
    first = parts[0]
    for k, each in enumerate(parts[1:], start=2):
        if not agree(crs_of(each), crs_of(first)):
            raise ValueError(
                f"open_stack() needs arrays of one CRS; that of array {k} is not that of the first. Load them "
                "together, or bring them onto it: data.rio.reproject_match(first)."
            )
        for axis in ("y", "x"):
            if not np.array_equal(each[axis].values, first[axis].values):
                raise ValueError(
                    f"open_stack() needs arrays on one grid; '{axis}' of array {k} is not that of the first. Load them "
                    "together, or bring them onto it: data.rio.reproject_match(first)."
                )
