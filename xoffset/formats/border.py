"""The border: numbers of another system become shifts, and shifts become its numbers, as its row of the table says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, Unpack

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats.joining import joined as joined
from xoffset.formats.names import SOURCE as SOURCE
from xoffset.formats.names import SYSTEM as SYSTEM
from xoffset.formats.names import SYSTEMS, System
from xoffset.model import checks, grids, north, products
from xoffset.model.dates import as_dates, in_years
from xoffset.model.flags import FLAGS
from xoffset.model.nonsense import without_nonsense

if TYPE_CHECKING:
    import pyproj

# No image of the ground that is matched is older or newer than these.
FIRST, LAST = np.datetime64("1900-01-01", "us"), np.datetime64("2100-01-01", "us")
_ERRORS = ("sigma_dx", "sigma_dy")
_DAY = np.timedelta64(1, "D")
# Names of the two components, their errors and covariance, in that order.
_VECTOR = ("dx", "dy", *_ERRORS, "cov_dxdy")


@dataclass(frozen=True, eq=False)
class Place:
    """Where values lie: centres of columns and rows in metres of the CRS, in the order of the arrays."""

    x: np.ndarray
    y: np.ndarray
    crs: pyproj.CRS | None

    @classmethod
    def of(cls, data: xr.Dataset) -> Place:
        """Where the values of a product lie."""
        x, y = (np.asarray(data[name].values, dtype=np.float64) for name in ("x", "y"))
        return cls(x, y, grids.crs_of(data))


@dataclass(frozen=True, eq=False)
class Theirs:
    """Values in the numbers of a system, NaN where there are none, by our names: (pair, y, x) with y from the north."""

    fields: Mapping[str, Any]
    reference: np.ndarray
    secondary: np.ndarray
    place: Place
    step: grids.Spacing
    source: Sequence[str]

    @property
    def days(self) -> np.ndarray:
        """Baseline of each pair [day], negative for a backward one."""
        return np.asarray((self.secondary - self.reference) / _DAY, dtype=np.float64)


class Told(TypedDict):
    """What `to_shifts` is told beside the values.

    `source` is the name of the file, granule or row of each pair, `caller` the function that errors name. `pixel` is
    the size of the pixels that displacements in pixels count, along x and y, metres; of systems with such units.
    `flags` are bits to set beside `nodata`, (pair, y, x) or (y, x).
    """

    source: Sequence[str]
    caller: str
    pixel: NotRequired[tuple[float, float] | None]
    flags: NotRequired[Any]


def to_shifts(
    name: str, fields: Mapping[str, Any], reference: Any, secondary: Any, place: Place, **told: Unpack[Told]
) -> xr.Dataset:
    """Shifts (pair, y, x) of values in the numbers of a system.

    Parameters
    ----------
    name
        System, a key of `SYSTEMS`.
    fields
        Values by our names, such as `dx` and `sigma_dx`, NumPy or dask: (pair, y, x), or (y, x) of one pair. Standard
        errors may be one number a pair, (pair,), NaN if not known; those left out are NaN. A declared scale is to be
        applied before.
    reference, secondary
        Dates of each pair, UTC, in the direction of the displacement.
    place
        Grid of the values.
    told
        See `Told`.

    Raises
    ------
    ValueError
        If dates are missing, equal or beyond reason, the grid is uneven or not in metres, or the size of pixels is
        needed and not given.
    """
    system, source, caller, flags = SYSTEMS[name], told["source"], told["caller"], told.get("flags")
    first, second = (np.atleast_1d(as_dates(dates)) for dates in (reference, secondary))
    _check_dates(first, second, source, caller)
    like = _labelled(place, caller)
    factor_x, factor_y = _factors(system, first, second, told.get("pixel"), caller)
    ours = {key: _maps(values) for key, values in fields.items() if key not in _ERRORS}
    ours = {key: without(values, system.nodata) for key, values in ours.items()}
    is_known = np.isfinite(ours["dx"]) & np.isfinite(ours["dy"])
    made: dict[str, Any] = {
        "dx": _scaled(ours.pop("dx"), factor_x, is_known),
        "dy": _scaled(ours.pop("dy"), factor_y, is_known),
    }
    for key, factor in zip(_ERRORS, (factor_x, factor_y), strict=True):
        made[key] = _error(fields.get(key), np.abs(factor), is_known, system, made["dx"].dtype)
    if "cov_dxdy" in ours:
        made["cov_dxdy"] = _scaled(ours.pop("cov_dxdy"), factor_x * factor_y, is_known)
    if "score" in ours:
        gain, offset = system.score
        ours["score"] = ours["score"] * gain + offset
    if system.north == "true":
        made = _onto_grid(made, place, caller)
    bits = np.where(is_known, np.int64(0), np.int64(FLAGS["nodata"]))
    made |= ours | {"flags": bits if flags is None else bits | _maps(flags).astype(np.int64)}
    shifts = products.shifts(
        made, products.network(first, second), x=place.x, y=place.y, like=like,
        step={"function": caller, "system": name},
    )  # fmt: skip
    shifts = shifts.assign_coords(
        {SYSTEM: ("pair", np.full(first.size, name, dtype=object)), SOURCE: ("pair", np.array(source, dtype=object))}
    )
    return products.finish(without_nonsense(shifts, ("dx", "dy"), ("sigma_dx", "sigma_dy", "cov_dxdy")))


def from_shifts(
    name: str,
    shifts: xr.Dataset,
    *,
    caller: str,
    pixel: tuple[float, float] | None = None,
    fields: Sequence[str] = ("dx", "dy", "sigma_dx", "sigma_dy", "score", "cov_dxdy", "flags"),
) -> Theirs:
    """Values of shifts in the numbers of a system, rows from the north, columns from the west; lazy if they are.

    Without `pixel` displacements in pixels count those of the matched images, which shifts of `correlate` tell.

    Raises
    ------
    TypeError
        If it is no Dataset.
    ValueError
        If these are no shifts on a grid, or the size of pixels is needed and not known.
    """
    system = SYSTEMS[name]
    shifts = checks.as_shifts(shifts, caller)
    step = grids.spacing(shifts, caller)
    flips = {label: slice(None, None, -1) for label, flip in (("y", step.y > 0), ("x", step.x < 0)) if flip}
    shifts = shifts.isel(flips)
    first, second = (as_dates(shifts[label].values) for label in ("reference", "secondary"))
    if pixel is None and products.PIXEL_SIZE in shifts.coords:
        side = float(np.max(shifts[products.PIXEL_SIZE].values))
        pixel = (side, side)
    factors = dict(zip(("dx", "dy"), _factors(system, first, second, pixel, caller), strict=True))
    factors |= {f"sigma_{key}": np.abs(factor) for key, factor in factors.items()}
    factors["cov_dxdy"] = factors["dx"] * factors["dy"]
    values: dict[str, Any] = {}
    for key in (each for each in fields if each in shifts and shifts[each].dims == ("pair", "y", "x")):
        data = shifts[key].data
        values[key] = data if key not in factors else data / factors[key].astype(data.dtype)
    if "score" in values:
        gain, offset = system.score
        values["score"] = (values["score"] - offset) / gain
    source = list(shifts[SOURCE].values) if SOURCE in shifts.coords else [""] * first.size
    return Theirs(values, first, second, Place.of(shifts), grids.spacing(shifts, caller), source)


def sides(pixel_size: Any, caller: str) -> tuple[float, float] | None:
    """Sides of a pixel along x and y that a caller gave, one for both or two, checked; None if none is given."""
    if pixel_size is None:
        return None
    both = tuple(pixel_size) if isinstance(pixel_size, (tuple, list)) else (pixel_size, pixel_size)
    if len(both) != 2:
        raise ValueError(f"{caller}() needs one pixel_size, or one along x and one along y; got {pixel_size!r}.")
    x, y = (_options.as_positive(each, "pixel_size", caller, unit="m", example=10.0) for each in both)
    return x, y


def packed(values: np.ndarray, dtype: str, fill: int, what: str, unit: str, caller: str) -> np.ndarray:
    """Whole numbers of a type, the fill where values are NaN.

    Raises
    ------
    ValueError
        If a value lies beyond the range of the type, or is the fill.
    """
    whole = np.rint(values)
    limits = np.iinfo(dtype)
    least, most = (limits.min + (fill == limits.min), limits.max - (fill == limits.max))
    # ITS_LIVE's fill is one above the least number that the type has
    least = max(least, fill + 1) if fill < 0 else least
    wrong = np.isfinite(whole) & ((whole < least) | (whole > most))
    if wrong.any():
        raise ValueError(
            f"{caller}() needs {what} between {least} and {most} {unit}, which {dtype} holds; got "
            f"{np.nanmin(whole):.0f} to {np.nanmax(whole):.0f}. Screen the shifts, leave out short baselines, or save "
            "them with to_zarr()."
        )
    return np.where(np.isfinite(whole), whole, fill).astype(dtype)


def _check_dates(first: np.ndarray, second: np.ndarray, source: Sequence[str], caller: str) -> None:
    for kind, wrong in (
        ("two dates", np.isnat(first) | np.isnat(second)),
        ("two different dates", first == second),
        (f"dates from {FIRST.item().year} to {LAST.item().year}", _is_beyond(first) | _is_beyond(second)),
    ):
        if wrong.any():
            k = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"{caller}() needs {kind} a pair; got {first[k]} and {second[k]} in pair {k} ({source[k]}), the first "
                f"of {int(wrong.sum())}. Correct them, or leave such pairs out before you pass the data."
            )


def _is_beyond(dates: np.ndarray) -> np.ndarray:
    return np.asarray((dates < FIRST) | (dates > LAST))


def _labelled(place: Place, caller: str) -> xr.DataArray:
    """Grid (y, x) without values, checked."""
    coords: dict[Any, Any] = {"y": np.asarray(place.y), "x": np.asarray(place.x)}
    if place.crs is not None:
        coords["spatial_ref"] = grids.spatial_ref(place.crs)
    like = xr.DataArray(np.broadcast_to(np.nan, (place.y.size, place.x.size)), dims=("y", "x"), coords=coords)
    grids.check_crs(place.crs, like, caller)
    if like.size > 1:  # a point has no spacing
        grids.spacing(like, caller)
    return like


def _factors(
    system: System, first: np.ndarray, second: np.ndarray, pixel: tuple[float, float] | None, caller: str
) -> tuple[np.ndarray, np.ndarray]:
    """Metres toward increasing x and y that are one of the system's numbers, for each pair (pair, 1, 1), float64."""
    sizes: tuple[float, float] = (1.0, 1.0)
    length = np.ones(first.size)
    match system.units:
        case "pixel":
            if pixel is None:
                raise ValueError(
                    f"{caller}() needs the size of a pixel of the matched images, since {system.title} counts pixels; "
                    "got none. Pass it in metres: pixel_size=10.0."
                )
            sizes = pixel
        case "m yr-1":
            length = in_years(second - first)
        case "m d-1":
            length = np.asarray((second - first) / _DAY, dtype=np.float64)
    x, y = (sign * size * length[:, np.newaxis, np.newaxis] for sign, size in zip(system.signs, sizes, strict=True))
    return x, y


