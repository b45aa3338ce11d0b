"""What a function needs of its subject: stack, network, shifts, series, any vectors."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays.networks import graph
from xoffset.model.dates import as_dates, datetimes_from
from xoffset.model.declared import in_metres, tell_of_stale_fill, with_decoded
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.grids import check_crs, crs_of, spacing, with_crs
from xoffset.model.nonsense import without_nonsense
from xoffset.model.points import are_points, check_dim_of_points
from xoffset.model.renamed import with_new_names
from xoffset.model.variables import SERIES

# xarray keeps the coordinates that both sides share, and two grids share none.
WHY_EMPTY = (
    "Check the selection. If it was where() or arithmetic with a mask on another grid, which share no coordinates, "
    'bring the mask there first: mask.reindex_like(data, method="nearest", tolerance=half_a_pixel, fill_value=False)'
)


def as_stack(stack: xr.DataArray, caller: str) -> xr.DataArray:
    """Return the stack after checking dims, type, size, dates, coordinates and CRS; computes nothing.

    Raises
    ------
    TypeError
        If it is no DataArray, or its values are no real numbers.
    ValueError
        If dims, size, dates, coordinates or CRS are not those of a stack.
    """
    if not isinstance(stack, xr.DataArray):
        raise TypeError(
            f"{caller}() needs a DataArray with dims ('time', 'y', 'x'); got {type(stack).__name__}. "
            "Pick one variable of a Dataset: dataset['red']."
        )
    check_dims(stack, ("time", "y", "x"), caller)
    if stack.dtype.kind not in "iuf":
        raise TypeError(
            f"{caller}() needs real numbers; got dtype {stack.dtype}. "
            "Convert first: abs(stack) for complex images, stack.astype('uint8') for masks."
        )
    if 0 in stack.shape:
        raise ValueError(f"{caller}() needs at least one date and one pixel; got shape {stack.shape}. {WHY_EMPTY}.")
    check_times(stack["time"], caller)
    # the CRS first: of degrees it names the zone to reproject to
    if "x" in stack.coords and "y" in stack.coords:
        check_crs(crs_of(stack), stack, caller)
    stack = with_crs(in_metres(stack, caller))
    spacing(stack, caller)
    tell_of_stale_fill(stack, caller)
    return stack


def as_network(network: xr.Dataset, stack: xr.DataArray, caller: str) -> xr.Dataset:
    """Return the network after checking that it has pairs and that all of their dates are in the stack."""
    check_pairs(network, caller)
    dates = as_dates(stack["time"].values)
    wanted = np.unique(np.concatenate([as_dates(network[name].values) for name in ("reference", "secondary")]))
    missing = wanted[~np.isin(wanted, dates)]
    if missing.size:
        raise ValueError(
            f"{caller}() needs the dates of the network in the stack; {missing.size} are not there, the first is "
            f"{missing[0]}. Build the network from this stack: stack.offset.pairs()."
        )
    return network


def as_shifts(shifts: xr.Dataset, caller: str) -> xr.Dataset:
    """Return the shifts after checking that pairs, grid, displacement and sigma are there."""
    check_pairs(shifts, caller)
    return _as_floats(shifts, ("dx", "dy", "sigma_dx", "sigma_dy"), ("pair", "y", "x"), caller, "correlate()")


def as_series(series: xr.Dataset, caller: str) -> xr.Dataset:
    """Return the series after checking that dates, grid, displacement and sigma are there."""
    series = _as_floats(series, ("dx", "dy", "sigma_dx", "sigma_dy"), ("time", "y", "x"), caller, "invert()")
    check_times(series["time"], caller)
    # where() of xarray spreads maps along the dates of its condition
    spread = [name for name in series.data_vars if "time" in series[name].dims and _is_map_of_series(name)]
    return series.assign({name: series[name].max("time").transpose("y", "x") for name in spread})


def _is_map_of_series(name: Hashable) -> bool:
    return name in SERIES and SERIES[str(name)].dims == ("y", "x")


def without_islands(
    series: xr.Dataset, caller: str, *, is_bridge_known: bool = True, may_have_own_zero: bool = False
) -> xr.Dataset:
    """Series whose displacement is unknown at dates that have a zero of their own, or one that is a guess.

    Any other product has no such dates and comes back as it is. Displacements flagged `disconnected` do not count from
    the reference date; those flagged `bridged` do only if the motion was steady, which is left out unless
    `is_bridge_known`. In a pixel that lacks the reference date, those flagged `no_reference` count from one zero of the
    pixel: they are kept if it may have one of its own.
    """
    if "flags" not in series or "dx" not in series or "time" not in series["dx"].dims:
        return series
    flags = flags_of(series, caller)
    is_apart, is_bridged, is_own = (
        (flags & np.int64(FLAGS[name])) != 0 for name in ("disconnected", "bridged", "no_reference")
    )
    is_island = is_apart
    if not is_bridge_known:
        is_island = is_island | (is_bridged & ~is_own)
    if not may_have_own_zero:
        is_island = is_island | (is_own & ~is_bridged)
    dims = series["dx"].dims
    return series.assign({name: series[name].where(~xr.DataArray(is_island, dims=dims)) for name in ("dx", "dy")})


def as_vectors(data: xr.Dataset, caller: str) -> tuple[xr.Dataset, tuple[str, str]]:
    """Return any product with two components on a grid, checked, with the names of the two: dx, dy or vx, vy.

    Of a product with both, such as that of an event with a trend, it is the displacement.

    Raises
    ------
    TypeError
        If it is no Dataset, or its values are no real numbers.
    ValueError
        If the components, their grid or its coordinates are missing or in another order.
    """
    pairs = [("dx", "dy"), ("vx", "vy")]
    found = [pair for pair in pairs if isinstance(data, xr.Dataset) and set(pair) <= set(data.data_vars)]
    if isinstance(data, xr.Dataset) and not found:
        is_turned = {"d_east", "v_east"} & set(data.data_vars)
        advice = (
            "Pass the product as it was before ground()"
            if is_turned
            else "Use the result of correlate(), invert() or velocity()"
        )
        raise ValueError(
            f"{caller}() needs variables dx and dy, or vx and vy; got {sorted(map(str, data.data_vars))}. {advice}."
        )
    names = found[0] if found else pairs[0]
    if len(found) == 2 and data["dx"].dims != data["vx"].dims:
        raise ValueError(
            f"{caller}() needs one kind of vectors; got displacements on {data['dx'].dims} and velocities on "
            f"{data['vx'].dims}. Use the result of one function, or leave one kind out: data.drop_vars(['vx', 'vy'])."
        )
    dims: tuple[str, ...] = ("y", "x")
    if found and len(data[names[0]].dims) == 3 and data[names[0]].dims[0] not in dims:
        dims = (str(data[names[0]].dims[0]), *dims)
    # the covariance of the two, if it is there, goes by both names
    wanted = [*names, *(name for name in errors_of(names) if name in data)] if found else list(names)
    return _as_floats(data, wanted, dims, caller, "correlate() or velocity()"), names


def errors_of(names: tuple[str, str]) -> tuple[str, str, str]:
    """Names of the standard errors of two components, and of their covariance: sigma_dx, sigma_dy, cov_dxdy."""
    x, y = names
    return f"sigma_{x}", f"sigma_{y}", f"cov_{x}{y}"


def layer_coords(variable: xr.DataArray) -> dict[Hashable, Any]:
    """Coordinates along what dims a variable has beside the grid, such as time, or reference and secondary of pairs."""
    others = set(variable.dims) - {"y", "x"}
    return {name: each.variable for name, each in variable.coords.items() if each.dims and set(each.dims) <= others}


def check_pairs(data: xr.Dataset, caller: str) -> xr.Dataset:
    """Return a Dataset after checking that it has pairs of two different dates."""
    if not isinstance(data, xr.Dataset):
        raise TypeError(f"{caller}() needs a Dataset with dim 'pair'; got {type(data).__name__}. See pairs().")
    lacking = [name for name in ("reference", "secondary") if name not in data.coords]
    if "pair" not in data.dims or lacking:
        raise ValueError(
            f"{caller}() needs dim 'pair' with coords 'reference' and 'secondary'; got dims {tuple(data.dims)}. "
            f"{keep_dim(data) or 'Make a network with stack.offset.pairs()'}."
        )
    for name in ("reference", "secondary"):
        if data[name].dtype.kind != "M":
            raise TypeError(
                f"{caller}() needs datetime64 dates in '{name}'; got dtype {data[name].dtype}. "
                "Make the network with stack.offset.pairs()."
            )
    if data.sizes["pair"] == 0:
        raise ValueError(f"{caller}() needs at least one pair; got an empty network. Widen the limits of pairs().")
    if np.isnat(data["reference"].values).any() or np.isnat(data["secondary"].values).any():
        raise ValueError(f"{caller}() needs two dates a pair; got NaT. Drop the pair: dataset.isel(pair=[...]).")
    if (as_dates(data["reference"].values) == as_dates(data["secondary"].values)).any():
        raise ValueError(f"{caller}() needs two dates a pair; got a pair of one date with itself. Drop that pair.")
    return data


def sorted_pairs(shifts: xr.Dataset) -> tuple[slice | np.ndarray, np.ndarray, np.ndarray]:
    """Order of the pairs by date, the dates of the network, and the sorted pairs as indices into them (pair, 2).

    A pair may occur more than once, in either direction: `Observations.of` tells which pairs are one.
    """
    first, second = (as_dates(shifts[name].values) for name in ("reference", "secondary"))
    order = np.lexsort((second, first))
    epochs, ends = graph.incidence(first[order], second[order])
    # a slice copies nothing where the pairs are in order, as they usually are
    is_sorted = bool((np.diff(order) == 1).all())
    return (slice(None) if is_sorted else order), epochs, ends


def keep_dim(data: xr.DataArray | xr.Dataset) -> str | None:
    """Advice where one pair or date was selected in a way that loses its dim; None where none was."""
    for dim, coordinate in (("pair", "reference"), ("time", "time")):
        if dim not in data.dims and coordinate in data.coords and data.coords[coordinate].ndim == 0:
            return f"Keep the dim of what you select: isel({dim}=[0]), with brackets, in place of isel({dim}=0)"
    if all(name not in data.dims and name in data.coords and data.coords[name].ndim == 0 for name in ("x", "y")):
        return "Keep the dims of what you select, isel(x=[0], y=[0]) or isel(point=[0]), with brackets"
    return None


def check_dims(data: xr.DataArray, dims: tuple[str, ...], caller: str) -> None:
    """Refuse an array whose dims are not exactly these, in this order."""
    if data.dims == dims:
        return
    advice = f"stack.transpose{dims}"
    if set(data.dims) != set(dims):
        if "band" in data.dims:
            advice = "Pick one band and name the dates: stack.sel(band=1), or stack.rename(band='time')"
        elif {"latitude", "longitude"} & set(data.dims):
            advice = "Reproject to a metric CRS first: stack.rio.reproject(stack.rio.estimate_utm_crs())"
        else:
            advice = "Rename or select: stack.rename(...), stack.isel(...), or stack.expand_dims('time') for one image"
    else:
        advice = f"Reorder: {advice}"
    raise ValueError(f"{caller}() needs dims {dims}; got {data.dims}. {advice}.")


def check_times(time: xr.DataArray, caller: str) -> None:
    """Refuse dates that are no datetimes, missing, repeated or out of order."""
    if time.dtype.kind != "M":
        raise TypeError(
            f"{caller}() needs datetime64 dates on 'time'; got dtype {time.dtype}. Convert: {datetimes_from(time)}."
        )
    dates = np.atleast_1d(as_dates(time.values))
    if dates.size == 0:
        raise ValueError(f"{caller}() needs at least one date; got none. Check the selection: stack.sel(time=...).")
    if np.isnat(dates).any():
        raise ValueError(f"{caller}() needs a date for every image; got NaT. Drop or date it: stack.dropna('time').")
    step = np.diff(dates)
    if (step == np.timedelta64(0)).any():
        twice = dates[1:][step == np.timedelta64(0)][0]
        raise ValueError(
            f"{caller}() needs every date once; got {twice} more than once. "
            "Keep one image a date: stack.drop_duplicates('time'), or give the time of day."
        )
    if (step < np.timedelta64(0)).any():
        raise ValueError(f"{caller}() needs dates in order; got them unsorted. Sort: stack.sortby('time').")


def _as_floats(data: xr.Dataset, names: Sequence[str], dims: tuple[str, ...], caller: str, maker: str) -> xr.Dataset:
    """Return a product after checking its variables and its grid, with numbers that kernels take: native floats."""
    if not isinstance(data, xr.Dataset):
        raise TypeError(f"{caller}() needs a Dataset with dims {dims}; got {type(data).__name__}. See {maker}.")
    data = with_new_names(data)
    check_crs(crs_of(data), data, caller)
    data = with_crs(with_decoded(data, caller))
    lacking = [name for name in names if name not in data]
    if lacking:
        raise ValueError(
            f"{caller}() needs variables {', '.join(names)}; got none called {', '.join(lacking)}. "
            f"Use the result of {maker}."
        )
    without = [name for name in ("x", "y") if name not in data.coords]
    if without:
        raise ValueError(
            f"{caller}() needs coordinates x and y [m]; got none on '{without[0]}'. Assign the pixel centres: "
            "dataset.assign_coords(x=..., y=...)."
        )
    check_dim_of_points(data, caller)
    if are_points(data):
        raise ValueError(
            f"{caller}() needs a grid, since it looks at neighbours; got scattered points. Call it before you pick "
            "points of a grid, or read a table of points on a grid: from_table(..., layout='grid')."
        )
    empty = [dim for dim in ("y", "x") if data.sizes.get(dim) == 0]
    if empty:
        raise ValueError(f"{caller}() needs at least one node; got none along {empty[0]}. {WHY_EMPTY}.")
    floats = {}
    for name in names:
        if data[name].dims != dims:
            advice = keep_dim(data) or f"Reorder: dataset.transpose{dims}"
            raise ValueError(f"{caller}() needs dims {dims}; got {data[name].dims} in '{name}'. {advice}.")
        dtype = data[name].dtype
        if dtype.kind not in "iuf":
            raise TypeError(f"{caller}() needs real numbers in '{name}'; got dtype {dtype}. Use the result of {maker}.")
        native = np.dtype(np.float64 if dtype.itemsize > 4 else np.float32)
        if dtype != native or not dtype.isnative:
            floats[name] = data[name].astype(native)
    data = data.assign(floats) if floats else data
    vectors = (names[0], names[1])
    return without_nonsense(data, vectors, errors_of(vectors))
