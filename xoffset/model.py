"""Names, dims, units and date encoding of every product: validators at the door, constructors at the exit."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Hashable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _graph
from xoffset._kernels import bits

if TYPE_CHECKING:
    import pyproj

Choice = TypeVar("Choice")
Date = str | np.datetime64 | pd.Timestamp
Duration = str | np.timedelta64 | pd.Timedelta

YEAR = np.timedelta64(int(365.25 * 86_400), "s")

DATE_ENCODING: Mapping[str, str] = {
    "dtype": "int64",
    "units": "microseconds since 1970-01-01",
    "calendar": "proleptic_gregorian",
}

# Bit numbers are public and are never reused: 0-9 matching, 10-24 screening and correction, 25-30 inversion and rate.
FLAGS: Mapping[str, int] = {
    "outside": bits.OUTSIDE,
    "nodata": bits.NODATA,
    "few_valid": bits.FEW_VALID,
    "flat": bits.FLAT,
    "border": bits.BORDER,
    "refine_failed": bits.REFINE_FAILED,
    "ill_conditioned": bits.ILL_CONDITIONED,
    "no_prior": bits.NO_PRIOR,
    "template_disagrees": bits.TEMPLATE_DISAGREES,
    "forward_backward": 1 << 9,
    "low_score": 1 << 10,
    "low_gap": 1 << 11,
    "neighbourhood": 1 << 12,
    "insignificant": 1 << 13,
    "separation": 1 << 14,
    "no_pairs": 1 << 25,
    "disconnected": 1 << 26,
    "no_reference": 1 << 27,
    "too_few_dates": 1 << 28,
    "not_converged": 1 << 29,
    "bridged": 1 << 30,
}

# variable -> (units, long name); the units of a flag or a count are left out, as CF wants
_SHIFTS = {
    "dx": ("m", "displacement along x"),
    "dy": ("m", "displacement along y"),
    "score": ("1", "zero-mean normalised cross-correlation at the match"),
    "gap": ("1", "correlation peak minus the best one elsewhere"),
    "sigma_dx": ("m", "standard error of the displacement along x"),
    "sigma_dy": ("m", "standard error of the displacement along y"),
    "sigma_dxdy": ("m2", "covariance of the displacements along x and y"),
    "false_alarm": ("1", "probability that unrelated ground reaches the score"),
    "template_size": ("pixel", "side of the window"),
    "mismatch": ("m", "length of the displacement plus the one back"),
}
_SERIES = {
    "dx": ("m", "displacement along x since the reference date"),
    "dy": ("m", "displacement along y since the reference date"),
    "sigma_dx": ("m", "standard error of this date along x"),
    "sigma_dy": ("m", "standard error of this date along y"),
    "rms": ("m", "root mean square misclosure of the pairs"),
    "n_pairs": (None, "number of pairs with a value"),
    "n_components": (None, "number of unconnected groups of dates"),
    "n_outliers": (None, "number of pairs far beyond the misclosure of the others"),
    "pair_share": ("1", "share of the variance of a pair that is its own, not that of its dates"),
    "sigma_drift_dx": ("m yr-1", "standard error of a velocity along x by noise of the pairs that piles up"),
    "sigma_drift_dy": ("m yr-1", "standard error of a velocity along y by noise of the pairs that piles up"),
    "smooth": ("yr m-1", "strength of the smoothness"),
    "geolocation_dx": ("m", "displacement along x of stable ground as a whole, not removed"),
    "geolocation_dy": ("m", "displacement along y of stable ground as a whole, not removed"),
}
_RATE = {
    "vx": ("m yr-1", "velocity along x"),
    "vy": ("m yr-1", "velocity along y"),
    "sigma_vx": ("m yr-1", "standard error of the velocity along x"),
    "sigma_vy": ("m yr-1", "standard error of the velocity along y"),
    "v": ("m yr-1", "speed"),
    "v_debiased": ("m yr-1", "speed without what noise adds to it"),
    "direction": ("degree", "direction of motion, clockwise from grid north"),
    "sigma_vx_bootstrap": ("m yr-1", "standard error of the velocity along x, from resampled dates"),
    "sigma_vy_bootstrap": ("m yr-1", "standard error of the velocity along y, from resampled dates"),
}


def _with_sigma(name: str, units: str, of: str) -> dict[str, tuple[str | None, str]]:
    """Labels of both components of a quantity and of their standard errors; {} in the name stands for x or y."""
    return {
        prefix + name.format(axis): (units, f"{error}{of} along {axis}")
        for prefix, error in (("", ""), ("sigma_", "standard error of the "))
        for axis in ("x", "y")
    }


DECOMPOSITION: dict[str, tuple[str | None, str]] = {
    **_with_sigma("v{}", "m yr-1", "velocity"),
    **_with_sigma("a{}", "m yr-2", "acceleration"),
    **{
        label: entry
        for season, period in (("annual", "year"), ("semiannual", "half year"))
        for label, entry in {
            **_with_sigma(f"{season}_d{{}}", "m", f"amplitude of the cycle of a {period}"),
            **_with_sigma(f"{season}_day_{{}}", "day", f"days from 1 January to the first maximum of the {period}"),
            **_with_sigma(f"{season}_sin_d{{}}", "m", f"sine coefficient of the {period}"),
            **_with_sigma(f"{season}_cos_d{{}}", "m", f"cosine coefficient of the {period}"),
        }.items()
    },
    **_with_sigma("step_d{}", "m", "step"),
    **_with_sigma("exponential_d{}", "m", "amplitude of the exponential decay"),
    **_with_sigma("logarithmic_d{}", "m", "amplitude of the logarithmic decay"),
    "step_date": (None, "date of the step, middle of the interval that holds it"),
    "rms": ("m", "root mean square residual"),
}
COSEISMIC: dict[str, tuple[str | None, str]] = {
    **_with_sigma("d{}", "m", "displacement of the event"),
    **_with_sigma("v{}", "m yr-1", "velocity"),
    **_with_sigma("postseismic_d{}", "m", "amplitude of the logarithmic decay"),
    "rms": ("m", "root mean square residual"),
}
ANNUAL: dict[str, tuple[str | None, str]] = {
    **_with_sigma("v{}", "m yr-1", "mean velocity of the year"),
    "v": ("m yr-1", "speed"),
    "n_pairs": (None, "number of pairs centred in the year that took part"),
}
CLOSURE: Mapping[str, tuple[str | None, str]] = {
    "closure": ("m", "root mean square misclosure of the triplets of the pair, over the root of 3"),
    "tolerance": ("m", "misclosure that standard errors and motion allow"),
    "n_triplets": (None, "number of triplets of the pair"),
    "date_closure": ("m", "root mean square misclosure of the triplets of the date, over the root of 3"),
    "date_n_triplets": (None, "number of triplets of the date"),
    "median_closure": ("m", "median of the closure over the map"),
    "share_beyond": ("1", "share of the nodes whose closure is beyond the tolerance"),
    "spread": ("m", "spread on stable ground"),
    "sigma_factor": ("1", "factor for the standard errors of the pair"),
    "date_median_closure": ("m", "median of date_closure over the map"),
    "date_share_beyond": ("1", "share of the values of the pairs of the date beyond the tolerance"),
    "date_error": ("m", "error of the date if it alone is to blame for the misclosure of its triplets"),
    "date_spread": ("m", "share of the date in the spread of its pairs on stable ground"),
    "is_bad": (None, "closure or spread far above those of the other dates"),
}

# matches of the same two dates are one pair
_PAIRS = {"n_pairs": (None, "number of pairs of dates with a value")}
MEAN_DISPLACEMENT = {
    "dx": ("m", "mean displacement of the pairs along x"),
    "dy": ("m", "mean displacement of the pairs along y"),
    "sigma_dx": ("m", "standard error of the mean displacement along x"),
    "sigma_dy": ("m", "standard error of the mean displacement along y"),
    "magnitude": ("m", "length of the mean displacement"),
    "mean_magnitude": ("m", "mean length of the displacements, which noise makes too large"),
} | _PAIRS
MEAN_VELOCITY = _RATE | _PAIRS
COHERENCE = {
    "vector_coherence": ("1", "length of the sum of the displacements in a window over the sum of their lengths"),
    "normalised_vector_coherence": ("1", "length of the mean direction of the pairs"),
    "noise_floor": ("1", "normalised vector coherence of noise alone"),
    "debiased_vector_coherence": ("1", "normalised vector coherence without the part of noise"),
} | _PAIRS
QUALITY = {
    "quality": ("percent", "share of all pairs of dates whose score exceeds the threshold"),
    "quality_of_valid": ("percent", "share of the pairs of dates with a score whose score exceeds the threshold"),
    "n_valid": (None, "number of pairs of dates with a score"),
}
_STRAIN_NAMES = {
    "exx": "extension along x",
    "eyy": "extension along y",
    "exy": "shear strain of x and y",
    "dilatation": "change of area",
    "rotation": "rotation, counterclockwise, in radians",
    "max_shear": "largest shear strain",
    "e1": "larger principal extension",
    "e2": "smaller principal extension",
}
_STRAIN_ERRORS = ("exx", "eyy", "exy", "dilatation", "rotation")
_AZIMUTH = {"azimuth": ("degree", "direction of the larger principal extension, clockwise from grid north")}


def _strain_table(units: str, suffix: str) -> dict[str, tuple[str, str]]:
    table = {name: (units, f"{text}{suffix}") for name, text in _STRAIN_NAMES.items()}
    errors = {f"sigma_{name}": (units, f"standard error: {table[name][1]}") for name in _STRAIN_ERRORS}
    return table | errors | _AZIMUTH


STRAIN = _strain_table("1", "")
STRAIN_RATE = _strain_table("yr-1", ", per year")


def _profile_table(units: str, noun: str) -> dict[str, tuple[str, str]]:
    table = {
        "parallel": (units, f"{noun} toward the strike"),
        "normal": (units, f"{noun} toward the right of the strike"),
    }
    return table | {f"sigma_{name}": (units, f"standard error: {text}") for name, (_, text) in table.items()}


PROFILE = _profile_table("m", "displacement")
PROFILE_RATE = _profile_table("m yr-1", "velocity")


def _ground_table(letter: str, units: str, square: str, noun: str) -> dict[str, tuple[str, str]]:
    east, north = f"{letter}_east", f"{letter}_north"
    return {
        east: (units, f"{noun} toward true east, metres of ground"),
        north: (units, f"{noun} toward true north, metres of ground"),
        f"sigma_{east}": (units, f"standard error of the {noun} toward true east"),
        f"sigma_{north}": (units, f"standard error of the {noun} toward true north"),
        f"sigma_{east}_north": (square, f"covariance of the {noun}s toward true east and north"),
    }


GROUND = (
    _ground_table("d", "m", "m2", "displacement")
    | _ground_table("v", "m yr-1", "m2 yr-2", "velocity")
    | {
        "v": ("m yr-1", "speed, metres of ground"),
        "direction": ("degree", "direction of motion, clockwise from true north"),
        "magnitude": ("m", "length of the mean displacement, metres of ground"),
    }
)
TRAJECTORY = {
    "x": ("m", "x coordinate of the place of the point"),
    "y": ("m", "y coordinate of the place of the point"),
    "dx": ("m", "displacement along x since the start, along the path of the point"),
    "dy": ("m", "displacement along y since the start, along the path of the point"),
    "sigma_dx": ("m", "standard error of the displacement along x since the start"),
    "sigma_dy": ("m", "standard error of the displacement along y since the start"),
    "dx_eulerian": ("m", "displacement along x since the start of what passed the place of the start"),
    "dy_eulerian": ("m", "displacement along y since the start of what passed the place of the start"),
}


class Spacing(NamedTuple):
    """Signed distance between neighbouring pixel centres, in metres."""

    x: float
    y: float


# ---------------------------------------------------------------------------------------------------------- validators


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
        raise ValueError(
            f"{caller}() needs at least one date and one pixel; got shape {stack.shape}. Check the selection."
        )
    check_times(stack["time"], caller)
    # the CRS first: of degrees it names the zone to reproject to
    if "x" in stack.coords and "y" in stack.coords:
        check_crs(crs_of(stack), stack, caller)
    spacing(stack, caller)
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
    return series


def without_islands(series: xr.Dataset, caller: str, *, is_bridge_known: bool = True) -> xr.Dataset:
    """Series whose displacement is unknown at dates that have a zero of their own, or one that is a guess.

    Any other product has no such dates and comes back as it is. Displacements flagged `disconnected` do not count from
    the reference date; those flagged `bridged` do only if the motion was steady, which is left out unless
    `is_bridge_known`.
    """
    if "flags" not in series or "dx" not in series or "time" not in series["dx"].dims:
        return series
    wanted = FLAGS["disconnected"] | (0 if is_bridge_known else FLAGS["bridged"])
    is_island = (flags_of(series, caller) & np.int32(wanted)) != 0
    dims = series["dx"].dims
    return series.assign({name: series[name].where(~xr.DataArray(is_island, dims=dims)) for name in ("dx", "dy")})


def as_vectors(data: xr.Dataset, caller: str) -> tuple[xr.Dataset, tuple[str, str]]:
    """Return any product with two components on a grid, checked, with the names of the two: dx, dy or vx, vy.

    Raises
    ------
    TypeError
        If it is no Dataset, or its values are no real numbers.
    ValueError
        If the components, their grid or its coordinates are missing or in another order.
    """
    pairs = [("dx", "dy"), ("vx", "vy")]
    found = [pair for pair in pairs if isinstance(data, xr.Dataset) and set(pair) <= set(data.data_vars)]
    if isinstance(data, xr.Dataset) and len(found) != 1:
        raise ValueError(
            f"{caller}() needs variables dx and dy, or vx and vy; got {sorted(map(str, data.data_vars))}. "
            "Use the result of correlate(), invert() or velocity()."
        )
    names = found[0] if found else pairs[0]
    dims: tuple[str, ...] = ("y", "x")
    if found and len(data[names[0]].dims) == 3 and data[names[0]].dims[0] not in dims:
        dims = (str(data[names[0]].dims[0]), *dims)
    # the covariance of the two, if it is there, goes by both names
    wanted = [*names, *(name for name in errors_of(names) if name in data)] if found else list(names)
    return _as_floats(data, wanted, dims, caller, "correlate() or velocity()"), names


def errors_of(names: tuple[str, str]) -> tuple[str, str, str]:
    """Names of the standard errors of two components, and of their covariance: sigma_dx, sigma_dy, sigma_dxdy."""
    x, y = names
    return f"sigma_{x}", f"sigma_{y}", f"sigma_{x}{y}"


def layer_coords(variable: xr.DataArray) -> dict[Hashable, Any]:
    """Coordinates along what dims a variable has beside the grid, such as time, or reference and secondary of pairs."""
    others = set(variable.dims) - {"y", "x"}
    return {name: each.variable for name, each in variable.coords.items() if each.dims and set(each.dims) <= others}


def polar(x: Any, y: Any) -> tuple[Any, Any]:
    """Length of vectors and their direction [degrees clockwise from north], NaN where nothing moves."""
    length = np.hypot(x, y)
    direction = np.rad2deg(np.arctan2(x, y)) % 360.0
    direction = np.where(direction < 360.0, direction, 0.0)  # rounding of the smallest angles west of north
    return length, np.where(length > 0.0, direction, np.nan).astype(x.dtype)


def flags_of(data: xr.Dataset, caller: str) -> Any:
    """Flags of a product, NumPy or dask like its `dx`; zero where it has none."""
    if "flags" not in data:
        return np.zeros_like(data["dx"].data, dtype=np.int32)
    flags = data["flags"]
    # where() of xarray makes floats of flags and NaN of what its caller removed
    flags = flags.fillna(0) if flags.dtype.kind == "f" else flags
    if flags.dims != data["dx"].dims or flags.dtype.kind not in "iuf":
        raise ValueError(
            f"{caller}() needs whole numbers with dims {data['dx'].dims} in 'flags'; got {flags.dtype} with dims "
            f"{flags.dims}. Leave them out: dataset.drop_vars('flags')."
        )
    return flags.data.astype(np.int32)


def check_pairs(data: xr.Dataset, caller: str) -> xr.Dataset:
    """Return a Dataset after checking that it has pairs of two different dates."""
    if not isinstance(data, xr.Dataset):
        raise TypeError(f"{caller}() needs a Dataset with dim 'pair'; got {type(data).__name__}. See pairs().")
    lacking = [name for name in ("reference", "secondary") if name not in data.coords]
    if "pair" not in data.dims or lacking:
        raise ValueError(
            f"{caller}() needs dim 'pair' with coords 'reference' and 'secondary'; got dims {tuple(data.dims)}. "
            "Make a network with stack.offset.pairs()."
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

    A pair may occur more than once, in either direction: `_graph.observations` tells which pairs are one.
    """
    first, second = (as_dates(shifts[name].values) for name in ("reference", "secondary"))
    order = np.lexsort((second, first))
    epochs, ends = _graph.incidence(first[order], second[order])
    # a slice copies nothing where the pairs are in order, as they usually are
    is_sorted = bool((np.diff(order) == 1).all())
    return (slice(None) if is_sorted else order), epochs, ends


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
            f"{caller}() needs datetime64 dates on 'time'; got dtype {time.dtype}. "
            "Convert: stack.assign_coords(time=pandas.to_datetime(stack.time))."
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