def _maps(values: Any) -> Any:
    """Values (pair, y, x) as floats, whole numbers as they are."""
    return values if values.ndim == 3 else values[np.newaxis]


def without(values: Any, nodata: Sequence[float]) -> Any:
    """Values as floats, NaN where the value is one of those that stand for none."""
    if values.dtype.kind != "f":
        values = values.astype(np.float64 if values.dtype.itemsize > 4 else np.float32)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    for number in nodata:
        values = np.where(values == values.dtype.type(number), values.dtype.type(np.nan), values)
    return values


def _scaled(values: Any, factor: np.ndarray, is_known: Any) -> Any:
    return np.where(is_known, values * factor.astype(values.dtype), values.dtype.type(np.nan))


def _error(given: Any, factor: np.ndarray, is_known: Any, system: System, dtype: np.dtype) -> Any:
    """Standard errors in metres, NaN where they or the vector are not known: they are never invented."""
    errors = np.full(factor.shape, np.nan) if given is None else given
    if errors.ndim == 1:
        errors = np.asarray(errors, dtype=np.float64)[:, np.newaxis, np.newaxis]
    errors = without(_maps(errors), system.nodata).astype(dtype)
    errors = errors * factor.astype(dtype)
    return np.where(is_known & (errors > 0.0) & np.isfinite(errors), errors, dtype.type(np.nan))


