"""Reopen saved products: Zarr stores and netCDF files back to the Dataset that was written."""

from __future__ import annotations

import importlib
import math
import os
import uuid
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset.model import history
from xoffset.model.dates import DATE_ENCODING
from xoffset.model.renamed import with_new_names

# What a variable must remember to be written again with the same meaning. All other encoding tells how the old file
# was stored (chunks, shards, codecs, list of coordinates): it is wrong once the data are re-chunked or change format.
_KEPT_ENCODING = frozenset({"_FillValue", "missing_value", "scale_factor", "add_offset", "grid_mapping"})

# Memory up to which stored chunks are joined to one dask chunk, bytes: a task then is worth its overhead.
_TASK_BYTES = 16 * 2**20


def open_result(path: str | os.PathLike[str]) -> xr.Dataset:
    """Product that was saved to Zarr or netCDF, as it was: with CRS, exact dates, labels and flags.

    Pixel data stay on disk until they are computed, in dask chunks that are whole stored chunks (or shards); dates and
    other coordinates are read at once. The result can be re-chunked, computed with, and written again in any format.

    Parameters
    ----------
    path
        Zarr store, version 2 or 3 (a folder, or a URL that fsspec understands), or netCDF4 file. Written with plain
        `.to_zarr()` or `.to_netcdf(engine="h5netcdf")`.

    Returns
    -------
    xarray.Dataset
        The network (pair), shifts (pair, y, x), series (time, y, x) or rate (y, x), `identical` to what was written:
        `dx` and `dy` in metres, velocities in metres a year, NaN where there is no value, dates as datetime64[us] in
        UTC. A stack that was saved as `stack.to_dataset()` comes back as a Dataset with that one variable.

    Raises
    ------
    FileNotFoundError
        If there is nothing at that path.
    ImportError
        If it is a netCDF file and the `netcdf` extra is not installed.
    ValueError
        If it is neither a Zarr store nor a netCDF4 file, or holds no product.
    OSError
        If it is damaged.

    Examples
    --------
    >>> import tempfile
    >>> import xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/velocity.zarr"
    ...     store = truth[["vx", "vy"]].to_zarr(path, consolidated=False)
    ...     xoffset.open_result(path).identical(truth[["vx", "vy"]])
    True
    """
    place = os.fspath(path)
    stored = _open(place)
    try:
        _check_product(stored, place)
        result = _with_chunks(stored)
    except BaseException:
        stored.close()
        raise
    result = with_new_names(result)
    _restore_encoding(result)
    result.set_close(stored.close)
    return result


def _open(place: str) -> xr.Dataset:
    if "://" in place:
        # Listing the arrays of a remote store costs a request each, or is not possible: ask for the summary first.
        try:
            return _read(place, engine="zarr", consolidated=True)
        except Exception:  # absence is another type of error in every Zarr version and for every protocol
            return _read_or_explain(place, engine="zarr", consolidated=False)
    local = Path(place)
    if not local.exists():
        raise FileNotFoundError(
            f"open_result() needs a saved product; got {place}, where there is nothing. Check the path; relative ones "
            f"start at {Path.cwd()}."
        )
    if local.is_dir():
        if not any((local / name).exists() for name in ("zarr.json", ".zgroup")):
            raise ValueError(
                f"open_result() needs a Zarr store or a netCDF4 file; got the folder {place} with neither zarr.json "
                "nor .zgroup in it. Give the path of the store itself, or read images with open_stack()."
            )
        # The summary (consolidated metadata) may be older than the arrays: an append need not renew it.
        return _read_or_explain(place, engine="zarr", consolidated=False)
    _check_netcdf(local)
    return _read_or_explain(place, engine="h5netcdf")


def _check_netcdf(file: Path) -> None:
    with file.open("rb") as opened:
        start = opened.read(8)
    if start != b"\x89HDF\r\n\x1a\n":
        kind = "netCDF 3, which holds no 64-bit integers" if start[:3] == b"CDF" else "no netCDF4"
        raise ValueError(
            f"open_result() needs a Zarr store or a netCDF4 file; got {file}, which is {kind}. "
            'Write products with .to_zarr() or .to_netcdf(engine="h5netcdf"); read images with open_stack().'
        )
    try:
        for name in ("h5netcdf", "h5py"):
            importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"open_result() needs h5netcdf and h5py to read {file}; got '{error}'. "
            "Install them: pip install 'xoffset[netcdf]'."
        ) from error


