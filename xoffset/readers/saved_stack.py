"""Stacks that were saved with xarray, to Zarr or netCDF, opened again as stacks."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from xoffset import _options
from xoffset.model import history, kinds, products
from xoffset.model.dates import DATE_ENCODING
from xoffset.readers import grids
from xoffset.readers.grids import Bounds
from xoffset.readers.open_result import HDF, is_zarr, open_stored

_DIMS = ("time", "y", "x")
# Attributes of values that no stack of ours has.
_CODING = {"valid_min", "valid_max", "valid_range", "_Unsigned"}


def is_saved(source: Any) -> bool:
    """Whether a path is a Zarr store, or a netCDF file that holds a stack of ours."""
    if not isinstance(source, (str, os.PathLike)):
        return False
    place = os.fspath(source)
    if "://" in place:
        return place.rstrip("/").endswith(".zarr")
    path = Path(place).expanduser()
    if path.is_dir():
        return is_zarr(path)
    return path.suffix.lower() in (".nc", ".nc4", ".h5") and path.is_file() and _is_our_file(path)


def _is_our_file(path: Path) -> bool:
    """Whether a netCDF file holds images with dates on a grid; all others are rasters to GDAL."""
    with path.open("rb") as opened:
        if opened.read(len(HDF)) != HDF:
            return False
    try:
        with xr.open_dataset(path, engine="h5netcdf", decode_cf=False, chunks=None) as found:
            return _is_ours(found)
    except (ImportError, ValueError, OSError, KeyError):
        return False


def _is_ours(found: xr.Dataset) -> bool:
    if history.steps(found) or any(history.steps(each) for each in found.data_vars.values()):
        return True
    # arithmetic may have taken the history; dates are written as ours are, and what the file says of its values,
    # such as which are valid, is read where files of anybody are
    is_dated = "time" in found and found["time"].attrs.get("units") == DATE_ENCODING["units"]
    return is_dated and not any(_CODING & set(each.attrs) for each in found.data_vars.values())


def read(
    source: str | os.PathLike[str],
    *,
    band: int | str | None,
    bbox: Bounds | None,
    chunks: tuple[int, int] | None,
) -> xr.DataArray:
    """Stack (time, y, x) of a store, cropped; in memory, or lazy with one date a block of the sides given."""
    place = os.fspath(source) if "://" in os.fspath(source) else str(Path(source).expanduser())
    with_chunks: dict[Hashable, int] | None = None if chunks is None else {"time": 1, "y": chunks[0], "x": chunks[1]}
    with _options.speaking_as("open_stack", "open_result"):
        found = open_stored(place, with_chunks, are_pixels=True)
    stack = cropped(_picked(found, place, band), bbox)
    if chunks is None:
        stack = stack.load()
        found.close()
    else:
        stack.set_close(found.close)
    products.finish_stack(stack)
    return stack


def _picked(found: xr.Dataset, place: str, band: int | str | None) -> xr.DataArray:
    """The only variable that is a stack, or the one with the name given."""
    kind = kinds.kind_of(found)
    names = [str(name) for name, each in found.data_vars.items() if set(each.dims) == set(_DIMS)]
    if kind not in (None, "map") or not names or "flags" in found:
        what = kinds.KINDS[kind][0] if kind in kinds.KINDS else f"variables {sorted(map(str, found.data_vars))}"
        raise ValueError(
            f"open_stack() needs images (time, y, x) in the store; got {what} in {place}. "
            "Reopen results with xoffset.open_result(path)."
        )
    if band is not None and band not in names:
        raise ValueError(
            f"open_stack() needs the name of a variable of the store as band; got {band!r}. "
            f"Choose of: {', '.join(names)}."
        )
    if band is None and len(names) > 1:
        raise ValueError(
            f"open_stack() needs one band; {place} holds {', '.join(names)}. Pass band={names[0]!r} or another one."
        )
    stack = found[band if band is not None else names[0]].transpose(*_DIMS)
    return stack.assign_attrs({name: value for name, value in found.attrs.items() if name not in stack.attrs})


def cropped(stack: xr.DataArray, bbox: Bounds | None) -> xr.DataArray:
    """Pixels whose centres lie within the box."""
    if bbox is None:
        return stack
    y, x = (stack[name].values for name in ("y", "x"))
    edges = ", ".join(f"{edge:.10g}" for edge in (x.min(), y.min(), x.max(), y.max()))
    rows, columns = grids.window_in(bbox, y, x, f"({edges}) from one pixel centre to the last")
    return stack.isel(y=rows, x=columns)


def check_options(options: Mapping[str, Any], what: str = "a stack that was saved") -> None:
    """Refuse options that are for files of images, not for a saved stack."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f"open_stack() needs no {given[0]}= for {what}; got {options[given[0]]!r}. Leave it out.")