def _onto_grid(made: Mapping[str, Any], place: Place, caller: str) -> dict[str, Any]:
    """Vectors toward true east and north, in metres of ground, as metres of the grid."""
    if place.crs is None:
        raise ValueError(
            f"{caller}() needs the CRS of the grid, since components are toward true north; got none. "
            "Pass crs='EPSG:...'."
        )
    columns, rows = np.meshgrid(place.x, place.y)
    a, b, c, d = north.onto_ground(columns, rows, place.crs.to_wkt())
    size = a * d - b * c
    turn = d / size, -b / size, -c / size, a / size
    dtype = made["dx"].dtype
    east, up, sigma_east, sigma_up = (made[key].astype(np.float64) for key in _VECTOR[:4])
    both = made["cov_dxdy"].astype(np.float64) if "cov_dxdy" in made else 0.0
    a, b, c, d = turn
    turned = {
        "dx": a * east + b * up,
        "dy": c * east + d * up,
        "sigma_dx": np.sqrt((a * sigma_east) ** 2 + (b * sigma_up) ** 2 + 2 * a * b * both),
        "sigma_dy": np.sqrt((c * sigma_east) ** 2 + (d * sigma_up) ** 2 + 2 * c * d * both),
        "cov_dxdy": a * c * sigma_east**2 + b * d * sigma_up**2 + (a * d + b * c) * both,
    }
    return {**made, **{key: values.astype(dtype) for key, values in turned.items()}}