def spacing(data: xr.DataArray | xr.Dataset, caller: str) -> Spacing:
    """Signed pixel spacing [m] of uniform x and y coordinates; an axis of one pixel borrows from the other."""
    steps: dict[str, float] = {}
    for name in ("x", "y"):
        if name not in data.coords:
            raise ValueError(
                f"{caller}() needs coordinates x and y [m]; got none on '{name}'. Assign the pixel centres: "
                "stack.assign_coords(x=pixel_size * numpy.arange(nx), y=-pixel_size * numpy.arange(ny))."
            )
        values = np.asarray(data[name].values, dtype=np.float64)
        if str(data[name].attrs.get("units", "")).startswith("degree"):
            raise ValueError(
                f"{caller}() needs x and y in metres; got '{name}' in degrees. "
                "Reproject first: stack.rio.reproject(stack.rio.estimate_utm_crs())."
            )
        if values.size < 2:
            continue
        step = float(values[-1] - values[0]) / (values.size - 1)
        if not np.isfinite(step) or step == 0 or np.abs(np.diff(values) - step).max() > 1e-3 * abs(step):
            raise ValueError(
                f"{caller}() needs evenly spaced '{name}' coordinates; got steps from {np.diff(values).min():g} to "
                f"{np.diff(values).max():g} m. Resample to a regular grid: stack.rio.reproject(...)."
            )
        steps[name] = step
    if not steps:
        raise ValueError(f"{caller}() needs more than one pixel; got one. Check the selection.")
    return Spacing(steps.get("x", abs(steps.get("y", 0.0))), steps.get("y", -abs(steps.get("x", 0.0))))


