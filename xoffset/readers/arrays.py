"""Images that are parts of arrays: of Zarr stores, or of what was opened with xarray."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xoffset._options import is_number
from xoffset.model.grids import agree, crs_of
from xoffset.readers import grids, positions
from xoffset.readers.eopf.zarr_stores import as_mapping
from xoffset.readers.grids import Grid, Window
from xoffset.readers.scenes import floats_for
from xoffset.readers.stored import Stored

if TYPE_CHECKING:
    import pyproj

_PACKING = ("scale_factor", "add_offset")
_FILLS = ("_FillValue", "fill_value", "missing_value")
# Raises where pixels of a window that mean "no data" were lost; it gets the window, and where in it there is no data.
CheckLost = Callable[[Window, np.ndarray], None]


@dataclass(frozen=True, eq=False)
class ArrayImage:
    """A date of an array (y, x) or (time, y, x), whose values are those of ground: scaled where it says so.

    `fills` are the values that mean "no data", `index` the place of the date along the first axis.
    """

    name: str
    grid: Grid
    stored: Stored
    fills: tuple[float, ...]
    result_dtype: np.dtype
    index: int | None = None
    check_lost: CheckLost | None = None
    strip: int = 0
    is_local: bool = False
    # dask would read all values to name them; and a store that was rewritten is another one
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __dask_tokenize__(self) -> str:
        return self.token

    def read(self, window: Window) -> np.ndarray:
        """Pixels of a window as floats, NaN where they do not count."""
        values = self.stored.raw(window if self.index is None else (self.index, *window))
        invalid = ~np.isfinite(values)
        for fill in self.fills:
            invalid |= values == values.dtype.type(fill)
        if self.check_lost is not None and invalid.any():
            self.check_lost(window, invalid)
        out = values.astype(self.result_dtype)
        out[invalid] = np.nan
        return np.asarray(out)


@dataclass(frozen=True)
class Decoded:
    """A variable whose values are scaled when they are read, those that mean "no data", and the type that holds all."""

    variable: xr.Variable
    fills: tuple[float, ...]
    dtype: np.dtype
    is_scaled: bool


def decoded(variable: xr.Variable, *, nodata: float | None, zero: bool) -> Decoded:
    """Variable with the scale and offset that it declares, once, whether it was opened with them or without.

    Of whole numbers and what was made of them, 0 means "no data" where `zero` says so, whatever is declared: not all
    that declare a fill value do it in the words that xarray knows, and would come as the offset. `nodata`, a stored
    number too, replaces what else is declared.
    """
    # the processor repeats its attributes where xarray leaves them alone
    kept = as_mapping(variable.attrs.get("_eopf_attrs"))
    told, packing = variable.attrs, _packing(variable.attrs)
    stored = _stored_type(variable, kept)
    is_float = variable.dtype.kind == "f"
    if is_float and not packing:
        packing = _packing(variable.encoding) or _packing(kept)
        fresh = variable
    else:
        packing = packing or _packing(kept)
        fresh = _unpacked(variable, packing)
    declared = [each[name] for each in (told, variable.encoding, kept) for name in _FILLS if name in each]
    if nodata is not None:
        declared = [float(nodata), *([0] if zero else [])]
    elif is_float and not packing:
        declared = [told["_FillValue"]] if "_FillValue" in told else []
    elif zero:
        declared.append(0)
    numbers = sorted({float(number) for each in declared for number in np.ravel(each).tolist() if is_number(number)})
    fills = _as_decoded(numbers, packing, stored, fresh.dtype)
    return Decoded(fresh, fills, floats_for(stored), bool(packing) or is_float)


def _packing(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: attrs[name] for name in _PACKING if is_number(attrs.get(name))}


def _stored_type(variable: xr.Variable, kept: Mapping[str, Any]) -> np.dtype:
    """Type of the numbers as they are stored, which says how exact the values are."""
    own: np.dtype = variable.dtype
    if own.kind == "f":
        for told in (variable.encoding.get("dtype"), variable.attrs.get("dtype"), kept.get("dtype")):
            with suppress(TypeError):
                declared: np.dtype = np.dtype(told or "O")
                if declared.kind in "iuf":
                    return declared
    return own


def _unpacked(variable: xr.Variable, packing: Mapping[str, Any]) -> xr.Variable:
    if not packing:
        return variable
    packed = xr.Variable(variable.dims, variable._data, dict(packing), variable.encoding)
    return xr.conventions.decode_cf_variable("pixels", packed, decode_times=False)


def _as_decoded(
    numbers: list[float], packing: Mapping[str, Any], stored: np.dtype, dtype: np.dtype
) -> tuple[float, ...]:
    """Stored numbers as they are decoded: by the same operations in the same type, so that they compare equal."""
    if stored.kind in "iu":
        limits = np.iinfo(stored)
        numbers = [each for each in numbers if each == round(each) and limits.min <= each <= limits.max]
    if not packing:
        return tuple(numbers)
    variable = xr.Variable(("number",), np.array(numbers, dtype=stored))
    return tuple(float(each) for each in _unpacked(variable, packing).values.astype(dtype))


def lazy_sides(images: Sequence[Any]) -> tuple[int, int] | None:
    """Sides of the dask blocks of images that all are parts of dask arrays, of the first; None of any others."""
    chunks = [each.stored.variable.chunks for each in images if isinstance(each, ArrayImage)]
    known = [each for each in chunks if each is not None]
    if not known or len(known) < len(images):
        return None
    rows, columns = known[0][-2:]
    return int(rows[0]), int(columns[0])


# ---------------------------------------------------------------------------------------------------------------- grids


def grid_of(data: xr.DataArray, crs: pyproj.CRS | None, name: str) -> Grid:
    """Grid of the pixels whose centres are the coordinates x and y of an array.

    Raises
    ------
    ValueError
        If the coordinates are not there or not evenly spaced, if the array says elsewhere that it lies differently, or
        if its CRS is not in metres.
    """
    for axis in ("x", "y"):
        if axis not in data.coords or data[axis].dims != (axis,):
            raise ValueError(
                f"open_stack() needs coordinates x and y [m]; {name} has none on '{axis}'. Open the whole group with "
                "its coordinates, or write it again."
            )
    advice = "It is damaged: fetch it again."
    grid = grids.of_centres(data["x"].values, data["y"].values, _crs_of(data, crs, name), name, advice)
    _check_place(data, grid, name)
    grids.check_crs(grid, name)
    return grid


def _crs_of(data: xr.DataArray, crs: pyproj.CRS | None, name: str) -> pyproj.CRS:
    own = crs_of(data)
    found = own or crs
    if found is None:
        raise ValueError(
            f"open_stack() needs a CRS; {name} states none, neither in its root nor beside its pixels. Assign it: "
            "tree.attrs['stac_discovery'] = {'properties': {'proj:code': 'EPSG:32632'}}."
        )
    if own is not None and crs is not None and not agree(own, crs):
        raise ValueError(
            f"open_stack() needs one CRS; {name} states {crs.name} in its root and {own.name} beside its pixels. "
            "It is damaged: fetch it again."
        )
    return found


def _check_place(data: xr.DataArray, grid: Grid, name: str) -> None:
    """Refuse coordinates that lie elsewhere than the transform beside them says, such as half a pixel off."""
    transform, shape = (np.ravel(data.attrs.get(f"proj:{each}", ())) for each in ("transform", "shape"))
    if transform.size < 6 or shape.tolist() != [grid.height, grid.width]:
        return
    told = float(transform[2]), float(transform[5])
    gaps = (told[0] - grid.x) / grid.dx, (told[1] - grid.y) / grid.dy
    if max(map(abs, gaps)) > grids.LATTICE_TOLERANCE:
        raise ValueError(
            f"open_stack() needs pixels in one place; the corner of {name} is ({grid.x:.10g}, {grid.y:.10g}) by its "
            f"coordinates and ({told[0]:.10g}, {told[1]:.10g}) by its transform, {max(map(abs, gaps)):.2g} px apart. "
            "It is damaged, or its coordinates are not those of pixel centres: fetch it again."
        )


def sampled(stored: Stored, place: Grid, grid: Grid, outside: int) -> np.ndarray:
    """Values of the pixels of an array (y, x) that hold the pixel centres of a grid: by position, not interpolated."""
    out = np.full((grid.height, grid.width), outside, dtype=np.uint8)
    # of a layer that was opened with its fill value decoded, which is 0
    positions.lay(lambda window: np.nan_to_num(stored.raw(window)).astype(np.uint8), place, grid, out)
    return out
