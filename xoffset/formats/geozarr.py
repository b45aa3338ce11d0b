"""GeoZarr: a Zarr store with coarser levels beside the full one, and the CRS and the grid as attributes of each."""

from __future__ import annotations

import functools
import operator
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.formats import gridded, writing
from xoffset.model import grids, products
from xoffset.model.dates import DATE_ENCODING
from xoffset.model.flags import without_gaps
from xoffset.model.storage import Checksummed

if TYPE_CHECKING:
    import pyproj

# Side of a chunk, and of the coarsest level at most.
_CHUNK, _COARSEST = 512, 256
# Conventions of GeoZarr, by what identifies them whatever their version.
_CONVENTIONS = {
    "multiscales": "d35379db-88df-4056-af3a-620245f8e347",
    "proj": "f17cb550-5864-4468-aeb7-f3180cfb622f",
    "spatial": "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4",
}


def write(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    levels: int | None = None,
    overwrite: bool = False,
) -> Path:
    """GeoZarr store of maps: all pixels in group `0`, and levels of half as many a side in groups `1`, `2` and on.

    The conventions multiscales, proj and spatial of GeoZarr stand in the attributes, beside the grid mapping of
    CF and the `_CRS` of GDAL, so that programs of all kinds find the CRS. Rows are north up, columns west left. The
    format is Zarr 3 without shards, in chunks of one layer and 512 pixels a side. Coarser levels are there to be looked
    at: they hold means of four pixels, of those that are known, and of flags every reason that any of the four has, so
    that a value with a flag may lack a part of its ground; of counts, dates and cyclic quantities such as `direction`
    the first of the four. Of an odd number of rows or columns the last is left out of the next level.

    Parameters
    ----------
    dataset
        Shifts (pair, y, x), a series (time, y, x), a rate (y, x) or anything else with evenly spaced `x` and `y`.
    path
        Folder of the store, such as "velocity.zarr".
    levels
        Number of levels, the full one included. None: as many as make the longer side 256 pixels or less.
    overwrite
        Replace a store that is there, as a whole.

    Returns
    -------
    pathlib.Path
        The store. `open_result(path / "0")` reads the full level.

    Raises
    ------
    TypeError
        If it is no Dataset, or a variable holds neither real numbers nor dates.
    ValueError
        If there are no variables on y and x, the grid is uneven, or there are more levels than the grid can be halved.
    FileExistsError
        If there is a store and it may not be replaced.
    OSError
        If it cannot be written; nothing is left of it then.

    Examples
    --------
    >>> import tempfile
    >>> import xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = xoffset.formats.geozarr.write(truth[["vx", "vy"]], f"{folder}/velocity.zarr", levels=2)
    ...     dict(xoffset.open_result(path / "1").sizes)
    {'y': 32, 'x': 32}
    """
    target = _options.as_path(path, "path", "geozarr.write")
    replace = _options.as_switch(overwrite, "overwrite", "geozarr.write")
    data = gridded.as_gridded(dataset, "geozarr.write")
    data = gridded.north_up(data[gridded.names_of(data, None, "geozarr.write")], "geozarr.write")
    count = _count(data, levels)
    with writing.replaced(target, overwrite=replace, caller="geozarr.write") as scratch:
        _write_group(scratch, _multiscales(data, count))
        for level in range(count):
            _write_level(data, scratch, level)
            with xr.open_zarr(scratch, group=str(level), consolidated=False, decode_coords="all") as stored:
                data = _halved(stored) if level + 1 < count else data
    return target


def _count(data: xr.Dataset, levels: int | None) -> int:
    sides = data.sizes["y"], data.sizes["x"]
    if levels is None:
        count = 1
        while max(sides) >> (count - 1) > _COARSEST and min(sides) >> count >= 2:
            count += 1
        return count
    count = _options.as_whole_number(levels, "levels", "geozarr.write", least=1, example=3)
    if count > 1 and min(sides) >> (count - 1) < 2:
        raise ValueError(
            f"geozarr.write() needs levels of two pixels a side and more; got levels={count} of {sides[0]} rows and "
            f"{sides[1]} columns. Pass levels={max(min(sides).bit_length() - 1, 1)} or less."
        )
    return count


def _write_level(data: xr.Dataset, store: Path, level: int) -> None:
    data = _ready(data)
    data.to_zarr(store, group=str(level), mode="a", zarr_format=3, consolidated=False)


def _ready(data: xr.Dataset) -> xr.Dataset:
    """Level with its attributes, its encoding and its chunks."""
    crs = grids.crs_of(data)
    data = products.finish(data.copy())
    data.attrs = dict(data.attrs) | _place(data)
    for name, variable in data.variables.items():
        on_grid = {"y", "x"} <= set(variable.dims)
        variable.encoding = _encoding(variable, on_grid=on_grid)
        if on_grid and crs is not None:
            variable.encoding["grid_mapping"] = "spatial_ref"
            if name in data.data_vars:
                variable.attrs = dict(variable.attrs) | {"_CRS": {"wkt": crs.to_wkt()}}
    is_lazy = any(variable.chunks is not None for variable in data.data_vars.values())
    return data.chunk({str(dim): _side(str(dim), size) for dim, size in data.sizes.items()}) if is_lazy else data