def crs_of(data: xr.DataArray | xr.Dataset) -> pyproj.CRS | None:
    """Coordinate reference system of the grid, None if there is none.

    Raises
    ------
    ValueError
        If the data name a grid mapping that is not there: it would be taken for a grid without a CRS.
    """
    named = data.encoding.get("grid_mapping", data.attrs.get("grid_mapping"))
    if named is not None and named not in data.coords:
        raise ValueError(
            f"a CRS is needed where one is named; got grid_mapping '{named}' without that coordinate. "
            "Open the file with decode_coords='all', or with xoffset.open_result()."
        )
    # arithmetic loses the name of the grid mapping, not the coordinate
    candidates = [named] if named is not None else ["spatial_ref", *data.coords]
    for name in candidates:
        if name in data.coords and data.coords[name].ndim == 0:
            attrs = data.coords[name].attrs
            text = attrs.get("crs_wkt", attrs.get("spatial_ref"))
            if text:
                import pyproj

                return pyproj.CRS.from_wkt(text)
    return None


def check_crs(crs: pyproj.CRS | None, data: xr.DataArray, caller: str) -> None:
    """Refuse a CRS whose grid is not in metres of ground: geographic, Web Mercator, feet."""
    if crs is None:
        return
    if crs.is_bound and crs.source_crs is not None:
        crs = crs.source_crs
    if crs.is_geographic:
        centre = (float(data["x"].values.mean()), float(data["y"].values.mean()))
        raise ValueError(geographic_message(crs, centre, caller))
    method = getattr(crs.coordinate_operation, "method_name", "")
    if crs.is_geocentric:
        raise ValueError(
            f"{caller}() needs a projected CRS in metres; got the geocentric CRS {crs.name}. "
            "Reproject first: stack.rio.reproject('EPSG:326..')."
        )
    if "Pseudo Mercator" in method or method.startswith("Mercator (variant A)"):
        kind = "Web Mercator" if "Pseudo" in method else "a Mercator projection"
        raise ValueError(
            f"{caller}() needs a CRS with metres of ground; got {kind} ({crs.name}), which stretches distances "
            "by 1/cos(latitude). Reproject first: stack.rio.reproject(stack.rio.estimate_utm_crs())."
        )
    units = {axis.unit_name for axis in crs.axis_info[:2]}
    if units - {"metre", "meter"}:
        raise ValueError(
            f"{caller}() needs a CRS in metres; got {crs.name} in {', '.join(sorted(units))}. "
            "Reproject first: stack.rio.reproject(stack.rio.estimate_utm_crs())."
        )


