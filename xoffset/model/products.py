"""Labelled products from plain arrays."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    import pyproj
from xoffset.model import storage
from xoffset.model.dates import DATE_ENCODING, as_dates
from xoffset.model.flags import flag_attrs
from xoffset.model.grids import crs_of, spatial_ref
from xoffset.model.history import processed
from xoffset.model.renamed import fields_with_new_names
from xoffset.model.tables import Table, Variable
from xoffset.model.variables import RATE, SERIES, SHIFTS

# Coordinate of a series on (time), so that it stays with whatever is selected: it is there, and True, where dates have
# parts of the noise of others.
SHARES_NOISE = "shares_noise"
# Coordinate of a series on (time): how the variance of what the noise of pairs adds up to grows from its first date on.
# It is multiplied by the square of sigma_drift_dx or sigma_drift_dy.
DRIFT_GROWTH = "drift_growth"
# Coordinate of a stack of which some dates were resampled from other pixel sizes.
NATIVE_SIZE = "native_pixel_size"
# Coordinates of shifts that tell how they were sampled: windows nearer than their side share pixels, and by chance a
# match lies anywhere in the area. Of several pairs joined they may be on (pair). The last one is there only where the
# matcher ties values to those around: those nearer to each other may be wrong alike.
PIXEL_SIZE, WINDOW_SIZE, SEARCH_AREA = "pixel_size", "window_size", "search_area"
SAMPLING = (PIXEL_SIZE, WINDOW_SIZE, SEARCH_AREA)
TIED_SIZE = "tied_size"

# Labels of coordinates, whatever object has them.
_LABELS = {
    "x": {"units": "m", "long_name": "x coordinate of projection", "standard_name": "projection_x_coordinate"},
    "y": {"units": "m", "long_name": "y coordinate of projection", "standard_name": "projection_y_coordinate"},
    "time": {"long_name": "date and time, UTC", "standard_name": "time"},
    "reference": {"long_name": "date of the reference image, UTC"},
    "secondary": {"long_name": "date of the secondary image, UTC"},
    "baseline": {"long_name": "time from the reference to the secondary date", "units": "day"},
    "step": {"long_name": "date of the step, UTC"},
    "exponential": {"long_name": "date from which the exponential decay counts, UTC"},
    "logarithmic": {"long_name": "date from which the logarithmic decay counts, UTC"},
    "exponential_tau": {"long_name": "time of the exponential decay", "units": "day"},
    "logarithmic_tau": {"long_name": "time of the logarithmic decay", "units": "day"},
    "year": {"long_name": "calendar year, UTC"},
    "system": {"long_name": "system that measured the pair"},
    "source": {"long_name": "file, granule or row that the pair is from"},
    "fraction": {"long_name": "part of a pixel, middle of the bin", "units": "pixel"},
    NATIVE_SIZE: {"long_name": "side of a pixel before it was resampled onto this grid", "units": "m"},
    DRIFT_GROWTH: {
        "long_name": "growth of the variance of drift since the first date",
        "units": "yr2",
    },
    PIXEL_SIZE: {"long_name": "side of a pixel of the images", "units": "m"},
    WINDOW_SIZE: {"long_name": "side of the largest window", "units": "m"},
    TIED_SIZE: {"long_name": "distance of values from which they are evidence for each other", "units": "m"},
    SEARCH_AREA: {"long_name": "area of the displacements that were searched, the least of all nodes", "units": "m2"},
    SHARES_NOISE: {"long_name": "the date has parts of the noise of others: smoothed, resampled, or summed up"},
}


def stack(
    values: Any,
    *,
    time: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    crs: pyproj.CRS | None,
    attrs: Mapping[str, Any],
) -> xr.DataArray:
    """Stack (time, y, x) of images with the coordinates given."""
    coords: dict[Hashable, Any] = {"time": ("time", as_dates(time)), "y": ("y", y), "x": ("x", x)}
    if crs is not None:
        coords["spatial_ref"] = spatial_ref(crs)
    data = xr.DataArray(values, dims=("time", "y", "x"), coords=coords, name="image", attrs=dict(attrs))
    finish_stack(data)
    return data


def finish_stack(data: xr.DataArray) -> None:
    """Set the encoding of a stack, axis labels and the link to the CRS."""
    _label_coordinates(data)
    if "spatial_ref" in data.coords:
        data.encoding["grid_mapping"] = "spatial_ref"
    storage.encode(data)


def network(reference: np.ndarray, secondary: np.ndarray, attrs: Mapping[str, Any] | None = None) -> xr.Dataset:
    """Network (pair) of date pairs."""
    data = xr.Dataset(
        coords={"reference": ("pair", as_dates(reference)), "secondary": ("pair", as_dates(secondary))},
        attrs=dict(attrs or {}),
    )
    return finish(data)


def shifts(
    fields: Mapping[str, Any],
    network: xr.Dataset,
    *,
    x: np.ndarray,
    y: np.ndarray,
    like: xr.DataArray,
    step: dict[str, Any],
    sampling: Mapping[str, float] | None = None,
) -> xr.Dataset:
    """Shifts (pair, y, x) from the fields of a matcher; CRS from `like`, and the coordinates of `sampling`."""
    grid: dict[Hashable, Any] = {"y": ("y", y), "x": ("x", x)}
    grid.update(sampling or {})
    coords = {name: network[name] for name in ("reference", "secondary")} | grid | _crs_coordinates(like)
    return _product(fields_with_new_names(fields), coords, SHIFTS, step, like)


def series(
    fields: Mapping[str, Any],
    time: np.ndarray,
    *,
    like: xr.Dataset,
    step: dict[str, Any],
    shares_noise: bool = False,
    growth: np.ndarray | None = None,
) -> xr.Dataset:
    """Series (time, y, x) from inverted displacements; grid and CRS from `like`."""
    coords = {"time": ("time", as_dates(time)), "y": like["y"], "x": like["x"]} | _crs_coordinates(like)
    if growth is not None:
        coords[DRIFT_GROWTH] = ("time", growth)
    if shares_noise:
        coords |= noise_is_shared(len(time))
    return _product(fields, coords, SERIES, step, like)


def noise_is_shared(dates: int) -> dict[Hashable, Any]:
    """Coordinate of a series of so many dates that says that they have parts of each other's noise."""
    return {SHARES_NOISE: ("time", np.ones(dates, dtype=np.bool_))}