def _read_or_explain(place: str, **options: Any) -> xr.Dataset:
    try:
        return _read(place, **options)
    except Exception as error:  # what a damaged store raises depends on the library and on the byte that is wrong
        raise OSError(
            f"open_result() needs a readable Zarr store or netCDF4 file; got '{type(error).__name__}: {error}' from "
            f"{place}. It is incomplete or damaged: write it again."
        ) from error


def _read(place: str, **options: Any) -> xr.Dataset:
    return xr.open_dataset(
        place,
        chunks=None,
        cache=False,
        decode_coords="all",
        decode_times=xr.coders.CFDatetimeCoder(time_unit="us"),
        # a variable in days is a number with a unit, unless a timedelta was written
        decode_timedelta=xr.coders.CFTimedeltaCoder(decode_via_units=False),
        **options,
    )


def _check_product(data: xr.Dataset, place: str) -> None:
    is_network = {"reference", "secondary"} <= set(data.coords) and "pair" in data.dims
    has_maps = any(variable.dims[-2:] == ("y", "x") for variable in data.data_vars.values())
    # products without maps, such as trajectories, are known by the record of how they were made
    if not is_network and not has_maps and not history.steps(data):
        raise ValueError(
            f"open_result() needs a network, shifts, series, rate, profile or stack; got {place} with variables "
            f"{sorted(map(str, data.variables))} and dims {tuple(data.dims)}. Open it with xarray.open_dataset()."
        )


def _with_chunks(stored: xr.Dataset) -> xr.Dataset:
    """Leave the data on disk, in dask chunks, and read the coordinates, which every selection and write needs."""
    coordinates = {}
    for name, coordinate in stored.coords.items():
        if not {"y", "x"} <= set(coordinate.dims):
            values = coordinate.variable.load()
            # Strings come back as another type from each format, and netCDF or Zarr refuse that of the other.
            coordinates[name] = values.astype(object) if values.dtype.kind in "TU" else values
    if not stored.data_vars:
        return stored.assign_coords(coordinates)
    # The random token keeps a cluster from mistaking a rewritten store for the one it has already read.
    return stored.chunk(_chunks(stored), token=uuid.uuid4().hex).assign_coords(coordinates)


def _chunks(stored: xr.Dataset) -> dict[Hashable, int]:
    """One chunk size a dim: whole stored chunks of every variable, as many as make a task worth its overhead."""
    chunks: dict[Hashable, int] = {}
    for variable in stored.data_vars.values():
        # Of a sharded array take the shards: its inner chunks are so small that they make thousands of tasks.
        known = filter(None, map(variable.encoding.get, ("shards", "chunks", "chunksizes")))
        pieces = next(known, (1,) * variable.ndim)
        for dim, size, piece in zip(variable.dims, variable.shape, pieces, strict=True):
            whole = piece if isinstance(piece, int) and piece else size
            chunks[dim] = max(1, min(math.lcm(chunks.get(dim, 1), whole), stored.sizes[dim]))
    widest = max(stored.data_vars.values(), key=lambda variable: variable.nbytes)
    # Dates first, as a pixel's whole history is what most steps need; then along rows, as they lie on disk.
    for dim in sorted(widest.dims, key=lambda dim: {"x": 1, "y": 2}.get(str(dim), 0)):
        bytes_now = widest.dtype.itemsize * math.prod(chunks[other] for other in widest.dims)
        chunks[dim] = min(chunks[dim] * max(1, _TASK_BYTES // bytes_now), max(1, stored.sizes[dim]))
    return chunks


def _restore_encoding(data: xr.Dataset) -> None:
    data.encoding = {}
    for name, variable in data.variables.items():
        old = variable.encoding
        if variable.dtype.kind == "M":
            encoding: dict[str, Any] = dict(DATE_ENCODING)
        elif name in data.coords:
            encoding = {"_FillValue": None} if variable.dtype.kind == "f" else {}
        else:
            encoding = {key: old[key] for key in _KEPT_ENCODING & set(old)}
            if np.dtype(old.get("dtype", variable.dtype)) != variable.dtype:
                encoding["dtype"] = old["dtype"]  # packed as integers
        variable.encoding = encoding