def geographic_message(crs: pyproj.CRS, centre: tuple[float, float], caller: str) -> str:
    """Error text for a longitude/latitude grid, with the UTM zone of its centre (longitude, latitude)."""
    longitude, latitude = centre
    zone = int((longitude + 180) % 360 // 6) + 1
    code = (32600 if latitude >= 0 else 32700) + zone
    return (
        f"{caller}() needs a projected CRS in metres; got the geographic CRS {crs.name}. "
        f"Reproject to UTM zone {zone}{'N' if latitude >= 0 else 'S'} first: EPSG:{code}."
    )


def nodata_of(data: xr.DataArray) -> float | None:
    """Value that a loader declared to mean "no data", in attributes or encoding; None if there is none."""
    # floats whose encoding has a fill value were decoded with it: it is a value of the file, not of the array
    places = [data.attrs] if data.dtype.kind == "f" else [data.attrs, data.encoding]
    for place in places:
        for name in ("_FillValue", "missing_value", "fill_value", "nodata"):
            value = place.get(name)
            if value is None:
                continue
            try:
                return float(value)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"one number is needed as the declared nodata value; got {name}={value!r}. "
                    f"Correct it: stack.attrs['{name}'] = 0, or remove it."
                ) from error
    return None


def check_share(value: Any, name: str, caller: str) -> None:
    """Refuse what is no number between 0 and 1."""
    is_number = isinstance(value, (float, int, np.floating, np.integer)) and not isinstance(value, bool)
    if not is_number or not 0.0 <= value <= 1.0:
        raise ValueError(f"{caller}() needs {name} between 0 and 1; got {value!r}. Pass a share such as 0.5.")