def check_has_crs(theirs: Theirs, caller: str) -> None:
    """Refuse shifts without a CRS, for formats that are nothing without one."""
    if theirs.place.crs is None:
        raise ValueError(f"{caller}() needs shifts with a CRS; got none. Name it: shifts.rio.write_crs('EPSG:...').")


def mapping_of(theirs: Theirs) -> xr.Variable:
    """Coordinate that holds the CRS."""
    assert theirs.place.crs is not None  # `check_has_crs` has refused it
    return grids.spatial_ref(theirs.place.crs)


def stems(theirs: Theirs, between: str) -> list[str]:
    """Name for a file of each pair: its dates, with their time of day if any has one, numbered where pairs repeat."""
    return stems_of(theirs.reference, theirs.secondary, between)


def stems_of(reference: np.ndarray, secondary: np.ndarray, between: str) -> list[str]:
    """Name for a file of each pair of these dates, as `stems`."""
    dates = np.stack([reference, secondary])
    form = "%Y%m%d" if (dates == dates.astype("datetime64[D]")).all() else "%Y%m%dT%H%M%S"
    names = [between.join(date.item().strftime(form) for date in pair) for pair in dates.T]
    counts: dict[str, int] = {}
    unique = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        unique.append(name if counts[name] == 1 else f"{name}_{counts[name]}")
    return unique