def _encoding(variable: xr.Variable, *, on_grid: bool) -> dict[str, Any]:
    encoding: dict[str, Any] = {"compressors": (Checksummed(),), "write_empty_chunks": True}
    if variable.ndim:
        encoding["chunks"] = tuple(_side(str(dim), size) for dim, size in variable.sizes.items())
    if variable.dtype.kind == "f":
        # others take what is unwritten for the value of the fill: it must be none
        return encoding | {"fill_value": np.nan, "_FillValue": np.nan if on_grid else None}
    fill = variable.encoding.get("fill_value")
    kept = {} if fill is None else {"fill_value": fill}
    return encoding | kept | (dict(DATE_ENCODING) if variable.dtype.kind == "M" else {})


def _side(dim: str, size: int) -> int:
    """Length of a chunk along a dim: one layer, but all of what is no layer."""
    return min(_CHUNK, size) if dim in ("y", "x") else 1


def _halved(data: xr.Dataset) -> xr.Dataset:
    """Next level: half as many rows and columns."""
    even = data.isel({dim: slice(data.sizes[dim] // 2 * 2) for dim in ("y", "x")})
    coarse = even.coarsen(y=2, x=2)
    fields = {}
    for name, field in even.data_vars.items():
        field.attrs.pop("_CRS", None)
        if gridded.has_mean(field):
            fields[name] = field.coarsen(y=2, x=2).mean().astype(field.dtype).assign_attrs(field.attrs)
        elif "flag_masks" in field.attrs:
            fields[name] = _any_bit(field)
        else:
            fields[name] = field[..., ::2, ::2].drop_vars(("y", "x"))
    axes = {dim: coarse.mean().coords[dim] for dim in ("y", "x")}
    others = {name: each for name, each in even.coords.items() if not {"y", "x"} & set(each.dims)}
    return xr.Dataset(fields, attrs=data.attrs).assign_coords(others | axes)


def _any_bit(flags: xr.DataArray) -> xr.DataArray:
    """Bits that any of four pixels has."""
    whole = without_gaps(flags)
    whole = whole.astype(np.int64) if whole.dtype.kind == "f" else whole
    four = [whole[..., row::2, column::2].drop_vars(("y", "x")) for row in (0, 1) for column in (0, 1)]
    joined = functools.reduce(operator.or_, four).assign_attrs(flags.attrs)
    joined.encoding = dict(flags.encoding)
    return joined


def _multiscales(data: xr.Dataset, count: int) -> dict[str, Any]:
    """Attributes of the store as a whole; the place of each level stands in its entry alone, as the conventions ask."""
    layout: list[dict[str, Any]] = []
    a, b, left, d, e, top = gridded.transform_of(data, "geozarr.write")
    for level in range(count):
        # from the corner of a pixel, by which the first pixels of all levels begin at one place
        entry: dict[str, Any] = {"asset": str(level)} | ({"derived_from": str(level - 1)} if level else {})
        entry["transform"] = {"scale": [2.0 if level else 1.0] * 2, "translation": [0.0, 0.0]}
        side = float(2**level)
        entry["spatial:transform"] = [a * side, b, left, d, e * side, top]
        entry["spatial:shape"] = [data.sizes["y"] >> level, data.sizes["x"] >> level]
        layout.append(entry)
    return {
        "zarr_conventions": _conventions("multiscales", "proj", "spatial"),
        "multiscales": {"layout": layout, "resampling_method": "average"},
        "spatial:dimensions": ["y", "x"],
        "spatial:bbox": list(gridded.bounds_of(data, "geozarr.write")),
    } | _crs(grids.crs_of(data))


def _place(data: xr.Dataset) -> dict[str, Any]:
    """Attributes of a level: its grid and its CRS."""
    return {
        "zarr_conventions": _conventions("proj", "spatial"),
        "spatial:dimensions": ["y", "x"],
        "spatial:shape": [data.sizes["y"], data.sizes["x"]],
        "spatial:transform": list(gridded.transform_of(data, "geozarr.write")),
        "spatial:registration": "pixel",
    } | _crs(grids.crs_of(data))


def _crs(crs: pyproj.CRS | None) -> dict[str, str]:
    if crs is None:
        return {}
    code = crs.to_authority()
    return {"proj:code": ":".join(code)} if code else {"proj:wkt2": crs.to_wkt()}


def _conventions(*names: str) -> list[dict[str, str]]:
    return [{"uuid": _CONVENTIONS[name], "name": name} for name in names]


def _write_group(store: Path, attrs: dict[str, Any]) -> None:
    import zarr

    zarr.open_group(store, mode="w", zarr_format=3).attrs.update(attrs)