def one_of(value: Any, choices: Mapping[str, Choice], name: str, caller: str) -> Choice:
    """What a name stands for, refusing any other."""
    if not isinstance(value, str) or value not in choices:
        names = [repr(choice) for choice in choices]
        raise ValueError(
            f"{caller}() needs {name} {', '.join(names[:-1])} or {names[-1]}; got {value!r}. Choose one of these."
        )
    return choices[value]


def as_number(value: Any, name: str, caller: str, *, least: float = 0.0) -> float:
    """Return a finite number of at least `least` as float, refusing anything else."""
    is_number = isinstance(value, (float, int, np.floating, np.integer)) and not isinstance(value, bool)
    if not is_number or not least <= value < np.inf:
        raise ValueError(
            f"{caller}() needs a number of at least {least:g} as {name}; got {value!r}. Pass one such as {least + 1:g}."
        )
    return float(value)


def as_length(value: Any, name: str, caller: str) -> float:
    """Return a finite length above zero as float, refusing anything else."""
    is_number = isinstance(value, (float, int, np.floating, np.integer)) and not isinstance(value, bool)
    if not is_number or not 0.0 < value < np.inf:
        raise ValueError(
            f"{caller}() needs a length above 0 m as {name}; got {value!r}. Pass one such as {name}=320.0."
        )
    return float(value)