def rate(fields: Mapping[str, Any], *, like: xr.Dataset, step: dict[str, Any]) -> xr.Dataset:
    """Rate (y, x) from fitted velocities; grid and CRS from `like`."""
    coords = {"y": like["y"], "x": like["x"]} | _crs_coordinates(like)
    return _product(fields, coords, RATE, step, like)


def product(
    fields: Mapping[str, tuple[tuple[str, ...], Any]],
    table: Table,
    *,
    like: xr.Dataset,
    step: dict[str, Any],
    coords: Mapping[Hashable, Any] | None = None,
) -> xr.Dataset:
    """Any other product: name -> (dims, values), labelled by a table; grid and CRS from `like`, other coords given."""
    grid = {name: like[name] for name in ("y", "x") if any(name in dims for dims, _ in fields.values())}
    data = xr.Dataset(
        coords=dict(coords or {}) | grid | _crs_coordinates(like),
        attrs={"Conventions": "CF-1.11", "processing": processed(like, step)},
    )
    # all at once, since each assignment would align what is there
    return finish(data.assign({name: (dims, values, attrs_of(table[name])) for name, (dims, values) in fields.items()}))


def variables_of_shifts(data: xr.Dataset) -> list[str]:
    """Names of the variables that are those of shifts, and not the caller's own."""
    return [str(name) for name in data.data_vars if name in SHIFTS]


def relabel(data: xr.Dataset, step: dict[str, Any], table: Table = SHIFTS) -> xr.Dataset:
    """Set the attributes of shifts, or what else a table says, anew after a step that changed their values."""
    for name, variable in data.data_vars.items():
        if name in table:
            variable.attrs = attrs_of(table[str(name)])
    data.attrs = data.attrs | {"processing": processed(data, step)}
    return finish(data)


def finish(data: xr.Dataset) -> xr.Dataset:
    """Set what no step may leave to chance: baselines, encoding, axis labels and the link to the CRS."""
    for dim in ("pair", "interval"):
        if all(name in data.coords and data[name].dims == (dim,) for name in ("reference", "secondary")):
            # it may be of other dates where the caller changed these
            data.coords["baseline"] = (dim, _days(data))
    _label_coordinates(data)
    if "spatial_ref" in data.coords:
        for variable in data.data_vars.values():
            if {"y", "x"} <= set(variable.dims):
                variable.encoding["grid_mapping"] = "spatial_ref"
    for variable in data.data_vars.values():
        if variable.dtype.kind == "M":
            variable.encoding.update(DATE_ENCODING)
    storage.encode(data)
    return data


def _product(
    fields: Mapping[str, Any],
    coords: Mapping[Hashable, Any],
    table: Table,
    step: dict[str, Any],
    like: xr.Dataset | xr.DataArray,
) -> xr.Dataset:
    data = xr.Dataset(coords=coords, attrs={"Conventions": "CF-1.11", "processing": processed(like, step)})
    return finish(
        data.assign({name: (table[name].dims, values, attrs_of(table[name])) for name, values in fields.items()})
    )


def attrs_of(variable: Variable) -> dict[str, Any]:
    """Attributes of a variable from its entry in the registry."""
    if variable.name == "flags":
        return flag_attrs()
    return {"long_name": variable.long_name} | ({"units": variable.units} if variable.units else {})


def _days(pairs: xr.Dataset) -> np.ndarray:
    """Baselines [day] from the reference to the secondary date, negative for a backward pair."""
    reference, secondary = (as_dates(pairs[name].values) for name in ("reference", "secondary"))
    return np.asarray((secondary - reference) / np.timedelta64(1, "D"), dtype=np.float64)


def _crs_coordinates(like: xr.Dataset | xr.DataArray) -> dict[Hashable, Any]:
    crs = crs_of(like)
    return {} if crs is None else {"spatial_ref": spatial_ref(crs)}


def _label_coordinates(data: xr.Dataset | xr.DataArray) -> None:
    for name, attrs in _LABELS.items():
        if name in data.coords:
            data[name].attrs = dict(attrs)
            if data[name].dtype.kind == "M":
                data[name].encoding = dict(DATE_ENCODING)
            else:
                data[name].encoding = {"_FillValue": None}