def as_radius(window: Any, caller: str, *, least: int) -> int:
    """Half the side of a window of nodes around a node: an odd number of at least `least`."""
    is_whole = isinstance(window, (int, np.integer)) and not isinstance(window, bool)
    if not is_whole or window < least or window % 2 == 0:
        raise ValueError(
            f"{caller}() needs an odd number of at least {least} nodes as window; got {window!r}. "
            "Pass a number such as window=5."
        )
    return int(window) // 2


def as_switch(value: Any, name: str, caller: str) -> bool:
    """Return a yes or no as bool, refusing anything else."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{caller}() needs {name} to be True or False; got {value!r}. Pass one of the two.")
    return bool(value)


def as_instant(value: Any, name: str, caller: str) -> np.datetime64:
    """Return a date in any of the usual forms as datetime64[us], UTC."""
    try:
        # pandas takes a bare number for nanoseconds
        instant = pd.NaT if isinstance(value, (int, float, np.number)) else pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{caller}() needs a date as {name}; got {value!r}. Write it as '2020-06-01T10:30'."
        ) from error
    if pd.isna(instant):
        raise ValueError(f"{caller}() needs a date as {name}; got {value!r}. Write it as '2020-06-01T10:30'.")
    if instant.tzinfo is not None:
        instant = instant.tz_convert("UTC").tz_localize(None)
    return np.datetime64(instant, "us")


def index_of_date(dates: np.ndarray, value: Any, name: str, caller: str) -> int:
    """Place of a date among sorted dates; a bare day names the only date of that day."""
    wanted = as_instant(value, name, caller)
    found = np.flatnonzero(dates == wanted)
    if not found.size and is_bare_date(value):
        found = np.flatnonzero(dates.astype("datetime64[D]") == wanted.astype("datetime64[D]"))
    if found.size != 1:
        nearest = dates[np.argmin(np.abs(dates - wanted))]
        raise ValueError(
            f"{caller}() needs one of the {dates.size} dates of the series as {name}; got {value}. "
            f"The nearest is {nearest}. Pass that, or another one."
        )
    return int(found[0])


def is_bare_date(value: Any) -> bool:
    """Whether a date was given without a time of day."""
    if isinstance(value, str):
        return ":" not in value and re.search(r"\dT\d", value) is None
    if isinstance(value, np.datetime64):
        return np.datetime_data(value.dtype)[0] in ("Y", "M", "W", "D")
    return isinstance(value, dt.date) and not isinstance(value, dt.datetime)


def as_event(value: Any, time: np.ndarray, name: str, caller: str) -> np.datetime64:
    """Return the instant of an event, UTC; a bare date is refused if an image was taken on that day."""
    instant = as_instant(value, name, caller)
    day = instant.astype("datetime64[D]")
    if is_bare_date(value) and (time.astype("datetime64[D]") == day).any():
        raise ValueError(
            f"{caller}() needs to know which images of {day} come before the event; got a {name} without a time of "
            f"day. Give the time, UTC: {name}='{day}T10:30'."
        )
    return instant


def as_duration(value: Any, name: str, caller: str) -> np.timedelta64:
    """Return a length of time in any of the usual forms as timedelta64."""
    message = f"{caller}() needs a duration as {name}; got {value!r}. Give a number and a unit: '10D'."
    # pandas takes a bare number for nanoseconds
    if isinstance(value, (int, float)) or (isinstance(value, str) and re.search("[A-Za-z]", value) is None):
        raise ValueError(message)
    try:
        duration = pd.Timedelta(value)
    except (ValueError, TypeError) as error:
        raise ValueError(message) from error
    if pd.isna(duration):
        raise ValueError(message)
    return duration.to_timedelta64()


def as_dates(values: np.ndarray) -> np.ndarray:
    """Dates as datetime64[us], the one resolution of this package."""
    return np.asarray(values).astype("datetime64[us]")


def years(interval: np.ndarray) -> np.ndarray:
    """Time intervals in years of 365.25 days, float64."""
    return np.asarray(interval / YEAR, dtype=np.float64)


def _as_floats(data: xr.Dataset, names: Sequence[str], dims: tuple[str, ...], caller: str, maker: str) -> xr.Dataset:
    """Return a product after checking its variables and its grid, with numbers that kernels take: native floats."""
    if not isinstance(data, xr.Dataset):
        raise TypeError(f"{caller}() needs a Dataset with dims {dims}; got {type(data).__name__}. See {maker}.")
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
    floats = {}
    for name in names:
        if data[name].dims != dims:
            raise ValueError(
                f"{caller}() needs dims {dims}; got {data[name].dims} in '{name}'. Reorder: dataset.transpose{dims}."
            )
        dtype = data[name].dtype
        if dtype.kind not in "iuf":
            raise TypeError(f"{caller}() needs real numbers in '{name}'; got dtype {dtype}. Use the result of {maker}.")
        native = np.dtype(np.float64 if dtype.itemsize > 4 else np.float32)
        if dtype != native or not dtype.isnative:
            floats[name] = data[name].astype(native)
    return data.assign(floats) if floats else data


# -------------------------------------------------------------------------------------------------------- constructors


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
    _label_coordinates(data)
    if crs is not None:
        data.encoding["grid_mapping"] = "spatial_ref"
    return data


def spatial_ref(crs: pyproj.CRS) -> xr.Variable:
    """Scalar coordinate that holds a CRS the way rioxarray and CF do."""
    return xr.Variable((), 0, attrs=crs.to_cf() | {"spatial_ref": crs.to_wkt()})


def network(reference: np.ndarray, secondary: np.ndarray, attrs: Mapping[str, Any] | None = None) -> xr.Dataset:
    """Network (pair) of date pairs."""
    data = xr.Dataset(
        coords={"reference": ("pair", as_dates(reference)), "secondary": ("pair", as_dates(secondary))},
        attrs=dict(attrs or {}),
    )
    _label_coordinates(data)
    return data


def shifts(
    fields: Mapping[str, Any],
    network: xr.Dataset,
    *,
    x: np.ndarray,
    y: np.ndarray,
    like: xr.DataArray,
    step: dict[str, Any],
) -> xr.Dataset:
    """Shifts (pair, y, x) from the fields of a matcher; CRS from `like`."""
    grid: dict[Hashable, Any] = {"y": ("y", y), "x": ("x", x)}
    coords = {name: network[name] for name in ("reference", "secondary")} | grid | _crs_coordinates(like)
    return _product(fields, ("pair", "y", "x"), coords, _SHIFTS, step, like)


def series(fields: Mapping[str, Any], time: np.ndarray, *, like: xr.Dataset, step: dict[str, Any]) -> xr.Dataset:
    """Series (time, y, x) from inverted displacements; grid and CRS from `like`."""
    coords = {"time": ("time", as_dates(time)), "y": like["y"], "x": like["x"]} | _crs_coordinates(like)
    return _product(fields, ("time", "y", "x"), coords, _SERIES, step, like)


def rate(fields: Mapping[str, Any], *, like: xr.Dataset, step: dict[str, Any]) -> xr.Dataset:
    """Rate (y, x) from fitted velocities; grid and CRS from `like`."""
    coords = {"y": like["y"], "x": like["x"]} | _crs_coordinates(like)
    return _product(fields, ("y", "x"), coords, _RATE, step, like)


def product(
    fields: Mapping[str, tuple[tuple[str, ...], Any]],
    table: Mapping[str, tuple[str | None, str]],
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
    for name, (dims, values) in fields.items():
        data[name] = (dims, values, flag_attrs() if name == "flags" else attrs_of(table[name]))
    return finish(data)


def flag_attrs() -> dict[str, Any]:
    """CF attributes that tell the bits of a `flags` variable."""
    return {
        "long_name": "reasons for missing values, 0 = good",
        "flag_masks": list(FLAGS.values()),
        "flag_meanings": " ".join(FLAGS),
    }


def processed(data: xr.Dataset | xr.DataArray, step: dict[str, Any]) -> str:
    """JSON list of the steps behind a product, this one (function, parameters) last."""
    try:
        history = json.loads(data.attrs.get("processing", "[]"))
    except (TypeError, ValueError):
        history = None
    if not isinstance(history, list):  # an attribute of somebody else's
        history = []
    return json.dumps([*history, {"xoffset": version("xoffset")} | step])


def steps(data: xr.Dataset | xr.DataArray) -> list[dict[str, Any]]:
    """Steps behind a product (function, parameters) without the versions: to be compared, not to compute with."""
    history = json.loads(processed(data, {"function": ""}))[:-1]
    named = [step for step in history if isinstance(step, dict) and "function" in step]
    return [{name: value for name, value in step.items() if name != "xoffset"} for step in named]


def variables_of_shifts(data: xr.Dataset) -> list[str]:
    """Names of the variables that are those of shifts, and not the caller's own."""
    return [str(name) for name in data.data_vars if name in _SHIFTS or name == "flags"]


def relabel(data: xr.Dataset, step: dict[str, Any]) -> xr.Dataset:
    """Set the attributes of shifts anew after a step that changed their values."""
    for name, variable in data.data_vars.items():
        if name == "flags":
            variable.attrs = flag_attrs()
        elif name in _SHIFTS:
            variable.attrs = attrs_of(_SHIFTS[str(name)])
    data.attrs = data.attrs | {"processing": processed(data, step)}
    return finish(data)


def finish(data: xr.Dataset) -> xr.Dataset:
    """Set what no step may leave to chance: date encoding, axis labels and the link to the CRS."""
    _label_coordinates(data)
    if "spatial_ref" in data.coords:
        for variable in data.data_vars.values():
            if {"y", "x"} <= set(variable.dims):
                variable.encoding["grid_mapping"] = "spatial_ref"
    return data


def _product(
    fields: Mapping[str, Any],
    dims: tuple[str, ...],
    coords: Mapping[Hashable, Any],
    table: Mapping[str, tuple[str | None, str]],
    step: dict[str, Any],
    like: xr.Dataset | xr.DataArray,
) -> xr.Dataset:
    data = xr.Dataset(coords=coords, attrs={"Conventions": "CF-1.11", "processing": processed(like, step)})
    for name, values in fields.items():
        attrs = flag_attrs() if name == "flags" else attrs_of(table[name])
        # maps lack the first dim, values of whole scenes the grid
        data[name] = (dims[:1] if values.ndim == 1 else dims[-values.ndim :], values, attrs)
    return finish(data)


def attrs_of(entry: tuple[str | None, str]) -> dict[str, str]:
    """Attributes of a variable from its entry in a table of labels."""
    units, long_name = entry
    return {"long_name": long_name} | ({"units": units} if units else {})


def _crs_coordinates(like: xr.Dataset | xr.DataArray) -> dict[Hashable, Any]:
    crs = crs_of(like)
    return {} if crs is None else {"spatial_ref": spatial_ref(crs)}


def _label_coordinates(data: xr.Dataset | xr.DataArray) -> None:
    labels = {
        "x": {"units": "m", "long_name": "x coordinate of projection", "standard_name": "projection_x_coordinate"},
        "y": {"units": "m", "long_name": "y coordinate of projection", "standard_name": "projection_y_coordinate"},
        "time": {"long_name": "date and time, UTC", "standard_name": "time"},
        "reference": {"long_name": "date of the reference image, UTC"},
        "secondary": {"long_name": "date of the secondary image, UTC"},
        "step": {"long_name": "date of the step, UTC"},
        "exponential": {"long_name": "date from which the exponential decay counts, UTC"},
        "logarithmic": {"long_name": "date from which the logarithmic decay counts, UTC"},
        "exponential_tau": {"long_name": "time of the exponential decay", "units": "day"},
        "logarithmic_tau": {"long_name": "time of the logarithmic decay", "units": "day"},
        "year": {"long_name": "calendar year, UTC"},
    }
    for name, attrs in labels.items():
        if name in data.coords:
            data[name].attrs = dict(attrs)
            if data[name].dtype.kind == "M":
                data[name].encoding = dict(DATE_ENCODING)
            else:
                data[name].encoding = {"_FillValue": None}
